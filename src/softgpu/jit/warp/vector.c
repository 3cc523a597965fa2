/*
 * Loads and stores of vectors: lanes, or the lanes of each row, at neighbouring places or at one.
 *
 * In the copy of a block that is for whole warps the ends are known to be good. Elsewhere they are
 * checked: where lanes that do not run may be outside, those that do; what is left is done lane by
 * lane by the machine, which knows whose fault it is.
 */
#include <stdio.h>

#include "base/util.h"
#include "softgpu/exec/lane.h"
#include "softgpu/jit/warp/access.h"

#define MOST_ELEMENTS (8 * SG_MOST_LANES)
#define ROWS_AHEAD    2

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
	char indices[MOST_ELEMENTS * 10];
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
	char type[32], indices[SG_MOST_LANES * 10];
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
	char indices[MOST_ELEMENTS * 10];

	for (unsigned i = 0; i < access->count; i++)
		values[i] = wide_get(warp, access_element(warp, access, i), access->ir);
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

/* An address in a 32-bit register: it wraps as 32 bits do. */
static bool is_narrow(const struct warp *warp, const struct access *access)
{
	const struct ptx_operand *base = access->address->elements;

	return base->kind == PTX_OPERAND_REGISTER && ir_bits(warp->emit.registers[base->reg]) == 32;
}

/* Are so many bytes behind the offset's first one, and its element's, inside? One compare finds an
 * end outside or a start misaligned: see emit-memory.c. */
static struct value is_inside(
    struct warp *warp, const struct access *access, struct value offset, struct value span)
{
	struct emit *emit = &warp->emit;
	unsigned shift = access_log2(access->size * access->count);
	struct value limit = ir_constant(IR_I64, SG_ARENA_SIZE);

	if (access_is_shared(access))
		limit = lane_fact(emit, "i64", offsetof(struct sg_lane, shared_size));
	widen_declare(&warp->widen, "i64 @llvm.usub.sat.i64(i64, i64)");
	limit =
	    emit_value(emit, "call i64 @llvm.usub.sat.i64(i64 %s, i64 %s)", limit.text, span.text);
	if (shift) {
		offset = emit_value(emit, "call i64 @llvm.fshr.i64(i64 %s, i64 %s, i64 %u)",
		    offset.text, offset.text, shift);
		limit = emit_value(emit, "lshr i64 %s, %u", limit.text, shift);
	}
	return emit_value(emit, "icmp ult i64 %s, %s", offset.text, limit.text);
}

/* The same from the first lane that runs to the last. */
static struct value is_mask_inside(
    struct warp *warp, const struct access *access, struct value offset)
{
	struct emit *emit = &warp->emit;
	unsigned size = access->size * access->count;
	struct value lanes = mask_integer(warp, warp->mask);
	struct value first = integer_first(warp, lanes), last = integer_last(warp, lanes), span;

	span = emit_value(emit, "sub i32 %s, %s", last.text, first.text);
	span = emit_value(emit, "sext i32 %s to i64", span.text);
	span = emit_value(emit, "mul i64 %s, %u", span.text, size);
	first = emit_value(emit, "zext i32 %s to i64", first.text);
	first = emit_value(emit, "mul i64 %s, %u", first.text, size);
	offset = emit_value(emit, "add i64 %s, %s", offset.text, first.text);
	return is_inside(warp, access, offset, span);
}

static struct value no_lane_wraps(struct warp *warp, const struct access *access)
{
	unsigned width = warp->facts.width;
	struct value bits;

	if (!access->shape.wrap)
		return (struct value){"true"};
	bits =
	    emit_value(&warp->emit, "load i%u, ptr %%w.%u", width, access->address->elements->reg);
	return emit_value(&warp->emit, "icmp eq i%u %s, 0", width, bits.text);
}

/* Where the vector starts, with a branch to fine when all its elements are good, to some when those
 * of the lanes that run are, or to apart. */
static struct value check_ends(struct warp *warp, const struct access *access, struct value base,
    uint32_t fine, uint32_t some, uint32_t apart)
{
	struct emit *emit = &warp->emit;
	struct value offset = base, start, inside, none = no_lane_wraps(warp, access);
	uint32_t fewer = emit_new_block(emit);

	/* From below zero on, the first lanes may be those that do not run. */
	if (is_narrow(warp, access)) {
		base = emit_value(emit, "trunc i64 %s to i32", base.text);
		offset = base = emit_value(emit, "sext i32 %s to i64", base.text);
	}
	if (access_is_shared(access)) {
		start = lane_fact(emit, "ptr", offsetof(struct sg_lane, shared));
		start = emit_value(emit, "getelementptr i8, ptr %s, i64 %s", start.text, base.text);
	} else {
		offset = emit_value(
		    emit, "sub i64 %s, %llu", base.text, (unsigned long long)SG_ARENA_BASE);
		start = emit_value(emit, "inttoptr i64 %s to ptr", base.text);
	}
	inside = is_inside(warp, access, offset,
	    ir_constant(IR_I64, access->size * access->count * (warp->facts.width - 1)));
	inside = emit_value(emit, "and i1 %s, %s", inside.text, none.text);
	emit_branch_if(emit, inside, fine, fewer);
	text_format(&emit->body, "b%u:\n", fewer);
	inside = is_mask_inside(warp, access, offset);
	inside = emit_value(emit, "and i1 %s, %s", inside.text, none.text);
	emit_branch_if(emit, inside, some, apart);
	return start;
}

/* Part of what the machine is told. */
static struct value move_part(struct warp *warp, size_t offset)
{
	return emit_value(&warp->emit, "getelementptr i8, ptr %%move, i64 %zu", offset);
}

static void move_set(struct warp *warp, size_t offset, const char *type, uint64_t number)
{
	emit_line(&warp->emit, "store %s %llu, ptr %s", type, (unsigned long long)number,
	    move_part(warp, offset).text);
}

/* The machine moves each lane's bytes between memory and %scratch. bases: by row. */
static void move_apart(struct warp *warp, const struct access *access, struct value bases)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width, rows = facts_rows(&warp->facts);
	struct value behind = {"0"};

	if (access->shape.wrap)
		behind =
		    emit_value(emit, "load i%u, ptr %%w.%u", width, access->address->elements->reg);
	integer_memory(warp, behind, move_part(warp, offsetof(struct sg_move, wrapped)).text);
	integer_memory(warp, mask_integer(warp, warp->mask),
	    move_part(warp, offsetof(struct sg_move, lanes)).text);
	emit_line(emit, "store <%u x i64> %s, ptr %%move, align 8", rows, bases.text);
	move_set(warp, offsetof(struct sg_move, stride), "i64", (uint64_t)access->shape.stride);
	move_set(warp, offsetof(struct sg_move, wrap), "i64", (uint64_t)access->shape.wrap);
	move_set(warp, offsetof(struct sg_move, size), "i32", access->size * access->count);
	move_set(warp, offsetof(struct sg_move, row), "i32", width / rows);
	move_set(warp, offsetof(struct sg_move, flags), "i32",
	    (access->is_write ? SG_MOVE_WRITE : 0) |
		(access_is_shared(access) ? SG_MOVE_SHARED : 0) |
		(is_narrow(warp, access) ? SG_MOVE_NARROW : 0));
	emit_line(emit, "call void @sg_warp_move(ptr %%lane, ptr %%move, ptr %%scratch)");
}

/* As move_apart() takes the base of the only row. */
static struct value only_base(struct warp *warp, struct value base)
{
	return emit_value(&warp->emit, "bitcast i64 %s to <1 x i64>", base.text);
}

/* Each row's address, of what is linear in it. */
static struct value row_bases(struct warp *warp, const struct access *access)
{
	struct emit *emit = &warp->emit;
	unsigned rows = facts_rows(&warp->facts);
	const struct ptx_operand *address = access->address;
	enum ir_type type = is_narrow(warp, access) ? IR_I32 : IR_I64;
	char type_name[24], offset[WIDEN_OPERAND];
	struct value base = row_get(warp, address->elements, type);

	snprintf(type_name, sizeof(type_name), "<%u x %s>", rows, ir_name(type));
	warp->row_widen.out = &emit->body;
	widen_splat(&warp->row_widen, ir_name(type),
	    ir_constant(type, (uint64_t)address->offset).text, offset);
	base = emit_value(emit, "add %s %s, %s", type_name, base.text, offset);
	if (type == IR_I32)
		base = emit_value(emit, "zext %s %s to <%u x i64>", type_name, base.text, rows);
	return base;
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
		wide_set(warp, access_element(warp, access, i),
		    pick_elements(warp, access, whole, i), access->ir, true,
		    ptx_type_is_signed(access->type));
}

/*
 * Blocks run in the order of their numbers, and mostly one reads on where the last one stopped. A
 * processor fetches such a stream ahead, which it knows by the place of the instruction that reads
 * it; but between two blocks enough others run that one of them may be taken for it and end the
 * stream, block after block: where that is by physical address, in one process and not in the
 * next. So the row after next is asked for. In a loop the stream goes on at once, and the rows of
 * kernels without barriers are short.
 */
static void fetch_ahead(struct warp *warp, const struct access *access, struct value start)
{
	struct emit *emit = &warp->emit;
	unsigned row = warp->facts.width * access->count * access->size;

	if (warp->facts.width <= SG_WARP_SIZE || facts_have_rows(&warp->facts) ||
	    access_is_shared(access) || warp->facts.flow.blocks[warp->block].loop != FLOW_NONE)
		return;
	widen_declare(
	    &warp->widen, "void @llvm.prefetch.p0(ptr, i32 immarg, i32 immarg, i32 immarg)");
	for (unsigned i = 0; i < row; i += CACHE_LINE) {
		struct value line = emit_value(
		    emit, "getelementptr i8, ptr %s, i64 %u", start.text, ROWS_AHEAD * row + i);

		emit_line(
		    emit, "call void @llvm.prefetch.p0(ptr %s, i32 0, i32 3, i32 1)", line.text);
	}
}

void access_load_vector(struct warp *warp, const struct access *access)
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
	start = check_ends(warp, access, base, fine, some, apart);
	text_format(&emit->body, "b%u:\n", apart);
	move_apart(warp, access, only_base(warp, base));
	whole = emit_value(emit, "load %s, ptr %%scratch", type);
	emit_line(emit, "store %s %s, ptr %%g%u", type, whole.text, access->number);
	emit_line(emit, "br label %%b%u", done);
	text_format(&emit->body, "b%u:\n", fine);
	branch_if_whole(warp, all, some);
	text_format(&emit->body, "b%u:\n", all);
	fetch_ahead(warp, access, start);
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

/* Puts vectors of n elements end to end, two by two, until one is left. */
static struct value join_vectors(
    struct warp *warp, enum ir_type type, struct value *vectors, unsigned count, unsigned n)
{
	char indices[MOST_ELEMENTS * 10];

	for (; count > 1; count /= 2, n *= 2) {
		size_t used = 0;

		for (unsigned k = 0; k < 2 * n; k++)
			used += (size_t)snprintf(
			    indices + used, sizeof(indices) - used, "%si32 %u", k ? ", " : "", k);
		for (unsigned i = 0; i < count / 2; i++)
			vectors[i] = emit_value(&warp->emit,
			    "shufflevector <%u x %s> %s, <%u x %s> %s, <%u x i32> <%s>", n,
			    ir_name(type), vectors[2 * i].text, n, ir_name(type),
			    vectors[2 * i + 1].text, 2 * n, indices);
	}
	return vectors[0];
}

/* All lanes run, and the addresses are known to be good. Rows at one place are loaded once. */
void access_load_whole(struct warp *warp, const struct access *access)
{
	struct emit *emit = &warp->emit;
	unsigned rows = facts_rows(&warp->facts), n = warp->facts.width / rows * access->count;
	struct value parts[SG_MOST_LANES];

	for (unsigned row = 0; row < rows; row++) {
		struct value start;

		if (row && !access->shape.by_row) {
			parts[row] = parts[0];
			continue;
		}
		start = ranges_pointer(warp, access->address, row);
		fetch_ahead(warp, access, start);
		parts[row] = emit_value(emit, "load <%u x %s>, ptr %s, align %u", n,
		    ir_name(access->ir), start.text, access->size);
	}
	set_elements(warp, access, join_vectors(warp, access->ir, parts, rows, n));
}

/* The lanes of each row have one address: a scalar for each. */
void access_load_rows(struct warp *warp, const struct access *access)
{
	struct emit *emit = &warp->emit;
	unsigned rows = facts_rows(&warp->facts), n = warp->facts.row;
	const char *type = ir_name(access->ir);
	struct value parts[SG_MOST_LANES], results[8];

	for (unsigned i = 0; i < access->count; i++) {
		for (unsigned row = 0; row < rows; row++) {
			struct value start = ranges_pointer(warp, access->address, row), one;

			one = memory_load(emit, access_element_pointer(warp, access, start, i),
			    access->ir, access->size, "");
			one = emit_value(emit, "insertelement <%u x %s> poison, %s %s, i64 0", n,
			    type, type, one.text);
			parts[row] = emit_value(emit,
			    "shufflevector <%u x %s> %s, <%u x %s> poison, <%u x i32> "
			    "zeroinitializer",
			    n, type, one.text, n, type, n);
		}
		results[i] = join_vectors(warp, access->ir, parts, rows, n);
	}
	for (unsigned i = 0; i < access->count; i++)
		wide_set(warp, access_element(warp, access, i), results[i], access->ir, true,
		    ptx_type_is_signed(access->type));
}

/* Elements first to first + n - 1 of all. */
static struct value part_of(
    struct warp *warp, const struct access *access, struct value whole, unsigned first, unsigned n)
{
	char type[32], indices[MOST_ELEMENTS * 10];
	size_t used = 0;

	whole_type(warp, access, type, sizeof(type));
	for (unsigned k = 0; k < n; k++)
		used += (size_t)snprintf(
		    indices + used, sizeof(indices) - used, "%si32 %u", k ? ", " : "", first + k);
	return emit_value(&warp->emit, "shufflevector %s %s, %s poison, <%u x i32> <%s>", type,
	    whole.text, type, n, indices);
}

/* Of rows at one place, the last stays. */
void access_store_whole(struct warp *warp, const struct access *access)
{
	unsigned rows = facts_rows(&warp->facts), n = warp->facts.width / rows * access->count;
	struct value whole = join_elements(warp, access);

	for (unsigned row = access->shape.by_row ? 0 : rows - 1; row < rows; row++) {
		struct value start = ranges_pointer(warp, access->address, row), part = whole;

		if (rows > 1)
			part = part_of(warp, access, whole, row * n, n);
		emit_line(&warp->emit, "store <%u x %s> %s, ptr %s, align %u", n,
		    ir_name(access->ir), part.text, start.text, access->size);
	}
}

void access_store_vector(struct warp *warp, const struct access *access)
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
	start = check_ends(warp, access, base, fine, some, apart);
	text_format(&emit->body, "b%u:\n", apart);
	emit_line(emit, "store %s %s, ptr %%scratch", type, whole.text);
	move_apart(warp, access, only_base(warp, base));
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

/* Rows of which not all lanes run: the machine does it. */
void access_load_apart(struct warp *warp, const struct access *access)
{
	char type[32];

	whole_type(warp, access, type, sizeof(type));
	move_apart(warp, access, row_bases(warp, access));
	set_elements(warp, access, emit_value(&warp->emit, "load %s, ptr %%scratch", type));
}

void access_store_apart(struct warp *warp, const struct access *access)
{
	struct value whole = join_elements(warp, access);
	char type[32];

	whole_type(warp, access, type, sizeof(type));
	emit_line(&warp->emit, "store %s %s, ptr %%scratch", type, whole.text);
	move_apart(warp, access, row_bases(warp, access));
}
