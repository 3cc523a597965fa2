/*
 * CUDA's environment variables (environment.def). They are the program's, and most of them are for
 * the driver, which is in the worker: their values come with the hello, and the worker puts them
 * into its own environment before it opens the backend. Only variables of the table can be set in
 * this way, each by its slot, to a value of its form: a few letters or digits, never a path.
 *
 * Pure functions, but for those that say that they read or change the calling process's
 * environment; these are for one thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENVIRONMENT_SLOTS     32
#define ENVIRONMENT_VALUE_MAX 16 /* its zero included */

enum environment_slot {
#define SENT(slot, name, deed, form, standard) ENVIRONMENT_##name = (slot),
#define KEPT(name, deed, why)
#include "wire/environment.def"
#undef SENT
#undef KEPT
};

enum environment_deed {
	ENVIRONMENT_DRIVER,  /* sent; the worker's driver finds it in its environment */
	ENVIRONMENT_WORKER,  /* sent; the worker does it, and its driver must not */
	ENVIRONMENT_CLIENT,  /* the client does it */
	ENVIRONMENT_HOST,    /* about the worker's machine: what rosend itself was started with */
	ENVIRONMENT_REFUSED, /* not there */
};

enum environment_form {
	ENVIRONMENT_NUMBER, /* decimal digits */
	ENVIRONMENT_FACTOR, /* a decimal fraction and an x: 0.25x */
	ENVIRONMENT_WORD,   /* letters */
};

struct environment_row {
	const char *name;
	int slot; /* negative: it is not sent */
	enum environment_deed deed;
	enum environment_form form; /* of those that are sent */
	const char *standard, *why; /* of those that are sent; of those that are not */
};

extern const struct environment_row environment_rows[];
extern const size_t environment_n_rows;

/* By slot; empty: not set. What is behind a value's zero is zero. */
struct environment {
	char value[ENVIRONMENT_SLOTS][ENVIRONMENT_VALUE_MAX];
};

/* What the calling process has set, and in *malformed, by slot, what it has set to something that
 * has not its variable's form. */
void environment_read(struct environment *out, uint64_t *malformed);

/* Of what a peer wrote, takes out all that environment_read() cannot have given. Whether there was
 * nothing such. */
bool environment_clean(struct environment *environment);

/* The slots that hold a value, as bits. */
uint64_t environment_slots(const struct environment *environment);

/* Whether a switch is set to other than 0. */
bool environment_is_on(const struct environment *environment, enum environment_slot slot);

/* Slots whose values mean something else in a than in b, as bits. */
uint64_t environment_difference(const struct environment *a, const struct environment *b);

/* The same, of those that the driver reads. */
uint64_t environment_driver_difference(const struct environment *a, const struct environment *b);

/* Puts those that the driver reads into the calling process's environment. 0 or -ENOMEM. */
int environment_apply(const struct environment *environment);

/*
 * Takes out of the calling process's environment, which a worker is about to inherit, what comes
 * with a session; and, where that environment is the program's own, everything but what is about
 * the worker's machine.
 */
void environment_leave(bool is_programs);
