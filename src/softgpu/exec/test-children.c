/* Kernels that launch kernels: what runs, in which order, and what a launch that cannot be
 * gives. */
#include "softgpu/exec/test-machine.h"

/* clang-format off */
/* note(log, value) appends value; LAUNCH(kernel, value, stream) has thread %v launch it. */
static const char head[] = PTX_HEAD
    ".extern .func (.param .b64 r) __cudaCDP2GetParameterBufferV2(.param .b64 f,\n"
    "  .param .align 4 .b8 g[12], .param .align 4 .b8 b[12], .param .b32 s);\n"
    ".extern .func (.param .b32 r) __cudaCDP2LaunchDeviceV2(.param .b64 p, .param .b64 s);\n"
    ".extern .func (.param .b32 r) __cudaCDP2GetLastError();\n"
    ".extern .func (.param .b32 r) __cudaCDP2MemsetAsync_ptsz(.param .b64 p, .param .b32 v, .param .b64 n, .param .b64 s);\n"
    ".extern .func (.param .b32 r) __cudaCDP2MemcpyAsync(.param .b64 t, .param .b64 f, .param .b64 n, .param .b32 k, .param .b64 s);\n"
    ".extern .func (.param .b32 r) __cudaCDP2Malloc(.param .b64 t, .param .b64 n);\n"
    ".extern .func (.param .b32 r) __cudaCDP2Free(.param .b64 p);\n"
    ".extern .func (.param .b64 r) __cudaCDP2GetErrorString(.param .b32 e);\n"
    ".extern .func (.param .b32 r) __cudaCDP2GetDeviceCount(.param .b64 t);\n"
    ".extern .func (.param .b32 r) __cudaCDP2DeviceGetLimit(.param .b64 v, .param .b32 l);\n"
    ".extern .func cudaGraphSetConditional(.param .b64 h, .param .b32 v);\n"
    ".visible .entry note(.param .u64 log, .param .u32 value) { .reg .b64 %d<3>; .reg .b32 %r<3>;\n"
    "  ld.param.u64 %d1, [log]; ld.param.u32 %r1, [value]; atom.global.add.u32 %r2, [%d1], 1;\n"
    "  mul.wide.u32 %d2, %r2, 4; add.u64 %d1, %d1, %d2; st.global.u32 [%d1+4], %r1; ret; }\n"
    ".visible .entry broken(.param .u64 log, .param .u32 value) { trap; }\n"
    /* launches one of the two, of y threads, into a stream */
    ".func (.param .b32 error) start(.param .b64 f, .param .b64 log, .param .b32 value, .param .b32 y, .param .b64 stream)\n"
    "{ .reg .b64 %d<4>; .reg .b32 %r<3>; .reg .pred %p;\n"
    "  .param .b64 a; .param .align 4 .b8 g[12]; .param .align 4 .b8 b[12]; .param .b32 s; .param .b64 r;\n"
    "  ld.param.u64 %d1, [f]; st.param.b64 [a], %d1; ld.param.u32 %r1, [y]; mov.u32 %r2, 1;\n"
    "  st.param.b32 [g], %r2; st.param.b32 [g+4], %r2; st.param.b32 [g+8], %r2;\n"
    "  st.param.b32 [b], %r2; st.param.b32 [b+4], %r1; st.param.b32 [b+8], %r2; mov.u32 %r2, 0; st.param.b32 [s], %r2;\n"
    "  call (r), __cudaCDP2GetParameterBufferV2, (a, g, b, s); ld.param.b64 %d2, [r];\n"
    "  setp.eq.u64 %p, %d2, 0; @%p bra NONE; ld.param.u64 %d3, [log]; st.b64 [%d2], %d3;\n"
    "  ld.param.u32 %r1, [value]; st.b32 [%d2+8], %r1;\n"
    "  NONE: .param .b64 q; .param .b64 t; .param .b32 e; st.param.b64 [q], %d2; ld.param.u64 %d3, [stream];\n"
    "  st.param.b64 [t], %d3; call (e), __cudaCDP2LaunchDeviceV2, (q, t); ld.param.b32 %r1, [e];\n"
    "  st.param.b32 [error], %r1; ret; }\n";
/* clang-format on */

static const char *start(const char *kernel, const char *value, unsigned y, unsigned stream)
{
	static char text[8][1024];
	static unsigned next;
	char *out = text[next++ % 8];

	snprintf(out, sizeof(text[0]),
	    "{ .param .b64 f; .param .b64 l; .param .b32 v; .param .b32 y; .param .b64 t; .param "
	    ".b32 "
	    "e;\nmov.u64 %%d9, %s; st.param.b64 [f], %%d9; st.param.b64 [l], %%d1; mov.u32 %%r9, "
	    "%s;\nst.param.b32 [v], %%r9; mov.u32 %%r9, %u; st.param.b32 [y], %%r9; mov.u64 %%d9, "
	    "%u;\nst.param.b64 [t], %%d9; call (e), start, (f, l, v, y, t); ld.param.b32 %%r1, "
	    "[e]; "
	    "}\n",
	    kernel, value, y, stream);
	return out;
}

static uint32_t *run_parent(const char *body, unsigned blocks, struct sg_fault *fault)
{
	static char text[16384];
	uint32_t *log = device_alloc(4096);
	uint64_t params[] = {(uint64_t)log};

	snprintf(text, sizeof(text),
	    "%s.visible .entry middle(.param .u64 log, .param .u32 value) { .reg .b64 %%d<10>; "
	    ".reg .b32 "
	    "%%r<10>;\nld.param.u64 %%d1, [log]; %s %s ret; }\n"
	    ".visible .entry chain(.param .u64 log, .param .u32 value) { .reg .b64 %%d<10>; "
	    ".reg .b32 %%r<10>; .reg .pred %%p;\nld.param.u64 %%d1, [log]; ld.global.u32 %%r5, "
	    "[%%d1]; add.u32 %%r5, %%r5, 1; st.global.u32 [%%d1], %%r5; ld.param.u32 %%r6, "
	    "[value]; setp.eq.u32 %%p, %%r5, %%r6; @%%p ret; %s ret; }\n"
	    ".visible .entry k(.param .u64 log) { .reg .b64 %%d<10>; .reg .b32 %%r<10>;\n"
	    "ld.param.u64 %%d1, [log];\n%s\nret; }\n",
	    head, start("note", "11", 1, 3), start("note", "10", 1, 0), start("chain", "%r6", 1, 3),
	    body);
	launch(kernel_get(module_load(text), "k"), blocks, 1, params, 1, fault);
	return log;
}

static const char *join(const char *a, const char *b, const char *c)
{
	static char texts[4][16384];
	static unsigned next;
	char *out = texts[next++ % ARRAY_SIZE(texts)];

	CHECK(strlen(a) + strlen(b) + strlen(c) < sizeof(texts[0]));
	stpcpy(stpcpy(stpcpy(out, a), b), c);
	return out;
}

/* The children of a child come before its sibling, its tail launch last of them; the parent's tail
 * launch comes at the very end. */
TEST(children_run_in_order)
{
	struct sg_fault fault;
	const uint32_t wanted[] = {6, 1, 10, 11, 2, 2, 3};
	uint32_t *log =
	    run_parent(join(join(start("note", "3", 1, 3), start("note", "1", 1, 0), ""),
			   start("middle", "0", 1, 4), start("note", "2", 2, 0)),
		1, &fault);

	CHECK_EQ(fault.kind, 0);
	CHECK_BYTES(log, wanted, sizeof(wanted));
}

/* Each launches the next; the stack of a host thread would end after some ten thousand. */
TEST(chains_of_launches_are_long)
{
	struct sg_fault fault;
	uint32_t *log = run_parent(start("chain", "50000", 1, 0), 1, &fault);

	CHECK_EQ(fault.kind, 0);
	CHECK_EQ(log[0], 50000);
}

TEST(the_watchdog_ends_chains_without_end)
{
	struct sg_fault fault;

	setenv("SOFTGPU_WATCHDOG", "0.2", 1);
	uint32_t *log = run_parent(start("chain", "0", 1, 0), 1, &fault);

	CHECK_EQ(fault.kind, SG_FAULT_STOPPED);
	CHECK(log[0] > 0);
}

TEST(every_thread_may_launch)
{
	struct sg_fault fault;
	uint32_t *log = run_parent(start("note", "%ctaid.x", 1, 0), 500, &fault);
	bool seen[500] = {false};

	CHECK_EQ(log[0], 500);
	for (int i = 1; i <= 500; i++) {
		CHECK(log[i] < 500 && !seen[log[i]]);
		seen[log[i]] = true;
	}
}

TEST(copies_and_fills_take_their_turn)
{
	struct sg_fault fault;
	uint32_t *log = run_parent(
	    join(start("note", "7", 1, 0),
		"{ .param .b64 t; .param .b64 f; .param .b64 n; .param .b32 k; .param .b64 s; "
		".param .b32 "
		"e; add.u64 %d2, %d1, 64; st.param.b64 [t], %d2; st.param.b64 [f], %d1; mov.u64 "
		"%d3, 8; "
		"st.param.b64 [n], %d3; mov.u32 %r2, 3; st.param.b32 [k], %r2; mov.u64 %d3, 0; "
		"st.param.b64 "
		"[s], %d3; call (e), __cudaCDP2MemcpyAsync, (t, f, n, k, s); }\n"
		"{ .param .b64 t; .param .b32 v; .param .b64 n; .param .b64 s; .param .b32 e; "
		"add.u64 %d2, "
		"%d1, 128; st.param.b64 [t], %d2; mov.u32 %r2, 255; st.param.b32 [v], %r2; mov.u64 "
		"%d3, 5; "
		"st.param.b64 [n], %d3; mov.u64 %d3, 0; st.param.b64 [s], %d3; call (e), "
		"__cudaCDP2MemsetAsync_ptsz, (t, v, n, s); }\n",
		""),
	    1, &fault);

	CHECK_EQ(fault.kind, 0);
	CHECK_EQ(log[16], 1);
	CHECK_EQ(log[17], 7);
	CHECK_EQ(log[32], UINT32_MAX);
	CHECK_EQ(log[33], 255);
}

TEST(a_launch_that_cannot_be_is_an_error_of_the_thread)
{
	struct sg_fault fault;
	uint32_t *log = run_parent(
	    join(start("note", "1", 5000, 0),
		"st.global.u32 [%d1+64], %r1; { .param .b32 e; call (e), __cudaCDP2GetLastError; "
		"ld.param.b32 %r2, [e]; st.global.u32 [%d1+68], %r2; }\n"
		"{ .param .b32 e; call (e), __cudaCDP2GetLastError; ld.param.b32 %r2, [e]; "
		"st.global.u32 "
		"[%d1+72], %r2; }\n",
		start("%d1", "1", 1, 0)),
	    1, &fault);

	CHECK_EQ(fault.kind, 0);
	CHECK_EQ(log[0], 0);
	CHECK_EQ(log[16], 9);
	CHECK_EQ(log[17], 9);
	CHECK_EQ(log[18], 0);
}

TEST(a_childs_fault_is_the_grids)
{
	struct sg_fault fault;
	uint32_t *log = run_parent(
	    join(start("note", "1", 1, 0), start("broken", "1", 1, 0), start("note", "2", 1, 0)), 1,
	    &fault);

	CHECK_EQ(fault.kind, SG_FAULT_TRAP);
	CHECK_EQ(log[0], 1);
}

TEST(copies_outside_memory_are_faults)
{
	struct sg_fault fault;

	run_parent(
	    "{ .param .b64 t; .param .b32 v; .param .b64 n; .param .b64 s; .param .b32 e; add.u64 "
	    "%d2, %d1, 0x10000000; st.param.b64 [t], %d2; mov.u32 %r2, 255; st.param.b32 [v], %r2; "
	    "mov.u64 %d3, 5; st.param.b64 [n], %d3; mov.u64 %d3, 0; st.param.b64 [s], %d3; call "
	    "(e), "
	    "__cudaCDP2MemsetAsync_ptsz, (t, v, n, s); }\n",
	    1, &fault);
	CHECK_EQ(fault.kind, SG_FAULT_ILLEGAL_ADDRESS);
}

/* Memory for 2 words, in which the start of "invalid argument" is left; 0 and 1 are errors. */
TEST(memory_and_texts_of_errors)
{
	static const char body[] =
	    "{ .param .b64 t; .param .b64 n; .param .b32 e; st.param.b64 [t], %d1; mov.u64 %d2, 8; "
	    "st.param.b64 [n], %d2; call (e), __cudaCDP2Malloc, (t, n); ld.param.b32 %r1, [e]; }\n"
	    "ld.global.u64 %d3, [%d1]; st.global.u32 [%d1+8], %r1;\n"
	    "{ .param .b32 c; .param .b64 r; mov.u32 %r2, 1; st.param.b32 [c], %r2; call (r), "
	    "__cudaCDP2GetErrorString, (c); ld.param.b64 %d4, [r]; ld.u64 %d5, [%d4]; }\n"
	    "st.global.u64 [%d3], %d5; ld.global.u64 %d6, [%d3]; st.global.u64 [%d1+16], %d6;\n"
	    "{ .param .b64 p; .param .b32 e; st.param.b64 [p], %d3; call (e), __cudaCDP2Free, "
	    "(p); ld.param.b32 %r1, [e]; st.global.u32 [%d1+12], %r1; }\n"
	    "{ .param .b64 t; .param .b64 n; .param .b32 e; st.param.b64 [t], %d1; mov.u64 %d2, "
	    "0x7fffffffffffffff; st.param.b64 [n], %d2; call (e), __cudaCDP2Malloc, (t, n); "
	    "ld.param.b32 %r1, [e]; st.global.u32 [%d1+24], %r1; }\n"
	    "{ .param .b64 t; .param .b32 e; add.u64 %d2, %d1, 28; st.param.b64 [t], %d2; call "
	    "(e), __cudaCDP2GetDeviceCount, (t); }\n";
	struct sg_fault fault;
	uint32_t *log = run_parent(body, 1, &fault);

	CHECK_EQ(fault.kind, 0);
	CHECK_EQ(log[0] | log[1], 0); /* what the allocation that failed left */
	CHECK_EQ(log[2], 0);
	CHECK_EQ(log[3], 0);
	CHECK_BYTES(&log[4], "invalid ", 8);
	CHECK_EQ(log[6], 2);
	CHECK_EQ(log[7], 1);
}

TEST(what_the_runtime_lacks_is_named)
{
	struct sg_module *module = module_load(join(head,
	    ".visible .entry q(.param .u64 a) { .reg .b64 %d; .reg .b32 %r; .param .b64 v; .param "
	    ".b32 "
	    "l; .param .b32 e;\nld.param.u64 %d, [a]; st.param.b64 [v], %d; mov.u32 %r, 0; "
	    "st.param.b32 "
	    "[l], %r;\ncall (e), __cudaCDP2DeviceGetLimit, (v, l); ret; }\n",
	    ""));
	struct sg_log log = {.text = machine_log, .capacity = sizeof(machine_log)};

	CHECK_EQ(sg_kernel_prepare(sg_module_kernel(module, "q"), &log), SG_MODULE_UNSUPPORTED);
	CHECK(strstr(machine_log, "__cudaCDP2DeviceGetLimit"));
}

TEST(a_conditional_handle_is_a_word)
{
	struct sg_fault fault;
	uint32_t *log =
	    run_parent("{ .param .b64 h; .param .b32 v; add.u64 %d2, %d1, 16; st.param.b64 [h], "
		       "%d2; mov.u32 %r1, 5; st.param.b32 [v], %r1; call "
		       "cudaGraphSetConditional, (h, v); }\n",
		1, &fault);

	CHECK_EQ(fault.kind, 0);
	CHECK_EQ(log[4], 5);
}
