/*
 * Scalar video instructions (PTX ISA 9.7.17): vadd.s32.u32.u32.sat d, a.b0, b.h1; and its kin. The
 * machine computes them (softgpu/exec/video.c).
 */
#include "softgpu/exec/lane.h"
#include "softgpu/jit/emit.h"

static uint32_t comparison(struct emit *emit)
{
	static const enum ptx_modifier tests[] = {PTX_MODIFIER_eq, PTX_MODIFIER_ne, PTX_MODIFIER_lt,
	    PTX_MODIFIER_le, PTX_MODIFIER_gt, PTX_MODIFIER_ge};

	for (unsigned i = 0; i < ARRAY_SIZE(tests); i++)
		if (has(emit, tests[i]))
			return i;
	emit_unsupported(emit);
}

static uint32_t second_operation(const struct emit *emit)
{
	if (emit->in->n_operands < 4 || emit->in->opcode == PTX_OP_vmad)
		return SG_SECOND_NONE;
	return has(emit, PTX_MODIFIER_add)   ? SG_SECOND_ADD
	       : has(emit, PTX_MODIFIER_min) ? SG_SECOND_MIN
	       : has(emit, PTX_MODIFIER_max) ? SG_SECOND_MAX
					     : SG_SECOND_MERGE;
}

void emit_part(struct emit *emit)
{
	const struct ptx_instruction *in = emit->in;
	bool is_set = in->opcode == PTX_OP_vset, has_c = in->n_operands > 3;
	enum ptx_type a = type_at(emit, is_set ? 0 : 1), b = type_at(emit, is_set ? 1 : 2);
	union sg_part part = {
	    .operation = (in->opcode - PTX_OP_vadd + (is_set ? comparison(emit) : 0)) & 15,
	    .a_signed = ptx_type_is_signed(a),
	    .b_signed = ptx_type_is_signed(b),
	    .d_signed = !is_set && ptx_type_is_signed(type_at(emit, 0)),
	    .a_part = in->operands[1].part & 7,
	    .b_part = in->operands[2].part & 7,
	    .d_part = in->operands[0].part & 7,
	    .saturate = has(emit, PTX_MODIFIER_sat),
	    .wrap = has(emit, PTX_MODIFIER_wrap),
	    .second = second_operation(emit) & 7,
	    .scale = has(emit, PTX_MODIFIER_shr7)    ? 7
		     : has(emit, PTX_MODIFIER_shr15) ? 15
						     : 0,
	    .plus_one = has(emit, PTX_MODIFIER_po),
	};
	struct value c = has_c ? source(emit, 3, PTX_TYPE_b32) : ir_constant(IR_I32, 0);

	if (in->operands->part && part.second != SG_SECOND_MERGE)
		emit_fail(emit, "a part of the result needs a word to be put into");
	destination(emit, 0,
	    emit_value(emit, "call i32 @sg_video_part(i32 %d, i32 %s, i32 %s, i32 %s)",
		(int32_t)part.bits, source(emit, 1, PTX_TYPE_b32).text,
		source(emit, 2, PTX_TYPE_b32).text, c.text),
	    PTX_TYPE_b32);
}
