/*
 * How libFuzzer changes inputs that are rows of records (fuzz-records.h).
 *
 * Most of an input is words that mean something together; bytes changed at random seldom leave a
 * session that gets far. So what is changed is mostly a word of one record, to what stands
 * elsewhere or is an edge, or the row of records. A record that comes new is one that decodes: the
 * interface says what stands in it (gen/fuzz_layout.c), the input which objects and addresses
 * there are. Inputs made of what the program compared (fuzz-compare.h) go first.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "api/fuzz-layout.h"
#include "wire/limits.h"
#include "worker/fuzz-compare.h"
#include "worker/fuzz-records.h"

#define RECORDS_MOST	 4096 /* that are told apart when an input is changed */
#define COPY_MOST	 4096
#define FIELDS_MOST	 64
#define LOOKS_FOR_OBJECT 64
#define SEEN_MOST	 256
#define LOOKS		 8
#define COMPARED_OF_4	 3 /* of four inputs, while there are some */

struct records {
	uint8_t *data;
	size_t size, room;
	size_t at[RECORDS_MOST + 1]; /* where each begins; behind the last: the end */
	size_t n;
	uint64_t random;
};

/* Inputs that were worth keeping, as far as they were chosen to be changed. */
struct seen {
	uint8_t data[COPY_MOST];
	size_t size;
};

static struct seen seen[SEEN_MOST];
static size_t n_seen;
static uint32_t n_called[UINT16_MAX + 1]; /* how often inputs that were changed do */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);

static uint64_t any(struct records *records, uint64_t n)
{
	records->random = records->random * 6364136223846793005u + 1442695040888963407u;
	return n ? (records->random >> 24) % n : 0;
}

static void find_records(struct records *records)
{
	struct fuzz_head head;
	size_t at = 0;

	records->n = 0;
	while (records->size - at >= sizeof(head) && records->n < RECORDS_MOST) {
		records->at[records->n++] = at;
		memcpy(&head, records->data + at, sizeof(head));
		at += sizeof(head);
		at += MIN((size_t)head.words * 8, (records->size - at) / 8 * 8);
	}
	records->at[records->n] = at;
}

static void remember(const struct records *records)
{
	struct seen *slot = &seen[n_seen++ % SEEN_MOST];
	struct fuzz_head head;

	slot->size = records->size <= sizeof(slot->data) ? records->size : 0;
	memcpy(slot->data, records->data, slot->size);
	for (size_t i = 0; i < records->n; i++) {
		memcpy(&head, records->data + records->at[i], sizeof(head));
		n_called[head.function]++;
	}
}

/* --- values --- */

/* A word of some record's payload; NULL: it has none. */
static uint8_t *any_word(struct records *records)
{
	size_t record = any(records, records->n);
	size_t first = records->at[record] + sizeof(struct fuzz_head);
	size_t words = (records->at[record + 1] - first) / 8;

	return words ? records->data + first + 8 * any(records, words) : NULL;
}

static uint64_t any_value(struct records *records)
{
	const uint8_t *word = any_word(records);
	uint64_t value = 0;

	if (word)
		memcpy(&value, word, sizeof(value));
	return value;
}

static bool is_address(uint64_t value)
{
	return value >= WIRE_DEVICE_WINDOW_BASE &&
	       value < WIRE_HOST_WINDOW_BASE + WIRE_HOST_WINDOW_SIZE;
}

static bool is_id(uint64_t value)
{
	return value >> 47 == 0 && handle_kind_of(value) > HANDLE_NONE &&
	       handle_kind_of(value) < HANDLE_N_KINDS && !is_address(value);
}

/* One of the ids of this kind that the input has, and the first record that names it; 0: it has
 * none. */
static uint64_t find_id(struct records *records, enum handle_kind kind, size_t *record)
{
	uint64_t found = 0, n = 0, value;

	for (size_t i = 0; i < records->n; i++)
		for (size_t at = records->at[i] + 8; at + 8 <= records->at[i + 1]; at += 8) {
			memcpy(&value, records->data + at, sizeof(value));
			bool fits = is_id(value) && handle_kind_of(value) == kind;
			if (fits && value != found && any(records, ++n) == 0) {
				found = value;
				*record = i;
			}
		}
	return found;
}

/* An object that the input names somewhere, or one that it does not. */
static uint64_t any_id(struct records *records, enum handle_kind kind, size_t *record)
{
	uint64_t id = any(records, 8) ? find_id(records, kind, record) : 0;

	if (id)
		return id;
	if (!any(records, 4) || kind == HANDLE_STREAM)
		return any(records, 4); /* none, or the streams that have always been there */
	return handle_id(
	    any(records, 2), kind, (uint32_t)any(records, 2), (uint32_t)any(records, 4));
}

static uint64_t any_address(struct records *records)
{
	for (unsigned i = 0; i < LOOKS; i++) {
		uint64_t value = any_value(records);
		if (is_address(value))
			return value;
	}
	return any(records, 4) ? WIRE_DEVICE_WINDOW_BASE : WIRE_HOST_WINDOW_BASE;
}

/* Sizes and numbers at which something ends. */
static uint64_t any_limit(struct records *records)
{
	static const uint64_t limits[] = {LANES, 16, 32, 64, WIRE_DEVICES_MAX, 128,
	    WIRE_ATTRIBUTES_MAX, 1024, WIRE_PARAMETERS_MAX, WIRE_PARAMETER_BYTES_MAX,
	    WIRE_RECORD_MAX, WIRE_CHUNK_SIZE, 1 << 20, 4 << 20, 64 << 20, 512 << 20, INT32_MAX,
	    UINT32_MAX, INT64_MAX, WIRE_DEVICE_WINDOW_SIZE, WIRE_DEVICE_WINDOW_BASE,
	    WIRE_HOST_WINDOW_BASE, WIRE_HOST_WINDOW_BASE + WIRE_HOST_WINDOW_SIZE};

	return limits[any(records, ARRAY_SIZE(limits))] + any(records, 3) - 1;
}

static uint64_t edge(struct records *records, uint64_t present)
{
	size_t record;

	if (is_id(present) && any(records, 4))
		return any_id(records, handle_kind_of(present), &record);
	switch (any(records, 8)) {
	case 0:
		return any(records, 4);
	case 1:
		return present + any(records, 17) - 8;
	case 2:
		return present ^ (1ull << any(records, 64));
	case 3:
		return UINT64_MAX << any(records, 64);
	case 4:
		return 1ull << any(records, 64);
	case 5:
		return any_limit(records);
	case 6:
		return is_address(present) ? any_address(records) + any(records, 3) - 1
					   : present + any_limit(records);
	default:
		return any_value(records);
	}
}

static void change_word(struct records *records)
{
	uint8_t *word = any_word(records);
	size_t size = any(records, 2) ? 8 : 4;
	uint64_t value = 0;

	if (!word)
		return;
	word += 8 - size && any(records, 2) ? 4 : 0;
	memcpy(&value, word, size);
	value = edge(records, value);
	memcpy(word, &value, size);
}

/* --- new records --- */

struct draft {
	uint64_t words[COPY_MOST / 8];
	size_t n;
	bool is_too_long;
	size_t after;		      /* this record, where the objects it names have been made */
	uint64_t values[FIELDS_MOST]; /* of each field that is one number */
};

static void put(struct draft *draft, uint64_t word)
{
	if (draft->n == ARRAY_SIZE(draft->words))
		draft->is_too_long = true;
	else
		draft->words[draft->n++] = word;
}

static uint64_t draw(struct records *records, struct draft *draft, const struct fuzz_field *field)
{
	if (field->handle != HANDLE_NONE) {
		size_t record = 0;
		uint64_t id = any_id(records, field->handle, &record);
		draft->after = MAX(draft->after, record);
		return id;
	}
	switch (any(records, 8)) {
	case 0:
		return any_limit(records);
	case 1:
		return any_value(records);
	case 2:
	case 3:
		return any_address(records);
	default:
		return any(records, 5);
	}
}

/* How many bytes a run has. */
static size_t run_size(
    struct records *records, const struct draft *draft, const struct fuzz_field *field)
{
	size_t size = field->size;

	if (field->kind == FUZZ_TEXT)
		return 1 + any(records, 16);
	for (unsigned i = 0; i < FUZZ_FACTORS && field->by[i]; i++)
		if (__builtin_mul_overflow(size, draft->values[field->by[i] - 1], &size))
			return SIZE_MAX;
	return size;
}

static void put_run(struct records *records, struct draft *draft, const struct fuzz_field *field)
{
	size_t size = run_size(records, draft, field);

	if (size > COPY_MOST) {
		draft->is_too_long = true;
		return;
	}
	put(draft, size);
	for (size_t i = 0; i < (size + 7) / 8; i++)
		put(draft, field->kind == FUZZ_TEXT ? 0 : draw(records, draft, field));
}

/* value: its first word, which may count a run. */
static void put_value(
    struct records *records, struct draft *draft, const struct fuzz_field *field, uint64_t *value)
{
	*value = draw(records, draft, field);
	put(draft, *value);
	for (size_t i = 8; i < field->size; i += 8)
		put(draft, draw(records, draft, field));
}

static void put_field(
    struct records *records, struct draft *draft, const struct fuzz_field *field, uint64_t *value)
{
	bool present = !field->opt || any(records, 4);

	if (field->opt)
		put(draft, present);
	if (!present || !field->sent)
		return;
	if (field->kind == FUZZ_VALUE)
		put_value(records, draft, field, value);
	else
		put_run(records, draft, field);
}

/* Makes room, or says that there is none. */
static uint8_t *insert(struct records *records, size_t size, size_t at)
{
	if (size > records->room - records->size)
		return NULL;
	memmove(records->data + at + size, records->data + at, records->size - at);
	records->size += size;
	return records->data + at;
}

static uint8_t *insert_somewhere(struct records *records, size_t size)
{
	return insert(records, size, records->at[any(records, records->n + 1)]);
}

/* Rather one that few inputs call. */
static const struct fuzz_layout *any_function(struct records *records)
{
	const struct fuzz_layout *layout = &fuzz_layouts[any(records, fuzz_n_layouts)];

	for (unsigned i = 0; i < LOOKS; i++) {
		const struct fuzz_layout *other = &fuzz_layouts[any(records, fuzz_n_layouts)];
		if (n_called[other->id] < n_called[layout->id])
			layout = other;
	}
	return layout;
}

/* If the input has no object of a kind that the function takes, another's records come first that
 * have one. */
static void bring_objects(struct records *records, const struct fuzz_layout *layout)
{
	size_t record;

	for (size_t i = 0; i < layout->n; i++) {
		enum handle_kind kind = layout->fields[i].handle;
		if (kind == HANDLE_NONE || kind == HANDLE_STREAM || find_id(records, kind, &record))
			continue;
		for (unsigned looks = 0; looks < LOOKS_FOR_OBJECT; looks++) {
			const struct seen *other = &seen[any(records, MIN(n_seen, SEEN_MOST))];
			static struct records parts;
			parts = (struct records){.data = (uint8_t *)other->data,
			    .size = other->size,
			    .random = any(records, UINT32_MAX)};
			find_records(&parts);
			if (!find_id(&parts, kind, &record))
				continue;
			uint8_t *place = insert(records, other->size, 0);
			if (place)
				memcpy(place, other->data, other->size);
			find_records(records);
			break;
		}
	}
}

static void call_something(struct records *records)
{
	const struct fuzz_layout *layout = any_function(records);
	static struct draft draft;

	bring_objects(records, layout);
	draft = (struct draft){.after = any(records, records->n)};
	for (size_t i = 0; i < layout->n && i < FIELDS_MOST; i++)
		put_field(records, &draft, &layout->fields[i], &draft.values[i]);
	struct fuzz_head head = {(uint16_t)layout->id, (uint8_t)any(records, 2),
	    (uint8_t)any(records, 2), (uint32_t)draft.n};
	uint8_t *place = draft.is_too_long ? NULL
					   : insert(records, sizeof(head) + draft.n * 8,
						 records->at[MIN(draft.after + 1, records->n)]);
	if (!place)
		return;
	memcpy(place, &head, sizeof(head));
	memcpy(place + sizeof(head), draft.words, draft.n * 8);
}

/* --- the row --- */

/* Records of an input that came before, from its beginning, where it makes objects. */
static void begin_as_another(struct records *records)
{
	const struct seen *other = &seen[any(records, MIN(n_seen, SEEN_MOST))];
	static struct records parts;

	parts = (struct records){.data = (uint8_t *)other->data, .size = other->size};
	if (!other->size)
		return;
	find_records(&parts);
	size_t size = parts.at[any(records, parts.n + 1)];
	uint8_t *place =
	    any(records, 2) ? insert(records, size, 0) : insert_somewhere(records, size);
	if (place)
		memcpy(place, other->data, size);
}

/* Calls another function with the same payload. */
static void change_function(struct records *records)
{
	uint8_t *head = records->data + records->at[any(records, records->n)];
	uint16_t id = (uint16_t)fuzz_layouts[any(records, fuzz_n_layouts)].id;

	memcpy(head, &id, sizeof(id));
}

/* A few records go. */
static void leave_out(struct records *records)
{
	size_t first = any(records, records->n);
	size_t n = 1 + any(records, 3);
	size_t behind = MIN(first + n, records->n);

	memmove(records->data + records->at[first], records->data + records->at[behind],
	    records->size - records->at[behind]);
	records->size -= records->at[behind] - records->at[first];
}

/* A record comes once more, somewhere. */
static void repeat(struct records *records)
{
	size_t record = any(records, records->n);
	size_t size = records->at[record + 1] - records->at[record];
	uint8_t copy[COPY_MOST];

	if (size > sizeof(copy))
		return;
	memcpy(copy, records->data + records->at[record], size);
	uint8_t *place = insert_somewhere(records, size);
	if (place)
		memcpy(place, copy, size);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
	static struct records records;

	records = (struct records){.data = data, .size = size, .room = room, .random = seed};
	size_t compared = any(&records, 4) < COMPARED_OF_4 ? fuzz_compare_next(data, room) : 0;
	if (compared)
		return compared;
	find_records(&records);
	remember(&records);
	if (!records.n || !any(&records, 10))
		return LLVMFuzzerMutate(data, size, room);
	switch (any(&records, 12)) {
	case 0:
		leave_out(&records);
		break;
	case 1:
		repeat(&records);
		break;
	case 2:
		change_function(&records);
		break;
	case 3:
	case 4:
	case 5:
		call_something(&records);
		break;
	case 6:
		begin_as_another(&records);
		break;
	default:
		change_word(&records);
		break;
	}
	return records.size;
}
