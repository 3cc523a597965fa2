/* See samples.h. A set keeps its newest values: percentiles are of what a path does when it is
 * warm. */
#include "samples.h"

#include <stdlib.h>
#include <string.h>

#include "path.h"

void samples_init(struct samples *samples, size_t room)
{
	*samples = (struct samples){.ns = malloc(room * sizeof(float)), .room = room};
	if (!samples->ns)
		give_up("there is no memory for %zu samples", room);
	/* Touched now, so that no page fault falls into a sample. */
	memset(samples->ns, 0, room * sizeof(float));
}

void samples_fini(struct samples *samples)
{
	free(samples->ns);
}

static int compare(const void *left, const void *right)
{
	float a = *(const float *)left, b = *(const float *)right;

	return a < b ? -1 : a > b;
}

struct summary samples_summarise(const struct samples *sets, size_t n_sets)
{
	size_t n = 0;
	double sum = 0;

	for (size_t i = 0; i < n_sets; i++)
		n += MIN(sets[i].n, (uint64_t)sets[i].room);
	float *all = malloc(MAX(n, (size_t)1) * sizeof(float));
	if (!all)
		give_up("there is no memory for %zu samples", n);
	n = 0;
	for (size_t i = 0; i < n_sets; i++) {
		size_t kept = MIN(sets[i].n, (uint64_t)sets[i].room);
		memcpy(all + n, sets[i].ns, kept * sizeof(float));
		n += kept;
	}
	qsort(all, n, sizeof(float), compare);
	for (size_t i = 0; i < n; i++)
		sum += all[i];
	struct summary summary = {0};
	if (n)
		summary = (struct summary){
		    .p50_us = all[n / 2] / 1e3,
		    .p99_us = all[MIN(n - 1, n * 99 / 100)] / 1e3,
		    .max_us = all[n - 1] / 1e3,
		    .mean_us = sum / (double)n / 1e3,
		};
	free(all);
	return summary;
}
