/*
 * Two sparse arrays per kind, one for ids of the client, one for ids minted here, each a directory
 * of small pages that appear when an index in them is first used and stay; and one hash from
 * (kind, backend handle) back to the id.
 *
 * Every call looks up ids, few calls make or end them. So lookups take no lock: they go from an
 * atomic pointer to an entry whose generation is published last and withdrawn first. Changes take
 * the mutex. A lookup that races with the end of its own id is a race of the client's threads; it
 * may see the object or not, but never another one's handle, because the generation is read again
 * after the handle.
 */
#include "worker/handles.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define PAGE_BITS    8
#define PAGE_ENTRIES (1u << PAGE_BITS)
#define DIRECTORY    (1u << (HANDLE_INDEX_BITS - PAGE_BITS))

struct entry {
	_Atomic uint64_t real;
	_Atomic uint32_t generation; /* 0: no object */
	uint32_t next;		     /* worker's space: the last generation used here */
};

struct page {
	struct entry entries[PAGE_ENTRIES];
};

struct space {
	struct page *_Atomic *_Atomic pages; /* DIRECTORY of them, NULL until the first id */
	uint32_t used;			     /* worker's space: indices below were given out */
	uint32_t *holes;		     /* worker's space: indices to give out again */
	uint32_t n_holes, max_holes;
};

struct slot {
	uint64_t real, id; /* id 0: empty */
};

struct handles {
	pthread_mutex_t lock;
	struct space spaces[2][HANDLE_N_KINDS]; /* [minted by the worker][kind] */
	struct slot *slots;			/* open addressing, a power of two of them */
	size_t n_slots, n_reverse;
	size_t budget;
	_Atomic size_t counts[HANDLE_N_KINDS];
};

/* Functions and kernels are one set to CUDA. */
static enum handle_kind family(enum handle_kind kind)
{
	return kind == HANDLE_KERNEL ? HANDLE_FUNCTION : kind;
}

struct handles *handles_new(size_t budget)
{
	struct handles *handles = calloc(1, sizeof(*handles));

	if (!handles)
		return NULL;
	pthread_mutex_init(&handles->lock, NULL);
	handles->budget = budget;
	return handles;
}

static void space_fini(struct space *space)
{
	struct page *_Atomic *pages = atomic_load_explicit(&space->pages, memory_order_relaxed);

	for (size_t i = 0; pages && i < DIRECTORY; i++)
		free(atomic_load_explicit(&pages[i], memory_order_relaxed));
	free(pages);
	free(space->holes);
}

struct handles *handles_free(struct handles *handles)
{
	if (!handles)
		return NULL;
	for (unsigned by_worker = 0; by_worker < 2; by_worker++)
		for (unsigned kind = 0; kind < HANDLE_N_KINDS; kind++)
			space_fini(&handles->spaces[by_worker][kind]);
	free(handles->slots);
	pthread_mutex_destroy(&handles->lock);
	free(handles);
	return NULL;
}

/* size zeroed bytes within the budget. */
static void *take(struct handles *handles, size_t size)
{
	if (size > handles->budget)
		return NULL;
	void *memory = calloc(1, size);
	if (memory)
		handles->budget -= size;
	return memory;
}

/* --- ids to handles --- */

static struct entry *find_entry(const struct handles *handles, uint64_t id)
{
	enum handle_kind kind = handle_kind_of(id);

	if (kind == HANDLE_NONE || kind >= HANDLE_N_KINDS || id >> 47)
		return NULL;
	const struct space *space = &handles->spaces[handle_by_worker(id)][kind];
	/* Acquire, here and below: the page's or directory's zeroes were written before it was
	 * published. */
	struct page *_Atomic *pages = atomic_load_explicit(&space->pages, memory_order_acquire);
	if (!pages)
		return NULL;
	struct page *page =
	    atomic_load_explicit(&pages[handle_index(id) >> PAGE_BITS], memory_order_acquire);
	return page ? &page->entries[handle_index(id) & (PAGE_ENTRIES - 1)] : NULL;
}

/* The entry of an index, made if need be; NULL over the budget. Under the lock. */
static struct entry *make_entry(struct handles *handles, struct space *space, uint32_t index)
{
	struct page *_Atomic *pages = atomic_load_explicit(&space->pages, memory_order_relaxed);
	struct page *page;

	if (!pages) {
		pages = take(handles, DIRECTORY * sizeof(*pages));
		if (!pages)
			return NULL;
		atomic_store_explicit(&space->pages, pages, memory_order_release);
	}
	page = atomic_load_explicit(&pages[index >> PAGE_BITS], memory_order_relaxed);
	if (!page) {
		page = take(handles, sizeof(*page));
		if (!page)
			return NULL;
		atomic_store_explicit(&pages[index >> PAGE_BITS], page, memory_order_release);
	}
	return &page->entries[index & (PAGE_ENTRIES - 1)];
}

uint64_t handles_find(const struct handles *handles, enum handle_kind kind, uint64_t id)
{
	if (family(handle_kind_of(id)) != family(kind))
		return 0;
	struct entry *entry = find_entry(handles, id);
	if (!entry)
		return 0;
	/* Acquire: the handle was stored before the generation was published. */
	uint32_t generation = atomic_load_explicit(&entry->generation, memory_order_acquire);
	uint64_t real = atomic_load_explicit(&entry->real, memory_order_acquire);
	/* A forget in between withdrew the generation before anything else changed. */
	if (!generation || generation != handle_generation(id) ||
	    atomic_load_explicit(&entry->generation, memory_order_relaxed) != generation)
		return 0;
	return real;
}

/* --- handles to ids: linear probing; deletion moves later slots of the cluster back --- */

static size_t slot_home(const struct handles *handles, enum handle_kind kind, uint64_t real)
{
	uint64_t hash = (real ^ (uint64_t)family(kind) << 56) * 0x9e3779b97f4a7c15ull;

	return (hash ^ hash >> 32) & (handles->n_slots - 1);
}

static struct slot *slot_find(const struct handles *handles, enum handle_kind kind, uint64_t real)
{
	if (!handles->n_slots)
		return NULL;
	size_t i = slot_home(handles, kind, real);
	while (handles->slots[i].id &&
	       (handles->slots[i].real != real ||
		   family(handle_kind_of(handles->slots[i].id)) != family(kind)))
		i = (i + 1) & (handles->n_slots - 1);
	return &handles->slots[i];
}

static int slots_grow(struct handles *handles)
{
	struct slot *old = handles->slots;
	size_t n_old = handles->n_slots, n_new = n_old ? n_old * 2 : 64;
	struct slot *slots = take(handles, n_new * sizeof(*slots));

	if (!slots)
		return HANDLES_FULL;
	handles->slots = slots;
	handles->n_slots = n_new;
	for (size_t i = 0; i < n_old; i++)
		if (old[i].id)
			*slot_find(handles, handle_kind_of(old[i].id), old[i].real) = old[i];
	handles->budget += n_old * sizeof(*old);
	free(old);
	return 0;
}

/* Room for one more, then the newest id of a handle wins. */
static int slot_put(struct handles *handles, enum handle_kind kind, uint64_t real, uint64_t id)
{
	if (handles->n_reverse * 2 >= handles->n_slots && slots_grow(handles))
		return HANDLES_FULL;
	struct slot *slot = slot_find(handles, kind, real);
	handles->n_reverse += !slot->id;
	*slot = (struct slot){real, id};
	return 0;
}

static void slot_remove(struct handles *handles, enum handle_kind kind, uint64_t real, uint64_t id)
{
	size_t mask = handles->n_slots - 1;
	struct slot *slot = slot_find(handles, kind, real);

	if (slot->id != id) /* a newer id took the handle over */
		return;
	handles->n_reverse--;
	size_t hole = (size_t)(slot - handles->slots);
	for (size_t i = (hole + 1) & mask; handles->slots[i].id; i = (i + 1) & mask) {
		size_t home = slot_home(
		    handles, handle_kind_of(handles->slots[i].id), handles->slots[i].real);
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			handles->slots[hole] = handles->slots[i];
			hole = i;
		}
	}
	handles->slots[hole] = (struct slot){0, 0};
}

uint64_t handles_id_of(struct handles *handles, enum handle_kind kind, uint64_t real)
{
	pthread_mutex_lock(&handles->lock);
	const struct slot *slot = slot_find(handles, kind, real);
	uint64_t id = slot ? slot->id : 0;
	pthread_mutex_unlock(&handles->lock);
	return id;
}

/* --- changes --- */

static int enter(struct handles *handles, struct entry *entry, uint64_t id, uint64_t real)
{
	if (slot_put(handles, handle_kind_of(id), real, id))
		return HANDLES_FULL;
	/* Release: a lookup of an older id that sees this handle sees its own generation gone. */
	atomic_store_explicit(&entry->real, real, memory_order_release);
	/* Release: whoever sees the generation sees the handle. */
	atomic_store_explicit(&entry->generation, handle_generation(id), memory_order_release);
	atomic_fetch_add_explicit(&handles->counts[handle_kind_of(id)], 1, memory_order_relaxed);
	return 0;
}

int handles_adopt(struct handles *handles, enum handle_kind kind, uint64_t id, uint64_t real)
{
	int r = HANDLES_TAKEN;

	if (handle_kind_of(id) != kind || kind == HANDLE_NONE || kind >= HANDLE_N_KINDS ||
	    id >> 46 || !handle_generation(id) || !real)
		return HANDLES_TAKEN;
	pthread_mutex_lock(&handles->lock);
	struct entry *entry = make_entry(handles, &handles->spaces[false][kind], handle_index(id));
	if (!entry)
		r = HANDLES_FULL;
	else if (!atomic_load_explicit(&entry->generation, memory_order_relaxed))
		r = enter(handles, entry, id, real);
	pthread_mutex_unlock(&handles->lock);
	return r;
}

static int mint(struct handles *handles, enum handle_kind kind, uint64_t real, uint64_t *id)
{
	struct space *space = &handles->spaces[true][kind];
	bool again = space->n_holes > 0;
	uint32_t index = again ? space->holes[space->n_holes - 1] : space->used;

	if (index > HANDLE_INDEX_MAX)
		return HANDLES_FULL;
	struct entry *entry = make_entry(handles, space, index);
	if (!entry)
		return HANDLES_FULL;
	uint32_t generation = entry->next >= 0xffff ? 1 : entry->next + 1;
	*id = handle_id(true, kind, generation, index);
	if (enter(handles, entry, *id, real))
		return HANDLES_FULL;
	entry->next = generation;
	space->n_holes -= again;
	space->used += !again;
	return 0;
}

int handles_mint(struct handles *handles, enum handle_kind kind, uint64_t real, uint64_t *id)
{
	int r = 0;

	pthread_mutex_lock(&handles->lock);
	const struct slot *slot = slot_find(handles, kind, real);
	if (slot && slot->id)
		*id = slot->id;
	else
		r = mint(handles, kind, real, id);
	pthread_mutex_unlock(&handles->lock);
	return r;
}

/* Remembers index for the next mint; one that finds no memory is simply not used again. */
static void space_leave_hole(struct handles *handles, struct space *space, uint32_t index)
{
	if (space->n_holes == space->max_holes) {
		uint32_t max = space->max_holes ? space->max_holes * 2 : 64;
		uint32_t *holes = take(handles, max * sizeof(*holes));
		if (!holes)
			return;
		for (uint32_t i = 0; i < space->n_holes; i++)
			holes[i] = space->holes[i];
		handles->budget += space->max_holes * sizeof(*holes);
		free(space->holes);
		space->holes = holes;
		space->max_holes = max;
	}
	space->holes[space->n_holes++] = index;
}

void handles_forget(struct handles *handles, enum handle_kind kind, uint64_t id)
{
	if (family(handle_kind_of(id)) != family(kind))
		return;
	pthread_mutex_lock(&handles->lock);
	struct entry *entry = find_entry(handles, id);
	if (entry && handle_generation(id) &&
	    atomic_load_explicit(&entry->generation, memory_order_relaxed) ==
		handle_generation(id)) {
		/* Relaxed: enter() publishes it together with the next handle. */
		atomic_store_explicit(&entry->generation, 0, memory_order_relaxed);
		slot_remove(handles, handle_kind_of(id),
		    atomic_load_explicit(&entry->real, memory_order_relaxed), id);
		if (handle_by_worker(id))
			space_leave_hole(
			    handles, &handles->spaces[true][handle_kind_of(id)], handle_index(id));
		atomic_fetch_sub_explicit(
		    &handles->counts[handle_kind_of(id)], 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&handles->lock);
}

int handles_replace(struct handles *handles, enum handle_kind kind, uint64_t id, uint64_t real)
{
	int r = HANDLES_TAKEN;

	pthread_mutex_lock(&handles->lock);
	struct entry *entry = handle_kind_of(id) == kind && real ? find_entry(handles, id) : NULL;
	if (entry && handle_generation(id) &&
	    atomic_load_explicit(&entry->generation, memory_order_relaxed) == handle_generation(id))
		r = slot_put(handles, kind, real, id);
	if (r == 0) {
		slot_remove(
		    handles, kind, atomic_load_explicit(&entry->real, memory_order_relaxed), id);
		/* Release: whoever is told of the new handle by us sees it here as well. */
		atomic_store_explicit(&entry->real, real, memory_order_release);
	}
	pthread_mutex_unlock(&handles->lock);
	return r;
}

size_t handles_list(struct handles *handles, enum handle_kind kind, uint64_t *reals, size_t room)
{
	size_t n = 0;

	pthread_mutex_lock(&handles->lock);
	for (size_t i = 0; i < handles->n_slots; i++) {
		const struct slot *slot = &handles->slots[i];
		if (!slot->id || family(handle_kind_of(slot->id)) != family(kind))
			continue;
		if (n < room)
			reals[n] = slot->real;
		n++;
	}
	pthread_mutex_unlock(&handles->lock);
	return n;
}

size_t handles_count_of(const struct handles *handles, enum handle_kind kind)
{
	/* Relaxed: who needs to see an id has made it, or was told of it. */
	return atomic_load_explicit(&handles->counts[kind], memory_order_relaxed);
}

size_t handles_count(const struct handles *handles)
{
	size_t count = 0;

	for (unsigned kind = 0; kind < HANDLE_N_KINDS; kind++)
		count += handles_count_of(handles, (enum handle_kind)kind);
	return count;
}
