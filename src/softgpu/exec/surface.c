/*
 * Surface instructions: compiled code asks where the bytes lie and reads, writes or updates them
 * itself. Surfaces see level 0 of an array only, and coordinates are whole.
 */
#include <string.h>

#include "base/util.h"
#include "softgpu/exec/machine.h"
#include "softgpu/exec/sample.h"
#include "softgpu/exec/texture.h"

/* Moves *at into [0, size) when clamping; false: it is outside. */
static bool confine(int64_t *at, int64_t size, bool clamp)
{
	if (clamp)
		*at = MAX(MIN(*at, size - 1), (int64_t)0);
	return *at >= 0 && *at < size;
}

/* The slice of the image; layers are clamped in no mode but .clamp. */
static int64_t slice_of(enum sg_geometry geometry, uint32_t layer, int32_t z)
{
	switch (geometry) {
	case SG_GEOMETRY_3D:
		return z;
	case SG_GEOMETRY_1D_ARRAY:
	case SG_GEOMETRY_2D_ARRAY:
		return layer;
	default:
		return 0;
	}
}

void *sg_surface_at(struct sg_lane *lane, uint32_t flags, uint64_t surface, uint32_t layer,
    int32_t x, int32_t y, int32_t z)
{
	const struct sg_texels *image = &texture_operand(lane, surface, true)->image;
	enum sg_geometry geometry = flags & SG_SAMPLE_GEOMETRY;
	bool has_rows = geometry != SG_GEOMETRY_1D && geometry != SG_GEOMETRY_1D_ARRAY;
	bool clamp = flags & SG_SURFACE_CLAMP;
	int64_t element = image->n_channels * image->channel_bytes;
	int64_t size =
	    flags & SG_SURFACE_FORMATTED ? element : (int64_t)1 << (flags >> SG_SURFACE_LOG2);
	int64_t row = has_rows ? y : 0, slice = slice_of(geometry, layer, z);
	int64_t byte = flags & SG_SURFACE_FORMATTED ? x * element : x;
	struct texture_level level;

	texture_level_get(image, 0, &level);
	if (byte % size)
		machine_fault(lane, SG_FAULT_MISALIGNED, (uint64_t)byte, flags & SG_SURFACE_STORE);
	byte /= size; /* whole accesses of the row */
	if (!confine(&byte, level.width * element / size, clamp) ||
	    !confine(&row, level.height, clamp) ||
	    !confine(&slice, MAX(level.depth, image->layers), clamp)) {
		if (flags & SG_SURFACE_ZERO)
			return NULL;
		machine_fault(lane, SG_FAULT_TRAP, surface, flags & SG_SURFACE_STORE);
	}
	return (void *)(texel_address(lane, image, &level, 0, (uint32_t)row, (uint32_t)slice) +
			(uint64_t)(byte * size));
}

void sg_surface_store(struct sg_lane *lane, uint64_t surface, void *at, uint32_t r, uint32_t g,
    uint32_t b, uint32_t a)
{
	const struct sg_texels *image = &texture_operand(lane, surface, true)->image;
	const uint32_t values[] = {r, g, b, a};

	if (image->is_tens) {
		uint32_t word = texel_encode_tens(values);

		memcpy(at, &word, sizeof(word));
		return;
	}
	for (unsigned i = 0; i < image->n_channels && i < ARRAY_SIZE(values); i++) {
		uint32_t bits = texel_encode(image, values[i]);

		memcpy((uint8_t *)at + i * image->channel_bytes, &bits, image->channel_bytes);
	}
}

bool sg_surface_is_signed(struct sg_lane *lane, uint64_t surface)
{
	return texture_operand(lane, surface, true)->image.channel == SG_CHANNEL_SIGNED;
}
