/*
 * A device at one moment, as monitoring tools see it (rosenDeviceStatus). Fields the backend does
 * not know are zero and their bit in present is clear: NVML's answer is then NOT_SUPPORTED, never a
 * made-up number. Grows at its end; size is how many bytes the worker knew.
 */
#pragma once

#include <stdint.h>

enum device_status_bit {
	DEVICE_STATUS_MEMORY = 1 << 0,
	DEVICE_STATUS_UTILISATION = 1 << 1,
	DEVICE_STATUS_TEMPERATURE = 1 << 2,
	DEVICE_STATUS_POWER = 1 << 3,
	DEVICE_STATUS_POWER_LIMIT = 1 << 4,
	DEVICE_STATUS_CLOCKS = 1 << 5,
	DEVICE_STATUS_CLOCKS_MAX = 1 << 6,
	DEVICE_STATUS_FAN = 1 << 7,
	DEVICE_STATUS_PCIE = 1 << 8,
	DEVICE_STATUS_STATE = 1 << 9,
	DEVICE_STATUS_PERSISTENCE = 1 << 10,
	DEVICE_STATUS_ECC_ERRORS = 1 << 11,
	DEVICE_STATUS_MIG = 1 << 12,
};

struct device_status {
	uint32_t size;
	uint32_t present; /* enum device_status_bit */
	uint64_t memory_total, memory_used, memory_free;
	uint32_t gpu_percent, memory_percent; /* of the last sampling period */
	uint32_t temperature_c;
	uint32_t power_mw, power_limit_mw;
	uint32_t clock_sm_mhz, clock_memory_mhz, clock_sm_max_mhz, clock_memory_max_mhz;
	uint32_t fan_percent;
	uint32_t pcie_generation, pcie_width;
	uint32_t performance_state; /* 0 fastest .. 15 */
	uint32_t persistence;	    /* 1: the driver stays initialised without clients */
	uint32_t mig[2];	    /* 1: on; now, and after the next start */
	uint32_t reserved;
	uint64_t ecc_errors; /* uncorrected, since the driver's start */
};

#define DEVICE_LINKS_MAX	 36
#define DEVICE_LINK_CAPABILITIES 6 /* NVML's NVML_NVLINK_CAP_* */

/* One NVLink of a device, and what is at its other end (rosenDeviceLinks). */
struct device_link {
	uint32_t active;
	uint32_t capabilities;	      /* a bit for each */
	uint32_t version, speed_mbps; /* 0: not known */
	uint32_t has_remote;
	uint32_t remote_domain, remote_bus, remote_device, remote_id, remote_subsystem;
	char remote_bus_id[32];
};

struct device_links {
	uint32_t link_size; /* bytes the worker knew of each */
	uint32_t n;
	struct device_link link[DEVICE_LINKS_MAX];
};
