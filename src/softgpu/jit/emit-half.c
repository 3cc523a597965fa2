/*
 * f16 and bf16, and instructions on pairs of 16-bit values. Sums, products, quotients and square
 * roots of both are exact when computed in float and rounded once more (24 >= 2 * 11 + 2 bits);
 * fma is not, and is the machine's.
 */
#include "softgpu/jit/emit.h"

bool is_half(enum ptx_type type)
{
	return type == PTX_TYPE_f16 || type == PTX_TYPE_bf16;
}

enum ptx_type pair_element(enum ptx_type type)
{
	switch (type) {
	case PTX_TYPE_f16x2:
		return PTX_TYPE_f16;
	case PTX_TYPE_bf16x2:
		return PTX_TYPE_bf16;
	case PTX_TYPE_u16x2:
		return PTX_TYPE_u16;
	case PTX_TYPE_s16x2:
		return PTX_TYPE_s16;
	case PTX_TYPE_f32x2:
		return PTX_TYPE_f32;
	default:
		return PTX_TYPE_NONE;
	}
}

struct value half_widen(struct emit *emit, enum ptx_type type, struct value value)
{
	struct value bits;

	if (type == PTX_TYPE_f16) {
		bits = emit_value(emit, "bitcast i16 %s to half", value.text);
		return emit_value(emit, "fpext half %s to float", bits.text);
	}
	bits = emit_value(emit, "zext i16 %s to i32", value.text);
	bits = emit_value(emit, "shl i32 %s, 16", bits.text);
	return emit_value(emit, "bitcast i32 %s to float", bits.text);
}

struct value half_narrow(struct emit *emit, enum ptx_type type, struct value value)
{
	return emit_value(emit, "call i16 @sg.to.%s(float %s)", ptx_type_name(type), value.text);
}

static struct value split(struct emit *emit, enum ptx_type type, struct value pair, unsigned half)
{
	unsigned bits = ptx_type_bits(type);
	enum ptx_type element = pair_element(type);
	struct value value = pair;

	if (half)
		value = emit_value(emit, "lshr i%u %s, %u", bits, value.text, bits / 2);
	value = emit_value(emit, "trunc i%u %s to i%u", bits, value.text, bits / 2);
	return convert_bits(emit, value, ir_of_bits(bits / 2), ir_of(element), false);
}

static struct value join(struct emit *emit, enum ptx_type type, struct value low, struct value high)
{
	enum ir_type element = ir_of(pair_element(type)), pair = ir_of(type);
	struct value a = convert_bits(emit, low, element, pair, false);
	struct value b = convert_bits(emit, high, element, pair, false);

	b = emit_value(emit, "shl %s %s, %u", ir_name(pair), b.text, ir_bits(pair) / 2);
	return emit_value(emit, "or %s %s, %s", ir_name(pair), a.text, b.text);
}

void emit_elementwise(struct emit *emit, enum ptx_type type, unsigned n_sources, scalar_op *scalar)
{
	enum ptx_type element = pair_element(type);
	struct value values[4], halves[4], results[2];

	for (unsigned i = 0; i < n_sources; i++)
		values[i] = source(emit, i + 1, type);
	if (element == PTX_TYPE_NONE) {
		destination(emit, 0, scalar(emit, type, values), type);
		return;
	}
	for (unsigned half = 0; half < 2; half++) {
		for (unsigned i = 0; i < n_sources; i++)
			halves[i] = split(emit, type, values[i], half);
		results[half] = scalar(emit, element, halves);
	}
	destination(emit, 0, join(emit, type, results[0], results[1]), type);
}
