/* The line for whoever waits for a compiler: on a terminal, after a second, and nowhere else. */
#include "softgpu/jit/progress.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"

/* A line, or what there is of it: what was written comes through a terminal with some delay. */
static void read_line(int terminal, char *shown, size_t size)
{
	struct pollfd poll_fd = {.fd = terminal, .events = POLLIN};
	size_t used = 0;

	shown[0] = 0;
	while (!strchr(shown, '\n') && used + 1 < size && poll(&poll_fd, 1, 300) == 1) {
		ssize_t n = read(terminal, shown + used, size - 1 - used);

		used += n > 0 ? (size_t)n : 0;
		shown[used] = 0;
	}
}

/* What is shown on a terminal of work that takes so long. */
static void work(unsigned milliseconds, char *shown, size_t size)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), kept = dup(2);
	struct progress progress;
	int slave;

	CHECK(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
	slave = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
	CHECK(slave >= 0);
	CHECK_EQ(dup2(slave, 2), 2);
	progress_begin(&progress, "a_kernel");
	usleep(milliseconds * 1000);
	progress_end(&progress);
	CHECK_EQ(dup2(kept, 2), 2);
	read_line(terminal, shown, size);
	close(slave);
	close(terminal);
	close(kept);
}

TEST(long_work_is_shown)
{
	char shown[200];

	work(1300, shown, sizeof(shown));
	CHECK(!strncmp(shown, "softgpu: compiling a_kernel... ", 31));
	CHECK(strtod(shown + 31, NULL) >= 1.2);
	CHECK(strstr(shown, " s\r\n"));
}

TEST(short_work_is_not)
{
	char shown[200];

	work(50, shown, sizeof(shown));
	CHECK(!*shown);
}

TEST(files_get_no_line)
{
	char path[] = "/tmp/progress-XXXXXX";
	int file = mkostemp(path, O_CLOEXEC), kept = dup(2);
	struct progress progress;

	CHECK(file >= 0);
	CHECK_EQ(dup2(file, 2), 2);
	progress_begin(&progress, "a_kernel");
	usleep(1200 * 1000);
	progress_end(&progress);
	CHECK_EQ(dup2(kept, 2), 2);
	CHECK_EQ(lseek(file, 0, SEEK_END), 0);
	unlink(path);
	close(file);
	close(kept);
}
