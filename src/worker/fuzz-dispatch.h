/* The form of an input of fuzz-dispatch.c. */
#pragma once

#include <stdint.h>

#define LANES	    4
#define FUZZ_ATTACH 0xffff

struct fuzz_head {
	uint16_t function;
	uint8_t flags, lane;
	uint32_t words;
};
