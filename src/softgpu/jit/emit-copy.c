/*
 * cp.async (PTX ISA 9.7.9.25): copies to shared memory of 4, 8 or 16 bytes each. They are done at
 * once, which their rules allow; groups are then always complete. Where nothing is to be read the
 * source may be no address at all.
 */
#include "softgpu/exec/lane.h"
#include "softgpu/jit/emit.h"

bool copy_is_done(const struct emit *emit)
{
	return has(emit, PTX_MODIFIER_commit_group) || has(emit, PTX_MODIFIER_wait_group) ||
	       has(emit, PTX_MODIFIER_wait_all);
}

bool copy_is_simple(const struct emit *emit)
{
	return has(emit, PTX_MODIFIER_async) && !has(emit, PTX_MODIFIER_mbarrier) &&
	       !has(emit, PTX_MODIFIER_tensor) && !has(emit, PTX_MODIFIER_bulk) &&
	       !copy_is_done(emit);
}

/* [to], [from], size {, source size or ignore-source predicate} {, policy} */
struct async_copy copy_form(struct emit *emit)
{
	const struct ptx_instruction *in = emit->in;
	const struct ptx_operand *extra = &in->operands[3];
	struct async_copy copy = {0};

	if (in->n_operands < 3 || in->operands[2].kind != PTX_OPERAND_INTEGER ||
	    (in->operands[2].value != 4 && in->operands[2].value != 8 &&
		in->operands[2].value != 16))
		emit_fail(emit, "cp.async copies 4, 8 or 16 bytes");
	copy.size = (unsigned)in->operands[2].value;
	if (in->n_operands < 4 || has(emit, PTX_MODIFIER_L2_cache_hint) ||
	    (extra->kind == PTX_OPERAND_INTEGER && extra->value >= copy.size))
		return copy;
	copy.extra = extra;
	copy.ignores = extra->kind == PTX_OPERAND_REGISTER && emit->registers[extra->reg] == IR_I1;
	return copy;
}

struct value copy_length(struct emit *emit, const struct async_copy *copy)
{
	if (!copy->ignores)
		return operand_get(emit, copy->extra, IR_I32, false);
	return emit_value(emit, "select i1 %s, i32 0, i32 %u",
	    operand_get(emit, copy->extra, IR_I1, false).text, copy->size);
}

static void copy_whole(struct emit *emit, const struct async_copy *copy, struct value to)
{
	struct value from =
	    memory_pointer(emit, &emit->in->operands[1], PTX_SPACE_GLOBAL, copy->size, false);

	from =
	    emit_value(emit, "load <%u x i8>, ptr %s, align %u", copy->size, from.text, copy->size);
	emit_line(emit, "store <%u x i8> %s, ptr %s, align %u", copy->size, from.text, to.text,
	    copy->size);
}

static void copy_part(struct emit *emit, const struct async_copy *copy, struct value to)
{
	struct value length = copy_length(emit, copy), is_none, from;

	if (emit->in->operands[1].kind != PTX_OPERAND_ADDRESS)
		emit_fail(emit, "cp.async copies from an address");
	is_none = emit_value(emit, "icmp eq i32 %s, 0", length.text);
	from = effective_address(emit, &emit->in->operands[1]);
	from = emit_value(emit, "select i1 %s, i64 %llu, i64 %s", is_none.text,
	    (unsigned long long)SG_ARENA_BASE, from.text);
	from = memory_arena_pointer(emit, from, copy->size, false);
	emit_line(emit, "call void @sg_copy_async(ptr %s, ptr %s, i32 %u, i32 %s)", to.text,
	    from.text, copy->size, length.text);
}

static void copy_simple(struct emit *emit)
{
	struct async_copy copy = copy_form(emit);
	struct value to =
	    memory_pointer(emit, &emit->in->operands[0], PTX_SPACE_SHARED, copy.size, true);

	if (copy.extra)
		copy_part(emit, &copy, to);
	else
		copy_whole(emit, &copy, to);
}

void emit_cp(struct emit *emit)
{
	if (!has(emit, PTX_MODIFIER_async))
		emit_unsupported(emit);
	if (copy_is_simple(emit)) {
		copy_simple(emit);
	} else if (has(emit, PTX_MODIFIER_mbarrier)) {
		if (emit->in->n_operands != 1)
			emit_fail(emit, "cp.async.mbarrier needs an address");
		emit_mbarrier_of_copies(emit);
	} else if (has(emit, PTX_MODIFIER_tensor)) {
		emit_tensor_copy(emit);
	} else if (!copy_is_done(emit)) {
		emit_bulk_copy(emit);
	}
}
