/*
 * What the generated codec test (gen/test_codec.c) is written in. A test fills struct args a with
 * random values and calls CODEC_CALL(X): a is encoded, the record must have exactly the promised
 * size, every prefix of it and the record with eight bytes more must be refused, and the whole must
 * decode into b. The test compares, plays the server in b, and calls CODEC_REPLY(X): b's outputs
 * are encoded and every prefix must fail to decode into a; then all of it decodes.
 *
 * Every record is decoded from memory of exactly its size, so that a sanitizer sees a read beyond.
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "base/test.h"
#include "wire/record.h"

#define CODEC_TEST_PIECES 96
#define CODEC_TEST_POOL	  (64u << 20)

/* Memory of one test, piece by piece, given back at its end. */
struct codec_test {
	void *pieces[CODEC_TEST_PIECES];
	size_t n_pieces;
	struct pool pool;
	uint8_t *bytes; /* the record or reply under test */
	size_t size;
};

static inline uint64_t codec_test_next(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static inline void codec_test_random(void *out, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)out)[i] = (uint8_t)(codec_test_next() >> 32);
}

/* The same for memory that may be absent. */
static inline void codec_test_fill(void *out, size_t size)
{
	if (out)
		codec_test_random(out, size);
}

static inline void codec_test_text(char *out, size_t size)
{
	if (!out || !size)
		return;
	for (size_t i = 0; i < size; i++)
		out[i] = (char)('a' + codec_test_next() % 26);
	out[codec_test_next() % size] = '\0';
}

static inline unsigned codec_test_length(void)
{
	return 1 + (unsigned)(codec_test_next() % 9);
}

static inline size_t codec_test_shorter(size_t room)
{
	return codec_test_next() % (room + 1);
}

static inline void *codec_test_keep(struct codec_test *t, size_t size)
{
	CHECK(size <= CODEC_TEST_POOL && t->n_pieces < CODEC_TEST_PIECES);
	void *piece = malloc(size ? size : 1);
	CHECK(piece);
	t->pieces[t->n_pieces++] = piece;
	return piece;
}

static inline void *codec_test_memory(struct codec_test *t, size_t size)
{
	void *piece = codec_test_keep(t, size);

	codec_test_random(piece, size);
	return piece;
}

static inline char *codec_test_cstr(struct codec_test *t, size_t size)
{
	char *text = codec_test_keep(t, size);

	codec_test_text(text, size);
	text[size - 1] = '\0';
	return text;
}

static inline void codec_test_fini(struct codec_test *t)
{
	while (t->n_pieces)
		free(t->pieces[--t->n_pieces]);
	free(t->bytes);
	t->bytes = NULL;
	pool_fini(&t->pool);
}

static inline struct wire_writer codec_test_writer(struct codec_test *t, size_t size)
{
	free(t->bytes);
	t->bytes = malloc(size ? size : 1);
	CHECK(t->bytes);
	t->size = size;
	return wire_writer(t->bytes, size);
}

/* The first size bytes, in memory of just that size that the caller frees. */
static inline uint8_t *codec_test_prefix(const struct codec_test *t, size_t size)
{
	uint8_t *prefix = calloc(1, size ? size : 1);

	CHECK(prefix);
	memcpy(prefix, t->bytes, size < t->size ? size : t->size);
	return prefix;
}

/* Every prefix of what is small, enough of what is large. */
static inline size_t codec_test_step(const struct codec_test *t)
{
	return t->size > 2048 ? 61 : 1;
}

#define CODEC_REFUSED(x, n)                                                                        \
	do {                                                                                       \
		uint8_t *prefix = codec_test_prefix(&t, (n));                                      \
		struct wire_reader broken = wire_reader(prefix, (n));                              \
		CHECK(!wire_decode_##x(&broken, &t.pool, &b));                                     \
		pool_reset(&t.pool);                                                               \
		free(prefix);                                                                      \
	} while (0)

#define CODEC_CALL(x)                                                                              \
	struct wire_writer w = codec_test_writer(&t, wire_size_##x(&a));                           \
	wire_encode_##x(&w, &a);                                                                   \
	CHECK(!w.failed && w.at == w.end);                                                         \
	pool_init(&t.pool, CODEC_TEST_POOL);                                                       \
	for (size_t n = 0; n < t.size; n += codec_test_step(&t))                                   \
		CODEC_REFUSED(x, n);                                                               \
	CODEC_REFUSED(x, t.size + 8);                                                              \
	uint8_t *record = memcpy(codec_test_keep(&t, t.size), t.bytes, t.size);                    \
	struct wire_reader r = wire_reader(record, t.size);                                        \
	CHECK(wire_decode_##x(&r, &t.pool, &b))

/* restore: statements that put back counts in a, which a reply overwrites, broken or not. */
#define CODEC_REPLY(x, restore)                                                                    \
	w = codec_test_writer(&t, wire_reply_size_##x(&a));                                        \
	wire_encode_reply_##x(&w, &b);                                                             \
	CHECK(!w.failed);                                                                          \
	t.size = (size_t)(w.at - t.bytes);                                                         \
	for (size_t n = 0; n < t.size; n += codec_test_step(&t)) {                                 \
		uint8_t *prefix = codec_test_prefix(&t, n);                                        \
		struct wire_reader broken = wire_reader(prefix, n);                                \
		wire_decode_reply_##x(&broken, &a);                                                \
		CHECK(broken.failed);                                                              \
		free(prefix);                                                                      \
		restore;                                                                           \
	}                                                                                          \
	r = wire_reader(t.bytes, t.size);                                                          \
	wire_decode_reply_##x(&r, &a);                                                             \
	CHECK(!r.failed && r.at == r.end)

#define CODEC_SAME(left, right, size)                                                              \
	do {                                                                                       \
		const void *same_left = (left), *same_right = (right);                             \
		if (same_left && same_right)                                                       \
			CHECK_BYTES(same_right, same_left, size);                                  \
		CHECK(!same_left == !same_right);                                                  \
	} while (0)

#define CODEC_SAME_CSTR(left, right)                                                               \
	do {                                                                                       \
		const char *same_left = (left), *same_right = (right);                             \
		if (same_left && same_right)                                                       \
			CHECK_STR(same_right, same_left);                                          \
		CHECK(!same_left == !same_right);                                                  \
	} while (0)
