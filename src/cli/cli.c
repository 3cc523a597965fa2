/* See cli.h. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void cli_error(const char *format, ...)
{
	va_list arguments;

	fputs("rosen: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

static void print_help(const struct command *command, const struct option_row *rows, size_t n_rows)
{
	const char *line = command->text;

	printf("Usage: rosen %s [OPTIONS]%s%s\n\n", command->name, *command->arguments ? " " : "",
	    command->arguments);
	while (*line) {
		char paragraph[1024];
		size_t length = strcspn(line, "\n");
		/* Lines that begin with a blank are laid out by hand. */
		snprintf(paragraph, sizeof(paragraph), "%.*s", (int)length, line);
		if (*line == ' ' || length == 0)
			puts(paragraph);
		else
			options_print_wrapped(stdout, paragraph, 0, 0);
		line += length;
		line += *line == '\n';
	}
	printf("\nOptions:\n");
	options_print(stdout, rows, n_rows);
}

int cli_parse(const struct command *command, const struct option_row *rows, size_t n_rows, int argc,
    char **argv, int *rest)
{
	char who[64];
	int first = argc;

	snprintf(who, sizeof(who), "rosen %s", command->name);
	int r = options_parse(who, rows, n_rows, argc, argv, &first);
	if (r == OPTIONS_WRONG)
		return CLI_USAGE;
	if (r == OPTIONS_HELP) {
		print_help(command, rows, n_rows);
		return CLI_OK;
	}
	if (!rest && first < argc) {
		fprintf(stderr, "%s: there is no argument \"%s\": see `%s --help`\n", who,
		    argv[first], who);
		return CLI_USAGE;
	}
	if (rest)
		*rest = first;
	return -1;
}

struct option_row cli_setting(const char *name, const char *argument, const char **value)
{
	struct option_row row = {name, argument, "", OPTION_TEXT, value};

	for (size_t i = 0; i < config_n_entries; i++)
		if (!strcmp(config_entries[i].name, name))
			row.help = config_entries[i].help;
	return row;
}

int cli_load_config(struct config *config, const struct cli_flag *flags, size_t n_flags)
{
	char error[CONFIG_ERROR_MAX];

	if (config_load(config, NULL, error, sizeof(error)) < 0) {
		cli_error("%s", error);
		return CLI_FAILED;
	}
	for (size_t i = 0; i < n_flags; i++) {
		if (flags[i].value &&
		    config_set(config, flags[i].name, flags[i].value, error, sizeof(error)) < 0) {
			cli_error("--%s", error);
			return CLI_USAGE;
		}
	}
	return CLI_OK;
}

int cli_begin(const struct command *command, const struct option_row *rows, size_t n_rows, int argc,
    char **argv, const char *const *server, struct config *config)
{
	int done = cli_parse(command, rows, n_rows, argc, argv, NULL);

	if (done >= 0)
		return done;
	const struct cli_flag flags[] = {{"server", *server}};
	done = cli_load_config(config, flags, ARRAY_SIZE(flags));
	return done ?: -1;
}

int cli_print_json(struct json_object *object)
{
	puts(json_object_to_json_string_ext(
	    object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
	return CLI_OK;
}

const char *cli_text(struct json_object *object, const char *key)
{
	struct json_object *value = json_object_object_get(object, key);

	return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

uint64_t cli_number(struct json_object *object, const char *key)
{
	return json_object_get_uint64(json_object_object_get(object, key));
}

size_t cli_length(struct json_object *array)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}
