/*
 * Fuzz target: a file that somebody asks `rosen run` or `rosen doctor` about, which need be no
 * program at all. What the report says of it must be texts that end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/binary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct binary_report report;
	char path[64], why[BINARY_WHY_MAX];
	const char *mend = NULL;
	int fd = memfd_create("fuzz-binary", MFD_CLOEXEC);

	log_set_level(LOG_ERROR);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (binary_inspect(path, &report) < 0)
		abort();
	if (!memchr(report.interpreter, 0, sizeof(report.interpreter)) ||
	    !memchr(report.rpath, 0, sizeof(report.rpath)))
		abort();
	if (report.is_elf && binary_has_obstacle(&report, why, &mend) && (!*why || !mend))
		abort();
	close(fd);
	return 0;
}
