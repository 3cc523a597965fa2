/* See functions.h: the generated table of the interface definition. */
#include "cli/functions.h"

#include "gen/api_desc.h"

const char *function_name(uint32_t row)
{
	return row < API_N_FUNCTIONS ? api_desc[row].name : "?";
}

bool function_is_local(uint32_t row)
{
	return row < API_N_FUNCTIONS && api_desc[row].class == API_LOCAL;
}
