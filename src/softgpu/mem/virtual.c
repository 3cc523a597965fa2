/* A sorted array under a lock: mappings are large, so there are few. */
#include "softgpu/mem/virtual.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct sg_mapping *mappings;
static size_t n_mappings, room;
static uint64_t next_id = UINT64_C(1) << 61; /* apart from the arena's ids */

/* The first mapping that ends above address. */
static size_t first_above(uint64_t address)
{
	size_t low = 0, high = n_mappings;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (mappings[middle].address + mappings[middle].size <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct sg_mapping *at(uint64_t address)
{
	size_t i = first_above(address);

	return i < n_mappings && mappings[i].address <= address ? &mappings[i] : NULL;
}

static bool overlaps(uint64_t address, size_t size)
{
	size_t i = first_above(address);

	return i < n_mappings && mappings[i].address < address + size;
}

static int map(uint64_t address, size_t size, int fd, void *owner)
{
	if (overlaps(address, size))
		return -EBUSY;
	if (n_mappings == room) {
		size_t more = room ? 2 * room : 64;
		void *grown = reallocarray(mappings, more, sizeof(*mappings));
		if (!grown)
			return error_origin(-ENOMEM);
		mappings = grown;
		room = more;
	}
	if (mmap((void *)address, size, PROT_NONE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return error_origin(-errno);
	size_t i = first_above(address);
	memmove(&mappings[i + 1], &mappings[i], (n_mappings - i) * sizeof(*mappings));
	mappings[i] =
	    (struct sg_mapping){.address = address, .size = size, .owner = owner, .id = next_id++};
	n_mappings++;
	return 0;
}

int sg_virtual_map(uint64_t address, size_t size, int fd, void *owner)
{
	pthread_rwlock_wrlock(&lock);
	int r = map(address, size, fd, owner);
	pthread_rwlock_unlock(&lock);
	return r;
}

/* How many mappings, from index *first on, are exactly the range; 0: none are. */
static size_t whole(uint64_t address, size_t size, size_t *first)
{
	uint64_t end = address + size;
	size_t i = *first = first_above(address);

	for (; i < n_mappings && address < end && mappings[i].address == address; i++)
		address += mappings[i].size;
	return address == end ? i - *first : 0;
}

static int unmap(uint64_t address, size_t size, void (*gone)(void *owner))
{
	size_t first, n = whole(address, size, &first);

	if (!n)
		return error_origin(-EINVAL);
	if (mmap((void *)address, size, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return error_origin(-errno);
	for (size_t i = first; i < first + n; i++)
		gone(mappings[i].owner);
	n_mappings -= n;
	memmove(&mappings[first], &mappings[first + n], (n_mappings - first) * sizeof(*mappings));
	return 0;
}

int sg_virtual_unmap(uint64_t address, size_t size, void (*gone)(void *owner))
{
	pthread_rwlock_wrlock(&lock);
	int r = unmap(address, size, gone);
	pthread_rwlock_unlock(&lock);
	return r;
}

static int protection_of(enum sg_access access)
{
	return access == SG_ACCESS_ALL	  ? PROT_READ | PROT_WRITE
	       : access == SG_ACCESS_READ ? PROT_READ
					  : PROT_NONE;
}

static int protect(uint64_t address, size_t size, bool host, enum sg_access access)
{
	size_t first, n = whole(address, size, &first);

	if (!n)
		return error_origin(-EINVAL);
	for (size_t i = first; i < first + n; i++) {
		struct sg_mapping *m = &mappings[i];
		int protection = protection_of(access | (host ? m->access : m->host));
		if (mprotect((void *)m->address, m->size, protection) < 0)
			return error_origin(-errno);
		*(host ? &m->host : &m->access) = access;
	}
	return 0;
}

int sg_virtual_protect(uint64_t address, size_t size, bool host, enum sg_access access)
{
	pthread_rwlock_wrlock(&lock);
	int r = protect(address, size, host, access);
	pthread_rwlock_unlock(&lock);
	return r;
}

bool sg_virtual_find(uint64_t address, struct sg_mapping *out)
{
	pthread_rwlock_rdlock(&lock);
	const struct sg_mapping *found = at(address);
	if (found)
		*out = *found;
	pthread_rwlock_unlock(&lock);
	return found;
}

static bool may_use(const struct sg_mapping *mapping, bool copies)
{
	return mapping->access == SG_ACCESS_ALL || (copies && mapping->host == SG_ACCESS_ALL);
}

bool sg_virtual_covers(uint64_t address, size_t size, bool copies)
{
	uint64_t end = address + size;
	const struct sg_mapping *found;

	pthread_rwlock_rdlock(&lock);
	do {
		found = at(address);
		if (found && !may_use(found, copies))
			found = NULL;
		if (found)
			address = found->address + found->size;
	} while (found && address < end);
	pthread_rwlock_unlock(&lock);
	return found;
}

bool sg_virtual_overlaps(uint64_t address, size_t size)
{
	pthread_rwlock_rdlock(&lock);
	bool found = overlaps(address, size);
	pthread_rwlock_unlock(&lock);
	return found;
}
