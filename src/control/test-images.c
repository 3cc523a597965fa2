/* The images rosend keeps: found by their user alone, bounded, and only what cannot change any
 * more. */
#include "control/images.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test.h"
#include "control/server.h"

enum { KIB = 1024, ME = 1000, ANOTHER = 1001 };

static struct server server_of(uint64_t budget)
{
	return (struct server){.config = {.image_cache = budget}};
}

static struct control_share named(char content, uint64_t size)
{
	struct control_share message = {.kind = CONTROL_IMAGE_KEEP, .size = size};

	memset(message.data, content, 32);
	return message;
}

static int memory(size_t size, int seals)
{
	int fd = memfd_create("image", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CHECK(fd >= 0);
	CHECK(ftruncate(fd, (off_t)size) == 0);
	CHECK(fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

static int keep(struct server *server, uid_t uid, char content, size_t size)
{
	_cleanup_fd_ int fd = memory(size, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
	struct control_share message = named(content, size);

	return images_keep(server, uid, &message, fd);
}

static bool has(struct server *server, uid_t uid, char content, size_t size)
{
	struct control_share message = named(content, size);

	return images_find(server, uid, &message) >= 0;
}

TEST(users_find_only_their_own)
{
	struct server server = server_of(100 * KIB);

	list_init(&server.images);
	CHECK_EQ(keep(&server, ME, 'a', KIB), 0);
	CHECK_EQ(keep(&server, ME, 'a', KIB), -EEXIST);
	CHECK(has(&server, ME, 'a', KIB));
	CHECK(!has(&server, ANOTHER, 'a', KIB));
	CHECK(!has(&server, ME, 'b', KIB));
	CHECK(!has(&server, ME, 'a', KIB + 1));
	CHECK_EQ(keep(&server, ANOTHER, 'a', KIB), 0); /* which tells him nothing either */
	CHECK(has(&server, ANOTHER, 'a', KIB));
	images_fini_all(&server);
	CHECK(list_is_empty(&server.images));
}

TEST(what_was_used_longest_ago_goes_first)
{
	struct server server = server_of(3 * KIB);

	list_init(&server.images);
	CHECK_EQ(keep(&server, ANOTHER, 'z', 3 * KIB), 0);
	for (char c = 'a'; c < 'd'; c++)
		CHECK_EQ(keep(&server, ME, c, KIB), 0);
	CHECK(has(&server, ME, 'a', KIB));
	CHECK_EQ(keep(&server, ME, 'd', KIB), 0);
	CHECK(has(&server, ME, 'a', KIB) && !has(&server, ME, 'b', KIB));
	CHECK_EQ(keep(&server, ME, 'e', 2 * KIB), 0);
	CHECK(has(&server, ME, 'a', KIB) && has(&server, ME, 'e', 2 * KIB));
	CHECK(!has(&server, ME, 'c', KIB) && !has(&server, ME, 'd', KIB));
	CHECK_EQ(keep(&server, ME, 'f', 4 * KIB), -ENOSPC);
	CHECK(has(&server, ME, 'a', KIB));
	CHECK(has(&server, ANOTHER, 'z', 3 * KIB)); /* each has room of his own */
	images_fini_all(&server);
}

TEST(many_small_ones_are_bounded_too)
{
	struct server server = server_of(100 * KIB * KIB);

	list_init(&server.images);
	for (unsigned i = 0; i < IMAGES_USER_MAX + 10; i++) {
		struct control_share message = named('a', 1);
		memcpy(message.data, &i, sizeof(i));
		_cleanup_fd_ int fd = memory(1, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
		int r = images_keep(&server, ME, &message, fd);
		if (r == -ENOSPC) /* descriptors are bounded as well */
			break;
		CHECK_EQ(r, 0);
	}
	unsigned n = 0;
	list_for_each (&server.images, link)
		n++;
	CHECK(n && n <= IMAGES_USER_MAX);
	images_fini_all(&server);
}

TEST(what_could_change_is_not_kept)
{
	static const int too_few[] = {0, F_SEAL_WRITE, F_SEAL_GROW | F_SEAL_SHRINK};
	struct server server = server_of(100 * KIB);
	struct control_share message = named('a', KIB);
	int pair[2];

	list_init(&server.images);
	for (size_t i = 0; i < ARRAY_SIZE(too_few); i++) {
		_cleanup_fd_ int fd = memory(KIB, too_few[i]);
		CHECK_EQ(images_keep(&server, ME, &message, fd), -EINVAL);
	}
	_cleanup_fd_ int larger = memory(2 * KIB, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
	CHECK_EQ(images_keep(&server, ME, &message, larger), -EINVAL);
	CHECK_EQ(images_keep(&server, ME, &message, -1), -EINVAL);
	CHECK(pipe2(pair, O_CLOEXEC) == 0);
	CHECK_EQ(images_keep(&server, ME, &message, pair[0]), -EINVAL);
	fd_close(pair[0]);
	fd_close(pair[1]);
	CHECK(list_is_empty(&server.images));
}
