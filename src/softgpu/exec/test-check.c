/* SOFTGPU_CHECK=1 in kernels: what is reported, and that nothing else is; on both machines. */
#include "softgpu/exec/test-machine.h"

#include <unistd.h>

#include "base/log.h"
#include "softgpu/exec/module-private.h"
#include "softgpu/exec/runtime.h"
#include "softgpu/mem/check.h"

static const uint32_t widths[] = {1, 32};

/* What the launch says on stderr. */
static char said[8192];

static int launch_listening(
    struct sg_kernel *kernel, const struct sg_launch *launch, struct sg_fault *fault)
{
	int fd = memfd_create("said", 0), r;
	ssize_t n;

	CHECK(fd >= 0);
	log_set_descriptor(fd);
	r = sg_launch(kernel, launch, fault);
	log_set_descriptor(STDERR_FILENO);
	n = pread(fd, said, sizeof(said) - 1, 0);
	said[MAX(n, 0)] = 0;
	close(fd);
	return r;
}

/* Runs a kernel of a row of threads, whose %t is its number, %s its word's offset in shared memory,
 * and %a its word's address in global memory; each time another kernel, for places are reported
 * once. */
static void run(const char *body, uint32_t threads, uint32_t width)
{
	static char text[4096];
	static uint32_t *memory;
	static unsigned n_kernels;
	struct sg_launch l = {.grid = {1, 1, 1}, .block = {threads, 1, 1}, .lanes = width};
	struct sg_fault fault;
	uint64_t params[1];
	struct sg_module *module;
	char name[32];

	if (!memory)
		memory = device_alloc(65536);
	params[0] = (uint64_t)memory;
	l.params = params;
	l.params_size = sizeof(params);
	snprintf(name, sizeof(name), "k%u", n_kernels++);
	snprintf(text, sizeof(text),
	    PTX_HEAD ".visible .entry %s(.param .u64 memory) {\n"
		     ".reg .pred %%p<4>; .reg .b32 %%r<9>, %%t, %%s; .reg .b64 %%d<9>, %%a, %%m;\n"
		     ".shared .align 16 .b8 words[4096]; .local .align 4 .u32 own[4];\n"
		     "ld.param.u64 %%m, [memory]; mov.u32 %%t, %%tid.x; mov.u32 %%s, words;\n"
		     "mul.wide.u32 %%d1, %%t, 4; add.u64 %%a, %%m, %%d1; shl.b32 %%r1, %%t, 2;\n"
		     "add.u32 %%s, %%s, %%r1;\n%s\nret; }\n",
	    name, body);
	module = module_load(text);
	if (launch_listening(kernel_get(module, name), &l, &fault))
		test_fail(__FILE__, __LINE__, "%s", fault.message);
	sg_module_unload(module);
}

static void check_race(const char *body, uint32_t threads, const char *wanted)
{
	CHECK_EQ(setenv("SOFTGPU_CHECK", "1", 1), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(widths); i++) {
		run(body, threads, widths[i]);
		if (!strstr(said, "race in kernel") || !strstr(said, wanted))
			test_fail(__FILE__, __LINE__, "width %u said: %s", widths[i], said);
	}
}

static void check_clean(const char *body, uint32_t threads)
{
	CHECK_EQ(setenv("SOFTGPU_CHECK", "1", 1), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(widths); i++) {
		run(body, threads, widths[i]);
		if (*said)
			test_fail(__FILE__, __LINE__, "width %u said: %s", widths[i], said);
	}
}

/* Line 10 of the text is the body's first. A thread of two that race comes first, and which one
 * depends on the machine. */
TEST(a_write_of_what_another_thread_read)
{
	check_race("ld.shared.u32 %r2, [%s];\nxor.b32 %s, %s, 128;\nst.shared.u32 [%s], %t;", 64,
	    "shared memory at 0x");
	CHECK(strstr(said,
		  "line 12 of its PTX: thread (0,0,0) of block (0,0,0) writes shared memory "
		  "at 0x80, which thread (32,0,0) read at line 10, with no barrier between") ||
	      strstr(said,
		  "line 10 of its PTX: thread (32,0,0) of block (0,0,0) reads shared memory "
		  "at 0x80, which thread (0,0,0) wrote at line 12, with no barrier between"));
}

TEST(a_read_of_what_another_thread_wrote)
{
	check_race("st.shared.u32 [%s], %t;\nxor.b32 %s, %s, 4;\nld.shared.u32 %r2, [%s];", 64,
	    "shared memory at 0x");
	CHECK(
	    strstr(said, "line 12 of its PTX: thread (0,0,0) of block (0,0,0) reads shared memory "
			 "at 0x4, which thread (1,0,0) wrote at line 10, with no barrier between"));
}

TEST(two_different_writes)
{
	check_race("st.shared.u32 [words], %t;", 2,
	    "thread (1,0,0) of block (0,0,0) writes shared memory at 0x0, which thread (0,0,0) "
	    "wrote");
	check_race("st.shared.u32 [words], %t;", 64, "wrote");
}

TEST(races_in_global_memory)
{
	check_race("st.global.u32 [%a], %t;\nld.global.u32 %r2, [%m+40];", 64, "address 0x");
	check_race("st.global.u32 [%m], %t;", 64, "address 0x");
}

TEST(a_plain_access_beside_an_atomic_one)
{
	check_race("atom.shared.add.u32 %r2, [words], 1;\nld.shared.u32 %r2, [words];", 64,
	    "shared memory at 0x0");
}

TEST(a_generic_address_of_shared_memory)
{
	check_race("cvt.u64.u32 %d2, %s; cvta.shared.u64 %d2, %d2; st.u32 [%d2], %t;\n"
		   "xor.b32 %s, %s, 4;\nld.shared.u32 %r2, [%s];",
	    64, "shared memory at 0x4");
}

/* Only the first eight threads' rows are read. */
TEST(rows_of_matrices)
{
	check_race("mov.u32 %s, words; shl.b32 %r1, %t, 4; add.u32 %s, %s, %r1;\n"
		   "st.shared.u32 [%s], %t; xor.b32 %s, %s, 16;\n"
		   "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r2}, [%s];",
	    32, "reads shared memory at 0x");
	check_clean("mov.u32 %s, words; shl.b32 %r1, %t, 4; add.u32 %s, %s, %r1;\n"
		    "st.shared.u32 [%s], %t; bar.warp.sync -1; xor.b32 %s, %s, 16;\n"
		    "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r2}, [%s];",
	    32);
	/* Rows of the threads that take part are their own. */
	check_clean("mov.u32 %s, words; shl.b32 %r1, %t, 4; add.u32 %s, %s, %r1;\n"
		    "st.shared.u32 [%s], %t; setp.gt.u32 %p1, %t, 7; selp.b32 %r1, 16, 0, %p1;\n"
		    "xor.b32 %s, %s, %r1;\n"
		    "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r2}, [%s];",
	    32);
}

/* The barrier is one of a warp only. */
TEST(a_barrier_of_too_few_threads)
{
	check_race("st.shared.u32 [%s], %t;\nbar.warp.sync -1;\nxor.b32 %s, %s, 128;\n"
		   "ld.shared.u32 %r2, [%s];",
	    64, "shared memory");
}

TEST(barriers_order)
{
	check_clean("st.shared.u32 [%s], %t;\nbar.sync 0;\nxor.b32 %s, %s, 128;\n"
		    "ld.shared.u32 %r2, [%s];\nbar.sync 0;\nst.shared.u32 [%s], %r2;",
	    64);
	check_clean("st.shared.u32 [%s], %t;\nbar.warp.sync -1;\nxor.b32 %s, %s, 4;\n"
		    "ld.shared.u32 %r2, [%s];\nbar.warp.sync -1;\nst.shared.u32 [%s], %r2;",
	    64);
	check_clean("st.global.u32 [%a], %t;\nbar.sync 0;\nld.global.u32 %r2, [%m+40];", 64);
}

TEST(neighbouring_bytes_do_not_race)
{
	check_clean("mov.u32 %r2, words; add.u32 %r2, %r2, %t; st.shared.u8 [%r2], %t;\n"
		    "ld.shared.u8 %r3, [%r2];",
	    64);
}

TEST(atomics_and_equal_values_do_not_race)
{
	check_clean("atom.shared.add.u32 %r2, [words], 1; red.global.add.u32 [%m], 1;\n"
		    "st.shared.u32 [words+8], 5; st.volatile.shared.u32 [words+12], %t;\n"
		    "ld.volatile.shared.u32 %r2, [words+12];",
	    64);
}

/* Two blocks of one machine have the same shared memory, one after the other. */
TEST(blocks_do_not_race_with_each_other)
{
	struct sg_module *module;
	struct sg_launch l = {.grid = {8, 1, 1}, .block = {32, 1, 1}};
	struct sg_fault fault;

	CHECK_EQ(setenv("SOFTGPU_CHECK", "1", 1), 0);
	module = module_load(PTX_HEAD
	    ".visible .entry k() { .reg .b32 %r<4>; .reg .pred %p; .shared .align 4 .u32 w[4];\n"
	    "mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; setp.ne.u32 %p, %r1, %r2;\n"
	    "@!%p st.shared.u32 [w], %r1; ret; }\n");
	CHECK_EQ(launch_listening(kernel_get(module, "k"), &l, &fault), 0);
	CHECK_STR(said, "");
}

TEST(a_place_is_reported_once)
{
	const char *second;

	check_race("st.shared.u32 [words], %t;\nst.shared.u32 [words+4], %t;", 64, "line 11 of");
	second = strstr(strstr(said, "line 10 of") + 1, "line 10 of");
	CHECK(second == NULL);
}

/* Shared and local memory hold what nobody computes by accident. */
TEST(memory_of_blocks_and_threads_is_poisoned)
{
	struct sg_module *module;
	uint32_t *out = device_alloc(4096);
	uint64_t params[] = {(uint64_t)out};
	struct sg_fault fault;

	CHECK_EQ(setenv("SOFTGPU_CHECK", "1", 1), 0);
	module = module_load(
	    PTX_HEAD ".visible .entry k(.param .u64 out) { .reg .b32 %r<4>; .reg .b64 %a, %d;\n"
		     ".shared .align 4 .u32 w[4]; .local .align 4 .u32 l[4];\n"
		     "ld.param.u64 %a, [out]; mov.u32 %r1, %tid.x; mul.wide.u32 %d, %r1, 8; "
		     "add.u64 %a, %a, %d;\n"
		     "ld.shared.u32 %r2, [w+8]; ld.local.u32 %r3, [l+4]; st.global.v2.u32 [%a], "
		     "{%r2, %r3};\n"
		     "ret; }\n");
	for (unsigned i = 0; i < ARRAY_SIZE(widths); i++) {
		struct sg_launch l = {.grid = {1, 1, 1},
		    .block = {64, 1, 1},
		    .params = params,
		    .params_size = sizeof(params),
		    .lanes = widths[i]};

		memset(out, 0, 512);
		CHECK_EQ(sg_launch(kernel_get(module, "k"), &l, &fault), 0);
		for (unsigned k = 0; k < 128; k++)
			CHECK_EQ(out[k], SG_POISON);
	}
}

/* A kernel for warps whose scalar registers are computed wrongly, as if an analysis were: its IR is
 * changed before it is compiled. */
static int run_with_mistake(const char *right, const char *wrong, struct sg_fault *fault)
{
	struct sg_module *module = module_load(
	    PTX_HEAD ".visible .entry k(.param .u64 out) { .reg .b32 %r<4>; .reg .b64 %a;\n"
		     "ld.param.u64 %a, [out]; mov.u32 %r1, %tid.x; shr.u32 %r3, %r1, 5;\n"
		     "add.u32 %r2, %r3, 77; st.global.u32 [%a], %r2; ret; }\n");
	uint32_t *out = device_alloc(4);
	uint64_t params[] = {(uint64_t)out};
	struct sg_kernel *kernel = kernel_get(module, "k");
	struct jit_program program = {.entry = kernel->function,
	    .functions = kernel->closure,
	    .n_functions = kernel->n_closure,
	    .is_checked = true};
	struct jit_warp shape = {.width = 32, .row = 32};
	struct sg_launch l = {.grid = {1, 1, 1},
	    .block = {32, 1, 1},
	    .params = params,
	    .params_size = sizeof(params)};
	struct sg_variant *variant = kernel->variants;
	struct jit_error error;
	struct jit_ir changed;
	struct text ir;
	char *place;
	int r;

	while (variant->width != shape.width || variant->row != shape.row)
		variant++;
	CHECK(jit_translate_warp(&program, &shape, &ir, &variant->needs_fibers, &error));
	place = strstr(ir.bytes, right);
	CHECK(place && strlen(right) == strlen(wrong));
	memcpy(place, wrong, strlen(wrong));
	changed = (struct jit_ir){ir.bytes, ir.size, digest_of(ir.bytes, ir.size)};
	CHECK_EQ(jit_compile(&changed, &runtime_machine, said, sizeof(said), &variant->code), 0);
	text_fini(&ir);
	variant->entry = jit_code_entry(variant->code);
	r = launch_listening(kernel, &l, fault);
	if (!r)
		CHECK_EQ(*out, 77);
	return r;
}

TEST(a_wrong_uniform_value_is_found)
{
	struct sg_fault fault;

	CHECK_EQ(setenv("SOFTGPU_CHECK", "1", 1), 0);
	CHECK_EQ(run_with_mistake(", 77", ", 76", &fault), SG_FAULT_TRAP);
	CHECK(strstr(said,
	    "internal error of the software GPU in kernel k, line 6 of its PTX, thread "
	    "(0,0,0): a value was derived from another thread's as 0x4c, but is 0x4d"));
	CHECK_EQ(run_with_mistake(", 77", ", 77", &fault), 0);
	CHECK_STR(said, "");
}

TEST(nothing_is_looked_for_without_the_setting)
{
	CHECK_EQ(unsetenv("SOFTGPU_CHECK"), 0);
	run("st.shared.u32 [%s], %t;\nxor.b32 %s, %s, 4;\nld.shared.u32 %r2, [%s];", 64, 32);
	CHECK_STR(said, "");
}
