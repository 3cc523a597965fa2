/*
 * The two sides of a managed variable (mirror.h): bringing over what was written. Pure but for the
 * memory given; any thread, one at a time for the same words.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * n words of the program's side, of the device's, and as both were when they last agreed. Where one
 * side has changed it prevails, the program's where both have, byte by byte. Either side may be
 * written by others meanwhile: what is written during the exchange is kept, and found by the next.
 * pull: false looks only for what the program wrote.
 */
void mirror_exchange(
    _Atomic uint64_t *program, _Atomic uint64_t *device, uint64_t *agreed, size_t n, bool pull);

/* The index of the only word of side that differs from agreed; MIRROR_NONE, MIRROR_MANY: no word
 * does, or more than one. */
#define MIRROR_NONE ((size_t)-1)
#define MIRROR_MANY ((size_t)-2)
size_t mirror_lone(const _Atomic uint64_t *side, const uint64_t *agreed, size_t n);
