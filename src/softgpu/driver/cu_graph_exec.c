/* Executable graphs: making, changing and launching them. */
#include "softgpu/driver/driver.h"
#include "softgpu/driver/event.h"

#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/graph_exec.h"
#include "softgpu/driver/graph_node.h"
#include "softgpu/driver/launch.h"

#define KNOWN_FLAGS                                                                                \
	((unsigned long long)(CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH |                    \
			      CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD |                                 \
			      CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY))

struct graph_exec {
	CUgraphExec handle;
	unsigned long long flags;
	struct sg_program *program; /* a reference */
	struct sg_work *last; /* its newest launch: they come one after the other; a reference */
};

static CUresult exec_enter(CUgraphExec handle, struct graph_exec **exec)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	*exec = sg_handle_get(handle, SG_GRAPH_EXEC);
	return *exec ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* ---- making ---- */

static bool uses_condition(const struct sg_graph *graph, const struct sg_condition *condition)
{
	for (size_t i = 0; i < graph->n_nodes; i++) {
		const struct sg_node *node = graph->nodes[i];

		if (node->condition == condition)
			return true;
		for (unsigned b = 0; b < node->n_bodies; b++)
			if (uses_condition(node->bodies[b], condition))
				return true;
	}
	return false;
}

static CUgraphInstantiateResult graph_check(const struct sg_graph *graph)
{
	for (size_t i = 0; i < graph->n_conditions; i++)
		if (!uses_condition(graph, graph->conditions[i]))
			return CUDA_GRAPH_INSTANTIATE_CONDITIONAL_HANDLE_UNUSED;
	return CUDA_GRAPH_INSTANTIATE_SUCCESS;
}

static CUresult instantiate(CUgraphExec *handle, CUgraph graph_handle, unsigned long long flags,
    CUgraphInstantiateResult *result)
{
	const struct sg_graph *graph = sg_graph_get(graph_handle);
	CUresult r = sg_enter();

	*result = CUDA_GRAPH_INSTANTIATE_ERROR;
	if (r == CUDA_SUCCESS && (flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH))
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (r == CUDA_SUCCESS && (!handle || !graph || (flags & ~KNOWN_FLAGS)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	*result = graph_check(graph);
	if (*result != CUDA_GRAPH_INSTANTIATE_SUCCESS)
		return CUDA_ERROR_INVALID_VALUE;
	struct graph_exec *exec = calloc(1, sizeof(*exec));
	if (!exec)
		return CUDA_ERROR_OUT_OF_MEMORY;
	exec->flags = flags;
	r = sg_program_new(graph, &exec->program);
	if (r == CUDA_ERROR_INVALID_VALUE)
		*result = CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE;
	if (r == CUDA_SUCCESS) {
		exec->handle = sg_handle_new(SG_GRAPH_EXEC, exec);
		r = exec->handle ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (r != CUDA_SUCCESS) {
		sg_program_unref(exec->program);
		free(exec);
		return r;
	}
	*handle = exec->handle;
	return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *handle, CUgraph graph, unsigned long long flags)
{
	CUgraphInstantiateResult result;

	return instantiate(handle, graph, flags, &result);
}

/* There is nothing to log: what could be added can be run. */
CUresult cuGraphInstantiate_v2(
    CUgraphExec *handle, CUgraph graph, CUgraphNode *error_node, char *log, size_t log_size)
{
	if (error_node)
		*error_node = NULL;
	if (log && log_size)
		*log = 0;
	return cuGraphInstantiateWithFlags(handle, graph, 0);
}

CUresult cuGraphInstantiate(
    CUgraphExec *handle, CUgraph graph, CUgraphNode *error_node, char *log, size_t log_size)
{
	return cuGraphInstantiate_v2(handle, graph, error_node, log, log_size);
}

/* The device's memory is the program's: there is nowhere to upload to. */
CUresult cuGraphInstantiateWithParams(
    CUgraphExec *handle, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *params)
{
	if (!params)
		return sg_enter() ?: CUDA_ERROR_INVALID_VALUE;
	params->hErrNode_out = NULL;
	return instantiate(handle, graph, params->flags, &params->result_out);
}

/* Launches under way keep what they run. */
CUresult cuGraphExecDestroy(CUgraphExec handle)
{
	struct graph_exec *exec;
	CUresult r = exec_enter(handle, &exec);

	if (r != CUDA_SUCCESS)
		return r;
	sg_handle_free(handle);
	sg_program_unref(exec->program);
	sg_work_unref(exec->last);
	free(exec);
	return CUDA_SUCCESS;
}

CUresult cuGraphExecGetFlags(CUgraphExec handle, uint64_t *flags)
{
	struct graph_exec *exec;
	CUresult r = exec_enter(handle, &exec);

	if (r == CUDA_SUCCESS && !flags)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*flags = exec->flags;
	return r;
}

/* ---- launching ---- */

/* NVIDIA's driver (13.0 on an H200) takes an executable graph in no stream that is being
 * captured. */
static CUresult enter_stream(
    CUgraphExec handle, CUstream stream_handle, struct graph_exec **exec, struct sg_stream **stream)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS)
		r = exec_enter(handle, exec);
	if (r == CUDA_SUCCESS)
		r = sg_stream_get(stream_handle, context, stream);
	return r == CUDA_SUCCESS && sg_capture_breaks(*stream)
		   ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
		   : r;
}

CUresult cuGraphLaunch(CUgraphExec handle, CUstream stream_handle)
{
	struct graph_exec *exec;
	struct sg_stream *stream;
	CUresult r = enter_stream(handle, stream_handle, &exec, &stream);

	if (r != CUDA_SUCCESS)
		return r;
	r = sg_program_launch(exec->program, stream,
	    exec->flags & CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH, &exec->last);
	return sg_launch_end(stream, r);
}

CUresult cuGraphUpload(CUgraphExec handle, CUstream stream_handle)
{
	struct graph_exec *exec;
	struct sg_stream *stream;

	return enter_stream(handle, stream_handle, &exec, &stream);
}

/* ---- changing ---- */

/* The step of a node, in a program that no launch is using. */
static CUresult step_to_change(
    CUgraphExec handle, CUgraphNode node_handle, CUgraphNodeType type, struct sg_step **step)
{
	struct graph_exec *exec;
	const struct sg_node *node = sg_node_get(node_handle);
	CUresult r = exec_enter(handle, &exec);

	if (r == CUDA_SUCCESS && (!node || node->type != type))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	/* Acquire: what the last launch did comes before the change. */
	if (atomic_load_explicit(&exec->program->references, memory_order_acquire) > 1) {
		struct sg_program *copy = sg_program_copy(exec->program);

		if (!copy)
			return CUDA_ERROR_OUT_OF_MEMORY;
		sg_program_unref(exec->program);
		exec->program = copy;
	}
	*step = sg_program_find(exec->program, node->id);
	return *step ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult set_event(struct sg_step *step, CUevent event)
{
	if (!sg_handle_get(event, SG_EVENT))
		return CUDA_ERROR_INVALID_VALUE;
	if (sg_event_is_shared(event))
		return CUDA_ERROR_NOT_SUPPORTED;
	step->event = event;
	return CUDA_SUCCESS;
}

static CUresult set_child(struct sg_step *step, CUgraph child_handle)
{
	const struct sg_graph *child = sg_graph_get(child_handle);
	struct sg_program *program;
	size_t number;

	if (!child || !step->n_bodies)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = sg_program_new(child, &program);
	if (r != CUDA_SUCCESS)
		return r;
	if (sg_program_compare(step->bodies[0], program, &number) != CU_GRAPH_EXEC_UPDATE_SUCCESS) {
		sg_program_unref(program);
		return CUDA_ERROR_INVALID_VALUE;
	}
	sg_program_adopt(program, step->bodies[0]);
	sg_program_unref(step->bodies[0]);
	step->bodies[0] = program;
	return CUDA_SUCCESS;
}

static CUresult set_work(struct sg_step *step, const CUgraphNodeParams *params)
{
	struct sg_work *work;
	struct sg_launch_traits traits = sg_launch_traits(step->work);
	CUresult r = sg_node_work(params, &traits, &work);

	if (r != CUDA_SUCCESS)
		return r;
	sg_work_unref(step->work);
	step->work = work;
	return CUDA_SUCCESS;
}

static CUresult exec_set(CUgraphExec exec, CUgraphNode node, const CUgraphNodeParams *params)
{
	struct sg_step *step;
	CUresult r = step_to_change(exec, node, params->type, &step);

	if (r != CUDA_SUCCESS)
		return r;
	switch (params->type) {
	case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
		return set_event(step, params->eventRecord.event);
	case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
		return set_event(step, params->eventWait.event);
	case CU_GRAPH_NODE_TYPE_GRAPH:
		return set_child(step, params->graph.graph);
	default:
		return sg_node_is_work(params->type) ? set_work(step, params)
						     : CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraphNodeParams *params)
{
	return params ? exec_set(exec, node, params) : sg_enter() ?: CUDA_ERROR_INVALID_VALUE;
}

/* The older structs are the beginnings of those in the union. */
#define EXEC_SET(node_type, member, from)                                                          \
	CUgraphNodeParams params = {.type = (node_type)};                                          \
	if (!(from))                                                                               \
		return sg_enter() ?: CUDA_ERROR_INVALID_VALUE;                                     \
	_Static_assert(sizeof(*(from)) <= sizeof(params.member), "a beginning");                   \
	memcpy(&params.member, (from), sizeof(*(from)));                                           \
	return exec_set(exec, node, &params)

CUresult cuGraphExecKernelNodeSetParams(
    CUgraphExec exec, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS_v1 *kernel)
{
	EXEC_SET(CU_GRAPH_NODE_TYPE_KERNEL, kernel, kernel);
}

CUresult cuGraphExecKernelNodeSetParams_v2(
    CUgraphExec exec, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS *kernel)
{
	EXEC_SET(CU_GRAPH_NODE_TYPE_KERNEL, kernel, kernel);
}

CUresult cuGraphExecMemcpyNodeSetParams(
    CUgraphExec exec, CUgraphNode node, const CUDA_MEMCPY3D *copy, CUcontext context)
{
	EXEC_SET(CU_GRAPH_NODE_TYPE_MEMCPY, memcpy.copyParams, copy);
}

CUresult cuGraphExecMemsetNodeSetParams(
    CUgraphExec exec, CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS *fill, CUcontext context)
{
	EXEC_SET(CU_GRAPH_NODE_TYPE_MEMSET, memset, fill);
}

CUresult cuGraphExecHostNodeSetParams(
    CUgraphExec exec, CUgraphNode node, const CUDA_HOST_NODE_PARAMS *host)
{
	EXEC_SET(CU_GRAPH_NODE_TYPE_HOST, host, host);
}

CUresult cuGraphExecBatchMemOpNodeSetParams(
    CUgraphExec exec, CUgraphNode node, const CUDA_BATCH_MEM_OP_NODE_PARAMS *words)
{
	EXEC_SET(CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, memOp, words);
}

CUresult cuGraphExecEventRecordNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event)
{
	CUgraphNodeParams params = {
	    .type = CU_GRAPH_NODE_TYPE_EVENT_RECORD, .eventRecord = {event}};

	return exec_set(exec, node, &params);
}

CUresult cuGraphExecEventWaitNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event)
{
	CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_WAIT_EVENT, .eventWait = {event}};

	return exec_set(exec, node, &params);
}

CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraph child)
{
	CUgraphNodeParams params = {.type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = {.graph = child}};

	return exec_set(exec, node, &params);
}

/* Kernels, copies and fills can be left out. */
static CUresult switchable(CUgraphExec exec, CUgraphNode handle, struct sg_step **step)
{
	const struct sg_node *node = sg_node_get(handle);

	if (!node ||
	    (node->type != CU_GRAPH_NODE_TYPE_KERNEL && node->type != CU_GRAPH_NODE_TYPE_MEMCPY &&
		node->type != CU_GRAPH_NODE_TYPE_MEMSET))
		return sg_enter() ?: CUDA_ERROR_INVALID_VALUE;
	return step_to_change(exec, handle, node->type, step);
}

CUresult cuGraphNodeSetEnabled(CUgraphExec exec, CUgraphNode node, unsigned is_enabled)
{
	struct sg_step *step;
	CUresult r = switchable(exec, node, &step);

	if (r == CUDA_SUCCESS)
		step->is_disabled = !is_enabled;
	return r;
}

CUresult cuGraphNodeGetEnabled(CUgraphExec exec, CUgraphNode node, unsigned *is_enabled)
{
	struct sg_step *step;
	CUresult r = switchable(exec, node, &step);

	if (r == CUDA_SUCCESS && !is_enabled)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*is_enabled = !step->is_disabled;
	return r;
}

CUresult cuGraphExecUpdate_v2(
    CUgraphExec handle, CUgraph graph_handle, CUgraphExecUpdateResultInfo *info)
{
	const struct sg_graph *graph = sg_graph_get(graph_handle);
	CUgraphExecUpdateResultInfo for_nobody;
	struct sg_program *program;
	struct graph_exec *exec;
	size_t number;
	CUresult r = exec_enter(handle, &exec);

	if (!info)
		info = &for_nobody;
	if (r == CUDA_SUCCESS && !graph)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		r = sg_program_new(graph, &program);
	if (r != CUDA_SUCCESS)
		return r;
	*info = (CUgraphExecUpdateResultInfo){
	    .result = sg_program_compare(exec->program, program, &number)};
	if (info->result != CU_GRAPH_EXEC_UPDATE_SUCCESS) {
		if (number < graph->n_nodes)
			info->errorNode = graph->nodes[number]->handle;
		sg_program_unref(program);
		return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
	}
	sg_program_adopt(program, exec->program);
	sg_program_unref(exec->program);
	exec->program = program;
	return CUDA_SUCCESS;
}

CUresult cuGraphExecUpdate(
    CUgraphExec exec, CUgraph graph, CUgraphNode *error_node, CUgraphExecUpdateResult *result)
{
	CUgraphExecUpdateResultInfo info = {.result = CU_GRAPH_EXEC_UPDATE_ERROR};
	CUresult r = cuGraphExecUpdate_v2(exec, graph, &info);

	/* As NVIDIA's driver, which has no word of its own here for a node more or less. */
	if (info.result == CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED && !info.errorNode)
		info.result = CU_GRAPH_EXEC_UPDATE_ERROR_NOT_SUPPORTED;
	if (error_node)
		*error_node = info.errorNode;
	if (result)
		*result = info.result;
	return r;
}
