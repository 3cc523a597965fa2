/*
 * bench-softgpu: kernels on the software GPU against plain C, and against PoCL where it is
 * installed, all on one thread.
 *
 *	bench-softgpu [ROUNDS [CASE...]]
 *
 * Each round runs every case in every way in turn, so that whatever else the machine does falls on
 * all alike: plain C, the kernel with its threads in step, the same kernel in OpenCL; and in every
 * third round, for it takes long, the kernel a thread at a time. The first round compiles, warms up
 * and checks the results. What is printed is JSON: per case and way the median, the least and the
 * greatest processor time in milliseconds, or null. report makes a table and a chart of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "bench.h"
#include "memory.h"

#define MOST_ROUNDS 64
#define RARELY	    3u

enum way { WAY_NATIVE, WAY_WARPS, WAY_POCL, WAY_THREADS, WAYS };

static const char *const way_names[WAYS] = {"native", "warps", "pocl", "threads"};

static struct opencl *pocl; /* NULL: not here */

static double run_native(const struct bench_case *bench)
{
	double began = bench_now_ms();

	bench->native();
	return bench_now_ms() - began;
}

static bool has_way(const struct bench_case *bench, enum way way, unsigned round)
{
	if (way == WAY_POCL)
		return pocl && opencl_has(pocl, bench);
	return way != WAY_THREADS || round % RARELY == 1 || !round;
}

static double run_once(const struct bench_case *bench, enum way way)
{
	switch (way) {
	case WAY_NATIVE:
		return run_native(bench);
	case WAY_POCL:
		return opencl_run(pocl, bench);
	default:
		return softgpu_run(bench, way == WAY_THREADS ? 1 : 0);
	}
}

static void check(const struct bench_case *bench, enum way way)
{
	if (way == WAY_NATIVE || bench->is_right())
		return;
	fprintf(stderr, "bench-softgpu: %s (%s): wrong result\n", bench->name, way_names[way]);
	exit(1);
}

static int by_size(const void *x, const void *y)
{
	const double *p = x, *q = y;

	return (*p > *q) - (*p < *q);
}

struct times {
	double ms[MOST_ROUNDS];
	unsigned count;
};

static void print_times(const char *name, struct times *times)
{
	unsigned n = times->count;

	qsort(times->ms, n, sizeof(double), by_size);
	if (n)
		printf(", \"%s\": [%.3f, %.3f, %.3f]", name, times->ms[n / 2], times->ms[0],
		    times->ms[n - 1]);
	else
		printf(", \"%s\": null", name);
}

static bool is_chosen(const char *name, int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc <= 2;
}

static void find_pocl(void)
{
	char why[1000];

	pocl = opencl_new(why, sizeof(why));
	if (!pocl)
		fprintf(stderr, "bench-softgpu: without PoCL: %s\n", why);
}

int main(int argc, char **argv)
{
	static struct times times[BENCH_CASES][WAYS];
	const struct bench_case *cases = bench_cases();
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 7;
	const char *comma = "";

	rounds = MIN(MAX(rounds, 1u), MOST_ROUNDS);
	find_pocl();
	for (unsigned round = 0; round <= rounds; round++)
		for (unsigned i = 0; i < BENCH_CASES; i++)
			for (enum way way = 0; way < WAYS; way++) {
				struct times *mine = &times[i][way];
				double ms;

				if (!is_chosen(cases[i].name, argc, argv) ||
				    !has_way(&cases[i], way, round))
					continue;
				bench_clear();
				ms = run_once(&cases[i], way);
				if (round)
					mine->ms[mine->count++] = ms;
				else
					check(&cases[i], way);
			}
	printf("{\"rounds\": %u, \"unit\": \"ms\", ", rounds);
	if (pocl)
		printf("\"pocl\": \"%s\", ", opencl_version(pocl));
	printf("\"cases\": [");
	for (unsigned i = 0; i < BENCH_CASES; i++) {
		if (!is_chosen(cases[i].name, argc, argv))
			continue;
		printf("%s\n{\"name\": \"%s\"", comma, cases[i].name);
		comma = ",";
		for (enum way way = 0; way < WAYS; way++)
			print_times(way_names[way], &times[i][way]);
		printf("}");
	}
	printf("\n]}\n");
	return 0;
}
