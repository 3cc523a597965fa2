/* The sixteen kernels: their input, the same work in plain C, and what makes a result right. */
#include <math.h>
#include <string.h>

#include "bench.h"
#include "memory.h"
#include "native.h"

#define STREAM	   (1 << 24)
#define SIDE	   4096
#define MATRIX	   768
#define COUNT	   (1 << 20)
#define IMAGE	   1024
#define ITERATIONS 256
#define BLOCKS	   1024 /* of kernels that stride over their input */
#define BINS	   256

static float *a, *b, *c, *wanted;
static double *doubles_a, *doubles_b, *doubles_c, *wanted_doubles;
static _Float16 *halves_a, *halves_b;
static uint8_t *bytes;
static uint32_t *bins, *wanted_bins;

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

static bool are_close(int count)
{
	for (int i = 0; i < count; i++)
		if (!(fabsf(c[i] - wanted[i]) <= 1e-3f * (fabsf(wanted[i]) + 1)))
			return false;
	return true;
}

static bool streams_close(void)
{
	return are_close(STREAM);
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
	return are_close(MATRIX * MATRIX);
}

static void run_dgemm(void)
{
	native_dgemm_tiled(doubles_a, doubles_b, wanted_doubles, MATRIX);
}

static bool doubles_close(void)
{
	for (int i = 0; i < MATRIX * MATRIX; i++)
		if (!(fabs(doubles_c[i] - wanted_doubles[i]) <= 1e-12 * fabs(wanted_doubles[i])))
			return false;
	return true;
}

static volatile float total;

static void run_sum(void)
{
	total = native_sum(a, STREAM);
}

/* The order of the additions differs: both against a sum in double. */
static bool sum_is_right(int n)
{
	double sum = 0, exact = 0;

	for (int i = 0; i < n; i++)
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
	return !memcmp(bins, wanted_bins, BINS * sizeof(*bins));
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

static void make_matrices(void)
{
	halves_a = bench_take(MATRIX * MATRIX * sizeof(*halves_a));
	halves_b = bench_take(MATRIX * MATRIX * sizeof(*halves_b));
	doubles_a = bench_take(MATRIX * MATRIX * sizeof(*doubles_a));
	doubles_b = bench_take(MATRIX * MATRIX * sizeof(*doubles_b));
	doubles_c = bench_take(MATRIX * MATRIX * sizeof(*doubles_c));
	wanted_doubles = bench_take(MATRIX * MATRIX * sizeof(*wanted_doubles));
	for (int i = 0; i < MATRIX * MATRIX; i++) {
		halves_a[i] = (_Float16)a[i];
		halves_b[i] = (_Float16)b[i];
		doubles_a[i] = (double)a[i];
		doubles_b[i] = (double)b[i];
	}
}

static void make_buffers(void)
{
	uint32_t random = 12345;

	a = bench_take(STREAM * sizeof(*a));
	b = bench_take(STREAM * sizeof(*b));
	c = bench_take(STREAM * sizeof(*c));
	wanted = bench_take(STREAM * sizeof(*wanted));
	bytes = bench_take(STREAM);
	bins = bench_take(BINS * sizeof(*bins));
	wanted_bins = bench_take(BINS * sizeof(*wanted_bins));
	for (int i = 0; i < STREAM; i++) {
		random = random * 1664525 + 1013904223;
		a[i] = (float)(random >> 8) / (1 << 24);
		b[i] = (float)(random >> 9 & 0xffff) / (1 << 16);
		bytes[i] = (uint8_t)(random >> 16);
	}
	make_matrices();
}

void bench_clear(void)
{
	memset(bins, 0, BINS * sizeof(*bins));
}

/* clang-format off */
#define IN	 {a, STREAM * sizeof(*a)}
#define IN_2	 {b, STREAM * sizeof(*b)}
#define OUT	 {c, STREAM * sizeof(*c)}
#define BYTES	 {bytes, STREAM}
#define BIN	 {bins, BINS * sizeof(*bins)}
#define INT(n)	 {NULL, n}
#define STREAMS	 {IN, IN_2, OUT, INT(STREAM)}, 4
#define PLANE	 {IN, OUT, INT(SIDE), INT(SIDE)}, 4
#define MATRICES {IN, IN_2, OUT, INT(MATRIX)}, 4
#define SQUARE(p) {p, MATRIX * MATRIX * sizeof(*p)}
#define HALVES	 {SQUARE(halves_a), SQUARE(halves_b), OUT, INT(MATRIX)}, 4
#define DOUBLES	 {SQUARE(doubles_a), SQUARE(doubles_b), SQUARE(doubles_c), INT(MATRIX)}, 4
#define SUM	 {IN, OUT, INT(STREAM)}, 3
#define COUNTS	 {BYTES, BIN, INT(STREAM)}, 3
#define COUNTER	 {BIN, INT(COUNT)}, 2
#define PICTURE	 {OUT, INT(IMAGE), INT(IMAGE), INT(ITERATIONS)}, 4
#define STEPS	 {OUT, INT(COUNT)}, 2

const struct bench_case *bench_cases(void)
{
	static struct bench_case cases[BENCH_CASES];

	make_buffers();
	memcpy(cases, (struct bench_case[BENCH_CASES]){
	    {"vecadd", {STREAM / 256, 1}, {256, 1}, STREAMS, run_vecadd, streams_equal},
	    {"stencil", {SIDE / 32, SIDE / 8}, {32, 8}, PLANE, run_stencil, streams_close},
	    {"sgemm_naive", {MATRIX / 32, MATRIX / 8}, {32, 8}, MATRICES, run_sgemm, matrices_close},
	    {"sgemm_tiled32", {MATRIX / 32, MATRIX / 32}, {32, 32}, MATRICES, run_sgemm_tiled,
		matrices_close},
	    {"sgemm_tiled16", {MATRIX / 16, MATRIX / 16}, {16, 16}, MATRICES, run_sgemm_tiled,
		matrices_close},
	    {"hgemm_wmma", {MATRIX / 64, MATRIX / 64}, {128, 1}, HALVES, run_sgemm_tiled,
		matrices_close},
	    {"dgemm_wmma", {MATRIX / 32, MATRIX / 32}, {128, 1}, DOUBLES, run_dgemm, doubles_close},
	    {"reduce_shared", {BLOCKS, 1}, {256, 1}, SUM, run_sum, few_sums_right},
	    {"reduce_shuffle", {BLOCKS, 1}, {256, 1}, SUM, run_sum, few_sums_right},
	    {"reduce_dense", {STREAM / 256, 1}, {256, 1}, SUM, run_sum, many_sums_right},
	    {"reduce_dense_shuffle", {STREAM / 256, 1}, {256, 1}, SUM, run_sum, many_sums_right},
	    {"histogram_shared", {BLOCKS, 1}, {256, 1}, COUNTS, run_histogram, bins_equal},
	    {"histogram_global", {BLOCKS, 1}, {256, 1}, COUNTS, run_histogram, bins_equal},
	    {"count", {COUNT / 256, 1}, {256, 1}, COUNTER, run_count, counts_equal},
	    {"mandelbrot", {IMAGE / 32, IMAGE / 8}, {32, 8}, PICTURE, run_mandelbrot, images_alike},
	    {"collatz", {COUNT / 256, 1}, {256, 1}, STEPS, run_collatz, steps_equal},
	}, sizeof(cases));
	return cases;
}
/* clang-format on */
