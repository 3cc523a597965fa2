/* Where the installation's parts are, private folders, the door's socket, command lines. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dir.h"
#include "base/fd.h"
#include "base/install.h"
#include "base/options.h"
#include "base/socket.h"
#include "base/test.h"

TEST(install_is_found_from_either_place)
{
	struct install install;

	CHECK_EQ(install_from(&install, "/opt/x/bin/rosen"), 0);
	CHECK_STR(install.prefix, "/opt/x");
	CHECK_STR(install.worker, "/opt/x/libexec/rosen/rosen-worker");
	CHECK_STR(install.softgpu, "/opt/x/lib/rosen/softgpu/libcuda.so.1");
	CHECK_STR(install.softgpu_ptxas, "/opt/x/lib/rosen/softgpu/ptxas");
	CHECK_EQ(install_from(&install, "/opt/x/libexec/rosen/rosen-worker"), 0);
	CHECK_STR(install.prefix, "/opt/x");
	CHECK_STR(install.rosend, "/opt/x/bin/rosend");
	CHECK_EQ(install_from(&install, "/bin/rosen"), 0);
	CHECK_STR(install.libcuda, "/lib/rosen/libcuda.so.1");
}

TEST(install_refuses_endless_paths)
{
	char path[INSTALL_PATH_MAX + 8];
	struct install install;

	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	CHECK_EQ(install_from(&install, path), -ENAMETOOLONG);
	memcpy(path + INSTALL_PATH_MAX - 16, "/bin/rosen", 11);
	CHECK_EQ(install_from(&install, path), -ENAMETOOLONG);
}

TEST(socket_path_follows_the_environment)
{
	char path[64], wanted[64];

	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	CHECK_EQ(install_socket_path(path, sizeof(path)), 0);
	CHECK_STR(path, "/run/user/7/rosen/rosend.sock");
	CHECK_EQ(install_socket_path(path, 10), -ENAMETOOLONG);
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	CHECK_EQ(install_socket_path(path, sizeof(path)), 0);
	snprintf(wanted, sizeof(wanted), "/tmp/rosen-%u/rosend.sock", (unsigned)geteuid());
	CHECK_STR(path, wanted);
}

static void check_without(const char *list, const char *wanted)
{
	char *got = install_search_path_without(list, "/r/lib");

	CHECK_STR(got, wanted);
	free(got);
}

TEST(search_path_loses_one_folder)
{
	check_without(NULL, "");
	check_without("", "");
	check_without("/r/lib", "");
	check_without("/a:/r/lib:/b", "/a:/b");
	check_without("/r/lib:/r/library:/r/lib", "/r/library");
	check_without(":/a::/b:", "/a:/b");
}

TEST(private_folder_must_be_private)
{
	char folder[64], path[96], link[96];

	CHECK_EQ(dir_make_temporary("rosen-test", folder, sizeof(folder)), 0);
	snprintf(path, sizeof(path), "%s/d", folder);
	snprintf(link, sizeof(link), "%s/l", folder);
	CHECK_EQ(dir_make_private(path), 0);
	CHECK_EQ(dir_make_private(path), 0);
	CHECK_EQ(symlink(path, link), 0);
	CHECK_EQ(dir_make_private(link), -EPERM);
	CHECK_EQ(chmod(path, 0750), 0);
	CHECK_EQ(dir_make_private(path), -EPERM);
	CHECK_EQ(dir_remove(folder), 0);
	CHECK_EQ(access(folder, F_OK), -1);
	CHECK_EQ(dir_remove(folder), 0);
}

TEST(listening_replaces_a_dead_socket_only)
{
	char folder[64], path[96], error[SOCKET_ERROR_MAX];
	int first, second, client;

	CHECK_EQ(dir_make_temporary("rosen-test", folder, sizeof(folder)), 0);
	snprintf(path, sizeof(path), "%s/s", folder);
	CHECK_EQ(socket_connect(path, &client), -ENOENT);
	CHECK_EQ(socket_listen(path, true, false, &first, error), 0);
	CHECK_EQ(socket_check_listening(first), 0);
	CHECK_EQ(socket_listen(path, true, false, &second, error), -EADDRINUSE);
	CHECK_EQ(socket_connect(path, &client), 0);
	CHECK_EQ(socket_check_listening(client), -EINVAL);
	CHECK(socket_peer_is_ours(client));
	fd_close(client);
	fd_close(first);
	CHECK_EQ(socket_connect(path, &client), -ECONNREFUSED);
	CHECK_EQ(socket_listen(path, true, false, &second, error), 0);
	fd_close(second);
	CHECK_EQ(unlink(path), 0);
	CHECK_EQ(mkdir(path, 0700), 0);
	CHECK_EQ(socket_listen(path, true, false, &second, error), -EEXIST);
	CHECK_EQ(chmod(folder, 0755), 0);
	CHECK_EQ(socket_listen(path, true, false, &second, error), -EPERM);
	CHECK(strstr(error, folder));
	CHECK_EQ(dir_remove(folder), 0);
}

/* The folder of a path that is too long for a socket is not made, nor one that it begins like. */
TEST(listening_at_a_long_path_makes_nothing)
{
	char folder[64], path[400], error[SOCKET_ERROR_MAX];
	int fd;

	CHECK_EQ(dir_make_temporary("rosen-test", folder, sizeof(folder)), 0);
	snprintf(path, sizeof(path), "%s/%0200d/s", folder, 0);
	CHECK_EQ(socket_listen(path, true, false, &fd, error), -ENAMETOOLONG);
	CHECK(strstr(error, "at most 107 bytes"));
	CHECK_EQ(rmdir(folder), 0);
}

struct values {
	bool loud;
	const char *name;
	long count;
};

static int parse(struct values *values, int *rest, char **argv)
{
	const struct option_row rows[] = {
	    OPTION_ROW_SWITCH("loud", &values->loud, "Shout."),
	    OPTION_ROW_TEXT("name", "NAME", &values->name, "Call it NAME."),
	    OPTION_ROW_NUMBER("count", "N", &values->count, "Do it N times."),
	};
	int argc = 0;

	while (argv[argc])
		argc++;
	*values = (struct values){.count = -1};
	freopen("/dev/null", "w", stderr);
	return options_parse("test", rows, ARRAY_SIZE(rows), argc, argv, rest);
}

#define WORDS(...) ((char *[]){"test", __VA_ARGS__, NULL})

TEST(options_are_read_up_to_the_first_argument)
{
	struct values values;
	int rest;

	CHECK_EQ(
	    parse(&values, &rest, WORDS("--loud", "--name", "x", "--count=3", "go", "--loud")), 0);
	CHECK(values.loud);
	CHECK_STR(values.name, "x");
	CHECK_EQ(values.count, 3);
	CHECK_EQ(rest, 5);
	CHECK_EQ(parse(&values, &rest, WORDS("--name=", "--", "--loud")), 0);
	CHECK_STR(values.name, "");
	CHECK(!values.loud);
	CHECK_EQ(rest, 3);
	CHECK_EQ(parse(&values, &rest, WORDS("-", "x")), 0);
	CHECK_EQ(rest, 1);
}

TEST(wrong_options_are_refused)
{
	struct values values;
	int rest;

	CHECK_EQ(parse(&values, &rest, WORDS("--nam", "x")), OPTIONS_WRONG);
	CHECK_EQ(parse(&values, &rest, WORDS("--names=x")), OPTIONS_WRONG);
	CHECK_EQ(parse(&values, &rest, WORDS("-l")), OPTIONS_WRONG);
	CHECK_EQ(parse(&values, &rest, WORDS("--loud=yes")), OPTIONS_WRONG);
	CHECK_EQ(parse(&values, &rest, WORDS("--name")), OPTIONS_WRONG);
	CHECK_EQ(parse(&values, &rest, WORDS("--count", "many")), OPTIONS_WRONG);
	CHECK_EQ(parse(&values, &rest, WORDS("--count=-1")), OPTIONS_WRONG);
	CHECK_EQ(parse(&values, &rest, WORDS("--help")), OPTIONS_HELP);
	CHECK_EQ(parse(&values, &rest, WORDS("--loud", "-h")), OPTIONS_HELP);
}

TEST(foreign_server_is_not_ours)
{
	int pair[2];

	if (geteuid() != 0)
		SKIP("only root can act as another user");
	CHECK_EQ(seteuid(65534), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	CHECK_EQ(seteuid(0), 0);
	CHECK(!socket_peer_is_ours(pair[0]));
	fd_close(pair[0]);
	fd_close(pair[1]);
}
