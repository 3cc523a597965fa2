/* See graph_external.h. Both kinds of node have the same layout, but for what the parameters
 * mean. */
#include "worker/graph_external.h"

#include <string.h>

#include "gen/backend.h"

CUresult graph_external_build(
    struct call *call, CUgraphNodeParams *p, const void *tail, size_t bytes)
{
	CUDA_EXT_SEM_SIGNAL_NODE_PARAMS_v2 *e = &p->extSemSignal;
	size_t n = e->numExtSems, one = sizeof(uint64_t) + sizeof(*e->paramsArray);

	if (n > bytes / one || n * one != bytes)
		return CUDA_ERROR_INVALID_VALUE;
	e->extSemArray = call_take(call, n * sizeof(*e->extSemArray) + 1);
	if (!e->extSemArray)
		return call->error;
	for (size_t i = 0; i < n; i++) {
		uint64_t id = ((const uint64_t *)tail)[i];
		if (!id)
			return CUDA_ERROR_INVALID_HANDLE;
		e->extSemArray[i] = (CUexternalSemaphore)call_handle(call, HANDLE_EXTSEMAPHORE, id);
	}
	e->paramsArray = (const void *)((const uint64_t *)tail + n);
	return call->error;
}

static CUresult get(struct call *call, CUgraphNode node, CUgraphNodeType type, CUgraphNodeParams *p)
{
	CUDA_EXT_SEM_SIGNAL_NODE_PARAMS signal = {0};
	CUDA_EXT_SEM_WAIT_NODE_PARAMS wait = {0};
	bool signals = type == CU_GRAPH_NODE_TYPE_EXT_SEMAS_SIGNAL;

	CUresult r =
	    signals ? call->backend->cuGraphExternalSemaphoresSignalNodeGetParams(node, &signal)
		    : call->backend->cuGraphExternalSemaphoresWaitNodeGetParams(node, &wait);
	if (signals)
		memcpy(&p->extSemSignal, &signal, sizeof(signal));
	else
		memcpy(&p->extSemWait, &wait, sizeof(wait));
	return r;
}

CUresult graph_external_get(struct call *call, CUgraphNode node, CUgraphNodeType type,
    CUgraphNodeParams *p, void **tail, size_t *bytes)
{
	CUDA_EXT_SEM_SIGNAL_NODE_PARAMS_v2 *e = &p->extSemSignal;

	CUresult r = get(call, node, type, p);
	if (r != CUDA_SUCCESS)
		return r;
	size_t n = e->numExtSems, parameters = n * sizeof(*e->paramsArray);
	*bytes = n * sizeof(uint64_t) + parameters;
	uint64_t *ids = call_take(call, *bytes + 1);
	if (!ids)
		return call->error;
	for (size_t i = 0; i < n; i++)
		ids[i] = call_id_of(call, HANDLE_EXTSEMAPHORE, (uint64_t)e->extSemArray[i]);
	if (n)
		memcpy(ids + n, e->paramsArray, parameters);
	e->extSemArray = NULL;
	e->paramsArray = NULL;
	*tail = ids;
	return call->error;
}
