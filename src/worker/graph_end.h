/*
 * The ids of nodes end with their graph, as do those of graphs that are part of it: the backend may
 * give their handles to others.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"

struct call;
struct worker;

/* Ids the client minted, for it to drop: n of them, as many as there is room for. */
struct ended_ids {
	uint64_t *ids;
	size_t n, room;
};

/* The bodies of a conditional node, which the backend does not tell again. Failure to note them
 * only keeps their ids. */
void graph_note_bodies(struct worker *worker, CUgraphNode node, const CUgraph *bodies, size_t n);
void graph_bodies_free(struct worker *worker);
