/*
 * An older client with a newer server, beyond the handshake: what a client of version 1 finds in
 * and puts into the region (test/handshake/) means today what it meant then.
 */
#include <stdalign.h>

#include "base/test.h"
#include "chan/internal.h"
#include "chan/test-chan.h"

static size_t read_recorded(const char *name, uint8_t *bytes, size_t capacity)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", HANDSHAKE_FOLDER, name);
	FILE *file = fopen(path, "rb");
	CHECK(file);
	size_t size = fread(bytes, 1, capacity, file);
	fclose(file);
	CHECK(size > 0 && size < capacity);
	return size;
}

TEST(the_description_of_version_1_is_what_we_write)
{
	alignas(REGION_PAGE) static uint8_t recorded[REGION_CONTROL_SIZE];
	alignas(REGION_PAGE) static uint8_t written[REGION_CONTROL_SIZE];
	struct chan_geometry geometry = {.functions = 637};
	struct region_layout layout, read;

	size_t size = read_recorded("v1-control.bin", recorded, sizeof(recorded));
	CHECK_EQ(region_layout(&geometry, &layout), 0);
	region_format(written, &layout);
	CHECK_BYTES(written, recorded, size);
	CHECK_EQ(region_read(recorded, layout.size, &read), 0);
	CHECK_BYTES(&read, &layout, sizeof(layout));
}

/* The places version 1 computes; doc/WIRE.md gives them. */
TEST(the_layout_of_version_1_is_ours)
{
	struct region_layout layout;

	CHECK_EQ(region_layout(&(struct chan_geometry){.functions = 637}, &layout), 0);
	CHECK_EQ(layout.releases, 4096);
	CHECK_EQ(layout.stats, 8192);
	CHECK_EQ(layout.lanes, 49152);
	CHECK_EQ(layout.ring, 4243456);
	CHECK_EQ(layout.staging, 5308416);
	CHECK_EQ(layout.size, 38862848);
	CHECK_EQ(offsetof(struct region_control, head), 128);
	CHECK_EQ(offsetof(struct region_control, tail), 256);
	CHECK_EQ(offsetof(struct region_control, work), 384);
	CHECK_EQ(offsetof(struct region_control, room), 512);
	CHECK_EQ(offsetof(struct region_control, staging), 640);
	CHECK_EQ(offsetof(struct region_control, posted_error), 768);
	CHECK_EQ(offsetof(struct doorbell, wake_at), 8);
	CHECK_EQ(offsetof(struct region_lane, doorbell), 64);
	CHECK_EQ(offsetof(struct region_lane, payload), 128);
}

TEST(the_records_of_version_1_are_understood)
{
	static const struct wire_record wanted[] = {
	    {16, 300, 1, 0, WIRE_F_REPLY},
	    {40, 301, 2, 0, WIRE_F_PTDS},
	    {32, WIRE_ID_ATTACH, 1, 7, 0},
	};
	alignas(16) static uint8_t buffer[WIRE_RECORD_MAX];
	static uint8_t recorded[4096];
	struct chan_geometry geometry = {.lanes = 8};
	struct pair pair = pair_new(OVER_LOOP, &geometry);

	size_t size = read_recorded("v1-ring.bin", recorded, sizeof(recorded));
	memcpy(pair.client->memory + pair.client->layout.ring, recorded, size);
	atomic_store(&pair.client->control->head, size);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		CHECK_EQ(chan_next(pair.worker, buffer), 0);
		CHECK_BYTES(buffer, &wanted[i], sizeof(wanted[i]));
	}
	struct wire_reader r = wire_reader(buffer + sizeof(struct wire_record), 16);
	CHECK_EQ(wire_get_u64(&r), WIRE_CHUNK_SIZE);
	CHECK_EQ(wire_get_u64(&r), 100);
	CHECK_EQ(atomic_load(&pair.client->control->tail), size);
	pair_free(&pair);
}
