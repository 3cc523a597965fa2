/*
 * The parts of struct api: one list of everything allocated, errors with a place, and the questions
 * about functions and parameters that more than one emitter asks.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "apigen.h"

struct kept {
	struct kept *next;
	max_align_t bytes[];
};

void api_init(struct api *api)
{
	*api = (struct api){0};
	api->types_end = &api->types;
	api->fns_end = &api->fns;
}

void api_fini(struct api *api)
{
	while (api->kept) {
		struct kept *next = api->kept->next;
		free(api->kept);
		api->kept = next;
	}
}

void *api_keep(struct api *api, size_t size)
{
	struct kept *kept = calloc(1, sizeof(*kept) + size);

	if (!kept) {
		fputs("apigen: out of memory\n", stderr);
		exit(1);
	}
	kept->next = api->kept;
	api->kept = kept;
	return kept->bytes;
}

const char *api_text(struct api *api, const char *format, ...)
{
	va_list args, again;

	va_start(args, format);
	va_copy(again, args);
	size_t size = (size_t)vsnprintf(NULL, 0, format, args) + 1;
	char *text = api_keep(api, size);
	vsnprintf(text, size, format, again);
	va_end(again);
	va_end(args);
	return text;
}

void api_error(struct api *api, struct place place, const char *format, ...)
{
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	api->n_errors++;
	if (api->report)
		api->report(place.file, place.line, message);
	else
		fprintf(stderr, "%s:%d: %s\n", place.file, place.line, message);
}

struct fn *api_find(struct api *api, const char *name)
{
	for (struct fn *fn = api->fns; fn; fn = fn->next)
		if (!strcmp(fn->name, name))
			return fn;
	return NULL;
}

struct type *api_find_type(struct api *api, const char *name)
{
	for (struct type *type = api->types; type; type = type->next)
		if (!strcmp(type->name, name))
			return type;
	return NULL;
}

bool fn_internal(const struct fn *fn)
{
	return fn->class == CLASS_INTERNAL_SYNC || fn->class == CLASS_INTERNAL_ASYNC;
}

bool fn_waits(const struct fn *fn)
{
	return fn->class == CLASS_SYNC || fn->class == CLASS_INTERNAL_SYNC;
}

bool fn_crosses(const struct fn *fn)
{
	return !fn->alias && fn->class != CLASS_LOCAL && fn->class != CLASS_NOSUP;
}

bool fn_live(const struct fn *fn)
{
	return fn->class != CLASS_NOSUP;
}

const char *fn_class_name(const struct fn *fn)
{
	static const char *const names[] = {
	    [CLASS_SYNC] = "sync",
	    [CLASS_ASYNC] = "async",
	    [CLASS_LOCAL] = "local",
	    [CLASS_NOSUP] = "nosup",
	    [CLASS_INTERNAL_SYNC] = "internal",
	    [CLASS_INTERNAL_ASYNC] = "internal",
	};

	return names[fn->class];
}

struct param *fn_wire(const struct fn *fn)
{
	return fn->has_wire ? fn->wire : fn->params;
}

bool fn_has_outputs(const struct fn *fn)
{
	for (struct param *p = fn_wire(fn); p; p = p->next)
		if (param_crosses(p) && param_is_returned(p))
			return true;
	return false;
}

bool fn_stream(const struct fn *fn)
{
	for (struct param *p = fn->params; p; p = p->next)
		if (param_is_stream(p))
			return true;
	return false;
}

bool fn_device(const struct fn *fn)
{
	for (struct param *p = fn->params; p; p = p->next)
		if (p->type && p->type->device && !p->stars)
			return true;
	return false;
}

bool param_is_stream(const struct param *p)
{
	return !p->stars && !strcmp(p->type_name, "CUstream");
}

bool param_crosses(const struct param *p)
{
	return !p->late;
}

bool param_is_run(const struct param *p)
{
	return p->stars && p->shape != SHAPE_ONE;
}

bool param_is_one(const struct param *p)
{
	return p->stars && p->shape == SHAPE_ONE;
}

bool param_is_sent(const struct param *p)
{
	return p->direction == DIR_IN || p->direction == DIR_INOUT || p->direction == DIR_NEW;
}

bool param_is_returned(const struct param *p)
{
	return p->direction == DIR_OUT || p->direction == DIR_INOUT;
}

bool param_has_room(const struct param *p)
{
	if (!param_is_run(p) || !param_is_returned(p))
		return false;
	for (int i = 0; i < p->length.n_terms; i++)
		if (p->length.terms[i].pointed)
			return true;
	return false;
}

struct fn **api_sorted(struct api *api, bool (*wanted)(const struct fn *),
    int (*compare)(const void *, const void *), size_t *n)
{
	struct fn **sorted = api_keep(api, (api->n_fns + 1) * sizeof(struct fn *));

	*n = 0;
	for (struct fn *fn = api->fns; fn; fn = fn->next)
		if (wanted(fn))
			sorted[(*n)++] = fn;
	qsort(sorted, *n, sizeof(struct fn *), compare);
	return sorted;
}

int fn_by_id(const void *left, const void *right)
{
	const struct fn *a = *(struct fn *const *)left, *b = *(struct fn *const *)right;

	return (a->id > b->id) - (a->id < b->id);
}
