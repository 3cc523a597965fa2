/*
 * See fuzz-snapshot.h. Three processes: libFuzzer's, which asks through a socket; the prepared one,
 * which has one thread and only copies itself and watches the copy; and the copy.
 *
 * The copy is made by _Fork(), which leaves out what fork() does first. There are no other threads
 * whose locks would matter, and the sanitizer's handlers touch megabytes. Nor do those of the
 * software GPU run, by which it would know that it is in a child.
 *
 * An input may ask for work without end. So a copy that still works when its time is up is only
 * ended; one whose threads all sleep then waits for what does not come, and is a find.
 */
#include "worker/fuzz-snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/test.h"

#define TIME_MS	    3000
#define LOOKS	    20
#define LOOK_MS	    100
#define TICKS_MOST  2 /* that who sleeps, and looks at a clock now and then, may use in all looks */
#define RESIDENT_KB (3l << 20)

enum outcome { SERVED, LATE, STUCK, GREEDY, CRASHED };

/* The linker's names of the counters that the compiler puts into this program. */
extern uint8_t __start___sancov_cntrs[], __stop___sancov_cntrs[];

static uint8_t *counters; /* shared, as is the input */
static uint8_t *input;
static int asking = -1; /* libFuzzer's end of the socket */

static size_t n_counters(void)
{
	return (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs);
}

void *snapshot_share(size_t size)
{
	void *memory = mmap(
	    NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(memory != MAP_FAILED);
	return memory;
}

/* --- is it stuck? --- */

/* Adds the time of one thread to *ticks; false: it runs, or wants to. */
static bool thread_sleeps(const char *path, unsigned long *ticks)
{
	unsigned long user, system;
	char text[512], state;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	fd_close(fd);
	if (got <= 0)
		return true; /* it has just ended */
	text[got] = 0;
	/* The name before may hold anything. */
	const char *rest = strrchr(text, ')');
	if (!rest || sscanf(rest, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &state,
			 &user, &system) != 3)
		return false;
	*ticks += user + system;
	return state != 'R' && state != 'D';
}

static bool child_sleeps(pid_t child, unsigned long *ticks)
{
	const struct dirent *entry;
	char path[512];
	bool sleeps = true;

	*ticks = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)child);
	DIR *folder = opendir(path);
	while (folder && sleeps && (entry = readdir(folder))) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)child, entry->d_name);
		sleeps = entry->d_name[0] == '.' || thread_sleeps(path, ticks);
	}
	if (folder)
		closedir(folder);
	return sleeps;
}

static bool ends_within(int fd, int ms)
{
	struct pollfd ended = {.fd = fd, .events = POLLIN};

	return poll(&ended, 1, ms) > 0;
}

static bool is_stuck(pid_t child, int fd)
{
	unsigned long before = 0, now;

	for (unsigned i = 0; i < LOOKS; i++) {
		if (!child_sleeps(child, &now) || ends_within(fd, LOOK_MS))
			return false;
		before = before ?: now;
		if (now > before + TICKS_MOST)
			return false;
	}
	return true;
}

static enum outcome watch(pid_t child)
{
	enum outcome late = SERVED;
	int status, fd = pidfd_open(child, 0);
	struct rusage used;

	CHECK(fd >= 0);
	if (!ends_within(fd, TIME_MS)) {
		late = is_stuck(child, fd) ? STUCK : LATE;
		kill(child, SIGKILL);
	}
	fd_close(fd);
	CHECK(wait4(child, &status, 0, &used) == child);
	if (late)
		return late;
	return status ? CRASHED : used.ru_maxrss > RESIDENT_KB ? GREEDY : SERVED;
}

/* --- the three processes --- */

static _Noreturn void copies(
    int socket, void (*prepare)(void), void (*serve)(const uint8_t *, size_t))
{
	uint64_t size;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prepare();
	while (read(socket, &size, sizeof(size)) == sizeof(size)) {
		/* Here, not in the copy: pages that it does not touch stay shared. */
		memset(__start___sancov_cntrs, 0, n_counters());
		pid_t child = _Fork();
		CHECK(child >= 0);
		if (!child) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(input, size);
			memcpy(counters, __start___sancov_cntrs, n_counters());
			_exit(EXIT_SUCCESS);
		}
		uint64_t outcome = watch(child);
		CHECK(write(socket, &outcome, sizeof(outcome)) == sizeof(outcome));
	}
	_exit(EXIT_SUCCESS);
}

void snapshot_start(void (*prepare)(void), void (*serve)(const uint8_t *data, size_t size))
{
	int ends[2];

	counters = snapshot_share(n_counters());
	input = snapshot_share(SNAPSHOT_INPUT_MAX);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	pid_t copied = fork();
	CHECK(copied >= 0);
	if (!copied) {
		fd_close(ends[0]);
		copies(ends[1], prepare, serve);
	}
	fd_close(ends[1]);
	asking = ends[0];
}

int snapshot_run(const uint8_t *data, size_t size)
{
	static const char *const what[] = {
	    [STUCK] = "waits for what does not come: all its threads sleep",
	    [GREEDY] = "took too much memory",
	    [CRASHED] = "ended its worker"};
	uint64_t outcome, asked = size;
	ssize_t got;

	if (size > SNAPSHOT_INPUT_MAX)
		return -1;
	memcpy(input, data, size);
	CHECK(write(asking, &asked, sizeof(asked)) == sizeof(asked));
	/* libFuzzer's clock interrupts waits. */
	while ((got = read(asking, &outcome, sizeof(outcome))) < 0 && errno == EINTR)
		;
	CHECK(got == sizeof(outcome));
	if (outcome == LATE)
		return -1;
	if (outcome != SERVED) {
		fprintf(stderr, "The session %s.\n", what[outcome]);
		abort();
	}
	memcpy(__start___sancov_cntrs, counters, n_counters());
	return 0;
}
