/*
 * One call inside the worker: what the generated serve_*() functions (gen/worker_serve.c) and the
 * hand-written worker_*() functions share.
 *
 * serve_X decodes the private copy of the record into struct args_X (outputs allocated from the
 * call's pool), turns ids into the backend's handles, calls the backend (or worker_X() for
 * functions marked custom(server)), adopts new objects, turns handles back into ids, and encodes
 * the outputs. It runs on the dispatcher; on the lane's waiter thread for functions marked
 * `blocks`; on an issuer (issuer.h) for launches into several busy streams.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"
#include "base/pool.h"
#include "wire/handle.h"
#include "wire/record.h"

struct worker;	/* the process: channel, backend, handle table */
struct lane;	/* what is kept per client thread */
struct backend; /* gen/backend.h: one function pointer per CUDA function, never NULL */

struct call;

/* What a call waits for; see call_await_stream(). */
struct call_await {
	bool on;
	enum handle_kind kind; /* STREAM, EVENT or CONTEXT */
	uint64_t id, real;     /* id 0: a default stream, or no context */
	CUresult (*done)(struct call *call, void *state);
};

struct call {
	struct worker *worker;
	struct lane *lane;
	const struct backend *backend;
	struct pool *pool;	   /* temporaries; reset when the call is over */
	struct wire_reader reader; /* the payload, a private copy */
	struct wire_writer writer; /* the outputs; room for what wire_reply_size_X() says */
	uint16_t flags;		   /* WIRE_F_* of the record */
	CUresult error; /* first error of id translation; the backend is not called then */
	CUresult (*finish)(struct call *call, void *state); /* set by call_continue() */
	void *finish_state;
	struct call_await await;
	bool issued; /* by an issuer's thread (issuer.h), not by the dispatcher */
};

/* Result of decoding a malformed record: the session ends (the client broke the protocol). */
#define CALL_MALFORMED ((CUresult)0x7fffffff)
/* The call goes on elsewhere: see call_continue(). */
#define CALL_CONTINUES ((CUresult)0x7ffffffe)
/* Another thread serves a copy of the record; this job is over. */
#define CALL_PASSED_ON ((CUresult)0x7ffffffd)

/*
 * The second half of a call that first issues work, in the order of the ring, and then waits for
 * the GPU. A worker_X() that has issued its part returns call_continue(): the call moves to the
 * lane's waiter thread, which runs finish with the lane's context current; finish encodes the
 * outputs itself, if there are any, and its result is the call's. state must be from call_take():
 * args_X is gone by then. On a waiter already (functions marked `blocks`) finish runs at once.
 */
CUresult call_continue(
    struct call *call, CUresult (*finish)(struct call *call, void *state), void *state);

/*
 * As call_continue(), for a call whose second half only waits until stream has done all that was
 * put into it. The dispatcher keeps the call and looks from time to time, which is quicker than
 * another thread when the wait is short. done (NULL: nothing to do) runs after success, on either
 * thread; it encodes the outputs, and its result is the call's.
 */
CUresult call_await_stream(struct call *call, CUstream stream,
    CUresult (*done)(struct call *call, void *state), void *state);

/* The backend's handle of id, 0 and call->error set when id is not alive or of another kind. Kinds
 * FUNCTION and KERNEL stand for each other, as in CUDA. A NULL id gives NULL without an error. */
uint64_t call_handle(struct call *call, enum handle_kind kind, uint64_t id);

/* A stream argument: 0, 1 and 2 are the default streams; 2, and 0 under WIRE_F_PTDS, become the
 * lane's own stream. Other ids as call_handle(). */
CUstream call_stream(struct call *call, uint64_t id);

/* Enters an object the client minted id for. Fails (CUDA_ERROR_INVALID_HANDLE, and the caller
 * destroys the object) when id is in use or not of this kind. */
CUresult call_adopt(struct call *call, enum handle_kind kind, uint64_t id, uint64_t real);

/* The id of a backend's handle: the one it is known by, or a new one minted here. NULL gives 0. */
uint64_t call_id_of(struct call *call, enum handle_kind kind, uint64_t real);

/* Ends an id after its object was destroyed. */
void call_forget(struct call *call, enum handle_kind kind, uint64_t id);

/* zeroed memory from the pool; NULL and call->error CUDA_ERROR_OUT_OF_MEMORY over the session's
 * cap. */
void *call_take(struct call *call, size_t size);

/* One row per function the worker serves: gen/worker_serve.c. Sorted by id. */
struct worker_entry {
	uint32_t id;
	CUresult (*serve)(struct call *call);
	bool blocks; /* may wait for the GPU: runs on the lane's waiter */
};
extern const struct worker_entry worker_entries[];
extern const size_t worker_n_entries;
