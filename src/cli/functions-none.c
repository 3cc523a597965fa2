/* The function table of a build without the generated one: names are not known. */
#include "cli/functions.h"

const char *function_name(uint32_t row)
{
	return "?";
}
