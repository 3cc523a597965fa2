/* See fd.h. The sealing in fd_memory() is what lets a peer map the memory and never fear SIGBUS. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

int fd_close(int fd)
{
	int saved_errno = errno;

	if (fd >= 0)
		close(fd);
	errno = saved_errno;
	return -1;
}

int fd_above_standard(int fd)
{
	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	fd_close(fd);
	return copy;
}

void fd_fill_standard(bool close_on_exec)
{
	int fd;

	/* The least free number is what one gets. */
	do
		fd = open("/dev/null", O_RDWR | (close_on_exec ? O_CLOEXEC : 0));
	while (fd >= 0 && fd <= STDERR_FILENO);
	fd_close(fd);
}

void fd_closep(int *fd)
{
	*fd = fd_close(*fd);
}

union fd_control {
	struct cmsghdr header; /* for its alignment */
	char space[CMSG_SPACE(sizeof(int) * FD_MESSAGE_MAX)];
};

int fd_send(int socket, const void *data, size_t size, const int *fds, size_t n_fds)
{
	union fd_control control = {0};
	struct iovec piece = {(void *)data, size};
	struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};

	if (n_fds > FD_MESSAGE_MAX)
		return error_origin(-EINVAL);
	if (n_fds) {
		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * n_fds);
	}
	for (;;) {
		if (sendmsg(socket, &message, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return error_origin(-errno);
	}
}

static void take_fds(struct msghdr *message, int *fds, size_t *n_fds)
{
	size_t room = *n_fds;

	*n_fds = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			fd = *n_fds < room ? fd_above_standard(fd) : fd_close(fd);
			if (fd >= 0)
				fds[(*n_fds)++] = fd;
		}
	}
}

ssize_t fd_receive(int socket, void *data, size_t capacity, int *fds, size_t *n_fds, int flags)
{
	union fd_control control = {0};
	struct iovec piece = {data, capacity};
	struct msghdr message = {.msg_iov = &piece,
	    .msg_iovlen = 1,
	    .msg_control = control.space,
	    .msg_controllen = sizeof(control.space)};
	size_t no_fds = 0;
	ssize_t size;

	do
		size = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
	while (size < 0 && errno == EINTR);
	if (size < 0) {
		if (n_fds)
			*n_fds = 0;
		return errno == EAGAIN ? -EAGAIN : error_origin(-errno);
	}
	take_fds(&message, fds, n_fds ? n_fds : &no_fds);
	if (size > 0 && !(message.msg_flags & MSG_TRUNC))
		return size;
	for (size_t i = 0; n_fds && i < *n_fds; i++)
		close(fds[i]);
	if (n_fds)
		*n_fds = 0;
	return size == 0 ? -ENODATA : error_origin(-EMSGSIZE);
}

int fd_memory(const char *name, size_t size, int *out)
{
	_cleanup_fd_ int fd =
	    fd_above_standard(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));

	if (fd < 0)
		return error_origin(-errno);
	if (ftruncate(fd, (off_t)size) < 0)
		return error_origin(-errno);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return error_origin(-errno);
	*out = fd;
	fd = -1;
	return 0;
}

ssize_t fd_read_all(int fd, void *bytes, size_t size, off_t at)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (char *)bytes + done, size - done, at + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_origin(-errno);
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int fd_write_all(int fd, const void *bytes, size_t size, off_t at)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pwrite(fd, (const char *)bytes + done, size - done, at + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_origin(n < 0 ? -errno : -EIO);
		done += (size_t)n;
	}
	return 0;
}

bool fd_is_crowded(int fd)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)fd > limit.rlim_cur / 4 * 3;
}

int fd_close_from(int first, int keep)
{
	int r = 0;

	if (keep < first)
		return close_range((unsigned)first, ~0u, 0) < 0 ? error_origin(-errno) : 0;
	if (keep > first)
		r = close_range((unsigned)first, (unsigned)keep - 1, 0);
	if (r == 0)
		r = close_range((unsigned)keep + 1, ~0u, 0);
	return r < 0 ? error_origin(-errno) : 0;
}
