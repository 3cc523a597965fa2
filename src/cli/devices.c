/* rosen devices: what GPUs a program would find. Asks the running rosend, or a private one. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/server.h"
#include "cli/table.h"

#define ASK_MS 120000 /* a cold driver takes its time; rosend has a limit of its own */

static void add_device(struct table *table, const char *backend, struct json_object *device)
{
	char text[TABLE_TEXT_MAX];

	table_add(table, "%s", backend);
	table_add(table, "%llu", (unsigned long long)cli_number(device, "ordinal"));
	table_add(table, "%s", cli_text(device, "name"));
	table_add(table, "%s", table_bytes(cli_number(device, "memory_total"), text));
	table_add(table, "%llu.%llu", (unsigned long long)cli_number(device, "capability_major"),
	    (unsigned long long)cli_number(device, "capability_minor"));
	table_add(table, "%llu", (unsigned long long)cli_number(device, "processors"));
	table_add(table, "%s", cli_text(device, "pci"));
	table_add(table, "%s", cli_text(device, "uuid"));
}

static void print_devices(struct json_object *backends)
{
	static const char *const titles[] = {
	    "BACKEND", ">DEVICE", "NAME", ">MEMORY", ">CAPABILITY", ">SMS", "PCI", "UUID"};
	struct table *table = table_new(titles, ARRAY_SIZE(titles));

	for (size_t i = 0; i < cli_length(backends); i++) {
		struct json_object *backend = json_object_array_get_idx(backends, i);
		struct json_object *devices = json_object_object_get(backend, "devices");
		const char *name = cli_text(backend, "backend");
		size_t n = cli_length(devices);
		for (size_t k = 0; k < n; k++)
			add_device(table, name, json_object_array_get_idx(devices, k));
		if (!n)
			fprintf(stderr, "rosen: %s: no device: %s\n", name,
			    *cli_text(backend, "why") ? cli_text(backend, "why")
						      : "the driver reports none");
	}
	table_print(table, stdout, 0);
	table_free(table);
}

static int devices(const struct command *command, int argc, char **argv)
{
	const char *server = NULL;
	bool json = false;
	const struct option_row rows[] = {
	    cli_setting("server", "PATH", &server),
	    OPTION_ROW_SWITCH("json", &json,
		"Print JSON: an array of backends, each with its devices and, without any, why."),
	};
	struct server_use use;
	struct config config;
	int done = cli_begin(command, rows, ARRAY_SIZE(rows), argc, argv, &server, &config);

	if (done >= 0)
		return done;
	if (server_take(&config, false, &use) < 0)
		return CLI_FAILED;
	struct json_object *backends = server_ask(&use, "devices", NULL, json_type_array, ASK_MS);
	server_give(&use);
	if (!backends)
		return CLI_FAILED;
	if (json)
		return cli_print_json(backends);
	print_devices(backends);
	json_object_put(backends);
	return CLI_OK;
}

const struct command command_devices = {
    .name = "devices",
    .arguments = "",
    .summary = "List the GPUs that programs can use",
    .text = "Lists the devices of every backend: cuda (NVIDIA's driver) and softgpu (the software "
	    "GPU on the CPU). A worker of rosend opens each backend and reports; without a running "
	    "rosend a private one is started for it.",
    .run = devices,
};
