/* Plain C for a baseline, built with -O3 -march=native and nothing that changes results. */
#include "native.h"

#include <string.h>

void native_vecadd(const float *restrict a, const float *restrict b, float *restrict c, int n)
{
	for (int i = 0; i < n; i++)
		c[i] = a[i] + b[i];
}

void native_stencil(const float *restrict in, float *restrict out, int w, int h)
{
	for (int y = 1; y < h - 1; y++)
		for (int x = 1; x < w - 1; x++)
			out[y * w + x] = 0.5f * in[y * w + x] +
					 0.125f * (in[y * w + x - 1] + in[y * w + x + 1] +
						      in[(y - 1) * w + x] + in[(y + 1) * w + x]);
}

void native_sgemm(const float *restrict a, const float *restrict b, float *restrict c, int n)
{
	memset(c, 0, (size_t)n * (size_t)n * sizeof(*c));
	for (int i = 0; i < n; i++)
		for (int k = 0; k < n; k++)
			for (int j = 0; j < n; j++)
				c[i * n + j] += a[i * n + k] * b[k * n + j];
}

#define GEMM_TILED(name, number)                                                                   \
	void name(const number *restrict a, const number *restrict b, number *restrict c, int n)   \
	{                                                                                          \
		for (int i = 0; i < n; i += 4)                                                     \
			for (int j = 0; j < n; j += 32) {                                          \
				number sum[4][32] = {0};                                           \
                                                                                                   \
				for (int k = 0; k < n; k++)                                        \
					for (int r = 0; r < 4; r++)                                \
						for (int s = 0; s < 32; s++)                       \
							sum[r][s] +=                               \
							    a[(i + r) * n + k] * b[k * n + j + s]; \
				for (int r = 0; r < 4; r++)                                        \
					memcpy(&c[(i + r) * n + j], sum[r], sizeof(sum[r]));       \
			}                                                                          \
	}
GEMM_TILED(native_sgemm_tiled, float)
GEMM_TILED(native_dgemm_tiled, double)

float native_sum(const float *in, int n)
{
	float sum = 0;

	for (int i = 0; i < n; i++)
		sum += in[i];
	return sum;
}

void native_histogram(const uint8_t *in, uint32_t *bins, int n)
{
	memset(bins, 0, 256 * sizeof(*bins));
	for (int i = 0; i < n; i++)
		bins[in[i]]++;
}

void native_count(uint32_t *out, int n)
{
	for (int i = 0; i < n; i++)
		__atomic_fetch_add(out, 1, __ATOMIC_RELAXED);
}

void native_mandelbrot(int32_t *out, int w, int h, int most)
{
	for (int py = 0; py < h; py++)
		for (int px = 0; px < w; px++) {
			float cx = -2.0f + 3.0f * (float)px / (float)w;
			float cy = -1.5f + 3.0f * (float)py / (float)h, x = 0, y = 0;
			int i = 0;

			for (; i < most && x * x + y * y < 4.0f; i++) {
				float t = x * x - y * y + cx;

				y = 2 * x * y + cy;
				x = t;
			}
			out[py * w + px] = i;
		}
}

void native_collatz(int32_t *out, int n)
{
	for (int i = 0; i < n; i++) {
		uint32_t v = (uint32_t)i + 1;
		int steps = 0;

		for (; v != 1; steps++)
			v = v & 1 ? 3 * v + 1 : v / 2;
		out[i] = steps;
	}
}
