/*
 * Virtual memory: ranges of the window that are reserved first (sg_arena_reserve) and whose parts
 * are mapped later to files in memory, by themselves or several side by side. What the arena says
 * of an address in a reserved range it knows from here. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who may do what with a mapping; the values are CUDA's. */
enum sg_access { SG_ACCESS_NONE = 0, SG_ACCESS_READ = 1, SG_ACCESS_ALL = 3 };

struct sg_mapping {
	uint64_t address;
	size_t size;
	enum sg_access access; /* the device's */
	enum sg_access host;   /* the program's */
	void *owner;	       /* the caller's */
	uint64_t id;	       /* never used twice */
};

/* Maps size bytes of fd from its beginning, without access yet. -EBUSY: something is mapped there;
 * or another negative errno. The range must be reserved. */
int sg_virtual_map(uint64_t address, size_t size, int fd, void *owner);

/* Ends all mappings in [address, address + size), which must be whole and leave no gap, and tells
 * gone each's owner. -EINVAL: they are not, and nothing was done. */
int sg_virtual_unmap(uint64_t address, size_t size, void (*gone)(void *owner));

/* The same for the device's access to them, or for the program's. Both have the same pages: what
 * one may do the other can. */
int sg_virtual_protect(uint64_t address, size_t size, bool host, enum sg_access access);

/* The mapping that address lies in. */
bool sg_virtual_find(uint64_t address, struct sg_mapping *out);

/* Whether [address, address + size) is mapped, and the device may read and write it; or, for
 * copies, at least the program. */
bool sg_virtual_covers(uint64_t address, size_t size, bool copies);

/* Whether anything is mapped there. */
bool sg_virtual_overlaps(uint64_t address, size_t size);
