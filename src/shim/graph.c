/*
 * Graphs as a whole: what instantiation and update tell of failures, and the drawing of a graph.
 *
 * These functions have outputs when they fail, and a failed call brings none; so their calls
 * succeed when the backend was asked at all, and its result is one of the outputs. The id of an
 * executable graph is minted here and dropped again when the backend made none.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/graph_change.h"

#define DRAWING_FIRST (64u << 10)

/* Ends what cuGraphInstantiate*() began with an id of its own. */
static CUresult instantiated(CUgraphExec *exec, uint64_t id, CUresult r)
{
	if (r == CUDA_SUCCESS)
		*exec = (CUgraphExec)id;
	else
		shim_handle_drop(id);
	return r;
}

CUresult shim_cuGraphInstantiate_v2(
    CUgraphExec *exec, CUgraph graph, CUgraphNode *error_node, char *log, size_t log_bytes)
{
	uint64_t id = shim_handle_new(HANDLE_GRAPHEXEC);
	CUgraphNode culprit = NULL;
	CUresult status;
	char none;

	if (!id)
		return CUDA_ERROR_OUT_OF_MEMORY;
	CUresult r = remote_cuGraphInstantiate_v2(
	    id, graph, &culprit, log ?: &none, log ? log_bytes : 0, &status);
	if (r == CUDA_SUCCESS && error_node)
		*error_node = culprit;
	return instantiated(exec, id, r ?: status);
}

CUresult shim_cuGraphInstantiateWithParams(CUgraphExec *exec, CUgraph graph,
    CUDA_GRAPH_INSTANTIATE_PARAMS *parameters, unsigned shim_flags)
{
	bool upload = parameters->flags & CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD;
	uint64_t id = shim_handle_new(HANDLE_GRAPHEXEC);
	CUgraphInstantiateResult result = CUDA_GRAPH_INSTANTIATE_ERROR;
	CUgraphNode culprit = NULL;
	CUresult status;

	if (!id)
		return CUDA_ERROR_OUT_OF_MEMORY;
	CUresult r = remote_cuGraphInstantiateWithParams(id, graph, parameters->flags,
	    upload ? parameters->hUploadStream : NULL, &culprit, &result, &status, shim_flags);
	parameters->hErrNode_out = culprit;
	parameters->result_out = result;
	return instantiated(exec, id, r ?: status);
}

CUresult shim_cuGraphExecUpdate_v2(
    CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo *info)
{
	CUgraphExecUpdateResult result;
	CUgraphNode culprit, from;
	CUresult status;

	graph_changes_forget();
	CUresult r = remote_cuGraphExecUpdate_v2(exec, graph, &result, &culprit, &from, &status);

	if (r != CUDA_SUCCESS)
		return r;
	if (!info)
		return status;
	info->result = result;
	info->errorNode = culprit;
	info->errorFromNode = from;
	return status;
}

CUresult shim_cuGraphExecUpdate(
    CUgraphExec exec, CUgraph graph, CUgraphNode *error_node, CUgraphExecUpdateResult *result)
{
	CUgraphExecUpdateResult why;
	CUgraphNode culprit;
	CUresult status;

	graph_changes_forget();
	CUresult r =
	    remote_cuGraphExecUpdate(exec, graph, error_node ?: &culprit, result ?: &why, &status);
	return r ?: status;
}

/* --- the end --- */

CUresult shim_cuGraphDestroy(CUgraph graph)
{
	size_t count = shim_handle_count(HANDLE_GRAPHNODE);
	CUresult r;

	graph_changes_forget();
	if (!count)
		return remote_cuGraphDestroy(graph);
	uint64_t *nodes = calloc(count, sizeof(*nodes));
	if (!nodes)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = remote_rosenGraphDestroy(graph, nodes, &count);
	for (size_t i = 0; r == CUDA_SUCCESS && i < count; i++)
		shim_handle_drop(nodes[i]);
	free(nodes);
	return r;
}

/* --- drawing --- */

static CUresult write_file(const char *path, const char *text, size_t bytes)
{
	FILE *file = fopen(path, "w");

	if (!file) {
		log_warn("the graph's drawing cannot be written to %s: %s", path, strerror(errno));
		return CUDA_ERROR_OPERATING_SYSTEM;
	}
	bool written = fwrite(text, 1, bytes, file) == bytes;
	if (fclose(file) == 0 && written)
		return CUDA_SUCCESS;
	log_warn("the graph's drawing was not written whole to %s: is the disk full?", path);
	return CUDA_ERROR_OPERATING_SYSTEM;
}

CUresult shim_cuGraphDebugDotPrint(CUgraph graph, const char *path, unsigned flags)
{
	size_t capacity = DRAWING_FIRST, bytes = 0;

	for (;; capacity = bytes) {
		char *text = malloc(capacity);
		if (!text)
			return CUDA_ERROR_OUT_OF_MEMORY;
		CUresult r = remote_cuGraphDebugDotPrint(graph, flags, text, capacity, &bytes);
		bool whole = bytes <= capacity;
		if (r == CUDA_SUCCESS && whole)
			r = write_file(path, text, bytes);
		free(text);
		if (r != CUDA_SUCCESS || whole)
			return r;
	}
}
