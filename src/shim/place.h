/*
 * Where an address is, for copies: memory the worker can reach under the same address (device memory
 * and pinned segments), or ordinary memory of this process, whose bytes have to be moved.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The worker can use the address as it is. */
bool place_is_shared(uint64_t address);

/* All of [address, address + bytes) is known to the range map, so that a copy there cannot fail for
 * its address. */
bool place_is_known(uint64_t address, size_t bytes);
