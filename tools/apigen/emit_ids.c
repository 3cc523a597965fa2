/* api_ids.h: numbers. api_desc.[ch]: what is known about each function, for whoever wants to
 * ask. */
#include "emit.h"

void emit_api_ids_h(struct out *out)
{
	out_begin(out,
	    "enum api_id: what a record carries to name its function; written in api/, never "
	    "reused.\n"
	    "enum api_fn: the row of a function in api_desc[]; changes from build to build.");
	out_line(out, "#pragma once");
	out_blank(out);
	out_line(out, "enum api_id {");
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (fn_crosses(fn))
			out_line(out, "\tAPI_%s = 0x%04x,", fn->name, fn->id);
	out_line(out, "};");
	out_blank(out);
	out_line(out, "enum api_fn {");
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		out_line(out, "\tFN_%s,", fn->name);
	out_line(out, "\tAPI_N_FUNCTIONS,");
	out_line(out, "};");
}

void emit_api_desc_h(struct out *out)
{
	static const char *const lines[] = {
	    "#pragma once",
	    "",
	    "#include <stdint.h>",
	    "",
	    "#include \"gen/api_ids.h\"",
	    "",
	    "enum api_class {",
	    "\tAPI_SYNC,  /* the caller waits for the worker's answer */",
	    "\tAPI_ASYNC, /* posted: an error shows at a later call */",
	    "\tAPI_LOCAL, /* answered in the client's process */",
	    "\tAPI_NOSUP, /* exported, but answers CUDA_ERROR_NOT_SUPPORTED */",
	    "};",
	    "",
	    "enum api_flag {",
	    "\tAPI_F_BLOCKS = 1 << 0,\t /* may wait for the GPU: served on the lane's waiter */",
	    "\tAPI_F_CUSTOM_SHIM = 1 << 1,\t /* its client half is written by hand */",
	    "\tAPI_F_CUSTOM_SERVER = 1 << 2, /* its server half is written by hand */",
	    "\tAPI_F_ALIAS = 1 << 3,\t /* another name of base */",
	    "\tAPI_F_PTSZ = 1 << 4,\t /* stream 0 is the thread's own stream */",
	    "\tAPI_F_PTDS = 1 << 5,\t /* works on the thread's own stream */",
	    "\tAPI_F_INTERNAL = 1 << 6,\t /* Rosen's own, not exported */",
	    "\tAPI_F_CACHE = 1 << 7,\t /* the answer never changes */",
	    "\tAPI_F_EARLY = 1 << 8,\t /* may be called before cuInit */",
	    "\tAPI_F_CODEC_TEST = 1 << 9,\t /* its records have a generated test */",
	    "\tAPI_F_ENTRY_TEST = 1 << 10,\t /* its exported entry has one */",
	    "};",
	    "",
	    "struct api_desc {",
	    "\tconst char *name;",
	    "\tuint32_t id;\t\t/* on the wire; an alias has its base's; 0: does not cross */",
	    "\tuint32_t since;\t\t/* first CUDA version: 12030; 0 for internal functions */",
	    "\tenum api_class class;",
	    "\tuint32_t flags;\t\t/* API_F_* */",
	    "\tconst char *base;\t/* of an alias, else NULL */",
	    "\tconst char *charge;\t/* quota: \"mem, bytesize\"; NULL: nothing */",
	    "\tconst char *replay;\t/* how a checkpoint brings it back; NULL: not needed */",
	    "\tconst char *order;\t/* the parameter whose queue orders it; NULL: none */",
	    "};",
	    "",
	    "/* API_N_FUNCTIONS rows, indexed by enum api_fn. */",
	    "extern const struct api_desc api_desc[];",
	    "",
	    "/* The function a record's id means, NULL when there is none. */",
	    "const struct api_desc *api_desc_by_id(uint32_t id);",
	};

	out_begin(out,
	    "One row per function, exported or internal: read by tracing, statistics, the\n"
	    "coverage table and whoever needs to know a function's kind. Constant data.");
	out_lines(out, lines, sizeof(lines) / sizeof(lines[0]));
}

static const char *desc_class(const struct fn *fn)
{
	static const char *const names[] = {
	    [CLASS_SYNC] = "API_SYNC",
	    [CLASS_ASYNC] = "API_ASYNC",
	    [CLASS_LOCAL] = "API_LOCAL",
	    [CLASS_NOSUP] = "API_NOSUP",
	    [CLASS_INTERNAL_SYNC] = "API_SYNC",
	    [CLASS_INTERNAL_ASYNC] = "API_ASYNC",
	};

	return names[fn->class];
}

static const char *desc_flags(struct api *api, const struct fn *fn)
{
	const struct {
		bool set;
		const char *flag;
	} flags[] = {
	    {fn->blocks, "API_F_BLOCKS"},
	    {fn->custom_shim, "API_F_CUSTOM_SHIM"},
	    {fn->custom_server, "API_F_CUSTOM_SERVER"},
	    {fn->alias, "API_F_ALIAS"},
	    {fn->twin == TWIN_PTSZ, "API_F_PTSZ"},
	    {fn->twin == TWIN_PTDS, "API_F_PTDS"},
	    {fn_internal(fn), "API_F_INTERNAL"},
	    {fn->cache, "API_F_CACHE"},
	    {fn->early, "API_F_EARLY"},
	    {fn_crosses(fn->base ? fn->base : fn), "API_F_CODEC_TEST"},
	    {!fn_internal(fn), "API_F_ENTRY_TEST"},
	};
	const char *text = "";

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (flags[i].set)
			text =
			    *text ? api_text(api, "%s | %s", text, flags[i].flag) : flags[i].flag;
	return text;
}

static void desc_row(struct out *out, const struct fn *fn)
{
	struct api *api = out->api;
	const struct fn *body = fn->base ? fn->base : fn;
	const char *row = api_text(api, ".name = \"%s\", .class = %s", fn->name, desc_class(fn));
	const char *flags = desc_flags(api, fn);

	if (fn_crosses(body))
		row = api_text(api, "%s, .id = API_%s", row, body->name);
	if (fn->since)
		row = api_text(api, "%s, .since = %u", row, fn->since);
	if (*flags)
		row = api_text(api, "%s, .flags = %s", row, flags);
	if (fn->base)
		row = api_text(api, "%s, .base = \"%s\"", row, fn->base->name);
	if (body->charge)
		row = api_text(api, "%s, .charge = \"%s\"", row, body->charge);
	if (body->replay)
		row = api_text(api, "%s, .replay = \"%s\"", row, body->replay);
	if (body->order)
		row = api_text(api, "%s, .order = \"%s\"", row, body->order);
	out_line(out, "\t[FN_%s] = {%s},", fn->name, row);
}

void emit_api_desc_c(struct out *out)
{
	static const char *const search[] = {
	    "const struct api_desc *api_desc_by_id(uint32_t id)",
	    "{",
	    "\tsize_t low = 0, high = sizeof(by_id) / sizeof(by_id[0]);",
	    "",
	    "\twhile (low < high) {",
	    "\t\tsize_t middle = low + (high - low) / 2;",
	    "\t\tconst struct api_desc *desc = &api_desc[by_id[middle]];",
	    "\t\tif (desc->id == id)",
	    "\t\t\treturn desc;",
	    "\t\tif (desc->id < id)",
	    "\t\t\tlow = middle + 1;",
	    "\t\telse",
	    "\t\t\thigh = middle;",
	    "\t}",
	    "\treturn NULL;",
	    "}",
	};
	size_t n;
	struct fn **sorted = api_sorted(out->api, fn_crosses, fn_by_id, &n);

	out_begin(
	    out, "The rows of api_desc.h, and the functions that cross in the order of their ids.");
	out_line(out, "#include \"gen/api_desc.h\"");
	out_blank(out);
	out_line(out, "#include <stddef.h>");
	out_blank(out);
	out_line(out, "const struct api_desc api_desc[] = {");
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		desc_row(out, fn);
	out_line(out, "};");
	out_blank(out);
	out_line(out, "static const uint16_t by_id[] = {");
	for (size_t i = 0; i < n; i++)
		out_line(out, "\tFN_%s,", sorted[i]->name);
	out_line(out, "};");
	out_blank(out);
	out_lines(out, search, sizeof(search) / sizeof(search[0]));
}
