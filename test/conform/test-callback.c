/*
 * Functions of the program called in stream order: order, several streams, data copied before them,
 * one that takes long, what they are told of errors, and what they may not do.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#include "conform.h"

enum { N = 1 << 16, ROUNDS = 200, STREAMS = 4 };

static void wait_for(sem_t *semaphore)
{
	while (sem_wait(semaphore))
		;
}

static void count_up(void *user)
{
	++*(unsigned *)user;
}

CONFORM(a_host_function_runs_once_and_before_what_follows)
{
	unsigned runs = 0;
	CUstream stream;

	conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < ROUNDS; i++)
		OK(cuLaunchHostFunc(stream, count_up, &runs));
	OK(cuStreamSynchronize(stream));
	CHECK_EQ(runs, ROUNDS);
	OK(cuLaunchHostFunc(NULL, count_up, &runs));
	OK(cuCtxSynchronize());
	CHECK_EQ(runs, ROUNDS + 1);
	OK(cuLaunchHostFunc(CU_STREAM_PER_THREAD, count_up, &runs));
	OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
	CHECK_EQ(runs, ROUNDS + 2);
	OK(cuStreamDestroy(stream));
}

CONFORM(a_host_function_needs_a_function)
{
	conform_begin();
	GIVES(cuLaunchHostFunc(NULL, NULL, NULL), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuStreamAddCallback(NULL, NULL, NULL, 0), CUDA_ERROR_INVALID_VALUE);
	OK(cuCtxSynchronize());
}

struct log {
	unsigned n, entries[ROUNDS];
};

struct note {
	struct log *log;
	unsigned entry;
};

static void write_note(void *user)
{
	struct note *note = user;

	note->log->entries[note->log->n++] = note->entry;
}

/* Each stream has its own log: functions of different streams may run in any order. */
CONFORM(host_functions_of_a_stream_run_in_order)
{
	static struct log logs[STREAMS];
	static struct note notes[STREAMS][ROUNDS];
	CUstream streams[STREAMS];

	conform_begin();
	for (int s = 0; s < STREAMS; s++)
		OK(cuStreamCreate(&streams[s], CU_STREAM_NON_BLOCKING));
	for (unsigned i = 0; i < ROUNDS; i++)
		for (int s = 0; s < STREAMS; s++) {
			notes[s][i] = (struct note){&logs[s], i};
			OK(cuLaunchHostFunc(streams[s], write_note, &notes[s][i]));
		}
	for (int s = 0; s < STREAMS; s++) {
		OK(cuStreamSynchronize(streams[s]));
		CHECK_EQ(logs[s].n, ROUNDS);
		for (unsigned i = 0; i < ROUNDS; i++)
			CHECK_EQ(logs[s].entries[i], i);
		OK(cuStreamDestroy(streams[s]));
	}
}

struct look {
	const volatile unsigned *data;
	unsigned first, last;
};

static void look_at(void *user)
{
	struct look *look = user;

	look->first = look->data[0];
	look->last = look->data[N - 1];
}

static void check_visible(unsigned *host, CUstream stream)
{
	CUfunction fill = conform_kernel("fill");
	CUdeviceptr data;
	int n = N;

	OK(cuMemAlloc(&data, N * 4));
	for (unsigned round = 1; round <= 10; round++) {
		struct look look = {.data = host};
		OK(conform_launch(fill, 8, 256, 0, stream, (void *[]){&data, &round, &n}));
		OK(cuMemcpyDtoHAsync(host, data, N * 4, stream));
		OK(cuLaunchHostFunc(stream, look_at, &look));
		OK(cuStreamSynchronize(stream));
		CHECK_EQ(look.first, round);
		CHECK_EQ(look.last, round);
	}
	OK(cuMemFree(data));
}

CONFORM(data_copied_before_is_there)
{
	unsigned *ordinary = malloc(N * 4);
	void *pinned;
	CUstream stream;

	conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemHostAlloc(&pinned, N * 4, 0));
	check_visible(ordinary, stream);
	check_visible(pinned, stream);
	check_visible(pinned, CU_STREAM_PER_THREAD);
	OK(cuMemFreeHost(pinned));
	OK(cuStreamDestroy(stream));
	free(ordinary);
}

struct write {
	unsigned *data, value;
};

static void write_all(void *user)
{
	struct write *write = user;

	usleep(5000);
	for (int i = 0; i < N; i++)
		write->data[i] = write->value;
}

/* Work behind a host function waits for it, and sees what it wrote. */
CONFORM(work_behind_waits_for_the_end)
{
	CUdeviceptr data;
	CUstream stream;
	void *pinned;
	unsigned got[2];

	conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemHostAlloc(&pinned, N * 4, 0));
	OK(cuMemAlloc(&data, N * 4));
	for (unsigned round = 1; round <= 5; round++) {
		struct write write = {pinned, round * 7};
		OK(cuLaunchHostFunc(stream, write_all, &write));
		OK(cuMemcpyHtoDAsync(data, pinned, N * 4, stream));
		OK(cuStreamSynchronize(stream));
		OK(cuMemcpyDtoH(&got[0], data, 4));
		OK(cuMemcpyDtoH(&got[1], data + N * 4 - 4, 4));
		CHECK_EQ(got[0], round * 7);
		CHECK_EQ(got[1], round * 7);
	}
	OK(cuMemFree(data));
	OK(cuMemFreeHost(pinned));
	OK(cuStreamDestroy(stream));
}

struct gate {
	sem_t entered, open;
	atomic_bool left;
};

static void pass_gate(void *user)
{
	struct gate *gate = user;

	sem_post(&gate->entered);
	wait_for(&gate->open);
	atomic_store(&gate->left, true);
}

static void gate_init(struct gate *gate)
{
	sem_init(&gate->entered, 0, 0);
	sem_init(&gate->open, 0, 0);
	atomic_store(&gate->left, false);
}

/*
 * While one waits in its stream, another stream and calls that wait for that one go on. What may
 * wait for the whole context is done before: the first launch of a kernel, which loads it, and
 * allocation.
 */
CONFORM(a_long_host_function_holds_up_only_its_stream)
{
	unsigned value = 9, *got;
	CUstream held, other;
	struct gate gate;
	CUdeviceptr data;
	int n = 1;

	conform_begin();
	gate_init(&gate);
	CUfunction fill = conform_kernel("fill");
	OK(cuStreamCreate(&held, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&data, 4));
	OK(cuMemHostAlloc((void **)&got, 4, 0));
	*got = 0;
	OK(conform_launch(fill, 1, 1, 0, other, (void *[]){&data, got, &n}));
	OK(cuStreamSynchronize(other));
	OK(cuLaunchHostFunc(held, pass_gate, &gate));
	wait_for(&gate.entered);
	GIVES(cuStreamQuery(held), CUDA_ERROR_NOT_READY);
	OK(conform_launch(fill, 1, 1, 0, other, (void *[]){&data, &value, &n}));
	OK(cuMemcpyDtoHAsync(got, data, 4, other));
	OK(cuStreamSynchronize(other));
	CHECK_EQ(*got, 9);
	CHECK(!atomic_load(&gate.left));
	sem_post(&gate.open);
	OK(cuStreamSynchronize(held));
	CHECK(atomic_load(&gate.left));
	OK(cuStreamQuery(held));
	OK(cuMemFreeHost(got));
	OK(cuMemFree(data));
}

struct flood {
	CUstream stream;
	CUfunction fill;
	CUdeviceptr data;
	CUcontext context;
	sem_t begun;
};

static void *flood_thread(void *user)
{
	struct flood *flood = user;
	unsigned value = 3;
	int n = 1;

	OK(cuCtxSetCurrent(flood->context));
	sem_post(&flood->begun);
	for (int i = 0; i < 12000; i++)
		OK(conform_launch(
		    flood->fill, 1, 1, 0, flood->stream, (void *[]){&flood->data, &value, &n}));
	return NULL;
}

/* So much work behind a host function that its sender has to wait for it. */
CONFORM(a_full_stream_behind_a_host_function)
{
	struct flood flood = {0};
	struct gate gate;
	pthread_t thread;
	unsigned runs = 0;

	conform_begin();
	gate_init(&gate);
	sem_init(&flood.begun, 0, 0);
	flood.fill = conform_kernel("fill");
	OK(cuCtxGetCurrent(&flood.context));
	OK(cuMemAlloc(&flood.data, 4));
	OK(cuStreamCreate(&flood.stream, CU_STREAM_NON_BLOCKING));
	OK(cuLaunchHostFunc(flood.stream, pass_gate, &gate));
	OK(cuLaunchHostFunc(flood.stream, count_up, &runs));
	wait_for(&gate.entered);
	CHECK(pthread_create(&thread, NULL, flood_thread, &flood) == 0);
	wait_for(&flood.begun);
	usleep(200000);
	sem_post(&gate.open);
	pthread_join(thread, NULL);
	OK(cuLaunchHostFunc(flood.stream, count_up, &runs));
	OK(cuStreamSynchronize(flood.stream));
	CHECK_EQ(runs, 2);
}

struct told {
	CUstream stream;
	CUresult status;
	unsigned n;
};

static void on_callback(CUstream stream, CUresult status, void *user)
{
	struct told *told = user;

	told->stream = stream;
	told->status = status;
	told->n++;
}

CONFORM(a_stream_callback_is_told_stream_and_status)
{
	struct told told = {.status = CUDA_ERROR_UNKNOWN};
	CUstream stream;

	conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuStreamAddCallback(stream, on_callback, &told, 0));
	OK(cuStreamSynchronize(stream));
	CHECK_EQ(told.n, 1);
	CHECK(told.stream == stream);
	CHECK_EQ(told.status, CUDA_SUCCESS);
	OK(cuStreamDestroy(stream));
}

static unsigned refused;
static pthread_t ran_on;

static void try_cuda(void *user)
{
	CUdeviceptr data = 0;
	CUstream stream;

	ran_on = pthread_self();
	refused = cuMemAlloc(&data, 4) == CUDA_ERROR_NOT_PERMITTED;
	refused += cuStreamCreate(&stream, 0) == CUDA_ERROR_NOT_PERMITTED;
	refused += cuCtxSynchronize() == CUDA_ERROR_NOT_PERMITTED;
	refused += cuLaunchHostFunc(NULL, count_up, NULL) == CUDA_ERROR_NOT_PERMITTED;
}

CONFORM(cuda_is_refused_inside)
{
	unsigned runs = 0;

	conform_begin();
	OK(cuLaunchHostFunc(NULL, try_cuda, NULL));
	OK(cuCtxSynchronize());
	CHECK_EQ(refused, 4);
	CHECK(!pthread_equal(ran_on, pthread_self()));
	/* Elsewhere it goes on. */
	OK(cuLaunchHostFunc(NULL, count_up, &runs));
	OK(cuCtxSynchronize());
	CHECK_EQ(runs, 1);
}

static struct {
	CUcontext context;
	atomic_uint runs;
} many;

static void count_many(void *user)
{
	atomic_fetch_add((atomic_uint *)user, 1);
}

static void *many_thread(void *unused)
{
	CUstream stream;

	(void)unused;
	OK(cuCtxSetCurrent(many.context));
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < ROUNDS; i++) {
		OK(cuLaunchHostFunc(stream, count_many, &many.runs));
		if (i % 16 == 0)
			OK(cuStreamSynchronize(stream));
	}
	OK(cuStreamSynchronize(stream));
	OK(cuStreamDestroy(stream));
	return NULL;
}

CONFORM(many_threads_launch_host_functions)
{
	pthread_t threads[8];

	conform_begin();
	OK(cuCtxGetCurrent(&many.context));
	for (int i = 0; i < 8; i++)
		CHECK(pthread_create(&threads[i], NULL, many_thread, NULL) == 0);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(atomic_load(&many.runs), 8 * ROUNDS);
}
