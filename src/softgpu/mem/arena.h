/*
 * The device address space. Every address a kernel can reach lies inside one window of the host's
 * address space, so that a device pointer is a host pointer and one compare finds a stray one.
 *
 *   [SG_ARENA_BASE, SG_EXEC_WINDOW_BASE)         allocations (softgpu/mem)
 *   [SG_EXEC_WINDOW_BASE, + SG_EXEC_WINDOW_SIZE) stacks, shared memory, parameters of running
 *                                                kernels (softgpu/exec maps it, nobody else)
 */
#pragma once

#include <stdint.h>

#define SG_ARENA_BASE UINT64_C(0x200000000000)
#define SG_ARENA_SIZE (UINT64_C(4) << 40)

#define SG_EXEC_WINDOW_SIZE (UINT64_C(64) << 30)
#define SG_EXEC_WINDOW_BASE (SG_ARENA_BASE + SG_ARENA_SIZE - SG_EXEC_WINDOW_SIZE)
