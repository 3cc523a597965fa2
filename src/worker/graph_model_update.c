/*
 * cuGraphExecUpdate(): an executable graph takes over the parameters of another graph. The backend
 * compares the two. To it they differ where one copies memory that it can reach and the other
 * copies ordinary memory. Then this file compares them, node by node (graph_order.h), and makes the
 * executable graph again of the other graph.
 *
 * In any case the model becomes a clone of the other graph. The first model is kept, since the
 * client goes on naming the nodes of the graph that was cloned first. What is switched off remains
 * off, with the other graph's parameters.
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

/* What the model is to become. */
struct draft {
	CUgraph graph;	       /* a clone of the other graph */
	CUgraphNode *other;    /* the other graph's nodes, in order (graph_order.h) */
	CUgraphNode *order;    /* their counterparts in the clone */
	CUgraph *switched_off; /* for each of them: as in struct model_node */
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
	if (r == CUDA_SUCCESS &&
	    (!(draft->order = calloc(draft->n + 1, sizeof(*draft->order))) ||
		!(draft->switched_off = calloc(draft->n + 1, sizeof(*draft->switched_off)))))
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
	for (size_t i = 0; draft->switched_off && i < draft->n; i++)
		if (draft->switched_off[i])
			call->backend->cuGraphDestroy(draft->switched_off[i]);
	free(draft->switched_off);
	free(draft->order);
	free(draft->other);
}

/* The index in the draft of a node that is off; draft->n: it is not there, or it is on. */
static size_t place_off(
    const struct graph_model *model, const struct draft *draft, const struct model_node *entry)
{
	return entry->switched_off || entry->disabled
		   ? model_place(model->order, model->n, entry->in_model)
		   : draft->n;
}

/* Before the executable graph is made: copies of ordinary memory that are off become empty
 * nodes. */
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
			?: call->backend->cuGraphClone(&draft->switched_off[i], content)
			?: graph_swap(call, draft->graph, draft->order[i], &empty, &node)
			?: call->backend->cuGraphDestroyNode(draft->order[i]);
		if (r == CUDA_SUCCESS)
			draft->order[i] = node;
	}
	return r;
}

/* After it was made: all other nodes that are off can be switched off in the backend. */
static CUresult switch_off(
    struct call *call, const struct graph_model *model, const struct draft *draft)
{
	CUresult r = CUDA_SUCCESS;

	for (const struct model_node *entry = model->entries; entry && r == CUDA_SUCCESS;
	    entry = entry->next) {
		size_t i = place_off(model, draft, entry);
		if (i < draft->n && !draft->switched_off[i])
			r = call->backend->cuGraphNodeSetEnabled(draft->exec, draft->order[i], 0);
	}
	return r;
}

/* The draft becomes the model; what the model no longer needs goes into the draft, to be freed with
 * it. */
static void adopt(struct call *call, struct graph_model *model, struct draft *draft)
{
	CUgraph former = model->graph;
	CUgraphNode *order = model->order;

	for (struct model_node *entry = model->entries; entry; entry = entry->next) {
		size_t i = model_place(order, model->n, entry->in_model);
		bool off = entry->switched_off || entry->disabled;
		entry->in_model = i < model->n ? draft->order[i] : NULL;
		if (entry->switched_off)
			call->backend->cuGraphDestroy(entry->switched_off);
		entry->switched_off = i < model->n ? draft->switched_off[i] : NULL;
		entry->disabled = off && !entry->switched_off;
		if (i < model->n)
			draft->switched_off[i] = NULL;
	}
	model->graph = draft->graph;
	model->order = draft->order;
	model->is_stale = false;
	draft->exec = NULL;
	draft->graph = model->first_clone ? former : NULL;
	draft->order = model->first_clone ? order : NULL;
	if (!model->first_clone) {
		model->first_clone = former;
		model->first_order = order;
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

/* The backend has updated the executable graph; the model follows. */
static void follow(struct call *call, struct graph_model *model, CUgraph other)
{
	struct draft draft = {0};
	CUresult r =
	    model->is_remade ? update_anew(call, model, other) : draw(call, model, other, &draft);

	if (r != CUDA_SUCCESS)
		model->is_stale = true;
	else if (!model->is_remade)
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
