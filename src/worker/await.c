/*
 * Handing a call to another thread costs several microseconds: two locks, a wake-up, and the
 * driver's data moving between processors. Most waits for the GPU are not much longer than that. So
 * the dispatcher itself asks the driver, without waiting, whether the stream or event has got
 * there: a question of a fifth of a microsecond. Between any two such questions it looks at the
 * ring, and between any two records it asks one, so that neither can starve the other however many
 * lanes there are.
 *
 * It does so for PATIENCE times as long as an idle thread watches memory. The driver's own way of
 * waiting burns a processor too, so this costs nothing while there are processors to spare, and a
 * dispatcher that stays awake takes the client's next record at once instead of tens of
 * microseconds later. The longer a wait takes already, the less often the driver is asked. After
 * LATE times that long, or where processors are few, others may run between two looks; and where
 * they are few the dispatcher gives up soon. Then a waiter blocks as the driver sees fit.
 *
 * Asking is not allowed while streams are captured: it would end the capture. Then everything goes
 * to waiters, as it would without this file.
 *
 * Where only one stream is busy the GPU itself answers (gpu_answer.h), and the driver is asked but
 * seldom.
 *
 * What kernels printed is due when a wait ends, and asking does not bring it: prints.h says when a
 * wait that ended well must synchronise too.
 *
 * A stream or event that its own program destroys meanwhile is found out by its id before the
 * driver is asked. A lane's own stream has none, and is looked for where it is kept.
 */
#include "worker/await.h"

#include <sched.h>

#include "base/clock.h"
#include "gen/worker_custom.h"
#include "worker/gpu_answer.h"
#include "worker/gpu_time.h"
#include "worker/idle.h"
#include "worker/issuer.h"
#include "worker/prints.h"
#include "worker/staging.h"
#include "worker/waiter.h"
#include "worker/worker.h"

#define PATIENCE   1000
#define LATE	   50
#define UNANSWERED 50000 /* ns without an answer of the GPU before the driver is asked */
#define REST_SHARE 128	 /* a question waits for at most this part of the wait so far, */
#define REST_MOST  4000	 /* and for at most so many ns */

static uint64_t patience(const struct worker *worker)
{
	return worker->options.await_ns
		   ?: worker->options.spin_ns * (worker->crowded ? 1 : PATIENCE);
}

/* --- what a call awaits --- */

static bool exists(struct call *call)
{
	const struct call_await *await = &call->await;

	if (await->id)
		return handles_find(call->worker->handles, await->kind, await->id) == await->real;
	return !await->real || await->real == (uint64_t)CU_STREAM_LEGACY ||
	       lane_owns_stream(call->lane, (CUstream)await->real);
}

static CUresult ask(struct call *call)
{
	const struct call_await *await = &call->await;

	if (!exists(call))
		return CUDA_ERROR_INVALID_HANDLE;
	switch (await->kind) {
	case HANDLE_EVENT:
		return call->backend->cuEventQuery((CUevent)await->real);
	case HANDLE_CONTEXT:
		return idle_context_asks(call);
	default:
		return call->backend->cuStreamQuery((CUstream)await->real);
	}
}

/* Whether only waiting tells more. */
static bool cannot_tell(const struct call *call, CUresult r)
{
	return call->await.kind == HANDLE_CONTEXT && r != CUDA_SUCCESS && r != CUDA_ERROR_NOT_READY;
}

static CUresult synchronise(struct call *call)
{
	const struct call_await *await = &call->await;
	uint64_t mark = prints_mark(call->worker), idle = idle_mark(call->worker);
	CUresult r;

	if (await->kind == HANDLE_EVENT)
		return call->backend->cuEventSynchronize((CUevent)await->real);
	if (await->kind == HANDLE_CONTEXT) {
		r = call->backend->cuCtxSynchronize();
		if (r == CUDA_SUCCESS)
			idle_context_done(call, idle);
		return r;
	}
	r = call->backend->cuStreamSynchronize((CUstream)await->real);
	if (r == CUDA_SUCCESS)
		prints_written(call, (CUstream)await->real, mark);
	return r;
}

/* The work is done, so this does not wait. all_issued: all that was taken from the ring was in its
 * stream when the stream was found done; an issuer cannot know. */
static CUresult settle(struct call *call, bool all_issued)
{
	const struct job *job = call_job(call);

	if (job->gpu_answers) {
		idle_stream_done_until(call, (CUstream)call->await.real, job->gpu_mark);
		return CUDA_SUCCESS;
	}
	if (call->await.kind == HANDLE_STREAM && all_issued)
		idle_stream_done(call, (CUstream)call->await.real);
	return call->await.kind == HANDLE_CONTEXT || prints_pending(call->worker) ||
		       pools_pending(call->worker)
		   ? synchronise(call)
		   : CUDA_SUCCESS;
}

static CUresult done(struct call *call, CUresult r)
{
	return r == CUDA_SUCCESS && call->await.done ? call->await.done(call, call->finish_state)
						     : r;
}

/* The same on a waiter. */
static CUresult finish(struct call *call, void *state)
{
	return done(call, exists(call) ? synchronise(call) : CUDA_ERROR_INVALID_HANDLE);
}

static CUresult await(struct call *call, enum handle_kind kind, uint64_t real,
    CUresult (*then)(struct call *call, void *state), void *state)
{
	call->await = (struct call_await){
	    .on = true,
	    .kind = kind,
	    .id = real ? handles_id_of(call->worker->handles, kind, real) : 0,
	    .real = real,
	    .done = then,
	};
	return call_continue(call, finish, state);
}

CUresult call_await_stream(struct call *call, CUstream stream,
    CUresult (*then)(struct call *call, void *state), void *state)
{
	return await(call, HANDLE_STREAM, (uint64_t)stream, then, state);
}

CUresult worker_cuStreamSynchronize(struct call *call, struct args_cuStreamSynchronize *a)
{
	struct issue_track *track = call->issued ? NULL : issuers_for_wait(call, a->stream);

	return track ? issuer_give(track, call) : call_await_stream(call, a->stream, NULL, NULL);
}

CUresult worker_cuEventSynchronize(struct call *call, struct args_cuEventSynchronize *a)
{
	return await(call, HANDLE_EVENT, (uint64_t)a->event, NULL, NULL);
}

/*
 * When all streams in which there is something are done, synchronising does not wait, and is done
 * all the same: it says what else CUDA has to say.
 */
CUresult worker_cuCtxSynchronize(struct call *call, struct args_cuCtxSynchronize *a)
{
	return await(call, HANDLE_CONTEXT, (uint64_t)call_job(call)->from.context, NULL, NULL);
}

/* --- a list --- */

static bool may_ask(struct worker *worker)
{
	/* Relaxed: captures begin and end on the dispatcher, when no issuer awaits anything. */
	return !atomic_load_explicit(&worker->captures, memory_order_relaxed);
}

bool awaits_add(struct worker *worker, struct awaits *awaits, struct job *job)
{
	if (awaits->n == AWAITS_MAX || !patience(worker) || !may_ask(worker))
		return false;
	job->await_since = job->await_next = clock_now_ns();
	job->await_until = job->await_since + patience(worker);
	if (!awaits->n && !awaits->elsewhere)
		gpu_answer_begin(worker, job);
	if (job->gpu_answers)
		job->await_next += UNANSWERED;
	awaits->jobs[awaits->n++] = job;
	return true;
}

static void drop(struct awaits *awaits, unsigned i)
{
	awaits->jobs[i] = awaits->jobs[--awaits->n];
}

static void look_at(struct worker *worker, struct awaits *awaits, unsigned i, uint64_t now)
{
	bool all_issued = !awaits->elsewhere && issuers_are_settled(worker);
	struct job *job = awaits->jobs[i];
	CUresult r = CUDA_ERROR_NOT_READY;

	if (job->gpu_answers && gpu_answer_came(job))
		r = CUDA_SUCCESS;
	else if (now < job->await_next)
		return;
	job->await_next = now + MIN((now - job->await_since) / REST_SHARE, REST_MOST);

	if (r != CUDA_SUCCESS && may_ask(worker)) {
		r = lane_enter(worker, job->from.context, job->from.capture_mode);
		if (r == CUDA_SUCCESS)
			r = ask(&job->call);
		if (r == CUDA_ERROR_NOT_READY && now < job->await_until)
			return;
	}
	drop(awaits, i);
	/* The driver would have waited as long. */
	job->driver_ns += now - job->await_since;
	if (r == CUDA_ERROR_NOT_READY || cannot_tell(&job->call, r)) {
		waiter_take(worker, job);
		return;
	}
	r = done(&job->call, r == CUDA_SUCCESS ? settle(&job->call, all_issued) : r);
	gpu_time_harvest(&job->call);
	if (!awaits->elsewhere)
		idle_publish(worker);
	job_end(worker, job, r);
}

bool awaits_ask(struct worker *worker, struct awaits *awaits)
{
	uint64_t now = clock_now_ns();

	awaits->next = (awaits->next + 1) % awaits->n;
	bool late = now - awaits->jobs[awaits->next]->await_since > LATE * worker->options.spin_ns;
	look_at(worker, awaits, awaits->next, now);
	return late || worker->crowded;
}

/* What the GPU has answered is done, to the driver perhaps a moment later. */
static void notice_answers(struct worker *worker)
{
	struct awaits *awaits = &worker->awaits;

	for (unsigned i = awaits->n; i-- > 0;)
		if (awaits->jobs[i]->gpu_answers)
			look_at(worker, awaits, i, clock_now_ns());
}

CUresult worker_cuStreamQuery(struct call *call, struct args_cuStreamQuery *a)
{
	notice_answers(call->worker);
	CUresult r = idle_knows_done(call, a->stream) ? CUDA_SUCCESS
						      : call->backend->cuStreamQuery(a->stream);

	if (r == CUDA_SUCCESS) {
		idle_stream_done(call, a->stream);
		idle_publish(call->worker);
	}
	return r;
}

void awaits_hand_over(struct worker *worker, struct awaits *awaits)
{
	while (awaits->n)
		waiter_take(worker, awaits->jobs[--awaits->n]);
}

static bool ask_next(struct worker *worker)
{
	chan_wake(worker->chan); /* the driver may take its time */
	return awaits_ask(worker, &worker->awaits);
}

bool awaits_look(struct worker *worker)
{
	bool more = true, at_once = !worker->awaits.n;

	while (more) {
		bool yield = worker->awaits.n ? ask_next(worker) : worker->crowded;
		more = staging_look(worker) || worker->awaits.n;
		if (chan_has_next(worker->chan))
			return at_once && !more;
		issuers_ring(worker);
		at_once = false;
		if (more && yield)
			sched_yield();
	}
	return false;
}
