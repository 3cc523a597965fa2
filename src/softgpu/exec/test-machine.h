/*
 * For tests that run kernels: device memory without the driver, modules from strings, launches in
 * one line. Include once per test program. A test is skipped when there is no compiler.
 */
#pragma once

#include <errno.h>
#include <sys/mman.h>

#include "base/test.h"
#include "softgpu/exec/exec.h"
#include "softgpu/mem/arena.h"

/* ThreadSanitizer keeps its own data where kernels have their stacks. */
#ifdef __SANITIZE_THREAD__
#define MACHINE_CANNOT_RUN 1
#else
#define MACHINE_CANNOT_RUN 0
#endif

#define PTX_HEAD ".version 8.0\n.target sm_80\n.address_size 64\n"

static uint64_t machine_next = SG_ARENA_BASE;
static char machine_log[4096];

/* So that modules a test leaves behind are no leaks. */
static struct sg_module *loaded[64];
static size_t n_loaded;

/* Never given back: each test is a process of its own. Unmapped pages lie between allocations. */
static int machine_alloc(void *context, size_t size, size_t align, uint64_t *address)
{
	uint64_t rounded = align_up(MAX(size, (size_t)1), 1u << 16);

	*address = __atomic_fetch_add(&machine_next, rounded + (1u << 16), __ATOMIC_RELAXED);
	return mmap((void *)*address, rounded, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED
		   ? -ENOMEM
		   : 0;
}

static void machine_free(void *context, uint64_t address, size_t size)
{
	munmap((void *)address, size);
}

static const struct sg_memory_ops machine_memory = {machine_alloc, machine_free, NULL};

static inline void *device_alloc(size_t size)
{
	uint64_t address;

	CHECK_EQ(machine_alloc(NULL, size, 16, &address), 0);
	return (void *)address;
}

/* The result of loading; the error's text is in machine_log. */
static inline int module_try(const char *text, struct sg_module **out)
{
	struct sg_ptx_input input = {.text = text, .size = strlen(text)};
	struct sg_log log = {.text = machine_log, .capacity = sizeof(machine_log)};

	int r;

	machine_log[0] = 0;
	r = sg_module_load(&input, 1, &machine_memory, NULL, &log, out);
	if (!r && n_loaded < ARRAY_SIZE(loaded))
		loaded[n_loaded++] = *out;
	return r;
}

static inline struct sg_module *module_load(const char *text)
{
	struct sg_module *module = NULL;

	if (module_try(text, &module))
		test_fail(__FILE__, __LINE__, "module: %s", machine_log);
	return module;
}

static inline struct sg_kernel *kernel_get(struct sg_module *module, const char *name)
{
	struct sg_kernel *kernel = sg_module_kernel(module, name);
	struct sg_log log = {.text = machine_log, .capacity = sizeof(machine_log)};
	int r;

	if (MACHINE_CANNOT_RUN)
		SKIP("kernels do not run under ThreadSanitizer");
	if (!kernel)
		test_fail(__FILE__, __LINE__, "no kernel %s", name);
	r = sg_kernel_prepare(kernel, &log);
	if (r == SG_MODULE_NO_COMPILER)
		SKIP("softgpu-llvm.so is missing");
	if (r)
		test_fail(__FILE__, __LINE__, "%s", machine_log);
	return kernel;
}

/* One-dimensional launch with 64-bit parameters; the fault kind. */
static inline int launch(struct sg_kernel *kernel, uint32_t blocks, uint32_t threads,
    const uint64_t *params, size_t n_params, struct sg_fault *fault)
{
	struct sg_launch l = {
	    .grid = {blocks, 1, 1},
	    .block = {threads, 1, 1},
	    .params = params,
	    .params_size = n_params * sizeof(*params),
	};

	return sg_launch(kernel, &l, fault);
}

static inline void launch_fine(struct sg_kernel *kernel, uint32_t blocks, uint32_t threads,
    const uint64_t *params, size_t n_params)
{
	struct sg_fault fault;

	if (launch(kernel, blocks, threads, params, n_params, &fault))
		test_fail(__FILE__, __LINE__, "%s", fault.message);
}
