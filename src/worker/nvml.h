/*
 * What NVIDIA's management library tells of a device: load, temperature, clocks. Loaded at the
 * first question; everything here is optional, and what is not known stays unset. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "wire/device_question.h"
#include "wire/status.h"

/* "580.159"; empty when there is no NVML. */
void nvml_driver_version(char *text, size_t size);

/* Fills the fields NVML knows and their bits. False: no NVML, or it does not know the device. */
bool nvml_device_status(const char *pci_bus_id, struct device_status *status);

/* False: no NVML, or it does not know the device, or no such question. */
bool nvml_device_ask(
    const char *pci_bus_id, const struct device_question *question, struct device_answer *answer);

/* For nvml_question.c: a device of NVML's and a function of its library; NULL: none. */
struct nvml_device *nvml_device_find(const char *pci_bus_id);
void *nvml_function(const char *name);

/* Fills n and the links, as many as NVML has for the device. False: no NVML, or as above. */
bool nvml_device_links(const char *pci_bus_id, struct device_links *links);
