/*
 * See process.h. A worker is a child of rosend with its control socket as descriptor 3 and nothing
 * else open. It dies with rosend, whatever rosend dies of: the kernel sends it SIGKILL
 * (PR_SET_PDEATHSIG), and its control socket hangs up. rosend forks rather than spawns, because
 * posix_spawn() cannot set that; it has one thread, so the child may run ordinary code until exec.
 *
 * The worker's environment is rosend's, without what would lead the dynamic linker from the
 * backend to Rosen's own libcuda.so.1: a rosend started by a program under `rosen run` has that in
 * its LD_LIBRARY_PATH, and the worker would call itself.
 *
 * CUDA's variables come with the session (wire/environment.h); what rosend's own environment says
 * in their place is left out. CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER choose and order devices
 * for a program, and the shim applies them there, to what the worker sees. In a server's own
 * environment, or as the setting `devices`, they are the operator's word on what workers see. A
 * private rosend has them from the program's environment; applied twice they would hide devices, so
 * its workers do without.
 */
#include "control/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "control/driver_files.h"
#include "control/event.h"
#include "control/server.h"
#include "wire/environment.h"

#define CONTROL_FD 3

struct process {
	struct list link;
	struct server *server;
	struct process_owner owner;
	pid_t pid;
	struct watch *control, *life; /* control: NULL once hung up */
	struct alarm *grace;
};

static void set_environment(const struct server *server)
{
	char *path =
	    install_search_path_without(getenv("LD_LIBRARY_PATH"), server->install.libraries);

	if (path && *path)
		setenv("LD_LIBRARY_PATH", path, 1);
	else
		unsetenv("LD_LIBRARY_PATH");
	free(path);
	unsetenv("LD_PRELOAD");
	unsetenv("NOTIFY_SOCKET");
	environment_leave(server->is_private);
	if (*server->config.devices)
		setenv("CUDA_VISIBLE_DEVICES", server->config.devices, 1);
	setenv("ROSEN_LOG", server->config.log, 1);
}

/* In the child. Anything that fails here is told on stderr, and by the exit status. */
static _Noreturn void become_worker(const struct server *server, int control, pid_t parent)
{
	const char *worker = server->install.worker;
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		_exit(EXIT_FAILURE);
	/* dup2() onto itself would leave close-on-exec set. */
	if (control == CONTROL_FD ? fcntl(control, F_SETFD, 0) < 0 : dup2(control, CONTROL_FD) < 0)
		_exit(EXIT_FAILURE);
	fd_close_from(CONTROL_FD + 1, -1);
	set_environment(server);
	execl(worker, "rosen-worker", (char *)NULL);
	log_error("cannot start %s: %s", worker, strerror(errno));
	_exit(EXIT_FAILURE);
}

static struct process *process_free(struct process *process)
{
	list_remove(&process->link);
	watch_free(process->control);
	watch_free(process->life);
	alarm_free(process->grace);
	free(process);
	return NULL;
}

size_t process_message_size(uint32_t kind)
{
	switch (kind) {
	case CONTROL_READY:
	case CONTROL_WARMED:
		return sizeof(struct control_ready);
	case CONTROL_DEVICE:
		return sizeof(struct control_device);
	case CONTROL_STATUS:
		return sizeof(struct control_status);
	case CONTROL_OFFER:
	case CONTROL_TAKE:
	case CONTROL_WITHDRAW:
	case CONTROL_IMAGE_KEEP:
	case CONTROL_IMAGE_FETCH:
		return sizeof(struct control_share);
	case CONTROL_FAILED:
	case CONTROL_LAST_WORDS:
		return sizeof(struct control_text);
	}
	return 0;
}

/* Takes one message. False: nothing more will come, or not now. */
static bool take_message(struct process *process)
{
	union process_message message;
	_cleanup_fd_ int fd = -1;
	size_t n_fds = 1;

	memset(&message, 0, sizeof(message));
	ssize_t size = fd_receive(
	    watch_fd(process->control), &message, sizeof(message), &fd, &n_fds, MSG_DONTWAIT);
	/* It ended with a message of ours unread: that is told once, ahead of what it had sent. */
	if (size == -ECONNRESET) {
		n_fds = 1;
		size = fd_receive(watch_fd(process->control), &message, sizeof(message), &fd,
		    &n_fds, MSG_DONTWAIT);
	}
	if (!n_fds)
		fd = -1;
	if (size == -EAGAIN)
		return false;
	if (size < (ssize_t)sizeof(message.kind) ||
	    (size_t)size != process_message_size(message.kind)) {
		if (size > 0)
			log_error("worker %d sent a message of kind %u and %zd bytes, which is "
				  "none: it is of another build than rosend",
			    process->pid, message.kind, size);
		process_end(process);
		return false;
	}
	if (message.kind == CONTROL_FAILED || message.kind == CONTROL_LAST_WORDS)
		hello_clean_text(message.text.text, sizeof(message.text.text));
	if (message.kind == CONTROL_DEVICE) {
		hello_clean_text(message.device.name, sizeof(message.device.name));
		hello_clean_text(message.device.pci, sizeof(message.device.pci));
	}
	if (process->owner.message)
		process->owner.message(process->owner.data, &message, fd);
	return process->control;
}

static void on_control(void *data, unsigned events)
{
	take_message(data);
}

/* Empty for an end in order. */
static void describe_end(int status, char *text, size_t size)
{
	*text = '\0';
	if (WIFSIGNALED(status))
		snprintf(text, size, "ended by signal %d (%s)", WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		snprintf(text, size, "ended with status %d", WEXITSTATUS(status));
}

static void on_life(void *data, unsigned events)
{
	struct process *process = data;
	struct server *server = process->server;
	char how[128];
	siginfo_t info = {0};
	int status = 0;

	if (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    info.si_pid != process->pid)
		return;
	driver_files_remove("/dev/shm", process->pid);
	waitpid(process->pid, &status, 0);
	/* Its last words may still lie in the socket. */
	while (process->control && take_message(process))
		;
	describe_end(status, how, sizeof(how));
	log_debug("worker %d %s", process->pid, *how ? how : "ended");
	if (process->owner.ended)
		process->owner.ended(process->owner.data, how);
	process_free(process);
	server_check_stopped(server);
}

static void on_grace_over(void *data)
{
	struct process *process = data;

	process->grace = alarm_free(process->grace);
	/* Not yet waited for, so the number still means this process. */
	kill(process->pid, SIGKILL);
}

static int start(struct process *process, int *control_out)
{
	int pair[2];
	pid_t parent = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_origin(-errno);
	process->pid = fork();
	if (process->pid == 0)
		become_worker(process->server, pair[1], parent);
	int r = process->pid < 0 ? error_origin(-errno) : 0;
	fd_close(pair[1]);
	if (r < 0)
		fd_close(pair[0]);
	else
		*control_out = pair[0];
	return r;
}

static int watch_child(struct process *process, int control)
{
	int life = (int)syscall(SYS_pidfd_open, process->pid, 0);
	int r = life < 0 ? error_origin(-errno) : 0;

	if (r < 0) {
		fd_close(control);
		return r;
	}
	r = watch_new(
	    process->server->loop, control, WATCH_READ, on_control, process, &process->control);
	if (r < 0) {
		fd_close(life);
		return error_trace(r);
	}
	return error_trace(
	    watch_new(process->server->loop, life, WATCH_READ, on_life, process, &process->life));
}

int process_new(
    struct server *server, const struct process_owner *owner, struct process **out, char *error)
{
	int control = -1;

	if (access(server->install.worker, X_OK) < 0) {
		snprintf(error, HELLO_TEXT_MAX,
		    "%.180s: %s: the installation is incomplete (`rosen doctor`)",
		    server->install.worker, strerror(errno));
		return error_origin(-errno);
	}
	struct process *process = calloc(1, sizeof(*process));
	if (!process) {
		snprintf(error, HELLO_TEXT_MAX, "rosend is out of memory");
		return error_origin(-ENOMEM);
	}
	process->server = server;
	process->owner = *owner;
	list_init(&process->link);
	int r = start(process, &control);
	if (r == 0) {
		r = watch_child(process, control);
		if (r < 0) {
			kill(process->pid, SIGKILL);
			waitpid(process->pid, NULL, 0);
		}
	}
	if (r < 0) {
		snprintf(error, HELLO_TEXT_MAX, "rosend cannot start a worker: %s", strerror(-r));
		process_free(process);
		return error_trace(r);
	}
	list_append(&server->processes, &process->link);
	*out = process;
	return 0;
}

void process_set_owner(struct process *process, const struct process_owner *owner)
{
	process->owner = *owner;
}

int process_send(
    struct process *process, const void *message, size_t size, const int *fds, size_t n_fds)
{
	if (!process->control)
		return error_origin(-ENOTCONN);
	return error_trace(fd_send(watch_fd(process->control), message, size, fds, n_fds));
}

void process_end(struct process *process)
{
	process->control = watch_free(process->control);
	if (process->grace)
		return;
	int r = alarm_new(
	    process->server->loop, PROCESS_GRACE_MS, on_grace_over, process, &process->grace);
	if (r < 0)
		kill(process->pid, SIGKILL);
}

void process_abandon(struct process *process)
{
	process->owner = (struct process_owner){0};
	process_end(process);
}

void process_kill(struct process *process)
{
	process_abandon(process);
	/* Not yet waited for, so the number still means this process. */
	kill(process->pid, SIGKILL);
}

int process_pid(const struct process *process)
{
	return process->pid;
}

void process_end_all(struct server *server)
{
	list_for_each (&server->processes, link)
		process_end(container_of(link, struct process, link));
}
