/* Facts about NVML's types, once as our header says and once as NVIDIA's does. */
#pragma once

#include <stddef.h>

struct nvml_fact {
	const char *what;
	long long value;
};

struct nvml_facts {
	const struct nvml_fact *rows;
	size_t n_rows;
};

extern const struct nvml_facts nvml_facts_ours, nvml_facts_theirs;
