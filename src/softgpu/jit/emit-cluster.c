/*
 * Clusters (PTX ISA 9.7.9.23, 10): where a block is in its cluster, addresses of other blocks'
 * shared memory, and taking over blocks that have not begun (clusterlaunchcontrol). What a block's
 * number says of its cluster is computed where it is asked for: few kernels do.
 */
#include "softgpu/exec/lane.h"
#include "softgpu/jit/emit.h"

static struct value size_of(struct emit *emit, unsigned axis)
{
	struct value at = lane_fact(emit, "ptr", offsetof(struct sg_lane, cluster));

	at = emit_value(emit, "getelementptr i32, ptr %s, i32 %u", at.text, axis);
	return emit_value(emit, "load i32, ptr %s, !invariant.load !0", at.text);
}

static struct value divided(struct emit *emit, const char *operation, size_t field, unsigned axis)
{
	struct value number = lane_field(emit, IR_I32, field + axis * sizeof(uint32_t));

	return emit_value(emit, "%s i32 %s, %s", operation, number.text, size_of(emit, axis).text);
}

static struct value inside(struct emit *emit, unsigned axis)
{
	return divided(emit, "urem", offsetof(struct sg_lane, ctaid), axis);
}

/* x + size_x * (y + size_y * z); of the sizes, their product. */
static struct value rank(struct emit *emit, bool is_total)
{
	struct value sum = is_total ? size_of(emit, 2) : inside(emit, 2);

	for (int axis = 1; axis >= 0; axis--) {
		sum = emit_value(
		    emit, "mul i32 %s, %s", sum.text, size_of(emit, (unsigned)axis).text);
		if (!is_total)
			sum = emit_value(
			    emit, "add i32 %s, %s", sum.text, inside(emit, (unsigned)axis).text);
	}
	return sum;
}

#define AXES(name, value_of)                                                                       \
	case PTX_SPECIAL_##name##_x:                                                               \
		return value_of(0);                                                                \
	case PTX_SPECIAL_##name##_y:                                                               \
		return value_of(1);                                                                \
	case PTX_SPECIAL_##name##_z:                                                               \
		return value_of(2)

struct value cluster_value(struct emit *emit, enum ptx_special special)
{
#define CLUSTERID(axis)	     divided(emit, "udiv", offsetof(struct sg_lane, ctaid), axis)
#define NCLUSTERID(axis)     divided(emit, "udiv", offsetof(struct sg_lane, nctaid), axis)
#define CLUSTER_CTAID(axis)  inside(emit, axis)
#define CLUSTER_NCTAID(axis) size_of(emit, axis)
	switch (special) {
		AXES(clusterid, CLUSTERID);
		AXES(nclusterid, NCLUSTERID);
		AXES(cluster_ctaid, CLUSTER_CTAID);
		AXES(cluster_nctaid, CLUSTER_NCTAID);
	case PTX_SPECIAL_cluster_ctarank:
		return rank(emit, false);
	case PTX_SPECIAL_cluster_nctarank:
		return rank(emit, true);
	default: /* is_explicit_cluster */
		return emit_value(emit, "icmp ne i32 %s, 0", size_of(emit, 3).text);
	}
}

/* mapa{.shared::cluster}.type d, a, rank */
void emit_mapa(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	struct value address =
	    convert_bits(emit, source(emit, 1, type), ir_of(type), IR_I64, false);
	struct value to = source(emit, 2, PTX_TYPE_u32);

	address = emit_value(emit, "call i64 @sg_cluster_map(ptr %%lane, i64 %s, i32 %s, i1 %d)",
	    address.text, to.text, space_of(emit) != PTX_SPACE_CLUSTER);
	operand_set(emit, emit->in->operands, address, IR_I64, false);
}

/* getctarank{.shared::cluster}.type d, a */
void emit_getctarank(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	struct value address =
	    convert_bits(emit, source(emit, 1, type), ir_of(type), IR_I64, false);

	destination(emit, 0,
	    emit_value(emit, "call i32 @sg_cluster_rank(ptr %%lane, i64 %s, i1 %d)", address.text,
		space_of(emit) != PTX_SPACE_CLUSTER),
	    PTX_TYPE_u32);
}

/* clusterlaunchcontrol.try_cancel...b128 [answer], [mbarrier] */
static void try_cancel(struct emit *emit)
{
	struct value places[2];

	for (unsigned i = 0; i < 2; i++) {
		places[i] = bulk_address(emit, i);
		if (space_of(emit) == PTX_SPACE_GENERIC)
			places[i] = emit_value(emit,
			    "call i64 @sg_cluster_from_generic(ptr %%lane, i64 %s)",
			    places[i].text);
	}
	emit_line(emit, "call void @sg_cluster_cancel(ptr %%lane, i64 %s, i64 %s, i1 %d)",
	    places[0].text, places[1].text, has(emit, PTX_MODIFIER_multicast_cluster_all));
}

/* Of four words: whether there is a block, and its place. */
static struct value answer_word(struct emit *emit, struct value answer, unsigned word)
{
	struct value shifted = emit_value(emit, "lshr i128 %s, %u", answer.text, word * 32);

	return emit_value(emit, "trunc i128 %s to i32", shifted.text);
}

/* clusterlaunchcontrol.query_cancel.what d, answer */
void emit_clusterlaunchcontrol(struct emit *emit)
{
	static const enum ptx_modifier axes[] = {PTX_MODIFIER_get_first_ctaid_x,
	    PTX_MODIFIER_get_first_ctaid_y, PTX_MODIFIER_get_first_ctaid_z};
	const struct ptx_operand *d = emit->in->operands;
	struct value answer;

	if (has(emit, PTX_MODIFIER_try_cancel)) {
		try_cancel(emit);
		return;
	}
	answer = source(emit, 1, PTX_TYPE_b128);
	if (has(emit, PTX_MODIFIER_is_canceled)) {
		answer = emit_value(emit, "icmp ne i32 %s, 0", answer_word(emit, answer, 0).text);
		operand_set(emit, d, answer, IR_I1, false);
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(axes); i++)
		if (has(emit, axes[i])) {
			operand_set(emit, d, answer_word(emit, answer, i + 1), IR_I32, false);
			return;
		}
	if (!has(emit, PTX_MODIFIER_get_first_ctaid))
		emit_unsupported(emit);
	for (unsigned i = 0; i < 4; i++)
		operand_set(emit, memory_element(emit, d, 4, i),
		    answer_word(emit, answer, (i + 1) % 4), IR_I32, false);
}
