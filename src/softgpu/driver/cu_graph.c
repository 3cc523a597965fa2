/* Graphs and their executable form, which shares the graph's work: neither changes it. */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "softgpu/driver/driver.h"
#include "softgpu/driver/graph.h"

/* ---- graphs ---- */

struct sg_graph *sg_graph_new(void)
{
	struct sg_graph *graph = calloc(1, sizeof(*graph));

	if (!graph)
		return NULL;
	graph->handle = sg_handle_new(SG_GRAPH, graph);
	if (!graph->handle) {
		free(graph);
		return NULL;
	}
	return graph;
}

static void node_end(struct sg_node *node)
{
	sg_handle_free(node->handle);
	sg_work_unref(node->work);
	if (node->child)
		sg_graph_free(node->child);
	free(node);
}

void sg_graph_free(struct sg_graph *graph)
{
	sg_handle_free(graph->handle);
	for (size_t i = 0; i < graph->n_nodes; i++)
		node_end(graph->nodes[i]);
	free(graph->nodes);
	free(graph);
}

void sg_node_free(struct sg_node *node)
{
	struct sg_graph *graph = node->graph;
	size_t i = 0;

	while (graph->nodes[i] != node)
		i++;
	memmove(&graph->nodes[i], &graph->nodes[i + 1],
	    (graph->n_nodes - i - 1) * sizeof(struct sg_node *));
	graph->n_nodes--;
	node_end(node);
}

static bool graph_reserve(struct sg_graph *graph)
{
	if (graph->n_nodes < graph->room)
		return true;
	size_t room = graph->room ? 2 * graph->room : 16;
	struct sg_node **nodes = reallocarray(graph->nodes, room, sizeof(struct sg_node *));
	if (!nodes)
		return false;
	graph->nodes = nodes;
	graph->room = room;
	return true;
}

CUresult sg_graph_add(struct sg_graph *graph, struct sg_work *work)
{
	struct sg_node *node = graph_reserve(graph) ? calloc(1, sizeof(*node)) : NULL;

	if (node)
		node->handle = sg_handle_new(SG_GRAPH_NODE, node);
	if (!node || !node->handle) {
		free(node);
		sg_work_unref(work);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	node->graph = graph;
	node->type = (CUgraphNodeType)(work->node - SG_NODE_FIRST);
	node->work = work;
	graph->nodes[graph->n_nodes++] = node;
	return CUDA_SUCCESS;
}

static bool node_clone(struct sg_graph *graph, const struct sg_node *node)
{
	struct sg_graph *child = node->child ? sg_graph_clone(node->child) : NULL;

	if (node->child && !child)
		return false;
	sg_work_ref(node->work);
	if (sg_graph_add(graph, node->work) != CUDA_SUCCESS) {
		if (child)
			sg_graph_free(child);
		return false;
	}
	struct sg_node *clone = graph->nodes[graph->n_nodes - 1];
	clone->child = child;
	clone->host = node->host;
	clone->copy = node->copy;
	return true;
}

struct sg_graph *sg_graph_clone(const struct sg_graph *graph)
{
	struct sg_graph *clone = sg_graph_new();

	for (size_t i = 0; clone && i < graph->n_nodes; i++)
		if (!node_clone(clone, graph->nodes[i])) {
			sg_graph_free(clone);
			return NULL;
		}
	return clone;
}

static CUresult graph_enter(CUgraph handle, struct sg_graph **graph)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	*graph = sg_handle_get(handle, SG_GRAPH);
	return *graph ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGraphCreate(CUgraph *handle, unsigned flags)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!handle || flags))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct sg_graph *graph = sg_graph_new();
	if (!graph)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*handle = graph->handle;
	return CUDA_SUCCESS;
}

CUresult cuGraphDestroy(CUgraph handle)
{
	struct sg_graph *graph;
	CUresult r = graph_enter(handle, &graph);

	if (r == CUDA_SUCCESS)
		sg_graph_free(graph);
	return r;
}

/* *n: room in nodes, then how many were given; nodes NULL: how many there are. */
CUresult cuGraphGetNodes(CUgraph handle, CUgraphNode *nodes, size_t *n)
{
	struct sg_graph *graph;
	CUresult r = graph_enter(handle, &graph);

	if (r == CUDA_SUCCESS && !n)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	size_t given = nodes ? MIN(*n, graph->n_nodes) : 0;
	for (size_t i = 0; i < given; i++)
		nodes[i] = graph->nodes[i]->handle;
	for (size_t i = given; nodes && i < *n; i++)
		nodes[i] = NULL;
	*n = nodes ? given : graph->n_nodes;
	return CUDA_SUCCESS;
}

CUresult cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType *type)
{
	const struct sg_node *node;
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	node = sg_handle_get(handle, SG_GRAPH_NODE);
	if (!node || !type)
		return CUDA_ERROR_INVALID_VALUE;
	*type = node->type;
	return CUDA_SUCCESS;
}

/* ---- executable graphs ---- */

struct graph_exec {
	CUgraphExec handle;
	unsigned long long flags;
	atomic_uint references; /* its handle's, and one per launch under way */
	size_t n_works;
	struct sg_work *works[]; /* references */
};

struct graph_work {
	struct sg_work work;
	struct graph_exec *exec;
};

static void exec_unref(struct graph_exec *exec)
{
	/* Acquire-release: all use comes before the end. */
	if (atomic_fetch_sub_explicit(&exec->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < exec->n_works; i++)
		sg_work_unref(exec->works[i]);
	free(exec);
}

/* The pieces of a graph and of its child graphs, in order; works NULL: only counts them. */
static size_t graph_flatten(const struct sg_graph *graph, struct sg_work **works)
{
	size_t n = 0;

	for (size_t i = 0; i < graph->n_nodes; i++) {
		const struct sg_node *node = graph->nodes[i];
		if (node->child) {
			n += graph_flatten(node->child, works ? works + n : NULL);
			continue;
		}
		if (works) {
			works[n] = node->work;
			sg_work_ref(node->work);
		}
		n++;
	}
	return n;
}

CUresult cuGraphInstantiateWithFlags(
    CUgraphExec *handle, CUgraph graph_handle, unsigned long long flags)
{
	struct sg_graph *graph;
	CUresult r = graph_enter(graph_handle, &graph);

	if (r == CUDA_SUCCESS && !handle)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && (flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH))
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (r != CUDA_SUCCESS)
		return r;
	size_t n = graph_flatten(graph, NULL);
	struct graph_exec *exec = calloc(1, sizeof(*exec) + n * sizeof(exec->works[0]));
	if (!exec)
		return CUDA_ERROR_OUT_OF_MEMORY;
	exec->flags = flags;
	exec->n_works = graph_flatten(graph, exec->works);
	atomic_init(&exec->references, 1);
	exec->handle = sg_handle_new(SG_GRAPH_EXEC, exec);
	if (!exec->handle) {
		exec_unref(exec);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*handle = exec->handle;
	return CUDA_SUCCESS;
}

/* There is nothing to log: what can be captured can be run. */
CUresult cuGraphInstantiate_v2(
    CUgraphExec *handle, CUgraph graph, CUgraphNode *error_node, char *log, size_t log_size)
{
	if (error_node)
		*error_node = NULL;
	if (log && log_size)
		*log = 0;
	return cuGraphInstantiateWithFlags(handle, graph, 0);
}

CUresult cuGraphInstantiate(
    CUgraphExec *handle, CUgraph graph, CUgraphNode *error_node, char *log, size_t log_size)
{
	return cuGraphInstantiate_v2(handle, graph, error_node, log, log_size);
}

static CUresult exec_enter(CUgraphExec handle, struct graph_exec **exec)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	*exec = sg_handle_get(handle, SG_GRAPH_EXEC);
	return *exec ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Launches under way keep what they run. */
CUresult cuGraphExecDestroy(CUgraphExec handle)
{
	struct graph_exec *exec;
	CUresult r = exec_enter(handle, &exec);

	if (r != CUDA_SUCCESS)
		return r;
	sg_handle_free(handle);
	exec_unref(exec);
	return CUDA_SUCCESS;
}

CUresult cuGraphExecGetFlags(CUgraphExec handle, uint64_t *flags)
{
	struct graph_exec *exec;
	CUresult r = exec_enter(handle, &exec);

	if (r == CUDA_SUCCESS && !flags)
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*flags = exec->flags;
	return r;
}

static CUresult graph_run(struct sg_work *work, struct sg_context *context)
{
	const struct graph_exec *exec = ((struct graph_work *)work)->exec;
	CUresult r = CUDA_SUCCESS;

	for (size_t i = 0; i < exec->n_works && r == CUDA_SUCCESS; i++)
		r = exec->works[i]->run(exec->works[i], context);
	return r;
}

static void graph_fini(struct sg_work *work)
{
	exec_unref(((struct graph_work *)work)->exec);
}

static CUresult graph_enter_stream(
    CUgraphExec handle, CUstream stream_handle, struct graph_exec **exec, struct sg_stream **stream)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS)
		r = exec_enter(handle, exec);
	return r == CUDA_SUCCESS ? sg_stream_get(stream_handle, context, stream) : r;
}

CUresult cuGraphLaunch(CUgraphExec handle, CUstream stream_handle)
{
	struct graph_exec *exec;
	struct sg_stream *stream;
	CUresult r = graph_enter_stream(handle, stream_handle, &exec, &stream);

	if (r != CUDA_SUCCESS)
		return r;
	struct graph_work *launch = sg_work_new(sizeof(*launch), graph_run);
	if (!launch)
		return CUDA_ERROR_OUT_OF_MEMORY;
	/* Relaxed: the handle has a reference. */
	atomic_fetch_add_explicit(&exec->references, 1, memory_order_relaxed);
	launch->exec = exec;
	launch->work.fini = graph_fini;
	launch->work.node = SG_NODE(CU_GRAPH_NODE_TYPE_GRAPH);
	return sg_stream_submit(stream, &launch->work, NULL);
}

/* The device's memory is the program's: there is nowhere to upload to. */
CUresult cuGraphUpload(CUgraphExec handle, CUstream stream_handle)
{
	struct graph_exec *exec;
	struct sg_stream *stream;

	return graph_enter_stream(handle, stream_handle, &exec, &stream);
}
