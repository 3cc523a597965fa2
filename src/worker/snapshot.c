/*
 * The snapshot: what a client needs to answer questions about devices by itself. It is made from
 * scratch each time it is asked for (once per client process), without a context, out of queries
 * that every backend answers from its tables.
 */
#include <stdio.h>
#include <string.h>

#include "gen/worker_custom.h"
#include "wire/control.h"
#include "wire/snapshot.h"
#include "wire/status.h"
#include "worker/nvml.h"
#include "worker/worker.h"

static void describe_identity(
    const struct backend *backend, CUdevice device, struct snapshot_device *out)
{
	CUuuid uuid = {{0}};
	char luid[8] = {0};
	unsigned mask = 0;
	size_t total = 0;

	backend->cuDeviceGetName(out->name, sizeof(out->name), device);
	out->name[sizeof(out->name) - 1] = 0;
	backend->cuDeviceGetPCIBusId(out->pci_bus_id, sizeof(out->pci_bus_id), device);
	out->pci_bus_id[sizeof(out->pci_bus_id) - 1] = 0;
	backend->cuDeviceTotalMem_v2(&total, device);
	out->memory_total = total;
	if (backend->cuDeviceGetUuid(&uuid, device) == CUDA_SUCCESS)
		memcpy(out->uuid, &uuid, sizeof(out->uuid));
	if (backend->cuDeviceGetUuid_v2(&uuid, device) != CUDA_SUCCESS)
		memcpy(&uuid, out->uuid, sizeof(uuid));
	memcpy(out->uuid_v2, &uuid, sizeof(out->uuid_v2));
	out->luid_status = backend->cuDeviceGetLuid(luid, &mask, device);
	if (out->luid_status == CUDA_SUCCESS) {
		memcpy(out->luid, luid, sizeof(out->luid));
		out->luid_node_mask = mask;
	}
}

/* What the device has and a program of another process could not use. */
static void hide_what_does_not_cross(struct snapshot_device *out)
{
	static const uint8_t hidden[] = {
	    CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_FABRIC_SUPPORTED,
	    CU_DEVICE_ATTRIBUTE_HOST_NUMA_MULTINODE_IPC_SUPPORTED,
	};

	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		out->attribute[hidden[i]] = 0;
	/* Memory is shared by descriptors (api/vmm.api). */
	out->attribute[CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES] &=
	    CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
}

static void describe_device(
    const struct backend *backend, CUdevice device, struct snapshot_device *out)
{
	describe_identity(backend, device, out);
	for (unsigned i = 0; i < WIRE_ATTRIBUTES_MAX; i++) {
		int value = 0;
		CUresult r = backend->cuDeviceGetAttribute(&value, (CUdevice_attribute)i, device);
		out->attribute[i] = r == CUDA_SUCCESS ? value : 0;
		out->attribute_status[i] = (uint16_t)r;
	}
	hide_what_does_not_cross(out);
}

static void describe_peer(
    const struct backend *backend, CUdevice from, CUdevice to, struct snapshot_peer *out)
{
	int value = 0;

	if (from != to && backend->cuDeviceCanAccessPeer(&value, from, to) == CUDA_SUCCESS)
		out->can_access = value;
	for (unsigned i = 0; i < SNAPSHOT_P2P_ATTRIBUTES; i++) {
		value = 0;
		CUresult r =
		    backend->cuDeviceGetP2PAttribute(&value, (CUdevice_P2PAttribute)i, from, to);
		out->attribute[i] = r == CUDA_SUCCESS ? value : 0;
		out->attribute_status[i] = (uint16_t)r;
	}
}

static void describe_all(struct worker *worker, struct snapshot *head)
{
	struct snapshot_device *devices = (void *)(head + 1);
	struct snapshot_peer *peers = (void *)(devices + head->n_devices);
	int n = (int)head->n_devices;

	for (int i = 0; i < n; i++)
		describe_device(worker->backend, i, &devices[i]);
	for (int from = 0; from < n; from++)
		for (int to = 0; to < n; to++)
			describe_peer(worker->backend, from, to, &peers[from * n + to]);
}

CUresult worker_rosenSnapshot(struct call *call, struct args_rosenSnapshot *a)
{
	bool cuda = call->worker->options.backend == CONTROL_BACKEND_CUDA;
	int n = 0, version = 0;
	CUresult r =
	    call->backend->cuDeviceGetCount(&n) ?: call->backend->cuDriverGetVersion(&version);

	if (r != CUDA_SUCCESS)
		return r;
	n = MIN(n, (int)WIRE_DEVICES_MAX);
	*a->needed = sizeof(struct snapshot) + (size_t)n * sizeof(struct snapshot_device) +
		     (size_t)n * (size_t)n * sizeof(struct snapshot_peer);
	if (a->capacity < *a->needed)
		return CUDA_SUCCESS;
	struct snapshot *head = a->blob;
	*head = (struct snapshot){
	    .header_size = sizeof(struct snapshot),
	    .device_size = sizeof(struct snapshot_device),
	    .peer_size = sizeof(struct snapshot_peer),
	    .n_devices = (uint32_t)n,
	    .driver_version = version,
	    .backend = call->worker->options.backend,
	};
	snprintf(head->backend_name, sizeof(head->backend_name), "%s", cuda ? "cuda" : "softgpu");
	if (cuda)
		nvml_driver_version(head->driver_text, sizeof(head->driver_text));
	describe_all(call->worker, head);
	return CUDA_SUCCESS;
}

/* Without NVML the backend knows only memory, and only with a context on that device. */
static void status_from_backend(struct call *call, CUdevice device, struct device_status *status)
{
	CUdevice current;
	size_t free_bytes, total;

	if (call->backend->cuCtxGetDevice(&current) != CUDA_SUCCESS || current != device ||
	    call->backend->cuMemGetInfo_v2(&free_bytes, &total) != CUDA_SUCCESS)
		return;
	status->present |= DEVICE_STATUS_MEMORY;
	status->memory_total = total;
	status->memory_free = free_bytes;
	status->memory_used = total - MIN(free_bytes, total);
}

CUresult worker_rosenDeviceLinks(struct call *call, struct args_rosenDeviceLinks *a)
{
	struct device_links links = {.link_size = sizeof(links.link[0])};
	char bus[32] = "";

	CUresult r = call->backend->cuDeviceGetPCIBusId(bus, sizeof(bus), a->device);
	if (r != CUDA_SUCCESS)
		return r;
	if (call->worker->options.backend != CONTROL_BACKEND_CUDA ||
	    !nvml_device_links(bus, &links))
		return CUDA_ERROR_NOT_SUPPORTED;
	memset(a->links, 0, a->capacity);
	memcpy(a->links, &links, MIN(a->capacity, sizeof(links)));
	return CUDA_SUCCESS;
}

CUresult worker_rosenDeviceAsk(struct call *call, struct args_rosenDeviceAsk *a)
{
	struct device_question question = {0};
	struct device_answer answer;
	char bus[32] = "";

	CUresult r = call->backend->cuDeviceGetPCIBusId(bus, sizeof(bus), a->device);
	if (r != CUDA_SUCCESS)
		return r;
	memcpy(&question, a->question, MIN(a->question_bytes, sizeof(question)));
	if (call->worker->options.backend != CONTROL_BACKEND_CUDA ||
	    !nvml_device_ask(bus, &question, &answer))
		return CUDA_ERROR_NOT_SUPPORTED;
	memset(a->answer, 0, a->capacity);
	memcpy(a->answer, &answer, MIN(a->capacity, sizeof(answer)));
	return CUDA_SUCCESS;
}

CUresult worker_rosenDeviceStatus(struct call *call, struct args_rosenDeviceStatus *a)
{
	struct device_status status = {.size = sizeof(status)};
	char bus[32] = "";

	CUresult r = call->backend->cuDeviceGetPCIBusId(bus, sizeof(bus), a->device);
	if (r != CUDA_SUCCESS)
		return r;
	if (call->worker->options.backend != CONTROL_BACKEND_CUDA ||
	    !nvml_device_status(bus, &status))
		status_from_backend(call, a->device, &status);
	memset(a->status, 0, a->capacity);
	memcpy(a->status, &status, MIN(a->capacity, sizeof(status)));
	return CUDA_SUCCESS;
}
