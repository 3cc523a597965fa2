/* Values of the warp machine: what a register's place holds, and as a vector what it stands for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/exec/lane.h"
#include "softgpu/jit/warp/warp.h"

const char *wide_type(struct warp *warp, enum ir_type type)
{
	return warp->types[type];
}

bool value_has_rows(const struct warp *warp, uint32_t value)
{
	struct shape shape = shape_of_value(&warp->facts, value);

	return shape.kind == SHAPE_LINEAR && shape.by_row;
}

bool value_varies(const struct warp *warp, uint32_t value)
{
	return shape_of_value(&warp->facts, value).kind == SHAPE_VARYING;
}

/* Of vectors of a place's values: all lanes', or one per row. */
static const char *row_type(const struct warp *warp, enum ir_type type, char *out, size_t size)
{
	snprintf(out, size, "<%u x %s>", facts_rows(&warp->facts), ir_name(type));
	return out;
}

struct value wide_numbers(struct warp *warp, enum ir_type type, int64_t stride)
{
	char numbers[8192];
	unsigned width = warp->facts.width, row = warp->facts.row ?: width;
	size_t used = 0;

	for (unsigned i = 0; i < width; i++)
		used += (size_t)snprintf(numbers + used, sizeof(numbers) - used, "%s%s %s",
		    i ? ", " : "", ir_name(type),
		    ir_constant(type, (uint64_t)(stride * (i % row))).text);
	return emit_value(
	    &warp->emit, "add %s zeroinitializer, <%s>", wide_type(warp, type), numbers);
}

struct value wide_rows(struct warp *warp, enum ir_type type, struct value rows)
{
	char indices[4096], from[32];
	unsigned width = warp->facts.width;
	size_t used = 0;

	row_type(warp, type, from, sizeof(from));
	for (unsigned i = 0; i < width; i++)
		used += (size_t)snprintf(indices + used, sizeof(indices) - used, "%si32 %u",
		    i ? ", " : "", i / warp->facts.row);
	return emit_value(&warp->emit, "shufflevector %s %s, %s poison, <%u x i32> <%s>", from,
	    rows.text, from, width, indices);
}

/* Each row's first lane's value. */
static struct value row_firsts(struct warp *warp, const char *type, const char *vector)
{
	char indices[512];
	unsigned width = warp->facts.width, rows = facts_rows(&warp->facts);
	size_t used = 0;

	for (unsigned i = 0; i < rows; i++)
		used += (size_t)snprintf(indices + used, sizeof(indices) - used, "%si32 %u",
		    i ? ", " : "", i * warp->facts.row);
	return emit_value(&warp->emit,
	    "shufflevector <%u x %s> %s, <%u x %s> poison, <%u x i32> <%s>", width, type, vector,
	    width, type, rows, indices);
}

struct value wide_splat(struct warp *warp, enum ir_type type, struct value scalar)
{
	char vector[WIDEN_OPERAND];
	struct value value;

	warp->widen.out = &warp->emit.body;
	widen_splat(&warp->widen, ir_name(type), scalar.text, vector);
	if (*vector != '%')
		return emit_value(&warp->emit, "bitcast %s %s to %s", wide_type(warp, type), vector,
		    wide_type(warp, type));
	snprintf(value.text, sizeof(value.text), "%.50s", vector);
	return value;
}

struct value mask_integer(struct warp *warp, struct value mask)
{
	unsigned width = warp->facts.width;

	return emit_value(&warp->emit, "bitcast <%u x i1> %s to i%u", width, mask.text, width);
}

/* An integer of the warp's width as 32 bits. */
static struct value to_word(struct warp *warp, struct value value)
{
	unsigned width = warp->facts.width;

	return width == 32 ? value
			   : emit_value(&warp->emit, "%s i%u %s to i32",
				 width < 32 ? "zext" : "trunc", width, value.text);
}

struct value mask_bits(struct warp *warp, struct value mask)
{
	if (warp->facts.width > SG_WARP_SIZE)
		warp_refuse(warp, "lanes of several warps are asked for as bits");
	return to_word(warp, mask_integer(warp, mask));
}

struct value mask_any(struct warp *warp, struct value mask)
{
	return emit_value(
	    &warp->emit, "icmp ne i%u %s, 0", warp->facts.width, mask_integer(warp, mask).text);
}

struct value integer_count(struct warp *warp, struct value integer)
{
	unsigned width = warp->facts.width;
	char declaration[60];

	snprintf(declaration, sizeof(declaration), "i%u @llvm.ctpop.i%u(i%u)", width, width, width);
	if (width > 64) /* the prelude has the others */
		widen_declare(&warp->widen, declaration);
	return to_word(warp, emit_value(&warp->emit, "call i%u @llvm.ctpop.i%u(i%u %s)", width,
				 width, width, integer.text));
}

struct value integer_first(struct warp *warp, struct value integer)
{
	unsigned width = warp->facts.width;
	char declaration[60];

	snprintf(declaration, sizeof(declaration), "i%u @llvm.cttz.i%u(i%u, i1 immarg)", width,
	    width, width);
	widen_declare(&warp->widen, declaration);
	return to_word(warp, emit_value(&warp->emit, "call i%u @llvm.cttz.i%u(i%u %s, i1 false)",
				 width, width, width, integer.text));
}

struct value integer_last(struct warp *warp, struct value integer)
{
	unsigned width = warp->facts.width;
	char declaration[60];
	struct value above;

	snprintf(declaration, sizeof(declaration), "i%u @llvm.ctlz.i%u(i%u, i1 immarg)", width,
	    width, width);
	if (width > 64) /* the prelude has the others */
		widen_declare(&warp->widen, declaration);
	above = emit_value(&warp->emit, "call i%u @llvm.ctlz.i%u(i%u %s, i1 false)", width, width,
	    width, integer.text);
	return emit_value(&warp->emit, "sub i32 %u, %s", width - 1, to_word(warp, above).text);
}

struct value integer_memory(struct warp *warp, struct value integer, const char *place)
{
	struct value value = integer;

	if (warp->facts.width < SG_MOST_LANES)
		value = emit_value(&warp->emit, "zext i%u %s to i%u", warp->facts.width,
		    integer.text, SG_MOST_LANES);
	emit_line(&warp->emit, "store i%u %s, ptr %s", SG_MOST_LANES, value.text, place);
	snprintf(value.text, sizeof(value.text), "%s", place);
	return value;
}

void note_first_lane(struct warp *warp)
{
	struct value first = integer_first(warp, mask_integer(warp, warp->mask));

	emit_line(&warp->emit, "store i32 %s, ptr %%current", first.text);
}

/* base + lane * stride, less wrap where the register's overflow bits say so; the last instruction
 * gets the name result. */
static void print_linear(struct warp *warp, const char *result, uint32_t reg, struct shape shape)
{
	struct emit *emit = &warp->emit;
	enum ir_type type = emit->registers[reg];
	unsigned width = warp->facts.width;
	struct value base, lack, numbers;
	char rows[32];

	if (shape.by_row) {
		base = emit_value(
		    emit, "load %s, ptr %%r%u", row_type(warp, type, rows, sizeof(rows)), reg);
		base = wide_rows(warp, type, base);
	} else {
		base = emit_value(emit, "load %s, ptr %%r%u", ir_name(type), reg);
		base = wide_splat(warp, type, base);
	}
	if (!shape.stride) { /* of any type: the same in all lanes of a row */
		emit_line(emit, "%s = bitcast %s %s to %s", result, wide_type(warp, type),
		    base.text, wide_type(warp, type));
		return;
	}
	numbers = wide_numbers(warp, type, shape.stride);
	if (!shape.wrap) {
		emit_line(emit, "%s = add %s %s, %s", result, wide_type(warp, type), base.text,
		    numbers.text);
		return;
	}
	base = emit_value(emit, "add %s %s, %s", wide_type(warp, type), base.text, numbers.text);
	lack = emit_value(emit, "load i%u, ptr %%w.%u", width, reg);
	lack = emit_value(emit, "bitcast i%u %s to <%u x i1>", width, lack.text, width);
	lack = emit_value(emit, "select <%u x i1> %s, %s %s, %s zeroinitializer", width, lack.text,
	    wide_type(warp, type),
	    wide_splat(warp, type, ir_constant(type, (uint64_t)shape.wrap)).text,
	    wide_type(warp, type));
	emit_line(emit, "%s = sub %s %s, %s", result, wide_type(warp, type), base.text, lack.text);
}

static uint32_t slot_value(const struct warp *warp, const char *slot)
{
	if (!strcmp(slot, "%carry"))
		return (uint32_t)warp->facts.flow.n_values - 1;
	return (uint32_t)strtoul(slot + 2, NULL, 10);
}

static bool load_slot(void *context, const char *result, const char *type, const char *slot)
{
	struct warp *warp = context;
	uint32_t value = slot_value(warp, slot);
	struct shape shape = shape_of_value(&warp->facts, value);

	if (shape.kind == SHAPE_VARYING) {
		emit_line(&warp->emit, "%s = load <%u x %s>, ptr %s", result, warp->facts.width,
		    type, slot);
		return true;
	}
	if (shape_is_uniform(shape)) {
		emit_line(&warp->emit, "%s = load %s, ptr %s", result, type, slot);
		return false;
	}
	print_linear(warp, result, value, shape);
	return true;
}

/* Lanes not in the mask keep what they have, where they may still want it. */
static void store_vector(
    struct warp *warp, const char *type, const char *vector, const char *slot, uint32_t value)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	struct value old, both;

	if (!warp->may_be_none && !(warp->spares && bits_has(warp->facts.mixed, value))) {
		emit_line(emit, "store <%u x %s> %s, ptr %s", width, type, vector, slot);
		return;
	}
	old = emit_value(emit, "load <%u x %s>, ptr %s", width, type, slot);
	both = emit_value(emit, "select <%u x i1> %s, <%u x %s> %s, <%u x %s> %s", width,
	    warp->mask.text, width, type, vector, width, type, old.text);
	emit_line(emit, "store <%u x %s> %s, ptr %s", width, type, both.text, slot);
}

/* A value per row, or one for all. */
static void store_rows(
    struct warp *warp, const char *type, const char *value, bool is_vector, const char *slot)
{
	char vector[WIDEN_OPERAND];

	warp->row_widen.out = &warp->emit.body;
	if (is_vector)
		snprintf(vector, sizeof(vector), "%s", value);
	else
		widen_splat(&warp->row_widen, type, value, vector);
	emit_line(&warp->emit, "store <%u x %s> %s, ptr %s", facts_rows(&warp->facts), type, vector,
	    slot);
}

static void store_slot(
    void *context, const char *type, const char *value, bool is_vector, const char *slot)
{
	struct warp *warp = context;
	uint32_t number = slot_value(warp, slot);
	char vector[WIDEN_OPERAND];

	if (value_has_rows(warp, number)) {
		struct value rows = {""};

		if (is_vector)
			rows = row_firsts(warp, type, value);
		store_rows(warp, type, is_vector ? rows.text : value, is_vector, slot);
		return;
	}
	if (!value_varies(warp, number)) {
		if (is_vector)
			warp_refuse(warp, "a vector goes to a scalar register");
		emit_line(&warp->emit, "store %s %s, ptr %s", type, value, slot);
		return;
	}
	if (is_vector)
		snprintf(vector, sizeof(vector), "%s", value);
	else
		widen_splat(&warp->widen, type, value, vector);
	store_vector(warp, type, vector, slot, number);
}

/* The same for instructions that are done once per row: of a linear value, the bases. */
static bool load_row_slot(void *context, const char *result, const char *type, const char *slot)
{
	struct warp *warp = context;
	uint32_t value = slot_value(warp, slot);

	if (value_varies(warp, value))
		warp_refuse(warp, "a vector is wanted once per row");
	if (!value_has_rows(warp, value)) {
		emit_line(&warp->emit, "%s = load %s, ptr %s", result, type, slot);
		return false;
	}
	emit_line(&warp->emit, "%s = load <%u x %s>, ptr %s", result, facts_rows(&warp->facts),
	    type, slot);
	return true;
}

static void store_row_slot(
    void *context, const char *type, const char *value, bool is_vector, const char *slot)
{
	struct warp *warp = context;

	if (value_has_rows(warp, slot_value(warp, slot)))
		store_rows(warp, type, value, is_vector, slot);
	else if (is_vector || value_varies(warp, slot_value(warp, slot)))
		warp_refuse(warp, "rows' values go to another kind of register");
	else
		emit_line(&warp->emit, "store %s %s, ptr %s", type, value, slot);
}

/* Which special registers differ between rows, and which between lanes. */
static bool is_special_of_rows(const struct warp *warp, unsigned special)
{
	return facts_have_rows(&warp->facts) &&
	       (special == PTX_SPECIAL_tid_y || special == PTX_SPECIAL_laneid);
}

static bool is_special_vector(const struct warp *warp, unsigned special)
{
	return special == PTX_SPECIAL_laneid || special == PTX_SPECIAL_tid_x ||
	       (special == PTX_SPECIAL_warpid && warp->facts.width > SG_WARP_SIZE) ||
	       (special == PTX_SPECIAL_tid_y && warp->facts.row != warp->facts.width) ||
	       (special == PTX_SPECIAL_tid_z && !warp->facts.row);
}

static bool is_vector_name(void *context, const char *name)
{
	return !strncmp(name, "%s", 2) &&
	       is_special_vector(context, (unsigned)strtoul(name + 2, NULL, 10));
}

static bool is_row_vector_name(void *context, const char *name)
{
	return !strncmp(name, "%s", 2) &&
	       is_special_of_rows(context, (unsigned)strtoul(name + 2, NULL, 10));
}

const struct widen_slots warp_slots = {load_slot, store_slot, is_vector_name, ".v", NULL};
const struct widen_slots row_slots = {
    load_row_slot, store_row_slot, is_row_vector_name, ".r", NULL};

/* "T x, T y, ..." of a special register in n lanes that are so far apart, less lane 0's. */
static void print_special_numbers(
    const struct warp *warp, struct text *out, unsigned special, unsigned n, unsigned apart)
{
	unsigned row = warp->facts.row ?: warp->facts.width;

	for (unsigned k = 0; k < n; k++) {
		unsigned lane = k * apart, number = lane % row;

		if (special == PTX_SPECIAL_laneid)
			number = lane % SG_WARP_SIZE;
		else if (special == PTX_SPECIAL_warpid)
			number = lane / SG_WARP_SIZE;
		else if (special == PTX_SPECIAL_tid_y)
			number = lane / row;
		text_format(out, "%si32 %u", k ? ", " : "", number);
	}
}

static void print_special(
    const struct warp *warp, unsigned special, const char *suffix, unsigned n, unsigned apart)
{
	struct text *out = (struct text *)&warp->emit.prologue;

	text_format(out,
	    "  %%s%u%s.i = insertelement <%u x i32> poison, i32 %%s%u, i64 0\n"
	    "  %%s%u%s.b = shufflevector <%u x i32> %%s%u%s.i, <%u x i32> poison, <%u x i32> "
	    "zeroinitializer\n  %%s%u%s = add <%u x i32> %%s%u%s.b, <",
	    special, suffix, n, special, special, suffix, n, special, suffix, n, n, special, suffix,
	    n, special, suffix);
	print_special_numbers(warp, out, special, n, apart);
	text_format(out, ">\n");
}

void print_special_vectors(struct warp *warp)
{
	struct text *out = &warp->emit.prologue;
	unsigned width = warp->facts.width;

	for (unsigned special = 0; special < PTX_SPECIAL_COUNT; special++) {
		if (!(warp->emit.specials[special / 64] >> (special % 64) & 1) ||
		    !is_special_vector(warp, special))
			continue;
		if (special != PTX_SPECIAL_laneid && !warp->facts.row) {
			text_format(out,
			    "  %%s%u.t = getelementptr i8, ptr %%lane, i64 %zu\n"
			    "  %%s%u.p = load ptr, ptr %%s%u.t\n"
			    "  %%s%u.q = getelementptr i8, ptr %%s%u.p, i64 %u\n"
			    "  %%s%u.v = load <%u x i32>, ptr %%s%u.q, align 4\n",
			    special, offsetof(struct sg_lane, tids), special, special, special,
			    special, (special - PTX_SPECIAL_tid_x) * 128, special, width, special);
			continue;
		}
		print_special(warp, special, ".v", width, 1);
		if (is_special_of_rows(warp, special))
			print_special(
			    warp, special, ".r", facts_rows(&warp->facts), warp->facts.row);
	}
}

void print_registers(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;

	emit_choose_register_types(emit);
	for (uint32_t i = 0; i < emit->function->n_registers; i++) {
		struct shape shape = shape_of_value(&warp->facts, i);
		const char *type;
		bool has_wrap;
		char rows[32];

		/* Lanes' numbers are integers. */
		if (shape.kind == SHAPE_LINEAR && shape.stride)
			emit->registers[i] = ir_of_bits(ir_bits(emit->registers[i]));
		type = shape.kind == SHAPE_VARYING ? wide_type(warp, emit->registers[i])
		       : shape.by_row ? row_type(warp, emit->registers[i], rows, sizeof(rows))
				      : ir_name(emit->registers[i]);
		has_wrap = shape.kind == SHAPE_LINEAR && shape.wrap;
		text_format(&emit->prologue, "  %%r%u = alloca %s\n", i, type);
		if (has_wrap)
			text_format(&emit->prologue, "  %%w.%u = alloca i%u\n", i, width);
		if (!flow_reads_early(&warp->facts.flow, i))
			continue;
		text_format(&emit->prologue, "  store %s zeroinitializer, ptr %%r%u\n", type, i);
		if (has_wrap)
			text_format(&emit->prologue, "  store i%u 0, ptr %%w.%u\n", width, i);
	}
}

void capture_begin(struct warp *warp)
{
	struct text body = warp->emit.body;

	warp->emit.body = warp->scratch;
	warp->emit.body.size = 0;
	warp->scratch = body;
}

void capture_end(struct warp *warp)
{
	struct text body = warp->emit.body;

	warp->emit.body = warp->scratch;
	warp->scratch = body;
}

bool capture_widen(struct warp *warp)
{
	size_t before = warp->emit.body.size;

	warp->widen.out = &warp->emit.body;
	if (widen_lines(&warp->widen, warp->scratch.bytes ?: "", warp->scratch.size))
		return true;
	warp->emit.body.size = before;
	return false;
}

bool capture_widen_rows(struct warp *warp)
{
	size_t before = warp->emit.body.size;

	warp->row_widen.out = &warp->emit.body;
	if (widen_lines(&warp->row_widen, warp->scratch.bytes ?: "", warp->scratch.size))
		return true;
	warp->emit.body.size = before;
	return false;
}

bool capture_is_vector(const struct warp *warp, struct value value)
{
	return widen_is_vector(&warp->widen, value.text);
}

struct value wide_get(struct warp *warp, const struct ptx_operand *operand, enum ir_type type)
{
	struct value value;

	capture_begin(warp);
	value = operand_get(&warp->emit, operand, type, false);
	capture_end(warp);
	if (!capture_widen(warp))
		warp_refuse(warp, "an operand cannot be made wide");
	if (!capture_is_vector(warp, value))
		return wide_splat(warp, type, value);
	if (value.text[1] == 's')
		strcat(value.text, ".v");
	return value;
}

void wide_set(struct warp *warp, const struct ptx_operand *operand, struct value value,
    enum ir_type from, bool is_vector, bool is_signed)
{
	if (is_vector)
		widen_mark(&warp->widen, value.text);
	capture_begin(warp);
	operand_set(&warp->emit, operand, value, from, is_signed);
	capture_end(warp);
	if (!capture_widen(warp))
		warp_refuse(warp, "a result cannot be made wide");
}

struct value wide_first(struct warp *warp, struct value vector, enum ir_type type)
{
	struct value lane = integer_first(warp, mask_integer(warp, warp->mask));

	return emit_value(&warp->emit, "extractelement %s %s, i32 %s", wide_type(warp, type),
	    vector.text, lane.text);
}

struct value operand_common(struct warp *warp, const struct ptx_operand *operand, enum ir_type type)
{
	if (shape_is_uniform(shape_of_operand(&warp->facts, operand, 0)))
		return operand_get(&warp->emit, operand, type, false);
	return wide_first(warp, wide_get(warp, operand, type), type);
}

struct value row_get(struct warp *warp, const struct ptx_operand *operand, enum ir_type type)
{
	struct widen *widen = &warp->row_widen;
	struct value value;

	capture_begin(warp);
	value = operand_get(&warp->emit, operand, type, false);
	capture_end(warp);
	if (!capture_widen_rows(warp))
		warp_refuse(warp, "an operand cannot be had once per row");
	if (!widen_is_vector(widen, value.text)) {
		char vector[WIDEN_OPERAND], rows[32];

		widen_splat(widen, ir_name(type), value.text, vector);
		row_type(warp, type, rows, sizeof(rows));
		value = emit_value(&warp->emit, "bitcast %s %s to %s", rows, vector, rows);
	} else if (value.text[1] == 's') {
		strcat(value.text, ".r");
	}
	return value;
}

/* A scalar to a register of any kind. */
void set_same(struct warp *warp, const struct ptx_operand *operand, struct value value,
    enum ir_type type, bool is_signed)
{
	if (operand->kind == PTX_OPERAND_REGISTER &&
	    (value_varies(warp, operand->reg) || value_has_rows(warp, operand->reg)))
		wide_set(warp, operand, value, type, false, is_signed);
	else
		operand_set(&warp->emit, operand, value, type, is_signed);
}
