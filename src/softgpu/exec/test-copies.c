/* cp.async of threads in step against threads one at a time: whole, in part, and of nothing. */
#include "softgpu/exec/ptxas.h"
#include "softgpu/exec/test-machine.h"

#define MOST_THREADS 256
#define OUT_WORDS    (MOST_THREADS * 24)

/* clang-format off */
/* Of 16 bytes: to neighbours, to places in disorder by a length of their own, and where a predicate
 * forbids reading from nowhere; then of 8 and of 4. */
static const char kernel_text[] = PTX_HEAD
    ".visible .entry k(.param .u64 in, .param .u64 out) {\n"
    ".reg .b64 %d<12>; .reg .b32 %r<40>; .reg .pred %p<6>;\n"
    ".shared .align 16 .b8 a[4096]; .shared .align 16 .b8 b[4096]; .shared .align 16 .b8 c[4096]; .shared .align 16 .b8 d[4096]; .shared .align 8 .b64 bar;\n"
    "mov.u32 %r1, %tid.y; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x; mad.lo.u32 %r0, %r1, %r2, %r3;\n"
    "mov.u32 %r4, %ntid.y; mul.lo.u32 %r5, %r2, %r4; setp.eq.u32 %p0, %r0, 0; mov.u32 %r6, bar; @%p0 mbarrier.init.shared.b64 [%r6], %r5;\n"
    "bar.sync 0; ld.param.u64 %d0, [in]; mul.wide.u32 %d1, %r0, 16; add.u64 %d2, %d0, %d1;\n"
    "mov.u32 %r7, a; mov.u32 %r8, b; mov.u32 %r9, c; mov.u32 %r10, d; shl.b32 %r11, %r0, 4; xor.b32 %r12, %r11, 112;\n"
    "add.u32 %r13, %r7, %r11; cp.async.cg.shared.global [%r13], [%d2], 16;\n"
    "and.b32 %r14, %r12, 4095; add.u32 %r15, %r8, %r14; and.b32 %r16, %r0, 31; cp.async.ca.shared.global [%r15], [%d2+16], 16, %r16;\n"
    "and.b32 %r17, %r0, 3; setp.eq.u32 %p1, %r17, 1; mov.b64 %d3, 0; selp.b64 %d3, %d3, %d2, %p1;\n"
    "add.u32 %r18, %r9, %r11; cp.async.cg.shared.global [%r18], [%d3], 16, %p1; cp.async.commit_group;\n"
    "selp.u32 %r19, 0, 16, %p1; setp.ne.u32 %p2, %r17, 2; @%p2 cp.async.cg.shared.global [%r18], [%d3], 16, %r19;\n"
    "shl.b32 %r20, %r0, 3; add.u32 %r21, %r10, %r20; mul.wide.u32 %d4, %r0, 8; add.u64 %d5, %d0, %d4; cp.async.ca.shared.global [%r21], [%d5], 8;\n"
    "add.u32 %r22, %r21, 2048; @%p1 cp.async.ca.shared.global [%r22], [%d5+8], 8, 3;\n"
    "cp.async.wait_group 0; cp.async.mbarrier.arrive.noinc.shared.b64 [%r6];\n"
    "WAIT: mbarrier.test_wait.parity.shared.b64 %p3, [%r6], 0; @!%p3 bra WAIT;\n"
    "ld.param.u64 %d6, [out]; mad.wide.u32 %d7, %r0, 96, %d6;\n"
    "ld.shared.v4.u32 {%r24, %r25, %r26, %r27}, [%r13]; st.global.v4.u32 [%d7], {%r24, %r25, %r26, %r27};\n"
    "ld.shared.v4.u32 {%r24, %r25, %r26, %r27}, [%r15]; st.global.v4.u32 [%d7+16], {%r24, %r25, %r26, %r27};\n"
    "ld.shared.v4.u32 {%r24, %r25, %r26, %r27}, [%r18]; st.global.v4.u32 [%d7+32], {%r24, %r25, %r26, %r27};\n"
    "ld.shared.v2.u32 {%r24, %r25}, [%r21]; ld.shared.v2.u32 {%r26, %r27}, [%r22]; st.global.v4.u32 [%d7+48], {%r24, %r25, %r26, %r27};\n"
    "bar.sync 0; shl.b32 %r28, %r0, 2; add.u32 %r29, %r10, %r28; mul.wide.u32 %d8, %r0, 4; add.u64 %d9, %d0, %d8; cp.async.ca.shared.global [%r29], [%d9], 4;\n"
    "xor.b32 %r30, %r28, 20; add.u32 %r31, %r10, %r30; cp.async.ca.shared.global [%r31+1024], [%d9+4], 4; cp.async.wait_all; bar.sync 0;\n"
    "ld.shared.u32 %r24, [%r29]; ld.shared.u32 %r25, [%r29+1024]; st.global.v2.u32 [%d7+64], {%r24, %r25}; ret; }\n";

static const char astray_text[] = PTX_HEAD
    ".visible .entry k(.param .u64 from, .param .u64 to) {\n"
    ".reg .b64 %d<4>; .reg .b32 %r<6>; .shared .align 16 .b8 a[1024];\n"
    "ld.param.u64 %d0, [from]; ld.param.u32 %r0, [to]; mov.u32 %r1, %tid.x; mul.wide.u32 %d1, %r1, 16; add.u64 %d0, %d0, %d1;\n"
    "mov.u32 %r2, a; mad.lo.u32 %r3, %r1, %r0, %r2; cp.async.cg.shared.global [%r3], [%d0], 16; ret; }\n";
/* clang-format on */

static const uint32_t widths[] = {8, 16, 32, 64, 256};

static int run(struct sg_kernel *kernel, const uint32_t block[2], const uint64_t params[2],
    uint32_t lanes, struct sg_fault *fault)
{
	struct sg_launch l = {.grid = {1, 1, 1},
	    .block = {block[0], block[1], 1},
	    .params = params,
	    .params_size = 2 * sizeof(*params),
	    .lanes = lanes};

	return sg_launch(kernel, &l, fault);
}

TEST(copies_of_every_kind)
{
	static const uint32_t blocks[][2] = {{256, 1}, {32, 4}, {16, 8}, {8, 4}, {45, 1}, {5, 7}};
	struct sg_kernel *kernel;
	struct sg_fault fault;
	uint32_t *in = device_alloc(MOST_THREADS * 32), *out = device_alloc(OUT_WORDS * 4);
	uint64_t params[] = {(uint64_t)in, (uint64_t)out};
	static uint32_t alone[OUT_WORDS];

	setenv("SOFTGPU_LANES", "256", 1); /* even where so many do not pay */
	ptxas_check(kernel_text, "sm_80");
	kernel = kernel_get(module_load(kernel_text), "k");
	for (uint32_t i = 0; i < MOST_THREADS * 8; i++)
		in[i] = i * 2654435761u;
	for (size_t b = 0; b < ARRAY_SIZE(blocks); b++) {
		memset(out, 0, sizeof(alone));
		CHECK_EQ(run(kernel, blocks[b], params, 1, &fault), 0);
		memcpy(alone, out, sizeof(alone));
		for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
			memset(out, 0, sizeof(alone));
			CHECK_EQ(run(kernel, blocks[b], params, widths[i], &fault), 0);
			CHECK_BYTES(out, alone, sizeof(alone));
		}
	}
	/* thread 3 of the last one: whole; 3 bytes; whole; 8 bytes */
	CHECK_BYTES(&out[72], &in[12], 16);
	CHECK_EQ(out[76], in[16] & 0xffffff);
	CHECK_EQ(out[77], 0);
	CHECK_BYTES(&out[80], &in[12], 16);
	CHECK_BYTES(&out[84], &in[6], 8);
	/* thread 1 reads nothing */
	CHECK_EQ(out[32] | out[33] | out[34] | out[35], 0);
}

TEST(copies_astray_end_the_grid)
{
	static const uint32_t block[2] = {64, 1};
	struct sg_kernel *kernel;
	uint64_t in = (uint64_t)device_alloc(4096);
	const uint64_t params[][2] = {{in, 16}, {8, 16}, {in + 4, 16}, {in, 24}, {in, 32}};
	struct sg_fault fault, alone;

	setenv("SOFTGPU_LANES", "256", 1);
	kernel = kernel_get(module_load(astray_text), "k");
	for (size_t p = 0; p < ARRAY_SIZE(params); p++) {
		int want = run(kernel, block, params[p], 1, &alone);

		CHECK_EQ(want != 0, p != 0);
		for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
			CHECK_EQ(run(kernel, block, params[p], widths[i], &fault), want);
			if (want)
				CHECK_EQ(fault.address, alone.address);
		}
	}
}
