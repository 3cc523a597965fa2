/* Tests of the base library. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/pool.h"
#include "base/test.h"

TEST(clock_goes_forward)
{
	uint64_t a = clock_now_ns();
	CHECK(clock_now_ns() >= a);
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
	CHECK(strstr(error, "rosen info --config"));
	CHECK_EQ(config_set(&config, "lanes", "-3", error, sizeof(error)), -EINVAL);
	CHECK(dprintf(file, "lanes 5\n") > 0);
	CHECK_EQ(config_read_file(&config, path, error, sizeof(error)), -EINVAL);
	CHECK(strstr(error, ":4:"));
	unlink(path);
	close(file);
}

TEST(hashes_tell_content_apart)
{
	static uint8_t bytes[300];
	struct hash128 seen[300];

	/* Every length, and every single bit of one block and a half. */
	for (size_t size = 0; size < 300; size++) {
		seen[size] = hash128(bytes, size);
		for (size_t i = 0; i < size; i++)
			CHECK(memcmp(&seen[i], &seen[size], sizeof(seen[i])));
	}
	struct hash128 zero = hash128(bytes, 48);
	for (unsigned bit = 0; bit < 48 * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		struct hash128 other = hash128(bytes, 48);
		CHECK(other.word[0] != zero.word[0] && other.word[1] != zero.word[1]);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	struct hash128 again = hash128(bytes, 48);
	CHECK(!memcmp(&zero, &again, sizeof(zero)));
}
