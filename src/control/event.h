/*
 * rosend's event loop: descriptors to watch and alarms, on one thread. The only place that knows
 * libuv. A watch or alarm is freed at once for its owner: its callback never comes again, also when
 * it was already due in this round of the loop; both may be freed from inside any callback, their
 * own included.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct event_loop;
struct watch;
struct alarm;

enum watch_events { WATCH_READ = 1, WATCH_WRITE = 2 };

/* events: what the descriptor is ready for; a hang-up or an error counts as WATCH_READ. */
typedef void watch_callback(void *data, unsigned events);
typedef void alarm_callback(void *data);

/* All constructors: 0 or a negative errno. */
int event_loop_new(struct event_loop **out);
/* Everything made on the loop must have been freed. */
struct event_loop *event_loop_free(struct event_loop *loop);
/* Runs until event_loop_stop(). */
void event_loop_run(struct event_loop *loop);
void event_loop_stop(struct event_loop *loop);
/* One round without waiting (tests, fuzzing). */
void event_loop_poll(struct event_loop *loop);

/* fd is taken over and closed with the watch, also on failure. */
int watch_new(struct event_loop *loop, int fd, unsigned events, watch_callback *callback,
    void *data, struct watch **out);
struct watch *watch_free(struct watch *watch);
int watch_fd(const struct watch *watch);
void watch_set_events(struct watch *watch, unsigned events); /* 0: none for now */

/* Calls back once after ms milliseconds. */
int alarm_new(
    struct event_loop *loop, uint64_t ms, alarm_callback *callback, void *data, struct alarm **out);
struct alarm *alarm_free(struct alarm *alarm);
