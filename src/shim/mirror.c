/*
 * The program's side of managed variables: pages of its own at the address that the variable has in
 * the worker, shared with the worker, which keeps both equal (worker/mirror.h). The address is the
 * backend's choice, so something may be in the way here. Pages are made once: those of a module
 * that was unloaded serve the next one that the backend puts there.
 *
 * A child of a fork does not get them, as it gets none of CUDA's managed memory.
 */
#include "shim/mirror.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/util.h"
#include "gen/shim_remote.h"
#include "shim/hostmem.h"
#include "shim/range.h"
#include "shim/session.h"

#define PAGE 4096u

struct pages {
	struct pages *next;
	uint64_t start, size;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pages *made;
atomic_bool mirror_any;

/* Where the pages that are there already, or are not, end: at most `end`. */
static uint64_t run_end(uint64_t start, uint64_t end, bool *there)
{
	*there = false;
	for (struct pages *p = made; p; p = p->next) {
		if (start - p->start < p->size) {
			*there = true;
			return MIN(end, p->start + p->size);
		}
		if (p->start > start)
			end = MIN(end, p->start);
	}
	return end;
}

/* False: something else is there. The device's window is ours and holds nothing. */
static bool map(uint64_t start, uint64_t size, int fd)
{
	void *wanted = (void *)(uintptr_t)start; /* NOLINT(performance-no-int-to-ptr) */
	bool ours = session_in_device_window(start) && session_in_device_window(start + size - 1) &&
		    session.device_reserved;
	void *got = mmap(wanted, size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | (ours ? MAP_FIXED : MAP_FIXED_NOREPLACE), fd, 0);

	if (got == MAP_FAILED)
		return false;
	if (got != wanted) { /* a kernel from before MAP_FIXED_NOREPLACE */
		munmap(got, size);
		return false;
	}
	madvise(got, size, MADV_DONTFORK);
	return true;
}

static CUresult make(uint64_t start, uint64_t size, const char *name)
{
	struct pages *pages = malloc(sizeof(*pages));
	uint64_t number;
	int memory;

	if (!pages || fd_memory("rosen-managed", size, &memory) < 0) {
		free(pages);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	_cleanup_fd_ int fd = memory;
	if (!map(start, size, fd)) {
		free(pages);
		log_warn("the managed variable %s lies at 0x%llx, where this program has something "
			 "else: start the program again",
		    name, (unsigned long long)start);
		return CUDA_ERROR_NOT_SUPPORTED;
	}
	*pages = (struct pages){made, start, size};
	made = pages; /* stays even if the worker refuses: the program may have seen it */
	CUresult r = hostmem_send(fd, start, size, &number);
	return r ?: remote_rosenMirrorPages(number, start, size);
}

CUresult mirror_begin(CUdeviceptr address, size_t bytes, const char *name)
{
	uint64_t start = address & ~(uint64_t)(PAGE - 1), end = align_up(address + bytes, PAGE);
	CUresult r = hostmem_can_share() ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
	bool there;

	atomic_store_explicit(&mirror_any, true, memory_order_relaxed);
	pthread_mutex_lock(&lock);
	for (uint64_t next; r == CUDA_SUCCESS && start < end; start = next) {
		next = run_end(start, end, &there);
		if (!there)
			r = make(start, next - start, name);
	}
	pthread_mutex_unlock(&lock);
	return r ?: remote_rosenMirrorBegin(address, bytes);
}

bool mirror_find(CUdeviceptr address)
{
	struct range range;

	return range_find(address, &range) && range.kind == RANGE_SHADOWED;
}

CUresult mirror_await(CUdeviceptr destination, CUstream stream)
{
	return mirror_holds(destination) ? remote_cuStreamSynchronize(stream) : CUDA_SUCCESS;
}
