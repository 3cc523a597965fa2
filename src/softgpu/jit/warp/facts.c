/*
 * The analysis behind struct facts, a fixed point of two questions.
 *
 * Which values differ between lanes? Those computed from ones that do (shape.c), and those two
 * groups of lanes see different writes of. Where do lanes part? At a branch on a value that
 * differs, and at a loop that lanes leave at different times, which acts as a branch to all its
 * exits.
 *
 * Because a value has one place for all lanes, what matters at a parting is whether a value one
 * group of lanes still needs can be written by the other:
 *
 * - it is written on one way and alive at the start of another; or
 * - it is written on two ways and alive anywhere behind: the ways may be run in turns; or
 * - it is written where two ways have joined and alive where lanes wait that took neither; or
 * - it is written in a loop and alive at an exit that some lanes took earlier.
 *
 * A value written only where all lanes that want it come together is safe, even inside a divergent
 * region. The ways of a branch are those of one round of the loop it is in: they end at its
 * postdominator, at the latch, where all lanes that stay in the loop have met, and at the loop's
 * exits, where lanes wait until all have left it.
 */
#include "softgpu/jit/warp/facts.h"

#include <string.h>

struct ways {
	const uint32_t *starts;
	uint32_t count;
	uint32_t loop;	   /* in which they go; FLOW_NONE: the function */
	uint32_t end;	   /* where they meet in it, or FLOW_NONE */
	uint32_t *covered; /* by block: how many ways pass it */
	uint64_t **passed; /* by way: blocks */
};

static bool is_on_the_way(const struct facts *facts, const struct ways *ways, uint32_t block)
{
	const struct flow *flow = &facts->flow;

	return block != ways->end && block != flow->exit &&
	       (ways->loop == FLOW_NONE || bits_has(flow->loops[ways->loop].blocks, block));
}

/* Blocks from start to before the end of the ways, without going back. */
static void follow(struct facts *facts, const struct ways *ways, uint32_t start, uint64_t *passed)
{
	const struct flow *flow = &facts->flow;

	if (!is_on_the_way(facts, ways, start))
		return;
	bits_add(passed, start);
	/* Edges lead forward in the order. */
	for (uint32_t i = flow->blocks[start].place; i < flow->n_ordered; i++) {
		uint32_t number = flow->order[i];
		const struct flow_block *block = &flow->blocks[number];

		if (!bits_has(passed, number))
			continue;
		for (uint32_t k = 0; k < block->n_next; k++)
			if (is_on_the_way(facts, ways, block->next[k]) &&
			    !flow_is_back_edge(flow, number, block->next[k]))
				bits_add(passed, block->next[k]);
	}
}

/* The only block by which lanes enter what several ways share, or FLOW_NONE. */
static uint32_t shared_entry(struct facts *facts, const struct ways *ways, uint32_t branch)
{
	const struct flow *flow = &facts->flow;
	uint32_t entry = FLOW_NONE;

	for (uint32_t i = 0; i < flow->n_blocks; i++) {
		bool enters = false;

		if (ways->covered[i] < 2)
			continue;
		for (uint32_t k = 0; k < flow->blocks[i].n_from; k++) {
			uint32_t from = flow->blocks[i].from[k];

			enters |= from == branch || ways->covered[from] == 1;
		}
		for (uint32_t w = 0; w < ways->count; w++)
			enters |= ways->starts[w] == i;
		if (enters && entry != FLOW_NONE)
			return FLOW_NONE;
		if (enters)
			entry = i;
	}
	return entry;
}

/* Values written on each way, in turn, against those alive on the others. */
static void find_mixed(struct facts *facts, const struct ways *ways, uint32_t entry)
{
	struct flow *flow = &facts->flow;
	size_t words = flow->value_words;
	uint64_t *once = flow_take(flow, words * 8), *twice = flow_take(flow, words * 8);
	uint64_t *alive = flow_take(flow, words * 8), *written = flow_take(flow, words * 8);

	if (ways->end != FLOW_NONE)
		bits_merge(alive, flow->blocks[ways->end].live_in, words);
	for (uint32_t w = 0; w < ways->count; w++) {
		memset(written, 0, words * 8);
		for (uint32_t b = 0; b < flow->n_blocks; b++) {
			if (!bits_has(ways->passed[w], b))
				continue;
			bits_merge(alive, flow->blocks[b].live_in, words);
			if (ways->covered[b] < 2 || entry == FLOW_NONE)
				bits_merge(written, flow->blocks[b].defined, words);
		}
		bits_merge_common(twice, once, written, words);
		for (uint32_t other = 0; other < ways->count; other++)
			if (other != w && ways->starts[other] != flow->exit)
				bits_merge_common(facts->mixed, written,
				    flow->blocks[ways->starts[other]].live_in, words);
		bits_merge(once, written, words);
	}
	bits_merge_common(facts->mixed, twice, alive, words);
}

/* Lanes that do not come to what ways share wait behind it, while the others write there. */
static void find_mixed_behind(struct facts *facts, const struct ways *ways, uint32_t entry)
{
	struct flow *flow = &facts->flow;
	size_t words = flow->value_words;
	uint64_t *alive = flow_take(flow, words * 8), *written = flow_take(flow, words * 8);

	if (entry == FLOW_NONE)
		return;
	if (ways->end != FLOW_NONE)
		bits_merge(alive, flow->blocks[ways->end].live_in, words);
	for (uint32_t b = 0; b < flow->n_blocks; b++) {
		const struct flow_block *block = &flow->blocks[b];

		if (ways->covered[b] > 1)
			bits_merge(written, block->defined, words);
		else if (ways->covered[b] && block->place > flow->blocks[entry].place)
			bits_merge(alive, block->live_in, words);
	}
	bits_merge_common(facts->mixed, written, alive, words);
}

static void add_split(struct facts *facts, struct ways *ways, uint32_t branch, uint64_t *running)
{
	struct flow *flow = &facts->flow;
	struct split *split = flow_take(flow, sizeof(*split));
	uint32_t on_the_way = 0, entry;

	for (uint32_t w = 0; w < ways->count; w++)
		on_the_way += ways->starts[w] != flow->exit;
	/* Lanes that leave the kernel wait for nobody. */
	if (on_the_way < 2)
		return;
	split->running = running;
	split->waiting = flow_take(flow, flow->block_words * 8);
	ways->covered = flow_take(flow, flow->n_blocks * sizeof(*ways->covered));
	ways->passed = flow_take(flow, ways->count * sizeof(*ways->passed));
	for (uint32_t w = 0; w < ways->count; w++) {
		ways->passed[w] = flow_take(flow, flow->block_words * 8);
		follow(facts, ways, ways->starts[w], ways->passed[w]);
		if (ways->starts[w] != flow->exit)
			bits_add(split->waiting, ways->starts[w]);
		bits_merge(running, ways->passed[w], flow->block_words);
		bits_merge(split->waiting, ways->passed[w], flow->block_words);
		for (uint32_t b = 0; b < flow->n_blocks; b++)
			ways->covered[b] += bits_has(ways->passed[w], b);
	}
	bits_merge(facts->partial, running, flow->block_words);
	if (branch != FLOW_NONE)
		bits_add(running, branch);
	if (ways->end != FLOW_NONE)
		bits_add(split->waiting, ways->end);
	split->passed = ways->passed;
	split->n_ways = ways->count;
	entry = shared_entry(facts, ways, branch);
	find_mixed(facts, ways, entry);
	find_mixed_behind(facts, ways, entry);
	split->next = facts->splits;
	facts->splits = split;
}

/* The exits lanes may take from the loop, each once. */
static uint32_t find_exits(struct facts *facts, const struct flow_loop *loop, uint32_t *exits)
{
	const struct flow *flow = &facts->flow;
	uint64_t *seen = flow_take(&facts->flow, flow->block_words * 8);
	uint32_t n = 0;

	for (uint32_t b = 0; b < flow->n_blocks; b++)
		for (uint32_t k = 0; bits_has(loop->blocks, b) && k < flow->blocks[b].n_next; k++) {
			uint32_t to = flow->blocks[b].next[k];

			if (bits_has(loop->blocks, to) || bits_has(seen, to))
				continue;
			bits_add(seen, to);
			exits[n++] = to;
		}
	return n;
}

/* The first block of the loop that all of the blocks come to, themselves included; FLOW_NONE:
 * none. */
static uint32_t meeting_of(
    const struct flow *flow, uint32_t loop, const uint32_t *blocks, uint32_t n)
{
	uint32_t candidate = blocks[0];

	for (uint32_t i = 0; i < n; i++)
		if (blocks[i] == flow->exit ||
		    (loop != FLOW_NONE && !bits_has(flow->loops[loop].blocks, blocks[i])))
			return FLOW_NONE;
	for (; candidate != FLOW_NONE; candidate = flow_postdominator(flow, loop, candidate)) {
		bool covers_all = true;

		for (uint32_t i = 0; i < n && covers_all; i++) {
			uint32_t at = blocks[i];

			while (at != candidate && at != FLOW_NONE)
				at = flow_postdominator(flow, loop, at);
			covers_all = at == candidate;
		}
		if (covers_all)
			break;
	}
	return candidate;
}

/* Values written in the loop that lanes at its exits still want. */
static void find_mixed_at_exits(
    struct facts *facts, const struct flow_loop *loop, const struct ways *ways)
{
	struct flow *flow = &facts->flow;
	uint64_t *written = flow_take(flow, flow->value_words * 8);

	for (uint32_t b = 0; b < flow->n_blocks; b++)
		if (bits_has(loop->blocks, b))
			bits_merge(written, flow->blocks[b].defined, flow->value_words);
	for (uint32_t w = 0; w < ways->count; w++)
		if (ways->starts[w] != flow->exit)
			bits_merge_common(facts->mixed, written,
			    flow->blocks[ways->starts[w]].live_in, flow->value_words);
}

/* Lanes leave the loop at different times: those that have wait at its exits. */
static void split_at_loop(struct facts *facts, uint32_t number, bool *done)
{
	struct flow *flow = &facts->flow;
	const struct flow_loop *loop;
	uint32_t *exits = flow_take(flow, flow->n_blocks * sizeof(*exits));
	uint64_t *running = flow_take(flow, flow->block_words * 8);
	struct split *split = flow_take(flow, sizeof(*split));
	struct ways ways = {.starts = exits};

	if (number == FLOW_NONE || done[flow->n_blocks + number])
		return;
	loop = &flow->loops[number];
	ways.loop = loop->outer;
	done[flow->n_blocks + number] = true;
	ways.count = find_exits(facts, loop, exits);
	ways.end = meeting_of(flow, loop->outer, exits, ways.count);
	find_mixed_at_exits(facts, loop, &ways);
	bits_merge(running, loop->blocks, flow->block_words);
	bits_merge(facts->partial, loop->blocks, flow->block_words);
	split->running = running;
	split->waiting = flow_take(flow, flow->block_words * 8);
	for (uint32_t w = 0; w < ways.count; w++)
		if (exits[w] != flow->exit)
			bits_add(split->waiting, exits[w]);
	split->next = facts->splits;
	facts->splits = split;
	add_split(facts, &ways, FLOW_NONE, flow_take(flow, flow->block_words * 8));
	if (ways.end == FLOW_NONE)
		split_at_loop(facts, loop->outer, done);
}

static void split_at_branch(struct facts *facts, uint32_t number, bool *done)
{
	struct flow *flow = &facts->flow;
	const struct flow_block *block = &flow->blocks[number];
	struct ways ways = {
	    .count = 0, .loop = block->loop, .end = flow_postdominator(flow, block->loop, number)};
	uint32_t *starts = flow_take(flow, block->n_next * sizeof(*starts));

	done[number] = facts->parts[number] = true;
	/* Who goes back has left nobody behind that has not left the loop. */
	for (uint32_t k = 0; k < block->n_next; k++)
		if (!flow_is_back_edge(flow, number, block->next[k]))
			starts[ways.count++] = block->next[k];
	ways.starts = starts;
	add_split(facts, &ways, number, flow_take(flow, flow->block_words * 8));
	if (ways.end == FLOW_NONE)
		split_at_loop(facts, block->loop, done);
}

static struct shape branch_shape(const struct facts *facts, const struct flow_block *block)
{
	const struct ptx_instruction *last = &facts->flow.function->code[block->end - 1];
	struct shape shape = {.kind = SHAPE_LINEAR};

	if (block->first == block->end || block->n_next < 2)
		return shape;
	if (last->opcode == PTX_OP_brx)
		shape = shape_of_operand(facts, last->operands, 0);
	if (last->predicate != PTX_NO_REG)
		shape = shape_join(shape, shape_of_value(facts, last->predicate));
	return shape;
}

struct update {
	struct facts *facts;
	struct shape shape;
	bool changed;
};

static void update_result(void *context, uint32_t value, bool is_result)
{
	struct update *u = context;
	struct shape *at = &u->facts->shapes[value], joined;

	if (!is_result)
		return;
	joined = shape_join(*at, u->shape);
	u->changed |= joined.kind != at->kind || joined.stride != at->stride ||
		      joined.wrap != at->wrap || joined.is_aligned != at->is_aligned ||
		      joined.by_row != at->by_row;
	*at = joined;
}

static bool update_shapes(struct facts *facts)
{
	struct flow *flow = &facts->flow;
	struct update u = {.facts = facts};

	for (uint32_t i = 0; i < flow->n_ordered; i++) {
		const struct flow_block *block = &flow->blocks[flow->order[i]];

		for (uint32_t k = block->first; k < block->end; k++) {
			const struct ptx_instruction *in = &flow->function->code[k];

			if (in->unsupported)
				flow_fail(flow, "it has unsupported instructions");
			u.shape = shape_of_result(facts, in);
			flow_visit(flow, in, update_result, &u);
		}
	}
	return u.changed;
}

static bool update_mixed(struct facts *facts)
{
	bool changed = false;

	for (size_t i = 0; i < facts->flow.n_values; i++)
		if (bits_has(facts->mixed, i) && facts->shapes[i].kind != SHAPE_VARYING) {
			facts->shapes[i] = (struct shape){.kind = SHAPE_VARYING};
			changed = true;
		}
	return changed;
}

static bool update_branches(struct facts *facts, bool *done)
{
	const struct flow *flow = &facts->flow;
	bool changed = false;

	for (uint32_t i = 0; i < flow->n_ordered; i++) {
		uint32_t number = flow->order[i];
		struct shape shape = branch_shape(facts, &flow->blocks[number]);

		if (done[number] || shape.kind == SHAPE_NONE || shape_is_uniform(shape))
			continue;
		split_at_branch(facts, number, done);
		changed = true;
	}
	return changed;
}

bool facts_may_wait(const struct facts *facts, uint32_t running, uint32_t waiting)
{
	for (const struct split *s = facts->splits; s; s = s->next)
		if (bits_has(s->running, running) && bits_has(s->waiting, waiting))
			return true;
	return false;
}

/* Does one way only lead to both blocks, and no other to either? */
static bool are_on_one_way(const struct split *split, uint32_t a, uint32_t b)
{
	uint32_t n_common = 0;

	for (uint32_t w = 0; w < split->n_ways; w++) {
		if (bits_has(split->passed[w], a) != bits_has(split->passed[w], b))
			return false;
		n_common += bits_has(split->passed[w], a);
	}
	return n_common == 1;
}

void facts_find_beside(const struct facts *facts, uint32_t running, uint64_t *beside)
{
	for (const struct split *s = facts->splits; s; s = s->next)
		for (uint32_t b = 0; b < facts->flow.n_blocks && bits_has(s->running, running); b++)
			if (bits_has(s->waiting, b) && !are_on_one_way(s, running, b))
				bits_add(beside, b);
}

/* Does an edge lead past blocks that lanes may wait at? */
static bool passes_waiting(const struct facts *facts, uint32_t from, uint32_t to)
{
	const struct flow *flow = &facts->flow;

	for (uint32_t i = flow->blocks[from].place + 1; i < flow->blocks[to].place; i++)
		if (bits_has(facts->joins, flow->order[i]) &&
		    facts_may_wait(facts, from, flow->order[i]))
			return true;
	return false;
}

/* Where lanes wait: at the ends of ways, and where edges must look for others first. */
static bool grow_joins(struct facts *facts)
{
	const struct flow *flow = &facts->flow;
	bool changed = false;

	for (uint32_t i = 0; i < flow->n_ordered; i++) {
		uint32_t number = flow->order[i];
		const struct flow_block *block = &flow->blocks[number];
		bool is_join = false, may = false;
		uint32_t n_forward = 0;

		if (number == flow->exit || bits_has(facts->joins, number))
			continue;
		for (const struct split *s = facts->splits; s && !may; s = s->next)
			may = bits_has(s->waiting, number) || bits_has(s->running, number);
		for (uint32_t k = 0; k < block->n_from; k++) {
			n_forward += !flow_is_back_edge(flow, block->from[k], number);
			is_join |= may && (facts->parts[block->from[k]] ||
					      passes_waiting(facts, block->from[k], number));
		}
		is_join |= may && n_forward > 1;
		if (is_join) {
			bits_add(facts->joins, number);
			changed = true;
		}
	}
	return changed;
}

bool facts_number(const struct facts *facts, const struct ptx_operand *operand, uint64_t *number)
{
	if (operand->kind == PTX_OPERAND_INTEGER) {
		*number = operand->value;
		return true;
	}
	if (operand->kind != PTX_OPERAND_REGISTER || !bits_has(facts->constant, operand->reg))
		return false;
	*number = facts->numbers[operand->reg];
	return true;
}

struct writes {
	struct facts *facts;
	const struct ptx_instruction *in;
	uint64_t *seen;
};

static void note_write(void *context, uint32_t value, bool is_result)
{
	struct writes *w = context;
	const struct ptx_instruction *in = w->in;

	if (!is_result)
		return;
	bits_remove(w->facts->constant, value);
	if (!bits_has(w->seen, value) && in->opcode == PTX_OP_mov && in->predicate == PTX_NO_REG &&
	    in->operands[0].kind == PTX_OPERAND_REGISTER &&
	    in->operands[1].kind == PTX_OPERAND_INTEGER &&
	    !bits_has(w->facts->flow.blocks[0].live_in, value)) {
		bits_add(w->facts->constant, value);
		w->facts->numbers[value] = in->operands[1].value;
	}
	bits_add(w->seen, value);
}

/* Compilers put numbers into registers: those written once, by a mov. */
static void find_constants(struct facts *facts)
{
	struct flow *flow = &facts->flow;
	struct writes w = {.facts = facts, .seen = flow_take(flow, flow->value_words * 8)};

	facts->constant = flow_take(flow, flow->value_words * 8);
	facts->numbers = flow_take(flow, flow->n_values * sizeof(*facts->numbers));
	for (uint32_t i = 0; i < flow->function->n_code; i++) {
		w.in = &flow->function->code[i];
		flow_visit(flow, w.in, note_write, &w);
	}
}

static void note_read(void *context, uint32_t value, bool is_result)
{
	struct facts *facts = context;

	if (!is_result)
		bits_add(facts->read, value);
}

static void find_read(struct facts *facts)
{
	struct flow *flow = &facts->flow;

	facts->read = flow_take(flow, flow->value_words * 8);
	for (uint32_t i = 0; i < flow->function->n_code; i++)
		flow_visit(flow, &flow->function->code[i], note_read, facts);
}

static void analyse(struct facts *facts)
{
	struct flow *flow = &facts->flow;
	bool *done = flow_take(flow, flow->n_blocks + flow->n_loops);
	bool changed = true;

	facts->shapes = flow_take(flow, flow->n_values * sizeof(*facts->shapes));
	facts->mixed = flow_take(flow, flow->value_words * 8);
	facts->partial = flow_take(flow, flow->block_words * 8);
	facts->joins = flow_take(flow, flow->block_words * 8);
	facts->parts = flow_take(flow, flow->n_blocks);
	find_read(facts);
	find_constants(facts);
	/* What is read before it is written is zero. */
	for (size_t i = 0; i < flow->n_values; i++)
		if (bits_has(flow->blocks[0].live_in, i))
			facts->shapes[i].kind = SHAPE_LINEAR;
	while (changed) {
		changed = update_shapes(facts);
		changed |= update_branches(facts, done);
		changed |= update_mixed(facts);
	}
	for (size_t i = 0; i < flow->n_values; i++)
		if (facts->shapes[i].kind == SHAPE_NONE)
			facts->shapes[i].kind = SHAPE_LINEAR;
	while (grow_joins(facts))
		;
	facts->spins = spin_find(facts);
}

bool facts_init(
    struct facts *facts, const struct ptx_function *function, uint32_t width, uint32_t row)
{
	memset(facts, 0, sizeof(*facts));
	facts->width = width;
	facts->row = row;
	if (!flow_init(&facts->flow, function))
		return false;
	if (setjmp(facts->flow.failure))
		return false;
	analyse(facts);
	return true;
}

void facts_fini(struct facts *facts)
{
	flow_fini(&facts->flow);
}
