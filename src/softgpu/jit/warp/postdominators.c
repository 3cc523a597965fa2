/*
 * Postdominators within one round of a loop, or of the whole function: the block that all ways come
 * to next before they leave the loop or go back to its header. Lanes that parted meet there.
 */
#include "softgpu/jit/warp/flow.h"

#include <string.h>

/* What the blocks of a loop, or of the whole function, go to in one round: an edge out of it or
 * back to its header leads to the end of the round, whose number is n_blocks. */
struct round_of {
	struct flow *flow;
	const struct flow_loop *loop; /* NULL: the function */
	uint32_t end;
	uint32_t *order, *place, count; /* backwards from the end */
	uint32_t *postdominator;
};

static bool is_inside(const struct round_of *r, uint32_t block)
{
	return r->loop ? bits_has(r->loop->blocks, block)
		       : r->flow->blocks[block].place != FLOW_NONE && block != r->flow->exit;
}

static uint32_t goes_to(const struct round_of *r, uint32_t to)
{
	return is_inside(r, to) && !(r->loop && to == r->loop->header) ? to : r->end;
}

static bool has_edge(const struct round_of *r, uint32_t from, uint32_t to)
{
	const struct flow_block *block = &r->flow->blocks[from];

	for (uint32_t k = 0; k < block->n_next; k++)
		if (goes_to(r, block->next[k]) == to)
			return true;
	return false;
}

/* The next block from which an edge leads to number, behind *at; FLOW_NONE: no more. */
static uint32_t next_before(const struct round_of *r, uint32_t number, uint32_t *at)
{
	const struct flow_block *block = &r->flow->blocks[number];

	if (number != r->end) {
		while (*at < block->n_from) {
			uint32_t from = block->from[(*at)++];

			if (is_inside(r, from) && has_edge(r, from, number))
				return from;
		}
		return FLOW_NONE;
	}
	while (*at < r->flow->n_blocks) {
		uint32_t from = (*at)++;

		if (is_inside(r, from) && has_edge(r, from, number))
			return from;
	}
	return FLOW_NONE;
}

static void walk_back(struct round_of *r)
{
	struct flow *flow = r->flow;
	uint32_t n = flow->n_blocks + 1, depth = 0, left = n;
	uint32_t *stack = flow_take(flow, n * sizeof(*stack)),
		 *at = flow_take(flow, n * sizeof(*at));
	bool *seen = flow_take(flow, n);

	stack[depth++] = r->end;
	seen[r->end] = true;
	while (depth) {
		uint32_t from = next_before(r, stack[depth - 1], &at[stack[depth - 1]]);

		if (from == FLOW_NONE) {
			r->order[--left] = stack[--depth];
		} else if (!seen[from]) {
			seen[from] = true;
			stack[depth++] = from;
		}
	}
	r->count = n - left;
	memmove(r->order, r->order + left, r->count * sizeof(*r->order));
	for (uint32_t i = 0; i < r->count; i++)
		r->place[r->order[i]] = i;
}

static uint32_t common_postdominator(const struct round_of *r, uint32_t a, uint32_t b)
{
	while (a != b) {
		while (r->place[a] > r->place[b])
			a = r->postdominator[a];
		while (r->place[b] > r->place[a])
			b = r->postdominator[b];
	}
	return a;
}

static uint32_t *find_postdominators(struct flow *flow, const struct flow_loop *loop)
{
	size_t size = (flow->n_blocks + 1) * sizeof(uint32_t);
	struct round_of r = {.flow = flow, .loop = loop, .end = flow->n_blocks};
	bool changed = true;

	r.order = flow_take(flow, size);
	r.place = flow_take(flow, size);
	r.postdominator = flow_take(flow, size);
	walk_back(&r);
	for (uint32_t i = 0; i <= flow->n_blocks; i++)
		r.postdominator[i] = FLOW_NONE;
	r.postdominator[r.end] = r.end;
	while (changed) {
		changed = false;
		for (uint32_t i = 1; i < r.count; i++) {
			const struct flow_block *block = &flow->blocks[r.order[i]];
			uint32_t best = FLOW_NONE;

			for (uint32_t k = 0; k < block->n_next; k++) {
				uint32_t to = goes_to(&r, block->next[k]);

				if (r.postdominator[to] == FLOW_NONE)
					continue;
				best = best == FLOW_NONE ? to : common_postdominator(&r, best, to);
			}
			changed |= best != r.postdominator[r.order[i]];
			r.postdominator[r.order[i]] = best;
		}
	}
	return r.postdominator;
}

void flow_find_postdominators(struct flow *flow)
{
	flow->postdominators = flow_take(flow, (flow->n_loops + 1) * sizeof(*flow->postdominators));
	for (uint32_t i = 0; i < flow->n_loops; i++)
		flow->postdominators[i] = find_postdominators(flow, &flow->loops[i]);
	flow->postdominators[flow->n_loops] = find_postdominators(flow, NULL);
}

uint32_t flow_postdominator(const struct flow *flow, uint32_t loop, uint32_t block)
{
	const uint32_t *of = flow->postdominators[loop == FLOW_NONE ? flow->n_loops : loop];

	return of[block] == flow->n_blocks ? FLOW_NONE : of[block];
}
