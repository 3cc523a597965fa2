/* See file.h. */
#include "shim/file.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "wire/limits.h"

CUresult file_read(const char *path, void **bytes, size_t *size)
{
	struct stat info;

	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
		return CUDA_ERROR_FILE_NOT_FOUND;
	if ((uint64_t)info.st_size > WIRE_IMAGE_MAX)
		return CUDA_ERROR_OUT_OF_MEMORY;
	char *memory = malloc((size_t)info.st_size + 1);
	if (!memory)
		return CUDA_ERROR_OUT_OF_MEMORY;
	ssize_t got = fd_read_all(fd, memory, (size_t)info.st_size, 0);
	if (got < 0) {
		free(memory);
		return CUDA_ERROR_FILE_NOT_FOUND;
	}
	memory[got] = '\0';
	*bytes = memory;
	*size = (size_t)got;
	return CUDA_SUCCESS;
}
