/* The analyses of the warp machine: shapes of values, where lanes part, what they must keep. */
#include "base/test.h"
#include "softgpu/jit/warp/facts.h"
#include "softgpu/jit/warp/widen.h"

/* Registers of the kernels below, by number. */
enum { P0, P1, R0, R1, R2, R3, R4, D0, D1 };

static struct ptx_unit *unit;
static struct facts facts;

/* Facts of a kernel of so many lanes in rows, whose body is given. */
static bool analyse_rows(const char *body, uint32_t width, uint32_t row)
{
	static char text[4096];
	struct ptx_error error;

	snprintf(text, sizeof(text),
	    ".version 8.0\n.target sm_80\n.address_size 64\n"
	    ".visible .entry k(.param .u64 a, .param .u32 n) {\n"
	    ".reg .pred %%p<2>; .reg .b32 %%r<5>; .reg .b64 %%d<2>;\n%s\nret; }\n",
	    body);
	unit = ptx_parse("test", text, strlen(text), &error);
	if (!unit)
		test_fail(__FILE__, __LINE__, "line %u: %s", error.line, error.text);
	return facts_init(&facts, unit->functions, width, row);
}

static bool analyse(const char *body)
{
	return analyse_rows(body, 32, 32);
}

static void finish(void)
{
	facts_fini(&facts);
	ptx_unit_free(unit);
}

static bool is_uniform(uint32_t value)
{
	return shape_is_uniform(shape_of_value(&facts, value));
}

static bool is_linear(uint32_t value, int64_t stride)
{
	struct shape shape = shape_of_value(&facts, value);

	return shape.kind == SHAPE_LINEAR && shape.stride == stride;
}

static bool varies(uint32_t value)
{
	return shape_of_value(&facts, value).kind == SHAPE_VARYING;
}

TEST(addresses_of_consecutive_threads_are_linear)
{
	CHECK(analyse("mov.u32 %r0, %ctaid.x; mov.u32 %r1, %ntid.x; mov.u32 %r2, %tid.x;\n"
		      "mad.lo.s32 %r3, %r0, %r1, %r2; ld.param.u64 %d0, [a];\n"
		      "mul.wide.s32 %d1, %r3, 4; add.s64 %d1, %d1, %d0; ld.global.u32 %r4, [%d1];\n"
		      "setp.lt.s32 %p0, %r3, %r1; setp.lt.u32 %p1, %r2, 64;"));
	CHECK(is_uniform(R0) && is_uniform(R1) && is_uniform(D0));
	CHECK(is_linear(R2, 1) && is_linear(R3, 1) && is_linear(D1, 4));
	CHECK_EQ(shape_of_value(&facts, D1).wrap, INT64_C(4) << 32);
	CHECK(varies(R4) && varies(P0));
	CHECK(is_uniform(P1)); /* whole warps are below 64 */
	finish();
}

TEST(what_is_read_early)
{
	CHECK(analyse("mov.u32 %r0, %tid.x; setp.lt.u32 %p0, %r0, 10;\n"
		      "@%p0 mov.u32 %r1, 1; @%p0 bra L; mov.u32 %r2, 2; mov.u32 %r3, 3; bra M;\n"
		      "L: mov.u32 %r3, 4;\n"
		      "M: add.u32 %r4, %r1, %r2; add.u32 %r4, %r4, %r3;"));
	CHECK(!flow_reads_early(&facts.flow, R0) && !flow_reads_early(&facts.flow, P0));
	CHECK(flow_reads_early(&facts.flow, R1));  /* written under a predicate */
	CHECK(flow_reads_early(&facts.flow, R2));  /* written on one of two ways */
	CHECK(!flow_reads_early(&facts.flow, R3)); /* on both */
	CHECK(!flow_reads_early(&facts.flow, R4) && !flow_reads_early(&facts.flow, D0));
	finish();
}

/* Four rows of 32: what has tid.y in it has a base per row, whatever it was multiplied with. */
TEST(rows_of_lanes_have_bases)
{
	struct shape shape;

	CHECK(analyse_rows(
	    "mov.u32 %r0, %tid.y; mov.u32 %r1, %tid.x; ld.param.u32 %r2, [n];\n"
	    "mad.lo.s32 %r3, %r0, %r2, %r1; ld.param.u64 %d0, [a];\n"
	    "mul.wide.s32 %d1, %r3, 4; add.s64 %d1, %d1, %d0; ld.global.u32 %r4, [%d1];\n"
	    "setp.lt.u32 %p0, %r0, 2; setp.lt.u32 %p1, %r1, 32;",
	    128, 32));
	CHECK(shape_is_flat(shape_of_value(&facts, R0)) && !is_uniform(R0));
	CHECK(is_linear(R1, 1) && !shape_of_value(&facts, R1).by_row);
	CHECK(is_uniform(R2));
	shape = shape_of_value(&facts, D1);
	CHECK(is_linear(R3, 1) && is_linear(D1, 4) && shape.by_row);
	CHECK_EQ(shape.wrap, INT64_C(4) << 32);
	CHECK(varies(R4));
	CHECK(shape_is_flat(shape_of_value(&facts, P0)) && !is_uniform(P0));
	CHECK(is_uniform(P1));
	finish();
}

/* Beyond one warp, the number in the warp starts again every 32 lanes. */
TEST(numbers_in_several_warps)
{
	CHECK(analyse_rows("mov.u32 %r0, %laneid; mov.u32 %r1, %warpid; mov.u32 %r2, %tid.x;\n"
			   "shr.u32 %r3, %r2, 5; shr.u32 %r4, %r2, 8;",
	    256, 256));
	CHECK(varies(R0) && varies(R1) && varies(R3));
	CHECK(is_linear(R2, 1) && is_uniform(R4));
	finish();
	CHECK(analyse_rows(
	    "mov.u32 %r0, %laneid; and.b32 %r1, %r0, 24; shr.u32 %r2, %r0, 3;", 32, 8));
	CHECK(is_linear(R0, 1) && shape_of_value(&facts, R0).by_row);
	CHECK(
	    shape_is_flat(shape_of_value(&facts, R1)) && shape_is_flat(shape_of_value(&facts, R2)));
	finish();
}

TEST(parts_of_a_thread_number)
{
	CHECK(analyse("mov.u32 %r0, %tid.x; shr.u32 %r1, %r0, 5; and.b32 %r2, %r0, 31;\n"
		      "and.b32 %r3, %r0, 3; mov.u32 %r4, 64; mul.lo.u32 %r4, %r0, 12;"));
	CHECK(is_uniform(R1));
	CHECK(is_linear(R2, 1));
	CHECK(varies(R3));
	finish();
}

/* Both arms write it, and it is wanted behind them. */
TEST(values_joined_behind_a_divergent_branch_vary)
{
	CHECK(analyse("mov.u32 %r0, %laneid; setp.lt.u32 %p0, %r0, 5; @%p0 bra A; mov.u32 %r1, 1;\n"
		      "bra B; A: mov.u32 %r1, 2; B: add.u32 %r2, %r1, 1;"));
	CHECK(varies(R1) && varies(R2));
	CHECK(facts.splits != NULL);
	finish();
	CHECK(analyse("ld.param.u32 %r0, [n]; setp.lt.u32 %p0, %r0, 5; @%p0 bra A;\n"
		      "mov.u32 %r1, 1; bra B; A: mov.u32 %r1, 2; B: add.u32 %r2, %r1, 1;"));
	CHECK(is_uniform(R1) && is_uniform(R2));
	CHECK(facts.splits == NULL);
	finish();
}

/* A counter inside a divergent region that nobody outside wants stays the same for all. */
TEST(loops_in_a_divergent_region_stay_uniform)
{
	CHECK(analyse("mov.u32 %r0, %laneid; setp.gt.u32 %p0, %r0, 5; @%p0 bra OUT;\n"
		      "mov.u32 %r1, 0; L: add.u32 %r1, %r1, 1; setp.lt.u32 %p1, %r1, 9;\n"
		      "@%p1 bra L; OUT: mov.u32 %r2, 0;"));
	CHECK(is_uniform(R1) && is_uniform(P1));
	finish();
}

/* Lanes leave the loop in different rounds: what it counted differs afterwards. */
TEST(loops_left_at_different_times_make_values_vary)
{
	CHECK(analyse("mov.u32 %r0, %laneid; mov.u32 %r1, 0; mov.u32 %r3, 0;\n"
		      "L: add.u32 %r1, %r1, 1; add.u32 %r3, %r3, 1; setp.lt.u32 %p0, %r1, %r0;\n"
		      "@%p0 bra L; add.u32 %r2, %r1, 1;"));
	CHECK(varies(R1) && varies(R2));
	CHECK(is_uniform(R3)); /* nobody asks for it */
	CHECK(bits_has(facts.mixed, R1));
	finish();
}

/* Lanes may wait at OUT without having come to J, where others write what they still want. */
TEST(lanes_that_pass_by_a_join_keep_their_values)
{
	CHECK(analyse("mov.u32 %r0, %laneid; mov.u32 %r1, 7; ld.param.u32 %r2, [n];\n"
		      "setp.lt.u32 %p0, %r0, 5; setp.ne.u32 %p1, %r2, 0; @%p0 bra A; bra J;\n"
		      "A: add.u32 %r3, %r0, 1; @%p1 bra OUT;\n"
		      "J: mov.u32 %r1, 8; OUT: add.u32 %r4, %r1, 1;"));
	CHECK(varies(R1) && bits_has(facts.mixed, R1));
	finish();
}

/* The branch's postdominator lies a round later for some: they meet at the latch before. */
TEST(lanes_meet_round_by_round)
{
	CHECK(analyse(
	    "mov.u32 %r0, %laneid; mov.u32 %r1, 0; mov.u32 %r2, 0; setp.lt.u32 %p0, %r0, 5;\n"
	    "L: @%p0 bra B; add.u32 %r1, %r1, 1; setp.lt.u32 %p1, %r1, 2; @%p1 bra L;\n"
	    "B: add.u32 %r2, %r2, 1; setp.lt.u32 %p1, %r2, 4; @%p1 bra L;\n"
	    "add.u32 %r3, %r2, 1;"));
	CHECK(varies(R2));
	finish();
}

TEST(loops_with_several_entries_are_refused)
{
	CHECK(!analyse("ld.param.u32 %r0, [n]; setp.lt.u32 %p0, %r0, 5; @%p0 bra B;\n"
		       "A: add.u32 %r0, %r0, 1; B: setp.lt.u32 %p1, %r0, 9; @%p1 bra A;"));
	CHECK_STR(facts.flow.reason, "a loop has several entries");
	finish();
}

TEST(a_loop_has_one_latch_at_its_end)
{
	CHECK(
	    analyse("mov.u32 %r0, 0; L: add.u32 %r0, %r0, 1; setp.eq.u32 %p0, %r0, 3; @%p0 bra L;\n"
		    "setp.lt.u32 %p1, %r0, 9; @%p1 bra L;"));
	CHECK_EQ(facts.flow.n_loops, 1);
	for (uint32_t b = 0; b < facts.flow.n_blocks; b++)
		if (bits_has(facts.flow.loops[0].blocks, b))
			CHECK(facts.flow.blocks[b].place <=
			      facts.flow.blocks[facts.flow.loops[0].latch].place);
	finish();
}

static bool load_vector(void *context, const char *result, const char *type, const char *slot)
{
	struct widen *widen = context;

	text_format(widen->out, "  %s = load <4 x %s>, ptr %s\n", result, type, slot);
	return strcmp(slot, "%r0") == 0;
}

static void store_any(
    void *context, const char *type, const char *value, bool is_vector, const char *slot)
{
	struct widen *widen = context;

	text_format(
	    widen->out, "  store %s %s, ptr %s\n", is_vector ? "vector" : type, value, slot);
}

static bool no_vector(void *context, const char *name)
{
	return false;
}

TEST(one_lanes_text_is_made_wide)
{
	static const char lines[] = "  %t0 = load i32, ptr %r0\n"
				    "  %t1 = call i32 @llvm.umin.i32(i32 %t0, i32 %t0)\n"
				    "  store i32 %t1, ptr %r2\n";
	struct widen widen;
	struct widen_slots slots = {load_vector, store_any, no_vector, ".v", &widen};
	struct text out = {0}, program = {0};

	widen_init(&widen, 4, 'w', &slots);
	widen.out = &out;
	CHECK(widen_lines(&widen, lines, sizeof(lines) - 1));
	CHECK_STR(out.bytes,
	    "  %t0 = load <4 x i32>, ptr %r0\n"
	    "  %t1 = call <4 x i32> @llvm.umin.v4i32(<4 x i32> %t0, <4 x i32> %t0)\n"
	    "  store vector %t1, ptr %r2\n");
	CHECK(!widen_lines(&widen, "  br label %b1\n", 15));
	widen_finish(&widen, &program);
	CHECK_STR(program.bytes, "declare <4 x i32> @llvm.umin.v4i32(<4 x i32>, <4 x i32>)\n");
	text_fini(&out);
	text_fini(&program);
	widen_fini(&widen);
}

/* A loop of lanes that leave it at different times, so that all of it may run without some, which
 * write something then. */
#define PARTIAL_LOOP(body)                                                                         \
	"ld.param.u64 %d0, [a]; mov.u32 %r0, %tid.x; mov.u32 %r1, 0; mov.u32 %r4, 0;\n"            \
	"L: " body "add.u32 %r1, %r1, 1; setp.lt.u32 %p0, %r1, %r0; @%p0 bra L;\n"                 \
	"st.global.u32 [%d0+8], %r1;\n"

static bool spins_in(const char *body, uint32_t width)
{
	bool spins;

	CHECK(analyse_rows(body, width, 32));
	spins = facts.spins;
	finish();
	return spins;
}

static bool spins(const char *body)
{
	return spins_in(body, 32);
}

TEST(reads_that_decide_on_a_loop_may_wait)
{
	CHECK(!spins(PARTIAL_LOOP("ld.volatile.global.u32 %r2, [%d0]; st.global.u32 [%d0], %r2;")));
	CHECK(!spins(PARTIAL_LOOP("atom.global.exch.b32 %r2, [%d0], %r1; add.u32 %r4, %r4, %r2;")));
	CHECK(spins(PARTIAL_LOOP("ld.volatile.global.u32 %r2, [%d0]; setp.ne.u32 %p1, %r2, 7;"
				 "selp.u32 %r1, %r1, 64, %p1;")));
	CHECK(spins(PARTIAL_LOOP("ld.acquire.gpu.global.u32 %r2, [%d0]; mov.u32 %r3, %r2;"
				 "st.u32 [%d0], %r3;")));
	CHECK(spins(PARTIAL_LOOP("M: atom.global.exch.b32 %r2, [%d0], 1;"
				 "setp.ne.u32 %p1, %r2, 0; @%p1 bra M;")));
	CHECK(spins(PARTIAL_LOOP("nanosleep.u32 20;")));
	CHECK(spins(PARTIAL_LOOP("M: atom.global.add.u32 %r2, [%d0], 0;"
				 "setp.ne.u32 %p1, %r2, 7; @%p1 bra M;")));
	CHECK(spins(PARTIAL_LOOP("mov.b32 %r3, 0; M: atom.global.or.b32 %r2, [%d0], %r3;"
				 "setp.ne.u32 %p1, %r2, 7; @%p1 bra M;")));
	CHECK(!spins(PARTIAL_LOOP("M: atom.global.add.u32 %r2, [%d0], 1;"
				  "setp.ne.u32 %p1, %r2, 7; @%p1 bra M;")));
}

/* It waits for nobody when it wants what it found, of one place, and stops when it has it. */
TEST(compare_and_swap_that_is_tried_again)
{
	CHECK(!spins(PARTIAL_LOOP("M: mov.b32 %r3, %r4; add.u32 %r2, %r3, 1;"
				  "atom.global.cas.b32 %r4, [%d0], %r3, %r2;"
				  "setp.ne.b32 %p1, %r4, %r3; @%p1 bra M;")));
	CHECK(!spins(PARTIAL_LOOP("M: mov.b32 %r3, %r4; atom.global.cas.b32 %r4, [%d0], %r3, 1;"
				  "setp.eq.b32 %p1, %r3, %r4; @!%p1 bra M;")));
	/* A lock; until something else than success; until it fails; wherever the lane looks. */
	CHECK(spins(PARTIAL_LOOP("M: atom.global.cas.b32 %r4, [%d0], %r3, 1;"
				 "setp.ne.b32 %p1, %r4, %r3; @%p1 bra M;")));
	CHECK(spins(PARTIAL_LOOP("M: mov.b32 %r3, %r4; atom.global.cas.b32 %r4, [%d0], %r3, %r3;"
				 "setp.ne.b32 %p1, %r4, %r0; @%p1 bra M;")));
	CHECK(spins(PARTIAL_LOOP("M: mov.b32 %r3, %r4; atom.global.cas.b32 %r4, [%d0], %r3, %r3;"
				 "setp.eq.b32 %p1, %r4, %r3; @%p1 bra M;")));
	CHECK(spins(PARTIAL_LOOP("M: mov.b32 %r3, %r4; add.s64 %d0, %d0, 4;"
				 "atom.global.cas.b32 %r4, [%d0], %r3, 1;"
				 "setp.ne.b32 %p1, %r4, %r3; @%p1 bra M;")));
	/* Of its result comes whether an outer loop goes on. */
	CHECK(spins(PARTIAL_LOOP("M: mov.b32 %r3, %r4; atom.global.cas.b32 %r4, [%d0], %r3, 1;"
				 "setp.ne.b32 %p1, %r4, %r3; @%p1 bra M; max.u32 %r1, %r1, %r4;")));
}

#define WAIT "M: ld.volatile.global.u32 %r2, [%d0]; setp.eq.u32 %p1, %r2, 0; @%p1 bra M;\n"

/* Lane 0 does something while the others stand by for the rest. */
#define FIRST_LANE(body, rest)                                                                     \
	"ld.param.u64 %d0, [a]; mov.u32 %r0, %tid.x; setp.ne.u32 %p0, %r0, 0; @%p0 bra N;\n" body  \
	"N: " rest
#define WRITE "st.global.u32 [%d0+8], %r0;"

static bool waits(const char *body)
{
	bool waits;

	CHECK(analyse(body));
	waits = facts.waits && !facts.spins;
	finish();
	return waits;
}

/* It cannot be them that the loop waits for, if they write nothing before they meet its lanes. */
TEST(lanes_that_stand_by)
{
	CHECK(waits(FIRST_LANE(WAIT, "bar.sync 0;" WRITE)));
	CHECK(waits(FIRST_LANE("atom.global.add.u32 %r3, [%d0], 1;" WAIT, "bar.sync 0;" WRITE)));
	CHECK(waits(FIRST_LANE(WAIT, "bar.red.popc.u32 %r3, 0, %p0;" WRITE)));
	CHECK(waits(FIRST_LANE(WAIT, "vote.sync.ballot.b32 %r3, %p0, -1;" WRITE)));
	CHECK(waits(FIRST_LANE(WAIT, "mov.u32 %r3, -1; bar.warp.sync %r3;" WRITE)));
	CHECK(waits(FIRST_LANE(WAIT, "ld.global.u32 %r3, [%d0]; fence.sc.gpu;")));
	CHECK(waits(FIRST_LANE("M: nanosleep.u32 20; ld.acquire.gpu.global.u32 %r2, [%d0];"
			       "setp.eq.u32 %p1, %r2, 0; @%p1 bra M;",
	    "bar.sync 0;" WRITE)));
	CHECK(spins(FIRST_LANE(WAIT, WRITE "bar.sync 0;")));
	CHECK(spins(FIRST_LANE(WAIT "bra O;", WRITE "O: bar.sync 0;")));
	CHECK(spins(FIRST_LANE(WAIT, "@%p0 bar.sync 0;" WRITE)));
	CHECK(spins(FIRST_LANE(WAIT, "bar.sync 1, 64;" WRITE)));
	CHECK(spins(FIRST_LANE(WAIT, "bar.arrive 1, 64; bar.sync 0;")));
	CHECK(spins(FIRST_LANE(WAIT, "bar.warp.sync %r0;" WRITE)));
	CHECK(spins(FIRST_LANE(WAIT, "bar.warp.sync 254;" WRITE)));
	CHECK(spins(FIRST_LANE(WAIT, "red.global.add.u32 [%d0], 1;")));
	/* Lanes of several warps do not meet at a warp's barrier. */
	CHECK(!spins_in(FIRST_LANE(WAIT, "bar.sync 0;" WRITE), 64));
	CHECK(spins_in(FIRST_LANE(WAIT, "bar.warp.sync -1;" WRITE), 64));
}

/* In shared memory it matters to loops that wait there, whoever goes round them. */
TEST(writes_to_shared_memory_of_lanes_that_stand_by)
{
#define WRITE_SHARED "st.shared.u32 [16], %r0;"
#define LOOP_ON(space)                                                                             \
	"O: ld.volatile" space "u32 %r3, [16]; setp.eq.u32 %p1, %r3, 0; @%p1 bra O;\n"
	CHECK(waits(FIRST_LANE(WAIT, WRITE_SHARED "bar.sync 0;" WRITE)));
	CHECK(waits(FIRST_LANE(WAIT, WRITE_SHARED "bar.sync 0;" LOOP_ON(".global."))));
	CHECK(waits(FIRST_LANE(WAIT, WRITE_SHARED "ld.volatile.shared.u32 %r3, [16];")));
	CHECK(spins(FIRST_LANE(WAIT, WRITE_SHARED "bar.sync 0;" LOOP_ON(".shared."))));
	CHECK(spins(FIRST_LANE(WAIT, WRITE_SHARED "bar.sync 0;" LOOP_ON("."))));
	CHECK(spins(FIRST_LANE(WAIT, "st.shared::cluster.u32 [16], %r0;")));
}

/* What a loop waits for may be written in an outer one, next round, if lanes leave it one by
 * one. */
TEST(lanes_that_stand_by_in_a_loop)
{
#define OWN_PLACES                                                                                 \
	"ld.param.u64 %d0, [a]; mov.u32 %r0, %tid.x; mov.u32 %r1, 0; mul.wide.u32 %d1, %r0, 4;\n"  \
	"add.s64 %d0, %d0, %d1;\n"
#define ROUNDS(body) "L: " body "add.u32 %r1, %r1, 1; setp.lt.u32 %p0, %r1, %r0; @%p0 bra L;\n"
	CHECK(waits(OWN_PLACES ROUNDS(WAIT) "bar.sync 0;" WRITE));
	CHECK(spins(OWN_PLACES ROUNDS(WAIT) WRITE "bar.sync 0;"));
	CHECK(spins(OWN_PLACES ROUNDS(WAIT WRITE) "bar.sync 0;"));
	CHECK(spins(OWN_PLACES ROUNDS(WRITE WAIT) "bar.sync 0;"));
}

/* A branch whose ways meet in the same round decides by what is written on them. */
TEST(branches_within_a_round)
{
	CHECK(!spins(PARTIAL_LOOP("ld.volatile.global.u32 %r2, [%d0]; setp.eq.u32 %p1, %r2, 7;"
				  "@%p1 bra M; add.u32 %r4, %r4, 1; M:")));
	CHECK(spins(PARTIAL_LOOP("ld.volatile.global.u32 %r2, [%d0]; setp.eq.u32 %p1, %r2, 7;"
				 "@%p1 bra M; mov.u32 %r1, 64; M:")));
	CHECK(spins(PARTIAL_LOOP("ld.volatile.global.u32 %r2, [%d0]; setp.eq.u32 %p1, %r2, 7;"
				 "@%p1 bra M; bra N; M: mov.u32 %r1, 64; N:")));
	CHECK(spins(PARTIAL_LOOP("ld.volatile.global.u32 %r2, [%d0]; setp.eq.u32 %p1, %r2, 7;"
				 "@%p1 bra L;")));
}
