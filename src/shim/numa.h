/* Nodes of the host's memory. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define NUMA_ANY (-1)

bool numa_node_exists(int node);

/* Has the pages of a fresh shared mapping come from node, whoever touches them first. Where the
 * system does not let the process choose, that is said once. NUMA_ANY: nothing is done. */
void numa_bind(void *start, size_t bytes, int node);
