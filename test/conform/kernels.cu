/*
 * The kernels of the conformance programs, in CUDA C++. kernels.ptx is what clang makes of this
 * file (`make -C test/conform ptx`), checked in so that a machine without a CUDA compiler runs the
 * tests. Everything here is exact: integers, or floats in a fixed order, so that results are equal
 * bit for bit on every GPU and on the software GPU.
 */
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((constant))
#define TID  (int)__nvvm_read_ptx_sreg_tid_x()
#define NTID (int)__nvvm_read_ptx_sreg_ntid_x()
#define CTA  (int)__nvvm_read_ptx_sreg_ctaid_x()
#define NCTA (int)__nvvm_read_ptx_sreg_nctaid_x()
#define SYNC __syncthreads()
typedef unsigned long long u64;

__constant__ int table[16] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3};
__device__ int counter = 42;
__device__ float scratch[256];

extern "C" __global__ void vector_add(const float *a, const float *b, float *c, int n)
{
	int i = CTA * NTID + TID;
	if (i < n)
		c[i] = a[i] + b[i];
}

extern "C" __global__ void fill(unsigned *out, unsigned value, int n)
{
	for (int i = CTA * NTID + TID; i < n; i += NCTA * NTID)
		out[i] = value;
}

extern "C" __global__ void increment(unsigned *data, int n)
{
	for (int i = CTA * NTID + TID; i < n; i += NCTA * NTID)
		data[i] += 1;
}

/* Tree reduction in shared memory; one partial sum a block. Dynamic shared memory: blockDim
 * ints. */
extern __shared__ int dynamic[];
extern "C" __global__ void reduce(const int *in, int *out, int n)
{
	int *sums = dynamic, sum = 0;
	for (int i = CTA * NTID + TID; i < n; i += NCTA * NTID)
		sum += in[i];
	sums[TID] = sum;
	SYNC;
	for (int half = NTID / 2; half > 0; half /= 2) {
		if (TID < half)
			sums[TID] += sums[TID + half];
		SYNC;
	}
	if (TID == 0)
		out[CTA] = sums[0];
}

/* Histogram by shared and global atomics: 64 bins. */
extern "C" __global__ void histogram(const unsigned *in, unsigned *bins, int n)
{
	static __shared__ unsigned local[64];
	for (int i = TID; i < 64; i += NTID)
		local[i] = 0;
	SYNC;
	for (int i = CTA * NTID + TID; i < n; i += NCTA * NTID)
		__nvvm_atom_add_gen_i((int *)&local[in[i] & 63], 1);
	SYNC;
	for (int i = TID; i < 64; i += NTID)
		__nvvm_atom_add_gen_i((int *)&bins[i], (int)local[i]);
}

/* Sum over each warp by shuffles. */
extern "C" __global__ void warp_sum(const int *in, int *out)
{
	int i = CTA * NTID + TID, sum = in[i];
	for (int delta = 16; delta > 0; delta /= 2)
		sum += __nvvm_shfl_sync_down_i32(0xffffffffu, sum, delta, 31);
	if (TID % 32 == 0)
		out[i / 32] = sum;
}

extern "C" __global__ void stencil(const float *in, float *out, int width, int height)
{
	int x = (int)(__nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() +
		      __nvvm_read_ptx_sreg_tid_x());
	int y = (int)(__nvvm_read_ptx_sreg_ctaid_y() * __nvvm_read_ptx_sreg_ntid_y() +
		      __nvvm_read_ptx_sreg_tid_y());
	if (x <= 0 || y <= 0 || x >= width - 1 || y >= height - 1)
		return;
	const float *p = in + y * width + x;
	out[y * width + x] = ((p[-1] + p[1]) + (p[-width] + p[width])) * 0.25f;
}

struct mixed {
	char a;
	double b;
	short c;
	int *where;
	float d[3];
};

/* Parameters of every size and alignment. */
extern "C" __global__ void parameters(char a, u64 b, short c, struct mixed m, float d, u64 *out)
{
	out[0] = (u64)a;
	out[1] = b;
	out[2] = (u64)c;
	out[3] = (u64)m.a;
	out[4] = (u64)(m.b * 16.0);
	out[5] = (u64)m.c;
	out[6] = (u64)(m.d[0] + m.d[1] + m.d[2]);
	out[7] = (u64)(d * 4.0f);
	*m.where = 77;
}

extern "C" __global__ void read_globals(int *out)
{
	if (TID < 16)
		out[TID] = table[TID] + counter;
}

extern "C" __global__ void geometry(unsigned *out)
{
	unsigned block = (__nvvm_read_ptx_sreg_ctaid_z() * __nvvm_read_ptx_sreg_nctaid_y() +
			     __nvvm_read_ptx_sreg_ctaid_y()) *
			     __nvvm_read_ptx_sreg_nctaid_x() +
			 __nvvm_read_ptx_sreg_ctaid_x();
	unsigned thread = (__nvvm_read_ptx_sreg_tid_z() * __nvvm_read_ptx_sreg_ntid_y() +
			      __nvvm_read_ptx_sreg_tid_y()) *
			      __nvvm_read_ptx_sreg_ntid_x() +
			  __nvvm_read_ptx_sreg_tid_x();
	unsigned threads = __nvvm_read_ptx_sreg_ntid_x() * __nvvm_read_ptx_sreg_ntid_y() *
			   __nvvm_read_ptx_sreg_ntid_z();
	out[block * threads + thread] = block * 1000 + thread;
}

/* A while: at least `cycles` turns of a loop the compiler cannot remove. */
extern "C" __global__ void spin(volatile unsigned *word, u64 turns)
{
	for (u64 i = 0; i < turns; i++)
		*word = (unsigned)i;
}

extern "C" __global__ void write_out_of_bounds(int *base)
{
	base[1ll << 38] = 1;
}

extern "C" __global__ void trap(void)
{
	asm volatile("trap;");
}

/* printf and assert as the compiler's headers make them. */
extern "C" __device__ int vprintf(const char *format, const void *arguments);
extern "C" __device__ void __assertfail(const char *message, const char *file, unsigned line,
    const char *function, unsigned long long char_size);

extern "C" __global__ void print_lines(int first, int n)
{
	for (int i = first; i < first + n; i++) {
		struct {
			int number;
			const char *word;
			double half;
		} arguments = {i, i % 2 ? "odd" : "even", i / 2.0};
		if (CTA == 0 && TID == 0)
			vprintf("line %d is %s, half of it %.1f\n", &arguments);
	}
}

extern "C" __global__ void assert_equal(int a, int b)
{
	if (a != b)
		__assertfail("a == b", "kernels.cu", 1234, "assert_equal", 1);
}
