/*
 * The runner behind test.h: one forked child per test, so that a crash or a hang is one failed test
 * and state never travels from one test to the next. The child reports by its exit status: 0
 * passed, 77 skipped, anything else (a signal, the alarm, a leaked descriptor) failed.
 */
#include "base/test.h"

#include <dirent.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_SKIPPED 77

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
	/* exit, not _exit: leak checkers report at exit. */
	exit(EXIT_SUCCESS);
}

static bool wanted(const struct test *test, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], test->name))
			return true;
	return argc < 2;
}

int main(int argc, char **argv)
{
	int number = 0, failed = 0;

	printf("1..%td\n", __stop_rosen_tests - __start_rosen_tests);
	for (const struct test *test = __start_rosen_tests; test < __stop_rosen_tests; test++) {
		int status = EXIT_SKIPPED << 8;

		number++;
		fflush(stdout);
		if (wanted(test, argc, argv)) {
			pid_t child = fork();
			if (child == 0)
				run_in_child(test);
			if (child < 0 || waitpid(child, &status, 0) != child)
				status = 1;
		}
		if (WIFSIGNALED(status))
			printf("# ended by signal %d (%s)\n", WTERMSIG(status),
			    strsignal(WTERMSIG(status)));
		bool skipped = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED;
		bool passed = skipped || status == 0;
		failed += !passed;
		printf("%s %d %s%s\n", passed ? "ok" : "not ok", number, test->name,
		    skipped ? " # SKIP" : "");
	}
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
