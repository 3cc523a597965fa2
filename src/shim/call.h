/*
 * How a call leaves the process: what the generated remote_*() functions and the hand-written parts
 * of the shim share. One struct shim_call lives on the caller's stack for one call.
 *
 *	struct shim_call call;
 *	CUresult r = shim_call_begin(
 *	    &call, API_cuX, wire_size_cuX(&a), SHIM_WAIT, wire_reply_size_cuX(&a));
 *	if (r != CUDA_SUCCESS)
 *		return r;
 *	wire_encode_cuX(&call.writer, &a);
 *	r = shim_call_finish(&call);		waits, or posts
 *	if (r == CUDA_SUCCESS)
 *		wire_decode_reply_cuX(&call.reader, &a);
 *	return shim_call_end(&call, r);
 *
 * Any thread, before or after fork; a call on a session that is gone returns its error at once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"
#include "wire/handle.h"
#include "wire/record.h"

enum shim_call_flag {
	SHIM_POST = 0,	    /* returns at once; a failure shows at a later call */
	SHIM_WAIT = 1 << 0, /* waits for the worker's answer */
	SHIM_PTDS = 1 << 1, /* _ptds twin: the default stream is the thread's own */
};

struct shim_call {
	struct wire_writer writer; /* the payload, exactly as large as asked for */
	struct wire_reader reader; /* after shim_call_finish() of a waiting call: the outputs */
	uint32_t id, flags, seq;
	uint16_t lane;
	void *attached; /* the payload, when it is too large for a record; freed by end */
	size_t attached_size, reply_size;
	struct wire_bulk bulk; /* where large outputs come back; size 0: in the lane */
	void *bulk_memory;
	bool has_output; /* kernels have printed; shim_call_end() fetches it */
};

/*
 * Starts a call: takes the thread's lane, tells the worker the thread's current context and capture
 * mode if they changed, makes room. reply_size: upper bound of the outputs in bytes. The setting
 * `sync` turns SHIM_POST into SHIM_WAIT. Fails with the session's error when it is gone.
 */
CUresult shim_call_begin(
    struct shim_call *call, uint32_t id, size_t payload, unsigned flags, size_t reply_size);

/* Sends. Posted: CUDA_SUCCESS, or the error an earlier posted call left. Waiting: the call's
 * result. */
CUresult shim_call_finish(struct shim_call *call);

/*
 * shim_call_finish() in its two halves, for a waiting call that has other work to do meanwhile: one
 * call of a thread can be on its way at a time. After a failed send do not wait.
 */
CUresult shim_call_send(struct shim_call *call);
CUresult shim_call_wait(struct shim_call *call);

/*
 * Some errors end a context: a kernel that read where nothing is leaves it unusable, and CUDA
 * answers every further call with that error. The first one is remembered with the context that was
 * current, until that context is destroyed or reset: this forgets it.
 */
void shim_context_ended(CUcontext context);

/* Whether calls can leave the process and answers may be kept: the session is there, calls do not
 * all wait, and no context has ended in an error. */
bool shim_call_usable(void);

/* The error that a posted call left, once; CUDA_SUCCESS when there is none. */
CUresult shim_take_error(void);

/* Gives everything back. A reply that did not decode turns r into CUDA_ERROR_UNKNOWN, and is
 * logged. */
CUresult shim_call_end(struct shim_call *call, CUresult r);

/*
 * Ids of new objects. shim_handle_new() mints one (0 when none is left: CUDA_ERROR_OUT_OF_MEMORY);
 * shim_handle_drop() ends it: after its destruction, or when its creation failed.
 */
uint64_t shim_handle_new(enum handle_kind kind);
void shim_handle_drop(uint64_t id);
/* How many ids of kind are alive that were minted here. */
size_t shim_handle_count(enum handle_kind kind);

/* Whether id is alive as far as this client knows (ids minted by the worker always are). */
bool shim_handle_alive(uint64_t id, enum handle_kind kind);

/*
 * Ordinals of devices: the program's, which leave out what CUDA_VISIBLE_DEVICES hides, and the
 * worker's. What is no device stays none.
 */
int shim_device_real(CUdevice device);
CUdevice shim_device_visible(int real);

/*
 * n structs of size bytes that hold a CUmemLocation at offset `at`, with the worker's ordinals: the
 * structs themselves where the two are the same, else a copy in room.
 */
#define SHIM_LOCATED_ROOM 1024
void *shim_located_real(
    const void *structs, size_t n, size_t size, size_t at, void *room, size_t room_size);
void shim_located_visible(void *one, size_t at); /* the way back, in place */
