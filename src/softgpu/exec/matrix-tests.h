/*
 * Matrix instructions: warps multiply small matrices of integers (exact in every type), and the
 * result is compared with three loops. Where an element lies follows the figures of the PTX ISA
 * document, written here per shape; ldmatrix, stmatrix and mma are also used together, as real
 * kernels do.
 *
 * Two tests include this: the software GPU's own, and one of test/conform, which asks NVIDIA's
 * driver as well. They define MATRIX_TEST(name), matrix_memory() and matrix_run() before.
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Zeroed memory of the host, for a kernel to work on. */
static void *matrix_memory(size_t size);
/* Runs one warp of the kernel "k" on size bytes; its parameters are their address and that of the
 * byte at out. What it wrote is in memory afterwards. */
static void matrix_run(const char *ptx, void *memory, size_t size, size_t out);

#define HEAD	   ".version 8.7\n.target sm_90\n.address_size 64\n"
#define WORDS	   48 /* of a lane, in and out */
#define LANES_SIZE (32 * WORDS * sizeof(uint32_t))

static int32_t a[16 * 256], b[256 * 32], c[32 * 32];

/* What mma's lanes hold: A's registers, then B's, then C's. */
struct mma {
	const char *name; /* behind "mma.sync.aligned." */
	unsigned m, n, k;
	/* of A and B: h f16, b bf16, t tf32, d f64, s s8, u u8, n s4, e e4m3, 1 b1, p e2m1 in 4
	 * bits, 2 in 8, 3 e2m3, 4 e3m2 */
	char type;
	char sum;	     /* f f32, h f16, d f64, i s32 */
	unsigned na, nb, nc; /* registers */
};

static unsigned bits_of(char type)
{
	return type == 'd'				   ? 64
	       : type == 't' || type == 'f' || type == 'i' ? 32
	       : type == 'h' || type == 'b'		   ? 16
	       : type == 'n' || type == 'p'		   ? 4
	       : type == '1'				   ? 1
							   : 8;
}

/* 0 to 7 in e4m3. */
static uint64_t encode(char type, int32_t x)
{
	static const uint8_t e4m3[] = {0, 0x38, 0x40, 0x44, 0x48, 0x4a, 0x4c, 0x4e};
	double d = x;
	float f = (float)x;
	uint32_t w;
	uint64_t bits;

	memcpy(&w, &f, sizeof(w));
	memcpy(&bits, &d, sizeof(bits));
	switch (type) {
	case 'd':
		return bits;
	case 't':
	case 'f':
		return w;
	case 'b':
		return w >> 16;
	case 'h': /* small integers: no rounding, no subnormals */
		return x ? (w >> 16 & 0x8000) | (((w >> 23 & 255) - 112) << 10) | (w >> 13 & 1023)
			 : 0;
	case 'p': /* -3 to 3 in e2m1, and in a byte's middle; in e2m3; in e3m2 */
		return (uint64_t[]){0, 2, 4, 5}[abs(x)] | (x < 0 ? 8 : 0);
	case '2':
		return encode('p', x) << 2;
	case '3':
		return (uint64_t[]){0, 8, 16, 20}[abs(x)] | (x < 0 ? 32 : 0);
	case '4':
		return (uint64_t[]){0, 12, 16, 18}[abs(x)] | (x < 0 ? 32 : 0);
	case 'e':
		return e4m3[abs(x) & 7] | (x < 0 ? 0x80 : 0);
	default:
		return (uint32_t)x & (UINT32_MAX >> (32 - bits_of(type)));
	}
}

static void put(uint32_t *lane, char type, unsigned first_word, unsigned element, int32_t x)
{
	unsigned bits = bits_of(type);
	uint64_t value = encode(type, x);

	if (bits == 64)
		memcpy(lane + first_word + 2 * element, &value, 8);
	else
		lane[first_word + element * bits / 32] |= (uint32_t)value << element * bits % 32;
}

static int32_t get(const uint32_t *lane, char type, unsigned element)
{
	uint32_t half = lane[element / 2] >> element % 2 * 16 & 0xffff;
	double d;
	float f;

	switch (type) {
	case 'd':
		memcpy(&d, lane + 2 * element, 8);
		return (int32_t)d;
	case 'f':
		memcpy(&f, lane + element, 4);
		return (int32_t)f;
	case 'h':
		for (int32_t x = -2048; x <= 2048; x++)
			if (encode('h', x) == half)
				return x;
		return INT32_MIN;
	default:
		return (int32_t)lane[element];
	}
}

static void fill(int32_t *matrix, unsigned n, char type, unsigned seed)
{
	int32_t most = type == '1' ? 1 : 3, least = type == 'u' || type == '1' ? 0 : -most;

	for (unsigned i = 0; i < n; i++) {
		seed = seed * 1103515245 + 12345;
		matrix[i] = least + (int32_t)((seed >> 16) % (unsigned)(most - least + 1));
	}
}

static int32_t expected(const struct mma *mma, unsigned row, unsigned column)
{
	int32_t sum = c[row * mma->n + column];

	for (unsigned i = 0; i < mma->k; i++) {
		int32_t x = a[row * mma->k + i], y = b[i * mma->n + column];

		sum += mma->type == '1' ? x ^ y : x * y;
	}
	return sum;
}

static char register_letter(unsigned bits)
{
	return bits == 64 ? 'd' : 'r';
}

static size_t write_registers(char *text, size_t size, unsigned bits, unsigned first, unsigned n)
{
	size_t used = (size_t)snprintf(text, size, "{");

	for (unsigned i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%%%c%u", i ? ", " : "",
		    register_letter(bits), first + i);
	return used + (size_t)snprintf(text + used, size - used, "}");
}

/* Loads all registers of a lane, one instruction, stores D's. */
static char *write_kernel(const struct mma *mma)
{
	static char text[16384];
	unsigned bits = bits_of(mma->type) == 64 ? 64 : 32, n_in = mma->na + mma->nb + mma->nc;
	char letter = register_letter(bits);
	size_t used = (size_t)snprintf(text, sizeof(text),
	    HEAD ".visible .entry k(.param .u64 in, .param .u64 out) {\n"
		 ".reg .b32 %%r<99>, %%i; .reg .b64 %%d<99>, %%p, %%q, %%o;\n"
		 "ld.param.u64 %%p, [in]; ld.param.u64 %%q, [out]; mov.u32 %%i, %%tid.x;\n"
		 "mul.wide.u32 %%o, %%i, %u; add.u64 %%p, %%p, %%o; add.u64 %%q, %%q, %%o;\n",
	    WORDS * 4);

	for (unsigned i = 0; i < n_in; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "ld.global.b%u %%%c%u, [%%p+%u];\n", bits, letter, i, i * bits / 8);
	used +=
	    (size_t)snprintf(text + used, sizeof(text) - used, "mma.sync.aligned.%s ", mma->name);
	for (unsigned i = 0, first = 60; i < 4; i++) {
		unsigned n = i == 1 ? mma->na : i == 2 ? mma->nb : mma->nc;

		used += write_registers(text + used, sizeof(text) - used, bits, first, n);
		first = i ? first + n : 0;
		used += (size_t)snprintf(text + used, sizeof(text) - used, i < 3 ? ", " : ";\n");
	}
	for (unsigned i = 0; i < mma->nc; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "st.global.b%u [%%q+%u], %%%c%u;\n", bits, i * bits / 8, letter, 60 + i);
	snprintf(text + used, sizeof(text) - used, "ret; }\n");
	return text;
}

/* The figures of mma.m16n8 and m8n8: lane = 4 group + t; per is how many elements a register
 * has. */
static void bring(const struct mma *mma, uint32_t (*lanes)[WORDS])
{
	unsigned bits = bits_of(mma->type), wide = bits == 64 ? 2 : 1,
		 per = bits > 32 ? 1 : 32 / bits;

	for (unsigned lane = 0; lane < 32; lane++) {
		unsigned group = lane / 4, t = lane % 4;

		for (unsigned i = 0; i < mma->na * per; i++) {
			unsigned reg = i / per, upper = mma->m == 16 ? reg % 2 : 0;
			unsigned block = mma->m == 16 ? reg / 2 : reg;

			put(lanes[lane], mma->type, 0, i,
			    a[(group + 8 * upper) * mma->k + block * 4 * per + t * per + i % per]);
		}
		for (unsigned i = 0; i < mma->nb * per; i++)
			put(lanes[lane], mma->type, mma->na * wide, i,
			    b[(i / per * 4 * per + t * per + i % per) * mma->n + group]);
		for (unsigned i = 0; i < mma->m * 8 / 32; i++)
			put(lanes[lane], mma->sum, (mma->na + mma->nb) * wide, i,
			    c[(group + i / 2 * 8) * mma->n + t * 2 + i % 2]);
	}
}

/* The sums that the lanes of a warp hold. */
static void check_product(const struct mma *mma, uint32_t (*out)[WORDS])
{
	for (unsigned lane = 0; lane < 32; lane++)
		for (unsigned i = 0; i < mma->m * 8 / 32; i++) {
			unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
			int32_t got = get(out[lane], mma->sum, i),
				want = expected(mma, row, column);

			if (got != want)
				test_fail(__FILE__, __LINE__, "%s: (%u,%u) is %d, wanted %d",
				    mma->name, row, column, got, want);
		}
}

static void run_mma(const struct mma *mma)
{
	uint32_t(*in)[WORDS] = matrix_memory(2 * LANES_SIZE), (*out)[WORDS] = in + 32;

	fill(a, mma->m * mma->k, mma->type, mma->k + mma->type);
	fill(b, mma->k * mma->n, mma->type, mma->k + 7);
	fill(c, mma->m * mma->n, 's', 5);
	bring(mma, in);
	matrix_run(write_kernel(mma), in, 2 * LANES_SIZE, LANES_SIZE);
	check_product(mma, out);
}

MATRIX_TEST(mma_of_every_shape)
{
	static const struct mma all[] = {
	    {"m16n8k8.row.col.f32.f16.f16.f32", 16, 8, 8, 'h', 'f', 2, 1, 4},
	    {"m16n8k16.row.col.f32.f16.f16.f32", 16, 8, 16, 'h', 'f', 4, 2, 4},
	    {"m16n8k8.row.col.f16.f16.f16.f16", 16, 8, 8, 'h', 'h', 2, 1, 2},
	    {"m16n8k16.row.col.f16.f16.f16.f16", 16, 8, 16, 'h', 'h', 4, 2, 2},
	    {"m16n8k8.row.col.f32.bf16.bf16.f32", 16, 8, 8, 'b', 'f', 2, 1, 4},
	    {"m16n8k16.row.col.f32.bf16.bf16.f32", 16, 8, 16, 'b', 'f', 4, 2, 4},
	    {"m16n8k4.row.col.f32.tf32.tf32.f32", 16, 8, 4, 't', 'f', 2, 1, 4},
	    {"m16n8k8.row.col.f32.tf32.tf32.f32", 16, 8, 8, 't', 'f', 4, 2, 4},
	    {"m16n8k32.row.col.f32.e4m3.e4m3.f32", 16, 8, 32, 'e', 'f', 4, 2, 4},
	    {"m16n8k16.row.col.f16.e4m3.e4m3.f16", 16, 8, 16, 'e', 'h', 2, 1, 2},
	    {"m8n8k4.row.col.f64.f64.f64.f64", 8, 8, 4, 'd', 'd', 1, 1, 2},
	    {"m16n8k4.row.col.f64.f64.f64.f64", 16, 8, 4, 'd', 'd', 2, 1, 4},
	    {"m16n8k8.row.col.f64.f64.f64.f64", 16, 8, 8, 'd', 'd', 4, 2, 4},
	    {"m16n8k16.row.col.f64.f64.f64.f64", 16, 8, 16, 'd', 'd', 8, 4, 4},
	    {"m8n8k16.row.col.s32.s8.s8.s32", 8, 8, 16, 's', 'i', 1, 1, 2},
	    {"m16n8k16.row.col.s32.s8.s8.s32", 16, 8, 16, 's', 'i', 2, 1, 4},
	    {"m16n8k32.row.col.satfinite.s32.s8.s8.s32", 16, 8, 32, 's', 'i', 4, 2, 4},
	    {"m16n8k32.row.col.s32.u8.u8.s32", 16, 8, 32, 'u', 'i', 4, 2, 4},
	    {"m8n8k32.row.col.s32.s4.s4.s32", 8, 8, 32, 'n', 'i', 1, 1, 2},
	    {"m16n8k32.row.col.s32.s4.s4.s32", 16, 8, 32, 'n', 'i', 2, 1, 4},
	    {"m16n8k64.row.col.s32.s4.s4.s32", 16, 8, 64, 'n', 'i', 4, 2, 4},
	    {"m8n8k128.row.col.s32.b1.b1.s32.xor.popc", 8, 8, 128, '1', 'i', 1, 1, 2},
	    {"m16n8k128.row.col.s32.b1.b1.s32.xor.popc", 16, 8, 128, '1', 'i', 2, 1, 4},
	    {"m16n8k256.row.col.s32.b1.b1.s32.xor.popc", 16, 8, 256, '1', 'i', 4, 2, 4},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		run_mma(&all[i]);
}

/* ---- sparse ---- */

static int32_t stored[16 * 64];

/* Half of each row: two of four elements, one of two (t), or two pairs of four (n). Returns the
 * indices of a chunk, and fills a and stored. */
static uint32_t choose(const struct mma *mma, unsigned row, unsigned chunk, unsigned seed)
{
	static const uint8_t pairs[6] = {0x4, 0x8, 0xc, 0x9, 0xd, 0xe};
	uint32_t indices = mma->type == 't' ? (seed & 1 ? 0xe : 0x4) : pairs[seed % 6];
	unsigned width = mma->type == 'n' ? 8 : mma->type == 't' ? 2 : 4;

	for (unsigned i = 0; i < width / 2; i++) {
		unsigned place = mma->type == 't'   ? (indices & 3) / 2
				 : mma->type == 'n' ? (indices >> i / 2 * 2 & 3) * 2 + i % 2
						    : indices >> i * 2 & 3;

		a[row * mma->k + chunk * width + place] =
		    stored[row * (mma->k / 2) + chunk * (width / 2) + i];
	}
	return indices;
}

/* Indices of wide types: a lane of four has a row's four chunks in its lower half, those of the row
 * eight below in its upper half. Of bytes and less: eight chunks, of one row and the other in
 * turn. */
static void bring_indices(const struct mma *mma, unsigned selector, uint32_t (*lanes)[WORDS])
{
	unsigned bits = bits_of(mma->type), width = mma->type == 'n' ? 8 : mma->type == 't' ? 2 : 4;
	unsigned threads = mma->k / width / 4;

	for (unsigned row = 0; row < 16; row++)
		for (unsigned chunk = 0; chunk < mma->k / width; chunk++) {
			uint32_t indices = choose(mma, row, chunk, row * 7 + chunk * 5);
			unsigned thread = selector * threads;
			unsigned shift;

			if (bits >= 16) {
				thread += chunk / 4;
				shift = chunk % 4 * 4 + row / 8 * 16;
			} else {
				thread += chunk / 8 * 2 + row / 8;
				shift = chunk % 8 * 4;
			}
			lanes[row % 8 * 4 + thread][mma->na + mma->nb + mma->nc] |= indices
										    << shift;
		}
}

static char *write_sparse_kernel(const struct mma *mma, unsigned selector)
{
	char *text = write_kernel(mma), *end = strstr(text, "};\nst.global"), rest[2048];
	unsigned n = mma->na + mma->nb + mma->nc;

	snprintf(rest, sizeof(rest), "%s", end + 3);
	sprintf(end, "}, %%r90, %u;\n%s", selector, rest);
	/* the indices are loaded before the instruction */
	char *instruction = strstr(text, "mma.sync.aligned.");
	snprintf(rest, sizeof(rest), "%s", instruction + strlen("mma.sync.aligned."));
	sprintf(instruction,
	    "ld.global.b32 %%r90, [%%p+%u];\nmma.sp::ordered_metadata.sync.aligned.%s", n * 4,
	    rest);
	return text;
}

static void run_sparse(const struct mma *mma, unsigned selector)
{
	uint32_t(*in)[WORDS] = matrix_memory(2 * LANES_SIZE), (*out)[WORDS] = in + 32;
	struct mma half = *mma;

	fill(stored, 16 * mma->k / 2, mma->type, mma->k + mma->type);
	fill(b, mma->k * 8, mma->type, mma->k + 7);
	fill(c, 16 * 8, 's', 5);
	half.k = mma->k / 2;
	memcpy(a, stored, sizeof(stored));
	bring(&half, in);
	memset(a, 0, sizeof(a));
	bring_indices(mma, selector, in);
	matrix_run(write_sparse_kernel(mma, selector), in, 2 * LANES_SIZE, LANES_SIZE);
	check_product(mma, out);
}

MATRIX_TEST(sparse_mma)
{
	static const struct mma all[] = {
	    {"m16n8k16.row.col.f32.f16.f16.f32", 16, 8, 16, 'h', 'f', 2, 2, 4},
	    {"m16n8k32.row.col.f32.f16.f16.f32", 16, 8, 32, 'h', 'f', 4, 4, 4},
	    {"m16n8k32.row.col.f32.bf16.bf16.f32", 16, 8, 32, 'b', 'f', 4, 4, 4},
	    {"m16n8k32.row.col.f16.f16.f16.f16", 16, 8, 32, 'h', 'h', 4, 4, 2},
	    {"m16n8k8.row.col.f32.tf32.tf32.f32", 16, 8, 8, 't', 'f', 2, 2, 4},
	    {"m16n8k16.row.col.f32.tf32.tf32.f32", 16, 8, 16, 't', 'f', 4, 4, 4},
	    {"m16n8k32.row.col.s32.s8.s8.s32", 16, 8, 32, 's', 'i', 2, 2, 4},
	    {"m16n8k64.row.col.s32.s8.s8.s32", 16, 8, 64, 's', 'i', 4, 4, 4},
	    {"m16n8k64.row.col.satfinite.s32.u8.u8.s32", 16, 8, 64, 'u', 'i', 4, 4, 4},
	    {"m16n8k64.row.col.f32.e4m3.e4m3.f32", 16, 8, 64, 'e', 'f', 4, 4, 4},
	    {"m16n8k64.row.col.s32.s4.s4.s32", 16, 8, 64, 'n', 'i', 2, 2, 4},
	    {"m16n8k128.row.col.s32.s4.s4.s32", 16, 8, 128, 'n', 'i', 4, 4, 4},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		unsigned width = all[i].type == 'n' ? 8 : all[i].type == 't' ? 2 : 4;
		unsigned selectors = 16 / (all[i].k / width);

		for (unsigned selector = 0; selector < selectors; selector++)
			run_sparse(&all[i], selector);
	}
}

/* The product of m8n8k4 that lanes quad * 4 + 0 to 3 and + 16 to 19 make, in all four layouts. */
static void run_quads(bool a_column, bool b_row)
{
	struct mma mma = {NULL, 8, 8, 4, 'h', 'f', 2, 2, 8};
	uint32_t(*in)[WORDS] = matrix_memory(2 * LANES_SIZE), (*out)[WORDS] = in + 32;
	char name[64];

	snprintf(name, sizeof(name), "m8n8k4.%s.%s.f32.f16.f16.f32", a_column ? "col" : "row",
	    b_row ? "row" : "col");
	mma.name = name;
	fill(a, 32, 'h', 1);
	fill(b, 32, 'h', 2);
	fill(c, 64, 's', 3);
	for (unsigned lane = 0; lane < 32; lane++) {
		unsigned half = lane / 16 * 4, t = lane % 4;

		for (unsigned i = 0; i < 4; i++) {
			put(in[lane], 'h', 0, i,
			    a_column ? a[(i + half) * 4 + t] : a[(t + half) * 4 + i]);
			put(in[lane], 'h', 2, i, b_row ? b[t * 8 + i + half] : b[i * 8 + t + half]);
		}
		for (unsigned i = 0; i < 8; i++)
			put(in[lane], 'f', 4, i,
			    c[(t % 2 + (i & 2) + half) * 8 + (i & 4) + (t & 2) + (i & 1)]);
	}
	matrix_run(write_kernel(&mma), in, 2 * LANES_SIZE, LANES_SIZE);
	for (unsigned lane = 0; lane < 32; lane++)
		for (unsigned i = 0; i < 8; i++)
			CHECK_EQ(get(out[lane], 'f', i),
			    expected(&mma, (lane & 1) + (i & 2) + lane / 16 * 4,
				(i & 4) + (lane & 2) + (i & 1)));
}

MATRIX_TEST(mma_of_quads)
{
	run_quads(false, false);
	run_quads(false, true);
	run_quads(true, false);
	run_quads(true, true);
}

/* clang-format off */
/* A 16x16 by 16x8 product as kernels do it: rows of shared memory, ldmatrix, mma, stmatrix. 768
 * bytes come in: A, then B, by rows. */
static const char product[] = HEAD
    ".visible .entry k(.param .u64 in, .param .u64 out) {\n"
    ".reg .b32 %r<40>; .reg .b64 %d<9>; .reg .pred %p;\n"
    ".shared .align 16 .b8 s[1024];\n"
    "ld.param.u64 %d1, [in]; ld.param.u64 %d2, [out]; mov.u32 %r1, %tid.x;\n"
    "mul.wide.u32 %d3, %r1, 24; add.u64 %d1, %d1, %d3;\n"
    "mov.u32 %r2, s; mad.lo.u32 %r3, %r1, 24, %r2;\n"
    "ld.global.b64 %d4, [%d1]; st.shared.b64 [%r3], %d4;\n"
    "ld.global.b64 %d4, [%d1+8]; st.shared.b64 [%r3+8], %d4;\n"
    "ld.global.b64 %d4, [%d1+16]; st.shared.b64 [%r3+16], %d4;\n"
    "bar.warp.sync -1;\n"
    /* A: lane l points at row l % 16, half l / 16 */
    "and.b32 %r4, %r1, 15; shr.u32 %r5, %r1, 4; mad.lo.u32 %r6, %r4, 32, %r2;\n"
    "mad.lo.u32 %r6, %r5, 16, %r6;\n"
    "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r10, %r11, %r12, %r13}, [%r6];\n"
    /* B: row l % 16 of 8 halves, turned */
    "mad.lo.u32 %r7, %r4, 16, %r2;\n"
    "ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%r14, %r15}, [%r7+512];\n"
    "mov.b32 %r16, 0; mov.b32 %r17, 0;\n"
    "mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%r20, %r21},\n"
    " {%r10, %r11, %r12, %r13}, {%r14, %r15}, {%r16, %r17};\n"
    "stmatrix.sync.aligned.m8n8.x2.shared.b16 [%r7+768], {%r20, %r21};\n"
    "movmatrix.sync.aligned.m8n8.trans.b16 %r22, %r20;\n"
    "bar.warp.sync -1;\n"
    "mad.lo.u32 %r8, %r1, 8, %r2; ld.shared.b64 %d5, [%r8+768];\n"
    "mul.wide.u32 %d3, %r1, 8; add.u64 %d6, %d2, %d3; st.global.b64 [%d6], %d5;\n"
    "mul.wide.u32 %d3, %r1, 4; add.u64 %d6, %d2, %d3; st.global.b32 [%d6+256], %r22;\n"
    "ret; }\n";
/* clang-format on */

MATRIX_TEST(ldmatrix_mma_stmatrix)
{
	struct mma mma = {"", 16, 8, 16, 'h', 'h', 4, 2, 2};
	uint32_t *in = matrix_memory(2048), *out = in + 256;

	fill(a, 256, 'h', 11);
	fill(b, 128, 'h', 12);
	memset(c, 0, sizeof(c));
	for (unsigned i = 0; i < 256; i++)
		put(in, 'h', 0, i, a[i]);
	for (unsigned i = 0; i < 128; i++)
		put(in, 'h', 128, i, b[i]);
	matrix_run(product, in, 2048, 1024);
	for (unsigned i = 0; i < 128; i++)
		CHECK_EQ(get(out, 'h', i), expected(&mma, i / 8, i % 8));
	for (unsigned i = 0; i < 64; i++)
		CHECK_EQ(get(out + 64, 'h', i), expected(&mma, i % 8, i / 8));
}

/* load, multiply, store in all layouts; strides wider than the matrix. */
static void run_wmma(const char *shape, struct mma mma, const char *in_type, const char *sum_type,
    const char *types, bool a_column, bool b_column, bool d_column)
{
	static char text[16384];
	unsigned bits = bits_of(mma.type), stride = 64, wide = bits == 64;
	uint32_t *memory = matrix_memory(65536), *out = memory + 12288;
	char registers[4][512];
	unsigned first[] = {0, mma.na, mma.na + mma.nb, 50}, n[] = {mma.na, mma.nb, mma.nc, mma.nc};

	for (unsigned i = 0; i < 4; i++)
		write_registers(registers[i], sizeof(registers[i]), wide ? 64 : 32, first[i], n[i]);
	snprintf(text, sizeof(text),
	    HEAD ".visible .entry k(.param .u64 m, .param .u64 out) { .reg .b32 %%r<99>; .reg .b64 "
		 "%%d<99>, %%m; "
		 "ld.param.u64 %%m, [m];\n"
		 "wmma.load.a.sync.aligned.%s.%s.global.%s %s, [%%m], %u;\n"
		 "wmma.load.b.sync.aligned.%s.%s.global.%s %s, [%%m+16384], %u;\n"
		 "wmma.load.c.sync.aligned.row.%s.global.%s %s, [%%m+32768], %u;\n"
		 "wmma.mma%s.sync.aligned.%s.%s.%s.%s %s, %s, %s, %s;\n"
		 "wmma.store.d.sync.aligned.%s.%s.global.%s [%%m+49152], %s, %u; ret; }\n",
	    a_column ? "col" : "row", shape, in_type, registers[0], stride,
	    b_column ? "col" : "row", shape, in_type, registers[1], mma.type == '1' ? 128 : stride,
	    shape, sum_type, registers[2], stride, mma.type == '1' ? ".xor.popc" : "",
	    a_column ? "col" : "row", b_column ? "col" : "row", shape, types, registers[3],
	    registers[0], registers[1], registers[2], d_column ? "col" : "row", shape, sum_type,
	    registers[3], stride);
	fill(a, mma.m * mma.k, mma.type, 21);
	fill(b, mma.k * mma.n, mma.type, 22);
	fill(c, mma.m * mma.n, 's', 23);
	for (unsigned i = 0; i < mma.m * mma.k; i++) {
		unsigned row = i / mma.k, column = i % mma.k;

		put(memory, mma.type, 0, a_column ? column * stride + row : row * stride + column,
		    a[i]);
	}
	for (unsigned i = 0; i < mma.k * mma.n; i++) {
		unsigned row = i / mma.n, column = i % mma.n;

		put(memory, mma.type, 4096,
		    b_column ? column * stride + row : row * stride + column, b[i]);
	}
	for (unsigned i = 0; i < mma.m * mma.n; i++)
		put(memory, mma.sum, 8192, i / mma.n * stride + i % mma.n, c[i]);
	matrix_run(text, memory, 65536, 49152);
	for (unsigned i = 0; i < mma.m * mma.n; i++) {
		unsigned row = i / mma.n, column = i % mma.n;

		CHECK_EQ(
		    get(out, mma.sum, d_column ? column * stride + row : row * stride + column),
		    expected(&mma, row, column));
	}
}

MATRIX_TEST(wmma_of_every_shape)
{
	const struct mma half = {"", 16, 16, 16, 'h', 'f', 8, 8, 8};
	const struct mma narrow = {"", 32, 8, 16, 'h', 'h', 8, 8, 4};
	const struct mma low = {"", 8, 32, 16, 'b', 'f', 2, 8, 8};
	const struct mma bytes = {"", 16, 16, 16, 's', 'i', 2, 2, 8};
	const struct mma tf32 = {"", 16, 16, 8, 't', 'f', 4, 4, 8};
	const struct mma doubles = {"", 8, 8, 4, 'd', 'd', 1, 1, 2};
	const struct mma nibbles = {"", 8, 8, 32, 'n', 'i', 1, 1, 2};

	for (int i = 0; i < 8; i++) {
		bool x = i & 1, y = i & 2, z = i & 4;

		run_wmma("m16n16k16", half, "f16", "f32", "f32.f32", x, y, z);
		run_wmma("m32n8k16", narrow, "f16", "f16", "f16.f16", x, y, z);
		run_wmma("m8n32k16", low, "bf16", "f32", "f32.bf16.bf16.f32", x, y, z);
		run_wmma("m16n16k16", bytes, "s8", "s32", "s32.s8.s8.s32", x, y, z);
		run_wmma("m8n8k4", doubles, "f64", "f64", "f64.f64.f64.f64", x, y, z);
	}
	run_wmma("m16n16k8", tf32, "tf32", "f32", "f32.tf32.tf32.f32", false, true, false);
	run_wmma("m8n8k32", nibbles, "s4", "s32", "s32.s4.s4.s32", false, true, true);
}

MATRIX_TEST(sums_saturate_or_wrap)
{
	static const char *const modes[] = {"", ".satfinite"};
	static const int32_t wanted[] = {INT32_MIN, INT32_MAX};

	for (int i = 0; i < 2; i++) {
		char name[64];
		struct mma mma = {name, 8, 8, 16, 's', 'i', 1, 1, 2};
		uint32_t(*in)[WORDS] = matrix_memory(LANES_SIZE);

		snprintf(name, sizeof(name), "m8n8k16.row.col%s.s32.s8.s8.s32", modes[i]);
		in[0][0] = in[0][1] = 1; /* A(0,0) and B(0,0) */
		in[0][2] = INT32_MAX;
		matrix_run(write_kernel(&mma), in, LANES_SIZE, 0);
		CHECK_EQ((int32_t)in[0][0], wanted[i]);
	}
}

/* NaNs, infinities and subnormals go through the f16 path as through a scalar one. */
MATRIX_TEST(special_values)
{
	struct mma mma = {"m16n8k8.row.col.f32.f16.f16.f32", 16, 8, 8, 'h', 'f', 2, 1, 4};
	uint32_t(*in)[WORDS] = matrix_memory(2 * LANES_SIZE), (*out)[WORDS] = in + 32;
	static const uint16_t values[] = {0x7e00, 0x7c00, 0xfc00, 0x0001, 0x83ff};
	static const uint32_t wanted[] = {
	    0x7fffffff, 0x7f800000, 0xff800000, 0x33800000, 0xb87fc000};

	for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
		in[i * 4][0] = values[i]; /* A(i,0) */
	in[0][2] = 0x3c00;		  /* B(0,0) = 1 */
	matrix_run(write_kernel(&mma), in, 2 * LANES_SIZE, LANES_SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
		CHECK_EQ(out[i * 4][0], wanted[i]);
}
