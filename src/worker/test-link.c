/* The linker's states, which one thread of the program may destroy while another still uses
 * them. */
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

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

static CUlinkState create(struct test_client *t)
{
	uint64_t id = handle_id(false, HANDLE_LINK, 1, 0);
	struct args_cuLinkCreate_v2 a = {
	    .info_bytes = 64, .error_bytes = 64, .state = (CUlinkState *)&id};

	CHECK_EQ(CALL(t, cuLinkCreate_v2, &a), CUDA_SUCCESS);
	return (CUlinkState)id;
}

TEST(a_state_in_use_is_not_destroyed)
{
	struct test_client t = client_start(NULL);
	pthread_t thread;

	state = create(&t);
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

static CUresult complete_soon(CUlinkState which, void **image, size_t *bytes)
{
	*image = "image";
	*bytes = 6;
	return CUDA_SUCCESS;
}

TEST(a_state_is_given_to_the_backend_by_one_call_at_a_time)
{
	struct test_client t = client_start(NULL);
	char image[6] = "";
	uint64_t bytes = 0;
	float wall;
	pthread_t threads[2];

	((struct backend *)client_worker()->backend)->cuLinkComplete = complete_soon;
	state = create(&t);
	struct args_cuLinkComplete complete = {
	    .state = state, .image_bytes = &bytes, .wall_ms = &wall};
	struct args_rosenLinkRead read = {.state = state, .image = image, .bytes = sizeof(image)};
	CHECK_EQ(CALL(&t, rosenLinkRead, &read), CUDA_ERROR_INVALID_HANDLE);
	CHECK_EQ(CALL(&t, cuLinkComplete, &complete), CUDA_SUCCESS);
	fake_hold();
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, add_thread, &t), 0);
	while (!fake_waiting())
		sched_yield();
	/* By the dispatcher, who does not wait for it. */
	CHECK_EQ(CALL(&t, rosenLinkRead, &read), CUDA_ERROR_INVALID_HANDLE);
	usleep(50000);
	CHECK_EQ(fake_waiting(), 1);
	fake_release();
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(CALL(&t, rosenLinkRead, &read), CUDA_SUCCESS);
	CHECK_STR(image, "image");
	client_stop(&t, NULL);
}
