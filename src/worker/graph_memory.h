/*
 * Addresses that graphs will allocate. The backend gives them when the node is made or captured,
 * and the client may name them at once, in further nodes and copies; that they are device memory
 * the backend need not say before a graph has run. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "abi/cuda.h"

struct worker;

/* When memory is short, or too many were noted, the oldest are forgotten. */
void graph_memory_note(struct worker *worker, CUdeviceptr address, size_t bytes);

/* Whether [address, address + bytes) lies in one of them. */
bool graph_memory_covers(struct worker *worker, CUdeviceptr address, size_t bytes);

void graph_memory_free(struct worker *worker);
