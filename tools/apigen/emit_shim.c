/*
 * The client's half. shim_remote.[ch]: remote_X() carries a call to the worker. shim_entries.c: the
 * exported X() checks its pointers and goes to remote_X(), or to shim_X() written by hand
 * (shim_custom.h), or answers NOT_SUPPORTED. A twin's entry calls its base's with stream 0 replaced
 * or a flag added.
 */
#include <string.h>

#include "emit.h"

static const char *remote_prototype(struct api *api, const struct fn *fn)
{
	return api_text(api, "CUresult remote_%s(%s)", fn->name,
	    text_wire_params(api, fn_wire(fn), fn->takes_flags ? "unsigned shim_flags" : NULL));
}

static bool remote_is_wanted(const struct fn *fn)
{
	return fn_crosses(fn) && !fn->direct;
}

void emit_shim_remote_h(struct out *out)
{
	out_begin(out,
	    "remote_X() carries a call of X to the worker: the parameters are those that cross.\n"
	    "\n"
	    "Functions of class async are posted: the result says that the call is on its way, or "
	    "which\n"
	    "error an earlier one left. New objects get their ids here and lose them when the "
	    "call\n"
	    "fails; ids of destroyed objects end when the call succeeds. A handle that is not "
	    "alive is\n"
	    "refused at once. shim_flags: 0 or SHIM_PTDS.");
	out_line(out, "#pragma once");
	out_blank(out);
	out_line(out, "#include \"abi/cuda.h\"");
	out_blank(out);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (remote_is_wanted(fn))
			out_line(out, "%s;", remote_prototype(out->api, fn));
}

static const struct param *remote_new(const struct fn *fn)
{
	for (struct param *p = fn_wire(fn); p; p = p->next)
		if (p->direction == DIR_NEW)
			return p;
	return NULL;
}

static bool remote_has_free(const struct fn *fn)
{
	for (struct param *p = fn_wire(fn); p; p = p->next)
		if (p->direction == DIR_FREE)
			return true;
	return false;
}

/*
 * Ordinals of devices are the program's in remote_X() and the worker's on the wire; they differ
 * when CUDA_VISIBLE_DEVICES hides some. Structs that hold one are turned in a copy.
 */
static bool remote_turns(const struct fn *fn, const struct param *p)
{
	return !fn_internal(fn) && (p->type->device || p->type->located);
}

static bool remote_turns_copy(const struct fn *fn, const struct param *p)
{
	return remote_turns(fn, p) && p->stars && param_is_sent(p);
}

/* Where the CUmemLocation lies in the struct. */
static const char *remote_location(struct api *api, const struct param *p)
{
	return *p->type->located ? api_text(api, "offsetof(%s, %s)", p->type_name, p->type->located)
				 : "0";
}

static const char *remote_turned(struct api *api, const struct param *p)
{
	if (!p->stars)
		return api_text(api, "shim_device_real(%s)", p->name);
	return api_text(api, "shim_located_real(%s, %s, sizeof(*%s), %s, %s_room, sizeof(%s_room))",
	    p->name, param_is_run(p) ? text_count(api, p, "") : "1", p->name,
	    remote_location(api, p), p->name, p->name);
}

static void remote_turn_back(struct out *out, const struct fn *fn, const char *indent)
{
	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!remote_turns(fn, p) || !param_crosses(p) || !param_is_one(p) ||
		    !param_is_returned(p))
			continue;
		out_line(out, "%sif (r == CUDA_SUCCESS%s%s)", indent, p->opt ? " && " : "",
		    p->opt ? p->name : "");
		if (p->type->device)
			out_line(
			    out, "%s\t*%s = shim_device_visible(*%s);", indent, p->name, p->name);
		else
			out_line(out, "%s\tshim_located_visible(%s, %s);", indent, p->name,
			    remote_location(out->api, p));
	}
}

static void remote_arguments(struct out *out, const struct fn *fn)
{
	const char *list = "";

	for (struct param *p = fn_wire(fn); p; p = p->next)
		if (param_crosses(p) && remote_turns_copy(fn, p))
			out_line(out, "\t_Alignas(16) char %s_room[SHIM_LOCATED_ROOM];", p->name);

	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!param_crosses(p))
			continue;
		const char *value =
		    p->direction == DIR_NEW ? api_text(out->api, "&%s_new", p->name) : p->name;
		if (remote_turns(fn, p) && (!p->stars || remote_turns_copy(fn, p)))
			value = remote_turned(out->api, p);
		list = text_join(out->api, list, api_text(out->api, ".%s = %s", p->name, value));
	}
	out_line(out, "\tstruct args_%s a = {%s};", fn->name, *list ? list : "0");
	out_line(out, "\tstruct shim_call call;");
}

static const char *known_condition(struct out *out, const struct known *known)
{
	if (known->kind == KNOWN_ALIGNED)
		return api_text(out->api, "%s %% %s == 0", known->address, known->factor[0]);
	if (known->kind == KNOWN_BELOW)
		return api_text(out->api, "%s < %s", known->address, known->factor[0]);
	return api_text(out->api, "place_is_known(%s, %s * %s)", known->address, known->factor[0],
	    known->factor[1]);
}

/* A copy from or to a wrong address is told of at once by CUDA: only what is sure to be right is
 * posted. */
static void remote_known(struct out *out, const struct fn *fn)
{
	const char *all = "";

	for (int i = 0; i < fn->n_known; i++)
		all = api_text(out->api, "%s%s%s", all, *all ? " &&\n\t    " : "",
		    known_condition(out, &fn->known[i]));
	if (*all)
		out_line(out, "\tunsigned how = %s ? SHIM_POST : SHIM_WAIT;", all);
}

static void remote_begin(struct out *out, const struct fn *fn)
{
	const char *wait = fn->n_known ? "how" : fn_waits(fn) ? "SHIM_WAIT" : "SHIM_POST";
	const char *flags = fn->takes_flags ? api_text(out->api, "%s | shim_flags", wait) : wait;
	const char *reply =
	    fn_has_outputs(fn) ? api_text(out->api, "wire_reply_size_%s(&a)", fn->name) : "0";

	remote_known(out, fn);
	out_line(out, "\tCUresult r = shim_call_begin(&call, API_%s, wire_size_%s(&a), %s, %s);",
	    fn->name, fn->name, flags, reply);
	out_blank(out);
}

static void remote_send(struct out *out, const struct fn *fn, const char *indent)
{
	out_line(out, "%swire_encode_%s(&call.writer, &a);", indent, fn->name);
	out_line(out, "%sr = shim_call_finish(&call);", indent);
	if (!fn_has_outputs(fn))
		return;
	out_line(out, "%sif (r == CUDA_SUCCESS)", indent);
	out_line(out, "%s\twire_decode_reply_%s(&call.reader, &a);", indent, fn->name);
	remote_turn_back(out, fn, indent);
}

/*
 * A posted call could not tell of a dead handle until later, though CUDA does at once: so it is
 * looked up here. What is no object cannot be destroyed either. Contexts are not looked up: primary
 * ones are known by number, alive or not.
 */
static bool remote_checks(const struct fn *fn, const struct param *p)
{
	return !fn_waits(fn) && !fn_internal(fn) && !p->stars && p->type->kind == TYPE_HANDLE &&
	       strcmp(p->type->handle, "CONTEXT");
}

static void remote_check(struct out *out, const struct fn *fn)
{
	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!remote_checks(fn, p))
			continue;
		const char *condition = "";
		for (int i = 0; p->direction != DIR_FREE && i < p->type->n_pass; i++)
			condition = api_text(out->api, "%s(uint64_t)%s != %llu && ", condition,
			    p->name, (unsigned long long)p->type->pass[i]);
		out_line(out, "\tif (%s!remote_alive((uint64_t)%s, HANDLE_%s))", condition, p->name,
		    p->type->handle);
		out_line(out, "\t\treturn remote_dead(HANDLE_%s);", p->type->handle);
	}
}

/* Ids end with their objects. */
static void remote_settle(struct out *out, const struct fn *fn, const struct param *new)
{
	if (new) {
		out_line(out, "\tif (r != CUDA_SUCCESS) {");
		out_line(out, "\t\tshim_handle_drop((uint64_t)%s_new);", new->name);
		out_line(out, "\t\treturn r;");
		out_line(out, "\t}");
		out_line(out, "\t*%s = %s_new;", new->name, new->name);
	}
	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (p->direction != DIR_FREE)
			continue;
		if (!new)
			out_line(out, "\tif (r == CUDA_SUCCESS)");
		out_line(out, "\t%sshim_handle_drop((uint64_t)%s);", new ? "" : "\t", p->name);
	}
	out_line(out, "\treturn r;");
}

static void remote_body(struct out *out, const struct fn *fn)
{
	const struct param *new = remote_new(fn);

	out_line(out, "%s", remote_prototype(out->api, fn));
	out_line(out, "{");
	remote_check(out, fn);
	if (new) {
		out_line(out, "\t%s %s_new = (%s)shim_handle_new(HANDLE_%s);", new->type_name,
		    new->name, new->type_name, new->type->handle);
		out_blank(out);
		out_line(out, "\tif (!%s_new)", new->name);
		out_line(out, "\t\treturn CUDA_ERROR_OUT_OF_MEMORY;");
	}
	remote_arguments(out, fn);
	remote_begin(out, fn);
	if (new || remote_has_free(fn)) {
		out_line(out, "\tif (r == CUDA_SUCCESS) {");
		remote_send(out, fn, "\t\t");
		out_line(out, "\t\tr = shim_call_end(&call, r);");
		out_line(out, "\t}");
		remote_settle(out, fn, new);
	} else {
		out_line(out, "\tif (r != CUDA_SUCCESS)");
		out_line(out, "\t\treturn r;");
		remote_send(out, fn, "\t");
		out_line(out, "\treturn shim_call_end(&call, r);");
	}
	out_line(out, "}");
	out_blank(out);
}

static const char *const remote_helpers[] = {
    "/* A kernel stands for a function, here as in CUDA. */",
    "static inline bool remote_alive(uint64_t id, enum handle_kind kind)",
    "{",
    "\treturn likely(shim_handle_alive(id, kind)) ||",
    "\t       (kind == HANDLE_FUNCTION && shim_handle_alive(id, HANDLE_KERNEL));",
    "}",
    "",
    "static inline CUresult remote_dead(enum handle_kind kind)",
    "{",
    "\tstatic const CUresult errors[] = {",
    "\t    [HANDLE_NONE] = CUDA_ERROR_INVALID_HANDLE,",
    "#define HANDLE_KIND(name, type, error) [HANDLE_##name] = error,",
    "\t    HANDLE_KINDS",
    "#undef HANDLE_KIND",
    "\t};",
    "",
    "\treturn errors[kind];",
    "}",
};

void emit_shim_remote_c(struct out *out)
{
	out_begin(out, "See shim_remote.h, and shim/call.h for how a call leaves the process.");
	out_line(out, "#include \"gen/shim_remote.h\"");
	out_blank(out);
	out_line(out, "#include \"gen/api_codec.h\"");
	out_line(out, "#include \"gen/api_ids.h\"");
	out_line(out, "#include \"shim/call.h\"");
	out_line(out, "#include \"shim/place.h\"");
	out_blank(out);
	out_lines(out, remote_helpers, sizeof(remote_helpers) / sizeof(remote_helpers[0]));
	out_blank(out);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (remote_is_wanted(fn))
			remote_body(out, fn);
}

static bool entry_is_custom(const struct fn *fn)
{
	return !fn->alias && !fn_internal(fn) && (fn->class == CLASS_LOCAL || fn->custom_shim);
}

void emit_shim_custom_h(struct out *out)
{
	out_begin(out, "shim_X(): the client's halves written by hand, of functions of class local "
		       "and of those\n"
		       "marked custom(shim). The generated entry has checked that pointers which "
		       "may not be NULL\n"
		       "are not. shim_flags is there for functions with a twin for the per-thread "
		       "default stream:\n"
		       "0, or SHIM_PTDS when the twin was called; pass it on to remote_X().\n"
		       "\n"
		       "shim_nosup() logs the function once and returns CUDA_ERROR_NOT_SUPPORTED.");
	out_line(out, "#pragma once");
	out_blank(out);
	out_line(out, "#include \"abi/cuda.h\"");
	out_line(out, "#include \"gen/api_ids.h\"");
	out_blank(out);
	out_line(out, "CUresult shim_nosup(enum api_fn fn);");
	out_blank(out);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (entry_is_custom(fn))
			out_line(out, "CUresult shim_%s(%s);", fn->name,
			    text_params(out->api, fn->params,
				fn->takes_flags ? "unsigned shim_flags" : NULL));
}

/* The call an entry makes, in the names of its base's parameters. */
static const char *entry_call(struct api *api, const struct fn *fn)
{
	const struct fn *body = fn->base ? fn->base : fn;
	bool mapped = fn->twin == TWIN_PTSZ && fn_stream(body);
	bool custom = entry_is_custom(body);
	const char *list = "";

	for (struct param *p = body->params; p; p = p->next) {
		const char *value =
		    mapped && param_is_stream(p)
			? api_text(api, "%s ? %s : CU_STREAM_PER_THREAD", p->name, p->name)
			: p->name;
		if (custom || param_crosses(p))
			list = text_join(api, list, value);
	}
	if (body->takes_flags)
		list = text_join(api, list, fn->twin && !mapped ? "SHIM_PTDS" : "0");
	return api_text(api, "%s_%s(%s)", custom ? "shim" : "remote", body->name, list);
}

/* A call of fn's half in this process, arguments as given. */
static const char *entry_direct(struct api *api, const struct fn *fn, const char *list)
{
	if (fn->takes_flags)
		list = text_join(api, list, "0");
	return api_text(api, "%s_%s(%s)", entry_is_custom(fn) ? "shim" : "remote", fn->name, list);
}

static void entry_narrow(struct out *out, const struct fn *fn)
{
	out_line(out, "%s", text_prototype(out->api, fn));
	out_line(out, "{");
	out_line(out, "\tSHIM_ENTER(FN_%s);", fn->name);
	out_narrow(out, fn, "shim_enter_narrow()", entry_direct);
	out_line(out, "\tSHIM_LEAVE(FN_%s, r);", fn->name);
	out_line(out, "\treturn r;");
	out_line(out, "}");
	out_blank(out);
}

/* Whether a context is missing that fn asks for before anything else; "" when it does not ask. A
 * stream that the program made has its own. */
static const char *entry_lacks_context(struct api *api, const struct fn *fn)
{
	const struct fn *body = fn->base ? fn->base : fn;

	if (!body->context)
		return "";
	for (struct param *p = fn->params; p; p = p->next)
		if (param_is_stream(p))
			return api_text(api, "shim_lacks_context(%s)", p->name);
	return "shim_lacks_context(NULL)";
}

/* What an entry asks before it makes the call, in this order. */
struct questions {
	const char *lacks; /* whether the context is missing; "": not asked */
	const char *first; /* whether the handle that comes first is NULL; "": none does */
	const char *error; /* that it is */
	const char *check; /* whether the pointers are there; "": all may be NULL */
};

static void entry_checked(struct out *out, const struct questions *ask, const char *call)
{
	const char *or = "";

	out_line(out, "\tCUresult r = CUDA_ERROR_INVALID_VALUE;");
	if (*ask->lacks) {
		out_line(out, "\tif (unlikely(%s))", ask->lacks);
		out_line(out, "\t\tr = CUDA_ERROR_INVALID_CONTEXT;");
		or = "else ";
	}
	if (*ask->first) {
		out_line(out, "\t%sif (unlikely(%s))", or, ask->first);
		out_line(out, "\t\tr = %s;", ask->error);
		or = "else ";
	}
	if (*ask->check)
		out_line(out, "\t%sif (likely(%s))", or, ask->check);
	else
		out_line(out, "\telse");
	out_line(out, "\t\tr = %s;", call);
}

static void entry_body(struct out *out, const struct fn *fn)
{
	struct questions ask = {
	    .lacks = entry_lacks_context(out->api, fn), .check = text_check(out->api, fn)};

	ask.first = text_first(out->api, fn, &ask.error);

	out_line(out, "%s", text_prototype(out->api, fn));
	out_line(out, "{");
	out_line(out, "\tSHIM_ENTER%s(FN_%s);", fn->early ? "_EARLY" : "", fn->name);
	if (!fn_live(fn)) {
		out_line(out, "\tCUresult r = shim_nosup(FN_%s);", fn->name);
	} else if (*ask.lacks || *ask.first || *ask.check) {
		entry_checked(out, &ask, entry_call(out->api, fn));
	} else {
		out_line(out, "\tCUresult r = %s;", entry_call(out->api, fn));
	}
	out_line(out, "\tSHIM_LEAVE(FN_%s, r);", fn->name);
	out_line(out, "\treturn r;");
	out_line(out, "}");
	out_blank(out);
}

void emit_shim_entries_c(struct out *out)
{
	out_begin(out,
	    "The functions libcuda.so.1 exports. SHIM_ENTER() (shim/entry.h) may return an error "
	    "from\n"
	    "the function: the process is not initialised, or its session is gone; "
	    "SHIM_ENTER_EARLY()\n"
	    "stands in those that may be called before cuInit. SHIM_LEAVE() counts and traces.");
	out_line(out, "#include \"abi/narrow.h\"");
	out_line(out, "#include \"base/util.h\"");
	out_line(out, "#include \"gen/api_ids.h\"");
	out_line(out, "#include \"gen/cuda_api.h\"");
	out_line(out, "#include \"gen/shim_custom.h\"");
	out_line(out, "#include \"gen/shim_remote.h\"");
	out_line(out, "#include \"shim/call.h\"");
	out_line(out, "#include \"shim/entry.h\"");
	out_blank(out);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (fn->twin == TWIN_NARROW)
			entry_narrow(out, fn);
		else if (!fn_internal(fn))
			entry_body(out, fn);
}
