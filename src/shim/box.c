/*
 * Rectangles and boxes, two- and three-dimensional, between any two places. All forms become one
 * struct box; what touches no ordinary memory crosses as one message. A side in ordinary memory is
 * packed into a staging run, part by part (box_part() cuts at slices, rows, and inside rows only
 * when one alone is too large): gathered before a posted record, or scattered after a waiting one.
 */
#include "shim/box.h"

#include <string.h>

#include "base/util.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/call.h"
#include "shim/capture.h"
#include "shim/graph_copy.h"
#include "shim/observe.h"
#include "shim/place.h"
#include "shim/session.h"

#define ROOM (4u << 20)

static struct box box_shifted(const struct box *box, size_t x, size_t y, size_t z)
{
	struct box part = *box;

	part.source.x += x;
	part.source.y += y;
	part.source.z += z;
	part.destination.x += x;
	part.destination.y += y;
	part.destination.z += z;
	return part;
}

bool box_part(const struct box *box, size_t room, struct box_position *position, struct box *part)
{
	if (position->z >= box->depth)
		return false;
	*part = box_shifted(box, position->x, position->y, position->z);
	size_t slice = box->width * box->height;
	if (!position->x && !position->y && slice <= room) {
		part->depth = MIN(box->depth - position->z, room / slice);
		position->z += part->depth;
		return true;
	}
	part->depth = 1;
	if (!position->x && box->width <= room) {
		part->height = MIN(box->height - position->y, room / box->width);
		position->y += part->height;
	} else {
		part->height = 1;
		part->width = MIN(box->width - position->x, room);
		position->x += part->width;
		if (position->x == box->width) {
			position->x = 0;
			position->y++;
		}
	}
	if (position->y == box->height) {
		position->y = 0;
		position->z++;
	}
	return true;
}

uint64_t box_start(const struct box_side *side)
{
	return side->address + (side->z * side->rows + side->y) * side->pitch + side->x;
}

/* Row y of slice z of a part, in this process. */
static char *row_of(const struct box_side *side, size_t y, size_t z)
{
	uint64_t address =
	    box_start(side) - side->address + side->here + (z * side->rows + y) * side->pitch;

	return (char *)(uintptr_t)address; /* NOLINT(performance-no-int-to-ptr) */
}

void box_gather(const struct box *part, char *packed)
{
	for (size_t z = 0; z < part->depth; z++)
		for (size_t y = 0; y < part->height; y++, packed += part->width)
			memcpy(packed, row_of(&part->source, y, z), part->width);
}

void box_scatter(const struct box *part, const char *packed)
{
	for (size_t z = 0; z < part->depth; z++)
		for (size_t y = 0; y < part->height; y++, packed += part->width)
			memcpy(row_of(&part->destination, y, z), packed, part->width);
}

void box_move(const struct box *box)
{
	for (size_t z = 0; z < box->depth; z++)
		for (size_t y = 0; y < box->height; y++)
			memmove(row_of(&box->destination, y, z), row_of(&box->source, y, z),
			    box->width);
}

/* Packed rows in a staging run, as a side of the message. */
static struct box_side packed_side(const struct box *part, const struct wire_bulk *run)
{
	return (struct box_side){
	    .address = run->offset, .pitch = part->width, .rows = part->height};
}

static CUresult send(const struct box_side *s, const struct box_side *d, const struct box *box,
    CUstream stream, bool wait)
{
	CUresult (*copy)(CUmemorytype, CUdeviceptr, CUarray, CUcontext, size_t, size_t, size_t,
	    size_t, size_t, size_t, CUmemorytype, CUdeviceptr, CUarray, CUcontext, size_t, size_t,
	    size_t, size_t, size_t, size_t, size_t, size_t, size_t, CUstream) =
	    wait ? remote_rosenCopyBoxWait : remote_rosenCopyBox;

	return copy(s->type, s->address, s->array, s->context, s->x, s->y, s->z, s->level, s->pitch,
	    s->rows, d->type, d->address, d->array, d->context, d->x, d->y, d->z, d->level,
	    d->pitch, d->rows, box->width, box->height, box->depth, stream);
}

static CUresult copy_part(const struct box *part, CUstream stream, bool wait)
{
	struct wire_bulk run;
	void *memory;
	size_t bytes = part->width * part->height * part->depth;

	int error = chan_staging_take(session.chan, bytes, &run, &memory);
	if (error < 0)
		return session_lost(error);
	struct box_side packed = packed_side(part, &run);
	CUresult r;
	observe_bytes(bytes);
	if (part->source.shared) {
		r = send(&part->source, &packed, part, stream, true);
		if (r == CUDA_SUCCESS)
			box_scatter(part, memory);
		chan_staging_give(session.chan, &run);
		return r;
	}
	box_gather(part, memory);
	/* Only the driver knows an array's edges: a call that waits says when they are crossed. */
	if (session.sync || capture_may_be_open() || (wait && part->destination.array)) {
		r = send(&packed, &part->destination, part, stream, true);
		chan_staging_give(session.chan, &run);
		return r;
	}
	r = send(&packed, &part->destination, part, stream, false);
	chan_staging_hand_over(session.chan, &run);
	return r;
}

static CUresult copy_box(const struct box *box, CUstream stream, bool wait)
{
	struct box_position position = {0};
	struct box part;
	CUresult r = session_usable();

	if (r != CUDA_SUCCESS || !box->width || !box->height || !box->depth)
		return r;
	if (box->source.shared && box->destination.shared)
		return send(&box->source, &box->destination, box, stream, wait);
	if (box->source.here && box->destination.here) {
		r = remote_cuStreamSynchronize(stream);
		if (r == CUDA_SUCCESS)
			box_move(box);
		return r;
	}
	size_t room = MIN(ROOM, chan_staging_largest(session.chan));
	while (r == CUDA_SUCCESS && box_part(box, room, &position, &part))
		r = copy_part(&part, stream, wait);
	return capture_explain(r);
}

/* Finds the memory of a side that is not an array. */
static void place_side(struct box_side *side, CUdeviceptr address, CUmemorytype type)
{
	struct place place = type == CU_MEMORYTYPE_HOST
				 ? place_of_host((const void *)(uintptr_t)address)
			     : type == CU_MEMORYTYPE_DEVICE ? place_of_device(address)
							    : place_find(address);

	side->shared = place.shared;
	side->address = place.shared ? place.remote : place.here;
	side->here = place.here;
	if (type == CU_MEMORYTYPE_UNIFIED)
		side->type = place.here ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
}

/* Decides what a side is. host: where it says HOST; device: where it says DEVICE or UNIFIED. */
static CUresult settle(struct box_side *side, CUmemorytype type, const void *host,
    CUdeviceptr device, CUarray array, size_t width, size_t height)
{
	side->type = type;
	side->shared = true;
	switch ((int)type) {
	case CU_MEMORYTYPE_ARRAY:
		side->array = array;
		return array ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
	case CU_MEMORYTYPE_HOST:
		place_side(side, (CUdeviceptr)(uintptr_t)host, type);
		break;
	case CU_MEMORYTYPE_DEVICE:
	case CU_MEMORYTYPE_UNIFIED:
		place_side(side, device, type);
		break;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
	/* Of one row the pitch does not matter, and programs leave it zero; likewise the rows of
	 * one slice. */
	if (!side->pitch)
		side->pitch = side->x + width;
	if (!side->rows)
		side->rows = side->y + height;
	return side->address ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult box_of_peers(const CUDA_MEMCPY3D_PEER *c, struct box *box)
{
	*box = (struct box){
	    .source = {.x = c->srcXInBytes,
		.y = c->srcY,
		.z = c->srcZ,
		.level = c->srcLOD,
		.pitch = c->srcPitch,
		.rows = c->srcHeight,
		.context = c->srcContext},
	    .destination = {.x = c->dstXInBytes,
		.y = c->dstY,
		.z = c->dstZ,
		.level = c->dstLOD,
		.pitch = c->dstPitch,
		.rows = c->dstHeight,
		.context = c->dstContext},
	    .width = c->WidthInBytes,
	    .height = c->Height,
	    .depth = c->Depth,
	};
	return settle(&box->source, c->srcMemoryType, c->srcHost, c->srcDevice, c->srcArray,
		   box->width, box->height)
		   ?: settle(&box->destination, c->dstMemoryType, c->dstHost, c->dstDevice,
			  c->dstArray, box->width, box->height);
}

/* The two structs differ in what their reserved pointers mean: contexts, in a peer copy. */
static CUDA_MEMCPY3D_PEER without_peers(const CUDA_MEMCPY3D *c)
{
	CUDA_MEMCPY3D_PEER p;

	_Static_assert(sizeof(*c) == sizeof(p), "the two differ in the meaning of two fields only");
	memcpy(&p, c, sizeof(p));
	p.srcContext = p.dstContext = NULL;
	return p;
}

CUresult box_of(const CUDA_MEMCPY3D *copy, struct box *box)
{
	CUDA_MEMCPY3D_PEER c = without_peers(copy);

	return box_of_peers(&c, box);
}

static CUresult copy_peers(const CUDA_MEMCPY3D_PEER *c, CUstream stream, bool wait)
{
	struct box box;
	CUresult r = box_of_peers(c, &box);

	return r == CUDA_SUCCESS ? copy_box(&box, stream, wait) : r;
}

static CUresult copy_3d(const CUDA_MEMCPY3D *copy, CUstream stream, bool wait)
{
	bool captured = false;
	struct box box;

	/* Of nothing, CUDA does not ask from where to where. */
	if (!copy->WidthInBytes || !copy->Height || !copy->Depth)
		return session_usable();
	CUresult r = box_of(copy, &box);

	if (r == CUDA_SUCCESS && !wait && !(box.source.shared && box.destination.shared))
		r = graph_copy_capture(copy, stream, &captured);
	return r == CUDA_SUCCESS && !captured ? copy_box(&box, stream, wait) : r;
}

static CUresult copy_2d(const CUDA_MEMCPY2D *c, CUstream stream, bool wait)
{
	CUDA_MEMCPY3D copy = {
	    .srcXInBytes = c->srcXInBytes,
	    .srcY = c->srcY,
	    .srcMemoryType = c->srcMemoryType,
	    .srcHost = c->srcHost,
	    .srcDevice = c->srcDevice,
	    .srcArray = c->srcArray,
	    .srcPitch = c->srcPitch,
	    .dstXInBytes = c->dstXInBytes,
	    .dstY = c->dstY,
	    .dstMemoryType = c->dstMemoryType,
	    .dstHost = c->dstHost,
	    .dstDevice = c->dstDevice,
	    .dstArray = c->dstArray,
	    .dstPitch = c->dstPitch,
	    .WidthInBytes = c->WidthInBytes,
	    .Height = c->Height,
	    .Depth = 1,
	};

	/* A pitch of less than a row cannot be; of one row it does not matter. */
	if (c->Height > 1 && ((c->srcMemoryType != CU_MEMORYTYPE_ARRAY && c->srcPitch &&
				  c->srcPitch < c->WidthInBytes) ||
				 (c->dstMemoryType != CU_MEMORYTYPE_ARRAY && c->dstPitch &&
				     c->dstPitch < c->WidthInBytes)))
		return CUDA_ERROR_INVALID_VALUE;
	return copy_3d(&copy, stream, wait);
}

static CUstream stream_of_flags(unsigned shim_flags)
{
	return shim_flags & SHIM_PTDS ? CU_STREAM_PER_THREAD : NULL;
}

CUresult shim_cuMemcpy2D_v2(const CUDA_MEMCPY2D *copy, unsigned shim_flags)
{
	return copy_2d(copy, stream_of_flags(shim_flags), true);
}

CUresult shim_cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D *copy, unsigned shim_flags)
{
	return copy_2d(copy, stream_of_flags(shim_flags), true);
}

CUresult shim_cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *copy, CUstream stream)
{
	return copy_2d(copy, stream, false);
}

CUresult shim_cuMemcpy3D_v2(const CUDA_MEMCPY3D *copy, unsigned shim_flags)
{
	return copy_3d(copy, stream_of_flags(shim_flags), true);
}

CUresult shim_cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *copy, CUstream stream)
{
	return copy_3d(copy, stream, false);
}

CUresult shim_cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER *copy, unsigned shim_flags)
{
	return copy_peers(copy, stream_of_flags(shim_flags), true);
}

CUresult shim_cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER *copy, CUstream stream)
{
	return copy_peers(copy, stream, false);
}

/* --- one row of an array --- */

/* Where a row begins. */
struct row_end {
	CUmemorytype type;
	CUarray array;
	size_t offset; /* in the array */
	CUdeviceptr device;
	void *host;
};

static struct row_end in_array(CUarray array, size_t offset)
{
	return (struct row_end){.type = CU_MEMORYTYPE_ARRAY, .array = array, .offset = offset};
}

static struct row_end on_device(CUdeviceptr address)
{
	return (struct row_end){.type = CU_MEMORYTYPE_DEVICE, .device = address};
}

static struct row_end in_program(const void *memory)
{
	return (struct row_end){.type = CU_MEMORYTYPE_HOST, .host = (void *)memory};
}

static CUresult copy_row(
    struct row_end to, struct row_end from, size_t bytes, CUstream stream, bool wait)
{
	CUDA_MEMCPY3D copy = {
	    .srcMemoryType = from.type,
	    .srcArray = from.array,
	    .srcXInBytes = from.offset,
	    .srcDevice = from.device,
	    .srcHost = from.host,
	    .dstMemoryType = to.type,
	    .dstArray = to.array,
	    .dstXInBytes = to.offset,
	    .dstDevice = to.device,
	    .dstHost = to.host,
	    .WidthInBytes = bytes,
	    .Height = 1,
	    .Depth = 1,
	};

	return copy_3d(&copy, stream, wait);
}

/* Between arrays and device memory CUDA does not wait. */
CUresult shim_cuMemcpyAtoA_v2(CUarray destination, size_t destination_offset, CUarray source,
    size_t source_offset, size_t bytes, unsigned shim_flags)
{
	return copy_row(in_array(destination, destination_offset), in_array(source, source_offset),
	    bytes, stream_of_flags(shim_flags), false);
}

CUresult shim_cuMemcpyAtoD_v2(
    CUdeviceptr destination, CUarray source, size_t offset, size_t bytes, unsigned shim_flags)
{
	return copy_row(on_device(destination), in_array(source, offset), bytes,
	    stream_of_flags(shim_flags), false);
}

CUresult shim_cuMemcpyDtoA_v2(
    CUarray destination, size_t offset, CUdeviceptr source, size_t bytes, unsigned shim_flags)
{
	return copy_row(in_array(destination, offset), on_device(source), bytes,
	    stream_of_flags(shim_flags), false);
}

CUresult shim_cuMemcpyHtoA_v2(
    CUarray destination, size_t offset, const void *source, size_t bytes, unsigned shim_flags)
{
	return copy_row(in_array(destination, offset), in_program(source), bytes,
	    stream_of_flags(shim_flags), true);
}

CUresult shim_cuMemcpyHtoAAsync_v2(
    CUarray destination, size_t offset, const void *source, size_t bytes, CUstream stream)
{
	return copy_row(in_array(destination, offset), in_program(source), bytes, stream, false);
}

CUresult shim_cuMemcpyAtoH_v2(
    void *destination, CUarray source, size_t offset, size_t bytes, unsigned shim_flags)
{
	return copy_row(in_program(destination), in_array(source, offset), bytes,
	    stream_of_flags(shim_flags), true);
}

CUresult shim_cuMemcpyAtoHAsync_v2(
    void *destination, CUarray source, size_t offset, size_t bytes, CUstream stream)
{
	return copy_row(in_program(destination), in_array(source, offset), bytes, stream, false);
}
