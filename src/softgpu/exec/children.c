/*
 * The device runtime: kernels that launch kernels.
 *
 * A kernel asks for a parameter buffer (an address in device memory it fills in) and launches it
 * into a stream. The runtime promises that children run before their parent counts as complete, in
 * order within a stream, and those of the tail stream last; it never promised that they run beside
 * it. So what a grid launches, copies and fills is noted, and done when its own blocks have ended,
 * in the order asked for, by the thread that launched it; the grandchildren of a child come before
 * its next sibling. With one order for all, streams and events have nothing left to do.
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

static int move_fault(const struct sg_grid *parent, uint64_t address, struct sg_fault *fault)
{
	*fault = (struct sg_fault){.kind = SG_FAULT_ILLEGAL_ADDRESS,
	    .address = address,
	    .kernel = parent->kernel->info.name};
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

static int run_move(
    const struct sg_grid *parent, const struct sg_child *child, struct sg_fault *fault)
{
	static const uint64_t piece = 64 << 10;
	bool is_copy = child->kind == CHILD_COPY, worked = true;
	void *pattern = is_copy ? NULL : malloc(piece);

	if (!is_device_memory(child->to, child->size) ||
	    (is_copy && !is_device_memory(child->from, child->size)) || (!is_copy && !pattern)) {
		free(pattern);
		return move_fault(parent, child->to, fault);
	}
	if (pattern)
		memset(pattern, child->value, piece);
	for (uint64_t done = 0; worked && done < child->size; done += piece)
		worked =
		    copy_guarded(child->to + done, is_copy ? child->from + done : (uint64_t)pattern,
			MIN(piece, child->size - done));
	free(pattern);
	return worked ? 0 : move_fault(parent, child->to, fault);
}

static int run_child(const struct sg_grid *parent, struct sg_child *child, struct sg_fault *fault)
{
	const struct sg_launch *outer = parent->launch;

	if (!child->submitted)
		return 0;
	if (child->kind != CHILD_LAUNCH)
		return run_move(parent, child, fault);
	child->launch.params = (const void *)child->to;
	child->launch.printf_sink = outer->printf_sink;
	child->launch.printf_context = outer->printf_context;
	child->launch.stop = outer->stop;
	return sg_launch(child->kernel, &child->launch, fault);
}

static struct sg_child *in_order(struct sg_child *newest)
{
	struct sg_child *first = NULL;

	while (newest) {
		struct sg_child *next = newest->next;

		newest->next = first;
		first = newest;
		newest = next;
	}
	return first;
}

int children_run(struct sg_grid *parent, struct sg_fault *fault)
{
	struct sg_child *children = in_order(parent->children);
	int r = 0;

	parent->children = children;
	for (int tail = 0; tail < 2 && !r; tail++)
		for (struct sg_child *child = children; child && !r; child = child->next)
			if (child->is_tail == tail)
				r = run_child(parent, child, fault);
	return r;
}

void children_free(struct sg_grid *parent)
{
	const struct sg_memory_ops *memory = &parent->kernel->module->memory;

	while (parent->children) {
		struct sg_child *child = parent->children;

		parent->children = child->next;
		free(child);
	}
	while (parent->chunks) {
		struct sg_chunk *chunk = parent->chunks;

		parent->chunks = chunk->next;
		memory->free(memory->context, chunk->address, chunk->size);
		free(chunk);
	}
}
