/* Loops in which threads try again and loops in which they wait, in kernels that run in step. */
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
