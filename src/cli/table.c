/* See table.h. A table without memory prints nothing rather than something wrong. */
#include "cli/table.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/clock.h"

#define COLUMNS_MAX 16

struct table {
	const char *const *titles;
	size_t n_columns, n_cells, room;
	char **cells;
};

struct table *table_new(const char *const *titles, size_t n_columns)
{
	struct table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->titles = titles;
	table->n_columns = MIN(n_columns, (size_t)COLUMNS_MAX);
	return table;
}

struct table *table_free(struct table *table)
{
	if (!table)
		return NULL;
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
	return NULL;
}

void table_add(struct table *table, const char *format, ...)
{
	va_list arguments;
	char *text = NULL;

	if (!table)
		return;
	if (table->n_cells == table->room) {
		size_t room = table->room * 2 + 64;
		char **cells = realloc(table->cells, room * sizeof(*cells));
		if (!cells)
			return;
		table->cells = cells;
		table->room = room;
	}
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	table->cells[table->n_cells++] = text;
}

/* Characters, not bytes: continuation bytes of UTF-8 take no column. */
static size_t width_of(const char *text)
{
	size_t width = 0;

	for (; text && *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

static void print_cell(FILE *out, const char *text, size_t width, bool right, bool last)
{
	size_t gap = width - MIN(width, width_of(text));

	fprintf(out, "%*s%s", right ? (int)gap : 0, "", text ?: "");
	if (!last)
		fprintf(out, "%*s", (right ? 0 : (int)gap) + 2, "");
}

void table_print(const struct table *table, FILE *out, int indent)
{
	size_t widths[COLUMNS_MAX] = {0};

	if (!table)
		return;
	for (size_t i = 0; i < table->n_columns; i++)
		widths[i] = width_of(table->titles[i] + (*table->titles[i] == '>'));
	for (size_t i = 0; i < table->n_cells; i++)
		widths[i % table->n_columns] =
		    MAX(widths[i % table->n_columns], width_of(table->cells[i]));
	for (size_t row = 0; row <= table->n_cells / table->n_columns; row++) {
		if (row && row * table->n_columns - table->n_columns >= table->n_cells)
			break;
		fprintf(out, "%*s", indent, "");
		for (size_t c = 0; c < table->n_columns; c++) {
			size_t cell = (row - 1) * table->n_columns + c;
			bool right = *table->titles[c] == '>';
			const char *text = row ? cell < table->n_cells ? table->cells[cell] : ""
					       : table->titles[c] + right;
			print_cell(out, text, widths[c], right, c + 1 == table->n_columns);
		}
		fputc('\n', out);
	}
}

const char *table_count(uint64_t number, char *buffer)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number), at = 0;

	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			buffer[at++] = ' ';
		buffer[at++] = digits[i];
	}
	buffer[at] = '\0';
	return buffer;
}

/* In the first unit that leaves less than step, or the last one. */
static const char *scale(
    double value, double step, const char *const *units, size_t n_units, int digits, char *buffer)
{
	size_t unit = 0;

	for (; value >= step && unit + 1 < n_units; unit++)
		value /= step;
	snprintf(buffer, TABLE_TEXT_MAX, "%.*f %s", unit ? digits : 0, value, units[unit]);
	return buffer;
}

const char *table_bytes(uint64_t bytes, char *buffer)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};

	return scale((double)bytes, 1024, units, ARRAY_SIZE(units), 1, buffer);
}

/* A long time, as people say it. */
static const char *clock_time(uint64_t seconds, char *buffer)
{
	static const struct {
		unsigned seconds;
		const char *name;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	size_t i = 0;

	while (seconds < units[i].seconds)
		i++;
	snprintf(buffer, TABLE_TEXT_MAX, "%llu %s %02llu %s",
	    (unsigned long long)seconds / units[i].seconds, units[i].name,
	    (unsigned long long)seconds % units[i].seconds / units[i + 1].seconds,
	    units[i + 1].name);
	return buffer;
}

const char *table_time(uint64_t ns, char *buffer)
{
	static const char *const units[] = {"ns", "us", "ms", "s"};
	uint64_t seconds = ns / NSEC_PER_SEC;

	if (seconds >= 120)
		return clock_time(seconds, buffer);
	return scale((double)ns, 1000, units, ARRAY_SIZE(units), 2, buffer);
}
