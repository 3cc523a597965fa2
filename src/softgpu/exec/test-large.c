/*
 * Kernels that are too large for LLVM: they are compiled all the same, in bounded time, and compute
 * what they should.
 *
 * A kernel is a row of steps, each of which makes a register of three earlier ones, so that
 * hundreds of values are alive at each; some steps stand in branches of their own. The same steps
 * are done here for each thread.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "softgpu/exec/module-private.h"
#include "softgpu/exec/test-machine.h"

#define MOST_STEPS 10000
#define WINDOW	   600 /* of registers that a step may read */
#define THREADS	   64

/* LLVM has seconds to do here, which is minutes beside many other programs. */
#define LARGE_TEST(name) TEST_LIMIT(name, 240)

struct step {
	uint32_t a, b, c, constant;
	bool is_conditional; /* done by threads in which a < b, else the result is c */
};

static struct step steps[MOST_STEPS];
static uint32_t n_steps;
static char text[MOST_STEPS * 160 + 4096];
static size_t size;

static _printf_(1, 2) void put(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	size += (size_t)vsnprintf(text + size, sizeof(text) - size, format, arguments);
	va_end(arguments);
	CHECK(size < sizeof(text));
}

/* branches: one step in so many is conditional; 0: none. */
static void choose_steps(uint32_t n, uint32_t branches)
{
	uint64_t random = 7;

	CHECK(n <= MOST_STEPS);
	n_steps = n;
	for (uint32_t i = 1; i < n_steps; i++) {
		uint32_t most = MIN(i, (uint32_t)WINDOW), picked[4];

		for (unsigned k = 0; k < ARRAY_SIZE(picked); k++) {
			random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
			picked[k] = (uint32_t)(random >> 33);
		}
		steps[i] = (struct step){i - 1 - picked[0] % most, i - 1 - picked[1] % most,
		    i - 1 - picked[2] % most, picked[3], branches && i % branches == 0};
	}
}

static void print_step(uint32_t i)
{
	const struct step *step = &steps[i];

	put("mov.u32 %%r%u, %%r%u;\n", i, step->c);
	if (step->is_conditional)
		put("setp.ge.u32 %%p, %%r%u, %%r%u;\n@%%p bra L%u;\n", step->a, step->b, i);
	put("mad.lo.u32 %%r%u, %%r%u, %%r%u, %u;\nxor.b32 %%r%u, %%r%u, %%r%u;\n", i, step->a,
	    step->b, step->constant, i, i, step->c);
	if (step->is_conditional)
		put("L%u:\n", i);
}

/* The barrier in the middle gives threads, or warps, stacks of their own. */
static const char *print_kernel(void)
{
	size = 0;
	put(PTX_HEAD ".visible .entry k(.param .u64 a) {\n.reg .u64 %%a, %%o;\n.reg .pred %%p;\n"
		     ".reg .b32 %%r<%u>;\nld.param.u64 %%a, [a];\nmov.u32 %%r0, %%tid.x;\n"
		     "mad.wide.u32 %%a, %%r0, 4, %%a;\n",
	    n_steps);
	for (uint32_t i = 1; i < n_steps; i++) {
		print_step(i);
		if (i == n_steps / 2)
			put("bar.sync 0;\n");
	}
	put("st.global.u32 [%%a], %%r%u;\nret;\n}\n", n_steps - 1);
	return text;
}

static uint32_t compute(uint32_t thread)
{
	static uint32_t values[MOST_STEPS];

	values[0] = thread;
	for (uint32_t i = 1; i < n_steps; i++) {
		const struct step *step = &steps[i];
		uint32_t a = values[step->a], b = values[step->b], c = values[step->c];

		values[i] = step->is_conditional && a >= b ? c : (a * b + step->constant) ^ c;
	}
	return values[n_steps - 1];
}

static double children_s(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
}

static const struct sg_variant *variant_that_ran(const struct sg_kernel *kernel)
{
	for (unsigned i = 0; i < MOST_VARIANTS; i++)
		if (kernel->variants[i].code)
			return &kernel->variants[i];
	test_fail(__FILE__, __LINE__, "no variant was compiled");
}

static const struct sg_variant *run(void)
{
	struct sg_kernel *kernel = kernel_get(module_load(print_kernel()), "k");
	uint32_t *words = device_alloc(THREADS * sizeof(*words));
	uint64_t params[] = {(uint64_t)words};

	launch_fine(kernel, 2, THREADS, params, 1);
	for (uint32_t i = 0; i < THREADS; i++)
		CHECK_EQ(words[i], compute(i));
	return variant_that_ran(kernel);
}

static void limit_to(const char *seconds)
{
	const char *compiler = getenv("SOFTGPU_LLVM");

	if (MACHINE_CANNOT_RUN || !compiler || access(compiler, R_OK))
		SKIP("no kernels run here");
	setenv("SOFTGPU_CACHE", "", 1);
	setenv("SOFTGPU_COMPILE_LIMIT", seconds, 1);
}

/*
 * Processors differ in speed, and so does one of them from time to time: passes take three times
 * the second that they get here, and quick code less than half of its five.
 */
#define TOO_MANY_STEPS		 6000
#define TOO_MANY_BRANCHING_STEPS 10000
#define STEPS			 4000

LARGE_TEST(what_takes_too_long_is_compiled_quickly)
{
	const struct sg_variant *variant;

	limit_to("1");
	choose_steps(TOO_MANY_STEPS, 0);
	variant = run();
	CHECK(jit_code_is_quick(variant->code));
	CHECK(variant->width > 1);
	CHECK(variant->stack_bytes > n_steps * sizeof(uint32_t) * variant->width);
	CHECK(children_s() >= 0.5 && children_s() < 30);
}

LARGE_TEST(branches_that_take_too_long)
{
	limit_to("1");
	choose_steps(TOO_MANY_BRANCHING_STEPS, 3);
	CHECK(jit_code_is_quick(run()->code));
	CHECK(children_s() >= 0.5 && children_s() < 30);
}

LARGE_TEST(without_a_limit_all_is_done_here)
{
	limit_to("0");
	choose_steps(STEPS, 0);
	CHECK(!jit_code_is_quick(run()->code));
	CHECK(children_s() < 0.1);
}

/* A compiler that cannot be started apart is used here. */
LARGE_TEST(without_a_program_all_is_done_here)
{
	char folder[] = "/tmp/softgpu-large-XXXXXX", path[64];

	limit_to("1");
	CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/softgpu-llvm.so", folder);
	CHECK_EQ(symlink(getenv("SOFTGPU_LLVM"), path), 0);
	setenv("SOFTGPU_LLVM", path, 1);
	choose_steps(STEPS, 0);
	CHECK(!jit_code_is_quick(run()->code));
	unlink(path);
	rmdir(folder);
}
