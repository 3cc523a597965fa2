/*
 * Command lines, table-driven: the same table is parsed and printed as help, so that no option
 * lacks its help and no help its option. Used by rosen's subcommands and by rosend.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum option_type {
	OPTION_SWITCH, /* bool *: set to true */
	OPTION_TEXT,   /* const char **: points into argv */
	OPTION_NUMBER, /* long *: a decimal number, not negative */
};

struct option_row {
	const char *name;     /* without its dashes */
	const char *argument; /* what the help calls its value; NULL: a switch */
	const char *help;
	enum option_type type;
	void *value;
};

#define OPTION_ROW_SWITCH(name, variable, help)	     {name, NULL, help, OPTION_SWITCH, variable}
#define OPTION_ROW_TEXT(name, arg, variable, help)   {name, arg, help, OPTION_TEXT, variable}
#define OPTION_ROW_NUMBER(name, arg, variable, help) {name, arg, help, OPTION_NUMBER, variable}

enum options_result {
	OPTIONS_HELP = 1,  /* --help or -h was given */
	OPTIONS_WRONG = 2, /* a message about it was printed to stderr */
};

/*
 * Reads the options at the front of argv (argv[0] is the command's own name). Forms: --name,
 * --name VALUE, --name=VALUE; `--` or the first word that is no option ends them. *rest: index of
 * the first word left. who begins error messages: "rosen run".
 */
int options_parse(const char *who, const struct option_row *rows, size_t n_rows, int argc,
    char **argv, int *rest);

/* The help of all rows, aligned and wrapped to 80 columns. */
void options_print(FILE *out, const struct option_row *rows, size_t n_rows);

/* text, wrapped to 80 columns, each line but the first behind indent blanks; ends with a newline.
 * column: where the first line begins. */
void options_print_wrapped(FILE *out, const char *text, size_t column, size_t indent);
