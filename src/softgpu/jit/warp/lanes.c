/*
 * What has no vector form is done for one active lane after the other, by the text the scalar
 * machine would run: atomics, calls, accesses of odd sizes.
 *
 * Registers whose lanes differ are copied to slots in memory that the loop can index, and those the
 * instruction writes are copied back, so that their own places stay in machine registers.
 * Predicates are bytes there, for bits cannot be addressed.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/exec/lane.h"
#include "softgpu/jit/warp/warp.h"

#define MOST_SLOTS 128

struct slots {
	struct warp *warp;
	uint32_t number; /* of the loop, in its names */
	uint32_t values[MOST_SLOTS];
	bool is_result[MOST_SLOTS];
	unsigned count, copied;
	uint64_t specials[2];
	uint32_t variables[MOST_SLOTS]; /* own ones, by id */
	unsigned n_variables;
	bool uses_lane;
};

static void note_value(void *context, uint32_t value, bool is_result)
{
	struct slots *slots = context;

	for (unsigned i = 0; i < slots->count; i++)
		if (slots->values[i] == value) {
			slots->is_result[i] |= is_result;
			return;
		}
	if (!is_result && shape_is_uniform(shape_of_value(&slots->warp->facts, value)))
		return;
	if (slots->count == MOST_SLOTS)
		warp_refuse(slots->warp, "an instruction has too many operands");
	slots->values[slots->count] = value;
	slots->is_result[slots->count++] = is_result;
}

static enum ir_type type_of(const struct warp *warp, uint32_t value)
{
	return value + 1 == warp->facts.flow.n_values ? IR_I1 : warp->emit.registers[value];
}

static void name_place(const struct warp *warp, uint32_t value, char *name, size_t size)
{
	if (value + 1 == warp->facts.flow.n_values)
		snprintf(name, size, "%%carry");
	else
		snprintf(name, size, "%%r%u", value);
}

/* A value of 128 bits per lane. */
static unsigned slot_size(const struct warp *warp)
{
	return 16 * warp->facts.width;
}

static void copy_in(struct slots *slots, uint32_t value)
{
	struct warp *warp = slots->warp;
	struct emit *emit = &warp->emit;
	enum ir_type type = type_of(warp, value), in_slot = type == IR_I1 ? IR_I8 : type;
	struct value vector;
	char place[32];

	name_place(warp, value, place, sizeof(place));
	emit_line(emit, "%%l%u.%u = getelementptr i8, ptr %%slots, i64 %u", slots->number, value,
	    slots->copied++ * slot_size(warp));
	warp->n_slots = MAX(warp->n_slots, slots->copied);
	snprintf(vector.text, sizeof(vector.text), "%%t%u", emit->n_temps++);
	if (!warp_slots.load(warp, vector.text, ir_name(type), place))
		vector = wide_splat(warp, type, vector);
	if (type == IR_I1)
		vector = emit_value(emit, "zext %s %s to %s", wide_type(warp, type), vector.text,
		    wide_type(warp, in_slot));
	emit_line(emit, "store %s %s, ptr %%l%u.%u", wide_type(warp, in_slot), vector.text,
	    slots->number, value);
}

/* The slot kept what other lanes had. */
static void copy_out(struct slots *slots, uint32_t value)
{
	struct warp *warp = slots->warp;
	struct emit *emit = &warp->emit;
	enum ir_type type = type_of(warp, value), in_slot = type == IR_I1 ? IR_I8 : type;
	struct value vector = emit_value(
	    emit, "load %s, ptr %%l%u.%u", wide_type(warp, in_slot), slots->number, value);
	char place[32];

	if (!value_varies(warp, value))
		warp_refuse(warp, "a result that differs between lanes goes to a scalar register");
	name_place(warp, value, place, sizeof(place));
	if (type == IR_I1)
		vector = emit_value(emit, "trunc %s %s to %s", wide_type(warp, in_slot),
		    vector.text, wide_type(warp, type));
	emit_line(emit, "store %s %s, ptr %s", wide_type(warp, type), vector.text, place);
}

static bool has_slot(const struct slots *slots, uint32_t value)
{
	for (unsigned i = 0; i < slots->count; i++)
		if (slots->values[i] == value)
			return true;
	return false;
}

static const struct ptx_variable *own_variable(const struct warp *warp, uint32_t id)
{
	for (const struct ptx_variable *v = warp->emit.function->variables; v; v = v->next)
		if (v->id == id && shape_is_own(v))
			return v;
	return NULL;
}

static void note_variable(struct slots *slots, uint32_t id)
{
	for (unsigned i = 0; i < slots->n_variables; i++)
		if (slots->variables[i] == id)
			return;
	if (slots->n_variables == MOST_SLOTS)
		warp_refuse(slots->warp, "an instruction has too many operands");
	slots->variables[slots->n_variables++] = id;
}

/* A name in the one-lane text: what stands for it in the loop, or nothing. */
static bool replace_name(struct slots *slots, const char *name, char *out, size_t size)
{
	const struct warp *warp = slots->warp;
	bool is_number = isdigit((unsigned char)name[2]);
	uint32_t number = (uint32_t)strtoul(name + 2, NULL, 10);

	if (!strcmp(name, "%carry"))
		number = (uint32_t)warp->facts.flow.n_values - 1;
	if ((!strcmp(name, "%carry") || (name[1] == 'r' && is_number)) && has_slot(slots, number)) {
		snprintf(out, size, "%%l%u.%u.p", slots->number, number);
		return true;
	}
	if (name[1] == 's' && is_number && !strchr(name, '.') &&
	    warp_slots.is_vector(slots->warp, name)) {
		slots->specials[number / 64] |= UINT64_C(1) << (number % 64);
		snprintf(out, size, "%%l%u.s%u", slots->number, number);
		return true;
	}
	if (name[1] == 'v' && is_number && own_variable(warp, number)) {
		note_variable(slots, number);
		snprintf(out, size, "%%l%u.v%u", slots->number, number);
		return true;
	}
	if (!strcmp(name, "%lane") && warp->emit.in->opcode == PTX_OP_call) {
		slots->uses_lane = true;
		snprintf(out, size, "%%l%u.lane", slots->number);
		return true;
	}
	return false;
}

static bool is_name_character(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == '_';
}

static void rewrite_names(struct slots *slots, const char *at, const char *end, struct text *out)
{
	char name[64], other[64];

	while (at < end) {
		size_t size = 1;

		if (*at != '%') {
			text_append(out, at++, 1);
			continue;
		}
		while (at + size < end && is_name_character(at[size]))
			size++;
		snprintf(name, sizeof(name), "%.*s", (int)MIN(size, sizeof(name) - 1), at);
		if (replace_name(slots, name, other, sizeof(other)))
			text_append(out, other, strlen(other));
		else
			text_append(out, at, size);
		at += size;
	}
}

/* Predicates go to and from bytes. */
static void rewrite_line(struct slots *slots, const char *line, const char *end, struct text *out)
{
	char name[32], value[64];
	unsigned reg;
	int used = 0;

	if (sscanf(line, " %31s = load i1, ptr %%r%u%n", name, &reg, &used) == 2 &&
	    line + used == end && has_slot(slots, reg)) {
		text_format(out, "  %s.b = load i8, ptr %%l%u.%u.p\n  %s = trunc i8 %s.b to i1\n",
		    name, slots->number, reg, name, name);
		return;
	}
	if (!strncmp(line, "  store i1 ", 11) &&
	    sscanf(line + 11, "%63[^,], ptr %%r%u%n", value, &reg, &used) == 2 &&
	    line + 11 + used == end && has_slot(slots, reg)) {
		text_format(out,
		    "  %%l%u.b%u = zext i1 %s to i8\n  store i8 %%l%u.b%u, ptr %%l%u.%u.p\n",
		    slots->number, reg, value, slots->number, reg, slots->number, reg);
		return;
	}
	rewrite_names(slots, line, end, out);
	text_append(out, "\n", 1);
}

static void rewrite(struct slots *slots, struct text *out)
{
	const char *at = slots->warp->scratch.bytes ?: "", *end = at + slots->warp->scratch.size;

	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at)) ?: end;

		rewrite_line(slots, at, stop, out);
		at = stop + 1;
	}
}

/* What one round of the loop looks at: its lane's slots, special registers and variables. */
static void print_bindings(struct slots *slots)
{
	struct warp *warp = slots->warp;
	struct emit *emit = &warp->emit;
	uint32_t n = slots->number;

	for (unsigned i = 0; i < slots->count; i++) {
		enum ir_type type = type_of(warp, slots->values[i]);

		emit_line(emit, "%%l%u.%u.p = getelementptr %s, ptr %%l%u.%u, i64 %%l%u.x", n,
		    slots->values[i], ir_name(type == IR_I1 ? IR_I8 : type), n, slots->values[i],
		    n);
	}
	for (unsigned s = 0; s < 128; s++)
		if (slots->specials[s / 64] >> (s % 64) & 1)
			emit_line(emit,
			    "%%l%u.s%u = extractelement <%u x i32> %%s%u.v, i64 %%l%u.x", n, s,
			    warp->facts.width, s, n);
	for (unsigned i = 0; i < slots->n_variables; i++) {
		uint32_t id = slots->variables[i];

		emit_line(emit, "%%l%u.v%u.o = mul i64 %%l%u.x, %llu", n, id, n,
		    (unsigned long long)shape_local_stride(own_variable(warp, id)));
		emit_line(emit, "%%l%u.v%u = getelementptr i8, ptr %%v%u, i64 %%l%u.v%u.o", n, id,
		    id, n, id);
	}
	if (slots->uses_lane)
		emit_line(emit, "%%l%u.lane = call ptr @sg_lane_of(ptr %%lane, i32 %%l%u.i)", n, n);
}

static void print_loop(struct slots *slots, const struct text *text)
{
	struct warp *warp = slots->warp;
	struct emit *emit = &warp->emit;
	uint32_t n = slots->number;
	unsigned width = warp->facts.width;
	struct value left, first;

	text_format(&emit->prologue, "  %%l%u.left = alloca i%u\n", n, width);
	emit_line(
	    emit, "store i%u %s, ptr %%l%u.left", width, mask_integer(warp, warp->mask).text, n);
	emit_line(emit, "br label %%l%u.next", n);
	text_format(&emit->body, "l%u.next:\n", n);
	left = emit_value(emit, "load i%u, ptr %%l%u.left", width, n);
	emit_line(emit, "%%l%u.c = icmp eq i%u %s, 0", n, width, left.text);
	emit_line(emit, "br i1 %%l%u.c, label %%l%u.out, label %%l%u.one", n, n, n);
	text_format(&emit->body, "l%u.one:\n", n);
	first = integer_first(warp, left);
	emit_line(emit, "%%l%u.i = add i32 %s, 0", n, first.text);
	emit_line(emit, "%%l%u.d = sub i%u %s, 1", n, width, left.text);
	emit_line(emit, "%%l%u.e = and i%u %s, %%l%u.d", n, width, left.text, n);
	emit_line(emit, "store i%u %%l%u.e, ptr %%l%u.left", width, n, n);
	emit_line(emit, "store i32 %%l%u.i, ptr %%current", n);
	emit_line(emit, "%%l%u.x = zext i32 %%l%u.i to i64", n, n);
	print_bindings(slots);
	text_append(&emit->body, text->bytes ?: "", text->size);
	emit_line(emit, "br label %%l%u.next", n);
	text_format(&emit->body, "l%u.out:\n", n);
}

void print_slots(struct warp *warp)
{
	text_format(&warp->emit.prologue, "  %%slots = alloca [%u x i8], align 256\n",
	    MAX(warp->n_slots, 1u) * slot_size(warp));
}

void lanes_run(struct warp *warp)
{
	struct slots slots = {.warp = warp, .number = warp->n_places++};
	struct text text = {0};

	if (!warp->scratch.size) /* a hint, or something to wait for that is done */
		return;
	flow_visit(&warp->facts.flow, warp->emit.in, note_value, &slots);
	for (unsigned i = 0; i < slots.count; i++)
		copy_in(&slots, slots.values[i]);
	rewrite(&slots, &text);
	print_loop(&slots, &text);
	text_fini(&text);
	for (unsigned i = 0; i < slots.count; i++)
		if (slots.is_result[i])
			copy_out(&slots, slots.values[i]);
	warp->emit.open = true;
}

void warp_run_by_lane(struct warp *warp)
{
	capture_begin(warp);
	emit_opcode(&warp->emit);
	capture_end(warp);
	lanes_run(warp);
}
