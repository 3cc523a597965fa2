/*
 * Called on the dispatcher ahead of the backend's own call. A graph whose nodes nobody has seen, as
 * most captured ones are, costs nothing: while no id of a node is alive it is not looked into.
 */
#include "worker/graph_end.h"

#include <stdlib.h>
#include <string.h>

#include "gen/worker_custom.h"
#include "worker/worker.h"

#define NODES_MOST (1u << 20) /* of one graph; beyond that ids stay until the session ends */

struct graph_bodies {
	struct graph_bodies *next;
	CUgraphNode node;
	size_t n;
	CUgraph graphs[];
};

static bool forget(struct call *call, enum handle_kind kind, uint64_t real, uint64_t *id)
{
	*id = handles_id_of(call->worker->handles, kind, real);
	if (*id)
		call_forget(call, kind, *id);
	return *id;
}

/* Forgets the ids of all that goes with a graph, not its own. ended may be NULL. */
static void end_all(struct call *call, CUgraph graph, struct ended_ids *ended);

/* A graph that is part of a node. */
static void end_part(struct call *call, CUgraph graph, struct ended_ids *ended)
{
	uint64_t id;

	end_all(call, graph, ended);
	forget(call, HANDLE_GRAPH, (uint64_t)graph, &id);
}

/* --- conditional nodes --- */

void graph_note_bodies(struct worker *worker, CUgraphNode node, const CUgraph *graphs, size_t n)
{
	struct graph_bodies *bodies = malloc(sizeof(*bodies) + n * sizeof(bodies->graphs[0]));

	if (!bodies)
		return;
	bodies->node = node;
	bodies->n = n;
	memcpy(bodies->graphs, graphs, n * sizeof(graphs[0]));
	pthread_mutex_lock(&worker->memory_lock);
	bodies->next = worker->graph_bodies;
	worker->graph_bodies = bodies;
	pthread_mutex_unlock(&worker->memory_lock);
}

static struct graph_bodies *take_bodies(struct worker *worker, CUgraphNode node)
{
	struct graph_bodies *found;

	pthread_mutex_lock(&worker->memory_lock);
	struct graph_bodies **at = &worker->graph_bodies;
	while (*at && (*at)->node != node)
		at = &(*at)->next;
	found = *at;
	if (found)
		*at = found->next;
	pthread_mutex_unlock(&worker->memory_lock);
	return found;
}

static void end_bodies(struct call *call, CUgraphNode node, struct ended_ids *ended)
{
	struct graph_bodies *bodies = take_bodies(call->worker, node);

	for (size_t i = 0; bodies && i < bodies->n; i++)
		end_part(call, bodies->graphs[i], ended);
	free(bodies);
}

void graph_bodies_free(struct worker *worker)
{
	struct graph_bodies *bodies;

	while ((bodies = worker->graph_bodies)) {
		worker->graph_bodies = bodies->next;
		free(bodies);
	}
}

/* --- nodes and graphs --- */

/* The same for one node. */
static void graph_end_node(struct call *call, CUgraphNode node, struct ended_ids *ended)
{
	const struct backend *backend = call->backend;
	CUgraphNodeType type;
	CUgraph part;

	if (backend->cuGraphNodeGetType(node, &type) != CUDA_SUCCESS)
		return;
	if (type == CU_GRAPH_NODE_TYPE_CONDITIONAL)
		end_bodies(call, node, ended);
	else if (type == CU_GRAPH_NODE_TYPE_GRAPH &&
		 backend->cuGraphChildGraphNodeGetGraph(node, &part) == CUDA_SUCCESS)
		end_part(call, part, ended);
}

static void end_id(struct call *call, CUgraphNode node, struct ended_ids *ended)
{
	uint64_t id;

	if (forget(call, HANDLE_GRAPHNODE, (uint64_t)node, &id) && !handle_by_worker(id) && ended &&
	    ended->n < ended->room)
		ended->ids[ended->n++] = id;
}

static void end_all(struct call *call, CUgraph graph, struct ended_ids *ended)
{
	const struct backend *backend = call->backend;
	size_t n = 0;

	if (!handles_count_of(call->worker->handles, HANDLE_GRAPHNODE) ||
	    backend->cuGraphGetNodes(graph, NULL, &n) != CUDA_SUCCESS || !n || n > NODES_MOST)
		return;
	CUgraphNode *nodes = calloc(n, sizeof(*nodes));
	if (nodes && backend->cuGraphGetNodes(graph, nodes, &n) == CUDA_SUCCESS)
		for (size_t i = 0; i < n; i++) {
			graph_end_node(call, nodes[i], ended);
			end_id(call, nodes[i], ended);
		}
	free(nodes);
}

CUresult worker_cuGraphDestroy(struct call *call, struct args_cuGraphDestroy *a)
{
	if (a->graph)
		end_all(call, a->graph, NULL);
	return call->backend->cuGraphDestroy(a->graph);
}

CUresult worker_rosenGraphDestroy(struct call *call, struct args_rosenGraphDestroy *a)
{
	struct ended_ids ended = {.ids = a->nodes, .room = *a->count};

	if (a->graph)
		end_all(call, a->graph, &ended);
	*a->count = ended.n;
	return call->backend->cuGraphDestroy(a->graph);
}

CUresult worker_cuGraphDestroyNode(struct call *call, struct args_cuGraphDestroyNode *a)
{
	if (a->node)
		graph_end_node(call, a->node, NULL);
	return call->backend->cuGraphDestroyNode(a->node);
}
