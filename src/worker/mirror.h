/*
 * Managed variables of modules. The backend puts them where it likes, in memory that only this
 * process has; the program holds their addresses and reads and writes them by itself. So it has
 * pages of its own at those addresses, which are mapped here too, elsewhere: the mirror. Bytes go
 * from one to the other at CUDA's points of coherence: what the program wrote before work that it
 * issues is seen by that work, what the device wrote is in the mirror when the program learns that
 * it is done. A single word that changes, as a flag or a counter does, is brought over while work
 * runs.
 *
 * Any thread. While there are no mirrors every function here is one load.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "worker/call.h"
#include "worker/worker.h"

struct mirrors *mirrors_new(void);
struct mirrors *mirrors_free(struct mirrors *mirrors);

/* A variable that the client looked up and that the backend manages: it may be mirrored from here
 * on. owner: the backend's module or library; context: a module's, NULL for a library. False: out
 * of memory. */
bool mirrors_note(
    struct worker *worker, uint64_t address, size_t bytes, uint64_t owner, CUcontext context);

/* Whether the backend says that it manages address. */
bool mirrors_is_managed(struct call *call, CUdeviceptr address);

/* Whether [address, address + bytes) lies inside a variable that was noted. */
bool mirrors_cover(struct worker *worker, uint64_t address, size_t bytes);

/*
 * Around what may end variables, those of owner or (0) all: in between their memory is not touched.
 * ended: what belonged to owner, or to context, is forgotten, and after the end of a context also
 * what the backend no longer manages.
 */
void mirrors_suspend(struct worker *worker, uint64_t owner);
void mirrors_resume(struct call *call, uint64_t owner, CUcontext context, bool ended);

void mirrors_push_all(struct worker *worker);
void mirrors_settle_all(struct worker *worker);

/* Relaxed: the call that began a mirror was answered before the program could use its variable. */
static inline bool mirrors_exist(struct worker *worker)
{
	return unlikely(atomic_load_explicit(&worker->n_mirrors, memory_order_relaxed));
}

/* The program is about to issue work: brings over what it wrote. */
static inline void mirrors_push(struct worker *worker)
{
	if (mirrors_exist(worker))
		mirrors_push_all(worker);
}

/* The program is about to learn that work is done: brings over both sides' writes. */
static inline void mirrors_settle(struct worker *worker)
{
	if (mirrors_exist(worker))
		mirrors_settle_all(worker);
}
