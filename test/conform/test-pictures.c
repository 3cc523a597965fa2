/*
 * Pictures: compressed and planar arrays, and filters along the longer of two derivatives.
 *
 * What the blocks hold is what an H200 reads from them, as halves: bytes without a plan, but of
 * BC6H and BC7 such that different modes come.
 */
#include <math.h>

#include "conform.h"

#define POINTS 8u /* at most, a thread each */

#define KERNEL(name, code)                                                                         \
	".visible .entry " name "(.param .u64 number, .param .u64 in, .param .u64 out) {\n"        \
	".reg .b64 %n, %in, %out, %at; .reg .f32 %f<9>, %zero; .reg .b32 %r;\n"                    \
	"ld.param.u64 %n, [number]; ld.param.u64 %in, [in]; ld.param.u64 %out, [out];\n"           \
	"mov.u32 %r, %tid.x; mul.wide.u32 %at, %r, 16; mov.f32 %zero, 0f00000000;\n"               \
	"add.u64 %in, %in, %at; add.u64 %out, %out, %at;\n"                                        \
	"ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%in];\n" code                                     \
	"st.global.v4.f32 [%out], {%f5, %f6, %f7, %f8}; ret; }\n"

/* clang-format off */
static const char kernels[] =
	".version 7.0\n.target sm_70\n.address_size 64\n"
	KERNEL("look", "tex.2d.v4.f32.f32 {%f5, %f6, %f7, %f8}, [%n, {%f1, %f2}];\n")
	KERNEL("slope", "tex.grad.2d.v4.f32.f32 {%f5, %f6, %f7, %f8}, [%n, {%f1, %f2}],\n"
		"{%f3, %zero}, {%zero, %f4};\n");

struct block {
	uint8_t bytes[16];
	uint16_t texels[4][4]; /* at (0, 0), (3, 1), (1, 2) and (2, 3): red, green, blue, alpha */
};

static const struct format {
	CUresourceViewFormat view;
	CUarray_format format;
	unsigned channels;
	struct block blocks[2];
} formats[] = {
    {CU_RES_VIEW_FORMAT_UNSIGNED_BC1, CU_AD_FORMAT_BC1_UNORM, 4, {
	{.bytes = {0x05, 0x04, 0x8b, 0xa2, 0xe8, 0x1c, 0x7e, 0x8c}, .texels = {{0x0000, 0x3814, 0x3125, 0x3c00}, {0x0000, 0x3814, 0x3125, 0x3c00}, {0x0000, 0x0000, 0x0000, 0x0000}, {0x0000, 0x3814, 0x3125, 0x3c00}}},
	{.bytes = {0x98, 0xc8, 0x0a, 0xbe, 0xf7, 0x12, 0xb3, 0x75}, .texels = {{0x3a1e, 0x385c, 0x3798, 0x3c00}, {0x3a76, 0x2c04, 0x3a36, 0x3c00}, {0x3a76, 0x2c04, 0x3a36, 0x3c00}, {0x3a1e, 0x385c, 0x3798, 0x3c00}}},
    }},
    {CU_RES_VIEW_FORMAT_UNSIGNED_BC2, CU_AD_FORMAT_BC2_UNORM, 4, {
	{.bytes = {0x05, 0x04, 0x8b, 0xa2, 0xe8, 0x1c, 0x7e, 0x8c, 0x98, 0xc8, 0x0a, 0xbe, 0xf7, 0x12, 0xb3, 0x75}, .texels = {{0x3a1e, 0x385c, 0x3798, 0x3555}, {0x3a76, 0x2c04, 0x3a36, 0x3955}, {0x3a76, 0x2c04, 0x3a36, 0x3b77}, {0x3a1e, 0x385c, 0x3798, 0x3a66}}},
	{.bytes = {0x65, 0xf5, 0x67, 0xf3, 0xfe, 0xa9, 0x6c, 0x7f, 0x49, 0x6c, 0xac, 0x27, 0x16, 0xda, 0x4f, 0x01}, .texels = {{0x3525, 0x3965, 0x3525, 0x3555}, {0x3327, 0x3aaf, 0x35a6, 0x3c00}, {0x3327, 0x3aaf, 0x35a6, 0x3c00}, {0x36b7, 0x3854, 0x34a5, 0x3c00}}},
    }},
    {CU_RES_VIEW_FORMAT_UNSIGNED_BC3, CU_AD_FORMAT_BC3_UNORM, 4, {
	{.bytes = {0x05, 0x04, 0x8b, 0xa2, 0xe8, 0x1c, 0x7e, 0x8c, 0x98, 0xc8, 0x0a, 0xbe, 0xf7, 0x12, 0xb3, 0x75}, .texels = {{0x3a1e, 0x385c, 0x3798, 0x2505}, {0x3a76, 0x2c04, 0x3a36, 0x2404}, {0x3a76, 0x2c04, 0x3a36, 0x2505}, {0x3a1e, 0x385c, 0x3798, 0x2505}}},
	{.bytes = {0x65, 0xf5, 0x67, 0xf3, 0xfe, 0xa9, 0x6c, 0x7f, 0x49, 0x6c, 0xac, 0x27, 0x16, 0xda, 0x4f, 0x01}, .texels = {{0x3525, 0x3965, 0x3525, 0x3c00}, {0x3327, 0x3aaf, 0x35a6, 0x3c00}, {0x3327, 0x3aaf, 0x35a6, 0x3ad7}, {0x36b7, 0x3854, 0x34a5, 0x3c00}}},
    }},
    {CU_RES_VIEW_FORMAT_UNSIGNED_BC4, CU_AD_FORMAT_BC4_UNORM, 1, {
	{.bytes = {0x05, 0x04, 0x8b, 0xa2, 0xe8, 0x1c, 0x7e, 0x8c}, .texels = {{0x24bd, 0x0000, 0x0000, 0x0000}, {0x2428, 0x0000, 0x0000, 0x0000}, {0x24bd, 0x0000, 0x0000, 0x0000}, {0x24bd, 0x0000, 0x0000, 0x0000}}},
	{.bytes = {0x98, 0xc8, 0x0a, 0xbe, 0xf7, 0x12, 0xb3, 0x75}, .texels = {{0x390d, 0x0000, 0x0000, 0x0000}, {0x3c00, 0x0000, 0x0000, 0x0000}, {0x390d, 0x0000, 0x0000, 0x0000}, {0x39fe, 0x0000, 0x0000, 0x0000}}},
    }},
    {CU_RES_VIEW_FORMAT_SIGNED_BC4, CU_AD_FORMAT_BC4_SNORM, 1, {
	{.bytes = {0x05, 0x04, 0x8b, 0xa2, 0xe8, 0x1c, 0x7e, 0x8c}, .texels = {{0x28c2, 0x0000, 0x0000, 0x0000}, {0x282c, 0x0000, 0x0000, 0x0000}, {0x28c2, 0x0000, 0x0000, 0x0000}, {0x28c2, 0x0000, 0x0000, 0x0000}}},
	{.bytes = {0x98, 0xc8, 0x0a, 0xbe, 0xf7, 0x12, 0xb3, 0x75}, .texels = {{0xb9fd, 0x0000, 0x0000, 0x0000}, {0x3c00, 0x0000, 0x0000, 0x0000}, {0xb9fd, 0x0000, 0x0000, 0x0000}, {0xb817, 0x0000, 0x0000, 0x0000}}},
    }},
    {CU_RES_VIEW_FORMAT_UNSIGNED_BC5, CU_AD_FORMAT_BC5_UNORM, 2, {
	{.bytes = {0x05, 0x04, 0x8b, 0xa2, 0xe8, 0x1c, 0x7e, 0x8c, 0x98, 0xc8, 0x0a, 0xbe, 0xf7, 0x12, 0xb3, 0x75}, .texels = {{0x24bd, 0x390d, 0x0000, 0x0000}, {0x2428, 0x3c00, 0x0000, 0x0000}, {0x24bd, 0x390d, 0x0000, 0x0000}, {0x24bd, 0x39fe, 0x0000, 0x0000}}},
	{.bytes = {0x65, 0xf5, 0x67, 0xf3, 0xfe, 0xa9, 0x6c, 0x7f, 0x49, 0x6c, 0xac, 0x27, 0x16, 0xda, 0x4f, 0x01}, .texels = {{0x3c00, 0x35f5, 0x0000, 0x0000}, {0x3c00, 0x3495, 0x0000, 0x0000}, {0x3ad8, 0x3567, 0x0000, 0x0000}, {0x3c00, 0x3495, 0x0000, 0x0000}}},
    }},
    {CU_RES_VIEW_FORMAT_SIGNED_BC5, CU_AD_FORMAT_BC5_SNORM, 2, {
	{.bytes = {0x05, 0x04, 0x8b, 0xa2, 0xe8, 0x1c, 0x7e, 0x8c, 0x98, 0xc8, 0x0a, 0xbe, 0xf7, 0x12, 0xb3, 0x75}, .texels = {{0x28c2, 0xb9fd, 0x0000, 0x0000}, {0x282c, 0x3c00, 0x0000, 0x0000}, {0x28c2, 0xb9fd, 0x0000, 0x0000}, {0x28c2, 0xb817, 0x0000, 0x0000}}},
	{.bytes = {0x65, 0xf5, 0x67, 0xf3, 0xfe, 0xa9, 0x6c, 0x7f, 0x49, 0x6c, 0xac, 0x27, 0x16, 0xda, 0x4f, 0x01}, .texels = {{0x28aa, 0x39fc, 0x0000, 0x0000}, {0x28aa, 0x3899, 0x0000, 0x0000}, {0x34d9, 0x396b, 0x0000, 0x0000}, {0x28aa, 0x3899, 0x0000, 0x0000}}},
    }},
    {CU_RES_VIEW_FORMAT_UNSIGNED_BC6H, CU_AD_FORMAT_BC6H_UF16, 3, {
	{.bytes = {0xce, 0xb1, 0x87, 0xe5, 0xa1, 0xeb, 0x62, 0xc8, 0xd3, 0x18, 0x9e, 0x9c, 0x1c, 0x94, 0xe3, 0x17}, .texels = {{0x5f49, 0x40d5, 0x3918, 0x0000}, {0x6083, 0x41c1, 0x3abb, 0x0000}, {0x61df, 0x3f54, 0x3e0d, 0x0000}, {0x610e, 0x3f91, 0x3dfc, 0x0000}}},
	{.bytes = {0x4b, 0x69, 0xbb, 0xbe, 0x20, 0xa5, 0xfd, 0x17, 0x3d, 0x62, 0xde, 0xee, 0x6a, 0x97, 0x6a, 0x38}, .texels = {{0x185f, 0x681a, 0x2278, 0x0000}, {0x16e4, 0x67cc, 0x2339, 0x0000}, {0x185f, 0x681a, 0x2278, 0x0000}, {0x1806, 0x6808, 0x22a5, 0x0000}}},
    }},
    {CU_RES_VIEW_FORMAT_SIGNED_BC6H, CU_AD_FORMAT_BC6H_SF16, 3, {
	{.bytes = {0xce, 0xb1, 0x87, 0xe5, 0xa1, 0xeb, 0x62, 0xc8, 0xd3, 0x18, 0x9e, 0x9c, 0x1c, 0x94, 0xe3, 0x17}, .texels = {{0xb9e9, 0xf6d0, 0x7231, 0x0000}, {0xb776, 0xf4fa, 0x7576, 0x0000}, {0xb4bc, 0xf9d3, 0xd939, 0x0000}, {0xb65f, 0xf959, 0xb673, 0x0000}}},
	{.bytes = {0x4b, 0x69, 0xbb, 0xbe, 0x20, 0xa5, 0xfd, 0x17, 0x3d, 0x62, 0xde, 0xee, 0x6a, 0x97, 0x6a, 0x38}, .texels = {{0x30bf, 0xa7d9, 0x44f0, 0x0000}, {0x2dc9, 0xa876, 0x4673, 0x0000}, {0x30bf, 0xa7d9, 0x44f0, 0x0000}, {0x300d, 0xa7fe, 0x454b, 0x0000}}},
    }},
    {CU_RES_VIEW_FORMAT_UNSIGNED_BC7, CU_AD_FORMAT_BC7_UNORM, 4, {
	{.bytes = {0x96, 0xf5, 0x67, 0xf3, 0xfe, 0xa9, 0x6c, 0x7f, 0x49, 0x6c, 0xac, 0x27, 0x16, 0xda, 0x4f, 0x01}, .texels = {{0x397d, 0x3a97, 0x3a8f, 0x3c00}, {0x3acf, 0x3105, 0x2c04, 0x3c00}, {0x397d, 0x3a97, 0x3a8f, 0x3c00}, {0x3acf, 0x3105, 0x2c04, 0x3c00}}},
	{.bytes = {0xf0, 0x59, 0x5b, 0xcb, 0xcb, 0x2d, 0x1e, 0x67, 0xdf, 0xb9, 0x89, 0x3f, 0x64, 0xde, 0xd0, 0x5f}, .texels = {{0x3a76, 0x39ae, 0x3a1e, 0x3b3f}, {0x3a8f, 0x39ae, 0x3935, 0x38bd}, {0x3a8f, 0x39ae, 0x3854, 0x38bd}, {0x3ab7, 0x39ae, 0x3a1e, 0x3125}}},
    }},
};
/* clang-format on */

typedef float point[4];

/* What a kernel reads at n places. */
static void run(const char *name, CUtexObject texture, const point *in, unsigned n, point *out)
{
	static CUmodule module;
	CUfunction function;
	CUdeviceptr from, to;
	void *parameters[] = {&texture, &from, &to};

	if (!module)
		OK(cuModuleLoadData(&module, kernels));
	OK(cuModuleGetFunction(&function, module, name));
	OK(cuMemAlloc(&from, n * sizeof(*in)));
	OK(cuMemAlloc(&to, n * sizeof(*in)));
	OK(cuMemcpyHtoD(from, in, n * sizeof(*in)));
	OK(conform_launch(function, 1, n, 0, NULL, parameters));
	OK(cuMemcpyDtoH(out, to, n * sizeof(*in)));
	OK(cuMemFree(from));
	OK(cuMemFree(to));
}

static CUarray array_make(const struct format *format, size_t width, size_t height)
{
	const CUDA_ARRAY_DESCRIPTOR shape = {width, height, format->format, format->channels};
	CUarray array;

	OK(cuArrayCreate(&array, &shape));
	return array;
}

static CUresult fill(CUarray array, const void *bytes, size_t row, size_t rows)
{
	const CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
	    .srcHost = bytes,
	    .srcPitch = row,
	    .dstMemoryType = CU_MEMORYTYPE_ARRAY,
	    .dstArray = array,
	    .WidthInBytes = row,
	    .Height = rows};

	return cuMemcpy2D(&copy);
}

static CUresult texture_try(
    CUarray array, const CUDA_RESOURCE_VIEW_DESC *view, unsigned flags, CUtexObject *texture)
{
	const CUDA_RESOURCE_DESC resource = {
	    .resType = CU_RESOURCE_TYPE_ARRAY, .res.array.hArray = array};
	const CUDA_TEXTURE_DESC how = {
	    .addressMode = {CU_TR_ADDRESS_MODE_CLAMP, CU_TR_ADDRESS_MODE_CLAMP}, .flags = flags};

	return cuTexObjectCreate(texture, &resource, &how, view);
}

static CUtexObject texture_of(CUarray array, const CUDA_RESOURCE_VIEW_DESC *view)
{
	CUtexObject texture;

	OK(texture_try(array, view, 0, &texture));
	return texture;
}

/* ---- compressed ---- */

static size_t block_bytes(const struct format *format)
{
	return format->format == CU_AD_FORMAT_BC1_UNORM || format->channels == 1 ? 8 : 16;
}

static float half(uint16_t bits)
{
	float magnitude = bits & 0x7c00
			      ? ldexpf((float)(1024 + (bits & 1023)), (bits >> 10 & 31) - 25)
			      : ldexpf((float)(bits & 1023), -24);

	return bits & 0x8000 ? -magnitude : magnitude;
}

/* The last of eight bits of a colour, or what a half loses. */
static float tolerance(const struct format *format, float wanted)
{
	if (format->format < CU_AD_FORMAT_BC4_UNORM)
		return 0.005f;
	if (format->format == CU_AD_FORMAT_BC6H_UF16 || format->format == CU_AD_FORMAT_BC6H_SF16)
		return fabsf(wanted) / 2048;
	return 0.0005f;
}

/* Two blocks side by side. */
static void expect_blocks(const struct format *format, CUtexObject texture, bool is_view)
{
	static const float places[][2] = {{0, 0}, {3, 1}, {1, 2}, {2, 3}};
	point in[POINTS] = {{0}}, out[POINTS];

	for (unsigned i = 0; i < POINTS; i++) {
		in[i][0] = places[i % 4][0] + (float)(4 * (i / 4)) + 0.5f;
		in[i][1] = places[i % 4][1] + 0.5f;
	}
	run("look", texture, in, POINTS, out);
	for (unsigned i = 0; i < POINTS; i++)
		for (unsigned channel = 0; channel < 4; channel++) {
			float wanted = half(format->blocks[i / 4].texels[i % 4][channel]);

			if (channel == 3 && format->channels < 4)
				wanted = is_view ? 0 : 1;
			if (!(fabsf(out[i][channel] - wanted) <= tolerance(format, wanted)))
				test_fail(__FILE__, __LINE__,
				    "format %d at (%g, %g), channel %u: %.9g, wanted %.9g",
				    (int)format->format, in[i][0], in[i][1], channel,
				    out[i][channel], wanted);
		}
}

static void put_blocks(const struct format *format, uint8_t bytes[32])
{
	size_t size = block_bytes(format);

	memcpy(bytes, format->blocks[0].bytes, size);
	memcpy(bytes + size, format->blocks[1].bytes, size);
}

CONFORM(arrays_of_blocks)
{
	uint8_t bytes[64];

	conform_begin();
	for (unsigned i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		const struct format *format = &formats[i];
		size_t size = block_bytes(format);
		CUarray array = array_make(format, 8, 4);
		CUDA_ARRAY_DESCRIPTOR got;
		struct format wrong = *format;

		OK(cuArrayGetDescriptor(&got, array));
		CHECK(got.Width == 8 && got.Height == 4 && got.Format == format->format &&
		      got.NumChannels == format->channels);
		put_blocks(format, bytes);
		OK(fill(array, bytes, 2 * size, 1));
		GIVES(fill(array, bytes, 2 * size, 2), CUDA_ERROR_INVALID_VALUE);
		GIVES(fill(array, bytes, 3 * size, 1), CUDA_ERROR_INVALID_VALUE);
		expect_blocks(format, texture_of(array, NULL), false);
		OK(cuArrayDestroy(array));
		wrong.channels = format->channels == 4 ? 2 : 4;
		CUDA_ARRAY_DESCRIPTOR shape = {8, 4, wrong.format, wrong.channels};
		GIVES(cuArrayCreate(&array, &shape), CUDA_ERROR_INVALID_VALUE);
	}
}

CONFORM(words_seen_as_blocks)
{
	uint8_t bytes[32];

	conform_begin();
	for (unsigned i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		const struct format *format = &formats[i];
		unsigned words = (unsigned)block_bytes(format) / 4;
		struct format plain = {.format = CU_AD_FORMAT_UNSIGNED_INT32, .channels = words};
		CUDA_RESOURCE_VIEW_DESC view = {.format = format->view, .width = 8, .height = 4};
		CUarray array = array_make(&plain, 2, 1);
		CUtexObject texture;

		put_blocks(format, bytes);
		OK(fill(array, bytes, 2 * block_bytes(format), 1));
		expect_blocks(format, texture_of(array, &view), true);
		view.width = 2;
		GIVES(texture_try(array, &view, 0, &texture), CUDA_ERROR_INVALID_VALUE);
		view.width = 8;
		plain.channels = 6 - words;
		array = array_make(&plain, 2, 1);
		GIVES(texture_try(array, &view, 0, &texture), CUDA_ERROR_INVALID_VALUE);
	}
}

CONFORM(levels_of_blocks)
{
	const CUDA_ARRAY3D_DESCRIPTOR shape = {
	    .Width = 16, .Height = 16, .Format = CU_AD_FORMAT_BC7_UNORM, .NumChannels = 4};
	static const uint8_t zeros[256];
	CUmipmappedArray mipmap;

	conform_begin();
	OK(cuMipmappedArrayCreate(&mipmap, &shape, 5));
	for (unsigned i = 0; i < 5; i++) {
		CUDA_ARRAY_DESCRIPTOR got;
		CUarray level;
		size_t blocks = ((16u >> i) + 3) / 4;

		OK(cuMipmappedArrayGetLevel(&level, mipmap, i));
		OK(cuArrayGetDescriptor(&got, level));
		CHECK_EQ(got.Width, 16u >> i);
		OK(fill(level, zeros, 16 * blocks, blocks));
		GIVES(fill(level, zeros, 16 * blocks, blocks + 1), CUDA_ERROR_INVALID_VALUE);
	}
	OK(cuMipmappedArrayDestroy(mipmap));
}

CONFORM(formats_with_srgb_are_read_so)
{
	const struct format *format = &formats[sizeof(formats) / sizeof(*formats) - 1];
	struct format with = *format;
	uint8_t bytes[32];
	CUtexObject texture;
	point in = {0.5f, 0.5f}, out;
	CUarray array;

	conform_begin();
	with.format = CU_AD_FORMAT_BC7_UNORM_SRGB;
	array = array_make(&with, 8, 4);
	put_blocks(format, bytes);
	OK(fill(array, bytes, 32, 1));
	GIVES(texture_try(array, NULL, 0, &texture), CUDA_ERROR_INVALID_VALUE);
	OK(texture_try(array, NULL, CU_TRSF_SRGB, &texture));
	run("look", texture, &in, 1, &out);
	for (unsigned i = 0; i < 3; i++) {
		float encoded = half(format->blocks[0].texels[0][i]);
		float wanted = powf((encoded + 0.055f) / 1.055f, 2.4f);

		CHECK(fabsf(out[i] - wanted) < 0.005f);
	}
}

/* ---- planar ---- */

CONFORM(planes_of_a_picture)
{
	CUDA_ARRAY3D_DESCRIPTOR got, shape = {.Width = 64,
					 .Height = 32,
					 .Format = CU_AD_FORMAT_NV12,
					 .NumChannels = 3,
					 .Flags = CUDA_ARRAY3D_VIDEO_ENCODE_DECODE};
	CUarray picture, planes[2], other;
	uint8_t *bytes = conform_random(64 * 48, 5), *back = conform_random(64 * 48, 6);
	CUtexObject texture;

	conform_begin();
	OK(cuArray3DCreate(&picture, &shape));
	for (unsigned i = 0; i < 2; i++) {
		point in[2] = {{0.5f, 0.5f}, {3.5f, 2.5f}}, out[2];
		const uint8_t *plane = bytes + i * 64 * 32;

		OK(cuArrayGetPlane(&planes[i], picture, i));
		OK(cuArray3DGetDescriptor(&got, planes[i]));
		CHECK(got.Width == 64u >> i && got.Height == 32u >> i && !got.Depth);
		CHECK(got.Format == CU_AD_FORMAT_UNSIGNED_INT8 && got.NumChannels == 1 + i);
		CHECK_EQ(got.Flags, CUDA_ARRAY3D_VIDEO_ENCODE_DECODE);
		OK(fill(planes[i], plane, 64, 32u >> i));
		run("look", texture_of(planes[i], NULL), in, 2, out);
		for (unsigned channel = 0; channel <= i; channel++) {
			CHECK(fabsf(out[0][channel] * 255 - plane[channel]) < 0.01f);
			CHECK(fabsf(out[1][channel] * 255 - plane[128 + 3 * (1 + i) + channel]) <
			      0.01f);
		}
	}
	CUDA_MEMCPY2D copy = {.srcMemoryType = CU_MEMORYTYPE_ARRAY,
	    .srcArray = planes[0],
	    .dstMemoryType = CU_MEMORYTYPE_HOST,
	    .dstHost = back,
	    .dstPitch = 64,
	    .WidthInBytes = 64,
	    .Height = 32};
	OK(cuMemcpy2D(&copy));
	CHECK_BYTES(back, bytes, 64 * 32);
	GIVES(cuArrayGetPlane(&other, picture, 2), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuArrayGetPlane(&other, planes[0], 0), CUDA_ERROR_INVALID_VALUE);
	GIVES(fill(picture, bytes, 64, 32), CUDA_ERROR_INVALID_VALUE);
	GIVES(texture_try(picture, NULL, 0, &texture), CUDA_ERROR_INVALID_VALUE);
	OK(cuArrayDestroy(picture));
	shape.Flags = 0;
	GIVES(cuArray3DCreate(&picture, &shape), CUDA_ERROR_INVALID_VALUE);
	free(bytes);
	free(back);
}

CONFORM(planes_of_every_format)
{
	static const struct {
		CUarray_format format, plain;
		unsigned channels[3], x_halves, y_halves;
	} kinds[] = {
	    {CU_AD_FORMAT_P010, CU_AD_FORMAT_UNSIGNED_INT16, {1, 2}, 2, 2},
	    {CU_AD_FORMAT_P016, CU_AD_FORMAT_UNSIGNED_INT16, {1, 2}, 2, 2},
	    {CU_AD_FORMAT_NV16, CU_AD_FORMAT_UNSIGNED_INT8, {1, 2}, 2, 1},
	    {CU_AD_FORMAT_P210, CU_AD_FORMAT_UNSIGNED_INT16, {1, 2}, 2, 1},
	    {CU_AD_FORMAT_P216, CU_AD_FORMAT_UNSIGNED_INT16, {1, 2}, 2, 1},
	    {CU_AD_FORMAT_Y444_PLANAR8, CU_AD_FORMAT_UNSIGNED_INT8, {1, 1, 1}, 1, 1},
	    {CU_AD_FORMAT_Y444_PLANAR10, CU_AD_FORMAT_UNSIGNED_INT16, {1, 1, 1}, 1, 1},
	    {CU_AD_FORMAT_YUV444_8bit_SemiPlanar, CU_AD_FORMAT_UNSIGNED_INT8, {1, 2}, 1, 1},
	    {CU_AD_FORMAT_YUV444_16bit_SemiPlanar, CU_AD_FORMAT_UNSIGNED_INT16, {1, 2}, 1, 1},
	};
	uint8_t *bytes = conform_random(64 * 32 * 4, 7);

	conform_begin();
	for (unsigned kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++) {
		CUDA_ARRAY3D_DESCRIPTOR got, shape = {.Width = 64,
						 .Height = 32,
						 .Format = kinds[kind].format,
						 .NumChannels = 3,
						 .Flags = CUDA_ARRAY3D_VIDEO_ENCODE_DECODE};
		size_t size = kinds[kind].plain == CU_AD_FORMAT_UNSIGNED_INT8 ? 1 : 2;
		CUarray picture, plane;

		OK(cuArray3DCreate(&picture, &shape));
		for (unsigned i = 0; i < 3; i++) {
			unsigned channels = kinds[kind].channels[i];
			size_t width = 64 / (i ? kinds[kind].x_halves : 1);
			size_t height = 32 / (i ? kinds[kind].y_halves : 1);

			if (!channels) {
				GIVES(
				    cuArrayGetPlane(&plane, picture, i), CUDA_ERROR_INVALID_VALUE);
				continue;
			}
			OK(cuArrayGetPlane(&plane, picture, i));
			OK(cuArray3DGetDescriptor(&got, plane));
			CHECK(got.Width == width && got.Height == height && !got.Depth);
			CHECK(got.Format == kinds[kind].plain && got.NumChannels == channels);
			OK(fill(plane, bytes, width * size * channels, height));
			GIVES(fill(plane, bytes, width * size * channels, height + 1),
			    CUDA_ERROR_INVALID_VALUE);
		}
		OK(cuArrayDestroy(picture));
		shape.NumChannels = 4;
		GIVES(cuArray3DCreate(&picture, &shape), CUDA_ERROR_INVALID_VALUE);
	}
	free(bytes);
}

CONFORM(fractions_of_ten_bits)
{
	static const uint32_t words[4] = {
	    0x3ff, 0xc0000000 | 1 << 10 | 512, 1 << 20 | 0x40000000, 0x80000000 | 1000};
	static const float wanted[4][4] = {{1, 0, 0, 0}, {512 / 1023.0f, 1 / 1023.0f, 0, 1},
	    {0, 0, 1 / 1023.0f, 1 / 3.0f}, {1000 / 1023.0f, 0, 0, 2 / 3.0f}};
	const struct format format = {.format = CU_AD_FORMAT_UNORM_INT_101010_2, .channels = 4};
	point in[4] = {{0.5f, 0.5f}, {1.5f, 0.5f}, {2.5f, 0.5f}, {3.5f, 0.5f}}, out[4];
	CUarray array;

	conform_begin();
	array = array_make(&format, 4, 1);
	OK(fill(array, words, sizeof(words), 1));
	run("look", texture_of(array, NULL), in, 4, out);
	for (unsigned i = 0; i < 4; i++)
		for (unsigned channel = 0; channel < 4; channel++)
			CHECK(fabsf(out[i][channel] - wanted[i][channel]) < 1e-6f);
}

/* ---- filters along the longer derivative ---- */

#define SIDE   64u
#define LEVELS 7u

/* Level 0 is 0 in its left half and 1 in its right one; the others are their number plus 10. Or
 * each is its number. */
static CUmipmappedArray levels_make(bool has_edge)
{
	const CUDA_ARRAY3D_DESCRIPTOR shape = {
	    .Width = SIDE, .Height = SIDE, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1};
	static float texels[SIDE * SIDE];
	CUmipmappedArray mipmap;

	OK(cuMipmappedArrayCreate(&mipmap, &shape, LEVELS));
	for (unsigned number = 0; number < LEVELS; number++) {
		unsigned side = SIDE >> number;
		CUarray level;

		for (unsigned i = 0; i < side * side; i++)
			texels[i] = !has_edge ? (float)number
				    : number  ? (float)number + 10
					      : (float)(i % side >= side / 2);
		OK(cuMipmappedArrayGetLevel(&level, mipmap, number));
		OK(fill(level, texels, side * sizeof(*texels), side));
	}
	return mipmap;
}

static CUtexObject sloping(CUmipmappedArray mipmap, unsigned anisotropy)
{
	const CUDA_RESOURCE_DESC resource = {
	    .resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY, .res.mipmap.hMipmappedArray = mipmap};
	const CUDA_TEXTURE_DESC how = {
	    .addressMode = {CU_TR_ADDRESS_MODE_CLAMP, CU_TR_ADDRESS_MODE_CLAMP},
	    .filterMode = CU_TR_FILTER_MODE_LINEAR,
	    .mipmapFilterMode = CU_TR_FILTER_MODE_LINEAR,
	    .flags = CU_TRSF_NORMALIZED_COORDINATES,
	    .maxAnisotropy = anisotropy,
	    .maxMipmapLevelClamp = LEVELS};
	CUtexObject texture;

	OK(cuTexObjectCreate(&texture, &resource, &how, NULL));
	return texture;
}

/* At the middle plus so many texels, the derivatives being (dx, 0) and (0, dy). */
static float look_along(CUtexObject texture, float off, float dx, float dy)
{
	point in = {0.5f + off / SIDE, 0.5f, dx / SIDE, dy / SIDE}, out;

	run("slope", texture, &in, 1, &out);
	return out[0];
}

#define NEAR(value, wanted) CHECK(fabsf((value) - (float)(wanted)) < 1.0f / 32)

CONFORM(the_shorter_derivative_chooses_the_level)
{
	CUmipmappedArray mipmap;
	CUtexObject texture;

	conform_begin();
	mipmap = levels_make(false);
	for (unsigned most = 0; most < 2; most++) {
		texture = sloping(mipmap, most);
		NEAR(look_along(texture, 0, 8, 1), 3);
		NEAR(look_along(texture, 0, 2, 4), 2);
	}
	texture = sloping(mipmap, 4);
	NEAR(look_along(texture, 0, 1, 1), 0);
	NEAR(look_along(texture, 0, 4, 1), 0);
	NEAR(look_along(texture, 0, 1, 4), 0);
	NEAR(look_along(texture, 0, 4, 2), 1);
	NEAR(look_along(texture, 0, 8, 2), 1);
	NEAR(look_along(texture, 0, 8, 1), 1);
	NEAR(look_along(texture, 0, 1, 16), 2);
	texture = sloping(mipmap, 16);
	NEAR(look_along(texture, 0, 16, 1), 0);
	NEAR(look_along(texture, 0, 32, 1), 1);
}

CONFORM(samples_lie_along_the_longer_derivative)
{
	CUtexObject texture;
	float value;

	conform_begin();
	texture = sloping(levels_make(true), 8);
	value = look_along(texture, 0, 8, 1);
	CHECK(value > 0.3f && value < 0.7f);
	value = look_along(texture, 2, 8, 1);
	CHECK(value > 0.55f && value < 0.98f);
	NEAR(look_along(texture, 10, 8, 1), 1);
	NEAR(look_along(texture, -10, 8, 1), 0);
	NEAR(look_along(texture, 2, 1, 8), 1);
}
