/* See probe.h. One probe per backend, kept in the server's table until the next one replaces it. */
#include "control/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "control/admin.h"
#include "control/process.h"
#include "control/server.h"

struct probe {
	struct server *server;
	enum control_backend backend;
	struct process *process; /* NULL: over */
	struct alarm *alarm;
	uint64_t ended_ns;
	bool ready;
	struct control_ready report;
	char why[HELLO_TEXT_MAX]; /* why it failed */
	unsigned n_devices;
	struct control_device devices[WIRE_DEVICES_MAX];
};

static struct probe *probe_free(struct probe *probe)
{
	if (!probe)
		return NULL;
	if (probe->process)
		process_abandon(probe->process);
	alarm_free(probe->alarm);
	free(probe);
	return NULL;
}

static void finish(struct probe *probe)
{
	struct server_backend *known = &probe->server->backends[probe->backend];

	if (probe->process)
		process_abandon(probe->process);
	probe->process = NULL;
	probe->alarm = alarm_free(probe->alarm);
	probe->ended_ns = clock_now_ns();
	known->present = probe->n_devices > 0;
	if (known->present)
		known->absent_until_ns = 0;
	admin_probes_changed(probe->server);
}

static void on_message(void *data, const union process_message *message, int fd)
{
	struct probe *probe = data;

	switch (message->kind) {
	case CONTROL_READY:
		probe->ready = true;
		probe->report = message->ready;
		break;
	case CONTROL_DEVICE:
		if (probe->n_devices < WIRE_DEVICES_MAX)
			probe->devices[probe->n_devices++] = message->device;
		break;
	case CONTROL_FAILED:
	case CONTROL_LAST_WORDS:
		memcpy(probe->why, message->text.text, sizeof(probe->why));
		break;
	}
}

static void on_ended(void *data, const char *how)
{
	struct probe *probe = data;

	probe->process = NULL;
	if (!probe->ready && !*probe->why)
		snprintf(probe->why, sizeof(probe->why), "the probing worker %s",
		    *how ? how : "ended before it was ready");
	finish(probe);
}

static void on_timeout(void *data)
{
	struct probe *probe = data;

	snprintf(probe->why, sizeof(probe->why),
	    "the backend did not open within %llu ms (setting start_ms)",
	    (unsigned long long)probe->server->config.start_ms);
	finish(probe);
}

static int start(struct probe *probe)
{
	struct process_owner owner = {on_message, on_ended, probe};
	struct control_start message = {
	    .kind = CONTROL_START, .backend = probe->backend, .probe = 1};
	struct server *server = probe->server;

	int r = process_new(server, &owner, &probe->process, probe->why);
	if (r < 0)
		return error_trace(r);
	server_backend_library(server, probe->backend, message.library);
	r = process_send(probe->process, &message, sizeof(message), NULL, 0);
	if (r < 0)
		return error_trace(r);
	return error_trace(
	    alarm_new(server->loop, server->config.start_ms, on_timeout, probe, &probe->alarm));
}

static bool is_fresh(const struct probe *probe)
{
	return probe && (probe->process ||
			    clock_now_ns() - probe->ended_ns < PROBE_FRESH_MS * NSEC_PER_MSEC);
}

void probe_all(struct server *server)
{
	for (int i = CONTROL_BACKEND_CUDA; i < SERVER_N_BACKENDS; i++) {
		struct probe **slot = &server->backends[i].probe;
		if (is_fresh(*slot))
			continue;
		probe_free(*slot);
		*slot = calloc(1, sizeof(**slot));
		if (!*slot)
			continue;
		(*slot)->server = server;
		(*slot)->backend = (enum control_backend)i;
		if (start(*slot) < 0)
			finish(*slot);
	}
}

bool probe_all_done(const struct server *server)
{
	for (int i = CONTROL_BACKEND_CUDA; i < SERVER_N_BACKENDS; i++)
		if (server->backends[i].probe && server->backends[i].probe->process)
			return false;
	return true;
}

static struct json_object *uuid_json(const uint8_t uuid[16])
{
	char text[48] = "GPU";
	size_t length = 3;

	for (int i = 0; i < 16; i++) {
		bool dash = i == 0 || i == 4 || i == 6 || i == 8 || i == 10;
		length += (size_t)snprintf(
		    text + length, sizeof(text) - length, "%s%02x", dash ? "-" : "", uuid[i]);
	}
	return json_object_new_string(text);
}

static struct json_object *device_json(const struct control_device *device)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "ordinal", json_object_new_int64(device->ordinal));
	json_object_object_add(object, "name", json_object_new_string(device->name));
	json_object_object_add(object, "uuid", uuid_json(device->uuid));
	json_object_object_add(object, "pci", json_object_new_string(device->pci));
	json_object_object_add(
	    object, "memory_total", json_object_new_uint64(device->memory_total));
	json_object_object_add(
	    object, "capability_major", json_object_new_int(device->capability_major));
	json_object_object_add(
	    object, "capability_minor", json_object_new_int(device->capability_minor));
	json_object_object_add(object, "processors", json_object_new_int(device->processors));
	json_object_object_add(object, "clock_khz", json_object_new_int(device->clock_khz));
	return object;
}

static struct json_object *backend_json(enum control_backend backend, const struct probe *probe)
{
	struct json_object *object = json_object_new_object(), *devices = json_object_new_array();

	json_object_object_add(
	    object, "backend", json_object_new_string(server_backend_name(backend)));
	json_object_object_add(object, "present", json_object_new_boolean(probe->n_devices > 0));
	json_object_object_add(
	    object, "driver_version", json_object_new_int(probe->report.driver_version));
	json_object_object_add(object, "why", json_object_new_string(probe->why));
	for (unsigned i = 0; i < probe->n_devices; i++)
		json_object_array_add(devices, device_json(&probe->devices[i]));
	json_object_object_add(object, "devices", devices);
	return object;
}

struct json_object *probe_json(const struct server *server)
{
	struct json_object *array = json_object_new_array();

	for (int i = CONTROL_BACKEND_CUDA; i < SERVER_N_BACKENDS; i++)
		if (server->backends[i].probe)
			json_object_array_add(array,
			    backend_json((enum control_backend)i, server->backends[i].probe));
	return array;
}

void probe_fini_all(struct server *server)
{
	for (int i = 0; i < SERVER_N_BACKENDS; i++)
		server->backends[i].probe = probe_free(server->backends[i].probe);
}
