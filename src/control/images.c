/* See images.h. A list: looked through when an image is loaded, which takes far longer. */
#include "control/images.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/fd.h"
#include "control/process.h"
#include "control/run.h"
#include "control/server.h"
#include "control/session.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)

struct image {
	struct list link; /* of server->images */
	uid_t uid;
	uint64_t size;
	uint8_t digest[sizeof(((struct control_share *)0)->data)];
	int fd;
};

static void image_free(struct image *image)
{
	list_remove(&image->link);
	fd_close(image->fd);
	free(image);
}

static struct image *find(struct server *server, uid_t uid, const struct control_share *message)
{
	list_for_each (&server->images, link) {
		struct image *image = container_of(link, struct image, link);
		if (image->uid == uid && image->size == message->size &&
		    !memcmp(image->digest, message->data, sizeof(image->digest)))
			return image;
	}
	return NULL;
}

/* So that size bytes more of the user's fit. */
static void make_room(struct server *server, uid_t uid, uint64_t size)
{
	uint64_t bytes = size;
	unsigned n = 1;

	list_for_each (&server->images, link) {
		const struct image *image = container_of(link, struct image, link);
		bytes += image->uid == uid ? image->size : 0;
		n += image->uid == uid;
	}
	list_for_each (&server->images, old) {
		struct image *image = container_of(old, struct image, link);
		if (bytes <= server->config.image_cache && n <= IMAGES_USER_MAX)
			return;
		if (image->uid != uid)
			continue;
		bytes -= image->size;
		n--;
		image_free(image);
	}
}

/* What it is said to be, and stays. */
static bool is_sealed(int fd, uint64_t size)
{
	struct stat status;
	int seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & SEALS) == SEALS && fstat(fd, &status) == 0 && size &&
	       (uint64_t)status.st_size == size;
}

int images_keep(struct server *server, uid_t uid, const struct control_share *message, int fd)
{
	if (find(server, uid, message))
		return -EEXIST;
	if (!is_sealed(fd, message->size))
		return error_origin(-EINVAL);
	if (message->size > server->config.image_cache)
		return -ENOSPC;
	struct image *image = calloc(1, sizeof(*image));
	if (!image)
		return error_origin(-ENOMEM);
	list_init(&image->link);
	image->uid = uid;
	image->size = message->size;
	memcpy(image->digest, message->data, sizeof(image->digest));
	make_room(server, uid, message->size);
	image->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (image->fd < 0 || fd_is_crowded(image->fd)) {
		image_free(image);
		return -ENOSPC;
	}
	list_append(&server->images, &image->link);
	return 0;
}

int images_find(struct server *server, uid_t uid, const struct control_share *message)
{
	struct image *image = find(server, uid, message);

	if (!image)
		return -1;
	list_remove(&image->link);
	list_append(&server->images, &image->link);
	return image->fd;
}

static void keep(struct session *session, const struct control_share *message, int fd)
{
	if (images_keep(session->server, session->uid, message, fd) < 0 || !session->run)
		return;
	session->run->n_images_kept++;
	session->run->images_kept_bytes += message->size;
}

void images_message(struct session *session, const struct control_share *message, int fd)
{
	struct control_share answer = *message;

	if (message->kind == CONTROL_IMAGE_KEEP) {
		keep(session, message, fd);
		return;
	}
	int found = images_find(session->server, session->uid, message);
	answer.kind = CONTROL_SHARED;
	answer.status = found < 0 ? ENOENT : 0;
	if (found >= 0 && session->run) {
		session->run->n_images_found++;
		session->run->images_found_bytes += message->size;
	}
	/* A worker that does not read its one answer waits for it no more: it is of no use. */
	if (process_send(session->process, &answer, sizeof(answer), &found, found >= 0) < 0)
		process_end(session->process);
}

void images_fini_all(struct server *server)
{
	list_for_each (&server->images, link)
		image_free(container_of(link, struct image, link));
}
