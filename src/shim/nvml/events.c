/*
 * Event sets. What NVML reports as events (Xids, ECC errors, clock changes) concerns the machine
 * and not the tenant's view of a GPU, so no device here supports any kind of event: a set can be
 * made and waited for, as nvidia-smi does, and nothing comes.
 *
 * Sets are known by their address; one mutex for the list, since they are few and rarely made.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "shim/nvml/internal.h"

struct nvmlEventSet_st {
	struct nvmlEventSet_st *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct nvmlEventSet_st *sets;

/* With the lock held: where the list points to set; NULL: it is none. */
static struct nvmlEventSet_st **find(nvmlEventSet_t set)
{
	struct nvmlEventSet_st **at = &sets;

	while (*at && *at != set)
		at = &(*at)->next;
	return *at ? at : NULL;
}

static nvmlReturn_t enter(nvmlEventSet_t set)
{
	struct nvml_view view;
	nvmlReturn_t r = nvml_enter(set, &view);

	if (r != NVML_SUCCESS)
		return r;
	pthread_mutex_lock(&lock);
	bool known = find(set);
	pthread_mutex_unlock(&lock);
	return known ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT;
}

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *out)
{
	struct nvml_view view;
	nvmlReturn_t r = nvml_enter(out, &view);

	if (r != NVML_SUCCESS)
		return r;
	nvmlEventSet_t set = malloc(sizeof(*set));
	if (!set)
		return NVML_ERROR_MEMORY;
	pthread_mutex_lock(&lock);
	set->next = sets;
	sets = set;
	pthread_mutex_unlock(&lock);
	*out = set;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
	struct nvml_view view;
	nvmlReturn_t r = nvml_enter(set, &view);

	if (r != NVML_SUCCESS)
		return r;
	pthread_mutex_lock(&lock);
	struct nvmlEventSet_st **at = find(set);
	if (at)
		*at = set->next;
	pthread_mutex_unlock(&lock);
	if (!at)
		return NVML_ERROR_INVALID_ARGUMENT;
	free(set);
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t handle, unsigned long long *types)
{
	struct nvml_device device;
	nvmlReturn_t r = nvml_device_enter(handle, types, &device);

	if (r == NVML_SUCCESS)
		*types = 0;
	return r;
}

nvmlReturn_t nvmlDeviceRegisterEvents(
    nvmlDevice_t handle, unsigned long long types, nvmlEventSet_t set)
{
	struct nvml_device device;
	nvmlReturn_t r = nvml_device_enter(handle, set, &device);

	if (r == NVML_SUCCESS)
		r = enter(set);
	return r == NVML_SUCCESS && types ? NVML_ERROR_NOT_SUPPORTED : r;
}

nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *data, unsigned milliseconds)
{
	struct timespec rest = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000};
	nvmlReturn_t r = enter(set);

	if (r != NVML_SUCCESS)
		return r;
	if (!data)
		return NVML_ERROR_INVALID_ARGUMENT;
	while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
		;
	return NVML_ERROR_TIMEOUT;
}

nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, nvmlEventData_t *data, unsigned milliseconds)
{
	return nvmlEventSetWait_v2(set, data, milliseconds);
}
