/*
 * What the shim remembers of an object behind an id, beside the id itself: parameter layouts of a
 * function, the device of a context. call.h mints and drops ids; this is for the shim's own parts.
 *
 * An object is one block from malloc() and belongs to the table once attached. Reads take no lock,
 * so an object whose id died is freed only after a good number of others have died too: a program
 * that uses an object while another of its threads destroys it breaks CUDA's rules, but must get an
 * error, not a crash inside this library.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wire/handle.h"

/* The object attached to id, NULL when there is none or the id is not alive. */
void *shim_object(uint64_t id, enum handle_kind kind);

/*
 * Attaches object to an id (minted here or by the worker) unless one is there already. Returns the
 * one that is attached afterwards; NULL when the id is dead or memory is short. The caller frees
 * its own when it lost.
 */
void *shim_object_attach(uint64_t id, enum handle_kind kind, void *object);

/* Attaches object in place of what is there, which ends like that of an id that died. False: the id
 * is dead or memory is short, and object stays the caller's. */
bool shim_object_replace(uint64_t id, enum handle_kind kind, void *object);

/* Enters the ids of the primary contexts as alive; all other context ids lie above them. */
void shim_object_init(void);

/* In the child after fork(): locks may have been held by threads that are gone. */
void shim_object_after_fork(void);
