/* Random programs as PTX. */
#include <stdarg.h>
#include <stdio.h>

#include "base/util.h"
#include "softgpu/exec/random/random.h"

struct printer {
	const struct random_program *program;
	char *text;
	size_t capacity, used;
	unsigned n_switches;
};

static _printf_(2, 3) void put(struct printer *printer, const char *format, ...)
{
	size_t at = MIN(printer->used, printer->capacity);
	va_list arguments;

	va_start(arguments, format);
	printer->used +=
	    (size_t)vsnprintf(printer->text + at, printer->capacity - at, format, arguments);
	va_end(arguments);
}

static void put_operand(struct printer *printer, char letter, const struct random_operand *operand)
{
	if (operand->is_constant)
		put(printer, "%llu", (unsigned long long)operand->value);
	else
		put(printer, "%%%c%u", letter, operand->reg);
}

/* The op's text with its operands: D A B C stand alone, as no word of PTX does. */
static void put_op(struct printer *printer, const struct random_step *step)
{
	const struct random_op *op = &random_ops[step->which];

	for (const char *c = op->text; *c; c++) {
		bool is_operand = *c >= 'A' && *c <= 'D';

		if (!is_operand)
			put(printer, "%c", *c);
		else if (*c == 'D')
			put(printer, "%%%c%u", op->classes[0], step->result);
		else
			put_operand(printer, op->classes[*c - 'A' + 1], &step->sources[*c - 'A']);
	}
}

static const char *const reductions[] = {
    "add.u32", "min.u32", "max.s32", "and.b32", "or.b32", "xor.b32"};

/* Bytes from one pair of slots to the next. */
static unsigned pairs_apart(const struct random_program *program, bool is_shared)
{
	return program->threads * (is_shared ? 1 : program->blocks) * 8;
}

static void put_pair(struct printer *printer, const struct random_step *step)
{
	static const char *const orders[] = {"", ".volatile", ".relaxed.gpu"};
	bool takes = step->kind == RANDOM_TAKE;
	char registers[40], place[40];

	if (step->is_whole)
		snprintf(registers, sizeof(registers), "%%d%u", step->result);
	else
		snprintf(registers, sizeof(registers), "{%%r%u, %%r%u}", step->result,
		    step->sources[0].reg);
	snprintf(place, sizeof(place), "[%s+%u]", step->is_shared ? "%shared" : "%slots",
	    step->which * pairs_apart(printer->program, step->is_shared));
	put(printer, "%s%s.%s.%s %s, %s;", takes ? "ld" : "st", orders[step->order],
	    step->is_shared ? "shared" : "global", step->is_whole ? "u64" : "v2.u32",
	    takes ? registers : place, takes ? place : registers);
}

static void put_memory_step(struct printer *printer, const struct random_step *step)
{
	const char *space = step->is_shared ? "shared" : "global";
	char base = step->is_shared ? 's' : 'o';

	if (step->kind == RANDOM_REDUCE) {
		put(printer, "red.global.%s [%%cells+%u], %%r%u;", reductions[step->operation],
		    step->which * 4, step->sources[0].reg);
		return;
	}
	/* The address: this thread's slots, the one that the lower bits of a register name. */
	put(printer,
	    "and.b32 %%x, %%r%u, %u; shr.u32 %%y, %%x, 1; mul.lo.u32 %%y, %%y, %u; "
	    "and.b32 %%x, %%x, 1; mad.lo.u32 %%x, %%x, 4, %%y; ",
	    step->sources[0].reg, RANDOM_SLOTS - 1, pairs_apart(printer->program, step->is_shared));
	if (step->is_shared)
		put(printer, "add.u32 %%y, %%shared, %%x; ");
	else
		put(printer, "cvt.u64.u32 %%z, %%x; add.u64 %%z, %%slots, %%z; ");
	if (step->kind == RANDOM_LOAD)
		put(printer, "ld.%s.u32 %%r%u, [%s];", space, step->result,
		    base == 's' ? "%y" : "%z");
	else
		put(printer, "st.%s.u32 [%s], %%r%u;", space, base == 's' ? "%y" : "%z",
		    step->sources[1].reg);
}

static void put_call(struct printer *printer, const struct random_step *step)
{
	put(printer,
	    "{ .param .b32 a; .param .b32 b; .param .b32 c; st.param.b32 [a], %%r%u; "
	    "st.param.b32 [b], %%r%u; call (c), f%u, (a, b); ld.param.b32 %%r%u, [c]; }",
	    step->sources[0].reg, step->sources[1].reg, step->which, step->result);
}

/* A step of several instructions is jumped over, a single one gets the predicate itself. */
static void put_step(struct printer *printer, const struct random_step *step, unsigned number)
{
	bool is_pair = step->kind == RANDOM_TAKE || step->kind == RANDOM_PUT;
	bool is_single = step->kind == RANDOM_REDUCE || is_pair ||
			 (step->kind == RANDOM_OP && random_ops[step->which].text[0] != '{');

	put(printer, "\t");
	if (step->predicate >= 0 && is_single)
		put(printer, "@%s%%p%d ", step->is_negated ? "!" : "", step->predicate);
	else if (step->predicate >= 0)
		put(printer, "@%s%%p%d bra SKIP%u; ", step->is_negated ? "" : "!", step->predicate,
		    number);
	if (step->kind == RANDOM_OP)
		put_op(printer, step);
	else if (step->kind == RANDOM_CALL)
		put_call(printer, step);
	else if (is_pair)
		put_pair(printer, step);
	else
		put_memory_step(printer, step);
	if (step->predicate >= 0 && !is_single)
		put(printer, " SKIP%u:", number);
	put(printer, "\n");
}

/* A block of the segment, or the place behind it where its lanes meet. */
static void put_label(
    struct printer *printer, const struct random_segment *segment, unsigned target)
{
	bool is_inside = target < segment->first + segment->count;

	put(printer, "%c%u", is_inside ? 'B' : 'E', target);
}

static void put_jump(struct printer *printer, const struct random_segment *segment, unsigned target)
{
	put(printer, "bra ");
	put_label(printer, segment, target);
	put(printer, ";\n");
}

static void put_switch(
    struct printer *printer, const struct random_segment *segment, const struct random_block *block)
{
	unsigned number = printer->n_switches++;

	put(printer, "\tT%u: .branchtargets ", number);
	for (unsigned i = 0; i < RANDOM_MAX_TARGETS; i++) {
		put(printer, i ? ", " : "");
		put_label(printer, segment, block->targets[i]);
	}
	put(printer, ";\n\tand.b32 %%x, %%r%u, %u; brx.idx %%x, T%u;\n", block->reg,
	    RANDOM_MAX_TARGETS - 1, number);
}

static void put_end(
    struct printer *printer, const struct random_segment *segment, const struct random_block *block)
{
	if (block->end == RANDOM_SWITCH) {
		put_switch(printer, segment, block);
		return;
	}
	put(printer, "\t");
	if (block->end == RANDOM_BRANCH)
		put(printer, "@%s%%p%u ", block->is_negated ? "!" : "", block->reg);
	if (block->end == RANDOM_LOOP)
		put(printer, "add.u32 %%n%u, %%n%u, 1; setp.le.u32 %%q, %%n%u, %u; @%%q ",
		    block->loop, block->loop, block->loop, block->turns);
	put_jump(printer, segment, block->targets[0]);
	if (block->end != RANDOM_JUMP) {
		put(printer, "\t");
		put_jump(printer, segment, block->targets[1]);
	}
}

static void put_meeting(struct printer *printer, const struct random_segment *segment)
{
	unsigned from = segment->from, to = segment->to, distance = segment->distance;

	switch (segment->meeting) {
	case RANDOM_EXCHANGE: /* the lanes of other warps, too */
		put(printer,
		    "\tst.shared.u32 [%%mine], %%r%u; bar.sync 0; add.u32 %%x, %%id, %u;\n"
		    "\trem.u32 %%x, %%x, %u; shl.b32 %%x, %%x, 2; mov.u32 %%y, exchange;\n"
		    "\tadd.u32 %%y, %%y, %%x; ld.shared.u32 %%r%u, [%%y]; bar.sync 0;\n",
		    from, distance, printer->program->threads, to);
		break;
	case RANDOM_SHUFFLE:
		put(printer, "\tshfl.sync.bfly.b32 %%r%u, %%r%u, %u, 31, -1;\n", to, from,
		    distance);
		break;
	case RANDOM_VOTE:
		put(printer,
		    "\tand.b32 %%x, %%r%u, 1; setp.ne.u32 %%q, %%x, 0;\n"
		    "\tvote.sync.ballot.b32 %%r%u, %%q, -1;\n",
		    from, to);
		break;
	case RANDOM_SUM:
		put(printer, "\tredux.sync.add.u32 %%r%u, %%r%u, -1;\n", to, from);
		break;
	case RANDOM_MATCH:
		put(printer, "\tand.b32 %%x, %%r%u, 3; match.any.sync.b32 %%r%u, %%x, -1;\n", from,
		    to);
		break;
	default:
		put(printer, "\tbar.sync 0;\n");
	}
}

static void put_registers(struct printer *printer, bool is_load)
{
	static const char *const types[] = {"b32", "b64", "b16", "f32", "f64", NULL};

	for (unsigned c = 0; c < RANDOM_CLASSES; c++)
		for (unsigned r = 0; r < RANDOM_REGISTERS; r++) {
			unsigned at = (c * RANDOM_REGISTERS + r) * 8;
			char letter = RANDOM_LETTERS[c];

			if (c == RANDOM_PRED && is_load)
				put(printer,
				    "\tld.global.u32 %%x, [%%regs+%u]; setp.ne.u32 %%p%u, %%x, "
				    "0;\n",
				    at, r);
			else if (c == RANDOM_PRED)
				put(printer,
				    "\tselp.b64 %%z, 1, 0, %%p%u; st.global.b64 [%%regs+%u], "
				    "%%z;\n",
				    r, at);
			else if (is_load)
				put(printer, "\tld.global.%s %%%c%u, [%%regs+%u];\n", types[c],
				    letter, r, at);
			else
				put(printer, "\tst.global.%s [%%regs+%u], %%%c%u;\n", types[c], at,
				    letter, r);
		}
}

static void put_function(struct printer *printer, unsigned number)
{
	put(printer,
	    ".func (.param .b32 c) f%u(.param .b32 a, .param .b32 b)\n{\n\t.reg .b32 %%r<4>;\n"
	    "\tld.param.b32 %%r0, [a]; ld.param.b32 %%r1, [b]; mov.b32 %%r2, 5; mov.b32 %%r3, "
	    "-9;\n",
	    number);
	for (unsigned s = 0; s < ARRAY_SIZE(printer->program->functions[number]); s++)
		put_step(printer, &printer->program->functions[number][s], s);
	put(printer, "\tst.param.b32 [c], %%r0;\n\tret;\n}\n");
}

static void put_entry(struct printer *printer)
{
	const struct random_program *program = printer->program;
	unsigned threads = program->threads;
	unsigned slots = threads * program->blocks * (unsigned)sizeof(struct random_registers);

	put(printer,
	    ".visible .entry k(.param .u64 memory)\n{\n"
	    "\t.reg .b32 %%r<8>, %%n<%u>, %%x, %%y, %%id, %%shared, %%mine, %%i<4>; "
	    ".reg .b64 %%d<8>, %%z, %%regs, %%slots, %%cells, %%a<4>;\n"
	    "\t.reg .b16 %%h<8>; .reg .f32 %%f<8>; .reg .f64 %%g<8>; .reg .pred %%p<8>, %%q;\n"
	    "\t.shared .align 8 .b8 own[%u]; .shared .align 4 .b8 exchange[%u];\n",
	    program->n_loops + 1, threads * RANDOM_SLOTS * 4, threads * 4);
	/* Each register is written once, as compilers have it: so it is seen that lanes are
	 * neighbours. */
	put(printer,
	    "\tld.param.u64 %%a0, [memory]; mov.u32 %%id, %%tid.x; mov.u32 %%i0, %%ctaid.x;\n"
	    "\tmov.u32 %%i1, %%ntid.x; mad.lo.u32 %%i2, %%i0, %%i1, %%id;\n"
	    "\tmul.wide.u32 %%a1, %%i2, %zu; add.u64 %%regs, %%a0, %%a1;\n"
	    "\tmul.wide.u32 %%a2, %%i2, 8; add.u64 %%a3, %%a0, %%a2;\n"
	    "\tadd.u64 %%slots, %%a3, %u; add.u64 %%cells, %%a0, %u;\n"
	    "\tmov.u32 %%i3, own; mad.lo.u32 %%shared, %%id, 8, %%i3;\n"
	    "\tmov.u32 %%mine, exchange; mad.lo.u32 %%mine, %%id, 4, %%mine;\n",
	    sizeof(struct random_registers), slots,
	    slots + threads * program->blocks * RANDOM_SLOTS * 4);
	for (unsigned i = 0; i < RANDOM_SLOTS; i++)
		put(printer, "\tst.shared.u32 [%%shared+%u], %u;\n",
		    i / 2 * pairs_apart(program, true) + i % 2 * 4, i);
	for (unsigned i = 0; i < program->n_loops; i++)
		put(printer, "\tmov.u32 %%n%u, 0;\n", i);
	put_registers(printer, true);
}

size_t random_print(const struct random_program *program, char *text, size_t capacity)
{
	struct printer printer = {program, text, capacity, 0, 0};

	put(&printer,
	    "// seed %llu: %u blocks of %u threads\n.version 8.0\n.target sm_80\n"
	    ".address_size 64\n",
	    (unsigned long long)program->seed, program->blocks, program->threads);
	for (unsigned f = 0; f < RANDOM_FUNCTIONS; f++)
		put_function(&printer, f);
	put_entry(&printer);
	for (unsigned i = 0; i < program->n_segments; i++) {
		const struct random_segment *segment = &program->segments[i];

		for (unsigned b = segment->first; b < segment->first + segment->count; b++) {
			const struct random_block *block = &program->graph[b];

			put(&printer, "B%u:\n", b);
			for (unsigned s = 0; s < block->count; s++)
				put_step(
				    &printer, &program->steps[block->first + s], block->first + s);
			put_end(&printer, segment, block);
		}
		put(&printer, "E%u:\n", segment->first + segment->count);
		put_meeting(&printer, segment);
	}
	put_registers(&printer, false);
	put(&printer, "\tret;\n}\n");
	return printer.used;
}
