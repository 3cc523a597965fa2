/*
 * Atomics of a warp (PTX ISA 9.7.13, atom and red).
 *
 * Lanes that add the same to one place are one addition; whoever wants to know what was there
 * before sees the lanes come in turn. Different integers for one place are combined first. For
 * places of their own, lanes come one after the other without a loop when all are there; sums of
 * them may wait a while (tally.c). What is left is done lane by lane by the scalar machine's text.
 */
#include <stdio.h>

#include "softgpu/exec/lane.h"
#include "softgpu/jit/warp/warp.h"

struct update {
	enum ptx_type type;
	enum ir_type ir;
	const struct ptx_operand *result; /* NULL when nobody reads it */
	const struct ptx_operand *address, *value;
};

/* False for forms that are left to the lanes. */
static bool update_init(struct warp *warp, struct update *update)
{
	struct emit *emit = &warp->emit;
	const struct ptx_operand *operands = emit->in->operands;
	bool has_result = emit->in->opcode == PTX_OP_atom;

	*update = (struct update){
	    .type = type_at(emit, 0),
	    .address = &operands[has_result],
	    .value = &operands[has_result + 1],
	};
	update->ir = ir_of(update->type);
	if (has_result && operands->kind == PTX_OPERAND_REGISTER &&
	    bits_has(warp->facts.read, operands->reg))
		update->result = operands;
	return memory_vector_size(emit) == 1 && !has(emit, PTX_MODIFIER_cas) &&
	       !has(emit, PTX_MODIFIER_inc) && !has(emit, PTX_MODIFIER_dec) &&
	       !is_half(update->type) && pair_element(update->type) == PTX_TYPE_NONE &&
	       update->address->kind == PTX_OPERAND_ADDRESS &&
	       (ir_bits(update->ir) == 32 || ir_bits(update->ir) == 64) &&
	       !(update->address->elements->kind == PTX_OPERAND_VARIABLE &&
		   shape_is_own(update->address->elements->variable));
}

static bool is_sum(const struct update *update, struct emit *emit)
{
	return has(emit, PTX_MODIFIER_add) && !ptx_type_is_float(update->type);
}

static struct value scalar_pointer(struct warp *warp, const struct update *update)
{
	return memory_pointer(
	    &warp->emit, update->address, space_of(&warp->emit), ir_bits(update->ir) / 8, true);
}

/* Every lane's number among those that run. */
static struct value ranks(struct warp *warp, struct value bits)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	struct value below = wide_splat(warp, IR_I32, bits);
	char declaration[80], masks[1024];
	size_t used = 0;

	for (unsigned i = 0; i < width; i++)
		used += (size_t)snprintf(masks + used, sizeof(masks) - used, "%si32 %d",
		    i ? ", " : "", (int32_t)((UINT32_C(1) << i) - 1));
	below = emit_value(emit, "and <%u x i32> %s, <%s>", width, below.text, masks);
	snprintf(declaration, sizeof(declaration), "<%u x i32> @llvm.ctpop.v%ui32(<%u x i32>)",
	    width, width, width);
	widen_declare(&warp->widen, declaration);
	return emit_value(emit, "call <%u x i32> @llvm.ctpop.v%ui32(<%u x i32> %s)", width, width,
	    width, below.text);
}

/* All lanes add one value to one place. */
static void add_same(struct warp *warp, const struct update *update)
{
	struct emit *emit = &warp->emit;
	uint32_t none = begin_if_any(warp);
	struct value pointer = scalar_pointer(warp, update);
	struct value value = operand_get(emit, update->value, update->ir, false);
	const char *ir = ir_name(update->ir);
	struct value count = integer_count(warp, mask_integer(warp, warp->mask)), old;

	count = convert_bits(emit, count, IR_I32, update->ir, false);
	count = emit_value(emit, "mul %s %s, %s", ir, count.text, value.text);
	old = memory_update(emit, update->type, pointer, count);
	if (update->result) {
		struct value turn = ranks(warp, mask_bits(warp, warp->mask));
		const char *wide = wide_type(warp, update->ir);

		if (update->ir == IR_I64)
			turn = emit_value(
			    emit, "zext %s %s to %s", wide_type(warp, IR_I32), turn.text, wide);
		value = wide_splat(warp, update->ir, value);
		turn = emit_value(emit, "mul %s %s, %s", wide, turn.text, value.text);
		old = wide_splat(warp, update->ir, old);
		old = emit_value(emit, "add %s %s, %s", wide, old.text, turn.text);
		wide_set(warp, update->result, old, update->ir, true, false);
	}
	end_if_any(warp, none);
}

/* LLVM's word for combining all lanes, and what changes nothing; NULL: not to be combined. */
static const char *reduction(struct emit *emit, const struct update *update, struct value *neutral)
{
	bool is_signed = ptx_type_is_signed(update->type);
	unsigned bits = ir_bits(update->ir);
	uint64_t highest = UINT64_C(1) << (bits - 1);

	if (ptx_type_is_float(update->type))
		return NULL;
	*neutral = ir_constant(update->ir, 0);
	if (has(emit, PTX_MODIFIER_add))
		return "add";
	if (has(emit, PTX_MODIFIER_or))
		return "or";
	if (has(emit, PTX_MODIFIER_xor))
		return "xor";
	if (has(emit, PTX_MODIFIER_and)) {
		*neutral = ir_constant(update->ir, UINT64_MAX);
		return "and";
	}
	if (has(emit, PTX_MODIFIER_max)) {
		*neutral = ir_constant(update->ir, is_signed ? highest : 0);
		return is_signed ? "smax" : "umax";
	}
	if (has(emit, PTX_MODIFIER_min)) {
		*neutral = ir_constant(update->ir, is_signed ? highest - 1 : UINT64_MAX);
		return is_signed ? "smin" : "umin";
	}
	return NULL;
}

/* Lanes bring values to one place. */
static void combine(
    struct warp *warp, const struct update *update, const char *word, struct value neutral)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width, bits = ir_bits(update->ir);
	const char *wide = wide_type(warp, update->ir);
	uint32_t none = begin_if_any(warp);
	struct value pointer = scalar_pointer(warp, update);
	struct value values = wide_get(warp, update->value, update->ir);
	char declaration[100];

	neutral = wide_splat(warp, update->ir, neutral);
	values = emit_value(emit, "select <%u x i1> %s, %s %s, %s %s", width, warp->mask.text, wide,
	    values.text, wide, neutral.text);
	snprintf(declaration, sizeof(declaration), "i%u @llvm.vector.reduce.%s.v%ui%u(%s)", bits,
	    word, width, bits, wide);
	widen_declare(&warp->widen, declaration);
	values = emit_value(emit, "call i%u @llvm.vector.reduce.%s.v%ui%u(%s %s)", bits, word,
	    width, bits, wide, values.text);
	memory_update(emit, update->type, pointer, values);
	end_if_any(warp, none);
}

/* All lanes are there and nobody wants results: one after the other, without a loop. */
static void run_straight(struct warp *warp, const struct update *update)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	uint32_t all = emit_new_block(emit), some = emit_new_block(emit),
		 done = emit_new_block(emit);
	struct value bits =
	    emit_value(emit, "bitcast <%u x i1> %s to i%u", width, warp->mask.text, width);
	struct value pointers, values = {""};
	bool is_same =
	    shape_is_uniform(shape_of_operand(&warp->facts, update->value, ir_bits(update->ir)));

	emit_branch_if(emit, emit_value(emit, "icmp eq i%u %s, -1", width, bits.text), all, some);
	text_format(&emit->body, "b%u:\n", all);
	emit->open = true;
	pointers = access_pointers(
	    warp, update->address, space_of(&warp->emit), ir_bits(update->ir) / 8, true);
	if (is_same)
		values = operand_get(emit, update->value, update->ir, false);
	else
		values = wide_get(warp, update->value, update->ir);
	for (unsigned i = 0; i < width; i++) {
		struct value at = emit_value(
		    emit, "extractelement <%u x ptr> %s, i64 %u", width, pointers.text, i);
		struct value value = is_same ? values
					     : emit_value(emit, "extractelement %s %s, i64 %u",
						   wide_type(warp, update->ir), values.text, i);

		memory_update(emit, update->type, at, value);
	}
	emit_line(emit, "br label %%b%u", done);
	text_format(&emit->body, "b%u:\n", some);
	emit->open = true;
	warp_run_by_lane(warp);
	emit_start_block(emit, done);
}

/* Into sums of the machine's own, where that is possible. */
static void run_tallied(struct warp *warp, const struct update *update)
{
	struct warp_tally way;

	warp_tally_begin(warp, update->address, update->value, update->ir, &way);
	run_straight(warp, update);
	warp_tally_end(warp, &way);
}

void warp_atomic(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	struct update update;
	struct value neutral;
	const char *word;

	if (!update_init(warp, &update)) {
		warp_run_by_lane(warp);
		return;
	}
	if (!shape_is_uniform(shape_of_address(&warp->facts, update.address))) {
		if (update.result)
			warp_run_by_lane(warp);
		else if (warp_tally_takes(warp, update.type))
			run_tallied(warp, &update);
		else
			run_straight(warp, &update);
		return;
	}
	word = reduction(emit, &update, &neutral);
	if (is_sum(&update, emit) &&
	    shape_is_uniform(shape_of_operand(&warp->facts, update.value, ir_bits(update.ir))) &&
	    !(update.result && warp->facts.width > SG_WARP_SIZE))
		add_same(warp, &update);
	else if (word && !update.result)
		combine(warp, &update, word, neutral);
	else
		warp_run_by_lane(warp);
}
