/* Inside access.c, vector.c, gather.c and ranges.c: a load or store, taken apart. */
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

/* Whether each lane accesses by itself, come what may: its own copy of a variable, or a vector that
 * is written and read as one. Others find out later what can be done for all. */
bool access_goes_by_lane(struct warp *warp, const struct access *access);
/* The elements of each row's lanes are neighbours in memory. */
bool access_has_neighbours(const struct access *access);

static inline bool access_is_shared(const struct access *access)
{
	return access->space == PTX_SPACE_SHARED;
}

static inline unsigned access_log2(unsigned size)
{
	return size > 1 ? 31 - (unsigned)__builtin_clz(size) : 0;
}

/* Element i's place behind that of the first, and the operand it comes from or goes to. */
struct value access_element_pointer(
    struct warp *warp, const struct access *access, struct value base, unsigned i);
const struct ptx_operand *access_element(
    struct warp *warp, const struct access *access, unsigned i);

/* vector.c: lanes are neighbours, all in one row. */
void access_load_vector(struct warp *warp, const struct access *access);
void access_store_vector(struct warp *warp, const struct access *access);
/* Of rows of neighbours, in the copy for whole warps; or of one place for each row's lanes. */
void access_load_whole(struct warp *warp, const struct access *access);
void access_store_whole(struct warp *warp, const struct access *access);
void access_load_rows(struct warp *warp, const struct access *access);
/* Of both, anywhere. */
void access_load_apart(struct warp *warp, const struct access *access);
void access_store_apart(struct warp *warp, const struct access *access);

/* gather.c */
void access_gather(struct warp *warp, const struct access *access);
void access_scatter(struct warp *warp, const struct access *access);
