/* Integer instructions beyond arithmetic: bits, fields, shifts, dot products (PTX ISA 9.7.1,
 * 9.7.8). */
#include "softgpu/exec/lane.h"
#include "softgpu/jit/emit.h"

/* mul24 and mad24: the lower 24 bits count; hi is bits 16 to 47 of the 48-bit product. */
void emit_mul24(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	bool is_signed = ptx_type_is_signed(type);
	struct value factors[2], product;

	for (unsigned i = 0; i < 2; i++) {
		struct value top =
		    emit_value(emit, "shl i32 %s, 8", source(emit, i + 1, type).text);

		factors[i] =
		    emit_value(emit, "%s i32 %s, 8", is_signed ? "ashr" : "lshr", top.text);
		factors[i] = emit_value(
		    emit, "%s i32 %s to i64", is_signed ? "sext" : "zext", factors[i].text);
	}
	product = emit_value(emit, "mul i64 %s, %s", factors[0].text, factors[1].text);
	if (has(emit, PTX_MODIFIER_hi))
		product = emit_value(emit, "lshr i64 %s, 16", product.text);
	product = emit_value(emit, "trunc i64 %s to i32", product.text);
	if (emit->in->opcode == PTX_OP_mad24 && has(emit, PTX_MODIFIER_sat))
		product = emit_value(emit, "call i32 @llvm.sadd.sat.i32(i32 %s, i32 %s)",
		    product.text, source(emit, 3, type).text);
	else if (emit->in->opcode == PTX_OP_mad24)
		product =
		    emit_value(emit, "add i32 %s, %s", product.text, source(emit, 3, type).text);
	destination(emit, 0, product, type);
}

/* c + |a - b| */
void emit_sad(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	const char *ir = ir_name(ir_of(type));
	struct value a = source(emit, 1, type), b = source(emit, 2, type);
	struct value less = emit_value(emit, "icmp %s %s %s, %s",
	    ptx_type_is_signed(type) ? "slt" : "ult", ir, a.text, b.text);
	struct value ab = emit_value(emit, "sub %s %s, %s", ir, a.text, b.text);
	struct value ba = emit_value(emit, "sub %s %s, %s", ir, b.text, a.text);
	struct value distance =
	    emit_value(emit, "select i1 %s, %s %s, %s %s", less.text, ir, ba.text, ir, ab.text);

	destination(emit, 0,
	    emit_value(emit, "add %s %s, %s", ir, distance.text, source(emit, 3, type).text), type);
}

/* Counts are u32 whatever the width of the source. */
static void set_count(struct emit *emit, struct value count, enum ptx_type from)
{
	operand_set(emit, &emit->in->operands[0],
	    convert_bits(emit, count, ir_of(from), IR_I32, false), IR_I32, false);
}

void emit_popc(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	const char *ir = ir_name(ir_of(type));

	set_count(emit,
	    emit_value(
		emit, "call %s @llvm.ctpop.%s(%s %s)", ir, ir, ir, source(emit, 1, type).text),
	    type);
}

void emit_clz(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	const char *ir = ir_name(ir_of(type));

	set_count(emit,
	    emit_value(emit, "call %s @llvm.ctlz.%s(%s %s, i1 false)", ir, ir, ir,
		source(emit, 1, type).text),
	    type);
}

/* The most significant bit that differs from the sign; -1 when there is none. */
void emit_bfind(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	const char *ir = ir_name(ir_of(type));
	unsigned bits = ptx_type_bits(type);
	struct value a = source(emit, 1, type), zeros, found, none;

	if (ptx_type_is_signed(type)) {
		struct value sign = emit_value(emit, "ashr %s %s, %u", ir, a.text, bits - 1);

		a = emit_value(emit, "xor %s %s, %s", ir, a.text, sign.text);
	}
	zeros = emit_value(emit, "call %s @llvm.ctlz.%s(%s %s, i1 false)", ir, ir, ir, a.text);
	found = has(emit, PTX_MODIFIER_shiftamt)
		    ? zeros
		    : emit_value(emit, "sub %s %u, %s", ir, bits - 1, zeros.text);
	none = emit_value(emit, "icmp eq %s %s, 0", ir, a.text);
	found = emit_value(emit, "select i1 %s, %s -1, %s %s", none.text, ir, ir, found.text);
	set_count(emit, found, type);
}

void emit_fns(struct emit *emit)
{
	struct value mask = source(emit, 1, PTX_TYPE_u32), base = source(emit, 2, PTX_TYPE_u32);
	struct value offset = source(emit, 3, PTX_TYPE_s32);

	destination(emit, 0,
	    emit_value(emit, "call i32 @sg_fns(i32 %s, i32 %s, i32 %s)", mask.text, base.text,
		offset.text),
	    PTX_TYPE_u32);
}

void emit_brev(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	const char *ir = ir_name(ir_of(type));

	destination(emit, 0,
	    emit_value(
		emit, "call %s @llvm.bitreverse.%s(%s %s)", ir, ir, ir, source(emit, 1, type).text),
	    type);
}

void emit_bfe(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	const char *ir = ir_name(ir_of(type));
	struct value a = source(emit, 1, type), at = source(emit, 2, PTX_TYPE_u32);
	struct value size = source(emit, 3, PTX_TYPE_u32);

	destination(emit, 0,
	    emit_value(emit, "call %s @sg.bfe.%c.%s(%s %s, i32 %s, i32 %s)", ir,
		ptx_type_is_signed(type) ? 's' : 'u', ir, ir, a.text, at.text, size.text),
	    type);
}

void emit_bfi(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	const char *ir = ir_name(ir_of(type));
	struct value a = source(emit, 1, type), b = source(emit, 2, type);
	struct value at = source(emit, 3, PTX_TYPE_u32), size = source(emit, 4, PTX_TYPE_u32);

	destination(emit, 0,
	    emit_value(emit, "call %s @sg.bfi.%s(%s %s, %s %s, i32 %s, i32 %s)", ir, ir, ir, a.text,
		ir, b.text, at.text, size.text),
	    type);
}

/* Ones from bit a on, b of them. clamp: both stop at 32; wrap: modulo 32. */
void emit_bmsk(struct emit *emit)
{
	struct value a = source(emit, 1, PTX_TYPE_u32), b = source(emit, 2, PTX_TYPE_u32), ones;

	if (has(emit, PTX_MODIFIER_wrap)) {
		a = emit_value(emit, "and i32 %s, 31", a.text);
		b = emit_value(emit, "and i32 %s, 31", b.text);
	}
	ones = emit_value(emit, "call i32 @sg.shl.i32(i32 -1, i32 %s)", b.text);
	ones = emit_value(emit, "xor i32 %s, -1", ones.text);
	destination(emit, 0,
	    emit_value(emit, "call i32 @sg.shl.i32(i32 %s, i32 %s)", ones.text, a.text),
	    PTX_TYPE_b32);
}

/* The lower b bits of a, extended. clamp: b stops at 32; wrap: modulo 32, of which 0 bits make
 * 0. */
void emit_szext(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	struct value a = source(emit, 1, type), b = source(emit, 2, PTX_TYPE_u32);

	if (has(emit, PTX_MODIFIER_wrap))
		b = emit_value(emit, "and i32 %s, 31", b.text);
	destination(emit, 0,
	    emit_value(emit, "call i32 @sg.szext.%c(i32 %s, i32 %s)",
		ptx_type_is_signed(type) ? 's' : 'u', a.text, b.text),
	    type);
}

/* count products of the bytes from bit byte_at of b and step bits of a. */
static struct value dot(struct emit *emit, unsigned count, unsigned step, unsigned byte_at)
{
	enum ptx_type types[2] = {type_at(emit, 0), type_at(emit, 1)};
	struct value a = source(emit, 1, PTX_TYPE_b32), b = source(emit, 2, PTX_TYPE_b32);
	struct value sum = source(emit, 3, PTX_TYPE_b32);

	for (unsigned i = 0; i < count; i++) {
		struct value x = emit_value(emit, "shl i32 %s, %u", a.text, 32 - step * (i + 1));
		struct value y = emit_value(emit, "shl i32 %s, %u", b.text, 24 - byte_at - 8 * i);
		struct value product;

		x = emit_value(emit, "%s i32 %s, %u",
		    ptx_type_is_signed(types[0]) ? "ashr" : "lshr", x.text, 32 - step);
		y = emit_value(
		    emit, "%s i32 %s, 24", ptx_type_is_signed(types[1]) ? "ashr" : "lshr", y.text);
		product = emit_value(emit, "mul i32 %s, %s", x.text, y.text);
		sum = emit_value(emit, "add i32 %s, %s", sum.text, product.text);
	}
	return sum;
}

void emit_dp4a(struct emit *emit)
{
	destination(emit, 0, dot(emit, 4, 8, 0), PTX_TYPE_b32);
}

void emit_dp2a(struct emit *emit)
{
	destination(emit, 0, dot(emit, 2, 16, has(emit, PTX_MODIFIER_hi) ? 16 : 0), PTX_TYPE_b32);
}

/*
 * Code for pairs of blocks makes the address of something in its own shared memory that of the same
 * in the even block by clearing bit 24: on a GPU addresses have the block's rank from there on.
 * Here a block's own have none, and others are numbered from 1. Compilers clear what alignment
 * makes 0 as well.
 */
#define ODD_BLOCK 0x01000000u
#define ALIGNMENT 0xffu

static bool means_even_block(struct emit *emit)
{
	const struct ptx_operand *mask = &emit->in->operands[2];

	return emit->has_pairs && emit->in->opcode == PTX_OP_and &&
	       mask->kind == PTX_OPERAND_INTEGER &&
	       ((uint32_t)mask->value | ALIGNMENT) == ~ODD_BLOCK &&
	       ptx_type_bits(type_at(emit, 0)) == 32;
}

void emit_logic(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	struct value a = source(emit, 1, type), b;

	b = source(emit, 2, type);
	if (means_even_block(emit)) {
		a = emit_value(emit, "call i32 @sg_cluster_even(ptr %%lane, i32 %s)", a.text);
		b = emit_value(emit, "or i32 %s, %u", b.text, ODD_BLOCK);
	}
	destination(emit, 0,
	    emit_value(emit, "%s %s %s, %s", ptx_opcode_info(emit->in->opcode)->name,
		ir_name(ir_of(type)), a.text, b.text),
	    type);
}

void emit_not(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);

	destination(emit, 0,
	    emit_value(emit, "xor %s %s, -1", ir_name(ir_of(type)), source(emit, 1, type).text),
	    type);
}

void emit_cnot(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	const char *ir = ir_name(ir_of(type));
	struct value zero = emit_value(emit, "icmp eq %s %s, 0", ir, source(emit, 1, type).text);

	destination(emit, 0, emit_value(emit, "zext i1 %s to %s", zero.text, ir), type);
}

/* Ors the minterms of the table; LLVM finds the short form. */
static struct value minterms(struct emit *emit, const struct value *inputs, unsigned table)
{
	struct value inverted[3], result = {"0"};

	for (unsigned i = 0; i < 3; i++)
		inverted[i] = emit_value(emit, "xor i32 %s, -1", inputs[i].text);
	for (unsigned term = 0; term < 8; term++) {
		struct value product;

		if (!(table >> term & 1))
			continue;
		product =
		    emit_value(emit, "and i32 %s, %s", term & 4 ? inputs[0].text : inverted[0].text,
			term & 2 ? inputs[1].text : inverted[1].text);
		product = emit_value(emit, "and i32 %s, %s", product.text,
		    term & 1 ? inputs[2].text : inverted[2].text);
		result = emit_value(emit, "or i32 %s, %s", result.text, product.text);
	}
	return result;
}

/* lop3.b32 d, a, b, c, table; lop3.BoolOp.b32 d|p, a, b, c, table, q */
void emit_lop3(struct emit *emit)
{
	const struct ptx_instruction *in = emit->in;
	const struct ptx_operand *d = in->operands;
	struct value inputs[3], result;

	if (in->operands[4].kind != PTX_OPERAND_INTEGER)
		emit_fail(emit, "lop3 needs a constant table");
	for (unsigned i = 0; i < 3; i++)
		inputs[i] = source(emit, i + 1, PTX_TYPE_b32);
	result = minterms(emit, inputs, (unsigned)in->operands[4].value);
	if (d->kind == PTX_OPERAND_PAIR && in->n_operands == 6) {
		struct value set = emit_value(emit, "icmp ne i32 %s, 0", result.text);

		set = emit_value(emit, "%s i1 %s, %s", has(emit, PTX_MODIFIER_and) ? "and" : "or",
		    set.text, source(emit, 5, PTX_TYPE_pred).text);
		operand_set(emit, &d->elements[1], set, IR_I1, false);
		d = d->elements;
	}
	operand_set(emit, d, result, IR_I32, false);
}

void emit_shf(struct emit *emit)
{
	struct value low = source(emit, 1, PTX_TYPE_b32), high = source(emit, 2, PTX_TYPE_b32);
	struct value count = source(emit, 3, PTX_TYPE_u32);
	char direction = has(emit, PTX_MODIFIER_l) ? 'l' : 'r';

	if (has(emit, PTX_MODIFIER_clamp))
		destination(emit, 0,
		    emit_value(emit, "call i32 @sg.shf.%c.clamp(i32 %s, i32 %s, i32 %s)", direction,
			high.text, low.text, count.text),
		    PTX_TYPE_b32);
	else
		destination(emit, 0,
		    emit_value(emit, "call i32 @llvm.fsh%c.i32(i32 %s, i32 %s, i32 %s)", direction,
			high.text, low.text, count.text),
		    PTX_TYPE_b32);
}

/* Counts are u32 and stop at the width. */
void emit_shift(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	const char *ir = ir_name(ir_of(type));
	struct value a = source(emit, 1, type), count = source(emit, 2, PTX_TYPE_u32);
	const char *name = emit->in->opcode == PTX_OP_shl ? "shl"
			   : ptx_type_is_signed(type)	  ? "ashr"
							  : "lshr";

	destination(emit, 0,
	    emit_value(
		emit, "call %s @sg.%s.%s(%s %s, i32 %s)", ir, name, ir, ir, a.text, count.text),
	    type);
}

void emit_prmt(struct emit *emit)
{
	static const enum ptx_modifier modes[] = {PTX_MODIFIER_f4e, PTX_MODIFIER_b4e,
	    PTX_MODIFIER_rc8, PTX_MODIFIER_ecl, PTX_MODIFIER_ecr, PTX_MODIFIER_rc16};
	struct value a = source(emit, 1, PTX_TYPE_b32), b = source(emit, 2, PTX_TYPE_b32);
	struct value selector = source(emit, 3, PTX_TYPE_b32);
	struct value wide_a = emit_value(emit, "zext i32 %s to i64", a.text);
	struct value wide_b = emit_value(emit, "zext i32 %s to i64", b.text);
	struct value bytes = emit_value(emit, "shl i64 %s, 32", wide_b.text);

	bytes = emit_value(emit, "or i64 %s, %s", bytes.text, wide_a.text);
	for (unsigned i = 0; i < ARRAY_SIZE(modes); i++)
		if (has(emit, modes[i])) {
			destination(emit, 0,
			    emit_value(emit, "call i32 @sg_prmt(i32 %u, i64 %s, i32 %s)", i,
				bytes.text, selector.text),
			    PTX_TYPE_b32);
			return;
		}
	destination(emit, 0,
	    emit_value(emit, "call i32 @sg.prmt(i64 %s, i32 %s)", bytes.text, selector.text),
	    PTX_TYPE_b32);
}
