/*
 * What matrix instructions move without computing: ldmatrix, stmatrix, movmatrix, wmma.load and
 * wmma.store.
 */
#include <string.h>

#include "base/util.h"
#include "softgpu/exec/machine.h"
#include "softgpu/exec/matrix-parts.h"
#include "softgpu/exec/multiply.h"

/* ---- 8 by 8 matrices of 16 bits: a register of all lanes is one, row by row ---- */

#define SIDE 8u

typedef uint16_t square[SIDE][SIDE];

static void turn(const void *from, void *to)
{
	halves_transpose(from, SIDE * sizeof(uint16_t), to, SIDE * sizeof(uint16_t));
}

/* Lanes 8 i to 8 i + 7 point at the rows of matrix i; of those that do not, nothing is known. */
static uint8_t *row_at(const struct sg_fragments *all, unsigned row)
{
	uint64_t address;

	memcpy(&address, &all->words[SG_MATRIX_ROW][2 * row], sizeof(address));
	return (uint8_t *)address;
}

/* ---- bytes: a register of all lanes is 8 rows of 16 ---- */

#define ROW_BYTES 16u

/* A row that lies in memory as 16 elements of so many bits: each in the lowest bits of a byte. */
static void unpack_row(const uint8_t *from, unsigned bits, uint8_t to[ROW_BYTES])
{
	for (unsigned i = 0; i < ROW_BYTES; i++) {
		unsigned at = i * bits, word = from[at / 8];

		if (at % 8 + bits > 8)
			word |= (unsigned)from[at / 8 + 1] << 8;
		to[i] = (uint8_t)(word >> at % 8 & ((1u << bits) - 1));
	}
}

static unsigned packed_bits(union sg_matrix matrix)
{
	return matrix.a == SG_MATRIX_E2M1 ? 4 : matrix.a == SG_MATRIX_E2M3 ? 6 : 8;
}

/* Turned, a matrix of 16 rows is two registers: its columns 0 to 7, and 8 to 15. */
static void load_bytes(union sg_matrix matrix, struct sg_fragments *all)
{
	uint8_t rows[SG_WARP_SIZE][ROW_BYTES] = {{0}};

	for (unsigned row = 0; row < SG_WARP_SIZE; row++)
		if (row_at(all, row))
			unpack_row(row_at(all, row), packed_bits(matrix), rows[row]);
	for (unsigned i = 0; i < SG_WARP_SIZE / SIDE; i++) {
		uint8_t *to = (uint8_t *)all->words[i];

		for (unsigned at = 0; at < SIDE * ROW_BYTES; at++) {
			unsigned row = at / ROW_BYTES, column = at % ROW_BYTES;

			to[at] = matrix.trans ? rows[i / 2 * ROW_BYTES + column][i % 2 * SIDE + row]
					      : rows[i * SIDE + row][column];
		}
	}
}

/* A register is a matrix of 16 rows and 8 columns, of which a lane has two pairs, 8 rows apart; its
 * columns become rows of memory. */
static void store_bytes(const struct sg_fragments *all)
{
	for (unsigned row = 0; row < SG_WARP_SIZE; row++) {
		const uint8_t *from = (const uint8_t *)all->words[row / SIDE];
		unsigned column = row % SIDE;
		uint8_t *to = row_at(all, row);

		for (unsigned i = 0; to && i < ROW_BYTES; i++)
			to[i] =
			    from[i % SIDE * ROW_BYTES + column / 2 * 4 + column % 2 + i / SIDE * 2];
	}
}

/* ---- both ---- */

void matrix_load_rows(union sg_matrix matrix, struct sg_fragments *all)
{
	if (matrix.a != SG_MATRIX_F16) {
		load_bytes(matrix, all);
		return;
	}
	for (unsigned i = 0; i < SG_WARP_SIZE / SIDE; i++) {
		square rows = {{0}};

		for (unsigned row = 0; row < SIDE; row++) {
			const uint8_t *from = row_at(all, i * SIDE + row);

			if (from)
				memcpy(rows[row], from, sizeof(rows[row]));
		}
		if (matrix.trans)
			turn(rows, all->words[i]);
		else
			memcpy(all->words[i], rows, sizeof(rows));
	}
}

void matrix_store_rows(union sg_matrix matrix, const struct sg_fragments *all)
{
	if (matrix.a != SG_MATRIX_F16) {
		store_bytes(all);
		return;
	}
	for (unsigned i = 0; i < SG_WARP_SIZE / SIDE; i++) {
		square rows;

		if (matrix.trans)
			turn(all->words[i], rows);
		else
			memcpy(rows, all->words[i], sizeof(rows));
		for (unsigned row = 0; row < SIDE; row++) {
			uint8_t *to = row_at(all, i * SIDE + row);

			if (to)
				memcpy(to, rows[row], sizeof(rows[row]));
		}
	}
}

void matrix_transpose(struct sg_fragments *all)
{
	square turned;

	turn(all->words[0], turned);
	memcpy(all->words[0], turned, sizeof(turned));
}

/* ---- wmma.load and wmma.store ---- */

/* How an operand lies in registers, as lines, and in memory. Elements of less than a byte are never
 * apart; of others, those of a line are neighbours in memory or those of different lines are. */
struct walk {
	unsigned lines, line; /* how many, and bytes of one */
	unsigned size;	      /* of an element, or of a word of smaller ones */
	unsigned all;	      /* bytes of the registers, which may hold the matrix twice or more */
	uint64_t line_step, step, end; /* in memory, in bytes */
};

static struct walk plan_walk(
    union sg_matrix matrix, enum sg_matrix_operand operand, uint32_t stride, bool by_column)
{
	unsigned rows = sg_matrix_rows(matrix, operand);
	unsigned columns = sg_matrix_columns(matrix, operand);
	unsigned bits = sg_matrix_element_bits(matrix, operand);
	bool has_columns = operand == SG_MATRIX_B && bits < 8, turned = by_column != has_columns;
	unsigned lines = has_columns ? columns : rows, length = has_columns ? rows : columns;
	uint64_t ahead = (uint64_t)stride * bits / 8;
	struct walk walk = {
	    .lines = lines,
	    .line = length * bits / 8,
	    .size = MAX(bits / 8, 1u),
	    .all = sg_matrix_words(matrix, operand) * SG_WARP_SIZE * 4,
	};

	walk.line_step = turned ? walk.size : ahead;
	walk.step = turned ? ahead : walk.size;
	walk.end =
	    turned ? (length - 1) * ahead + lines * walk.size : (lines - 1) * ahead + walk.line;
	return walk;
}

static inline __attribute__((always_inline)) void copy_apart(
    uint8_t *to, uint64_t to_step, const uint8_t *from, uint64_t from_step, size_t size, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		memcpy(to + i * to_step, from + i * from_step, size);
}

/* n elements of size bytes, each a step behind the last. */
static void copy_elements(uint8_t *to, uint64_t to_step, const uint8_t *from, uint64_t from_step,
    unsigned size, unsigned n)
{
	if (to_step == size && from_step == size && n * size % 16 == 0)
		copy_apart(to, 16, from, 16, 16, n * size / 16);
	else if (size == 1)
		copy_apart(to, to_step, from, from_step, 1, n);
	else if (size == 2)
		copy_apart(to, to_step, from, from_step, 2, n);
	else if (size == 4)
		copy_apart(to, to_step, from, from_step, 4, n);
	else
		copy_apart(to, to_step, from, from_step, 8, n);
}

/* Lines are 8 elements or a multiple long, and as many. */
static bool copy_turned(const struct walk *walk, const uint8_t *from, uint8_t *to)
{
	void (*transpose)(const void *, size_t, void *, size_t) =
	    walk->size == 1   ? bytes_transpose
	    : walk->size == 2 ? halves_transpose
	    : walk->size == 4 ? words_transpose
			      : NULL;
	size_t size = walk->size;

	if (!transpose || walk->step == size)
		return false;
	for (unsigned i = 0; i < walk->lines; i += SIDE)
		for (unsigned k = 0; k < walk->line / size; k += SIDE)
			transpose(from + i * size + k * walk->step, walk->step,
			    to + i * (size_t)walk->line + k * size, walk->line);
	return true;
}

void sg_warp_wmma_load(struct sg_lane *lane, uint32_t bits, uint32_t operand, uint64_t base,
    uint32_t stride, uint32_t by_column, uint32_t is_shared, struct sg_fragments *all)
{
	struct walk walk = plan_walk(
	    (union sg_matrix){.bits = bits}, (enum sg_matrix_operand)operand, stride, by_column);
	const uint8_t *memory = fault_check_range(lane, base, walk.end, is_shared, false);
	uint8_t *to = (uint8_t *)all->words;
	unsigned bytes = walk.lines * walk.line;
	bool is_turned = copy_turned(&walk, memory, to);

	for (unsigned i = 0; i < walk.lines && !is_turned; i++)
		copy_elements(to + i * walk.line, walk.size, memory + i * walk.line_step, walk.step,
		    walk.size, walk.line / walk.size);
	for (unsigned done = bytes; done < walk.all; done += bytes)
		memcpy(to + done, to, bytes);
}

void sg_warp_wmma_store(struct sg_lane *lane, uint32_t bits, uint64_t base, uint32_t stride,
    uint32_t by_column, uint32_t is_shared, const struct sg_fragments *all)
{
	struct walk walk =
	    plan_walk((union sg_matrix){.bits = bits}, SG_MATRIX_D, stride, by_column);
	uint8_t *memory = fault_check_range(lane, base, walk.end, is_shared, true);
	const uint8_t *from = (const uint8_t *)all->words;

	for (unsigned i = 0; i < walk.lines; i++)
		copy_elements(memory + i * walk.line_step, walk.step, from + i * walk.line,
		    walk.size, walk.size, walk.line / walk.size);
}

/* Register number of a lane, 4 or 8 bytes: where it is in memory, and how many elements follow. */
static uint64_t register_place(
    const struct walk *walk, unsigned number, unsigned lane, unsigned *elements)
{
	unsigned width = MAX(walk->size, 4u), bytes = walk->lines * walk->line;
	unsigned at = (number * SG_WARP_SIZE + lane) * width % bytes;

	*elements = width / walk->size;
	return at / walk->line * walk->line_step + at % walk->line / walk->size * walk->step;
}

void sg_wmma_load(struct sg_lane *lane, uint32_t bits, uint32_t operand, uint64_t base,
    uint32_t stride, uint32_t by_column, uint32_t is_shared, uint32_t *words)
{
	struct walk walk = plan_walk(
	    (union sg_matrix){.bits = bits}, (enum sg_matrix_operand)operand, stride, by_column);
	const uint8_t *memory = fault_check_range(lane, base, walk.end, is_shared, false);
	unsigned width = MAX(walk.size, 4u), n;

	for (unsigned i = 0; i < walk.all / SG_WARP_SIZE / width; i++) {
		uint64_t from = register_place(&walk, i, lane->lane_id, &n);

		copy_elements((uint8_t *)words + i * width, walk.size, memory + from, walk.step,
		    walk.size, n);
	}
}

void sg_wmma_store(struct sg_lane *lane, uint32_t bits, uint64_t base, uint32_t stride,
    uint32_t by_column, uint32_t is_shared, const uint32_t *words)
{
	struct walk walk =
	    plan_walk((union sg_matrix){.bits = bits}, SG_MATRIX_D, stride, by_column);
	uint8_t *memory = fault_check_range(lane, base, walk.end, is_shared, true);
	unsigned width = MAX(walk.size, 4u), n;

	for (unsigned i = 0; i < walk.all / SG_WARP_SIZE / width; i++) {
		uint64_t to = register_place(&walk, i, lane->lane_id, &n);

		copy_elements(memory + to, walk.step, (const uint8_t *)words + i * width, walk.size,
		    walk.size, n);
	}
}
