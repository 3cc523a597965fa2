/* Processes: children of a fork, and programs that still use CUDA while they end. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conform.h"

static int in_child(void (*f)(void))
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		alarm(60); /* a child that hangs is a child that failed */
		f();
		exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	return status;
}

/* Exits itself with 0 where all was as it should be. */
static void check_child(void (*f)(void))
{
	int status = in_child(f);

	if (WIFSIGNALED(status))
		test_fail(__FILE__, __LINE__, "the child died of signal %d", WTERMSIG(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
}

static CUdeviceptr word_new(unsigned value)
{
	CUdeviceptr word;

	OK(cuMemAlloc(&word, 4));
	OK(cuMemsetD32(word, value, 1));
	return word;
}

static unsigned word_get(CUdeviceptr word)
{
	unsigned got;

	OK(cuMemcpyDtoH(&got, word, 4));
	return got;
}

/* --- forks --- */

static CUdeviceptr parents_word;

static void use_what_the_parent_has(void)
{
	unsigned got;
	CUdeviceptr mine;

	GIVES(cuMemAlloc(&mine, 4), CUDA_ERROR_NOT_INITIALIZED);
	GIVES(cuMemcpyDtoH(&got, parents_word, 4), CUDA_ERROR_NOT_INITIALIZED);
	GIVES(cuInit(0), CUDA_ERROR_NOT_INITIALIZED);
}

CONFORM(cuda_does_not_survive_a_fork)
{
	conform_begin();
	parents_word = word_new(5);
	for (int i = 0; i < 3; i++)
		check_child(use_what_the_parent_has);
	CHECK_EQ(word_get(parents_word), 5); /* and does the parent no harm */
	CHECK_EQ(word_get(word_new(6)), 6);
}

static void do_nothing(void)
{
}

CONFORM(a_child_that_only_exits_does_no_harm)
{
	conform_begin();
	parents_word = word_new(7);
	for (int i = 0; i < 5; i++)
		check_child(do_nothing);
	CHECK_EQ(word_get(parents_word), 7);
}

static void begin_and_work(void)
{
	conform_begin();
	CHECK_EQ(word_get(word_new(8)), 8);
}

/* Who has not begun may fork, and both may begin afterwards. */
CONFORM(a_fork_before_the_beginning_is_none)
{
	check_child(begin_and_work);
	begin_and_work();
	CHECK_EQ(word_get(word_new(9)), 9);
}

static void look_and_leave(void)
{
	use_what_the_parent_has();
	_exit(0);
}

static void *one_thread(void *unused)
{
	CUcontext context;

	(void)unused;
	OK(cuDevicePrimaryCtxRetain(&context, 0));
	OK(cuCtxSetCurrent(context));
	for (int i = 0; i < 300; i++)
		CHECK_EQ(word_get(parents_word), 11);
	return NULL;
}

/* Whatever the other threads are doing at that moment. */
CONFORM(forks_beside_threads_that_work)
{
	pthread_t threads[4];

	conform_begin();
	parents_word = word_new(11);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, one_thread, NULL) == 0);
	for (int i = 0; i < 5; i++)
		check_child(look_and_leave);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

/* --- ends --- */

static CUdeviceptr left;

static void use_at_exit(void)
{
	unsigned got = 0;

	if (cuMemcpyDtoH(&got, left, 4) != CUDA_SUCCESS || got != 12 ||
	    cuMemFree(left) != CUDA_SUCCESS || cuCtxSynchronize() != CUDA_SUCCESS)
		_exit(3);
}

static void exit_with_a_handler(void)
{
	conform_begin();
	left = word_new(12);
	atexit(use_at_exit);
	exit(0);
}

/* A handler registered after CUDA began runs before CUDA ends. */
CONFORM(exit_handlers_may_use_it)
{
	check_child(exit_with_a_handler);
}

static void end_quietly(void)
{
	CUresult r = cuCtxSynchronize();

	if (r != CUDA_SUCCESS && r != CUDA_ERROR_DEINITIALIZED && r != CUDA_ERROR_INVALID_CONTEXT)
		_exit(3);
	r = cuMemFree(left);
	if (r != CUDA_SUCCESS && r != CUDA_ERROR_DEINITIALIZED && r != CUDA_ERROR_INVALID_CONTEXT)
		_exit(4);
}

static void exit_with_an_old_handler(void)
{
	atexit(end_quietly);
	conform_begin();
	left = word_new(13);
	exit(0);
}

/* One registered before may come too late; then it is told so. */
CONFORM(exit_handlers_may_come_too_late)
{
	check_child(exit_with_an_old_handler);
}

static void exit_without_tidying(void)
{
	CUstream stream;
	CUdeviceptr data;
	int n = 1 << 20;

	conform_begin();
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&data, 4u << 20));
	for (int i = 0; i < 50; i++)
		OK(conform_launch(
		    conform_kernel("increment"), 4096, 256, 0, stream, (void *[]){&data, &n}));
	exit(0); /* with work under way */
}

CONFORM(a_program_may_end_with_work_under_way)
{
	check_child(exit_without_tidying);
}

static atomic_int rounds;

static void *work_until_the_end(void *unused)
{
	CUcontext context;
	unsigned got;

	(void)unused;
	if (cuDevicePrimaryCtxRetain(&context, 0) == CUDA_SUCCESS &&
	    cuCtxSetCurrent(context) == CUDA_SUCCESS)
		while (cuMemcpyDtoH(&got, left, 4) == CUDA_SUCCESS)
			atomic_fetch_add(&rounds, 1);
	return NULL;
}

static void exit_beside_a_thread(void)
{
	pthread_t thread;

	conform_begin();
	left = word_new(14);
	CHECK(pthread_create(&thread, NULL, work_until_the_end, NULL) == 0);
	while (atomic_load(&rounds) < 20)
		usleep(1000);
	exit(0);
}

CONFORM(a_program_may_end_while_a_thread_works)
{
	for (int i = 0; i < 5; i++)
		check_child(exit_beside_a_thread);
}

static void die(void)
{
	conform_begin();
	left = word_new(15);
	raise(SIGKILL);
}

CONFORM(a_killed_program_takes_nobody_along)
{
	int status = in_child(die);

	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	begin_and_work();
}
