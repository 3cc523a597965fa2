/* What an address is: cuPointerGetAttribute and its kin. */
#include "softgpu/driver/driver.h"

#include <string.h>

#include "abi/pointer.h"
#include "softgpu/driver/memory.h"
#include "softgpu/mem/virtual.h"

/* An address in terms of the attributes. */
struct pointer_facts {
	CUdeviceptr address;
	CUmemorytype type;
	CUcontext context;
	CUdeviceptr device; /* 0: kernels cannot reach it */
	void *host;	    /* NULL: the program cannot */
	uint64_t base, id;
	size_t size;
	uint64_t start; /* of what was mapped there; else the same */
	size_t mapped;
	bool is_managed, is_mapping, sync_memops, can_ipc;
	CUDA_POINTER_ATTRIBUTE_ACCESS_FLAGS access;
	CUmemoryPool pool;
};

static CUcontext pointer_context(uint64_t context_id)
{
	struct sg_context *primary = sg_context_primary(), *current;

	if (context_id == primary->id)
		return primary->handle;
	if (sg_context_get(NULL, &current) == CUDA_SUCCESS && current->id == context_id)
		return current->handle;
	return NULL;
}

static bool range_is_host(const struct sg_range *range)
{
	return range->kind == SG_RANGE_HOST || range->kind == SG_RANGE_REGISTERED ||
	       (range->kind == SG_RANGE_MAPPED && sg_physical_is_host(range->owner)) ||
	       (range->kind == SG_RANGE_POOL && sg_pool_is_host(range->owner));
}

static bool range_is_managed(const struct sg_range *range)
{
	return range->kind == SG_RANGE_MANAGED ||
	       (range->kind == SG_RANGE_POOL && sg_pool_is_managed(range->owner));
}

/* It is part of what was reserved. Memory of the host has pointers for those who may use it. */
static void facts_of_mapping(const struct sg_range *range, struct pointer_facts *facts)
{
	struct sg_range reserved;
	struct sg_mapping mapping;

	facts->is_mapping = true;
	if (sg_arena_find_reserved(range->address, &reserved)) {
		facts->base = reserved.address;
		facts->size = reserved.size;
	}
	if (!sg_physical_is_host(range->owner) || !sg_virtual_find(range->address, &mapping))
		return;
	facts->access = (CUDA_POINTER_ATTRIBUTE_ACCESS_FLAGS)mapping.access; /* the same values */
	if (!mapping.access)
		facts->device = 0;
	if (!mapping.host)
		facts->host = NULL;
}

static void facts_of_range(const struct sg_range *range, struct pointer_facts *facts)
{
	uint64_t offset = facts->address - range->address;
	bool is_host = range_is_host(range), is_managed = range_is_managed(range);

	facts->type = is_host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
	/* Memory of a pool is the device's, although it goes with the context. */
	if (range->kind != SG_RANGE_POOL && range->kind != SG_RANGE_GRAPH)
		facts->context = pointer_context(range->context_id);
	facts->device = facts->address;
	if (range->kind == SG_RANGE_REGISTERED)
		facts->host = (void *)(range->host + offset);
	else if (is_host || is_managed)
		facts->host = (void *)facts->address;
	facts->base = facts->start = range->address;
	facts->size = facts->mapped = range->size;
	facts->id = range->id;
	facts->is_managed = is_managed;
	facts->sync_memops = range->sync_memops;
	facts->can_ipc = range->kind == SG_RANGE_DEVICE;
	if (range->kind == SG_RANGE_POOL) {
		facts->pool = sg_pool_handle(range->owner);
		facts->device = sg_pool_is_open(range->owner) ? facts->address : 0;
	}
	if (range->kind == SG_RANGE_MAPPED)
		facts_of_mapping(range, facts);
}

static void facts_of_registration(
    const struct sg_registration *registration, struct pointer_facts *facts)
{
	facts->type = CU_MEMORYTYPE_HOST;
	facts->context = pointer_context(registration->context_id);
	facts->host = (void *)facts->address;
	if (registration->alias)
		facts->device = registration->alias + (facts->address - registration->host);
	facts->base = facts->start = registration->host;
	facts->size = facts->mapped = registration->size;
	facts->id = registration->id;
}

/* False: memory CUDA knows nothing about. */
static bool pointer_facts(CUdeviceptr address, struct pointer_facts *facts)
{
	struct sg_registration registration;
	struct sg_range range;

	*facts = (struct pointer_facts){
	    .address = address, .access = CU_POINTER_ATTRIBUTE_ACCESS_FLAG_READWRITE};
	if (sg_arena_find(address, &range))
		facts_of_range(&range, facts);
	else if (sg_registration_find(address, &registration))
		facts_of_registration(&registration, facts);
	else
		return false;
	return true;
}

/* 0: no such attribute here, where no other device's driver wants tokens. */
static size_t attribute_size(CUpointer_attribute attribute)
{
	return attribute == CU_POINTER_ATTRIBUTE_P2P_TOKENS ? 0
							    : abi_pointer_attribute_size(attribute);
}

static bool facts_value(
    const struct pointer_facts *facts, CUpointer_attribute attribute, uint64_t *value)
{
	switch (attribute) {
	case CU_POINTER_ATTRIBUTE_CONTEXT:
		*value = (uint64_t)facts->context;
		return true;
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
		*value = facts->type;
		return true;
	case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
		*value = facts->device;
		return facts->device;
	case CU_POINTER_ATTRIBUTE_HOST_POINTER:
		*value = (uint64_t)facts->host;
		return facts->host;
	case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
		*value = facts->sync_memops || facts->is_managed;
		return true;
	case CU_POINTER_ATTRIBUTE_BUFFER_ID:
	case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
		*value = facts->id;
		return true;
	case CU_POINTER_ATTRIBUTE_IS_MANAGED:
		*value = facts->is_managed;
		return true;
	case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
		*value = facts->can_ipc;
		return true;
	case CU_POINTER_ATTRIBUTE_MAPPED:
		*value = facts->device || facts->is_mapping || facts->pool;
		return true;
	case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
		*value = facts->base;
		return true;
	case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
		*value = facts->size;
		return true;
	case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
		*value = facts->start;
		return true;
	case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
		*value = facts->mapped;
		return true;
	case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
		*value = facts->access;
		return true;
	case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
		*value = (uint64_t)facts->pool;
		return true;
	default: /* the device's ordinal is 0, and what it cannot do is no */
		*value = 0;
		return true;
	}
}

static void attribute_write(void *data, CUpointer_attribute attribute, uint64_t value)
{
	memcpy(data, &value, attribute_size(attribute));
}

CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr address)
{
	struct pointer_facts facts;
	uint64_t value;
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	if (!data || !attribute_size(attribute) || !pointer_facts(address, &facts) ||
	    !facts_value(&facts, attribute, &value))
		return CUDA_ERROR_INVALID_VALUE;
	attribute_write(data, attribute, value);
	return CUDA_SUCCESS;
}

/* Never fails for an address CUDA does not know: the values are zero then, the ordinal -2. */
CUresult cuPointerGetAttributes(
    unsigned n, CUpointer_attribute *attributes, void **data, CUdeviceptr address)
{
	struct pointer_facts facts;
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	if (!n || !attributes || !data)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; i < n; i++)
		if (!attribute_size(attributes[i]) || !data[i])
			return CUDA_ERROR_INVALID_VALUE;
	bool known = pointer_facts(address, &facts);
	for (unsigned i = 0; i < n; i++) {
		uint64_t value = 0;
		if (known && !facts_value(&facts, attributes[i], &value))
			value = 0;
		if (!known && attributes[i] == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
			value = (uint64_t)CU_DEVICE_INVALID;
		attribute_write(data[i], attributes[i], value);
	}
	return CUDA_SUCCESS;
}

CUresult cuPointerSetAttribute(
    const void *value, CUpointer_attribute attribute, CUdeviceptr address)
{
	CUresult r = sg_enter();

	if (r != CUDA_SUCCESS)
		return r;
	if (!value || attribute != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS)
		return CUDA_ERROR_INVALID_VALUE;
	return sg_arena_set_sync_memops(address, *(const unsigned *)value)
		   ? CUDA_SUCCESS
		   : CUDA_ERROR_INVALID_VALUE;
}
