/*
 * What the shim says of a launch before it crosses: limits, and where parameters lie in their
 * buffer.
 */
#include "base/test.h"
#include "shim/launch.h"
#include "wire/limits.h"

static const struct launch_limits limits = {
    .max_threads = 1024,
    .max_block = {1024, 1024, 64},
    .max_grid = {2147483647, 65535, 65535},
    .shared_per_block = 49152,
};

static struct function *function_with(unsigned n)
{
	struct function *f = calloc(1, sizeof(*f) + n * sizeof(f->parameter[0]));

	CHECK(f);
	f->n_parameters = n;
	f->max_threads = 1024;
	f->dynamic_limit = -1;
	f->block_taken = FUNCTION_ANY_BLOCK;
	return f;
}

struct launch_case {
	unsigned grid[3], block[3], shared;
	bool fits;
};

static void check_cases(const struct function *f, const struct launch_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct launch_case *c = &cases[i];
		if (launch_fits(&limits, f, c->grid, c->block, c->shared) != c->fits)
			test_fail(__FILE__, __LINE__, "case %zu", i);
	}
}

TEST(grids_and_blocks)
{
	static const struct launch_case cases[] = {
	    {{1, 1, 1}, {1, 1, 1}, 0, true},
	    {{2147483647, 65535, 65535}, {1024, 1, 1}, 0, true},
	    {{0, 1, 1}, {1, 1, 1}, 0, false},
	    {{1, 1, 0}, {1, 1, 1}, 0, false},
	    {{1, 65536, 1}, {1, 1, 1}, 0, false},
	    {{1u << 31, 1, 1}, {1, 1, 1}, 0, false},
	    {{1, 1, 1}, {1, 0, 1}, 0, false},
	    {{1, 1, 1}, {1025, 1, 1}, 0, false},
	    {{1, 1, 1}, {1, 1, 65}, 0, false},
	    {{1, 1, 1}, {1024, 1024, 64}, 0, false},
	    {{1, 1, 1}, {32, 33, 1}, 0, false},
	};

	struct function *f = function_with(0);

	check_cases(f, cases, ARRAY_SIZE(cases));
	free(f);
}

TEST(more_threads_than_the_function_takes)
{
	static const struct launch_case cases[] = {
	    {{1, 1, 1}, {256, 1, 1}, 0, true},
	    {{1, 1, 1}, {257, 1, 1}, 0, false},
	};
	struct function *f = function_with(0);

	f->max_threads = 256;
	check_cases(f, cases, ARRAY_SIZE(cases));
	free(f);
}

TEST(shapes_of_blocks_that_were_taken)
{
	static const unsigned grid[3] = {1, 1, 1}, first[3] = {32, 4, 2}, turned[3] = {4, 32, 2},
			      large[3] = {257, 1, 1};
	struct function *f = function_with(0);

	f->max_threads = 256;
	f->block_taken = 0;
	CHECK(!launch_fits(&limits, f, grid, first, 0));
	f->block_taken = launch_block_word(first);
	CHECK(launch_fits(&limits, f, grid, first, 0));
	CHECK(!launch_fits(&limits, f, grid, turned, 0));
	f->block_taken = FUNCTION_ANY_BLOCK;
	CHECK(launch_fits(&limits, f, grid, turned, 0));
	CHECK(!launch_fits(&limits, f, grid, large, 0));
	free(f);
}

TEST(shared_memory)
{
	static const struct launch_case before[] = {
	    {{1, 1, 1}, {1, 1, 1}, 48128, true},
	    {{1, 1, 1}, {1, 1, 1}, 48129, false},
	    {{1, 1, 1}, {1, 1, 1}, UINT32_MAX, false},
	};
	static const struct launch_case after[] = {
	    {{1, 1, 1}, {1, 1, 1}, 100000, true},
	    {{1, 1, 1}, {1, 1, 1}, 100001, false},
	};
	struct function *f = function_with(0);

	f->static_shared = 1024;
	check_cases(f, before, ARRAY_SIZE(before));
	f->dynamic_limit = 100000;
	check_cases(f, after, ARRAY_SIZE(after));
	free(f);
}

TEST(parameters_lie_at_their_offsets)
{
	struct function *f = function_with(3);
	uint8_t one = 0x11, buffer[32];
	uint64_t two = 0x2222222222222222;
	uint16_t three = 0x3333;
	void *values[] = {&one, &two, &three};
	static const uint8_t wanted[18] = {
	    0x11, 0, 0, 0, 0, 0, 0, 0, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x22, 0x33, 0x33};

	f->parameter[0] = (struct function_parameter){0, 1};
	f->parameter[1] = (struct function_parameter){8, 8};
	f->parameter[2] = (struct function_parameter){16, 2};
	f->bytes = 18;
	memset(buffer, 0xee, sizeof(buffer));
	CHECK_EQ(launch_pack(f, values, buffer), CUDA_SUCCESS);
	CHECK_BYTES(buffer, wanted, sizeof(wanted));
	CHECK_EQ(buffer[18], 0xee);
	values[1] = NULL;
	CHECK_EQ(launch_pack(f, values, buffer), CUDA_ERROR_INVALID_VALUE);
	free(f);
}

TEST(extra_lists)
{
	char memory[8];
	size_t size = sizeof(memory), none = 0, large = WIRE_PARAMETER_BYTES_MAX + 1, bytes;
	const void *buffer;
	void *good[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, memory, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
	    CU_LAUNCH_PARAM_END};
	void *turned[] = {CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_BUFFER_POINTER,
	    memory, CU_LAUNCH_PARAM_END};
	void *no_size[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, memory, CU_LAUNCH_PARAM_END};
	void *no_buffer[] = {CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
	void *empty[] = {CU_LAUNCH_PARAM_BUFFER_SIZE, &none, CU_LAUNCH_PARAM_END};
	void *too_large[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, memory, CU_LAUNCH_PARAM_BUFFER_SIZE,
	    &large, CU_LAUNCH_PARAM_END};
	void *unknown[] = {(void *)7, memory, CU_LAUNCH_PARAM_END};

	CHECK_EQ(launch_extra(good, &buffer, &bytes), CUDA_SUCCESS);
	CHECK(buffer == memory && bytes == sizeof(memory));
	CHECK_EQ(launch_extra(turned, &buffer, &bytes), CUDA_SUCCESS);
	CHECK(buffer == memory && bytes == sizeof(memory));
	CHECK_EQ(launch_extra(empty, &buffer, &bytes), CUDA_SUCCESS);
	CHECK_EQ(bytes, 0);
	CHECK_EQ(launch_extra(no_size, &buffer, &bytes), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(launch_extra(no_buffer, &buffer, &bytes), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(launch_extra(too_large, &buffer, &bytes), CUDA_ERROR_INVALID_VALUE);
	CHECK_EQ(launch_extra(unknown, &buffer, &bytes), CUDA_ERROR_INVALID_VALUE);
}
