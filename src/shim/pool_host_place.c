/*
 * Which pool a place of the host, or of managed memory, uses: each has one from the moment that
 * somebody asks for it, and the program may name another. A list: there are few places.
 */
#include <stdlib.h>

#include "shim/pool_host.h"
#include "shim/pool_host_inside.h"

/* A place whose pool was asked for. */
struct pool_place {
	struct pool_place *next;
	CUmemLocation location;
	CUmemAllocationType type;
	struct host_pool *standard, *current; /* current NULL: the standard one */
};

static struct pool_place *places; /* under the lock */

/* Under the lock. NULL: there is no such place, or no memory. */
static struct pool_place *place_of(const CUmemLocation *location, CUmemAllocationType type)
{
	CUmemPoolProps properties = {.allocType = type, .location = *location};
	struct pool_place *place = places;

	if (location->type == CU_MEM_LOCATION_TYPE_HOST)
		properties.location.id = 0;
	while (place && (place->type != type || place->location.type != location->type ||
			    place->location.id != properties.location.id))
		place = place->next;
	if (place || location->type == CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT ||
	    pool_host_check(&properties) != CUDA_SUCCESS)
		return place;
	place = malloc(sizeof(*place));
	struct host_pool *pool = place ? pool_host_new(&properties) : NULL;
	if (!pool) {
		free(place);
		return NULL;
	}
	pool->is_default = true;
	*place = (struct pool_place){places, properties.location, type, pool, NULL};
	return places = place;
}

/* What is no place's: the node that a thread runs on is not one. */
static CUresult refuse(const CUmemLocation *location)
{
	return location->type == CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT ? CUDA_ERROR_NOT_SUPPORTED
									: CUDA_ERROR_INVALID_VALUE;
}

static CUresult pool_of(
    CUmemoryPool *handle, const CUmemLocation *location, CUmemAllocationType type, bool standard)
{
	pthread_mutex_lock(&pool_host_lock);
	const struct pool_place *place = place_of(location, type);
	if (place)
		*handle = (standard || !place->current ? place->standard : place->current)->handle;
	pthread_mutex_unlock(&pool_host_lock);
	return place ? CUDA_SUCCESS : refuse(location);
}

CUresult pool_host_default(
    CUmemoryPool *handle, const CUmemLocation *location, CUmemAllocationType type)
{
	return pool_of(handle, location, type, true);
}

CUresult pool_host_current(
    CUmemoryPool *handle, const CUmemLocation *location, CUmemAllocationType type)
{
	return pool_of(handle, location, type, false);
}

static bool fits(const struct host_pool *pool, const struct pool_place *place)
{
	return pool && pool->properties.allocType == place->type &&
	       pool->properties.location.type == place->location.type &&
	       (place->location.type == CU_MEM_LOCATION_TYPE_HOST ||
		   pool->properties.location.id == place->location.id);
}

CUresult pool_host_set_current(
    const CUmemLocation *location, CUmemAllocationType type, CUmemoryPool handle)
{
	CUresult r = refuse(location);

	pthread_mutex_lock(&pool_host_lock);
	struct pool_place *place = place_of(location, type);
	struct host_pool *pool = pool_host_find(handle);
	if (place && fits(pool, place)) {
		place->current = pool;
		r = CUDA_SUCCESS;
	}
	pthread_mutex_unlock(&pool_host_lock);
	return r;
}

void pool_host_leave_places(const struct host_pool *pool)
{
	for (struct pool_place *place = places; place; place = place->next)
		if (place->current == pool)
			place->current = NULL;
}
