/*
 * The provider with both ends in one process: plain memory between two guard pages, process-private
 * futexes, no side messages. For tests: both ends see the region at the same address, so that a
 * thread sanitizer follows every access, and a step over either end of it is a crash.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/error.h"
#include "chan/futex.h"
#include "chan/provider.h"
#include "chan/region.h"

/* Freed with the second end. */
struct loop {
	void *mapping;
	size_t mapping_size;
	_Atomic unsigned ends;
};

struct loop_end {
	struct chan_end end;
	struct loop *loop;
	struct loop_end *peer;
	_Atomic bool peer_gone; /* set by the peer's hang_up() */
};

static struct loop_end *loop_end(struct chan_end *end)
{
	return container_of(end, struct loop_end, end);
}

static void loop_park(
    struct chan_end *end, uint32_t site, _Atomic uint32_t *doorbell, uint64_t timeout_ns)
{
	futex_wait(doorbell, DOORBELL_PARKED, timeout_ns, true);
}

static void loop_wake(struct chan_end *end, uint32_t site, _Atomic uint32_t *doorbell)
{
	futex_wake(doorbell, true);
}

static bool loop_alive(struct chan_end *end)
{
	/* Acquire: what the peer did before it went is seen by who then looks once more. */
	return !atomic_load_explicit(&loop_end(end)->peer_gone, memory_order_acquire);
}

static int loop_watch(struct chan_end *end, void (*gone)(void *context), void *context)
{
	return -EOPNOTSUPP;
}

static int loop_side_send(struct chan_end *end, const struct side_message *message, int fd)
{
	return error_origin(-EOPNOTSUPP);
}

static int loop_side_receive(
    struct chan_end *end, bool wait, struct side_message *message, int *fd_out)
{
	*fd_out = -1;
	return error_origin(-EOPNOTSUPP);
}

static int loop_side_socket(const struct chan_end *end)
{
	return -1;
}

static void drop(struct loop_end *end)
{
	struct loop *loop = end->loop;

	/* Acquire and release: the last one sees the other end finished. */
	if (atomic_fetch_sub_explicit(&loop->ends, 1, memory_order_acq_rel) > 1)
		return;
	munmap(loop->mapping, loop->mapping_size);
	free(end->peer);
	free(end);
	free(loop);
}

static void loop_hang_up(struct chan_end *end)
{
	/* Release: pairs with loop_alive(). */
	atomic_store_explicit(&loop_end(end)->peer->peer_gone, true, memory_order_release);
}

static void loop_close(struct chan_end *end)
{
	drop(loop_end(end));
}

static void loop_abandon(struct chan_end *end)
{
	struct loop *loop = loop_end(end)->loop;

	munmap(loop->mapping, loop->mapping_size);
}

static CHAN_PROVIDER(loop_provider, "loop", loop_park, loop_wake, loop_wake, loop_alive, loop_watch,
    loop_side_send, loop_side_receive, loop_side_socket, loop_hang_up, loop_close, loop_abandon);

static int map_guarded(struct loop *loop, size_t size, uint8_t **memory)
{
	loop->mapping_size = align_up(size, REGION_PAGE) + 2 * REGION_PAGE;
	loop->mapping = mmap(NULL, loop->mapping_size, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (loop->mapping == MAP_FAILED)
		return error_origin(-errno);
	*memory = (uint8_t *)loop->mapping + REGION_PAGE;
	if (mprotect(*memory, size, PROT_READ | PROT_WRITE) < 0)
		return error_origin(-errno);
	return 0;
}

int loop_ends_new(
    const struct chan_geometry *geometry, struct chan_end **client, struct chan_end **worker)
{
	struct loop_end *ends[2] = {calloc(1, sizeof(*ends[0])), calloc(1, sizeof(*ends[1]))};
	struct loop *loop = calloc(1, sizeof(*loop));
	struct region_layout layout;
	uint8_t *memory = NULL;

	int r =
	    ends[0] && ends[1] && loop ? region_layout(geometry, &layout) : error_origin(-ENOMEM);
	if (r == 0)
		r = map_guarded(loop, layout.size, &memory);
	if (r < 0) {
		free(ends[0]);
		free(ends[1]);
		free(loop);
		return error_trace(r);
	}
	region_format(memory, &layout);
	atomic_init(&loop->ends, 2);
	for (int i = 0; i < 2; i++) {
		ends[i]->end = (struct chan_end){&loop_provider, memory, layout.size};
		ends[i]->loop = loop;
		ends[i]->peer = ends[1 - i];
	}
	*client = &ends[0]->end;
	*worker = &ends[1]->end;
	return 0;
}
