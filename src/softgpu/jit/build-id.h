/*
 * What a library or program was made from, in a word: the linker hashes what it writes and leaves
 * the hash in it as a note (--build-id).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define BUILD_ID_MOST 32 /* bytes; longer ones are cut */

/* Of what address lies in. Returns the size, 0 when it was linked without. */
size_t build_id_of(const void *address, uint8_t id[BUILD_ID_MOST]);
