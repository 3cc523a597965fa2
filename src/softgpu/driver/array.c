/*
 * What arrays are made of: formats, shapes and their limits, memory, and what kernels see. Sparse
 * arrays, arrays whose memory comes later, and packed formats of video are not supported.
 */
#include "softgpu/driver/array.h"

#include "base/util.h"
#include "softgpu/driver/device.h"

#define CUBE_FACES 6

/* ---- formats ---- */

/* The formats that leave the number of channels to the descriptor have 0 here. */
static const struct {
	CUarray_format format;
	enum sg_channel channel;
	uint8_t bytes, n_channels;
} formats[] = {
    {CU_AD_FORMAT_UNSIGNED_INT8, SG_CHANNEL_UNSIGNED, 1, 0},
    {CU_AD_FORMAT_UNSIGNED_INT16, SG_CHANNEL_UNSIGNED, 2, 0},
    {CU_AD_FORMAT_UNSIGNED_INT32, SG_CHANNEL_UNSIGNED, 4, 0},
    {CU_AD_FORMAT_SIGNED_INT8, SG_CHANNEL_SIGNED, 1, 0},
    {CU_AD_FORMAT_SIGNED_INT16, SG_CHANNEL_SIGNED, 2, 0},
    {CU_AD_FORMAT_SIGNED_INT32, SG_CHANNEL_SIGNED, 4, 0},
    {CU_AD_FORMAT_HALF, SG_CHANNEL_FLOAT, 2, 0}, {CU_AD_FORMAT_FLOAT, SG_CHANNEL_FLOAT, 4, 0},
    {CU_AD_FORMAT_UNORM_INT8X1, SG_CHANNEL_UNORM, 1, 1},
    {CU_AD_FORMAT_UNORM_INT8X2, SG_CHANNEL_UNORM, 1, 2},
    {CU_AD_FORMAT_UNORM_INT8X4, SG_CHANNEL_UNORM, 1, 4},
    {CU_AD_FORMAT_UNORM_INT16X1, SG_CHANNEL_UNORM, 2, 1},
    {CU_AD_FORMAT_UNORM_INT16X2, SG_CHANNEL_UNORM, 2, 2},
    {CU_AD_FORMAT_UNORM_INT16X4, SG_CHANNEL_UNORM, 2, 4},
    {CU_AD_FORMAT_SNORM_INT8X1, SG_CHANNEL_SNORM, 1, 1},
    {CU_AD_FORMAT_SNORM_INT8X2, SG_CHANNEL_SNORM, 1, 2},
    {CU_AD_FORMAT_SNORM_INT8X4, SG_CHANNEL_SNORM, 1, 4},
    {CU_AD_FORMAT_SNORM_INT16X1, SG_CHANNEL_SNORM, 2, 1},
    {CU_AD_FORMAT_SNORM_INT16X2, SG_CHANNEL_SNORM, 2, 2},
    {CU_AD_FORMAT_SNORM_INT16X4, SG_CHANNEL_SNORM, 2, 4},
    {CU_AD_FORMAT_UNORM_INT_101010_2, SG_CHANNEL_UNORM, 1, 4}, /* not of bytes: is_tens */
};

/* From BC1 on; in pairs, the second of them sRGB's or signed. */
static const struct {
	enum sg_blocks blocks;
	bool is_srgb;
} compressed[] = {
    {SG_BLOCKS_BC1, false},
    {SG_BLOCKS_BC1, true},
    {SG_BLOCKS_BC2, false},
    {SG_BLOCKS_BC2, true},
    {SG_BLOCKS_BC3, false},
    {SG_BLOCKS_BC3, true},
    {SG_BLOCKS_BC4, false},
    {SG_BLOCKS_BC4_SIGNED, false},
    {SG_BLOCKS_BC5, false},
    {SG_BLOCKS_BC5_SIGNED, false},
    {SG_BLOCKS_BC6, false},
    {SG_BLOCKS_BC6_SIGNED, false},
    {SG_BLOCKS_BC7, false},
    {SG_BLOCKS_BC7, true},
};

void sg_blocks_read(enum sg_blocks blocks, struct sg_texels *image)
{
	bool is_half = blocks == SG_BLOCKS_BC6 || blocks == SG_BLOCKS_BC6_SIGNED;
	bool is_signed = blocks == SG_BLOCKS_BC4_SIGNED || blocks == SG_BLOCKS_BC5_SIGNED;

	image->blocks = blocks;
	image->channel = is_half     ? SG_CHANNEL_FLOAT
			 : is_signed ? SG_CHANNEL_SNORM
				     : SG_CHANNEL_UNORM;
	image->channel_bytes = is_half ? 2 : 1;
	image->n_channels = (uint8_t)sg_blocks_channels(blocks);
}

static bool compressed_read(CUarray_format format, unsigned channels, struct sg_texels *image)
{
	unsigned number = format - CU_AD_FORMAT_BC1_UNORM;

	if (number >= ARRAY_SIZE(compressed))
		return false;
	sg_blocks_read(compressed[number].blocks, image);
	image->is_srgb = compressed[number].is_srgb;
	return image->n_channels == channels;
}

bool sg_format_read(CUarray_format format, unsigned channels, struct sg_texels *image)
{
	if (compressed_read(format, channels, image))
		return true;
	if (channels != 1 && channels != 2 && channels != 4)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		if (formats[i].format != format)
			continue;
		image->channel = formats[i].channel;
		image->channel_bytes = formats[i].bytes;
		image->n_channels = (uint8_t)channels;
		image->is_tens = format == CU_AD_FORMAT_UNORM_INT_101010_2;
		return !formats[i].n_channels || formats[i].n_channels == channels;
	}
	return false;
}

bool sg_view_format_read(CUresourceViewFormat format, struct sg_texels *image)
{
	static const CUarray_format plain[] = {CU_AD_FORMAT_UNSIGNED_INT8, CU_AD_FORMAT_SIGNED_INT8,
	    CU_AD_FORMAT_UNSIGNED_INT16, CU_AD_FORMAT_SIGNED_INT16, CU_AD_FORMAT_UNSIGNED_INT32,
	    CU_AD_FORMAT_SIGNED_INT32, CU_AD_FORMAT_HALF, CU_AD_FORMAT_FLOAT};
	/* In threes, of 1, 2 and 4 channels. */
	unsigned number = format - CU_RES_VIEW_FORMAT_UINT_1X8;

	return number / 3 < ARRAY_SIZE(plain) &&
	       sg_format_read(plain[number / 3], 1u << number % 3, image);
}

enum sg_blocks sg_view_blocks(CUresourceViewFormat format)
{
	static const enum sg_blocks blocks[] = {SG_BLOCKS_BC1, SG_BLOCKS_BC2, SG_BLOCKS_BC3,
	    SG_BLOCKS_BC4, SG_BLOCKS_BC4_SIGNED, SG_BLOCKS_BC5, SG_BLOCKS_BC5_SIGNED, SG_BLOCKS_BC6,
	    SG_BLOCKS_BC6_SIGNED, SG_BLOCKS_BC7};
	unsigned number = format - CU_RES_VIEW_FORMAT_UNSIGNED_BC1;

	return number < ARRAY_SIZE(blocks) ? blocks[number] : SG_BLOCKS_NONE;
}

/* Pictures in planes: the format of each, their channels, and how often the later ones are
 * halved. */
static const struct planar {
	CUarray_format format, plain;
	uint8_t channels[SG_PLANES], x_shift, y_shift;
} planars[] = {
    {CU_AD_FORMAT_NV12, CU_AD_FORMAT_UNSIGNED_INT8, {1, 2}, 1, 1},
    {CU_AD_FORMAT_P010, CU_AD_FORMAT_UNSIGNED_INT16, {1, 2}, 1, 1},
    {CU_AD_FORMAT_P016, CU_AD_FORMAT_UNSIGNED_INT16, {1, 2}, 1, 1},
    {CU_AD_FORMAT_NV16, CU_AD_FORMAT_UNSIGNED_INT8, {1, 2}, 1, 0},
    {CU_AD_FORMAT_P210, CU_AD_FORMAT_UNSIGNED_INT16, {1, 2}, 1, 0},
    {CU_AD_FORMAT_P216, CU_AD_FORMAT_UNSIGNED_INT16, {1, 2}, 1, 0},
    {CU_AD_FORMAT_Y444_PLANAR8, CU_AD_FORMAT_UNSIGNED_INT8, {1, 1, 1}, 0, 0},
    {CU_AD_FORMAT_Y444_PLANAR10, CU_AD_FORMAT_UNSIGNED_INT16, {1, 1, 1}, 0, 0},
    {CU_AD_FORMAT_YUV444_8bit_SemiPlanar, CU_AD_FORMAT_UNSIGNED_INT8, {1, 2}, 0, 0},
    {CU_AD_FORMAT_YUV444_16bit_SemiPlanar, CU_AD_FORMAT_UNSIGNED_INT16, {1, 2}, 0, 0},
};

/* NULL: it is none of these. */
static const struct planar *planar_of(CUarray_format format)
{
	for (size_t i = 0; i < ARRAY_SIZE(planars); i++)
		if (planars[i].format == format)
			return &planars[i];
	return NULL;
}

bool sg_array_is_planar(const struct sg_array *array)
{
	return planar_of(array->format) != NULL;
}

/* Packed pictures with fewer colours than texels, and of 10 or 12 bits: that we know of and do not
 * have. */
static bool format_is_known(CUarray_format format)
{
	return (format >= CU_AD_FORMAT_YUY2 && format <= CU_AD_FORMAT_Y410) ||
	       format == CU_AD_FORMAT_Y416;
}

/* ---- shapes ---- */

enum shape {
	SHAPE_1D,
	SHAPE_2D,
	SHAPE_3D,
	SHAPE_1D_LAYERED,
	SHAPE_2D_LAYERED,
	SHAPE_CUBE,
	SHAPE_CUBE_LAYERED,
	SHAPE_NONE
};

static enum shape array_shape(const struct sg_array *array)
{
	bool is_layered = array->flags & CUDA_ARRAY3D_LAYERED;

	if (!array->width)
		return SHAPE_NONE;
	if (array->flags & CUDA_ARRAY3D_CUBEMAP) {
		if (array->width != array->height || !array->depth || array->depth % CUBE_FACES)
			return SHAPE_NONE;
		return is_layered		    ? SHAPE_CUBE_LAYERED
		       : array->depth == CUBE_FACES ? SHAPE_CUBE
						    : SHAPE_NONE;
	}
	if (is_layered)
		return !array->depth   ? SHAPE_NONE
		       : array->height ? SHAPE_2D_LAYERED
				       : SHAPE_1D_LAYERED;
	if (array->depth)
		return array->height ? SHAPE_3D : SHAPE_NONE;
	return array->height ? SHAPE_2D : SHAPE_1D;
}

#define TEXTURE(name) CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE##name
#define SURFACE(name) CU_DEVICE_ATTRIBUTE_MAXIMUM_SURFACE##name

/* Of width, height and depth or layers, by shape; first of textures, then of surfaces. */
static const CUdevice_attribute limits[][2][3] = {
    [SHAPE_1D] = {{TEXTURE(1D_WIDTH)}, {SURFACE(1D_WIDTH)}},
    [SHAPE_2D] = {{TEXTURE(2D_WIDTH), TEXTURE(2D_HEIGHT)}, {SURFACE(2D_WIDTH), SURFACE(2D_HEIGHT)}},
    [SHAPE_3D] = {{TEXTURE(3D_WIDTH), TEXTURE(3D_HEIGHT), TEXTURE(3D_DEPTH)},
	{SURFACE(3D_WIDTH), SURFACE(3D_HEIGHT), SURFACE(3D_DEPTH)}},
    [SHAPE_1D_LAYERED] = {{TEXTURE(1D_LAYERED_WIDTH), 0, TEXTURE(1D_LAYERED_LAYERS)},
	{SURFACE(1D_LAYERED_WIDTH), 0, SURFACE(1D_LAYERED_LAYERS)}},
    [SHAPE_2D_LAYERED] = {{TEXTURE(2D_LAYERED_WIDTH), TEXTURE(2D_LAYERED_HEIGHT),
			      TEXTURE(2D_LAYERED_LAYERS)},
	{SURFACE(2D_LAYERED_WIDTH), SURFACE(2D_LAYERED_HEIGHT), SURFACE(2D_LAYERED_LAYERS)}},
    [SHAPE_CUBE] = {{TEXTURE(CUBEMAP_WIDTH)}, {SURFACE(CUBEMAP_WIDTH)}},
    [SHAPE_CUBE_LAYERED] = {{TEXTURE(CUBEMAP_LAYERED_WIDTH), 0, TEXTURE(CUBEMAP_LAYERED_LAYERS)},
	{SURFACE(CUBEMAP_LAYERED_WIDTH), 0, SURFACE(CUBEMAP_LAYERED_LAYERS)}},
};

static bool array_is_within_limits(const struct sg_array *array, enum shape shape)
{
	const size_t sizes[] = {array->width, array->height, array->depth};
	const CUdevice_attribute *most =
	    limits[shape][!!(array->flags & CUDA_ARRAY3D_SURFACE_LDST)];

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		if (most[i] && sizes[i] > (size_t)sg_device_attribute(most[i]))
			return false;
	return true;
}

static void measure_planes(struct sg_array *array)
{
	struct sg_array planes[SG_PLANES];

	sg_array_split(array, planes);
	array->element_size = planes[0].element_size;
	array->pitch = planes[0].pitch;
	array->rows = planes[0].rows;
	array->size = 0;
	for (unsigned i = 0; i < SG_PLANES; i++)
		array->size += planes[i].size;
	array->slice = array->size;
}

/* Fills in the sizes that follow from the others; all are within the limits. */
void sg_array_measure(struct sg_array *array)
{
	struct sg_texels texel = {0};
	size_t columns = array->width;

	array->rows = MAX(array->height, (size_t)1);
	if (sg_array_is_planar(array)) {
		measure_planes(array);
		return;
	}
	sg_format_read(array->format, array->channels, &texel);
	array->element_size = (size_t)texel.channel_bytes * texel.n_channels;
	if (texel.blocks) {
		array->element_size = sg_blocks_bytes(texel.blocks);
		columns = (columns + SG_BLOCK_SIDE - 1) / SG_BLOCK_SIDE;
		array->rows = (array->rows + SG_BLOCK_SIDE - 1) / SG_BLOCK_SIDE;
	}
	array->pitch = columns * array->element_size;
	array->slice = array->pitch * array->rows;
	array->size = array->slice * MAX(array->depth, (size_t)1);
}

void sg_array_split(const struct sg_array *array, struct sg_array planes[SG_PLANES])
{
	const struct planar *planar = planar_of(array->format);
	uint64_t address = array->address;

	for (unsigned i = 0; i < SG_PLANES; i++) {
		planes[i] = (struct sg_array){
		    .address = address,
		    .width = array->width >> (i ? planar->x_shift : 0),
		    .height = array->height >> (i ? planar->y_shift : 0),
		    .depth = array->depth,
		    .format = planar->plain,
		    .channels = planar->channels[i],
		    .flags = array->flags,
		};
		if (planes[i].channels)
			sg_array_measure(&planes[i]);
		address += planes[i].size;
	}
}

/* As an H200's driver has it: only for video, of three channels. */
static CUresult check_planar(const struct sg_array *array, enum shape shape)
{
	const struct planar *planar = planar_of(array->format);
	unsigned flags = array->flags & ~(CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_SURFACE_LDST);

	return (shape == SHAPE_2D || shape == SHAPE_2D_LAYERED) &&
		       flags == CUDA_ARRAY3D_VIDEO_ENCODE_DECODE && array->channels == 3 &&
		       !(array->width & ((1u << planar->x_shift) - 1)) &&
		       !(array->height & ((1u << planar->y_shift) - 1)) &&
		       array_is_within_limits(array, shape)
		   ? CUDA_SUCCESS
		   : CUDA_ERROR_INVALID_VALUE;
}

CUresult sg_array_check(const struct sg_array *array)
{
	const unsigned known = CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_SURFACE_LDST |
			       CUDA_ARRAY3D_CUBEMAP | CUDA_ARRAY3D_TEXTURE_GATHER |
			       CUDA_ARRAY3D_COLOR_ATTACHMENT | CUDA_ARRAY3D_VIDEO_ENCODE_DECODE;
	const unsigned unsupported =
	    CUDA_ARRAY3D_DEPTH_TEXTURE | CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING;
	enum shape shape = array_shape(array);
	struct sg_texels texel = {0};

	if (sg_array_is_planar(array))
		return check_planar(array, shape);
	if (array->flags & unsupported || format_is_known(array->format))
		return CUDA_ERROR_NOT_SUPPORTED;
	if (array->flags & ~known || shape == SHAPE_NONE ||
	    !sg_format_read(array->format, array->channels, &texel) ||
	    !array_is_within_limits(array, shape))
		return CUDA_ERROR_INVALID_VALUE;
	if (texel.blocks && !array->height)
		return CUDA_ERROR_INVALID_VALUE;
	if (texel.blocks && array->flags & CUDA_ARRAY3D_SURFACE_LDST)
		return CUDA_ERROR_NOT_SUPPORTED;
	/* Gathering is for pictures of two dimensions. */
	if (array->flags & CUDA_ARRAY3D_TEXTURE_GATHER && shape != SHAPE_2D)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

struct sg_array sg_array_of(const CUDA_ARRAY3D_DESCRIPTOR *descriptor)
{
	return (struct sg_array){
	    .width = descriptor->Width,
	    .height = descriptor->Height,
	    .depth = descriptor->Depth,
	    .format = descriptor->Format,
	    .channels = descriptor->NumChannels,
	    .flags = descriptor->Flags,
	};
}

CUresult sg_array_memory(const struct sg_context *context, size_t size, uint64_t *address)
{
	struct sg_range range = {.size = size, .kind = SG_RANGE_ARRAY, .context_id = context->id};

	if (sg_arena_alloc(&range, SG_ARRAY_ALIGN) < 0)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*address = range.address;
	return CUDA_SUCCESS;
}

/* ---- as kernels see them ---- */

void sg_array_image(const struct sg_array *array, struct sg_texels *image)
{
	uint32_t depth = (uint32_t)MAX(array->depth, (size_t)1);

	*image = (struct sg_texels){
	    .levels = {array->address},
	    .width = (uint32_t)array->width,
	    .height = (uint32_t)MAX(array->height, (size_t)1),
	    .depth = sg_array_is_layered(array) ? 1 : depth,
	    .layers = sg_array_is_layered(array) ? depth : 1,
	    .n_levels = 1,
	};
	if (!sg_array_is_planar(array))
		sg_format_read(array->format, array->channels, image);
}

void sg_mipmap_image(const struct sg_mipmap *mipmap, struct sg_texels *image)
{
	sg_array_image(&mipmap->levels[0], image);
	image->n_levels = (uint8_t)mipmap->n_levels;
	for (unsigned i = 0; i < mipmap->n_levels; i++)
		image->levels[i] = mipmap->levels[i].address;
}
