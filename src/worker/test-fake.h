/*
 * A backend for tests: one device whose memory is ordinary memory at the addresses CUDA would give,
 * streams that are always done (unless the test holds the GPU), counters, and failures on demand.
 * What it does not have is CUDA_ERROR_NOT_SUPPORTED, as with any backend. Any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/backend_host.h"

#define FAKE_CONTEXT	 ((CUcontext)0xc000)
#define FAKE_FUNCTION	 ((CUfunction)0xf000)
#define FAKE_DEVICE_NODE ((CUgraphDeviceNode)0xfd00)
#define FAKE_EVENT(n)	 ((CUevent)(0xe0000 + 16ull * (n)))
#define FAKE_OPENED	 (UINT64_C(1) << 40) /* how far from its owner's address memory is opened */
#define FAKE_BUS_ID	 "0000:FA:4E.0"

/* The thread sanitizer lets nobody map memory where the device window is. */
#ifdef __SANITIZE_THREAD__
#define FAKE_HAS_WINDOW false
#else
#define FAKE_HAS_WINDOW true
#endif

struct fake_launch {
	CUfunction function;
	CUstream stream;
	unsigned grid_x;
	size_t bytes;
	uint8_t parameters[64]; /* the first of them */
	unsigned n_attributes;
	CUlaunchAttribute attributes[4]; /* the first of them */
};

struct fake {
	/* set by the test */
	size_t capacity;	      /* of device memory, in bytes */
	bool no_vmm, moves_ranges;    /* no virtual memory management; reserves elsewhere */
	bool no_register, moves_host; /* the latter: registered memory has other device addresses */
	bool no_words;		      /* streams write none */
	_Atomic int fail_in; /* counts down calls of fallible functions; the one at 0 fails */
	CUresult fail_with;

	/* Called by every launch, on its thread, instead of noting it in last_launch. */
	CUresult (*on_launch)(CUstream stream, unsigned grid_x);

	/* set by the backend */
	_Atomic size_t used;
	_Atomic unsigned reserved, created, mapped, launches, synchronised, contexts_set, streams,
	    events, registered, relaxed, queries, opened, words;
	_Atomic int retained; /* of the primary context; since fake_init(), so perhaps negative */
	struct fake_launch last_launch;
	CUasyncCallback notification;
	void *notification_user;
	CUhostFn host_function; /* the newest in any stream; the test runs it */
	void *host_user;
	_Atomic bool capturing; /* any stream */
};
extern struct fake fake;

/* A fresh fake, and a backend that is it. */
void fake_init(struct backend *backend, struct backend_host *host);

/* While the GPU is held every wait for it blocks, no event has happened, and the word that was put
 * into a stream last is not written. */
void fake_hold(void);
void fake_release(void);
/* How many threads wait for the GPU now. */
unsigned fake_waiting(void);

/* The devices that may access the mapping at address, one bit each. */
unsigned fake_access(uint64_t address);

/* Whether [address, address + bytes) is device memory that is mapped. */
bool fake_is_mapped(uint64_t address, size_t bytes);
