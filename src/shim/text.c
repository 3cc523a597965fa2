/*
 * See text.h: an open hash table of pointers under a mutex, doubled when half full. For names of
 * kernels, which programs may go on using after they were asked for.
 */
#include "shim/text.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char **slots;
static size_t n_slots, n_used;

/* FNV-1a */
static uint64_t hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3ull;
	return h;
}

static const char **find(const char **table, size_t size, const char *text)
{
	size_t at = hash(text) & (size - 1);

	while (table[at] && strcmp(table[at], text) != 0)
		at = (at + 1) & (size - 1);
	return &table[at];
}

static int grow(void)
{
	size_t size = n_slots ? 2 * n_slots : 256;
	const char **table = calloc(size, sizeof(*table));

	if (!table)
		return -1;
	for (size_t i = 0; i < n_slots; i++)
		if (slots[i])
			*find(table, size, slots[i]) = slots[i];
	free(slots);
	slots = table;
	n_slots = size;
	return 0;
}

const char *text_keep(const char *text)
{
	const char *kept = NULL;

	pthread_mutex_lock(&lock);
	if (2 * (n_used + 1) <= n_slots || grow() == 0) {
		const char **slot = find(slots, n_slots, text);
		if (!*slot && (*slot = strdup(text)))
			n_used++;
		kept = *slot;
	}
	pthread_mutex_unlock(&lock);
	return kept;
}
