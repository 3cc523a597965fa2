/*
 * Slots in a reserved region that the kernel fills with zero pages on first touch. Freed slots
 * queue up at the end of the free list, so that a stale handle stays recognisable for as long as
 * possible.
 */
#include "softgpu/driver/handle.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/error.h"

#define HANDLE_SLOTS (16u << 20)

struct handle_slot {
	_Atomic(enum sg_kind) kind;
	void *object; /* of a free slot: the next free one */
};

static struct handle_slot *handle_slots;
static size_t handle_used; /* slots ever handed out */
static struct handle_slot *handle_free_first, *handle_free_last;
static pthread_mutex_t handle_lock = PTHREAD_MUTEX_INITIALIZER;

int sg_handle_init(void)
{
	void *got = mmap(NULL, HANDLE_SLOTS * sizeof(struct handle_slot), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (got == MAP_FAILED)
		return error_origin(-ENOMEM);
	handle_slots = got;
	return 0;
}

void *sg_handle_new(enum sg_kind kind, void *object)
{
	struct handle_slot *slot = NULL;

	pthread_mutex_lock(&handle_lock);
	if (handle_used < HANDLE_SLOTS && (handle_used < 1024 || !handle_free_first)) {
		slot = &handle_slots[handle_used++];
	} else if (handle_free_first) {
		slot = handle_free_first;
		handle_free_first = slot->object;
	}
	pthread_mutex_unlock(&handle_lock);
	if (!slot)
		return NULL;
	slot->object = object;
	/* Release: a thread that is given the handle and looks it up sees the object. */
	atomic_store_explicit(&slot->kind, kind, memory_order_release);
	return slot;
}

void *sg_handle_get(const void *handle, enum sg_kind kind)
{
	uintptr_t offset = (uintptr_t)handle - (uintptr_t)handle_slots;
	const struct handle_slot *slot = handle;

	if (!handle_slots || offset >= HANDLE_SLOTS * sizeof(*slot) || offset % sizeof(*slot))
		return NULL;
	/* Acquire: pairs with the release of sg_handle_new(). */
	if (atomic_load_explicit(&slot->kind, memory_order_acquire) != kind)
		return NULL;
	return slot->object;
}

void sg_handle_free(void *handle)
{
	struct handle_slot *slot = handle;

	if (!slot)
		return;
	pthread_mutex_lock(&handle_lock);
	/* Relaxed: ending a handle that is being used elsewhere is the program's mistake. */
	atomic_store_explicit(&slot->kind, SG_NOTHING, memory_order_relaxed);
	slot->object = NULL;
	if (handle_free_first)
		handle_free_last->object = slot;
	else
		handle_free_first = slot;
	handle_free_last = slot;
	pthread_mutex_unlock(&handle_lock);
}
