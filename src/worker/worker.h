/*
 * The worker's inside: what dispatcher, waiters and the hand-written worker_X() functions share.
 * One struct worker per process (tests make several, one after the other).
 *
 * Threads: one dispatcher (worker_run()), one waiter per lane that ever had to wait (waiter.h), a
 * few issuers where they pay (issuer.h). Fields say who may touch them; "any" means atomics or the
 * named lock.
 */
#pragma once

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"
#include "chan/chan.h"
#include "gen/backend.h"
#include "wire/limits.h"
#include "worker/await.h"
#include "worker/call.h"
#include "worker/handles.h"

struct arena;
struct backend_host;
struct callbacks;
struct gpu_time;
struct control_share;
struct graph_bodies;
struct graph_hosts;
struct graph_model;
struct graph_origin;
struct idle;
struct issuers;
struct graph_memory;
struct ipc;
struct notification;
struct reference;
struct image_store;
struct layouts;
struct link_state;
struct mirrors;
struct prints;
struct segments;
struct staging;
struct sync_memops;

#define WORKER_APART	     128	  /* processors fetch lines in pairs */
#define WORKER_IDS	     0x10000u	  /* ids of functions have 16 bits */
#define WORKER_HANDLES_BYTES (256u << 20) /* memory of the table of objects */
#define WORKER_JOBS_MAX	     256	  /* calls of one lane waiting for its waiter */

struct worker_options {
	bool arena;	  /* device memory from the window, where the backend can */
	bool no_waiters;  /* fuzzing: everything runs on the dispatcher */
	bool output;	  /* the client takes what kernels print */
	bool measure;	  /* time in the backend, which is timed, into statistics and answers */
	bool measure_gpu; /* time on the GPU into the statistics */
	unsigned warm;	  /* 1 + the device whose primary context was made in advance; 0: none */
	bool quiet_waits; /* the setting of that name */
	bool known_idle;  /* the setting of that name */
	bool gpu_answers; /* the setting of that name */
	bool launch_blocking; /* a launch that is waited for is answered when it is done */
	unsigned issuers;     /* threads that may issue beside the dispatcher */
	uint32_t backend;     /* enum control_backend: what the snapshot says */
	uint32_t lanes;	      /* of the channel */
	uint64_t staging_size;
	uint64_t spin_ns;    /* how long an idle thread watches memory before it sleeps */
	uint64_t await_ns;   /* how long the dispatcher looks after a wait; 0: it follows spin_ns */
	uint64_t bulk_limit; /* bytes one call may bring and make the worker hold */
	uint64_t session;    /* its number */
	/* Asks rosend (share.h): *message becomes the answer, *got the descriptor that came with it
	 * or -1. fd: goes along, -1: none. 0 or a negative errno. NULL: nobody to ask. */
	int (*ask)(struct control_share *message, int fd, int *got);
	uint64_t image_cache; /* bytes of images that are kept */
};

/* A compiler's logs, in memory of the worker; NULL: none. */
struct jit_logs {
	char *info, *errors;
	size_t info_bytes, error_bytes;
};

/* A per-thread default stream, made when a lane first uses it in a context. */
struct own_stream {
	CUcontext context;
	CUstream stream;
};

struct lane {
	uint16_t index;

	/* dispatcher only */
	uint64_t context_id; /* the client thread's current context, 0: none */
	CUstreamCaptureMode capture_mode;
	unsigned captures;	  /* captures it began in a mode other than relaxed */
	unsigned global_captures; /* of them, in mode global */
	uint8_t *attachment;	  /* bytes of WIRE_ID_ATTACH records, for the next record */
	size_t attached, attachment_room;

	pthread_mutex_t waiter_lock;
	struct waiter *waiter; /* under waiter_lock. NULL until the lane first waits */

	/* under lock */
	pthread_mutex_t lock;
	struct own_stream *streams;
	size_t n_streams;
	struct jit_logs failed; /* of the last load or link that failed */
};

/* Arena memory freed while a capture forbade to wait for the device. */
struct quarantine {
	struct quarantine *next;
	CUdeviceptr address;
};

/* Whose a call is, and how things stood when it was taken from the ring. */
struct job_origin {
	struct lane *lane;
	CUcontext context; /* the lane's */
	CUstreamCaptureMode capture_mode;
	uint64_t started_ns;
};

/* One call on its way: from the ring through dispatcher and perhaps waiter to its answer. */
struct job {
	struct job *next;
	const struct worker_entry *entry; /* NULL: a function this worker does not know */
	struct job_origin from;
	struct chan_stat *stat; /* NULL: not counted */
	uint64_t driver_ns;	/* in the backend so far; while that is measured */
	struct call call;
	struct pool pool;
	bool away;			  /* counted as a waiter's (idle.c) */
	bool gpu_answers;		  /* the GPU stores the reply (gpu_answer.h), */
	uint64_t gpu_mark;		  /* and what is in the stream before it (idle.h) */
	uint64_t await_since, await_next; /* when it is asked next; its list's thread only */
	uint64_t await_until;		  /* then a waiter waits on; likewise */
	struct wire_bulk bulk;		  /* size 0: the answer goes into the lane */
	uint8_t *attachment;		  /* the payload, when it came as attachment; owned */
	uint8_t scratch[512];		  /* outputs of posted calls, which nobody reads */
	uint8_t record[WIRE_RECORD_MAX] __attribute__((aligned(16)));
};

struct worker {
	struct worker_options options;
	struct chan *chan;
	const struct backend *backend;
	const struct backend_host *host;
	bool crowded;		 /* fewer processors than threads that watch memory */
	struct handles *handles; /* any */
	struct lane *lanes;
	uint16_t *entry_of_id;	  /* id -> 1 + index in worker_entries, 0: unknown */
	struct chan_stat **stats; /* per entry */
	struct chan_time **times; /* per entry; while measured */

	struct issuers *issuers; /* NULL: the dispatcher issues everything itself */

	/* Counts contexts that were made or ended. What a thread remembers of its current context
	 * holds as long as this does not change. Any thread. */
	_Atomic uint32_t context_epoch;
	_Atomic unsigned global_captures; /* begun in mode global and not ended */
	_Atomic unsigned warm;	   /* as the option, while the worker itself retains that context */
	_Atomic unsigned captures; /* begun in any mode and not ended */
	/* Memory went back to a pool, and the driver has not synchronised since with all work done
	 * (pool.c). Any thread. */
	_Atomic bool pool_freed;
	struct capture *open_captures; /* dispatcher only */

	pthread_mutex_t memory_lock; /* making an arena, and memory that is not an arena's */
	struct arena *arenas[WIRE_DEVICES_MAX];
	bool no_arena[WIRE_DEVICES_MAX];     /* tried, and this backend cannot */
	_Atomic bool several_devices;	     /* known when the first arena is */
	struct retained *retained;	     /* under memory_lock; memory.c */
	struct quarantine *quarantine;	     /* under memory_lock */
	struct graph_memory *graph_memory;   /* under memory_lock; NULL: nothing noted */
	struct sync_memops *sync_memops;     /* under memory_lock; sync_memops.c */
	struct graph_bodies *graph_bodies;   /* under memory_lock */
	struct graph_origin *graph_origins;  /* under memory_lock */
	pthread_mutex_t graph_lock;	     /* outside of memory_lock */
	struct graph_model *graph_models;    /* under graph_lock */
	struct graph_switch *graph_switches; /* under graph_lock */
	_Atomic unsigned n_graph_models;     /* switches are counted in */
	struct graph_hosts *graph_hosts;     /* under memory_lock; graph_host.h */
	_Atomic unsigned n_graph_hosts;
	_Atomic unsigned graph_moves;	    /* of all of them */
	struct notification *notifications; /* under memory_lock; notification.c */
	struct reference *references;	    /* under memory_lock; reference.h */
	struct reservation *reservations;   /* under memory_lock; reservation.h */
	uint64_t next_reservation;	    /* under memory_lock; 0: none yet */
	struct link_state *links;	    /* under memory_lock */
	unsigned n_links;
	struct image_store *images;
	struct mirrors *mirrors;
	_Atomic unsigned n_mirrors; /* not 0: there is or was a mirror */
	struct segments *segments;
	struct staging *staging;
	struct callbacks *callbacks;
	struct prints *prints;
	struct layouts *layouts;
	struct idle *idle; /* NULL: the client is told nothing */
	struct ipc *ipc;
	struct gpu_time *gpu_time; /* NULL unless measured */

	pthread_mutex_t end_lock;
	char last_words[HELLO_TEXT_MAX]; /* why the session ended; empty: the client left */

	/* Dispatcher only, who writes them with every record, apart from what all threads read. */
	alignas(WORKER_APART) struct job *job; /* the one being filled or served */
	struct job *spare_jobs;		       /* free ones */
	uint64_t now_ns;		       /* a moment ago, 0: it has waited since */
	struct awaits awaits;
	bool no_gpu_answers; /* the backend cannot */

	alignas(WORKER_APART) pthread_mutex_t jobs_lock;
	struct job *free_jobs; /* under jobs_lock */
};

/* A worker over a channel (which stays the caller's) and a loaded, initialised backend. NULL when
 * out of memory. */
struct worker *worker_new(const struct worker_options *options, const struct backend *backend,
    const struct backend_host *host, struct chan *chan);

/*
 * Serves until the client is gone: 0; or until it broke the protocol: -EBADMSG, and
 * worker->last_words says how. The calling thread becomes the dispatcher.
 */
int worker_run(struct worker *worker);

/* Serves one record as if it had come from the ring: 0, or a negative errno when it ends the
 * session. For fuzzing. */
int worker_feed(struct worker *worker, const struct wire_record *record);

/* Waits for the waiters, which must be able to end; a session's process just exits instead. */
struct worker *worker_free(struct worker *worker);

/* n lanes without a thread; NULL: no memory. */
struct lane *lanes_new(uint32_t n);
/* NULL is fine. Their waiters have ended. */
void lanes_free(struct lane *lanes, uint32_t n);
/* Makes context and mode the calling thread's own in the backend; cheap when they are already. */
CUresult lane_enter(struct worker *worker, CUcontext context, CUstreamCaptureMode mode);
/* After a call that may have changed the calling thread's current context in the backend. */
void lane_left(void);
/* The capture mode a thread of the worker needs on behalf of lane. Dispatcher only. */
CUstreamCaptureMode lane_capture_mode(const struct worker *worker, const struct lane *lane);
/* The lane's own default stream in the current context, made if need be. Any thread. */
CUresult lane_own_stream(struct call *call, CUstream *stream);
/* Whether stream is one of those and still there. Any thread. */
bool lane_owns_stream(struct lane *lane, CUstream stream);
/* A context was made or ended: its streams, if any, are gone. Any thread. */
void lanes_forget_context(struct worker *worker, CUcontext context);
/* The client's thread has ended: its streams go, and its waiter. Dispatcher only. */
void lane_end(struct worker *worker, struct lane *lane);

/* Any thread. */
bool stream_is_captured(struct call *call, CUstream stream);
/* The client's thread has ended, and with it the right to end its captures. Dispatcher only. */
void capture_forget_lane(struct worker *worker, struct lane *lane);

/* Bytes of device memory that the session holds: all of it on the software GPU, else its arenas'.
 * Any thread. */
uint64_t worker_device_memory(struct worker *worker);

/* Whether a wait that ends now must synchronise, so that the driver releases what its pools hold
 * beyond their thresholds. Any thread. */
bool pools_pending(const struct worker *worker);
/* Has the driver do that. All work is done, so this does not wait. Dispatcher only. */
void pools_settle(struct worker *worker);

/* What worker_free() frees of capture.c, link.c and notification.c. */
void captures_free(struct worker *worker);
void links_free(struct worker *worker);
void notifications_free(struct worker *worker);

/* The function this thread serves, for last words; 0: none. */
extern _Thread_local volatile uint32_t worker_serving;

/* For people. */
const char *worker_function_name(uint32_t id);

/* Ends the session; the first reason is kept. Any thread. */
_printf_(2, 3) void worker_end(struct worker *worker, const char *format, ...);

/* --- jobs: any thread, each on its own --- */

/* A free job: from the thread's own list *spare, or one that was given back, or a new one. NULL:
 * out of memory. */
struct job *job_take(struct worker *worker, struct job **spare);
void job_give(struct worker *worker, struct job *job);
/* Frees those that were given back. */
void jobs_free(struct worker *worker);

/* Makes a call of job->record. If the record says so the job takes the lane's attachment; then on
 * the dispatcher only. 0, or -EBADMSG when the record is malformed. */
int job_open(struct worker *worker, struct job *job, const struct job_origin *from);

/* Runs the call, or its second half if the first one is done (call_continue()). */
CUresult job_serve(struct job *job);

/* Stores the reply and wakes the client's thread: chan_reply_commit(), or on the dispatcher
 * chan_reply_commit_soon(). */
typedef void job_commit_reply(struct chan *chan, uint16_t lane, uint32_t seq, uint32_t status,
    const struct wire_writer *writer);

/* Answers the call, or leaves its error if it was posted, counts it, and frees what the job holds;
 * the job itself stays the caller's. The time at which that was, 0: nobody looked at the clock. */
uint64_t job_close(
    struct worker *worker, struct job *job, CUresult result, job_commit_reply *commit);
/* The same, and gives the job back. */
void job_end(struct worker *worker, struct job *job, CUresult result);

/* The job a call is part of. */
struct job *call_job(struct call *call);
