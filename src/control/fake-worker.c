/*
 * A worker for tests of rosend: it speaks control.h and no CUDA. FAKE_WORKER in the environment
 * says how it behaves, one word per backend, "cuda=WORD,softgpu=WORD":
 *
 *	ok (the default)  ready with one device; serves until a socket hangs up
 *	none		  ready without a device
 *	fail		  CONTROL_FAILED with the text "no driver here"
 *	exit		  ends with status 5 without a word
 *	hang		  says nothing, and hears no hang-up either
 *	slow		  ok, after a while
 *
 * It behaves so whenever it is told something; with "warm-" before the word when it is warmed, with
 * "then-" when it starts after that. A device's name ends with what CUDA_VISIBLE_DEVICES says,
 * where it says something.
 *
 * When ready, the first bytes of a message on the side socket are orders: "die" (last words, then
 * status 6), "kill" (SIGKILL to itself), "count" (adds 1 call and 2 messages to row 3 of the
 * statistics), "deaf" (ignores hang-ups from now on). It answers with the same message.
 *
 * "told" is followed by a slot's number, "getenv" by a variable's name: the answer is the value
 * that came with the session, or that is in the worker's environment.
 *
 * "share" is followed by a struct control_share at SHARE_ORDER_AT, which goes to rosend, an offer
 * that needs a descriptor with a file in memory that holds "shared"; the answer comes back
 * likewise, with what descriptor there was.
 */
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "chan/region.h"
#include "wire/control.h"

#define CONTROL_FD     3
#define SLOW_US	       300000
#define SHARE_ORDER_AT 8 /* as in test-rosend.c */

union order {
	uint32_t kind;
	struct control_warm warm;
	struct control_start start;
};

static bool told(uint32_t backend, const char *when, const char *word)
{
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "%s=%s%s",
	    backend == CONTROL_BACKEND_CUDA ? "cuda" : "softgpu", when, word);
	return strstr(getenv("FAKE_WORKER") ?: "", wanted);
}

static bool told_to(const union order *order, const char *word)
{
	static bool warmed;

	if (order->kind == CONTROL_WARM) {
		warmed = true;
		return told(order->warm.backend, "", word) ||
		       told(order->warm.backend, "warm-", word);
	}
	return told(order->start.backend, "", word) ||
	       (warmed && told(order->start.backend, "then-", word));
}

static void say(uint32_t kind, const char *text)
{
	struct control_text message = {.kind = kind};

	snprintf(message.text, sizeof(message.text), "%s", text);
	fd_send(CONTROL_FD, &message, sizeof(message), NULL, 0);
}

static _Noreturn void hang(void)
{
	for (;;)
		pause();
}

static void count(const struct control_start *start, int region)
{
	struct chan_geometry geometry = {
	    start->ring_size, start->staging_size, start->lanes, start->functions};
	struct region_layout layout;

	if (region_layout(&geometry, &layout) < 0 || layout.size != start->region_size)
		exit(EXIT_FAILURE);
	uint8_t *memory = mmap(NULL, layout.size, PROT_READ | PROT_WRITE, MAP_SHARED, region, 0);
	if (memory == MAP_FAILED)
		exit(EXIT_FAILURE);
	struct chan_stat *rows = (struct chan_stat *)(memory + layout.stats);
	atomic_fetch_add_explicit(&rows[3].calls, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&rows[3].messages, 2, memory_order_relaxed);
	munmap(memory, layout.size);
}

static void share(char *order, int side)
{
	struct control_share message;
	_cleanup_fd_ int fd = -1;
	size_t n_fds = 1;

	memcpy(&message, order + SHARE_ORDER_AT, sizeof(message));
	if (message.kind == CONTROL_OFFER && !share_is_data(message.type) &&
	    (fd_memory("shared", 6, &fd) < 0 || pwrite(fd, "shared", 6, 0) != 6))
		exit(EXIT_FAILURE);
	fd_send(CONTROL_FD, &message, sizeof(message), &fd, fd >= 0);
	fd = fd_close(fd);
	if (message.kind != CONTROL_WITHDRAW &&
	    fd_receive(CONTROL_FD, &message, sizeof(message), &fd, &n_fds, 0) != sizeof(message))
		exit(EXIT_SUCCESS);
	memcpy(order + SHARE_ORDER_AT, &message, sizeof(message));
	fd_send(side, order, sizeof(struct side_message), &fd, fd >= 0);
}

/* Where the order asks for a variable. */
static void tell_variable(const struct control_start *start, char *order, size_t size)
{
	const char *value;

	if (!strncmp(order, "told ", 5))
		value = start->environment.value[strtoul(order + 5, NULL, 10) % ENVIRONMENT_SLOTS];
	else if (!strncmp(order, "getenv ", 7))
		value = getenv(order + 7) ?: "";
	else
		return;
	snprintf(order, size, "%s", value);
}

static void serve(const struct control_start *start, int region, int side)
{
	struct pollfd pollers[] = {
	    {.fd = CONTROL_FD, .events = POLLIN}, {.fd = side, .events = POLLIN}};
	char order[sizeof(struct side_message)];

	for (;;) {
		memset(order, 0, sizeof(order));
		poll(pollers, 2, -1);
		if (pollers[0].revents)
			exit(EXIT_SUCCESS);
		ssize_t size = fd_receive(side, order, sizeof(order), NULL, NULL, 0);
		if (size < 0)
			exit(EXIT_SUCCESS);
		if (!strncmp(order, "die", 3)) {
			say(CONTROL_LAST_WORDS, "told to die");
			exit(6);
		}
		if (!strncmp(order, "kill", 4))
			kill(getpid(), SIGKILL);
		if (!strncmp(order, "deaf", 4)) {
			fd_send(side, order, (size_t)size, NULL, 0);
			hang();
		}
		if (!strncmp(order, "share", 5)) {
			share(order, side);
			continue;
		}
		if (!strncmp(order, "count", 5))
			count(start, region);
		tell_variable(start, order, sizeof(order));
		fd_send(side, order, (size_t)size, NULL, 0);
	}
}

static void describe_device(void)
{
	struct control_device device = {.kind = CONTROL_DEVICE,
	    .pci = "0000:00:00.0",
	    .memory_total = 1 << 30,
	    .capability_major = 9};
	const char *chosen = getenv("CUDA_VISIBLE_DEVICES");

	snprintf(
	    device.name, sizeof(device.name), "Imaginary GPU%s%s", chosen ? " " : "", chosen ?: "");
	fd_send(CONTROL_FD, &device, sizeof(device), NULL, 0);
}

/* Receives an order and says whether it can be done. */
static void take_order(union order *order, int fds[2])
{
	size_t n_fds = 2;

	if (fd_receive(CONTROL_FD, order, sizeof(*order), fds, &n_fds, 0) < 0)
		exit(EXIT_SUCCESS);
	if (told_to(order, "hang"))
		hang();
	if (told_to(order, "slow"))
		usleep(SLOW_US);
	if (told_to(order, "exit"))
		exit(5);
	if (told_to(order, "fail")) {
		say(CONTROL_FAILED, "no driver here");
		exit(EXIT_FAILURE);
	}
	struct control_ready ready = {
	    order->kind == CONTROL_WARM ? CONTROL_WARMED : CONTROL_READY,
	    .driver_version = 13000,
	    .devices = !told_to(order, "none"),
	};
	fd_send(CONTROL_FD, &ready, sizeof(ready), NULL, 0);
}

int main(void)
{
	union order order;
	int fds[2] = {-1, -1};

	take_order(&order, fds);
	if (order.kind == CONTROL_WARM)
		take_order(&order, fds);
	if (!order.start.probe)
		serve(&order.start, fds[0], fds[1]);
	if (!told_to(&order, "none"))
		describe_device();
	return EXIT_SUCCESS;
}
