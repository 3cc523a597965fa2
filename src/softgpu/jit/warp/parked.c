/*
 * What lanes do next that stand behind a loop, or on another way, while others of their warp go
 * round it. They go on only when the loop has ended, so that it must not wait for them.
 *
 * It does not if they write nothing before they meet the others: at a barrier of all threads, or
 * where all lanes of the warp must come. So do kernels in which one thread waits for other blocks
 * and the rest at the block's barrier, and solvers whose lanes wait for rows of others before they
 * add up in the warp. What they write to shared memory does not matter in kernels of which no loop
 * waits for anything there: whoever reads it without waiting may read it too early as well.
 */
#include "softgpu/exec/exec.h"
#include "softgpu/jit/warp/facts.h"

static bool names_all_lanes(
    const struct facts *facts, const struct ptx_instruction *in, unsigned index)
{
	uint64_t members;

	return facts->width <= SG_WARP_SIZE && index < in->n_operands &&
	       facts_number(facts, &in->operands[index], &members) &&
	       (uint32_t)members == UINT32_MAX;
}

/* Does nobody pass before all lanes have come, or ended? */
static bool all_meet(const struct facts *facts, const struct ptx_instruction *in)
{
	bool is_sync = ptx_has(in, PTX_MODIFIER_sync);

	if (in->predicate != PTX_NO_REG)
		return false;
	switch (in->opcode) {
	case PTX_OP_bar:
	case PTX_OP_barrier:
		if (ptx_has(in, PTX_MODIFIER_warp))
			return names_all_lanes(facts, in, 0);
		return !ptx_has(in, PTX_MODIFIER_arrive) && !ptx_has(in, PTX_MODIFIER_cluster) &&
		       in->n_operands <= (ptx_has(in, PTX_MODIFIER_red) ? 3 : 1);
	case PTX_OP_vote:
	case PTX_OP_redux:
	case PTX_OP_match:
		return is_sync && names_all_lanes(facts, in, 2);
	case PTX_OP_shfl:
		return is_sync && names_all_lanes(facts, in, 4);
	default:
		return false;
	}
}

/* May others see that a lane has done it? Where that is not known, they may. */
static bool may_show(const struct flow *flow, const struct ptx_instruction *in, bool shared_matters)
{
	switch (in->opcode) {
	case PTX_OP_label:
	case PTX_OP_bra:
	case PTX_OP_brx:
	case PTX_OP_exit:
	case PTX_OP_membar:
	case PTX_OP_fence:
	case PTX_OP_nanosleep:
		return false;
	case PTX_OP_ret:
		return !flow->function->is_entry;
	case PTX_OP_st:
		return !ptx_has(in, PTX_MODIFIER_local) && !ptx_has(in, PTX_MODIFIER_param) &&
		       (shared_matters || !(ptx_has(in, PTX_MODIFIER_shared) ||
					      ptx_has(in, PTX_MODIFIER_shared_cta)));
	case PTX_OP_bar:
	case PTX_OP_barrier:
		return !ptx_has(in, PTX_MODIFIER_warp);
	case PTX_OP_mbarrier:
		return !mbarrier_waits(in);
	case PTX_OP_atom:
	case PTX_OP_call:
	case PTX_OP_cp:
	case PTX_OP_tcgen05:
	case PTX_OP_wgmma:
		return true;
	default:
		return !flow_has_result(in);
	}
}

static bool loop_may_leave_at(
    const struct facts *facts, const struct flow_loop *loop, uint32_t waiting)
{
	const struct flow *flow = &facts->flow;

	/* Lanes run from the lowest block on: nobody waits before the loop. */
	if (bits_has(loop->blocks, waiting) ||
	    flow->blocks[waiting].place < flow->blocks[loop->header].place)
		return false;
	for (uint32_t i = 0; i < flow->n_ordered; i++)
		if (bits_has(loop->blocks, flow->order[i]) &&
		    facts_may_wait(facts, flow->order[i], waiting))
			return true;
	return false;
}

enum passage { PASSAGE_ENDS, PASSAGE_GOES_ON, PASSAGE_SHOWS };

static enum passage pass(
    const struct facts *facts, const struct flow_block *block, bool shared_matters)
{
	const struct flow *flow = &facts->flow;

	for (uint32_t k = block->first; k < block->end; k++) {
		const struct ptx_instruction *in = &flow->function->code[k];

		if (all_meet(facts, in))
			return PASSAGE_ENDS;
		if (may_show(flow, in, shared_matters))
			return PASSAGE_SHOWS;
	}
	return PASSAGE_GOES_ON;
}

bool parked_may_write(struct facts *facts, uint32_t loop, bool shared_matters)
{
	struct flow *flow = &facts->flow;
	uint64_t *reached = flow_take(flow, flow->block_words * sizeof(*reached)),
		 *passed = flow_take(flow, flow->block_words * sizeof(*passed));
	bool grows = true;

	for (uint32_t i = 0; i < flow->n_ordered; i++)
		if (loop_may_leave_at(facts, &flow->loops[loop], flow->order[i]))
			bits_add(reached, flow->order[i]);
	while (grows) {
		grows = false;
		for (uint32_t i = 0; i < flow->n_ordered; i++) {
			uint32_t number = flow->order[i];
			const struct flow_block *block = &flow->blocks[number];
			enum passage passage;

			if (!bits_has(reached, number) || bits_has(passed, number))
				continue;
			passage = pass(facts, block, shared_matters);
			if (passage == PASSAGE_SHOWS)
				return true;
			bits_add(passed, number);
			for (uint32_t k = 0; passage == PASSAGE_GOES_ON && k < block->n_next; k++)
				if (block->next[k] != flow->exit)
					bits_add(reached, block->next[k]);
			grows = true;
		}
	}
	return false;
}
