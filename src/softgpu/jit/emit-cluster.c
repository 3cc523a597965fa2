/*
 * Clusters (PTX ISA 9.7.9.23, 10): where a block is in its cluster, addresses of other blocks'
 * shared memory, and taking over blocks that have not begun (clusterlaunchcontrol). What a block's
 * number says of its cluster is computed where it is asked for: few kernels do.
 */
#include "softgpu/exec/lane.h"
#include "softgpu/jit/emit.h"

#define MOST_RANKS 64

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

/*
 * Addresses. All is plain arithmetic, so that it can be done for many lanes at once. Of an address
 * that is in no block's memory only what is added to it changes: a first lane that lies before an
 * array still tells where the others are.
 */

static struct value fact(struct emit *emit, size_t offset)
{
	return lane_fact(emit, "i64", offset);
}

static struct value fact_of_32_bits(struct emit *emit, size_t offset)
{
	return emit_value(emit, "zext i32 %s to i64", lane_fact(emit, "i32", offset).text);
}

static struct value own_rank(struct emit *emit)
{
	return fact_of_32_bits(emit, offsetof(struct sg_lane, cluster_rank));
}

struct place {
	struct value offset; /* the address less the start of the block's memory */
	struct value rank;
};

/* A block's numbers are from 1 on; without one it is the own. */
static struct place place_in_window(struct emit *emit, struct value address)
{
	struct value number =
	    emit_value(emit, "lshr i64 %s, %d", address.text, SG_CLUSTER_RANK_BIT);
	struct value rank = emit_value(emit, "sub i64 %s, 1", number.text), start, is_named;
	struct place place;

	is_named = emit_value(emit, "icmp ult i64 %s, %d", rank.text, MOST_RANKS);
	start = emit_value(emit, "shl i64 %s, %d", number.text, SG_CLUSTER_RANK_BIT);
	start = emit_value(emit, "select i1 %s, i64 %s, i64 0", is_named.text, start.text);
	place.offset = emit_value(emit, "sub i64 %s, %s", address.text, start.text);
	place.rank = emit_value(
	    emit, "select i1 %s, i64 %s, i64 %s", is_named.text, rank.text, own_rank(emit).text);
	return place;
}

/* What is in no block's memory is taken to be near the own. */
static struct place place_in_memory(struct emit *emit, struct value address)
{
	struct value base = fact(emit, offsetof(struct sg_lane, cluster_base));
	struct value size = fact(emit, offsetof(struct sg_lane, shared_size));
	struct value count = fact_of_32_bits(emit, offsetof(struct sg_lane, cluster_blocks));
	struct value inside = emit_value(emit, "sub i64 %s, %s", address.text, base.text);
	struct value rank = emit_value(emit, "lshr i64 %s, %d", inside.text, SG_SHARED_STRIDE_BITS);
	struct value there = emit_value(emit, "and i64 %s, %llu", inside.text,
			 (unsigned long long)SG_SHARED_STRIDE - 1),
		     start;
	struct place place;

	there = emit_value(emit, "icmp ult i64 %s, %s", there.text, size.text);
	size = emit_value(emit, "icmp ult i64 %s, %s", rank.text, count.text);
	there = emit_value(emit, "and i1 %s, %s", there.text, size.text);
	place.rank = emit_value(
	    emit, "select i1 %s, i64 %s, i64 %s", there.text, rank.text, own_rank(emit).text);
	start = emit_value(emit, "shl i64 %s, %d", place.rank.text, SG_SHARED_STRIDE_BITS);
	place.offset = emit_value(emit, "sub i64 %s, %s", inside.text, start.text);
	return place;
}

static struct value window_address(struct emit *emit, struct value rank, struct value offset)
{
	struct value number = emit_value(emit, "add i64 %s, 1", rank.text);

	number = emit_value(emit, "shl i64 %s, %d", number.text, SG_CLUSTER_RANK_BIT);
	return emit_value(emit, "add i64 %s, %s", number.text, offset.text);
}

static struct value memory_address(struct emit *emit, struct value rank, struct value offset)
{
	struct value base = fact(emit, offsetof(struct sg_lane, cluster_base)), start;

	start = emit_value(emit, "shl i64 %s, %d", rank.text, SG_SHARED_STRIDE_BITS);
	start = emit_value(emit, "add i64 %s, %s", base.text, start.text);
	return emit_value(emit, "add i64 %s, %s", start.text, offset.text);
}

static struct value is_block(struct emit *emit, struct value rank)
{
	struct value count = fact_of_32_bits(emit, offsetof(struct sg_lane, cluster_blocks));

	return emit_value(emit, "icmp ult i64 %s, %s", rank.text, count.text);
}

struct value cluster_to_generic(struct emit *emit, struct value address)
{
	struct place place = place_in_window(emit, address);

	return memory_address(emit, place.rank, place.offset);
}

struct value cluster_from_generic(struct emit *emit, struct value address)
{
	struct place place = place_in_memory(emit, address);
	struct value is_own =
	    emit_value(emit, "icmp eq i64 %s, %s", place.rank.text, own_rank(emit).text);

	return emit_value(emit, "select i1 %s, i64 %s, i64 %s", is_own.text, place.offset.text,
	    window_address(emit, place.rank, place.offset).text);
}

struct value cluster_checked(struct emit *emit, struct value address, unsigned size)
{
	struct place place = place_in_window(emit, address);
	struct value room = fact(emit, offsetof(struct sg_lane, shared_size)), end, is_inside;

	end = emit_value(emit, "add i64 %s, %u", place.offset.text, size);
	is_inside = emit_value(emit, "icmp ule i64 %s, %s", end.text, room.text);
	is_inside =
	    emit_value(emit, "and i1 %s, %s", is_inside.text, is_block(emit, place.rank).text);
	return emit_value(emit, "select i1 %s, i64 %s, i64 0", is_inside.text,
	    memory_address(emit, place.rank, place.offset).text);
}

static bool is_of_window(struct emit *emit)
{
	return space_of(emit) == PTX_SPACE_CLUSTER;
}

static struct place place_of_operand(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	struct value address =
	    convert_bits(emit, source(emit, 1, type), ir_of(type), IR_I64, false);

	return is_of_window(emit) ? place_in_window(emit, address) : place_in_memory(emit, address);
}

/* mapa{.shared::cluster}.type d, a, rank: the same place in another block's memory; a generic
 * address that is none where there is no such block. */
void emit_mapa(struct emit *emit)
{
	struct place place = place_of_operand(emit);
	struct value rank =
	    emit_value(emit, "zext i32 %s to i64", source(emit, 2, PTX_TYPE_u32).text);
	struct value address;

	if (is_of_window(emit)) {
		rank = emit_value(emit, "and i64 %s, %d", rank.text, MOST_RANKS - 1);
		address = window_address(emit, rank, place.offset);
	} else {
		address = emit_value(emit, "select i1 %s, i64 %s, i64 0", is_block(emit, rank).text,
		    memory_address(emit, rank, place.offset).text);
	}
	operand_set(emit, emit->in->operands, address, IR_I64, false);
}

/* getctarank{.shared::cluster}.type d, a */
void emit_getctarank(struct emit *emit)
{
	struct place place = place_of_operand(emit);

	destination(
	    emit, 0, emit_value(emit, "trunc i64 %s to i32", place.rank.text), PTX_TYPE_u32);
}

/* clusterlaunchcontrol.try_cancel...b128 [answer], [mbarrier] */
static void try_cancel(struct emit *emit)
{
	struct value places[2];

	for (unsigned i = 0; i < 2; i++) {
		places[i] = bulk_address(emit, i);
		if (space_of(emit) == PTX_SPACE_GENERIC)
			places[i] = cluster_from_generic(emit, places[i]);
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
