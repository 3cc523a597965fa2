/* What a program shares by CUDA's inter-process handles, and what it opened by them. */
#pragma once

#include "worker/worker.h"

struct ipc *ipc_new(struct worker *worker);
struct ipc *ipc_free(struct ipc *ipc);

/* The allocation that starts at address is no more: its handle is void. Any thread. */
void ipc_memory_freed(struct worker *worker, CUdeviceptr address);

/* context is about to end, and with it what it allocated (whose memory is given back already) and
 * opened. */
void ipc_forget_context(struct worker *worker, CUcontext context);
