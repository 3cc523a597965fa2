/*
 * What compiling kernels comes to, on disk: a file per object, named by what it was made from. Keys
 * are digests that nobody can forge, for those whose kernels share a folder need not trust each
 * other.
 *
 * The folder is $SOFTGPU_CACHE, or rosen/softgpu in $XDG_CACHE_HOME or ~/.cache; SOFTGPU_CACHE set
 * to nothing switches the cache off. SOFTGPU_CACHE_SIZE (bytes, with K, M, G) caps it. Any number
 * of threads and processes may use it at the same time. Nothing here fails: what cannot be read is
 * a miss, what cannot be written is not kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

#define CACHE_NAME_TEXT 65 /* a key in hexadecimal, with its NUL */
void cache_name_of(const struct digest *key, char name[CACHE_NAME_TEXT]);

/* The object of a key in memory of the caller's (free()), or NULL. Its bytes are as they were
 * stored. */
void *cache_load(const struct digest *key, size_t *size);

void cache_store(const struct digest *key, const void *object, size_t size);
