/* Pieces of C that several emitters print: declarations, argument lists, lengths. */
#include <string.h>

#include "emit.h"

const char *text_join(struct api *api, const char *list, const char *item)
{
	return *list ? api_text(api, "%s, %s", list, item) : item;
}

static const char *text_stars(int stars)
{
	static const char all[PARAM_STARS + 1] = "***";

	return all + PARAM_STARS - stars;
}

const char *text_declaration(struct api *api, const struct param *p)
{
	return api_text(api, "%s%s %s%s", p->is_const ? "const " : "", p->type_name,
	    text_stars(p->stars), p->name);
}

const char *text_element(struct api *api, const struct param *p)
{
	if (p->stars < 2)
		return p->type_name;
	return api_text(api, "%s %s", p->type_name, text_stars(p->stars - 1));
}

static const char *text_or_void(const char *list)
{
	return *list ? list : "void";
}

const char *text_params(struct api *api, struct param *all, const char *extra)
{
	const char *list = "";

	for (struct param *p = all; p; p = p->next)
		list = text_join(api, list, text_declaration(api, p));
	return text_or_void(extra ? text_join(api, list, extra) : list);
}

const char *text_wire_params(struct api *api, struct param *all, const char *extra)
{
	const char *list = "";

	for (struct param *p = all; p; p = p->next)
		if (param_crosses(p))
			list = text_join(api, list, text_declaration(api, p));
	return text_or_void(extra ? text_join(api, list, extra) : list);
}

const char *text_names(struct api *api, struct param *all, const char *prefix)
{
	const char *list = "";

	for (struct param *p = all; p; p = p->next)
		list = text_join(api, list, api_text(api, "%s%s", prefix, p->name));
	return list;
}

static const char *text_term(struct api *api, const struct term *term, const char *prefix)
{
	if (!term->name)
		return api_text(api, "%llu", (unsigned long long)term->constant);
	if (!term->pointed)
		return api_text(api, "%s%s", prefix, term->name);
	if (!term->param->opt)
		return api_text(api, "*%s%s", prefix, term->name);
	return api_text(api, "%s%s ? *%s%s : 0", prefix, term->name, prefix, term->name);
}

const char *text_count(struct api *api, const struct param *p, const char *prefix)
{
	const char *text = text_term(api, &p->length.terms[0], prefix);

	for (int i = 1; i < p->length.n_terms; i++)
		text = api_text(
		    api, "codec_mul(%s, %s)", text, text_term(api, &p->length.terms[i], prefix));
	return text;
}

const char *text_bytes(struct api *api, const struct param *p, const char *prefix)
{
	if (p->shape != SHAPE_ARRAY)
		return text_count(api, p, prefix);
	return api_text(
	    api, "codec_mul(%s, sizeof(%s))", text_count(api, p, prefix), text_element(api, p));
}

const char *text_prototype(struct api *api, const struct fn *fn)
{
	return api_text(api, "CUresult %s(%s)", fn->name, text_params(api, fn->params, NULL));
}

/* "src || !n": a run of no bytes may be nowhere, but not room for what comes back. */
static const char *text_check_pointer(struct api *api, const struct param *p)
{
	const char *check = p->name;

	for (int i = 0; p->shape != SHAPE_BLOB && i < p->length.n_terms; i++) {
		const struct term *term = &p->length.terms[i];
		if (term->pointed)
			check = api_text(api, "%s || !%s || !*%s", check, term->name, term->name);
		else if (term->name && p->direction != DIR_OUT)
			check = api_text(api, "%s || !%s", check, term->name);
	}
	return check;
}

const char *text_check(struct api *api, const struct fn *fn)
{
	const char *text = "", *last = "";

	for (struct param *p = fn->params; p; p = p->next) {
		if (!p->stars || !p->direction || p->opt)
			continue;
		last = text_check_pointer(api, p);
		const char *factor = strchr(last, '|') ? api_text(api, "(%s)", last) : last;
		if (*text)
			last = api_text(api, "%s && %s", text, factor);
		text = *text ? last : factor;
	}
	return last;
}

const char *text_first(struct api *api, const struct fn *fn, const char **error)
{
	const struct fn *body = fn->base ? fn->base : fn;
	const struct param *p = body->params;

	if (!body->first)
		return "";
	while (strcmp(p->name, body->first))
		p = p->next;
	*error = strcmp(p->type->handle, "CONTEXT") ? "CUDA_ERROR_INVALID_HANDLE"
						    : "CUDA_ERROR_INVALID_CONTEXT";
	return api_text(api, "!%s", body->first);
}
