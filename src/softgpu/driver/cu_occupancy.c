/*
 * Occupancy: how many blocks share a multiprocessor. Programs size their grids by it, so it follows
 * the rules of the claimed device, not of the host.
 */
#include "softgpu/driver/driver.h"

#include "base/util.h"
#include "softgpu/driver/device.h"
#include "softgpu/driver/launch.h"
#include "softgpu/driver/module.h"

#define REGISTER_UNIT 256 /* registers are given to warps in such pieces */
#define SHARED_UNIT   128 /* bytes */

/* Blocks that are resident at once on one multiprocessor; 0: none fits. */
static unsigned sg_function_occupancy(
    const struct sg_function *function, unsigned threads, size_t dynamic_shared)
{
	size_t warps = (threads + SG_WARP_SIZE - 1) / SG_WARP_SIZE;
	size_t shared =
	    align_up(function->info->shared_bytes + dynamic_shared, SHARED_UNIT) +
	    (size_t)sg_device_attribute(CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK);
	size_t registers =
	    warps * align_up(function->info->registers * SG_WARP_SIZE, REGISTER_UNIT);
	size_t blocks =
	    (size_t)sg_device_attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR);

	if (!threads || threads > SG_MAX_BLOCK_THREADS || dynamic_shared > SG_MAX_SHARED_BYTES)
		return 0;
	blocks = MIN(blocks,
	    (size_t)sg_device_attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR) /
		(warps * SG_WARP_SIZE));
	blocks = MIN(blocks,
	    (size_t)sg_device_attribute(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR) /
		MAX(registers, (size_t)1));
	if (shared)
		blocks = MIN(blocks, (size_t)sg_device_attribute(
					 CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR) /
					 shared);
	return (unsigned)blocks;
}

unsigned sg_function_cooperative_limit(
    const struct sg_function *function, unsigned threads, size_t dynamic_shared)
{
	unsigned processors =
	    (unsigned)sg_device_attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
	unsigned claimed = processors * sg_function_occupancy(function, threads, dynamic_shared);

	return MIN(
	    claimed, sg_cooperative_blocks(function->kernel, threads, (uint32_t)dynamic_shared));
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    int *blocks, CUfunction handle, int threads, size_t shared, unsigned flags)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	if (!blocks || threads <= 0 || (flags & ~(unsigned)CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE))
		return CUDA_ERROR_INVALID_VALUE;
	const struct sg_function *function = sg_function_get(handle);
	if (!function)
		return CUDA_ERROR_INVALID_HANDLE;
	*blocks = (int)sg_function_occupancy(function, (unsigned)threads, shared);
	return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(
    int *blocks, CUfunction handle, int threads, size_t shared)
{
	return cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
	    blocks, handle, threads, shared, CU_OCCUPANCY_DEFAULT);
}

/* Tries all block sizes from the largest down; the first that fills a multiprocessor best wins. */
CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid, int *block, CUfunction handle,
    CUoccupancyB2DSize shared_of, size_t shared, int limit, unsigned flags)
{
	unsigned best_threads = 0, best = 0, best_blocks = 0;
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	if (!grid || !block || limit < 0 ||
	    (flags & ~(unsigned)CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE))
		return CUDA_ERROR_INVALID_VALUE;
	const struct sg_function *function = sg_function_get(handle);
	if (!function)
		return CUDA_ERROR_INVALID_HANDLE;
	unsigned largest = function->info->max_threads_per_block;
	if (limit)
		largest = MIN(largest, (unsigned)limit);
	for (unsigned threads = (unsigned)align_up(largest, SG_WARP_SIZE); threads >= SG_WARP_SIZE;
	    threads -= SG_WARP_SIZE) {
		unsigned size = MIN(threads, largest);
		unsigned blocks = sg_function_occupancy(
		    function, size, shared_of ? shared_of((int)size) : shared);
		if (blocks * size > best) {
			best = blocks * size;
			best_threads = size;
			best_blocks = blocks;
		}
	}
	if (!best)
		return CUDA_ERROR_INVALID_VALUE;
	*grid = (int)best_blocks * sg_device_attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
	*block = (int)best_threads;
	return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxPotentialBlockSize(int *grid, int *block, CUfunction handle,
    CUoccupancyB2DSize shared_of, size_t shared, int limit)
{
	return cuOccupancyMaxPotentialBlockSizeWithFlags(
	    grid, block, handle, shared_of, shared, limit, CU_OCCUPANCY_DEFAULT);
}

CUresult cuOccupancyAvailableDynamicSMemPerBlock(
    size_t *shared, CUfunction handle, int blocks, int threads)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	if (!shared || blocks <= 0 || threads <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	const struct sg_function *function = sg_function_get(handle);
	if (!function)
		return CUDA_ERROR_INVALID_HANDLE;
	if ((unsigned)blocks > sg_function_occupancy(function, (unsigned)threads, 0))
		return CUDA_ERROR_INVALID_VALUE;
	size_t all =
	    (size_t)sg_device_attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
	size_t each = all / (unsigned)blocks & ~(size_t)(SHARED_UNIT - 1);
	size_t taken =
	    function->info->shared_bytes +
	    (size_t)sg_device_attribute(CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK);
	size_t optin =
	    (size_t)sg_device_attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
	*shared = each > taken ? MIN(each - taken, optin - function->info->shared_bytes) : 0;
	return CUDA_SUCCESS;
}

/* ---- clusters ---- */

/* The configuration's cluster, else the kernel's; one block without either. */
static CUresult read_cluster(
    const struct sg_function *function, const CUlaunchConfig *config, unsigned *size)
{
	unsigned named[3] = {0}, grid[3] = {config->gridDimX, config->gridDimY, config->gridDimZ};
	unsigned cluster[3];

	for (unsigned i = 0; i < config->numAttrs; i++) {
		const CUlaunchAttribute *attribute = &config->attrs[i];

		if (attribute->id != CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
			continue;
		named[0] = attribute->value.clusterDim.x;
		named[1] = attribute->value.clusterDim.y;
		named[2] = attribute->value.clusterDim.z;
	}
	CUresult r = sg_function_cluster(function, named, grid, cluster);
	*size = MAX(cluster[0], 1u) * MAX(cluster[1], 1u) * MAX(cluster[2], 1u);
	return r;
}

static unsigned config_threads(const CUlaunchConfig *config)
{
	uint64_t threads = (uint64_t)config->blockDimX * config->blockDimY * config->blockDimZ;

	return (unsigned)MIN(threads, (uint64_t)UINT32_MAX);
}

/* Blocks with the configuration's shape that are resident at once; a failed context fails. */
static CUresult resident_blocks(CUfunction handle, const CUlaunchConfig *config, const void *result,
    const struct sg_function **function, unsigned *blocks)
{
	struct sg_context *context;
	CUresult r = sg_enter_context(&context);

	if (r != CUDA_SUCCESS)
		return r;
	if (!result || !handle || !config || (config->numAttrs && !config->attrs))
		return CUDA_ERROR_INVALID_VALUE;
	*function = sg_function_get(handle);
	if (!*function)
		return CUDA_ERROR_INVALID_HANDLE;
	*blocks = sg_function_occupancy(*function, config_threads(config), config->sharedMemBytes) *
		  (unsigned)sg_device_attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
	return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveClusters(
    int *clusters, CUfunction handle, const CUlaunchConfig *config)
{
	const struct sg_function *function;
	unsigned blocks, size;
	CUresult r = resident_blocks(handle, config, clusters, &function, &blocks);

	if (r == CUDA_SUCCESS)
		r = read_cluster(function, config, &size);
	if (r == CUDA_SUCCESS)
		*clusters = (int)(blocks / size);
	return r;
}

/* The configuration's own cluster is not looked at, but the kernel's is the only one it takes. */
CUresult cuOccupancyMaxPotentialClusterSize(
    int *cluster, CUfunction handle, const CUlaunchConfig *config)
{
	const struct sg_function *function;
	unsigned blocks;
	CUresult r = resident_blocks(handle, config, cluster, &function, &blocks);

	if (r != CUDA_SUCCESS)
		return r;
	const uint32_t *own = function->info->required_cluster;
	unsigned most = function->non_portable_cluster ? SG_MAX_CLUSTER : SG_PORTABLE_CLUSTER;
	if (own[0])
		most = MAX(own[0], 1u) * MAX(own[1], 1u) * MAX(own[2], 1u);
	*cluster = (int)MIN(most, blocks);
	return CUDA_SUCCESS;
}
