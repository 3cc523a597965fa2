/*
 * Texture and surface references that the client has ids of, by the module they are variables of:
 * the backend ends them with their module and tells nobody. Any thread.
 */
#pragma once

#include "abi/cuda.h"

struct call;
struct worker;

/* module has been unloaded: its references' ids end. */
void references_forget_module(struct call *call, CUmodule module);

/* What worker_free() frees. */
void references_free(struct worker *worker);
