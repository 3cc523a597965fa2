/* The functions compiled code calls, by name. */
#pragma once

#include "softgpu/jit/jit.h"

extern const struct jit_symbol runtime_symbols[];
extern const size_t runtime_n_symbols;
