/*
 * See test-fake.h. Device memory lies in pages of one range that is reserved at the arena's window,
 * or from malloc for cuMemAlloc; copies check that both ends are mapped before they touch them, so
 * a test of hostile addresses cannot crash.
 */
#include "worker/test-fake.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/test.h"

#define RANGES	4096
#define GRANULE (2u << 20)

struct fake fake;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static bool held;
static unsigned waiting;
static struct {
	uint64_t start, size;
	bool plain; /* of cuMemAlloc */
} ranges[RANGES];
static struct {
	uint64_t start, size;
} reservations[64];
static struct physical *physicals; /* alive; so that a fresh fake can free what was left */
static struct {
	_Atomic uint32_t *address; /* NULL: none is waiting to be written */
	uint32_t value;
} word;
static _Thread_local CUcontext current;
static _Thread_local CUstreamCaptureMode mode;
static _Atomic bool capturing;

/* --- failures, ranges, waiting --- */

bool fake_has_context(void)
{
	return current;
}

bool fake_fails(void)
{
	return atomic_load(&fake.fail_in) >= 0 && atomic_fetch_sub(&fake.fail_in, 1) == 0;
}

static bool add_range(uint64_t start, uint64_t size, bool plain)
{
	bool added = false;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < RANGES && !added; i++)
		if (!ranges[i].size) {
			ranges[i].start = start;
			ranges[i].size = size;
			ranges[i].plain = plain;
			added = true;
		}
	pthread_mutex_unlock(&lock);
	return added;
}

/* Size of the range that starts at start, which is then gone; 0: none. */
static uint64_t drop_range(uint64_t start, bool plain)
{
	uint64_t size = 0;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < RANGES && !size; i++)
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
	for (unsigned i = 0; i < RANGES && !mapped; i++)
		mapped = address >= ranges[i].start && address - ranges[i].start < ranges[i].size &&
			 bytes <= ranges[i].size - (address - ranges[i].start);
	pthread_mutex_unlock(&lock);
	return mapped;
}

/* Under the lock. */
static void write_word(void)
{
	if (word.address)
		atomic_store_explicit(word.address, word.value, memory_order_release);
	word.address = NULL;
}

void fake_hold(void)
{
	pthread_mutex_lock(&lock);
	held = true;
	pthread_mutex_unlock(&lock);
}

void fake_release(void)
{
	pthread_mutex_lock(&lock);
	held = false;
	write_word();
	pthread_cond_broadcast(&released);
	pthread_mutex_unlock(&lock);
}

unsigned fake_waiting(void)
{
	pthread_mutex_lock(&lock);
	unsigned n = waiting;
	pthread_mutex_unlock(&lock);
	return n;
}

static CUresult wait_for_gpu(void)
{
	FALLIBLE();
	if (!current)
		return CUDA_ERROR_INVALID_CONTEXT;
	atomic_fetch_add(&fake.synchronised, 1);
	pthread_mutex_lock(&lock);
	waiting++;
	while (held)
		pthread_cond_wait(&released, &lock);
	waiting--;
	pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}

/* --- the driver and its device --- */

static CUresult init(unsigned flags)
{
	return CUDA_SUCCESS;
}

static CUresult driver_version(int *version)
{
	*version = 13000;
	return CUDA_SUCCESS;
}

static CUresult device_count(int *count)
{
	*count = 1;
	return CUDA_SUCCESS;
}

static CUresult device_attribute(int *value, CUdevice_attribute attribute, CUdevice device)
{
	if (attribute < 1 || attribute >= CU_DEVICE_ATTRIBUTE_MAX || device)
		return CUDA_ERROR_INVALID_VALUE;
	*value = (int)attribute * 10;
	if (attribute == CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED)
		*value = !fake.no_vmm;
	return CUDA_SUCCESS;
}

static CUresult device_name(char *name, int capacity, CUdevice device)
{
	snprintf(name, (size_t)capacity, "Fake device %d", device);
	return CUDA_SUCCESS;
}

static CUresult device_bus(char *name, int capacity, CUdevice device)
{
	if (device)
		return CUDA_ERROR_INVALID_DEVICE;
	snprintf(name, (size_t)capacity, "%s", FAKE_BUS_ID);
	return CUDA_SUCCESS;
}

static CUresult device_memory(size_t *bytes, CUdevice device)
{
	*bytes = fake.capacity;
	return CUDA_SUCCESS;
}

/* --- contexts --- */

static CUresult retain(CUcontext *context, CUdevice device)
{
	FALLIBLE();
	if (device)
		return CUDA_ERROR_INVALID_DEVICE;
	*context = FAKE_CONTEXT;
	atomic_fetch_add(&fake.retained, 1);
	return CUDA_SUCCESS;
}

static CUresult release(CUdevice device)
{
	if (device)
		return CUDA_ERROR_INVALID_DEVICE;
	atomic_fetch_sub(&fake.retained, 1);
	return CUDA_SUCCESS;
}

static CUresult reset(CUdevice device)
{
	return device ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
}

static CUresult context_create(CUcontext *context, unsigned flags, CUdevice device)
{
	static _Atomic uintptr_t next = 0xc100;

	FALLIBLE();
	*context = current = (CUcontext)atomic_fetch_add(&next, 0x10);
	return CUDA_SUCCESS;
}

static CUresult context_pop(CUcontext *context)
{
	*context = current;
	current = NULL;
	return CUDA_SUCCESS;
}

static CUresult context_destroy(CUcontext context)
{
	if (current == context)
		current = NULL;
	return CUDA_SUCCESS;
}

static CUresult context_set(CUcontext context)
{
	FALLIBLE();
	atomic_fetch_add(&fake.contexts_set, 1);
	current = context;
	return CUDA_SUCCESS;
}

static CUresult context_device(CUdevice *device)
{
	*device = 0;
	return current ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

static CUresult exchange_mode(CUstreamCaptureMode *exchanged)
{
	CUstreamCaptureMode old = mode;

	mode = *exchanged;
	*exchanged = old;
	atomic_fetch_add(&fake.relaxed, mode == CU_STREAM_CAPTURE_MODE_RELAXED);
	return CUDA_SUCCESS;
}

/* --- memory --- */

static CUresult take_capacity(size_t bytes)
{
	if (bytes > fake.capacity)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (atomic_fetch_add(&fake.used, bytes) + bytes <= fake.capacity)
		return CUDA_SUCCESS;
	atomic_fetch_sub(&fake.used, bytes);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult granularity(
    size_t *bytes, const CUmemAllocationProp *properties, CUmemAllocationGranularity_flags option)
{
	FALLIBLE();
	*bytes = GRANULE;
	return CUDA_SUCCESS;
}

static CUresult address_reserve(CUdeviceptr *address, size_t bytes, size_t alignment,
    CUdeviceptr hint, unsigned long long flags)
{
	FALLIBLE();
	if (!bytes || bytes % GRANULE)
		return CUDA_ERROR_INVALID_VALUE;
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
	CUresult r = take_capacity(bytes);
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
} mappings[RANGES];

/* Whether any mapping lies in the way. */
static bool is_mapped_at(uint64_t address, size_t bytes)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < RANGES && !found; i++)
		found = mappings[i].physical && mappings[i].address < address + bytes &&
			address < mappings[i].address + mappings[i].physical->bytes;
	pthread_mutex_unlock(&lock);
	return found;
}

static CUresult address_free(CUdeviceptr address, size_t bytes)
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

static CUresult memory_map(CUdeviceptr address, size_t bytes, size_t offset,
    CUmemGenericAllocationHandle handle, unsigned long long flags)
{
	struct physical *physical = (struct physical *)handle;
	bool kept = false;

	FALLIBLE();
	if (!physical || bytes != physical->bytes || offset || address % 4096 ||
	    !is_reserved(address, bytes) || is_mapped_at(address, bytes))
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < RANGES && !kept; i++)
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

CUmemGenericAllocationHandle fake_retain(uint64_t address)
{
	struct physical *physical = NULL;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < RANGES && !physical; i++)
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
	for (unsigned i = 0; i < RANGES && !found; i++)
		found = mappings[i].physical && mappings[i].address == address &&
			mappings[i].physical->bytes == bytes;
	pthread_mutex_unlock(&lock);
	return found;
}

unsigned fake_access(uint64_t address)
{
	for (unsigned i = 0; i < RANGES; i++)
		if (mappings[i].physical && mappings[i].address == address)
			return mappings[i].devices;
	return 0;
}

/* False when nothing is mapped exactly there. */
static bool add_access(uint64_t address, size_t bytes, const CUmemAccessDesc *access, size_t count)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < RANGES && !found; i++) {
		found = mappings[i].physical && mappings[i].address == address &&
			mappings[i].physical->bytes == bytes;
		for (size_t d = 0; found && d < count; d++)
			mappings[i].devices |= 1u << (access[d].location.id & 31);
	}
	pthread_mutex_unlock(&lock);
	return found;
}

static CUresult memory_access(
    CUdeviceptr address, size_t bytes, const CUmemAccessDesc *access, size_t count)
{
	FALLIBLE();
	if (!count || !add_access(address, bytes, access, count))
		return CUDA_ERROR_INVALID_VALUE;
	if (fake_is_mapped(address, 1))
		return CUDA_SUCCESS;
	CHECK(mmap((void *)address, bytes, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED);
	return add_range(address, bytes, false) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult memory_unmap(CUdeviceptr address, size_t bytes)
{
	struct physical *physical = NULL;

	if (!is_mapping(address, bytes))
		return CUDA_ERROR_INVALID_VALUE;
	if (drop_range(address, false))
		CHECK(mmap((void *)address, bytes, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
			  0) != MAP_FAILED);
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < RANGES && !physical; i++)
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

static CUresult memory_alloc(CUdeviceptr *address, size_t bytes)
{
	FALLIBLE();
	CUresult r = take_capacity(bytes);
	if (r != CUDA_SUCCESS)
		return r;
	*address = bytes ? (CUdeviceptr)calloc(1, bytes) : 0;
	if (*address && add_range(*address, bytes, true))
		return CUDA_SUCCESS;
	free((void *)*address);
	atomic_fetch_sub(&fake.used, bytes);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult memory_free(CUdeviceptr address)
{
	uint64_t bytes = drop_range(address, true);

	if (!bytes)
		return CUDA_ERROR_INVALID_VALUE;
	free((void *)address);
	atomic_fetch_sub(&fake.used, bytes);
	return CUDA_SUCCESS;
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
} host_ranges[RANGES];

/* Under the lock: the range that holds it, RANGES if none does; 0 looks for a free place. */
static size_t host_range_of(uint64_t address)
{
	size_t i = 0;

	while (i < RANGES && (address ? address - host_ranges[i].start >= host_ranges[i].size
				      : host_ranges[i].size != 0))
		i++;
	return i;
}

static bool is_registered(uint64_t address)
{
	pthread_mutex_lock(&lock);
	bool registered = host_range_of(address) < RANGES;
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
	if (i < RANGES) {
		host_ranges[i].start = (uintptr_t)memory;
		host_ranges[i].size = bytes;
	}
	pthread_mutex_unlock(&lock);
	atomic_fetch_add(&fake.registered, 1);
	return CUDA_SUCCESS;
}

static CUresult host_unregister(void *memory)
{
	pthread_mutex_lock(&lock);
	size_t i = host_range_of((uintptr_t)memory);
	if (i < RANGES)
		host_ranges[i].size = 0;
	pthread_mutex_unlock(&lock);
	atomic_fetch_sub(&fake.registered, 1);
	return CUDA_SUCCESS;
}

static CUresult host_device_pointer(CUdeviceptr *address, void *memory, unsigned flags)
{
	*address = (CUdeviceptr)memory + (fake.moves_host ? 0x1000 : 0);
	return CUDA_SUCCESS;
}

/* --- streams and events --- */

static CUresult stream_create(CUstream *stream, unsigned flags)
{
	FALLIBLE();
	*stream = (CUstream)(0x5000 + 16ull * atomic_fetch_add(&fake.streams, 1));
	return current ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

static CUresult stream_destroy(CUstream stream)
{
	return CUDA_SUCCESS;
}

static CUresult stream_synchronize(CUstream stream)
{
	return wait_for_gpu();
}

static CUresult event_synchronize(CUevent event)
{
	return wait_for_gpu();
}

static CUresult stream_query(CUstream stream)
{
	atomic_fetch_add(&fake.queries, 1);
	FALLIBLE();
	pthread_mutex_lock(&lock);
	CUresult r = held ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
	pthread_mutex_unlock(&lock);
	return current ? r : CUDA_ERROR_INVALID_CONTEXT;
}

static CUresult stream_write_value(
    CUstream stream, CUdeviceptr address, uint32_t value, unsigned flags)
{
	atomic_fetch_add(&fake.words, 1);
	FALLIBLE();
	if (fake.no_words)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (address % sizeof(value) ||
	    !(fake_is_mapped(address, sizeof(value)) || is_registered(address)))
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	word.address = (_Atomic uint32_t *)address;
	word.value = value;
	if (!held)
		write_word();
	pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}

static CUresult capture_begin(CUstream stream, CUstreamCaptureMode capture_mode)
{
	FALLIBLE();
	atomic_store(&capturing, true);
	return CUDA_SUCCESS;
}

static CUresult capture_end(CUstream stream, CUgraph *graph)
{
	atomic_store(&capturing, false);
	*graph = (CUgraph)0x6000;
	return CUDA_SUCCESS;
}

static CUresult is_capturing(CUstream stream, CUstreamCaptureStatus *status)
{
	*status = atomic_load(&capturing) ? CU_STREAM_CAPTURE_STATUS_ACTIVE
					  : CU_STREAM_CAPTURE_STATUS_NONE;
	return CUDA_SUCCESS;
}

static CUresult event_create(CUevent *event, unsigned flags)
{
	FALLIBLE();
	*event = FAKE_EVENT(atomic_fetch_add(&fake.events, 1));
	return CUDA_SUCCESS;
}

static CUresult event_destroy(CUevent event)
{
	return CUDA_SUCCESS;
}

static CUresult event_record(CUevent event, CUstream stream)
{
	FALLIBLE();
	return CUDA_SUCCESS;
}

static CUresult event_query(CUevent event)
{
	pthread_mutex_lock(&lock);
	CUresult r = held ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
	pthread_mutex_unlock(&lock);
	atomic_fetch_add(&fake.queries, 1);
	return r;
}

static CUresult event_elapsed(float *ms, CUevent begin, CUevent end)
{
	*ms = 2;
	return CUDA_SUCCESS;
}

/* --- the tables --- */

static void set_context_functions(struct backend *b)
{
	b->cuInit = init;
	b->cuDriverGetVersion = driver_version;
	b->cuDeviceGetCount = device_count;
	b->cuDeviceGetAttribute = device_attribute;
	b->cuDeviceGetName = device_name;
	b->cuDeviceGetPCIBusId = device_bus;
	b->cuDeviceTotalMem_v2 = device_memory;
	b->cuDevicePrimaryCtxRetain = retain;
	b->cuDevicePrimaryCtxRelease_v2 = release;
	b->cuDevicePrimaryCtxReset_v2 = reset;
	b->cuCtxCreate_v2 = context_create;
	b->cuCtxPopCurrent_v2 = context_pop;
	b->cuCtxDestroy_v2 = context_destroy;
	b->cuCtxSetCurrent = context_set;
	b->cuCtxGetDevice = context_device;
	b->cuCtxSynchronize = wait_for_gpu;
	b->cuThreadExchangeStreamCaptureMode = exchange_mode;
}

static void set_memory_functions(struct backend *b)
{
	b->cuMemGetAllocationGranularity = granularity;
	b->cuMemAddressReserve = address_reserve;
	b->cuMemAddressFree = address_free;
	b->cuMemCreate = memory_create;
	b->cuMemRelease = memory_release;
	b->cuMemMap = memory_map;
	b->cuMemSetAccess = memory_access;
	b->cuMemUnmap = memory_unmap;
	b->cuMemAlloc_v2 = memory_alloc;
	b->cuMemFree_v2 = memory_free;
	b->cuPointerGetAttribute = pointer_attribute;
}

static void set_stream_functions(struct backend *b)
{
	b->cuStreamCreate = stream_create;
	b->cuStreamDestroy_v2 = stream_destroy;
	b->cuStreamSynchronize = stream_synchronize;
	b->cuStreamQuery = stream_query;
	b->cuStreamWriteValue32_v2 = stream_write_value;
	b->cuStreamBeginCapture_v2 = capture_begin;
	b->cuStreamEndCapture = capture_end;
	b->cuStreamIsCapturing = is_capturing;
	b->cuEventCreate = event_create;
	b->cuEventDestroy_v2 = event_destroy;
	b->cuEventRecord = event_record;
	b->cuEventQuery = event_query;
	b->cuEventSynchronize = event_synchronize;
	b->cuEventElapsedTime = event_elapsed;
}

/* What the fake before this one still had. */
static void drop_everything(void)
{
	for (unsigned i = 0; i < RANGES; i++) {
		if (ranges[i].size && ranges[i].plain)
			free((void *)ranges[i].start);
		ranges[i].size = 0;
		host_ranges[i].size = 0;
		mappings[i].physical = NULL;
	}
	for (struct physical *next; physicals; physicals = next) {
		next = physicals->next;
		free(physicals);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(reservations); i++)
		if (reservations[i].size) {
			munmap((void *)reservations[i].start, reservations[i].size);
			reservations[i].size = 0;
		}
	current = NULL;
	atomic_store(&capturing, false);
}

void fake_init(struct backend *backend, struct backend_host *host)
{
	void *nothing = dlopen(NULL, RTLD_NOW); /* has none of the functions */

	drop_everything();
	memset(&fake, 0, sizeof(fake));
	fake.capacity = 256u << 20;
	fake.fail_in = -1;
	fake.fail_with = CUDA_ERROR_UNKNOWN;
	backend_load(backend, nothing);
	dlclose(nothing);
	set_context_functions(backend);
	set_memory_functions(backend);
	set_stream_functions(backend);
	fake_set_work_functions(backend);
	fake_set_callback_functions(backend);
	fake_set_share_functions(backend);
	host->cuMemHostRegister_v2 = host_register;
	host->cuMemHostUnregister = host_unregister;
	host->cuMemHostGetDevicePointer_v2 = host_device_pointer;
}
