/*
 * Texture and surface instructions, by tables: what they read from given texels, and where they
 * write. Expected values follow from the CUDA programming guide's formulas; texels and coordinates
 * are such that every weight is exact.
 *
 * In the snippets %rd1 is the texture's or surface's number and %r1 to %r4 are the row's inputs;
 * the results are %r5 to %r8.
 */
#include <math.h>

#include "softgpu/exec/float-bits.h"
#include "softgpu/exec/test-machine.h"
#include "softgpu/exec/texture.h"

#define F(x) ((uint32_t)f32_bits(x))

struct row {
	const char *code;
	uint32_t in[4], want[4];
};

static const char row_format[] =
    ".visible .entry k%zu(.param .u64 io, .param .u64 number) {\n"
    ".reg .b64 %%io, %%rd<8>; .reg .b32 %%r<12>; .reg .b16 %%h<8>; .reg .pred %%p<4>;\n"
    "ld.param.u64 %%io, [io]; ld.param.u64 %%rd1, [number];\n"
    "ld.global.v4.u32 {%%r1, %%r2, %%r3, %%r4}, [%%io];\n"
    "mov.u32 %%r5, 0; mov.u32 %%r6, 0; mov.u32 %%r7, 0; mov.u32 %%r8, 0;\n"
    "%s\n"
    "st.global.v4.u32 [%%io+16], {%%r5, %%r6, %%r7, %%r8}; ret; }\n";

static struct sg_module *load_rows(const struct row *rows, size_t n)
{
	size_t capacity = n * 2048 + 256, used;
	char *text = malloc(capacity);

	CHECK(text);
	used = (size_t)snprintf(text, capacity, ".version 8.6\n.target sm_90\n.address_size 64\n");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, capacity - used, row_format, i, rows[i].code);
#pragma GCC diagnostic pop
	struct sg_module *module = module_load(text);
	free(text);
	return module;
}

static void run_rows(const struct sg_texture *texture, const struct row *rows, size_t n)
{
	struct sg_module *module = load_rows(rows, n);
	uint32_t *io = device_alloc(32);
	uint64_t number = sg_texture_new(texture), params[2] = {(uint64_t)io, number};
	unsigned wrong = 0;

	CHECK(number);
	for (size_t i = 0; i < n; i++) {
		char name[16];

		snprintf(name, sizeof(name), "k%zu", i);
		memcpy(io, rows[i].in, sizeof(rows[i].in));
		launch_fine(kernel_get(module, name), 1, 1, params, 2);
		if (!memcmp(io + 4, rows[i].want, sizeof(rows[i].want)))
			continue;
		printf("# %s of %08x %08x %08x %08x is %08x %08x %08x %08x, wanted %08x %08x %08x "
		       "%08x\n",
		    rows[i].code, io[0], io[1], io[2], io[3], io[4], io[5], io[6], io[7],
		    rows[i].want[0], rows[i].want[1], rows[i].want[2], rows[i].want[3]);
		wrong++;
	}
	sg_texture_free(number);
	CHECK_EQ(wrong, 0);
}

#define RUN(texture, ...)                                                                          \
	do {                                                                                       \
		const struct row rows[] = {__VA_ARGS__};                                           \
		run_rows((texture), rows, ARRAY_SIZE(rows));                                       \
	} while (0)

/* width x height x depth floats 0, 1, 2, ... times scale. */
static struct sg_texture floats(uint32_t width, uint32_t height, uint32_t depth, float scale)
{
	size_t n = (size_t)width * height * depth;
	float *texels = device_alloc(n * sizeof(*texels));

	for (size_t i = 0; i < n; i++)
		texels[i] = (float)i * scale;
	return (struct sg_texture){
	    .image =
		{
		    .levels = {(uint64_t)texels},
		    .width = width,
		    .height = height,
		    .depth = depth,
		    .layers = 1,
		    .n_levels = 1,
		    .n_channels = 1,
		    .channel_bytes = 4,
		    .channel = SG_CHANNEL_FLOAT,
		},
	    .sampler = {.address_mode = {SG_ADDRESS_CLAMP, SG_ADDRESS_CLAMP, SG_ADDRESS_CLAMP}},
	};
}

#define TEX1D "tex.1d.v4.f32.f32 {%r5, %r6, %r7, %r8}, [%rd1, {%r1}];"
#define TEX2D "tex.2d.v4.f32.f32 {%r5, %r6, %r7, %r8}, [%rd1, {%r1, %r2}];"
#define ONE   F(1) /* a missing fourth channel */

TEST_LIMIT(nearest_and_missing_channels, 60)
{
	struct sg_texture t = floats(8, 1, 1, 1);

	RUN(&t, {TEX1D, {F(2.9f)}, {F(2), 0, 0, ONE}}, {TEX1D, {F(3)}, {F(3), 0, 0, ONE}},
	    {TEX1D, {F(-5)}, {F(0), 0, 0, ONE}}, {TEX1D, {F(1e30f)}, {F(7), 0, 0, ONE}},
	    {TEX1D, {F(NAN)}, {F(0), 0, 0, ONE}}, {TEX1D, {F(-INFINITY)}, {F(0), 0, 0, ONE}},
	    {"tex.1d.v4.f32.f32 {%r5, _, _, _}, [%rd1, %r1];", {F(5)}, {F(5)}},
	    {"tex.1d.v4.f32.s32 {%r5, %r6, %r7, %r8}, [%rd1, {%r1}];", {6}, {F(6), 0, 0, ONE}},
	    {"tex.1d.v4.f32.s32 {%r5, %r6, %r7, %r8}, [%rd1, {%r1}];", {100}, {F(7), 0, 0, ONE}},
	    {"tex.1d.v4.f32.f32 {%r5, %r6, %r7, %r8}|%p1, [%rd1, {%r1}];\n"
	     "selp.u32 %r6, 7, 8, %p1;",
		{F(4)}, {F(4), 7, 0, ONE}},
	    {"tex.1d.v2.f16x2.f32 {%r5, %r6}, [%rd1, {%r1}];", {F(3)}, {0x4200, 0x3c000000}},
	    {"tex.1d.v4.f16.f32 {%h1, %h2, %h3, %h4}, [%rd1, {%r1}]; cvt.u32.u16 %r5, %h1;", {F(2)},
		{0x4000}});
}

TEST_LIMIT(linear_weights, 60)
{
	struct sg_texture t = floats(8, 1, 1, 256);

	t.sampler.is_linear = true;
	/* 256 texel values a step: the result shows the weight's 8 bits. */
	RUN(&t, {TEX1D, {F(1.5f)}, {F(256), 0, 0, ONE}}, {TEX1D, {F(2)}, {F(384), 0, 0, ONE}},
	    {TEX1D, {F(0.5f + 1 / 256.0f)}, {F(1), 0, 0, ONE}},
	    {TEX1D, {F(0.5f + 1 / 1024.0f)}, {F(0), 0, 0, ONE}},
	    {TEX1D, {F(0.5f + 3 / 1024.0f)}, {F(1), 0, 0, ONE}}, {TEX1D, {F(0)}, {F(0), 0, 0, ONE}},
	    {TEX1D, {F(20)}, {F(1792), 0, 0, ONE}},
	    {"tex.1d.v4.f32.f32 {%r5, %r6, %r7, %r8}, [%rd1, {%r1}], {%r2};", {F(1.5f), 3},
		{F(1024), 0, 0, ONE}});
	t = floats(4, 4, 1, 1);
	t.sampler.is_linear = true;
	RUN(&t, {TEX2D, {F(1), F(1)}, {F(2.5f), 0, 0, ONE}},
	    {TEX2D, {F(1.75f), F(2.5f)}, {F(9.25f), 0, 0, ONE}},
	    {"tld4.r.2d.v4.f32.f32 {%r5, %r6, %r7, %r8}, [%rd1, {%r1, %r2}];", {F(2), F(1)},
		{F(5), F(6), F(2), F(1)}},
	    {"tld4.a.2d.v4.f32.f32 {%r5, %r6, %r7, %r8}, [%rd1, {%r1, %r2}], {%r3, %r4};",
		{F(2), F(1), 1, 1}, {ONE, ONE, ONE, ONE}});
	t = floats(2, 2, 2, 1);
	t.sampler.is_linear = true;
	RUN(&t, {"tex.3d.v4.f32.f32 {%r5, %r6, %r7, %r8}, [%rd1, {%r1, %r2, %r3, %r3}];",
		    {F(1), F(1), F(1)}, {F(3.5f), 0, 0, ONE}});
}

TEST_LIMIT(address_modes, 60)
{
	struct sg_texture t = floats(4, 1, 1, 1);

	t.sampler.is_normalized = true;
	t.sampler.address_mode[0] = SG_ADDRESS_WRAP;
	RUN(&t, {TEX1D, {F(1.25f)}, {F(1), 0, 0, ONE}}, {TEX1D, {F(-0.25f)}, {F(3), 0, 0, ONE}},
	    {TEX1D, {F(-1e-9f)}, {F(3), 0, 0, ONE}});
	t.sampler.address_mode[0] = SG_ADDRESS_MIRROR;
	RUN(&t, {TEX1D, {F(1.25f)}, {F(3), 0, 0, ONE}}, {TEX1D, {F(-0.375f)}, {F(1), 0, 0, ONE}},
	    {TEX1D, {F(2.25f)}, {F(1), 0, 0, ONE}});
	t.sampler.is_linear = true;
	RUN(&t, {TEX1D, {F(0)}, {F(0), 0, 0, ONE}}, {TEX1D, {F(1)}, {F(3), 0, 0, ONE}});
	t.sampler.address_mode[0] = SG_ADDRESS_WRAP;
	RUN(&t, {TEX1D, {F(0)}, {F(1.5f), 0, 0, ONE}});
	t.sampler.address_mode[0] = SG_ADDRESS_BORDER;
	t.sampler.border[0] = 8;
	RUN(&t, {TEX1D, {F(0)}, {F(4), 0, 0, F(0.5f)}}, {TEX1D, {F(2)}, {F(8), 0, 0, 0}});
	/* Coordinates that are not normalised do not repeat. */
	t.sampler = (struct sg_sampler){.address_mode = {SG_ADDRESS_WRAP}};
	RUN(&t, {TEX1D, {F(5)}, {F(3), 0, 0, ONE}});
}

TEST_LIMIT(formats, 60)
{
	struct sg_texture t = floats(1, 1, 1, 0);
	uint8_t *bytes = (uint8_t *)t.image.levels[0];

	bytes[0] = 255, bytes[1] = 51, bytes[2] = 0x80, bytes[3] = 127;
	t.image.n_channels = 4;
	t.image.channel_bytes = 1;
	t.image.channel = SG_CHANNEL_UNSIGNED;
	RUN(&t, {TEX1D, {0}, {F(1), F(51 / 255.0f), F(128 / 255.0f), F(127 / 255.0f)}});
	t.is_srgb = true;
	RUN(&t, {TEX1D "mov.u32 %r6, 0; mov.u32 %r7, 0;", {0}, {F(1), 0, 0, F(127 / 255.0f)}});
	t.is_srgb = false;
	t.image.channel = SG_CHANNEL_SIGNED;
	RUN(&t, {TEX1D, {0}, {F(-1 / 127.0f), F(51 / 127.0f), F(-1), F(1)}});
	t.as_integer = true;
	RUN(&t, {"tex.1d.v4.s32.f32 {%r5, %r6, %r7, %r8}, [%rd1, {%r1}];", {0},
		    {UINT32_MAX, 51, 0xffffff80, 127}});
	t.image.channel = SG_CHANNEL_UNSIGNED;
	t.image.channel_bytes = 2;
	t.image.n_channels = 2;
	RUN(&t, {"tex.1d.v4.u32.s32 {%r5, %r6, %r7, %r8}, [%rd1, {%r1}];", {0},
		    {0x33ff, 0x7f80, 0, 1}});
	t.image.channel = SG_CHANNEL_FLOAT;
	bytes[0] = 0, bytes[1] = 0x3c, bytes[2] = 0, bytes[3] = 0xc0;
	RUN(&t, {TEX1D, {0}, {F(1), F(-2), 0, ONE}});
}

TEST_LIMIT(layers_and_cubes, 60)
{
	struct sg_texture t = floats(2, 1, 1, 1);

	t.image.levels[0] = (uint64_t)device_alloc(12 * 4 * 4);
	for (unsigned i = 0; i < 48; i++)
		((float *)t.image.levels[0])[i] = (float)i;
	t.image.layers = 4;
	RUN(&t,
	    {"tex.a1d.v4.f32.f32 {%r5, %r6, %r7, %r8}, [%rd1, {%r1, %r2}];", {2, F(1)},
		{F(5), 0, 0, ONE}},
	    {"tex.a1d.v4.f32.f32 {%r5, %r6, %r7, %r8}, [%rd1, {%r1, %r2}];", {9, F(0)},
		{F(6), 0, 0, ONE}});
	t.image.height = 2;
	RUN(&t, {"tex.a2d.v4.f32.f32 {%r5, %r6, %r7, %r8}, [%rd1, {%r1, %r2, %r3, %r3}];",
		    {1, F(1), F(1)}, {F(7), 0, 0, ONE}});
	t.image.layers = 12;
	t.sampler.is_normalized = true;
#define CUBE "tex.cube.v4.f32.f32 {%r5, %r6, %r7, %r8}, [%rd1, {%r1, %r2, %r3, %r3}];"
	RUN(&t, {CUBE, {F(1), F(-0.5f), F(-0.5f)}, {F(3), 0, 0, ONE}},
	    {CUBE, {F(-1), F(0.5f), F(0.5f)}, {F(5), 0, 0, ONE}},
	    {CUBE, {F(0.5f), F(1), F(-0.5f)}, {F(9), 0, 0, ONE}},
	    {CUBE, {F(-0.5f), F(-1), F(-0.5f)}, {F(14), 0, 0, ONE}},
	    {CUBE, {F(0.5f), F(0.5f), F(1)}, {F(17), 0, 0, ONE}},
	    {CUBE, {F(0.5f), F(0.5f), F(-1)}, {F(20), 0, 0, ONE}},
	    {"tex.acube.v4.f32.f32 {%r5, %r6, %r7, %r8}, [%rd1, {%r4, %r1, %r2, %r3}];",
		{F(1), F(-0.5f), F(-0.5f), 1}, {F(27), 0, 0, ONE}});
	/* On the edge between +x and +z: half of each face's texels only when seamless. */
	t.sampler.is_linear = true;
	RUN(&t, {CUBE, {F(1), F(0.5f), F(1)}, {F(0), 0, 0, ONE}});
	t.sampler.is_seamless = true;
	RUN(&t, {CUBE, {F(1), F(0.5f), F(1)}, {F(8.5f), 0, 0, ONE}});
}

TEST_LIMIT(levels, 60)
{
	struct sg_texture t = floats(4, 4, 1, 0);

	t.image.n_levels = 3;
	for (unsigned i = 0; i < 3; i++) {
		float *texels = device_alloc(64);

		for (unsigned j = 0; j < 16; j++)
			texels[j] = (float)(i + 1);
		t.image.levels[i] = (uint64_t)texels;
	}
	t.sampler.is_normalized = true;
	t.sampler.lod_max = 1000;
#define LEVEL "tex.level.2d.v4.f32.f32 {%r5, %r6, %r7, %r8}, [%rd1, {%r1, %r1}], %r2;"
#define GRAD                                                                                       \
	"tex.grad.2d.v4.f32.f32 {%r5, %r6, %r7, %r8}, [%rd1, {%r1, %r1}], {%r2, %r3}, {%r3, %r2};"
	RUN(&t, {TEX2D, {F(0.5f), F(0.5f)}, {F(1), 0, 0, ONE}},
	    {LEVEL, {F(0.5f), F(1)}, {F(2), 0, 0, ONE}},
	    {LEVEL, {F(0.5f), F(1.75f)}, {F(3), 0, 0, ONE}},
	    {LEVEL, {F(0.5f), F(9)}, {F(3), 0, 0, ONE}},
	    {LEVEL, {F(0.5f), F(NAN)}, {F(3), 0, 0, ONE}},
	    {GRAD, {F(0.5f), F(0.5f), 0}, {F(2), 0, 0, ONE}},
	    {GRAD, {F(0.5f), 0, 0}, {F(1), 0, 0, ONE}},
	    {"txq.num_mipmap_levels.b32 %r5, [%rd1]; txq.level.width.b32 %r6, [%rd1], 1;", {0},
		{3, 2}});
	t.sampler.is_mip_linear = true;
	RUN(&t, {LEVEL, {F(0.5f), F(0.25f)}, {F(1.25f), 0, 0, ONE}});
	t.sampler.bias = 1;
	t.sampler.lod_max = 1.5f;
	RUN(&t, {LEVEL, {F(0.5f), F(0)}, {F(2), 0, 0, ONE}},
	    {LEVEL, {F(0.5f), F(1)}, {F(2.5f), 0, 0, ONE}});
}

TEST_LIMIT(queries, 60)
{
	struct sg_texture t = floats(8, 4, 1, 0);

	t.sampler.is_linear = true;
	RUN(&t,
	    {"txq.width.b32 %r5, [%rd1]; txq.height.b32 %r6, [%rd1]; txq.depth.b32 %r7, [%rd1];"
	     "txq.array_size.b32 %r8, [%rd1];",
		{0}, {8, 4, 1, 1}},
	    {"txq.channel_data_type.b32 %r5, [%rd1]; txq.channel_order.b32 %r6, [%rd1];"
	     "txq.filter_mode.b32 %r7, [%rd1]; txq.addr_mode_1.b32 %r8, [%rd1];",
		{0}, {0x10de, 0x10b0, 1, 3}});
	t.is_surface = true;
	RUN(&t, {"suq.width.b32 %r5, [%rd1]; suq.height.b32 %r6, [%rd1];", {0}, {8, 4}});
}

TEST_LIMIT(surfaces, 60)
{
	struct sg_texture t = floats(4, 4, 1, 1);
	uint32_t *texels = (uint32_t *)t.image.levels[0];

	t.is_surface = true;
	RUN(&t, {"suld.b.2d.b32.trap {%r5}, [%rd1, {%r1, %r2}];", {8, 1}, {F(6)}},
	    {"suld.b.2d.v2.b32.trap {%r5, %r6}, [%rd1, {%r1, %r2}];", {8, 1}, {F(6), F(7)}},
	    {"suld.b.2d.b32.zero {%r5}, [%rd1, {%r1, %r2}];", {16, 1}, {0}},
	    {"suld.b.2d.b32.clamp {%r5}, [%rd1, {%r1, %r2}];", {400, 100}, {F(15)}},
	    {"suld.b.2d.b32.clamp {%r5}, [%rd1, {%r1, %r2}];", {(uint32_t)-4, 0}, {F(0)}},
	    {"sust.b.2d.b32.zero [%rd1, {%r1, %r2}], {%r3};", {16, 1, 77}, {0}},
	    {"sust.b.2d.b32.trap [%rd1, {%r1, %r2}], {%r3};", {4, 3, 77}, {0}},
	    {"sured.b.add.2d.u32.trap [%rd1, {%r1, %r2}], %r3;\n"
	     "sured.b.max.2d.s32.trap [%rd1, {%r1, %r2}], %r4;",
		{4, 3, 3, (uint32_t)-1}, {0}},
	    {"sust.p.2d.v4.b32.trap [%rd1, {%r1, %r2}], {%r3, %r3, %r3, %r3};", {2, 3, F(9)}, {0}},
	    {"mov.b32 {%h1, %h2}, %r3; sust.b.2d.b8.clamp [%rd1, {%r1, %r2}], {%h1};", {12, 0, 5},
		{0}});
	CHECK_EQ(texels[13], 80);
	CHECK_EQ(texels[14], F(9));
	CHECK_EQ(texels[3], (F(3) & ~255u) | 5);
	CHECK_EQ(texels[8], F(8)); /* what lies behind a row is the next one's: .zero kept off */
	t.image.channel = SG_CHANNEL_UNSIGNED;
	t.image.channel_bytes = 1;
	RUN(&t, {"sust.p.2d.b32.trap [%rd1, {%r1, %r2}], {%r3};", {1, 0, 300}, {0}},
	    {"sured.p.min.2d.b32.clamp [%rd1, {%r1, %r2}], %r3;", {0, 3, 1}, {0}});
	CHECK_EQ(texels[0] >> 8 & 255, 255);
}

/* Names hold what the driver writes there; a sampler's own description counts. */
TEST_LIMIT(references, 60)
{
	static const char text[] = PTX_HEAD
	    ".global .texref pictures;\n"
	    ".global .samplerref corners = { filter_mode = nearest, addr_mode_0 = wrap };\n"
	    ".global .surfref plane;\n"
	    ".visible .entry k(.param .u64 io) {\n"
	    ".reg .b64 %io, %t; .reg .b32 %r<4>; .reg .pred %p;\n"
	    "ld.param.u64 %io, [io]; ld.global.b32 %r1, [%io];\n"
	    "tex.1d.v4.f32.f32 {%r2, _, _, _}, [pictures, {%r1}];\n"
	    "st.global.b32 [%io], %r2;\n"
	    "mov.u64 %t, pictures;\n"
	    "tex.1d.v4.f32.f32 {%r2, _, _, _}, [%t, corners, {%r1}];\n"
	    "st.global.b32 [%io+4], %r2;\n"
	    "istypep.surfref %p, plane; selp.u32 %r2, 1, 0, %p;\n"
	    "st.global.b32 [%io+8], %r2;\n"
	    "istypep.texref %p, %t; selp.u32 %r2, 1, 0, %p; st.global.b32 [%io+12], %r2;\n"
	    "istypep.surfref %p, %t; selp.u32 %r2, 1, 0, %p; st.global.b32 [%io+16], %r2; ret; "
	    "}\n";
	struct sg_texture t = floats(4, 1, 1, 1);
	struct sg_module *module = module_load(text);
	uint32_t *io = device_alloc(32);
	uint64_t address, size, params[1] = {(uint64_t)io}, number;
	struct sg_fault fault;

	t.sampler.is_linear = t.sampler.is_normalized = true;
	CHECK(!sg_module_global(module, "pictures", &address, &size));
	CHECK(!sg_module_reference(module, "plane", false, &address));
	CHECK(sg_module_reference(module, "plane", true, &address));
	CHECK(sg_module_reference(module, "pictures", false, &address));
	io[0] = F(1.25f);
	CHECK_EQ(
	    launch(kernel_get(module, "k"), 1, 1, params, 1, &fault), SG_FAULT_ILLEGAL_ADDRESS);
	number = sg_texture_new(&t);
	*(uint64_t *)address = number;
	launch_fine(kernel_get(module, "k"), 1, 1, params, 1);
	CHECK_EQ(io[0], F(3));
	CHECK_EQ(io[1], F(1));
	CHECK_EQ(io[2], 1);
	CHECK_EQ(io[3], 1);
	CHECK_EQ(io[4], 0);
	sg_texture_free(number);
}

static int launch_with(const char *code, uint64_t number, struct sg_fault *fault)
{
	struct row row = {code, {0}, {0}};
	struct sg_module *module = load_rows(&row, 1);
	uint64_t params[2] = {(uint64_t)device_alloc(32), number};

	return launch(kernel_get(module, "k0"), 1, 1, params, 2, fault);
}

/* Any number a program passes ends its grid at worst. */
TEST_LIMIT(wrong_numbers, 60)
{
	static const uint64_t wrong[] = {0, 2, UINT32_MAX, UINT64_MAX, SG_ARENA_BASE + 4,
	    SG_ARENA_BASE + SG_ARENA_SIZE - 8, (1 << 20) + 1};
	struct sg_texture t = floats(4, 4, 1, 1), s = t;
	struct sg_fault fault;
	uint64_t texture, surface, old;

	old = sg_texture_new(&t);
	sg_texture_free(old);
	texture = sg_texture_new(&t);
	s.is_surface = true;
	surface = sg_texture_new(&s);
	CHECK(old != texture && texture != surface);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (wrong[i] != texture && wrong[i] != surface)
			CHECK(launch_with(TEX1D, wrong[i], &fault) != SG_FAULT_NONE);
	CHECK_EQ(launch_with(TEX1D, old, &fault), SG_FAULT_ILLEGAL_ADDRESS);
	CHECK_EQ(launch_with(TEX1D, surface, &fault), SG_FAULT_ILLEGAL_ADDRESS);
	CHECK_EQ(launch_with("suld.b.1d.b32.trap {%r5}, [%rd1, {%r1}];", texture, &fault),
	    SG_FAULT_ILLEGAL_ADDRESS);
	CHECK_EQ(launch_with("suld.b.1d.b32.trap {%r5}, [%rd1, {%r1}];", surface, &fault),
	    SG_FAULT_NONE);
	CHECK_EQ(
	    launch_with("sust.b.1d.b32.trap [%rd1, {-4}], {%r5};", surface, &fault), SG_FAULT_TRAP);
	CHECK_EQ(launch_with("sust.b.1d.b32.trap [%rd1, {2}], {%r5};", surface, &fault),
	    SG_FAULT_MISALIGNED);
	/* Texels that are not there. */
	t.image.levels[0] = SG_ARENA_BASE + SG_ALLOC_SIZE - 4096;
	sg_texture_set(texture, &t);
	CHECK_EQ(launch_with(TEX1D, texture, &fault), SG_FAULT_ILLEGAL_ADDRESS);
	t.image.levels[0] = 4096;
	sg_texture_set(texture, &t);
	CHECK_EQ(launch_with(TEX1D, texture, &fault), SG_FAULT_ILLEGAL_ADDRESS);
}
