/*
 * What is known of a function when W lanes run it in step: how each value differs between lanes,
 * where lanes part, and where some of them wait for others.
 *
 * Lanes run on one path at a time, always from the lowest block (in the flow's order) that lanes
 * stand at, so that those that parted at a branch meet again at its postdominator at the latest.
 */
#pragma once

#include "softgpu/jit/warp/flow.h"

enum shape_kind {
	SHAPE_NONE,   /* not known yet */
	SHAPE_LINEAR, /* base + place in the row * stride; uniform when stride is 0 */
	SHAPE_VARYING,
};

/*
 * Of a linear value, only lane 0's is kept: that of each row's first lane when their bases differ.
 * A 64-bit value made from a 32-bit one may have to take back 2^32 from the lanes behind an
 * overflow: wrap is what those lanes lack, by now; which lanes they are is kept beside the value,
 * and is nearly always none.
 */
struct shape {
	enum shape_kind kind;
	bool by_row;	 /* each row has a base of its own */
	bool is_aligned; /* stride is 1, and the base a multiple of a row */
	int64_t stride;
	int64_t wrap;
};

/* Lanes part at a branch, or by leaving a loop at different times. */
struct split {
	uint64_t *running; /* blocks some lanes may run */
	uint64_t *waiting; /* while others of them stand at one of these */
	uint64_t **passed; /* by way: the blocks on it */
	uint32_t n_ways;   /* 0: the exits of a loop, where no way begins yet */
	struct split *next;
};

struct facts {
	struct flow flow;
	uint32_t width;
	uint32_t row;	      /* lanes in a row, or 0: struct jit_warp */
	struct shape *shapes; /* by value */
	uint64_t *mixed;      /* values that a lane may still need when another writes its own */
	uint64_t *read;	      /* values that some instruction uses */
	uint64_t *constant;   /* registers that are a number throughout */
	uint64_t *numbers;    /* which */
	uint64_t *partial;    /* blocks that may run with lanes waiting elsewhere */
	uint64_t *joins;      /* blocks lanes may wait at */
	bool *parts;	      /* by block: lanes part at its end */
	struct split *splits;
	const struct ptx_instruction *spins; /* some lanes may wait for others by it; or NULL */
	bool waits; /* some lanes may wait for other warps while the rest stands by */
};

/* As flow_init(); reason is facts->flow.reason. */
bool facts_init(
    struct facts *facts, const struct ptx_function *function, uint32_t width, uint32_t row);
void facts_fini(struct facts *facts);

/* May lanes wait at one block while others run another? */
bool facts_may_wait(const struct facts *facts, uint32_t running, uint32_t waiting);

/* Adds the blocks where others may be while some lanes run that one: facts_may_wait(), but without
 * those that only lanes which went the same way at the branch come to. */
void facts_find_beside(const struct facts *facts, uint32_t running, uint64_t *beside);

/* The same in all lanes of a row. */
static inline bool shape_is_flat(struct shape shape)
{
	return shape.kind == SHAPE_LINEAR && !shape.stride && !shape.wrap;
}

/* The same in all lanes. */
static inline bool shape_is_uniform(struct shape shape)
{
	return shape_is_flat(shape) && !shape.by_row;
}

/* Are the lanes more rows than one? */
static inline bool facts_have_rows(const struct facts *facts)
{
	return facts->row && facts->row < facts->width;
}

static inline uint32_t facts_rows(const struct facts *facts)
{
	return facts->row ? facts->width / facts->row : 1;
}

/* shape.c: of an operand read as a type of so many bits, and of an instruction's results. */
struct shape shape_of_operand(
    const struct facts *facts, const struct ptx_operand *operand, unsigned bits);
struct shape shape_of_result(const struct facts *facts, const struct ptx_instruction *in);
struct shape shape_of_value(const struct facts *facts, uint32_t value);
/* Of [register + offset]. */
struct shape shape_of_address(const struct facts *facts, const struct ptx_operand *address);
struct shape shape_join(struct shape a, struct shape b);

/* Is the operand a number known now? */
bool facts_number(const struct facts *facts, const struct ptx_operand *operand, uint64_t *number);

/* mbarrier.c: do all lanes that run it test, or arrive at, one barrier, and get one answer? */
bool mbarrier_is_common(const struct facts *facts, const struct ptx_instruction *in);
bool mbarrier_waits(const struct ptx_instruction *in);

/*
 * spin.c: may the instruction read what others write, in a way that decides what is done next? And
 * the first in a loop that may run without some lanes, which may decide whether the others go round
 * again because of what those are yet to write; NULL: none. The latter is for facts.c, takes from
 * the flow and sets facts->waits.
 */
bool spin_may(const struct facts *facts, const struct ptx_instruction *in);
const struct ptx_instruction *spin_find(struct facts *facts);

/* parked.c: may lanes that others leave behind when they go round a loop write something before
 * they meet those again? In shared memory, too, if that matters. Takes from the flow. */
bool parked_may_write(struct facts *facts, uint32_t loop, bool shared_matters);

/* Bytes between two lanes' copies of a function's own variable. */
uint64_t shape_local_stride(const struct ptx_variable *variable);
/* Has each lane a copy of its own? */
bool shape_is_own(const struct ptx_variable *variable);
