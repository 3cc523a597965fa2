/* What single instructions compute: the rows of opcodes.def, and a few of the machine's own. */
#include "softgpu/exec/opcodes.h"
#include "softgpu/exec/test-machine.h"

static void run_rows(const struct row *rows, size_t n)
{
	char *text = write_module(rows, n);
	struct sg_module *module = module_load(text);
	uint64_t *io = device_alloc(64), params[1] = {(uint64_t)io};
	unsigned wrong = 0;

	for (size_t i = 0; i < n; i++) {
		char name[16];

		snprintf(name, sizeof(name), "k%zu", i);
		memcpy(io, rows[i].in, sizeof(rows[i].in));
		io[3] = UINT64_C(0xdeadbeef);
		launch_fine(kernel_get(module, name), 1, 1, params, 1);
		wrong += row_differs(&rows[i], io[3]);
	}
	sg_module_unload(module);
	free(text);
	CHECK_EQ(wrong, 0);
}

#define ROWS(test_name, ...)                                                                       \
	TEST_LIMIT(test_name, 120)                                                                 \
	{                                                                                          \
		const struct row rows[] = {__VA_ARGS__};                                           \
		run_rows(rows, ARRAY_SIZE(rows));                                                  \
	}

#include "softgpu/exec/opcodes.def"

/* PTX leaves these open; every way to run a kernel must agree. */
/* clang-format off */
ROWS(division_by_zero,
    {"div.s32 %r0, %r1, %r2;", 'r', {5, 0}, ALL},
    {"div.u64 %d0, %d1, %d2;", 'd', {5, 0}, UINT64_MAX},
    {"rem.u32 %r0, %r1, %r2;", 'r', {5, 0}, ALL})
/* clang-format on */
