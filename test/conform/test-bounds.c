/*
 * Launches that a kernel does not take: more threads than it was compiled for or than its registers
 * allow, blocks of another shape, parameter buffers of another size; and which of them end a capture.
 * All of it is what an H200 answered.
 */
#include "conform.h"

static const char ptx[] = ".version 8.0\n.target sm_80\n.address_size 64\n"
			  ".visible .entry most64(.param .u64 p) .maxntid 64 { ret; }\n"
			  ".visible .entry flat64(.param .u64 p) .reqntid 64 { ret; }\n"
			  ".visible .entry square64(.param .u64 p) .reqntid 8, 8 { ret; }\n"
			  ".visible .entry one(.param .u64 p) .reqntid 1 { ret; }\n"
			  ".visible .entry nothing() { ret; }\n"
			  ".visible .entry keep(.param .u64 p, .param .u32 a, .param .u32 b)\n{\n"
			  "	.reg .u64 %p; .reg .u32 %a, %b;\n"
			  "	ld.param.u64 %p, [p]; ld.param.u32 %a, [a]; ld.param.u32 %b, [b];\n"
			  "	cvta.to.global.u64 %p, %p;\n"
			  "	st.global.u32 [%p], %a; st.global.u32 [%p+4], %b; ret;\n}\n";

struct shape {
	unsigned x, y;
};

/* What each form of launching answers to one shape. Those that are taken run. */
struct answers {
	CUresult launch, cooperative, ex, node, instantiate, captured, ended, shape;
};

static CUresult captured_launch(CUfunction f, struct shape block, void **values, CUresult *ended)
{
	CUstream stream;
	CUgraph graph;

	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
	CUresult r = cuLaunchKernel(f, 1, 1, 1, block.x, block.y, 1, 0, stream, values, NULL);
	*ended = cuStreamEndCapture(stream, &graph);
	if (*ended == CUDA_SUCCESS)
		OK(cuGraphDestroy(graph));
	OK(cuStreamDestroy(stream));
	return r;
}

static CUDA_KERNEL_NODE_PARAMS one_block(
    CUfunction f, struct shape block, void **values, void **extra)
{
	return (CUDA_KERNEL_NODE_PARAMS){.func = f,
	    .gridDimX = 1,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = block.x,
	    .blockDimY = block.y,
	    .blockDimZ = 1,
	    .kernelParams = values,
	    .extra = extra};
}

static CUresult node_with(CUfunction f, struct shape block, void **values, CUresult *instantiate)
{
	CUDA_KERNEL_NODE_PARAMS kernel = one_block(f, block, values, NULL);
	CUgraphExec exec;
	CUgraphNode node;
	CUgraph graph;

	*instantiate = CUDA_SUCCESS;
	OK(cuGraphCreate(&graph, 0));
	CUresult r = cuGraphAddKernelNode(&node, graph, NULL, 0, &kernel);
	if (r == CUDA_SUCCESS)
		*instantiate = cuGraphInstantiateWithFlags(&exec, graph, 0);
	if (r == CUDA_SUCCESS && *instantiate == CUDA_SUCCESS)
		OK(cuGraphExecDestroy(exec));
	OK(cuGraphDestroy(graph));
	return r;
}

static void check_answers(int line, CUfunction f, struct shape block, const struct answers *wanted)
{
	CUdeviceptr nowhere = 0;
	void *values[] = {&nowhere};
	CUlaunchConfig config = {.gridDimX = 1,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = block.x,
	    .blockDimY = block.y,
	    .blockDimZ = 1};
	struct answers got;

	got.launch = cuLaunchKernel(f, 1, 1, 1, block.x, block.y, 1, 0, NULL, values, NULL);
	got.cooperative =
	    cuLaunchCooperativeKernel(f, 1, 1, 1, block.x, block.y, 1, 0, NULL, values);
	got.ex = cuLaunchKernelEx(&config, f, values, NULL);
	got.node = node_with(f, block, values, &got.instantiate);
	got.captured = captured_launch(f, block, values, &got.ended);
	got.shape = cuFuncSetBlockShape(f, (int)block.x, (int)block.y, 1);
	OK(cuCtxSynchronize()); /* no refusal comes late */
	if (memcmp(&got, wanted, sizeof(got)) != 0)
		test_fail(__FILE__, line, "%u x %u: %d %d %d, node %d %d, captured %d %d, shape %d",
		    block.x, block.y, (int)got.launch, (int)got.cooperative, (int)got.ex,
		    (int)got.node, (int)got.instantiate, (int)got.captured, (int)got.ended,
		    (int)got.shape);
}

static const struct answers taken;
static const struct answers refused = {.launch = CUDA_ERROR_INVALID_VALUE,
    .cooperative = CUDA_ERROR_INVALID_VALUE,
    .ex = CUDA_ERROR_INVALID_VALUE,
    .node = CUDA_ERROR_INVALID_VALUE,
    .captured = CUDA_ERROR_INVALID_VALUE,
    .ended = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED,
    .shape = CUDA_ERROR_INVALID_VALUE};

#define TAKES(f, ...)	check_answers(__LINE__, f, (struct shape){__VA_ARGS__}, &taken)
#define REFUSES(f, ...) check_answers(__LINE__, f, (struct shape){__VA_ARGS__}, &refused)

CONFORM(more_threads_than_a_kernel_was_compiled_for)
{
	int threads;

	conform_begin();
	CUfunction f = conform_kernel_of(ptx, "most64");
	OK(cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, f));
	CHECK_EQ(threads, 64);
	TAKES(f, 64, 1);
	TAKES(f, 8, 8);
	TAKES(f, 3, 1);
	REFUSES(f, 65, 1);
	REFUSES(f, 9, 8);
	REFUSES(f, 1025, 1);
}

CONFORM(blocks_of_one_shape)
{
	int threads;

	conform_begin();
	CUfunction flat = conform_kernel_of(ptx, "flat64"),
		   square = conform_kernel_of(ptx, "square64"), one = conform_kernel_of(ptx, "one");
	OK(cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, flat));
	CHECK_EQ(threads, 1024);
	for (int i = 0; i < 2; i++) { /* of what was taken or refused before nothing is kept */
		REFUSES(flat, 8, 8);
		TAKES(flat, 64, 1);
		REFUSES(flat, 32, 1);
		REFUSES(flat, 128, 1);
		TAKES(square, 8, 8);
		REFUSES(square, 64, 1);
		REFUSES(square, 4, 16);
		TAKES(one, 1, 1);
		REFUSES(one, 2, 1);
	}
}

/* A kernel that holds n words at a time. */
static char *hungry_kernel(unsigned n)
{
	size_t size = 1000 + n * 128ul;
	char *text = malloc(size);
	int used = snprintf(text, size,
	    ".version 8.0\n.target sm_80\n.address_size 64\n"
	    ".visible .entry hungry(.param .u64 p)\n{\n"
	    "	.reg .u64 %%p; .reg .pred %%none; .reg .u32 %%r<%u>;\n"
	    "	ld.param.u64 %%p, [p]; setp.eq.u64 %%none, %%p, 0; @%%none ret;\n",
	    n);

	for (unsigned i = 0; i < n; i++)
		used += snprintf(text + used, size - (size_t)used,
		    "	ld.volatile.global.u32 %%r%u, [%%p+%u];\n", i, 4 * i);
	for (unsigned i = 0; i < n; i++)
		used += snprintf(text + used, size - (size_t)used,
		    "	st.volatile.global.u32 [%%p+%u], %%r%u;\n", 4 * (n - 1 - i), i);
	snprintf(text + used, size - (size_t)used, "	ret;\n}\n");
	return text;
}

CONFORM(more_threads_than_registers_suffice_for)
{
	static const struct answers wanted = {.launch = CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
	    .cooperative = CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
	    .ex = CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
	    .instantiate = CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES};
	char *text = hungry_kernel(200);
	int threads;

	conform_begin();
	CUfunction f = conform_kernel_of(text, "hungry");
	free(text);
	OK(cuFuncGetAttribute(&threads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, f));
	TAKES(f, (unsigned)threads, 1);
	REFUSES(f, 1025, 1);
	if (threads == 1024)
		SKIP("registers suffice for every block here");
	check_answers(__LINE__, f, (struct shape){(unsigned)threads + 32, 1}, &wanted);
	check_answers(__LINE__, f, (struct shape){1024, 1}, &wanted);
}

CONFORM(a_launch_that_cannot_be_ends_its_capture)
{
	static const struct {
		unsigned grid, block, shared;
		bool values, extra, elsewhere, is_taken, ends;
	} rows[] = {
	    {1, 1, 0, .values = true, .is_taken = true},
	    {0, 1, 0, .values = true, .ends = true},
	    {1, 0, 0, .values = true, .ends = true},
	    {1, 1025, 0, .values = true, .ends = true},
	    {1, 1, 300000, .values = true, .ends = true},
	    {1, 1, 100000, .values = true, .ends = true}, /* not allowed it yet */
	    {1, 1025, 0, .values = true, .elsewhere = true},
	    {1, 1, 0}, /* without parameters */
	    {1, 1, 0, .values = true, .extra = true},
	};
	unsigned a = 1, b = 2;
	CUstreamCaptureStatus status;
	CUdeviceptr memory;
	CUstream stream;
	CUgraph graph;

	conform_begin();
	CUfunction f = conform_kernel_of(ptx, "keep");
	OK(cuMemAlloc(&memory, 8));
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	void *values[] = {&memory, &a, &b};
	char buffer[16] = {0};
	size_t size = sizeof(buffer);
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, buffer, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
	    CU_LAUNCH_PARAM_END};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
		GIVES(cuLaunchKernel(f, rows[i].grid, 1, 1, rows[i].block, 1, 1, rows[i].shared,
			  rows[i].elsewhere ? NULL : stream, rows[i].values ? values : NULL,
			  rows[i].extra ? extra : NULL),
		    rows[i].is_taken ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE);
		OK(cuStreamIsCapturing(stream, &status));
		CHECK_EQ(status, rows[i].ends ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
					      : CU_STREAM_CAPTURE_STATUS_ACTIVE);
		GIVES(cuStreamEndCapture(stream, &graph),
		    rows[i].ends ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS);
		if (!rows[i].ends)
			OK(cuGraphDestroy(graph));
	}
	OK(cuStreamDestroy(stream));
	OK(cuMemFree(memory));
}

/* --- parameter buffers --- */

struct arguments {
	CUdeviceptr p;
	unsigned a, b;
	char more[64];
};

/* What keep left, and 0xee there again. */
static void check_kept(CUdeviceptr memory, unsigned a, unsigned b)
{
	unsigned got[2];

	OK(cuCtxSynchronize());
	OK(cuMemcpyDtoH(got, memory, sizeof(got)));
	CHECK_EQ(got[0], a);
	CHECK_EQ(got[1], b);
	OK(cuMemsetD32(memory, 0xee, 2));
}

static CUresult capture(CUfunction f, CUstream stream, void **extra, CUgraph *graph)
{
	OK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
	CUresult r = cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, stream, NULL, extra);
	OK(cuStreamEndCapture(stream, graph));
	return r;
}

static CUresult add_node(CUfunction f, void **extra, CUgraph *graph)
{
	CUDA_KERNEL_NODE_PARAMS kernel = one_block(f, (struct shape){1, 1}, NULL, extra);
	CUgraphNode node;

	OK(cuGraphCreate(graph, 0));
	return cuGraphAddKernelNode(&node, *graph, NULL, 0, &kernel);
}

static void run_graph(CUgraph graph, CUstream stream)
{
	CUgraphExec exec;

	OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	OK(cuGraphLaunch(exec, stream));
	OK(cuStreamSynchronize(stream));
	OK(cuGraphExecDestroy(exec));
}

CONFORM(parameter_buffers_of_other_sizes)
{
	static const struct {
		size_t size;
		CUresult launch, in_graph;
		unsigned a, b;
	} rows[] = {
	    {0, CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_INVALID_VALUE, 0xee, 0xee},
	    {8, CUDA_SUCCESS, CUDA_SUCCESS, 0, 0}, /* what is missing is 0 */
	    {12, CUDA_SUCCESS, CUDA_SUCCESS, 0x11, 0},
	    {13, CUDA_SUCCESS, CUDA_SUCCESS, 0x11, 0x22},
	    {16, CUDA_SUCCESS, CUDA_SUCCESS, 0x11, 0x22},
	    {17, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, CUDA_ERROR_INVALID_VALUE, 0xee, 0xee},
	    {24, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, CUDA_ERROR_INVALID_VALUE, 0xee, 0xee},
	};
	struct arguments arguments = {.a = 0x11, .b = 0x22};
	CUstream stream;
	CUgraph graph;

	conform_begin();
	CUfunction f = conform_kernel_of(ptx, "keep");
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&arguments.p, 8));
	OK(cuMemsetD32(arguments.p, 0xee, 2));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t size = rows[i].size;
		void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &arguments,
		    CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};

		GIVES(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra), rows[i].launch);
		check_kept(arguments.p, rows[i].a, rows[i].b);
		GIVES(capture(f, stream, extra, &graph), rows[i].in_graph);
		run_graph(graph, stream); /* of nothing, where the launch was refused */
		check_kept(arguments.p, rows[i].a, rows[i].b);
		OK(cuGraphDestroy(graph));
		GIVES(add_node(f, extra, &graph), rows[i].in_graph);
		run_graph(graph, stream);
		check_kept(arguments.p, rows[i].a, rows[i].b);
		OK(cuGraphDestroy(graph));
	}
	OK(cuMemFree(arguments.p));
	OK(cuStreamDestroy(stream));
}

CONFORM(a_kernel_without_parameters_takes_none)
{
	char some[16] = {0};
	size_t size;
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, some, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
	    CU_LAUNCH_PARAM_END};
	void *values[] = {some};

	conform_begin();
	CUfunction f = conform_kernel_of(ptx, "nothing");
	size = 0;
	OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
	size = 4;
	GIVES(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra),
	    CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
	OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, values, NULL));
	OK(cuCtxSynchronize());
}

CONFORM(parameter_sizes_of_old_launches)
{
	struct arguments arguments = {.a = 0x11, .b = 0x22};
	CUlibrary library;
	CUkernel kernel;

	conform_begin();
	CUfunction f = conform_kernel_of(ptx, "keep");
	OK(cuMemAlloc(&arguments.p, 8));
	OK(cuMemsetD32(arguments.p, 0xee, 2));
	OK(cuParamSetv(f, 0, &arguments, 16)); /* a block of one thread is what there is at first */
	OK(cuParamSetSize(f, 16));
	OK(cuLaunch(f));
	check_kept(arguments.p, 0x11, 0x22);
	OK(cuParamSetSize(f, 8));
	OK(cuLaunch(f));
	check_kept(arguments.p, 0, 0);
	OK(cuParamSeti(f, 8, 0x33)); /* beyond the size, but kept */
	OK(cuLaunch(f));
	check_kept(arguments.p, 0, 0);
	OK(cuParamSetSize(f, 12));
	OK(cuLaunch(f));
	check_kept(arguments.p, 0x33, 0);
	OK(cuParamSetSize(f, 4096));
	GIVES(cuLaunch(f), CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
	check_kept(arguments.p, 0xee, 0xee);
	GIVES(cuParamSetSize(f, 100000), CUDA_ERROR_INVALID_VALUE);
	OK(cuLaunch(conform_kernel_of(ptx, "most64"))); /* its parameters: never set, nor read */
	OK(cuLibraryLoadData(&library, ptx, NULL, NULL, 0, NULL, NULL, 0));
	OK(cuLibraryGetKernel(&kernel, library, "flat64"));
	GIVES(cuFuncSetBlockShape((CUfunction)kernel, 64, 1, 1), CUDA_ERROR_INVALID_HANDLE);
	OK(cuKernelGetFunction(&f, kernel));
	GIVES(cuFuncSetBlockShape(f, 1, 1, 1), CUDA_ERROR_INVALID_VALUE);
	OK(cuFuncSetBlockShape(f, 64, 1, 1));
	OK(cuLibraryUnload(library));
	OK(cuCtxSynchronize());
	OK(cuMemFree(arguments.p));
}
