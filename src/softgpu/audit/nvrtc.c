/*
 * NVRTC: a program that asks for machine code (-arch=sm_120) is compiled to PTX (compute_120), and
 * nvrtcGetCUBIN gives that, packed. Which programs these are is kept in a list until they are
 * destroyed. Link-time code (-dlto) is no machine code and stays what it is.
 *
 * nvrtc.h of CUDA 13.0: a program is a pointer, a result an int, 0 success.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "softgpu/audit/audit.h"

#define OUT_OF_MEMORY 1 /* NVRTC_ERROR_OUT_OF_MEMORY */

typedef void *nvrtcProgram;

struct program {
	nvrtcProgram handle;
	struct program *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct program *programs; /* whose machine code is PTX */

static bool program_known(nvrtcProgram handle)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (struct program *p = programs; p && !found; p = p->next)
		found = p->handle == handle;
	pthread_mutex_unlock(&lock);
	return found;
}

static void program_forget(nvrtcProgram handle)
{
	pthread_mutex_lock(&lock);
	for (struct program **p = &programs; *p; p = &(*p)->next)
		if ((*p)->handle == handle) {
			struct program *gone = *p;
			*p = gone->next;
			free(gone);
			break;
		}
	pthread_mutex_unlock(&lock);
}

static bool program_remember(nvrtcProgram handle)
{
	struct program *p = malloc(sizeof(*p));

	if (!p)
		return false;
	pthread_mutex_lock(&lock);
	*p = (struct program){handle, programs};
	programs = p;
	pthread_mutex_unlock(&lock);
	return true;
}

/* ---- options ---- */

static int newest_target(void)
{
	int count = 0, newest = 0;

	if (REAL(nvrtc_library, "nvrtcGetNumSupportedArchs", int *)(&count) != 0 || count < 1)
		return 0;
	int *all = calloc((size_t)count, sizeof(*all));
	if (all && REAL(nvrtc_library, "nvrtcGetSupportedArchs", int *)(all) == 0)
		for (int i = 0; i < count; i++)
			newest = MAX(newest, all[i]);
	free(all);
	return newest;
}

/* The value of -arch=VALUE, or in the option that follows; NULL: another option. */
static const char *target_option(const char *option, const char *following, int *n_used)
{
	static const char *const names[] = {"--gpu-architecture", "-arch"};

	*n_used = 1;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t length = strlen(names[i]);

		if (strncmp(option, names[i], length) != 0)
			continue;
		if (option[length] == '=')
			return option + length + 1;
		*n_used = 2;
		if (!option[length])
			return following;
	}
	return NULL;
}

static bool is_for_linking(int n, const char *const *options)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(options[i], "-dlto") || !strcmp(options[i], "--dlink-time-opt"))
			return true;
	return false;
}

struct choice {
	const char **options; /* n of them */
	int n;
	char target[48];
	bool is_changed; /* from machine code to PTX */
};

/* The options with another -arch where it has to be. */
static void choose(struct choice *choice, int n, const char *const *options)
{
	bool keeps_kind = is_for_linking(n, options);
	int n_used;

	for (int i = 0; i < n; i += n_used) {
		const char *value =
		    target_option(options[i], i + 1 < n ? options[i + 1] : NULL, &n_used);
		struct audit_target target;

		if (!value || !audit_target_read(value, &target)) {
			n_used = 1;
			choice->options[choice->n++] = options[i];
			continue;
		}
		choice->is_changed = target.is_machine_code && !keeps_kind;
		audit_target_limit(&target, newest_target() ?: target.number);
		snprintf(choice->target, sizeof(choice->target), "--gpu-architecture=%s_%d%s",
		    target.is_machine_code && keeps_kind ? "sm" : "compute", target.number,
		    target.suffix);
		choice->options[choice->n++] = choice->target;
	}
}

static int compile_program(nvrtcProgram program, int n, const char *const *options)
{
	struct choice choice = {.options = calloc((size_t)MAX(n, 0) + 1, sizeof(char *))};

	if (!choice.options)
		return OUT_OF_MEMORY;
	choose(&choice, n, options);
	program_forget(program);
	int r = choice.is_changed && !program_remember(program)
		    ? OUT_OF_MEMORY
		    : REAL(nvrtc_library, "nvrtcCompileProgram", nvrtcProgram, int,
			  const char *const *)(program, choice.n, choice.options);
	free(choice.options);
	return r;
}

/* ---- results ---- */

/* The program's PTX as an image, from malloc. */
static int program_pack(nvrtcProgram program, void **image, size_t *size)
{
	size_t length;
	int r = REAL(nvrtc_library, "nvrtcGetPTXSize", nvrtcProgram, size_t *)(program, &length);

	if (r != 0)
		return r;
	char *text = malloc(length);
	if (!text)
		return OUT_OF_MEMORY;
	r = REAL(nvrtc_library, "nvrtcGetPTX", nvrtcProgram, char *)(program, text);
	if (r == 0) {
		struct sg_text whole = audit_text(text, length);
		*image = sg_image_pack(&whole, 1, size);
		r = *image ? 0 : OUT_OF_MEMORY;
	}
	free(text);
	return r;
}

static int get_cubin_size(nvrtcProgram program, size_t *size)
{
	void *image;
	int r;

	if (!size || !program_known(program))
		return REAL(nvrtc_library, "nvrtcGetCUBINSize", nvrtcProgram, size_t *)(
		    program, size);
	r = program_pack(program, &image, size);
	if (r == 0)
		free(image);
	return r;
}

static int get_cubin(nvrtcProgram program, char *to)
{
	size_t size;
	void *image;
	int r;

	if (!to || !program_known(program))
		return REAL(nvrtc_library, "nvrtcGetCUBIN", nvrtcProgram, char *)(program, to);
	r = program_pack(program, &image, &size);
	if (r == 0) {
		memcpy(to, image, size);
		free(image);
	}
	return r;
}

static int destroy_program(nvrtcProgram *program)
{
	if (program)
		program_forget(*program);
	return REAL(nvrtc_library, "nvrtcDestroyProgram", nvrtcProgram *)(program);
}

static const struct audit_function functions[] = {
    {"nvrtcCompileProgram", compile_program},
    {"nvrtcGetCUBINSize", get_cubin_size},
    {"nvrtcGetCUBIN", get_cubin},
    {"nvrtcDestroyProgram", destroy_program},
    {0},
};

struct audit_library nvrtc_library = {"libnvrtc.so", functions};
