/*
 * The handshake: agreeing, refusing, and what clients of every released version have said
 * (test/handshake/).
 */
#include "wire/hello.h"

#include <errno.h>

#include "base/test.h"

static struct hello_request request(void)
{
	struct hello_request r;

	hello_request_init(&r);
	return r;
}

static size_t read_recorded(const char *name, uint8_t bytes[static HELLO_MESSAGE_MAX])
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", HANDSHAKE_FOLDER, name);
	FILE *file = fopen(path, "rb");
	CHECK(file);
	size_t size = fread(bytes, 1, HELLO_MESSAGE_MAX, file);
	fclose(file);
	CHECK(size > 0);
	return size;
}

TEST(both_sides_of_this_build_agree)
{
	struct hello_request sent = request(), got;
	struct hello_reply reply, back;

	CHECK_EQ(hello_request_parse(&sent, sizeof(sent), &got), 0);
	CHECK_BYTES(&got, &sent, sizeof(got));
	CHECK(hello_negotiate(&got, &reply));
	reply.session = 77;
	CHECK_EQ(hello_reply_parse(&reply, sizeof(reply), &back), 0);
	CHECK_EQ(hello_reply_check(&sent, &back), 0);
	CHECK_EQ(back.version, WIRE_VERSION);
	CHECK_EQ(back.capabilities, HELLO_CAPABILITIES);
	CHECK_EQ(back.session, 77);
}

/* doc/WIRE.md has these numbers. */
TEST(messages_have_their_documented_shape)
{
	CHECK_EQ(sizeof(struct hello_request), 672);
	CHECK_EQ(offsetof(struct hello_request, environment), 160);
	CHECK_EQ(offsetof(struct hello_request, backend), 96);
	CHECK_EQ(HELLO_REQUEST_LEAST, 24);
	CHECK_EQ(sizeof(struct hello_reply), 312);
	CHECK_EQ(offsetof(struct hello_reply, environment), 296);
	CHECK_EQ(offsetof(struct hello_reply, region_size), 32);
	CHECK_EQ(HELLO_REPLY_LEAST, 24);
	CHECK_EQ(sizeof(struct side_message), 288);
}

TEST(capabilities_are_those_of_both)
{
	struct hello_request r = request();
	struct hello_reply reply;

	r.capabilities = HELLO_CAN_STATS | 1ull << 60;
	CHECK(hello_negotiate(&r, &reply));
	CHECK_EQ(reply.capabilities, HELLO_CAN_STATS);
}

TEST(recorded_clients_are_served)
{
	static const struct {
		const char *file;
		const char *program, *backend, *run;
		uint32_t functions;
		uint64_t environment;
	} recorded[] = {
	    {"v1-request.bin", "python3", "softgpu", "run-42", 637},
	    {"v1-request-least.bin", "", "", "", 0},
	    {"v1-request-environment.bin", "python3", "", "", 637, 1 << 0 | 1 << 3 | 1 << 13},
	    {"future-request.bin", "python3", "", "", 700},
	};
	uint8_t bytes[HELLO_MESSAGE_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(recorded); i++) {
		size_t size = read_recorded(recorded[i].file, bytes);
		struct hello_request r;
		struct hello_reply reply;
		CHECK_EQ(hello_request_parse(bytes, size, &r), 0);
		CHECK_STR(r.program, recorded[i].program);
		CHECK_STR(r.backend, recorded[i].backend);
		CHECK_STR(r.run, recorded[i].run);
		CHECK_EQ(r.n_functions, recorded[i].functions);
		CHECK(hello_negotiate(&r, &reply));
		CHECK_EQ(reply.status, HELLO_OK);
		CHECK_EQ(reply.version, 1);
		CHECK_EQ(reply.capabilities & ~r.capabilities, 0);
		CHECK_EQ(reply.environment, recorded[i].environment);
		CHECK_EQ(hello_reply_check(&r, &reply), 0);
	}
}

TEST(recorded_clients_out_of_range_are_told_why)
{
	static const struct {
		const char *file, *says, *mend;
	} recorded[] = {
	    {"refused-too-new.bin", "versions 900 to 901", "upgrade rosend"},
	    {"refused-too-old.bin", "versions 0 to 0", "upgrade rosen on the client"},
	};
	uint8_t bytes[HELLO_MESSAGE_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(recorded); i++) {
		size_t size = read_recorded(recorded[i].file, bytes);
		struct hello_request r;
		struct hello_reply reply, back;
		CHECK_EQ(hello_request_parse(bytes, size, &r), 0);
		CHECK(!hello_negotiate(&r, &reply));
		CHECK_EQ(reply.status, HELLO_BAD_VERSION);
		CHECK(strstr(reply.text, recorded[i].says));
		CHECK(strstr(reply.text, recorded[i].mend));
		CHECK_EQ(hello_reply_parse(&reply, sizeof(reply), &back), 0);
		CHECK_EQ(hello_reply_check(&r, &back), HELLO_NOT_OK);
		CHECK_STR(back.text, reply.text);
	}
}

/* A client of version 1 must also understand today's server. */
TEST(a_recorded_reply_is_understood)
{
	uint8_t bytes[HELLO_MESSAGE_MAX];
	struct hello_request r = request();
	struct hello_reply reply;
	size_t size = read_recorded("v1-reply.bin", bytes);

	CHECK_EQ(hello_reply_parse(bytes, size, &reply), 0);
	CHECK_EQ(hello_reply_check(&r, &reply), 0);
	CHECK_EQ(reply.session, 4711);
	CHECK_EQ(reply.region_size, 38871040);
	CHECK_EQ(reply.environment, 0);
}

TEST(what_is_no_hello_is_refused)
{
	struct hello_request good = request(), bad, out;

	CHECK_EQ(hello_request_parse(&good, 0, &out), -EBADMSG);
	for (size_t size = 0; size < HELLO_REQUEST_LEAST; size++)
		CHECK_EQ(hello_request_parse(&good, size, &out), -EBADMSG);
	CHECK_EQ(
	    hello_request_parse("{\"op\": \"list-sessions\", \"format\": 1}", 36, &out), -EBADMSG);
	bad = good;
	bad.size = sizeof(bad) + 1; /* more than came */
	CHECK_EQ(hello_request_parse(&bad, sizeof(bad), &out), -EBADMSG);
	bad.size = HELLO_REQUEST_LEAST - 1;
	CHECK_EQ(hello_request_parse(&bad, sizeof(bad), &out), -EBADMSG);
	bad.size = 0;
	CHECK_EQ(hello_request_parse(&bad, sizeof(bad), &out), -EBADMSG);
}

TEST(every_length_in_between_is_a_hello)
{
	struct hello_request sent = request(), out;

	memset(sent.program, 'p', sizeof(sent.program));
	for (uint32_t size = HELLO_REQUEST_LEAST; size <= sizeof(sent); size++) {
		sent.size = size;
		CHECK_EQ(hello_request_parse(&sent, size, &out), 0);
		CHECK(memchr(out.program, 0, sizeof(out.program)));
		/* What the sender did not know is zero. */
		CHECK_EQ(((uint8_t *)&out)[sizeof(out) - 1], 0);
	}
}

TEST(texts_cannot_control_a_terminal)
{
	struct hello_request sent = request(), out;
	struct hello_reply reply, back;

	memcpy(sent.program, "\033[2Jx\n\177", 8);
	memset(sent.run, 'r', sizeof(sent.run)); /* no end */
	CHECK_EQ(hello_request_parse(&sent, sizeof(sent), &out), 0);
	CHECK_STR(out.program, "?[2Jx??");
	CHECK_EQ(strlen(out.run), sizeof(out.run) - 1);
	hello_refuse(&reply, HELLO_REFUSED, "%s", "no\033more");
	CHECK_EQ(hello_reply_parse(&reply, sizeof(reply), &back), 0);
	CHECK_STR(back.text, "no?more");
}

TEST(a_server_cannot_agree_to_more_than_was_offered)
{
	struct hello_request r = request();
	struct hello_reply reply;

	CHECK(hello_negotiate(&r, &reply));
	reply.version = WIRE_VERSION + 1;
	CHECK_EQ(hello_reply_check(&r, &reply), -EBADMSG);
	CHECK(hello_negotiate(&r, &reply));
	reply.capabilities |= 1ull << 50;
	CHECK_EQ(hello_reply_check(&r, &reply), -EBADMSG);
	CHECK(hello_negotiate(&r, &reply));
	reply.environment = 1;
	CHECK_EQ(hello_reply_check(&r, &reply), -EBADMSG);
}

TEST(only_values_of_their_form_are_agreed_to)
{
	struct hello_request sent = request(), got;
	struct hello_reply reply;

	strcpy(sent.environment.value[ENVIRONMENT_CUDA_DEVICE_MAX_CONNECTIONS], "1");
	strcpy(sent.environment.value[ENVIRONMENT_CUDA_LAUNCH_BLOCKING], "/tmp");
	memset(sent.environment.value[ENVIRONMENT_SLOTS - 1], '1', ENVIRONMENT_VALUE_MAX);
	CHECK_EQ(hello_request_parse(&sent, sizeof(sent), &got), 0);
	CHECK_EQ(environment_slots(&got.environment), 1 << 1);
	CHECK(hello_negotiate(&got, &reply));
	CHECK_EQ(reply.environment, 1 << 1);
}

TEST(a_range_upside_down_is_refused)
{
	struct hello_request r = request();
	struct hello_reply reply;

	r.version_min = WIRE_VERSION;
	r.version_max = WIRE_VERSION - 1;
	CHECK(!hello_negotiate(&r, &reply));
	CHECK_EQ(reply.status, HELLO_BAD_VERSION);
}
