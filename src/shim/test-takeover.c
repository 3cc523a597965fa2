/* Pages that become shared and private again: the program must not notice. */
#include "shim/takeover.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test.h"

#define SIZE (300u << 10)

static int memory(size_t size)
{
	int fd;

	CHECK_EQ(fd_memory("rosen-registered", size, &fd), 0);
	return fd;
}

static uint8_t *anonymous(size_t size)
{
	uint8_t *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(at != MAP_FAILED);
	for (size_t i = 0; i < size; i++)
		at[i] = (uint8_t)(i * 7 + i / 4096);
	return at;
}

static void check_pattern(const uint8_t *at, size_t size)
{
	for (size_t i = 0; i < size; i++)
		CHECK(at[i] == (uint8_t)(i * 7 + i / 4096));
}

TEST(takeover_there_and_back)
{
	uint8_t *program = anonymous(SIZE);
	int fd = memory(SIZE), other = dup(fd);
	uint8_t *peer = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
	struct takeover *t = takeover_new((uint64_t)program, SIZE, fd);

	CHECK(t);
	check_pattern(program, SIZE);
	check_pattern(peer, SIZE);
	peer[5000] = 1;
	program[SIZE - 1] = 2;
	CHECK_EQ(program[5000], 1);
	CHECK_EQ(peer[SIZE - 1], 2);
	CHECK(!takeover_look((uint64_t)program, SIZE).private);
	takeover_free(t);
	CHECK_EQ(program[5000], 1);
	CHECK_EQ(program[SIZE - 1], 2);
	peer[50000] = 3;
	CHECK_EQ(program[50000], (uint8_t)(50000 * 7 + 50000 / 4096));
	munmap(peer, SIZE);
	close(other);
	CHECK(takeover_look((uint64_t)program, SIZE).private);
	/* As anonymous memory is: dropped pages are zero. */
	CHECK_EQ(madvise(program, 8192, MADV_DONTNEED), 0);
	CHECK_EQ(program[5000], 0);
	/* And it can be taken again. */
	program[1] = 99;
	t = takeover_new((uint64_t)program, SIZE, memory(SIZE));
	CHECK(t);
	CHECK_EQ(program[1], 99);
	CHECK_EQ(program[SIZE - 1], 2);
	takeover_free(t);
	CHECK_EQ(program[1], 99);
}

TEST(takeover_survives_the_loss_of_its_descriptor)
{
	uint8_t *program = anonymous(SIZE);
	int fd = memory(SIZE);
	struct takeover *t = takeover_new((uint64_t)program, SIZE, fd);

	close(fd);
	CHECK_EQ(open("/dev/null", O_RDONLY | O_CLOEXEC), fd); /* somebody else's now */
	takeover_free(t);
	check_pattern(program, SIZE);
	CHECK(takeover_look((uint64_t)program, SIZE).private);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC); /* and left alone */
	close(fd);
}

TEST(takeover_children_have_their_own_pages)
{
	uint8_t *program = anonymous(SIZE);
	struct takeover *t = takeover_new((uint64_t)program, SIZE, memory(SIZE));
	int to_child[2], status;

	CHECK_EQ(pipe(to_child), 0);
	takeover_before_fork(t);
	pid_t child = fork();
	if (child == 0) {
		char byte;
		if (read(to_child[0], &byte, 1) != 1) /* the parent has written */
			_exit(2);
		takeover_in_child(t);
		bool right = program[0] == 0 &&
			     program[SIZE - 1] == (uint8_t)((SIZE - 1) * 7 + (SIZE - 1) / 4096);
		memset(program, 0x77, SIZE);
		_exit(right ? 0 : 1);
	}
	program[0] = 55;
	program[SIZE - 1] = 56;
	CHECK_EQ(write(to_child[1], "x", 1), 1);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(program[0], 55);
	CHECK_EQ(program[SIZE / 2], (uint8_t)(SIZE / 2 * 7 + SIZE / 2 / 4096));
	takeover_free(t);
	close(to_child[0]);
	close(to_child[1]);
}

TEST(takeover_sees_what_cannot_be_taken)
{
	static uint8_t variable[3 * 4096];
	uint8_t *program = anonymous(SIZE), local[64];
	uint64_t at = (uint64_t)program;
	struct takeover_look look = takeover_look(at, SIZE);

	CHECK(look.mapped && look.writable && look.private);
	CHECK(takeover_look((uint64_t)variable & ~4095ull, 4096).mapped);
	look = takeover_look((uint64_t)local, sizeof(local));
	CHECK(look.mapped && look.writable && !look.private);
	look = takeover_look((uint64_t)"a constant", 4);
	CHECK(look.mapped && !look.writable && !look.private);
	mprotect(program + 8192, 4096, PROT_READ);
	look = takeover_look(at, SIZE);
	CHECK(look.mapped && !look.writable);
	CHECK(takeover_look(at, 8192).writable);
	munmap(program + 65536, 4096);
	CHECK(!takeover_look(at, SIZE).mapped);
	CHECK(!takeover_look(at + 65536, 1).mapped);
	CHECK(takeover_look(at, 65536).mapped);
	void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	look = takeover_look((uint64_t)shared, 4096);
	CHECK(look.mapped && look.writable && !look.private);
}

static _Atomic bool stop;

/* Reads; must always find the pattern. */
static void *watch(void *at)
{
	while (!stop)
		check_pattern(at, SIZE);
	return NULL;
}

TEST(takeover_readers_never_notice)
{
	if (TEST_THREAD_SANITIZER)
		SKIP("pages are replaced under readers: the sanitizer takes mmap() for a write");
	uint8_t *program = anonymous(SIZE);
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, watch, program), 0);
	for (int i = 0; i < 50; i++) {
		struct takeover *t = takeover_new((uint64_t)program, SIZE, memory(SIZE));
		CHECK(t);
		takeover_free(t);
	}
	stop = true;
	pthread_join(thread, NULL);
}
