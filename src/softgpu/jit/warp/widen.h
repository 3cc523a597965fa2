/*
 * One lane's IR made W lanes wide.
 *
 * The emitters of the opcodes print what one thread does. Where nothing but values is involved,
 * that text says as well what W threads do: each type becomes a vector of it, each constant a
 * splat, each intrinsic its vector form, each function its wide twin. So every opcode has one
 * definition for both machines.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "softgpu/jit/text.h"

/* The places of registers, which the text loads from and stores to: %r<n>, %carry. */
struct widen_slots {
	/* Prints what gives the value of a slot the name result; true when that is a vector. */
	bool (*load)(void *context, const char *result, const char *type, const char *slot);
	/* Prints what sets a slot to a value, which is a vector when is_vector. */
	void (*store)(
	    void *context, const char *type, const char *value, bool is_vector, const char *slot);
	/* Of names the text uses but does not make: special registers, %s<n>. */
	bool (*is_vector)(void *context, const char *name);
	const char *suffix; /* what such a name's vector has behind it */
	void *context;
};

/* A program being widened: what its text needs beside itself is collected here. */
struct widen {
	unsigned width;
	char letter;
	struct text *out; /* where wide lines go */
	const struct widen_slots *slots;
	uint64_t *vectors; /* temporaries %t<n> that are vectors */
	size_t n_vectors;
	uint32_t n_names; /* of our own temporaries */
	char **needed;	  /* functions, by name, that wide lines call */
	size_t n_needed;
	struct text declarations, definitions;
	bool failed; /* out of memory */
};

/* letter starts the names of its temporaries. */
void widen_init(struct widen *widen, unsigned width, char letter, const struct widen_slots *slots);
void widen_fini(struct widen *widen);

/* Appends the lines, made wide, to widen->out. False when one of them is not of the widenable kind;
 * out may have grown all the same. */
bool widen_lines(struct widen *widen, const char *lines, size_t size);

/* Temporaries (%t<n>) that are vectors: found out by widen_lines(), or said by the caller. */
void widen_mark(struct widen *widen, const char *name);
bool widen_is_vector(const struct widen *widen, const char *name);

#define WIDEN_OPERAND 400

/* A vector of W copies of a scalar operand; prints an instruction where it is no constant. */
void widen_splat(struct widen *widen, const char *type, const char *scalar, char *vector);

/* Makes sure that a function is declared; the declaration is everything behind "declare ". */
void widen_declare(struct widen *widen, const char *declaration);

/* Appends definitions and declarations of all that was used. Once, at the end. */
void widen_finish(struct widen *widen, struct text *program);
