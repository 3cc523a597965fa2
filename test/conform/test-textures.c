/*
 * Arrays, mipmaps, textures and surfaces: what copies put where, and what kernels read and write.
 *
 * The kernels are written in PTX, one instruction each: thread i takes four words, coordinates
 * mostly, from in[i], and writes four words to out[i]. Texels and coordinates are such that every
 * weight of a filter is exact, so that results are equal bit for bit everywhere.
 */
#include "conform.h"

#define N 16 /* threads of a launch */

#define KERNEL(name, code)                                                                         \
	".visible .entry " #name "(.param .u64 number, .param .u64 in, .param .u64 out) {\n"       \
	".reg .b64 %n, %in, %out, %at; .reg .f32 %f<12>; .reg .b32 %r<12>;\n"                      \
	"ld.param.u64 %n, [number]; ld.param.u64 %in, [in]; ld.param.u64 %out, [out];\n"           \
	"mov.u32 %r9, %tid.x; mul.wide.u32 %at, %r9, 16;\n"                                        \
	"add.u64 %in, %in, %at; add.u64 %out, %out, %at;\n"                                        \
	"ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%in];\n"                                          \
	"mov.b32 %r1, %f1; mov.b32 %r2, %f2; mov.b32 %r3, %f3; mov.b32 %r4, %f4;\n" code "\n"
#define FLOATS "st.global.v4.f32 [%out], {%f5, %f6, %f7, %f8}; ret; }\n"
#define WORDS  "st.global.v4.b32 [%out], {%r5, %r6, %r7, %r8}; ret; }\n"
#define TO_F   " {%f5, %f6, %f7, %f8}, "
#define TO_R   " {%r5, %r6, %r7, %r8}, "

/* clang-format off */
static const char kernels[] =
	".version 7.0\n.target sm_70\n.address_size 64\n"
	KERNEL(fetch_1d, "tex.1d.v4.f32.s32" TO_F "[%n, {%r1}];") FLOATS
	KERNEL(fetch_2d, "tex.2d.v4.f32.s32" TO_F "[%n, {%r1, %r2}];") FLOATS
	KERNEL(tex_1d, "tex.1d.v4.f32.f32" TO_F "[%n, {%f1}];") FLOATS
	KERNEL(tex_2d, "tex.2d.v4.f32.f32" TO_F "[%n, {%f1, %f2}];") FLOATS
	KERNEL(tex_2d_words, "tex.2d.v4.u32.f32" TO_R "[%n, {%f1, %f2}];") WORDS
	KERNEL(tex_2d_signed, "tex.2d.v4.s32.f32" TO_R "[%n, {%f1, %f2}];") WORDS
	KERNEL(tex_3d, "tex.3d.v4.f32.f32" TO_F "[%n, {%f1, %f2, %f3, %f3}];") FLOATS
	KERNEL(tex_a1d, "tex.a1d.v4.f32.f32" TO_F "[%n, {%r1, %f2}];") FLOATS
	KERNEL(tex_a2d, "tex.a2d.v4.f32.f32" TO_F "[%n, {%r1, %f2, %f3, %f3}];") FLOATS
	KERNEL(tex_cube, "tex.cube.v4.f32.f32" TO_F "[%n, {%f1, %f2, %f3, %f3}];") FLOATS
	KERNEL(tex_acube, "tex.acube.v4.f32.f32" TO_F "[%n, {%r4, %f1, %f2, %f3}];") FLOATS
	KERNEL(level, "tex.level.2d.v4.f32.f32" TO_F "[%n, {%f1, %f2}], %f3;") FLOATS
	KERNEL(grad, "tex.grad.2d.v4.f32.f32" TO_F "[%n, {%f1, %f2}], {%f3, %f4}, {%f4, %f3};") FLOATS
	KERNEL(gather, "tld4.r.2d.v4.f32.f32" TO_F "[%n, {%f1, %f2}];") FLOATS
	KERNEL(sizes, "txq.width.b32 %r5, [%n]; txq.height.b32 %r6, [%n]; mov.u32 %r7, 0; mov.u32 %r8, 0;")
		WORDS
	KERNEL(load_2d, "suld.b.2d.b32.zero {%r5}, [%n, {%r1, %r2}];\n"
		"suld.b.2d.b32.clamp {%r6}, [%n, {%r1, %r2}]; mov.u32 %r7, 0; mov.u32 %r8, 0;") WORDS
	KERNEL(store_2d, "sust.b.2d.b32.zero [%n, {%r1, %r2}], {%r3};") "ret; }\n"
	KERNEL(store_a2d, "sust.b.a2d.v2.b32.trap [%n, {%r1, %r2, %r3, %r3}], {%r4, %r1};") "ret; }\n"
	;
/* clang-format on */

union word4 {
	float f[4];
	unsigned u[4];
};

static CUfunction kernel(const char *name)
{
	static CUmodule module;
	CUfunction function;

	if (!module)
		OK(cuModuleLoadData(&module, kernels));
	OK(cuModuleGetFunction(&function, module, name));
	return function;
}

/* Runs a kernel over n sets of operands. */
static void run(
    const char *name, uint64_t number, const union word4 *in, unsigned n, union word4 *out)
{
	CUdeviceptr from, to;
	void *parameters[] = {&number, &from, &to};

	OK(cuMemAlloc(&from, n * sizeof(*in)));
	OK(cuMemAlloc(&to, n * sizeof(*in)));
	OK(cuMemcpyHtoD(from, in, n * sizeof(*in)));
	OK(cuMemsetD8(to, 0, n * sizeof(*in)));
	OK(conform_launch(kernel(name), 1, n, 0, NULL, parameters));
	OK(cuMemcpyDtoH(out, to, n * sizeof(*in)));
	OK(cuMemFree(from));
	OK(cuMemFree(to));
}

#define AT(...)                                                                                    \
	{                                                                                          \
		.f = { __VA_ARGS__ }                                                               \
	}

/* The first channel of what a kernel reads at given places. */
static void expect(int line, const char *name, uint64_t number, const union word4 *in, unsigned n,
    const float *wanted)
{
	union word4 out[N];

	run(name, number, in, n, out);
	for (unsigned i = 0; i < n; i++)
		if (!(out[i].f[0] == wanted[i]))
			test_fail(__FILE__, line, "%s at {%g, %g, %g} is %.9g, wanted %.9g", name,
			    in[i].f[0], in[i].f[1], in[i].f[2], out[i].f[0], wanted[i]);
}

#define EXPECT(name, number, wanted, ...)                                                          \
	do {                                                                                       \
		static const union word4 places[] = {__VA_ARGS__};                                 \
		expect(__LINE__, name, number, places, sizeof(places) / sizeof(*places), wanted);  \
	} while (0)
#define VALUES(...) ((const float[]){__VA_ARGS__})

static CUarray array_make(CUarray_format format, unsigned channels, size_t width, size_t height,
    size_t depth, unsigned flags)
{
	const CUDA_ARRAY3D_DESCRIPTOR shape = {.Width = width,
	    .Height = height,
	    .Depth = depth,
	    .Format = format,
	    .NumChannels = channels,
	    .Flags = flags};
	CUarray array;

	OK(cuArray3DCreate(&array, &shape));
	return array;
}

/* Between tightly packed host memory and all of an array. */
static void array_move(
    CUarray array, void *host, size_t row, size_t rows, size_t layers, bool is_read)
{
	CUDA_MEMCPY3D copy = {.WidthInBytes = row, .Height = rows, .Depth = layers};

	copy.srcMemoryType = is_read ? CU_MEMORYTYPE_ARRAY : CU_MEMORYTYPE_HOST;
	copy.dstMemoryType = is_read ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_ARRAY;
	copy.srcArray = copy.dstArray = array;
	copy.srcHost = copy.dstHost = host;
	copy.srcPitch = copy.dstPitch = row;
	copy.srcHeight = copy.dstHeight = rows;
	OK(cuMemcpy3D(&copy));
}

/* An array of floats 0, 1, 2, ... */
static CUarray counting(size_t width, size_t height, size_t depth, unsigned flags)
{
	size_t rows = height ?: 1, layers = depth ?: 1, n = width * rows * layers;
	CUarray array = array_make(CU_AD_FORMAT_FLOAT, 1, width, height, depth, flags);
	float *texels = malloc(n * sizeof(*texels));

	CHECK(texels);
	for (size_t i = 0; i < n; i++)
		texels[i] = (float)i;
	array_move(array, texels, width * sizeof(*texels), rows, layers, false);
	free(texels);
	return array;
}

/* A mode for the dimensions the array has: a linear filter takes a line for an image of one row,
 * and the border above and below it into account. */
static CUtexObject texture_of(
    CUarray array, CUaddress_mode mode, CUfilter_mode filter, unsigned flags)
{
	const CUDA_RESOURCE_DESC resource = {
	    .resType = CU_RESOURCE_TYPE_ARRAY, .res.array.hArray = array};
	CUDA_ARRAY3D_DESCRIPTOR shape;
	OK(cuArray3DGetDescriptor(&shape, array));
	const CUDA_TEXTURE_DESC how = {
	    .addressMode = {mode, shape.Height ? mode : CU_TR_ADDRESS_MODE_CLAMP,
		shape.Depth ? mode : CU_TR_ADDRESS_MODE_CLAMP},
	    .filterMode = filter,
	    .flags = flags,
	    .borderColor = {100}};
	CUtexObject texture;

	OK(cuTexObjectCreate(&texture, &resource, &how, NULL));
	CHECK(texture);
	return texture;
}

static CUsurfObject surface_of(CUarray array)
{
	const CUDA_RESOURCE_DESC resource = {
	    .resType = CU_RESOURCE_TYPE_ARRAY, .res.array.hArray = array};
	CUsurfObject surface;

	OK(cuSurfObjectCreate(&surface, &resource));
	return surface;
}

#define CLAMP  CU_TR_ADDRESS_MODE_CLAMP
#define POINT  CU_TR_FILTER_MODE_POINT
#define LINEAR CU_TR_FILTER_MODE_LINEAR

CONFORM(arrays_have_shapes)
{
	static const CUDA_ARRAY3D_DESCRIPTOR wrong[] = {
	    {.Width = 0, .Height = 4, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1},
	    {.Width = 4, .Height = 4, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 3},
	    {.Width = 4, .Height = 4, .Format = (CUarray_format)77, .NumChannels = 1},
	    {.Width = 4, .Height = 0, .Depth = 4, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1},
	    {.Width = 4,
		.Height = 8,
		.Depth = 6,
		.Format = CU_AD_FORMAT_FLOAT,
		.NumChannels = 1,
		.Flags = CUDA_ARRAY3D_CUBEMAP},
	    {.Width = 4,
		.Height = 4,
		.Depth = 5,
		.Format = CU_AD_FORMAT_FLOAT,
		.NumChannels = 1,
		.Flags = CUDA_ARRAY3D_CUBEMAP},
	    {.Width = (size_t)1 << 40, .Height = 4, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1},
	};
	CUDA_ARRAY3D_DESCRIPTOR got;
	CUDA_ARRAY_DESCRIPTOR flat;
	CUarray array;

	conform_begin();
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		GIVES(cuArray3DCreate(&array, &wrong[i]), CUDA_ERROR_INVALID_VALUE);
	array = array_make(CU_AD_FORMAT_UNSIGNED_INT8, 4, 20, 10, 7, CUDA_ARRAY3D_LAYERED);
	OK(cuArray3DGetDescriptor(&got, array));
	CHECK_EQ(got.Width, 20);
	CHECK_EQ(got.Height, 10);
	CHECK_EQ(got.Depth, 7);
	CHECK_EQ(got.Format, CU_AD_FORMAT_UNSIGNED_INT8);
	CHECK_EQ(got.NumChannels, 4);
	CHECK_EQ(got.Flags, CUDA_ARRAY3D_LAYERED);
	OK(cuArrayDestroy(array));
	array = array_make(CU_AD_FORMAT_HALF, 2, 20, 10, 0, 0);
	OK(cuArrayGetDescriptor(&flat, array));
	CHECK_EQ(flat.Width, 20);
	CHECK_EQ(flat.Height, 10);
	CHECK_EQ(flat.Format, CU_AD_FORMAT_HALF);
	CHECK_EQ(flat.NumChannels, 2);
	OK(cuArrayDestroy(array));
}

CONFORM(arrays_are_copied_every_way)
{
	enum { WIDTH = 12, HEIGHT = 5, DEPTH = 3, SIZE = WIDTH * HEIGHT * DEPTH };
	uint8_t *in = conform_random(SIZE, 1), *out = conform_random(SIZE, 2);
	CUarray a, b, line;
	CUdeviceptr device;

	conform_begin();
	a = array_make(CU_AD_FORMAT_UNSIGNED_INT8, 1, WIDTH, HEIGHT, DEPTH, 0);
	b = array_make(CU_AD_FORMAT_UNSIGNED_INT8, 1, WIDTH, HEIGHT, DEPTH, 0);
	line = array_make(CU_AD_FORMAT_UNSIGNED_INT8, 1, SIZE, 0, 0, 0);
	OK(cuMemAlloc(&device, SIZE));
	array_move(a, in, WIDTH, HEIGHT, DEPTH, false);
	CUDA_MEMCPY3D copy = {.srcMemoryType = CU_MEMORYTYPE_ARRAY,
	    .srcArray = a,
	    .dstMemoryType = CU_MEMORYTYPE_ARRAY,
	    .dstArray = b,
	    .WidthInBytes = WIDTH,
	    .Height = HEIGHT,
	    .Depth = DEPTH};
	OK(cuMemcpy3D(&copy));
	array_move(b, out, WIDTH, HEIGHT, DEPTH, true);
	CHECK_BYTES(out, in, SIZE);
	copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
	copy.dstDevice = device;
	copy.dstPitch = WIDTH;
	copy.dstHeight = HEIGHT;
	OK(cuMemcpy3D(&copy));
	OK(cuMemcpyDtoA(line, 0, device, SIZE));
	OK(cuMemcpyAtoH(out, line, 7, SIZE - 7));
	CHECK_BYTES(out, in + 7, SIZE - 7);
	OK(cuMemcpyHtoA(line, 3, in, 20));
	OK(cuMemcpyAtoA(line, 40, line, 3, 20));
	OK(cuMemcpyAtoD(device, line, 40, 20));
	OK(cuMemcpyDtoH(out, device, 20));
	CHECK_BYTES(out, in, 20);
	/* A box in the middle. */
	copy.srcXInBytes = 2, copy.srcY = 1, copy.srcZ = 1;
	copy.WidthInBytes = 4, copy.Height = 2, copy.Depth = 2;
	copy.dstPitch = 4, copy.dstHeight = 2;
	OK(cuMemcpy3D(&copy));
	OK(cuMemcpyDtoH(out, device, 16));
	for (unsigned z = 0; z < 2; z++)
		for (unsigned y = 0; y < 2; y++)
			CHECK_BYTES(
			    out + (z * 2 + y) * 4, in + ((z + 1) * HEIGHT + y + 1) * WIDTH + 2, 4);
	copy.srcXInBytes = 9;
	GIVES(cuMemcpy3D(&copy), CUDA_ERROR_INVALID_VALUE);
	free(in);
	free(out);
}

CONFORM(points)
{
	CUtexObject texture;

	conform_begin();
	texture = texture_of(counting(8, 4, 0, 0), CLAMP, POINT, 0);
	EXPECT("tex_2d", texture, VALUES(0, 10, 31, 24, 7), AT(0, 0), AT(2.75f, 1.5f), AT(100, 100),
	    AT(-3, 9), AT(9, -1));
	EXPECT("fetch_2d", texture, VALUES(10, 31), {.u = {2, 1}}, {.u = {7, 3}});
	texture = texture_of(counting(16, 0, 0, 0), CLAMP, POINT, 0);
	EXPECT("tex_1d", texture, VALUES(3, 15), AT(3.5f), AT(16));
	texture = texture_of(counting(4, 4, 4, 0), CLAMP, POINT, 0);
	EXPECT("tex_3d", texture, VALUES(57), AT(1.5f, 2.5f, 3.5f));
}

CONFORM(linear_filter)
{
	CUtexObject texture;

	conform_begin();
	texture = texture_of(counting(8, 4, 0, 0), CLAMP, LINEAR, 0);
	EXPECT("tex_2d", texture, VALUES(0, 4.5f, 5.75f, 31), AT(0, 0), AT(1, 1), AT(2.25f, 1),
	    AT(50, 50));
	texture = texture_of(counting(4, 4, 4, 0), CLAMP, LINEAR, 0);
	EXPECT("tex_3d", texture, VALUES(10.5f), AT(1, 1, 1));
	texture = texture_of(counting(8, 4, 0, CUDA_ARRAY3D_TEXTURE_GATHER), CLAMP, LINEAR, 0);
	union word4 in = AT(3, 2), out;
	run("gather", texture, &in, 1, &out);
	CHECK(out.f[0] == 18 && out.f[1] == 19 && out.f[2] == 11 && out.f[3] == 10);
}

CONFORM(address_modes)
{
	const unsigned normalized = CU_TRSF_NORMALIZED_COORDINATES;
	CUarray array;

	conform_begin();
	array = counting(8, 0, 0, 0);
	EXPECT("tex_1d", texture_of(array, CU_TR_ADDRESS_MODE_WRAP, POINT, normalized),
	    VALUES(1, 7, 2), AT(1.1875f), AT(-0.0625f), AT(4.3125f));
	EXPECT("tex_1d", texture_of(array, CU_TR_ADDRESS_MODE_MIRROR, POINT, normalized),
	    VALUES(6, 0, 2), AT(1.1875f), AT(-0.0625f), AT(4.3125f));
	EXPECT("tex_1d", texture_of(array, CLAMP, POINT, normalized), VALUES(7, 0), AT(1.1875f),
	    AT(-0.0625f));
	EXPECT("tex_1d", texture_of(array, CU_TR_ADDRESS_MODE_BORDER, POINT, normalized),
	    VALUES(100, 100, 4), AT(1.1875f), AT(-0.0625f), AT(0.5625f));
	EXPECT("tex_1d", texture_of(array, CU_TR_ADDRESS_MODE_WRAP, LINEAR, normalized),
	    VALUES(3.5f, 0.5f), AT(0), AT(0.125f));
	EXPECT("tex_1d", texture_of(array, CU_TR_ADDRESS_MODE_BORDER, LINEAR, 0), VALUES(50, 100),
	    AT(0), AT(-2));
}

CONFORM(integers_as_numbers_and_as_fractions)
{
	static const int8_t texels[] = {127, 0, -128, -1, 1, 2, 3, 4};
	CUarray array;
	union word4 in = AT(0.5f, 0.5f), out;

	conform_begin();
	array = array_make(CU_AD_FORMAT_SIGNED_INT8, 4, 2, 1, 0, 0);
	array_move(array, (void *)texels, sizeof(texels), 1, 1, false);
	run("tex_2d_signed", texture_of(array, CLAMP, POINT, CU_TRSF_READ_AS_INTEGER), &in, 1,
	    &out);
	CHECK_EQ((int)out.u[0], 127);
	CHECK_EQ((int)out.u[1], 0);
	CHECK_EQ((int)out.u[2], -128);
	CHECK_EQ((int)out.u[3], -1);
	run("tex_2d", texture_of(array, CLAMP, POINT, 0), &in, 1, &out);
	CHECK(out.f[0] == 1 && out.f[1] == 0 && out.f[2] == -1);
	array = array_make(CU_AD_FORMAT_UNSIGNED_INT16, 2, 2, 1, 0, 0);
	array_move(array, (void *)(const uint16_t[]){65535, 0, 7, 8}, 8, 1, 1, false);
	run("tex_2d", texture_of(array, CLAMP, POINT, 0), &in, 1, &out);
	CHECK(out.f[0] == 1 && out.f[1] == 0);
	in.f[0] = 1.5f;
	run("tex_2d_words", texture_of(array, CLAMP, POINT, CU_TRSF_READ_AS_INTEGER), &in, 1, &out);
	CHECK(out.u[0] == 7 && out.u[1] == 8);
	array = array_make(CU_AD_FORMAT_HALF, 1, 2, 1, 0, 0);
	array_move(array, (void *)(const uint16_t[]){0x3c00, 0xc100}, 4, 1, 1, false);
	EXPECT("tex_2d", texture_of(array, CLAMP, LINEAR, 0), VALUES(1, -2.5f, -0.75f), AT(0, 0),
	    AT(2, 0), AT(1, 0));
}

CONFORM(layers_and_faces)
{
	CUtexObject texture;

	conform_begin();
	texture = texture_of(counting(4, 0, 3, CUDA_ARRAY3D_LAYERED), CLAMP, POINT, 0);
	EXPECT("tex_a1d", texture, VALUES(10, 1), {.u = {2, 0x40200000}}, {.u = {0, 0x3fc00000}});
	texture = texture_of(counting(4, 2, 3, CUDA_ARRAY3D_LAYERED), CLAMP, LINEAR, 0);
	EXPECT("tex_a2d", texture, VALUES(18.5f), {.u = {2, 0x3f800000, 0x3f800000}});
	texture = texture_of(
	    counting(2, 2, 6, CUDA_ARRAY3D_CUBEMAP), CLAMP, POINT, CU_TRSF_NORMALIZED_COORDINATES);
	EXPECT("tex_cube", texture, VALUES(3, 5, 9, 14, 17, 20), AT(1, -0.5f, -0.5f),
	    AT(-1, 0.5f, 0.5f), AT(0.5f, 1, -0.5f), AT(-0.5f, -1, -0.5f), AT(0.5f, 0.5f, 1),
	    AT(0.5f, 0.5f, -1));
	texture = texture_of(counting(2, 2, 12, CUDA_ARRAY3D_CUBEMAP | CUDA_ARRAY3D_LAYERED), CLAMP,
	    POINT, CU_TRSF_NORMALIZED_COORDINATES);
	EXPECT("tex_acube", texture, VALUES(27), {.u = {0x3f800000, 0xbf000000, 0xbf000000, 1}});
}

CONFORM(plain_memory)
{
	enum { WIDTH = 32, HEIGHT = 4 };
	CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_LINEAR};
	CUDA_TEXTURE_DESC how = {.addressMode = {CLAMP, CLAMP}};
	float texels[WIDTH * HEIGHT];
	CUtexObject texture;
	CUdeviceptr device;

	conform_begin();
	OK(cuMemAlloc(&device, sizeof(texels)));
	for (unsigned i = 0; i < WIDTH * HEIGHT; i++)
		texels[i] = (float)i;
	OK(cuMemcpyHtoD(device, texels, sizeof(texels)));
	resource.res.linear.devPtr = device;
	resource.res.linear.format = CU_AD_FORMAT_FLOAT;
	resource.res.linear.numChannels = 1;
	resource.res.linear.sizeInBytes = sizeof(texels);
	OK(cuTexObjectCreate(&texture, &resource, &how, NULL));
	EXPECT("fetch_1d", texture, VALUES(0, 99, 0), {.u = {0}}, {.u = {99}}, {.u = {128}});
	OK(cuTexObjectDestroy(texture));
	/* It may claim more than was allocated, if nobody reads that. */
	resource.res.linear.sizeInBytes += 1 << 20;
	OK(cuTexObjectCreate(&texture, &resource, &how, NULL));
	EXPECT("fetch_1d", texture, VALUES(0, 99), {.u = {0}}, {.u = {99}});
	OK(cuTexObjectDestroy(texture));
	resource = (CUDA_RESOURCE_DESC){.resType = CU_RESOURCE_TYPE_PITCH2D};
	resource.res.pitch2D.devPtr = device;
	resource.res.pitch2D.format = CU_AD_FORMAT_FLOAT;
	resource.res.pitch2D.numChannels = 1;
	resource.res.pitch2D.width = 20;
	resource.res.pitch2D.height = HEIGHT;
	resource.res.pitch2D.pitchInBytes = WIDTH * sizeof(float);
	how.filterMode = LINEAR;
	OK(cuTexObjectCreate(&texture, &resource, &how, NULL));
	EXPECT("tex_2d", texture, VALUES(19, 16.5f, 65), AT(100, 0), AT(1, 1), AT(17.5f, 2));
	OK(cuTexObjectDestroy(texture));
	OK(cuMemFree(device));
}

/* Levels of 8, 4, 2 and 1 texels a side, each filled with its number. */
static CUmipmappedArray mipmap_make(void)
{
	const CUDA_ARRAY3D_DESCRIPTOR shape = {
	    .Width = 8, .Height = 8, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1};
	CUmipmappedArray mipmap;
	CUDA_ARRAY3D_DESCRIPTOR got;
	CUarray array;
	float texels[64];

	OK(cuMipmappedArrayCreate(&mipmap, &shape, 4));
	for (unsigned level = 0; level < 4; level++) {
		size_t side = 8 >> level;

		for (unsigned i = 0; i < 64; i++)
			texels[i] = (float)level;
		OK(cuMipmappedArrayGetLevel(&array, mipmap, level));
		OK(cuArray3DGetDescriptor(&got, array));
		CHECK_EQ(got.Width, side);
		CHECK_EQ(got.Height, side);
		array_move(array, texels, side * sizeof(float), side, 1, false);
	}
	GIVES(cuMipmappedArrayGetLevel(&array, mipmap, 4), CUDA_ERROR_INVALID_VALUE);
	return mipmap;
}

CONFORM(mipmaps)
{
	CUDA_RESOURCE_DESC resource = {.resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY};
	CUDA_TEXTURE_DESC how = {.addressMode = {CLAMP, CLAMP, CLAMP},
	    .flags = CU_TRSF_NORMALIZED_COORDINATES,
	    .maxMipmapLevelClamp = 10};
	CUDA_RESOURCE_VIEW_DESC view = {.format = CU_RES_VIEW_FORMAT_FLOAT_1X32,
	    .width = 8,
	    .height = 8,
	    .firstMipmapLevel = 1,
	    .lastMipmapLevel = 2};
	CUtexObject texture;

	conform_begin();
	resource.res.mipmap.hMipmappedArray = mipmap_make();
	OK(cuTexObjectCreate(&texture, &resource, &how, NULL));
	EXPECT("tex_2d", texture, VALUES(0), AT(0.5f, 0.5f));
	EXPECT("level", texture, VALUES(0, 1, 2, 3, 3), AT(0.5f, 0.5f, 0.25f), AT(0.5f, 0.5f, 1),
	    AT(0.5f, 0.5f, 1.75f), AT(0.5f, 0.5f, 3), AT(0.5f, 0.5f, 99));
	EXPECT("grad", texture, VALUES(0, 2), AT(0.5f, 0.5f, 0.125f, 0), AT(0.5f, 0.5f, 0.5f, 0));
	how.mipmapFilterMode = LINEAR;
	how.mipmapLevelBias = 0.5f;
	how.maxMipmapLevelClamp = 2.25f;
	OK(cuTexObjectCreate(&texture, &resource, &how, NULL));
	EXPECT("level", texture, VALUES(0.5f, 1.75f, 2.25f), AT(0.5f, 0.5f, 0),
	    AT(0.5f, 0.5f, 1.25f), AT(0.5f, 0.5f, 3));
	how.mipmapLevelBias = 0;
	how.maxMipmapLevelClamp = 10;
	OK(cuTexObjectCreate(&texture, &resource, &how, &view));
	EXPECT("level", texture, VALUES(1, 1.5f, 2), AT(0.5f, 0.5f, 0), AT(0.5f, 0.5f, 0.5f),
	    AT(0.5f, 0.5f, 3));
	OK(cuMipmappedArrayDestroy(resource.res.mipmap.hMipmappedArray));
}

CONFORM(surfaces)
{
	static const union word4 at[] = {{.u = {8, 1}}, {.u = {32, 1}}, {.u = {4, 9}}};
	static const union word4 stores[] = {{.u = {8, 1, 77}}, {.u = {32, 1, 78}}};
	CUarray array;
	CUsurfObject surface;
	union word4 out[3];
	unsigned texels[32], words[24];

	conform_begin();
	array = counting(8, 4, 0, CUDA_ARRAY3D_SURFACE_LDST);
	surface = surface_of(array);
	run("load_2d", surface, at, 3, out);
	CHECK(out[0].f[0] == 10 && out[0].f[1] == 10);
	CHECK(out[1].u[0] == 0 && out[1].f[1] == 15);
	CHECK(out[2].u[0] == 0 && out[2].f[1] == 25);
	run("store_2d", surface, stores, 2, out);
	array_move(array, texels, 32, 4, 1, true);
	CHECK_EQ(texels[10], 77);
	CHECK_EQ(texels[15], 0x41700000);
	CHECK_EQ(texels[16], 0x41800000);
	OK(cuSurfObjectDestroy(surface));
	array = array_make(CU_AD_FORMAT_UNSIGNED_INT32, 2, 2, 2, 3,
	    CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_SURFACE_LDST);
	memset(words, 0, sizeof(words));
	array_move(array, words, 16, 2, 3, false);
	surface = surface_of(array);
	run("store_a2d", surface, &(union word4){.u = {2, 8, 1, 55}}, 1, out);
	array_move(array, words, 16, 2, 3, true);
	CHECK_EQ(words[22], 55);
	CHECK_EQ(words[23], 2);
	CHECK_EQ(words[21], 0);
}

CONFORM(descriptions_come_back)
{
	CUDA_RESOURCE_DESC resource;
	CUDA_TEXTURE_DESC how;
	CUtexObject texture;
	CUarray array;
	union word4 in = {0}, out;

	conform_begin();
	array = counting(8, 4, 0, 0);
	texture =
	    texture_of(array, CU_TR_ADDRESS_MODE_MIRROR, LINEAR, CU_TRSF_NORMALIZED_COORDINATES);
	OK(cuTexObjectGetResourceDesc(&resource, texture));
	CHECK_EQ(resource.resType, CU_RESOURCE_TYPE_ARRAY);
	CHECK(resource.res.array.hArray == array);
	OK(cuTexObjectGetTextureDesc(&how, texture));
	CHECK_EQ(how.addressMode[1], CU_TR_ADDRESS_MODE_MIRROR);
	CHECK_EQ(how.filterMode, LINEAR);
	CHECK_EQ(how.flags, CU_TRSF_NORMALIZED_COORDINATES);
	run("sizes", texture, &in, 1, &out);
	CHECK(out.u[0] == 8 && out.u[1] == 4);
	OK(cuTexObjectDestroy(texture));
	resource = (CUDA_RESOURCE_DESC){.resType = CU_RESOURCE_TYPE_ARRAY};
	resource.res.array.hArray = array;
	GIVES(cuTexObjectCreate(NULL, &resource, &how, NULL), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuTexObjectCreate(&texture, &resource, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
	resource.resType = (CUresourcetype)9;
	GIVES(cuTexObjectCreate(&texture, &resource, &how, NULL), CUDA_ERROR_INVALID_VALUE);
}
