/* Stands in for the shim's own: an entry counts that it was entered and left. */
#pragma once

#include <stdbool.h>

#include "gen/api_ids.h"

extern unsigned halves_entered, halves_left;
extern bool halves_lack_context;

#define SHIM_ENTER(function)	     (void)(function), halves_entered++
#define SHIM_ENTER_EARLY(function)   (void)(function), halves_entered++
#define shim_enter_narrow()	     CUDA_SUCCESS
#define shim_lacks_context(stream)   ((void)(stream), halves_lack_context)
#define SHIM_LEAVE(function, result) (void)(function), (void)(result), halves_left++
