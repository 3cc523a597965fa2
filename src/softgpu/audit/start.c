/*
 * Programs that the process starts: NVIDIA's assembler, which XLA looks for beside NVIDIA's
 * packages and by no setting, is the software GPU's instead, which lies beside this library. Only
 * where libcuda is loaded: nvcc and its shells run NVIDIA's.
 *
 * These functions may run in a child after vfork(), so the C library's own are remembered as they
 * are bound, and nothing here takes a lock or allocates.
 */
#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "softgpu/audit/audit.h"

#define PATH_ROOM 1024

static typeof(posix_spawn) *real_spawn, *real_spawnp;
static typeof(execve) *real_execve;
static typeof(execv) *real_execv;

static char assembler[PATH_ROOM];

/* By the dynamic linker, once. */
__attribute__((constructor)) static void find_assembler(void)
{
	const char *slash;
	Dl_info self;

	if (!dladdr(assembler, &self) || !(slash = strrchr(self.dli_fname, '/')))
		return;
	int length = snprintf(assembler, sizeof(assembler), "%.*s/ptxas",
	    (int)(slash - self.dli_fname), self.dli_fname);
	if (length >= PATH_ROOM || access(assembler, X_OK) < 0)
		*assembler = 0;
}

static const char *choose(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL, *name = slash ? slash + 1 : path;

	return name && *assembler && libcuda_library.map &&
		       (!strcmp(name, "ptxas") || !strcmp(name, "ptxas-blackwell"))
		   ? assembler
		   : path;
}

static int start_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
    const posix_spawnattr_t *attributes, char *const *arguments, char *const *environment)
{
	return real_spawn(pid, choose(path), actions, attributes, arguments, environment);
}

static int start_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
    const posix_spawnattr_t *attributes, char *const *arguments, char *const *environment)
{
	return real_spawnp(pid, choose(file), actions, attributes, arguments, environment);
}

static int start_execve(const char *path, char *const *arguments, char *const *environment)
{
	return real_execve(choose(path), arguments, environment);
}

static int start_execv(const char *path, char *const *arguments)
{
	return real_execv(choose(path), arguments);
}

static const struct audit_function functions[] = {
    {"posix_spawn", start_spawn, (void **)&real_spawn},
    {"posix_spawnp", start_spawnp, (void **)&real_spawnp},
    {"execve", start_execve, (void **)&real_execve},
    {"execv", start_execv, (void **)&real_execv},
    {0},
};

struct audit_library libc_library = {"libc.so.6", functions};
