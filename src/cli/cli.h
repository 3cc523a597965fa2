/*
 * What rosen's subcommands share. Each subcommand is one file with one struct command; rosen.c has
 * the table. A subcommand writes its results to stdout, everything else to stderr.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"
#include "base/options.h"
#include "base/util.h"

/* Exit statuses of every subcommand; `rosen run` has three more (run.c). */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
};

struct command {
	const char *name;
	const char *arguments; /* behind the options in the usage line; "": none */
	const char *summary;   /* one line, for `rosen help` */
	const char *text;      /* paragraphs for its own help, separated by \n */
	int (*run)(const struct command *command, int argc, char **argv);
};

extern const struct command command_run, command_serve, command_ps, command_devices, command_info,
    command_doctor, command_bench, command_version, command_help;

/*
 * Reads a subcommand's options. -1: go on, *rest is the index of the first argument; otherwise the
 * exit status (help was printed, or a message about a wrong option). With rest NULL there may be no
 * arguments.
 */
int cli_parse(const struct command *command, const struct option_row *rows, size_t n_rows, int argc,
    char **argv, int *rest);

/* The option of a setting, with the help it has in the settings table. */
struct option_row cli_setting(const char *name, const char *argument, const char **value);

/* A setting given as a flag; value NULL: it was not. */
struct cli_flag {
	const char *name, *value;
};

/*
 * Loads file and environment, then the flags. CLI_OK, or the exit status, a message having been
 * printed: CLI_USAGE for the value of a flag, CLI_FAILED for file and environment.
 */
int cli_load_config(struct config *config, const struct cli_flag *flags, size_t n_flags);

/*
 * cli_parse() without arguments, then cli_load_config() with what --server was given, which one of
 * the rows puts into *server. -1: go on; else the exit status.
 */
int cli_begin(const struct command *command, const struct option_row *rows, size_t n_rows, int argc,
    char **argv, const char *const *server, struct config *config);

/* Prints "rosen: ..." to stderr. */
void cli_error(const char *format, ...) _printf_(1, 2);

/* Prints object to stdout, indented, and drops it. Returns CLI_OK. */
int cli_print_json(struct json_object *object);

/* Shorthands; what is missing or of another type gives "" and 0. */
const char *cli_text(struct json_object *object, const char *key);
uint64_t cli_number(struct json_object *object, const char *key);
size_t cli_length(struct json_object *array);
