/*
 * A segment's life: its descriptor comes over the side socket with the client's number for it
 * (SIDE_SEGMENT); rosenSegmentMap names the number and the address, which lies in the host window;
 * the worker checks the descriptor, maps it there and registers it with the backend. This runs on
 * waiters, since pinning takes a second per few gigabytes.
 *
 * The descriptor comes from the tenant: only a memfd that is sealed against shrinking is mapped (a
 * page that vanished would be a SIGBUS here), and only inside the window, where nothing of the
 * worker's own lies; the kernel is told not to replace a mapping all the same. Memory that the
 * program shares with other processes cannot be sealed (SIDE_FILE): it must be a file of tmpfs,
 * whose pages are memory and come at once. Truncated by the tenant it is a SIGBUS that ends his own
 * worker.
 *
 * Memory that the program registered has an address of the program's choice (rosenSegmentRegister).
 * It may be anything outside the windows that is free here. Being refused tells the client that
 * something lies there, so after REFUSALS_MAX times no address is good any more.
 *
 * A segment must not go between the look whether an address lies in one and the use of it. Whoever
 * looks is the dispatcher, who ends the segment, too, before a waiter unmaps it; or a waiter, who
 * is noted as a user for as long.
 *
 * What is placed over a range that the client reserved replaces what is there. The range must not
 * go meanwhile, for the worker's own memory may be there next: a segment has its place in the list
 * from before the first look at the reservation until it is unmapped, and who frees a reservation
 * first takes it out of theirs (reservation.c), then looks here. One of the two sees the other.
 */
#include "worker/segment.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "base/log.h"
#include "gen/worker_custom.h"
#include "worker/backend_host.h"
#include "worker/reservation.h"
#include "worker/worker.h"

#define REFUSALS_MAX 32
/* Where registered memory may be: a process's own half, without its first and last pages. */
#define LOWEST	0x10000ull
#define HIGHEST 0x7ffffffff000ull
/* The windows, and what the software GPU keeps behind them for running kernels. */
#define WINDOWS_END (WIRE_HOST_WINDOW_BASE + WIRE_HOST_WINDOW_SIZE + (64ull << 30))

/* What a descriptor is good for. */
struct source {
	int fd;
	bool file; /* of the program's; else a sealed memfd */
	uint64_t offset;
};

/* How its memory is mapped. */
enum way {
	OURS,	/* where nothing was */
	PLACED, /* over a range that the client reserved */
	MAPPED, /* by the backend, in such a range */
};

enum stage {
	HERE,	/* its descriptor has come */
	TAKEN,	/* the thread that took the descriptor maps it; it is that thread's to end */
	USABLE, /* the client may name its addresses */
	ENDING, /* no more: it is being unmapped. Its number is nobody's */
};

struct segment {
	struct segment *next;
	uint64_t number;
	enum stage stage;	/* under lock */
	uint64_t address, size; /* likewise; address 0: no place yet */
	enum way way;
	struct source source;
};

struct segments {
	struct worker *worker;
	pthread_mutex_t lock;	 /* the list */
	pthread_mutex_t receive; /* one thread reads the side socket */
	struct segment *list;
	unsigned n, refusals;	     /* under lock */
	struct segments_user *users; /* under lock; the oldest first */
	uint64_t next_user;
	pthread_cond_t user_gone;
	_Atomic unsigned n_outside; /* ever mapped outside the host window */
};

struct segments *segments_new(struct worker *worker)
{
	struct segments *segments = calloc(1, sizeof(*segments));

	if (!segments)
		return NULL;
	segments->worker = worker;
	pthread_mutex_init(&segments->lock, NULL);
	pthread_mutex_init(&segments->receive, NULL);
	pthread_cond_init(&segments->user_gone, NULL);
	return segments;
}

struct segments *segments_free(struct segments *segments)
{
	struct segment *next;

	if (!segments)
		return NULL;
	for (struct segment *segment = segments->list; segment; segment = next) {
		next = segment->next;
		if (segment->stage >= USABLE && segment->way == OURS)
			munmap((void *)segment->address, segment->size);
		fd_close(segment->source.fd);
		free(segment);
	}
	pthread_mutex_destroy(&segments->lock);
	pthread_mutex_destroy(&segments->receive);
	pthread_cond_destroy(&segments->user_gone);
	free(segments);
	return NULL;
}

bool segments_cover(struct segments *segments, uint64_t address, size_t bytes)
{
	bool covered = false;

	/* Relaxed: the call that made the segment has been answered before its address is used. */
	if (address - WIRE_HOST_WINDOW_BASE >= WIRE_HOST_WINDOW_SIZE &&
	    !atomic_load_explicit(&segments->n_outside, memory_order_relaxed))
		return false;
	pthread_mutex_lock(&segments->lock);
	for (struct segment *s = segments->list; s && !covered; s = s->next)
		covered = s->stage == USABLE && address >= s->address &&
			  address - s->address < s->size &&
			  bytes <= s->size - (address - s->address);
	pthread_mutex_unlock(&segments->lock);
	return covered;
}

/* With the lock held. */
static bool overlap(const struct segments *segments, uint64_t address, size_t bytes)
{
	const struct segment *s = segments->list;

	while (
	    s && !(s->address && (s->address - address < bytes || address - s->address < s->size)))
		s = s->next;
	return s;
}

bool segments_overlap(struct segments *segments, uint64_t address, size_t bytes)
{
	pthread_mutex_lock(&segments->lock);
	bool found = overlap(segments, address, bytes);
	pthread_mutex_unlock(&segments->lock);
	return found;
}

/* --- users --- */

void segments_use(struct segments *segments, struct segments_user *user)
{
	struct segments_user **at = &segments->users;

	pthread_mutex_lock(&segments->lock);
	*user = (struct segments_user){.number = segments->next_user++};
	while (*at)
		at = &(*at)->next;
	*at = user;
	pthread_mutex_unlock(&segments->lock);
}

void segments_used(struct segments *segments, struct segments_user *user)
{
	struct segments_user **at = &segments->users;

	pthread_mutex_lock(&segments->lock);
	while (*at != user)
		at = &(*at)->next;
	*at = user->next;
	pthread_cond_broadcast(&segments->user_gone);
	pthread_mutex_unlock(&segments->lock);
}

/* Those who may have found what is no more to be found. */
static void await_users(struct segments *segments)
{
	pthread_mutex_lock(&segments->lock);
	uint64_t now = segments->next_user;
	while (segments->users && segments->users->number < now)
		pthread_cond_wait(&segments->user_gone, &segments->lock);
	pthread_mutex_unlock(&segments->lock);
}

/* With the lock held; NULL: none has the number. */
static struct segment *find(const struct segments *segments, uint64_t number)
{
	struct segment *segment = segments->list;

	while (segment && (segment->number != number || segment->stage == ENDING))
		segment = segment->next;
	return segment;
}

/* With the lock held. */
static void drop(struct segments *segments, struct segment *segment)
{
	struct segment **at = &segments->list;

	while (*at != segment)
		at = &(*at)->next;
	*at = segment->next;
	segments->n--;
	fd_close(segment->source.fd);
	free(segment);
}

/* For who took it: the list has it no more, and its number is free. NULL is fine. */
static void give_up(struct segments *segments, struct segment *segment)
{
	pthread_mutex_lock(&segments->lock);
	if (segment)
		drop(segments, segment);
	pthread_mutex_unlock(&segments->lock);
}

/* --- descriptors --- */

static void keep(struct segments *segments, const struct side_message *message, int fd)
{
	struct segment *segment = calloc(1, sizeof(*segment));

	pthread_mutex_lock(&segments->lock);
	if (segment && segments->n < SEGMENTS_MAX && !find(segments, message->segment)) {
		*segment = (struct segment){.next = segments->list,
		    .number = message->segment,
		    .source = {fd, message->kind == SIDE_FILE, 0}};
		if (message->kind == SIDE_FILE)
			segment->source.offset = message->address;
		segments->list = segment;
		segments->n++;
		segment = NULL;
		fd = -1;
	}
	pthread_mutex_unlock(&segments->lock);
	free(segment);
	fd_close(fd);
}

/*
 * Takes the segment and its descriptor, reading the side socket until it has come; the segment is
 * the caller's then, to publish() or to give_up(), and *source as well. NULL and no descriptor:
 * none will come, or another has taken it.
 */
static struct segment *take(struct segments *segments, uint64_t number, struct source *source)
{
	struct segment *taken = NULL;
	struct side_message message;
	int fd = -1, r = 0;

	*source = (struct source){.fd = -1};
	pthread_mutex_lock(&segments->receive);
	for (;;) {
		pthread_mutex_lock(&segments->lock);
		struct segment *segment = find(segments, number);
		if (segment && segment->stage == HERE) {
			*source = segment->source;
			segment->source.fd = -1;
			segment->stage = TAKEN;
			taken = segment;
		}
		pthread_mutex_unlock(&segments->lock);
		if (segment || r < 0)
			break;
		r = chan_side_receive(segments->worker->chan, true, &message, &fd);
		if (r >= 0 && fd >= 0 &&
		    (message.kind == SIDE_SEGMENT || message.kind == SIDE_FILE ||
			message.kind == SIDE_DESCRIPTOR))
			keep(segments, &message, fd);
		else if (r >= 0)
			fd_close(fd);
		fd = -1;
	}
	pthread_mutex_unlock(&segments->receive);
	return taken;
}

static bool sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & F_SEAL_SHRINK);
}

static bool in_memory(int fd)
{
	struct statfs status;

	return fstatfs(fd, &status) == 0 && status.f_type == TMPFS_MAGIC;
}

static bool acceptable(const struct source *source, uint64_t address, uint64_t bytes)
{
	struct stat status;

	/* The rest of a file's last page is there too. */
	return source->fd >= 0 && (source->file ? in_memory(source->fd) : sealed(source->fd)) &&
	       fstat(source->fd, &status) == 0 && bytes && bytes <= WIRE_HOST_WINDOW_SIZE &&
	       source->offset <= (uint64_t)status.st_size &&
	       bytes <= align_up((uint64_t)status.st_size, 4096) - source->offset &&
	       !((address | source->offset) & 0xfff);
}

static bool in_window(uint64_t address, uint64_t bytes)
{
	return address >= WIRE_HOST_WINDOW_BASE &&
	       address - WIRE_HOST_WINDOW_BASE <= WIRE_HOST_WINDOW_SIZE - bytes;
}

static bool outside_windows(uint64_t address, uint64_t bytes)
{
	return address >= LOWEST && address < HIGHEST && bytes <= HIGHEST - address &&
	       (address >= WINDOWS_END || address + bytes <= WIRE_DEVICE_WINDOW_BASE);
}

/* --- mapping --- */

static bool map(uint64_t address, uint64_t bytes, const struct source *source)
{
	void *at = mmap((void *)address, bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_FIXED_NOREPLACE, source->fd, (off_t)source->offset);

	if (at == MAP_FAILED)
		return false;
	if (at == (void *)address)
		return true;
	munmap(at, bytes); /* a kernel from before MAP_FIXED_NOREPLACE */
	return false;
}

/* Has the place kept for it, where no other may be. False: one is. */
static bool claim(
    struct segments *segments, struct segment *segment, uint64_t address, uint64_t bytes)
{
	pthread_mutex_lock(&segments->lock);
	bool is_free = !overlap(segments, address, bytes);
	if (is_free) {
		segment->address = address;
		segment->size = bytes;
	}
	pthread_mutex_unlock(&segments->lock);
	return is_free;
}

/* It is mapped there; from here on its addresses are the client's to use. */
static void publish(struct segments *segments, struct segment *segment, uint64_t address,
    uint64_t bytes, enum way way)
{
	pthread_mutex_lock(&segments->lock);
	segment->address = address;
	segment->size = bytes;
	segment->way = way;
	segment->stage = USABLE;
	pthread_mutex_unlock(&segments->lock);
	if (!in_window(address, bytes))
		atomic_fetch_add_explicit(&segments->n_outside, 1, memory_order_relaxed);
}

/* Whether the device sees registered memory at the address the host does. */
static CUresult check_device_pointer(struct call *call, uint64_t address)
{
	CUdeviceptr device;
	CUresult r = call->worker->host->cuMemHostGetDevicePointer_v2(&device, (void *)address, 0);

	return r == CUDA_SUCCESS && device != address ? CUDA_ERROR_NOT_SUPPORTED : r;
}

static CUresult pin(struct call *call, uint64_t address, uint64_t bytes, unsigned flags)
{
	const struct backend_host *host = call->worker->host;
	CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;

	/* A captured copy may need a segment to stand in for its memory. */
	call->backend->cuThreadExchangeStreamCaptureMode(&mode);
	CUresult r = host->cuMemHostRegister_v2((void *)address, bytes,
	    CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP |
		(flags & CU_MEMHOSTREGISTER_READ_ONLY));
	call->backend->cuThreadExchangeStreamCaptureMode(&mode);
	if (r != CUDA_SUCCESS)
		return r;
	r = check_device_pointer(call, address);
	if (r != CUDA_SUCCESS)
		host->cuMemHostUnregister((void *)address);
	return r;
}

/* The backend keeps its reservation, of which the kernel knows only that nobody can touch it. */
static void cover(uint64_t address, uint64_t bytes)
{
	mmap((void *)address, bytes, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

static CUresult map_and_pin(struct call *call, struct segment *segment, uint64_t address,
    uint64_t bytes, unsigned flags, const struct source *source)
{
	struct segments *segments = call->worker->segments;

	if (!map(address, bytes, source)) {
		pthread_mutex_lock(&segments->lock);
		segments->refusals++;
		pthread_mutex_unlock(&segments->lock);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	CUresult r = pin(call, address, bytes, flags);
	if (r == CUDA_SUCCESS)
		publish(segments, segment, address, bytes, OURS);
	else
		munmap((void *)address, bytes);
	return r;
}

int segments_take_descriptor(struct segments *segments, uint64_t number)
{
	struct source source;

	if (!(number >> 63)) /* it might be a segment's */
		return -1;
	give_up(segments, take(segments, number, &source));
	return source.fd;
}

CUresult worker_rosenSegmentMap(struct call *call, struct args_rosenSegmentMap *a)
{
	struct segments *segments = call->worker->segments;
	struct source source;
	struct segment *segment = take(segments, a->segment, &source);
	_cleanup_fd_ int fd = source.fd;
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	if (acceptable(&source, a->address, a->bytes) && in_window(a->address, a->bytes))
		r = map_and_pin(call, segment, a->address, a->bytes, a->flags, &source);
	else
		log_warn("the client's segment of pinned memory is refused: not a sealed memfd or "
			 "file in memory of %zu bytes inside the host window",
		    a->bytes);
	if (r != CUDA_SUCCESS)
		give_up(segments, segment);
	return r;
}

void *segments_map_anywhere(struct segments *segments, uint64_t number, uint64_t bytes)
{
	struct source source;
	struct segment *segment = take(segments, number, &source);
	_cleanup_fd_ int fd = source.fd;
	bool good = !source.file && acceptable(&source, 0, bytes);
	void *here =
	    good ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

	give_up(segments, segment);
	return here == MAP_FAILED ? NULL : here;
}

static bool may_guess(struct segments *segments)
{
	pthread_mutex_lock(&segments->lock);
	bool may = segments->refusals < REFUSALS_MAX;
	pthread_mutex_unlock(&segments->lock);
	return may;
}

CUresult worker_rosenSegmentRegister(struct call *call, struct args_rosenSegmentRegister *a)
{
	struct segments *segments = call->worker->segments;
	struct source source;
	struct segment *segment = take(segments, a->segment, &source);
	_cleanup_fd_ int fd = source.fd;
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	if (!acceptable(&source, a->address, a->bytes) || !outside_windows(a->address, a->bytes))
		log_warn("the client's registered memory is refused: not a sealed memfd or file in "
			 "memory of %zu bytes, or its address is none of a program's",
		    a->bytes);
	else if (!may_guess(segments))
		r = CUDA_ERROR_OUT_OF_MEMORY;
	else
		r = map_and_pin(call, segment, a->address, a->bytes, a->flags, &source);
	if (r != CUDA_SUCCESS)
		give_up(segments, segment);
	return r;
}

/* --- in ranges that the client reserved --- */

static CUresult place(struct call *call, uint64_t address, uint64_t bytes, int fd)
{
	void *at =
	    mmap((void *)address, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);

	if (at == MAP_FAILED)
		return CUDA_ERROR_OUT_OF_MEMORY;
	CUresult r = pin(call, address, bytes, 0);
	if (r != CUDA_SUCCESS)
		cover(address, bytes);
	return r;
}

static CUresult map_by_backend(
    struct call *call, uint64_t address, uint64_t bytes, CUmemGenericAllocationHandle memory)
{
	const struct backend *backend = call->backend;
	const CUmemAccessDesc access = {.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
	    .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

	CUresult r = backend->cuMemMap(address, bytes, 0, memory, 0);
	backend->cuMemRelease(memory);
	if (r != CUDA_SUCCESS)
		return r;
	r = backend->cuMemSetAccess(address, bytes, &access, 1);
	if (r != CUDA_SUCCESS)
		backend->cuMemUnmap(address, bytes);
	return r;
}

/* The software GPU takes the descriptor for memory of its own. */
static CUresult map_or_place(
    struct call *call, uint64_t address, uint64_t bytes, int fd, enum way *way)
{
	CUmemGenericAllocationHandle memory;

	*way = PLACED;
	if (call->backend->cuMemImportFromShareableHandle(&memory, (void *)(intptr_t)fd,
		CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) != CUDA_SUCCESS)
		return place(call, address, bytes, fd);
	*way = MAPPED;
	return map_by_backend(call, address, bytes, memory);
}

CUresult worker_rosenSegmentPlace(struct call *call, struct args_rosenSegmentPlace *a)
{
	struct segments *segments = call->worker->segments;
	struct source source;
	struct segment *segment = take(segments, a->segment, &source);
	_cleanup_fd_ int fd = source.fd;
	CUresult r = CUDA_ERROR_INVALID_VALUE;
	enum way way;

	if (!source.file && acceptable(&source, a->address, a->bytes) &&
	    claim(segments, segment, a->address, a->bytes) &&
	    reservations_cover(call->worker, a->address, a->bytes))
		r = map_or_place(call, a->address, a->bytes, fd, &way);
	if (r == CUDA_SUCCESS)
		publish(segments, segment, a->address, a->bytes, way);
	else
		give_up(segments, segment);
	return r;
}

/* --- the end --- */

static CUresult unpin(struct call *call, const struct segment *segment)
{
	if (segment->way == MAPPED)
		return call->backend->cuMemUnmap(segment->address, segment->size);
	return call->worker->host->cuMemHostUnregister((void *)segment->address);
}

/* Where the backend has nothing to do with it any more. */
static void unmap(const struct segment *segment)
{
	if (segment->way == PLACED)
		cover(segment->address, segment->size);
	else if (segment->way == OURS)
		munmap((void *)segment->address, segment->size);
}

/* Nobody starts to use it any more; this is for those who do. Still registered, it stays where
 * it is and is the client's again; a context that ended took the registration with it. */
static CUresult unmap_unused(struct call *call, void *state)
{
	struct segments *segments = call->worker->segments;
	struct segment *segment = state;

	await_users(segments);
	call->backend->cuCtxSynchronize();
	CUresult r = unpin(call, segment);
	bool gone = r == CUDA_SUCCESS || r == CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
	if (gone)
		unmap(segment);
	pthread_mutex_lock(&segments->lock);
	if (gone)
		drop(segments, segment);
	else
		segment->stage = USABLE;
	pthread_mutex_unlock(&segments->lock);
	return r;
}

CUresult worker_rosenSegmentUnmap(struct call *call, struct args_rosenSegmentUnmap *a)
{
	struct segments *segments = call->worker->segments;

	pthread_mutex_lock(&segments->lock);
	struct segment *segment = find(segments, a->segment);
	enum stage stage = segment ? segment->stage : TAKEN;
	if (stage == HERE)
		drop(segments, segment);
	else if (stage == USABLE)
		segment->stage = ENDING;
	pthread_mutex_unlock(&segments->lock);
	if (stage == USABLE)
		return call_continue(call, unmap_unused, segment);
	return stage == HERE ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
