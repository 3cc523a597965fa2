/*
 * Ids of remoted objects as the client knows them: which are alive, and what the shim attached.
 *
 * One table per kind and minter. A table is a list of chunks, each twice as large as the one before
 * and never moved or freed, so that a reader needs no lock: index to chunk is a count of leading
 * zeros. A slot's word holds generation and life in one atomic: an id is alive when its generation
 * equals the slot's and the life bit is set. Minting and dropping take the table's mutex and keep
 * dead slots in a first-in-first-out list, so that a stale id stays recognisable for as long as
 * possible before its index is used again.
 *
 * Ids minted by the worker are not counted here (they are alive as far as the client knows); their
 * slots exist only to attach objects to, and are made on demand.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "shim/call.h"
#include "shim/object.h"

#define CHUNK_FIRST_BITS 6
#define N_CHUNKS	 (HANDLE_INDEX_BITS - CHUNK_FIRST_BITS + 1)
#define ALIVE		 (1u << 16)
#define GENERATION	 0xffffu
#define NO_SLOT		 UINT32_MAX

struct slot {
	_Atomic uint32_t word; /* generation, ALIVE */
	uint32_t next_free;
	_Atomic(void *) object;
};

struct table {
	_Atomic(struct slot *) chunks[N_CHUNKS];
	pthread_mutex_t lock;
	uint32_t used;			/* indices ever handed out */
	uint32_t free_first, free_last; /* valid when n_free > 0 */
	uint32_t n_free;
};

/* Dead slots are used again only when there are this many, so that a stale id is noticed. */
#define FREE_KEPT 64

static struct table tables[2][HANDLE_N_KINDS] = {
    [0 ... 1][0 ... HANDLE_N_KINDS - 1].lock = PTHREAD_MUTEX_INITIALIZER,
};

/* Objects whose ids died, the oldest of which make room for new ones. */
#define RETIRED_KEPT 256

static struct {
	pthread_mutex_t lock;
	void *object[RETIRED_KEPT];
	unsigned next;
} retired = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void retire(void *object)
{
	if (!object)
		return;
	pthread_mutex_lock(&retired.lock);
	void *oldest = retired.object[retired.next];
	retired.object[retired.next] = object;
	retired.next = (retired.next + 1) % RETIRED_KEPT;
	pthread_mutex_unlock(&retired.lock);
	free(oldest);
}

static unsigned chunk_of(uint32_t index, uint32_t *offset)
{
	uint32_t biased = index + (1u << CHUNK_FIRST_BITS);
	unsigned top = 31 - (unsigned)__builtin_clz(biased);

	*offset = biased - (1u << top);
	return top - CHUNK_FIRST_BITS;
}

/* NULL when the chunk was never made. Acquire: pairs with the release in slot_make(), so that the
 * zeroed slots are seen. */
static struct slot *slot_find(struct table *table, uint32_t index)
{
	uint32_t offset;
	struct slot *chunk =
	    atomic_load_explicit(&table->chunks[chunk_of(index, &offset)], memory_order_acquire);

	return chunk ? &chunk[offset] : NULL;
}

static struct slot *slot_make(struct table *table, uint32_t index)
{
	uint32_t offset;
	unsigned number = chunk_of(index, &offset);
	struct slot *chunk = atomic_load_explicit(&table->chunks[number], memory_order_relaxed);

	if (!chunk) {
		chunk = calloc((size_t)1 << (CHUNK_FIRST_BITS + number), sizeof(*chunk));
		if (!chunk)
			return NULL;
		atomic_store_explicit(&table->chunks[number], chunk, memory_order_release);
	}
	return &chunk[offset];
}

static struct table *table_of(uint64_t id, enum handle_kind kind)
{
	if (handle_kind_of(id) != kind || kind <= HANDLE_NONE || kind >= HANDLE_N_KINDS || id >> 47)
		return NULL;
	return &tables[handle_by_worker(id)][kind];
}

uint64_t shim_handle_new(enum handle_kind kind)
{
	struct table *table = &tables[0][kind];
	struct slot *slot = NULL;
	uint64_t id = 0;
	uint32_t index;

	pthread_mutex_lock(&table->lock);
	if (table->n_free > FREE_KEPT || table->used > HANDLE_INDEX_MAX) {
		index = table->free_first;
		slot = table->n_free ? slot_find(table, index) : NULL;
		if (slot) {
			table->free_first = slot->next_free;
			table->n_free--;
		}
	} else {
		index = table->used;
		slot = slot_make(table, index);
		if (slot)
			table->used++;
	}
	if (slot) {
		uint32_t word = atomic_load_explicit(&slot->word, memory_order_relaxed);
		uint32_t generation = (word & GENERATION) % GENERATION + 1;
		/* Release: whoever learns the id from the caller also sees the slot alive. */
		atomic_store_explicit(&slot->word, generation | ALIVE, memory_order_release);
		id = handle_id(false, kind, generation, index);
	}
	pthread_mutex_unlock(&table->lock);
	return id;
}

void shim_handle_drop(uint64_t id)
{
	struct table *table = table_of(id, handle_kind_of(id));
	uint32_t index = handle_index(id);

	if (!table || handle_by_worker(id))
		return;
	pthread_mutex_lock(&table->lock);
	struct slot *slot = slot_find(table, index);
	if (slot && atomic_load_explicit(&slot->word, memory_order_relaxed) ==
			(handle_generation(id) | ALIVE)) {
		atomic_store_explicit(&slot->word, handle_generation(id), memory_order_relaxed);
		retire(atomic_exchange_explicit(&slot->object, NULL, memory_order_acquire));
		slot->next_free = NO_SLOT;
		if (table->n_free++)
			slot_find(table, table->free_last)->next_free = index;
		else
			table->free_first = index;
		table->free_last = index;
	}
	pthread_mutex_unlock(&table->lock);
}

size_t shim_handle_count(enum handle_kind kind)
{
	struct table *table = &tables[0][kind];

	pthread_mutex_lock(&table->lock);
	size_t count = table->used - table->n_free;
	pthread_mutex_unlock(&table->lock);
	return count;
}

static struct slot *slot_alive(uint64_t id, enum handle_kind kind)
{
	struct table *table = table_of(id, kind);
	struct slot *slot = table ? slot_find(table, handle_index(id)) : NULL;

	if (!slot || atomic_load_explicit(&slot->word, memory_order_acquire) !=
			 (handle_generation(id) | ALIVE))
		return NULL;
	return slot;
}

bool shim_handle_alive(uint64_t id, enum handle_kind kind)
{
	if (handle_by_worker(id))
		return table_of(id, kind) != NULL;
	return slot_alive(id, kind) != NULL;
}

void *shim_object(uint64_t id, enum handle_kind kind)
{
	struct slot *slot = slot_alive(id, kind);

	/* Acquire: pairs with the exchange in attach, so that the object's contents are seen. */
	return slot ? atomic_load_explicit(&slot->object, memory_order_acquire) : NULL;
}

/* A slot for an id of the worker's: taken over by a new generation when the index was used
 * again. */
static struct slot *slot_of_worker(uint64_t id, struct table *table)
{
	uint32_t word = handle_generation(id) | ALIVE;

	pthread_mutex_lock(&table->lock);
	struct slot *slot = slot_make(table, handle_index(id));
	if (slot && atomic_load_explicit(&slot->word, memory_order_relaxed) != word) {
		retire(atomic_exchange_explicit(&slot->object, NULL, memory_order_acquire));
		atomic_store_explicit(&slot->word, word, memory_order_release);
	}
	pthread_mutex_unlock(&table->lock);
	return slot;
}

static struct slot *slot_to_attach(uint64_t id, enum handle_kind kind)
{
	struct table *table = table_of(id, kind);

	if (!table)
		return NULL;
	return handle_by_worker(id) ? slot_of_worker(id, table) : slot_alive(id, kind);
}

void *shim_object_attach(uint64_t id, enum handle_kind kind, void *object)
{
	struct slot *slot = slot_to_attach(id, kind);
	void *present = NULL;

	if (!slot)
		return NULL;
	if (atomic_compare_exchange_strong_explicit(
		&slot->object, &present, object, memory_order_release, memory_order_acquire))
		return object;
	return present;
}

bool shim_object_replace(uint64_t id, enum handle_kind kind, void *object)
{
	struct slot *slot = slot_to_attach(id, kind);

	if (!slot)
		return false;
	/* Release: pairs with the acquire in shim_object(). */
	retire(atomic_exchange_explicit(&slot->object, object, memory_order_acq_rel));
	return true;
}

void shim_object_init(void)
{
	struct table *table = &tables[0][HANDLE_CONTEXT];

	pthread_mutex_lock(&table->lock);
	for (; table->used < WIRE_DEVICES_MAX; table->used++) {
		struct slot *slot = slot_make(table, table->used);
		if (!slot)
			break;
		atomic_store_explicit(&slot->word, 1 | ALIVE, memory_order_release);
	}
	pthread_mutex_unlock(&table->lock);
}

void shim_object_after_fork(void)
{
	pthread_mutex_init(&retired.lock, NULL);
	for (unsigned by = 0; by < 2; by++)
		for (unsigned kind = 0; kind < HANDLE_N_KINDS; kind++)
			pthread_mutex_init(&tables[by][kind].lock, NULL);
}
