/*
 * fuzz_layout.c: what each record holds, as data. The order of fields is that of the codec
 * (emit_codec.c): values, what pointers to one element point to, runs.
 */
#include "emit.h"

enum { GROUPS = 3 };

static int layout_group(const struct param *p)
{
	return !p->stars ? 0 : param_is_run(p) ? 2 : 1;
}

/* The number of a parameter's field; -1: it has none. */
static int layout_number(const struct fn *fn, const struct param *wanted)
{
	int number = 0;

	for (int group = 0; group < GROUPS; group++)
		for (struct param *p = fn_wire(fn); p; p = p->next) {
			if (!param_crosses(p) || layout_group(p) != group)
				continue;
			if (p == wanted)
				return number;
			number++;
		}
	return -1;
}

/* ".size = 4 * sizeof(CUevent), .by = {1, 3}" */
static const char *layout_length(struct api *api, const struct fn *fn, const struct param *p)
{
	const char *by = "", *size = "1";

	if (p->shape == SHAPE_ARRAY)
		size = api_text(api, "sizeof(%s)", text_element(api, p));
	for (int i = 0; i < p->length.n_terms; i++) {
		const struct term *term = &p->length.terms[i];
		if (term->name)
			by = text_join(
			    api, by, api_text(api, "%d", layout_number(fn, term->param) + 1));
		else
			size = api_text(api, "%llu * %s", (unsigned long long)term->constant, size);
	}
	if (!*by)
		return api_text(api, ".size = %s", size);
	return api_text(api, ".size = %s, .by = {%s}", size, by);
}

static void layout_field(struct out *out, const struct fn *fn, const struct param *p)
{
	struct api *api = out->api;
	bool text = p->shape == SHAPE_CSTR && p->direction == DIR_IN;
	const char *kind = !param_is_run(p) || !p->stars ? "VALUE" : text ? "TEXT" : "RUN";
	const char *length = text ? ".size = 1" : layout_length(api, fn, p);
	const char *handle = p->type->kind == TYPE_HANDLE ? p->type->handle : "NONE";

	if (layout_group(p) < 2)
		length = p->type->kind == TYPE_STRUCT
			     ? api_text(api, ".size = sizeof(%s), .is_struct = true", p->type_name)
			     : ".size = 8";
	out_line(out, "\t{.kind = FUZZ_%s, .handle = HANDLE_%s, .opt = %s, .sent = %s, %s},", kind,
	    handle, p->opt ? "true" : "false", !p->stars || param_is_sent(p) ? "true" : "false",
	    length);
}

static bool layout_is_empty(const struct fn *fn)
{
	for (struct param *p = fn_wire(fn); p; p = p->next)
		if (param_crosses(p))
			return false;
	return true;
}

void emit_fuzz_layout_c(struct out *out)
{
	out_begin(out, "What each record holds; api/fuzz-layout.h says how.");
	out_line(out, "#include \"api/fuzz-layout.h\"");
	out_line(out, "#include \"gen/api_args.h\"");
	out_line(out, "#include \"gen/api_ids.h\"");
	out_blank(out);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next) {
		if (!fn_crosses(fn) || layout_is_empty(fn))
			continue;
		out_line(out, "static const struct fuzz_field fields_%s[] = {", fn->name);
		for (int group = 0; group < GROUPS; group++)
			for (struct param *p = fn_wire(fn); p; p = p->next)
				if (param_crosses(p) && layout_group(p) == group)
					layout_field(out, fn, p);
		out_line(out, "};");
		out_blank(out);
	}
	out_line(out, "const struct fuzz_layout fuzz_layouts[] = {");
	for (struct fn *fn = out->api->fns; fn; fn = fn->next) {
		if (!fn_crosses(fn))
			continue;
		if (layout_is_empty(fn))
			out_line(out, "\t{API_%s, NULL, 0},", fn->name);
		else
			out_line(out, "\t{API_%s, fields_%s, ARRAY_SIZE(fields_%s)},", fn->name,
			    fn->name, fn->name);
	}
	out_line(out, "};");
	out_line(out, "const size_t fuzz_n_layouts = ARRAY_SIZE(fuzz_layouts);");
}
