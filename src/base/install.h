/*
 * Where the parts of this installation lie. A tree of Rosen can be moved anywhere: every path is
 * found from the running executable, none is compiled in.
 *
 *	PREFIX/bin/rosen, rosend
 *	PREFIX/libexec/rosen/rosen-worker, rosen-bench-client
 *	PREFIX/lib/rosen/libcuda.so.1, libnvidia-ml.so.1
 *	PREFIX/lib/rosen/softgpu/libcuda.so.1, softgpu-audit.so, ptxas
 */
#pragma once

#include <stddef.h>

#define INSTALL_PATH_MAX 1024

struct install {
	char prefix[INSTALL_PATH_MAX];
	char rosen[INSTALL_PATH_MAX], rosend[INSTALL_PATH_MAX], worker[INSTALL_PATH_MAX],
	    bench_client[INSTALL_PATH_MAX];
	char libraries[INSTALL_PATH_MAX]; /* the folder that goes into LD_LIBRARY_PATH */
	char libcuda[INSTALL_PATH_MAX], libnvml[INSTALL_PATH_MAX], softgpu[INSTALL_PATH_MAX];
	/* What goes into programs on the software GPU; the assembler their frameworks run. */
	char softgpu_audit[INSTALL_PATH_MAX], softgpu_ptxas[INSTALL_PATH_MAX];
};

/* The tree of the running executable, which lies in its bin or libexec/rosen. Nothing is checked
 * for existence. -ENAMETOOLONG, or what readlink said. */
int install_find(struct install *install);

/* The same for a given executable's path. */
int install_from(struct install *install, const char *executable);

/*
 * Where rosend listens when no setting says otherwise: $XDG_RUNTIME_DIR/rosen/rosend.sock, without
 * that variable /tmp/rosen-UID/rosend.sock. -ENAMETOOLONG when size does not hold it.
 */
int install_socket_path(char *path, size_t size);

/*
 * list, a colon-separated LD_LIBRARY_PATH (NULL: none), without folder; the result is from malloc.
 * Empty entries, which mean the current folder, are dropped. NULL: out of memory.
 */
char *install_search_path_without(const char *list, const char *folder);
