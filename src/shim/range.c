/*
 * The range map: a treap (a search tree by start, kept balanced by random priorities) under a
 * read-write lock. Lookups are frequent and short, changes are as rare as allocations; a sorted
 * array would make a program with a hundred thousand allocations pay for moving them all.
 */
#include "shim/range.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/util.h"
#include "shim/thread.h"

struct node {
	struct node *left, *right;
	uint32_t priority;
	struct range range;
};

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static struct node *root;
static uint64_t next_buffer_id;
static uint32_t random_state = 0x9e3779b9;

static uint32_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state;
}

/* Nodes that start below start go left, the others right. */
static void split(struct node *node, uint64_t start, struct node **left, struct node **right)
{
	while (node) {
		if (node->range.start < start) {
			*left = node;
			left = &node->right;
			node = node->right;
		} else {
			*right = node;
			right = &node->left;
			node = node->left;
		}
	}
	*left = *right = NULL;
}

static struct node *join(struct node *left, struct node *right)
{
	struct node *result, **at = &result;

	while (left && right) {
		if (left->priority > right->priority) {
			*at = left;
			at = &left->right;
			left = left->right;
		} else {
			*at = right;
			at = &right->left;
			right = right->left;
		}
	}
	*at = left ?: right;
	return result;
}

/* The node with the greatest start not above address. */
static struct node *find_below(uint64_t address)
{
	struct node *found = NULL;

	for (struct node *node = root; node;) {
		if (node->range.start <= address) {
			found = node;
			node = node->right;
		} else {
			node = node->left;
		}
	}
	return found;
}

static struct node *find_holding(uint64_t address)
{
	struct node *node = find_below(address);

	return node && address - node->range.start < node->range.size ? node : NULL;
}

static void take_out(struct node *node)
{
	struct node *left, *middle, *right;

	split(root, node->range.start, &left, &middle);
	split(middle, node->range.start + 1, &middle, &right);
	root = join(left, right);
	free(node);
}

bool range_add(const struct range *range)
{
	struct node *node, *left, *right, *old;
	uint64_t size = MAX(range->size, 1), end;

	if (__builtin_add_overflow(range->start, size, &end))
		return false;
	node = malloc(sizeof(*node));
	if (!node)
		return false;
	node->range = *range;
	node->range.size = size;
	node->left = node->right = NULL;

	pthread_rwlock_wrlock(&lock);
	node->priority = random_next();
	node->range.buffer_id = ++next_buffer_id;
	while ((old = find_below(end - 1)) && old->range.start + old->range.size > range->start)
		take_out(old);
	split(root, range->start, &left, &right);
	root = join(join(left, node), right);
	pthread_rwlock_unlock(&lock);
	return true;
}

CUresult range_note(CUdeviceptr address, size_t bytes, enum range_kind kind, uint64_t owner)
{
	struct range range = {.start = address,
	    .size = bytes,
	    .kind = kind,
	    .context = shim_thread.context,
	    .device = shim_thread.device,
	    .owner = owner};

	return range_add(&range) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

void range_set_reach(uint64_t start, uint64_t host, uint64_t remote)
{
	pthread_rwlock_wrlock(&lock);
	struct node *node = find_holding(start);
	if (node && node->range.start == start) {
		node->range.host = host;
		node->range.remote = remote;
	}
	pthread_rwlock_unlock(&lock);
}

bool range_find(uint64_t address, struct range *out)
{
	pthread_rwlock_rdlock(&lock);
	struct node *node = find_holding(address);
	if (node)
		*out = node->range;
	pthread_rwlock_unlock(&lock);
	return node;
}

bool range_overlaps(uint64_t start, uint64_t size, struct range *out)
{
	pthread_rwlock_rdlock(&lock);
	struct node *node = find_below(start + size - 1);
	bool overlaps = node && node->range.start + node->range.size > start;
	if (overlaps)
		*out = node->range;
	pthread_rwlock_unlock(&lock);
	return overlaps;
}

static bool is_any(const struct range *range, const void *key)
{
	return true;
}

static bool is_of_kind(const struct range *range, const void *kind)
{
	return range->kind == *(const enum range_kind *)kind;
}

static bool remove_matching(uint64_t start, bool (*matches)(const struct range *, const void *),
    const void *key, struct range *out)
{
	pthread_rwlock_wrlock(&lock);
	struct node *node = find_below(start);
	bool found = node && node->range.start == start && matches(&node->range, key);
	if (found) {
		if (out)
			*out = node->range;
		take_out(node);
	}
	pthread_rwlock_unlock(&lock);
	return found;
}

bool range_remove(uint64_t start, struct range *out)
{
	return remove_matching(start, is_any, NULL, out);
}

bool range_remove_kind(uint64_t start, enum range_kind kind, struct range *out)
{
	return remove_matching(start, is_of_kind, &kind, out);
}

/* The first node, in order of start from at on, that is to go; visits in order. */
static struct node *next_matching(
    uint64_t at, bool (*matches)(const struct range *, const void *), const void *key)
{
	for (;;) {
		struct node *found = NULL;
		for (struct node *node = root; node;) {
			if (node->range.start >= at) {
				found = node;
				node = node->left;
			} else {
				node = node->right;
			}
		}
		if (!found || matches(&found->range, key))
			return found;
		at = found->range.start + 1;
	}
}

static void drop(bool (*matches)(const struct range *, const void *), const void *key)
{
	struct node *node;
	uint64_t at = 0;

	pthread_rwlock_wrlock(&lock);
	while ((node = next_matching(at, matches, key))) {
		at = node->range.start + 1;
		take_out(node);
	}
	pthread_rwlock_unlock(&lock);
}

static bool of_context(const struct range *range, const void *context)
{
	return range->context == context && !range_is_host(range);
}

static bool of_owner(const struct range *range, const void *owner)
{
	return range->owner == *(const uint64_t *)owner;
}

void range_drop_context(CUcontext context)
{
	drop(of_context, context);
}

void range_drop_owner(uint64_t owner)
{
	drop(of_owner, &owner);
}

static bool on_device(const struct range *range, const void *device)
{
	return range->device == *(const CUdevice *)device &&
	       (range->kind == RANGE_DEVICE || range->kind == RANGE_POOL ||
		   range->kind == RANGE_MAPPED);
}

uint64_t range_device_bytes(CUdevice device)
{
	uint64_t at = 0, bytes = 0;
	struct node *node;

	pthread_rwlock_rdlock(&lock);
	while ((node = next_matching(at, on_device, &device))) {
		at = node->range.start + 1;
		bytes += node->range.size;
	}
	pthread_rwlock_unlock(&lock);
	return bytes;
}

void range_after_fork(void)
{
	pthread_rwlock_init(&lock, NULL);
}
