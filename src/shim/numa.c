/* The system's own calls: a library for them is not on every machine. */
#include "shim/numa.h"

#include <linux/mempolicy.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

#define NODES_MAX 1024

bool numa_node_exists(int node)
{
	char path[64];

	if (node < 0 || node >= NODES_MAX)
		return false;
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", node);
	/* A kernel without nodes has one. */
	return access(path, F_OK) == 0 || (node == 0 && access("/sys/devices/system/node", F_OK));
}

/* A machine whose only node is the first has nothing to choose. */
static bool is_choice(void)
{
	FILE *file = fopen("/sys/devices/system/node/online", "re");
	char nodes[16] = "0\n";

	if (!file)
		return false;
	if (!fgets(nodes, sizeof(nodes), file))
		nodes[0] = '\0';
	fclose(file);
	return strcmp(nodes, "0\n") != 0;
}

void numa_bind(void *start, size_t bytes, int node)
{
	enum { BITS = 8 * sizeof(unsigned long) };
	unsigned long nodes[NODES_MAX / BITS] = {0};

	if (node < 0 || node >= NODES_MAX || !is_choice())
		return;
	nodes[node / BITS] = 1ul << node % BITS;
	if (syscall(SYS_mbind, start, bytes, MPOL_BIND, nodes, NODES_MAX + 1, 0) < 0)
		log_warn_once("host memory of one NUMA node may lie on another: this process may "
			      "not choose (a container needs the capability SYS_NICE)");
}
