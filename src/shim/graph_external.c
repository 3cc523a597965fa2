/*
 * Nodes of external semaphores. Both kinds are three fields alike: semaphores, as many parameters,
 * and their number; what differs is the parameters' type, which has the same size. On the wire they
 * are the semaphores' ids followed by the parameters (api/graph.api).
 */
#include "shim/graph_external.h"

#include <stdlib.h>
#include <string.h>

#include "gen/shim_custom.h"
#include "shim/graph_node.h"

#define COUNT_MOST 4096u

_Static_assert(
    sizeof(CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS) == sizeof(CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS),
    "both kinds are packed alike");
_Static_assert(
    sizeof(CUDA_EXT_SEM_SIGNAL_NODE_PARAMS_v2) == sizeof(CUDA_EXT_SEM_SIGNAL_NODE_PARAMS) &&
	sizeof(CUDA_EXT_SEM_WAIT_NODE_PARAMS_v2) == sizeof(CUDA_EXT_SEM_WAIT_NODE_PARAMS),
    "the versions differ in name only");

CUresult graph_external_pack(CUgraphNodeParams *p, struct launch_buffer *tail)
{
	CUDA_EXT_SEM_SIGNAL_NODE_PARAMS_v2 *e = &p->extSemSignal;
	size_t n = e->numExtSems, ids = n * sizeof(*e->extSemArray),
	       bytes = n * sizeof(*e->paramsArray);

	if (n > COUNT_MOST || (n && (!e->extSemArray || !e->paramsArray)))
		return CUDA_ERROR_INVALID_VALUE;
	tail->heap = malloc(ids + bytes + 1);
	if (!tail->heap)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (n) {
		memcpy(tail->heap, e->extSemArray, ids);
		memcpy((char *)tail->heap + ids, e->paramsArray, bytes);
	}
	tail->bytes = tail->heap;
	tail->size = ids + bytes;
	e->extSemArray = NULL;
	e->paramsArray = NULL;
	return CUDA_SUCCESS;
}

static CUresult add(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies, size_t count,
    CUgraphNodeParams p)
{
	struct graph_place place = {graph, dependencies, NULL, count, true};

	return graph_node_add(node, &place, &p);
}

/* The pointers are to memory that lives with the node. */
static CUresult get(CUgraphNode node, CUgraphNodeType type, CUgraphNodeParams *p)
{
	CUDA_EXT_SEM_SIGNAL_NODE_PARAMS_v2 *e = &p->extSemSignal;
	size_t bytes;
	void *tail;

	CUresult r = graph_node_get(node, type, p, &tail, &bytes);
	if (r != CUDA_SUCCESS)
		return r;
	size_t ids = e->numExtSems * sizeof(*e->extSemArray);
	if (bytes != ids + e->numExtSems * sizeof(*e->paramsArray))
		return CUDA_ERROR_UNKNOWN;
	e->extSemArray = tail;
	e->paramsArray = (void *)((char *)tail + ids);
	return CUDA_SUCCESS;
}

/* What the interface has of one kind. params: the type of its parameters; member: where they
 * lie. */
#define KIND(name, node_type, params, member)                                                      \
	static CUgraphNodeParams of_##name(const params *parameters)                               \
	{                                                                                          \
		CUgraphNodeParams p = {.type = node_type};                                         \
                                                                                                   \
		memcpy(&p.member, parameters, sizeof(*parameters));                                \
		return p;                                                                          \
	}                                                                                          \
                                                                                                   \
	CUresult shim_cuGraphAddExternalSemaphores##name##Node(CUgraphNode *node, CUgraph graph,   \
	    const CUgraphNode *dependencies, size_t count, const params *parameters)               \
	{                                                                                          \
		return add(node, graph, dependencies, count, of_##name(parameters));               \
	}                                                                                          \
                                                                                                   \
	CUresult shim_cuGraphExternalSemaphores##name##NodeGetParams(                              \
	    CUgraphNode node, params *parameters)                                                  \
	{                                                                                          \
		CUgraphNodeParams p;                                                               \
		CUresult r = get(node, node_type, &p);                                             \
                                                                                                   \
		if (r == CUDA_SUCCESS)                                                             \
			memcpy(parameters, &p.member, sizeof(*parameters));                        \
		return r;                                                                          \
	}                                                                                          \
                                                                                                   \
	CUresult shim_cuGraphExternalSemaphores##name##NodeSetParams(                              \
	    CUgraphNode node, const params *parameters)                                            \
	{                                                                                          \
		return graph_node_set(NULL, node, true, of_##name(parameters));                    \
	}                                                                                          \
                                                                                                   \
	CUresult shim_cuGraphExecExternalSemaphores##name##NodeSetParams(                          \
	    CUgraphExec exec, CUgraphNode node, const params *parameters)                          \
	{                                                                                          \
		return exec ? graph_node_set(exec, node, true, of_##name(parameters))              \
			    : CUDA_ERROR_INVALID_VALUE;                                            \
	}

KIND(Signal, CU_GRAPH_NODE_TYPE_EXT_SEMAS_SIGNAL, CUDA_EXT_SEM_SIGNAL_NODE_PARAMS, extSemSignal)
KIND(Wait, CU_GRAPH_NODE_TYPE_EXT_SEMAS_WAIT, CUDA_EXT_SEM_WAIT_NODE_PARAMS, extSemWait)
