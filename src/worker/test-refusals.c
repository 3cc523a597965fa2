/*
 * Arguments that end NVIDIA's driver do not reach the backend: the worker refuses them. Graphs
 * within themselves are in test-graph.c.
 */
#include "base/test.h"
#include "worker/test-client.h"

static unsigned asked;

static CUresult describe(CUdevResourceDesc *descriptor, CUdevResource *resources, unsigned count)
{
	*descriptor = (CUdevResourceDesc)0x9000;
	asked++;
	return CUDA_SUCCESS;
}

TEST(a_description_of_no_resource_is_refused)
{
	struct test_client t = client_start(NULL);
	CUdevResourceDesc descriptor =
	    (CUdevResourceDesc)handle_id(false, HANDLE_RESOURCEDESC, 1, 0);
	CUdevResource resource = {.type = CU_DEV_RESOURCE_TYPE_SM};
	struct args_cuDevResourceGenerateDesc a = {
	    .descriptor = &descriptor, .resources = &resource, .count = 0};

	((struct backend *)client_worker()->backend)->cuDevResourceGenerateDesc = describe;
	CHECK_EQ(CALL(&t, cuDevResourceGenerateDesc, &a), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(asked, 0);
	a.count = 1;
	CHECK_EQ(CALL(&t, cuDevResourceGenerateDesc, &a), CUDA_SUCCESS);
	CHECK_EQ(asked, 1);
	client_stop(&t, NULL);
}
