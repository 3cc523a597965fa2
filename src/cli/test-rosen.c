/*
 * rosen as people call it: exit statuses, messages, JSON, signals, and what `rosen run` leaves
 * behind (nothing). Runs in a tree of its own with workers and clients that only pretend.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/socket.h"
#include "base/test.h"
#include "control/test-tree.h"

#define OUTPUT_MAX (1 << 18)

struct result {
	int status; /* exit status; 1000 + signal */
	char out[OUTPUT_MAX], error[OUTPUT_MAX];
};

static struct result result;
static struct test_tree tree;
static char client[64];

static void make_folder(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%.40s/%s", tree.folder, name);
	CHECK(mkdir(path, 0700) == 0 || errno == EEXIST);
}

static void make_file(const char *name, mode_t mode)
{
	char path[128];

	snprintf(path, sizeof(path), "%.40s/%s", tree.folder, name);
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, mode);
	CHECK(fd >= 0);
	close(fd);
}

/* A tree with a temporary folder of its own, so that leftovers are seen. */
static void set_up(const char *behaviour)
{
	char path[96];

	if (!getenv("TEST_ROSEN") || !getenv("TEST_CLIENT"))
		SKIP("run it through the build: TEST_ROSEN and TEST_CLIENT are not set");
	tree = test_tree_make(behaviour);
	test_tree_add(&tree, getenv("TEST_ROSEN"), "bin/rosen");
	test_tree_add(&tree, getenv("TEST_CLIENT"), "client");
	snprintf(client, sizeof(client), "%.40s/client", tree.folder);
	snprintf(path, sizeof(path), "%s/tmp", tree.folder);
	CHECK_EQ(mkdir(path, 0700), 0);
	setenv("TMPDIR", path, 1);
	snprintf(path, sizeof(path), "%s/run", tree.folder);
	CHECK_EQ(mkdir(path, 0700), 0);
	setenv("XDG_RUNTIME_DIR", path, 1);
	make_folder("lib");
	make_folder("lib/rosen");
	make_file("lib/rosen/libcuda.so.1", 0600);
	unsetenv("ROSEN_SERVER");
	unsetenv("LD_LIBRARY_PATH");
}

static size_t count_temporary(void)
{
	DIR *folder = opendir(getenv("TMPDIR"));
	size_t count = 0;

	CHECK(folder);
	for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count;
}

/* Nothing may be left of what the test started. */
static void tear_down(void)
{
	uint64_t limit = clock_now_ns() + NSEC_PER_SEC;

	while (test_tree_processes(&tree) || count_temporary()) {
		CHECK(clock_now_ns() < limit);
		nanosleep(&(struct timespec){.tv_nsec = 5 * NSEC_PER_MSEC}, NULL);
	}
	CHECK_EQ(dir_remove(tree.folder), 0);
}

#define ARGUMENTS_MAX 16
#define ROSEN(...)    rosen((const char *const[]){"rosen", __VA_ARGS__, NULL})

static pid_t start_rosen(const char *const *arguments, int out, int error)
{
	char path[96], *argv[ARGUMENTS_MAX] = {0};
	pid_t parent = getpid();

	snprintf(path, sizeof(path), "%s/bin/rosen", tree.folder);
	for (size_t i = 0; arguments[i]; i++)
		argv[i] = (char *)arguments[i];
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent && dup2(out, STDOUT_FILENO) >= 0 && dup2(error, STDERR_FILENO) >= 0)
		execv(path, argv);
	_exit(99);
}

static void read_back(int fd, char *text)
{
	ssize_t size = pread(fd, text, OUTPUT_MAX - 1, 0);

	CHECK(size >= 0);
	text[size] = '\0';
	fd_close(fd);
}

static int wait_for(pid_t pid)
{
	int status;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int rosen(const char *const *arguments)
{
	int out = memfd_create("out", MFD_CLOEXEC), error = memfd_create("error", MFD_CLOEXEC);

	CHECK(out >= 0 && error >= 0);
	result.status = wait_for(start_rosen(arguments, out, error));
	read_back(out, result.out);
	read_back(error, result.error);
	return result.status;
}

TEST(exit_status_is_the_programs)
{
	set_up("ok");
	CHECK_EQ(ROSEN("run", "--", "sh", "-c", "exit 7"), 7);
	CHECK_STR(result.error, "");
	CHECK_EQ(ROSEN("run", "sh", "-c", "kill -KILL $$"), 128 + 9);
	CHECK_EQ(ROSEN("run", "--", "no-such-program"), 127);
	CHECK(strstr(result.error, "no-such-program"));
	CHECK_EQ(ROSEN("run", "--", "/etc/passwd"), 126);
	CHECK_EQ(ROSEN("run", "--", "/etc"), 126);
	CHECK(strstr(result.error, "cannot execute /etc: Is a directory"));
	CHECK_EQ(ROSEN("run", "--server", "/no/such/socket", "--", "true"), 125);
	CHECK(strstr(result.error, "/no/such/socket"));
	char longer[128];
	snprintf(longer, sizeof(longer), "/%0110d", 0);
	CHECK_EQ(ROSEN("run", "--server", longer, "--", "true"), 125);
	CHECK(strstr(result.error, "which has at most 107 bytes"));
	CHECK_EQ(ROSEN("run", "--", ""), 127);
	CHECK(strstr(result.error, "a program's name cannot be empty"));
	CHECK_EQ(ROSEN("run"), 2);
	tear_down();
}

static void check_incomplete(const char *part)
{
	char path[128];

	set_up("ok");
	snprintf(path, sizeof(path), "%.40s/%s", tree.folder, part);
	CHECK_EQ(unlink(path), 0);
	CHECK_EQ(ROSEN("run", "--", "echo", "started"), 125);
	CHECK_STR(result.out, "");
	CHECK(strstr(result.error, path));
	CHECK(strstr(result.error, "No such file or directory: the installation is incomplete"));
	tear_down();
}

/* In its place a program would find another libcuda.so.1, or none. */
TEST(tree_without_the_library_runs_nothing)
{
	check_incomplete("lib/rosen/libcuda.so.1");
}

TEST(tree_without_rosend_runs_nothing)
{
	check_incomplete("bin/rosend");
}

TEST(tree_that_no_search_path_can_name_runs_nothing)
{
	static const char *const folders[] = {"a:b", "a:b/bin", "a:b/lib", "a:b/lib/rosen"};

	set_up("ok");
	struct test_tree whole = tree;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		make_folder(folders[i]);
	test_tree_add(&tree, getenv("TEST_ROSEN"), "a:b/bin/rosen");
	test_tree_add(&tree, getenv("TEST_ROSEND"), "a:b/bin/rosend");
	make_file("a:b/lib/rosen/libcuda.so.1", 0600);
	strcat(tree.folder, "/a:b");
	CHECK_EQ(ROSEN("run", "--", "echo", "started"), 125);
	CHECK_STR(result.out, "");
	CHECK(strstr(result.error, "a colon or a semicolon ends an entry"));
	tree = whole;
	tear_down();
}

/* A caller that asked for a report and has none is told by the status; a failure of the program's
 * own comes first. */
TEST(report_that_cannot_be_written_shows_in_the_status)
{
	static const char *const options[] = {"--stats-json", "--trace"};

	set_up("ok");
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		CHECK_EQ(ROSEN("run", options[i], "/dev/full", "--", "true"), 125);
		CHECK(strstr(result.error, "/dev/full"));
		CHECK(strstr(result.error, "No space left on device"));
		CHECK_EQ(ROSEN("run", options[i], "/dev/full", "--", "sh", "-c", "exit 7"), 7);
	}
	int out = memfd_create("out", MFD_CLOEXEC), full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	CHECK_EQ(
	    wait_for(start_rosen(
		(const char *const[]){"rosen", "run", "--stats", "--", "true", NULL}, out, full)),
	    125);
	fd_close(out);
	fd_close(full);
	tear_down();
}

TEST(wrong_command_lines_are_2)
{
	set_up("ok");
	static const char *const names[] = {
	    "run", "serve", "ps", "devices", "info", "doctor", "version", "help"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		CHECK_EQ(ROSEN(names[i], "--no-such-option"), 2);
		CHECK(strstr(result.error, "--no-such-option"));
		CHECK_STR(result.out, "");
		CHECK_EQ(ROSEN(names[i], "--help"), 0);
		CHECK(strstr(result.out, "Usage: rosen"));
		CHECK(strstr(result.out, "Options:"));
		CHECK_EQ(ROSEN("help", names[i]), 0);
	}
	CHECK_EQ(ROSEN("run", "--backend", "abacus", "--", "true"), 2);
	CHECK(strstr(result.error, "--backend is \"abacus\": give one of auto, cuda"));
	CHECK_EQ(ROSEN("info", "--backend", "abacus"), 2);
	CHECK_EQ(ROSEN("serve", "--log", "loud"), 2);
	CHECK(strstr(result.error, "--log is \"loud\": give one of error"));
	CHECK_EQ(ROSEN("ps", "surplus"), 2);
	CHECK_EQ(ROSEN("help", "ps", "surplus"), 2);
	CHECK_EQ(ROSEN("no-such-command"), 2);
	CHECK_EQ(ROSEN("help", "no-such-command"), 2);
	CHECK_EQ(ROSEN("info", "--config", "--coverage"), 2);
	CHECK_EQ(ROSEN("--help"), 0);
	CHECK(strstr(result.out, "doctor"));
	tear_down();
}

TEST(program_gets_its_environment)
{
	set_up("ok");
	char wanted[256];

	setenv("LD_LIBRARY_PATH", "/some/where", 1);
	setenv("ROSEN_SPIN_US", "3", 1);
	CHECK_EQ(ROSEN("run", "--backend", "softgpu", "--", "env"), 0);
	snprintf(wanted, sizeof(wanted), "LD_LIBRARY_PATH=%s/lib/rosen:/some/where\n", tree.folder);
	CHECK(strstr(result.out, wanted));
	CHECK(strstr(result.out, "ROSEN_BACKEND=softgpu\n"));
	CHECK(strstr(result.out, "ROSEN_SPIN_US=3\n"));
	CHECK(strstr(result.out, "ROSEN_RUN="));
	CHECK(!strstr(result.out, "ROSEN_TRACE="));
	tear_down();
}

/* Programs on the software GPU are made to compile to PTX; the user's own assembler stays. */
TEST(software_gpu_gets_its_compilers)
{
	set_up("ok");
	char wanted[256];

	make_folder("lib/rosen/softgpu");
	make_file("lib/rosen/softgpu/softgpu-audit.so", 0600);
	make_file("lib/rosen/softgpu/ptxas", 0700);
	setenv("TRITON_PTXAS_BLACKWELL_PATH", "/my/ptxas", 1);
	CHECK_EQ(ROSEN("run", "--backend", "softgpu", "--", "env"), 0);
	snprintf(wanted, sizeof(wanted), "LD_AUDIT=%s/lib/rosen/softgpu/softgpu-audit.so\n",
	    tree.folder);
	CHECK(strstr(result.out, wanted));
	snprintf(
	    wanted, sizeof(wanted), "TRITON_PTXAS_PATH=%s/lib/rosen/softgpu/ptxas\n", tree.folder);
	CHECK(strstr(result.out, wanted));
	CHECK(strstr(result.out, "TRITON_PTXAS_BLACKWELL_PATH=/my/ptxas\n"));
	CHECK_EQ(ROSEN("run", "--backend", "cuda", "--", "env"), 0);
	CHECK(!strstr(result.out, "LD_AUDIT="));
	CHECK(!strstr(result.out, "TRITON_PTXAS_PATH="));
	tear_down();
}

TEST(settings_file_reaches_the_program)
{
	set_up("ok");
	char path[96];

	snprintf(path, sizeof(path), "%s/rosen.conf", tree.folder);
	FILE *file = fopen(path, "w");
	CHECK(file && fputs("sync = yes\n", file) >= 0 && fclose(file) == 0);
	setenv("ROSEN_CONFIG", path, 1);
	CHECK_EQ(ROSEN("run", "--", "env"), 0);
	CHECK(strstr(result.out, "ROSEN_SYNC=yes\n"));
	CHECK_EQ(truncate(path, 0), 0);
	file = fopen(path, "w");
	CHECK(file && fputs("sync = perhaps\n", file) >= 0 && fclose(file) == 0);
	CHECK_EQ(ROSEN("run", "--", "true"), 125);
	CHECK(strstr(result.error, "rosen.conf:1: sync is \"perhaps\""));
	tear_down();
}

TEST(session_counts_in_the_statistics)
{
	set_up("ok");
	char path[96];

	snprintf(path, sizeof(path), "%s/stats.json", tree.folder);
	CHECK_EQ(ROSEN("run", "--backend", "softgpu", "--stats", "--stats-json", path, "--", client,
		     "count", "count"),
	    0);
	CHECK_STR(result.out, "open\n");
	CHECK(strstr(result.error, "what crossed the path"));
	CHECK(strstr(result.error, "backend softgpu"));
	struct json_object *json = json_object_from_file(path);
	struct json_object *total = json_object_object_get(json, "total");
	CHECK_EQ(json_object_get_int64(json_object_object_get(total, "calls")), 2);
	CHECK_EQ(json_object_get_int64(json_object_object_get(total, "messages")), 4);
	CHECK_EQ(json_object_get_int64(json_object_object_get(json, "sessions")), 1);
	json_object_put(json);
	CHECK_EQ(ROSEN("run", "--stats", "--", "true"), 0);
	CHECK(strstr(result.error, "no CUDA call"));
	CHECK_EQ(ROSEN("run", "--stats-json", "-", "--", "true"), 0);
	json = json_tokener_parse(result.error);
	CHECK_EQ(json_object_get_int64(json_object_object_get(json, "sessions")), 0);
	json_object_put(json);
	tear_down();
}

TEST(trace_is_chromes_json)
{
	set_up("ok");
	char path[96];

	snprintf(path, sizeof(path), "%s/trace.json", tree.folder);
	CHECK_EQ(ROSEN("run", "--trace", path, "--", client, "trace"), 0);
	CHECK(strstr(result.error, "3 calls were not recorded"));
	struct json_object *json = json_object_from_file(path);
	struct json_object *events = json_object_object_get(json, "traceEvents");
	CHECK_EQ(json_object_array_length(events), 3);
	struct json_object *call = json_object_array_get_idx(events, 1),
			   *wait = json_object_array_get_idx(events, 2);
	CHECK_STR(json_object_get_string(json_object_object_get(call, "ph")), "X");
	CHECK_STR(json_object_get_string(json_object_object_get(wait, "name")), "wait");
	CHECK(json_object_get_double(json_object_object_get(call, "ts")) == 5000.001);
	CHECK(json_object_get_double(json_object_object_get(wait, "ts")) == 5001.001);
	CHECK(json_object_get_double(json_object_object_get(wait, "dur")) == 2.0);
	json_object_put(json);
	tear_down();
}

static void check_json(enum json_type type, const char *const *arguments, int status)
{
	CHECK_EQ(rosen(arguments), status);
	struct json_object *json = json_tokener_parse(result.out);
	CHECK(json_object_is_type(json, type));
	json_object_put(json);
}

#define JSON(type, status, ...)                                                                    \
	check_json(type, (const char *const[]){"rosen", __VA_ARGS__, "--json", NULL}, status)

TEST(json_is_json)
{
	set_up("cuda=fail");
	JSON(json_type_object, 0, "version");
	JSON(json_type_object, 0, "info");
	JSON(json_type_array, 0, "info", "--config");
	JSON(json_type_object, 0, "info", "--coverage");
	JSON(json_type_array, 0, "devices");
	/* The tree has no libraries: the doctor must find that. */
	JSON(json_type_object, 1, "doctor");
	CHECK_EQ(ROSEN("ps", "--json"), 1);
	CHECK(strstr(result.error, "no rosend runs"));
	test_tree_restart(&tree);
	JSON(json_type_array, 0, "ps", "--server", tree.socket);
	kill(tree.pid, SIGTERM);
	CHECK_EQ(wait_for(tree.pid), 0);
	tear_down();
}

TEST(coverage_adds_up)
{
	static const char *const classes[] = {"sync", "async", "local", "nosup"};
	int64_t sum = 0;

	set_up("ok");
	CHECK_EQ(ROSEN("info", "--coverage", "--json"), 0);
	struct json_object *json = json_tokener_parse(result.out);
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		sum += json_object_get_int64(json_object_object_get(json, classes[i]));
	int64_t total = json_object_get_int64(json_object_object_get(json, "total"));
	CHECK_EQ(total, 637);
	CHECK_EQ(sum, total);
	CHECK_EQ(json_object_array_length(json_object_object_get(json, "functions")), total);
	CHECK_EQ(json_object_get_int64(json_object_object_get(json, "live")),
	    total - json_object_get_int64(json_object_object_get(json, "nosup")));
	json_object_put(json);
	tear_down();
}

TEST(settings_show_their_source)
{
	set_up("ok");
	setenv("ROSEN_LANES", "77", 1);
	CHECK_EQ(ROSEN("info", "--config", "--backend", "softgpu", "--json"), 0);
	struct json_object *json = json_tokener_parse(result.out);
	CHECK_EQ(json_object_array_length(json), config_n_entries);
	for (size_t i = 0; i < config_n_entries; i++) {
		struct json_object *entry = json_object_array_get_idx(json, i);
		const char *name = json_object_get_string(json_object_object_get(entry, "name"));
		const char *source =
		    json_object_get_string(json_object_object_get(entry, "source"));
		CHECK_STR(name, config_entries[i].name);
		if (!strcmp(name, "lanes"))
			CHECK_STR(source, "environment");
		if (!strcmp(name, "backend"))
			CHECK_STR(source, "flag");
		if (!strcmp(name, "arena"))
			CHECK_STR(source, "standard");
	}
	json_object_put(json);
	tear_down();
}

/* Starts `rosen run` on a client that sleeps, and waits until it has its session. */
static pid_t start_sleeper(const char *const *arguments)
{
	int ends[2], null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	char text[8];

	CHECK(null >= 0);
	CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = start_rosen(arguments, ends[1], null);
	fd_close(ends[1]);
	fd_close(null);
	CHECK_EQ(read(ends[0], text, 5), 5);
	fd_close(ends[0]);
	return pid;
}

TEST(signals_reach_the_program)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

	set_up("ok");
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		signal(signals[i], SIG_DFL); /* background jobs are born ignoring some */
		pid_t pid = start_sleeper(
		    (const char *const[]){"rosen", "run", "--", client, "sleep", NULL});
		kill(pid, signals[i]);
		CHECK_EQ(wait_for(pid), 128 + signals[i]);
	}
	tear_down();
}

TEST(stopping_and_continuing_follow_the_program)
{
	int status;

	set_up("ok");
	pid_t pid = start_rosen(
	    (const char *const[]){"rosen", "run", "--", "sh", "-c", "kill -STOP $$; exit 3", NULL},
	    STDOUT_FILENO, STDERR_FILENO);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status));
	kill(pid, SIGCONT);
	CHECK_EQ(wait_for(pid), 3);
	tear_down();
}

TEST(killed_run_takes_all_with_it)
{
	set_up("ok");
	pid_t pid = start_sleeper(
	    (const char *const[]){"rosen", "run", "--stats", "--", client, "deaf", "sleep", NULL});
	/* rosen, rosend, worker, client */
	CHECK_EQ(test_tree_processes(&tree), 4);
	kill(pid, SIGKILL);
	CHECK_EQ(wait_for(pid), 1000 + SIGKILL);
	tear_down();
}

/* This tree has no client for it. */
TEST(bench_says_what_it_lacks)
{
	set_up("ok");
	CHECK_EQ(ROSEN("bench", "--backend", "softgpu"), 1);
	CHECK(strstr(result.error, "rosen-bench-client: no such program"));
	CHECK_STR(result.out, "");
	tear_down();
}

TEST(running_rosend_is_used)
{
	set_up("ok");
	test_tree_restart(&tree);
	setenv("ROSEN_SERVER", tree.socket, 1);
	pid_t pid =
	    start_sleeper((const char *const[]){"rosen", "run", "--", client, "sleep", NULL});
	CHECK_EQ(count_temporary(), 0);
	CHECK_EQ(ROSEN("ps"), 0);
	CHECK(strstr(result.out, "fake-client"));
	kill(pid, SIGTERM);
	CHECK_EQ(wait_for(pid), 128 + SIGTERM);
	kill(tree.pid, SIGTERM);
	CHECK_EQ(wait_for(tree.pid), 0);
	tear_down();
}

/* The program may go elsewhere before it looks for it. */
TEST(server_may_have_a_relative_path)
{
	set_up("ok");
	test_tree_restart(&tree);
	CHECK_EQ(chdir(tree.folder), 0);
	CHECK_EQ(ROSEN("run", "--server", strrchr(tree.socket, '/') + 1, "--", "sh", "-c",
		     "cd / && test -S \"$ROSEN_SERVER\""),
	    0);
	CHECK_EQ(chdir("/"), 0);
	kill(tree.pid, SIGTERM);
	CHECK_EQ(wait_for(tree.pid), 0);
	tear_down();
}

/* Answers whoever asks at path with text, until it is killed. */
static pid_t start_stranger(const char *path, const char *text)
{
	char error[SOCKET_ERROR_MAX], question[4096];
	pid_t parent = getpid();
	int listener;

	CHECK_EQ(socket_listen(path, false, false, &listener, error), 0);
	CHECK_EQ(fcntl(listener, F_SETFL, 0), 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid) {
		fd_close(listener);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent) {
		_cleanup_fd_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (recv(fd, question, sizeof(question), 0) > 0)
			send(fd, text, strlen(text), MSG_NOSIGNAL);
	}
	_exit(0);
}

/* What listens at a path need not be rosend. */
TEST(stranger_at_the_socket_is_told)
{
	static const char *const answers[] = {
	    "hello", "{}", "\"7\"", "{\"result\":5}", "{\"result\":[7, [], {\"devices\":7}]}"};
	static const char *const commands[] = {"ps", "devices", "doctor"};

	set_up("ok");
	setenv("ROSEN_SERVER", tree.socket, 1);
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		bool is_array = strchr(answers[i], '[');
		pid_t pid = start_stranger(tree.socket, answers[i]);
		for (size_t k = 0; k < ARRAY_SIZE(commands); k++) {
			CHECK_EQ(ROSEN(commands[k]), !is_array || !strcmp(commands[k], "doctor"));
			CHECK(is_array || strstr(result.error, "in another way than a rosend"));
		}
		kill(pid, SIGKILL);
		CHECK_EQ(wait_for(pid), 1000 + SIGKILL);
	}
	CHECK_EQ(unlink(tree.socket), 0);
	tear_down();
}

/* What the host's settings say of others does not concern it. */
TEST(private_rosend_is_nobody_elses)
{
	set_up("ok");
	setenv("ROSEN_ALLOW_USERS", "no-such-user", 1);
	CHECK_EQ(ROSEN("devices"), 0);
	tear_down();
}

TEST(doctor_judges_programs)
{
	set_up("ok");
	CHECK_EQ(ROSEN("doctor", "--json", "--", "/etc", "sh", "no-such-program"), 1);
	struct json_object *json = json_tokener_parse(result.out);
	struct json_object *findings = json_object_object_get(json, "findings");
	size_t n = json_object_array_length(findings);
	struct json_object *folder = json_object_array_get_idx(findings, n - 3),
			   *sh = json_object_array_get_idx(findings, n - 2),
			   *none = json_object_array_get_idx(findings, n - 1);
	CHECK_STR(
	    json_object_get_string(json_object_object_get(folder, "text")), "/etc: Is a directory");
	CHECK_STR(json_object_get_string(json_object_object_get(sh, "state")), "ok");
	CHECK_STR(json_object_get_string(json_object_object_get(none, "state")), "bad");
	CHECK(*json_object_get_string(json_object_object_get(none, "mend")));
	json_object_put(json);
	tear_down();
}

/* A rosend that could not start either would only say the same again. */
TEST(doctor_tells_of_wrong_settings_once)
{
	set_up("ok");
	setenv("ROSEN_SYNC", "maybe", 1);
	CHECK_EQ(ROSEN("doctor"), 1);
	CHECK(strstr(result.out, "ROSEN_SYNC is \"maybe\": give yes or no"));
	CHECK(!strstr(result.out, "rosend  "));
	CHECK_STR(result.error, "");
	tear_down();
}
