/* Memory and time for programs that measure the machine without a driver around it. */
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "base/util.h"
#include "softgpu/mem/arena.h"

/* Device memory: the arena's first gigabytes, one piece after the other. */
static int device_alloc(void *context, size_t size, size_t align, uint64_t *address)
{
	static uint64_t next_address = SG_ARENA_BASE;
	uint64_t rounded = align_up(MAX(size, (size_t)1), 1u << 21);

	*address = next_address;
	next_address += rounded + (1u << 21);
	return mmap((void *)*address, rounded, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED
		   ? -1
		   : 0;
}

static void device_free(void *context, uint64_t address, size_t size)
{
	munmap((void *)address, size);
}

const struct sg_memory_ops bench_memory = {device_alloc, device_free, NULL};

void *bench_take(size_t size)
{
	uint64_t address;

	if (device_alloc(NULL, size, 16, &address)) {
		fprintf(stderr, "bench-softgpu: no memory for %zu bytes\n", size);
		exit(1);
	}
	return (void *)address;
}

double bench_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}
