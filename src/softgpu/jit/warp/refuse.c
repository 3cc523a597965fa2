/*
 * Which kernels the warp machine takes. Lanes run on one path at a time, so a kernel in which some
 * lanes may wait for others of their warp cannot run in step; and a few others are refused because
 * LLVM would take too long, or because they need what only a thread alone has.
 *
 * Nothing is wrong with a kernel that is refused: it runs on the scalar machine.
 */
#include <stdlib.h>

#include "softgpu/jit/warp/warp.h"

#define MOST_MEETINGS 200000u

_Noreturn void warp_refuse(struct warp *warp, const char *why)
{
	emit_fail(&warp->emit, "%s", why);
}

static bool is_barrier(const struct ptx_instruction *in)
{
	return (in->opcode == PTX_OP_bar || in->opcode == PTX_OP_barrier) &&
	       !ptx_has(in, PTX_MODIFIER_warp);
}

static bool takes_short_address(struct emit *emit)
{
	const struct ptx_instruction *in = emit->in;

	return in->opcode == PTX_OP_mov && in->operands[1].kind == PTX_OPERAND_VARIABLE &&
	       in->operands[1].variable->space == PTX_SPACE_LOCAL &&
	       ptx_type_bits(type_at(emit, 0)) == 32;
}

bool warp_meets(const struct ptx_instruction *in)
{
	if (in->opcode == PTX_OP_tcgen05)
		return tcgen05_meets(in);
	return ptx_opcode_info(in->opcode)->facts & PTX_OP_COLLECTIVE &&
	       in->opcode != PTX_OP_mbarrier;
}

/* Blocks that one lane may run before or after block, loops' further rounds aside. */
static void find_related(const struct flow *flow, uint32_t block, uint64_t *related)
{
	uint64_t *before = calloc(2 * flow->block_words, sizeof(*before));
	uint64_t *after = before + flow->block_words;
	uint32_t here = flow->blocks[block].place;

	if (!before)
		return;
	bits_add(before, block);
	bits_add(after, block);
	for (uint32_t place = here; place < flow->n_ordered; place++) {
		const struct flow_block *b = &flow->blocks[flow->order[place]];

		for (uint32_t i = 0; i < b->n_next && bits_has(after, flow->order[place]); i++)
			if (flow->blocks[b->next[i]].place > place)
				bits_add(after, b->next[i]);
	}
	for (uint32_t place = here + 1; place--;) {
		const struct flow_block *b = &flow->blocks[flow->order[place]];

		for (uint32_t i = 0; i < b->n_from && bits_has(before, flow->order[place]); i++)
			if (flow->blocks[b->from[i]].place < place)
				bits_add(before, b->from[i]);
	}
	bits_merge(related, before, flow->block_words);
	bits_merge(related, after, flow->block_words);
	free(before);
}

/* Blocks that lanes may go on to which wait while others run block, loops' further rounds aside. */
static void find_ahead(const struct facts *facts, uint32_t block, uint64_t *ahead)
{
	const struct flow *flow = &facts->flow;

	facts_find_beside(facts, block, ahead);
	for (uint32_t place = 0; place < flow->n_ordered; place++) {
		uint32_t number = flow->order[place];
		const struct flow_block *b = &flow->blocks[number];

		for (uint32_t i = 0; i < b->n_next && bits_has(ahead, number); i++)
			if (flow->blocks[b->next[i]].place > place)
				bits_add(ahead, b->next[i]);
	}
}

static bool block_meets(const struct flow *flow, uint32_t number)
{
	const struct flow_block *block = &flow->blocks[number];

	for (uint32_t k = block->first; k < block->end; k++)
		if (warp_meets(&flow->function->code[k]))
			return true;
	return false;
}

/*
 * Some lanes meet in a block while others are elsewhere. Those others are no members, unless they
 * are on the way to a place beside this one where they wait for these.
 */
static bool may_meet_elsewhere(const struct facts *facts, uint32_t block)
{
	const struct flow *flow = &facts->flow;
	uint64_t *related = calloc(2 * flow->block_words, sizeof(*related));
	uint64_t *ahead = related + flow->block_words;
	bool elsewhere = !related;

	if (related) {
		find_related(flow, block, related);
		find_ahead(facts, block, ahead);
	}
	for (uint32_t i = 0; i < flow->n_ordered && !elsewhere; i++) {
		uint32_t other = flow->order[i];

		elsewhere = bits_has(ahead, other) && !bits_has(related, other) &&
			    bits_has(facts->partial, other) && block_meets(flow, other);
	}
	free(related);
	return elsewhere;
}

static void check_instruction(struct warp *warp, const struct ptx_instruction *in, uint32_t block)
{
	const struct facts *facts = &warp->facts;

	warp->emit.in = in;
	switch (in->opcode) {
	case PTX_OP_alloca:
	case PTX_OP_stacksave:
	case PTX_OP_stackrestore:
		warp_refuse(warp, ptx_opcode_info(in->opcode)->name);
	default:
		break;
	}
	if (calls_device_runtime(in))
		warp_refuse(warp, "it launches grids or waits for its own");
	if (takes_short_address(&warp->emit))
		warp_refuse(warp, "local memory has addresses of 32 bits");
	if (warp_meets(in) && bits_has(facts->partial, block) &&
	    (is_barrier(in) || may_meet_elsewhere(facts, block)))
		warp_refuse(warp, "lanes meet where others may be elsewhere");
	if (warp_meets(in) && in->predicate != PTX_NO_REG &&
	    !shape_is_uniform(shape_of_value(facts, in->predicate)))
		warp_refuse(warp, "lanes meet under a predicate");
	if (warp_meets(in) && !is_barrier(in) && facts->width < SG_WARP_SIZE)
		warp_refuse(warp, "it needs whole warps");
	warp->needs_fibers |= is_barrier(in) || mbarrier_waits(in) || in->opcode == PTX_OP_wgmma ||
			      in->opcode == PTX_OP_tcgen05;
}

static void check_loops(struct warp *warp)
{
	const struct flow *flow = &warp->facts.flow;

	if (warp->facts.spins) {
		warp->emit.in = warp->facts.spins;
		warp_refuse(warp, "some lanes may wait for others in a loop");
	}
	warp->needs_fibers |= warp->facts.waits;
	for (uint32_t i = 0; i < flow->n_ordered; i++) {
		const struct flow_block *block = &flow->blocks[flow->order[i]];

		if (block->loop == FLOW_NONE || bits_has(warp->facts.partial, flow->order[i]))
			continue;
		for (uint32_t k = block->first; k < block->end; k++)
			warp->needs_fibers |= spin_may(&warp->facts, &flow->function->code[k]);
	}
}

/* Instructions times lanes: compiling takes longer by both. */
#define MOST_LANE_INSTRUCTIONS (2048u * SG_WARP_SIZE)

/* What lanes of one warp say to each other, beside shuffles, is about 32 lanes. */
bool warp_wants_many_lanes(const struct ptx_function *function, const struct jit_warp *shape)
{
	bool waits = shape->is_asked_for;

	if (function->n_code * (uint64_t)shape->width > MOST_LANE_INSTRUCTIONS &&
	    !shape->is_asked_for)
		return false;
	for (uint32_t i = 0; i < function->n_code; i++) {
		const struct ptx_instruction *in = &function->code[i];
		bool meets = ptx_opcode_info(in->opcode)->facts & PTX_OP_COLLECTIVE;

		if (meets && in->opcode != PTX_OP_bar && in->opcode != PTX_OP_barrier &&
		    in->opcode != PTX_OP_shfl)
			return false;
		waits |= is_barrier(in);
	}
	return waits;
}

/* Vectors that live across blocks should find room in the CPU's registers, or nearly. */
#define MOST_VECTOR_BYTES	  4096u
#define MOST_VECTOR_BYTES_OF_LOOP 1024u

static void check_pressure(struct warp *warp)
{
	const struct flow *flow = &warp->facts.flow;

	for (uint32_t i = 0; i < flow->n_ordered; i++) {
		const struct flow_block *block = &flow->blocks[flow->order[i]];
		unsigned bytes = 0, most = block->loop == FLOW_NONE ? MOST_VECTOR_BYTES
								    : MOST_VECTOR_BYTES_OF_LOOP;

		for (uint32_t value = 0; value + 1 < flow->n_values; value++)
			if (bits_has(block->live_in, value) && value_varies(warp, value))
				bytes += warp->facts.width *
					 ptx_type_bits(flow->function->register_types[value]) / 8;
		if (bytes > most)
			warp_refuse(warp, "it keeps too much for so many lanes");
	}
}

/*
 * Any waiting lanes may go on at a join, so that nearly each value comes to it from several blocks.
 * LLVM would take minutes for some kernels that a thread at a time compiles in a second.
 */
static void check_joins(struct warp *warp)
{
	const struct flow *flow = &warp->facts.flow;
	size_t joins = 0;

	for (uint32_t i = 0; i < flow->n_blocks; i++)
		joins += bits_has(warp->facts.joins, i);
	if (joins * flow->n_values > MOST_MEETINGS)
		warp_refuse(warp, "too many values meet where lanes join");
}

void refuse_unfit_code(struct warp *warp)
{
	const struct flow *flow = &warp->facts.flow;

	check_joins(warp);
	warp->needs_fibers = warp->emit.program->uses_cluster;
	for (uint32_t i = 0; i < flow->n_ordered; i++) {
		const struct flow_block *block = &flow->blocks[flow->order[i]];

		for (uint32_t k = block->first; k < block->end; k++)
			check_instruction(warp, &flow->function->code[k], flow->order[i]);
	}
	check_loops(warp);
	if (warp->facts.width > SG_WARP_SIZE && !warp->is_asked_for)
		check_pressure(warp);
}

void refuse_unfit_function(struct warp *warp, const struct ptx_function *function)
{
	warp->emit.function = function;
	if (jit_needs_fibers(function))
		warp_refuse(warp, "a function it calls meets or polls");
	for (uint32_t i = 0; i < function->n_code; i++)
		if (function->code[i].opcode == PTX_OP_alloca ||
		    calls_device_runtime(&function->code[i]))
			warp_refuse(warp, "a function it calls allocates, launches or waits");
}
