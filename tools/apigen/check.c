/*
 * What a syntactically right interface must also satisfy. Every rule that fails is one message at
 * the line of the definition that breaks it; checking goes on, so that one run names them all.
 * Along the way names are resolved: types, lengths, aliases, cuGetProcAddress rows.
 */
#include <ctype.h>
#include <string.h>

#include "apigen.h"

/* Names that generated functions use for themselves. */
static const char *const reserved[] = {"a", "r", "call", "shim_flags"};

static void check_types(struct api *api)
{
	for (struct type *type = api->types; type; type = type->next)
		if (api_find_type(api, type->name) != type)
			api_error(api, type->place, "type \"%s\" is defined twice", type->name);
}

static bool check_is_length(const struct param *p, const struct term *term)
{
	return p->type->kind == TYPE_INTEGER && p->stars == term->pointed;
}

/* A length's factors are integer parameters that the server knows before it decodes the run. */
static void check_length(struct api *api, struct param *all, struct param *p)
{
	for (int i = 0; i < p->length.n_terms; i++) {
		struct term *term = &p->length.terms[i];
		if (!term->name)
			continue;
		for (term->param = all; term->param; term->param = term->param->next)
			if (!strcmp(term->param->name, term->name))
				break;
		if (!term->param)
			api_error(api, p->place, "the length of \"%s\" names no parameter: \"%s\"",
			    p->name, term->name);
		else if (term->param->type && !check_is_length(term->param, term))
			api_error(api, p->place, "the length of \"%s\": \"%s%s\" is not an integer",
			    p->name, term->pointed ? "*" : "", term->name);
		else if (term->pointed && term->param->direction == DIR_OUT)
			api_error(api, p->place,
			    "the length of \"%s\": \"%s\" is only an output; say inout", p->name,
			    term->name);
		else
			term->param->is_length = true;
	}
}

static void check_shape(struct api *api, struct param *p)
{
	if (p->shape == SHAPE_ONE) {
		if (p->type->kind == TYPE_VOID)
			api_error(api, p->place, "\"%s\" points to void: say bytes(n)", p->name);
		return;
	}
	if (p->shape == SHAPE_BLOB)
		api_error(
		    api, p->place, "\"%s\" is a blob: the function needs a wire line", p->name);
	if (p->shape == SHAPE_ARRAY && p->type->kind == TYPE_VOID)
		api_error(api, p->place, "\"%s\" points to void: say bytes(n)", p->name);
	if (p->shape == SHAPE_CSTR && strcmp(p->type_name, "char"))
		api_error(api, p->place, "\"%s\" is a cstr but not of char", p->name);
	if (p->shape == SHAPE_CSTR && p->direction == DIR_IN && p->length.n_terms)
		api_error(api, p->place, "\"%s\" is an input: its cstr has no length", p->name);
	if (p->shape == SHAPE_CSTR && p->direction != DIR_IN && !p->length.n_terms)
		api_error(api, p->place, "\"%s\" is an output: say cstr(n)", p->name);
	if (p->direction == DIR_NEW)
		api_error(
		    api, p->place, "\"%s\" makes several objects: only one can be new", p->name);
}

/* Minting in the client is one id a call, always. */
static void check_new(struct api *api, struct param *all, struct param *p)
{
	if (p->opt)
		api_error(api, p->place, "\"%s\" is new and cannot be opt", p->name);
	for (struct param *other = all; other != p; other = other->next)
		if (other->direction == DIR_NEW)
			api_error(api, p->place, "\"%s\" is a second new object", p->name);
}

/* One parameter of a record. */
static void check_crossing(struct api *api, struct fn *fn, struct param *p)
{
	if (p->late) {
		if (!fn->custom_shim || !fn->custom_server || p->direction != DIR_OUT)
			api_error(api, p->place,
			    "\"%s\" is late: only an output of a custom(shim, server) function can "
			    "be",
			    p->name);
		return;
	}
	if (p->type->kind == TYPE_OPAQUE)
		api_error(api, p->place, "\"%s\" is of an opaque type and cannot cross", p->name);
	if (!p->stars) {
		if (p->direction && p->direction != DIR_FREE)
			api_error(
			    api, p->place, "\"%s\" has a direction but is no pointer", p->name);
		if (p->direction == DIR_FREE && p->type->kind != TYPE_HANDLE)
			api_error(api, p->place, "\"%s\" is freed but is no handle", p->name);
		if (p->opt || p->shape != SHAPE_ONE || p->type->kind == TYPE_VOID)
			api_error(api, p->place, "\"%s\" is no pointer", p->name);
		return;
	}
	if (!p->direction)
		api_error(api, p->place, "\"%s\" is a pointer without a direction", p->name);
	if (p->stars > 1 && p->shape != SHAPE_BYTES)
		api_error(api, p->place, "\"%s\" points to pointers and cannot cross", p->name);
	if (p->direction == DIR_FREE)
		api_error(
		    api, p->place, "\"%s\" is freed: pass the handle, not a pointer", p->name);
	if (p->direction == DIR_NEW && p->type->kind != TYPE_HANDLE)
		api_error(api, p->place, "\"%s\" is new but is no handle", p->name);
	if (p->is_const && p->direction != DIR_IN && p->direction)
		api_error(api, p->place, "\"%s\" is const but written to", p->name);
	check_shape(api, p);
	if (!fn_waits(fn) && param_is_returned(p))
		api_error(
		    api, p->place, "\"%s\" is an output of a function that does not wait", p->name);
}

static void check_params(struct api *api, struct fn *fn, struct param *all, bool crossing)
{
	for (struct param *p = all; p; p = p->next) {
		p->type = api_find_type(api, p->type_name);
		if (!p->type)
			api_error(api, p->place, "type \"%s\" is not declared", p->type_name);
		for (struct param *other = all; other != p; other = other->next)
			if (!strcmp(other->name, p->name))
				api_error(api, p->place, "\"%s\" is named twice", p->name);
		for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
			if (!strcmp(reserved[i], p->name))
				api_error(
				    api, p->place, "generated code uses the name \"%s\"", p->name);
	}
	for (struct param *p = all; p; p = p->next) {
		if (!p->type)
			continue;
		if (crossing)
			check_crossing(api, fn, p);
		if (p->direction == DIR_NEW)
			check_new(api, all, p);
		if (p->shape != SHAPE_BLOB)
			check_length(api, all, p);
	}
}

static void check_name(struct api *api, struct fn *fn)
{
	struct fn *first = api_find(api, fn->name);

	if (first != fn)
		api_error(api, fn->place, "function \"%s\" is defined twice, first at %s:%d",
		    fn->name, first->place.file, first->place.line);
	if (strncmp(fn->name, fn_internal(fn) ? "rosen" : "cu", fn_internal(fn) ? 5 : 2))
		api_error(api, fn->place, "\"%s\" should begin with \"%s\"", fn->name,
		    fn_internal(fn) ? "rosen" : "cu");
	if (!fn_internal(fn) && (fn->since < 2000 || fn->since > 99990 || fn->since % 10))
		api_error(api, fn->place,
		    "\"%s\" needs the CUDA version it appeared in (since 3020)", fn->name);
}

static void check_id(struct api *api, struct fn *fn)
{
	if (!fn->has_id) {
		api_error(api, fn->place, "\"%s\" has no id", fn->name);
		return;
	}
	for (struct fn *other = api->fns; other != fn; other = other->next)
		if (other->has_id && other->id == fn->id)
			api_error(api, fn->place, "id 0x%04x of \"%s\" is that of \"%s\"", fn->id,
			    fn->name, other->name);
}

/* A prototype written at an alias may only repeat its base's. */
static void check_alias_prototype(struct api *api, struct fn *fn)
{
	struct param *p = fn->params, *q = fn->base->params;

	for (; p && q; p = p->next, q = q->next)
		if (strcmp(p->type_name, q->type_name) || p->stars != q->stars)
			break;
	if (p || q)
		api_error(api, fn->place, "\"%s\" does not take the parameters of \"%s\"", fn->name,
		    fn->alias);
}

static void check_alias(struct api *api, struct fn *fn)
{
	fn->base = api_find(api, fn->alias);
	if (!fn->base || fn->base->alias || fn_internal(fn->base)) {
		api_error(api, fn->place, "\"%s\" is the alias of no function: \"%s\"", fn->name,
		    fn->alias);
		fn->base = NULL;
		return;
	}
	if (fn->has_id)
		api_error(api, fn->place, "\"%s\" is an alias and has its base's id", fn->name);
	if (fn->class && fn->class != fn->base->class)
		api_error(api, fn->place, "\"%s\" is an alias and has its base's class", fn->name);
	if (fn->has_wire || fn->custom_shim || fn->custom_server)
		api_error(api, fn->place, "\"%s\" is an alias and cannot be custom", fn->name);
	if (fn->has_prototype)
		check_alias_prototype(api, fn);
	fn->class = fn->base->class;
	fn->id = fn->base->id;
	fn->early |= fn->base->early;
	fn->params = fn->base->params;
	if (fn->twin == TWIN_PTDS || (fn->twin == TWIN_PTSZ && !fn_stream(fn->base)))
		fn->base->takes_flags = true;
}

static void check_body(struct api *api, struct fn *fn)
{
	if (!fn->class)
		api_error(api, fn->place, "\"%s\" has no class", fn->name);
	if (fn->twin)
		api_error(api, fn->place, "\"%s\" is a twin of nothing: say alias(...)", fn->name);
	if (fn_internal(fn))
		fn->custom_server = true;
	if (fn->has_wire && !fn_crosses(fn))
		api_error(api, fn->place, "\"%s\" does not cross and needs no wire line", fn->name);
	if (fn->has_wire && !fn_internal(fn) && !(fn->custom_shim && fn->custom_server))
		api_error(api, fn->place,
		    "\"%s\" has a wire line: both its halves are custom(shim, server)", fn->name);
	if (!fn_crosses(fn) && (fn->custom_server || fn->blocks))
		api_error(api, fn->place, "\"%s\" does not reach the server", fn->name);
	check_params(api, fn, fn->params, fn_crosses(fn) && !fn->has_wire);
	if (fn->has_wire)
		check_params(api, fn, fn->wire, true);
}

static void check_order(struct api *api, struct fn *fn)
{
	struct param *lists[] = {fn->params, fn->wire};

	if (!fn->order)
		return;
	for (int i = 0; i < 2; i++)
		for (struct param *p = lists[i]; p; p = p->next)
			if (!strcmp(p->name, fn->order))
				return;
	api_error(api, fn->place, "order(%s) of \"%s\" names no parameter", fn->order, fn->name);
}

/*
 * The row of cuGetProcAddress, unless the definition wrote one: cuX_v2_ptsz is variant "_ptsz" of
 * cuX from the version that the function appeared in.
 */
static void check_proc(struct api *api, struct fn *fn)
{
	const char *name = fn->name;
	size_t size = strlen(name);

	if (fn->proc_base || fn_internal(fn))
		return;
	fn->proc_version = fn->since;
	fn->proc_variant = "";
	if (size > 5 && (!strcmp(name + size - 5, "_ptsz") || !strcmp(name + size - 5, "_ptds"))) {
		fn->proc_variant = name + size - 5;
		size -= 5;
	}
	if (size > 3 && isdigit((unsigned char)name[size - 1]) && !memcmp(name + size - 3, "_v", 2))
		size -= 3;
	fn->proc_base = api_text(api, "%.*s", (int)size, name);
}

static void check_counts(struct api *api, struct fn *fn)
{
	api->n_fns++;
	if (!fn_internal(fn))
		api->n_exported++;
}

bool api_check(struct api *api)
{
	check_types(api);
	for (struct fn *fn = api->fns; fn; fn = fn->next) {
		check_name(api, fn);
		if (fn->alias)
			continue;
		check_id(api, fn);
		check_body(api, fn);
		check_order(api, fn);
	}
	for (struct fn *fn = api->fns; fn; fn = fn->next) {
		if (fn->alias)
			check_alias(api, fn);
		check_proc(api, fn);
		check_counts(api, fn);
	}
	return !api->n_errors;
}
