/*
 * SOFTGPU_CHECK=1: the software GPU looks for mistakes of the programs that use it, and for its
 * own. What is looked for, and by whom:
 *
 *   memory that nobody has written         is filled with SG_POISON (here; exec/check.c)
 *   memory that was freed                  keeps its place in the window, inaccessible (arena.c)
 *   threads of a block that race           exec/check.c, told by code that jit/check.c adds
 *   values wrongly taken to be uniform     jit/warp/check.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether it is set; the same for the whole life of the process. Any thread. */
bool sg_checks(void);

/* As a float a NaN, as a double one too, as an address nowhere, as a number large. */
#define SG_POISON UINT32_C(0x7fffbaad)

/* Fills memory with it, from its first byte on. */
void sg_poison(void *memory, size_t size);
