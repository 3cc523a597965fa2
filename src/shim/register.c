/*
 * Registered memory. The pages it lies in become a memfd in place (takeover.c), which the worker
 * maps too and registers with the driver (hostmem_share()), so that it is pinned memory like any
 * other. First the worker gets the memfd, while the program's pages are as they were; only when it
 * has it are they replaced, so that a refusal has changed nothing.
 *
 * Pages belong to a region. Registrations are ranges of the map, by bytes; one that lies wholly in
 * the pages of another's region shares it. Pages of a file in memory that the program maps shared,
 * as processes that exchange data do, are a region as they are: the worker gets that file. Whatever
 * cannot become a region is registered without one: copies move its bytes as those of ordinary
 * memory, and it has no device pointer.
 *
 * One mutex for all; it is held over fork() so that the child finds the regions whole. The child
 * makes their pages private again: it is not party to the session, and would otherwise write into
 * its parent's heap.
 */
#include <pthread.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/util.h"
#include "gen/shim_custom.h"
#include "gen/shim_remote.h"
#include "shim/hostmem.h"
#include "shim/range.h"
#include "shim/session.h"
#include "shim/takeover.h"
#include "shim/thread.h"

#define FLAGS                                                                                      \
	(CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP |                              \
	    CU_MEMHOSTREGISTER_IOMEMORY | CU_MEMHOSTREGISTER_READ_ONLY)
/* Each region keeps a descriptor, of which a program has a thousand by default. */
#define REGIONS_MAX 512

struct region {
	struct region *next;
	uint64_t address, size;	   /* whole pages */
	struct takeover *takeover; /* NULL: pages of the program's file */
	struct hostmem_share share;
	unsigned users;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct region *regions;
static unsigned n_regions;

/* --- fork --- */

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
	for (struct region *region = regions; region; region = region->next)
		if (region->takeover)
			takeover_before_fork(region->takeover);
}

static void after_fork_in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void after_fork_in_child(void)
{
	for (struct region *region = regions; region; region = region->next)
		if (region->takeover)
			takeover_in_child(region->takeover);
	regions = NULL;
	n_regions = 0;
	pthread_mutex_init(&lock, NULL);
}

static void watch_forks(void)
{
	static bool watching;

	if (!watching)
		watching =
		    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
}

/* --- regions --- */

/* The region that has any of the pages; NULL: none. */
static struct region *find_region(uint64_t first, uint64_t size)
{
	struct region *region = regions;

	while (
	    region && (region->address >= first + size || first >= region->address + region->size))
		region = region->next;
	return region;
}

static bool holds(const struct region *region, uint64_t first, uint64_t size)
{
	return first >= region->address && first + size <= region->address + region->size;
}

/* The program's own pages, in the memfd fd from here on. False: they are as they were. */
static bool take_pages(struct region *region, unsigned flags)
{
	struct hostmem_source source = {0};

	if (fd_memory("rosen-registered", region->size, &source.fd) < 0)
		return false;
	watch_forks();
	if (hostmem_share(&source, region->address, region->size, flags, &region->share) !=
	    CUDA_SUCCESS) {
		fd_close(source.fd);
		return false;
	}
	region->takeover = takeover_new(region->address, region->size, source.fd);
	if (!region->takeover)
		hostmem_unshare(&region->share);
	return region->takeover;
}

static bool share_file(struct region *region, const struct takeover_look *look, unsigned flags)
{
	_cleanup_fd_ int fd = takeover_open_file(look);
	struct hostmem_source source = {.fd = fd, .file = true, .offset = look->offset};

	return fd >= 0 && hostmem_share(&source, region->address, region->size, flags,
			      &region->share) == CUDA_SUCCESS;
}

/* NULL: these pages cannot be one. */
static struct region *region_new(
    uint64_t first, uint64_t size, unsigned flags, const struct takeover_look *look)
{
	struct region *region = n_regions < REGIONS_MAX ? calloc(1, sizeof(*region)) : NULL;

	if (!region)
		return NULL;
	region->address = first;
	region->size = size;
	flags &= CU_MEMHOSTREGISTER_READ_ONLY;
	if (!(look->private ? take_pages(region, flags) : share_file(region, look, flags))) {
		free(region);
		return NULL;
	}
	region->next = regions;
	regions = region;
	n_regions++;
	return region;
}

/* The caller's registration no longer uses it. The device's work is waited for. */
static CUresult region_leave(struct region *region)
{
	struct region **at = &regions;

	if (--region->users)
		return shim_thread.context ? remote_cuCtxSynchronize() : CUDA_SUCCESS;
	CUresult r = hostmem_unshare(&region->share);
	while (*at != region)
		at = &(*at)->next;
	*at = region->next;
	n_regions--;
	takeover_free(region->takeover);
	free(region);
	return r;
}

/* A region for the pages, if there can be one. */
static struct region *region_for(
    uint64_t first, uint64_t size, unsigned flags, const struct takeover_look *look)
{
	struct region *region = find_region(first, size);

	if (region)
		region = holds(region, first, size) ? region : NULL;
	else if ((look->private || look->file) && look->writable)
		region = region_new(first, size, flags, look);
	if (region)
		region->users++;
	else
		log_info("registered memory at %p is not shared with the device, its copies are "
			 "staged",
		    (void *)first); /* NOLINT(performance-no-int-to-ptr) */
	return region;
}

/* --- registrations --- */

static CUresult check_overlap(uint64_t start, uint64_t size)
{
	struct range range;

	if (!range_overlaps(start, size, &range))
		return CUDA_SUCCESS;
	return range.kind == RANGE_REGISTERED ? CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED
					      : CUDA_ERROR_INVALID_VALUE;
}

/* Enters what is registered into the map: where the program has it, and where the device does. */
static bool note(struct range *range)
{
	if (!range_add(range))
		return false;
	if (!range->remote || range->remote == range->host)
		return true;
	range->start = range->remote;
	if (range_add(range))
		return true;
	range_remove(range->host, NULL);
	return false;
}

static CUresult register_memory(uint64_t start, uint64_t size, unsigned flags)
{
	uint64_t first = start & ~(uint64_t)(TAKEOVER_PAGE - 1);
	uint64_t pages = align_up(start + size, TAKEOVER_PAGE) - first;
	CUresult r = check_overlap(start, size);

	if (r != CUDA_SUCCESS)
		return r;
	struct takeover_look look = takeover_look(first, pages);
	if (!look.mapped || (!look.writable && !(flags & CU_MEMHOSTREGISTER_READ_ONLY)))
		return CUDA_ERROR_INVALID_VALUE;
	struct region *region = region_for(first, pages, flags, &look);
	struct range range = {.start = start,
	    .size = size,
	    .kind = RANGE_REGISTERED,
	    .flags = flags | CU_MEMHOSTREGISTER_DEVICEMAP,
	    .context = shim_thread.context,
	    .device = shim_thread.device,
	    .host = start,
	    .remote = region ? region->share.address + (start - region->address) : 0};
	if (note(&range))
		return CUDA_SUCCESS;
	if (region)
		region_leave(region);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult shim_cuMemHostRegister_v2(void *pointer, size_t bytes, unsigned flags)
{
	uint64_t start = (uint64_t)pointer;
	CUresult usable = session_usable();

	if (usable != CUDA_SUCCESS)
		return usable;
	if (!shim_thread.context)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (!bytes || flags & ~(unsigned)FLAGS || bytes > WIRE_HOST_WINDOW_SIZE ||
	    start > UINT64_MAX - bytes - TAKEOVER_PAGE || session_in_device_window(start) ||
	    session_in_host_window(start))
		return CUDA_ERROR_INVALID_VALUE;
	if (flags & CU_MEMHOSTREGISTER_IOMEMORY) {
		log_warn_once("cuMemHostRegister of a device's memory (IOMEMORY) is not supported");
		return CUDA_ERROR_NOT_SUPPORTED;
	}
	pthread_mutex_lock(&lock);
	CUresult r = register_memory(start, bytes, flags);
	pthread_mutex_unlock(&lock);
	return r;
}

CUresult shim_cuMemHostRegister(void *pointer, size_t bytes, unsigned flags)
{
	return shim_cuMemHostRegister_v2(pointer, bytes, flags & FLAGS);
}

static CUresult unregister_memory(uint64_t start)
{
	struct range range;

	if (!range_find(start, &range))
		return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
	if (range.kind != RANGE_REGISTERED || range.host != start)
		return CUDA_ERROR_INVALID_VALUE;
	range_remove(start, NULL);
	if (!range.remote)
		return CUDA_SUCCESS;
	if (range.remote != start)
		range_remove(range.remote, NULL);
	struct region *region = find_region(start, 1);
	return region ? region_leave(region) : CUDA_SUCCESS;
}

CUresult shim_cuMemHostUnregister(void *pointer)
{
	pthread_mutex_lock(&lock);
	CUresult r = unregister_memory((uint64_t)pointer);
	pthread_mutex_unlock(&lock);
	return r;
}
