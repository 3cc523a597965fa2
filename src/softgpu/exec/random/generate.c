/*
 * Making random programs. All choices come from one seed. Branches go anywhere forwards inside
 * their segment, so that the graphs have no structure; backwards ones count their turns, so that
 * every program ends. A collective instruction stands only where all lanes meet.
 */
#include <string.h>

#include "base/util.h"
#include "softgpu/exec/random/random.h"

uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

struct generator {
	struct random_program *program;
	uint64_t state;
};

static unsigned below(struct generator *generator, unsigned n)
{
	return (unsigned)(random_next(&generator->state) >> 33) % n;
}

static bool one_in(struct generator *generator, unsigned n)
{
	return !below(generator, n);
}

static uint64_t pick_constant(struct generator *generator)
{
	static const uint64_t edges[] = {0, 1, 2, 3, 5, 7, 8, 15, 16, 31, 32, 33, 63, 64, 127, 128,
	    255, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff};

	return one_in(generator, 4) ? random_next(&generator->state) >> 32
				    : edges[below(generator, ARRAY_SIZE(edges))];
}

static struct random_operand pick_operand(struct generator *generator, char letter)
{
	struct random_operand operand = {.reg = (uint8_t)below(generator, RANDOM_REGISTERS)};

	if (strchr("rdh", letter) && one_in(generator, 4)) {
		operand.is_constant = true;
		operand.value = pick_constant(generator) & (letter == 'h' ? 0x7fff : UINT32_MAX);
	}
	return operand;
}

static bool is_of_class_r(const char *classes)
{
	return strspn(classes, "r") == strlen(classes);
}

/* Functions have registers of class r alone. */
static struct random_step pick_op(struct generator *generator, bool class_r_only)
{
	struct random_step step = {.kind = RANDOM_OP, .predicate = -1};
	const char *classes;

	do {
		step.which = below(generator, (unsigned)random_n_ops);
		classes = random_ops[step.which].classes;
	} while (class_r_only && !is_of_class_r(classes));
	step.result = (uint8_t)below(generator, RANDOM_REGISTERS);
	for (unsigned i = 0; classes[i + 1]; i++)
		step.sources[i] = pick_operand(generator, classes[i + 1]);
	/* The first and those of three (fields, selectors) may not be any constant. */
	for (unsigned i = 0; i < RANDOM_MAX_SOURCES; i++)
		step.sources[i].is_constant &= i == 1 && strlen(classes) == 3;
	return step;
}

/* Several in a block go through one register: what the compiler checks in one go. */
static struct random_step pick_pair(struct generator *generator)
{
	struct random_step step = {
	    .predicate = -1,
	    .kind = one_in(generator, 2) ? RANDOM_TAKE : RANDOM_PUT,
	    .which = below(generator, RANDOM_PAIRS),
	    .is_shared = one_in(generator, 2),
	    .is_whole = one_in(generator, 2),
	    .order = one_in(generator, 2) ? RANDOM_PLAIN : below(generator, RANDOM_ORDERS),
	    .result = (uint8_t)below(generator, RANDOM_REGISTERS),
	};

	step.sources[0].reg = (uint8_t)((step.result + 1 + below(generator, RANDOM_REGISTERS - 1)) %
					RANDOM_REGISTERS);
	return step;
}

static struct random_step pick_step(struct generator *generator)
{
	struct random_step step = pick_op(generator, false);
	unsigned kind = below(generator, 16);

	if (kind < 4) {
		static const enum random_kind kinds[] = {
		    RANDOM_LOAD, RANDOM_STORE, RANDOM_REDUCE, RANDOM_CALL};

		step = (struct random_step){
		    .kind = kinds[kind],
		    .which = below(generator, kind == 2 ? RANDOM_CELLS : RANDOM_FUNCTIONS),
		    .operation = below(generator, 6),
		    .is_shared = one_in(generator, 2),
		    .result = (uint8_t)below(generator, RANDOM_REGISTERS),
		    .sources = {{.reg = (uint8_t)below(generator, RANDOM_REGISTERS)},
			{.reg = (uint8_t)below(generator, RANDOM_REGISTERS)}},
		};
		/* A cell keeps to one operation: of two the order would show. */
		if (step.kind == RANDOM_REDUCE)
			step.operation = step.which % 6;
	} else if (kind == 4) {
		step = pick_pair(generator);
	}
	step.predicate = one_in(generator, 4) ? (int)below(generator, RANDOM_REGISTERS) : -1;
	step.is_negated = one_in(generator, 2);
	return step;
}

/* Of block number at in a segment up to (not with) end: targets later in the segment, or its
 * end. */
static void pick_end(struct generator *generator, struct random_block *block, unsigned at,
    unsigned end, unsigned first)
{
	unsigned kind = below(generator, 8);

	block->reg = (uint8_t)below(generator, RANDOM_REGISTERS);
	block->is_negated = one_in(generator, 2);
	for (unsigned i = 0; i < RANDOM_MAX_TARGETS; i++)
		block->targets[i] = at + 1 + below(generator, MIN(end - at, 5u));
	block->end = kind < 5 ? RANDOM_BRANCH : kind == 5 ? RANDOM_SWITCH : RANDOM_JUMP;
	if (kind == 7) {
		block->end = RANDOM_LOOP;
		block->targets[0] = first + below(generator, at - first + 1);
		block->targets[1] = at + 1;
		block->turns = 1 + below(generator, 4);
		block->loop = generator->program->n_loops++;
	}
}

static void make_segment(struct generator *generator)
{
	struct random_program *program = generator->program;
	struct random_segment *segment = &program->segments[program->n_segments++];
	unsigned count = 1 + below(generator, 14);

	*segment = (struct random_segment){
	    .first = program->n_graph,
	    .count = count,
	    .meeting = (enum random_meeting)below(generator, RANDOM_MEETINGS),
	    .from = (uint8_t)below(generator, RANDOM_REGISTERS),
	    .to = (uint8_t)below(generator, RANDOM_REGISTERS),
	    .distance = 1 + below(generator, 31),
	};
	for (unsigned i = 0; i < count; i++) {
		struct random_block *block = &program->graph[program->n_graph++];
		bool moves = one_in(generator, 4);

		block->first = program->n_steps;
		block->count = below(generator, 8);
		for (unsigned s = 0; s < block->count; s++)
			program->steps[program->n_steps++] =
			    moves ? pick_pair(generator) : pick_step(generator);
		pick_end(
		    generator, block, segment->first + i, segment->first + count, segment->first);
	}
}

void random_generate(uint64_t seed, struct random_program *program)
{
	static const unsigned threads[] = {32, 64, 96, 128, 256};
	struct generator generator = {.program = program, .state = seed};
	unsigned n;

	memset(program, 0, sizeof(*program));
	program->seed = seed;
	program->threads = threads[below(&generator, ARRAY_SIZE(threads))];
	program->blocks = 1 + below(&generator, 3);
	for (unsigned f = 0; f < RANDOM_FUNCTIONS; f++)
		for (unsigned s = 0; s < ARRAY_SIZE(program->functions[f]); s++) {
			struct random_step *step = &program->functions[f][s];

			*step = pick_op(&generator, true);
			step->result %= 4;
			for (unsigned i = 0; i < RANDOM_MAX_SOURCES; i++)
				step->sources[i].reg %= 4;
		}
	n = 1 + below(&generator, RANDOM_MAX_SEGMENTS);
	while (program->n_segments < n)
		make_segment(&generator);
}

/* ---- memory ---- */

void random_lay_out(const struct random_program *program, void *base, struct random_memory *memory)
{
	size_t threads = (size_t)program->threads * program->blocks;
	uint8_t *at = base;

	memory->registers = (struct random_registers *)at;
	at += threads * sizeof(struct random_registers);
	memory->threads = (unsigned)threads;
	memory->pairs = (uint32_t(*)[2])at;
	at += threads * RANDOM_PAIRS * sizeof(*memory->pairs);
	memory->cells = (uint32_t *)at;
	at += RANDOM_CELLS * sizeof(*memory->cells);
	memory->size = (size_t)(at - (uint8_t *)base);
}

static uint64_t pick_value(struct generator *generator, enum random_class class)
{
	static const uint32_t floats[] = {0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000,
	    0xff800000, 0x7fffffff, 1, 0x007fffff, 0x00800000, 0x4b800001, 0xcf000000, 0x7f7fffff,
	    0x3effffff};
	static const uint64_t doubles[] = {0, UINT64_C(1) << 63, UINT64_C(0x3ff0000000000000),
	    UINT64_C(0x7ff0000000000000), UINT64_C(0x7fffffffffffffff), 1,
	    UINT64_C(0x43e0000000000000), UINT64_C(0xc3e0000000000001),
	    UINT64_C(0x400921fb54442d18)};
	uint64_t any = random_next(&generator->state);

	switch (class) {
	case RANDOM_R32:
		return one_in(generator, 3) ? (uint32_t)pick_constant(generator) : (uint32_t)any;
	case RANDOM_R64:
		return one_in(generator, 3) ? (uint64_t)(int64_t)(int32_t)pick_constant(generator)
					    : any;
	case RANDOM_R16:
		return one_in(generator, 3) ? (uint16_t)pick_constant(generator) : (uint16_t)any;
	case RANDOM_F32:
		return one_in(generator, 3) ? floats[below(generator, ARRAY_SIZE(floats))]
					    : (any & 0x81ffffff) | 0x3e000000;
	case RANDOM_F64:
		return one_in(generator, 3)
			   ? doubles[below(generator, ARRAY_SIZE(doubles))]
			   : (any & UINT64_C(0x803fffffffffffff)) | UINT64_C(0x3fc0000000000000);
	default:
		return any & 1;
	}
}

void random_fill(const struct random_program *program, struct random_memory *memory)
{
	struct generator generator = {.state = ~program->seed};
	unsigned threads = program->threads * program->blocks;

	memset(memory->registers, 0, memory->size);
	for (unsigned t = 0; t < threads; t++) {
		for (unsigned c = 0; c < RANDOM_CLASSES; c++)
			for (unsigned r = 0; r < RANDOM_REGISTERS; r++)
				memory->registers[t].values[c][r] =
				    pick_value(&generator, (enum random_class)c);
		for (unsigned i = 0; i < RANDOM_SLOTS; i++)
			*random_slot(memory, t, i) = (uint32_t)random_next(&generator.state);
	}
}
