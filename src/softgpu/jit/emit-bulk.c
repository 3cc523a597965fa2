/*
 * Bulk copies and remote stores (PTX ISA 9.7.9.25 and its neighbours): cp.async.bulk,
 * cp.reduce.async.bulk, st.async, red.async, st.bulk. They are done at once, which their rules
 * allow: groups are always complete, and an mbarrier that waits for bytes gets them at the same
 * moment.
 */
#include "softgpu/exec/bulk.h"
#include "softgpu/exec/lane.h"
#include "softgpu/jit/emit.h"

static bool is_own_shared(struct emit *emit)
{
	return has(emit, PTX_MODIFIER_shared) || has(emit, PTX_MODIFIER_shared_cta);
}

struct value bulk_address(struct emit *emit, unsigned index)
{
	const struct ptx_operand *operands = emit->in->operands;

	if (index >= emit->in->n_operands || operands[index].kind != PTX_OPERAND_ADDRESS)
		emit_fail(emit, "operand %u of a bulk instruction must be an address", index + 1);
	return effective_address(emit, &operands[index]);
}

/* Tells the mbarrier at an operand that bytes have come. It lies where they went. */
static void complete(struct emit *emit, unsigned index, struct value bytes)
{
	enum ptx_space space =
	    has(emit, PTX_MODIFIER_shared_cluster) ? PTX_SPACE_CLUSTER : PTX_SPACE_SHARED;
	struct value at;

	bulk_address(emit, index);
	at = memory_pointer(emit, &emit->in->operands[index], space, 8, true);
	emit_value(emit, "call i64 @sg_mbarrier(ptr %%lane, i32 %d, ptr %s, i64 %s)",
	    SG_MBARRIER_COMPLETE, at.text, bytes.text);
}

uint32_t bulk_reduction(struct emit *emit)
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

static int spaces_of(struct emit *emit, bool to_shared)
{
	int to = !to_shared				  ? 0
		 : has(emit, PTX_MODIFIER_shared_cluster) ? SG_BULK_TO_CLUSTER
							  : SG_BULK_TO_SHARED;
	bool from_shared = !to_shared || (!has(emit, PTX_MODIFIER_global) && is_own_shared(emit));

	return to | (from_shared ? SG_BULK_FROM_SHARED : 0);
}

static void reduce(
    struct emit *emit, struct value to, struct value from, struct value size, int spaces)
{
	emit_line(emit,
	    "call void @sg_bulk_reduce(ptr %%lane, i64 %s, i64 %s, i32 %s, i32 %d, i32 %u, i32 %u)",
	    to.text, from.text, size.text, spaces, bulk_reduction(emit),
	    element_of(emit, type_at(emit, 0)));
}

/* [to], [from], size, [mbarrier], mask of blocks */
static void multicast(struct emit *emit, struct value to, struct value from, struct value size)
{
	emit_line(emit,
	    "call void @sg_bulk_multicast(ptr %%lane, i64 %s, i64 %s, i32 %s, i64 %s, i32 %s)",
	    to.text, from.text, size.text, bulk_address(emit, 3).text,
	    source(emit, 4, PTX_TYPE_u32).text);
}

/*
 * cp.async.bulk.dst.src.mbarrier::complete_tx::bytes [to], [from], size, [mbarrier] {, mask,
 * policy} cp.async.bulk.global.shared::cta.bulk_group{.cp_mask} [to], [from], size {, policy} {,
 * bytes}
 *
 * What completes the copy says where it goes: an mbarrier's copies end in shared memory.
 */
void emit_bulk_copy(struct emit *emit)
{
	bool to_shared = has(emit, PTX_MODIFIER_mbarrier_complete_tx_bytes);
	struct value to, from, size;
	int spaces;

	if (has(emit, PTX_MODIFIER_prefetch))
		return;
	if (!to_shared && !has(emit, PTX_MODIFIER_bulk_group))
		emit_unsupported(emit);
	to = bulk_address(emit, 0);
	from = bulk_address(emit, 1);
	size = source(emit, 2, PTX_TYPE_u32);
	spaces = spaces_of(emit, to_shared);
	if (has(emit, PTX_MODIFIER_multicast_cluster)) {
		multicast(emit, to, from, size);
		return;
	}
	if (has(emit, PTX_MODIFIER_reduce))
		reduce(emit, to, from, size, spaces);
	else if (has(emit, PTX_MODIFIER_cp_mask))
		emit_line(emit,
		    "call void @sg_bulk_copy_masked(ptr %%lane, i64 %s, i64 %s, i32 %s, i32 %s)",
		    to.text, from.text, size.text,
		    source(emit, emit->in->n_operands - 1u, PTX_TYPE_u32).text);
	else
		emit_line(emit,
		    "call void @sg_bulk_copy(ptr %%lane, i64 %s, i64 %s, i32 %s, i32 %d)", to.text,
		    from.text, size.text, spaces);
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
	struct value to = bulk_address(emit, 0), size = source(emit, 1, PTX_TYPE_u64);

	emit_line(emit, "call void @sg_bulk_clear(ptr %%lane, i64 %s, i64 %s, i32 %d)", to.text,
	    size.text, is_own_shared(emit));
}
