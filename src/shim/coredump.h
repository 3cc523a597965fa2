/* Settings of GPU core dumps: what others must know. */
#pragma once

#include "abi/cuda.h"

/* The context has ended: its own settings go. */
void coredump_forget(CUcontext context);

/* Says so, once, where the environment asks for dumps, which are not made. */
void coredump_warn(void);
