/*
 * Notifications of a device: the backend is given a stand-in, as for every callback (callback.h).
 * Which of them is behind a handle is noted here, since the backend gives nothing back when one is
 * unregistered. The list is under the worker's memory lock; its length is bounded by the table of
 * objects, where every handle has its id.
 */
#include <stdlib.h>

#include "gen/worker_custom.h"
#include "worker/callback.h"
#include "worker/worker.h"

struct notification {
	struct notification *next;
	CUasyncCallbackHandle handle;
	struct callback *callback;
};

static void notified(CUasyncNotificationInfo *info, void *user, CUasyncCallbackHandle handle)
{
	callback_notify(user, (uint32_t)info->type, info->info.overBudget.bytesOverBudget);
}

CUresult worker_cuDeviceRegisterAsyncNotification(
    struct call *call, struct args_cuDeviceRegisterAsyncNotification *a)
{
	struct worker *worker = call->worker;
	struct notification *notification = malloc(sizeof(*notification));
	struct callback *callback = callback_new(call, a->number);
	CUresult r = CUDA_ERROR_OUT_OF_MEMORY;

	if (notification && callback)
		r = call->backend->cuDeviceRegisterAsyncNotification(
		    a->device, notified, callback, a->handle);
	if (r != CUDA_SUCCESS) {
		callback_end(callback);
		free(notification);
		return r;
	}
	pthread_mutex_lock(&worker->memory_lock);
	*notification = (struct notification){worker->notifications, *a->handle, callback};
	worker->notifications = notification;
	pthread_mutex_unlock(&worker->memory_lock);
	return CUDA_SUCCESS;
}

static struct notification *take_out(struct worker *worker, CUasyncCallbackHandle handle)
{
	struct notification **at = &worker->notifications;

	pthread_mutex_lock(&worker->memory_lock);
	while (*at && (*at)->handle != handle)
		at = &(*at)->next;
	struct notification *found = *at;
	if (found)
		*at = found->next;
	pthread_mutex_unlock(&worker->memory_lock);
	return found;
}

CUresult worker_cuDeviceUnregisterAsyncNotification(
    struct call *call, struct args_cuDeviceUnregisterAsyncNotification *a)
{
	CUresult r = call->backend->cuDeviceUnregisterAsyncNotification(a->device, a->callback);

	if (r != CUDA_SUCCESS)
		return r;
	struct notification *notification = take_out(call->worker, a->callback);
	if (notification)
		callback_end(notification->callback);
	free(notification);
	return CUDA_SUCCESS;
}

void notifications_free(struct worker *worker)
{
	while (worker->notifications) {
		struct notification *notification = worker->notifications;
		worker->notifications = notification->next;
		free(notification->callback);
		free(notification);
	}
}
