/* The kernels on the software GPU's machine itself: a launch is sg_launch(), without the driver. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/util.h"
#include "bench.h"
#include "softgpu/exec/exec.h"
#include "softgpu/mem/arena.h"

/* Device memory: the arena's first gigabytes, one piece after the other. */
static int device_alloc(void *context, size_t size, size_t align, uint64_t *address)
{
	static uint64_t next_address = SG_ARENA_BASE;
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

void *bench_take(size_t size)
{
	uint64_t address;

	if (device_alloc(NULL, size, 16, &address)) {
		fprintf(stderr, "bench-softgpu: no memory for %zu bytes\n", size);
		exit(1);
	}
	return (void *)address;
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

/* Arguments behind each other, each at a multiple of its size, as PTX lays parameters out. */
static size_t pack(const struct bench_case *bench, uint8_t *packed)
{
	size_t size = 0;

	for (unsigned i = 0; i < bench->n_arguments; i++) {
		const struct bench_argument *argument = &bench->arguments[i];

		if (argument->buffer) {
			size = align_up(size, sizeof(void *));
			*(void **)&packed[size] = argument->buffer;
			size += sizeof(void *);
		} else {
			*(int32_t *)&packed[size] = (int32_t)argument->value;
			size += sizeof(int32_t);
		}
	}
	return size;
}

double softgpu_run(const struct bench_case *bench, unsigned lanes)
{
	static struct sg_module *module;
	_Alignas(8) uint8_t params[BENCH_ARGUMENTS * sizeof(void *)];
	struct sg_launch launch = {
	    .grid = {bench->grid[0], bench->grid[1], 1},
	    .block = {bench->block[0], bench->block[1], 1},
	    .params = params,
	    .params_size = pack(bench, params),
	    .lanes = lanes,
	    .threads = 1,
	};
	struct sg_kernel *kernel;
	struct sg_fault fault;
	double began;

	if (!module) {
		setenv("SOFTGPU_LLVM", BENCH_LLVM, 0); /* this build's compiler */
		module = load(BENCH_PTX);
	}
	kernel = sg_module_kernel(module, bench->name);
	began = bench_now_ms();
	if (!kernel || sg_launch(kernel, &launch, &fault)) {
		fprintf(stderr, "bench-softgpu: %s: %s\n", bench->name,
		    kernel ? fault.message : "no such kernel");
		exit(1);
	}
	return bench_now_ms() - began;
}
