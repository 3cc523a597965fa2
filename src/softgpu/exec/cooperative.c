/*
 * Cooperative grids: all blocks are resident, so that they may wait for each other.
 *
 * Their blocks are shared out over a crew of machines, each with a host thread that runs its share
 * to the end. All of the crew run at once, which blocks that wait for other machines' blocks rely
 * on; so the crew's threads are not those that help other grids, and no share is given out before
 * it is known how many machines there are. Small grids stay on the launching thread: waiting for a
 * neighbour is then a switch of stacks.
 */
#include <pthread.h>

#include "base/util.h"
#include "softgpu/exec/machine.h"

#define CREW_MAX      32u   /* half of all machines */
#define THREADS_ALONE 2048u /* of a grid that one host thread runs */

struct crew {
	struct sg_grid *grid;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned answered, joined; /* threads that have looked for a machine, and have got one */
	bool go;
	uint64_t share; /* blocks of each of the crew; 0: there is no room for them */
};

static uint32_t blocks_of_machine(const struct sg_kernel *kernel, uint32_t threads_per_block)
{
	return MIN(
	    machine_capacity(kernel->info.local_bytes) / threads_per_block, MACHINE_MAX_BLOCKS);
}

uint32_t sg_cooperative_blocks(
    const struct sg_kernel *kernel, uint32_t threads_per_block, uint32_t dynamic_shared_bytes)
{
	if (!threads_per_block ||
	    kernel->dynamic_offset + dynamic_shared_bytes > SG_MAX_SHARED_BYTES)
		return 0;
	return CREW_MAX * blocks_of_machine(kernel, threads_per_block);
}

/* Whole clusters of blocks. */
static uint32_t share_limit(const struct sg_grid *grid)
{
	uint32_t most = blocks_of_machine(grid->kernel, grid->n_threads);

	return MAX(most - most % grid->together, 1u);
}

static unsigned crew_size(const struct sg_grid *grid)
{
	uint32_t most = share_limit(grid);
	uint64_t least = (grid->n_blocks + most - 1) / most;
	uint64_t wanted = sg_exec_threads();

	if (grid->launch->threads)
		wanted = MIN(wanted, grid->launch->threads);
	if (grid->n_blocks * grid->n_threads <= THREADS_ALONE)
		wanted = 1;
	return (unsigned)MIN(MAX(MIN(wanted, grid->n_blocks), least), CREW_MAX);
}

/* Blocks whose threads wait for nobody share one stack: they come one after the other. */
static void run_share(struct crew *crew, struct sg_machine *machine, unsigned number)
{
	struct sg_grid *grid = crew->grid;
	uint64_t first = number * crew->share, end = MIN(first + crew->share, grid->n_blocks);

	if (first >= end)
		return;
	if (grid->variant->needs_fibers) {
		machine_run(machine, grid, first, (uint32_t)(end - first));
		return;
	}
	for (; first < end && !atomic_load_explicit(&grid->failed, memory_order_relaxed); first++)
		machine_run(machine, grid, first, 1);
}

static void *crew_thread(void *argument)
{
	struct crew *crew = argument;
	/* Not waiting: they may all belong to grids like this one, which wait for more. */
	struct sg_machine *machine = machine_acquire(false);
	unsigned number = 0;

	pthread_mutex_lock(&crew->lock);
	crew->answered++;
	if (machine)
		number = ++crew->joined; /* 0 is the launching thread */
	pthread_cond_broadcast(&crew->changed);
	while (!crew->go)
		pthread_cond_wait(&crew->changed, &crew->lock);
	pthread_mutex_unlock(&crew->lock);
	if (machine && crew->share)
		run_share(crew, machine, number);
	if (machine)
		machine_release(machine);
	return NULL;
}

/* Threads take no signals of the program's. Returns how many there are. */
static unsigned start_threads(struct crew *crew, unsigned n, pthread_t *threads)
{
	unsigned started = 0;
	sigset_t old;

	fault_block_signals(&old);
	while (started < n && !pthread_create(&threads[started], NULL, crew_thread, crew))
		started++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return started;
}

/* When all threads have answered, says what each is to do. */
static void share_out(struct crew *crew, unsigned n_threads)
{
	const struct sg_grid *grid = crew->grid;

	pthread_mutex_lock(&crew->lock);
	while (crew->answered < n_threads)
		pthread_cond_wait(&crew->changed, &crew->lock);
	crew->share = (grid->n_blocks + crew->joined) / (crew->joined + 1);
	crew->share = (crew->share + grid->together - 1) / grid->together * grid->together;
	if (crew->share > share_limit(grid))
		crew->share = 0;
	crew->go = true;
	pthread_cond_broadcast(&crew->changed);
	pthread_mutex_unlock(&crew->lock);
}

void cooperative_run(struct sg_machine *machine, struct sg_grid *grid)
{
	static const struct sg_lane nobody;
	struct crew crew = {
	    .grid = grid, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
	pthread_t threads[CREW_MAX];
	unsigned n = start_threads(&crew, crew_size(grid) - 1, threads);

	share_out(&crew, n);
	if (crew.share) {
		run_share(&crew, machine, 0);
	} else {
		machine->grid = grid;
		machine_record_fault(machine, &nobody, SG_FAULT_NOT_STARTED, 0, false);
	}
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}
