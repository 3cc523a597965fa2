/*
 * See client.h. Everything a connection sends is hostile until shown otherwise: messages are
 * bounded, a connection that says nothing or does not read its answer is dropped after a while, and
 * when too many are no sessions the oldest of them must go, so that newcomers always get their
 * turn.
 *
 * Who may not enter (admit.h) is told so, in the language of his first message.
 */
#include "control/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "control/admin.h"
#include "control/server.h"
#include "control/session.h"

#define ANSWER_MS 5000 /* for reading an answer */

struct client *client_free(struct client *client)
{
	if (!client)
		return NULL;
	if (client->state != CLIENT_SESSION)
		client->server->n_door--;
	list_remove(&client->link);
	watch_free(client->watch);
	alarm_free(client->alarm);
	json_object_put(client->answer);
	free(client);
	return NULL;
}

static void on_late(void *data)
{
	struct client *client = data;

	log_debug("a connection of user %u was too slow", client->peer.uid);
	client_free(client);
}

static bool may_enter(const struct client *client)
{
	return admit_peer(&client->server->admit, watch_fd(client->watch), &client->peer);
}

void client_refuse(struct client *client, enum hello_status status, const char *text)
{
	struct hello_reply reply;

	hello_refuse(&reply, status, "%s", text);
	log_info("process %d of user %u is refused: %s", client->peer.pid, client->peer.uid, text);
	fd_send(watch_fd(client->watch), &reply, sizeof(reply), NULL, 0);
	client_free(client);
}

/* Sends what the socket takes. */
static void send_answer(struct client *client)
{
	size_t size;
	const char *text =
	    json_object_to_json_string_length(client->answer, JSON_C_TO_STRING_PLAIN, &size);

	while (text && client->sent < size) {
		size_t piece = MIN(size - client->sent, (size_t)CLIENT_CHUNK);
		int r = fd_send(watch_fd(client->watch), text + client->sent, piece, NULL, 0);
		if (r == -EAGAIN) {
			watch_set_events(client->watch, WATCH_READ | WATCH_WRITE);
			return;
		}
		if (r < 0)
			break;
		client->sent += piece;
	}
	client_free(client);
}

static void enter_state(struct client *client, enum client_state state)
{
	if (state == CLIENT_SESSION)
		client->server->n_door--;
	client->state = state;
	client->alarm = alarm_free(client->alarm);
}

void client_answer(struct client *client, struct json_object *answer)
{
	enter_state(client, CLIENT_ANSWERED);
	client->answer = answer;
	if (!answer ||
	    alarm_new(client->server->loop, ANSWER_MS, on_late, client, &client->alarm) < 0) {
		client_free(client);
		return;
	}
	send_answer(client);
}

/* What who may not enter is told. */
static void say_who_may(const struct client *client, char text[static HELLO_TEXT_MAX])
{
	snprintf(text, HELLO_TEXT_MAX,
	    "user %u may not use this rosend: its owner can name users in the settings "
	    "allow_users and allow_groups",
	    client->peer.uid);
}

static void open_session(struct client *client, const void *bytes, size_t size)
{
	struct hello_request hello;
	struct hello_reply reply;
	char text[HELLO_TEXT_MAX];

	if (!may_enter(client)) {
		say_who_may(client, text);
		client_refuse(client, HELLO_REFUSED, text);
	} else if (hello_request_parse(bytes, size, &hello) < 0) {
		client_refuse(client, HELLO_REFUSED, "the hello is malformed: no client of Rosen");
	} else if (!hello_negotiate(&hello, &reply)) {
		client_refuse(client, (enum hello_status)reply.status, reply.text);
	} else {
		enter_state(client, CLIENT_SESSION);
		session_open(client->server, client, &hello, &reply);
	}
}

void client_first_message(struct client *client, const void *bytes, size_t size)
{
	char text[HELLO_TEXT_MAX];

	if (size && *(const char *)bytes != '{') {
		open_session(client, bytes, size);
		return;
	}
	if (!may_enter(client)) {
		say_who_may(client, text);
		client_answer(client, admin_error("permission", text));
		return;
	}
	enter_state(client, CLIENT_ANSWERED);
	admin_request(client, bytes, size);
}

/* Whatever comes after the first message ends the connection: nothing is to be said. */
static void hang_up(struct client *client)
{
	if (client->session)
		session_client_gone(client->session);
	client_free(client);
}

static void on_ready(void *data, unsigned events)
{
	static char message[CLIENT_MESSAGE_MAX];
	struct client *client = data;

	if (events & WATCH_READ) {
		ssize_t size = fd_receive(
		    watch_fd(client->watch), message, sizeof(message), NULL, NULL, MSG_DONTWAIT);
		if (size > 0 && client->state == CLIENT_AT_DOOR) {
			client_first_message(client, message, (size_t)size);
			return;
		}
		if (size != -EAGAIN) {
			hang_up(client);
			return;
		}
	}
	if (events & WATCH_WRITE && client->state == CLIENT_ANSWERED)
		send_answer(client);
}

/* Drops the oldest connection that is no session. */
static void make_room(struct server *server)
{
	list_for_each (&server->clients, link) {
		struct client *client = container_of(link, struct client, link);
		if (client->state == CLIENT_SESSION)
			continue;
		client_free(client);
		return;
	}
}

int client_new(struct server *server, int socket)
{
	struct client *client = calloc(1, sizeof(*client));
	socklen_t length = sizeof(client->peer);

	if (!client) {
		fd_close(socket);
		return error_origin(-ENOMEM);
	}
	client->server = server;
	client->state = CLIENT_AT_DOOR;
	list_init(&client->link);
	server->n_door++;
	int r = 0;
	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &client->peer, &length) < 0) {
		r = error_origin(-errno);
		fd_close(socket);
	}
	if (r == 0)
		r = watch_new(server->loop, socket, WATCH_READ, on_ready, client, &client->watch);
	if (r == 0)
		r = alarm_new(
		    server->loop, server->config.door_ms, on_late, client, &client->alarm);
	if (r < 0) {
		client_free(client);
		return error_trace(r);
	}
	if (server->n_door > server->config.door_max)
		make_room(server);
	list_append(&server->clients, &client->link);
	return 0;
}
