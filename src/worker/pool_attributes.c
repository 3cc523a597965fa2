/* Attributes of memory pools: ints and 64-bit numbers to the backend, numbers on the wire. */
#include "gen/worker_custom.h"
#include "worker/worker.h"

static bool is_int(CUmemPool_attribute attribute)
{
	return attribute == CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES ||
	       attribute == CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC ||
	       attribute == CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES;
}

CUresult worker_cuMemPoolGetAttribute(struct call *call, struct args_cuMemPoolGetAttribute *a)
{
	union {
		int word;
		uint64_t number;
		char room[64]; /* a newer backend's larger attribute stays inside */
	} value = {0};
	CUresult r = call->backend->cuMemPoolGetAttribute(a->mem_pool, a->attribute, &value);

	if (r == CUDA_SUCCESS)
		*a->value = is_int(a->attribute) ? (uint64_t)value.word : value.number;
	return r;
}

CUresult worker_cuMemPoolSetAttribute(struct call *call, struct args_cuMemPoolSetAttribute *a)
{
	union {
		int word;
		uint64_t number;
		char room[64];
	} value = {0};

	if (is_int(a->attribute))
		value.word = (int)a->value;
	else
		value.number = a->value;
	return call->backend->cuMemPoolSetAttribute(a->mem_pool, a->attribute, &value);
}
