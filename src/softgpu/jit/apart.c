/*
 * The side of the program that wants code. The compiling process gets nothing of this one but the
 * shared file and standard error: no other descriptors, no preloaded or auditing libraries, no
 * terminal's signals, an interrupt being this program's to handle. The thread waits for its end;
 * a program that waits for any child of its may have been told of it before, which is the same.
 */
#include "softgpu/jit/apart.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/fd.h"

#define PROGRAM_NAME "softgpu-compile"

extern char **environ;

static void explain(char *message, size_t size, const char *what)
{
	snprintf(message, size, "%s: %s", what, strerror(errno));
}

/* The program beside the module. */
static void program_path(const char *module, char *path, size_t size)
{
	const char *slash = strrchr(module, '/');

	snprintf(path, size, "%.*s" PROGRAM_NAME, slash ? (int)(slash - module + 1) : 0, module);
}

static int make_file(const char *ir, size_t ir_size, bool is_quick, uint32_t seconds)
{
	struct apart_file file = {.ir_size = ir_size, .is_quick = is_quick, .seconds = seconds};
	_cleanup_fd_ int fd = memfd_create("softgpu-compile", MFD_CLOEXEC);
	int result = fd;

	if (fd < 0 || fd_write_all(fd, &file, sizeof(file), 0) < 0 ||
	    fd_write_all(fd, ir, ir_size + 1, sizeof(file)) < 0)
		return -1;
	fd = -1;
	return result;
}

static bool is_kept(const char *variable)
{
	static const char *const dropped[] = {"LD_AUDIT=", "LD_PRELOAD="};

	for (unsigned i = 0; i < ARRAY_SIZE(dropped); i++)
		if (!strncmp(variable, dropped[i], strlen(dropped[i])))
			return false;
	return true;
}

/* To be given to free(), the strings not. */
static char **new_environment(void)
{
	size_t n = 0, kept = 0;
	char **made;

	while (environ && environ[n])
		n++;
	made = calloc(n + 1, sizeof(*made));
	for (size_t i = 0; made && i < n; i++)
		if (is_kept(environ[i]))
			made[kept++] = environ[i];
	return made;
}

static int spawn(const char *program, const char *module, int fd, pid_t *child)
{
	char *arguments[] = {(char *)program, (char *)module, NULL},
	     **variables = new_environment();
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t signals;
	int r = ENOMEM;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawn_file_actions_adddup2(&actions, fd, APART_FD);
	posix_spawnattr_setflags(
	    &attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	sigfillset(&signals);
	posix_spawnattr_setsigdefault(&attributes, &signals);
	sigemptyset(&signals);
	posix_spawnattr_setsigmask(&attributes, &signals);
	if (variables)
		r = posix_spawn(child, program, &actions, &attributes, arguments, variables);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	free(variables);
	errno = r;
	return r;
}

static void wait_for(pid_t child)
{
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

/* What the compiling process left. It is another build's at worst, and no enemy. */
static enum apart_result take_answer(
    int fd, void **object, size_t *object_size, char *message, size_t message_size)
{
	struct apart_file file;
	off_t at;

	if (fd_read_all(fd, &file, sizeof(file), 0) != sizeof(file) || file.result == APART_DIED) {
		snprintf(message, message_size, PROGRAM_NAME " ended without an answer");
		return APART_DIED;
	}
	snprintf(message, message_size, "%.*s", (int)sizeof(file.message), file.message);
	if (file.result != APART_DONE)
		return (enum apart_result)file.result;
	at = (off_t)(sizeof(file) + file.ir_size + 1);
	*object = malloc(file.object_size);
	*object_size = file.object_size;
	if (*object && fd_read_all(fd, *object, *object_size, at) == (ssize_t)*object_size)
		return APART_DONE;
	free(*object);
	*object = NULL;
	snprintf(message, message_size, PROGRAM_NAME "'s object cannot be read");
	return APART_DIED;
}

enum apart_result apart_compile(const char *module, const char *ir, size_t ir_size, bool is_quick,
    uint32_t seconds, void **object, size_t *object_size, char *message, size_t message_size)
{
	_cleanup_fd_ int fd = make_file(ir, ir_size, is_quick, seconds);
	char program[4096];
	pid_t child;

	program_path(module, program, sizeof(program));
	if (fd < 0 || spawn(program, module, fd, &child)) {
		explain(message, message_size, program);
		return APART_NOT_STARTED;
	}
	wait_for(child);
	return take_answer(fd, object, object_size, message, message_size);
}
