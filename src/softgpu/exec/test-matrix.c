/* Matrix instructions: the tests of matrix-tests.h, and what ends a grid. */
#include "softgpu/exec/test-machine.h"

#define MATRIX_TEST(name) TEST_LIMIT(name, 120)
#include "softgpu/exec/matrix-tests.h"

static void *matrix_memory(size_t size)
{
	return device_alloc(size);
}

static void matrix_run(const char *ptx, void *memory, size_t size, size_t out)
{
	struct sg_module *module = module_load(ptx);
	uint64_t params[] = {(uint64_t)memory, (uint64_t)memory + out};

	launch_fine(kernel_get(module, "k"), 1, 32, params, 2);
	sg_module_unload(module);
}

TEST(matrices_outside_memory_end_the_grid)
{
	struct sg_module *module = module_load(HEAD
	    ".visible .entry k(.param .u64 m) { .reg .b32 %r<9>; .reg .b64 %m; .shared .b8 s[64];\n"
	    "ld.param.u64 %m, [m]; st.shared.u32 [s], 1;\n"
	    "wmma.load.c.sync.aligned.row.m16n16k16.shared.f16 {%r0, %r1, %r2, %r3}, [s], 16;\n"
	    "st.global.u32 [%m], %r0; ret; }\n"
	    ".visible .entry q(.param .u64 m) { .reg .b32 %r<9>; .reg .b64 %m;\n"
	    "ld.param.u64 %m, [m]; cvt.u32.u64 %r1, %m;\n"
	    "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r0}, [%r1];\n"
	    "st.global.u32 [%m], %r0; ret; }\n");
	uint64_t params[] = {(uint64_t)device_alloc(64)};
	struct sg_fault fault;

	CHECK_EQ(
	    launch(kernel_get(module, "k"), 1, 32, params, 1, &fault), SG_FAULT_ILLEGAL_ADDRESS);
	CHECK_EQ(
	    launch(kernel_get(module, "q"), 1, 32, params, 1, &fault), SG_FAULT_ILLEGAL_ADDRESS);
}

/* A shape there is, but not for this type: its elements would not fit the machine's arrays. */
TEST(a_shape_too_large_for_the_type)
{
	struct sg_module *module = module_load(HEAD
	    ".visible .entry k(.param .u64 m) { .reg .b32 %r<20>;\n"
	    "mma.sync.aligned.m16n8k128.row.col.s32.s4.s4.s32 {%r0, %r1, %r2, %r3}, {%r4, %r5, "
	    "%r6, %r7, %r8, %r9, %r10, %r11}, {%r12, %r13, %r14, %r15}, {%r0, %r1, %r2, %r3}; "
	    "ret; }\n");
	struct sg_log log = {.text = machine_log, .capacity = sizeof(machine_log)};

	CHECK_EQ(sg_kernel_prepare(sg_module_kernel(module, "k"), &log), SG_MODULE_UNSUPPORTED);
}

/* More of them than a thread's stack has room for, if each kept its operands there. */
TEST(a_kernel_of_many_matrix_instructions)
{
	enum { N = 600, THREADS = 64 };
	static char text[N * 128 + 4096];
	char *end = text;
	uint32_t *sums = device_alloc(THREADS * sizeof(*sums));
	uint64_t params[] = {(uint64_t)sums};

	end = stpcpy(end, HEAD
	    ".visible .entry k(.param .u64 m) { .reg .b32 %r<9>; .reg .b64 %m, %d;\n"
	    "ld.param.u64 %m, [m]; mov.u32 %r0, %tid.x; mul.wide.u32 %d, %r0, 4; add.u64 %m, %m, "
	    "%d; mov.u32 %r1, 0x01010101; mov.u32 %r2, 0; mov.u32 %r3, 0;\n");
	for (unsigned i = 0; i < N; i++)
		end = stpcpy(end,
		    "mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%r2, %r3}, {%r1}, {%r1}, "
		    "{%r2, %r3}; bar.sync 0;\n");
	stpcpy(end, "st.global.u32 [%m], %r3; ret; }\n");
	launch_fine(kernel_get(module_load(text), "k"), 1, THREADS, params, 1);
	for (unsigned i = 0; i < THREADS; i++)
		CHECK_EQ(sums[i], 16 * N);
}
