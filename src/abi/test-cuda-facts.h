/* Facts about the driver API's types, once as our headers say and once as NVIDIA's do. */
#pragma once

#include <stddef.h>

struct cuda_fact {
	const char *what; /* "sizeof CUuuid" */
	long long value;
};

struct cuda_facts {
	const struct cuda_fact *rows;
	size_t n_rows;
};

extern const struct cuda_facts cuda_facts_ours, cuda_facts_theirs;
