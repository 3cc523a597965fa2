/* See options.h. Nothing here allocates: values point into argv. */
#include "base/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH	    80
#define HELP_COLUMN 26

static const struct option_row *find_row(
    const struct option_row *rows, size_t n_rows, const char *name, size_t length)
{
	for (size_t i = 0; i < n_rows; i++)
		if (strlen(rows[i].name) == length && !strncmp(rows[i].name, name, length))
			return &rows[i];
	return NULL;
}

static int set_value(const char *who, const struct option_row *row, const char *text)
{
	char *end;

	if (row->type == OPTION_TEXT) {
		*(const char **)row->value = text;
		return 0;
	}
	errno = 0;
	long number = strtol(text, &end, 10);
	if (errno || end == text || *end || number < 0) {
		fprintf(stderr, "%s: --%s is \"%s\": give a number\n", who, row->name, text);
		return OPTIONS_WRONG;
	}
	*(long *)row->value = number;
	return 0;
}

static int wrong(const char *who, const char *what, const char *option)
{
	fprintf(stderr, "%s: %s %s: `%s --help` lists the options\n", who, what, option, who);
	return OPTIONS_WRONG;
}

/* One option at argv[*at]; moves *at behind it. */
static int parse_one(
    const char *who, const struct option_row *rows, size_t n_rows, int argc, char **argv, int *at)
{
	char *word = argv[*at], *name = word + 2;

	(*at)++;
	if (!strcmp(word, "-h") || !strcmp(word, "--help"))
		return OPTIONS_HELP;
	if (strncmp(word, "--", 2))
		return wrong(who, "there is no option", word);
	char *equals = strchr(name, '=');
	size_t length = equals ? (size_t)(equals - name) : strlen(name);
	const struct option_row *row = find_row(rows, n_rows, name, length);
	if (!row)
		return wrong(who, "there is no option", word);
	if (row->type == OPTION_SWITCH) {
		if (equals)
			return wrong(who, "no value is allowed in", word);
		*(bool *)row->value = true;
		return 0;
	}
	if (equals)
		return set_value(who, row, equals + 1);
	if (*at == argc)
		return wrong(who, "a value must follow", word);
	return set_value(who, row, argv[(*at)++]);
}

int options_parse(
    const char *who, const struct option_row *rows, size_t n_rows, int argc, char **argv, int *rest)
{
	int at = 1;

	while (at < argc && argv[at][0] == '-' && argv[at][1]) {
		if (!strcmp(argv[at], "--")) {
			at++;
			break;
		}
		int r = parse_one(who, rows, n_rows, argc, argv, &at);
		if (r)
			return r;
	}
	*rest = at;
	return 0;
}

void options_print_wrapped(FILE *out, const char *text, size_t column, size_t indent)
{
	bool first = true;

	while (*text) {
		size_t length = strcspn(text, " ");
		if (!first && column + 1 + length > WIDTH) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
			first = true;
		}
		column += (size_t)fprintf(out, "%s%.*s", first ? "" : " ", (int)length, text);
		first = false;
		text += length;
		text += strspn(text, " ");
	}
	fprintf(out, "\n");
}

static void print_row(FILE *out, const struct option_row *row)
{
	int column =
	    fprintf(out, "  --%s%s%s", row->name, row->argument ? " " : "", row->argument ?: "");

	if (column >= HELP_COLUMN)
		column = fprintf(out, "\n") - 1;
	fprintf(out, "%*s", HELP_COLUMN - column, "");
	options_print_wrapped(out, row->help, HELP_COLUMN, HELP_COLUMN);
}

void options_print(FILE *out, const struct option_row *rows, size_t n_rows)
{
	static const struct option_row help = {"help", NULL, "Print this and exit.", 0, NULL};

	for (size_t i = 0; i < n_rows; i++)
		print_row(out, &rows[i]);
	print_row(out, &help);
}
