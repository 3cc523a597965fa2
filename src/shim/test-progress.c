/* When the line on the terminal is due, and what it says. */
#include "shim/progress.h"

#include "base/clock.h"
#include "base/test.h"

TEST(the_first_second_is_silent)
{
	struct progress p = {.what = "sending", .total = 512 << 20, .started_ns = 5};
	char text[128] = "";

	CHECK(!progress_line(&p, 1 << 20, 5 + NSEC_PER_SEC - 1, text, sizeof(text)));
	CHECK(!p.written);
	CHECK(progress_line(&p, 100 << 20, 5 + NSEC_PER_SEC, text, sizeof(text)));
	CHECK_STR(text, "\r\033[Krosen: sending, 100 of 512 MiB");
	CHECK(p.written);
}

TEST(it_is_renewed_ten_times_a_second)
{
	struct progress p = {.what = "sending", .total = 512 << 20};
	char text[128];
	unsigned n = 0;

	for (uint64_t now = 0; now < 2 * NSEC_PER_SEC; now += NSEC_PER_SEC / 1000)
		n += progress_line(&p, 0, now, text, sizeof(text));
	CHECK_EQ(n, 10);
}
