/*
 * The interpreter: what a random program should do, as plainly as it can be said. Each thread walks
 * a segment from start to end alone; then the meeting happens for all threads of the block.
 */
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "softgpu/exec/random/random.h"

struct thread {
	struct random_registers *registers;
	uint32_t *slots[2][RANDOM_SLOTS]; /* in global memory, in shared memory */
	uint32_t *cells;
	uint32_t shared[RANDOM_SLOTS];
	uint32_t loops[RANDOM_MAX_BLOCKS];
};

static unsigned class_of(char letter)
{
	return (unsigned)(strchr(RANDOM_LETTERS, letter) - RANDOM_LETTERS);
}

static uint64_t cut(uint64_t value, char letter)
{
	return letter == 'r' || letter == 'f' ? (uint32_t)value
	       : letter == 'h'		      ? (uint16_t)value
	       : letter == 'p'		      ? value & 1
					      : value;
}

static uint64_t get(
    const struct random_registers *registers, char letter, const struct random_operand *operand)
{
	uint64_t value = operand->is_constant ? operand->value
					      : registers->values[class_of(letter)][operand->reg];

	return cut(value, letter);
}

static void compute(struct random_registers *registers, const struct random_step *step)
{
	const char *classes = random_ops[step->which].classes;
	uint64_t sources[RANDOM_MAX_SOURCES] = {0};

	for (unsigned i = 0; classes[i + 1]; i++)
		sources[i] = get(registers, classes[i + 1], &step->sources[i]);
	registers->values[class_of(classes[0])][step->result] =
	    cut(random_compute(step->which, sources[0], sources[1], sources[2]), classes[0]);
}

static uint32_t call(
    const struct random_program *program, unsigned function, uint32_t a, uint32_t b)
{
	struct random_registers own = {.values = {{a, b, 5, (uint32_t)-9}}};

	for (unsigned i = 0; i < ARRAY_SIZE(program->functions[function]); i++)
		compute(&own, &program->functions[function][i]);
	return (uint32_t)own.values[RANDOM_R32][0];
}

static uint32_t reduce(unsigned operation, uint32_t cell, uint32_t value)
{
	switch (operation) {
	case 0:
		return cell + value;
	case 1:
		return MIN(cell, value);
	case 2:
		return (int32_t)cell > (int32_t)value ? cell : value;
	case 3:
		return cell & value;
	case 4:
		return cell | value;
	default:
		return cell ^ value;
	}
}

/* To the registers, or from them. */
static void move_pair(struct thread *thread, const struct random_step *step)
{
	uint32_t **slots = &thread->slots[step->is_shared][2 * step->which];
	uint64_t *r = thread->registers->values[RANDOM_R32];
	uint64_t *whole = &thread->registers->values[RANDOM_R64][step->result];

	if (step->kind == RANDOM_TAKE && step->is_whole) {
		*whole = *slots[0] | (uint64_t)*slots[1] << 32;
	} else if (step->kind == RANDOM_TAKE) {
		r[step->result] = *slots[0];
		r[step->sources[0].reg] = *slots[1];
	} else {
		*slots[0] = (uint32_t)(step->is_whole ? *whole : r[step->result]);
		*slots[1] = (uint32_t)(step->is_whole ? *whole >> 32 : r[step->sources[0].reg]);
	}
}

static void do_step(
    const struct random_program *program, struct thread *thread, const struct random_step *step)
{
	uint64_t *r = thread->registers->values[RANDOM_R32];
	uint32_t **slots = thread->slots[step->is_shared];
	uint32_t first = (uint32_t)r[step->sources[0].reg],
		 second = (uint32_t)r[step->sources[1].reg];

	if (step->predicate >= 0 &&
	    (thread->registers->values[RANDOM_PRED][step->predicate] & 1) == step->is_negated)
		return;
	switch (step->kind) {
	case RANDOM_OP:
		compute(thread->registers, step);
		break;
	case RANDOM_LOAD:
		r[step->result] = *slots[first % RANDOM_SLOTS];
		break;
	case RANDOM_STORE:
		*slots[first % RANDOM_SLOTS] = second;
		break;
	case RANDOM_TAKE:
	case RANDOM_PUT:
		move_pair(thread, step);
		break;
	case RANDOM_REDUCE:
		thread->cells[step->which] =
		    reduce(step->operation, thread->cells[step->which], first);
		break;
	case RANDOM_CALL:
		r[step->result] = call(program, step->which, first, second);
	}
}

static unsigned next_block(struct thread *thread, const struct random_block *block)
{
	const struct random_registers *registers = thread->registers;

	switch (block->end) {
	case RANDOM_JUMP:
		return block->targets[0];
	case RANDOM_BRANCH:
		return block->targets[(registers->values[RANDOM_PRED][block->reg] & 1) ==
				      block->is_negated];
	case RANDOM_SWITCH:
		return block
		    ->targets[registers->values[RANDOM_R32][block->reg] % RANDOM_MAX_TARGETS];
	default:
		return block->targets[++thread->loops[block->loop] > block->turns];
	}
}

static void walk(const struct random_program *program, const struct random_segment *segment,
    struct thread *thread)
{
	unsigned at = segment->first;

	while (at < segment->first + segment->count) {
		const struct random_block *block = &program->graph[at];

		for (unsigned s = 0; s < block->count; s++)
			do_step(program, thread, &program->steps[block->first + s]);
		at = next_block(thread, block);
	}
}

/* What lane of a warp gets, whose lanes bring values. */
static uint32_t answer(
    const struct random_segment *segment, const uint32_t values[32], unsigned lane)
{
	uint32_t result = 0;

	if (segment->meeting == RANDOM_SHUFFLE)
		return values[lane ^ segment->distance];
	for (unsigned i = 0; i < 32; i++) {
		if (segment->meeting == RANDOM_SUM)
			result += values[i];
		else if (segment->meeting == RANDOM_VOTE)
			result |= (values[i] & 1) << i;
		else
			result |= (uint32_t)((values[i] & 3) == (values[lane] & 3)) << i;
	}
	return result;
}

static void meet(const struct random_segment *segment, struct thread *threads, unsigned n_threads)
{
	uint32_t values[1024];

	if (segment->meeting == RANDOM_BARRIER)
		return;
	for (unsigned t = 0; t < n_threads; t++)
		values[t] = (uint32_t)threads[t].registers->values[RANDOM_R32][segment->from];
	for (unsigned t = 0; t < n_threads; t++)
		threads[t].registers->values[RANDOM_R32][segment->to] =
		    segment->meeting == RANDOM_EXCHANGE
			? values[(t + segment->distance) % n_threads]
			: answer(segment, values + t / 32 * 32, t % 32);
}

static void run_block(const struct random_program *program, struct random_memory *memory,
    unsigned number, struct thread *threads)
{
	memset(threads, 0, program->threads * sizeof(*threads));
	for (unsigned t = 0; t < program->threads; t++) {
		threads[t].registers = &memory->registers[number * program->threads + t];
		threads[t].cells = memory->cells;
		for (unsigned i = 0; i < RANDOM_SLOTS; i++) {
			threads[t].shared[i] = i;
			threads[t].slots[0][i] =
			    random_slot(memory, number * program->threads + t, i);
			threads[t].slots[1][i] = &threads[t].shared[i];
		}
	}
	for (unsigned s = 0; s < program->n_segments; s++) {
		for (unsigned t = 0; t < program->threads; t++)
			walk(program, &program->segments[s], &threads[t]);
		meet(&program->segments[s], threads, program->threads);
	}
}

void random_run(const struct random_program *program, struct random_memory *memory)
{
	struct thread *threads = calloc(program->threads, sizeof(*threads));

	for (unsigned i = 0; threads && i < program->blocks; i++)
		run_block(program, memory, i, threads);
	free(threads);
}
