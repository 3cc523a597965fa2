/*
 * What a pointer is: answered from the range map where that knows, asked of the worker for device
 * memory where it does not. Frameworks ask for every tensor of every launch.
 */
#include <string.h>

#include "abi/pointer.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/address.h"
#include "shim/pool_host.h"
#include "shim/range.h"
#include "shim/thread.h"
#include "shim/virtual_host.h"

/* Nothing the device could reach: registered memory that is staged, memory of the host that no
 * device may use. */
static bool is_beyond_reach(const struct range *range)
{
	return (range->kind == RANGE_REGISTERED || range->kind == RANGE_MAPPED_HOST ||
		   range->kind == RANGE_POOL_HOST) &&
	       !range->remote;
}

static bool is_managed(const struct range *range)
{
	return range->kind == RANGE_MANAGED || range->kind == RANGE_SHADOWED;
}

/* Not that it is the worker's: all is known here. */
static bool is_ours(const struct range *range)
{
	return range->kind == RANGE_MAPPED_HOST || range->kind == RANGE_POOL_HOST;
}

/* Mapped memory is part of what was reserved. */
static uint64_t start_of(const struct range *range, size_t *size)
{
	uint64_t start = range->start;

	*size = range->size;
	if (range->kind == RANGE_MAPPED || range->kind == RANGE_MAPPED_HOST)
		address_find(range->start, &start, size);
	return start;
}

/* What is mapped there at once. False: the worker knows. */
static bool block_of(const struct range *range, struct pool_block *block)
{
	if (range->kind == RANGE_POOL_HOST)
		return pool_host_block(range, block);
	*block = (struct pool_block){.start = range->start, .size = range->size};
	return range->kind == RANGE_MAPPED_HOST && virtual_host_block(range->start, &block->number);
}

/* The flags of CU_POINTER_ATTRIBUTE_ACCESS_FLAGS are those of access. */
static uint64_t access_to(const struct range *range)
{
	CUmemLocation device = {CU_MEM_LOCATION_TYPE_DEVICE, shim_thread.device};
	unsigned long long flags = CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE;

	if (range->kind == RANGE_MAPPED_HOST)
		virtual_host_get_access(range->start, &device, &flags);
	return flags;
}

/* What the map itself knows: true, and *value holds the answer (in as many bytes as it takes). */
static bool answer(
    const struct range *range, CUpointer_attribute attribute, CUdeviceptr address, uint64_t *value)
{
	bool managed = is_managed(range);
	struct pool_block block;
	size_t size;

	switch ((int)attribute) {
	case CU_POINTER_ATTRIBUTE_CONTEXT:
		/* A pool's memory is the device's, although it goes with the context. */
		*value = range->kind == RANGE_POOL ? 0 : (uint64_t)range->context;
		return true;
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
		*value =
		    range_is_host(range) && !managed ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
		return true;
	case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
		*value = range->kind == RANGE_REGISTERED && range->remote
			     ? range->remote + (address - range->start)
			     : address;
		return true;
	case CU_POINTER_ATTRIBUTE_HOST_POINTER:
		if (range->kind == RANGE_REGISTERED)
			*value = range->host + (address - range->start);
		else
			*value = range_is_host(range) || managed ? address : 0;
		return true;
	case CU_POINTER_ATTRIBUTE_BUFFER_ID:
		*value = range->buffer_id;
		return true;
	case CU_POINTER_ATTRIBUTE_IS_MANAGED:
		*value = managed;
		return true;
	case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
		*value = managed; /* of managed memory always; of other memory the worker knows */
		return managed || is_ours(range);
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
		*value = (uint32_t)range->device;
		return true;
	case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
		*value = start_of(range, &size);
		return true;
	case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
		start_of(range, &size);
		*value = size;
		return true;
	case CU_POINTER_ATTRIBUTE_MAPPED:
		*value = is_ours(range) || !is_beyond_reach(range);
		return true;
	case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
		return block_of(range, &block) && (*value = block.start, true);
	case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
		return block_of(range, &block) && (*value = block.size, true);
	case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
		return block_of(range, &block) && (*value = block.number, true);
	case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
		*value = access_to(range);
		return is_ours(range);
	case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
		*value = range->kind == RANGE_DEVICE;
		return true;
	case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
		*value = CU_MEM_HANDLE_TYPE_NONE; /* the worker's own arrangements are not CUDA's */
		return is_ours(range) || range->kind == RANGE_DEVICE || range->kind == RANGE_IPC;
	case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
		*value = range->owner;
		return is_ours(range) || range->kind == RANGE_MANAGED;
	case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
		*value = 0;
		return is_ours(range);
	default:
		return false;
	}
}

static CUresult get(
    const struct range *range, void *value, CUpointer_attribute attribute, CUdeviceptr address)
{
	size_t size = abi_pointer_attribute_size(attribute);
	uint64_t known;

	if (!size)
		return CUDA_ERROR_INVALID_VALUE;
	if (attribute == CU_POINTER_ATTRIBUTE_DEVICE_POINTER && is_beyond_reach(range))
		return CUDA_ERROR_INVALID_VALUE;
	if (attribute == CU_POINTER_ATTRIBUTE_HOST_POINTER && range->kind == RANGE_MAPPED_HOST &&
	    !range->host)
		return CUDA_ERROR_INVALID_VALUE;
	if (!answer(range, attribute, address, &known)) {
		if (range->kind == RANGE_REGISTERED)
			address = range->remote + (address - range->start);
		return remote_cuPointerGetAttribute(value, size, attribute, address);
	}
	memcpy(value, &known, size);
	return CUDA_SUCCESS;
}

CUresult shim_cuPointerGetAttribute(void *value, CUpointer_attribute attribute, CUdeviceptr address)
{
	struct range range;

	if (!range_find(address, &range))
		return CUDA_ERROR_INVALID_VALUE;
	if (attribute == CU_POINTER_ATTRIBUTE_HOST_POINTER && !range_is_host(&range) &&
	    !is_managed(&range))
		return CUDA_ERROR_INVALID_VALUE;
	return get(&range, value, attribute, address);
}

/* Never fails for a pointer: what does not apply is zero. */
CUresult shim_cuPointerGetAttributes(
    unsigned count, CUpointer_attribute *attributes, void **values, CUdeviceptr address)
{
	struct range range;
	bool known = range_find(address, &range);

	if (!count)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < count; i++) {
		size_t size = abi_pointer_attribute_size(attributes[i]);
		if (!size || !values[i])
			return CUDA_ERROR_INVALID_VALUE;
		if (known && get(&range, values[i], attributes[i], address) == CUDA_SUCCESS)
			continue;
		memset(values[i], 0, size);
		/* No device: as the driver says it for ordinary memory. */
		if (attributes[i] == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
			*(int *)values[i] = CU_DEVICE_INVALID;
	}
	return CUDA_SUCCESS;
}
