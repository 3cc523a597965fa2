/* rosen ps: the sessions of a running rosend. */
#include <pwd.h>
#include <stdio.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/server.h"
#include "cli/table.h"

#define ASK_MS 10000

static const char *user_name(uid_t uid, char *buffer, size_t size)
{
	const struct passwd *entry = getpwuid(uid);

	snprintf(buffer, size, "%s", entry ? entry->pw_name : "");
	if (!entry)
		snprintf(buffer, size, "%u", uid);
	return buffer;
}

static void print_sessions(struct json_object *sessions)
{
	static const char *const titles[] = {">SESSION", ">PID", "USER", "BACKEND", "STATE", ">AGE",
	    ">MEMORY", ">OBJECTS", ">WORKER", "PROGRAM"};
	struct table *table = table_new(titles, ARRAY_SIZE(titles));
	char text[TABLE_TEXT_MAX], user[64];

	for (size_t i = 0; i < cli_length(sessions); i++) {
		struct json_object *s = json_object_array_get_idx(sessions, i);
		table_add(table, "%llu", (unsigned long long)cli_number(s, "session"));
		table_add(table, "%llu", (unsigned long long)cli_number(s, "pid"));
		table_add(table, "%s", user_name((uid_t)cli_number(s, "uid"), user, sizeof(user)));
		table_add(table, "%s", cli_text(s, "backend"));
		table_add(table, "%s", cli_text(s, "state"));
		table_add(table, "%s", table_time(cli_number(s, "age_ms") * NSEC_PER_MSEC, text));
		table_add(table, "%s", table_bytes(cli_number(s, "device_memory"), text));
		table_add(table, "%s", table_count(cli_number(s, "objects"), text));
		table_add(table, "%llu", (unsigned long long)cli_number(s, "worker"));
		table_add(table, "%s", cli_text(s, "program"));
	}
	table_print(table, stdout, 0);
	table_free(table);
}

static int ps(const struct command *command, int argc, char **argv)
{
	const char *server = NULL;
	bool json = false;
	const struct option_row rows[] = {
	    OPTION_ROW_TEXT("server", "PATH", &server,
		"The socket of the rosend to ask. Without it: the user's own."),
	    OPTION_ROW_SWITCH("json", &json, "Print JSON: an array of sessions."),
	};
	struct server_use use;
	struct config config;
	int done = cli_begin(command, rows, ARRAY_SIZE(rows), argc, argv, &server, &config);

	if (done >= 0)
		return done;
	int r = server_find(&config, &use);
	if (r == 1)
		cli_error("no rosend runs at %s: start one with `rosen serve`, or name one with "
			  "--server (the private ones of `rosen run` are in its ROSEN_SERVER)",
		    use.socket);
	if (r)
		return CLI_FAILED;
	struct json_object *sessions = server_ask(&use, "ps", NULL, json_type_array, ASK_MS);
	if (!sessions)
		return CLI_FAILED;
	if (json)
		return cli_print_json(sessions);
	print_sessions(sessions);
	json_object_put(sessions);
	return CLI_OK;
}

const struct command command_ps = {
    .name = "ps",
    .arguments = "",
    .summary = "List the sessions of a running rosend",
    .text = "Lists the client processes that rosend serves, each with its worker and the device "
	    "memory it holds. You see your own; root and rosend's user see all.",
    .run = ps,
};
