/*
 * What crossed the path in one run: rosend's sums with the functions' names, as a table for people
 * and as JSON. rosend counts by row; the names are this build's, which is also the shim's.
 *
 * A call's time is in one of four places. The shim: the program's own time in the call but for
 * waiting. The ring: what waiting leaves over when the worker's time is taken off, there, behind
 * the calls before it, and back; posted calls have none, since nobody waits for them. The worker:
 * from taking the record to its answer, but for the driver, which is the backend's functions.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/functions.h"
#include "cli/run.h"
#include "cli/table.h"

#define TOP_FUNCTIONS 12

#define STATS_COLUMNS                                                                              \
	STATS_COLUMN(calls)                                                                        \
	STATS_COLUMN(waits)                                                                        \
	STATS_COLUMN(bytes)                                                                        \
	STATS_COLUMN(client_ns)                                                                    \
	STATS_COLUMN(wait_ns)                                                                      \
	STATS_COLUMN(served_ns)                                                                    \
	STATS_COLUMN(messages)                                                                     \
	STATS_COLUMN(worker_ns)                                                                    \
	STATS_COLUMN(driver_ns)                                                                    \
	STATS_COLUMN(gpu_ns)                                                                       \
	STATS_COLUMN(errors)                                                                       \
	STATS_COLUMN(shim_ns)                                                                      \
	STATS_COLUMN(ring_ns)

struct row {
	const char *name;
	uint64_t local; /* calls the program's process answered itself */
#define STATS_COLUMN(column) uint64_t column;
	STATS_COLUMNS
#undef STATS_COLUMN
};

static void read_row(struct json_object *function, struct row *row)
{
	uint32_t number = (uint32_t)cli_number(function, "row");

	row->name = function_name(number);
#define STATS_COLUMN(column) row->column = cli_number(function, #column);
	STATS_COLUMNS
#undef STATS_COLUMN
	row->shim_ns = row->client_ns - MIN(row->wait_ns, row->client_ns);
	row->ring_ns = row->wait_ns - MIN(row->served_ns, row->wait_ns);
	row->local = function_is_local(number) ? row->calls - MIN(row->calls, row->waits) : 0;
}

static void add_row(struct row *sum, const struct row *row)
{
	sum->local += row->local;
#define STATS_COLUMN(column) sum->column += row->column;
	STATS_COLUMNS
#undef STATS_COLUMN
}

/* The most expensive first, by the time the program spent in them; then by calls. */
static int compare_rows(const void *left, const void *right)
{
	const struct row *a = left, *b = right;

	if (a->client_ns != b->client_ns)
		return a->client_ns < b->client_ns ? 1 : -1;
	if (a->calls != b->calls)
		return a->calls < b->calls ? 1 : -1;
	return strcmp(a->name, b->name);
}

/* The functions, sorted, and their sum. The caller frees the rows; NULL: none, or out of memory. */
static struct row *read_rows(struct json_object *stats, size_t *n_rows, struct row *sum)
{
	struct json_object *functions = json_object_object_get(stats, "functions");
	size_t n = cli_length(functions);
	struct row *rows = n ? calloc(n, sizeof(*rows)) : NULL;

	*sum = (struct row){.name = "total"};
	*n_rows = rows ? n : 0;
	for (size_t i = 0; i < *n_rows; i++) {
		read_row(json_object_array_get_idx(functions, i), &rows[i]);
		add_row(sum, &rows[i]);
	}
	if (rows)
		qsort(rows, n, sizeof(*rows), compare_rows);
	return rows;
}

/* "cuda", "softgpu", "cuda and softgpu" */
static const char *backends_of(struct json_object *stats)
{
	struct json_object *backends = json_object_object_get(stats, "backends");
	bool cuda = cli_number(backends, "cuda"), softgpu = cli_number(backends, "softgpu");

	return cuda && softgpu ? "cuda and softgpu" : cuda ? "cuda" : softgpu ? "softgpu" : "none";
}

/* The worker's time without the driver's. */
static uint64_t own_ns(const struct row *row)
{
	return row->worker_ns - MIN(row->driver_ns, row->worker_ns);
}

static void print_totals(FILE *out, const struct row *sum, uint64_t wall_ns)
{
	char text[TABLE_TEXT_MAX], share[TABLE_TEXT_MAX];

	fprintf(out, "  wall time         %s\n", table_time(wall_ns, text));
	fprintf(out, "  calls             %s", table_count(sum->calls, text));
	fprintf(out, "   (%s answered locally)\n", table_count(sum->local, share));
	fprintf(out, "  messages          %s\n", table_count(sum->messages, text));
	fprintf(out, "  waits             %s\n", table_count(sum->waits, text));
	fprintf(out, "  bytes             %s\n", table_bytes(sum->bytes, text));
	fprintf(out, "  time in the shim  %s   (and %s waiting)\n", table_time(sum->shim_ns, text),
	    table_time(sum->wait_ns, share));
	fprintf(out,
	    "  time in the ring  %s   (of the waiting: there, behind earlier calls, and back)\n",
	    table_time(sum->ring_ns, text));
	fprintf(out, "  time in workers   %s\n", table_time(own_ns(sum), text));
	fprintf(out, "  time in drivers   %s   (waiting for the GPU included)\n",
	    table_time(sum->driver_ns, text));
	fprintf(out, "  GPU time          %s\n", table_time(sum->gpu_ns, text));
	if (sum->errors)
		fprintf(out, "  errors            %s\n", table_count(sum->errors, text));
}

static void print_functions(FILE *out, const struct row *rows, size_t n_rows)
{
	static const char *const titles[] = {"FUNCTION", ">CALLS", ">MESSAGES", ">WAITS", ">BYTES",
	    ">PER CALL", ">SHIM", ">RING", ">WORKER", ">DRIVER", ">GPU"};
	struct table *table = table_new(titles, ARRAY_SIZE(titles));
	char text[TABLE_TEXT_MAX];

	for (size_t i = 0; i < MIN(n_rows, (size_t)TOP_FUNCTIONS); i++) {
		const struct row *row = &rows[i];
		table_add(table, "%s", row->name);
		table_add(table, "%s", table_count(row->calls, text));
		table_add(table, "%s", table_count(row->messages, text));
		table_add(table, "%s", table_count(row->waits, text));
		table_add(table, "%s", table_bytes(row->bytes, text));
		table_add(
		    table, "%s", table_time(row->client_ns / MAX(row->calls, (uint64_t)1), text));
		table_add(table, "%s", table_time(row->shim_ns, text));
		table_add(table, "%s", table_time(row->ring_ns, text));
		table_add(table, "%s", table_time(own_ns(row), text));
		table_add(table, "%s", table_time(row->driver_ns, text));
		table_add(table, "%s", table_time(row->gpu_ns, text));
	}
	fprintf(out, "\n");
	table_print(table, out, 2);
	table_free(table);
	if (n_rows > TOP_FUNCTIONS)
		fprintf(out, "  ... and %zu more functions (--stats-json has all)\n",
		    n_rows - TOP_FUNCTIONS);
}

static void print_images(FILE *out, struct json_object *stats)
{
	struct json_object *images = json_object_object_get(stats, "images");
	uint64_t kept = cli_number(images, "kept"), found = cli_number(images, "found");
	char kept_bytes[TABLE_TEXT_MAX], found_bytes[TABLE_TEXT_MAX];

	if (kept || found)
		fprintf(out,
		    "  program images    %llu sent and kept (%s), %llu found that an earlier "
		    "process had sent (%s)\n",
		    (unsigned long long)kept,
		    table_bytes(cli_number(images, "kept_bytes"), kept_bytes),
		    (unsigned long long)found,
		    table_bytes(cli_number(images, "found_bytes"), found_bytes));
}

void run_print_stats(FILE *out, struct json_object *stats, const char *program, uint64_t wall_ns)
{
	uint64_t sessions = cli_number(stats, "sessions"), died = cli_number(stats, "died");
	struct row sum, *rows;
	size_t n_rows;

	if (!sessions) {
		fprintf(out,
		    "rosen: %s made no CUDA call that reached rosend. Is it linked statically? "
		    "Does "
		    "it use CUDA? `rosen doctor -- PROGRAM` looks\n",
		    program);
		return;
	}
	rows = read_rows(stats, &n_rows, &sum);
	fprintf(out, "\nrosen: what crossed the path: %s, %llu process%s with a GPU, backend %s\n",
	    program, (unsigned long long)sessions, sessions == 1 ? "" : "es", backends_of(stats));
	print_totals(out, &sum, wall_ns);
	print_images(out, stats);
	if (died)
		fprintf(out, "  workers that died %llu\n", (unsigned long long)died);
	if (n_rows)
		print_functions(out, rows, n_rows);
	free(rows);
}

static struct json_object *row_json(const struct row *row)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "name", json_object_new_string(row->name));
#define STATS_COLUMN(column)                                                                       \
	json_object_object_add(object, #column, json_object_new_uint64(row->column));
	STATS_COLUMNS
#undef STATS_COLUMN
	return object;
}

struct json_object *run_stats_json(struct json_object *stats, const char *program, uint64_t wall_ns)
{
	struct json_object *object = json_object_new_object(), *functions = json_object_new_array();
	struct row sum, *rows;
	size_t n_rows;

	rows = read_rows(stats, &n_rows, &sum);
	for (size_t i = 0; i < n_rows; i++)
		json_object_array_add(functions, row_json(&rows[i]));
	free(rows);
	json_object_object_add(object, "program", json_object_new_string(program));
	json_object_object_add(object, "wall_ns", json_object_new_uint64(wall_ns));
	json_object_object_add(
	    object, "sessions", json_object_new_uint64(cli_number(stats, "sessions")));
	json_object_object_add(object, "died", json_object_new_uint64(cli_number(stats, "died")));
	json_object_object_add(object, "backend", json_object_new_string(backends_of(stats)));
	json_object_object_add(object, "total", row_json(&sum));
	json_object_object_add(
	    object, "images", json_object_get(json_object_object_get(stats, "images")));
	json_object_object_add(object, "functions", functions);
	return object;
}
