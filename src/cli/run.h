/* The parts of `rosen run`. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/config.h"
#include "cli/server.h"

/* The exit statuses of rosen run that are not the program's, as env(1) and timeout(1) have them. */
enum run_exit {
	RUN_FAILED = 125,	  /* rosen itself failed */
	RUN_CANNOT_EXECUTE = 126, /* the program is there and cannot be run */
	RUN_NOT_FOUND = 127,
	RUN_SIGNAL = 128, /* + number of the signal that ended the program */
};

struct run_plan {
	const struct config *config;
	const struct server_use *use;
	const char *run;	 /* id of the run */
	const char *observe_dir; /* NULL: neither statistics nor trace are wanted */
	bool trace;
	char **program;	   /* its argv */
	int input, output; /* its standard input and output; -1: this process's */
};

/*
 * Starts the program in its environment. 0 and *pid, or the exit status after a message. The
 * signals that run_supervise() forwards are blocked in the caller and not in the program.
 */
int run_start_program(const struct run_plan *plan, pid_t *pid);

/* Passes signals on until the program has ended, and notices the end of use's rosend. The program's
 * exit status. */
int run_supervise(pid_t program, const char *name, struct server_use *use);

/* Prints the statistics of a run (rosend's answer to run-stats). */
void run_print_stats(FILE *out, struct json_object *stats, const char *program, uint64_t wall_ns);
/* The same, with names, as JSON. The caller drops it. */
struct json_object *run_stats_json(
    struct json_object *stats, const char *program, uint64_t wall_ns);

/* Merges the trace files in folder into Chrome's JSON at path. A negative errno after a message. */
int run_merge_traces(const char *folder, const char *path);
