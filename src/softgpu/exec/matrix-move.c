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
	static const uint16_t nothing[SIDE];

	if (matrix.a != SG_MATRIX_F16) {
		load_bytes(matrix, all);
		return;
	}
	for (unsigned i = 0; i < SG_WARP_SIZE / SIDE; i++) {
		square rows, *to = matrix.trans ? &rows : (square *)all->words[i];

		for (unsigned row = 0; row < SIDE; row++) {
			const void *from = row_at(all, i * SIDE + row);

			memcpy((*to)[row], from ?: nothing, sizeof((*to)[row]));
		}
		if (matrix.trans)
			turn(rows, all->words[i]);
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

/* In memory, in bytes. */
struct walk {
	unsigned lines, line, size; /* size: of an element, or a byte of smaller ones */
	uint64_t line_step, step, end;
};

static struct walk plan_walk(union sg_lines form, uint32_t stride)
{
	uint64_t ahead = (uint64_t)stride * form.element / 8;
	unsigned size = MAX(form.element / 8, 1u);

	if (form.turned)
		return (struct walk){form.lines, form.line, size, size, ahead,
		    (form.line / size - 1) * ahead + form.lines * size};
	return (struct walk){
	    form.lines, form.line, size, ahead, size, (form.lines - 1) * ahead + form.line};
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
	if (size == 1)
		copy_apart(to, to_step, from, from_step, 1, n);
	else if (size == 2)
		copy_apart(to, to_step, from, from_step, 2, n);
	else if (size == 4)
		copy_apart(to, to_step, from, from_step, 4, n);
	else
		copy_apart(to, to_step, from, from_step, 8, n);
}

/* Lines of elements that are neighbours on both sides: 8 to 128 bytes. */
static void copy_lines(uint8_t *to, uint64_t to_step, const uint8_t *from, uint64_t from_step,
    unsigned line, unsigned n)
{
	if (line == 8)
		copy_apart(to, to_step, from, from_step, 8, n);
	else if (line == 16)
		copy_apart(to, to_step, from, from_step, 16, n);
	else if (line == 32)
		copy_apart(to, to_step, from, from_step, 32, n);
	else if (line == 64)
		copy_apart(to, to_step, from, from_step, 64, n);
	else
		copy_apart(to, to_step, from, from_step, 128, n);
}

/* Lines are 8 elements or a multiple long, and as many. */
static bool load_turned(const struct walk *walk, const uint8_t *from, uint8_t *to)
{
	void (*transpose)(const void *, size_t, void *, size_t) =
	    walk->size == 1   ? bytes_transpose
	    : walk->size == 2 ? halves_transpose
	    : walk->size == 4 ? words_transpose
			      : NULL;
	size_t size = walk->size;

	if (!transpose)
		return false;
	for (unsigned i = 0; i < walk->lines; i += SIDE)
		for (unsigned k = 0; k < walk->line / size; k += SIDE)
			transpose(from + i * size + k * walk->step, walk->step,
			    to + i * (size_t)walk->line + k * size, walk->line);
	return true;
}

void sg_warp_wmma_load(
    struct sg_lane *lane, uint32_t bits, uint64_t base, uint32_t stride, struct sg_fragments *all)
{
	union sg_lines form = {.bits = bits};
	struct walk walk = plan_walk(form, stride);
	const uint8_t *memory = fault_check_range(lane, base, walk.end, form.is_shared, false);
	uint8_t *to = (uint8_t *)all->words;
	unsigned bytes = walk.lines * walk.line;

	if (!form.turned)
		copy_lines(to, walk.line, memory, walk.line_step, walk.line, walk.lines);
	else if (!load_turned(&walk, memory, to))
		for (unsigned i = 0; i < walk.lines; i++)
			copy_elements(to + i * walk.line, walk.size, memory + i * walk.line_step,
			    walk.step, walk.size, walk.line / walk.size);
	for (unsigned done = bytes; done < form.registers * sizeof(*all->words); done += bytes)
		memcpy(to + done, to, bytes);
}

void sg_warp_wmma_store(struct sg_lane *lane, uint32_t bits, uint64_t base, uint32_t stride,
    const struct sg_fragments *all)
{
	union sg_lines form = {.bits = bits};
	struct walk walk = plan_walk(form, stride);
	uint8_t *memory = fault_check_range(lane, base, walk.end, form.is_shared, true);
	const uint8_t *from = (const uint8_t *)all->words;

	if (!form.turned)
		copy_lines(memory, walk.line_step, from, walk.line, walk.line, walk.lines);
	else
		for (unsigned i = 0; i < walk.lines; i++)
			copy_elements(memory + i * walk.line_step, walk.step, from + i * walk.line,
			    walk.size, walk.size, walk.line / walk.size);
}

/* A lane's register, of 4 or 8 bytes: where it is in memory. */
static uint64_t register_place(const struct walk *walk, unsigned width, unsigned number)
{
	unsigned at = number * width % (walk->lines * walk->line);

	return at / walk->line * walk->line_step + at % walk->line / walk->size * walk->step;
}

void sg_wmma_load(
    struct sg_lane *lane, uint32_t bits, uint64_t base, uint32_t stride, uint32_t *words)
{
	union sg_lines form = {.bits = bits};
	struct walk walk = plan_walk(form, stride);
	const uint8_t *memory = fault_check_range(lane, base, walk.end, form.is_shared, false);
	unsigned width = MAX(walk.size, 4u);

	for (unsigned i = 0; i < form.registers * 4 / width; i++)
		copy_elements((uint8_t *)words + i * width, walk.size,
		    memory + register_place(&walk, width, i * SG_WARP_SIZE + lane->lane_id),
		    walk.step, walk.size, width / walk.size);
}

void sg_wmma_store(
    struct sg_lane *lane, uint32_t bits, uint64_t base, uint32_t stride, const uint32_t *words)
{
	union sg_lines form = {.bits = bits};
	struct walk walk = plan_walk(form, stride);
	uint8_t *memory = fault_check_range(lane, base, walk.end, form.is_shared, true);
	unsigned width = MAX(walk.size, 4u);

	for (unsigned i = 0; i < form.registers * 4 / width; i++)
		copy_elements(
		    memory + register_place(&walk, width, i * SG_WARP_SIZE + lane->lane_id),
		    walk.step, (const uint8_t *)words + i * width, walk.size, walk.size,
		    width / walk.size);
}
