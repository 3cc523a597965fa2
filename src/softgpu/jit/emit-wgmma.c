/*
 * wgmma (PTX ISA 9.7.15): registers to a struct on the stack, the machine computes
 * (softgpu/exec/wgmma.c), the results come back. Fences and groups of products have nothing to
 * order; waiting for a group is where the warpgroup meets.
 */
#include "softgpu/exec/wgmma.h"
#include "softgpu/jit/matrix-form.h"

/* One serves all of a function's instructions: none keeps anything there. */
static void make_place(struct emit *emit)
{
	if (!emit->has_wgmma)
		text_format(&emit->prologue, "  %%wgmma = alloca [%zu x i8], align 8\n",
		    sizeof(struct sg_wgmma_lane));
	emit->has_wgmma = true;
}

static struct value field(struct emit *emit, size_t offset)
{
	return emit_value(emit, "getelementptr i8, ptr %%wgmma, i64 %zu", offset);
}

static void put(struct emit *emit, size_t offset, struct value value, enum ir_type type)
{
	struct value at = field(emit, offset);

	emit_line(emit, "store %s %s, ptr %s", ir_name(type), value.text, at.text);
}

static uint32_t type_of(struct emit *emit, unsigned index)
{
	enum sg_matrix_type type;

	if (!matrix_type_of(type_at(emit, index), &type))
		emit_unsupported(emit);
	return type;
}

static bool is_integer(uint32_t type)
{
	return type == SG_MATRIX_S8 || type == SG_MATRIX_U8 || type == SG_MATRIX_B1;
}

/* The k of the shape is the one that fills 32 bytes, and the types go together. */
static void check(struct emit *emit, union sg_wgmma form)
{
	unsigned bits = sg_matrix_bits((enum sg_matrix_type)form.a);
	bool fits = form.d == SG_MATRIX_S32
			? is_integer(form.a) && is_integer(form.b)
			: form.a <= SG_MATRIX_E5M2 && form.b <= SG_MATRIX_E5M2 &&
			      (form.d == SG_MATRIX_F16 || form.d == SG_MATRIX_F32);

	if (!fits || sg_matrix_bits((enum sg_matrix_type)form.b) != bits || !form.n ||
	    form.n * 8u > SG_WGMMA_COLUMNS || emit->in->shape_n % 8 ||
	    emit->in->shape_k * bits != SG_WGMMA_ROW * 8)
		emit_unsupported(emit);
}

/* Factors of 1 and -1, then 0 and 1 for transposing, from an operand on. */
static void read_factors(struct emit *emit, union sg_wgmma *form, unsigned index)
{
	const struct ptx_operand *operands = emit->in->operands;
	unsigned n = emit->in->n_operands;
	unsigned b = index + 2 + !form->a_registers;

	for (unsigned i = index; i < n; i++)
		if (operands[i].kind != PTX_OPERAND_INTEGER)
			emit_fail(emit, "the factors of wgmma are constants");
	if (n >= index + 2) {
		form->a_negated = (int64_t)operands[index].value < 0;
		form->b_negated = (int64_t)operands[index + 1].value < 0;
	}
	if (n > b) {
		form->a_transposed = !form->a_registers && operands[index + 2].value;
		form->b_transposed = operands[b].value & 1;
	}
}

static const struct ptx_operand *sums(struct emit *emit, union sg_wgmma form, unsigned *count)
{
	const struct ptx_operand *d = emit->in->operands;

	*count = form.n * (form.d == SG_MATRIX_F16 ? 2u : 4u);
	if (d->kind != PTX_OPERAND_VECTOR || d->n_elements != *count)
		emit_fail(emit, "wgmma takes %u registers here", *count);
	return d->elements;
}

static void put_a(struct emit *emit, union sg_wgmma form)
{
	const struct ptx_operand *a = &emit->in->operands[1];

	if (!form.a_registers) {
		put(emit, offsetof(struct sg_wgmma_lane, a_place), source(emit, 1, PTX_TYPE_b64),
		    IR_I64);
		return;
	}
	if (a->n_elements != 4)
		emit_fail(emit, "wgmma takes 4 registers of A");
	for (unsigned i = 0; i < 4; i++)
		put(emit, offsetof(struct sg_wgmma_lane, a) + i * sizeof(uint32_t),
		    operand_get(emit, &a->elements[i], IR_I32, false), IR_I32);
}

/* d, a, place of b, adds {, factor of a, factor of b {, a transposed}, b transposed} */
static void multiply(struct emit *emit)
{
	union sg_wgmma form = {
	    .n = emit->in->shape_n / 8 & 63,
	    .d = type_of(emit, 0) & 15,
	    .a = type_of(emit, 1) & 15,
	    .b = type_of(emit, 2) & 15,
	    .saturate = has(emit, PTX_MODIFIER_satfinite),
	};
	const struct ptx_operand *d;
	unsigned count;

	if (emit->in->n_operands < 4 || has(emit, PTX_MODIFIER_sp))
		emit_unsupported(emit);
	check(emit, form);
	form.a_registers = emit->in->operands[1].kind == PTX_OPERAND_VECTOR;
	read_factors(emit, &form, 4);
	make_place(emit);
	d = sums(emit, form, &count);
	for (unsigned i = 0; i < count; i++)
		put(emit, i * sizeof(uint32_t), operand_get(emit, &d[i], IR_I32, false), IR_I32);
	put_a(emit, form);
	put(emit, offsetof(struct sg_wgmma_lane, b_place), source(emit, 2, PTX_TYPE_b64), IR_I64);
	put(emit, offsetof(struct sg_wgmma_lane, adds),
	    emit_value(emit, "zext i1 %s to i32", source(emit, 3, PTX_TYPE_pred).text), IR_I32);
	emit_line(emit, "call void @sg_wgmma(ptr %%lane, i32 %d, ptr %%wgmma)", (int32_t)form.bits);
	for (unsigned i = 0; i < count; i++) {
		struct value at = field(emit, i * sizeof(uint32_t));

		operand_set(
		    emit, &d[i], emit_value(emit, "load i32, ptr %s", at.text), IR_I32, false);
	}
}

void emit_wgmma(struct emit *emit)
{
	if (has(emit, PTX_MODIFIER_mma_async))
		multiply(emit);
	else if (has(emit, PTX_MODIFIER_wait_group))
		emit_line(emit, "call void @sg_warpgroup_meet(ptr %%lane)");
	else if (!has(emit, PTX_MODIFIER_fence) && !has(emit, PTX_MODIFIER_commit_group))
		emit_unsupported(emit);
}
