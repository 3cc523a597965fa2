/*
 * What the processes that share an event have in common: which recording of it was the last, and
 * which are done. It lies in a file in memory that each maps.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/cuda.h"

struct sg_shared_event;

/* 0 or a negative errno. References are counted. */
int sg_shared_event_new(struct sg_shared_event **out);
struct sg_shared_event *sg_shared_event_ref(struct sg_shared_event *shared);
void sg_shared_event_unref(struct sg_shared_event *shared);

/* A handle by which other processes of this user find it, as long as this process has it. */
CUresult sg_shared_event_handle(struct sg_shared_event *shared, CUipcEventHandle *handle);
CUresult sg_shared_event_open(const CUipcEventHandle *handle, struct sg_shared_event **out);

/* Begins a recording, from now on the last one; its number. done: it has happened, or never will;
 * may be said again. */
uint64_t sg_shared_event_record(struct sg_shared_event *shared);
void sg_shared_event_done(struct sg_shared_event *shared, uint64_t number);

/* The last recording, 0: there was none; and whether one is done, or who began it is no more. */
uint64_t sg_shared_event_last(struct sg_shared_event *shared);
bool sg_shared_event_is_done(struct sg_shared_event *shared, uint64_t number);

/* Waits a while for anything to happen. */
void sg_shared_event_sleep(struct sg_shared_event *shared, uint64_t number);
