/* Writers and readers: what goes in comes out, and an overrun sticks and touches nothing. */
#include "wire/record.h"

#include "base/test.h"
#include "wire/handle.h"

TEST(fields_come_back)
{
	uint8_t memory[256];
	struct wire_writer w = wire_writer(memory, sizeof(memory));

	wire_put_u64(&w, UINT64_MAX);
	wire_put_bytes(&w, "hello", 5);
	wire_put_bytes(&w, NULL, 0);
	wire_put_raw(&w, "12345678", 8);
	wire_put_bytes(&w, "abc", 3);
	CHECK(!w.failed);
	size_t size = (size_t)(w.at - memory);
	CHECK_EQ(size, 8 + wire_bytes_size(5) + wire_bytes_size(0) + 8 + wire_bytes_size(3));

	struct wire_reader r = wire_reader(memory, size);
	size_t got;
	char copy[3];
	CHECK_EQ(wire_get_u64(&r), -1);
	CHECK_BYTES(wire_get_bytes(&r, &got), "hello\0\0", 8);
	CHECK_EQ(got, 5);
	CHECK(wire_get_bytes(&r, &got));
	CHECK_EQ(got, 0);
	CHECK_BYTES(wire_get_raw(&r, 8), "12345678", 8);
	wire_get_copy(&r, copy, 3);
	CHECK_BYTES(copy, "abc", 3);
	CHECK(!r.failed && r.at == r.end);
}

/* A writer one byte too small for each possible cut fails, and never writes behind its end. */
TEST(a_full_writer_fails_and_stays_inside)
{
	uint8_t memory[64];

	for (size_t size = 0; size < 40; size++) {
		memset(memory, 0xee, sizeof(memory));
		struct wire_writer w = wire_writer(memory, size);
		wire_put_u64(&w, 0);
		wire_put_bytes(&w, "0123456789", 10);
		wire_put_u64(&w, 0);
		CHECK(w.failed);
		for (size_t i = size; i < sizeof(memory); i++)
			CHECK_EQ(memory[i], 0xee);
		wire_put_raw(&w, "x", 0);
		wire_put_u64(&w, 1);
		CHECK(w.failed);
	}
}

TEST(a_cut_record_fails_and_gives_zeros)
{
	uint8_t memory[40];
	struct wire_writer w = wire_writer(memory, sizeof(memory));

	wire_put_u64(&w, 5);
	wire_put_bytes(&w, "0123456789", 10);
	wire_put_u64(&w, 6);
	CHECK(!w.failed);
	for (size_t size = 0; size < sizeof(memory); size++) {
		struct wire_reader r = wire_reader(memory, size);
		char copy[10];
		wire_get_u64(&r);
		wire_get_copy(&r, copy, 10);
		CHECK_EQ(wire_get_u64(&r), 0);
		CHECK(r.failed);
		CHECK_EQ(wire_get_u64(&r), 0);
		CHECK(!wire_get_raw(&r, 8));
	}
}

TEST(lengths_that_lie_are_refused)
{
	static const uint64_t lies[] = {9, 16, UINT64_MAX, UINT64_MAX - 7, 1ull << 63};
	uint64_t memory[2];

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		size_t got = 1;
		memory[0] = lies[i];
		struct wire_reader r = wire_reader(memory, sizeof(memory));
		CHECK(!wire_get_bytes(&r, &got));
		CHECK_EQ(got, 0);
		CHECK(r.failed);
	}
	char copy[8] = "xxxxxxx";
	memory[0] = 7; /* of another length than wanted */
	struct wire_reader r = wire_reader(memory, sizeof(memory));
	wire_get_copy(&r, copy, 8);
	CHECK(r.failed);
	CHECK_EQ(copy[0], 0);
}

TEST(a_writer_refuses_sizes_that_overflow)
{
	uint8_t memory[16];
	struct wire_writer w = wire_writer(memory, sizeof(memory));

	wire_put_raw(&w, memory, SIZE_MAX);
	CHECK(w.failed);
}

TEST(ids_name_kind_generation_and_index)
{
	uint64_t id = handle_id(true, HANDLE_CONDITIONAL, 65535, HANDLE_INDEX_MAX);

	CHECK(handle_by_worker(id));
	CHECK_EQ(handle_kind_of(id), HANDLE_CONDITIONAL);
	CHECK_EQ(handle_generation(id), 65535);
	CHECK_EQ(handle_index(id), HANDLE_INDEX_MAX);
	CHECK(id < 1ull << 47); /* looks like a pointer of user space */
	id = handle_id(false, HANDLE_CONTEXT, 1, 0);
	CHECK(!handle_by_worker(id) && id > 2); /* none of CUDA's special streams */
	CHECK_EQ(id, handle_primary_context(0));
	CHECK(handle_id(false, HANDLE_STREAM, 1, 5) != handle_id(false, HANDLE_STREAM, 2, 5));
}
