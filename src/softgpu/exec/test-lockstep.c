/*
 * What PTX does not promise and code counts on: that the lanes of a warp go on together. Written as
 * such code is, with no barrier between what lanes read and what others then write.
 */
#include "softgpu/exec/test-machine.h"

/* Not promised, and counted on: all lanes have read before the last one, which came last, writes.
 * So does a reduction that has no barrier between reading and writing. */
TEST(lanes_go_on_in_order)
{
	struct sg_module *module = module_load(PTX_HEAD
	    ".visible .entry k(.param .u64 out) {\n"
	    ".reg .b64 %o, %d; .reg .b32 %r<9>; .reg .pred %p, %q; .shared .u32 s[64];\n"
	    "ld.param.u64 %o, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %d, %r1, 4; add.u64 %o, "
	    "%o, %d;\n"
	    "setp.ne.u32 %p, %r1, 31; mov.u32 %r4, s; shl.b32 %r5, %r1, 2; add.u32 %r4, %r4, "
	    "%r5;\n"
	    "st.shared.u32 [%r4], %r1; st.shared.u32 [%r4+128], 0; bar.sync 0;\n"
	    "ld.volatile.shared.u32 %r2, [s]; @%p bra ON; st.volatile.shared.u32 [s], 7; ON:\n"
	    "vote.sync.ballot.b32 %r3, %p, -1; ld.volatile.shared.u32 %r6, [%r4+4];\n"
	    "st.volatile.shared.u32 [%r4], %r6; shl.b32 %r2, %r2, 16; or.b32 %r2, %r2, %r6;\n"
	    "st.global.u32 [%o], %r2; ret; }\n");
	uint32_t *out = device_alloc(32 * 4);
	uint64_t params[] = {(uint64_t)out};
	struct sg_launch l = {.grid = {1, 1, 1},
	    .block = {32, 1, 1},
	    .params = params,
	    .params_size = sizeof(params)};
	struct sg_fault fault;

	for (l.lanes = 1; l.lanes <= 32; l.lanes += 31) {
		CHECK_EQ(sg_launch(kernel_get(module, "k"), &l, &fault), 0);
		for (uint32_t i = 0; i < 32; i++)
			CHECK_EQ(out[i], i < 31 ? i + 1 : 0);
	}
}

static void launch_warps(const char *text, uint32_t threads, uint32_t lanes, uint32_t *out)
{
	uint64_t params[] = {(uint64_t)out};
	struct sg_launch l = {.grid = {1, 1, 1},
	    .block = {threads, 1, 1},
	    .lanes = lanes,
	    .params = params,
	    .params_size = sizeof(params)};
	struct sg_fault fault;

	if (sg_launch(kernel_get(module_load(text), "k"), &l, &fault))
		test_fail(__FILE__, __LINE__, "%s", fault.message);
}

#define STEP(distance)                                                                             \
	"ld.volatile.shared.u32 %r4, [%r3]; ld.volatile.shared.u32 %r5, [%r3+" distance "];\n"     \
	"add.u32 %r4, %r4, %r5; st.volatile.shared.u32 [%r3], %r4;\n"

/* A sum of 64 words by one warp of two, as before there was a barrier for warps. */
TEST(sums_by_volatile_accesses)
{
	static const char text[] = PTX_HEAD
	    ".visible .entry k(.param .u64 out) {\n"
	    ".reg .b64 %o; .reg .b32 %r<9>; .reg .pred %p; .shared .u32 s[96];\n"
	    "ld.param.u64 %o, [out]; mov.u32 %r1, %tid.x; shl.b32 %r2, %r1, 2; mov.u32 %r3, s;\n"
	    "add.u32 %r3, %r3, %r2; mad.lo.u32 %r4, %r1, %r1, 1; st.shared.u32 [%r3], %r4;\n"
	    "bar.sync 0; setp.gt.u32 %p, %r1, 31; @%p bra END;\n" STEP("128") STEP("64") STEP("32")
		STEP("16") STEP("8") STEP("4") "setp.ne.u32 %p, %r1, 0; @%p bra END; st.global.u32 "
					       "[%o], %r4; END: ret; }\n";
	uint32_t *out = device_alloc(4), want = 0;

	for (uint32_t i = 0; i < 64; i++)
		want += i * i + 1;
	for (uint32_t lanes = 1; lanes <= 32; lanes += 31) {
		*out = 0;
		launch_warps(text, 64, lanes, out);
		CHECK_EQ(*out, want);
	}
}

#define FOLD(distance)                                                                             \
	"ld.volatile.shared.u32 %r6, [%r4]; ld.volatile.shared.u32 %r7, [%r4+" distance "];\n"     \
	"min.u32 %r6, %r6, %r7; st.volatile.shared.u32 [%r4], %r6; bar.warp.sync -1;\n"

/*
 * Rows of eight lanes go on for as many rounds as theirs take. In each, all read where the row is,
 * the row's first lane clears that place, each lane says how far it can go, and the least of these
 * is where the row is next: it begins at its number, and its lanes want one, two, ... eight more.
 */
TEST(rows_that_read_what_their_first_lane_clears)
{
	static const char text[] = PTX_HEAD
	    ".visible .entry k(.param .u64 out) {\n"
	    ".reg .b64 %o, %d; .reg .b32 %r<12>; .reg .pred %p; .shared .u32 s[80];\n"
	    "ld.param.u64 %o, [out]; mov.u32 %r1, %tid.x; and.b32 %r2, %r1, 7; shr.u32 %r3, %r1, "
	    "3;\n"
	    "mul.wide.u32 %d, %r1, 4; add.u64 %o, %o, %d; mov.u32 %r4, s;\n"
	    "mad.lo.u32 %r5, %r3, 64, %r4; mad.lo.u32 %r4, %r2, 4, %r5;\n" /* the row, the lane */
	    "mov.u32 %r8, 0; add.u32 %r9, %r2, 1; setp.ne.u32 %p, %r2, 0; @%p bra BEGUN;\n"
	    "st.volatile.shared.u32 [%r5], %r3; BEGUN: bar.warp.sync -1;\n"
	    "ld.volatile.shared.u32 %r6, [%r5];\n"
	    "NEXT: setp.gt.u32 %p, %r6, 20; @%p bra DONE; mad.lo.u32 %r8, %r8, 3, %r6;\n"
	    "st.volatile.shared.u32 [%r4], 0; bar.warp.sync -1;\n"
	    "add.u32 %r7, %r6, %r9; st.volatile.shared.u32 [%r4], %r7;\n"
	    "st.volatile.shared.u32 [%r4+32], -1; bar.warp.sync -1;\n" FOLD("16") FOLD("8")
		FOLD("4") "ld.volatile.shared.u32 %r6, [%r5]; bra NEXT;\n"
			  "DONE: st.global.u32 [%o], %r8; ret; }\n";
	uint32_t *out = device_alloc(32 * 4);

	for (uint32_t lanes = 1; lanes <= 32; lanes += 31) {
		launch_warps(text, 32, lanes, out);
		for (uint32_t i = 0; i < 32; i++) {
			uint32_t want = 0;

			for (uint32_t at = i / 8; at <= 20; at++)
				want = want * 3 + at;
			CHECK_EQ(out[i], want);
		}
	}
}

#define ROTATE(again)                                                                              \
	again                                                                                      \
	    ": setp.lt.u32 %p, %r2, 32; vote.sync.any.pred %q, %p, -1; ld.global.u32 %r5, [%d];\n" \
	    "@%q add.u32 %r5, %r5, 100; st.global.u32 [%o], %r5; add.u32 %r2, %r2, 32;\n"          \
	    "setp.lt.u32 %p, %r2, %r3; @%p bra " again ";\n"

/*
 * Each lane takes what the next one has, round by round. In each round the warp votes, where other
 * lanes might have left the loop before; the other loop's votes are none of theirs, for all lanes
 * take the same of the two.
 */
TEST(votes_in_two_loops_of_which_a_warp_takes_one)
{
	struct sg_kernel *kernel =
	    kernel_get(module_load(PTX_HEAD
			   ".visible .entry k(.param .u64 out, .param .u64 n) {\n"
			   ".reg .b64 %o, %d; .reg .b32 %r<9>; .reg .pred %p, %q;\n"
			   "ld.param.u64 %o, [out]; ld.param.u32 %r3, [n]; mov.u32 %r1, %tid.x;\n"
			   "add.u32 %r4, %r1, 1; and.b32 %r4, %r4, 31; mul.wide.u32 %d, %r4, 4;\n"
			   "add.u64 %d, %d, %o; mad.wide.u32 %o, %r1, 4, %o; mov.u32 %r2, %r1; "
			   "setp.ge.u32 %p, %r2, %r3;\n"
			   "@%p bra END; setp.gt.u32 %q, %r3, 64; @%q bra LONG;\n" ROTATE(
			       "SHORT") "bra END;\n" ROTATE("LONG") "END: ret; }\n"),
		"k");
	uint32_t *out = device_alloc(32 * 4);

	for (uint32_t rounds = 1; rounds <= 4; rounds++) {
		uint64_t params[] = {(uint64_t)out, rounds * 32};
		struct sg_launch l = {.grid = {1, 1, 1},
		    .block = {32, 1, 1},
		    .lanes = 32,
		    .params = params,
		    .params_size = sizeof(params)};
		struct sg_fault fault;

		for (uint32_t i = 0; i < 32; i++)
			out[i] = i;
		CHECK_EQ(sg_launch(kernel, &l, &fault), 0);
		for (uint32_t i = 0; i < 32; i++)
			CHECK_EQ(out[i], (i + rounds) % 32 + 100);
	}
}

/* A block's warp stores, fences and lets one lane say so; the next block waits for that. No lane
 * may run ahead of the others through the fence, whoever runs them. */
TEST_LIMIT(one_lane_publishes_for_its_warp, 120)
{
	enum { BLOCKS = 200 };
	struct sg_module *module = module_load(PTX_HEAD
	    ".visible .entry k(.param .u64 data, .param .u64 flag) {\n"
	    ".reg .b64 %d<6>; .reg .b32 %r<9>; .reg .pred %p<3>;\n"
	    "ld.param.u64 %d1, [data]; ld.param.u64 %d2, [flag]; mov.u32 %r1, %tid.x;\n"
	    "mov.u32 %r2, %ctaid.x; setp.ne.u32 %p1, %r1, 0; @%p1 bra WAITED;\n"
	    "AGAIN: ld.volatile.global.u32 %r3, [%d2]; setp.ne.u32 %p2, %r3, %r2; @%p2 bra AGAIN;\n"
	    "WAITED: bar.sync 0; xor.b32 %r4, %r1, 31; mul.wide.u32 %d3, %r4, 4; add.u64 %d3, %d1, "
	    "%d3;\n"
	    "ld.volatile.global.u32 %r5, [%d3]; bar.sync 0; add.u32 %r5, %r5, %r1;\n"
	    "mul.wide.u32 %d4, %r1, 4; add.u64 %d4, %d1, %d4; st.global.u32 [%d4], %r5;\n"
	    "membar.gl; add.u32 %r2, %r2, 1; @!%p1 st.volatile.global.u32 [%d2], %r2; ret; }\n");
	uint32_t *data = device_alloc(128), *flag = device_alloc(4), want[32] = {0};
	uint64_t params[] = {(uint64_t)data, (uint64_t)flag};

	launch_fine(kernel_get(module, "k"), BLOCKS, 32, params, 2);
	for (int i = 0; i < BLOCKS; i++) {
		uint32_t before[32];

		memcpy(before, want, sizeof(want));
		for (uint32_t lane = 0; lane < 32; lane++)
			want[lane] = before[lane ^ 31] + lane;
	}
	CHECK_BYTES(data, want, sizeof(want));
}

/* All lanes write a place, then one or two write it again, on ways of their own, then all read
 * it. */
TEST(who_goes_around_a_write_waits_for_it)
{
	static const char text[] = PTX_HEAD
	    ".visible .entry k(.param .u64 out) {\n"
	    ".reg .b64 %o, %d; .reg .b32 %r<9>; .reg .pred %p, %q; .shared .u32 s[4];\n"
	    "ld.param.u64 %o, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %d, %r1, 8;\n"
	    "add.u64 %o, %o, %d; bar.sync 0;\n"
	    "setp.ne.u32 %p, %r1, 21; setp.ne.u32 %q, %r1, 9;\n"
	    "st.volatile.shared.u32 [s], 1; @%p bra FIRST; st.volatile.shared.u32 [s], 2; FIRST:\n"
	    "ld.volatile.shared.u32 %r2, [s]; st.volatile.shared.u32 [s+4], 3;\n"
	    "@%p bra OTHERS; st.volatile.shared.u32 [s+4], 4; st.volatile.shared.u32 [s+8], %r1;\n"
	    "bra SECOND; OTHERS: @%q bra SECOND; st.volatile.shared.u32 [s+8], 5; SECOND:\n"
	    "ld.volatile.shared.u32 %r3, [s+4]; ld.volatile.shared.u32 %r4, [s+8];\n"
	    "mad.lo.u32 %r3, %r4, 256, %r3; st.global.v2.u32 [%o], {%r2, %r3}; ret; }\n";
	uint32_t *out = device_alloc(32 * 8);

	for (uint32_t lanes = 1; lanes <= 32; lanes += 31) {
		launch_warps(text, 32, lanes, out);
		for (uint32_t i = 0; i < 32; i++) {
			CHECK_EQ(out[2 * i], 2);
			CHECK_EQ(out[2 * i + 1] & 255, 4);
			CHECK(out[2 * i + 1] >> 8 == 5 || out[2 * i + 1] >> 8 == 21);
			CHECK_EQ(out[2 * i + 1] >> 8, out[1] >> 8);
		}
	}
}

/* All lanes of a row do the same to one place: once, as the hardware sees it. */
TEST(what_a_row_does_to_one_place_happens_once)
{
	static const char text[] = PTX_HEAD
	    ".visible .entry k(.param .u64 out) {\n"
	    ".reg .b64 %o, %d; .reg .b32 %r<9>; .reg .pred %p; .shared .u32 s[8];\n"
	    "ld.param.u64 %o, [out]; mov.u32 %r1, %tid.x; shr.u32 %r2, %r1, 2; shl.b32 %r3, %r2, "
	    "2;\n"
	    "cvt.u64.u32 %d, %r3; add.u64 %o, %o, %d; mov.u32 %r4, s; add.u32 %r4, %r4, %r3;\n"
	    "st.shared.u32 [%r4], %r2; bar.warp.sync -1;\n"
	    "ld.shared.u32 %r5, [%r4]; mad.lo.u32 %r5, %r5, 3, 1; st.shared.u32 [%r4], %r5;\n"
	    "bar.warp.sync -1; setp.gt.u32 %p, %r2, 5; @%p bra END;\n"
	    "ld.volatile.global.u32 %r6, [%o]; ld.shared.u32 %r5, [%r4];\n"
	    "mad.lo.u32 %r6, %r6, 5, %r5; st.global.u32 [%o], %r6; END: ret; }\n";
	uint32_t *out = device_alloc(8 * 4);

	for (uint32_t lanes = 1; lanes <= 32; lanes += 31) {
		for (uint32_t i = 0; i < 8; i++)
			out[i] = i + 1;
		launch_warps(text, 32, lanes, out);
		for (uint32_t i = 0; i < 8; i++)
			CHECK_EQ(out[i], i > 5 ? i + 1 : (i + 1) * 5 + 3 * i + 1);
	}
}

/* Each lane reads its own in one go; what they write at the same address is written by all at
 * once. */
TEST(vectors_read_as_one_where_plain_ones_are_written)
{
	static const char text[] =
	    PTX_HEAD ".visible .entry k(.param .u64 out) {\n"
		     ".reg .b64 %o, %a, %d; .reg .b32 %r<9>;\n"
		     "ld.param.u64 %o, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %d, %r1, 8;\n"
		     "add.u64 %a, %o, %d; ld.volatile.global.v2.u32 {%r2, %r3}, [%a];\n"
		     "add.u32 %r2, %r2, %r3; st.global.v2.u32 [%a], {%r2, %r1};\n"
		     "ld.global.v2.u32 {%r2, %r3}, [%a]; add.u32 %r2, %r2, %r3;\n"
		     "st.relaxed.gpu.global.v2.u32 [%a], {%r3, %r2}; ret; }\n";
	uint32_t *out = device_alloc(64 * 8);

	for (uint32_t lanes = 1; lanes <= 32; lanes += 31) {
		for (uint32_t i = 0; i < 128; i++)
			out[i] = i;
		launch_warps(text, 64, lanes, out);
		for (uint32_t i = 0; i < 64; i++) {
			CHECK_EQ(out[2 * i], i);
			CHECK_EQ(out[2 * i + 1], 5 * i + 1);
		}
	}
}

/* All lanes move on what their neighbours have, in any memory, with no barrier between. */
TEST(lanes_that_the_user_wants_alone_read_before_others_write)
{
	static const char text[] = PTX_HEAD
	    ".visible .entry k(.param .u64 out) {\n"
	    ".reg .b64 %o, %d; .reg .b32 %r<9>; .shared .u32 s[64];\n"
	    "ld.param.u64 %o, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %d, %r1, 4;\n"
	    "add.u64 %o, %o, %d; shl.b32 %r2, %r1, 2; mov.u32 %r3, s; add.u32 %r3, %r3, %r2;\n"
	    "st.global.u32 [%o], %r1; st.shared.u32 [%r3], %r1; st.shared.u32 [s+128], 32;\n"
	    "bar.sync 0; ld.global.u32 %r4, [%o+4]; st.global.u32 [%o], %r4;\n"
	    "ld.shared.u32 %r5, [%r3+4]; st.shared.u32 [%r3], %r5; ld.shared.u32 %r5, [%r3];\n"
	    "shl.b32 %r5, %r5, 8; ld.global.u32 %r4, [%o]; or.b32 %r4, %r4, %r5; bar.sync 0;\n"
	    "st.global.u32 [%o], %r4; ret; }\n";
	uint32_t *out = device_alloc(33 * 4);

	setenv("SOFTGPU_LANES", "1", 1);
	out[32] = 32;
	launch_warps(text, 32, 0, out);
	for (uint32_t i = 0; i < 32; i++)
		CHECK_EQ(out[i], (i + 1) * 257);
}

/*
 * In each round all lanes halve what their row has in its first place, and then some go through a
 * loop of several rounds, which others jump over: all must come to the next halving together.
 */
TEST(lanes_that_the_user_wants_alone_meet_behind_loops)
{
	static const char text[] =
	    PTX_HEAD ".visible .entry k(.param .u64 out) {\n"
		     ".reg .b64 %o, %d; .reg .b32 %r<9>; .reg .pred %p<9>;\n"
		     "ld.param.u64 %o, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %d, %r1, 4;\n"
		     "add.u64 %d, %o, %d; mov.u32 %r2, 0; bar.warp.sync -1; bra START;\n"
		     "NEXT: add.u32 %r2, %r2, 1; setp.eq.u32 %p1, %r2, 8; @%p1 bra END;\n"
		     "START: ld.volatile.global.u32 %r3, [%o+128]; shr.u32 %r3, %r3, 1;\n"
		     "st.global.u32 [%o+128], %r3; and.b32 %r4, %r1, 3; setp.eq.u32 %p2, %r4, 0;\n"
		     "@%p2 bra NEXT;\n"
		     "LOOP: ld.volatile.global.u32 %r5, [%d]; add.u32 %r5, %r5, %r3;\n"
		     "st.global.u32 [%d], %r5; sub.u32 %r4, %r4, 1; setp.ne.u32 %p3, %r4, 0;\n"
		     "@%p3 bra LOOP; bra NEXT;\n"
		     "END: ret; }\n";
	uint32_t *out = device_alloc(33 * 4);

	setenv("SOFTGPU_LANES", "1", 1);
	memset(out, 0, 32 * 4);
	out[32] = 256;
	launch_warps(text, 32, 0, out);
	CHECK_EQ(out[32], 1);
	for (uint32_t i = 0; i < 32; i++)
		CHECK_EQ(out[i], i % 4 * 255);
}
