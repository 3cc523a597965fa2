/*
 * Runs: the sessions of one `rosen run`, and the sum of their statistics, which outlives them. A
 * run is known by the id its client processes send in their hello, and belongs to the user who
 * made it; another user's run of the same id is another run.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "chan/chan.h"
#include "wire/hello.h"

#define RUN_ID_MAX    sizeof(((struct hello_request *)0)->run)
#define RUNS_MAX      256  /* of one rosend; the one longest unused makes room */
#define FUNCTIONS_MAX 4096 /* rows of a statistics table that a client may ask for */

struct server;

/* The columns of struct chan_stat and struct chan_time: what `rosen run --stats` and its JSON
 * show. */
#define RUN_COLUMNS                                                                                \
	RUN_COLUMN(calls)                                                                          \
	RUN_COLUMN(waits)                                                                          \
	RUN_COLUMN(bytes)                                                                          \
	RUN_COLUMN(client_ns)                                                                      \
	RUN_COLUMN(wait_ns)                                                                        \
	RUN_COLUMN(served_ns)                                                                      \
	RUN_COLUMN(messages)                                                                       \
	RUN_COLUMN(worker_ns)                                                                      \
	RUN_COLUMN(driver_ns)                                                                      \
	RUN_COLUMN(gpu_ns)                                                                         \
	RUN_COLUMN(errors)

struct run_row {
#define RUN_COLUMN(name) uint64_t name;
	RUN_COLUMNS
#undef RUN_COLUMN
};

struct run {
	struct list link; /* of server->runs, the longest unused first */
	char id[RUN_ID_MAX];
	uid_t uid;
	bool measure, measure_gpu;
	unsigned n_live;     /* sessions that may still count */
	unsigned n_sessions; /* ever */
	unsigned n_died;     /* of them, those whose worker died */
	/* Program images that workers of it gave rosend to keep, and got from it. */
	uint64_t n_images_kept, images_kept_bytes, n_images_found, images_found_bytes;
	unsigned n_backend[3]; /* sessions by enum control_backend */
	struct run_row *rows;  /* sums over ended sessions */
	uint32_t n_rows;
};

/* NULL: not known. */
struct run *run_find(struct server *server, const char *id, uid_t uid);
/* Finds or makes one. NULL: out of memory, or RUNS_MAX runs have live sessions. */
struct run *run_take(struct server *server, const char *id, uid_t uid);
struct run *run_free(struct run *run);

/* A session's statistics area. times: NULL where it has none. */
struct run_area {
	const struct chan_stat *stats;
	const struct chan_time *times;
	uint32_t n_rows;
};

/* Adds what is in it to the sums. */
void run_add(struct run *run, const struct run_area *area);

/* The sums, live sessions included, as the admin side gives them; NULL: out of memory. */
struct json_object *run_json(struct server *server, const struct run *run);
