/* Graphs and nodes as objects: their lives, their edges, what they share; see graph.h. */
#include "softgpu/driver/graph.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/util.h"
#include "softgpu/mem/arena.h"

#define MEMORY_ALIGN 512

static atomic_uint_fast64_t node_next_id = 1;

struct sg_graph *sg_graph_get(CUgraph handle)
{
	return sg_handle_get(handle, SG_GRAPH);
}

struct sg_node *sg_node_get(CUgraphNode handle)
{
	return sg_handle_get(handle, SG_GRAPH_NODE);
}

/* ---- nodes ---- */

static void bodies_free(struct sg_graph **bodies, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		sg_graph_free(bodies[i]);
	free(bodies);
}

static void node_end(struct sg_node *node)
{
	sg_handle_free(node->handle);
	sg_work_unref(node->work);
	sg_condition_unref(node->condition);
	sg_graph_memory_unref(node->memory);
	bodies_free(node->bodies, node->n_bodies);
	free(node->body_handles);
	free(node->attributes);
	free(node->edges);
	free(node);
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

CUresult sg_graph_add(struct sg_graph *graph, struct sg_work *work, struct sg_node **out)
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
	node->id = atomic_fetch_add_explicit(&node_next_id, 1, memory_order_relaxed);
	node->type = (CUgraphNodeType)(work->node - SG_NODE_FIRST);
	sg_node_set_work(node, work);
	if (node->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC) /* captured: its work knows the address */
		node->memory = sg_graph_memory_ref(sg_graph_memory_find(node->params.alloc.dptr));
	if (node->type == CU_GRAPH_NODE_TYPE_MEM_FREE)
		node->memory = sg_graph_memory_ref(sg_graph_memory_find(node->params.free.dptr));
	graph->nodes[graph->n_nodes++] = node;
	if (out)
		*out = node;
	return CUDA_SUCCESS;
}

void sg_node_set_work(struct sg_node *node, struct sg_work *work)
{
	sg_work_unref(node->work);
	node->work = work;
	node->params = (CUgraphNodeParams){.type = node->type};
	if (work->describe)
		work->describe(work, &node->params);
}

CUresult sg_node_set_bodies(struct sg_node *node, struct sg_graph **bodies, unsigned n)
{
	CUgraph *handles = calloc(n, sizeof(CUgraph));

	if (!handles)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (unsigned i = 0; i < n; i++) {
		bodies[i]->is_body = true;
		bodies[i]->is_conditional = node->type == CU_GRAPH_NODE_TYPE_CONDITIONAL;
		handles[i] = bodies[i]->handle;
	}
	bodies_free(node->bodies, node->n_bodies);
	free(node->body_handles);
	node->bodies = bodies;
	node->body_handles = handles;
	node->n_bodies = n;
	return CUDA_SUCCESS;
}

void sg_node_free(struct sg_node *node)
{
	struct sg_graph *graph = node->graph;
	size_t at = 0;

	for (size_t i = 0; i < graph->n_nodes; i++) {
		struct sg_node *other = graph->nodes[i];
		size_t edge = sg_node_find_edge(other, node);

		if (edge < other->n_edges)
			sg_node_drop_edge(other, edge);
		if (other != node)
			graph->nodes[at++] = other;
	}
	graph->n_nodes = at;
	node_end(node);
}

/* ---- edges ---- */

size_t sg_node_find_edge(const struct sg_node *node, const struct sg_node *from)
{
	size_t i = 0;

	while (i < node->n_edges && node->edges[i].from != from)
		i++;
	return i;
}

CUresult sg_node_depend(struct sg_node *node, struct sg_node *from, const CUgraphEdgeData *data)
{
	static const CUgraphEdgeData plain;
	struct sg_edge *edges;

	if (node == from || node->graph != from->graph ||
	    sg_node_find_edge(node, from) < node->n_edges)
		return CUDA_ERROR_INVALID_VALUE;
	edges = reallocarray(node->edges, node->n_edges + 1, sizeof(*edges));
	if (!edges)
		return CUDA_ERROR_OUT_OF_MEMORY;
	edges[node->n_edges++] = (struct sg_edge){from, data ? *data : plain};
	node->edges = edges;
	return CUDA_SUCCESS;
}

void sg_node_drop_edge(struct sg_node *node, size_t index)
{
	memmove(&node->edges[index], &node->edges[index + 1],
	    (node->n_edges - index - 1) * sizeof(node->edges[0]));
	node->n_edges--;
}

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

void sg_graph_free(struct sg_graph *graph)
{
	if (!graph)
		return;
	sg_handle_free(graph->handle);
	for (size_t i = 0; i < graph->n_nodes; i++)
		node_end(graph->nodes[i]);
	for (size_t i = 0; i < graph->n_conditions; i++)
		sg_condition_unref(graph->conditions[i]);
	for (size_t i = 0; i < graph->n_objects; i++)
		sg_user_object_unref(graph->objects[i]);
	free(graph->nodes);
	free(graph->conditions);
	free(graph->objects);
	free(graph);
}

static bool clone_bodies(struct sg_node *clone, const struct sg_node *node)
{
	struct sg_graph **bodies;

	if (!node->n_bodies)
		return true;
	bodies = calloc(node->n_bodies, sizeof(struct sg_graph *));
	for (unsigned i = 0; bodies && i < node->n_bodies; i++) {
		bodies[i] = sg_graph_clone(node->bodies[i]);
		if (!bodies[i]) {
			bodies_free(bodies, i);
			return false;
		}
	}
	if (!bodies || sg_node_set_bodies(clone, bodies, node->n_bodies) != CUDA_SUCCESS) {
		bodies_free(bodies, bodies ? node->n_bodies : 0);
		return false;
	}
	if (node->type == CU_GRAPH_NODE_TYPE_CONDITIONAL)
		clone->params.conditional.phGraph_out = clone->body_handles;
	return true;
}

static bool clone_attributes(struct sg_node *clone, const struct sg_node *node)
{
	size_t bytes = CU_LAUNCH_ATTRIBUTE_MAX * sizeof(*node->attributes);

	if (!node->attributes)
		return true;
	clone->attributes = malloc(bytes);
	if (clone->attributes)
		memcpy(clone->attributes, node->attributes, bytes);
	return clone->attributes;
}

static bool clone_node(struct sg_graph *graph, const struct sg_node *node)
{
	struct sg_node *clone;

	sg_work_ref(node->work);
	if (sg_graph_add(graph, node->work, &clone) != CUDA_SUCCESS)
		return false;
	clone->model_id = node->id;
	clone->params = node->params;
	clone->condition = sg_condition_ref(node->condition);
	sg_graph_memory_unref(clone->memory); /* if its work has said it already */
	clone->memory = sg_graph_memory_ref(node->memory);
	return clone_bodies(clone, node) && clone_attributes(clone, node);
}

/* Nodes are cloned in their order, so an edge's other end is found by its place. */
static bool clone_edges(struct sg_graph *clone, const struct sg_graph *graph)
{
	for (size_t i = 0; i < graph->n_nodes; i++)
		for (size_t e = 0; e < graph->nodes[i]->n_edges; e++) {
			const struct sg_edge *edge = &graph->nodes[i]->edges[e];
			size_t from = 0;

			while (graph->nodes[from] != edge->from)
				from++;
			if (sg_node_depend(clone->nodes[i], clone->nodes[from], &edge->data) !=
			    CUDA_SUCCESS)
				return false;
		}
	return true;
}

static bool clone_shared(struct sg_graph *clone, const struct sg_graph *graph)
{
	clone->conditions = calloc(graph->n_conditions + 1, sizeof(*clone->conditions));
	clone->objects = calloc(graph->n_objects + 1, sizeof(*clone->objects));
	if (!clone->conditions || !clone->objects)
		return false;
	for (; clone->n_conditions < graph->n_conditions; clone->n_conditions++)
		clone->conditions[clone->n_conditions] =
		    sg_condition_ref(graph->conditions[clone->n_conditions]);
	for (; clone->n_objects < graph->n_objects; clone->n_objects++)
		clone->objects[clone->n_objects] =
		    sg_user_object_ref(graph->objects[clone->n_objects]);
	return true;
}

struct sg_graph *sg_graph_clone(const struct sg_graph *graph)
{
	struct sg_graph *clone = sg_graph_new();
	bool done = clone && clone_shared(clone, graph);

	for (size_t i = 0; done && i < graph->n_nodes; i++)
		done = clone_node(clone, graph->nodes[i]);
	if (done && clone_edges(clone, graph))
		return clone;
	sg_graph_free(clone);
	return NULL;
}

/* ---- what nodes share ---- */

static bool drop(atomic_uint *references)
{
	/* Acquire-release: all use comes before the end. */
	return atomic_fetch_sub_explicit(references, 1, memory_order_acq_rel) == 1;
}

struct sg_condition *sg_condition_ref(struct sg_condition *condition)
{
	/* Relaxed, here and below: who copies a reference has one. */
	if (condition)
		atomic_fetch_add_explicit(&condition->references, 1, memory_order_relaxed);
	return condition;
}

void sg_condition_unref(struct sg_condition *condition)
{
	if (!condition || !drop(&condition->references))
		return;
	sg_arena_free(condition->address);
	free(condition);
}

/* ---- graphs' own memory ---- */

/* Memory is a graph's from its first launch until it is trimmed or ends; in bytes, and at most. */
static struct sg_graph_memory *memories;
static uint64_t memory_now, memory_used_high, memory_reserved_high;
static pthread_mutex_t memory_lock = PTHREAD_MUTEX_INITIALIZER;

/* With the lock. */
static void memory_count(struct sg_graph_memory *memory, bool is_counted)
{
	if (memory->is_counted == is_counted)
		return;
	memory->is_counted = is_counted;
	memory_now += is_counted ? memory->size : -memory->size;
	memory_used_high = MAX(memory_used_high, memory_now);
	memory_reserved_high = MAX(memory_reserved_high, memory_now);
}

struct sg_graph_memory *sg_graph_memory_new(size_t size)
{
	struct sg_graph_memory *memory = calloc(1, sizeof(*memory));
	struct sg_range range = {.size = size, .kind = SG_RANGE_GRAPH, .owner = memory};

	if (!memory || sg_arena_alloc(&range, MEMORY_ALIGN) < 0) {
		free(memory);
		return NULL;
	}
	atomic_init(&memory->references, 1);
	memory->address = range.address;
	memory->size = size;
	pthread_mutex_lock(&memory_lock);
	memory->next = memories;
	memories = memory;
	pthread_mutex_unlock(&memory_lock);
	return memory;
}

struct sg_graph_memory *sg_graph_memory_find(uint64_t address)
{
	struct sg_range range;

	if (!sg_arena_find(address, &range) || range.address != address ||
	    range.kind != SG_RANGE_GRAPH)
		return NULL;
	return range.owner;
}

bool sg_graph_memory_is_live(struct sg_graph_memory *memory)
{
	pthread_mutex_lock(&memory_lock);
	bool is_live = memory->is_live;
	pthread_mutex_unlock(&memory_lock);
	return is_live;
}

bool sg_graph_memory_set_live(struct sg_graph_memory *memory, bool is_live)
{
	pthread_mutex_lock(&memory_lock);
	bool was = memory->is_live;
	memory->is_live = is_live;
	if (is_live)
		memory_count(memory, true);
	pthread_mutex_unlock(&memory_lock);
	return was;
}

uint64_t sg_graph_memory_usage(CUgraphMem_attribute attribute)
{
	pthread_mutex_lock(&memory_lock);
	uint64_t bytes = attribute == CU_GRAPH_MEM_ATTR_USED_MEM_HIGH	    ? memory_used_high
			 : attribute == CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH ? memory_reserved_high
									    : memory_now;
	pthread_mutex_unlock(&memory_lock);
	return bytes;
}

void sg_graph_memory_forget_high(bool of_used)
{
	pthread_mutex_lock(&memory_lock);
	*(of_used ? &memory_used_high : &memory_reserved_high) = memory_now;
	pthread_mutex_unlock(&memory_lock);
}

void sg_graph_memory_trim(void)
{
	pthread_mutex_lock(&memory_lock);
	for (struct sg_graph_memory *memory = memories; memory; memory = memory->next) {
		if (memory->is_live || !memory->is_counted)
			continue;
		madvise((void *)memory->address, memory->size, MADV_DONTNEED);
		memory_count(memory, false);
	}
	pthread_mutex_unlock(&memory_lock);
}

struct sg_graph_memory *sg_graph_memory_ref(struct sg_graph_memory *memory)
{
	if (memory)
		atomic_fetch_add_explicit(&memory->references, 1, memory_order_relaxed);
	return memory;
}

void sg_graph_memory_unref(struct sg_graph_memory *memory)
{
	if (!memory || !drop(&memory->references))
		return;
	pthread_mutex_lock(&memory_lock);
	struct sg_graph_memory **link = &memories;
	while (*link != memory)
		link = &(*link)->next;
	*link = memory->next;
	memory_count(memory, false);
	pthread_mutex_unlock(&memory_lock);
	sg_arena_free(memory->address);
	free(memory);
}

bool sg_graph_memory_release(uint64_t address)
{
	struct sg_graph_memory *memory = sg_graph_memory_find(address);

	return memory && sg_graph_memory_set_live(memory, false);
}

/* ---- captured allocations ---- */

struct memory_work {
	struct sg_work work;
	struct sg_graph_memory *memory; /* a reference */
};

static CUresult memory_work_run(struct sg_work *work, struct sg_context *context)
{
	return CUDA_SUCCESS; /* launches keep the account; see graph_exec.c */
}

static void memory_work_fini(struct sg_work *work)
{
	sg_graph_memory_unref(((struct memory_work *)work)->memory);
}

static void memory_work_describe(struct sg_work *work, CUgraphNodeParams *params)
{
	const struct sg_graph_memory *memory = ((struct memory_work *)work)->memory;

	if (params->type == CU_GRAPH_NODE_TYPE_MEM_FREE) {
		params->free.dptr = memory->address;
		return;
	}
	params->alloc.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
	params->alloc.poolProps.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
	params->alloc.bytesize = memory->size;
	params->alloc.dptr = memory->address;
}

struct sg_work *sg_graph_memory_work(struct sg_graph_memory *memory, CUgraphNodeType type)
{
	struct memory_work *work = sg_work_new(sizeof(*work), memory_work_run);

	if (!work)
		return NULL;
	work->memory = sg_graph_memory_ref(memory);
	work->work.fini = memory_work_fini;
	work->work.describe = memory_work_describe;
	work->work.node = SG_NODE(type);
	return &work->work;
}
