/*
 * Blocks in two copies: one for when all lanes run, with fewer checks.
 *
 * Code that compilers unroll reads many places at constant distances from one register. Accesses
 * through a register that nobody writes in between are one range, checked as a whole at the first
 * of them. The copy that does so is for whole warps, and knows that too: it has no masks. Where
 * lanes are missing or a check fails, control goes over to the other copy, which checks each access
 * by itself and finds out whose fault it is. Registers have places in memory at this stage, so that
 * it can be entered at any instruction.
 *
 * What is predicated checks for itself: the range's first access must be one that happens.
 */
#include <stdio.h>

#include "softgpu/exec/lane.h"
#include "softgpu/jit/warp/access.h"

struct range {
	const struct ptx_operand *base;
	bool is_shared, is_open;
	struct shape shape;
	unsigned align;
	int64_t anchor;		/* an offset that is a multiple of align */
	int64_t low, high;	/* bytes from the base that are touched */
	struct value *pointers; /* to the base, once checked; by row where it differs */
};

static bool is_same_base(const struct ptx_operand *a, const struct ptx_operand *b)
{
	if (a->kind != b->kind)
		return false;
	return a->kind == PTX_OPERAND_REGISTER ? a->reg == b->reg : a->variable == b->variable;
}

/* Accesses with one address for all lanes of a row, or addresses of neighbours. */
static bool access_has_range(struct warp *warp, const struct access *access)
{
	const struct ptx_operand *base = access->address->elements;

	if (access->space == PTX_SPACE_PARAM || access->space == PTX_SPACE_CLUSTER ||
	    access_goes_by_lane(warp, access))
		return false;
	if (base->kind != PTX_OPERAND_REGISTER &&
	    (base->kind != PTX_OPERAND_VARIABLE || base->variable->space == PTX_SPACE_PARAM))
		return false;
	if (shape_is_flat(access->shape) && access->shape.by_row)
		return !access->is_write && access->size <= 8;
	return shape_is_flat(access->shape) || access_has_neighbours(access);
}

static int64_t extent(const struct warp *warp, const struct access *access)
{
	int64_t size = access->size * access->count;

	return shape_is_flat(access->shape) ? size
					    : size * (warp->facts.width / facts_rows(&warp->facts));
}

static struct range *find_open(struct ranges *ranges, const struct access *access)
{
	for (uint32_t i = ranges->count; i--;)
		if (ranges->list[i].is_open &&
		    ranges->list[i].is_shared == access_is_shared(access) &&
		    is_same_base(ranges->list[i].base, access->address->elements))
			return &ranges->list[i];
	return NULL;
}

static void add_access(struct warp *warp, const struct access *access, uint32_t at)
{
	struct ranges *ranges = &warp->ranges;
	struct range *range = find_open(ranges, access);
	int64_t offset = access->address->offset, end = offset + extent(warp, access);
	unsigned align = access->size * access->count;

	if (!range) {
		range = &ranges->list[ranges->count++];
		*range = (struct range){.base = access->address->elements,
		    .is_shared = access_is_shared(access),
		    .is_open = true,
		    .shape = access->shape,
		    .low = offset,
		    .high = end};
	}
	if (align > range->align) {
		range->align = align;
		range->anchor = offset;
	}
	range->low = MIN(range->low, offset);
	range->high = MAX(range->high, end);
	ranges->of[at - ranges->begin] = (uint32_t)(range - ranges->list);
	ranges->n_accesses++;
}

static void close_range(void *context, uint32_t value, bool is_result)
{
	struct ranges *ranges = context;

	for (uint32_t i = 0; is_result && i < ranges->count; i++)
		if (ranges->list[i].base->kind == PTX_OPERAND_REGISTER &&
		    ranges->list[i].base->reg == value)
			ranges->list[i].is_open = false;
}

static bool is_load(const struct ptx_instruction *in)
{
	return in->opcode == PTX_OP_ld || in->opcode == PTX_OP_ldu;
}

static bool is_plain_store(const struct ptx_instruction *in)
{
	return in->opcode == PTX_OP_st && !ptx_has(in, PTX_MODIFIER_async) &&
	       !ptx_has(in, PTX_MODIFIER_bulk);
}

/* Whole multiples of the alignment from the anchor down to the lowest byte. */
static void align_low(struct range *range)
{
	int64_t align = range->align;

	range->low -= ((range->low - range->anchor) % align + align) % align;
}

/* Those that can be misaligned where the range is aligned check for themselves. */
static void drop_odd(struct warp *warp, uint32_t at)
{
	struct ranges *ranges = &warp->ranges;
	uint32_t *of = &ranges->of[at - ranges->begin];
	struct access access;

	if (*of == FLOW_NONE)
		return;
	warp->emit.in = &warp->emit.function->code[at];
	access_init(warp, &access, !is_load(warp->emit.in));
	if ((access.address->offset - ranges->list[*of].low) % (access.size * access.count) == 0)
		return;
	*of = FLOW_NONE;
	ranges->n_accesses--;
}

bool ranges_find(struct warp *warp, uint32_t number)
{
	const struct flow *flow = &warp->facts.flow;
	const struct flow_block *block = &flow->blocks[number];
	struct ranges *ranges = &warp->ranges;
	uint32_t n = block->end - block->first;

	*ranges = (struct ranges){.block = number, .begin = block->first};
	ranges->list = flow_take(&warp->facts.flow, (n + 1) * sizeof(*ranges->list));
	ranges->of = flow_take(&warp->facts.flow, (n + 1) * sizeof(*ranges->of));
	for (uint32_t at = block->first; at < block->end; at++) {
		const struct ptx_instruction *in = &flow->function->code[at];
		bool reads = is_load(in);
		struct access access;

		ranges->of[at - block->first] = FLOW_NONE;
		if (in->predicate == PTX_NO_REG && (reads || is_plain_store(in))) {
			warp->emit.in = in;
			access_init(warp, &access, !reads);
			if (access_has_range(warp, &access))
				add_access(warp, &access, at);
		}
		flow_visit(flow, in, close_range, ranges);
	}
	for (uint32_t i = 0; i < ranges->count; i++)
		align_low(&ranges->list[i]);
	for (uint32_t at = block->first; at < block->end; at++)
		drop_odd(warp, at);
	return ranges->n_accesses > 1;
}

/* Whether the instruction's access is part of a range, and control is in the copy that trusts
 * it. */
static struct range *range_of(struct warp *warp)
{
	const struct ranges *ranges = &warp->ranges;
	uint32_t number;

	if (!ranges->are_used)
		return NULL;
	number = ranges->of[warp->emit.position - ranges->begin];
	return number == FLOW_NONE ? NULL : &ranges->list[number];
}

bool ranges_has(struct warp *warp)
{
	return range_of(warp) != NULL;
}

/* Goes on here when the condition holds, in the other copy otherwise. */
static void go_on_if(struct warp *warp, struct value condition, uint32_t at)
{
	struct emit *emit = &warp->emit;
	uint32_t fine = emit_new_block(emit);

	emit_line(emit, "br i1 %s, label %%b%u, label %%S%u.%u, !prof !1", condition.text, fine,
	    warp->ranges.block, at);
	text_format(&emit->body, "b%u:\n", fine);
	emit->open = true;
	warp->ranges.enters[at - warp->ranges.begin] = true;
}

/* The base as 64 bits: a scalar, or a vector of rows'. */
static struct value base_address(struct warp *warp, const struct range *range)
{
	struct emit *emit = &warp->emit;
	const struct ptx_operand *base = range->base;
	bool is_narrow =
	    base->kind == PTX_OPERAND_REGISTER && ir_bits(emit->registers[base->reg]) == 32;
	enum ir_type type = is_narrow ? IR_I32 : IR_I64;
	unsigned rows = facts_rows(&warp->facts);
	struct value value;

	if (!range->shape.by_row)
		return convert_bits(
		    emit, operand_get(emit, base, type, false), type, IR_I64, false);
	value = row_get(warp, base, type);
	return is_narrow
		   ? emit_value(emit, "zext <%u x i32> %s to <%u x i64>", rows, value.text, rows)
		   : value;
}

/* A scalar i64 as the base is one or a vector. */
static const char *like_base(
    struct warp *warp, const struct range *range, struct value scalar, char out[WIDEN_OPERAND])
{
	snprintf(out, WIDEN_OPERAND, "%s", scalar.text);
	if (range->shape.by_row) {
		warp->row_widen.out = &warp->emit.body;
		widen_splat(&warp->row_widen, "i64", scalar.text, out);
	}
	return out;
}

/* As emit-memory.c has it: one compare of the lowest address, rotated, with what is left behind the
 * highest. A 32-bit address that wraps in between fails, for the sum here has 64 bits. */
static struct value is_inside(
    struct warp *warp, const struct range *range, struct value base, struct value limit)
{
	struct emit *emit = &warp->emit;
	unsigned shift = (unsigned)__builtin_ctz(range->align), rows = facts_rows(&warp->facts);
	int64_t low = range->low - (range->is_shared ? 0 : (int64_t)SG_ARENA_BASE);
	char type[24] = "i64", name[24] = "i64", operand[WIDEN_OPERAND], declaration[120];
	struct value offset;

	if (range->shape.by_row) {
		snprintf(type, sizeof(type), "<%u x i64>", rows);
		snprintf(name, sizeof(name), "v%ui64", rows);
		snprintf(declaration, sizeof(declaration), "%s @llvm.fshr.%s(%s, %s, %s)", type,
		    name, type, type, type);
		widen_declare(&warp->row_widen, declaration);
	}
	like_base(warp, range, ir_constant(IR_I64, (uint64_t)low), operand);
	offset = emit_value(emit, "add %s %s, %s", type, base.text, operand);
	if (shift) {
		like_base(warp, range, ir_constant(IR_I64, shift), operand);
		offset = emit_value(emit, "call %s @llvm.fshr.%s(%s %s, %s %s, %s %s)", type, name,
		    type, offset.text, type, offset.text, type, operand);
	}
	like_base(warp, range, limit, operand);
	offset = emit_value(emit, "icmp ult %s %s, %s", type, offset.text, operand);
	if (!range->shape.by_row)
		return offset;
	offset = emit_value(emit, "bitcast <%u x i1> %s to i%u", rows, offset.text, rows);
	return emit_value(emit, "icmp eq i%u %s, -1", rows, offset.text);
}

static void find_pointers(struct warp *warp, struct range *range, struct value base)
{
	struct emit *emit = &warp->emit;
	unsigned rows = range->shape.by_row ? facts_rows(&warp->facts) : 1;
	struct value shared = {""};

	if (range->is_shared)
		shared = lane_fact(emit, "ptr", offsetof(struct sg_lane, shared));
	for (unsigned row = 0; row < rows; row++) {
		struct value one = base;

		if (range->shape.by_row)
			one = emit_value(
			    emit, "extractelement <%u x i64> %s, i64 %u", rows, base.text, row);
		range->pointers[row] = range->is_shared
					   ? emit_value(emit, "getelementptr i8, ptr %s, i64 %s",
						 shared.text, one.text)
					   : emit_value(emit, "inttoptr i64 %s to ptr", one.text);
	}
}

static void check(struct warp *warp, struct range *range)
{
	struct emit *emit = &warp->emit;
	unsigned shift = (unsigned)__builtin_ctz(range->align), width = warp->facts.width;
	unsigned long long beyond = (unsigned long long)(range->high - range->low) - range->align;
	struct value base = base_address(warp, range), limit, inside;

	range->pointers =
	    flow_take(&warp->facts.flow, facts_rows(&warp->facts) * sizeof(*range->pointers));
	limit = ir_constant(IR_I64, (SG_ARENA_SIZE - beyond) >> shift);
	if (range->is_shared) {
		limit = lane_fact(emit, "i64", offsetof(struct sg_lane, shared_size));
		limit = emit_value(
		    emit, "call i64 @llvm.usub.sat.i64(i64 %s, i64 %llu)", limit.text, beyond);
		widen_declare(&warp->widen, "i64 @llvm.usub.sat.i64(i64, i64)");
		limit = emit_value(emit, "lshr i64 %s, %u", limit.text, shift);
	}
	inside = is_inside(warp, range, base, limit);
	if (range->shape.wrap) {
		struct value none =
		    emit_value(emit, "load i%u, ptr %%w.%u", width, range->base->reg);

		none = emit_value(emit, "icmp eq i%u %s, 0", width, none.text);
		inside = emit_value(emit, "and i1 %s, %s", inside.text, none.text);
	}
	go_on_if(warp, inside, warp->emit.position);
	find_pointers(warp, range, base);
}

struct value ranges_pointer(struct warp *warp, const struct ptx_operand *address, unsigned row)
{
	struct range *range = range_of(warp);
	struct value base;

	if (!range->pointers)
		check(warp, range);
	base = range->pointers[range->shape.by_row ? row : 0];
	if (!address->offset)
		return base;
	return emit_value(&warp->emit, "getelementptr i8, ptr %s, i64 %lld", base.text,
	    (long long)address->offset);
}

void ranges_begin(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	struct ranges *ranges = &warp->ranges;
	const struct flow_block *block = &warp->facts.flow.blocks[ranges->block];
	unsigned width = warp->facts.width;

	ranges->enters =
	    flow_take(&warp->facts.flow, (block->end - block->first + 1) * sizeof(bool));
	ranges->masked = warp->mask;
	go_on_if(
	    warp, emit_value(emit, "icmp eq i%u %%m%u.i, -1", width, ranges->block), block->first);
	warp->mask = emit_value(emit, "bitcast i%u -1 to <%u x i1>", width, width);
	ranges->are_used = true;
}

void ranges_end(struct warp *warp)
{
	warp->mask = warp->ranges.masked;
	warp->ranges.are_used = false;
	warp->emit.open = false;
}

void ranges_enter(struct warp *warp, uint32_t at)
{
	const struct ranges *ranges = &warp->ranges;
	struct emit *emit = &warp->emit;

	if (ranges->are_used || !ranges->enters || !ranges->enters[at - ranges->begin])
		return;
	if (emit->open)
		emit_line(emit, "br label %%S%u.%u", ranges->block, at);
	text_format(&emit->body, "S%u.%u:\n", ranges->block, at);
	emit->open = true;
}
