/*
 * mov, cvt and cvta (PTX ISA 9.7.9).
 *
 * cvt goes by the classes of its types: integer to integer, float to integer, integer to float,
 * float to float, and the packed forms. f16 and bf16 sources are widened to float first, which is
 * exact. Roundings the host's instructions do not do are the machine's
 * (softgpu/exec/runtime-float.c).
 */
#include "softgpu/exec/lane.h"
#include "softgpu/jit/emit.h"

static bool is_integer_rounding(const struct emit *emit)
{
	return has(emit, PTX_MODIFIER_rni) || has(emit, PTX_MODIFIER_rzi) ||
	       has(emit, PTX_MODIFIER_rmi) || has(emit, PTX_MODIFIER_rpi);
}

static struct value integer_to_integer(struct emit *emit, enum ptx_type to, enum ptx_type from)
{
	bool from_signed = ptx_type_is_signed(from), to_signed = ptx_type_is_signed(to);
	struct value value = source(emit, 1, from);
	unsigned to_bits = ptx_type_bits(to);
	struct value low, high;

	if (!has(emit, PTX_MODIFIER_sat))
		return convert_bits(emit, value, ir_of(from), ir_of(to), from_signed);
	/* In i128 every bound of every type is representable as signed. */
	value = convert_bits(emit, value, ir_of(from), IR_I128, from_signed);
	low = emit_value(emit, "shl i128 %d, %u", to_signed ? -1 : 0, to_bits - 1);
	high = emit_value(emit, "shl i128 1, %u", to_bits - (to_signed ? 1 : 0));
	high = emit_value(emit, "sub i128 %s, 1", high.text);
	value =
	    emit_value(emit, "call i128 @llvm.smax.i128(i128 %s, i128 %s)", value.text, low.text);
	value =
	    emit_value(emit, "call i128 @llvm.smin.i128(i128 %s, i128 %s)", value.text, high.text);
	return convert_bits(emit, value, IR_I128, ir_of(to), false);
}

static struct value round_to_integral(struct emit *emit, enum ptx_type type, struct value value)
{
	const char *ir = ir_name(ir_of(type));
	const char *function = has(emit, PTX_MODIFIER_rzi)   ? "trunc"
			       : has(emit, PTX_MODIFIER_rmi) ? "floor"
			       : has(emit, PTX_MODIFIER_rpi) ? "ceil"
							     : "roundeven";

	return emit_value(
	    emit, "call %s @llvm.%s.%s(%s %s)", ir, function, ptx_type_name(type), ir, value.text);
}

/*
 * Saturates. A NaN gives 0, but for conversions from or to 64 bits, which give 0x800...: PTX ISA,
 * cvt, notes on float-to-integer conversion.
 */
static struct value float_to_integer(struct emit *emit, enum ptx_type to, enum ptx_type from)
{
	enum ptx_type wide = is_half(from) ? PTX_TYPE_f32 : from;
	const char *ir = ir_name(ir_of(wide)), *to_ir = ir_name(ir_of(to));
	struct value value = flush(emit, from, source(emit, 1, from)), result, nan;

	if (is_half(from))
		value = half_widen(emit, from, value);
	value = round_to_integral(emit, wide, value);
	result = emit_value(emit, "call %s @llvm.fpto%ci.sat.%s.%s(%s %s)", to_ir,
	    ptx_type_is_signed(to) ? 's' : 'u', to_ir, ptx_type_name(wide), ir, value.text);
	if (from != PTX_TYPE_f64 && ptx_type_bits(to) != 64)
		return result;
	nan = emit_value(emit, "fcmp uno %s %s, %s", ir, value.text, value.text);
	return emit_value(emit, "select i1 %s, %s %s, %s %s", nan.text, to_ir,
	    ir_constant(ir_of(to), UINT64_C(1) << (ptx_type_bits(to) - 1)).text, to_ir,
	    result.text);
}

static struct value saturate(struct emit *emit, enum ptx_type type, struct value value)
{
	const char *ir = ir_name(ir_of(type));

	if (has(emit, PTX_MODIFIER_relu))
		value = emit_value(
		    emit, "call %s @sg.relu.%s(%s %s)", ir, ptx_type_name(type), ir, value.text);
	if (has(emit, PTX_MODIFIER_sat))
		value = emit_value(
		    emit, "call %s @sg.sat.%s(%s %s)", ir, ptx_type_name(type), ir, value.text);
	return value;
}

/* A double to f16 or bf16 in one rounding. */
static struct value double_to_half(struct emit *emit, enum ptx_type to, struct value value)
{
	return emit_value(emit, "call i16 @sg_to_%s(i32 %u, double %s)", ptx_type_name(to),
	    rounding_mode(emit) | (has(emit, PTX_MODIFIER_satfinite) ? 8 : 0), value.text);
}

static struct value integer_to_float(struct emit *emit, enum ptx_type to, enum ptx_type from)
{
	bool is_signed = ptx_type_is_signed(from), needs_double = is_half(to);
	enum ptx_type wide = needs_double ? PTX_TYPE_f64 : to;
	struct value value = source(emit, 1, from);

	if (rounding_mode(emit) && !needs_double) {
		value = convert_bits(emit, value, ir_of(from), IR_I64, is_signed);
		value = emit_value(emit, "call %s @sg_%ctof_%s(i32 %u, i64 %s)", ir_name(ir_of(to)),
		    is_signed ? 'i' : 'u', ptx_type_name(to), rounding_mode(emit), value.text);
	} else {
		value = emit_value(emit, "%citofp %s %s to %s", is_signed ? 's' : 'u',
		    ir_name(ir_of(from)), value.text, ir_name(ir_of(wide)));
	}
	value = saturate(emit, wide, value);
	return needs_double ? double_to_half(emit, to, value) : value;
}

static struct value tf32(struct emit *emit, struct value value)
{
	bool is_plain = has(emit, PTX_MODIFIER_rna) && !has(emit, PTX_MODIFIER_satfinite) &&
			!has(emit, PTX_MODIFIER_relu);
	struct value bits;

	if (is_plain) { /* half of the last bit that stays is added to the magnitude */
		bits = emit_value(emit, "bitcast float %s to i32", value.text);
		bits = emit_value(emit, "add i32 %s, 4096", bits.text);
		bits = emit_value(emit, "and i32 %s, -8192", bits.text);
		value = emit_value(emit, "fcmp uno float %s, %s", value.text, value.text);
		return emit_value(
		    emit, "select i1 %s, i32 2147483647, i32 %s", value.text, bits.text);
	}
	return emit_value(emit, "call i32 @sg_to_tf32(i32 %u, float %s)",
	    (has(emit, PTX_MODIFIER_rna) ? 4 : rounding_mode(emit)) |
		(has(emit, PTX_MODIFIER_satfinite) ? 8 : 0) |
		(has(emit, PTX_MODIFIER_relu) ? 16 : 0),
	    value.text);
}

static struct value widen_float(
    struct emit *emit, enum ptx_type to, enum ptx_type from, struct value value)
{
	if (to == PTX_TYPE_f64 && from == PTX_TYPE_f32)
		return emit_value(emit, "fpext float %s to double", value.text);
	return value;
}

/* From f32 or f64 down to a narrower type, with the instruction's rounding. */
static struct value narrow_float(
    struct emit *emit, enum ptx_type to, enum ptx_type from, struct value value)
{
	bool is_plain = !rounding_mode(emit) && !has(emit, PTX_MODIFIER_satfinite);

	if (is_half(to)) {
		if (from == PTX_TYPE_f32 && is_plain)
			return half_narrow(emit, to, value);
		return double_to_half(emit, to, widen_float(emit, PTX_TYPE_f64, from, value));
	}
	if (is_plain)
		return emit_value(emit, "fptrunc double %s to float", value.text);
	return emit_value(
	    emit, "call float @sg_to_f32(i32 %u, double %s)", rounding_mode(emit), value.text);
}

static struct value float_to_float(
    struct emit *emit, enum ptx_type to, enum ptx_type from, struct value value)
{
	enum ptx_type wide = is_half(from) ? PTX_TYPE_f32 : from;

	value = flush(emit, from, value);
	if (is_half(from))
		value = half_widen(emit, from, value);
	if (is_integer_rounding(emit))
		value = round_to_integral(emit, wide, value);
	value = saturate(emit, wide, value);
	if (to == PTX_TYPE_tf32)
		return tf32(emit, value);
	if (ptx_type_bits(to) < ptx_type_bits(wide))
		value = narrow_float(emit, to, wide, value);
	else
		value = widen_float(emit, to, wide, value);
	return flush(emit, to, value);
}

/* cvt.rn.f16x2.f32 d, a, b: a above, b below. */
static void convert_packed(struct emit *emit, enum ptx_type to, enum ptx_type from)
{
	enum ptx_type element = pair_element(to);
	struct value high = float_to_float(emit, element, from, source(emit, 1, from));
	struct value low = float_to_float(emit, element, from, source(emit, 2, from));

	high = emit_value(emit, "zext i16 %s to i32", high.text);
	high = emit_value(emit, "shl i32 %s, 16", high.text);
	low = emit_value(emit, "zext i16 %s to i32", low.text);
	destination(emit, 0, emit_value(emit, "or i32 %s, %s", high.text, low.text), to);
}

/* cvt.rs.f16x2.f32 d, a, b, random: the upper half of the random bits is a's. */
static void convert_pair_randomly(struct emit *emit, enum ptx_type to)
{
	struct value random = source(emit, 3, PTX_TYPE_b32), halves[2], result;

	for (unsigned i = 0; i < 2; i++) {
		struct value x = saturate(emit, PTX_TYPE_f32, source(emit, 1 + i, PTX_TYPE_f32));
		struct value bits = emit_value(emit, "lshr i32 %s, %d", random.text, i ? 0 : 16);

		halves[i] =
		    emit_value(emit, "call i16 @sg_to_%s_randomly(i32 %d, float %s, i32 %s)",
			ptx_type_name(pair_element(to)), has(emit, PTX_MODIFIER_satfinite) ? 8 : 0,
			x.text, bits.text);
		halves[i] = emit_value(emit, "zext i16 %s to i32", halves[i].text);
	}
	result = emit_value(emit, "shl i32 %s, 16", halves[0].text);
	destination(emit, 0, emit_value(emit, "or i32 %s, %s", result.text, halves[1].text), to);
}

/* cvt.rs.satfinite.e4m3x4.f32 d, {a, b, e, f}, random */
static void convert_four_randomly(struct emit *emit, enum ptx_type to, enum sg_format format)
{
	const struct ptx_operand *four = &emit->in->operands[1];
	struct value random = source(emit, 2, PTX_TYPE_b32), x[4], result;

	if (four->kind != PTX_OPERAND_VECTOR || four->n_elements != 4)
		emit_fail(emit, "cvt takes four numbers here");
	for (unsigned i = 0; i < 4; i++)
		x[i] = operand_get(emit, &four->elements[i], IR_FLOAT, false);
	result = emit_value(emit,
	    "call i32 @sg_to_four_randomly(i32 %d, i32 %d, float %s, float %s, float %s, float %s, "
	    "i32 %s)",
	    format, has(emit, PTX_MODIFIER_relu), x[0].text, x[1].text, x[2].text, x[3].text,
	    random.text);
	destination(emit, 0, convert_bits(emit, result, IR_I32, ir_of(to), false), to);
}

/* Stochastic rounding (sm_100a, sm_103a). */
static void convert_randomly(struct emit *emit, enum ptx_type to, enum ptx_type from)
{
	static const struct {
		enum ptx_type type;
		enum sg_format format;
	} fours[] = {
	    {PTX_TYPE_e2m1x4, SG_FORMAT_E2M1},
	    {PTX_TYPE_e2m3x4, SG_FORMAT_E2M3},
	    {PTX_TYPE_e3m2x4, SG_FORMAT_E3M2},
	    {PTX_TYPE_e4m3x4, SG_FORMAT_E4M3},
	    {PTX_TYPE_e5m2x4, SG_FORMAT_E5M2},
	};
	bool is_pair = to == PTX_TYPE_f16x2 || to == PTX_TYPE_bf16x2;

	if (from != PTX_TYPE_f32 || emit->in->n_operands != (is_pair ? 4 : 3))
		emit_unsupported(emit);
	if (is_pair) {
		convert_pair_randomly(emit, to);
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(fours); i++)
		if (fours[i].type == to) {
			convert_four_randomly(emit, to, fours[i].format);
			return;
		}
	emit_unsupported(emit);
}

static bool is_fp8(enum ptx_type type)
{
	return type == PTX_TYPE_e4m3x2 || type == PTX_TYPE_e5m2x2;
}

/* e4m3x2 and e5m2x2 from two f32 or an f16x2, and to f16x2. */
static void convert_fp8(struct emit *emit, enum ptx_type to, enum ptx_type from)
{
	unsigned relu = has(emit, PTX_MODIFIER_relu);
	struct value result;

	if (is_fp8(from) && to == PTX_TYPE_f16x2) {
		result = emit_value(emit, "call i32 @sg_%s_to_f16x2(i32 %u, i16 %s)",
		    ptx_type_name(from), relu, source(emit, 1, from).text);
	} else if (from == PTX_TYPE_f32) {
		struct value high = source(emit, 1, from), low = source(emit, 2, from);

		result = emit_value(emit, "call i16 @sg_to_%s(i32 %u, float %s, float %s)",
		    ptx_type_name(to), relu, high.text, low.text);
	} else if (from == PTX_TYPE_f16x2) {
		result = emit_value(emit, "call i16 @sg_f16x2_to_%s(i32 %u, i32 %s)",
		    ptx_type_name(to), relu, source(emit, 1, from).text);
	} else {
		emit_unsupported(emit);
	}
	destination(emit, 0, result, to);
}

/* Pairs of 4 and 6 bits (sm_100a, sm_120a): like fp8, but without NaN. */
static bool is_narrow(enum ptx_type type)
{
	return type == PTX_TYPE_e2m1x2 || type == PTX_TYPE_e2m3x2 || type == PTX_TYPE_e3m2x2;
}

static struct value half_of(struct emit *emit, struct value pair, unsigned shift)
{
	struct value half = emit_value(emit, "lshr i32 %s, %u", pair.text, shift);

	half = emit_value(emit, "trunc i32 %s to i16", half.text);
	return half_widen(emit, PTX_TYPE_f16, half);
}

static void narrow_pair(struct emit *emit, unsigned format, struct value high, struct value low)
{
	unsigned relu = has(emit, PTX_MODIFIER_relu);
	struct value result =
	    emit_value(emit, "call i32 @sg_to_narrow(i32 %u, i32 %u, float %s, float %s)", format,
		relu, high.text, low.text);

	operand_set(emit, emit->in->operands, result, IR_I32, false);
}

static void convert_narrow(struct emit *emit, enum ptx_type to, enum ptx_type from)
{
	unsigned relu = has(emit, PTX_MODIFIER_relu);
	unsigned format = to == PTX_TYPE_e2m1x2 || from == PTX_TYPE_e2m1x2   ? SG_FORMAT_E2M1
			  : to == PTX_TYPE_e2m3x2 || from == PTX_TYPE_e2m3x2 ? SG_FORMAT_E2M3
									     : SG_FORMAT_E3M2;
	struct value result, bits;

	if (is_narrow(from) && to == PTX_TYPE_f16x2) {
		bits = convert_bits(emit, source(emit, 1, from), ir_of(from), IR_I32, false);
		result = emit_value(emit, "call i32 @sg_narrow_to_f16x2(i32 %u, i32 %u, i32 %s)",
		    format, relu, bits.text);
		destination(emit, 0, result, to);
	} else if (is_narrow(to) && from == PTX_TYPE_f32 && emit->in->n_operands == 3) {
		narrow_pair(emit, format, source(emit, 1, from), source(emit, 2, from));
	} else if (to == PTX_TYPE_e2m1x2 && from == PTX_TYPE_f16x2) {
		struct value pair = source(emit, 1, from);

		narrow_pair(emit, format, half_of(emit, pair, 16), half_of(emit, pair, 0));
	} else {
		emit_unsupported(emit);
	}
}

/* Pairs of powers of two, 8 bits each. */
static void convert_scales(struct emit *emit, enum ptx_type to, enum ptx_type from)
{
	unsigned flags = (rounding_mode(emit) == 3 ? SG_SCALE_UP : 0) |
			 (has(emit, PTX_MODIFIER_satfinite) ? SG_SCALE_FINITE : 0);
	struct value result, high, low;

	if (from == PTX_TYPE_ue8m0x2 && to == PTX_TYPE_bf16x2) {
		result = emit_value(
		    emit, "call i32 @sg_scales_to_bf16x2(i16 %s)", source(emit, 1, from).text);
		destination(emit, 0, result, to);
		return;
	}
	if (from == PTX_TYPE_f32) {
		high = source(emit, 1, from);
		low = source(emit, 2, from);
	} else if (from == PTX_TYPE_bf16x2) {
		struct value pair = source(emit, 1, from);

		high = emit_value(emit, "and i32 %s, -65536", pair.text);
		high = emit_value(emit, "bitcast i32 %s to float", high.text);
		low = emit_value(emit, "shl i32 %s, 16", pair.text);
		low = emit_value(emit, "bitcast i32 %s to float", low.text);
	} else {
		emit_unsupported(emit);
	}
	result = emit_value(
	    emit, "call i16 @sg_to_scales(i32 %u, float %s, float %s)", flags, high.text, low.text);
	destination(emit, 0, result, to);
}

/* a as a signed number, cut to a type's range, in its lowest bits. */
static struct value saturated_bits(struct emit *emit, struct value a, enum ptx_type type)
{
	unsigned bits = ptx_type_bits(type);
	bool is_signed = ptx_type_is_signed(type);
	int32_t high = (1 << (is_signed ? bits - 1 : bits)) - 1, low = is_signed ? -high - 1 : 0;

	a = emit_value(emit, "call i32 @llvm.smax.i32(i32 %s, i32 %d)", a.text, low);
	a = emit_value(emit, "call i32 @llvm.smin.i32(i32 %s, i32 %d)", a.text, high);
	return emit_value(emit, "and i32 %s, %d", a.text, (1 << bits) - 1);
}

/* cvt.pack.sat.u16.s32 d, a, b; cvt.pack.sat.u8.s32.b32 d, a, b, c: a above b above c's lower
 * bits. */
static void convert_pack(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	unsigned bits = ptx_type_bits(type);
	struct value a, b;

	if (bits > 16 || bits < 2 || (bits < 16) != (emit->in->n_operands == 4))
		emit_unsupported(emit);
	a = saturated_bits(emit, source(emit, 1, PTX_TYPE_s32), type);
	b = saturated_bits(emit, source(emit, 2, PTX_TYPE_s32), type);
	a = emit_value(emit, "shl i32 %s, %u", a.text, bits);
	a = emit_value(emit, "or i32 %s, %s", a.text, b.text);
	if (bits < 16) {
		struct value c = source(emit, 3, PTX_TYPE_b32);

		c = emit_value(emit, "shl i32 %s, %u", c.text, 2 * bits);
		a = emit_value(emit, "or i32 %s, %s", c.text, a.text);
	}
	destination(emit, 0, a, PTX_TYPE_b32);
}

static bool is_scalar_float(enum ptx_type type)
{
	return is_half(type) || type == PTX_TYPE_f32 || type == PTX_TYPE_f64 ||
	       type == PTX_TYPE_tf32;
}

void emit_cvt(struct emit *emit)
{
	enum ptx_type to = type_at(emit, 0), from = type_at(emit, 1);
	struct value result;

	if (has(emit, PTX_MODIFIER_pack)) {
		convert_pack(emit);
		return;
	}
	if (has(emit, PTX_MODIFIER_rs)) {
		convert_randomly(emit, to, from);
		return;
	}
	if (is_narrow(to) || is_narrow(from)) {
		convert_narrow(emit, to, from);
		return;
	}
	if (to == PTX_TYPE_ue8m0x2 || from == PTX_TYPE_ue8m0x2) {
		convert_scales(emit, to, from);
		return;
	}
	if (is_fp8(to) || is_fp8(from)) {
		convert_fp8(emit, to, from);
		return;
	}
	if (emit->in->n_operands == 3 && pair_element(to) != PTX_TYPE_NONE &&
	    from == PTX_TYPE_f32) {
		convert_packed(emit, to, from);
		return;
	}
	if (emit->in->n_operands != 2 || pair_element(to) != PTX_TYPE_NONE ||
	    pair_element(from) != PTX_TYPE_NONE)
		emit_unsupported(emit);
	if (is_scalar_float(to))
		result = is_scalar_float(from)
			     ? float_to_float(emit, to, from, source(emit, 1, from))
			     : integer_to_float(emit, to, from);
	else
		result = is_scalar_float(from) ? float_to_integer(emit, to, from)
					       : integer_to_integer(emit, to, from);
	destination(emit, 0, result, to);
}

/* mov.b64 d, {a, b}: the first element is the lowest. What is not given (_, which ptxas takes in
 * 32 bits) is 0, as in ptxas's code. */
static void pack(struct emit *emit, enum ptx_type type)
{
	const struct ptx_operand *vector = &emit->in->operands[1];
	unsigned bits = ptx_type_bits(type) / MAX(vector->n_elements, 1u);
	enum ir_type element = ir_of_bits(bits), whole = ir_of_bits(ptx_type_bits(type));
	struct value result = {"0"};

	for (uint32_t i = 0; i < vector->n_elements; i++) {
		struct value piece;

		if (vector->elements[i].kind == PTX_OPERAND_SINK)
			continue;
		piece = operand_get(emit, &vector->elements[i], element, false);
		piece = convert_bits(emit, piece, element, whole, false);
		piece = emit_value(emit, "shl %s %s, %u", ir_name(whole), piece.text, i * bits);
		result = emit_value(emit, "or %s %s, %s", ir_name(whole), result.text, piece.text);
	}
	operand_set(emit, emit->in->operands, result, whole, false);
}

static void unpack(struct emit *emit, enum ptx_type type)
{
	const struct ptx_operand *vector = emit->in->operands;
	unsigned bits = ptx_type_bits(type) / MAX(vector->n_elements, 1u);
	enum ir_type element = ir_of_bits(bits), whole = ir_of_bits(ptx_type_bits(type));
	struct value value = operand_get(emit, &emit->in->operands[1], whole, false);

	for (uint32_t i = 0; i < vector->n_elements; i++) {
		struct value piece =
		    emit_value(emit, "lshr %s %s, %u", ir_name(whole), value.text, i * bits);

		piece = convert_bits(emit, piece, whole, element, false);
		operand_set(emit, &vector->elements[i], piece, element, false);
	}
}

void emit_mov(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	const struct ptx_operand *operands = emit->in->operands;

	if (operands[1].kind == PTX_OPERAND_VECTOR)
		pack(emit, type);
	else if (operands[0].kind == PTX_OPERAND_VECTOR)
		unpack(emit, type);
	else
		destination(emit, 0, source(emit, 1, type), type);
}

/* Only shared memory has addresses of its own: offsets in the block's window. */
void emit_cvta(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	enum ptx_space space = space_of(emit);
	struct value address =
	    convert_bits(emit, source(emit, 1, type), ir_of(type), IR_I64, false);

	if (space == PTX_SPACE_CLUSTER ||
	    (space == PTX_SPACE_SHARED && has(emit, PTX_MODIFIER_to) &&
		emit->program->uses_cluster)) {
		address = has(emit, PTX_MODIFIER_to) ? cluster_from_generic(emit, address)
						     : cluster_to_generic(emit, address);
	} else if (space == PTX_SPACE_SHARED) {
		struct value base = lane_fact(emit, "i64", offsetof(struct sg_lane, shared));

		address = emit_value(emit, "%s i64 %s, %s",
		    has(emit, PTX_MODIFIER_to) ? "sub" : "add", address.text, base.text);
	} else if (space == PTX_SPACE_LOCAL && !has(emit, PTX_MODIFIER_to)) {
		address = memory_local_address(emit, address);
	}
	operand_set(emit, emit->in->operands, address, IR_I64, false);
}

/* Device memory is what is neither shared, local nor a parameter. */
void emit_isspacep(struct emit *emit)
{
	struct value address = source(emit, 1, PTX_TYPE_u64), result;

	result = emit_value(
	    emit, "call i1 @sg_is_space(ptr %%lane, i32 %d, i64 %s)", space_of(emit), address.text);
	operand_set(emit, emit->in->operands, result, IR_I1, false);
}
