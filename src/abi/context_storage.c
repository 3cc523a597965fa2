/*
 * A fixed array of buckets, each a list that only grows at its head: an entry, once made for a pair
 * of context and key, stays for the life of the process, and deleting means marking its value
 * absent. So a reader needs no lock and can never meet freed memory. The price is some 50 bytes for
 * every pair ever seen: a process has a handful of runtime copies and contexts.
 *
 * Writers are serialised by one mutex. A reader that races with a put or delete sees the old or the
 * new value, as it would with a lock.
 */
#include "abi/context_storage.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#define STORAGE_BUCKETS 256

struct storage_entry {
	struct storage_entry *next; /* constant once published */
	CUcontext context;
	void *key;
	_Atomic(void *) value; /* &storage_absent: none */
	abi_storage_destructor *destructor;
};

static char storage_absent;
static _Atomic(struct storage_entry *) storage_buckets[STORAGE_BUCKETS];
static pthread_mutex_t storage_lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned storage_bucket(CUcontext context, const void *key)
{
	uint64_t mixed = ((uint64_t)context * 31 + (uint64_t)key) * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned)(mixed >> 56) % STORAGE_BUCKETS;
}

static struct storage_entry *storage_find(CUcontext context, const void *key)
{
	/* Acquire: pairs with the release in storage_entry_new(), which filled the entry before. */
	struct storage_entry *entry = atomic_load_explicit(
	    &storage_buckets[storage_bucket(context, key)], memory_order_acquire);

	while (entry && (entry->context != context || entry->key != key))
		entry = entry->next;
	return entry;
}

static struct storage_entry *storage_entry_new(CUcontext context, void *key)
{
	struct storage_entry *entry = malloc(sizeof(*entry));

	if (!entry)
		return NULL;
	_Atomic(struct storage_entry *) *head = &storage_buckets[storage_bucket(context, key)];
	*entry = (struct storage_entry){
	    .next = atomic_load_explicit(head, memory_order_relaxed), /* the lock orders writers */
	    .context = context,
	    .key = key,
	    .value = &storage_absent,
	};
	atomic_store_explicit(head, entry, memory_order_release);
	return entry;
}

bool abi_storage_get(CUcontext context, void *key, void **value)
{
	struct storage_entry *entry = storage_find(context, key);

	if (!entry)
		return false;
	/* Acquire: what the putting thread wrote behind the value is visible to the reader. */
	void *found = atomic_load_explicit(&entry->value, memory_order_acquire);
	if (found == &storage_absent)
		return false;
	*value = found;
	return true;
}

bool abi_storage_put(CUcontext context, void *key, void *value, abi_storage_destructor *destructor)
{
	pthread_mutex_lock(&storage_lock);
	struct storage_entry *entry = storage_find(context, key) ?: storage_entry_new(context, key);
	if (entry) {
		entry->destructor = destructor;
		atomic_store_explicit(&entry->value, value, memory_order_release);
	}
	pthread_mutex_unlock(&storage_lock);
	return entry;
}

bool abi_storage_delete(CUcontext context, void *key)
{
	bool found = false;

	pthread_mutex_lock(&storage_lock);
	struct storage_entry *entry = storage_find(context, key);
	if (entry)
		found = atomic_exchange_explicit(&entry->value, &storage_absent,
			    memory_order_relaxed) != &storage_absent;
	pthread_mutex_unlock(&storage_lock);
	return found;
}

/* Takes one value of the context out. False: none is left. */
static bool storage_take(
    CUcontext context, void **key, void **value, abi_storage_destructor **destructor)
{
	bool found = false;

	pthread_mutex_lock(&storage_lock);
	for (int i = 0; i < STORAGE_BUCKETS && !found; i++) {
		struct storage_entry *entry =
		    atomic_load_explicit(&storage_buckets[i], memory_order_relaxed);
		for (; entry && !found; entry = entry->next) {
			if (entry->context != context)
				continue;
			*key = entry->key;
			*destructor = entry->destructor;
			*value = atomic_exchange_explicit(
			    &entry->value, &storage_absent, memory_order_acquire);
			found = *value != &storage_absent;
		}
	}
	pthread_mutex_unlock(&storage_lock);
	return found;
}

void abi_storage_drop(CUcontext context)
{
	abi_storage_destructor *destructor;
	void *key, *value;

	while (storage_take(context, &key, &value, &destructor))
		if (destructor)
			destructor(context, key, value);
}

void abi_storage_after_fork(void)
{
	pthread_mutex_init(&storage_lock, NULL);
}
