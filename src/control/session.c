/*
 * See session.h. A session's life:
 *
 *	STARTING	region made, worker started and told; waiting for CONTROL_READY
 *	  -> STARTING	the backend failed and there is another to try (`auto`), or it was a warm
 *			worker that failed: then a new one is tried
 *	  -> LIVE	the client was answered with region and side socket
 *	  -> freed	no backend, or rosend cannot: the client was answered why
 *	LIVE
 *	  -> ENDING	the client's process ended: the worker is told to end
 *	  -> freed	the worker died: the client is told how, then hung up on
 *	ENDING -> freed	when the worker is gone; only then are its statistics final
 *
 * `auto` asks for a GPU by trying: the session's own worker opens the CUDA driver and says how many
 * devices there are. A separate probe would pay the driver's start-up, a second on a real machine,
 * twice. Where it fails the software GPU takes over, which is said aloud once, and the driver is
 * not tried again for a while. What fails on rosend's own side (no descriptors, no memory) ends the
 * session: it says nothing of a backend.
 *
 * A live session lasts as long as the client's process, which is watched through a descriptor of
 * its own. Its socket says less: a child it forked may hold that open after it died, and the client
 * may close it at any time. Where there is no such descriptor (a process in a namespace rosend does
 * not see) the worker's own sign must do, the hang-up of the side socket.
 */
#include "control/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "chan/region.h"
#include "control/admin.h"
#include "control/client.h"
#include "control/images.h"
#include "control/process.h"
#include "control/server.h"
#include "control/share.h"
#include "control/warm.h"

static void try_backend(struct session *session);

static void forget_region(struct session *session)
{
	session->region = fd_close(session->region);
	session->side = fd_close(session->side);
	if (session->stats)
		munmap(
		    (void *)session->stats, session->geometry.functions * sizeof(struct chan_stat));
	session->stats = NULL;
}

static void session_free(struct session *session)
{
	struct server *server = session->server;

	list_remove(&session->link);
	server->n_sessions--;
	share_forget_session(server, session->id);
	if (session->process)
		process_abandon(session->process);
	if (session->run) {
		struct run_area area = session_statistics(session);
		run_add(session->run, &area);
		session->run->n_live--;
	}
	alarm_free(session->alarm);
	watch_free(session->peer);
	if (session->client)
		client_free(session->client);
	forget_region(session);
	free(session);
	admin_sessions_changed(server);
	/* One that never became live has taken a warm worker all the same. */
	warm_fill_soon(server);
	server_check_drained(server);
}

/* Answers why there is no session, and ends. */
static void refuse(struct session *session, enum hello_status status, const char *text)
{
	struct hello_reply reply;

	hello_refuse(&reply, status, "%s", text);
	log_info("session %llu: refused: %s", (unsigned long long)session->id, text);
	fd_send(watch_fd(session->client->watch), &reply, sizeof(reply), NULL, 0);
	session_free(session);
}

/* Tells the client what became of its worker, over the socket it has with rosend. */
static void tell_last_words(struct session *session)
{
	struct side_message message = {.kind = SIDE_LAST_WORDS};

	memcpy(message.text, session->last_words, sizeof(message.text));
	fd_send(watch_fd(session->client->watch), &message, sizeof(message), NULL, 0);
}

static void end_softly(struct session *session)
{
	session->state = SESSION_ENDING;
	session->alarm = alarm_free(session->alarm);
	session->peer = watch_free(session->peer);
	if (session->process)
		process_end(session->process);
	else
		session_free(session);
}

/* The backend of this try did not open: once more if the worker was a warm one, the next backend,
 * or the end. */
static void try_failed(struct session *session, const char *text)
{
	char all[HELLO_TEXT_MAX];

	if (!session->warm && !session->next_backend) {
		snprintf(
		    all, sizeof(all), "%s: %.240s", server_backend_name(session->backend), text);
		refuse(session, HELLO_NO_BACKEND, all);
		return;
	}
	if (!session->warm) {
		server_backend_failed(session->server, session->backend, text);
		session->backend = session->next_backend;
		session->next_backend = 0;
	}
	if (session->process)
		process_abandon(session->process);
	session->process = NULL;
	session->alarm = alarm_free(session->alarm);
	forget_region(session);
	*session->last_words = '\0';
	try_backend(session);
}

static void on_start_timeout(void *data)
{
	struct session *session = data;
	char text[128];

	snprintf(text, sizeof(text), "the worker did not open it within %llu ms (setting start_ms)",
	    (unsigned long long)session->server->config.start_ms);
	try_failed(session, text);
}

static void warn_no_gpu(struct session *session)
{
	struct server *server = session->server;
	const struct server_backend *cuda = &server->backends[CONTROL_BACKEND_CUDA];

	if (session->backend != CONTROL_BACKEND_SOFTGPU || !*cuda->why || server->warned_no_gpu ||
	    !strcmp(session->hello.backend, "softgpu"))
		return;
	server->warned_no_gpu = true;
	log_warn("no GPU is used: the software GPU runs the calls on the CPU (%s). "
		 "`rosen doctor` says what is missing; --backend softgpu is silent",
	    cuda->why);
}

static void on_ready(struct session *session, const struct control_ready *ready)
{
	struct server_backend *known = &session->server->backends[session->backend];
	struct hello_reply reply = session->reply;
	int fds[] = {session->region, session->side};

	if (session->state != SESSION_STARTING)
		return;
	if (!ready->devices && session->next_backend) {
		try_failed(session, "the driver works, but there is no device");
		return;
	}
	session->alarm = alarm_free(session->alarm);
	known->present = ready->devices > 0;
	reply.session = session->id;
	reply.region_size = session->region_size;
	reply.is_private = session->server->is_private;
	if (fd_send(watch_fd(session->client->watch), &reply, sizeof(reply), fds, 2) < 0) {
		end_softly(session);
		return;
	}
	session->region = fd_close(session->region);
	session->side = fd_close(session->side);
	session->state = SESSION_LIVE;
	if (session->run)
		session->run->n_backend[session->backend]++;
	warm_fill_soon(session->server);
	warn_no_gpu(session);
	log_info("session %llu: %s (process %d, user %u) on %s, worker %d",
	    (unsigned long long)session->id, session->hello.program, session->pid, session->uid,
	    server_backend_name(session->backend), process_pid(session->process));
}

static void on_message(void *data, const union process_message *message, int fd)
{
	struct session *session = data;

	switch (message->kind) {
	case CONTROL_READY:
		on_ready(session, &message->ready);
		break;
	case CONTROL_FAILED:
		if (session->state == SESSION_STARTING)
			try_failed(session, message->text.text);
		break;
	case CONTROL_STATUS:
		session->status = message->status;
		break;
	case CONTROL_LAST_WORDS:
		memcpy(session->last_words, message->text.text, sizeof(session->last_words));
		break;
	case CONTROL_OFFER:
	case CONTROL_TAKE:
	case CONTROL_WITHDRAW:
		if (session->state == SESSION_LIVE)
			share_message(session, &message->share, fd);
		break;
	case CONTROL_IMAGE_KEEP:
	case CONTROL_IMAGE_FETCH:
		if (session->state == SESSION_LIVE)
			images_message(session, &message->share, fd);
		break;
	}
}

static void on_ended(void *data, const char *how)
{
	struct session *session = data;
	char words[HELLO_TEXT_MAX];

	session->process = NULL;
	memcpy(words, session->last_words, sizeof(words));
	if (session->state == SESSION_STARTING) {
		snprintf(session->last_words, sizeof(session->last_words), "the worker %s%s%.160s",
		    *how ? how : "ended before it was ready", *words ? ": " : "", words);
		try_failed(session, session->last_words);
		return;
	}
	/* A worker that ends in order has seen its client leave; we may hear of that a moment
	 * later. */
	if (session->state == SESSION_LIVE && *how) {
		snprintf(session->last_words, sizeof(session->last_words),
		    "the worker of session %llu %s%s%.160s", (unsigned long long)session->id, how,
		    *words ? ": " : "", words);
		log_warn("%s (program %s, process %d)", session->last_words, session->hello.program,
		    session->pid);
		if (session->run)
			session->run->n_died++;
		if (session->client)
			tell_last_words(session);
	}
	log_info("session %llu: over", (unsigned long long)session->id);
	session_free(session);
}

static void on_peer_ended(void *data, unsigned events)
{
	struct session *session = data;

	session->client = client_free(session->client);
	share_forget_session(session->server, session->id);
	end_softly(session);
}

static int make_region(struct session *session)
{
	struct region_layout layout;
	int r = chan_region_create(&session->geometry, &session->region, &session->region_size);

	if (r < 0)
		return error_trace(r);
	r = region_layout(&session->geometry, &layout);
	if (r < 0)
		return error_trace(r);
	session->geometry = layout.geometry;
	if (!session->geometry.functions)
		return 0;
	void *stats = mmap(NULL, session->geometry.functions * sizeof(struct chan_stat), PROT_READ,
	    MAP_SHARED, session->region, (off_t)layout.stats);
	if (stats == MAP_FAILED)
		return error_origin(-errno);
	session->stats = stats;
	return 0;
}

static void fill_start(const struct session *session, struct control_start *start)
{
	const struct config *config = &session->server->config;

	*start = (struct control_start){
	    .kind = CONTROL_START,
	    .backend = session->backend,
	    .arena = config->arena,
	    .quiet_waits = config->quiet_waits,
	    .known_idle = config->known_idle,
	    .gpu_answers = config->gpu_answers,
	    .measure = session->run && session->run->measure &&
		       session->reply.capabilities & HELLO_CAN_TIMES,
	    .measure_gpu = session->run && session->run->measure_gpu,
	    .lanes = session->geometry.lanes,
	    .functions = session->geometry.functions,
	    .session = session->id,
	    .ring_size = session->geometry.ring_size,
	    .staging_size = session->geometry.staging_size,
	    .region_size = session->region_size,
	    .spin_ns = config->spin_us * NSEC_PER_USEC,
	    .bulk_limit = config->session_bulk_limit,
	    .image_cache = config->image_cache,
	    .issuers = config->issuers,
	    .capabilities = session->reply.capabilities,
	    .client_pid = (uint64_t)session->pid,
	    .environment = session->hello.environment,
	};
	server_backend_library(session->server, session->backend, start->library);
}

/* A warm worker that fits, but not after one has failed; else a new one. */
static int take_process(struct session *session, char *error)
{
	struct process_owner owner = {on_message, on_ended, session};
	bool failed_warm = session->warm;

	session->warm = false;
	session->process = failed_warm ? NULL
				       : warm_take(session->server, session->backend,
					     &session->hello.environment, &owner, &session->warm);
	return session->process
		   ? 0
		   : error_trace(process_new(session->server, &owner, &session->process, error));
}

/* Region, side socket and process; *other: the worker's end of the side socket. Fails for want of
 * something on rosend's side, whatever the backend. */
static int make_ends(struct session *session, int *other, char *error)
{
	int side[2];
	int r = make_region(session);

	if (r == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, side) < 0)
		r = error_origin(-errno);
	if (r < 0) {
		snprintf(error, HELLO_TEXT_MAX,
		    "rosend cannot make a channel: %s (settings ring_size, lanes, staging_size; "
		    "limits on memory and descriptors)",
		    strerror(-r));
		return r;
	}
	session->side = side[1];
	*other = side[0];
	r = take_process(session, error);
	if (r == 0)
		r = alarm_new(session->server->loop, session->server->config.start_ms,
		    on_start_timeout, session, &session->alarm);
	return error_trace(r);
}

static void try_backend(struct session *session)
{
	char error[HELLO_TEXT_MAX] = "rosend is out of memory";
	_cleanup_fd_ int other = -1;
	struct control_start start;
	int r = make_ends(session, &other, error);

	/* No backend is to blame, so another would not do better. */
	if (r < 0) {
		refuse(session, HELLO_FAILED, error);
		return;
	}
	fill_start(session, &start);
	r = process_send(
	    session->process, &start, sizeof(start), (int[]){session->region, other}, 2);
	if (r < 0) {
		snprintf(error, sizeof(error), "the worker ended at once (%s)", strerror(-r));
		try_failed(session, error);
	}
}

static void watch_peer(struct session *session)
{
	int fd = session->pid > 0 ? (int)syscall(SYS_pidfd_open, session->pid, 0) : -1;

	if (fd >= 0)
		watch_new(
		    session->server->loop, fd, WATCH_READ, on_peer_ended, session, &session->peer);
}

/* What to try, in order; `auto` leaves it to this server's setting. False: no such backend. */
static bool choose_backends(struct session *session)
{
	struct server *server = session->server;
	const char *name = session->hello.backend;
	const struct server_backend *cuda = &server->backends[CONTROL_BACKEND_CUDA];

	if (!*name || !strcmp(name, "auto"))
		name = server->config.backend;
	session->backend = server_backend_named(name);
	if (session->backend)
		return true;
	if (strcmp(name, "auto"))
		return false;
	session->backend = server_backend_auto(server);
	if (session->backend == CONTROL_BACKEND_CUDA && !cuda->present)
		session->next_backend = CONTROL_BACKEND_SOFTGPU;
	return true;
}

/* Of the statistics area. */
static uint32_t count_rows(const struct hello_request *hello, const struct hello_reply *reply)
{
	uint32_t n = MIN(hello->n_functions, FUNCTIONS_MAX);

	if (!(reply->capabilities & HELLO_CAN_STATS))
		return 0;
	return reply->capabilities & HELLO_CAN_TIMES ? 2 * n : n;
}

void session_open(struct server *server, struct client *client, const struct hello_request *hello,
    const struct hello_reply *reply)
{
	struct session *session = calloc(1, sizeof(*session));
	char text[HELLO_TEXT_MAX];

	if (!session) {
		client_refuse(client, HELLO_FAILED, "rosend is out of memory");
		return;
	}
	session->server = server;
	session->client = client;
	client->session = session;
	session->region = session->side = -1;
	session->id = ++server->next_session;
	session->started_ns = clock_now_ns();
	session->uid = client->peer.uid;
	session->pid = client->peer.pid;
	session->hello = *hello;
	session->reply = *reply;
	session->geometry = (struct chan_geometry){
	    .ring_size = server->config.ring_size,
	    .staging_size = server->config.staging_size,
	    .lanes = (uint32_t)MIN(server->config.lanes, WIRE_LANES_MAX),
	    .functions = count_rows(hello, reply),
	};
	list_append(&server->sessions, &session->link);
	server->n_sessions++;
	if (*hello->run)
		session->run = run_take(server, hello->run, session->uid);
	if (session->run) {
		session->run->n_live++;
		session->run->n_sessions++;
	}
	if (server->n_sessions > server->config.sessions_max) {
		snprintf(text, sizeof(text),
		    "this rosend serves at most %llu sessions (setting sessions_max)",
		    (unsigned long long)server->config.sessions_max);
		refuse(session, HELLO_REFUSED, text);
		return;
	}
	if (!choose_backends(session)) {
		snprintf(text, sizeof(text),
		    "there is no backend \"%s\": auto, cuda and softgpu are there",
		    session->hello.backend);
		refuse(session, HELLO_NO_BACKEND, text);
		return;
	}
	watch_peer(session);
	try_backend(session);
}

void session_client_gone(struct session *session)
{
	session->client = NULL;
	if (session->state == SESSION_STARTING)
		end_softly(session);
}

struct run_area session_statistics(const struct session *session)
{
	bool times = session->reply.capabilities & HELLO_CAN_TIMES;
	uint32_t n = session->geometry.functions / (times ? 2 : 1);

	if (!session->stats)
		return (struct run_area){0};
	return (struct run_area){
	    .stats = session->stats,
	    .times = times ? (const struct chan_time *)(session->stats + n) : NULL,
	    .n_rows = n,
	};
}

const char *session_state_name(enum session_state state)
{
	static const char *const names[] = {"starting", "live", "ending"};

	return names[state];
}

void session_end_all(struct server *server)
{
	list_for_each (&server->sessions, link) {
		struct session *session = container_of(link, struct session, link);
		if (session->state == SESSION_ENDING)
			continue;
		session->client = client_free(session->client);
		end_softly(session);
	}
}
