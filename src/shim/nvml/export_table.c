/*
 * The private table of functions that nvidia-smi asks for by its id before anything else, and
 * without which it calls the library a mismatch. Undocumented; observed with nvidia-smi 580: the
 * first word is the table's size in bytes, the others are functions that return an nvmlReturn_t,
 * and it goes on with a field "N/A" where one of them says NVML_ERROR_NOT_SUPPORTED. So say all of
 * them here: what they would tell (part numbers, sparse operation mode) is not in the tenant's
 * view.
 */
#include <stdint.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "shim/nvml/internal.h"

enum { FUNCTIONS = 269 };

struct export_table {
	uint64_t size;
	nvmlReturn_t (*functions[FUNCTIONS])(void);
};

static const uint8_t nvidia_smi[16] = {
    0xc4, 0xfe, 0x3e, 0x6c, 0xc9, 0x8f, 0x6c, 0x4e, 0xa3, 0x27, 0xee, 0x69, 0x6e, 0x12, 0xf7, 0xc4};

/* Looks at no argument, so one C type serves all: x86-64's callers own their arguments. */
static nvmlReturn_t not_supported(void)
{
	return NVML_ERROR_NOT_SUPPORTED;
}

static struct export_table table = {.size = sizeof(table)};

__attribute__((constructor)) static void fill(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(table.functions); i++)
		table.functions[i] = not_supported;
}

nvmlReturn_t nvmlInternalGetExportTable(const void **out, const void *id)
{
	if (!out || !id)
		return NVML_ERROR_INVALID_ARGUMENT;
	*out = NULL;
	if (memcmp(id, nvidia_smi, sizeof(nvidia_smi))) {
		log_info(
		    "a private table of libnvidia-ml.so.1 that Rosen does not know was asked for");
		return NVML_ERROR_NOT_FOUND;
	}
	*out = &table;
	return NVML_SUCCESS;
}
