/*
 * bench-compile: what it costs to make native code of a library's or program's kernels.
 *
 *	bench-compile FILE [MOST]
 *	bench-compile --parts FILE [THREADS]
 *
 * FILE is PTX text, or a library or program with fatbins inside. Of all its kernels MOST (64),
 * evenly spaced, are compiled as their first launch would compile them, once with an empty cache
 * and once from what that left there. What is printed is a table in Markdown by the kernels' size:
 * medians of processor time.
 *
 * With --parts each kernel has a row of its own, for launches of blocks of so many (256) threads,
 * that tells translating from compiling: the same text with a space behind it must be translated
 * again, and is compiled already.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/image.h"
#include "base/dir.h"
#include "base/util.h"
#include "memory.h"
#include "softgpu/exec/module-private.h"
#include "softgpu/image/image.h"

#define CAPABILITY   130 /* later than any machine code: PTX it is */
#define MOST_KERNELS 4096

struct made {
	uint32_t instructions;
	double fresh_ms, cached_ms;
};

static struct made made[MOST_KERNELS];
static unsigned n_made, n_refused;
static size_t n_kernels, stride = 1, seen;
static double parse_ms;
static uint64_t parsed_instructions;
static uint32_t n_threads = 32;

static uint32_t count_instructions(const struct sg_kernel *kernel)
{
	uint32_t count = 0;

	for (size_t i = 0; i < kernel->n_closure; i++)
		count += kernel->closure[i]->n_code;
	return count;
}

static struct sg_module *load(const struct sg_text *text)
{
	struct sg_ptx_input input = {NULL, text->text, text->size};
	struct sg_module *module = NULL;

	return sg_module_load(&input, 1, &bench_memory, NULL, NULL, &module) ? NULL : module;
}

/* Processor time of this process and of those that compiled apart. */
static double now_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return bench_now_ms() + (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

/* Milliseconds, or -1: refused. */
static double prepare(const struct sg_text *text, size_t index)
{
	const uint32_t block[3] = {n_threads, 1, 1};
	struct sg_module *module = load(text);
	double began = now_ms(), ms = -1;

	if (module && !sg_kernel_prepare_for(sg_module_kernel_at(module, index), block, NULL))
		ms = now_ms() - began;
	sg_module_unload(module);
	return ms;
}

static void measure(const struct sg_text *text, size_t index, uint32_t instructions)
{
	struct made *one = &made[n_made];

	*one = (struct made){instructions, prepare(text, index), prepare(text, index)};
	if (one->fresh_ms < 0)
		n_refused++;
	else
		n_made++;
}

static void count_text(const struct sg_text *text)
{
	struct sg_module *module = load(text);

	if (module)
		n_kernels += sg_module_kernel_count(module);
	sg_module_unload(module);
}

static void measure_text(const struct sg_text *text)
{
	double began = bench_now_ms();
	struct sg_module *module = load(text);

	if (!module)
		return;
	parse_ms += bench_now_ms() - began;
	for (size_t i = 0; i < sg_module_kernel_count(module); i++) {
		uint32_t count = count_instructions(sg_module_kernel_at(module, i));

		parsed_instructions += count;
		if (seen++ % stride == 0 && n_made < MOST_KERNELS)
			measure(text, i, count);
	}
	sg_module_unload(module);
}

/* The text with a space behind it. */
static struct sg_text vary(const struct sg_text *text)
{
	size_t size = strnlen(text->text, text->size);
	char *copy = malloc(size + 2);

	if (!copy) {
		perror("bench-compile");
		exit(1);
	}
	memcpy(copy, text->text, size);
	memcpy(copy + size, " ", 2);
	return (struct sg_text){copy, size + 1, copy};
}

static void print_parts(const struct sg_text *text, const struct sg_text *varied, size_t index,
    const struct sg_kernel *kernel)
{
	double fresh = prepare(text, index), cached = prepare(text, index),
	       again = prepare(varied, index);

	n_made++;
	if (fresh < 0)
		printf(
		    "| %s | %u | refused | | | |\n", kernel->info.name, count_instructions(kernel));
	else
		printf("| %s | %u | %.2f | %.1f | %.1f | %.2f |\n", kernel->info.name,
		    count_instructions(kernel), MAX(again - cached, 0), fresh - again, fresh,
		    cached);
}

static void print_parts_of_text(const struct sg_text *text)
{
	struct sg_text varied = vary(text);
	double began = bench_now_ms();
	struct sg_module *module = load(text);

	began = bench_now_ms() - began;
	if (module)
		printf(
		    "\nReading %zu kernels of %zu KiB: %.2f ms\n\n"
		    "| kernel | instructions | translate, ms | LLVM, ms | together, ms | from the "
		    "cache, ms |\n|---|---|---|---|---|---|\n",
		    sg_module_kernel_count(module), text->size / 1024, began);
	for (size_t i = 0; module && i < sg_module_kernel_count(module); i++)
		print_parts(text, &varied, i, sg_module_kernel_at(module, i));
	sg_module_unload(module);
	free(varied.owned);
}

/* What comes once a process, before the first kernel is compiled. */
static void print_beginning(void)
{
	static const char empty[] =
	    ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k() { ret; }";
	const struct sg_text text = {empty, sizeof(empty), NULL};

	printf("Finding LLVM, and an empty kernel: %.1f ms\n", prepare(&text, 0));
}

static void visit_image(const void *image, size_t size, void (*visit)(const struct sg_text *text))
{
	struct sg_image read;

	if (sg_image_init(&read, image, size, CAPABILITY))
		return;
	for (size_t i = 0; i < read.n_texts; i++)
		visit(&read.texts[i]);
	sg_image_fini(&read);
}

/* Fatbins lie in libraries at multiples of eight bytes. */
static void visit_file(const uint8_t *bytes, size_t size, void (*visit)(const struct sg_text *text))
{
	uint32_t word;

	if (size < 4 || memcmp(bytes, "\177ELF", 4)) {
		visit_image(bytes, size, visit);
		return;
	}
	for (size_t at = 0; at + 16 <= size; at += 8) {
		memcpy(&word, bytes + at, sizeof(word));
		if (word == ABI_FATBIN_MAGIC)
			visit_image(bytes + at, size - at, visit);
	}
}

static int by_size(const void *a, const void *b)
{
	const struct made *x = a, *y = b;

	return (x->instructions > y->instructions) - (x->instructions < y->instructions);
}

static int by_number(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* A row of the table, of count kernels of similar size. */
static void print_row(const struct made *of, unsigned count)
{
	static double fresh[MOST_KERNELS], each[MOST_KERNELS], cached[MOST_KERNELS];

	for (unsigned i = 0; i < count; i++) {
		fresh[i] = of[i].fresh_ms;
		each[i] = of[i].fresh_ms / of[i].instructions;
		cached[i] = of[i].cached_ms;
	}
	qsort(fresh, count, sizeof(*fresh), by_number);
	qsort(each, count, sizeof(*each), by_number);
	qsort(cached, count, sizeof(*cached), by_number);
	printf("| %u to %u | %u | %.0f (to %.0f) | %.3f (to %.3f) | %.2f (to %.2f) |\n",
	    of[0].instructions, of[count - 1].instructions, count, fresh[count / 2],
	    fresh[count - 1], each[count / 2], each[count - 1], cached[count / 2],
	    cached[count - 1]);
}

static void print_table(void)
{
	static const uint32_t limits[] = {50, 100, 200, 400, 800, 1600, 3200, UINT32_MAX};
	unsigned first = 0;

	qsort(made, n_made, sizeof(*made), by_size);
	printf("| instructions | kernels | compile, ms | ms an instruction | from the cache, ms |\n"
	       "|---|---|---|---|---|\n");
	for (unsigned i = 0; i < ARRAY_SIZE(limits); i++) {
		unsigned end = first;

		while (end < n_made && made[end].instructions <= limits[i])
			end++;
		if (end > first)
			print_row(&made[first], end - first);
		first = end;
	}
	printf("\n%zu kernels, %u compiled, %u refused; reading the PTX took %.4f ms an "
	       "instruction\n",
	    n_kernels, n_made, n_refused, parse_ms / (double)MAX(parsed_instructions, 1u));
}

static int usage(void)
{
	fprintf(stderr, "usage: bench-compile FILE [MOST]\n"
			"       bench-compile --parts FILE [THREADS]\n");
	return 2;
}

static void measure_file(const uint8_t *bytes, size_t size, bool parts, const char *number)
{
	if (parts) {
		n_threads = number ? (uint32_t)atoi(number) : 256;
		print_beginning();
		visit_file(bytes, size, print_parts_of_text);
		return;
	}
	visit_file(bytes, size, count_text);
	stride = MAX(n_kernels / (number ? (size_t)atoi(number) : 64), (size_t)1);
	visit_file(bytes, size, measure_text);
	if (n_made)
		print_table();
}

int main(int argc, char **argv)
{
	bool parts = argc > 1 && !strcmp(argv[1], "--parts");
	char cache[256];
	struct stat stat;
	void *bytes;
	int fd;

	argv += parts;
	argc -= parts;
	if (argc < 2 || argc > 3 || (argc > 2 && atoi(argv[2]) <= 0))
		return usage();
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	bytes = fd < 0 || fstat(fd, &stat)
		    ? MAP_FAILED
		    : mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED || dir_make_temporary("bench", cache, sizeof(cache))) {
		perror(argv[1]);
		return 1;
	}
	setenv("SOFTGPU_CACHE", cache, 1);
	setenv("SOFTGPU_LLVM", BENCH_LLVM, 0);
	measure_file(bytes, (size_t)stat.st_size, parts, argv[2]);
	dir_remove(cache);
	if (!n_made) {
		fprintf(stderr, "bench-compile: %s: no kernel that compiles\n", argv[1]);
		return 1;
	}
	return 0;
}
