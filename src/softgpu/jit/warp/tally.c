/*
 * Additions to counters whose old value nobody reads, kept as sums for a while: exec/tally.c says
 * why that is allowed, and what of it is decided here, which kernels may.
 *
 * The code for one addition compares all lanes' addresses with the range the machine's tally stands
 * for. Inside, lanes add to their sums one after the other, with plain instructions: two lanes may
 * mean the same counter. Lanes that do not run add 0 to the first sum. Otherwise the memory is
 * added to as ever, and the tally learns the addresses.
 */
#include <stdio.h>

#include "softgpu/exec/tally.h"
#include "softgpu/jit/warp/warp.h"

static enum ptx_space space_in(const struct ptx_instruction *in)
{
	return ptx_has(in, PTX_MODIFIER_shared) || ptx_has(in, PTX_MODIFIER_shared_cta)
		   ? PTX_SPACE_SHARED
		   : PTX_SPACE_GENERIC;
}

static bool is_ordered(const struct ptx_instruction *in)
{
	return ptx_has(in, PTX_MODIFIER_volatile) || ptx_has(in, PTX_MODIFIER_mmio) ||
	       ptx_has(in, PTX_MODIFIER_relaxed) || ptx_has(in, PTX_MODIFIER_acquire) ||
	       ptx_has(in, PTX_MODIFIER_release) || ptx_has(in, PTX_MODIFIER_acq_rel);
}

/* Bytes of the counter of a relaxed addition of integers without a result; 0: it is none. */
static unsigned counter_bytes(const struct warp *warp, const struct ptx_instruction *in)
{
	bool has_result = in->opcode == PTX_OP_atom;
	const struct ptx_operand *result = in->operands;
	unsigned bits = in->n_types ? ptx_type_bits(in->types[0]) : 0;

	if (!ptx_has(in, PTX_MODIFIER_add) || ptx_has(in, PTX_MODIFIER_acquire) ||
	    ptx_has(in, PTX_MODIFIER_release) || ptx_has(in, PTX_MODIFIER_acq_rel) ||
	    ptx_has(in, PTX_MODIFIER_async) || ptx_has(in, PTX_MODIFIER_v2) ||
	    ptx_has(in, PTX_MODIFIER_v4) || ptx_has(in, PTX_MODIFIER_v8))
		return 0;
	if (has_result && result->kind != PTX_OPERAND_SINK &&
	    !(result->kind == PTX_OPERAND_REGISTER && !bits_has(warp->facts.read, result->reg)))
		return 0;
	if (!bits || ptx_type_is_float(in->types[0]) || (bits != 32 && bits != 64))
		return 0;
	return bits / 8;
}

static bool has_address(const struct ptx_instruction *in)
{
	for (unsigned i = 0; i < in->n_operands; i++)
		if (in->operands[i].kind == PTX_OPERAND_ADDRESS)
			return true;
	return false;
}

/* What lets a thread, the host or the machine see how far another thread is, or touches memory that
 * is not compared with the tally's. */
static bool forbids(const struct ptx_instruction *in)
{
	switch (in->opcode) {
	case PTX_OP_ld:
	case PTX_OP_ldu:
	case PTX_OP_st:
		return ptx_has(in, PTX_MODIFIER_async) || ptx_has(in, PTX_MODIFIER_bulk) ||
		       (is_ordered(in) && space_in(in) != PTX_SPACE_SHARED);
	case PTX_OP_atom:
	case PTX_OP_red:
	case PTX_OP_prefetch:
	case PTX_OP_prefetchu:
		return false;
	case PTX_OP_fence:
	case PTX_OP_membar:
	case PTX_OP_call:
	case PTX_OP_nanosleep:
	case PTX_OP_griddepcontrol:
	case PTX_OP_clusterlaunchcontrol:
	case PTX_OP_cp:
		return true;
	default:
		return has_address(in);
	}
}

void warp_tally_find(struct warp *warp)
{
	const struct ptx_function *function = warp->emit.program->entry;
	unsigned size = 0;

	warp->tally = 0;
	if (!warp->emit.program->may_tally || warp->emit.program->n_functions > 1)
		return;
	for (uint32_t i = 0; i < function->n_code; i++) {
		const struct ptx_instruction *in = &function->code[i];
		unsigned bytes;

		if (forbids(in))
			return;
		if ((in->opcode != PTX_OP_atom && in->opcode != PTX_OP_red) ||
		    space_in(in) == PTX_SPACE_SHARED)
			continue;
		bytes = counter_bytes(warp, in);
		if (!bytes || (size && bytes != size))
			return;
		size = bytes;
	}
	warp->tally = size;
}

bool warp_tally_takes(const struct warp *warp, enum ptx_type type)
{
	return warp->tally && space_in(warp->emit.in) != PTX_SPACE_SHARED &&
	       ptx_type_bits(type) == 8 * warp->tally;
}

static struct value tally_field(
    struct emit *emit, struct value tally, const char *type, size_t offset)
{
	struct value at = emit_value(emit, "getelementptr i8, ptr %s, i64 %zu", tally.text, offset);

	return emit_value(emit, "load %s, ptr %s", type, at.text);
}

static struct value the_tally(struct emit *emit)
{
	return lane_fact(emit, "ptr", offsetof(struct sg_lane, tally));
}

/* Counts down to the next emptying. */
static void count_down(struct warp *warp, struct value tally)
{
	struct emit *emit = &warp->emit;
	struct value at = emit_value(
	    emit, "getelementptr i8, ptr %s, i64 %zu", tally.text, offsetof(struct sg_tally, left));
	struct value left = emit_value(emit, "load i32, ptr %s", at.text);
	uint32_t full = emit_new_block(emit), next = emit_new_block(emit);

	left = emit_value(emit, "sub i32 %s, 1", left.text);
	emit_line(emit, "store i32 %s, ptr %s", left.text, at.text);
	emit_branch_if(emit, emit_value(emit, "icmp eq i32 %s, 0", left.text), full, next);
	text_format(&emit->body, "b%u:\n", full);
	emit->open = true;
	emit_line(emit, "call void @sg_tally_empty(ptr %%lane)");
	emit_start_block(emit, next);
}

static void add_lanes(struct warp *warp, struct value tally, struct value offsets,
    const struct ptx_operand *value, enum ir_type type)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	const char *wide = wide_type(warp, type), *name = ir_name(type);
	struct value sums = tally_field(emit, tally, "i64", offsetof(struct sg_tally, sums));
	struct value values = wide_get(warp, value, type);

	sums = emit_value(emit, "inttoptr i64 %s to ptr", sums.text);
	values = emit_value(emit, "select <%u x i1> %s, %s %s, %s zeroinitializer", width,
	    warp->mask.text, wide, values.text, wide);
	for (unsigned i = 0; i < width; i++) {
		struct value at = emit_value(
		    emit, "extractelement %s %s, i64 %u", wide_type(warp, IR_I64), offsets.text, i);
		struct value sum, one;

		at = emit_value(emit, "getelementptr i8, ptr %s, i64 %s", sums.text, at.text);
		one = emit_value(emit, "extractelement %s %s, i64 %u", wide, values.text, i);
		sum = emit_value(emit, "load %s, ptr %s", name, at.text);
		sum = emit_value(emit, "add %s %s, %s", name, sum.text, one.text);
		emit_line(emit, "store %s %s, ptr %s", name, sum.text, at.text);
	}
	count_down(warp, tally);
}

/* Is no lane's counter outside, or misaligned? See emit-memory.c. */
static struct value are_inside(struct warp *warp, struct value offsets, struct value size)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width, shift = warp->tally == 8 ? 3 : 2;
	const char *type = wide_type(warp, IR_I64);
	char declaration[120];
	struct value outside;

	snprintf(declaration, sizeof(declaration), "%s @llvm.fshr.v%ui64(%s, %s, %s)", type, width,
	    type, type, type);
	widen_declare(&warp->widen, declaration);
	offsets = emit_value(emit, "call %s @llvm.fshr.v%ui64(%s %s, %s %s, %s %s)", type, width,
	    type, offsets.text, type, offsets.text, type,
	    wide_splat(warp, IR_I64, ir_constant(IR_I64, shift)).text);
	size = emit_value(emit, "lshr i64 %s, %u", size.text, shift);
	outside = emit_value(
	    emit, "icmp uge %s %s, %s", type, offsets.text, wide_splat(warp, IR_I64, size).text);
	outside = mask_integer(warp, outside);
	return emit_value(emit, "icmp eq i%u %s, 0", width, outside.text);
}

void warp_tally_begin(struct warp *warp, const struct ptx_operand *address,
    const struct ptx_operand *value, enum ir_type type, struct warp_tally *way)
{
	struct emit *emit = &warp->emit;
	const char *wide = wide_type(warp, IR_I64);
	struct value tally = the_tally(emit), low, size, offsets;
	uint32_t inside = emit_new_block(emit), outside = emit_new_block(emit);

	way->done = emit_new_block(emit);
	way->addresses = access_addresses(warp, address);
	low = tally_field(emit, tally, "i64", offsetof(struct sg_tally, low));
	size = tally_field(emit, tally, "i64", offsetof(struct sg_tally, size));
	offsets = emit_value(
	    emit, "sub %s %s, %s", wide, way->addresses.text, wide_splat(warp, IR_I64, low).text);
	offsets = emit_value(emit, "select <%u x i1> %s, %s %s, %s zeroinitializer",
	    warp->facts.width, warp->mask.text, wide, offsets.text, wide);
	emit_branch_if(emit, are_inside(warp, offsets, size), inside, outside);
	text_format(&emit->body, "b%u:\n", inside);
	emit->open = true;
	add_lanes(warp, tally, offsets, value, type);
	emit_line(emit, "br label %%b%u", way->done);
	text_format(&emit->body, "b%u:\n", outside);
	emit->open = true;
}

void warp_tally_end(struct warp *warp, const struct warp_tally *way)
{
	struct emit *emit = &warp->emit;
	uint32_t learn = emit_new_block(emit);
	struct value is_learning =
	    tally_field(emit, the_tally(emit), "i32", offsetof(struct sg_tally, is_learning));

	emit_branch_if(
	    emit, emit_value(emit, "icmp ne i32 %s, 0", is_learning.text), learn, way->done);
	text_format(&emit->body, "b%u:\n", learn);
	emit->open = true;
	integer_memory(warp, mask_integer(warp, warp->mask), "%members");
	emit_line(emit, "store %s %s, ptr %%scratch", wide_type(warp, IR_I64), way->addresses.text);
	emit_line(emit,
	    "call void @sg_tally_learn(ptr %%lane, ptr %%scratch, ptr %%members, i32 %u)",
	    warp->tally);
	emit_start_block(emit, way->done);
}

/* Do [first, first + span) and the tally's range meet? Of none, size and low are 0, and no span
 * that begins in device memory does. */
static struct value meets(
    struct emit *emit, struct value first, struct value low, struct value size, uint64_t span)
{
	first = emit_value(emit, "sub i64 %s, %s", first.text, low.text);
	first = emit_value(emit, "add i64 %s, %llu", first.text, (unsigned long long)span - 1);
	size = emit_value(emit, "add i64 %s, %llu", size.text, (unsigned long long)span - 1);
	return emit_value(emit, "icmp ult i64 %s, %s", first.text, size.text);
}

/* Of lanes that are so far apart. */
static struct value linear_meets(struct warp *warp, const struct ptx_operand *address,
    struct value low, struct value size, struct shape shape, unsigned bytes)
{
	struct emit *emit = &warp->emit;
	int64_t reach = shape.stride * (warp->facts.width - 1);
	struct value first = effective_address(emit, address), some, wraps;

	if (reach < 0)
		first = emit_value(emit, "add i64 %s, %lld", first.text, (long long)reach);
	some = meets(emit, first, low, size, (uint64_t)(reach < 0 ? -reach : reach) + bytes);
	if (!shape.wrap)
		return some;
	/* Lanes behind an overflow are somewhere else. */
	wraps = emit_value(emit, "load i%u, ptr %%w.%u", warp->facts.width, address->elements->reg);
	wraps = emit_value(emit, "icmp ne i%u %s, 0", warp->facts.width, wraps.text);
	return emit_value(emit, "or i1 %s, %s", some.text, wraps.text);
}

static struct value any_meets(struct warp *warp, const struct ptx_operand *address,
    struct value low, struct value size, unsigned bytes)
{
	struct emit *emit = &warp->emit;
	const char *type = wide_type(warp, IR_I64);
	struct value offsets = access_addresses(warp, address), some;

	low = emit_value(emit, "sub i64 %s, %u", low.text, bytes - 1);
	size = emit_value(emit, "add i64 %s, %u", size.text, bytes - 1);
	offsets = emit_value(
	    emit, "sub %s %s, %s", type, offsets.text, wide_splat(warp, IR_I64, low).text);
	some = emit_value(
	    emit, "icmp ult %s %s, %s", type, offsets.text, wide_splat(warp, IR_I64, size).text);
	some = mask_integer(warp, some);
	return emit_value(emit, "icmp ne i%u %s, 0", warp->facts.width, some.text);
}

static bool is_narrow(const struct warp *warp, const struct ptx_operand *base)
{
	return base->kind == PTX_OPERAND_REGISTER && ir_bits(warp->emit.registers[base->reg]) == 32;
}

void warp_tally_guard(
    struct warp *warp, const struct ptx_operand *address, enum ptx_space space, unsigned size)
{
	struct emit *emit = &warp->emit;
	struct shape shape = shape_of_address(&warp->facts, address);
	struct value tally, low, bytes, some;
	uint32_t meet, next;

	if (!warp->tally || (space != PTX_SPACE_GLOBAL && space != PTX_SPACE_GENERIC))
		return;
	meet = emit_new_block(emit);
	next = emit_new_block(emit);
	tally = the_tally(emit);
	low = tally_field(emit, tally, "i64", offsetof(struct sg_tally, low));
	bytes = tally_field(emit, tally, "i64", offsetof(struct sg_tally, size));
	if (shape.kind == SHAPE_LINEAR && !shape.by_row && !is_narrow(warp, address->elements) &&
	    (!shape.wrap || address->elements->kind == PTX_OPERAND_REGISTER))
		some = linear_meets(warp, address, low, bytes, shape, size);
	else
		some = any_meets(warp, address, low, bytes, size);
	emit_branch_if(emit, some, meet, next);
	text_format(&emit->body, "b%u:\n", meet);
	emit->open = true;
	emit_line(emit, "call void @sg_tally_close(ptr %%lane)");
	emit_start_block(emit, next);
}
