/*
 * Two sorted arrays under one lock: the allocations, and the gaps between them. A gap is taken
 * first-fit and given back merged with its neighbours, so the address space does not fray. Lookups
 * are binary searches; they happen on every copy and pointer query, which is why they share the
 * lock as readers.
 *
 * Memory is the kernel's business: an allocation is an mprotect() of untouched reserved pages, so
 * its bytes are zero and cost nothing before their first use, and a free maps fresh inaccessible
 * pages over the old ones. Capacity is counted here and not left to the kernel, because a program
 * must get CUDA's out-of-memory error long before the host is in trouble.
 *
 * With SOFTGPU_CHECK new device memory is poisoned, which commits it, and freed address space rests
 * in the quarantine before it becomes a gap again.
 */
#include "softgpu/mem/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/util.h"
#include "softgpu/mem/check.h"
#include "softgpu/mem/quarantine.h"
#include "softgpu/mem/virtual.h"

#define ARENA_GUARDED_MAX 16384 /* half the mappings a process may have, at two each */

struct arena_gap {
	uint64_t address, size;
};

struct arena_list {
	void *items;
	size_t n, room, item_size;
};

static pthread_rwlock_t arena_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct arena_list arena_ranges = {.item_size = sizeof(struct sg_range)};
static struct arena_list arena_gaps = {.item_size = sizeof(struct arena_gap)};
static size_t arena_used, arena_capacity;
static uint64_t arena_next_id;

static struct sg_range *range_at(size_t i)
{
	return (struct sg_range *)arena_ranges.items + i;
}

static struct arena_gap *gap_at(size_t i)
{
	return (struct arena_gap *)arena_gaps.items + i;
}

/* Makes sure that one more item fits, so that what follows cannot fail. */
static int list_reserve(struct arena_list *list)
{
	if (list->n < list->room)
		return 0;
	size_t room = list->room ? 2 * list->room : 64;
	void *items = reallocarray(list->items, room, list->item_size);
	if (!items)
		return error_origin(-ENOMEM);
	list->items = items;
	list->room = room;
	return 0;
}

static void list_insert(struct arena_list *list, size_t at, const void *item)
{
	char *place = (char *)list->items + at * list->item_size;

	memmove(place + list->item_size, place, (list->n - at) * list->item_size);
	memcpy(place, item, list->item_size);
	list->n++;
}

static void list_remove(struct arena_list *list, size_t at)
{
	char *place = (char *)list->items + at * list->item_size;

	list->n--;
	memmove(place, place + list->item_size, (list->n - at) * list->item_size);
}

/* The first allocation that begins above address. */
static size_t range_above(uint64_t address)
{
	size_t low = 0, high = arena_ranges.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (range_at(middle)->address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct sg_range *range_find(uint64_t address)
{
	size_t above = range_above(address);
	struct sg_range *range = above ? range_at(above - 1) : NULL;

	return range && address - range->address < MAX(range->size, (size_t)1) ? range : NULL;
}

/* Address space of an allocation: its pages and the guard behind them. Neighbours without a guard
 * are one mapping to the kernel. */
static uint64_t range_span(const struct sg_range *range)
{
	return align_up(range->size, SG_ARENA_PAGE) + range->guard;
}

int sg_arena_init(size_t capacity)
{
	struct arena_gap all = {SG_ARENA_BASE, SG_ALLOC_SIZE};
	void *wanted = (void *)SG_ARENA_BASE;
	void *got = mmap(wanted, SG_ALLOC_SIZE, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if (got == MAP_FAILED)
		return error_origin(-ENOMEM);
	if (got != wanted) { /* a kernel that does not know MAP_FIXED_NOREPLACE */
		munmap(got, SG_ALLOC_SIZE);
		return error_origin(-ENOMEM);
	}
	int r = list_reserve(&arena_gaps);
	if (r < 0)
		return error_trace(r);
	list_insert(&arena_gaps, 0, &all);
	arena_capacity = capacity;
	return 0;
}

/* Takes span bytes out of the first gap they fit in; the gap list has room for one more. */
static int gap_take(uint64_t span, uint64_t align, uint64_t *address)
{
	for (size_t i = 0; i < arena_gaps.n; i++) {
		struct arena_gap *gap = gap_at(i);
		uint64_t start = align_up(gap->address, align), end = gap->address + gap->size;
		if (start > end || end - start < span)
			continue;
		struct arena_gap rest = {start + span, end - start - span};
		gap->size = start - gap->address;
		if (rest.size && gap->size)
			list_insert(&arena_gaps, i + 1, &rest);
		else if (rest.size)
			*gap = rest;
		else if (!gap->size)
			list_remove(&arena_gaps, i);
		*address = start;
		return 0;
	}
	return error_origin(-ENOMEM);
}

static void gap_give(uint64_t address, uint64_t size)
{
	size_t i = 0;

	while (i < arena_gaps.n && gap_at(i)->address < address)
		i++;
	bool joins_before = i && gap_at(i - 1)->address + gap_at(i - 1)->size == address;
	bool joins_after = i < arena_gaps.n && address + size == gap_at(i)->address;
	if (joins_before && joins_after) {
		gap_at(i - 1)->size += size + gap_at(i)->size;
		list_remove(&arena_gaps, i);
	} else if (joins_before) {
		gap_at(i - 1)->size += size;
	} else if (joins_after) {
		*gap_at(i) = (struct arena_gap){address, size + gap_at(i)->size};
	} else {
		struct arena_gap gap = {address, size};
		list_insert(&arena_gaps, i, &gap);
	}
}

/* A free adds at most one gap, an allocation one range and one gap: with the room for both, and
 * one gap in hand per range and per span in quarantine, neither can fail half way. */
static int lists_reserve(void)
{
	int r = list_reserve(&arena_ranges);
	size_t room = arena_ranges.room + 2 + (sg_checks() ? QUARANTINE_MOST : 0);

	if (r == 0 && arena_gaps.room < room) {
		void *items = reallocarray(arena_gaps.items, room, sizeof(struct arena_gap));
		if (!items)
			return error_origin(-ENOMEM);
		arena_gaps.items = items;
		arena_gaps.room = room;
	}
	return r;
}

/* What was an allocation's becomes a gap, now or later. */
static void gap_retire(uint64_t address, uint64_t size)
{
	struct quarantine_span span;

	if (!sg_checks()) {
		gap_give(address, size);
		return;
	}
	while (!quarantine_put(address, size))
		if (quarantine_take(&span))
			gap_give(span.address, span.size);
}

/* As gap_take(), with what is in quarantine where there is no room else. */
static int gap_find(uint64_t span, uint64_t align, uint64_t *address)
{
	struct quarantine_span old;
	int r = gap_take(span, align, address);

	while (r < 0 && sg_checks() && quarantine_take(&old)) {
		gap_give(old.address, old.size);
		r = gap_take(span, align, address);
	}
	return r;
}

static size_t range_pages(const struct sg_range *range)
{
	return align_up(MAX(range->size, (size_t)1), SG_ARENA_PAGE);
}

static bool range_is_foreign(const struct sg_range *range)
{
	return range->kind == SG_RANGE_IPC || range->kind == SG_RANGE_POOL_IMPORT ||
	       range->kind == SG_RANGE_EXTERNAL;
}

static int range_map(const struct sg_range *range)
{
	size_t size = range_pages(range);

	if (range->kind == SG_RANGE_RESERVED)
		return 0;
	if (range_is_foreign(range))
		return mmap((void *)range->address, size, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED, range->fd, (off_t)range->host) == MAP_FAILED
			   ? error_origin(-EINVAL)
			   : 0;
	if (range->kind == SG_RANGE_REGISTERED) {
		/* An old size of 0 asks for a second mapping of shared pages, see mremap(2). */
		void *got = mremap((void *)range->host, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED,
		    (void *)range->address);
		return got == MAP_FAILED ? error_origin(-EINVAL) : 0;
	}
	return mprotect((void *)range->address, size, PROT_READ | PROT_WRITE)
		   ? error_origin(-ENOMEM)
		   : 0;
}

/* Where the kernel has no mapping left to split, the pages are at least given back. */
static void range_unmap(const struct sg_range *range)
{
	void *address = (void *)range->address;
	size_t size = range_span(range);

	if (mmap(address, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
		-1, 0) == MAP_FAILED)
		madvise(address, size, MADV_DONTNEED);
}

static size_t range_charge(const struct sg_range *range)
{
	return range->kind == SG_RANGE_REGISTERED || range->kind == SG_RANGE_RESERVED ||
		       range_is_foreign(range)
		   ? 0
		   : align_up(range->size, SG_ARENA_PAGE);
}

static int arena_add_locked(struct sg_range *range, size_t align)
{
	size_t charge = range_charge(range);

	range->guard = arena_ranges.n < ARENA_GUARDED_MAX ? SG_ARENA_PAGE : 0;
	if (charge > arena_capacity - arena_used)
		return -ENOMEM; /* every program may ask for too much: no trace */
	int r = lists_reserve();
	if (r < 0)
		return r;
	r = gap_find(range_span(range), MAX(align, (size_t)SG_ARENA_PAGE), &range->address);
	if (r < 0)
		return r;
	r = range_map(range);
	if (r < 0) {
		range_unmap(range);
		gap_give(range->address, range_span(range));
		return r;
	}
	range->id = ++arena_next_id;
	arena_used += charge;
	list_insert(&arena_ranges, range_above(range->address), range);
	return 0;
}

static int arena_add(struct sg_range *range, size_t align)
{
	if (range->size > SG_ALLOC_SIZE || align > SG_ALLOC_SIZE)
		return -ENOMEM;
	pthread_rwlock_wrlock(&arena_lock);
	int r = arena_add_locked(range, align);
	pthread_rwlock_unlock(&arena_lock);
	return r;
}

/* Variables start with what their module says, arrays and pinned memory are the host's to fill. */
static bool range_starts_unknown(const struct sg_range *range)
{
	return range->kind == SG_RANGE_DEVICE || range->kind == SG_RANGE_POOL ||
	       range->kind == SG_RANGE_GRAPH || (range->kind == SG_RANGE_MANAGED && !range->owner);
}

int sg_arena_alloc(struct sg_range *range, size_t align)
{
	int r = arena_add(range, align);

	if (r == 0 && sg_checks() && range_starts_unknown(range))
		sg_poison((void *)range->address, range_pages(range));
	return r;
}

int sg_arena_alias(struct sg_range *range)
{
	range->kind = SG_RANGE_REGISTERED;
	return arena_add(range, SG_ARENA_PAGE);
}

/* --- shared with other processes --- */

/* Moves a range's bytes into shared memory. */
static int range_share(struct sg_range *range)
{
	size_t size = range_pages(range);
	void *address = (void *)range->address;
	_cleanup_fd_ int fd = -1;

	int r = fd_memory("softgpu", size, &fd) ?: fd_write_all(fd, address, size, 0);
	if (r < 0)
		return error_trace(r);
	if (mmap(address, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
	    MAP_FAILED)
		return error_origin(-errno);
	range->is_shared = true;
	range->fd = fd;
	fd = -1;
	return 0;
}

int sg_arena_share(uint64_t address, int *fd)
{
	int r = -ENOENT;

	pthread_rwlock_wrlock(&arena_lock);
	struct sg_range *range = range_find(address);
	if (range && range->address == address &&
	    (range->kind == SG_RANGE_DEVICE || range->kind == SG_RANGE_POOL))
		r = range->is_shared ? 0 : range_share(range);
	if (r == 0) {
		*fd = fcntl(range->fd, F_DUPFD_CLOEXEC, 0);
		r = *fd < 0 ? error_origin(-errno) : 0;
	}
	pthread_rwlock_unlock(&arena_lock);
	return r;
}

int sg_arena_map(struct sg_range *range, int fd, uint64_t offset)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat status;

	/* Memory that its maker could shrink would be a SIGBUS for whoever touches it. */
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &status) < 0 ||
	    offset % SG_ARENA_PAGE || !range->size || range->size > (uint64_t)status.st_size ||
	    offset > (uint64_t)status.st_size - range->size)
		return error_origin(-EINVAL);
	range->host = offset;
	range->fd = fd;
	int r = arena_add(range, SG_ARENA_PAGE);
	range->host = 0;
	return r;
}

static void arena_remove_locked(size_t i)
{
	struct sg_range range = *range_at(i);

	list_remove(&arena_ranges, i);
	range_unmap(&range);
	gap_retire(range.address, range_span(&range));
	arena_used -= range_charge(&range);
	if (range.is_shared)
		fd_close(range.fd);
}

int sg_arena_free(uint64_t address)
{
	int r = -ENOENT;

	pthread_rwlock_wrlock(&arena_lock);
	size_t above = range_above(address);
	if (above && range_at(above - 1)->address == address) {
		arena_remove_locked(above - 1);
		r = 0;
	}
	pthread_rwlock_unlock(&arena_lock);
	return r;
}

void sg_arena_free_context(uint64_t context_id, void (*freed)(const struct sg_range *range))
{
	pthread_rwlock_wrlock(&arena_lock);
	for (size_t i = arena_ranges.n; i-- > 0;) {
		struct sg_range range = *range_at(i);
		if (range.context_id != context_id)
			continue;
		arena_remove_locked(i);
		if (freed)
			freed(&range);
	}
	pthread_rwlock_unlock(&arena_lock);
}

/* --- reserved ranges --- */

int sg_arena_reserve(size_t size, size_t align, uint64_t *address)
{
	struct sg_range range = {.size = size, .kind = SG_RANGE_RESERVED};
	int r = arena_add(&range, align);

	*address = range.address;
	return r;
}

int sg_arena_unreserve(uint64_t address, size_t size)
{
	int r = -EINVAL;

	pthread_rwlock_wrlock(&arena_lock);
	size_t above = range_above(address);
	const struct sg_range *range = above ? range_at(above - 1) : NULL;
	if (range && range->kind == SG_RANGE_RESERVED && range->address == address &&
	    range->size == size) {
		arena_remove_locked(above - 1);
		r = 0;
	}
	pthread_rwlock_unlock(&arena_lock);
	return r;
}

bool sg_arena_find_reserved(uint64_t address, struct sg_range *range)
{
	pthread_rwlock_rdlock(&arena_lock);
	const struct sg_range *found = range_find(address);
	bool is = found && found->kind == SG_RANGE_RESERVED;
	if (is)
		*range = *found;
	pthread_rwlock_unlock(&arena_lock);
	return is;
}

bool sg_arena_charge(size_t size)
{
	pthread_rwlock_wrlock(&arena_lock);
	bool fits = size <= arena_capacity - arena_used;
	arena_used += fits ? size : 0;
	pthread_rwlock_unlock(&arena_lock);
	return fits;
}

void sg_arena_discharge(size_t size)
{
	pthread_rwlock_wrlock(&arena_lock);
	arena_used -= size;
	pthread_rwlock_unlock(&arena_lock);
}

/* --- looking --- */

static bool find_mapping(uint64_t address, struct sg_range *range)
{
	struct sg_mapping mapping;

	if (!sg_virtual_find(address, &mapping))
		return false;
	*range = (struct sg_range){.address = mapping.address,
	    .size = mapping.size,
	    .kind = SG_RANGE_MAPPED,
	    .flags = mapping.access,
	    .owner = mapping.owner,
	    .id = mapping.id};
	return true;
}

bool sg_arena_find(uint64_t address, struct sg_range *range)
{
	pthread_rwlock_rdlock(&arena_lock);
	const struct sg_range *found = range_find(address);
	bool reserved = found && found->kind == SG_RANGE_RESERVED;
	if (found)
		*range = *found;
	pthread_rwlock_unlock(&arena_lock);
	return reserved ? find_mapping(address, range) : found != NULL;
}

static bool covers(uint64_t address, size_t size, bool copies)
{
	pthread_rwlock_rdlock(&arena_lock);
	const struct sg_range *found = range_find(address);
	bool covers = found && size <= found->size - (address - found->address);
	bool reserved = found && found->kind == SG_RANGE_RESERVED;
	pthread_rwlock_unlock(&arena_lock);
	return covers && (!reserved || sg_virtual_covers(address, size, copies));
}

bool sg_arena_covers(uint64_t address, size_t size)
{
	return covers(address, size, false);
}

bool sg_arena_is_copied(uint64_t address, size_t size)
{
	return covers(address, size, true);
}

bool sg_arena_set_sync_memops(uint64_t address, bool value)
{
	pthread_rwlock_wrlock(&arena_lock);
	struct sg_range *found = range_find(address);
	if (found)
		found->sync_memops = value;
	pthread_rwlock_unlock(&arena_lock);
	return found;
}

void sg_arena_usage(size_t *used, size_t *capacity)
{
	pthread_rwlock_rdlock(&arena_lock);
	*used = arena_used;
	*capacity = arena_capacity;
	pthread_rwlock_unlock(&arena_lock);
}
