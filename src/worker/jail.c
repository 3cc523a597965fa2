/*
 * The worker runs a tenant's wishes with the rights of whoever started rosend, so it drops what
 * they do not need. main() calls jail_enter() once, before the backend is loaded: the backend's
 * threads, files and signal handlers are then made inside.
 *
 * A step is its row: what it does, and a check that looks at the process, not at what was tried. A
 * worker whose check fails does not start. Two things are left as they are on purpose: stderr,
 * since rosend collects the log there, and the address space limit, since device memory is address
 * space too and a GPU's driver reserves terabytes.
 */
#include "worker/jail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/util.h"

#define JAIL_FILES   16384 /* a context with many segments and devices stays below 5000 */
#define JAIL_THREADS 32768

static int fail(void)
{
	return error_origin(-errno);
}

/* An own session: no terminal, no signals meant for rosend's process group. */
static int session_apply(int keep)
{
	return getsid(0) == getpid() || setsid() >= 0 ? 0 : fail();
}

static bool session_holds(int keep)
{
	return getsid(0) == getpid() && getpgrp() == getpid();
}

/* No file the worker could start gives it more rights. */
static int privileges_apply(int keep)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? fail() : 0;
}

static bool privileges_holds(int keep)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

/* Ends with rosend, whatever state the worker or its driver is in. A parent that was gone before
 * this line shows as hang-up of the control socket. */
static int parent_apply(int keep)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) ? fail() : 0;
}

static bool parent_holds(int keep)
{
	int signal = 0;

	return prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0) == 0 && signal == SIGKILL;
}

/* Dispositions and masks survive exec: start from the standard ones, but a peer that hangs up must
 * be an error code, not a SIGPIPE. */
static int signals_apply(int keep)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		if (number != SIGKILL && number != SIGSTOP)
			signal(number, number == SIGPIPE ? SIG_IGN : SIG_DFL);
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) ? fail() : 0;
}

static bool signals_holds(int keep)
{
	sigset_t mask;
	struct sigaction action;

	if (sigprocmask(SIG_SETMASK, NULL, &mask))
		return false;
	for (int number = 1; number < NSIG; number++)
		if (sigismember(&mask, number) == 1 ||
		    (sigaction(number, NULL, &action) == 0 && number != SIGPIPE &&
			action.sa_handler != SIG_DFL))
			return false;
	return true;
}

/* Descriptors: stdin reads nothing, stdout is the log, of the rest only keep stays. */
static int descriptors_apply(int keep)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0)
		return fail();
	if (dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
		int r = fail();
		fd_close(null);
		return r;
	}
	if (null > STDERR_FILENO && null != keep)
		fd_close(null);
	return error_trace(fd_close_from(STDERR_FILENO + 1, keep));
}

static bool descriptors_holds(int keep)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	bool holds = dir != NULL;

	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);
		holds = holds && (fd <= STDERR_FILENO || fd == keep || fd == dirfd(dir));
	}
	if (dir)
		closedir(dir);
	return holds;
}

static int place_apply(int keep)
{
	umask(077);
	return chdir("/") ? fail() : 0;
}

static bool place_holds(int keep)
{
	char directory[2];
	mode_t mask = umask(077);

	return mask == 077 && getcwd(directory, sizeof(directory)) && directory[0] == '/';
}

static int limit(int resource, rlim_t most)
{
	struct rlimit now;

	if (getrlimit(resource, &now))
		return fail();
	now.rlim_cur = now.rlim_max = MIN(now.rlim_max, most);
	return setrlimit(resource, &now) ? fail() : 0;
}

static bool limited(int resource, rlim_t most)
{
	struct rlimit now;

	return getrlimit(resource, &now) == 0 && now.rlim_max <= most &&
	       now.rlim_cur == now.rlim_max;
}

/* No core dump (it would hold the tenant's data); files and threads within reason. */
static int limits_apply(int keep)
{
	int r = limit(RLIMIT_CORE, 0);

	r = r ?: limit(RLIMIT_NOFILE, JAIL_FILES);
	return r ?: limit(RLIMIT_NPROC, JAIL_THREADS);
}

static bool limits_holds(int keep)
{
	return limited(RLIMIT_CORE, 0) && limited(RLIMIT_NOFILE, JAIL_FILES) &&
	       limited(RLIMIT_NPROC, JAIL_THREADS);
}

/* Nobody but root reads its memory: not another worker of the same uid, not a debugger. */
static int memory_apply(int keep)
{
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ? fail() : 0;
}

static bool memory_holds(int keep)
{
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
}

const struct jail_step jail_steps[] = {
    {"own session", session_apply, session_holds},
    {"no new privileges", privileges_apply, privileges_holds},
    {"end with the parent", parent_apply, parent_holds},
    {"standard signals", signals_apply, signals_holds},
    {"no foreign descriptors", descriptors_apply, descriptors_holds},
    {"neutral directory and umask", place_apply, place_holds},
    {"resource limits", limits_apply, limits_holds},
    {"unreadable memory", memory_apply, memory_holds},
};
const size_t jail_n_steps = ARRAY_SIZE(jail_steps);

int jail_enter(int keep, const char **failed)
{
	for (size_t i = 0; i < jail_n_steps; i++) {
		*failed = jail_steps[i].name;
		int r = error_trace(jail_steps[i].apply(keep));
		if (r < 0)
			return r;
	}
	/* Only now: a later step must not have undone an earlier one. */
	for (size_t i = 0; i < jail_n_steps; i++) {
		*failed = jail_steps[i].name;
		if (!jail_steps[i].holds(keep))
			return error_origin(-EPERM);
	}
	*failed = NULL;
	return 0;
}
