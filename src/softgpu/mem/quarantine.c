/* A ring. Its memory is there only in processes that use it: untouched pages of .bss cost
 * nothing. */
#include "softgpu/mem/quarantine.h"

#include "softgpu/mem/arena.h"

static struct quarantine_span spans[QUARANTINE_MOST];
static uint32_t first, count;
static uint64_t total;

bool quarantine_put(uint64_t address, uint64_t size)
{
	if (count == QUARANTINE_MOST || (count && total + size > SG_ALLOC_SIZE / 4))
		return false;
	spans[(first + count++) % QUARANTINE_MOST] = (struct quarantine_span){address, size};
	total += size;
	return true;
}

bool quarantine_take(struct quarantine_span *span)
{
	if (!count)
		return false;
	*span = spans[first];
	first = (first + 1) % QUARANTINE_MOST;
	count--;
	total -= span->size;
	return true;
}
