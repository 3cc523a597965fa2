/*
 * Single words written and waited for in stream order. A wait polls: the word may be written by the
 * program, by a kernel, or by another stream, and none of them would wake us.
 */
#include "softgpu/driver/driver.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "softgpu/driver/memory.h"
#include "softgpu/driver/stream.h"
#include "softgpu/exec/exec.h"
#include "softgpu/mem/arena.h"

#define BATCH_MAX      256
#define POLL_SPINS     1000
#define POLL_SLEEP_NS  20000
#define WAIT_CONDITION 3u /* the bits of the flags that hold it */

struct word_work {
	struct sg_work work;
	unsigned n;
	CUstreamBatchMemOpParams operations[];
};

/* A run of it, of which there may be several at once. */
struct word_turn {
	const CUstreamBatchMemOpParams *operation; /* the next */
	struct sg_context *context;
	CUresult result;
};

static uint64_t word_load(CUdeviceptr address, bool wide)
{
	/* Acquire: what was written before the word is visible to the work that follows. */
	if (wide)
		return atomic_load_explicit((_Atomic uint64_t *)address, memory_order_acquire);
	return atomic_load_explicit((_Atomic uint32_t *)address, memory_order_acquire);
}

static void word_store(CUdeviceptr address, bool wide, uint64_t value)
{
	/* Release: all earlier work of the stream is visible to who sees the word. */
	if (wide)
		atomic_store_explicit((_Atomic uint64_t *)address, value, memory_order_release);
	else
		atomic_store_explicit(
		    (_Atomic uint32_t *)address, (uint32_t)value, memory_order_release);
}

static bool word_fulfils(uint64_t found, uint64_t value, bool wide, unsigned condition)
{
	switch (condition) {
	case CU_STREAM_WAIT_VALUE_GEQ: /* cyclic */
		return wide ? (int64_t)(found - value) >= 0
			    : (int32_t)((uint32_t)found - (uint32_t)value) >= 0;
	case CU_STREAM_WAIT_VALUE_EQ:
		return found == value;
	case CU_STREAM_WAIT_VALUE_AND:
		return found & value;
	default:
		return ~(found | value) & (wide ? UINT64_MAX : UINT32_MAX);
	}
}

static CUresult word_wait(
    const CUstreamBatchMemOpParams *operation, bool wide, struct sg_context *context)
{
	uint64_t value = wide ? operation->waitValue.value64 : operation->waitValue.value;
	unsigned condition = operation->waitValue.flags & WAIT_CONDITION;

	for (unsigned spins = 0;
	    !word_fulfils(word_load(operation->waitValue.address, wide), value, wide, condition);
	    spins++) {
		/* Relaxed: a flag that is polled. */
		if (atomic_load_explicit(&context->stop, memory_order_relaxed))
			return CUDA_ERROR_LAUNCH_TIMEOUT;
		if (spins > POLL_SPINS)
			nanosleep(&(struct timespec){.tv_nsec = POLL_SLEEP_NS}, NULL);
	}
	return CUDA_SUCCESS;
}

/* The number of operations ends the list: an operation of no type. */
static void word_operate(void *argument)
{
	struct word_turn *turn = argument;

	for (; turn->operation->operation && turn->result == CUDA_SUCCESS; turn->operation++) {
		const CUstreamBatchMemOpParams *operation = turn->operation;
		bool wide = operation->operation == CU_STREAM_MEM_OP_WAIT_VALUE_64 ||
			    operation->operation == CU_STREAM_MEM_OP_WRITE_VALUE_64;
		switch (operation->operation) {
		case CU_STREAM_MEM_OP_WAIT_VALUE_32:
		case CU_STREAM_MEM_OP_WAIT_VALUE_64:
			turn->result = word_wait(operation, wide, turn->context);
			break;
		case CU_STREAM_MEM_OP_WRITE_VALUE_32:
		case CU_STREAM_MEM_OP_WRITE_VALUE_64:
			word_store(operation->writeValue.address, wide,
			    wide ? operation->writeValue.value64 : operation->writeValue.value);
			break;
		default: /* a barrier: the loads and stores are barriers themselves */
			break;
		}
	}
}

/* The memory may be freed before the work's turn, or while it waits. */
static CUresult word_run(struct sg_work *work, struct sg_context *context)
{
	struct word_turn turn = {((struct word_work *)work)->operations, context, CUDA_SUCCESS};

	return sg_guarded(word_operate, &turn, true) ? turn.result : CUDA_ERROR_ILLEGAL_ADDRESS;
}

static void word_describe(struct sg_work *work, CUgraphNodeParams *params)
{
	struct word_work *words = (struct word_work *)work;

	params->memOp.count = words->n;
	params->memOp.paramArray = words->operations;
}

/* Registered memory counts where the device sees it at the program's own address. */
static bool is_reachable(CUdeviceptr address, size_t size)
{
	struct sg_registration registration;

	return sg_arena_covers(address, size) ||
	       (sg_registration_find(address, &registration) &&
		   registration.alias == registration.host &&
		   size <= registration.host + registration.size - address);
}

static CUresult word_check_address(CUdeviceptr address, size_t size)
{
	return address % size || !is_reachable(address, size) ? CUDA_ERROR_INVALID_VALUE
							      : CUDA_SUCCESS;
}

static CUresult word_check(const CUstreamBatchMemOpParams *operation)
{
	switch (operation->operation) {
	case CU_STREAM_MEM_OP_WAIT_VALUE_32:
	case CU_STREAM_MEM_OP_WAIT_VALUE_64:
		if (operation->waitValue.flags & ~WAIT_CONDITION)
			return operation->waitValue.flags & CU_STREAM_WAIT_VALUE_FLUSH
				   ? CUDA_ERROR_NOT_SUPPORTED
				   : CUDA_ERROR_INVALID_VALUE;
		return word_check_address(operation->waitValue.address,
		    operation->operation == CU_STREAM_MEM_OP_WAIT_VALUE_64 ? 8 : 4);
	case CU_STREAM_MEM_OP_WRITE_VALUE_32:
	case CU_STREAM_MEM_OP_WRITE_VALUE_64:
		if (operation->writeValue.flags &
		    ~(unsigned)CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER)
			return CUDA_ERROR_INVALID_VALUE;
		return word_check_address(operation->writeValue.address,
		    operation->operation == CU_STREAM_MEM_OP_WRITE_VALUE_64 ? 8 : 4);
	case CU_STREAM_MEM_OP_BARRIER:
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

CUresult cuStreamBatchMemOp_v2(
    CUstream handle, unsigned n, CUstreamBatchMemOpParams *operations, unsigned flags)
{
	struct sg_context *context;
	struct sg_stream *stream;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS)
		r = sg_stream_get(handle, context, &stream);
	if (r == CUDA_SUCCESS && (flags || n > BATCH_MAX || (n && !operations)))
		r = CUDA_ERROR_INVALID_VALUE;
	for (unsigned i = 0; r == CUDA_SUCCESS && i < n; i++)
		r = word_check(&operations[i]);
	if (r != CUDA_SUCCESS || !n)
		return r;
	struct word_work *words =
	    sg_work_new(sizeof(*words) + (n + 1) * sizeof(*operations), word_run);
	if (!words)
		return CUDA_ERROR_OUT_OF_MEMORY;
	words->work.node = SG_NODE(CU_GRAPH_NODE_TYPE_BATCH_MEM_OP);
	words->work.describe = word_describe;
	words->n = n;
	memcpy(words->operations, operations, n * sizeof(*operations));
	return sg_stream_submit(stream, &words->work, NULL);
}

CUresult cuStreamBatchMemOp(
    CUstream stream, unsigned n, CUstreamBatchMemOpParams *operations, unsigned flags)
{
	return cuStreamBatchMemOp_v2(stream, n, operations, flags);
}

/* The members of waits and writes are the same. A value of 32 bits is the lower half. */
static CUresult word_submit(CUstream stream, CUstreamBatchMemOpType operation, CUdeviceptr address,
    uint64_t value, unsigned flags)
{
	CUstreamBatchMemOpParams one = {
	    .waitValue = {
		.operation = operation, .address = address, .value64 = value, .flags = flags}};

	return cuStreamBatchMemOp_v2(stream, 1, &one, 0);
}

CUresult cuStreamWaitValue32_v2(
    CUstream stream, CUdeviceptr address, uint32_t value, unsigned flags)
{
	return word_submit(stream, CU_STREAM_MEM_OP_WAIT_VALUE_32, address, value, flags);
}

CUresult cuStreamWaitValue32(CUstream stream, CUdeviceptr address, uint32_t value, unsigned flags)
{
	return cuStreamWaitValue32_v2(stream, address, value, flags);
}

CUresult cuStreamWaitValue64_v2(
    CUstream stream, CUdeviceptr address, uint64_t value, unsigned flags)
{
	return word_submit(stream, CU_STREAM_MEM_OP_WAIT_VALUE_64, address, value, flags);
}

CUresult cuStreamWaitValue64(CUstream stream, CUdeviceptr address, uint64_t value, unsigned flags)
{
	return cuStreamWaitValue64_v2(stream, address, value, flags);
}

CUresult cuStreamWriteValue32_v2(
    CUstream stream, CUdeviceptr address, uint32_t value, unsigned flags)
{
	return word_submit(stream, CU_STREAM_MEM_OP_WRITE_VALUE_32, address, value, flags);
}

CUresult cuStreamWriteValue32(CUstream stream, CUdeviceptr address, uint32_t value, unsigned flags)
{
	return cuStreamWriteValue32_v2(stream, address, value, flags);
}

CUresult cuStreamWriteValue64_v2(
    CUstream stream, CUdeviceptr address, uint64_t value, unsigned flags)
{
	return word_submit(stream, CU_STREAM_MEM_OP_WRITE_VALUE_64, address, value, flags);
}

CUresult cuStreamWriteValue64(CUstream stream, CUdeviceptr address, uint64_t value, unsigned flags)
{
	return cuStreamWriteValue64_v2(stream, address, value, flags);
}
