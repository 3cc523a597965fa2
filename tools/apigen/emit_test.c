/*
 * test_codec.c: for each function that crosses, random arguments through the codec and back, and
 * every prefix of what was encoded, which must fail cleanly. The machinery is api/codec-test.h;
 * what is generated fills arguments and compares them, with optional pointers there and absent.
 * fuzz_codec.c: the same functions for a fuzzer.
 */

#include "emit.h"

static bool test_optional(const struct fn *fn)
{
	for (struct param *p = fn_wire(fn); p; p = p->next)
		if (param_crosses(p) && p->opt)
			return true;
	return false;
}

/* "present ? X : NULL" */
static const char *test_maybe(struct api *api, const struct param *p, const char *memory)
{
	return p->opt ? api_text(api, "present ? %s : NULL", memory) : memory;
}

/* "*a.count = (size_t)VALUE;", if it is there. */
static void test_assign(struct out *out, const struct param *p, const char *args, const char *value)
{
	if (p->opt)
		out_line(out, "\tif (%s.%s)", args, p->name);
	out_line(
	    out, "%s*%s.%s = (%s)%s;", p->opt ? "\t\t" : "\t", args, p->name, p->type_name, value);
}

/* Values and pointed-to elements first: lengths are among them. */
static void test_fill_ones(struct out *out, const struct fn *fn)
{
	struct api *api = out->api;

	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!param_crosses(p) || param_is_run(p))
			continue;
		if (!p->stars && p->is_length) {
			out_line(out, "\ta.%s = (%s)codec_test_length();", p->name, p->type_name);
		} else if (!p->stars) {
			out_line(
			    out, "\tcodec_test_random(&a.%s, sizeof(a.%s));", p->name, p->name);
		} else {
			const char *memory =
			    api_text(api, "codec_test_memory(&t, sizeof(%s))", p->type_name);
			out_line(out, "\ta.%s = %s;", p->name, test_maybe(api, p, memory));
			if (p->is_length)
				test_assign(out, p, "a", "codec_test_length()");
		}
	}
}

static void test_fill_runs(struct out *out, const struct fn *fn)
{
	struct api *api = out->api;

	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!param_crosses(p) || !param_is_run(p))
			continue;
		bool input = p->shape == SHAPE_CSTR && p->direction == DIR_IN;
		const char *memory =
		    input ? "codec_test_cstr(&t, codec_test_length())"
			  : api_text(api, "codec_test_memory(&t, %s)", text_bytes(api, p, "a."));
		out_line(out, "\ta.%s = %s;", p->name, test_maybe(api, p, memory));
	}
}

/* What the server must see of what the client said. */
static void test_compare_inputs(struct out *out, const struct fn *fn)
{
	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!param_crosses(p))
			continue;
		if (!p->stars) {
			out_line(out, "\tCODEC_SAME(&a.%s, &b.%s, sizeof(a.%s));", p->name, p->name,
			    p->name);
			continue;
		}
		if (p->opt)
			out_line(out, "\tCHECK(!a.%s == !b.%s);", p->name, p->name);
		if (!param_is_sent(p))
			continue;
		if (param_is_one(p))
			out_line(out, "\tCODEC_SAME(a.%s, b.%s, sizeof(%s));", p->name, p->name,
			    p->type_name);
		else if (p->shape == SHAPE_CSTR && p->direction == DIR_IN)
			out_line(out, "\tCODEC_SAME_CSTR(a.%s, b.%s);", p->name, p->name);
		else
			out_line(out, "\tCODEC_SAME(a.%s, b.%s, %s);", p->name, p->name,
			    text_bytes(out->api, p, "a."));
	}
}

static bool test_is_count(const struct param *p)
{
	return param_crosses(p) && param_is_one(p) && param_is_returned(p) && p->is_length;
}

/* What a server would answer. A count stays within the room that the caller gave. */
static void test_fill_outputs(struct out *out, const struct fn *fn)
{
	struct api *api = out->api;

	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!param_crosses(p) || !param_is_returned(p))
			continue;
		if (param_is_run(p))
			out_line(out, "\t%s(b.%s, %s);",
			    p->shape == SHAPE_CSTR ? "codec_test_text" : "codec_test_fill", p->name,
			    text_bytes(api, p, "b."));
		else if (!p->is_length)
			out_line(
			    out, "\tcodec_test_fill(b.%s, sizeof(%s));", p->name, p->type_name);
	}
	for (struct param *p = fn_wire(fn); p; p = p->next)
		if (test_is_count(p))
			test_assign(
			    out, p, "b", api_text(api, "codec_test_shorter(*b.%s)", p->name));
}

/* Keeps the counts that a reply overwrites; returns the statements that put them back. */
static const char *test_keep_counts(struct out *out, const struct fn *fn)
{
	struct api *api = out->api;
	const char *restore = "";

	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!test_is_count(p))
			continue;
		const char *here = p->opt ? api_text(api, "if (a.%s) ", p->name) : "";
		out_line(out, "\t%s %s = %s;", p->type_name, p->name,
		    p->opt ? api_text(api, "a.%s ? *a.%s : 0", p->name, p->name)
			   : api_text(api, "*a.%s", p->name));
		restore = api_text(
		    api, "%s%s%s*a.%s = %s", restore, *restore ? "; " : "", here, p->name, p->name);
	}
	return restore;
}

static void test_compare_outputs(struct out *out, const struct fn *fn)
{
	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!param_crosses(p) || !param_is_returned(p))
			continue;
		if (param_is_one(p))
			out_line(out, "\tCODEC_SAME(a.%s, b.%s, sizeof(%s));", p->name, p->name,
			    p->type_name);
		else if (p->shape == SHAPE_CSTR)
			out_line(out, "\tCODEC_SAME_CSTR(a.%s, b.%s);", p->name, p->name);
		else
			out_line(out, "\tCODEC_SAME(a.%s, b.%s, %s);", p->name, p->name,
			    text_bytes(out->api, p, "b."));
	}
}

static void test_body(struct out *out, const struct fn *fn)
{
	bool optional = test_optional(fn);

	if (optional)
		out_line(out, "static void round_%s(bool present)", fn->name);
	else
		out_line(out, "TEST(%s)", fn->name);
	out_line(out, "{");
	out_line(out, "\tstruct codec_test t = {0};");
	out_line(out, "\tstruct args_%s a = {0}, b;", fn->name);
	out_blank(out);
	test_fill_ones(out, fn);
	test_fill_runs(out, fn);
	out_line(out, "\tCODEC_CALL(%s);", fn->name);
	test_compare_inputs(out, fn);
	if (fn_has_outputs(fn)) {
		test_fill_outputs(out, fn);
		out_line(out, "\tCODEC_REPLY(%s, %s);", fn->name, test_keep_counts(out, fn));
		test_compare_outputs(out, fn);
	}
	out_line(out, "\tcodec_test_fini(&t);");
	out_line(out, "}");
	out_blank(out);
	if (!optional)
		return;
	out_line(out, "TEST(%s)", fn->name);
	out_line(out, "{");
	out_line(out, "\tround_%s(true);", fn->name);
	out_line(out, "\tround_%s(false);", fn->name);
	out_line(out, "}");
	out_blank(out);
}

void emit_fuzz_codec_c(struct out *out)
{
	out_begin(out, "What a fuzzer may reach of the codec; api/codec-fuzz.h says how.");
	out_line(out, "#include \"api/codec-fuzz.h\"");
	out_line(out, "#include \"gen/api_codec.h\"");
	out_line(out, "#include \"gen/api_ids.h\"");
	out_blank(out);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (fn_crosses(fn))
			out_line(out, "CODEC_FUZZ(%s)", fn->name);
	out_blank(out);
	out_line(out, "const struct codec_fuzz_entry codec_fuzz_entries[] = {");
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (fn_crosses(fn))
			out_line(out, "\t{API_%s, fuzz_%s},", fn->name, fn->name);
	out_line(out, "};");
	out_line(out, "const size_t codec_n_fuzz_entries = ARRAY_SIZE(codec_fuzz_entries);");
}

void emit_test_codec_c(struct out *out)
{
	out_begin(
	    out, "One test per function that crosses; api/codec-test.h says what each one tries.");
	out_line(out, "#include \"api/codec-test.h\"");
	out_line(out, "#include \"api/codec.h\"");
	out_line(out, "#include \"base/test.h\"");
	out_line(out, "#include \"gen/api_codec.h\"");
	out_blank(out);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (fn_crosses(fn))
			test_body(out, fn);
}
