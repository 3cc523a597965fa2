/* The fake backend's work: copies, which are done at once, and one module with one function. */
#include <string.h>

#include "base/test.h"
#include "worker/test-fake-parts.h"

/* --- copies: done at once, and what they check stays so; not looked at by the thread sanitizer, whose shadow ends below the
 * device window --- */

__attribute__((no_sanitize("thread", "address"))) static void copy_bytes(
    void *destination, const void *source, size_t bytes)
{
	volatile uint8_t *to = destination;
	const volatile uint8_t *from = source;

	for (size_t i = 0; i < bytes; i++)
		to[i] = from[i];
}

static CUresult copy_in(CUdeviceptr destination, const void *source, size_t bytes, CUstream stream)
{
	FALLIBLE();
	if (!fake_has_context())
		return CUDA_ERROR_INVALID_CONTEXT;
	fake_use_memory();
	bool mapped = fake_is_mapped(destination, bytes);
	if (mapped)
		copy_bytes((void *)destination, source, bytes);
	fake_used_memory();
	return mapped ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult copy_out(void *destination, CUdeviceptr source, size_t bytes, CUstream stream)
{
	FALLIBLE();
	if (!fake_has_context())
		return CUDA_ERROR_INVALID_CONTEXT;
	fake_use_memory();
	bool mapped = fake_is_mapped(source, bytes);
	if (mapped)
		copy_bytes(destination, (const void *)source, bytes);
	fake_used_memory();
	return mapped ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult copy_in_now(CUdeviceptr destination, const void *source, size_t bytes)
{
	return copy_in(destination, source, bytes, NULL);
}

static CUresult copy_out_now(void *destination, CUdeviceptr source, size_t bytes)
{
	return copy_out(destination, source, bytes, NULL);
}

static CUresult copy_device(
    CUdeviceptr destination, CUdeviceptr source, size_t bytes, CUstream stream)
{
	FALLIBLE();
	if (!fake_has_context())
		return CUDA_ERROR_INVALID_CONTEXT;
	fake_use_memory();
	bool mapped = fake_is_mapped(source, bytes) && fake_is_mapped(destination, bytes);
	if (mapped)
		copy_bytes((void *)destination, (const void *)source, bytes);
	fake_used_memory();
	return mapped ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static const uint8_t *box_source(const CUDA_MEMCPY3D *c, size_t y, size_t z)
{
	uint64_t base =
	    c->srcMemoryType == CU_MEMORYTYPE_HOST ? (uint64_t)c->srcHost : c->srcDevice;

	return (const uint8_t *)base + ((c->srcZ + z) * c->srcHeight + c->srcY + y) * c->srcPitch +
	       c->srcXInBytes;
}

static uint8_t *box_destination(const CUDA_MEMCPY3D *c, size_t y, size_t z)
{
	uint64_t base =
	    c->dstMemoryType == CU_MEMORYTYPE_HOST ? (uint64_t)c->dstHost : c->dstDevice;

	return (uint8_t *)base + ((c->dstZ + z) * c->dstHeight + c->dstY + y) * c->dstPitch +
	       c->dstXInBytes;
}

static CUresult copy_row(const CUDA_MEMCPY3D *c, size_t y, size_t z)
{
	const uint8_t *source = box_source(c, y, z);
	uint8_t *destination = box_destination(c, y, z);

	if ((c->srcMemoryType == CU_MEMORYTYPE_DEVICE &&
		!fake_is_mapped((uint64_t)source, c->WidthInBytes)) ||
	    (c->dstMemoryType == CU_MEMORYTYPE_DEVICE &&
		!fake_is_mapped((uint64_t)destination, c->WidthInBytes)))
		return CUDA_ERROR_INVALID_VALUE;
	copy_bytes(destination, source, c->WidthInBytes);
	return CUDA_SUCCESS;
}

static CUresult copy_box(const CUDA_MEMCPY3D *c, CUstream stream)
{
	CUresult r = CUDA_SUCCESS;

	FALLIBLE();
	if (c->Height * c->Depth > 1 && (c->srcPitch < c->srcXInBytes + c->WidthInBytes ||
					    c->dstPitch < c->dstXInBytes + c->WidthInBytes))
		return CUDA_ERROR_INVALID_VALUE;
	fake_use_memory();
	for (size_t z = 0; z < c->Depth && r == CUDA_SUCCESS; z++)
		for (size_t y = 0; y < c->Height && r == CUDA_SUCCESS; y++)
			r = copy_row(c, y, z);
	fake_used_memory();
	return r;
}

/* --- functions: one module, one function with parameters of 8 bytes at 0 and 4 bytes at 8 --- */

static CUresult module_load(
    CUmodule *module, const void *image, unsigned n_options, CUjit_option *options, void **values)
{
	FALLIBLE();
	for (unsigned i = 0; i < n_options; i++)
		if (options[i] == CU_JIT_ERROR_LOG_BUFFER && values[i])
			strcpy(values[i], "fake: line 1");
	if (*(const char *)image == '.' && strstr(image, "broken"))
		return CUDA_ERROR_INVALID_PTX;
	*module = (CUmodule)0xd000;
	return CUDA_SUCCESS;
}

static CUresult module_unload(CUmodule module)
{
	return CUDA_SUCCESS;
}

static CUresult module_count(unsigned *n, CUmodule module)
{
	*n = 1;
	return CUDA_SUCCESS;
}

static CUresult module_enumerate(CUfunction *functions, unsigned n, CUmodule module)
{
	functions[0] = FAKE_FUNCTION;
	return CUDA_SUCCESS;
}

static CUresult module_function(CUfunction *function, CUmodule module, const char *name)
{
	*function = FAKE_FUNCTION;
	return CUDA_SUCCESS;
}

static CUresult module_texture(CUtexref *texture, CUmodule module, const char *name)
{
	*texture = (CUtexref)0xe000;
	return CUDA_SUCCESS;
}

static CUresult texture_flags(unsigned *flags, CUtexref texture)
{
	*flags = texture == (CUtexref)0xe000 ? 3 : 0;
	return CUDA_SUCCESS;
}

static CUresult parameter(CUfunction function, size_t index, size_t *offset, size_t *bytes)
{
	*offset = index * 8;
	if (bytes)
		*bytes = index ? 4 : 8;
	return index < 2 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult function_attribute(int *value, CUfunction_attribute attribute, CUfunction function)
{
	*value = attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024 : 48;
	return CUDA_SUCCESS;
}

static CUresult launch(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
    unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared, CUstream stream,
    void **values, void **extra)
{
	struct fake_launch *last = &fake.last_launch;

	FALLIBLE();
	if (fake.on_launch)
		return fake.on_launch(stream, grid_x);
	*last = (struct fake_launch){.function = function, .stream = stream, .grid_x = grid_x};
	atomic_fetch_add(&fake.launches, 1);
	if (values) /* into a capture: one by one */
		return CUDA_SUCCESS;
	CHECK(extra[0] == CU_LAUNCH_PARAM_BUFFER_POINTER);
	CHECK(extra[2] == CU_LAUNCH_PARAM_BUFFER_SIZE && extra[4] == CU_LAUNCH_PARAM_END);
	last->bytes = *(size_t *)extra[3];
	if (last->bytes)
		memcpy(last->parameters, extra[1], MIN(last->bytes, sizeof(last->parameters)));
	return CUDA_SUCCESS;
}

static CUresult launch_ex(
    const CUlaunchConfig *config, CUfunction function, void **values, void **extra)
{
	CUresult r = launch(function, config->gridDimX, config->gridDimY, config->gridDimZ,
	    config->blockDimX, config->blockDimY, config->blockDimZ, config->sharedMemBytes,
	    config->hStream, values, extra);

	if (r != CUDA_SUCCESS)
		return r;
	fake.last_launch.n_attributes = config->numAttrs;
	for (unsigned i = 0; i < MIN(config->numAttrs, 4); i++) {
		CUlaunchAttribute *attribute = &config->attrs[i];
		fake.last_launch.attributes[i] = *attribute;
		if (attribute->id == CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE) {
			CHECK(!attribute->value.deviceUpdatableKernelNode.devNode);
			attribute->value.deviceUpdatableKernelNode.devNode = FAKE_DEVICE_NODE;
		}
	}
	return CUDA_SUCCESS;
}

/* A linker that takes as long as the test holds the GPU. */
static CUresult link_create(unsigned n, CUjit_option *options, void **values, CUlinkState *state)
{
	static _Atomic unsigned created;

	FALLIBLE();
	*state = (CUlinkState)(0x9000 + 16ull * atomic_fetch_add(&created, 1));
	return CUDA_SUCCESS;
}

static CUresult link_add(CUlinkState state, CUjitInputType type, void *data, size_t bytes,
    const char *name, unsigned n, CUjit_option *options, void **values)
{
	fake_wait();
	return CUDA_SUCCESS;
}

static CUresult link_destroy(CUlinkState state)
{
	return CUDA_SUCCESS;
}

void fake_set_work_functions(struct backend *b)
{
	b->cuMemcpyHtoDAsync_v2 = copy_in;
	b->cuMemcpyDtoHAsync_v2 = copy_out;
	b->cuMemcpyDtoDAsync_v2 = copy_device;
	b->cuMemcpyHtoD_v2 = copy_in_now;
	b->cuMemcpyDtoH_v2 = copy_out_now;
	b->cuMemcpy3DAsync_v2 = copy_box;
	b->cuModuleLoadDataEx = module_load;
	b->cuModuleUnload = module_unload;
	b->cuLinkCreate_v2 = link_create;
	b->cuLinkAddData_v2 = link_add;
	b->cuLinkDestroy = link_destroy;
	b->cuModuleGetFunctionCount = module_count;
	b->cuModuleEnumerateFunctions = module_enumerate;
	b->cuModuleGetFunction = module_function;
	b->cuModuleGetTexRef = module_texture;
	b->cuTexRefGetFlags = texture_flags;
	b->cuFuncGetParamInfo = parameter;
	b->cuFuncGetAttribute = function_attribute;
	b->cuLaunchKernel = launch;
	b->cuLaunchKernelEx = launch_ex;
}
