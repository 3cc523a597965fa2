/*
 * Checked code for warps (jit/check.h): what its lanes do to memory, and whether what the analyses
 * take to be the same for all lanes is.
 *
 * Each register that is no vector has a vector beside it, %own<n>, of what every lane would have by
 * itself: computed by the same emitter made wide, from vectors alone, and kept by the lanes that do
 * not run. What is not computed (loads, votes, calls) is taken over. Where a lane then reads such a
 * register, what it would have and what stands for it must be one: otherwise shape.c, facts.c or
 * flow.c is wrong, and the kernel ends with a line that says so. A block's lanes do not grow, so
 * that a register that was looked at in a block needs no second look before it is written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/exec/lane.h"
#include "softgpu/jit/check.h"
#include "softgpu/jit/warp/warp.h"

/* %check, aligned as the widest vector: addresses, then data; or two values of all lanes. */
#define ADDRESS_BYTES 512u
#define BUFFER_BYTES  (ADDRESS_BYTES + 32u * 64u)
#define SECOND_BYTES  1024u

/* ---- accesses to memory ---- */

/* A scalar emitter's value in all lanes. */
static struct value address_vector(struct warp *warp, const struct ptx_operand *address)
{
	struct value value;

	capture_begin(warp);
	value = effective_address(&warp->emit, address);
	capture_end(warp);
	if (!capture_widen(warp))
		warp_refuse(warp, "an address cannot be made wide");
	if (!capture_is_vector(warp, value))
		return wide_splat(warp, IR_I64, value);
	return value;
}

static struct value buffer_at(struct warp *warp, unsigned offset)
{
	return emit_value(&warp->emit, "getelementptr i8, ptr %%check, i64 %u", offset);
}

/* Behind the addresses: all lanes' first elements, all lanes' second ones... */
static struct value store_data(struct warp *warp, const struct check_access *access)
{
	struct emit *emit = &warp->emit;
	enum ir_type ir = ir_of(access->type);
	unsigned size = ptx_type_bits(access->type) / 8;

	if (!access->data)
		return (struct value){"null"};
	for (unsigned i = 0; i < access->count; i++) {
		const struct ptx_operand *element =
		    memory_element(emit, access->data, access->count, i);
		struct value value = wide_get(warp, element, ir);
		struct value at = buffer_at(warp, ADDRESS_BYTES + i * size * warp->facts.width);

		emit_line(emit, "store %s %s, ptr %s", wide_type(warp, ir), value.text, at.text);
	}
	return buffer_at(warp, ADDRESS_BYTES);
}

static void tell_of_access(struct warp *warp, const struct check_access *access)
{
	struct emit *emit = &warp->emit;
	struct value addresses = address_vector(warp, access->address);
	struct value data = store_data(warp, access);
	unsigned flags = access->flags | warp->facts.width << SG_CHECK_LANES;

	if (access->data)
		flags |= ptx_type_bits(access->type) / 8 << SG_CHECK_ELEMENT;
	emit_line(emit, "store %s %s, ptr %%check", wide_type(warp, IR_I64), addresses.text);
	emit_line(emit,
	    "call void @sg_check_accesses(ptr %%lane, ptr %%check, i32 %s, i32 %u, i32 %u, i32 %u, "
	    "ptr %s)",
	    mask_bits(warp, warp->mask).text, access->size, flags, emit->in->line, data.text);
}

static void tell_of_order(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	bool is_barrier = emit->in->opcode == PTX_OP_bar || emit->in->opcode == PTX_OP_barrier;

	if (check_is_order(emit))
		emit_line(emit, "call void @sg_check_order(ptr %%lane)");
	if (is_barrier && has(emit, PTX_MODIFIER_warp))
		emit_line(emit, "call void @sg_check_warp_order(ptr %%lane)");
}

/* ---- values ---- */

static uint32_t carry_of(const struct warp *warp)
{
	return (uint32_t)warp->facts.flow.n_values - 1;
}

static enum ir_type type_of(const struct warp *warp, uint32_t value)
{
	return value == carry_of(warp) ? IR_I1 : warp->emit.registers[value];
}

static void slot_of(const struct warp *warp, uint32_t value, char *slot, size_t size)
{
	if (value == carry_of(warp))
		snprintf(slot, size, "%%carry");
	else
		snprintf(slot, size, "%%r%u", value);
}

/* What every lane has by itself. */
static struct value own_values(struct warp *warp, uint32_t value)
{
	return emit_value(
	    &warp->emit, "load %s, ptr %%own%u", wide_type(warp, type_of(warp, value)), value);
}

/* What the register stands for in every lane. */
static struct value claimed_values(struct warp *warp, uint32_t value)
{
	enum ir_type type = type_of(warp, value);
	struct value result;
	char slot[32];

	slot_of(warp, value, slot, sizeof(slot));
	snprintf(result.text, sizeof(result.text), "%%t%u", warp->emit.n_temps++);
	if (warp_slots.load(warp, result.text, ir_name(type), slot))
		return result;
	return wide_splat(warp, type, result);
}

/* Two NaNs are one: their bits are whatever the compiler makes of them. */
static struct value differ(
    struct warp *warp, enum ir_type type, struct value own, struct value claimed)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width, bits = ir_bits(type);
	const char *wide = wide_type(warp, type);
	struct value a, b, c;

	if (type < IR_FLOAT)
		return emit_value(emit, "icmp ne %s %s, %s", wide, own.text, claimed.text);
	a = emit_value(emit, "bitcast %s %s to <%u x i%u>", wide, own.text, width, bits);
	b = emit_value(emit, "bitcast %s %s to <%u x i%u>", wide, claimed.text, width, bits);
	a = emit_value(emit, "icmp ne <%u x i%u> %s, %s", width, bits, a.text, b.text);
	b = emit_value(emit, "fcmp ord %s %s, %s", wide, own.text, own.text);
	c = emit_value(emit, "fcmp ord %s %s, %s", wide, claimed.text, claimed.text);
	b = emit_value(emit, "or <%u x i1> %s, %s", width, b.text, c.text);
	return emit_value(emit, "and <%u x i1> %s, %s", width, a.text, b.text);
}

/* The machine shows a lane's two values: bytes, for predicates have no place in memory. */
static void store_for_report(
    struct warp *warp, enum ir_type type, struct value value, struct value at)
{
	struct emit *emit = &warp->emit;

	if (type == IR_I1) {
		value = emit_value(emit, "zext %s %s to %s", wide_type(warp, IR_I1), value.text,
		    wide_type(warp, IR_I8));
		type = IR_I8;
	}
	emit_line(emit, "store %s %s, ptr %s", wide_type(warp, type), value.text, at.text);
}

/* The lanes that run must have what the register stands for. */
static void compare(struct warp *warp, uint32_t value)
{
	struct emit *emit = &warp->emit;
	enum ir_type type = type_of(warp, value);
	unsigned width = warp->facts.width;
	uint32_t wrong = emit_new_block(emit), fine = emit_new_block(emit);
	struct value own = own_values(warp, value), claimed = claimed_values(warp, value);
	struct value lanes = differ(warp, type, own, claimed), second;

	lanes = emit_value(emit, "and <%u x i1> %s, %s", width, lanes.text, warp->mask.text);
	lanes = mask_bits(warp, lanes);
	emit_branch_if(emit, emit_value(emit, "icmp eq i32 %s, 0", lanes.text), fine, wrong);
	text_format(&emit->body, "b%u:\n", wrong);
	second = buffer_at(warp, SECOND_BYTES);
	store_for_report(warp, type, own, buffer_at(warp, 0));
	store_for_report(warp, type, claimed, second);
	emit_line(emit,
	    "call void @sg_check_uniform(ptr %%lane, i32 %s, i32 %u, i32 %u, ptr %%check, ptr %s)",
	    lanes.text, MAX(ir_bits(type) / 8, 1u), emit->in->line, second.text);
	emit_line(emit, "unreachable");
	text_format(&emit->body, "b%u:\n", fine);
	emit->open = true;
}

static void look_at_source(void *context, uint32_t value, bool is_result)
{
	struct warp *warp = context;

	if (is_result || value_varies(warp, value) || bits_has(warp->looked_at, value))
		return;
	if (value == carry_of(warp))
		warp->emit.uses_carry = true;
	compare(warp, value);
	if (warp->emit.in->predicate == PTX_NO_REG)
		bits_add(warp->looked_at, value);
}

/* Lanes that do not run keep theirs. */
static void set_own_values(struct warp *warp, uint32_t value, const char *vector)
{
	struct emit *emit = &warp->emit;
	const char *wide = wide_type(warp, type_of(warp, value));
	struct value old = own_values(warp, value);

	old = emit_value(emit, "select <%u x i1> %s, %s %s, %s %s", warp->facts.width,
	    warp->mask.text, wide, vector, wide, old.text);
	emit_line(emit, "store %s %s, ptr %%own%u", wide, old.text, value);
}

static uint32_t value_of(const struct warp *warp, const char *slot)
{
	uint32_t value;

	return sscanf(slot, "%%r%u", &value) == 1 ? value : carry_of(warp);
}

static bool load_own(void *context, const char *result, const char *type, const char *slot)
{
	struct warp *warp = context;
	uint32_t value = value_of(warp, slot);

	if (value_varies(warp, value))
		return warp_slots.load(warp, result, type, slot);
	emit_line(&warp->emit, "%s = load <%u x %s>, ptr %%own%u", result, warp->facts.width, type,
	    value);
	return true;
}

static void store_own(
    void *context, const char *type, const char *value, bool is_vector, const char *slot)
{
	struct warp *warp = context;
	char vector[WIDEN_OPERAND];

	if (is_vector)
		snprintf(vector, sizeof(vector), "%s", value);
	else
		widen_splat(&warp->widen, type, value, vector);
	set_own_values(warp, value_of(warp, slot), vector);
}

static bool is_vector_name(void *context, const char *name)
{
	return warp_slots.is_vector(context, name);
}

/* The instruction, once more, for each lane from its own values. False: it has no wide form. */
static bool compute_own(struct warp *warp)
{
	const struct widen_slots own = {load_own, store_own, is_vector_name, ".v", warp};
	const struct widen_slots *slots = warp->widen.slots;
	bool done;

	capture_begin(warp);
	emit_opcode(&warp->emit);
	capture_end(warp);
	warp->widen.slots = &own;
	done = capture_widen(warp);
	warp->widen.slots = slots;
	return done;
}

/* A clock gives something else when it is read again; the address of a lane's own variable is what
 * the register says by definition. */
static bool cannot_compute(const struct ptx_instruction *in)
{
	for (unsigned i = 0; i < in->n_operands; i++) {
		const struct ptx_operand *operand = &in->operands[i];

		if (operand->kind == PTX_OPERAND_SPECIAL && operand->special >= PTX_SPECIAL_clock &&
		    operand->special <= PTX_SPECIAL_globaltimer_hi)
			return true;
		if (operand->kind == PTX_OPERAND_VARIABLE &&
		    shape_is_own(operand->variable->definition ?: operand->variable))
			return true;
	}
	return false;
}

struct results {
	struct warp *warp;
	bool any_scalar, any_varies;
};

static void note_result(void *context, uint32_t value, bool is_result)
{
	struct results *results = context;

	if (!is_result)
		return;
	if (value_varies(results->warp, value))
		results->any_varies = true;
	else
		results->any_scalar = true;
}

static void take_over(void *context, uint32_t value, bool is_result)
{
	struct warp *warp = context;

	if (is_result && !value_varies(warp, value))
		set_own_values(warp, value, claimed_values(warp, value).text);
}

static void forget(void *context, uint32_t value, bool is_result)
{
	struct warp *warp = context;

	if (is_result)
		bits_remove(warp->looked_at, value);
}

/* ---- what the translator calls ---- */

void warp_check_kernel(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	struct text *out = &emit->prologue;

	warp->looked_at = calloc(warp->facts.flow.value_words, sizeof(*warp->looked_at));
	if (!warp->looked_at)
		emit_fail(emit, "out of memory");
	text_format(out, "  %%check = alloca [%u x i8], align 512\n", BUFFER_BYTES);
	if (warp->facts.row)
		text_format(out, "  call void @sg_check_rows(ptr %%lane, i32 %%lanes, i32 %u)\n",
		    warp->facts.row);
	for (uint32_t i = 0; i <= carry_of(warp); i++) {
		const char *type;

		if (value_varies(warp, i))
			continue;
		type = wide_type(warp, type_of(warp, i));
		text_format(out, "  %%own%u = alloca %s\n  store %s zeroinitializer, ptr %%own%u\n",
		    i, type, type, i);
	}
}

void warp_check_block(struct warp *warp)
{
	memset(warp->looked_at, 0, warp->facts.flow.value_words * 8);
}

void warp_check_predicate(struct warp *warp)
{
	if (warp->emit.in->predicate != PTX_NO_REG)
		look_at_source(warp, warp->emit.in->predicate, false);
}

void warp_check_before(struct warp *warp)
{
	struct check_access accesses[CHECK_MOST_ACCESSES];
	unsigned n;

	flow_visit(&warp->facts.flow, warp->emit.in, look_at_source, warp);
	tell_of_order(warp);
	n = check_accesses(&warp->emit, accesses);
	for (unsigned i = 0; i < n; i++)
		tell_of_access(warp, &accesses[i]);
}

void warp_check_after(struct warp *warp, bool is_pure)
{
	const struct flow *flow = &warp->facts.flow;
	struct results results = {.warp = warp};

	flow_visit(flow, warp->emit.in, note_result, &results);
	flow_visit(flow, warp->emit.in, forget, warp);
	if (!results.any_scalar || !warp->emit.open)
		return;
	if (results.any_varies || !is_pure || cannot_compute(warp->emit.in) || !compute_own(warp))
		flow_visit(flow, warp->emit.in, take_over, warp);
}
