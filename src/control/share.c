/* See share.h. A list: looked through when something is opened, which is rare, and never long. */
#include "control/share.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "control/process.h"
#include "control/server.h"
#include "control/session.h"

struct share {
	struct list link; /* of server->shares */
	struct control_share what;
	uid_t uid;
	enum control_backend backend;
	int fd;		      /* -1: none came with it */
	struct watch *ticket; /* our end; NULL: it ends with its session */
};

static void share_free(struct share *share)
{
	list_remove(&share->link);
	watch_free(share->ticket);
	fd_close(share->fd);
	free(share);
}

/* The last copy was closed. One that somebody writes to is no ticket any more either. */
static void on_ticket(void *data, unsigned events)
{
	share_free(data);
}

static unsigned count_of(const struct server *server, uid_t uid)
{
	unsigned n = 0;

	list_for_each (&server->shares, link)
		n += container_of(link, struct share, link)->uid == uid;
	return n;
}

static struct share *find(const struct session *session, const struct share_token *token)
{
	list_for_each (&session->server->shares, link) {
		struct share *share = container_of(link, struct share, link);
		if (share->uid == session->uid && share->backend == session->backend &&
		    !memcmp(&share->what.token, token, sizeof(*token)))
			return share;
	}
	return NULL;
}

/* *holder: the end that goes to the program. */
static int make_ticket(struct server *server, struct share *share, int *holder)
{
	struct share_name name = share_name(&share->what.token);
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_origin(-errno);
	int r = fd_send(pair[0], &name, sizeof(name), NULL, 0);
	if (r < 0)
		fd_close(pair[0]);
	else
		r = watch_new(server->loop, pair[0], WATCH_READ, on_ticket, share, &share->ticket);
	if (r < 0)
		fd_close(pair[1]);
	else
		*holder = pair[1];
	return error_trace(r);
}

static int fill(
    struct share *share, struct session *session, const struct control_share *message, int fd)
{
	share->what = *message;
	share->what.session = session->id;
	share->uid = session->uid;
	share->backend = session->backend;
	if (getrandom(&share->what.token, sizeof(share->what.token), 0) !=
	    sizeof(share->what.token))
		return error_origin(-EIO);
	if (fd >= 0) {
		share->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (share->fd < 0)
			return error_origin(-errno);
		if (fd_is_crowded(share->fd))
			return error_origin(-ENOSPC);
	}
	return 0;
}

/* *holder: the program's end of a ticket, -1 where there is none. */
static int offer(struct session *session, struct control_share *message, int fd, int *holder)
{
	if (message->type < SHARE_MEMORY || message->type > SHARE_HANDLE ||
	    share_is_data(message->type) != (fd < 0))
		return error_origin(-EINVAL);
	if (count_of(session->server, session->uid) >= SHARE_USER_MAX) {
		log_warn("user %u shares %u memories, events and pools: more are refused",
		    session->uid, SHARE_USER_MAX);
		return -ENOSPC;
	}
	struct share *share = calloc(1, sizeof(*share));
	if (!share)
		return error_origin(-ENOMEM);
	share->fd = -1;
	list_init(&share->link);
	int r = fill(share, session, message, fd);
	if (r == 0 && share_has_ticket(message->type))
		r = make_ticket(session->server, share, holder);
	if (r < 0) {
		share_free(share);
		return error_trace(r);
	}
	list_append(&session->server->shares, &share->link);
	*message = share->what;
	return 0;
}

static int take(struct session *session, struct control_share *message, int *fd)
{
	struct share *share = find(session, &message->token);

	if (!share)
		return -ENOENT; /* programs may ask for what is over */
	*message = share->what;
	*fd = share->fd;
	return 0;
}

static void withdraw(struct session *session, const struct control_share *message)
{
	struct share *share = find(session, &message->token);

	if (share && share->what.session == session->id && !share->ticket)
		share_free(share);
}

void share_message(struct session *session, const struct control_share *message, int fd)
{
	struct control_share answer = *message;
	_cleanup_fd_ int holder = -1;
	int sent = -1, r;

	if (message->kind == CONTROL_WITHDRAW) {
		withdraw(session, message);
		return;
	}
	if (message->kind == CONTROL_OFFER) {
		r = offer(session, &answer, fd, &holder);
		sent = holder;
	} else {
		r = take(session, &answer, &sent);
	}
	answer.kind = CONTROL_SHARED;
	answer.status = (uint32_t)-r;
	/* A worker that does not read its one answer waits for it no more: it is of no use. */
	if (process_send(session->process, &answer, sizeof(answer), &sent, sent >= 0) < 0)
		process_end(session->process);
}

void share_forget_session(struct server *server, uint64_t session)
{
	list_for_each (&server->shares, link) {
		struct share *share = container_of(link, struct share, link);
		if (share->what.session == session && !share->ticket)
			share_free(share);
	}
}

void share_fini_all(struct server *server)
{
	list_for_each (&server->shares, link)
		share_free(container_of(link, struct share, link));
}
