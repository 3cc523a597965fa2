/*
 * Tensor maps (PTX ISA 9.7.9.27): cp.async.bulk.tensor and its reductions, tensormap.replace and
 * tensormap.cp_fenceproxy. The machine does the copies (softgpu/exec/tensor.c), at once, as all
 * bulk copies.
 */
#include "softgpu/exec/tensor.h"
#include "softgpu/jit/emit.h"

static unsigned rank_of(struct emit *emit)
{
	static const enum ptx_modifier ranks[] = {
	    PTX_MODIFIER_1d, PTX_MODIFIER_2d, PTX_MODIFIER_3d, PTX_MODIFIER_4d, PTX_MODIFIER_5d};

	for (unsigned i = 0; i < ARRAY_SIZE(ranks); i++)
		if (has(emit, ranks[i]))
			return i + 1;
	emit_fail(emit, "a tensor copy needs its dimensions, .1d to .5d");
}

static enum sg_tensor_mode mode_of(struct emit *emit)
{
	if (has(emit, PTX_MODIFIER_im2col_w))
		return SG_TENSOR_IM2COL_W;
	if (has(emit, PTX_MODIFIER_im2col_w_128))
		return SG_TENSOR_IM2COL_W_128;
	if (has(emit, PTX_MODIFIER_tile_gather4) || has(emit, PTX_MODIFIER_tile_scatter4))
		return SG_TENSOR_ROWS;
	return has(emit, PTX_MODIFIER_im2col) || has(emit, PTX_MODIFIER_im2col_no_offs)
		   ? SG_TENSOR_IM2COL
		   : SG_TENSOR_TILE;
}

static void put_number(struct emit *emit, uint32_t slot, size_t offset, struct value value)
{
	struct value at = emit_value(emit, "getelementptr i8, ptr %%a%u, i64 %zu", slot, offset);

	emit_line(emit, "store i32 %s, ptr %s", value.text, at.text);
}

/* The elements of a vector operand as 32-bit numbers of the place. */
static void put_vector(struct emit *emit, uint32_t slot, size_t offset, unsigned count,
    const struct ptx_operand *vector, bool is_signed)
{
	if (vector->kind != PTX_OPERAND_VECTOR || vector->n_elements != count)
		emit_fail(emit, "a tensor copy takes %u numbers here", count);
	for (unsigned i = 0; i < count; i++)
		put_number(emit, slot, offset + i * sizeof(int32_t),
		    operand_get(emit, &vector->elements[i], IR_I32, is_signed));
}

/* [map, {coordinates}] */
static struct value map_at(
    struct emit *emit, union sg_tensor in, uint32_t slot, const struct ptx_operand *operand)
{
	unsigned count = in.mode == SG_TENSOR_ROWS ? 5 : in.rank;

	if (operand->kind != PTX_OPERAND_ADDRESS || operand->n_elements != 2)
		emit_fail(emit, "a tensor copy needs [map, {coordinates}]");
	put_vector(
	    emit, slot, offsetof(struct sg_tensor_place, at), count, &operand->elements[1], true);
	return effective_address(emit, operand);
}

static void call_copy(struct emit *emit, union sg_tensor in, uint32_t slot, struct value map,
    struct value shared, struct value mbarrier)
{
	emit_line(emit,
	    "call void @sg_tensor_copy(ptr %%lane, i32 %d, i64 %s, ptr %%a%u, i64 %s, i64 %s)",
	    (int32_t)in.bits, map.text, slot, shared.text, mbarrier.text);
}

/* [to], [map, coordinates], [mbarrier] {, offsets} {, mask of blocks} {, policy} */
static void load(struct emit *emit, union sg_tensor in, uint32_t slot)
{
	const struct ptx_operand *operands = emit->in->operands;
	struct value to = bulk_address(emit, 0), mbarrier = bulk_address(emit, 2), map;
	unsigned next = 3;

	in.is_cluster = has(emit, PTX_MODIFIER_shared_cluster);
	in.multicast = has(emit, PTX_MODIFIER_multicast_cluster);
	in.is_paired = has(emit, PTX_MODIFIER_cta_group_2);
	map = map_at(emit, in, slot, &operands[1]);
	if (in.mode >= SG_TENSOR_IM2COL && in.rank > 2) {
		if (next >= emit->in->n_operands)
			emit_fail(emit, "im2col takes offsets");
		put_vector(emit, slot, offsetof(struct sg_tensor_place, offsets),
		    in.mode == SG_TENSOR_IM2COL ? in.rank - 2u : 2, &operands[next++], false);
	}
	if (in.multicast)
		put_number(emit, slot, offsetof(struct sg_tensor_place, blocks),
		    source(emit, next, PTX_TYPE_u32));
	call_copy(emit, in, slot, map, to, mbarrier);
}

/* cp{.reduce}.async.bulk.tensor, and its prefetch, which does nothing. */
void emit_tensor_copy(struct emit *emit)
{
	union sg_tensor in = {.rank = rank_of(emit) & 7, .mode = mode_of(emit) & 7};
	uint32_t slot;
	struct value map, from;

	if (has(emit, PTX_MODIFIER_prefetch))
		return;
	slot = emit->n_temps++;
	text_format(&emit->prologue, "  %%a%u = alloca [%zu x i8], align 4\n", slot,
	    sizeof(struct sg_tensor_place));
	if (has(emit, PTX_MODIFIER_mbarrier_complete_tx_bytes)) {
		load(emit, in, slot);
		return;
	}
	in.direction = has(emit, PTX_MODIFIER_reduce) ? SG_TENSOR_REDUCE : SG_TENSOR_STORE;
	if (in.direction == SG_TENSOR_REDUCE)
		in.reduction = bulk_reduction(emit) & 7;
	from = bulk_address(emit, 1);
	map = map_at(emit, in, slot, &emit->in->operands[0]);
	call_copy(emit, in, slot, map, from, (struct value){"0"});
}

static enum sg_tensor_field field_of(struct emit *emit)
{
	static const struct {
		enum ptx_modifier modifier;
		enum sg_tensor_field field;
	} fields[] = {
	    {PTX_MODIFIER_global_address, SG_FIELD_ADDRESS},
	    {PTX_MODIFIER_rank, SG_FIELD_RANK},
	    {PTX_MODIFIER_box_dim, SG_FIELD_BOX},
	    {PTX_MODIFIER_global_dim, SG_FIELD_DIMENSION},
	    {PTX_MODIFIER_global_stride, SG_FIELD_STRIDE},
	    {PTX_MODIFIER_element_stride, SG_FIELD_STEP},
	    {PTX_MODIFIER_elemtype, SG_FIELD_TYPE},
	    {PTX_MODIFIER_interleave_layout, SG_FIELD_INTERLEAVE},
	    {PTX_MODIFIER_swizzle_mode, SG_FIELD_SWIZZLE},
	    {PTX_MODIFIER_swizzle_atomicity, SG_FIELD_ATOM},
	    {PTX_MODIFIER_fill_mode, SG_FIELD_FILL},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(fields); i++)
		if (has(emit, fields[i].modifier))
			return fields[i].field;
	emit_unsupported(emit);
}

/* tensormap.replace.tile.field.b1024.type [map] {, ordinal}, value */
static void replace(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 1);
	unsigned last = emit->in->n_operands - 1u;
	enum sg_tensor_field field = field_of(emit);
	struct value map = memory_pointer(emit, emit->in->operands, space_of(emit), 128, true);
	struct value ordinal = last == 2 ? source(emit, 1, PTX_TYPE_u32) : (struct value){"0"};
	struct value value =
	    convert_bits(emit, source(emit, last, type), ir_of(type), IR_I64, false);

	emit_line(emit, "call void @sg_tensor_replace(ptr %%lane, ptr %s, i32 %d, i32 %s, i64 %s)",
	    map.text, field, ordinal.text, value.text);
}

/* tensormap.cp_fenceproxy.global.shared::cta... [to], [from], 128 */
void emit_tensormap(struct emit *emit)
{
	struct value to, from;

	if (has(emit, PTX_MODIFIER_replace)) {
		replace(emit);
		return;
	}
	to = memory_pointer(emit, &emit->in->operands[0], PTX_SPACE_GLOBAL, 128, true);
	from = memory_pointer(emit, &emit->in->operands[1], PTX_SPACE_SHARED, 128, false);
	emit_line(
	    emit, "call void @sg_copy_async(ptr %s, ptr %s, i32 128, i32 128)", to.text, from.text);
}
