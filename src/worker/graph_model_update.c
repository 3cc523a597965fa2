/*
 * Updating an executable graph with another one. The backend compares the two; where one has a copy
 * of memory that it reaches and the other one of ordinary memory, they look different to it. Then
 * this file compares them, node by node (graph_order.h), and makes the graph anew of the other one.
 * Its model is a clone of that in any case, and what it was at first is kept for the sake of the
 * nodes' names.
 */
#include <stdlib.h>
#include <string.h>

#include "gen/worker_custom.h"
#include "worker/graph_copy.h"
#include "worker/graph_model.h"
#include "worker/graph_model_parts.h"
#include "worker/graph_order.h"
#include "worker/worker.h"

/* What the graph is to become. */
struct draft {
	CUgraph graph;	    /* a clone of the other one */
	CUgraphNode *other; /* the other's nodes */
	CUgraphNode *order; /* the same in the clone */
	size_t n;
	CUgraphExec exec;
};

/* --- comparing --- */

static CUgraphNodeType type_of(struct call *call, CUgraphNode node)
{
	CUgraphNodeType type;

	return call->backend->cuGraphNodeGetType(node, &type) == CUDA_SUCCESS ? type
									      : (CUgraphNodeType)-1;
}

static bool is_copy(struct call *call, CUgraphNode node, CUgraphNodeType type)
{
	struct graph_copy staged;

	return type == CU_GRAPH_NODE_TYPE_MEMCPY ||
	       (type == CU_GRAPH_NODE_TYPE_GRAPH && graph_copy_find(call, node, &staged));
}

/* A copy that is switched off is an empty node in the model. */
static bool is_like(struct call *call, CUgraphNode node, CUgraphNode other)
{
	CUgraphNodeType type = type_of(call, node), wanted = type_of(call, other);

	return type == wanted ||
	       (is_copy(call, other, wanted) &&
		   (type == CU_GRAPH_NODE_TYPE_EMPTY || is_copy(call, node, type)));
}

static bool is_same_shape(
    struct call *call, const struct graph_model *model, CUgraph other, const struct draft *draft)
{
	uint64_t *edges = NULL, *wanted = NULL;
	size_t n, n_wanted;
	bool same = draft->n == model->n;

	for (size_t i = 0; same && i < draft->n; i++)
		same = is_like(call, model->order[i], draft->other[i]);
	same = same &&
	       graph_edges_of(call, model->graph, model->order, model->n, &edges, &n) ==
		   CUDA_SUCCESS &&
	       graph_edges_of(call, other, draft->other, draft->n, &wanted, &n_wanted) ==
		   CUDA_SUCCESS &&
	       n == n_wanted && !memcmp(edges, wanted, n * sizeof(*edges));
	free(edges);
	free(wanted);
	return same;
}

/* --- becoming another --- */

static CUresult draw(
    struct call *call, struct graph_model *model, CUgraph other, struct draft *draft)
{
	const struct backend *backend = call->backend;
	CUresult r =
	    model_order(call, model) ?: graph_nodes_in_order(call, other, &draft->other, &draft->n);

	if (r == CUDA_SUCCESS && !is_same_shape(call, model, other, draft))
		r = CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
	if (r == CUDA_SUCCESS && !(draft->order = calloc(draft->n + 1, sizeof(*draft->order))))
		r = CUDA_ERROR_OUT_OF_MEMORY;
	r = r ?: backend->cuGraphClone(&draft->graph, other);
	for (size_t i = 0; r == CUDA_SUCCESS && i < draft->n; i++)
		r = backend->cuGraphNodeFindInClone(
		    &draft->order[i], draft->other[i], draft->graph);
	return r;
}

static void draft_fini(struct call *call, struct draft *draft)
{
	if (draft->exec)
		call->backend->cuGraphExecDestroy(draft->exec);
	if (draft->graph)
		call->backend->cuGraphDestroy(draft->graph);
	free(draft->order);
	free(draft->other);
}

/* What was switched off remains so, but for copies of ordinary memory. */
static CUresult switch_off(
    struct call *call, const struct graph_model *model, const struct draft *draft)
{
	CUresult r = CUDA_SUCCESS;

	for (const struct model_node *entry = model->entries; entry && r == CUDA_SUCCESS;
	    entry = entry->next) {
		size_t i = model_place(model->order, model->n, entry->own);
		if (entry->disabled && i < model->n &&
		    type_of(call, draft->order[i]) != CU_GRAPH_NODE_TYPE_GRAPH)
			r = call->backend->cuGraphNodeSetEnabled(draft->exec, draft->order[i], 0);
	}
	return r;
}

/* The draft becomes the model, and gets what goes. */
static void adopt(struct call *call, struct graph_model *model, struct draft *draft)
{
	CUgraph former = model->graph;
	CUgraphNode *order = model->order;

	for (struct model_node *entry = model->entries; entry; entry = entry->next) {
		size_t i = model_place(order, model->n, entry->own);
		entry->own = i < model->n ? draft->order[i] : NULL;
		if (entry->off)
			call->backend->cuGraphDestroy(entry->off);
		entry->off = NULL;
		entry->disabled &= type_of(call, entry->own) != CU_GRAPH_NODE_TYPE_GRAPH;
	}
	model->graph = draft->graph;
	model->order = draft->order;
	model->is_old = false;
	draft->exec = NULL;
	draft->graph = model->book ? former : NULL;
	draft->order = model->book ? order : NULL;
	if (!model->book) {
		model->book = former;
		model->names = order;
	}
}

static CUresult update_anew(struct call *call, struct graph_model *model, CUgraph other)
{
	struct draft draft = {0};
	CUresult r = draw(call, model, other, &draft)
			 ?: model_instantiate(call, model, draft.graph, &draft.exec)
			 ?: switch_off(call, model, &draft)
			 ?: model_take_over(call, model, draft.exec);

	if (r == CUDA_SUCCESS)
		adopt(call, model, &draft);
	draft_fini(call, &draft);
	return r;
}

/* The backend has updated the graph, which goes by the names it had. */
static void follow(struct call *call, struct graph_model *model, CUgraph other)
{
	struct draft draft = {0};
	CUresult r =
	    model->anew ? update_anew(call, model, other) : draw(call, model, other, &draft);

	if (r != CUDA_SUCCESS)
		model->is_old = true;
	else if (!model->anew)
		adopt(call, model, &draft);
	draft_fini(call, &draft);
}

CUresult graph_model_update(
    struct call *call, CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo *info)
{
	struct worker *worker = call->worker;
	CUresult r = call->backend->cuGraphExecUpdate_v2(exec, graph, info);

	if (!models_any(worker))
		return r;
	pthread_mutex_lock(&worker->graph_lock);
	struct graph_model *model = *model_find(worker, exec);
	if (model && r == CUDA_SUCCESS) {
		follow(call, model, graph);
	} else if (model && r == CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE &&
		   update_anew(call, model, graph) == CUDA_SUCCESS) {
		*info = (CUgraphExecUpdateResultInfo){.result = CU_GRAPH_EXEC_UPDATE_SUCCESS};
		r = CUDA_SUCCESS;
	}
	pthread_mutex_unlock(&worker->graph_lock);
	return r;
}
