/*
 * The memory is a memfd, as all that is pinned (hostmem.c): mapped here where the program wants it,
 * and, once a device may use it, given to the worker as a segment for the same address, which is
 * the device's, too. The backend registers it for all devices: who asks for less, for one of them
 * or only to read, is only told so.
 *
 * A memory lives as long as its handle or a mapping of it does. One mutex, which is held while the
 * worker is asked: mapping memory is slow in CUDA itself.
 */
#include "shim/virtual_host.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "gen/shim_remote.h"
#include "shim/address.h"
#include "shim/call.h"
#include "shim/device.h"
#include "shim/hostmem.h"
#include "shim/numa.h"
#include "shim/range.h"
#include "shim/thread.h"
#include "wire/limits.h"

struct memory {
	struct memory *next;
	CUmemGenericAllocationHandle handle;
	unsigned references; /* of the handle; 0: it has ended */
	unsigned n_mappings;
	size_t bytes, granule; /* of mapping it */
	CUmemAllocationProp properties;
	int fd;
	uint64_t number; /* no other memory of the process has it */
};

struct mapping {
	struct mapping *next;
	struct memory *memory;
	CUdeviceptr address;
	size_t bytes;
	uint64_t segment; /* 0: no device has it */
	CUmemAccess_flags host, device[WIRE_DEVICES_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct memory *memories;
static uint64_t last_number = 1ull << 41; /* far from what a driver and pools count */
static struct mapping *mappings;
/* Relaxed: who uses an address has synchronised with the thread that mapped memory there. */
static _Atomic bool any;

bool virtual_host_any(void)
{
	return atomic_load_explicit(&any, memory_order_relaxed);
}

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

/* The node, if one was named, is part of the name, so that those who get the descriptor know it. */
#define MEMORY_NAME "rosen-host-"

static CUresult check(
    const CUmemAllocationProp *properties, size_t bytes, unsigned long long flags, size_t *granule)
{
	/* The host as such shares nothing. */
	unsigned shareable = properties->location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA
				 ? CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR
				 : CU_MEM_HANDLE_TYPE_NONE;
	CUresult r = remote_cuMemGetAllocationGranularity(
	    granule, properties, CU_MEM_ALLOC_GRANULARITY_MINIMUM);

	if (r == CUDA_SUCCESS && properties->location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA &&
	    (properties->requestedHandleTypes & CU_MEM_HANDLE_TYPE_FABRIC))
		r = CUDA_ERROR_NOT_PERMITTED; /* as where there is no fabric */
	if (r == CUDA_SUCCESS && (!bytes || bytes % *granule || flags ||
				     properties->type != CU_MEM_ALLOCATION_TYPE_PINNED ||
				     properties->requestedHandleTypes & ~shareable))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && properties->location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA &&
	    !numa_node_exists(properties->location.id))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && !hostmem_can_share())
		r = CUDA_ERROR_NOT_SUPPORTED;
	return r;
}

/* The host as such is the node beside the device. */
static int node_of(const CUmemLocation *location)
{
	return location->type == CU_MEM_LOCATION_TYPE_HOST_NUMA
		   ? location->id
		   : MAX(device_attribute(shim_thread.device, CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID), 0);
}

static CUresult pages_new(size_t bytes, int node, int *fd)
{
	char name[64];

	snprintf(name, sizeof(name), MEMORY_NAME "%d", node);
	if (fd_memory(name, bytes, fd) < 0)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (node == NUMA_ANY)
		return CUDA_SUCCESS;
	void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (pages == MAP_FAILED) {
		fd_close(*fd);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	numa_bind(pages, bytes, node);
	munmap(pages, bytes);
	return CUDA_SUCCESS;
}

/* Of the memory described, whose fd it takes over. */
static CUresult enter(const struct memory *described, CUmemGenericAllocationHandle *handle)
{
	struct memory *memory = malloc(sizeof(*memory));
	uint64_t id = memory ? shim_handle_new(HANDLE_ALLOCATION) : 0;

	if (!id) {
		free(memory);
		fd_close(described->fd);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*memory = *described;
	memory->references = 1;
	memory->handle = *handle = id;
	pthread_mutex_lock(&lock);
	memory->number = ++last_number;
	memory->next = memories;
	memories = memory;
	atomic_store_explicit(&any, true, memory_order_relaxed);
	pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}

CUresult virtual_host_create(CUmemGenericAllocationHandle *handle, size_t bytes,
    const CUmemAllocationProp *properties, unsigned long long flags)
{
	struct memory memory = {.bytes = bytes, .properties = *properties};
	CUresult r = check(properties, bytes, flags, &memory.granule);

	if (r != CUDA_SUCCESS)
		return r;
	memory.properties.location =
	    (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST_NUMA, node_of(&properties->location)};
	bool anywhere = properties->location.type == CU_MEM_LOCATION_TYPE_HOST;
	return pages_new(bytes, anywhere ? NUMA_ANY : properties->location.id, &memory.fd)
		   ?: enter(&memory, handle);
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

/* --- for other processes --- */

CUresult virtual_host_export(
    int *out, CUmemGenericAllocationHandle handle, unsigned long long flags)
{
	int fd = -1;

	pthread_mutex_lock(&lock);
	const struct memory *memory = find(handle);
	bool may = memory && memory->properties.requestedHandleTypes && !flags;
	if (may)
		fd = fcntl(memory->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	pthread_mutex_unlock(&lock);
	if (!may)
		return CUDA_ERROR_INVALID_VALUE;
	if (fd < 0)
		return CUDA_ERROR_OPERATING_SYSTEM;
	*out = fd;
	return CUDA_SUCCESS;
}

static bool read_name(int fd, int *node)
{
	char path[64], name[64] = {0};

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, name, sizeof(name) - 1) > 0 &&
	       sscanf(name, "/memfd:" MEMORY_NAME "%d", node) == 1;
}

bool virtual_host_is_shared(int fd)
{
	int node;

	return read_name(fd, &node);
}

CUresult virtual_host_import(CUmemGenericAllocationHandle *handle, int fd)
{
	struct memory memory = {.properties = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
				    .location = {CU_MEM_LOCATION_TYPE_HOST_NUMA, 0}}};
	struct stat status;

	if (!read_name(fd, &memory.properties.location.id) || fstat(fd, &status) < 0)
		return CUDA_ERROR_INVALID_VALUE;
	memory.bytes = (size_t)status.st_size;
	CUresult r = check(&memory.properties, memory.bytes, 0, &memory.granule);
	if (r != CUDA_SUCCESS)
		return r;
	memory.fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return memory.fd < 0 ? CUDA_ERROR_OPERATING_SYSTEM : enter(&memory, handle);
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

static CUresult map(const struct mapping *mapping)
{
	const struct range range = {.start = mapping->address,
	    .size = mapping->bytes,
	    .kind = RANGE_MAPPED_HOST,
	    .flags = CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP};
	struct range present;
	uint64_t start;
	size_t size;

	if (range_overlaps(mapping->address, mapping->bytes, &present) ||
	    !address_find(mapping->address, &start, &size) ||
	    mapping->bytes > size - (mapping->address - start))
		return CUDA_ERROR_INVALID_VALUE;
	if (!map_here(mapping->address, mapping->bytes, mapping->memory->fd))
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (range_add(&range))
		return CUDA_SUCCESS;
	unmap_here(mapping->address, mapping->bytes);
	return CUDA_ERROR_OUT_OF_MEMORY;
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

bool virtual_host_block(CUdeviceptr address, uint64_t *number)
{
	pthread_mutex_lock(&lock);
	const struct mapping *mapping = *mapping_at(address);
	if (mapping)
		*number = mapping->memory->number;
	pthread_mutex_unlock(&lock);
	return mapping;
}

/* To the devices; and from them. */
static CUresult show(struct mapping *mapping)
{
	if (mapping->segment)
		return CUDA_SUCCESS;
	CUresult r =
	    hostmem_send(mapping->memory->fd, mapping->address, mapping->bytes, &mapping->segment)
		?: remote_rosenSegmentPlace(mapping->segment, mapping->address, mapping->bytes);
	if (r != CUDA_SUCCESS)
		mapping->segment = 0;
	return r;
}

static CUresult hide(struct mapping *mapping)
{
	CUresult r = mapping->segment ? remote_rosenSegmentUnmap(mapping->segment) : CUDA_SUCCESS;

	if (r == CUDA_SUCCESS)
		mapping->segment = 0;
	return r;
}

CUresult virtual_host_unmap(CUdeviceptr address)
{
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	pthread_mutex_lock(&lock);
	struct mapping **at = mapping_at(address), *mapping = *at;
	if (mapping && mapping->address == address)
		r = hide(mapping);
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

static bool is_processor(const CUmemLocation *location)
{
	return location->type == CU_MEM_LOCATION_TYPE_HOST ||
	       location->type == CU_MEM_LOCATION_TYPE_HOST_NUMA;
}

static bool any_device(const struct mapping *mapping)
{
	for (unsigned i = 0; i < WIRE_DEVICES_MAX; i++)
		if (mapping->device[i])
			return true;
	return false;
}

static CUresult allow_device(struct mapping *mapping, int device, CUmemAccess_flags flags)
{
	if (device < 0 || device >= device_count())
		return CUDA_ERROR_INVALID_DEVICE;
	CUmemAccess_flags before = mapping->device[device];
	mapping->device[device] = flags;
	CUresult r = any_device(mapping) ? show(mapping) : hide(mapping);
	if (r != CUDA_SUCCESS)
		mapping->device[device] = before;
	return r;
}

static CUresult allow_host(struct mapping *mapping, CUmemAccess_flags flags)
{
	int protection = flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE ? PROT_READ | PROT_WRITE
			 : flags == CU_MEM_ACCESS_FLAGS_PROT_READ    ? PROT_READ
								     : PROT_NONE;

	if (mprotect(pointer(mapping->address), mapping->bytes, protection) < 0)
		return CUDA_ERROR_OUT_OF_MEMORY;
	mapping->host = flags;
	return CUDA_SUCCESS;
}

static CUresult allow(struct mapping *mapping, const CUmemAccessDesc *access)
{
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	if (access->flags > CU_MEM_ACCESS_FLAGS_PROT_READWRITE || access->flags == 2)
		return r;
	if (access->location.type == CU_MEM_LOCATION_TYPE_DEVICE)
		r = allow_device(mapping, access->location.id, access->flags);
	else if (is_processor(&access->location))
		r = allow_host(mapping, access->flags);
	range_set_reach(mapping->address, mapping->host ? mapping->address : 0,
	    mapping->segment ? mapping->address : 0);
	return r;
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
	if (mapping && is_processor(location)) {
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
