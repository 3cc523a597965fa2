/*
 * Fuzz target: both sides of a channel over a region whose bytes come from the input, as a hostile
 * peer could write them. Any wait finds its peer dead, so nothing blocks. The region lies between
 * guard pages, and what the channel hands out is checked to lie inside.
 *
 * The input is a list of operations, one byte each with its operands behind it: change words of the
 * control page, write bytes into the ring, a lane, the release counters; take records, post them,
 * wait, lend staging memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chan/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct chan_geometry geometry = {
    .ring_size = REGION_RING_MIN, .staging_size = 4 * WIRE_CHUNK_SIZE, .lanes = 4, .functions = 8};

struct input {
	const uint8_t *at, *end;
};

/* Little-endian bytes of the input; zeros behind its end. */
static uint64_t draw(struct input *in, int n_bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < n_bytes && in->at < in->end; i++)
		value |= (uint64_t)*in->at++ << 8 * i;
	return value;
}

static void scribble(struct input *in, uint8_t *memory, size_t room)
{
	size_t offset = draw(in, 2) % room;
	size_t size = MIN(draw(in, 1), room - offset);

	size = MIN(size, (size_t)(in->end - in->at));
	memcpy(memory + offset, in->at, size);
	in->at += size;
}

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool allowed(int r)
{
	return r == 0 || r == CHAN_TIMED_OUT || r == -EBADMSG || r == -ENOTCONN;
}

static void take_record(struct chan *worker)
{
	/* Of the heap, so that a record longer than it is an error. */
	uint8_t *buffer = aligned_alloc(16, WIRE_RECORD_MAX);
	struct wire_record record;

	int r = chan_next(worker, buffer);
	require(allowed(r) && r != CHAN_TIMED_OUT);
	if (r == 0) {
		memcpy(&record, buffer, sizeof(record));
		require(record.size >= sizeof(record) && record.size <= WIRE_RECORD_MAX);
		require(record.size % WIRE_ALIGN == 0 && record.lane < geometry.lanes);
		require(record.id != WIRE_ID_PAD);
	}
	free(buffer);
}

static void lend_staging(struct chan *worker, struct input *in)
{
	struct wire_bulk run = {draw(in, 8), draw(in, 8)};
	uint8_t *memory = chan_staging_memory(worker, &run);
	uint8_t *area = worker->memory + worker->layout.staging;

	if (memory) {
		require(memory >= area && run.size <= geometry.staging_size);
		require(memory + run.size <= area + geometry.staging_size);
	}
	chan_staging_release(worker, &run);
}

static void post(struct chan *client, struct input *in)
{
	struct wire_writer w;
	uint32_t seq;
	uint16_t lane = (uint16_t)draw(in, 1);
	size_t payload = draw(in, 2) & ~7ull;

	int r = chan_begin(client, lane, 16, 0, payload, &w, &seq);
	require(allowed(r) || r == -EINVAL);
	if (r)
		return;
	require((size_t)(w.end - w.at) == payload);
	memset(w.at, 1, payload);
	w.at = w.end;
	require(chan_commit(client, lane, &w) == 0);
}

static void wait_reply(struct chan *client, struct input *in)
{
	struct wire_reader reader;
	uint32_t status;
	uint16_t lane = (uint16_t)(draw(in, 1) % geometry.lanes);

	int r = chan_wait(client, lane, (uint32_t)draw(in, 1), 1, &status, &reader);
	require(allowed(r));
	if (r == 0)
		require((size_t)(reader.end - reader.at) <= chan_reply_room(client));
}

static void take_staging(struct chan *client, struct input *in)
{
	struct wire_bulk run;
	void *memory;

	int r = chan_staging_take(client, draw(in, 3), &run, &memory);
	require(allowed(r) || r == -E2BIG);
	if (r == 0)
		chan_staging_hand_over(client, &run);
}

static void operate(struct chan *client, struct chan *worker, struct input *in)
{
	uint8_t *memory = client->memory;

	switch (draw(in, 1) % 10) {
	case 0:
		scribble(in, memory, sizeof(struct region_control));
		break;
	case 1:
		scribble(in, memory + client->layout.ring, REGION_RING_MIN);
		break;
	case 2:
		scribble(in, memory + client->layout.lanes, geometry.lanes * WIRE_LANE_SIZE);
		break;
	case 3:
		scribble(in, memory + client->layout.releases, 16);
		break;
	case 4:
		atomic_store(&client->control->head, draw(in, 3));
		break;
	case 5:
		take_record(worker);
		break;
	case 6:
		lend_staging(worker, in);
		break;
	case 7:
		post(client, in);
		break;
	case 8:
		wait_reply(client, in);
		break;
	case 9:
		take_staging(client, in);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fault_plan dead = {.die_at = 1};
	struct input in = {data, data + size};
	struct region_layout layout;
	struct chan_end *ends[2];
	struct chan *client, *worker;

	require(loop_ends_new(&geometry, &ends[0], &ends[1]) == 0);
	require(fault_end_new(ends[0], &dead, &ends[0]) == 0);
	require(fault_end_new(ends[1], &dead, &ends[1]) == 0);
	require(chan_open(ends[0], CHAN_CLIENT, &geometry, 0, &client) == 0);
	require(chan_open(ends[1], CHAN_WORKER, &geometry, 0, &worker) == 0);
	for (int i = 0; i < 64 && in.at < in.end; i++)
		operate(client, worker, &in);
	/* A region in this state is also what another client might be told to attach to. */
	if (region_read(client->memory, ends[0]->size, &layout) == 0)
		require(layout.size <= ends[0]->size);
	chan_free(client);
	chan_free(worker);
	return 0;
}
