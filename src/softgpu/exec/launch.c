/*
 * Launches: checks, the pool of host threads, the end of a grid.
 *
 * Blocks are handed out in order from a counter: code that looks back at earlier blocks relies on
 * it. The launching thread always takes part. It runs the first block alone and calls helpers only
 * if what is left, at that speed, is worth waking them: a small grid never leaves the calling
 * thread. Helpers borrow a machine per grid they help.
 *
 * Cooperative grids are cooperative.c's. Programs older than these have blocks that wait for each
 * other in any grid that a GPU holds at once: where a machine's block waits for long and others
 * have not begun, one thread more takes them, and so on until all have or there are no machines
 * left. The kernel's next grid is run as a cooperative one if it can be.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "base/log.h"
#include "softgpu/exec/exec.h"
#include "softgpu/exec/machine.h"

#define MAX_THREADS	 64u
#define WORTH_HELPERS_NS (50 * NSEC_PER_USEC)
#define MAX_GRID_X	 0x7fffffffu
#define MAX_GRID_YZ	 0xffffu
#define MAX_BLOCK_Z	 64u
#define SHARED_UNIT	 128u /* GPUs allot shared memory in these from sm_80 on: %total_smem_size */
#define GRID_WORKSPACE	 4096u /* behind the parameters: %envreg, cooperative barrier */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER, helped = PTHREAD_COND_INITIALIZER;
static struct sg_grid *grids; /* that want help */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_uint_least64_t next_grid_id;
static const uint32_t never_stop;

unsigned sg_exec_threads(void)
{
	static atomic_uint known;
	unsigned n =
	    atomic_load_explicit(&known, memory_order_relaxed); /* any thread finds the same */
	uint64_t number;

	if (n)
		return n;
	const char *setting = getenv("SOFTGPU_THREADS");
	number = (uint64_t)MAX(sysconf(_SC_NPROCESSORS_ONLN), 1);
	if (setting && *setting && !decimal_parse(setting, 1, UINT64_MAX, &number))
		log_warn("SOFTGPU_THREADS=%s is not a number of threads: taking %llu", setting,
		    (unsigned long long)number);
	n = (unsigned)MIN(number, MAX_THREADS / 2);
	atomic_store_explicit(&known, n, memory_order_relaxed);
	return n;
}

bool grid_next_block(struct sg_machine *machine, struct sg_grid *grid, uint64_t *number)
{
	static const struct sg_lane nobody;

	/* Relaxed: the counter alone is shared; results are published by the join. */
	*number =
	    atomic_fetch_add_explicit(&grid->next_block, grid->together, memory_order_relaxed);
	if (*number >= grid->n_blocks || atomic_load_explicit(&grid->failed, memory_order_relaxed))
		return false;
	if (!__atomic_load_n(grid->stop, __ATOMIC_RELAXED))
		return true;
	machine->grid = grid;
	machine_record_fault(machine, &nobody, SG_FAULT_STOPPED, 0, false);
	return false;
}

static bool has_blocks(struct sg_grid *grid)
{
	return atomic_load_explicit(&grid->next_block, memory_order_relaxed) < grid->n_blocks &&
	       !atomic_load_explicit(&grid->failed, memory_order_relaxed);
}

/* The launching thread is one of those that may take part. */
static bool wants_more(const struct sg_grid *grid)
{
	return !grid->launch->threads || grid->helpers + 1 < grid->launch->threads;
}

static struct sg_grid *find_work(void)
{
	struct sg_grid *grid = grids;

	while (grid && !(has_blocks(grid) && wants_more(grid)))
		grid = grid->next;
	return grid;
}

static void *helper(void *unused)
{
	pthread_mutex_lock(&lock);
	for (;;) {
		struct sg_grid *grid = find_work();
		struct sg_machine *machine;

		if (!grid) {
			pthread_cond_wait(&wanted, &lock);
			continue;
		}
		grid->helpers++;
		pthread_mutex_unlock(&lock);
		/* Not waiting: the machines may all belong to launches that wait for helpers. */
		machine = machine_acquire(false);
		if (machine) {
			machine_run_rest(machine, grid);
			machine_release(machine);
		}
		pthread_mutex_lock(&lock);
		grid->helpers--;
		pthread_cond_broadcast(&helped);
		if (!machine)
			pthread_cond_wait(&wanted, &lock);
	}
	return NULL;
}

/* A thread that nobody waits for and that takes no signals of the program's. */
static bool start_thread(void *(*run)(void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t old;
	bool started;

	fault_block_signals(&old);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	started = pthread_create(&thread, &attributes, run, argument) == 0;
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return started;
}

/* Only when a grid first wants help: many programs never do. */
static void start_helpers(void)
{
	for (unsigned i = 1; i < sg_exec_threads(); i++)
		if (!start_thread(helper, NULL))
			break; /* fewer helpers: slower, no harm */
}

static void helper_leaves(struct sg_grid *grid)
{
	pthread_mutex_lock(&lock);
	grid->helpers--;
	pthread_cond_broadcast(&helped);
	pthread_mutex_unlock(&lock);
}

/* As a helper, of this grid only. */
static void *company(void *grid_)
{
	struct sg_grid *grid = grid_;
	struct sg_machine *machine = machine_acquire(false);

	if (machine) {
		machine_run_rest(machine, grid);
		machine_release(machine);
	}
	helper_leaves(grid);
	return NULL;
}

void grid_call_company(struct sg_grid *grid)
{
	if (grid->is_cooperative || !has_blocks(grid) || !machine_is_to_be_had())
		return;
	/* Relaxed: a later launch that does not see it finds out for itself. */
	atomic_store_explicit(&grid->kernel->blocks_wait, true, memory_order_relaxed);
	pthread_mutex_lock(&lock);
	grid->helpers++;
	pthread_mutex_unlock(&lock);
	/* Relaxed: the launching thread set it itself, or waits for helpers anyway. */
	atomic_store_explicit(&grid->has_company, true, memory_order_relaxed);
	if (!start_thread(company, grid))
		helper_leaves(grid);
}

static void call_helpers(struct sg_grid *grid)
{
	pthread_once(&once, start_helpers);
	pthread_mutex_lock(&lock);
	grid->next = grids;
	grids = grid;
	pthread_cond_broadcast(&wanted);
	pthread_mutex_unlock(&lock);
}

static void wait_for_helpers(struct sg_grid *grid)
{
	while (grid->helpers)
		pthread_cond_wait(&helped, &lock);
}

static void dismiss_helpers(struct sg_grid *grid)
{
	struct sg_grid **at = &grids;

	pthread_mutex_lock(&lock);
	while (*at != grid)
		at = &(*at)->next;
	*at = grid->next;
	wait_for_helpers(grid);
	pthread_mutex_unlock(&lock);
}

/* Of a grid that did not call helpers. */
static void dismiss_company(struct sg_grid *grid)
{
	pthread_mutex_lock(&lock);
	wait_for_helpers(grid);
	pthread_mutex_unlock(&lock);
}

static void run_grid(struct sg_machine *machine, struct sg_grid *grid)
{
	uint64_t left;

	grid->began_ns = clock_now_ns();
	if (grid->is_cooperative) {
		cooperative_run(machine, grid);
		return;
	}
	atomic_store_explicit(&grid->next_block, grid->together, memory_order_relaxed);
	machine_run(machine, grid, 0, grid->together);
	left = grid->n_blocks / grid->together - 1;
	if (left && sg_exec_threads() > 1 &&
	    (clock_now_ns() - grid->began_ns) * left > WORTH_HELPERS_NS) {
		call_helpers(grid);
		machine_run_rest(machine, grid);
		dismiss_helpers(grid);
	} else {
		machine_run_rest(machine, grid);
		if (atomic_load_explicit(&grid->has_company, memory_order_relaxed))
			dismiss_company(grid);
	}
}

static int refuse(struct sg_fault *fault, const struct sg_kernel *kernel, const char *why)
{
	*fault = (struct sg_fault){.kind = SG_FAULT_NOT_STARTED, .kernel = kernel->info.name};
	snprintf(fault->message, sizeof(fault->message), "kernel %s not started: %s",
	    kernel->info.name, why);
	return SG_FAULT_NOT_STARTED;
}

/* The launch's word counts, then the kernel's; without either each block is a cluster. */
static void launch_cluster(
    const struct sg_kernel *kernel, const struct sg_launch *launch, uint32_t cluster[4])
{
	const uint32_t *own = kernel->info.required_cluster;
	const uint32_t *named = launch->cluster[0] ? launch->cluster : own;

	for (unsigned i = 0; i < 3; i++)
		cluster[i] = MAX(named[i], 1u);
	cluster[3] = named[0] != 0;
}

static const char *find_cluster_flaw(const struct sg_kernel *kernel, const struct sg_launch *launch)
{
	uint32_t cluster[4];
	uint64_t size = 1,
		 threads = (uint64_t)launch->block[0] * launch->block[1] * launch->block[2];

	launch_cluster(kernel, launch, cluster);
	for (unsigned i = 0; i < 3; i++) {
		if (launch->grid[i] % cluster[i])
			return "the grid is not made of whole clusters";
		size *= cluster[i];
		if (size > SG_MAX_CLUSTER)
			return "the cluster has too many blocks";
	}
	if (size > 1 && size * threads > machine_capacity(kernel->info.local_bytes))
		return "the cluster's threads have too much local memory";
	return NULL;
}

const char *launch_find_flaw(const struct sg_kernel *kernel, const struct sg_launch *launch)
{
	const struct sg_kernel_info *info = &kernel->info;
	const uint32_t *g = launch->grid, *b = launch->block;
	uint64_t threads = (uint64_t)b[0] * b[1] * b[2];

	if (atomic_load_explicit(&kernel->module->unloaded, memory_order_relaxed))
		return "its module was unloaded";
	if (!g[0] || !g[1] || !g[2] || g[0] > MAX_GRID_X || g[1] > MAX_GRID_YZ ||
	    g[2] > MAX_GRID_YZ)
		return "a grid dimension is 0 or too large";
	if (!threads || b[0] > SG_MAX_BLOCK_THREADS || b[1] > SG_MAX_BLOCK_THREADS ||
	    b[2] > MAX_BLOCK_Z || threads > SG_MAX_BLOCK_THREADS)
		return "a block dimension is 0 or too large";
	if (threads > info->max_threads_per_block)
		return "more threads per block than the kernel was compiled for (.maxntid)";
	if (info->required_ntid[0] && memcmp(b, info->required_ntid, sizeof(info->required_ntid)))
		return "the block is not the one the kernel demands (.reqntid)";
	if (launch->dynamic_shared_bytes > SG_MAX_SHARED_BYTES ||
	    kernel->dynamic_offset + launch->dynamic_shared_bytes > SG_MAX_SHARED_BYTES)
		return "too much shared memory";
	if (launch->params_size < info->param_bytes ||
	    info->param_bytes > MACHINE_PARAM_BYTES - GRID_WORKSPACE)
		return "the parameters are too short or too large";
	if (launch->cooperative &&
	    (uint64_t)g[0] * g[1] * g[2] >
		sg_cooperative_blocks(kernel, (uint32_t)threads, launch->dynamic_shared_bytes))
		return "the cooperative grid has more blocks than can be resident";
	return find_cluster_flaw(kernel, launch);
}

/*
 * Parameters go into the arena, where kernels may take their addresses; behind them what
 * cooperative groups find through %envreg1 (upper half) and 2: the address of a workspace, which
 * starts with its size.
 */
static void place_params(struct sg_machine *machine, struct sg_grid *grid)
{
	const struct sg_launch *launch = grid->launch;
	uint8_t *params = machine_params(machine);
	uint8_t *workspace = params + MACHINE_PARAM_BYTES - GRID_WORKSPACE;
	uint32_t *envreg = (uint32_t *)(workspace + GRID_WORKSPACE / 2);
	uint64_t address = (uint64_t)workspace;

	if (grid->kernel->info.param_bytes)
		memcpy(params, launch->params, grid->kernel->info.param_bytes);
	memset(workspace, 0, GRID_WORKSPACE);
	if (launch->cooperative) {
		*(uint32_t *)workspace = GRID_WORKSPACE / 2;
		envreg[2] = (uint32_t)address;
		envreg[1] = (uint32_t)(address >> 32);
	}
	grid->params = params;
	grid->envreg = envreg;
}

static const char *describe(enum sg_fault_kind kind)
{
	static const char *const texts[] = {
	    [SG_FAULT_ILLEGAL_ADDRESS] = "illegal address",
	    [SG_FAULT_MISALIGNED] = "misaligned address",
	    [SG_FAULT_ASSERT] = "assertion failed",
	    [SG_FAULT_TRAP] = "trap",
	    [SG_FAULT_STACK] = "stack overflow (endless recursion?)",
	    [SG_FAULT_TENSOR_MEMORY] = "tensor memory that is not allocated, column",
	    [SG_FAULT_ILLEGAL_INSTRUCTION] =
		"illegal instruction: its operands or descriptors do not go together",
	    [SG_FAULT_ILLEGAL_CALL] = "call of something that is no function",
	    [SG_FAULT_DEADLOCK] = "all threads of a block wait for each other",
	    [SG_FAULT_STOPPED] = "stopped",
	    [SG_FAULT_NOT_STARTED] = "no memory for its threads",
	};

	return texts[kind];
}

static int report(struct sg_grid *grid, struct sg_fault *out)
{
	struct sg_fault *f = &grid->fault;
	char address[64] = "";

	if (!atomic_load_explicit(&grid->failed, memory_order_relaxed)) {
		*out = (struct sg_fault){0};
		return 0;
	}
	if (f->kind == SG_FAULT_ILLEGAL_ADDRESS || f->kind == SG_FAULT_MISALIGNED ||
	    f->kind == SG_FAULT_TENSOR_MEMORY)
		snprintf(address, sizeof(address), " 0x%llx (%s)", (unsigned long long)f->address,
		    f->is_write ? "write" : "read");
	f->kernel = grid->kernel->info.name;
	snprintf(f->message, sizeof(f->message),
	    "kernel %.100s: %s%s, block (%u,%u,%u), thread (%u,%u,%u)", f->kernel,
	    describe(f->kind), address, f->block[0], f->block[1], f->block[2], f->thread[0],
	    f->thread[1], f->thread[2]);
	*out = *f;
	return f->kind;
}

/* A cluster's blocks need to be resident together where threads can wait at all. */
static void set_cluster(struct sg_grid *grid)
{
	launch_cluster(grid->kernel, grid->launch, grid->cluster);
	grid->cluster_size = grid->cluster[0] * grid->cluster[1] * grid->cluster[2];
	grid->together = grid->variant->needs_fibers ? grid->cluster_size : 1;
	/* Blocks that are one call wait for nobody. */
	grid->has_fibers = grid->variant->needs_fibers &&
			   (grid->variant->width == 1 || grid->n_threads > grid->variant->width ||
			       grid->together > 1 || grid->is_cooperative);
}

/* A stack and the page before it are two of the 65530 mappings that a process may have. */
#define MOST_STACKS 16384u

/* By the launch's word, or because the kernel's blocks were seen to wait for each other. */
static bool is_cooperative(const struct sg_grid *grid)
{
	const struct sg_launch *launch = grid->launch;
	uint32_t width = grid->variant->width;

	return launch->cooperative ||
	       (atomic_load_explicit(&grid->kernel->blocks_wait, memory_order_relaxed) &&
		   grid->n_blocks * ((grid->n_threads + width - 1) / width) <= MOST_STACKS &&
		   grid->n_blocks <= sg_cooperative_blocks(grid->kernel, grid->n_threads,
					 launch->dynamic_shared_bytes));
}

static int prepare(struct sg_kernel *kernel, const struct sg_launch *launch,
    const struct sg_variant **variant, struct sg_fault *fault)
{
	char text[200];
	int r = 0;

	*variant = kernel_variant(kernel, launch->block, launch->lanes, &r);
	if (*variant)
		return 0;
	snprintf(text, sizeof(text), "%.190s", kernel->prepare_message);
	refuse(fault, kernel, text);
	fault->prepare_result = r;
	return SG_FAULT_NOT_STARTED;
}

int launch_grid(struct sg_kernel *kernel, const struct sg_launch *launch, struct sg_grid *grid,
    struct sg_fault *fault)
{
	const char *flaw = launch_find_flaw(kernel, launch);
	struct sg_machine *machine;
	int r;

	*grid = (struct sg_grid){.kernel = kernel, .launch = launch};
	if (flaw)
		return refuse(fault, kernel, flaw);
	r = prepare(kernel, launch, &grid->variant, fault);
	if (r)
		return r;
	fault_install();
	machine = machine_acquire(true);
	if (!machine)
		return refuse(fault, kernel, "no address space for its threads");
	grid->id = atomic_fetch_add_explicit(&next_grid_id, 1, memory_order_relaxed);
	grid->n_blocks = (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2];
	grid->n_threads = launch->block[0] * launch->block[1] * launch->block[2];
	grid->is_cooperative = is_cooperative(grid);
	set_cluster(grid);
	grid->shared_size =
	    (uint32_t)align_up(kernel->dynamic_offset + launch->dynamic_shared_bytes,
		machine->check ? 16 : SHARED_UNIT);
	grid->stop = launch->stop ? (const uint32_t *)launch->stop : &never_stop;
	place_params(machine, grid);
	watchdog_begin(grid);
	run_grid(machine, grid);
	watchdog_end(grid);
	machine_release(machine);
	return report(grid, fault);
}

int sg_launch(struct sg_kernel *kernel, const struct sg_launch *launch, struct sg_fault *fault)
{
	struct sg_grid grid;
	int r = launch_grid(kernel, launch, &grid, fault);

	return grid.children || grid.chunks ? children_run(&grid, r, fault) : r;
}
