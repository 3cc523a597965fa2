/*
 * A list of models under the worker's graph lock, which is held during all of a change; a counter
 * tells a worker without models that it has none. The backend finds a node's counterpart in a
 * clone; where the node or its counterpart has been replaced by another, an entry says so.
 *
 * An executable graph that was made again of its model keeps the client's id; the backend then
 * knows its nodes by the handles of the model's. Launches of the one it replaces go on, and its
 * own first launch waits for them, because the backend orders the launches of one executable
 * graph, whatever streams they are in.
 */
#include "worker/graph_model.h"

#include <stdlib.h>

#include "gen/worker_custom.h"
#include "worker/graph_copy.h"
#include "worker/graph_model_parts.h"
#include "worker/graph_move.h"
#include "worker/graph_order.h"
#include "worker/graph_swap.h"
#include "worker/graph_switch.h"
#include "worker/segment.h"
#include "worker/worker.h"

/* --- the list; with the lock held --- */

struct graph_model **model_find(struct worker *worker, CUgraphExec exec)
{
	struct graph_model **at = &worker->graph_models;

	while (*at && (*at)->exec != exec)
		at = &(*at)->next;
	return at;
}

struct model_node *model_node_find(const struct graph_model *model, CUgraphNode node)
{
	struct model_node *entry = model->entries;

	while (entry && entry->node != node)
		entry = entry->next;
	return entry;
}

size_t model_place(const CUgraphNode *order, size_t n, CUgraphNode node)
{
	size_t i = 0;

	while (i < n && order[i] != node)
		i++;
	return i;
}

CUgraphNode model_counterpart(struct call *call, const struct graph_model *model, CUgraphNode node)
{
	const struct model_node *entry = model_node_find(model, node);
	CUgraphNode found = NULL;

	if (entry)
		return entry->in_model;
	if (call->backend->cuGraphNodeFindInClone(
		&found, node, model->first_clone ?: model->graph) != CUDA_SUCCESS)
		return NULL;
	if (!model->first_clone)
		return found;
	size_t i = model_place(model->first_order, model->n, found);
	return i < model->n ? model->order[i] : NULL;
}

struct model_node *model_node(struct call *call, struct graph_model *model, CUgraphNode node)
{
	struct model_node *entry = model_node_find(model, node);
	CUgraphNode in_model = entry ? entry->in_model : model_counterpart(call, model, node);

	if (entry || !in_model)
		return entry;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	*entry = (struct model_node){.next = model->entries, .node = node, .in_model = in_model};
	model->entries = entry;
	return entry;
}

CUgraphNode model_target(struct call *call, const struct graph_model *model, CUgraphNode node)
{
	const struct model_node *entry = model ? model_node_find(model, node) : NULL;

	if (!model || (!model->is_remade && (!entry || !entry->unknown)))
		return node;
	return entry && entry->unknown ? NULL : model_counterpart(call, model, node);
}

bool models_any(struct worker *worker)
{
	/* Relaxed: who changes a graph knows of its making by the program's own order. */
	return atomic_load_explicit(&worker->n_graph_models, memory_order_relaxed);
}

static void end(struct worker *worker, struct graph_model **at)
{
	struct graph_model *model = *at;
	struct model_node *entry;

	*at = model->next;
	while ((entry = model->entries)) {
		model->entries = entry->next;
		if (entry->switched_off)
			worker->backend->cuGraphDestroy(entry->switched_off);
		free(entry);
	}
	worker->backend->cuGraphDestroy(model->graph);
	if (model->first_clone)
		worker->backend->cuGraphDestroy(model->first_clone);
	graph_turn_fini(worker, &model->turn);
	free(model->first_order);
	free(model->order);
	free(model);
	atomic_fetch_sub_explicit(&worker->n_graph_models, 1, memory_order_relaxed);
}

void graph_model_forget(struct call *call, CUgraphExec exec)
{
	struct worker *worker = call->worker;

	if (!models_any(worker))
		return;
	pthread_mutex_lock(&worker->graph_lock);
	struct graph_model **at = model_find(worker, exec);
	if (*at)
		end(worker, at);
	graph_switch_forget(worker, exec);
	pthread_mutex_unlock(&worker->graph_lock);
}

void graph_models_free(struct worker *worker)
{
	while (worker->graph_models)
		end(worker, &worker->graph_models);
	graph_switches_free(worker);
}

void graph_models_forget_context(struct worker *worker, CUcontext context)
{
	pthread_mutex_lock(&worker->graph_lock);
	for (struct graph_model *model = worker->graph_models; model; model = model->next)
		graph_turn_forget(&model->turn, context);
	pthread_mutex_unlock(&worker->graph_lock);
}

void graph_models_rename(struct call *call, CUgraphNode present, CUgraphNode other)
{
	struct worker *worker = call->worker;

	if (!models_any(worker))
		return;
	pthread_mutex_lock(&worker->graph_lock);
	for (struct graph_model *model = worker->graph_models; model; model = model->next) {
		struct model_node *entry = model_node(call, model, present);
		if (!entry)
			continue;
		entry->node = other;
		entry->unknown |= !model->is_remade;
	}
	pthread_mutex_unlock(&worker->graph_lock);
}

/* --- which graphs --- */

static bool is_host(struct call *call, CUmemorytype type, const void *host, CUdeviceptr address)
{
	if (type == CU_MEMORYTYPE_UNIFIED)
		return segments_cover(call->worker->segments, address, 1);
	return type == CU_MEMORYTYPE_HOST && host;
}

/* Whether this copy may be given ordinary memory. */
static bool may_change(struct call *call, CUgraphNode node)
{
	CUDA_MEMCPY3D c;

	return call->backend->cuGraphMemcpyNodeGetParams(node, &c) == CUDA_SUCCESS &&
	       (is_host(call, c.srcMemoryType, c.srcHost, c.srcDevice) ||
		   is_host(call, c.dstMemoryType, c.dstHost, c.dstDevice));
}

static bool is_changeable(struct call *call, CUgraphNode node)
{
	struct graph_copy copy;
	CUgraphNodeType type;

	if (call->backend->cuGraphNodeGetType(node, &type) != CUDA_SUCCESS)
		return false;
	return type == CU_GRAPH_NODE_TYPE_MEMCPY  ? may_change(call, node)
	       : type == CU_GRAPH_NODE_TYPE_GRAPH ? graph_copy_find(call, node, &copy)
						  : false;
}

static bool wants_model(struct call *call, CUgraph graph)
{
	CUgraphNode *nodes;
	bool wants = false;
	size_t n;

	if (graph_nodes_of(call, graph, &nodes, &n) == CUDA_SUCCESS)
		for (size_t i = 0; i < n && !wants; i++)
			wants = is_changeable(call, nodes[i]);
	free(nodes);
	return wants;
}

static void note(struct call *call, CUgraphExec exec, CUgraph clone, unsigned long long flags)
{
	struct worker *worker = call->worker;
	struct graph_model *model = malloc(sizeof(*model));

	if (!model) {
		call->backend->cuGraphDestroy(clone);
		return;
	}
	*model = (struct graph_model){
	    .next = worker->graph_models, .exec = exec, .graph = clone, .flags = flags};
	worker->graph_models = model;
	atomic_fetch_add_explicit(&worker->n_graph_models, 1, memory_order_relaxed);
}

void graph_model_note(struct call *call, CUgraphExec exec, CUgraph graph, unsigned long long flags)
{
	struct worker *worker = call->worker;
	CUgraph clone;

	if (!wants_model(call, graph))
		return;
	pthread_mutex_lock(&worker->graph_lock);
	if (call->backend->cuGraphClone(&clone, graph) == CUDA_SUCCESS)
		note(call, exec, clone, flags);
	else
		graph_switch_note(call, exec, graph);
	pthread_mutex_unlock(&worker->graph_lock);
}

/* --- making anew; with the lock held --- */

static CUresult switch_off(struct call *call, const struct graph_model *model, CUgraphExec exec)
{
	CUresult r = CUDA_SUCCESS;

	for (const struct model_node *entry = model->entries; entry && r == CUDA_SUCCESS;
	    entry = entry->next)
		if (entry->disabled)
			r = call->backend->cuGraphNodeSetEnabled(exec, entry->in_model, 0);
	return r;
}

CUresult model_take_over(struct call *call, struct graph_model *model, CUgraphExec exec)
{
	struct handles *handles = call->worker->handles;
	uint64_t id = handles_id_of(handles, HANDLE_GRAPHEXEC, (uint64_t)model->exec);

	if (handles_replace(handles, HANDLE_GRAPHEXEC, id, (uint64_t)exec) != 0)
		return CUDA_ERROR_OUT_OF_MEMORY;
	call->backend->cuGraphExecDestroy(model->exec);
	graph_move_anew(call->worker, model->exec, exec);
	model->exec = exec;
	model->is_remade = true;
	model->must_follow = true;
	for (struct model_node *entry = model->entries; entry; entry = entry->next)
		entry->unknown = false;
	return CUDA_SUCCESS;
}

CUresult model_instantiate(
    struct call *call, const struct graph_model *model, CUgraph graph, CUgraphExec *exec)
{
	return call->backend->cuGraphInstantiateWithFlags(
	    exec, graph, model->flags & ~(unsigned long long)CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD);
}

CUresult model_make_anew(struct call *call, struct graph_model *model)
{
	CUgraphExec exec;
	CUresult r = model_instantiate(call, model, model->graph, &exec);

	if (r != CUDA_SUCCESS)
		return r;
	r = switch_off(call, model, exec) ?: model_take_over(call, model, exec);
	if (r != CUDA_SUCCESS)
		call->backend->cuGraphExecDestroy(exec);
	return r;
}

CUresult model_order(struct call *call, struct graph_model *model)
{
	return model->order ? CUDA_SUCCESS
			    : graph_nodes_in_order(call, model->graph, &model->order, &model->n);
}

/* node, which is in the model already, replaces the entry's counterpart. */
static CUresult put(
    struct call *call, struct graph_model *model, struct model_node *entry, CUgraphNode node)
{
	for (size_t i = 0; i < model->n; i++)
		if (model->order[i] == entry->in_model)
			model->order[i] = node;
	CUresult r = call->backend->cuGraphDestroyNode(entry->in_model);
	entry->in_model = node;
	return r;
}

CUresult model_exchange(struct call *call, struct graph_model *model, struct model_node *entry,
    const CUgraphNodeParams *p)
{
	CUgraphNode node;
	CUresult r =
	    model_order(call, model) ?: graph_swap(call, model->graph, entry->in_model, p, &node);

	return r ?: put(call, model, entry, node) ?: model_make_anew(call, model);
}

/* --- launching --- */

static CUresult launch(struct call *call, struct graph_model *model, CUstream stream)
{
	CUresult r =
	    model->must_follow ? graph_turn_take(call, &model->turn, stream) : CUDA_SUCCESS;

	r = r ?: graph_move_launch(call, model->exec, stream);
	if (r == CUDA_SUCCESS)
		model->must_follow = false;
	return r ?: graph_turn_note(call, &model->turn, stream);
}

CUresult graph_model_launch(struct call *call, CUgraphExec exec, CUstream stream)
{
	struct worker *worker = call->worker;

	/* A capture refuses the launch, so it has no turn to wait for. */
	if (likely(!models_any(worker)) || stream_is_captured(call, stream))
		return graph_move_launch(call, exec, stream);
	pthread_mutex_lock(&worker->graph_lock);
	struct graph_model *model = *model_find(worker, exec);
	CUresult r = model ? launch(call, model, stream) : graph_move_launch(call, exec, stream);
	pthread_mutex_unlock(&worker->graph_lock);
	return r;
}

/* --- changes --- */

/* Makes in the model what was changed in exec. The child graph of a node (setter NULL) is the one
 * thing that cannot be set in a graph: a new node takes its place. */
static CUresult follow(struct call *call, struct graph_model *model, CUgraphNode node,
    CUgraphNode in_model, graph_setter *setter, const void *what)
{
	if (setter)
		return setter(call, NULL, in_model, what);
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = {.graph = (CUgraph)what}};
	struct model_node *entry = model_node(call, model, node);
	CUgraphNode other;
	CUresult r = entry ? model_order(call, model) : CUDA_ERROR_OUT_OF_MEMORY;

	r = r ?: graph_swap(call, model->graph, in_model, &p, &other);
	if (r != CUDA_SUCCESS)
		return r;
	entry->unknown |= model->is_remade;
	return put(call, model, entry, other);
}

static CUresult set_in_exec(
    struct call *call, CUgraphExec exec, CUgraphNode node, graph_setter *setter, const void *what)
{
	return setter
		   ? setter(call, exec, node, what)
		   : call->backend->cuGraphExecChildGraphNodeSetParams(exec, node, (CUgraph)what);
}

CUresult model_set(struct call *call, struct graph_model *model, CUgraphNode node,
    graph_setter *setter, const void *what)
{
	CUgraphNode in_exec = model_target(call, model, node);
	CUgraphNode in_model = model->is_stale ? NULL : model_counterpart(call, model, node);
	CUresult r = in_exec	? set_in_exec(call, model->exec, in_exec, setter, what)
		     : in_model ? CUDA_SUCCESS
				: CUDA_ERROR_INVALID_VALUE;

	if (r == CUDA_SUCCESS && in_model)
		r = follow(call, model, node, in_model, setter, what);
	else if (r == CUDA_SUCCESS)
		model->is_stale = true; /* a node of a child graph, which the model cannot find */
	return r == CUDA_SUCCESS && !in_exec ? model_make_anew(call, model) : r;
}

CUresult graph_model_set(
    struct call *call, CUgraphExec exec, CUgraphNode node, graph_setter *setter, const void *what)
{
	struct worker *worker = call->worker;

	if (likely(!models_any(worker)))
		return set_in_exec(call, exec, node, setter, what);
	pthread_mutex_lock(&worker->graph_lock);
	struct graph_model *model = *model_find(worker, exec);
	CUresult r = model ? model_set(call, model, node, setter, what)
			   : set_in_exec(call, exec, node, setter, what);
	pthread_mutex_unlock(&worker->graph_lock);
	return r;
}

/* --- setters for single types of nodes --- */

static CUresult set_fill(struct call *call, CUgraphExec exec, CUgraphNode node, const void *what)
{
	const struct args_cuGraphExecMemsetNodeSetParams *a = what;

	return exec ? call->backend->cuGraphExecMemsetNodeSetParams(
			  exec, node, a->parameters, a->context)
		    : call->backend->cuGraphMemsetNodeSetParams(node, a->parameters);
}

CUresult worker_cuGraphExecMemsetNodeSetParams(
    struct call *call, struct args_cuGraphExecMemsetNodeSetParams *a)
{
	return graph_model_set(call, a->exec, a->node, set_fill, a);
}

static CUresult set_record(struct call *call, CUgraphExec exec, CUgraphNode node, const void *what)
{
	CUevent event = (CUevent)what;

	return exec ? call->backend->cuGraphExecEventRecordNodeSetEvent(exec, node, event)
		    : call->backend->cuGraphEventRecordNodeSetEvent(node, event);
}

CUresult worker_cuGraphExecEventRecordNodeSetEvent(
    struct call *call, struct args_cuGraphExecEventRecordNodeSetEvent *a)
{
	return graph_model_set(call, a->exec, a->node, set_record, a->event);
}

static CUresult set_wait(struct call *call, CUgraphExec exec, CUgraphNode node, const void *what)
{
	CUevent event = (CUevent)what;

	return exec ? call->backend->cuGraphExecEventWaitNodeSetEvent(exec, node, event)
		    : call->backend->cuGraphEventWaitNodeSetEvent(node, event);
}

CUresult worker_cuGraphExecEventWaitNodeSetEvent(
    struct call *call, struct args_cuGraphExecEventWaitNodeSetEvent *a)
{
	return graph_model_set(call, a->exec, a->node, set_wait, a->event);
}

CUresult worker_cuGraphExecChildGraphNodeSetParams(
    struct call *call, struct args_cuGraphExecChildGraphNodeSetParams *a)
{
	return graph_model_set(call, a->exec, a->node, NULL, a->child);
}
