/* See file.h. */
#include "shim/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "wire/limits.h"

CUresult file_read(const char *path, void **bytes, size_t *size)
{
	struct stat info;
	size_t done = 0;

	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
		return CUDA_ERROR_FILE_NOT_FOUND;
	if ((uint64_t)info.st_size > WIRE_IMAGE_MAX)
		return CUDA_ERROR_OUT_OF_MEMORY;
	char *memory = malloc((size_t)info.st_size + 1);
	if (!memory)
		return CUDA_ERROR_OUT_OF_MEMORY;
	while (done < (size_t)info.st_size) {
		ssize_t got = read(fd, memory + done, (size_t)info.st_size - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	memory[done] = '\0';
	*bytes = memory;
	*size = done;
	return CUDA_SUCCESS;
}
