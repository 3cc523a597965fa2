/*
 * See install.h. rosen calls this to find rosend and the libraries it puts before a program, rosend
 * to find its workers and the software GPU. The kernel's /proc/self/exe is the path after all
 * symbolic links, so a link to bin/rosen from elsewhere finds the same tree.
 */
#include "base/install.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/util.h"

/* Cuts the last component off, in place. */
static void cut_component(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash)
		*slash = '\0';
}

int install_from(struct install *install, const char *executable)
{
	const struct {
		char *path;
		const char *tail;
	} parts[] = {
	    {install->rosen, "bin/rosen"},
	    {install->rosend, "bin/rosend"},
	    {install->worker, "libexec/rosen/rosen-worker"},
	    {install->bench_client, "libexec/rosen/rosen-bench-client"},
	    {install->libraries, "lib/rosen"},
	    {install->libcuda, "lib/rosen/libcuda.so.1"},
	    {install->libnvml, "lib/rosen/libnvidia-ml.so.1"},
	    {install->softgpu, "lib/rosen/softgpu/libcuda.so.1"},
	    {install->softgpu_audit, "lib/rosen/softgpu/softgpu-audit.so"},
	    {install->softgpu_ptxas, "lib/rosen/softgpu/ptxas"},
	};
	char folder[INSTALL_PATH_MAX];

	if (strlen(executable) >= sizeof(folder))
		return error_origin(-ENAMETOOLONG);
	strcpy(folder, executable);
	cut_component(folder);
	const char *name = strrchr(folder, '/');
	bool deep = name && !strcmp(name, "/rosen");
	cut_component(folder);
	if (deep)
		cut_component(folder);
	strcpy(install->prefix, folder);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		int length =
		    snprintf(parts[i].path, INSTALL_PATH_MAX, "%s/%s", folder, parts[i].tail);
		if (length >= INSTALL_PATH_MAX)
			return error_origin(-ENAMETOOLONG);
	}
	return 0;
}

int install_find(struct install *install)
{
	char executable[INSTALL_PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", executable, sizeof(executable));

	if (length < 0)
		return error_origin(-errno);
	if ((size_t)length == sizeof(executable))
		return error_origin(-ENAMETOOLONG);
	executable[length] = '\0';
	return install_from(install, executable);
}

int install_socket_path(char *path, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int length;

	if (runtime && *runtime == '/')
		length = snprintf(path, size, "%s/rosen/rosend.sock", runtime);
	else
		length = snprintf(path, size, "/tmp/rosen-%u/rosend.sock", (unsigned)geteuid());
	return (size_t)length < size ? 0 : error_origin(-ENAMETOOLONG);
}

char *install_search_path_without(const char *list, const char *folder)
{
	char *result = malloc(strlen(list ?: "") + 1), *end = result;

	if (!result)
		return NULL;
	for (const char *at = list ?: ""; *at;) {
		size_t length = strcspn(at, ":");
		bool drop =
		    length == 0 || (length == strlen(folder) && !strncmp(at, folder, length));
		if (!drop) {
			if (end > result)
				*end++ = ':';
			memcpy(end, at, length);
			end += length;
		}
		at += length;
		at += *at == ':';
	}
	*end = '\0';
	return result;
}
