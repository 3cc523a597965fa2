/*
 * test_entries.c: every exported function called as a program would, with stand-ins for remote_X(),
 * shim_X() and shim_nosup() that note what reached them. The machinery is api/entry-test.h; what is
 * generated is the stand-ins and, for each function, its arguments and what must become of them.
 */
#include <string.h>

#include "emit.h"

static const struct fn *entry_body_of(const struct fn *fn)
{
	return fn->base ? fn->base : fn;
}

/* The half behind an exported function: "remote_X" or "shim_X"; nosup has none. */
static const char *entry_half(struct api *api, const struct fn *fn)
{
	const struct fn *body = entry_body_of(fn);
	bool by_hand = body->class == CLASS_LOCAL || body->custom_shim;

	return api_text(api, "%s_%s", by_hand ? "shim" : "remote", body->name);
}

static void entry_stand_in(struct out *out, const struct fn *fn)
{
	const char *half = entry_half(out->api, fn);

	out_line(out, "CUresult %s(%s)", half,
	    text_params(out->api, fn->params, fn->takes_flags ? "unsigned shim_flags" : NULL));
	out_line(out, "{");
	out_line(out, "\tENTRY_REACHED(%s);", half);
	for (struct param *p = fn->params; p; p = p->next)
		out_line(out, "\tENTRY_SEEN(%s);", p->name);
	if (fn->takes_flags)
		out_line(out, "\tENTRY_SEEN(shim_flags);");
	out_line(out, "\treturn ENTRY_RESULT;");
	out_line(out, "}");
	out_blank(out);
}

/* Whether stream arguments of 0 become the per-thread stream; else a twin says it with a flag. */
static bool entry_maps_streams(const struct fn *fn)
{
	return fn->twin == TWIN_PTSZ && fn_stream(entry_body_of(fn));
}

static bool entry_raises_flag(const struct fn *fn)
{
	return (fn->twin == TWIN_PTSZ || fn->twin == TWIN_PTDS) && !entry_maps_streams(fn);
}

static void entry_arguments(struct out *out, const struct fn *fn)
{
	unsigned n_pointers = 0;

	for (struct param *p = fn->params; p; p = p->next) {
		if (p->stars) {
			out_line(out, "\t%s = ENTRY_POINTER(%u);", text_declaration(out->api, p),
			    n_pointers++);
		} else {
			out_line(out, "\t%s;", text_declaration(out->api, p));
			out_line(out, "\tENTRY_RANDOM(%s);", p->name);
		}
	}
	if (fn_live(fn) && entry_body_of(fn)->takes_flags)
		out_line(
		    out, "\tunsigned shim_flags = %s;", entry_raises_flag(fn) ? "SHIM_PTDS" : "0");
}

/* What must have been seen of p, in the place of its base's parameter. */
static void entry_expect_param(struct out *out, const struct param *p, const struct param *base)
{
	if (p->wide)
		out_line(out, "\tENTRY_EXPECT_OTHER(%s);", p->name);
	else if (strcmp(p->type_name, base->type_name) != 0)
		out_line(out, "\tENTRY_EXPECT_WIDE(%s, %s);", base->type_name, p->name);
	else
		out_line(out, "\tENTRY_EXPECT(%s);", p->name);
}

static void entry_expect(struct out *out, const struct fn *fn)
{
	const struct param *base = entry_body_of(fn)->params;

	out_line(out, "\tENTRY_EXPECT_REACHED(%s);", entry_half(out->api, fn));
	for (struct param *p = fn->params; p; p = p->next, base = base->next)
		entry_expect_param(out, p, base);
	if (entry_body_of(fn)->takes_flags)
		out_line(out, "\tENTRY_EXPECT(shim_flags);");
	out_line(out, "\tentry_expect_end();");
}

static void entry_call(struct out *out, const struct fn *fn)
{
	out_line(out, "\tCHECK_EQ(%s(%s), ENTRY_RESULT);", fn->name,
	    text_names(out->api, fn->params, ""));
}

static void entry_streams(struct out *out, const struct fn *fn, const char *value)
{
	for (struct param *p = fn->params; p; p = p->next)
		if (param_is_stream(p))
			out_line(out, "\t%s = %s;", p->name, value);
}

/* Each pointer that may not be NULL, NULL in its turn. */
static void entry_nulls(struct out *out, const struct fn *fn)
{
	for (struct param *null = fn->params; null; null = null->next) {
		const char *list = "";
		if (!null->stars || !null->direction || null->opt)
			continue;
		for (struct param *p = fn->params; p; p = p->next)
			list = text_join(out->api, list, p == null ? "NULL" : p->name);
		out_line(out, "\tCHECK_EQ(%s(%s), CUDA_ERROR_INVALID_VALUE);", fn->name, list);
		out_line(out, "\tentry_expect_end();");
	}
}

/* Told before anything else, NULL or not. */
static void entry_without_context(struct out *out, const struct fn *fn)
{
	const char *list = "";

	for (struct param *p = fn->params; p; p = p->next)
		list = text_join(out->api, list, p->stars ? "NULL" : p->name);
	out_line(out, "\thalves_lack_context = true;");
	out_line(out, "\tCHECK_EQ(%s(%s), CUDA_ERROR_INVALID_CONTEXT);", fn->name, list);
	out_line(out, "\tentry_expect_end();");
}

/* A NULL handle is told before NULL pointers. */
static void entry_first(struct out *out, const struct fn *fn)
{
	const char *first = entry_body_of(fn)->first, *list = "", *error;

	text_first(out->api, fn, &error);

	for (struct param *p = fn->params; p; p = p->next)
		list = text_join(
		    out->api, list, p->stars || !strcmp(p->name, first) ? "NULL" : p->name);
	out_line(out, "\tCHECK_EQ(%s(%s), %s);", fn->name, list, error);
	out_line(out, "\tentry_expect_end();");
}

static void entry_test(struct out *out, const struct fn *fn)
{
	out_line(out, "TEST(entry_%s)", fn->name);
	out_line(out, "{");
	entry_arguments(out, fn);
	if (!fn_live(fn)) {
		out_line(out, "\tCHECK_EQ(%s(%s), CUDA_ERROR_NOT_SUPPORTED);", fn->name,
		    text_names(out->api, fn->params, ""));
		out_line(out, "\tentry_expect_nosup(FN_%s);", fn->name);
	} else {
		entry_call(out, fn);
		entry_expect(out, fn);
		entry_nulls(out, fn);
		if (entry_body_of(fn)->first)
			entry_first(out, fn);
		if (entry_maps_streams(fn)) {
			entry_streams(out, fn, "NULL");
			entry_call(out, fn);
			entry_streams(out, fn, "CU_STREAM_PER_THREAD");
			entry_expect(out, fn);
		}
		if (entry_body_of(fn)->context && fn->twin != TWIN_NARROW)
			entry_without_context(out, fn);
	}
	out_line(out, "}");
	out_blank(out);
}

void emit_test_entries_c(struct out *out)
{
	out_begin(
	    out, "One test per exported function; api/entry-test.h says what each one tries.");
	out_line(out, "#include \"api/entry-test.h\"");
	out_line(out, "#include \"gen/cuda_api.h\"");
	out_line(out, "#include \"gen/shim_custom.h\"");
	out_line(out, "#include \"gen/shim_remote.h\"");
	out_blank(out);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (!fn->alias && !fn_internal(fn) && fn_live(fn))
			entry_stand_in(out, fn);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (!fn_internal(fn))
			entry_test(out, fn);
}
