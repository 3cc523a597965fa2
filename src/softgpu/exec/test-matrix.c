/* Matrix instructions: the tests of matrix-tests.h, and what ends a grid. */
#include <math.h>

#include "softgpu/exec/ptxas.h"
#include "softgpu/exec/test-machine.h"

#define MATRIX_TEST(name) TEST_LIMIT(name, 120)
#include "softgpu/exec/matrix-tests.h"

static void *matrix_memory(size_t size)
{
	return device_alloc(size);
}

static void matrix_run(const char *ptx, void *memory, size_t size, size_t out)
{
	struct sg_module *module = module_load(ptx);
	uint64_t params[] = {(uint64_t)memory, (uint64_t)memory + out};

	launch_fine(kernel_get(module, "k"), 1, 32, params, 2);
	sg_module_unload(module);
}

/* ---- scales, which only architectures with a letter behind their number have ---- */

struct scaled {
	struct mma mma;
	char b_type;
	unsigned blocks; /* of k that have a scale each */
	bool ue4m3;	 /* the scales' type; else ue8m0 */
	bool sparse;
	unsigned a_byte, a_thread, b_byte, b_thread;
};

static uint32_t encode_scale(const struct scaled *x, int power)
{
	return (uint32_t)(x->ue4m3 ? 0x38 + 8 * power : 127 + power);
}

static int power_of(unsigned line, unsigned block)
{
	return (int)((line * 5 + block * 3) % 5) - 2;
}

/* The scales are the last two words of what comes in. */
static const char *write_scaled_kernel(const struct scaled *x)
{
	static char text[16384];
	const char *plain = x->sparse ? write_sparse_kernel(&x->mma, 0) : write_kernel(&x->mma);
	const char *body = strstr(plain, ".visible"), *mma = strstr(body, "mma.s");
	const char *end = strchr(mma, ';');
	unsigned n = x->mma.na + x->mma.nb + x->mma.nc + x->sparse;

	snprintf(text, sizeof(text),
	    ".version 8.8\n.target sm_120a\n.address_size 64\n%.*s"
	    "ld.global.b32 %%r91, [%%p+%u]; ld.global.b32 %%r92, [%%p+%u];\n"
	    "%.*s, %%r91, {%u, %u}, %%r92, {%u, %u}%s",
	    (int)(mma - body), body, n * 4, n * 4 + 4, (int)(end - mma), mma, x->a_byte,
	    x->a_thread, x->b_byte, x->b_thread, end);
	return text;
}

static void bring_scaled(const struct scaled *x, uint32_t (*in)[WORDS])
{
	unsigned n = x->mma.na + x->mma.nb + x->mma.nc + x->sparse;
	struct mma mma = x->mma;

	if (x->sparse) {
		mma.k /= 2;
		memcpy(a, stored, sizeof(stored));
	}
	mma.nb = 0;
	bring(&mma, in);
	for (unsigned lane = 0; lane < 32; lane++) {
		unsigned first = mma.na + x->mma.nb;

		memset(in[lane] + mma.na, 0, sizeof(in[lane]) - mma.na * 4);
		for (unsigned i = 0; i < 4; i++)
			put(in[lane], 'f', first, i,
			    c[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2]);
	}
	mma = x->mma;
	mma.na = 0;
	mma.type = x->b_type;
	for (unsigned lane = 0; lane < 32; lane++) {
		unsigned per = 32 / bits_of(mma.type), group = lane / 4, t = lane % 4;

		for (unsigned i = 0; i < mma.nb * per; i++)
			put(in[lane], mma.type, x->mma.na, i,
			    b[(i / per * 4 * per + t * per + i % per) * 8 + group]);
	}
	for (unsigned block = 0; block < x->blocks; block++) {
		for (unsigned row = 0; row < 16; row++)
			in[row % 8 * 4 + x->a_thread * 2 + row / 8][n] |=
			    encode_scale(x, power_of(row, block)) << (x->a_byte + block) * 8;
		for (unsigned column = 0; column < 8; column++)
			in[column * 4 + x->b_thread][n + 1] |=
			    encode_scale(x, power_of(column + 1, block)) << (x->b_byte + block) * 8;
	}
}

static double expected_scaled(const struct scaled *x, unsigned row, unsigned column)
{
	unsigned size = x->mma.k / x->blocks;
	double sum = c[row * 8 + column];

	for (unsigned i = 0; i < x->mma.k; i++)
		sum += ldexp(a[row * x->mma.k + i] * b[i * 8 + column],
		    power_of(row, i / size) + power_of(column + 1, i / size));
	return sum;
}

static void run_scaled(const struct scaled *x)
{
	const char *text;
	uint32_t(*in)[WORDS] = matrix_memory(2 * LANES_SIZE), (*out)[WORDS] = in + 32;

	fill(x->sparse ? stored : a, 16 * x->mma.k / (x->sparse ? 2 : 1), 's', x->mma.k);
	fill(b, x->mma.k * 8, 's', x->mma.k + 7);
	fill(c, 16 * 8, 's', 5);
	bring_scaled(x, in);
	if (x->sparse) {
		memset(a, 0, sizeof(a));
		bring_indices(&x->mma, 0, in);
	}
	text = write_scaled_kernel(x);
	ptxas_check(text, "sm_120a");
	matrix_run(text, in, 2 * LANES_SIZE, LANES_SIZE);
	for (unsigned lane = 0; lane < 32; lane++)
		for (unsigned i = 0; i < 4; i++) {
			unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
			float got;

			memcpy(&got, &out[lane][i], sizeof(got));
			if ((double)got != expected_scaled(x, row, column))
				test_fail(__FILE__, __LINE__, "%s: (%u,%u) is %g, wanted %g",
				    x->mma.name, row, column, (double)got,
				    expected_scaled(x, row, column));
		}
}

#define MX8 "m16n8k32.row.col.kind::mxf8f6f4.block_scale.scale_vec::1X.f32."
#define MX4 "m16n8k64.row.col.kind::mxf4.block_scale.scale_vec::2X.f32.e2m1.e2m1.f32.ue8m0"
#define NV4 "m16n8k64.row.col.kind::mxf4nvf4.block_scale.scale_vec::4X.f32.e2m1.e2m1.f32.ue4m3"
#define SP8 "m16n8k64.row.col.kind::mxf8f6f4.block_scale.scale_vec::1X.f32.e4m3.e4m3.f32.ue8m0"

TEST(mma_with_scales)
{
	static const struct scaled all[] = {
	    {{MX8 "e4m3.e4m3.f32.ue8m0", 16, 8, 32, 'e', 'f', 4, 2, 4}, 'e', 1, .a_byte = 1,
		.a_thread = 1, .b_byte = 3, .b_thread = 2},
	    {{MX8 "e2m1.e3m2.f32.ue8m0", 16, 8, 32, '2', 'f', 4, 2, 4}, '4', 1},
	    {{MX8 "e2m3.e2m1.f32.ue8m0", 16, 8, 32, '3', 'f', 4, 2, 4}, '2', 1, .b_thread = 3},
	    {{MX4, 16, 8, 64, 'p', 'f', 4, 2, 4}, 'p', 2, .a_byte = 2, .b_thread = 1},
	    {{NV4, 16, 8, 64, 'p', 'f', 4, 2, 4}, 'p', 4, .ue4m3 = true, .a_thread = 1},
	    {{SP8, 16, 8, 64, 'e', 'f', 4, 4, 4}, 'e', 1, .sparse = true, .b_byte = 2},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		run_scaled(&all[i]);
}

TEST(products_of_warpgroups_outside_memory_end_the_grid)
{
	struct sg_module *module = module_load(
	    ".version 8.0\n.target sm_90a\n.address_size 64\n"
	    ".visible .entry k(.param .u64 place) { .reg .b32 %r<9>; .reg .b64 %d<3>; .reg .pred "
	    "%p;\n"
	    ".shared .align 128 .b8 s[1024]; ld.param.u64 %d1, [place]; setp.eq.u64 %p, %d1, 0;\n"
	    "st.shared.u32 [s], 1;\n"
	    "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%r1, %r2, %r3, %r4}, %d1, %d1, %p, "
	    "1, 1, 0, 0;\n"
	    "wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 0; ret; }\n");
	uint64_t params[] = {0x3fff};
	struct sg_fault fault;

	CHECK_EQ(
	    launch(kernel_get(module, "k"), 1, 128, params, 1, &fault), SG_FAULT_ILLEGAL_ADDRESS);
}

/* clang-format off */
/* Bytes of shared memory by ldmatrix and stmatrix, which only sm_100a and later have: lane l points
 * at bytes 16 l of s. The kernel writes its registers, then what it stored. */
static const char matrices_of_bytes[] = ".version 8.7\n.target sm_100a\n.address_size 64\n"
    ".visible .entry k(.param .u64 in, .param .u64 out) {\n"
    ".reg .b32 %r<40>; .reg .b64 %d<9>; .shared .align 16 .b8 s[1024];\n"
    "ld.param.u64 %d1, [in]; ld.param.u64 %d2, [out]; mov.u32 %r1, %tid.x;\n"
    "mul.wide.u32 %d3, %r1, 16; add.u64 %d1, %d1, %d3; mov.u32 %r2, s; mad.lo.u32 %r3, %r1, 16, %r2;\n"
    "ld.global.v4.b32 {%r4, %r5, %r6, %r7}, [%d1]; st.shared.v4.b32 [%r3], {%r4, %r5, %r6, %r7};\n"
    "bar.warp.sync -1;\n"
    "ldmatrix.sync.aligned.m16n16.x2.trans.shared.b8 {%r10, %r11, %r12, %r13}, [%r3];\n"
    "ldmatrix.sync.aligned.m8n16.x2.shared.b8x16.b4x16_p64 {%r14, %r15}, [%r3];\n"
    "ldmatrix.sync.aligned.m8n16.x1.shared.b8x16.b6x16_p32 {%r16}, [%r3];\n"
    "stmatrix.sync.aligned.m16n8.x4.trans.shared.b8 [%r3+512], {%r4, %r5, %r6, %r7};\n"
    "bar.warp.sync -1;\n"
    "mul.wide.u32 %d3, %r1, 28; add.u64 %d4, %d2, %d3;\n"
    "st.global.b32 [%d4], %r10; st.global.b32 [%d4+4], %r11; st.global.b32 [%d4+8], %r12;\n"
    "st.global.b32 [%d4+12], %r13; st.global.b32 [%d4+16], %r14; st.global.b32 [%d4+20], %r15;\n"
    "st.global.b32 [%d4+24], %r16;\n"
    "ld.shared.v4.b32 {%r4, %r5, %r6, %r7}, [%r3+512]; mul.wide.u32 %d3, %r1, 16;\n"
    "add.u64 %d4, %d2, %d3; st.global.v4.b32 [%d4+896], {%r4, %r5, %r6, %r7}; ret; }\n";
/* clang-format on */

TEST(matrices_of_bytes_are_turned_and_unpacked)
{
	uint8_t *in = matrix_memory(2048);
	const uint8_t *out = in + 512, *memory = out + 896;

	for (unsigned i = 0; i < 512; i++)
		in[i] = (uint8_t)(i * 167 + i / 64);
	matrix_run(matrices_of_bytes, in, 2048, 512);
	for (unsigned lane = 0; lane < 32; lane++) {
		const uint8_t *words = out + (size_t)lane * 28;
		unsigned row = lane / 4, first = lane % 4 * 4;

		for (unsigned i = 0; i < 4; i++) {
			const uint8_t *packed = in + row * 16;
			unsigned bit = (first + i) * 6;

			for (unsigned r = 0; r < 4; r++)
				CHECK_EQ(words[4 * r + i],
				    in[(r / 2 * 16 + first + i) * 16 + r % 2 * 8 + row]);
			CHECK_EQ(words[16 + i], packed[(first + i) / 2] >> (i % 2 * 4) & 15);
			CHECK_EQ(words[20 + i], packed[128 + (first + i) / 2] >> (i % 2 * 4) & 15);
			CHECK_EQ(words[24 + i],
			    (packed[bit / 8] | packed[bit / 8 + 1] << 8) >> bit % 8 & 63);
		}
		/* The lane's pairs of register r: rows row and row + 8, columns first / 2 and
		 * on. */
		for (unsigned r = 0; r < 4; r++)
			for (unsigned i = 0; i < 4; i++)
				CHECK_EQ(memory[(r * 8 + first / 2 + i % 2) * 16 + row + i / 2 * 8],
				    in[lane * 16 + 4 * r + i]);
	}
}

TEST(matrices_outside_memory_end_the_grid)
{
	struct sg_module *module = module_load(HEAD
	    ".visible .entry k(.param .u64 m) { .reg .b32 %r<9>; .reg .b64 %m; .shared .b8 s[64];\n"
	    "ld.param.u64 %m, [m]; st.shared.u32 [s], 1;\n"
	    "wmma.load.c.sync.aligned.row.m16n16k16.shared.f16 {%r0, %r1, %r2, %r3}, [s], 16;\n"
	    "st.global.u32 [%m], %r0; ret; }\n"
	    ".visible .entry q(.param .u64 m) { .reg .b32 %r<9>; .reg .b64 %m;\n"
	    "ld.param.u64 %m, [m]; cvt.u32.u64 %r1, %m;\n"
	    "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r0}, [%r1];\n"
	    "st.global.u32 [%m], %r0; ret; }\n");
	uint64_t params[] = {(uint64_t)device_alloc(64)};
	struct sg_fault fault;

	CHECK_EQ(
	    launch(kernel_get(module, "k"), 1, 32, params, 1, &fault), SG_FAULT_ILLEGAL_ADDRESS);
	CHECK_EQ(
	    launch(kernel_get(module, "q"), 1, 32, params, 1, &fault), SG_FAULT_ILLEGAL_ADDRESS);
}

/* Shapes there are, but not for these types: elements would not fit the machine's arrays, nor lines
 * its moves. */
TEST(shapes_that_do_not_go_with_their_types)
{
	static const char *const all[] = {
	    "mma.sync.aligned.m16n8k128.row.col.s32.s4.s4.s32 {%r0, %r1, %r2, %r3}, {%r4, %r5, "
	    "%r6, %r7, %r8, %r9, %r10, %r11}, {%r12, %r13, %r14, %r15}, {%r0, %r1, %r2, %r3};",
	    "mma.sync.aligned.m16n8k4.row.col.f32.bf16.bf16.f32 {%r0, %r1, %r2, %r3}, {%r4}, "
	    "{%r5}, {%r0, %r1, %r2, %r3};",
	    "mma.sync.aligned.m16n8k8.row.col.s32.s8.s8.s32 {%r0, %r1, %r2, %r3}, {%r4}, {%r5}, "
	    "{%r0, %r1, %r2, %r3};",
	    "wmma.load.a.sync.aligned.row.m8n8k128.global.f16 {%r0, %r1, %r2, %r3, %r4, %r5, %r6, "
	    "%r7}, [%d1], 128;",
	    "wmma.load.c.sync.aligned.row.m16n16k16.global.b1 {%r0}, [%d1], 128;",
	    "wmma.load.b.sync.aligned.row.m8n8k32.global.s4 {%r0}, [%d1], 128;",
	    "wmma.load.a.sync.aligned.col.m8n8k4.global.tf32 {%r0}, [%d1], 8;",
	    "wmma.load.b.sync.aligned.row.m16n8k64.global.s8 {%r0, %r1, %r2, %r3}, [%d1], 8;",
	};
	struct sg_log log = {.text = machine_log, .capacity = sizeof(machine_log)};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		static char text[4096];

		snprintf(text, sizeof(text),
		    HEAD ".visible .entry k(.param .u64 m) { .reg .b32 %%r<20>; .reg .b64 %%d<2>;\n"
			 "ld.param.u64 %%d1, [m];\n%s ret; }\n",
		    all[i]);
		if (sg_kernel_prepare(sg_module_kernel(module_load(text), "k"), &log) !=
		    SG_MODULE_UNSUPPORTED)
			test_fail(__FILE__, __LINE__, "taken: %s", all[i]);
	}
}

/* More of them than a thread's stack has room for, if each kept its operands there. */
TEST(a_kernel_of_many_matrix_instructions)
{
	enum { N = 600, THREADS = 64 };
	static char text[N * 128 + 4096];
	char *end = text;
	uint32_t *sums = device_alloc(THREADS * sizeof(*sums));
	uint64_t params[] = {(uint64_t)sums};

	end = stpcpy(end, HEAD
	    ".visible .entry k(.param .u64 m) { .reg .b32 %r<9>; .reg .b64 %m, %d;\n"
	    "ld.param.u64 %m, [m]; mov.u32 %r0, %tid.x; mul.wide.u32 %d, %r0, 4; add.u64 %m, %m, "
	    "%d; mov.u32 %r1, 0x01010101; mov.u32 %r2, 0; mov.u32 %r3, 0;\n");
	for (unsigned i = 0; i < N; i++)
		end = stpcpy(end,
		    "mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%r2, %r3}, {%r1}, {%r1}, "
		    "{%r2, %r3}; bar.sync 0;\n");
	stpcpy(end, "st.global.u32 [%m], %r3; ret; }\n");
	launch_fine(kernel_get(module_load(text), "k"), 1, THREADS, params, 1);
	for (unsigned i = 0; i < THREADS; i++)
		CHECK_EQ(sums[i], 16 * N);
}

/* Numbers of any size and sign, which rounding and order tell apart; doubles are no NaNs. */
static void bring_random(const struct mma *mma, uint32_t (*in)[WORDS])
{
	uint64_t state = 88172645463325252;

	for (unsigned lane = 0; lane < 32; lane++)
		for (unsigned i = 0; i < WORDS; i++) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			in[lane][i] = (uint32_t)(state >> 20);
			if (mma->type == 'd' && i % 2)
				in[lane][i] = (in[lane][i] & 0x800fffff) | (1000 + i) << 20;
		}
}

static void run_in_step(struct sg_kernel *kernel, void *memory, uint32_t lanes)
{
	uint64_t params[] = {(uint64_t)memory, (uint64_t)memory + LANES_SIZE};
	struct sg_launch launch = {.grid = {1, 1, 1},
	    .block = {32, 1, 1},
	    .params = params,
	    .params_size = sizeof(params),
	    .lanes = lanes};
	struct sg_fault fault;

	if (sg_launch(kernel, &launch, &fault))
		test_fail(__FILE__, __LINE__, "%u lanes: %s", lanes, fault.message);
}

TEST(products_in_step_are_those_of_a_thread_at_a_time)
{
	static const struct mma all[] = {
	    {"m16n8k16.row.col.f32.f16.f16.f32", 16, 8, 16, 'h', 'f', 4, 2, 4},
	    {"m16n8k16.row.col.f16.f16.f16.f16", 16, 8, 16, 'h', 'h', 4, 2, 2},
	    {"m16n8k16.row.col.f32.bf16.bf16.f32", 16, 8, 16, 'b', 'f', 4, 2, 4},
	    {"m16n8k8.row.col.f32.tf32.tf32.f32", 16, 8, 8, 't', 'f', 4, 2, 4},
	    {"m16n8k32.row.col.f32.e4m3.e4m3.f32", 16, 8, 32, 'e', 'f', 4, 2, 4},
	    {"m8n8k4.row.col.f64.f64.f64.f64", 8, 8, 4, 'd', 'd', 1, 1, 2},
	    {"m16n8k16.row.col.f64.f64.f64.f64", 16, 8, 16, 'd', 'd', 8, 4, 4},
	    {"m16n8k32.row.col.satfinite.s32.s8.s8.s32", 16, 8, 32, 's', 'i', 4, 2, 4},
	    {"m16n8k64.row.col.s32.s4.s4.s32", 16, 8, 64, 'n', 'i', 4, 2, 4},
	};
	uint32_t(*in)[WORDS] = matrix_memory(2 * LANES_SIZE);
	uint32_t alone[32][WORDS];

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct sg_module *module = module_load(write_kernel(&all[i]));
		struct sg_kernel *kernel = kernel_get(module, "k");

		bring_random(&all[i], in);
		run_in_step(kernel, in, 1);
		memcpy(alone, in + 32, LANES_SIZE);
		run_in_step(kernel, in, 32);
		if (memcmp(alone, in + 32, LANES_SIZE))
			test_fail(__FILE__, __LINE__, "%s differs", all[i].name);
		sg_module_unload(module);
	}
}
