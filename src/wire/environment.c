/*
 * See environment.h. Used by the client, rosend and the worker, in this order: each copies values,
 * looks at each of them with the same eyes, and hands on what is left.
 */
#include "wire/environment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/util.h"

#define DIGITS	"0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

const struct environment_row environment_rows[] = {
#define SENT(slot, name, deed, form, standard)                                                     \
	{#name, slot, ENVIRONMENT_##deed, ENVIRONMENT_##form, standard, ""},
#define KEPT(name, deed, why) {#name, -1, ENVIRONMENT_##deed, ENVIRONMENT_NUMBER, "", why},
#include "wire/environment.def"
#undef SENT
#undef KEPT
};
const size_t environment_n_rows = ARRAY_SIZE(environment_rows);

static const struct environment_row *row_of(int slot)
{
	for (size_t i = 0; i < environment_n_rows; i++)
		if (environment_rows[i].slot == slot)
			return &environment_rows[i];
	return NULL;
}

static bool is_factor(const char *value)
{
	size_t whole = strspn(value, DIGITS);
	const char *rest = value + whole;

	if (whole && *rest == '.')
		rest += 1 + strspn(rest + 1, DIGITS);
	return whole && !strcmp(rest, "x");
}

/* Of a value that is not empty. */
static bool has_form(enum environment_form form, const char *value)
{
	if (strnlen(value, ENVIRONMENT_VALUE_MAX) == ENVIRONMENT_VALUE_MAX)
		return false;
	switch (form) {
	case ENVIRONMENT_NUMBER:
		return !value[strspn(value, DIGITS)];
	case ENVIRONMENT_FACTOR:
		return is_factor(value);
	case ENVIRONMENT_WORD:
		return !value[strspn(value, LETTERS)];
	}
	return false;
}

void environment_read(struct environment *out, uint64_t *malformed)
{
	memset(out, 0, sizeof(*out));
	*malformed = 0;
	for (size_t i = 0; i < environment_n_rows; i++) {
		const struct environment_row *row = &environment_rows[i];
		const char *value = row->slot < 0 ? NULL : getenv(row->name);
		if (!value || !*value)
			continue;
		if (has_form(row->form, value))
			strcpy(out->value[row->slot], value);
		else
			*malformed |= 1ull << row->slot;
	}
}

bool environment_clean(struct environment *environment)
{
	bool clean = true;

	for (int slot = 0; slot < ENVIRONMENT_SLOTS; slot++) {
		static const char none[ENVIRONMENT_VALUE_MAX];
		const struct environment_row *row = row_of(slot);
		char *value = environment->value[slot];
		bool good = !*value || (row && has_form(row->form, value));
		size_t used = good ? strlen(value) : 0;
		clean &= good && !memcmp(value + used, none, ENVIRONMENT_VALUE_MAX - used);
		memset(value + used, 0, ENVIRONMENT_VALUE_MAX - used);
	}
	return clean;
}

uint64_t environment_slots(const struct environment *environment)
{
	uint64_t slots = 0;

	for (int slot = 0; slot < ENVIRONMENT_SLOTS; slot++)
		slots |= (uint64_t)(*environment->value[slot] != '\0') << slot;
	return slots;
}

bool environment_is_on(const struct environment *environment, enum environment_slot slot)
{
	return strtoull(environment->value[slot], NULL, 10) != 0;
}

static const char *meaning(const struct environment_row *row, const struct environment *environment)
{
	const char *value = environment->value[row->slot];

	return strcasecmp(value, row->standard) ? value : "";
}

static uint64_t difference(
    const struct environment *a, const struct environment *b, bool drivers_alone)
{
	uint64_t slots = 0;

	for (size_t i = 0; i < environment_n_rows; i++) {
		const struct environment_row *row = &environment_rows[i];
		if (row->slot < 0 || (drivers_alone && row->deed != ENVIRONMENT_DRIVER))
			continue;
		if (strcasecmp(meaning(row, a), meaning(row, b)) != 0)
			slots |= 1ull << row->slot;
	}
	return slots;
}

uint64_t environment_difference(const struct environment *a, const struct environment *b)
{
	return difference(a, b, false);
}

uint64_t environment_driver_difference(const struct environment *a, const struct environment *b)
{
	return difference(a, b, true);
}

int environment_apply(const struct environment *environment)
{
	for (size_t i = 0; i < environment_n_rows; i++) {
		const struct environment_row *row = &environment_rows[i];
		if (row->deed != ENVIRONMENT_DRIVER || !*environment->value[row->slot])
			continue;
		if (setenv(row->name, environment->value[row->slot], 1) < 0)
			return error_origin(-errno);
	}
	return 0;
}

void environment_leave(bool is_programs)
{
	for (size_t i = 0; i < environment_n_rows; i++) {
		const struct environment_row *row = &environment_rows[i];
		if (row->slot >= 0 || (is_programs && row->deed != ENVIRONMENT_HOST))
			unsetenv(row->name);
	}
}
