/*
 * What a product of a warpgroup is (PTX ISA 9.7.15), from its modifiers, types and constants: for
 * the code of a thread (emit-wgmma.c) and of a warp in step (warp/wgmma.c). What is not run is
 * refused here.
 */
#include "softgpu/jit/wgmma-form.h"

#include "softgpu/jit/matrix-form.h"

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

/* The k of the shape is the one that fills 32 bytes of A, and the types go together. */
static void check(struct emit *emit, union sg_wgmma form)
{
	unsigned bits = sg_matrix_bits((enum sg_matrix_type)form.a);
	bool fits = form.d == SG_MATRIX_S32
			? is_integer(form.a) && is_integer(form.b)
			: form.a <= SG_MATRIX_E5M2 && form.b <= SG_MATRIX_E5M2 &&
			      (form.d == SG_MATRIX_F16 || form.d == SG_MATRIX_F32);

	if (!fits || sg_matrix_bits((enum sg_matrix_type)form.b) != bits || !form.n ||
	    form.n * 8u > SG_WGMMA_COLUMNS || emit->in->shape_n % 8 || (form.sparse && bits == 1) ||
	    emit->in->shape_k * bits != (SG_WGMMA_ROW * 8) << form.sparse)
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

/* Which lanes bring the indices of 16 and 32 bits; all do of 8. */
static void read_selector(struct emit *emit, union sg_wgmma *form)
{
	const struct ptx_operand *selector = &emit->in->operands[WGMMA_INDICES + 1];
	bool is_byte = sg_matrix_bits((enum sg_matrix_type)form->a) == 8;

	if (selector->kind != PTX_OPERAND_INTEGER || selector->value > !is_byte)
		emit_fail(emit, "the selector of wgmma is %s here", is_byte ? "0" : "0 or 1");
	form->selector = selector->value & 1;
}

static unsigned registers_of_d(struct emit *emit, union sg_wgmma form)
{
	const struct ptx_operand *d = emit->in->operands;
	unsigned count = form.n * (form.d == SG_MATRIX_F16 ? 2u : 4u);

	if (d->kind != PTX_OPERAND_VECTOR || d->n_elements != count)
		emit_fail(emit, "wgmma takes %u registers here", count);
	return count;
}

/* d, a, place of b {, indices, selector}, adds {, factor of a, factor of b {, a transposed}, b
 * transposed} */
union sg_wgmma wgmma_form(struct emit *emit, unsigned *count)
{
	union sg_wgmma form = {
	    .n = emit->in->shape_n / 8 & 63,
	    .d = type_of(emit, 0) & 15,
	    .a = type_of(emit, 1) & 15,
	    .b = type_of(emit, 2) & 15,
	    .saturate = has(emit, PTX_MODIFIER_satfinite),
	    .sparse = has(emit, PTX_MODIFIER_sp),
	};

	if (emit->in->n_operands <= wgmma_adds(form))
		emit_fail(emit, "wgmma takes more operands");
	check(emit, form);
	form.a_registers = emit->in->operands[1].kind == PTX_OPERAND_VECTOR;
	if (form.a_registers && emit->in->operands[1].n_elements != 4)
		emit_fail(emit, "wgmma takes 4 registers of A");
	if (form.sparse)
		read_selector(emit, &form);
	read_factors(emit, &form, wgmma_adds(form) + 1);
	*count = registers_of_d(emit, form);
	return form;
}
