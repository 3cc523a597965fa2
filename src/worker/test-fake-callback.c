/* The fake backend's host functions and user objects. It keeps the newest host function for the
 * test to run; a user object ends with its last reference. */
#include <string.h>

#include "base/util.h"
#include "worker/test-fake-parts.h"

struct user_object {
	unsigned count;
	CUhostFn destroy;
	void *user;
};

static CUresult launch_host(CUstream stream, CUhostFn function, void *user)
{
	FALLIBLE();
	fake.host_function = function;
	fake.host_user = user;
	return CUDA_SUCCESS;
}

/* count 0: free. Never given back to the system, so that a released handle can be looked at. */
static struct user_object objects[64];

static CUresult object_create(
    CUuserObject *object, void *user, CUhostFn destroy, unsigned count, unsigned flags)
{
	for (size_t i = 0; i < ARRAY_SIZE(objects) && count; i++)
		if (!objects[i].count) {
			objects[i] = (struct user_object){count, destroy, user};
			*object = (CUuserObject)&objects[i];
			return CUDA_SUCCESS;
		}
	return CUDA_ERROR_INVALID_VALUE;
}

static CUresult object_release(CUuserObject object, unsigned count)
{
	struct user_object *released = (struct user_object *)object;

	if (!released || !count || count > released->count)
		return CUDA_ERROR_INVALID_VALUE;
	released->count -= count;
	if (!released->count)
		released->destroy(released->user);
	return CUDA_SUCCESS;
}

static CUresult notification_register(
    CUdevice device, CUasyncCallback callback, void *user, CUasyncCallbackHandle *handle)
{
	FALLIBLE();
	fake.notification = callback;
	fake.notification_user = user;
	*handle = (CUasyncCallbackHandle)&fake.notification;
	return CUDA_SUCCESS;
}

static CUresult notification_unregister(CUdevice device, CUasyncCallbackHandle handle)
{
	bool known = fake.notification && handle == (CUasyncCallbackHandle)&fake.notification;

	fake.notification = NULL;
	return known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

void fake_set_callback_functions(struct backend *backend)
{
	memset(objects, 0, sizeof(objects));
	backend->cuLaunchHostFunc = launch_host;
	backend->cuDeviceRegisterAsyncNotification = notification_register;
	backend->cuDeviceUnregisterAsyncNotification = notification_unregister;
	backend->cuUserObjectCreate = object_create;
	backend->cuUserObjectRelease = object_release;
}
