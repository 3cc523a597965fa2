/*
 * What gen/fuzz_layout.c is made of: of each function that crosses, what its record holds, one
 * field after the other, for a fuzzer that writes records of functions no input has called yet.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "wire/handle.h"

#define FUZZ_FACTORS 4

enum fuzz_field_kind {
	FUZZ_VALUE, /* size bytes, padded to whole words */
	FUZZ_RUN,   /* a word with its length, then so many bytes, padded */
	FUZZ_TEXT,  /* the same, of any length, with a zero at its end */
};

struct fuzz_field {
	enum fuzz_field_kind kind;
	bool opt;		 /* a word before it says whether it is there */
	bool sent;		 /* else only that word stands in the record, if it is opt */
	bool is_struct;		 /* not one number */
	enum handle_kind handle; /* an id, or ids, of this kind; HANDLE_NONE: none */
	size_t size;		 /* of a value, or of a run's constant factors */
	int by
	    [FUZZ_FACTORS]; /* a run: 1 + number of a field that is a factor of its length; 0: no more */
};

struct fuzz_layout {
	uint32_t id;
	const struct fuzz_field *fields;
	size_t n;
};
extern const struct fuzz_layout fuzz_layouts[];
extern const size_t fuzz_n_layouts;
