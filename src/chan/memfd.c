/*
 * The provider for two processes of one kernel: a sealed memfd as memory, futexes in it as
 * doorbells, and a unix socket that carries descriptors and whose hang-up, which the kernel sends
 * however a process ends, tells that the peer is gone.
 *
 * A futex does not notice a hang-up. The worker, which is ours, therefore has a thread that sleeps
 * in poll() on the socket: it costs nothing while nothing happens, and the worker can sleep without
 * end. A client is somebody else's program: it gets no thread from us, and its parked waits (which
 * are calls in flight, not idle time) look at the socket between slices of sleep.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "chan/futex.h"
#include "chan/provider.h"
#include "chan/region.h"

#define WATCHER_STACK (64u * 1024)

struct memfd_end {
	struct chan_end end;
	int side; /* -1: none, the peer counts as alive for ever */
	bool watched;
	pthread_t watcher;
	void (*gone)(void *context);
	void *context;
	_Atomic bool hung_up; /* the watcher saw it */
};

static struct memfd_end *memfd_end(struct chan_end *end)
{
	return container_of(end, struct memfd_end, end);
}

static void memfd_park(
    struct chan_end *end, uint32_t site, _Atomic uint32_t *doorbell, uint64_t timeout_ns)
{
	futex_wait(doorbell, DOORBELL_PARKED, timeout_ns, false);
}

static void memfd_wake(struct chan_end *end, uint32_t site, _Atomic uint32_t *doorbell)
{
	futex_wake(doorbell, false);
}

static bool hung_up(int side, int timeout_ms)
{
	/* Only what cannot be masked and the peer's shutdown: messages are not asked for. */
	struct pollfd poll_side = {.fd = side, .events = POLLRDHUP};
	int saved_errno = errno;
	/* The bare system call: poll() would be a cancellation point, and a thread of the program
	 * that waits for room holds the lock of those that do. */
	long r = syscall(SYS_poll, &poll_side, 1, timeout_ms);

	errno = saved_errno;
	return r > 0 && poll_side.revents;
}

static bool memfd_alive(struct chan_end *end)
{
	struct memfd_end *m = memfd_end(end);

	if (m->side < 0)
		return true;
	/*
	 * Relaxed: the watcher's next step is a fence and a look at the doorbells (wait_rouse_all),
	 * and who asks here set its doorbell before; one of the two sees the other.
	 */
	if (m->watched)
		return !atomic_load_explicit(&m->hung_up, memory_order_relaxed);
	return !hung_up(m->side, 0);
}

static void *watch_side(void *context)
{
	struct memfd_end *m = context;

	while (!hung_up(m->side, -1))
		; /* a signal */
	atomic_store_explicit(&m->hung_up, true, memory_order_relaxed);
	m->gone(m->context);
	return NULL;
}

static int memfd_watch(struct chan_end *end, void (*gone)(void *context), void *context)
{
	struct memfd_end *m = memfd_end(end);
	pthread_attr_t attributes;
	sigset_t all, before;

	if (m->side < 0)
		return -EOPNOTSUPP;
	m->gone = gone;
	m->context = context;
	m->watched = true;
	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, WATCHER_STACK);
	/* The process's signals are for its other threads. */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&m->watcher, &attributes, watch_side, m);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (r) {
		m->watched = false;
		return error_origin(-r);
	}
	return 0;
}

static int memfd_side_send(struct chan_end *end, const struct side_message *message, int fd)
{
	struct memfd_end *m = memfd_end(end);

	if (m->side < 0)
		return error_origin(-EOPNOTSUPP);
	return error_trace(fd_send(m->side, message, sizeof(*message), &fd, fd >= 0));
}

static int memfd_side_receive(
    struct chan_end *end, bool wait, struct side_message *message, int *fd_out)
{
	struct memfd_end *m = memfd_end(end);
	size_t n_fds = 1;
	int fd = -1;

	*fd_out = -1;
	if (m->side < 0)
		return error_origin(-EOPNOTSUPP);
	ssize_t size =
	    fd_receive(m->side, message, sizeof(*message), &fd, &n_fds, wait ? 0 : MSG_DONTWAIT);
	if (size == -ECONNRESET) /* it left our messages unread */
		return -ENODATA;
	if (size < 0)
		return (int)size;
	if (size != sizeof(*message)) {
		if (n_fds)
			fd_close(fd);
		return error_origin(-EBADMSG);
	}
	message->text[sizeof(message->text) - 1] = '\0';
	*fd_out = n_fds ? fd : -1;
	return 0;
}

static int memfd_side_socket(const struct chan_end *end)
{
	return container_of(end, struct memfd_end, end)->side;
}

static void memfd_hang_up(struct chan_end *end)
{
	struct memfd_end *m = memfd_end(end);

	if (m->side < 0)
		return;
	/* Also ends the watcher's poll(); it must not touch the channel any more afterwards. */
	shutdown(m->side, SHUT_RDWR);
	if (m->watched)
		pthread_join(m->watcher, NULL);
	m->watched = false;
}

static void memfd_abandon(struct chan_end *end)
{
	struct memfd_end *m = memfd_end(end);

	munmap(end->memory, end->size);
	m->side = fd_close(m->side);
}

static void memfd_close(struct chan_end *end)
{
	memfd_abandon(end);
	free(memfd_end(end));
}

static CHAN_PROVIDER(memfd_provider, "memfd", memfd_park, memfd_wake, memfd_wake, memfd_alive,
    memfd_watch, memfd_side_send, memfd_side_receive, memfd_side_socket, memfd_hang_up, memfd_close,
    memfd_abandon);

/* A region that its maker could shrink would be a SIGBUS for whoever touches it. */
static int region_length(int region, size_t *out)
{
	struct stat stat;
	int seals = fcntl(region, F_GET_SEALS);

	if (seals < 0 || fstat(region, &stat) < 0)
		return error_origin(-errno);
	if (!(seals & F_SEAL_SHRINK) || stat.st_size < REGION_CONTROL_SIZE)
		return error_origin(-EPROTO);
	*out = (size_t)stat.st_size;
	return 0;
}

int memfd_end_new(int region, int side, struct chan_end **out)
{
	_cleanup_fd_ int owned_region = region, owned_side = side;
	struct memfd_end *m;
	size_t size = 0;

	int r = region_length(region, &size);
	if (r < 0)
		return error_trace(r);
	m = calloc(1, sizeof(*m));
	if (!m)
		return error_origin(-ENOMEM);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, region, 0);
	if (memory == MAP_FAILED) {
		free(m);
		return error_origin(-errno);
	}
	m->end = (struct chan_end){&memfd_provider, memory, size};
	m->side = side;
	owned_side = -1; /* the mapping keeps the memory, so the region's descriptor may go */
	*out = &m->end;
	return 0;
}
