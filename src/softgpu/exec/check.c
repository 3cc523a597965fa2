/*
 * SOFTGPU_CHECK=1 at run time: threads of a block that race, and values that were wrongly taken to
 * be the same for a warp's threads. Checked code calls this before each access to shared and global
 * memory; barriers call it when they open.
 *
 * Each word of a block's shared memory, and the words of global memory that it touched last,
 * remember who wrote and read them. Two touches of a byte race when two threads do it, one of them
 * writes, the memory model does not order both (atomics, volatile), and nothing came between: a
 * barrier of the block, a fence or a wait for an mbarrier of any of its threads, for two threads of
 * one warp also a barrier of the warp. What came between is a number, the block's time, which is
 * never the same in two blocks of a machine: touches of older times are forgotten by comparing it.
 * A block's threads run on one host thread, so that nothing here is locked.
 *
 * So what is reported are hints: a race that a fence of some other thread happened to come between
 * is missed, as are those beyond the few threads that a word remembers. Writing what is there
 * already races with no other write, as with flags that many threads set.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "softgpu/exec/entries.h"
#include "softgpu/exec/machine.h"
#include "softgpu/mem/check.h"

#define WORD	     4u
#define TOUCHES	     4u		/* of a kind that a word remembers */
#define GLOBAL_WORDS (1u << 16) /* that a machine remembers */
#define SHARED_WORDS (SG_MAX_SHARED_BYTES / WORD)
#define MOST_PLACES  256u

struct touch {
	uint32_t line, warp_time;
	uint16_t thread;
	uint8_t bytes; /* of the word, as bits */
	bool is_strong;
};

struct touches {
	struct touch list[TOUCHES];
	uint32_t count;
};

struct word {
	uint64_t address, time;
	struct touches reads, writes;
};

struct block_times {
	uint64_t time;
	uint32_t warps[SG_MAX_BLOCK_THREADS / SG_WARP_SIZE];
	struct word *shared; /* SHARED_WORDS of them, mapped at the first need */
};

struct sg_check {
	uint64_t last_time;
	struct block_times blocks[MACHINE_MAX_BLOCKS];
	struct word *global; /* by the address, modulo their number; likewise */
};

/* One thread's access. */
struct access {
	struct sg_lane *lane;
	struct block_times *times;
	uint32_t thread, line, flags;
	bool is_shared; /* found out, whatever kind of address it was */
	bool is_silent; /* writes what is there */
};

/* ---- what is said, once per place ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t places[MOST_PLACES];
static unsigned n_places;

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 29;
}

static uint64_t place_of(const struct sg_kernel *kernel, uint32_t line, uint32_t other)
{
	uint64_t hash = mix(0, (uint64_t)line << 32 | other);

	for (const char *c = kernel->info.name; *c; c++)
		hash = mix(hash, (uint8_t)*c);
	return hash;
}

static bool is_new_place(const struct sg_kernel *kernel, uint32_t line, uint32_t other)
{
	uint64_t place = place_of(kernel, line, other);
	unsigned i = 0;

	pthread_mutex_lock(&lock);
	while (i < n_places && places[i] != place)
		i++;
	if (i == n_places && n_places < MOST_PLACES) {
		places[n_places++] = place;
		if (n_places == MOST_PLACES)
			log_warn("SOFTGPU_CHECK: that many races are enough: no more are reported");
	} else {
		i = MOST_PLACES;
	}
	pthread_mutex_unlock(&lock);
	return i < MOST_PLACES;
}

static void thread_name(const struct sg_lane *lane, uint32_t thread, char name[40])
{
	struct sg_lane one = *lane;

	lane_set_thread(&one, thread);
	snprintf(name, 40, "(%u,%u,%u)", one.tid[0], one.tid[1], one.tid[2]);
}

static void report(
    const struct access *access, uint64_t address, const struct touch *other, bool other_wrote)
{
	const struct sg_lane *lane = access->lane;
	const struct sg_kernel *kernel = lane->block->machine->grid->kernel;
	char name[40], other_name[40];

	if (!is_new_place(kernel, access->line, other->line))
		return;
	thread_name(lane, access->thread, name);
	thread_name(lane, other->thread, other_name);
	log_warn(
	    "race in kernel %s, line %u of its PTX: thread %s of block (%u,%u,%u) %s %s 0x%llx, "
	    "which thread %s %s at line %u, with no barrier between",
	    kernel->info.name, access->line, name, lane->ctaid[0], lane->ctaid[1], lane->ctaid[2],
	    access->flags & SG_CHECK_WRITE ? "writes" : "reads",
	    access->is_shared ? "shared memory at" : "address", (unsigned long long)address,
	    other_name, other_wrote ? "wrote" : "read", other->line);
}

/* ---- touches ---- */

static bool same_warp(uint32_t a, uint32_t b)
{
	return a / SG_WARP_SIZE == b / SG_WARP_SIZE;
}

static bool is_ordered(const struct access *access, const struct touch *before)
{
	return before->thread == access->thread ||
	       (before->is_strong && access->flags & SG_CHECK_STRONG) ||
	       (same_warp(before->thread, access->thread) &&
		   before->warp_time != access->times->warps[access->thread / SG_WARP_SIZE]);
}

static void compare(const struct access *access, const struct touches *touches, uint8_t bytes,
    uint64_t address, bool wrote)
{
	for (unsigned i = 0; i < touches->count; i++) {
		const struct touch *before = &touches->list[i];

		if (before->bytes & bytes && !is_ordered(access, before)) {
			report(access, address, before, wrote);
			return;
		}
	}
}

/* Takes the thread's own place, a free one, or that of a touch of the warp's that is of the past;
 * where all are taken, others have to do. */
static void remember(const struct access *access, struct touches *touches, uint8_t bytes)
{
	uint32_t now = access->times->warps[access->thread / SG_WARP_SIZE];
	struct touch touch = {access->line, now, (uint16_t)access->thread, bytes,
	    (access->flags & SG_CHECK_STRONG) != 0};

	for (unsigned i = 0; i < touches->count; i++) {
		struct touch *old = &touches->list[i];
		bool is_past = same_warp(old->thread, access->thread) && old->warp_time != now;

		if (old->thread == touch.thread && !is_past) {
			touch.bytes |= old->bytes;
			touch.is_strong &= old->is_strong;
		} else if (!is_past) {
			continue;
		}
		*old = touch;
		return;
	}
	if (touches->count < TOUCHES)
		touches->list[touches->count++] = touch;
}

static void touch_word(
    const struct access *access, struct word *word, uint64_t address, uint8_t bytes)
{
	bool is_write = access->flags & SG_CHECK_WRITE;

	if (word->time != access->times->time || word->address != address) {
		word->address = address;
		word->time = access->times->time;
		word->reads.count = word->writes.count = 0;
	}
	if (!(is_write && access->is_silent))
		compare(access, &word->writes, bytes, address, true);
	if (is_write)
		compare(access, &word->reads, bytes, address, false);
	remember(access, is_write ? &word->writes : &word->reads, bytes);
}

static struct word *map_words(size_t n)
{
	void *words = mmap(NULL, n * sizeof(struct word), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return words == MAP_FAILED ? NULL : words;
}

/* What remembers the word; NULL: no memory for it. */
static struct word *word_at(const struct access *access, uint64_t address)
{
	struct sg_check *check = access->lane->block->machine->check;

	if (access->is_shared) {
		if (!access->times->shared)
			access->times->shared = map_words(SHARED_WORDS);
		return access->times->shared ? &access->times->shared[address / WORD] : NULL;
	}
	if (!check->global)
		check->global = map_words(GLOBAL_WORDS);
	return check->global ? &check->global[address / WORD % GLOBAL_WORDS] : NULL;
}

static void touch(const struct access *access, uint64_t address, uint32_t size)
{
	for (uint64_t at = address, end = address + size; at < end;) {
		uint64_t base = at - at % WORD, stop = MIN(base + WORD, end);
		uint8_t bytes = 0;
		struct word *word = word_at(access, base);

		for (; at < stop; at++)
			bytes |= (uint8_t)(1u << (at - base));
		if (word)
			touch_word(access, word, base, bytes);
	}
}

/* False: not of memory that threads share, or an access that is about to fail. */
static bool resolve(struct access *access, uint64_t *address, uint32_t size)
{
	const struct sg_lane *lane = access->lane;
	uint64_t in_shared = *address - (uint64_t)lane->shared;

	if (*address % size)
		return false;
	access->is_shared = access->flags & SG_CHECK_SHARED;
	if (!access->is_shared && in_shared < lane->shared_size) {
		access->is_shared = true;
		*address = in_shared;
	}
	if (access->is_shared)
		return *address < lane->shared_size && size <= lane->shared_size - *address &&
		       *address + size <= SG_MAX_SHARED_BYTES;
	return sg_arena_holds(*address);
}

static struct block_times *times_of(const struct sg_block *block)
{
	struct sg_machine *machine = block->machine;

	return &machine->check->blocks[block - machine->blocks];
}

/* What is at the address, which may fault as the access would. */
static uint8_t *bytes_at(const struct access *access, uint64_t address)
{
	return access->is_shared ? access->lane->shared + address : (uint8_t *)address;
}

void sg_check_access(struct sg_lane *lane, uint64_t address, uint32_t size, uint32_t flags,
    uint32_t line, const uint8_t *data)
{
	struct access access = {.lane = lane, .thread = lane->number, .line = line, .flags = flags};

	uint32_t first = flags >> SG_CHECK_FIRST;

	if (!lane->block->machine->check || (first && lane->lane_id >= first) ||
	    !resolve(&access, &address, size))
		return;
	access.times = times_of(lane->block);
	access.is_silent = data && !memcmp(bytes_at(&access, address), data, size);
	touch(&access, address, size);
}

/* A lane's part of what all lanes write, element by element. */
static void gather(uint8_t *out, const uint8_t *data, uint32_t lane, uint32_t size, uint32_t flags)
{
	uint32_t element = flags >> SG_CHECK_ELEMENT & 0xff, lanes = flags >> SG_CHECK_LANES & 0xff;

	for (uint32_t i = 0; i < size / element; i++)
		memcpy(out + (size_t)i * element, data + ((size_t)i * lanes + lane) * element,
		    element);
}

/* What lanes write is written here already, one after the other, so that each can be compared with
 * what is there; the access itself then does the same. */
void sg_check_accesses(struct sg_lane *lane, const uint64_t *addresses, uint32_t lanes,
    uint32_t size, uint32_t flags, uint32_t line, const uint8_t *data)
{
	uint32_t first = flags >> SG_CHECK_FIRST;
	uint8_t bytes[64];

	if (!lane->block->machine->check)
		return;
	if (first)
		lanes &= UINT32_MAX >> (SG_WARP_SIZE - first);
	for (uint32_t left = lanes; left; left &= left - 1) {
		uint32_t number = (uint32_t)__builtin_ctz(left);
		uint64_t address = addresses[number];
		struct access access = {.lane = lane,
		    .times = times_of(lane->block),
		    .thread = lane->number + number,
		    .line = line,
		    .flags = flags};

		lane->current = number;
		if (!resolve(&access, &address, size))
			continue;
		if (data) {
			gather(bytes, data, number, size, flags);
			access.is_silent = !memcmp(bytes_at(&access, address), bytes, size);
		}
		touch(&access, address, size);
		if (data && !access.is_silent)
			memcpy(bytes_at(&access, address), bytes, size);
	}
}

/* ---- time ---- */

struct sg_check *check_new(void)
{
	return calloc(1, sizeof(struct sg_check));
}

void check_block_order(struct sg_block *block)
{
	times_of(block)->time = ++block->machine->check->last_time;
}

void check_warp_order(struct sg_block *block, uint32_t warp)
{
	times_of(block)->warps[warp]++;
}

/* What cooperative groups keep behind the program's shared memory starts as zero. */
void check_block_begin(struct sg_block *block)
{
	check_block_order(block);
	sg_poison(block->shared, block->machine->grid->shared_size);
}

void sg_check_order(struct sg_lane *lane)
{
	if (lane->block->machine->check)
		check_block_order(lane->block);
}

void sg_check_warp_order(struct sg_lane *lane)
{
	if (lane->block->machine->check)
		check_warp_order(lane->block, lane->warp_id);
}

void sg_check_poison(void *memory, uint64_t size)
{
	sg_poison(memory, size);
}

/* ---- values ---- */

static _Noreturn void fail(struct sg_lane *lane, uint32_t line, const char *what)
{
	char name[40];

	thread_name(lane, lane->number + lane->current, name);
	log_error(
	    "internal error of the software GPU in kernel %s, line %u of its PTX, thread %s: %s. "
	    "Please report it; SOFTGPU_LANES=1 runs the kernel without what is wrong",
	    lane->block->machine->grid->kernel->info.name, line, name, what);
	machine_fault(lane, SG_FAULT_TRAP, 0, false);
}

/* Code for rows takes a warp's threads to be neighbours in one row. */
void sg_check_rows(struct sg_lane *lane, uint32_t n, uint32_t row)
{
	for (uint32_t number = 0; number < n; number++) {
		struct sg_lane one = *lane;

		lane_set_thread(&one, lane->number + number);
		lane->current = number;
		if (one.tid[0] != lane->tid[0] + number % row ||
		    one.tid[1] != lane->tid[1] + number / row || one.tid[2] != lane->tid[2])
			fail(lane, 0, "the warp's threads are no rows of the block");
	}
}

static uint64_t value_at(const uint8_t *values, uint32_t size, uint32_t lane)
{
	uint64_t value = 0;

	memcpy(&value, values + (size_t)lane * size, MIN(size, (uint32_t)sizeof(value)));
	return value;
}

_Noreturn void sg_check_uniform(struct sg_lane *lane, uint32_t lanes, uint32_t size, uint32_t line,
    const uint8_t *own, const uint8_t *claimed)
{
	char what[160];

	lane->current = (uint32_t)__builtin_ctz(lanes);
	snprintf(what, sizeof(what),
	    "a value was derived from another thread's as 0x%llx, but is 0x%llx",
	    (unsigned long long)value_at(claimed, size, lane->current),
	    (unsigned long long)value_at(own, size, lane->current));
	fail(lane, line, what);
}
