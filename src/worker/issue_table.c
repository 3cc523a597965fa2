/*
 * See issue_table.h. Streams are never equally busy in two windows of time, and moving one is not
 * free: the driver's data for it moves to another processor. So nothing moves while the busiest
 * issuer has less than twice the work of the least busy one. A stream that moves changes places
 * with a less busy one, so that each issuer keeps its number of streams.
 */
#include "worker/issue_table.h"

#include <stddef.h>

#include "base/util.h"

#define SLOTS_END(table) ((table)->slots + ISSUE_SLOTS)

struct issue_slot *issue_table_give(struct issue_table *table, CUstream stream)
{
	uint64_t hash = ((uint64_t)stream >> 4) * 0x9e3779b97f4a7c15 >> 32;
	struct issue_slot *slot = &table->slots[hash & (ISSUE_SLOTS - 1)];

	if (unlikely(!slot->track))
		slot->track = slot->next =
		    (uint8_t)(1 + table->next++ % (table->n_issuers * ISSUE_TRACKS));
	slot->given++;
	return slot;
}

static unsigned issuer_of(const struct issue_table *table, const struct issue_slot *slot)
{
	return (slot->next - 1u) % table->n_issuers;
}

/* The busiest of an issuer's with at most so many records; NULL: none. */
static struct issue_slot *busiest(struct issue_table *table, unsigned issuer, unsigned most)
{
	struct issue_slot *best = NULL;

	for (struct issue_slot *slot = table->slots; slot < SLOTS_END(table); slot++)
		if (slot->given && issuer_of(table, slot) == issuer && slot->given <= most &&
		    (!best || slot->given > best->given))
			best = slot;
	return best;
}

/* NULL: it has none. */
static struct issue_slot *laziest(struct issue_table *table, unsigned issuer)
{
	struct issue_slot *best = NULL;

	for (struct issue_slot *slot = table->slots; slot < SLOTS_END(table); slot++)
		if (slot->track && issuer_of(table, slot) == issuer &&
		    (!best || slot->given < best->given))
			best = slot;
	return best;
}

static void swap_places(struct issue_slot *a, struct issue_slot *b)
{
	uint8_t place = a->next;

	a->next = b->next;
	b->next = place;
}

static void move_one(struct issue_table *table)
{
	unsigned load[ISSUERS_MOST] = {0}, most = 0, least = 0, n = table->n_issuers;

	for (struct issue_slot *slot = table->slots; slot < SLOTS_END(table); slot++)
		if (slot->given)
			load[issuer_of(table, slot)] += slot->given;
	for (unsigned i = 1; i < n; i++) {
		most = load[i] > load[most] ? i : most;
		least = load[i] < load[least] ? i : least;
	}
	if (load[most] <= 2 * load[least])
		return;
	struct issue_slot *other = laziest(table, least);
	unsigned more = load[most] - load[least], rest = other ? other->given : 0;
	struct issue_slot *slot = busiest(table, most, rest + more - more / 4);
	if (slot && other && slot->given > rest)
		swap_places(slot, other);
	else if (slot && !other)
		slot->next = (uint8_t)(1 + (slot->next - 1u) / n * n + least);
}

void issue_table_balance(struct issue_table *table, bool representative)
{
	if (representative)
		move_one(table);
	for (struct issue_slot *slot = table->slots; slot < SLOTS_END(table); slot++)
		slot->given = 0;
}
