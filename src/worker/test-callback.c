/*
 * Calls of the client's functions as the client sees them: announced one at a time in the lane that
 * asked for them, waited for by the backend's thread, let go when the client leaves.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"
#include "wire/host_call.h"
#include "worker/callback.h"
#include "worker/test-client.h"

struct listener {
	struct test_client lane;
	uint32_t seq;
};

static struct listener listen_to(struct test_client *t)
{
	struct listener listener = {.lane = client_lane(t)};
	struct wire_writer writer;

	CHECK_EQ(chan_begin(t->pair.client, listener.lane.lane, API_rosenHostCalls, 0, 0, &writer,
		     &listener.seq),
	    0);
	CHECK_EQ(chan_commit(t->pair.client, listener.lane.lane, &writer), 0);
	return listener;
}

static struct host_call next_call(struct listener *listener)
{
	struct chan *chan = listener->lane.pair.client;
	struct wire_reader reader;
	struct host_call call;
	uint32_t status;

	CHECK_EQ(chan_wait(chan, listener->lane.lane, ++listener->seq, 10 * NSEC_PER_SEC, &status,
		     &reader),
	    0);
	const void *bytes = wire_get_raw(&reader, sizeof(call));
	CHECK(!reader.failed);
	memcpy(&call, bytes, sizeof(call));
	return call;
}

static bool is_silent(struct listener *listener)
{
	struct wire_reader reader;
	uint32_t status;

	return chan_wait(listener->lane.pair.client, listener->lane.lane, listener->seq + 1,
		   NSEC_PER_SEC / 20, &status, &reader) == CHAN_TIMED_OUT;
}

static void answer(struct listener *listener, bool tell)
{
	struct args_rosenHostCallDone done = {0};

	chan_reply_done(listener->lane.pair.client, listener->lane.lane, listener->seq);
	if (tell)
		POST(&listener->lane, rosenHostCallDone, &done);
}

static void launch(struct test_client *t, uint64_t number)
{
	struct args_cuLaunchHostFunc a = {.number = number};
	struct args_cuCtxSynchronize wait = {0};

	POST(t, cuLaunchHostFunc, &a);
	CHECK_EQ(CALL(t, cuCtxSynchronize, &wait), CUDA_SUCCESS);
}

static atomic_int newcomer; /* the number of the last such thread */

/* The backend's thread that has come to the function. */
static void *run_host_function(void *unused)
{
	(void)unused;
	atomic_store(&newcomer, gettid());
	fake.host_function(fake.host_user);
	return NULL;
}

static pthread_t arrive(void)
{
	pthread_t thread;

	atomic_store(&newcomer, 0);
	CHECK_EQ(pthread_create(&thread, NULL, run_host_function, NULL), 0);
	return thread;
}

/* Until the thread that arrived last sleeps, as it does when it waits for its function's end. */
static void until_it_waits(void)
{
	char path[64], state = 0;

	while (state != 'S') {
		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", atomic_load(&newcomer));
		FILE *file = fopen(path, "r");
		if (file) {
			CHECK_EQ(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
			fclose(file);
		}
		usleep(1000);
	}
}

TEST(callback_runs_in_the_client)
{
	struct test_client t = client_start(NULL);
	struct listener listener = listen_to(&t);

	for (uint64_t number = 70; number < 73; number++) {
		launch(&t, number);
		pthread_t thread = arrive();
		struct host_call call = next_call(&listener);
		CHECK_EQ(call.number, number);
		CHECK_EQ(call.flags, HOST_CALL_RUN | HOST_CALL_LAST);
		CHECK_EQ(call.status, CUDA_SUCCESS);
		usleep(20000);
		CHECK_EQ(pthread_tryjoin_np(thread, NULL), EBUSY);
		answer(&listener, number != 71); /* the bell is only a courtesy */
		pthread_join(thread, NULL);
	}
	client_stop(&t, NULL);
}

TEST(callback_is_one_at_a_time)
{
	struct test_client t = client_start(NULL);
	struct listener listener = listen_to(&t);
	pthread_t threads[2];

	launch(&t, 5);
	threads[0] = arrive();
	next_call(&listener);
	launch(&t, 6);
	threads[1] = arrive();
	CHECK(is_silent(&listener));
	answer(&listener, true);
	pthread_join(threads[0], NULL);
	CHECK_EQ(next_call(&listener).number, 6);
	answer(&listener, true);
	pthread_join(threads[1], NULL);
	client_stop(&t, NULL);
}

TEST(callback_due_before_anyone_listens)
{
	struct test_client t = client_start(NULL);

	launch(&t, 9);
	pthread_t thread = arrive();
	usleep(10000);
	struct listener listener = listen_to(&t);
	CHECK_EQ(next_call(&listener).number, 9);
	answer(&listener, true);
	pthread_join(thread, NULL);
	client_stop(&t, NULL);
}

/* One that has answered, so that the worker surely knows it. */
static struct listener heard_listener(struct test_client *t)
{
	struct listener listener = listen_to(t);

	launch(t, 1);
	pthread_t thread = arrive();
	CHECK_EQ(next_call(&listener).number, 1);
	answer(&listener, false);
	pthread_join(thread, NULL);
	return listener;
}

TEST(callback_of_a_failed_launch_is_forgotten)
{
	struct test_client t = client_start(NULL);
	struct listener listener = heard_listener(&t);
	struct args_cuLaunchHostFunc a = {.number = 33};

	fake.fail_in = 0;
	fake.fail_with = CUDA_ERROR_LAUNCH_FAILED;
	CHECK_EQ(CALL(&t, cuLaunchHostFunc, &a), CUDA_ERROR_LAUNCH_FAILED);
	struct host_call call = next_call(&listener);
	CHECK_EQ(call.number, 33);
	CHECK_EQ(call.flags, HOST_CALL_LAST);
	answer(&listener, true);
	client_stop(&t, NULL);
}

TEST(callback_has_one_listener)
{
	struct test_client t = client_start(NULL);
	struct listener listener = heard_listener(&t);
	struct args_rosenHostCalls again = {0};

	CHECK_EQ(CALL(&t, rosenHostCalls, &again), CUDA_ERROR_ILLEGAL_STATE);
	launch(&t, 8);
	pthread_t thread = arrive();
	CHECK_EQ(next_call(&listener).number, 8);
	answer(&listener, false);
	pthread_join(thread, NULL);
	client_stop(&t, NULL);
}

/* Nobody answers; the client goes, and the backend's thread must not stay. */
TEST(callback_ends_with_the_client)
{
	struct test_client t = client_start(NULL);
	struct listener listener = listen_to(&t);

	launch(&t, 2);
	pthread_t told = arrive();
	next_call(&listener);
	launch(&t, 3);
	pthread_t queued = arrive();
	until_it_waits();
	client_stop(&t, NULL);
	pthread_join(told, NULL);
	pthread_join(queued, NULL);
}

TEST(callback_destroys_a_user_object)
{
	struct test_client t = client_start(NULL);
	struct listener listener = listen_to(&t);
	CUuserObject object = (CUuserObject)handle_id(false, HANDLE_USEROBJECT, 1, 4);
	struct args_cuUserObjectCreate create = {
	    .object = &object, .number = 21, .count = 1, .flags = 1};
	struct args_cuUserObjectRelease release = {.object = object, .count = 1};

	CHECK_EQ(CALL(&t, cuUserObjectCreate, &create), CUDA_SUCCESS);
	CHECK_EQ(CALL(&t, cuUserObjectRelease, &release), CUDA_SUCCESS);
	struct host_call call = next_call(&listener);
	CHECK_EQ(call.number, 21);
	CHECK_EQ(call.flags, HOST_CALL_RUN | HOST_CALL_LAST);
	answer(&listener, true);
	CHECK_EQ(CALL(&t, cuUserObjectRelease, &release), CUDA_ERROR_INVALID_VALUE);
	client_stop(&t, NULL);
}

static void *notify(void *unused)
{
	CUasyncNotificationInfo info = {.type = CU_ASYNC_NOTIFICATION_TYPE_OVER_BUDGET};

	(void)unused;
	info.info.overBudget.bytesOverBudget = 12345;
	fake.notification(&info, fake.notification_user, NULL);
	return NULL;
}

TEST(callback_of_a_notification_runs_until_it_is_unregistered)
{
	struct test_client t = client_start(NULL);
	struct listener listener = listen_to(&t);
	uint64_t id = handle_id(false, HANDLE_NOTIFICATION, 1, 7);
	struct args_cuDeviceRegisterAsyncNotification add = {
	    .number = 5, .handle = (CUasyncCallbackHandle *)&id};
	struct args_cuDeviceUnregisterAsyncNotification end = {
	    .callback = (CUasyncCallbackHandle)id};
	pthread_t thread;

	CHECK_EQ(CALL(&t, cuDeviceRegisterAsyncNotification, &add), CUDA_SUCCESS);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(pthread_create(&thread, NULL, notify, NULL), 0);
		struct host_call call = next_call(&listener);
		CHECK_EQ(call.flags, HOST_CALL_RUN);
		CHECK_EQ(call.number, 5);
		CHECK_EQ(call.status, CU_ASYNC_NOTIFICATION_TYPE_OVER_BUDGET);
		CHECK_EQ(call.value, 12345);
		answer(&listener, true);
		pthread_join(thread, NULL);
	}
	CHECK_EQ(CALL(&t, cuDeviceUnregisterAsyncNotification, &end), CUDA_SUCCESS);
	struct host_call last = next_call(&listener);
	CHECK_EQ(last.flags, HOST_CALL_LAST);
	CHECK_EQ(last.number, 5);
	answer(&listener, true);
	CHECK_EQ(CALL(&t, cuDeviceUnregisterAsyncNotification, &end), CUDA_ERROR_INVALID_VALUE);
	client_stop(&t, NULL);
}

/* --- host nodes that are given another function; the fake backend has no graphs --- */

#define N_SETTINGS 1000

static CUgraphNode node_real = (CUgraphNode)0x7000;
static CUDA_HOST_NODE_PARAMS node_host; /* of the graph's node */

static CUresult graph_create(CUgraph *graph, unsigned flags)
{
	*graph = (CUgraph)0x6000;
	return CUDA_SUCCESS;
}

static CUresult graph_nodes(CUgraph graph, CUgraphNode *nodes, size_t *n)
{
	if (nodes)
		nodes[0] = node_real;
	*n = 1;
	return CUDA_SUCCESS;
}

static CUresult node_add(CUgraphNode *node, CUgraph graph, const CUgraphNode *dependencies,
    size_t n, const CUDA_HOST_NODE_PARAMS *host)
{
	*node = node_real;
	node_host = *host;
	return CUDA_SUCCESS;
}

static CUresult node_get(CUgraphNode node, CUDA_HOST_NODE_PARAMS *host)
{
	*host = node_host;
	return CUDA_SUCCESS;
}

static CUresult node_set(CUgraphNode node, const CUDA_HOST_NODE_PARAMS *host)
{
	node_host = *host;
	return CUDA_SUCCESS;
}

static CUresult exec_set(CUgraphExec exec, CUgraphNode node, const CUDA_HOST_NODE_PARAMS *host)
{
	return CUDA_SUCCESS;
}

static CUresult instantiate(CUgraphExec *exec, CUgraph graph, unsigned long long flags)
{
	*exec = (CUgraphExec)0x8000;
	return CUDA_SUCCESS;
}

static CUresult exec_launch(CUgraphExec exec, CUstream stream)
{
	return CUDA_SUCCESS;
}

static CUresult exec_end(CUgraphExec exec)
{
	return CUDA_SUCCESS;
}

static CUresult retain(CUgraph graph, CUuserObject object, unsigned count, unsigned flags)
{
	return CUDA_SUCCESS;
}

static CUresult release(CUgraph graph, CUuserObject object, unsigned count)
{
	return client_worker()->backend->cuUserObjectRelease(object, count);
}

static CUresult context_of(CUstream stream, CUcontext *context)
{
	*context = FAKE_CONTEXT;
	return CUDA_SUCCESS;
}

static CUresult push(CUcontext context)
{
	return CUDA_SUCCESS;
}

struct graph_client {
	struct test_client t;
	struct listener listener;
	CUgraph graph;
	CUgraphNode node;
	CUgraphExec exec;
};

static void set(struct graph_client *c, CUgraphExec exec, uint64_t number)
{
	const CUgraphNodeParams p = {
	    .type = CU_GRAPH_NODE_TYPE_HOST, .host.userData = (void *)number};
	struct args_rosenGraphNodeSet a = {.exec = exec, .node = c->node, .parameters = &p};

	CHECK_EQ(CALL(&c->t, rosenGraphNodeSet, &a), CUDA_SUCCESS);
}

/* The node's first function is number 1. */
static struct graph_client graph_start(void)
{
	struct graph_client c = {.t = client_start(NULL),
	    .graph = (CUgraph)handle_id(false, HANDLE_GRAPH, 1, 0),
	    .node = (CUgraphNode)handle_id(false, HANDLE_GRAPHNODE, 1, 0),
	    .exec = (CUgraphExec)handle_id(false, HANDLE_GRAPHEXEC, 1, 0)};
	struct backend *backend = (struct backend *)client_worker()->backend;
	const CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_HOST, .host.userData = (void *)1ul};
	struct args_cuGraphCreate create = {.graph = &c.graph};
	CUdeviceptr address;
	CUgraph none;
	struct args_rosenGraphNodeAdd add = {.node = &c.node,
	    .graph = c.graph,
	    .parameters = &p,
	    .address = &address,
	    .graphs = &none};
	struct args_cuGraphInstantiateWithFlags make = {.exec = &c.exec, .graph = c.graph};

	backend->cuGraphCreate = graph_create;
	backend->cuGraphGetNodes = graph_nodes;
	backend->cuGraphAddHostNode = node_add;
	backend->cuGraphHostNodeGetParams = node_get;
	backend->cuGraphHostNodeSetParams = node_set;
	backend->cuGraphExecHostNodeSetParams = exec_set;
	backend->cuGraphInstantiateWithFlags = instantiate;
	backend->cuGraphExecDestroy = exec_end;
	backend->cuGraphLaunch = exec_launch;
	backend->cuGraphRetainUserObject = retain;
	backend->cuGraphReleaseUserObject = release;
	backend->cuStreamGetCtx = context_of;
	backend->cuCtxPushCurrent_v2 = push;
	c.listener = heard_listener(&c.t);
	CHECK_EQ(CALL(&c.t, cuGraphCreate, &create), CUDA_SUCCESS);
	CHECK_EQ(CALL(&c.t, rosenGraphNodeAdd, &add), CUDA_SUCCESS);
	CHECK_EQ(CALL(&c.t, cuGraphInstantiateWithFlags, &make), CUDA_SUCCESS);
	return c;
}

static void launch_graph(struct graph_client *c)
{
	struct args_cuGraphLaunch a = {.exec = c->exec};

	CHECK_EQ(CALL(&c->t, cuGraphLaunch, &a), CUDA_SUCCESS);
}

static void hear_end(struct graph_client *c, uint64_t number)
{
	struct host_call call = next_call(&c->listener);

	CHECK_EQ(call.flags, HOST_CALL_LAST);
	CHECK_EQ(call.number, number);
	answer(&c->listener, true);
}

TEST(callback_of_a_node_ends_with_another_in_its_place)
{
	struct graph_client c = graph_start();

	for (uint64_t number = 2; number < N_SETTINGS; number++) {
		set(&c, NULL, number);
		hear_end(&c, number - 1);
	}
	client_stop(&c.t, NULL);
}

TEST(callback_of_an_executable_node_ends_when_no_launch_calls_it)
{
	struct graph_client c = graph_start();

	set(&c, c.exec, 2);
	for (uint64_t number = 3; number < N_SETTINGS; number++) {
		if (number % 2)
			launch_graph(&c);
		set(&c, c.exec, number);
		hear_end(&c, number - 1);
	}
	client_stop(&c.t, NULL);
}

TEST(callback_of_an_executable_node_stays_while_a_launch_may_call_it)
{
	struct graph_client c = graph_start();
	struct args_cuGraphExecDestroy end = {.exec = c.exec};

	set(&c, c.exec, 2);
	fake_hold();
	launch_graph(&c);
	set(&c, c.exec, 3);
	launch_graph(&c);
	set(&c, c.exec, 4);
	CHECK(is_silent(&c.listener));
	fake_release();
	set(&c, c.exec, 5); /* never launched */
	hear_end(&c, 2);
	set(&c, c.exec, 6);
	for (uint64_t number = 3; number < 6; number++)
		hear_end(&c, number == 3 ? 4 : number == 4 ? 3 : number);
	fake_hold();
	launch_graph(&c);
	CHECK_EQ(CALL(&c.t, cuGraphExecDestroy, &end), CUDA_SUCCESS);
	CHECK(is_silent(&c.listener));
	fake_release();
	client_stop(&c.t, NULL);
}

static CUresult make_and_release(struct test_client *t, uint64_t number)
{
	CUuserObject object = (CUuserObject)handle_id(false, HANDLE_USEROBJECT, 1, 4);
	struct args_cuUserObjectCreate create = {
	    .object = &object, .number = number, .count = 1, .flags = 1};
	struct args_cuUserObjectRelease release = {.object = object, .count = 1};
	CUresult r = (CUresult)CALL(t, cuUserObjectCreate, &create);

	return r ?: (CUresult)CALL(t, cuUserObjectRelease, &release);
}

/* The client does not listen: what it should hear is kept, but not without end. */
TEST_LIMIT(callbacks_whose_end_nobody_hears_are_bounded, 120)
{
	struct test_client t = client_start(NULL);
	uint64_t n = 0;

	while (n < CALLBACKS_MAX && make_and_release(&t, n + 1) == CUDA_SUCCESS)
		n++;
	CHECK_EQ(n, CALLBACKS_MAX);
	CHECK_EQ(make_and_release(&t, n), CUDA_ERROR_OUT_OF_MEMORY);
	struct listener listener = listen_to(&t);
	for (n = 1; n <= 2; n++) {
		CHECK_EQ(next_call(&listener).number, n);
		answer(&listener, true);
	}
	next_call(&listener); /* so the ones before are gone */
	answer(&listener, true);
	CHECK_EQ(make_and_release(&t, n), CUDA_SUCCESS);
	client_stop(&t, NULL);
}
