/*
 * What the backend does not tell of an executable graph is noted when it is made and with every
 * change: the callback of each copy. An update brings the callbacks of another graph's copies,
 * which are matched by their places (graph_order.h); those of copies that are off have to be other
 * functions ahead of it, since the nodes that they come to may be gone with their graph.
 */
#include "worker/graph_switch.h"

#include <stdlib.h>

#include "base/log.h"
#include "worker/callback.h"
#include "worker/graph_copy.h"
#include "worker/graph_order.h"
#include "worker/worker.h"

struct graph_switch {
	struct graph_switch *next;
	CUgraphExec exec;
	CUgraphNode node;
	size_t place;			/* of it, among its graph's nodes */
	struct graph_copy_parts parts;	/* as the graph has them; callback: as exec has it */
	struct graph_copy_parts coming; /* during an update; host NULL: none */
	bool off;
};

static struct graph_switch *next_of(struct graph_switch *at, CUgraphExec exec)
{
	while (at && at->exec != exec)
		at = at->next;
	return at;
}

static struct graph_switch *find(struct worker *worker, CUgraphExec exec, CUgraphNode node)
{
	struct graph_switch *at = next_of(worker->graph_switches, exec);

	while (at && at->node != node)
		at = next_of(at->next, exec);
	return at;
}

/* --- which --- */

static void note(struct call *call, const struct graph_switch *one)
{
	struct graph_switch *copy = malloc(sizeof(*copy));

	if (!copy)
		return;
	*copy = *one;
	copy->next = call->worker->graph_switches;
	call->worker->graph_switches = copy;
	atomic_fetch_add_explicit(&call->worker->n_graph_models, 1, memory_order_relaxed);
}

void graph_switch_note(struct call *call, CUgraphExec exec, CUgraph graph)
{
	struct graph_switch one = {.exec = exec};
	CUgraphNode *nodes;
	size_t n;

	if (graph_nodes_in_order(call, graph, &nodes, &n) == CUDA_SUCCESS)
		for (one.place = 0; one.place < n; one.place++) {
			one.node = nodes[one.place];
			if (graph_copy_parts(call, one.node, &one.parts))
				note(call, &one);
		}
	free(nodes);
}

void graph_switch_forget(struct worker *worker, CUgraphExec exec)
{
	struct graph_switch **at = &worker->graph_switches;

	while (*at) {
		struct graph_switch *gone = *at;
		if (gone->exec != exec) {
			at = &gone->next;
			continue;
		}
		*at = gone->next;
		free(gone);
		atomic_fetch_sub_explicit(&worker->n_graph_models, 1, memory_order_relaxed);
	}
}

void graph_switches_free(struct worker *worker)
{
	while (worker->graph_switches)
		graph_switch_forget(worker, worker->graph_switches->exec);
}

/* --- switching --- */

static CUresult set_function(struct call *call, const struct graph_switch *one)
{
	const CUDA_HOST_NODE_PARAMS host = {
	    one->off ? graph_copy_skip : callback_run, one->parts.callback};

	return call->backend->cuGraphExecHostNodeSetParams(one->exec, one->parts.host, &host);
}

/* The program may have given the graph's own node another copy, of other parts, since. */
static bool has_its_parts(struct call *call, const struct graph_switch *one)
{
	struct graph_copy_parts now;

	return graph_copy_parts(call, one->node, &now) && now.host == one->parts.host &&
	       now.copy == one->parts.copy;
}

CUresult graph_switch_set(struct call *call, CUgraphExec exec, CUgraphNode node, bool on)
{
	struct graph_switch *one = find(call->worker, exec, node);
	CUresult r = CUDA_SUCCESS;

	if (!one || !has_its_parts(call, one)) {
		log_warn_once("a copy of ordinary memory cannot be switched off in a graph that "
			      "has changed and cannot be cloned");
		return CUDA_ERROR_NOT_SUPPORTED;
	}
	if (one->off == !on)
		return CUDA_SUCCESS;
	one->off = !on;
	if (one->parts.copy)
		r = call->backend->cuGraphNodeSetEnabled(exec, one->parts.copy, on);
	r = r ?: set_function(call, one);
	if (r != CUDA_SUCCESS)
		one->off = on;
	return r;
}

bool graph_switch_is_on(struct worker *worker, CUgraphExec exec, CUgraphNode node)
{
	const struct graph_switch *one = find(worker, exec, node);

	return !one || !one->off;
}

/* --- changes --- */

CUresult graph_switch_follow(struct call *call, CUgraphExec exec, CUgraphNode node, CUgraph other)
{
	struct graph_switch *one = find(call->worker, exec, node);
	struct graph_copy_parts parts;

	if (!one || !graph_copy_parts_of(call, other, &parts))
		return CUDA_SUCCESS;
	one->parts.callback = parts.callback;
	return one->off ? set_function(call, one) : CUDA_SUCCESS;
}

/* What a copy that is off would run after an update with the graph that coming is of. */
static CUresult set_coming(struct call *call, const struct graph_switch *one, CUhostFn function)
{
	const CUDA_HOST_NODE_PARAMS host = {function, one->coming.callback};

	return one->off && one->coming.host
		   ? call->backend->cuGraphHostNodeSetParams(one->coming.host, &host)
		   : CUDA_SUCCESS;
}

CUresult graph_switch_update(struct call *call, CUgraphExec exec, CUgraph graph,
    graph_updater *updater, CUgraphExecUpdateResultInfo *info)
{
	struct graph_switch *first = next_of(call->worker->graph_switches, exec);
	CUgraphNode *nodes = NULL;
	size_t n;
	CUresult r = first ? graph_nodes_in_order(call, graph, &nodes, &n) : CUDA_SUCCESS;

	for (struct graph_switch *one = first; one && r == CUDA_SUCCESS;
	    one = next_of(one->next, exec)) {
		if (one->place >= n || !graph_copy_parts(call, nodes[one->place], &one->coming))
			one->coming = (struct graph_copy_parts){0};
		r = set_coming(call, one, graph_copy_skip);
	}
	free(nodes);
	r = r ?: updater(call, exec, graph, info);
	for (struct graph_switch *one = first; one; one = next_of(one->next, exec)) {
		set_coming(call, one, callback_run);
		if (r == CUDA_SUCCESS && one->coming.host)
			one->parts.callback = one->coming.callback;
		one->coming = (struct graph_copy_parts){0};
	}
	return r;
}
