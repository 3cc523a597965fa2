/*
 * The server's half. worker_serve.c: one serve_X() per function that crosses, between the record
 * and the backend. backend.[ch]: the backend's functions as one struct of pointers.
 * backend_timed.c: the same with a stopwatch.
 */
#include <string.h>

#include "emit.h"

static bool serve_is_handle(const struct param *p)
{
	return param_crosses(p) && p->type->kind == TYPE_HANDLE;
}

/* The backend's handle for an id, as a C expression. */
static const char *serve_handle(struct api *api, const struct type *type, const char *id)
{
	if (!strcmp(type->handle, "STREAM"))
		return api_text(api, "call_stream(call, (uint64_t)%s)", id);
	if (type->n_pass)
		return api_text(
		    api, "(%s)handle_%s(call, (uint64_t)%s)", type->name, type->name, id);
	return api_text(
	    api, "(%s)call_handle(call, HANDLE_%s, (uint64_t)%s)", type->name, type->handle, id);
}

/* Values that stand for themselves: special handles that name no object. */
static void serve_pass_helper(struct out *out, const struct type *type)
{
	const char *list = "";

	for (int i = 0; i < type->n_pass; i++) {
		const char *one =
		    api_text(out->api, "id == %llu", (unsigned long long)type->pass[i]);
		list = *list ? api_text(out->api, "%s || %s", list, one) : one;
	}
	out_line(
	    out, "static inline uint64_t handle_%s(struct call *call, uint64_t id)", type->name);
	out_line(out, "{");
	out_line(out, "\treturn %s ? id : call_handle(call, HANDLE_%s, id);", list, type->handle);
	out_line(out, "}");
	out_blank(out);
}

/* Ids that are needed after the call, when their places hold the backend's handles. */
static void serve_keep_ids(struct out *out, const struct fn *fn)
{
	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (p->direction == DIR_FREE)
			out_line(out, "\tuint64_t %s_id = (uint64_t)a.%s;", p->name, p->name);
		if (p->direction != DIR_NEW)
			continue;
		out_line(out, "\tuint64_t %s_id = (uint64_t)*a.%s;", p->name, p->name);
		out_line(out, "\t*a.%s = (%s)0;", p->name, p->type_name);
	}
}

static const char *serve_length(struct api *api, const struct param *p)
{
	const char *count = text_count(api, p, "a.");

	return param_has_room(p) ? api_text(api, "codec_min(%s, a.%s_room)", count, p->name)
				 : count;
}

static void serve_translate_run(struct out *out, const struct param *p)
{
	const char *item = api_text(out->api, "a.%s[i]", p->name);
	const char *place =
	    p->is_const ? api_text(out->api, "((%s *)a.%s)[i]", p->type_name, p->name) : item;

	out_line(out, "\tfor (size_t i = 0, n = %s%s; i < n; i++)",
	    p->opt ? api_text(out->api, "!a.%s ? 0 : ", p->name) : "", serve_length(out->api, p));
	out_line(out, "\t\t%s = %s;", place, serve_handle(out->api, p->type, item));
}

/* Client ids become the backend's handles, in place: decoded handles are copies. */
static bool serve_translate_inputs(struct out *out, const struct fn *fn)
{
	bool any = false;

	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!serve_is_handle(p) || p->direction == DIR_OUT || p->direction == DIR_NEW)
			continue;
		any = true;
		if (param_is_run(p)) {
			serve_translate_run(out, p);
			continue;
		}
		const char *item = api_text(out->api, "%sa.%s", p->stars ? "*" : "", p->name);
		const char *place = p->is_const && p->stars
					? api_text(out->api, "*(%s *)a.%s", p->type_name, p->name)
					: item;
		if (p->opt)
			out_line(out, "\tif (a.%s)", p->name);
		out_line(out, "%s%s = %s;", p->opt ? "\t\t" : "\t", place,
		    serve_handle(out->api, p->type, item));
	}
	return any;
}

/* Whether serve_X() has work to do after the call. */
static bool serve_goes_on(const struct fn *fn)
{
	for (struct param *p = fn_wire(fn); p; p = p->next)
		if (p->direction == DIR_NEW || p->direction == DIR_FREE)
			return true;
	return fn_has_outputs(fn);
}

static void serve_call(struct out *out, const struct fn *fn)
{
	const char *result = serve_goes_on(fn) ? "CUresult r =" : "return";

	if (fn->custom_server)
		out_line(out, "\t%s worker_%s(call, &a);", result, fn->name);
	else
		out_line(out, "\t%s call->backend->%s(%s);", result, fn->name,
		    text_names(out->api, fn->params, "a."));
}

/* New objects enter the table, dead ones leave it. */
static void serve_settle(struct out *out, const struct fn *fn)
{
	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (p->direction == DIR_FREE)
			out_line(out, "\tcall_forget(call, HANDLE_%s, %s_id);", p->type->handle,
			    p->name);
		if (p->direction != DIR_NEW)
			continue;
		out_line(out, "\tr = call_adopt(call, HANDLE_%s, %s_id, (uint64_t)*a.%s);",
		    p->type->handle, p->name, p->name);
		out_line(out, "\tif (r != CUDA_SUCCESS)");
		out_line(out, "\t\treturn r;");
	}
}

/* The backend's handles among the outputs become ids. */
static bool serve_translate_outputs(struct out *out, const struct fn *fn)
{
	bool any = false;

	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!serve_is_handle(p) || !param_is_returned(p))
			continue;
		any = true;
		const char *item =
		    api_text(out->api, param_is_run(p) ? "a.%s[i]" : "*a.%s", p->name);
		if (param_is_run(p))
			out_line(out, "\tfor (size_t i = 0, n = %s%s; i < n; i++)",
			    p->opt ? api_text(out->api, "!a.%s ? 0 : ", p->name) : "",
			    serve_length(out->api, p));
		else if (p->opt)
			out_line(out, "\tif (a.%s)", p->name);
		out_line(out, "%s%s = (%s)call_id_of(call, HANDLE_%s, (uint64_t)%s);",
		    param_is_run(p) || p->opt ? "\t\t" : "\t", item, p->type_name, p->type->handle,
		    item);
	}
	return any;
}

static void serve_error_check(struct out *out)
{
	out_line(out, "\tif (call->error != CUDA_SUCCESS)");
	out_line(out, "\t\treturn call->error;");
}

static void serve_body(struct out *out, const struct fn *fn)
{
	out_line(out, "static CUresult serve_%s(struct call *call)", fn->name);
	out_line(out, "{");
	out_line(out, "\tstruct args_%s a;", fn->name);
	out_blank(out);
	out_line(out, "\tif (!wire_decode_%s(&call->reader, call->pool, &a))", fn->name);
	out_line(out, "\t\treturn CALL_MALFORMED;");
	serve_keep_ids(out, fn);
	if (serve_translate_inputs(out, fn))
		serve_error_check(out);
	serve_call(out, fn);
	if (serve_goes_on(fn)) {
		out_line(out, "\tif (r != CUDA_SUCCESS)");
		out_line(out, "\t\treturn r;");
		serve_settle(out, fn);
		if (serve_translate_outputs(out, fn))
			serve_error_check(out);
		if (fn_has_outputs(fn))
			out_line(out, "\twire_encode_reply_%s(&call->writer, &a);", fn->name);
		out_line(out, "\treturn CUDA_SUCCESS;");
	}
	out_line(out, "}");
	out_blank(out);
}

void emit_worker_serve_c(struct out *out)
{
	size_t n;
	struct fn **sorted = api_sorted(out->api, fn_crosses, fn_by_id, &n);

	out_begin(out,
	    "One serve_X() per function that crosses (worker/call.h says how and where they run),\n"
	    "and the table the dispatcher searches by id.");
	out_line(out, "#include \"api/codec.h\"");
	out_line(out, "#include \"base/util.h\"");
	out_line(out, "#include \"gen/api_codec.h\"");
	out_line(out, "#include \"gen/api_ids.h\"");
	out_line(out, "#include \"gen/backend.h\"");
	out_line(out, "#include \"gen/worker_custom.h\"");
	out_line(out, "#include \"worker/call.h\"");
	out_blank(out);
	for (struct type *type = out->api->types; type; type = type->next)
		if (type->n_pass && strcmp(type->handle, "STREAM") != 0)
			serve_pass_helper(out, type);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (fn_crosses(fn))
			serve_body(out, fn);
	out_line(out, "const struct worker_entry worker_entries[] = {");
	for (size_t i = 0; i < n; i++)
		out_line(out, "\t{API_%s, serve_%s, %s},", sorted[i]->name, sorted[i]->name,
		    sorted[i]->blocks ? "true" : "false");
	out_line(out, "};");
	out_line(out, "const size_t worker_n_entries = ARRAY_SIZE(worker_entries);");
}

void emit_worker_custom_h(struct out *out)
{
	out_begin(out, "worker_X(): the server's halves written by hand, in the place of the "
		       "backend's function.\n"
		       "They get what serve_X() decoded: ids are translated, outputs have memory "
		       "from the call's\n"
		       "pool. New objects are adopted and freed ones forgotten by serve_X() when "
		       "they succeed.");
	out_line(out, "#pragma once");
	out_blank(out);
	out_line(out, "#include \"gen/api_args.h\"");
	out_line(out, "#include \"worker/call.h\"");
	out_blank(out);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (fn_crosses(fn) && fn->custom_server)
			out_line(out, "CUresult worker_%s(struct call *call, struct args_%s *a);",
			    fn->name, fn->name);
}

static bool backend_has(const struct fn *fn)
{
	return !fn->alias && !fn_internal(fn) && fn_live(fn);
}

void emit_backend_h(struct out *out)
{
	out_begin(out, "A backend: any library with the CUDA driver's interface, as one struct of "
		       "its functions.\n"
		       "No member is NULL: where the library lacks a function stands one that logs "
		       "its name once\n"
		       "and returns CUDA_ERROR_NOT_SUPPORTED.");
	out_line(out, "#pragma once");
	out_blank(out);
	out_line(out, "#include <stddef.h>");
	out_line(out, "#include <stdint.h>");
	out_blank(out);
	out_line(out, "#include \"abi/cuda.h\"");
	out_blank(out);
	out_line(out, "struct backend {");
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (backend_has(fn))
			out_line(out, "\tCUresult (*%s)(%s);", fn->name,
			    text_params(out->api, fn->params, NULL));
	out_line(out, "};");
	out_blank(out);
	out_line(out, "/* library is dlopen()'s. Returns how many functions it lacks. */");
	out_line(out, "size_t backend_load(struct backend *backend, void *library);");
	out_blank(out);
	out_line(out,
	    "/* From here on calls through backend, one of the process, count into backend_ns. */");
	out_line(out, "void backend_time(struct backend *backend);");
	out_line(out, "/* Nanoseconds the calling thread has spent in the timed backend. */");
	out_line(out, "extern _Thread_local uint64_t backend_ns;");
}

static void emit_timed(struct out *out, const struct fn *fn)
{
	out_line(
	    out, "static CUresult timed_%s(%s)", fn->name, text_params(out->api, fn->params, NULL));
	out_line(out, "{");
	out_line(out, "\tuint64_t timed_start = clock_now_ns();");
	out_line(out, "\tCUresult timed_result = real.%s(%s);", fn->name,
	    text_names(out->api, fn->params, ""));
	out_line(out, "\tbackend_ns += clock_now_ns() - timed_start;");
	out_line(out, "\treturn timed_result;");
	out_line(out, "}");
	out_blank(out);
}

void emit_backend_timed_c(struct out *out)
{
	out_begin(out,
	    "See backend.h. Every function of the backend again, around which the time is "
	    "taken. Who does\n"
	    "not measure calls the real ones.");
	out_line(out, "#include \"gen/backend.h\"");
	out_blank(out);
	out_line(out, "#include \"base/clock.h\"");
	out_blank(out);
	out_line(out, "_Thread_local uint64_t backend_ns;");
	out_line(out, "static struct backend real;");
	out_blank(out);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (backend_has(fn))
			emit_timed(out, fn);
	out_line(out, "void backend_time(struct backend *backend)");
	out_line(out, "{");
	out_line(out, "\treal = *backend;");
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (backend_has(fn))
			out_line(out, "\tbackend->%s = timed_%s;", fn->name, fn->name);
	out_line(out, "}");
}

void emit_backend_c(struct out *out)
{
	static const char *const load[] = {
	    "size_t backend_load(struct backend *backend, void *library)",
	    "{",
	    "\tsize_t n_missing = 0;",
	    "",
	    "\tfor (size_t i = 0; i < ARRAY_SIZE(functions); i++) {",
	    "\t\tvoid *found = dlsym(library, functions[i].name);",
	    "\t\tn_missing += !found;",
	    "\t\tmemcpy((char *)backend + functions[i].offset,",
	    "\t\t    found ? (void *)&found : (void *)&functions[i].missing, sizeof(found));",
	    "\t}",
	    "\treturn n_missing;",
	    "}",
	};

	out_begin(out, "See backend.h. Loading is one walk over a table of names and members.");
	out_line(out, "#include \"gen/backend.h\"");
	out_blank(out);
	out_line(out, "#include <dlfcn.h>");
	out_line(out, "#include <string.h>");
	out_blank(out);
	out_line(out, "#include \"base/log.h\"");
	out_line(out, "#include \"base/util.h\"");
	out_blank(out);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next) {
		if (!backend_has(fn))
			continue;
		out_line(out, "static CUresult missing_%s(%s)", fn->name,
		    text_params(out->api, fn->params, NULL));
		out_line(out, "{");
		out_line(
		    out, "\tlog_warn_once(\"the GPU driver of this server has no %s\");", fn->name);
		out_line(out, "\treturn CUDA_ERROR_NOT_SUPPORTED;");
		out_line(out, "}");
		out_blank(out);
	}
	out_line(out, "#define FUNCTION(name) {#name, offsetof(struct backend, name), (void "
		      "(*)(void))missing_##name}");
	out_line(out, "static const struct {");
	out_line(out, "\tconst char *name;");
	out_line(out, "\tsize_t offset;");
	out_line(out, "\tvoid (*missing)(void);");
	out_line(out, "} functions[] = {");
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (backend_has(fn))
			out_line(out, "\tFUNCTION(%s),", fn->name);
	out_line(out, "};");
	out_line(out, "#undef FUNCTION");
	out_blank(out);
	out_lines(out, load, sizeof(load) / sizeof(load[0]));
}
