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

bool value_varies(const struct warp *warp, uint32_t value)
{
	return shape_of_value(&warp->facts, value).kind == SHAPE_VARYING;
}

struct value wide_numbers(struct warp *warp, enum ir_type type, int64_t stride)
{
	char numbers[2048];
	size_t used = 0;

	for (unsigned i = 0; i < warp->facts.width; i++)
		used += (size_t)snprintf(numbers + used, sizeof(numbers) - used, "%s%s %s",
		    i ? ", " : "", ir_name(type), ir_constant(type, (uint64_t)(stride * i)).text);
	return emit_value(
	    &warp->emit, "add %s zeroinitializer, <%s>", wide_type(warp, type), numbers);
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

struct value mask_bits(struct warp *warp, struct value mask)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	struct value bits =
	    emit_value(emit, "bitcast <%u x i1> %s to i%u", width, mask.text, width);

	return width == 32 ? bits : emit_value(emit, "zext i%u %s to i32", width, bits.text);
}

void note_first_lane(struct warp *warp)
{
	struct value bits = mask_bits(warp, warp->mask);
	struct value first =
	    emit_value(&warp->emit, "call i32 @llvm.cttz.i32(i32 %s, i1 false)", bits.text);

	widen_declare(&warp->widen, "i32 @llvm.cttz.i32(i32, i1 immarg)");
	emit_line(&warp->emit, "store i32 %s, ptr %%current", first.text);
}

/* base + lane * stride, less wrap where the register's overflow bits say so; the last instruction
 * gets the name result. */
static void print_linear(struct warp *warp, const char *result, uint32_t reg, struct shape shape)
{
	struct emit *emit = &warp->emit;
	enum ir_type type = emit->registers[reg];
	unsigned width = warp->facts.width;
	struct value base = emit_value(emit, "load %s, ptr %%r%u", ir_name(type), reg), lack;
	struct value numbers = wide_numbers(warp, type, shape.stride);

	base = wide_splat(warp, type, base);
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

static void store_slot(
    void *context, const char *type, const char *value, bool is_vector, const char *slot)
{
	struct warp *warp = context;
	uint32_t number = slot_value(warp, slot);
	char vector[WIDEN_OPERAND];

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

static bool is_special_vector(const struct warp *warp, unsigned special)
{
	return special == PTX_SPECIAL_laneid || special == PTX_SPECIAL_tid_x ||
	       ((special == PTX_SPECIAL_tid_y || special == PTX_SPECIAL_tid_z) &&
		   warp->facts.layout == WARP_ANY);
}

static bool is_vector_name(void *context, const char *name)
{
	return !strncmp(name, "%s", 2) &&
	       is_special_vector(context, (unsigned)strtoul(name + 2, NULL, 10));
}

const struct widen_slots warp_slots = {load_slot, store_slot, is_vector_name, NULL};

void print_special_vectors(struct warp *warp)
{
	struct text *out = &warp->emit.prologue;
	unsigned width = warp->facts.width;

	for (unsigned special = 0; special < PTX_SPECIAL_COUNT; special++) {
		if (!(warp->emit.specials[special / 64] >> (special % 64) & 1) ||
		    !is_special_vector(warp, special))
			continue;
		if (special != PTX_SPECIAL_laneid && warp->facts.layout == WARP_ANY) {
			text_format(out,
			    "  %%s%u.t = getelementptr i8, ptr %%lane, i64 %zu\n"
			    "  %%s%u.p = load ptr, ptr %%s%u.t\n"
			    "  %%s%u.q = getelementptr i8, ptr %%s%u.p, i64 %u\n"
			    "  %%s%u.v = load <%u x i32>, ptr %%s%u.q, align 4\n",
			    special, offsetof(struct sg_lane, tids), special, special, special,
			    special, (special - PTX_SPECIAL_tid_x) * 128, special, width, special);
			continue;
		}
		text_format(out,
		    "  %%s%u.i = insertelement <%u x i32> poison, i32 %%s%u, i64 0\n"
		    "  %%s%u.b = shufflevector <%u x i32> %%s%u.i, <%u x i32> poison, <%u x i32> "
		    "zeroinitializer\n  %%s%u.v = add <%u x i32> %%s%u.b, <",
		    special, width, special, special, width, special, width, width, special, width,
		    special);
		for (unsigned i = 0; i < width; i++)
			text_format(out, "%si32 %u", i ? ", " : "", i);
		text_format(out, ">\n");
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

		/* Lanes' numbers are integers. */
		if (shape.kind == SHAPE_LINEAR && shape.stride)
			emit->registers[i] = ir_of_bits(ir_bits(emit->registers[i]));
		type = shape.kind == SHAPE_VARYING ? wide_type(warp, emit->registers[i])
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
