/* cuda_api.h: the exported functions. api_args.h: the arguments of those that cross, as structs. */
#include "emit.h"

void emit_cuda_api_h(struct out *out)
{
	out_begin(out,
	    "Our declarations of the CUDA driver API's functions, under their exported names.\n"
	    "Whoever defines one of them exports it.");
	out_line(out, "#pragma once");
	out_blank(out);
	out_line(out, "#include \"abi/cuda.h\"");
	out_blank(out);
	out_line(out, "#pragma GCC visibility push(default)");
	out_blank(out);
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (!fn_internal(fn))
			out_line(out, "%s;", text_prototype(out->api, fn));
	out_blank(out);
	out_line(out, "#pragma GCC visibility pop");
}

static void args_struct(struct out *out, const struct fn *fn)
{
	bool any = false;

	out_blank(out);
	out_line(out, "struct args_%s {", fn->name);
	for (struct param *p = fn_wire(fn); p; p = p->next) {
		if (!param_crosses(p))
			continue;
		any = true;
		out_line(out, "\t%s;", text_declaration(out->api, p));
		if (param_has_room(p))
			out_line(out, "\tsize_t %s_room;", p->name);
	}
	if (!any)
		out_line(out, "\tint nothing;");
	out_line(out, "};");
}

void emit_api_args_h(struct out *out)
{
	out_begin(out,
	    "The parameters that cross, in C's own types. Handles are ids in the client and in a\n"
	    "record, the backend's handles once the server translated them.\n"
	    "\n"
	    "x_room, beside an output whose count the callee changes: for how many elements "
	    "(bytes(...):\n"
	    "bytes) the caller has room. wire_decode_X() sets it; clients leave it alone.");
	out_line(out, "#pragma once");
	out_blank(out);
	out_line(out, "#include <stddef.h>");
	out_line(out, "#include <stdint.h>");
	out_blank(out);
	out_line(out, "#include \"abi/cuda.h\"");
	for (struct fn *fn = out->api->fns; fn; fn = fn->next)
		if (fn_crosses(fn))
			args_struct(out, fn);
}
