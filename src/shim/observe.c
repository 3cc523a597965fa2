/*
 * Observing calls: counters in the channel's statistics area (rosend reads them while the program
 * runs) and a trace file per process (base/trace.h). Any thread; relaxed atomic additions only,
 * since counters are independent of each other and of everything else.
 */
#include "shim/observe.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/trace.h"
#include "gen/api_desc.h"
#include "shim/session.h"
#include "shim/thread.h"

#define TRACE_PIECE 4096u /* records for which room is made at a time */
#define TRACE_PAGE  4096u

static struct trace_header *trace;

/* Records that the file system has room for, and who makes more. */
static _Atomic uint64_t trace_room;
static pthread_mutex_t trace_lock = PTHREAD_MUTEX_INITIALIZER;

/* What the worker told of the calls that the thread's entry has made so far, for the trace. */
static _Thread_local struct {
	uint64_t taken_ns, worker_ns, driver_ns; /* taken: the last one */
} told __attribute__((tls_model("initial-exec")));

static struct trace_record *trace_records(void)
{
	return (struct trace_record *)(trace + 1);
}

/* Has the pages of the mapped file made now: written to later, those for which a full disk has no
 * room would end the program (SIGBUS). A kernel from before 5.14 cannot tell. */
static bool make_room(void *from, size_t size)
{
	uintptr_t start = (uintptr_t)from & ~(uintptr_t)(TRACE_PAGE - 1);
	size_t bytes = (uintptr_t)from + size - start;

	return madvise((void *)start, bytes, MADV_POPULATE_WRITE) == 0 || errno == EINVAL;
}

/* Whether there is room for that record; a full disk ends the trace, and the reader is told. */
static bool trace_reach(uint64_t at)
{
	/* Relaxed: only the pages are needed, which are there for all threads once they are. */
	if (likely(at < atomic_load_explicit(&trace_room, memory_order_relaxed)))
		return true;
	pthread_mutex_lock(&trace_lock);
	uint64_t room = atomic_load_explicit(&trace_room, memory_order_relaxed);
	while (room <= at && at < trace->capacity) {
		if (make_room(&trace_records()[room], TRACE_PIECE * sizeof(struct trace_record)))
			room += TRACE_PIECE;
		else
			trace->capacity = room;
	}
	atomic_store_explicit(&trace_room, room, memory_order_relaxed);
	pthread_mutex_unlock(&trace_lock);
	return at < room;
}

/* Makes the file, with room for its header, and maps it. NULL with errno: nothing is left of it. */
static struct trace_header *trace_map(const char *path, size_t size)
{
	_cleanup_fd_ int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct trace_header *header = MAP_FAILED;
	int why;

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, (off_t)size) == 0)
		header = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (header != MAP_FAILED && make_room(header, sizeof(*header))) {
		madvise(header, size, MADV_DONTFORK);
		return header;
	}
	/* madvise() tells of a full disk as of a bad address. */
	why = header != MAP_FAILED && errno == EFAULT ? ENOSPC : errno;
	if (header != MAP_FAILED)
		munmap(header, size);
	unlink(path);
	errno = why;
	return NULL;
}

static void trace_open(void)
{
	char path[CONFIG_TEXT_MAX + 32];
	size_t size =
	    sizeof(struct trace_header) + (size_t)TRACE_CAPACITY * sizeof(struct trace_record);
	struct timespec real;

	trace = NULL;
	snprintf(path, sizeof(path), "%s/%d.trace", session.config.observe_dir, (int)getpid());
	struct trace_header *header = trace_map(path, size);
	if (!header) {
		log_warn("cannot write the trace %s (%s): this process is not traced", path,
		    strerror(errno));
		return;
	}
	atomic_store_explicit(&trace_room, 0, memory_order_relaxed);
	pthread_mutex_init(&trace_lock, NULL); /* a fork() may have copied it locked */
	clock_gettime(CLOCK_REALTIME, &real);
	header->header_size = sizeof(struct trace_header);
	header->record_size = sizeof(struct trace_record);
	header->capacity = TRACE_CAPACITY;
	header->session = session.id;
	header->monotonic_ns = clock_now_ns();
	header->realtime_ns = (uint64_t)real.tv_sec * NSEC_PER_SEC + (uint64_t)real.tv_nsec;
	header->pid = (uint32_t)getpid();
	header->functions = API_N_FUNCTIONS;
	snprintf(header->program, sizeof(header->program), "%s", program_invocation_short_name);
	header->magic = TRACE_MAGIC;
	trace = header;
}

void observe_init(void)
{
	session.stats = *session.config.observe_dir != '\0';
	session.trace = session.stats && session.config.trace;
	if (session.trace)
		trace_open();
}

bool observe_wanted(void)
{
	return session.stats;
}

static struct chan_stat *stat_row(uint32_t function)
{
	return session.chan ? chan_stat(session.chan, function) : NULL;
}

void observe_enter(uint32_t function, struct observe_entry *entry)
{
	struct shim_thread *thread = &shim_thread;

	entry->outer = thread->entry;
	entry->waited_ns = thread->waited_ns;
	thread->entry = function;
	memset(&told, 0, sizeof(told));
	entry->start_ns = clock_now_ns();
}

static void trace_add(
    uint32_t function, uint64_t start_ns, uint64_t duration_ns, uint64_t waited_ns, CUresult result)
{
	static _Thread_local uint32_t tid __attribute__((tls_model("initial-exec")));
	/* Relaxed: only makes places distinct. */
	uint64_t at = atomic_fetch_add_explicit(&trace->used, 1, memory_order_relaxed);

	if (!trace_reach(at))
		return;
	if (!tid)
		tid = (uint32_t)syscall(SYS_gettid);
	struct trace_record *record = &trace_records()[at];
	record->duration_ns = duration_ns;
	record->waited_ns = waited_ns;
	record->taken_ns = told.taken_ns;
	record->worker_ns = told.worker_ns;
	record->driver_ns = told.driver_ns;
	record->function = function;
	record->thread = tid;
	record->result = (int32_t)result;
	/* Release: a reader that sees the start sees the rest. */
	atomic_store_explicit(&record->start_ns, start_ns, memory_order_release);
}

static void count_wait(struct chan_stat *row, uint32_t function, uint64_t waited)
{
	struct chan_time *time =
	    session.capabilities & HELLO_CAN_TIMES ? chan_time(session.chan, function) : NULL;

	atomic_fetch_add_explicit(&row->waits, 1, memory_order_relaxed);
	if (!time)
		return;
	atomic_fetch_add_explicit(&time->wait_ns, waited, memory_order_relaxed);
	atomic_fetch_add_explicit(&time->served_ns, told.worker_ns, memory_order_relaxed);
}

void observe_leave(uint32_t function, const struct observe_entry *entry, CUresult result)
{
	struct shim_thread *thread = &shim_thread;
	uint64_t duration = clock_now_ns() - entry->start_ns;
	uint64_t waited = thread->waited_ns - entry->waited_ns;
	struct chan_stat *row = stat_row(function);

	if (row) {
		atomic_fetch_add_explicit(&row->calls, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&row->client_ns, duration, memory_order_relaxed);
		if (waited)
			count_wait(row, function, waited);
	}
	if (trace)
		trace_add(function, entry->start_ns, duration, waited, result);
	thread->entry = entry->outer;
}

void observe_waited(uint64_t start_ns, uint16_t lane)
{
	if (session.capabilities & HELLO_CAN_TIMES) {
		struct chan_times times = chan_wait_times(session.chan, lane);
		told.taken_ns = times.taken_ns;
		told.worker_ns += times.worker_ns;
		told.driver_ns += times.driver_ns;
	}
	/* Never 0: a wait is counted however short. */
	shim_thread.waited_ns += clock_now_ns() - start_ns + 1;
}

void observe_bytes(size_t bytes)
{
	struct chan_stat *row = session.stats ? stat_row(shim_thread.entry) : NULL;

	if (row)
		atomic_fetch_add_explicit(&row->bytes, bytes, memory_order_relaxed);
}
