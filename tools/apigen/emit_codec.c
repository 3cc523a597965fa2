/*
 * api_codec.[ch]: what one call looks like as bytes. A record holds, each group in the order of the
 * parameters: values (scalars, ids, structs passed by value); what pointers to one element point
 * to; runs. So every length is known before the run it counts, in one pass. A reply holds the
 * outputs in the order of the parameters. README.md says the rest of the format.
 */
#include <string.h>

#include "emit.h"

enum group { GROUP_VALUES, GROUP_ONES, GROUP_RUNS };

static bool codec_in(const struct param *p, enum group group)
{
	if (!param_crosses(p))
		return false;
	if (!p->stars)
		return group == GROUP_VALUES;
	return group == (param_is_run(p) ? GROUP_RUNS : GROUP_ONES);
}

static bool codec_is_struct(const struct param *p)
{
	return p->type->kind == TYPE_STRUCT;
}

/* Bytes of one value or element in a record. */
static const char *codec_value_size(struct api *api, const struct param *p)
{
	return codec_is_struct(p) ? api_text(api, "wire_padded(sizeof(%s))", p->type_name) : "8";
}

static const char *codec_put_value(struct api *api, const struct param *p, bool pointed)
{
	const char *star = pointed ? "*" : "", *to = pointed ? "" : "&";

	if (codec_is_struct(p))
		return api_text(
		    api, "wire_put_raw(w, %sa->%s, sizeof(%s))", to, p->name, p->type_name);
	if (p->type->kind == TYPE_FLOAT)
		return api_text(api, "codec_put_f%u(w, %sa->%s)", p->type->width, star, p->name);
	return api_text(api, "wire_put_u64(w, (uint64_t)%sa->%s)", star, p->name);
}

static const char *codec_get_value(struct api *api, const struct param *p, bool pointed)
{
	const char *star = pointed ? "*" : "", *to = pointed ? "" : "&";

	if (codec_is_struct(p))
		return api_text(
		    api, "codec_get_struct(r, %sa->%s, sizeof(%s))", to, p->name, p->type_name);
	if (p->type->kind == TYPE_FLOAT)
		return api_text(api, "%sa->%s = codec_get_f%u(r)", star, p->name, p->type->width);
	return api_text(api, "%sa->%s = (%s)wire_get_u64(r)", star, p->name, p->type_name);
}

/* "if (a->p)" before what follows for a pointer that may be NULL. */
static const char *codec_guard(struct out *out, const struct param *p)
{
	if (!p->opt)
		return "\t";
	out_line(out, "\tif (a->%s)", p->name);
	return "\t\t";
}

/*
 * A size as C: what is always there is one constant, the rest is added line by line; if the rest is
 * one term, all is one return.
 */
struct sum {
	struct out *out;
	unsigned words;
	const char *structs;
	bool open; /* "size" is declared */
};

static void sum_constant(struct sum *sum, const struct param *p)
{
	struct api *api = sum->out->api;

	if (codec_is_struct(p))
		sum->structs = api_text(api, "%s + %s", sum->structs, codec_value_size(api, p));
	else
		sum->words++;
}

static const char *sum_text(const struct sum *sum)
{
	if (!sum->words && *sum->structs)
		return sum->structs + strlen(" + ");
	return api_text(sum->out->api, "%u%s", sum->words * 8, sum->structs);
}

static void sum_add(struct sum *sum, const struct param *p, const char *what)
{
	if (!sum->open) {
		out_line(sum->out, "\tsize_t size = %s;", sum_text(sum));
		out_blank(sum->out);
	}
	sum->open = true;
	const char *indent = codec_guard(sum->out, p);
	out_line(sum->out, "%ssize = codec_add(size, %s);", indent, what);
}

static void sum_return(const struct sum *sum, const char *single)
{
	if (!single)
		out_line(sum->out, "\treturn %s;", sum->open ? "size" : sum_text(sum));
	else if (sum->words || *sum->structs)
		out_line(sum->out, "\treturn codec_add(%s, %s);", sum_text(sum), single);
	else
		out_line(sum->out, "\treturn %s;", single);
}

static const char *codec_run_size(struct api *api, const struct param *p)
{
	if (p->shape == SHAPE_CSTR && p->direction == DIR_IN)
		return api_text(api, "codec_run(strlen(a->%s) + 1)", p->name);
	return api_text(api, "codec_run(%s)", text_bytes(api, p, "a->"));
}

/* The terms of wanted pointers: those that are not in the constant. */
static void codec_sum_terms(
    struct sum *sum, const struct fn *fn, bool (*wanted)(const struct param *))
{
	struct api *api = sum->out->api;
	struct param *only = NULL;
	int n = 0;

	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!param_crosses(p) || !p->stars || !wanted(p) || (param_is_one(p) && !p->opt))
			continue;
		only = p;
		n++;
	}
	if (n == 1 && !only->opt) {
		sum_return(sum, codec_run_size(api, only));
		return;
	}
	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!param_crosses(p) || !p->stars || !wanted(p))
			continue;
		if (param_is_run(p))
			sum_add(sum, p, codec_run_size(api, p));
		else if (p->opt)
			sum_add(sum, p, codec_value_size(api, p));
	}
	sum_return(sum, NULL);
}

static void codec_size(struct out *out, const struct fn *fn)
{
	struct sum sum = {.out = out, .structs = ""};

	out_line(out, "size_t wire_size_%s(const struct args_%s *a)", fn->name, fn->name);
	out_line(out, "{");
	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!param_crosses(p))
			continue;
		if (p->opt)
			sum.words++;
		if (!p->stars || (param_is_one(p) && param_is_sent(p) && !p->opt))
			sum_constant(&sum, p);
	}
	codec_sum_terms(&sum, fn, param_is_sent);
	out_line(out, "}");
	out_blank(out);
}

static void codec_reply_size(struct out *out, const struct fn *fn)
{
	struct sum sum = {.out = out, .structs = ""};

	out_line(out, "size_t wire_reply_size_%s(const struct args_%s *a)", fn->name, fn->name);
	out_line(out, "{");
	for (struct param *p = fn_wire(fn); p; p = p->next)
		if (param_crosses(p) && param_is_one(p) && param_is_returned(p) && !p->opt)
			sum_constant(&sum, p);
	codec_sum_terms(&sum, fn, param_is_returned);
	out_line(out, "}");
	out_blank(out);
}

static void codec_encode_run(struct out *out, const struct param *p)
{
	const char *indent = codec_guard(out, p);

	if (p->shape == SHAPE_CSTR && p->direction == DIR_IN)
		out_line(out, "%swire_put_bytes(w, a->%s, strlen(a->%s) + 1);", indent, p->name,
		    p->name);
	else
		out_line(out, "%swire_put_bytes(w, a->%s, %s);", indent, p->name,
		    text_bytes(out->api, p, "a->"));
}

static void codec_encode(struct out *out, const struct fn *fn)
{
	out_line(out, "void wire_encode_%s(struct wire_writer *w, const struct args_%s *a)",
	    fn->name, fn->name);
	out_line(out, "{");
	for (enum group group = GROUP_VALUES; group <= GROUP_RUNS; group++) {
		for (struct param *p = fn_wire(fn); p; p = p->next) {
			if (!codec_in(p, group))
				continue;
			if (p->opt)
				out_line(out, "\twire_put_u64(w, a->%s != NULL);", p->name);
			if (group == GROUP_VALUES) {
				out_line(out, "\t%s;", codec_put_value(out->api, p, false));
			} else if (param_is_sent(p) && group == GROUP_ONES) {
				const char *indent = codec_guard(out, p);
				out_line(out, "%s%s;", indent, codec_put_value(out->api, p, true));
			} else if (param_is_sent(p)) {
				codec_encode_run(out, p);
			}
		}
	}
	out_line(out, "}");
	out_blank(out);
}

/* The server's memory for what a pointer points to; handles are rewritten there, so copied. */
static const char *codec_room(struct api *api, const struct param *p)
{
	const char *size = param_is_run(p) ? text_bytes(api, p, "a->")
			   : codec_is_struct(p) || p->direction == DIR_OUT
			       ? api_text(api, "sizeof(%s)", text_element(api, p))
			       : "8";
	bool in_place = p->direction == DIR_IN && p->type->kind != TYPE_HANDLE;
	const char *format = p->direction == DIR_OUT ? "codec_take(r, pool, %s)"
			     : param_is_run(p)	     ? "codec_take_run(r, pool, %s)"
						     : "codec_take_raw(r, pool, %s)";

	if (p->shape == SHAPE_CSTR && p->direction == DIR_IN)
		return p->is_const ? "codec_get_cstr(r)" : "(char *)codec_get_cstr(r)";
	if (in_place)
		format = param_is_run(p) ? "codec_get_run(r, %s)" : "wire_get_raw(r, %s)";
	const char *text = api_text(api, format, size);
	if (in_place && !p->is_const)
		text = api_text(api, "(%s *)%s", text_element(api, p), text);
	return text;
}

static void codec_decode_pointer(struct out *out, const struct param *p)
{
	if (param_has_room(p))
		out_line(out, "\ta->%s_room = %s;", p->name, text_count(out->api, p, "a->"));
	if (p->opt)
		out_line(out, "\ta->%s = codec_get_present(r) ? %s : NULL;", p->name,
		    codec_room(out->api, p));
	else
		out_line(out, "\ta->%s = %s;", p->name, codec_room(out->api, p));
}

/* Lengths behind pointers are read before their runs: the pointers must be there. */
static bool codec_needs_check(const struct fn *fn)
{
	for (struct param *p = fn_wire(fn); p; p = p->next)
		for (int i = 0; param_crosses(p) && i < p->length.n_terms; i++)
			if (p->length.terms[i].pointed)
				return true;
	return false;
}

static void codec_decode(struct out *out, const struct fn *fn)
{
	out_line(out,
	    "bool wire_decode_%s(struct wire_reader *r, struct pool *pool, struct args_%s *a)",
	    fn->name, fn->name);
	out_line(out, "{");
	for (enum group group = GROUP_VALUES; group <= GROUP_RUNS; group++) {
		if (group == GROUP_RUNS && codec_needs_check(fn)) {
			out_line(out, "\tif (r->failed)");
			out_line(out, "\t\treturn false;");
		}
		for (struct param *p = fn_wire(fn); p; p = p->next) {
			if (!codec_in(p, group))
				continue;
			if (group == GROUP_VALUES)
				out_line(out, "\t%s;", codec_get_value(out->api, p, false));
			else
				codec_decode_pointer(out, p);
		}
	}
	out_line(out, "\treturn !r->failed && r->at == r->end;");
	out_line(out, "}");
	out_blank(out);
}

static const char *codec_put_output(struct api *api, const struct param *p)
{
	if (!param_is_run(p))
		return codec_put_value(api, p, true);
	if (p->shape == SHAPE_CSTR)
		return api_text(
		    api, "codec_put_cstr(w, a->%s, %s)", p->name, text_bytes(api, p, "a->"));
	if (!param_has_room(p))
		return api_text(
		    api, "wire_put_bytes(w, a->%s, %s)", p->name, text_bytes(api, p, "a->"));
	const char *count =
	    api_text(api, "codec_min(%s, a->%s_room)", text_count(api, p, "a->"), p->name);
	if (p->shape == SHAPE_ARRAY)
		count = api_text(api, "codec_mul(%s, sizeof(%s))", count, text_element(api, p));
	return api_text(api, "wire_put_bytes(w, a->%s, %s)", p->name, count);
}

static void codec_encode_reply(struct out *out, const struct fn *fn)
{
	out_line(out, "void wire_encode_reply_%s(struct wire_writer *w, const struct args_%s *a)",
	    fn->name, fn->name);
	out_line(out, "{");
	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!param_crosses(p) || !param_is_returned(p))
			continue;
		const char *indent = codec_guard(out, p);
		out_line(out, "%s%s;", indent, codec_put_output(out->api, p));
	}
	out_line(out, "}");
	out_blank(out);
}

/* Counts that the reply itself overwrites are taken first. */
static void codec_reply_rooms(struct out *out, const struct fn *fn)
{
	bool any = false;

	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!param_crosses(p) || !param_has_room(p))
			continue;
		const char *bytes = text_bytes(out->api, p, "a->");
		if (p->opt)
			out_line(
			    out, "\tsize_t %s_room = a->%s ? %s : 0;", p->name, p->name, bytes);
		else
			out_line(out, "\tsize_t %s_room = %s;", p->name, bytes);
		any = true;
	}
	if (any)
		out_blank(out);
}

static void codec_decode_reply(struct out *out, const struct fn *fn)
{
	out_line(out, "void wire_decode_reply_%s(struct wire_reader *r, struct args_%s *a)",
	    fn->name, fn->name);
	out_line(out, "{");
	codec_reply_rooms(out, fn);
	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!param_crosses(p) || !param_is_returned(p))
			continue;
		const char *room = param_has_room(p) ? api_text(out->api, "%s_room", p->name)
				   : param_is_run(p) ? text_bytes(out->api, p, "a->")
						     : NULL;
		const char *indent = codec_guard(out, p);
		if (room)
			out_line(out, "%scodec_get_output(r, a->%s, %s);", indent, p->name, room);
		else
			out_line(out, "%s%s;", indent, codec_get_value(out->api, p, true));
	}
	out_line(out, "}");
	out_blank(out);
}

void emit_api_codec_h(struct out *out)
{
	out_begin(out,
	    "For each function X that crosses, how a call of it becomes bytes and back.\n"
	    "\n"
	    "wire_size_X          bytes of the record's payload; SIZE_MAX: too large for any "
	    "record\n"
	    "wire_encode_X        client: writes exactly that many\n"
	    "wire_decode_X        server: false when the payload is not a call of X. Inputs point "
	    "into\n"
	    "                     the record, outputs and handles into the pool; both outlive a\n"
	    "wire_reply_size_X    at most so many bytes of outputs; ask before the call overwrites "
	    "a\n"
	    "wire_encode_reply_X  server: the outputs after success\n"
	    "wire_decode_reply_X  client: into the caller's memory, never more than it has room "
	    "for;\n"
	    "                     the reader's sticky error says whether all was there\n"
	    "\n"
	    "Pointers in a that are not optional must not be NULL. No function allocates but from "
	    "the\n"
	    "pool, none keeps state: any thread.");
	out_line(out, "#pragma once");
	out_blank(out);
	out_line(out, "#include \"base/pool.h\"");
	out_line(out, "#include \"gen/api_args.h\"");
	out_line(out, "#include \"wire/record.h\"");
	for (struct fn *fn = out->api->fns; fn; fn = fn->next) {
		if (!fn_crosses(fn))
			continue;
		const char *x = fn->name;
		out_blank(out);
		out_line(out, "size_t wire_size_%s(const struct args_%s *a);", x, x);
		out_line(out, "size_t wire_reply_size_%s(const struct args_%s *a);", x, x);
		out_line(out,
		    "void wire_encode_%s(struct wire_writer *w, const struct args_%s *a);", x, x);
		out_line(out,
		    "bool wire_decode_%s(struct wire_reader *r, struct pool *pool, struct args_%s "
		    "*a);",
		    x, x);
		out_line(out,
		    "void wire_encode_reply_%s(struct wire_writer *w, const struct args_%s *a);", x,
		    x);
		out_line(out,
		    "void wire_decode_reply_%s(struct wire_reader *r, struct args_%s *a);", x, x);
	}
}

static bool codec_points_to(const struct api *api, const struct type *type)
{
	for (struct fn *fn = api->fns; fn; fn = fn->next)
		for (struct param *p = fn_crosses(fn) ? fn_wire(fn) : NULL; p; p = p->next)
			if (param_crosses(p) && p->stars && p->shape != SHAPE_BYTES &&
			    p->type == type)
				return true;
	return false;
}

/* Inputs are used where they lie, at multiples of eight: nothing may want more. */
static void codec_asserts(struct out *out)
{
	for (struct type *type = out->api->types; type; type = type->next)
		if (type->kind == TYPE_STRUCT && codec_points_to(out->api, type))
			out_line(out,
			    "_Static_assert(_Alignof(%s) <= WIRE_ALIGN, \"%s in a record\");",
			    type->name, type->name);
	out_blank(out);
}

void emit_api_codec_c(struct out *out)
{
	out_begin(out, "See api_codec.h. The helpers of api/codec.h check every bound.");
	out_line(out, "#include \"gen/api_codec.h\"");
	out_blank(out);
	out_line(out, "#include \"api/codec.h\"");
	out_blank(out);
	codec_asserts(out);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next) {
		if (!fn_crosses(fn))
			continue;
		codec_size(out, fn);
		codec_reply_size(out, fn);
		codec_encode(out, fn);
		codec_decode(out, fn);
		codec_encode_reply(out, fn);
		codec_decode_reply(out, fn);
	}
}
