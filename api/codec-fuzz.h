/*
 * What gen/fuzz_codec.c is made of: one function per record kind that decodes arbitrary bytes as a
 * worker would, and holds the codec to its promises about what it accepted: encoded again it has
 * the size it came with, and its reply fits into the size that was promised.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/pool.h"
#include "base/util.h"
#include "wire/record.h"

#define CODEC_FUZZ_REPLY_MAX (1u << 20) /* larger ones are sized, not written */

struct codec_fuzz_entry {
	uint32_t id;
	void (*run)(const uint8_t *payload, size_t size, struct pool *pool);
};
extern const struct codec_fuzz_entry codec_fuzz_entries[];
extern const size_t codec_n_fuzz_entries;

#define CODEC_FUZZ(x)                                                                              \
	static void fuzz_##x(const uint8_t *payload, size_t size, struct pool *pool)               \
	{                                                                                          \
		struct wire_reader r = wire_reader(payload, size);                                 \
		struct args_##x a;                                                                 \
                                                                                                   \
		if (!wire_decode_##x(&r, pool, &a))                                                \
			return;                                                                    \
		if (wire_size_##x(&a) != size)                                                     \
			abort();                                                                   \
		size_t reply_size = wire_reply_size_##x(&a);                                       \
		if (reply_size > CODEC_FUZZ_REPLY_MAX)                                             \
			return;                                                                    \
		uint8_t *reply = malloc(reply_size + !reply_size);                                 \
		struct wire_writer w = wire_writer(reply, reply_size);                             \
		wire_encode_reply_##x(&w, &a);                                                     \
		if (w.failed)                                                                      \
			abort();                                                                   \
		r = wire_reader(reply, (size_t)(w.at - reply));                                    \
		wire_decode_reply_##x(&r, &a);                                                     \
		if (r.failed)                                                                      \
			abort();                                                                   \
		free(reply);                                                                       \
	}
