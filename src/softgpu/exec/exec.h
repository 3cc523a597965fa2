/*
 * Running kernels of the software GPU.
 *
 * sg_launch() runs a grid to its end on the calling thread and a pool shared by the process
 * (SOFTGPU_THREADS threads in all, default: as many as there are CPUs). It may be called from
 * several threads at once, never from inside a kernel or a signal handler.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "softgpu/exec/module.h"

/* How a grid failed. All but NOT_STARTED are sticky errors of the context on a real GPU. */
enum sg_fault_kind {
	SG_FAULT_NONE,
	SG_FAULT_ILLEGAL_ADDRESS, /* CUDA_ERROR_ILLEGAL_ADDRESS (700) */
	SG_FAULT_MISALIGNED,	  /* CUDA_ERROR_MISALIGNED_ADDRESS (716) */
	SG_FAULT_ASSERT,	  /* CUDA_ERROR_ASSERT (710) */
	SG_FAULT_TRAP,		  /* trap instruction: CUDA_ERROR_LAUNCH_FAILED (719) */
	SG_FAULT_STACK,		  /* per-thread stack exhausted: CUDA_ERROR_LAUNCH_FAILED (719) */
	SG_FAULT_TENSOR_MEMORY,	  /* columns not allocated: CUDA_ERROR_ILLEGAL_ADDRESS (700) */
	SG_FAULT_ILLEGAL_INSTRUCTION, /* operands that do not go together:
					 CUDA_ERROR_ILLEGAL_INSTRUCTION (715) */
	SG_FAULT_ILLEGAL_CALL, /* indirect call of no function: CUDA_ERROR_INVALID_PC (718) */
	SG_FAULT_DEADLOCK,     /* all threads of a block wait for each other, where a GPU would hang
				  until its watchdog: CUDA_ERROR_LAUNCH_TIMEOUT (702) */
	SG_FAULT_STOPPED,      /* the stop flag was raised: CUDA_ERROR_LAUNCH_TIMEOUT (702) */
	SG_FAULT_NOT_STARTED,  /* bad geometry or no code or memory: see fault.message; 1, 2 or what
				 sg_kernel_prepare() said */
};

struct sg_fault {
	enum sg_fault_kind kind;
	bool is_write;
	uint64_t address;   /* ILLEGAL_ADDRESS, MISALIGNED, TENSOR_MEMORY; for shared memory, the
			       offset; for tensor memory, the column */
	const char *kernel; /* lives as long as the module */
	uint32_t block[3];
	uint32_t thread[3];
	int prepare_result; /* NOT_STARTED: what sg_kernel_prepare() returned, or 0 */
	char message[256];  /* one line for a person */
};

/*
 * params: the packed parameter buffer at the kernel's own offsets; shorter than param_bytes is an
 * error. printf_sink gets the finished text of each device printf, from several threads at once,
 * on a stack of some 32 KiB; NULL means the process's stdout. stop: polled; when it becomes
 * non-zero the grid ends with STOPPED. NULL for none.
 */
struct sg_launch {
	uint32_t grid[3];
	uint32_t block[3];
	uint32_t dynamic_shared_bytes;
	uint32_t cluster[3]; /* blocks; all 0: as the kernel says, or single ones */
	const void *params;
	size_t params_size;
	bool cooperative;
	void (*printf_sink)(void *context, const char *text, size_t size);
	void *printf_context;
	const atomic_uint *stop;
	/* 8, 16, .. 256: so many threads in step at most; 1: one at a time; 0: SOFTGPU_LANES. */
	uint32_t lanes;
	unsigned threads; /* of the host that may take part; 0: all */
};

/* Returns 0, or the positive sg_fault_kind with *fault filled in. */
int sg_launch(struct sg_kernel *kernel, const struct sg_launch *launch, struct sg_fault *fault);

/*
 * Runs function(argument), which touches memory that may go away meanwhile, on the calling thread.
 * False: it touched memory that was not there. It was then left in the middle, so it must hold no
 * lock or memory. all: any memory may be missing; else only the device's, and other faults are the
 * program's own.
 */
bool sg_guarded(void (*function)(void *), void *argument, bool all);

/* Limits of the machine, for device attributes and occupancy. */
#define SG_MAX_BLOCK_THREADS 1024u
#define SG_MAX_SHARED_BYTES  (228u << 10) /* static + dynamic, of one block */
#define SG_WARP_SIZE	     32u
#define SG_MAX_CLUSTER	     16u /* blocks */

/* Blocks of a cooperative grid that can be resident together, on all host threads that take part.
 */
uint32_t sg_cooperative_blocks(
    const struct sg_kernel *kernel, uint32_t threads_per_block, uint32_t dynamic_shared_bytes);

/* Host threads that run kernels: SOFTGPU_THREADS, or the number of CPUs. */
unsigned sg_exec_threads(void);
