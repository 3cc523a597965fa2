/*
 * What a syntactically right interface must also satisfy. Every rule that is broken is one message
 * at the line of the definition that breaks it; checking goes on, so that one run names them all.
 * Along the way names are resolved: types, lengths, aliases, cuGetProcAddress rows.
 */
#include <ctype.h>
#include <string.h>

#include "apigen.h"

/* Names that generated functions use for themselves. */
static const char *const reserved[] = {"a", "r", "call", "shim_flags"};

static void forbid(struct api *api, const struct param *p, bool broken, const char *complaint)
{
	if (broken)
		api_error(api, p->place, "\"%s\" %s", p->name, complaint);
}

static void forbid_fn(struct api *api, const struct fn *fn, bool broken, const char *complaint)
{
	if (broken)
		api_error(api, fn->place, "\"%s\" %s", fn->name, complaint);
}

static void check_types(struct api *api)
{
	for (struct type *type = api->types; type; type = type->next)
		if (api_find_type(api, type->name) != type)
			api_error(api, type->place, "type \"%s\" is defined twice", type->name);
}

static struct param *check_find(struct param *all, const char *name)
{
	while (all && strcmp(all->name, name) != 0)
		all = all->next;
	return all;
}

/* A length's factors are integer parameters that the server knows before it decodes the run. */
static void check_length(struct api *api, struct param *all, struct param *p)
{
	for (int i = 0; i < p->length.n_terms; i++) {
		struct term *term = &p->length.terms[i];
		if (!term->name)
			continue;
		struct param *counter = check_find(all, term->name);
		if (!counter) {
			api_error(api, p->place, "the length of \"%s\" names no parameter: \"%s\"",
			    p->name, term->name);
			continue;
		}
		if (counter->type &&
		    (counter->type->kind != TYPE_INTEGER || counter->stars != term->pointed))
			api_error(api, p->place, "the length of \"%s\": \"%s%s\" is not an integer",
			    p->name, term->pointed ? "*" : "", term->name);
		else if (term->pointed && counter->direction == DIR_OUT)
			api_error(api, p->place,
			    "the length of \"%s\": \"%s\" is only an output, say inout", p->name,
			    term->name);
		counter->is_length = true;
		term->param = counter;
	}
}

static void check_value(struct api *api, struct param *p)
{
	forbid(
	    api, p, p->direction && p->direction != DIR_FREE, "has a direction but is no pointer");
	forbid(api, p, p->direction == DIR_FREE && p->type->kind != TYPE_HANDLE,
	    "is freed but is no handle");
	forbid(
	    api, p, p->opt || p->shape != SHAPE_ONE || p->type->kind == TYPE_VOID, "is no pointer");
}

static void check_run(struct api *api, struct param *p)
{
	bool input = p->direction == DIR_IN, counted = p->length.n_terms;

	forbid(api, p, p->shape == SHAPE_BLOB, "is a blob: the function needs a wire line");
	forbid(api, p, p->shape == SHAPE_BYTES && p->type->kind == TYPE_HANDLE,
	    "points to handles: say array(n)");
	forbid(api, p, p->shape == SHAPE_ARRAY && p->type->kind == TYPE_VOID,
	    "points to void: say bytes(n)");
	forbid(api, p, p->direction == DIR_NEW, "makes several objects: only one can be new");
	if (p->shape != SHAPE_CSTR)
		return;
	forbid(api, p, strcmp(p->type_name, "char"), "is a cstr but not of char");
	forbid(api, p, p->direction == DIR_INOUT, "is a cstr and cannot be inout");
	forbid(api, p, input && counted, "is an input: its cstr has no length");
	forbid(api, p, !input && !counted, "is an output: say cstr(n)");
}

static void check_pointer(struct api *api, const struct fn *fn, struct param *p)
{
	forbid(api, p, !p->direction, "is a pointer without a direction");
	forbid(
	    api, p, p->stars > 1 && p->shape != SHAPE_BYTES, "points to pointers and cannot cross");
	forbid(api, p, p->direction == DIR_FREE, "is freed: pass the handle, not a pointer");
	forbid(api, p, p->direction == DIR_NEW && p->type->kind != TYPE_HANDLE,
	    "is new but is no handle");
	forbid(api, p, p->is_const && p->direction && p->direction != DIR_IN,
	    "is const but written to");
	forbid(api, p, !fn_waits(fn) && param_is_returned(p),
	    "is an output of a function that does not wait");
	if (param_is_run(p))
		check_run(api, p);
	else
		forbid(api, p, p->type->kind == TYPE_VOID, "points to void: say bytes(n)");
}

/* One parameter of a record. */
static void check_crossing(struct api *api, const struct fn *fn, struct param *p)
{
	if (p->late) {
		forbid(api, p, !fn->custom_shim || !fn->custom_server || p->direction != DIR_OUT,
		    "is late: only an output of a custom(shim, server) function can be");
		return;
	}
	forbid(api, p, p->type->kind == TYPE_OPAQUE, "is of an opaque type and cannot cross");
	if (p->stars)
		check_pointer(api, fn, p);
	else
		check_value(api, p);
}

static void check_param_name(struct api *api, struct param *all, struct param *p)
{
	forbid(api, p, check_find(all, p->name) != p, "is named twice");
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		forbid(api, p, !strcmp(reserved[i], p->name),
		    "is a name that generated code uses itself");
}

/* The client mints one id a call, always. */
static void check_new(struct api *api, struct param *all, struct param *p)
{
	bool second = false;

	for (struct param *other = all; other != p; other = other->next)
		second |= other->direction == DIR_NEW;
	forbid(api, p, p->opt, "is new and cannot be opt");
	forbid(api, p, second, "is a second new object");
}

static void check_params(struct api *api, const struct fn *fn, struct param *all, bool crossing)
{
	for (struct param *p = all; p; p = p->next) {
		p->type = api_find_type(api, p->type_name);
		if (!p->type)
			api_error(api, p->place, "type \"%s\" is not declared", p->type_name);
		check_param_name(api, all, p);
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

static void check_name(struct api *api, const struct fn *fn)
{
	const struct fn *first = api_find(api, fn->name);
	const char *prefix = fn_internal(fn) ? "rosen" : "cu";

	if (first != fn)
		api_error(api, fn->place, "function \"%s\" is defined twice, first at %s:%d",
		    fn->name, first->place.file, first->place.line);
	if (strncmp(fn->name, prefix, strlen(prefix)) != 0)
		api_error(api, fn->place, "\"%s\" should begin with \"%s\"", fn->name, prefix);
	forbid_fn(api, fn,
	    !fn_internal(fn) && (fn->since < 2000 || fn->since > 99990 || fn->since % 10),
	    "needs the CUDA version it appeared in, as in \"since 3020\"");
}

static bool check_same_types(const struct param *p, const struct param *q)
{
	for (; p && q; p = p->next, q = q->next)
		if (strcmp(p->type_name, q->type_name) || p->stars != q->stars)
			return false;
	return !p && !q;
}

static void check_id(struct api *api, const struct fn *fn)
{
	forbid_fn(api, fn, !fn->has_id, "has no id");
	for (struct fn *other = api->fns; fn->has_id && other != fn; other = other->next)
		if (other->has_id && other->id == fn->id)
			api_error(api, fn->place, "id 0x%04x of \"%s\" is that of \"%s\"", fn->id,
			    fn->name, other->name);
}

static bool check_factor(const struct fn *fn, const char *factor)
{
	return (*factor >= '0' && *factor <= '9') || check_find(fn_wire(fn), factor);
}

static void check_known(struct api *api, const struct fn *fn)
{
	forbid_fn(api, fn, fn->n_known && (!fn_crosses(fn) || fn_waits(fn)),
	    "is not posted: whether its addresses are known changes nothing");
	for (int i = 0; i < fn->n_known; i++) {
		const struct known *known = &fn->known[i];
		if (check_find(fn_wire(fn), known->address) && check_factor(fn, known->factor[0]) &&
		    check_factor(fn, known->factor[1]))
			continue;
		if (known->kind != KNOWN_MEMORY)
			api_error(api, fn->place, "%s(%s, %s) of \"%s\" names no parameters",
			    known->kind == KNOWN_BELOW ? "below" : "aligned", known->address,
			    known->factor[0], fn->name);
		else
			api_error(api, fn->place, "known(%s, %s, %s) of \"%s\" names no parameters",
			    known->address, known->factor[0], known->factor[1], fn->name);
	}
}

/* The entry asks whether the handle is NULL. */
static void check_first(struct api *api, const struct fn *fn)
{
	const struct param *p = fn->first ? check_find(fn->params, fn->first) : NULL;

	forbid_fn(api, fn, fn->first && (!fn_live(fn) || fn_internal(fn)),
	    "has no entry that looks at anything first");
	if (fn->first && (!p || p->stars || !p->type || p->type->kind != TYPE_HANDLE))
		api_error(
		    api, fn->place, "first(%s) of \"%s\" names no handle", fn->first, fn->name);
}

static void check_body(struct api *api, struct fn *fn)
{
	if (fn_internal(fn))
		fn->custom_server = true;
	forbid_fn(api, fn, !fn->class, "has no class");
	forbid_fn(api, fn, fn->twin || fn->undo_name, "is a twin of nothing: say alias(...)");
	forbid_fn(api, fn, fn->has_wire && !fn_crosses(fn), "does not cross and has a wire line");
	forbid_fn(api, fn,
	    fn->has_wire && fn_crosses(fn) && !fn_internal(fn) &&
		!(fn->custom_shim && (fn->custom_server || check_same_types(fn->params, fn->wire))),
	    "has a wire line: both its halves are custom(shim, server)");
	forbid_fn(api, fn, fn->direct && !(fn->custom_shim && fn_crosses(fn)),
	    "is direct: its client's half is custom(shim), and it crosses");
	forbid_fn(api, fn, !fn_crosses(fn) && (fn->custom_server || fn->blocks),
	    "does not reach the server");
	check_params(api, fn, fn->params, fn_crosses(fn) && !fn->has_wire);
	if (fn->has_wire)
		check_params(api, fn, fn->wire, true);
	if (fn->order && !check_find(fn->params, fn->order) && !check_find(fn->wire, fn->order))
		api_error(
		    api, fn->place, "order(%s) of \"%s\" names no parameter", fn->order, fn->name);
	check_known(api, fn);
	check_first(api, fn);
}

/* A prototype written at an alias may only repeat its base's. */
static bool check_same_prototype(const struct fn *fn)
{
	return check_same_types(fn->params, fn->base->params);
}

/* A parameter of a narrow form is its base's, of another type at most. */
static bool check_narrow_param(struct api *api, struct param *p, const struct param *base)
{
	if (!base || strcmp(p->name, base->name) || p->stars != base->stars)
		return false;
	forbid(api, p, p->direction || p->shape || p->opt,
	    "is a narrow form's: directions and lengths are its base's");
	if (p->stars && strcmp(p->type_name, base->type_name) != 0)
		p->wide = base->type_name;
	forbid(api, p,
	    p->wide && (p->stars != 1 || base->shape != SHAPE_ONE ||
			   (base->direction != DIR_IN && base->direction != DIR_OUT)),
	    "is narrow but is not one element, read or written");
	p->direction = base->direction;
	p->shape = base->shape;
	p->opt = base->opt;
	p->length = base->length;
	return true;
}

/* The form of a function from the time when sizes and addresses had 32 bits. */
static void check_narrow(struct api *api, struct fn *fn)
{
	const struct param *base = fn->base->params;
	bool same = fn->has_prototype;

	check_params(api, fn, fn->params, false);
	for (struct param *p = fn->params; p; p = p->next, base = base ? base->next : NULL)
		same &= check_narrow_param(api, p, base);
	forbid_fn(api, fn, !same || base, "is narrow but has not its base's parameters");
	if (!fn->undo_name)
		return;
	fn->undo = api_find(api, fn->undo_name);
	forbid_fn(api, fn, !fn->undo || fn->undo->alias || fn_internal(fn->undo),
	    "is undone by no function");
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
	forbid_fn(api, fn,
	    fn->has_id || fn->has_wire || fn->custom_shim || fn->custom_server || fn->blocks ||
		fn->direct || fn->cache || fn->context || fn->first || fn->charge || fn->replay ||
		fn->order || fn->n_known || (fn->class && fn->class != fn->base->class),
	    "is an alias: id, class and attributes are its base's");
	fn->class = fn->base->class;
	fn->id = fn->base->id;
	fn->early |= fn->base->early;
	if (fn->twin == TWIN_NARROW) {
		check_narrow(api, fn);
		return;
	}
	forbid_fn(api, fn, fn->undo_name, "undoes something and is not narrow");
	forbid_fn(api, fn, fn->has_prototype && !check_same_prototype(fn),
	    "is an alias but does not take its base's parameters");
	fn->params = fn->base->params;
	if (fn->twin == TWIN_PTDS || (fn->twin == TWIN_PTSZ && !fn_stream(fn->base)))
		fn->base->takes_flags = true;
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

static void check_proc_unique(struct api *api, const struct fn *fn)
{
	for (struct fn *other = api->fns; fn->proc_base && other != fn; other = other->next)
		if (other->proc_base && other->proc_version == fn->proc_version &&
		    !strcmp(other->proc_base, fn->proc_base) &&
		    !strcmp(other->proc_variant, fn->proc_variant))
			api_error(api, fn->place,
			    "cuGetProcAddress cannot tell \"%s\" from \"%s\": both are %s%s since "
			    "%u",
			    fn->name, other->name, fn->proc_base, fn->proc_variant,
			    fn->proc_version);
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
	}
	for (struct fn *fn = api->fns; fn; fn = fn->next) {
		if (fn->alias)
			check_alias(api, fn);
		check_proc(api, fn);
		check_proc_unique(api, fn);
		api->n_fns++;
		api->n_exported += !fn_internal(fn);
	}
	return !api->n_errors;
}
