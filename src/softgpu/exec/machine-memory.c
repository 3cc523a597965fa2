/*
 * The memory of machines, and the pool that launches borrow them from.
 *
 * Each machine has a fixed slice of the exec window:
 *
 *   guard | parameters | shared memory of up to 256 blocks | stacks with a guard page below each |
 *   one stack for threads that run one after the other
 *
 * so that parameters, shared and local memory have arena addresses and generic pointers to them
 * are plain. Nothing is committed before it is touched; stacks stay mapped for the next launch.
 *
 * The pool is under a lock, from any thread; a machine is its borrower's alone.
 */
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/util.h"
#include "softgpu/exec/machine.h"
#include "softgpu/exec/tally.h"
#include "softgpu/mem/check.h"

#define MAX_MACHINES 64u
#define SLICE_SIZE   (SG_EXEC_WINDOW_SIZE / MAX_MACHINES)
#define PAGE	     4096u

#define PARAM_OFFSET  (64u << 10)
#define SHARED_OFFSET (4u << 20)
#define STACK_OFFSET  (SHARED_OFFSET + MACHINE_MAX_BLOCKS * SG_SHARED_STRIDE + PAGE)
#define SERIAL_OFFSET (SLICE_SIZE - (64u << 20))

/* Kernels may keep addresses of local memory without their upper halves. */
_Static_assert(SG_EXEC_WINDOW_BASE % SLICE_SIZE == 0 && (UINT64_C(1) << 32) % SLICE_SIZE == 0,
    "a machine's stacks lie in one span of 4 GiB");

/* Beside local memory: frames, spills, and the machine's own functions (printf's are the
 * deepest), which take OWN_STACK. */
#define OWN_STACK    (24u << 10)
#define FIBER_STACK  (64u << 10)
#define WARP_STACK   (256u << 10) /* per 32 lanes */
#define SERIAL_STACK (1u << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t freed = PTHREAD_COND_INITIALIZER;
static struct sg_machine *free_machines;
static unsigned n_machines;

static bool map(uint64_t address, uint64_t size, int protection)
{
	return mmap((void *)address, size, protection,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
}

/* Not over what somebody else has put there. */
static bool reserve(uint64_t address, uint64_t size)
{
	return mmap((void *)address, size, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
		   0) == (void *)address;
}

static struct sg_machine *new_machine(void)
{
	struct sg_machine *machine = calloc(1, sizeof(*machine));

	if (!machine)
		return NULL;
	machine->index = n_machines;
	machine->slice = SG_EXEC_WINDOW_BASE + n_machines * SLICE_SIZE;
	machine->signal_stack = malloc(MACHINE_SIGNAL_STACK);
	machine->tally = calloc(1, sizeof(*machine->tally));
	machine->check = sg_checks() ? check_new() : NULL;
	if (!machine->signal_stack || !machine->tally || !reserve(machine->slice, SLICE_SIZE) ||
	    !map(machine->slice + PARAM_OFFSET, MACHINE_PARAM_BYTES, PROT_READ | PROT_WRITE)) {
		free(machine->signal_stack);
		free(machine->tally);
		free(machine->check);
		free(machine);
		return NULL;
	}
	n_machines++;
	return machine;
}

struct sg_machine *machine_acquire(bool wait)
{
	struct sg_machine *machine = NULL;

	pthread_mutex_lock(&lock);
	while (!machine) {
		machine = free_machines;
		if (machine)
			free_machines = machine->next_free;
		else if (n_machines < MAX_MACHINES)
			machine = new_machine();
		if (machine || !wait || !n_machines)
			break;
		pthread_cond_wait(&freed, &lock);
	}
	pthread_mutex_unlock(&lock);
	if (machine)
		fault_enter(machine);
	return machine;
}

bool machine_is_to_be_had(void)
{
	bool is_free;

	pthread_mutex_lock(&lock);
	is_free = free_machines || n_machines < MAX_MACHINES;
	pthread_mutex_unlock(&lock);
	return is_free;
}

void machine_release(struct sg_machine *machine)
{
	fault_leave(machine);
	machine->grid = NULL;
	pthread_mutex_lock(&lock);
	machine->next_free = free_machines;
	free_machines = machine;
	pthread_cond_signal(&freed);
	pthread_mutex_unlock(&lock);
}

uint8_t *machine_params(struct sg_machine *machine)
{
	return (uint8_t *)(machine->slice + PARAM_OFFSET);
}

static uint64_t fiber_stack_size(uint64_t local_bytes)
{
	return FIBER_STACK + align_up(local_bytes, PAGE);
}

/* Spills are as wide as the code. */
static uint64_t warp_stack_size(const struct sg_variant *variant, uint64_t local_bytes)
{
	return WARP_STACK * (uint64_t)MAX(variant->width / SG_WARP_SIZE, 1u) +
	       align_up(local_bytes, PAGE);
}

/* The usual size has room for most code; that of large kernels compiled quickly takes more. */
static uint64_t stack_size(const struct sg_kernel *kernel, const struct sg_variant *variant)
{
	uint64_t local = (uint64_t)kernel->info.local_bytes * variant->width;
	uint64_t usual =
	    variant->width == 1 ? fiber_stack_size(local) : warp_stack_size(variant, local);

	return MAX(usual, align_up(variant->stack_bytes, PAGE) + OWN_STACK);
}

uint32_t machine_capacity(uint32_t local_bytes)
{
	return (uint32_t)((SERIAL_OFFSET - STACK_OFFSET) / (fiber_stack_size(local_bytes) + PAGE));
}

/* Makes sure of n stacks of at least size bytes. A change of size starts over, for larger ones or
 * for more than there is room for. */
static bool ensure_stacks(struct sg_machine *machine, uint64_t size, uint32_t n)
{
	uint64_t base = machine->slice + STACK_OFFSET;

	bool fits = n * (machine->stack_size + PAGE) <= SERIAL_OFFSET - STACK_OFFSET;

	if (machine->stack_size < size || !fits) {
		if (!map(base, SERIAL_OFFSET - STACK_OFFSET, PROT_NONE))
			return false;
		machine->stack_size = size;
		machine->n_stacks = 0;
	}
	size = machine->stack_size + PAGE;
	if (n * size > SERIAL_OFFSET - STACK_OFFSET)
		return false;
	for (; machine->n_stacks < n; machine->n_stacks++)
		if (!map(base + machine->n_stacks * size + PAGE, machine->stack_size,
			PROT_READ | PROT_WRITE))
			return false;
	return true;
}

/* The one of serial kernels, which only grows. */
static bool ensure_serial_stack(struct sg_machine *machine, uint64_t size)
{
	if (machine->serial_size >= size)
		return true;
	if (size > SLICE_SIZE - SERIAL_OFFSET - PAGE ||
	    !map(machine->slice + SERIAL_OFFSET + PAGE, size, PROT_READ | PROT_WRITE))
		return false;
	machine->serial_size = size;
	return true;
}

static bool ensure_shared(struct sg_machine *machine, uint32_t n)
{
	for (; machine->n_shared < n; machine->n_shared++)
		if (!map(machine->slice + SHARED_OFFSET + machine->n_shared * SG_SHARED_STRIDE,
			SG_MAX_SHARED_BYTES + PAGE, PROT_READ | PROT_WRITE))
			return false;
	return true;
}

static bool ensure_arrays(struct sg_machine *machine, uint32_t n_blocks, uint32_t n_fibers)
{
	if (machine->n_blocks < n_blocks) {
		free(machine->blocks);
		free(machine->clusters);
		machine->blocks = calloc(n_blocks, sizeof(*machine->blocks));
		machine->clusters = calloc(n_blocks, sizeof(*machine->clusters));
		machine->n_blocks = machine->blocks && machine->clusters ? n_blocks : 0;
	}
	if (machine->n_fibers < n_fibers) {
		free(machine->fibers);
		machine->fibers = calloc(n_fibers, sizeof(*machine->fibers));
		machine->n_fibers = machine->fibers ? n_fibers : 0;
	}
	return machine->n_blocks && machine->n_fibers;
}

bool machine_make_room(
    struct sg_machine *machine, const struct sg_grid *grid, uint32_t n_blocks, uint32_t n_fibers)
{
	uint64_t size = stack_size(grid->kernel, grid->variant);

	return ensure_arrays(machine, n_blocks, n_fibers) && ensure_shared(machine, n_blocks) &&
	       (grid->has_fibers ? ensure_stacks(machine, size, n_fibers)
				 : ensure_serial_stack(machine, SERIAL_STACK + size));
}

uint8_t *machine_shared(const struct sg_machine *machine, uint32_t resident)
{
	return (uint8_t *)(machine->slice + SHARED_OFFSET + resident * SG_SHARED_STRIDE);
}

struct machine_stack machine_stack(const struct sg_machine *machine, uint32_t index)
{
	bool is_own = machine->grid->has_fibers;
	uint64_t size = is_own ? machine->stack_size : machine->serial_size;
	uint64_t guard =
	    machine->slice + (is_own ? STACK_OFFSET + index * (size + PAGE) : SERIAL_OFFSET);

	return (struct machine_stack){guard, guard + PAGE, guard + PAGE + size};
}
