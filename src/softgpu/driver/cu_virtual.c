/*
 * Virtual memory management: physical memory is a file in memory, an address range a reservation in
 * the arena, and mapping is mapping (softgpu/mem/virtual.h). Physical memory lives as long as a
 * handle or a mapping of it does, and its file as long as any process has it; a descriptor that was
 * exported is that file.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/util.h"
#include "softgpu/driver/device.h"
#include "softgpu/driver/driver.h"
#include "softgpu/driver/memory.h"
#include "softgpu/driver/stream.h"
#include "softgpu/mem/check.h"
#include "softgpu/mem/virtual.h"

#define GRANULE	  (UINT64_C(2) << 20) /* as on real devices */
#define HOST_NAME "softgpu-host"      /* of files that are memory of the host */

struct physical {
	atomic_uint references; /* of its handle and mappings */
	void *handle;		/* under handles_lock; NULL: none */
	unsigned handle_references;
	int fd;
	size_t size;
	bool imported; /* another process's memory: not counted */
	CUmemAllocationProp properties;
};

static pthread_mutex_t handles_lock = PTHREAD_MUTEX_INITIALIZER;

static void physical_put(void *physical_)
{
	struct physical *physical = physical_;

	/* Acquire and release: who drops the last one sees what the others did. */
	if (atomic_fetch_sub_explicit(&physical->references, 1, memory_order_acq_rel) != 1)
		return;
	if (!physical->imported)
		sg_arena_discharge(physical->size);
	fd_close(physical->fd);
	free(physical);
}

static struct physical *physical_get(CUmemGenericAllocationHandle handle)
{
	return sg_handle_get((void *)handle, SG_PHYSICAL); /* NOLINT(performance-no-int-to-ptr) */
}

/* Its handle, with the caller's reference, which is dropped on failure. */
static CUresult physical_handle(struct physical *physical, CUmemGenericAllocationHandle *out)
{
	pthread_mutex_lock(&handles_lock);
	if (!physical->handle)
		physical->handle = sg_handle_new(SG_PHYSICAL, physical);
	void *handle = physical->handle;
	physical->handle_references += handle != NULL;
	pthread_mutex_unlock(&handles_lock);
	*out = (CUmemGenericAllocationHandle)handle;
	if (!handle)
		physical_put(physical);
	return handle ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static bool is_granular(uint64_t number)
{
	return number % GRANULE == 0;
}

/* --- physical memory --- */

/* The host has one node. */
static bool is_host(const CUmemLocation *location)
{
	return location->type == CU_MEM_LOCATION_TYPE_HOST ||
	       location->type == CU_MEM_LOCATION_TYPE_HOST_NUMA;
}

static bool is_any_host(const CUmemLocation *location)
{
	return is_host(location) || location->type == CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT;
}

bool sg_physical_is_host(const void *physical)
{
	return is_host(&((const struct physical *)physical)->properties.location);
}

static CUresult check_properties(const CUmemAllocationProp *properties)
{
	if (!properties || properties->type != CU_MEM_ALLOCATION_TYPE_PINNED)
		return CUDA_ERROR_INVALID_VALUE;
	if (properties->location.type == CU_MEM_LOCATION_TYPE_HOST)
		return properties->requestedHandleTypes ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
	if (!is_host(&properties->location) &&
	    properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	bool host = is_host(&properties->location);
	unsigned others =
	    properties->requestedHandleTypes & ~(unsigned)CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
	if (host && properties->location.id)
		return CUDA_ERROR_INVALID_VALUE;
	if (properties->location.id)
		return CUDA_ERROR_INVALID_DEVICE;
	if (host && (others & CU_MEM_HANDLE_TYPE_FABRIC))
		return CUDA_ERROR_NOT_PERMITTED;
	return !others ? CUDA_SUCCESS : host ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_NOT_SUPPORTED;
}

/* What nobody has written is recognisable; where it cannot be mapped for that, it stays zero. */
static void poison(int fd, size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return;
	sg_poison(memory, size);
	munmap(memory, size);
}

static CUresult create(size_t size, const CUmemAllocationProp *properties, struct physical **out)
{
	struct physical *physical = malloc(sizeof(*physical));

	if (!physical)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*physical = (struct physical){.references = 1, .size = size, .properties = *properties};
	if (is_host(&properties->location))
		physical->properties.location = (CUmemLocation){CU_MEM_LOCATION_TYPE_HOST_NUMA, 0};
	/* Compression shows in speed only, so all memory is as good as compressed. */
	if (!sg_device_attribute(CU_DEVICE_ATTRIBUTE_GENERIC_COMPRESSION_SUPPORTED))
		physical->properties.allocFlags.compressionType = 0;
	if (!sg_arena_charge(size)) {
		free(physical);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	const char *name = is_host(&properties->location) ? HOST_NAME : "softgpu";
	if (fd_memory(name, size, &physical->fd) < 0) {
		sg_arena_discharge(size);
		free(physical);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	if (sg_checks())
		poison(physical->fd, size);
	*out = physical;
	return CUDA_SUCCESS;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *handle, size_t size,
    const CUmemAllocationProp *properties, unsigned long long flags)
{
	struct physical *physical;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!handle || !size || !is_granular(size) || flags))
		r = CUDA_ERROR_INVALID_VALUE;
	r = r ?: check_properties(properties);
	r = r ?: create(size, properties, &physical);
	return r ?: physical_handle(physical, handle);
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&handles_lock);
	struct physical *physical = physical_get(handle);
	if (physical && !--physical->handle_references) {
		sg_handle_free(physical->handle);
		physical->handle = NULL;
	}
	pthread_mutex_unlock(&handles_lock);
	if (!physical)
		return CUDA_ERROR_INVALID_VALUE;
	physical_put(physical);
	return CUDA_SUCCESS;
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, CUdeviceptr address)
{
	struct sg_range range;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS &&
	    (!handle || !sg_arena_find(address, &range) || range.kind != SG_RANGE_MAPPED))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct physical *physical = range.owner;
	/* Relaxed: the mapping's own reference is there. */
	atomic_fetch_add_explicit(&physical->references, 1, memory_order_relaxed);
	return physical_handle(physical, handle);
}

CUresult cuMemGetAllocationPropertiesFromHandle(
    CUmemAllocationProp *properties, CUmemGenericAllocationHandle handle)
{
	const struct physical *physical = physical_get(handle);
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!properties || !physical))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS)
		*properties = physical->properties;
	return r;
}

CUresult cuMemGetAllocationGranularity(size_t *granularity, const CUmemAllocationProp *properties,
    CUmemAllocationGranularity_flags option)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!granularity || option > CU_MEM_ALLOC_GRANULARITY_RECOMMENDED))
		r = CUDA_ERROR_INVALID_VALUE;
	/* Of the host it does not matter which memory. */
	if (r == CUDA_SUCCESS && (!properties || !is_any_host(&properties->location)))
		r = check_properties(properties);
	if (r == CUDA_SUCCESS)
		*granularity = GRANULE;
	return r;
}

/* --- addresses --- */

CUresult cuMemAddressReserve(
    CUdeviceptr *address, size_t size, size_t alignment, CUdeviceptr hint, unsigned long long flags)
{
	uint64_t found;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!address || !size || !is_granular(size) || flags ||
				     (alignment && !is_power_of_two(alignment))))
		r = CUDA_ERROR_INVALID_VALUE;
	r = r ?: sg_memory_result(sg_arena_reserve(size, MAX(alignment, GRANULE), &found));
	if (r == CUDA_SUCCESS)
		*address = found;
	return r;
}

CUresult cuMemAddressFree(CUdeviceptr address, size_t size)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS &&
	    (!size || sg_virtual_overlaps(address, size) || sg_arena_unreserve(address, size) < 0))
		r = CUDA_ERROR_INVALID_VALUE;
	return r;
}

CUresult cuMemMap(CUdeviceptr address, size_t size, size_t offset,
    CUmemGenericAllocationHandle handle, unsigned long long flags)
{
	struct physical *physical = physical_get(handle);
	struct sg_range reserved;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS &&
	    (!physical || !size || !is_granular(size) || !is_granular(address) || offset || flags ||
		size > physical->size || !sg_arena_find_reserved(address, &reserved) ||
		size > reserved.size - (address - reserved.address)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	/* Relaxed: the handle's own reference is there. */
	atomic_fetch_add_explicit(&physical->references, 1, memory_order_relaxed);
	int mapped = sg_virtual_map(address, size, physical->fd, physical);
	if (mapped == 0)
		return CUDA_SUCCESS;
	physical_put(physical);
	return mapped == -EBUSY ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuMemUnmap(CUdeviceptr address, size_t size)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	sg_engine_wait();
	return size && sg_virtual_unmap(address, size, physical_put) == 0
		   ? CUDA_SUCCESS
		   : CUDA_ERROR_INVALID_VALUE;
}

static bool is_this_device(const CUmemLocation *location)
{
	return location->type == CU_MEM_LOCATION_TYPE_DEVICE && !location->id;
}

/* Memory of the device is the device's alone. */
static bool is_of_host(CUdeviceptr address, size_t size)
{
	struct sg_mapping mapping;

	for (CUdeviceptr at = address; at < address + size; at = mapping.address + mapping.size)
		if (!sg_virtual_find(at, &mapping) || !sg_physical_is_host(mapping.owner))
			return false;
	return true;
}

static CUresult set_access(CUdeviceptr address, size_t size, const CUmemAccessDesc *access)
{
	bool host = is_host(&access->location);
	unsigned flags = access->flags;

	if (!host && !is_this_device(&access->location))
		return CUDA_ERROR_INVALID_DEVICE;
	if ((host && !is_of_host(address, size)) || flags > CU_MEM_ACCESS_FLAGS_PROT_READWRITE ||
	    flags == 2 || sg_virtual_protect(address, size, host, flags) < 0)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

CUresult cuMemSetAccess(
    CUdeviceptr address, size_t size, const CUmemAccessDesc *access, size_t count)
{
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!address || !size || !access || !count))
		r = CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count && r == CUDA_SUCCESS; i++)
		r = set_access(address, size, &access[i]);
	return r;
}

CUresult cuMemGetAccess(
    unsigned long long *flags, const CUmemLocation *location, CUdeviceptr address)
{
	struct sg_mapping mapping;
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!flags || !location || !sg_virtual_find(address, &mapping)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r == CUDA_SUCCESS && !is_host(location) && !is_this_device(location))
		r = CUDA_ERROR_INVALID_DEVICE;
	if (r == CUDA_SUCCESS)
		*flags = is_host(location) ? mapping.host : mapping.access;
	return r;
}

/* --- for other processes --- */

CUresult cuMemExportToShareableHandle(void *out, CUmemGenericAllocationHandle handle,
    CUmemAllocationHandleType type, unsigned long long flags)
{
	const struct physical *physical = physical_get(handle);
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS &&
	    (!out || !physical || flags || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR ||
		!(physical->properties.requestedHandleTypes & type)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	int fd = fcntl(physical->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return CUDA_ERROR_OPERATING_SYSTEM;
	*(int *)out = fd;
	return CUDA_SUCCESS;
}

/* A file in memory that nobody can shrink, of whole granules; 0: it is none. */
static size_t size_of(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat status;

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &status) < 0 ||
	    !is_granular((uint64_t)status.st_size))
		return 0;
	return (size_t)status.st_size;
}

static bool is_file_of_host(int fd)
{
	char path[64], name[64] = {0};

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, name, sizeof(name) - 1) > 0 &&
	       strncmp(name, "/memfd:" HOST_NAME, strlen("/memfd:" HOST_NAME)) == 0;
}

CUresult cuMemImportFromShareableHandle(
    CUmemGenericAllocationHandle *handle, void *os_handle, CUmemAllocationHandleType type)
{
	int fd = (int)(intptr_t)os_handle;
	size_t size = size_of(fd);
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS &&
	    (!handle || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR || !size))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct physical *physical = malloc(sizeof(*physical));
	if (!physical)
		return CUDA_ERROR_OUT_OF_MEMORY;
	bool of_host = is_file_of_host(fd);
	*physical = (struct physical){.references = 1,
	    .fd = fcntl(fd, F_DUPFD_CLOEXEC, 0),
	    .size = size,
	    .imported = true,
	    .properties = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
		.requestedHandleTypes =
		    of_host ? CU_MEM_HANDLE_TYPE_NONE : CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
		.location = {.type = of_host ? CU_MEM_LOCATION_TYPE_HOST_NUMA
					     : CU_MEM_LOCATION_TYPE_DEVICE}}};
	if (physical->fd < 0) {
		free(physical);
		return CUDA_ERROR_OPERATING_SYSTEM;
	}
	return physical_handle(physical, handle);
}
