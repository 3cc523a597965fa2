/*
 * Which loops may wait for what other lanes write, asked once when a kernel is translated.
 *
 * A lane waits when what it reads of others' memory decides whether it goes round again. So the
 * values that come of such reads are followed through registers, without regard to order: a read
 * that no branch of any loop comes of is a read like any other. Memory is not followed. Values
 * that go where a lane's own variables may lie (unoptimised code has them all there) or into a
 * function are taken to decide.
 *
 * Such a loop is harmless all the same where the lanes that stand by could not write what it waits
 * for (parked.c): it waits for other warps then.
 *
 * Compare and swap that is tried again with what it found (how additions are made that there is no
 * instruction for) decides a branch and waits for nobody: it fails only where another lane's has
 * succeeded.
 */
#include <string.h>

#include "softgpu/jit/warp/facts.h"

#define MOST_MOVES 8u /* between what compare and swap found and what it compares with next */

/* Leaves what is there: how some programs read what others write. */
static bool changes_nothing(const struct facts *facts, const struct ptx_instruction *in)
{
	uint64_t number;

	return (ptx_has(in, PTX_MODIFIER_add) || ptx_has(in, PTX_MODIFIER_or) ||
		   ptx_has(in, PTX_MODIFIER_xor) || ptx_has(in, PTX_MODIFIER_max)) &&
	       facts_number(facts, &in->operands[2], &number) && !number;
}

/* Reads memory others write; opcode and modifiers say so. */
static bool reads_others(const struct facts *facts, const struct ptx_instruction *in)
{
	if (in->opcode == PTX_OP_atom)
		return in->operands->kind != PTX_OPERAND_SINK &&
		       (ptx_has(in, PTX_MODIFIER_cas) || ptx_has(in, PTX_MODIFIER_exch) ||
			   changes_nothing(facts, in));
	return in->opcode == PTX_OP_ld &&
	       (ptx_has(in, PTX_MODIFIER_volatile) || ptx_has(in, PTX_MODIFIER_acquire) ||
		   ptx_has(in, PTX_MODIFIER_relaxed));
}

bool spin_may(const struct facts *facts, const struct ptx_instruction *in)
{
	return in->opcode == PTX_OP_nanosleep || mbarrier_waits(in) || reads_others(facts, in);
}

struct mention {
	uint32_t value;
	bool is_result, found;
};

static void look_for(void *context, uint32_t value, bool is_result)
{
	struct mention *m = context;

	m->found |= value == m->value && is_result == m->is_result;
}

static bool writes(const struct flow *flow, const struct ptx_instruction *in, uint32_t value)
{
	struct mention m = {.value = value, .is_result = true};

	flow_visit(flow, in, look_for, &m);
	return m.found;
}

static bool is_register(const struct ptx_operand *operand)
{
	return operand->kind == PTX_OPERAND_REGISTER && operand->part == PTX_PART_ALL &&
	       !operand->negated;
}

/*
 * Whether all that the loop writes to a register is what the compare and swap in it found, in this
 * round or an earlier one.
 */
static bool is_found(const struct flow *flow, const struct flow_loop *loop, uint32_t swap,
    uint32_t reg, uint32_t moves)
{
	bool any = false;

	for (uint32_t i = 0; i < flow->n_ordered; i++) {
		const struct flow_block *block = &flow->blocks[flow->order[i]];

		if (!bits_has(loop->blocks, flow->order[i]) || !bits_has(block->defined, reg))
			continue;
		for (uint32_t k = block->first; k < block->end; k++) {
			const struct ptx_instruction *in = &flow->function->code[k];

			if (!writes(flow, in, reg))
				continue;
			any = true;
			if (k == swap && reg == in->operands->reg)
				continue;
			if (in->opcode != PTX_OP_mov || in->predicate != PTX_NO_REG || !moves ||
			    !is_register(&in->operands[0]) || !is_register(&in->operands[1]) ||
			    !is_found(flow, loop, swap, in->operands[1].reg, moves - 1))
				return false;
		}
	}
	return any;
}

static bool loop_writes(const struct flow *flow, const struct flow_loop *loop, uint32_t value)
{
	for (uint32_t i = 0; i < flow->n_ordered; i++)
		if (bits_has(loop->blocks, flow->order[i]) &&
		    bits_has(flow->blocks[flow->order[i]].defined, value))
			return true;
	return false;
}

/* The comparison, in the rest of the block, of what the swap found with what it wanted, if nothing
 * writes its result or these behind it. */
static const struct ptx_instruction *find_comparison(
    const struct flow *flow, const struct flow_block *block, uint32_t swap, uint32_t predicate)
{
	const struct ptx_instruction *code = flow->function->code, *test = NULL;
	uint32_t found = code[swap].operands[0].reg, wanted = code[swap].operands[2].reg;

	for (uint32_t k = swap + 1; k < block->end; k++) {
		const struct ptx_operand *operands = code[k].operands;

		if (!test && (writes(flow, &code[k], found) || writes(flow, &code[k], wanted)))
			return NULL;
		if (!writes(flow, &code[k], predicate))
			continue;
		if (test || code[k].opcode != PTX_OP_setp || code[k].n_operands != 3 ||
		    code[k].predicate != PTX_NO_REG || ptx_type_is_float(code[k].types[0]) ||
		    !(ptx_has(&code[k], PTX_MODIFIER_eq) || ptx_has(&code[k], PTX_MODIFIER_ne)) ||
		    !is_register(&operands[0]) || !is_register(&operands[1]) ||
		    !is_register(&operands[2]))
			return NULL;
		if (!(operands[1].reg == found && operands[2].reg == wanted) &&
		    !(operands[1].reg == wanted && operands[2].reg == found))
			return NULL;
		test = &code[k];
	}
	return test;
}

/* Is it a compare and swap that is tried again until it succeeds? Its block's last instruction is
 * then the branch back. */
static bool is_tried_again(const struct flow *flow, uint32_t number, uint32_t swap)
{
	const struct flow_block *block = &flow->blocks[number];
	const struct ptx_instruction *in = &flow->function->code[swap],
				     *branch = &flow->function->code[block->end - 1], *test;
	const struct flow_loop *loop = &flow->loops[block->loop];
	const struct ptx_operand *base;
	bool goes_when_equal;
	uint32_t to;

	if (in->opcode != PTX_OP_atom || !ptx_has(in, PTX_MODIFIER_cas) ||
	    in->predicate != PTX_NO_REG || in->n_operands < 4 || !is_register(&in->operands[0]) ||
	    !is_register(&in->operands[2]) || branch->opcode != PTX_OP_bra ||
	    branch->predicate == PTX_NO_REG)
		return false;
	base = in->operands[1].elements;
	if (base->kind == PTX_OPERAND_REGISTER && loop_writes(flow, loop, base->reg))
		return false;
	if (!is_found(flow, loop, swap, in->operands[2].reg, MOST_MOVES))
		return false;
	test = find_comparison(flow, block, swap, branch->predicate);
	if (!test)
		return false;
	goes_when_equal = ptx_has(test, PTX_MODIFIER_eq) != branch->predicate_negated;
	to = flow_target(flow, number,
	    goes_when_equal ? ptx_label_resolve(branch->operands[0].label)->position : block->end);
	return to == flow->exit || !bits_has(loop->blocks, to);
}

enum verdict { VERDICT_NONE, VERDICT_HARMLESS, VERDICT_HARMFUL };

struct spin {
	struct facts *facts;
	const struct flow *flow;
	uint64_t *values;  /* that come of reads */
	uint64_t *exempt;  /* blocks whose branch only tries again */
	uint8_t *verdicts; /* by loop: an enum verdict; NULL: any loop will do */
	uint64_t *passed;  /* blocks, for note_ways() */
	uint32_t *stack;   /* the same */
	bool shared_matters;
	bool has, changed;
};

static struct spin spin_new(struct facts *facts)
{
	struct flow *flow = &facts->flow;

	return (struct spin){.facts = facts,
	    .flow = flow,
	    .values = flow_take(flow, flow->value_words * sizeof(uint64_t)),
	    .exempt = flow_take(flow, flow->block_words * sizeof(uint64_t)),
	    .passed = flow_take(flow, flow->block_words * sizeof(uint64_t)),
	    .stack = flow_take(flow, (flow->n_blocks + 1) * sizeof(uint32_t))};
}

/* Lanes may go round the loops that the block is in until others write something. */
static bool may_wait_for_lanes(struct spin *s, uint32_t block)
{
	uint32_t loop = s->flow->blocks[block].loop;

	if (!s->verdicts)
		return loop != FLOW_NONE;
	for (; loop != FLOW_NONE; loop = s->flow->loops[loop].outer) {
		if (s->verdicts[loop] == VERDICT_NONE)
			s->verdicts[loop] = parked_may_write(s->facts, loop, s->shared_matters)
						? VERDICT_HARMFUL
						: VERDICT_HARMLESS;
		if (s->verdicts[loop] == VERDICT_HARMFUL)
			return true;
		s->facts->waits = true;
	}
	return false;
}

static void note_use(void *context, uint32_t value, bool is_result)
{
	struct spin *s = context;

	s->has |= !is_result && bits_has(s->values, value);
}

static void note_result(void *context, uint32_t value, bool is_result)
{
	struct spin *s = context;

	if (!is_result || bits_has(s->values, value))
		return;
	bits_add(s->values, value);
	s->changed = true;
}

static void note_all(struct spin *s, const uint64_t *values)
{
	for (size_t i = 0; i < s->flow->value_words; i++) {
		s->changed |= (values[i] & ~s->values[i]) != 0;
		s->values[i] |= values[i];
	}
}

static bool operand_has(const struct spin *s, const struct ptx_operand *operand)
{
	bool has = operand->kind == PTX_OPERAND_REGISTER && bits_has(s->values, operand->reg);

	for (uint32_t i = 0; i < operand->n_elements && !has; i++)
		has = operand_has(s, &operand->elements[i]);
	return has;
}

/* What an atomic operation finds does not come of what it leaves. */
static bool atomic_has(const struct spin *s, const struct ptx_instruction *in)
{
	return (in->predicate != PTX_NO_REG && bits_has(s->values, in->predicate)) ||
	       operand_has(s, &in->operands[1]) ||
	       (ptx_has(in, PTX_MODIFIER_cas) && operand_has(s, &in->operands[2]));
}

/* Do all ways of a branch meet in the same round of its loop? */
static bool is_within_a_round(const struct flow *flow, uint32_t block)
{
	return flow->blocks[block].loop != FLOW_NONE &&
	       flow_postdominator(flow, flow->blocks[block].loop, block) != FLOW_NONE;
}

/* All that is written on the ways of such a branch comes of the value. */
static void note_ways(struct spin *s, uint32_t branch)
{
	const struct flow *flow = s->flow;
	uint32_t end = flow_postdominator(flow, flow->blocks[branch].loop, branch);
	uint32_t *ways = s->stack, n = 0;

	memset(s->passed, 0, flow->block_words * sizeof(*s->passed));
	bits_add(s->passed, end);
	ways[n++] = branch;
	while (n) {
		const struct flow_block *block = &flow->blocks[ways[--n]];

		for (uint32_t k = 0; k < block->n_next; k++) {
			uint32_t next = block->next[k];

			if (next == flow->exit || bits_has(s->passed, next))
				continue;
			bits_add(s->passed, next);
			note_all(s, flow->blocks[next].defined);
			ways[n++] = next;
		}
	}
}

/* An instruction that uses such a value: does that decide on a loop's further rounds? Else its
 * results come of the value too. */
static bool decides(struct spin *s, uint32_t block, const struct ptx_instruction *in)
{
	switch (in->opcode) {
	case PTX_OP_call:
		return true;
	case PTX_OP_st:
		return !ptx_has(in, PTX_MODIFIER_global) && !ptx_has(in, PTX_MODIFIER_shared);
	case PTX_OP_bra:
	case PTX_OP_brx:
		if (is_within_a_round(s->flow, block)) {
			note_ways(s, block);
			return false;
		}
		return !bits_has(s->exempt, block) && may_wait_for_lanes(s, block);
	case PTX_OP_ret:
	case PTX_OP_exit:
		return !bits_has(s->exempt, block) && may_wait_for_lanes(s, block);
	case PTX_OP_atom:
		if (atomic_has(s, in))
			flow_visit(s->flow, in, note_result, s);
		return false;
	default:
		flow_visit(s->flow, in, note_result, s);
		return false;
	}
}

static bool follow_values(struct spin *s)
{
	do {
		s->changed = false;
		for (uint32_t i = 0; i < s->flow->n_ordered; i++) {
			const struct flow_block *b = &s->flow->blocks[s->flow->order[i]];

			for (uint32_t k = b->first; k < b->end; k++) {
				s->has = false;
				flow_visit(s->flow, &s->flow->function->code[k], note_use, s);
				if (s->has &&
				    decides(s, s->flow->order[i], &s->flow->function->code[k]))
					return true;
			}
		}
	} while (s->changed);
	return false;
}

static void note_read(struct spin *s, uint32_t block, uint32_t k)
{
	flow_visit(s->flow, &s->flow->function->code[k], note_result, s);
	if (is_tried_again(s->flow, block, k))
		bits_add(s->exempt, block);
}

/* May any loop wait for what is written to shared memory? */
static bool waits_on_shared(struct facts *facts)
{
	struct spin s = spin_new(facts);

	for (uint32_t i = 0; i < s.flow->n_ordered; i++) {
		const struct flow_block *b = &s.flow->blocks[s.flow->order[i]];

		for (uint32_t k = b->first; k < b->end && b->loop != FLOW_NONE; k++) {
			const struct ptx_instruction *in = &s.flow->function->code[k];

			if (!spin_may(facts, in) || ptx_has(in, PTX_MODIFIER_global))
				continue;
			if (!reads_others(facts, in))
				return true;
			note_read(&s, s.flow->order[i], k);
		}
	}
	return follow_values(&s);
}

const struct ptx_instruction *spin_find(struct facts *facts)
{
	struct flow *flow = &facts->flow;
	struct spin s = spin_new(facts);
	const struct ptx_instruction *first = NULL;

	s.verdicts = flow_take(flow, flow->n_loops);
	s.shared_matters = waits_on_shared(facts);
	for (uint32_t i = 0; i < flow->n_ordered; i++) {
		const struct flow_block *b = &flow->blocks[flow->order[i]];

		if (b->loop == FLOW_NONE || !bits_has(facts->partial, flow->order[i]))
			continue;
		for (uint32_t k = b->first; k < b->end; k++) {
			const struct ptx_instruction *in = &flow->function->code[k];

			if (!spin_may(facts, in))
				continue;
			if (reads_others(facts, in)) {
				first = first ?: in;
				note_read(&s, flow->order[i], k);
			} else if (may_wait_for_lanes(&s, flow->order[i])) {
				return in;
			}
		}
	}
	return first && follow_values(&s) ? first : NULL;
}
