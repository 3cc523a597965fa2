/*
 * The region's layout and its making. rosend makes a region before either side exists, the client
 * reads the control page, the worker is told the geometry by rosend and reads nothing. Everything
 * here runs once per session; see region.h for what the region is.
 */
#include "chan/region.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/fd.h"

#define STANDARD_RING_SIZE    (1ull << 20)
#define STANDARD_STAGING_SIZE (32ull << 20)
#define STANDARD_LANES	      1024u

static bool geometry_valid(const struct chan_geometry *g)
{
	return is_power_of_two(g->ring_size) && g->ring_size >= REGION_RING_MIN &&
	       g->ring_size <= REGION_RING_MAX && g->staging_size % WIRE_CHUNK_SIZE == 0 &&
	       g->staging_size >= 2 * WIRE_CHUNK_SIZE && g->staging_size <= REGION_STAGING_MAX &&
	       g->lanes >= 1 && g->lanes <= WIRE_LANES_MAX && g->functions <= REGION_FUNCTIONS_MAX;
}

int region_layout(const struct chan_geometry *geometry, struct region_layout *out)
{
	struct chan_geometry g = *geometry;

	g.ring_size = g.ring_size ?: STANDARD_RING_SIZE;
	g.staging_size = g.staging_size ?: STANDARD_STAGING_SIZE;
	g.lanes = g.lanes ?: STANDARD_LANES;
	if (!geometry_valid(&g))
		return error_origin(-EINVAL);

	/* The limits above keep every sum far below 2^63. */
	uint64_t n_chunks = g.staging_size / WIRE_CHUNK_SIZE;
	out->geometry = g;
	out->releases = REGION_CONTROL_SIZE;
	out->stats = align_up(out->releases + n_chunks * sizeof(uint32_t), REGION_PAGE);
	out->lanes = align_up(out->stats + g.functions * sizeof(struct chan_stat), REGION_PAGE);
	out->ring = out->lanes + (uint64_t)g.lanes * WIRE_LANE_SIZE;
	out->staging = align_up(out->ring + g.ring_size, WIRE_CHUNK_SIZE);
	out->size = out->staging + g.staging_size;
	return 0;
}

void region_format(void *memory, const struct region_layout *layout)
{
	struct region_control *control = memory;

	control->layout = REGION_LAYOUT;
	control->lane_size = WIRE_LANE_SIZE;
	control->chunk_size = WIRE_CHUNK_SIZE;
	control->stat_size = sizeof(struct chan_stat);
	control->size = layout->size;
	control->ring_size = layout->geometry.ring_size;
	control->staging_size = layout->geometry.staging_size;
	control->lanes = layout->geometry.lanes;
	control->functions = layout->geometry.functions;
	control->magic = REGION_MAGIC;
}

int region_read(const void *memory, uint64_t size, struct region_layout *out)
{
	struct region_control control;

	if (size < REGION_CONTROL_SIZE)
		return error_origin(-EPROTO);
	memcpy(&control, memory, offsetof(struct region_control, head));
	if (control.magic != REGION_MAGIC || control.layout != REGION_LAYOUT ||
	    control.lane_size != WIRE_LANE_SIZE || control.chunk_size != WIRE_CHUNK_SIZE ||
	    control.stat_size != sizeof(struct chan_stat))
		return error_origin(-EPROTO);
	/* A zero would mean "standard" to region_layout(): here it is a malformed region. */
	if (!control.ring_size || !control.staging_size || !control.lanes)
		return error_origin(-EBADMSG);
	struct chan_geometry geometry = {
	    control.ring_size, control.staging_size, control.lanes, control.functions};
	if (region_layout(&geometry, out) < 0 || out->size != control.size || out->size > size)
		return error_origin(-EBADMSG);
	return 0;
}

int chan_region_create(const struct chan_geometry *geometry, int *fd_out, uint64_t *size_out)
{
	struct region_layout layout;
	_cleanup_fd_ int fd = -1;

	int r = region_layout(geometry, &layout);
	if (r < 0)
		return error_trace(r);
	r = fd_memory("rosen-channel", layout.size, &fd);
	if (r < 0)
		return error_trace(r);
	void *control = mmap(NULL, REGION_CONTROL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (control == MAP_FAILED)
		return error_origin(-errno);
	region_format(control, &layout);
	munmap(control, REGION_CONTROL_SIZE);
	*fd_out = fd;
	*size_out = layout.size;
	fd = -1;
	return 0;
}
