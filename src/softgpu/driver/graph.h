/*
 * Graphs made by capturing streams, or node by node. A captured piece of work is kept instead of run;
 * launching a graph runs its pieces one after the other, in the order in which they came, which
 * fulfils every dependency that can be expressed.
 *
 * Work that is kept in a graph is run many times and must not change itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "abi/cuda.h"
#include "softgpu/driver/context.h"
#include "softgpu/driver/stream.h"

struct sg_graph;

struct sg_node {
	struct sg_graph *graph;
	CUgraphNode handle;
	CUgraphNodeType type;
	struct sg_work *work; /* a reference */
	/* Of nodes that were added, not captured, by type. */
	struct sg_graph *child;
	CUDA_HOST_NODE_PARAMS host;
	CUDA_MEMCPY3D copy;
};

struct sg_graph {
	CUgraph handle;
	struct sg_node **nodes;
	size_t n_nodes, room;
};

/* One capture that is under way, of one or several streams. Lock: the engine's. */
struct sg_capture {
	struct sg_graph *graph;
	struct sg_stream *origin;
	uint64_t id; /* never used twice, never 0 */
	bool is_invalid;
};

/* Keeps the work, taking the reference also when it fails. */
CUresult sg_graph_add(struct sg_graph *graph, struct sg_work *work);

struct sg_graph *sg_graph_new(void);
void sg_graph_free(struct sg_graph *graph);
/* NULL: out of memory. */
struct sg_graph *sg_graph_clone(const struct sg_graph *graph);
/* Takes the node out of its graph. */
void sg_node_free(struct sg_node *node);

/*
 * With the engine locked: what capturing makes of new work in the stream. *taken: it was kept, or
 * refused, and the reference is gone; otherwise it goes the usual way. waits: the caller would wait
 * for it, which a capture does not allow.
 */
CUresult sg_capture_work(struct sg_stream *stream, struct sg_work *work, bool waits, bool *taken);

/* Whether the stream is being captured; then waiting for it ends the capture as a failure. */
bool sg_capture_breaks(struct sg_stream *stream);

/* The capture an event was recorded in takes in the stream as well. */
CUresult sg_capture_join(struct sg_stream *stream, uint64_t capture_id);

/* With the engine locked: the stream is going; a capture that began in it ends without a graph. */
void sg_capture_abandon(struct sg_stream *stream);

/* The id of the stream's capture, 0 when there is none. */
uint64_t sg_capture_id(struct sg_stream *stream);
