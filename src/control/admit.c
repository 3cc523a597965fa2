/*
 * See admit.h. What is asked at the door comes from the kernel alone (SO_PEERCRED, SO_PEERGROUPS):
 * names are looked up when rosend starts, so that no directory service stands in a newcomer's way.
 */
#include "control/admit.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

#define NAME_MAX_LENGTH 255
#define PEER_GROUPS_MAX 1024
#define SEPARATORS	", \t"

/* Finds the number of a user or a group by its name. */
typedef bool (*admit_lookup)(const char *name, uint32_t *number);

static bool look_up_user(const char *name, uint32_t *number)
{
	const struct passwd *entry = getpwnam(name);

	if (entry)
		*number = entry->pw_uid;
	return entry;
}

static bool look_up_group(const char *name, uint32_t *number)
{
	const struct group *entry = getgrnam(name);

	if (entry)
		*number = entry->gr_gid;
	return entry;
}

/* A number means itself, whether or not somebody has it: images and containers lack the names. */
static bool resolve(const char *name, admit_lookup look_up, uint32_t *number)
{
	char *end;

	if (*name < '0' || *name > '9')
		return look_up(name, number);
	errno = 0;
	unsigned long value = strtoul(name, &end, 10);
	*number = (uint32_t)value;
	return !errno && !*end && value < UINT32_MAX;
}

static int read_list(const char *setting, const char *list, admit_lookup look_up,
    uint32_t numbers[ADMIT_MAX], size_t *n_numbers, char *error)
{
	*n_numbers = 0;
	for (list += strspn(list, SEPARATORS); *list; list += strspn(list, SEPARATORS)) {
		char name[NAME_MAX_LENGTH + 1];
		size_t length = strcspn(list, SEPARATORS);
		snprintf(name, sizeof(name), "%.*s", (int)length, list);
		list += length;
		if (*n_numbers == ADMIT_MAX) {
			snprintf(error, ADMIT_ERROR_MAX, "%s names more than %d: allow a group",
			    setting, ADMIT_MAX);
			return error_origin(-EINVAL);
		}
		if (!resolve(name, look_up, &numbers[*n_numbers])) {
			snprintf(error, ADMIT_ERROR_MAX,
			    "%s names \"%s\", which this host does not know: give names or "
			    "numbers, with commas between",
			    setting, name);
			return error_origin(-EINVAL);
		}
		(*n_numbers)++;
	}
	return 0;
}

int admit_init(struct admit *admit, const char *users, const char *groups, char *error)
{
	int r = read_list("allow_users", users, look_up_user, admit->users, &admit->n_users, error);

	if (r == 0)
		r = read_list(
		    "allow_groups", groups, look_up_group, admit->groups, &admit->n_groups, error);
	return error_trace(r);
}

static bool is_among(uint32_t number, const uint32_t *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == number)
			return true;
	return false;
}

bool admit_peer(const struct admit *admit, int socket, const struct ucred *peer)
{
	gid_t groups[PEER_GROUPS_MAX];
	socklen_t size = sizeof(groups);

	if (peer->uid == 0 || peer->uid == geteuid() ||
	    is_among(peer->uid, admit->users, admit->n_users) ||
	    is_among(peer->gid, admit->groups, admit->n_groups))
		return true;
	/* A process of more groups than that is not asked for the rest. */
	if (!admit->n_groups || getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof(*groups); i++)
		if (is_among(groups[i], admit->groups, admit->n_groups))
			return true;
	return false;
}
