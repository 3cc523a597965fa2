/*
 * Probes: workers that open a backend, report its devices and end. `rosen devices` and `rosen
 * doctor` ask through them, so that rosend itself never loads a driver.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

#define PROBE_FRESH_MS 5000 /* an answer younger than this is given again */

struct server;

/* Starts a probe of every backend whose last one is not fresh. admin_probes_changed() is called as
 * they come in. */
void probe_all(struct server *server);
bool probe_all_done(const struct server *server);

/* [{"backend", "present", "driver_version", "why", "devices": [...]}] */
struct json_object *probe_json(const struct server *server);

/* Frees results and abandons what runs: for the server's end. */
void probe_fini_all(struct server *server);
