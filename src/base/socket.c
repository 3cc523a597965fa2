/*
 * See socket.h. Two servers that start at the same moment must not remove each other's socket: the
 * look at an old socket and its replacement happen under a lock on the folder, which leaves no lock
 * file behind.
 */
#include "base/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/util.h"

#define BACKLOG		128
#define SOCKET_PATH_MAX sizeof(((struct sockaddr_un *)0)->sun_path)

static int make_address(const char *path, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (!*path || strlen(path) >= SOCKET_PATH_MAX)
		return error_origin(-ENAMETOOLONG);
	strcpy(address->sun_path, path);
	return 0;
}

int socket_connect(const char *path, int *out)
{
	struct sockaddr_un address;
	int r = make_address(path, &address);

	if (r < 0)
		return error_trace(r);
	_cleanup_fd_ int fd = fd_above_standard(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	if (fd < 0)
		return error_origin(-errno);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_origin(-errno);
	*out = fd;
	fd = -1;
	return 0;
}

static int open_folder(const char *path, bool private_folder, int *out, char *error)
{
	char folder[SOCKET_PATH_MAX] = ".";
	const char *slash = strrchr(path, '/');
	struct stat status;
	int r = 0;

	if (slash)
		snprintf(folder, sizeof(folder), "%.*s", (int)MAX(slash - path, 1), path);
	if (private_folder || stat(folder, &status) < 0)
		r = dir_make_private(folder);
	if (r == -EPERM)
		snprintf(error, SOCKET_ERROR_MAX,
		    "%s is not a folder only you can enter: remove it, or choose another socket",
		    folder);
	if (r == 0) {
		*out = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = *out < 0 ? error_origin(-errno) : 0;
	}
	if (r < 0 && r != -EPERM)
		snprintf(error, SOCKET_ERROR_MAX, "%s: %s: %schoose another socket", folder,
		    strerror(-r), r == -ENOENT ? "make it, or " : "");
	return r;
}

/* Removes what nobody listens on. Under the folder's lock. */
static int clear_place(const char *path, char *error)
{
	struct stat status;
	int other;

	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0 : error_origin(-errno);
	if (!S_ISSOCK(status.st_mode)) {
		snprintf(error, SOCKET_ERROR_MAX,
		    "%s is there and is no socket: remove it, or choose another socket", path);
		return error_origin(-EEXIST);
	}
	int r = socket_connect(path, &other);
	if (r == -ECONNREFUSED)
		return unlink(path) < 0 ? error_origin(-errno) : 0;
	if (r == 0)
		fd_close(other);
	snprintf(error, SOCKET_ERROR_MAX,
	    "another rosend listens at %s: `rosen ps --server %s` shows its sessions; stop it, "
	    "or choose another socket",
	    path, path);
	return error_origin(-EADDRINUSE);
}

static int bind_and_listen(const char *path, bool for_all, int *out)
{
	struct sockaddr_un address;
	int r = make_address(path, &address);

	if (r < 0)
		return error_trace(r);
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_origin(-errno);
	mode_t old_mask = umask(for_all ? 0111 : 0177);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		r = error_origin(-errno);
	umask(old_mask);
	if (r < 0)
		return r;
	if (listen(fd, BACKLOG) < 0)
		return error_origin(-errno);
	*out = fd;
	fd = -1;
	return 0;
}

int socket_listen(const char *path, bool private_folder, bool for_all, int *out, char *error)
{
	_cleanup_fd_ int folder = -1;

	*error = '\0';
	if (strlen(path) >= SOCKET_PATH_MAX) {
		snprintf(error, SOCKET_ERROR_MAX,
		    "%s is too long for a socket's path, which has at most %zu bytes: choose "
		    "another socket",
		    path, SOCKET_PATH_MAX - 1);
		return error_origin(-ENAMETOOLONG);
	}
	int r = open_folder(path, private_folder, &folder, error);
	if (r < 0)
		return error_trace(r);
	while (flock(folder, LOCK_EX) < 0)
		if (errno != EINTR)
			return error_origin(-errno);
	r = clear_place(path, error);
	if (r == 0)
		r = bind_and_listen(path, for_all, out);
	if (r < 0 && !*error)
		snprintf(error, SOCKET_ERROR_MAX, "cannot listen at %s: %s: choose another socket",
		    path, strerror(-r));
	return error_trace(r);
}

static int option_of(int fd, int option)
{
	int value = -1;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &size) < 0 ? -1 : value;
}

int socket_check_listening(int fd)
{
	bool right = option_of(fd, SO_DOMAIN) == AF_UNIX &&
		     option_of(fd, SO_TYPE) == SOCK_SEQPACKET && option_of(fd, SO_ACCEPTCONN) == 1;

	return right ? 0 : error_origin(-EINVAL);
}

bool socket_peer_is_ours(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}
