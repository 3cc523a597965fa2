/*
 * See shared_event.h. Recordings are numbered; each has a slot, used again when SLOTS more were
 * begun, with the number that is done and the process that began it, since a process that is killed
 * leaves its recordings undone and nobody shall wait for them for ever.
 *
 * The file's descriptor is had from a thread of the process that made the event, over a unix socket
 * which leaves nothing in the file system. Its name is a random number that everybody on the
 * machine can see; so the handle holds a secret besides, without which there is no answer, as there
 * is none for other users.
 */
#include "softgpu/driver/shared_event.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/list.h"

#define HANDLE_MAGIC 0x7665757067666f73 /* "sofgpuev" */
#define SLOTS	     64
#define LOOK_MS	     10 /* how often a waiting process looks whether the other one lives */
#define ANSWER_S     2
#define NAME_SIZE    16
#define SECRET_SIZE  16

/* What a process asks for. */
struct request {
	uint64_t number;
	uint8_t secret[SECRET_SIZE];
};

struct event_handle {
	uint64_t magic, pid;
	struct request request;
	uint8_t name[NAME_SIZE];
	uint64_t zero;
};
_Static_assert(sizeof(struct event_handle) == sizeof(CUipcEventHandle), "it travels as one");

/* In the file. */
struct board {
	_Atomic uint64_t last;
	_Atomic uint32_t bell; /* rung with each that is done */
	struct {
		_Atomic uint64_t done;
		_Atomic int32_t pid;
	} slots[SLOTS];
};

struct sg_shared_event {
	atomic_uint references;
	struct board *board;
	int fd;
	struct list link; /* of those with a handle; under lock */
	uint64_t number;  /* in the handle; 0: it has none yet */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list offered = {&offered, &offered};
static uint64_t last_number;
static uint8_t own_name[NAME_SIZE]; /* of the listening socket */
static uint8_t own_secret[SECRET_SIZE];
static pid_t listening; /* the process that listens by that name; 0: none */

/* --- life --- */

static int make(int fd, struct sg_shared_event **out)
{
	struct sg_shared_event *shared = calloc(1, sizeof(*shared));
	void *board = mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (!shared || board == MAP_FAILED) {
		if (board != MAP_FAILED)
			munmap(board, sizeof(struct board));
		free(shared);
		fd_close(fd);
		return error_origin(-ENOMEM);
	}
	shared->references = 1;
	shared->board = board;
	shared->fd = fd;
	list_init(&shared->link);
	*out = shared;
	return 0;
}

int sg_shared_event_new(struct sg_shared_event **out)
{
	int fd;
	int r = fd_memory("softgpu-event", sizeof(struct board), &fd);

	return r < 0 ? error_trace(r) : error_trace(make(fd, out));
}

struct sg_shared_event *sg_shared_event_ref(struct sg_shared_event *shared)
{
	/* Relaxed: the caller has a reference. */
	atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
	return shared;
}

void sg_shared_event_unref(struct sg_shared_event *shared)
{
	if (!shared)
		return;
	pthread_mutex_lock(&lock);
	bool last = atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) == 1;
	if (last)
		list_remove(&shared->link);
	pthread_mutex_unlock(&lock);
	if (!last)
		return;
	munmap(shared->board, sizeof(*shared->board));
	fd_close(shared->fd);
	free(shared);
}

/* --- what happened --- */

uint64_t sg_shared_event_record(struct sg_shared_event *shared)
{
	struct board *board = shared->board;
	uint64_t number = atomic_fetch_add(&board->last, 1) + 1;

	atomic_store(&board->slots[number % SLOTS].pid, getpid());
	return number;
}

void sg_shared_event_done(struct sg_shared_event *shared, uint64_t number)
{
	struct board *board = shared->board;
	_Atomic uint64_t *done = &board->slots[number % SLOTS].done;
	uint64_t before = atomic_load(done);

	/* Release, as are all: who sees it done sees what was done before. */
	while (before < number && !atomic_compare_exchange_weak(done, &before, number))
		;
	atomic_fetch_add(&board->bell, 1);
	syscall(SYS_futex, &board->bell, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

uint64_t sg_shared_event_last(struct sg_shared_event *shared)
{
	return atomic_load(&shared->board->last);
}

bool sg_shared_event_is_done(struct sg_shared_event *shared, uint64_t number)
{
	struct board *board = shared->board;
	/* A slot that was used again has a later number. */
	bool done = !number || atomic_load(&board->slots[number % SLOTS].done) >= number;
	int32_t pid = done ? 0 : atomic_load(&board->slots[number % SLOTS].pid);

	return done || (pid && kill(pid, 0) < 0 && errno == ESRCH);
}

void sg_shared_event_sleep(struct sg_shared_event *shared, uint64_t number)
{
	const struct timespec most = {.tv_nsec = LOOK_MS * 1000000};
	uint32_t bell = atomic_load(&shared->board->bell);

	if (!sg_shared_event_is_done(shared, number))
		syscall(SYS_futex, &shared->board->bell, FUTEX_WAIT, bell, &most, NULL, 0);
}

/* --- handing the file out --- */

static socklen_t address_of(const uint8_t name[NAME_SIZE], struct sockaddr_un *address)
{
	static const char prefix[] = "softgpu-";

	*address = (struct sockaddr_un){.sun_family = AF_UNIX}; /* sun_path[0] 0: no file */
	memcpy(address->sun_path + 1, prefix, sizeof(prefix) - 1);
	memcpy(address->sun_path + sizeof(prefix), name, NAME_SIZE);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(prefix) + NAME_SIZE);
}

static bool is_own_user(int socket)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
	       peer.uid == geteuid();
}

static void limit_patience(int socket)
{
	const struct timeval most = {.tv_sec = ANSWER_S};

	setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most));
}

static void answer(int client)
{
	struct request request;
	uint64_t number;

	limit_patience(client);
	if (!is_own_user(client) ||
	    fd_receive(client, &request, sizeof(request), NULL, NULL, 0) != sizeof(request) ||
	    memcmp(request.secret, own_secret, sizeof(own_secret)) != 0)
		return;
	number = request.number;
	pthread_mutex_lock(&lock);
	list_for_each (&offered, link) {
		struct sg_shared_event *shared = container_of(link, struct sg_shared_event, link);
		if (shared->number == number)
			fd_send(client, &number, sizeof(number), &shared->fd, 1);
	}
	pthread_mutex_unlock(&lock);
}

static void *serve(void *socket)
{
	int listener = (int)(intptr_t)socket;

	for (;;) {
		_cleanup_fd_ int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (client >= 0)
			answer(client);
		else if (errno != EINTR && errno != ECONNABORTED)
			usleep(LOOK_MS * 1000); /* out of descriptors */
	}
	return NULL;
}

static int start_thread(int listener)
{
	sigset_t all, before;
	pthread_t thread;

	sigfillset(&all); /* the process's signals are for its other threads */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&thread, NULL, serve, (void *)(intptr_t)listener);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		pthread_detach(thread);
	return r ? error_origin(-r) : 0;
}

/* Under the lock. */
static int listen_once(void)
{
	struct sockaddr_un address;

	if (listening == getpid())
		return 0;
	if (getrandom(own_name, sizeof(own_name), 0) != sizeof(own_name) ||
	    getrandom(own_secret, sizeof(own_secret), 0) != sizeof(own_secret))
		return error_origin(-EIO);
	_cleanup_fd_ int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	socklen_t length = address_of(own_name, &address);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) < 0 ||
	    listen(listener, SLOTS) < 0)
		return error_origin(-errno);
	int r = start_thread(listener);
	if (r < 0)
		return error_trace(r);
	listener = -1; /* the thread's */
	listening = getpid();
	return 0;
}

CUresult sg_shared_event_handle(struct sg_shared_event *shared, CUipcEventHandle *out)
{
	struct event_handle handle = {.magic = HANDLE_MAGIC, .pid = (uint64_t)getpid()};

	pthread_mutex_lock(&lock);
	int r = listen_once();
	if (r == 0 && !shared->number) {
		shared->number = ++last_number;
		list_append(&offered, &shared->link);
	}
	handle.request.number = shared->number;
	memcpy(handle.request.secret, own_secret, sizeof(own_secret));
	memcpy(handle.name, own_name, sizeof(handle.name));
	pthread_mutex_unlock(&lock);
	if (r < 0)
		return CUDA_ERROR_OPERATING_SYSTEM;
	memcpy(out, &handle, sizeof(handle));
	return CUDA_SUCCESS;
}

/* Asks who made it; -1: nobody answers. */
static int ask(const struct event_handle *handle)
{
	struct sockaddr_un address;
	uint64_t number;
	size_t n_fds = 1;
	int fd = -1;

	_cleanup_fd_ int server = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (server < 0)
		return -1;
	limit_patience(server);
	socklen_t length = address_of(handle->name, &address);
	if (connect(server, (struct sockaddr *)&address, length) < 0 || !is_own_user(server) ||
	    fd_send(server, &handle->request, sizeof(handle->request), NULL, 0) < 0 ||
	    fd_receive(server, &number, sizeof(number), &fd, &n_fds, 0) < 0 || !n_fds)
		return -1;
	return fd;
}

CUresult sg_shared_event_open(const CUipcEventHandle *bytes, struct sg_shared_event **out)
{
	struct event_handle handle;
	struct stat status;

	memcpy(&handle, bytes, sizeof(handle));
	if (handle.magic != HANDLE_MAGIC)
		return CUDA_ERROR_INVALID_VALUE;
	if (handle.pid == (uint64_t)getpid())
		return CUDA_ERROR_INVALID_CONTEXT;
	int fd = ask(&handle);
	if (fd < 0 || fstat(fd, &status) < 0 || (size_t)status.st_size != sizeof(struct board)) {
		fd_close(fd);
		return CUDA_ERROR_INVALID_HANDLE;
	}
	return make(fd, out) < 0 ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}
