/* See test-tree.h. The executables come from the environment (TEST_ROSEND, TEST_WORKER), which the
 * build sets; they are copied, so that each finds the tree from its own path. */
#include "control/test-tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/dir.h"
#include "base/fd.h"
#include "base/socket.h"
#include "base/test.h"

void test_tree_add(const struct test_tree *tree, const char *executable, const char *name)
{
	char path[512];
	struct stat status;
	off_t at = 0;

	snprintf(path, sizeof(path), "%s/%s", tree->folder, name);
	_cleanup_fd_ int in = open(executable, O_RDONLY | O_CLOEXEC);
	_cleanup_fd_ int out = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	CHECK(in >= 0 && out >= 0 && fstat(in, &status) == 0);
	while (at < status.st_size)
		CHECK(sendfile(out, in, &at, (size_t)(status.st_size - at)) > 0);
}

static void make_folder(const struct test_tree *tree, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", tree->folder, name);
	CHECK_EQ(mkdir(path, 0700), 0);
}

static const char *from_build(const char *variable)
{
	const char *path = getenv(variable);

	if (!path)
		SKIP("run it through the build: TEST_ROSEND and TEST_WORKER are not set");
	return path;
}

pid_t test_tree_spawn(const struct test_tree *tree)
{
	pid_t parent = getpid(), pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		execl(tree->rosend, "rosend", "--socket", tree->socket, (char *)NULL);
	_exit(EXIT_FAILURE);
}

void test_tree_restart(struct test_tree *tree)
{
	uint64_t limit = clock_now_ns() + 10 * NSEC_PER_SEC;
	int fd;

	tree->pid = test_tree_spawn(tree);
	while (socket_connect(tree->socket, &fd) < 0) {
		CHECK(clock_now_ns() < limit);
		nanosleep(&(struct timespec){.tv_nsec = NSEC_PER_MSEC}, NULL);
	}
	fd_close(fd);
}

struct test_tree test_tree_make(const char *behaviour)
{
	struct test_tree tree = {0};
	const char *rosend = from_build("TEST_ROSEND"), *worker = from_build("TEST_WORKER");

	CHECK_EQ(dir_make_temporary("rosen-test", tree.folder, sizeof(tree.folder)), 0);
	make_folder(&tree, "bin");
	make_folder(&tree, "libexec");
	make_folder(&tree, "libexec/rosen");
	test_tree_add(&tree, rosend, "bin/rosend");
	test_tree_add(&tree, worker, "libexec/rosen/rosen-worker");
	snprintf(tree.rosend, sizeof(tree.rosend), "%s/bin/rosend", tree.folder);
	snprintf(tree.socket, sizeof(tree.socket), "%s/rosend.sock", tree.folder);
	setenv("FAKE_WORKER", behaviour, 1);
	setenv("ROSEN_LOG", "error", 1);
	setenv("ROSEN_CONFIG", "/dev/null", 1);
	setenv("ROSEN_WARM_WORKERS", "0", 0); /* a test of them has set it */
	return tree;
}

struct test_tree test_tree_start(const char *behaviour)
{
	struct test_tree tree = test_tree_make(behaviour);

	test_tree_restart(&tree);
	return tree;
}

static bool is_of_tree(const struct test_tree *tree, const char *pid)
{
	char link[300], target[512];

	snprintf(link, sizeof(link), "/proc/%s/exe", pid);
	ssize_t length = readlink(link, target, sizeof(target));
	return length > 0 && !strncmp(target, tree->folder, strlen(tree->folder));
}

/* Puts the first n processes of the tree but `except` into pids; how many there are. */
static int list_processes(const struct test_tree *tree, pid_t except, pid_t *pids, int n)
{
	DIR *processes = opendir("/proc");
	int count = 0;

	CHECK(processes);
	for (struct dirent *entry = readdir(processes); entry; entry = readdir(processes)) {
		pid_t pid = atoi(entry->d_name);
		if (pid == except || !is_of_tree(tree, entry->d_name))
			continue;
		if (count < n)
			pids[count] = pid;
		count++;
	}
	closedir(processes);
	return count;
}

int test_tree_processes(const struct test_tree *tree)
{
	return list_processes(tree, 0, NULL, 0);
}

int test_tree_children(const struct test_tree *tree, pid_t *children, int n)
{
	return list_processes(tree, tree->pid, children, n);
}

void test_tree_stop(struct test_tree *tree)
{
	int status;

	kill(tree->pid, SIGTERM);
	CHECK_EQ(waitpid(tree->pid, &status, 0), tree->pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK_EQ(test_tree_processes(tree), 0);
	CHECK(access(tree->socket, F_OK) < 0 && errno == ENOENT);
	CHECK_EQ(dir_remove(tree->folder), 0);
}
