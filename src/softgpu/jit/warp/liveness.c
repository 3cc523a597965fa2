/* Which values are alive at a block's beginning, and which an instruction names. */
#include "softgpu/jit/warp/flow.h"

bool flow_has_result(const struct ptx_instruction *in)
{
	if (!in->n_operands || in->operands->kind == PTX_OPERAND_ADDRESS)
		return false;
	switch (in->opcode) {
	case PTX_OP_label:
	case PTX_OP_bra:
	case PTX_OP_brx:
	case PTX_OP_call:
	case PTX_OP_nanosleep:
	case PTX_OP_stackrestore:
		return false;
	case PTX_OP_bar:
	case PTX_OP_barrier:
		return ptx_has(in, PTX_MODIFIER_red);
	case PTX_OP_tcgen05:
		return ptx_has(in, PTX_MODIFIER_ld);
	default:
		return true;
	}
}

static void visit_operand(
    const struct ptx_operand *operand, bool is_result, flow_visitor *visit, void *context)
{
	if (operand->kind == PTX_OPERAND_REGISTER)
		visit(context, operand->reg, is_result);
	else
		for (uint32_t i = 0; i < operand->n_elements; i++)
			visit_operand(&operand->elements[i],
			    is_result && operand->kind != PTX_OPERAND_ADDRESS, visit, context);
}

void flow_visit(
    const struct flow *flow, const struct ptx_instruction *in, flow_visitor *visit, void *context)
{
	uint32_t carry = (uint32_t)flow->n_values - 1;

	for (unsigned i = 0; i < in->n_operands; i++) {
		bool is_list =
		    in->opcode == PTX_OP_call && in->operands[i].kind == PTX_OPERAND_LIST;

		visit_operand(
		    &in->operands[i], !i && (is_list || flow_has_result(in)), visit, context);
	}
	if (in->opcode == PTX_OP_wgmma && in->n_operands) /* it adds to its result */
		visit_operand(in->operands, false, visit, context);
	if (in->opcode == PTX_OP_tcgen05 && ptx_has(in, PTX_MODIFIER_red) && in->n_operands > 1)
		visit_operand(&in->operands[1], true, visit, context); /* what it reduced */
	if (in->predicate != PTX_NO_REG)
		visit(context, in->predicate, false);
	if (in->opcode == PTX_OP_addc || in->opcode == PTX_OP_subc || in->opcode == PTX_OP_madc)
		visit(context, carry, false);
	if (ptx_has(in, PTX_MODIFIER_cc))
		visit(context, carry, true);
}

struct liveness {
	struct flow_block *block;
	uint64_t *killed;
	bool is_certain; /* the instruction is not predicated */
	bool results;	 /* this round is about results */
};

static void note_value(void *context, uint32_t value, bool is_result)
{
	struct liveness *l = context;

	if (is_result != l->results)
		return;
	if (!is_result) {
		if (!bits_has(l->killed, value))
			bits_add(l->block->live_in, value);
		return;
	}
	bits_add(l->block->defined, value);
	if (l->is_certain)
		bits_add(l->killed, value);
}

void flow_find_liveness(struct flow *flow)
{
	size_t words = flow->value_words;
	uint64_t *killed = flow_take(flow, flow->n_blocks * words * sizeof(*killed));
	bool changed = true;

	for (uint32_t i = 0; i < flow->n_blocks; i++) {
		struct flow_block *block = &flow->blocks[i];
		struct liveness l = {.block = block, .killed = &killed[i * words]};

		block->live_in = flow_take(flow, words * sizeof(uint64_t));
		block->defined = flow_take(flow, words * sizeof(uint64_t));
		for (uint32_t k = block->first; block->place != FLOW_NONE && k < block->end; k++) {
			const struct ptx_instruction *in = &flow->function->code[k];

			l.is_certain = in->predicate == PTX_NO_REG;
			l.results = false;
			flow_visit(flow, in, note_value, &l);
			l.results = true;
			flow_visit(flow, in, note_value, &l);
		}
	}
	while (changed) {
		changed = false;
		for (uint32_t i = flow->n_ordered; i--;) {
			uint32_t number = flow->order[i];
			struct flow_block *block = &flow->blocks[number];

			for (uint32_t k = 0; k < block->n_next; k++)
				for (size_t w = 0; w < words; w++) {
					uint64_t in = flow->blocks[block->next[k]].live_in[w] &
						      ~killed[number * words + w] &
						      ~block->live_in[w];

					block->live_in[w] |= in;
					changed |= in != 0;
				}
		}
	}
}
