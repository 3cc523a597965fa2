/*
 * One lock guards all runs; it is not held while a step runs. A run is a variable of the thread
 * that began it, which leaves only when none of its steps is running: whoever has taken a step may
 * touch it.
 *
 * Steps are taken in the order they become ready, but those that wait for events or words in memory
 * last: what they wait for may be another branch's doing.
 *
 * Whoever takes a step and leaves others calls one helper, who does the same: many small steps are
 * done before that helper is awake. Steps that only move memory are not worth more threads than
 * there are processors; any other may wait for another branch, and always has somebody called.
 */
#include "softgpu/driver/graph_branches.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/util.h"
#include "softgpu/exec/exec.h"

#define MOST_HELPERS 16u

struct run {
	const struct sg_program *program;
	sg_step_function *run;
	struct sg_work **markers;
	struct sg_context *context;
	size_t *waits; /* by step: how many it needs that are not done */
	/* Steps that nobody has taken: from first to end, and from first_waiting to the array's end
	 * those that may_wait(). Each gets here once. */
	size_t *ready;
	size_t first, end, first_waiting;
	size_t n_running;
	CUresult result;
	pthread_cond_t progress; /* something is ready again, or nothing runs any more */
	struct run *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER; /* helpers are */
static struct run *runs;
static unsigned n_helpers, n_idle;
static bool is_called;	  /* a helper, who has not come yet */
static unsigned n_moving; /* steps that run and only move memory */

static bool may_wait(const struct sg_step *step)
{
	return step->type == CU_GRAPH_NODE_TYPE_WAIT_EVENT ||
	       step->type == CU_GRAPH_NODE_TYPE_BATCH_MEM_OP;
}

static bool only_moves(const struct sg_step *step)
{
	switch (step->type) {
	case CU_GRAPH_NODE_TYPE_MEMCPY:
	case CU_GRAPH_NODE_TYPE_MEMSET:
	case CU_GRAPH_NODE_TYPE_EMPTY:
	case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
	case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
	case CU_GRAPH_NODE_TYPE_MEM_FREE:
		return true;
	default:
		return false;
	}
}

static void add_ready(struct run *run, size_t step)
{
	if (may_wait(&run->program->steps[step]))
		run->ready[--run->first_waiting] = step;
	else
		run->ready[run->end++] = step;
}

static size_t take_ready(struct run *run)
{
	return run->ready[run->first < run->end ? run->first++ : run->first_waiting++];
}

static bool has_step(const struct run *run)
{
	return (run->first < run->end || run->first_waiting < run->program->n_steps) &&
	       run->result == CUDA_SUCCESS;
}

static struct run *find_run(void)
{
	struct run *run = runs;

	while (run && !has_step(run))
		run = run->next;
	return run;
}

static void finish(struct run *run, size_t step, CUresult result)
{
	const struct sg_program *program = run->program;

	if (run->result == CUDA_SUCCESS)
		run->result = result;
	for (size_t i = program->followers_at[step]; i < program->followers_at[step + 1]; i++)
		if (!--run->waits[program->followers[i]])
			add_ready(run, program->followers[i]);
	run->n_running--;
	if (has_step(run) || !run->n_running)
		pthread_cond_signal(&run->progress);
}

static void call_helper(void);

/* With the lock, which is let go of meanwhile. */
static void run_one(struct run *run)
{
	size_t number = take_ready(run);
	const struct sg_step *step = &run->program->steps[number];
	bool moves = only_moves(step);
	CUresult result;

	run->n_running++;
	n_moving += moves;
	if (!moves || n_moving < sg_exec_threads())
		call_helper();
	pthread_mutex_unlock(&lock);
	result = run->run(step, run->markers, run->context);
	pthread_mutex_lock(&lock);
	n_moving -= moves;
	finish(run, number, result);
}

static void *helper(void *unused)
{
	struct run *run;

	pthread_setname_np(pthread_self(), "softgpu-graph");
	pthread_mutex_lock(&lock);
	for (;;) {
		is_called = false;
		while ((run = find_run()))
			run_one(run);
		n_idle++;
		while (!is_called)
			pthread_cond_wait(&wanted, &lock);
		n_idle--;
	}
	return NULL;
}

/* Signals of the program's are not for helpers; faults of kernels are. */
static bool start_helper(void)
{
	static const int synchronous[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
	pthread_t thread;
	sigset_t all, old;
	bool started;

	sigfillset(&all);
	for (unsigned i = 0; i < ARRAY_SIZE(synchronous); i++)
		sigdelset(&all, synchronous[i]);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	started = !pthread_create(&thread, NULL, helper, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (started)
		pthread_detach(thread);
	return started;
}

/* If there is something to do, and nobody on the way. Too few threads are slower, no harm. */
static void call_helper(void)
{
	if (is_called || !find_run())
		return;
	if (n_idle) {
		pthread_cond_signal(&wanted);
		is_called = true;
	} else if (n_helpers < MOST_HELPERS && start_helper()) {
		n_helpers++;
		is_called = true;
	}
}

static void leave(struct run *run)
{
	struct run **link = &runs;

	while (*link != run)
		link = &(*link)->next;
	*link = run->next;
}

static void run_all(struct run *run)
{
	pthread_mutex_lock(&lock);
	run->next = runs;
	runs = run;
	for (;;) {
		if (has_step(run))
			run_one(run);
		else if (run->n_running)
			pthread_cond_wait(&run->progress, &lock);
		else
			break;
	}
	leave(run);
	pthread_mutex_unlock(&lock);
}

CUresult sg_branches_run(const struct sg_program *program, sg_step_function *step_function,
    struct sg_work **markers, struct sg_context *context)
{
	struct run run = {.program = program,
	    .run = step_function,
	    .markers = markers,
	    .context = context,
	    .first_waiting = program->n_steps,
	    .waits = calloc(program->n_steps + 1, sizeof(*run.waits)),
	    .ready = calloc(program->n_steps + 1, sizeof(*run.ready))};

	if (run.waits && run.ready) {
		for (size_t i = 0; i < program->n_steps; i++) {
			run.waits[i] = program->steps[i].n_needs;
			if (!run.waits[i])
				add_ready(&run, i);
		}
		pthread_cond_init(&run.progress, NULL);
		run_all(&run);
		pthread_cond_destroy(&run.progress);
	} else {
		run.result = CUDA_ERROR_OUT_OF_MEMORY;
	}
	free(run.waits);
	free(run.ready);
	return run.result;
}
