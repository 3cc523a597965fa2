/*
 * Decompression of a fatbin's members, apart from image.h since it needs libraries that not
 * everyone who measures images wants.
 */
#pragma once

#include <stddef.h>

#include "abi/image.h"

/* What was decompressed, or the member's own bytes when it is not compressed. */
struct abi_unpacked {
	const char *data;
	size_t size;
	void *owned; /* to be freed; NULL: data lies in the member */
};

enum { ABI_UNPACK_DAMAGED = 1 }; /* or larger than `most` */

/* 0, -ENOMEM, or ABI_UNPACK_DAMAGED. Nothing is to be freed then. */
int abi_member_unpack(const struct abi_member *member, size_t most, struct abi_unpacked *out);
