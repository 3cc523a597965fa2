/* Loops in which threads try again and loops in which they wait, in kernels that run in step. */
#include "softgpu/exec/module-private.h"
#include "softgpu/exec/test-machine.h"

#define ROWS 32

static void launch_rows(const char *text, uint32_t row, const uint64_t *params, size_t size)
{
	struct sg_launch l = {
	    .grid = {2, 1, 1}, .block = {row, ROWS, 1}, .params = params, .params_size = size};
	struct sg_fault fault;

	if (sg_launch(kernel_get(module_load(text), "k"), &l, &fault))
		test_fail(__FILE__, __LINE__, "%s", fault.message);
}

/*
 * As sparse solvers have it: each row of threads halves one number, which all of it read before the
 * first of it writes, and takes it from others by compare and swap. The rows meet between rounds,
 * and are of different lengths. Only threads in step read before any of them writes.
 */
#define HALVES                                                                                     \
	PTX_HEAD                                                                                   \
	".visible .entry k(.param .u64 own, .param .u64 sum) {\n"                                  \
	".reg .b64 %o, %s, %a, %was, %now, %got; .reg .f64 %v, %x, %y; .reg .pred %p<3>;\n"        \
	".reg .b32 %r<5>;\n"                                                                       \
	"ld.param.u64 %o, [own]; ld.param.u64 %s, [sum];\n"                                        \
	"mov.u32 %r0, %tid.x; mov.u32 %r1, %tid.y; mov.u32 %r2, %ctaid.x;\n"                       \
	"mov.u32 %r3, %ntid.y; mad.lo.u32 %r2, %r2, %r3, %r1;\n"                                   \
	"mul.wide.u32 %a, %r2, 8; add.s64 %o, %o, %a; mov.u32 %r4, 0;\n"                           \
	"mul.wide.u32 %a, %r0, 8; add.s64 %s, %s, %a;\n"                                           \
	"ROUND: ld.volatile.global.f64 %v, [%o]; div.rn.f64 %v, %v, 0d4000000000000000;\n"         \
	"setp.ne.u32 %p0, %r0, 0; @%p0 bra READ; st.volatile.global.f64 [%o], %v;\n"               \
	"READ: ld.global.f64 %x, [%s];\n"                                                          \
	"AGAIN: mov.b64 %was, %x; sub.f64 %y, %x, %v; mov.b64 %now, %y;\n"                         \
	"atom.relaxed.global.cas.b64 %got, [%s], %was, %now;\n"                                    \
	"setp.ne.s64 %p1, %got, %was; mov.b64 %x, %got; @%p1 bra AGAIN;\n"                         \
	"bar.sync 0; add.u32 %r4, %r4, 1; setp.le.u32 %p2, %r4, %r1; @%p2 bra ROUND;\n"            \
	"ret; }\n"

static void check_halves(uint32_t row)
{
	double *own = device_alloc(2 * ROWS * sizeof(*own)),
	       *sum = device_alloc(row * sizeof(*sum));
	uint64_t params[] = {(uint64_t)own, (uint64_t)sum};
	double expected = 0;

	setenv("SOFTGPU_LANES", "32", 1);
	for (unsigned i = 0; i < 2 * ROWS; i++)
		own[i] = 0x1p40;
	for (unsigned i = 0; i < 2 * ROWS; i++)
		for (unsigned round = 0; round <= i % ROWS; round++)
			expected -= 0x1p39 / (double)(UINT64_C(1) << round);
	launch_rows(HALVES, row, params, sizeof(params));
	for (unsigned i = 0; i < 2 * ROWS; i++)
		CHECK(own[i] == 0x1p39 / (double)(UINT64_C(1) << i % ROWS));
	for (unsigned i = 0; i < row; i++)
		CHECK(sum[i] == expected);
}

TEST(rows_that_try_again_run_in_step)
{
	check_halves(8);
	check_halves(16);
	check_halves(32);
}

/* All threads add to one number with what other threads leave in between. */
TEST(every_lane_gets_its_turn)
{
	float *sum = device_alloc(sizeof(*sum));
	uint64_t params[] = {(uint64_t)sum};

	launch_rows(PTX_HEAD
	    ".visible .entry k(.param .u64 sum) {\n"
	    ".reg .b64 %s; .reg .f32 %x; .reg .b32 %was, %now, %got; .reg .pred %p;\n"
	    "ld.param.u64 %s, [sum]; ld.global.b32 %got, [%s];\n"
	    "AGAIN: mov.b32 %was, %got; mov.b32 %x, %was; add.f32 %x, %x, 0f3f800000;\n"
	    "mov.b32 %now, %x; atom.global.cas.b32 %got, [%s], %was, %now;\n"
	    "setp.eq.b32 %p, %was, %got; @!%p bra AGAIN; ret; }\n",
	    32, params, sizeof(params));
	CHECK(*sum == 2 * 32 * ROWS);
}

/* Each thread waits for the number that the one before it leaves, lanes of one warp among them, and
 * leaves the next. The last lanes must not run in step with the first. */
#define TURNS(wait)                                                                                \
	PTX_HEAD ".visible .entry k(.param .u64 turn) {\n"                                         \
		 ".reg .b64 %t, %a; .reg .b32 %r<3>, %was, %got; .reg .pred %p;\n"                 \
		 "ld.param.u64 %t, [turn]; mov.u32 %r0, %ctaid.x; mul.wide.u32 %a, %r0, 4;\n"      \
		 "add.s64 %t, %t, %a; mov.u32 %r0, %tid.x; mov.u32 %r1, %tid.y;\n"                 \
		 "mov.u32 %r2, %ntid.x; mad.lo.u32 %r2, %r1, %r2, %r0;\n" wait                     \
		 "setp.ne.b32 %p, %got, %r2; @%p bra AGAIN;\n"                                     \
		 "add.u32 %r2, %r2, 1; atom.global.exch.b32 %was, [%t], %r2; ret; }\n"

static void check_turns(const char *text)
{
	uint32_t *turn = device_alloc(2 * sizeof(*turn));
	uint64_t params[] = {(uint64_t)turn};

	launch_rows(text, 32, params, sizeof(params));
	CHECK_EQ(turn[0], 32 * ROWS);
	CHECK_EQ(turn[1], 32 * ROWS);
}

TEST(turns_by_compare_and_swap_are_waited_for)
{
	check_turns(
	    TURNS("mov.b32 %got, 0;\n"
		  "AGAIN: mov.b32 %was, %got; atom.global.cas.b32 %got, [%t], %was, %was;\n"));
}

/* Which is how some programs read what others write. */
TEST(turns_by_additions_of_nothing_are_waited_for)
{
	check_turns(TURNS("AGAIN: atom.global.add.u32 %got, [%t], 0;\n"));
}

static uint32_t width_that_ran(const struct sg_kernel *kernel)
{
	for (unsigned i = 0; i < MOST_VARIANTS; i++)
		if (kernel->variants[i].code)
			return kernel->variants[i].width;
	test_fail(__FILE__, __LINE__, "no variant was compiled");
}

/* How many threads ran in step. */
static uint32_t run_with_lanes(const char *text, const char *lanes, uint32_t blocks,
    uint32_t threads, const uint64_t *params, size_t n_params)
{
	struct sg_kernel *kernel;

	setenv("SOFTGPU_LANES", lanes, 1);
	kernel = kernel_get(module_load(text), "k");
	launch_fine(kernel, blocks, threads, params, n_params);
	return width_that_ran(kernel);
}

/*
 * One thread of each block waits for the block before, then all do their part. The last thread to
 * stand by for it lets the next block go on.
 */
TEST(one_thread_waits_for_another_block)
{
	enum { BLOCKS = 100 };
	static const char text[] = PTX_HEAD
	    ".visible .entry k(.param .u64 data, .param .u64 turn) {\n"
	    ".reg .b64 %d, %t, %a; .reg .b32 %r<6>; .reg .pred %p, %q;\n"
	    "ld.param.u64 %d, [data]; ld.param.u64 %t, [turn]; mov.u32 %r0, %tid.x;\n"
	    "mov.u32 %r1, %ctaid.x; setp.ne.u32 %p, %r0, 0; @%p bra BEGUN;\n"
	    "AGAIN: nanosleep.u32 20; ld.acquire.gpu.global.u32 %r2, [%t];\n"
	    "setp.ne.u32 %q, %r2, %r1; @%q bra AGAIN; BEGUN: bar.sync 0;\n"
	    "xor.b32 %r3, %r0, 63; mul.wide.u32 %a, %r3, 4; add.u64 %a, %a, %d;\n"
	    "ld.global.u32 %r4, [%a]; bar.sync 0; mul.wide.u32 %a, %r0, 4; add.u64 %a, %a, %d;\n"
	    "mad.lo.u32 %r4, %r4, 3, %r0; st.global.u32 [%a], %r4; bar.sync 0;\n"
	    "setp.ne.u32 %p, %r0, 63; @%p ret; fence.acq_rel.gpu; add.u32 %r1, %r1, 1;\n"
	    "st.release.gpu.global.u32 [%t], %r1; ret; }\n";
	uint32_t *data = device_alloc(64 * 4), *turn = device_alloc(4), want[64] = {0};
	uint64_t params[] = {(uint64_t)data, (uint64_t)turn};

	CHECK(run_with_lanes(text, "32", BLOCKS, 64, params, 2) == 32);
	for (int round = 0; round < BLOCKS; round++) {
		uint32_t before[64];

		memcpy(before, want, sizeof(want));
		for (uint32_t i = 0; i < 64; i++)
			want[i] = before[i ^ 63] * 3 + i;
	}
	CHECK_BYTES(data, want, sizeof(want));
}

/* As in a triangular solve: each lane waits for so many numbers of rows before, which are other
 * warps', then the warp adds up, and its first lane leaves the row's. */
TEST(lanes_wait_for_rows_of_other_warps)
{
	enum { ROWS_BEFORE = 90, WARPS = 4, BLOCKS = 50 };
	static const char text[] = PTX_HEAD
	    ".visible .entry k(.param .u64 rows) {\n"
	    ".reg .b64 %d, %a; .reg .b32 %r<9>; .reg .pred %p, %q; ld.param.u64 %d, [rows];\n"
	    "mov.u32 %r0, %tid.x; mov.u32 %r1, %ctaid.x; shr.u32 %r2, %r0, 5;\n"
	    "mad.lo.u32 %r1, %r1, 4, %r2; and.b32 %r0, %r0, 31; mov.u32 %r3, 0;\n"
	    "sub.u32 %r4, %r1, %r0; add.s32 %r4, %r4, -1; sub.s32 %r5, %r1, 90; max.s32 %r5, %r5, "
	    "0;"
	    "\nsetp.lt.s32 %p, %r4, %r5; @%p bra ADD;\n"
	    "NEXT: mul.wide.s32 %a, %r4, 4; add.s64 %a, %a, %d;\n"
	    "AGAIN: ld.volatile.global.u32 %r6, [%a]; setp.eq.u32 %q, %r6, 0; @%q bra AGAIN;\n"
	    "add.u32 %r3, %r3, %r6; add.s32 %r4, %r4, -32; setp.ge.s32 %p, %r4, %r5; @%p bra "
	    "NEXT;\n"
	    "ADD: shfl.sync.bfly.b32 %r7, %r3, 16, 31, -1; add.u32 %r3, %r3, %r7;\n"
	    "shfl.sync.bfly.b32 %r7, %r3, 8, 31, -1; add.u32 %r3, %r3, %r7;\n"
	    "shfl.sync.bfly.b32 %r7, %r3, 4, 31, -1; add.u32 %r3, %r3, %r7;\n"
	    "shfl.sync.bfly.b32 %r7, %r3, 2, 31, -1; add.u32 %r3, %r3, %r7;\n"
	    "shfl.sync.bfly.b32 %r7, %r3, 1, 31, -1; add.u32 %r3, %r3, %r7;\n"
	    "setp.ne.u32 %p, %r0, 0; @%p bra END; or.b32 %r3, %r3, 1; mul.wide.u32 %a, %r1, 4;\n"
	    "add.u64 %a, %a, %d; st.volatile.global.u32 [%a], %r3; END: ret; }\n";
	uint32_t *rows = device_alloc(BLOCKS * WARPS * 4), want[BLOCKS * WARPS];
	uint64_t params[] = {(uint64_t)rows};

	CHECK(run_with_lanes(text, "32", BLOCKS, WARPS * 32, params, 1) == 32);
	for (int row = 0; row < BLOCKS * WARPS; row++) {
		want[row] = 0;
		for (int i = MAX(row - ROWS_BEFORE, 0); i < row; i++)
			want[row] += want[i];
		want[row] |= 1;
	}
	CHECK_BYTES(rows, want, sizeof(want));
}

/* Thread 0 waits for a word that the last of so many threads writes when it has met others. */
#define LAST_WRITES(meet)                                                                          \
	PTX_HEAD ".visible .entry k(.param .u64 word) {\n"                                         \
		 ".reg .b64 %w; .reg .b32 %r<5>; .reg .pred %p<3>;\n"                              \
		 "ld.param.u64 %w, [word]; mov.u32 %r0, %tid.x; mov.u32 %r4, %ntid.x;\n"           \
		 "sub.u32 %r4, %r4, 1; setp.ne.u32 %p0, %r0, 0; @%p0 bra OTHERS;\n"                \
		 "AGAIN: ld.volatile.global.u32 %r1, [%w]; setp.eq.u32 %p1, %r1, 0;\n"             \
		 "@%p1 bra AGAIN; bra END; OTHERS: " meet "setp.ne.u32 %p2, %r0, %r4;\n"           \
		 "@%p2 bra END; st.volatile.global.u32 [%w], 7; END: bar.sync 0; ret; }\n"

static void check_last_writes(const char *text, const char *lanes, uint32_t threads)
{
	uint32_t *word = device_alloc(4);
	uint64_t params[] = {(uint64_t)word};

	run_with_lanes(text, lanes, 1, threads, params, 1);
	CHECK_EQ(*word, 7);
}

/* It must not wait for those to meet it. */
TEST(lanes_wait_for_lanes_of_their_own)
{
	check_last_writes(LAST_WRITES(""), "32", 32);
	check_last_writes(LAST_WRITES("bar.warp.sync 0xfffffffe;"), "32", 32);
	check_last_writes(LAST_WRITES("shfl.sync.bfly.b32 %r2, %r0, 1, 31, 0xfffffffe;"), "32", 32);
	check_last_writes(LAST_WRITES("setp.lt.u32 %p2, %r0, 32; @%p2 bra END;"
				      "shfl.sync.bfly.b32 %r2, %r0, 1, 31, -1;"),
	    "64", 64);
	check_last_writes(LAST_WRITES("setp.lt.u32 %p2, %r0, 32; @%p2 bra END;"
				      "bar.sync 1, 32;"),
	    "64", 64);
}
