/*
 * Columns for terminals: cells are collected, then printed with each column as wide as its widest
 * cell. Numbers go to the right. When stdout is no terminal the layout is the same, so that what a
 * person sees is what grep sees.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/util.h"

struct table;

/* titles: one per column; a title that begins with '>' makes its column right-aligned. NULL: out of
 * memory, which all functions here accept. */
struct table *table_new(const char *const *titles, size_t n_columns);
/* The next cell, row by row. */
void table_add(struct table *table, const char *format, ...) _printf_(2, 3);
/* indent: blanks before each line. */
void table_print(const struct table *table, FILE *out, int indent);
struct table *table_free(struct table *table);

#define TABLE_TEXT_MAX 32
/* In buffer (TABLE_TEXT_MAX): a count as "1 234 567", a size as "32.0 MiB", a time as "1.23 ms",
 * from two minutes on as "3 h 05 min". */
const char *table_count(uint64_t number, char *buffer);
const char *table_bytes(uint64_t bytes, char *buffer);
const char *table_time(uint64_t ns, char *buffer);
