/*
 * Threads in step against threads one at a time: random kernels must leave the same memory behind.
 *
 * A kernel is made from a seed: integer, float and predicate registers of all kinds of shapes
 * (same in all lanes, consecutive, loaded), arithmetic on them, loads and stores of every pattern,
 * and control flow with branches into and out of each other's arms, loops with breaks and early
 * returns. Where all threads pass, it also shuffles, votes and meets at barriers.
 *
 * LANES_KERNELS is how many are tried (standard 60), LANES_SEED where to begin.
 */
#include <stdarg.h>

#include "softgpu/exec/test-machine.h"

#define N_REGISTERS  10
#define N_FLOATS     5
#define N_LONGS	     4
#define N_PREDICATES 5
#define WORDS	     (N_REGISTERS + N_FLOATS + 2 * N_LONGS + 1)
#define MOST_THREADS 512
#define INPUTS	     1024
#define COUNTERS     16
#define MOST_BUDGET  80 /* statements of a kernel */

struct maker {
	char text[1 << 16];
	size_t size;
	uint64_t random;
	unsigned labels, depth, budget, addresses;
	bool uses_warps,
	    stays_wide; /* the latter: meets only in ways that several warps can as one */
	unsigned loop_end[8], loop_next[8], n_loops;
};

static uint32_t pick(struct maker *m, uint32_t n)
{
	m->random = m->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(m->random >> 33) % n;
}

static _printf_(2, 3) void put(struct maker *m, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	m->size +=
	    (size_t)vsnprintf(m->text + m->size, sizeof(m->text) - m->size, format, arguments);
	va_end(arguments);
	if (m->size >= sizeof(m->text))
		test_fail(__FILE__, __LINE__, "the kernel is too long");
}

static const char *choose(struct maker *m, const char *const *from, unsigned n)
{
	return from[pick(m, n)];
}

#define CHOOSE(m, ...)                                                                             \
	choose(m, (const char *const[]){__VA_ARGS__},                                              \
	    ARRAY_SIZE(((const char *const[]){__VA_ARGS__})))

/* A register or a constant, in one of a few buffers so that several can stand in one call. */
static const char *integer(struct maker *m)
{
	static const int32_t constants[] = {
	    0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 33, -1, -2, 255, 4096, INT32_MAX, INT32_MIN, 1000003};
	static char buffers[8][16];
	static unsigned next;
	char *buffer = buffers[next++ % 8];

	if (pick(m, 4))
		snprintf(buffer, 16, "%%r%u", pick(m, N_REGISTERS));
	else
		snprintf(buffer, 16, "%d", constants[pick(m, ARRAY_SIZE(constants))]);
	return buffer;
}

/* @%p or nothing. */
static const char *guard(struct maker *m)
{
	static char buffer[16];

	if (pick(m, 5))
		return "";
	snprintf(buffer, sizeof(buffer), "@%s%%p%u ", pick(m, 2) ? "!" : "", pick(m, N_PREDICATES));
	return buffer;
}

/* Into register d from a and others: selections, fields, permutations; kind below 8. */
static void put_bits(
    struct maker *m, unsigned kind, unsigned d, unsigned a, const char *x, const char *y)
{
	switch (kind) {
	case 0:
		put(m, "selp.b32 %%r%u, %%r%u, %s, %%p%u;\n", d, a, x, pick(m, N_PREDICATES));
		break;
	case 1:
		put(m, "%s %%r%u, %%r%u, %u, %u;\n", CHOOSE(m, "bfe.u32", "bfe.s32"), d, a,
		    pick(m, 32), pick(m, 33));
		break;
	case 2:
		put(m, "lop3.b32 %%r%u, %%r%u, %s, %s, %u;\n", d, a, x, y, pick(m, 256));
		break;
	case 3:
		put(m, "prmt.b32 %%r%u, %%r%u, %s, %u;\n", d, a, x, pick(m, 65536));
		break;
	case 4:
		put(m, "mov.u32 %%r%u, %s;\n", d,
		    CHOOSE(m, "%tid.x", "%laneid", "%ctaid.x", "%tid.y", "%ntid.x", "%lanemask_lt",
			"%tid.z"));
		break;
	case 5:
		put(m, "mov.u32 %%r%u, %s;\n", d, x);
		break;
	case 6:
		put(m, "and.b32 %%r%u, %%r%u, %s;\n", d, a,
		    CHOOSE(m, "31", "15", "7", "-32", "-16", "63"));
		break;
	default:
		put(m, "shf.%s.b32 %%r%u, %%r%u, %s, %s;\n",
		    CHOOSE(m, "l.wrap", "r.wrap", "l.clamp", "r.clamp"), d, a, x, y);
	}
}

static void put_integer(struct maker *m)
{
	unsigned d = pick(m, N_REGISTERS), a = pick(m, N_REGISTERS);
	const char *x = integer(m), *y = integer(m);

	put(m, "%s", guard(m));
	unsigned kind = pick(m, 16);
	switch (kind) {
	case 0:
	case 1:
	case 2:
		put(m, "%s %%r%u, %%r%u, %s;\n",
		    CHOOSE(m, "add.s32", "sub.s32", "mul.lo.s32", "add.u32", "and.b32", "or.b32",
			"xor.b32", "min.s32", "max.u32", "mul.hi.u32", "mul.hi.s32"),
		    d, a, x);
		break;
	case 3:
		put(m, "%s %%r%u, %%r%u, %u;\n", CHOOSE(m, "shl.b32", "shr.u32", "shr.s32"), d, a,
		    pick(m, 40));
		break;
	case 4:
		put(m, "%s %%r%u, %%r%u, %s;\n", CHOOSE(m, "shl.b32", "shr.u32", "shr.s32"), d, a,
		    x);
		break;
	case 5:
		put(m, "%s %%r%u, %%r%u, %s, %s;\n", CHOOSE(m, "mad.lo.s32", "mad.lo.u32"), d, a, x,
		    y);
		break;
	case 6:
		put(m, "%s %%r%u, %%r%u;\n",
		    CHOOSE(m, "neg.s32", "not.b32", "abs.s32", "popc.b32", "clz.b32", "brev.b32",
			"mov.u32", "bfind.u32", "cvt.u32.u8", "cvt.s32.s16"),
		    d, a);
		break;
	case 7:
		put(m, "%s %%r%u, %%r%u, %s;\n",
		    CHOOSE(m, "div.u32", "rem.u32", "div.s32", "rem.s32"), d, a,
		    CHOOSE(m, "3", "7", "16", "32", "64", "-5"));
		break;
	default:
		put_bits(m, kind - 8, d, a, x, y);
	}
}

static void put_long(struct maker *m)
{
	unsigned d = pick(m, N_LONGS), a = pick(m, N_LONGS), r = pick(m, N_REGISTERS);

	put(m, "%s", guard(m));
	switch (pick(m, 8)) {
	case 0:
		put(m, "%s %%d%u, %%r%u;\n", CHOOSE(m, "cvt.s64.s32", "cvt.u64.u32"), d, r);
		break;
	case 1:
		put(m, "%s %%d%u, %%r%u, %s;\n", CHOOSE(m, "mul.wide.s32", "mul.wide.u32"), d, r,
		    CHOOSE(m, "4", "8", "-4", "1", "12"));
		break;
	case 2:
		put(m, "mad.wide.%s %%d%u, %%r%u, %s, %%d%u;\n", CHOOSE(m, "s32", "u32"), d, r,
		    CHOOSE(m, "4", "8", "3"), a);
		break;
	case 3:
		put(m, "%s %%d%u, %%d%u, %%d%u;\n",
		    CHOOSE(m, "add.s64", "sub.s64", "mul.lo.s64", "xor.b64", "min.u64"), d, a,
		    pick(m, N_LONGS));
		break;
	case 4:
		put(m, "%s %%d%u, %%d%u, %d;\n", CHOOSE(m, "add.s64", "sub.s64", "and.b64"), d, a,
		    (int)pick(m, 100) - 50);
		break;
	case 5:
		put(m, "shl.b64 %%d%u, %%d%u, %u;\n", d, a, pick(m, 6));
		break;
	case 6:
		put(m, "cvt.u32.u64 %%r%u, %%d%u;\n", r, a);
		break;
	default:
		put(m, "mov.b64 {%%r%u, %%r%u}, %%d%u;\n", r, (r + 1) % N_REGISTERS, a);
	}
}

static void put_float(struct maker *m)
{
	unsigned d = pick(m, N_FLOATS), a = pick(m, N_FLOATS), b = pick(m, N_FLOATS);

	put(m, "%s", guard(m));
	switch (pick(m, 6)) {
	case 0:
	case 1:
		put(m, "%s %%f%u, %%f%u, %%f%u;\n",
		    CHOOSE(m, "add.f32", "sub.f32", "mul.f32", "div.rn.f32", "min.f32", "max.f32",
			"add.rz.f32", "mul.ftz.f32", "add.sat.f32"),
		    d, a, b);
		break;
	case 2:
		put(m, "fma.rn.f32 %%f%u, %%f%u, %%f%u, %%f%u;\n", d, a, b, pick(m, N_FLOATS));
		break;
	case 3:
		put(m, "%s %%f%u, %%f%u;\n",
		    CHOOSE(m, "neg.f32", "abs.f32", "sqrt.rn.f32", "rcp.rn.f32", "ex2.approx.f32",
			"mov.f32"),
		    d, a);
		break;
	case 4:
		put(m, "cvt.rn.f32.s32 %%f%u, %%r%u;\n", d, pick(m, N_REGISTERS));
		break;
	default:
		put(m, "cvt.rzi.s32.f32 %%r%u, %%f%u;\n", pick(m, N_REGISTERS), a);
	}
}

static void put_predicate(struct maker *m)
{
	unsigned p = pick(m, N_PREDICATES), a = pick(m, N_REGISTERS);

	put(m, "%s", guard(m));
	switch (pick(m, 6)) {
	case 0:
		put(m, "%s %%p%u, %%p%u, %%p%u;\n", CHOOSE(m, "and.pred", "or.pred", "xor.pred"), p,
		    pick(m, N_PREDICATES), pick(m, N_PREDICATES));
		break;
	case 1:
		put(m, "setp.%s.f32 %%p%u, %%f%u, %%f%u;\n",
		    CHOOSE(m, "lt", "ge", "neu", "equ", "nan"), p, pick(m, N_FLOATS),
		    pick(m, N_FLOATS));
		break;
	case 2:
		put(m, "setp.%s.and.s32 %%p%u|%%p%u, %%r%u, %s, %%p%u;\n", CHOOSE(m, "lt", "gt"), p,
		    (p + 1) % N_PREDICATES, a, integer(m), pick(m, N_PREDICATES));
		break;
	default:
		put(m, "setp.%s %%p%u, %%r%u, %s;\n",
		    CHOOSE(m, "lt.s32", "gt.u32", "eq.s32", "ne.s32", "le.u32", "ge.s32", "lt.u32",
			"gt.s32"),
		    p, a, integer(m));
	}
}

/* What unrolled loops do: many places at constant distances from one address, which is the same for
 * all threads, or their neighbour's. The address has a register of its own: one that is set in
 * several places is nobody's neighbour. */
static void put_unrolled(struct maker *m)
{
	unsigned n = 2 + pick(m, 4), a = m->addresses++;
	bool is_same = !pick(m, 3);

	put(m, "add.s32 %%e%u, %s, %u; mul.wide.u32 %%g%u, %%e%u, 4; add.s64 %%g%u, %%in, %%g%u;\n",
	    a, is_same ? "%ctaid.x" : CHOOSE(m, "%n", "%tid.x"), pick(m, 8), a, a, a, a);
	for (unsigned i = 0; i < n; i++) {
		unsigned d = pick(m, N_REGISTERS);

		if (is_same && !pick(m, 3))
			put(m, "%sld.global.u8 %%r%u, [%%g%u+%u];\n", guard(m), d, a, pick(m, 64));
		else
			put(m, "%sld.global.%s %%r%u, [%%g%u+%u];\n", guard(m),
			    CHOOSE(m, "u32", "u32", "volatile.u32"), d, a, 4 * pick(m, 16));
		put_integer(m);
	}
}

/* A pair of neighbours' or of every second one's, by accesses that may be ordered. */
static void put_pairs(struct maker *m)
{
	unsigned a = m->addresses++;

	put(m, "mul.wide.u32 %%g%u, %%n, %s; add.s64 %%g%u, %%g%u, %%in;\n", a,
	    CHOOSE(m, "8", "16"), a, a);
	for (unsigned n = 1 + pick(m, 3); n; n--) {
		unsigned d = pick(m, N_REGISTERS);

		put(m, "%sld.%sglobal.v2.u32 {%%r%u, %%r%u}, [%%g%u+%u];\n", guard(m),
		    CHOOSE(m, "", "", "volatile.", "relaxed.gpu."), d, (d + 1) % N_REGISTERS, a,
		    8 * pick(m, 8));
	}
}

/* An own place in shared memory beside another, there and back; addresses wrap at 32 bits. */
static void put_two_places(struct maker *m)
{
	unsigned a = pick(m, N_REGISTERS), b = pick(m, N_REGISTERS), far = 4 * MOST_THREADS;
	const char *back = CHOOSE(m, "0", "8", "-16");

	put(m,
	    "shl.b32 %%t, %%n, 2; mov.u32 %%u, s; add.u32 %%t, %%t, %%u; sub.u32 %%t, %%t, %s;\n",
	    back);
	put(m, "st.shared.u32 [%%t+%s], %%r%u; %sst.shared.u32 [%%t+%d], %%r%u;\n", back, a,
	    guard(m), (int)far + atoi(back), b);
	put(m, "ld.shared.u32 %%r%u, [%%t+%d]; ld.shared.f32 %%f%u, [%%t+%s];\n", b,
	    (int)far + atoi(back), pick(m, N_FLOATS), back);
}

/* An address in %a: of the input by a register, or of the thread's own place. */
static void put_memory(struct maker *m)
{
	unsigned r = pick(m, N_REGISTERS), d = pick(m, N_REGISTERS);
	const char *type = CHOOSE(m, "u32", "s32", "b32");

	switch (pick(m, 10)) {
	case 0:
	case 1:
		put(m,
		    "and.b32 %%t, %%r%u, %u; mul.wide.u32 %%a, %%t, 4; add.s64 %%a, %%a, %%in;\n"
		    "%sld.global.%s %%r%u, [%%a];\n",
		    r, INPUTS - 1, guard(m), type, d);
		break;
	case 2: /* neighbours */
		put(m,
		    "add.s32 %%t, %%n, %u; mul.wide.%s %%a, %%t, 4; add.s64 %%a, %%in, %%a;\n"
		    "%sld.global.%s %%r%u, [%%a+%u];\n",
		    pick(m, 8), CHOOSE(m, "s32", "u32"), guard(m), type, d, 4 * pick(m, 4));
		break;
	case 3:
		put(m, "%sld.global.f32 %%f%u, [%%in+%u];\n", guard(m), pick(m, N_FLOATS),
		    4 * pick(m, INPUTS));
		break;
	case 4:
		put(m,
		    "and.b32 %%t, %%r%u, %u; mul.wide.u32 %%a, %%t, 1; add.s64 %%a, %%a, %%in;\n"
		    "%sld.global.%s %%r%u, [%%a];\n",
		    r, INPUTS - 1, guard(m), CHOOSE(m, "u8", "s8"), d);
		break;
	case 5:
		put_pairs(m);
		break;
	case 6:
		put(m,
		    "and.b32 %%t, %%r%u, %u; mul.wide.u32 %%a, %%t, 4; add.s64 %%a, %%a, %%count;\n"
		    "%sred.global.add.u32 [%%a], %%r%u;\n",
		    r, COUNTERS - 1, guard(m), d);
		break;
	case 7:
		put_unrolled(m);
		break;
	case 8:
		put_two_places(m);
		break;
	default: /* its own place in shared memory, there and back */
		put(m,
		    "shl.b32 %%t, %%n, 2; mov.u32 %%u, s; add.u32 %%t, %%t, %%u;\n"
		    "%sst.shared.u32 [%%t], %%r%u;\nld.shared.u32 %%r%u, [%%t];\n",
		    guard(m), r, d);
	}
}

static void put_statement(struct maker *m);

static void put_statements(struct maker *m, unsigned most)
{
	unsigned n = 1 + pick(m, most);

	while (n-- && m->budget)
		put_statement(m);
}

static void put_if(struct maker *m)
{
	unsigned label = m->labels, p = pick(m, N_PREDICATES);
	bool has_else = pick(m, 2);

	m->labels += 3;
	m->depth++;
	put(m, "@%s%%p%u bra L%u;\n", pick(m, 2) ? "!" : "", p, label);
	put_statements(m, 4);
	/* Now and then into the middle of the other arm. */
	put(m, "bra L%u;\nL%u:\n", has_else && !pick(m, 4) ? label + 2 : label + 1, label);
	if (has_else)
		put_statements(m, 3);
	put(m, "L%u:\n", label + 2);
	if (has_else)
		put_statements(m, 2);
	put(m, "L%u:\n", label + 1);
	m->depth--;
}

/* Ends for each thread when its fuel is used up, and before that if it likes. */
static void put_loop(struct maker *m)
{
	unsigned label = m->labels, fuel = m->n_loops;

	if (m->n_loops == ARRAY_SIZE(m->loop_end))
		return;
	m->labels += 3;
	m->depth++;
	m->loop_next[m->n_loops] = label + 1;
	m->loop_end[m->n_loops++] = label + 2;
	if (pick(m, 2))
		put(m, "mov.u32 %%x%u, %u;\n", fuel, 1 + pick(m, 5));
	else
		put(m, "and.b32 %%x%u, %%r%u, 7;\n", fuel, pick(m, N_REGISTERS));
	put(m, "L%u:\n", label);
	put_statements(m, 5);
	put(m, "L%u: sub.s32 %%x%u, %%x%u, 1; setp.gt.s32 %%q, %%x%u, 0;\n", label + 1, fuel, fuel,
	    fuel);
	if (pick(m, 3))
		put(m, "@%%q bra L%u;\n", label);
	else
		put(m, "@!%%q bra L%u; bra L%u;\n", label + 2, label);
	put(m, "L%u:\n", label + 2);
	m->n_loops--;
	m->depth--;
}

static void put_jump(struct maker *m)
{
	unsigned p = pick(m, N_PREDICATES);

	if (m->n_loops && pick(m, 4))
		put(m, "@%%p%u bra L%u;\n", p,
		    pick(m, 2) ? m->loop_end[pick(m, m->n_loops)] : m->loop_next[m->n_loops - 1]);
	else if (!pick(m, 3))
		put(m, "@%%p%u bra OUT;\n", p);
	else if (!pick(m, 3) && !m->uses_warps)
		put(m, "@%%p%u exit;\n", p);
}

/* What the lanes of a branch do together, while the others wait, or do the same in a branch of
 * their own. */
static void put_arm(struct maker *m, const char *members)
{
	unsigned d = pick(m, N_REGISTERS), a = pick(m, N_REGISTERS);

	put(m, "bar.warp.sync %s; shfl.sync.%s.b32 %%r%u, %%r%u, %u, 31, %s;\n", members,
	    CHOOSE(m, "up", "down", "bfly", "idx"), d, a, pick(m, 32), members);
	put(m, "vote.sync.ballot.b32 %%r%u, %%p%u, %s; add.u32 %%r%u, %%r%u, %%r%u;\n",
	    pick(m, N_REGISTERS), pick(m, N_PREDICATES), members, d, d, a);
}

static void put_meeting_of_some(struct maker *m)
{
	unsigned p = pick(m, N_PREDICATES), label = m->labels;
	bool has_else = !pick(m, 4);

	m->labels += 2;
	put(m, "{ .reg .b32 %%some, %%rest; .reg .pred %%q; mov.pred %%q, %%p%u;\n", p);
	put(m, "vote.sync.ballot.b32 %%some, %%q, -1; vote.sync.ballot.b32 %%rest, !%%q, -1;\n");
	put(m, "@!%%q bra L%u;\n", label);
	put_arm(m, "%some");
	put(m, "bra L%u;\nL%u:\n", label + 1, label);
	if (has_else)
		put_arm(m, "%rest");
	put(m, "L%u: }\n", label + 1);
}

/* What all lanes do together: only where none can be elsewhere. */
static void put_meeting(struct maker *m)
{
	unsigned d = pick(m, N_REGISTERS), a = pick(m, N_REGISTERS);

	switch (pick(m, m->stays_wide ? 3 : 9)) {
	case 8:
		put_meeting_of_some(m);
		break;
	case 0:
		put(m, "bar.sync 0;\n");
		break;
	case 1:
		put(m, "bar.red.popc.u32 %%r%u, 0, %%p%u;\n", d, pick(m, N_PREDICATES));
		break;
	case 2:
		put(m, "shfl.sync.%s.b32 %%r%u|%%p%u, %%r%u, %u, %s, -1;\n",
		    CHOOSE(m, "up", "down", "bfly", "idx"), d, pick(m, N_PREDICATES), a,
		    pick(m, 32), CHOOSE(m, "31", "0", "0x181f", "0x1000"));
		break;
	case 3:
		put(m, "shfl.sync.idx.b32 %%r%u, %%r%u, %%r%u, 31, -1;\n", d, a,
		    pick(m, N_REGISTERS));
		break;
	case 4:
		put(m, "vote.sync.%s %%p%u, %%p%u, -1;\n",
		    CHOOSE(m, "any.pred", "all.pred", "uni.pred"), pick(m, N_PREDICATES),
		    pick(m, N_PREDICATES));
		break;
	case 5:
		put(m, "vote.sync.ballot.b32 %%r%u, %%p%u, -1;\n", d, pick(m, N_PREDICATES));
		break;
	case 6:
		put(m, "%s %%r%u, %%r%u, -1;\n",
		    CHOOSE(m, "redux.sync.add.u32", "redux.sync.max.s32", "match.any.sync.b32"), d,
		    a);
		break;
	default:
		put(m, "bar.sync 0;\n");
	}
}

static void put_statement(struct maker *m)
{
	m->budget--;
	switch (pick(m, 16)) {
	case 0:
	case 1:
		if (m->depth < 4)
			put_if(m);
		break;
	case 2:
		if (m->depth < 3)
			put_loop(m);
		break;
	case 3:
		if (m->depth)
			put_jump(m);
		break;
	case 4:
	case 5:
		put_memory(m);
		break;
	case 6:
	case 7:
		put_float(m);
		break;
	case 8:
	case 9:
		put_predicate(m);
		break;
	case 10:
	case 11:
		put_long(m);
		break;
	default:
		put_integer(m);
	}
	if (!m->depth && m->uses_warps && !pick(m, 3))
		put_meeting(m);
}

static void put_start(struct maker *m)
{
	put(m,
	    PTX_HEAD
	    ".visible .entry k(.param .u64 in, .param .u64 out, .param .u64 count) {\n"
	    ".reg .pred %%p<8>, %%q; .reg .b32 %%r<16>, %%x<16>, %%n, %%t, %%u;\n"
	    ".reg .f32 %%f<8>; .reg .b64 %%d<8>, %%a, %%in, %%out, %%count;\n"
	    ".reg .b32 %%e<%u>, %%m; .reg .b64 %%g<%u>;\n"
	    ".shared .align 4 .b8 s[%u];\n"
	    "ld.param.u64 %%in, [in]; ld.param.u64 %%out, [out]; ld.param.u64 %%count, [count];\n"
	    "mad.lo.u32 %%m, %%tid.z, %%ntid.y, %%tid.y; mad.lo.u32 %%n, %%m, %%ntid.x, %%tid.x;\n"
	    "shl.b32 %%t, %%n, 2; cvt.u64.u32 %%a, %%t; add.s64 %%a, %%a, %%in;\n"
	    "ld.global.u32 %%r0, [%%a]; ld.global.u32 %%r1, [%%in+64]; mov.u32 %%r2, %%tid.x;\n"
	    "mov.u32 %%r3, %%laneid; mov.u32 %%r4, %%ctaid.x; mov.u32 %%r5, 5; mov.u32 %%r6, %%n;\n"
	    "and.b32 %%r7, %%r0, 15; cvt.rn.f32.u32 %%f0, %%r7; cvt.rn.f32.u32 %%f1, %%r1;\n"
	    "cvt.rn.f32.u32 %%f2, %%tid.x; setp.lt.u32 %%p0, %%r7, 8; setp.lt.u32 %%p1, %%r2, 32;\n"
	    "setp.lt.u32 %%p2, %%r2, 11; cvt.u64.u32 %%d0, %%r2; cvt.s64.s32 %%d1, %%r0;\n",
	    MOST_BUDGET, MOST_BUDGET, MOST_THREADS * 8);
}

/* Everything a thread has goes to its place. */
static void put_end(struct maker *m)
{
	put(m,
	    "OUT:\nmov.u32 %%t, %%ctaid.x; mad.lo.u32 %%t, %%t, %u, %%n;\n"
	    "mul.wide.u32 %%a, %%t, %u; add.s64 %%out, %%out, %%a;\n",
	    MOST_THREADS, WORDS * 4);
	for (unsigned i = 0; i < N_REGISTERS; i++)
		put(m, "st.global.u32 [%%out+%u], %%r%u;\n", 4 * i, i);
	for (unsigned i = 0; i < N_FLOATS; i++)
		put(m, "st.global.f32 [%%out+%u], %%f%u;\n", 4 * (N_REGISTERS + i), i);
	for (unsigned i = 0; i < N_LONGS; i++)
		put(m,
		    "mov.b64 {%%t, %%u}, %%d%u; st.global.u32 [%%out+%u], %%t;\n"
		    "st.global.u32 [%%out+%u], %%u;\n",
		    i, 4 * (N_REGISTERS + N_FLOATS + 2 * i),
		    4 * (N_REGISTERS + N_FLOATS + 2 * i + 1));
	put(m, "mov.u32 %%t, 0;\n");
	for (unsigned i = 0; i < N_PREDICATES; i++)
		put(m, "selp.u32 %%u, %u, 0, %%p%u; or.b32 %%t, %%t, %%u;\n", 1u << i, i);
	put(m, "st.global.u32 [%%out+%u], %%t;\nret; }\n", 4 * (WORDS - 1));
}

static void make(struct maker *m, uint64_t seed)
{
	memset(m, 0, sizeof(*m));
	m->random = seed * 0x9e3779b97f4a7c15 + 1;
	pick(m, 2);
	m->uses_warps = pick(m, 2);
	m->stays_wide = pick(m, 3);
	m->budget = 20 + pick(m, MOST_BUDGET - 20);
	put_start(m);
	while (m->budget)
		put_statement(m);
	put_end(m);
}

static bool is_nan(uint32_t bits)
{
	return (bits & 0x7fffffff) > 0x7f800000;
}

/* NaNs are one value: which operand's bits one gets is nobody's promise. */
static bool is_same(unsigned word, uint32_t x, uint32_t y)
{
	bool is_float = word >= N_REGISTERS && word < N_REGISTERS + N_FLOATS;

	return x == y || (is_float && is_nan(x) && is_nan(y));
}

#define BLOCKS	  2
#define OUT_WORDS (BLOCKS * MOST_THREADS * WORDS)

struct memory {
	uint32_t *in, *out, *count;
};

static void run_with(struct sg_kernel *kernel, const uint32_t block[3], uint32_t lanes,
    const struct memory *memory, uint64_t seed)
{
	uint64_t params[] = {(uint64_t)memory->in, (uint64_t)memory->out, (uint64_t)memory->count};
	struct sg_launch l = {
	    .grid = {BLOCKS, 1, 1},
	    .block = {block[0], block[1], block[2]},
	    .params = params,
	    .params_size = sizeof(params),
	    .lanes = lanes,
	};
	struct sg_fault fault;

	memset(memory->out, 0, OUT_WORDS * 4);
	memset(memory->count, 0, COUNTERS * 4);
	if (sg_launch(kernel, &l, &fault))
		test_fail(__FILE__, __LINE__, "seed %llu, %u lanes: %s", (unsigned long long)seed,
		    lanes, fault.message);
}

static void compare(const struct memory *got, const struct memory *want, const uint32_t block[3],
    uint32_t lanes, uint64_t seed, const char *text)
{
	for (unsigned i = 0; i < OUT_WORDS; i++)
		if (!is_same(i % WORDS, got->out[i], want->out[i])) {
			fprintf(stderr, "%s\n", text);
			test_fail(__FILE__, __LINE__,
			    "seed %llu, %u lanes, block %ux%ux%u: word %u of thread %u is 0x%x, "
			    "alone 0x%x",
			    (unsigned long long)seed, lanes, block[0], block[1], block[2],
			    i % WORDS, i / WORDS % MOST_THREADS, got->out[i], want->out[i]);
		}
	for (unsigned i = 0; i < COUNTERS; i++)
		if (got->count[i] != want->count[i]) {
			fprintf(stderr, "%s\n", text);
			test_fail(__FILE__, __LINE__,
			    "seed %llu, %u lanes: count %u is %u, alone %u",
			    (unsigned long long)seed, lanes, i, got->count[i], want->count[i]);
		}
}

static void try_seed(uint64_t seed, struct memory *got, struct memory *want)
{
	static const uint32_t blocks[][3] = {{64, 1, 1}, {64, 4, 1}, {8, 16, 2}, {77, 1, 1},
	    {16, 16, 1}, {5, 7, 3}, {8, 4, 2}, {32, 3, 1}, {1, 1, 1}, {256, 1, 1}, {32, 16, 1},
	    {300, 1, 1}, {8, 32, 1}, {128, 2, 2}};
	/* Several warps as one compile for longer: one such width each. */
	const uint32_t widths[] = {8, 16, 32, 64u << seed / ARRAY_SIZE(blocks) % 3};
	static struct maker m;
	struct sg_module *module;
	struct sg_kernel *kernel;
	const uint32_t *block = blocks[seed % ARRAY_SIZE(blocks)];

	make(&m, seed);
	module = module_load(m.text);
	kernel = kernel_get(module, "k");
	run_with(kernel, block, 1, want, seed);
	for (unsigned i = 0; i < ARRAY_SIZE(widths); i++) {
		run_with(kernel, block, widths[i], got, seed);
		compare(got, want, block, widths[i], seed, m.text);
	}
	n_loaded--;
	sg_module_unload(module);
}

TEST_LIMIT(random_kernels, 3600)
{
	const char *wanted = getenv("LANES_KERNELS"), *first = getenv("LANES_SEED");
	uint64_t n = wanted ? strtoull(wanted, NULL, 10) : 60;
	uint64_t seed = first ? strtoull(first, NULL, 10) : 1;
	struct memory got, want;

	setenv("SOFTGPU_LANES", "256", 1); /* even where so many do not pay */
	want.in = device_alloc((MOST_THREADS * 16) + INPUTS * 8);
	got.in = want.in;
	got.out = device_alloc(OUT_WORDS * 4);
	want.out = device_alloc(OUT_WORDS * 4);
	got.count = device_alloc(COUNTERS * 4);
	want.count = device_alloc(COUNTERS * 4);
	for (unsigned i = 0; i < MOST_THREADS * 4 + INPUTS * 2; i++)
		want.in[i] = i * 2654435761u;
	for (uint64_t end = seed + n; seed < end; seed++)
		try_seed(seed, &got, &want);
}
