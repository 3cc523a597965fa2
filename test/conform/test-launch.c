/* Kernels: parameters, geometry, shared memory, atomics, shuffles, launch forms and their errors.
 */
#include "conform.h"

CONFORM(vector_add)
{
	enum { N = 100003 };
	float *a = malloc(N * 4), *b = malloc(N * 4), *c = malloc(N * 4);
	CUdeviceptr da, db, dc;
	int n = N;

	conform_begin();
	CUfunction f = conform_kernel("vector_add");
	for (int i = 0; i < N; i++) {
		a[i] = (float)i;
		b[i] = (float)i * 0.5f;
	}
	OK(cuMemAlloc(&da, N * 4));
	OK(cuMemAlloc(&db, N * 4));
	OK(cuMemAlloc(&dc, N * 4));
	OK(cuMemcpyHtoD(da, a, N * 4));
	OK(cuMemcpyHtoD(db, b, N * 4));
	OK(conform_launch(f, (N + 255) / 256, 256, 0, NULL, (void *[]){&da, &db, &dc, &n}));
	OK(cuMemcpyDtoH(c, dc, N * 4));
	for (int i = 0; i < N; i++)
		CHECK(c[i] == a[i] + b[i]);
	OK(cuMemFree(da));
	OK(cuMemFree(db));
	OK(cuMemFree(dc));
}

struct mixed {
	char a;
	double b;
	short c;
	int *where;
	float d[3];
};

static void check_parameters(const uint64_t *out, int where)
{
	static const uint64_t wanted[] = {
	    (uint64_t)-5, 0x123456789abcdefull, (uint64_t)-300, 7, 40, (uint64_t)-9, 6, 10};

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		CHECK_EQ(out[i], wanted[i]);
	CHECK_EQ(where, 77);
}

CONFORM(parameters_of_every_size)
{
	CUdeviceptr out, where;
	uint64_t results[8];
	int touched = 0;
	char a = -5;
	unsigned long long b = 0x123456789abcdefull;
	short c = -300;
	float d = 2.5f;

	conform_begin();
	CUfunction f = conform_kernel("parameters");
	OK(cuMemAlloc(&out, sizeof(results)));
	OK(cuMemAlloc(&where, 4));
	struct mixed m = {7, 2.5, -9, (int *)where, {1, 2, 3}};
	OK(conform_launch(f, 1, 1, 0, NULL, (void *[]){&a, &b, &c, &m, &d, &out}));
	OK(cuMemcpyDtoH(results, out, sizeof(results)));
	OK(cuMemcpyDtoH(&touched, where, 4));
	check_parameters(results, touched);

	/* The same, as one packed buffer at the offsets the driver reports. */
	char packed[256] = {0};
	const void *values[] = {&a, &b, &c, &m, &d, &out};
	size_t used = 0, offset, size;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		OK(cuFuncGetParamInfo(f, i, &offset, &size));
		memcpy(packed + offset, values[i], size);
		used = offset + size;
	}
	GIVES(cuFuncGetParamInfo(f, ARRAY_SIZE(values), &offset, &size), CUDA_ERROR_INVALID_VALUE);
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, packed, CU_LAUNCH_PARAM_BUFFER_SIZE, &used,
	    CU_LAUNCH_PARAM_END};
	OK(cuMemsetD8(out, 0, sizeof(results)));
	OK(cuMemsetD8(where, 0, 4));
	OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
	OK(cuMemcpyDtoH(results, out, sizeof(results)));
	OK(cuMemcpyDtoH(&touched, where, 4));
	check_parameters(results, touched);
}

CONFORM(geometry_in_three_dimensions)
{
	enum { BLOCKS = 3 * 2 * 4, THREADS = 5 * 3 * 2 };
	unsigned results[BLOCKS * THREADS];
	CUdeviceptr out;

	conform_begin();
	OK(cuMemAlloc(&out, sizeof(results)));
	OK(cuLaunchKernel(
	    conform_kernel("geometry"), 3, 2, 4, 5, 3, 2, 0, NULL, (void *[]){&out}, NULL));
	OK(cuMemcpyDtoH(results, out, sizeof(results)));
	for (unsigned i = 0; i < BLOCKS * THREADS; i++)
		CHECK_EQ(results[i], i / THREADS * 1000 + i % THREADS);
}

CONFORM(reduction_in_dynamic_shared_memory)
{
	enum { N = 50000, BLOCKS = 7, THREADS = 128 };
	int *in = malloc(N * 4), sums[BLOCKS], n = N;
	long wanted = 0, got = 0;
	CUdeviceptr din, dout;

	conform_begin();
	for (int i = 0; i < N; i++)
		wanted += in[i] = i * 7 % 1000 - 400;
	OK(cuMemAlloc(&din, N * 4));
	OK(cuMemAlloc(&dout, sizeof(sums)));
	OK(cuMemcpyHtoD(din, in, N * 4));
	OK(conform_launch(conform_kernel("reduce"), BLOCKS, THREADS, THREADS * 4, NULL,
	    (void *[]){&din, &dout, &n}));
	OK(cuMemcpyDtoH(sums, dout, sizeof(sums)));
	for (int i = 0; i < BLOCKS; i++)
		got += sums[i];
	CHECK_EQ(got, wanted);
}

CONFORM(histogram_by_atomics)
{
	enum { N = 40000 };
	unsigned *in = conform_random(N * 4, 1), bins[64], wanted[64] = {0};
	int n = N;
	CUdeviceptr din, dbins;

	conform_begin();
	for (int i = 0; i < N; i++)
		wanted[in[i] & 63]++;
	OK(cuMemAlloc(&din, N * 4));
	OK(cuMemAlloc(&dbins, sizeof(bins)));
	OK(cuMemcpyHtoD(din, in, N * 4));
	OK(cuMemsetD32(dbins, 0, 64));
	OK(conform_launch(
	    conform_kernel("histogram"), 9, 128, 0, NULL, (void *[]){&din, &dbins, &n}));
	OK(cuMemcpyDtoH(bins, dbins, sizeof(bins)));
	CHECK_BYTES(bins, wanted, sizeof(bins));
}

CONFORM(sums_by_shuffles)
{
	enum { N = 1024 };
	int in[N], sums[N / 32];
	CUdeviceptr din, dout;

	conform_begin();
	for (int i = 0; i < N; i++)
		in[i] = i * i;
	OK(cuMemAlloc(&din, sizeof(in)));
	OK(cuMemAlloc(&dout, sizeof(sums)));
	OK(cuMemcpyHtoD(din, in, sizeof(in)));
	OK(conform_launch(
	    conform_kernel("warp_sum"), N / 256, 256, 0, NULL, (void *[]){&din, &dout}));
	OK(cuMemcpyDtoH(sums, dout, sizeof(sums)));
	for (int w = 0; w < N / 32; w++) {
		int wanted = 0;
		for (int i = 0; i < 32; i++)
			wanted += in[w * 32 + i];
		CHECK_EQ(sums[w], wanted);
	}
}

CONFORM(launch_with_attributes)
{
	CUdeviceptr data;
	unsigned value = 9, got[64];
	int n = 64;
	CUstream stream;

	conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&data, sizeof(got)));
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_PRIORITY, .value.priority = 0};
	CUlaunchConfig config = {.gridDimX = 2,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = 32,
	    .blockDimY = 1,
	    .blockDimZ = 1,
	    .hStream = stream,
	    .attrs = &attribute,
	    .numAttrs = 1};
	OK(cuLaunchKernelEx(&config, conform_kernel("fill"), (void *[]){&data, &value, &n}, NULL));
	config.numAttrs = 0;
	config.attrs = NULL;
	OK(cuLaunchKernelEx(&config, conform_kernel("increment"), (void *[]){&data, &n}, NULL));
	OK(cuStreamSynchronize(stream));
	OK(cuMemcpyDtoH(got, data, sizeof(got)));
	for (int i = 0; i < n; i++)
		CHECK_EQ(got[i], 10);
	OK(cuStreamDestroy(stream));
}

CONFORM(bad_launches_are_refused_at_once)
{
	CUdeviceptr data;
	unsigned value = 1;
	int n = 1, most;
	void *parameters[] = {&data, &value, &n};

	CUdevice device = conform_begin();
	CUfunction f = conform_kernel("fill");
	OK(cuMemAlloc(&data, 4));
	OK(cuDeviceGetAttribute(&most, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, device));
	GIVES(conform_launch(f, 1, (unsigned)most + 1, 0, NULL, parameters),
	    CUDA_ERROR_INVALID_VALUE);
	GIVES(conform_launch(f, 0, 1, 0, NULL, parameters), CUDA_ERROR_INVALID_VALUE);
	GIVES(conform_launch(f, 1, 0, 0, NULL, parameters), CUDA_ERROR_INVALID_VALUE);
	GIVES(conform_launch(f, 1, 1, 1u << 30, NULL, parameters), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuLaunchKernel(f, 1, 70000, 1, 1, 1, 1, 0, NULL, parameters, NULL),
	    CUDA_ERROR_INVALID_VALUE);
	OK(conform_launch(f, 1, 1, 0, NULL, parameters));
	OK(cuCtxSynchronize());
}

CONFORM(an_illegal_address_is_sticky)
{
	CUdeviceptr data;

	conform_begin();
	OK(cuMemAlloc(&data, 4));
	OK(conform_launch(conform_kernel("write_out_of_bounds"), 1, 1, 0, NULL, (void *[]){&data}));
	GIVES(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	GIVES(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	GIVES(cuMemcpyDtoH(&(int){0}, data, 4), CUDA_ERROR_ILLEGAL_ADDRESS);
	GIVES(cuMemAlloc(&data, 4), CUDA_ERROR_ILLEGAL_ADDRESS);
}

CONFORM(a_trap_is_a_launch_failure)
{
	conform_begin();
	OK(conform_launch(conform_kernel("trap"), 1, 1, 0, NULL, NULL));
	GIVES(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
}

CONFORM(a_captured_launch_makes_a_node_that_kernels_may_update)
{
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE};
	unsigned value = 4, got[256];
	int n = 256;
	CUdeviceptr data;
	CUgraphExec exec;
	CUstream stream;
	CUgraph graph;

	conform_begin();
	CUfunction fill = conform_kernel("fill");
	OK(cuMemAlloc(&data, sizeof(got)));
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	attribute.value.deviceUpdatableKernelNode.deviceUpdatable = 1;
	CUlaunchConfig config = {.gridDimX = 2,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = 128,
	    .blockDimY = 1,
	    .blockDimZ = 1,
	    .hStream = stream,
	    .attrs = &attribute,
	    .numAttrs = 1};
	OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
	CUresult r = cuLaunchKernelEx(&config, fill, (void *[]){&data, &value, &n}, NULL);
	if (r == CUDA_ERROR_NOT_SUPPORTED)
		SKIP("no nodes that kernels may update");
	OK(r);
	CHECK(attribute.value.deviceUpdatableKernelNode.devNode);
	OK(cuStreamEndCapture(stream, &graph));
	OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	OK(cuGraphUpload(exec, stream));
	OK(cuGraphLaunch(exec, stream));
	OK(cuStreamSynchronize(stream));
	OK(cuMemcpyDtoH(got, data, sizeof(got)));
	for (int i = 0; i < n; i++)
		CHECK_EQ(got[i], 4);
}

/* Blocks of one thread that wait for each other and then read what the next one wrote. */
static const char meeting[] =
    ".version 7.0\n.target sm_70\n.address_size 64\n"
    ".visible .entry meet(.param .u64 arrived, .param .u64 words, .param .u64 out)\n"
    "{\n"
    "	.reg .pred %p;\n"
    "	.reg .u32 %r<8>;\n"
    "	.reg .u64 %a<8>;\n"
    "	ld.param.u64 %a1, [arrived];\n"
    "	ld.param.u64 %a2, [words];\n"
    "	ld.param.u64 %a3, [out];\n"
    "	cvta.to.global.u64 %a1, %a1;\n"
    "	cvta.to.global.u64 %a2, %a2;\n"
    "	cvta.to.global.u64 %a3, %a3;\n"
    "	mov.u32 %r1, %ctaid.x;\n"
    "	mov.u32 %r2, %nctaid.x;\n"
    "	mul.wide.u32 %a4, %r1, 4;\n"
    "	add.u64 %a5, %a2, %a4;\n"
    "	add.u32 %r3, %r1, 100;\n"
    "	st.volatile.global.u32 [%a5], %r3;\n"
    "	membar.gl;\n"
    "	atom.global.add.u32 %r4, [%a1], 1;\n"
    "wait:\n"
    "	ld.volatile.global.u32 %r4, [%a1];\n"
    "	setp.lt.u32 %p, %r4, %r2;\n"
    "	@%p bra wait;\n"
    "	membar.gl;\n"
    "	add.u32 %r5, %r1, 1;\n"
    "	rem.u32 %r5, %r5, %r2;\n"
    "	mul.wide.u32 %a6, %r5, 4;\n"
    "	add.u64 %a6, %a2, %a6;\n"
    "	ld.volatile.global.u32 %r6, [%a6];\n"
    "	add.u64 %a7, %a3, %a4;\n"
    "	st.global.u32 [%a7], %r6;\n"
    "	ret;\n"
    "}\n";

static void check_met(CUdeviceptr memory, unsigned blocks)
{
	unsigned got[64];

	OK(cuMemcpyDtoH(got, memory + 2048, blocks * 4));
	for (unsigned i = 0; i < blocks; i++)
		CHECK_EQ(got[i], 100 + (i + 1) % blocks);
	OK(cuMemsetD8(memory, 0, 4096));
	OK(cuCtxSynchronize());
}

CONFORM(cooperative_blocks_run_together)
{
	enum { BLOCKS = 8 };
	int able = 0, most, processors;
	CUmodule module;
	CUfunction f;
	CUstream stream;
	CUdeviceptr memory, words, out;

	CUdevice device = conform_begin();
	OK(cuDeviceGetAttribute(&able, CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, device));
	if (!able)
		SKIP("no cooperative launches");
	OK(cuDeviceGetAttribute(&processors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device));
	OK(cuModuleLoadData(&module, meeting));
	OK(cuModuleGetFunction(&f, module, "meet"));
	OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&most, f, 1, 0));
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&memory, 4096));
	OK(cuMemsetD8(memory, 0, 4096));
	OK(cuCtxSynchronize());
	words = memory + 1024;
	out = memory + 2048;
	void *values[] = {&memory, &words, &out};
	unsigned blocks = (unsigned)MIN(BLOCKS, most * processors);
	OK(cuLaunchCooperativeKernel(f, blocks, 1, 1, 1, 1, 1, 0, stream, values));
	OK(cuStreamSynchronize(stream));
	check_met(memory, blocks);
	/* The same by an attribute. */
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE};
	attribute.value.cooperative = 1;
	CUlaunchConfig config = {blocks, 1, 1, 1, 1, 1, 0, stream, &attribute, 1};
	OK(cuLaunchKernelEx(&config, f, values, NULL));
	OK(cuStreamSynchronize(stream));
	check_met(memory, blocks);
	/* More than fit at a time would wait for each other for ever. */
	GIVES(cuLaunchCooperativeKernel(
		  f, (unsigned)(most * processors) + 1, 1, 1, 1, 1, 1, 0, stream, values),
	    CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	OK(cuStreamSynchronize(stream));
}
