/* The log of failed calls when it is fuller, or the buffer smaller, than its messages need. */
#include "shim/error_log.h"

#include <stdio.h>
#include <string.h>

#include "base/test.h"

static struct error_log messages;
static char buffer[ERROR_LOG_LINES * ERROR_LOG_LINE + 256];

static void fill(unsigned n)
{
	messages.next = 0;
	for (unsigned i = 0; i < n; i++) {
		char line[32];
		snprintf(line, sizeof(line), "message %u", i);
		error_log_add(&messages, line);
	}
}

static size_t dump(uint32_t from, size_t room, CUresult wanted)
{
	size_t bytes = room;

	memset(buffer, 'x', sizeof(buffer));
	CHECK_EQ(error_log_dump(&messages, from, buffer, &bytes), wanted);
	CHECK(room ? bytes < room : !bytes);
	CHECK(!room || buffer[bytes] == 0);
	return bytes;
}

TEST(messages_come_in_their_order)
{
	fill(3);
	dump(0, sizeof(buffer), CUDA_SUCCESS);
	CHECK_STR(buffer, "message 0\nmessage 1\nmessage 2\n");
	dump(2, sizeof(buffer), CUDA_SUCCESS);
	CHECK_STR(buffer, "message 2\n");
	dump(3, sizeof(buffer), CUDA_SUCCESS);
	CHECK_STR(buffer, "");
	CHECK_EQ(dump(3, 0, CUDA_SUCCESS), 0);
}

TEST(what_is_overwritten_is_said)
{
	fill(ERROR_LOG_LINES + 5);
	dump(0, sizeof(buffer), CUDA_SUCCESS);
	CHECK(strstr(buffer, "missing") && !strstr(buffer, "message 4\n"));
	CHECK(strstr(buffer, "message 5\n") && strstr(buffer, "message 104\n"));
	dump(100, sizeof(buffer), CUDA_SUCCESS);
	CHECK(!strstr(buffer, "missing"));
}

TEST(the_newest_stay_when_room_is_short)
{
	fill(10);
	dump(0, 60, CUDA_SUCCESS);
	CHECK(strstr(buffer, "missing"));
	CHECK(strstr(buffer, "message 9\n") && strstr(buffer, "message 8\n"));
	CHECK(!strstr(buffer, "message 7\n"));
	dump(8, 21, CUDA_SUCCESS);
	CHECK_STR(buffer, "message 8\nmessage 9\n");
	CHECK_EQ(dump(8, 20, CUDA_SUCCESS), 0);
	CHECK_EQ(dump(8, 0, CUDA_SUCCESS), 0);
}

TEST(a_long_message_is_cut)
{
	char line[1000];

	memset(line, 'a', sizeof(line));
	line[sizeof(line) - 1] = 0;
	messages.next = 0;
	error_log_add(&messages, line);
	CHECK_EQ(dump(0, sizeof(buffer), CUDA_SUCCESS), ERROR_LOG_LINE);
}
