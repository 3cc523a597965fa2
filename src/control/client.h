/*
 * One connection to rosend. Its first message decides what it is: '{' begins an admin request,
 * which is answered and hung up on; a binary hello begins a session, whose client it is from then
 * on.
 */
#pragma once

#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/list.h"
#include "control/run.h"
#include "wire/hello.h"

#define CLIENT_MESSAGE_MAX (64 * 1024) /* bytes of a first message */
#define CLIENT_CHUNK	   (32 * 1024) /* an admin answer comes in messages of this size */

struct server;
struct session;

enum client_state {
	CLIENT_AT_DOOR,	      /* has said nothing yet; `alarm` limits that */
	CLIENT_AWAITS_PROBES, /* asked for the devices */
	CLIENT_AWAITS_RUN,    /* asked for a run's statistics, once its sessions are over */
	CLIENT_ANSWERED,      /* reads its answer; `alarm` limits that */
	CLIENT_SESSION,
};

struct client {
	struct list link; /* of server->clients, in the order of their coming */
	struct server *server;
	struct watch *watch;
	struct alarm *alarm;
	struct ucred peer;
	enum client_state state;
	struct session *session;
	char run[RUN_ID_MAX];
	struct json_object *answer;
	size_t sent; /* bytes of the answer's text */
};

/* A new connection; socket is taken over, also on failure. */
int client_new(struct server *server, int socket);
struct client *client_free(struct client *client);

/* What on_message() does with a first message; for fuzzing as well. May free the client. */
void client_first_message(struct client *client, const void *bytes, size_t size);

/* Sends an admin answer (taken over) and hangs up when it was read. NULL: out of memory. */
void client_answer(struct client *client, struct json_object *answer);

/* Answers a hello with a refusal and frees the client. */
void client_refuse(struct client *client, enum hello_status status, const char *text);
