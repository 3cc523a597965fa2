/*
 * Clusters of threads in step against threads one at a time: addresses of other blocks' memory of
 * every shape, in blocks of every shape, must lead to the same places.
 */
#include "softgpu/exec/ptxas.h"
#include "softgpu/exec/test-machine.h"

#define HEAD	     ".version 8.6\n.target sm_90\n.address_size 64\n"
#define MOST_THREADS 256
#define BLOCKS	     8 /* two clusters of four */
#define WORDS	     16
#define OUT_BYTES    (BLOCKS * MOST_THREADS * WORDS * 4)

/* clang-format off */
/* %r0: the thread; %r1: its block's rank; %r2: where its words are, 16 bytes of "own"; %d0: its
 * answers. Threads that are not in the first half of %p0's rows have an address that is none where
 * it says so. */
static const char kernel_text[] = HEAD
    ".visible .entry k(.param .u64 out) {\n"
    ".reg .b64 %d<12>; .reg .b32 %r<60>; .reg .b16 %h<4>; .reg .pred %p<6>;\n"
    ".shared .align 16 .b8 own[4096]; .shared .align 16 .b8 given[4096]; .shared .b32 sum;\n"
    "mov.u32 %r3, %tid.y; mov.u32 %r4, %ntid.x; mov.u32 %r5, %tid.x; mad.lo.u32 %r0, %r3, %r4, %r5;\n"
    "mov.u32 %r3, %tid.z; mov.u32 %r5, %ntid.y; mul.lo.u32 %r4, %r4, %r5; mad.lo.u32 %r0, %r3, %r4, %r0;\n"
    "mov.u32 %r6, %ctaid.x; mad.lo.u32 %r7, %r6, 256, %r0; mul.wide.u32 %d1, %r7, 64; ld.param.u64 %d0, [out]; add.u64 %d0, %d0, %d1;\n"
    "mov.u32 %r1, %cluster_ctarank; mov.u32 %r8, own; mad.lo.u32 %r2, %r0, 16, %r8; mov.u32 %r9, given;\n"
    "mad.lo.u32 %r10, %r6, 4096, %r0; mul.lo.u32 %r11, %r10, 3; mul.lo.u32 %r12, %r10, 5; not.b32 %r13, %r10;\n"
    "st.shared.v4.u32 [%r2], {%r10, %r11, %r12, %r13}; st.shared.u32 [sum], 0;\n"
    "barrier.cluster.arrive.release.aligned; barrier.cluster.wait.acquire.aligned;\n"
    /* neighbours in the next block */
    "add.u32 %r14, %r1, 1; and.b32 %r14, %r14, 3; mapa.shared::cluster.u32 %r15, %r2, %r14;\n"
    "ld.shared::cluster.u32 %r30, [%r15]; ld.shared::cluster.v2.u32 {%r31, %r32}, [%r15+8]; ld.shared::cluster.u8 %h1, [%r15+1]; cvt.u32.u16 %r33, %h1;\n"
    /* the same generic, one thread on, where the last one keeps out */
    "cvt.u64.u32 %d2, %r2; cvta.shared.u64 %d3, %d2; mapa.u64 %d4, %d3, %r14; sub.u64 %d5, %d4, 16;\n"
    "setp.gt.u32 %p1, %r0, 0; mov.u32 %r34, 0; @%p1 ld.u32 %r34, [%d5];\n"
    "sub.u64 %d3, %d3, 16; mapa.u64 %d4, %d3, %r14; mov.u32 %r35, 0; @%p1 ld.u32 %r35, [%d4+4];\n"
    "cvta.to.shared::cluster.u64 %d6, %d4; cvt.u32.u64 %r16, %d6; mov.u32 %r36, 0; @%p1 ld.shared::cluster.u32 %r36, [%r16+8];\n"
    /* each thread from a block of its own, from places in disorder */
    "and.b32 %r17, %r0, 3; mapa.shared::cluster.u32 %r18, %r2, %r17; ld.shared::cluster.u32 %r37, [%r18+12];\n"
    "xor.b32 %r19, %r0, 5; setp.lt.u32 %p2, %r19, %r4; mad.lo.u32 %r20, %r19, 16, %r8; mapa.shared::cluster.u32 %r20, %r20, %r17;\n"
    "mov.b64 %d7, 0; @%p2 ld.shared::cluster.u64 %d7, [%r20]; cvt.u32.u64 %r38, %d7; shr.u64 %d7, %d7, 32; cvt.u32.u64 %r39, %d7;\n"
    "getctarank.shared::cluster.u32 %r21, %r20; getctarank.u64 %r22, %d4; mad.lo.u32 %r40, %r21, 16, %r22;\n"
    "isspacep.shared::cluster %p3, %d5; selp.u32 %r23, 1, 0, %p3; @!%p1 mov.u32 %r23, 7; mad.lo.u32 %r40, %r23, 256, %r40;\n"
    /* what others write here, each in its place; odd threads by a generic address */
    "mad.lo.u32 %r24, %r0, 16, %r9; mapa.shared::cluster.u32 %r25, %r24, %r14; and.b32 %r26, %r0, 1; setp.eq.u32 %p4, %r26, 1;\n"
    "@!%p4 st.shared::cluster.v2.u32 [%r25], {%r11, %r12}; cvt.u64.u32 %d8, %r25; cvta.shared::cluster.u64 %d8, %d8;\n"
    "@%p4 st.v2.u32 [%d8], {%r12, %r11}; cvt.u16.u32 %h2, %r0; st.shared::cluster.u16 [%r25+8], %h2;\n"
    "mapa.shared::cluster.u32 %r27, %r24, %r17; mov.u32 %r28, sum; mapa.shared::cluster.u32 %r28, %r28, 2;\n"
    "red.shared::cluster.add.u32 [%r28], %r10; atom.shared::cluster.add.u32 %r41, [%r25+12], %r10;\n"
    "bra.uni MEET; MEET: barrier.cluster.arrive; barrier.cluster.wait;\n"
    "ld.shared.v2.u32 {%r42, %r43}, [%r24]; ld.shared.v2.u32 {%r44, %r29}, [%r24+8]; add.u32 %r44, %r44, %r29;\n"
    "mov.u32 %r28, sum; mapa.shared::cluster.u32 %r28, %r28, 2; ld.shared::cluster.u32 %r45, [%r28];\n"
    "barrier.cluster.arrive; st.global.v4.u32 [%d0], {%r30, %r31, %r32, %r33}; st.global.v4.u32 [%d0+16], {%r34, %r35, %r36, %r37};\n"
    "barrier.cluster.wait; st.global.v4.u32 [%d0+32], {%r38, %r39, %r40, %r41}; st.global.v4.u32 [%d0+48], {%r42, %r43, %r44, %r45};\n"
    "ret; }\n";

/* Half of the threads, and half of a warp, leave before the last barrier. */
static const char leaving_text[] = HEAD
    ".visible .entry k(.param .u64 out) {\n"
    ".reg .b64 %d<4>; .reg .b32 %r<12>; .reg .pred %p<4>; .shared .b32 box;\n"
    "mov.u32 %r1, %tid.x; mov.u32 %r2, box; mov.u32 %r3, %cluster_ctarank; xor.b32 %r4, %r3, 1; mapa.shared::cluster.u32 %r5, %r2, %r4;\n"
    "setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [box], 5; barrier.cluster.arrive; barrier.cluster.wait;\n"
    "setp.ge.u32 %p2, %r1, 48; @%p2 ret;\n"
    "red.shared::cluster.add.u32 [%r5], 1; barrier.cluster.arrive; barrier.cluster.wait;\n"
    "ld.shared.u32 %r6, [box]; ld.param.u64 %d1, [out]; mov.u32 %r7, %ctaid.x; mad.lo.u32 %r7, %r7, 48, %r1; mul.wide.u32 %d2, %r7, 4;\n"
    "add.u64 %d1, %d1, %d2; st.global.u32 [%d1], %r6; ret; }\n";

static const char outside_text[] = HEAD
    ".visible .entry k(.param .u64 at) {\n"
    ".reg .b64 %d<4>; .reg .b32 %r<12>; .reg .pred %p<4>; .shared .align 16 .b8 own[1024];\n"
    "ld.param.u32 %r1, [at]; mov.u32 %r2, %tid.x; mov.u32 %r3, own; mad.lo.u32 %r3, %r2, %r1, %r3; mapa.shared::cluster.u32 %r3, %r3, 1;\n"
    "ld.shared::cluster.u32 %r4, [%r3]; barrier.cluster.arrive; barrier.cluster.wait; st.shared.u32 [own], %r4; ret; }\n";
/* clang-format on */

static const uint32_t widths[] = {8, 16, 32, 64, 256};

static int run(struct sg_kernel *kernel, const uint32_t block[3], uint32_t cluster, uint64_t param,
    uint32_t lanes, struct sg_fault *fault)
{
	struct sg_launch l = {.grid = {BLOCKS, 1, 1},
	    .block = {block[0], block[1], block[2]},
	    .cluster = {cluster, 1, 1},
	    .params = &param,
	    .params_size = sizeof(param),
	    .lanes = lanes};

	return sg_launch(kernel, &l, fault);
}

static void run_fine(struct sg_kernel *kernel, const uint32_t block[3], uint32_t cluster,
    uint32_t *out, uint32_t lanes)
{
	struct sg_fault fault;

	memset(out, 0, OUT_BYTES);
	if (run(kernel, block, cluster, (uint64_t)out, lanes, &fault))
		test_fail(__FILE__, __LINE__, "%u lanes: %s", lanes, fault.message);
}

TEST(addresses_of_every_shape)
{
	static const uint32_t blocks[][3] = {{64, 1, 1}, {256, 1, 1}, {16, 16, 1}, {8, 8, 4},
	    {77, 1, 1}, {5, 7, 3}, {32, 3, 1}, {1, 1, 1}};
	struct sg_kernel *kernel;
	uint32_t *out = device_alloc(OUT_BYTES), *alone = device_alloc(OUT_BYTES);

	setenv("SOFTGPU_LANES", "256", 1); /* even where so many do not pay */
	ptxas_check(kernel_text, "sm_90");
	kernel = kernel_get(module_load(kernel_text), "k");
	for (size_t b = 0; b < ARRAY_SIZE(blocks); b++) {
		run_fine(kernel, blocks[b], 4, alone, 1);
		for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
			run_fine(kernel, blocks[b], 4, out, widths[i]);
			for (uint32_t w = 0; w < OUT_BYTES / 4; w++)
				if (out[w] != alone[w])
					test_fail(__FILE__, __LINE__,
					    "%u lanes, block %u: word %u of thread %u is 0x%x, "
					    "alone 0x%x",
					    widths[i], (unsigned)b, w % WORDS, w / WORDS, out[w],
					    alone[w]);
		}
	}
	/* thread 3 of block 1, in a block of one row: block 2's first word of the same thread */
	run_fine(kernel, blocks[0], 4, out, 32);
	CHECK_EQ(out[(1 * MOST_THREADS + 3) * WORDS], 2 * 4096 + 3);
	CHECK_EQ(out[(1 * MOST_THREADS + 3) * WORDS + 7], ~(3 * 4096u + 3));
}

TEST(threads_that_leave_are_not_waited_for)
{
	static const uint32_t block[3] = {96, 1, 1};
	struct sg_kernel *kernel;
	uint32_t *out = device_alloc(OUT_BYTES);

	setenv("SOFTGPU_LANES", "256", 1);
	kernel = kernel_get(module_load(leaving_text), "k");
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		run_fine(kernel, block, 2, out, widths[i]);
		for (uint32_t k = 0; k < BLOCKS * 48; k++)
			CHECK_EQ(out[k], 5 + 48);
	}
}

TEST(what_is_outside_ends_the_grid)
{
	static const uint32_t block[3] = {64, 1, 1};
	struct sg_kernel *kernel;
	struct sg_fault fault, alone;

	setenv("SOFTGPU_LANES", "256", 1);
	kernel = kernel_get(module_load(outside_text), "k");
	/* 4 bytes apart all are inside; 20: the last ones are not; 2: they are misaligned */
	for (uint64_t apart = 2; apart <= 20; apart += 2) {
		int want = run(kernel, block, 4, apart, 1, &alone);

		CHECK_EQ(want, apart % 4     ? SG_FAULT_MISALIGNED
			       : apart <= 16 ? 0
					     : SG_FAULT_ILLEGAL_ADDRESS);
		for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
			CHECK_EQ(run(kernel, block, 4, apart, widths[i], &fault), want);
			if (want)
				CHECK_EQ(fault.address, alone.address);
		}
	}
	/* no block 1 */
	CHECK_EQ(run(kernel, block, 1, 4, 1, &fault), SG_FAULT_ILLEGAL_ADDRESS);
	CHECK_EQ(run(kernel, block, 1, 4, 32, &fault), SG_FAULT_ILLEGAL_ADDRESS);
}
