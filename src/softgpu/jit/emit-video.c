/*
 * Video instructions: scalar ones (PTX ISA 9.7.17), vadd.s32.u32.u32.sat d, a.b0, b.h1; and SIMD
 * ones (9.7.18), vadd4.s32.s32.s32 d.b20, a.b7531, b.b3210, c. The machine computes them
 * (softgpu/exec/video.c, runtime.c).
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

/* A product and sum is signed as what it is made of, whatever type was written for it. */
static void set_signs_of_mad(const struct emit *emit, union sg_part *part)
{
	const struct ptx_operand *operands = emit->in->operands;

	part->product_negated = (operands[1].minus != operands[2].minus) & 1;
	part->c_negated = operands[3].minus & 1;
	part->d_signed =
	    (part->a_signed || part->b_signed || part->product_negated || part->c_negated) & 1;
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
	if (in->opcode == PTX_OP_vmad)
		set_signs_of_mad(emit, &part);
	struct value c = has_c ? source(emit, 3, PTX_TYPE_b32) : ir_constant(IR_I32, 0);

	if (in->operands->part && part.second != SG_SECOND_MERGE)
		emit_fail(emit, "a part of the result needs a word to be put into");
	destination(emit, 0,
	    emit_value(emit, "call i32 @sg_video_part(i32 %d, i32 %s, i32 %s, i32 %s)",
		(int32_t)part.bits, source(emit, 1, PTX_TYPE_b32).text,
		source(emit, 2, PTX_TYPE_b32).text, c.text),
	    PTX_TYPE_b32);
}

/* An operand's halves or bytes: chosen from those of a, numbered from 0, and of b behind them. */
static struct value chosen(struct emit *emit, unsigned index, bool is_pair, struct value both)
{
	const struct ptx_operand *operand = &emit->in->operands[index];
	uint32_t bytes = 0;

	if (!operand->n_selected)
		return source(emit, index, PTX_TYPE_b32);
	if (operand->n_selected != (is_pair ? 2 : 4))
		emit_fail(emit, "a selector names as many elements as the result has");
	for (unsigned i = 0; i < 4; i++) {
		uint32_t element = operand->selector >> (is_pair ? i / 2 : i) * 4 & 0xf;

		if (element > (is_pair ? 3u : 7u))
			emit_fail(emit, "a selector names no element of the two operands");
		bytes |= (is_pair ? element * 2 + i % 2 : element) << i * 4;
	}
	return emit_value(emit, "call i32 @sg.prmt(i64 %s, i32 %u)", both.text, bytes);
}

/* The elements of the result that are not computed, as bits. */
static uint32_t left_out(struct emit *emit, bool is_pair)
{
	const struct ptx_operand *d = emit->in->operands;
	uint32_t all = is_pair ? 3 : 15, named = 0;

	for (unsigned i = 0; i < d->n_selected; i++)
		named |= 1u << (d->selector >> i * 4 & 0xf);
	if (named & ~all)
		emit_fail(emit, "a mask names no element of the result");
	return d->n_selected ? all & ~named : 0;
}

void emit_video(struct emit *emit)
{
	static const enum ptx_modifier tests[] = {PTX_MODIFIER_eq, PTX_MODIFIER_ne, PTX_MODIFIER_lt,
	    PTX_MODIFIER_le, PTX_MODIFIER_gt, PTX_MODIFIER_ge};
	bool is_set = emit->in->opcode == PTX_OP_vset2 || emit->in->opcode == PTX_OP_vset4;
	bool is_pair = emit->in->opcode >= PTX_OP_vadd2 && emit->in->opcode <= PTX_OP_vset2;
	unsigned operation = emit->in->opcode - (is_pair ? PTX_OP_vadd2 : PTX_OP_vadd4), flags = 0;
	enum ptx_type a = type_at(emit, is_set ? 0 : 1), b = type_at(emit, is_set ? 1 : 2);
	struct value low =
	    emit_value(emit, "zext i32 %s to i64", source(emit, 1, PTX_TYPE_b32).text);
	struct value both =
	    emit_value(emit, "zext i32 %s to i64", source(emit, 2, PTX_TYPE_b32).text);

	both = emit_value(emit, "shl i64 %s, 32", both.text);
	both = emit_value(emit, "or i64 %s, %s", both.text, low.text);
	flags |= ptx_type_is_signed(a) ? SG_VIDEO_A_SIGNED : 0;
	flags |= ptx_type_is_signed(b) ? SG_VIDEO_B_SIGNED : 0;
	flags |= !is_set && ptx_type_is_signed(type_at(emit, 0)) ? SG_VIDEO_D_SIGNED : 0;
	flags |= has(emit, PTX_MODIFIER_sat) ? SG_VIDEO_SATURATE : 0;
	flags |= has(emit, PTX_MODIFIER_add) ? SG_VIDEO_ADD : 0;
	flags |= is_pair ? SG_VIDEO_PAIR : 0;
	flags |= left_out(emit, is_pair) << SG_VIDEO_LEFT_OUT;
	for (unsigned i = 0; is_set && i < ARRAY_SIZE(tests); i++)
		if (has(emit, tests[i]))
			operation = SG_VIDEO_SET + i;
	destination(emit, 0,
	    emit_value(emit, "call i32 @sg_video(i32 %u, i32 %u, i32 %s, i32 %s, i32 %s)",
		operation, flags, chosen(emit, 1, is_pair, both).text,
		chosen(emit, 2, is_pair, both).text, source(emit, 3, PTX_TYPE_b32).text),
	    PTX_TYPE_b32);
}
