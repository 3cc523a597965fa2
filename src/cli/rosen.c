/*
 * rosen: the command people use. This file has the table of subcommands and picks one; each is a
 * file of its own. To add one: write it, declare its struct command in cli.h, add a line here.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "cli/cli.h"

static const struct command *const commands[] = {
    &command_run,
    &command_serve,
    &command_ps,
    &command_devices,
    &command_info,
    &command_doctor,
    &command_bench,
    &command_version,
    &command_help,
    NULL,
};

static void print_overview(FILE *out)
{
	fprintf(out, "Usage: rosen COMMAND [OPTIONS] [ARGUMENTS]\n\n"
		     "Lets unmodified CUDA programs use GPUs that their machine does not have.\n\n"
		     "Commands:\n");
	for (const struct command *const *at = commands; *at; at++)
		fprintf(out, "  %-9s %s\n", (*at)->name, (*at)->summary);
	fprintf(out,
	    "\nThe first thing to try:   rosen run -- PROGRAM\n"
	    "When it does not work:    rosen doctor\n"
	    "About one command:        rosen help COMMAND, rosen COMMAND --help, rosen(1)\n\n"
	    "Exit status: 0 when it worked, 1 when it did not (stderr says why and what to do),\n"
	    "2 for a wrong command line; rosen run: see rosen help run.\n");
}

static const struct command *find_command(const char *name)
{
	for (const struct command *const *at = commands; *at; at++)
		if (!strcmp((*at)->name, name))
			return *at;
	fprintf(stderr, "rosen: there is no command \"%s\": `rosen help` lists them\n", name);
	return NULL;
}

static int run_help(const struct command *command, int argc, char **argv)
{
	char *help[] = {NULL, "--help", NULL};
	int rest, done = cli_parse(command, NULL, 0, argc, argv, &rest);

	if (done >= 0)
		return done;
	if (rest == argc) {
		print_overview(stdout);
		return CLI_OK;
	}
	const struct command *about = find_command(argv[rest]);
	if (!about)
		return CLI_USAGE;
	if (rest + 1 < argc) {
		cli_error("one command at a time: `rosen help %s`", about->name);
		return CLI_USAGE;
	}
	help[0] = argv[rest];
	return about->run(about, 2, help);
}

const struct command command_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .summary = "Explain a command",
    .text = "Prints what COMMAND does and the options it takes, or the list of commands.",
    .run = run_help,
};

/* What a full disk swallowed was not told. */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	cli_error("cannot write the output: %s", strerror(errno));
	return status == CLI_OK ? CLI_FAILED : status;
}

int main(int argc, char **argv)
{
	log_init("rosen");
	fd_fill_standard(true);
	if (argc < 2) {
		print_overview(stderr);
		return CLI_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_overview(stdout);
		return CLI_OK;
	}
	const char *name = strcmp(argv[1], "--version") ? argv[1] : "version";
	const struct command *command = find_command(name);
	return command ? finish(command->run(command, argc - 1, argv + 1)) : CLI_USAGE;
}
