/*
 * Launching programs. A launch is one piece of work in its stream; what its steps do is done by the
 * stream's thread, and by helpers where the graph has branches (graph_branches.h).
 */
#include <stdlib.h>

#include "softgpu/driver/event.h"
#include "softgpu/driver/graph_branches.h"
#include "softgpu/driver/graph_exec.h"

struct launch {
	struct sg_work work;
	struct sg_program *program;
	/* By number of the event nodes: what a record is to be seen done by, what a wait is for. */
	struct sg_work *markers[];
};

/* Conditions hold words that kernels write: relaxed atomics, ordered by the kernels' ends. */
static unsigned condition_read(const struct sg_condition *condition)
{
	return atomic_load_explicit((_Atomic uint32_t *)condition->address, memory_order_relaxed);
}

static void conditions_reset(const struct sg_program *program)
{
	for (size_t i = 0; i < program->n_conditions; i++)
		if (program->conditions[i]->assigns)
			atomic_store_explicit((_Atomic uint32_t *)program->conditions[i]->address,
			    program->conditions[i]->initial, memory_order_relaxed);
}

static CUresult program_run(
    const struct sg_program *program, struct sg_work **markers, struct sg_context *context);

static struct sg_work **body_markers(
    const struct sg_step *step, struct sg_work **markers, unsigned body)
{
	markers += step->marker;
	for (unsigned b = 0; b < body; b++)
		markers += step->bodies[b]->n_events;
	return markers;
}

static CUresult body_run(
    const struct sg_step *step, struct sg_work **markers, unsigned body, struct sg_context *context)
{
	return program_run(step->bodies[body], body_markers(step, markers, body), context);
}

static bool must_stop(const struct sg_context *context)
{
	/* Relaxed: a flag that is polled. */
	return atomic_load_explicit(&context->stop, memory_order_relaxed);
}

static CUresult conditional_run(
    const struct sg_step *step, struct sg_work **markers, struct sg_context *context)
{
	unsigned value = condition_read(step->condition);
	CUresult r = CUDA_SUCCESS;

	switch (step->choice) {
	case CU_GRAPH_COND_TYPE_IF: /* a second body is for zero */
		value = value ? 0 : 1;
		break;
	case CU_GRAPH_COND_TYPE_WHILE:
		while (value && r == CUDA_SUCCESS) {
			r = must_stop(context) ? CUDA_ERROR_LAUNCH_TIMEOUT
					       : body_run(step, markers, 0, context);
			value = condition_read(step->condition);
		}
		return r;
	default:
		break;
	}
	return value < step->n_bodies ? body_run(step, markers, value, context) : CUDA_SUCCESS;
}

static CUresult step_run(
    const struct sg_step *step, struct sg_work **markers, struct sg_context *context)
{
	switch (step->type) {
	case CU_GRAPH_NODE_TYPE_GRAPH:
		return body_run(step, markers, 0, context);
	case CU_GRAPH_NODE_TYPE_CONDITIONAL:
		return conditional_run(step, markers, context);
	case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
		sg_work_complete(markers[step->marker]);
		return CUDA_SUCCESS;
	case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
		sg_work_wait(markers[step->marker]);
		return CUDA_SUCCESS;
	default:
		return step->is_disabled ? CUDA_SUCCESS : step->work->run(step->work, context);
	}
}

static CUresult program_run(
    const struct sg_program *program, struct sg_work **markers, struct sg_context *context)
{
	CUresult r = CUDA_SUCCESS;

	if (!program->is_chain)
		return sg_branches_run(program, step_run, markers, context);
	for (size_t i = 0; i < program->n_steps && r == CUDA_SUCCESS; i++)
		r = step_run(&program->steps[i], markers, context);
	return r;
}

static CUresult launch_run(struct sg_work *work, struct sg_context *context)
{
	struct launch *launch = (struct launch *)work;

	conditions_reset(launch->program);
	return program_run(launch->program, launch->markers, context);
}

static void complete_records(const struct sg_program *program, struct sg_work **markers)
{
	for (size_t i = 0; i < program->n_steps; i++) {
		const struct sg_step *step = &program->steps[i];

		if (step->type == CU_GRAPH_NODE_TYPE_EVENT_RECORD)
			sg_work_complete(markers[step->marker]);
		for (unsigned b = 0; b < step->n_bodies; b++)
			complete_records(step->bodies[b], body_markers(step, markers, b));
	}
}

static void launch_fini(struct sg_work *work)
{
	struct launch *launch = (struct launch *)work;

	for (unsigned i = 0; launch->program && i < launch->program->n_events; i++)
		sg_work_unref(launch->markers[i]);
	sg_program_unref(launch->program);
	launch->program = NULL;
}

/* Who waits for an event of a launch that died, or was never queued, must learn of it, not hang.
 * What the program holds goes now, for the stream remembers its last piece of work until there is
 * another. */
static void launch_finished(struct sg_work *work)
{
	struct launch *launch = (struct launch *)work;

	complete_records(launch->program, launch->markers);
	launch_fini(work);
}

/* Waits first: a wait is for what was recorded before the launch. */
static void take_markers(
    const struct sg_program *program, struct sg_work **markers, CUgraphNodeType type)
{
	for (size_t i = 0; i < program->n_steps; i++) {
		const struct sg_step *step = &program->steps[i];

		if (step->type == type && step->event)
			markers[step->marker] = type == CU_GRAPH_NODE_TYPE_WAIT_EVENT
						    ? sg_event_marker_of(step->event)
						    : sg_event_new_marker(step->event);
		for (unsigned b = 0; b < step->n_bodies; b++)
			take_markers(step->bodies[b], body_markers(step, markers, b), type);
	}
}

/* Whether nothing that the program allocates is allocated already. */
static bool memory_is_free(const struct sg_program *program)
{
	bool is_free = true;

	for (size_t i = 0; is_free && i < program->n_steps; i++) {
		const struct sg_step *step = &program->steps[i];

		if (step->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC && step->memory)
			is_free = !sg_graph_memory_is_live(step->memory);
		for (unsigned b = 0; is_free && b < step->n_bodies; b++)
			is_free = memory_is_free(step->bodies[b]);
	}
	return is_free;
}

/* Marks the program's memory as allocated or freed, in the order of the steps. *was: what it was
 * before, one place per step with memory; the end of that. */
static bool *account_memory(const struct sg_program *program, bool *was)
{
	for (size_t i = 0; i < program->n_steps; i++) {
		const struct sg_step *step = &program->steps[i];

		if (step->memory)
			*was++ = sg_graph_memory_set_live(
			    step->memory, step->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC);
		for (unsigned b = 0; b < step->n_bodies; b++)
			was = account_memory(step->bodies[b], was);
	}
	return was;
}

/* The way back; the beginning. */
static bool *restore_memory(const struct sg_program *program, bool *end)
{
	for (size_t i = program->n_steps; i-- > 0;) {
		const struct sg_step *step = &program->steps[i];

		for (unsigned b = step->n_bodies; b-- > 0;)
			end = restore_memory(step->bodies[b], end);
		if (step->memory)
			sg_graph_memory_set_live(step->memory, *--end);
	}
	return end;
}

static CUresult submit_behind(struct sg_stream *stream, struct sg_work *work, struct sg_work **last)
{
	sg_work_ref(work);
	CUresult r = sg_stream_submit(stream, work, *last);
	if (r != CUDA_SUCCESS) {
		launch_finished(work);
		sg_work_unref(work);
		return r;
	}
	sg_work_unref(*last);
	*last = work;
	return r;
}

/* A launch that may run is one whose memory nobody gives back meanwhile. */
static CUresult submit_accounted(const struct sg_program *program, struct sg_stream *stream,
    struct sg_work *work, struct sg_work **last)
{
	bool *was = calloc(program->n_memories + 1, sizeof(*was));

	if (!was) {
		sg_work_unref(work);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	account_memory(program, was);
	CUresult r = submit_behind(stream, work, last);
	/* The program is the caller's still, wherever the launch may be. */
	if (r != CUDA_SUCCESS)
		restore_memory(program, was + program->n_memories);
	free(was);
	return r;
}

CUresult sg_program_launch(
    struct sg_program *program, struct sg_stream *stream, bool frees_first, struct sg_work **last)
{
	if (!frees_first && !memory_is_free(program))
		return CUDA_ERROR_INVALID_VALUE;
	struct launch *launch = sg_work_new(
	    sizeof(*launch) + (program->n_events + 1) * sizeof(launch->markers[0]), launch_run);
	if (!launch)
		return CUDA_ERROR_OUT_OF_MEMORY;
	launch->program = sg_program_ref(program);
	launch->work.fini = launch_fini;
	launch->work.finished = launch_finished;
	launch->work.node = SG_NODE_NEVER;
	take_markers(program, launch->markers, CU_GRAPH_NODE_TYPE_WAIT_EVENT);
	take_markers(program, launch->markers, CU_GRAPH_NODE_TYPE_EVENT_RECORD);
	return program->n_memories ? submit_accounted(program, stream, &launch->work, last)
				   : submit_behind(stream, &launch->work, last);
}
