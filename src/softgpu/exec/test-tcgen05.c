/*
 * Products in tensor memory (tcgen05.mma) against plain loops: every kind, type, layout of A, B and
 * D, swizzle, scale and sparsity. Numbers are chosen so that any order of summing gives the same
 * bits.
 */
#include <math.h>

#include "softgpu/exec/test-tensor-memory.h"

enum type { F16, BF16, TF32, E4M3, E5M2, E2M3, E3M2, E2M1, S8, U8, F32, S32 };

/* bits: of an element; exponent and mantissa. */
static const struct format {
	uint8_t bits, exponent, mantissa, code;
} formats[] = {
    [F16] = {16, 5, 10, 0},
    [BF16] = {16, 8, 7, 1},
    [TF32] = {32, 8, 23, 2},
    [E4M3] = {8, 4, 3, 0},
    [E5M2] = {8, 5, 2, 1},
    [E2M3] = {6, 2, 3, 3},
    [E3M2] = {6, 3, 2, 4},
    [E2M1] = {4, 2, 1, 5},
    [S8] = {8, 0, 0, 1},
    [U8] = {8, 0, 0, 0},
};

enum swizzle { PLAIN, BY_32 = 1, S128 = 2, S64 = 4, S32_ = 6 };

struct product {
	const char *kind; /* and what follows it */
	enum type a, b, d;
	unsigned m, n, k; /* k: of B */
	enum swizzle a_mode, b_mode;
	bool a_across, b_across; /* transposed: not along k */
	bool a_negated, b_negated;
	bool a_in_tensor, pair, stationary, sparse, saturate, only;
	unsigned blocks, a_byte, b_byte; /* scales of k */
	bool ue4m3;
	unsigned lane, selector; /* D's first lane; the column of the sparsity */
	const char *tail;	 /* behind the predicate */
	unsigned divisor;	 /* of D, a power of 2 */
	uint64_t mask;		 /* of columns */
	unsigned shift;		 /* the most by which columns are shifted */
	unsigned begin; /* where rows begin in 128 bytes, behind which they go on elsewhere */
};

#define A_PLACE	      0u
#define B_PLACE	      (32u << 10)
#define A_NEXT	      (16u << 10)
#define B_NEXT	      (48u << 10)
#define A_COLUMN      300u
#define SPARSE_COLUMN 320u
#define SCALE_A	      340u
#define SCALE_B	      360u

static double a[256][128], b[128][320], c[256][256];
static struct image images[2];

/* ---- numbers ---- */

static double decode(enum type type, uint32_t bits)
{
	const struct format *f = &formats[type];

	if (type == S8)
		return (int8_t)bits;
	if (type == U8)
		return bits;
	int bias = (1 << (f->exponent - 1)) - 1;
	uint32_t mantissa = bits & ((1u << f->mantissa) - 1);
	int exponent = (int)(bits >> f->mantissa & ((1u << f->exponent) - 1));
	double value = exponent ? ldexp(1 + ldexp(mantissa, -f->mantissa), exponent - bias)
				: ldexp(mantissa, 1 - bias - f->mantissa);
	return bits >> (f->mantissa + f->exponent) & 1 ? -value : value;
}

/* A number of the type that is small and has few digits. */
static uint32_t draw(enum type type, double *value)
{
	uint32_t bits;

	do {
		bits = random_word();
		if (type == TF32 || type == F16 || type == BF16)
			bits = bits << (formats[type].mantissa - 2);
		bits &= formats[type].bits == 32 ? UINT32_MAX : (1u << formats[type].bits) - 1;
		*value = decode(type, bits);
	} while (type < S8 && !(fabs(*value) <= 2 && *value * 4 == floor(*value * 4)));
	return bits;
}

/* ---- where things are in memory ---- */

static unsigned width_of(enum swizzle mode)
{
	return mode == PLAIN ? 16 : mode == S32_ ? 32 : mode == S64 ? 64 : 128;
}

/* The lines of a matrix lie in groups of 8 (4 where 32 bytes are swizzled). How far apart groups
 * and the pieces of a line are is the descriptor's to say. */
static unsigned group_stride(enum swizzle mode, unsigned length)
{
	return mode == PLAIN ? 128 * ((length + 15) / 16) + 128 : width_of(mode) * 8;
}

static unsigned piece_stride(enum swizzle mode, unsigned lines)
{
	return mode == PLAIN ? 128 : (lines + 7) / 8 * width_of(mode) * 8;
}

static uint8_t *byte_at(
    uint8_t *base, enum swizzle mode, unsigned lines, unsigned length, unsigned line, unsigned at)
{
	unsigned rows = mode == BY_32 ? 4 : 8, width = width_of(mode);
	unsigned group = mode == BY_32 ? 4 * width : group_stride(mode, length);
	unsigned offset = line / rows * group + line % rows * width +
			  at / width * piece_stride(mode, lines) + at % width;
	static const uint8_t changed[] = {[S128] = 7, [S64] = 3, [S32_] = 1};

	if (mode == BY_32)
		offset ^= (offset >> 7 & 3) << 5;
	else if (mode != PLAIN)
		offset ^= (offset >> 7 & changed[mode]) << 4;
	return base + offset;
}

/* Without a swizzle leading is along k, whatever is major; with one it is along a line. */
static uint64_t descriptor(
    unsigned place, enum swizzle mode, bool across, unsigned lines, unsigned length)
{
	uint64_t group = mode == BY_32 ? 512 : group_stride(mode, length);
	uint64_t piece = piece_stride(mode, lines);
	uint64_t leading = mode == PLAIN && across ? group : piece;
	uint64_t stride = mode == PLAIN && across ? piece : group;

	return place / 16 | leading / 16 << 16 | stride / 16 << 32 | UINT64_C(1) << 46 |
	       (uint64_t)mode << 61;
}

/* Bits from one on of packed memory; padded: 16 elements fill 16 bytes. */
static void put_element(uint8_t *line, enum type type, bool packed, unsigned i, uint32_t bits)
{
	unsigned size = formats[type].bits, at = i * size;

	if (size < 8 && !packed)
		at = i / 16 * 128 + i % 16 * size;
	for (unsigned bit = 0; bit < size; bit++)
		if (bits >> bit & 1)
			line[(at + bit) / 8] |= (uint8_t)(1u << (at + bit) % 8);
}

static unsigned bytes_of(enum type type, bool packed, unsigned n)
{
	unsigned size = formats[type].bits;

	return size < 8 && !packed ? n : n * size / 8;
}

static bool is_packed(const struct product *x)
{
	return strstr(x->kind, "mxf4") != NULL;
}

/* One side into shared memory: n lines of k elements. */
static void put_side(uint8_t *base, uint8_t *next, const struct product *x, enum type type,
    enum swizzle mode, bool across, unsigned n, unsigned k, uint32_t (*bits)[128])
{
	unsigned size = formats[type].bits / 8, length = bytes_of(type, is_packed(x), k);

	for (unsigned line = 0; line < n; line++) {
		uint8_t bytes[512] = {0};

		for (unsigned i = 0; i < k; i++)
			if (across)
				for (unsigned j = 0; j < size; j++)
					*byte_at(base, mode, k, n * size, i, line * size + j) =
					    (uint8_t)(bits[line][i] >> 8 * j);
			else
				put_element(bytes, type, is_packed(x), i, bits[line][i]);
		for (unsigned i = 0; i < length && !across; i++)
			if (x->begin + i < 128)
				*byte_at(base, mode, n, length, line, x->begin + i) = bytes[i];
			else
				*byte_at(next, mode, n, length, line, x->begin + i - 128) =
				    bytes[i];
	}
}

static uint64_t side_descriptor(const struct product *x, unsigned place, enum type type,
    enum swizzle mode, bool across, unsigned n, unsigned k)
{
	unsigned length = bytes_of(type, is_packed(x), k);

	if (x->begin)
		return (descriptor(place + x->begin, mode, false, n, length) &
			   ~(UINT64_C(0x3fff) << 16)) |
		       (uint64_t)(place == A_PLACE ? A_NEXT : B_NEXT) / 16 << 16 |
		       UINT64_C(1) << 52;
	return across ? descriptor(place, mode, true, k, n * formats[type].bits / 8)
		      : descriptor(place, mode, false, n, length);
}

/* ---- tensor memory ---- */

static bool is_halved(const struct product *x)
{
	return !x->stationary &&
	       ((!x->pair && x->m == 64) || (x->pair && x->m == 128 && x->sparse));
}

static unsigned parts_of(const struct product *x)
{
	return x->stationary ? 128 / x->m : x->pair && x->m == 128 && !x->sparse ? 2 : 1;
}

static unsigned rows_of(const struct product *x)
{
	return x->pair ? x->m / 2 : x->m;
}

/* The block, lane and column that have an element of D. */
static uint32_t *cell_of_d(const struct product *x, unsigned row, unsigned column, unsigned part)
{
	unsigned rows = rows_of(x), in_block = row % rows, width = x->n / parts_of(x);
	unsigned lane = is_halved(x) ? x->lane + in_block / 16 * 32 + in_block % 16
				     : in_block + part * (128 / parts_of(x));

	return &images[row / rows].cells[lane][column % width];
}

static unsigned lane_of_row(const struct product *x, unsigned row, unsigned part)
{
	return (unsigned)((cell_of_d(x, row, 0, part) - &images[row / rows_of(x)].cells[0][0]) /
			  COLUMNS);
}

/* ---- A ---- */

/* What the sparsity says of a chunk, for two of four, and for one of two. */
static const uint8_t pairs[] = {0x4, 0x8, 0xc, 0x9, 0xd, 0xe}, singles[] = {0xe, 0x4};

static void set_sparsity(
    const struct product *x, unsigned block, unsigned lane, unsigned first, uint32_t nibble)
{
	unsigned half = x->k / 2, column = SPARSE_COLUMN + x->selector, bit = first;

	if (x->a == TF32 || x->a == F16 || x->a == BF16) {
		bit = first % half * (16 / half) + lane % 16 / 8 * 16;
		lane = lane / 16 * 16 + lane % 8 + first / half * 8;
	} else if (is_packed(x)) {
		bit = first / 2;
	}
	images[block].cells[lane][column + bit / 32] &= ~(0xfu << bit % 32);
	images[block].cells[lane][column + bit / 32] |= nibble << bit % 32;
}

/* Draws a row, stored elements in bits, all of them in a[row]. */
static void draw_row(const struct product *x, unsigned row, uint32_t *bits)
{
	unsigned chunk = !x->sparse ? 1 : x->a == TF32 ? 2 : is_packed(x) ? 8 : 4;

	memset(a[row], 0, sizeof(a[row]));
	for (unsigned first = 0, stored = 0; first < x->k; first += chunk) {
		uint32_t nibble =
		    chunk == 2 ? singles[random_word() % 2] : pairs[random_word() % 6];

		for (unsigned i = 0; i < (chunk == 1 ? 1 : chunk / 2); i++) {
			unsigned at = chunk == 1   ? 0
				      : chunk == 2 ? nibble >> 1 & 1
				      : chunk == 4 ? nibble >> 2 * i & 3
						   : (nibble >> i / 2 * 2 & 3) * 2 + i % 2;

			bits[stored++] = draw(x->a, &a[row][first + at]);
		}
		for (unsigned part = 0; part < parts_of(x) && chunk > 1; part++)
			set_sparsity(x, row / rows_of(x), lane_of_row(x, row, part), first, nibble);
	}
}

static void put_in_tensor(const struct product *x, unsigned row, const uint32_t *bits, unsigned k)
{
	unsigned size = formats[x->a].bits < 8 && !is_packed(x) ? 8 : formats[x->a].bits;
	unsigned shift = x->a == E2M1 && size == 8 ? 2 : 0;

	for (unsigned part = 0; part < parts_of(x); part++) {
		uint32_t *cells =
		    &images[row / rows_of(x)].cells[lane_of_row(x, row, part)][A_COLUMN];

		memset(cells, 0, MAX(8, k * size / 32) * sizeof(*cells));
		for (unsigned i = 0; i < k; i++)
			cells[i * size / 32] |= bits[i] << shift << i * size % 32;
	}
}

static void make_a(const struct product *x)
{
	unsigned stored = x->sparse ? x->k / 2 : x->k;
	static uint32_t bits[256][128];

	for (unsigned row = 0; row < x->m; row++) {
		draw_row(x, row, bits[row]);
		if (x->a_in_tensor)
			put_in_tensor(x, row, bits[row], stored);
	}
	for (unsigned block = 0; block <= x->pair && !x->a_in_tensor; block++)
		put_side(images[block].shared + A_PLACE, images[block].shared + A_NEXT, x, x->a,
		    x->a_mode, x->a_across, rows_of(x), stored, bits + block * rows_of(x));
}

static void make_b(const struct product *x)
{
	unsigned n = x->n + x->shift, each = x->pair ? n / 2 : n;
	static uint32_t bits[320][128];

	for (unsigned column = 0; column < n; column++)
		for (unsigned i = 0; i < x->k; i++)
			bits[column][i] = draw(x->b, &b[i][column]);
	for (unsigned block = 0; block <= x->pair; block++)
		put_side(images[block].shared + B_PLACE, images[block].shared + B_NEXT, x, x->b,
		    x->b_mode, x->b_across, each, x->k, bits + block * each);
}

/* ---- scales ---- */

static double scales_a[256][6], scales_b[256][6];

static uint32_t draw_scale(const struct product *x, double *value)
{
	int power = (int)(random_word() % 3) - 1;

	*value = ldexp(1, power);
	return (uint32_t)(x->ue4m3 ? 0x38 + 8 * power : 127 + power);
}

/* In all quarters of the lanes, of which some lanes have other columns. Column is of the first
 * lines' words; the next words of all lines follow behind whole 128 of them. */
static void put_scale(unsigned block, unsigned column, unsigned line, unsigned byte,
    unsigned first_quarter, unsigned quarters, uint32_t bits)
{
	for (unsigned i = first_quarter; i < first_quarter + quarters; i++) {
		uint32_t *cell = &images[block].cells[i * 32 + line % 32][column + line / 32];

		*cell = (*cell & ~(0xffu << 8 * byte)) | bits << 8 * byte;
	}
}

static void make_scales(const struct product *x)
{
	unsigned parts = parts_of(x), width = x->n / parts;

	for (unsigned row = 0; row < x->m; row++)
		for (unsigned i = 0; i < x->blocks; i++)
			put_scale(row / rows_of(x), SCALE_A + (x->a_byte + i) / 4 * 4,
			    row % rows_of(x), (x->a_byte + i) % 4, 0, 4,
			    draw_scale(x, &scales_a[row][i]));
	for (unsigned column = 0; column < x->n; column++)
		for (unsigned i = 0; i < x->blocks; i++) {
			uint32_t bits = draw_scale(x, &scales_b[column][i]);

			for (unsigned block = 0; block <= x->pair; block++)
				put_scale(block,
				    SCALE_B + (x->b_byte + i) / 4 * (width > 128 ? 8 : 4),
				    column % width, (x->b_byte + i) % 4, column / width * 4 / parts,
				    4 / parts, bits);
		}
}

/* ---- D ---- */

static uint32_t encode_sum(const struct product *x, double value)
{
	_Float16 half = (_Float16)value;
	float single = (float)value;
	uint16_t small;
	uint32_t bits;

	if (x->d == S32 && x->saturate)
		return (uint32_t)(int32_t)fmin(fmax(value, INT32_MIN), INT32_MAX);
	if (x->d == S32)
		return (uint32_t)(int64_t)value;
	if (x->d == F32) {
		memcpy(&bits, &single, sizeof(bits));
		return bits;
	}
	memcpy(&small, &half, sizeof(small));
	return small;
}

static void make_d(const struct product *x)
{
	for (unsigned row = 0; row < x->m; row++)
		for (unsigned column = 0; column < x->n; column++) {
			unsigned part = column / (x->n / parts_of(x));
			int value = (int)(random_word() % 64) - 32;

			c[row][column] = x->saturate ? (double)(INT32_MAX - value - 32) : value;
			*cell_of_d(x, row, column, part) = encode_sum(x, c[row][column]);
		}
}

/* The column of B that counts for one of D; -1: zeroes. The fields are the descriptor's of the
 * mask. */
static int column_of_b(const struct product *x, unsigned column)
{
	unsigned width = x->n / parts_of(x), part = column / width;
	unsigned skip = (x->mask >> 40 & 0xff) + 1, use = (x->mask >> 48 & 0xff) + 1;
	bool zero = x->mask >> (32 + part) & 1;
	unsigned left = zero ? skip : use, start = x->mask >> 8 * part & 0xff;

	left -= start < left ? start : left - 1;
	for (unsigned i = part * width; i < column; i++)
		if (!--left) {
			zero = !zero;
			left = zero ? skip : use;
		}
	if (x->mask >> 39 & 1 && zero)
		return -1;
	return (int)(column + (x->mask >> 56 & 0x3f));
}

static double product_at(const struct product *x, unsigned row, unsigned column)
{
	int from = x->mask ? column_of_b(x, column) : (int)column;
	double sum = x->only ? 0 : c[row][column] / (x->divisor ? x->divisor : 1);
	double sign = x->a_negated != x->b_negated ? -1 : 1;

	for (unsigned i = 0; i < x->k && from >= 0; i++) {
		double part = sign * a[row][i] * b[i][from];
		unsigned block = x->blocks ? i / (x->k / x->blocks) : 0;

		sum += x->blocks ? part * scales_a[row][block] * scales_b[column][block] : part;
	}
	return sum;
}

static void expect(const struct product *x)
{
	for (unsigned row = 0; row < x->m; row++)
		for (unsigned column = 0; column < x->n; column++)
			*cell_of_d(x, row, column, column / (x->n / parts_of(x))) =
			    encode_sum(x, product_at(x, row, column));
}

/* ---- the kernel ---- */

static uint32_t instruction(const struct product *x)
{
	uint32_t a_code = is_packed(x) ? 1 : formats[x->a].code;
	uint32_t b_code = is_packed(x) ? 1 : formats[x->b].code;
	uint32_t common = a_code << 7 | b_code << 10 | (uint32_t)x->a_negated << 13 |
			  (uint32_t)x->b_negated << 14 | (uint32_t)x->a_across << 15 |
			  (uint32_t)x->b_across << 16 | x->n / 8 << 17 | (uint32_t)x->sparse << 2;

	if (x->blocks)
		return common | x->b_byte << 4 | (uint32_t)!x->ue4m3 << 23 | x->m / 128 << 27 |
		       x->a_byte << 29 | (uint32_t)(x->k == 96) << 31;
	return common | x->selector | (uint32_t)x->saturate << 3 |
	       (x->d == F16	 ? 0u
		   : x->d == F32 ? 1u
				 : 2u)
		   << 4 |
	       x->m / 16 << 24 |
	       (x->shift ? x->shift == 8    ? 1u
			   : x->shift == 16 ? 2u
					    : 3u
			 : 0u)
		   << 30;
}

static const char *write_product(const struct product *x)
{
	unsigned stored = x->sparse ? x->k / 2 : x->k;
	uint64_t at = side_descriptor(x, A_PLACE, x->a, x->a_mode, x->a_across, rows_of(x), stored);
	uint64_t bt = side_descriptor(
	    x, B_PLACE, x->b, x->b_mode, x->b_across, (x->n + x->shift) / (x->pair ? 2 : 1), x->k);
	static char code[2048];
	char sparsity[32] = "", scales[64] = "", mask[64] = "";
	const char *next = "";

	if (x->begin)
		next = "  shl.b64 %d5, %dbase, 16;\n  add.u64 %d2, %d2, %d5;\n"
		       "  add.u64 %d3, %d3, %d5;\n";
	if (x->sparse)
		snprintf(sparsity, sizeof(sparsity), " [%%r14],");
	if (x->blocks)
		snprintf(scales, sizeof(scales), " [%%r15], [%%r16],");
	if (x->mask)
		snprintf(mask, sizeof(mask), ", %%d4");
	snprintf(code, sizeof(code),
	    "  add.u64 %%d2, %%dbase, 0x%llx;\n  add.u64 %%d3, %%dbase, 0x%llx;\n%s"
	    "  mov.b64 %%d4, 0x%llx;\n  mov.b32 %%r11, 0x%x;\n  add.u32 %%r12, %%t, 0x%x;\n"
	    "  add.u32 %%r13, %%t, 0x%x;\n  add.u32 %%r14, %%t, 0x%x;\n"
	    "  add.u32 %%r15, %%t, %u;\n  add.u32 %%r16, %%t, %u;\n"
	    "  setp.ne.u32 %%p1, %d, 0;\n"
	    "  tcgen05.mma%s%s.cta_group::%d.kind::%s [%%r12], %s, %%d3,%s %%r11,%s %s%%p1%s%s;\n",
	    (unsigned long long)at, (unsigned long long)bt, next, (unsigned long long)x->mask,
	    instruction(x), x->lane << 16, x->lane << 16 | A_COLUMN, x->lane << 16 | SPARSE_COLUMN,
	    SCALE_A, SCALE_B, !x->only, x->stationary ? ".ws" : "", x->sparse ? ".sp" : "",
	    x->pair ? 2 : 1, x->kind, x->a_in_tensor ? "[%r13]" : "%d2", sparsity, scales, "", mask,
	    x->tail ? x->tail : "");
	return write_tensor_kernel("sm_100a", x->pair, "", code);
}

static void check_product(const struct product *x)
{
	const struct image *out;
	unsigned wrong = 0;

	memset(images, 0, sizeof(images));
	for (unsigned i = 0; i < 2 * LANES * COLUMNS; i++)
		images[i / (LANES * COLUMNS)].cells[i / COLUMNS % LANES][i % COLUMNS] =
		    random_word();
	make_a(x);
	make_b(x);
	make_scales(x);
	make_d(x);
	out = run_tensor_kernel(write_product(x), images, x->pair ? 2 : 1);
	expect(x);
	for (unsigned block = 0; block <= x->pair; block++)
		for (unsigned lane = 0; lane < LANES; lane++)
			for (unsigned i = 0; i < COLUMNS; i++) {
				uint32_t got = out[block].cells[lane][i];

				if (got != images[block].cells[lane][i] && wrong++ < 5)
					printf("# %s m %u n %u k %u: block %u lane %u column %u is "
					       "%x, not %x\n",
					    x->kind, x->m, x->n, x->k, block, lane, i, got,
					    images[block].cells[lane][i]);
			}
	CHECK_EQ(wrong, 0);
}

#define CHECK_ALL(products)                                                                        \
	for (size_t i = 0; i < ARRAY_SIZE(products); i++)                                          \
	check_product(&products[i])

TEST_LIMIT(kinds_and_types, 120)
{
	static const struct product all[] = {
	    {"f16", F16, F16, F32, 128, 64, 16},
	    {"f16", BF16, F16, F32, 128, 256, 16, S128, S128},
	    {"f16", F16, F16, F16, 64, 24, 16, S32_, S64, .a_negated = true},
	    {"f16", BF16, BF16, F32, 64, 8, 16, S64, S32_, .lane = 16, .b_negated = true},
	    {"tf32", TF32, TF32, F32, 128, 32, 8, S128, PLAIN, .only = true},
	    {"tf32", TF32, TF32, F32, 128, 16, 8, BY_32, BY_32, .a_across = true, .b_across = true},
	    {"f8f6f4", E4M3, E5M2, F32, 128, 48, 32, S128, S64},
	    {"f8f6f4", E2M1, E3M2, F32, 128, 16, 32, PLAIN, S32_},
	    {"f8f6f4", E2M3, E2M1, F16, 64, 16, 32, S32_, S128, .a_negated = true,
		.b_negated = true},
	    {"i8", S8, U8, S32, 128, 16, 32, S128},
	    {"i8", U8, S8, S32, 64, 24, 32, PLAIN, S128, .saturate = true},
	};

	CHECK_ALL(all);
}

TEST_LIMIT(both_ways_and_all_swizzles, 120)
{
	static const enum swizzle modes[] = {PLAIN, S32_, S64, S128};

	for (unsigned i = 0; i < ARRAY_SIZE(modes); i++)
		for (unsigned across = 0; across < 4; across++) {
			struct product x = {"f16", F16, BF16, F32, 128, 64, 16, modes[i],
			    modes[(i + across) % 4], across & 1, across & 2};
			struct product bytes = {"f8f6f4", E4M3, E5M2, F32, 64, 128, 32, modes[i],
			    modes[(i + across + 1) % 4], across & 1, across & 2};

			check_product(&x);
			check_product(&bytes);
		}
}

TEST_LIMIT(a_in_tensor_memory, 120)
{
	static const struct product all[] = {
	    {"f16", F16, F16, F32, 128, 64, 16, .b_mode = S128, .a_in_tensor = true},
	    {"f16.collector::a::fill", BF16, F16, F32, 64, 64, 16, .a_in_tensor = true, .lane = 16},
	    {"tf32", TF32, TF32, F32, 128, 8, 8, .a_in_tensor = true},
	    {"f8f6f4", E2M1, E2M3, F32, 128, 16, 32, .a_in_tensor = true},
	    {"f8f6f4", E3M2, E4M3, F32, 128, 16, 32, .a_in_tensor = true},
	    {"i8", S8, S8, S32, 128, 32, 32, .a_in_tensor = true},
	    {"mxf4.block_scale", E2M1, E2M1, F32, 128, 32, 64, .a_in_tensor = true, .blocks = 2},
	};

	CHECK_ALL(all);
}

TEST_LIMIT(scales_of_blocks, 120)
{
	static const struct product all[] = {
	    {"mxf8f6f4.block_scale", E4M3, E2M1, F32, 128, 64, 32, S128, S128, .blocks = 1,
		.a_byte = 3, .b_byte = 1},
	    {"mxf8f6f4.block_scale.scale_vec::1X", E5M2, E4M3, F32, 128, 16, 32, PLAIN, S32_, true,
		true, .blocks = 1, .a_byte = 2},
	    {"mxf4.block_scale.scale_vec::2X", E2M1, E2M1, F32, 128, 256, 64, S64, S128,
		.blocks = 2, .a_byte = 2},
	    {"mxf4nvf4.block_scale.scale_vec::4X", E2M1, E2M1, F32, 128, 40, 64, S128, S32_,
		.blocks = 4, .ue4m3 = true},
	    {"mxf4nvf4.block_scale.block16", E2M1, E2M1, F32, 128, 40, 64, .blocks = 4,
		.a_negated = true},
	    {"mxf4nvf4.block_scale.scale_vec::2X", E2M1, E2M1, F32, 128, 40, 64, .blocks = 2,
		.b_byte = 2},
	};

	CHECK_ALL(all);
}

/* Rows of 48 bytes, scales that need two words. */
TEST_LIMIT(long_rows, 120)
{
	static const struct product all[] = {
	    {"mxf4.block_scale.block32", E2M1, E2M1, F32, 128, 64, 96, S128, S64, .blocks = 3,
		.a_byte = 1, .b_byte = 3},
	    {"mxf4nvf4.block_scale.block16", E2M1, E2M1, F32, 128, 136, 96, .blocks = 6,
		.b_byte = 2, .ue4m3 = true},
	    {"mxf4nvf4.block_scale.block16", E2M1, E2M1, F32, 128, 120, 96, S128, S128, .blocks = 6,
		.a_byte = 2, .begin = 96},
	    {"mxf4.block_scale.block32", E2M1, E2M1, F32, 128, 32, 96, S128, S128, .blocks = 3,
		.a_byte = 2, .begin = 48},
	    {"mxf4.block_scale", E2M1, E2M1, F32, 128, 16, 96, .a_in_tensor = true, .blocks = 3},
	    {"mxf4nvf4.block_scale.block16", E2M1, E2M1, F32, 256, 128, 96, S128, S128,
		.pair = true, .blocks = 6, .begin = 112},
	};

	CHECK_ALL(all);
}

TEST_LIMIT(half_of_a_is_there, 120)
{
	static const struct product all[] = {
	    {"f16", F16, F16, F32, 128, 64, 32, S128, S128, .sparse = true},
	    {"f16", BF16, BF16, F32, 64, 16, 32, S32_, S64, .sparse = true, .selector = 1,
		.lane = 16},
	    {"tf32", TF32, TF32, F32, 128, 16, 16, .sparse = true, .selector = 1},
	    {"f8f6f4", E4M3, E2M1, F32, 128, 16, 64, S64, S128, .sparse = true},
	    {"i8", S8, U8, S32, 128, 16, 64, .sparse = true, .a_in_tensor = true},
	    {"mxf8f6f4.block_scale", E3M2, E4M3, F32, 128, 16, 64, .sparse = true, .blocks = 1},
	    {"mxf4nvf4.block_scale.block16", E2M1, E2M1, F32, 128, 16, 128, .sparse = true,
		.blocks = 4, .ue4m3 = true},
	};

	CHECK_ALL(all);
}

TEST_LIMIT(stationary_b, 120)
{
	static const struct product all[] = {
	    {"f16", F16, F16, F32, 128, 64, 16, S128, S128, .stationary = true},
	    {"f16", F16, F16, F32, 64, 128, 16, S128, S128, .stationary = true},
	    {"f16", F16, F16, F16, 32, 64, 16, S32_, S32_, .stationary = true, .a_in_tensor = true},
	    {"i8.collector::b2::fill", U8, S8, S32, 32, 256, 32, .stationary = true},
	    {"tf32", TF32, TF32, F32, 64, 64, 16, .stationary = true, .sparse = true},
	    {"f8f6f4", E4M3, E4M3, F32, 32, 64, 64, .stationary = true, .sparse = true},
	    /* spans of 4 columns and 3 without */
	    {"f16", F16, F16, F32, 128, 64, 16, .stationary = true,
		.mask = UINT64_C(0x0003028000000000)},
	    {"f16", F16, F16, F32, 64, 64, 16, .stationary = true,
		.mask = UINT64_C(0x0003028100000102)},
	    {"f16", F16, F16, F32, 32, 128, 16, .stationary = true, .shift = 8,
		.mask = UINT64_C(0x0203028301020100)},
	};

	CHECK_ALL(all);
}

TEST_LIMIT(pairs_of_blocks, 120)
{
	static const struct product all[] = {
	    {"f16", F16, F16, F32, 256, 64, 16, S128, S128, .pair = true},
	    {"f16", F16, F16, F32, 128, 32, 16, S128, S128, .pair = true},
	    {"f16", BF16, F16, F32, 128, 32, 16, .a_in_tensor = true, .pair = true},
	    {"f16", F16, F16, F32, 128, 32, 32, .pair = true, .sparse = true, .lane = 16},
	    {"i8", S8, S8, S32, 256, 256, 32, S64, S64, false, true, .pair = true},
	    {"mxf8f6f4.block_scale", E4M3, E4M3, F32, 256, 64, 32, .pair = true, .blocks = 1},
	    {"mxf4.block_scale", E2M1, E2M1, F32, 128, 128, 64, .pair = true, .blocks = 2},
	};

	CHECK_ALL(all);
}

TEST_LIMIT(d_is_divided, 120)
{
	static const struct product all[] = {
	    {"f16", F16, F16, F32, 128, 16, 16, .tail = ", 3", .divisor = 8},
	    {"tf32", TF32, TF32, F32, 64, 16, 8, .tail = ", 1", .divisor = 2},
	};

	CHECK_ALL(all);
}
