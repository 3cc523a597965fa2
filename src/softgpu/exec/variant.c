/*
 * The ways to run a kernel, each compiled when a launch first wants it.
 *
 * Threads run in step, a warp at a time, where the translator for warps takes the kernel: 32 lanes,
 * in one row of the block or in several whole ones; 16 or 8 if only rows of that length do and
 * nothing in the kernel speaks of warps; else 32 with their places looked up. Kernels with barriers
 * try to run up to eight warps as one, for what runs in step need not wait. What is not taken runs
 * a thread at a time, which is also what SOFTGPU_LANES=1 asks for; other numbers ask for at most so
 * many lanes.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/util.h"
#include "softgpu/exec/exec.h"
#include "softgpu/exec/module-private.h"
#include "softgpu/exec/runtime.h"
#include "softgpu/jit/known.h"
#include "softgpu/jit/progress.h"
#include "softgpu/mem/check.h"

#define STANDARD_LANES SG_MOST_LANES

static const struct jit_warp shapes[MOST_VARIANTS] = {{256, 256}, {256, 128}, {256, 64}, {256, 32},
    {256, 16}, {256, 8}, {128, 128}, {128, 64}, {128, 32}, {128, 16}, {128, 8}, {64, 64}, {64, 32},
    {64, 16}, {64, 8}, {32, 32}, {32, 16}, {32, 8}, {16, 16}, {8, 8}, {32, 0}, {1, 0}};

/* Refused by the translator for warps, which is no error. */
#define REFUSED (-1)

static uint32_t lanes_wanted(void)
{
	static atomic_uint known;
	uint32_t n = atomic_load_explicit(&known, memory_order_relaxed); /* all find the same */
	const char *setting;

	if (n)
		return n;
	setting = getenv("SOFTGPU_LANES");
	n = setting ? (uint32_t)strtoul(setting, NULL, 10) : STANDARD_LANES;
	if (n != 1 && (n < 8 || n > SG_MOST_LANES || !is_power_of_two(n))) {
		log_warn("SOFTGPU_LANES=%s is none of 1, 8, 16, 32, 64, 128 and 256: taking %u",
		    setting, STANDARD_LANES);
		n = STANDARD_LANES;
	}
	atomic_store_explicit(&known, n, memory_order_relaxed);
	return n;
}

void kernel_init_variants(struct sg_kernel *kernel)
{
	for (unsigned i = 0; i < MOST_VARIANTS; i++)
		kernel->variants[i] = (struct sg_variant){.width = shapes[i].width,
		    .row = shapes[i].row,
		    .needs_fibers = shapes[i].width == 1 && kernel->needs_fibers};
}

/* For people who debug the translator: SOFTGPU_DUMP=FOLDER keeps the IR of each kernel. */
static void dump(
    const struct sg_kernel *kernel, const struct sg_variant *variant, const struct text *ir)
{
	const char *folder = getenv("SOFTGPU_DUMP");
	char path[4096], row[16] = "";
	FILE *file;

	if (!folder)
		return;
	if (variant->row != variant->width)
		snprintf(row, sizeof(row), "x%u", variant->row);
	snprintf(
	    path, sizeof(path), "%s/%s.%u%s.ll", folder, kernel->info.name, variant->width, row);
	file = fopen(path, "w");
	if (!file) {
		log_warn("cannot write %s", path);
		return;
	}
	fwrite(ir->bytes, 1, ir->size, file);
	fclose(file);
}

/* What the translator is told beside the program. A translation is known by all of it, so that
 * there must be no unused bytes between. */
struct settings {
	uint64_t asks_for_lanes, is_checked, may_tally, is_alone;
};

static struct settings settings_now(void)
{
	const char *tally = getenv("SOFTGPU_TALLY");

	return (struct settings){.asks_for_lanes = getenv("SOFTGPU_LANES") != NULL,
	    .is_checked = sg_checks(),
	    .is_alone = lanes_wanted() == 1,
	    .may_tally = !sg_checks() && (!tally || strcmp(tally, "0") != 0)};
}

static int translate_threads(
    struct sg_kernel *kernel, const struct jit_program *program, struct text *ir)
{
	struct jit_error error;

	if (jit_translate(program, ir, &error))
		return 0;
	snprintf(kernel->prepare_message, sizeof(kernel->prepare_message), "%s:%u: %s",
	    error.unit && error.unit->name ? error.unit->name : "ptx", error.line, error.text);
	return error.unsupported ? SG_MODULE_UNSUPPORTED : SG_MODULE_INVALID;
}

static void say_refused(
    const struct sg_kernel *kernel, const struct sg_variant *variant, const struct jit_known *known)
{
	log_debug("kernel %s: not %u threads in step: line %u: %s", kernel->info.name,
	    variant->width, known->line, known->reason);
}

static int translate_warps(struct sg_kernel *kernel, struct sg_variant *variant,
    const struct jit_program *program, struct text *ir, struct jit_known *known)
{
	struct jit_warp shape = {variant->width, variant->row, settings_now().asks_for_lanes};
	struct jit_error error;

	if (jit_translate_warp(program, &shape, ir, &variant->needs_fibers, &error)) {
		known->needs_fibers = variant->needs_fibers;
		return 0;
	}
	known->is_refused = true;
	known->line = error.line;
	snprintf(known->reason, sizeof(known->reason), "%.*s", (int)sizeof(known->reason) - 1,
	    error.text);
	say_refused(kernel, variant, known);
	return REFUSED;
}

static int translate(
    struct sg_kernel *kernel, struct sg_variant *variant, struct text *ir, struct jit_known *known)
{
	struct settings settings = settings_now();
	struct jit_program program = {
	    .entry = kernel->function,
	    .functions = kernel->closure,
	    .n_functions = kernel->n_closure,
	    .handles = kernel->module->handles,
	    .n_handles = kernel->module->n_handles,
	    .has_indirect_call = kernel->has_indirect_call,
	    .needs_fibers = variant->width == 1 && kernel->needs_fibers,
	    .uses_cluster = kernel->uses_cluster,
	    .is_checked = settings.is_checked,
	    .is_alone = settings.is_alone,
	    .may_tally = settings.may_tally,
	};

	kernel_place_shared(kernel);
	return variant->width == 1 ? translate_threads(kernel, &program, ir)
				   : translate_warps(kernel, variant, &program, ir, known);
}

/* All that a translation depends on: from the texts follows the rest, but for where variables
 * lie. */
static struct digest source_of(const struct sg_kernel *kernel, const struct sg_variant *variant)
{
	struct {
		struct digest texts;
		uint64_t function, data, managed, width, row;
		struct settings settings;
	} source = {kernel->module->texts, kernel->function->serial, kernel->module->data.address,
	    kernel->module->managed.address, variant->width, variant->row, settings_now()};

	return digest_of(&source, sizeof(source));
}

static int compile_ir(struct sg_kernel *kernel, struct sg_variant *variant, const struct text *text,
    struct jit_known *known)
{
	struct jit_ir ir = {text->bytes, text->size, digest_of(text->bytes, text->size)};
	int r;

	dump(kernel, variant, text);
	known->ir = ir.digest;
	r = jit_compile(&ir, &runtime_machine, kernel->prepare_message,
	    sizeof(kernel->prepare_message), &variant->code);
	kernel->is_too_large |= r == JIT_TOO_LONG;
	if (!r && jit_code_is_quick(variant->code))
		log_info("kernel %s: LLVM took too long, so that it is compiled quickly and will "
			 "run slower: %s",
		    kernel->info.name, kernel->prepare_message);
	return r == JIT_NO_COMPILER ? SG_MODULE_NO_COMPILER : r ? SG_MODULE_INTERNAL : 0;
}

/* Whoever wants to see the IR must have it made. */
static bool recall(
    struct sg_kernel *kernel, struct sg_variant *variant, const struct digest *source, int *result)
{
	struct jit_known known;

	if (getenv("SOFTGPU_DUMP") || !jit_recall(source, &known))
		return false;
	*result = known.is_refused ? REFUSED : 0;
	if (known.is_refused) {
		say_refused(kernel, variant, &known);
		return true;
	}
	variant->needs_fibers |= known.needs_fibers;
	variant->code = jit_find(&known.ir, &runtime_machine);
	return variant->code != NULL;
}

static int make(struct sg_kernel *kernel, struct sg_variant *variant, const struct digest *source)
{
	struct jit_known known = {0};
	struct text ir = {0};
	struct progress progress;
	int r;

	progress_begin(&progress, kernel->info.name);
	r = translate(kernel, variant, &ir, &known);
	if (!r)
		r = compile_ir(kernel, variant, &ir, &known);
	if (!r || r == REFUSED)
		jit_remember(source, &known);
	text_fini(&ir);
	progress_end(&progress);
	return r;
}

static int compile(struct sg_kernel *kernel, struct sg_variant *variant)
{
	struct digest source = source_of(kernel, variant);
	int r;

	if (!recall(kernel, variant, &source, &r))
		r = make(kernel, variant, &source);
	if (r == SG_MODULE_INTERNAL && variant->width > 1 && sg_checks()) {
		log_error("SOFTGPU_CHECK: kernel %s: its code for warps was refused, which is a "
			  "mistake of the software GPU. Please report it; SOFTGPU_LANES=1 runs the "
			  "kernel without it: %s",
		    kernel->info.name, kernel->prepare_message);
	} else if (r == SG_MODULE_INTERNAL && variant->width > 1) {
		log_warn(
		    "kernel %s: its code for warps was refused, it runs a thread at a time: %s",
		    kernel->info.name, kernel->prepare_message);
		r = REFUSED;
	}
	if (r > 0)
		log_debug("kernel %s: %s", kernel->info.name, kernel->prepare_message);
	if (!r) {
		variant->entry = jit_code_entry(variant->code);
		variant->stack_bytes = jit_code_stack_bytes(variant->code);
	}
	return r;
}

/* Under the module's lock. */
static int prepare(struct sg_kernel *kernel, struct sg_variant *variant)
{
	if (!variant->prepared) {
		variant->prepare_result = compile(kernel, variant);
		variant->prepared = true;
	}
	return variant->prepare_result;
}

/* Do the block's threads lie like that? More than a warp must all be there. */
static bool fits(const struct jit_warp *shape, const uint32_t block[3])
{
	bool is_one_row = block[1] == 1 && block[2] == 1;
	uint32_t n = block[0] * block[1] * block[2];

	if (shape->width == 1)
		return true;
	if (!shape->row) /* what is refused of rows would be of any */
		return !is_one_row && block[0] % SG_WARP_SIZE;
	if (shape->width > SG_WARP_SIZE && n % shape->width)
		return false;
	if (shape->row == shape->width)
		return is_one_row || block[0] % shape->row == 0;
	return block[0] == shape->row && block[1] % (shape->width / shape->row) == 0;
}

static const struct sg_variant *find(
    struct sg_kernel *kernel, const uint32_t block[3], uint32_t lanes, int *result)
{
	uint32_t most = lanes ?: lanes_wanted();

	for (unsigned i = 0; i < MOST_VARIANTS; i++) {
		if (shapes[i].width > most || !fits(&shapes[i], block) ||
		    (kernel->is_too_large && shapes[i].width > 1))
			continue;
		*result = prepare(kernel, &kernel->variants[i]);
		if (*result != REFUSED)
			return *result ? NULL : &kernel->variants[i];
	}
	return NULL;
}

const struct sg_variant *kernel_variant(
    struct sg_kernel *kernel, const uint32_t block[3], uint32_t lanes, int *result)
{
	const struct sg_variant *variant;

	pthread_mutex_lock(&kernel->module->lock);
	variant = find(kernel, block, lanes, result);
	pthread_mutex_unlock(&kernel->module->lock);
	return variant;
}

int sg_kernel_prepare_for(
    struct sg_kernel *kernel, const uint32_t block[3], struct sg_log *error_log)
{
	int r = 0;

	pthread_mutex_lock(&kernel->module->lock);
	find(kernel, block, 0, &r);
	pthread_mutex_unlock(&kernel->module->lock);
	if (r)
		log_format(error_log, "%s", kernel->prepare_message);
	return r;
}

int sg_kernel_prepare(struct sg_kernel *kernel, struct sg_log *error_log)
{
	static const uint32_t row[3] = {SG_WARP_SIZE, 1, 1};
	const uint32_t *required = kernel->info.required_ntid;

	return sg_kernel_prepare_for(kernel, required[0] ? required : row, error_log);
}
