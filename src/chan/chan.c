/*
 * Opening and ending a channel, and what passes beside it. The client opens its side in the thread
 * that makes the first call, the worker in its main thread before it starts any other.
 *
 * The two roles share one struct; each has its half made only. What a role needs in private (the
 * client's allocators and locks, the worker's cursor) never lies in the region.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "chan/internal.h"

#define CROWDED_CPUS 2 /* up to so many, a spinning thread is likely in its peer's way */
#define ISSUERS	     8 /* of a worker as a rule, and at most half of the processors */
#define SPARE_SHARE  8 /* of the processors */

static uint32_t count_cpus(void)
{
	cpu_set_t cpus;

	/* More processors than fit a cpu_set_t make it fail: then there are plenty. */
	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return UINT32_MAX;
	return (uint32_t)CPU_COUNT(&cpus);
}

/* For clients' threads that watch, beside the worker's and what else runs. */
static uint32_t count_seats(const struct chan *chan)
{
	uint32_t worker = 1 + MIN(chan->n_cpus / 2, ISSUERS);
	uint32_t others = worker + chan->n_cpus / SPARE_SHARE;

	return chan->crowded ? UINT32_MAX : MAX(chan->n_cpus, others + 1) - others;
}

static int find_layout(struct chan *chan, const struct chan_geometry *geometry)
{
	struct chan_end *end = chan->end;

	if (!geometry)
		return error_trace(region_read(end->memory, end->size, &chan->layout));
	int r = region_layout(geometry, &chan->layout);
	if (r == 0 && chan->layout.size > end->size)
		r = error_origin(-EINVAL);
	return error_trace(r);
}

static int client_init(struct chan *chan)
{
	int r = lanes_init(&chan->lanes, chan->layout.geometry.lanes);
	if (r < 0)
		return error_trace(r);
	r = staging_init(&chan->staging, chan->layout.geometry.staging_size);
	if (r < 0)
		goto err_lanes;
	r = producer_init(&chan->producer, chan->layout.geometry.ring_size);
	if (r < 0)
		goto err_staging;
	return 0;

err_staging:
	staging_fini(&chan->staging);
err_lanes:
	lanes_fini(&chan->lanes);
	return error_trace(r);
}

/* Called from the provider's own thread: waiting threads shall ask alive() again. */
static void peer_gone(void *context)
{
	wait_rouse_all(context);
}

static int worker_init(struct chan *chan)
{
	chan->staging.n_chunks = (uint32_t)(chan->layout.geometry.staging_size / WIRE_CHUNK_SIZE);
	int r = chan->end->provider->watch(chan->end, peer_gone, chan);
	chan->watched = r == 0;
	return r == -EOPNOTSUPP ? 0 : error_trace(r);
}

int chan_open(struct chan_end *end, enum chan_role role, const struct chan_geometry *geometry,
    uint64_t spin_ns, struct chan **out)
{
	struct chan *chan = aligned_alloc(alignof(struct chan), sizeof(*chan));
	int r;

	if (!chan) {
		r = error_origin(-ENOMEM);
		goto err_end;
	}
	memset(chan, 0, sizeof(*chan));
	chan->end = end;
	chan->role = role;
	r = find_layout(chan, geometry);
	if (r < 0)
		goto err_chan;
	chan->memory = end->memory;
	chan->control = end->memory;
	chan->spin_ns = MIN(spin_ns, UINT32_MAX / 2);
	chan->n_cpus = count_cpus();
	chan->crowded = chan->n_cpus <= CROWDED_CPUS;
	chan->seats = count_seats(chan);
	for (int i = 0; i < WAIT_KINDS; i++)
		atomic_init(
		    &chan->spin_budget[i], (uint32_t)wait_spin_limit(chan, (enum wait_kind)i));
	r = role == CHAN_CLIENT ? client_init(chan) : worker_init(chan);
	if (r < 0)
		goto err_chan;
	*out = chan;
	return 0;

err_chan:
	free(chan);
err_end:
	end->provider->hang_up(end);
	end->provider->close(end);
	return error_trace(r);
}

int chan_client_attach(int region, int side, uint64_t spin_ns, struct chan **out)
{
	struct chan_end *end;

	int r = memfd_end_new(region, side, &end);
	if (r < 0)
		return error_trace(r);
	return error_trace(chan_open(end, CHAN_CLIENT, NULL, spin_ns, out));
}

int chan_worker_attach(
    int region, int side, const struct chan_geometry *geometry, uint64_t spin_ns, struct chan **out)
{
	struct chan_end *end;

	int r = memfd_end_new(region, side, &end);
	if (r < 0)
		return error_trace(r);
	return error_trace(chan_open(end, CHAN_WORKER, geometry, spin_ns, out));
}

struct chan *chan_free(struct chan *chan)
{
	if (!chan)
		return NULL;
	chan->end->provider->hang_up(chan->end);
	wait_wake_peer(chan);
	chan->end->provider->close(chan->end);
	if (chan->role == CHAN_CLIENT) {
		lanes_fini(&chan->lanes);
		staging_fini(&chan->staging);
		producer_fini(&chan->producer);
	}
	free(chan);
	return NULL;
}

void chan_abandon(struct chan *chan)
{
	if (chan->lanes.own)
		munmap(chan->lanes.own, chan->lanes.own_size);
	chan->end->provider->abandon(chan->end);
}

bool chan_peer_alive(struct chan *chan)
{
	return !atomic_load_explicit(&chan->broken, memory_order_relaxed) &&
	       chan->end->provider->alive(chan->end);
}

int chan_side_socket(const struct chan *chan)
{
	return chan->end->provider->side_socket(chan->end);
}

int chan_side_send(struct chan *chan, const struct side_message *message, int fd)
{
	return chan->end->provider->side_send(chan->end, message, fd);
}

int chan_side_receive(struct chan *chan, bool wait, struct side_message *message, int *fd_out)
{
	return chan->end->provider->side_receive(chan->end, wait, message, fd_out);
}

struct chan_stat *chan_stat(struct chan *chan, uint32_t row)
{
	if (row >= chan->layout.geometry.functions)
		return NULL;
	return (struct chan_stat *)(chan->memory + chan->layout.stats) + row;
}

struct chan_time *chan_time(struct chan *chan, uint32_t row)
{
	uint32_t half = chan->layout.geometry.functions / 2;

	return row < half ? (struct chan_time *)chan_stat(chan, half + row) : NULL;
}
