/* The fake backend's host functions and user objects. It keeps the newest host function for the test
 * to run; a user object ends with its last reference. */
#include <stdlib.h>

#include "worker/test-fake.h"

struct user_object {
	unsigned count;
	CUhostFn destroy;
	void *user;
};

static CUresult launch_host(CUstream stream, CUhostFn function, void *user)
{
	if (fake_fails())
		return fake.fail_with;
	fake.host_function = function;
	fake.host_user = user;
	return CUDA_SUCCESS;
}

static CUresult object_create(
    CUuserObject *object, void *user, CUhostFn destroy, unsigned count, unsigned flags)
{
	struct user_object *made = malloc(sizeof(*made));

	*made = (struct user_object){count, destroy, user};
	*object = (CUuserObject)made;
	return CUDA_SUCCESS;
}

static CUresult object_release(CUuserObject object, unsigned count)
{
	struct user_object *released = (struct user_object *)object;

	released->count -= count;
	if (!released->count) {
		released->destroy(released->user);
		free(released);
	}
	return CUDA_SUCCESS;
}

void fake_set_callback_functions(struct backend *backend)
{
	backend->cuLaunchHostFunc = launch_host;
	backend->cuUserObjectCreate = object_create;
	backend->cuUserObjectRelease = object_release;
}
