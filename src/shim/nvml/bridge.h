/*
 * How libnvidia-ml.so.1 of this installation learns of the devices: one more private table of
 * cuGetExportTable, under an id of our own. It has no channel itself, so that a process that uses
 * both libraries is one session, and it needs no context and no cuInit.
 *
 * NVML does not apply CUDA_VISIBLE_DEVICES: numbers here are places in the snapshot.
 */
#pragma once

#include <stdbool.h>

#include "abi/cuda.h"
#include "wire/device_question.h"
#include "wire/snapshot.h"
#include "wire/status.h"

#define NVML_BRIDGE_ID {"\x52\x6f\x73\x65\x6e\x2d\x4e\x56\x4d\x4c\x2d\x62\x72\x69\x64\x67"}

struct nvml_bridge {
	size_t size; /* bytes of this struct: a table like the others */
	/* Connects if need be, before any other question; the child of a fork() as well. Hot.
	 * CUDA_ERROR_NO_DEVICE without a server. */
	CUresult (*connect)(const struct snapshot **snapshot);
	const struct snapshot_device *(*device)(int number); /* NULL: none */
	const struct snapshot_peer *(*peer)(int number, int other);
	CUresult (*status)(int number, struct device_status *status);
	CUresult (*links)(int number, struct device_links *links);
	CUresult (*ask)(
	    int number, const struct device_question *question, struct device_answer *answer);
	/* Whether this process uses the device, and how much of its memory it has allocated. */
	bool (*process)(int number, uint64_t *bytes);
};

/* The libcuda side. False: id is another table's. */
bool nvml_bridge_table(const void **table, const CUuuid *id);
