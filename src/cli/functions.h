/* The function table: names for the rows that statistics and traces count by. */
#pragma once

#include <stdint.h>

/* Never NULL; a row this build does not know is called "?". */
const char *function_name(uint32_t row);
