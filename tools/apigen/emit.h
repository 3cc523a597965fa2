/*
 * Printing C. Every emitter gets a struct out and prints logical lines; a line wider than the page
 * is broken after a comma or before an operator, so that what is generated reads like what is
 * written by hand. Texts are kept by the api.
 */
#pragma once

#include "apigen.h"

struct out {
	struct api *api;
	FILE *file;
	bool blank; /* an empty line is due before the next one */
};

/* Prints one line (leading tabs indent it), wrapped at 100 columns. */
void out_line(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* An empty line, if another line follows. */
void out_blank(struct out *out);
void out_lines(struct out *out, const char *const *lines, size_t n);
/* The banner, then the comment that says what the file is. */
void out_begin(struct out *out, const char *comment);

/* text.c: pieces of C. prefix stands before parameter names: "", "a->". */
const char *text_declaration(struct api *api, const struct param *p); /* "const void *src" */
const char *text_element(struct api *api, const struct param *p);     /* "CUevent" of CUevent * */
const char *text_params(struct api *api, struct param *all, const char *extra);
const char *text_wire_params(struct api *api, struct param *all, const char *extra);
const char *text_names(struct api *api, struct param *all, const char *prefix);
const char *text_count(struct api *api, const struct param *p, const char *prefix);
const char *text_bytes(struct api *api, const struct param *p, const char *prefix);
const char *text_prototype(struct api *api, const struct fn *fn);
const char *text_check(
    struct api *api, const struct fn *fn); /* whether the pointers that must be are */
/* "!array": whether the handle that fn looks at first is NULL, and what that is; "": it looks at
 * none. */
const char *text_first(struct api *api, const struct fn *fn, const char **error);
const char *text_join(struct api *api, const char *list, const char *item);

/*
 * emit_narrow.c: what stands in the body of a narrow form. Declares r and leaves the result in it.
 * enter: an expression that gives CUDA_SUCCESS where the form may be used. call: a call of a
 * function with these arguments.
 */
void out_narrow(struct out *out, const struct fn *fn, const char *enter,
    const char *(*call)(struct api *api, const struct fn *fn, const char *list));

/* One function per generated file; main.c has the table. */
void emit_api_ids_h(struct out *out);
void emit_api_desc_h(struct out *out);
void emit_api_desc_c(struct out *out);
void emit_cuda_api_h(struct out *out);
void emit_api_args_h(struct out *out);
void emit_api_codec_h(struct out *out);
void emit_api_codec_c(struct out *out);
void emit_shim_remote_h(struct out *out);
void emit_shim_remote_c(struct out *out);
void emit_shim_custom_h(struct out *out);
void emit_shim_entries_c(struct out *out);
void emit_shim_proc_h(struct out *out);
void emit_shim_proc_c(struct out *out);
void emit_worker_custom_h(struct out *out);
void emit_worker_serve_c(struct out *out);
void emit_backend_h(struct out *out);
void emit_backend_c(struct out *out);
void emit_backend_timed_c(struct out *out);
void emit_libcuda_map(struct out *out);
void emit_softgpu_map(struct out *out);
void emit_softgpu_stubs_c(struct out *out);
void emit_softgpu_narrow_c(struct out *out);
void emit_softgpu_proc_h(struct out *out);
void emit_softgpu_proc_c(struct out *out);
void emit_test_codec_c(struct out *out);
void emit_test_entries_c(struct out *out);
void emit_fuzz_codec_c(struct out *out);
void emit_fuzz_layout_c(struct out *out);
void emit_calls_h(struct out *out);
void emit_coverage_json(struct out *out);
void emit_coverage_md(struct out *out);
