/*
 * libFuzzer's door to the generator: any bytes are parsed and checked, and what is found sound is
 * printed. Corpus: tests/.
 */
#include "emit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ignore(const char *file, int line, const char *message)
{
	(void)file, (void)line, (void)message;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const emitters[])(struct out *) = {emit_api_ids_h, emit_api_desc_c,
	    emit_cuda_api_h, emit_api_args_h, emit_api_codec_c, emit_shim_remote_c,
	    emit_shim_custom_h, emit_shim_entries_c, emit_shim_proc_c, emit_worker_serve_c,
	    emit_backend_c, emit_backend_timed_c, emit_softgpu_stubs_c, emit_test_codec_c,
	    emit_coverage_json, emit_coverage_md};
	static FILE *nowhere;
	struct api api;

	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	api_init(&api);
	api.report = ignore;
	api_parse(&api, "input", (const char *)data, size);
	if (!api.n_errors && api_check(&api))
		for (size_t i = 0; i < sizeof(emitters) / sizeof(emitters[0]); i++) {
			struct out out = {.api = &api, .file = nowhere};
			emitters[i](&out);
		}
	api_fini(&api);
	return 0;
}
