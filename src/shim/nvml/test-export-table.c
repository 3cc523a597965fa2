/* The private table: everything in it may be called, and says that it is not supported. */
#include <stdint.h>

#include "base/test.h"
#include "shim/nvml/nvml.h"

static const uint8_t nvidia_smi[16] = {
    0xc4, 0xfe, 0x3e, 0x6c, 0xc9, 0x8f, 0x6c, 0x4e, 0xa3, 0x27, 0xee, 0x69, 0x6e, 0x12, 0xf7, 0xc4};

TEST(every_function_is_refused)
{
	const void *table;

	CHECK_EQ(nvmlInternalGetExportTable(&table, nvidia_smi), NVML_SUCCESS);
	nvmlReturn_t (*const *functions)(void) = table;
	uint64_t words = *(const uint64_t *)table / sizeof(uint64_t);
	CHECK_EQ(words, 270);
	for (uint64_t i = 1; i < words; i++)
		CHECK_EQ(functions[i](), NVML_ERROR_NOT_SUPPORTED);
}

TEST(other_tables_are_not_found)
{
	static const uint8_t other[16] = {1};
	const void *table = other;

	CHECK_EQ(nvmlInternalGetExportTable(&table, other), NVML_ERROR_NOT_FOUND);
	CHECK(!table);
	CHECK_EQ(nvmlInternalGetExportTable(NULL, nvidia_smi), NVML_ERROR_INVALID_ARGUMENT);
	CHECK_EQ(nvmlInternalGetExportTable(&table, NULL), NVML_ERROR_INVALID_ARGUMENT);
}
