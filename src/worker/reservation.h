/*
 * Address ranges that the program reserved (cuMemAddressReserve), from the upper half of the device
 * window. On the dispatcher, but for what frees them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "abi/cuda.h"

struct worker;

/* Whether [address, address + bytes) lies inside one. */
bool reservations_cover(struct worker *worker, CUdeviceptr address, size_t bytes);
void reservations_free(struct worker *worker);
