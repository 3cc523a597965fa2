/*
 * As long as no image that may print was loaded, all of this is one look at a flag. After that,
 * each launch looks its function up; if that is not known to be silent, its stream is noted.
 *
 * A kernel's text is due also at a wait for another stream or an event, if that comes after the
 * kernel; whether it does is not known here. So all waits synchronise while any stream is noted. A
 * note goes when its own stream was synchronised. There is room for a few notes: once there are
 * more streams than that, every wait synchronises from then on.
 */
#include "worker/prints.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "abi/image.h"
#include "base/util.h"
#include "worker/code_prints.h"
#include "worker/worker.h"

#define NOTES_MAX   16
#define SILENT_MAX  (1u << 20) /* handles remembered; what comes later may print */
#define SLOTS_FIRST 64u

struct note {
	CUcontext context;
	CUstream stream;
	uint64_t launch; /* the number of the newest */
};

struct prints {
	_Atomic bool any;      /* code that may print was loaded. Any thread */
	_Atomic bool overflow; /* more streams than notes */
	_Atomic unsigned n_notes;
	_Atomic uint64_t launches; /* noted ones */

	pthread_mutex_t lock; /* of everything below, and of changes above */
	struct note notes[NOTES_MAX];
	uint64_t *silent; /* handles, open addressing, 0: empty */
	size_t n_silent, n_slots;
};

struct prints *prints_new(void)
{
	struct prints *prints = calloc(1, sizeof(*prints));

	if (prints)
		pthread_mutex_init(&prints->lock, NULL);
	return prints;
}

struct prints *prints_free(struct prints *prints)
{
	if (!prints)
		return NULL;
	pthread_mutex_destroy(&prints->lock);
	free(prints->silent);
	free(prints);
	return NULL;
}

/* --- silent code. Under the lock --- */

static uint64_t *slot_of(uint64_t *slots, size_t n, uint64_t handle)
{
	size_t i = (handle >> 4) * 0x9e3779b97f4a7c15 >> 32;

	while (slots[i & (n - 1)] && slots[i & (n - 1)] != handle)
		i++;
	return &slots[i & (n - 1)];
}

static bool grow(struct prints *prints)
{
	size_t n = prints->n_slots ? prints->n_slots * 2 : SLOTS_FIRST;
	uint64_t *slots = n <= 2 * SILENT_MAX ? calloc(n, sizeof(*slots)) : NULL;

	if (!slots)
		return false;
	for (size_t i = 0; i < prints->n_slots; i++)
		if (prints->silent[i])
			*slot_of(slots, n, prints->silent[i]) = prints->silent[i];
	free(prints->silent);
	prints->silent = slots;
	prints->n_slots = n;
	return true;
}

static bool is_silent(const struct prints *prints, uint64_t handle)
{
	return prints->n_slots && *slot_of(prints->silent, prints->n_slots, handle);
}

static void add_silent(struct prints *prints, uint64_t handle)
{
	if (2 * (prints->n_silent + 1) > prints->n_slots && !grow(prints))
		return;
	uint64_t *slot = slot_of(prints->silent, prints->n_slots, handle);
	prints->n_silent += !*slot;
	*slot = handle;
}

/* --- what is loaded --- */

static unsigned capability_of(const struct backend *backend, CUdevice device)
{
	int major = 0, minor = 0;

	backend->cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device);
	backend->cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device);
	return (unsigned)(major * 10 + minor);
}

static bool image_prints(const struct backend *backend, const struct abi_image *image)
{
	unsigned capabilities[WIRE_DEVICES_MAX], n = 0;
	int devices = 0;

	backend->cuDeviceGetCount(&devices);
	for (int i = 0; i < MIN(devices, (int)WIRE_DEVICES_MAX); i++) {
		capabilities[n] = capability_of(backend, i);
		if (!n || capabilities[n] != capabilities[n - 1])
			n++;
	}
	return code_prints(image, capabilities, n);
}

void prints_loaded(struct call *call, const struct abi_image *image, const void *code)
{
	struct prints *prints = call->worker->prints;
	bool silent =
	    image && call->worker->options.quiet_waits && !image_prints(call->backend, image);

	pthread_mutex_lock(&prints->lock);
	if (silent)
		add_silent(prints, (uint64_t)code);
	pthread_mutex_unlock(&prints->lock);
	/* Relaxed: the client hears of the code later, and launches later still. */
	if (!silent)
		atomic_store_explicit(&prints->any, true, memory_order_relaxed);
}

void prints_derived(struct call *call, const void *from, const void *to)
{
	struct prints *prints = call->worker->prints;

	pthread_mutex_lock(&prints->lock);
	if (is_silent(prints, (uint64_t)from))
		add_silent(prints, (uint64_t)to);
	pthread_mutex_unlock(&prints->lock);
}

void prints_forget(struct worker *worker)
{
	struct prints *prints = worker->prints;

	pthread_mutex_lock(&prints->lock);
	free(prints->silent);
	prints->silent = NULL;
	prints->n_silent = prints->n_slots = 0;
	pthread_mutex_unlock(&prints->lock);
}

/* --- launches and waits --- */

static struct note *find(struct prints *prints, CUcontext context, CUstream stream)
{
	unsigned n = atomic_load_explicit(&prints->n_notes, memory_order_relaxed);

	for (unsigned i = 0; i < n; i++)
		if (prints->notes[i].context == context && prints->notes[i].stream == stream)
			return &prints->notes[i];
	return NULL;
}

static void note(struct prints *prints, CUcontext context, CUstream stream)
{
	unsigned n = atomic_load_explicit(&prints->n_notes, memory_order_relaxed);
	struct note *note = find(prints, context, stream);

	if (!note && n == NOTES_MAX) {
		atomic_store_explicit(&prints->overflow, true, memory_order_relaxed);
		return;
	}
	if (!note) {
		note = &prints->notes[n];
		atomic_store_explicit(&prints->n_notes, n + 1, memory_order_relaxed);
	}
	*note = (struct note){context, stream,
	    atomic_fetch_add_explicit(&prints->launches, 1, memory_order_relaxed) + 1};
}

void prints_launched(struct call *call, const void *function, CUstream stream)
{
	struct prints *prints = call->worker->prints;

	if (likely(!atomic_load_explicit(&prints->any, memory_order_relaxed)))
		return;
	pthread_mutex_lock(&prints->lock);
	if (!function || !is_silent(prints, (uint64_t)function))
		note(prints, call_job(call)->from.context,
		    stream == CU_STREAM_LEGACY ? NULL : stream);
	pthread_mutex_unlock(&prints->lock);
}

bool prints_pending(struct worker *worker)
{
	struct prints *prints = worker->prints;

	/* Relaxed: a launch and the wait for it pass through the dispatcher one after the other. */
	return !worker->options.quiet_waits ||
	       atomic_load_explicit(&prints->n_notes, memory_order_relaxed) ||
	       atomic_load_explicit(&prints->overflow, memory_order_relaxed);
}

uint64_t prints_mark(struct worker *worker)
{
	return atomic_load_explicit(&worker->prints->launches, memory_order_relaxed);
}

void prints_written(struct call *call, CUstream stream, uint64_t mark)
{
	struct prints *prints = call->worker->prints;

	if (likely(!atomic_load_explicit(&prints->n_notes, memory_order_relaxed)))
		return;
	pthread_mutex_lock(&prints->lock);
	struct note *note =
	    find(prints, call_job(call)->from.context, stream == CU_STREAM_LEGACY ? NULL : stream);
	if (note && note->launch <= mark) {
		unsigned last =
		    atomic_fetch_sub_explicit(&prints->n_notes, 1, memory_order_relaxed) - 1;
		*note = prints->notes[last];
	}
	pthread_mutex_unlock(&prints->lock);
}
