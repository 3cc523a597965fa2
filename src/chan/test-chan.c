/* The channel over memfd: records, replies, bulk data, and how its ends end. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/test.h"
#include "chan/test-chan.h"

TEST(null_round_trips)
{
	struct pair pair = pair_start(&(struct chan_geometry){.lanes = 4}, echo_worker);
	uint64_t start = clock_now_ns();

	for (int i = 0; i < 100000; i++)
		call_echo(pair.client, 0, i, NULL, 0);
	printf("# %.0f ns\n", (double)(clock_now_ns() - start) / 100000);
	pair_stop(&pair);
}
