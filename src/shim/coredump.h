/* Settings of GPU core dumps: what others must know. */
#pragma once

#include "abi/cuda.h"

/* The context has ended: its own settings go. */
void coredump_forget(CUcontext context);
