/*
 * random-ptx SECONDS [SEED]: makes random kernels for that long, from that seed on, runs each in
 * every way the machine has, and compares with the interpreter. A mismatch prints the kernel and
 * its seed and ends with status 1; without a compiler the status is 77 (skipped). random-ptx print
 * SEED only prints a kernel.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/util.h"
#include "softgpu/exec/exec.h"
#include "softgpu/exec/random/random.h"
#include "softgpu/mem/arena.h"

#define SKIPPED	    77
#define MEMORY_SIZE (1u << 20)
#define TEXT_SIZE   (1u << 20)

/* The ways to run a kernel. */
static const struct way {
	const char *name;
	uint32_t lanes;
} ways[] = {
    {"a thread at a time", 1},
    {"32 threads in step", 32},
    {"16 threads in step", 16},
    {"8 threads in step", 8},
    /* Of the following, which take longer to compile, each kernel has one. */
    {"64 threads in step", 64},
    {"128 threads in step", 128},
    {"256 threads in step", 256},
};
#define FIRST_OF_MANY 4

static struct random_program program;
static struct random_memory wanted, got;
static char text[TEXT_SIZE];

/* Device memory for the kernel's data; modules of random kernels have no variables. */
static void *device_memory(size_t size)
{
	void *memory = mmap((void *)SG_ARENA_BASE, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int no_memory(void *context, size_t size, size_t align, uint64_t *address)
{
	return -ENOMEM;
}

static void no_free(void *context, uint64_t address, size_t size)
{
}

static const struct sg_memory_ops no_variables = {no_memory, no_free, NULL};

static bool equal_floats(enum random_class class, uint64_t a, uint64_t b)
{
	float x, y;
	double v, w;

	if (class == RANDOM_F64) {
		memcpy(&v, &a, sizeof(v));
		memcpy(&w, &b, sizeof(w));
		return isnan(v) && isnan(w);
	}
	memcpy(&x, &a, sizeof(x));
	memcpy(&y, &b, sizeof(y));
	return class == RANDOM_F32 && isnan(x) && isnan(y);
}

static bool compare_registers(const char *way)
{
	for (unsigned t = 0; t < program.threads * program.blocks; t++)
		for (unsigned c = 0; c < RANDOM_CLASSES; c++)
			for (unsigned r = 0; r < RANDOM_REGISTERS; r++) {
				uint64_t want = wanted.registers[t].values[c][r];
				uint64_t have = got.registers[t].values[c][r];

				if (want == have || equal_floats((enum random_class)c, want, have))
					continue;
				printf("%s: thread %u: %%%c%u is 0x%llx, wanted 0x%llx\n", way, t,
				    RANDOM_LETTERS[c], r, (unsigned long long)have,
				    (unsigned long long)want);
				return false;
			}
	return true;
}

static bool compare_memory(const char *way)
{
	for (unsigned t = 0; t < program.threads * program.blocks; t++)
		for (unsigned i = 0; i < RANDOM_SLOTS; i++)
			if (*random_slot(&wanted, t, i) != *random_slot(&got, t, i)) {
				printf("%s: thread %u: slot %u is 0x%x, wanted 0x%x\n", way, t, i,
				    *random_slot(&got, t, i), *random_slot(&wanted, t, i));
				return false;
			}
	for (unsigned i = 0; i < RANDOM_CELLS; i++)
		if (wanted.cells[i] != got.cells[i]) {
			printf("%s: cell %u is 0x%x, wanted 0x%x\n", way, i, got.cells[i],
			    wanted.cells[i]);
			return false;
		}
	return true;
}

/* 0, 1 or SKIPPED. */
static int run_way(const struct way *way)
{
	struct sg_ptx_input input = {.text = text, .size = strlen(text)};
	static char message[4096];
	struct sg_log log = {.text = message, .capacity = sizeof(message)};
	struct sg_module *module;
	struct sg_kernel *kernel;
	uint64_t params[] = {(uint64_t)got.registers};
	struct sg_launch shape = {.grid = {program.blocks, 1, 1},
	    .block = {program.threads, 1, 1},
	    .params = params,
	    .params_size = sizeof(params),
	    .lanes = way->lanes};
	struct sg_fault fault;
	int r;

	random_fill(&program, &got);
	if (sg_module_load(&input, 1, &no_variables, NULL, &log, &module)) {
		printf("%s: %s", way->name, message);
		return 1;
	}
	kernel = sg_module_kernel(module, "k");
	r = sg_kernel_prepare(kernel, &log);
	if (r == 0 && sg_launch(kernel, &shape, &fault)) {
		snprintf(message, sizeof(message), "%s\n", fault.message);
		r = 1;
	}
	if (r && r != SG_MODULE_NO_COMPILER)
		printf("%s: %s", way->name, message);
	sg_module_unload(module);
	if (r)
		return r == SG_MODULE_NO_COMPILER ? SKIPPED : 1;
	return !compare_registers(way->name) || !compare_memory(way->name);
}

static int try_seed(uint64_t seed)
{
	random_generate(seed, &program);
	if (random_print(&program, text, sizeof(text)) >= sizeof(text))
		return 0; /* none is that long */
	random_lay_out(&program, wanted.registers, &wanted);
	random_lay_out(&program, got.registers, &got);
	random_fill(&program, &wanted);
	random_run(&program, &wanted);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		int r = i < FIRST_OF_MANY || i == FIRST_OF_MANY + seed % 3 ? run_way(&ways[i]) : 0;

		if (r)
			return r;
	}
	return 0;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 10;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1, first = seed;
	uint64_t end = clock_now_ns() + (uint64_t)(seconds * (double)NSEC_PER_SEC);

	if (argc == 3 && !strcmp(argv[1], "print")) {
		random_generate(seed, &program);
		random_print(&program, text, sizeof(text));
		fputs(text, stdout);
		return 0;
	}
	setenv("SOFTGPU_CACHE", "", 1);	   /* no kernel comes twice */
	setenv("SOFTGPU_LANES", "256", 1); /* even where so many do not pay */
	wanted.registers = malloc(MEMORY_SIZE);
	got.registers = device_memory(MEMORY_SIZE);
	if (!wanted.registers || !got.registers)
		return SKIPPED; /* a sanitizer is where device memory should be */
	do {
		int r = try_seed(seed);

		if (r == 1)
			printf("seed %llu:\n%s", (unsigned long long)seed, text);
		if (r)
			return r;
		seed++;
	} while (clock_now_ns() < end);
	printf("%llu kernels from seed %llu on: all as they should be\n",
	    (unsigned long long)(seed - first), (unsigned long long)first);
	free(wanted.registers);
	return 0;
}
