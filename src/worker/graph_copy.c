/*
 * graph_copy.h says what the backend is given. The callback belongs to the child graph through a
 * user object; adding a child graph to a graph clones it with such references, and so does
 * everything that is made from that graph. One child graph is told from the program's own by its
 * host node, whose function and user data are ours; nobody but this file adds such host nodes.
 *
 * A copy of memory that the backend reaches is its own node. One that is given ordinary memory
 * changes places with a child graph, and keeps the client's id.
 */
#include "worker/graph_copy.h"

#include <string.h>

#include "base/log.h"
#include "gen/worker_custom.h"
#include "worker/callback.h"
#include "worker/graph_model.h"
#include "worker/graph_swap.h"
#include "worker/worker.h"

#define NODES_MOST 2

bool graph_copy_read(const void *tail, size_t size, struct graph_copy *out)
{
	if (size != sizeof(*out))
		return false;
	memcpy(out, tail, size);
	return out->when >= GRAPH_COPY_BEFORE && out->when <= GRAPH_COPY_ALONE;
}

/* Fills an empty graph. A node without a context would differ from others of the same copy. */
static CUresult fill(struct call *call, CUgraph graph, const CUDA_MEMCPY_NODE_PARAMS *copy,
    struct callback *callback, const struct graph_copy *staged)
{
	const struct backend *backend = call->backend;
	CUDA_HOST_NODE_PARAMS host = {callback_run, callback};
	CUcontext context = copy ? copy->copyCtx : NULL;
	CUgraphNode before, after;

	if (!context)
		backend->cuCtxGetCurrent(&context);
	switch (staged->when) {
	case GRAPH_COPY_BEFORE:
		return backend->cuGraphAddHostNode(&before, graph, NULL, 0, &host)
			   ?: backend->cuGraphAddMemcpyNode(
				  &after, graph, &before, 1, &copy->copyParams, context);
	case GRAPH_COPY_AFTER:
		return backend->cuGraphAddMemcpyNode(
			   &before, graph, NULL, 0, &copy->copyParams, context)
			   ?: backend->cuGraphAddHostNode(&after, graph, &before, 1, &host);
	default:
		return backend->cuGraphAddHostNode(&before, graph, NULL, 0, &host);
	}
}

CUresult graph_copy_refuse(struct call *call, const struct graph_copy *staged, CUresult r)
{
	if (staged->number)
		callback_end(callback_new_copy(call, staged));
	return r;
}

/* The number is ended in any case of failure, as the client expects. */
static CUresult fill_and_give(struct call *call, CUgraph graph, const CUDA_MEMCPY_NODE_PARAMS *copy,
    const struct graph_copy *staged)
{
	struct callback *callback = callback_new_copy(call, staged);

	if (!callback)
		return CUDA_ERROR_OUT_OF_MEMORY;
	return callback_give_graph(
	    call, callback, graph, fill(call, graph, copy, callback, staged));
}

CUresult graph_copy_make(struct call *call, const CUDA_MEMCPY_NODE_PARAMS *copy,
    const struct graph_copy *staged, CUgraph *graph)
{
	CUresult r = call->backend->cuGraphCreate(graph, 0);

	if (r != CUDA_SUCCESS)
		return r;
	r = fill_and_give(call, *graph, copy, staged);
	if (r != CUDA_SUCCESS)
		call->backend->cuGraphDestroy(*graph);
	return r;
}

CUresult graph_copy_add(struct call *call, const struct args_rosenGraphNodeAdd *a,
    const CUDA_MEMCPY_NODE_PARAMS *copy, const struct graph_copy *staged)
{
	const struct backend *backend = call->backend;
	CUgraph child;
	CUresult r = graph_copy_make(call, copy, staged, &child);

	if (r != CUDA_SUCCESS)
		return r;
	if (a->edges) {
		CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = {.graph = child}};
		r = backend->cuGraphAddNode_v2(
		    a->node, a->graph, a->dependencies, a->edges, a->count, &p);
	} else {
		r = backend->cuGraphAddChildGraphNode(
		    a->node, a->graph, a->dependencies, a->count, child);
	}
	backend->cuGraphDestroy(child);
	return r;
}

/* --- what a node is --- */

/* What one consists of. */
struct content {
	CUgraph graph;
	CUgraphNode nodes[NODES_MOST];
	size_t n;
	CUgraphNode node; /* of nodes: the host node */
	CUDA_HOST_NODE_PARAMS host;
};

/* The copy that a host node is part of. */
static bool read_host(
    struct call *call, CUgraphNode node, CUDA_HOST_NODE_PARAMS *host, struct graph_copy *out)
{
	CUgraphNodeType type;

	return call->backend->cuGraphNodeGetType(node, &type) == CUDA_SUCCESS &&
	       type == CU_GRAPH_NODE_TYPE_HOST &&
	       call->backend->cuGraphHostNodeGetParams(node, host) == CUDA_SUCCESS &&
	       callback_copy(host->fn, host->userData, out);
}

static bool look_into(
    struct call *call, CUgraph graph, struct content *content, struct graph_copy *out)
{
	const struct backend *backend = call->backend;

	content->graph = graph;
	if (backend->cuGraphGetNodes(graph, NULL, &content->n) != CUDA_SUCCESS || !content->n ||
	    content->n > NODES_MOST ||
	    backend->cuGraphGetNodes(graph, content->nodes, &content->n) != CUDA_SUCCESS)
		return false;
	for (size_t i = 0; i < content->n; i++)
		if (read_host(call, content->nodes[i], &content->host, out)) {
			content->node = content->nodes[i];
			return true;
		}
	return false;
}

static bool find(
    struct call *call, CUgraphNode node, struct content *content, struct graph_copy *out)
{
	CUgraphNodeType type;
	CUgraph graph;

	return call->backend->cuGraphNodeGetType(node, &type) == CUDA_SUCCESS &&
	       type == CU_GRAPH_NODE_TYPE_GRAPH &&
	       call->backend->cuGraphChildGraphNodeGetGraph(node, &graph) == CUDA_SUCCESS &&
	       look_into(call, graph, content, out);
}

bool graph_copy_find(struct call *call, CUgraphNode node, struct graph_copy *out)
{
	struct content content;

	return find(call, node, &content, out);
}

static struct graph_copy_parts parts_of(const struct content *content)
{
	struct graph_copy_parts parts = {.callback = content->host.userData, .host = content->node};

	for (size_t i = 0; i < content->n; i++)
		if (content->nodes[i] != parts.host)
			parts.copy = content->nodes[i];
	return parts;
}

bool graph_copy_parts(struct call *call, CUgraphNode node, struct graph_copy_parts *out)
{
	struct graph_copy copy;
	struct content content;

	if (!find(call, node, &content, &copy))
		return false;
	*out = parts_of(&content);
	return true;
}

bool graph_copy_parts_of(struct call *call, CUgraph graph, struct graph_copy_parts *out)
{
	struct graph_copy copy;
	struct content content;

	if (!look_into(call, graph, &content, &copy))
		return false;
	*out = parts_of(&content);
	return true;
}

void graph_copy_skip(void *callback)
{
}

/* --- other parameters --- */

static CUresult empty_out(struct call *call, const struct content *content)
{
	for (size_t i = 0; i < content->n; i++) {
		CUresult r = call->backend->cuGraphDestroyNode(content->nodes[i]);
		if (r != CUDA_SUCCESS)
			return r;
	}
	return CUDA_SUCCESS;
}

static CUresult set_inside(struct call *call, CUgraphNode node, const CUDA_MEMCPY_NODE_PARAMS *copy,
    struct callback *callback)
{
	const CUDA_HOST_NODE_PARAMS host = {callback_run, callback};
	CUgraphNodeType type;
	CUresult r = call->backend->cuGraphNodeGetType(node, &type);

	if (r != CUDA_SUCCESS)
		return r;
	return type == CU_GRAPH_NODE_TYPE_HOST
		   ? call->backend->cuGraphHostNodeSetParams(node, &host)
		   : call->backend->cuGraphMemcpyNodeSetParams(node, &copy->copyParams);
}

/* In place where that can be: NVIDIA's driver does not take a graph whose nodes were made anew for
 * the one that it was, when an executable one is changed. */
static CUresult change(struct call *call, const struct content *content,
    const struct graph_copy *present, const CUDA_MEMCPY_NODE_PARAMS *copy,
    struct callback *callback, const struct graph_copy *staged)
{
	CUresult r = CUDA_SUCCESS;

	if (present->when != staged->when)
		r = empty_out(call, content) ?: fill(call, content->graph, copy, callback, staged);
	else
		for (size_t i = 0; i < content->n && r == CUDA_SUCCESS; i++)
			r = set_inside(call, content->nodes[i], copy, callback);
	if (r == CUDA_SUCCESS)
		callback_leave_graph(
		    call, content->host.fn, content->host.userData, content->graph);
	return r;
}

/* For a node that is one. */
static CUresult refill(struct call *call, CUgraphNode node, const CUDA_MEMCPY_NODE_PARAMS *copy,
    const struct graph_copy *staged)
{
	struct callback *callback;
	struct graph_copy present;
	struct content content;

	if (!find(call, node, &content, &present))
		return graph_copy_refuse(call, staged, CUDA_ERROR_INVALID_VALUE);
	callback = callback_new_copy(call, staged);
	if (!callback)
		return CUDA_ERROR_OUT_OF_MEMORY;
	return callback_give_graph(call, callback, content.graph,
	    change(call, &content, &present, copy, callback, staged));
}

CUresult graph_copy_follow(struct call *call, CUgraphNode node, CUgraph other,
    const CUDA_MEMCPY_NODE_PARAMS *copy, const struct graph_copy *staged)
{
	struct graph_copy present, same;
	struct content content, wanted;

	if (!find(call, node, &content, &present) || !look_into(call, other, &wanted, &same))
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = change(call, &content, &present, copy, wanted.host.userData, staged);
	if (r == CUDA_SUCCESS)
		callback_join_graph(call, wanted.host.userData, content.graph);
	return r;
}

/* The client goes on naming the node by its id. */
static CUresult take_place(
    struct call *call, CUgraph graph, CUgraphNode present, const CUgraphNodeParams *p)
{
	struct handles *handles = call->worker->handles;
	uint64_t id = handles_id_of(handles, HANDLE_GRAPHNODE, (uint64_t)present);
	CUgraphNode node;
	CUresult r = graph_swap(call, graph, present, p, &node);

	if (r != CUDA_SUCCESS)
		return r;
	graph_models_rename(call, present, node);
	if (handles_replace(handles, HANDLE_GRAPHNODE, id, (uint64_t)node))
		return CUDA_ERROR_OUT_OF_MEMORY;
	return call->backend->cuGraphDestroyNode(present);
}

/* A copy of the backend's alone becomes one of these. */
static CUresult convert(struct call *call, CUgraphNode node, const CUDA_MEMCPY_NODE_PARAMS *copy,
    const struct graph_copy *staged)
{
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_GRAPH};
	CUgraph graph = graph_of_node(call, node);

	if (!graph)
		return graph_copy_refuse(call, staged, CUDA_ERROR_INVALID_VALUE);
	CUresult r = graph_copy_make(call, copy, staged, &p.graph.graph);
	if (r != CUDA_SUCCESS)
		return r;
	r = take_place(call, graph, node, &p);
	call->backend->cuGraphDestroy(p.graph.graph);
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		log_warn_once("a graph that allocates memory keeps its copies of pinned memory");
	return r;
}

CUresult graph_copy_set(struct call *call, CUgraphNode node, const CUDA_MEMCPY_NODE_PARAMS *copy,
    const struct graph_copy *staged)
{
	struct graph_copy present;

	return graph_copy_find(call, node, &present) ? refill(call, node, copy, staged)
						     : convert(call, node, copy, staged);
}

/* --- what the client sees of it --- */

CUresult worker_cuGraphNodeGetType(struct call *call, struct args_cuGraphNodeGetType *a)
{
	struct graph_copy staged;
	CUresult r = call->backend->cuGraphNodeGetType(a->node, a->type);

	if (r == CUDA_SUCCESS && *a->type == CU_GRAPH_NODE_TYPE_GRAPH &&
	    graph_copy_find(call, a->node, &staged))
		*a->type = CU_GRAPH_NODE_TYPE_MEMCPY;
	return r;
}

CUresult worker_cuGraphChildGraphNodeGetGraph(
    struct call *call, struct args_cuGraphChildGraphNodeGetGraph *a)
{
	struct graph_copy staged;

	return graph_copy_find(call, a->node, &staged)
		   ? CUDA_ERROR_INVALID_VALUE
		   : call->backend->cuGraphChildGraphNodeGetGraph(a->node, a->graph);
}
