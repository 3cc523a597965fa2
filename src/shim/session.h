/*
 * The process's session with rosend: one per process, opened by the first call that needs to know
 * of devices, never closed (the process's end closes it, so that calls from exit handlers work).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi/cuda.h"
#include "base/config.h"
#include "base/util.h"
#include "chan/chan.h"

/* What an exported function must look at before it runs. */
enum shim_gate {
	SHIM_GATE_OPEN = 0,
	SHIM_GATE_CLOSED = 1 << 0,   /* see session.state why */
	SHIM_GATE_OBSERVE = 1 << 1,  /* count and trace every entry */
	SHIM_GATE_CALLBACK = 1 << 2, /* the calling thread may be the callback thread */
};

/* The one word every entry looks at: enum shim_gate. Zero: go on, nobody watches. */
extern _Atomic uint32_t shim_gate;

enum session_state {
	SESSION_NEW,	   /* nothing done */
	SESSION_CONNECTED, /* channel and snapshot there, cuInit not called */
	SESSION_OPEN,	   /* cuInit succeeded */
	SESSION_LOST,	   /* the worker is gone: what would leave the process fails */
	SESSION_FORKED,	   /* child of a process that had called cuInit */
};

struct session {
	_Atomic uint32_t state; /* enum session_state */
	struct chan *chan;	/* set once, before CONNECTED */
	struct config config;
	uint64_t id;
	uint64_t capabilities; /* HELLO_CAN_* both sides have */
	bool sync, cache, known_idle, pool_reuse, graph_posts, stats, trace;
	/* The window is ours, so that mapping into it hits nobody. */
	bool device_reserved, host_reserved;
};

extern struct session session;

/* Connects when that was not done: CUDA_SUCCESS, CUDA_ERROR_NO_DEVICE (said on stderr, once). */
CUresult session_connect(void);

/* The same for questions about devices only, which the child of a process that had called cuInit
 * may ask too. */
CUresult session_connect_nvml(void);

/* cuInit: connects if need be and opens the gate. CUDA_ERROR_NO_DEVICE also when
 * CUDA_VISIBLE_DEVICES leaves none, CUDA_ERROR_INVALID_DEVICE when it names one twice. */
CUresult session_open(void);

/* What a call on this session returns when it cannot be sent. */
CUresult session_error(void);

/*
 * The channel returned a negative code: the worker is gone or broke the rules. Says so on stderr,
 * once, with the worker's last words. Returns session_error().
 */
CUresult session_lost(int r);

/* CUDA_SUCCESS while calls can be sent. */
static inline CUresult session_usable(void)
{
	uint32_t state = atomic_load_explicit(&session.state, memory_order_acquire);

	return likely(state == SESSION_OPEN || state == SESSION_CONNECTED) ? CUDA_SUCCESS
									   : session_error();
}

/* The reserved address windows: true when address lies in the device's or the host's. */
static inline bool session_in_device_window(uint64_t address)
{
	return address - WIRE_DEVICE_WINDOW_BASE < WIRE_DEVICE_WINDOW_SIZE;
}

static inline bool session_in_host_window(uint64_t address)
{
	return address - WIRE_HOST_WINDOW_BASE < WIRE_HOST_WINDOW_SIZE;
}
