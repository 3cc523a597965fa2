/* The region's layout, and what attaching makes of a region that lies. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test.h"
#include "chan/region.h"

static struct region_layout layout_of(struct chan_geometry geometry)
{
	struct region_layout layout;

	CHECK_EQ(region_layout(&geometry, &layout), 0);
	return layout;
}

TEST(layout_has_standard_values)
{
	struct region_layout layout = layout_of((struct chan_geometry){0});

	CHECK_EQ(layout.geometry.ring_size, 1 << 20);
	CHECK_EQ(layout.geometry.staging_size, 32 << 20);
	CHECK_EQ(layout.geometry.lanes, 1024);
	CHECK_EQ(layout.geometry.functions, 0);
}

TEST(layout_parts_do_not_overlap)
{
	struct region_layout l = layout_of((struct chan_geometry){
	    .ring_size = 65536, .staging_size = 1 << 20, .lanes = 3, .functions = 77});

	CHECK(l.releases >= sizeof(struct region_control));
	CHECK(l.stats >= l.releases + 16 * sizeof(uint32_t));
	CHECK(l.lanes >= l.stats + 77 * sizeof(struct chan_stat));
	CHECK(l.ring >= l.lanes + 3 * WIRE_LANE_SIZE);
	CHECK(l.staging >= l.ring + 65536);
	CHECK_EQ(l.staging % WIRE_CHUNK_SIZE, 0);
	CHECK_EQ(l.size, l.staging + (1 << 20));
}

TEST(layout_refuses_bad_geometry)
{
	static const struct chan_geometry bad[] = {
	    {.ring_size = 32768},
	    {.ring_size = 65536 + 8},
	    {.ring_size = 128ull << 20},
	    {.staging_size = 65536},
	    {.staging_size = 3 * 65536 + 1},
	    {.staging_size = 2ull << 30},
	    {.lanes = WIRE_LANES_MAX + 1},
	    {.functions = REGION_FUNCTIONS_MAX + 1},
	};
	struct region_layout layout;
	uint64_t size;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK_EQ(region_layout(&bad[i], &layout), -EINVAL);
		CHECK_EQ(chan_region_create(&bad[i], &fd, &size), -EINVAL);
	}
}

TEST(cursors_and_doorbells_lie_apart)
{
	static const size_t words[] = {
	    offsetof(struct region_control, head),
	    offsetof(struct region_control, tail),
	    offsetof(struct region_control, work),
	    offsetof(struct region_control, room),
	    offsetof(struct region_control, staging),
	    offsetof(struct region_control, posted_error),
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		CHECK_EQ(words[i] % REGION_APART, 0);
		CHECK(i == 0 || words[i] > words[i - 1]);
	}
	CHECK_EQ(offsetof(struct region_lane, payload), 2 * CACHE_LINE);
}

TEST(region_is_sealed_and_readable)
{
	struct region_layout wanted = layout_of((struct chan_geometry){.lanes = 5}), got;
	uint64_t size;
	int fd;

	CHECK_EQ(chan_region_create(&wanted.geometry, &fd, &size), 0);
	CHECK_EQ(size, wanted.size);
	CHECK_EQ(ftruncate(fd, 0), -1);
	void *memory = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(memory != MAP_FAILED);
	CHECK_EQ(region_read(memory, size, &got), 0);
	CHECK_BYTES(&got, &wanted, sizeof(got));
	close(fd);
}

/* Each byte of the description, each with several values: refused, or the same layout. */
TEST(region_read_survives_any_change)
{
	struct region_layout layout = layout_of((struct chan_geometry){.lanes = 5}), got;
	uint8_t *page = aligned_alloc(REGION_PAGE, REGION_CONTROL_SIZE);
	size_t described = offsetof(struct region_control, functions) + sizeof(uint32_t);

	memset(page, 0, REGION_CONTROL_SIZE);
	region_format(page, &layout);
	for (size_t i = 0; i < described; i++) {
		for (unsigned value = 0; value < 256; value++) {
			uint8_t kept = page[i];
			page[i] = (uint8_t)value;
			int r = region_read(page, layout.size, &got);
			/* Fewer lanes or functions can leave the size as it is, since it is
			 * rounded: another layout, but one that fits. */
			if (r == 0)
				CHECK_EQ(got.size, layout.size);
			else
				CHECK(r == -EPROTO || r == -EBADMSG);
			page[i] = kept;
		}
	}
	CHECK_EQ(region_read(page, layout.size - 1, &got), -EBADMSG);
	CHECK_EQ(region_read(page, 100, &got), -EPROTO);
	free(page);
}

static int attach_size(size_t size, bool sealed)
{
	struct chan *chan;
	int fd;

	if (sealed) {
		CHECK_EQ(fd_memory("test", size, &fd), 0);
	} else {
		fd = memfd_create("test", MFD_CLOEXEC);
		CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	}
	return chan_client_attach(fd, -1, 0, &chan);
}

TEST(attach_refuses_what_is_no_region)
{
	struct chan *chan;
	int sides[2];

	CHECK_EQ(attach_size(1 << 20, false), -EPROTO);
	CHECK_EQ(attach_size(100, true), -EPROTO);
	CHECK_EQ(attach_size(1 << 20, true), -EPROTO);
	/* Taken over also on failure: the runner would see a leaked descriptor. */
	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sides), 0);
	CHECK(chan_client_attach(open("/dev/null", O_RDONLY | O_CLOEXEC), sides[0], 0, &chan) < 0);
	CHECK_EQ(read(sides[1], &chan, 1), 0);
	close(sides[1]);
}

TEST(worker_refuses_a_region_smaller_than_its_geometry)
{
	struct chan_geometry small = {.lanes = 4}, large = {.lanes = 4, .staging_size = 64 << 20};
	struct chan *chan;
	uint64_t size;
	int fd;

	CHECK_EQ(chan_region_create(&small, &fd, &size), 0);
	CHECK_EQ(chan_worker_attach(fd, -1, &large, 0, &chan), -EINVAL);
}
