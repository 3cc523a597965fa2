/*
 * Allocations are a list: advice is given to few, large ones. Each has spans, in order, that cover
 * it and say what holds for their pages; advice splits the spans at its ends and changes those
 * between. What all spans of a range agree on is what a question about the range is answered with.
 */
#include "abi/managed.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define PAGE	    4096u
#define DEVICES_MAX 64 /* bits of a span's accessed_by */

struct span {
	uint64_t end; /* offset in the allocation; it starts where the one before ends */
	bool read_mostly, accessed_by_cpu;
	uint64_t accessed_by; /* a bit for each device */
	CUmemLocation preferred, prefetched;
};

struct allocation {
	struct allocation *next;
	uint64_t address, size;
	struct span *spans;
	size_t n, room;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct allocation *allocations;

bool managed_add(uint64_t address, uint64_t size)
{
	struct allocation *allocation = calloc(1, sizeof(*allocation));
	struct span *span = calloc(1, sizeof(*span));

	if (!allocation || !span) {
		free(allocation);
		free(span);
		return false;
	}
	span->end = align_up(size, PAGE);
	*allocation =
	    (struct allocation){.address = address, .size = size, .spans = span, .n = 1, .room = 1};
	pthread_mutex_lock(&lock);
	allocation->next = allocations;
	allocations = allocation;
	pthread_mutex_unlock(&lock);
	return true;
}

bool managed_remove(uint64_t address)
{
	struct allocation **at = &allocations, *found;

	pthread_mutex_lock(&lock);
	while (*at && (*at)->address != address)
		at = &(*at)->next;
	found = *at;
	if (found)
		*at = found->next;
	pthread_mutex_unlock(&lock);
	if (!found)
		return false;
	free(found->spans);
	free(found);
	return true;
}

/* Under the lock. */
static struct allocation *find(uint64_t address, uint64_t size)
{
	for (struct allocation *a = allocations; a; a = a->next)
		if (address - a->address < a->size)
			return size && size <= a->size - (address - a->address) ? a : NULL;
	return NULL;
}

bool managed_covers(uint64_t address, uint64_t size)
{
	pthread_mutex_lock(&lock);
	bool covers = find(address, size);
	pthread_mutex_unlock(&lock);
	return covers;
}

/* --- locations --- */

CUmemLocation managed_location(CUdevice device)
{
	CUmemLocation location = {CU_MEM_LOCATION_TYPE_DEVICE, device};

	if (device == CU_DEVICE_CPU)
		location = (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST, 0};
	return location;
}

static bool is_device(CUmemLocation location, int n_devices)
{
	return location.type == CU_MEM_LOCATION_TYPE_DEVICE && location.id >= 0 &&
	       location.id < MIN(n_devices, DEVICES_MAX);
}

static bool is_numa(CUmemLocation location)
{
	return location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA ||
	       location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT;
}

CUresult managed_check_advice(CUmem_advise advice, CUmemLocation location, int n_devices)
{
	bool valid = is_device(location, n_devices) || location.type == CU_MEM_LOCATION_TYPE_HOST;

	switch ((int)advice) {
	case CU_MEM_ADVISE_SET_READ_MOSTLY:
	case CU_MEM_ADVISE_UNSET_READ_MOSTLY:
	case CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION:
		valid = location.type >= CU_MEM_LOCATION_TYPE_DEVICE &&
			location.type <= CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT;
		break;
	case CU_MEM_ADVISE_SET_PREFERRED_LOCATION:
		valid |= is_numa(location);
		break;
	case CU_MEM_ADVISE_SET_ACCESSED_BY:
	case CU_MEM_ADVISE_UNSET_ACCESSED_BY:
		break;
	default:
		valid = false;
	}
	return valid ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult managed_check_prefetch(CUmemLocation location, int n_devices)
{
	return managed_check_advice(CU_MEM_ADVISE_SET_PREFERRED_LOCATION, location, n_devices);
}

/* --- changing --- */

/* A boundary at offset; the index of the span that starts there. -1: out of memory. */
static ssize_t split(struct allocation *a, uint64_t offset)
{
	uint64_t start = 0;
	size_t i = 0;

	for (; i < a->n && start < offset; start = a->spans[i++].end)
		if (a->spans[i].end > offset)
			break;
	if (start == offset)
		return (ssize_t)i;
	if (a->n == a->room) {
		size_t room = 2 * a->room;
		struct span *more = reallocarray(a->spans, room, sizeof(*more));
		if (!more)
			return -1;
		a->spans = more;
		a->room = room;
	}
	memmove(&a->spans[i + 1], &a->spans[i], (a->n - i) * sizeof(*a->spans));
	a->spans[i].end = offset;
	a->n++;
	return (ssize_t)i + 1;
}

static bool same(CUmemLocation one, CUmemLocation other)
{
	return one.type == other.type && one.id == other.id;
}

static bool mergeable(const struct span *one, const struct span *other)
{
	return one->read_mostly == other->read_mostly &&
	       one->accessed_by_cpu == other->accessed_by_cpu &&
	       one->accessed_by == other->accessed_by && same(one->preferred, other->preferred) &&
	       same(one->prefetched, other->prefetched);
}

/* So that advice given page by page does not leave a span for each. */
static void merge(struct allocation *a)
{
	size_t kept = 0;

	for (size_t i = 1; i < a->n; i++) {
		if (mergeable(&a->spans[kept], &a->spans[i]))
			a->spans[kept].end = a->spans[i].end;
		else
			a->spans[++kept] = a->spans[i];
	}
	a->n = kept + 1;
}

static void set_accessed_by(struct span *span, CUmemLocation location, bool value)
{
	if (location.type != CU_MEM_LOCATION_TYPE_DEVICE)
		span->accessed_by_cpu = value;
	else if (value)
		span->accessed_by |= 1ull << location.id;
	else
		span->accessed_by &= ~(1ull << location.id);
}

static void advise(struct span *span, CUmem_advise advice, CUmemLocation location)
{
	switch (advice) {
	case CU_MEM_ADVISE_SET_READ_MOSTLY:
	case CU_MEM_ADVISE_UNSET_READ_MOSTLY:
		span->read_mostly = advice == CU_MEM_ADVISE_SET_READ_MOSTLY;
		break;
	case CU_MEM_ADVISE_SET_PREFERRED_LOCATION:
		span->preferred = location;
		break;
	case CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION:
		span->preferred = (CUmemLocation){0};
		break;
	case CU_MEM_ADVISE_SET_ACCESSED_BY:
	case CU_MEM_ADVISE_UNSET_ACCESSED_BY:
		set_accessed_by(span, location, advice == CU_MEM_ADVISE_SET_ACCESSED_BY);
		break;
	}
}

/* advice 0: prefetched to location. */
static CUresult change(uint64_t address, uint64_t size, int advice, CUmemLocation location)
{
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	pthread_mutex_lock(&lock);
	struct allocation *a = find(address, size);
	if (a) {
		uint64_t offset = address - a->address;
		ssize_t first = split(a, offset / PAGE * PAGE);
		ssize_t last = split(a, align_up(offset + size, PAGE));
		r = first < 0 || last < 0 ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
		for (ssize_t i = first; r == CUDA_SUCCESS && i < last; i++) {
			if (advice)
				advise(&a->spans[i], (CUmem_advise)advice, location);
			else
				a->spans[i].prefetched = location;
		}
		merge(a);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult managed_advise(
    uint64_t address, uint64_t size, CUmem_advise advice, CUmemLocation location)
{
	return change(address, size, advice, location);
}

CUresult managed_prefetch(uint64_t address, uint64_t size, CUmemLocation location)
{
	return change(address, size, 0, location);
}

/* --- asking --- */

/* What all spans of a range agree on, in *all. */
static void agree(struct span *all, const struct span *span)
{
	all->read_mostly &= span->read_mostly;
	all->accessed_by_cpu &= span->accessed_by_cpu;
	all->accessed_by &= span->accessed_by;
	if (!same(all->preferred, span->preferred))
		all->preferred = (CUmemLocation){0};
	if (!same(all->prefetched, span->prefetched))
		all->prefetched = (CUmemLocation){0};
}

static bool summarise(uint64_t address, uint64_t size, struct span *all)
{
	bool any = false;

	pthread_mutex_lock(&lock);
	const struct allocation *a = find(address, size);
	for (size_t i = 0; a && i < a->n; i++) {
		const struct span *span = &a->spans[i];
		uint64_t start = i ? span[-1].end : 0, offset = address - a->address;
		if (span->end <= offset || start >= offset + size)
			continue;
		if (any)
			agree(all, span);
		else
			*all = *span;
		any = true;
	}
	pthread_mutex_unlock(&lock);
	return any;
}

/* A location as the attributes without a type have it: a device, the processor, or none. */
static int plain_location(CUmemLocation location)
{
	switch ((int)location.type) {
	case CU_MEM_LOCATION_TYPE_DEVICE:
		return location.id;
	case CU_MEM_LOCATION_TYPE_HOST:
	case CU_MEM_LOCATION_TYPE_HOST_NUMA:
	case CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT:
		return CU_DEVICE_CPU;
	default:
		return CU_DEVICE_INVALID;
	}
}

static int location_id(CUmemLocation location)
{
	return location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA ? location.id
							       : plain_location(location);
}

static void list_accessed_by(const struct span *all, int *out, size_t room)
{
	size_t n = 0;

	for (int i = 0; i < DEVICES_MAX && n < room; i++)
		if (all->accessed_by >> i & 1)
			out[n++] = i;
	if (all->accessed_by_cpu && n < room)
		out[n++] = CU_DEVICE_CPU;
	while (n < room)
		out[n++] = CU_DEVICE_INVALID;
}

CUresult managed_attribute(
    void *data, size_t data_size, CUmem_range_attribute attribute, uint64_t address, uint64_t size)
{
	struct span all = {0};
	int *out = data;

	if (!data || !data_size || data_size % sizeof(int) ||
	    (attribute != CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY && data_size != sizeof(int)) ||
	    !summarise(address, size, &all))
		return CUDA_ERROR_INVALID_VALUE;
	switch ((int)attribute) {
	case CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY:
		*out = all.read_mostly;
		return CUDA_SUCCESS;
	case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION:
		*out = plain_location(all.preferred);
		return CUDA_SUCCESS;
	case CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY:
		list_accessed_by(&all, out, data_size / sizeof(int));
		return CUDA_SUCCESS;
	case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION:
		*out = plain_location(all.prefetched);
		return CUDA_SUCCESS;
	case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE:
		*out = all.preferred.type;
		return CUDA_SUCCESS;
	case CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_ID:
		*out = location_id(all.preferred);
		return CUDA_SUCCESS;
	case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_TYPE:
		*out = all.prefetched.type;
		return CUDA_SUCCESS;
	case CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_ID:
		*out = location_id(all.prefetched);
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult managed_attributes(void **data, const size_t *data_sizes,
    const CUmem_range_attribute *attributes, size_t n, uint64_t address, uint64_t size)
{
	CUresult r =
	    n && data && data_sizes && attributes ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;

	for (size_t i = 0; r == CUDA_SUCCESS && i < n; i++)
		r = managed_attribute(data[i], data_sizes[i], attributes[i], address, size);
	return r;
}

static bool is_legacy(CUstream stream)
{
	return !stream || stream == CU_STREAM_LEGACY;
}

CUresult managed_check_batch(const CUdeviceptr *addresses, const size_t *sizes, size_t count,
    unsigned long long flags, CUstream stream)
{
	bool valid = addresses && sizes && count && !flags && !is_legacy(stream);

	for (size_t i = 0; valid && i < count; i++)
		valid = managed_covers(addresses[i], sizes[i]);
	return valid ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static bool locations_are_valid(size_t count, const CUmemLocation *locations,
    const size_t *location_indices, size_t n_locations, int n_devices)
{
	if (!locations || !location_indices || !n_locations || n_locations > count ||
	    location_indices[0])
		return false;
	for (size_t i = 0; i < n_locations; i++)
		if (managed_check_prefetch(locations[i], n_devices) != CUDA_SUCCESS ||
		    location_indices[i] >= count ||
		    (i && location_indices[i] <= location_indices[i - 1]))
			return false;
	return true;
}

CUresult managed_prefetch_batch(const CUdeviceptr *addresses, const size_t *sizes, size_t count,
    const CUmemLocation *locations, const size_t *location_indices, size_t n_locations,
    int n_devices)
{
	CUresult r = CUDA_SUCCESS;
	size_t which = 0;

	if (!locations_are_valid(count, locations, location_indices, n_locations, n_devices))
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; r == CUDA_SUCCESS && i < count; i++) {
		if (which + 1 < n_locations && location_indices[which + 1] == i)
			which++;
		r = managed_prefetch(addresses[i], sizes[i], locations[which]);
	}
	return r;
}

CUresult managed_check_attach(CUstream stream, uint64_t address, size_t length, unsigned flags)
{
	bool valid = false;

	pthread_mutex_lock(&lock);
	const struct allocation *a = find(address, 1);
	/* The whole allocation, which 0 means too. */
	if (a && a->address == address)
		valid = !length || length == a->size;
	pthread_mutex_unlock(&lock);
	valid &= flags == CU_MEM_ATTACH_GLOBAL || flags == CU_MEM_ATTACH_HOST ||
		 (flags == CU_MEM_ATTACH_SINGLE && !is_legacy(stream));
	return valid ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

void managed_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
}
