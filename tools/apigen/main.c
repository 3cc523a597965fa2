/*
 * apigen IN.api... [--softgpu LIST] -o FOLDER: reads the interface, checks it, writes every file of
 * the table below into FOLDER. Errors are "file:line: message" on stderr and exit status 1; then
 * nothing is written. A program of the build machine: it links nothing of Rosen's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "emit.h"

static const struct {
	const char *name;
	void (*emit)(struct out *out);
} outputs[] = {
    {"api_ids.h", emit_api_ids_h},
    {"api_desc.h", emit_api_desc_h},
    {"api_desc.c", emit_api_desc_c},
    {"cuda_api.h", emit_cuda_api_h},
    {"api_args.h", emit_api_args_h},
    {"api_codec.h", emit_api_codec_h},
    {"api_codec.c", emit_api_codec_c},
    {"shim_remote.h", emit_shim_remote_h},
    {"shim_remote.c", emit_shim_remote_c},
    {"shim_custom.h", emit_shim_custom_h},
    {"shim_entries.c", emit_shim_entries_c},
    {"shim_proc.h", emit_shim_proc_h},
    {"shim_proc.c", emit_shim_proc_c},
    {"worker_custom.h", emit_worker_custom_h},
    {"worker_serve.c", emit_worker_serve_c},
    {"backend.h", emit_backend_h},
    {"backend.c", emit_backend_c},
    {"backend_timed.c", emit_backend_timed_c},
    {"libcuda.map", emit_libcuda_map},
    {"softgpu.map", emit_softgpu_map},
    {"softgpu_stubs.c", emit_softgpu_stubs_c},
    {"softgpu_narrow.c", emit_softgpu_narrow_c},
    {"softgpu_proc.h", emit_softgpu_proc_h},
    {"softgpu_proc.c", emit_softgpu_proc_c},
    {"test_codec.c", emit_test_codec_c},
    {"test_entries.c", emit_test_entries_c},
    {"fuzz_codec.c", emit_fuzz_codec_c},
    {"fuzz_layout.c", emit_fuzz_layout_c},
    {"calls.h", emit_calls_h},
    {"coverage.json", emit_coverage_json},
    {"coverage.md", emit_coverage_md},
};

static _Noreturn void die(const char *what, const char *path)
{
	fprintf(stderr, "apigen: %s %s: %s\n", what, path, strerror(errno));
	exit(1);
}

/* The whole file, kept by the api. */
static char *read_file(struct api *api, const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");

	if (!file || fseek(file, 0, SEEK_END) < 0)
		die("cannot read", path);
	long end = ftell(file);
	if (end < 0 || fseek(file, 0, SEEK_SET) < 0)
		die("cannot read", path);
	char *text = api_keep(api, (size_t)end + 1);
	*size = fread(text, 1, (size_t)end, file);
	if (ferror(file))
		die("cannot read", path);
	fclose(file);
	return text;
}

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void write_outputs(struct api *api, const char *folder)
{
	for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++) {
		const char *path = api_text(api, "%s/%s", folder, outputs[i].name);
		struct out out = {.api = api, .file = fopen(path, "w")};
		if (!out.file)
			die("cannot write", path);
		outputs[i].emit(&out);
		if (fclose(out.file))
			die("cannot write", path);
	}
}

int main(int argc, char **argv)
{
	const char *folder = NULL, *live = NULL;
	struct api api;
	size_t size;

	api_init(&api);
	api.inputs = api_keep(&api, (size_t)argc * sizeof(char *));
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-o") && i + 1 < argc) {
			folder = argv[++i];
		} else if (!strcmp(argv[i], "--softgpu") && i + 1 < argc) {
			live = argv[++i];
		} else if (argv[i][0] == '-') {
			fputs("usage: apigen IN.api... [--softgpu LIST] -o FOLDER\n", stderr);
			return 2;
		} else {
			const char *text = read_file(&api, argv[i], &size);
			api.inputs[api.n_inputs++] = file_name(argv[i]);
			api_parse(&api, argv[i], text, size);
		}
	}
	if (live && !api.n_errors) {
		const char *text = read_file(&api, live, &size);
		api_parse_live(&api, live, text, size);
	}
	bool sound = !api.n_errors && api_check(&api);
	if (sound && folder)
		write_outputs(&api, folder);
	api_fini(&api);
	return sound ? 0 : 1;
}
