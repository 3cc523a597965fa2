/*
 * Device addresses outside of the reserved windows. NVIDIA's driver does not always reserve a range
 * where it is asked to, and what is free in the worker's process need not be free in this one: a
 * range that the program reserves is kept here with pages that nobody may touch, so that nothing of
 * the program's own ever has an address of the device's. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False: something of the program lies there, and nothing was done. Where the system has no more
 * mappings to give, the range is not kept, and the answer is still true. */
bool address_keep(uint64_t address, size_t bytes);
/* The range that begins at address. */
void address_give_back(uint64_t address);
/* The range that address lies in, where one is known. */
bool address_find(uint64_t address, uint64_t *start, size_t *bytes);
/* Whether [address, address + bytes) lies in a window or in a range that is kept: whoever maps
 * something there replaces this process's own pages. */
bool address_is_kept(uint64_t address, size_t bytes);
