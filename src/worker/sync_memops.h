/* The attribute SYNC_MEMOPS of memory that the driver does not take it for. Any thread. */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"

struct worker;

/* Of the arena's allocation that begins at base. */
bool sync_memops_asked_for(struct worker *worker, CUdeviceptr base);
/* It is freed. */
void sync_memops_forget(struct worker *worker, CUdeviceptr base);
void sync_memops_free(struct worker *worker);
