/* The form of an input of fuzz-dispatch.c. */
#pragma once

#include <stdint.h>

#define LANES	    4
#define FUZZ_ATTACH 0xffff
#define FUZZ_SIDE   0xfffe

/* flags of a side message */
#define FUZZ_SIDE_FILE	     1
#define FUZZ_SIDE_DESCRIPTOR 2
#define FUZZ_SIDE_SEALED     4
#define FUZZ_SIDE_STRANGE    8 /* no memory at all */
#define FUZZ_SIDE_NONE	     16

struct fuzz_head {
	uint16_t function;
	uint8_t flags, lane;
	uint32_t words;
};
