/* The fake backend's virtual memory: pages of one range that is reserved at the arena's window, and
 * physical memory that counts its handle and its mappings. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/test.h"
#include "worker/test-fake-parts.h"

#define GRANULE (2u << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	uint64_t start, size;
} reservations[64];
static struct physical *physicals; /* alive; so that a fresh fake can free what was left */

static CUresult granularity(
    size_t *bytes, const CUmemAllocationProp *properties, CUmemAllocationGranularity_flags option)
{
	FALLIBLE();
	*bytes = GRANULE;
	return CUDA_SUCCESS;
}

/* What changes more than one of the tables does so alone, with nobody's use of memory beside it. */
#define ALONE(call)                                                                                \
	({                                                                                         \
		fake_change_memory();                                                              \
		CUresult alone_r = (call);                                                         \
		fake_changed_memory();                                                             \
		alone_r;                                                                           \
	})

static CUresult reserve(CUdeviceptr *address, size_t bytes, CUdeviceptr hint)
{
	void *at = mmap(fake.moves_ranges ? NULL : (void *)(hint & ~0xfffull), bytes, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*address = (CUdeviceptr)at;
	for (unsigned i = 0; i < ARRAY_SIZE(reservations); i++)
		if (!reservations[i].size) {
			reservations[i].start = (uint64_t)at;
			reservations[i].size = bytes;
			atomic_fetch_add(&fake.reserved, 1);
			return CUDA_SUCCESS;
		}
	munmap(at, bytes);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult address_reserve(CUdeviceptr *address, size_t bytes, size_t alignment,
    CUdeviceptr hint, unsigned long long flags)
{
	FALLIBLE();
	if (!bytes || bytes % GRANULE)
		return CUDA_ERROR_INVALID_VALUE;
	return ALONE(reserve(address, bytes, hint));
}

static bool is_reserved(uint64_t address, uint64_t bytes)
{
	for (unsigned i = 0; i < ARRAY_SIZE(reservations); i++)
		if (address >= reservations[i].start &&
		    address - reservations[i].start < reservations[i].size &&
		    bytes <= reservations[i].size - (address - reservations[i].start))
			return true;
	return false;
}

struct physical {
	struct physical *next, **link; /* under lock */
	size_t bytes;
	unsigned references; /* the handle and each mapping; under lock */
};

static CUresult memory_create(CUmemGenericAllocationHandle *handle, size_t bytes,
    const CUmemAllocationProp *properties, unsigned long long flags)
{
	FALLIBLE();
	if (!bytes || bytes % GRANULE || properties->type != CU_MEM_ALLOCATION_TYPE_PINNED ||
	    properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE || properties->location.id)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = fake_take_capacity(bytes);
	if (r != CUDA_SUCCESS)
		return r;
	struct physical *physical = calloc(1, sizeof(*physical));
	CHECK(physical);
	*physical = (struct physical){NULL, NULL, bytes, 1};
	pthread_mutex_lock(&lock);
	physical->next = physicals;
	physical->link = &physicals;
	if (physicals)
		physicals->link = &physical->next;
	physicals = physical;
	pthread_mutex_unlock(&lock);
	*handle = (CUmemGenericAllocationHandle)physical;
	atomic_fetch_add(&fake.created, 1);
	return CUDA_SUCCESS;
}

static void put_physical(struct physical *physical)
{
	pthread_mutex_lock(&lock);
	bool last = --physical->references == 0;
	if (last) {
		*physical->link = physical->next;
		if (physical->next)
			physical->next->link = physical->link;
	}
	pthread_mutex_unlock(&lock);
	if (!last)
		return;
	atomic_fetch_sub(&fake.used, physical->bytes);
	atomic_fetch_sub(&fake.created, 1);
	free(physical);
}

static CUresult memory_release(CUmemGenericAllocationHandle handle)
{
	if (!handle)
		return CUDA_ERROR_INVALID_VALUE;
	put_physical((struct physical *)handle);
	return CUDA_SUCCESS;
}

/* The mappings' physical memory: where a mapping starts, its reference is remembered. */
static struct {
	uint64_t address;
	struct physical *physical;
	unsigned devices; /* that have access, one bit each */
} mappings[FAKE_RANGES];

/* Whether any mapping lies in the way. */
static bool is_mapped_at(uint64_t address, size_t bytes)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < FAKE_RANGES && !found; i++)
		found = mappings[i].physical && mappings[i].address < address + bytes &&
			address < mappings[i].address + mappings[i].physical->bytes;
	pthread_mutex_unlock(&lock);
	return found;
}

static CUresult unreserve(CUdeviceptr address, size_t bytes)
{
	if (is_mapped_at(address, bytes))
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < ARRAY_SIZE(reservations); i++)
		if (reservations[i].size && reservations[i].start == address &&
		    reservations[i].size == bytes) {
			reservations[i].size = 0;
			munmap((void *)address, bytes);
			atomic_fetch_sub(&fake.reserved, 1);
			return CUDA_SUCCESS;
		}
	return CUDA_ERROR_INVALID_VALUE;
}

static CUresult address_free(CUdeviceptr address, size_t bytes)
{
	return ALONE(unreserve(address, bytes));
}

static CUresult map(CUdeviceptr address, size_t bytes, size_t offset, struct physical *physical)
{
	bool kept = false;

	if (!physical || bytes != physical->bytes || offset || address % 4096 ||
	    !is_reserved(address, bytes) || is_mapped_at(address, bytes))
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < FAKE_RANGES && !kept; i++)
		if (!mappings[i].physical) {
			mappings[i].address = address;
			mappings[i].physical = physical;
			mappings[i].devices = 0;
			physical->references++;
			kept = true;
		}
	pthread_mutex_unlock(&lock);
	if (!kept)
		return CUDA_ERROR_OUT_OF_MEMORY;
	atomic_fetch_add(&fake.mapped, 1);
	return CUDA_SUCCESS;
}

static CUresult memory_map(CUdeviceptr address, size_t bytes, size_t offset,
    CUmemGenericAllocationHandle handle, unsigned long long flags)
{
	FALLIBLE();
	return ALONE(map(address, bytes, offset, (struct physical *)handle));
}

CUmemGenericAllocationHandle fake_retain(uint64_t address)
{
	struct physical *physical = NULL;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < FAKE_RANGES && !physical; i++)
		if (mappings[i].physical && address >= mappings[i].address &&
		    address < mappings[i].address + mappings[i].physical->bytes)
			physical = mappings[i].physical;
	if (physical)
		physical->references++;
	pthread_mutex_unlock(&lock);
	return (CUmemGenericAllocationHandle)physical;
}

/* Whether one mapping is exactly there. */
static bool is_mapping(uint64_t address, size_t bytes)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < FAKE_RANGES && !found; i++)
		found = mappings[i].physical && mappings[i].address == address &&
			mappings[i].physical->bytes == bytes;
	pthread_mutex_unlock(&lock);
	return found;
}

unsigned fake_access(uint64_t address)
{
	for (unsigned i = 0; i < FAKE_RANGES; i++)
		if (mappings[i].physical && mappings[i].address == address)
			return mappings[i].devices;
	return 0;
}

/* False when nothing is mapped exactly there. */
static bool add_access(uint64_t address, size_t bytes, const CUmemAccessDesc *access, size_t count)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < FAKE_RANGES && !found; i++) {
		found = mappings[i].physical && mappings[i].address == address &&
			mappings[i].physical->bytes == bytes;
		for (size_t d = 0; found && d < count; d++)
			mappings[i].devices |= 1u << (access[d].location.id & 31);
	}
	pthread_mutex_unlock(&lock);
	return found;
}

static CUresult open_to(
    CUdeviceptr address, size_t bytes, const CUmemAccessDesc *access, size_t count)
{
	if (!count || !add_access(address, bytes, access, count))
		return CUDA_ERROR_INVALID_VALUE;
	if (fake_is_mapped(address, 1))
		return CUDA_SUCCESS;
	CHECK(mmap((void *)address, bytes, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED);
	return fake_add_range(address, bytes, false) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult memory_access(
    CUdeviceptr address, size_t bytes, const CUmemAccessDesc *access, size_t count)
{
	FALLIBLE();
	return ALONE(open_to(address, bytes, access, count));
}

static CUresult unmap(CUdeviceptr address, size_t bytes)
{
	struct physical *physical = NULL;

	if (!is_mapping(address, bytes))
		return CUDA_ERROR_INVALID_VALUE;
	if (fake_drop_range(address, false))
		CHECK(mmap((void *)address, bytes, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
			  0) != MAP_FAILED);
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < FAKE_RANGES && !physical; i++)
		if (mappings[i].physical && mappings[i].address == address) {
			physical = mappings[i].physical;
			mappings[i].physical = NULL;
		}
	pthread_mutex_unlock(&lock);
	CHECK(physical);
	put_physical(physical);
	atomic_fetch_sub(&fake.mapped, 1);
	return CUDA_SUCCESS;
}

static CUresult memory_unmap(CUdeviceptr address, size_t bytes)
{
	return ALONE(unmap(address, bytes));
}

static void drop_everything(void)
{
	for (unsigned i = 0; i < FAKE_RANGES; i++)
		mappings[i].physical = NULL;
	for (struct physical *next; physicals; physicals = next) {
		next = physicals->next;
		free(physicals);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(reservations); i++)
		if (reservations[i].size) {
			munmap((void *)reservations[i].start, reservations[i].size);
			reservations[i].size = 0;
		}
}

void fake_set_virtual_functions(struct backend *b)
{
	drop_everything();
	b->cuMemGetAllocationGranularity = granularity;
	b->cuMemAddressReserve = address_reserve;
	b->cuMemAddressFree = address_free;
	b->cuMemCreate = memory_create;
	b->cuMemRelease = memory_release;
	b->cuMemMap = memory_map;
	b->cuMemSetAccess = memory_access;
	b->cuMemUnmap = memory_unmap;
}
