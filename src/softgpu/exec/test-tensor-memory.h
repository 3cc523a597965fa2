/*
 * For tests of tensor memory: kernels that fill a block's shared and tensor memory from images, let
 * one thread do something, and write back what tensor memory holds then.
 */
#pragma once

#include "softgpu/exec/ptxas.h"
#include "softgpu/exec/test-machine.h"

#define LANES	128u
#define COLUMNS 512u
#define SHARED	(64u << 10)

/* What one block begins with, and ends with. */
struct image {
	uint8_t shared[SHARED];
	uint32_t cells[LANES][COLUMNS];
};

/* All of a test's words are small numbers in no pattern that a wrong place could repeat. */
static uint32_t random_word(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state = state * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(state >> 33);
}

#define PTX_COPY_IN                                                                                \
	"  mov.u32 %me, %tid.x;\n  mov.u32 %base, smem;\n"                                         \
	"  mov.u32 %rank, %cluster_ctarank;\n  mul.wide.u32 %d1, %rank, 327680;\n"                 \
	"  ld.param.u64 %in, [in];\n  add.u64 %in, %in, %d1;\n"                                    \
	"  ld.param.u64 %out, [out];\n  add.u64 %out, %out, %d1;\n"                                \
	"  shl.b32 %c, %me, 4;\n"                                                                  \
	"C: cvt.u64.u32 %d1, %c;\n  add.u64 %d1, %d1, %in;\n"                                      \
	"  ld.global.v4.b32 {%r1, %r2, %r3, %r4}, [%d1];\n  add.u32 %r5, %base, %c;\n"             \
	"  st.shared.v4.b32 [%r5], {%r1, %r2, %r3, %r4};\n"                                        \
	"  add.u32 %c, %c, 2048;\n  setp.lt.u32 %more, %c, 65536;\n  @%more bra C;\n"              \
	"  setp.eq.u32 %first, %me, 0;\n  setp.lt.u32 %warp0, %me, 32;\n"                          \
	"  setp.eq.u32 %issues, %rank, 0;\n  and.pred %issues, %issues, %first;\n"                 \
	"  @%first mbarrier.init.shared.b64 [bar], 1;\n"

/* Where the images of a lane's words begin. */
#define PTX_LANE_ROW "  mul.wide.u32 %d1, %me, 2048;\n  add.u64 %d1, %d1, 65536;\n"

#define WORDS "{%r1, %r2, %r3, %r4, %r5, %r6, %r7, %r8}"

#define PTX_FILL                                                                                   \
	PTX_LANE_ROW "  add.u64 %d1, %d1, %in;\n  mov.u32 %i, 0;\n"                                \
		     "F: ld.global.v4.b32 {%r1, %r2, %r3, %r4}, [%d1];\n"                          \
		     "  ld.global.v4.b32 {%r5, %r6, %r7, %r8}, [%d1+16];\n"                        \
		     "  add.u32 %r9, %t, %i;\n"                                                    \
		     "  tcgen05.st.sync.aligned.32x32b.x8.b32 [%r9], " WORDS ";\n"                 \
		     "  add.u64 %d1, %d1, 32;\n  add.u32 %i, %i, 8;\n"                             \
		     "  setp.lt.u32 %p1, %i, 512;\n  @%p1 bra F;\n"                                \
		     "  tcgen05.wait::st.sync.aligned;\n"

#define PTX_WRITE_BACK                                                                             \
	PTX_LANE_ROW                                                                               \
	"  add.u64 %d1, %d1, %out;\n  mov.u32 %i, 0;\n"                                            \
	"W: add.u32 %r9, %t, %i;\n"                                                                \
	"  tcgen05.ld.sync.aligned.32x32b.x8.b32 " WORDS ", [%r9];\n"                              \
	"  tcgen05.wait::ld.sync.aligned;\n"                                                       \
	"  st.global.v4.b32 [%d1], {%r1, %r2, %r3, %r4};\n"                                        \
	"  st.global.v4.b32 [%d1+16], {%r5, %r6, %r7, %r8};\n"                                     \
	"  add.u64 %d1, %d1, 32;\n  add.u32 %i, %i, 8;\n"                                          \
	"  setp.lt.u32 %p1, %i, 512;\n  @%p1 bra W;\n"

/* A warp's own work, on all four warps, or one thread's; descriptors are at the shared base's place
 * when they get %dbase added. pair: two blocks, of which the first one's thread issues. */
static const char *write_tensor_kernel(
    const char *architecture, bool pair, const char *all, const char *issued)
{
	static char text[16384];
	const char *sync =
	    pair ? "barrier.cluster.arrive;\nbarrier.cluster.wait;\n" : "bar.sync 0;\n";
	int group = pair ? 2 : 1;

	snprintf(text, sizeof(text),
	    ".version 9.0\n.target %s\n.address_size 64\n"
	    ".visible .entry k(.param .u64 in, .param .u64 out)%s {\n"
	    "  .reg .b32 %%me, %%base, %%rank, %%i, %%c, %%t, %%r<160>;\n  .reg .f32 %%f<9>;\n"
	    "  .reg .b64 %%in, %%out, %%dbase, %%d<9>;\n  .reg .b16 %%h<3>;\n"
	    "  .reg .pred %%p1, %%more, %%first, %%warp0, %%issues, %%yes;\n"
	    "  .shared .align 1024 .b8 smem[65536];\n  .shared .align 8 .b64 bar;\n"
	    "  .shared .b32 at;\n"
	    "%s  cvt.u64.u32 %%dbase, %%base;\n  shr.u64 %%dbase, %%dbase, 4;\n"
	    "  setp.eq.u32 %%yes, 0, 0;\n%s"
	    "  @%%warp0 tcgen05.alloc.cta_group::%d.sync.aligned.shared::cta.b32 [at], 512;\n"
	    "  @%%warp0 tcgen05.relinquish_alloc_permit.cta_group::%d.sync.aligned;\n"
	    "%s  ld.shared.b32 %%t, [at];\n%s%s%s"
	    "  @!%%issues bra Y;\n%s"
	    "  mov.u32 %%r1, bar;\n  mov.b16 %%h1, %d;\n"
	    "  tcgen05.commit.cta_group::%d.mbarrier::arrive::one.shared::cluster"
	    ".multicast::cluster.b64 [%%r1], %%h1;\n"
	    "Y: mbarrier.try_wait.parity.shared.b64 %%p1, [bar], 0;\n  @!%%p1 bra Y;\n"
	    "  tcgen05.fence::after_thread_sync;\n%s%s"
	    "  @%%warp0 tcgen05.dealloc.cta_group::%d.sync.aligned.b32 %%t, 512;\n"
	    "  ret;\n}\n",
	    architecture, pair ? " .reqnctapercluster 2, 1, 1" : "", PTX_COPY_IN, sync, group,
	    group, sync, PTX_FILL, all, sync, issued, pair ? 3 : 1, group, PTX_WRITE_BACK, sync,
	    group);
	ptxas_check(text, architecture);
	return text;
}

static void run_once(struct sg_kernel *kernel, const uint64_t params[2], unsigned n, uint32_t lanes)
{
	struct sg_launch l = {.grid = {n, 1, 1},
	    .block = {128, 1, 1},
	    .params = params,
	    .params_size = 2 * sizeof(*params),
	    .lanes = lanes};
	struct sg_fault fault;

	if (sg_launch(kernel, &l, &fault))
		test_fail(__FILE__, __LINE__, "%u lanes: %s", lanes, fault.message);
}

/* The images after a kernel's run, the same of threads alone and in step; the same memory each
 * time. */
static const struct image *run_tensor_kernel(
    const char *text, const struct image *images, unsigned n)
{
	static struct image *in, *out, *alone;
	struct sg_module *module = module_load(text);
	struct sg_kernel *kernel;
	uint64_t params[2];

	if (!in) {
		in = device_alloc(2 * sizeof(*in));
		out = device_alloc(2 * sizeof(*out));
		alone = device_alloc(2 * sizeof(*out));
	}
	memcpy(in, images, n * sizeof(*images));
	params[0] = (uint64_t)in;
	params[1] = (uint64_t)alone;
	kernel = kernel_get(module, "k");
	run_once(kernel, params, n, 1);
	params[1] = (uint64_t)out;
	run_once(kernel, params, n, 32);
	for (unsigned i = 0; i < n; i++)
		CHECK_BYTES(out[i].cells, alone[i].cells, sizeof(out[i].cells));
	sg_module_unload(module);
	n_loaded = 0;
	return out;
}
