/*
 * rosen bench: what the path costs, whatever runs at its end. The measuring is done by clients
 * (rosen-bench-client, a CUDA program started as `rosen run` would start it), since nothing else
 * can be in a client's place; this file says what is measured, collects the answers into one JSON
 * object, and looks at what an idle session costs, which only an onlooker can.
 *
 * One client does everything but the rows with several clients, so that the figures belong
 * together.
 */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/bench.h"
#include "cli/cli.h"

#define SETTLE_MS 100  /* before silence is measured */
#define QUIET_MS  1000 /* of silence */
#define ASK_MS	  10000

struct bench {
	struct run_plan plan;
	struct server_use use;
	struct bench_client client;
	struct json_object *result;
	bool quick, progress;
};

/* --- what people see meanwhile --- */

_printf_(2, 3) static void show(const struct bench *bench, const char *format, ...)
{
	va_list arguments;

	if (!bench->progress)
		return;
	fprintf(stderr, "\r\033[Krosen bench: ");
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, " ...");
}

static void clear(const struct bench *bench)
{
	if (bench->progress)
		fprintf(stderr, "\r\033[K");
}

/* --- asking clients --- */

/* n clients get the same order at the same time; their answers into answers, all or none. */
static bool ask_all(struct bench_client *clients, size_t n, const char *order,
    struct json_object *answers[BENCH_CLIENTS_MAX])
{
	size_t n_answers = 0;

	for (size_t i = 0; i < n; i++)
		if (!bench_client_order(&clients[i], order))
			return false;
	while (n_answers < n && (answers[n_answers] = bench_client_answer(&clients[n_answers])))
		n_answers++;
	if (n_answers == n)
		return true;
	while (n_answers)
		json_object_put(answers[--n_answers]);
	return false;
}

_printf_(2, 3) static struct json_object *ask(struct bench *bench, const char *format, ...)
{
	char order[128];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(order, sizeof(order), format, arguments);
	va_end(arguments);
	return bench_client_order(&bench->client, order) ? bench_client_answer(&bench->client)
							 : NULL;
}

static double number(struct json_object *object, const char *key)
{
	return json_object_get_double(json_object_object_get(object, key));
}

/* With as many digits as mean something. */
static struct json_object *new_number(double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.4f", value);
	return json_object_new_double_s(value, text);
}

static void add_number(struct json_object *object, const char *key, double value)
{
	json_object_object_add(object, key, new_number(value));
}

/* Calls a second of several clients together: from the first one's beginning to the last one's
 * end. */
static double rate(struct json_object *const *counts, size_t n)
{
	uint64_t from = UINT64_MAX, to = 0;
	double calls = 0;

	for (size_t i = 0; i < n; i++) {
		calls += number(counts[i], "calls");
		from = MIN(from, cli_number(counts[i], "from_ns"));
		to = MAX(to, cli_number(counts[i], "to_ns"));
	}
	return to > from ? calls * 1e9 / (double)(to - from) : 0;
}

/* --- what is measured --- */

static bool measure_first(struct bench *bench)
{
	show(bench, "first use");
	struct json_object *answer = ask(bench, "first\n");
	if (!answer)
		return false;
	json_object_object_add(
	    bench->result, "device", json_object_new_string(cli_text(answer, "device")));
	add_number(bench->result, "first_use_ms", number(answer, "ms"));
	json_object_put(answer);
	return true;
}

/* Adds what one client measured, with the rate of what it counted. */
static void add_calls(
    struct bench *bench, const char *key, struct json_object *calls, struct json_object *count)
{
	static const char *const percentiles[] = {"p50", "p99", "mean", "max"};
	struct json_object *row = json_object_new_object();

	for (size_t i = 0; i < ARRAY_SIZE(percentiles); i++)
		add_number(row, percentiles[i], number(calls, percentiles[i]));
	add_number(row, "per_s", rate(&count, 1));
	json_object_object_add(bench->result, key, row);
}

static bool measure_calls(struct bench *bench)
{
	int ms = bench->quick ? 200 : 1000;

	show(bench, "calls that wait");
	struct json_object *calls = ask(bench, "null %d\n", ms);
	if (!calls)
		return false;
	add_calls(bench, "null_call_us", calls, calls);
	json_object_put(calls);
	show(bench, "posted calls");
	struct json_object *posts = ask(bench, "post %d\n", ms);
	struct json_object *stream = posts ? ask(bench, "stream %d\n", ms) : NULL;
	if (stream)
		add_calls(bench, "async_call_us", posts, stream);
	json_object_put(posts);
	json_object_put(stream);
	return stream;
}

/* Processor time of all threads of a process. False: not to be had. */
static bool processor_ns(pid_t pid, uint64_t *ns)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *tasks = opendir(path);

	*ns = 0;
	if (!tasks)
		return false;
	for (struct dirent *entry = readdir(tasks); entry; entry = readdir(tasks)) {
		unsigned long long on_processor = 0;
		char file[384];
		snprintf(file, sizeof(file), "%s/%.255s/schedstat", path, entry->d_name);
		FILE *stat = *entry->d_name == '.' ? NULL : fopen(file, "re");
		if (stat && fscanf(stat, "%llu", &on_processor) == 1)
			*ns += on_processor;
		if (stat)
			fclose(stat);
	}
	closedir(tasks);
	return *ns > 0;
}

static pid_t find_worker(const struct bench *bench)
{
	struct json_object *sessions = server_ask(&bench->use, "ps", NULL, json_type_array, ASK_MS);
	pid_t worker = 0;

	for (size_t i = 0; i < cli_length(sessions); i++) {
		struct json_object *session = json_object_array_get_idx(sessions, i);
		if ((pid_t)cli_number(session, "pid") == bench->client.pid)
			worker = (pid_t)cli_number(session, "worker");
	}
	json_object_put(sessions);
	return worker;
}

static void sleep_ms(unsigned ms)
{
	struct timespec left = {ms / 1000, (long)(ms % 1000 * NSEC_PER_MSEC)};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* Null where /proc does not tell, as under another user's rosend it may not. */
static struct json_object *percent(bool known, uint64_t before, uint64_t after, uint64_t elapsed)
{
	return known ? new_number(
			   100.0 * (double)(after - before) / (double)MAX(elapsed, (uint64_t)1))
		     : NULL;
}

static bool measure_idle(struct bench *bench)
{
	pid_t client = bench->client.pid, worker = find_worker(bench);
	uint64_t client_before = 0, client_after = 0, worker_before = 0, worker_after = 0;

	show(bench, "silence");
	sleep_ms(SETTLE_MS);
	uint64_t start = clock_now_ns();
	bool client_known = processor_ns(client, &client_before);
	bool worker_known = worker && processor_ns(worker, &worker_before);
	sleep_ms(QUIET_MS);
	client_known = client_known && processor_ns(client, &client_after);
	worker_known = worker_known && processor_ns(worker, &worker_after);
	uint64_t elapsed = clock_now_ns() - start;
	struct json_object *idle = json_object_new_object();
	add_number(idle, "seconds", (double)elapsed / 1e9);
	json_object_object_add(
	    idle, "client_percent", percent(client_known, client_before, client_after, elapsed));
	json_object_object_add(
	    idle, "worker_percent", percent(worker_known, worker_before, worker_after, elapsed));
	json_object_object_add(bench->result, "idle", idle);
	return true;
}

static bool measure_threads(struct bench *bench)
{
	static const int counts[] = {1, 2, 4, 8, 16};
	struct json_object *rows = json_object_new_array();

	json_object_object_add(bench->result, "threads", rows);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		show(bench, "%d threads", counts[i]);
		struct json_object *row =
		    ask(bench, "threads %d %d\n", counts[i], bench->quick ? 100 : 600);
		if (!row)
			return false;
		json_object_object_add(row, "threads", json_object_new_int(counts[i]));
		json_object_array_add(rows, row);
	}
	return true;
}

/* What clients measured at the same time: the mean of their medians, the worst p99. */
static struct json_object *add_up(
    size_t n, struct json_object *calls[], struct json_object *posts[])
{
	struct json_object *row = json_object_new_object();
	double p50 = 0, p99 = 0;

	for (size_t i = 0; i < n; i++) {
		p50 += number(calls[i], "p50") / (double)n;
		p99 = MAX(p99, number(calls[i], "p99"));
	}
	json_object_object_add(row, "clients", json_object_new_int((int)n));
	add_number(row, "p50", p50);
	add_number(row, "p99", p99);
	add_number(row, "calls_per_s", rate(calls, n));
	add_number(row, "posts_per_s", rate(posts, n));
	return row;
}

static void drop(struct json_object *objects[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		json_object_put(objects[i]);
}

static bool measure_clients_at(struct bench *bench, struct bench_client *clients, size_t n)
{
	struct json_object *calls[BENCH_CLIENTS_MAX], *posts[BENCH_CLIENTS_MAX];
	char order[32];
	int ms = bench->quick ? 50 : 300;

	show(bench, "%zu clients", n);
	snprintf(order, sizeof(order), "null %d\n", ms);
	if (!ask_all(clients, n, order, calls))
		return false;
	snprintf(order, sizeof(order), "stream %d\n", ms);
	bool good = ask_all(clients, n, order, posts);
	if (good) {
		json_object_array_add(
		    json_object_object_get(bench->result, "clients"), add_up(n, calls, posts));
		drop(posts, n);
	}
	drop(calls, n);
	return good;
}

static bool start_another(struct bench *bench, struct bench_client *client)
{
	struct json_object *answer = NULL;

	if (bench_client_start(&bench->plan, client) && bench_client_order(client, "first\n"))
		answer = bench_client_answer(client);
	json_object_put(answer);
	return answer;
}

static bool measure_clients(struct bench *bench)
{
	struct bench_client clients[BENCH_CLIENTS_MAX];
	size_t n = 0;
	bool good = true;

	json_object_object_add(bench->result, "clients", json_object_new_array());
	for (size_t wanted = 1; good && wanted <= BENCH_CLIENTS_MAX; wanted *= 2) {
		show(bench, "%zu clients start", wanted);
		for (; good && n < wanted; n++)
			good = start_another(bench, &clients[n]);
		good = good && measure_clients_at(bench, clients, wanted);
	}
	for (size_t i = 0; i < n; i++)
		bench_client_stop(&clients[i]);
	return good;
}

static bool measure_copies(struct bench *bench)
{
	static const uint64_t sizes[] = {4 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20};
	static const char *const ways[][2] = {
	    {"h2d", "pageable"}, {"d2h", "pageable"}, {"h2d", "pinned"}, {"d2h", "pinned"}};
	struct json_object *rows = json_object_new_array();

	json_object_object_add(bench->result, "copies", rows);
	for (size_t i = 0; i < ARRAY_SIZE(sizes) - bench->quick; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(ways); k++) {
			show(bench, "copies of %llu KiB, %s, %s",
			    (unsigned long long)sizes[i] >> 10, ways[k][0], ways[k][1]);
			struct json_object *row =
			    ask(bench, "copy %llu %s %s %d\n", (unsigned long long)sizes[i],
				ways[k][0], ways[k][1], bench->quick ? 20 : 150);
			if (!row)
				return false;
			json_object_object_add(row, "bytes", json_object_new_uint64(sizes[i]));
			json_object_object_add(
			    row, "direction", json_object_new_string(ways[k][0]));
			json_object_object_add(row, "memory", json_object_new_string(ways[k][1]));
			json_object_array_add(rows, row);
		}
	}
	return true;
}

static void describe(struct bench *bench)
{
	json_object_object_add(bench->result, "rosen", json_object_new_string(ROSEN_VERSION));
	json_object_object_add(
	    bench->result, "processors", json_object_new_int64(sysconf(_SC_NPROCESSORS_ONLN)));
	json_object_object_add(bench->result, "quick", json_object_new_boolean(bench->quick));
}

/* Which backend the session got: `auto` is only known then. */
static void describe_backend(struct bench *bench)
{
	struct json_object *sessions = server_ask(&bench->use, "ps", NULL, json_type_array, ASK_MS);

	for (size_t i = 0; i < cli_length(sessions); i++) {
		struct json_object *session = json_object_array_get_idx(sessions, i);
		if ((pid_t)cli_number(session, "pid") == bench->client.pid)
			json_object_object_add(bench->result, "backend",
			    json_object_new_string(cli_text(session, "backend")));
	}
	json_object_put(sessions);
}

static bool measure(struct bench *bench)
{
	describe(bench);
	if (!bench_client_start(&bench->plan, &bench->client) || !measure_first(bench))
		return false;
	describe_backend(bench);
	return measure_calls(bench) && measure_idle(bench) && measure_threads(bench) &&
	       measure_copies(bench) && measure_clients(bench);
}

static int bench_with(struct bench *bench, bool json)
{
	bench->result = json_object_new_object();
	bool good = measure(bench);
	bench_client_stop(&bench->client);
	clear(bench);
	if (!good)
		json_object_put(bench->result);
	else if (json)
		cli_print_json(bench->result);
	else {
		bench_print(stdout, bench->result);
		json_object_put(bench->result);
	}
	return good ? CLI_OK : CLI_FAILED;
}

static int bench(const struct command *command, int argc, char **argv)
{
	struct bench bench = {.client.socket = -1};
	const char *backend = NULL, *server = NULL;
	bool json = false;
	const struct option_row rows[] = {
	    cli_setting("backend", "NAME", &backend),
	    cli_setting("server", "PATH", &server),
	    OPTION_ROW_SWITCH("quick", &bench.quick,
		"Measure each thing for a shorter time, and leave the largest copies out: 4 "
		"seconds instead of 15."),
	    OPTION_ROW_SWITCH("json", &json, "Print JSON."),
	};
	struct install install;
	struct config config;
	int done = cli_parse(command, rows, ARRAY_SIZE(rows), argc, argv, NULL);

	if (done >= 0)
		return done;
	if (install_find(&install) < 0) {
		cli_error("cannot find this installation: is /proc mounted?");
		return CLI_FAILED;
	}
	const struct cli_flag flags[] = {{"backend", backend}, {"server", server}};
	done = cli_load_config(&config, flags, ARRAY_SIZE(flags));
	if (done)
		return done;
	if (server_take(&config, true, &bench.use) < 0)
		return CLI_FAILED;
	bench.progress = isatty(STDERR_FILENO);
	bench.plan = (struct run_plan){
	    .config = &config,
	    .use = &bench.use,
	    .run = "",
	    .program = (char *[]){install.bench_client, NULL},
	};
	int status = bench_with(&bench, json);
	server_give(&bench.use);
	return status;
}

const struct command command_bench = {
    .name = "bench",
    .arguments = "",
    .summary = "Measure what the path costs, on any backend",
    .text =
	"Measures what crossing from a program to its worker costs, whatever GPU is at the end: "
	"the first use; calls that do nothing but cross, waiting and posted; their rate by "
	"threads of one client and by clients; copies by size, direction and kind of memory; and "
	"what processor time client and worker use in a second of silence.\n"
	"\n"
	"The rosend of --server is used, else the one this user runs, else a private one. "
	"Times are microseconds in the caller, p50 and p99 percentiles. They depend on what else "
	"the machine does.\n"
	"\n"
	"With --json: rosen, backend, device, processors, quick, first_use_ms; null_call_us and "
	"async_call_us with p50, p99, mean, max and per_s (calls a second, for async_call_us of "
	"an endless stream); idle with seconds, client_percent and worker_percent of a core; "
	"threads[] and clients[] with p50, p99, calls_per_s, posts_per_s; copies[] with bytes, "
	"direction (h2d, d2h), memory (pageable, pinned), us, gb_per_s.\n"
	"\n"
	"Exit status: 0 when all was measured, 1 when something failed (stderr says what), 2 for "
	"a wrong command line.\n",
    .run = bench,
};
