/*
 * Fuzz target: the first message of a connection to rosend, hello or JSON. No worker can start here
 * (there is none beside this executable), so every hello ends in a refusal, by then having passed
 * all that looks at untrusted bytes.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "control/client.h"
#include "control/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct server server;

static void set_up(void)
{
	char error[ADMIT_ERROR_MAX];
	struct config config;

	log_set_level(LOG_ERROR);
	config_init(&config);
	config.ring_size = config.staging_size = 1 << 20;
	config.lanes = 1;
	strcpy(config.allow_users, "7, 8,9");
	strcpy(config.allow_groups, "7");
	if (server_init(&server, &config, error) < 0)
		abort();
	strcpy(server.install.worker, "/nonexistent");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	int pair[2];

	if (!server.loop)
		set_up();
	if (size > CLIENT_MESSAGE_MAX)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
	    client_new(&server, pair[0]) < 0)
		abort();
	/* The kernel never delivers a message without bytes: that is a hang-up. */
	if (size)
		client_first_message(
		    container_of(server.clients.previous, struct client, link), bytes, size);
	fd_close(pair[1]);
	event_loop_poll(server.loop);
	list_for_each (&server.clients, link)
		client_free(container_of(link, struct client, link));
	event_loop_poll(server.loop);
	if (server.n_door || server.n_sessions)
		abort();
	return 0;
}
