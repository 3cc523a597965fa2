/*
 * Random kernels: a program of registers, blocks and branches that can be printed as PTX and run by
 * a plain interpreter. Where the two disagree, the compiler or the machine is wrong (or the
 * interpreter is).
 *
 * A program is a list of segments. A segment is a graph of basic blocks with branches of any shape,
 * forwards and a few backwards, entered at its first block and left at its end; lanes take their
 * own ways through it. Between segments all lanes of a block meet and may exchange values. Programs
 * have one result whatever the order of the lanes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Classes of registers, and their letter in PTX. Floats never show their bits to integers, as PTX
 * says nothing of the bits of a NaN. */
enum random_class { RANDOM_R32, RANDOM_R64, RANDOM_R16, RANDOM_F32, RANDOM_F64, RANDOM_PRED };
#define RANDOM_CLASSES	 6
#define RANDOM_LETTERS	 "rdhfgp"
#define RANDOM_REGISTERS 8 /* of each class */

#define RANDOM_MAX_SOURCES  3
#define RANDOM_MAX_STEPS    768
#define RANDOM_MAX_BLOCKS   96
#define RANDOM_MAX_SEGMENTS 6
#define RANDOM_MAX_TARGETS  4
#define RANDOM_FUNCTIONS    2
#define RANDOM_CELLS	    16 /* shared by all threads of the grid, changed by reductions */
#define RANDOM_SLOTS	    8  /* words of memory that belong to one thread, in pairs */
#define RANDOM_PAIRS	    (RANDOM_SLOTS / 2)

/* An instruction: text has D for the result and A, B, C for the sources; classes names theirs. */
struct random_op {
	const char *text;
	const char *classes;
};
extern const struct random_op random_ops[];
extern const size_t random_n_ops;
uint64_t random_compute(unsigned op, uint64_t a, uint64_t b, uint64_t c);

enum random_kind {
	RANDOM_OP,
	RANDOM_LOAD,   /* r = slot of this thread, number r & 7 */
	RANDOM_STORE,  /* slot of this thread = r */
	RANDOM_TAKE,   /* r, r = pair of slots, number which; or d = both */
	RANDOM_PUT,    /* the other way */
	RANDOM_REDUCE, /* cell, number which, changed by an operation whose order does not matter */
	RANDOM_CALL,   /* r = function which (r, r) */
};

/* How an access is ordered: it changes nothing but how the compiler goes about it. */
enum random_order { RANDOM_PLAIN, RANDOM_VOLATILE, RANDOM_RELAXED, RANDOM_ORDERS };

struct random_operand {
	bool is_constant; /* of the integer classes */
	uint8_t reg;
	uint64_t value;
};

struct random_step {
	enum random_kind kind;
	unsigned which;		 /* of random_ops, cell, function, pair */
	unsigned operation;	 /* REDUCE: add min max and or xor */
	bool is_shared;		 /* LOAD, STORE, TAKE, PUT: in shared memory, else global */
	bool is_whole;		 /* TAKE, PUT: by a d */
	enum random_order order; /* TAKE, PUT */
	int predicate;		 /* register, or -1 */
	bool is_negated;
	uint8_t result;
	struct random_operand sources[RANDOM_MAX_SOURCES];
};

enum random_end { RANDOM_JUMP, RANDOM_BRANCH, RANDOM_SWITCH, RANDOM_LOOP };

struct random_block {
	unsigned first, count; /* steps */
	enum random_end end;
	uint8_t reg; /* BRANCH: a predicate; SWITCH: r & 3 chooses */
	bool is_negated;
	unsigned loop, turns; /* LOOP: back to target 0 until counter number loop reaches turns */
	/* Numbers of blocks; the segment's end is its last block + 1. BRANCH: taken, else. */
	unsigned targets[RANDOM_MAX_TARGETS];
};

/* What all lanes do at the end of a segment. */
enum random_meeting {
	RANDOM_BARRIER,	 /* of the block */
	RANDOM_EXCHANGE, /* of the block: each takes another's r through shared memory */
	RANDOM_SHUFFLE,	 /* of the warp, as the others */
	RANDOM_VOTE,
	RANDOM_SUM,
	RANDOM_MATCH,
	RANDOM_MEETINGS,
};

struct random_segment {
	unsigned first, count; /* blocks */
	enum random_meeting meeting;
	uint8_t from, to; /* registers of class r */
	unsigned distance;
};

struct random_program {
	uint64_t seed;
	unsigned threads, blocks; /* of the launch */
	struct random_step steps[RANDOM_MAX_STEPS];
	unsigned n_steps;
	struct random_block graph[RANDOM_MAX_BLOCKS];
	unsigned n_graph;
	struct random_segment segments[RANDOM_MAX_SEGMENTS];
	unsigned n_segments;
	struct random_step functions[RANDOM_FUNCTIONS]
				    [4]; /* each four steps, r0 and r1 in, r0 out */
	unsigned n_loops;
};

/* A thread's registers: what a kernel reads at its start and writes at its end. */
struct random_registers {
	uint64_t values[RANDOM_CLASSES][RANDOM_REGISTERS];
};

/* A kernel's memory, in this order: registers of all threads, slots of all threads, cells. The
 * first pair of slots of all threads lies before the second of all. */
struct random_memory {
	struct random_registers *registers;
	unsigned threads;
	uint32_t (*pairs)[2];
	uint32_t *cells;
	size_t size; /* of all */
};

static inline uint32_t *random_slot(
    const struct random_memory *memory, unsigned thread, unsigned number)
{
	return &memory->pairs[number / 2 * memory->threads + thread][number % 2];
}

uint64_t random_next(uint64_t *state);

void random_generate(uint64_t seed, struct random_program *program);

/* Parts of size bytes at base, which the program's kernel gets as its parameter. NULL: size
 * only. */
void random_lay_out(const struct random_program *program, void *base, struct random_memory *memory);
void random_fill(const struct random_program *program, struct random_memory *memory);

/* The kernel "k" as PTX. Returns its length; text is cut at capacity. */
size_t random_print(const struct random_program *program, char *text, size_t capacity);

/* What the kernel should do to its memory. */
void random_run(const struct random_program *program, struct random_memory *memory);
