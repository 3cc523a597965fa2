/*
 * Names that newer ones have replaced and that mean the same, and the rest of the forms from before
 * CUDA 3.2 (test-legacy.c says what those are): each is called by the name that a program of its
 * time asks for.
 */
#include "conform.h"

#undef cuArray3DCreate
#undef cuArray3DGetDescriptor
#undef cuArrayCreate
#undef cuCtxCreate
#undef cuCtxDestroy
#undef cuCtxGetDevice
#undef cuCtxPopCurrent
#undef cuCtxPushCurrent
#undef cuCtxSynchronize
#undef cuDevicePrimaryCtxRelease
#undef cuDevicePrimaryCtxReset
#undef cuDevicePrimaryCtxSetFlags
#undef cuEventDestroy
#undef cuGraphAddNode
#undef cuIpcOpenMemHandle
#undef cuLinkAddData
#undef cuLinkAddFile
#undef cuLinkCreate
#undef cuMemAlloc
#undef cuMemFree
#undef cuMemHostGetDevicePointer
#undef cuMemHostRegister
#undef cuMemcpy2D
#undef cuMemcpy2DAsync
#undef cuMemcpy2DUnaligned
#undef cuMemcpy3D
#undef cuMemcpy3DAsync
#undef cuMemcpyAtoA
#undef cuMemcpyAtoD
#undef cuMemcpyAtoH
#undef cuMemcpyAtoHAsync
#undef cuMemcpyDtoA
#undef cuMemcpyDtoD
#undef cuMemcpyDtoDAsync
#undef cuMemcpyDtoH
#undef cuMemcpyDtoHAsync
#undef cuMemcpyHtoA
#undef cuMemcpyHtoAAsync
#undef cuMemcpyHtoD
#undef cuMemcpyHtoDAsync
#undef cuMemsetD16
#undef cuMemsetD2D16
#undef cuMemsetD2D32
#undef cuMemsetD2D8
#undef cuMemsetD32
#undef cuModuleGetGlobal
#undef cuStreamBatchMemOp
#undef cuStreamBeginCapture
#undef cuStreamDestroy
#undef cuStreamWaitValue32
#undef cuStreamWaitValue64
#undef cuStreamWriteValue32
#undef cuStreamWriteValue64
#undef cuTexRefGetAddress
#undef cuTexRefSetAddress
#undef cuTexRefSetAddress2D

static CUcontext narrow_context(void)
{
	CUcontext narrow;

	OK(cuInit(0));
	OK(cuCtxCreate(&narrow, 0, 0));
	return narrow;
}

/* --- forms of before CUDA 3.2 --- */

CONFORM(narrow_copies_are_refused_in_contexts_of_today)
{
	CUDA_MEMCPY2D_v1 flat = {.WidthInBytes = 1};
	CUDA_MEMCPY3D_v1 deep = {.WidthInBytes = 1};
	CUarray array = NULL;
	char bytes[4];

	conform_begin();
	GIVES(cuMemcpy2DAsync(&flat, NULL), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuMemcpy2DUnaligned(&flat), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuMemcpy3D(&deep), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuMemcpy3DAsync(&deep, NULL), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuMemcpyAtoA(array, 0, array, 0, 1), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuMemcpyAtoD(4096, array, 0, 1), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuMemcpyDtoA(array, 0, 4096, 1), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuMemcpyAtoHAsync(bytes, array, 0, 1, NULL), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuMemcpyHtoAAsync(array, 0, bytes, 1, NULL), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuMemcpyDtoD(4096, 8192, 1), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuMemcpyDtoDAsync(4096, 8192, 1, NULL), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuMemcpyDtoHAsync(bytes, 4096, 1, NULL), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuMemcpyHtoDAsync(4096, bytes, 1, NULL), CUDA_ERROR_INVALID_CONTEXT);
}

CONFORM(narrow_fills_are_refused_in_contexts_of_today)
{
	CUDA_ARRAY3D_DESCRIPTOR_v1 d = {4, 4, 4, CU_AD_FORMAT_UNSIGNED_INT8, 1, 0};
	CUarray array = NULL;
	CUdeviceptr_v1 address;
	char bytes[4];

	conform_begin();
	GIVES(cuMemsetD16(4096, 1, 1), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuMemsetD32(4096, 1, 1), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuMemsetD2D8(4096, 4, 1, 1, 1), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuMemsetD2D16(4096, 4, 1, 1, 1), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuMemsetD2D32(4096, 4, 1, 1, 1), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuArray3DCreate(&array, &d), CUDA_ERROR_INVALID_CONTEXT);
	GIVES(cuMemHostGetDevicePointer(&address, bytes, 0), CUDA_ERROR_INVALID_CONTEXT);
}

CONFORM(narrow_arrays_of_three_dimensions)
{
	CUDA_ARRAY3D_DESCRIPTOR_v1 d = {16, 4, 2, CU_AD_FORMAT_UNSIGNED_INT8, 1, 0}, got = {0};
	uint8_t in[128], out[128] = {0};
	CUcontext narrow = narrow_context();
	CUarray array;

	conform_fill(in, sizeof(in), 3);
	OK(cuArray3DCreate(&array, &d));
	OK(cuArray3DGetDescriptor(&got, array));
	CHECK_EQ(got.Width, d.Width);
	CHECK_EQ(got.Height, d.Height);
	CHECK_EQ(got.Depth, d.Depth);
	CHECK_EQ(got.NumChannels, d.NumChannels);
	CUDA_MEMCPY3D_v1 up = {.srcMemoryType = CU_MEMORYTYPE_HOST,
	    .srcHost = in,
	    .srcPitch = 16,
	    .srcHeight = 4,
	    .dstMemoryType = CU_MEMORYTYPE_ARRAY,
	    .dstArray = array,
	    .WidthInBytes = 16,
	    .Height = 4,
	    .Depth = 2};
	CUDA_MEMCPY3D_v1 down = {.srcMemoryType = CU_MEMORYTYPE_ARRAY,
	    .srcArray = array,
	    .dstMemoryType = CU_MEMORYTYPE_HOST,
	    .dstHost = out,
	    .dstPitch = 16,
	    .dstHeight = 4,
	    .WidthInBytes = 16,
	    .Height = 4,
	    .Depth = 2};
	OK(cuMemcpy3D(&up));
	OK(cuMemcpy3DAsync(&down, NULL));
	OK(cuCtxSynchronize());
	CHECK_BYTES(out, in, sizeof(in));
	OK(cuArrayDestroy(array));
	OK(cuCtxDestroy(narrow));
}

CONFORM(narrow_rows_of_arrays)
{
	CUDA_ARRAY_DESCRIPTOR_v1 d = {64, 0, CU_AD_FORMAT_UNSIGNED_INT8, 1};
	CUcontext narrow = narrow_context();
	uint8_t in[64], out[64] = {0};
	CUarray a, b;

	conform_fill(in, sizeof(in), 4);
	OK(cuArrayCreate(&a, &d));
	OK(cuArrayCreate(&b, &d));
	OK(cuMemcpyHtoAAsync(a, 0, in, 64, NULL));
	OK(cuMemcpyAtoA(b, 8, a, 16, 40));
	OK(cuMemcpyAtoHAsync(out, b, 8, 40, NULL));
	OK(cuCtxSynchronize());
	CHECK_BYTES(out, in + 16, 40);
	CUDA_MEMCPY2D_v1 row = {.srcMemoryType = CU_MEMORYTYPE_ARRAY,
	    .srcArray = a,
	    .dstMemoryType = CU_MEMORYTYPE_HOST,
	    .dstHost = out,
	    .dstPitch = 64,
	    .WidthInBytes = 64,
	    .Height = 1};
	OK(cuMemcpy2DAsync(&row, NULL));
	OK(cuCtxSynchronize());
	CHECK_BYTES(out, in, 64);
	row.srcXInBytes = 3;
	row.WidthInBytes = 17;
	OK(cuMemcpy2DUnaligned(&row));
	CHECK_BYTES(out, in + 3, 17);
	OK(cuArrayDestroy(a));
	OK(cuArrayDestroy(b));
	OK(cuCtxDestroy(narrow));
}

/* There may be no memory at addresses of 32 bits; what there is works. */
CONFORM(narrow_memory)
{
	CUcontext narrow = narrow_context();
	CUDA_ARRAY_DESCRIPTOR_v1 d = {64, 0, CU_AD_FORMAT_UNSIGNED_INT8, 1};
	uint8_t in[256], out[256], wanted[256];
	CUdeviceptr_v1 a = 0;
	CUarray array;

	CUresult r = cuMemAlloc(&a, sizeof(in));
	if (r != CUDA_SUCCESS) {
		CHECK_EQ(r, CUDA_ERROR_OUT_OF_MEMORY);
		OK(cuCtxDestroy(narrow));
		return;
	}
	conform_fill(in, sizeof(in), 5);
	memcpy(wanted, in, sizeof(wanted));
	OK(cuMemcpyHtoDAsync(a, in, sizeof(in), NULL));
	OK(cuMemcpyDtoD(a + 128, a, 32));
	memcpy(wanted + 128, in, 32);
	OK(cuMemcpyDtoDAsync(a + 160, a + 32, 32, NULL));
	memcpy(wanted + 160, in + 32, 32);
	OK(cuMemsetD16(a, 0x1111, 4));
	memset(wanted, 0x11, 8);
	OK(cuMemsetD32(a + 8, 0x22222222, 2));
	memset(wanted + 8, 0x22, 8);
	OK(cuMemsetD2D8(a + 16, 8, 0x33, 8, 1));
	memset(wanted + 16, 0x33, 8);
	OK(cuMemsetD2D16(a + 24, 8, 0x4444, 4, 1));
	memset(wanted + 24, 0x44, 8);
	OK(cuMemsetD2D32(a + 32, 8, 0x55555555, 2, 1));
	memset(wanted + 32, 0x55, 8);
	OK(cuArrayCreate(&array, &d));
	OK(cuMemcpyDtoA(array, 0, a, 64));
	OK(cuMemcpyAtoD(a + 64, array, 0, 64));
	memcpy(wanted + 64, wanted, 64);
	OK(cuMemcpyDtoHAsync(out, a, sizeof(out), NULL));
	OK(cuCtxSynchronize());
	CHECK_BYTES(out, wanted, sizeof(out));
	OK(cuArrayDestroy(array));
	OK(cuMemFree(a));
	OK(cuCtxDestroy(narrow));
}

CONFORM(narrow_addresses_of_what_is_not_there)
{
	static const char image[] = ".version 6.0\n.target sm_50\n.address_size 64\n"
				    ".visible .global .u32 known[4];\n";
	CUcontext narrow = narrow_context();
	CUdeviceptr_v1 address = 0;
	unsigned bytes = 0;
	CUmodule module;
	char own[16];

	OK(cuModuleLoadData(&module, image));
	GIVES(cuModuleGetGlobal(&address, &bytes, module, "unknown"), CUDA_ERROR_NOT_FOUND);
	CHECK(cuMemHostGetDevicePointer(&address, own, 0) != CUDA_SUCCESS);
	OK(cuCtxDestroy(narrow));
}

CONFORM(narrow_texture_references)
{
	CUDA_ARRAY_DESCRIPTOR_v1 d = {8, 4, CU_AD_FORMAT_FLOAT, 1};
	CUcontext narrow = narrow_context();
	CUdeviceptr_v1 address = 0;
	unsigned offset;

	CHECK(cuTexRefGetAddress(&address, NULL) != CUDA_SUCCESS);
	CHECK(cuTexRefSetAddress(&offset, NULL, 16, 64) != CUDA_SUCCESS);
	CHECK(cuTexRefSetAddress2D(NULL, &d, 16, 32) != CUDA_SUCCESS);
	OK(cuCtxDestroy(narrow));
}

/* --- first names --- */

CONFORM(first_names_of_contexts)
{
	CUcontext made, popped, primary;
	unsigned flags;
	CUdevice of = 7;
	int active;

	OK(cuInit(0));
	OK(cuDevicePrimaryCtxSetFlags(0, CU_CTX_SCHED_YIELD));
	OK(cuDevicePrimaryCtxRetain(&primary, 0));
	OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK(active);
	CHECK_EQ(flags & CU_CTX_SCHED_MASK, CU_CTX_SCHED_YIELD);
	OK(cuCtxCreate_v2(&made, 0, 0));
	OK(cuCtxPushCurrent(primary));
	OK(cuCtxPopCurrent(&popped));
	CHECK(popped == primary);
	OK(cuCtxGetDevice_v2(&of, made));
	CHECK_EQ(of, 0);
	OK(cuCtxPopCurrent(&popped));
	CHECK(popped == made);
	OK(cuCtxSynchronize_v2(made)); /* it need not be current */
	OK(cuCtxDestroy(made));
	OK(cuDevicePrimaryCtxReset(0));
	OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK(!active);
	OK(cuDevicePrimaryCtxRelease(0));
}

CONFORM(first_names_of_streams)
{
	CUgraphNodeParams parameters = {.type = CU_GRAPH_NODE_TYPE_EMPTY};
	CUgraphNode node;
	CUstream stream;
	CUgraph graph;
	CUevent event;
	size_t count;

	conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&event, 0));
	OK(cuStreamBeginCapture(stream));
	OK(cuStreamEndCapture(stream, &graph));
	OK(cuGraphAddNode(&node, graph, NULL, 0, &parameters));
	OK(cuGraphGetNodes(graph, NULL, &count));
	CHECK_EQ(count, 1);
	OK(cuGraphDestroy(graph));
	OK(cuEventDestroy(event));
	OK(cuStreamDestroy(stream));
}

CONFORM(first_names_of_memory)
{
	CUdeviceptr device, opened;
	CUipcMemHandle handle;
	uint8_t *own = aligned_alloc(4096, 4096), out[64];
	unsigned flags;

	conform_begin();
	CHECK(own);
	memset(own, 9, 4096);
	OK(cuMemHostRegister(own, 4096, CU_MEMHOSTREGISTER_DEVICEMAP));
	OK(cuMemHostGetFlags(&flags, own));
	CHECK(flags & CU_MEMHOSTREGISTER_DEVICEMAP);
	OK(cuMemAlloc_v2(&device, 64));
	OK(cuMemcpyHtoD_v2(device, own, 64));
	OK(cuMemcpyDtoH_v2(out, device, 64));
	CHECK_EQ(out[0] & out[63], 9);
	OK(cuMemHostUnregister(own));
	if (cuIpcGetMemHandle(&handle, device) ==
	    CUDA_SUCCESS) /* not by the process that made it */
		CHECK(cuIpcOpenMemHandle(&opened, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) !=
		      CUDA_SUCCESS);
	OK(cuMemFree_v2(device));
	free(own);
}

CONFORM(first_names_of_the_linker)
{
	static char image[] = ".version 6.0\n.target sm_50\n.address_size 64\n"
			      ".visible .entry linked() { ret; }\n";
	CUfunction function;
	CUlinkState link;
	CUmodule module;
	size_t size = 0;
	void *result;

	conform_begin();
	OK(cuLinkCreate(0, NULL, NULL, &link));
	GIVES(cuLinkAddFile(link, CU_JIT_INPUT_PTX, "/no/such/file.ptx", 0, NULL, NULL),
	    CUDA_ERROR_FILE_NOT_FOUND);
	OK(cuLinkAddData(
	    link, CU_JIT_INPUT_PTX, image, sizeof(image), "linked.ptx", 0, NULL, NULL));
	OK(cuLinkComplete(link, &result, &size));
	CHECK(size);
	OK(cuModuleLoadData(&module, result));
	OK(cuModuleGetFunction(&function, module, "linked"));
	OK(conform_launch(function, 1, 1, 0, NULL, NULL));
	OK(cuCtxSynchronize());
	OK(cuLinkDestroy(link));
}

/* As test-twins.c has them for a thread's own stream. */
CONFORM(first_names_of_operations_on_memory)
{
	unsigned got[6] = {0};
	CUdeviceptr words;
	CUstream stream;
	int able = 0;

	conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc_v2(&words, sizeof(got)));
	OK(cuMemcpyHtoD_v2(words, got, sizeof(got)));
	OK(cuCtxSynchronize()); /* of so few bytes the copy itself may come later */
	CUstreamBatchMemOpParams write = {
	    .writeValue = {
		.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32, .address = words + 16, .value = 7}};
	OK(cuDeviceGetAttribute(&able, CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_MEM_OPS_V1, 0));
	CUresult wanted = able ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
	GIVES(cuStreamWriteValue32(stream, words, 5, 0), wanted);
	GIVES(cuStreamWaitValue32(stream, words, 5, CU_STREAM_WAIT_VALUE_EQ), wanted);
	GIVES(cuStreamWriteValue64(stream, words + 8, 6, 0), wanted);
	GIVES(cuStreamWaitValue64(stream, words + 8, 6, CU_STREAM_WAIT_VALUE_EQ), wanted);
	GIVES(cuStreamBatchMemOp(stream, 1, &write, 0), wanted);
	GIVES(cuStreamBatchMemOp_v2(stream, 1, &write, 1), CUDA_ERROR_INVALID_VALUE);
	OK(cuStreamWriteValue32_v2(stream, words + 20, 8, 0)); /* this form every device has */
	OK(cuStreamSynchronize(stream));
	OK(cuMemcpyDtoH_v2(got, words, sizeof(got)));
	CHECK_EQ(got[0], able ? 5 : 0);
	CHECK_EQ(got[2], able ? 6 : 0);
	CHECK_EQ(got[4], able ? 7 : 0);
	CHECK_EQ(got[5], 8);
}

CONFORM(second_name_of_a_texture_in_memory)
{
	CUDA_ARRAY_DESCRIPTOR d = {32, 8, CU_AD_FORMAT_FLOAT, 1};
	CUdeviceptr data, got;
	CUtexref own;
	size_t pitch;

	conform_begin();
	NEEDS(cuTexRefCreate(&own));
	OK(cuMemAllocPitch_v2(&data, &pitch, 128, 8, 4));
	OK(cuTexRefSetFormat(own, CU_AD_FORMAT_FLOAT, 1));
	OK(cuTexRefSetAddress2D_v2(own, &d, data, pitch));
	OK(cuTexRefGetAddress_v2(&got, own));
	CHECK_EQ(got, data);
	OK(cuTexRefDestroy(own));
}
