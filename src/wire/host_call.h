/*
 * What a worker tells the program without having been asked: that a host function is due, that a
 * callback is no longer needed. One message is one reply in the lane of the client's callback
 * thread (rosenHostCalls in api/rosen.api), answered with chan_reply_done().
 */
#pragma once

#include <stdint.h>

enum host_call_flag {
	HOST_CALL_RUN = 1 << 0,	 /* call the function; the GPU's stream waits for its end */
	HOST_CALL_LAST = 1 << 1, /* the number means nothing afterwards */
};

struct host_call {
	uint32_t flags; /* enum host_call_flag */
	/* A CUresult, for callbacks that are told how the work before them went. Of a notification:
	 * its type. */
	uint32_t status;
	uint64_t number; /* the client's, of the registered callback */
	uint64_t value;	 /* what a notification is about: bytes over budget */
};
