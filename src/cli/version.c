/* rosen version. */
#include <stdio.h>

#include "cli/cli.h"
#include "wire/limits.h"

static int version(const struct command *command, int argc, char **argv)
{
	bool json = false;
	const struct option_row rows[] = {
	    OPTION_ROW_SWITCH("json", &json, "Print JSON."),
	};
	int done = cli_parse(command, rows, ARRAY_SIZE(rows), argc, argv, NULL);

	if (done >= 0)
		return done;
	if (!json) {
		printf("rosen %s\n", ROSEN_VERSION);
		return CLI_OK;
	}
	struct json_object *object = json_object_new_object();
	json_object_object_add(object, "rosen", json_object_new_string(ROSEN_VERSION));
	json_object_object_add(object, "wire", json_object_new_int(WIRE_VERSION));
	json_object_object_add(object, "wire_min", json_object_new_int(WIRE_VERSION_MIN));
	return cli_print_json(object);
}

const struct command command_version = {
    .name = "version",
    .arguments = "",
    .summary = "Print the version",
    .text = "Prints the version of rosen; with --json also the wire versions it speaks.",
    .run = version,
};
