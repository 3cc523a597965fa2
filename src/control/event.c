/*
 * See event.h. Each watch and alarm is a heap object of its own around a libuv handle: libuv frees
 * handles in a later round of its loop, while owners here free theirs at once, so the handle
 * outlives its owner and only the callback into the owner is cut.
 */
#include "control/event.h"

#include <errno.h>
#include <stdlib.h>
#include <uv.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/util.h"

struct event_loop {
	uv_loop_t uv;
};

struct watch {
	uv_poll_t uv;
	int fd;
	watch_callback *callback;
	void *data;
};

struct alarm {
	uv_timer_t uv;
	alarm_callback *callback;
	void *data;
};

int event_loop_new(struct event_loop **out)
{
	struct event_loop *loop = malloc(sizeof(*loop));

	if (!loop)
		return error_origin(-ENOMEM);
	int r = uv_loop_init(&loop->uv);
	if (r < 0) {
		free(loop);
		return error_origin(r);
	}
	*out = loop;
	return 0;
}

struct event_loop *event_loop_free(struct event_loop *loop)
{
	if (!loop)
		return NULL;
	/* Lets the last handles' closing come to its end. */
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	uv_loop_close(&loop->uv);
	free(loop);
	return NULL;
}

void event_loop_run(struct event_loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void event_loop_stop(struct event_loop *loop)
{
	uv_stop(&loop->uv);
}

void event_loop_poll(struct event_loop *loop)
{
	uv_run(&loop->uv, UV_RUN_NOWAIT);
}

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
	struct watch *watch = container_of(uv, struct watch, uv);
	unsigned ready = 0;

	if (status < 0 || events & (UV_READABLE | UV_DISCONNECT))
		ready |= WATCH_READ;
	if (events & UV_WRITABLE)
		ready |= WATCH_WRITE;
	watch->callback(watch->data, ready);
}

int watch_new(struct event_loop *loop, int fd, unsigned events, watch_callback *callback,
    void *data, struct watch **out)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (!watch) {
		fd_close(fd);
		return error_origin(-ENOMEM);
	}
	watch->fd = fd;
	watch->callback = callback;
	watch->data = data;
	int r = uv_poll_init(&loop->uv, &watch->uv, fd);
	if (r < 0) {
		fd_close(fd);
		free(watch);
		return error_origin(r);
	}
	watch_set_events(watch, events);
	*out = watch;
	return 0;
}

struct watch *watch_free(struct watch *watch)
{
	if (!watch)
		return NULL;
	uv_poll_stop(&watch->uv);
	fd_close(watch->fd);
	uv_close((uv_handle_t *)&watch->uv, free_handle);
	return NULL;
}

int watch_fd(const struct watch *watch)
{
	return watch->fd;
}

void watch_set_events(struct watch *watch, unsigned events)
{
	int wanted = (events & WATCH_READ ? UV_READABLE | UV_DISCONNECT : 0) |
		     (events & WATCH_WRITE ? UV_WRITABLE : 0);

	if (wanted)
		uv_poll_start(&watch->uv, wanted, on_poll);
	else
		uv_poll_stop(&watch->uv);
}

static void on_timer(uv_timer_t *uv)
{
	struct alarm *alarm = container_of(uv, struct alarm, uv);

	alarm->callback(alarm->data);
}

int alarm_new(
    struct event_loop *loop, uint64_t ms, alarm_callback *callback, void *data, struct alarm **out)
{
	struct alarm *alarm = calloc(1, sizeof(*alarm));

	if (!alarm)
		return error_origin(-ENOMEM);
	alarm->callback = callback;
	alarm->data = data;
	uv_timer_init(&loop->uv, &alarm->uv);
	/* The loop's idea of now may be old after a long callback. */
	uv_update_time(&loop->uv);
	uv_timer_start(&alarm->uv, on_timer, ms, 0);
	*out = alarm;
	return 0;
}

struct alarm *alarm_free(struct alarm *alarm)
{
	if (!alarm)
		return NULL;
	uv_timer_stop(&alarm->uv);
	uv_close((uv_handle_t *)&alarm->uv, free_handle);
	return NULL;
}
