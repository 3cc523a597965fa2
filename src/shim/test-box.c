/*
 * Cutting a box copy so that each piece fits the staging area: nothing is left out, nothing twice.
 */
#include "base/test.h"
#include "shim/box.h"

enum { WIDTH = 7, HEIGHT = 5, DEPTH = 4 };

/* Cuts the box into parts of at most room bytes; every byte must be in exactly one. */
static unsigned cover(size_t room)
{
	struct box box = {.source = {.x = 1, .y = 2, .z = 3},
		       .destination = {.x = 10},
		       .width = WIDTH,
		       .height = HEIGHT,
		       .depth = DEPTH},
		   part;
	struct box_position position = {0};
	unsigned char seen[DEPTH][HEIGHT][WIDTH] = {0};
	unsigned parts = 0;

	while (box_part(&box, room, &position, &part)) {
		CHECK(part.width * part.height * part.depth <= room);
		CHECK(part.width && part.height && part.depth);
		CHECK_EQ(part.source.x - 1, part.destination.x - 10);
		CHECK_EQ(part.source.y - 2, part.destination.y);
		CHECK_EQ(part.source.z - 3, part.destination.z);
		for (size_t z = 0; z < part.depth; z++)
			for (size_t y = 0; y < part.height; y++)
				for (size_t x = 0; x < part.width; x++)
					seen[part.destination.z + z][part.destination.y + y]
					    [part.destination.x - 10 + x]++;
		parts++;
	}
	for (size_t i = 0; i < sizeof(seen); i++)
		CHECK_EQ(((unsigned char *)seen)[i], 1);
	return parts;
}

TEST(whole_when_there_is_room)
{
	CHECK_EQ(cover(WIDTH * HEIGHT * DEPTH), 1);
	CHECK_EQ(cover(1 << 20), 1);
}

TEST(slices_rows_and_pieces_of_rows)
{
	CHECK_EQ(cover(WIDTH * HEIGHT), DEPTH);
	CHECK_EQ(cover(WIDTH * HEIGHT * 3), 2);
	CHECK_EQ(cover(WIDTH), DEPTH * HEIGHT);
	CHECK_EQ(cover(1), WIDTH * HEIGHT * DEPTH);
	for (size_t room = 1; room < WIDTH * HEIGHT * DEPTH; room++)
		cover(room);
}

TEST(a_box_begins_where_its_coordinates_say)
{
	struct box_side side = {.address = 1000, .x = 3, .y = 2, .z = 5, .pitch = 100, .rows = 10};

	CHECK_EQ(box_start(&side), 1000 + 5 * 10 * 100 + 2 * 100 + 3);
}
