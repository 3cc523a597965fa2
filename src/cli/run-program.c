/*
 * Starts rosen run's program: its environment and the exec.
 *
 * The shim reads settings from the environment only, since it must not read files inside other
 * people's programs; so every setting that differs from the standard, from wherever it came, is put
 * there for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/binary.h"
#include "cli/cli.h"
#include "cli/run.h"

static void export_settings(const struct config *config)
{
	char variable[CONFIG_VARIABLE_MAX], value[CONFIG_TEXT_MAX];

	for (size_t i = 0; i < config_n_entries; i++)
		if (config->source[i] != CONFIG_STANDARD)
			setenv(config_variable(&config_entries[i], variable),
			    config_show(config, &config_entries[i], value), 1);
}

/* PREFIX/lib/rosen first, and only once. */
static bool export_library_path(const struct install *install)
{
	char *whole = NULL;
	char *rest = install_search_path_without(getenv("LD_LIBRARY_PATH"), install->libraries);
	bool good = rest &&
		    asprintf(&whole, "%s%s%s", install->libraries, *rest ? ":" : "", rest) >= 0 &&
		    setenv("LD_LIBRARY_PATH", whole, 1) == 0;
	free(rest);
	free(whole);
	return good;
}

/*
 * NVIDIA's compilers in the program make machine code, which the software GPU cannot run, and its
 * libraries prefer theirs: softgpu-audit.so has them take PTX. Triton runs its assembler as a
 * program, one for GPUs before 10.0 and one for the others. What the user has set himself stays.
 */
static bool export_softgpu(const struct install *install)
{
	const char *others = getenv("LD_AUDIT");
	char *audit = NULL;

	if (access(install->softgpu_audit, R_OK) < 0 || access(install->softgpu_ptxas, X_OK) < 0)
		return true;
	bool good = asprintf(&audit, "%s%s%s", install->softgpu_audit, others && *others ? ":" : "",
			others ?: "") >= 0 &&
		    setenv("LD_AUDIT", audit, 1) == 0 &&
		    setenv("TRITON_PTXAS_PATH", install->softgpu_ptxas, 0) == 0 &&
		    setenv("TRITON_PTXAS_BLACKWELL_PATH", install->softgpu_ptxas, 0) == 0;
	free(audit);
	return good;
}

/* The program may look for it from another folder. */
static void export_server(const char *socket)
{
	char *folder = *socket == '/' ? NULL : getcwd(NULL, 0), *path = NULL;

	if (folder && asprintf(&path, "%s/%s", folder, socket) < 0)
		path = NULL;
	setenv("ROSEN_SERVER", path ?: socket, 1);
	free(path);
	free(folder);
}

static bool export_all(const struct run_plan *plan, const struct install *install)
{
	export_settings(plan->config);
	export_server(plan->use->socket);
	setenv("ROSEN_RUN", plan->run, 1);
	if (plan->observe_dir)
		setenv("ROSEN_OBSERVE_DIR", plan->observe_dir, 1);
	if (plan->trace)
		setenv("ROSEN_TRACE", "yes", 1);
	return export_library_path(install) &&
	       (strcmp(plan->config->backend, "softgpu") != 0 || export_softgpu(install));
}

static _Noreturn void become_program(const struct run_plan *plan, const struct install *install,
    pid_t parent, const sigset_t *mask, int report)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(RUN_FAILED);
	sigprocmask(SIG_SETMASK, mask, NULL);
	if ((plan->input >= 0 && dup2(plan->input, STDIN_FILENO) < 0) ||
	    (plan->output >= 0 && dup2(plan->output, STDOUT_FILENO) < 0))
		_exit(RUN_FAILED);
	errno = ENOMEM;
	if (export_all(plan, install))
		execvp(plan->program[0], plan->program);
	int why = errno;
	(void)!write(report, &why, sizeof(why));
	_exit(RUN_FAILED);
}

static int explain(const char *name, int why)
{
	char path[INSTALL_PATH_MAX];
	struct stat status;

	/* execvp() says EACCES also when a folder in PATH may not be searched. */
	if (why == EACCES && !binary_find(name, F_OK, path, sizeof(path)))
		why = ENOENT;
	if (why == ENOENT) {
		cli_error(!*name	      ? "\"%s\": a program's name cannot be empty"
			  : strchr(name, '/') ? "%s: no such program, or its interpreter is missing"
					      : "%s: no such program in PATH",
		    name);
		return RUN_NOT_FOUND;
	}
	if (why == EACCES && stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		why = EISDIR;
	cli_error("cannot execute %s: %s%s", name, strerror(why),
	    why == ENOEXEC ? ": is it a program for this kind of machine?" : "");
	return RUN_CANNOT_EXECUTE;
}

/* A program that Rosen's library cannot get into would otherwise just find no GPU. */
static void warn_of_obstacle(const char *name)
{
	char path[INSTALL_PATH_MAX], why[BINARY_WHY_MAX];
	struct binary_report report;
	const char *mend;

	if (binary_find(name, X_OK, path, sizeof(path)) && binary_inspect(path, &report) == 0 &&
	    report.is_elf && binary_has_obstacle(&report, why, &mend))
		cli_error("warning: %s %s. CUDA calls of its own are not forwarded (`rosen doctor "
			  "-- %s`); those of programs it starts may be",
		    path, why, name);
}

/* Without Rosen's library the program would find another one, or none. */
static bool find_library(struct install *install)
{
	if (install_find(install) < 0) {
		cli_error("cannot find this installation: is /proc mounted?");
		return false;
	}
	if (access(install->libcuda, R_OK) < 0) {
		cli_error("%s: %s: the installation is incomplete (`rosen doctor`)",
		    install->libcuda, strerror(errno));
		return false;
	}
	if (strpbrk(install->libraries, ":;")) {
		cli_error("LD_LIBRARY_PATH cannot name %s, since a colon or a semicolon ends an "
			  "entry there: move this installation to another folder",
		    install->libraries);
		return false;
	}
	return true;
}

int run_start_program(const struct run_plan *plan, pid_t *pid)
{
	int report[2], why = 0;
	pid_t parent = getpid();
	struct install install;
	sigset_t all, before;

	if (!find_library(&install))
		return RUN_FAILED;
	if (pipe2(report, O_CLOEXEC) < 0) {
		cli_error("cannot start the program: %s", strerror(errno));
		return RUN_FAILED;
	}
	warn_of_obstacle(plan->program[0]);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	*pid = fork();
	if (*pid == 0)
		become_program(plan, &install, parent, &before, report[1]);
	fd_close(report[1]);
	if (*pid < 0) {
		fd_close(report[0]);
		cli_error("cannot start the program: %s", strerror(errno));
		return RUN_FAILED;
	}
	/* The pipe closes without a word when exec succeeds. */
	ssize_t size = read(report[0], &why, sizeof(why));
	fd_close(report[0]);
	if (size != sizeof(why))
		return 0;
	waitpid(*pid, NULL, 0);
	return explain(plan->program[0], why);
}
