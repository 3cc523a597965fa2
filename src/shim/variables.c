/*
 * See variables.h. The values are read once, for the hello; a driver would read them at cuInit, but
 * a session may begin with an earlier question.
 *
 * What is not honoured is told in as few lines as there are reasons. A variable that is there but
 * switched off asks for nothing, and one about the worker's machine changes no result, so that it
 * is told only to whoever reads what the level info brings.
 */
#include "shim/variables.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "wire/hello.h"

static struct environment sent;
static uint64_t malformed;
static bool said;

void variables_tell(struct environment *environment)
{
	environment_read(environment, &malformed);
	sent = *environment;
}

static bool is_on(const char *value)
{
	return value && *value && strcmp(value, "0") != 0;
}

static void say_of_sent(const struct environment_row *row, uint64_t asked, uint64_t honoured)
{
	uint64_t slot = 1ull << row->slot;

	if (malformed & slot)
		log_warn("%s is not honoured: \"%.32s\" is no value of its kind", row->name,
		    getenv(row->name) ?: "");
	else if (asked & ~honoured & slot)
		log_warn("%s is not honoured: this rosend is of an older release", row->name);
}

static void say_of_kept(const struct environment_row *row, bool is_private)
{
	if (!*row->why || !is_on(getenv(row->name)))
		return;
	if (row->deed == ENVIRONMENT_REFUSED)
		log_warn("%s is not honoured: %s", row->name, row->why);
	else if (row->deed == ENVIRONMENT_HOST && !is_private)
		log_info("%s is not honoured: %s", row->name, row->why);
}

bool variables_told(const struct hello_reply *reply)
{
	static const struct environment none;
	uint64_t asked = environment_difference(&sent, &none);

	for (size_t i = 0; !said && i < environment_n_rows; i++) {
		const struct environment_row *row = &environment_rows[i];
		if (row->slot >= 0)
			say_of_sent(row, asked, reply->environment);
		else
			say_of_kept(row, reply->is_private);
	}
	said = true;
	return reply->environment & 1ull << ENVIRONMENT_CUDA_LAUNCH_BLOCKING &&
	       environment_is_on(&sent, ENVIRONMENT_CUDA_LAUNCH_BLOCKING);
}

void variables_look_again(void)
{
	struct environment now;
	uint64_t unused;

	environment_read(&now, &unused);
	uint64_t changed = environment_difference(&now, &sent);
	for (size_t i = 0; changed && i < environment_n_rows; i++) {
		const struct environment_row *row = &environment_rows[i];
		if (row->slot >= 0 && changed & 1ull << row->slot)
			log_warn("%s was changed after the program's first question about its "
				 "devices, and what it said then holds: change it before",
			    row->name);
	}
}

bool variables_force_compiling(void)
{
	return environment_is_on(&sent, ENVIRONMENT_CUDA_FORCE_PTX_JIT) ||
	       environment_is_on(&sent, ENVIRONMENT_CUDA_FORCE_JIT);
}
