/* The jail, seen from outside its own checks: what a jailed process can no longer do. */
#include "worker/jail.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"

/* Runs check in a jailed child that starts in a careless state; its exit status is the answer. */
static int in_jail(int (*check)(int kept))
{
	pid_t child = fork();
	int status;

	if (!child) {
		int fds[2];
		sigset_t all;
		const char *failed;
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		signal(SIGTERM, SIG_IGN);
		if (pipe(fds) || dup2(fds[1], 200) < 0 || jail_enter(fds[0], &failed))
			_exit(100);
		_exit(check(fds[0]));
	}
	CHECK(child > 0);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int all_hold(int kept)
{
	for (size_t i = 0; i < jail_n_steps; i++)
		if (!jail_steps[i].holds(kept))
			return (int)i + 1;
	return 0;
}

TEST(jail_every_step_holds)
{
	CHECK_EQ(in_jail(all_hold), 0);
}

/* A check that cannot fail checks nothing: outside, each must say no. */
TEST(jail_no_step_holds_outside)
{
	pid_t child = fork();
	int status;

	if (!child) {
		setsid(); /* even a session leader is not yet in order: undo by a child of it */
		child = fork();
		if (child) {
			waitpid(child, &status, 0);
			_exit(WEXITSTATUS(status));
		}
		for (size_t i = 0; i < jail_n_steps; i++) {
			int fd = open("/dev/null", O_RDONLY);
			signal(SIGTERM, SIG_IGN);
			umask(022);
			if (jail_steps[i].holds(-1))
				_exit((int)i + 1);
			close(fd);
		}
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
}

static int descriptors(int kept)
{
	for (int fd = 3; fd < 1024; fd++)
		if ((fcntl(fd, F_GETFD) >= 0) != (fd == kept))
			return 1;
	char byte;
	return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 2;
}

TEST(jail_keeps_one_descriptor)
{
	CHECK_EQ(in_jail(descriptors), 0);
}

static int process_state(int kept)
{
	struct rlimit core;
	int signal_number = 0;

	if (getrlimit(RLIMIT_CORE, &core) || core.rlim_max)
		return 1;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))
		return 2;
	if (prctl(PR_GET_PDEATHSIG, &signal_number, 0, 0, 0) || signal_number != SIGKILL)
		return 3;
	if (getsid(0) != getpid())
		return 4;
	return 0;
}

TEST(jail_process_state)
{
	CHECK_EQ(in_jail(process_state), 0);
}

/* SIGTERM, blocked and ignored before, ends the jailed process again; so does its parent's end. */
TEST(jail_signals_work_again)
{
	pid_t child = fork();
	int status;

	if (!child) {
		const char *failed;
		sigset_t all;
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		signal(SIGTERM, SIG_IGN);
		if (jail_enter(-1, &failed))
			_exit(100);
		raise(SIGTERM);
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGTERM);
}

TEST(jail_ends_with_its_parent)
{
	int life[2], status;
	pid_t parent;

	CHECK_EQ(pipe(life), 0);
	parent = fork();
	if (!parent) {
		const char *failed;
		int ready[2];
		char byte;
		if (pipe(ready))
			_exit(100);
		if (!fork()) { /* holds life[1] open as long as it lives */
			if (jail_enter(life[1], &failed))
				_exit(100);
			for (;;)
				if (write(life[1], "x", 1) != 1 || pause())
					continue;
		}
		close(life[1]);
		if (read(life[0], &byte, 1) != 1)
			_exit(101);
		_exit(0);
	}
	close(life[1]);
	CHECK_EQ(waitpid(parent, &status, 0), parent);
	CHECK_EQ(status, 0);
	char byte;
	CHECK_EQ(read(life[0], &byte, 1), 0); /* end of file: the last writer is gone */
	close(life[0]);
}
