/*
 * Who may use a rosend: root, the user it runs as, and whom the settings allow_users and
 * allow_groups name. Read once at the start: a name that nobody has is an error then, rather than a
 * user who wonders why he is refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#define ADMIT_MAX	64 /* names a setting may have; its text holds hardly more */
#define ADMIT_ERROR_MAX 384

struct admit {
	uid_t users[ADMIT_MAX];
	gid_t groups[ADMIT_MAX];
	size_t n_users, n_groups;
};

/*
 * users, groups: names and numbers with commas or blanks between. -EINVAL: one is unknown or there
 * are too many; error (ADMIT_ERROR_MAX bytes) says which.
 */
int admit_init(struct admit *admit, const char *users, const char *groups, char *error);

/* Whether the peer of this connected unix socket may enter. Its groups are those it had when it
 * connected. */
bool admit_peer(const struct admit *admit, int socket, const struct ucred *peer);
