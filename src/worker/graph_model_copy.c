/*
 * Copy nodes of executable graphs and of their models: they get other memory, of either kind, and
 * are switched on and off. A copy of ordinary memory that is off is an empty node in the model, and
 * its child graph is kept beside it. Without a model, graph_switch.h and graph_move.h do what is
 * possible.
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

/* A copy of ordinary memory gets other ordinary memory. */
static CUresult set_staged(struct call *call, struct graph_model *model, CUgraphExec exec,
    CUgraphNode node, const struct change *change)
{
	const CUDA_MEMCPY_NODE_PARAMS *copy = &change->p->memcpy;
	CUgraphNode in_exec = model_target(call, model, node);
	CUgraphNode in_model =
	    model && !model->is_stale ? model_counterpart(call, model, node) : NULL;
	CUgraph child;

	if (!in_exec && !in_model)
		return graph_copy_refuse(call, change->staged, CUDA_ERROR_INVALID_VALUE);
	CUresult r = graph_copy_make(call, copy, change->staged, &child);
	if (r != CUDA_SUCCESS)
		return r;
	if (in_exec)
		r = call->backend->cuGraphExecChildGraphNodeSetParams(exec, in_exec, child);
	if (r == CUDA_SUCCESS && !model)
		r = graph_switch_follow(call, exec, node, child);
	if (r == CUDA_SUCCESS && in_model)
		r = graph_copy_follow(call, in_model, child, copy, change->staged);
	if (r == CUDA_SUCCESS && !in_exec)
		r = model_make_anew(call, model);
	call->backend->cuGraphDestroy(child);
	return r;
}

/* A copy becomes one of ordinary memory, or ceases to be one. */
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
	if (entry->disabled) { /* it remains off, in the way its new kind is */
		entry->switched_off = child.graph.graph;
		entry->disabled = false;
		child.type = CU_GRAPH_NODE_TYPE_EMPTY;
		return model_exchange(call, model, entry, &child);
	}
	r = model_exchange(call, model, entry, &child);
	call->backend->cuGraphDestroy(child.graph.graph);
	return r;
}

/* A copy of ordinary memory that is switched off gets other memory, and remains off. */
static CUresult change_off(struct call *call, struct graph_model *model, struct model_node *entry,
    const struct change *change)
{
	CUgraph former = entry->switched_off;
	CUresult r;

	if (change->staged->number) {
		r = graph_copy_make(call, &change->p->memcpy, change->staged, &entry->switched_off);
	} else {
		entry->switched_off = NULL;
		entry->disabled = true;
		r = model_exchange(call, model, entry, change->p);
	}
	if (r == CUDA_SUCCESS)
		call->backend->cuGraphDestroy(former);
	else
		entry->switched_off = former;
	return r;
}

static CUresult set_copy(struct call *call, struct graph_model *model,
    const struct args_rosenGraphNodeSet *a, const struct change *change)
{
	struct model_node *entry = model ? model_node_find(model, a->node) : NULL;
	CUgraphNode in_model = model ? model_counterpart(call, model, a->node) : NULL;
	struct graph_copy present;
	bool changes =
	    graph_copy_find(call, in_model ?: a->node, &present) != (change->staged->number != 0);

	if (entry && entry->switched_off && !model->is_stale)
		return change_off(call, model, entry, change);
	if (changes && in_model && !model->is_stale)
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
	CUresult r = call->backend->cuGraphChildGraphNodeGetGraph(entry->in_model, &content)
			 ?: call->backend->cuGraphClone(&off, content);

	if (r != CUDA_SUCCESS)
		return r;
	r = model_exchange(call, model, entry, &empty);
	if (r == CUDA_SUCCESS)
		entry->switched_off = off;
	else
		call->backend->cuGraphDestroy(off);
	return r;
}

static CUresult turn_on(struct call *call, struct graph_model *model, struct model_node *entry)
{
	const CUgraphNodeParams p = {
	    .type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = {.graph = entry->switched_off}};
	CUresult r = model_exchange(call, model, entry, &p);

	if (r == CUDA_SUCCESS) {
		call->backend->cuGraphDestroy(entry->switched_off);
		entry->switched_off = NULL;
	}
	return r;
}

static bool is_with_client(struct call *call, const struct graph_model *model, CUgraphNode node)
{
	const struct model_node *entry = model ? model_node_find(model, node) : NULL;
	struct graph_copy copy;

	return (entry && entry->switched_off) ||
	       graph_copy_find(call, entry ? entry->in_model : node, &copy);
}

static CUresult enable(
    struct call *call, struct graph_model *model, const struct args_cuGraphNodeSetEnabled *a)
{
	bool with_client = is_with_client(call, model, a->node);
	CUgraphNode in_exec = model_target(call, model, a->node);
	struct model_node *entry =
	    model && !model->is_stale ? model_node(call, model, a->node) : NULL;

	if (with_client && !entry)
		return graph_switch_set(call, a->exec, a->node, a->enabled);
	if (with_client) {
		if (!a->enabled == (entry->switched_off != NULL))
			return CUDA_SUCCESS;
		return a->enabled ? turn_on(call, model, entry) : turn_off(call, model, entry);
	}
	CUresult r = in_exec ? call->backend->cuGraphNodeSetEnabled(
				   model ? model->exec : a->exec, in_exec, a->enabled)
		     : entry ? CUDA_SUCCESS
			     : CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && entry)
		entry->disabled = !a->enabled;
	return r == CUDA_SUCCESS && !in_exec ? model_make_anew(call, model) : r;
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
	CUgraphNode in_exec = model_target(call, model, a->node);
	if (is_with_client(call, model, a->node))
		*a->enabled =
		    entry ? !entry->switched_off : graph_switch_is_on(worker, a->exec, a->node);
	else if (in_exec)
		r = call->backend->cuGraphNodeGetEnabled(a->exec, in_exec, a->enabled);
	else if (entry)
		*a->enabled = !entry->disabled;
	else
		r = CUDA_ERROR_INVALID_VALUE; /* another graph's */
	pthread_mutex_unlock(&worker->graph_lock);
	return r;
}
