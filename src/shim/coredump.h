/* Settings of GPU core dumps: what context.c must know. */
#pragma once

#include "abi/cuda.h"

/* The context has ended: its own settings go. */
void coredump_forget(CUcontext context);
