/*
 * What bench-softgpu measures: sixteen kernels, each in several ways that run it on the same
 * buffers. One thread throughout; nothing here locks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_CASES	16
#define BENCH_ARGUMENTS 6

/* Of a kernel: a buffer and its bytes, or where that is NULL an int. */
struct bench_argument {
	void *buffer; /* of bench_take() */
	size_t value;
};

struct bench_case {
	const char *name; /* of the kernel, in every language */
	uint32_t grid[2], block[2];
	struct bench_argument arguments[BENCH_ARGUMENTS];
	unsigned n_arguments;
	void (*native)(void);	/* the same in plain C */
	bool (*is_right)(void); /* what a kernel computed, against what native() did before */
};

/* cases.c. Makes the buffers; called once. */
const struct bench_case *bench_cases(void);
/* Kernels that count start from zero. */
void bench_clear(void);

/* softgpu.c. Milliseconds from the launch to its end; exits with a word when it fails. The first
 * run of a kernel compiles it. */
double softgpu_run(const struct bench_case *bench, unsigned lanes);

/* opencl.c. PoCL on one thread, until the process ends; or NULL with a line on why not. */
struct opencl *opencl_new(char *why, size_t size);
const char *opencl_version(const struct opencl *cl);
/* False for kernels that kernels.cl has not. */
bool opencl_has(struct opencl *cl, const struct bench_case *bench);
/* As softgpu_run(). */
double opencl_run(struct opencl *cl, const struct bench_case *bench);
