/*
 * The kernels of kernels.cu in OpenCL C, for PoCL: the same work by the same threads in the same
 * groups. The two that shuffle within a warp have no counterpart: OpenCL has sub-groups for that,
 * which PoCL 3.1 has not.
 */
kernel void vecadd(global const float *a, global const float *b, global float *c, int n)
{
	int i = get_global_id(0);

	if (i < n)
		c[i] = a[i] + b[i];
}

kernel void stencil(global const float *in, global float *out, int w, int h)
{
	int x = get_global_id(0), y = get_global_id(1);

	if (x < 1 || y < 1 || x >= w - 1 || y >= h - 1)
		return;
	out[y * w + x] = 0.5f * in[y * w + x] +
			 0.125f * (in[y * w + x - 1] + in[y * w + x + 1] + in[(y - 1) * w + x] +
				      in[(y + 1) * w + x]);
}

kernel void sgemm_naive(global const float *a, global const float *b, global float *c, int n)
{
	int x = get_global_id(0), y = get_global_id(1);
	float sum = 0;

	if (x >= n || y >= n)
		return;
	for (int k = 0; k < n; k++)
		sum += a[y * n + k] * b[k * n + x];
	c[y * n + x] = sum;
}

#define SGEMM_TILED(T)                                                                              \
	kernel void sgemm_tiled##T(                                                                 \
	    global const float *a, global const float *b, global float *c, int n)                   \
	{                                                                                           \
		local float as[T][T], bs[T][T];                                                     \
		int tx = get_local_id(0), ty = get_local_id(1);                                     \
		int x = get_group_id(0) * T + tx, y = get_group_id(1) * T + ty;                     \
		float sum = 0;                                                                      \
                                                                                                    \
		for (int t = 0; t < n; t += T) {                                                    \
			as[ty][tx] = a[y * n + t + tx];                                             \
			bs[ty][tx] = b[(t + ty) * n + x];                                           \
			barrier(CLK_LOCAL_MEM_FENCE);                                               \
			for (int k = 0; k < T; k++)                                                 \
				sum += as[ty][k] * bs[k][tx];                                       \
			barrier(CLK_LOCAL_MEM_FENCE);                                               \
		}                                                                                   \
		c[y * n + x] = sum;                                                                 \
	}

SGEMM_TILED(32)
SGEMM_TILED(16)

void block_sum(float sum, local float *s, global float *out)
{
	int i = get_local_id(0);

	s[i] = sum;
	barrier(CLK_LOCAL_MEM_FENCE);
	for (int d = 128; d > 0; d >>= 1) {
		if (i < d)
			s[i] += s[i + d];
		barrier(CLK_LOCAL_MEM_FENCE);
	}
	if (i == 0)
		out[get_group_id(0)] = s[0];
}

kernel void reduce_shared(global const float *in, global float *out, int n)
{
	local float s[256];
	float sum = 0;

	for (int i = get_global_id(0); i < n; i += get_global_size(0))
		sum += in[i];
	block_sum(sum, s, out);
}

/* One element a thread: nine barriers for 256 elements. */
kernel void reduce_dense(global const float *in, global float *out, int n)
{
	local float s[256];
	int i = get_global_id(0);

	block_sum(i < n ? in[i] : 0, s, out);
}

kernel void histogram_shared(global const uchar *in, global uint *out, int n)
{
	local uint bins[256];

	bins[get_local_id(0)] = 0;
	barrier(CLK_LOCAL_MEM_FENCE);
	for (int i = get_global_id(0); i < n; i += get_global_size(0))
		atomic_inc(&bins[in[i]]);
	barrier(CLK_LOCAL_MEM_FENCE);
	atomic_add(&out[get_local_id(0)], bins[get_local_id(0)]);
}

kernel void histogram_global(global const uchar *in, global uint *out, int n)
{
	for (int i = get_global_id(0); i < n; i += get_global_size(0))
		atomic_inc(&out[in[i]]);
}

kernel void count(global uint *out, int n)
{
	int i = get_global_id(0);

	if (i < n)
		atomic_inc(out);
}

kernel void mandelbrot(global int *out, int w, int h, int most)
{
	int px = get_global_id(0), py = get_global_id(1);
	float cx = -2.0f + 3.0f * px / w, cy = -1.5f + 3.0f * py / h, x = 0, y = 0;
	int i = 0;

	if (px >= w || py >= h)
		return;
	while (i < most && x * x + y * y < 4.0f) {
		float t = x * x - y * y + cx;

		y = 2 * x * y + cy;
		x = t;
		i++;
	}
	out[py * w + px] = i;
}

kernel void collatz(global int *out, int n)
{
	int i = get_global_id(0), steps = 0;
	uint v = i + 1;

	if (i >= n)
		return;
	while (v != 1) {
		v = v & 1 ? 3 * v + 1 : v / 2;
		steps++;
	}
	out[i] = steps;
}
