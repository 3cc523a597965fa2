/*
 * A list of executable graphs with what they were made of, each with its moves. The lock is held
 * over a launch with moves, so that none of them ends meanwhile; a launch without any sees that by
 * one counter.
 */
#include "worker/graph_move.h"

#include <stdlib.h>

#include "base/log.h"
#include "worker/callback.h"
#include "worker/graph_copy.h"
#include "worker/worker.h"

#define NODES_MOST 4096u /* of a graph that is looked through */

struct move {
	struct move *next;
	CUgraphNode node;
	CUgraphExec exec; /* that moves the bytes */
	enum graph_copy_when when;
};

struct graph_origin {
	struct graph_origin *next;
	CUgraphExec exec;
	CUgraph graph; /* may be gone */
	struct move *moves;
};

/* With the lock held. */
static struct graph_origin **find(struct worker *worker, CUgraphExec exec)
{
	struct graph_origin **at = &worker->graph_origins;

	while (*at && (*at)->exec != exec)
		at = &(*at)->next;
	return at;
}

void graph_move_note(struct worker *worker, CUgraphExec exec, CUgraph graph)
{
	struct graph_origin *origin = malloc(sizeof(*origin));

	if (!origin)
		return;
	pthread_mutex_lock(&worker->memory_lock);
	*origin = (struct graph_origin){worker->graph_origins, exec, graph, NULL};
	worker->graph_origins = origin;
	pthread_mutex_unlock(&worker->memory_lock);
}

void graph_move_anew(struct worker *worker, CUgraphExec former, CUgraphExec exec)
{
	pthread_mutex_lock(&worker->memory_lock);
	struct graph_origin *origin = *find(worker, former);
	if (origin)
		origin->exec = exec;
	pthread_mutex_unlock(&worker->memory_lock);
}

/* With the lock held: the moves of node, NULL for all. The backend ends one that runs when it
 * has run. */
static void drop(struct worker *worker, struct graph_origin *origin, CUgraphNode node)
{
	struct move **at = origin ? &origin->moves : NULL;

	while (at && *at) {
		struct move *move = *at;
		if (node && move->node != node) {
			at = &move->next;
			continue;
		}
		*at = move->next;
		worker->backend->cuGraphExecDestroy(move->exec);
		free(move);
		/* Relaxed: who launches the graph knows of its moves by the program's own order. */
		atomic_fetch_sub_explicit(&worker->graph_moves, 1, memory_order_relaxed);
	}
}

void graph_move_drop(struct call *call, CUgraphExec exec, CUgraphNode node)
{
	struct worker *worker = call->worker;

	if (!atomic_load_explicit(&worker->graph_moves, memory_order_relaxed))
		return;
	pthread_mutex_lock(&worker->memory_lock);
	drop(worker, *find(worker, exec), node);
	pthread_mutex_unlock(&worker->memory_lock);
}

static void end(struct worker *worker, struct graph_origin **at)
{
	struct graph_origin *origin = *at;

	drop(worker, origin, NULL);
	*at = origin->next;
	free(origin);
}

void graph_move_forget(struct call *call, CUgraphExec exec)
{
	struct worker *worker = call->worker;

	pthread_mutex_lock(&worker->memory_lock);
	struct graph_origin **at = find(worker, exec);
	if (*at)
		end(worker, at);
	pthread_mutex_unlock(&worker->memory_lock);
}

void graph_moves_free(struct worker *worker)
{
	while (worker->graph_origins)
		end(worker, &worker->graph_origins);
}

/* --- which graphs --- */

static bool is_blind(struct call *call, CUgraphNode node)
{
	CUgraphNodeType type;

	if (call->backend->cuGraphNodeGetType(node, &type) != CUDA_SUCCESS)
		return false;
	switch (type) {
	case CU_GRAPH_NODE_TYPE_KERNEL:
	case CU_GRAPH_NODE_TYPE_MEMCPY:
	case CU_GRAPH_NODE_TYPE_MEMSET:
	case CU_GRAPH_NODE_TYPE_EMPTY:
	case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
	case CU_GRAPH_NODE_TYPE_MEM_FREE:
	case CU_GRAPH_NODE_TYPE_CONDITIONAL:
		return true;
	default:
		return false;
	}
}

/* Whether the graph has the node, and none that could see what the program's memory holds
 * meanwhile. */
static bool is_fit(struct call *call, CUgraph graph, CUgraphNode node)
{
	size_t n = 0;
	bool has = false, blind = true;

	if (!handles_id_of(call->worker->handles, HANDLE_GRAPH, (uint64_t)graph) ||
	    call->backend->cuGraphGetNodes(graph, NULL, &n) != CUDA_SUCCESS || n > NODES_MOST)
		return false;
	CUgraphNode *nodes = call_take(call, n * sizeof(*nodes));
	if (!nodes || call->backend->cuGraphGetNodes(graph, nodes, &n) != CUDA_SUCCESS)
		return false;
	for (size_t i = 0; i < n && blind; i++) {
		has |= nodes[i] == node;
		blind = is_blind(call, nodes[i]);
	}
	return has && blind;
}

/* --- setting and launching --- */

static CUresult make_move(struct call *call, const struct graph_copy *staged, CUgraphExec *exec)
{
	const struct graph_copy alone = {staged->number, GRAPH_COPY_ALONE};
	CUgraph graph;
	CUresult r = graph_copy_make(call, NULL, &alone, &graph);

	if (r != CUDA_SUCCESS)
		return r;
	r = call->backend->cuGraphInstantiateWithFlags(exec, graph, 0);
	call->backend->cuGraphDestroy(graph);
	return r;
}

static CUresult replace(struct call *call, const struct args_rosenGraphNodeSet *a, CUgraphExec exec,
    enum graph_copy_when when)
{
	struct worker *worker = call->worker;
	struct move *move = malloc(sizeof(*move));

	if (!move)
		return CUDA_ERROR_OUT_OF_MEMORY;
	pthread_mutex_lock(&worker->memory_lock);
	struct graph_origin *origin = *find(worker, a->exec);
	drop(worker, origin, a->node);
	*move = (struct move){origin->moves, a->node, exec, when};
	origin->moves = move;
	atomic_fetch_add_explicit(&worker->graph_moves, 1, memory_order_relaxed);
	pthread_mutex_unlock(&worker->memory_lock);
	return CUDA_SUCCESS;
}

CUresult graph_move_set(struct call *call, const struct args_rosenGraphNodeSet *a,
    const CUDA_MEMCPY_NODE_PARAMS *copy, const struct graph_copy *staged)
{
	CUgraphExec exec;

	pthread_mutex_lock(&call->worker->memory_lock);
	const struct graph_origin *origin = *find(call->worker, a->exec);
	CUgraph graph = origin ? origin->graph : NULL;
	pthread_mutex_unlock(&call->worker->memory_lock);
	if (!graph || staged->when == GRAPH_COPY_ALONE || !is_fit(call, graph, a->node)) {
		log_warn_once(
		    "a graph's copy cannot be changed from pinned to ordinary memory where the "
		    "graph cannot be cloned and has nodes that may look at it");
		callback_end(callback_new_copy(call, staged));
		return CUDA_ERROR_NOT_SUPPORTED;
	}
	CUresult r = make_move(call, staged, &exec);
	if (r != CUDA_SUCCESS)
		return r;
	r = call->backend->cuGraphExecMemcpyNodeSetParams(
	    a->exec, a->node, &copy->copyParams, copy->copyCtx);
	if (r == CUDA_SUCCESS)
		r = replace(call, a, exec, staged->when);
	if (r != CUDA_SUCCESS)
		call->backend->cuGraphExecDestroy(exec);
	return r;
}

/* The node may have been switched off. */
static bool is_on(struct call *call, CUgraphExec exec, CUgraphNode node)
{
	unsigned on = 1;

	return call->backend->cuGraphNodeGetEnabled(exec, node, &on) != CUDA_SUCCESS || on;
}

static CUresult launch_moves(struct call *call, const struct graph_origin *origin,
    enum graph_copy_when when, CUstream stream)
{
	const struct move *move = origin ? origin->moves : NULL;
	CUresult r = CUDA_SUCCESS;

	for (; move && r == CUDA_SUCCESS; move = move->next)
		if (move->when == when && is_on(call, origin->exec, move->node))
			r = call->backend->cuGraphLaunch(move->exec, stream);
	return r;
}

CUresult graph_move_launch(struct call *call, CUgraphExec exec, CUstream stream)
{
	struct worker *worker = call->worker;

	if (likely(!atomic_load_explicit(&worker->graph_moves, memory_order_relaxed)))
		return call->backend->cuGraphLaunch(exec, stream);
	pthread_mutex_lock(&worker->memory_lock);
	const struct graph_origin *origin = *find(worker, exec);
	CUresult r = launch_moves(call, origin, GRAPH_COPY_BEFORE, stream)
			 ?: call->backend->cuGraphLaunch(exec, stream)
			 ?: launch_moves(call, origin, GRAPH_COPY_AFTER, stream);
	pthread_mutex_unlock(&worker->memory_lock);
	return r;
}
