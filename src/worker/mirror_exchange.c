/*
 * See mirror_exchange.h. Blocks of words are compared first, without a jump in the loop, since
 * nearly always nothing differs; then words are exchanged one by one, each atomically.
 */
#include "worker/mirror_exchange.h"

#include "base/util.h"

#define BLOCK 512u /* words compared at once */

/* Bytes of a where mask has them, of b elsewhere. mask: each byte 0 or 0xff. */
static uint64_t blend(uint64_t mask, uint64_t a, uint64_t b)
{
	return (a & mask) | (b & ~mask);
}

/* 0xff in each byte that is not zero. */
static uint64_t bytes_set(uint64_t word)
{
	uint64_t mask = 0;

	for (unsigned shift = 0; shift < 64; shift += 8)
		if (word >> shift & 0xff)
			mask |= 0xffull << shift;
	return mask;
}

/*
 * The order of the two stores does not matter: the variable's other users are the program and the
 * device, who look again after what orders them. Relaxed for that reason; the exchange is atomic so
 * that a write beside it is not lost.
 */
static void exchange_word(_Atomic uint64_t *program, _Atomic uint64_t *device, uint64_t *agreed)
{
	uint64_t p, d;

	do {
		p = atomic_load_explicit(program, memory_order_relaxed);
		d = atomic_load_explicit(device, memory_order_relaxed);
		uint64_t written = bytes_set(p ^ *agreed), now = blend(written, p, d);
		if (now != p && !atomic_compare_exchange_strong_explicit(
				    program, &p, now, memory_order_relaxed, memory_order_relaxed))
			continue;
		/* Should the device write now, the program's bytes are still told by their
		 * difference; the device's are not taken for the program's. */
		*agreed = blend(written, *agreed, d);
		if (now == d || atomic_compare_exchange_strong_explicit(
				    device, &d, now, memory_order_relaxed, memory_order_relaxed)) {
			*agreed = now;
			return;
		}
	} while (true);
}

/* Without a jump in the loop: nearly always nothing differs. */
static bool differs(const _Atomic uint64_t *side, const uint64_t *agreed, size_t n)
{
	uint64_t difference = 0;

	for (size_t i = 0; i < n; i++)
		difference |= atomic_load_explicit(&side[i], memory_order_relaxed) ^ agreed[i];
	return difference;
}

void mirror_exchange(
    _Atomic uint64_t *program, _Atomic uint64_t *device, uint64_t *agreed, size_t n, bool pull)
{
	for (size_t done = 0; done < n; done += BLOCK) {
		size_t some = MIN(n - done, (size_t)BLOCK);
		if (!differs(program + done, agreed + done, some) &&
		    (!pull || !differs(device + done, agreed + done, some)))
			continue;
		for (size_t i = done; i < done + some; i++)
			if (pull ||
			    atomic_load_explicit(&program[i], memory_order_relaxed) != agreed[i])
				exchange_word(&program[i], &device[i], &agreed[i]);
	}
}

/* The one word of side that is not as agreed; MIRROR_NONE, MIRROR_MANY. */
size_t mirror_lone(const _Atomic uint64_t *side, const uint64_t *agreed, size_t n)
{
	size_t found = MIRROR_NONE;

	for (size_t done = 0; done < n; done += BLOCK) {
		size_t some = MIN(n - done, (size_t)BLOCK);
		if (!differs(side + done, agreed + done, some))
			continue;
		for (size_t i = done; i < done + some; i++) {
			if (atomic_load_explicit(&side[i], memory_order_relaxed) == agreed[i])
				continue;
			if (found != MIRROR_NONE)
				return MIRROR_MANY;
			found = i;
		}
	}
	return found;
}
