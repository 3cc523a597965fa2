/* Float functions: tests, signs, roots, and the approximations (PTX ISA 9.7.3, 9.7.4). */
#include "softgpu/jit/emit.h"

void emit_testp(struct emit *emit)
{
	static const struct {
		enum ptx_modifier modifier;
		unsigned classes; /* of llvm.is.fpclass */
	} tests[] = {
	    {PTX_MODIFIER_notanumber, 0x003},
	    {PTX_MODIFIER_number, 0x3fc},
	    {PTX_MODIFIER_infinite, 0x204},
	    {PTX_MODIFIER_finite, 0x1f8},
	    {PTX_MODIFIER_normal, 0x168}, /* zero counts as normal */
	    {PTX_MODIFIER_subnormal, 0x090},
	};
	enum ptx_type type = type_at(emit, 0);
	struct value a = source(emit, 1, type);

	for (unsigned i = 0; i < ARRAY_SIZE(tests); i++)
		if (has(emit, tests[i].modifier)) {
			destination(emit, 0,
			    emit_value(emit, "call i1 @llvm.is.fpclass.%s(%s %s, i32 %u)",
				ptx_type_name(type), ir_name(ir_of(type)), a.text,
				tests[i].classes),
			    PTX_TYPE_pred);
			return;
		}
	emit_unsupported(emit);
}

/* The sign of a on the value of b. */
void emit_copysign(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	const char *ir = ir_name(ir_of(type));
	struct value sign = source(emit, 1, type), magnitude = source(emit, 2, type);

	destination(emit, 0,
	    emit_value(emit, "call %s @llvm.copysign.%s(%s %s, %s %s)", ir, ptx_type_name(type), ir,
		magnitude.text, ir, sign.text),
	    type);
}

/* rcp and rsqrt.approx.ftz.f64 look at and make only the upper 32 bits, subnormals counting as
 * 0. */
static struct value upper_half(struct emit *emit, struct value value)
{
	struct value bits = emit_value(emit, "bitcast double %s to i64", value.text), tiny;

	tiny = emit_value(emit, "and i64 %s, 9218868437227405312", bits.text);
	tiny = emit_value(emit, "icmp eq i64 %s, 0", tiny.text);
	tiny =
	    emit_value(emit, "select i1 %s, i64 -9223372036854775808, i64 -4294967296", tiny.text);
	bits = emit_value(emit, "and i64 %s, %s", bits.text, tiny.text);
	return emit_value(emit, "bitcast i64 %s to double", bits.text);
}

static bool is_coarse_double(struct emit *emit, enum ptx_type type)
{
	return type == PTX_TYPE_f64 && has(emit, PTX_MODIFIER_approx);
}

void emit_rcp(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	const char *ir = ir_name(ir_of(type));
	struct value a = flush(emit, type, source(emit, 1, type)), result;

	if (is_coarse_double(emit, type))
		a = upper_half(emit, a);
	if (rounding_mode(emit))
		result = emit_value(emit, "call %s @sg_div_%s(i32 %u, %s 1.0, %s %s)", ir,
		    ptx_type_name(type), rounding_mode(emit), ir, ir, a.text);
	else
		result = emit_value(emit, "fdiv %s 1.0, %s", ir, a.text);
	if (is_coarse_double(emit, type))
		result = upper_half(emit, result);
	destination(emit, 0, flush(emit, type, result), type);
}

void emit_sqrt(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	const char *ir = ir_name(ir_of(type));
	struct value a = flush(emit, type, source(emit, 1, type)), result;

	if (rounding_mode(emit))
		result = emit_value(emit, "call %s @sg_sqrt_%s(i32 %u, %s %s)", ir,
		    ptx_type_name(type), rounding_mode(emit), ir, a.text);
	else
		result = emit_value(
		    emit, "call %s @llvm.sqrt.%s(%s %s)", ir, ptx_type_name(type), ir, a.text);
	destination(emit, 0, flush(emit, type, result), type);
}

void emit_rsqrt(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	const char *ir = ir_name(ir_of(type));
	struct value a = flush(emit, type, source(emit, 1, type)), result;
	bool is_coarse = is_coarse_double(emit, type) && has(emit, PTX_MODIFIER_ftz);

	if (is_coarse)
		a = upper_half(emit, a);
	result =
	    emit_value(emit, "call %s @llvm.sqrt.%s(%s %s)", ir, ptx_type_name(type), ir, a.text);
	result = emit_value(emit, "fdiv %s 1.0, %s", ir, result.text);
	if (is_coarse)
		result = upper_half(emit, result);
	destination(emit, 0, flush(emit, type, result), type);
}

/* sin cos lg2 tanh: the host's library, well inside the error PTX allows. So is ex2, which many
 * kernels spend their time on. */
static struct value transcendental(struct emit *emit, enum ptx_type type, const struct value *v)
{
	struct value a = flush(emit, type, v[0]), result;

	if (is_half(type))
		a = half_widen(emit, type, a);
	else if (type != PTX_TYPE_f32)
		emit_unsupported(emit);
	result = emit_value(emit, "call float @sg%c%s(float %s)",
	    emit->in->opcode == PTX_OP_ex2 ? '.' : '_', ptx_opcode_info(emit->in->opcode)->name,
	    a.text);
	if (is_half(type))
		result = half_narrow(emit, type, result);
	return flush(emit, type, result);
}

void emit_transcendental(struct emit *emit)
{
	emit_elementwise(emit, type_at(emit, 0), 1, transcendental);
}
