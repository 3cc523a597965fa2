/*
 * Launches of every form under CUDA_LAUNCH_BLOCKING, which whoever runs this has set: that each has
 * ended when it returns, that a captured one is not waited for, and that a thread which waits for
 * its launch keeps no other from calling. The last test is the one for a program without the
 * variable.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "../conform/conform.h"

#define TURNS	 2000000ull
#define PAUSE_US 100000

struct place {
	CUfunction spin;
	CUdeviceptr word, gate;
	CUstream stream, other;
};

static uint64_t turns = TURNS;

static struct place begin(void)
{
	struct place p;

	conform_begin();
	p.spin = conform_kernel("spin");
	OK(cuMemAlloc(&p.word, 4));
	OK(cuMemAlloc(&p.gate, 4));
	OK(cuMemsetD32(p.gate, 0, 1));
	OK(cuStreamCreate(&p.stream, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&p.other, CU_STREAM_NON_BLOCKING));
	/* A kernel's first launch may load it, for which a driver waits until the device is
	 * idle: with a stream behind the gate it would wait for ever. */
	OK(cuLaunchKernel(
	    p.spin, 1, 1, 1, 1, 1, 1, 0, NULL, (void *[]){&p.word, &(uint64_t){1}}, NULL));
	OK(cuCtxSynchronize());
	return p;
}

static CUlaunchConfig config_of(CUstream stream)
{
	return (CUlaunchConfig){.gridDimX = 1,
	    .gridDimY = 1,
	    .gridDimZ = 1,
	    .blockDimX = 1,
	    .blockDimY = 1,
	    .blockDimZ = 1,
	    .hStream = stream};
}

static CUresult launch(const struct place *p, CUstream stream)
{
	return conform_launch(p->spin, 1, 1, 0, stream, (void *[]){(void *)&p->word, &turns});
}

CONFORM(a_launch_of_any_form_has_ended_when_it_returns)
{
	struct place place = begin(), *p = &place;
	void *values[] = {(void *)&p->word, &turns};
	CUlaunchConfig config = config_of(p->stream);

	OK(launch(p, p->stream));
	OK(cuStreamQuery(p->stream));
	OK(launch(p, CU_STREAM_PER_THREAD));
	OK(cuStreamQuery(CU_STREAM_PER_THREAD));
	OK(cuLaunchKernelEx(&config, p->spin, values, NULL));
	OK(cuStreamQuery(p->stream));
	OK(cuLaunchCooperativeKernel(p->spin, 1, 1, 1, 1, 1, 1, 0, p->stream, values));
	OK(cuStreamQuery(p->stream));
	OK(launch(p, NULL));
	OK(cuStreamQuery(NULL));
}

/* While one stream is captured, launches into another run and are waited for. */
CONFORM(a_captured_launch_is_not_waited_for)
{
	struct place place = begin(), *p = &place;
	CUgraphExec exec;
	CUgraph graph;
	size_t n = 0;

	OK(cuStreamBeginCapture(p->stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	OK(launch(p, p->stream));
	OK(launch(p, p->other));
	OK(launch(p, p->stream));
	OK(cuStreamEndCapture(p->stream, &graph));
	OK(cuStreamQuery(p->other));
	OK(cuGraphGetNodes(graph, NULL, &n));
	CHECK_EQ(n, 2);
	OK(cuGraphInstantiateWithFlags(&exec, graph, 0));
	OK(cuGraphLaunch(exec, p->stream));
	OK(cuStreamQuery(p->stream));
	OK(cuGraphExecDestroy(exec));
	OK(cuGraphDestroy(graph));
}

static atomic_int launched;

static void *launch_behind_the_gate(void *argument)
{
	struct place *p = argument;
	CUcontext context;
	CUdevice device;

	OK(cuDeviceGet(&device, 0));
	OK(cuDevicePrimaryCtxRetain(&context, device));
	OK(cuCtxSetCurrent(context));
	OK(cuStreamWaitValue32(p->stream, p->gate, 1, CU_STREAM_WAIT_VALUE_GEQ));
	OK(launch(p, p->stream));
	atomic_store(&launched, 1);
	return NULL;
}

CONFORM(a_thread_that_waits_for_its_launch_keeps_no_other_from_calling)
{
	struct place place = begin(), *p = &place;
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, launch_behind_the_gate, p) == 0);
	usleep(PAUSE_US);
	OK(launch(p, p->other));
	CHECK(!atomic_load(&launched));
	OK(cuStreamWriteValue32(p->other, p->gate, 1, 0));
	pthread_join(thread, NULL);
	CHECK(atomic_load(&launched));
	OK(cuStreamQuery(p->stream));
}

CONFORM(a_launch_returns_at_once)
{
	struct place place = begin(), *p = &place;
	launch_behind_the_gate(p);
	GIVES(cuStreamQuery(p->stream), CUDA_ERROR_NOT_READY);
	OK(cuStreamWriteValue32(p->other, p->gate, 1, 0));
	OK(cuStreamSynchronize(p->stream));
}
