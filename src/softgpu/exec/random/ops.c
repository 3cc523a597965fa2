/*
 * The instructions random programs are made of, and what they compute, written down a second time.
 * Divisors are made odd: PTX leaves division by zero open.
 */
#include <fenv.h>
#include <math.h>

#include "base/util.h"
#include "softgpu/exec/float-bits.h"
#include "softgpu/exec/random/random.h"

#define U32(x)	((uint32_t)(x))
#define S32(x)	((int32_t)(x))
#define U64(x)	((uint64_t)(x))
#define S64(x)	((int64_t)(x))
#define U16(x)	((uint16_t)(x))
#define S16(x)	((int16_t)(x))
#define U128(x) ((unsigned __int128)(x))
#define S128(x) ((__int128)(x))

static int32_t clamp32(int64_t x)
{
	return (int32_t)MAX((int64_t)INT32_MIN, MIN(x, (int64_t)INT32_MAX));
}

/* Of a float, towards an integer already: NaN is 0. */
static uint64_t to_integer(double x, double low, double high, bool is_signed)
{
	if (isnan(x))
		return 0;
	if (x <= low)
		return is_signed ? U64(S64(low)) : 0;
	return U64(S64(x >= high ? high : x));
}

static uint64_t min_f32(float a, float b)
{
	if (isnan(a) || isnan(b))
		return f32_bits(isnan(a) ? b : a);
	return f32_bits(a < b || (a == b && signbit(a)) ? a : b);
}

static uint64_t max_f32(float a, float b)
{
	if (isnan(a) || isnan(b))
		return f32_bits(isnan(a) ? b : a);
	return f32_bits(a > b || (a == b && signbit(b)) ? a : b);
}

static uint64_t min_f64(double a, double b)
{
	if (isnan(a) || isnan(b))
		return f64_bits(isnan(a) ? b : a);
	return f64_bits(a < b || (a == b && signbit(a)) ? a : b);
}

/* One float operation with another rounding. */
#define ROUNDED(mode, type, x, operator, y)                                                        \
	({                                                                                         \
		volatile type rounded_a = (x), rounded_b = (y), rounded_r;                         \
		fesetround(mode);                                                                  \
		rounded_r = rounded_a operator rounded_b;                                          \
		fesetround(FE_TONEAREST);                                                          \
		rounded_r;                                                                         \
	})

static uint64_t shift_left32(uint64_t a, uint64_t n)
{
	return U32(n) > 31 ? 0 : U32(a) << U32(n);
}

static uint64_t field(uint64_t a, unsigned at, unsigned n, unsigned width, bool is_signed)
{
	uint64_t result = 0, fill = 0;

	if (is_signed && n)
		fill = a >> MIN(at + n - 1, width - 1) & 1;
	for (unsigned i = 0; i < width; i++) {
		uint64_t bit = i < n && at + i < width ? a >> (at + i) & 1 : fill;

		result |= bit << i;
	}
	return result;
}

static uint64_t insert(uint64_t a, uint64_t b, unsigned at, unsigned n)
{
	for (unsigned i = 0; i < n && at + i < 32; i++)
		b = (b & ~(U64(1) << (at + i))) | (a >> i & 1) << (at + i);
	return b;
}

static uint64_t find(uint64_t a, unsigned width, bool is_signed)
{
	if (is_signed && a >> (width - 1) & 1)
		a = ~a;
	for (unsigned bit = width; bit-- > 0;)
		if (a >> bit & 1)
			return bit;
	return UINT32_MAX;
}

static uint64_t reverse(uint64_t a, unsigned width)
{
	uint64_t result = 0;

	for (unsigned i = 0; i < width; i++)
		result |= (a >> i & 1) << (width - 1 - i);
	return result;
}

static uint64_t permute(uint64_t a, uint64_t b, uint64_t selector)
{
	uint64_t bytes = U32(a) | b << 32, result = 0;

	for (unsigned i = 0; i < 4; i++) {
		unsigned nibble = selector >> 4 * i & 15;
		unsigned byte = bytes >> 8 * (nibble & 7) & 0xff;

		result |= U64(nibble & 8 ? (byte & 0x80 ? 0xff : 0) : byte) << 8 * i;
	}
	return result;
}

static uint64_t dot(uint64_t a, uint64_t b, uint64_t c, bool is_signed)
{
	for (unsigned i = 0; i < 32; i += 8)
		c += is_signed ? U64(S64((int8_t)(a >> i)) * (int8_t)(b >> i))
			       : U64((uint8_t)(a >> i)) * (uint8_t)(b >> i);
	return U32(c);
}

static uint64_t distances(uint64_t a, uint64_t b)
{
	uint64_t result = 0;

	for (unsigned i = 0; i < 32; i += 8) {
		int x = (uint8_t)(a >> i), y = (uint8_t)(b >> i);

		result |= U64(x < y ? y - x : x - y) << i;
	}
	return result;
}

static uint64_t cvt_s64_f64(double x)
{
	if (isnan(x))
		return U64(1) << 63;
	return x >= 0x1p63 ? U64(INT64_MAX) : x <= -0x1p63 ? U64(1) << 63 : U64(S64(x));
}

/* Each row is F(PTX, classes of the result and the sources, what it computes). */
#define COMPARISONS(F, type, letter, cast)                                                         \
	F("setp.eq." #type " D, A, B;", "p" letter letter, cast(a) == cast(b))                     \
	F("setp.ne." #type " D, A, B;", "p" letter letter, cast(a) != cast(b))                     \
	F("setp.lt." #type " D, A, B;", "p" letter letter, cast(a) < cast(b))                      \
	F("setp.le." #type " D, A, B;", "p" letter letter, cast(a) <= cast(b))                     \
	F("setp.gt." #type " D, A, B;", "p" letter letter, cast(a) > cast(b))                      \
	F("setp.ge." #type " D, A, B;", "p" letter letter, cast(a) >= cast(b))

/* clang-format off */
#define OPS(F) \
	F("add.u32 D, A, B;", "rrr", U32(a + b)) \
	F("sub.u32 D, A, B;", "rrr", U32(a - b)) \
	F("mul.lo.u32 D, A, B;", "rrr", U32(a * b)) \
	F("mul.hi.u32 D, A, B;", "rrr", U64(U32(a)) * U32(b) >> 32) \
	F("mul.hi.s32 D, A, B;", "rrr", U32(S64(S32(a)) * S32(b) >> 32)) \
	F("mad.lo.u32 D, A, B, C;", "rrrr", U32(a * b + c)) \
	F("mad.hi.u32 D, A, B, C;", "rrrr", U32((U64(U32(a)) * U32(b) >> 32) + c)) \
	F("mul24.lo.u32 D, A, B;", "rrr", U32((a & 0xffffff) * (b & 0xffffff))) \
	F("min.s32 D, A, B;", "rrr", U32(MIN(S32(a), S32(b)))) \
	F("max.s32 D, A, B;", "rrr", U32(MAX(S32(a), S32(b)))) \
	F("min.u32 D, A, B;", "rrr", MIN(U32(a), U32(b))) \
	F("max.u32 D, A, B;", "rrr", MAX(U32(a), U32(b))) \
	F("and.b32 D, A, B;", "rrr", a & b) \
	F("or.b32 D, A, B;", "rrr", a | b) \
	F("xor.b32 D, A, B;", "rrr", a ^ b) \
	F("not.b32 D, A;", "rr", U32(~a)) \
	F("cnot.b32 D, A;", "rr", !U32(a)) \
	F("neg.s32 D, A;", "rr", U32(-a)) \
	F("abs.s32 D, A;", "rr", S32(a) < 0 ? U32(-a) : U32(a)) \
	F("shl.b32 D, A, B;", "rrr", shift_left32(a, b)) \
	F("shr.u32 D, A, B;", "rrr", U32(b) > 31 ? 0 : U32(a) >> U32(b)) \
	F("shr.s32 D, A, B;", "rrr", U32(S32(a) >> MIN(U32(b), 31u))) \
	F("{ .reg .b32 t; or.b32 t, B, 1; div.u32 D, A, t; }", "rrr", U32(a) / U32(b | 1)) \
	F("{ .reg .b32 t; or.b32 t, B, 1; rem.u32 D, A, t; }", "rrr", U32(a) % U32(b | 1)) \
	F("{ .reg .b32 t; or.b32 t, B, 1; div.s32 D, A, t; }", "rrr", U32(S64(S32(a)) / S32(b | 1))) \
	F("{ .reg .b32 t; or.b32 t, B, 1; rem.s32 D, A, t; }", "rrr", U32(S64(S32(a)) % S32(b | 1))) \
	F("sad.u32 D, A, B, C;", "rrrr", U32((U32(a) < U32(b) ? b - a : a - b) + c)) \
	F("sad.s32 D, A, B, C;", "rrrr", U32((S32(a) < S32(b) ? b - a : a - b) + c)) \
	F("add.sat.s32 D, A, B;", "rrr", U32(clamp32(S64(S32(a)) + S32(b)))) \
	F("sub.sat.s32 D, A, B;", "rrr", U32(clamp32(S64(S32(a)) - S32(b)))) \
	F("popc.b32 D, A;", "rr", U64(__builtin_popcount(U32(a)))) \
	F("clz.b32 D, A;", "rr", U32(a) ? U64(__builtin_clz(U32(a))) : 32) \
	F("brev.b32 D, A;", "rr", reverse(a, 32)) \
	F("bfind.u32 D, A;", "rr", find(a, 32, false)) \
	F("bfind.s32 D, A;", "rr", find(a, 32, true)) \
	F("bfe.u32 D, A, B, C;", "rrrr", field(U32(a), b & 255, c & 255, 32, false)) \
	F("bfe.s32 D, A, B, C;", "rrrr", field(U32(a), b & 255, c & 255, 32, true)) \
	F("bfi.b32 D, A, B, C, 7;", "rrrr", insert(U32(a), U32(b), c & 255, 7)) \
	F("prmt.b32 D, A, B, C;", "rrrr", permute(a, b, c)) \
	F("lop3.b32 D, A, B, C, 0xe8;", "rrrr", (a & b) | (b & c) | (a & c)) \
	F("lop3.b32 D, A, B, C, 0x1e;", "rrrr", a ^ (b | c)) \
	F("shf.l.wrap.b32 D, A, B, C;", "rrrr", U32((b << 32 | U32(a)) << (c & 31) >> 32)) \
	F("shf.r.clamp.b32 D, A, B, C;", "rrrr", U32(c) > 31 ? b : U32((b << 32 | U32(a)) >> (c & 31))) \
	F("dp4a.u32.u32 D, A, B, C;", "rrrr", dot(a, b, c, false)) \
	F("dp4a.s32.s32 D, A, B, C;", "rrrr", dot(a, b, c, true)) \
	F("{ .reg .b32 t, u; mov.b32 t, 0; mov.b32 u, B; vabsdiff4.u32.u32.u32 D, A, u, t; }", "rrr", distances(a, b)) \
	F("{ .reg .b32 t; add.cc.u32 t, A, B; addc.u32 D, C, 0; }", "rrrr", U32(c + ((U64(U32(a)) + U32(b)) >> 32))) \
	F("{ .reg .b32 t; sub.cc.u32 t, A, B; subc.u32 D, C, 0; }", "rrrr", U32(c - (U32(a) < U32(b)))) \
	F("add.u64 D, A, B;", "ddd", a + b) \
	F("sub.u64 D, A, B;", "ddd", a - b) \
	F("mul.lo.u64 D, A, B;", "ddd", a * b) \
	F("mul.hi.u64 D, A, B;", "ddd", U64(U128(a) * b >> 64)) \
	F("mul.hi.s64 D, A, B;", "ddd", U64(S128(S64(a)) * S64(b) >> 64)) \
	F("mad.lo.u64 D, A, B, C;", "dddd", a * b + c) \
	F("min.s64 D, A, B;", "ddd", U64(MIN(S64(a), S64(b)))) \
	F("max.u64 D, A, B;", "ddd", MAX(a, b)) \
	F("and.b64 D, A, B;", "ddd", a & b) \
	F("xor.b64 D, A, B;", "ddd", a ^ b) \
	F("not.b64 D, A;", "dd", ~a) \
	F("neg.s64 D, A;", "dd", -a) \
	F("shl.b64 D, A, B;", "ddr", U32(b) > 63 ? 0 : a << U32(b)) \
	F("shr.u64 D, A, B;", "ddr", U32(b) > 63 ? 0 : a >> U32(b)) \
	F("shr.s64 D, A, B;", "ddr", U64(S64(a) >> MIN(U32(b), 63u))) \
	F("{ .reg .b64 t; or.b64 t, B, 1; div.u64 D, A, t; }", "ddd", a / (b | 1)) \
	F("{ .reg .b64 t; or.b64 t, B, 1; rem.s64 D, A, t; }", "ddd", U64(S128(S64(a)) % S64(b | 1))) \
	F("{ .reg .b64 t; or.b64 t, B, 1; div.s64 D, A, t; }", "ddd", U64(S128(S64(a)) / S64(b | 1))) \
	F("popc.b64 D, A;", "rd", U64(__builtin_popcountll(a))) \
	F("clz.b64 D, A;", "rd", a ? U64(__builtin_clzll(a)) : 64) \
	F("brev.b64 D, A;", "dd", reverse(a, 64)) \
	F("bfe.u64 D, A, B, C;", "ddrr", field(a, b & 255, c & 255, 64, false)) \
	F("bfe.s64 D, A, B, C;", "ddrr", field(a, b & 255, c & 255, 64, true)) \
	F("mul.wide.u32 D, A, B;", "drr", U64(U32(a)) * U32(b)) \
	F("mul.wide.s32 D, A, B;", "drr", U64(S64(S32(a)) * S32(b))) \
	F("mad.wide.s32 D, A, B, C;", "drrd", U64(S64(S32(a)) * S32(b)) + c) \
	F("mov.b64 D, {A, B};", "drr", U32(a) | b << 32) \
	F("add.u16 D, A, B;", "hhh", U16(a + b)) \
	F("sub.u16 D, A, B;", "hhh", U16(a - b)) \
	F("mul.lo.u16 D, A, B;", "hhh", U16(a * b)) \
	F("mul.hi.s16 D, A, B;", "hhh", U16(S16(a) * S16(b) >> 16)) \
	F("mul.wide.u16 D, A, B;", "rhh", U32(U16(a)) * U16(b)) \
	F("min.s16 D, A, B;", "hhh", U16(MIN(S16(a), S16(b)))) \
	F("max.u16 D, A, B;", "hhh", MAX(U16(a), U16(b))) \
	F("xor.b16 D, A, B;", "hhh", a ^ b) \
	F("shl.b16 D, A, B;", "hhr", U32(b) > 15 ? 0 : U16(a << U32(b))) \
	F("shr.s16 D, A, B;", "hhr", U16(S16(a) >> MIN(U32(b), 15u))) \
	F("{ .reg .b16 t; or.b16 t, B, 1; div.s16 D, A, t; }", "hhh", U16(S16(a) / S16(b | 1))) \
	F("mov.b32 D, {A, B};", "rhh", U16(a) | U32(U16(b)) << 16) \
	F("cvt.u64.u32 D, A;", "dr", U32(a)) \
	F("cvt.s64.s32 D, A;", "dr", U64(S64(S32(a)))) \
	F("cvt.u32.u64 D, A;", "rd", U32(a)) \
	F("cvt.u16.u32 D, A;", "hr", U16(a)) \
	F("cvt.s32.s16 D, A;", "rh", U32(S32(S16(a)))) \
	F("cvt.u32.u16 D, A;", "rh", U16(a)) \
	F("cvt.s32.s8 D, A;", "rr", U32(S32((int8_t)a))) \
	F("cvt.sat.u16.s32 D, A;", "hr", U16(MAX(0, MIN(S32(a), 65535)))) \
	F("cvt.sat.s16.s32 D, A;", "hr", U16(MAX(-32768, MIN(S32(a), 32767)))) \
	F("cvt.rn.f32.s32 D, A;", "fr", f32_bits((float)S32(a))) \
	F("cvt.rn.f32.u32 D, A;", "fr", f32_bits((float)U32(a))) \
	F("cvt.rn.f32.u64 D, A;", "fd", f32_bits((float)a)) \
	F("cvt.rn.f64.s32 D, A;", "gr", f64_bits(S32(a))) \
	F("cvt.rn.f64.s64 D, A;", "gd", f64_bits((double)S64(a))) \
	F("cvt.rzi.s32.f32 D, A;", "rf", U32(to_integer(truncf(bits_f32(a)), INT32_MIN, INT32_MAX, true))) \
	F("cvt.rni.s32.f32 D, A;", "rf", U32(to_integer(rintf(bits_f32(a)), INT32_MIN, INT32_MAX, true))) \
	F("cvt.rmi.s32.f32 D, A;", "rf", U32(to_integer(floorf(bits_f32(a)), INT32_MIN, INT32_MAX, true))) \
	F("cvt.rzi.u32.f32 D, A;", "rf", U32(to_integer(truncf(bits_f32(a)), 0, UINT32_MAX, false))) \
	F("cvt.rzi.s64.f64 D, A;", "dg", cvt_s64_f64(bits_f64(a))) \
	F("cvt.rn.f32.f64 D, A;", "fg", f32_bits((float)bits_f64(a))) \
	F("cvt.f64.f32 D, A;", "gf", f64_bits(bits_f32(a))) \
	F("cvt.rpi.f32.f32 D, A;", "ff", f32_bits(ceilf(bits_f32(a)))) \
	F("add.rn.f32 D, A, B;", "fff", f32_bits(bits_f32(a) + bits_f32(b))) \
	F("sub.rn.f32 D, A, B;", "fff", f32_bits(bits_f32(a) - bits_f32(b))) \
	F("mul.rn.f32 D, A, B;", "fff", f32_bits(bits_f32(a) * bits_f32(b))) \
	F("add.rz.f32 D, A, B;", "fff", f32_bits(ROUNDED(FE_TOWARDZERO, float, bits_f32(a), +, bits_f32(b)))) \
	F("mul.rp.f32 D, A, B;", "fff", f32_bits(ROUNDED(FE_UPWARD, float, bits_f32(a), *, bits_f32(b)))) \
	F("fma.rn.f32 D, A, B, C;", "ffff", f32_bits(fmaf(bits_f32(a), bits_f32(b), bits_f32(c)))) \
	F("div.rn.f32 D, A, B;", "fff", f32_bits(bits_f32(a) / bits_f32(b))) \
	F("sqrt.rn.f32 D, A;", "ff", f32_bits(sqrtf(bits_f32(a)))) \
	F("rcp.rn.f32 D, A;", "ff", f32_bits(1 / bits_f32(a))) \
	F("min.f32 D, A, B;", "fff", min_f32(bits_f32(a), bits_f32(b))) \
	F("max.f32 D, A, B;", "fff", max_f32(bits_f32(a), bits_f32(b))) \
	F("neg.f32 D, A;", "ff", f32_bits(-bits_f32(a))) \
	F("abs.f32 D, A;", "ff", f32_bits(fabsf(bits_f32(a)))) \
	F("add.rn.sat.f32 D, A, B;", "fff", f32_bits(fminf(fmaxf(bits_f32(a) + bits_f32(b), 0), 1))) \
	F("add.rn.f64 D, A, B;", "ggg", f64_bits(bits_f64(a) + bits_f64(b))) \
	F("mul.rn.f64 D, A, B;", "ggg", f64_bits(bits_f64(a) * bits_f64(b))) \
	F("fma.rn.f64 D, A, B, C;", "gggg", f64_bits(fma(bits_f64(a), bits_f64(b), bits_f64(c)))) \
	F("div.rn.f64 D, A, B;", "ggg", f64_bits(bits_f64(a) / bits_f64(b))) \
	F("sqrt.rn.f64 D, A;", "gg", f64_bits(sqrt(bits_f64(a)))) \
	F("min.f64 D, A, B;", "ggg", min_f64(bits_f64(a), bits_f64(b))) \
	F("neg.f64 D, A;", "gg", f64_bits(-bits_f64(a))) \
	COMPARISONS(F, u32, "r", U32) COMPARISONS(F, s32, "r", S32) \
	COMPARISONS(F, u64, "d", U64) COMPARISONS(F, s64, "d", S64) \
	COMPARISONS(F, u16, "h", U16) COMPARISONS(F, s16, "h", S16) \
	F("setp.eq.f32 D, A, B;", "pff", bits_f32(a) == bits_f32(b)) \
	F("setp.ne.f32 D, A, B;", "pff", bits_f32(a) < bits_f32(b) || bits_f32(a) > bits_f32(b)) \
	F("setp.lt.f32 D, A, B;", "pff", bits_f32(a) < bits_f32(b)) \
	F("setp.geu.f32 D, A, B;", "pff", !(bits_f32(a) < bits_f32(b))) \
	F("setp.nan.f32 D, A, B;", "pff", isnan(bits_f32(a)) || isnan(bits_f32(b))) \
	F("setp.gt.f64 D, A, B;", "pgg", bits_f64(a) > bits_f64(b)) \
	F("setp.neu.f64 D, A, B;", "pgg", bits_f64(a) != bits_f64(b)) \
	F("setp.lt.and.s32 D, A, B, C;", "prrp", S32(a) < S32(b) && c) \
	F("setp.ge.or.u32 D, A, B, !C;", "prrp", U32(a) >= U32(b) || !c) \
	F("and.pred D, A, B;", "ppp", a & b) \
	F("or.pred D, A, B;", "ppp", a | b) \
	F("xor.pred D, A, B;", "ppp", a ^ b) \
	F("not.pred D, A;", "pp", !a) \
	F("mov.pred D, A;", "pp", a) \
	F("selp.b32 D, A, B, C;", "rrrp", c ? a : b) \
	F("selp.b64 D, A, B, C;", "dddp", c ? a : b) \
	F("selp.f32 D, A, B, C;", "fffp", c ? a : b) \
	F("slct.s32.s32 D, A, B, C;", "rrrr", S32(c) >= 0 ? a : b) \
	F("slct.f32.f32 D, A, B, C;", "ffff", bits_f32(c) >= 0 ? a : b) \
	F("set.lt.u32.s32 D, A, B;", "rrr", S32(a) < S32(b) ? UINT32_MAX : 0) \
	F("mov.u32 D, A;", "rr", a) \
	F("mov.f64 D, A;", "gg", a)
/* clang-format on */

/* The cases are numbered as the rows are, by the compiler's counter. */
enum { FIRST = __COUNTER__ + 1 };
#define CASE(text, classes, expression)                                                            \
	case __COUNTER__ - FIRST:                                                                  \
		return (uint64_t)(expression);

uint64_t random_compute(unsigned op, uint64_t a, uint64_t b, uint64_t c)
{
	switch (op) {
		OPS(CASE)
	default:
		return 0;
	}
}

#define ROW(text, classes, expression) {text, classes},
const struct random_op random_ops[] = {OPS(ROW)};
const size_t random_n_ops = ARRAY_SIZE(random_ops);
