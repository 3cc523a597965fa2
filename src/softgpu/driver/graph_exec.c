/* Programs: making and comparing them; see graph_exec.h. They are run by graph_run.c. */
#include "softgpu/driver/graph_exec.h"

#include <stdlib.h>
#include <string.h>

/* ---- making ---- */

static void step_fini(struct sg_step *step)
{
	sg_work_unref(step->work);
	sg_condition_unref(step->condition);
	sg_graph_memory_unref(step->memory);
	for (unsigned i = 0; i < step->n_bodies; i++)
		sg_program_unref(step->bodies[i]);
	free(step->bodies);
	free(step->needs);
}

struct sg_program *sg_program_ref(struct sg_program *program)
{
	/* Relaxed: who copies a reference has one. */
	atomic_fetch_add_explicit(&program->references, 1, memory_order_relaxed);
	return program;
}

void sg_program_unref(struct sg_program *program)
{
	/* Acquire-release: all use comes before the end. */
	if (!program ||
	    atomic_fetch_sub_explicit(&program->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < program->n_steps; i++)
		step_fini(&program->steps[i]);
	for (size_t i = 0; i < program->n_conditions; i++)
		sg_condition_unref(program->conditions[i]);
	for (size_t i = 0; i < program->n_objects; i++)
		sg_user_object_unref(program->objects[i]);
	free(program->steps);
	free(program->followers_at);
	free(program->followers);
	free(program->conditions);
	free(program->objects);
	free(program);
}

static struct sg_program *program_alloc(size_t n_steps, size_t n_conditions, size_t n_objects)
{
	struct sg_program *program = calloc(1, sizeof(*program));

	if (!program)
		return NULL;
	atomic_init(&program->references, 1);
	program->steps = calloc(n_steps + 1, sizeof(*program->steps));
	program->conditions = calloc(n_conditions + 1, sizeof(*program->conditions));
	program->objects = calloc(n_objects + 1, sizeof(*program->objects));
	if (program->steps && program->conditions && program->objects)
		return program;
	sg_program_unref(program);
	return NULL;
}

static void program_share(struct sg_program *program, struct sg_condition **conditions,
    size_t n_conditions, const struct sg_user_references *objects, size_t n_objects)
{
	for (; program->n_conditions < n_conditions; program->n_conditions++)
		program->conditions[program->n_conditions] =
		    sg_condition_ref(conditions[program->n_conditions]);
	for (; program->n_objects < n_objects; program->n_objects++)
		program->objects[program->n_objects] =
		    sg_user_object_ref(objects[program->n_objects]);
}

static size_t number_of(const struct sg_graph *graph, const struct sg_node *node)
{
	size_t i = 0;

	while (graph->nodes[i] != node)
		i++;
	return i;
}

static CUresult step_bodies(struct sg_step *step, const struct sg_node *node)
{
	CUresult r = CUDA_SUCCESS;

	if (!node->n_bodies)
		return CUDA_SUCCESS;
	step->bodies = calloc(node->n_bodies, sizeof(struct sg_program *));
	if (!step->bodies)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (unsigned i = 0; r == CUDA_SUCCESS && i < node->n_bodies; i++) {
		r = sg_program_new(node->bodies[i], &step->bodies[i]);
		step->n_bodies += r == CUDA_SUCCESS;
	}
	return r;
}

static CUresult step_init(struct sg_step *step, const struct sg_node *node, size_t number)
{
	step->node_id = node->id;
	step->number = number;
	step->type = node->type;
	sg_work_ref(node->work);
	step->work = node->work;
	step->condition = sg_condition_ref(node->condition);
	step->memory = sg_graph_memory_ref(node->memory);
	if (node->type == CU_GRAPH_NODE_TYPE_CONDITIONAL)
		step->choice = node->params.conditional.type;
	if (node->type == CU_GRAPH_NODE_TYPE_EVENT_RECORD)
		step->event = node->params.eventRecord.event;
	if (node->type == CU_GRAPH_NODE_TYPE_WAIT_EVENT)
		step->event = node->params.eventWait.event;
	step->needs = calloc(node->n_edges + 1, sizeof(*step->needs));
	if (!step->needs)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (; step->n_needs < node->n_edges; step->n_needs++)
		step->needs[step->n_needs] =
		    number_of(node->graph, node->edges[step->n_needs].from);
	return step_bodies(step, node);
}

/* Event nodes get numbers, through child graphs too, and nodes with memory are counted; what is
 * allocated must be freed. */
static void program_survey(struct sg_program *program)
{
	unsigned balance = 0;

	program->frees_all = true;
	for (size_t i = 0; i < program->n_steps; i++) {
		struct sg_step *step = &program->steps[i];

		balance += step->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC;
		balance -= step->type == CU_GRAPH_NODE_TYPE_MEM_FREE;
		program->n_memories += step->memory != NULL;
		if (step->event)
			step->marker = program->n_events++;
		if (step->n_bodies)
			step->marker = program->n_events; /* the first body's first */
		for (unsigned b = 0; b < step->n_bodies; b++) {
			program->n_events += step->bodies[b]->n_events;
			program->n_memories += step->bodies[b]->n_memories;
			program->frees_all &= step->bodies[b]->frees_all;
		}
	}
	program->frees_all &= !balance;
}

/* Turns the steps' needs round: who may go on when a step is done. False: out of memory. */
static bool program_link(struct sg_program *program)
{
	size_t n = program->n_steps, n_edges = 0, *places = calloc(n + 1, sizeof(*places));

	for (size_t i = 0; i < n; i++)
		n_edges += program->steps[i].n_needs;
	program->followers_at = calloc(n + 2, sizeof(*program->followers_at));
	program->followers = calloc(n_edges + 1, sizeof(*program->followers));
	if (!places || !program->followers_at || !program->followers) {
		free(places);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		places[program->steps[i].number] = i;
	/* Counted one entry further on, so that filling in moves each start to where it belongs. */
	for (size_t i = 0; i < n; i++)
		for (size_t e = 0; e < program->steps[i].n_needs; e++)
			program->followers_at[places[program->steps[i].needs[e]] + 2]++;
	for (size_t i = 2; i < n + 2; i++)
		program->followers_at[i] += program->followers_at[i - 1];
	program->is_chain = true;
	for (size_t i = 0; i < n; i++) {
		bool follows_last = !i;

		for (size_t e = 0; e < program->steps[i].n_needs; e++) {
			size_t from = places[program->steps[i].needs[e]];

			program->followers[program->followers_at[from + 1]++] = i;
			follows_last |= from + 1 == i;
		}
		program->is_chain &= follows_last;
	}
	free(places);
	return true;
}

/* The next node all of whose dependencies are placed, the oldest first; n_nodes: a circle. */
static size_t next_node(const struct sg_graph *graph, const bool *placed)
{
	for (size_t i = 0; i < graph->n_nodes; i++) {
		const struct sg_node *node = graph->nodes[i];
		bool is_ready = !placed[i];

		for (size_t e = 0; is_ready && e < node->n_edges; e++)
			is_ready = placed[number_of(graph, node->edges[e].from)];
		if (is_ready)
			return i;
	}
	return graph->n_nodes;
}

/* Most graphs are made in an order that will do, which is then found at once. */
static bool is_in_order(const struct sg_graph *graph)
{
	for (size_t i = 0; i < graph->n_nodes; i++)
		for (size_t e = 0; e < graph->nodes[i]->n_edges; e++)
			/* Ids rise with the place: nodes are only ever added at the end. */
			if (graph->nodes[i]->edges[e].from->id > graph->nodes[i]->id)
				return false;
	return true;
}

static CUresult fill_steps(struct sg_program *program, const struct sg_graph *graph)
{
	bool in_order = is_in_order(graph);
	bool *placed = calloc(graph->n_nodes + 1, sizeof(*placed));
	CUresult r = placed ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;

	while (r == CUDA_SUCCESS && program->n_steps < graph->n_nodes) {
		size_t next = in_order ? program->n_steps : next_node(graph, placed);

		if (next == graph->n_nodes) {
			r = CUDA_ERROR_INVALID_VALUE;
			break;
		}
		placed[next] = true;
		r = step_init(&program->steps[program->n_steps++], graph->nodes[next], next);
	}
	free(placed);
	return r;
}

CUresult sg_program_new(const struct sg_graph *graph, struct sg_program **out)
{
	struct sg_program *program =
	    program_alloc(graph->n_nodes, graph->n_conditions, graph->n_objects);

	if (!program)
		return CUDA_ERROR_OUT_OF_MEMORY;
	program_share(
	    program, graph->conditions, graph->n_conditions, graph->objects, graph->n_objects);
	CUresult r = fill_steps(program, graph);
	if (r == CUDA_SUCCESS && !program_link(program))
		r = CUDA_ERROR_OUT_OF_MEMORY;
	if (r != CUDA_SUCCESS) {
		sg_program_unref(program);
		return r;
	}
	program_survey(program);
	*out = program;
	return CUDA_SUCCESS;
}

static bool step_copy(struct sg_step *to, const struct sg_step *from)
{
	*to = *from;
	sg_work_ref(to->work);
	sg_condition_ref(to->condition);
	sg_graph_memory_ref(to->memory);
	to->n_bodies = 0;
	to->bodies = from->n_bodies ? calloc(from->n_bodies, sizeof(struct sg_program *)) : NULL;
	to->needs = calloc(from->n_needs + 1, sizeof(*to->needs));
	if (!to->needs || (from->n_bodies && !to->bodies))
		return false;
	memcpy(to->needs, from->needs, from->n_needs * sizeof(*to->needs));
	for (; to->n_bodies < from->n_bodies; to->n_bodies++) {
		to->bodies[to->n_bodies] = sg_program_copy(from->bodies[to->n_bodies]);
		if (!to->bodies[to->n_bodies])
			return false;
	}
	return true;
}

struct sg_program *sg_program_copy(const struct sg_program *program)
{
	struct sg_program *copy =
	    program_alloc(program->n_steps, program->n_conditions, program->n_objects);

	if (!copy)
		return NULL;
	program_share(
	    copy, program->conditions, program->n_conditions, program->objects, program->n_objects);
	copy->n_events = program->n_events;
	copy->n_memories = program->n_memories;
	copy->frees_all = program->frees_all;
	while (copy->n_steps < program->n_steps) {
		size_t i = copy->n_steps++;

		if (!step_copy(&copy->steps[i], &program->steps[i])) {
			sg_program_unref(copy);
			return NULL;
		}
	}
	if (!program_link(copy)) {
		sg_program_unref(copy);
		return NULL;
	}
	return copy;
}

struct sg_step *sg_program_find(struct sg_program *program, uint64_t node_id)
{
	struct sg_step *found = NULL;

	for (size_t i = 0; !found && i < program->n_steps; i++) {
		struct sg_step *step = &program->steps[i];

		if (step->node_id == node_id)
			return step;
		for (unsigned b = 0; !found && b < step->n_bodies; b++)
			found = sg_program_find(step->bodies[b], node_id);
	}
	return found;
}

/* ---- comparing ---- */

static CUgraphExecUpdateResult step_compare(const struct sg_step *old, const struct sg_step *other)
{
	size_t inner;

	if (old->type != other->type)
		return CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
	if (old->number != other->number || old->n_needs != other->n_needs ||
	    memcmp(old->needs, other->needs, old->n_needs * sizeof(*old->needs)))
		return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
	if (old->n_bodies != other->n_bodies || old->choice != other->choice)
		return CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
	if (old->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC || old->type == CU_GRAPH_NODE_TYPE_MEM_FREE)
		return old->memory == other->memory ? CU_GRAPH_EXEC_UPDATE_SUCCESS
						    : CU_GRAPH_EXEC_UPDATE_ERROR_NOT_SUPPORTED;
	for (unsigned i = 0; i < old->n_bodies; i++) {
		CUgraphExecUpdateResult r =
		    sg_program_compare(old->bodies[i], other->bodies[i], &inner);

		if (r != CU_GRAPH_EXEC_UPDATE_SUCCESS)
			return r;
	}
	return CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

CUgraphExecUpdateResult sg_program_compare(
    const struct sg_program *old, const struct sg_program *other, size_t *number)
{
	*number = SIZE_MAX;
	if (old->n_steps != other->n_steps)
		return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
	for (size_t i = 0; i < old->n_steps; i++) {
		CUgraphExecUpdateResult r = step_compare(&old->steps[i], &other->steps[i]);

		if (r != CU_GRAPH_EXEC_UPDATE_SUCCESS) {
			*number = other->steps[i].number;
			return r;
		}
	}
	return CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

void sg_program_adopt(struct sg_program *other, const struct sg_program *old)
{
	for (size_t i = 0; i < other->n_steps; i++) {
		struct sg_step *step = &other->steps[i];

		step->node_id = old->steps[i].node_id;
		step->is_disabled = old->steps[i].is_disabled;
		for (unsigned b = 0; b < step->n_bodies; b++)
			sg_program_adopt(step->bodies[b], old->steps[i].bodies[b]);
	}
}
