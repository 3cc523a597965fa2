/*
 * Building struct flow: blocks from labels and jumps, dominators, loops, the order; then what
 * postdominators.c and liveness.c find.
 * Everything lies in one pool and dies with it; a failure of any kind leaves by longjmp, for the
 * caller's only answer is to run the kernel on the scalar machine.
 */
#include "softgpu/jit/warp/flow.h"

#include <string.h>

#include "softgpu/jit/emit.h"

#define POOL_LIMIT (256u << 20)

_Noreturn void flow_fail(struct flow *flow, const char *reason)
{
	flow->reason = reason;
	longjmp(flow->failure, 1);
}

void *flow_take(struct flow *flow, size_t size)
{
	void *memory = pool_take(&flow->pool, size + 1);

	if (!memory)
		flow_fail(flow, "it is too large");
	return memory;
}

static bool ends_block(const struct ptx_instruction *in)
{
	switch (in->opcode) {
	case PTX_OP_bra:
	case PTX_OP_brx:
	case PTX_OP_ret:
	case PTX_OP_exit:
		return true;
	case PTX_OP_trap:
	case PTX_OP_brkpt:
		return in->predicate == PTX_NO_REG;
	default:
		return false;
	}
}

static void find_blocks(struct flow *flow)
{
	const struct ptx_function *function = flow->function;
	uint32_t n = 0;

	flow->block_of = flow_take(flow, (function->n_code + 1) * sizeof(*flow->block_of));
	for (uint32_t i = 0; i <= function->n_code; i++) {
		bool starts = !i || i == function->n_code || ends_block(&function->code[i - 1]) ||
			      function->code[i].opcode == PTX_OP_label;

		n += starts;
		flow->block_of[i] = n - 1;
	}
	/* The last is the exit. Each loop may add a latch, and there are fewer loops than
	 * blocks. */
	flow->exit = n - 1;
	flow->n_blocks = n;
	flow->blocks = flow_take(flow, 2 * n * sizeof(*flow->blocks));
	for (uint32_t i = 0; i <= function->n_code; i++) {
		struct flow_block *block = &flow->blocks[flow->block_of[i]];

		if (!i || flow->block_of[i - 1] != flow->block_of[i])
			block->first = i;
		block->end = i < function->n_code ? i + 1 : i;
	}
}

static bool is_end(const struct ptx_instruction *in)
{
	return (in->opcode == PTX_OP_ret || in->opcode == PTX_OP_exit) &&
	       in->predicate == PTX_NO_REG;
}

/* The block that starts there, or the exit if nothing happens on the way to it. */
static uint32_t block_at(const struct flow *flow, uint32_t instruction)
{
	const struct ptx_function *function = flow->function;
	uint32_t i = instruction;

	while (i < function->n_code && function->code[i].opcode == PTX_OP_label)
		i++;
	if (i == function->n_code || is_end(&function->code[i]))
		return flow->exit;
	return flow->block_of[instruction];
}

static void add_edge(struct flow *flow, uint32_t from, uint32_t to)
{
	struct flow_block *block = &flow->blocks[from];

	for (uint32_t i = 0; i < block->n_next; i++)
		if (block->next[i] == to)
			return;
	block->next[block->n_next++] = to;
}

static void add_edges(struct flow *flow, uint32_t number)
{
	struct flow_block *block = &flow->blocks[number];
	const struct ptx_instruction *last = &flow->function->code[block->end - 1];
	const struct ptx_operand *target = last->operands;
	uint32_t n_targets = 1;

	if (last->opcode == PTX_OP_brx && last->operands[1].kind == PTX_OPERAND_TARGETS)
		n_targets = last->operands[1].targets->count;
	block->next = flow_take(flow, (n_targets + 1) * sizeof(*block->next));
	if (last->opcode == PTX_OP_bra && target->kind == PTX_OPERAND_LABEL)
		add_edge(flow, number, block_at(flow, ptx_label_resolve(target->label)->position));
	else if (last->opcode == PTX_OP_brx)
		for (uint32_t i = 0; i < n_targets; i++)
			add_edge(flow, number,
			    block_at(
				flow, ptx_label_resolve(last->operands[1].targets->labels[i].label)
					  ->position));
	else if (ends_block(last))
		add_edge(flow, number, flow->exit);
	if (!ends_block(last) || last->predicate != PTX_NO_REG)
		add_edge(flow, number, block_at(flow, block->end));
}

static void find_predecessors(struct flow *flow)
{
	for (uint32_t i = 0; i < flow->n_blocks; i++)
		flow->blocks[i].n_from = 0;
	for (uint32_t i = 0; i < flow->n_blocks; i++)
		for (uint32_t k = 0; k < flow->blocks[i].n_next; k++)
			if (flow->blocks[i].place != FLOW_NONE)
				flow->blocks[flow->blocks[i].next[k]].n_from++;
	for (uint32_t i = 0; i < flow->n_blocks; i++) {
		struct flow_block *block = &flow->blocks[i];

		block->from = flow_take(flow, block->n_from * sizeof(*block->from));
		block->n_from = 0;
	}
	for (uint32_t i = 0; i < flow->n_blocks; i++)
		for (uint32_t k = 0; k < flow->blocks[i].n_next; k++) {
			struct flow_block *to = &flow->blocks[flow->blocks[i].next[k]];

			if (flow->blocks[i].place != FLOW_NONE)
				to->from[to->n_from++] = i;
		}
}

/* A reverse postorder of what can be reached from start, forwards or backwards; how many. */
static uint32_t walk(struct flow *flow, uint32_t start, bool forwards, uint32_t *order)
{
	uint32_t *stack = flow_take(flow, (flow->n_blocks + 1) * sizeof(*stack));
	uint32_t *at = flow_take(flow, flow->n_blocks * sizeof(*at));
	uint32_t depth = 0, left = flow->n_blocks;
	bool *seen = flow_take(flow, flow->n_blocks);

	stack[depth++] = start;
	seen[start] = true;
	while (depth) {
		uint32_t number = stack[depth - 1], to;
		const struct flow_block *block = &flow->blocks[number];

		if (at[number] == (forwards ? block->n_next : block->n_from)) {
			order[--left] = number;
			depth--;
			continue;
		}
		to = (forwards ? block->next : block->from)[at[number]++];
		if (!seen[to]) {
			seen[to] = true;
			stack[depth++] = to;
		}
	}
	memmove(order, order + left, (flow->n_blocks - left) * sizeof(*order));
	return flow->n_blocks - left;
}

static void number_blocks(struct flow *flow)
{
	for (uint32_t i = 0; i < flow->n_blocks; i++)
		flow->blocks[i].place = FLOW_NONE;
	flow->order = flow_take(flow, flow->n_blocks * sizeof(*flow->order));
	flow->n_ordered = walk(flow, 0, true, flow->order);
	for (uint32_t i = 0; i < flow->n_ordered; i++)
		flow->blocks[flow->order[i]].place = i;
}

static uint32_t common_dominator(const struct flow *flow, uint32_t a, uint32_t b)
{
	const struct flow_block *blocks = flow->blocks;

	while (a != b) {
		while (blocks[a].place > blocks[b].place)
			a = blocks[a].dominator;
		while (blocks[b].place > blocks[a].place)
			b = blocks[b].dominator;
	}
	return a;
}

static void find_dominators(struct flow *flow)
{
	bool changed = true;

	for (uint32_t i = 0; i < flow->n_blocks; i++)
		flow->blocks[i].dominator = FLOW_NONE;
	flow->blocks[0].dominator = 0;
	while (changed) {
		changed = false;
		for (uint32_t i = 1; i < flow->n_ordered; i++) {
			struct flow_block *block = &flow->blocks[flow->order[i]];
			uint32_t best = FLOW_NONE;

			for (uint32_t k = 0; k < block->n_from; k++) {
				uint32_t from = block->from[k];

				if (flow->blocks[from].dominator == FLOW_NONE)
					continue;
				best =
				    best == FLOW_NONE ? from : common_dominator(flow, best, from);
			}
			changed |= best != block->dominator;
			block->dominator = best;
		}
	}
}

static bool dominates(const struct flow *flow, uint32_t above, uint32_t block)
{
	while (flow->blocks[block].place > flow->blocks[above].place)
		block = flow->blocks[block].dominator;
	return block == above;
}

/* One latch per header: an empty block, unless there is only one edge back. */
static void add_latches(struct flow *flow)
{
	uint32_t n = flow->n_blocks;

	for (uint32_t header = 0; header < n; header++) {
		struct flow_block *block = &flow->blocks[header];
		uint32_t n_back = 0, latch = flow->n_blocks;

		if (block->place == FLOW_NONE)
			continue;
		for (uint32_t k = 0; k < block->n_from; k++) {
			if (flow->blocks[block->from[k]].place < block->place)
				continue;
			if (!dominates(flow, header, block->from[k]))
				flow_fail(flow, "a loop has several entries");
			n_back++;
		}
		if (n_back < 2)
			continue;
		flow->n_blocks++;
		flow->blocks[latch] = (struct flow_block){
		    .next = flow_take(flow, sizeof(uint32_t)), .n_next = 1, .place = FLOW_NONE};
		flow->blocks[latch].next[0] = header;
		for (uint32_t k = 0; k < block->n_from; k++) {
			struct flow_block *from = &flow->blocks[block->from[k]];

			for (uint32_t s = 0; from->place >= block->place && s < from->n_next; s++)
				if (from->next[s] == header)
					from->next[s] = latch;
		}
	}
}

/* Adds what reaches block without passing the loop's header. */
static void grow_loop(struct flow *flow, struct flow_loop *loop, uint32_t block)
{
	uint32_t *stack = flow_take(flow, flow->n_blocks * sizeof(*stack)), depth = 0;

	bits_add(loop->blocks, loop->header);
	loop->size = 1;
	if (block == loop->header)
		return;
	bits_add(loop->blocks, block);
	stack[depth++] = block;
	while (depth) {
		const struct flow_block *at = &flow->blocks[stack[--depth]];

		loop->size++;
		for (uint32_t k = 0; k < at->n_from; k++)
			if (!bits_has(loop->blocks, at->from[k])) {
				bits_add(loop->blocks, at->from[k]);
				stack[depth++] = at->from[k];
			}
	}
}

static bool loop_polls(const struct flow *flow, const struct flow_loop *loop)
{
	for (uint32_t i = 0; i < flow->n_blocks; i++)
		if (bits_has(loop->blocks, i) &&
		    is_polling_loop(flow->function, flow->blocks[i].first, flow->blocks[i].end))
			return true;
	return false;
}

static void find_loops(struct flow *flow)
{
	flow->loops = flow_take(flow, flow->n_blocks * sizeof(*flow->loops));
	for (uint32_t i = 0; i < flow->n_blocks; i++)
		flow->blocks[i].loop = FLOW_NONE;
	for (uint32_t i = 0; i < flow->n_ordered; i++) {
		uint32_t header = flow->order[i];
		const struct flow_block *block = &flow->blocks[header];

		for (uint32_t k = 0; k < block->n_from; k++) {
			struct flow_loop *loop = &flow->loops[flow->n_loops];

			if (flow->blocks[block->from[k]].place < block->place)
				continue;
			loop->header = header;
			loop->latch = block->from[k];
			loop->outer = block->loop; /* outer headers come first */
			loop->blocks = flow_take(flow, flow->block_words * sizeof(*loop->blocks));
			grow_loop(flow, loop, loop->latch);
			loop->polls = loop_polls(flow, loop);
			for (uint32_t b = 0; b < flow->n_blocks; b++)
				if (bits_has(loop->blocks, b))
					flow->blocks[b].loop = flow->n_loops;
			flow->n_loops++;
		}
	}
}

static bool is_in_loop(const struct flow *flow, uint32_t loop, uint32_t block)
{
	return loop == FLOW_NONE || bits_has(flow->loops[loop].blocks, block);
}

/*
 * Each block behind all it can be reached from, but over back edges, and as long as the current
 * loop has blocks left, one of these.
 */
static void order_blocks(struct flow *flow)
{
	uint32_t *waits = flow_take(flow, flow->n_blocks * sizeof(*waits));
	uint32_t *left = flow_take(flow, (flow->n_loops + 1) * sizeof(*left));
	uint32_t *ready = flow_take(flow, flow->n_blocks * sizeof(*ready));
	uint32_t n_ready = 0, n = 0, loop = FLOW_NONE;

	for (uint32_t i = 0; i < flow->n_ordered; i++) {
		const struct flow_block *block = &flow->blocks[flow->order[i]];

		for (uint32_t k = 0; k < block->n_from; k++)
			waits[flow->order[i]] += flow->blocks[block->from[k]].place < block->place;
	}
	for (uint32_t i = 0; i < flow->n_loops; i++)
		left[i] = flow->loops[i].size;
	ready[n_ready++] = 0;
	while (n_ready) {
		uint32_t pick = FLOW_NONE, block;

		while (loop != FLOW_NONE && !left[loop])
			loop = flow->loops[loop].outer;
		for (uint32_t i = 0; i < n_ready; i++)
			if (is_in_loop(flow, loop, ready[i]) &&
			    (pick == FLOW_NONE || ready[i] < ready[pick]))
				pick = i;
		block = ready[pick];
		ready[pick] = ready[--n_ready];
		flow->order[n++] = block;
		for (uint32_t l = flow->blocks[block].loop; l != FLOW_NONE;
		    l = flow->loops[l].outer)
			left[l]--;
		if (flow->blocks[block].loop != FLOW_NONE && left[flow->blocks[block].loop])
			loop = flow->blocks[block].loop;
		for (uint32_t k = 0; k < flow->blocks[block].n_next; k++) {
			uint32_t to = flow->blocks[block].next[k];

			if (flow->blocks[to].place > flow->blocks[block].place && !--waits[to])
				ready[n_ready++] = to;
		}
	}
	for (uint32_t i = 0; i < n; i++)
		flow->blocks[flow->order[i]].place = i;
}

static void check_ends(struct flow *flow)
{
	uint32_t *order = flow_take(flow, flow->n_blocks * sizeof(*order));

	if (walk(flow, flow->exit, false, order) != flow->n_ordered)
		flow_fail(flow, "it has a loop without an end");
}

uint32_t flow_target(const struct flow *flow, uint32_t block, uint32_t instruction)
{
	uint32_t to = block_at(flow, instruction), loop;

	if (to == flow->exit)
		return to;
	loop = flow->blocks[to].loop;
	if (loop != FLOW_NONE && flow->loops[loop].header == to &&
	    bits_has(flow->loops[loop].blocks, block) && flow->loops[loop].latch != block)
		return flow->loops[loop].latch;
	return to;
}

static void build(struct flow *flow)
{
	find_blocks(flow);
	for (uint32_t i = 0; i < flow->n_blocks; i++)
		if (i != flow->exit)
			add_edges(flow, i);
	number_blocks(flow);
	find_predecessors(flow);
	find_dominators(flow);
	add_latches(flow);
	number_blocks(flow);
	find_predecessors(flow);
	find_dominators(flow);
	flow->block_words = bits_words(flow->n_blocks);
	find_loops(flow);
	order_blocks(flow);
	check_ends(flow);
	flow_find_postdominators(flow);
	flow->n_values = flow->function->n_registers + 1;
	flow->value_words = bits_words(flow->n_values);
	flow_find_liveness(flow);
}

bool flow_init(struct flow *flow, const struct ptx_function *function)
{
	memset(flow, 0, sizeof(*flow));
	flow->function = function;
	pool_init(&flow->pool, POOL_LIMIT);
	if (setjmp(flow->failure))
		return false;
	build(flow);
	return true;
}

void flow_fini(struct flow *flow)
{
	pool_fini(&flow->pool);
}
