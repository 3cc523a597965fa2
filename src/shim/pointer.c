/*
 * What a pointer is: answered from the range map where that knows, asked of the worker for device
 * memory where it does not. Frameworks ask for every tensor of every launch.
 */
#include <string.h>

#include "abi/pointer.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/range.h"

/* Registered, but nothing the device could reach. */
static bool is_staged(const struct range *range)
{
	return range->kind == RANGE_REGISTERED && !range->remote;
}

static bool is_managed(const struct range *range)
{
	return range->kind == RANGE_MANAGED || range->kind == RANGE_SHADOWED;
}

/* What the map itself knows: true, and *value holds the answer (in as many bytes as it takes). */
static bool answer(
    const struct range *range, CUpointer_attribute attribute, CUdeviceptr address, uint64_t *value)
{
	bool managed = is_managed(range);

	switch ((int)attribute) {
	case CU_POINTER_ATTRIBUTE_CONTEXT:
		*value = (uint64_t)range->context;
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
		*value = 1; /* of managed memory always; of other memory the worker knows */
		return managed;
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
		*value = (uint32_t)range->device;
		return true;
	case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
		*value = range->start;
		return true;
	case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
		*value = range->size;
		return true;
	case CU_POINTER_ATTRIBUTE_MAPPED:
		*value = !is_staged(range);
		return true;
	case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
		*value = range->kind == RANGE_DEVICE;
		return true;
	case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
		*value = CU_MEM_HANDLE_TYPE_NONE; /* the worker's own arrangements are not CUDA's */
		return range->kind == RANGE_DEVICE || range->kind == RANGE_IPC;
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
	if (attribute == CU_POINTER_ATTRIBUTE_DEVICE_POINTER && is_staged(range))
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
