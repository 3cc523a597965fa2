/* Inside access.c and ranges.c: a load or store, taken apart. */
#pragma once

#include "softgpu/jit/warp/warp.h"

struct access {
	enum ptx_type type;
	enum ir_type ir;
	enum ptx_space space;
	unsigned count, size; /* elements, bytes of one */
	const struct ptx_operand *address, *data;
	struct shape shape;
	bool is_write, is_ordered;
	uint32_t number; /* in our names */
};

/* Of the instruction being translated. */
void access_init(struct warp *warp, struct access *access, bool is_write);

/* It reads or writes a function's own variable, of which each lane has one. */
bool access_is_own(const struct access *access);
/* The lanes' elements are neighbours in memory. */
bool access_is_contiguous(const struct access *access);

static inline bool access_is_shared(const struct access *access)
{
	return access->space == PTX_SPACE_SHARED;
}
