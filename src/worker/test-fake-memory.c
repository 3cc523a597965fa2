/* The fake backend's memory: what cuMemAlloc and the registration of host memory know. Every range
 * of mapped device memory is remembered, so that copies check both ends before they touch them: a
 * test of hostile addresses cannot crash. None goes in the midst of a copy, after which a GPU would
 * only stop. */
#include <pthread.h>
#include <stdlib.h>

#include "worker/test-fake-parts.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	uint64_t start, size;
	bool plain; /* of cuMemAlloc */
} ranges[FAKE_RANGES];

static pthread_rwlock_t use = PTHREAD_RWLOCK_INITIALIZER; /* outside of the locks */

void fake_use_memory(void)
{
	pthread_rwlock_rdlock(&use);
}

void fake_used_memory(void)
{
	pthread_rwlock_unlock(&use);
}

void fake_change_memory(void)
{
	pthread_rwlock_wrlock(&use);
}

void fake_changed_memory(void)
{
	pthread_rwlock_unlock(&use);
}

bool fake_add_range(uint64_t start, uint64_t size, bool plain)
{
	bool added = false;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < FAKE_RANGES && !added; i++)
		if (!ranges[i].size) {
			ranges[i].start = start;
			ranges[i].size = size;
			ranges[i].plain = plain;
			added = true;
		}
	pthread_mutex_unlock(&lock);
	return added;
}

uint64_t fake_drop_range(uint64_t start, bool plain)
{
	uint64_t size = 0;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < FAKE_RANGES && !size; i++)
		if (ranges[i].size && ranges[i].start == start && ranges[i].plain == plain) {
			size = ranges[i].size;
			ranges[i].size = 0;
		}
	pthread_mutex_unlock(&lock);
	return size;
}

bool fake_is_mapped(uint64_t address, size_t bytes)
{
	bool mapped = false;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < FAKE_RANGES && !mapped; i++)
		mapped = address >= ranges[i].start && address - ranges[i].start < ranges[i].size &&
			 bytes <= ranges[i].size - (address - ranges[i].start);
	pthread_mutex_unlock(&lock);
	return mapped;
}

CUresult fake_take_capacity(size_t bytes)
{
	if (bytes > fake.capacity)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (atomic_fetch_add(&fake.used, bytes) + bytes <= fake.capacity)
		return CUDA_SUCCESS;
	atomic_fetch_sub(&fake.used, bytes);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult memory_alloc(CUdeviceptr *address, size_t bytes)
{
	FALLIBLE();
	CUresult r = fake_take_capacity(bytes);
	if (r != CUDA_SUCCESS)
		return r;
	*address = bytes ? (CUdeviceptr)calloc(1, bytes) : 0;
	if (*address && fake_add_range(*address, bytes, true))
		return CUDA_SUCCESS;
	free((void *)*address);
	atomic_fetch_sub(&fake.used, bytes);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult memory_free(CUdeviceptr address)
{
	fake_change_memory();
	uint64_t bytes = fake_drop_range(address, true);
	if (bytes)
		free((void *)address);
	fake_changed_memory();
	atomic_fetch_sub(&fake.used, bytes);
	return bytes ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult pointer_attribute(void *value, CUpointer_attribute attribute, CUdeviceptr address)
{
	if (!fake_is_mapped(address, 1))
		return CUDA_ERROR_INVALID_VALUE;
	if (attribute == CU_POINTER_ATTRIBUTE_MEMORY_TYPE)
		*(CUmemorytype *)value = CU_MEMORYTYPE_DEVICE;
	else if (attribute == CU_POINTER_ATTRIBUTE_CONTEXT)
		*(CUcontext *)value = FAKE_CONTEXT;
	else if (attribute == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
		*(int *)value = 0;
	else
		return CUDA_ERROR_NOT_SUPPORTED;
	return CUDA_SUCCESS;
}

static struct {
	uint64_t start;
	size_t size;
} host_ranges[FAKE_RANGES];

/* Under the lock: the range that holds it, FAKE_RANGES if none does; 0 looks for a free place. */
static size_t host_range_of(uint64_t address)
{
	size_t i = 0;

	while (i < FAKE_RANGES && (address ? address - host_ranges[i].start >= host_ranges[i].size
					   : host_ranges[i].size != 0))
		i++;
	return i;
}

bool fake_is_registered(uint64_t address)
{
	pthread_mutex_lock(&lock);
	bool registered = host_range_of(address) < FAKE_RANGES;
	pthread_mutex_unlock(&lock);
	return registered;
}

static CUresult host_register(void *memory, size_t bytes, unsigned flags)
{
	FALLIBLE();
	if (fake.no_register)
		return CUDA_ERROR_NOT_SUPPORTED;
	pthread_mutex_lock(&lock);
	size_t i = host_range_of(0);
	if (i < FAKE_RANGES) {
		host_ranges[i].start = (uintptr_t)memory;
		host_ranges[i].size = bytes;
	}
	pthread_mutex_unlock(&lock);
	atomic_fetch_add(&fake.registered, 1);
	return CUDA_SUCCESS;
}

static CUresult host_unregister(void *memory)
{
	fake_change_memory();
	pthread_mutex_lock(&lock);
	size_t i = host_range_of((uintptr_t)memory);
	if (i < FAKE_RANGES)
		host_ranges[i].size = 0;
	pthread_mutex_unlock(&lock);
	fake_changed_memory();
	atomic_fetch_sub(&fake.registered, 1);
	return CUDA_SUCCESS;
}

static CUresult host_device_pointer(CUdeviceptr *address, void *memory, unsigned flags)
{
	*address = (CUdeviceptr)memory + (fake.moves_host ? 0x1000 : 0);
	return CUDA_SUCCESS;
}

static void drop_everything(void)
{
	for (unsigned i = 0; i < FAKE_RANGES; i++) {
		if (ranges[i].size && ranges[i].plain)
			free((void *)ranges[i].start);
		ranges[i].size = 0;
		host_ranges[i].size = 0;
	}
}

void fake_set_memory_functions(struct backend *b, struct backend_host *host)
{
	drop_everything();
	b->cuMemAlloc_v2 = memory_alloc;
	b->cuMemFree_v2 = memory_free;
	b->cuPointerGetAttribute = pointer_attribute;
	host->cuMemHostRegister_v2 = host_register;
	host->cuMemHostUnregister = host_unregister;
	host->cuMemHostGetDevicePointer_v2 = host_device_pointer;
}
