/*
 * The answer that the CUDA runtime demands of the integrity table before it trusts a libcuda: an
 * HMAC-MD2 (RFC 2104 over RFC 1319) of what both sides know of the process and the devices. Pure
 * functions, any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"

#define ABI_MD2_SIZE 16

void abi_md2(const void *data, size_t size, uint8_t digest[ABI_MD2_SIZE]);

struct abi_integrity_device {
	uint8_t uuid[16];
	int32_t pci_domain, pci_bus, pci_device;
};

#define ABI_INTEGRITY_DEVICES_MAX 64

struct abi_integrity_question {
	uint32_t driver_version; /* what this library's cuDriverGetVersion reports */
	uint32_t version;	 /* the caller's argument */
	uint32_t process;	 /* getpid() */
	uint32_t thread;	 /* low half of pthread_self() */
	uint64_t runtime_table;	 /* address of the CUDART_INTERFACE table */
	uint64_t integrity_table, integrity_function;
	uint64_t seconds; /* the caller's argument */
	const struct abi_integrity_device *devices;
	size_t n_devices; /* at most ABI_INTEGRITY_DEVICES_MAX */
};

/* Versions whose last decimal digit is 0 or 1 have constant answers. */
void abi_integrity_answer(const struct abi_integrity_question *question, uint64_t answer[2]);
