/*
 * A machine runs blocks on one host thread: its threads' stacks, shared memory, and the scheduler
 * that switches between them. Launches borrow machines; see machine.c for the design, and
 * machine-memory.c for the memory.
 */
#pragma once

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "softgpu/exec/exec.h"
#include "softgpu/exec/lane.h"
#include "softgpu/exec/module-private.h"

/* What the watchdog knows of a grid: under the watchdog's lock, but for stop. */
struct sg_watch {
	atomic_uint stop;      /* what the grid looks at */
	const uint32_t *outer; /* the launch's own flag */
	uint64_t deadline_ns;
	struct sg_grid *next;
};

/* A grid being run, shared by its machines. */
struct sg_grid {
	struct sg_kernel *kernel;
	const struct sg_variant *variant;
	const struct sg_launch *launch;
	uint64_t id;
	uint64_t began_ns;
	uint64_t n_blocks;
	uint32_t n_threads;    /* per block */
	bool is_cooperative;   /* all blocks are resident */
	bool has_fibers;       /* threads, or warps, that meet others have stacks of their own */
	uint32_t cluster[4];   /* struct sg_lane's */
	uint32_t cluster_size; /* blocks */
	uint32_t together;     /* blocks that one machine runs at once: 1, or a cluster */
	uint32_t shared_size;
	const uint8_t *params; /* in the arena */
	const uint32_t *envreg;
	const uint32_t *stop;
	atomic_uint_least64_t next_block;
	atomic_bool failed; /* the first to set it owns fault */
	struct sg_fault fault;
	struct sg_watch watch;
	/* groups.c's: blocks that wait for all others; a turn ends when the last has come. */
	atomic_uint came, turn;
	struct sg_child *children; /* children.c's, under its lock, until the blocks have ended */
	struct sg_chunk *chunks;
	uint32_t n_children;
	/* launch.c's, under its lock */
	struct sg_grid *next;
	unsigned helpers;
	atomic_bool has_company;
};

enum sg_fiber_state { FIBER_READY, FIBER_WAITING, FIBER_DONE };

/* What a lane brought to an exchange of its warp. */
struct sg_arrival {
	enum sg_exchange kind;
	uint32_t mask;
	uint64_t value;
	uint32_t b, c;
};

struct sg_fiber {
	struct sg_lane lane;
	void *context;
	enum sg_fiber_state state;
	struct sg_fiber *next; /* in the run queue, or in a barrier's list */
	struct sg_arrival arrival;
	uint64_t result;	/* of the exchange or barrier it waits for */
	bool predicate;		/* brought to a reducing barrier */
	uint32_t cluster_phase; /* of the cluster when it last arrived there; 0: never */
	uint64_t stack_guard;	/* lowest usable address is stack_low; the guard page is below */
	/* of a fiber that runs a warp: */
	uint32_t left;			 /* threads that have not exited */
	uint32_t tids[3 * SG_WARP_SIZE]; /* x of all lanes, y, z */
	struct sg_lane one;		 /* what sg_lane_of() gives */
};

struct sg_barrier {
	uint32_t expected; /* 0: all threads */
	uint32_t arrived, popc;
	bool all, any;
	enum sg_barrier_reduction operation;
	struct sg_fiber *waiting;
};

struct sg_warp {
	uint32_t alive, waiting; /* lanes; waiting: at an exchange */
	uint32_t runnable;	 /* count of lanes that neither wait nor have exited */
	struct sg_fiber *fibers[SG_WARP_SIZE];
};

/* Blocks that may look into each other's shared memory, all resident in one machine. */
struct sg_cluster {
	uint32_t alive;	  /* threads */
	uint32_t pending; /* of these, have not arrived in this phase of the barrier */
	uint32_t phase;	  /* from 1 */
	struct sg_fiber *waiting;
};

#define SG_WARPGROUP_THREADS 128u
#define SG_WARPGROUPS	     (SG_MAX_BLOCK_THREADS / SG_WARPGROUP_THREADS)

/* A resident block. */
struct sg_block {
	struct sg_machine *machine;
	struct sg_cluster *cluster;
	uint32_t rank; /* in the cluster */
	uint32_t n_threads, alive;
	uint8_t *shared;
	struct sg_barrier barriers[SG_BARRIERS + SG_WARPGROUPS];
	uint32_t n_waited_at; /* of these */
	struct sg_warp warps[SG_MAX_BLOCK_THREADS / SG_WARP_SIZE];
};

#define MACHINE_MAX_BLOCKS 256u /* resident together: shared memory areas */

struct sg_machine {
	unsigned index;
	uint64_t slice; /* its part of the exec window */
	uint64_t stack_size;
	uint32_t n_stacks; /* mapped, of stack_size */
	uint64_t serial_size;
	uint32_t n_shared;				   /* areas mapped */
	struct sg_tmem *tensor_memory[MACHINE_MAX_BLOCKS]; /* tmem.c's, by resident block */
	struct sg_fiber *fibers;
	uint32_t n_fibers;
	struct sg_block *blocks;
	struct sg_cluster *clusters; /* as many as blocks */
	uint32_t n_blocks;
	struct sg_fiber *ready, *ready_tail;
	struct sg_fiber *current;
	uint32_t polls; /* yields in a row, for each thread of the fibers */
	uint64_t polls_since_ns, polled_ns;
	void *scheduler; /* its context while a fiber runs */
	struct sg_grid *grid;
	struct sg_tally *tally;
	struct sg_check *check; /* check.c's; NULL: nothing is checked */
	bool goes_on;		/* a serial fiber takes the grid's blocks until none is left */
	uint64_t first_block;	/* number in the grid of blocks[0] */
	void *signal_stack;
	stack_t old_signal_stack;
	struct sg_machine *next_free;
};

#define MACHINE_SIGNAL_STACK (32u << 10)

/* How many fibers with that much local memory fit into a machine, and blocks of that many. */
uint32_t machine_capacity(uint32_t local_bytes);

/* Borrows a machine for the calling thread; NULL when there is none and wait is false. */
struct sg_machine *machine_acquire(bool wait);
/* Whether one would be got now. */
bool machine_is_to_be_had(void);
void machine_release(struct sg_machine *machine);

/* Memory of the machine in the arena for a launch's parameters; NULL when it cannot be had. */
#define MACHINE_PARAM_BYTES (2u << 20)
uint8_t *machine_params(struct sg_machine *machine);

/* Makes sure of stacks, shared memory and structs for so many resident blocks and fibers of grid.
 * False: there is no memory, or not that much room. */
bool machine_make_room(
    struct sg_machine *machine, const struct sg_grid *grid, uint32_t n_blocks, uint32_t n_fibers);
/* Shared memory of a resident block. */
uint8_t *machine_shared(const struct sg_machine *machine, uint32_t resident);
/* The stack of a fiber of machine->grid. guard: the page below low, which nobody may touch. */
struct machine_stack {
	uint64_t guard, low, high;
};
struct machine_stack machine_stack(const struct sg_machine *machine, uint32_t index);

/* Runs blocks first to first + count - 1 of the grid, resident together, to their end or the grid's
 * fault. */
void machine_run(struct sg_machine *machine, struct sg_grid *grid, uint64_t first, uint32_t count);
/* Runs what nobody has taken yet, block after block. */
void machine_run_rest(struct sg_machine *machine, struct sg_grid *grid);

/* launch.c: takes the next block that nobody runs; false when there is none, or the grid is
 * to end. */
bool grid_next_block(struct sg_machine *machine, struct sg_grid *grid, uint64_t *number);

/* launch.c: a block waits for what may be another's doing: has those run that nobody has begun. */
void grid_call_company(struct sg_grid *grid);

/* Makes a lane that of a block by its number, in the order blocks are handed out. */
void lane_set_number(struct sg_lane *lane, const struct sg_grid *grid, uint64_t number);

/* Makes a lane that of another thread of its block. */
void lane_set_thread(struct sg_lane *lane, uint32_t number);

/* On a fiber: gives others a turn, is woken by machine_wake(). */
void machine_yield(struct sg_fiber *fiber);
void machine_pass(struct sg_fiber *fiber); /* a yield of one that has something to do */
/* The two halves of that: who wakes others may line up between them, and goes on in turn. */
void machine_line_up(struct sg_fiber *fiber);
void machine_take_turn(struct sg_fiber *fiber);
void machine_wait(struct sg_fiber *fiber);
void machine_wake(struct sg_fiber *fiber);
_Noreturn void machine_exit(struct sg_fiber *fiber);
bool machine_has_ready(const struct sg_machine *machine);
void machine_idle(struct sg_machine *machine); /* all its fibers that can run poll */

/* Ends the grid with a fault of the current thread; the first one counts. On a fiber. */
_Noreturn void machine_fault(
    struct sg_lane *lane, enum sg_fault_kind kind, uint64_t address, bool is_write);
/* The same from anywhere, without leaving. */
void machine_record_fault(struct sg_machine *machine, const struct sg_lane *lane,
    enum sg_fault_kind kind, uint64_t address, bool is_write);
_Noreturn void machine_leave(struct sg_machine *machine);

/* What some lanes of a warp bring to an exchange of one kind, and where its results go. */
struct sg_meeting {
	const struct sg_arrival *arrivals[SG_WARP_SIZE];
	uint64_t *results[SG_WARP_SIZE];
};

/* cooperative.c: the whole grid; machine is the launching thread's. */
void cooperative_run(struct sg_machine *machine, struct sg_grid *grid);

/* cluster.c */
void cluster_init(struct sg_cluster *cluster, uint32_t n_threads);
void cluster_threads_exit(struct sg_fiber *fiber, uint32_t n);
/* Host address of an address in the window shared::cluster; ends the grid where it is none. */
uint8_t *cluster_range(struct sg_lane *lane, uint64_t address, uint64_t size, bool is_write);
/* Tells the mbarrier at such an address that bytes have come. */
void mbarrier_complete(struct sg_lane *lane, uint64_t address, uint64_t bytes);
bool cluster_holds(const struct sg_lane *lane, uint64_t address); /* a generic one */

/* tmem.c: nothing is allocated. */
void tmem_block_begin(struct sg_block *block);

/* warp.c and barrier.c */
/* Computes the results of the members; not of SG_EXCHANGE_MATRIX. */
void meeting_compute(const struct sg_meeting *meeting, uint32_t members);
void warp_lane_exits(struct sg_block *block, struct sg_lane *lane);
/* Answers lanes that ask for the active mask, once no lane of the warp runs, or anyway. True when
 * somebody woke. */
bool warp_settle(struct sg_warp *warp, bool force);
void barrier_threads_exit(struct sg_block *block, uint32_t n);
bool barrier_settle(struct sg_block *block);

/* children.c: does what the blocks of a grid and of all that came of it asked the device runtime
 * for, once the first grid's have ended with r; forgets it where r is a fault. 0, or the fault kind
 * with *fault filled in. */
int children_run(struct sg_grid *first, int r, struct sg_fault *fault);

/* check.c, for machines whose check is not NULL. check_new() may return NULL. */
struct sg_check *check_new(void);
void check_block_begin(struct sg_block *block); /* its shared memory is poisoned */
void check_block_order(struct sg_block *block); /* what was comes before what will be */
void check_warp_order(struct sg_block *block, uint32_t warp);

/* launch.c: NULL, or what is wrong with the launch. */
const char *launch_find_flaw(const struct sg_kernel *kernel, const struct sg_launch *launch);
/* launch.c: sg_launch() without what the grid's blocks ask for, which is left in grid. */
int launch_grid(struct sg_kernel *kernel, const struct sg_launch *launch, struct sg_grid *grid,
    struct sg_fault *fault);

/* watchdog.c: around the run of a grid whose stop is set. */
void watchdog_begin(struct sg_grid *grid);
void watchdog_end(struct sg_grid *grid);
/* For the time that a grid's children ran; says so when it is longer than SOFTGPU_WATCHDOG. */
bool watchdog_is_over(const struct sg_kernel *kernel, uint64_t ran_ns);

/* fault.c: the machine of the calling thread while it runs a kernel. */
void fault_install(void);
/* For threads about to be started: the program's signals are not for them. Faults are synchronous
 * and come anyway. */
void fault_block_signals(sigset_t *old);
void fault_enter(struct sg_machine *machine); /* signal stack on */
void fault_leave(struct sg_machine *machine);
/* The host address of size bytes at a kernel's address, or an offset in its shared memory; ends the
 * grid where they are not all inside. On a fiber. */
uint8_t *fault_check_range(
    struct sg_lane *lane, uint64_t address, uint64_t size, bool is_shared, bool is_write);
void fault_set_running(struct sg_machine *machine); /* NULL: not in a kernel */
