/*
 * A graph's copy reads and writes the program's memory whenever the graph runs, in its turn among
 * the other nodes. The worker does not reach ordinary memory, so a piece of pinned memory stands in
 * for it: the node becomes two, the copy between the device and the piece, and a host function that
 * moves the bytes between the piece and the program's memory, before it or after it. The worker
 * hides both in a child graph of their own and shows the program one memcpy node
 * (worker/graph_copy.c).
 *
 * The piece belongs to the function's number, and so to the graph and everything made from it.
 * Graphs made from one another share it: what runs at the same time with the same memory of the
 * program is a race without us, too.
 */
#include "shim/graph_copy.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/box.h"
#include "shim/callback.h"
#include "shim/capture.h"
#include "shim/graph_node.h"
#include "shim/hostmem.h"
#include "shim/thread.h"

struct staged {
	CUDA_MEMCPY3D original;
	struct box box;
	enum graph_copy_when when;
	uint64_t piece; /* 0: none */
	size_t bytes;
};

static _Atomic bool any;

bool graph_copy_any(void)
{
	/* Relaxed: who asks about a node knows of its making by the program's own order. */
	return atomic_load_explicit(&any, memory_order_relaxed);
}

/* On the callback thread, when the graph gets there. */
static void move(void *user)
{
	const struct staged *staged = user;
	char *piece = (char *)(uintptr_t)staged->piece; /* NOLINT(performance-no-int-to-ptr) */

	if (staged->when == GRAPH_COPY_BEFORE)
		box_gather(&staged->box, piece);
	else if (staged->when == GRAPH_COPY_AFTER)
		box_scatter(&staged->box, piece);
	else
		box_move(&staged->box);
}

/* On the callback thread, where nothing may wait for the device. */
static void end(void *user)
{
	struct staged *staged = user;

	if (staged->piece)
		hostmem_give_later(staged->piece, staged->bytes);
	free(staged);
}

/* Whether the program's memory is out of the worker's reach under this address. */
static bool is_ordinary(const struct box_side *side, CUmemorytype type, const void *host,
    CUdeviceptr device, bool stage)
{
	uint64_t address = type == CU_MEMORYTYPE_HOST ? (uint64_t)(uintptr_t)host : device;

	if (type != CU_MEMORYTYPE_HOST && type != CU_MEMORYTYPE_UNIFIED)
		return false;
	return !side->shared || (side->here && (stage || side->address != address));
}

/* The piece as a side: rows without gaps. */
static void point_source(CUDA_MEMCPY3D *copy, uint64_t piece)
{
	copy->srcMemoryType = CU_MEMORYTYPE_HOST;
	copy->srcHost = (const void *)(uintptr_t)piece; /* NOLINT(performance-no-int-to-ptr) */
	copy->srcXInBytes = copy->srcY = copy->srcZ = copy->srcLOD = 0;
	copy->srcPitch = copy->WidthInBytes;
	copy->srcHeight = copy->Height;
}

static void point_destination(CUDA_MEMCPY3D *copy, uint64_t piece)
{
	copy->dstMemoryType = CU_MEMORYTYPE_HOST;
	copy->dstHost = (void *)(uintptr_t)piece; /* NOLINT(performance-no-int-to-ptr) */
	copy->dstXInBytes = copy->dstY = copy->dstZ = copy->dstLOD = 0;
	copy->dstPitch = copy->WidthInBytes;
	copy->dstHeight = copy->Height;
}

static CUresult take_piece(struct staged *staged)
{
	const struct box *box = &staged->box;
	size_t slice;

	if (__builtin_mul_overflow(box->width, box->height, &slice) ||
	    __builtin_mul_overflow(slice, box->depth, &staged->bytes))
		return CUDA_ERROR_INVALID_VALUE;
	return staged->when == GRAPH_COPY_ALONE ? CUDA_SUCCESS
						: hostmem_take(staged->bytes, &staged->piece);
}

/* Makes what the worker will ask for. */
static CUresult stage_copy(
    CUDA_MEMCPY3D *copy, const struct box *box, enum graph_copy_when when, struct graph_copy *out)
{
	struct staged *staged = malloc(sizeof(*staged));

	if (!staged)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*staged = (struct staged){.original = *copy, .box = *box, .when = when};
	atomic_store_explicit(&any, true, memory_order_relaxed);
	CUresult r = take_piece(staged);
	if (r == CUDA_SUCCESS)
		r = callback_new_owned(move, staged, end, &out->number);
	if (r != CUDA_SUCCESS) {
		end(staged);
		return r;
	}
	out->when = when;
	if (when == GRAPH_COPY_BEFORE)
		point_source(copy, staged->piece);
	else if (when == GRAPH_COPY_AFTER)
		point_destination(copy, staged->piece);
	return CUDA_SUCCESS;
}

CUresult graph_copy_pack(CUDA_MEMCPY3D *copy, bool stage, struct graph_copy *out)
{
	struct box box;
	CUresult r = box_of(copy, &box);

	*out = (struct graph_copy){0};
	if (r != CUDA_SUCCESS || !box.width || !box.height || !box.depth)
		return r;
	bool from =
	    is_ordinary(&box.source, copy->srcMemoryType, copy->srcHost, copy->srcDevice, stage);
	bool to = is_ordinary(
	    &box.destination, copy->dstMemoryType, copy->dstHost, copy->dstDevice, stage);
	if (!from && !to)
		return CUDA_SUCCESS;
	return stage_copy(copy, &box,
	    box.source.here && box.destination.here ? GRAPH_COPY_ALONE
	    : from				    ? GRAPH_COPY_BEFORE
						    : GRAPH_COPY_AFTER,
	    out);
}

bool graph_copy_original(uint64_t number, CUDA_MEMCPY3D *copy)
{
	CUhostFn function;
	void *user;

	if (!number || !callback_find(number, &function, &user) || function != move)
		return false;
	*copy = ((const struct staged *)user)->original;
	return true;
}

/* --- captured copies --- */

static bool is_plain(const CUgraphEdgeData *edges, size_t count)
{
	static const CUgraphEdgeData plain;

	for (size_t i = 0; i < count; i++)
		if (memcmp(&edges[i], &plain, sizeof(plain)))
			return false;
	return true;
}

CUresult graph_copy_capture(const CUDA_MEMCPY3D *copy, CUstream stream, bool *captured)
{
	CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
	CUgraphNodeParams parameters = {.type = CU_GRAPH_NODE_TYPE_MEMCPY,
	    .memcpy = {.copyCtx = shim_thread.context, .copyParams = *copy}};
	const CUgraphNode *nodes;
	const CUgraphEdgeData *edges;
	CUgraph graph;
	CUgraphNode node;
	size_t count;

	*captured = false;
	if (!capture_may_be_open())
		return CUDA_SUCCESS;
	CUresult r =
	    shim_cuStreamGetCaptureInfo_v3(stream, &status, NULL, &graph, &nodes, &edges, &count);
	if (r != CUDA_SUCCESS || status != CU_STREAM_CAPTURE_STATUS_ACTIVE)
		return r;
	*captured = true;
	struct graph_place place = {graph, nodes, is_plain(edges, count) ? NULL : edges, count};
	r = graph_node_add(&node, &place, &parameters);
	if (r != CUDA_SUCCESS)
		return r;
	return remote_cuStreamUpdateCaptureDependencies(
	    stream, &node, 1, CU_STREAM_SET_CAPTURE_DEPENDENCIES);
}

CUresult graph_copy_capture_bytes(CUmemorytype destination_type, CUdeviceptr destination,
    CUmemorytype source_type, CUdeviceptr source, size_t bytes, CUstream stream, bool *captured)
{
	CUDA_MEMCPY3D copy = {
	    .srcMemoryType = source_type,
	    .srcHost = (const void *)(uintptr_t)source, /* NOLINT(performance-no-int-to-ptr) */
	    .srcDevice = source,
	    .srcPitch = bytes,
	    .srcHeight = 1,
	    .dstMemoryType = destination_type,
	    .dstHost = (void *)(uintptr_t)destination, /* NOLINT(performance-no-int-to-ptr) */
	    .dstDevice = destination,
	    .dstPitch = bytes,
	    .dstHeight = 1,
	    .WidthInBytes = bytes,
	    .Height = 1,
	    .Depth = 1,
	};

	return graph_copy_capture(&copy, stream, captured);
}
