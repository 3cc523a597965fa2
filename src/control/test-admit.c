/* Who is let in, by name, number and group; the peer is this process, as the kernel tells it. */
#include <errno.h>
#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test.h"
#include "control/admit.h"

TEST(names_and_numbers_are_read)
{
	char error[ADMIT_ERROR_MAX];
	struct admit admit;

	CHECK_EQ(admit_init(&admit, "", "", error), 0);
	CHECK(!admit.n_users && !admit.n_groups);
	CHECK_EQ(admit_init(&admit, " root,7 ,8,,\t9", "root", error), 0);
	CHECK_EQ(admit.n_users, 4);
	CHECK_EQ(admit.users[0], 0);
	CHECK_EQ(admit.users[3], 9);
	CHECK_EQ(admit.n_groups, 1);
	CHECK_EQ(admit.groups[0], 0);
}

TEST(unknown_names_are_refused)
{
	static const char *const wrong[] = {
	    "no-such-user", "root,no-such-user", "7x", "4294967295", "99999999999999999999", "-1"};
	char error[ADMIT_ERROR_MAX], many[4 * ADMIT_MAX] = "";
	struct admit admit;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		CHECK_EQ(admit_init(&admit, wrong[i], "", error), -EINVAL);
		CHECK(strstr(error, "allow_users names"));
	}
	CHECK_EQ(admit_init(&admit, "", "no-such-group", error), -EINVAL);
	CHECK(strstr(error, "allow_groups names \"no-such-group\""));
	for (size_t i = 0; i <= ADMIT_MAX; i++)
		strcat(many, "1,");
	CHECK_EQ(admit_init(&admit, many, "", error), -EINVAL);
}

/* A connected socket whose other end a process of these ids opened. */
static int connect_as(uid_t uid, gid_t gid, gid_t other, struct ucred *peer)
{
	socklen_t size = sizeof(*peer);
	int pair[2];

	CHECK_EQ(setgroups(1, &other), 0);
	CHECK_EQ(setresgid(gid, gid, 0), 0);
	CHECK_EQ(setresuid(uid, uid, 0), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	CHECK_EQ(setresuid(0, 0, 0), 0);
	CHECK_EQ(setresgid(0, 0, 0), 0);
	CHECK_EQ(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, peer, &size), 0);
	fd_close(pair[1]);
	return pair[0];
}

TEST(users_and_groups_may_enter)
{
	static const struct {
		const char *users, *groups;
		bool enters;
	} cases[] = {{"", "", false}, {"1001", "", true}, {"1002", "", false}, {"", "2001", true},
	    {"", "2002", false}, {"", "3001", true}, {"1002", "2002, 3001", true}};
	char error[ADMIT_ERROR_MAX];
	struct admit admit;
	struct ucred peer;

	if (geteuid())
		SKIP("needs root, to be another user for a moment");
	_cleanup_fd_ int fd = connect_as(1001, 2001, 3001, &peer);
	CHECK_EQ(peer.uid, 1001);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CHECK_EQ(admit_init(&admit, cases[i].users, cases[i].groups, error), 0);
		CHECK_EQ(admit_peer(&admit, fd, &peer), cases[i].enters);
	}
	CHECK_EQ(admit_init(&admit, "", "", error), 0);
	peer = (struct ucred){.uid = geteuid()};
	CHECK(admit_peer(&admit, fd, &peer));
}
