/* Whose memory an address is. Used by everything that hands a client's address to the backend. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "worker/call.h"

struct arena;

/* Whether [address, address + bytes) is device memory, as far as this can be told without the
 * client's help: inside the device window, or the backend says so of both its ends, or a graph will
 * allocate it. */
bool memory_is_device(struct call *call, CUdeviceptr address, size_t bytes);

/* Device memory, or wholly inside one of the client's segments. */
bool memory_is_clients(struct call *call, CUdeviceptr address, size_t bytes);

/* The device's arena, made if need be, and the one whose slice address lies in; NULL: there is
 * none. Any thread. */
struct arena *memory_arena_of(struct worker *worker, CUdevice device);
struct arena *memory_arena_at(struct worker *worker, CUdeviceptr address);
/*
 * To be called before work that moves bytes between a and b (0: the other side is no device
 * memory). Memory of an arena is mapped for its own device; the first copy that another one has to
 * do with, as the current device or as the other side's, maps it for that one too, which the
 * driver's own memory would not need. (Kernels there may then reach it as if peer access had been
 * enabled.)
 */
void memory_open(struct call *call, CUdeviceptr a, CUdeviceptr b);
/* Whether a or b is an arena's: such memory belongs to no context, and the driver refuses copies
 * that name one for it. */
bool memory_has_no_context(struct call *call, CUdeviceptr a, CUdeviceptr b);

/* Frees what a context that is about to end owns. */
void memory_forget_context(struct worker *worker, CUcontext context);

/* At the session's end. */
void memory_forget_retained(struct worker *worker);

/* Gives back what was freed during a capture. */
void memory_give_put_aside(struct worker *worker);
