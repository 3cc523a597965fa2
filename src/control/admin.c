/*
 * See admin.h. A table of methods; a method answers its client or leaves it in a waiting state,
 * from which admin_*_changed() or its alarm takes it. An answer is sent in pieces (client.c), so
 * its size is not bound by the socket's message size.
 */
#include "control/admin.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "control/client.h"
#include "control/probe.h"
#include "control/process.h"
#include "control/run.h"
#include "control/server.h"
#include "control/session.h"
#include "control/warm.h"
#include "wire/limits.h"

static void add_text(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text));
}

static void add_number(struct json_object *object, const char *key, uint64_t number)
{
	json_object_object_add(object, key, json_object_new_uint64(number));
}

static struct json_object *envelope(const char *key, struct json_object *content)
{
	struct json_object *answer = json_object_new_object();

	json_object_object_add(answer, "version", json_object_new_int(ADMIN_VERSION));
	json_object_object_add(answer, key, content);
	return answer;
}

struct json_object *admin_error(const char *code, const char *text)
{
	struct json_object *error = json_object_new_object();

	add_text(error, "code", code);
	add_text(error, "text", text);
	return envelope("error", error);
}

static void answer_version(struct client *client, struct json_object *request)
{
	struct server *server = client->server;
	struct json_object *result = json_object_new_object();

	add_text(result, "rosend", ROSEN_VERSION);
	add_number(result, "wire", WIRE_VERSION);
	add_number(result, "wire_min", WIRE_VERSION_MIN);
	add_number(result, "pid", (uint64_t)getpid());
	add_text(result, "prefix", server->install.prefix);
	add_text(result, "backend", server->config.backend);
	add_number(result, "warm", warm_count_ready(server));
	add_number(result, "up_ms", (clock_now_ns() - server->started_ns) / NSEC_PER_MSEC);
	client_answer(client, envelope("result", result));
}

static struct json_object *session_json(const struct session *session, uint64_t now)
{
	struct json_object *object = json_object_new_object();

	add_number(object, "session", session->id);
	add_number(object, "pid", (uint64_t)session->pid);
	add_number(object, "uid", session->uid);
	add_text(object, "program", session->hello.program);
	add_text(object, "backend", server_backend_name(session->backend));
	add_text(object, "state", session_state_name(session->state));
	add_text(object, "run", session->hello.run);
	add_number(object, "age_ms", (now - session->started_ns) / NSEC_PER_MSEC);
	add_number(
	    object, "worker", session->process ? (uint64_t)process_pid(session->process) : 0);
	add_number(object, "device_memory", session->status.device_memory);
	add_number(object, "objects", session->status.objects);
	return object;
}

/* Each user sees his own sessions; root and rosend's user see all. */
static bool may_see(const struct client *client, uid_t uid)
{
	return client->peer.uid == uid || client->peer.uid == 0 || client->peer.uid == geteuid();
}

static void answer_ps(struct client *client, struct json_object *request)
{
	struct json_object *result = json_object_new_array();
	uint64_t now = clock_now_ns();

	list_for_each (&client->server->sessions, link) {
		struct session *session = container_of(link, struct session, link);
		if (may_see(client, session->uid))
			json_object_array_add(result, session_json(session, now));
	}
	client_answer(client, envelope("result", result));
}

static void answer_devices(struct client *client, struct json_object *request)
{
	/* The state last: a probe that fails at once must not answer before all were started. */
	probe_all(client->server);
	client->state = CLIENT_AWAITS_PROBES;
	admin_probes_changed(client->server);
}

void admin_probes_changed(struct server *server)
{
	if (!probe_all_done(server))
		return;
	list_for_each (&server->clients, link) {
		struct client *client = container_of(link, struct client, link);
		if (client->state == CLIENT_AWAITS_PROBES)
			client_answer(client, envelope("result", probe_json(server)));
	}
}

/* The request's run id, NULL when it has none that could be one. */
static const char *run_of(struct json_object *request)
{
	const char *id = json_object_get_string(json_object_object_get(request, "run"));

	return id && *id && strlen(id) < RUN_ID_MAX ? id : NULL;
}

static void answer_run_begin(struct client *client, struct json_object *request)
{
	const char *id = run_of(request);
	struct run *run = id ? run_take(client->server, id, client->peer.uid) : NULL;

	if (!run) {
		client_answer(
		    client, id ? admin_error("busy", "too many runs are going on")
			       : admin_error("request", "\"run\" must be a text of 1 to 31 bytes"));
		return;
	}
	run->measure = json_object_get_boolean(json_object_object_get(request, "measure"));
	run->measure_gpu = json_object_get_boolean(json_object_object_get(request, "measure_gpu"));
	client_answer(client, envelope("result", json_object_new_object()));
}

static void answer_run(struct client *client)
{
	struct run *run = run_find(client->server, client->run, client->peer.uid);

	if (!run) {
		client_answer(client, admin_error("unknown", "there is no such run"));
		return;
	}
	struct json_object *result = run_json(client->server, run);
	client_answer(client, result ? envelope("result", result) : NULL);
}

static void on_waited(void *data)
{
	answer_run(data);
}

static void answer_run_stats(struct client *client, struct json_object *request)
{
	const char *id = run_of(request);
	int64_t wait_ms = json_object_get_int64(json_object_object_get(request, "wait_ms"));
	struct run *run = id ? run_find(client->server, id, client->peer.uid) : NULL;

	snprintf(client->run, sizeof(client->run), "%s", id ?: "");
	if (!run || !run->n_live || wait_ms <= 0) {
		answer_run(client);
		return;
	}
	client->state = CLIENT_AWAITS_RUN;
	int r = alarm_new(client->server->loop, (uint64_t)MIN(wait_ms, ADMIN_WAIT_MS_MAX),
	    on_waited, client, &client->alarm);
	if (r < 0)
		answer_run(client);
}

void admin_sessions_changed(struct server *server)
{
	list_for_each (&server->clients, link) {
		struct client *client = container_of(link, struct client, link);
		if (client->state != CLIENT_AWAITS_RUN)
			continue;
		struct run *run = run_find(server, client->run, client->peer.uid);
		if (!run || !run->n_live)
			answer_run(client);
	}
}

static struct json_object *parse(const char *text, size_t size)
{
	struct json_tokener *tokener = json_tokener_new_ex(ADMIN_DEPTH_MAX);
	struct json_object *request = NULL;

	if (!tokener)
		return NULL;
	request = json_tokener_parse_ex(tokener, text, (int)size);
	if (request && (json_tokener_get_error(tokener) != json_tokener_success ||
			   !json_object_is_type(request, json_type_object))) {
		json_object_put(request);
		request = NULL;
	}
	json_tokener_free(tokener);
	return request;
}

void admin_request(struct client *client, const char *text, size_t size)
{
	static const struct {
		const char *method;
		void (*answer)(struct client *client, struct json_object *request);
	} methods[] = {
	    {"version", answer_version},
	    {"ps", answer_ps},
	    {"devices", answer_devices},
	    {"run-begin", answer_run_begin},
	    {"run-stats", answer_run_stats},
	};
	struct json_object *request = parse(text, size);
	const char *method = json_object_get_string(json_object_object_get(request, "method"));

	if (!request || !method) {
		client_answer(client,
		    admin_error("request", "a request is one JSON object with a \"method\""));
		json_object_put(request);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
		if (strcmp(methods[i].method, method))
			continue;
		methods[i].answer(client, request);
		json_object_put(request);
		return;
	}
	client_answer(client,
	    admin_error("method", "this rosend knows no such method: it may be older than rosen"));
	json_object_put(request);
}
