/*
 * See fuzz-compare.h. The compiler puts a call before each comparison; the linker (its option
 * --wrap) leads those calls here instead of to libFuzzer, which uses them little, and whose tables
 * would be a copy's that has ended (fuzz-snapshot.h).
 *
 * A place is where the program compares. It is of interest until both sides have been equal there
 * or enough was tried. Of a place that is, a run writes down the two values and the record that was
 * being served. If one value stands in that record, it is replaced by the other, and by its
 * neighbours, since limits are where mistakes are. If neither does, what is compared may be a sum
 * with something of the record in it: the difference is added to words of it. No place has a second
 * try before all have had one.
 *
 * Any thread of the target compares. Counts may get lost between them, which costs a try.
 */
#include "worker/fuzz-compare.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "worker/fuzz-records.h"

#define PLACES	     (1u << 16)
#define LOG_MOST     4096
#define EACH_MOST    3	 /* notes of one place in one run */
#define TRIES_MOST   24u /* inputs of one place: values found in the record */
#define SUMS_MOST    16u /* and differences added */
#define SUM_FARTHEST (UINT64_C(1) << 46)
#define QUEUE_MOST   4096
#define SWITCH_MOST  64

/* This file is called from what is instrumented. */
#define PLAIN __attribute__((no_sanitize("coverage", "address", "undefined")))

struct place {
	uint16_t run;	     /* of its last note */
	uint8_t notes;	     /* in that run */
	uint8_t is_done;     /* equal once, or tried enough */
	uint8_t tries, sums; /* the mutator's */
};

struct note {
	uint32_t place;
	uint16_t record;
	uint16_t size;
	uint64_t a, b;
};

struct shared {
	struct place places[PLACES];
	_Atomic uint32_t n_notes;
	uint16_t run;
	struct note notes[LOG_MOST];
};

/* An input to be tried: a copy, with words changed. */
struct candidate {
	uint8_t *data;
	size_t size;
};

const size_t fuzz_compare_size = sizeof(struct shared);

static struct shared *shared;
static unsigned
    serving; /* of the run: written by the thread that reads the input, a guess elsewhere */
static bool is_running;
static struct candidate queue[QUEUE_MOST];
static size_t queue_first, n_queued;
static unsigned level = 1; /* tries that a place may have had by now */

void fuzz_compare_init(void *memory)
{
	shared = memory;
}

void fuzz_compare_begin(void)
{
	atomic_store_explicit(&shared->n_notes, 0, memory_order_relaxed);
	shared->run++;
	serving = 0;
	is_running = true;
}

void fuzz_compare_record(unsigned index)
{
	serving = index;
}

/* --- what the compiler calls --- */

PLAIN static inline void note(uint64_t where, uint64_t a, uint64_t b, unsigned size)
{
	if (!is_running)
		return;
	uint32_t number = (uint32_t)((where * UINT64_C(0x9e3779b97f4a7c15)) >> 48);
	struct place *place = &shared->places[number];
	if (place->is_done)
		return;
	if (a == b) {
		place->is_done = 1;
		return;
	}
	if (place->run != shared->run) {
		place->run = shared->run;
		place->notes = 0;
	}
	if (place->notes >= EACH_MOST)
		return;
	place->notes++;
	/* Relaxed: read when the run has ended. */
	uint32_t at = atomic_fetch_add_explicit(&shared->n_notes, 1, memory_order_relaxed);
	if (at < LOG_MOST)
		shared->notes[at] = (struct note){number, (uint16_t)serving, (uint16_t)size, a, b};
}

#define HERE ((uint64_t)(uintptr_t)__builtin_return_address(0))

#define COMPARES(name, type)                                                                       \
	void __wrap___sanitizer_cov_trace_##name(type a, type b);                                  \
	PLAIN void __wrap___sanitizer_cov_trace_##name(type a, type b)                             \
	{                                                                                          \
		note(HERE, a, b, sizeof(type));                                                    \
	}
COMPARES(cmp4, uint32_t)
COMPARES(cmp8, uint64_t)
COMPARES(const_cmp4, uint32_t)
COMPARES(const_cmp8, uint64_t)

/* cases: their number, the bits of the value, and they. */
void __wrap___sanitizer_cov_trace_switch(uint64_t value, uint64_t *cases);
PLAIN void __wrap___sanitizer_cov_trace_switch(uint64_t value, uint64_t *cases)
{
	for (uint64_t i = 0; i < cases[0] && i < SWITCH_MOST; i++)
		note(HERE + (i << 48), value, cases[2 + i], cases[1] > 32 ? 8 : 4);
}

/* --- the mutator's side --- */

/* The words of a record: where they begin, and how many. */
static uint8_t *find_record(uint8_t *data, size_t size, unsigned index, size_t *words)
{
	struct fuzz_head head;

	*words = 0;
	for (size_t at = 0; size - at >= sizeof(head);) {
		memcpy(&head, data + at, sizeof(head));
		at += sizeof(head);
		*words = MIN((size_t)head.words, (size - at) / 8);
		if (!index--)
			return data + at;
		at += *words * 8;
	}
	*words = 0;
	return NULL;
}

static void enqueue(const uint8_t *data, size_t size, size_t at, uint64_t value, size_t width)
{
	struct candidate *slot = &queue[(queue_first + n_queued) % QUEUE_MOST];

	slot->data = malloc(size);
	if (!slot->data)
		return;
	slot->size = size;
	memcpy(slot->data, data, size);
	memcpy(slot->data + at, &value, width);
	n_queued++;
}

/* Where one side stands in the record, each place in turn, the other is put, then its neighbours. A
 * narrow value may stand in a whole word or in half of one. */
static bool replace(uint8_t *data, size_t size, const struct note *note, uint64_t from, uint64_t to)
{
	static const int64_t beside[] = {0, 1, -1};
	unsigned turn = shared->places[note->place].tries;
	size_t words, found = 0, at[TRIES_MOST];
	uint8_t *first = find_record(data, size, note->record, &words);

	for (size_t i = 0; i + note->size <= words * 8 && found < TRIES_MOST; i += note->size) {
		uint64_t value = 0;
		memcpy(&value, first + i, note->size);
		if (value == from)
			at[found++] = (size_t)(first - data) + i;
	}
	if (!found)
		return false;
	to += (uint64_t)beside[turn / found % ARRAY_SIZE(beside)];
	enqueue(data, size, at[turn % found], to, note->size);
	return true;
}

/* Each word of the record in turn, then each with the other sign. */
static void add(uint8_t *data, size_t size, const struct note *note)
{
	unsigned turn = shared->places[note->place].sums;
	uint64_t value, difference = note->a - note->b;
	size_t words;
	uint8_t *first = find_record(data, size, note->record, &words);

	if (note->size == 4)
		difference = (uint64_t)(int32_t)difference;
	if (!words || difference + SUM_FARTHEST > 2 * SUM_FARTHEST)
		return;
	size_t at = (size_t)(first - data) + 8 * (turn % words);
	memcpy(&value, data + at, sizeof(value));
	value = turn / words % 2 ? value - difference : value + difference;
	enqueue(data, size, at, value, sizeof(value));
}

static void learn(uint8_t *data, size_t size, const struct note *note)
{
	struct place *place = &shared->places[note->place];

	if (place->is_done || n_queued == QUEUE_MOST)
		return;
	if (place->tries < MIN(level, TRIES_MOST) &&
	    (replace(data, size, note, note->a, note->b) ||
		replace(data, size, note, note->b, note->a)))
		place->tries++;
	else if (place->sums < MIN(level, SUMS_MOST)) {
		add(data, size, note);
		place->sums++;
	}
	if (place->tries >= TRIES_MOST || place->sums >= SUMS_MOST)
		place->is_done = 1;
}

void fuzz_compare_learn(const uint8_t *data, size_t size)
{
	uint32_t n = atomic_load_explicit(&shared->n_notes, memory_order_relaxed);
	uint8_t *copy = malloc(size + !size);

	is_running = false;
	if (!copy)
		return;
	memcpy(copy, data, size);
	for (uint32_t i = 0; i < MIN(n, (uint32_t)LOG_MOST); i++)
		learn(copy, size, &shared->notes[i]);
	free(copy);
}

size_t fuzz_compare_next(uint8_t *data, size_t room)
{
	size_t size = 0;

	if (!n_queued)
		level++;
	while (n_queued && !size) {
		struct candidate *slot = &queue[queue_first];
		if (slot->size <= room)
			size = slot->size;
		memcpy(data, slot->data, size);
		free(slot->data);
		queue_first = (queue_first + 1) % QUEUE_MOST;
		n_queued--;
	}
	return size;
}
