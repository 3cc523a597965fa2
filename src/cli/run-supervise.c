/*
 * Stands between the outside and rosen run's program: all signals are blocked and read one by one
 * from a descriptor, so nothing happens inside handlers.
 *
 * What the terminal sends (Ctrl-C, Ctrl-Z, a new window size) reaches the whole foreground process
 * group, the program included, and is not sent to it twice; the kernel marks such signals as its
 * own (SI_KERNEL). What a process sends to rosen run is meant for the program and is passed on.
 * When the program stops, rosen run stops too, so that the shell takes the terminal back; when it
 * is continued, it continues the program.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/cli.h"
#include "cli/run.h"

static const int forwarded[] = {
    SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT};

/* True when the program has ended, with its exit status. */
static bool look_at_program(pid_t program, const char *name, int *exit_status)
{
	int status;

	while (waitpid(program, &status, WNOHANG | WUNTRACED) == program) {
		if (WIFSTOPPED(status)) {
			raise(SIGSTOP);
			continue;
		}
		if (WIFEXITED(status)) {
			*exit_status = WEXITSTATUS(status);
			return true;
		}
		int number = WTERMSIG(status);
		if (number != SIGINT && number != SIGTERM && number != SIGPIPE && number != SIGHUP)
			cli_error("%s was ended by signal %d (%s)%s", name, number,
			    strsignal(number), WCOREDUMP(status) ? ", core dumped" : "");
		*exit_status = RUN_SIGNAL + number;
		return true;
	}
	return false;
}

static void look_at_rosend(struct server_use *use)
{
	int status;

	if (!use->pid || waitpid(use->pid, &status, WNOHANG) != use->pid)
		return;
	use->pid = 0;
	cli_error("the private rosend %s %d before the program: its CUDA calls will fail",
	    WIFSIGNALED(status) ? "was ended by signal" : "ended with status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void forward(pid_t program, const struct signalfd_siginfo *info)
{
	int number = (int)info->ssi_signo;

	if (info->ssi_code == SI_KERNEL && number != SIGCONT)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		if (forwarded[i] == number)
			kill(program, number);
}

int run_supervise(pid_t program, const char *name, struct server_use *use)
{
	struct signalfd_siginfo info;
	int exit_status = RUN_FAILED;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		sigaddset(&set, forwarded[i]);
	_cleanup_fd_ int fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0) {
		cli_error("cannot watch signals: %s", strerror(errno));
		kill(program, SIGTERM);
		return RUN_FAILED;
	}
	for (;;) {
		if (look_at_program(program, name, &exit_status))
			return exit_status;
		look_at_rosend(use);
		if (read(fd, &info, sizeof(info)) == sizeof(info) && info.ssi_signo != SIGCHLD)
			forward(program, &info);
	}
}
