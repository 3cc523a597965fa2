/* What the files of the tests' driver know of each other; any thread. */
#pragma once

#include "worker/test-fake.h"

#define FAKE_RANGES 4096 /* of memory of one kind, at the most */

/* --- test-fake.c --- */

/* Whether this call shall fail, with fake.fail_with. */
bool fake_fails(void);
#define FALLIBLE()                                                                                 \
	do {                                                                                       \
		if (fake_fails())                                                                  \
			return fake.fail_with;                                                     \
	} while (0)

/* Whether the calling thread has a context. */
bool fake_has_context(void);

/* --- test-fake-memory.c --- */

/* Takes bytes of the device's memory, to be given back to fake.used. */
CUresult fake_take_capacity(size_t bytes);

/* Device memory that is mapped from now on, plain: by cuMemAlloc. False: there are too many. */
bool fake_add_range(uint64_t start, uint64_t bytes, bool plain);
/* Size of the range that starts at start, which is then gone; 0: none. */
uint64_t fake_drop_range(uint64_t start, bool plain);

/* Between the two no memory goes, of the device or registered: what is mapped stays so. Not one in
 * the other. */
void fake_use_memory(void);
void fake_used_memory(void);
/* The same for who takes memory away, or puts some where other was: waits until it is not used. */
void fake_change_memory(void);
void fake_changed_memory(void);

/* Whether address lies in host memory that is registered. */
bool fake_is_registered(uint64_t address);

/* --- test-fake-virtual.c --- */

/* The physical memory mapped at address, with one more reference, as a handle; 0: none. */
CUmemGenericAllocationHandle fake_retain(uint64_t address);

/* --- test-fake-stream.c --- */

/* Returns when the GPU is not held. */
void fake_wait(void);

/* --- each file's functions for a backend; those of memory forget what a fake before had --- */

void fake_set_callback_functions(struct backend *backend);
void fake_set_memory_functions(struct backend *backend, struct backend_host *host);
void fake_set_share_functions(struct backend *backend);
void fake_set_stream_functions(struct backend *backend);
void fake_set_virtual_functions(struct backend *backend);
void fake_set_work_functions(struct backend *backend);
