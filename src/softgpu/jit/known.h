/*
 * What translating a kernel came to, kept on disk under what it was translated from: whoever comes
 * later learns which code he wants, or that there is none, without translating again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"

struct jit_known {
	struct digest ir;
	uint32_t needs_fibers;
	uint32_t is_refused; /* by the translator for warps; then why, and where in the PTX */
	uint32_t line;
	char reason[148];
};

/*
 * source: a digest of all that the translation depends on, but for the translator itself. False
 * when it is not known how that came out. Nothing here fails.
 */
bool jit_recall(const struct digest *source, struct jit_known *known);
void jit_remember(const struct digest *source, const struct jit_known *known);

/* Of a translator: the key of what it made of source. */
struct digest jit_known_key(
    const uint8_t *translator, size_t translator_size, const struct digest *source);
