/*
 * Where an address is, for copies: memory the worker can reach (device memory, pinned and
 * registered segments), memory of this process, or both.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct place {
	bool shared;	 /* the worker reaches it */
	uint64_t remote; /* shared: at this address */
	uint64_t here;	 /* where this process reaches it; 0: it cannot */
};

/* Ordinary memory is what nothing is known of. */
struct place place_find(uint64_t address);

/* The same for what a program calls host memory: a managed variable is its mirror in this
 * process. */
struct place place_of_host(const void *pointer);

/* And for what it calls device memory, which is never ordinary memory: what no device may use is
 * neither shared nor here. */
struct place place_of_device(uint64_t address);

/* All of [address, address + bytes) is known to the range map, and a device's to use, so that a
 * copy there cannot fail for its address. */
bool place_is_known(uint64_t address, size_t bytes);
