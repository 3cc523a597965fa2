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

static CUgraphNodeParams of_signal(const CUDA_EXT_SEM_SIGNAL_NODE_PARAMS *parameters)
{
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_EXT_SEMAS_SIGNAL};

	memcpy(&p.extSemSignal, parameters, sizeof(*parameters));
	return p;
}

static CUgraphNodeParams of_wait(const CUDA_EXT_SEM_WAIT_NODE_PARAMS *parameters)
{
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_EXT_SEMAS_WAIT};

	memcpy(&p.extSemWait, parameters, sizeof(*parameters));
	return p;
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

/* --- signalling --- */

CUresult shim_cuGraphAddExternalSemaphoresSignalNode(CUgraphNode *node, CUgraph graph,
    const CUgraphNode *dependencies, size_t count,
    const CUDA_EXT_SEM_SIGNAL_NODE_PARAMS *parameters)
{
	return add(node, graph, dependencies, count, of_signal(parameters));
}

CUresult shim_cuGraphExternalSemaphoresSignalNodeGetParams(
    CUgraphNode node, CUDA_EXT_SEM_SIGNAL_NODE_PARAMS *parameters)
{
	CUgraphNodeParams p;
	CUresult r = get(node, CU_GRAPH_NODE_TYPE_EXT_SEMAS_SIGNAL, &p);

	if (r == CUDA_SUCCESS)
		memcpy(parameters, &p.extSemSignal, sizeof(*parameters));
	return r;
}

CUresult shim_cuGraphExternalSemaphoresSignalNodeSetParams(
    CUgraphNode node, const CUDA_EXT_SEM_SIGNAL_NODE_PARAMS *parameters)
{
	return graph_node_set(NULL, node, true, of_signal(parameters));
}

CUresult shim_cuGraphExecExternalSemaphoresSignalNodeSetParams(
    CUgraphExec exec, CUgraphNode node, const CUDA_EXT_SEM_SIGNAL_NODE_PARAMS *parameters)
{
	return exec ? graph_node_set(exec, node, true, of_signal(parameters))
		    : CUDA_ERROR_INVALID_VALUE;
}

/* --- waiting --- */

CUresult shim_cuGraphAddExternalSemaphoresWaitNode(CUgraphNode *node, CUgraph graph,
    const CUgraphNode *dependencies, size_t count, const CUDA_EXT_SEM_WAIT_NODE_PARAMS *parameters)
{
	return add(node, graph, dependencies, count, of_wait(parameters));
}

CUresult shim_cuGraphExternalSemaphoresWaitNodeGetParams(
    CUgraphNode node, CUDA_EXT_SEM_WAIT_NODE_PARAMS *parameters)
{
	CUgraphNodeParams p;
	CUresult r = get(node, CU_GRAPH_NODE_TYPE_EXT_SEMAS_WAIT, &p);

	if (r == CUDA_SUCCESS)
		memcpy(parameters, &p.extSemWait, sizeof(*parameters));
	return r;
}

CUresult shim_cuGraphExternalSemaphoresWaitNodeSetParams(
    CUgraphNode node, const CUDA_EXT_SEM_WAIT_NODE_PARAMS *parameters)
{
	return graph_node_set(NULL, node, true, of_wait(parameters));
}

CUresult shim_cuGraphExecExternalSemaphoresWaitNodeSetParams(
    CUgraphExec exec, CUgraphNode node, const CUDA_EXT_SEM_WAIT_NODE_PARAMS *parameters)
{
	return exec ? graph_node_set(exec, node, true, of_wait(parameters))
		    : CUDA_ERROR_INVALID_VALUE;
}
