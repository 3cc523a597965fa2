/*
 * What a graph becomes when it is instantiated: a program, whose steps are the graph's nodes in an
 * order that fulfils all dependencies, run one after the other.
 *
 * A program that is being launched does not change: a change of an executable graph makes it a
 * copy, which shares the work. So what was launched before runs as it was, as CUDA demands.
 */
#pragma once

#include "softgpu/driver/graph.h"

struct sg_program;

struct sg_step {
	uint64_t node_id; /* of the node it was made from */
	CUgraphNodeType type;
	struct sg_work *work; /* a reference */
	bool is_disabled;
	CUevent event;			   /* of event nodes */
	unsigned marker;		   /* its number among the program's event nodes */
	CUgraphConditionalNodeType choice; /* of conditional nodes */
	struct sg_condition *condition;	   /* a reference */
	struct sg_graph_memory *memory;	   /* a reference */
	struct sg_program **bodies;
	unsigned n_bodies;
	size_t n_needs;
	size_t *needs; /* numbers of nodes in their graph's order: what edges are compared by */
	size_t number; /* its own */
};

struct sg_program {
	atomic_uint references;
	size_t n_steps;
	struct sg_step *steps; /* in an order that fulfils the edges */
	/* Indices of the steps that depend on step i: followers[followers_at[i]] up to
	 * followers[followers_at[i + 1]]. is_chain: each step depends on the one before it. */
	size_t *followers_at, *followers;
	bool is_chain;
	size_t n_conditions;
	struct sg_condition **conditions; /* of the whole program: references */
	size_t n_objects;
	struct sg_user_references *objects;
	unsigned n_events;   /* event nodes, those of child graphs too */
	unsigned n_memories; /* nodes that allocate or free, likewise */
	bool frees_all;	     /* what it allocates it frees */
};

/* CUDA_ERROR_INVALID_VALUE: the edges go in a circle. */
CUresult sg_program_new(const struct sg_graph *graph, struct sg_program **program);
void sg_program_unref(struct sg_program *program);
struct sg_program *sg_program_ref(struct sg_program *program);
/* A copy that may be changed; NULL: out of memory. */
struct sg_program *sg_program_copy(const struct sg_program *program);

/* The step made from a node, in a child graph too; NULL: there is none. */
struct sg_step *sg_program_find(struct sg_program *program, uint64_t node_id);

/* Why a program cannot take another's place; *number: the step of it, in its graph's order, where
 * they differ. */
CUgraphExecUpdateResult sg_program_compare(
    const struct sg_program *old, const struct sg_program *other, size_t *number);
/* The other program's steps take the numbers and switches of the old one's. */
void sg_program_adopt(struct sg_program *other, const struct sg_program *old);

/* Queues the program in the stream, and behind the launch *last, a reference or NULL, whose place
 * it takes. CUDA_ERROR_INVALID_VALUE: it would allocate what it has not freed, and frees_first does
 * not allow it to. */
CUresult sg_program_launch(
    struct sg_program *program, struct sg_stream *stream, bool frees_first, struct sg_work **last);
