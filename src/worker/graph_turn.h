/*
 * The order of launches that CUDA would keep by itself, were they launches of one executable graph:
 * each comes after the one before it, in whatever streams they are. Where several executable graphs
 * stand in for the client's one, an event says when the last launch is done. On the dispatcher.
 */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"

struct call;
struct worker;

struct graph_turn {
	CUevent done;	   /* of the last launch that was noted; NULL: none was */
	CUcontext context; /* the event's */
};

/* Has what follows in stream wait for that launch. */
CUresult graph_turn_take(struct call *call, const struct graph_turn *turn, CUstream stream);
/* A launch was the last thing put into stream. */
CUresult graph_turn_note(struct call *call, struct graph_turn *turn, CUstream stream);
void graph_turn_fini(struct worker *worker, struct graph_turn *turn);
/* The context has ended, and the event with it if it was one of its own. */
void graph_turn_forget(struct graph_turn *turn, CUcontext context);
