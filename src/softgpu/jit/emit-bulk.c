/*
 * Bulk copies and remote stores (PTX ISA 9.7.9.25 and its neighbours): cp.async.bulk,
 * cp.reduce.async.bulk, st.async, red.async, st.bulk. They are done at once, which their rules allow:
 * groups are always complete, and an mbarrier that waits for bytes gets them at the same moment. The
 * cluster is one block, so shared::cluster is the block's own memory.
 */
#include "softgpu/exec/bulk.h"
#include "softgpu/exec/lane.h"
#include "softgpu/jit/emit.h"

static bool is_shared(struct emit *emit)
{
	return has(emit, PTX_MODIFIER_shared) || has(emit, PTX_MODIFIER_shared_cta) ||
	       has(emit, PTX_MODIFIER_shared_cluster);
}

static struct value address_of(struct emit *emit, unsigned index)
{
	const struct ptx_operand *operands = emit->in->operands;

	if (index >= emit->in->n_operands || operands[index].kind != PTX_OPERAND_ADDRESS)
		emit_fail(emit, "operand %u of a bulk instruction must be an address", index + 1);
	return effective_address(emit, &operands[index]);
}

/* Tells the mbarrier at an operand that bytes have come. */
static void complete(struct emit *emit, unsigned index, struct value bytes)
{
	struct value at;

	address_of(emit, index);
	at = memory_pointer(emit, &emit->in->operands[index], PTX_SPACE_SHARED, 8, true);
	emit_value(emit, "call i64 @sg_mbarrier(ptr %%lane, i32 %d, ptr %s, i64 %s)",
	    SG_MBARRIER_COMPLETE, at.text, bytes.text);
}

static uint32_t reduction(struct emit *emit)
{
	static const struct {
		enum ptx_modifier modifier;
		enum sg_bulk_reduction reduction;
	} all[] = {
	    {PTX_MODIFIER_add, SG_BULK_ADD},
	    {PTX_MODIFIER_min, SG_BULK_MIN},
	    {PTX_MODIFIER_max, SG_BULK_MAX},
	    {PTX_MODIFIER_inc, SG_BULK_INC},
	    {PTX_MODIFIER_dec, SG_BULK_DEC},
	    {PTX_MODIFIER_and, SG_BULK_AND},
	    {PTX_MODIFIER_or, SG_BULK_OR},
	    {PTX_MODIFIER_xor, SG_BULK_XOR},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		if (has(emit, all[i].modifier))
			return all[i].reduction;
	emit_unsupported(emit);
}

static uint32_t element_of(struct emit *emit, enum ptx_type type)
{
	static const struct {
		enum ptx_type type;
		enum sg_bulk_element element;
	} all[] = {
	    {PTX_TYPE_f16, SG_BULK_F16},
	    {PTX_TYPE_bf16, SG_BULK_BF16},
	    {PTX_TYPE_b32, SG_BULK_U32},
	    {PTX_TYPE_u32, SG_BULK_U32},
	    {PTX_TYPE_s32, SG_BULK_S32},
	    {PTX_TYPE_b64, SG_BULK_U64},
	    {PTX_TYPE_u64, SG_BULK_U64},
	    {PTX_TYPE_s64, SG_BULK_S64},
	    {PTX_TYPE_f32, SG_BULK_F32},
	    {PTX_TYPE_f64, SG_BULK_F64},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i].type == type)
			return all[i].element;
	emit_unsupported(emit);
}

/*
 * cp.async.bulk.dst.src.mbarrier::complete_tx::bytes [to], [from], size, [mbarrier] {, mask, policy}
 * cp.async.bulk.global.shared::cta.bulk_group [to], [from], size {, policy}
 *
 * What completes the copy says where it goes: an mbarrier's copies end in shared memory.
 */
void emit_bulk_copy(struct emit *emit)
{
	bool to_shared = has(emit, PTX_MODIFIER_mbarrier_complete_tx_bytes);
	bool from_shared = !to_shared || (is_shared(emit) && !has(emit, PTX_MODIFIER_global));
	bool is_reduction = has(emit, PTX_MODIFIER_reduce);
	struct value to, from, size;

	if (has(emit, PTX_MODIFIER_prefetch))
		return;
	if (!to_shared && !has(emit, PTX_MODIFIER_bulk_group))
		emit_unsupported(emit);
	to = address_of(emit, 0);
	from = address_of(emit, 1);
	size = source(emit, 2, PTX_TYPE_u32);
	if (is_reduction)
		emit_line(emit,
		    "call void @sg_bulk_reduce(ptr %%lane, i64 %s, i64 %s, i32 %s, i32 %d, i32 %u, "
		    "i32 "
		    "%u)",
		    to.text, from.text, size.text,
		    (to_shared ? SG_BULK_TO_SHARED : 0) | (from_shared ? SG_BULK_FROM_SHARED : 0),
		    reduction(emit), element_of(emit, type_at(emit, 0)));
	else
		emit_line(emit,
		    "call void @sg_bulk_copy(ptr %%lane, i64 %s, i64 %s, i32 %s, i32 %d)", to.text,
		    from.text, size.text,
		    (to_shared ? SG_BULK_TO_SHARED : 0) | (from_shared ? SG_BULK_FROM_SHARED : 0));
	if (to_shared)
		complete(emit, 3, emit_value(emit, "zext i32 %s to i64", size.text));
}

/* st.async and red.async [to], value, [mbarrier]: the plain instruction, then its bytes. */
void emit_remote(struct emit *emit, void (*plain)(struct emit *emit))
{
	unsigned count = has(emit, PTX_MODIFIER_v4) ? 4 : has(emit, PTX_MODIFIER_v2) ? 2 : 1;
	unsigned size = ptx_type_bits(type_at(emit, 0)) / 8 * count;

	plain(emit);
	if (has(emit, PTX_MODIFIER_mbarrier_complete_tx_bytes))
		complete(emit, 2, ir_constant(IR_I64, size));
}

/* st.bulk [to], size, 0 */
void emit_bulk_store(struct emit *emit)
{
	struct value to = address_of(emit, 0), size = source(emit, 1, PTX_TYPE_u64);

	emit_line(emit, "call void @sg_bulk_clear(ptr %%lane, i64 %s, i64 %s, i32 %d)", to.text,
	    size.text, is_shared(emit));
}

/* The cluster's only block is number 0. */
void emit_getctarank(struct emit *emit)
{
	destination(emit, 0, ir_constant(IR_I32, 0), PTX_TYPE_u32);
}
