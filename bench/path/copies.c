/*
 * Copies of one size, direction and kind of host memory, one after the other, each until it is
 * done. What came back is looked at: a fast copy of the wrong bytes is none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "path.h"
#include "samples.h"

#define SAMPLES_ROOM (1u << 16)
#define PAGE	     4096u

struct copy {
	CUdeviceptr device;
	uint8_t *host;
	size_t bytes;
	bool to_device, pinned;
};

static void begin(struct copy *copy)
{
	must(cuMemAlloc(&copy->device, copy->bytes), "there is no device memory for the copies");
	if (copy->pinned)
		must(cuMemAllocHost((void **)&copy->host, copy->bytes),
		    "there is no pinned memory for the copies");
	else
		copy->host = aligned_alloc(PAGE, align_up(copy->bytes, PAGE));
	if (!copy->host)
		give_up("there is no memory for copies of %zu bytes", copy->bytes);
	for (size_t i = 0; i < copy->bytes; i++)
		copy->host[i] = (uint8_t)(i * 31 + i / PAGE);
	must(cuMemcpyHtoD(copy->device, copy->host, copy->bytes), "a copy failed");
	if (!copy->to_device)
		memset(copy->host, 0, copy->bytes);
}

static void end(struct copy *copy)
{
	if (copy->to_device) {
		memset(copy->host, 0, copy->bytes);
		must(cuMemcpyDtoH(copy->host, copy->device, copy->bytes), "a copy failed");
	}
	for (size_t i = 0; i < copy->bytes; i++)
		if (copy->host[i] != (uint8_t)(i * 31 + i / PAGE))
			give_up("a copy of %zu bytes went wrong at byte %zu", copy->bytes, i);
	if (copy->pinned)
		must(cuMemFreeHost(copy->host), "pinned memory cannot be freed");
	else
		free(copy->host);
	must(cuMemFree(copy->device), "device memory cannot be freed");
}

static void once(const struct copy *copy)
{
	must(copy->to_device ? cuMemcpyHtoD(copy->device, copy->host, copy->bytes)
			     : cuMemcpyDtoH(copy->host, copy->device, copy->bytes),
	    "a copy failed");
	/* A copy of pageable memory to the device may return before it is done. */
	must(cuCtxSynchronize(), "a copy failed");
}

void copies_measure(size_t bytes, bool to_device, bool pinned, uint64_t ms)
{
	struct copy copy = {.bytes = bytes, .to_device = to_device, .pinned = pinned};
	struct samples samples;

	samples_init(&samples, SAMPLES_ROOM);
	begin(&copy);
	once(&copy);
	uint64_t before = clock_now_ns(), stop = before + ms * NSEC_PER_MSEC;
	do {
		once(&copy);
		uint64_t now = clock_now_ns();
		samples_add(&samples, (float)(now - before));
		before = now;
	} while (before < stop);
	end(&copy);
	struct summary summary = samples_summarise(&samples, 1);
	printf("{\"us\":%.3f,\"gb_per_s\":%.4f}\n", summary.p50_us,
	    (double)bytes / summary.p50_us / 1e3);
	samples_fini(&samples);
}
