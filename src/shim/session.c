/*
 * Opening the session, noticing its end, surviving fork().
 *
 * The first call that must know something of the server (cuDriverGetVersion or cuInit, whichever
 * comes first) connects to rosend, says hello, attaches the channel and reserves the two address
 * windows; device.c then fetches the snapshot. cuInit opens the gate that every other entry waits
 * behind. All of it happens under one mutex; afterwards the session's fields are constant and read
 * without one.
 *
 * The session ends in three ways. The process ends: nothing is done, the kernel hangs up for us,
 * and calls made by exit handlers still work. The worker dies: the first thread whose channel
 * operation fails says so on stderr, with the worker's last words if it had any, and from then on
 * every call that would leave the process fails with CUDA_ERROR_LAUNCH_FAILED, the error that CUDA
 * defines as "the process must be terminated and relaunched" and that frameworks treat so;
 * questions with local answers keep working, so that error paths can still print names. The process
 * forks: the child's copy is dead (CUDA does not survive fork either), its channel is unmapped and
 * its entries return CUDA_ERROR_NOT_INITIALIZED. A child whose parent never called cuInit starts
 * afresh. NVML has no such rule: for its questions any child may connect, with the gate closed for
 * good.
 */
#include "shim/session.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/context_storage.h"
#include "abi/managed.h"
#include "base/fd.h"
#include "base/install.h"
#include "base/log.h"
#include "base/socket.h"
#include "gen/api_desc.h"
#include "shim/callback.h"
#include "shim/descriptor.h"
#include "shim/device.h"
#include "shim/graph_change.h"
#include "shim/logs.h"
#include "shim/object.h"
#include "shim/observe.h"
#include "shim/pool_reuse.h"
#include "shim/range.h"
#include "shim/team.h"
#include "shim/thread.h"
#include "shim/variables.h"
#include "wire/hello.h"

/* What a rosend that has to start a worker may take for its answer. */
#define HELLO_TIMEOUT_S 60

struct session session;
_Atomic uint32_t shim_gate = SHIM_GATE_CLOSED;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_flag lost_said = ATOMIC_FLAG_INIT;
static bool no_server_said;
static bool is_private;	      /* the session's rosend: it is one `rosen run`'s */
static bool cuda_before_fork; /* some ancestor called cuInit */

static void after_fork(void)
{
	cuda_before_fork |=
	    atomic_load_explicit(&session.state, memory_order_relaxed) >= SESSION_OPEN;
	pthread_mutex_init(&lock, NULL);
	shim_object_after_fork();
	range_after_fork();
	managed_after_fork();
	device_after_fork();
	abi_storage_after_fork();
	callback_after_fork();
	descriptor_after_fork();
	logs_after_fork();
	team_after_fork();
	pool_reuse_after_fork();
	graph_changes_after_fork();
	if (session.chan) {
		chan_abandon(session.chan);
		session.chan = NULL;
	}
	memset(&shim_thread, 0, sizeof(shim_thread));
	atomic_store(&shim_gate, SHIM_GATE_CLOSED);
	atomic_store(&session.state, cuda_before_fork ? SESSION_FORKED : SESSION_NEW);
}

/* Messages of the hello itself come once per process: programs try cuInit again and again. */
_printf_(1, 2) static CUresult refuse(const char *format, ...)
{
	char text[512];
	va_list arguments;

	if (!no_server_said) {
		va_start(arguments, format);
		vsnprintf(text, sizeof(text), format, arguments);
		va_end(arguments);
		log_error("%s", text);
	}
	no_server_said = true;
	return CUDA_ERROR_NO_DEVICE;
}

static int connect_server(struct sockaddr_un *address)
{
	struct timeval timeout = {.tv_sec = HELLO_TIMEOUT_S};
	int r = 0;

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (!*session.config.server)
		r = install_socket_path(address->sun_path, sizeof(address->sun_path));
	else if (strlen(session.config.server) < sizeof(address->sun_path))
		strcpy(address->sun_path, session.config.server);
	else
		r = -ENAMETOOLONG;
	if (r < 0)
		return r;
	int fd = fd_above_standard(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	while (connect(fd, (struct sockaddr *)address, sizeof(*address)) < 0) {
		if (errno == EINTR)
			continue;
		r = -errno;
		fd_close(fd);
		return r;
	}
	if (!*session.config.server && !socket_peer_is_ours(fd)) {
		fd_close(fd);
		return -EPERM;
	}
	return fd;
}

static void fill_request(struct hello_request *request)
{
	const char *run = getenv("ROSEN_RUN");

	hello_request_init(request);
	request->pid = (uint32_t)getpid();
	request->n_functions = API_N_FUNCTIONS;
	snprintf(request->program, sizeof(request->program), "%s", program_invocation_short_name);
	snprintf(request->backend, sizeof(request->backend), "%.31s", session.config.backend);
	if (run)
		snprintf(request->run, sizeof(request->run), "%.31s", run);
}

/* Says hello on fd; on success fds holds region and side socket. */
static int say_hello(int fd, struct hello_reply *reply, int fds[2])
{
	struct hello_request request;
	union {
		struct hello_reply reply;
		char bytes[4096];
	} buffer;
	size_t n_fds = 2;

	fill_request(&request);
	variables_tell(&request.environment);
	int r = fd_send(fd, &request, sizeof(request), NULL, 0);
	if (r < 0)
		return r;
	fds[0] = fds[1] = -1;
	ssize_t size = fd_receive(fd, &buffer, sizeof(buffer), fds, &n_fds, 0);
	if (size < 0)
		return (int)size;
	r = hello_reply_parse(&buffer, (size_t)size, reply);
	if (r == 0)
		r = hello_reply_check(&request, reply);
	if (r == 0 && n_fds != 2)
		r = -EBADMSG;
	if (r != 0) {
		fds[0] = fd_close(fds[0]);
		fds[1] = fd_close(fds[1]);
	}
	return r;
}

static bool reserve(uint64_t base, uint64_t size, const char *what)
{
	void *wanted = (void *)(uintptr_t)base; /* NOLINT(performance-no-int-to-ptr) */
	void *got = mmap(wanted, size, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if (got == wanted)
		return true;
	if (got != MAP_FAILED)
		munmap(got, size);
	log_warn("cannot reserve the address window of %s memory at 0x%llx (%s): addresses of the "
		 "program and of the device might be mistaken for each other; raise the limit on "
		 "virtual memory (ulimit -v)",
	    what, (unsigned long long)base, strerror(errno));
	return false;
}

/* Once: the child of a fork() inherits them. */
static void reserve_windows(void)
{
	static bool reserved;

	if (!reserved) {
		session.device_reserved =
		    reserve(WIRE_DEVICE_WINDOW_BASE, WIRE_DEVICE_WINDOW_SIZE, "device");
		session.host_reserved =
		    reserve(WIRE_HOST_WINDOW_BASE, WIRE_HOST_WINDOW_SIZE, "pinned host");
	}
	reserved = true;
}

static CUresult attach(void)
{
	struct sockaddr_un address;
	struct hello_reply reply;
	int fds[2];

	_cleanup_fd_ int fd = connect_server(&address);
	if (fd == -EACCES || fd == -EPERM)
		return refuse("%s: %s: whoever runs that rosend must let this user in "
			      "(allow_users, allow_groups in its rosen.conf)",
		    address.sun_path, strerror(-fd));
	if (fd < 0)
		return refuse("no rosend answers at %s (%s): start the program with `rosen run`, "
			      "start rosend, or name its socket in ROSEN_SERVER",
		    address.sun_path, strerror(-fd));
	int r = say_hello(fd, &reply, fds);
	if (r == HELLO_NOT_OK)
		return refuse("rosend at %s refuses: %s", address.sun_path, reply.text);
	if (r < 0)
		return refuse("rosend at %s does not answer as expected (%s): see its log",
		    address.sun_path, strerror(-r));
	r = chan_client_attach(fds[0], fds[1], session.config.spin_us * 1000, &session.chan);
	if (r < 0)
		return refuse("cannot attach the channel that rosend at %s made (%s): are this "
			      "library and rosend of the same release?",
		    address.sun_path, strerror(-r));
	session.id = reply.session;
	is_private = reply.is_private;
	session.capabilities = reply.capabilities;
	session.sync |= variables_told(&reply);
	return CUDA_SUCCESS;
}

static CUresult connect_locked(void)
{
	static bool prepared;

	if (!prepared) {
		log_init("shim");
		if (shim_thread_init() < 0 || pthread_atfork(NULL, NULL, after_fork) != 0)
			return CUDA_ERROR_OUT_OF_MEMORY;
		prepared = true;
	}
	config_init(&session.config);
	config_read_environment(&session.config);
	session.sync = session.config.sync;
	session.cache = session.config.cache;
	session.known_idle = session.config.known_idle;
	session.pool_reuse = session.config.pool_reuse;
	session.graph_posts = session.config.graph_posts;

	CUresult r = attach();
	if (r != CUDA_SUCCESS)
		return r;
	shim_object_init();
	observe_init();
	reserve_windows();
	atomic_store_explicit(&session.state, SESSION_CONNECTED, memory_order_release);
	r = device_fetch_snapshot();
	if (r != CUDA_SUCCESS) {
		log_error(
		    "the worker does not tell its devices (CUresult %d): see rosend's log", r);
		session.chan = chan_free(session.chan);
		atomic_store(&session.state, cuda_before_fork ? SESSION_FORKED : SESSION_NEW);
		return CUDA_ERROR_NO_DEVICE;
	}
	return CUDA_SUCCESS;
}

static CUresult session_begin(bool also_forked)
{
	CUresult r = CUDA_SUCCESS;
	uint32_t state = atomic_load_explicit(&session.state, memory_order_acquire);

	if (likely(state == SESSION_OPEN || state == SESSION_CONNECTED))
		return CUDA_SUCCESS;
	pthread_mutex_lock(&lock);
	state = atomic_load(&session.state);
	if (state == SESSION_NEW || (state == SESSION_FORKED && also_forked))
		r = connect_locked();
	else if (state == SESSION_FORKED)
		r = CUDA_ERROR_NOT_INITIALIZED;
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult session_connect(void)
{
	return session_begin(false);
}

CUresult session_connect_nvml(void)
{
	return session_begin(true);
}

CUresult session_error(void)
{
	return atomic_load(&session.state) == SESSION_LOST ? CUDA_ERROR_LAUNCH_FAILED
							   : CUDA_ERROR_NOT_INITIALIZED;
}

CUresult session_lost(int r)
{
	char words[HELLO_TEXT_MAX];

	if (atomic_load(&session.state) == SESSION_FORKED)
		return CUDA_ERROR_NOT_INITIALIZED;
	if (!atomic_flag_test_and_set(&lost_said)) {
		descriptor_last_words(words, sizeof(words));
		log_error("session %llu has lost its worker (%s): %s. This process must be started "
			  "again; until then its CUDA calls fail with CUDA_ERROR_LAUNCH_FAILED",
		    (unsigned long long)session.id, strerror(-r),
		    *words ? words
		    : is_private
			? "it left no message: `rosen run` has ended, and its private "
			  "rosend with it, or this program closed descriptors that are not its own"
			: "it left no message, see rosend's log");
	}
	atomic_store(&session.state, SESSION_LOST);
	return CUDA_ERROR_LAUNCH_FAILED;
}

CUresult session_open(void)
{
	CUresult r = session_connect();

	if (r != CUDA_SUCCESS)
		return r;
	if (cuda_before_fork)
		return CUDA_ERROR_NOT_INITIALIZED;
	r = device_check_any();
	if (r != CUDA_SUCCESS)
		return r;
	pthread_mutex_lock(&lock);
	if (atomic_load(&session.state) == SESSION_CONNECTED) {
		variables_look_again();
		atomic_store(&session.state, SESSION_OPEN);
		atomic_store(&shim_gate, observe_wanted() ? SHIM_GATE_OBSERVE : SHIM_GATE_OPEN);
	}
	pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}
