/*
 * The table of a session's objects: which backend handle an id of the client (or one minted here)
 * stands for. An id is alive from adopt or mint until forget; a stale, foreign or invented one is
 * recognised by its kind, index and generation without any memory of the client being touched.
 *
 * handles_find() takes no lock and may run on any thread beside the others. Ids of kinds FUNCTION
 * and KERNEL are taken for each other, as CUDA takes their handles. The memory a session can make
 * the table use is bounded by its budget. Nothing here ends an object: a session's objects end with
 * its process.
 *
 * Conditions (positive): HANDLES_TAKEN, HANDLES_FULL.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "wire/handle.h"

enum {
	HANDLES_TAKEN = 1, /* the id is alive already, or is not one the client may mint */
	HANDLES_FULL = 2,  /* over the budget, or out of indices */
};

struct handles;

/* budget: bytes the table may use. NULL when out of memory. */
struct handles *handles_new(size_t budget);
struct handles *handles_free(struct handles *handles);

/* Enters an id the client minted for real (not 0). */
int handles_adopt(struct handles *handles, enum handle_kind kind, uint64_t id, uint64_t real);

/* The id real is known by, newest first, else a new one of the worker's. */
int handles_mint(struct handles *handles, enum handle_kind kind, uint64_t real, uint64_t *id);

/* The backend's handle; 0 when id is not alive or of another kind. */
uint64_t handles_find(const struct handles *handles, enum handle_kind kind, uint64_t id);

/* The id real is known by, 0 when there is none. */
uint64_t handles_id_of(struct handles *handles, enum handle_kind kind, uint64_t real);

/* Another handle for an id that is alive; HANDLES_TAKEN when it is not. Nobody else may be using
 * what the id stands for. */
int handles_replace(struct handles *handles, enum handle_kind kind, uint64_t id, uint64_t real);

/* The handles of a kind, as many as there is room for; how many there are. */
size_t handles_list(struct handles *handles, enum handle_kind kind, uint64_t *reals, size_t room);

/* Ends an id; no effect on one that is not alive. */
void handles_forget(struct handles *handles, enum handle_kind kind, uint64_t id);

size_t handles_count(const struct handles *handles);
/* Ids of one kind that are alive; FUNCTION and KERNEL are counted apart. */
size_t handles_count_of(const struct handles *handles, enum handle_kind kind);
