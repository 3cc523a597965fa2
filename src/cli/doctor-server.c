/* Checks of rosend: whether one runs, and what the workers of it, or of a private one, find. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/doctor.h"
#include "cli/server.h"

#define ASK_MS 120000

static void report_backend(struct doctor *doctor, struct json_object *backend)
{
	const char *name = cli_text(backend, "backend"), *why = cli_text(backend, "why");
	struct json_object *devices = json_object_object_get(backend, "devices");
	size_t n_devices = json_object_array_length(devices);
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
		return;
	}
	doctor_find(doctor, cuda ? "cuda" : "softgpu", wanted ? FINDING_BAD : FINDING_NOTE,
	    cuda ? "if there is an NVIDIA GPU: install its driver, and set cuda_library if its "
		   "libcuda.so.1 lies in an unusual place"
		 : "see the findings above; build Rosen with LLVM: make",
	    "a worker found no device: %s", *why ? why : "the library reports none");
}

static void report_backends(struct doctor *doctor, const struct server_use *use)
{
	struct json_object *backends = server_ask(use, "devices", NULL, ASK_MS);

	if (!backends) {
		doctor_find(doctor, "rosend", FINDING_BAD,
		    "see its messages above; ROSEN_LOG=debug says more",
		    "rosend at %s does not say what devices there are", use->socket);
		return;
	}
	for (size_t i = 0; i < json_object_array_length(backends); i++)
		report_backend(doctor, json_object_array_get_idx(backends, i));
	json_object_put(backends);
}

void doctor_check_server(struct doctor *doctor)
{
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
	report_backends(doctor, &use);
	server_give(&use);
}
