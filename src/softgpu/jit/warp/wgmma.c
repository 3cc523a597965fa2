/*
 * wgmma (PTX ISA 9.7.15) of a warp in step: as matrix.c, with the registers in struct
 * sg_wgmma_warp. Where to find the matrices in shared memory, and whether D was there before, is
 * the first lane's: all lanes must say the same.
 */
#include "softgpu/jit/warp/warp.h"
#include "softgpu/jit/wgmma-form.h"

static struct value field(struct warp *warp, size_t offset)
{
	struct emit *emit = &warp->emit;

	if (!emit->has_wgmma)
		text_format(&emit->prologue, "  %%wgmma = alloca [%zu x i8], align %zu\n",
		    sizeof(struct sg_wgmma_warp), alignof(struct sg_wgmma_warp));
	emit->has_wgmma = true;
	return emit_value(emit, "getelementptr i8, ptr %%wgmma, i64 %zu", offset);
}

static void put_vector(struct warp *warp, size_t offset, const struct ptx_operand *operand)
{
	struct value value = wide_get(warp, operand, IR_I32), at = field(warp, offset);

	emit_line(&warp->emit, "store %s %s, ptr %s, align 64", wide_type(warp, IR_I32), value.text,
	    at.text);
}

static void put_common(struct warp *warp, size_t offset, struct value value, const char *type)
{
	struct value at = field(warp, offset);

	emit_line(&warp->emit, "store %s %s, ptr %s", type, value.text, at.text);
}

static void multiply(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	unsigned count;
	union sg_wgmma form = wgmma_form(emit, &count);
	const struct ptx_operand *operands = emit->in->operands, *d = operands->elements;
	size_t row = sizeof(((struct sg_wgmma_warp *)NULL)->d[0]);
	struct value adds = operand_common(warp, &operands[wgmma_adds(form)], IR_I1);

	note_first_lane(warp);
	for (unsigned i = 0; i < count; i++)
		put_vector(warp, i * row, &d[i]);
	for (unsigned i = 0; form.a_registers && i < 4; i++)
		put_vector(
		    warp, offsetof(struct sg_wgmma_warp, a) + i * row, &operands[1].elements[i]);
	if (form.sparse)
		put_vector(warp, offsetof(struct sg_wgmma_warp, indices), &operands[WGMMA_INDICES]);
	if (!form.a_registers)
		put_common(warp, offsetof(struct sg_wgmma_warp, a_place),
		    operand_common(warp, &operands[1], IR_I64), "i64");
	put_common(warp, offsetof(struct sg_wgmma_warp, b_place),
	    operand_common(warp, &operands[2], IR_I64), "i64");
	put_common(warp, offsetof(struct sg_wgmma_warp, adds),
	    emit_value(emit, "zext i1 %s to i32", adds.text), "i32");
	emit_line(
	    emit, "call void @sg_warp_wgmma(ptr %%lane, i32 %d, ptr %%wgmma)", (int32_t)form.bits);
	for (unsigned i = 0; i < count; i++) {
		struct value at = field(warp, i * row), value;

		value =
		    emit_value(emit, "load %s, ptr %s, align 64", wide_type(warp, IR_I32), at.text);
		wide_set(warp, &d[i], value, IR_I32, true, false);
	}
}

void warp_wgmma(struct warp *warp)
{
	struct emit *emit = &warp->emit;

	if (has(emit, PTX_MODIFIER_mma_async))
		multiply(warp);
	else if (has(emit, PTX_MODIFIER_wait_group))
		emit_line(emit, "call void @sg_warp_warpgroup_meet(ptr %%lane, i32 %s)",
		    integer_count(warp, mask_integer(warp, warp->mask)).text);
	else if (!has(emit, PTX_MODIFIER_fence) && !has(emit, PTX_MODIFIER_commit_group))
		emit_unsupported(emit);
}
