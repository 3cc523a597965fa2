/*
 * Fuzz target: the reader and the handshake's parser over arbitrary bytes. The first byte says what
 * is done with the rest; a reader is driven by the input itself, one byte per operation from the
 * end, so that the fuzzer finds sequences of fields as generated decoders have them.
 */
#include <stdlib.h>

#include "wire/hello.h"
#include "wire/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink;

/* Touches every byte, so that a pointer out of bounds is seen by the address sanitizer. */
static void touch(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; at && i < size; i++)
		sink += at[i];
}

static void read_fields(const uint8_t *fields, size_t size, const uint8_t *script, size_t steps)
{
	struct wire_reader r = wire_reader(fields, size);
	uint8_t copy[64];

	for (size_t i = 0; i < steps; i++) {
		size_t got, fixed = script[i] >> 2;
		switch (script[i] & 3) {
		case 0:
			sink += wire_get_u64(&r);
			break;
		case 1:
			touch(wire_get_raw(&r, fixed), fixed);
			break;
		case 2:
			touch(wire_get_bytes(&r, &got), got);
			break;
		case 3:
			wire_get_copy(&r, copy, fixed);
			touch(copy, fixed);
			break;
		}
		if (r.at > r.end || r.at < fields || r.end > fields + size)
			abort();
	}
}

static void check_text(const char *text, size_t size)
{
	if (!memchr(text, 0, size) || strchr(text, '\n') || strchr(text, 27))
		abort();
}

static void parse_hello(const uint8_t *bytes, size_t size)
{
	struct hello_request request;
	struct hello_reply reply;

	if (hello_request_parse(bytes, size, &request) == 0) {
		check_text(request.program, sizeof(request.program));
		check_text(request.backend, sizeof(request.backend));
		check_text(request.run, sizeof(request.run));
		if (!environment_clean(&request.environment))
			abort();
		if (hello_negotiate(&request, &reply) && hello_reply_check(&request, &reply) != 0)
			abort();
		check_text(reply.text, sizeof(reply.text));
	}
	if (hello_reply_parse(bytes, size, &reply) == 0)
		check_text(reply.text, sizeof(reply.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of its own size: reading one byte behind it is an error. Aligned like a record. */
	if (size < 1)
		return 0;
	size_t steps = MIN(data[0] & 0x7f, size - 1);
	size_t rest = size - 1 - steps;
	uint8_t *copy = malloc(rest ?: 1);
	memcpy(copy, data + 1, rest);
	if (data[0] & 0x80)
		parse_hello(copy, rest);
	else
		read_fields(copy, rest, data + 1 + rest, steps);
	free(copy);
	return 0;
}
