/*
 * Tensor maps and copies by them (PTX ISA 5.5.8, 9.7.9.27): what the driver encodes, compiled code
 * passes, and the machine reads.
 *
 * A map's 128 bytes are opaque to programs, so that their layout is ours. Kernels can write any
 * bytes there: whoever reads one checks it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sg_lane;

#define SG_TENSOR_MAGIC	 0x6d534752u
#define SG_TENSOR_DIMS	 5u
#define SG_TENSOR_BOX	 256u  /* elements along a side of a box, at most */
#define SG_TENSOR_PIXELS 1024u /* of a column */

enum sg_tensor_type {
	SG_TENSOR_U8,
	SG_TENSOR_U16,
	SG_TENSOR_U32,
	SG_TENSOR_S32,
	SG_TENSOR_U64,
	SG_TENSOR_S64,
	SG_TENSOR_F16,
	SG_TENSOR_F32,
	SG_TENSOR_F32_FTZ,
	SG_TENSOR_F64,
	SG_TENSOR_BF16,
	SG_TENSOR_TF32,
	SG_TENSOR_TF32_FTZ,
	SG_TENSOR_U4X16,	/* 16 of 4 bits side by side */
	SG_TENSOR_U4X16_PADDED, /* the same, with 8 bytes of nothing behind them in shared memory */
	SG_TENSOR_U6X16_PADDED, /* 12 bytes, with 4 */
	SG_TENSOR_TYPES
}; /* the numbers tensormap.replace has for them */

enum sg_tensor_swizzle {
	SG_SWIZZLE_NONE,
	SG_SWIZZLE_32,
	SG_SWIZZLE_64,
	SG_SWIZZLE_128,
	SG_SWIZZLE_96,
	SG_SWIZZLES
};

/* FLIP: every second line of 128 bytes also has the halves of its 16 bytes exchanged. */
enum sg_tensor_atom { SG_ATOM_16, SG_ATOM_32, SG_ATOM_32_FLIP, SG_ATOM_64, SG_ATOMS };

/*
 * Interleaved tensors have slices of 16 or 32 bytes of channels side by side along the width, and
 * dimensions in that order: width (counted in slices), height and depth if there, slices of an
 * image, images. A box is of one slice of each image.
 */
enum sg_tensor_interleave {
	SG_INTERLEAVE_NONE,
	SG_INTERLEAVE_16,
	SG_INTERLEAVE_32,
	SG_INTERLEAVES
};

/* WIDE: for .im2col::w and .im2col::w::128. */
enum sg_tensor_layout { SG_LAYOUT_TILED, SG_LAYOUT_IM2COL, SG_LAYOUT_WIDE };

struct sg_tensor_map {
	uint32_t magic;
	uint8_t type, rank, swizzle, atom;
	/* 0. CUTLASS clears bit 21 of this word for small tensors, for the sake of NVIDIA's drivers. */
	uint64_t patched;
	uint64_t address;
	uint64_t strides[SG_TENSOR_DIMS - 1]; /* bytes; of dimension 1 and on */
	uint32_t last[SG_TENSOR_DIMS];	      /* the dimensions, less one */
	uint16_t box[SG_TENSOR_DIMS];	      /* less one */
	uint8_t steps[SG_TENSOR_DIMS];	      /* element strides */
	uint8_t fill_nan, layout, interleave;
	/* im2col: of width, height, depth; of a column, less one */
	int16_t lower[SG_TENSOR_DIMS - 2], upper[SG_TENSOR_DIMS - 2];
	uint16_t channels, pixels;
	uint8_t unused[18];
};
_Static_assert(sizeof(struct sg_tensor_map) == 128, "the size of a CUtensorMap");
_Static_assert(offsetof(struct sg_tensor_map, patched) == 8, "the word that CUTLASS patches");

/* Elements that stay together and what they take: bytes in device and in shared memory. */
struct sg_tensor_unit {
	uint8_t elements, global_bytes, shared_bytes;
};
struct sg_tensor_unit sg_tensor_unit(enum sg_tensor_type type);

enum sg_tensor_direction { SG_TENSOR_LOAD, SG_TENSOR_STORE, SG_TENSOR_REDUCE };
enum sg_tensor_mode {
	SG_TENSOR_TILE,
	SG_TENSOR_ROWS, /* gather4, scatter4 */
	SG_TENSOR_IM2COL,
	SG_TENSOR_IM2COL_W,
	SG_TENSOR_IM2COL_W_128
};

/* One instruction; bits is what the compiled code passes. */
union sg_tensor {
	uint32_t bits;
	struct {
		uint32_t rank : 3;
		uint32_t mode : 3;
		uint32_t direction : 2;
		uint32_t reduction : 3;	 /* enum sg_bulk_reduction */
		uint32_t is_cluster : 1; /* addresses are of the window shared::cluster */
		uint32_t multicast : 1;
		uint32_t is_paired : 1; /* .cta_group::2 */
	};
};

/* What else it passes. */
struct sg_tensor_place {
	int32_t at[SG_TENSOR_DIMS];	     /* coordinates; of ROWS a column and four rows */
	int32_t offsets[SG_TENSOR_DIMS - 2]; /* of IM2COL_W: pixels of the halo, first column's */
	uint32_t blocks;		     /* of the cluster that a multicast goes to */
};

/* Copies the box of the map at an address in device memory from or to shared memory, and tells the
 * mbarrier (of loads). Ends the grid where the map is none or a place is outside memory. */
void sg_tensor_copy(struct sg_lane *lane, uint32_t bits, uint64_t map,
    const struct sg_tensor_place *place, uint64_t shared, uint64_t mbarrier);

/* tensormap.replace: the fields in the order of enum sg_tensor_field. */
enum sg_tensor_field {
	SG_FIELD_ADDRESS,
	SG_FIELD_RANK,
	SG_FIELD_BOX,
	SG_FIELD_DIMENSION,
	SG_FIELD_STRIDE,
	SG_FIELD_STEP,
	SG_FIELD_TYPE,
	SG_FIELD_INTERLEAVE,
	SG_FIELD_SWIZZLE,
	SG_FIELD_ATOM,
	SG_FIELD_FILL,
};
void sg_tensor_replace(struct sg_lane *lane, struct sg_tensor_map *map, uint32_t field,
    uint32_t ordinal, uint64_t value);
