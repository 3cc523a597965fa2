/* Events that other processes see too. */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"

/* Whether event is one: then what this process has sent and its worker has done says nothing about
 * it. */
bool event_is_shared(CUevent event);
