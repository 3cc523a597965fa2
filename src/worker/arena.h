/*
 * Device memory from a fixed window: what cuMemAlloc of a session returns where the backend offers
 * virtual memory management. Each device owns a slice of the window, reserved whole at the start,
 * so that an address means the same in every worker that ever serves the session.
 *
 * Physical memory comes in pieces of 2 MiB (the granularity of cuMemCreate on all known devices; a
 * backend that wants more is not offered an arena). Allocations of up to ARENA_SMALL_MAX share
 * slabs of one piece, at multiples of 512 bytes; larger ones own theirs. So cuMemGetInfo stays the
 * backend's own answer.
 *
 * Nothing here waits for the GPU: the caller frees only what no work uses any more. Thread-safe;
 * needs a backend that is initialised, but no current context.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gen/backend.h"

#define ARENA_PIECE	(2ull << 20)
#define ARENA_ALIGN	512ull
#define ARENA_SMALL_MAX (1ull << 20)
#define ARENA_RANGES	(8u << 20) /* ranges a session may split its arena into */

struct arena;

/*
 * Reserves [base, base + size) for device. NULL when the backend has no such memory, or reserves
 * somewhere else; *why then says so, for the log.
 */
struct arena *arena_new(
    const struct backend *backend, CUdevice device, uint64_t base, uint64_t size, const char **why);
struct arena *arena_free(struct arena *arena);

/* owner: the context whose end frees it. */
CUresult arena_take(struct arena *arena, uint64_t size, uint64_t owner, CUdeviceptr *address);

/* The memory is zeroed by nobody, as CUDA says. False: no allocation of this arena starts there. */
bool arena_give(struct arena *arena, CUdeviceptr address);

/* Frees all of owner's allocations. */
void arena_give_all(struct arena *arena, uint64_t owner);

/* The allocation address lies in, as asked for; false when it lies in none. */
bool arena_find(struct arena *arena, CUdeviceptr address, CUdeviceptr *base, size_t *size);

/* From now on device may access all memory of this arena, or, with allow false, no longer. What is
 * mapped already keeps the access it was given. */
CUresult arena_allow(struct arena *arena, CUdevice device, bool allow);

/*
 * A descriptor, the caller's, of the physical memory that the allocation at address lies in: *size
 * bytes, mapped from *start on. It keeps that memory, also when the allocation is given back.
 */
CUresult arena_export(
    struct arena *arena, CUdeviceptr address, uint64_t *start, uint64_t *size, int *fd);

/* Maps memory of another arena by such a descriptor, which stays the caller's; arena_drop() unmaps
 * it. It is no allocation: arena_find() and arena_give() do not know it. */
CUresult arena_import(struct arena *arena, int fd, uint64_t size, uint64_t *start);
void arena_drop(struct arena *arena, uint64_t start);

CUdevice arena_device(const struct arena *arena);
bool arena_covers(const struct arena *arena, CUdeviceptr address);
/* Physical bytes mapped. */
uint64_t arena_bytes(struct arena *arena);
