/*
 * A list of models under the worker's graph lock, which is held over all of a change; a worker
 * without models sees that by one counter. A node's counterpart in a model is what the backend
 * finds in the clone, until one of the two is another node: then an entry says so.
 *
 * A graph made anew goes by its model's nodes and keeps the client's id. Launches of the old one
 * that are under way go on, as the backend has it; launches of the two in different streams are in
 * no order, which those of one graph would be.
 */
#include "worker/graph_model.h"

#include <stdlib.h>

#include "base/log.h"
#include "gen/worker_custom.h"
#include "worker/graph_copy.h"
#include "worker/graph_move.h"
#include "worker/graph_swap.h"
#include "worker/segment.h"
#include "worker/worker.h"

#define NODES_MOST (1u << 20) /* of a graph that is looked through */

struct entry {
	struct entry *next;
	CUgraphNode node; /* the client's */
	CUgraphNode own;  /* the model's */
	bool unknown;	  /* to the executable graph, under either handle */
	bool disabled;	  /* of the nodes that the backend can switch off */
	CUgraph off;	  /* what a copy with the client's part was that is switched off: own is an
			     empty node meanwhile */
};

struct graph_model {
	struct graph_model *next;
	CUgraphExec exec;
	CUgraph graph;
	unsigned long long flags;
	bool anew;   /* exec was made of graph */
	bool is_old; /* exec was updated since: graph is something else */
	struct entry *entries;
};

/* --- the list; with the lock held --- */

static struct graph_model **find(struct worker *worker, CUgraphExec exec)
{
	struct graph_model **at = &worker->graph_models;

	while (*at && (*at)->exec != exec)
		at = &(*at)->next;
	return at;
}

static struct entry *find_entry(const struct graph_model *model, CUgraphNode node)
{
	struct entry *entry = model->entries;

	while (entry && entry->node != node)
		entry = entry->next;
	return entry;
}

static CUgraphNode counterpart(struct call *call, const struct graph_model *model, CUgraphNode node)
{
	const struct entry *entry = find_entry(model, node);
	CUgraphNode own = NULL;

	if (entry)
		return entry->own;
	return call->backend->cuGraphNodeFindInClone(&own, node, model->graph) == CUDA_SUCCESS
		   ? own
		   : NULL;
}

/* NULL: out of memory, or the model has no such node. */
static struct entry *make_entry(struct call *call, struct graph_model *model, CUgraphNode node)
{
	struct entry *entry = find_entry(model, node);
	CUgraphNode own = entry ? entry->own : counterpart(call, model, node);

	if (entry || !own)
		return entry;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	*entry = (struct entry){.next = model->entries, .node = node, .own = own};
	model->entries = entry;
	return entry;
}

/* What exec calls the node; NULL: nothing. */
static CUgraphNode target(struct call *call, const struct graph_model *model, CUgraphNode node)
{
	const struct entry *entry = model ? find_entry(model, node) : NULL;

	if (!model || (!model->anew && (!entry || !entry->unknown)))
		return node;
	return entry && entry->unknown ? NULL : counterpart(call, model, node);
}

static bool has_models(struct worker *worker)
{
	/* Relaxed: who changes a graph knows of its making by the program's own order. */
	return atomic_load_explicit(&worker->n_graph_models, memory_order_relaxed);
}

static void end(struct worker *worker, struct graph_model **at)
{
	struct graph_model *model = *at;
	struct entry *entry;

	*at = model->next;
	while ((entry = model->entries)) {
		model->entries = entry->next;
		if (entry->off)
			worker->backend->cuGraphDestroy(entry->off);
		free(entry);
	}
	worker->backend->cuGraphDestroy(model->graph);
	free(model);
	atomic_fetch_sub_explicit(&worker->n_graph_models, 1, memory_order_relaxed);
}

void graph_model_forget(struct call *call, CUgraphExec exec)
{
	struct worker *worker = call->worker;

	if (!has_models(worker))
		return;
	pthread_mutex_lock(&worker->graph_lock);
	struct graph_model **at = find(worker, exec);
	if (*at)
		end(worker, at);
	pthread_mutex_unlock(&worker->graph_lock);
}

void graph_models_free(struct worker *worker)
{
	while (worker->graph_models)
		end(worker, &worker->graph_models);
}

/* An update leaves the nodes' handles as they are. */
void graph_model_update(struct call *call, CUgraphExec exec)
{
	struct worker *worker = call->worker;

	if (!has_models(worker))
		return;
	pthread_mutex_lock(&worker->graph_lock);
	struct graph_model *model = *find(worker, exec);
	if (model)
		model->is_old = true;
	pthread_mutex_unlock(&worker->graph_lock);
}

void graph_models_rename(struct call *call, CUgraphNode present, CUgraphNode other)
{
	struct worker *worker = call->worker;

	if (!has_models(worker))
		return;
	pthread_mutex_lock(&worker->graph_lock);
	for (struct graph_model *model = worker->graph_models; model; model = model->next) {
		struct entry *entry = make_entry(call, model, present);
		if (!entry)
			continue;
		entry->node = other;
		entry->unknown |= !model->anew;
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
	const struct backend *backend = call->backend;
	bool wants = false;
	size_t n = 0;

	if (backend->cuGraphGetNodes(graph, NULL, &n) != CUDA_SUCCESS || !n || n > NODES_MOST)
		return false;
	CUgraphNode *nodes = calloc(n, sizeof(*nodes));
	if (!nodes || backend->cuGraphGetNodes(graph, nodes, &n) != CUDA_SUCCESS)
		n = 0;
	for (size_t i = 0; i < n && !wants; i++)
		wants = is_changeable(call, nodes[i]);
	free(nodes);
	return wants;
}

void graph_model_note(struct call *call, CUgraphExec exec, CUgraph graph, unsigned long long flags)
{
	struct worker *worker = call->worker;
	CUgraph clone;

	if (!wants_model(call, graph) || call->backend->cuGraphClone(&clone, graph) != CUDA_SUCCESS)
		return;
	struct graph_model *model = malloc(sizeof(*model));
	if (!model) {
		call->backend->cuGraphDestroy(clone);
		return;
	}
	*model = (struct graph_model){.exec = exec, .graph = clone, .flags = flags};
	pthread_mutex_lock(&worker->graph_lock);
	model->next = worker->graph_models;
	worker->graph_models = model;
	atomic_fetch_add_explicit(&worker->n_graph_models, 1, memory_order_relaxed);
	pthread_mutex_unlock(&worker->graph_lock);
}

/* --- making anew; with the lock held --- */

static CUresult switch_off(struct call *call, const struct graph_model *model, CUgraphExec exec)
{
	CUresult r = CUDA_SUCCESS;

	for (const struct entry *entry = model->entries; entry && r == CUDA_SUCCESS;
	    entry = entry->next)
		if (entry->disabled)
			r = call->backend->cuGraphNodeSetEnabled(exec, entry->own, 0);
	return r;
}

static CUresult make_anew(struct call *call, struct graph_model *model)
{
	const struct backend *backend = call->backend;
	struct handles *handles = call->worker->handles;
	uint64_t id = handles_id_of(handles, HANDLE_GRAPHEXEC, (uint64_t)model->exec);
	CUgraphExec exec;
	CUresult r = backend->cuGraphInstantiateWithFlags(&exec, model->graph,
	    model->flags & ~(unsigned long long)CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD);

	if (r != CUDA_SUCCESS)
		return r;
	r = switch_off(call, model, exec);
	if (r == CUDA_SUCCESS &&
	    handles_replace(handles, HANDLE_GRAPHEXEC, id, (uint64_t)exec) != 0)
		r = CUDA_ERROR_OUT_OF_MEMORY;
	if (r != CUDA_SUCCESS) {
		backend->cuGraphExecDestroy(exec);
		return r;
	}
	backend->cuGraphExecDestroy(model->exec);
	graph_move_anew(call->worker, model->exec, exec);
	model->exec = exec;
	model->anew = true;
	for (struct entry *entry = model->entries; entry; entry = entry->next)
		entry->unknown = false;
	return CUDA_SUCCESS;
}

/* The model gets another node in the entry's place, and is what the graph is made of. */
static CUresult exchange(
    struct call *call, struct graph_model *model, struct entry *entry, const CUgraphNodeParams *p)
{
	CUgraphNode node;
	CUresult r = graph_swap(call, model->graph, entry->own, p, &node);

	if (r != CUDA_SUCCESS)
		return r;
	r = call->backend->cuGraphDestroyNode(entry->own);
	entry->own = node;
	return r ?: make_anew(call, model);
}

/* --- changes --- */

/* A child graph is the one thing that cannot be set in a graph. */
static CUresult follow(struct call *call, struct graph_model *model, CUgraphNode node,
    CUgraphNode own, graph_setter *setter, const void *what)
{
	if (setter)
		return setter(call, NULL, own, what);
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = {.graph = (CUgraph)what}};
	struct entry *entry = make_entry(call, model, node);
	CUgraphNode other;
	CUresult r =
	    entry ? graph_swap(call, model->graph, own, &p, &other) : CUDA_ERROR_OUT_OF_MEMORY;

	if (r != CUDA_SUCCESS)
		return r;
	entry->own = other;
	entry->unknown |= model->anew;
	return call->backend->cuGraphDestroyNode(own);
}

static CUresult set_in_exec(
    struct call *call, CUgraphExec exec, CUgraphNode node, graph_setter *setter, const void *what)
{
	return setter
		   ? setter(call, exec, node, what)
		   : call->backend->cuGraphExecChildGraphNodeSetParams(exec, node, (CUgraph)what);
}

static CUresult set_with_model(struct call *call, struct graph_model *model, CUgraphNode node,
    graph_setter *setter, const void *what)
{
	CUgraphNode known = target(call, model, node);
	CUgraphNode own = model->is_old ? NULL : counterpart(call, model, node);
	CUresult r = known ? set_in_exec(call, model->exec, known, setter, what)
		     : own ? CUDA_SUCCESS
			   : CUDA_ERROR_INVALID_VALUE;

	if (r == CUDA_SUCCESS && own)
		r = follow(call, model, node, own, setter, what);
	return r == CUDA_SUCCESS && !known ? make_anew(call, model) : r;
}

CUresult graph_model_set(
    struct call *call, CUgraphExec exec, CUgraphNode node, graph_setter *setter, const void *what)
{
	struct worker *worker = call->worker;

	if (likely(!has_models(worker)))
		return set_in_exec(call, exec, node, setter, what);
	pthread_mutex_lock(&worker->graph_lock);
	struct graph_model *model = *find(worker, exec);
	CUresult r = model ? set_with_model(call, model, node, setter, what)
			   : set_in_exec(call, exec, node, setter, what);
	pthread_mutex_unlock(&worker->graph_lock);
	return r;
}

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
	CUgraphNode known = target(call, model, node);
	CUgraphNode own = model && !model->is_old ? counterpart(call, model, node) : NULL;
	CUgraph child;

	if (!known && !own)
		return graph_copy_refuse(call, change->staged, CUDA_ERROR_INVALID_VALUE);
	CUresult r = graph_copy_make(call, copy, change->staged, &child);
	if (r != CUDA_SUCCESS)
		return r;
	if (known)
		r = call->backend->cuGraphExecChildGraphNodeSetParams(exec, known, child);
	if (r == CUDA_SUCCESS && own)
		r = graph_copy_follow(call, own, child, copy, change->staged);
	if (r == CUDA_SUCCESS && !known)
		r = make_anew(call, model);
	call->backend->cuGraphDestroy(child);
	return r;
}

/* A copy becomes one with the client's part, or the backend's alone again. */
static CUresult change_kind(
    struct call *call, struct graph_model *model, CUgraphNode node, const struct change *change)
{
	CUgraphNodeParams child = {.type = CU_GRAPH_NODE_TYPE_GRAPH};
	struct entry *entry = make_entry(call, model, node);

	if (!entry)
		return graph_copy_refuse(call, change->staged, CUDA_ERROR_INVALID_VALUE);
	if (!change->staged->number)
		return exchange(call, model, entry, change->p);
	CUresult r = graph_copy_make(call, &change->p->memcpy, change->staged, &child.graph.graph);
	if (r != CUDA_SUCCESS)
		return r;
	if (entry->disabled) { /* remains so, as its kind is */
		entry->off = child.graph.graph;
		entry->disabled = false;
		child.type = CU_GRAPH_NODE_TYPE_EMPTY;
		return exchange(call, model, entry, &child);
	}
	r = exchange(call, model, entry, &child);
	call->backend->cuGraphDestroy(child.graph.graph);
	return r;
}

/* One that is switched off, and remains so. */
static CUresult change_off(
    struct call *call, struct graph_model *model, struct entry *entry, const struct change *change)
{
	CUgraph former = entry->off;
	CUresult r;

	if (change->staged->number) {
		r = graph_copy_make(call, &change->p->memcpy, change->staged, &entry->off);
	} else {
		entry->off = NULL;
		entry->disabled = true;
		r = exchange(call, model, entry, change->p);
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
	struct entry *entry = model ? find_entry(model, a->node) : NULL;
	CUgraphNode own = model ? counterpart(call, model, a->node) : NULL;
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
	CUresult r = model ? set_with_model(call, model, a->node, set_plain, &change->p->memcpy)
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

	if (likely(!has_models(worker)))
		return set_copy(call, NULL, a, &change);
	pthread_mutex_lock(&worker->graph_lock);
	CUresult r = set_copy(call, *find(worker, a->exec), a, &change);
	pthread_mutex_unlock(&worker->graph_lock);
	return r;
}

/* --- switching --- */

static CUresult turn_off(struct call *call, struct graph_model *model, struct entry *entry)
{
	const CUgraphNodeParams empty = {.type = CU_GRAPH_NODE_TYPE_EMPTY};
	CUgraph content, off;
	CUresult r = call->backend->cuGraphChildGraphNodeGetGraph(entry->own, &content)
			 ?: call->backend->cuGraphClone(&off, content);

	if (r != CUDA_SUCCESS)
		return r;
	r = exchange(call, model, entry, &empty);
	if (r == CUDA_SUCCESS)
		entry->off = off;
	else
		call->backend->cuGraphDestroy(off);
	return r;
}

static CUresult turn_on(struct call *call, struct graph_model *model, struct entry *entry)
{
	const CUgraphNodeParams p = {
	    .type = CU_GRAPH_NODE_TYPE_GRAPH, .graph = {.graph = entry->off}};
	CUresult r = exchange(call, model, entry, &p);

	if (r == CUDA_SUCCESS) {
		call->backend->cuGraphDestroy(entry->off);
		entry->off = NULL;
	}
	return r;
}

static bool is_with_client(struct call *call, const struct graph_model *model, CUgraphNode node)
{
	const struct entry *entry = model ? find_entry(model, node) : NULL;
	struct graph_copy copy;

	return (entry && entry->off) || graph_copy_find(call, entry ? entry->own : node, &copy);
}

static CUresult enable(
    struct call *call, struct graph_model *model, const struct args_cuGraphNodeSetEnabled *a)
{
	bool with_client = is_with_client(call, model, a->node);
	CUgraphNode known = target(call, model, a->node);
	struct entry *entry = model && !model->is_old ? make_entry(call, model, a->node) : NULL;

	if (with_client) {
		if (!entry) {
			log_warn_once("a copy of ordinary memory cannot be switched off in a graph "
				      "that cannot be cloned");
			return CUDA_ERROR_NOT_SUPPORTED;
		}
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
	return r == CUDA_SUCCESS && !known ? make_anew(call, model) : r;
}

CUresult worker_cuGraphNodeSetEnabled(struct call *call, struct args_cuGraphNodeSetEnabled *a)
{
	struct worker *worker = call->worker;

	pthread_mutex_lock(&worker->graph_lock);
	CUresult r = enable(call, *find(worker, a->exec), a);
	pthread_mutex_unlock(&worker->graph_lock);
	return r;
}

CUresult worker_cuGraphNodeGetEnabled(struct call *call, struct args_cuGraphNodeGetEnabled *a)
{
	struct worker *worker = call->worker;
	CUresult r = CUDA_SUCCESS;

	pthread_mutex_lock(&worker->graph_lock);
	const struct graph_model *model = *find(worker, a->exec);
	const struct entry *entry = model ? find_entry(model, a->node) : NULL;
	CUgraphNode known = target(call, model, a->node);
	if (is_with_client(call, model, a->node))
		*a->enabled = !(entry && entry->off);
	else if (known)
		r = call->backend->cuGraphNodeGetEnabled(a->exec, known, a->enabled);
	else
		*a->enabled = !entry->disabled; /* what is unknown has an entry */
	pthread_mutex_unlock(&worker->graph_lock);
	return r;
}

/* --- what the backend takes of single types --- */

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
