/* What is known to be done without asking the worker (idle.c). Any thread. */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"

/* All that was put into stream, and into all others, has ended. */
bool idle_stream(CUstream stream);
