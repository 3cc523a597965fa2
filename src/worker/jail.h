/*
 * What a worker gives up before it listens to its tenant. One table of steps, each with its own
 * check, so that a further wall (namespaces, a system-call filter, a control group, an own uid) is
 * one more row.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct jail_step {
	const char *name;
	int (*apply)(int keep); /* keep: the one descriptor above stderr that stays open */
	bool (*holds)(int keep);
};

extern const struct jail_step jail_steps[];
extern const size_t jail_n_steps;

/*
 * Takes every step and verifies it, in the order of the table. Call before the first thread is
 * made. *failed names the step a negative result is about.
 */
int jail_enter(int keep, const char **failed);
