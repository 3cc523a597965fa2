/*
 * A list of the executable graphs that were given callbacks, by the client's id, since the
 * backend's graph may be made anew (graph_model.h).
 *
 * What a callback has to outlive are the launches made while it was the node's. CUDA runs launches
 * of one executable graph one after the other, so an event behind the last one tells of all. It is
 * recorded anew behind each launch, and one that a program keeps launching is never seen done. So
 * there are two: while what was replaced waits for the one, launches record the other, and then
 * these change places.
 */
#include "worker/graph_host.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "worker/callback.h"
#include "worker/graph_swap.h"
#include "worker/graph_turn.h"
#include "worker/worker.h"

struct given {
	struct given *next;
	CUgraphNode node;
	struct callback *callback;
};

struct graph_hosts {
	struct graph_hosts *next;
	uint64_t exec; /* its id; 0: it has ended */
	bool unknown;  /* it was launched, and no event says when that is done */
	struct given *present;
	struct given *replaced; /* launches up to now may call them */
	struct given *leaving;	/* launches up to that of `left` may */
	struct graph_turn last, left;
};

/* --- the list; with the lock held --- */

static uint64_t id_of(struct worker *worker, CUgraphExec exec)
{
	return handles_id_of(worker->handles, HANDLE_GRAPHEXEC, (uint64_t)exec);
}

/* NULL: it was given none. */
static struct graph_hosts *find(struct worker *worker, CUgraphExec exec)
{
	uint64_t id = id_of(worker, exec);
	struct graph_hosts *hosts = worker->graph_hosts;

	while (hosts && (!id || hosts->exec != id))
		hosts = hosts->next;
	return hosts;
}

static struct graph_hosts *find_or_add(struct worker *worker, CUgraphExec exec)
{
	struct graph_hosts *hosts = find(worker, exec);

	if (hosts)
		return hosts;
	hosts = calloc(1, sizeof(*hosts));
	if (!hosts)
		return NULL;
	hosts->exec = id_of(worker, exec);
	hosts->next = worker->graph_hosts;
	worker->graph_hosts = hosts;
	/* Relaxed: who launches the graph comes after who changed it by the program's own order. */
	atomic_fetch_add_explicit(&worker->n_graph_hosts, 1, memory_order_relaxed);
	return hosts;
}

static void end_all(struct given **list)
{
	struct given *given;

	while ((given = *list)) {
		*list = given->next;
		callback_end(given->callback);
		free(given);
	}
}

static void end(struct worker *worker, struct graph_hosts **at)
{
	struct graph_hosts *hosts = *at;

	graph_turn_fini(worker, &hosts->last);
	graph_turn_fini(worker, &hosts->left);
	*at = hosts->next;
	free(hosts);
	atomic_fetch_sub_explicit(&worker->n_graph_hosts, 1, memory_order_relaxed);
}

/* Of the node, 0: of all. */
static void replace(struct graph_hosts *hosts, CUgraphNode node)
{
	struct given **at = &hosts->present, *given;

	while ((given = *at)) {
		if (node && given->node != node) {
			at = &given->next;
			continue;
		}
		*at = given->next;
		given->next = hosts->replaced;
		hosts->replaced = given;
	}
}

/* --- what can go; with the lock held --- */

static bool is_done(struct worker *worker, const struct graph_turn *turn)
{
	return !turn->done || worker->backend->cuEventQuery(turn->done) == CUDA_SUCCESS;
}

static void tidy(struct worker *worker, struct graph_hosts *hosts)
{
	struct graph_turn free_turn;

	if (hosts->unknown || !is_done(worker, &hosts->left))
		return;
	end_all(&hosts->leaving);
	hosts->leaving = hosts->replaced;
	hosts->replaced = NULL;
	free_turn = hosts->left;
	hosts->left = hosts->last;
	hosts->last = free_turn;
	if (is_done(worker, &hosts->left))
		end_all(&hosts->leaving);
}

/* A question about an event would end a capture that forbids what is not safe to capture. */
static void tidy_all(struct call *call)
{
	CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
	struct graph_hosts **at = &call->worker->graph_hosts, *hosts;

	call->backend->cuThreadExchangeStreamCaptureMode(&mode);
	while ((hosts = *at)) {
		tidy(call->worker, hosts);
		if (!hosts->exec && !hosts->replaced && !hosts->leaving)
			end(call->worker, at);
		else
			at = &hosts->next;
	}
	call->backend->cuThreadExchangeStreamCaptureMode(&mode);
}

/* --- what happens to graphs --- */

static bool note(struct worker *worker, CUgraphExec exec, CUgraphNode node,
    struct callback *callback, bool in_place)
{
	struct given *given = malloc(sizeof(*given));
	struct graph_hosts *hosts = given ? find_or_add(worker, exec) : NULL;

	if (!hosts) {
		free(given);
		return false;
	}
	if (in_place)
		replace(hosts, node);
	*given = (struct given){hosts->present, node, callback};
	hosts->present = given;
	return true;
}

CUresult graph_host_given(
    struct call *call, CUgraphExec exec, CUgraphNode node, struct callback *callback, CUresult r)
{
	struct worker *worker = call->worker;

	pthread_mutex_lock(&worker->memory_lock);
	if (note(worker, exec, node, callback, r == CUDA_SUCCESS))
		tidy_all(call);
	else
		log_warn("no memory: a callback stays until its session ends");
	pthread_mutex_unlock(&worker->memory_lock);
	return r;
}

CUresult graph_host_given_in_graph(struct call *call, CUgraphNode node,
    const CUDA_HOST_NODE_PARAMS *former, struct callback *callback, CUresult r)
{
	CUgraph graph = r == CUDA_SUCCESS ? graph_of_node(call, node) : NULL;

	if (graph)
		callback_leave_graph(call, former->fn, former->userData, graph);
	return callback_give_graph(call, callback, graph, r);
}

void graph_host_launched(struct call *call, CUgraphExec exec, CUstream stream)
{
	struct worker *worker = call->worker;

	/* Relaxed: see find_or_add(). */
	if (likely(!atomic_load_explicit(&worker->n_graph_hosts, memory_order_relaxed)))
		return;
	pthread_mutex_lock(&worker->memory_lock);
	struct graph_hosts *hosts = find(worker, exec);
	if (hosts && graph_turn_note(call, &hosts->last, stream) != CUDA_SUCCESS)
		hosts->unknown = true;
	pthread_mutex_unlock(&worker->memory_lock);
}

void graph_host_forget(struct call *call, CUgraphExec exec)
{
	struct worker *worker = call->worker;

	if (!atomic_load_explicit(&worker->n_graph_hosts, memory_order_relaxed))
		return;
	pthread_mutex_lock(&worker->memory_lock);
	struct graph_hosts *hosts = find(worker, exec);
	if (hosts) {
		replace(hosts, NULL);
		hosts->exec = 0;
	}
	tidy_all(call);
	pthread_mutex_unlock(&worker->memory_lock);
}

void graph_hosts_forget_context(struct worker *worker, CUcontext context)
{
	pthread_mutex_lock(&worker->memory_lock);
	for (struct graph_hosts *hosts = worker->graph_hosts; hosts; hosts = hosts->next) {
		graph_turn_forget(&hosts->last, context);
		graph_turn_forget(&hosts->left, context);
	}
	pthread_mutex_unlock(&worker->memory_lock);
}

void graph_hosts_free(struct worker *worker)
{
	while (worker->graph_hosts) {
		replace(worker->graph_hosts, NULL);
		end_all(&worker->graph_hosts->replaced);
		end_all(&worker->graph_hosts->leaving);
		end(worker, &worker->graph_hosts);
	}
}
