/*
 * Parsing and agreeing, the same code in rosend and in the client. A message is untrusted bytes of
 * some length: what the sender knew is copied, what it did not know is zero, what we do not know is
 * left alone, every text ends within its field and holds nothing a terminal would obey, and a
 * variable's value that has not its form is as good as none.
 */
#include "wire/hello.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/util.h"

/* Copies what both sides know of a message into out; least: what every sender must know. */
static int parse(const void *bytes, size_t length, size_t least, void *out, size_t known)
{
	uint32_t magic, size;

	if (length < least)
		return error_origin(-EBADMSG);
	memcpy(&magic, bytes, sizeof(magic));
	memcpy(&size, (const uint8_t *)bytes + sizeof(magic), sizeof(size));
	if (magic != HELLO_MAGIC || size < least || size > length)
		return error_origin(-EBADMSG);
	memset(out, 0, known);
	memcpy(out, bytes, MIN(size, known));
	return 0;
}

void hello_clean_text(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

void hello_request_init(struct hello_request *request)
{
	memset(request, 0, sizeof(*request));
	request->magic = HELLO_MAGIC;
	request->size = sizeof(*request);
	request->version_min = WIRE_VERSION_MIN;
	request->version_max = WIRE_VERSION;
	request->capabilities = HELLO_CAPABILITIES;
}

int hello_request_parse(const void *bytes, size_t length, struct hello_request *out)
{
	int r = parse(bytes, length, HELLO_REQUEST_LEAST, out, sizeof(*out));

	if (r < 0)
		return error_trace(r);
	hello_clean_text(out->program, sizeof(out->program));
	hello_clean_text(out->backend, sizeof(out->backend));
	hello_clean_text(out->run, sizeof(out->run));
	environment_clean(&out->environment);
	return 0;
}

int hello_reply_parse(const void *bytes, size_t length, struct hello_reply *out)
{
	int r = parse(bytes, length, HELLO_REPLY_LEAST, out, sizeof(*out));

	if (r < 0)
		return error_trace(r);
	hello_clean_text(out->text, sizeof(out->text));
	return 0;
}

void hello_refuse(struct hello_reply *reply, enum hello_status status, const char *format, ...)
{
	va_list arguments;

	memset(reply, 0, sizeof(*reply));
	reply->magic = HELLO_MAGIC;
	reply->size = sizeof(*reply);
	reply->status = status;
	va_start(arguments, format);
	vsnprintf(reply->text, sizeof(reply->text), format, arguments);
	va_end(arguments);
}

static bool versions_overlap(const struct hello_request *request)
{
	return request->version_min <= request->version_max &&
	       request->version_min <= WIRE_VERSION && request->version_max >= WIRE_VERSION_MIN;
}

bool hello_negotiate(const struct hello_request *request, struct hello_reply *reply)
{
	if (!versions_overlap(request)) {
		hello_refuse(reply, HELLO_BAD_VERSION,
		    "the client speaks wire versions %u to %u, this rosend %u to %u: upgrade %s",
		    request->version_min, request->version_max, (unsigned)WIRE_VERSION_MIN,
		    (unsigned)WIRE_VERSION,
		    request->version_min > WIRE_VERSION ? "rosend on the GPU's machine"
							: "rosen on the client's machine");
		return false;
	}
	memset(reply, 0, sizeof(*reply));
	reply->magic = HELLO_MAGIC;
	reply->size = sizeof(*reply);
	reply->status = HELLO_OK;
	reply->version = MIN(request->version_max, (uint32_t)WIRE_VERSION);
	reply->capabilities = request->capabilities & HELLO_CAPABILITIES;
	reply->environment = environment_slots(&request->environment);
	return true;
}

int hello_reply_check(const struct hello_request *request, const struct hello_reply *reply)
{
	if (reply->status != HELLO_OK)
		return HELLO_NOT_OK;
	if (reply->version < request->version_min || reply->version > request->version_max ||
	    reply->capabilities & ~request->capabilities ||
	    reply->environment & ~environment_slots(&request->environment))
		return error_origin(-EBADMSG);
	return 0;
}
