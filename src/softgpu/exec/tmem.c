/*
 * Tensor memory (PTX ISA 9.7.16): allocation, and moving data between it, registers and shared
 * memory.
 *
 * Each resident block has all of it for itself, as on a multiprocessor that holds one block. A
 * machine keeps what its blocks have touched for the next ones, as it keeps stacks.
 *
 * Of a warp that does not run in step each lane does its part of the warp's instructions; that all
 * have come is what an exchange before them makes sure of, and another one where the program waits.
 * Of an address's lane only the place in a warp's quarter counts for loads and stores: warp w
 * reaches lanes 32 (w % 4) on.
 */
#include "softgpu/exec/tmem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "softgpu/exec/entries.h"
#include "softgpu/exec/multiply.h"

#define QUARTER	     32u
#define POISON	     0x7fffbaadu
#define COPY_COLUMNS 4u /* that 16 bytes take */

/* ---- blocks and their memory ---- */

_Noreturn void tmem_refuse(struct sg_lane *lane)
{
	machine_fault(lane, SG_FAULT_ILLEGAL_INSTRUCTION, 0, false);
}

static struct sg_tmem *tmem_of(struct sg_lane *lane, struct sg_block *block)
{
	struct sg_machine *machine = block->machine;
	struct sg_tmem **at = &machine->tensor_memory[block - machine->blocks];

	if (!*at)
		*at = calloc(1, sizeof(**at));
	if (!*at)
		machine_fault(lane, SG_FAULT_NOT_STARTED, 0, false);
	return *at;
}

void tmem_block_begin(struct sg_block *block)
{
	struct sg_machine *machine = block->machine;
	struct sg_tmem *tmem = machine->tensor_memory[block - machine->blocks];

	if (tmem)
		memset(tmem, 0, offsetof(struct sg_tmem, cells));
}

void tmem_blocks(struct sg_lane *lane, bool pair, struct sg_block *blocks[2])
{
	struct sg_block *own = lane->block;
	bool is_odd = own->rank % 2;

	blocks[0] = own - (pair && is_odd);
	blocks[1] = pair ? blocks[0] + 1 : NULL;
	if (pair && (own->rank | 1) >= own->machine->grid->together)
		tmem_refuse(lane);
}

static uint32_t units(uint32_t first, uint32_t count)
{
	return ((1u << count) - 1) << first;
}

struct sg_tmem *tmem_check(
    struct sg_lane *lane, struct sg_block *block, uint32_t column, uint32_t count, bool is_write)
{
	struct sg_tmem *tmem = tmem_of(lane, block);
	uint32_t first = column / TMEM_UNIT, wanted;

	if (column >= SG_TMEM_COLUMNS || count > SG_TMEM_COLUMNS - column)
		machine_fault(lane, SG_FAULT_TENSOR_MEMORY, column, is_write);
	wanted = units(first, (column + count - 1) / TMEM_UNIT - first + 1);
	if ((tmem->used & wanted) != wanted)
		machine_fault(lane, SG_FAULT_TENSOR_MEMORY, column, is_write);
	return tmem;
}

const uint8_t *tmem_shared(
    struct sg_lane *lane, const struct sg_block *block, uint64_t offset, uint64_t size)
{
	if (block == lane->block)
		return fault_check_range(lane, offset, size, true, false);
	return cluster_range(lane, SG_CLUSTER_ADDRESS(block->rank, offset), size, false);
}

struct shared_matrix tmem_matrix_of(struct sg_lane *lane, uint64_t descriptor)
{
	/* 128 bytes by 32, 128, 64, 32 bytes; 0 is none. */
	static const uint8_t widths[8] = {SG_PIECE_BYTES, 128, 128, 0, 64, 0, 32, 0};
	struct shared_matrix matrix = shared_matrix_of(descriptor);
	unsigned mode = descriptor >> 61;

	matrix.goes_on = descriptor >> 52 & 1;
	if (!widths[mode] || (matrix.goes_on && (mode != 2 || matrix.base)))
		tmem_refuse(lane);
	shared_matrix_swizzle(&matrix, widths[mode]);
	if (mode == 1) {
		matrix.swizzle = 3;
		matrix.atom = 5;
		matrix.rows = 4;
	}
	return matrix;
}

/* ---- allocation ---- */

static void wait_for(struct sg_lane *lane, struct sg_tmem *tmem)
{
	lane->fiber->next = tmem->waiting;
	tmem->waiting = lane->fiber;
	machine_wait(lane->fiber);
}

static void wake_all(struct sg_tmem *tmem)
{
	struct sg_fiber *waiting = tmem->waiting, *next;

	tmem->waiting = NULL;
	for (; waiting; waiting = next) {
		next = waiting->next;
		machine_wake(waiting);
	}
}

/* All lanes of the warp have come; whether this one does what is to be done once. */
static bool meet(struct sg_lane *lane)
{
	return sg_exchange(lane, SG_EXCHANGE_ELECT, UINT32_MAX, 0, 0, 0) >> 32;
}

static void meet_again(struct sg_lane *lane)
{
	sg_exchange(lane, SG_EXCHANGE_SYNC, UINT32_MAX, 0, 0, 0);
}

static bool is_size(uint32_t columns)
{
	return columns >= TMEM_UNIT && columns <= SG_TMEM_COLUMNS && !(columns & (columns - 1));
}

static void clear(struct sg_lane *lane, struct sg_tmem *tmem, uint32_t column, uint32_t columns)
{
	uint32_t value = lane->block->machine->check ? POISON : 0;

	for (unsigned row = 0; row < SG_TMEM_LANES; row++)
		for (uint32_t i = column; i < column + columns; i++)
			tmem->cells[row][i] = value;
}

/* The first columns that are free together. */
static bool take(struct sg_lane *lane, struct sg_tmem *tmem, uint32_t columns, uint32_t *column)
{
	uint32_t count = columns / TMEM_UNIT;

	for (uint32_t first = 0; first + count <= TMEM_UNITS; first++) {
		uint32_t wanted = units(first, count);

		if (tmem->used & wanted)
			continue;
		tmem->used |= wanted;
		tmem->lengths[first] = (uint8_t)count;
		*column = first * TMEM_UNIT;
		clear(lane, tmem, *column, columns);
		return true;
	}
	return false;
}

/* Both blocks do the same, and go on when both have. */
static void wait_for_other(struct sg_lane *lane, struct sg_tmem *own)
{
	struct sg_block *blocks[2];
	struct sg_tmem *other;

	tmem_blocks(lane, true, blocks);
	other = tmem_of(lane, blocks[blocks[0] == lane->block]);
	own->pairs++;
	wake_all(other);
	while ((int32_t)(other->pairs - own->pairs) < 0)
		wait_for(lane, own);
}

void sg_warp_tmem_alloc(struct sg_lane *lane, uint32_t *to, uint32_t columns, uint32_t pair)
{
	struct sg_tmem *tmem = tmem_of(lane, lane->block);
	uint32_t column;

	if (!is_size(columns) || tmem->relinquished)
		tmem_refuse(lane);
	while (!take(lane, tmem, columns, &column))
		wait_for(lane, tmem);
	*to = column;
	if (pair)
		wait_for_other(lane, tmem);
}

void sg_tmem_alloc(struct sg_lane *lane, uint32_t *to, uint32_t columns, uint32_t pair)
{
	if (meet(lane))
		sg_warp_tmem_alloc(lane, to, columns, pair);
	meet_again(lane);
}

void sg_warp_tmem_free(struct sg_lane *lane, uint32_t address, uint32_t columns)
{
	struct sg_tmem *tmem = tmem_of(lane, lane->block);
	uint32_t first = address / TMEM_UNIT;

	if (!is_size(columns) || address % TMEM_UNIT)
		tmem_refuse(lane);
	if (first >= TMEM_UNITS || tmem->lengths[first] != columns / TMEM_UNIT)
		machine_fault(lane, SG_FAULT_TENSOR_MEMORY, address, true);
	tmem->used &= (uint16_t)~units(first, tmem->lengths[first]);
	tmem->lengths[first] = 0;
	wake_all(tmem);
}

void sg_tmem_free(struct sg_lane *lane, uint32_t address, uint32_t columns)
{
	if (meet(lane))
		sg_warp_tmem_free(lane, address, columns);
	meet_again(lane);
}

void sg_warp_tmem_relinquish(struct sg_lane *lane)
{
	tmem_of(lane, lane->block)->relinquished = true;
}

void sg_tmem_relinquish(struct sg_lane *lane)
{
	if (meet(lane))
		sg_warp_tmem_relinquish(lane);
	meet_again(lane);
}

/* ---- registers ---- */

struct place {
	uint32_t row, column;
};

/* Where a thread's word i is, in words of the registers. */
static struct place locate(
    enum sg_tmem_shape shape, uint32_t thread, uint32_t i, uint32_t width, uint32_t second)
{
	switch (shape) {
	case SG_TMEM_32X32:
		return (struct place){thread, i * width};
	case SG_TMEM_16X64:
		return (struct place){
		    thread / 4 + 8 * (thread & 1), ((thread >> 1 & 1) + 2 * i) * width};
	case SG_TMEM_16X128:
		return (struct place){
		    thread / 4 + 8 * (i & 1), (thread % 4 + 4 * (i >> 1)) * width};
	case SG_TMEM_16X256:
		return (struct place){thread / 4 + 8 * (i >> 1 & 1),
		    ((i & 1) + 2 * (thread % 4) + 8 * (i >> 2)) * width};
	default:
		return (struct place){thread % 16, i * width + thread / 16 * second};
	}
}

struct move {
	union sg_tmem_move form;
	struct sg_tmem *tmem;
	uint32_t row, column, width, second; /* width: columns of a word */
};

/* All lanes have come. Makes sure that the columns are there. */
static struct move begin(
    struct sg_lane *lane, uint32_t bits, uint32_t address, uint32_t second, bool is_write)
{
	static const uint8_t columns[] = {1, 2, 4, 8, 1};
	union sg_tmem_move form = {.bits = bits};
	uint32_t width = form.packed ? 2 : 1, row = tmem_lane(address) % QUARTER;
	uint32_t count = columns[form.shape] * form.repeat * width;

	if (form.shape == SG_TMEM_32X32 ? row : row % 16)
		tmem_refuse(lane);
	if (form.shape == SG_TMEM_16X32X2)
		tmem_check(lane, lane->block, tmem_column(address) + second, count, is_write);
	return (struct move){
	    .form = form,
	    .tmem = tmem_check(lane, lane->block, tmem_column(address), count, is_write),
	    .row = lane->warp_id % 4 * QUARTER + row,
	    .column = tmem_column(address),
	    .width = width,
	    .second = second,
	};
}

static uint32_t *cell_of(const struct move *move, uint32_t thread, uint32_t i)
{
	struct place place =
	    locate((enum sg_tmem_shape)move->form.shape, thread, i, move->width, move->second);

	return &move->tmem->cells[move->row + place.row][move->column + place.column];
}

static bool is_better(union sg_tmem_move form, uint32_t value, uint32_t best)
{
	bool max = form.flags & SG_REDUX_MAX;

	if (form.reduction == SG_TMEM_S32)
		return max ? (int32_t)value > (int32_t)best : (int32_t)value < (int32_t)best;
	return max ? value > best : value < best;
}

/* NaNs count only where the flags say so, or where there is nothing else. */
static uint32_t reduce_floats(union sg_tmem_move form, const uint32_t *words, uint32_t n)
{
	float best = NAN, value;
	uint32_t bits;

	for (uint32_t i = 0; i < n; i++) {
		memcpy(&value, &words[i], sizeof(value));
		if (form.flags & SG_REDUX_ABS)
			value = fabsf(value);
		if (isnan(value) && form.flags & SG_REDUX_NAN)
			return SG_NAN_F32;
		if (isnan(best) || (form.flags & SG_REDUX_MAX ? value > best : value < best) ||
		    (value == best && !signbit(value) == !!(form.flags & SG_REDUX_MAX)))
			best = value;
	}
	memcpy(&bits, &best, sizeof(bits));
	return isnan(best) ? SG_NAN_F32 : bits;
}

static uint32_t reduce(union sg_tmem_move form, const uint32_t *words, uint32_t n)
{
	uint32_t best = words[0];

	if (form.reduction == SG_TMEM_F32)
		return reduce_floats(form, words, n);
	for (uint32_t i = 1; i < n; i++)
		if (is_better(form, words[i], best))
			best = words[i];
	return best;
}

static uint32_t load_word(const struct move *move, uint32_t thread, uint32_t i)
{
	const uint32_t *cell = cell_of(move, thread, i);

	return move->form.packed ? (cell[0] & 0xffff) | cell[1] << 16 : *cell;
}

static void store_word(const struct move *move, uint32_t thread, uint32_t i, uint32_t word)
{
	uint32_t *cell = cell_of(move, thread, i);

	cell[0] = move->form.packed ? word & 0xffff : word;
	if (move->form.packed)
		cell[1] = word >> 16;
}

void sg_tmem_load(
    struct sg_lane *lane, uint32_t bits, uint32_t address, uint32_t second, uint32_t *words)
{
	struct move move;
	uint32_t n;

	meet_again(lane);
	move = begin(lane, bits, address, second, false);
	n = sg_tmem_words(move.form);
	for (uint32_t i = 0; i < n; i++)
		words[i] = load_word(&move, lane->lane_id, i);
	if (move.form.reduction)
		words[SG_TMEM_WORDS] = reduce(move.form, words, n);
}

void sg_tmem_store(
    struct sg_lane *lane, uint32_t bits, uint32_t address, uint32_t second, const uint32_t *words)
{
	struct move move;

	meet_again(lane);
	move = begin(lane, bits, address, second, true);
	for (uint32_t i = 0; i < sg_tmem_words(move.form); i++)
		store_word(&move, lane->lane_id, i, words[i]);
}

/* A thread's words are neighbours in tensor memory: 8 threads' are transposed at a time. */
static uint32_t load_squares(const struct move *move, uint32_t n, uint32_t words[][SG_WARP_SIZE])
{
	uint32_t done = move->form.shape == SG_TMEM_32X32 && move->width == 1 ? n / 8 * 8 : 0;

	for (uint32_t thread = 0; thread < SG_WARP_SIZE; thread += 8)
		for (uint32_t i = 0; i < done; i += 8)
			words_transpose(cell_of(move, thread, i), sizeof(move->tmem->cells[0]),
			    &words[i][thread], sizeof(words[0]));
	return done;
}

void sg_warp_tmem_load(struct sg_lane *lane, uint32_t bits, uint32_t address, uint32_t second,
    uint32_t words[][SG_WARP_SIZE])
{
	struct move move = begin(lane, bits, address, second, false);
	uint32_t n = sg_tmem_words(move.form), own[SG_TMEM_WORDS];

	for (uint32_t i = load_squares(&move, n, words); i < n; i++)
		for (uint32_t thread = 0; thread < SG_WARP_SIZE; thread++)
			words[i][thread] = load_word(&move, thread, i);
	for (uint32_t thread = 0; move.form.reduction && thread < SG_WARP_SIZE; thread++) {
		for (uint32_t i = 0; i < n; i++)
			own[i] = words[i][thread];
		words[SG_TMEM_WORDS][thread] = reduce(move.form, own, n);
	}
}

void sg_warp_tmem_store(struct sg_lane *lane, uint32_t bits, uint32_t address, uint32_t second,
    const uint32_t words[][SG_WARP_SIZE], uint32_t mask)
{
	struct move move = begin(lane, bits, address, second, true);
	uint32_t n = sg_tmem_words(move.form);

	for (uint32_t thread = 0; thread < SG_WARP_SIZE; thread++)
		for (uint32_t i = 0; mask >> thread & 1 && i < n; i++)
			store_word(&move, thread, i, words[i][thread]);
}

/* ---- shared memory ---- */

/* 16 numbers of 4 or 6 bits, behind each other, get a byte each: 4 bits in its middle. */
static void widen(unsigned bits, const uint8_t *from, uint8_t to[SG_PIECE_BYTES])
{
	for (unsigned i = 0; i < SG_PIECE_BYTES; i++) {
		unsigned at = i * bits, word = from[at / 8];

		if (at / 8 + 1 < SG_PIECE_BYTES)
			word |= (unsigned)from[at / 8 + 1] << 8;
		word = word >> at % 8 & ((1u << bits) - 1);
		to[i] = (uint8_t)(bits == 4 ? word << 2 : word);
	}
}

struct copy {
	uint8_t rows, pieces; /* of 16 bytes */
	uint8_t targets;      /* lanes each row goes to */
	uint8_t upper;	      /* added to the lane of rows from 32 on */
	uint8_t apart;	      /* from one target to the next */
	uint8_t step;	      /* from one row to the next */
};

static const struct copy copies[] = {
    [SG_TMEM_COPY_128X256] = {128, 2, 1, 0, 0, 1},
    [SG_TMEM_COPY_4X256] = {4, 2, 1, 0, 0, 32},
    [SG_TMEM_COPY_128X128] = {128, 1, 1, 0, 0, 1},
    [SG_TMEM_COPY_64X128_02_13] = {64, 1, 2, 0, 64, 1},
    [SG_TMEM_COPY_64X128_01_23] = {64, 1, 2, 32, 32, 1},
    [SG_TMEM_COPY_32X128] = {32, 1, 4, 0, 32, 1},
};

static void copy_row(const struct copy *copy, struct sg_tmem *tmem, uint32_t address, uint32_t row,
    const uint8_t *bytes)
{
	uint32_t lane = tmem_lane(address) + row * copy->step + (row < QUARTER ? 0 : copy->upper);

	for (uint32_t i = 0; i < copy->targets; i++)
		memcpy(&tmem->cells[lane + i * copy->apart][tmem_column(address)], bytes,
		    SG_PIECE_BYTES);
}

static void copy_block(struct sg_lane *lane, union sg_tmem_copy form, struct sg_block *block,
    uint32_t address, const struct shared_matrix *matrix)
{
	const struct copy *copy = &copies[form.shape];
	struct sg_tmem *tmem =
	    tmem_check(lane, block, tmem_column(address), copy->pieces * COPY_COLUMNS, true);
	uint8_t wide[SG_PIECE_BYTES];

	for (uint32_t row = 0; row < copy->rows; row++)
		for (uint32_t i = 0; i < copy->pieces; i++) {
			uint64_t offset =
			    shared_matrix_offset(matrix, false, row, i * SG_PIECE_BYTES);
			const uint8_t *bytes = tmem_shared(lane, block, offset, SG_PIECE_BYTES);

			if (form.narrow) {
				widen(form.narrow, bytes, wide);
				bytes = wide;
			}
			copy_row(copy, tmem, address + i * COPY_COLUMNS, row, bytes);
		}
}

void sg_tmem_copy(struct sg_lane *lane, uint32_t bits, uint32_t address, uint64_t descriptor)
{
	union sg_tmem_copy form = {.bits = bits};
	struct shared_matrix matrix = tmem_matrix_of(lane, descriptor);
	struct sg_block *blocks[2];

	if (tmem_lane(address) >= copies[form.shape].step || matrix.goes_on)
		tmem_refuse(lane);
	tmem_blocks(lane, form.pair, blocks);
	for (unsigned i = 0; i < 2 && blocks[i]; i++)
		copy_block(lane, form, blocks[i], address, &matrix);
}

/* ---- the rest ---- */

#define SHIFT_COLUMNS 8u

/* Of a warp's lanes all but the last get what the next one has, in 32 bytes. */
static void shift_block(struct sg_lane *lane, struct sg_block *block, uint32_t address)
{
	uint32_t column = tmem_column(address), first = tmem_lane(address);
	struct sg_tmem *tmem = tmem_check(lane, block, column, SHIFT_COLUMNS, true);

	for (uint32_t row = first; row + 1 < first + QUARTER; row++)
		memcpy(&tmem->cells[row][column], &tmem->cells[row + 1][column],
		    SHIFT_COLUMNS * sizeof(uint32_t));
}

void sg_tmem_shift(struct sg_lane *lane, uint32_t address, uint32_t pair)
{
	struct sg_block *blocks[2];

	if (tmem_lane(address) % QUARTER || tmem_lane(address) >= SG_TMEM_LANES)
		tmem_refuse(lane);
	tmem_blocks(lane, pair, blocks);
	for (unsigned i = 0; i < 2 && blocks[i]; i++)
		shift_block(lane, blocks[i], address);
}

static void arrive(struct sg_lane *lane, uint64_t address)
{
	uint64_t *at = (uint64_t *)sg_cluster_pointer(lane, address, sizeof(*at), true);

	sg_mbarrier(lane, SG_MBARRIER_ARRIVE, at, 1);
}

void sg_tmem_commit(struct sg_lane *lane, uint64_t mbarrier, uint32_t mask)
{
	if (mask == SG_TMEM_COMMIT_ONE)
		arrive(lane, mbarrier);
	for (uint32_t left = mask & 0xffff; left; left &= left - 1)
		arrive(lane, sg_cluster_map(lane, mbarrier, (uint32_t)__builtin_ctz(left)));
}
