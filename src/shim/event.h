/* What the client remembers of events of which not all can be told from here. */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"

/* Whether event is one: then what this process has sent and its worker has done says nothing about
 * it. */
bool event_is_shared(CUevent event);

/* Whether event was last recorded while a capture may have been open: then it may be a node of a
 * graph. */
bool event_was_captured(CUevent event);
