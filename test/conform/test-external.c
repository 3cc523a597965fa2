/*
 * What other interfaces make: semaphores, arrays in their memory, and the graph nodes over
 * semaphores. No such interface is at hand here, so what can be seen is that nothing is taken for
 * what it is not, and that nodes keep what they are given. Multicast likewise, which takes several
 * devices.
 */
#include <fcntl.h>
#include <unistd.h>

#include "conform.h"

static CUexternalSemaphore no_semaphore;
static CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS signal_it;
static CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS wait_for_it;

static bool refused(CUresult r)
{
	return r == CUDA_ERROR_INVALID_VALUE || r == CUDA_ERROR_INVALID_HANDLE ||
	       r == CUDA_ERROR_NOT_SUPPORTED;
}

CONFORM(semaphores_that_are_none_are_refused)
{
	CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC what = {
	    .type = CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_TIMELINE_SEMAPHORE_FD};
	CUexternalSemaphore semaphore;
	CUstream stream;

	conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	what.handle.fd = open("/dev/null", O_RDWR);
	CHECK(cuImportExternalSemaphore(&semaphore, &what) != CUDA_SUCCESS);
	close(what.handle.fd);
	/* Nothing to signal, and NULL. */
	CHECK(refused(cuSignalExternalSemaphoresAsync(&no_semaphore, &signal_it, 0, stream)));
	CHECK(refused(cuWaitExternalSemaphoresAsync(&no_semaphore, &wait_for_it, 0, stream)));
	CHECK(refused(cuSignalExternalSemaphoresAsync_ptsz(&no_semaphore, &signal_it, 0, NULL)));
	CHECK(refused(cuWaitExternalSemaphoresAsync_ptsz(&no_semaphore, &wait_for_it, 0, NULL)));
	CHECK(refused(cuSignalExternalSemaphoresAsync(NULL, &signal_it, 1, stream)));
	CHECK(refused(cuWaitExternalSemaphoresAsync(&no_semaphore, NULL, 1, stream)));
	CHECK(refused(cuDestroyExternalSemaphore(NULL)));
	OK(cuStreamSynchronize(stream)); /* none of it broke anything */
}

static CUgraph begin_graph(CUgraphNode *empty)
{
	CUgraph graph;

	conform_begin();
	OK(cuGraphCreate(&graph, 0));
	OK(cuGraphAddEmptyNode(empty, graph, NULL, 0));
	return graph;
}

static void end_graph(CUgraph graph, CUgraphExec exec)
{
	OK(cuGraphLaunch(exec, NULL));
	OK(cuCtxSynchronize());
	OK(cuGraphExecDestroy(exec));
	OK(cuGraphDestroy(graph));
}

/* Nodes over no semaphores at all are nodes. */
CONFORM(nodes_that_signal)
{
	CUDA_EXT_SEM_SIGNAL_NODE_PARAMS none = {&no_semaphore, &signal_it, 0},
					got = {.numExtSems = 7};
	CUgraphNode node, empty;
	CUgraphExec exec;
	CUgraph graph = begin_graph(&empty);

	NEEDS(cuGraphAddExternalSemaphoresSignalNode(&node, graph, &empty, 1, &none));
	OK(cuGraphExternalSemaphoresSignalNodeGetParams(node, &got));
	CHECK_EQ(got.numExtSems, 0);
	OK(cuGraphExternalSemaphoresSignalNodeSetParams(node, &none));
	GIVES(cuGraphExternalSemaphoresSignalNodeGetParams(empty, &got), CUDA_ERROR_INVALID_VALUE);
	OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	OK(cuGraphExecExternalSemaphoresSignalNodeSetParams(exec, node, &none));
	end_graph(graph, exec);
}

CONFORM(nodes_that_wait)
{
	CUDA_EXT_SEM_WAIT_NODE_PARAMS none = {&no_semaphore, &wait_for_it, 0},
				      got = {.numExtSems = 7};
	CUgraphNode node, empty;
	CUgraphExec exec;
	CUgraph graph = begin_graph(&empty);

	NEEDS(cuGraphAddExternalSemaphoresWaitNode(&node, graph, &empty, 1, &none));
	OK(cuGraphExternalSemaphoresWaitNodeGetParams(node, &got));
	CHECK_EQ(got.numExtSems, 0);
	OK(cuGraphExternalSemaphoresWaitNodeSetParams(node, &none));
	GIVES(cuGraphExternalSemaphoresWaitNodeGetParams(empty, &got), CUDA_ERROR_INVALID_VALUE);
	OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	OK(cuGraphExecExternalSemaphoresWaitNodeSetParams(exec, node, &none));
	end_graph(graph, exec);
}

/* A device's own memory, shared by descriptor and imported, holds no arrays of a plain size; what
 * it says to that, it says at once. */
CONFORM(arrays_in_imported_memory)
{
	CUDA_EXTERNAL_MEMORY_MIPMAPPED_ARRAY_DESC levels = {
	    .arrayDesc = {16, 16, 0, CU_AD_FORMAT_FLOAT, 1, 0}, .numLevels = 1};
	CUmemAllocationProp properties = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
	    .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
	    .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0}};
	CUDA_EXTERNAL_MEMORY_HANDLE_DESC what = {
	    .type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD, .size = 2 << 20};
	CUmemGenericAllocationHandle allocation;
	CUexternalMemory memory;
	CUmipmappedArray mipmap;
	CUarray array;

	conform_begin();
	CHECK(refused(cuExternalMemoryGetMappedMipmappedArray(&mipmap, NULL, &levels)));
	NEEDS(cuMemCreate(&allocation, what.size, &properties, 0));
	OK(cuMemExportToShareableHandle(
	    &what.handle.fd, allocation, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
	if (cuImportExternalMemory(&memory, &what) != CUDA_SUCCESS)
		SKIP("this device imports nothing that it exports itself");
	CUresult r = cuExternalMemoryGetMappedMipmappedArray(&mipmap, memory, &levels);
	if (r == CUDA_SUCCESS) {
		OK(cuMipmappedArrayGetLevel(&array, mipmap, 0));
		OK(cuMipmappedArrayDestroy(mipmap));
	}
	OK(cuDestroyExternalMemory(memory));
	OK(cuMemRelease(allocation));
}

CONFORM(what_is_no_multicast_object_is_refused)
{
	CUdeviceptr memory;

	conform_begin();
	OK(cuMemAlloc(&memory, 2 << 20));
	CHECK(refused(cuMulticastAddDevice(0, 0)));
	CHECK(refused(cuMulticastBindMem(0, 0, 0, 0, 2 << 20, 0)));
	CHECK(refused(cuMulticastBindAddr(0, 0, memory, 2 << 20, 0)));
	CHECK(refused(cuMulticastUnbind(0, 0, 0, 2 << 20)));
	OK(cuMemFree(memory));
}
