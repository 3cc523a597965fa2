/*
 * Narrow forms: functions as they were before CUDA 3.2, when sizes and device addresses had 32
 * bits. Each takes its base's parameters, some of narrower types, and calls its base. Values widen
 * by themselves; what a pointer leads to is turned by wide_T() and narrow_T() of abi/narrow.h, T
 * being the narrow type. A result that does not fit is an error, and what the call made is given
 * back.
 *
 * The body is the same in the shim, around its halves, and in the software GPU, around its
 * functions.
 */
#include <string.h>

#include "emit.h"

static const char *narrow_argument(struct api *api, const struct param *p)
{
	if (!p->wide)
		return p->name;
	return api_text(
	    api, p->opt ? "%s ? &%s_wide : NULL" : "&%s_wide", p->name, p->opt ? p->name : "");
}

static const char *narrow_arguments(struct api *api, const struct fn *fn)
{
	const char *list = "";

	for (struct param *p = fn->params; p; p = p->next)
		list = text_join(api, list, narrow_argument(api, p));
	return list;
}

/* "a && !narrow_T(a_wide, a)" of every narrow result; empty: there is none. */
static const char *narrow_misfit(struct api *api, const struct fn *fn, struct param **made)
{
	const char *list = "";

	*made = NULL;
	for (struct param *p = fn->params; p; p = p->next) {
		if (!p->wide || p->direction != DIR_OUT)
			continue;
		const char *text =
		    api_text(api, "!narrow_%s(%s_wide, %s)", p->type_name, p->name, p->name);
		if (p->opt)
			text = api_text(api, "(%s && %s)", p->name, text);
		list = *list ? api_text(api, "%s || %s", list, text) : text;
		if (!*made)
			*made = p;
	}
	return list;
}

static void narrow_results(struct out *out, const struct fn *fn,
    const char *(*call)(struct api *api, const struct fn *fn, const char *list))
{
	struct param *made;
	const char *misfit = narrow_misfit(out->api, fn, &made);

	if (!made)
		return;
	out_line(out,
	    strchr(misfit, '|') ? "\tif (r == CUDA_SUCCESS && (%s))%s"
				: "\tif (r == CUDA_SUCCESS && %s)%s",
	    misfit, fn->undo ? " {" : "");
	if (fn->undo)
		out_line(out, "\t\t%s;",
		    call(out->api, fn->undo, api_text(out->api, "%s_wide", made->name)));
	out_line(out, "\t\tr = %s;", fn->undo ? "NARROW_NO_ROOM" : "NARROW_MISFIT");
	if (fn->undo)
		out_line(out, "\t}");
}

/* The call, what it reads turned first. */
static void narrow_call(struct out *out, const struct fn *fn,
    const char *(*call)(struct api *api, const struct fn *fn, const char *list))
{
	bool turns = false;

	for (struct param *p = fn->params; p; p = p->next)
		turns |= p->wide && p->direction == DIR_IN;
	out_line(out, "\tif (r == CUDA_SUCCESS)%s", turns ? " {" : "");
	for (struct param *p = fn->params; turns && p; p = p->next)
		if (p->wide && p->direction == DIR_IN)
			out_line(out, "\t\twide_%s(%s, &%s_wide);", p->type_name, p->name, p->name);
	out_line(out, "\t\tr = %s;", call(out->api, fn->base, narrow_arguments(out->api, fn)));
	if (turns)
		out_line(out, "\t}");
}

void out_narrow(struct out *out, const struct fn *fn, const char *enter,
    const char *(*call)(struct api *api, const struct fn *fn, const char *list))
{
	const char *check = text_check(out->api, fn), *error;
	const char *first = text_first(out->api, fn, &error);

	for (struct param *p = fn->params; p; p = p->next)
		if (p->wide)
			out_line(out, "\t%s %s_wide;", p->wide, p->name);
	if (fn_device(fn))
		enter = "CUDA_SUCCESS";
	if (*first)
		enter = api_text(out->api, "%s ? %s : %s", first, error, enter);
	if (fn->base->context || *first) {
		out_line(out, "\tCUresult r = %s;", enter);
		if (*check) {
			out_line(out, "\tif (r == CUDA_SUCCESS && !(%s))", check);
			out_line(out, "\t\tr = CUDA_ERROR_INVALID_VALUE;");
		}
	} else {
		out_line(out, "\tCUresult r = %s;", *check ? "CUDA_ERROR_INVALID_VALUE" : enter);
		if (*check) {
			out_line(out, "\tif (likely(%s))", check);
			out_line(out, "\t\tr = %s;", enter);
		}
	}
	narrow_call(out, fn, call);
	narrow_results(out, fn, call);
}
