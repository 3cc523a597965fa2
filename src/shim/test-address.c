/* Tests of addresses that the program may reserve (address.h). */
#include "shim/address.h"

#include <sys/mman.h>

#include "base/test.h"
#include "shim/session.h"

enum { PAGES = 1 << 20 };

/* An address at which nothing lies: the lower end of a large hole, for the kernel gives the upper
 * end to whoever else asks, such as a sanitizer. */
static uint64_t free_place(void)
{
	const size_t hole = (size_t)1 << 34;
	void *place =
	    mmap(NULL, hole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	CHECK(place != MAP_FAILED);
	munmap(place, hole);
	return (uintptr_t)place;
}

static void *map_at(uint64_t address, size_t bytes)
{
	return mmap((void *)(uintptr_t)address, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

TEST(what_is_kept_nobody_else_gets)
{
	uint64_t at = free_place();

	CHECK(!address_is_kept(at, PAGES));
	CHECK(address_keep(at, PAGES));
	CHECK(address_is_kept(at, PAGES));
	CHECK(address_is_kept(at + 4096, PAGES - 4096));
	CHECK(!address_is_kept(at + 4096, PAGES));
	CHECK(!address_is_kept(at - 4096, PAGES));
	CHECK(map_at(at + 4096, 4096) == MAP_FAILED);
	CHECK(!address_keep(at, PAGES));
	address_give_back(at);
	CHECK(!address_is_kept(at, PAGES));
	CHECK(map_at(at, PAGES) != MAP_FAILED);
	munmap((void *)(uintptr_t)at, PAGES);
}

TEST(what_the_program_has_is_not_taken)
{
	uint64_t at = free_place();
	volatile char *mine = map_at(at + PAGES / 2, 4096);

	CHECK(mine != MAP_FAILED);
	*mine = 7;
	CHECK(!address_keep(at, PAGES));
	CHECK(!address_is_kept(at, PAGES));
	CHECK_EQ(*mine, 7);
	munmap((void *)mine, 4096);
	CHECK(address_keep(at, PAGES));
	address_give_back(at);
}

TEST(windows_are_kept_already)
{
	session.device_reserved = true;
	CHECK(address_keep(WIRE_DEVICE_WINDOW_BASE, PAGES));
	CHECK(address_is_kept(WIRE_DEVICE_WINDOW_BASE, PAGES));
	address_give_back(WIRE_DEVICE_WINDOW_BASE);
	CHECK(address_is_kept(WIRE_DEVICE_WINDOW_BASE, PAGES));
	CHECK(!address_is_kept(WIRE_DEVICE_WINDOW_BASE + WIRE_DEVICE_WINDOW_SIZE - 4096, PAGES));
	session.device_reserved = false;
}
