/* add sub mul mad fma div rem abs neg min max, for integers and floats (PTX ISA 9.7.1 to 9.7.5). */
#include "softgpu/exec/lane.h"
#include "softgpu/jit/emit.h"

static bool is_float(enum ptx_type type)
{
	return ptx_type_is_float(type);
}

unsigned rounding_mode(const struct emit *emit)
{
	return has(emit, PTX_MODIFIER_rz)   ? 1
	       : has(emit, PTX_MODIFIER_rm) ? 2
	       : has(emit, PTX_MODIFIER_rp) ? 3
					    : 0;
}

/* What .ftz does to an operand or result. */
struct value flush(struct emit *emit, enum ptx_type type, struct value value)
{
	if (!has(emit, PTX_MODIFIER_ftz))
		return value;
	if (type == PTX_TYPE_f32)
		return emit_value(emit, "call float @sg.ftz.f32(float %s)", value.text);
	if (type == PTX_TYPE_f16)
		return emit_value(emit, "call i16 @sg.ftz.f16(i16 %s)", value.text);
	return value;
}

/* .ftz, .sat and .relu of a float result. */
static struct value finish_float(struct emit *emit, enum ptx_type type, struct value value)
{
	const char *ir = ir_name(ir_of(type));
	const char *suffix = type == PTX_TYPE_f64 ? "f64" : "f32";

	if (has(emit, PTX_MODIFIER_sat))
		value = emit_value(emit, "call %s @sg.sat.%s(%s %s)", ir, suffix, ir, value.text);
	if (has(emit, PTX_MODIFIER_relu))
		value = emit_value(emit, "call %s @sg.relu.%s(%s %s)", ir, suffix, ir, value.text);
	return flush(emit, type, value);
}

/* A float operation with a rounding mode other than to nearest is the machine's. */
static struct value rounded(struct emit *emit, const char *operation, enum ptx_type type,
    unsigned n_sources, const struct value *v)
{
	const char *ir = ir_name(ir_of(type));
	const char *suffix = type == PTX_TYPE_f64 ? "f64" : "f32";
	unsigned mode = rounding_mode(emit);

	switch (n_sources) {
	case 1:
		return emit_value(emit, "call %s @sg_%s_%s(i32 %u, %s %s)", ir, operation, suffix,
		    mode, ir, v[0].text);
	case 2:
		return emit_value(emit, "call %s @sg_%s_%s(i32 %u, %s %s, %s %s)", ir, operation,
		    suffix, mode, ir, v[0].text, ir, v[1].text);
	default:
		return emit_value(emit, "call %s @sg_%s_%s(i32 %u, %s %s, %s %s, %s %s)", ir,
		    operation, suffix, mode, ir, v[0].text, ir, v[1].text, ir, v[2].text);
	}
}

static const char *float_operation(const struct emit *emit)
{
	switch (emit->in->opcode) {
	case PTX_OP_add:
		return "add";
	case PTX_OP_sub:
		return "sub";
	case PTX_OP_div:
		return "div";
	default:
		return "mul";
	}
}

static struct value binary_float(struct emit *emit, enum ptx_type type, const struct value *v)
{
	const char *operation = float_operation(emit);
	struct value flushed[2] = {flush(emit, type, v[0]), flush(emit, type, v[1])};
	struct value result;

	if (rounding_mode(emit))
		result = rounded(emit, operation, type, 2, flushed);
	else
		result = emit_value(emit, "f%s %s %s, %s", operation, ir_name(ir_of(type)),
		    flushed[0].text, flushed[1].text);
	return finish_float(emit, type, result);
}

static struct value binary_half(struct emit *emit, enum ptx_type type, const struct value *v)
{
	struct value a = half_widen(emit, type, flush(emit, type, v[0]));
	struct value b = half_widen(emit, type, flush(emit, type, v[1]));
	struct value result =
	    emit_value(emit, "f%s float %s, %s", float_operation(emit), a.text, b.text);

	if (has(emit, PTX_MODIFIER_sat))
		result = emit_value(emit, "call float @sg.sat.f32(float %s)", result.text);
	return flush(emit, type, half_narrow(emit, type, result));
}

/* The upper half of a product, of the width of the factors. */
static struct value multiply_high(
    struct emit *emit, enum ptx_type type, struct value a, struct value b)
{
	unsigned bits = ptx_type_bits(type);
	const char *extend = ptx_type_is_signed(type) ? "sext" : "zext";
	struct value wide_a = emit_value(emit, "%s i%u %s to i%u", extend, bits, a.text, bits * 2);
	struct value wide_b = emit_value(emit, "%s i%u %s to i%u", extend, bits, b.text, bits * 2);
	struct value product =
	    emit_value(emit, "mul i%u %s, %s", bits * 2, wide_a.text, wide_b.text);
	struct value high = emit_value(emit, "lshr i%u %s, %u", bits * 2, product.text, bits);

	return emit_value(emit, "trunc i%u %s to i%u", bits * 2, high.text, bits);
}

static struct value binary_integer(struct emit *emit, enum ptx_type type, const struct value *v)
{
	const char *ir = ir_name(ir_of(type));

	if (emit->in->opcode == PTX_OP_mul)
		return has(emit, PTX_MODIFIER_hi)
			   ? multiply_high(emit, type, v[0], v[1])
			   : emit_value(emit, "mul %s %s, %s", ir, v[0].text, v[1].text);
	if (has(emit, PTX_MODIFIER_sat))
		return emit_value(emit, "call %s @llvm.s%s.sat.%s(%s %s, %s %s)", ir,
		    float_operation(emit), ir, ir, v[0].text, ir, v[1].text);
	return emit_value(emit, "%s %s %s, %s", float_operation(emit), ir, v[0].text, v[1].text);
}

static struct value binary(struct emit *emit, enum ptx_type type, const struct value *v)
{
	if (is_half(type))
		return binary_half(emit, type, v);
	return is_float(type) ? binary_float(emit, type, v) : binary_integer(emit, type, v);
}

static enum ptx_type widened(struct emit *emit, enum ptx_type type)
{
	switch (type) {
	case PTX_TYPE_u16:
		return PTX_TYPE_u32;
	case PTX_TYPE_s16:
		return PTX_TYPE_s32;
	case PTX_TYPE_u32:
		return PTX_TYPE_u64;
	case PTX_TYPE_s32:
		return PTX_TYPE_s64;
	case PTX_TYPE_u64:
		return PTX_TYPE_b128;
	default:
		emit_unsupported(emit);
	}
}

static struct value multiply_wide(struct emit *emit, enum ptx_type type)
{
	enum ptx_type wide = widened(emit, type);
	const char *extend = ptx_type_is_signed(type) ? "sext" : "zext";
	const char *from = ir_name(ir_of(type)), *to = ir_name(ir_of(wide));
	struct value a =
	    emit_value(emit, "%s %s %s to %s", extend, from, source(emit, 1, type).text, to);
	struct value b =
	    emit_value(emit, "%s %s %s to %s", extend, from, source(emit, 2, type).text, to);

	return emit_value(emit, "mul %s %s, %s", to, a.text, b.text);
}

/* add.f32.f16 d, a, c and fma.f32.f16 d, a, b, c: all but the last are narrow. */
static bool is_mixed(const struct emit *emit)
{
	return emit->in->n_types == 2 && emit->in->types[0] == PTX_TYPE_f32 &&
	       is_half(emit->in->types[1]);
}

static void emit_mixed(struct emit *emit, unsigned n, scalar_op *scalar)
{
	enum ptx_type narrow = type_at(emit, 1);
	struct value values[3];

	for (unsigned i = 0; i + 1 < n; i++)
		values[i] = half_widen(emit, narrow, source(emit, i + 1, narrow));
	values[n - 1] = source(emit, n, PTX_TYPE_f32);
	destination(emit, 0, scalar(emit, PTX_TYPE_f32, values), PTX_TYPE_f32);
}

void emit_arithmetic(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);

	if (is_mixed(emit)) {
		emit_mixed(emit, 2, binary);
		return;
	}
	if (has(emit, PTX_MODIFIER_cc)) {
		emit_carry(emit);
	} else if (emit->in->opcode == PTX_OP_mul && has(emit, PTX_MODIFIER_wide)) {
		destination(emit, 0, multiply_wide(emit, type), widened(emit, type));
	} else {
		if (emit->in->opcode == PTX_OP_mul && !is_float(type) &&
		    !has(emit, PTX_MODIFIER_lo) && !has(emit, PTX_MODIFIER_hi))
			emit_fail(emit, "mul of integers needs .lo, .hi or .wide");
		emit_elementwise(emit, type, 2, binary);
	}
}

/* What a tensor copy fills with beyond the tensor, of either sign: a product with it, and the sum,
 * are 0. Which bits these are the ISA leaves open; they are an H200's. */
#define OUT_OF_BOUNDS 0x7ff7

static struct value zero_out_of_bounds(
    struct emit *emit, const struct value factors[2], struct value result)
{
	struct value is_out[2];

	for (unsigned i = 0; i < 2; i++) {
		is_out[i] = emit_value(emit, "and i16 %s, 32767", factors[i].text);
		is_out[i] = emit_value(emit, "icmp eq i16 %s, %d", is_out[i].text, OUT_OF_BOUNDS);
	}
	is_out[0] = emit_value(emit, "or i1 %s, %s", is_out[0].text, is_out[1].text);
	return emit_value(emit, "select i1 %s, i16 0, i16 %s", is_out[0].text, result.text);
}

static struct value fused(struct emit *emit, enum ptx_type type, const struct value *v)
{
	const char *ir = ir_name(ir_of(type));
	const char *suffix = type == PTX_TYPE_f64 ? "f64" : "f32";
	struct value flushed[3], result;

	for (int i = 0; i < 3; i++) {
		flushed[i] = flush(emit, type, v[i]);
		if (emit->in->operands[i + 1].minus)
			flushed[i] = emit_value(emit, "fneg %s %s", ir, flushed[i].text);
	}
	if (is_half(type)) {
		unsigned relu = has(emit, PTX_MODIFIER_relu), sat = has(emit, PTX_MODIFIER_sat);

		result = emit_value(emit, "call i16 @sg_fma_%s(i32 %u, i16 %s, i16 %s, i16 %s)",
		    ptx_type_name(type), relu | sat << 1, flushed[0].text, flushed[1].text,
		    flushed[2].text);
		if (has(emit, PTX_MODIFIER_oob))
			result = zero_out_of_bounds(emit, v, result);
		return flush(emit, type, result);
	}
	if (!is_float(type))
		emit_unsupported(emit);
	if (rounding_mode(emit))
		result = rounded(emit, "fma", type, 3, flushed);
	else
		result = emit_value(emit, "call %s @llvm.fma.%s(%s %s, %s %s, %s %s)", ir, suffix,
		    ir, flushed[0].text, ir, flushed[1].text, ir, flushed[2].text);
	return finish_float(emit, type, result);
}

void emit_fma(struct emit *emit)
{
	if (is_mixed(emit))
		emit_mixed(emit, 3, fused);
	else
		emit_elementwise(emit, type_at(emit, 0), 3, fused);
}

static void multiply_add_wide(struct emit *emit, enum ptx_type type)
{
	enum ptx_type wide = widened(emit, type);
	struct value product = multiply_wide(emit, type);
	struct value sum = emit_value(
	    emit, "add %s %s, %s", ir_name(ir_of(wide)), product.text, source(emit, 3, wide).text);

	destination(emit, 0, sum, wide);
}

void emit_mad(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	const char *ir = ir_name(ir_of(type));
	struct value a, b, product, sum;

	if (is_float(type)) {
		emit_fma(emit);
		return;
	}
	if (has(emit, PTX_MODIFIER_cc)) {
		emit_carry(emit);
		return;
	}
	if (has(emit, PTX_MODIFIER_wide)) {
		multiply_add_wide(emit, type);
		return;
	}
	a = source(emit, 1, type);
	b = source(emit, 2, type);
	product = has(emit, PTX_MODIFIER_hi)
		      ? multiply_high(emit, type, a, b)
		      : emit_value(emit, "mul %s %s, %s", ir, a.text, b.text);
	if (has(emit, PTX_MODIFIER_sat))
		sum = emit_value(emit, "call %s @llvm.sadd.sat.%s(%s %s, %s %s)", ir, ir, ir,
		    product.text, ir, source(emit, 3, type).text);
	else
		sum =
		    emit_value(emit, "add %s %s, %s", ir, product.text, source(emit, 3, type).text);
	destination(emit, 0, sum, type);
}

/* Adds b to *sum; returns the carry out. */
static struct value add_with_carry(
    struct emit *emit, const char *ir, struct value *sum, struct value b)
{
	struct value pair =
	    emit_value(emit, "call {%s, i1} @llvm.uadd.with.overflow.%s(%s %s, %s %s)", ir, ir, ir,
		sum->text, ir, b.text);

	*sum = emit_value(emit, "extractvalue {%s, i1} %s, 0", ir, pair.text);
	return emit_value(emit, "extractvalue {%s, i1} %s, 1", ir, pair.text);
}

/*
 * CC.CF is a slot of its own. Subtraction is a + ~b + carry, as hardware does it: CF is then the
 * opposite of a borrow. PTX only says that subc takes what sub.cc left; compilers mix them with
 * addc.
 */
void emit_carry(struct emit *emit)
{
	enum ptx_opcode opcode = emit->in->opcode;
	enum ptx_type type = type_at(emit, 0);
	const char *ir = ir_name(ir_of(type));
	struct value sum = source(emit, 1, type), b = source(emit, 2, type), carry, in, again;

	emit->uses_carry = true;
	if (opcode == PTX_OP_mad || opcode == PTX_OP_madc) {
		sum = has(emit, PTX_MODIFIER_hi)
			  ? multiply_high(emit, type, sum, b)
			  : emit_value(emit, "mul %s %s, %s", ir, sum.text, b.text);
		b = source(emit, 3, type);
	} else if (opcode == PTX_OP_sub || opcode == PTX_OP_subc) {
		b = emit_value(emit, "xor %s %s, -1", ir, b.text);
	}
	carry = add_with_carry(emit, ir, &sum, b);
	if (opcode != PTX_OP_add && opcode != PTX_OP_mad) {
		in = opcode == PTX_OP_sub ? ir_constant(IR_I1, 1)
					  : emit_value(emit, "load i1, ptr %%carry");
		in = emit_value(emit, "zext i1 %s to %s", in.text, ir);
		again = add_with_carry(emit, ir, &sum, in);
		carry = emit_value(emit, "or i1 %s, %s", carry.text, again.text);
	}
	if (has(emit, PTX_MODIFIER_cc))
		emit_line(emit, "store i1 %s, ptr %%carry", carry.text);
	destination(emit, 0, sum, type);
}

/*
 * PTX leaves division by zero open; the host must not trap. Narrow types go through i32. approx and
 * full division of floats may as well be exact.
 */
static struct value divide_integer(struct emit *emit, enum ptx_type type, const char *operation)
{
	bool is_signed = ptx_type_is_signed(type);
	enum ir_type own = ir_of(type), wide = own == IR_I64 ? IR_I64 : IR_I32;
	const char *ir = ir_name(wide);
	struct value a = convert_bits(emit, source(emit, 1, type), own, wide, is_signed);
	struct value b = convert_bits(emit, source(emit, 2, type), own, wide, is_signed);
	struct value result = emit_value(emit, "call %s @sg.%c%s.%s(%s %s, %s %s)", ir,
	    is_signed ? 's' : 'u', operation, ir, ir, a.text, ir, b.text);

	return convert_bits(emit, result, wide, own, is_signed);
}

void emit_div(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);

	if (is_float(type))
		emit_elementwise(emit, type, 2, binary);
	else
		destination(emit, 0, divide_integer(emit, type, "div"), type);
}

void emit_rem(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);

	destination(emit, 0, divide_integer(emit, type, "rem"), type);
}

/* The NaN of f16 has no sign that can be changed. */
static struct value unless_nan(
    struct emit *emit, enum ptx_type type, struct value source, struct value result)
{
	struct value is_nan;

	if (type != PTX_TYPE_f16)
		return result;
	is_nan = emit_value(emit, "and i16 %s, 32767", source.text);
	is_nan = emit_value(emit, "icmp ugt i16 %s, 31744", is_nan.text);
	return emit_value(emit, "select i1 %s, i16 32767, i16 %s", is_nan.text, result.text);
}

static struct value absolute(struct emit *emit, enum ptx_type type, const struct value *v)
{
	const char *ir = ir_name(ir_of(type));
	struct value a = flush(emit, type, v[0]);

	if (is_half(type))
		return unless_nan(emit, type, a, emit_value(emit, "and i16 %s, 32767", a.text));
	if (is_float(type))
		return emit_value(
		    emit, "call %s @llvm.fabs.%s(%s %s)", ir, ptx_type_name(type), ir, a.text);
	return emit_value(emit, "call %s @llvm.abs.%s(%s %s, i1 false)", ir, ir, ir, a.text);
}

void emit_abs(struct emit *emit)
{
	emit_elementwise(emit, type_at(emit, 0), 1, absolute);
}

static struct value negated(struct emit *emit, enum ptx_type type, const struct value *v)
{
	const char *ir = ir_name(ir_of(type));
	struct value a = flush(emit, type, v[0]);

	if (is_half(type))
		return unless_nan(emit, type, a, emit_value(emit, "xor i16 %s, -32768", a.text));
	if (is_float(type))
		return emit_value(emit, "fneg %s %s", ir, a.text);
	return emit_value(emit, "sub %s 0, %s", ir, a.text);
}

void emit_neg(struct emit *emit)
{
	emit_elementwise(emit, type_at(emit, 0), 1, negated);
}

static struct value minmax_float(
    struct emit *emit, enum ptx_type type, struct value a, struct value b)
{
	const char *ir = ir_name(ir_of(type));
	const char *suffix = type == PTX_TYPE_f64 ? "f64" : "f32";
	const char *name = emit->in->opcode == PTX_OP_min ? "min" : "max";
	struct value signs = {"0"}, result;

	if (has(emit, PTX_MODIFIER_xorsign)) {
		struct value bits_a = emit_value(emit, "bitcast %s %s to i32", ir, a.text);
		struct value bits_b = emit_value(emit, "bitcast %s %s to i32", ir, b.text);

		signs = emit_value(emit, "xor i32 %s, %s", bits_a.text, bits_b.text);
		signs = emit_value(emit, "and i32 %s, -2147483648", signs.text);
		a = emit_value(emit, "call float @llvm.fabs.f32(float %s)", a.text);
		b = emit_value(emit, "call float @llvm.fabs.f32(float %s)", b.text);
	}
	result = emit_value(emit, "call %s @sg.%s%s.%s(%s %s, %s %s)", ir, name,
	    has(emit, PTX_MODIFIER_NaN) ? "nan" : "", suffix, ir, a.text, ir, b.text);
	if (has(emit, PTX_MODIFIER_xorsign)) {
		struct value bits = emit_value(emit, "bitcast float %s to i32", result.text);

		bits = emit_value(emit, "xor i32 %s, %s", bits.text, signs.text);
		result = emit_value(emit, "bitcast i32 %s to float", bits.text);
	}
	return result;
}

static struct value minmax(struct emit *emit, enum ptx_type type, const struct value *v)
{
	const char *ir = ir_name(ir_of(type));
	const char *name = emit->in->opcode == PTX_OP_min ? "min" : "max";
	struct value a = flush(emit, type, v[0]), b = flush(emit, type, v[1]), result;

	if (is_half(type))
		return half_narrow(emit, type,
		    minmax_float(
			emit, PTX_TYPE_f32, half_widen(emit, type, a), half_widen(emit, type, b)));
	if (is_float(type))
		return minmax_float(emit, type, a, b);
	result = emit_value(emit, "call %s @llvm.%c%s.%s(%s %s, %s %s)", ir,
	    ptx_type_is_signed(type) ? 's' : 'u', name, ir, ir, a.text, ir, b.text);
	if (has(emit, PTX_MODIFIER_relu))
		result = emit_value(
		    emit, "call %s @llvm.smax.%s(%s %s, %s 0)", ir, ir, ir, result.text, ir);
	return result;
}

static struct value minmax3(struct emit *emit, enum ptx_type type, const struct value *v)
{
	struct value pair[2] = {minmax(emit, type, v), v[2]};

	return minmax(emit, type, pair);
}

void emit_minmax(struct emit *emit)
{
	if (emit->in->n_operands == 4)
		emit_elementwise(emit, type_at(emit, 0), 3, minmax3);
	else
		emit_elementwise(emit, type_at(emit, 0), 2, minmax);
}
