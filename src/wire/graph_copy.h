/*
 * A graph's copy from or to ordinary memory of the program, as it crosses. The copy itself is
 * between a piece of a segment, which stands in for that memory, and the other side. A function of
 * the shim's, which runs as a host function does, moves the bytes between the piece and the
 * program's memory when the graph gets there. This is the tail of rosenGraphNodeAdd and Set, and of
 * rosenGraphNodeGet if the node is such a copy.
 */
#pragma once

#include <stdint.h>

enum graph_copy_when {
	GRAPH_COPY_BEFORE = 1, /* from ordinary memory: before the copy */
	GRAPH_COPY_AFTER,      /* to ordinary memory: after it */
	GRAPH_COPY_ALONE,      /* both sides are the program's: there is no other copy */
};

struct graph_copy {
	uint64_t number; /* the function's, host_call.h */
	uint64_t when;	 /* enum graph_copy_when */
};
