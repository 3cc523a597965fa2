/*
 * Sums of additions to counters in device memory, kept beside the memory for a while (tally.h).
 *
 * A locked instruction costs more than all else a histogram does for an element, and host threads
 * that count in the same place wait for each other's cache lines. Additions of integers commute, so
 * that a host thread may gather its own and add them up later, if nobody can tell:
 *
 * - Only relaxed additions of one width whose result is not read are gathered, and only in kernels
 *   that have no fence, no volatile, relaxed, acquire or release access and no other kind of atomic
 *   on global memory, call nothing, and touch memory by ld, st, atom and red alone
 *   (jit/warp/tally.c looks). So no thread of the grid says by way of memory how far it is, and
 *   none waits for another but at its own block's barriers. What other grids and the host may
 *   observe is that some relaxed additions came later than others: no order is promised for them.
 * - Every ld and st of such a kernel is compared with the range the tally stands for and empties
 *   it first where they meet. That is more than a thread's own order and its block's barriers ask
 *   for: a block's threads all run on this host thread. Shared memory is not compared, and is not
 *   taken where a generic address leads there.
 * - Additions do become visible: when the host thread is done with its part of the grid, and after
 *   TALLY_WORDS instructions at the latest, so in loops that never end, too.
 * - An addition faults where it stands in the code. The tally only takes pages in which the grid
 *   has added to memory itself before; access rights are those of pages.
 *
 * The range grows with the addresses that come, as long as the pages in it are known. Where they
 * are scattered too far, or the kernel looks at its counters all the time, it gives up until the
 * next grid.
 */
#include "softgpu/exec/tally.h"

#include <string.h>

#include "base/util.h"

/* Each costs some locked instructions more than it saves. While the tally is filled once, so many
 * more than a tenth of its instructions may miss. */
#define MOST_MISSES (TALLY_WORDS / 8)
#define CLOSE_COST  8 /* in misses */

static void set_range(struct sg_tally *tally, uint64_t low, uint64_t high)
{
	tally->low = low;
	tally->size = high - low;
	tally->sums = (uint64_t)tally->bytes + (low - tally->origin);
}

static void leave_range(struct sg_tally *tally)
{
	tally->low = tally->size = 0;
}

void tally_begin(struct sg_tally *tally)
{
	if (tally->size)
		memset((void *)tally->sums, 0, tally->size);
	leave_range(tally);
	tally->left = TALLY_WORDS;
	tally->is_learning = true;
	tally->misses = 0;
	tally->pages = 0;
}

/* Relaxed: it stands for relaxed additions, and orders nothing. */
static void add_words(uint32_t *to, uint32_t *sums, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!sums[i])
			continue;
		__atomic_fetch_add(&to[i], sums[i], __ATOMIC_RELAXED);
		sums[i] = 0;
	}
}

static void add_long_words(uint64_t *to, uint64_t *sums, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!sums[i])
			continue;
		__atomic_fetch_add(&to[i], sums[i], __ATOMIC_RELAXED);
		sums[i] = 0;
	}
}

void tally_empty(struct sg_tally *tally)
{
	if (!tally->size)
		return;
	if (tally->element == sizeof(uint32_t))
		add_words((uint32_t *)tally->low, (uint32_t *)tally->sums,
		    tally->size / sizeof(uint32_t));
	else
		add_long_words((uint64_t *)tally->low, (uint64_t *)tally->sums,
		    tally->size / sizeof(uint64_t));
	tally->left = TALLY_WORDS;
}

static void note_misses(struct sg_tally *tally, uint32_t n)
{
	tally->misses += n;
	if (tally->misses < MOST_MISSES)
		return;
	tally_empty(tally);
	leave_range(tally);
	tally->is_learning = false;
}

void sg_tally_empty(struct sg_lane *lane)
{
	tally_empty(lane->tally);
	lane->tally->misses = 0;
}

void sg_tally_close(struct sg_lane *lane)
{
	tally_empty(lane->tally);
	leave_range(lane->tally);
	lane->tally->pages = 0;
	note_misses(lane->tally, CLOSE_COST);
}

/* From the first lane's counter to the last one's end. */
static void find_hull(
    const uint64_t *addresses, const struct sg_lanes *lanes, uint64_t *low, uint64_t *high)
{
	for (uint32_t word = 0; word < ARRAY_SIZE(lanes->words); word++)
		for (uint32_t left = lanes->words[word]; left; left &= left - 1) {
			uint64_t address = addresses[word * 32 + (uint32_t)__builtin_ctz(left)];

			*low = MIN(*low, address);
			*high = MAX(*high, address);
		}
}

static void note_pages(
    struct sg_tally *tally, const uint64_t *addresses, const struct sg_lanes *lanes)
{
	for (uint32_t word = 0; word < ARRAY_SIZE(lanes->words); word++)
		for (uint32_t left = lanes->words[word]; left; left &= left - 1) {
			uint64_t offset =
			    addresses[word * 32 + (uint32_t)__builtin_ctz(left)] - tally->origin;

			if (offset < TALLY_BYTES)
				tally->pages |= 1u << (offset / TALLY_PAGE);
		}
}

/* Was each page of the range added to? */
static bool knows_pages(const struct sg_tally *tally, uint64_t low, uint64_t high)
{
	uint32_t first = (uint32_t)((low - tally->origin) / TALLY_PAGE);
	uint32_t last = (uint32_t)((high - 1 - tally->origin) / TALLY_PAGE);
	uint32_t wanted = (2u << last) - (1u << first);

	return (tally->pages & wanted) == wanted;
}

void sg_tally_learn(
    struct sg_lane *lane, const uint64_t *addresses, const struct sg_lanes *lanes, uint32_t size)
{
	struct sg_tally *tally = lane->tally;
	uint64_t low = UINT64_MAX, high = 0;

	find_hull(addresses, lanes, &low, &high);
	if (low > high) /* no lane */
		return;
	high += size;
	if (!tally->size && !tally->pages) /* the first: in the middle of what may come */
		tally->origin = (low & ~(uint64_t)(TALLY_PAGE - 1)) - TALLY_BYTES / 2;
	if (tally->size) {
		low = MIN(low, tally->low);
		high = MAX(high, tally->low + tally->size);
	}
	tally->element = size;
	note_pages(tally, addresses, lanes);
	if (sg_arena_holds(low) && low >= tally->origin && high <= tally->origin + TALLY_BYTES &&
	    knows_pages(tally, low, high))
		set_range(tally, low, high);
	note_misses(tally, 1);
}
