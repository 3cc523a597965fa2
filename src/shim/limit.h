/* The context limits the shim remembers: cuCtxGetLimit is asked at every step of some programs. */
#pragma once

#include "abi/cuda.h"

/* The context ended, or one of its limits was set. */
void limit_forget(CUcontext context);
