/* The figures of rosen bench as tables. */
#include "cli/bench.h"
#include "cli/cli.h"
#include "cli/table.h"

static double number(struct json_object *object, const char *key)
{
	return json_object_get_double(json_object_object_get(object, key));
}

/* "0.012 %", "not known" */
static const char *share(struct json_object *idle, const char *key, char text[TABLE_TEXT_MAX])
{
	struct json_object *value = json_object_object_get(idle, key);

	if (value)
		snprintf(text, TABLE_TEXT_MAX, "%.3f %%", json_object_get_double(value));
	else
		snprintf(text, TABLE_TEXT_MAX, "not known");
	return text;
}

static void print_call(FILE *out, const char *name, struct json_object *call)
{
	fprintf(out, "  %-14s %8.3f us   p99 %.3f us, max %.1f us, %.2f million a second\n", name,
	    number(call, "p50"), number(call, "p99"), number(call, "max"),
	    number(call, "per_s") / 1e6);
}

static void print_head(FILE *out, struct json_object *result)
{
	struct json_object *idle = json_object_object_get(result, "idle");
	char client[TABLE_TEXT_MAX], worker[TABLE_TEXT_MAX];

	fprintf(out, "The path to %s, %s; %llu processors here\n\n", cli_text(result, "backend"),
	    cli_text(result, "device"), (unsigned long long)cli_number(result, "processors"));
	fprintf(out, "  %-14s %8.2f ms\n", "first use", number(result, "first_use_ms"));
	print_call(out, "waiting call", json_object_object_get(result, "null_call_us"));
	print_call(out, "posted call", json_object_object_get(result, "async_call_us"));
	fprintf(out, "  %-14s client %s, worker %s of a core\n", "when idle",
	    share(idle, "client_percent", client), share(idle, "worker_percent", worker));
}

static void print_scaling(FILE *out, const char *key, const char *title, struct json_object *rows)
{
	const char *const titles[] = {
	    title, ">WAITING CALLS/S", ">P50 us", ">P99 us", ">POSTED CALLS/S"};
	struct table *table = table_new(titles, ARRAY_SIZE(titles));
	char text[TABLE_TEXT_MAX];

	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);
		table_add(table, "%llu", (unsigned long long)cli_number(row, key));
		table_add(table, "%s", table_count((uint64_t)number(row, "calls_per_s"), text));
		table_add(table, "%.3f", number(row, "p50"));
		table_add(table, "%.3f", number(row, "p99"));
		table_add(table, "%s", table_count((uint64_t)number(row, "posts_per_s"), text));
	}
	fprintf(out, "\n");
	table_print(table, out, 2);
	table_free(table);
}

/* The rows come size by size, in the order of the columns. */
static void print_copies(FILE *out, struct json_object *rows)
{
	static const char *const titles[] = {
	    ">COPIES, GB/s", ">H2D PAGEABLE", ">D2H PAGEABLE", ">H2D PINNED", ">D2H PINNED"};
	struct table *table = table_new(titles, ARRAY_SIZE(titles));
	uint64_t bytes = 0;
	char text[TABLE_TEXT_MAX];

	for (size_t i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);
		if (cli_number(row, "bytes") != bytes) {
			bytes = cli_number(row, "bytes");
			table_add(table, "%s", table_bytes(bytes, text));
		}
		table_add(table, "%.2f", number(row, "gb_per_s"));
	}
	fprintf(out, "\n");
	table_print(table, out, 2);
	table_free(table);
}

void bench_print(FILE *out, struct json_object *result)
{
	print_head(out, result);
	print_scaling(out, "threads", ">THREADS", json_object_object_get(result, "threads"));
	print_scaling(out, "clients", ">CLIENTS", json_object_object_get(result, "clients"));
	print_copies(out, json_object_object_get(result, "copies"));
}
