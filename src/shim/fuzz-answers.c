/*
 * Fuzz target: the answers of a worker that was taken over. The input's first byte chooses what the
 * program does; the rest is what its calls are answered, one after the other, by a worker at the
 * other end of a channel inside this process:
 *
 *	u8  status	0: an error, which the next two bytes are; otherwise success
 *	u16 length	of the outputs that follow, wherever they belong
 *
 * When the input is used up every call fails. The program reads all that it was given, so that the
 * address sanitizer sees an output that was never written or leads out of its memory.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/test.h"
#include "chan/test-chan.h"
#include "gen/api_codec.h"
#include "gen/api_ids.h"
#include "gen/cuda_api.h"
#include "shim/call.h"
#include "shim/device.h"
#include "shim/nvml/bridge.h"
#include "shim/object.h"
#include "shim/range.h"
#include "shim/session.h"
#include "shim/thread.h"

#define LANES	     4
#define PIECES_MAX   64
#define RUN_OUT	     CUDA_ERROR_UNKNOWN
#define DEVICE_BASE  WIRE_DEVICE_WINDOW_BASE
#define DEVICE_BYTES 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__asan_default_options(void);

/* What the program gets for its objects lives as long as the process, here and there. */
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* What CHECK() of the channel's tests calls: the test runner is not linked. */
void test_fail(const char *file, int line, const char *format, ...)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, format);
	abort();
}

/* --- the worker --- */

/* Written by the program between its calls, read by the worker while the program waits. */
static struct {
	const uint8_t *at;
	size_t left;
} answers;

static const uint8_t *draw(size_t size)
{
	const uint8_t *bytes = answers.at;

	answers.at += size;
	answers.left -= size;
	return bytes;
}

static uint32_t draw_status(void)
{
	uint16_t error;

	if (*draw(1))
		return CUDA_SUCCESS;
	if (answers.left < sizeof(error))
		return RUN_OUT;
	memcpy(&error, draw(sizeof(error)), sizeof(error));
	return error;
}

static size_t draw_length(void)
{
	uint16_t length;

	if (answers.left < sizeof(length))
		return 0;
	memcpy(&length, draw(sizeof(length)), sizeof(length));
	return MIN(length, answers.left);
}

/* Where the outputs go, in a lane or in a run of the staging area. */
static void put_outputs(
    struct chan *chan, struct wire_writer *lane, const struct wire_bulk *run, size_t length)
{
	if (!run) {
		length = MIN(length, (size_t)(lane->end - lane->at));
		wire_put_raw(lane, draw(length), length);
		return;
	}
	uint8_t *memory = chan_staging_memory(chan, run);
	if (!memory)
		abort();
	length = MIN(length, run->size);
	memcpy(memory, draw(length), length);
}

static void answer(struct chan *chan, const struct wire_record *record, const struct wire_bulk *run)
{
	struct wire_writer lane = chan_reply_begin(chan, record->lane);
	uint32_t status = RUN_OUT;

	if (answers.left) {
		status = draw_status();
		put_outputs(chan, &lane, run, draw_length());
	}
	chan_reply_commit(chan, record->lane, record->seq, status, &lane);
}

static void *serve(void *chan)
{
	static _Alignas(16) uint8_t buffer[WIRE_RECORD_MAX];
	const struct wire_record *record = (void *)buffer;
	int r;

	while ((r = chan_next(chan, buffer)) == 0) {
		struct wire_reader reader = wire_reader(record + 1, record->size - sizeof(*record));
		struct wire_bulk run = {0};
		if (record->id == WIRE_ID_ATTACH || record->flags & WIRE_F_BULK_REPLY) {
			run.offset = wire_get_u64(&reader);
			run.size = wire_get_u64(&reader);
		}
		if (record->id == WIRE_ID_ATTACH)
			chan_staging_release(chan, &run);
		else if (record->flags & WIRE_F_REPLY)
			answer(chan, record, record->flags & WIRE_F_BULK_REPLY ? &run : NULL);
	}
	return (void *)(intptr_t)r;
}

/* --- the program --- */

static volatile uint64_t sink;

static void touch(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; at && i < size; i++)
		sink += at[i];
}

#define TOUCH(value) touch(&(value), sizeof(value))

static void touch_text(const char *text)
{
	touch(text, text ? strlen(text) + 1 : 0);
}

static void ask_devices(void)
{
	static const CUuuid id = {NVML_BRIDGE_ID};
	const void *table;
	CUdevprop properties;
	CUuuid uuid;
	char text[64];
	int value, count = 0;
	size_t total;

	device_fetch_snapshot();
	cuDeviceGetCount(&count);
	for (int i = 0; i < count; i++) {
		if (cuDeviceGetName(text, sizeof(text), i) == CUDA_SUCCESS)
			touch_text(text);
		if (cuDeviceGetPCIBusId(text, sizeof(text), i) == CUDA_SUCCESS)
			touch_text(text);
		cuDeviceGetUuid_v2(&uuid, i);
		cuDeviceTotalMem_v2(&total, i);
		cuDeviceGetProperties(&properties, i);
		cuDeviceCanAccessPeer(&value, i, 0);
	}
	if (!nvml_bridge_table(&table, &id))
		abort();
	const struct nvml_bridge *bridge = table;
	struct device_status status;
	struct device_links links;
	struct device_question question = {0};
	struct device_answer reply;
	if (bridge->status(0, &status) == CUDA_SUCCESS)
		TOUCH(status);
	if (bridge->links(0, &links) == CUDA_SUCCESS)
		for (uint32_t i = 0; i < links.n; i++)
			TOUCH(links.link[i]);
	if (bridge->ask(0, &question, &reply) == CUDA_SUCCESS)
		TOUCH(reply);
}

static void launch(void)
{
	static uint8_t parameters[16][4096];
	void *values[ARRAY_SIZE(parameters)];
	size_t offset, bytes;
	CUmodule module;
	CUfunction function;
	const char *name;
	int value;

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		values[i] = parameters[i];
	if (cuModuleLoadDataEx(&module, ".version 7.0\n", 0, NULL, NULL) != CUDA_SUCCESS)
		return;
	if (cuModuleGetFunction(&function, module, "f") == CUDA_SUCCESS) {
		for (size_t i = 0; i < ARRAY_SIZE(values); i++)
			if (cuFuncGetParamInfo(function, i, &offset, &bytes) != CUDA_SUCCESS ||
			    bytes > sizeof(parameters[0]))
				values[i] = NULL;
		if (values[0])
			cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, NULL, values, NULL);
		if (cuFuncGetName(&name, function) == CUDA_SUCCESS)
			touch_text(name);
		cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, function);
		cuOccupancyMaxPotentialBlockSize(&value, &value, function, NULL, 0, 0);
	}
	cuModuleUnload(module);
}

static void list_library(void)
{
	CUkernel kernels[PIECES_MAX];
	CUlibrary library;
	unsigned count = 0;
	const char *name;

	if (cuLibraryLoadData(&library, ".version 7.0\n", NULL, NULL, 0, NULL, NULL, 0))
		return;
	cuLibraryGetKernelCount(&count, library);
	count = MIN(count, PIECES_MAX);
	if (cuLibraryEnumerateKernels(kernels, count, library) == CUDA_SUCCESS)
		for (unsigned i = 0; i < count; i++)
			if (cuKernelGetName(&name, kernels[i]) == CUDA_SUCCESS)
				touch_text(name);
	cuLibraryUnload(library);
}

static void read_node(CUgraphNode node)
{
	CUDA_KERNEL_NODE_PARAMS kernel;
	CUDA_BATCH_MEM_OP_NODE_PARAMS batch;
	CUDA_MEMCPY3D copy;
	CUDA_HOST_NODE_PARAMS host;
	CUgraphNodeType type;

	cuGraphNodeGetType(node, &type);
	if (cuGraphKernelNodeGetParams_v2(node, &kernel) == CUDA_SUCCESS && kernel.kernelParams)
		touch(kernel.kernelParams, sizeof(void *));
	if (cuGraphBatchMemOpNodeGetParams(node, &batch) == CUDA_SUCCESS)
		touch(batch.paramArray, batch.count * sizeof(*batch.paramArray));
	cuGraphMemcpyNodeGetParams(node, &copy);
	cuGraphHostNodeGetParams(node, &host);
}

static void read_graph(void)
{
	CUgraphNode nodes[PIECES_MAX], to[PIECES_MAX];
	CUgraphEdgeData edges[PIECES_MAX];
	size_t count = PIECES_MAX;
	CUgraph graph;

	if (cuGraphCreate(&graph, 0) != CUDA_SUCCESS)
		return;
	if (cuGraphGetEdges_v2(graph, nodes, to, edges, &count) == CUDA_SUCCESS)
		touch(edges, MIN(count, PIECES_MAX) * sizeof(edges[0]));
	count = PIECES_MAX;
	if (cuGraphGetNodes(graph, nodes, &count) == CUDA_SUCCESS && count)
		read_node(nodes[0]);
	cuGraphDestroy(graph);
}

static void read_capture(void)
{
	CUstreamCaptureStatus status;
	const CUgraphNode *nodes = NULL;
	const CUgraphEdgeData *edges = NULL;
	CUgraph graph;
	CUstream stream;
	uint64_t id;
	size_t count = 0;

	if (cuStreamCreate(&stream, 0) != CUDA_SUCCESS)
		return;
	if (cuStreamGetCaptureInfo_v3(stream, &status, &id, &graph, &nodes, &edges, &count) ==
		CUDA_SUCCESS &&
	    status == CU_STREAM_CAPTURE_STATUS_ACTIVE) {
		touch(nodes, nodes ? count * sizeof(*nodes) : 0);
		touch(edges, edges ? count * sizeof(*edges) : 0);
	}
	cuStreamSynchronize(stream);
	cuStreamDestroy_v2(stream);
}

static void use_memory(void)
{
	CUdeviceptr address = 0, base;
	CUmemoryPool pool;
	uint8_t small[300];
	static uint8_t large[200000];
	uint64_t value;
	size_t bytes, total;

	cuMemGetInfo_v2(&bytes, &total);
	if (cuMemcpyDtoH_v2(small, DEVICE_BASE, sizeof(small)) == CUDA_SUCCESS)
		TOUCH(small);
	if (cuMemcpyDtoH_v2(large, DEVICE_BASE, 60000) == CUDA_SUCCESS)
		touch(large, 60000);
	if (cuMemAlloc_v2(&address, 100) == CUDA_SUCCESS) {
		cuMemGetAddressRange_v2(&base, &bytes, address);
		cuPointerGetAttribute(&value, CU_POINTER_ATTRIBUTE_BUFFER_ID, address);
		cuMemFree_v2(address);
	}
	if (cuDeviceGetMemPool(&pool, 0) == CUDA_SUCCESS)
		cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &value);
}

static void link_code(void)
{
	char log[64] = "";
	CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
	void *values[] = {log, (void *)sizeof(log)};
	CUlinkState state;
	void *image;
	size_t bytes;

	if (cuLinkCreate_v2(2, options, values, &state) != CUDA_SUCCESS)
		return;
	cuLinkAddData_v2(state, CU_JIT_INPUT_PTX, (void *)".version 7.0", 13, "x", 0, NULL, NULL);
	if (cuLinkComplete(state, &image, &bytes) == CUDA_SUCCESS)
		touch(image, bytes);
	cuLinkDestroy(state);
	if (!memchr(log, 0, sizeof(log)))
		abort();
}

static void share(void)
{
	CUipcMemHandle handle;
	CUipcEventHandle event_handle;
	CUdeviceptr address;
	CUevent event;

	if (cuIpcGetMemHandle(&handle, DEVICE_BASE) == CUDA_SUCCESS &&
	    cuIpcOpenMemHandle_v2(&address, handle, 0) == CUDA_SUCCESS)
		cuIpcCloseMemHandle(address);
	if (cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) != CUDA_SUCCESS)
		return;
	cuIpcGetEventHandle(&event_handle, event);
	cuEventDestroy_v2(event);
}

static void (*const deeds[])(void) = {
    ask_devices, launch, list_library, read_graph, read_capture, use_memory, link_code, share};

static void begin(void)
{
	static const struct chan_geometry geometry = {
	    .ring_size = 1 << 17, .staging_size = 4u << 20, .lanes = LANES};
	static struct pair pair;
	struct range range = {.start = DEVICE_BASE,
	    .size = DEVICE_BYTES,
	    .context = (CUcontext)handle_primary_context(0)};

	log_set_level(LOG_ERROR);
	pair = pair_start(OVER_LOOP, &geometry, serve);
	session.chan = pair.client;
	session.state = SESSION_OPEN;
	shim_gate = SHIM_GATE_OPEN;
	if (shim_thread_init() != 0 || !range_add(&range))
		abort();
	shim_object_init();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!session.chan)
		begin();
	if (!size)
		return 0;
	shim_thread.context = (CUcontext)handle_primary_context(0);
	shim_context_ended(shim_thread.context);
	answers.at = data + 1;
	answers.left = size - 1;
	deeds[data[0] % ARRAY_SIZE(deeds)]();
	return 0;
}
