/* rosen serve: becomes rosend. A command of rosen's so that one need not know where rosend lies. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/install.h"
#include "cli/cli.h"

static int serve(const struct command *command, int argc, char **argv)
{
	const char *socket = NULL, *backend = NULL, *log = NULL, *config = NULL;
	const struct option_row rows[] = {
	    OPTION_ROW_TEXT("socket", "PATH", &socket,
		"Listen here instead of $XDG_RUNTIME_DIR/rosen/rosend.sock."),
	    cli_setting("backend", "NAME", &backend),
	    OPTION_ROW_TEXT("config", "FILE", &config,
		"Read settings from FILE instead of the standard places."),
	    cli_setting("log", "LEVEL", &log),
	};
	struct install install;
	char *arguments[10];
	size_t n = 0;
	int done = cli_parse(command, rows, ARRAY_SIZE(rows), argc, argv, NULL);

	if (done >= 0)
		return done;
	if (install_find(&install) < 0) {
		cli_error("cannot find this installation: is /proc mounted?");
		return CLI_FAILED;
	}
	arguments[n++] = (char *)"rosend";
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		static const char *const names[] = {"--socket", "--backend", "--config", "--log"};
		if (*(const char **)rows[i].value) {
			arguments[n++] = (char *)names[i];
			arguments[n++] = *(char **)rows[i].value;
		}
	}
	arguments[n] = NULL;
	execv(install.rosend, arguments);
	cli_error("cannot start %s: %s: the installation is incomplete (`rosen doctor`)",
	    install.rosend, strerror(errno));
	return CLI_FAILED;
}

const struct command command_serve = {
    .name = "serve",
    .arguments = "",
    .summary = "Serve GPUs to this host's programs",
    .text =
	"Runs rosend in the foreground until SIGTERM, SIGINT or SIGHUP, or, after SIGUSR1, until "
	"its last session is over. Programs of this user that are started with `rosen run` then "
	"share it. See rosend(8) for running it as a service.\n"
	"\n"
	"Exit status: 0 after an orderly end, 1 when it could not serve, 2 for a wrong command "
	"line.\n",
    .run = serve,
};
