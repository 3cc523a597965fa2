/*
 * The memory is a memfd, as all that is pinned (hostmem.c): mapped here where the program wants it,
 * and given to the worker as a segment for the same address, which is the device's, too. Here
 * nobody may touch it before the program asked for that; devices may at once, since the backend has
 * registered memory for all of them: who asks for less than that is only told so.
 *
 * A memory lives as long as its handle or a mapping of it does. One mutex, which is held while the
 * worker is asked: mapping memory is slow in CUDA itself.
 */
#include "shim/virtual_host.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "gen/shim_remote.h"
#include "shim/address.h"
#include "shim/call.h"
#include "shim/device.h"
#include "shim/hostmem.h"
#include "shim/range.h"
#include "wire/limits.h"

struct memory {
	struct memory *next;
	CUmemGenericAllocationHandle handle;
	unsigned references; /* of the handle; 0: it has ended */
	unsigned n_mappings;
	size_t bytes, granule; /* of mapping it */
	CUmemAllocationProp properties;
	int fd;
};

struct mapping {
	struct mapping *next;
	struct memory *memory;
	CUdeviceptr address;
	size_t bytes;
	uint64_t segment;
	CUmemAccess_flags host, device[WIRE_DEVICES_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct memory *memories;
static struct mapping *mappings;

/* --- finding; under the lock --- */

static struct memory *find(CUmemGenericAllocationHandle handle)
{
	struct memory *memory = memories;

	while (memory && (memory->handle != handle || !memory->references))
		memory = memory->next;
	return memory;
}

static struct mapping **mapping_at(CUdeviceptr address)
{
	struct mapping **at = &mappings;

	while (*at && (address < (*at)->address || address - (*at)->address >= (*at)->bytes))
		at = &(*at)->next;
	return at;
}

static void end_unused(struct memory *memory)
{
	struct memory **at = &memories;

	if (memory->references || memory->n_mappings)
		return;
	while (*at != memory)
		at = &(*at)->next;
	*at = memory->next;
	fd_close(memory->fd);
	free(memory);
}

/* --- memory --- */

static CUresult check(
    const CUmemAllocationProp *properties, size_t bytes, unsigned long long flags, size_t *granule)
{
	CUresult r = remote_cuMemGetAllocationGranularity(
	    granule, properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM);

	if (r == CUDA_SUCCESS && (!bytes || bytes % *granule || flags ||
				     properties->type != CU_MEM_ALLOCATION_TYPE_PINNED ||
				     properties->requestedHandleTypes))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && !hostmem_can_share())
		r = CUDA_ERROR_NOT_SUPPORTED;
	return r;
}

CUresult virtual_host_create(CUmemGenericAllocationHandle *handle, size_t bytes,
    const CUmemAllocationProp *properties, unsigned long long flags)
{
	size_t granule = 0;
	CUresult r = check(properties, bytes, flags, &granule);
	struct memory *memory = r == CUDA_SUCCESS ? malloc(sizeof(*memory)) : NULL;

	if (!memory)
		return r ?: CUDA_ERROR_OUT_OF_MEMORY;
	*memory = (struct memory){
	    .references = 1, .bytes = bytes, .granule = granule, .properties = *properties};
	if (fd_memory("rosen-host", bytes, &memory->fd) < 0) {
		free(memory);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	memory->handle = shim_handle_new(HANDLE_ALLOCATION);
	if (!memory->handle) {
		fd_close(memory->fd);
		free(memory);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*handle = memory->handle;
	pthread_mutex_lock(&lock);
	memory->next = memories;
	memories = memory;
	pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}

bool virtual_host_knows(CUmemGenericAllocationHandle handle)
{
	pthread_mutex_lock(&lock);
	bool knows = find(handle);
	pthread_mutex_unlock(&lock);
	return knows;
}

CUresult virtual_host_release(CUmemGenericAllocationHandle handle)
{
	pthread_mutex_lock(&lock);
	struct memory *memory = find(handle);
	if (memory && !--memory->references) {
		shim_handle_drop(handle);
		end_unused(memory);
	}
	pthread_mutex_unlock(&lock);
	return memory ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult virtual_host_retain(CUmemGenericAllocationHandle *handle, CUdeviceptr address)
{
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	pthread_mutex_lock(&lock);
	const struct mapping *mapping = *mapping_at(address);
	if (mapping) {
		struct memory *memory = mapping->memory;
		if (!memory->references)
			memory->handle = shim_handle_new(HANDLE_ALLOCATION);
		r = memory->handle ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
		memory->references += r == CUDA_SUCCESS;
		*handle = memory->handle;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

bool virtual_host_properties(CUmemGenericAllocationHandle handle, CUmemAllocationProp *properties)
{
	pthread_mutex_lock(&lock);
	const struct memory *memory = find(handle);
	if (memory)
		*properties = memory->properties;
	pthread_mutex_unlock(&lock);
	return memory;
}

/* --- mapping --- */

static void *pointer(CUdeviceptr address)
{
	return (void *)(uintptr_t)address; /* NOLINT(performance-no-int-to-ptr) */
}

static bool map_here(CUdeviceptr address, size_t bytes, int fd)
{
	int fixed = address_is_kept(address, bytes) ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	void *got = mmap(pointer(address), bytes, PROT_NONE, MAP_SHARED | fixed, fd, 0);

	if (got == pointer(address))
		return true;
	if (got != MAP_FAILED)
		munmap(got, bytes);
	return false;
}

static void unmap_here(CUdeviceptr address, size_t bytes)
{
	if (address_is_kept(address, bytes))
		mmap(pointer(address), bytes, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	else
		munmap(pointer(address), bytes);
}

static CUresult map(struct mapping *mapping)
{
	const struct memory *memory = mapping->memory;
	struct range present;

	if (range_overlaps(mapping->address, mapping->bytes, &present))
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r =
	    hostmem_send(memory->fd, mapping->address, mapping->bytes, &mapping->segment)
		?: remote_rosenSegmentPlace(mapping->segment, mapping->address, mapping->bytes);

	if (r != CUDA_SUCCESS)
		return r;
	const struct range range = {
	    .start = mapping->address, .size = mapping->bytes, .kind = RANGE_MAPPED_HOST};
	if (!map_here(mapping->address, mapping->bytes, memory->fd)) {
		r = CUDA_ERROR_OUT_OF_MEMORY;
	} else if (!range_add(&range)) {
		unmap_here(mapping->address, mapping->bytes);
		r = CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (r != CUDA_SUCCESS)
		remote_rosenSegmentUnmap(mapping->segment);
	return r;
}

CUresult virtual_host_map(CUdeviceptr address, size_t bytes, size_t offset,
    CUmemGenericAllocationHandle handle, unsigned long long flags)
{
	struct mapping *mapping = malloc(sizeof(*mapping));
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	if (!mapping)
		return CUDA_ERROR_OUT_OF_MEMORY;
	pthread_mutex_lock(&lock);
	struct memory *memory = find(handle);
	if (memory && !flags && (bytes != memory->bytes || offset)) {
		r = CUDA_ERROR_NOT_SUPPORTED; /* as NVIDIA's driver has it */
	} else if (memory && !flags && address % memory->granule == 0) {
		*mapping = (struct mapping){
		    .next = mappings, .memory = memory, .address = address, .bytes = bytes};
		r = map(mapping);
	}
	if (r == CUDA_SUCCESS) {
		memory->n_mappings++;
		mappings = mapping;
	}
	pthread_mutex_unlock(&lock);
	if (r != CUDA_SUCCESS)
		free(mapping);
	return r;
}

CUresult virtual_host_unmap(CUdeviceptr address)
{
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	pthread_mutex_lock(&lock);
	struct mapping **at = mapping_at(address), *mapping = *at;
	if (mapping && mapping->address == address)
		r = remote_rosenSegmentUnmap(mapping->segment);
	if (r == CUDA_SUCCESS) {
		unmap_here(address, mapping->bytes);
		range_remove(address, NULL);
		mapping->memory->n_mappings--;
		end_unused(mapping->memory);
		*at = mapping->next;
		free(mapping);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

/* --- access --- */

static CUresult allow(struct mapping *mapping, const CUmemAccessDesc *access)
{
	int protection = access->flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE
			     ? PROT_READ | PROT_WRITE
			 : access->flags == CU_MEM_ACCESS_FLAGS_PROT_READ ? PROT_READ
									  : PROT_NONE;

	if (access->flags > CU_MEM_ACCESS_FLAGS_PROT_READWRITE || access->flags == 2)
		return CUDA_ERROR_INVALID_VALUE;
	if (access->location.type == CU_MEM_LOCATION_TYPE_DEVICE) {
		if (access->location.id < 0 || access->location.id >= device_count())
			return CUDA_ERROR_INVALID_DEVICE;
		mapping->device[access->location.id] = access->flags;
		return CUDA_SUCCESS;
	}
	if (access->location.type != CU_MEM_LOCATION_TYPE_HOST)
		return CUDA_ERROR_INVALID_VALUE;
	if (mprotect(pointer(mapping->address), mapping->bytes, protection) < 0)
		return CUDA_ERROR_OUT_OF_MEMORY;
	mapping->host = access->flags;
	return CUDA_SUCCESS;
}

CUresult virtual_host_set_access(CUdeviceptr address, const CUmemAccessDesc *access, size_t count)
{
	CUresult r = CUDA_SUCCESS;

	pthread_mutex_lock(&lock);
	struct mapping *mapping = *mapping_at(address);
	if (!mapping || mapping->address != address)
		r = CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count && r == CUDA_SUCCESS; i++)
		r = allow(mapping, &access[i]);
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult virtual_host_get_access(
    CUdeviceptr address, const CUmemLocation *location, unsigned long long *flags)
{
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	pthread_mutex_lock(&lock);
	const struct mapping *mapping = *mapping_at(address);
	if (mapping && location->type == CU_MEM_LOCATION_TYPE_HOST) {
		*flags = mapping->host;
		r = CUDA_SUCCESS;
	} else if (mapping && location->type == CU_MEM_LOCATION_TYPE_DEVICE && location->id >= 0 &&
		   location->id < device_count()) {
		*flags = mapping->device[location->id];
		r = CUDA_SUCCESS;
	}
	pthread_mutex_unlock(&lock);
	return r;
}
