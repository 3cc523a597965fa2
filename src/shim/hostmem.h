/*
 * Pinned memory for whoever in the shim needs some: cuMemHostAlloc and managed memory take pieces
 * of shared segments; registered memory (register.c) and managed variables (mirror.c) bring their
 * pages along. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/cuda.h"

/* A piece of bytes bytes, at a multiple of 512. Its content is whatever was there before. */
CUresult hostmem_take(uint64_t bytes, uint64_t *start);

/* How whole pages are to be taken. */
struct hostmem_way {
	int node;    /* of the host (numa.h) */
	bool hidden; /* worker and devices do not have them before hostmem_show() */
	bool hides;  /* hostmem_hide() may be called for them */
};
/* Whole pages that nothing else shares. */
CUresult hostmem_take_own(uint64_t bytes, const struct hostmem_way *way, uint64_t *start);
CUresult hostmem_show(uint64_t start);
/* Takes them from worker and devices again, when the device's work is done. */
CUresult hostmem_hide(uint64_t start);
/* Gives it back when the device's work is done. bytes: as taken. */
CUresult hostmem_give(uint64_t start, uint64_t bytes);

/* Gives it back without waiting, when nothing uses it any more; also from a thread that must not
 * call the worker. */
void hostmem_give_later(uint64_t start, uint64_t bytes);

/* Whether memory can be shared with the worker; if not, that is said on stderr, once. */
bool hostmem_can_share(void);

/* Sends the memfd fd as a segment of its own, for a message that names its number. */
CUresult hostmem_send(int fd, uint64_t address, uint64_t size, uint64_t *number);

/* Memory of this process's own that the worker has too. */
struct hostmem_share {
	uint64_t number;  /* of the segment */
	uint64_t address; /* the worker's, and the device's */
};

/* The file whose pages such memory is. */
struct hostmem_source {
	int fd;	   /* the caller's */
	bool file; /* a file in memory that the program maps itself; else a sealed memfd of ours */
	uint64_t offset;
};

/*
 * Gives the worker size bytes of source, a whole number of pages, at address if it can have them
 * there; else at a place in the host window that this process keeps free. flags:
 * CU_MEMHOSTREGISTER_READ_ONLY or 0. CUDA_ERROR_NOT_SUPPORTED: not on this session's medium.
 */
CUresult hostmem_share(const struct hostmem_source *source, uint64_t address, uint64_t size,
    unsigned flags, struct hostmem_share *out);
/* Waits for the device's work and takes them back. */
CUresult hostmem_unshare(const struct hostmem_share *share);
