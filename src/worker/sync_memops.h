/* The pointer attribute SYNC_MEMOPS of memory for which the driver refuses it. Any thread. */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"

struct worker;

/* Whether the program has set it for the arena's allocation that begins at base. */
bool sync_memops_asked_for(struct worker *worker, CUdeviceptr base);
/* The allocation is freed. */
void sync_memops_forget(struct worker *worker, CUdeviceptr base);
void sync_memops_free(struct worker *worker);
