/* The function table: names for the rows that statistics and traces count by. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Never NULL; a row this build does not know is called "?". */
const char *function_name(uint32_t row);

/* Whether the program's own process answers it, as a rule. */
bool function_is_local(uint32_t row);
