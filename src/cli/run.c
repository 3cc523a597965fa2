/*
 * rosen run: a program with its CUDA calls forwarded. The order of things:
 *
 *	find or start a rosend -> register the run -> start the program -> pass signals on, wait
 *	-> statistics and trace -> let a private rosend go -> the program's exit status
 *
 * The program is a child rather than this process after exec, because somebody must stay to collect
 * statistics and to hold the private rosend's leash.
 */
#include "cli/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/error.h"
#include "base/fd.h"
#include "cli/cli.h"

#define RUN_ID_MAX 32
#define STATS_MS   2000 /* for the last sessions to end */
#define ASK_MS	   10000

struct run_arguments {
	const char *backend, *server, *stats_json, *trace;
	bool stats;
};

static void make_id(char id[RUN_ID_MAX])
{
	uint64_t random = 0;

	/* Uniqueness among one user's runs is all that is asked for. */
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = clock_now_ns();
	snprintf(id, RUN_ID_MAX, "%d-%012llx", getpid(),
	    (unsigned long long)(random & 0xffffffffffffull));
}

/* count: the GPU's time is wanted too, which costs events around its work. */
static bool begin(const struct server_use *use, const char *id, bool count)
{
	struct json_object *request = json_object_new_object();

	json_object_object_add(request, "run", json_object_new_string(id));
	json_object_object_add(request, "measure", json_object_new_boolean(true));
	json_object_object_add(request, "measure_gpu", json_object_new_boolean(count));
	struct json_object *result =
	    server_ask(use, "run-begin", request, json_type_object, ASK_MS);
	bool good = result;
	json_object_put(result);
	return good;
}

/* path "-": stderr, which may be a file that opening it again would cut off. False after a
 * message. */
static bool write_json(const char *path, struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(
	    object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	bool to_stderr = !strcmp(path, "-");
	FILE *file = to_stderr ? stderr : fopen(path, "we");

	bool written = file && fprintf(file, "%s\n", text) > 0;
	if (file && !to_stderr && fclose(file))
		written = false;
	if (!written)
		cli_error("cannot write %s: %s", path, strerror(errno));
	return written;
}

/* False after a message. */
static bool show_stats(const struct run_arguments *a, const struct server_use *use, const char *id,
    const char *program, uint64_t wall_ns)
{
	struct json_object *request = json_object_new_object();

	json_object_object_add(request, "run", json_object_new_string(id));
	json_object_object_add(request, "wait_ms", json_object_new_int(STATS_MS));
	struct json_object *stats = server_ask(use, "run-stats", request, json_type_object, ASK_MS);
	if (!stats)
		return false;
	bool good = true;
	if (a->stats) {
		clearerr(stderr);
		run_print_stats(stderr, stats, program, wall_ns);
		good = !ferror(stderr);
	}
	if (a->stats_json) {
		struct json_object *json = run_stats_json(stats, program, wall_ns);
		good &= write_json(a->stats_json, json);
		json_object_put(json);
	}
	json_object_put(stats);
	return good;
}

/* The folder in which client processes leave what they observed: inside a private rosend's, which
 * is removed with it, or one of its own. */
static int make_observe_dir(const struct server_use *use, char *path, size_t size)
{
	if (!*use->folder)
		return error_trace(dir_make_temporary("rosen-observe", path, size));
	if ((size_t)snprintf(path, size, "%s/observe", use->folder) >= size)
		return error_origin(-ENAMETOOLONG);
	return error_trace(dir_make_private(path));
}

/* Leaves what is there untouched: a pipe that is opened and closed would be over for its reader. */
static int try_file(const char *path)
{
	struct stat status;

	if (stat(path, &status) == 0) {
		if (S_ISDIR(status.st_mode))
			return error_origin(-EISDIR);
		return access(path, W_OK) < 0 ? error_origin(-errno) : 0;
	}
	bool is_link = lstat(path, &status) == 0; /* to what is not there yet */
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	return fd < 0 || (!is_link && unlink(path) < 0) ? error_origin(-errno) : 0;
}

/* Before the program, which may take a day, not after it. NULL and "-" (stderr) are fine. */
static bool can_write(const char *path)
{
	if (!path || !strcmp(path, "-"))
		return true;
	int r = try_file(path);
	if (r < 0)
		cli_error("cannot write %s: %s: the program was not started", path, strerror(-r));
	return r == 0;
}

static int run_with(const struct run_arguments *a, struct run_plan *plan, struct server_use *use)
{
	char observe_dir[INSTALL_PATH_MAX];
	uint64_t start = clock_now_ns();
	bool count = a->stats || a->stats_json;
	pid_t pid;

	if ((count || a->trace) && !begin(use, plan->run, count))
		return RUN_FAILED;
	if (count || a->trace) {
		int r = make_observe_dir(use, observe_dir, sizeof(observe_dir));
		if (r < 0) {
			cli_error("cannot make a folder in %s: %s: set TMPDIR to a folder that is "
				  "writable",
			    *use->folder ? use->folder : dir_temporary(), strerror(-r));
			return RUN_FAILED;
		}
		plan->observe_dir = observe_dir;
		plan->trace = a->trace;
	}
	int status = run_start_program(plan, &pid);
	if (status == 0) {
		status = run_supervise(pid, plan->program[0], use);
		bool told = !count ||
			    show_stats(a, use, plan->run, plan->program[0], clock_now_ns() - start);
		if (a->trace && run_merge_traces(observe_dir, a->trace) < 0)
			told = false;
		if (!told && status == 0)
			status = RUN_FAILED;
	}
	if (plan->observe_dir)
		dir_remove(observe_dir);
	return status;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct run_arguments a = {0};
	const struct option_row rows[] = {
	    cli_setting("backend", "NAME", &a.backend),
	    cli_setting("server", "PATH", &a.server),
	    OPTION_ROW_SWITCH("stats", &a.stats,
		"Print a table of what crossed the path to stderr when the program has ended."),
	    OPTION_ROW_TEXT("stats-json", "FILE", &a.stats_json,
		"Write the same to FILE as JSON; - means stderr."),
	    OPTION_ROW_TEXT("trace", "FILE", &a.trace,
		"Record every call and wait, and write them to FILE as JSON for Perfetto "
		"(ui.perfetto.dev) and chrome://tracing."),
	};
	struct server_use use;
	struct config config;
	char id[RUN_ID_MAX];
	int rest, done = cli_parse(command, rows, ARRAY_SIZE(rows), argc, argv, &rest);

	if (done >= 0)
		return done;
	if (rest == argc) {
		cli_error("which program? `rosen run -- PROGRAM ARGS`; see `rosen help run`");
		return CLI_USAGE;
	}
	const struct cli_flag flags[] = {{"backend", a.backend}, {"server", a.server}};
	done = cli_load_config(&config, flags, ARRAY_SIZE(flags));
	if (done)
		return done == CLI_USAGE ? CLI_USAGE : RUN_FAILED;
	if (!can_write(a.stats_json) || !can_write(a.trace) || server_take(&config, true, &use) < 0)
		return RUN_FAILED;
	make_id(id);
	struct run_plan plan = {.config = &config,
	    .use = &use,
	    .run = id,
	    .program = argv + rest,
	    .input = -1,
	    .output = -1};
	int status = run_with(&a, &plan, &use);
	server_give(&use);
	return status;
}

const struct command command_run = {
    .name = "run",
    .arguments = "[--] PROGRAM [ARGUMENTS]",
    .summary = "Run a program with its CUDA calls forwarded",
    .text =
	"Runs PROGRAM unmodified, with Rosen's libcuda.so.1 in front of the dynamic linker's "
	"search path. Its calls go to a worker that rosend starts for each process of the "
	"program.\n"
	"\n"
	"The rosend of --server is used, else the one this user runs (`rosen serve`), else a "
	"private one that is started for the program and ends with it.\n"
	"\n"
	"Signals sent to rosen run (INT, TERM, HUP, QUIT, USR1, USR2, WINCH, TSTP, CONT) reach the "
	"program; when rosen run is killed, the program gets SIGTERM.\n"
	"\n"
	"Exit status: the program's; 128 + N when signal N ended it; 127 when it was not found; "
	"126 when it cannot be executed; 125 when rosen itself failed; 2 for a wrong command "
	"line.\n"
	"\n"
	"Examples:\n"
	"  rosen run -- python3 train.py\n"
	"  rosen run --backend softgpu --stats -- ./vectorAdd\n"
	"  rosen run --trace trace.json -- ./a.out\n",
    .run = run,
};
