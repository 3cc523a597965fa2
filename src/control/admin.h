/*
 * The admin side of rosend's socket: one JSON request, one JSON answer. What `rosen` speaks.
 *
 *	request  {"method": NAME, ...}       answer  {"version": 1, "result": ...}
 *	                                          or {"version": 1, "error": {"code", "text"}}
 *
 *	version                              versions and the process
 *	ps                                   the sessions
 *	devices                              what each backend has (asks workers; may take seconds)
 *	run-begin {run, measure, measure_gpu}
 *	                                     options for a run's sessions, before they start
 *	run-stats {run, wait_ms}             its statistics, after its sessions ended or wait_ms
 */
#pragma once

#include <json-c/json.h>
#include <stddef.h>

#define ADMIN_VERSION	  1
#define ADMIN_DEPTH_MAX	  8
#define ADMIN_WAIT_MS_MAX 10000

struct client;
struct server;

/* Handles a request; answers at once or later. May free the client. */
void admin_request(struct client *client, const char *text, size_t size);

struct json_object *admin_error(const char *code, const char *text);

/* A session is gone: whoever waits for the end of its run may be answered. */
void admin_sessions_changed(struct server *server);
/* A probe is over: whoever waits for the devices may be answered. */
void admin_probes_changed(struct server *server);
