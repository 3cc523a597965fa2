/* Which options of the JIT cross, which stay here because they point into the program. */
#include "base/test.h"
#include "shim/jit.h"
#include "shim/text.h"

static void *number(uint64_t value)
{
	return (void *)(uintptr_t)value; /* NOLINT(performance-no-int-to-ptr) */
}

TEST(log_buffers_stay_here_and_sizes_cross)
{
	char info[64], errors[32];
	CUjit_option options[] = {CU_JIT_MAX_REGISTERS, CU_JIT_INFO_LOG_BUFFER,
	    CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, CU_JIT_ERROR_LOG_BUFFER,
	    CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
	void *values[] = {number(32), info, number(sizeof(info)), errors, number(sizeof(errors))};
	struct jit jit;

	CHECK_EQ(jit_read(&jit, ARRAY_SIZE(options), options, values), CUDA_SUCCESS);
	CHECK(jit.info == info && jit.info_bytes == sizeof(info));
	CHECK(jit.errors == errors && jit.error_bytes == sizeof(errors));
	CHECK_EQ(jit.values[0], 32);
	CHECK_EQ(jit.values[1], 0);
	CHECK_EQ(jit.values[3], 0);

	/* The compiler wrote how much of each it used. */
	jit.values[0] = 99;
	jit.values[2] = 7;
	jit.values[4] = 0;
	jit_write_back(&jit, values);
	CHECK_EQ((uintptr_t)values[0], 32);
	CHECK(values[1] == info && values[3] == errors);
	CHECK_EQ((uintptr_t)values[2], 7);
	CHECK_EQ((uintptr_t)values[4], 0);
}

TEST(a_size_without_a_buffer_asks_for_no_log)
{
	CUjit_option options[] = {CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES};
	void *values[] = {number(1000)};
	struct jit jit;

	CHECK_EQ(jit_read(&jit, 1, options, values), CUDA_SUCCESS);
	CHECK_EQ(jit.info_bytes, 0);
}

TEST(options_that_cannot_cross)
{
	CUjit_option tables[] = {CU_JIT_GLOBAL_SYMBOL_NAMES},
		     huge[] = {CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, CU_JIT_ERROR_LOG_BUFFER};
	void *values[] = {number(UINT32_MAX), (void *)"x"};
	struct jit jit;

	CHECK_EQ(jit_read(&jit, 1, tables, values), CUDA_ERROR_NOT_SUPPORTED);
	CHECK_EQ(jit_read(&jit, 2, huge, values), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(jit_read(&jit, 1, NULL, values), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(jit_read(&jit, 1, tables, NULL), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(jit_read(&jit, JIT_OPTIONS_MAX + 1, tables, values), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(jit_read(&jit, 0, NULL, NULL), CUDA_SUCCESS);
}

TEST(a_text_is_kept_once)
{
	char name[32];
	const char *first = text_keep("kernel");

	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "kernel_%d", i);
		const char *kept = text_keep(name);
		CHECK_STR(kept, name);
		CHECK(kept != name && text_keep(name) == kept);
	}
	CHECK(text_keep("kernel") == first);
}
