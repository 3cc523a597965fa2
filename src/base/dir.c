/*
 * See dir.h. A socket's folder decides who can reach rosend and who can put a false socket in its
 * place, hence the checks of owner and mode on the folder itself, not on what a link points at.
 */
#include "base/dir.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

int dir_make_private(const char *path)
{
	struct stat status;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return error_origin(-errno);
	if (lstat(path, &status) < 0)
		return error_origin(-errno);
	if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || status.st_mode & 077)
		return error_origin(-EPERM);
	return 0;
}

const char *dir_temporary(void)
{
	const char *path = getenv("TMPDIR");

	return path && *path == '/' ? path : "/tmp";
}

int dir_make_temporary(const char *prefix, char *buffer, size_t size)
{
	const char *parent = dir_temporary();

	if (strlen(parent) + strlen(prefix) + 9 > size)
		parent = "/tmp";
	if ((size_t)snprintf(buffer, size, "%s/%s-XXXXXX", parent, prefix) >= size)
		return error_origin(-ENAMETOOLONG);
	return mkdtemp(buffer) ? 0 : error_origin(-errno);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	return remove(path);
}

int dir_remove(const char *path)
{
	if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0 && errno != ENOENT)
		return error_origin(-errno);
	return 0;
}
