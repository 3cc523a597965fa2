/* See file.h. Images carry their own sizes, so only their bytes are handed on. */
#include "softgpu/driver/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fd.h"

#define FILE_SIZE_MAX ((off_t)1 << 31)

CUresult sg_file_read(const char *path, char **text, size_t *size)
{
	struct stat status;

	if (!path)
		return CUDA_ERROR_INVALID_VALUE;
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode))
		return CUDA_ERROR_FILE_NOT_FOUND;
	if (status.st_size > FILE_SIZE_MAX)
		return CUDA_ERROR_INVALID_IMAGE;
	*text = calloc(1, (size_t)status.st_size + sizeof(uint64_t));
	if (!*text)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (fd_read_all(fd, *text, (size_t)status.st_size, 0) != status.st_size) {
		free(*text);
		return CUDA_ERROR_INVALID_IMAGE;
	}
	if (size)
		*size = (size_t)status.st_size;
	return CUDA_SUCCESS;
}
