/*
 * How two devices are joined, as far as CUDA's own tables tell: who may access whose memory, and
 * which NUMA node each is near to. What carries an access (PCIe or NVLink) they do not tell.
 */
#include "shim/nvml/internal.h"

/* Whether both devices sit on one board: CUDA gives every board a number. */
static nvmlReturn_t same_board(
    const struct nvml_device *device, const struct nvml_device *other, bool *same)
{
	CUdevice_attribute attribute = CU_DEVICE_ATTRIBUTE_MULTI_GPU_BOARD_GROUP_ID;
	int group, other_group;

	*same = device->number == other->number;
	if (*same)
		return NVML_SUCCESS;
	if (nvml_attribute(device, attribute, &group) != NVML_SUCCESS ||
	    nvml_attribute(other, attribute, &other_group) != NVML_SUCCESS)
		return NVML_ERROR_NOT_SUPPORTED;
	*same = group == other_group;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceOnSameBoard(nvmlDevice_t handle, nvmlDevice_t other_handle, int *same)
{
	struct nvml_device device, other;
	bool answer;
	nvmlReturn_t r = nvml_pair_enter(handle, other_handle, same, &device, &other);

	if (r == NVML_SUCCESS)
		r = same_board(&device, &other, &answer);
	if (r == NVML_SUCCESS)
		*same = answer;
	return r;
}

nvmlReturn_t nvmlDeviceGetTopologyCommonAncestor(
    nvmlDevice_t handle, nvmlDevice_t other_handle, nvmlGpuTopologyLevel_t *level)
{
	CUdevice_attribute attribute = CU_DEVICE_ATTRIBUTE_HOST_NUMA_ID;
	struct nvml_device device, other;
	int node, other_node;
	bool same;
	nvmlReturn_t r = nvml_pair_enter(handle, other_handle, level, &device, &other);

	if (r != NVML_SUCCESS)
		return r;
	if (same_board(&device, &other, &same) == NVML_SUCCESS && same) {
		*level = NVML_TOPOLOGY_INTERNAL;
		return NVML_SUCCESS;
	}
	if (nvml_attribute(&device, attribute, &node) != NVML_SUCCESS ||
	    nvml_attribute(&other, attribute, &other_node) != NVML_SUCCESS || node < 0 ||
	    other_node < 0)
		return NVML_ERROR_NOT_SUPPORTED;
	*level = node == other_node ? NVML_TOPOLOGY_NODE : NVML_TOPOLOGY_SYSTEM;
	return NVML_SUCCESS;
}

static nvmlGpuP2PStatus_t p2p_attribute(
    const struct snapshot_peer *peer, CUdevice_P2PAttribute attribute)
{
	if (peer->attribute_status[attribute] != CUDA_SUCCESS)
		return NVML_P2P_STATUS_UNKNOWN;
	return peer->attribute[attribute] ? NVML_P2P_STATUS_OK : NVML_P2P_STATUS_NOT_SUPPORTED;
}

static nvmlGpuP2PStatus_t p2p_status(const struct snapshot_peer *peer, nvmlGpuP2PCapsIndex_t index)
{
	nvmlGpuP2PStatus_t access = p2p_attribute(peer, CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED);

	switch (index) {
	case NVML_P2P_CAPS_INDEX_READ:
	case NVML_P2P_CAPS_INDEX_WRITE:
		return access;
	case NVML_P2P_CAPS_INDEX_ATOMICS:
		return p2p_attribute(peer, CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED);
	default:
		return access == NVML_P2P_STATUS_OK ? NVML_P2P_STATUS_UNKNOWN : access;
	}
}

/* A device reaches its own memory, over no link. */
static nvmlGpuP2PStatus_t p2p_self(nvmlGpuP2PCapsIndex_t index)
{
	return index == NVML_P2P_CAPS_INDEX_NVLINK || index == NVML_P2P_CAPS_INDEX_PCI
		   ? NVML_P2P_STATUS_NOT_SUPPORTED
		   : NVML_P2P_STATUS_OK;
}

nvmlReturn_t nvmlDeviceGetP2PStatus(nvmlDevice_t handle, nvmlDevice_t other_handle,
    nvmlGpuP2PCapsIndex_t index, nvmlGpuP2PStatus_t *status)
{
	struct nvml_device device, other;
	nvmlReturn_t r = nvml_pair_enter(handle, other_handle, status, &device, &other);

	if (r != NVML_SUCCESS)
		return r;
	if ((unsigned)index >= NVML_P2P_CAPS_INDEX_UNKNOWN)
		return NVML_ERROR_INVALID_ARGUMENT;
	const struct snapshot_peer *peer = device.view.bridge->peer(device.number, other.number);
	if (device.number == other.number)
		*status = p2p_self(index);
	else
		*status = peer ? p2p_status(peer, index) : NVML_P2P_STATUS_UNKNOWN;
	return NVML_SUCCESS;
}
