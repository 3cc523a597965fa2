/* What the client remembers of events whose state it cannot know alone. */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"

/* Whether other processes may see event too: then its state does not follow from what this process
 * has sent. */
bool event_is_shared(CUevent event);

/* Whether event was last recorded while a capture may have been open: then it may be a node of a
 * graph. */
bool event_was_captured(CUevent event);
