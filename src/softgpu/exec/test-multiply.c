/* The arithmetic of matrices: every narrow number, sums at the edges of f16, and products. */
#include "softgpu/exec/multiply.h"

#include <math.h>
#include <string.h>

#include "base/test.h"
#include "softgpu/exec/runtime-float.h"

static uint32_t bits_of(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* NaNs are one. */
static void check_same(float got, double wanted, uint32_t from)
{
	if (isnan(wanted) ? !isnan(got) : bits_of(got) != bits_of((float)wanted))
		test_fail(
		    __FILE__, __LINE__, "%#x became %a, wanted %a", from, (double)got, wanted);
}

TEST(every_f16_and_bf16)
{
	static uint16_t narrow[1 << 16];
	static uint32_t words[1 << 16];
	static float floats[1 << 16], again[1 << 16];

	for (uint32_t i = 0; i < ARRAY_SIZE(narrow); i++)
		words[i] = narrow[i] = (uint16_t)i;
	floats_unpack(SG_MATRIX_F16, narrow, ARRAY_SIZE(narrow), floats);
	floats_from(SG_MATRIX_F16, words, ARRAY_SIZE(words), again);
	for (uint32_t i = 0; i < ARRAY_SIZE(narrow); i++) {
		check_same(floats[i], runtime_f16((uint16_t)i), i);
		CHECK_EQ(bits_of(again[i]), bits_of(floats[i]));
	}
	floats_unpack(SG_MATRIX_BF16, narrow, ARRAY_SIZE(narrow), floats);
	for (uint32_t i = 0; i < ARRAY_SIZE(narrow); i++)
		CHECK_EQ(bits_of(floats[i]), i << 16);
}

TEST(every_number_of_8_bits)
{
	uint8_t narrow[256];
	float floats[256];
	int32_t integers[256];

	for (unsigned i = 0; i < 256; i++)
		narrow[i] = (uint8_t)i;
	floats_unpack(SG_MATRIX_E4M3, narrow, 256, floats);
	for (unsigned i = 0; i < 256; i++)
		check_same(floats[i], runtime_f16((uint16_t)sg_e4m3x2_to_f16x2(0, (uint16_t)i)), i);
	floats_unpack(SG_MATRIX_E5M2, narrow, 256, floats);
	for (unsigned i = 0; i < 256; i++)
		check_same(floats[i], runtime_f16((uint16_t)sg_e5m2x2_to_f16x2(0, (uint16_t)i)), i);
	integers_unpack(SG_MATRIX_S8, narrow, 256, integers);
	for (unsigned i = 0; i < 256; i++)
		CHECK_EQ(integers[i], (int8_t)i);
	integers_unpack(SG_MATRIX_U8, narrow, 256, integers);
	for (unsigned i = 0; i < 256; i++)
		CHECK_EQ(integers[i], i);
}

/* Each f16, what lies half-way to the next, and what lies beside these. */
TEST(sums_to_f16)
{
	enum { N = 16 };
	uint16_t got[N];
	float sums[N];
	uint32_t words[N];

	for (uint32_t i = 0; i < 0x7c00; i++) {
		float value = (float)runtime_f16((uint16_t)i);
		float next = i == 0x7bff ? 65536 : (float)runtime_f16((uint16_t)(i + 1));
		float half = (value + next) / 2;
		float beside[] = {value, nextafterf(value, next), nextafterf(half, value), half,
		    nextafterf(half, next), nextafterf(next, value), next, value * 0x1p24f};

		for (unsigned k = 0; k < N; k++)
			sums[k] = k < 8 ? beside[k] : -beside[k - 8];
		floats_to_f16(sums, N, got);
		for (unsigned k = 0; k < N; k++)
			CHECK_EQ(got[k], sg_to_f16(0, (double)sums[k]));
	}
	for (unsigned k = 0; k < N; k++)
		sums[k] = k % 2 ? INFINITY : -NAN;
	floats_to_f16(sums, N, got);
	floats_to_f32(sums, N, words);
	for (unsigned k = 0; k < N; k++) {
		CHECK_EQ(got[k], k % 2 ? 0x7c00 : 0x7fff);
		CHECK_EQ(words[k], k % 2 ? 0x7f800000 : SG_NAN_F32);
	}
}

TEST(integers_stop_at_the_ends_or_wrap)
{
	static const int32_t a[16] = {INT32_MAX, INT32_MIN, INT32_MAX, 5, -5, INT32_MIN};
	static const int32_t b[16] = {1, -1, INT32_MIN, -7, 7, INT32_MIN};
	static const int32_t ends[] = {INT32_MAX, INT32_MIN, -1, -2, 2, INT32_MIN, 0};
	int32_t sums[16], wrapped[16];

	memcpy(sums, b, sizeof(b));
	memcpy(wrapped, b, sizeof(b));
	integers_add(true, a, 16, sums);
	integers_add(false, a, 16, wrapped);
	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++) {
		CHECK_EQ(sums[i], ends[i]);
		CHECK_EQ((uint32_t)wrapped[i], (uint32_t)a[i] + (uint32_t)b[i]);
	}
}

/* Products of floats that are rounded, in order of k, are told from any other order. */
static void check_product(struct sg_product size)
{
	float a[32 * 32], b[32 * 32], c[32 * 32], wanted;
	float before[32 * 32];

	for (unsigned i = 0; i < 32 * 32; i++) {
		a[i] = (float)(i * 2654435761u % 1021) - 510;
		b[i] = ldexpf((float)(i * 40503u % 509) - 254, (int)(i % 17));
		before[i] = c[i] = (float)i;
	}
	multiply_floats(size, a, b, c);
	for (unsigned row = 0; row < size.m; row++)
		for (unsigned column = 0; column < size.n; column++) {
			wanted = before[row * size.n + column];
			for (unsigned i = 0; i < size.k; i++) {
				volatile float product =
				    a[row * size.k + i] * b[i * size.n + column];

				wanted += product;
			}
			CHECK_EQ(bits_of(c[row * size.n + column]), bits_of(wanted));
		}
}

TEST(products_in_order)
{
	check_product((struct sg_product){16, 8, 16});
	check_product((struct sg_product){16, 16, 16});
	check_product((struct sg_product){8, 32, 16});
	check_product((struct sg_product){32, 8, 4});
}

#define CHECK_TRANSPOSE(type, transpose)                                                           \
	do {                                                                                       \
		type in[8][11], out[8][9];                                                         \
                                                                                                   \
		for (unsigned i = 0; i < 8 * 11; i++)                                              \
			in[i / 11][i % 11] = (type)(i * 3);                                        \
		transpose(in, sizeof(in[0]), out, sizeof(out[0]));                                 \
		for (unsigned i = 0; i < 8 * 8; i++)                                               \
			CHECK_EQ(out[i % 8][i / 8], in[i / 8][i % 8]);                             \
	} while (0)

TEST(rows_become_columns)
{
	CHECK_TRANSPOSE(uint8_t, bytes_transpose);
	CHECK_TRANSPOSE(uint16_t, halves_transpose);
	CHECK_TRANSPOSE(uint32_t, words_transpose);
}

/* Saturation, which sums of f32 do not know, makes the machine go the general way. */
TEST(registers_as_they_are)
{
	static const struct {
		enum sg_matrix_type a, b;
		uint32_t k; /* 4 << k numbers */
	} forms[] = {
	    {SG_MATRIX_F16, SG_MATRIX_F16, 1},
	    {SG_MATRIX_F16, SG_MATRIX_F16, 2},
	    {SG_MATRIX_BF16, SG_MATRIX_BF16, 1},
	    {SG_MATRIX_BF16, SG_MATRIX_BF16, 2},
	    {SG_MATRIX_TF32, SG_MATRIX_TF32, 0},
	    {SG_MATRIX_TF32, SG_MATRIX_TF32, 1},
	    {SG_MATRIX_E4M3, SG_MATRIX_E4M3, 2},
	    {SG_MATRIX_E5M2, SG_MATRIX_E5M2, 3},
	    {SG_MATRIX_E4M3, SG_MATRIX_E5M2, 3},
	    {SG_MATRIX_E5M2, SG_MATRIX_E4M3, 3},
	};
	static struct sg_fragments fast, general;
	uint64_t random = 1;

	for (unsigned i = 0; i < ARRAY_SIZE(forms) * 400; i++) {
		union sg_matrix matrix = {.bits = 0};
		bool is_tame = i % 4, is_narrow = i % 3 == 0;

		matrix.kind = SG_MATRIX_MMA;
		matrix.a = forms[i / 400].a & 15;
		matrix.b = forms[i / 400].b & 15;
		matrix.c = (is_narrow ? SG_MATRIX_F16 : SG_MATRIX_F32) & 15;
		matrix.d = SG_MATRIX_F32;
		matrix.m = 1;
		matrix.k = forms[i / 400].k & 7;
		for (unsigned word = 0; word < SG_MATRIX_WORDS * SG_WARP_SIZE; word++) {
			random = random * 6364136223846793005 + 1442695040888963407;
			/* tame: no infinities, nothing that is no number */
			fast.words[word / SG_WARP_SIZE][word % SG_WARP_SIZE] =
			    (uint32_t)(random >> 32) & (is_tame ? 0xbb3bbb3b : UINT32_MAX);
		}
		general = fast;
		matrix_compute(matrix, &fast);
		matrix.saturate = true;
		matrix_compute(matrix, &general);
		CHECK_BYTES(fast.words, general.words, 4 * sizeof(fast.words[0]));
	}
}
