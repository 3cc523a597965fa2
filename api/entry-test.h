/*
 * What the generated test of the exported functions (gen/test_entries.c) is written in. Each
 * function is called once with random arguments: exactly one stand-in must be reached, the right
 * one, with those arguments in their order (a twin's with its stream or flag), and its result must
 * come back. Then each pointer that may not be NULL is NULL in turn: CUDA_ERROR_INVALID_VALUE, and
 * nothing is reached. Those that ask for a context first say so. Functions that are not supported
 * must say so under their own number.
 *
 * Included once, by the generated file: it defines shim_nosup() and what shim/entry.h declares for
 * tests (tools/apigen/tests/halves).
 */
#pragma once

#include <stdint.h>
#include <string.h>

#include "base/test.h"
#include "gen/shim_custom.h"
#include "shim/call.h"
#include "shim/entry.h"

#define ENTRY_RESULT ((CUresult)0x1234)

/* What pointer arguments point to, each to its own place: no count found there is zero. */
static _Alignas(128) uint8_t entry_memory[512] = {[0 ... 511] = 1};

static uint8_t entry_seen[1024];
static size_t entry_n_seen, entry_at; /* written by the stand-in, compared by the test */

unsigned halves_entered, halves_left;
bool halves_lack_context;

static inline void entry_see(const void *bytes, size_t size)
{
	CHECK(entry_n_seen + size <= sizeof(entry_seen));
	memcpy(entry_seen + entry_n_seen, bytes, size);
	entry_n_seen += size;
}

static inline void entry_expect(const void *bytes, size_t size)
{
	CHECK(entry_at + size <= entry_n_seen);
	CHECK_BYTES(entry_seen + entry_at, bytes, size);
	entry_at += size;
}

/* Nothing more was seen, and the entry was entered and left once. */
static inline void entry_expect_end(void)
{
	CHECK_EQ(entry_at, entry_n_seen);
	CHECK_EQ(halves_entered, 1);
	CHECK_EQ(halves_left, 1);
	entry_at = entry_n_seen = 0;
	halves_entered = halves_left = 0;
}

CUresult shim_nosup(enum api_fn fn)
{
	entry_see(&fn, sizeof(fn));
	return CUDA_ERROR_NOT_SUPPORTED;
}

static inline void entry_expect_nosup(enum api_fn fn)
{
	entry_expect(&fn, sizeof(fn));
	entry_expect_end();
}

/* Something was seen, and not this pointer: what it leads to went over in another form. */
static inline void entry_expect_other(const void *pointer)
{
	CHECK(entry_at + sizeof(pointer) <= entry_n_seen);
	CHECK(memcmp(entry_seen + entry_at, &pointer, sizeof(pointer)) != 0);
	entry_at += sizeof(pointer);
}

/* Never zero: a length of zero would excuse a NULL pointer. */
static inline void entry_random(void *out, size_t size)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	for (size_t i = 0; i < size; i++) {
		state = state * 6364136223846793005 + 1442695040888963407;
		((uint8_t *)out)[i] = (uint8_t)(state >> 56) | (i == 0);
	}
}

#define ENTRY_POINTER(i)	   ((void *)(entry_memory + 16 * (i)))
#define ENTRY_RANDOM(x)		   entry_random(&(x), sizeof(x))
#define ENTRY_REACHED(half)	   entry_see(#half, sizeof(#half))
#define ENTRY_SEEN(x)		   entry_see(&(x), sizeof(x))
#define ENTRY_EXPECT_REACHED(half) entry_expect(#half, sizeof(#half))
#define ENTRY_EXPECT(x)		   entry_expect(&(x), sizeof(x))
#define ENTRY_EXPECT_OTHER(x)	   entry_expect_other(x)
#define ENTRY_EXPECT_WIDE(type, x) entry_expect(&(type){x}, sizeof(type))
