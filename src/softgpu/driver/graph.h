/*
 * Graphs, made node by node or by capturing streams. A node keeps a piece of work instead of
 * running it; what a graph becomes when it is instantiated is in graph_exec.h.
 *
 * Work that is kept in a graph is run many times and must not change itself. Changing a node's
 * parameters gives it other work, so whoever shares the old one is not disturbed.
 *
 * As in CUDA, one graph must not be used by two threads at once.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "abi/cuda.h"
#include "softgpu/driver/context.h"
#include "softgpu/driver/stream.h"

struct sg_graph;
struct sg_node;
struct sg_user_object;

/* What a graph has of one: its copies have as many of their own. */
struct sg_user_references {
	struct sg_user_object *object;
	uint64_t n;
};

struct sg_edge {
	struct sg_node *from;
	CUgraphEdgeData data;
};

/* The value a conditional node looks at, a word of device memory whose address is its handle.
 * Shared by a graph and what was made of it. */
struct sg_condition {
	atomic_uint references;
	uint64_t address;
	unsigned initial;
	bool assigns; /* the initial value, at every launch */
};

/* Memory that a graph's nodes allocate and free: it is there, at one address, for as long as
 * anything knows the graph. */
struct sg_graph_memory {
	atomic_uint references;
	uint64_t address;
	size_t size;
	/* The rest under the memories' lock. live: allocated by a launch, and not freed by what was
	 * submitted since. */
	bool is_live, is_counted;
	struct sg_graph_memory *next;
};

struct sg_node {
	struct sg_graph *graph;
	CUgraphNode handle;
	uint64_t id;	   /* never used twice */
	uint64_t model_id; /* of the node it is a clone of */
	CUgraphNodeType type;
	struct sg_work *work;	  /* a reference; of types that only the graph knows, nothing */
	CUgraphNodeParams params; /* as asked for; pointers in it are the node's or the work's */
	CUlaunchAttributeValue *attributes; /* of kernels, by number; NULL: none was set */
	struct sg_edge *edges;		    /* what it depends on */
	size_t n_edges;
	struct sg_graph **bodies; /* child graph, or bodies of a conditional node */
	CUgraph *body_handles;
	unsigned n_bodies;
	struct sg_condition *condition; /* a reference */
	struct sg_graph_memory *memory; /* of alloc and free nodes; a reference */
};

struct sg_graph {
	CUgraph handle;
	bool is_body, is_conditional; /* of a node, which it ends with */
	struct sg_node **nodes;	      /* in the order of their making */
	size_t n_nodes, room;
	struct sg_condition **conditions; /* references */
	size_t n_conditions;
	struct sg_user_references *objects; /* one entry per object */
	size_t n_objects;
};

/* One capture that is under way, of one or several streams. Lock: the engine's. */
struct sg_capture {
	struct sg_graph *graph;
	struct sg_stream *origin;
	uint64_t id;	       /* never used twice, never 0 */
	bool is_invalid, owns; /* owns: the graph goes with a capture that fails */
	pthread_t thread;      /* that began it, and must end it unless it is relaxed */
	bool is_relaxed;
};

/* ---- graphs and nodes ---- */

/* NULL: out of memory. */
struct sg_graph *sg_graph_new(void);
void sg_graph_free(struct sg_graph *graph);
struct sg_graph *sg_graph_clone(const struct sg_graph *graph);

/* Looks handles up; NULL: not one. */
struct sg_graph *sg_graph_get(CUgraph handle);
struct sg_node *sg_node_get(CUgraphNode handle);

/* A new node at the end. work, whose reference is taken also when this fails, describes itself. */
CUresult sg_graph_add(struct sg_graph *graph, struct sg_work *work, struct sg_node **node);
/* Takes the node out of its graph. */
void sg_node_free(struct sg_node *node);
/* Other work of the same type; takes the reference. */
void sg_node_set_work(struct sg_node *node, struct sg_work *work);
/* Bodies for a conditional node, or one for a child graph. The graphs become the node's, and the
 * array from malloc() too. */
CUresult sg_node_set_bodies(struct sg_node *node, struct sg_graph **bodies, unsigned n);

/* CUDA_ERROR_INVALID_VALUE: an edge to itself, from another graph, or there already. */
CUresult sg_node_depend(struct sg_node *node, struct sg_node *from, const CUgraphEdgeData *data);
/* The index of the edge from another node; n_edges: there is none. */
size_t sg_node_find_edge(const struct sg_node *node, const struct sg_node *from);
void sg_node_drop_edge(struct sg_node *node, size_t index);

/* ---- what nodes share ---- */

void sg_condition_unref(struct sg_condition *condition);
struct sg_condition *sg_condition_ref(struct sg_condition *condition);
/* A reference; NULL: out of memory. */
struct sg_graph_memory *sg_graph_memory_new(size_t size);
/* What a captured allocation or release of it is kept as; NULL: out of memory. */
struct sg_work *sg_graph_memory_work(struct sg_graph_memory *memory, CUgraphNodeType type);
/* The memory that begins there; NULL: none. */
struct sg_graph_memory *sg_graph_memory_find(uint64_t address);
bool sg_graph_memory_is_live(struct sg_graph_memory *memory);
/* Returns what it was. */
bool sg_graph_memory_set_live(struct sg_graph_memory *memory, bool is_live);
/* Bytes, of all graphs; resetting one of the highest values to what is now; giving back what no
 * launch has allocated, while no work runs. */
uint64_t sg_graph_memory_usage(CUgraphMem_attribute attribute);
void sg_graph_memory_forget_high(bool of_used);
void sg_graph_memory_trim(void);
/* Frees the memory for programs that call cuMemFree; false: it was not live. */
bool sg_graph_memory_release(uint64_t address);
void sg_graph_memory_unref(struct sg_graph_memory *memory);
struct sg_graph_memory *sg_graph_memory_ref(struct sg_graph_memory *memory);

/* As many references more; returns held. */
struct sg_user_references sg_user_object_ref(struct sg_user_references held);
void sg_user_object_unref(struct sg_user_references held);

/* ---- capturing ---- */

/*
 * With the engine locked: what capturing makes of new work in the stream. *taken: it was kept, or
 * refused, and the reference is gone; otherwise it goes the usual way. waits: the caller would wait
 * for it, which a capture does not allow.
 */
CUresult sg_capture_work(struct sg_stream *stream, struct sg_work *work, bool waits, bool *taken);

/* Whether the stream is being captured; then waiting for it, or a launch of a shape that cannot be,
 * ends the capture as a failure. */
bool sg_capture_breaks(struct sg_stream *stream);

void sg_tail_fini(struct sg_tail *tail);

/* The id of the stream's capture and its tail's copy; 0 when there is none. */
uint64_t sg_capture_mark(struct sg_stream *stream, struct sg_tail *tail);
/* The capture an event was recorded in takes in the stream as well, behind the event's tail. */
CUresult sg_capture_join(struct sg_stream *stream, uint64_t capture_id, const struct sg_tail *tail);

/* With the engine locked: the stream is going; a capture that began in it ends without a graph. */
void sg_capture_abandon(struct sg_stream *stream);

/* The id of the stream's capture, 0 when there is none. */
uint64_t sg_capture_id(struct sg_stream *stream);
