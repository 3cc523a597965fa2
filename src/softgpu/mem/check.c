/* The setting SOFTGPU_CHECK, read once, and the pattern for memory that nobody has written. */
#include "softgpu/mem/check.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"

enum { UNKNOWN, OFF, ON };

static int read_setting(void)
{
	const char *setting = getenv("SOFTGPU_CHECK");

	if (!setting || !*setting || !strcmp(setting, "0"))
		return OFF;
	if (strcmp(setting, "1") != 0)
		log_warn("SOFTGPU_CHECK=%s is neither 0 nor 1: taking 1", setting);
	return ON;
}

bool sg_checks(void)
{
	static atomic_int known;
	int state = atomic_load_explicit(&known, memory_order_relaxed); /* all find the same */

	if (state == UNKNOWN) {
		state = read_setting();
		atomic_store_explicit(&known, state, memory_order_relaxed);
	}
	return state == ON;
}

void sg_poison(void *memory, size_t size)
{
	static const uint32_t word = SG_POISON;

	for (size_t i = 0; i < size; i += sizeof(word))
		memcpy((char *)memory + i, &word, MIN(sizeof(word), size - i));
}
