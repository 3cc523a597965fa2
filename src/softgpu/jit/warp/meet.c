/*
 * Where the lanes of a warp meet: votes, shuffles, barriers (PTX ISA 9.7.9, 9.7.13).
 *
 * A warp's lanes stand at the same place already, so that what they do together is done in one go:
 * a vote looks at bits, a shuffle by constants permutes a vector, and everything else is one call
 * of the machine, with all lanes' values in memory. Only barriers wait, for other warps.
 *
 * The members an instruction names are taken to be here: blocks where lanes may be waiting
 * elsewhere are refused.
 */
#include <stdio.h>

#include "softgpu/exec/lane.h"
#include "softgpu/jit/warp/warp.h"

static struct value zero(void)
{
	return (struct value){"0"};
}

static bool is_uniform_operand(const struct warp *warp, unsigned index)
{
	return shape_is_uniform(shape_of_operand(&warp->facts, &warp->emit.in->operands[index], 0));
}

static bool names_members(struct emit *emit, unsigned index)
{
	return (has(emit, PTX_MODIFIER_sync) || emit->in->opcode == PTX_OP_elect) &&
	       index < emit->in->n_operands;
}

/* The lanes that take part, as an i32. */
static struct value members(struct warp *warp, unsigned index)
{
	struct emit *emit = &warp->emit;
	struct value here = mask_bits(warp, warp->mask);

	if (!names_members(emit, index))
		return here;
	return emit_value(
	    emit, "and i32 %s, %s", here.text, source(emit, index, PTX_TYPE_u32).text);
}

/* Lanes that run and whose predicate holds. */
static struct value voters(struct warp *warp, unsigned index)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	struct value yes = wide_get(warp, &emit->in->operands[index], IR_I1);

	return emit_value(emit, "select <%u x i1> %s, <%u x i1> %s, <%u x i1> zeroinitializer",
	    width, warp->mask.text, width, yes.text, width);
}

static void vote(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	struct value all = members(warp, 2), yes = mask_bits(warp, voters(warp, 1)), none;

	yes = emit_value(emit, "and i32 %s, %s", yes.text, all.text);
	if (has(emit, PTX_MODIFIER_ballot)) {
		set_same(warp, emit->in->operands, yes, IR_I32, false);
		return;
	}
	none = emit_value(emit, "icmp eq i32 %s, 0", yes.text);
	all = emit_value(emit, "icmp eq i32 %s, %s", yes.text, all.text);
	if (has(emit, PTX_MODIFIER_any))
		all = emit_value(emit, "xor i1 %s, true", none.text);
	else if (has(emit, PTX_MODIFIER_uni))
		all = emit_value(emit, "or i1 %s, %s", all.text, none.text);
	set_same(warp, emit->in->operands, all, IR_I1, false);
}

/* Part of the table the machine computes on: struct sg_exchange_table. */
static struct value table_part(struct warp *warp, size_t offset)
{
	return emit_value(&warp->emit, "getelementptr i8, ptr %%scratch, i64 %zu", offset);
}

static void table_set(struct warp *warp, size_t offset, struct value vector, enum ir_type type)
{
	struct value at = table_part(warp, offset);

	emit_line(&warp->emit, "store %s %s, ptr %s", wide_type(warp, type), vector.text, at.text);
}

static struct value wide_or(
    struct warp *warp, unsigned index, enum ir_type type, const char *otherwise)
{
	struct emit *emit = &warp->emit;
	struct value constant;

	if (index && index < emit->in->n_operands)
		return wide_get(warp, &emit->in->operands[index], type);
	snprintf(constant.text, sizeof(constant.text), "%s", otherwise);
	return wide_splat(warp, type, constant);
}

/* The operands of an exchange; 0 for none. */
struct exchange {
	enum sg_exchange kind;
	enum ir_type type;
	unsigned value, b, c, members;
};

/* Results are in the table afterwards. */
static void exchange(struct warp *warp, const struct exchange *x)
{
	struct emit *emit = &warp->emit;
	struct value value = wide_or(warp, x->value, x->type, "0");

	if (x->type != IR_I64)
		value = emit_value(emit, "zext %s %s to %s", wide_type(warp, x->type), value.text,
		    wide_type(warp, IR_I64));
	table_set(warp, offsetof(struct sg_exchange_table, value), value, IR_I64);
	table_set(
	    warp, offsetof(struct sg_exchange_table, b), wide_or(warp, x->b, IR_I32, "0"), IR_I32);
	table_set(
	    warp, offsetof(struct sg_exchange_table, c), wide_or(warp, x->c, IR_I32, "0"), IR_I32);
	table_set(warp, offsetof(struct sg_exchange_table, members),
	    wide_or(warp, names_members(emit, x->members) ? x->members : 0, IR_I32, "-1"), IR_I32);
	emit_line(emit, "call void @sg_warp_exchange(i32 %d, i32 %s, ptr %%scratch)", x->kind,
	    mask_bits(warp, warp->mask).text);
}

static struct value results(struct warp *warp)
{
	struct value at = table_part(warp, offsetof(struct sg_exchange_table, result));

	return emit_value(&warp->emit, "load %s, ptr %s", wide_type(warp, IR_I64), at.text);
}

/* value | predicate << 32 to d or d|p */
static void set_results(struct warp *warp, struct value result)
{
	struct emit *emit = &warp->emit;
	const struct ptx_operand *d = emit->in->operands;
	const char *wide = wide_type(warp, IR_I64);
	struct value low =
	    emit_value(emit, "trunc %s %s to %s", wide, result.text, wide_type(warp, IR_I32));
	struct value predicate;

	wide_set(warp, d->kind == PTX_OPERAND_PAIR ? &d->elements[0] : d, low, IR_I32, true, false);
	if (d->kind != PTX_OPERAND_PAIR)
		return;
	predicate = emit_value(emit, "lshr %s %s, %s", wide, result.text,
	    wide_splat(warp, IR_I64, (struct value){"32"}).text);
	predicate =
	    emit_value(emit, "trunc %s %s to %s", wide, predicate.text, wide_type(warp, IR_I1));
	wide_set(warp, &d->elements[1], predicate, IR_I1, true, false);
}

/* Lane 0's result is everybody's. */
static void set_first_result(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	struct value at = table_part(warp, offsetof(struct sg_exchange_table, common));
	struct value result = emit_value(emit, "load i32, ptr %s", at.text);

	set_same(warp, emit->in->operands, result, IR_I32, false);
}

static enum sg_exchange shuffle_kind(struct emit *emit)
{
	return has(emit, PTX_MODIFIER_up)     ? SG_EXCHANGE_SHFL_UP
	       : has(emit, PTX_MODIFIER_down) ? SG_EXCHANGE_SHFL_DOWN
	       : has(emit, PTX_MODIFIER_bfly) ? SG_EXCHANGE_SHFL_BFLY
					      : SG_EXCHANGE_SHFL_IDX;
}

/* Lanes that take part in an exchange within each warp of 32, "<W x i1>". */
static struct value members_of_warps(struct warp *warp, unsigned index)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	char indices[4096];
	struct value named;
	size_t used = 0;

	if (!names_members(emit, index))
		return warp->mask;
	for (uint32_t lane = 0; lane < width; lane++)
		used += (size_t)snprintf(indices + used, sizeof(indices) - used, "%si32 %u",
		    lane ? ", " : "", lane % SG_WARP_SIZE);
	named =
	    emit_value(emit, "bitcast i32 %s to <32 x i1>", source(emit, index, PTX_TYPE_u32).text);
	named = emit_value(emit, "shufflevector <32 x i1> %s, <32 x i1> poison, <%u x i32> <%s>",
	    named.text, width, indices);
	return emit_value(emit, "and <%u x i1> %s, %s", width, warp->mask.text, named.text);
}

/* Which lane each reads is known: a permutation. Whoever's source is no member reads itself. */
static void shuffle_by_numbers(struct warp *warp, uint32_t b, uint32_t c)
{
	struct emit *emit = &warp->emit;
	const struct ptx_operand *d = emit->in->operands;
	unsigned width = warp->facts.width;
	const char *type = wide_type(warp, IR_I32);
	char from[4096], valid[4096];
	size_t used_from = 0, used_valid = 0;
	uint32_t whole = emit_new_block(emit), part = emit_new_block(emit);
	uint32_t place = warp->n_places++;
	struct value all = members_of_warps(warp, 4), own = wide_get(warp, &d[1], IR_I32), moved;

	for (uint32_t lane = 0; lane < width; lane++) {
		bool is_valid;
		uint32_t source =
		    sg_shuffle_source(shuffle_kind(emit), lane % SG_WARP_SIZE, b, c, &is_valid);

		used_from += (size_t)snprintf(from + used_from, sizeof(from) - used_from,
		    "%si32 %u", lane ? ", " : "", lane - lane % SG_WARP_SIZE + source);
		used_valid += (size_t)snprintf(valid + used_valid, sizeof(valid) - used_valid,
		    "%si1 %d", lane ? ", " : "", is_valid);
	}
	moved = emit_value(emit, "shufflevector %s %s, %s poison, <%u x i32> <%s>", type, own.text,
	    type, width, from);
	text_format(&emit->prologue, "  %%x%u = alloca %s\n", place, type);
	emit_line(emit, "store %s %s, ptr %%x%u", type, moved.text, place);
	emit_branch_if(emit,
	    emit_value(emit, "icmp eq i%u %s, -1", width, mask_integer(warp, all).text), whole,
	    part);
	text_format(&emit->body, "b%u:\n", part);
	emit->open = true;
	all = emit_value(emit, "shufflevector <%u x i1> %s, <%u x i1> poison, <%u x i32> <%s>",
	    width, all.text, width, width, from);
	moved = emit_value(emit, "select <%u x i1> %s, %s %s, %s %s", width, all.text, type,
	    moved.text, type, own.text);
	emit_line(emit, "store %s %s, ptr %%x%u", type, moved.text, place);
	emit_start_block(emit, whole);
	moved = emit_value(emit, "load %s, ptr %%x%u", type, place);
	wide_set(
	    warp, d->kind == PTX_OPERAND_PAIR ? &d->elements[0] : d, moved, IR_I32, true, false);
	if (d->kind == PTX_OPERAND_PAIR)
		wide_set(warp, &d->elements[1],
		    emit_value(emit, "and <%u x i1> <%s>, <%s>", width, valid, valid), IR_I1, true,
		    false);
}

static void shuffle(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	struct exchange x = {shuffle_kind(emit), IR_I32, 1, 2, 3, 4};
	uint64_t b, c;

	if (facts_number(&warp->facts, &emit->in->operands[2], &b) &&
	    facts_number(&warp->facts, &emit->in->operands[3], &c) &&
	    (!names_members(emit, 4) || is_uniform_operand(warp, 4)))
		shuffle_by_numbers(warp, (uint32_t)b, (uint32_t)c);
	else {
		exchange(warp, &x);
		set_results(warp, results(warp));
	}
}

static enum sg_exchange reduction_kind(struct emit *emit)
{
	bool is_signed = ptx_type_is_signed(type_at(emit, 0));

	if (has(emit, PTX_MODIFIER_add))
		return SG_EXCHANGE_REDUX_ADD;
	if (has(emit, PTX_MODIFIER_min))
		return is_signed ? SG_EXCHANGE_REDUX_MIN_S : SG_EXCHANGE_REDUX_MIN_U;
	if (has(emit, PTX_MODIFIER_max))
		return is_signed ? SG_EXCHANGE_REDUX_MAX_S : SG_EXCHANGE_REDUX_MAX_U;
	if (has(emit, PTX_MODIFIER_and))
		return SG_EXCHANGE_REDUX_AND;
	return has(emit, PTX_MODIFIER_or) ? SG_EXCHANGE_REDUX_OR : SG_EXCHANGE_REDUX_XOR;
}

static void reduce(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	struct exchange x = {reduction_kind(emit), IR_I32, 1, 0, 0, 2};

	if (ptx_type_is_float(type_at(emit, 0)))
		emit_unsupported(emit);
	if (!is_uniform_operand(warp, 2))
		warp_refuse(warp, "redux of several groups of lanes");
	exchange(warp, &x);
	set_first_result(warp);
}

static void match(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	struct exchange x = {
	    has(emit, PTX_MODIFIER_all) ? SG_EXCHANGE_MATCH_ALL : SG_EXCHANGE_MATCH_ANY,
	    ir_of_bits(ptx_type_bits(type_at(emit, 0))), 1, 0, 0, 2};

	{
		exchange(warp, &x);
		set_results(warp, results(warp));
	}
}

static void elect(struct warp *warp)
{
	struct exchange x = {SG_EXCHANGE_ELECT, IR_I32, 0, 0, 0, 1};

	{
		exchange(warp, &x);
		set_results(warp, results(warp));
	}
}

/* {number {, count}} from operand first on. */
static void barrier_operands(
    struct warp *warp, unsigned first, unsigned behind, struct value *number, struct value *count)
{
	struct emit *emit = &warp->emit;
	unsigned n = emit->in->n_operands - behind;

	for (unsigned i = first; i < n; i++)
		if (!is_uniform_operand(warp, i))
			warp_refuse(warp, "lanes name different barriers");
	*number = n > first ? source(emit, first, PTX_TYPE_u32) : zero();
	*count = n > first + 1 ? source(emit, first + 1, PTX_TYPE_u32) : zero();
}

/* How many run. */
static struct value lanes_here(struct warp *warp)
{
	return integer_count(warp, mask_integer(warp, warp->mask));
}

static void barrier_reduce(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	enum sg_barrier_reduction operation = has(emit, PTX_MODIFIER_popc)  ? SG_BARRIER_POPC
					      : has(emit, PTX_MODIFIER_and) ? SG_BARRIER_AND
									    : SG_BARRIER_OR;
	struct value number, count, here = lanes_here(warp), yes, result;

	if (emit->in->n_operands < 3)
		emit_fail(emit, "bar.red takes a result, a barrier and a predicate");
	barrier_operands(warp, 1, 1, &number, &count);
	yes = voters(warp, emit->in->n_operands - 1u);
	yes = integer_count(warp, mask_integer(warp, yes));
	result = emit_value(emit,
	    "call i32 @sg_warp_barrier(ptr %%lane, i32 %s, i32 %s, i32 %s, i32 %d, i32 %s)",
	    here.text, number.text, count.text, operation, yes.text);
	if (operation == SG_BARRIER_POPC)
		set_same(warp, emit->in->operands, result, IR_I32, false);
	else
		set_same(warp, emit->in->operands,
		    emit_value(emit, "trunc i32 %s to i1", result.text), IR_I1, false);
}

static void barrier_of_cluster(struct warp *warp)
{
	struct emit *emit = &warp->emit;

	if (has(emit, PTX_MODIFIER_wait))
		emit_line(emit, "call void @sg_cluster_wait(ptr %%lane)");
	else
		emit_line(emit, "call void @sg_warp_cluster_arrive(ptr %%lane, i32 %s)",
		    lanes_here(warp).text);
}

static void call_barrier(
    struct emit *emit, struct value here, struct value number, struct value count)
{
	emit_value(emit,
	    "call i32 @sg_warp_barrier(ptr %%lane, i32 %s, i32 %s, i32 %s, i32 0, i32 0)",
	    here.text, number.text, count.text);
}

static bool is_first_barrier(const struct emit *emit)
{
	const struct ptx_operand *number = emit->in->operands;

	return emit->in->n_operands == 1 && number->kind == PTX_OPERAND_INTEGER && !number->value;
}

/*
 * The threads that are here wait for all others: for nobody, if they are the block. Most blocks in
 * step as a whole are small and do little between two barriers: reductions spent a sixth of their
 * time in calls of the machine. Where mistakes are looked for, it must know of each barrier.
 */
static void wait_for_block(struct warp *warp, struct value here, struct value number)
{
	struct emit *emit = &warp->emit;
	uint32_t others = emit_new_block(emit), alone = emit_new_block(emit);
	struct value all = lane_fact(emit, "i32", offsetof(struct sg_lane, n_threads));

	all = emit_value(emit, "icmp eq i32 %s, %s", here.text, all.text);
	emit_line(emit, "fence syncscope(\"singlethread\") seq_cst");
	emit_branch_if(emit, all, alone, others);
	emit_start_block(emit, others);
	call_barrier(emit, here, number, zero());
	emit_start_block(emit, alone);
}

static void barrier(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	struct value number, count, here;

	if (has(emit, PTX_MODIFIER_warp)) {
		emit_line(emit, "fence syncscope(\"singlethread\") seq_cst");
	} else if (has(emit, PTX_MODIFIER_cluster)) {
		barrier_of_cluster(warp);
	} else if (has(emit, PTX_MODIFIER_red)) {
		barrier_reduce(warp);
	} else {
		barrier_operands(warp, 0, 0, &number, &count);
		here = lanes_here(warp);
		if (has(emit, PTX_MODIFIER_arrive))
			emit_line(emit,
			    "call void @sg_warp_barrier_arrive(ptr %%lane, i32 %s, i32 %s, i32 "
			    "%s)",
			    here.text, number.text, count.text);
		else if (is_first_barrier(emit) && !emit->program->is_checked)
			wait_for_block(warp, here, number);
		else
			call_barrier(emit, here, number, count);
	}
}

void warp_meet(struct warp *warp)
{
	struct emit *emit = &warp->emit;

	switch (emit->in->opcode) {
	case PTX_OP_bar:
	case PTX_OP_barrier:
		barrier(warp);
		return;
	case PTX_OP_vote:
		if (names_members(emit, 2) && !is_uniform_operand(warp, 2))
			warp_refuse(warp, "a vote of several groups of lanes");
		vote(warp);
		return;
	case PTX_OP_shfl:
		shuffle(warp);
		return;
	case PTX_OP_redux:
		reduce(warp);
		return;
	case PTX_OP_match:
		match(warp);
		return;
	case PTX_OP_activemask:
		set_same(warp, emit->in->operands, mask_bits(warp, warp->mask), IR_I32, false);
		return;
	case PTX_OP_elect:
		elect(warp);
		return;
	case PTX_OP_mma:
	case PTX_OP_wmma:
	case PTX_OP_ldmatrix:
	case PTX_OP_stmatrix:
	case PTX_OP_movmatrix:
		warp_matrix(warp);
		return;
	case PTX_OP_wgmma:
		warp_wgmma(warp);
		return;
	case PTX_OP_tcgen05:
		warp_tcgen05(warp);
		return;
	default:
		warp_refuse(warp, ptx_opcode_info(emit->in->opcode)->name);
	}
}
