/* A list under the worker's memory lock: ranges are large, so there are few. */
#include "worker/reservation.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/util.h"
#include "gen/worker_custom.h"
#include "worker/arena.h"
#include "worker/memory.h"
#include "worker/segment.h"
#include "worker/worker.h"

struct reservation {
	struct reservation *next;
	CUdeviceptr address;
	size_t bytes;
};

bool reservations_cover(struct worker *worker, CUdeviceptr address, size_t bytes)
{
	bool covered = false;

	pthread_mutex_lock(&worker->memory_lock);
	for (const struct reservation *r = worker->reservations; r && !covered; r = r->next)
		covered = address >= r->address && bytes <= r->bytes &&
			  address - r->address <= r->bytes - bytes;
	pthread_mutex_unlock(&worker->memory_lock);
	return covered;
}

void reservations_free(struct worker *worker)
{
	struct reservation *next;

	for (struct reservation *r = worker->reservations; r; r = next) {
		next = r->next;
		free(r);
	}
	worker->reservations = NULL;
}

static void enter(struct worker *worker, struct reservation *reservation)
{
	pthread_mutex_lock(&worker->memory_lock);
	reservation->next = worker->reservations;
	worker->reservations = reservation;
	pthread_mutex_unlock(&worker->memory_lock);
}

/* Takes out of the list the one that begins there; NULL: none does. */
static struct reservation *leave(struct worker *worker, CUdeviceptr address)
{
	pthread_mutex_lock(&worker->memory_lock);
	struct reservation **at = &worker->reservations;
	while (*at && (*at)->address != address)
		at = &(*at)->next;
	struct reservation *reservation = *at;
	if (reservation)
		*at = reservation->next;
	pthread_mutex_unlock(&worker->memory_lock);
	return reservation;
}

static void note(struct worker *worker, CUdeviceptr address, size_t bytes)
{
	struct reservation *reservation = malloc(sizeof(*reservation));

	if (!reservation)
		return; /* host memory is refused there */
	*reservation = (struct reservation){.address = address, .bytes = bytes};
	enter(worker, reservation);
}

CUresult worker_cuMemAddressReserve(struct call *call, struct args_cuMemAddressReserve *a)
{
	struct worker *worker = call->worker;
	uint64_t granule = MAX(a->alignment, ARENA_PIECE), at = a->hint;

	if (!at && worker->options.arena && is_power_of_two(granule) &&
	    a->bytes <= WIRE_DEVICE_WINDOW_SIZE / 2 && granule <= WIRE_DEVICE_WINDOW_SIZE / 4) {
		uint64_t end = WIRE_DEVICE_WINDOW_BASE + WIRE_DEVICE_WINDOW_SIZE;
		pthread_mutex_lock(&worker->memory_lock);
		at = align_up(
		    worker->next_reservation ?: end - WIRE_DEVICE_WINDOW_SIZE / 2, granule);
		if (at + a->bytes > end) /* start again where the oldest were */
			at = align_up(end - WIRE_DEVICE_WINDOW_SIZE / 2, granule);
		worker->next_reservation = align_up(at + a->bytes, ARENA_PIECE);
		pthread_mutex_unlock(&worker->memory_lock);
	}
	/* A hint: the backend takes another place where this one is in use. */
	CUresult r =
	    call->backend->cuMemAddressReserve(a->address, a->bytes, a->alignment, at, a->flags);
	if (r == CUDA_SUCCESS)
		note(worker, *a->address, a->bytes);
	return r;
}

/*
 * Taken out of the list first, so that nothing is placed in it any more (segment.c); what is there
 * already the backend does not know of. How large the range is is not the client's to say.
 */
CUresult worker_cuMemAddressFree(struct call *call, struct args_cuMemAddressFree *a)
{
	struct worker *worker = call->worker;
	struct reservation *reservation = leave(worker, a->address);
	size_t bytes = reservation ? reservation->bytes : a->bytes;
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	/* The arena's own reservation is not the client's. */
	if (!memory_arena_at(worker, a->address) &&
	    !segments_overlap(worker->segments, a->address, bytes))
		r = call->backend->cuMemAddressFree(a->address, a->bytes);
	if (reservation && r != CUDA_SUCCESS)
		enter(worker, reservation);
	else
		free(reservation);
	return r;
}
