/*
 * Instructions at which threads meet: barriers, shuffles, votes (PTX ISA 9.7.9, 9.7.13). All are
 * calls into the machine, which runs other threads until all have come (softgpu/exec/warp.c,
 * barrier.c).
 */
#include "softgpu/exec/lane.h"
#include "softgpu/jit/emit.h"

static struct value exchange(struct emit *emit, enum sg_exchange kind, struct value mask,
    struct value value, struct value b, struct value c)
{
	return emit_value(emit,
	    "call i64 @sg_exchange(ptr %%lane, i32 %d, i32 %s, i64 %s, i32 %s, i32 %s)", kind,
	    mask.text, value.text, b.text, c.text);
}

static struct value zero(void)
{
	return (struct value){"0"};
}

/* The last operand of the .sync forms; the old forms mean the whole warp. */
static struct value member_mask(struct emit *emit, unsigned index)
{
	if (!has(emit, PTX_MODIFIER_sync) || index >= emit->in->n_operands)
		return (struct value){"-1"};
	return source(emit, index, PTX_TYPE_u32);
}

static void set_low(struct emit *emit, const struct ptx_operand *operand, struct value result)
{
	operand_set(
	    emit, operand, emit_value(emit, "trunc i64 %s to i32", result.text), IR_I32, false);
}

/* Results of value | predicate << 32 to d or d|p. */
static void set_with_predicate(struct emit *emit, struct value result)
{
	const struct ptx_operand *d = emit->in->operands;
	struct value predicate;

	if (d->kind != PTX_OPERAND_PAIR) {
		set_low(emit, d, result);
		return;
	}
	set_low(emit, &d->elements[0], result);
	predicate = emit_value(emit, "lshr i64 %s, 32", result.text);
	predicate = emit_value(emit, "trunc i64 %s to i1", predicate.text);
	operand_set(emit, &d->elements[1], predicate, IR_I1, false);
}

void emit_shfl(struct emit *emit)
{
	enum sg_exchange kind = has(emit, PTX_MODIFIER_up)     ? SG_EXCHANGE_SHFL_UP
				: has(emit, PTX_MODIFIER_down) ? SG_EXCHANGE_SHFL_DOWN
				: has(emit, PTX_MODIFIER_bfly) ? SG_EXCHANGE_SHFL_BFLY
							       : SG_EXCHANGE_SHFL_IDX;
	struct value value = source(emit, 1, PTX_TYPE_b32);
	struct value b = source(emit, 2, PTX_TYPE_u32), c = source(emit, 3, PTX_TYPE_u32);

	value = emit_value(emit, "zext i32 %s to i64", value.text);
	set_with_predicate(emit, exchange(emit, kind, member_mask(emit, 4), value, b, c));
}

void emit_vote(struct emit *emit)
{
	struct value value = source(emit, 1, PTX_TYPE_pred), result;
	enum sg_exchange kind = has(emit, PTX_MODIFIER_all)   ? SG_EXCHANGE_VOTE_ALL
				: has(emit, PTX_MODIFIER_any) ? SG_EXCHANGE_VOTE_ANY
				: has(emit, PTX_MODIFIER_uni) ? SG_EXCHANGE_VOTE_UNI
							      : SG_EXCHANGE_BALLOT;

	value = emit_value(emit, "zext i1 %s to i64", value.text);
	result = exchange(emit, kind, member_mask(emit, 2), value, zero(), zero());
	if (kind == SG_EXCHANGE_BALLOT)
		set_low(emit, emit->in->operands, result);
	else
		destination(
		    emit, 0, emit_value(emit, "trunc i64 %s to i1", result.text), PTX_TYPE_pred);
}

void emit_match(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	struct value value = convert_bits(emit, source(emit, 1, type), ir_of(type), IR_I64, false);

	set_with_predicate(
	    emit, exchange(emit,
		      has(emit, PTX_MODIFIER_all) ? SG_EXCHANGE_MATCH_ALL : SG_EXCHANGE_MATCH_ANY,
		      member_mask(emit, 2), value, zero(), zero()));
}

void emit_redux(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	bool is_signed = ptx_type_is_signed(type);
	struct value value;
	struct value flags = zero();
	enum sg_exchange kind;

	if (ptx_type_is_float(type)) {
		kind = SG_EXCHANGE_REDUX_FLOAT;
		flags = ir_constant(IR_I32, (has(emit, PTX_MODIFIER_max) ? SG_REDUX_MAX : 0) |
						(has(emit, PTX_MODIFIER_abs) ? SG_REDUX_ABS : 0) |
						(has(emit, PTX_MODIFIER_NaN) ? SG_REDUX_NAN : 0));
	} else if (has(emit, PTX_MODIFIER_add))
		kind = SG_EXCHANGE_REDUX_ADD;
	else if (has(emit, PTX_MODIFIER_min))
		kind = is_signed ? SG_EXCHANGE_REDUX_MIN_S : SG_EXCHANGE_REDUX_MIN_U;
	else if (has(emit, PTX_MODIFIER_max))
		kind = is_signed ? SG_EXCHANGE_REDUX_MAX_S : SG_EXCHANGE_REDUX_MAX_U;
	else if (has(emit, PTX_MODIFIER_and))
		kind = SG_EXCHANGE_REDUX_AND;
	else
		kind = has(emit, PTX_MODIFIER_or) ? SG_EXCHANGE_REDUX_OR : SG_EXCHANGE_REDUX_XOR;
	value = emit_value(emit, "zext i32 %s to i64", source(emit, 1, PTX_TYPE_b32).text);
	set_low(emit, emit->in->operands,
	    exchange(emit, kind, member_mask(emit, 2), value, flags, zero()));
}

/*
 * Lanes belong together when they ask at the same place. In a function that was not inlined (nvcc
 * -G wraps every intrinsic) the place is the call: each call notes its own.
 */
static struct value active_mask(struct emit *emit)
{
	struct value site = ir_constant(IR_I32, code_site(emit)), caller = site;

	if (!emit->function->is_entry)
		caller = lane_field(emit, IR_I32, offsetof(struct sg_lane, call_site));
	return exchange(emit, SG_EXCHANGE_ACTIVE, zero(), zero(), site, caller);
}

void emit_activemask(struct emit *emit)
{
	set_low(emit, emit->in->operands, active_mask(emit));
}

void emit_join(struct emit *emit)
{
	if (emit->joins[emit->position]) {
		active_mask(emit);
		emit->owes_turn = false;
	}
}

void emit_elect(struct emit *emit)
{
	set_with_predicate(emit, exchange(emit, SG_EXCHANGE_ELECT, source(emit, 1, PTX_TYPE_u32),
				     zero(), zero(), zero()));
}

/* {number {, count}} from operand first on; without a count all threads of the block take part. */
static void barrier_operands(
    struct emit *emit, unsigned first, unsigned behind, struct value *number, struct value *count)
{
	unsigned n = emit->in->n_operands - behind;

	*number = n > first ? source(emit, first, PTX_TYPE_u32) : zero();
	*count = n > first + 1 ? source(emit, first + 1, PTX_TYPE_u32) : zero();
}

static void barrier_reduce(struct emit *emit)
{
	enum sg_barrier_reduction operation = has(emit, PTX_MODIFIER_popc)  ? SG_BARRIER_POPC
					      : has(emit, PTX_MODIFIER_and) ? SG_BARRIER_AND
									    : SG_BARRIER_OR;
	struct value number, count, predicate, result;

	if (emit->in->n_operands < 3)
		emit_fail(emit, "bar.red takes a result, a barrier and a predicate");
	barrier_operands(emit, 1, 1, &number, &count);
	predicate = emit_value(
	    emit, "zext i1 %s to i32", source(emit, emit->in->n_operands - 1u, PTX_TYPE_pred).text);
	result =
	    emit_value(emit, "call i32 @sg_barrier_red(ptr %%lane, i32 %s, i32 %s, i32 %d, i32 %s)",
		number.text, count.text, operation, predicate.text);
	if (operation == SG_BARRIER_POPC)
		operand_set(emit, emit->in->operands, result, IR_I32, false);
	else
		destination(
		    emit, 0, emit_value(emit, "trunc i32 %s to i1", result.text), PTX_TYPE_pred);
}

void emit_bar(struct emit *emit)
{
	struct value number, count;

	if (has(emit, PTX_MODIFIER_warp)) {
		exchange(emit, SG_EXCHANGE_SYNC, member_mask(emit, 0), zero(), zero(), zero());
	} else if (has(emit, PTX_MODIFIER_cluster)) {
		emit_line(emit, "call void @sg_cluster_%s(ptr %%lane)",
		    has(emit, PTX_MODIFIER_wait) ? "wait" : "arrive");
	} else if (has(emit, PTX_MODIFIER_red)) {
		barrier_reduce(emit);
	} else {
		barrier_operands(emit, 0, 0, &number, &count);
		emit_line(emit, "call void @sg_barrier%s(ptr %%lane, i32 %s, i32 %s)",
		    has(emit, PTX_MODIFIER_arrive) ? "_arrive" : "", number.text, count.text);
	}
}

void emit_nanosleep(struct emit *emit)
{
	emit_line(emit, "call void @sg_nanosleep(ptr %%lane, i32 %s)",
	    source(emit, 0, PTX_TYPE_u32).text);
}

/* The operand that is an address: 0, or 1 behind a result. */
static unsigned address_index(const struct emit *emit)
{
	return emit->in->operands[0].kind == PTX_OPERAND_ADDRESS ? 0 : 1;
}

static struct value mbarrier(
    struct emit *emit, enum sg_mbarrier_operation operation, struct value at, struct value value)
{
	return emit_value(emit, "call i64 @sg_mbarrier(ptr %%lane, i32 %d, ptr %s, i64 %s)",
	    operation, at.text, value.text);
}

static void mbarrier_arrive(struct emit *emit, struct value at, unsigned index)
{
	enum sg_mbarrier_operation operation =
	    has(emit, PTX_MODIFIER_arrive_drop) ? SG_MBARRIER_DROP : SG_MBARRIER_ARRIVE;
	struct value count = {"1"}, extra, state;

	if (emit->in->n_operands > index + 1) {
		extra = emit_value(
		    emit, "zext i32 %s to i64", source(emit, index + 1, PTX_TYPE_u32).text);
		if (has(emit, PTX_MODIFIER_expect_tx))
			mbarrier(emit, SG_MBARRIER_EXPECT, at, extra);
		else
			count = extra;
	}
	state = mbarrier(emit, operation, at, count);
	if (index)
		operand_set(emit, emit->in->operands, state, IR_I64, false);
}

static void mbarrier_wait(struct emit *emit, struct value at)
{
	bool parity = has(emit, PTX_MODIFIER_parity);
	struct value value = source(emit, 2, parity ? PTX_TYPE_u32 : PTX_TYPE_b64);

	if (parity)
		value = emit_value(emit, "zext i32 %s to i64", value.text);
	value = mbarrier(emit, parity ? SG_MBARRIER_TEST_PARITY : SG_MBARRIER_TEST, at, value);
	destination(emit, 0, emit_value(emit, "trunc i64 %s to i1", value.text), PTX_TYPE_pred);
}

void emit_mbarrier(struct emit *emit)
{
	unsigned index = address_index(emit);
	struct value at, value;

	if (has(emit, PTX_MODIFIER_pending_count)) {
		value = emit_value(emit, "call i32 @sg_mbarrier_pending(i64 %s)",
		    source(emit, 1, PTX_TYPE_b64).text);
		destination(emit, 0, value, PTX_TYPE_u32);
		return;
	}
	if (index >= emit->in->n_operands)
		emit_fail(emit, "mbarrier needs an address");
	at = memory_pointer(emit, &emit->in->operands[index], space_of(emit), 8, true);
	if (has(emit, PTX_MODIFIER_inval))
		return;
	if (has(emit, PTX_MODIFIER_arrive) || has(emit, PTX_MODIFIER_arrive_drop)) {
		mbarrier_arrive(emit, at, index);
	} else if (has(emit, PTX_MODIFIER_test_wait) || has(emit, PTX_MODIFIER_try_wait)) {
		mbarrier_wait(emit, at);
	} else {
		value = emit_value(
		    emit, "zext i32 %s to i64", source(emit, index + 1, PTX_TYPE_u32).text);
		mbarrier(emit,
		    has(emit, PTX_MODIFIER_init)	? SG_MBARRIER_INIT
		    : has(emit, PTX_MODIFIER_expect_tx) ? SG_MBARRIER_EXPECT
							: SG_MBARRIER_COMPLETE,
		    at, value);
	}
}

/* cp.async.mbarrier.arrive{.noinc} [at]: the copies are done, so it arrives now; without .noinc it
 * also adds itself to the count, which comes to nothing. */
void emit_mbarrier_of_copies(struct emit *emit)
{
	struct value at = memory_pointer(emit, emit->in->operands, space_of(emit), 8, true);

	if (has(emit, PTX_MODIFIER_noinc))
		mbarrier(emit, SG_MBARRIER_ARRIVE, at, (struct value){"1"});
}
