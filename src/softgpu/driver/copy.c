/*
 * One routine copies all: bytes, rectangles, boxes, between any two kinds of memory, because device
 * memory is ordinary memory of this process. What the kinds decide is which addresses are valid
 * (a device address must lie wholly inside one allocation) and when an asynchronous call returns:
 * pageable memory may change right after the call, so small sources are copied aside first and
 * everything else is waited for.
 */
#include "softgpu/driver/copy.h"

#include <stdlib.h>
#include <string.h>

#include "softgpu/driver/graph.h"
#include "softgpu/driver/memory.h"
#include "softgpu/driver/stream.h"
#include "softgpu/exec/exec.h"
#include "softgpu/mem/arena.h"

#define COPY_STAGED_MAX (64u << 10)

struct copy_work {
	struct sg_work work;
	struct sg_side destination, source;
	struct sg_box box;
	void *staged;		     /* freed with the work; the source then */
	bool to_pinned, from_pinned; /* not the program's ordinary memory */
	bool is_pageable;	     /* one side is */
};

struct fill_work {
	struct sg_work work;
	uint64_t destination;
	size_t pitch, element_size, width, rows;
	uint32_t value;
};

/* ---- checks ---- */

/* Bytes from the side's first to behind its last; false: beyond any memory. */
static bool side_extent(const struct sg_side *side, struct sg_box box, size_t *extent)
{
	unsigned __int128 rows = (unsigned __int128)(box.layers - 1) * side->height + box.rows - 1;
	unsigned __int128 bytes = rows * side->pitch + box.width;

	*extent = (size_t)bytes;
	return rows <= SIZE_MAX && bytes <= SG_ARENA_SIZE;
}

static bool side_is_registered(const struct sg_side *side, size_t extent)
{
	struct sg_registration registration;

	return sg_registration_find(side->address, &registration) &&
	       extent <= registration.size - (side->address - registration.host);
}

/* Memory of a pool that the device may not use: as the device's it can not be named. */
static bool is_hosts_alone(const struct sg_side *side)
{
	struct sg_range range;

	return sg_arena_find(side->address, &range) && range.kind == SG_RANGE_POOL &&
	       !sg_pool_is_open(range.owner);
}

/* is_pinned: the copy may go on after the call. */
static CUresult side_check(const struct sg_side *side, struct sg_box box, bool *is_pinned)
{
	size_t extent;

	if (!side->address || !side_extent(side, box, &extent))
		return CUDA_ERROR_INVALID_VALUE;
	if ((box.rows > 1 || box.layers > 1) && side->pitch < box.width)
		return CUDA_ERROR_INVALID_VALUE;
	if (sg_arena_holds(side->address)) {
		*is_pinned = true;
		if (side->kind == SG_SIDE_DEVICE && is_hosts_alone(side))
			return CUDA_ERROR_INVALID_VALUE;
		return sg_arena_is_copied(side->address, extent) ? CUDA_SUCCESS
								 : CUDA_ERROR_INVALID_VALUE;
	}
	*is_pinned = side_is_registered(side, extent);
	return side->kind == SG_SIDE_DEVICE && !*is_pinned ? CUDA_ERROR_INVALID_VALUE
							   : CUDA_SUCCESS;
}

/* What the device may not use is not filled. */
static bool is_of_device(const struct sg_side *side, struct sg_box box)
{
	size_t extent;

	if (is_hosts_alone(side))
		return false;
	return !sg_arena_holds(side->address) ||
	       (side_extent(side, box, &extent) && sg_arena_covers(side->address, extent));
}

/* Memory may have been freed between the call and its turn in the stream or in a graph, which is
 * the program's mistake and must not become our crash. It may be freed in the midst of the copy,
 * too, which is therefore guarded. Where registered memory was, something else may be since. */
static bool side_is_there(const struct sg_side *side, struct sg_box box, bool is_pinned)
{
	size_t extent;

	if (!side_extent(side, box, &extent))
		return false;
	return sg_arena_holds(side->address) ? sg_arena_is_copied(side->address, extent)
					     : !is_pinned || side_is_registered(side, extent);
}

/* ---- the work ---- */

static void copy_bytes(void *work)
{
	const struct copy_work *copy = work;
	const struct sg_side *to = &copy->destination, *from = &copy->source;

	for (size_t layer = 0; layer < copy->box.layers; layer++)
		for (size_t row = 0; row < copy->box.rows; row++)
			/* CUDA leaves overlapping copies undefined; we do not. */
			memmove((char *)to->address + (layer * to->height + row) * to->pitch,
			    (const char *)from->address +
				(layer * from->height + row) * from->pitch,
			    copy->box.width);
}

static CUresult copy_run(struct sg_work *work, struct sg_context *context)
{
	struct copy_work *copy = (struct copy_work *)work;
	bool is_there = side_is_there(&copy->destination, copy->box, copy->to_pinned) &&
			side_is_there(&copy->source, copy->box, copy->from_pinned);

	return is_there && sg_guarded(copy_bytes, copy, !copy->is_pageable)
		   ? CUDA_SUCCESS
		   : CUDA_ERROR_ILLEGAL_ADDRESS;
}

/* Arrays are named by their memory here: whoever knows better says so (cu_graph_node.c). */
static void copy_describe(struct sg_work *work, CUgraphNodeParams *params)
{
	const struct copy_work *copy = (const struct copy_work *)work;
	const struct sg_side *to = &copy->destination, *from = &copy->source;

	params->memcpy.copyParams = (CUDA_MEMCPY3D){
	    .srcMemoryType = from->kind == SG_SIDE_HOST	    ? CU_MEMORYTYPE_HOST
			     : from->kind == SG_SIDE_DEVICE ? CU_MEMORYTYPE_DEVICE
							    : CU_MEMORYTYPE_UNIFIED,
	    .srcHost = from->kind == SG_SIDE_HOST ? (const void *)from->address : NULL,
	    .srcDevice = from->kind == SG_SIDE_HOST ? 0 : from->address,
	    .srcPitch = from->pitch,
	    .srcHeight = from->height,
	    .dstMemoryType = to->kind == SG_SIDE_HOST	  ? CU_MEMORYTYPE_HOST
			     : to->kind == SG_SIDE_DEVICE ? CU_MEMORYTYPE_DEVICE
							  : CU_MEMORYTYPE_UNIFIED,
	    .dstHost = to->kind == SG_SIDE_HOST ? (void *)to->address : NULL,
	    .dstDevice = to->kind == SG_SIDE_HOST ? 0 : to->address,
	    .dstPitch = to->pitch,
	    .dstHeight = to->height,
	    .WidthInBytes = copy->box.width,
	    .Height = copy->box.rows,
	    .Depth = copy->box.layers,
	};
}

static void copy_fini(struct sg_work *work)
{
	free(((struct copy_work *)work)->staged);
}

/* Replaces the source by a copy of it. False: out of memory. */
static bool copy_stage(struct copy_work *copy)
{
	struct copy_work aside = {.source = copy->source, .box = copy->box, .is_pageable = true};

	copy->staged = malloc(copy->box.width * copy->box.rows * copy->box.layers);
	if (!copy->staged)
		return false;
	aside.destination = (struct sg_side){
	    .address = (uint64_t)copy->staged,
	    .pitch = copy->box.width,
	    .height = copy->box.rows,
	};
	copy_run(&aside.work, NULL);
	copy->source = aside.destination;
	return true;
}

CUresult sg_copy(CUstream handle, const struct sg_side *destination, const struct sg_side *source,
    struct sg_box box, bool is_async)
{
	struct sg_context *context;
	struct sg_stream *stream;
	bool to_pinned, from_pinned;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS)
		r = sg_stream_get(handle, context, &stream);
	if (r != CUDA_SUCCESS || !box.width || !box.rows || !box.layers)
		return r;
	r = side_check(destination, box, &to_pinned);
	if (r == CUDA_SUCCESS)
		r = side_check(source, box, &from_pinned);
	if (r != CUDA_SUCCESS)
		return r;
	struct copy_work *copy = sg_work_new(sizeof(*copy), copy_run);
	if (!copy)
		return CUDA_ERROR_OUT_OF_MEMORY;
	copy->work.fini = copy_fini;
	copy->work.describe = copy_describe;
	copy->work.node = SG_NODE(CU_GRAPH_NODE_TYPE_MEMCPY);
	copy->destination = *destination;
	copy->source = *source;
	copy->box = box;
	copy->to_pinned = to_pinned;
	copy->from_pinned = from_pinned;
	copy->is_pageable = !to_pinned || !from_pinned;
	/* A graph reads and writes the program's memory when it is launched. */
	if (is_async && sg_capture_id(stream))
		return sg_stream_submit(stream, &copy->work, NULL);
	if (is_async && to_pinned && !from_pinned &&
	    box.width * box.rows * box.layers <= COPY_STAGED_MAX && copy_stage(copy))
		copy->is_pageable = false;
	if (is_async && !copy->is_pageable)
		return sg_stream_submit(stream, &copy->work, NULL);
	return sg_stream_run(stream, &copy->work);
}

/* ---- fills ---- */

static void fill_row(char *row, const struct fill_work *fill)
{
	uint16_t *halves = (uint16_t *)row;
	uint32_t *words = (uint32_t *)row;

	if (fill->element_size == 1)
		memset(row, (int)fill->value, fill->width);
	else if (fill->element_size == 2)
		for (size_t i = 0; i < fill->width; i++)
			halves[i] = (uint16_t)fill->value;
	else
		for (size_t i = 0; i < fill->width; i++)
			words[i] = fill->value;
}

static void fill_rows(void *work)
{
	const struct fill_work *fill = work;

	for (size_t row = 0; row < fill->rows; row++)
		fill_row((char *)fill->destination + row * fill->pitch, fill);
}

static CUresult fill_run(struct sg_work *work, struct sg_context *context)
{
	struct fill_work *fill = (struct fill_work *)work;
	const struct sg_side side = {.address = fill->destination, .pitch = fill->pitch};
	const struct sg_box box = {fill->width * fill->element_size, fill->rows, 1};

	return side_is_there(&side, box, true) && sg_guarded(fill_rows, fill, true)
		   ? CUDA_SUCCESS
		   : CUDA_ERROR_ILLEGAL_ADDRESS;
}

static void fill_describe(struct sg_work *work, CUgraphNodeParams *params)
{
	const struct fill_work *fill = (const struct fill_work *)work;

	params->memset = (CUDA_MEMSET_NODE_PARAMS_v2){
	    .dst = fill->destination,
	    .pitch = fill->pitch,
	    .value = fill->value,
	    .elementSize = (unsigned)fill->element_size,
	    .width = fill->width,
	    .height = fill->rows,
	};
}

CUresult sg_fill(CUstream handle, CUdeviceptr destination, size_t pitch, uint32_t value,
    size_t element_size, size_t width, size_t rows, bool is_async)
{
	const struct sg_box box = {width * element_size, rows, 1};
	struct sg_side side = {.kind = SG_SIDE_DEVICE, .address = destination, .pitch = pitch};
	struct sg_context *context;
	struct sg_stream *stream;
	bool is_pinned;
	CUresult r = sg_enter_context(&context);

	if (r == CUDA_SUCCESS)
		r = sg_stream_get(handle, context, &stream);
	if (r != CUDA_SUCCESS || !width || !rows)
		return r;
	if (destination % element_size || (rows > 1 && pitch % element_size) ||
	    width > SG_ARENA_SIZE)
		return CUDA_ERROR_INVALID_VALUE;
	r = side_check(&side, box, &is_pinned);
	if (r == CUDA_SUCCESS && !is_of_device(&side, box))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct fill_work *fill = sg_work_new(sizeof(*fill), fill_run);
	if (!fill)
		return CUDA_ERROR_OUT_OF_MEMORY;
	fill->destination = destination;
	fill->work.node = SG_NODE(CU_GRAPH_NODE_TYPE_MEMSET);
	fill->work.describe = fill_describe;
	fill->pitch = pitch;
	fill->element_size = element_size;
	fill->width = width;
	fill->rows = rows;
	fill->value = value;
	return is_async ? sg_stream_submit(stream, &fill->work, NULL)
			: sg_stream_run(stream, &fill->work);
}
