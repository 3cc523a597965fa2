/* Tests of the base library. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/decimal.h"
#include "base/digest.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/test.h"

TEST(clock_goes_forward)
{
	uint64_t a = clock_now_ns();
	CHECK(clock_now_ns() >= a);
}

TEST(decimal_numbers_are_digits_in_range)
{
	static const char *const bad[] = {
	    "", " 3", "+3", "-3", "3 ", "3K", "0x3", "2", "11", "99999999999999999999"};
	uint64_t number = 1;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(!decimal_parse(bad[i], 3, 10, &number));
	CHECK_EQ(number, 1);
	CHECK(decimal_parse("3", 3, 10, &number));
	CHECK_EQ(number, 3);
	CHECK(decimal_parse("18446744073709551615", 0, UINT64_MAX, &number));
	CHECK_EQ(number, UINT64_MAX);
}

TEST(log_lines_end_once)
{
	char line[64] = "";
	int fd = memfd_create("log", MFD_CLOEXEC);

	CHECK(fd >= 0);
	log_init("test");
	log_set_descriptor(fd);
	log_error("%s", "from a compiler\n\n");
	log_set_descriptor(STDERR_FILENO);
	CHECK(pread(fd, line, sizeof(line) - 1, 0) > 0);
	CHECK_STR(line, "rosen[test]: error: from a compiler\n");
	fd_close(fd);
}

TEST(sizes_may_have_a_unit)
{
	static const struct {
		const char *text;
		uint64_t size;
		const char *rest;
	} good[] = {{"0", 0, ""}, {"010", 10, ""}, {"20K", 20 << 10, ""}, {"0x10M", 16 << 20, ""},
	    {"3G to 4G", 3ull << 30, " to 4G"}, {"5KB", 5 << 10, "B"}, {"7k", 7, "k"},
	    {"0x", 0, "x"}, {"0xffffffffffffffff", UINT64_MAX, ""},
	    {"17179869183G", UINT64_MAX << 30, ""}};
	static const char *const bad[] = {
	    "", "K", " 3", "+3", "-3", "x10", "17179869184G", "18446744073709551616"};
	uint64_t size = 1;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(!size_read(bad[i], &size));
	CHECK_EQ(size, 1);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		const char *rest = size_read(good[i].text, &size);
		CHECK_EQ(size, good[i].size);
		CHECK_STR(rest, good[i].rest);
	}
}

TEST(pool_keeps_its_limit)
{
	struct pool pool;

	pool_init(&pool, 100000);
	CHECK(pool_take(&pool, 60000));
	CHECK(!pool_take(&pool, 60000));
	CHECK(pool_take(&pool, 40000));
	CHECK(!pool_take(&pool, 1));
	pool_reset(&pool);
	CHECK(pool_take(&pool, 100000));
	CHECK(!pool_take(&pool, (size_t)-8));
	pool_fini(&pool);
}

TEST(pool_pieces_are_zeroed_and_apart)
{
	struct pool pool;

	pool_init(&pool, 1 << 20);
	for (int round = 0; round < 3; round++) {
		uint8_t *a = pool_take(&pool, 7), *b = pool_take(&pool, 100000);
		CHECK(a && b && (uintptr_t)b % 16 == 0);
		for (int i = 0; i < 7; i++)
			CHECK_EQ(a[i], 0);
		memset(a, 1, 7);
		memset(b, 2, 100000);
		CHECK_EQ(a[6], 1);
		pool_reset(&pool);
	}
	pool_fini(&pool);
}

TEST(fd_message_carries_descriptors)
{
	int pair[2], memory, got[2];
	size_t n_got = ARRAY_SIZE(got);
	char text[16];

	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	CHECK_EQ(fd_memory("test", 4096, &memory), 0);
	CHECK_EQ(fd_send(pair[0], "hello", 6, (int[]){memory, memory, memory}, 3), 0);
	CHECK_EQ(fd_receive(pair[1], text, sizeof(text), got, &n_got, 0), 6);
	CHECK_EQ(n_got, 2); /* the third was closed */
	CHECK_STR(text, "hello");
	CHECK(ftruncate(got[0], 1) < 0); /* sealed */
	CHECK_EQ(fd_receive(pair[1], text, sizeof(text), NULL, NULL, MSG_DONTWAIT), -EAGAIN);
	CHECK_EQ(fd_send(pair[0], "a longer message than fits", 26, NULL, 0), 0);
	CHECK_EQ(fd_receive(pair[1], text, sizeof(text), NULL, NULL, 0), -EMSGSIZE);
	fd_close(pair[0]);
	CHECK_EQ(fd_receive(pair[1], text, sizeof(text), NULL, NULL, 0), -ENODATA);
	fd_close(pair[1]);
	fd_close(memory);
	fd_close(got[0]);
	fd_close(got[1]);
}

TEST(fd_reads_and_writes_all)
{
	char text[16] = {0};
	int memory, nothing[2];

	CHECK_EQ(fd_memory("test", 8, &memory), 0);
	CHECK_EQ(fd_write_all(memory, "abcdef", 6, 2), 0);
	CHECK_EQ(fd_read_all(memory, text, sizeof(text), 3), 5);
	CHECK_STR(text, "bcdef");
	CHECK_EQ(fd_write_all(memory, "abcdef", 6, 4), -EPERM); /* sealed */
	CHECK_EQ(fd_read_all(memory, text, 4, 8), 0);
	CHECK_EQ(pipe2(nothing, O_CLOEXEC), 0); /* has no places */
	CHECK_EQ(fd_read_all(nothing[0], text, 1, 0), -ESPIPE);
	fd_close(memory);
	fd_close(nothing[0]);
	fd_close(nothing[1]);
}

TEST(config_precedence_and_errors)
{
	struct config config;
	char error[256], path[] = "/tmp/rosen-test-XXXXXX";
	int file = mkstemp(path);

	CHECK(file >= 0);
	CHECK(dprintf(file, "# comment\nring_size = 64K\n sync = yes\n") > 0);
	config_init(&config);
	CHECK_EQ(config.ring_size, 1 << 20);
	CHECK_EQ(config_read_file(&config, path, error, sizeof(error)), 0);
	CHECK_EQ(config.ring_size, 65536);
	CHECK(config.sync);
	setenv("ROSEN_SYNC", "no", 1);
	setenv("ROSEN_RING_SIZE", "nonsense", 1);
	config_read_environment(&config);
	CHECK(!config.sync);
	CHECK_EQ(config.ring_size, 65536);
	CHECK_EQ(config_set(&config, "no_such", "1", error, sizeof(error)), -ENOENT);
	CHECK(strstr(error, "man rosen.conf"));
	CHECK_EQ(config_set(&config, "lanes", "-3", error, sizeof(error)), -EINVAL);
	CHECK(dprintf(file, "lanes 5\n") > 0);
	CHECK_EQ(config_read_file(&config, path, error, sizeof(error)), -EINVAL);
	CHECK(strstr(error, ":4:"));
	unlink(path);
	close(file);
}

/* By an independent program (Python's hashlib): every part of the tree has its length here. */
TEST(digests_are_a_tree_of_sha_256)
{
	static const struct {
		size_t size;
		const char *digest;
	} wanted[] = {
	    {0, "af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc"},
	    {1, "3aa275143d0713bc404144a02208ea1ea840d565fa0c19af486cc65b0a10a267"},
	    {64, "c8450a88502b8d50d8f1e491c140250369db6fa3ffdbf2bb31b6013bea5d7821"},
	    {4095, "0370ddc3c5eba82231c44bfd0c80d77a45c74b9d7fb4d878323adac0b0bfd5ce"},
	    {4096, "1fa4f79099f7740c47cdac7801601538bca79932e8ce87deddf2bd6dfb094213"},
	    {4097, "ddd3f23de053c7807a3c06a0d78b90fd3f72a1fcd854948cb2c12664ae299531"},
	    {65536, "950ab0459de5360bf631f6cca3498a0e85a02fae78a5afcfd90bb13aa75dad03"},
	    {65537, "7504c00e7a481cc3cda8268bee07309a0ddcb1a7bc35cd29b06a83031daae4c0"},
	    {1000003, "9a98a4aee6a0c86f4891df45d8c762d5681bba7ecd9666cdd8e5509a0ca19775"},
	};
	size_t most = wanted[ARRAY_SIZE(wanted) - 1].size;
	uint8_t *bytes = malloc(most);

	CHECK(bytes);
	for (size_t i = 0; i < most; i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8));
	for (size_t k = 0; k < ARRAY_SIZE(wanted); k++) {
		struct digest digest = digest_of(bytes, wanted[k].size);
		char text[65];
		for (size_t i = 0; i < 32; i++)
			snprintf(text + 2 * i, 3, "%02x", digest.byte[i]);
		CHECK_STR(text, wanted[k].digest);
	}
	free(bytes);
}

/* What is opened while standard streams are closed does not get their numbers. */
TEST(standard_numbers_are_left_alone)
{
	int pair[2], fd, got = -1, out = dup(STDOUT_FILENO), error = dup(STDERR_FILENO);
	size_t n = 1;
	char byte;

	CHECK(out > STDERR_FILENO && error > STDERR_FILENO);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	close(STDIN_FILENO);
	CHECK_EQ(fd_memory("test", 4096, &fd), 0);
	CHECK(fd > STDERR_FILENO);
	CHECK_EQ(fd_send(pair[0], "x", 1, &fd, 1), 0);
	CHECK_EQ(fd_receive(pair[1], &byte, 1, &got, &n, 0), 1);
	CHECK_EQ(n, 1);
	CHECK(got > STDERR_FILENO);
	CHECK_EQ(fcntl(STDIN_FILENO, F_GETFD), -1);
	close(STDERR_FILENO);
	fd_fill_standard(true);
	CHECK_EQ(fcntl(STDIN_FILENO, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(STDERR_FILENO, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(dup2(error, STDERR_FILENO), STDERR_FILENO);
	fd_close(got);
	fd_close(fd);
	fd_close(pair[0]);
	fd_close(pair[1]);
	fd_close(out);
	fd_close(error);
	CHECK_EQ(dup2(STDERR_FILENO, STDIN_FILENO), STDIN_FILENO);
}
