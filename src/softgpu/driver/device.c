/*
 * The attributes are those of a real GPU of the claimed compute capability where programs compute
 * with them (limits of blocks, shared memory and registers), the host's where they describe speed
 * or size, and "no" for what the machine does not have.
 */
#include "softgpu/driver/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/decimal.h"
#include "base/log.h"
#include "base/util.h"
#include "softgpu/exec/exec.h"

#define KIB	 1024
#define MOST_MIB (4u << 20)

/* Programs make grids for as many, and cooperative ones of no more than fit. */
#define MULTIPROCESSORS_LEAST 8u

/* The cache is the host's, which does what it likes: windows and their part are hints to it. */
#define L2_BYTES     (4 * KIB * KIB)
#define WINDOW_BYTES (128 * KIB * KIB)

struct sg_device sg_device;

/*
 * CUDA C++ Programming Guide, table "Technical Specifications per Compute Capability". The last is
 * a device later than the libraries of CUDA 13.0 know: where those would choose machine code for
 * 12.0, they fall back to their PTX.
 */
static const struct capability {
	int capability, threads_per_sm, blocks_per_sm, shared_per_sm, shared_optin, reserved_shared;
} capabilities[] = {
    {70, 2048, 32, 96 * KIB, 96 * KIB, 0},
    {75, 1024, 16, 64 * KIB, 64 * KIB, 0},
    {80, 2048, 32, 164 * KIB, 163 * KIB, KIB},
    {86, 1536, 16, 100 * KIB, 99 * KIB, KIB},
    {89, 1536, 24, 100 * KIB, 99 * KIB, KIB},
    {90, 2048, 32, 228 * KIB, 227 * KIB, KIB},
    {100, 2048, 32, 228 * KIB, 227 * KIB, KIB},
    {103, 2048, 32, 228 * KIB, 227 * KIB, KIB},
    {120, 1536, 24, 100 * KIB, 99 * KIB, KIB},
    {121, 1536, 24, 100 * KIB, 99 * KIB, KIB},
    {130, 2048, 32, 228 * KIB, 227 * KIB, KIB},
};

#define ATTRIBUTE(name) CU_DEVICE_ATTRIBUTE_##name

/* Those that depend on nothing. What is not named is 0: not supported. */
static const int device_constants[CU_DEVICE_ATTRIBUTE_MAX] = {
    [ATTRIBUTE(MAX_THREADS_PER_BLOCK)] = SG_MAX_BLOCK_THREADS,
    [ATTRIBUTE(MAX_BLOCK_DIM_X)] = 1024,
    [ATTRIBUTE(MAX_BLOCK_DIM_Y)] = 1024,
    [ATTRIBUTE(MAX_BLOCK_DIM_Z)] = 64,
    [ATTRIBUTE(MAX_GRID_DIM_X)] = 0x7fffffff,
    [ATTRIBUTE(MAX_GRID_DIM_Y)] = 65535,
    [ATTRIBUTE(MAX_GRID_DIM_Z)] = 65535,
    [ATTRIBUTE(MAX_SHARED_MEMORY_PER_BLOCK)] = 48 * KIB,
    [ATTRIBUTE(TOTAL_CONSTANT_MEMORY)] = 64 * KIB,
    [ATTRIBUTE(WARP_SIZE)] = SG_WARP_SIZE,
    [ATTRIBUTE(MAX_PITCH)] = 0x7fffffff,
    [ATTRIBUTE(MAX_REGISTERS_PER_BLOCK)] = 65536,
    [ATTRIBUTE(CLOCK_RATE)] = 1000000,
    [ATTRIBUTE(TEXTURE_ALIGNMENT)] = 512,
    [ATTRIBUTE(GPU_OVERLAP)] = 1,
    [ATTRIBUTE(INTEGRATED)] = 0,
    [ATTRIBUTE(CAN_MAP_HOST_MEMORY)] = 1,
    [ATTRIBUTE(COMPUTE_MODE)] = CU_COMPUTEMODE_DEFAULT,
    [ATTRIBUTE(MAXIMUM_TEXTURE1D_WIDTH)] = 131072,
    [ATTRIBUTE(MAXIMUM_TEXTURE2D_WIDTH)] = 131072,
    [ATTRIBUTE(MAXIMUM_TEXTURE2D_HEIGHT)] = 65536,
    [ATTRIBUTE(MAXIMUM_TEXTURE3D_WIDTH)] = 16384,
    [ATTRIBUTE(MAXIMUM_TEXTURE3D_HEIGHT)] = 16384,
    [ATTRIBUTE(MAXIMUM_TEXTURE3D_DEPTH)] = 16384,
    [ATTRIBUTE(MAXIMUM_TEXTURE2D_LAYERED_WIDTH)] = 32768,
    [ATTRIBUTE(MAXIMUM_TEXTURE2D_LAYERED_HEIGHT)] = 32768,
    [ATTRIBUTE(MAXIMUM_TEXTURE2D_LAYERED_LAYERS)] = 2048,
    [ATTRIBUTE(SURFACE_ALIGNMENT)] = 512,
    [ATTRIBUTE(CONCURRENT_KERNELS)] = 1,
    [ATTRIBUTE(PCI_BUS_ID)] = 1,
    [ATTRIBUTE(PCI_DEVICE_ID)] = 0,
    [ATTRIBUTE(PCI_DOMAIN_ID)] = 0,
    [ATTRIBUTE(MEMORY_CLOCK_RATE)] = 1000000,
    [ATTRIBUTE(GLOBAL_MEMORY_BUS_WIDTH)] = 128,
    [ATTRIBUTE(L2_CACHE_SIZE)] = L2_BYTES,
    [ATTRIBUTE(ASYNC_ENGINE_COUNT)] = 2,
    [ATTRIBUTE(UNIFIED_ADDRESSING)] = 1,
    [ATTRIBUTE(MAXIMUM_TEXTURE1D_LAYERED_WIDTH)] = 32768,
    [ATTRIBUTE(MAXIMUM_TEXTURE1D_LAYERED_LAYERS)] = 2048,
    [ATTRIBUTE(MAXIMUM_TEXTURE2D_GATHER_WIDTH)] = 32768,
    [ATTRIBUTE(MAXIMUM_TEXTURE2D_GATHER_HEIGHT)] = 32768,
    [ATTRIBUTE(MAXIMUM_TEXTURE3D_WIDTH_ALTERNATE)] = 8192,
    [ATTRIBUTE(MAXIMUM_TEXTURE3D_HEIGHT_ALTERNATE)] = 8192,
    [ATTRIBUTE(MAXIMUM_TEXTURE3D_DEPTH_ALTERNATE)] = 32768,
    [ATTRIBUTE(TEXTURE_PITCH_ALIGNMENT)] = 32,
    [ATTRIBUTE(MAXIMUM_TEXTURECUBEMAP_WIDTH)] = 32768,
    [ATTRIBUTE(MAXIMUM_TEXTURECUBEMAP_LAYERED_WIDTH)] = 32768,
    [ATTRIBUTE(MAXIMUM_TEXTURECUBEMAP_LAYERED_LAYERS)] = 2046,
    [ATTRIBUTE(MAXIMUM_SURFACE1D_WIDTH)] = 32768,
    [ATTRIBUTE(MAXIMUM_SURFACE2D_WIDTH)] = 131072,
    [ATTRIBUTE(MAXIMUM_SURFACE2D_HEIGHT)] = 65536,
    [ATTRIBUTE(MAXIMUM_SURFACE3D_WIDTH)] = 16384,
    [ATTRIBUTE(MAXIMUM_SURFACE3D_HEIGHT)] = 16384,
    [ATTRIBUTE(MAXIMUM_SURFACE3D_DEPTH)] = 16384,
    [ATTRIBUTE(MAXIMUM_SURFACE1D_LAYERED_WIDTH)] = 32768,
    [ATTRIBUTE(MAXIMUM_SURFACE1D_LAYERED_LAYERS)] = 2048,
    [ATTRIBUTE(MAXIMUM_SURFACE2D_LAYERED_WIDTH)] = 32768,
    [ATTRIBUTE(MAXIMUM_SURFACE2D_LAYERED_HEIGHT)] = 32768,
    [ATTRIBUTE(MAXIMUM_SURFACE2D_LAYERED_LAYERS)] = 2048,
    [ATTRIBUTE(MAXIMUM_SURFACECUBEMAP_WIDTH)] = 32768,
    [ATTRIBUTE(MAXIMUM_SURFACECUBEMAP_LAYERED_WIDTH)] = 32768,
    [ATTRIBUTE(MAXIMUM_SURFACECUBEMAP_LAYERED_LAYERS)] = 2046,
    [ATTRIBUTE(MAXIMUM_TEXTURE1D_LINEAR_WIDTH)] = 268435456,
    [ATTRIBUTE(MAXIMUM_TEXTURE2D_LINEAR_WIDTH)] = 131072,
    [ATTRIBUTE(MAXIMUM_TEXTURE2D_LINEAR_HEIGHT)] = 65000,
    [ATTRIBUTE(MAXIMUM_TEXTURE2D_LINEAR_PITCH)] = 2097120,
    [ATTRIBUTE(MAXIMUM_TEXTURE2D_MIPMAPPED_WIDTH)] = 32768,
    [ATTRIBUTE(MAXIMUM_TEXTURE2D_MIPMAPPED_HEIGHT)] = 32768,
    [ATTRIBUTE(MAXIMUM_TEXTURE1D_MIPMAPPED_WIDTH)] = 32768,
    [ATTRIBUTE(STREAM_PRIORITIES_SUPPORTED)] = 1,
    [ATTRIBUTE(GLOBAL_L1_CACHE_SUPPORTED)] = 1,
    [ATTRIBUTE(LOCAL_L1_CACHE_SUPPORTED)] = 1,
    [ATTRIBUTE(MAX_REGISTERS_PER_MULTIPROCESSOR)] = 65536,
    [ATTRIBUTE(MANAGED_MEMORY)] = 1,
    [ATTRIBUTE(HOST_NATIVE_ATOMIC_SUPPORTED)] = 1,
    [ATTRIBUTE(SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO)] = 2,
    [ATTRIBUTE(CONCURRENT_MANAGED_ACCESS)] = 1,
    [ATTRIBUTE(COMPUTE_PREEMPTION_SUPPORTED)] = 1,
    [ATTRIBUTE(CAN_USE_STREAM_MEM_OPS_V1)] = 1,
    [ATTRIBUTE(CAN_USE_64_BIT_STREAM_MEM_OPS_V1)] = 1,
    [ATTRIBUTE(CAN_USE_STREAM_WAIT_VALUE_NOR_V1)] = 1,
    [ATTRIBUTE(CAN_USE_64_BIT_STREAM_MEM_OPS)] = 1,
    [ATTRIBUTE(CAN_USE_STREAM_WAIT_VALUE_NOR)] = 1,
    [ATTRIBUTE(COOPERATIVE_LAUNCH)] = 1,
    [ATTRIBUTE(HOST_REGISTER_SUPPORTED)] = 1,
    [ATTRIBUTE(DIRECT_MANAGED_MEM_ACCESS_FROM_HOST)] = 1,
    [ATTRIBUTE(VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED)] = 1,
    [ATTRIBUTE(HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED)] = 1,
    [ATTRIBUTE(MEMORY_POOLS_SUPPORTED)] = 1,
    [ATTRIBUTE(MEMPOOL_SUPPORTED_HANDLE_TYPES)] = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
    [ATTRIBUTE(GPU_DIRECT_RDMA_WRITES_ORDERING)] = CU_GPU_DIRECT_RDMA_WRITES_ORDERING_ALL_DEVICES,
    [ATTRIBUTE(IPC_EVENT_SUPPORTED)] = 1,
    [ATTRIBUTE(MEM_SYNC_DOMAIN_COUNT)] = 1,
    [ATTRIBUTE(NUMA_CONFIG)] = CU_DEVICE_NUMA_CONFIG_NONE,
    [ATTRIBUTE(NUMA_ID)] = -1,
    [ATTRIBUTE(HOST_NUMA_ID)] = 0,
    [ATTRIBUTE(HOST_NUMA_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED)] = 1,
    [ATTRIBUTE(HOST_NUMA_MEMORY_POOLS_SUPPORTED)] = 1,
    [ATTRIBUTE(HOST_MEMORY_POOLS_SUPPORTED)] = 1,
    [ATTRIBUTE(HOST_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED)] = 1,
    [ATTRIBUTE(GPU_PCI_DEVICE_ID)] = 0,
};

/* "12.0", "120" and "12" mean the same. NULL: not known. */
static const struct capability *capability_parse(const char *text)
{
	int major = 0, minor = 0, wanted;

	if (sscanf(text, "%d.%d", &major, &minor) == 2)
		wanted = major * 10 + minor;
	else
		wanted = major > 21 ? major : major * 10;
	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (capabilities[i].capability == wanted)
			return &capabilities[i];
	return NULL;
}

static const struct capability *capability_choose(void)
{
	const char *wanted = getenv("SOFTGPU_CC");
	const struct capability *found = capability_parse(wanted ?: "12.0");

	if (!found) {
		log_warn("SOFTGPU_CC=%s is not a compute capability this device can claim; "
			 "it claims 12.0 (try 7.5, 8.0, 9.0, 10.0, 12.0 or 13.0)",
		    wanted);
		found = capability_parse("12.0");
	}
	return found;
}

static size_t memory_choose(void)
{
	const char *wanted = getenv("SOFTGPU_MEMORY");
	uint64_t mib;

	if (wanted && decimal_parse(wanted, 1, MOST_MIB, &mib))
		return mib << 20;
	if (wanted && *wanted)
		log_warn("SOFTGPU_MEMORY=%s is not a number of MiB, 1 to %u: half of the host's is "
			 "taken",
		    wanted, MOST_MIB);
	return (size_t)sysconf(_SC_PHYS_PAGES) / 2 * (size_t)sysconf(_SC_PAGESIZE);
}

void sg_device_init(void)
{
	static const char uuid[16] = "rosen-softgpu-0";
	const struct capability *capability = capability_choose();
	int *attributes = sg_device.attributes;

	snprintf(sg_device.name, sizeof(sg_device.name), "Rosen software GPU");
	memcpy(sg_device.uuid, uuid, sizeof(sg_device.uuid));
	sg_device.memory = memory_choose();
	sg_device.capability = capability->capability;
	memcpy(attributes, device_constants, sizeof(device_constants));
	attributes[ATTRIBUTE(COMPUTE_CAPABILITY_MAJOR)] = capability->capability / 10;
	attributes[ATTRIBUTE(COMPUTE_CAPABILITY_MINOR)] = capability->capability % 10;
	if (capability->capability >= 80) {
		attributes[ATTRIBUTE(MAX_PERSISTING_L2_CACHE_SIZE)] = L2_BYTES / 4 * 3;
		attributes[ATTRIBUTE(MAX_ACCESS_POLICY_WINDOW_SIZE)] = WINDOW_BYTES;
		attributes[ATTRIBUTE(GENERIC_COMPRESSION_SUPPORTED)] = 1;
	}
	attributes[ATTRIBUTE(CLUSTER_LAUNCH)] = capability->capability >= 90;
	attributes[ATTRIBUTE(TENSOR_MAP_ACCESS_SUPPORTED)] = capability->capability >= 90;
	attributes[ATTRIBUTE(MAX_THREADS_PER_MULTIPROCESSOR)] = capability->threads_per_sm;
	attributes[ATTRIBUTE(MAX_BLOCKS_PER_MULTIPROCESSOR)] = capability->blocks_per_sm;
	attributes[ATTRIBUTE(MAX_SHARED_MEMORY_PER_MULTIPROCESSOR)] = capability->shared_per_sm;
	attributes[ATTRIBUTE(MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)] = capability->shared_optin;
	attributes[ATTRIBUTE(RESERVED_SHARED_MEMORY_PER_BLOCK)] = capability->reserved_shared;
	attributes[ATTRIBUTE(MULTIPROCESSOR_COUNT)] =
	    (int)MAX(sg_exec_threads(), MULTIPROCESSORS_LEAST);
}

size_t sg_device_identities(struct abi_integrity_device *devices, size_t capacity)
{
	if (capacity) {
		memcpy(devices[0].uuid, sg_device.uuid, sizeof(sg_device.uuid));
		devices[0].pci_domain = sg_device_attribute(ATTRIBUTE(PCI_DOMAIN_ID));
		devices[0].pci_bus = sg_device_attribute(ATTRIBUTE(PCI_BUS_ID));
		devices[0].pci_device = sg_device_attribute(ATTRIBUTE(PCI_DEVICE_ID));
	}
	return 1;
}
