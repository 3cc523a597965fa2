/*
 * One treap over all ranges, free and used, in the order of their addresses. Each node knows the
 * largest free range below it, which makes first fit one walk down, and an address query is the
 * search for the last start at or below it. Priorities come from a small generator of our own: the
 * shape depends on nobody's input.
 */
#include "worker/extents.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/util.h"

void extents_init(struct extents *extents, uint64_t granule, uint64_t boundary, size_t limit)
{
	*extents = (struct extents){
	    .granule = granule, .boundary = boundary, .seed = 88172645463325252ull, .limit = limit};
}

static void free_tree(struct extent *node)
{
	if (!node)
		return;
	free_tree(node->left);
	free_tree(node->right);
	free(node);
}

void extents_fini(struct extents *extents)
{
	free_tree(extents->root);
	extents->root = NULL;
	extents->count = 0;
}

/* --- the treap --- */

static void refresh(struct extent *node)
{
	node->largest = node->used ? 0 : node->size;
	if (node->left)
		node->largest = MAX(node->largest, node->left->largest);
	if (node->right)
		node->largest = MAX(node->largest, node->right->largest);
}

/* Nodes that start below start go to *low, the others to *high. */
static void split(struct extent *node, uint64_t start, struct extent **low, struct extent **high)
{
	if (!node) {
		*low = *high = NULL;
	} else if (node->start < start) {
		split(node->right, start, &node->right, high);
		*low = node;
		refresh(node);
	} else {
		split(node->left, start, low, &node->left);
		*high = node;
		refresh(node);
	}
}

static struct extent *join(struct extent *low, struct extent *high)
{
	if (!low || !high)
		return low ?: high;
	if (low->priority > high->priority) {
		low->right = join(low->right, high);
		refresh(low);
		return low;
	}
	high->left = join(low, high->left);
	refresh(high);
	return high;
}

static void insert(struct extents *extents, struct extent *node)
{
	struct extent *low, *high;

	node->left = node->right = NULL;
	refresh(node);
	split(extents->root, node->start, &low, &high);
	extents->root = join(join(low, node), high);
}

static struct extent *detach(struct extents *extents, uint64_t start)
{
	struct extent *low, *node, *high;

	split(extents->root, start, &low, &high);
	split(high, start + 1, &node, &high);
	extents->root = join(low, high);
	return node;
}

static struct extent *new_node(struct extents *extents, uint64_t start, uint64_t size)
{
	struct extent *node = extents->count < extents->limit ? calloc(1, sizeof(*node)) : NULL;

	if (!node)
		return NULL;
	extents->count++;
	extents->seed ^= extents->seed << 13;
	extents->seed ^= extents->seed >> 7;
	extents->seed ^= extents->seed << 17;
	*node = (struct extent){.start = start, .size = size, .priority = extents->seed};
	return node;
}

static void drop_node(struct extents *extents, struct extent *node)
{
	extents->count--;
	free(node);
}

/* --- ranges --- */

int extents_add(struct extents *extents, uint64_t start, uint64_t size)
{
	struct extent *node = new_node(extents, start, size);

	if (!node)
		return error_origin(-ENOMEM);
	insert(extents, node);
	return 0;
}

/* The lowest free range of at least size bytes. The root says that there is one. */
static struct extent *first_fit(struct extent *node, uint64_t size)
{
	for (;;) {
		if (node->left && node->left->largest >= size)
			node = node->left;
		else if (!node->used && node->size >= size)
			return node;
		else
			node = node->right;
	}
}

int extents_take(struct extents *extents, uint64_t size, uint64_t owner, uint64_t *start)
{
	uint64_t rounded = align_up(size, extents->granule);

	if (!extents->root || !rounded || rounded < size || extents->root->largest < rounded)
		return EXTENTS_NONE;
	struct extent *node = first_fit(extents->root, rounded), *rest = NULL;
	if (node->size > rounded) {
		rest = new_node(extents, node->start + rounded, node->size - rounded);
		if (!rest)
			return error_origin(-ENOMEM);
	}
	node = detach(extents, node->start);
	node->size = rounded;
	node->used = true;
	node->asked = size;
	node->owner = owner;
	insert(extents, node);
	if (rest)
		insert(extents, rest);
	*start = node->start;
	return 0;
}

static struct extent *floor_of(const struct extents *extents, uint64_t address)
{
	struct extent *best = NULL;

	for (struct extent *node = extents->root; node;) {
		if (node->start <= address) {
			best = node;
			node = node->right;
		} else {
			node = node->left;
		}
	}
	return best;
}

/* Whether two free ranges next to each other may become one. */
static bool may_merge(
    const struct extents *extents, const struct extent *low, const struct extent *high)
{
	return low && high && !low->used && !high->used && low->start + low->size == high->start &&
	       !(extents->boundary && high->start % extents->boundary == 0);
}

int extents_give(struct extents *extents, uint64_t start, struct extent *freed)
{
	struct extent *node = floor_of(extents, start);

	if (!node || node->start != start || !node->used)
		return EXTENTS_NONE;
	node = detach(extents, start);
	node->used = false;
	struct extent *next = floor_of(extents, start + node->size);
	if (may_merge(extents, node, next)) {
		node->size += next->size;
		drop_node(extents, detach(extents, next->start));
	}
	struct extent *previous = start ? floor_of(extents, start - 1) : NULL;
	if (may_merge(extents, previous, node)) {
		previous = detach(extents, previous->start);
		previous->size += node->size;
		drop_node(extents, node);
		node = previous;
	}
	insert(extents, node);
	*freed = *node;
	return 0;
}

int extents_remove(struct extents *extents, uint64_t start)
{
	struct extent *node = floor_of(extents, start);

	if (!node || node->start != start || node->used)
		return EXTENTS_NONE;
	drop_node(extents, detach(extents, start));
	return 0;
}

const struct extent *extents_find(const struct extents *extents, uint64_t address)
{
	const struct extent *node = floor_of(extents, address);

	return node && node->used && address - node->start < node->asked ? node : NULL;
}

/* owner NULL: anybody's. */
static const struct extent *next_of(const struct extent *node, const uint64_t *owner, uint64_t from)
{
	if (!node)
		return NULL;
	if (node->start >= from) {
		const struct extent *found = next_of(node->left, owner, from);
		if (found)
			return found;
		if (node->used && (!owner || node->owner == *owner))
			return node;
	}
	return next_of(node->right, owner, from);
}

const struct extent *extents_next_of(const struct extents *extents, uint64_t owner, uint64_t from)
{
	return next_of(extents->root, &owner, from);
}

const struct extent *extents_next(const struct extents *extents, uint64_t from)
{
	return next_of(extents->root, NULL, from);
}
