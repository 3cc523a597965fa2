/*
 * SOFTGPU_CHECK=1 in compiled code: before each access to shared or global memory the machine is
 * told of it, fences and warp barriers are told, local variables start poisoned, and in code for
 * warps what the analyses take to be the same for all lanes is computed for each (warp/check.c).
 * Programs that are not checked have nothing of it in their IR; those that are have another IR, and
 * so another key in the object cache.
 */
#pragma once

#include "softgpu/jit/emit.h"

/* What the instruction does to memory that threads share; the address's operand lives as long as
 * it. */
struct check_access {
	const struct ptx_operand *address;
	const struct ptx_operand *data; /* what is written, where that is known; else NULL */
	enum ptx_space space;		/* SHARED, GLOBAL or GENERIC */
	enum ptx_type type;		/* of one element of data */
	unsigned count, size;		/* elements, bytes in all */
	unsigned flags;			/* enum sg_check_flags */
};

#define CHECK_MOST_ACCESSES 2

/* Fills in what the instruction does; returns how many. */
unsigned check_accesses(struct emit *emit, struct check_access accesses[CHECK_MOST_ACCESSES]);
/* Whether the instruction orders what comes before it and after it. */
bool check_is_order(const struct emit *emit);

/* For code that runs one thread: before the instruction. */
void check_before(struct emit *emit);
/* Into the prologue: a function's own variable of so many bytes, all lanes' copies. */
void check_local(struct emit *emit, const struct ptx_variable *variable, uint64_t size);

/* What checked programs declare beside the prelude. */
extern const char check_prelude[];
