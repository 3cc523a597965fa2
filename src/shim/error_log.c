/*
 * See error_log.h. Pure: which lines are left and which fit is counted from the newest back, since
 * those are what somebody who asks after a failure wants.
 */
#include "shim/error_log.h"

#include <string.h>

#include "base/util.h"

static const char gap[] = "[... earlier messages are missing ...]\n";

static const char *line_of(const struct error_log *log, uint32_t number)
{
	return log->line[number % ERROR_LOG_LINES];
}

void error_log_add(struct error_log *log, const char *line)
{
	char *slot = log->line[log->next % ERROR_LOG_LINES];
	size_t length = MIN(strlen(line), (size_t)ERROR_LOG_LINE - 1);

	memcpy(slot, line, length);
	slot[length] = 0;
	log->next++;
}

/* How many of the newest n messages fit into room bytes. */
static uint32_t fitting(const struct error_log *log, uint32_t n, size_t room)
{
	uint32_t fit = 0;

	while (fit < n) {
		size_t needed = strlen(line_of(log, log->next - 1 - fit)) + 1;
		if (needed > room)
			break;
		room -= needed;
		fit++;
	}
	return fit;
}

CUresult error_log_dump(const struct error_log *log, uint32_t from, char *buffer, size_t *bytes)
{
	uint32_t wanted = log->next - from, n = MIN(wanted, ERROR_LOG_LINES), all = n;
	size_t room = *bytes, at = 0;

	*bytes = 0;
	if (!room)
		return CUDA_SUCCESS;
	buffer[0] = 0;
	room--;
	if (wanted == n)
		n = fitting(log, n, room);
	if (n < wanted)
		n = room < sizeof(gap) - 1 ? 0 : fitting(log, all, room - (sizeof(gap) - 1));
	if (all && !n)
		return CUDA_SUCCESS;
	if (n < wanted) {
		memcpy(buffer, gap, sizeof(gap) - 1);
		at = sizeof(gap) - 1;
	}
	for (uint32_t number = log->next - n; number != log->next; number++) {
		const char *line = line_of(log, number);
		size_t length = strlen(line);
		memcpy(buffer + at, line, length);
		buffer[at + length] = '\n';
		at += length + 1;
	}
	buffer[at] = 0;
	*bytes = at;
	return CUDA_SUCCESS;
}
