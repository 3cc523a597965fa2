/*
 * Updating an executable graph with another one. The backend compares the two; where one has a copy
 * of memory that it reaches and the other one of ordinary memory, they look different to it. Then
 * this file compares them, node by node (graph_order.h), and makes the graph anew of the other one.
 * Its model is a clone of that in any case, and what it was at first is kept for the sake of the
 * nodes' names. What is switched off remains so, with the other one's parameters.
 */
#include <stdlib.h>
#include <string.h>

#include "gen/worker_custom.h"
#include "worker/graph_copy.h"
#include "worker/graph_model.h"
#include "worker/graph_model_parts.h"
#include "worker/graph_order.h"
#include "worker/graph_swap.h"
#include "worker/graph_switch.h"
#include "worker/worker.h"

/* What the graph is to become. */
struct draft {
	CUgraph graph;	    /* a clone of the other one */
	CUgraphNode *other; /* the other's nodes */
	CUgraphNode *order; /* the same in the clone */
	CUgraph *off;	    /* of the same: as in struct model_node */
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
	if (r == CUDA_SUCCESS && (!(draft->order = calloc(draft->n + 1, sizeof(*draft->order))) ||
				     !(draft->off = calloc(draft->n + 1, sizeof(*draft->off)))))
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
	for (size_t i = 0; draft->off && i < draft->n; i++)
		if (draft->off[i])
			call->backend->cuGraphDestroy(draft->off[i]);
	free(draft->off);
	free(draft->order);
	free(draft->other);
}

/* Where in the draft a node is that is off; draft->n: nowhere, or it is on. */
static size_t place_off(
    const struct graph_model *model, const struct draft *draft, const struct model_node *entry)
{
	return entry->off || entry->disabled ? model_place(model->order, model->n, entry->own)
					     : draft->n;
}

/* Ahead of making it: what is off and a copy of ordinary memory is an empty node. */
static CUresult empty_out(struct call *call, const struct graph_model *model, struct draft *draft)
{
	const CUgraphNodeParams empty = {.type = CU_GRAPH_NODE_TYPE_EMPTY};
	CUresult r = CUDA_SUCCESS;

	for (const struct model_node *entry = model->entries; entry && r == CUDA_SUCCESS;
	    entry = entry->next) {
		size_t i = place_off(model, draft, entry);
		CUgraph content;
		CUgraphNode node;
		if (i == draft->n || type_of(call, draft->order[i]) != CU_GRAPH_NODE_TYPE_GRAPH)
			continue;
		r = call->backend->cuGraphChildGraphNodeGetGraph(draft->order[i], &content)
			?: call->backend->cuGraphClone(&draft->off[i], content)
			?: graph_swap(call, draft->graph, draft->order[i], &empty, &node)
			?: call->backend->cuGraphDestroyNode(draft->order[i]);
		if (r == CUDA_SUCCESS)
			draft->order[i] = node;
	}
	return r;
}

/* Behind: the backend switches all others. */
static CUresult switch_off(
    struct call *call, const struct graph_model *model, const struct draft *draft)
{
	CUresult r = CUDA_SUCCESS;

	for (const struct model_node *entry = model->entries; entry && r == CUDA_SUCCESS;
	    entry = entry->next) {
		size_t i = place_off(model, draft, entry);
		if (i < draft->n && !draft->off[i])
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
		bool off = entry->off || entry->disabled;
		entry->own = i < model->n ? draft->order[i] : NULL;
		if (entry->off)
			call->backend->cuGraphDestroy(entry->off);
		entry->off = i < model->n ? draft->off[i] : NULL;
		entry->disabled = off && !entry->off;
		if (i < model->n)
			draft->off[i] = NULL;
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
			 ?: empty_out(call, model, &draft)
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

CUresult graph_model_update(struct call *call, CUgraphExec exec, CUgraph graph,
    graph_updater *updater, CUgraphExecUpdateResultInfo *info)
{
	struct worker *worker = call->worker;

	if (!models_any(worker))
		return updater(call, exec, graph, info);
	pthread_mutex_lock(&worker->graph_lock);
	CUresult r = graph_switch_update(call, exec, graph, updater, info);
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
