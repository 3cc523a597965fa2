/*
 * Loads and stores of a warp, by the shape of the address:
 *
 * - the same for all lanes: one access;
 * - neighbours, or in each row of lanes neighbours or one place: vectors, with the ends checked
 *   (vector.c); in the copy of a block that is for whole warps, one check does for several accesses
 *   (ranges.c);
 * - anything else: a gather or scatter, with every lane checked at once (gather.c);
 * - bytes and halfwords without order, 128-bit values, ordered vectors, a function's own variables:
 *   lane by lane.
 *
 * Ordered and volatile accesses are the same instructions: on x86 each element's load acquires and
 * each store releases. The compiler must not move them, which a fence of no instruction says.
 */

#include "softgpu/jit/warp/access.h"
#include "softgpu/exec/lane.h"

void access_init(struct warp *warp, struct access *access, bool is_write)
{
	struct emit *emit = &warp->emit;
	const struct ptx_operand *operands = emit->in->operands;

	*access = (struct access){
	    .type = type_at(emit, 0),
	    .space = space_of(emit),
	    .count = memory_vector_size(emit),
	    .address = &operands[is_write ? 0 : 1],
	    .data = &operands[is_write ? 1 : 0],
	    .is_write = is_write,
	    .is_ordered = memory_ordering(emit) != NULL,
	    .number = warp->n_places++,
	};
	access->ir = ir_of(access->type);
	access->size = ptx_type_bits(access->type) / 8;
	if (access->address->kind != PTX_OPERAND_ADDRESS)
		emit_fail(emit, "%s needs an address", ptx_opcode_info(emit->in->opcode)->name);
	access->shape = shape_of_address(&warp->facts, access->address);
	if (access->address->elements->kind == PTX_OPERAND_VARIABLE &&
	    access->space == PTX_SPACE_GENERIC)
		access->space = access->address->elements->variable->space;
}

static bool is_own(const struct access *access)
{
	const struct ptx_operand *base = access->address->elements;

	return base->kind == PTX_OPERAND_VARIABLE && shape_is_own(base->variable);
}

bool access_goes_by_lane(struct warp *warp, const struct access *access)
{
	return is_own(access) ||
	       (memory_is_one(&warp->emit, access->address) && !shape_is_uniform(access->shape));
}

static void keep_order(struct warp *warp, const struct access *access)
{
	if (access->is_ordered)
		emit_line(&warp->emit, "fence syncscope(\"singlethread\") seq_cst");
}

struct value access_element_pointer(
    struct warp *warp, const struct access *access, struct value base, unsigned i)
{
	return i ? emit_value(
		       &warp->emit, "getelementptr i8, ptr %s, i64 %u", base.text, i * access->size)
		 : base;
}

const struct ptx_operand *access_element(struct warp *warp, const struct access *access, unsigned i)
{
	return memory_element(&warp->emit, access->data, access->count, i);
}

uint32_t begin_if_any(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	uint32_t some, none;
	struct value any;

	if (warp->spares && !warp->may_be_none)
		note_first_lane(warp);
	if (!warp->may_be_none)
		return FLOW_NONE;
	some = emit_new_block(emit);
	none = emit_new_block(emit);
	any = mask_any(warp, warp->mask);
	emit_branch_if(emit, any, some, none);
	text_format(&emit->body, "b%u:\n", some);
	emit->open = true;
	note_first_lane(warp);
	return none;
}

void end_if_any(struct warp *warp, uint32_t none)
{
	if (none != FLOW_NONE)
		emit_start_block(&warp->emit, none);
}

static bool goes_to_scalars(struct warp *warp, const struct access *access)
{
	for (unsigned i = 0; i < access->count; i++) {
		const struct ptx_operand *operand = access_element(warp, access, i);

		if (operand->kind == PTX_OPERAND_REGISTER &&
		    (value_varies(warp, operand->reg) || value_has_rows(warp, operand->reg)))
			return false;
	}
	return true;
}

/* All elements at one pointer, to registers that are scalars or vectors. */
static void load_elements(
    struct warp *warp, const struct access *access, struct value base, bool is_scalar)
{
	struct emit *emit = &warp->emit;
	bool is_signed = ptx_type_is_signed(access->type);
	struct value values[8];

	memory_load_elements(emit, base, values);
	for (unsigned i = 0; i < access->count; i++) {
		const struct ptx_operand *to = access_element(warp, access, i);

		if (is_scalar)
			operand_set(emit, to, values[i], access->ir, is_signed);
		else
			set_same(warp, to, values[i], access->ir, is_signed);
	}
}

static void load_same(struct warp *warp, const struct access *access)
{
	struct emit *emit = &warp->emit;
	bool is_scalar = goes_to_scalars(warp, access);
	uint32_t none;

	if (ranges_has(warp)) {
		load_elements(warp, access, ranges_pointer(warp, access->address, 0), is_scalar);
		return;
	}
	none = begin_if_any(warp);
	if (is_scalar)
		emit_opcode(emit);
	else
		load_elements(warp, access,
		    memory_pointer(
			emit, access->address, access->space, access->size * access->count, false),
		    false);
	end_if_any(warp, none);
}

/* Of several lanes that write one place, the last is seen, as if they had come in turn. */
static struct value last_value(struct warp *warp, struct value vector, enum ir_type type)
{
	struct emit *emit = &warp->emit;
	struct value lane = integer_last(warp, mask_integer(warp, warp->mask));

	return emit_value(
	    emit, "extractelement %s %s, i32 %s", wide_type(warp, type), vector.text, lane.text);
}

static void store_same(struct warp *warp, const struct access *access)
{
	struct emit *emit = &warp->emit;
	bool is_checked = ranges_has(warp);
	uint32_t none = is_checked ? FLOW_NONE : begin_if_any(warp);
	struct value base = is_checked ? ranges_pointer(warp, access->address, 0)
				       : memory_pointer(emit, access->address, access->space,
					     access->size * access->count, true);
	struct value values[8] = {0};

	for (unsigned i = 0; i < access->count; i++) {
		const struct ptx_operand *operand = access_element(warp, access, i);

		if (operand->kind == PTX_OPERAND_SINK)
			continue;
		if (shape_is_uniform(shape_of_operand(&warp->facts, operand, 0)))
			values[i] = operand_get(emit, operand, access->ir, false);
		else
			values[i] =
			    last_value(warp, wide_get(warp, operand, access->ir), access->ir);
	}
	memory_store_elements(emit, base, values);
	end_if_any(warp, none);
}

bool access_has_neighbours(const struct access *access)
{
	return access->shape.kind == SHAPE_LINEAR && access->size <= 8 &&
	       access->space != PTX_SPACE_CLUSTER &&
	       access->shape.stride == (int64_t)access->size * access->count &&
	       (access->shape.wrap == 0 ||
		   access->address->elements->kind == PTX_OPERAND_REGISTER) &&
	       !(access->is_write && ptx_has_sink(access->data));
}

static bool is_contiguous(const struct warp *warp, const struct access *access)
{
	return access_has_neighbours(access) && !facts_have_rows(&warp->facts);
}

/* Rows of one address, or of neighbours. */
static bool are_rows_apart(const struct warp *warp, const struct access *access)
{
	return facts_have_rows(&warp->facts) && access->size <= 8 &&
	       access->space != PTX_SPACE_CLUSTER &&
	       (shape_is_flat(access->shape) || access_has_neighbours(access)) &&
	       !(access->is_write && ptx_has_sink(access->data));
}

static bool has_gather(const struct access *access)
{
	return access->size == 4 || access->size == 8;
}

/* False: done, lane by lane. */
static bool begin(struct warp *warp, struct access *access, bool is_write)
{
	access_init(warp, access, is_write);
	if (access_goes_by_lane(warp, access)) {
		warp_run_by_lane(warp);
		return false;
	}
	warp_tally_guard(warp, access->address, access->space, access->size * access->count);
	keep_order(warp, access);
	return true;
}

void warp_load(struct warp *warp)
{
	struct access access;

	if (!begin(warp, &access, false))
		return;
	if (shape_is_uniform(access.shape))
		load_same(warp, &access);
	else if (ranges_has(warp) && shape_is_flat(access.shape))
		access_load_rows(warp, &access);
	else if (ranges_has(warp))
		access_load_whole(warp, &access);
	else if (are_rows_apart(warp, &access))
		access_load_apart(warp, &access);
	else if (is_contiguous(warp, &access))
		access_load_vector(warp, &access);
	else if (has_gather(&access))
		access_gather(warp, &access);
	else
		warp_run_by_lane(warp);
	keep_order(warp, &access);
}

void warp_store(struct warp *warp)
{
	struct access access;

	if (!begin(warp, &access, true))
		return;
	if (shape_is_uniform(access.shape))
		store_same(warp, &access);
	else if (ranges_has(warp))
		access_store_whole(warp, &access);
	else if (are_rows_apart(warp, &access))
		access_store_apart(warp, &access);
	else if (is_contiguous(warp, &access))
		access_store_vector(warp, &access);
	else if (has_gather(&access))
		access_scatter(warp, &access);
	else
		warp_run_by_lane(warp);
	keep_order(warp, &access);
}
