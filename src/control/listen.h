/* What a service manager and rosend say to each other: sd_listen_fds(3) and sd_notify(3). */
#pragma once

/* The listening descriptor that was passed in, -1: none. */
int listen_inherited(void);

/* Tells the service manager, if there is one, such as "READY=1". */
void listen_notify(const char *state);
