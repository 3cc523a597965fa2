/*
 * Functions: see function.h for what is remembered and why. Answers are kept per function until one
 * of its attributes is set; ids are never used again while anybody could mean the old function, so
 * unloading a module needs no search here. The setting `cache` switches all remembering off but the
 * parameter layout, without which nothing can be launched.
 *
 * Attributes of a kernel exist per device; what is remembered is of the device asked for first,
 * which is the only one in nearly every program.
 */
#include "shim/function.h"

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/context.h"
#include "shim/graph_change.h"
#include "shim/object.h"
#include "shim/session.h"
#include "shim/text.h"
#include "shim/thread.h"
#include "wire/limits.h"

#define LAYOUT_FIRST 64

static CUresult fetch_layout(
    CUfunction handle, uint64_t **layout, unsigned *n, int *max_threads, int *static_shared)
{
	unsigned capacity = LAYOUT_FIRST;

	for (;;) {
		*layout = calloc(capacity, sizeof(**layout));
		if (!*layout)
			return CUDA_ERROR_OUT_OF_MEMORY;
		CUresult r = remote_rosenFunctionInfo(
		    handle, *layout, capacity, n, max_threads, static_shared);
		if (r == CUDA_SUCCESS && *n > WIRE_PARAMETERS_MAX)
			r = CUDA_ERROR_UNKNOWN;
		if (r == CUDA_SUCCESS && *n <= capacity)
			return CUDA_SUCCESS;
		free(*layout);
		if (r != CUDA_SUCCESS)
			return r;
		capacity = *n;
	}
}

static struct function *function_new(const uint64_t *layout, unsigned n)
{
	size_t head = sizeof(struct function) + n * sizeof(struct function_parameter);
	uint32_t bytes = 0;

	for (unsigned i = 0; i < n; i++) {
		uint32_t offset = (uint32_t)layout[i], size = (uint32_t)(layout[i] >> 32);
		if (offset > WIRE_PARAMETER_BYTES_MAX || size > WIRE_PARAMETER_BYTES_MAX - offset)
			return NULL;
		bytes = MAX(bytes, offset + size);
	}
	struct function *f = calloc(1, head + bytes);
	if (!f)
		return NULL;
	f->n_parameters = n;
	f->bytes = bytes;
	f->old.buffer = (char *)f + head;
	f->old.room = bytes;
	for (unsigned i = 0; i < n; i++)
		f->parameter[i] =
		    (struct function_parameter){(uint32_t)layout[i], (uint32_t)(layout[i] >> 32)};
	f->dynamic_limit = -1;
	f->device = CU_DEVICE_INVALID;
	return f;
}

static CUresult fetch(CUfunction handle, enum handle_kind kind, struct function **out)
{
	int max_threads, static_shared;
	uint64_t *layout;
	unsigned n;

	CUresult r = fetch_layout(handle, &layout, &n, &max_threads, &static_shared);
	if (r != CUDA_SUCCESS)
		return r;
	struct function *f = function_new(layout, n);
	free(layout);
	if (!f)
		return CUDA_ERROR_OUT_OF_MEMORY;
	f->max_threads = max_threads;
	f->static_shared = static_shared;
	*out = shim_object_attach((uint64_t)handle, kind, f);
	if (*out != f)
		free(f);
	return *out ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult function_find(CUfunction handle, struct function **out)
{
	enum handle_kind kind = handle_kind_of((uint64_t)handle);

	*out = shim_object((uint64_t)handle, kind);
	if (likely(*out && (kind == HANDLE_FUNCTION || kind == HANDLE_KERNEL)))
		return CUDA_SUCCESS;
	*out = NULL;
	if (kind != HANDLE_FUNCTION && kind != HANDLE_KERNEL)
		return CUDA_ERROR_INVALID_HANDLE;
	return fetch(handle, kind, out);
}

/* --- attributes --- */

/* The record if attributes of this device may be remembered in it, else NULL. */
static struct function *remembering(CUfunction handle, CUdevice device)
{
	struct function *f = shim_object((uint64_t)handle, handle_kind_of((uint64_t)handle));

	if (!session.cache || (!f && function_find(handle, &f) != CUDA_SUCCESS))
		return NULL;
	CUdevice known = atomic_load_explicit(&f->device, memory_order_relaxed);
	if (unlikely(known == CU_DEVICE_INVALID &&
		     atomic_compare_exchange_strong(&f->device, &known, device)))
		known = device;
	return known == device ? f : NULL;
}

static bool remembered(const _Atomic uint32_t *bits, const _Atomic int *values,
    CUfunction_attribute attribute, int *value)
{
	if (!(atomic_load_explicit(bits, memory_order_acquire) & 1u << attribute))
		return false;
	*value = atomic_load_explicit(&values[attribute], memory_order_relaxed);
	return true;
}

static void remember(
    _Atomic uint32_t *bits, _Atomic int *values, CUfunction_attribute attribute, int value)
{
	atomic_store_explicit(&values[attribute], value, memory_order_relaxed);
	/* Release: who sees the bit sees the value. */
	atomic_fetch_or_explicit(bits, 1u << attribute, memory_order_release);
}

static bool attribute_known(struct function *f, CUfunction_attribute attribute, int *value)
{
	return f && (unsigned)attribute < FUNCTION_ATTRIBUTES &&
	       remembered(&f->known, f->attribute, attribute, value);
}

static void attribute_note(struct function *f, CUfunction_attribute attribute, int value)
{
	if (f && (unsigned)attribute < FUNCTION_ATTRIBUTES)
		remember(&f->known, f->attribute, attribute, value);
}

static bool attribute_is_set(struct function *f, CUfunction_attribute attribute, int value)
{
	int set;

	return f && (unsigned)attribute < FUNCTION_ATTRIBUTES &&
	       remembered(&f->was_set, f->set, attribute, &set) && set == value;
}

static void forget_answers(struct function *f, CUfunction_attribute attribute)
{
	atomic_fetch_and_explicit(&f->known, ~(1u << attribute), memory_order_relaxed);
	atomic_fetch_and_explicit(&f->was_set, ~(1u << attribute), memory_order_relaxed);
	for (int i = 0; i < FUNCTION_OCCUPANCY; i++)
		atomic_store_explicit(&f->occupancy[i], 0, memory_order_relaxed);
}

/* The backend may make another value of it, which is asked for when somebody wants to know. What is
 * set on a kernel holds for its function too. */
static void attribute_was_set(struct function *f, CUfunction_attribute attribute, int value)
{
	if (!f || (unsigned)attribute >= FUNCTION_ATTRIBUTES)
		return;
	graph_changes_forget();
	forget_answers(f, attribute);
	struct function *same = shim_object(
	    (uint64_t)atomic_load_explicit(&f->function, memory_order_acquire), HANDLE_FUNCTION);
	if (same) {
		forget_answers(same, attribute);
		atomic_store_explicit(&same->dynamic_limit, -1, memory_order_relaxed);
	}
	if (attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)
		atomic_store_explicit(&f->dynamic_limit, value, memory_order_relaxed);
	remember(&f->was_set, f->set, attribute, value);
}

CUresult shim_cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function)
{
	struct function *f = remembering(function, shim_thread.device);

	if (attribute_known(f, attribute, value))
		return CUDA_SUCCESS;
	CUresult r = remote_cuFuncGetAttribute(value, attribute, function);
	if (r == CUDA_SUCCESS)
		attribute_note(f, attribute, *value);
	return r;
}

CUresult shim_cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value)
{
	struct function *f = remembering(function, shim_thread.device);

	if (attribute_is_set(f, attribute, value))
		return CUDA_SUCCESS;
	CUresult r = remote_cuFuncSetAttribute(function, attribute, value);
	if (r == CUDA_SUCCESS)
		attribute_was_set(f, attribute, value);
	return r;
}

CUresult shim_cuKernelGetAttribute(
    int *value, CUfunction_attribute attribute, CUkernel kernel, CUdevice device)
{
	struct function *f = remembering((CUfunction)kernel, device);

	if (attribute_known(f, attribute, value))
		return CUDA_SUCCESS;
	CUresult r = remote_cuKernelGetAttribute(value, attribute, kernel, device);
	if (r == CUDA_SUCCESS)
		attribute_note(f, attribute, *value);
	return r;
}

CUresult shim_cuKernelSetAttribute(
    CUfunction_attribute attribute, int value, CUkernel kernel, CUdevice device)
{
	struct function *f = remembering((CUfunction)kernel, device);

	if (attribute_is_set(f, attribute, value))
		return CUDA_SUCCESS;
	CUresult r = remote_cuKernelSetAttribute(attribute, value, kernel, device);
	if (r == CUDA_SUCCESS)
		attribute_was_set(f, attribute, value);
	return r;
}

CUresult shim_cuKernelGetFunction(CUfunction *function, CUkernel kernel)
{
	struct function *f = NULL;
	uint64_t context = 0, none = 0;

	if (context_id(NULL, &context) != CUDA_SUCCESS)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (session.cache && function_find((CUfunction)kernel, &f) == CUDA_SUCCESS) {
		*function = atomic_load_explicit(&f->function, memory_order_acquire);
		if (*function && f->function_context == context)
			return CUDA_SUCCESS;
	}
	CUresult r = remote_cuKernelGetFunction(function, kernel);
	/* The first context's answer is kept for good, so that no reader sees a mixture. */
	if (r == CUDA_SUCCESS && f &&
	    atomic_compare_exchange_strong(&f->function_context, &none, context))
		atomic_store_explicit(&f->function, *function, memory_order_release);
	return r;
}

/* --- names --- */

typedef CUresult fetch_name(char *name, size_t capacity, size_t *length, uint64_t handle);

static CUresult fetch_function_name(char *name, size_t capacity, size_t *length, uint64_t handle)
{
	return remote_cuFuncGetName(name, capacity, length, (CUfunction)handle);
}

static CUresult fetch_kernel_name(char *name, size_t capacity, size_t *length, uint64_t handle)
{
	return remote_cuKernelGetName(name, capacity, length, (CUkernel)handle);
}

/* Names come back as text this library lends for as long as the process lives. */
static CUresult name_of(uint64_t handle, fetch_name *ask, const char **name)
{
	struct function *f = shim_object(handle, handle_kind_of(handle));
	size_t capacity = 512, length = 0;
	CUresult r;

	if (f && (*name = atomic_load_explicit(&f->name, memory_order_acquire)))
		return CUDA_SUCCESS;
	for (;;) {
		char *text = malloc(capacity + 1);
		if (!text)
			return CUDA_ERROR_OUT_OF_MEMORY;
		r = ask(text, capacity, &length, handle);
		bool fits = length <= capacity;
		if (r == CUDA_SUCCESS && fits) {
			text[length] = '\0';
			*name = text_keep(text);
			if (!*name)
				r = CUDA_ERROR_OUT_OF_MEMORY;
		}
		free(text);
		if (r != CUDA_SUCCESS || fits)
			break;
		if (length > WIRE_RECORD_MAX)
			return CUDA_ERROR_UNKNOWN;
		capacity = length;
	}
	if (r == CUDA_SUCCESS && f)
		atomic_store_explicit(&f->name, *name, memory_order_release);
	return r;
}

CUresult shim_cuFuncGetName(const char **name, CUfunction function)
{
	return name_of((uint64_t)function, fetch_function_name, name);
}

CUresult shim_cuKernelGetName(const char **name, CUkernel kernel)
{
	return name_of((uint64_t)kernel, fetch_kernel_name, name);
}
