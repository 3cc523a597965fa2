/*
 * See run.h. The counters are the session's own: written by the tenant and its worker into the
 * shared region, so they are numbers to show and never to trust.
 */
#include "control/run.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "control/server.h"
#include "control/session.h"

struct run *run_find(struct server *server, const char *id, uid_t uid)
{
	list_for_each (&server->runs, link) {
		struct run *run = container_of(link, struct run, link);
		if (run->uid == uid && !strcmp(run->id, id))
			return run;
	}
	return NULL;
}

/* Makes room for one more; false: all are in use. */
static bool make_room(struct server *server)
{
	unsigned n_runs = 0;

	list_for_each (&server->runs, link)
		n_runs++;
	if (n_runs < RUNS_MAX)
		return true;
	list_for_each (&server->runs, old) {
		struct run *run = container_of(old, struct run, link);
		if (run->n_live)
			continue;
		run_free(run);
		return true;
	}
	return false;
}

struct run *run_take(struct server *server, const char *id, uid_t uid)
{
	struct run *run = run_find(server, id, uid);

	if (run) {
		list_remove(&run->link);
		list_append(&server->runs, &run->link);
		return run;
	}
	if (!make_room(server))
		return NULL;
	run = calloc(1, sizeof(*run));
	if (!run)
		return NULL;
	strncpy(run->id, id, sizeof(run->id) - 1);
	run->uid = uid;
	list_append(&server->runs, &run->link);
	return run;
}

struct run *run_free(struct run *run)
{
	list_remove(&run->link);
	free(run->rows);
	free(run);
	return NULL;
}

static uint64_t load(const _Atomic uint64_t *counter)
{
	/* Relaxed: counters of their own, each right by itself. */
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void add_rows(struct run_row *sums, const struct run_area *area)
{
	for (uint32_t i = 0; i < area->n_rows; i++) {
		const struct chan_stat *stat = &area->stats[i];
		sums[i].calls += load(&stat->calls);
		sums[i].waits += load(&stat->waits);
		sums[i].bytes += load(&stat->bytes);
		sums[i].client_ns += load(&stat->client_ns);
		sums[i].messages += load(&stat->messages);
		sums[i].worker_ns += load(&stat->worker_ns);
		sums[i].gpu_ns += load(&stat->gpu_ns);
		sums[i].errors += load(&stat->errors);
		if (!area->times)
			continue;
		sums[i].wait_ns += load(&area->times[i].wait_ns);
		sums[i].served_ns += load(&area->times[i].served_ns);
		sums[i].driver_ns += load(&area->times[i].driver_ns);
	}
}

static struct run_row *grown(struct run_row *rows, uint32_t n_old, uint32_t n_new)
{
	struct run_row *larger = realloc(rows, n_new * sizeof(*rows));

	if (larger)
		memset(larger + n_old, 0, (n_new - n_old) * sizeof(*rows));
	return larger;
}

void run_add(struct run *run, const struct run_area *area)
{
	uint32_t n_rows = area->n_rows;

	if (n_rows > run->n_rows) {
		struct run_row *rows = grown(run->rows, run->n_rows, n_rows);
		if (!rows)
			return;
		run->rows = rows;
		run->n_rows = n_rows;
	}
	add_rows(run->rows, area);
}

/* A copy of the sums with the live sessions added. NULL: out of memory. */
static struct run_row *total_of(struct server *server, const struct run *run)
{
	struct run_row *total = calloc(FUNCTIONS_MAX, sizeof(*total));

	if (!total)
		return NULL;
	if (run->n_rows)
		memcpy(total, run->rows, run->n_rows * sizeof(*total));
	list_for_each (&server->sessions, link) {
		struct session *session = container_of(link, struct session, link);
		struct run_area area = session_statistics(session);
		if (session->run == run)
			add_rows(total, &area);
	}
	return total;
}

static struct json_object *row_json(uint32_t number, const struct run_row *row)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "row", json_object_new_int64(number));
#define RUN_COLUMN(name) json_object_object_add(object, #name, json_object_new_uint64(row->name));
	RUN_COLUMNS
#undef RUN_COLUMN
	return object;
}

static struct json_object *images_json(const struct run *run)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "kept", json_object_new_uint64(run->n_images_kept));
	json_object_object_add(
	    object, "kept_bytes", json_object_new_uint64(run->images_kept_bytes));
	json_object_object_add(object, "found", json_object_new_uint64(run->n_images_found));
	json_object_object_add(
	    object, "found_bytes", json_object_new_uint64(run->images_found_bytes));
	return object;
}

struct json_object *run_json(struct server *server, const struct run *run)
{
	struct run_row *total = total_of(server, run);

	if (!total)
		return NULL;
	struct json_object *object = json_object_new_object(), *rows = json_object_new_array(),
			   *backends = json_object_new_object();
	json_object_object_add(object, "run", json_object_new_string(run->id));
	json_object_object_add(object, "live", json_object_new_int64(run->n_live));
	json_object_object_add(object, "sessions", json_object_new_int64(run->n_sessions));
	json_object_object_add(object, "died", json_object_new_int64(run->n_died));
	for (unsigned i = 1; i < SERVER_N_BACKENDS; i++)
		json_object_object_add(backends, server_backend_name((enum control_backend)i),
		    json_object_new_int64(run->n_backend[i]));
	json_object_object_add(object, "backends", backends);
	for (uint32_t i = 0; i < FUNCTIONS_MAX; i++)
		if (total[i].calls || total[i].messages)
			json_object_array_add(rows, row_json(i, &total[i]));
	json_object_object_add(object, "images", images_json(run));
	json_object_object_add(object, "functions", rows);
	free(total);
	return object;
}
