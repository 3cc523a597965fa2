/*
 * Control flow: branches, calls, ends (PTX ISA 9.7.12).
 *
 * A branch backwards looks at the stop flag; in a loop that polls memory it also lets other threads
 * run now and then, or a thread that waits for its neighbour would wait for ever.
 */
#include <string.h>

#include "softgpu/exec/lane.h"
#include "softgpu/jit/emit.h"
#include "softgpu/jit/warp/flow.h"

static const struct builtin {
	const char *name;
	unsigned n_returns, n_params;
} builtins[] = {
#define BUILTIN(name, n_returns, n_params) {#name, n_returns, n_params},
    SG_BUILTINS(BUILTIN)};

/* What nvcc calls, and what other compilers may: cudaMalloc is __cudaCDP2Malloc's older name. */
#define DEVICE_RUNTIME	     "__cudaCDP2"
#define OLDER_DEVICE_RUNTIME "cuda"
/* The same with another default stream, and there is one order for all here. */
#define PER_THREAD_STREAM "_ptsz"
#define WAIT_FOR_GRID	  "cudaCGSynchronize"

static bool begins_with(const char *name, const char *with)
{
	return !strncmp(name, with, strlen(with));
}

static const struct builtin *find_exactly(const char *prefix, const char *name, size_t size)
{
	size_t before = strlen(prefix);

	for (unsigned i = 0; i < ARRAY_SIZE(builtins); i++)
		if (begins_with(builtins[i].name, prefix) &&
		    !strncmp(builtins[i].name + before, name, size) &&
		    !builtins[i].name[before + size])
			return &builtins[i];
	return NULL;
}

static const struct builtin *find_builtin(const char *name)
{
	static const char *const prefixes[] = {DEVICE_RUNTIME, OLDER_DEVICE_RUNTIME};
	size_t size = strlen(name), suffix = strlen(PER_THREAD_STREAM);
	const struct builtin *found = find_exactly("", name, size);

	for (unsigned i = 0; i < ARRAY_SIZE(prefixes) && !found; i++) {
		const char *stem = name + strlen(prefixes[i]);

		if (!begins_with(name, prefixes[i]))
			continue;
		size = strlen(stem);
		if (size > suffix && !strcmp(stem + size - suffix, PER_THREAD_STREAM))
			size -= suffix;
		found = find_exactly(DEVICE_RUNTIME, stem, size);
	}
	return found;
}

/* The last two are what NVIDIA's device runtime calls in turn. */
bool jit_is_system_function(const char *name)
{
	static const char *const prefixes[] = {DEVICE_RUNTIME, "cnp", "__cuda_syscall_"};

	for (unsigned i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (begins_with(name, prefixes[i]))
			return true;
	return find_builtin(name) != NULL;
}

/* The name of the machine's own function that is called, or "". */
static const char *builtin_called(const struct ptx_instruction *in)
{
	for (unsigned i = 0; in->opcode == PTX_OP_call && i < in->n_operands; i++) {
		const struct ptx_operand *operand = &in->operands[i];
		const struct builtin *builtin = operand->kind == PTX_OPERAND_FUNCTION
						    ? find_builtin(operand->function->name)
						    : NULL;

		if (builtin)
			return builtin->name;
	}
	return "";
}

bool calls_device_runtime(const struct ptx_instruction *in)
{
	const char *name = builtin_called(in);

	return begins_with(name, DEVICE_RUNTIME) || begins_with(name, WAIT_FOR_GRID);
}

void emit_builtins(struct emit *emit)
{
	for (unsigned i = 0; i < ARRAY_SIZE(builtins); i++) {
		text_format(emit->out, "declare void @sg_builtin_%s(ptr", builtins[i].name);
		for (unsigned v = 0; v < builtins[i].n_returns + builtins[i].n_params; v++)
			text_format(emit->out, ", ptr");
		text_format(emit->out, ") nounwind\n");
	}
}

static bool is_polling(const struct ptx_instruction *in)
{
	return in->opcode == PTX_OP_atom || in->opcode == PTX_OP_nanosleep ||
	       (in->opcode == PTX_OP_ld &&
		   (ptx_has(in, PTX_MODIFIER_volatile) || ptx_has(in, PTX_MODIFIER_acquire) ||
		       ptx_has(in, PTX_MODIFIER_relaxed)));
}

bool is_polling_loop(const struct ptx_function *function, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		if (is_polling(&function->code[i]))
			return true;
	return false;
}

static bool jumps_back(const struct ptx_operand *operand, uint32_t position)
{
	return operand->kind == PTX_OPERAND_LABEL &&
	       ptx_label_resolve(operand->label)->position < position;
}

/* Copies to shared::cluster are that of every kernel: their places are looked at when they are
 * done, and those in other blocks come from mapa, or are named by a mask. */
static bool is_of_cluster(const struct ptx_instruction *in)
{
	if (in->opcode == PTX_OP_cp)
		return ptx_has(in, PTX_MODIFIER_multicast_cluster);
	return in->opcode == PTX_OP_mapa || in->opcode == PTX_OP_getctarank ||
	       in->opcode == PTX_OP_clusterlaunchcontrol ||
	       ptx_has(in, PTX_MODIFIER_shared_cluster) ||
	       ((in->opcode == PTX_OP_bar || in->opcode == PTX_OP_barrier) &&
		   ptx_has(in, PTX_MODIFIER_cluster));
}

bool jit_uses_cluster(const struct ptx_function *function)
{
	for (uint32_t i = 0; i < function->n_code; i++)
		if (is_of_cluster(&function->code[i]))
			return true;
	return false;
}

bool jit_needs_fibers(const struct ptx_function *function)
{
	for (uint32_t i = 0; i < function->n_code; i++) {
		const struct ptx_instruction *in = &function->code[i];
		const struct ptx_operand *target = in->operands;

		if (ptx_opcode_info(in->opcode)->facts & PTX_OP_COLLECTIVE || is_of_cluster(in) ||
		    begins_with(builtin_called(in), WAIT_FOR_GRID))
			return true;
		if (in->opcode == PTX_OP_exit && !function->is_entry)
			return true;
		if (in->opcode == PTX_OP_bra && jumps_back(target, i) &&
		    is_polling_loop(function, ptx_label_resolve(target->label)->position, i))
			return true;
	}
	return false;
}

/* Leaves when the grid is to be ended. */
void emit_stop_check(struct emit *emit)
{
	uint32_t stopped = emit_new_block(emit), running = emit_new_block(emit);
	struct value stop = emit_value(
	    emit, "getelementptr i8, ptr %%lane, i64 %zu", offsetof(struct sg_lane, stop));

	stop = emit_value(emit, "load ptr, ptr %s, !invariant.load !0", stop.text);
	stop = emit_value(emit, "load volatile i32, ptr %s", stop.text);
	stop = emit_value(emit, "icmp ne i32 %s, 0", stop.text);
	emit_branch_if(emit, stop, stopped, running);
	text_format(&emit->body, "b%u:\n", stopped);
	emit_line(emit, "call void @sg_stopped(ptr %%lane)");
	emit_line(emit, "unreachable");
	emit_start_block(emit, running);
}

static void look_back(struct emit *emit, uint32_t target)
{
	emit_stop_check(emit);
	if (is_polling_loop(emit->function, target, emit->position))
		emit_line(emit, "call void @sg_poll(ptr %%lane)");
}

/*
 * Code counts on a warp's lanes running together: what all of them read, some then write, with no
 * barrier between. Where threads have stacks of their own they take turns, those too whose
 * predicate is false: behind each volatile access to shared memory, and before a store behind
 * volatile loads from global memory or, in functions with barriers for warps, behind any from
 * shared memory. Where the user wants threads one at a time, before a store behind any load: code
 * that would run in step does so then, and speed is not what is asked for.
 */
static bool is_elsewhere(const struct ptx_instruction *in)
{
	return ptx_has(in, PTX_MODIFIER_local) || ptx_has(in, PTX_MODIFIER_param) ||
	       ptx_has(in, PTX_MODIFIER_shared_cluster);
}

static bool ends_turn(const struct ptx_instruction *in)
{
	return (in->opcode == PTX_OP_ld || in->opcode == PTX_OP_st) &&
	       ptx_has(in, PTX_MODIFIER_volatile) && !ptx_has(in, PTX_MODIFIER_global) &&
	       !is_elsewhere(in);
}

static bool starts_turn(const struct ptx_instruction *in, bool owes)
{
	return owes && in->opcode == PTX_OP_st && !is_elsewhere(in);
}

/* Behind the instruction: have lanes read what others may be about to write? */
static bool owes_turn(const struct emit *emit, const struct ptx_instruction *in, bool owes)
{
	if (in->opcode == PTX_OP_label || in->opcode == PTX_OP_bra || ends_turn(in) ||
	    starts_turn(in, owes) || ptx_opcode_info(in->opcode)->facts & PTX_OP_COLLECTIVE)
		return false;
	return owes ||
	       (in->opcode == PTX_OP_ld && !is_elsewhere(in) &&
		   (ptx_has(in, PTX_MODIFIER_volatile) || emit->program->is_alone ||
		       (emit->has_warp_barrier && (ptx_has(in, PTX_MODIFIER_shared) ||
						      ptx_has(in, PTX_MODIFIER_shared_cta)))));
}

bool emit_has_warp_barrier(const struct ptx_function *function)
{
	for (uint32_t i = 0; i < function->n_code; i++)
		if (function->code[i].opcode == PTX_OP_bar &&
		    ptx_has(&function->code[i], PTX_MODIFIER_warp))
			return true;
	return false;
}

/* Where lanes that part behind the block meet: a latch that was added is its loop's header. */
static void mark_join(struct emit *emit, const struct flow *flow, uint32_t loop, uint32_t block)
{
	uint32_t join = flow_postdominator(flow, loop, block);

	if (join == FLOW_NONE || join == flow->exit)
		return;
	if (flow->blocks[join].first == flow->blocks[join].end)
		join = flow->loops[flow->blocks[join].loop].header;
	emit->joins[flow->blocks[join].first] = true;
}

/*
 * Turns keep lanes together that run the same code. Those that leave a loop early, or jump over
 * one, wait where the others come by, as they would on a GPU; of several such places the first in
 * the flow's order goes on first.
 */
void emit_find_joins(struct emit *emit, const struct flow *flow)
{
	uint32_t rank = 1;

	for (uint32_t i = 0; i < flow->n_ordered; i++) {
		const struct flow_block *block = &flow->blocks[flow->order[i]];

		for (uint32_t at = block->first; at < block->end; at++)
			emit->ranks[at] = rank++;
		if (block->n_next > 1)
			mark_join(emit, flow, block->loop, flow->order[i]);
	}
	for (uint32_t i = 0; i < flow->n_loops; i++)
		mark_join(emit, flow, flow->loops[i].outer, flow->loops[i].header);
}

static void let_pass(struct emit *emit)
{
	emit_line(emit, "call void @sg_let_pass(ptr %%lane)");
}

void emit_turn_before(struct emit *emit)
{
	if (emit->program->needs_fibers && starts_turn(emit->in, emit->owes_turn))
		let_pass(emit);
	emit->owes_turn = owes_turn(emit, emit->in, emit->owes_turn);
}

void emit_turn_behind(struct emit *emit)
{
	if (emit->open && emit->program->needs_fibers && ends_turn(emit->in))
		let_pass(emit);
}

#define MOST_TURNS 16u

/* Turns on the way between two places, whichever way, if it has no loops and lanes do not meet. */
static uint32_t turns_between(const struct emit *emit, uint32_t from, uint32_t to)
{
	uint32_t n = 0;
	bool owes = false;

	for (uint32_t i = from; i < to; i++) {
		const struct ptx_instruction *in = &emit->function->code[i];

		if ((in->opcode == PTX_OP_bra && jumps_back(in->operands, i)) ||
		    in->opcode == PTX_OP_brx ||
		    ptx_opcode_info(in->opcode)->facts & PTX_OP_COLLECTIVE)
			return 0;
		n += ends_turn(in) + starts_turn(in, owes);
		owes = owes_turn(emit, in, owes);
	}
	return n <= MOST_TURNS ? n : 0;
}

/* Lanes that jump forward lose as many turns as those that do not take, to stay beside them. */
static void skip_turns(struct emit *emit, uint32_t target)
{
	uint32_t n =
	    emit->program->needs_fibers ? turns_between(emit, emit->position + 1, target) : 0;

	while (n--)
		let_pass(emit);
}

void emit_bra(struct emit *emit)
{
	const struct ptx_operand *target = emit->in->operands;
	const struct ptx_label *label;

	if (target->kind != PTX_OPERAND_LABEL)
		emit_fail(emit, "bra takes a label");
	label = ptx_label_resolve(target->label);
	if (jumps_back(target, emit->position))
		look_back(emit, label->position);
	else
		skip_turns(emit, label->position);
	emit_line(emit, "br label %%b%u", label->id);
	emit->open = false;
}

/* brx.idx index, targets: an index out of range is undefined; here the last target. */
void emit_brx(struct emit *emit)
{
	const struct ptx_operand *operands = emit->in->operands;
	const struct ptx_targets *targets = operands[1].targets;
	struct value index = source(emit, 0, PTX_TYPE_u32);
	uint32_t earliest = UINT32_MAX;

	if (operands[1].kind != PTX_OPERAND_TARGETS || !targets->count)
		emit_fail(emit, "brx.idx takes an index and a list of labels");
	for (uint32_t i = 0; i < targets->count; i++)
		earliest = MIN(earliest, ptx_label_resolve(targets->labels[i].label)->position);
	if (earliest < emit->position)
		look_back(emit, earliest);
	emit_line(emit, "switch i32 %s, label %%b%u [", index.text,
	    ptx_label_resolve(targets->labels[targets->count - 1].label)->id);
	for (uint32_t i = 0; i + 1 < targets->count; i++)
		emit_line(emit, "  i32 %u, label %%b%u", i,
		    ptx_label_resolve(targets->labels[i].label)->id);
	emit_line(emit, "]");
	emit->open = false;
}

void emit_ret(struct emit *emit)
{
	const struct ptx_function *function = emit->function;

	for (uint32_t i = 0; !function->is_entry && i < function->n_returns; i++) {
		const struct ptx_variable *result = function->returns[i];
		struct ptx_operand reg = {.kind = PTX_OPERAND_REGISTER, .reg = result->reg};
		enum ir_type type = ir_of(result->type);

		if (result->space == PTX_SPACE_REG)
			emit_line(emit, "store %s %s, ptr %%v%u, align 1", ir_name(type),
			    operand_get(emit, &reg, type, false).text, result->id);
	}
	emit_line(emit, "ret void");
	emit->open = false;
}

void emit_exit(struct emit *emit)
{
	if (emit->function->is_entry) {
		emit_line(emit, "ret void");
	} else {
		emit_line(emit, "call void @sg_exit(ptr %%lane)");
		emit_line(emit, "unreachable");
	}
	emit->open = false;
}

void emit_trap(struct emit *emit)
{
	emit_line(emit, "call void @sg_trap(ptr %%lane)");
	emit_line(emit, "unreachable");
	emit->open = false;
}

/* The operands of a call. */
struct call {
	const struct ptx_operand *returns, *callee, *params,
	    *prototype; /* all but callee may be NULL */
};

static void split_call(struct emit *emit, struct call *call)
{
	const struct ptx_operand *operand = emit->in->operands,
				 *end = operand + emit->in->n_operands;

	if (operand->kind == PTX_OPERAND_LIST)
		call->returns = operand++;
	call->callee = operand++;
	if (operand < end && operand->kind == PTX_OPERAND_LIST)
		call->params = operand++;
	if (operand < end)
		call->prototype = operand;
}

/* A value in memory for the callee: a .param variable is there already. */
static void pass(
    struct emit *emit, const struct ptx_operand *operand, enum ptx_type type, bool is_result)
{
	uint32_t slot = emit->n_temps++;
	enum ir_type ir = type != PTX_TYPE_NONE			  ? ir_of(type)
			  : operand->kind == PTX_OPERAND_REGISTER ? emit->registers[operand->reg]
								  : IR_I64;

	if (operand->kind == PTX_OPERAND_VARIABLE && operand->variable->space == PTX_SPACE_PARAM) {
		text_format(&emit->arguments, ", ptr %%v%u", operand->variable->id);
		return;
	}
	text_format(&emit->prologue, "  %%a%u = alloca %s\n", slot, ir_name(ir));
	text_format(&emit->arguments, ", ptr %%a%u", slot);
	if (!is_result)
		emit_line(emit, "store %s %s, ptr %%a%u", ir_name(ir),
		    operand_get(emit, operand, ir, false).text, slot);
}

static void pass_all(struct emit *emit, const struct ptx_operand *list,
    struct ptx_variable *const *formals, uint32_t n_formals, bool is_result)
{
	uint32_t count = list ? list->n_elements : 0;

	if (formals && count != n_formals)
		emit_fail(emit, "call passes %u values where %u are taken", count, n_formals);
	for (uint32_t i = 0; i < count; i++)
		pass(emit, &list->elements[i], formals ? formals[i]->type : PTX_TYPE_NONE,
		    is_result);
}

/* The callee's declaration says what it takes; for a pointer without prototype, the call does. */
static void pass_values(struct emit *emit, const struct call *call,
    const struct ptx_function *callee, const struct ptx_prototype *prototype)
{
	static struct ptx_variable *const none[1];
	struct ptx_prototype own = {0};

	if (callee) {
		own = (struct ptx_prototype){
		    callee->returns, callee->params, callee->n_returns, callee->n_params};
		prototype = &own;
	}
	if (!prototype) {
		pass_all(emit, call->returns, NULL, 0, true);
		pass_all(emit, call->params, NULL, 0, false);
		return;
	}
	pass_all(emit, call->returns, prototype->returns ?: (struct ptx_variable **)none,
	    prototype->n_returns, true);
	pass_all(emit, call->params, prototype->params ?: (struct ptx_variable **)none,
	    prototype->n_params, false);
}

/* After the call: results that go to registers, not to .param variables. */
static void fetch_results(struct emit *emit, const struct call *call, uint32_t first_slot,
    const struct ptx_function *callee)
{
	for (uint32_t i = 0; call->returns && i < call->returns->n_elements; i++) {
		const struct ptx_operand *operand = &call->returns->elements[i];
		enum ir_type ir;

		if (operand->kind != PTX_OPERAND_REGISTER)
			continue;
		ir = callee && i < callee->n_returns ? ir_of(callee->returns[i]->type)
						     : emit->registers[operand->reg];
		operand_set(emit, operand,
		    emit_value(emit, "load %s, ptr %%a%u", ir_name(ir), first_slot + i), ir, false);
	}
}

static struct value indirect_target(struct emit *emit, const struct call *call)
{
	struct value handle = operand_get(emit, call->callee, IR_I64, false), inside, target;
	uint32_t good = emit_new_block(emit), bad = emit_new_block(emit),
		 found = emit_new_block(emit);
	size_t n_handles = emit->program->n_handles;

	handle =
	    emit_value(emit, "sub i64 %s, %llu", handle.text, (unsigned long long)SG_FUNCTION_BASE);
	handle = emit_value(
	    emit, "call i64 @llvm.fshr.i64(i64 %s, i64 %s, i64 4)", handle.text, handle.text);
	inside = emit_value(emit, "icmp ult i64 %s, %zu", handle.text, n_handles);
	emit_branch_if(emit, inside, good, bad);
	text_format(&emit->body, "b%u:\n", bad);
	emit_line(emit, "call void @sg_bad_call(ptr %%lane)");
	emit_line(emit, "unreachable");
	emit_start_block(emit, good);
	target = emit_value(emit, "getelementptr ptr, ptr @functions, i64 %s", handle.text);
	target = emit_value(emit, "load ptr, ptr %s", target.text);
	inside = emit_value(emit, "icmp ne ptr %s, null", target.text);
	emit_branch_if(emit, inside, found, bad);
	emit_start_block(emit, found);
	return target;
}

static const struct builtin *check_builtin(struct emit *emit, const struct ptx_function *callee)
{
	const struct builtin *builtin = find_builtin(callee->name);

	if (builtin && callee->n_returns == builtin->n_returns &&
	    callee->n_params == builtin->n_params)
		return builtin;
	emit->error->unsupported = !builtin && jit_is_system_function(callee->name);
	if (emit->error->unsupported)
		emit_fail(
		    emit, "%s is not supported by the software GPU's device runtime", callee->name);
	emit_fail(emit,
	    builtin ? "\"%s\" is declared with other parameters than the system's"
		    : "\"%s\" is called but nowhere defined",
	    callee->name);
}

uint32_t code_site(const struct emit *emit)
{
	uint32_t rank = emit->ranks ? emit->ranks[emit->position] : 0;

	return emit->function->serial << 20 | (rank ?: emit->position);
}

static void note_call(struct emit *emit)
{
	struct value at = emit_value(
	    emit, "getelementptr i8, ptr %%lane, i64 %zu", offsetof(struct sg_lane, call_site));

	emit_line(emit, "store i32 %d, ptr %s", (int32_t)code_site(emit), at.text);
}

/* Recursion is a loop without a branch backwards. */
static bool may_recurse(const struct ptx_function *callee)
{
	for (uint32_t i = 0; callee && i < callee->n_code; i++)
		if (callee->code[i].opcode == PTX_OP_call)
			return true;
	return !callee;
}

void emit_call(struct emit *emit)
{
	struct call call = {0};
	const struct ptx_function *callee = NULL;
	const struct ptx_prototype *prototype = NULL;
	struct value target = {""};
	uint32_t first_slot;
	const char *arguments;

	split_call(emit, &call);
	if (call.callee->kind == PTX_OPERAND_FUNCTION)
		callee = call.callee->function->definition;
	else if (call.callee->kind == PTX_OPERAND_REGISTER)
		target = indirect_target(emit, &call);
	else
		emit_fail(emit, "call takes a function or a register");
	if (call.prototype && call.prototype->kind == PTX_OPERAND_PROTOTYPE)
		prototype = call.prototype->prototype;
	emit->arguments.size = 0;
	text_append(&emit->arguments, "", 0);
	first_slot = emit->n_temps;
	pass_values(emit, &call, callee, prototype);
	arguments = emit->arguments.bytes;
	if (may_recurse(callee))
		emit_stop_check(emit);
	note_call(emit);
	if (callee && !callee->has_body) {
		emit_line(emit, "call void @sg_builtin_%s(ptr %%lane%s)",
		    check_builtin(emit, callee)->name, arguments);
	} else if (callee) {
		emit_line(emit, "call void @f%u(ptr %%lane%s)", callee->serial, arguments);
	} else {
		emit_line(emit, "call void %s(ptr %%lane%s)", target.text, arguments);
	}
	fetch_results(emit, &call, first_slot, callee);
}
