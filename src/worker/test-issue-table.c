/* Where streams go: everywhere at first, and from where too many are to where few are. */
#include "base/test.h"
#include "worker/issue_table.h"

#define N 4u

static CUstream stream(uintptr_t i)
{
	return (CUstream)(i * 0x5a0 + 0x10000); /* NOLINT(performance-no-int-to-ptr) */
}

static unsigned issuer_of(struct issue_table *table, uintptr_t i)
{
	return (issue_table_give(table, stream(i))->next - 1u) % N;
}

static void give(struct issue_table *table, uintptr_t i, unsigned records)
{
	while (records--)
		issue_table_give(table, stream(i));
}

static unsigned issuers_in_use(struct issue_table *table, const uintptr_t *streams, unsigned n)
{
	unsigned used = 0;

	for (unsigned i = 0; i < n; i++)
		used |= 1u << issuer_of(table, streams[i]);
	return (unsigned)__builtin_popcount(used);
}

TEST(streams_go_to_issuers_in_turn_and_stay)
{
	struct issue_table table = {.n_issuers = N};

	for (uintptr_t i = 0; i < 4ul * N; i++)
		CHECK_EQ(issuer_of(&table, i), i % N);
	for (unsigned window = 0; window < 10; window++) {
		for (uintptr_t i = 0; i < 4ul * N; i++)
			give(&table, i, 15 + i % 3);
		issue_table_balance(&table, true);
	}
	for (uintptr_t i = 0; i < 4ul * N; i++)
		CHECK_EQ(issuer_of(&table, i), i % N);
}

TEST(streams_of_one_issuer_spread)
{
	static const uintptr_t busy[] = {0, 4, 8, 12};
	struct issue_table table = {.n_issuers = N};

	for (uintptr_t i = 0; i < 4ul * N; i++)
		give(&table, i, 1);
	CHECK_EQ(issuers_in_use(&table, busy, 4), 1);
	issue_table_balance(&table, false);
	for (unsigned window = 0; window < 3; window++) {
		for (unsigned i = 0; i < 4; i++)
			give(&table, busy[i], 64);
		CHECK_EQ(issuers_in_use(&table, busy, 4), window + 1);
		issue_table_balance(&table, true);
	}
	CHECK_EQ(issuers_in_use(&table, busy, 4), 4);
}

TEST(one_busy_stream_stays)
{
	struct issue_table table = {.n_issuers = N};

	for (unsigned window = 0; window < 10; window++) {
		give(&table, 7, 256);
		issue_table_balance(&table, true);
		CHECK_EQ(issuer_of(&table, 7), 0);
	}
}

TEST(a_stream_moves_once_its_track_is_told)
{
	struct issue_table table = {.n_issuers = N};

	for (uintptr_t i = 0; i < 5; i++)
		give(&table, i, 1);
	issue_table_balance(&table, false);
	give(&table, 0, 100);
	give(&table, 4, 100);
	issue_table_balance(&table, true);
	struct issue_slot *slot = issue_table_give(&table, stream(0));
	if (slot->next == slot->track)
		slot = issue_table_give(&table, stream(4));
	CHECK(slot->next != slot->track);
	CHECK(slot->track >= 1 && slot->next <= N * ISSUE_TRACKS);
}
