/*
 * What the generated codec (gen/api_codec.c) is written in: runs, optional pointers, and sizes that
 * cannot overflow. All of it keeps the rule of wire/record.h: after the first error nothing is read
 * or written any more, and the owner looks once at the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/pool.h"
#include "base/util.h"
#include "wire/limits.h"
#include "wire/record.h"

/*
 * Sizes saturate: SIZE_MAX stands for "more than there can be". No writer has that much room, no
 * reader holds that much, no pool gives it; so nobody needs to look at a product or sum by itself.
 */
static inline size_t codec_add(size_t a, size_t b)
{
	size_t sum;

	return unlikely(__builtin_add_overflow(a, b, &sum)) ? SIZE_MAX : sum;
}

static inline size_t codec_mul(size_t a, size_t b)
{
	size_t product;

	return unlikely(__builtin_mul_overflow(a, b, &product)) ? SIZE_MAX : product;
}

static inline size_t codec_min(size_t a, size_t b)
{
	return MIN(a, b);
}

/* Bytes of a counted run of size bytes. */
static inline size_t codec_run(size_t size)
{
	return unlikely(size > SIZE_MAX - 16) ? SIZE_MAX : wire_bytes_size(size);
}

static inline void codec_fail(struct wire_reader *r)
{
	r->failed = true;
	r->end = r->at;
}

static inline bool codec_get_present(struct wire_reader *r)
{
	uint64_t present = wire_get_u64(r);

	if (unlikely(present > 1))
		codec_fail(r);
	return present == 1;
}

static inline void codec_get_struct(struct wire_reader *r, void *out, size_t size)
{
	const void *bytes = wire_get_raw(r, size);

	if (likely(bytes))
		memcpy(out, bytes, size);
	else
		memset(out, 0, size);
}

/* Memory of the server's own; NULL, and failed, over the limits. */
static inline void *codec_take(struct wire_reader *r, struct pool *pool, size_t size)
{
	void *memory = r->failed || size > WIRE_IMAGE_MAX ? NULL : pool_take(pool, size);

	if (unlikely(!memory))
		codec_fail(r);
	return memory;
}

static inline void *codec_take_copy(
    struct wire_reader *r, struct pool *pool, const void *bytes, size_t size)
{
	void *copy = bytes ? codec_take(r, pool, size) : NULL;

	return likely(copy) ? memcpy(copy, bytes, size) : NULL;
}

/* The size bytes that come next, copied: outputs that begin as inputs, handles to translate. */
static inline void *codec_take_raw(struct wire_reader *r, struct pool *pool, size_t size)
{
	return codec_take_copy(r, pool, wire_get_raw(r, size), size);
}

/* A counted run that must be size bytes long, inside the record. */
static inline const void *codec_get_run(struct wire_reader *r, size_t size)
{
	size_t got;
	const void *bytes = wire_get_bytes(r, &got);

	if (likely(bytes && got == size))
		return bytes;
	codec_fail(r);
	return NULL;
}

static inline void *codec_take_run(struct wire_reader *r, struct pool *pool, size_t size)
{
	return codec_take_copy(r, pool, codec_get_run(r, size), size);
}

/* A string, its zero included and nothing after that, inside the record. */
static inline const char *codec_get_cstr(struct wire_reader *r)
{
	size_t size;
	const char *text = wire_get_bytes(r, &size);

	if (likely(text && size && strnlen(text, size) == size - 1))
		return text;
	codec_fail(r);
	return NULL;
}

/* A string of a buffer of room bytes that may be full. */
static inline void codec_put_cstr(struct wire_writer *w, const char *text, size_t room)
{
	wire_put_bytes(w, text, MIN(strnlen(text, room) + 1, room));
}

/* An output run into the caller's room bytes; longer ones are an error, shorter ones are not. */
static inline void codec_get_output(struct wire_reader *r, void *out, size_t room)
{
	size_t size;
	const void *bytes = wire_get_bytes(r, &size);

	if (unlikely(!bytes || size > room)) {
		codec_fail(r);
		return;
	}
	if (size)
		memcpy(out, bytes, size);
}

/* Floating point crosses as its bits. */
static inline void codec_put_f32(struct wire_writer *w, float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	wire_put_u64(w, bits);
}

static inline float codec_get_f32(struct wire_reader *r)
{
	uint32_t bits = (uint32_t)wire_get_u64(r);
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static inline void codec_put_f64(struct wire_writer *w, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	wire_put_u64(w, bits);
}

static inline double codec_get_f64(struct wire_reader *r)
{
	uint64_t bits = wire_get_u64(r);
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}
