/* Times of single calls, the newest of them, and what they come to. One thread's. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct samples {
	float *ns;
	size_t room;
	uint64_t n; /* ever added */
};

struct summary {
	double p50_us, p99_us, max_us, mean_us;
};

/* Of the heap; ends the program when there is no memory. */
void samples_init(struct samples *samples, size_t room);
void samples_fini(struct samples *samples);

static inline void samples_add(struct samples *samples, float ns)
{
	samples->ns[samples->n++ % samples->room] = ns;
}

/* Of all sets together; sorts what they keep. */
struct summary samples_summarise(const struct samples *sets, size_t n_sets);
