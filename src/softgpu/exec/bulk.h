/* Bulk copies: what compiled code passes to the machine (bulk.c). Addresses in shared memory are
 * offsets in the block's. All end the grid where a range is not all inside, or misaligned. */
#pragma once

#include <stdint.h>

struct sg_lane;

/* Neither: device memory, or a generic address. CLUSTER: an address in the window
 * shared::cluster. */
enum sg_bulk_spaces { SG_BULK_TO_SHARED = 1, SG_BULK_FROM_SHARED = 2, SG_BULK_TO_CLUSTER = 4 };

enum sg_bulk_reduction {
	SG_BULK_ADD,
	SG_BULK_MIN,
	SG_BULK_MAX,
	SG_BULK_INC,
	SG_BULK_DEC,
	SG_BULK_AND,
	SG_BULK_OR,
	SG_BULK_XOR,
};

enum sg_bulk_element {
	SG_BULK_U32,
	SG_BULK_S32,
	SG_BULK_U64,
	SG_BULK_S64,
	SG_BULK_F32,
	SG_BULK_F64,
	SG_BULK_F16,
	SG_BULK_BF16,
};

/* Inside the machine: size bytes of elements, each one atomic operation. */
void bulk_reduce(enum sg_bulk_reduction kind, enum sg_bulk_element element, uint8_t *target,
    const uint8_t *source, uint32_t size);

void sg_bulk_copy(struct sg_lane *lane, uint64_t to, uint64_t from, uint32_t size, uint32_t spaces);
/* To the same place in the memory of each block of the cluster that mask names, each block's own
 * mbarrier being told. */
void sg_bulk_multicast(struct sg_lane *lane, uint64_t to, uint64_t from, uint32_t size,
    uint64_t mbarrier, uint32_t mask);
/* Of every 16 bytes, those whose bit is set. */
void sg_bulk_copy_masked(
    struct sg_lane *lane, uint64_t to, uint64_t from, uint32_t size, uint32_t mask);
void sg_bulk_reduce(struct sg_lane *lane, uint64_t to, uint64_t from, uint32_t size,
    uint32_t spaces, uint32_t reduction, uint32_t element);
void sg_bulk_clear(struct sg_lane *lane, uint64_t to, uint64_t size, uint32_t is_shared);
