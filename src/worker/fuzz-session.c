/*
 * A worker over the software GPU, as a hostile program reaches it: the input is the row of records
 * (fuzz-records.h) of one session, served one after the other. Nothing may crash, grow without end
 * or sleep for ever, whatever the records say.
 *
 * A device remembers what was done to it, and what an input finds there should not depend on those
 * before it. So each input has a child process of its own, in which driver and worker begin anew,
 * with threads and all. The child's counters of coverage come back through shared memory; its
 * crash is reported in the child, as by any target, and then ends the parent.
 *
 * What cannot end by itself is left out: waits for a word in memory that nobody writes. Callbacks
 * find the session over and return at once. A grid of any size may be launched, so a child that
 * still works when its time is up is only ended; one whose threads all sleep then waits for what
 * does not come, and is a find.
 *
 * Images and kernels: a session's attachments are what the conformance programs load, and compiled
 * code is kept beside the build.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/test.h"
#include "gen/api_ids.h"
#include "gen/cuda_api.h"
#include "softgpu/driver/memory.h"
#include "worker/backend_host.h"
#include "worker/callback.h"
#include "worker/fuzz-records.h"

#define TIME_MS	    3000
#define LOOKS	    20
#define LOOK_MS	    100
#define TICKS_MOST  2 /* that who sleeps, and looks at a clock now and then, may use in all looks */
#define MEMORY_MIB  "512"
#define RESIDENT_KB (3l << 20)

/* The linker's names of the counters that the compiler puts into this program. */
extern uint8_t __start___sancov_cntrs[], __stop___sancov_cntrs[];

static struct backend backend;
static struct backend_host host;
static uint8_t *shared_counters;
static char *image;
static size_t image_size, image_at;
static struct chan *client, *server;

/* --- the parent --- */

static size_t n_counters(void)
{
	return (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs);
}

static void read_image(void)
{
	int fd = open(FUZZ_IMAGE, O_RDONLY | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);

	CHECK(size > 0);
	image_size = (size_t)size + 1;
	image = calloc(1, image_size);
	CHECK(image && pread(fd, image, (size_t)size, 0) == size);
	fd_close(fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	shared_counters =
	    mmap(NULL, n_counters(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared_counters != MAP_FAILED);
	backend_load(&backend, dlopen(NULL, RTLD_NOW));
	host = (struct backend_host){cuMemHostRegister_v2, cuMemHostUnregister,
	    cuMemHostGetDevicePointer_v2, rosen_softgpu_memory};
	read_image();
	return setenv("SOFTGPU_LLVM", FUZZ_LLVM, 0) || setenv("SOFTGPU_CACHE", FUZZ_CACHE, 0) ||
	       setenv("SOFTGPU_MEMORY", MEMORY_MIB, 1) || setenv("SOFTGPU_THREADS", "2", 0);
}

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

/* libFuzzer's clock interrupts waits. */
static bool ends_within(int fd, uint64_t ms)
{
	uint64_t until = clock_now_ns() + ms * NSEC_PER_MSEC, now;
	struct pollfd ended = {.fd = fd, .events = POLLIN};

	while ((now = clock_now_ns()) < until)
		if (poll(&ended, 1, (int)((until - now) / NSEC_PER_MSEC) + 1) > 0)
			return true;
	return false;
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

static void report(pid_t child, const char *what)
{
	fprintf(stderr, "The session %s.\n", what);
	kill(child, SIGKILL);
	abort();
}

/* 0; or -1, as libFuzzer knows it, for an input not to be kept. */
static int watch(pid_t child)
{
	int status, r, fd = pidfd_open(child, 0);
	struct rusage used;

	CHECK(fd >= 0);
	bool is_late = !ends_within(fd, TIME_MS);
	if (is_late && is_stuck(child, fd))
		report(child, "waits for what does not come: all its threads sleep");
	if (is_late)
		kill(child, SIGKILL);
	while ((r = wait4(child, &status, 0, &used)) < 0 && errno == EINTR)
		;
	CHECK(r == child);
	fd_close(fd);
	if (is_late)
		return -1;
	if (used.ru_maxrss > RESIDENT_KB)
		report(child, "took too much memory");
	if (status)
		report(child, "ended its worker");
	return 0;
}

/* --- the child --- */

/* Attached bytes are the image's, from its beginning with each call's first. */
static void attach(const struct wire_record *record)
{
	struct wire_bulk run;

	if (record->size < sizeof(*record) + sizeof(run))
		return;
	memcpy(&run, record + 1, sizeof(run));
	char *memory = chan_staging_memory(server, &run);
	if (!memory || !run.size)
		return;
	size_t size = image_at < image_size ? MIN(run.size, image_size - image_at) : 0;
	memset(memory, 0, run.size);
	memcpy(memory, image + image_at, size);
	image_at += size;
}

static bool before(struct wire_record *record)
{
	switch (record->id) {
	case API_cuStreamWaitValue32_v2:
	case API_cuStreamWaitValue64_v2:
	case API_cuStreamBatchMemOp:
	case API_cuStreamBatchMemOp_v2:
		return false;
	case WIRE_ID_ATTACH:
		attach(record);
		return true;
	default:
		image_at = 0;
		return true;
	}
}

static struct worker *make_worker(void)
{
	struct chan_geometry geometry = {
	    .ring_size = 128 << 10, .staging_size = 1 << 20, .lanes = LANES, .functions = 16};
	struct worker_options options = {.quiet_waits = true,
	    .known_idle = true,
	    .gpu_answers = true,
	    .no_waiters = true,
	    .measure_gpu = true,
	    .lanes = LANES,
	    .staging_size = geometry.staging_size,
	    .bulk_limit = 64 << 20};

	CHECK(backend.cuInit(0) == CUDA_SUCCESS);
	fuzz_open_channel(&geometry, &client, &server);
	struct worker *worker = worker_new(&options, &backend, &host, server);
	CHECK(worker);
	callbacks_stop(worker->callbacks);
	return worker;
}

static _Noreturn void serve(const uint8_t *data, size_t size)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	struct worker *worker = make_worker();
	fuzz_feed(worker, data, size, before);
	backend.cuCtxSynchronize();
	memcpy(shared_counters, __start___sancov_cntrs, n_counters());
	_exit(EXIT_SUCCESS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	log_set_level(LOG_ERROR);
	pid_t child = fork();
	CHECK(child >= 0);
	if (!child)
		serve(data, size);
	int r = watch(child);
	if (r == 0)
		memcpy(__start___sancov_cntrs, shared_counters, n_counters());
	return r;
}
