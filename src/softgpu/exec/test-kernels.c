/* Whole kernels: memory, barriers, warps, atomics, calls, grids. PTX by hand, results by plain
 * C. */
#include "softgpu/exec/test-machine.h"

#include <math.h>

TEST(vector_add)
{
	struct sg_module *module = module_load(PTX_HEAD
	    ".visible .entry add(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n) {\n"
	    ".reg .pred %p; .reg .b32 %i<6>; .reg .f32 %f<4>; .reg .b64 %d<8>;\n"
	    "mov.u32 %i1, %ctaid.x; mov.u32 %i2, %ntid.x; mov.u32 %i3, %tid.x;\n"
	    "mad.lo.s32 %i1, %i1, %i2, %i3; ld.param.u32 %i4, [n];\n"
	    "setp.ge.u32 %p, %i1, %i4; @%p bra DONE;\n"
	    "ld.param.u64 %d1, [a]; ld.param.u64 %d2, [b]; ld.param.u64 %d3, [c];\n"
	    "mul.wide.u32 %d4, %i1, 4; add.s64 %d1, %d1, %d4; add.s64 %d2, %d2, %d4;\n"
	    "add.s64 %d3, %d3, %d4; ld.global.f32 %f1, [%d1]; ld.global.f32 %f2, [%d2];\n"
	    "add.f32 %f3, %f1, %f2; st.global.f32 [%d3], %f3;\n"
	    "DONE: ret; }\n");
	enum { N = 100003 };
	float *a = device_alloc(N * 4), *b = device_alloc(N * 4), *c = device_alloc(N * 4 + 4);
	uint64_t params[] = {(uint64_t)a, (uint64_t)b, (uint64_t)c, N};

	for (int i = 0; i < N; i++) {
		a[i] = (float)i;
		b[i] = (float)(3 * i);
	}
	c[N] = 77;
	launch_fine(kernel_get(module, "add"), (N + 255) / 256, 256, params, 4);
	for (int i = 0; i < N; i++)
		CHECK(c[i] == a[i] + b[i]);
	CHECK(c[N] == 77);
	sg_module_unload(module);
}

/* One word per thread of a block, to and from a kernel body that has its number in %i and
 * address in %o. */
static uint32_t *run_block(const char *body, uint32_t blocks, uint32_t threads, uint32_t words)
{
	static char text[16384];
	uint32_t *out = device_alloc((size_t)blocks * threads * words * 4);
	uint64_t params[] = {(uint64_t)out};

	snprintf(text, sizeof(text),
	    PTX_HEAD
	    ".visible .entry k(.param .u64 out) {\n"
	    ".reg .pred %%p<9>; .reg .b32 %%r<20>, %%i, %%n; .reg .f32 %%f<9>; .reg .b64 %%d<9>, "
	    "%%o;\n"
	    "mov.u32 %%i, %%tid.x; mov.u32 %%r0, %%ctaid.x; mov.u32 %%n, %%ntid.x;\n"
	    "mad.lo.u32 %%r0, %%r0, %%n, %%i; mul.lo.u32 %%r0, %%r0, %u; cvt.u64.u32 %%d0, %%r0;\n"
	    "ld.param.u64 %%o, [out]; add.u64 %%o, %%o, %%d0;\n%s\nret; }\n",
	    words * 4, body);
	launch_fine(kernel_get(module_load(text), "k"), blocks, threads, params, 1);
	return out;
}

/* Whatever way they run, and where only some lanes wrote. */
TEST(registers_nobody_wrote_are_zero)
{
	struct sg_module *module = module_load(
	    PTX_HEAD ".visible .entry k(.param .u64 out) {\n"
		     ".reg .pred %p<3>; .reg .b32 %r<9>; .reg .b64 %d<3>;\n"
		     "mov.u32 %r0, %tid.x; mul.wide.u32 %d1, %r0, 4; ld.param.u64 %d0, [out];\n"
		     "add.u64 %d0, %d0, %d1; mov.u32 %r1, %tid.x;\n"
		     "setp.lt.u32 %p0, %r1, 10; @%p0 mov.u32 %r2, 7;\n"
		     "setp.gt.u32 %p1, %r1, 20; @%p1 bra SKIP; mov.u32 %r3, 5;\n"
		     "SKIP: setp.eq.u32 %p2, %r4, 3; @%p2 trap; add.u32 %r4, %r4, 1; add.u32 %r5, "
		     "%r5, %r1;\n"
		     "setp.lt.u32 %p2, %r4, 3; @%p2 bra SKIP;\n"
		     "add.u32 %r6, %r2, %r3; add.u32 %r6, %r6, %r5; add.u32 %r6, %r6, %r7;\n"
		     "st.global.u32 [%d0], %r6; ret; }\n");
	struct sg_kernel *kernel = kernel_get(module, "k");
	uint32_t *out = device_alloc(64 * sizeof(*out));
	uint64_t params[] = {(uint64_t)out};
	static const uint32_t lanes[] = {1, 8, 16, 32};

	for (unsigned way = 0; way < ARRAY_SIZE(lanes); way++) {
		struct sg_launch l = {.grid = {1, 1, 1},
		    .block = {64, 1, 1},
		    .params = params,
		    .params_size = sizeof(params),
		    .lanes = lanes[way]};
		struct sg_fault fault;

		memset(out, 0xff, 64 * sizeof(*out));
		CHECK_EQ(sg_launch(kernel, &l, &fault), 0);
		for (uint32_t i = 0; i < 64; i++)
			CHECK_EQ(out[i], (i < 10 ? 7 : 0) + (i <= 20 ? 5 : 0) + 3 * i);
	}
	sg_module_unload(module);
}

TEST(shared_reduction)
{
	uint32_t *out = run_block(
	    ".shared .align 4 .b8 s[1024];\n"
	    "mov.u32 %r1, s; shl.b32 %r2, %i, 2; add.u32 %r1, %r1, %r2; st.shared.u32 [%r1], %i;\n"
	    "bar.sync 0; mov.u32 %r3, 128;\n"
	    "L: setp.ge.u32 %p1, %i, %r3; @%p1 bra S; shl.b32 %r4, %r3, 2; add.u32 %r4, %r1, %r4;\n"
	    "ld.shared.u32 %r5, [%r4]; ld.shared.u32 %r6, [%r1]; add.u32 %r6, %r6, %r5;\n"
	    "st.shared.u32 [%r1], %r6;\n"
	    "S: bar.sync 0; shr.u32 %r3, %r3, 1; setp.ne.u32 %p2, %r3, 0; @%p2 bra L;\n"
	    "ld.shared.u32 %r7, [s]; st.global.u32 [%o], %r7;\n",
	    20, 256, 1);

	for (int i = 0; i < 20 * 256; i++)
		CHECK_EQ(out[i], 255 * 128);
}

TEST(barrier_reductions)
{
	uint32_t *out = run_block(
	    "setp.lt.u32 %p1, %i, 10;\n"
	    "bar.red.popc.u32 %r1, 0, %p1; bar.red.and.pred %p2, 0, %p1;\n"
	    "bar.red.or.pred %p3, 0, !%p1; selp.u32 %r2, 1, 0, %p2; selp.u32 %r3, 1, 0, %p3;\n"
	    "st.global.u32 [%o], %r1; st.global.u32 [%o+4], %r2; st.global.u32 [%o+8], %r3;\n",
	    1, 100, 3);

	for (int i = 0; i < 100; i++) {
		CHECK_EQ(out[i * 3], 10);
		CHECK_EQ(out[i * 3 + 1], 0);
		CHECK_EQ(out[i * 3 + 2], 1);
	}
}

/* Half of the block produces and only arrives, the other half waits. */
TEST(named_barriers)
{
	uint32_t *out = run_block(
	    ".shared .align 4 .u32 s[64];\n"
	    "setp.lt.u32 %p1, %i, 64; shl.b32 %r1, %i, 2; mov.u32 %r2, s;\n"
	    "@!%p1 bra CONSUME; add.u32 %r2, %r2, %r1; st.shared.u32 [%r2], %i;\n"
	    "bar.arrive 5, 128; st.global.u32 [%o], %i; ret;\n"
	    "CONSUME: bar.sync 5, 128; sub.u32 %r2, %r2, %r1; ld.shared.u32 %r3, [%r2+508];\n"
	    "st.global.u32 [%o], %r3;\n",
	    3, 128, 1);

	for (int i = 0; i < 3 * 128; i++)
		CHECK_EQ(out[i], i % 128 < 64 ? i % 128 : 127 - i % 128);
}

TEST(threads_that_leave_early)
{
	uint32_t *out = run_block("and.b32 %r1, %i, 1; setp.ne.u32 %p1, %r1, 0; @%p1 exit;\n"
				  "bar.sync 0; bar.warp.sync -1; st.global.u32 [%o], 9;\n",
	    2, 96, 1);

	for (int i = 0; i < 2 * 96; i++)
		CHECK_EQ(out[i], i % 2 ? 0 : 9);
}

TEST(shuffles)
{
	uint32_t *out = run_block(
	    "mov.u32 %r9, %laneid; mad.lo.u32 %r9, %r9, 3, 1;\n"
	    "shfl.sync.idx.b32 %r1, %r9, 5, 31, -1; shfl.sync.up.b32 %r2|%p1, %r9, 3, 0, -1;\n"
	    "shfl.sync.down.b32 %r3|%p2, %r9, 4, 31, -1; shfl.sync.bfly.b32 %r4, %r9, 1, 31, -1;\n"
	    "shfl.sync.idx.b32 %r5, %r9, 2, 0x181f, -1; shfl.sync.up.b32 %r6, %r9, 1, 0x1c00, -1;\n"
	    "selp.u32 %r7, 1, 0, %p1; selp.u32 %r8, 1, 0, %p2;\n"
	    "st.global.u32 [%o], %r1; st.global.u32 [%o+4], %r2; st.global.u32 [%o+8], %r3;\n"
	    "st.global.u32 [%o+12], %r4; st.global.u32 [%o+16], %r5; st.global.u32 [%o+20], %r6;\n"
	    "st.global.u32 [%o+24], %r7; st.global.u32 [%o+28], %r8;\n",
	    2, 64, 8);

	for (int i = 0; i < 128; i++) {
		int l = i % 32;
		int from[] = {5, l >= 3 ? l - 3 : l, l < 28 ? l + 4 : l, l ^ 1, (l & ~7) | 2,
		    l & 3 ? l - 1 : l};

		for (int k = 0; k < 6; k++)
			CHECK_EQ(out[i * 8 + k], from[k] * 3 + 1);
		CHECK_EQ(out[i * 8 + 6], l >= 3);
		CHECK_EQ(out[i * 8 + 7], l < 28);
	}
}

TEST(votes_and_matches)
{
	uint32_t *out = run_block(
	    "setp.lt.u32 %p1, %i, 10; vote.sync.ballot.b32 %r1, %p1, -1; vote.sync.all.pred %p2, "
	    "%p1, -1;\n"
	    "vote.sync.any.pred %p3, %p1, -1; vote.sync.uni.pred %p4, %p1, -1;\n"
	    "div.u32 %r9, %i, 3; match.any.sync.b32 %r2, %r9, -1; match.all.sync.b32 %r3|%p5, 7, "
	    "-1;\n"
	    "match.all.sync.b32 %r4|%p6, %r9, -1; redux.sync.add.u32 %r5, %i, -1;\n"
	    "neg.s32 %r10, %i; redux.sync.min.s32 %r6, %r10, -1; redux.sync.max.u32 %r7, %i, -1;\n"
	    "elect.sync %r8|%p7, -1;\n"
	    "selp.u32 %r11, 1, 0, %p2; selp.u32 %r12, 2, 0, %p3; selp.u32 %r13, 4, 0, %p4;\n"
	    "selp.u32 %r14, 8, 0, %p5; selp.u32 %r15, 16, 0, %p6; selp.u32 %r16, 32, 0, %p7;\n"
	    "or.b32 %r11, %r11, %r12; or.b32 %r11, %r11, %r13; or.b32 %r11, %r11, %r14;\n"
	    "or.b32 %r11, %r11, %r15; or.b32 %r11, %r11, %r16;\n"
	    "st.global.u32 [%o], %r1; st.global.u32 [%o+4], %r2; st.global.u32 [%o+8], %r3;\n"
	    "st.global.u32 [%o+12], %r4; st.global.u32 [%o+16], %r5; st.global.u32 [%o+20], %r6;\n"
	    "st.global.u32 [%o+24], %r7; st.global.u32 [%o+28], %r11;\n",
	    1, 32, 8);

	for (int i = 0; i < 32; i++) {
		uint32_t same = 0;

		for (int j = 0; j < 32; j++)
			same |= j / 3 == i / 3 ? 1u << j : 0;
		CHECK_EQ(out[i * 8], 0x3ff);
		CHECK_EQ(out[i * 8 + 1], same);
		CHECK_EQ(out[i * 8 + 2], UINT32_MAX);
		CHECK_EQ(out[i * 8 + 3], 0);
		CHECK_EQ(out[i * 8 + 4], 496);
		CHECK_EQ((int32_t)out[i * 8 + 5], -31);
		CHECK_EQ(out[i * 8 + 6], 31);
		CHECK_EQ(out[i * 8 + 7], 2 + 8 + (i ? 0 : 32));
	}
}

/* Both sides of a branch ask who is with them, and shuffle among themselves. */
TEST(active_mask_of_a_diverged_warp)
{
	uint32_t *out = run_block(
	    "setp.lt.u32 %p1, %i, 10; @%p1 bra LOW;\n"
	    "activemask.b32 %r1; shfl.sync.idx.b32 %r2, %i, 20, 31, %r1; bra JOIN;\n"
	    "LOW: activemask.b32 %r1; shfl.sync.idx.b32 %r2, %i, 3, 31, %r1;\n"
	    "JOIN: activemask.b32 %r3;\n"
	    "st.global.u32 [%o], %r1; st.global.u32 [%o+4], %r2; st.global.u32 [%o+8], %r3;\n",
	    1, 32, 3);

	for (int i = 0; i < 32; i++) {
		CHECK_EQ(out[i * 3], i < 10 ? 0x3ff : 0xfffffc00);
		CHECK_EQ(out[i * 3 + 1], i < 10 ? 3 : 20);
		CHECK_EQ(out[i * 3 + 2], UINT32_MAX);
	}
}

TEST(atomics)
{
	static const char text[] = PTX_HEAD
	    ".visible .entry k(.param .u64 out) {\n"
	    ".reg .b64 %o, %d<4>; .reg .b32 %r<9>; .reg .f32 %f; .reg .f64 %g;\n"
	    "ld.param.u64 %o, [out]; mov.u32 %r0, %ctaid.x; mov.u32 %r1, %ntid.x; mov.u32 %r2, "
	    "%tid.x;\n"
	    "mad.lo.u32 %r0, %r0, %r1, %r2;\n"
	    "atom.global.add.u32 %r3, [%o], %r0; red.global.min.s32 [%o+4], %r0;\n"
	    "atom.global.gpu.relaxed.max.u32 %r3, [%o+8], %r0; atom.inc.u32 %r3, [%o+12], 9;\n"
	    "atom.global.dec.u32 %r3, [%o+16], 9; and.b32 %r4, %r0, 31; shl.b32 %r4, 1, %r4;\n"
	    "red.global.or.b32 [%o+20], %r4; red.global.xor.b32 [%o+24], %r0;\n"
	    "atom.global.acq_rel.sys.exch.b32 %r3, [%o+28], 42; atom.global.cas.b32 %r3, [%o+32], "
	    "0, 7;\n"
	    "red.global.add.f32 [%o+36], 0f3F800000; red.global.add.f64 [%o+40], "
	    "0d3FE0000000000000;\n"
	    "cvt.u64.u32 %d1, %r0; shl.b64 %d1, %d1, 33; atom.global.max.u64 %d2, [%o+48], %d1;\n"
	    "red.global.add.noftz.f16x2 [%o+56], %r5; not.b32 %r4, %r4; red.and.b32 [%o+60], %r4;\n"
	    "ret; }\n";
	enum { N = 64 * 100 };
	struct {
		uint32_t sum;
		int32_t min;
		uint32_t max, inc, dec, or, xor, exch, cas;
		float f;
		double d;
		uint64_t wide;
		uint32_t half, and;
	} *out = device_alloc(64);
	uint64_t params[] = {(uint64_t)out};
	uint32_t sum = 0, xor = 0;

	out->min = 5;
	out->and = UINT32_MAX;
	launch_fine(kernel_get(module_load(text), "k"), 64, 100, params, 1);
	for (uint32_t i = 0; i < N; i++) {
		sum += i;
		xor ^= i;
	}
	CHECK_EQ(out->sum, sum);
	CHECK_EQ(out->min, 0);
	CHECK_EQ(out->max, N - 1);
	CHECK_EQ(out->inc, N % 10);
	CHECK_EQ(out->dec, (10 - N % 10) % 10);
	CHECK_EQ(out->or, UINT32_MAX);
	CHECK_EQ(out->xor, xor);
	CHECK_EQ(out->exch, 42);
	CHECK_EQ(out->cas, 7);
	CHECK(out->f == N);
	CHECK(out->d == N / 2);
	CHECK(out->wide == (uint64_t)(N - 1) << 33);
	CHECK_EQ(out->and, 0);
}

/* A lock taken by threads of one warp, and a flag that a later thread sets for an earlier one. */
TEST(threads_that_wait_by_polling)
{
	static const char text[] = PTX_HEAD
	    ".visible .entry lock(.param .u64 out) {\n"
	    ".reg .b64 %o; .reg .b32 %r<4>; .reg .pred %p; ld.param.u64 %o, [out];\n"
	    "TRY: atom.global.cas.b32 %r1, [%o], 0, 1; setp.ne.u32 %p, %r1, 0; @%p bra TRY;\n"
	    "ld.volatile.global.u32 %r2, [%o+4]; add.u32 %r2, %r2, 1; st.volatile.global.u32 "
	    "[%o+4], %r2;\n"
	    "membar.gl; atom.global.exch.b32 %r1, [%o], 0; ret; }\n"
	    ".visible .entry flag(.param .u64 out) {\n"
	    ".reg .b64 %o; .reg .b32 %r<4>; .reg .pred %p; ld.param.u64 %o, [out];\n"
	    "mov.u32 %r1, %tid.x; setp.eq.u32 %p, %r1, 40; @%p bra SET;\n"
	    "WAIT: ld.acquire.gpu.global.u32 %r2, [%o+8]; setp.eq.u32 %p, %r2, 0; @%p bra WAIT; "
	    "ret;\n"
	    "SET: st.release.gpu.global.u32 [%o+8], 1; ret; }\n";
	uint32_t *out = device_alloc(16);
	uint64_t params[] = {(uint64_t)out};
	struct sg_module *module = module_load(text);

	launch_fine(kernel_get(module, "lock"), 8, 64, params, 1);
	CHECK_EQ(out[1], 8 * 64);
	launch_fine(kernel_get(module, "flag"), 1, 64, params, 1);
	CHECK_EQ(out[2], 1);
}

TEST(calls_recursion_and_pointers)
{
	static const char text[] = PTX_HEAD
	    ".func (.param .b32 r) fib(.param .b32 n) {\n"
	    ".reg .b32 %r<6>; .reg .pred %p; ld.param.u32 %r1, [n]; setp.lt.u32 %p, %r1, 2; @%p "
	    "bra BASE;\n"
	    "{ .param .b32 a; .param .b32 b; sub.u32 %r2, %r1, 1; st.param.b32 [a], %r2;\n"
	    "call.uni (b), fib, (a); ld.param.b32 %r3, [b]; }\n"
	    "{ .param .b32 a; .param .b32 b; sub.u32 %r2, %r1, 2; st.param.b32 [a], %r2;\n"
	    "call.uni (b), fib, (a); ld.param.b32 %r4, [b]; }\n"
	    "add.u32 %r1, %r3, %r4;\n"
	    "BASE: st.param.b32 [r], %r1; ret; }\n"
	    ".func (.reg .u32 r) twice(.reg .u32 a) { add.u32 r, a, a; ret; }\n"
	    ".func (.param .b32 r) plus(.param .b32 a) { .reg .b32 %r; ld.param.u32 %r, [a];\n"
	    "add.u32 %r, %r, 100; st.param.b32 [r], %r; ret; }\n"
	    ".global .u64 table[2] = {plus, fib};\n"
	    ".visible .entry k(.param .u64 out) {\n"
	    ".reg .b64 %o, %d<4>; .reg .b32 %r<9>; .reg .pred %p; .param .b32 x; .param .b32 y;\n"
	    "ld.param.u64 %o, [out]; mov.u32 %r0, %tid.x; mul.wide.u32 %d1, %r0, 12; add.u64 %o, "
	    "%o, %d1;\n"
	    "st.param.b32 [x], %r0; call (y), fib, (x); ld.param.b32 %r1, [y]; st.global.u32 [%o], "
	    "%r1;\n"
	    "call (%r2), twice, (%r0); st.global.u32 [%o+4], %r2;\n"
	    "and.b32 %r3, %r0, 1; mul.wide.u32 %d2, %r3, 8; mov.u64 %d3, table; add.u64 %d3, %d3, "
	    "%d2;\n"
	    "ld.global.u64 %d3, [%d3];\n"
	    "proto: .callprototype (.param .b32 _) _ (.param .b32 _);\n"
	    "call (y), %d3, (x), proto; ld.param.b32 %r4, [y]; st.global.u32 [%o+8], %r4; ret; }\n";
	uint32_t fib[16] = {0, 1}, *out = device_alloc(16 * 12);
	uint64_t params[] = {(uint64_t)out};

	launch_fine(kernel_get(module_load(text), "k"), 1, 16, params, 1);
	for (uint32_t i = 0; i < 16; i++) {
		if (i > 1)
			fib[i] = fib[i - 1] + fib[i - 2];
		CHECK_EQ(out[i * 3], fib[i]);
		CHECK_EQ(out[i * 3 + 1], 2 * i);
		CHECK_EQ(out[i * 3 + 2], i & 1 ? fib[i] : i + 100);
	}
}

TEST(local_memory_and_generic_addresses)
{
	uint32_t *out = run_block(
	    ".local .align 8 .b8 depot[64]; .shared .align 8 .b8 s[512];\n"
	    "mov.u64 %d1, depot; cvta.local.u64 %d2, %d1; st.local.u32 [%d1+8], %i; ld.u32 %r1, "
	    "[%d2+8];\n"
	    "mov.u64 %d3, s; cvta.shared.u64 %d4, %d3; mul.wide.u32 %d5, %i, 4; add.u64 %d4, %d4, "
	    "%d5;\n"
	    "st.u32 [%d4], %r1; cvta.to.shared.u64 %d6, %d4; ld.shared.u32 %r2, [%d6];\n"
	    "isspacep.shared %p1, %d4; isspacep.local %p2, %d2; isspacep.global %p3, %o;\n"
	    "isspacep.global %p4, %d4; selp.u32 %r3, 1, 0, %p1; selp.u32 %r4, 2, 0, %p2;\n"
	    "selp.u32 %r5, 4, 0, %p3; selp.u32 %r6, 8, 0, %p4; or.b32 %r3, %r3, %r4; or.b32 %r3, "
	    "%r3, %r5;\n"
	    "or.b32 %r3, %r3, %r6; st.global.v2.u32 [%o], {%r2, %r3};\n",
	    2, 64, 2);

	for (int i = 0; i < 128; i++) {
		CHECK_EQ(out[i * 2], i % 64);
		CHECK_EQ(out[i * 2 + 1], 7);
	}
}

/* As LLVM makes it when it is told that pointers to local memory are short. */
TEST(local_memory_by_short_addresses)
{
	uint32_t *out = run_block(
	    ".local .align 8 .b8 depot[64];\n"
	    "mov.b32 %r1, depot; add.u32 %r2, %r1, 8; st.local.u32 [%r1+12], %i; st.local.u32 "
	    "[%r2], 5;\n"
	    "cvt.u64.u32 %d1, %r2; cvta.local.u64 %d2, %d1; ld.v2.u32 {%r3, %r4}, [%d2];\n"
	    "st.global.v2.u32 [%o], {%r3, %r4};\n",
	    2, 64, 2);

	for (int i = 0; i < 128; i++) {
		CHECK_EQ(out[i * 2], 5);
		CHECK_EQ(out[i * 2 + 1], i % 64);
	}
}

TEST(branch_tables_and_scoped_labels)
{
	uint32_t *out =
	    run_block("targets: .branchtargets A, B, C; mov.u32 %r1, 0;\n"
		      "rem.u32 %r2, %i, 3; brx.idx %r2, targets;\n"
		      "A: add.u32 %r1, %r1, 10; B: add.u32 %r1, %r1, 20; C: add.u32 %r1, %r1, 30;\n"
		      "{ .reg .b32 %r1; mov.u32 %r1, 5; bra L; mov.u32 %r1, 6; L: }\n"
		      "{ bra L; add.u32 %r1, %r1, 1000; L: }\n"
		      "st.global.u32 [%o], %r1;\n",
		1, 6, 1);

	for (int i = 0; i < 6; i++)
		CHECK_EQ(out[i], i % 3 == 0 ? 60 : i % 3 == 1 ? 50 : 30);
}

TEST(copies_to_shared_memory)
{
	uint32_t *out = run_block(
	    ".shared .align 16 .b8 s[2048];\n"
	    "mov.u32 %r1, s; shl.b32 %r2, %i, 4; add.u32 %r1, %r1, %r2; st.global.u32 [%o], %i;\n"
	    "st.global.u32 [%o+4], 5; st.global.u32 [%o+8], 6; st.global.u32 [%o+12], 7;\n"
	    "cp.async.ca.shared.global [%r1], [%o], 16, 12; cp.async.commit_group;\n"
	    "cp.async.wait_group 0; ld.shared.v4.u32 {%r3, %r4, %r5, %r6}, [%r1];\n"
	    "st.global.v4.u32 [%o], {%r6, %r5, %r4, %r3};\n",
	    1, 64, 4);

	for (uint32_t i = 0; i < 64; i++) {
		uint32_t want[] = {0, 6, 5, i};

		CHECK_BYTES(&out[i * 4], want, sizeof(want));
	}
}

/* Two rounds through a barrier in memory, waited for once by state and once by parity. */
TEST(barriers_in_shared_memory)
{
	uint32_t *out = run_block(
	    ".shared .align 8 .b64 b; .shared .align 4 .u32 s[96];\n"
	    "setp.ne.u32 %p1, %i, 0; @!%p1 mbarrier.init.shared.b64 [b], 96; bar.sync 0;\n"
	    "mov.u32 %r1, s; shl.b32 %r2, %i, 2; add.u32 %r3, %r1, %r2; sub.u32 %r4, %r1, %r2;\n"
	    "st.shared.u32 [%r3], %i; mbarrier.arrive.shared.b64 %d1, [b];\n"
	    "W: mbarrier.test_wait.shared.b64 %p2, [b], %d1; @!%p2 bra W;\n"
	    "ld.shared.u32 %r5, [%r4+380]; mbarrier.arrive.shared.b64 _, [b];\n"
	    "V: mbarrier.try_wait.parity.shared.b64 %p2, [b], 1; @!%p2 bra V;\n"
	    "st.global.u32 [%o], %r5;\n",
	    2, 96, 1);

	for (int i = 0; i < 192; i++)
		CHECK_EQ(out[i], 95 - i % 96);
}

static char printed[8192];
static size_t n_printed;

static void sink(void *context, const char *text, size_t size)
{
	CHECK(n_printed + size < sizeof(printed));
	memcpy(printed + n_printed, text, size);
	n_printed += size;
}

TEST(device_printf)
{
	struct sg_module *module = module_load(PTX_HEAD
	    ".extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 a);\n"
	    ".global .align 1 .b8 format[] = {105, 61, 37, 53, 100, 32, 37, 46, 50, 102, 32, 37, "
	    "115, 32, 37, 108, "
	    "108, 120, 32, 37, 99, 32, 37, 37, 10, 0};\n" /* "i=%5d %.2f %s %llx %c %%\n" */
	    ".global .align 1 .b8 word[] = {104, 105, 0};\n"
	    ".visible .entry k() { .local .align 8 .b8 args[40]; .reg .b64 %d<6>; .reg .b32 "
	    "%r<4>;\n"
	    ".param .b64 f; .param .b64 a; .param .b32 r;\n"
	    "mov.u64 %d1, args; cvta.local.u64 %d2, %d1; st.local.u32 [%d1], -42;\n"
	    "st.local.f64 [%d1+8], 0d3FF8000000000000; mov.u64 %d3, word; st.local.u64 [%d1+16], "
	    "%d3;\n"
	    "mov.u64 %d4, 0x123456789abc; st.local.u64 [%d1+24], %d4; st.local.u32 [%d1+32], 113;\n"
	    "mov.u64 %d5, format; st.param.b64 [f], %d5; st.param.b64 [a], %d2;\n"
	    "call.uni (r), vprintf, (f, a); ret; }\n");
	struct sg_kernel *kernel = kernel_get(module, "k");
	struct sg_launch l = {.grid = {1, 1, 1}, .block = {2, 1, 1}, .printf_sink = sink};
	struct sg_fault fault;

	CHECK(sg_kernel_info(kernel)->uses_printf);
	CHECK_EQ(sg_launch(kernel, &l, &fault), 0);
	printed[n_printed] = 0;
	CHECK_STR(printed, "i=  -42 1.50 hi 123456789abc q %\ni=  -42 1.50 hi 123456789abc q %\n");
}

/* All blocks of a cooperative grid wait for each other by a counter in memory. */
TEST(cooperative_grid)
{
	struct sg_module *module = module_load(PTX_HEAD
	    ".visible .entry k(.param .u64 out) {\n"
	    ".reg .b64 %o, %d; .reg .b32 %r<9>; .reg .pred %p; ld.param.u64 %o, [out];\n"
	    "red.global.add.u32 [%o], 1; mov.u32 %r1, %nctaid.x; mov.u32 %r2, %ntid.x; mul.lo.u32 "
	    "%r1, %r1, %r2;\n"
	    "WAIT: ld.acquire.gpu.global.u32 %r3, [%o]; setp.lt.u32 %p, %r3, %r1; @%p bra WAIT;\n"
	    "red.global.add.u32 [%o+4], %r3; ret; }\n");
	uint32_t *out = device_alloc(8);
	uint64_t params[] = {(uint64_t)out};
	struct sg_kernel *kernel = kernel_get(module, "k");
	struct sg_launch l = {.grid = {4, 1, 1},
	    .block = {64, 1, 1},
	    .params = params,
	    .params_size = sizeof(params),
	    .cooperative = true};
	struct sg_fault fault;

	CHECK(sg_cooperative_blocks(kernel, 64, 0) >= 4);
	CHECK_EQ(sg_launch(kernel, &l, &fault), 0);
	CHECK_EQ(out[1], 256 * 256);
	/* More than one machine takes, of several host threads. */
	memset(out, 0, 8);
	l.grid[0] = 600;
	l.block[0] = 32;
	CHECK_EQ(sg_launch(kernel, &l, &fault), 0);
	CHECK_EQ(out[0], 600 * 32);
	CHECK_EQ(out[1], (uint32_t)(600 * 32) * (600 * 32));
	l.block[0] = 64;
	l.grid[0] = sg_cooperative_blocks(kernel, 64, 0) + 1;
	CHECK_EQ(sg_launch(kernel, &l, &fault), SG_FAULT_NOT_STARTED);
}

/* The same of grids that are not launched as cooperative ones: those that come first wait for the
 * last, as the first grid is, threads or threads in step, with a barrier or without. */
TEST_LIMIT(blocks_that_wait_for_later_ones, 120)
{
	struct sg_module *module = module_load(PTX_HEAD
	    ".visible .entry spin(.param .u64 out) {\n"
	    ".reg .b64 %o; .reg .b32 %r<9>; .reg .pred %p; ld.param.u64 %o, [out];\n"
	    "mov.u32 %r1, %nctaid.x; sub.u32 %r1, %r1, 1; mov.u32 %r2, %ctaid.x;\n"
	    "setp.eq.u32 %p, %r1, %r2; @%p st.volatile.global.u32 [%o], 1;\n"
	    "WAIT: ld.volatile.global.u32 %r3, [%o]; setp.eq.u32 %p, %r3, 0; @%p bra WAIT;\n"
	    "red.global.add.u32 [%o+4], 1; ret; }\n"
	    ".visible .entry meet(.param .u64 out) {\n"
	    ".reg .b64 %o; .reg .b32 %r<9>; .reg .pred %p, %q; ld.param.u64 %o, [out];\n"
	    "mov.u32 %r1, %tid.x; mov.u32 %r2, %nctaid.x; setp.ne.u32 %q, %r1, 0; bar.sync 0;\n"
	    "@%q bra OVER; red.global.add.u32 [%o], 1;\n"
	    "WAIT: ld.volatile.global.u32 %r3, [%o]; setp.lt.u32 %p, %r3, %r2; @%p bra WAIT;\n"
	    "OVER: bar.sync 0; red.global.add.u32 [%o+4], 1; ret; }\n");
	uint32_t *out = device_alloc(8);
	uint64_t params[] = {(uint64_t)out};
	struct sg_launch l = {.grid = {1, 1, 1},
	    .block = {64, 1, 1},
	    .params = params,
	    .params_size = sizeof(params)};
	struct sg_fault fault;

	for (unsigned i = 0; i < 8; i++) {
		l.lanes = i & 1 ? 32 : 1;
		l.grid[0] = i & 4 ? 40 : 9; /* the second grid of each kernel is cooperative */
		memset(out, 0, 8);
		CHECK_EQ(sg_launch(kernel_get(module, i & 2 ? "meet" : "spin"), &l, &fault), 0);
		CHECK_EQ(out[1], l.grid[0] * 64);
	}
}

/* Several blocks of one machine that never meet, each with a deep frame on the one stack they
 * share. */
TEST(cooperative_blocks_that_never_meet)
{
	struct sg_module *module = module_load(
	    PTX_HEAD ".visible .entry k(.param .u64 out) {\n"
		     ".reg .b64 %o, %d, %l; .reg .b32 %r<9>; .local .align 8 .b8 deep[8192];\n"
		     "ld.param.u64 %o, [out]; mov.u32 %r1, %ctaid.x; mul.wide.u32 %d, %r1, 4;\n"
		     "add.u64 %o, %o, %d; and.b32 %r2, %r1, 2047; mul.wide.u32 %d, %r2, 4; mov.u64 "
		     "%l, deep;\n"
		     "add.u64 %l, %l, %d; st.volatile.local.u32 [%l], %r1; ld.volatile.local.u32 "
		     "%r3, [%l];\n"
		     "st.global.u32 [%o], %r3; ret; }\n");
	uint32_t *out = device_alloc(64 * 4);
	uint64_t params[] = {(uint64_t)out};
	struct sg_launch l = {.grid = {64, 1, 1},
	    .block = {1, 1, 1},
	    .params = params,
	    .params_size = sizeof(params),
	    .lanes = 1,
	    .cooperative = true};
	struct sg_fault fault;

	CHECK_EQ(sg_launch(kernel_get(module, "k"), &l, &fault), 0);
	for (uint32_t i = 0; i < 64; i++)
		CHECK_EQ(out[i], i);
}

TEST(dimensions)
{
	struct sg_module *module = module_load(PTX_HEAD
	    ".visible .entry k(.param .u64 out, .param .align 16 .b8 pair[16]) {\n"
	    ".reg .b64 %o, %d; .reg .b32 %r<12>; ld.param.u64 %o, [out];\n"
	    "mov.u32 %r0, %ctaid.z; mov.u32 %r1, %nctaid.y; mov.u32 %r2, %ctaid.y; mad.lo.u32 %r0, "
	    "%r0, %r1, %r2;\n"
	    "mov.u32 %r1, %nctaid.x; mov.u32 %r2, %ctaid.x; mad.lo.u32 %r0, %r0, %r1, %r2;\n"
	    "mov.u32 %r1, %ntid.z; mov.u32 %r2, %tid.z; mad.lo.u32 %r0, %r0, %r1, %r2;\n"
	    "mov.u32 %r1, %ntid.y; mov.u32 %r2, %tid.y; mad.lo.u32 %r0, %r0, %r1, %r2;\n"
	    "mov.u32 %r1, %ntid.x; mov.u32 %r2, %tid.x; mad.lo.u32 %r0, %r0, %r1, %r2;\n"
	    "mul.wide.u32 %d, %r0, 4; add.u64 %o, %o, %d; ld.param.v2.u32 {%r3, %r4}, [pair+8];\n"
	    "add.u32 %r0, %r0, %r4; st.global.u32 [%o], %r0; ret; }\n");
	struct sg_kernel *kernel = kernel_get(module, "k");
	const struct sg_kernel_info *info = sg_kernel_info(kernel);
	enum { N = 2 * 3 * 2 * 4 * 2 * 3 };
	uint32_t *out = device_alloc(N * 4);
	struct {
		uint64_t out, hole;
		uint32_t pair[4];
	} params = {(uint64_t)out, 0, {0, 0, 0, 1000}};
	struct sg_launch l = {.grid = {2, 3, 2},
	    .block = {4, 2, 3},
	    .params = &params,
	    .params_size = sizeof(params)};
	struct sg_fault fault;

	CHECK_EQ(info->n_params, 2);
	CHECK_EQ(info->params[1].offset, 16);
	CHECK_EQ(info->param_bytes, 32);
	CHECK_EQ(sg_launch(kernel, &l, &fault), 0);
	for (uint32_t i = 0; i < N; i++)
		CHECK_EQ(out[i], i + 1000);
}

/* Threads of one kernel share a stack, those of the next need a thousand. */
TEST(serial_and_meeting_kernels_in_turn)
{
	struct sg_module *module = module_load(
	    PTX_HEAD ".visible .entry serial(.param .u64 a) { .reg .b64 %a; ld.param.u64 %a, [a];\n"
		     "red.global.add.u32 [%a], 1; ret; }\n"
		     ".visible .entry meet(.param .u64 a) { .reg .b64 %a; ld.param.u64 %a, [a]; "
		     "bar.sync 0;\n"
		     "red.global.add.u32 [%a], 1; ret; }\n");
	uint32_t *count = device_alloc(4);
	uint64_t params[] = {(uint64_t)count};

	for (int i = 0; i < 3; i++) {
		launch_fine(kernel_get(module, "serial"), 2, 1024, params, 1);
		launch_fine(kernel_get(module, "meet"), 2, 1024, params, 1);
	}
	CHECK_EQ(*count, 12 * 1024);
}

/* Half of the blocks write pairs of one number, the others read them meanwhile on another host
 * thread: never halves of two. */
TEST_LIMIT(ordered_pairs_are_read_whole, 120)
{
	struct sg_module *module = module_load(PTX_HEAD
	    ".visible .entry k(.param .u64 pairs, .param .u64 counts, .param .u64 rounds) {\n"
	    ".reg .b64 %d<9>; .reg .b32 %r<5>; .reg .pred %p<4>;\n"
	    "ld.param.u64 %d1, [pairs]; ld.param.u64 %d2, [counts]; ld.param.u64 %d3, [rounds];\n"
	    "mov.u32 %r1, %tid.x; mad.wide.u32 %d1, %r1, 48, %d1; mov.u32 %r2, %ctaid.x;\n"
	    "setp.ge.u32 %p1, %r2, 2; red.global.add.u32 [%d2], 1;\n"
	    "WAIT: ld.acquire.gpu.global.u32 %r3, [%d2]; setp.lt.u32 %p2, %r3, 4096; @%p2 bra "
	    "WAIT;\n"
	    "setp.ge.u32 %p2, %r1, 32; @%p2 ret;\n"
	    "LOOP: @%p1 bra READ; st.relaxed.gpu.global.v2.u64 [%d1], {%d3, %d3}; bra NEXT;\n"
	    "READ: ld.relaxed.gpu.global.v2.u64 {%d5, %d6}, [%d1]; setp.ne.u64 %p2, %d5, %d6;\n"
	    "@%p2 red.global.add.u32 [%d2+4], 1;\n"
	    "NEXT: sub.u64 %d3, %d3, 1; setp.ne.u64 %p3, %d3, 0; @%p3 bra LOOP; ret; }\n");
	uint64_t *pairs = device_alloc(32 * 6 * sizeof(*pairs));
	uint32_t *counts = device_alloc(8);
	uint64_t params[] = {(uint64_t)pairs, (uint64_t)counts, 500000};
	struct sg_launch l = {.grid = {4, 1, 1},
	    .block = {1024, 1, 1},
	    .params = params,
	    .params_size = sizeof(params),
	    .cooperative = true};
	struct sg_fault fault;

	for (l.lanes = 1; l.lanes <= 32; l.lanes += 31) {
		memset(counts, 0, 8);
		CHECK_EQ(sg_launch(kernel_get(module, "k"), &l, &fault), 0);
		CHECK_EQ(counts[0], 4096);
		CHECK_EQ(counts[1], 0);
	}
}

/* To at most a unit in the last place. */
static bool is_power_of_two_to(float exponent, float got)
{
	double exact = exp2(exponent), unit = 0x1p-149;

	if (isnan(exponent))
		return isnan(got);
	if (exact >= 0x1.ffffffp127)
		return isinf(got);
	if (exact >= 0x1p-126)
		unit = ldexp(1, ilogb(exact) - 23);
	return fabs(got - exact) <= unit;
}

/* Of every 1009th float: the error in units of the last bit. */
TEST(powers_of_two)
{
	struct sg_kernel *kernel = kernel_get(
	    module_load(PTX_HEAD
		".visible .entry k(.param .u64 out, .param .u64 first) {\n"
		".reg .b64 %d<4>; .reg .b32 %r<6>; .reg .f32 %f<3>;\n"
		"ld.param.u64 %d0, [out]; ld.param.u32 %r0, [first]; mov.u32 %r1, %ctaid.x; "
		"mov.u32 %r2, %tid.x;\n"
		"mad.lo.u32 %r3, %r1, 256, %r2; mul.wide.u32 %d1, %r3, 4; add.u64 %d0, %d0, %d1;\n"
		"mad.lo.u32 %r4, %r3, 1009, %r0; mov.b32 %f0, %r4; ex2.approx.f32 %f1, %f0; "
		"st.global.f32 [%d0], %f1; ret; }\n"),
	    "k");
	const uint32_t blocks = 4096, n = blocks * 256;
	float *out = device_alloc(n * sizeof(*out)), *alone = malloc(n * sizeof(*alone)), x;
	uint64_t params[] = {(uint64_t)out, 0};
	struct sg_launch l = {.grid = {blocks, 1, 1},
	    .block = {256, 1, 1},
	    .params = params,
	    .params_size = sizeof(params)};
	struct sg_fault fault;

	CHECK(alone != NULL);
	for (uint32_t part = 0; part < 4; part++) {
		uint32_t bits = (uint32_t)(params[1] = part * n * UINT64_C(1009));

		l.lanes = 1;
		CHECK_EQ(sg_launch(kernel, &l, &fault), 0);
		memcpy(alone, out, n * sizeof(*out));
		l.lanes = 32;
		CHECK_EQ(sg_launch(kernel, &l, &fault), 0);
		CHECK_BYTES(out, alone, n * sizeof(*out));
		for (uint32_t i = 0; i < n; i++, bits += 1009) {
			memcpy(&x, &bits, sizeof(x));
			CHECK(is_power_of_two_to(x, out[i]));
		}
	}
	free(alone);
	/* whole numbers are exact */
	for (int32_t i = -149; i <= 129; i++) {
		x = (float)i;
		params[1] = 0;
		memcpy(&params[1], &x, sizeof(x));
		l.grid[0] = 1;
		CHECK_EQ(sg_launch(kernel, &l, &fault), 0);
		CHECK(out[0] == exp2f(x));
	}
}

/* Lanes that leave a loop, which is the end for them, stay away: out[i] counts what was done at
 * i. */
TEST(who_left_a_loop_does_not_come_back)
{
	struct sg_kernel *kernel = kernel_get(
	    module_load(PTX_HEAD
		".visible .entry k(.param .u64 in, .param .u64 out, .param .u64 n) {\n"
		".reg .b64 %d<6>; .reg .b32 %r<6>; .reg .pred %p;\n"
		"ld.param.u64 %d0, [in]; ld.param.u64 %d1, [out]; ld.param.u32 %r0, [n]; "
		"mov.u32 %r1, %tid.x; setp.ge.s32 %p, %r1, %r0; @%p bra END;\n"
		"LOOP: mul.wide.s32 %d2, %r1, 4; add.s64 %d3, %d0, %d2; ld.global.b32 %r2, [%d3];\n"
		"add.s64 %d4, %d1, %d2; ld.global.b32 %r3, [%d4]; add.s32 %r3, %r3, %r2;\n"
		"st.global.b32 [%d4], %r3; add.s32 %r1, %r1, 32; setp.lt.s32 %p, %r1, %r0;\n"
		"@%p bra LOOP;\nEND: ret; }\n"),
	    "k");

	for (uint32_t n = 1; n < 100; n++) {
		uint32_t *in = device_alloc(512), *out = device_alloc(512);
		uint64_t params[] = {(uint64_t)in, (uint64_t)out, n};

		for (uint32_t i = 0; i < 128; i++)
			in[i] = i + 1;
		launch_fine(kernel, 1, 32, params, 3);
		for (uint32_t i = 0; i < 128; i++)
			CHECK_EQ(out[i], i < n ? i + 1 : 0);
	}
}
