/*
 * wgmma (PTX ISA 9.7.15) of a thread: registers to a struct on the stack, the machine computes
 * (softgpu/exec/wgmma.c), the results come back. Fences and groups of products have nothing to
 * order; waiting for a group is where the warpgroup meets.
 */
#include "softgpu/jit/wgmma-form.h"

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

static void put_a(struct emit *emit, union sg_wgmma form)
{
	const struct ptx_operand *a = &emit->in->operands[1];

	if (!form.a_registers) {
		put(emit, offsetof(struct sg_wgmma_lane, a_place), source(emit, 1, PTX_TYPE_b64),
		    IR_I64);
		return;
	}
	for (unsigned i = 0; i < 4; i++)
		put(emit, offsetof(struct sg_wgmma_lane, a) + i * sizeof(uint32_t),
		    operand_get(emit, &a->elements[i], IR_I32, false), IR_I32);
}

static void multiply(struct emit *emit)
{
	unsigned count;
	union sg_wgmma form = wgmma_form(emit, &count);
	const struct ptx_operand *d = emit->in->operands->elements;

	make_place(emit);
	for (unsigned i = 0; i < count; i++)
		put(emit, i * sizeof(uint32_t), operand_get(emit, &d[i], IR_I32, false), IR_I32);
	put_a(emit, form);
	put(emit, offsetof(struct sg_wgmma_lane, b_place), source(emit, 2, PTX_TYPE_b64), IR_I64);
	if (form.sparse)
		put(emit, offsetof(struct sg_wgmma_lane, indices),
		    source(emit, WGMMA_INDICES, PTX_TYPE_b32), IR_I32);
	put(emit, offsetof(struct sg_wgmma_lane, adds),
	    emit_value(
		emit, "zext i1 %s to i32", source(emit, wgmma_adds(form), PTX_TYPE_pred).text),
	    IR_I32);
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
