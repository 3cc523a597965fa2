/* The parts of `rosen bench`. Functions that fail have printed why. */
#pragma once

#include <json-c/json.h>
#include <stdio.h>
#include <sys/types.h>

#include "cli/run.h"

#define BENCH_CLIENTS_MAX 16

/* A rosen-bench-client (bench/path/path.h says what it understands). */
struct bench_client {
	pid_t pid;
	int socket;
	size_t filled;
	char answer[4096];
};

/* plan's program is the client's; its standard input and output are set. */
bool bench_client_start(struct run_plan *plan, struct bench_client *client);
/* Sends an order. Its answer must be read before the next. */
bool bench_client_order(struct bench_client *client, const char *order);
/* NULL: it failed, or answered with an error. */
struct json_object *bench_client_answer(struct bench_client *client);
void bench_client_stop(struct bench_client *client);

/* What `rosen bench --json` prints, for people. */
void bench_print(FILE *out, struct json_object *result);
