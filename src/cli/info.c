/* rosen info: what this installation is, what its settings are, what it covers. */
#include <stdio.h>
#include <unistd.h>

#include "base/install.h"
#include "cli/cli.h"
#include "cli/coverage.h"
#include "cli/server.h"
#include "cli/table.h"
#include "wire/limits.h"

struct info_arguments {
	const char *backend, *server;
	bool json, coverage, config;
};

struct part {
	const char *name, *path;
};

#define N_PARTS 7

static void list_parts(const struct install *install, struct part parts[N_PARTS])
{
	const struct part list[N_PARTS] = {
	    {"rosen", install->rosen},
	    {"rosend", install->rosend},
	    {"worker", install->worker},
	    {"bench-client", install->bench_client},
	    {"libcuda", install->libcuda},
	    {"libnvidia-ml", install->libnvml},
	    {"softgpu", install->softgpu},
	};

	for (size_t i = 0; i < N_PARTS; i++)
		parts[i] = list[i];
}

static const char *source_of(const struct config *config, size_t i)
{
	return config_source_name((enum config_source)config->source[i]);
}

static void print_config(const struct config *config)
{
	static const char *const titles[] = {"SETTING", "VALUE", "FROM", "VARIABLE"};
	struct table *table = table_new(titles, ARRAY_SIZE(titles));
	char value[CONFIG_TEXT_MAX], variable[CONFIG_VARIABLE_MAX];

	for (size_t i = 0; i < config_n_entries; i++) {
		const struct config_entry *entry = &config_entries[i];
		config_show(config, entry, value);
		table_add(table, "%s", entry->name);
		table_add(table, "%s", *value ? value : "\"\"");
		table_add(table, "%s", source_of(config, i));
		table_add(table, "%s", config_variable(entry, variable));
	}
	table_print(table, stdout, 0);
	table_free(table);
	printf("\n");
	for (size_t i = 0; i < config_n_entries; i++) {
		size_t column = (size_t)printf("%s: ", config_entries[i].name);
		options_print_wrapped(stdout, config_entries[i].help, column, 4);
	}
}

static struct json_object *config_json(const struct config *config)
{
	struct json_object *array = json_object_new_array();
	char value[CONFIG_TEXT_MAX], variable[CONFIG_VARIABLE_MAX];

	for (size_t i = 0; i < config_n_entries; i++) {
		const struct config_entry *entry = &config_entries[i];
		const struct part members[] = {
		    {"name", entry->name},
		    {"value", config_show(config, entry, value)},
		    {"source", source_of(config, i)},
		    {"standard", entry->standard},
		    {"variable", config_variable(entry, variable)},
		    {"help", entry->help},
		};
		struct json_object *object = json_object_new_object();
		for (size_t k = 0; k < ARRAY_SIZE(members); k++)
			json_object_object_add(
			    object, members[k].name, json_object_new_string(members[k].path));
		if (entry->flag)
			json_object_object_add(object, "flag", json_object_new_string(entry->flag));
		if (entry->off)
			json_object_object_add(object, "off", json_object_new_string(entry->off));
		if (entry->only)
			json_object_object_add(object, "only", json_object_new_string(entry->only));
		json_object_array_add(array, object);
	}
	return array;
}

static void print_info(const struct config *config, const struct install *install,
    const struct server_use *use, bool running)
{
	struct part parts[N_PARTS];

	list_parts(install, parts);
	printf("rosen     %s, wire version %d (serves clients from %d on)\n", ROSEN_VERSION,
	    WIRE_VERSION, WIRE_VERSION_MIN);
	printf("tree      %s\n", install->prefix);
	for (size_t i = 0; i < N_PARTS; i++)
		printf("  %-14s %s%s\n", parts[i].name, parts[i].path,
		    access(parts[i].path, F_OK) ? "   (missing)" : "");
	printf("server    %s (%s)\n", use->socket, running ? "running" : "not running");
	printf("backend   %s (auto, cuda, softgpu)\n", config->backend);
	printf("\nMore: rosen info --config, rosen info --coverage, rosen devices, rosen doctor\n");
}

static struct json_object *info_json(const struct config *config, const struct install *install,
    const struct server_use *use, bool running)
{
	struct json_object *object = json_object_new_object(), *paths = json_object_new_object(),
			   *backends = json_object_new_array();
	struct part parts[N_PARTS];

	list_parts(install, parts);
	json_object_object_add(object, "rosen", json_object_new_string(ROSEN_VERSION));
	json_object_object_add(object, "wire", json_object_new_int(WIRE_VERSION));
	json_object_object_add(object, "wire_min", json_object_new_int(WIRE_VERSION_MIN));
	json_object_object_add(object, "prefix", json_object_new_string(install->prefix));
	for (size_t i = 0; i < N_PARTS; i++)
		json_object_object_add(paths, parts[i].name, json_object_new_string(parts[i].path));
	json_object_object_add(object, "paths", paths);
	json_object_object_add(object, "server", json_object_new_string(use->socket));
	json_object_object_add(object, "running", json_object_new_boolean(running));
	json_object_object_add(object, "backend", json_object_new_string(config->backend));
	json_object_array_add(backends, json_object_new_string("cuda"));
	json_object_array_add(backends, json_object_new_string("softgpu"));
	json_object_object_add(object, "backends", backends);
	return object;
}

static int show_coverage(bool json)
{
	if (json)
		return cli_print_json(coverage_json());
	coverage_print();
	return CLI_OK;
}

static int show_config(const struct config *config, bool json)
{
	if (json)
		return cli_print_json(config_json(config));
	print_config(config);
	return CLI_OK;
}

static int show_installation(const struct config *config, bool json)
{
	struct install install;
	struct server_use use;

	if (install_find(&install) < 0) {
		cli_error("cannot find this installation: is /proc mounted?");
		return CLI_FAILED;
	}
	bool running = server_find(config, &use) == 0;
	if (json)
		return cli_print_json(info_json(config, &install, &use, running));
	print_info(config, &install, &use, running);
	return CLI_OK;
}

static int info(const struct command *command, int argc, char **argv)
{
	struct info_arguments a = {0};
	const struct option_row rows[] = {
	    OPTION_ROW_SWITCH("coverage", &a.coverage,
		"Print every function of the CUDA driver API and what becomes of a call to it."),
	    OPTION_ROW_SWITCH(
		"config", &a.config, "Print every setting, its value and where that comes from."),
	    OPTION_ROW_SWITCH("json", &a.json, "Print JSON."),
	    cli_setting("backend", "NAME", &a.backend),
	    OPTION_ROW_TEXT("server", "PATH", &a.server,
		"The socket of the rosend to look for. Without it: the user's own."),
	};
	struct config config;
	int done = cli_parse(command, rows, ARRAY_SIZE(rows), argc, argv, NULL);

	if (done >= 0)
		return done;
	if (a.coverage && a.config) {
		cli_error("give --coverage or --config, not both");
		return CLI_USAGE;
	}
	if (a.coverage)
		return show_coverage(a.json);
	const struct cli_flag flags[] = {{"backend", a.backend}, {"server", a.server}};
	done = cli_load_config(&config, flags, ARRAY_SIZE(flags));
	if (done)
		return done;
	return a.config ? show_config(&config, a.json) : show_installation(&config, a.json);
}

const struct command command_info = {
    .name = "info",
    .arguments = "",
    .summary = "Show versions, paths, settings and coverage",
    .text = "Shows what this installation consists of; with --config its settings, with --coverage "
	    "the table of functions.",
    .run = info,
};
