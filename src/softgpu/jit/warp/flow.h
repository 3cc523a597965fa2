/*
 * The control flow of a function as the warp machine wants it: blocks, loops, an order, liveness.
 *
 * Blocks are in an order in which every edge but a loop's back edge leads forward, and a loop's
 * blocks lie together. A loop has one latch, the only block with an edge back to its header and the
 * last of the loop; where the code has several, an empty latch is added. A block that only returns
 * is no block: edges to it lead to the exit.
 *
 * Values are the function's registers and, last, the carry flag.
 */
#pragma once

#include <setjmp.h>

#include "base/pool.h"
#include "softgpu/jit/warp/bits.h"
#include "softgpu/ptx/ptx.h"

#define FLOW_NONE UINT32_MAX

struct flow_block {
	uint32_t first, end; /* its instructions; none for an added latch */
	uint32_t *next;	     /* where it may go, each once; may be flow->exit */
	uint32_t n_next;
	uint32_t *from;
	uint32_t n_from;
	uint32_t place;	    /* in the order; FLOW_NONE: never reached */
	uint32_t loop;	    /* the innermost, or FLOW_NONE */
	uint32_t dominator; /* immediate */
	uint64_t *live_in;  /* values */
	uint64_t *defined;  /* values it may write */
};

struct flow_loop {
	uint32_t header, latch;
	uint32_t outer; /* loop, or FLOW_NONE */
	uint64_t *blocks;
	uint32_t size; /* blocks in it */
	bool polls;    /* it has instructions that may wait for what others write */
};

struct flow {
	const struct ptx_function *function;
	struct flow_block *blocks; /* exit among them, of no instructions */
	uint32_t n_blocks, exit;
	uint32_t *order; /* blocks by place */
	uint32_t n_ordered;
	struct flow_loop *loops;
	uint32_t n_loops;
	uint32_t **postdominators; /* by loop; last, of the function */
	uint32_t *block_of;	   /* by instruction */
	size_t n_values;
	size_t value_words, block_words;
	/* while it is built */
	struct pool pool;
	jmp_buf failure;
	const char *reason;
};

/*
 * False with flow->reason set when the function's flow has a shape that is not handled (a loop with
 * two entries, a part that never ends), or memory ran out. flow_fini() in any case.
 */
bool flow_init(struct flow *flow, const struct ptx_function *function);
void flow_fini(struct flow *flow);

/* Parts of flow_init(): postdominators.c, liveness.c. */
void flow_find_postdominators(struct flow *flow);
void flow_find_liveness(struct flow *flow);

/* For analyses on top: zeroed memory that lives as long as the flow, and giving up. Both jump to
 * flow->failure, which the caller must have set. */
void *flow_take(struct flow *flow, size_t size);
_Noreturn void flow_fail(struct flow *flow, const char *reason);

/* The block an edge from block to the block that starts at an instruction leads to. */
uint32_t flow_target(const struct flow *flow, uint32_t block, uint32_t instruction);

/*
 * The block all ways from a block of the loop (FLOW_NONE: of the function) come to next, before
 * they leave the loop or go back to its header; FLOW_NONE when there is no such block.
 */
uint32_t flow_postdominator(const struct flow *flow, uint32_t loop, uint32_t block);

static inline bool flow_is_back_edge(const struct flow *flow, uint32_t from, uint32_t to)
{
	return to != flow->exit && flow->blocks[to].place <= flow->blocks[from].place;
}

/* Calls visit for every value the instruction names, results and others. */
typedef void flow_visitor(void *context, uint32_t value, bool is_result);
void flow_visit(
    const struct flow *flow, const struct ptx_instruction *in, flow_visitor *visit, void *context);

/* Whether some way through the function reads the value before it writes it: lanes then see
 * zero. */
static inline bool flow_reads_early(const struct flow *flow, uint32_t value)
{
	return bits_has(flow->blocks[0].live_in, value);
}

/* Whether the instruction's first operand is its result. */
bool flow_has_result(const struct ptx_instruction *in);
