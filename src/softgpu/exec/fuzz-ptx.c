/*
 * Fuzz target: PTX as a hostile program could bring it. The text is parsed, linked and laid out,
 * and every kernel translated to IR; the last step, LLVM, is left out by pointing at no compiler.
 * Nothing is run.
 */
#include <errno.h>
#include <stdlib.h>

#include "softgpu/exec/module.h"

#define MEMORY_MOST (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static int take(void *context, size_t size, size_t align, uint64_t *address)
{
	void *memory = size <= MEMORY_MOST ? calloc(1, size) : NULL;

	*address = (uint64_t)memory;
	return memory ? 0 : -ENOMEM;
}

static void give(void *context, uint64_t address, size_t size)
{
	free((void *)address);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return setenv("SOFTGPU_LLVM", "/nowhere", 1) || setenv("SOFTGPU_CACHE", "", 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sg_memory_ops memory = {take, give, NULL};
	struct sg_ptx_input input = {.text = (const char *)data, .size = size};
	char text[256];
	struct sg_log log = {.text = text, .capacity = sizeof(text)};
	struct sg_module *module;

	if (sg_module_load(&input, 1, &memory, NULL, &log, &module))
		return 0;
	for (size_t i = 0; i < sg_module_kernel_count(module); i++)
		sg_kernel_prepare(sg_module_kernel_at(module, i), &log);
	sg_module_unload(module);
	return 0;
}
