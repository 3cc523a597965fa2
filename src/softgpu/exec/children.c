/*
 * The device runtime: kernels that launch kernels.
 *
 * A kernel asks for a parameter buffer (an address in device memory it fills in) and launches it
 * into a stream. The runtime promises that children run before their parent counts as complete, in
 * order within a stream, and those of the tail stream last; it never promised that they run beside
 * it. So what a grid launches, copies and fills is noted, and done when its own blocks have ended,
 * in the order asked for, by the thread that launched it; the grandchildren of a child come before
 * its next sibling. With one order for all, streams and events have nothing left to do. What is
 * left to do is a list and no recursion, for chains of launches may have any length.
 *
 * The calls come from any of the grid's host threads; one lock serves them all.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "abi/error_text.h"
#include "base/clock.h"
#include "softgpu/exec/entries.h"
#include "softgpu/exec/machine.h"

#define CHUNK_SIZE   (64u << 10)
#define BUFFER_ALIGN 64u
#define MOST_PENDING (1u << 20)
#define TAIL_STREAM  3u /* cudaStreamTailLaunch */

/* cudaError_t of driver_types.h. */
enum {
	ERROR_INVALID_VALUE = 1,
	ERROR_OUT_OF_MEMORY = 2,
	ERROR_CONFIGURATION = 9,
	ERROR_PENDING = 69
};

enum child_kind { CHILD_LAUNCH, CHILD_COPY, CHILD_FILL };

struct sg_child {
	enum child_kind kind;
	bool submitted, is_tail;
	struct sg_kernel *kernel;
	struct sg_launch launch;
	uint64_t to, from, size; /* LAUNCH: to is the parameter buffer */
	int value;
	const struct sg_kernel *parent;
	struct sg_chunk *chunks; /* the last one has its parent's, until it has run */
	struct sg_child *next;
};

struct sg_chunk {
	uint64_t address, size, used;
	struct sg_chunk *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t last_handle = 16; /* of streams and events; smaller numbers name streams */

static struct sg_grid *grid_of(struct sg_lane *lane)
{
	return lane->block->machine->grid;
}

static uint32_t answer(struct sg_lane *lane, uint32_t error)
{
	if (error)
		lane->device_error = error;
	return error;
}

/* ---- noting ---- */

/* With the lock held. 0: no memory. */
static uint64_t take_buffer(struct sg_grid *grid, uint64_t size)
{
	const struct sg_memory_ops *memory = &grid->kernel->module->memory;
	struct sg_chunk *chunk = grid->chunks;

	size = align_up(MAX(size, UINT64_C(1)), BUFFER_ALIGN);
	if (!chunk || chunk->size - chunk->used < size) {
		chunk = calloc(1, sizeof(*chunk));
		if (!chunk)
			return 0;
		chunk->size = MAX(size, (uint64_t)CHUNK_SIZE);
		if (memory->alloc(memory->context, chunk->size, BUFFER_ALIGN, &chunk->address) <
		    0) {
			free(chunk);
			return 0;
		}
		chunk->next = grid->chunks;
		grid->chunks = chunk;
	}
	chunk->used += size;
	return chunk->address + chunk->used - size;
}

/* With the lock held. NULL: too many, or no memory. */
static struct sg_child *new_child(struct sg_grid *grid, enum child_kind kind)
{
	struct sg_child *child = grid->n_children < MOST_PENDING ? calloc(1, sizeof(*child)) : NULL;

	if (!child)
		return NULL;
	child->kind = kind;
	child->next = grid->children; /* the newest first, until they run */
	grid->children = child;
	grid->n_children++;
	return child;
}

static struct sg_kernel *kernel_at(const struct sg_module *module, uint64_t handle)
{
	uint64_t number = (handle - SG_FUNCTION_BASE) / 16;

	if (handle < SG_FUNCTION_BASE || handle % 16 || number >= module->n_handles)
		return NULL;
	for (size_t i = 0; i < module->n_kernels; i++)
		if (module->kernels[i].function == module->handles[number])
			return &module->kernels[i];
	return NULL;
}

void sg_builtin___cudaCDP2GetParameterBufferV2(struct sg_lane *lane, uint64_t *result,
    const uint64_t *function, const uint32_t *grid, const uint32_t *block, const uint32_t *shared)
{
	struct sg_grid *parent = grid_of(lane);
	struct sg_kernel *kernel = kernel_at(parent->kernel->module, *function);
	struct sg_child *child;
	uint64_t buffer = 0;

	*result = 0;
	if (!kernel) {
		answer(lane, ERROR_INVALID_VALUE);
		return;
	}
	pthread_mutex_lock(&lock);
	child = new_child(parent, CHILD_LAUNCH);
	if (child)
		child->to = buffer = take_buffer(parent, kernel->info.param_bytes);
	if (buffer) {
		child->kernel = kernel;
		child->launch.params_size = kernel->info.param_bytes;
		child->launch.dynamic_shared_bytes = *shared;
		memcpy(child->launch.grid, grid, sizeof(child->launch.grid));
		memcpy(child->launch.block, block, sizeof(child->launch.block));
	}
	pthread_mutex_unlock(&lock);
	*result = buffer;
	if (!buffer)
		answer(lane, child ? ERROR_OUT_OF_MEMORY : ERROR_PENDING);
}

/* Mostly the newest. */
static struct sg_child *find_buffer(const struct sg_grid *grid, uint64_t buffer)
{
	struct sg_child *child = grid->children;

	while (child && (child->kind != CHILD_LAUNCH || child->to != buffer || child->submitted))
		child = child->next;
	return buffer ? child : NULL;
}

void sg_builtin___cudaCDP2LaunchDeviceV2(
    struct sg_lane *lane, uint32_t *result, const uint64_t *buffer, const uint64_t *stream)
{
	struct sg_child *child;

	pthread_mutex_lock(&lock);
	child = find_buffer(grid_of(lane), *buffer);
	if (child && !launch_find_flaw(child->kernel, &child->launch)) {
		child->submitted = true;
		child->is_tail = *stream == TAIL_STREAM;
	} else {
		child = NULL;
	}
	pthread_mutex_unlock(&lock);
	*result = answer(lane, child ? 0 : ERROR_CONFIGURATION);
}

static uint32_t note_move(struct sg_lane *lane, struct sg_child move, uint64_t stream)
{
	struct sg_child *child;

	pthread_mutex_lock(&lock);
	child = new_child(grid_of(lane), move.kind);
	if (child) {
		move.next = child->next;
		move.submitted = true;
		move.is_tail = stream == TAIL_STREAM;
		*child = move;
	}
	pthread_mutex_unlock(&lock);
	return answer(lane, child ? 0 : ERROR_PENDING);
}

void sg_builtin___cudaCDP2MemcpyAsync(struct sg_lane *lane, uint32_t *result, const uint64_t *to,
    const uint64_t *from, const uint64_t *size, const uint32_t *kind, const uint64_t *stream)
{
	*result = note_move(lane,
	    (struct sg_child){.kind = CHILD_COPY, .to = *to, .from = *from, .size = *size},
	    *stream);
}

void sg_builtin___cudaCDP2MemsetAsync(struct sg_lane *lane, uint32_t *result, const uint64_t *to,
    const uint32_t *value, const uint64_t *size, const uint64_t *stream)
{
	*result = note_move(lane,
	    (struct sg_child){.kind = CHILD_FILL, .to = *to, .value = (int)*value, .size = *size},
	    *stream);
}

/* ---- streams, events, errors ---- */

static void new_handle(uint64_t *address)
{
	*address = __atomic_add_fetch(&last_handle, 1, __ATOMIC_RELAXED); /* any number will do */
}

static void give_handle(struct sg_lane *lane, uint32_t *result, uint64_t address)
{
	*(uint64_t *)fault_check_range(lane, address, sizeof(uint64_t), false, true) = 0;
	new_handle((uint64_t *)address);
	*result = 0;
}

void sg_builtin___cudaCDP2StreamCreateWithFlags(
    struct sg_lane *lane, uint32_t *result, const uint64_t *stream, const uint32_t *flags)
{
	give_handle(lane, result, *stream);
}

void sg_builtin___cudaCDP2EventCreateWithFlags(
    struct sg_lane *lane, uint32_t *result, const uint64_t *event, const uint32_t *flags)
{
	give_handle(lane, result, *event);
}

void sg_builtin___cudaCDP2StreamDestroy(
    struct sg_lane *lane, uint32_t *result, const uint64_t *stream)
{
	*result = 0;
}

void sg_builtin___cudaCDP2EventDestroy(
    struct sg_lane *lane, uint32_t *result, const uint64_t *event)
{
	*result = 0;
}

/* What was asked for before the event is done before what comes after it, in any stream. */
void sg_builtin___cudaCDP2EventRecord(
    struct sg_lane *lane, uint32_t *result, const uint64_t *event, const uint64_t *stream)
{
	*result = 0;
}

void sg_builtin___cudaCDP2StreamWaitEvent(struct sg_lane *lane, uint32_t *result,
    const uint64_t *stream, const uint64_t *event, const uint32_t *flags)
{
	*result = 0;
}

void sg_builtin___cudaCDP2GetLastError(struct sg_lane *lane, uint32_t *result)
{
	*result = lane->device_error;
	lane->device_error = 0;
}

void sg_builtin___cudaCDP2PeekAtLastError(struct sg_lane *lane, uint32_t *result)
{
	*result = lane->device_error;
}

void sg_builtin___cudaCDP2GetDevice(struct sg_lane *lane, uint32_t *result, const uint64_t *device)
{
	*(int *)fault_check_range(lane, *device, sizeof(int), false, true) = 0;
	*result = 0;
}

void sg_builtin___cudaCDP2GetDeviceCount(
    struct sg_lane *lane, uint32_t *result, const uint64_t *count)
{
	*(int *)fault_check_range(lane, *count, sizeof(int), false, true) = 1;
	*result = 0;
}

void sg_builtin___cudaCDP2GetErrorString(
    struct sg_lane *lane, uint64_t *result, const uint32_t *error)
{
	const char *text = abi_error_text((CUresult)*error) ?: "unrecognized error code";
	size_t size = strlen(text) + 1;

	pthread_mutex_lock(&lock);
	*result = take_buffer(grid_of(lane), size);
	pthread_mutex_unlock(&lock);
	if (*result)
		memcpy((char *)*result, text, size);
}

/* ---- memory: the same heap as malloc's and free's ---- */

void sg_builtin___cudaCDP2Malloc(
    struct sg_lane *lane, uint32_t *result, const uint64_t *address, const uint64_t *size)
{
	uint64_t *to = (uint64_t *)fault_check_range(lane, *address, sizeof(*to), false, true);

	sg_builtin_malloc(lane, to, size);
	*result = answer(lane, *to ? 0 : ERROR_OUT_OF_MEMORY);
}

void sg_builtin___cudaCDP2Free(struct sg_lane *lane, uint32_t *result, const uint64_t *address)
{
	sg_builtin_free(lane, address);
	*result = 0;
}

/* ---- doing ---- */

static void free_chunks(const struct sg_kernel *kernel, struct sg_chunk *chunks)
{
	const struct sg_memory_ops *memory = &kernel->module->memory;

	while (chunks) {
		struct sg_chunk *chunk = chunks;

		chunks = chunk->next;
		memory->free(memory->context, chunk->address, chunk->size);
		free(chunk);
	}
}

static int move_fault(const struct sg_child *child, struct sg_fault *fault)
{
	*fault = (struct sg_fault){.kind = SG_FAULT_ILLEGAL_ADDRESS,
	    .address = child->to,
	    .kernel = child->parent->info.name};
	snprintf(fault->message, sizeof(fault->message),
	    "kernel %.100s: a copy or fill that it asked for is outside device memory",
	    fault->kernel);
	return SG_FAULT_ILLEGAL_ADDRESS;
}

static bool is_device_memory(uint64_t address, uint64_t size)
{
	return address - SG_ARENA_BASE < SG_ARENA_SIZE &&
	       size <= SG_ARENA_BASE + SG_ARENA_SIZE - address;
}

/* The system copies, for it says so where there is no memory. */
static bool copy_guarded(uint64_t to, uint64_t from, uint64_t size)
{
	struct iovec target = {(void *)to, size}, source = {(void *)from, size};

	return process_vm_readv(getpid(), &target, 1, &source, 1, 0) == (ssize_t)size;
}

static int run_move(const struct sg_child *child, struct sg_fault *fault)
{
	static const uint64_t piece = 64 << 10;
	bool is_copy = child->kind == CHILD_COPY, worked = true;
	void *pattern = is_copy ? NULL : malloc(piece);

	if (!is_device_memory(child->to, child->size) ||
	    (is_copy && !is_device_memory(child->from, child->size)) || (!is_copy && !pattern)) {
		free(pattern);
		return move_fault(child, fault);
	}
	if (pattern)
		memset(pattern, child->value, piece);
	for (uint64_t done = 0; worked && done < child->size; done += piece)
		worked =
		    copy_guarded(child->to + done, is_copy ? child->from + done : (uint64_t)pattern,
			MIN(piece, child->size - done));
	free(pattern);
	return worked ? 0 : move_fault(child, fault);
}

/* What it asks for itself is left in grid. */
static int run_child(const struct sg_grid *first, struct sg_child *child, struct sg_grid *grid,
    struct sg_fault *fault)
{
	const struct sg_launch *outer = first->launch;

	if (!child->submitted)
		return 0;
	if (child->kind != CHILD_LAUNCH)
		return run_move(child, fault);
	child->launch.params = (const void *)child->to;
	child->launch.printf_sink = outer->printf_sink;
	child->launch.printf_context = outer->printf_context;
	child->launch.stop = outer->stop;
	return launch_grid(child->kernel, &child->launch, grid, fault);
}

/* Takes what a grid asked for, the tail stream's behind the rest, and puts it before what is left
 * to do. */
static void take_children(struct sg_grid *grid, struct sg_child **todo)
{
	struct sg_child *parts[2] = {NULL, NULL}, **at = todo, *rest = *todo, *last = NULL;

	while (grid->children) { /* the newest comes first */
		struct sg_child *child = grid->children;

		grid->children = child->next;
		child->parent = grid->kernel;
		child->next = parts[child->is_tail];
		parts[child->is_tail] = child;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
		for (*at = parts[i]; *at; at = &last->next)
			last = *at;
	*at = rest;
	if (last)
		last->chunks = grid->chunks;
	else
		free_chunks(grid->kernel, grid->chunks);
	grid->chunks = NULL;
}

static void child_free(struct sg_child *child)
{
	free_chunks(child->parent, child->chunks);
	free(child);
}

/* Grids that end in time, one after the other without end, are ended like one that does not. */
static bool is_over(const struct sg_grid *first, uint64_t ran_ns)
{
	const atomic_uint *stop = first->launch->stop;

	/* Relaxed: the flag is all that is passed on. */
	return (stop && atomic_load_explicit(stop, memory_order_relaxed)) ||
	       watchdog_is_over(first->kernel, ran_ns);
}

static int stop_fault(const struct sg_grid *first, struct sg_fault *fault)
{
	*fault = (struct sg_fault){.kind = SG_FAULT_STOPPED, .kernel = first->kernel->info.name};
	snprintf(fault->message, sizeof(fault->message),
	    "kernel %.100s: stopped, with launches of its own to do", fault->kernel);
	return SG_FAULT_STOPPED;
}

int children_run(struct sg_grid *first, int r, struct sg_fault *fault)
{
	struct sg_child *todo = NULL;
	uint64_t ran_ns = 0;

	take_children(first, &todo);
	while (todo) {
		struct sg_child *child = todo;
		struct sg_grid grid = {.kernel = first->kernel};

		todo = child->next;
		if (!r)
			r = is_over(first, ran_ns) ? stop_fault(first, fault)
						   : run_child(first, child, &grid, fault);
		if (grid.began_ns)
			ran_ns += clock_now_ns() - grid.began_ns;
		take_children(&grid, &todo);
		child_free(child);
	}
	return r;
}
