/* The same work in plain C, as a compiler for this CPU does best: what the kernels are measured
 * against. Sizes in elements. */
#pragma once

#include <stdint.h>

void native_vecadd(const float *a, const float *b, float *c, int n);
void native_stencil(const float *in, float *out, int w, int h);
void native_sgemm(const float *a, const float *b, float *c, int n);	  /* rows by rows */
void native_sgemm_tiled(const float *a, const float *b, float *c, int n); /* 4x32 in registers */
void native_dgemm_tiled(const double *a, const double *b, double *c, int n);
float native_sum(const float *in, int n); /* in order, as C wants it */
void native_histogram(const uint8_t *in, uint32_t *bins, int n);
void native_count(uint32_t *out, int n); /* atomic */
void native_mandelbrot(int32_t *out, int w, int h, int most);
void native_collatz(int32_t *out, int n);
