/*
 * rosen doctor: looks at everything a run needs and says what is missing and how to mend it. Checks
 * are ordered from the bottom up, so that the first bad finding is usually the cause.
 */
#include "cli/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"

#define PROGRAMS_MAX 100 /* a script is two findings, and about twenty tell of the rest */

void doctor_find(struct doctor *doctor, const char *what, enum finding_state state,
    const char *mend, const char *format, ...)
{
	va_list arguments;

	if (doctor->n_findings == FINDINGS_MAX)
		return;
	struct finding *finding = &doctor->findings[doctor->n_findings++];
	finding->what = what;
	finding->state = state;
	va_start(arguments, format);
	vsnprintf(finding->text, sizeof(finding->text), format, arguments);
	va_end(arguments);
	snprintf(finding->mend, sizeof(finding->mend), "%s", mend ?: "");
}

static const char *const state_names[] = {"ok", "note", "bad"};

static void print_findings(const struct doctor *doctor)
{
	static const char *const marks[] = {"  ok  ", " note ", "  BAD "};
	static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};
	bool colour = isatty(STDOUT_FILENO);

	for (size_t i = 0; i < doctor->n_findings; i++) {
		const struct finding *f = &doctor->findings[i];
		printf("[%s%s%s] %-12s ", colour ? colours[f->state] : "", marks[f->state],
		    colour ? "\033[0m" : "", f->what);
		options_print_wrapped(stdout, f->text, 22, 22);
		if (*f->mend) {
			printf("%22s", "-> ");
			options_print_wrapped(stdout, f->mend, 22, 22);
		}
	}
}

static struct json_object *findings_json(const struct doctor *doctor, bool healthy)
{
	struct json_object *object = json_object_new_object(), *array = json_object_new_array();

	for (size_t i = 0; i < doctor->n_findings; i++) {
		const struct finding *f = &doctor->findings[i];
		struct json_object *one = json_object_new_object();
		json_object_object_add(one, "check", json_object_new_string(f->what));
		json_object_object_add(one, "state", json_object_new_string(state_names[f->state]));
		json_object_object_add(one, "text", json_object_new_string(f->text));
		json_object_object_add(one, "mend", json_object_new_string(f->mend));
		json_object_array_add(array, one);
	}
	json_object_object_add(object, "healthy", json_object_new_boolean(healthy));
	json_object_object_add(object, "findings", array);
	return object;
}

static size_t count_bad(const struct doctor *doctor)
{
	size_t n_bad = 0;

	for (size_t i = 0; i < doctor->n_findings; i++)
		n_bad += doctor->findings[i].state == FINDING_BAD;
	return n_bad;
}

static bool check_config(struct doctor *doctor, struct config *config)
{
	char error[CONFIG_ERROR_MAX];

	if (config_load(config, NULL, error, sizeof(error)) == 0)
		return true;
	doctor_find(doctor, "settings", FINDING_BAD,
	    "correct that, for nothing starts before; `man rosen.conf` describes all settings",
	    "%s", error);
	return false;
}

static int run_doctor(const struct command *command, int argc, char **argv)
{
	static struct doctor doctor;
	struct config config;
	bool json = false;
	const struct option_row rows[] = {
	    OPTION_ROW_SWITCH("json", &json, "Print JSON: healthy, and the findings."),
	};
	int rest, done = cli_parse(command, rows, ARRAY_SIZE(rows), argc, argv, &rest);

	if (done >= 0)
		return done;
	if (argc - rest > PROGRAMS_MAX) {
		cli_error("at most %d programs at a time", PROGRAMS_MAX);
		return CLI_USAGE;
	}
	if (install_find(&doctor.install) < 0) {
		cli_error("cannot find this installation: is /proc mounted?");
		return CLI_FAILED;
	}
	doctor.config = &config;
	bool can_start = check_config(&doctor, &config);
	doctor_check_tree(&doctor);
	doctor_check_kernel(&doctor);
	doctor_check_environment(&doctor);
	doctor_check_nvidia(&doctor);
	doctor_check_compiler(&doctor);
	if (can_start)
		doctor_check_server(&doctor);
	for (; rest < argc; rest++)
		doctor_check_program(&doctor, argv[rest]);
	size_t n_bad = count_bad(&doctor);
	if (json) {
		cli_print_json(findings_json(&doctor, !n_bad));
	} else {
		print_findings(&doctor);
		if (n_bad)
			printf("\n%zu thing%s to mend.\n", n_bad, n_bad == 1 ? "" : "s");
		else
			printf("\nAll is well: rosen run -- PROGRAM\n");
	}
	return n_bad ? CLI_FAILED : CLI_OK;
}

const struct command command_doctor = {
    .name = "doctor",
    .arguments = "[--] [PROGRAM...]",
    .summary = "Find out what is missing, and how to mend it",
    .text = "Checks this installation, the kernel, the environment, the NVIDIA driver, the "
	    "software GPU's compiler and rosend, runs a program of its own through the whole "
	    "path, and looks at each PROGRAM that is named: whether it can be run with "
	    "`rosen run`.\n"
	    "\n"
	    "Exit status: 0 when nothing must be mended, 1 otherwise, 2 for a wrong command "
	    "line.\n",
    .run = run_doctor,
};
