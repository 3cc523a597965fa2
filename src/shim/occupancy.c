/*
 * Occupancy: remembered per function and arguments, since heuristics of libraries ask for the same
 * thing before every launch, and the search over block sizes, which needs a callback of the
 * program's and therefore runs here.
 */
#include "base/util.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/device.h"
#include "shim/function.h"
#include "shim/session.h"
#include "shim/thread.h"

/* Arguments and answer in one word, so that a reader never sees half: shared in 24 bits, threads in
 * 12, flags in 8, the answer in 16, and a bit that says it is one. 0 for what does not fit. */
static uint64_t key_of(int block_threads, size_t shared, unsigned flags)
{
	if (block_threads < 0 || block_threads >= 1 << 12 || shared >= 1 << 24 || flags >= 1 << 8)
		return 0;
	return 1ull << 63 | (uint64_t)shared << 36 | (uint64_t)block_threads << 24 |
	       (uint64_t)flags << 16;
}

static CUresult max_active(
    int *blocks, CUfunction function, int block_threads, size_t shared, unsigned flags)
{
	uint64_t key = key_of(block_threads, shared, flags);
	struct function *f = NULL;

	if (session.cache && key && function_find(function, &f) == CUDA_SUCCESS) {
		for (int i = 0; i < FUNCTION_OCCUPANCY; i++) {
			uint64_t known =
			    atomic_load_explicit(&f->occupancy[i], memory_order_relaxed);
			if ((known & ~0xffffull) != key)
				continue;
			*blocks = (int)(known & 0xffff);
			return CUDA_SUCCESS;
		}
	}
	CUresult r = remote_cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
	    blocks, function, block_threads, shared, flags);
	if (r == CUDA_SUCCESS && f && *blocks >= 0 && *blocks <= 0xffff) {
		unsigned at =
		    atomic_fetch_add_explicit(&f->occupancy_next, 1, memory_order_relaxed);
		atomic_store_explicit(&f->occupancy[at % FUNCTION_OCCUPANCY],
		    key | (uint64_t)*blocks, memory_order_relaxed);
	}
	return r;
}

CUresult shim_cuOccupancyMaxActiveBlocksPerMultiprocessor(
    int *blocks, CUfunction function, int block_threads, size_t shared)
{
	return max_active(blocks, function, block_threads, shared, CU_OCCUPANCY_DEFAULT);
}

CUresult shim_cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    int *blocks, CUfunction function, int block_threads, size_t shared, unsigned flags)
{
	return max_active(blocks, function, block_threads, shared, flags);
}

/* The largest number of resident threads wins, the larger block among equals. */
CUresult shim_cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid_min, int *block_threads,
    CUfunction function, CUoccupancyB2DSize shared_of, size_t shared, int limit, unsigned flags)
{
	CUdevice device = shim_thread.device;
	int most, best = 0, best_blocks = 0, best_threads = 0;

	if (!shim_thread.context)
		return CUDA_ERROR_INVALID_CONTEXT;
	CUresult r =
	    shim_cuFuncGetAttribute(&most, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, function);
	if (r != CUDA_SUCCESS)
		return r;
	most = MIN(most, device_attribute(device, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK));
	if (limit > 0)
		most = MIN(most, limit);
	int warp = MAX(device_attribute(device, CU_DEVICE_ATTRIBUTE_WARP_SIZE), 1);
	int processors = device_attribute(device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
	int resident = device_attribute(device, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR);

	for (int rounded = (most + warp - 1) / warp * warp; rounded > 0; rounded -= warp) {
		int threads = MIN(rounded, most), blocks;
		r = max_active(
		    &blocks, function, threads, shared_of ? shared_of(threads) : shared, flags);
		if (r != CUDA_SUCCESS)
			return r;
		if (blocks * threads > best) {
			best = blocks * threads;
			best_blocks = blocks;
			best_threads = threads;
		}
		if (best == resident)
			break;
	}
	*block_threads = best_threads;
	*grid_min = best_blocks * processors;
	return CUDA_SUCCESS;
}

CUresult shim_cuOccupancyMaxPotentialBlockSize(int *grid_min, int *block_threads,
    CUfunction function, CUoccupancyB2DSize shared_of, size_t shared, int limit)
{
	return shim_cuOccupancyMaxPotentialBlockSizeWithFlags(
	    grid_min, block_threads, function, shared_of, shared, limit, CU_OCCUPANCY_DEFAULT);
}

CUresult shim_cuOccupancyMaxPotentialClusterSize(
    int *cluster, CUfunction function, const CUlaunchConfig *c)
{
	return remote_cuOccupancyMaxPotentialClusterSize(cluster, function, c->gridDimX,
	    c->gridDimY, c->gridDimZ, c->blockDimX, c->blockDimY, c->blockDimZ, c->sharedMemBytes,
	    c->hStream, c->attrs, c->attrs ? c->numAttrs : 0);
}

CUresult shim_cuOccupancyMaxActiveClusters(
    int *clusters, CUfunction function, const CUlaunchConfig *c)
{
	return remote_cuOccupancyMaxActiveClusters(clusters, function, c->gridDimX, c->gridDimY,
	    c->gridDimZ, c->blockDimX, c->blockDimY, c->blockDimZ, c->sharedMemBytes, c->hStream,
	    c->attrs, c->attrs ? c->numAttrs : 0);
}
