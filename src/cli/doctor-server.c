/* Checks of rosend: whether one runs, and what the workers of it, or of a private one, find. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/doctor.h"
#include "cli/server.h"

#define ASK_MS 120000

static bool report_backend(struct doctor *doctor, struct json_object *backend)
{
	const char *name = cli_text(backend, "backend"), *why = cli_text(backend, "why");
	struct json_object *devices = json_object_object_get(backend, "devices");
	size_t n_devices = cli_length(devices);
	uint64_t version = cli_number(backend, "driver_version");
	bool cuda = !strcmp(name, "cuda");
	/* A machine with a GPU should have cuda, one without it the software GPU. */
	bool wanted =
	    cuda ? doctor->has_gpu || !strcmp(doctor->config->backend, "cuda") : !doctor->has_gpu;

	if (n_devices) {
		doctor_find(doctor, cuda ? "cuda" : "softgpu", FINDING_GOOD, NULL,
		    "%zu device%s, CUDA %llu.%llu: %s", n_devices, n_devices == 1 ? "" : "s",
		    (unsigned long long)version / 1000, (unsigned long long)version % 1000 / 10,
		    cli_text(json_object_array_get_idx(devices, 0), "name"));
		return true;
	}
	const char *own = cuda ? doctor->config->cuda_library : doctor->config->softgpu_library;
	doctor_find(doctor, cuda ? "cuda" : "softgpu", wanted ? FINDING_BAD : FINDING_NOTE,
	    *own ? cuda ? "correct cuda_library, or leave it empty"
			: "correct softgpu_library, or leave it empty"
	    : cuda
		? "if there is an NVIDIA GPU: see that its driver is installed and that nvidia-smi "
		  "works"
		: "see the findings and messages above",
	    "a worker found no device: %s", *why ? why : "the library reports none");
	return false;
}

/* Says what each backend has. True, with its name, when one that programs may use has a device. */
static bool report_backends(
    struct doctor *doctor, const struct server_use *use, char name[CONFIG_TEXT_MAX])
{
	const char *wanted = doctor->config->backend;
	struct json_object *backends = server_ask(use, "devices", NULL, json_type_array, ASK_MS);

	if (!backends) {
		doctor_find(doctor, "rosend", FINDING_BAD,
		    "see its messages above; ROSEN_LOG=debug says more",
		    "rosend at %s does not say what devices there are", use->socket);
		return false;
	}
	*name = '\0';
	for (size_t i = 0; i < cli_length(backends); i++) {
		struct json_object *backend = json_object_array_get_idx(backends, i);
		bool fits =
		    !strcmp(wanted, "auto") || !strcmp(wanted, cli_text(backend, "backend"));
		if (report_backend(doctor, backend) && fits && !*name)
			snprintf(name, CONFIG_TEXT_MAX, "%s", cli_text(backend, "backend"));
	}
	json_object_put(backends);
	return *name;
}

void doctor_check_server(struct doctor *doctor)
{
	char name[CONFIG_TEXT_MAX];
	struct server_use use;
	int r = server_find(doctor->config, &use);

	if (r < 0) {
		doctor_find(doctor, "rosend", FINDING_BAD,
		    "start it with `rosen serve --socket PATH`, or unset ROSEN_SERVER (setting "
		    "server)",
		    "no rosend can be reached at %s: %s", use.socket, strerror(-r));
		return;
	}
	if (r == 0) {
		doctor_find(doctor, "rosend", FINDING_GOOD, NULL, "runs at %s", use.socket);
	} else {
		doctor_find(doctor, "rosend", FINDING_GOOD, NULL,
		    "none runs; `rosen run` starts a private one");
		if (server_start_private(doctor->config, false, &use) < 0) {
			doctor_find(doctor, "rosend", FINDING_BAD, "see its message above",
			    "a private rosend cannot be started");
			return;
		}
	}
	/* What is missing of the tree has been told. */
	if (report_backends(doctor, &use, name) && access(doctor->install.bench_client, X_OK) == 0)
		doctor_check_path(doctor, &use, name);
	server_give(&use);
}
