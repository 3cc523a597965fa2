/*
 * Boxes: every two- and three-dimensional copy comes as one of two records (api/rosen.api). Each
 * side is checked by the bytes it spans: a host side inside a segment, a packed side inside the
 * staging area, a device side in device memory or a segment; an array needs none, its handle was
 * checked already.
 */
#include "worker/copy_box.h"

#include "gen/worker_custom.h"
#include "worker/gpu_time.h"
#include "worker/memory.h"
#include "worker/segment.h"
#include "worker/staging.h"
#include "worker/worker.h"

#define PACKED	 0 /* a side in the staging area; CUDA's own types start at 1 */
#define PIN_FROM (64u * 1024)

struct side {
	CUmemorytype type;
	CUdeviceptr address; /* PACKED: offset in the staging area; then where that is here */
	CUarray array;
	CUcontext context;
	size_t x, y, z, level, pitch, rows;
};

struct box {
	struct side source, destination;
	size_t width, height, depth;
	CUstream stream;
};

/*
 * First byte and number of bytes the box touches on a side. False: they do not fit 64 bits. The
 * size of what a client may use is bounded far below that, so every sum is checked once, at the
 * end, in 128 bits.
 */
static bool span(const struct side *side, const struct box *box, uint64_t *first, uint64_t *bytes)
{
	unsigned __int128 row = (unsigned __int128)side->z * side->rows + side->y;
	unsigned __int128 rows = (unsigned __int128)(box->depth - 1) * side->rows + box->height - 1;

	if (row > UINT32_MAX * (uint64_t)UINT32_MAX || rows > UINT32_MAX * (uint64_t)UINT32_MAX)
		return false;
	unsigned __int128 start = row * side->pitch + side->x;
	unsigned __int128 length = rows * side->pitch + box->width;
	if (start > UINT64_MAX || length > UINT64_MAX || start + length > UINT64_MAX)
		return false;
	*first = (uint64_t)start;
	*bytes = (uint64_t)length;
	return true;
}

static CUresult settle_packed(struct call *call, struct side *side, uint64_t end)
{
	struct wire_bulk run = {side->address, end};

	side->address = (CUdeviceptr)staging_memory(call, &run, end >= PIN_FROM);
	side->type = CU_MEMORYTYPE_HOST;
	return side->address ? CUDA_SUCCESS : CALL_MALFORMED;
}

/* How much what was left zero is, before anything is checked: the backend must get what was. */
static void complete(struct side *side, const struct box *box)
{
	if (side->type != CU_MEMORYTYPE_ARRAY)
		side->pitch = side->pitch ?: side->x + box->width;
	side->rows = side->rows ?: side->y + box->height;
}

static CUresult settle(struct call *call, struct side *side, const struct box *box)
{
	uint64_t first, bytes, at;

	complete(side, box);
	if (side->type == CU_MEMORYTYPE_ARRAY)
		return side->array ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
	if (!span(side, box, &first, &bytes))
		return CUDA_ERROR_INVALID_VALUE;
	if (side->type == PACKED)
		return settle_packed(call, side, first + bytes);
	if (__builtin_add_overflow(side->address, first, &at))
		return CUDA_ERROR_INVALID_VALUE;
	if (side->type == CU_MEMORYTYPE_HOST)
		return segments_cover(call->worker->segments, at, bytes) ? CUDA_SUCCESS
									 : CUDA_ERROR_INVALID_VALUE;
	if (side->type == CU_MEMORYTYPE_DEVICE)
		return memory_is_clients(call, at, bytes) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
	return CUDA_ERROR_INVALID_VALUE;
}

/* Decides what the client's shim decides for other copies: what UNIFIED is. */
static void decide(struct call *call, struct side *side)
{
	if (side->type == CU_MEMORYTYPE_UNIFIED)
		side->type = segments_cover(call->worker->segments, side->address, 1)
				 ? CU_MEMORYTYPE_HOST
				 : CU_MEMORYTYPE_DEVICE;
}

/* Whether what was left zero does not matter: the backend is handed it as it is. */
static bool says_enough(const struct side *side, const struct box *box)
{
	bool one_slice = box->depth == 1 && !side->z;
	bool one_row = one_slice && box->height == 1 && !side->y;

	return side->type == CU_MEMORYTYPE_ARRAY ||
	       ((side->rows || one_slice) && (side->pitch || one_row));
}

CUresult copy_box_check(struct call *call, const CUDA_MEMCPY3D *c)
{
	bool from_host = c->srcMemoryType == CU_MEMORYTYPE_HOST;
	bool to_host = c->dstMemoryType == CU_MEMORYTYPE_HOST;
	struct box box = {
	    .source = {c->srcMemoryType, from_host ? (CUdeviceptr)c->srcHost : c->srcDevice,
		c->srcArray, NULL, c->srcXInBytes, c->srcY, c->srcZ, c->srcLOD, c->srcPitch,
		c->srcHeight},
	    .destination = {c->dstMemoryType, to_host ? (CUdeviceptr)c->dstHost : c->dstDevice,
		c->dstArray, NULL, c->dstXInBytes, c->dstY, c->dstZ, c->dstLOD, c->dstPitch,
		c->dstHeight},
	    .width = c->WidthInBytes,
	    .height = c->Height,
	    .depth = c->Depth,
	};

	if (!box.width || !box.height || !box.depth)
		return CUDA_SUCCESS; /* touches no memory; whether that may be, the backend says */
	if (!c->srcMemoryType || !c->dstMemoryType || !says_enough(&box.source, &box) ||
	    !says_enough(&box.destination, &box))
		return CUDA_ERROR_INVALID_VALUE;
	decide(call, &box.source);
	decide(call, &box.destination);
	return settle(call, &box.source, &box) ?: settle(call, &box.destination, &box);
}

#define FILL_SIDES(copy, box)                                                                      \
	do {                                                                                       \
		(copy).srcXInBytes = (box)->source.x;                                              \
		(copy).srcY = (box)->source.y;                                                     \
		(copy).srcZ = (box)->source.z;                                                     \
		(copy).srcLOD = (box)->source.level;                                               \
		(copy).srcMemoryType = (box)->source.type;                                         \
		(copy).srcHost = (const void *)(box)->source.address;                              \
		(copy).srcDevice = (box)->source.address;                                          \
		(copy).srcArray = (box)->source.array;                                             \
		(copy).srcPitch = (box)->source.pitch;                                             \
		(copy).srcHeight = (box)->source.rows;                                             \
		(copy).dstXInBytes = (box)->destination.x;                                         \
		(copy).dstY = (box)->destination.y;                                                \
		(copy).dstZ = (box)->destination.z;                                                \
		(copy).dstLOD = (box)->destination.level;                                          \
		(copy).dstMemoryType = (box)->destination.type;                                    \
		(copy).dstHost = (void *)(box)->destination.address;                               \
		(copy).dstDevice = (box)->destination.address;                                     \
		(copy).dstArray = (box)->destination.array;                                        \
		(copy).dstPitch = (box)->destination.pitch;                                        \
		(copy).dstHeight = (box)->destination.rows;                                        \
		(copy).WidthInBytes = (box)->width;                                                \
		(copy).Height = (box)->height;                                                     \
		(copy).Depth = (box)->depth;                                                       \
	} while (0)

static CUresult issue(struct call *call, const struct box *box)
{
	CUDA_MEMCPY3D_PEER peer = {0};
	CUDA_MEMCPY3D copy = {0};

	memory_open(call, box->source.address, box->destination.address);
	if ((!box->source.context && !box->destination.context) ||
	    memory_has_no_context(call, box->source.address, box->destination.address)) {
		FILL_SIDES(copy, box);
		return call->backend->cuMemcpy3DAsync_v2(&copy, box->stream);
	}
	FILL_SIDES(peer, box);
	peer.srcContext = box->source.context;
	peer.dstContext = box->destination.context;
	return call->backend->cuMemcpy3DPeerAsync(&peer, box->stream);
}

static CUresult copy_box(struct call *call, struct box *box)
{
	bool packed = box->source.type == PACKED || box->destination.type == PACKED;

	if (!box->width || !box->height || !box->depth)
		return CUDA_SUCCESS;
	CUresult r = settle(call, &box->source, box) ?: settle(call, &box->destination, box);
	if (r == CUDA_SUCCESS && packed && stream_is_captured(call, box->stream))
		r = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	return r ?: GPU_TIMED(call, box->stream, issue(call, box));
}

#define BOX(a)                                                                                     \
	{                                                                                          \
	    .source = {(a)->source_type, (a)->source, (a)->source_array, (a)->source_context,      \
		(a)->source_x, (a)->source_y, (a)->source_z, (a)->source_level, (a)->source_pitch, \
		(a)->source_rows},                                                                 \
	    .destination = {(a)->destination_type, (a)->destination, (a)->destination_array,       \
		(a)->destination_context, (a)->destination_x, (a)->destination_y,                  \
		(a)->destination_z, (a)->destination_level, (a)->destination_pitch,                \
		(a)->destination_rows},                                                            \
	    .width = (a)->width,                                                                   \
	    .height = (a)->height,                                                                 \
	    .depth = (a)->depth,                                                                   \
	    .stream = (a)->stream,                                                                 \
	}

/*
 * Posted: only a source can be packed, since nobody would tell when a destination is there. A run
 * is given back by its start alone, so a box that is refused gives it back too.
 */
CUresult worker_rosenCopyBox(struct call *call, struct args_rosenCopyBox *a)
{
	struct box box = BOX(a);
	struct wire_bulk handed_over = {a->source, 1};

	if (box.destination.type == PACKED)
		return CALL_MALFORMED;
	CUresult r = copy_box(call, &box);
	if (a->source_type != PACKED)
		return r;
	if (r == CUDA_SUCCESS)
		staging_release_after(call, &handed_over, a->stream);
	else
		chan_staging_release(call->worker->chan, &handed_over);
	return r;
}

CUresult worker_rosenCopyBoxWait(struct call *call, struct args_rosenCopyBoxWait *a)
{
	struct segments *segments = call->worker->segments;
	struct segments_user user;
	struct box box = BOX(a);

	segments_use(segments, &user);
	CUresult r = copy_box(call, &box);
	segments_used(segments, &user);
	return r ?: call->backend->cuStreamSynchronize(a->stream);
}
