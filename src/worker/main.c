/*
 * rosen-worker: one process per client process, started by rosend and by nobody else.
 *
 * Life. rosend forks and executes this with a control socket as descriptor 3. The worker first
 * jails itself, so that everything it opens later is inside; then it waits for CONTROL_START, which
 * may be the beginning of one of two lives:
 *
 *   probe     the backend is loaded, the devices are reported, the process exits. rosend learns in
 *             this way what the host has without ever loading a GPU driver itself.
 *   session   the channel's region and side socket come along. The worker loads and initialises the
 *             backend, attaches the channel, says CONTROL_READY, and its main thread becomes the
 *             dispatcher (dispatch.c). Until then the client waits in its first call.
 *
 * CONTROL_WARM may come first: then the backend is loaded and initialised and a device's primary
 * context is made before there is a session, so that a client need not wait for it. The
 * session takes that context over, or lets it go (context.c).
 *
 * What cannot be done is told as CONTROL_FAILED in words for the person at the other end, and the
 * process exits with status 1.
 *
 * End. There is no orderly teardown of GPU state: a process's end is the one cleanup that is always
 * complete, whatever state a driver is in, so every end is an exit. It comes
 *   - when the client's side socket hangs up: chan_next() returns -ENOTCONN;
 *   - when rosend's control socket hangs up (control_link.c), and by SIGKILL if even that fails,
 *     since the jail asked the kernel for it;
 *   - when the client broke the protocol: last words go to both sides first;
 *   - by a crash, whose last words a signal handler sends.
 *
 * Threads. main is the dispatcher; one thread watches the control socket; waiters (waiter.c) and
 * the staging area's reaper (staging.c) appear when needed; the channel and the backend have their
 * own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/error_text.h"
#include "base/log.h"
#include "chan/chan.h"
#include "wire/control.h"
#include "wire/snapshot.h"
#include "worker/backend_host.h"
#include "worker/control_link.h"
#include "worker/jail.h"
#include "worker/nvml.h"
#include "worker/output.h"
#include "worker/worker.h"

#define COMPUTE_MODE_DEFAULT 0 /* CU_COMPUTEMODE_DEFAULT: any number of processes */

static struct backend backend;
static struct backend_host host;
static unsigned warm; /* 1 + the device whose primary context is retained for the session to come */

static bool enter_jail(void)
{
	const char *step = NULL;
	int r = jail_enter(CONTROL_FD, &step);

	if (r < 0)
		control_fail("The GPU worker could not isolate itself: %s: %s. rosend's log names "
			     "the system call.",
		    step, strerror(-r));
	return r == 0;
}

/* environment: NULL: none but what this process has. */
static bool load_backend(
    uint32_t which, const char *library, const struct environment *environment, bool probe)
{
	char text[HELLO_TEXT_MAX];

	if (environment && environment_apply(environment) < 0) {
		control_fail("The GPU worker found no memory for the program's variables.");
		return false;
	}
	if (backend_open(which, library, &backend, &host, text, sizeof(text)) < 0) {
		control_fail("%s", text);
		return false;
	}
	CUresult r = backend.cuInit(0);
	if (r == CUDA_SUCCESS || (r == CUDA_ERROR_NO_DEVICE && probe))
		return true;
	control_fail("The GPU driver does not start: %s (%d). %s",
	    abi_error_name(r) ?: "unknown error", (int)r,
	    which == CONTROL_BACKEND_CUDA
		? "Is the NVIDIA driver loaded, and does nvidia-smi work on this host?"
		: "rosend's log says more.");
	return false;
}

static int count_devices(void)
{
	int n = 0;

	if (backend.cuDeviceGetCount(&n) != CUDA_SUCCESS)
		n = 0;
	return MIN(n, (int)WIRE_DEVICES_MAX);
}

static void say_ready(enum control_kind kind)
{
	struct control_ready ready = {.kind = kind, .devices = (uint32_t)count_devices()};
	int version = 0;

	if (backend.cuDriverGetVersion(&version) == CUDA_SUCCESS)
		ready.driver_version = version;
	control_send(&ready, sizeof(ready));
}

/* --- before there is a session --- */

static int attribute(CUdevice device, CUdevice_attribute which)
{
	int value = 0;

	return backend.cuDeviceGetAttribute(&value, which, device) == CUDA_SUCCESS ? value : 0;
}

/* A device for one process at a time is not kept from others while nobody uses it. */
static bool may_be_held(CUdevice device)
{
	return device >= 0 && device < count_devices() &&
	       attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_MODE) == COMPUTE_MODE_DEFAULT;
}

static bool warm_up(const struct control_warm *order)
{
	char version[sizeof(((struct snapshot *)0)->driver_text)];
	CUcontext context;

	if (!load_backend(order->backend, order->library, &order->environment, false))
		return false;
	/* What the first questions of every client will need too. */
	if (order->backend == CONTROL_BACKEND_CUDA)
		nvml_driver_version(version, sizeof(version));
	if (may_be_held(order->device) &&
	    backend.cuDevicePrimaryCtxRetain(&context, order->device) == CUDA_SUCCESS)
		warm = 1u + (unsigned)order->device;
	say_ready(CONTROL_WARMED);
	return true;
}

/* A context may break while it waits (the device was reset, or fell off the bus); then rosend
 * starts a new worker. */
static bool still_good(void)
{
	CUcontext context, popped;
	CUdevice device = (CUdevice)(warm - 1);

	if (!warm)
		return true;
	CUresult r = backend.cuDevicePrimaryCtxRetain(&context, device)
			 ?: backend.cuCtxPushCurrent_v2(context)
			 ?: backend.cuCtxSynchronize();
	backend.cuCtxPopCurrent_v2(&popped);
	r = r ?: backend.cuDevicePrimaryCtxRelease_v2(device);
	if (r != CUDA_SUCCESS)
		control_fail("The context that was made in advance broke: %s (%d).",
		    abi_error_name(r) ?: "unknown error", (int)r);
	return r == CUDA_SUCCESS;
}

/* --- a probe --- */

static void describe(CUdevice device)
{
	struct control_device message = {.kind = CONTROL_DEVICE, .ordinal = (uint32_t)device};
	CUuuid uuid = {{0}};
	size_t total = 0;

	backend.cuDeviceGetName(message.name, sizeof(message.name) - 1, device);
	backend.cuDeviceGetPCIBusId(message.pci, sizeof(message.pci) - 1, device);
	backend.cuDeviceTotalMem_v2(&total, device);
	if (backend.cuDeviceGetUuid_v2(&uuid, device) != CUDA_SUCCESS)
		backend.cuDeviceGetUuid(&uuid, device);
	memcpy(message.uuid, &uuid, sizeof(message.uuid));
	message.memory_total = total;
	message.capability_major = attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
	message.capability_minor = attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
	message.processors = attribute(device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
	message.clock_khz = attribute(device, CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
	control_send(&message, sizeof(message));
}

static int probe(void)
{
	int n = count_devices();

	say_ready(CONTROL_READY);
	for (int device = 0; device < n; device++)
		describe(device);
	return EXIT_SUCCESS;
}

/* --- a session --- */

static struct chan *attach(const struct control_start *start, int fds[2])
{
	struct chan_geometry geometry = {
	    start->ring_size, start->staging_size, start->lanes, start->functions};
	struct chan *chan = NULL;
	int r = chan_worker_attach(fds[0], fds[1], &geometry, start->spin_ns, &chan);

	fds[0] = fds[1] = -1; /* the channel's now */
	if (r < 0)
		control_fail(
		    "The GPU worker cannot use the channel it was given: %s.", strerror(-r));
	return chan;
}

static bool launches_block(const struct control_start *start)
{
	return environment_is_on(&start->environment, ENVIRONMENT_CUDA_LAUNCH_BLOCKING);
}

/* Whether the program can tell in which order launches into several streams reach the driver: one
 * that bounds the GPU's queues counts on it, for what shares a queue runs in that order. */
static bool order_counts(const struct control_start *start)
{
	return *start->environment.value[ENVIRONMENT_CUDA_DEVICE_MAX_CONNECTIONS];
}

/* Where processors are few a second thread that launches takes one from those who post. A program
 * that waits for each of its launches has no use for any. */
static unsigned issuers_of(const struct control_start *start, uint64_t processors)
{
	return processors < 4 || launches_block(start) || order_counts(start)
		   ? 0
		   : (unsigned)MIN(start->issuers, processors / 2);
}

static struct worker *make_worker(const struct control_start *start, struct chan *chan)
{
	uint64_t processors = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
	struct worker_options options = {
	    /* The software GPU's own addresses lie in the window. */
	    .arena = start->arena && start->backend == CONTROL_BACKEND_CUDA,
	    .output = start->capabilities & HELLO_CAN_OUTPUT,
	    .measure = start->measure,
	    .measure_gpu = start->measure_gpu,
	    .warm = warm,
	    .quiet_waits = start->quiet_waits,
	    .known_idle = start->known_idle,
	    .gpu_answers = start->gpu_answers,
	    .launch_blocking = launches_block(start),
	    .backend = start->backend,
	    .lanes = start->lanes,
	    .staging_size = start->staging_size,
	    .spin_ns = start->spin_ns,
	    .bulk_limit = start->bulk_limit,
	    .session = start->session,
	    .ask = control_ask,
	    .image_cache = start->image_cache,
	    .issuers = (unsigned)issuers_of(start, processors),
	};
	if (options.measure)
		backend_time(&backend);
	struct worker *worker = worker_new(&options, &backend, &host, chan);

	if (!worker || control_watch(worker) < 0) {
		control_fail("The GPU worker found no memory to start with.");
		return NULL;
	}
	return worker;
}

/* opened: the backend is there. */
static int session(const struct control_start *start, bool opened, int fds[2])
{
	struct chan *chan = attach(start, fds);

	if (!chan)
		return EXIT_FAILURE;
	if ((start->capabilities & HELLO_CAN_OUTPUT) && output_redirect() < 0)
		log_warn("what kernels print goes to this log: there is no memory to catch it in");
	control_set_client(chan);
	if (opened ? !still_good()
		   : !load_backend(start->backend, start->library, &start->environment, false))
		return EXIT_FAILURE;
	struct worker *worker = make_worker(start, chan);
	if (!worker)
		return EXIT_FAILURE;
	say_ready(CONTROL_READY);
	if (worker_run(worker) == 0)
		return EXIT_SUCCESS;
	control_last_words(chan, worker->last_words);
	return EXIT_FAILURE;
}

static int work(void)
{
	union control_order order;
	bool opened = false;
	int fds[2];

	if (!enter_jail() || control_receive(&order, fds) < 0)
		return EXIT_FAILURE;
	control_watch_crashes();
	if (order.kind == CONTROL_WARM) {
		opened = warm_up(&order.warm);
		if (!opened || control_receive(&order, fds) < 0)
			return EXIT_FAILURE;
	}
	if (order.kind != CONTROL_START)
		return EXIT_FAILURE;
	if (!order.start.probe)
		return session(&order.start, opened, fds);
	return opened || load_backend(order.start.backend, order.start.library, NULL, true)
		   ? probe()
		   : EXIT_FAILURE;
}

int main(void)
{
	struct stat control;

	log_init("worker");
	if (fstat(CONTROL_FD, &control) < 0 || !S_ISSOCK(control.st_mode)) {
		fprintf(stderr, "rosen-worker is started by rosend; run `rosen serve` or "
				"`rosen run` instead.\n");
		return EXIT_FAILURE;
	}
	int status = work();
	/* Without exit handlers: a driver's could wait for a GPU that never answers. */
	fflush(NULL);
	output_rescue();
	_exit(status);
}
