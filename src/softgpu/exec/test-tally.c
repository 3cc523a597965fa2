/*
 * Additions that wait in a tally (tally.h): what a kernel leaves behind, what its threads see of
 * their own, faults where they stand, and that a loop without end does not keep them to itself.
 */
#include <pthread.h>

#include "softgpu/exec/test-machine.h"

#define THREADS 256u
#define BLOCKS	64u
#define ROUNDS	64u
#define BINS	1000u

/* %n: the thread's number; %x: a random number of its own, new with NEXT; %a: counter's address */
#define KERNEL(name, body)                                                                         \
	".visible .entry " name "(.param .u64 p, .param .u64 q)\n{\n"                              \
	".reg .b32 %n, %t, %x, %k, %r, %z; .reg .b64 %p, %q, %a, %v; .reg .pred %c, %d;\n"         \
	".shared .align 4 .b8 cells[4096];\n"                                                      \
	"ld.param.u64 %p, [p]; ld.param.u64 %q, [q];\n"                                            \
	"mov.u32 %t, %ctaid.x; mov.u32 %n, %tid.x; mad.lo.u32 %n, %t, 256, %n;\n"                  \
	"mad.lo.u32 %x, %n, 2654435761, 12345; mov.u32 %k, 0;\n" body "ret;\n}\n"
#define NEXT	   "mad.lo.u32 %x, %x, 1664525, 1013904223; shr.u32 %t, %x, 8;\n"
#define LOOP(body) "L: " NEXT body "add.u32 %k, %k, 1; setp.lt.u32 %c, %k, 64; @%c bra L;\n"

static const char text[] =
    PTX_HEAD KERNEL("words", LOOP("rem.u32 %t, %t, 1000; mad.wide.u32 %a, %t, 4, %p;\n"
				  "red.global.add.u32 [%a], %x;\n"))
	KERNEL("pairs_of_words", LOOP("rem.u32 %t, %t, 1000; mad.wide.u32 %a, %t, 8, %p;\n"
				      "mul.wide.u32 %v, %x, %x;\n"
				      "atom.global.add.u64 %v, [%a], %v;\n"))
	    KERNEL("some_lanes", LOOP("and.b32 %r, %t, 3; setp.eq.u32 %d, %r, 0;\n"
				      "rem.u32 %t, %t, 1000; mad.wide.u32 %a, %t, 4, %p;\n"
				      "@%d red.global.add.u32 [%a], %x;\n"))
		KERNEL("scattered", LOOP("and.b32 %t, %t, 1048575; mad.wide.u32 %a, %t, 4, %p;\n"
					 "red.global.add.u32 [%a], 1;\n"))
    /* Each thread its own word, by a permutation: added to, read, overwritten, added to. */
    KERNEL("own", "xor.b32 %t, %n, 5; mad.wide.u32 %a, %t, 4, %p;\n"
		  "L: red.global.add.u32 [%a], 3; ld.global.u32 %r, [%a];\n"
		  "st.global.u32 [%a], %r; red.global.add.u32 [%a], 1;\n"
		  "add.u32 %k, %k, 1; setp.lt.u32 %c, %k, 64; @%c bra L;\n")
    /* Counted by the block, then read by it through a pointer that comes from elsewhere. */
    KERNEL("block", "mov.u32 %r, %tid.x; mov.u32 %z, %ctaid.x; mad.wide.u32 %a, %z, 4096, %p;\n"
		    "shr.u32 %t, %r, 3; mul.wide.u32 %v, %t, 4; add.u64 %a, %a, %v;\n"
		    "red.global.add.u32 [%a], 1; red.global.add.u32 [%a], 1; bar.sync 0;\n"
		    "mad.wide.u32 %a, %z, 4096, %q; xor.b32 %t, %t, 7;\n"
		    "mul.wide.u32 %v, %t, 4; add.u64 %a, %a, %v; ld.global.u32 %k, [%a];\n"
		    "mad.wide.u32 %a, %n, 4, %q; st.global.u32 [%a+1048576], %k;\n")
    /* Generic addresses of shared memory. */
    KERNEL("generic",
	"mov.u32 %r, %tid.x; xor.b32 %r, %r, 3; mov.u64 %a, cells;\n"
	"cvta.shared.u64 %a, %a; mad.wide.u32 %a, %r, 4, %a;\n"
	"st.u32 [%a], 0;\n"
	"L: red.add.u32 [%a], 2; red.add.u32 [%a], 3;\n"
	"add.u32 %k, %k, 1; setp.lt.u32 %c, %k, 64; @%c bra L; bar.sync 0;\n"
	"shl.b32 %r, %r, 2; mov.u32 %t, cells; add.u32 %t, %t, %r;\n"
	"ld.shared.u32 %r, [%t]; mad.wide.u32 %a, %n, 4, %p; st.global.u32 [%a], %r;\n")
	KERNEL("stray",
	    "xor.b32 %t, %n, 5; mad.wide.u32 %a, %t, 4, %p;\n"
	    "L: red.global.add.u32 [%a], 1; add.u32 %k, %k, 1;\n"
	    "setp.lt.u32 %c, %k, 64; @%c bra L;\n"
	    "setp.eq.u32 %c, %n, 300; @%c add.u64 %a, %a, %q; red.global.add.u32 [%a], 1;\n")
	    KERNEL("endless", "and.b32 %t, %n, 15; xor.b32 %t, %t, 5; mad.wide.u32 %a, %t, 4, %p;\n"
			      "L: red.global.add.u32 [%a], 1; add.u32 %k, %k, 2;\n"
			      "setp.ne.u32 %c, %k, 1; @%c bra L;\n");

static struct sg_kernel *kernel_of(const char *name)
{
	static struct sg_module *module;

	setenv("SOFTGPU_LANES", "32", 1);
	if (!module)
		module = module_load(text);
	return kernel_get(module, name);
}

/* Runs a kernel with its threads in step, and one at a time; false where they leave different
 * words in memory. */
static bool runs_alike(const char *name, size_t bytes)
{
	struct sg_kernel *kernel = kernel_of(name);
	uint32_t *memory = device_alloc(bytes), *other = device_alloc(bytes);
	struct sg_launch l = {.grid = {BLOCKS, 1, 1}, .block = {THREADS, 1, 1}};
	struct sg_fault fault;

	for (unsigned i = 0; i < 2; i++) {
		uint64_t p = (uint64_t)(i ? other : memory), params[] = {p, p};

		l.params = params;
		l.params_size = sizeof(params);
		l.lanes = i ? 1 : 32;
		if (sg_launch(kernel, &l, &fault))
			test_fail(__FILE__, __LINE__, "%s", fault.message);
	}
	return !memcmp(memory, other, bytes);
}

TEST(sums_are_those_of_threads_one_at_a_time)
{
	CHECK(runs_alike("words", BINS * 4));
	CHECK(runs_alike("pairs_of_words", BINS * 8));
	CHECK(runs_alike("some_lanes", BINS * 4));
	CHECK(runs_alike("scattered", 4u << 20));
}

TEST(all_elements_are_counted)
{
	uint32_t *bins = device_alloc(4u << 20);
	uint64_t params[] = {(uint64_t)bins, 0}, sum = 0;

	launch_fine(kernel_of("scattered"), BLOCKS, THREADS, params, 2);
	for (unsigned i = 0; i < 1u << 20; i++)
		sum += bins[i];
	CHECK_EQ(sum, BLOCKS * THREADS * ROUNDS);
}

TEST(a_thread_sees_its_own_additions)
{
	uint32_t *words = device_alloc(BLOCKS * THREADS * 4);
	uint64_t params[] = {(uint64_t)words, 0};

	launch_fine(kernel_of("own"), BLOCKS, THREADS, params, 2);
	for (unsigned i = 0; i < BLOCKS * THREADS; i++)
		CHECK_EQ(words[i], 4 * ROUNDS);
}

TEST(a_barrier_shows_the_blocks_additions)
{
	uint8_t *memory = device_alloc(2u << 20);
	uint32_t *seen = (uint32_t *)(memory + (1u << 20));
	uint64_t params[] = {(uint64_t)memory, (uint64_t)memory};

	launch_fine(kernel_of("block"), BLOCKS, THREADS, params, 2);
	for (unsigned i = 0; i < BLOCKS * THREADS; i++)
		CHECK_EQ(seen[i], 16);
	CHECK(runs_alike("block", 2u << 20));
}

TEST(shared_memory_is_added_to_at_once)
{
	uint32_t *seen = device_alloc(BLOCKS * THREADS * 4);
	uint64_t params[] = {(uint64_t)seen, 0};

	launch_fine(kernel_of("generic"), BLOCKS, THREADS, params, 2);
	for (unsigned i = 0; i < BLOCKS * THREADS; i++)
		CHECK_EQ(seen[i], 5 * ROUNDS);
}

TEST(an_addition_faults_where_it_stands)
{
	uint8_t *memory = device_alloc(BLOCKS * THREADS * 4);
	uint64_t far[] = {(uint64_t)memory, 1u << 16}, odd[] = {(uint64_t)memory, 2};
	struct sg_fault fault;

	CHECK_EQ(
	    launch(kernel_of("stray"), BLOCKS, THREADS, far, 2, &fault), SG_FAULT_ILLEGAL_ADDRESS);
	CHECK_EQ(fault.block[0], 300 / THREADS);
	CHECK_EQ(fault.address / 4096, ((uint64_t)memory + (1u << 16) + 300 * 4) / 4096);
	CHECK_EQ(launch(kernel_of("stray"), BLOCKS, THREADS, odd, 2, &fault), SG_FAULT_MISALIGNED);
	/* What they had kept is not added to the next grid's memory. */
	CHECK(runs_alike("words", BINS * 4));
}

static atomic_uint stop;

/* Ends the kernel when it has added a million times. */
static void *watch(void *word)
{
	while (__atomic_load_n((uint32_t *)word, __ATOMIC_RELAXED) < 1u << 20)
		sched_yield();
	atomic_store(&stop, 1);
	return NULL;
}

TEST(a_loop_without_end_shows_its_additions)
{
	uint32_t *words = device_alloc(64);
	uint64_t params[] = {(uint64_t)words, 0};
	struct sg_launch l = {.grid = {1, 1, 1},
	    .block = {32, 1, 1},
	    .params = params,
	    .params_size = sizeof(params),
	    .stop = &stop};
	struct sg_kernel *kernel = kernel_of("endless");
	struct sg_fault fault;
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, watch, words), 0);
	CHECK_EQ(sg_launch(kernel, &l, &fault), SG_FAULT_STOPPED);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}
