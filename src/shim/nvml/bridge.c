/* The libcuda side of the bridge: plain questions to the session and its snapshot. */
#include "shim/nvml/bridge.h"

#include <string.h>

#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/device.h"
#include "shim/range.h"
#include "shim/session.h"

static CUresult bridge_connect(const struct snapshot **snapshot)
{
	CUresult r = session_connect_nvml();

	if (r == CUDA_SUCCESS)
		*snapshot = device_snapshot();
	return r;
}

static const struct snapshot_peer *bridge_peer(int number, int other)
{
	return device_find_real(number) && device_find_real(other) ? device_peer(number, other)
								   : NULL;
}

/* A worker of another release may know fewer fields: then the rest is zero and not present. */
static CUresult bridge_status(int number, struct device_status *status)
{
	if (!device_find_real(number))
		return CUDA_ERROR_INVALID_DEVICE;
	memset(status, 0, sizeof(*status));
	return remote_rosenDeviceStatus(number, status, sizeof(*status));
}

/* Links of a worker of another release may be longer or shorter than ours. */
static CUresult bridge_links(int number, struct device_links *links)
{
	if (!device_find_real(number))
		return CUDA_ERROR_INVALID_DEVICE;
	memset(links, 0, sizeof(*links));
	CUresult r = remote_rosenDeviceLinks(number, links, sizeof(*links));
	if (r == CUDA_SUCCESS &&
	    (links->link_size != sizeof(links->link[0]) || links->n > DEVICE_LINKS_MAX))
		r = CUDA_ERROR_NOT_SUPPORTED;
	for (uint32_t i = 0; r == CUDA_SUCCESS && i < links->n; i++)
		links->link[i].remote_bus_id[sizeof(links->link[i].remote_bus_id) - 1] = '\0';
	return r;
}

static CUresult bridge_ask(
    int number, const struct device_question *question, struct device_answer *answer)
{
	if (!device_find_real(number))
		return CUDA_ERROR_INVALID_DEVICE;
	memset(answer, 0, sizeof(*answer));
	return remote_rosenDeviceAsk(number, question, sizeof(*question), answer, sizeof(*answer));
}

static bool bridge_process(int number, uint64_t *bytes)
{
	CUdevice device = device_visible(number);
	unsigned flags;
	int active = 0;

	*bytes = 0;
	if (device == CU_DEVICE_INVALID || atomic_load(&session.state) == SESSION_CONNECTED)
		return false;
	shim_cuDevicePrimaryCtxGetState(device, &flags, &active);
	*bytes = range_device_bytes(device);
	return active || *bytes;
}

static const struct nvml_bridge bridge = {
    .size = sizeof(bridge),
    .connect = bridge_connect,
    .device = device_find_real,
    .peer = bridge_peer,
    .status = bridge_status,
    .links = bridge_links,
    .ask = bridge_ask,
    .process = bridge_process,
};

bool nvml_bridge_table(const void **table, const CUuuid *id)
{
	static const CUuuid ours = NVML_BRIDGE_ID;

	if (memcmp(id->bytes, ours.bytes, sizeof(ours.bytes)) != 0)
		return false;
	*table = &bridge;
	return true;
}
