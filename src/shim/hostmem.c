/*
 * Pinned host memory. It comes out of segments: memfds that this process maps into the host window
 * and the worker maps at the same address and registers with the backend, so that the host's
 * pointer is the device's and copies move no byte twice. A segment costs a message and the driver's
 * registration (0.4 ms per MiB), so small allocations share segments, which grow from 4 to 64 MiB
 * and stay; an allocation beyond a quarter of the largest gets one of its own, which goes when it
 * is freed.
 *
 * The window's address space is given out first-fit among the segments, which are kept in order of
 * address; inside a segment free pieces are kept in order too and joined with their neighbours. One
 * mutex: allocating pinned memory is rare and slow in CUDA itself.
 */
#include "shim/hostmem.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/util.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/device.h"
#include "shim/numa.h"
#include "shim/range.h"
#include "shim/session.h"
#include "shim/thread.h"

#define PAGE	      4096u
#define GRANULE	      512u
#define SEGMENT_FIRST (4ull << 20)
#define SEGMENT_MOST  (64ull << 20)
#define OWN_SEGMENT   (SEGMENT_MOST / 4)

struct piece {
	struct piece *next;
	uint64_t start, size;
};

struct segment {
	struct segment *next; /* in order of address */
	uint64_t number, start, size;
	bool own;    /* holds one allocation, goes with it */
	bool hidden; /* the worker does not have it */
	int fd;	     /* of what is hidden, or may be; else -1 */
	struct piece *free;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct segment *segments;
static uint64_t last_number, next_size = SEGMENT_FIRST;

/* Where no segment is the window stays reserved, or mappings of the program might come there. */
static void unmap(uint64_t start, uint64_t size)
{
	if (!session.host_reserved) {
		munmap((void *)(uintptr_t)start, size); /* NOLINT(performance-no-int-to-ptr) */
		return;
	}
	mmap((void *)(uintptr_t)start, size, PROT_NONE, /* NOLINT(performance-no-int-to-ptr) */
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

bool hostmem_can_share(void)
{
	if (session.capabilities & HELLO_CAN_SEGMENTS)
		return true;
	log_warn_once("pinned memory is not supported on this session's medium");
	return false;
}

static CUresult send_source(
    uint64_t number, uint64_t address, uint64_t size, const struct hostmem_source *source)
{
	struct side_message message = {.kind = source->file ? SIDE_FILE : SIDE_SEGMENT,
	    .segment = number,
	    .address = source->file ? source->offset : address,
	    .size = size};
	int r = chan_side_send(session.chan, &message, source->fd);

	return r < 0 ? session_lost(r) : CUDA_SUCCESS;
}

/* Where in the list a segment of size bytes fits; *start: its address, 0 when nowhere. */
static struct segment **find_place(uint64_t size, uint64_t *start)
{
	struct segment **at = &segments;
	uint64_t from = WIRE_HOST_WINDOW_BASE;

	for (; *at; from = (*at)->start + (*at)->size, at = &(*at)->next) {
		if ((*at)->start - from >= size) {
			*start = from;
			return at;
		}
	}
	*start = size <= WIRE_HOST_WINDOW_BASE + WIRE_HOST_WINDOW_SIZE - from ? from : 0;
	return at;
}

static CUresult show(const struct segment *segment, int fd)
{
	return send_source(segment->number, segment->start, segment->size,
		   &(struct hostmem_source){.fd = fd})
		   ?: remote_rosenSegmentMap(segment->number, segment->start, segment->size,
			  CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP);
}

static CUresult share(struct segment *segment, const struct hostmem_way *way)
{
	int memory;

	if (fd_memory("rosen-pinned", segment->size, &memory) < 0)
		return CUDA_ERROR_OUT_OF_MEMORY;
	_cleanup_fd_ int fd = memory;
	/* A window that could not be reserved may hold anything. */
	int fixed = session.host_reserved ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	void *wanted = (void *)(uintptr_t)segment->start; /* NOLINT(performance-no-int-to-ptr) */
	void *got = mmap(wanted, segment->size, PROT_READ | PROT_WRITE, MAP_SHARED | fixed, fd, 0);
	if (got != wanted) {
		if (got != MAP_FAILED)
			munmap(got, segment->size);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	numa_bind(got, segment->size, way->node);
	segment->hidden = way->hidden;
	CUresult shared = way->hidden ? CUDA_SUCCESS : show(segment, fd);
	if (shared != CUDA_SUCCESS) {
		unmap(segment->start, segment->size);
	} else if (way->hides) {
		segment->fd = fd;
		fd = -1;
	}
	return shared;
}

static CUresult segment_new(
    uint64_t size, bool own, const struct hostmem_way *way, struct segment **out)
{
	struct segment *segment = calloc(1, sizeof(*segment)), **at;
	struct piece *piece = calloc(1, sizeof(*piece));
	CUresult r = CUDA_ERROR_OUT_OF_MEMORY;

	if (!segment || !piece)
		goto out;
	if (!hostmem_can_share()) {
		r = CUDA_ERROR_NOT_SUPPORTED;
		goto out;
	}
	size = align_up(size, PAGE);
	at = find_place(size, &segment->start);
	if (!segment->start)
		goto out;
	segment->number = ++last_number;
	segment->size = size;
	segment->own = own;
	segment->fd = -1;
	*piece = (struct piece){NULL, segment->start, size};
	r = share(segment, way);
	if (r != CUDA_SUCCESS)
		goto out;
	segment->free = piece;
	segment->next = *at;
	*at = *out = segment;
	return CUDA_SUCCESS;
out:
	free(piece);
	free(segment);
	return r;
}

static uint64_t take_piece(struct segment *segment, uint64_t size)
{
	for (struct piece **at = &segment->free; *at; at = &(*at)->next) {
		struct piece *piece = *at;
		if (piece->size < size)
			continue;
		uint64_t start = piece->start;
		piece->start += size;
		piece->size -= size;
		if (!piece->size) {
			*at = piece->next;
			free(piece);
		}
		return start;
	}
	return 0;
}

static void give_piece(struct segment *segment, uint64_t start, uint64_t size)
{
	struct piece **at = &segment->free, *before = NULL;

	for (; *at && (*at)->start < start; at = &(*at)->next)
		before = *at;
	struct piece *after = *at;
	if (before && before->start + before->size == start) {
		before->size += size;
		if (after && start + size == after->start) {
			before->size += after->size;
			before->next = after->next;
			free(after);
		}
		return;
	}
	if (after && start + size == after->start) {
		after->start = start;
		after->size += size;
		return;
	}
	struct piece *piece = malloc(sizeof(*piece));
	if (!piece)
		return; /* the memory is lost to this process; better than failing to free */
	*piece = (struct piece){after, start, size};
	*at = piece;
}

static const struct hostmem_way any_way = {.node = NUMA_ANY};

static CUresult allocate_own(uint64_t size, const struct hostmem_way *way, uint64_t *start)
{
	struct segment *segment;
	CUresult r = segment_new(size, true, way, &segment);

	if (r == CUDA_SUCCESS)
		*start = take_piece(segment, segment->size);
	return r;
}

static CUresult allocate(uint64_t size, uint64_t *start)
{
	struct segment *segment;

	*start = 0;
	if (size > OWN_SEGMENT)
		return allocate_own(size, &any_way, start);
	for (segment = segments; segment && !*start; segment = segment->next)
		if (!segment->own)
			*start = take_piece(segment, size);
	if (*start)
		return CUDA_SUCCESS;
	CUresult r = segment_new(MAX(next_size, size), false, &any_way, &segment);
	if (r == CUDA_SUCCESS) {
		next_size = MIN(2 * next_size, SEGMENT_MOST);
		*start = take_piece(segment, size);
	}
	return r;
}

static CUresult release(uint64_t start, uint64_t size)
{
	CUresult r = CUDA_SUCCESS;

	for (struct segment **at = &segments; *at; at = &(*at)->next) {
		struct segment *segment = *at;
		if (start - segment->start >= segment->size)
			continue;
		if (!segment->own) {
			give_piece(segment, start, size);
			return CUDA_SUCCESS;
		}
		*at = segment->next;
		if (!segment->hidden)
			r = remote_rosenSegmentUnmap(segment->number);
		fd_close(segment->fd);
		unmap(segment->start, segment->size);
		free(segment);
		return r;
	}
	return CUDA_ERROR_INVALID_VALUE;
}

/* --- memory that is elsewhere in this process --- */

static CUresult share_in_place(const struct hostmem_source *source, uint64_t address, uint64_t size,
    unsigned flags, struct hostmem_share *out)
{
	*out = (struct hostmem_share){++last_number, address};
	CUresult r = send_source(out->number, address, size, source);
	return r ?: remote_rosenSegmentRegister(out->number, address, size, flags);
}

/* The window's place is the worker's alone: here it stays inaccessible. */
static CUresult share_in_window(
    const struct hostmem_source *source, uint64_t size, unsigned flags, struct hostmem_share *out)
{
	struct segment *segment = calloc(1, sizeof(*segment)), **at;
	CUresult r = CUDA_ERROR_OUT_OF_MEMORY;

	if (!segment)
		return r;
	*segment = (struct segment){.number = ++last_number, .size = size, .own = true, .fd = -1};
	at = find_place(size, &segment->start);
	if (segment->start)
		r = send_source(segment->number, segment->start, size, source)
			?: remote_rosenSegmentMap(segment->number, segment->start, size, flags);
	if (r != CUDA_SUCCESS) {
		free(segment);
		return r;
	}
	*out = (struct hostmem_share){segment->number, segment->start};
	segment->next = *at;
	*at = segment;
	return CUDA_SUCCESS;
}

CUresult hostmem_share(const struct hostmem_source *source, uint64_t address, uint64_t size,
    unsigned flags, struct hostmem_share *out)
{
	CUresult r = CUDA_ERROR_NOT_SUPPORTED;

	if (!hostmem_can_share() || (source->file && !(session.capabilities & HELLO_CAN_FILES)))
		return r;
	pthread_mutex_lock(&lock);
	/* Where the device would see it elsewhere anyway there is no use in asking. */
	if (device_attribute(
		shim_thread.device, CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM))
		r = share_in_place(source, address, size, flags, out);
	if (r == CUDA_ERROR_OUT_OF_MEMORY || r == CUDA_ERROR_NOT_SUPPORTED)
		r = share_in_window(source, size, flags, out);
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult hostmem_unshare(const struct hostmem_share *share)
{
	struct segment **at = &segments;

	pthread_mutex_lock(&lock);
	CUresult r = remote_rosenSegmentUnmap(share->number);
	while (*at && (*at)->number != share->number)
		at = &(*at)->next;
	struct segment *segment = *at;
	if (segment)
		*at = segment->next;
	pthread_mutex_unlock(&lock);
	free(segment);
	return r;
}

CUresult hostmem_send(int fd, uint64_t address, uint64_t size, uint64_t *number)
{
	pthread_mutex_lock(&lock);
	*number = ++last_number;
	pthread_mutex_unlock(&lock);
	return send_source(*number, address, size, &(struct hostmem_source){.fd = fd});
}

/* --- pieces --- */

static struct {
	pthread_mutex_t lock;
	struct piece *first;
} given_later = {.lock = PTHREAD_MUTEX_INITIALIZER};

void hostmem_give_later(uint64_t start, uint64_t bytes)
{
	struct piece *piece = malloc(sizeof(*piece));

	if (!piece)
		return; /* the memory is lost to this process */
	pthread_mutex_lock(&given_later.lock);
	*piece = (struct piece){given_later.first, start, bytes};
	given_later.first = piece;
	pthread_mutex_unlock(&given_later.lock);
}

/* With the segments' lock held, which may be held while the worker is asked. */
static void take_back(void)
{
	struct piece *next;

	pthread_mutex_lock(&given_later.lock);
	struct piece *piece = given_later.first;
	given_later.first = NULL;
	pthread_mutex_unlock(&given_later.lock);
	for (; piece; piece = next) {
		next = piece->next;
		release(piece->start, align_up(piece->size, GRANULE));
		free(piece);
	}
}

CUresult hostmem_take(uint64_t bytes, uint64_t *start)
{
	if (bytes > WIRE_HOST_WINDOW_SIZE)
		return CUDA_ERROR_OUT_OF_MEMORY;
	pthread_mutex_lock(&lock);
	take_back();
	CUresult r = allocate(align_up(bytes, GRANULE), start);
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult hostmem_take_own(uint64_t bytes, const struct hostmem_way *way, uint64_t *start)
{
	if (bytes > WIRE_HOST_WINDOW_SIZE)
		return CUDA_ERROR_OUT_OF_MEMORY;
	pthread_mutex_lock(&lock);
	take_back();
	CUresult r = allocate_own(align_up(bytes, PAGE), way, start);
	pthread_mutex_unlock(&lock);
	return r;
}

static struct segment *find_segment(uint64_t start)
{
	struct segment *segment = segments;

	while (segment && segment->start != start)
		segment = segment->next;
	return segment;
}

CUresult hostmem_show(uint64_t start)
{
	CUresult r = CUDA_SUCCESS;

	pthread_mutex_lock(&lock);
	struct segment *segment = find_segment(start);
	if (segment && segment->hidden) {
		r = show(segment, segment->fd);
		segment->hidden = r != CUDA_SUCCESS;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult hostmem_hide(uint64_t start)
{
	CUresult r = shim_thread.context ? remote_cuCtxSynchronize() : CUDA_SUCCESS;

	pthread_mutex_lock(&lock);
	struct segment *segment = find_segment(start);
	if (r == CUDA_SUCCESS && segment && !segment->hidden && segment->fd >= 0) {
		r = remote_rosenSegmentUnmap(segment->number);
		segment->hidden = r == CUDA_SUCCESS;
		segment->number = ++last_number; /* of the next time */
	}
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult hostmem_give(uint64_t start, uint64_t bytes)
{
	/* Copies and kernels under way may still use it. */
	CUresult r = shim_thread.context ? remote_cuCtxSynchronize() : CUDA_SUCCESS;

	pthread_mutex_lock(&lock);
	take_back();
	CUresult released = release(start, align_up(bytes, GRANULE));
	pthread_mutex_unlock(&lock);
	return r != CUDA_SUCCESS ? r : released;
}

CUresult shim_cuMemHostAlloc(void **pointer, size_t bytes, unsigned flags)
{
	uint64_t start;

	if (!shim_thread.context)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (flags & ~(unsigned)(CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP |
				CU_MEMHOSTALLOC_WRITECOMBINED))
		return CUDA_ERROR_INVALID_VALUE;
	if (!bytes) {
		*pointer = NULL;
		return CUDA_SUCCESS;
	}
	CUresult r = hostmem_take(bytes, &start);
	if (r != CUDA_SUCCESS)
		return r;
	struct range range = {.start = start,
	    .size = bytes,
	    .kind = RANGE_PINNED,
	    /* With unified addressing all pinned memory is mapped, whatever was asked for. */
	    .flags = flags | CU_MEMHOSTALLOC_DEVICEMAP,
	    .context = shim_thread.context,
	    .device = shim_thread.device};
	if (!range_add(&range))
		return CUDA_ERROR_OUT_OF_MEMORY;
	*pointer = (void *)(uintptr_t)start; /* NOLINT(performance-no-int-to-ptr) */
	return CUDA_SUCCESS;
}

CUresult shim_cuMemAllocHost_v2(void **pointer, size_t bytes)
{
	return shim_cuMemHostAlloc(pointer, bytes, CU_MEMHOSTALLOC_DEVICEMAP);
}

CUresult shim_cuMemFreeHost(void *pointer)
{
	struct range range;

	if (!pointer)
		return CUDA_SUCCESS;
	if (!range_find((uint64_t)pointer, &range) || range.kind != RANGE_PINNED ||
	    range.start != (uint64_t)pointer)
		return CUDA_ERROR_INVALID_VALUE;
	if (!range_remove(range.start, NULL))
		return CUDA_ERROR_INVALID_VALUE;
	return hostmem_give(range.start, range.size);
}

CUresult shim_cuMemHostGetDevicePointer_v2(CUdeviceptr *address, void *pointer, unsigned flags)
{
	struct range range;

	if (flags || !range_find((uint64_t)pointer, &range) || !range_is_host(&range) ||
	    range.kind == RANGE_MANAGED || range.kind == RANGE_POOL_HOST ||
	    (range.kind == RANGE_MAPPED_HOST && !range.remote))
		return CUDA_ERROR_INVALID_VALUE;
	if (range.kind == RANGE_REGISTERED && !range.remote) {
		log_warn_once("cuMemHostGetDevicePointer is not supported for registered memory "
			      "that is a file's on a disk, on a stack, or in a page with other "
			      "registered memory");
		return CUDA_ERROR_NOT_SUPPORTED;
	}
	*address = (CUdeviceptr)(uintptr_t)pointer;
	if (range.kind == RANGE_REGISTERED)
		*address += range.remote - range.start;
	return CUDA_SUCCESS;
}

/* A pool's memory was never asked for with flags. */
static bool is_pools(const struct range *range)
{
	return range->kind == RANGE_POOL_HOST || (range->kind == RANGE_MANAGED && range->owner);
}

CUresult shim_cuMemHostGetFlags(unsigned *flags, void *pointer)
{
	struct range range;

	if (!range_find((uint64_t)pointer, &range) || !range_is_host(&range) || is_pools(&range) ||
	    (range.kind == RANGE_MAPPED_HOST && !range.remote))
		return CUDA_ERROR_INVALID_VALUE;
	*flags = range.flags;
	return CUDA_SUCCESS;
}
