/*
 * What the two libraries export (linker maps) and what cuGetProcAddress of each finds (proc
 * tables); the software GPU's answers for what it does not have.
 */
#include <string.h>

#include "emit.h"

static bool table_exported(const struct fn *fn)
{
	return !fn_internal(fn);
}

static bool table_softgpu(const struct fn *fn)
{
	return fn->softgpu;
}

static int by_name(const void *left, const void *right)
{
	return strcmp((*(struct fn *const *)left)->name, (*(struct fn *const *)right)->name);
}

/* The order of abi/proc.h: base, variant, version. */
static int by_proc(const void *left, const void *right)
{
	const struct fn *a = *(struct fn *const *)left, *b = *(struct fn *const *)right;
	int order = strcmp(a->proc_base, b->proc_base);

	if (!order)
		order = strcmp(a->proc_variant, b->proc_variant);
	return order ? order
		     : (a->proc_version > b->proc_version) - (a->proc_version < b->proc_version);
}

/* more: a name beside the functions. */
static void table_map(struct out *out, const char *more)
{
	size_t n;
	struct fn **sorted = api_sorted(out->api, table_exported, by_name, &n);

	out_begin(out, "The exported names; everything else stays inside.");
	out_line(out, "{");
	out_line(out, "global:");
	for (size_t i = 0; i < n; i++)
		out_line(out, "\t%s;", sorted[i]->name);
	out_line(out, "\t%s;", more);
	out_line(out, "local:");
	out_line(out, "\t*;");
	out_line(out, "};");
}

/* The marker tells a worker that it was given the tenant's library for a GPU driver. */
void emit_libcuda_map(struct out *out)
{
	table_map(out, "rosen_shim_marker");
}

/* What a worker asks beside: softgpu/driver/memory.h. */
void emit_softgpu_map(struct out *out)
{
	table_map(out, "rosen_softgpu_memory");
}

static void table_proc_header(struct out *out, const char *library)
{
	out_begin(out, "The rows of this library's abi_proc_table (abi/proc.h).");
	out_line(out, "#pragma once");
	out_blank(out);
	out_line(out, "#include \"abi/proc.h\"");
	out_blank(out);
	out_line(out, "extern const struct abi_proc %s_procs[];", library);
	out_line(out, "extern const size_t %s_n_procs;", library);
}

static void table_proc(struct out *out, const char *library, bool (*wanted)(const struct fn *))
{
	size_t n;
	struct fn **sorted = api_sorted(out->api, wanted, by_proc, &n);

	out_begin(out, "See abi/proc.h. Sorted by base, variant, version.");
	out_line(out, "#include \"gen/%s_proc.h\"", library);
	out_blank(out);
	out_line(out, "#include \"base/util.h\"");
	out_line(out, "#include \"gen/cuda_api.h\"");
	out_blank(out);
	out_line(out, "const struct abi_proc %s_procs[] = {", library);
	for (size_t i = 0; i < n; i++)
		out_line(out, "\t{\"%s\", \"%s\", %u, \"%s\", (void *)%s},", sorted[i]->proc_base,
		    sorted[i]->proc_variant, sorted[i]->proc_version, sorted[i]->name,
		    sorted[i]->name);
	out_line(out, "};");
	out_line(out, "const size_t %s_n_procs = ARRAY_SIZE(%s_procs);", library, library);
}

void emit_shim_proc_h(struct out *out)
{
	table_proc_header(out, "shim");
}

void emit_shim_proc_c(struct out *out)
{
	table_proc(out, "shim", table_exported);
}

void emit_softgpu_proc_h(struct out *out)
{
	table_proc_header(out, "softgpu");
}

void emit_softgpu_proc_c(struct out *out)
{
	table_proc(out, "softgpu", table_softgpu);
}

void emit_softgpu_stubs_c(struct out *out)
{
	out_begin(out,
	    "The functions that api/softgpu.live does not name: exported, because programs look\n"
	    "for them, and not supported.");
	out_line(out, "#include \"base/log.h\"");
	out_line(out, "#include \"gen/cuda_api.h\"");
	out_blank(out);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next) {
		if (fn->softgpu || fn_internal(fn))
			continue;
		out_line(out, "%s", text_prototype(out->api, fn));
		out_line(out, "{");
		out_line(
		    out, "\tlog_warn_once(\"the software GPU does not support %s\");", fn->name);
		out_line(out, "\treturn CUDA_ERROR_NOT_SUPPORTED;");
		out_line(out, "}");
		out_blank(out);
	}
}

static const char *narrow_call(struct api *api, const struct fn *fn, const char *list)
{
	return api_text(api, "%s(%s)", fn->name, list);
}

void emit_softgpu_narrow_c(struct out *out)
{
	out_begin(out, "The software GPU's narrow forms: functions as they were before CUDA 3.2.");
	out_line(out, "#include \"abi/narrow.h\"");
	out_line(out, "#include \"base/util.h\"");
	out_line(out, "#include \"gen/cuda_api.h\"");
	out_line(out, "#include \"softgpu/driver/context.h\"");
	out_blank(out);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next) {
		if (!fn->softgpu || fn->twin != TWIN_NARROW)
			continue;
		out_line(out, "%s", text_prototype(out->api, fn));
		out_line(out, "{");
		out_narrow(out, fn, "sg_enter_narrow()", narrow_call);
		out_line(out, "\treturn r;");
		out_line(out, "}");
		out_blank(out);
	}
}

/* coverage.json, coverage.md: one row per exported function, internal ones left out. */
struct coverage {
	size_t total, live, sync, async, local, nosup;
};

static struct coverage coverage_count(const struct api *api)
{
	struct coverage c = {.total = api->n_exported};

	for (struct fn *fn = api->fns; fn; fn = fn->next) {
		c.sync += fn->class == CLASS_SYNC;
		c.async += fn->class == CLASS_ASYNC;
		c.local += fn->class == CLASS_LOCAL;
		c.nosup += fn->class == CLASS_NOSUP;
	}
	c.live = c.total - c.nosup;
	return c;
}

static const char *coverage_custom(const struct fn *fn)
{
	const struct fn *body = fn->base ? fn->base : fn;

	if (body->custom_shim && body->custom_server)
		return "shim, server";
	return body->custom_shim || body->class == CLASS_LOCAL ? "shim"
	       : body->custom_server			       ? "server"
							       : "";
}

/* Every exported function has a test of its entry, those that cross one of their records too. */
static const char *coverage_tests(const struct fn *fn)
{
	return fn_crosses(fn->base ? fn->base : fn) ? "entry, codec" : "entry";
}

void emit_coverage_json(struct out *out)
{
	struct coverage c = coverage_count(out->api);
	size_t i = 0;

	fprintf(out->file,
	    "{\n\t\"total\": %zu,\n\t\"live\": %zu,\n\t\"sync\": %zu,\n\t\"async\": %zu,\n"
	    "\t\"local\": %zu,\n\t\"nosup\": %zu,\n\t\"functions\": [\n",
	    c.total, c.live, c.sync, c.async, c.local, c.nosup);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next) {
		if (fn_internal(fn))
			continue;
		fprintf(out->file,
		    "\t\t{\"name\": \"%s\", \"class\": \"%s\", \"since\": %u, \"custom\": \"%s\", "
		    "\"test\": \"%s\"}%s\n",
		    fn->name, fn_class_name(fn), fn->since, coverage_custom(fn), coverage_tests(fn),
		    ++i < c.total ? "," : "");
	}
	fputs("\t]\n}\n", out->file);
}

void emit_coverage_md(struct out *out)
{
	struct coverage c = coverage_count(out->api);

	fprintf(out->file,
	    "# Coverage of the CUDA driver API\n\n"
	    "%zu functions, %zu live: %zu sync, %zu async, %zu local; %zu not supported.\n\n"
	    "| Function | Class | Since | By hand | Generated tests |\n|---|---|---|---|---|\n",
	    c.total, c.live, c.sync, c.async, c.local, c.nosup);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (!fn_internal(fn))
			fprintf(out->file, "| %s | %s | %u.%u | %s | %s |\n", fn->name,
			    fn_class_name(fn), fn->since / 1000, fn->since % 1000 / 10,
			    coverage_custom(fn), coverage_tests(fn));
}

/* calls.h: a row per exported function, with what a program passes. */
void emit_calls_h(struct out *out)
{
	out_begin(out,
	    "What a program may call: CALL(name, its parameters as text), to be included "
	    "where CALL() is defined.");
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (!fn_internal(fn))
			fprintf(out->file, "CALL(%s, \"%s\")\n", fn->name,
			    text_params(out->api, fn->params, NULL));
}
