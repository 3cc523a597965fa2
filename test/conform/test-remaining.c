/*
 * Functions that few programs call and no other program here: what devices and contexts tell of
 * their surroundings, nodes of executable graphs that change, what textures and surfaces are of,
 * fat binaries, the profiler's old entry.
 */
#include "graphs.h"

/* --- devices and contexts --- */

static int attribute(CUdevice_attribute which)
{
	int value = -1;

	OK(cuDeviceGetAttribute(&value, which, 0));
	return value;
}

CONFORM(contexts_have_multiprocessors)
{
	CUexecAffinityParam affinity = {.type = CU_EXEC_AFFINITY_TYPE_MAX};
	int supported = 7;

	conform_begin();
	NEEDS(cuCtxGetExecAffinity(&affinity, CU_EXEC_AFFINITY_TYPE_SM_COUNT));
	CHECK_EQ(affinity.type, CU_EXEC_AFFINITY_TYPE_SM_COUNT);
	CHECK_EQ(affinity.param.smCount.val, attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
	GIVES(cuCtxGetExecAffinity(&affinity, (CUexecAffinityType)77),
	    CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY);
	OK(cuDeviceGetExecAffinitySupport(&supported, CU_EXEC_AFFINITY_TYPE_SM_COUNT, 0));
	CHECK(supported == 0 || supported == 1);
}

CONFORM(contexts_have_banks_of_shared_memory)
{
	CUsharedconfig banks = (CUsharedconfig)77;

	conform_begin();
	OK(cuCtxSetSharedMemConfig(CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE));
	OK(cuCtxGetSharedMemConfig(&banks));
	CHECK_EQ(banks, CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE);
	GIVES(cuCtxSetSharedMemConfig((CUsharedconfig)7), CUDA_ERROR_INVALID_VALUE);
}

/* An identity that only Windows gives devices. */
CONFORM(devices_have_no_luid_here)
{
	char luid[8];
	unsigned mask;

	conform_begin();
	GIVES(cuDeviceGetLuid(luid, &mask, 0), CUDA_ERROR_NOT_SUPPORTED);
	GIVES(cuDeviceGetLuid(luid, &mask, 100000), CUDA_ERROR_INVALID_DEVICE);
}

CONFORM(atomics_reach_as_far_as_attributes_say)
{
	CUatomicOperation operations[] = {CU_ATOMIC_OPERATION_INTEGER_ADD, CU_ATOMIC_OPERATION_CAS};
	unsigned capabilities[2] = {77, 77};

	conform_begin();
	NEEDS(cuDeviceGetHostAtomicCapabilities(capabilities, operations, 2, 0));
	for (int i = 0; i < 2; i++)
		CHECK_EQ(capabilities[i] != 0,
		    attribute(CU_DEVICE_ATTRIBUTE_HOST_NATIVE_ATOMIC_SUPPORTED));
	GIVES(cuDeviceGetHostAtomicCapabilities(capabilities, operations, 0, 0),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(cuDeviceGetHostAtomicCapabilities(capabilities, operations, 2, 100000),
	    CUDA_ERROR_INVALID_DEVICE);
	/* A device is no peer of its own. */
	GIVES(cuDeviceGetP2PAtomicCapabilities(capabilities, operations, 2, 0, 0),
	    CUDA_ERROR_INVALID_DEVICE);
}

CONFORM(writes_of_others_are_flushed)
{
	conform_begin();
	int options = attribute(CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_FLUSH_WRITES_OPTIONS);
	GIVES(cuFlushGPUDirectRDMAWrites(CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TARGET_CURRENT_CTX,
		  CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TO_OWNER),
	    options & CU_FLUSH_GPU_DIRECT_RDMA_WRITES_OPTION_HOST ? CUDA_SUCCESS
								  : CUDA_ERROR_NOT_SUPPORTED);
}

/* What its parameters say is for profilers of long ago. */
CONFORM(profilers_are_not_configured)
{
	conform_begin();
	GIVES(cuProfilerInitialize("/nowhere/in", "/nowhere/out", CU_OUT_CSV),
	    CUDA_ERROR_NOT_SUPPORTED);
}

CONFORM(there_are_no_tables_but_the_known)
{
	static const CUuuid unknown = {{'n', 'o', 'n', 'e'}};
	const void *table = &unknown;

	conform_begin();
	CHECK(cuGetExportTable(&table, &unknown) != CUDA_SUCCESS);
	GIVES(cuGetExportTable(NULL, &unknown), CUDA_ERROR_INVALID_VALUE);
}

/* --- nodes of executable graphs --- */

CONFORM(nodes_record_and_await_other_events)
{
	struct graph_test t = begin();
	CUgraphNode record, wait;
	CUevent events[2], got;

	for (int i = 0; i < 2; i++)
		OK(cuEventCreate(&events[i], CU_EVENT_DISABLE_TIMING));
	OK(cuGraphAddEventWaitNode(&wait, t.graph, NULL, 0, events[0]));
	NEEDS(cuGraphAddEventRecordNode(&record, t.graph, &wait, 1, events[0]));
	OK(cuGraphEventRecordNodeSetEvent(record, events[1]));
	OK(cuGraphEventRecordNodeGetEvent(record, &got));
	CHECK(got == events[1]);
	CUgraphExec exec = instantiate(t.graph);
	OK(cuEventRecord(events[1], NULL));
	OK(cuGraphExecEventWaitNodeSetEvent(exec, wait, events[1]));
	OK(cuGraphEventWaitNodeGetEvent(wait, &got)); /* the graph keeps its own */
	CHECK(got == events[0]);
	run_graph(&t, exec);
	OK(cuEventQuery(events[1]));
}

CONFORM(nodes_write_other_values)
{
	struct graph_test t = begin();
	CUstreamBatchMemOpParams write = {
	    .writeValue = {
		.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32, .address = t.data, .value = 12}};
	CUDA_BATCH_MEM_OP_NODE_PARAMS parameters = {t.context, 1, &write, 0};
	CUgraphNode node;

	NEEDS(cuGraphAddBatchMemOpNode(&node, t.graph, NULL, 0, &parameters));
	CUgraphExec exec = instantiate(t.graph);
	write.writeValue.value = 13;
	OK(cuGraphExecBatchMemOpNodeSetParams(exec, node, &parameters));
	run_graph(&t, exec);
	OK(cuMemcpyDtoH(t.host, t.data, sizeof(unsigned)));
	CHECK_EQ(t.host[0], 13);
	run_graph(&t, instantiate(t.graph)); /* the graph's node is as it was */
	OK(cuMemcpyDtoH(t.host, t.data, sizeof(unsigned)));
	CHECK_EQ(t.host[0], 12);
}

CONFORM(children_of_executable_graphs_change)
{
	struct graph_test t = begin();
	CUgraph child, other;
	CUgraphNode node;

	OK(cuGraphCreate(&child, 0));
	OK(cuGraphCreate(&other, 0));
	add_set(&t, child, 21);
	add_set(&t, other, 22);
	NEEDS(cuGraphAddChildGraphNode(&node, t.graph, NULL, 0, child));
	CUgraphExec exec = instantiate(t.graph);
	run_graph(&t, exec);
	check_device(&t, 21);
	OK(cuGraphExecChildGraphNodeSetParams(exec, node, other));
	run_graph(&t, exec);
	check_device(&t, 22);
	OK(cuGraphDestroy(child));
	OK(cuGraphDestroy(other));
}

/* --- textures and surfaces --- */

static CUmipmappedArray levels(void)
{
	CUDA_ARRAY3D_DESCRIPTOR shape = {
	    16, 16, 0, CU_AD_FORMAT_FLOAT, 1, CUDA_ARRAY3D_SURFACE_LDST};
	CUmipmappedArray mipmap;

	OK(cuMipmappedArrayCreate(&mipmap, &shape, 3));
	return mipmap;
}

CONFORM(views_of_resources_come_back)
{
	CUDA_RESOURCE_VIEW_DESC view = {.format = CU_RES_VIEW_FORMAT_FLOAT_1X32,
	    .width = 16,
	    .height = 16,
	    .firstMipmapLevel = 1,
	    .lastMipmapLevel = 2};
	CUDA_RESOURCE_VIEW_DESC got = {.width = 77};
	CUDA_RESOURCE_DESC of = {.resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY};
	CUDA_TEXTURE_DESC how = {.maxMipmapLevelClamp = 2};
	CUtexObject texture;

	conform_begin();
	of.res.mipmap.hMipmappedArray = levels();
	OK(cuTexObjectCreate(&texture, &of, &how, &view));
	OK(cuTexObjectGetResourceViewDesc(&got, texture));
	CHECK_EQ(got.format, view.format);
	CHECK_EQ(got.width, 16);
	CHECK_EQ(got.height, 16);
	CHECK_EQ(got.firstMipmapLevel, 1);
	CHECK_EQ(got.lastMipmapLevel, 2);
	OK(cuTexObjectDestroy(texture));
}

CONFORM(surfaces_tell_what_they_are_of)
{
	CUDA_RESOURCE_DESC of = {.resType = CU_RESOURCE_TYPE_ARRAY}, got = {.flags = 77};
	CUsurfObject surface;

	conform_begin();
	OK(cuMipmappedArrayGetLevel(&of.res.array.hArray, levels(), 1));
	OK(cuSurfObjectCreate(&surface, &of));
	OK(cuSurfObjectGetResourceDesc(&got, surface));
	CHECK_EQ(got.resType, CU_RESOURCE_TYPE_ARRAY);
	CHECK(got.res.array.hArray == of.res.array.hArray);
	OK(cuSurfObjectDestroy(surface));
}

CONFORM(texture_references_of_levels)
{
	CUmipmappedArray mipmap, got = NULL;
	CUtexref own;

	conform_begin();
	NEEDS(cuTexRefCreate(&own));
	mipmap = levels();
	GIVES(cuTexRefGetMipmappedArray(&got, own), CUDA_ERROR_INVALID_VALUE); /* none yet */
	OK(cuTexRefSetMipmappedArray(own, mipmap, CU_TRSA_OVERRIDE_FORMAT));
	OK(cuTexRefGetMipmappedArray(&got, own));
	CHECK(got == mipmap);
	OK(cuTexRefDestroy(own));
}

CONFORM(surface_references_keep_their_array)
{
	static const char image[] = ".version 6.0\n.target sm_50\n.address_size 64\n"
				    ".visible .global .surfref known;\n";
	CUarray array, got = NULL;
	CUsurfref surface;
	CUmodule module;

	conform_begin();
	OK(cuModuleLoadData(&module, image));
	OK(cuModuleGetSurfRef(&surface, module, "known"));
	OK(cuMipmappedArrayGetLevel(&array, levels(), 0));
	OK(cuSurfRefSetArray(surface, array, 0));
	OK(cuSurfRefGetArray(&got, surface));
	CHECK(got == array);
	GIVES(cuSurfRefSetArray(surface, array, 1), CUDA_ERROR_INVALID_VALUE);
	OK(cuModuleUnload(module));
}

/* --- images --- */

/* A fat binary of one piece of PTX: a header, the header of the piece, the piece. */
struct fat {
	uint32_t magic;
	uint16_t version, header;
	uint64_t size;
	uint16_t kind, piece_version;
	uint32_t piece_header;
	uint64_t piece_size;
	uint32_t compressed, options_at;
	uint16_t minor, major;
	uint32_t arch, name_at, name_size;
	uint64_t flags, zero, unpacked, options[2];
	char text[96];
};

CONFORM(fat_binaries_are_modules)
{
	static struct fat fat = {.magic = 0xba55ed50,
	    .version = 1,
	    .header = 16,
	    .size = 80 + sizeof(fat.text),
	    .kind = 1,
	    .piece_version = 0x101,
	    .piece_header = 80,
	    .piece_size = sizeof(fat.text),
	    .options_at = 64,
	    .minor = 0,
	    .major = 6,
	    .arch = 50,
	    .flags = 0x11,   /* 64 bits, on Linux */
	    .options = {72}, /* none */
	    .text = ".version 6.0\n.target sm_50\n.address_size 64\n"
		    ".visible .entry packed() { ret; }\n"};
	CUfunction function;
	CUmodule module;

	conform_begin();
	OK(cuModuleLoadFatBinary(&module, &fat));
	OK(cuModuleGetFunction(&function, module, "packed"));
	OK(conform_launch(function, 1, 1, 0, NULL, NULL));
	OK(cuCtxSynchronize());
	OK(cuModuleUnload(module));
}

/* --- a wide filter's images as columns --- */

CONFORM(maps_of_wide_filters)
{
	static const uint64_t dims[] = {64, 32, 32, 8}, strides[] = {128, 128 * 32, 128 * 32 * 32};
	static const uint32_t steps[] = {1, 1, 1, 1};
	static CUtensorMap map, other;
	CUdeviceptr data;

	conform_begin();
	OK(cuMemAlloc(&data, 1 << 20));
	memset(&map, 0x5a, sizeof(map));
	NEEDS(cuTensorMapEncodeIm2colWide(&map, CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 4, data, dims,
	    strides, -1, 1, 64, 64, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
	    CU_TENSOR_MAP_IM2COL_WIDE_MODE_W, CU_TENSOR_MAP_SWIZZLE_128B,
	    CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
	OK(cuTensorMapEncodeIm2colWide(&other, CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 4, data, dims,
	    strides, -1, 1, 32, 64, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
	    CU_TENSOR_MAP_IM2COL_WIDE_MODE_W, CU_TENSOR_MAP_SWIZZLE_128B,
	    CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
	CHECK(memcmp(&map, &other, sizeof(map)) != 0); /* the channels are in it */
	GIVES(cuTensorMapEncodeIm2colWide(&map, CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 2, data, dims,
		  strides, -1, 1, 64, 64, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
		  CU_TENSOR_MAP_IM2COL_WIDE_MODE_W, CU_TENSOR_MAP_SWIZZLE_128B,
		  CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
	    CUDA_ERROR_INVALID_VALUE);
}
