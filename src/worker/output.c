/*
 * Standard output and error are two files in memory, sparse and longer than any session could
 * print. What the driver writes through their descriptors is read here from a mapping. A byte that
 * was never written is zero, so one look at the byte behind the last text tells whether there is
 * more. (Text that begins with a zero would come with the text after it.) What was fetched is given
 * back to the kernel in large pieces.
 *
 * All of it belongs to the process, as descriptors 1 and 2 do.
 */
#include "worker/output.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/util.h"
#include "gen/worker_custom.h"
#include "worker/worker.h"

#define FILE_BYTES (1ull << 40)
#define GIVE_BYTES (1ull << 20) /* fetched text is given back in pieces of this size */

struct stream {
	int fd; /* STDOUT_FILENO or STDERR_FILENO */
	const uint8_t *memory;
	uint64_t taken, given;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stream streams[OUTPUT_STREAMS] = {{STDOUT_FILENO}, {STDERR_FILENO}};
static int log_fd = STDERR_FILENO;
_Atomic(const volatile uint8_t *) output_next[OUTPUT_STREAMS];

static int redirect(unsigned i)
{
	struct stream *stream = &streams[i];
	_cleanup_fd_ int fd = memfd_create("rosen-output", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, FILE_BYTES) < 0)
		return error_origin(-errno);
	void *memory = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (memory == MAP_FAILED)
		return error_origin(-errno);
	if (dup2(fd, stream->fd) < 0) {
		munmap(memory, FILE_BYTES);
		return error_origin(-errno);
	}
	stream->memory = memory;
	atomic_store(&output_next[i], stream->memory);
	return 0;
}

int output_redirect(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

	if (fd < 0)
		return error_origin(-errno);
	log_set_descriptor(fd);
	log_fd = fd;
	/* A driver that uses stdio must not keep text to itself. */
	setvbuf(stdout, NULL, _IONBF, 0);
	int r = redirect(0);
	return r < 0 ? error_trace(r) : error_trace(redirect(1));
}

/* Bytes of text that are there. Async-signal-safe. */
static uint64_t available(const struct stream *stream)
{
	off_t end = stream->memory ? lseek(stream->fd, 0, SEEK_CUR) : 0;

	return end > 0 && (uint64_t)end > stream->taken
		   ? MIN((uint64_t)end, FILE_BYTES - 1) - stream->taken
		   : 0;
}

static void advance(unsigned i, uint64_t bytes)
{
	struct stream *stream = &streams[i];

	stream->taken += bytes;
	/* Relaxed: see output_pending(). */
	atomic_store_explicit(
	    &output_next[i], stream->memory + stream->taken, memory_order_relaxed);
	while (stream->given + GIVE_BYTES <= stream->taken) {
		fallocate(stream->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		    (off_t)stream->given, GIVE_BYTES);
		stream->given += GIVE_BYTES;
	}
}

/* At most capacity bytes of text, standard output's first. Bytes copied; *stream: 1 or 2, of which
 * descriptor. */
static size_t output_take(char *text, size_t capacity, unsigned *stream)
{
	size_t bytes = 0;

	*stream = 0;
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < OUTPUT_STREAMS && !bytes; i++) {
		bytes = MIN(capacity, available(&streams[i]));
		if (!bytes)
			continue;
		memcpy(text, streams[i].memory + streams[i].taken, bytes);
		advance(i, bytes);
		*stream = (unsigned)streams[i].fd;
	}
	pthread_mutex_unlock(&lock);
	return bytes;
}

void output_rescue(void)
{
	for (unsigned i = 0; i < OUTPUT_STREAMS; i++) {
		struct stream *stream = &streams[i];
		uint64_t bytes = available(stream);
		if (!bytes)
			continue;
		ssize_t written = write(log_fd, stream->memory + stream->taken, bytes);
		stream->taken += written > 0 ? (uint64_t)written : 0;
	}
}

CUresult worker_rosenOutput(struct call *call, struct args_rosenOutput *a)
{
	*a->bytes = output_take(a->text, *a->bytes, a->stream);
	return CUDA_SUCCESS;
}
