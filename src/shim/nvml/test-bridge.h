/*
 * A bridge of the tests' own, with two devices: the second of the snapshot comes first on the PCI
 * bus. Each rule is checked with the answers beside it, so that a refusal is known to come from the
 * rule.
 */
#pragma once

#include "base/test.h"
#include "shim/nvml/internal.h"

/* What the bridge answers, to be changed by a test. */
struct nvml_fake {
	struct snapshot snapshot;
	struct snapshot_device device[2];
	struct snapshot_peer peer[2][2];
	struct device_status status;
	struct device_links links;
	struct device_question question; /* the last one */
	struct device_answer question_answer;
	CUresult connect, answer;
	nvmlReturn_t find;
	bool uses;
	uint64_t bytes;
	unsigned n_connects, n_asked;
	int asked;
};
extern struct nvml_fake fake;

void set(int device, CUdevice_attribute attribute, int value);

/* What a test starts from: two devices of which nothing is known but identity. */
void prepare(void);

/* prepare() and nvmlInit. Device of the snapshot's first place: NVML's index 1. */
nvmlDevice_t start(void);
nvmlDevice_t other_device(void);
