/*
 * Settings of GPU core dumps: one set for the process, and one of its own for every context that
 * the program set something for, which begins as a copy; what concerns the pipe is the process's
 * alone. They are kept and answered here. The dump itself would be made by the driver in the
 * worker, into a file of the worker's machine under a name that the program chooses: so what would
 * cause one, on an exception or by a pipe, is refused. What is said of variables that ask for it
 * stands in wire/environment.def.
 */
#include "shim/coredump.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "gen/shim_custom.h"
#include "shim/context.h"

#define NAME_ROOM 1024 /* of a file or pipe, its zero included */

struct settings {
	bool on_exception, trigger_host, lightweight, user_trigger;
	char file[NAME_ROOM], pipe[NAME_ROOM];
	int flags;
};

struct own {
	struct own *next;
	CUcontext context;
	struct settings settings;
};

/* Everything under lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct own *contexts;

static struct settings process = {.trigger_host = true};

static struct own *find(CUcontext context)
{
	struct own *own = contexts;

	while (own && own->context != context)
		own = own->next;
	return own;
}

void coredump_forget(CUcontext context)
{
	pthread_mutex_lock(&lock);
	for (struct own **at = &contexts; *at;) {
		struct own *own = *at;
		if (own->context == context) {
			*at = own->next;
			free(own);
		} else {
			at = &own->next;
		}
	}
	pthread_mutex_unlock(&lock);
}

/* --- one attribute --- */

/* Where it is kept and how many bytes it takes; 0: there is no such attribute. */
static size_t place_of(struct settings *settings, CUcoredumpSettings attribute, void **place)
{
	switch ((int)attribute) {
	case CU_COREDUMP_ENABLE_ON_EXCEPTION:
		*place = &settings->on_exception;
		return sizeof(settings->on_exception);
	case CU_COREDUMP_TRIGGER_HOST:
		*place = &settings->trigger_host;
		return sizeof(settings->trigger_host);
	case CU_COREDUMP_LIGHTWEIGHT:
		*place = &settings->lightweight;
		return sizeof(settings->lightweight);
	case CU_COREDUMP_ENABLE_USER_TRIGGER:
		*place = &settings->user_trigger;
		return sizeof(settings->user_trigger);
	case CU_COREDUMP_FILE:
		*place = settings->file;
		return NAME_ROOM;
	case CU_COREDUMP_PIPE:
		*place = settings->pipe;
		return NAME_ROOM;
	case CU_COREDUMP_GENERATION_FLAGS:
		*place = &settings->flags;
		return sizeof(settings->flags);
	default:
		return 0;
	}
}

static bool is_name(CUcoredumpSettings attribute)
{
	return attribute == CU_COREDUMP_FILE || attribute == CU_COREDUMP_PIPE;
}

/* value NULL: *bytes says how much there would be. */
static CUresult get(
    struct settings *settings, CUcoredumpSettings attribute, void *value, size_t *bytes)
{
	void *place;
	size_t size = place_of(settings, attribute, &place);

	if (!size)
		return CUDA_ERROR_INVALID_VALUE;
	if (value) {
		size_t needed = is_name(attribute) ? strlen(place) + 1 : size;
		if (*bytes < needed)
			return CUDA_ERROR_INVALID_VALUE;
		memcpy(value, place, needed);
	}
	*bytes = size;
	return CUDA_SUCCESS;
}

static bool is_of_process(CUcoredumpSettings attribute)
{
	return attribute == CU_COREDUMP_PIPE || attribute == CU_COREDUMP_ENABLE_USER_TRIGGER;
}

static bool would_dump(CUcoredumpSettings attribute, const void *value)
{
	return (attribute == CU_COREDUMP_ENABLE_ON_EXCEPTION ||
		   attribute == CU_COREDUMP_ENABLE_USER_TRIGGER) &&
	       *(const bool *)value;
}

static CUresult set(
    struct settings *settings, CUcoredumpSettings attribute, const void *value, size_t *bytes)
{
	void *place;
	size_t size = place_of(settings, attribute, &place);

	if (!size)
		return CUDA_ERROR_INVALID_VALUE;
	if (!value) {
		*bytes = size;
		return CUDA_SUCCESS;
	}
	if (*bytes > size || (*bytes < size && !is_name(attribute)))
		return CUDA_ERROR_INVALID_VALUE;
	if (would_dump(attribute, value)) {
		log_warn_once("core dumps of the GPU are not supported: none will be made");
		return CUDA_ERROR_NOT_SUPPORTED;
	}
	if (is_name(attribute)) {
		if (strnlen(value, *bytes) == NAME_ROOM)
			return CUDA_ERROR_INVALID_VALUE;
		memset(place, 0, NAME_ROOM);
	}
	memcpy(place, value, *bytes);
	return CUDA_SUCCESS;
}

/* --- the driver's functions --- */

CUresult shim_cuCoredumpGetAttribute(CUcoredumpSettings attribute, void *value, size_t *bytes)
{
	CUcontext context = context_current();

	if (!context)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (is_of_process(attribute))
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	struct own *own = find(context);
	CUresult r = get(own ? &own->settings : &process, attribute, value, bytes);
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult shim_cuCoredumpSetAttribute(CUcoredumpSettings attribute, void *value, size_t *bytes)
{
	CUcontext context = context_current();
	CUresult r = CUDA_ERROR_OUT_OF_MEMORY;

	if (!context)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (is_of_process(attribute))
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	struct own *own = find(context);
	if (!own) {
		own = malloc(sizeof(*own));
		if (own) {
			*own = (struct own){contexts, context, process};
			contexts = own;
		}
	}
	if (own)
		r = set(&own->settings, attribute, value, bytes);
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult shim_cuCoredumpGetAttributeGlobal(CUcoredumpSettings attribute, void *value, size_t *bytes)
{
	pthread_mutex_lock(&lock);
	CUresult r = get(&process, attribute, value, bytes);
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult shim_cuCoredumpSetAttributeGlobal(CUcoredumpSettings attribute, void *value, size_t *bytes)
{
	pthread_mutex_lock(&lock);
	CUresult r = set(&process, attribute, value, bytes);
	pthread_mutex_unlock(&lock);
	return r;
}
