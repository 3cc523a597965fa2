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

/* PTX leaves these open; every way to run a kernel must agree. */
/* clang-format off */
ROWS(division_by_zero,
    {"div.s32 %r0, %r1, %r2;", 'r', {5, 0}, ALL},
    {"div.u64 %d0, %d1, %d2;", 'd', {5, 0}, UINT64_MAX},
    {"rem.u32 %r0, %r1, %r2;", 'r', {5, 0}, ALL})
/* clang-format on */
