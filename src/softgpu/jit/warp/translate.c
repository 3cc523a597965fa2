/*
 * The translator of the warp machine, an instruction at a time. Which kernels it takes is in
 * refuse.c.
 *
 * An instruction whose results are the same for all lanes, or known from lane 0's, is printed by
 * the scalar machine's emitter as it stands. One whose results differ is printed by the same
 * emitter and made wide. Memory, meetings and branches have their own parts; what is left is done
 * lane by lane.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/exec/lane.h"
#include "softgpu/jit/check.h"
#include "softgpu/jit/warp/warp.h"

struct results {
	const struct warp *warp;
	bool any, any_varies, any_rows;
	uint32_t wrapping; /* a linear one of which lanes may lack something */
};

static void note_result(void *context, uint32_t value, bool is_result)
{
	struct results *results = context;

	if (!is_result)
		return;
	results->any = true;
	results->any_varies |= value_varies(results->warp, value);
	results->any_rows |= value_has_rows(results->warp, value);
	if (shape_of_value(&results->warp->facts, value).wrap)
		results->wrapping = value;
}

/* The operand that was 32 bits wide and becomes 64, or 0. */
static unsigned widened_operand(const struct facts *facts, const struct ptx_instruction *in)
{
	uint64_t number;

	if (in->opcode == PTX_OP_cvt && ptx_type_bits(in->types[0]) == 64 &&
	    ptx_type_bits(in->types[1]) == 32)
		return 1;
	if ((in->opcode == PTX_OP_mul || in->opcode == PTX_OP_mad) &&
	    ptx_has(in, PTX_MODIFIER_wide))
		return facts_number(facts, &in->operands[2], &number) ? 1 : 2;
	return 0;
}

/* Does a row's last lane's value, of any of n rows? */
static struct value overflows(
    struct warp *warp, struct value base, const char *test, int32_t distance, unsigned n)
{
	struct emit *emit = &warp->emit;
	char vector[WIDEN_OPERAND];
	struct value last, any;

	if (n == 1) {
		last = emit_value(emit, "add i32 %s, %d", base.text, distance);
		return emit_value(emit, "%s i32 %s, %s", test, last.text, base.text);
	}
	warp->row_widen.out = &emit->body;
	widen_splat(&warp->row_widen, "i32", ir_constant(IR_I32, (uint32_t)distance).text, vector);
	last = emit_value(emit, "add <%u x i32> %s, %s", n, base.text, vector);
	any = emit_value(emit, "%s <%u x i32> %s, %s", test, n, last.text, base.text);
	any = emit_value(emit, "bitcast <%u x i1> %s to i%u", n, any.text, n);
	return emit_value(emit, "icmp ne i%u %s, 0", n, any.text);
}

/* Which lanes' 32-bit values lie behind an overflow: nearly always none. */
static void print_overflow(struct warp *warp, uint32_t result, unsigned index)
{
	struct emit *emit = &warp->emit;
	const struct ptx_instruction *in = emit->in;
	unsigned width = warp->facts.width;
	bool is_signed = ptx_type_is_signed(in->types[in->opcode == PTX_OP_cvt ? 1 : 0]);
	struct shape shape = shape_of_operand(&warp->facts, &in->operands[index], 32);
	uint32_t some = emit_new_block(emit), done = emit_new_block(emit);
	unsigned rows = shape.by_row ? facts_rows(&warp->facts) : 1;
	struct value base, last, all;
	char test[32];

	base = shape.by_row ? row_get(warp, &in->operands[index], IR_I32)
			    : operand_get(emit, &in->operands[index], IR_I32, false);
	snprintf(
	    test, sizeof(test), "icmp %c%s", is_signed ? 's' : 'u', shape.stride > 0 ? "lt" : "gt");
	emit_line(emit, "store i%u 0, ptr %%w.%u", width, result);
	emit_branch_if(emit,
	    overflows(
		warp, base, test, (int32_t)(shape.stride * ((warp->facts.row ?: width) - 1)), rows),
	    some, done);
	text_format(&emit->body, "b%u:\n", some);
	all = shape.by_row ? wide_rows(warp, IR_I32, base) : wide_splat(warp, IR_I32, base);
	last = wide_numbers(warp, IR_I32, shape.stride);
	last = emit_value(emit, "add <%u x i32> %s, %s", width, all.text, last.text);
	last = emit_value(emit, "%s <%u x i32> %s, %s", test, width, last.text, all.text);
	last = emit_value(emit, "bitcast <%u x i1> %s to i%u", width, last.text, width);
	emit_line(emit, "store i%u %s, ptr %%w.%u", width, last.text, result);
	emit->open = true;
	emit_start_block(emit, done);
}

struct source_search {
	const struct warp *warp;
	uint32_t wrapping;
};

static void note_source(void *context, uint32_t value, bool is_result)
{
	struct source_search *search = context;

	if (!is_result && shape_of_value(&search->warp->facts, value).wrap)
		search->wrapping = value;
}

/* The overflow bits of a linear result: new, or those of the source they come from. */
static void print_wrap(struct warp *warp, uint32_t result)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width, index = widened_operand(&warp->facts, emit->in);
	struct shape made = shape_of_result(&warp->facts, emit->in);
	struct source_search search = {warp, FLOW_NONE};
	struct value bits;

	if (!made.wrap) {
		emit_line(emit, "store i%u 0, ptr %%w.%u", width, result);
		return;
	}
	if (index) {
		print_overflow(warp, result, index);
		return;
	}
	flow_visit(&warp->facts.flow, emit->in, note_source, &search);
	if (search.wrapping == FLOW_NONE)
		warp_refuse(warp, "a linear value has no origin");
	bits = emit_value(emit, "load i%u, ptr %%w.%u", width, search.wrapping);
	emit_line(emit, "store i%u %s, ptr %%w.%u", width, bits.text, result);
}

/* Once for each row of lanes. */
static void run_by_row(struct warp *warp)
{
	capture_begin(warp);
	emit_opcode(&warp->emit);
	capture_end(warp);
	if (!capture_widen_rows(warp))
		warp_refuse(warp, "an instruction cannot be done once per row");
}

static void run_pure(struct warp *warp)
{
	struct results results = {warp, false, false, false, FLOW_NONE};

	flow_visit(&warp->facts.flow, warp->emit.in, note_result, &results);
	if (results.any && !results.any_varies) {
		if (results.wrapping != FLOW_NONE)
			print_wrap(warp, results.wrapping);
		if (results.any_rows)
			run_by_row(warp);
		else
			emit_opcode(&warp->emit);
		return;
	}
	capture_begin(warp);
	emit_opcode(&warp->emit);
	capture_end(warp);
	if (!results.any || !capture_widen(warp))
		lanes_run(warp);
}

static void trap(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	uint32_t some, none;

	if (!warp->may_be_none) {
		note_first_lane(warp);
		emit_opcode(emit);
		return;
	}
	some = emit_new_block(emit);
	none = emit_new_block(emit);
	emit_branch_if(emit, mask_any(warp, warp->mask), some, none);
	text_format(&emit->body, "b%u:\n", some);
	note_first_lane(warp);
	emit_opcode(emit);
	emit_start_block(emit, none);
}

/* What is more than values; false: it is not. */
static bool run_effect(struct warp *warp)
{
	struct emit *emit = &warp->emit;

	if (warp_meets(emit->in)) {
		warp_meet(warp);
		return true;
	}
	switch (emit->in->opcode) {
	case PTX_OP_tcgen05:
		warp_run_by_lane(warp);
		return true;
	case PTX_OP_mbarrier:
		if (has(emit, PTX_MODIFIER_pending_count))
			return false;
		if (!warp_mbarrier(warp))
			warp_run_by_lane(warp);
		return true;
	case PTX_OP_ld:
	case PTX_OP_ldu:
		warp_load(warp);
		return true;
	case PTX_OP_st:
		if (has(emit, PTX_MODIFIER_async) || has(emit, PTX_MODIFIER_bulk))
			warp_run_by_lane(warp);
		else
			warp_store(warp);
		return true;
	case PTX_OP_atom:
	case PTX_OP_red:
		if (has(emit, PTX_MODIFIER_async))
			warp_run_by_lane(warp);
		else
			warp_atomic(warp);
		return true;
	case PTX_OP_cp:
		if (!warp_copy(warp))
			warp_run_by_lane(warp);
		return true;
	case PTX_OP_call:
		warp_run_by_lane(warp);
		return true;
	case PTX_OP_membar:
	case PTX_OP_fence:
		emit_opcode(emit);
		return true;
	case PTX_OP_nanosleep:
		emit_line(emit, "call void @sg_nanosleep(ptr %%lane, i32 100)");
		return true;
	case PTX_OP_trap:
	case PTX_OP_brkpt:
		trap(warp);
		return true;
	default:
		return false;
	}
}

static void run_instruction(struct warp *warp)
{
	bool is_checked = warp->emit.program->is_checked, is_pure;

	if (is_checked)
		warp_check_before(warp);
	is_pure = !run_effect(warp);
	if (is_pure)
		run_pure(warp);
	if (is_checked)
		warp_check_after(warp, is_pure);
}

static void run_predicated(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	const struct ptx_instruction *in = emit->in;
	unsigned width = warp->facts.width;
	struct ptx_operand predicate = {
	    .kind = PTX_OPERAND_REGISTER, .reg = in->predicate, .negated = in->predicate_negated};
	struct value mask = warp->mask;

	if (!shape_is_uniform(shape_of_value(&warp->facts, in->predicate))) {
		warp->mask =
		    emit_value(emit, "select <%u x i1> %s, <%u x i1> %s, <%u x i1> zeroinitializer",
			width, mask.text, width, wide_get(warp, &predicate, IR_I1).text, width);
		warp->may_be_none = true;
		run_instruction(warp);
		warp->may_be_none = false;
		warp->mask = mask;
	} else {
		uint32_t then = emit_new_block(emit), next = emit_new_block(emit);

		emit_branch_if(emit, operand_get(emit, &predicate, IR_I1, false), then, next);
		emit_start_block(emit, then);
		run_instruction(warp);
		emit_start_block(emit, next);
	}
}

static bool is_branch(const struct ptx_instruction *in)
{
	return in->opcode == PTX_OP_label || in->opcode == PTX_OP_bra || in->opcode == PTX_OP_brx ||
	       in->opcode == PTX_OP_ret || in->opcode == PTX_OP_exit;
}

static void translate_code(struct warp *warp, const struct flow_block *block)
{
	struct emit *emit = &warp->emit;

	if (emit->program->is_checked)
		warp_check_block(warp);
	for (uint32_t i = block->first; i < block->end; i++) {
		emit->in = &emit->function->code[i];
		emit->position = i;
		ranges_enter(warp, i);
		if (emit->program->is_checked)
			warp_check_predicate(warp);
		if (is_branch(emit->in))
			continue;
		if (emit->in->predicate == PTX_NO_REG)
			run_instruction(warp);
		else
			run_predicated(warp);
	}
	warp_block_end(warp);
}

static void translate_block(struct warp *warp, uint32_t number)
{
	const struct flow_block *block = &warp->facts.flow.blocks[number];

	warp_block_begin(warp, number);
	if (ranges_find(warp, number)) {
		ranges_begin(warp);
		translate_code(warp, block);
		ranges_end(warp);
	}
	translate_code(warp, block);
}

static void print_locals(struct warp *warp)
{
	for (const struct ptx_variable *v = warp->emit.function->variables; v; v = v->next) {
		uint64_t size = shape_local_stride(v) * warp->facts.width;

		if (!shape_is_own(v))
			continue;
		text_format(&warp->emit.prologue, "  %%v%u = alloca [%llu x i8], align %u\n", v->id,
		    (unsigned long long)size, MAX(v->align, 16u));
		if (warp->emit.program->is_checked)
			check_local(&warp->emit, v, size);
	}
}

#define SCRATCH_OF_LANE 64u /* bytes of the largest access */
static_assert(sizeof(struct sg_exchange_table) <= SG_WARP_SIZE * SCRATCH_OF_LANE,
    "an exchange fits into %scratch");

static void print_start(struct warp *warp)
{
	struct text *out = &warp->emit.prologue;
	unsigned width = warp->facts.width;

	text_format(out, "  %%current = getelementptr i8, ptr %%lane, i64 %zu\n",
	    offsetof(struct sg_lane, current));
	text_format(out, "  %%scratch = alloca [%u x i8], align 256\n",
	    MAX(width, SG_WARP_SIZE) * SCRATCH_OF_LANE);
	text_format(out, "  %%members = alloca i%u\n", SG_MOST_LANES);
	text_format(out, "  %%move = alloca [%zu x i8], align 64\n", sizeof(struct sg_move));
	text_format(
	    out, "  %%mask = alloca i%u\n  %%lanes.none = sub i32 %u, %%lanes\n", width, width);
	if (width == 32)
		text_format(out, "  %%lanes.shift = add i32 %%lanes.none, 0\n");
	else
		text_format(out, "  %%lanes.shift = %s i32 %%lanes.none to i%u\n",
		    width < 32 ? "trunc" : "zext", width);
	text_format(out, "  %%lanes.bits = lshr i%u -1, %%lanes.shift\n", width);
	text_format(out, "  store i%u %%lanes.bits, ptr %%mask\n", width);
}

static void print_kernel(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	const struct flow *flow = &warp->facts.flow;

	emit->function = flow->function;
	emit->in = NULL;
	emit->n_temps = 0;
	emit->n_blocks = flow->function->n_labels;
	emit->open = true;
	emit->uses_carry = emit->has_matrix = emit->has_wgmma = emit->has_tcgen05 = false;
	emit->has_pairs = emit_has_pairs(flow->function);
	emit->specials[0] = emit->specials[1] = 0;
	emit->prologue.size = emit->body.size = 0;
	free(emit->registers);
	emit->registers = calloc(flow->function->n_registers + 1, sizeof(*emit->registers));
	if (!emit->registers)
		emit_fail(emit, "out of memory");
	print_start(warp);
	print_registers(warp);
	print_locals(warp);
	print_pending(warp);
	if (emit->program->is_checked)
		warp_check_kernel(warp);
	for (uint32_t i = 0; i < flow->n_ordered; i++)
		if (flow->order[i] != flow->exit)
			translate_block(warp, flow->order[i]);
	if (emit->uses_carry)
		text_format(&emit->prologue, "  %%carry = alloca %s\n",
		    value_varies(warp, (uint32_t)flow->n_values - 1) ? wide_type(warp, IR_I1)
								     : "i1");
	print_special_vectors(warp);
	print_slots(warp);
	text_format(emit->out,
	    "define void @" JIT_ENTRY_NAME "(ptr noalias %%lane, i32 %%lanes) #3 {\nentry:\n");
	text_append(emit->out, emit->prologue.bytes ?: "", emit->prologue.size);
	text_format(emit->out, "  br label %%F0\n");
	text_append(emit->out, emit->body.bytes ?: "", emit->body.size);
	text_format(emit->out, "}\n");
}

static void name_types(struct warp *warp)
{
	for (unsigned i = IR_I1; i <= IR_DOUBLE; i++)
		snprintf(warp->types[i], sizeof(warp->types[i]), "<%u x %s>", warp->facts.width,
		    ir_name((enum ir_type)i));
}

static void translate(struct warp *warp)
{
	const struct jit_program *program = warp->emit.program;
	struct emit *emit = &warp->emit;

	for (size_t i = 0; i < program->n_functions; i++)
		if (program->functions[i] != program->entry)
			refuse_unfit_function(warp, program->functions[i]);
	emit->function = program->entry;
	name_types(warp);
	refuse_unfit_code(warp);
	warp_tally_find(warp);
	text_append(emit->out, jit_prelude, strlen(jit_prelude));
	text_append(emit->out, warp_prelude, strlen(warp_prelude));
	if (program->is_checked)
		text_append(emit->out, check_prelude, strlen(check_prelude));
	emit_builtins(emit);
	emit_handles(emit);
	for (size_t i = 0; i < program->n_functions; i++)
		if (program->functions[i] != program->entry)
			emit_function(emit, program->functions[i]);
	print_kernel(warp);
	widen_finish(&warp->widen, emit->out);
	widen_finish(&warp->row_widen, emit->out);
	if (emit->out->failed || emit->body.failed || emit->arguments.failed ||
	    emit->prologue.failed || warp->scratch.failed || warp->widen.failed ||
	    warp->row_widen.failed)
		emit_fail(emit, "out of memory");
}

/* Apart, so that no variable of the caller is live across the jump. */
static bool translate_guarded(struct warp *warp)
{
	if (setjmp(warp->emit.failure))
		return false;
	translate(warp);
	return true;
}

static bool translate_into(struct warp *warp, const struct jit_warp *shape)
{
	const struct ptx_function *entry = warp->emit.program->entry;
	bool done;

	if (shape->width > SG_WARP_SIZE && !warp_wants_many_lanes(entry, shape)) {
		snprintf(warp->emit.error->text, sizeof(warp->emit.error->text),
		    "several warps as one are for small kernels with barriers");
		return false;
	}
	warp->is_asked_for = shape->is_asked_for;
	warp->slots = warp_slots;
	warp->slots.context = warp;
	warp->row_slots = row_slots;
	warp->row_slots.context = warp;
	widen_init(&warp->widen, shape->width, 'w', &warp->slots);
	widen_init(
	    &warp->row_widen, shape->row ? shape->width / shape->row : 1, 'y', &warp->row_slots);
	done = facts_init(&warp->facts, entry, shape->width, shape->row);
	if (!done)
		snprintf(warp->emit.error->text, sizeof(warp->emit.error->text), "%s",
		    warp->facts.flow.reason);
	done = done && translate_guarded(warp);
	widen_fini(&warp->widen);
	widen_fini(&warp->row_widen);
	facts_fini(&warp->facts);
	free(warp->looked_at);
	emit_free_lists(&warp->emit);
	free(warp->emit.numbers);
	text_fini(&warp->emit.prologue);
	text_fini(&warp->emit.body);
	text_fini(&warp->emit.arguments);
	text_fini(&warp->scratch);
	return done;
}

bool jit_translate_warp(const struct jit_program *program, const struct jit_warp *shape,
    struct text *ir, bool *needs_fibers, struct jit_error *error)
{
	struct warp *warp = calloc(1, sizeof(*warp));
	bool translated = false;

	*error = (struct jit_error){.text = "out of memory"};
	*ir = (struct text){0};
	if (warp) {
		warp->emit.program = program;
		warp->emit.error = error;
		warp->emit.out = ir;
		translated = translate_into(warp, shape);
		*needs_fibers = warp->needs_fibers;
	}
	free(warp);
	return translated;
}
