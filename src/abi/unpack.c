/*
 * Called with members of images that a tenant sent: sizes are bounds, not promises, and what does
 * not decompress is damage. Old files do not say how large a member is; then the buffer grows until
 * it fits.
 */
#include "abi/unpack.h"

#include <errno.h>
#include <lz4.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/error.h"
#include "base/util.h"

#define SIZE_GUESS    ((size_t)64 << 10)
#define PACKED_MAX    ((size_t)1 << 30) /* the decompressors count in ints */
#define LZ4_RATIO_MAX 256		/* no LZ4 block grows more */

enum outcome { DONE, DAMAGED, TOO_SMALL };

static enum outcome unpack_zstd(
    const struct abi_member *member, char *to, size_t capacity, size_t *size)
{
	*size = ZSTD_decompress(to, capacity, member->payload, member->payload_size);
	if (!ZSTD_isError(*size))
		return DONE;
	return ZSTD_getErrorCode(*size) == ZSTD_error_dstSize_tooSmall ? TOO_SMALL : DAMAGED;
}

/* LZ4 does not tell the two failures apart. */
static enum outcome unpack_lz4(
    const struct abi_member *member, char *to, size_t capacity, size_t *size)
{
	int got = LZ4_decompress_safe(
	    (const char *)member->payload, to, (int)member->payload_size, (int)capacity);

	*size = (size_t)got;
	return got >= 0 ? DONE : TOO_SMALL;
}

/* What the member can have at most, so that damage makes nobody allocate without end. */
static size_t unpacked_limit(const struct abi_member *member, size_t most)
{
	if (member->flags & ABI_MEMBER_ZSTD)
		return MIN(most, PACKED_MAX);
	return MIN(MIN(most, PACKED_MAX), member->payload_size * LZ4_RATIO_MAX);
}

static int unpack(const struct abi_member *member, size_t most, struct abi_unpacked *out)
{
	size_t limit = unpacked_limit(member, most);
	size_t capacity = member->uncompressed_size ?: MIN(SIZE_GUESS, limit);
	bool known = member->uncompressed_size;

	if (!capacity || capacity > limit || member->payload_size > PACKED_MAX)
		return ABI_UNPACK_DAMAGED;
	for (;; capacity = MIN(capacity * 4, limit)) {
		char *buffer = malloc(capacity);
		size_t size;
		if (!buffer)
			return error_origin(-ENOMEM);
		enum outcome outcome = member->flags & ABI_MEMBER_ZSTD
					   ? unpack_zstd(member, buffer, capacity, &size)
					   : unpack_lz4(member, buffer, capacity, &size);
		if (outcome == DONE) {
			*out = (struct abi_unpacked){buffer, size, buffer};
			return 0;
		}
		free(buffer);
		if (known || outcome == DAMAGED || capacity == limit)
			return ABI_UNPACK_DAMAGED;
	}
}

int abi_member_unpack(const struct abi_member *member, size_t most, struct abi_unpacked *out)
{
	if (member->flags & (ABI_MEMBER_ZSTD | ABI_MEMBER_LZ4))
		return unpack(member, most, out);
	*out = (struct abi_unpacked){(const char *)member->payload, member->payload_size, NULL};
	return 0;
}
