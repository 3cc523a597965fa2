/* The linker's states, which one thread of the program may destroy while another still uses them. */
#include <pthread.h>
#include <sched.h>

#include "base/test.h"
#include "wire/handle.h"
#include "worker/test-client.h"

static CUlinkState state;

static void *add_thread(void *argument)
{
	struct test_client t = client_lane(argument);
	struct args_cuLinkAddData_v2 a = {
	    .state = state, .type = CU_JIT_INPUT_PTX, .data = "x", .bytes = 2};

	CHECK_EQ(CALL(&t, cuLinkAddData_v2, &a), CUDA_SUCCESS);
	return NULL;
}

TEST(a_state_in_use_is_not_destroyed)
{
	struct test_client t = client_start(NULL);
	uint64_t id = handle_id(false, HANDLE_LINK, 1, 0);
	struct args_cuLinkCreate_v2 create = {
	    .info_bytes = 64, .error_bytes = 64, .state = (CUlinkState *)&id};
	pthread_t thread;

	CHECK_EQ(CALL(&t, cuLinkCreate_v2, &create), CUDA_SUCCESS);
	state = (CUlinkState)id;
	struct args_cuLinkDestroy destroy = {.state = state};
	fake_hold();
	CHECK_EQ(pthread_create(&thread, NULL, add_thread, &t), 0);
	while (!fake_waiting())
		sched_yield();
	CHECK_EQ(CALL(&t, cuLinkDestroy, &destroy), CUDA_ERROR_INVALID_HANDLE);
	fake_release();
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(CALL(&t, cuLinkDestroy, &destroy), CUDA_SUCCESS);
	CHECK_EQ(CALL(&t, cuLinkDestroy, &destroy), CUDA_ERROR_INVALID_HANDLE);
	client_stop(&t, NULL);
}
