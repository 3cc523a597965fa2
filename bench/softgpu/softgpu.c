/* The kernels on the software GPU's machine itself: a launch is sg_launch(), without the driver. */
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "bench.h"
#include "memory.h"
#include "softgpu/exec/exec.h"

static struct sg_module *load(const char *path)
{
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
	if (sg_module_load(&input, 1, &bench_memory, NULL, &log, &module)) {
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
