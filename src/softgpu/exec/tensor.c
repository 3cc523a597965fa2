/*
 * Copies by tensor maps (PTX ISA 9.7.9.27): boxes of a tensor in device memory to and from a dense
 * array in shared memory. A box goes row by row; outside the tensor loads see zeroes or NaNs, and
 * nothing is stored. Of interleaved tensors a row's elements are slices.
 *
 * Swizzled rows change places in pieces inside their 32, 64, 96 or 128 bytes: bits of the line's
 * number are xored into the piece's. What counts are addresses in shared memory, not in the box.
 * Each row has all these bytes, even if the box is narrower; only slices are not spread.
 */
#include "softgpu/exec/tensor.h"

#include <string.h>

#include "softgpu/exec/bulk.h"
#include "softgpu/exec/entries.h"
#include "softgpu/exec/machine.h"

#define SHARED_ALIGN 128u
#define ROWS	     4u	  /* of gather4 and scatter4 */
#define WIDE_PIXELS  128u /* of .im2col::w::128 */
#define WIDE_GROUP   32u

struct copy {
	struct sg_lane *lane;
	struct sg_tensor_map map;
	struct sg_tensor_unit unit;
	union sg_tensor in;
	const struct sg_tensor_place *place;
	uint8_t *shared;    /* host's */
	uint64_t at;	    /* in the block's shared memory, of the box */
	uint32_t units;	    /* of a row */
	uint64_t row_bytes; /* in shared memory */
	uint64_t row_pitch; /* from one row to the next, there */
};

struct sg_tensor_unit sg_tensor_unit(enum sg_tensor_type type)
{
	static const struct sg_tensor_unit units[SG_TENSOR_TYPES] = {
	    [SG_TENSOR_U8] = {1, 1, 1},
	    [SG_TENSOR_U16] = {1, 2, 2},
	    [SG_TENSOR_U32] = {1, 4, 4},
	    [SG_TENSOR_S32] = {1, 4, 4},
	    [SG_TENSOR_U64] = {1, 8, 8},
	    [SG_TENSOR_S64] = {1, 8, 8},
	    [SG_TENSOR_F16] = {1, 2, 2},
	    [SG_TENSOR_F32] = {1, 4, 4},
	    [SG_TENSOR_F32_FTZ] = {1, 4, 4},
	    [SG_TENSOR_F64] = {1, 8, 8},
	    [SG_TENSOR_BF16] = {1, 2, 2},
	    [SG_TENSOR_TF32] = {1, 4, 4},
	    [SG_TENSOR_TF32_FTZ] = {1, 4, 4},
	    [SG_TENSOR_U4X16] = {16, 8, 8},
	    [SG_TENSOR_U4X16_PADDED] = {16, 8, 16},
	    [SG_TENSOR_U6X16_PADDED] = {16, 12, 16},
	};

	return units[type];
}

/* ---- shared memory ---- */

static uint64_t swizzled(const struct sg_tensor_map *map, uint64_t address)
{
	/* Pieces of 16, 32 or 64 bytes, as many bits as fit the span; lines of 128 bytes. */
	unsigned piece = map->atom == SG_ATOM_64 ? 6 : map->atom == SG_ATOM_16 ? 4 : 5;
	unsigned span = 4u + map->swizzle;
	uint64_t mask;

	if (map->swizzle == SG_SWIZZLE_96) /* rows of 96 bytes follow each other */
		return address ^ (address >> 7 & 1) << 4;
	if (map->swizzle == SG_SWIZZLE_NONE || span <= piece)
		return address;
	if (map->atom == SG_ATOM_32_FLIP)
		address ^= (address >> 7 & 1) << 3;
	mask = (UINT64_C(1) << (span - piece)) - 1;
	return address ^ (address >> 7 & mask) << piece;
}

static enum sg_bulk_element reduced_element(const struct copy *copy)
{
	static const uint8_t elements[SG_TENSOR_TYPES] = {
	    [SG_TENSOR_U32] = SG_BULK_U32 + 1,
	    [SG_TENSOR_S32] = SG_BULK_S32 + 1,
	    [SG_TENSOR_U64] = SG_BULK_U64 + 1,
	    [SG_TENSOR_S64] = SG_BULK_S64 + 1,
	    [SG_TENSOR_F16] = SG_BULK_F16 + 1,
	    [SG_TENSOR_F32] = SG_BULK_F32 + 1,
	    [SG_TENSOR_F32_FTZ] = SG_BULK_F32 + 1,
	    [SG_TENSOR_F64] = SG_BULK_F64 + 1,
	    [SG_TENSOR_BF16] = SG_BULK_BF16 + 1,
	};

	if (!elements[copy->map.type]) /* no reductions of these */
		machine_fault(copy->lane, SG_FAULT_TRAP, 0, true);
	return (enum sg_bulk_element)(elements[copy->map.type] - 1);
}

/* What a row does with size bytes of shared memory at an offset in the box, and of the tensor at
 * global (NULL: outside). */
static void move_piece(const struct copy *copy, uint8_t *shared, uint8_t *global, size_t size)
{
	if (copy->in.direction == SG_TENSOR_LOAD)
		memcpy(shared, global, size);
	else if (copy->in.direction == SG_TENSOR_STORE)
		memcpy(global, shared, size);
	else
		bulk_reduce((enum sg_bulk_reduction)copy->in.reduction, reduced_element(copy),
		    global, shared, (uint32_t)size);
}

static void move(const struct copy *copy, uint64_t offset, uint8_t *global, size_t size)
{
	uint64_t address = copy->at + offset;
	unsigned piece = copy->map.atom == SG_ATOM_32_FLIP ? 8 : 16;

	if (copy->map.swizzle == SG_SWIZZLE_NONE) {
		move_piece(copy, copy->shared + offset, global, size);
		return;
	}
	while (size) {
		size_t n = MIN(size, piece - address % piece);
		uint64_t to = swizzled(&copy->map, address);

		move_piece(copy, copy->shared + (to - copy->at), global, n);
		address += n;
		global += n;
		size -= n;
	}
}

/* A number that is none, the same 16 bits for every type, as the H200 has it; or zeroes. */
static void fill_pattern(const struct sg_tensor_map *map, uint8_t out[16])
{
	bool is_float = (map->type >= SG_TENSOR_F16 && map->type <= SG_TENSOR_TF32_FTZ);

	memset(out, 0, 16);
	if (!map->fill_nan || !is_float)
		return;
	for (unsigned i = 0; i < 16; i++)
		out[i] = i % 2 ? 0x7f : 0xf7;
}

static void fill(const struct copy *copy, uint64_t offset, uint64_t size)
{
	uint8_t pattern[16];

	fill_pattern(&copy->map, pattern);
	for (uint64_t n; size; offset += n, size -= n) {
		n = MIN(size, 16 - (copy->at + offset) % 16);
		move(copy, offset, pattern, n);
	}
}

/* ---- rows ---- */

/* Elements along a row are that far apart; only slices can be more than one. */
static unsigned row_step(const struct copy *copy)
{
	return copy->map.interleave ? copy->map.steps[0] : 1;
}

/* A row's part inside the tensor, where either memory has gaps or not. */
static void move_inside(const struct copy *copy, uint64_t offset, uint64_t address, uint64_t units)
{
	const struct sg_tensor_unit *unit = &copy->unit;
	uint64_t step = (uint64_t)row_step(copy) * unit->global_bytes;
	uint64_t size = (units - 1) * step + unit->global_bytes;
	uint8_t *global = fault_check_range(
	    copy->lane, address, size, false, copy->in.direction != SG_TENSOR_LOAD);

	if (step == unit->shared_bytes) {
		move(copy, offset, global, size);
		return;
	}
	for (uint64_t i = 0; i < units; i++)
		move(copy, offset + i * unit->shared_bytes, global + i * step, unit->global_bytes);
}

/* The tensor's row at coordinates 1 and on; false: outside. */
static bool find_row(const struct copy *copy, const int64_t at[SG_TENSOR_DIMS], uint64_t *address)
{
	*address = copy->map.address;
	for (unsigned i = 1; i < copy->map.rank; i++) {
		if (at[i] < 0 || at[i] > copy->map.last[i])
			return false;
		*address += (uint64_t)at[i] * copy->map.strides[i - 1];
	}
	return true;
}

/* How many of a row's elements, which begin there, come before a place. */
static int64_t count_before(const struct copy *copy, int64_t begin, int64_t place)
{
	int64_t step = row_step(copy), distance = place - begin;

	return distance <= 0 ? 0 : MIN((distance + step - 1) / step, (int64_t)copy->units);
}

/* The box's row of that number, which begins at these coordinates. */
static void copy_row(const struct copy *copy, uint64_t number, const int64_t at[SG_TENSOR_DIMS])
{
	int64_t all = ((int64_t)copy->map.last[0] + copy->unit.elements) / copy->unit.elements;
	int64_t begin = at[0] / copy->unit.elements;
	int64_t low = count_before(copy, begin, 0), high = count_before(copy, begin, all);
	uint64_t offset = number * copy->row_pitch, address;
	unsigned bytes = copy->unit.shared_bytes;

	if (!find_row(copy, at, &address) || low >= high)
		low = high = copy->units;
	if (copy->in.direction == SG_TENSOR_LOAD) {
		fill(copy, offset, (uint64_t)low * bytes);
		fill(copy, offset + (uint64_t)high * bytes, (copy->units - (uint64_t)high) * bytes);
	}
	if (low < high)
		move_inside(copy, offset + (uint64_t)low * bytes,
		    address +
			(uint64_t)(begin + low * (int64_t)row_step(copy)) * copy->unit.global_bytes,
		    (uint64_t)(high - low));
}

/* Of the slices of an image a box has one. */
static uint32_t box_count(const struct sg_tensor_map *map, unsigned axis)
{
	if (map->interleave && axis + 2 == map->rank)
		return 1;
	return (map->box[axis] + map->steps[axis]) / map->steps[axis];
}

static void copy_tile(const struct copy *copy)
{
	uint32_t counts[SG_TENSOR_DIMS] = {0}, i[SG_TENSOR_DIMS] = {0};
	uint64_t rows = 1;

	for (unsigned axis = 1; axis < copy->map.rank; axis++) {
		counts[axis] = box_count(&copy->map, axis);
		rows *= counts[axis];
	}
	for (uint64_t row = 0; row < rows; row++) {
		int64_t at[SG_TENSOR_DIMS] = {copy->place->at[0]};

		for (unsigned axis = 1; axis < copy->map.rank; axis++)
			at[axis] = copy->place->at[axis] + (int64_t)i[axis] * copy->map.steps[axis];
		copy_row(copy, row, at);
		for (unsigned axis = 1; axis < copy->map.rank && ++i[axis] == counts[axis]; axis++)
			i[axis] = 0;
	}
}

static void copy_rows(const struct copy *copy)
{
	for (unsigned row = 0; row < ROWS; row++) {
		const int64_t at[SG_TENSOR_DIMS] = {copy->place->at[0], copy->place->at[1 + row]};

		copy_row(copy, row, at);
	}
}

/* Where the dimensions of an image begin: before them are its channels, but for slices. */
static unsigned first_axis(const struct copy *copy)
{
	return copy->map.interleave ? 0 : 1;
}

/* The next pixel of the bounding box, width first, then of the next image; of IM2COL_W the box is
 * one row, and moved to the right. */
static void next_pixel(const struct copy *copy, int64_t right, int64_t at[SG_TENSOR_DIMS])
{
	unsigned n = copy->map.layout == SG_LAYOUT_WIDE ? 1 : copy->map.rank - 2u;

	for (unsigned i = 0; i < n; i++) {
		unsigned axis = first_axis(copy) + i;

		at[axis] += copy->map.steps[axis];
		if (at[axis] <= (int64_t)copy->map.last[axis] + copy->map.upper[i] + right)
			return;
		at[axis] = copy->map.lower[i] + right;
	}
	at[copy->map.rank - 1] += copy->map.steps[copy->map.rank - 1];
}

static void read_place(const struct copy *copy, int64_t at[SG_TENSOR_DIMS])
{
	for (unsigned axis = 0; axis < SG_TENSOR_DIMS; axis++)
		at[axis] = copy->place->at[axis];
}

/* Stores have no offsets. */
static void copy_pixels(const struct copy *copy)
{
	unsigned n_offsets = copy->in.direction == SG_TENSOR_LOAD ? copy->map.rank - 2u : 0;
	int64_t at[SG_TENSOR_DIMS];

	read_place(copy, at);
	for (uint32_t pixel = 0; pixel <= copy->map.pixels; pixel++) {
		int64_t from[SG_TENSOR_DIMS];

		memcpy(from, at, sizeof(from));
		for (unsigned i = 0; i < n_offsets; i++)
			from[first_axis(copy) + i] += copy->place->offsets[i];
		copy_row(copy, pixel, from);
		next_pixel(copy, 0, at);
	}
}

/* Pixels of IM2COL_W, in groups each of which has a halo: pixels that follow it. All halos come
 * after all pixels, their first pixels first. */
struct wide {
	uint32_t pixels, groups, halo;
};

static struct wide wide_of(const struct copy *copy)
{
	bool is_fixed = copy->in.mode == SG_TENSOR_IM2COL_W_128;

	return (struct wide){
	    .pixels = is_fixed ? WIDE_PIXELS : copy->map.pixels + 1u,
	    .groups = is_fixed ? WIDE_PIXELS / WIDE_GROUP : 1,
	    .halo = (uint32_t)copy->place->offsets[0],
	};
}

static void copy_halo(const struct copy *copy, const struct wide *wide, uint32_t group,
    const int64_t from[SG_TENSOR_DIMS])
{
	int64_t at[SG_TENSOR_DIMS];

	memcpy(at, from, sizeof(at));
	for (uint32_t i = 0; i < wide->halo; i++) {
		copy_row(copy, wide->pixels + i * wide->groups + group, at);
		next_pixel(copy, copy->place->offsets[1], at);
	}
}

static void copy_wide(const struct copy *copy)
{
	struct wide wide = wide_of(copy);
	uint32_t each = wide.pixels / wide.groups;
	int64_t at[SG_TENSOR_DIMS];

	read_place(copy, at);
	at[1] += copy->place->offsets[1];
	for (uint32_t pixel = 0; pixel < wide.pixels; pixel++) {
		copy_row(copy, pixel, at);
		next_pixel(copy, copy->place->offsets[1], at);
		if ((pixel + 1) % each == 0)
			copy_halo(copy, &wide, pixel / each, at);
	}
}

/* ---- the instruction ---- */

static bool is_layout(const struct sg_tensor_map *map, union sg_tensor in)
{
	switch (in.mode) {
	case SG_TENSOR_TILE:
		return map->layout == SG_LAYOUT_TILED;
	case SG_TENSOR_ROWS:
		return map->layout == SG_LAYOUT_TILED && map->rank == 2;
	case SG_TENSOR_IM2COL:
		return map->layout == SG_LAYOUT_IM2COL && map->rank > 2;
	default:
		return map->layout == SG_LAYOUT_WIDE && map->rank > 2 && !map->interleave;
	}
}

static bool is_map(const struct sg_tensor_map *map, union sg_tensor in)
{
	if (map->magic != SG_TENSOR_MAGIC || map->type >= SG_TENSOR_TYPES || map->rank != in.rank ||
	    !map->rank || map->rank > SG_TENSOR_DIMS || map->swizzle >= SG_SWIZZLES ||
	    map->interleave >= SG_INTERLEAVES || (map->interleave && map->rank < 3) ||
	    map->atom >= SG_ATOMS || map->pixels >= SG_TENSOR_PIXELS ||
	    map->channels >= SG_TENSOR_BOX)
		return false;
	for (unsigned i = 0; i < map->rank; i++)
		if (map->box[i] >= SG_TENSOR_BOX || !map->steps[i])
			return false;
	return is_layout(map, in);
}

static uint64_t count_rows(const struct copy *copy)
{
	uint64_t rows = 1;

	if (copy->in.mode == SG_TENSOR_IM2COL)
		return copy->map.pixels + 1u;
	if (copy->in.mode == SG_TENSOR_ROWS)
		return ROWS;
	if (copy->in.mode >= SG_TENSOR_IM2COL_W) {
		struct wide wide = wide_of(copy);

		return wide.pixels + (uint64_t)wide.halo * wide.groups;
	}
	for (unsigned axis = 1; axis < copy->map.rank; axis++)
		rows *= box_count(&copy->map, axis);
	return rows;
}

static void copy_to(struct copy *copy, uint64_t shared, uint64_t mbarrier)
{
	struct sg_lane *lane = copy->lane;
	bool is_load = copy->in.direction == SG_TENSOR_LOAD;
	uint64_t rows = count_rows(copy), all = rows * copy->row_pitch;
	uint64_t room = copy->map.swizzle ? align_up(all, SHARED_ALIGN) : all;

	if (shared % SHARED_ALIGN)
		machine_fault(lane, SG_FAULT_MISALIGNED, shared, is_load);
	copy->at = shared & ((1u << SG_CLUSTER_RANK_BIT) - 1);
	copy->shared = copy->in.is_cluster ? cluster_range(lane, shared, room, is_load)
					   : fault_check_range(lane, shared, room, true, is_load);
	if (copy->in.mode == SG_TENSOR_IM2COL)
		copy_pixels(copy);
	else if (copy->in.mode == SG_TENSOR_ROWS)
		copy_rows(copy);
	else if (copy->in.mode >= SG_TENSOR_IM2COL_W)
		copy_wide(copy);
	else
		copy_tile(copy);
	if (is_load)
		mbarrier_complete(lane, mbarrier, rows * copy->row_bytes);
}

/* The mbarrier that is told of a block's part of a multicast: its own, or for pairs of blocks
 * (.cta_group::2) that of the pair's even or odd one, as the named one's block is. */
static uint64_t mbarrier_of(const struct copy *copy, uint64_t mbarrier, uint32_t rank)
{
	if (copy->in.is_paired)
		rank = (rank & ~1u) | (sg_cluster_rank(copy->lane, mbarrier) & 1);
	return sg_cluster_map(copy->lane, mbarrier, rank);
}

static struct sg_tensor_unit unit_of(const struct sg_tensor_map *map)
{
	static const struct sg_tensor_unit slices[] = {
	    [SG_INTERLEAVE_16] = {1, 16, 16},
	    [SG_INTERLEAVE_32] = {1, 32, 32},
	};

	return map->interleave ? slices[map->interleave]
			       : sg_tensor_unit((enum sg_tensor_type)map->type);
}

static uint32_t units_of_row(const struct copy *copy)
{
	bool has_pixels = copy->in.mode >= SG_TENSOR_IM2COL;

	if (copy->map.interleave)
		return has_pixels ? 1 : box_count(&copy->map, 0);
	return ((has_pixels ? copy->map.channels : copy->map.box[0]) + 1u) / copy->unit.elements;
}

static uint64_t pitch_of(const struct copy *copy)
{
	static const uint8_t spans[SG_SWIZZLES] = {
	    [SG_SWIZZLE_32] = 32,
	    [SG_SWIZZLE_64] = 64,
	    [SG_SWIZZLE_128] = 128,
	    [SG_SWIZZLE_96] = 96,
	};
	uint64_t span = copy->map.interleave ? 0 : spans[copy->map.swizzle];

	return MAX(copy->row_bytes, span);
}

void sg_tensor_copy(struct sg_lane *lane, uint32_t bits, uint64_t map,
    const struct sg_tensor_place *place, uint64_t shared, uint64_t mbarrier)
{
	struct copy copy = {.lane = lane, .in.bits = bits, .place = place};

	memcpy(&copy.map, fault_check_range(lane, map, sizeof(copy.map), false, false),
	    sizeof(copy.map));
	if (!is_map(&copy.map, copy.in))
		machine_fault(lane, SG_FAULT_ILLEGAL_ADDRESS, map, false);
	if (copy.in.direction != SG_TENSOR_LOAD && copy.map.atom == SG_ATOM_32_FLIP)
		machine_fault(lane, SG_FAULT_ILLEGAL_INSTRUCTION, map, false);
	copy.unit = unit_of(&copy.map);
	copy.units = units_of_row(&copy);
	copy.row_bytes = (uint64_t)copy.units * copy.unit.shared_bytes;
	copy.row_pitch = pitch_of(&copy);
	if (!copy.in.multicast) {
		copy_to(&copy, shared, mbarrier);
		return;
	}
	for (uint32_t left = place->blocks & 0xffff; left; left &= left - 1) {
		uint32_t rank = (uint32_t)__builtin_ctz(left);

		copy_to(
		    &copy, sg_cluster_map(lane, shared, rank), mbarrier_of(&copy, mbarrier, rank));
	}
}

void sg_tensor_replace(struct sg_lane *lane, struct sg_tensor_map *map, uint32_t field,
    uint32_t ordinal, uint64_t value)
{
	/* Triton makes its maps in the kernel, of zeros and every field. */
	if (!map->magic)
		map->magic = SG_TENSOR_MAGIC;
	if (map->magic != SG_TENSOR_MAGIC || ordinal >= SG_TENSOR_DIMS)
		machine_fault(lane, SG_FAULT_ILLEGAL_ADDRESS, (uint64_t)map, true);
	switch (field) {
	case SG_FIELD_ADDRESS:
		map->address = value;
		break;
	case SG_FIELD_RANK:
		map->rank = (uint8_t)(value + 1);
		break;
	case SG_FIELD_BOX:
		map->box[ordinal] = (uint16_t)(value - 1);
		break;
	case SG_FIELD_DIMENSION:
		map->last[ordinal] = (uint32_t)(value - 1);
		break;
	case SG_FIELD_STRIDE:
		map->strides[MIN(ordinal, SG_TENSOR_DIMS - 2)] = value;
		break;
	case SG_FIELD_STEP:
		map->steps[ordinal] = (uint8_t)value;
		break;
	case SG_FIELD_TYPE:
		map->type = (uint8_t)value;
		break;
	case SG_FIELD_INTERLEAVE:
		map->interleave = (uint8_t)value;
		break;
	case SG_FIELD_SWIZZLE:
		map->swizzle = (uint8_t)value;
		break;
	case SG_FIELD_ATOM:
		map->atom = (uint8_t)value;
		break;
	default:
		map->fill_nan = (uint8_t)value;
	}
}
