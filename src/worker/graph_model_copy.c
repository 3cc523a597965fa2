/*
 * Copies of executable graphs with their models: other memory, of either kind, and switching on and
 * off. A copy of ordinary memory that is off is an empty node in the model, and what it was is kept
 * beside it. Where there is no model graph_switch.h and graph_move.h do what can be done.
 */
#include "gen/worker_custom.h"
#include "worker/graph_copy.h"
#include "worker/graph_model.h"
#include "worker/graph_model_parts.h"
#include "worker/graph_move.h"
#include "worker/graph_switch.h"
#include "worker/worker.h"

/* --- copies --- */

struct change {
	const CUgraphNodeParams *p;
	const struct graph_copy *staged;
};

static CUresult set_plain(struct call *call, CUgraphExec exec, CUgraphNode node, const void *what)
{
	const CUDA_MEMCPY_NODE_PARAMS *copy = what;

	return exec ? call->backend->cuGraphExecMemcpyNodeSetParams(
			  exec, node, &copy->copyParams, copy->copyCtx)
		    : call->backend->cuGraphMemcpyNodeSetParams(node, &copy->copyParams);
}

/* A copy with the client's part remains one. */
static CUresult set_staged(struct call *call, struct graph_model *model, CUgraphExec exec,
    CUgraphNode node, const struct change *change)
{
	const CUDA_MEMCPY_NODE_PARAMS *copy = &change->p->memcpy;
	CUgraphNode known = model_target(call, model, node);
	CUgraphNode own = model && !model->is_old ? model_counterpart(call, model, node) : NULL;
	CUgraph child;

	if (!known && !own)
		return graph_copy_refuse(call, change->staged, CUDA_ERROR_INVALID_VALUE);
	CUresult r = graph_copy_make(call, copy, change->staged, &child);
	if (r != CUDA_SUCCESS)
		return r;
	if (known)
		r = call->backend->cuGraphExecChildGraphNodeSetParams(exec, known, child);
	if (r == CUDA_SUCCESS && !model)
		r = graph_switch_follow(call, exec, node, child);
	if (r == CUDA_SUCCESS && own)
		r = graph_copy_follow(call, own, child, copy, change->staged);
	if (r == CUDA_SUCCESS && !known)
		r = model_make_anew(call, model);
	call->backend->cuGraphDestroy(child);
	return r;
}

/* A copy becomes one with the client's part, or the backend's alone again. */
static CUresult change_kind(
    struct call *call, struct graph_model *model, CUgraphNode node, const struct change *change)
{
	CUgraphNodeParams child = {.type = CU_GRAPH_NODE_TYPE_GRAPH};
	struct model_node *entry = model_node(call, model, node);

	if (!entry)
		return graph_copy_refuse(call, change->staged, CUDA_ERROR_INVALID_VALUE);
	if (!change->staged->number)
		return model_exchange(call, model, entry, change->p);
	CUresult r = graph_copy_make(call, &change->p->memcpy, change->staged, &child.graph.graph);
	if (r != CUDA_SUCCESS)
		return r;
	if (entry->disabled) { /* remains so, as its kind is */
		entry->off = child.graph.graph;
		entry->disabled = false;
		child.type = CU_GRAPH_NODE_TYPE_EMPTY;
		return model_exchange(call, model, entry, &child);
	}
	r = model_exchange(call, model, entry, &child);
	call->backend->cuGraphDestroy(child.graph.graph);
	return r;
}

/* One that is switched off, and remains so. */
static CUresult change_off(struct call *call, struct graph_model *model, struct model_node *entry,
    const struct change *change)
{
	CUgraph former = entry->off;
	CUresult r;

	if (change->staged->number) {
		r = graph_copy_make(call, &change->p->memcpy, change->staged, &entry->off);
	} else {
		entry->off = NULL;
		entry->disabled = true;
		r = model_exchange(call, model, entry, change->p);
	}
	if (r == CUDA_SUCCESS)
		call->backend->cuGraphDestroy(former);
	else
		entry->off = former;
	return r;
}

static CUresult set_copy(struct call *call, struct graph_model *model,
    const struct args_rosenGraphNodeSet *a, const struct change *change)
{
	struct model_node *entry = model ? model_node_find(model, a->node) : NULL;
	CUgraphNode own = model ? model_counterpart(call, model, a->node) : NULL;
	struct graph_copy present;
	bool changes =
	    graph_copy_find(call, own ?: a->node, &present) != (change->staged->number != 0);

	if (entry && entry->off && !model->is_old)
		return change_off(call, model, entry, change);
	if (changes && own && !model->is_old)
		return change_kind(call, model, a->node, change);
	if (!changes && change->staged->number)
		return set_staged(call, model, a->exec, a->node, change);
	if (change->staged->number) /* where there is no model */
		return graph_move_set(call, a, &change->p->memcpy, change->staged);
	CUresult r = model ? model_set(call, model, a->node, set_plain, &change->p->memcpy)
			   : set_plain(call, a->exec, a->node, &change->p->memcpy);
	if (r == CUDA_SUCCESS)
		graph_move_drop(call, a->exec, a->node);
	return r;
}

CUresult graph_model_set_copy(struct call *call, const struct args_rosenGraphNodeSet *a,
    const CUgraphNodeParams *p, const struct graph_copy *staged)
{
	const struct change change = {p, staged};
	struct worker *worker = call->worker;

	if (likely(!models_any(worker)))
		return set_copy(call, NULL, a, &change);
	pthread_mutex_lock(&worker->graph_lock);
	CUresult r = set_copy(call, *model_find(worker, a->exec), a, &change);
	pthread_mutex_unlock(&worker->graph_lock);
	return r;
}

/* --- switching --- */

static CUresult turn_off(struct call *call, struct graph_model *model, struct model_node *entry)
{
	const CUgraphNodeParams empty = {.type = CU_GRAPH_NODE_TYPE_EMPTY};
	CUgraph content, off;
	CUresult r = call->backend->cuGraphChildGraphNodeGetGraph(entry->own, &content)
			 ?: call->backend->cuGraphClone(&off, content);

	if (r != CUDA_SUCCESS)
		return r;
	r = model_exchange(call, model, entry, &empty);
	if (r == CUDA_SUCCESS)
		entry->off = off;
	else
		call->backend->cuGraphDestroy(off);
	return r;
}

static CUresult turn_on(struct call *call, struct graph_model *model, struct model_node *entry)
{
	const CUgraphNodeParams p = {
	    .type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = {.graph = entry->off}};
	CUresult r = model_exchange(call, model, entry, &p);

	if (r == CUDA_SUCCESS) {
		call->backend->cuGraphDestroy(entry->off);
		entry->off = NULL;
	}
	return r;
}

static bool is_with_client(struct call *call, const struct graph_model *model, CUgraphNode node)
{
	const struct model_node *entry = model ? model_node_find(model, node) : NULL;
	struct graph_copy copy;

	return (entry && entry->off) || graph_copy_find(call, entry ? entry->own : node, &copy);
}

static CUresult enable(
    struct call *call, struct graph_model *model, const struct args_cuGraphNodeSetEnabled *a)
{
	bool with_client = is_with_client(call, model, a->node);
	CUgraphNode known = model_target(call, model, a->node);
	struct model_node *entry =
	    model && !model->is_old ? model_node(call, model, a->node) : NULL;

	if (with_client && !entry)
		return graph_switch_set(call, a->exec, a->node, a->enabled);
	if (with_client) {
		if (!a->enabled == (entry->off != NULL))
			return CUDA_SUCCESS;
		return a->enabled ? turn_on(call, model, entry) : turn_off(call, model, entry);
	}
	CUresult r = known ? call->backend->cuGraphNodeSetEnabled(
				 model ? model->exec : a->exec, known, a->enabled)
		     : entry ? CUDA_SUCCESS
			     : CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && entry)
		entry->disabled = !a->enabled;
	return r == CUDA_SUCCESS && !known ? model_make_anew(call, model) : r;
}

CUresult worker_cuGraphNodeSetEnabled(struct call *call, struct args_cuGraphNodeSetEnabled *a)
{
	struct worker *worker = call->worker;

	pthread_mutex_lock(&worker->graph_lock);
	CUresult r = enable(call, *model_find(worker, a->exec), a);
	pthread_mutex_unlock(&worker->graph_lock);
	return r;
}

CUresult worker_cuGraphNodeGetEnabled(struct call *call, struct args_cuGraphNodeGetEnabled *a)
{
	struct worker *worker = call->worker;
	CUresult r = CUDA_SUCCESS;

	pthread_mutex_lock(&worker->graph_lock);
	const struct graph_model *model = *model_find(worker, a->exec);
	const struct model_node *entry = model ? model_node_find(model, a->node) : NULL;
	CUgraphNode known = model_target(call, model, a->node);
	if (is_with_client(call, model, a->node))
		*a->enabled = entry ? !entry->off : graph_switch_is_on(worker, a->exec, a->node);
	else if (known)
		r = call->backend->cuGraphNodeGetEnabled(a->exec, known, a->enabled);
	else if (entry)
		*a->enabled = !entry->disabled;
	else
		r = CUDA_ERROR_INVALID_VALUE; /* another graph's */
	pthread_mutex_unlock(&worker->graph_lock);
	return r;
}
