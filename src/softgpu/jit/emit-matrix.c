/*
 * mma wmma ldmatrix stmatrix movmatrix (PTX ISA 9.7.14) of a thread: the registers go to an array
 * on the stack, the machine computes when all of the warp have come (softgpu/exec/matrix.c), the
 * results come back.
 */
#include "softgpu/jit/matrix-form.h"

/* One serves all of a function's instructions, which may be hundreds: none keeps anything there. */
static uint32_t matrix_array(struct emit *emit)
{
	if (!emit->has_matrix) {
		emit->has_matrix = true;
		emit->matrix_slot = emit->n_temps++;
		text_format(&emit->prologue, "  %%a%u = alloca [%u x i32], align 8\n",
		    emit->matrix_slot, SG_MATRIX_WORDS);
	}
	return emit->matrix_slot;
}

static struct value word_at(struct emit *emit, uint32_t slot, unsigned word)
{
	return emit_value(emit, "getelementptr i32, ptr %%a%u, i32 %u", slot, word);
}

/* words of an operand from its registers, at index first. */
static void bring(struct emit *emit, uint32_t slot, unsigned first, unsigned words, bool is_wide,
    const struct ptx_operand *operand)
{
	enum ir_type type = is_wide ? IR_I64 : IR_I32;
	unsigned step = is_wide ? 2 : 1;

	for (unsigned i = 0; i < words / step; i++) {
		struct value value =
		    operand_get(emit, matrix_register(emit, operand, words / step, i), type, false);
		struct value at = word_at(emit, slot, first + i * step);

		emit_line(emit, "store %s %s, ptr %s, align 4", ir_name(type), value.text, at.text);
	}
}

static void fetch(struct emit *emit, uint32_t slot, unsigned words, bool is_wide,
    const struct ptx_operand *operand)
{
	enum ir_type type = is_wide ? IR_I64 : IR_I32;
	unsigned step = is_wide ? 2 : 1;

	for (unsigned i = 0; i < words / step; i++) {
		struct value at = word_at(emit, slot, i * step), value;

		value = emit_value(emit, "load %s, ptr %s, align 4", ir_name(type), at.text);
		operand_set(
		    emit, matrix_register(emit, operand, words / step, i), value, type, false);
	}
}

static void multiply(struct emit *emit)
{
	union sg_matrix matrix = matrix_form_product(emit);
	const struct ptx_operand *operands = emit->in->operands;
	bool is_wide = matrix.a == SG_MATRIX_F64;
	uint32_t slot = matrix_array(emit);
	struct matrix_extra extras[MATRIX_MOST_EXTRAS];
	unsigned n = matrix_form_extras(emit, matrix, extras);

	for (int i = SG_MATRIX_A; i <= SG_MATRIX_C; i++) {
		enum sg_matrix_operand operand = (enum sg_matrix_operand)i;

		bring(emit, slot, sg_matrix_offset(matrix, operand),
		    sg_matrix_words(matrix, operand), is_wide, &operands[i + 1]);
	}
	for (unsigned i = 0; i < n; i++) {
		struct value at = word_at(emit, slot, extras[i].word);
		struct value value = ir_constant(IR_I32, extras[i].number);

		if (extras[i].operand)
			value = operand_get(emit, extras[i].operand, IR_I32, false);
		emit_line(emit, "store i32 %s, ptr %s, align 4", value.text, at.text);
	}
	emit_line(emit, "call void @sg_matrix(ptr %%lane, i32 %d, ptr %%a%u)", (int32_t)matrix.bits,
	    slot);
	fetch(emit, slot, sg_matrix_words(matrix, SG_MATRIX_D), is_wide, operands);
}

void emit_mma(struct emit *emit)
{
	multiply(emit);
}

static void move(struct emit *emit)
{
	struct matrix_move move = matrix_form_move(emit);
	uint32_t slot = matrix_array(emit);
	struct value stride = ir_constant(IR_I32, move.dense), base;

	if (move.stride)
		stride = operand_get(emit, move.stride, IR_I32, false);
	base = effective_address(emit, move.address);
	if (move.is_store)
		bring(emit, slot, 0, move.words, move.is_wide, move.registers);
	emit_line(emit, "call void @sg_wmma_%s(ptr %%lane, i32 %d, i64 %s, i32 %s, ptr %%a%u)",
	    move.is_store ? "store" : "load", (int32_t)move.form.bits, base.text, stride.text,
	    slot);
	if (!move.is_store)
		fetch(emit, slot, move.words, move.is_wide, move.registers);
}

void emit_wmma(struct emit *emit)
{
	if (has(emit, PTX_MODIFIER_load) || has(emit, PTX_MODIFIER_store))
		move(emit);
	else
		multiply(emit);
}

/* ---- rows of shared memory ---- */

/* The first 8 lanes of each matrix bring a row's address; what the others bring is not looked
 * at. */
static void bring_row(
    struct emit *emit, uint32_t slot, unsigned n, bool is_write, const struct ptx_operand *address)
{
	struct value lane = lane_field(emit, IR_I32, offsetof(struct sg_lane, lane_id)), row, at;
	struct value has_row = emit_value(emit, "icmp ult i32 %s, %u", lane.text, 8 * n);
	uint32_t with = emit_new_block(emit), after = emit_new_block(emit);

	at = word_at(emit, slot, SG_MATRIX_ROW);
	emit_line(emit, "store i64 0, ptr %s, align 4", at.text);
	emit_branch_if(emit, has_row, with, after);
	emit_start_block(emit, with);
	row = memory_pointer(emit, address, space_of(emit), 16, is_write);
	emit_line(emit, "store ptr %s, ptr %s, align 4", row.text, at.text);
	emit_start_block(emit, after);
}

static void call_matrix(struct emit *emit, union sg_matrix matrix, uint32_t slot)
{
	emit_line(emit, "call void @sg_matrix(ptr %%lane, i32 %d, ptr %%a%u)", (int32_t)matrix.bits,
	    slot);
}

void emit_ldmatrix(struct emit *emit)
{
	union sg_matrix matrix;
	unsigned n = matrix_form_rows(emit, SG_MATRIX_LOAD, &matrix);
	uint32_t slot = matrix_array(emit);

	bring_row(emit, slot, n, false, &emit->in->operands[1]);
	call_matrix(emit, matrix, slot);
	fetch(emit, slot, n, false, emit->in->operands);
}

void emit_stmatrix(struct emit *emit)
{
	union sg_matrix matrix;
	unsigned n = matrix_form_rows(emit, SG_MATRIX_STORE, &matrix);
	uint32_t slot = matrix_array(emit);

	bring_row(emit, slot, n, true, &emit->in->operands[0]);
	bring(emit, slot, 0, n, false, &emit->in->operands[1]);
	call_matrix(emit, matrix, slot);
}

void emit_movmatrix(struct emit *emit)
{
	union sg_matrix matrix;
	unsigned n = matrix_form_rows(emit, SG_MATRIX_MOVE, &matrix);
	uint32_t slot = matrix_array(emit);

	bring(emit, slot, 0, n, false, &emit->in->operands[1]);
	call_matrix(emit, matrix, slot);
	fetch(emit, slot, n, false, emit->in->operands);
}
