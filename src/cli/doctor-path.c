/*
 * The check that everything else is for: a program started as `rosen run` starts one, whose bytes
 * go to the device and come back. The client of `rosen bench` is that program, as it looks at what
 * it gets.
 */
#include <stdio.h>

#include "cli/bench.h"
#include "cli/cli.h"
#include "cli/doctor.h"

#define COPIED_MIB 1

/* One order and its answer; NULL after a message. */
static struct json_object *ask(struct bench_client *client, const char *order)
{
	return bench_client_order(client, order) ? bench_client_answer(client) : NULL;
}

static bool copies_both_ways(struct bench_client *client)
{
	static const char *const directions[] = {"h2d", "d2h"};
	struct json_object *answer;
	char order[64];
	bool good = true;

	for (size_t i = 0; good && i < ARRAY_SIZE(directions); i++) {
		snprintf(
		    order, sizeof(order), "copy %d %s pinned 1\n", COPIED_MIB << 20, directions[i]);
		answer = ask(client, order);
		good = answer;
		json_object_put(answer);
	}
	return good;
}

static void report(struct doctor *doctor, struct json_object *first, bool good)
{
	if (!good) {
		doctor_find(doctor, "path", FINDING_BAD,
		    "see the message above; ROSEN_LOG=debug says more",
		    "a program cannot use the device");
		return;
	}
	doctor_find(doctor, "path", FINDING_GOOD, NULL,
	    "a program's first use of %s took %.0f ms, and its bytes came back unchanged",
	    cli_text(first, "device"), json_object_get_double(json_object_object_get(first, "ms")));
}

void doctor_check_path(struct doctor *doctor, const struct server_use *use, const char *backend)
{
	struct config config = *doctor->config;
	char error[CONFIG_ERROR_MAX];
	struct bench_client client;
	struct run_plan plan = {
	    .config = &config,
	    .use = use,
	    .run = "",
	    .program = (char *[]){doctor->install.bench_client, NULL},
	};

	/* By its name: with auto rosend would say aloud again what the findings say. */
	if (config_set(&config, "backend", backend, error, sizeof(error)) < 0 ||
	    !bench_client_start(&plan, &client)) {
		report(doctor, NULL, false);
		return;
	}
	struct json_object *first = ask(&client, "first\n");
	report(doctor, first, first && copies_both_ways(&client));
	json_object_put(first);
	bench_client_stop(&client);
}
