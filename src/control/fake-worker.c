/*
 * A worker for tests of rosend: it speaks control.h and no CUDA. FAKE_WORKER in the environment
 * says how it behaves, one word per backend, "cuda=WORD,softgpu=WORD":
 *
 *	ok (the default)  ready with one device; serves until a socket hangs up
 *	none		  ready without a device
 *	fail		  CONTROL_FAILED with the text "no driver here"
 *	exit		  ends with status 5 without a word
 *	hang		  says nothing, and hears no hang-up either
 *
 * When ready, the first bytes of a message on the side socket are orders: "die" (last words, then
 * status 6), "kill" (SIGKILL to itself), "count" (adds 1 call and 2 messages to row 3 of the
 * statistics), "deaf" (ignores hang-ups from now on). It answers with the same message.
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

#define CONTROL_FD 3

static bool told_to(const struct control_start *start, const char *word)
{
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "%s=%s",
	    start->backend == CONTROL_BACKEND_CUDA ? "cuda" : "softgpu", word);
	return strstr(getenv("FAKE_WORKER") ?: "", wanted);
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
		if (!strncmp(order, "count", 5))
			count(start, region);
		fd_send(side, order, (size_t)size, NULL, 0);
	}
}

int main(void)
{
	struct control_start start;
	int fds[2] = {-1, -1};
	size_t n_fds = 2;
	ssize_t size = fd_receive(CONTROL_FD, &start, sizeof(start), fds, &n_fds, 0);

	if (size != sizeof(start) || start.kind != CONTROL_START)
		return EXIT_FAILURE;
	if (told_to(&start, "hang"))
		hang();
	if (told_to(&start, "exit"))
		return 5;
	if (told_to(&start, "fail")) {
		say(CONTROL_FAILED, "no driver here");
		return EXIT_FAILURE;
	}
	struct control_ready ready = {
	    CONTROL_READY, .driver_version = 13000, .devices = !told_to(&start, "none")};
	fd_send(CONTROL_FD, &ready, sizeof(ready), NULL, 0);
	if (start.probe) {
		struct control_device device = {.kind = CONTROL_DEVICE,
		    .name = "Imaginary GPU",
		    .pci = "0000:00:00.0",
		    .memory_total = 1 << 30,
		    .capability_major = 9};
		if (ready.devices)
			fd_send(CONTROL_FD, &device, sizeof(device), NULL, 0);
		return EXIT_SUCCESS;
	}
	serve(&start, fds[0], fds[1]);
}
