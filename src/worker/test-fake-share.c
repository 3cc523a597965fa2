/* What the fake backend shares: descriptors of memory are files in memory that hold the handle's
 * value, events are known by themselves. */
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test.h"
#include "wire/limits.h"
#include "worker/test-fake-parts.h"

static CUresult (*release)(CUmemGenericAllocationHandle handle);

static CUresult retain(CUmemGenericAllocationHandle *handle, CUdeviceptr address)
{
	FALLIBLE();
	*handle = fake_retain(address);
	return *handle ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult export_handle(void *out, CUmemGenericAllocationHandle handle,
    CUmemAllocationHandleType type, unsigned long long flags)
{
	FALLIBLE();
	if (type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR || flags)
		return CUDA_ERROR_INVALID_VALUE;
	CHECK_EQ(fd_memory("fake", sizeof(handle), out), 0);
	CHECK_EQ(pwrite(*(int *)out, &handle, sizeof(handle), 0), sizeof(handle));
	return CUDA_SUCCESS;
}

/* The memory must still be mapped where it was: nothing here outlives it. */
static CUresult import_handle(
    CUmemGenericAllocationHandle *handle, void *os_handle, CUmemAllocationHandleType type)
{
	CUmemGenericAllocationHandle named = 0;

	FALLIBLE();
	if (pread((int)(intptr_t)os_handle, &named, sizeof(named), 0) != sizeof(named))
		return CUDA_ERROR_INVALID_VALUE;
	for (uint64_t at = WIRE_DEVICE_WINDOW_BASE; at < WIRE_DEVICE_WINDOW_BASE + (64ull << 20);
	    at += 2 << 20) {
		CUmemGenericAllocationHandle found = fake_retain(at);
		if (found && found == named) {
			*handle = found;
			return CUDA_SUCCESS;
		}
		if (found)
			release(found);
	}
	return CUDA_ERROR_INVALID_VALUE;
}

static CUresult event_handle(CUipcEventHandle *handle, CUevent event)
{
	FALLIBLE();
	memset(handle, 0x5a, sizeof(*handle));
	memcpy(handle, &event, sizeof(event));
	return CUDA_SUCCESS;
}

static CUresult open_event(CUevent *event, CUipcEventHandle handle)
{
	FALLIBLE();
	memcpy(event, &handle, sizeof(*event));
	*event = (CUevent)((char *)*event + 8);
	return CUDA_SUCCESS;
}

/* Of memory in pieces of a page, which is as much as tests allocate. */
static CUresult address_range(CUdeviceptr *base, size_t *size, CUdeviceptr address)
{
	if (base)
		*base = address;
	if (size)
		*size = 4096;
	return fake_is_mapped(address, 1) ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

static CUresult memory_handle(CUipcMemHandle *handle, CUdeviceptr address)
{
	FALLIBLE();
	memset(handle, 0x5a, sizeof(*handle));
	memcpy(handle, &address, sizeof(address));
	return CUDA_SUCCESS;
}

/* Somewhere else. */
static CUresult open_memory(CUdeviceptr *address, CUipcMemHandle handle, unsigned flags)
{
	FALLIBLE();
	memcpy(address, &handle, sizeof(*address));
	*address += FAKE_OPENED;
	atomic_fetch_add(&fake.opened, 1);
	return flags == CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS ? CUDA_SUCCESS
							   : CUDA_ERROR_INVALID_VALUE;
}

static CUresult close_memory(CUdeviceptr address)
{
	atomic_fetch_sub(&fake.opened, 1);
	return CUDA_SUCCESS;
}

void fake_set_share_functions(struct backend *b)
{
	release = b->cuMemRelease;
	b->cuMemRetainAllocationHandle = retain;
	b->cuMemExportToShareableHandle = export_handle;
	b->cuMemImportFromShareableHandle = import_handle;
	b->cuMemGetAddressRange_v2 = address_range;
	b->cuIpcGetMemHandle = memory_handle;
	b->cuIpcOpenMemHandle_v2 = open_memory;
	b->cuIpcCloseMemHandle = close_memory;
	b->cuIpcGetEventHandle = event_handle;
	b->cuIpcOpenEventHandle = open_event;
}
