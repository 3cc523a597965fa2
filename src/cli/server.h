/*
 * Finding a rosend, starting a private one, and asking it things. Functions that fail have printed
 * why, unless their comment says otherwise.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/config.h"
#include "base/install.h"

/* A rosend that lives as long as this process, or an existing one. */
struct server_use {
	char socket[INSTALL_PATH_MAX];
	/* Of a private one: socket and what the caller puts in. Short enough for an address. */
	char folder[96];
	pid_t pid; /* of a private one; 0: existing, or gone */
	int leash; /* its end lets a private one end; -1 */
};

/*
 * The rosend that the settings name, or the user's own when it runs. 0: found; 1: the settings name
 * none and none runs; negative: it cannot be reached, or it is not to be trusted (printed).
 */
int server_find(const struct config *config, struct server_use *use);

/* Starts a private rosend; it ends with this process, however that ends. warm: a client comes, so a
 * worker may open the backend meanwhile (setting warm_workers). */
int server_start_private(const struct config *config, bool warm, struct server_use *use);

/* server_find(), else server_start_private(). */
int server_take(const struct config *config, bool warm, struct server_use *use);

/* Ends a private rosend, waits for it, and removes its folder. */
void server_give(struct server_use *use);

/*
 * Asks: {"method": method} with the members of request (taken over; NULL: none). The result is
 * returned, which is of that type; NULL after a message. timeout_ms: how long to wait for the
 * answer.
 */
struct json_object *server_ask(const struct server_use *use, const char *method,
    struct json_object *request, enum json_type type, int timeout_ms);
