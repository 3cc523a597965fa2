/* See test-fake.h. Here are the device and its contexts, and how a fresh fake begins; the files
 * beside this one have a subject each. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "worker/test-fake-parts.h"

struct fake fake;

static _Thread_local CUcontext current;
static _Thread_local CUstreamCaptureMode mode;

bool fake_has_context(void)
{
	return current;
}

bool fake_fails(void)
{
	return atomic_load(&fake.fail_in) >= 0 && atomic_fetch_sub(&fake.fail_in, 1) == 0;
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
	b->cuThreadExchangeStreamCaptureMode = exchange_mode;
}

void fake_init(struct backend *backend, struct backend_host *host)
{
	void *nothing = dlopen(NULL, RTLD_NOW); /* has none of the functions */

	current = NULL;
	memset(&fake, 0, sizeof(fake));
	fake.capacity = 256u << 20;
	fake.fail_in = -1;
	fake.fail_with = CUDA_ERROR_UNKNOWN;
	backend_load(backend, nothing);
	dlclose(nothing);
	set_context_functions(backend);
	fake_set_virtual_functions(backend);
	fake_set_memory_functions(backend, host);
	fake_set_stream_functions(backend);
	fake_set_work_functions(backend);
	fake_set_callback_functions(backend);
	fake_set_share_functions(backend);
}
