/*
 * Statistics and traces of the program's calls, for `rosen run --stats` and `--trace`. Wanted when
 * the setting observe_dir is set; otherwise nothing of this costs more than the one look at the
 * gate that every entry takes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"

/* State of one entry while it is observed; lives on the entry's stack. start_ns 0: not observed. */
struct observe_entry {
	uint64_t start_ns, waited_ns;
	uint32_t outer; /* the entry a callback of the program was called from */
};

/* After the channel is attached: opens the trace file if one is wanted. */
void observe_init(void);
bool observe_wanted(void);

void observe_enter(uint32_t function, struct observe_entry *entry);
void observe_leave(uint32_t function, const struct observe_entry *entry, CUresult result);

/* For call.c: the function the thread is in has waited in lane from start_ns till now, has moved
 * bytes. */
void observe_waited(uint64_t start_ns, uint16_t lane);
void observe_bytes(size_t bytes);
