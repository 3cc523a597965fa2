/*
 * What is generated from small.api, run: both halves of every function in one process. The exported
 * entry is called as a program would; beneath it, shim_call_*() hands the record to serve_X(),
 * which meets a backend of this file's. The handle table here is a plain array.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "gen/api_codec.h"
#include "gen/api_desc.h"
#include "gen/backend.h"
#include "gen/cuda_api.h"
#include "gen/shim_custom.h"
#include "gen/shim_proc.h"
#include "gen/shim_remote.h"
#include "gen/worker_custom.h"
#include "shim/call.h"
#include "shim/entry.h"
#include "shim/place.h"
#include "worker/call.h"

#define OBJECTS 32

unsigned halves_entered, halves_left;
bool halves_lack_context;

static struct object {
	enum handle_kind kind;
	uint64_t id, real;
} objects[OBJECTS];
static size_t n_objects;

static struct backend backend;
static struct call served; /* the last call the server saw */
static size_t n_served;
static uint64_t minted, dropped;
static unsigned begun_flags;
static bool begin_fails;
static uint8_t *payload;
static uint8_t reply[512];

#define KNOWN 0x7000

bool place_is_known(uint64_t address, size_t bytes)
{
	return address >= KNOWN && address + bytes <= KNOWN + 100;
}

/* --- the channel --- */

CUresult shim_call_begin(
    struct shim_call *call, uint32_t id, size_t size, unsigned flags, size_t reply_size)
{
	CHECK(reply_size <= sizeof(reply));
	if (begin_fails)
		return CUDA_ERROR_DEVICE_UNAVAILABLE;
	payload = malloc(size + 1);
	*call = (struct shim_call){.id = id, .flags = flags, .writer = wire_writer(payload, size)};
	begun_flags = flags;
	return CUDA_SUCCESS;
}

static const struct worker_entry *entry_of(uint32_t id)
{
	for (size_t i = 0; i < worker_n_entries; i++)
		if (worker_entries[i].id == id)
			return &worker_entries[i];
	return NULL;
}

CUresult shim_call_finish(struct shim_call *call)
{
	struct pool pool;

	CHECK(!call->writer.failed && call->writer.at == call->writer.end);
	pool_init(&pool, 1 << 20);
	served = (struct call){
	    .backend = &backend,
	    .pool = &pool,
	    .reader = wire_reader(payload, (size_t)(call->writer.at - payload)),
	    .writer = wire_writer(reply, sizeof(reply)),
	    .flags = call->flags & SHIM_PTDS ? WIRE_F_PTDS : 0,
	};
	n_served++;
	CUresult r = entry_of(call->id)->serve(&served);
	call->reader = wire_reader(reply, (size_t)(served.writer.at - reply));
	pool_fini(&pool);
	return r;
}

CUresult shim_call_end(struct shim_call *call, CUresult r)
{
	if (r == CUDA_SUCCESS)
		CHECK(!call->reader.failed && call->reader.at == call->reader.end);
	free(payload);
	return r;
}

uint64_t shim_handle_new(enum handle_kind kind)
{
	static uint32_t index;

	return minted = handle_id(false, kind, 1, ++index);
}

void shim_handle_drop(uint64_t id)
{
	dropped = id;
}

bool shim_handle_alive(uint64_t id, enum handle_kind kind)
{
	return handle_kind_of(id) == kind && id != dropped;
}

/* The program's ordinals are the worker's less ten. */
int shim_device_real(CUdevice device)
{
	return device + 10;
}

CUdevice shim_device_visible(int real)
{
	return real - 10;
}

void *shim_located_real(
    const void *structs, size_t n, size_t size, size_t at, void *room, size_t room_size)
{
	CHECK(n * size <= room_size);
	memcpy(room, structs, n * size);
	for (size_t i = 0; i < n; i++)
		((CUmemLocation *)((char *)room + i * size + at))->id += 10;
	return room;
}

void shim_located_visible(void *one, size_t at)
{
	((CUmemLocation *)((char *)one + at))->id -= 10;
}

/* --- the worker's table --- */

uint64_t call_handle(struct call *call, enum handle_kind kind, uint64_t id)
{
	for (size_t i = 0; i < n_objects; i++)
		if (objects[i].id == id && objects[i].kind == kind)
			return objects[i].real;
	if (id)
		call->error = CUDA_ERROR_INVALID_HANDLE;
	return 0;
}

CUstream call_stream(struct call *call, uint64_t id)
{
	return (CUstream)(id <= 2 ? id : call_handle(call, HANDLE_STREAM, id));
}

CUresult call_adopt(struct call *call, enum handle_kind kind, uint64_t id, uint64_t real)
{
	if (handle_kind_of(id) != kind || n_objects == OBJECTS)
		return CUDA_ERROR_INVALID_HANDLE;
	objects[n_objects++] = (struct object){kind, id, real};
	return CUDA_SUCCESS;
}

uint64_t call_id_of(struct call *call, enum handle_kind kind, uint64_t real)
{
	for (size_t i = 0; i < n_objects; i++)
		if (objects[i].real == real && objects[i].kind == kind)
			return objects[i].id;
	return 0;
}

void call_forget(struct call *call, enum handle_kind kind, uint64_t id)
{
	for (size_t i = 0; i < n_objects; i++)
		if (objects[i].id == id && objects[i].kind == kind)
			objects[i].id = 0;
}

static uint64_t enter(enum handle_kind kind, uint32_t index, uint64_t real)
{
	uint64_t id = handle_id(true, kind, 1, index);

	CHECK_EQ(call_adopt(&served, kind, id, real), CUDA_SUCCESS);
	return id;
}

/* --- halves written by hand --- */

static size_t copied;
static CUstream hosted;

CUresult shim_nosup(enum api_fn fn)
{
	CHECK(api_desc[fn].class == API_NOSUP);
	return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult shim_cuCtxGetCurrent(CUcontext *context)
{
	*context = (CUcontext)77;
	return CUDA_SUCCESS;
}

CUresult shim_cuLaunchHostFunc(CUstream stream, CUhostFn function, void *data)
{
	return remote_cuLaunchHostFunc(stream, 4711);
}

CUresult worker_cuLaunchHostFunc(struct call *call, struct args_cuLaunchHostFunc *a)
{
	CHECK_EQ(a->cookie, 4711);
	hosted = a->stream;
	return CUDA_SUCCESS;
}

CUresult worker_cuMemcpyHtoD_v2(struct call *call, struct args_cuMemcpyHtoD_v2 *a)
{
	copied = a->n;
	return CUDA_SUCCESS;
}

CUresult worker_rosenPing(struct call *call, struct args_rosenPing *a)
{
	return CUDA_SUCCESS;
}

/* --- the backend --- */

static CUresult event_result;
static CUevent destroyed;
static CUstream copy_stream;
static CUgraphNode removed[2];

static CUresult event_create(CUevent *event, unsigned flags)
{
	CHECK(!*event);
	*event = (CUevent)0x1234;
	return event_result;
}

static CUresult event_destroy(CUevent event)
{
	destroyed = event;
	return event_result;
}

static CUresult mem_alloc(CUdeviceptr *address, size_t bytes)
{
	*address = 0x200000000000 + bytes;
	return CUDA_SUCCESS;
}

static CUresult memcpy_async(CUdeviceptr to, const void *from, size_t n, CUstream stream)
{
	CHECK(n == 5 && !memcmp(from, "hello", 5));
	copy_stream = stream;
	return CUDA_SUCCESS;
}

/* Has three nodes, says so even when it writes fewer. */
static CUresult graph_get_nodes(CUgraph graph, CUgraphNode *nodes, size_t *n)
{
	CHECK_EQ((uint64_t)graph, 0x9000);
	for (size_t i = 0; nodes && i < 3 && i < *n; i++)
		nodes[i] = (CUgraphNode)(0x9100 + i);
	*n = 3;
	return CUDA_SUCCESS;
}

static CUresult graph_remove_nodes(CUgraph graph, const CUgraphNode *nodes, size_t n)
{
	CHECK_EQ(n, 2);
	memcpy(removed, nodes, sizeof(removed));
	return CUDA_SUCCESS;
}

static CUresult ctx_set_current(CUcontext context)
{
	return (uint64_t)context == 1 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

static CUresult stream_get_device(CUstream stream, CUdevice *device)
{
	*device = 12;
	return CUDA_SUCCESS;
}

static CUresult mem_set_access(CUdeviceptr address, const CUmemAccessDesc *access, size_t n)
{
	CHECK_EQ(n, 2);
	CHECK_EQ(access[0].location.id, 11);
	CHECK_EQ(access[1].location.id, 13);
	CHECK_EQ(access[1].flags, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
	return CUDA_SUCCESS;
}

static CUresult mem_get_location(CUmemLocation *location, CUdeviceptr address)
{
	*location = (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, 14};
	return CUDA_SUCCESS;
}

static void start(void)
{
	CHECK(backend_load(&backend, dlopen("libc.so.6", RTLD_LAZY)) > 0);
	backend.cuEventCreate = event_create;
	backend.cuEventDestroy_v2 = event_destroy;
	backend.cuMemAlloc_v2 = mem_alloc;
	backend.cuMemcpyHtoDAsync_v2 = memcpy_async;
	backend.cuGraphGetNodes = graph_get_nodes;
	backend.cuGraphRemoveNodes = graph_remove_nodes;
	backend.cuCtxSetCurrent = ctx_set_current;
	backend.cuStreamGetDevice = stream_get_device;
	backend.cuMemSetAccess = mem_set_access;
	backend.cuMemGetLocation = mem_get_location;
}

TEST(created_objects_are_entered_and_leave)
{
	CUevent event = NULL;

	start();
	CHECK_EQ(cuEventCreate(&event, 0), CUDA_SUCCESS);
	CHECK_EQ((uint64_t)event, minted);
	CHECK_EQ(objects[0].id, minted);
	CHECK_EQ(objects[0].real, 0x1234);
	CHECK_EQ(begun_flags, SHIM_POST);

	event_result = CUDA_ERROR_LAUNCH_FAILED;
	CHECK_EQ(cuEventDestroy_v2(event), CUDA_ERROR_LAUNCH_FAILED);
	CHECK_EQ(dropped, 0);
	CHECK_EQ(objects[0].id, minted);
	event_result = CUDA_SUCCESS;
	CHECK_EQ(cuEventDestroy_v2(event), CUDA_SUCCESS);
	CHECK_EQ((uint64_t)destroyed, 0x1234);
	CHECK_EQ(dropped, minted);

	/* Posted calls do not carry handles that are known to be dead. */
	n_served = 0;
	CHECK_EQ(cuEventDestroy_v2(event), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(n_served, 0);
}

TEST(failed_creation_leaves_nothing)
{
	CUevent event = (CUevent)5;

	start();
	event_result = CUDA_ERROR_OUT_OF_MEMORY;
	CHECK_EQ(cuEventCreate(&event, 0), CUDA_ERROR_OUT_OF_MEMORY);
	CHECK_EQ((uint64_t)event, 5);
	CHECK_EQ(dropped, minted);
	CHECK_EQ(n_objects, 0);
	begin_fails = true;
	CHECK_EQ(cuEventCreate(&event, 0), CUDA_ERROR_DEVICE_UNAVAILABLE);
	CHECK_EQ((uint64_t)event, 5);
	CHECK_EQ(dropped, minted);
	CHECK_EQ(n_served, 1);
}

static CUresult fill(CUdeviceptr to, unsigned value, size_t n, CUstream stream)
{
	return CUDA_SUCCESS;
}

TEST(what_may_be_wrong_is_waited_for)
{
	backend.cuMemsetD16Async = fill;
	CHECK_EQ(remote_cuMemsetD16Async(KNOWN, 1, 50, NULL), CUDA_SUCCESS);
	CHECK_EQ(begun_flags, SHIM_POST);
	CHECK_EQ(remote_cuMemsetD16Async(KNOWN, 1, 51, NULL), CUDA_SUCCESS);
	CHECK_EQ(begun_flags, SHIM_WAIT);
	CHECK_EQ(remote_cuMemsetD16Async(0, 1, 1, NULL), CUDA_SUCCESS);
	CHECK_EQ(begun_flags, SHIM_WAIT);
}

TEST(outputs_come_back)
{
	CUdeviceptr address = 0;

	start();
	CHECK_EQ(cuMemAlloc_v2(&address, 4096), CUDA_SUCCESS);
	CHECK_EQ(address, 0x200000001000);
	CHECK_EQ(begun_flags, SHIM_WAIT);
}

TEST(null_pointers_do_not_reach_the_server)
{
	start();
	CHECK_EQ(cuMemAlloc_v2(NULL, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuEventCreate(NULL, 0), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(cuMemcpyHtoD_v2(0, NULL, 1), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(n_served, 0);
	CHECK_EQ(cuMemcpyHtoD_v2(0, NULL, 0), CUDA_SUCCESS);
	CHECK_EQ(n_served, 1);
	CHECK_EQ(halves_entered, 4);
	CHECK_EQ(halves_left, 4);
}

TEST(twins_mean_the_threads_stream)
{
	start();
	CHECK_EQ(cuMemcpyHtoDAsync_v2(1, "hello", 5, NULL), CUDA_SUCCESS);
	CHECK_EQ((uint64_t)copy_stream, 0);
	CHECK_EQ(cuMemcpyHtoDAsync_v2_ptsz(1, "hello", 5, NULL), CUDA_SUCCESS);
	CHECK_EQ((uint64_t)copy_stream, 2);
	CHECK_EQ(cuMemcpyHtoDAsync_v2_ptsz(1, "hello", 5, (CUstream)1), CUDA_SUCCESS);
	CHECK_EQ((uint64_t)copy_stream, 1);
	CHECK_EQ(cuMemcpyHtoD_v2(1, "hello", 5), CUDA_SUCCESS);
	CHECK_EQ(served.flags, 0);
	CHECK_EQ(cuMemcpyHtoD_v2_ptds(1, "hello", 5), CUDA_SUCCESS);
	CHECK_EQ(served.flags, WIRE_F_PTDS);
	CHECK_EQ(copied, 5);
}

TEST(handles_are_translated_both_ways)
{
	CUgraphNode nodes[4] = {NULL, NULL, NULL, (CUgraphNode)9};
	uint64_t ids[3];
	size_t n = 2;

	start();
	CUgraph graph = (CUgraph)enter(HANDLE_GRAPH, 1, 0x9000);
	for (uint32_t i = 0; i < 3; i++)
		ids[i] = enter(HANDLE_GRAPHNODE, 10 + i, 0x9100 + i);

	/* Room for two of three: two are written, the count says three. */
	CHECK_EQ(cuGraphGetNodes(graph, nodes, &n), CUDA_SUCCESS);
	CHECK_EQ(n, 3);
	CHECK_EQ((uint64_t)nodes[0], ids[0]);
	CHECK_EQ((uint64_t)nodes[1], ids[1]);
	CHECK(!nodes[2]);
	n = 4;
	CHECK_EQ(cuGraphGetNodes(graph, nodes, &n), CUDA_SUCCESS);
	CHECK_EQ(n, 3);
	CHECK_EQ((uint64_t)nodes[2], ids[2]);
	CHECK_EQ((uint64_t)nodes[3], 9);
	n = 99;
	CHECK_EQ(cuGraphGetNodes(graph, NULL, &n), CUDA_SUCCESS);
	CHECK_EQ(n, 3);

	CHECK_EQ(cuGraphRemoveNodes(graph, nodes + 1, 2), CUDA_SUCCESS);
	CHECK_EQ((uint64_t)removed[0], 0x9101);
	CHECK_EQ((uint64_t)removed[1], 0x9102);
	CHECK_EQ((uint64_t)nodes[1], ids[1]);
}

TEST(wrong_handles_do_not_reach_the_backend)
{
	size_t n = 0;

	start();
	CUgraph graph = (CUgraph)enter(HANDLE_GRAPH, 1, 0x9000);
	CHECK_EQ(cuGraphGetNodes((CUgraph)0xdead, NULL, &n), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(cuEventDestroy_v2((CUevent)graph), CUDA_ERROR_INVALID_HANDLE);
	CUgraphNode nodes[2] = {NULL, (CUgraphNode)graph};
	CHECK_EQ(cuGraphRemoveNodes(graph, nodes, 2), CUDA_ERROR_INVALID_HANDLE);
	CHECK(!destroyed && !removed[0] && !removed[1]);
	/* A value that passes is no id. */
	CHECK_EQ(cuCtxSetCurrent((CUcontext)1), CUDA_SUCCESS);
	CHECK_EQ(cuCtxSetCurrent((CUcontext)3), CUDA_ERROR_INVALID_HANDLE);
}

TEST(halves_by_hand_are_called)
{
	CUcontext context = NULL;

	start();
	CHECK_EQ(cuCtxGetCurrent(&context), CUDA_SUCCESS);
	CHECK_EQ((uint64_t)context, 77);
	CHECK_EQ(n_served, 0);
	CHECK_EQ(cuLaunchHostFunc((CUstream)2, NULL, NULL), CUDA_SUCCESS);
	CHECK_EQ((uint64_t)hosted, 2);
	CHECK_EQ(remote_rosenPing(), CUDA_SUCCESS);
	CHECK_EQ(cuGraphicsGLRegisterBuffer(NULL, 0, 0), CUDA_ERROR_NOT_SUPPORTED);
}

TEST(malformed_records_end_the_session)
{
	uint64_t words[4] = {0};
	struct pool pool;

	pool_init(&pool, 4096);
	for (size_t i = 0; i < worker_n_entries; i++) {
		struct call call = {.pool = &pool, .reader = wire_reader(words, sizeof(words) - 1)};
		CHECK_EQ(worker_entries[i].serve(&call), CALL_MALFORMED);
	}
	pool_fini(&pool);
}

/* More than the pool gives, or than there can be: refused before anything is taken. */
TEST(impossible_lengths_are_refused)
{
	struct args_cuGraphGetNodes a = {
	    .nodes = (CUgraphNode *)&a, .n = &(size_t){SIZE_MAX / 8 + 2}};
	uint64_t words[3] = {1, 1, SIZE_MAX / 8 + 2};
	struct wire_reader r = wire_reader(words, sizeof(words));
	struct pool pool;

	CHECK_EQ(wire_reply_size_cuGraphGetNodes(&a), SIZE_MAX);
	pool_init(&pool, 1 << 20);
	CHECK(!wire_decode_cuGraphGetNodes(&r, &pool, &a));
	pool_fini(&pool);

	struct args_cuMemcpyHtoD_v2 copy = {.n = SIZE_MAX};
	CHECK_EQ(wire_size_cuMemcpyHtoD_v2(&copy), SIZE_MAX);
}

/* A worker gone mad cannot write more than the caller has room for. */
TEST(replies_are_bounded)
{
	CUgraphNode nodes[3] = {NULL, NULL, (CUgraphNode)9};
	size_t n = 2;
	struct args_cuGraphGetNodes a = {.nodes = nodes, .n = &n};
	uint64_t words[] = {24, 1, 2, 3, 3};
	struct wire_reader r = wire_reader(words, sizeof(words));

	wire_decode_reply_cuGraphGetNodes(&r, &a);
	CHECK(r.failed);
	CHECK_EQ((uint64_t)nodes[2], 9);
}

TEST(descriptions_are_found)
{
	const struct api_desc *desc = api_desc_by_id(API_cuMemcpyHtoD_v2);

	CHECK(desc == &api_desc[FN_cuMemcpyHtoD_v2]);
	CHECK(
	    desc->class == API_SYNC && desc->flags & API_F_BLOCKS && !(desc->flags & API_F_ALIAS));
	CHECK_STR(api_desc[FN_cuMemcpyHtoD_v2_ptds].base, "cuMemcpyHtoD_v2");
	CHECK_EQ(api_desc[FN_cuMemcpyHtoD_v2_ptds].id, API_cuMemcpyHtoD_v2);
	CHECK_STR(api_desc[FN_cuMemAlloc_v2].charge, "mem, bytes");
	CHECK(!api_desc_by_id(0x0100 + 10) && !api_desc_by_id(0));
	CHECK(entry_of(API_cuMemcpyHtoD_v2)->blocks && !entry_of(API_cuInit)->blocks);
}

TEST(missing_functions_say_so)
{
	struct backend empty;
	size_t n = 0;

	CHECK_EQ(
	    backend_load(&empty, dlopen("libc.so.6", RTLD_LAZY)), sizeof(empty) / sizeof(void *));
	CHECK_EQ(empty.cuInit(0), CUDA_ERROR_NOT_SUPPORTED);
	CHECK_EQ(empty.cuGraphGetNodes(NULL, NULL, &n), CUDA_ERROR_NOT_SUPPORTED);
}

TEST(ordinals_are_the_programs_here_and_the_workers_there)
{
	const CUmemAccessDesc access[] = {
	    {{CU_MEM_LOCATION_TYPE_DEVICE, 1}, CU_MEM_ACCESS_FLAGS_PROT_READ},
	    {{CU_MEM_LOCATION_TYPE_DEVICE, 3}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE},
	};
	CUmemLocation location;
	CUdevice device;

	start();
	CHECK_EQ(cuStreamGetDevice(NULL, &device), CUDA_SUCCESS);
	CHECK_EQ(device, 2);
	CHECK_EQ(cuMemSetAccess(0x1000, access, 2), CUDA_SUCCESS);
	CHECK_EQ(access[0].location.id, 1);
	CHECK_EQ(cuMemGetLocation(&location, 0x1000), CUDA_SUCCESS);
	CHECK_EQ(location.id, 4);
}
