/*
 * What generated and hand-written serve functions call: ids to handles and back, memory, and moving
 * on to the waiter. Runs on whatever thread serves the call; the state is the call's own, but for
 * the table of objects, which is safe everywhere.
 */
#include "worker/call.h"

#include "base/log.h"
#include "worker/idle.h"
#include "worker/worker.h"

static CUresult not_alive(enum handle_kind kind)
{
	static const CUresult errors[] = {[HANDLE_NONE] = CUDA_ERROR_INVALID_HANDLE,
#define HANDLE_KIND(name, type, error) [HANDLE_##name] = error,
	    HANDLE_KINDS
#undef HANDLE_KIND
	};
	return errors[kind];
}

static void fail(struct call *call, CUresult error)
{
	if (call->error == CUDA_SUCCESS)
		call->error = error;
}

uint64_t call_handle(struct call *call, enum handle_kind kind, uint64_t id)
{
	if (!id)
		return 0;
	uint64_t real = handles_find(call->worker->handles, kind, id);
	if (unlikely(!real))
		fail(call, not_alive(kind));
	return real;
}

static CUstream find_stream(struct call *call, uint64_t id)
{
	CUstream stream = NULL;

	if (id == (uint64_t)CU_STREAM_LEGACY)
		return CU_STREAM_LEGACY;
	if (id == 0 && !(call->flags & WIRE_F_PTDS))
		return NULL;
	if (id != 0 && id != (uint64_t)CU_STREAM_PER_THREAD)
		return (CUstream)call_handle(call, HANDLE_STREAM, id);
	CUresult r = lane_own_stream(call, &stream);
	if (r != CUDA_SUCCESS)
		fail(call, r);
	return stream;
}

CUstream call_stream(struct call *call, uint64_t id)
{
	CUstream stream = find_stream(call, id);

	if (likely(!call->issued)) /* else the dispatcher has noted it */
		idle_stream(call, stream);
	return stream;
}

static CUresult table_error(int r)
{
	return r == 0		   ? CUDA_SUCCESS
	       : r == HANDLES_FULL ? CUDA_ERROR_OUT_OF_MEMORY
				   : CUDA_ERROR_INVALID_HANDLE;
}

CUresult call_adopt(struct call *call, enum handle_kind kind, uint64_t id, uint64_t real)
{
	return table_error(handles_adopt(call->worker->handles, kind, id, real));
}

uint64_t call_id_of(struct call *call, enum handle_kind kind, uint64_t real)
{
	uint64_t id = 0;

	if (!real)
		return 0;
	if (handles_mint(call->worker->handles, kind, real, &id)) {
		fail(call, CUDA_ERROR_OUT_OF_MEMORY);
		return 0;
	}
	return id;
}

void call_forget(struct call *call, enum handle_kind kind, uint64_t id)
{
	handles_forget(call->worker->handles, kind, id);
}

void *call_take(struct call *call, size_t size)
{
	void *memory = pool_take(call->pool, size);

	if (!memory)
		fail(call, CUDA_ERROR_OUT_OF_MEMORY);
	return memory;
}

CUresult call_continue(
    struct call *call, CUresult (*finish)(struct call *call, void *state), void *state)
{
	call->finish = finish;
	call->finish_state = state;
	return CALL_CONTINUES;
}

struct job *call_job(struct call *call)
{
	return container_of(call, struct job, call);
}
