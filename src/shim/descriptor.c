/*
 * See descriptor.h. The worker sends a descriptor before it answers, so it is there when it is
 * asked for; those that other threads wait for may come first and are kept for them. Last words
 * come the same way and are kept too, for when the channel turns out to be dead.
 */
#include "shim/descriptor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"
#include "shim/session.h"

#define NUMBER_BIT (UINT64_C(1) << 63) /* apart from the numbers of segments */
#define KEPT_MAX   64

struct kept {
	uint64_t number;
	int fd;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept kept[KEPT_MAX];
static unsigned n_kept;
static char last_words[HELLO_TEXT_MAX];
static _Atomic uint64_t next_number;

uint64_t descriptor_number(void)
{
	/* Relaxed: it need only be another one each time. */
	return NUMBER_BIT | atomic_fetch_add_explicit(&next_number, 1, memory_order_relaxed);
}

/* Takes one message out of the side socket. False: there is none. Under the lock. */
static bool take_message(void)
{
	struct side_message message;
	int fd;

	if (!session.chan || chan_side_receive(session.chan, false, &message, &fd) < 0)
		return false;
	if (message.kind == SIDE_LAST_WORDS) {
		hello_clean_text(message.text, sizeof(message.text));
		snprintf(last_words, sizeof(last_words), "%s", message.text);
	}
	if (message.kind == SIDE_DESCRIPTOR && fd >= 0 && n_kept < KEPT_MAX)
		kept[n_kept++] = (struct kept){message.segment, fd};
	else
		fd_close(fd);
	return true;
}

/* -1: it is not among those kept. Under the lock. */
static int take_kept(uint64_t number)
{
	for (unsigned i = 0; i < n_kept; i++) {
		if (kept[i].number != number)
			continue;
		int fd = kept[i].fd;
		kept[i] = kept[--n_kept];
		return fd;
	}
	return -1;
}

CUresult descriptor_receive(uint64_t number, int *fd)
{
	pthread_mutex_lock(&lock);
	do
		*fd = take_kept(number);
	while (*fd < 0 && take_message());
	pthread_mutex_unlock(&lock);
	if (*fd >= 0)
		return CUDA_SUCCESS;
	log_error("the worker's descriptor did not arrive: is the limit on open files (ulimit -n) "
		  "reached?");
	return CUDA_ERROR_OPERATING_SYSTEM;
}

CUresult descriptor_send(int fd, uint64_t *number)
{
	struct side_message message = {.kind = SIDE_DESCRIPTOR, .segment = descriptor_number()};

	if (fd < 0)
		return CUDA_ERROR_INVALID_VALUE;
	CUresult r = session_usable();
	if (r != CUDA_SUCCESS)
		return r;
	*number = message.segment;
	/* What is no open descriptor is refused by the kernel. */
	return chan_side_send(session.chan, &message, fd) < 0 ? CUDA_ERROR_INVALID_VALUE
							      : CUDA_SUCCESS;
}

bool descriptor_is_ticket(int fd, struct share_name *name)
{
	struct share_token token;

	/* Only looked at: the ticket keeps what it says. */
	return recv(fd, name, sizeof(*name), MSG_PEEK | MSG_DONTWAIT) == sizeof(*name) &&
	       share_name_parse(name, &token);
}

void descriptor_last_words(char *words, size_t size)
{
	pthread_mutex_lock(&lock);
	while (take_message())
		;
	snprintf(words, size, "%s", last_words);
	pthread_mutex_unlock(&lock);
}

/* The child's copies of what was kept are its parent's. */
void descriptor_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
	while (n_kept)
		fd_close(kept[--n_kept].fd);
}
