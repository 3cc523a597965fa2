/*
 * Loads and stores of a warp, by the shape of the address:
 *
 * - the same for all lanes: one access;
 * - neighbours: one vector, with the two ends checked. When a check fails (a lane that is not
 *   running may be outside) or the addresses overflow in between, the machine does it lane by lane
 *   and knows whose fault it is; in the copy of a block that is for whole warps, one check does for
 *   several accesses (ranges.c);
 * - anything else: a gather or scatter, with every lane checked at once;
 * - bytes and halfwords without order, 128-bit values, a function's own variables: lane by lane.
 *
 * Ordered and volatile accesses are the same instructions: on x86 each element's load acquires and
 * each store releases. The compiler must not move them, which a fence of no instruction says.
 */
#include <stdio.h>

#include "softgpu/exec/lane.h"
#include "softgpu/jit/warp/access.h"

static unsigned log2_of(unsigned size)
{
	return size > 1 ? 31 - (unsigned)__builtin_clz(size) : 0;
}

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

bool access_is_own(const struct access *access)
{
	const struct ptx_operand *base = access->address->elements;

	return base->kind == PTX_OPERAND_VARIABLE && shape_is_own(base->variable);
}

static void run_by_lane(struct warp *warp)
{
	capture_begin(warp);
	emit_opcode(&warp->emit);
	capture_end(warp);
	lanes_run(warp);
}

static void keep_order(struct warp *warp, const struct access *access)
{
	if (access->is_ordered)
		emit_line(&warp->emit, "fence syncscope(\"singlethread\") seq_cst");
}

static struct value element_pointer(
    struct warp *warp, const struct access *access, struct value base, unsigned i)
{
	return i ? emit_value(
		       &warp->emit, "getelementptr i8, ptr %s, i64 %u", base.text, i * access->size)
		 : base;
}

static const struct ptx_operand *element(struct warp *warp, const struct access *access, unsigned i)
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
	any = emit_value(emit, "icmp ne i32 %s, 0", mask_bits(warp, warp->mask).text);
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
		const struct ptx_operand *operand = element(warp, access, i);

		if (operand->kind == PTX_OPERAND_REGISTER && value_varies(warp, operand->reg))
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

	for (unsigned i = 0; i < access->count; i++) {
		const struct ptx_operand *to = element(warp, access, i);
		struct value value = memory_load(emit, element_pointer(warp, access, base, i),
		    access->ir, access->space == PTX_SPACE_PARAM ? 1 : access->size, "");

		if (is_scalar)
			operand_set(emit, to, value, access->ir, is_signed);
		else
			wide_set(warp, to, value, access->ir, false, is_signed);
	}
}

static void load_same(struct warp *warp, const struct access *access)
{
	struct emit *emit = &warp->emit;
	bool is_scalar = goes_to_scalars(warp, access);
	uint32_t none;

	if (ranges_has(warp)) {
		load_elements(warp, access, ranges_pointer(warp, access->address), is_scalar);
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
	struct value bits = mask_bits(warp, warp->mask);
	struct value lane =
	    emit_value(emit, "call i32 @llvm.ctlz.i32(i32 %s, i1 false)", bits.text);

	lane = emit_value(emit, "sub i32 31, %s", lane.text);
	return emit_value(
	    emit, "extractelement %s %s, i32 %s", wide_type(warp, type), vector.text, lane.text);
}

static void store_same(struct warp *warp, const struct access *access)
{
	struct emit *emit = &warp->emit;
	bool is_checked = ranges_has(warp);
	uint32_t none = is_checked ? FLOW_NONE : begin_if_any(warp);
	struct value base = is_checked ? ranges_pointer(warp, access->address)
				       : memory_pointer(emit, access->address, access->space,
					     access->size * access->count, true);

	for (unsigned i = 0; i < access->count; i++) {
		const struct ptx_operand *operand = element(warp, access, i);
		struct value value;

		if (operand->kind == PTX_OPERAND_SINK)
			continue;
		if (shape_is_uniform(shape_of_operand(&warp->facts, operand, 0)))
			value = operand_get(emit, operand, access->ir, false);
		else
			value = last_value(warp, wide_get(warp, operand, access->ir), access->ir);
		memory_store(emit, element_pointer(warp, access, base, i), value, access->ir,
		    access->space == PTX_SPACE_PARAM ? 1 : access->size);
	}
	end_if_any(warp, none);
}

/* "<n x T>" of all lanes' elements. */
static void whole_type(const struct warp *warp, const struct access *access, char *out, size_t size)
{
	snprintf(out, size, "<%u x %s>", warp->facts.width * access->count, ir_name(access->ir));
}

/* The mask with each lane's bit once per element. */
static struct value whole_mask(struct warp *warp, const struct access *access)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	char indices[4096];
	size_t used = 0;

	if (access->count == 1)
		return warp->mask;
	for (unsigned i = 0; i < width * access->count; i++)
		used += (size_t)snprintf(indices + used, sizeof(indices) - used, "%si32 %u",
		    i ? ", " : "", i / access->count);
	return emit_value(emit, "shufflevector <%u x i1> %s, <%u x i1> poison, <%u x i32> <%s>",
	    width, warp->mask.text, width, width * access->count, indices);
}

/* Element i of every lane, out of all. */
static struct value pick_elements(
    struct warp *warp, const struct access *access, struct value whole, unsigned i)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	char type[32], indices[1024];
	size_t used = 0;

	if (access->count == 1)
		return whole;
	whole_type(warp, access, type, sizeof(type));
	for (unsigned lane = 0; lane < width; lane++)
		used += (size_t)snprintf(indices + used, sizeof(indices) - used, "%si32 %u",
		    lane ? ", " : "", lane * access->count + i);
	return emit_value(emit, "shufflevector %s %s, %s poison, <%u x i32> <%s>", type, whole.text,
	    type, width, indices);
}

/* The elements of all lanes, one lane's after the other's. */
static struct value join_elements(struct warp *warp, const struct access *access)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width, parts = access->count;
	struct value values[8];
	char indices[8192];

	for (unsigned i = 0; i < access->count; i++)
		values[i] = wide_get(warp, element(warp, access, i), access->ir);
	/* Pairs are put end to end until one is left, which is then brought into order. */
	for (unsigned size = width; parts > 1; parts /= 2, size *= 2)
		for (unsigned i = 0; i < parts / 2; i++) {
			size_t used = 0;

			for (unsigned k = 0; k < 2 * size; k++) {
				unsigned from = k;

				if (parts == 2) /* lane by lane */
					from = k % access->count * width + k / access->count;
				used += (size_t)snprintf(indices + used, sizeof(indices) - used,
				    "%si32 %u", k ? ", " : "", from);
			}
			values[i] = emit_value(emit,
			    "shufflevector <%u x %s> %s, <%u x %s> %s, <%u x i32> <%s>", size,
			    ir_name(access->ir), values[2 * i].text, size, ir_name(access->ir),
			    values[2 * i + 1].text, 2 * size, indices);
		}
	return values[0];
}

/*
 * Where the vector starts, with a branch to fine or apart. One compare finds an end outside or a
 * start misaligned: see emit-memory.c; the limit is that of the last lane less the way to it.
 */
static struct value check_ends(struct warp *warp, const struct access *access, struct value base,
    uint32_t fine, uint32_t apart)
{
	struct emit *emit = &warp->emit;
	unsigned size = access->size * access->count, shift = log2_of(size);
	unsigned span = size * (warp->facts.width - 1);
	struct value offset, limit, inside, start;

	if (access_is_shared(access)) {
		offset = base;
		limit = lane_fact(emit, "i64", offsetof(struct sg_lane, shared_size));
		limit = emit_value(
		    emit, "call i64 @llvm.usub.sat.i64(i64 %s, i64 %u)", limit.text, span);
		widen_declare(&warp->widen, "i64 @llvm.usub.sat.i64(i64, i64)");
		start = lane_fact(emit, "ptr", offsetof(struct sg_lane, shared));
		start = emit_value(emit, "getelementptr i8, ptr %s, i64 %s", start.text, base.text);
	} else {
		offset = emit_value(
		    emit, "sub i64 %s, %llu", base.text, (unsigned long long)SG_ARENA_BASE);
		limit = ir_constant(IR_I64, SG_ARENA_SIZE - span);
		start = emit_value(emit, "inttoptr i64 %s to ptr", base.text);
	}
	if (shift) {
		offset = emit_value(emit, "call i64 @llvm.fshr.i64(i64 %s, i64 %s, i64 %u)",
		    offset.text, offset.text, shift);
		limit = emit_value(emit, "lshr i64 %s, %u", limit.text, shift);
	}
	inside = emit_value(emit, "icmp ult i64 %s, %s", offset.text, limit.text);
	if (access->shape.wrap) {
		struct value none = emit_value(emit, "load i%u, ptr %%w.%u", warp->facts.width,
		    access->address->elements->reg);

		none = emit_value(emit, "icmp eq i%u %s, 0", warp->facts.width, none.text);
		inside = emit_value(emit, "and i1 %s, %s", inside.text, none.text);
	}
	emit_branch_if(emit, inside, fine, apart);
	return start;
}

/* An address in a 32-bit register: it wraps as 32 bits do. */
static bool is_narrow(const struct warp *warp, const struct access *access)
{
	const struct ptx_operand *base = access->address->elements;

	return base->kind == PTX_OPERAND_REGISTER && ir_bits(warp->emit.registers[base->reg]) == 32;
}

/* The machine moves each lane's bytes between memory and %scratch. */
static void move_apart(struct warp *warp, const struct access *access, struct value base)
{
	struct emit *emit = &warp->emit;
	struct value behind = {"0"};

	if (access->shape.wrap) {
		behind = emit_value(emit, "load i%u, ptr %%w.%u", warp->facts.width,
		    access->address->elements->reg);
		if (warp->facts.width < 32)
			behind =
			    emit_value(emit, "zext i%u %s to i32", warp->facts.width, behind.text);
	}
	emit_line(emit,
	    "call void @sg_warp_move(ptr %%lane, i64 %s, i64 %lld, i64 %lld, i32 %s, i32 %s, i32 "
	    "%u, i32 %d, ptr %%scratch)",
	    base.text, (long long)access->shape.stride, (long long)access->shape.wrap, behind.text,
	    mask_bits(warp, warp->mask).text, access->size * access->count,
	    (access->is_write ? SG_MOVE_WRITE : 0) |
		(access_is_shared(access) ? SG_MOVE_SHARED : 0) |
		(is_narrow(warp, access) ? SG_MOVE_NARROW : 0));
}

static void masked_load_declare(struct warp *warp, const struct access *access, const char *type)
{
	unsigned n = warp->facts.width * access->count;
	char declaration[200];

	snprintf(declaration, sizeof(declaration),
	    "%s @llvm.masked.load.v%u%c%u.p0(ptr, i32 immarg, <%u x i1>, %s)", type, n,
	    access->ir >= IR_FLOAT ? 'f' : 'i', ir_bits(access->ir), n, type);
	widen_declare(&warp->widen, declaration);
}

/* Masked accesses take several times as long as whole ones on some CPUs, or have no instruction:
 * most are of all lanes. */
static void branch_if_whole(struct warp *warp, uint32_t whole, uint32_t part)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	struct value bits =
	    emit_value(emit, "bitcast <%u x i1> %s to i%u", width, warp->mask.text, width);

	emit_branch_if(emit, emit_value(emit, "icmp eq i%u %s, -1", width, bits.text), whole, part);
}

static void set_elements(struct warp *warp, const struct access *access, struct value whole)
{
	for (unsigned i = 0; i < access->count; i++)
		wide_set(warp, element(warp, access, i), pick_elements(warp, access, whole, i),
		    access->ir, true, ptx_type_is_signed(access->type));
}

static void load_vector(struct warp *warp, const struct access *access)
{
	struct emit *emit = &warp->emit;
	uint32_t fine = emit_new_block(emit), apart = emit_new_block(emit),
		 done = emit_new_block(emit), all = emit_new_block(emit),
		 some = emit_new_block(emit);
	unsigned n = warp->facts.width * access->count;
	struct value base = effective_address(emit, access->address), start, whole, mask;
	char type[32];

	whole_type(warp, access, type, sizeof(type));
	text_format(&emit->prologue, "  %%g%u = alloca %s\n", access->number, type);
	masked_load_declare(warp, access, type);
	start = check_ends(warp, access, base, fine, apart);
	text_format(&emit->body, "b%u:\n", apart);
	move_apart(warp, access, base);
	whole = emit_value(emit, "load %s, ptr %%scratch", type);
	emit_line(emit, "store %s %s, ptr %%g%u", type, whole.text, access->number);
	emit_line(emit, "br label %%b%u", done);
	text_format(&emit->body, "b%u:\n", fine);
	branch_if_whole(warp, all, some);
	text_format(&emit->body, "b%u:\n", all);
	whole = emit_value(emit, "load %s, ptr %s, align %u", type, start.text, access->size);
	emit_line(emit, "store %s %s, ptr %%g%u", type, whole.text, access->number);
	emit_line(emit, "br label %%b%u", done);
	text_format(&emit->body, "b%u:\n", some);
	mask = whole_mask(warp, access);
	whole = emit_value(emit,
	    "call %s @llvm.masked.load.v%u%c%u.p0(ptr %s, i32 %u, <%u x i1> %s, %s "
	    "zeroinitializer)",
	    type, n, access->ir >= IR_FLOAT ? 'f' : 'i', ir_bits(access->ir), start.text,
	    access->size, n, mask.text, type);
	emit_line(emit, "store %s %s, ptr %%g%u", type, whole.text, access->number);
	emit_line(emit, "br label %%b%u", done);
	text_format(&emit->body, "b%u:\n", done);
	emit->open = true;
	whole = emit_value(emit, "load %s, ptr %%g%u", type, access->number);
	set_elements(warp, access, whole);
}

/* All lanes run, and the addresses are known to be good. */
static void load_whole(struct warp *warp, const struct access *access)
{
	struct value start = ranges_pointer(warp, access->address);
	char type[32];

	whole_type(warp, access, type, sizeof(type));
	set_elements(warp, access,
	    emit_value(&warp->emit, "load %s, ptr %s, align %u", type, start.text, access->size));
}

static void store_whole(struct warp *warp, const struct access *access)
{
	struct value whole = join_elements(warp, access);
	struct value start = ranges_pointer(warp, access->address);
	char type[32];

	whole_type(warp, access, type, sizeof(type));
	emit_line(&warp->emit, "store %s %s, ptr %s, align %u", type, whole.text, start.text,
	    access->size);
}

static void store_vector(struct warp *warp, const struct access *access)
{
	struct emit *emit = &warp->emit;
	uint32_t fine = emit_new_block(emit), apart = emit_new_block(emit),
		 done = emit_new_block(emit), all = emit_new_block(emit),
		 some = emit_new_block(emit);
	unsigned n = warp->facts.width * access->count;
	struct value base, start, whole = join_elements(warp, access), mask;
	char type[32], declaration[200];

	whole_type(warp, access, type, sizeof(type));
	snprintf(declaration, sizeof(declaration),
	    "void @llvm.masked.store.v%u%c%u.p0(%s, ptr, i32 immarg, <%u x i1>)", n,
	    access->ir >= IR_FLOAT ? 'f' : 'i', ir_bits(access->ir), type, n);
	widen_declare(&warp->widen, declaration);
	base = effective_address(emit, access->address);
	start = check_ends(warp, access, base, fine, apart);
	text_format(&emit->body, "b%u:\n", apart);
	emit_line(emit, "store %s %s, ptr %%scratch", type, whole.text);
	move_apart(warp, access, base);
	emit_line(emit, "br label %%b%u", done);
	text_format(&emit->body, "b%u:\n", fine);
	branch_if_whole(warp, all, some);
	text_format(&emit->body, "b%u:\n", all);
	emit_line(
	    emit, "store %s %s, ptr %s, align %u", type, whole.text, start.text, access->size);
	emit_line(emit, "br label %%b%u", done);
	text_format(&emit->body, "b%u:\n", some);
	mask = whole_mask(warp, access);
	emit_line(emit,
	    "call void @llvm.masked.store.v%u%c%u.p0(%s %s, ptr %s, i32 %u, <%u x i1> %s)", n,
	    access->ir >= IR_FLOAT ? 'f' : 'i', ir_bits(access->ir), type, whole.text, start.text,
	    access->size, n, mask.text);
	emit_line(emit, "br label %%b%u", done);
	text_format(&emit->body, "b%u:\n", done);
	emit->open = true;
}

static struct value address_vector(struct warp *warp, const struct access *access)
{
	struct value value;

	capture_begin(warp);
	value = effective_address(&warp->emit, access->address);
	capture_end(warp);
	if (!capture_widen(warp))
		warp_refuse(warp, "an address cannot be made wide");
	return capture_is_vector(warp, value) ? value : wide_splat(warp, IR_I64, value);
}

/* All lanes' pointers, checked. */
static struct value check_all(struct warp *warp, const struct access *access)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width, size = access->size * access->count;
	const char *type = wide_type(warp, IR_I64);
	struct value addresses = address_vector(warp, access), offsets = addresses, limit, inside;
	uint32_t fine = emit_new_block(emit), bad = emit_new_block(emit);
	char declaration[120];

	if (access_is_shared(access)) {
		limit = lane_fact(emit, "i64", offsetof(struct sg_lane, shared_size));
		limit = emit_value(emit, "lshr i64 %s, %u", limit.text, log2_of(size));
	} else {
		offsets = emit_value(emit, "sub %s %s, %s", type, addresses.text,
		    wide_splat(warp, IR_I64, ir_constant(IR_I64, SG_ARENA_BASE)).text);
		limit = ir_constant(IR_I64, SG_ARENA_SIZE >> log2_of(size));
	}
	if (log2_of(size)) {
		snprintf(declaration, sizeof(declaration), "%s @llvm.fshr.v%ui64(%s, %s, %s)", type,
		    width, type, type, type);
		widen_declare(&warp->widen, declaration);
		offsets = emit_value(emit, "call %s @llvm.fshr.v%ui64(%s %s, %s %s, %s %s)", type,
		    width, type, offsets.text, type, offsets.text, type,
		    wide_splat(warp, IR_I64, ir_constant(IR_I64, log2_of(size))).text);
	}
	inside = emit_value(
	    emit, "icmp uge %s %s, %s", type, offsets.text, wide_splat(warp, IR_I64, limit).text);
	inside = emit_value(emit, "and <%u x i1> %s, %s", width, inside.text, warp->mask.text);
	inside = mask_bits(warp, inside);
	emit_branch_if(emit, emit_value(emit, "icmp eq i32 %s, 0", inside.text), fine, bad);
	text_format(&emit->body, "b%u:\n", bad);
	emit_line(emit, "store %s %s, ptr %%scratch", type, addresses.text);
	emit_line(emit,
	    "call void @sg_warp_fault(ptr %%lane, ptr %%scratch, i32 %s, i32 %u, i1 %d, i1 %d)",
	    inside.text, size, access->is_write, access_is_shared(access));
	emit_line(emit, "unreachable");
	text_format(&emit->body, "b%u:\n", fine);
	emit->open = true;
	if (!access_is_shared(access))
		return emit_value(
		    emit, "inttoptr %s %s to <%u x ptr>", type, addresses.text, width);
	limit = lane_fact(emit, "ptr", offsetof(struct sg_lane, shared));
	return emit_value(
	    emit, "getelementptr i8, ptr %s, %s %s", limit.text, type, addresses.text);
}

struct value access_pointers(struct warp *warp, const struct ptx_operand *address, unsigned size)
{
	struct access access = {.space = space_of(&warp->emit),
	    .count = 1,
	    .size = size,
	    .address = address,
	    .is_write = true,
	    .number = warp->n_places++};

	if (address->elements->kind == PTX_OPERAND_VARIABLE && access.space == PTX_SPACE_GENERIC)
		access.space = address->elements->variable->space;
	return check_all(warp, &access);
}

static struct value element_pointers(
    struct warp *warp, const struct access *access, struct value base, unsigned i)
{
	return i ? emit_value(&warp->emit, "getelementptr i8, <%u x ptr> %s, i64 %u",
		       warp->facts.width, base.text, i * access->size)
		 : base;
}

static void gather(struct warp *warp, const struct access *access)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	const char *type = wide_type(warp, access->ir);
	char name[64], declaration[200];
	struct value base = check_all(warp, access);

	snprintf(name, sizeof(name), "@llvm.masked.gather.v%u%c%u.v%up0", width,
	    access->ir >= IR_FLOAT ? 'f' : 'i', ir_bits(access->ir), width);
	snprintf(declaration, sizeof(declaration), "%s %s(<%u x ptr>, i32 immarg, <%u x i1>, %s)",
	    type, name, width, width, type);
	widen_declare(&warp->widen, declaration);
	for (unsigned i = 0; i < access->count; i++) {
		struct value at = element_pointers(warp, access, base, i);
		struct value value = emit_value(emit,
		    "call %s %s(<%u x ptr> %s, i32 %u, <%u x i1> %s, %s zeroinitializer)", type,
		    name, width, at.text, access->size, width, warp->mask.text, type);

		wide_set(warp, element(warp, access, i), value, access->ir, true,
		    ptx_type_is_signed(access->type));
	}
}

static void scatter(struct warp *warp, const struct access *access)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	const char *type = wide_type(warp, access->ir);
	char name[64], declaration[200];
	struct value base = check_all(warp, access);

	snprintf(name, sizeof(name), "@llvm.masked.scatter.v%u%c%u.v%up0", width,
	    access->ir >= IR_FLOAT ? 'f' : 'i', ir_bits(access->ir), width);
	snprintf(declaration, sizeof(declaration), "void %s(%s, <%u x ptr>, i32 immarg, <%u x i1>)",
	    name, type, width, width);
	widen_declare(&warp->widen, declaration);
	for (unsigned i = 0; i < access->count; i++) {
		struct value at, value;

		if (element(warp, access, i)->kind == PTX_OPERAND_SINK)
			continue;
		at = element_pointers(warp, access, base, i);
		value = wide_get(warp, element(warp, access, i), access->ir);
		emit_line(emit, "call void %s(%s %s, <%u x ptr> %s, i32 %u, <%u x i1> %s)", name,
		    type, value.text, width, at.text, access->size, width, warp->mask.text);
	}
}

static bool has_sink(const struct ptx_operand *data)
{
	for (uint32_t i = 0; i < data->n_elements; i++)
		if (data->elements[i].kind == PTX_OPERAND_SINK)
			return true;
	return data->kind == PTX_OPERAND_SINK;
}

bool access_is_contiguous(const struct access *access)
{
	return access->shape.kind == SHAPE_LINEAR && access->size <= 8 &&
	       access->shape.stride == (int64_t)access->size * access->count &&
	       (access->shape.wrap == 0 ||
		   access->address->elements->kind == PTX_OPERAND_REGISTER) &&
	       !(access->is_write && has_sink(access->data));
}

static bool has_gather(const struct access *access)
{
	return access->size == 4 || access->size == 8;
}

void warp_load(struct warp *warp)
{
	struct access access;

	access_init(warp, &access, false);
	if (access_is_own(&access)) {
		run_by_lane(warp);
		return;
	}
	keep_order(warp, &access);
	if (shape_is_uniform(access.shape))
		load_same(warp, &access);
	else if (ranges_has(warp))
		load_whole(warp, &access);
	else if (access_is_contiguous(&access))
		load_vector(warp, &access);
	else if (has_gather(&access))
		gather(warp, &access);
	else
		run_by_lane(warp);
	keep_order(warp, &access);
}

void warp_store(struct warp *warp)
{
	struct access access;

	access_init(warp, &access, true);
	if (access_is_own(&access)) {
		run_by_lane(warp);
		return;
	}
	keep_order(warp, &access);
	if (shape_is_uniform(access.shape))
		store_same(warp, &access);
	else if (ranges_has(warp))
		store_whole(warp, &access);
	else if (access_is_contiguous(&access))
		store_vector(warp, &access);
	else if (has_gather(&access))
		scatter(warp, &access);
	else
		run_by_lane(warp);
	keep_order(warp, &access);
}
