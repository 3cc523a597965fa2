/*
 * Graphs as a whole. Instantiation and update have something to say when they fail, and a failed
 * call brings no outputs: so these succeed when the backend was asked, and its result is an output.
 *
 * The backend draws a graph into a file it opens by name; here that is memory with a name that only
 * this process can use.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "gen/worker_custom.h"
#include "worker/graph_host.h"
#include "worker/graph_model.h"
#include "worker/graph_move.h"
#include "worker/launch.h"
#include "worker/prints.h"
#include "worker/worker.h"

static void note(struct call *call, CUgraphExec exec, CUgraph graph, unsigned long long flags)
{
	graph_move_note(call->worker, exec, graph);
	graph_model_note(call, exec, graph, flags);
}

/* Enters what was made under the id the client minted for it. */
static CUresult adopt(struct call *call, uint64_t id, CUgraphExec exec, CUgraph graph,
    unsigned long long flags, CUresult status)
{
	if (status != CUDA_SUCCESS)
		return CUDA_SUCCESS;
	CUresult r = call_adopt(call, HANDLE_GRAPHEXEC, id, (uint64_t)exec);
	if (r != CUDA_SUCCESS)
		call->backend->cuGraphExecDestroy(exec);
	else
		note(call, exec, graph, flags);
	return r;
}

CUresult worker_cuGraphInstantiate_v2(struct call *call, struct args_cuGraphInstantiate_v2 *a)
{
	CUgraphExec exec = NULL;

	*a->status = call->backend->cuGraphInstantiate_v2(
	    &exec, a->graph, a->error_node, a->log_bytes ? a->log : NULL, a->log_bytes);
	return adopt(call, a->exec, exec, a->graph, 0, *a->status);
}

CUresult worker_cuGraphInstantiateWithFlags(
    struct call *call, struct args_cuGraphInstantiateWithFlags *a)
{
	CUresult r = call->backend->cuGraphInstantiateWithFlags(a->exec, a->graph, a->flags);

	if (r == CUDA_SUCCESS)
		note(call, *a->exec, a->graph, a->flags);
	return r;
}

CUresult worker_cuGraphExecDestroy(struct call *call, struct args_cuGraphExecDestroy *a)
{
	/* Before the backend gives its handle to another. */
	graph_host_forget(call, a->exec);
	graph_move_forget(call, a->exec);
	graph_model_forget(call, a->exec);
	return call->backend->cuGraphExecDestroy(a->exec);
}

CUresult worker_cuGraphInstantiateWithParams(
    struct call *call, struct args_cuGraphInstantiateWithParams *a)
{
	CUDA_GRAPH_INSTANTIATE_PARAMS parameters = {.flags = a->flags, .hUploadStream = a->stream};
	CUgraphExec exec = NULL;

	*a->status = call->backend->cuGraphInstantiateWithParams(&exec, a->graph, &parameters);
	*a->error_node = parameters.hErrNode_out;
	*a->result = parameters.result_out;
	return adopt(call, a->exec, exec, a->graph, a->flags, *a->status);
}

static CUresult update_first(
    struct call *call, CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo *info)
{
	return call->backend->cuGraphExecUpdate(exec, graph, &info->errorNode, &info->result);
}

static CUresult update_v2(
    struct call *call, CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo *info)
{
	return call->backend->cuGraphExecUpdate_v2(exec, graph, info);
}

static CUresult update(struct call *call, CUgraphExec exec, CUgraph graph, graph_updater *updater,
    CUgraphExecUpdateResultInfo *info)
{
	CUresult r = graph_model_update(call, exec, graph, updater, info);

	if (r == CUDA_SUCCESS)
		graph_move_drop(call, exec, NULL);
	return r;
}

CUresult worker_cuGraphExecUpdate(struct call *call, struct args_cuGraphExecUpdate *a)
{
	CUgraphExecUpdateResultInfo info = {0};

	*a->status = update(call, a->exec, a->graph, update_first, &info);
	*a->result = info.result;
	*a->error_node = info.errorNode;
	return CUDA_SUCCESS;
}

CUresult worker_cuGraphExecUpdate_v2(struct call *call, struct args_cuGraphExecUpdate_v2 *a)
{
	CUgraphExecUpdateResultInfo info = {0};

	*a->status = update(call, a->exec, a->graph, update_v2, &info);
	*a->result = info.result;
	*a->error_node = info.errorNode;
	*a->error_from = info.errorFromNode;
	return CUDA_SUCCESS;
}

CUresult worker_cuGraphLaunch(struct call *call, struct args_cuGraphLaunch *a)
{
	CUresult r = graph_model_launch(call, a->exec, a->stream);

	if (r == CUDA_SUCCESS)
		graph_host_launched(call, a->exec, a->stream);
	prints_launched(call, NULL, a->stream);
	return launch_end(call, a->stream, r);
}

/* --- drawing --- */

/* What the backend wrote: as much as there is room for, and how much there is. */
static CUresult read_drawing(int fd, char *text, size_t capacity, size_t *bytes)
{
	struct stat stat;

	if (fstat(fd, &stat) < 0)
		return CUDA_ERROR_OPERATING_SYSTEM;
	*bytes = (size_t)stat.st_size;
	size_t wanted = MIN(*bytes, capacity);
	return fd_read_all(fd, text, wanted, 0) == (ssize_t)wanted ? CUDA_SUCCESS
								   : CUDA_ERROR_OPERATING_SYSTEM;
}

CUresult worker_cuGraphDebugDotPrint(struct call *call, struct args_cuGraphDebugDotPrint *a)
{
	int fd = memfd_create("rosen-graph", MFD_CLOEXEC);
	char path[64];

	if (fd < 0) {
		log_warn("no memory for the drawing of a graph");
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CUresult r = call->backend->cuGraphDebugDotPrint(a->graph, path, a->flags);
	if (r == CUDA_SUCCESS)
		r = read_drawing(fd, a->text, a->capacity, a->bytes);
	fd_close(fd);
	return r;
}
