/*
 * The widener reads the little of LLVM's language that the emitters and the prelude use: values
 * named %t<n>, one instruction a line, no labels. Anything else is refused, and the caller runs the
 * instruction lane by lane instead.
 *
 * A line without a vector among its operands is copied as it is: what is the same for all lanes is
 * computed once.
 */
#include "softgpu/jit/warp/widen.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/jit/emit.h"

struct line {
	const char *at, *end;
	bool all_vectors; /* in a function of the prelude: every name is one */
};

struct piece {
	char text[WIDEN_OPERAND];
};

void widen_init(struct widen *widen, unsigned width, char letter, const struct widen_slots *slots)
{
	*widen = (struct widen){.width = width, .letter = letter, .slots = slots};
}

void widen_fini(struct widen *widen)
{
	for (size_t i = 0; i < widen->n_needed; i++)
		free(widen->needed[i]);
	free(widen->needed);
	free(widen->vectors);
	text_fini(&widen->declarations);
	text_fini(&widen->definitions);
}

static void skip_spaces(struct line *line)
{
	while (line->at < line->end && *line->at == ' ')
		line->at++;
}

static bool skip(struct line *line, const char *word)
{
	size_t size = strlen(word);

	skip_spaces(line);
	if ((size_t)(line->end - line->at) < size || memcmp(line->at, word, size))
		return false;
	line->at += size;
	return true;
}

/* Up to one of the characters at no depth of brackets. */
static bool read_until(struct line *line, const char *stops, struct piece *piece)
{
	size_t size = 0;
	int depth = 0;

	skip_spaces(line);
	for (; line->at < line->end; line->at++) {
		if (!depth && strchr(stops, *line->at))
			break;
		depth += *line->at == '(' || *line->at == '{';
		depth -= *line->at == ')' || *line->at == '}';
		if (size + 1 >= sizeof(piece->text))
			return false;
		piece->text[size++] = *line->at;
	}
	piece->text[size] = 0;
	return size != 0;
}

static bool read_word(struct line *line, struct piece *piece)
{
	return read_until(line, " ,()", piece);
}

static bool is_simple_type(const char *type)
{
	static const char *const types[] = {
	    "i1", "i8", "i16", "i32", "i64", "i128", "half", "float", "double"};

	for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(type, types[i]))
			return true;
	return false;
}

/* "i32", or the pair "{i32, i1}". */
static bool read_type(struct line *line, struct piece *type)
{
	skip_spaces(line);
	if (line->at < line->end && *line->at == '{')
		return read_until(line, " ", type);
	return read_word(line, type) && is_simple_type(type->text);
}

static void wide_type(const struct widen *widen, const char *type, struct piece *out)
{
	char element[16];

	if (sscanf(type, "{%15[^,], i1}", element) == 1)
		snprintf(out->text, sizeof(out->text), "{<%u x %s>, <%u x i1>}", widen->width,
		    element, widen->width);
	else
		snprintf(out->text, sizeof(out->text), "<%u x %.60s>", widen->width, type);
}

static bool temporary_number(const char *name, uint32_t *number)
{
	char *end;

	if (strncmp(name, "%t", 2) || !isdigit((unsigned char)name[2]))
		return false;
	*number = (uint32_t)strtoul(name + 2, &end, 10);
	return !*end;
}

void widen_mark(struct widen *widen, const char *name)
{
	uint32_t number;

	if (!temporary_number(name, &number))
		return;
	if (number / 64 >= widen->n_vectors) {
		size_t n = MAX(widen->n_vectors * 2, (size_t)number / 64 + 64);
		uint64_t *larger = realloc(widen->vectors, n * sizeof(*larger));

		if (!larger) {
			widen->failed = true;
			return;
		}
		memset(larger + widen->n_vectors, 0, (n - widen->n_vectors) * sizeof(*larger));
		widen->vectors = larger;
		widen->n_vectors = n;
	}
	widen->vectors[number / 64] |= UINT64_C(1) << (number % 64);
}

bool widen_is_vector(const struct widen *widen, const char *name)
{
	uint32_t number;

	if (temporary_number(name, &number))
		return number / 64 < widen->n_vectors &&
		       (widen->vectors[number / 64] >> (number % 64) & 1);
	return *name == '%' && widen->slots->is_vector(widen->slots->context, name);
}

static bool is_vector(const struct widen *widen, const struct line *line, const char *name)
{
	return (line->all_vectors && *name == '%') || widen_is_vector(widen, name);
}

void widen_splat(struct widen *widen, const char *type, const char *scalar, char *vector)
{
	unsigned width = widen->width;

	if (*scalar != '%') {
		snprintf(vector, WIDEN_OPERAND,
		    "shufflevector (<%u x %s> insertelement (<%u x %s> poison, %s %s, i64 0), "
		    "<%u x %s> poison, <%u x i32> zeroinitializer)",
		    width, type, width, type, type, scalar, width, type, width);
		return;
	}
	text_format(widen->out, "  %%%c%u = insertelement <%u x %s> poison, %s %s, i64 0\n",
	    widen->letter, widen->n_names, width, type, type, scalar);
	text_format(widen->out,
	    "  %%%c%u = shufflevector <%u x %s> %%%c%u, <%u x %s> poison, <%u x i32> "
	    "zeroinitializer\n",
	    widen->letter, widen->n_names + 1, width, type, widen->letter, widen->n_names, width,
	    type, width);
	snprintf(vector, WIDEN_OPERAND, "%%%c%u", widen->letter, widen->n_names + 1);
	widen->n_names += 2;
}

/* The operand as a vector, whatever it is. */
static void wide_operand(struct widen *widen, const struct line *line, const char *type,
    const struct piece *operand, struct piece *out)
{
	if (is_vector(widen, line, operand->text))
		/* A special register's scalar is lane 0's. */
		snprintf(out->text, sizeof(out->text), "%.300s%s", operand->text,
		    !line->all_vectors && operand->text[1] == 's' ? widen->slots->suffix : "");
	else
		widen_splat(widen, type, operand->text, out->text);
}

static bool is_needed(struct widen *widen, const char *name)
{
	char **larger;

	for (size_t i = 0; i < widen->n_needed; i++)
		if (!strcmp(widen->needed[i], name))
			return true;
	larger = realloc(widen->needed, (widen->n_needed + 1) * sizeof(*larger));
	if (!larger || !(larger[widen->n_needed] = strdup(name))) {
		widen->needed = larger ?: widen->needed;
		widen->failed = true;
		return true;
	}
	widen->needed = larger;
	widen->n_needed++;
	return false;
}

void widen_declare(struct widen *widen, const char *declaration)
{
	if (!is_needed(widen, declaration))
		text_format(&widen->declarations, "declare %s\n", declaration);
}

/* @llvm.fma.f32 to @llvm.fma.v32f32: every part that is a type gets the width. */
static void wide_intrinsic(const struct widen *widen, const char *name, struct piece *out)
{
	size_t used = 0;
	const char *at = name;

	while (*at && used + 32 < sizeof(out->text)) {
		size_t size = strcspn(at + 1, ".") + 1;
		bool is_type = *at == '.' && (at[1] == 'i' || at[1] == 'f') && size > 2 &&
			       strspn(at + 2, "0123456789") == size - 2;

		if (is_type)
			used += (size_t)snprintf(out->text + used, sizeof(out->text) - used,
			    ".v%u%.*s", widen->width, (int)size - 1, at + 1);
		else
			used += (size_t)snprintf(
			    out->text + used, sizeof(out->text) - used, "%.*s", (int)size, at);
		at += size;
	}
}

/* Those whose last argument must be a scalar constant. */
static bool keeps_last_argument(const char *name)
{
	return !strncmp(name, "@llvm.ctlz.", 11) || !strncmp(name, "@llvm.abs.", 10) ||
	       !strncmp(name, "@llvm.is.fpclass.", 17);
}

#define MOST_ARGUMENTS 6

struct call {
	struct piece type, name;
	struct piece types[MOST_ARGUMENTS], operands[MOST_ARGUMENTS];
	unsigned count;
};

static bool read_call(struct line *line, struct call *call)
{
	call->count = 0;
	if (!read_type(line, &call->type) || !read_word(line, &call->name) || !skip(line, "("))
		return false;
	while (!skip(line, ")")) {
		if (call->count == MOST_ARGUMENTS || !read_type(line, &call->types[call->count]) ||
		    !read_until(line, ",)", &call->operands[call->count]))
			return false;
		call->count++;
		skip(line, ",");
	}
	return true;
}

/* A function of the machine has no wide form: one that calls it for each lane. */
static void define_by_lane(struct widen *widen, const struct call *call)
{
	struct text *out = &widen->definitions;
	unsigned width = widen->width;
	struct piece type;

	wide_type(widen, call->type.text, &type);
	text_format(out, "define internal %s %s.w%u(", type.text, call->name.text, width);
	for (unsigned i = 0; i < call->count; i++)
		text_format(out, "%s<%u x %s> %%a%u", i ? ", " : "", width, call->types[i].text, i);
	text_format(out, ") nounwind {\n  %%r = alloca %s\n", type.text);
	for (unsigned i = 0; i < call->count; i++)
		text_format(out, "  %%p%u = alloca <%u x %s>\n  store <%u x %s> %%a%u, ptr %%p%u\n",
		    i, width, call->types[i].text, width, call->types[i].text, i, i);
	text_format(out, "  br label %%next\nnext:\n"
			 "  %%i = phi i64 [0, %%0], [%%n, %%next]\n");
	for (unsigned i = 0; i < call->count; i++)
		text_format(out,
		    "  %%q%u = getelementptr %s, ptr %%p%u, i64 %%i\n  %%x%u = load %s, ptr "
		    "%%q%u\n",
		    i, call->types[i].text, i, i, call->types[i].text, i);
	text_format(out, "  %%y = call %s %s(", call->type.text, call->name.text);
	for (unsigned i = 0; i < call->count; i++)
		text_format(out, "%s%s %%x%u", i ? ", " : "", call->types[i].text, i);
	text_format(out,
	    ")\n  %%q = getelementptr %s, ptr %%r, i64 %%i\n  store %s %%y, ptr %%q\n"
	    "  %%n = add i64 %%i, 1\n  %%d = icmp eq i64 %%n, %u\n"
	    "  br i1 %%d, label %%out, label %%next\nout:\n  %%z = load %s, ptr %%r\n"
	    "  ret %s %%z\n}\n",
	    call->type.text, call->type.text, width, type.text, type.text);
}

/* False when the function's arguments have no wide form: pointers, packed bits. */
static bool need_function(struct widen *widen, const struct call *call)
{
	bool is_prelude = !strncmp(call->name.text, "@sg.", 4);

	if (!is_prelude) {
		for (unsigned i = 0; i < call->count; i++)
			if (!strcmp(call->types[i].text, "i1"))
				return false;
		if (!strcmp(call->type.text, "i1") || *call->type.text == '{')
			return false;
	}
	if (!is_needed(widen, call->name.text) && !is_prelude)
		define_by_lane(widen, call);
	return true;
}

static void print_call(struct widen *widen, const char *result, const struct call *call,
    const char *name, unsigned n_wide, const struct piece *operands)
{
	struct piece type;
	char declaration[1024];
	size_t used;

	wide_type(widen, call->type.text, &type);
	used = (size_t)snprintf(declaration, sizeof(declaration), "%s %s(", type.text, name);
	text_format(widen->out, "  %s = call %s %s(", result, type.text, name);
	for (unsigned i = 0; i < call->count && used < sizeof(declaration) - 64; i++) {
		const char *separator = i ? ", " : "";

		if (i < n_wide) {
			wide_type(widen, call->types[i].text, &type);
			text_format(widen->out, "%s%s %s", separator, type.text, operands[i].text);
			used += (size_t)snprintf(declaration + used, sizeof(declaration) - used,
			    "%s%s", separator, type.text);
		} else {
			text_format(widen->out, "%s%s %s", separator, call->types[i].text,
			    call->operands[i].text);
			used += (size_t)snprintf(declaration + used, sizeof(declaration) - used,
			    "%s%s immarg", separator, call->types[i].text);
		}
	}
	text_append(widen->out, ")\n", 2);
	snprintf(declaration + used, sizeof(declaration) - used, ")");
	if (!strncmp(name, "@llvm.", 6))
		widen_declare(widen, declaration);
}

static bool widen_call(struct widen *widen, struct line *line, const char *result)
{
	struct call call;
	struct piece operands[MOST_ARGUMENTS], name;
	unsigned n_wide;

	if (!read_call(line, &call))
		return false;
	n_wide = call.count - keeps_last_argument(call.name.text);
	if (!strncmp(call.name.text, "@llvm.", 6)) {
		wide_intrinsic(widen, call.name.text, &name);
	} else {
		if (!need_function(widen, &call))
			return false;
		snprintf(name.text, sizeof(name.text), "%.300s.w%u", call.name.text, widen->width);
	}
	for (unsigned i = 0; i < n_wide; i++)
		wide_operand(widen, line, call.types[i].text, &call.operands[i], &operands[i]);
	print_call(widen, result, &call, name.text, n_wide, operands);
	return true;
}

static bool widen_binary(
    struct widen *widen, struct line *line, const char *result, const char *operation)
{
	struct piece type, a, b, wide_a, wide_b;

	if (!read_type(line, &type) || !read_until(line, ",", &a))
		return false;
	wide_operand(widen, line, type.text, &a, &wide_a);
	if (!skip(line, ",")) { /* fneg */
		text_format(widen->out, "  %s = %s <%u x %s> %s\n", result, operation, widen->width,
		    type.text, wide_a.text);
		return true;
	}
	if (!read_until(line, ",", &b))
		return false;
	wide_operand(widen, line, type.text, &b, &wide_b);
	text_format(widen->out, "  %s = %s <%u x %s> %s, %s\n", result, operation, widen->width,
	    type.text, wide_a.text, wide_b.text);
	return true;
}

static bool widen_comparison(
    struct widen *widen, struct line *line, const char *result, const char *operation)
{
	struct piece predicate, both;

	if (!read_word(line, &predicate))
		return false;
	snprintf(both.text, sizeof(both.text), "%.8s %.16s", operation, predicate.text);
	return widen_binary(widen, line, result, both.text);
}

static bool widen_select(struct widen *widen, struct line *line, const char *result)
{
	struct piece condition, type, a, b, wide_a, wide_b;

	if (!skip(line, "i1") || !read_until(line, ",", &condition) || !skip(line, ",") ||
	    !read_type(line, &type) || !read_until(line, ",", &a) || !skip(line, ",") ||
	    !skip(line, type.text) || !read_until(line, ",", &b))
		return false;
	wide_operand(widen, line, type.text, &a, &wide_a);
	wide_operand(widen, line, type.text, &b, &wide_b);
	if (is_vector(widen, line, condition.text))
		text_format(widen->out, "  %s = select <%u x i1> %s, <%u x %s> %s, <%u x %s> %s\n",
		    result, widen->width, condition.text, widen->width, type.text, wide_a.text,
		    widen->width, type.text, wide_b.text);
	else
		text_format(widen->out, "  %s = select i1 %s, <%u x %s> %s, <%u x %s> %s\n", result,
		    condition.text, widen->width, type.text, wide_a.text, widen->width, type.text,
		    wide_b.text);
	return true;
}

static bool widen_cast(
    struct widen *widen, struct line *line, const char *result, const char *operation)
{
	struct piece from, value, to, wide;

	if (!read_type(line, &from) || !read_until(line, " ", &value) || !skip(line, "to") ||
	    !read_type(line, &to))
		return false;
	wide_operand(widen, line, from.text, &value, &wide);
	text_format(widen->out, "  %s = %s <%u x %s> %s to <%u x %s>\n", result, operation,
	    widen->width, from.text, wide.text, widen->width, to.text);
	return true;
}

static bool widen_extract(struct widen *widen, struct line *line, const char *result)
{
	struct piece type, value, index, wide;

	if (!read_type(line, &type) || !read_until(line, ",", &value) || !skip(line, ",") ||
	    !read_word(line, &index))
		return false;
	wide_type(widen, type.text, &wide);
	text_format(widen->out, "  %s = extractvalue %s %s, %s\n", result, wide.text, value.text,
	    index.text);
	return true;
}

static bool is_one_of(const char *word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(word, words[i]))
			return true;
	return false;
}

static bool widen_operation(
    struct widen *widen, struct line *line, const char *result, const char *operation)
{
	static const char *const arithmetic[] = {"add", "sub", "mul", "shl", "lshr", "ashr", "and",
	    "or", "xor", "fadd", "fsub", "fmul", "fdiv", "fneg", "sdiv", "udiv", "srem", "urem"};
	static const char *const casts[] = {"bitcast", "trunc", "zext", "sext", "fpext", "fptrunc",
	    "sitofp", "uitofp", "fptosi", "fptoui"};

	if (is_one_of(operation, arithmetic, ARRAY_SIZE(arithmetic)))
		return widen_binary(widen, line, result, operation);
	if (is_one_of(operation, casts, ARRAY_SIZE(casts)))
		return widen_cast(widen, line, result, operation);
	if (!strcmp(operation, "icmp") || !strcmp(operation, "fcmp"))
		return widen_comparison(widen, line, result, operation);
	if (!strcmp(operation, "select"))
		return widen_select(widen, line, result);
	if (!strcmp(operation, "call"))
		return widen_call(widen, line, result);
	if (!strcmp(operation, "extractvalue"))
		return widen_extract(widen, line, result);
	return false;
}

/* Names in what is left of the line that are vectors. */
static bool mentions_vector(const struct widen *widen, const struct line *line)
{
	const char *at = line->at;
	char name[64];

	while (at < line->end) {
		size_t size = 1;

		if (*at != '%') {
			at++;
			continue;
		}
		while (at + size < line->end &&
		       (isalnum((unsigned char)at[size]) || at[size] == '.' || at[size] == '_'))
			size++;
		snprintf(name, sizeof(name), "%.*s", (int)MIN(size, sizeof(name) - 1), at);
		if (is_vector(widen, line, name))
			return true;
		at += size;
	}
	return false;
}

/* load T, ptr %slot */
static bool widen_load(struct widen *widen, struct line *line, const char *result)
{
	struct piece type, slot;

	if (!read_type(line, &type) || !skip(line, ", ptr") || !read_word(line, &slot) ||
	    line->at != line->end)
		return false;
	if (strncmp(slot.text, "%r", 2) && strcmp(slot.text, "%carry"))
		return false;
	if (widen->slots->load(widen->slots->context, result, type.text, slot.text))
		widen_mark(widen, result);
	return true;
}

static bool widen_store(struct widen *widen, struct line *line)
{
	struct piece type, value, slot, wide;

	if (!read_type(line, &type) || !read_until(line, ",", &value) || !skip(line, ", ptr") ||
	    !read_word(line, &slot) || line->at != line->end)
		return false;
	if (strncmp(slot.text, "%r", 2) && strcmp(slot.text, "%carry"))
		return false;
	if (is_vector(widen, line, value.text)) {
		wide_operand(widen, line, type.text, &value, &wide);
		widen->slots->store(widen->slots->context, type.text, wide.text, true, slot.text);
	} else {
		widen->slots->store(widen->slots->context, type.text, value.text, false, slot.text);
	}
	return true;
}

static bool widen_return(struct widen *widen, struct line *line)
{
	struct piece type, value, wide;

	if (!line->all_vectors || !read_type(line, &type) || !read_until(line, ",", &value))
		return false;
	wide_operand(widen, line, type.text, &value, &wide);
	text_format(widen->out, "  ret <%u x %s> %s\n", widen->width, type.text, wide.text);
	return true;
}

/* A load from a register's place, as against one from memory. */
static bool is_slot_load(const struct line *line)
{
	size_t size = (size_t)(line->end - line->at);

	return memmem(line->at, size, ", ptr %r", 8) || memmem(line->at, size, ", ptr %carry", 12);
}

static bool widen_line(struct widen *widen, struct line *line)
{
	struct line whole = *line;
	struct piece result, operation;

	if (skip(line, "store "))
		return widen_store(widen, line);
	if (skip(line, "ret "))
		return widen_return(widen, line);
	skip_spaces(line);
	if (line->at == line->end || *line->at != '%' || !read_word(line, &result) ||
	    !skip(line, "=") || !read_word(line, &operation))
		return false;
	if (!strcmp(operation.text, "load") && is_slot_load(line))
		return widen_load(widen, line, result.text);
	if (!line->all_vectors && !mentions_vector(widen, line)) {
		text_append(widen->out, whole.at, (size_t)(whole.end - whole.at));
		text_append(widen->out, "\n", 1);
		return true;
	}
	if (!widen_operation(widen, line, result.text, operation.text))
		return false;
	widen_mark(widen, result.text);
	return true;
}

static bool widen_text(struct widen *widen, const char *lines, size_t size, bool all_vectors)
{
	const char *end = lines + size;

	while (lines < end) {
		const char *stop = memchr(lines, '\n', (size_t)(end - lines)) ?: end;
		struct line line = {lines, stop, all_vectors};

		if (lines < stop && !widen_line(widen, &line))
			return false;
		lines = stop + 1;
	}
	return true;
}

bool widen_lines(struct widen *widen, const char *lines, size_t size)
{
	return widen_text(widen, lines, size, false);
}

/* The wide twin of a function of the prelude: "define internal T @name(T %a, ...) #1 {". */
static void define_twin(struct widen *widen, const char *name)
{
	const char *at, *body, *end;
	struct line line;
	struct call call;
	struct piece type;

	for (at = jit_prelude; (at = strstr(at, "define internal ")); at++) {
		at += strlen("define internal");
		body = strchr(at, '\n') + 1;
		line = (struct line){at, body, true};
		if (read_call(&line, &call) && !strcmp(call.name.text, name))
			break;
	}
	if (!at)
		return;
	end = strstr(body, "}\n");
	wide_type(widen, call.type.text, &type);
	text_format(widen->out, "define internal %s %s.w%u(", type.text, name, widen->width);
	for (unsigned i = 0; i < call.count; i++) {
		wide_type(widen, call.types[i].text, &type);
		text_format(widen->out, "%s%s %s", i ? ", " : "", type.text, call.operands[i].text);
	}
	text_format(widen->out, ") #1 {\n");
	widen_text(widen, body, (size_t)(end - body), true);
	text_format(widen->out, "}\n");
}

void widen_finish(struct widen *widen, struct text *program)
{
	widen->out = program;
	/* Twins may need others, which are then appended. */
	for (size_t i = 0; i < widen->n_needed; i++)
		if (!strncmp(widen->needed[i], "@sg.", 4))
			define_twin(widen, widen->needed[i]);
	text_append(program, widen->definitions.bytes ?: "", widen->definitions.size);
	text_append(program, widen->declarations.bytes ?: "", widen->declarations.size);
}
