/* See place.h. What it knows is in the range map and the two windows; any thread. */
#include "shim/place.h"

#include "base/util.h"
#include "shim/mirror.h"
#include "shim/range.h"
#include "shim/session.h"
#include "shim/virtual_host.h"

struct place place_find(uint64_t address)
{
	struct place place = {.shared = true, .remote = address};
	bool device = session_in_device_window(address);
	struct range range;

	if (device && likely(!virtual_host_any()))
		return place;
	if (!range_find(address, &range)) {
		place.shared = device || session_in_host_window(address); /* freed: refused there */
		place.here = place.shared ? 0 : address;
	} else if (range.kind == RANGE_REGISTERED) {
		place.shared = range.remote;
		place.remote = range.remote + (address - range.start);
		place.here = range.host + (address - range.start);
	} else if (range.kind == RANGE_MAPPED_HOST) {
		place.shared = range.remote; /* or the program's alone */
		place.here = range.host && !range.remote ? address : 0;
	} else if (range_is_host(&range)) {
		place.shared = range.kind != RANGE_POOL_HOST || range.remote;
		place.here = address;
	}
	return place;
}

/* What cuMemMap() put somewhere is the device's as the program names it, though no device may use
 * it; memory of a pool that none may use is nowhere then. */
struct place place_of_device(uint64_t address)
{
	struct place place = place_find(address);
	struct range range;

	if (place.shared)
		return place;
	bool known = range_find(address, &range);
	if (known && range.kind == RANGE_POOL_HOST)
		place.here = 0;
	else if (!known || range.kind != RANGE_MAPPED_HOST)
		place = (struct place){.shared = true, .remote = address};
	return place;
}

struct place place_of_host(const void *pointer)
{
	uint64_t address = (uint64_t)(uintptr_t)pointer;

	return unlikely(mirror_holds(address)) ? (struct place){.here = address}
					       : place_find(address);
}

static bool is_hosts_alone(const struct range *range)
{
	return (range->kind == RANGE_MAPPED_HOST || range->kind == RANGE_POOL_HOST) &&
	       !range->remote;
}

bool place_is_known(uint64_t address, size_t bytes)
{
	struct range range;

	while (range_find(address, &range) && !is_hosts_alone(&range)) {
		uint64_t left = range.start + range.size - address;
		if (left >= bytes)
			return true;
		bytes -= left;
		address += left;
	}
	return false;
}
