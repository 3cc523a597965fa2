/* What single instructions compute: the rows of opcodes.def, and a few of the machine's own. */
#include "softgpu/exec/opcodes.h"
#include "softgpu/exec/ptxas.h"
#include "softgpu/exec/test-machine.h"

static void run_rows(const struct row *rows, size_t n, const char *architecture)
{
	char *text = write_module(rows, n);
	struct sg_module *module = module_load(text);
	uint64_t *io = device_alloc(64), params[1] = {(uint64_t)io};
	unsigned wrong = 0;

	for (size_t i = 0; i < n; i++) {
		char name[16];

		snprintf(name, sizeof(name), "k%zu", i);
		memcpy(io, rows[i].in, sizeof(rows[i].in));
		io[3] = UINT64_C(0xdeadbeef);
		launch_fine(kernel_get(module, name), 1, 1, params, 1);
		wrong += row_differs(&rows[i], io[3]);
	}
	sg_module_unload(module);
	if (architecture)
		ptxas_check(text, architecture);
	free(text);
	CHECK_EQ(wrong, 0);
}

#define ROWS(test_name, ...)                                                                       \
	TEST_LIMIT(test_name, 120)                                                                 \
	{                                                                                          \
		const struct row rows[] = {__VA_ARGS__};                                           \
		run_rows(rows, ARRAY_SIZE(rows), ARCHITECTURE);                                    \
	}

#define ARCHITECTURE "sm_90"
#include "softgpu/exec/opcodes.def"
#undef ARCHITECTURE
#define ARCHITECTURE NULL

/* Of architectures with a letter behind their number, which only their own GPUs run. */
/* clang-format off */
ROWS(narrow_floats,
    {".reg .b8 n; cvt.rn.satfinite.e2m1x2.f32 n, %r1, %r2; mov.b16 %h0, {n, 0};", 'h', {F(6), F(-0.5f)}, 0x79},
    {".reg .b8 n; cvt.rn.satfinite.e2m1x2.f32 n, %r1, %r2; mov.b16 %h0, {n, 0};", 'h', {F(NAN), F(-100)}, 0x7f},
    {".reg .b8 n; cvt.rn.satfinite.e2m1x2.f32 n, %r1, %r2; mov.b16 %h0, {n, 0};", 'h', {F(0.25f), F(0.75f)}, 0x02},
    {".reg .b8 n; cvt.rn.satfinite.e2m1x2.f16x2 n, %r1; mov.b16 %h0, {n, 0};", 'h', {0x4600b800}, 0x79},
    {".reg .b8 n; cvt.rn.satfinite.relu.e2m1x2.f16x2 n, %r1; mov.b16 %h0, {n, 0};", 'h', {0x7e00c400}, 0x70},
    {".reg .b8 n; cvt.rn.satfinite.relu.e2m1x2.f32 n, %r1, %r2; mov.b16 %h0, {n, 0};", 'h', {F(-3), F(3)}, 0x05},
    {".reg .b8 n, z; mov.b16 {n, z}, %h1; cvt.rn.f16x2.e2m1x2 %r0, n;", 'r', {0x79}, 0x4600b800},
    {"cvt.rn.satfinite.e2m3x2.f32 %h0, %r1, %r2;", 'h', {F(7.5f), F(-0.125f)}, 0x1f21},
    {"cvt.rn.satfinite.e2m3x2.f32 %h0, %r1, %r2;", 'h', {F(1.0625f), F(1.1875f)}, 0x080a},
    {"cvt.rn.f16x2.e2m3x2 %r0, %h1;", 'r', {0x1f21}, 0x4780b000},
    {"cvt.rn.satfinite.e3m2x2.f32 %h0, %r1, %r2;", 'h', {F(1000), F(0x1p-4f)}, 0x1f01},
    {"cvt.rn.f16x2.e3m2x2 %r0, %h1;", 'r', {0x1f21}, 0x4f00ac00},
    {"cvt.rz.ue8m0x2.f32 %h0, %r1, %r2;", 'h', {F(1), F(-3)}, 0x7f80},
    {"cvt.rp.ue8m0x2.f32 %h0, %r1, %r2;", 'h', {F(1), F(3)}, 0x7f81},
    {"cvt.rp.satfinite.ue8m0x2.f32 %h0, %r1, %r2;", 'h', {F(INFINITY), F(NAN)}, 0xfeff},
    {"cvt.rp.ue8m0x2.bf16x2 %h0, %r1;", 'h', {0x3f800041}, 0x7f01},
    {"cvt.rn.bf16x2.ue8m0x2 %r0, %h1;", 'r', {0x7f00}, 0x3f800040},
    {"add.f32.f16 %r0, %h1, %r2;", 'r', {0x3e00, F(0.25f)}, F(1.75f)},
    {"sub.rn.f32.bf16 %r0, %h1, %r2;", 'r', {0x4040, F(0.5f)}, F(2.5f)},
    {"add.sat.f32.f16 %r0, %h1, %r2;", 'r', {0x3e00, F(0.25f)}, F(1)},
    {"fma.rn.f32.f16 %r0, %h1, %h2, %r3;", 'r', {0x3e00, 0xc000, F(4)}, F(1)},
    {"add.rn.f32x2 %d0, %d1, %d2;", 'd', {F(1) | F(2) << 32, F(3) | F(4) << 32}, F(4) | F(6) << 32},
    {"mul.rz.f32x2 %d0, %d1, %d2;", 'd', {F(3) | F(2) << 32, F(0.5f) | F(-4) << 32}, F(1.5f) | F(-8) << 32},
    {"fma.rn.f32x2 %d0, %d1, %d2, %d3;", 'd',
        {F(1) | F(2) << 32, F(3) | F(4) << 32, F(5) | F(6) << 32}, F(8) | F(14) << 32})
/* clang-format on */

/*
 * Where an unsigned sum does not fit into 64 bits' signed half. The ISA says that vmad computes in
 * 128 bits, so it is this; code that NVIDIA's driver 580 makes for an H200 has 0 for both.
 */
/* clang-format off */
ROWS(products_beyond_63_bits,
    {"vmad.u32.u32.u32.sat %r0, %r1, %r2, %r3;", 'r', {ALL, ALL, ALL}, ALL},
    {"vmad.u32.u32.u32.shr15 %r0, %r1, %r2, %r3;", 'r', {ALL, ALL, ALL}, 0xfffe0000})
/* clang-format on */

/* Half of a unit above 1, so that the uppermost random bit decides; then the others. */
#define FOUR(type) "cvt.rs.satfinite." #type ".f32 %r0, {%r1, %r2, %r1, %r2}, %r3;"
#define FOUR_4	   "cvt.rs.satfinite.e2m1x4.f32 %h0, {%r1, %r2, %r1, %r2}, %r3;"
/* clang-format off */
ROWS(stochastic_rounding,
    {"cvt.rs.f16x2.f32 %r0, %r1, %r2, %r3;", 'r', {0x3f801000, 0x3f801000, 0x10000fff}, 0x3c013c00},
    {"cvt.rs.f16x2.f32 %r0, %r1, %r2, %r3;", 'r', {0x3f801000, 0xbf801000, 0xefff1000}, 0x3c00bc01},
    {"cvt.rs.f16x2.f32 %r0, %r1, %r2, %r3;", 'r', {0x477fffff, 0x477fffff, 0x00001fff}, 0x7bff7c00},
    {"cvt.rs.satfinite.f16x2.f32 %r0, %r1, %r2, %r3;", 'r', {0x477fffff, F(-INFINITY), 0x1fff0000}, 0x7bfffbff},
    {"cvt.rs.f16x2.f32 %r0, %r1, %r2, %r3;", 'r', {F(0x1p-25f), F(0x1p-25f), 0x10000fff}, 0x00010000},
    {"cvt.rs.relu.f16x2.f32 %r0, %r1, %r2, %r3;", 'r', {F(-2), F(NAN), ALL}, 0x00007fff},
    {"cvt.rs.bf16x2.f32 %r0, %r1, %r2, %r3;", 'r', {0x3f808000, 0xbf808000, 0x80007fff}, 0x3f81bf80},
    {"cvt.rs.bf16x2.f32 %r0, %r1, %r2, %r3;", 'r', {0x3f80ffff, 0x00008000, 0x00018000}, 0x3f810001},
    {"cvt.rs.bf16x2.f32 %r0, %r1, %r2, %r3;", 'r', {0x7f7fffff, 0x7f7fffff, 0x00010000}, 0x7f807f7f},
    {"cvt.rs.satfinite.bf16x2.f32 %r0, %r1, %r2, %r3;", 'r', {0x7f7fffff, F(NAN), 0x00010000}, 0x7f7f7fff},
    {FOUR(e4m3x4), 'r', {F(1.0625f), F(1.0625f), 0x00018000}, 0x39383839},
    {FOUR(e4m3x4), 'r', {F(1.0625f), F(-1.0625f), 0x80000001}, 0x38b939b8},
    {FOUR(e4m3x4), 'r', {0x3f8ffff0, 0x3f8ffff0, 0x00010001}, 0x39393939},
    {FOUR(e4m3x4), 'r', {0x3f8fffef, 0x3f8fffef, 0x00010001}, 0x39383938},
    {FOUR(e4m3x4), 'r', {F(0x1p-10f), F(-470), 0x00010000}, 0x01fe00fe},
    {FOUR(e4m3x4), 'r', {F(NAN), F(-INFINITY), 0}, 0x7ffe7ffe},
    {"cvt.rs.relu.satfinite.e4m3x4.f32 %r0, {%r1, %r2, %r1, %r2}, %r3;", 'r', {F(-2), F(2), 0}, 0x00400040},
    {FOUR(e5m2x4), 'r', {F(1.125f), F(1.125f), 0x00018000}, 0x3d3c3c3d},
    {FOUR(e5m2x4), 'r', {F(1e9f), F(NAN), 0}, 0x7b7f7b7f},
    {FOUR(e2m3x4), 'r', {F(1.0625f), F(1.0625f), 0x80000001}, 0x08090908},
    {FOUR(e2m3x4), 'r', {F(NAN), F(-100), 0}, 0x1f3f1f3f},
    {FOUR(e3m2x4), 'r', {F(1.125f), F(-1.125f), 0x00018000}, 0x0d2c0c2d},
    {FOUR_4, 'h', {F(1.25f), F(1.25f), 0x00800100}, 0x3223},
    {FOUR_4, 'h', {F(1.25f), F(1.25f), 0x80000001}, 0x2332},
    {FOUR_4, 'h', {F(0.25f), F(-100), 0x00000100}, 0x1f0f},
    {FOUR_4, 'h', {F(NAN), F(-0.0f), 0}, 0x7878},
    {"cvt.rs.satfinite.relu.e2m1x4.f32 %h0, {%r1, %r2, %r1, %r2}, %r3;", 'h', {F(-6), F(5), 0}, 0x0606})
/* clang-format on */

#define RANDOM_VALUES 512u

/* The bits of a normal number but for those cut off, with the carry that comes out of these when n
 * random bits are added at their top: as the ISA tells it. */
static uint32_t cut_off(uint32_t bits, unsigned drop, uint32_t random, unsigned n)
{
	return (bits + (drop > n ? random << (drop - n) : random)) >> drop;
}

static uint32_t turned(uint32_t half)
{
	uint32_t result = 0;

	for (unsigned i = 0; i < 16; i++)
		result |= (half >> i & 1) << (15 - i);
	return result;
}

/* e4m3 of a number from 1 on: its exponents begin 120 later. */
static uint32_t to_e4m3(uint32_t bits, uint32_t random)
{
	return cut_off(bits, 20, random, 16) - (120 << 3);
}

/* Of numbers from 1 to 255, by each number of lanes. */
TEST(stochastic_rounding_in_step)
{
	static const char text[] =
	    ".version 8.7\n.target sm_100a\n.address_size 64\n"
	    ".visible .entry k(.param .u64 io) { .reg .b64 %d<4>; .reg .b32 %r<12>;\n"
	    "ld.param.u64 %d1, [io]; mov.u32 %r1, %tid.x; mul.wide.u32 %d2, %r1, 16;\n"
	    "add.u64 %d1, %d1, %d2; ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%d1];\n"
	    "cvt.rs.bf16x2.f32 %r6, %r2, %r3, %r4; cvt.rs.f16x2.f32 %r7, %r2, %r3, %r4;\n"
	    "cvt.rs.satfinite.e4m3x4.f32 %r8, {%r2, %r3, %r2, %r3}, %r4;\n"
	    "st.global.v4.u32 [%d1], {%r6, %r7, %r8, %r1}; ret; }\n";
	static const uint32_t lanes[] = {1, 8, 16, 32};
	struct sg_kernel *kernel = kernel_get(module_load(text), "k");
	uint32_t(*io)[4] = device_alloc(RANDOM_VALUES * sizeof(*io));
	uint64_t params[1] = {(uint64_t)io};

	for (unsigned run = 0; run < ARRAY_SIZE(lanes); run++) {
		struct sg_launch launch = {{1, 1, 1}, {RANDOM_VALUES, 1, 1}, .params = params,
		    .params_size = sizeof(params), .lanes = lanes[run]};
		uint32_t in[RANDOM_VALUES][4], seed = 1;
		struct sg_fault fault;

		for (unsigned i = 0; i < RANDOM_VALUES; i++)
			for (unsigned k = 0; k < 4; k++) {
				seed = seed * 1664525 + 1013904223;
				in[i][k] = k < 2 ? 0x3f800000 + (seed >> 6) : seed ^ seed >> 16;
				io[i][k] = in[i][k];
			}
		CHECK_EQ(sg_launch(kernel, &launch, &fault), 0);
		for (unsigned i = 0; i < RANDOM_VALUES; i++) {
			uint32_t a = in[i][0], b = in[i][1], high = in[i][2] >> 16,
				 low = in[i][2] & 0xffff;

			CHECK_EQ(
			    io[i][0], cut_off(a, 16, high, 16) << 16 | cut_off(b, 16, low, 16));
			CHECK_EQ(io[i][1], (cut_off(a, 13, high & 0x1fff, 13) - (112 << 10)) << 16 |
					       (cut_off(b, 13, low & 0x1fff, 13) - (112 << 10)));
			CHECK_EQ(io[i][2], to_e4m3(a, turned(high)) << 24 | to_e4m3(b, high) << 16 |
					       to_e4m3(a, turned(low)) << 8 | to_e4m3(b, low));
		}
	}
}

/* PTX leaves these open; every way to run a kernel must agree. */
/* clang-format off */
ROWS(division_by_zero,
    {"div.s32 %r0, %r1, %r2;", 'r', {5, 0}, ALL},
    {"div.u64 %d0, %d1, %d2;", 'd', {5, 0}, UINT64_MAX},
    {"rem.u32 %r0, %r1, %r2;", 'r', {5, 0}, ALL})
/* clang-format on */
