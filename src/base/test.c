/*
 * The runner behind test.h: one forked child per test, so that a crash or a hang is one failed test
 * and state never travels from one test to the next. The child reports by its exit status: 0
 * passed, 77 skipped, anything else (a signal, the alarm, a leaked descriptor) failed.
 *
 * With ROSEN_TEST_TOGETHER set a child goes on with the next test for as long as they pass, for
 * beginning is what most of the time goes into where a GPU's driver makes a context for each. What
 * does not pass in a child that had others before it runs again in one of its own, which is what
 * counts: tests may leave anything behind. A child's output goes into a file in memory and is
 * printed up to the last test that passed.
 */
#include "base/test.h"

#include <dirent.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_SKIPPED	77
#define LATER_TIMEOUT_S 20 /* of a test that others came before */

extern const struct test __start_rosen_tests[], __stop_rosen_tests[];

void test_fail(const char *file, int line, const char *format, ...)
{
	va_list arguments;

	printf("# %s:%d: ", file, line);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	fflush(stdout);
	_exit(EXIT_FAILURE);
}

void test_skip(const char *reason)
{
	printf("# skipped: %s\n", reason);
	fflush(stdout);
	_exit(EXIT_SKIPPED);
}

void test_check_bytes(const char *file, int line, const void *got, const void *wanted, size_t size)
{
	const uint8_t *a = got, *b = wanted;

	for (size_t i = 0; i < size; i++)
		if (a[i] != b[i])
			test_fail(file, line, "byte %zu of %zu is 0x%02x, wanted 0x%02x", i, size,
			    a[i], b[i]);
}

static int count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	if (!directory)
		return -1;
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void run_in_child(const struct test *test)
{
	int before = count_fds();

	alarm(test->timeout_s);
	test->run();
	int after = count_fds();
	if (after != before && !test->keeps_fds)
		test_fail(__FILE__, __LINE__, "%d descriptors leaked", after - before);
	fflush(stdout);
}

static bool wanted(const struct test *test, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], test->name))
			return true;
	return argc < 2;
}

/* Prints how the test ended; whether it failed. */
static bool report(const struct test *test, int status)
{
	bool skipped = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED;
	bool passed = skipped || status == 0;

	if (WIFSIGNALED(status))
		printf(
		    "# ended by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
	printf("%s %td %s%s\n", passed ? "ok" : "not ok", test - __start_rosen_tests + 1,
	    test->name, skipped ? " # SKIP" : "");
	return !passed;
}

static int wait_for(pid_t child)
{
	int status;

	return child < 0 || waitpid(child, &status, 0) != child ? 1 : status;
}

static bool run_alone(const struct test *test)
{
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		run_in_child(test);
		/* exit, not _exit: leak checkers report at exit. */
		exit(EXIT_SUCCESS);
	}
	return report(test, wait_for(child));
}

/* --- one after the other in one child --- */

/* The parent reads it when the child has ended. */
struct row {
	const struct test *at; /* the test that is under way, or was the last */
	off_t said;	       /* how much those before it printed */
};

static _Noreturn void go_on(struct row *row, const struct test *first, int argc, char **argv)
{
	for (const struct test *test = first; test < __stop_rosen_tests; test++) {
		struct test in_row = *test;

		if (!wanted(test, argc, argv))
			continue;
		*row = (struct row){test, lseek(STDOUT_FILENO, 0, SEEK_CUR)};
		if (test > first)
			in_row.timeout_s = MIN(test->timeout_s, LATER_TIMEOUT_S);
		run_in_child(&in_row);
	}
	exit(EXIT_SUCCESS);
}

static int fork_row(struct row *row, int out, const struct test *first, int argc, char **argv)
{
	*row = (struct row){first, 0};
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		dup2(out, STDOUT_FILENO);
		go_on(row, first, argc, argv);
	}
	return wait_for(child);
}

static void print_output(int fd, off_t n)
{
	char bytes[4096];
	ssize_t got;

	for (off_t at = 0; at < n; at += got) {
		got = pread(fd, bytes, (size_t)MIN(n - at, (off_t)sizeof(bytes)), at);
		if (got <= 0)
			return;
		fwrite(bytes, 1, (size_t)got, stdout);
	}
}

/* Runs first and what follows it while they pass; the test to go on with. */
static const struct test *run_row(const struct test *first, int argc, char **argv, int *failed)
{
	int out = memfd_create("rosen-test", MFD_CLOEXEC);
	struct row *row =
	    mmap(NULL, sizeof(*row), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const struct test *end = first + 1;

	if (out < 0 || row == MAP_FAILED) {
		*failed += run_alone(first);
		return end;
	}
	int status = fork_row(row, out, first, argc, argv);
	if (status && row->at == first) {
		print_output(out, lseek(out, 0, SEEK_END));
		*failed += report(first, status);
	} else {
		end = status ? row->at : __stop_rosen_tests;
		print_output(out, status ? row->said : lseek(out, 0, SEEK_END));
		for (const struct test *test = first; test < end; test++)
			report(test, wanted(test, argc, argv) ? 0 : EXIT_SKIPPED << 8);
	}
	munmap(row, sizeof(*row));
	close(out);
	return end;
}

int main(int argc, char **argv)
{
	const struct test *test = __start_rosen_tests;
	bool together = getenv("ROSEN_TEST_TOGETHER");
	int failed = 0;

	printf("1..%td\n", __stop_rosen_tests - __start_rosen_tests);
	while (test < __stop_rosen_tests) {
		if (!wanted(test, argc, argv))
			report(test++, EXIT_SKIPPED << 8);
		else if (together)
			test = run_row(test, argc, argv, &failed);
		else
			failed += run_alone(test++);
	}
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
