/* How kernels fail: every fault becomes a report, and the next launch runs. */
#include "softgpu/exec/test-machine.h"

#include <pthread.h>
#include <unistd.h>

static uint32_t lanes; /* as in struct sg_launch */

static int run(const char *body, uint32_t threads, uint64_t argument, struct sg_fault *fault)
{
	static char text[4096];
	struct sg_module *module;
	uint64_t params[] = {argument};
	struct sg_launch l = {.grid = {1, 1, 1},
	    .block = {threads, 1, 1},
	    .params = params,
	    .params_size = sizeof(params),
	    .lanes = lanes};
	int r;

	snprintf(text, sizeof(text),
	    PTX_HEAD
	    ".extern .func __assertfail(.param .b64 a, .param .b64 b, .param .b32 c, .param .b64 "
	    "d, .param .b64 e);\n"
	    ".func deep(.param .b64 a) { .reg .b64 %%d; .param .b64 x; .local .align 8 .b8 l[64];\n"
	    "ld.param.u64 %%d, [a]; st.local.u64 [l], %%d; add.u64 %%d, %%d, 1; st.param.b64 [x], "
	    "%%d;\n"
	    "call deep, (x); ld.volatile.local.u64 %%d, [l]; ret; }\n"
	    ".func wide(.param .b64 a) { .reg .b64 %%d; .param .b64 x; .local .align 8 .b8 "
	    "l[24576];\n"
	    "ld.param.u64 %%d, [a]; st.local.u64 [l], %%d; add.u64 %%d, %%d, 1; st.param.b64 [x], "
	    "%%d;\n"
	    "call wide, (x); ld.volatile.local.u64 %%d, [l]; ret; }\n"
	    ".visible .entry k(.param .u64 argument) {\n"
	    ".reg .pred %%p<4>; .reg .b32 %%r<9>; .reg .b64 %%d<9>, %%a; .shared .align 4 .u32 "
	    "s[4];\n"
	    "ld.param.u64 %%a, [argument];\n%s\nret; }\n",
	    body);
	module = module_load(text);
	r = sg_launch(kernel_get(module, "k"), &l, fault);
	sg_module_unload(module);
	return r;
}

static void check_still_runs(void)
{
	struct sg_fault fault;
	uint32_t *word = device_alloc(4);

	CHECK_EQ(run("bar.sync 0; st.global.u32 [%a], 3;", 32, (uint64_t)word, &fault), 0);
	CHECK_EQ(*word, 3);
}

TEST(addresses_outside_the_arena)
{
	static int host;
	struct sg_fault fault;

	CHECK_EQ(
	    run("st.global.u32 [%a], 1;", 1, (uint64_t)&host, &fault), SG_FAULT_ILLEGAL_ADDRESS);
	CHECK(fault.address == (uint64_t)&host);
	CHECK(fault.is_write);
	CHECK_EQ(host, 0);
	CHECK_EQ(run("ld.u8 %r1, [%a];", 1, 0, &fault), SG_FAULT_ILLEGAL_ADDRESS);
	CHECK(!fault.is_write);
	check_still_runs();
}

TEST(unmapped_device_memory)
{
	uint8_t *memory = device_alloc(1 << 16);
	struct sg_fault fault;

	CHECK_EQ(run("mov.u32 %r1, %tid.x; setp.eq.u32 %p1, %r1, 37; @%p1 st.global.u32 [%a], 1;",
		     64, (uint64_t)memory + (1 << 16) + 8, &fault),
	    SG_FAULT_ILLEGAL_ADDRESS);
	CHECK(fault.address == (uint64_t)memory + (1 << 16) + 8);
	CHECK(fault.is_write);
	CHECK_EQ(fault.thread[0], 37);
	CHECK_STR(fault.kernel ? "named" : NULL, "named");
	check_still_runs();
}

TEST(misaligned_addresses)
{
	uint8_t *memory = device_alloc(64);
	struct sg_fault fault;

	CHECK_EQ(
	    run("ld.global.u32 %r1, [%a];", 1, (uint64_t)memory + 2, &fault), SG_FAULT_MISALIGNED);
	CHECK_EQ(
	    run("ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%a];", 1, (uint64_t)memory + 8, &fault),
	    SG_FAULT_MISALIGNED);
	CHECK_EQ(run("st.shared.u32 [s], 1; ld.shared.u32 %r1, [%a];", 1, 2, &fault),
	    SG_FAULT_MISALIGNED);
	CHECK_EQ(run("ld.global.u64 %d1, [%a]; ld.global.v2.u64 {%d2, %d3}, [%a+4];\n"
		     "ld.global.v2.u64 {%d4, %d5}, [%a+20];",
		     1, (uint64_t)memory, &fault),
	    SG_FAULT_MISALIGNED);
	CHECK(fault.address == (uint64_t)memory + 4);
	CHECK_EQ(run("ld.global.u8 %r1, [%a];", 1, (uint64_t)memory + 3, &fault), 0);
}

TEST(shared_memory_bounds)
{
	struct sg_fault fault;

	CHECK_EQ(run("st.shared.u32 [s], 1; st.shared.u32 [%a], 1;", 1, 124, &fault), 0);
	CHECK_EQ(run("st.shared.u32 [s], 1; st.shared.u32 [%a], 1;", 1, 128, &fault),
	    SG_FAULT_ILLEGAL_ADDRESS);
	CHECK_EQ(run("st.shared.u32 [s], 1; st.shared.u32 [%a+-4], 1;", 1, 0, &fault),
	    SG_FAULT_ILLEGAL_ADDRESS);
	CHECK_EQ(fault.is_write, 1);
}

/* One check does for both loads; the one that is outside is reported, after the store before it. */
TEST(one_of_several_places_is_outside)
{
	uint32_t *memory = device_alloc(1 << 16);
	struct sg_fault fault;

	memory[0] = 0;
	CHECK_EQ(run("bar.sync 0; ld.global.u32 %r1, [%a+-4096]; st.global.u32 [%a+-65536], 7;\n"
		     "ld.volatile.global.u32 %r2, [%a]; bar.sync 0;",
		     256, (uint64_t)memory + (1 << 16), &fault),
	    SG_FAULT_ILLEGAL_ADDRESS);
	CHECK(fault.address == (uint64_t)memory + (1 << 16));
	CHECK_EQ(memory[0], 7);
	CHECK_EQ(run("mov.u32 %r1, %tid.x; mul.wide.u32 %d1, %r1, 4; add.u64 %d1, %d1, %a;\n"
		     "bar.sync 0; ld.global.u32 %r2, [%d1+-800]; ld.global.u32 %r3, [%d1+4];",
		     256, SG_ARENA_BASE + SG_ARENA_SIZE - 800, &fault),
	    SG_FAULT_ILLEGAL_ADDRESS);
	CHECK(!fault.is_write);
	check_still_runs();
}

/* In a branch that threads of several warps take: offsets of those that do not are outside, too. */
TEST(threads_that_run_are_inside)
{
	struct sg_fault fault;
	static const char body[] =
	    "mov.u32 %%r1, %%tid.x; mul.lo.u32 %%r2, %%r1, 4; mov.u32 %%r4, s; add.u32 %%r2, %%r2, "
	    "%%r4;\n"
	    "sub.u32 %%r2, %%r2, 40; bar.sync 0; setp.lt.u32 %%p1, %%r1, 10; @%%p1 bra L;\n"
	    "setp.gt.u32 %%p2, %%r1, %u; @%%p2 bra L; st.shared.u32 [%%r2], %%r1;\n"
	    "ld.shared.u32 %%r3, [%%r2]; st.global.u32 [%%a], %%r3; L: bar.sync 0;";
	uint32_t *word = device_alloc(4);
	char text[1000];

	snprintf(text, sizeof(text), body, 13);
	CHECK_EQ(run(text, 256, (uint64_t)word, &fault), 0);
	CHECK_EQ(*word, 13);
	snprintf(text, sizeof(text), body, 200);
	CHECK_EQ(run(text, 256, (uint64_t)word, &fault), SG_FAULT_ILLEGAL_ADDRESS);
	CHECK_EQ(fault.address, 128);
	CHECK_EQ(fault.thread[0], 42);
	CHECK(fault.is_write);
	check_still_runs();
}

/* Whatever reads or writes: the body, and what it is given. */
static void check_strays(uint32_t width)
{
	static int host;
	static const struct {
		const char *body;
		uint64_t argument;
	} strays[] = {
	    {"red.global.add.u32 [%a], 1;", 8},
	    {"atom.global.cas.b64 %d1, [%a], 1, 2; st.global.u64 [%a], %d1;", (uint64_t)&host},
	    {"atom.global.add.noftz.f16x2 %r1, [%a], 0;", (uint64_t)&host},
	    {"mov.u32 %r1, s; atom.shared.exch.b32 %r2, [%a], %r1;", 1 << 20},
	    {"st.shared.u32 [s], 1; red.shared.add.u32 [%a], 1;", 128},
	    {"st.shared.u32 [s], 1; ld.shared.v4.u32 {%r1, %r2, %r3, %r4}, [%a];", 128},
	    {"ld.global.v2.u64 {%d1, %d2}, [%a]; st.global.u64 [%a], %d2;",
		SG_ARENA_BASE + SG_ARENA_SIZE},
	    {"cp.async.ca.shared.global [s], [%a], 16; cp.async.wait_all;", 1 << 20},
	    {"ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r1}, [%a];", 1 << 20},
	    {".local .align 4 .b8 l[64]; mov.u64 %d1, l; add.u64 %d1, %d1, %a; st.local.u32 [%d1], "
	     "1; ld.volatile.local.u32 %r1, [l];",
		1ull << 45},
	    {"mov.u32 %r1, %tid.x; setp.eq.u32 %p1, %r1, 33; @!%p1 bra E; red.global.add.u32 [%a], "
	     "1; "
	     "E: bar.sync 0;",
		8},
	};
	struct sg_fault fault;

	lanes = width;
	for (unsigned i = 0; i < ARRAY_SIZE(strays); i++) {
		CHECK_EQ(
		    run(strays[i].body, 64, strays[i].argument, &fault), SG_FAULT_ILLEGAL_ADDRESS);
		check_still_runs();
	}
}

TEST(strays_of_a_thread_at_a_time)
{
	check_strays(1);
}

TEST(strays_of_threads_in_step)
{
	check_strays(32);
}

TEST(trap)
{
	struct sg_fault fault;

	CHECK_EQ(run("mov.u32 %r1, %tid.x; setp.eq.u32 %p1, %r1, 5; @%p1 trap;", 8, 0, &fault),
	    SG_FAULT_TRAP);
	CHECK_EQ(fault.thread[0], 5);
	check_still_runs();
}

TEST(assertion)
{
	uint64_t text = (uint64_t)strcpy(device_alloc(16), "x > 3");
	struct sg_fault fault;

	CHECK_EQ(run(".param .b64 t; .param .b32 l; st.param.b64 [t], %a; st.param.b32 [l], 12;\n"
		     "call __assertfail, (t, t, l, t, t);",
		     2, text, &fault),
	    SG_FAULT_ASSERT);
	check_still_runs();
}

TEST(endless_recursion)
{
	struct sg_fault fault;

	CHECK_EQ(run(".param .b64 x; st.param.b64 [x], %a; call deep, (x);", 1, 0, &fault),
	    SG_FAULT_STACK);
	CHECK_EQ(
	    run("bar.sync 0; .param .b64 x; st.param.b64 [x], %a; call deep, (x);", 32, 0, &fault),
	    SG_FAULT_STACK);
	check_still_runs();
}

/* Through a pointer, by some lanes. */
TEST(endless_recursion_of_some_lanes)
{
	struct sg_fault fault;

	for (lanes = 1; lanes <= 32; lanes += 31) {
		CHECK_EQ(
		    run("mov.u32 %r1, %tid.x; rem.u32 %r1, %r1, 3; setp.eq.u32 %p1, %r1, 1;\n"
			"@!%p1 bra E; p: .callprototype _ (.param .b64 x); .param .b64 x;\n"
			"mov.u64 %d1, deep; st.param.b64 [x], %a; call %d1, (x), p; E: bar.sync 0;",
			64, 0, &fault),
		    SG_FAULT_STACK);
		CHECK_EQ(fault.thread[0] % 3, 1);
		check_still_runs();
	}
}

/* Frames of many pages must not step over the guard into another thread's stack. */
TEST(endless_recursion_in_large_steps)
{
	struct sg_fault fault;

	CHECK_EQ(
	    run("bar.sync 0; .param .b64 x; st.param.b64 [x], %a; call wide, (x);", 64, 0, &fault),
	    SG_FAULT_STACK);
	check_still_runs();
}

TEST(deadlock_at_a_barrier)
{
	struct sg_fault fault;

	CHECK_EQ(run("mov.u32 %r1, %tid.x; setp.lt.u32 %p1, %r1, 32; @%p1 bar.sync 1, 64; @!%p1 "
		     "bar.sync 2, 64;",
		     64, 0, &fault),
	    SG_FAULT_DEADLOCK);
	CHECK_EQ(run("mov.u32 %r1, %tid.x; setp.eq.u32 %p1, %r1, 0; @%p1 bar.sync 0; @!%p1 "
		     "bar.warp.sync -1;",
		     32, 0, &fault),
	    SG_FAULT_DEADLOCK);
	check_still_runs();
}

/* Threads that have left do not come. */
TEST(deadlock_with_half_a_warp_gone)
{
	struct sg_fault fault;

	for (lanes = 1; lanes <= 32; lanes += 31) {
		CHECK_EQ(run("mov.u32 %r1, %tid.x; and.b32 %r1, %r1, 1; setp.eq.u32 %p1, %r1, 1;\n"
			     "@%p1 exit; bar.sync 1, 128;",
			     64, 0, &fault),
		    SG_FAULT_DEADLOCK);
		CHECK_EQ(run("mov.u32 %r1, %tid.x; and.b32 %r1, %r1, 1; setp.eq.u32 %p1, %r1, 1;\n"
			     "@%p1 exit; bar.sync 0;",
			     64, 0, &fault),
		    0);
		check_still_runs();
	}
}

TEST(call_of_no_function)
{
	struct sg_fault fault;

	CHECK_EQ(run("p: .callprototype _ (); call %a, (), p;", 1, 0x1234, &fault),
	    SG_FAULT_ILLEGAL_CALL);
	check_still_runs();
}

static atomic_uint stop;

static void *raise_stop(void *unused)
{
	usleep(100000);
	atomic_store(&stop, 1);
	return NULL;
}

/* A loop without memory accesses can be ended too. */
TEST(endless_loop_is_stopped)
{
	struct sg_module *module = module_load(PTX_HEAD ".visible .entry k() { L: bra L; }\n");
	struct sg_launch l = {.grid = {64, 1, 1}, .block = {64, 1, 1}, .stop = &stop};
	struct sg_kernel *kernel = kernel_get(module, "k");
	struct sg_fault fault;
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, raise_stop, NULL), 0);
	CHECK_EQ(sg_launch(kernel, &l, &fault), SG_FAULT_STOPPED);
	pthread_join(thread, NULL);
	check_still_runs();
}

TEST(launches_that_cannot_start)
{
	struct sg_module *module =
	    module_load(PTX_HEAD ".visible .entry k(.param .u64 a) .maxntid 64, 1, 1 { ret; }\n"
				 ".visible .entry q() .reqntid 32, 1, 1 { .shared .b8 s[1000]; "
				 "st.shared.u8 [s], 1; ret; }\n");
	struct sg_kernel *kernel = kernel_get(module, "k"), *exact = kernel_get(module, "q");
	uint64_t param = 0;
	struct sg_launch l = {
	    .grid = {1, 1, 1}, .block = {64, 1, 1}, .params = &param, .params_size = 8};
	struct sg_fault fault;

	CHECK_EQ(sg_launch(kernel, &l, &fault), 0);
	l.block[0] = 65;
	CHECK_EQ(sg_launch(kernel, &l, &fault), SG_FAULT_NOT_STARTED);
	l.block[0] = 0;
	CHECK_EQ(sg_launch(kernel, &l, &fault), SG_FAULT_NOT_STARTED);
	l.block[0] = 32;
	l.params_size = 4;
	CHECK_EQ(sg_launch(kernel, &l, &fault), SG_FAULT_NOT_STARTED);
	CHECK_EQ(sg_launch(exact, &l, &fault), 0);
	l.dynamic_shared_bytes = SG_MAX_SHARED_BYTES;
	CHECK_EQ(sg_launch(exact, &l, &fault), SG_FAULT_NOT_STARTED);
	l.dynamic_shared_bytes = 0;
	l.block[0] = 64;
	CHECK_EQ(sg_launch(exact, &l, &fault), SG_FAULT_NOT_STARTED);
}

/* Faults of one launch do not touch another that runs at the same time. */
static void *fault_often(void *argument)
{
	struct sg_kernel *kernel = argument;
	uint64_t params[] = {8};
	struct sg_fault fault;

	for (int i = 0; i < 200; i++)
		CHECK_EQ(launch(kernel, 16, 32, params, 1, &fault), SG_FAULT_ILLEGAL_ADDRESS);
	return NULL;
}

TEST(faults_beside_good_launches)
{
	struct sg_module *module = module_load(PTX_HEAD
	    ".visible .entry bad(.param .u64 a) { .reg .b64 %a; ld.param.u64 %a, [a]; bar.sync 0;\n"
	    "st.global.u32 [%a], 1; ret; }\n"
	    ".visible .entry good(.param .u64 a) { .reg .b64 %a; ld.param.u64 %a, [a]; bar.sync "
	    "0;\n"
	    "red.global.add.u32 [%a], 1; ret; }\n");
	struct sg_kernel *bad = kernel_get(module, "bad"), *good = kernel_get(module, "good");
	uint32_t *count = device_alloc(4);
	uint64_t params[] = {(uint64_t)count};
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, fault_often, bad), 0);
	for (int i = 0; i < 200; i++)
		launch_fine(good, 16, 32, params, 1);
	pthread_join(thread, NULL);
	CHECK_EQ(*count, 200 * 16 * 32);
}

/* Neither a loop nor a recursion of exponential depth outlives its time. */
TEST(the_watchdog_ends_what_never_ends)
{
	struct sg_module *module = module_load(PTX_HEAD
	    ".func fork(.param .b32 n) { .reg .b32 %r; .reg .pred %p; .param .b32 x;\n"
	    "ld.param.u32 %r, [n]; setp.eq.u32 %p, %r, 0; @%p ret; sub.u32 %r, %r, 1;\n"
	    "st.param.b32 [x], %r; call fork, (x); call fork, (x); ret; }\n"
	    ".visible .entry loop() { L: bra L; }\n"
	    ".visible .entry met() { bar.sync 0; L: bra L; }\n"
	    ".visible .entry some() { .reg .b32 %r; .reg .pred %p; mov.u32 %r, %tid.x;\n"
	    "setp.eq.u32 %p, %r, 3; L: @%p bra L; bar.sync 0; ret; }\n"
	    ".visible .entry flag() { .reg .b32 %r; .reg .pred %p; .shared .u32 f;\n"
	    "L: ld.volatile.shared.u32 %r, [f]; setp.ne.u32 %p, %r, 77777; @%p bra L; ret; }\n"
	    ".visible .entry meets() { L: bar.sync 0; bra L; }\n"
	    ".visible .entry tree() { .param .b32 x; st.param.b32 [x], 60; call fork, (x); ret; "
	    "}\n");
	struct sg_fault fault;

	setenv("SOFTGPU_WATCHDOG", "0.2", 1);
	CHECK_EQ(launch(kernel_get(module, "loop"), 4, 64, NULL, 0, &fault), SG_FAULT_STOPPED);
	CHECK_EQ(launch(kernel_get(module, "met"), 4, 64, NULL, 0, &fault), SG_FAULT_STOPPED);
	CHECK_EQ(launch(kernel_get(module, "some"), 4, 64, NULL, 0, &fault), SG_FAULT_STOPPED);
	CHECK_EQ(launch(kernel_get(module, "flag"), 4, 64, NULL, 0, &fault), SG_FAULT_STOPPED);
	CHECK_EQ(launch(kernel_get(module, "meets"), 4, 64, NULL, 0, &fault), SG_FAULT_STOPPED);
	CHECK_EQ(launch(kernel_get(module, "tree"), 1, 1, NULL, 0, &fault), SG_FAULT_STOPPED);
	check_still_runs();
}

/* The launch's own flag works as without a watchdog. */
TEST(a_watched_grid_can_be_stopped)
{
	struct sg_module *module = module_load(PTX_HEAD ".visible .entry k() { L: bra L; }\n");
	struct sg_launch l = {.grid = {64, 1, 1}, .block = {64, 1, 1}, .stop = &stop};
	struct sg_kernel *kernel = kernel_get(module, "k");
	struct sg_fault fault;
	pthread_t thread;

	setenv("SOFTGPU_WATCHDOG", "100", 1);
	CHECK_EQ(pthread_create(&thread, NULL, raise_stop, NULL), 0);
	CHECK_EQ(sg_launch(kernel, &l, &fault), SG_FAULT_STOPPED);
	pthread_join(thread, NULL);
	check_still_runs();
}
