/*
 * What single instructions compute, by tables: an instruction, its operands' bits, the wanted
 * bits.
 *
 * In the snippets %d1 to %d3 are the inputs as 64 bits, %r1 to %r3 and %h1 to %h3 their lower
 * halves and quarters, %p1 to %p3 whether they differ from 0. The result goes to %d0, %r0, %h0 or
 * %p0, named by the row's letter. Values follow from the PTX ISA document, mostly from its edges.
 */
#include <errno.h>
#include <math.h>

#include "softgpu/exec/test-machine.h"

struct row {
	const char *code;
	char result; /* d r h p */
	uint64_t in[3];
	uint64_t want;
};

#define F(x)  f32_bits(x)
#define D(x)  f64_bits(x)
#define ALL   UINT64_C(0xffffffff)
#define NAN32 UINT64_C(0x7fffffff)

static inline uint64_t f32_bits(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

static inline uint64_t f64_bits(double x)
{
	uint64_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits;
}

/* One module with a kernel per row: k0, k1, ... */
static char *write_module(const struct row *rows, size_t n)
{
	size_t capacity = n * 2048 + 256, used;
	char *text = malloc(capacity);

	CHECK(text);
	used = (size_t)snprintf(text, capacity, ".version 8.6\n.target sm_90\n.address_size 64\n");
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, capacity - used,
		    ".visible .entry k%zu(.param .u64 io) {\n"
		    ".reg .b64 %%d<8>, %%io; .reg .b32 %%r<8>; .reg .b16 %%h<8>; .reg .pred "
		    "%%p<8>;\n"
		    "ld.param.u64 %%io, [io];\n"
		    "ld.global.v2.u64 {%%d1, %%d2}, [%%io]; ld.global.u64 %%d3, [%%io+16];\n"
		    "cvt.u32.u64 %%r1, %%d1; cvt.u32.u64 %%r2, %%d2; cvt.u32.u64 %%r3, %%d3;\n"
		    "cvt.u16.u64 %%h1, %%d1; cvt.u16.u64 %%h2, %%d2; cvt.u16.u64 %%h3, %%d3;\n"
		    "setp.ne.u64 %%p1, %%d1, 0; setp.ne.u64 %%p2, %%d2, 0; setp.ne.u64 %%p3, %%d3, "
		    "0;\n"
		    "%s\n%s"
		    "st.global.u64 [%%io+24], %%d0; ret; }\n",
		    i, rows[i].code,
		    rows[i].result == 'r'   ? "cvt.u64.u32 %d0, %r0;\n"
		    : rows[i].result == 'h' ? "cvt.u64.u16 %d0, %h0;\n"
		    : rows[i].result == 'p' ? "selp.u64 %d0, 1, 0, %p0;\n"
					    : "");
	return text;
}

static void run_rows(const struct row *rows, size_t n)
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
		if (io[3] == rows[i].want)
			continue;
		printf("# %s (0x%llx, 0x%llx, 0x%llx) is 0x%llx, wanted 0x%llx\n", rows[i].code,
		    (unsigned long long)rows[i].in[0], (unsigned long long)rows[i].in[1],
		    (unsigned long long)rows[i].in[2], (unsigned long long)io[3],
		    (unsigned long long)rows[i].want);
		wrong++;
	}
	sg_module_unload(module);
	free(text);
	CHECK_EQ(wrong, 0);
}

#define ROWS(test_name, ...)                                                                       \
	TEST_LIMIT(test_name, 120)                                                                 \
	{                                                                                          \
		const struct row rows[] = {__VA_ARGS__};                                           \
		run_rows(rows, ARRAY_SIZE(rows));                                                  \
	}

/* clang-format off */
ROWS(integer_arithmetic,
    {"add.s32 %r0, %r1, %r2;", 'r', {7, 0xfffffffe}, 5},
    {"add.sat.s32 %r0, %r1, %r2;", 'r', {0x7fffffff, 1}, 0x7fffffff},
    {"sub.sat.s32 %r0, %r1, %r2;", 'r', {0x80000000, 1}, 0x80000000},
    {"add.u64 %d0, %d1, %d2;", 'd', {UINT64_MAX, 2}, 1},
    {"sub.u16 %h0, %h1, %h2;", 'h', {3, 5}, 0xfffe},
    {"add.u16x2 %r0, %r1, %r2;", 'r', {0x0001ffff, 0x00010001}, 0x00020000},
    {"mul.lo.s32 %r0, %r1, %r2;", 'r', {0xffffffff, 5}, 0xfffffffb},
    {"mul.hi.s32 %r0, %r1, %r2;", 'r', {0xffffffff, 5}, ALL},
    {"mul.hi.u32 %r0, %r1, %r2;", 'r', {0xffffffff, 5}, 4},
    {"mul.hi.u64 %d0, %d1, %d2;", 'd', {UINT64_MAX, UINT64_MAX}, UINT64_MAX - 1},
    {"mul.hi.s64 %d0, %d1, %d2;", 'd', {UINT64_MAX, UINT64_MAX}, 0},
    {"mul.hi.s16 %h0, %h1, %h2;", 'h', {0x8000, 0x8000}, 0x4000},
    {"mul.wide.s32 %d0, %r1, %r2;", 'd', {0xffffffff, 7}, (uint64_t)-7},
    {"mul.wide.u32 %d0, %r1, %r2;", 'd', {0xffffffff, 7}, UINT64_C(0x6fffffff9)},
    {"mul.wide.u16 %r0, %h1, %h2;", 'r', {0xffff, 0xffff}, 0xfffe0001},
    {"mad.lo.u32 %r0, %r1, %r2, %r3;", 'r', {3, 4, 5}, 17},
    {"mad.hi.sat.s32 %r0, %r1, %r2, %r3;", 'r', {0x40000000, 0x40000000, 0x7fffffff}, 0x7fffffff},
    {"mad.wide.s16 %r0, %h1, %h2, %r3;", 'r', {0xffff, 2, 10}, 8},
    {"mul24.lo.s32 %r0, %r1, %r2;", 'r', {0x00ffffff, 3}, 0xfffffffd},
    {"mul24.hi.u32 %r0, %r1, %r2;", 'r', {0xff000100, 0x10000}, 0x100},
    {"mad24.lo.u32 %r0, %r1, %r2, %r3;", 'r', {0x01000002, 3, 4}, 10},
    {"sad.s32 %r0, %r1, %r2, %r3;", 'r', {0xfffffff0, 4, 1}, 21},
    {"sad.u16 %h0, %h1, %h2, %h3;", 'h', {4, 10, 1}, 7},
    {"div.s32 %r0, %r1, %r2;", 'r', {0xfffffff9, 2}, 0xfffffffd},
    {"div.s32 %r0, %r1, %r2;", 'r', {5, 0}, ALL},
    {"div.s32 %r0, %r1, %r2;", 'r', {0x80000000, 0xffffffff}, 0x80000000},
    {"div.s64 %d0, %d1, %d2;", 'd', {UINT64_C(1) << 63, UINT64_MAX}, UINT64_C(1) << 63},
    {"div.u64 %d0, %d1, %d2;", 'd', {5, 0}, UINT64_MAX},
    {"div.s16 %h0, %h1, %h2;", 'h', {0x8000, 0xffff}, 0x8000},
    {"div.u16 %h0, %h1, %h2;", 'h', {0x8000, 3}, 0x2aaa},
    {"rem.s32 %r0, %r1, %r2;", 'r', {0xfffffff9, 4}, 0xfffffffd},
    {"rem.s32 %r0, %r1, %r2;", 'r', {0x80000000, 0xffffffff}, 0},
    {"rem.u32 %r0, %r1, %r2;", 'r', {5, 0}, ALL},
    {"abs.s32 %r0, %r1;", 'r', {0x80000000}, 0x80000000},
    {"abs.s64 %d0, %d1;", 'd', {(uint64_t)-9}, 9},
    {"neg.s16 %h0, %h1;", 'h', {5}, 0xfffb},
    {"min.s32 %r0, %r1, %r2;", 'r', {0xffffffff, 1}, ALL},
    {"min.u32 %r0, %r1, %r2;", 'r', {0xffffffff, 1}, 1},
    {"max.s64 %d0, %d1, %d2;", 'd', {(uint64_t)-5, 3}, 3},
    {"max.s16x2 %r0, %r1, %r2;", 'r', {0x8000ffff, 0x00010001}, 0x00010001},
    {"min.relu.s32 %r0, %r1, %r2;", 'r', {0xffffffff, 1}, 0},
    {"add.cc.u32 %r0, %r1, %r2; addc.u32 %r0, %r3, 0;", 'r', {0xffffffff, 1, 5}, 6},
    {"add.cc.u32 %r0, %r1, %r2; addc.cc.u32 %r0, %r3, 0; addc.u32 %r0, 0, 0;",
        'r', {0xffffffff, 1, 0xffffffff}, 1},
    {"sub.cc.u32 %r0, %r1, %r2; subc.u32 %r0, %r3, 0;", 'r', {1, 2, 5}, 4},
    {"sub.cc.u32 %r0, %r1, %r2; addc.u32 %r0, 0, 0;", 'r', {2, 1}, 1},
    {"sub.cc.u32 %r0, %r1, %r2; addc.u32 %r0, 0, 0;", 'r', {1, 2}, 0},
    {"sub.cc.u32 %r0, 0, 1; subc.cc.u32 %r0, 0, 0; subc.u32 %r0, %r1, 0;", 'r', {7}, 6},
    {"mad.lo.cc.u32 %r0, %r1, %r2, %r3; madc.hi.u32 %r0, %r1, %r2, 0;",
        'r', {0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffff},
    {"mad.hi.cc.u64 %d0, %d1, %d2, %d3; addc.u64 %d0, 0, 0;", 'd', {UINT64_MAX, UINT64_MAX, 5}, 1},
    {"dp4a.s32.s32 %r0, %r1, %r2, %r3;", 'r', {0xff02ff01, 0x01020304, 10}, 10 + 4 - 3 + 4 - 1},
    {"dp4a.u32.s32 %r0, %r1, %r2, %r3;", 'r', {0x000000ff, 0x000000ff, 0}, 0xffffff01},
    {"dp2a.hi.s32.u32 %r0, %r1, %r2, %r3;", 'r', {0xffff0002, 0x03040506, 1}, 1 + 2 * 4 - 3})

ROWS(video,
    {"vadd4.u32.u32.u32 %r0, %r1, %r2, %r3;", 'r', {0xff010203, 0x01010101, 0}, 0x00020304},
    {"vadd4.u32.u32.u32.sat %r0, %r1, %r2, %r3;", 'r', {0xff010203, 0x01010101, 0}, 0xff020304},
    {"vsub2.s32.s32.s32.sat %r0, %r1, %r2, %r3;", 'r', {0x80000005, 0x00010006, 0}, 0x8000ffff},
    {"vabsdiff4.u32.u32.u32.add %r0, %r1, %r2, %r3;", 'r', {0x10203040, 0x40302010, 7},
        7 + 0x30 + 0x10 + 0x10 + 0x30},
    {"vavrg4.u32.u32.u32 %r0, %r1, %r2, %r3;", 'r', {0x01020304, 0x02020302, 0}, 0x02020303},
    {"vmax2.s32.s32.s32 %r0, %r1, %r2, %r3;", 'r', {0xffff0005, 0x00010004, 0}, 0x00010005},
    {"vset4.u32.u32.lt %r0, %r1, %r2, %r3;", 'r', {0x01020304, 0x02020302, 0}, 0x01000000})

ROWS(bits,
    {"popc.b64 %r0, %d1;", 'r', {UINT64_C(0xf00000000000000f)}, 8},
    {"clz.b32 %r0, %r1;", 'r', {0}, 32},
    {"clz.b64 %r0, %d1;", 'r', {1}, 63},
    {"bfind.u32 %r0, %r1;", 'r', {0x00800000}, 23},
    {"bfind.u32 %r0, %r1;", 'r', {0}, ALL},
    {"bfind.s32 %r0, %r1;", 'r', {0xffffffff}, ALL},
    {"bfind.s32 %r0, %r1;", 'r', {0xfffffff0}, 3},
    {"bfind.shiftamt.u64 %r0, %d1;", 'r', {UINT64_C(1) << 40}, 23},
    {"brev.b32 %r0, %r1;", 'r', {0x80000001}, 0x80000001},
    {"brev.b64 %d0, %d1;", 'd', {1}, UINT64_C(1) << 63},
    {"bfe.u32 %r0, %r1, 4, 8;", 'r', {0x12345678}, 0x67},
    {"bfe.s32 %r0, %r1, 4, 4;", 'r', {0x000000f0}, ALL},
    {"bfe.s32 %r0, %r1, 28, 16;", 'r', {0x80000000}, 0xfffffff8},
    {"bfe.u32 %r0, %r1, 40, 8;", 'r', {0xffffffff}, 0},
    {"bfe.s32 %r0, %r1, 40, 8;", 'r', {0x80000000}, ALL},
    {"bfe.s32 %r0, %r1, 3, 0;", 'r', {0xffffffff}, 0},
    {"bfe.u64 %d0, %d1, 32, 64;", 'd', {UINT64_C(0x1234567800000000)}, 0x12345678},
    {"bfi.b32 %r0, %r1, %r2, 8, 8;", 'r', {0xab, 0xffffffff}, 0xffffabff},
    {"bfi.b32 %r0, %r1, %r2, 28, 16;", 'r', {0xff, 0}, 0xf0000000},
    {"bfi.b64 %d0, %d1, %d2, 32, 32;", 'd', {5, 7}, UINT64_C(0x500000007)},
    {"bmsk.clamp.b32 %r0, %r1, %r2;", 'r', {4, 8}, 0xff0},
    {"bmsk.clamp.b32 %r0, %r1, %r2;", 'r', {32, 8}, 0},
    {"bmsk.wrap.b32 %r0, %r1, %r2;", 'r', {36, 34}, 0x30},
    {"szext.clamp.s32 %r0, %r1, %r2;", 'r', {0x18, 5}, 0xfffffff8},
    {"szext.clamp.u32 %r0, %r1, %r2;", 'r', {0xabcdef12, 40}, 0xabcdef12},
    {"szext.wrap.u32 %r0, %r1, %r2;", 'r', {0xff, 36}, 0xf},
    {"fns.b32 %r0, %r1, %r2, %r3;", 'r', {0xaaaaaaaa, 3, 1}, 3},
    {"fns.b32 %r0, %r1, %r2, %r3;", 'r', {0xaaaaaaaa, 3, (uint64_t)-2}, 1},
    {"fns.b32 %r0, %r1, %r2, %r3;", 'r', {0x0, 0, 1}, ALL},
    {"fns.b32 %r0, %r1, %r2, %r3;", 'r', {0xaaaaaaaa, 2, 0}, ALL},
    {"and.b32 %r0, %r1, %r2;", 'r', {0xf0f0, 0xff00}, 0xf000},
    {"xor.b16 %h0, %h1, %h2;", 'h', {0xf0f0, 0xff00}, 0x0ff0},
    {"not.b64 %d0, %d1;", 'd', {1}, ~UINT64_C(1)},
    {"and.pred %p0, %p1, %p2;", 'p', {1, 0}, 0},
    {"not.pred %p0, %p1;", 'p', {0}, 1},
    {"xor.pred %p0, %p1, %p2;", 'p', {1, 0}, 1},
    {"cnot.b32 %r0, %r1;", 'r', {0}, 1},
    {"cnot.b32 %r0, %r1;", 'r', {5}, 0},
    {"lop3.b32 %r0, %r1, %r2, %r3, 0xe8;", 'r', {0xff00, 0xf0f0, 0xcccc}, 0xfcc0 & 0xffff},
    {"lop3.b32 %r0, %r1, %r2, %r3, 0x96;", 'r', {1, 3, 7}, 5},
    {"lop3.or.b32 %r0|%p0, %r1, %r2, %r3, 0x80, %p3;", 'p', {1, 2, 0}, 0},
    {"shl.b32 %r0, %r1, %r2;", 'r', {1, 31}, 0x80000000},
    {"shl.b32 %r0, %r1, %r2;", 'r', {1, 32}, 0},
    {"shl.b64 %d0, %d1, %r2;", 'd', {1, 64}, 0},
    {"shr.u32 %r0, %r1, %r2;", 'r', {0x80000000, 0xffffffff}, 0},
    {"shr.s32 %r0, %r1, %r2;", 'r', {0x80000000, 99}, ALL},
    {"shr.s64 %d0, %d1, %r2;", 'd', {UINT64_C(1) << 63, 64}, UINT64_MAX},
    {"shr.u16 %h0, %h1, %r2;", 'h', {0x8000, 16}, 0},
    {"shl.b16 %h0, %h1, %r2;", 'h', {0xffff, 4}, 0xfff0},
    {"shf.l.wrap.b32 %r0, %r1, %r2, %r3;", 'r', {0x80000000, 1, 33}, 3},
    {"shf.l.clamp.b32 %r0, %r1, %r2, %r3;", 'r', {0x80000001, 1, 33}, 0x80000001},
    {"shf.r.clamp.b32 %r0, %r1, %r2, %r3;", 'r', {0x80000001, 0x12, 32}, 0x12},
    {"shf.r.wrap.b32 %r0, %r1, %r2, %r3;", 'r', {0x80000000, 1, 4}, 0x18000000},
    {"prmt.b32 %r0, %r1, %r2, 0x7531;", 'r', {0x33221100, 0x77665544}, 0x77553311},
    {"prmt.b32 %r0, %r1, %r2, 0x1bc9;", 'r', {0x80c0ff7f, 0x00000080}, 0xffffff00 | 0xff},
    {"prmt.b32.f4e %r0, %r1, %r2, %r3;", 'r', {0x33221100, 0x77665544, 2}, 0x55443322},
    {"prmt.b32.b4e %r0, %r1, %r2, %r3;", 'r', {0x33221100, 0x77665544, 1}, 0x66770011},
    {"prmt.b32.rc8 %r0, %r1, %r2, %r3;", 'r', {0x33221100, 0, 2}, 0x22222222},
    {"prmt.b32.ecl %r0, %r1, %r2, %r3;", 'r', {0x33221100, 0, 2}, 0x33222222},
    {"prmt.b32.ecr %r0, %r1, %r2, %r3;", 'r', {0x33221100, 0, 1}, 0x11111100},
    {"prmt.b32.rc16 %r0, %r1, %r2, %r3;", 'r', {0x33221100, 0, 1}, 0x33223322})

ROWS(float_arithmetic,
    {"add.f32 %r0, %r1, %r2;", 'r', {F(1.5f), F(2.25f)}, F(3.75f)},
    {"add.rz.f32 %r0, %r1, %r2;", 'r', {F(1), F(0x1p-24f)}, F(1)},
    {"add.rp.f32 %r0, %r1, %r2;", 'r', {F(1), F(0x1p-40f)}, F(0x1.000002p0f)},
    {"add.rm.f32 %r0, %r1, %r2;", 'r', {F(-1), F(-0x1p-40f)}, F(-0x1.000002p0f)},
    {"add.rp.f64 %d0, %d1, %d2;", 'd', {D(1), D(0x1p-80)}, D(0x1.0000000000001p0)},
    {"sub.ftz.f32 %r0, %r1, %r2;", 'r', {0x00800000, 0x00000001}, 0x00800000},
    {"sub.f32 %r0, %r1, %r2;", 'r', {0x00800000, 0x00000001}, 0x007fffff},
    {"add.ftz.f32 %r0, %r1, %r2;", 'r', {0x80000005, 0x80000005}, 0x80000000},
    {"mul.ftz.f32 %r0, %r1, %r2;", 'r', {F(0x1p-100f), F(-0x1p-40f)}, 0x80000000},
    {"mul.f32 %r0, %r1, %r2;", 'r', {F(0x1p-100f), F(0x1p-40f)}, F(0x1p-140f)},
    {"add.sat.f32 %r0, %r1, %r2;", 'r', {F(0.75f), F(0.5f)}, F(1)},
    {"add.sat.f32 %r0, %r1, %r2;", 'r', {NAN32, F(0.5f)}, 0},
    {"mul.rz.f32 %r0, %r1, %r2;", 'r', {F(0x1.fffffep0f), F(0x1.fffffep0f)}, F(0x1.fffffcp1f)},
    {"fma.rn.f32 %r0, %r1, %r2, %r3;", 'r', {F(0x1.000002p0f), F(0x1.000004p0f), F(-1)},
        F(0x1.800002p-22f)},
    {"fma.rm.f32 %r0, %r1, %r2, %r3;", 'r', {F(1), F(1), F(-0x1p-40f)}, F(0x1.fffffep-1f)},
    {"fma.rn.sat.f32 %r0, %r1, %r2, %r3;", 'r', {F(2), F(-2), F(1)}, 0},
    {"mad.rn.f32 %r0, %r1, %r2, %r3;", 'r', {F(2), F(3), F(4)}, F(10)},
    {"fma.rn.f64 %d0, %d1, %d2, %d3;", 'd',
        {D(0x1.0000000000001p0), D(0x1.0000000000001p0), D(-1)}, D(0x1.00000000000008p-51)},
    {"div.rn.f32 %r0, %r1, %r2;", 'r', {F(1), F(3)}, F(1.0f / 3.0f)},
    {"div.rz.f32 %r0, %r1, %r2;", 'r', {F(2), F(3)}, 0x3f2aaaaa},
    {"div.rn.f32 %r0, %r1, %r2;", 'r', {F(1), F(-0.0f)}, F(-INFINITY)},
    {"div.rn.f64 %d0, %d1, %d2;", 'd', {D(1), D(3)}, D(1.0 / 3.0)},
    {"div.full.f32 %r0, %r1, %r2;", 'r', {F(9), F(3)}, F(3)},
    {"div.approx.ftz.f32 %r0, %r1, %r2;", 'r', {F(9), 1}, F(INFINITY)},
    {"rcp.rn.f32 %r0, %r1;", 'r', {F(4)}, F(0.25f)},
    {"rcp.rp.f32 %r0, %r1;", 'r', {F(3)}, 0x3eaaaaab},
    {"rcp.rz.f64 %d0, %d1;", 'd', {D(3)}, UINT64_C(0x3fd5555555555555)},
    {"rcp.approx.ftz.f64 %d0, %d1;", 'd', {D(4)}, D(0.25)},
    {"sqrt.rn.f32 %r0, %r1;", 'r', {F(2)}, 0x3fb504f3},
    {"sqrt.rp.f32 %r0, %r1;", 'r', {F(2)}, 0x3fb504f4},
    {"sqrt.rn.f64 %d0, %d1;", 'd', {D(-0.0)}, D(-0.0)},
    {"rsqrt.approx.f32 %r0, %r1;", 'r', {F(0.25f)}, F(2)},
    {"ex2.approx.f32 %r0, %r1;", 'r', {F(-3)}, F(0.125f)},
    {"ex2.approx.ftz.f32 %r0, %r1;", 'r', {F(-140)}, 0},
    {"lg2.approx.f32 %r0, %r1;", 'r', {F(8)}, F(3)},
    {"sin.approx.f32 %r0, %r1;", 'r', {F(0)}, 0},
    {"cos.approx.f32 %r0, %r1;", 'r', {F(0)}, F(1)},
    {"tanh.approx.f32 %r0, %r1;", 'r', {F(INFINITY)}, F(1)},
    {"abs.f32 %r0, %r1;", 'r', {F(-2)}, F(2)},
    {"neg.ftz.f32 %r0, %r1;", 'r', {3}, 0x80000000},
    {"neg.f64 %d0, %d1;", 'd', {D(0)}, D(-0.0)},
    {"min.f32 %r0, %r1, %r2;", 'r', {NAN32, F(1)}, F(1)},
    {"max.f32 %r0, %r1, %r2;", 'r', {F(1), NAN32}, F(1)},
    {"min.f32 %r0, %r1, %r2;", 'r', {F(0), F(-0.0f)}, F(-0.0f)},
    {"max.f32 %r0, %r1, %r2;", 'r', {F(-0.0f), F(0)}, F(0)},
    {"max.f32 %r0, %r1, %r2;", 'r', {0xffc00001, 0x7fc00000}, NAN32},
    {"max.NaN.f32 %r0, %r1, %r2;", 'r', {F(1), NAN32}, NAN32},
    {"min.xorsign.abs.f32 %r0, %r1, %r2;", 'r', {F(-3), F(2)}, F(-2)},
    {"min.f64 %d0, %d1, %d2;", 'd', {D(-1), D(2)}, D(-1)},
    {"copysign.f32 %r0, %r1, %r2;", 'r', {F(-1), F(2)}, F(-2)},
    {"copysign.f64 %d0, %d1, %d2;", 'd', {D(1), D(-2)}, D(2)},
    {"testp.finite.f32 %p0, %r1;", 'p', {F(INFINITY)}, 0},
    {"testp.infinite.f64 %p0, %d1;", 'p', {D(-INFINITY)}, 1},
    {"testp.notanumber.f32 %p0, %r1;", 'p', {NAN32}, 1},
    {"testp.number.f32 %p0, %r1;", 'p', {F(INFINITY)}, 1},
    {"testp.normal.f32 %p0, %r1;", 'p', {1}, 0},
    {"testp.subnormal.f32 %p0, %r1;", 'p', {1}, 1},
    {"add.f16 %h0, %h1, %h2;", 'h', {0x3c00, 0x4000}, 0x4200},
    {"mul.f16x2 %r0, %r1, %r2;", 'r', {0x3c004000, 0x40004000}, 0x40004400},
    {"fma.rn.f16 %h0, %h1, %h2, %h3;", 'h', {0x3c01, 0x3c02, 0xbc00}, 0x1a01},
    {"fma.rn.relu.f16 %h0, %h1, %h2, %h3;", 'h', {0x3c00, 0xbc00, 0}, 0},
    {"fma.rn.bf16 %h0, %h1, %h2, %h3;", 'h', {0x3f80, 0x4000, 0x3f80}, 0x4040},
    {"fma.rn.bf16x2 %r0, %r1, %r2, %r3;", 'r', {0x3f803f80, 0x40004040, 0}, 0x40004040},
    {"max.f16 %h0, %h1, %h2;", 'h', {0x7e00, 0x3c00}, 0x3c00},
    {"neg.f16x2 %r0, %r1;", 'r', {0x00003c00}, 0x8000bc00},
    {"abs.bf16 %h0, %h1;", 'h', {0xbf80}, 0x3f80},
    {"ex2.approx.f16 %h0, %h1;", 'h', {0x4000}, 0x4400})

ROWS(comparison,
    {"setp.lt.s32 %p0, %r1, %r2;", 'p', {0xffffffff, 0}, 1},
    {"setp.lt.u32 %p0, %r1, %r2;", 'p', {0xffffffff, 0}, 0},
    {"setp.hs.u32 %p0, %r1, %r2;", 'p', {5, 5}, 1},
    {"setp.ls.u64 %p0, %d1, %d2;", 'p', {6, 5}, 0},
    {"setp.ge.s16 %p0, %h1, %h2;", 'p', {0x8000, 1}, 0},
    {"setp.eq.b32 %p0, %r1, %r2;", 'p', {5, 5}, 1},
    {"setp.eq.f32 %p0, %r1, %r2;", 'p', {NAN32, NAN32}, 0},
    {"setp.ne.f32 %p0, %r1, %r2;", 'p', {NAN32, F(1)}, 0},
    {"setp.neu.f32 %p0, %r1, %r2;", 'p', {NAN32, F(1)}, 1},
    {"setp.ltu.f64 %p0, %d1, %d2;", 'p', {D(NAN), D(1)}, 1},
    {"setp.num.f32 %p0, %r1, %r2;", 'p', {F(1), F(1)}, 1},
    {"setp.nan.f32 %p0, %r1, %r2;", 'p', {F(1), NAN32}, 1},
    {"setp.eq.ftz.f32 %p0, %r1, %r2;", 'p', {1, 0x80000002}, 1},
    {"setp.eq.f32 %p0, %r1, %r2;", 'p', {F(0), F(-0.0f)}, 1},
    {"setp.lt.and.s32 %p0, %r1, %r2, %p3;", 'p', {1, 2, 0}, 0},
    {"setp.lt.or.s32 %p0, %r1, %r2, !%p3;", 'p', {3, 2, 0}, 1},
    {"setp.lt.xor.s32 %p4|%p0, %r1, %r2, %p3;", 'p', {1, 2, 1}, 1},
    {"setp.gt.f16 %p0, %h1, %h2;", 'p', {0x4000, 0x3c00}, 1},
    {"setp.gt.f16x2 %p4|%p0, %r1, %r2;", 'p', {0x3c004000, 0x40003c00}, 0},
    {"setp.lt.bf16 %p0, %h1, %h2;", 'p', {0x3f80, 0x4000}, 1},
    {"set.lt.u32.s32 %r0, %r1, %r2;", 'r', {0xffffffff, 0}, ALL},
    {"set.gt.f32.f32 %r0, %r1, %r2;", 'r', {F(2), F(1)}, F(1)},
    {"set.eq.s32.f64 %r0, %d1, %d2;", 'r', {D(2), D(1)}, 0},
    {"set.gt.f16x2.f16x2 %r0, %r1, %r2;", 'r', {0x3c004000, 0x40003c00}, 0x00003c00},
    {"selp.b32 %r0, %r1, %r2, %p3;", 'r', {5, 6, 0}, 6},
    {"selp.f64 %d0, %d1, %d2, !%p3;", 'd', {5, 6, 0}, 5},
    {"slct.s32.s32 %r0, %r1, %r2, %r3;", 'r', {5, 6, 0xffffffff}, 6},
    {"slct.f32.f32 %r0, %r1, %r2, %r3;", 'r', {5, 6, F(-0.0f)}, 5},
    {"slct.u64.f32 %d0, %d1, %d2, %r3;", 'd', {5, 6, NAN32}, 6})

ROWS(conversion,
    {"cvt.u64.u32 %d0, %r1;", 'd', {UINT64_C(0x1ffffffff)}, ALL},
    {"cvt.s64.s32 %d0, %r1;", 'd', {0x80000000}, UINT64_C(0xffffffff80000000)},
    {"cvt.s32.s8 %r0, %r1;", 'r', {0x1ff}, ALL},
    {"cvt.u32.u8 %r0, %r1;", 'r', {0x1ff}, 0xff},
    {"cvt.s16.s8 %h0, %h1;", 'h', {0x80}, 0xff80},
    {"cvt.u8.u32 %r0, %r1;", 'r', {0x1234}, 0x34},
    {"cvt.sat.u8.s32 %r0, %r1;", 'r', {0xffffffff}, 0},
    {"cvt.sat.s8.s32 %r0, %r1;", 'r', {1000}, 127},
    {"cvt.sat.s8.s32 %r0, %r1;", 'r', {(uint64_t)-1000}, 0xffffff80},
    {"cvt.sat.s32.u32 %r0, %r1;", 'r', {0xffffffff}, 0x7fffffff},
    {"cvt.sat.u32.s64 %r0, %d1;", 'r', {(uint64_t)-1}, 0},
    {"cvt.rni.s32.f32 %r0, %r1;", 'r', {F(2.5f)}, 2},
    {"cvt.rni.s32.f32 %r0, %r1;", 'r', {F(3.5f)}, 4},
    {"cvt.rzi.s32.f32 %r0, %r1;", 'r', {F(-2.9f)}, 0xfffffffe},
    {"cvt.rmi.s32.f32 %r0, %r1;", 'r', {F(-2.1f)}, 0xfffffffd},
    {"cvt.rpi.s64.f64 %d0, %d1;", 'd', {D(2.1)}, 3},
    {"cvt.rzi.u32.f32 %r0, %r1;", 'r', {F(-5)}, 0},
    {"cvt.rzi.s32.f32 %r0, %r1;", 'r', {F(1e20f)}, 0x7fffffff},
    {"cvt.rzi.s32.f32 %r0, %r1;", 'r', {NAN32}, 0},
    {"cvt.rzi.s64.f64 %d0, %d1;", 'd', {D(NAN)}, UINT64_C(1) << 63},
    {"cvt.rzi.u64.f32 %d0, %r1;", 'd', {F(INFINITY)}, UINT64_MAX},
    {"cvt.rzi.u8.f32 %r0, %r1;", 'r', {F(300)}, 255},
    {"cvt.rzi.s16.f32 %h0, %r1;", 'h', {F(-40000)}, 0x8000},
    {"cvt.rzi.ftz.s32.f32 %r0, %r1;", 'r', {1}, 0},
    {"cvt.rn.f32.s32 %r0, %r1;", 'r', {0x01000001}, F(16777216)},
    {"cvt.rp.f32.s32 %r0, %r1;", 'r', {0x01000001}, F(16777218)},
    {"cvt.rz.f32.u64 %r0, %d1;", 'r', {UINT64_MAX}, 0x5f7fffff},
    {"cvt.rn.f32.u64 %r0, %d1;", 'r', {UINT64_MAX}, 0x5f800000},
    {"cvt.rn.f64.u64 %d0, %d1;", 'd', {UINT64_C(1) << 63}, D(0x1p63)},
    {"cvt.rm.f64.s64 %d0, %d1;", 'd', {INT64_MAX}, D(0x1.fffffffffffffp62)},
    {"cvt.rn.f32.u8 %r0, %r1;", 'r', {0x1ff}, F(255)},
    {"cvt.rn.f32.f64 %r0, %d1;", 'r', {D(0.1)}, F(0.1f)},
    {"cvt.rz.f32.f64 %r0, %d1;", 'r', {D(0.1)}, 0x3dcccccc},
    {"cvt.f64.f32 %d0, %r1;", 'd', {F(0.1f)}, D(0.1f)},
    {"cvt.ftz.f64.f32 %d0, %r1;", 'd', {1}, 0},
    {"cvt.rni.f32.f32 %r0, %r1;", 'r', {F(-2.5f)}, F(-2)},
    {"cvt.rpi.f64.f64 %d0, %d1;", 'd', {D(-0.5)}, D(-0.0)},
    {"cvt.sat.f32.f32 %r0, %r1;", 'r', {F(-3)}, 0},
    {"cvt.rn.f16.f32 %h0, %r1;", 'h', {F(65520)}, 0x7c00},
    {"cvt.rz.f16.f32 %h0, %r1;", 'h', {F(65520)}, 0x7bff},
    {"cvt.rn.f16.f32 %h0, %r1;", 'h', {F(0x1p-25f)}, 0},
    {"cvt.rp.f16.f32 %h0, %r1;", 'h', {F(0x1p-25f)}, 1},
    {"cvt.rn.f16.f32 %h0, %r1;", 'h', {F(0x1.8p-24f)}, 2},
    {"cvt.f32.f16 %r0, %h1;", 'r', {1}, F(0x1p-24f)},
    {"cvt.f64.f16 %d0, %h1;", 'd', {0xfc00}, D(-INFINITY)},
    {"cvt.rn.f16.f64 %h0, %d1;", 'h', {D(0x1.0020000000001p0)}, 0x3c01},
    {"cvt.rn.f16.s32 %h0, %r1;", 'h', {2049}, 0x6800},
    {"cvt.rni.s32.f16 %r0, %h1;", 'r', {0x4100}, 2},
    {"cvt.rn.bf16.f32 %h0, %r1;", 'h', {0x3f808000}, 0x3f80},
    {"cvt.rn.bf16.f32 %h0, %r1;", 'h', {0x3f818000}, 0x3f82},
    {"cvt.rz.bf16.f32 %h0, %r1;", 'h', {0x3f81ffff}, 0x3f81},
    {"cvt.rn.bf16.f32 %h0, %r1;", 'h', {0xffc00001}, 0x7fff},
    {"cvt.f32.bf16 %r0, %h1;", 'r', {0x4049}, 0x40490000},
    {"cvt.rn.f16x2.f32 %r0, %r1, %r2;", 'r', {F(1), F(2)}, 0x3c004000},
    {"cvt.rn.bf16x2.f32 %r0, %r1, %r2;", 'r', {F(1), F(2)}, 0x3f804000},
    {"cvt.rn.relu.f16x2.f32 %r0, %r1, %r2;", 'r', {F(-1), F(2)}, 0x00004000},
    {"cvt.rna.tf32.f32 %r0, %r1;", 'r', {0x3f801000}, 0x3f802000},
    {"cvt.rn.satfinite.e4m3x2.f32 %h0, %r1, %r2;", 'h', {F(1000), F(-1)}, 0x7eb8},
    {"cvt.rn.satfinite.e5m2x2.f32 %h0, %r1, %r2;", 'h', {F(1), F(NAN)}, 0x3c7f},
    {"cvt.rn.f16x2.e4m3x2 %r0, %h1;", 'r', {0x38b8}, 0x3c00bc00},
    {"mov.b32 %r0, {%h1, %h2};", 'r', {0x1111, 0x2222}, 0x22221111},
    {"mov.b64 {%r0, %r4}, %d1;", 'r', {UINT64_C(0x5555555566666666)}, 0x66666666},
    {"mov.b64 {_, %r0}, %d1;", 'r', {UINT64_C(0x5555555566666666)}, 0x55555555},
    {"mov.b64 %d0, {%h1, %h2, %h3, %h1};", 'd', {1, 2, 3}, UINT64_C(0x0001000300020001)},
    {"mov.f32 %r0, 0f3F800000;", 'r', {0}, F(1)},
    {"mov.f32 %r0, 0.5;", 'r', {0}, F(0.5f)},
    {"mov.f64 %d0, -1.5e1;", 'd', {0}, D(-15)},
    {"mov.u32 %r0, -1;", 'r', {0}, ALL},
    {"mov.u32 %r0, WARP_SZ;", 'r', {0}, 32},
    {"mov.pred %p0, %p1;", 'p', {1}, 1},
    {"mov.u32 %r0, %ntid.x;", 'r', {0}, 1},
    {"mov.u32 %r0, %lanemask_lt;", 'r', {0}, 0})
/* clang-format on */
