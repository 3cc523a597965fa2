/* A list: programs reserve few ranges, and large ones. */
#include "shim/address.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "shim/session.h"

struct kept {
	struct kept *next;
	uint64_t address;
	size_t bytes;
	bool held; /* by pages of its own; a window is kept as a whole */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept *all;

static void *pointer(uint64_t address)
{
	return (void *)(uintptr_t)address; /* NOLINT(performance-no-int-to-ptr) */
}

static bool in_window(uint64_t address, size_t bytes)
{
	return session.device_reserved && session_in_device_window(address) &&
	       session_in_device_window(address + bytes - 1);
}

/* False: something of the program's lies there. *held: no longer anything can come there. */
static bool hold(uint64_t address, size_t bytes, bool *held)
{
	errno = 0;
	void *got = mmap(pointer(address), bytes, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	*held = got == pointer(address);
	if (!*held && got != MAP_FAILED) /* a kernel that knows no MAP_FIXED_NOREPLACE */
		munmap(got, bytes);
	return *held || (got == MAP_FAILED && errno != EEXIST);
}

bool address_keep(uint64_t address, size_t bytes)
{
	struct kept *kept = malloc(sizeof(*kept));

	if (!kept)
		return true;
	*kept = (struct kept){.address = address, .bytes = bytes};
	if (!in_window(address, bytes) && !hold(address, bytes, &kept->held)) {
		free(kept);
		return false;
	}
	pthread_mutex_lock(&lock);
	kept->next = all;
	all = kept;
	pthread_mutex_unlock(&lock);
	return true;
}

void address_give_back(uint64_t address)
{
	pthread_mutex_lock(&lock);
	struct kept **at = &all;
	while (*at && (*at)->address != address)
		at = &(*at)->next;
	struct kept *kept = *at;
	if (kept) {
		*at = kept->next;
		if (kept->held)
			munmap(pointer(address), kept->bytes);
	}
	pthread_mutex_unlock(&lock);
	free(kept);
}

bool address_find(uint64_t address, uint64_t *start, size_t *bytes)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (const struct kept *kept = all; kept && !found; kept = kept->next) {
		found = address - kept->address < kept->bytes;
		if (found) {
			*start = kept->address;
			*bytes = kept->bytes;
		}
	}
	pthread_mutex_unlock(&lock);
	return found;
}

bool address_is_kept(uint64_t address, size_t bytes)
{
	bool is_kept = in_window(address, bytes);

	pthread_mutex_lock(&lock);
	for (const struct kept *kept = all; kept && !is_kept; kept = kept->next)
		is_kept = kept->held && address >= kept->address && bytes <= kept->bytes &&
			  address - kept->address <= kept->bytes - bytes;
	pthread_mutex_unlock(&lock);
	return is_kept;
}
