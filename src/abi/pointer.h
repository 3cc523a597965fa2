/* What is known of cuPointerGetAttribute() without asking anybody. Pure; any thread. */
#pragma once

#include <stddef.h>

#include "abi/cuda.h"

/*
 * Bytes that the value of an attribute takes; 0: there is no such attribute. Truth values take
 * four, as with NVIDIA's driver.
 */
size_t abi_pointer_attribute_size(CUpointer_attribute attribute);
