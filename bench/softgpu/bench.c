/*
 * bench-softgpu: kernels on the software GPU against plain C, on one thread.
 *
 *	bench-softgpu [ROUNDS [CASE...]]
 *
 * Each round runs every case in turn: plain C, kernel with its threads in step, and in every third
 * round, for it takes long, kernel a thread at a time; so that whatever else the machine does falls on
 * all alike. The first round warms up and checks the results. What is printed is JSON: per case and way the median, least and greatest time
 * in milliseconds. report makes a table and a chart of it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/util.h"
#include "native.h"
#include "softgpu/exec/exec.h"
#include "softgpu/mem/arena.h"

#define MOST_ROUNDS 64
#define STREAM	    (1 << 24)
#define SIDE	    4096
#define MATRIX	    768
#define COUNT	    (1 << 20)
#define IMAGE	    1024
#define ITERATIONS  256
#define BLOCKS	    1024 /* of kernels that stride over their input */

enum way { WAY_NATIVE, WAY_WARPS, WAY_THREADS, WAYS };

static const char *const way_names[WAYS] = {"native", "warps", "threads"};

static float *a, *b, *c, *wanted;
static uint8_t *bytes;
static uint32_t *bins, *wanted_bins;

/* ---- device memory: the arena's first gigabytes, one piece after the other ---- */

static uint64_t next_address = SG_ARENA_BASE;

static int device_alloc(void *context, size_t size, size_t align, uint64_t *address)
{
	uint64_t rounded = align_up(MAX(size, (size_t)1), 1u << 21);

	*address = next_address;
	next_address += rounded + (1u << 21);
	return mmap((void *)*address, rounded, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED
		   ? -1
		   : 0;
}

static void device_free(void *context, uint64_t address, size_t size)
{
	munmap((void *)address, size);
}

static void *take(size_t size)
{
	uint64_t address;

	if (device_alloc(NULL, size, 16, &address)) {
		fprintf(stderr, "bench-softgpu: no memory for %zu bytes\n", size);
		exit(1);
	}
	return (void *)address;
}

/* ---- cases ---- */

struct bench_case {
	const char *kernel;
	uint32_t grid[2], block[2];
	uint64_t params[6];
	void (*native)(void);
	bool (*is_right)(void);
};

static void run_vecadd(void)
{
	native_vecadd(a, b, wanted, STREAM);
}

static bool streams_equal(void)
{
	return !memcmp(c, wanted, STREAM * sizeof(*c));
}

static void run_stencil(void)
{
	native_stencil(a, wanted, SIDE, SIDE);
}

static bool is_close(float got, float want)
{
	return fabsf(got - want) <= 1e-3f * (fabsf(want) + 1);
}

static bool streams_close(void)
{
	for (int i = 0; i < STREAM; i++)
		if (!is_close(c[i], wanted[i]))
			return false;
	return true;
}

static void run_sgemm(void)
{
	native_sgemm(a, b, wanted, MATRIX);
}

static void run_sgemm_tiled(void)
{
	native_sgemm_tiled(a, b, wanted, MATRIX);
}

static bool matrices_close(void)
{
	for (int i = 0; i < MATRIX * MATRIX; i++)
		if (!is_close(c[i], wanted[i]))
			return false;
	return true;
}

static volatile float total;

static void run_sum(void)
{
	total = native_sum(a, STREAM);
}

/* The order of the additions differs: both against a sum in double. */
static bool sum_is_right(uint32_t n)
{
	double sum = 0, exact = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += (double)c[i];
	for (int i = 0; i < STREAM; i++)
		exact += (double)a[i];
	return fabs(sum - exact) <= 1e-4 * fabs(exact);
}

static bool few_sums_right(void)
{
	return sum_is_right(BLOCKS);
}

static bool many_sums_right(void)
{
	return sum_is_right(STREAM / 256);
}

static void run_histogram(void)
{
	native_histogram(bytes, wanted_bins, STREAM);
}

static bool bins_equal(void)
{
	return !memcmp(bins, wanted_bins, 256 * sizeof(*bins));
}

static void run_count(void)
{
	wanted_bins[0] = 0;
	native_count(wanted_bins, COUNT);
}

static bool counts_equal(void)
{
	return bins[0] == wanted_bins[0];
}

static void run_mandelbrot(void)
{
	native_mandelbrot((int32_t *)wanted, IMAGE, IMAGE, ITERATIONS);
}

/* Contractions of products and sums differ, which decides some points at the edge. */
static bool images_alike(void)
{
	int different = 0;

	for (int i = 0; i < IMAGE * IMAGE; i++)
		different += ((int32_t *)c)[i] != ((int32_t *)wanted)[i];
	return different < IMAGE * IMAGE / 50;
}

static void run_collatz(void)
{
	native_collatz((int32_t *)wanted, COUNT);
}

static bool steps_equal(void)
{
	return !memcmp(c, wanted, COUNT * sizeof(int32_t));
}

#define ADDRESS(p) ((uint64_t)(p))
#define MATRICES   {ADDRESS(a), ADDRESS(b), ADDRESS(c), MATRIX}
#define SUM	   {ADDRESS(a), ADDRESS(c), STREAM}
#define BINS	   {ADDRESS(bytes), ADDRESS(bins), STREAM}

/* Two 32-bit parameters behind each other. */
static uint64_t pair(uint32_t low, uint32_t high)
{
	return low | (uint64_t)high << 32;
}

static struct sg_module *load(const char *path)
{
	static const struct sg_memory_ops memory = {device_alloc, device_free, NULL};
	static char text[1 << 20];
	char message[1000] = "";
	struct sg_log log = {message, sizeof(message), 0};
	struct sg_ptx_input input = {path, text, 0};
	struct sg_module *module;
	FILE *file = fopen(path, "r");

	if (!file) {
		perror(path);
		exit(1);
	}
	input.size = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	if (sg_module_load(&input, 1, &memory, NULL, &log, &module)) {
		fprintf(stderr, "bench-softgpu: %s", message);
		exit(1);
	}
	return module;
}

static double run_kernel(struct sg_module *module, const struct bench_case *bench, enum way way)
{
	struct sg_kernel *kernel = sg_module_kernel(module, bench->kernel);
	struct sg_launch launch = {
	    .grid = {bench->grid[0], bench->grid[1], 1},
	    .block = {bench->block[0], bench->block[1], 1},
	    .params = bench->params,
	    .params_size = sizeof(bench->params),
	    .lanes = way == WAY_THREADS ? 1 : 32,
	};
	struct sg_fault fault;
	uint64_t began;

	memset(bins, 0, 256 * sizeof(*bins));
	began = clock_now_ns();
	if (!kernel || sg_launch(kernel, &launch, &fault)) {
		fprintf(stderr, "bench-softgpu: %s: %s\n", bench->kernel,
		    kernel ? fault.message : "no such kernel");
		exit(1);
	}
	return (double)(clock_now_ns() - began) / 1e6;
}

static double run_once(
    struct sg_module *module, const struct bench_case *bench, enum way way, bool check)
{
	uint64_t began = clock_now_ns();
	double ms;

	if (way == WAY_NATIVE) {
		bench->native();
		return (double)(clock_now_ns() - began) / 1e6;
	}
	ms = run_kernel(module, bench, way);
	if (check && !bench->is_right()) {
		fprintf(stderr, "bench-softgpu: %s (%s): wrong result\n", bench->kernel,
		    way_names[way]);
		exit(1);
	}
	return ms;
}

static int by_size(const void *x, const void *y)
{
	const double *p = x, *q = y;

	return (*p > *q) - (*p < *q);
}

static void fill(void)
{
	uint32_t random = 12345;

	a = take(STREAM * sizeof(*a));
	b = take(STREAM * sizeof(*b));
	c = take(STREAM * sizeof(*c));
	wanted = take(STREAM * sizeof(*wanted));
	bytes = take(STREAM);
	bins = take(256 * sizeof(*bins));
	wanted_bins = take(256 * sizeof(*wanted_bins));
	for (int i = 0; i < STREAM; i++) {
		random = random * 1664525 + 1013904223;
		a[i] = (float)(random >> 8) / (1 << 24);
		b[i] = (float)(random >> 9 & 0xffff) / (1 << 16);
		bytes[i] = (uint8_t)(random >> 16);
	}
}

static bool is_chosen(const char *name, int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc <= 2;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 7;
	static double times[32][WAYS][MOST_ROUNDS];
	static unsigned counts[32][WAYS];
	struct sg_module *module;
	bool first = true;

	setenv("SOFTGPU_THREADS", "1", 0);
	rounds = MIN(MAX(rounds, 1u), MOST_ROUNDS);
	fill();
	const struct bench_case cases[] = {
	    {"vecadd", {STREAM / 256, 1}, {256, 1}, {ADDRESS(a), ADDRESS(b), ADDRESS(c), STREAM},
		run_vecadd, streams_equal},
	    {"stencil", {SIDE / 32, SIDE / 8}, {32, 8}, {ADDRESS(a), ADDRESS(c), pair(SIDE, SIDE)},
		run_stencil, streams_close},
	    {"sgemm_naive", {MATRIX / 32, MATRIX / 8}, {32, 8}, MATRICES, run_sgemm,
		matrices_close},
	    {"sgemm_tiled32", {MATRIX / 32, MATRIX / 32}, {32, 32}, MATRICES, run_sgemm_tiled,
		matrices_close},
	    {"sgemm_tiled16", {MATRIX / 16, MATRIX / 16}, {16, 16}, MATRICES, run_sgemm_tiled,
		matrices_close},
	    {"reduce_shared", {BLOCKS, 1}, {256, 1}, SUM, run_sum, few_sums_right},
	    {"reduce_shuffle", {BLOCKS, 1}, {256, 1}, SUM, run_sum, few_sums_right},
	    {"reduce_dense", {STREAM / 256, 1}, {256, 1}, SUM, run_sum, many_sums_right},
	    {"reduce_dense_shuffle", {STREAM / 256, 1}, {256, 1}, SUM, run_sum, many_sums_right},
	    {"histogram_shared", {BLOCKS, 1}, {256, 1}, BINS, run_histogram, bins_equal},
	    {"histogram_global", {BLOCKS, 1}, {256, 1}, BINS, run_histogram, bins_equal},
	    {"count", {COUNT / 256, 1}, {256, 1}, {ADDRESS(bins), COUNT}, run_count, counts_equal},
	    {"mandelbrot", {IMAGE / 32, IMAGE / 8}, {32, 8},
		{ADDRESS(c), pair(IMAGE, IMAGE), ITERATIONS}, run_mandelbrot, images_alike},
	    {"collatz", {COUNT / 256, 1}, {256, 1}, {ADDRESS(c), COUNT}, run_collatz, steps_equal},
	};
	module = load(BENCH_PTX);
	for (unsigned round = 0; round <= rounds; round++)
		for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
			for (enum way way = 0; way < WAYS; way++) {
				double ms;

				if (!is_chosen(cases[i].kernel, argc, argv))
					continue;
				if (way == WAY_THREADS && round % 3 != 1 && round)
					continue;
				ms = run_once(module, &cases[i], way, !round);
				if (round)
					times[i][way][counts[i][way]++] = ms;
			}
	printf("{\"rounds\": %u, \"unit\": \"ms\", \"cases\": [\n", rounds);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		if (!is_chosen(cases[i].kernel, argc, argv))
			continue;
		printf("%s{\"name\": \"%s\"", first ? "" : ",\n", cases[i].kernel);
		first = false;
		for (enum way way = 0; way < WAYS; way++) {
			unsigned n = counts[i][way];

			qsort(times[i][way], n, sizeof(double), by_size);
			printf(", \"%s\": [%.3f, %.3f, %.3f]", way_names[way], times[i][way][n / 2],
			    times[i][way][0], times[i][way][n - 1]);
		}
		printf("}");
	}
	printf("\n]}\n");
	sg_module_unload(module);
	return 0;
}
