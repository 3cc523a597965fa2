/*
 * Moving data between registers, shared memory and tensor memory, allocating it, and how kernels
 * fail that get something of it wrong. Where a word belongs is said as in the figures of the ISA.
 */
#include <math.h>

#include "softgpu/exec/test-tensor-memory.h"

static struct image before, after;

static void fill(void)
{
	for (unsigned lane = 0; lane < LANES; lane++)
		for (unsigned i = 0; i < COLUMNS; i++)
			before.cells[lane][i] = random_word();
	for (unsigned i = 0; i < SHARED; i++)
		before.shared[i] = (uint8_t)random_word();
	after = before;
}

static void check_cells(const char *what, const struct image *out)
{
	unsigned wrong = 0;

	for (unsigned lane = 0; lane < LANES; lane++)
		for (unsigned i = 0; i < COLUMNS; i++)
			if (out->cells[lane][i] != after.cells[lane][i] && wrong++ < 5)
				printf("# %s: lane %u column %u is %x, not %x\n", what, lane, i,
				    out->cells[lane][i], after.cells[lane][i]);
	CHECK_EQ(wrong, 0);
}

/* ---- registers ---- */

struct shape {
	const char *name;
	unsigned words, width; /* of a thread and of a lane, at .x1 */
	unsigned lanes;
	unsigned second; /* columns from the first to the second piece */
};

/* Lane and column of a word. Threads of four have neighbours in a row of 8; two rows are 8
 * apart. */
static void locate(
    const struct shape *shape, unsigned thread, unsigned word, unsigned *lane, unsigned *column)
{
	switch (shape->words * 100 + shape->width) {
	case 101: /* 32x32b; 16x32bx2: the upper half of the threads has the second piece */
		*lane = thread % shape->lanes;
		*column = word + (thread < shape->lanes ? 0 : shape->second);
		break;
	case 102: /* 16x64b: even threads have rows 0 to 7, odd ones 8 to 15 */
		*lane = thread / 4 + (thread % 2 ? 8 : 0);
		*column = word * 2 + thread / 2 % 2;
		break;
	case 204: /* 16x128b */
		*lane = thread / 4 + (word % 2 ? 8 : 0);
		*column = word / 2 * 4 + thread % 4;
		break;
	default: /* 16x256b */
		*lane = thread / 4 + (word % 4 < 2 ? 0 : 8);
		*column = word / 4 * 8 + thread % 4 * 2 + word % 2;
	}
}

static void write_words(char *text, size_t size, unsigned first, unsigned n)
{
	size_t used = 0;

	for (unsigned i = 0; i < n; i++)
		used += (size_t)snprintf(
		    text + used, size - used, "%s%%r%u", i ? ", " : "{", first + i);
	snprintf(text + used, size - used, "}");
}

#define FROM 0u	  /* columns that are loaded from */
#define TO   256u /* and that the words are stored to */

/* What is loaded in a shape is stored elsewhere as 32x32b, thread by thread, so that the images say
 * where each word came from; or the other way around. */
static void check_shape(const struct shape *shape, unsigned repeat, bool packed, bool stores)
{
	unsigned n = shape->words * repeat, row = shape->lanes == 16 && repeat == 2 ? 16 : 0;
	char words[1024], code[4096], second[16] = "";
	const char *pack = packed ? stores ? ".unpack::16b" : ".pack::16b" : "";

	write_words(words, sizeof(words), 20, n);
	if (shape->second)
		snprintf(second, sizeof(second), ", %u", shape->second);
	if (stores)
		snprintf(code, sizeof(code),
		    "  add.u32 %%r10, %%t, %u;\n  add.u32 %%r11, %%t, 0x%x;\n"
		    "  tcgen05.ld.sync.aligned.32x32b.x%u.b32 %s, [%%r10];\n"
		    "  tcgen05.wait::ld.sync.aligned;\n"
		    "  tcgen05.st.sync.aligned.%s.x%u%s.b32 [%%r11]%s, %s;\n"
		    "  tcgen05.wait::st.sync.aligned;\n",
		    FROM, row << 16 | TO, n, words, shape->name, repeat, pack, second, words);
	else
		snprintf(code, sizeof(code),
		    "  add.u32 %%r10, %%t, 0x%x;\n  add.u32 %%r11, %%t, %u;\n"
		    "  tcgen05.ld.sync.aligned.%s.x%u%s.b32 %s, [%%r10]%s;\n"
		    "  tcgen05.wait::ld.sync.aligned;\n"
		    "  tcgen05.st.sync.aligned.32x32b.x%u.b32 [%%r11], %s;\n"
		    "  tcgen05.wait::st.sync.aligned;\n",
		    row << 16 | FROM, TO, shape->name, repeat, pack, words, second, n, words);
	fill();
	for (unsigned thread = 0; thread < 128; thread++)
		for (unsigned i = 0; i < n; i++) {
			unsigned lane, column, base = stores ? TO : FROM;
			uint32_t *from, *to;

			locate(shape, thread % 32, i, &lane, &column);
			column = !packed ? column : shape->second ? column + i : column * 2;
			lane += thread / 32 * 32 + row;
			from = stores ? &before.cells[thread][FROM + i]
				      : &before.cells[lane][base + column];
			to = stores ? &after.cells[lane][base + column]
				    : &after.cells[thread][TO + i];
			if (stores && packed) {
				to[0] = *from & 0xffff;
				to[1] = *from >> 16;
			} else {
				*to = packed ? (from[0] & 0xffff) | from[1] << 16 : *from;
			}
		}
	check_cells(shape->name,
	    run_tensor_kernel(write_tensor_kernel("sm_100a", false, code, ""), &before, 1));
}

TEST_LIMIT(words_are_where_the_figures_say, 240)
{
	static const struct shape shapes[] = {
	    {"32x32b", 1, 1, 32, 0},
	    {"16x64b", 1, 2, 16, 0},
	    {"16x128b", 2, 4, 16, 0},
	    {"16x256b", 4, 8, 16, 0},
	    {"16x32bx2", 1, 1, 16, 128},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(shapes); i++)
		for (unsigned kind = 0; kind < 4; kind++) {
			check_shape(&shapes[i], 1, kind & 1, kind & 2);
			check_shape(&shapes[i], 2, kind & 1, kind & 2);
			check_shape(&shapes[i], shapes[i].second ? 64 : 128 / shapes[i].width,
			    kind & 1, kind & 2);
		}
}

static uint32_t reduce(const char *operation, const uint32_t *words)
{
	float best = NAN, value;
	uint32_t bits;

	for (unsigned i = 0; i < 4; i++) {
		memcpy(&value, &words[i], sizeof(value));
		best = isnan(best) || fabsf(value) > best ? fabsf(value) : best;
	}
	memcpy(&bits, &best, sizeof(bits));
	if (!strcmp(operation, "max.abs.f32"))
		return bits;
	bits = words[0];
	for (unsigned i = 1; i < 4; i++)
		if (operation[1] == 'i' ? words[i] < bits : (int32_t)words[i] > (int32_t)bits)
			bits = words[i];
	return bits;
}

TEST_LIMIT(loads_reduce, 60)
{
	static const char *const operations[] = {"min.u32", "max.s32", "max.abs.f32"};

	for (unsigned i = 0; i < ARRAY_SIZE(operations); i++) {
		char code[1024];

		snprintf(code, sizeof(code),
		    "  tcgen05.ld.red.sync.aligned.32x32b.x4.%s {%%r1, %%r2, %%r3, %%r4}, %%r5, "
		    "[%%t];\n  tcgen05.wait::ld.sync.aligned;\n"
		    "  tcgen05.st.sync.aligned.32x32b.x1.b32 [%%t+9], {%%r5};\n"
		    "  tcgen05.wait::st.sync.aligned;\n",
		    operations[i]);
		fill();
		for (unsigned lane = 0; lane < LANES; lane++)
			after.cells[lane][9] = reduce(operations[i], before.cells[lane]);
		check_cells(operations[i],
		    run_tensor_kernel(write_tensor_kernel("sm_103a", false, code, ""), &before, 1));
	}
}

/* ---- shared memory ---- */

struct copy {
	const char *name;
	unsigned rows, bytes;
	/* The warps that row 0 goes to, as bits; those of row 32, ...; 0: only to the first lane. */
	uint8_t to[4];
};

static const struct copy copies[] = {
    {"128x256b", 128, 32, {1, 2, 4, 8}},
    {"4x256b", 4, 32, {0}},
    {"128x128b", 128, 16, {1, 2, 4, 8}},
    {"64x128b.warpx2::02_13", 64, 16, {5, 10}},
    {"64x128b.warpx2::01_23", 64, 16, {3, 12}},
    {"32x128b.warpx4", 32, 16, {15}},
};

/* 16 bytes of a row; of 4 and 6 bits 16 numbers with padding behind them. */
static void widen(const uint8_t *from, unsigned bits, uint8_t *to)
{
	unsigned __int128 all = 0;

	for (unsigned i = 0; i < 16; i++)
		all |= (unsigned __int128)from[i] << 8 * i;
	for (unsigned i = 0; i < 16; i++)
		to[i] = (uint8_t)(bits == 8   ? from[i]
				  : bits == 6 ? (all >> 6 * i) & 63
					      : ((all >> 4 * i) & 15) << 2);
}

/* Pieces of 8 rows of 16 bytes, 128 bytes apart along the row and 512 across. */
static void check_copy(const struct copy *copy, unsigned bits)
{
	uint64_t descriptor = UINT64_C(0x400) / 16 | UINT64_C(128) / 16 << 16 |
			      UINT64_C(512) / 16 << 32 | UINT64_C(1) << 46;
	unsigned lane = copy->rows == 4 ? 31 : 0;
	char code[512];

	snprintf(code, sizeof(code),
	    "  add.u64 %%d2, %%dbase, 0x%llx;\n  add.u32 %%r11, %%t, 0x%x;\n"
	    "  tcgen05.cp.cta_group::1.%s%s [%%r11], %%d2;\n",
	    (unsigned long long)descriptor, lane << 16 | 5, copy->name,
	    bits == 8	? ""
	    : bits == 6 ? ".b8x16.b6x16_p32"
			: ".b8x16.b4x16_p64");
	fill();
	for (unsigned row = 0; row < copy->rows; row++)
		for (unsigned piece = 0; piece < copy->bytes / 16; piece++) {
			const uint8_t *from =
			    before.shared + 0x400 + row / 8 * 512 + row % 8 * 16 + piece * 128;
			unsigned warps = copy->rows == 4 ? 1u << row : copy->to[row / 32];

			for (unsigned warp = 0; warp < 4; warp++)
				if (warps >> warp & 1)
					widen(from, bits,
					    (uint8_t *)&after.cells[warp * 32 + (lane ?: row % 32)]
								   [5 + piece * 4]);
		}
	check_cells(
	    code, run_tensor_kernel(write_tensor_kernel("sm_100a", false, "", code), &before, 1));
}

TEST_LIMIT(copies_go_to_all_their_lanes, 60)
{
	for (unsigned i = 0; i < ARRAY_SIZE(copies); i++) {
		check_copy(&copies[i], 8);
		check_copy(&copies[i], 6);
		check_copy(&copies[i], 4);
	}
}

TEST_LIMIT(rows_move_up_but_for_the_last, 60)
{
	const char *code = "  add.u32 %r11, %t, 0x200010;\n"
			   "  tcgen05.shift.cta_group::1.down [%r11];\n";

	fill();
	for (unsigned lane = 32; lane < 63; lane++)
		memcpy(&after.cells[lane][16], &before.cells[lane + 1][16], 32);
	check_cells(
	    code, run_tensor_kernel(write_tensor_kernel("sm_100a", false, "", code), &before, 1));
}

/* ---- allocation and failures ---- */

#define SMALL_HEAD                                                                                 \
	".version 9.0\n.target sm_100a\n.address_size 64\n"                                        \
	".visible .entry k(.param .u64 out) {\n  .reg .b32 %me, %r<9>;\n  .reg .b64 %d<9>;\n"      \
	"  .reg .pred %p<5>;\n  .shared .align 1024 .b8 smem[4096];\n  .shared .b32 at[4];\n"      \
	"  .shared .align 8 .b64 bar;\n"                                                           \
	"  mov.u32 %me, %tid.x;\n  mov.u32 %r8, smem;\n  setp.eq.u32 %p1, %me, 0;\n  setp.eq.u32 " \
	"%p2, 0, 0;\n"

#define ALLOC(n, at)                                                                               \
	"  tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [at+" at "], " n ";\n"
#define FREE(address, n) "  tcgen05.dealloc.cta_group::1.sync.aligned.b32 " address ", " n ";\n"

static int run_small(const char *body, unsigned threads, uint64_t out, struct sg_fault *fault)
{
	static char text[8192];
	struct sg_launch l = {.grid = {1, 1, 1},
	    .block = {threads, 1, 1},
	    .params = &out,
	    .params_size = sizeof(out)};
	struct sg_module *module;
	struct sg_kernel *kernel;
	struct sg_fault alone;
	int r;

	snprintf(text, sizeof(text), "%s%s  ret;\n}\n", SMALL_HEAD, body);
	ptxas_check(text, "sm_100a");
	module = module_load(text);
	kernel = kernel_get(module, "k");
	l.lanes = 1;
	r = sg_launch(kernel, &l, &alone);
	l.lanes = 32;
	CHECK_EQ(sg_launch(kernel, &l, fault), r);
	sg_module_unload(module);
	n_loaded = 0;
	return r;
}

/* The second warp waits until the first one gives back what it took. */
TEST_LIMIT(allocation_waits_for_room, 60)
{
	uint32_t *out = device_alloc(64);
	struct sg_fault fault;
	const char *body = "  setp.ge.u32 %p3, %me, 32;\n  @%p3 bra SECOND;\n" ALLOC("512",
	    "0") "  bar.sync 0;\n  ld.shared.b32 %r1, [at];\n  nanosleep.u32 1000;\n"
		 "  mov.u32 %r7, 7;\n  st.shared.b32 [at+8], %r7;\n" FREE("%r1",
		     "512") "  bra DONE;\n"
			    "SECOND: bar.sync 0;\n" ALLOC("64",
				"4") "  ld.shared.b32 %r1, [at+4];\n  ld.shared.b32 %r2, [at+8];\n"
				     "  ld.param.u64 %d1, [out];\n  st.global.b32 [%d1], %r1;\n"
				     "  st.global.b32 [%d1+4], %r2;\n" ALLOC(
					 "64", "4") "  ld.shared.b32 %r3, [at+4];\n  st.global.b32 "
						    "[%d1+8], "
						    "%r3;\n" FREE("%r1", "64")
							FREE("%r3", "64") "DONE:\n";

	memset(out, 0xff, 64);
	if (run_small(body, 64, (uint64_t)out, &fault))
		test_fail(__FILE__, __LINE__, "%s", fault.message);
	CHECK_EQ(out[0], 0);
	CHECK_EQ(out[1], 7);
	CHECK_EQ(out[2], 64);
}

/* A block's own address with bit 24 cleared is the same in the pair's even block: its mbarrier
 * waits for both. */
TEST_LIMIT(pairs_tell_the_even_block, 60)
{
	uint32_t *out = device_alloc(64);
	static char text[4096];
	uint64_t params[] = {(uint64_t)out};

	snprintf(text, sizeof(text),
	    ".version 9.0\n.target sm_100a\n.address_size 64\n"
	    ".visible .entry k(.param .u64 out) .reqnctapercluster 2, 1, 1 {\n"
	    "  .reg .b32 %%r<9>;\n  .reg .b64 %%d<9>;\n  .reg .pred %%p<5>;\n"
	    "  .shared .align 8 .b64 bar;\n  .shared .b32 at;\n"
	    "  mov.u32 %%r1, %%tid.x;\n  setp.eq.u32 %%p1, %%r1, 0;\n"
	    "  mov.u32 %%r2, %%cluster_ctarank;\n  setp.ne.u32 %%p2, %%r2, 0;\n"
	    "  @%%p1 mbarrier.init.shared.b64 [bar], 2;\n"
	    "  tcgen05.alloc.cta_group::2.sync.aligned.shared::cta.b32 [at], 32;\n"
	    "  barrier.cluster.arrive;\n  barrier.cluster.wait;\n"
	    "  mov.u32 %%r3, bar;\n  and.b32 %%r4, %%r3, -16777224;\n"
	    "  @%%p1 mbarrier.arrive.shared::cluster.b64 _, [%%r4];\n  @%%p2 bra DONE;\n"
	    "W: mbarrier.try_wait.parity.shared.b64 %%p3, [bar], 0;\n  @!%%p3 bra W;\n"
	    "  ld.param.u64 %%d1, [out];\n  st.global.b32 [%%d1], 5;\n"
	    "DONE: barrier.cluster.arrive;\n  barrier.cluster.wait;\n"
	    "  ld.shared.b32 %%r5, [at];\n"
	    "  tcgen05.dealloc.cta_group::2.sync.aligned.b32 %%r5, 32;\n  ret;\n}\n");
	ptxas_check(text, "sm_100a");
	launch_fine(kernel_get(module_load(text), "k"), 2, 32, params, 1);
	CHECK_EQ(*out, 5);
}

static const struct failure {
	const char *body;
	enum sg_fault_kind kind;
} failures[] = {
    /* nothing is allocated, or too little */
    {"  mov.u32 %r1, 0;\n  tcgen05.ld.sync.aligned.32x32b.x1.b32 {%r2}, [%r1];\n",
	SG_FAULT_TENSOR_MEMORY},
    {ALLOC("32",
	 "0") "  mov.u32 %r1, 31;\n  tcgen05.st.sync.aligned.32x32b.x2.b32 [%r1], {%r2, %r3};\n",
	SG_FAULT_TENSOR_MEMORY},
    {ALLOC("512", "0") "  mov.u32 %r1, 511;\n"
		       "  tcgen05.st.sync.aligned.32x32b.x2.b32 [%r1], {%r2, %r3};\n",
	SG_FAULT_TENSOR_MEMORY},
    {ALLOC("512", "0") "  mov.u32 %r1, 0;\n"
		       "  tcgen05.ld.sync.aligned.16x32bx2.x2.b32 {%r2, %r3}, [%r1], 511;\n",
	SG_FAULT_TENSOR_MEMORY},
    {ALLOC("32", "0") "  ld.shared.b32 %r1, [at];\n" FREE(
	 "%r1", "32") "  tcgen05.ld.sync.aligned.32x32b.x1.b32 {%r2}, [%r1];\n",
	SG_FAULT_TENSOR_MEMORY},
    /* what was not allocated so is given back */
    {ALLOC("64", "0") FREE("0", "32"), SG_FAULT_TENSOR_MEMORY},
    {ALLOC("64", "0") FREE("32", "32"), SG_FAULT_TENSOR_MEMORY},
    {FREE("0x20000", "32"), SG_FAULT_TENSOR_MEMORY},
    /* sizes */
    {"  mov.u32 %r1, 48;\n" ALLOC("%r1", "0"), SG_FAULT_ILLEGAL_INSTRUCTION},
    {"  mov.u32 %r1, 16;\n" ALLOC("%r1", "0"), SG_FAULT_ILLEGAL_INSTRUCTION},
    {"  mov.u32 %r1, 1024;\n" ALLOC("%r1", "0"), SG_FAULT_ILLEGAL_INSTRUCTION},
    /* after the permit is gone; and when nobody can give anything back */
    {"  tcgen05.relinquish_alloc_permit.cta_group::1.sync.aligned;\n" ALLOC("32", "0"),
	SG_FAULT_ILLEGAL_INSTRUCTION},
    {ALLOC("512", "0") ALLOC("32", "0"), SG_FAULT_DEADLOCK},
    /* no other block */
    {"  tcgen05.alloc.cta_group::2.sync.aligned.shared::cta.b32 [at], 32;\n",
	SG_FAULT_ILLEGAL_INSTRUCTION},
    /* lanes between those that shapes begin at */
    {ALLOC("32", "0") "  mov.u32 %r1, 0x100000;\n"
		      "  tcgen05.ld.sync.aligned.32x32b.x1.b32 {%r2}, [%r1];\n",
	SG_FAULT_ILLEGAL_INSTRUCTION},
    {ALLOC("32", "0") "  mov.u32 %r1, 0x080000;\n"
		      "  tcgen05.ld.sync.aligned.16x64b.x1.b32 {%r2}, [%r1];\n",
	SG_FAULT_ILLEGAL_INSTRUCTION},
    {ALLOC("32", "0") "  mov.u32 %r1, 0x100000;\n  @%p1 tcgen05.shift.cta_group::1.down [%r1];\n",
	SG_FAULT_ILLEGAL_INSTRUCTION},
    /* matrices: outside shared memory, of a mode that is none, with a mode of another chip */
    {ALLOC("32", "0") "  mov.u32 %r1, 0;\n  mov.b64 %d1, 0x0000400000003fff;\n"
		      "  @%p1 tcgen05.cp.cta_group::1.128x256b [%r1], %d1;\n",
	SG_FAULT_ILLEGAL_ADDRESS},
    {ALLOC("32", "0") "  mov.u32 %r1, 0;\n  mov.b64 %d1, 0x6000400000000000;\n"
		      "  @%p1 tcgen05.cp.cta_group::1.128x256b [%r1], %d1;\n",
	SG_FAULT_ILLEGAL_INSTRUCTION},
    {ALLOC("32", "0") "  mov.u32 %r1, 0;\n  mov.b64 %d1, 0x0010400000000000;\n"
		      "  @%p1 tcgen05.cp.cta_group::1.128x256b [%r1], %d1;\n",
	SG_FAULT_ILLEGAL_INSTRUCTION},
    {"  mov.u32 %r1, 0x1000000;\n  @%p1 tcgen05.commit.cta_group::1.mbarrier::arrive::one"
     ".shared::cluster.b64 [%r1+65536];\n",
	SG_FAULT_ILLEGAL_ADDRESS},
};

/* Products whose descriptor says what there is not; D has 32 columns. */
static const struct {
	const char *kind;
	uint32_t instruction;
	uint32_t d;
	enum sg_fault_kind kind_of_fault;
} products[] = {
#define SHAPE(m, n) ((n) / 8u << 17 | (m) / 16u << 24)
    {"f16", SHAPE(128, 32) | 1 << 4, 0, SG_FAULT_NONE},
    {"f16", SHAPE(128, 64) | 1 << 4, 0, SG_FAULT_TENSOR_MEMORY},
    {"f16", SHAPE(128, 32) | 1 << 4, 0x100000, SG_FAULT_ILLEGAL_INSTRUCTION},
    {"f16", SHAPE(64, 32) | 1 << 4, 0x100000, SG_FAULT_NONE},
    {"f16", SHAPE(96, 32) | 1 << 4, 0, SG_FAULT_ILLEGAL_INSTRUCTION},
    {"f16", SHAPE(0, 32) | 1 << 4, 0, SG_FAULT_ILLEGAL_INSTRUCTION},
    {"f16", SHAPE(496, 0) | 1 << 4, 0, SG_FAULT_ILLEGAL_INSTRUCTION},
    {"f16", SHAPE(128, 32) | 2 << 4, 0, SG_FAULT_ILLEGAL_INSTRUCTION},
    {"f16", SHAPE(128, 32) | 1 << 4 | 2 << 7, 0, SG_FAULT_ILLEGAL_INSTRUCTION},
    {"f16", SHAPE(128, 32) | 1 << 7, 0, SG_FAULT_ILLEGAL_INSTRUCTION},
    {"f16", SHAPE(128, 32) | 1 << 4 | 1 << 2, 0, SG_FAULT_ILLEGAL_INSTRUCTION},
    {"f16", SHAPE(128, 32) | 1 << 4 | 1 << 6, 0, SG_FAULT_ILLEGAL_INSTRUCTION},
    {"tf32", SHAPE(128, 32) | 1 << 4 | 2 << 7 | 2 << 10, 0, SG_FAULT_NONE},
    {"tf32", SHAPE(128, 32) | 1 << 4 | 2 << 7 | 2 << 10 | 1 << 15, 0, SG_FAULT_ILLEGAL_INSTRUCTION},
    {"i8", SHAPE(128, 32) | 2 << 4, 0, SG_FAULT_NONE},
    {"i8", SHAPE(128, 32) | 2 << 4 | 1 << 13, 0, SG_FAULT_ILLEGAL_INSTRUCTION},
    {"f8f6f4", SHAPE(128, 32) | 1 << 4 | 5 << 7 | 1 << 15, 0, SG_FAULT_ILLEGAL_INSTRUCTION},
    {"f8f6f4", SHAPE(128, 32) | 1 << 4 | 2 << 7, 0, SG_FAULT_ILLEGAL_INSTRUCTION},
};

static void check_fault(const char *body, enum sg_fault_kind wanted)
{
	struct sg_fault fault = {0};
	uint64_t out = (uint64_t)device_alloc(64);
	int r = run_small(body, 32, out, &fault);

	if (r != (int)wanted)
		test_fail(
		    __FILE__, __LINE__, "%d, wanted %d: %s\n%s", r, wanted, fault.message, body);
	if (wanted == SG_FAULT_TENSOR_MEMORY)
		CHECK(strstr(fault.message, "tensor memory"));
	/* The next kernel finds its memory as usual. */
	CHECK_EQ(run_small(ALLOC("512", "0") FREE("0", "512"), 32, out, &fault), 0);
}

TEST_LIMIT(mistakes_end_the_grid, 120)
{
	for (unsigned i = 0; i < ARRAY_SIZE(failures); i++)
		check_fault(failures[i].body, failures[i].kind);
}

TEST_LIMIT(products_that_are_none_end_the_grid, 120)
{
	for (unsigned i = 0; i < ARRAY_SIZE(products); i++) {
		char body[1024];

		snprintf(body, sizeof(body),
		    "%s  mov.b64 %%d1, 0x0000400000000000;\n  mov.u32 %%r1, 0x%x;\n"
		    "  mov.u32 %%r2, 0x%x;\n"
		    "  @%%p1 tcgen05.mma.cta_group::1.kind::%s [%%r2], %%d1, %%d1, %%r1, %%p2;\n",
		    ALLOC("32", "0"), products[i].instruction, products[i].d, products[i].kind);
		check_fault(body, products[i].kind_of_fault);
	}
}
