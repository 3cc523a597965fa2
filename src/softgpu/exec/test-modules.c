/* Loading: variables and their values, linking of several texts, what is refused and how it is
 * said. */
#include "softgpu/exec/ptxas.h"
#include "softgpu/exec/test-machine.h"

/* Not in the order in which they are named. */
TEST(shared_variables_lie_as_declared)
{
	struct sg_module *module = module_load(
	    PTX_HEAD ".visible .entry k(.param .u64 out) {\n"
		     ".reg .b64 %o; .reg .b32 %r<4>;\n"
		     ".shared .align 8 .b8 a[40]; .shared .align 16 .b8 b[20]; .shared .u32 c;\n"
		     "ld.param.u64 %o, [out]; mov.u32 %r3, c; mov.u32 %r2, b; mov.u32 %r1, a;\n"
		     "st.global.u32 [%o], %r1; st.global.u32 [%o+4], %r2; st.global.u32 [%o+8], "
		     "%r3; ret; }\n");
	uint32_t *out = device_alloc(12);
	uint64_t params[] = {(uint64_t)out};

	launch_fine(kernel_get(module, "k"), 1, 1, params, 1);
	CHECK_EQ(out[0], 0);
	CHECK_EQ(out[1], 48);
	CHECK_EQ(out[2], 68);
}

TEST(variables_and_initial_values)
{
	struct sg_module *module = module_load(
	    PTX_HEAD ".visible .global .align 4 .u32 numbers[4] = {1, 0x10, 010, -1};\n"
		     ".global .f32 f = 0f40490FDB; .global .f64 d[2] = {1.5, 0dC000000000000000};\n"
		     ".const .align 8 .b8 bytes[8] = {1, 2, 3};\n"
		     ".global .u32 grid[2][3] = {{1, 2}, {3, 4, 5}};\n"
		     ".global .u64 pointers[3] = {numbers, numbers+8, generic(grid)+4};\n"
		     ".global .align 8 .u8 split[4] = {0xFF(numbers), 0xFF00(numbers), "
		     "0xFF0000(numbers), 7};\n"
		     ".global .v4 .f32 vector = {0f3F800000, 0f40000000, 0f40400000, 0f40800000};\n"
		     ".global .align 16 .b8 empty[100];\n"
		     ".visible .entry k() { ret; }\n");
	uint64_t a, numbers;
	size_t size;

	CHECK(sg_module_global(module, "numbers", &numbers, &size));
	CHECK_EQ(size, 16);
	CHECK_BYTES((void *)numbers, ((uint32_t[]){1, 16, 8, UINT32_MAX}), 16);
	CHECK(sg_module_global(module, "f", &a, &size));
	CHECK_EQ(*(uint32_t *)a, 0x40490fdb);
	CHECK(sg_module_global(module, "d", &a, &size));
	CHECK_BYTES((void *)a, ((double[]){1.5, -2}), 16);
	CHECK(sg_module_global(module, "bytes", &a, &size));
	CHECK_BYTES((void *)a, "\1\2\3\0\0\0\0\0", 8);
	CHECK(sg_module_global(module, "vector", &a, &size));
	CHECK_BYTES((void *)a, ((float[]){1, 2, 3, 4}), 16);
	CHECK(sg_module_global(module, "split", &a, &size));
	CHECK_BYTES((void *)a,
	    ((uint8_t[]){(uint8_t)numbers, (uint8_t)(numbers >> 8), (uint8_t)(numbers >> 16), 7}),
	    4);
	CHECK(sg_module_global(module, "grid", &a, &size));
	CHECK_BYTES((void *)a, ((uint32_t[]){1, 2, 0, 3, 4, 5}), 24);
	uint64_t grid = a;
	CHECK(sg_module_global(module, "pointers", &a, &size));
	CHECK_BYTES((void *)a, ((uint64_t[]){numbers, numbers + 8, grid + 4}), 24);
	CHECK(!sg_module_global(module, "nothing", &a, &size));
	CHECK_EQ(sg_module_kernel_count(module), 1);
	CHECK(!sg_module_kernel(module, "nothing"));
	CHECK_EQ(sg_kernel_info(sg_module_kernel_at(module, 0))->const_bytes, 8);
	sg_module_unload(module);
}

TEST(facts_of_a_kernel)
{
	struct sg_module *module = module_load(
	    ".version 9.0\n.target sm_75\n.address_size 64\n"
	    ".extern .shared .align 16 .b8 dynamic[]; .shared .align 4 .b8 unused[400];\n"
	    ".visible .entry k(.param .u8 a, .param .u64 b, .param .align 4 .b8 c[6]) .maxntid "
	    "128, 2, 1 {\n"
	    ".reg .b32 %r<3>; .shared .align 8 .b8 s[100]; .local .align 4 .b8 l[40];\n"
	    "st.local.u32 [l], 1; st.shared.u8 [s], 1; st.shared.u8 [dynamic], 1; bar.sync 0; ret; "
	    "}\n");
	const struct sg_kernel_info *info = sg_kernel_info(sg_module_kernel(module, "k"));

	CHECK_STR(info->name, "k");
	CHECK_EQ(info->n_params, 3);
	CHECK_EQ(info->params[1].offset, 8);
	CHECK_EQ(info->params[2].offset, 16);
	CHECK_EQ(info->params[2].size, 6);
	CHECK_EQ(info->param_bytes, 22);
	CHECK_EQ(info->shared_bytes, 100);
	CHECK(info->local_bytes >= 40);
	CHECK_EQ(info->max_threads_per_block, 256);
	CHECK_EQ(info->ptx_version, 90);
	CHECK_EQ(info->target, 75);
	CHECK(info->registers > 0);
	CHECK(info->uses_collectives);
	CHECK(!info->uses_printf);
}

TEST(several_texts)
{
	static const char first[] =
	    PTX_HEAD ".extern .global .u32 shared_counter; .extern .func (.param .b32 r) "
		     "helper(.param .b32 a);\n"
		     ".global .u32 own = 5;\n"
		     ".visible .entry k(.param .u64 out) { .reg .b64 %o; .reg .b32 %r<4>; .param "
		     ".b32 x; .param .b32 y;\n"
		     "ld.param.u64 %o, [out]; ld.global.u32 %r1, [own]; st.param.b32 [x], %r1;\n"
		     "call (y), helper, (x); ld.param.b32 %r2, [y]; st.global.u32 [%o], %r2;\n"
		     "ld.global.u32 %r3, [shared_counter]; st.global.u32 [%o+4], %r3; ret; }\n";
	static const char second[] = PTX_HEAD
	    ".visible .global .u32 shared_counter = 77; .global .u32 own = 1000;\n"
	    ".visible .func (.param .b32 r) helper(.param .b32 a) { .reg .b32 %r<3>; ld.param.u32 "
	    "%r1, [a];\n"
	    "ld.global.u32 %r2, [own]; add.u32 %r1, %r1, %r2; st.param.b32 [r], %r1; ret; }\n";
	struct sg_ptx_input inputs[] = {
	    {"first", first, sizeof(first)}, {"second", second, sizeof(second)}};
	struct sg_log log = {.text = machine_log, .capacity = sizeof(machine_log)};
	uint32_t *out = device_alloc(8);
	uint64_t params[] = {(uint64_t)out};
	struct sg_module *module;

	CHECK_EQ(sg_module_load(inputs, 2, &machine_memory, NULL, &log, &module), 0);
	launch_fine(kernel_get(module, "k"), 1, 1, params, 1);
	CHECK_EQ(out[0], 1005);
	CHECK_EQ(out[1], 77);
	sg_module_unload(module);
	CHECK_EQ(
	    sg_module_load(inputs, 1, &machine_memory, NULL, &log, &module), SG_MODULE_UNRESOLVED);
	CHECK(strstr(machine_log, "helper") || strstr(machine_log, "shared_counter"));
}

/* Lines of preprocessors and debuggers with code beside them, a virtual target, packs of which an
 * element is not given. */
TEST(texts_as_ptxas_takes_them)
{
	static const char text[] =
	    "# 1 \"a.ptx\"\n#line 1 \"b.ptx\"\n.version 8.0\n.target compute_80\n"
	    ".address_size 64\n"
	    ".file 1 \"a.cu\", 1, 2 .visible .entry k(.param .u64 out) {\n"
	    ".reg .b64 %o; .reg .b32 %r<5>; .reg .b16 %h<3>;\n"
	    "ld.param.u64 %o, [out]; .loc 1 2 3 mov.u32 %r1, 0x12345678;\n"
	    "# 7 \"c.h\" 2\nmov.b32 {_, %h1}, %r1; .loc 1 4\n5 mov.b32 %r2, {_, %h1};\n"
	    "mov.b32\n# 8 \"c.h\"\n%r3, {%h1, _}; .loc 1 2 3 { st.global.u32 [%o], %r2; }\n"
	    ".loc 1 7 1 st.global.u32 [%o+4], %r3; .loc 1 2 3 ret; }\n";
	uint32_t *out = device_alloc(8);
	uint64_t params[] = {(uint64_t)out};

	ptxas_check(text, "sm_80");
	launch_fine(kernel_get(module_load(text), "k"), 1, 32, params, 1);
	CHECK_EQ(out[0], 0x12340000);
	CHECK_EQ(out[1], 0x1234);
}

TEST(texts_that_do_not_load)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
	    {"", "ptx:1: PTX starts with .version"},
	    {"hello", "ptx:1: PTX starts with .version"},
	    {".version 8.0\n", "ptx:2: .target is missing"},
	    {PTX_HEAD ".entry k() {\n frobnicate.u32 %r1;\n}",
		"ptx:5: unknown opcode \"frobnicate\""},
	    {PTX_HEAD ".entry k() {\n .reg .b32 %r;\n add.s32.wibble %r, %r, 1; }",
		"ptx:6: unknown modifier \".wibble\" of add"},
	    {PTX_HEAD ".entry k() { add.s32 %r1, 1, 2; }", "ptx:4: unknown name \"%r1\""},
	    {PTX_HEAD ".entry k() {\nbra NOWHERE; }", "ptx:5: unknown label \"NOWHERE\""},
	    {PTX_HEAD ".entry k() { .reg .b32 %r<4>; add.s32 %r4, %r1, 2; }",
		"ptx:4: unknown name \"%r4\""},
	    {PTX_HEAD ".global .u32 a[2] = {1, 2, 3};", "ptx:4: too many values for \"a\""},
	    {PTX_HEAD ".global .u32 a; .global .u32 a;", "ptx:4: \"a\" is declared twice"},
	    {PTX_HEAD ".entry k() { L: L: ret; }", "ptx:4: \"L\" is declared twice"},
	    {PTX_HEAD ".entry k() { ret", "ptx:4: integer expected at the end of the text"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sg_module *module;

		CHECK_EQ(module_try(cases[i].text, &module), SG_MODULE_INVALID);
		if (!strstr(machine_log, cases[i].message))
			test_fail(__FILE__, __LINE__, "\"%s\" instead of \"%s\"", machine_log,
			    cases[i].message);
	}
}

/* PTX that is right but not done yet fails where it is used, not where it is loaded. */
TEST(unsupported_instructions)
{
	struct sg_module *module = module_load(PTX_HEAD
	    ".visible .entry bad() { .reg .f32 %f<5>; .reg .b64 %d;\n"
	    "tex.2dms.v4.f32.s32 {%f1, %f2, %f3, %f4}, [%d, {0, 0, 0, 0}]; ret; }\n"
	    ".visible .entry matrix() { .reg .b32 %r; .reg .b64 %d; .reg .pred %p;\n"
	    "tcgen05.mma.cta_group::1.kind::mxf4 [%r], %d, %d, %r, [%r], [%r], %p; ret; }\n"
	    ".visible .entry single() .explicitcluster .reqnctapercluster 1 { ret; }\n"
	    ".visible .entry good() { ret; }\n");
	struct sg_log log = {.text = machine_log, .capacity = sizeof(machine_log)};
	struct sg_launch l = {.grid = {1, 1, 1}, .block = {1, 1, 1}};
	struct sg_fault fault;

	CHECK_EQ(sg_kernel_prepare(sg_module_kernel(module, "bad"), &log), SG_MODULE_UNSUPPORTED);
	CHECK(strstr(machine_log, "ptx:5: "));
	CHECK(strstr(machine_log, "tex"));
	CHECK_EQ(
	    sg_kernel_prepare(sg_module_kernel(module, "matrix"), &log), SG_MODULE_UNSUPPORTED);
	CHECK_EQ(sg_launch(sg_module_kernel(module, "bad"), &l, &fault), SG_FAULT_NOT_STARTED);
	CHECK_EQ(fault.prepare_result, SG_MODULE_UNSUPPORTED);
	launch_fine(kernel_get(module, "single"), 1, 1, NULL, 0);
	launch_fine(kernel_get(module, "good"), 1, 1, NULL, 0);
}

/* Instructions that are wrong in themselves are found when the kernel is compiled. */
TEST(wrong_instructions)
{
	static const char *const bodies[] = {
	    "add.s32 %r1, %p1, 2;",
	    "mul.s32 %r1, %r1, 2;",
	    "setp.lo.f32 %p1, %f1, %f1;",
	    "ld.global.v2.u32 %r1, [%d1];",
	    "lop3.b32 %r1, %r1, %r1, %r1, %r1;",
	    "mov.u32 5, %r1;",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		struct sg_log log = {.text = machine_log, .capacity = sizeof(machine_log)};
		char text[400];
		struct sg_module *module;

		snprintf(text, sizeof(text),
		    PTX_HEAD ".entry k() { .reg .b32 %%r<3>; .reg .pred %%p<3>; .reg .f32 %%f<3>; "
			     ".reg .b64 %%d<3>;\n%s ret; }",
		    bodies[i]);
		module = module_load(text);
		machine_log[0] = 0;
		CHECK_EQ(sg_kernel_prepare(sg_module_kernel(module, "k"), &log), SG_MODULE_INVALID);
		CHECK(strstr(machine_log, "ptx:5: "));
		sg_module_unload(module);
	}
}

/* Tables of megabytes, as cuRAND's, must load at the speed of reading. */
TEST(large_tables)
{
	enum { N = 300000 };
	size_t capacity = N * 12 + 400, used;
	char *text = malloc(capacity);
	struct sg_module *module;
	uint64_t address;
	size_t size;

	used = (size_t)snprintf(text, capacity, PTX_HEAD ".global .u32 table[%d] = {0", N);
	for (unsigned i = 1; i < N; i++)
		used += (size_t)snprintf(text + used, capacity - used, ", %u", i * 2654435761u);
	snprintf(text + used, capacity - used, "};\n");
	module = module_load(text);
	CHECK(sg_module_global(module, "table", &address, &size));
	CHECK_EQ(size, N * 4);
	for (unsigned i = 0; i < N; i++)
		CHECK(((uint32_t *)address)[i] == i * 2654435761u);
	sg_module_unload(module);
	free(text);
}

/* Two kernels with other shared variables of their own see the one behind the pointer alike. */
TEST(addresses_of_shared_variables)
{
	struct sg_module *module = module_load(PTX_HEAD
	    ".shared .align 4 .b8 pad[20]; .shared .align 16 .b8 target[64]; .shared .align 4 .b8 "
	    "other[8];\n"
	    ".global .u32 at[2] = {target, target+8};\n"
	    ".visible .entry a(.param .u64 o) { .reg .b64 %d<3>; .reg .b32 %r<5>; ld.param.u64 "
	    "%d1, "
	    "[o];\n"
	    "st.shared.u32 [other], 9; st.shared.u32 [target+8], 41; st.shared.u32 [pad], 8;\n"
	    "ld.global.u32 %r1, [at+4]; ld.shared.u32 %r2, [%r1]; st.global.u32 [%d1], %r2; ret; "
	    "}\n"
	    ".visible .entry b(.param .u64 o) { .reg .b64 %d<3>; .reg .b32 %r<5>; ld.param.u64 "
	    "%d1, "
	    "[o];\n"
	    "st.shared.u32 [target+8], 42; ld.global.u32 %r1, [at]; ld.shared.u32 %r2, [%r1+8];\n"
	    "st.global.u32 [%d1+4], %r2; ret; }\n");
	uint32_t *out = device_alloc(8);
	uint64_t params[] = {(uint64_t)out};

	launch_fine(kernel_get(module, "a"), 1, 1, params, 1);
	launch_fine(kernel_get(module, "b"), 1, 1, params, 1);
	CHECK_EQ(out[0], 41);
	CHECK_EQ(out[1], 42);
}
