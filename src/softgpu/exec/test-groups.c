/* Cooperative groups by the device runtime's functions, as compilers other than nvcc use them. */
#include "softgpu/exec/test-machine.h"

/* Each thread adds 1 to its block's word, the grid meets, it reads the neighbouring block's, the
 * grid meets again; %r5 is the round. */
static const char text[] = PTX_HEAD
    ".extern .func (.param .b64 r) cudaCGGetIntrinsicHandle(.param .b32 s);\n"
    ".extern .func (.param .b32 r) cudaCGSynchronize(.param .b64 h, .param .b32 f);\n"
    ".extern .func (.param .b32 r) cudaCGSynchronizeGrid(.param .b64 h, .param .b32 f);\n"
    ".extern .func (.param .b32 r) cudaCGGetSize(.param .b64 t, .param .b64 g, .param .b64 h);\n"
    ".extern .func (.param .b32 r) cudaCGGetRank(.param .b64 t, .param .b64 g, .param .b64 h);\n"
    ".visible .entry rounds(.param .u64 words, .param .u64 wrong) {\n"
    ".reg .b64 %d<8>; .reg .b32 %r<12>; .reg .pred %p;\n"
    "ld.param.u64 %d1, [words]; ld.param.u64 %d2, [wrong]; mov.u32 %r1, %ctaid.x;\n"
    "mov.u32 %r2, %nctaid.x; mov.u32 %r3, %ntid.x; add.u32 %r4, %r1, 1;\n"
    "rem.u32 %r4, %r4, %r2; mul.wide.u32 %d3, %r1, 4; add.u64 %d3, %d3, %d1;\n"
    "mul.wide.u32 %d4, %r4, 4; add.u64 %d4, %d4, %d1; mov.u32 %r5, 1;\n"
    "{ .param .b32 s; .param .b64 r; mov.u32 %r6, 1; st.param.b32 [s], %r6;\n"
    "  call (r), cudaCGGetIntrinsicHandle, (s); ld.param.b64 %d5, [r]; }\n"
    "AGAIN: red.global.add.u32 [%d3], 1;\n"
    "{ .param .b64 h; .param .b32 f; .param .b32 r; mov.u32 %r6, 0; st.param.b64 [h], %d5;\n"
    "  st.param.b32 [f], %r6; call (r), cudaCGSynchronize, (h, f); ld.param.b32 %r7, [r]; }\n"
    "ld.global.u32 %r8, [%d4]; mul.lo.u32 %r9, %r5, %r3; setp.ne.u32 %p, %r8, %r9;\n"
    "@%p red.global.add.u32 [%d2], 1; setp.ne.u32 %p, %r7, 0;\n"
    "@%p st.global.u32 [%d2+4], %r7; @%p bra END;\n"
    "{ .param .b64 h; .param .b32 f; .param .b32 r; st.param.b64 [h], %d5;\n"
    "  st.param.b32 [f], %r6; call (r), cudaCGSynchronizeGrid, (h, f); }\n"
    "add.u32 %r5, %r5, 1; setp.le.u32 %p, %r5, 20; @%p bra AGAIN;\n"
    "END: ret; }\n"
    ".visible .entry places(.param .u64 words, .param .u64 sizes) {\n"
    ".reg .b64 %d<8>; .reg .b32 %r<12>; .reg .pred %p;\n"
    "ld.param.u64 %d1, [words]; ld.param.u64 %d2, [sizes]; mov.u32 %r1, %ctaid.x;\n"
    "mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x; mad.lo.u32 %r1, %r1, %r2, %r3;\n"
    "mul.wide.u32 %d3, %r1, 4; add.u64 %d3, %d3, %d1;\n"
    "{ .param .b32 s; .param .b64 r; mov.u32 %r6, 1; st.param.b32 [s], %r6;\n"
    "  call (r), cudaCGGetIntrinsicHandle, (s); ld.param.b64 %d5, [r]; }\n"
    "{ .param .b64 t; .param .b64 g; .param .b64 h; .param .b32 r; mov.u64 %d6, 0;\n"
    "  st.param.b64 [t], %d3; st.param.b64 [g], %d6; st.param.b64 [h], %d5;\n"
    "  call (r), cudaCGGetRank, (t, g, h); }\n"
    "{ .param .b64 t; .param .b64 g; .param .b64 h; .param .b32 r; add.u64 %d6, %d2, 4;\n"
    "  st.param.b64 [t], %d2; st.param.b64 [g], %d6; st.param.b64 [h], %d5;\n"
    "  call (r), cudaCGGetSize, (t, g, h); ld.param.b32 %r7, [r];\n"
    "  st.global.u32 [%d2+8], %r7; }\n"
    "ret; }\n";

static void run(const char *name, uint32_t blocks, uint32_t threads, bool is_cooperative,
    const uint64_t *params)
{
	struct sg_kernel *kernel = kernel_get(module_load(text), name);
	struct sg_launch launch = {.grid = {blocks, 1, 1},
	    .block = {threads, 1, 1},
	    .params = params,
	    .params_size = 16,
	    .cooperative = is_cooperative};
	struct sg_fault fault;

	if (sg_launch(kernel, &launch, &fault))
		test_fail(__FILE__, __LINE__, "%s", fault.message);
}

static void meet(uint32_t blocks, uint32_t threads)
{
	uint32_t *words = device_alloc(blocks * sizeof(*words)), *wrong = device_alloc(8);
	uint64_t params[] = {(uint64_t)words, (uint64_t)wrong};

	run("rounds", blocks, threads, true, params);
	CHECK_EQ(wrong[0], 0);
	CHECK_EQ(wrong[1], 0);
	for (uint32_t i = 0; i < blocks; i++)
		CHECK_EQ(words[i], 20 * threads);
}

TEST(a_grid_meets)
{
	meet(1, 1);
	meet(7, 1);
	meet(4, 96);
}

/* More than one host thread runs at once. */
TEST(a_grid_on_many_host_threads_meets)
{
	setenv("SOFTGPU_THREADS", "4", 1);
	meet(24, 128);
}

TEST(a_grid_that_is_not_cooperative_does_not_meet)
{
	uint32_t *words = device_alloc(16), *wrong = device_alloc(8);
	uint64_t params[] = {(uint64_t)words, (uint64_t)wrong};

	run("rounds", 1, 32, false, params);
	CHECK_EQ(words[0], 32);
	CHECK_EQ(wrong[1], 999);
}

TEST(sizes_and_ranks)
{
	uint32_t *words = device_alloc(3 * 40 * sizeof(*words)), *sizes = device_alloc(12);
	uint64_t params[] = {(uint64_t)words, (uint64_t)sizes};

	run("places", 3, 40, true, params);
	for (uint32_t i = 0; i < 3 * 40; i++)
		CHECK_EQ(words[i], i);
	CHECK_EQ(sizes[0], 3 * 40);
	CHECK_EQ(sizes[1], 1);
	CHECK_EQ(sizes[2], 0);
	run("places", 3, 40, false, params);
	CHECK_EQ(sizes[0], 0);
	CHECK_EQ(sizes[2], 999);
}
