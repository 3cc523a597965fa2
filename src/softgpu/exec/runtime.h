/* The functions compiled code calls, by name. */
#pragma once

#include "softgpu/jit/jit.h"

extern const struct jit_machine runtime_machine;
