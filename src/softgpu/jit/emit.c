/*
 * The translator: PTX to textual LLVM IR, one thread at a time ("scalar"). This file keeps the
 * state, prints lines, walks a function's code and drives a whole program; an emitter per opcode
 * does the rest (emit-*.c), found by the table of softgpu/ptx/opcodes.h.
 *
 * Why text: printing and parsing it is a tenth of the time of a compile, any output can be read
 * and fed to opt, and the core links no LLVM. Registers are stack slots, which LLVM's first pass
 * turns into SSA; labels are blocks; a predicated instruction is a branch around it, which LLVM
 * turns back into selects where that pays.
 *
 * Every access of memory is checked against the arena and for alignment by one rotate and one
 * compare. Backward branches look at the stop flag, so that an endless kernel can be ended.
 */
#include "softgpu/jit/emit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/jit/check.h"
#include "softgpu/jit/warp/flow.h"

_Noreturn void emit_fail(struct emit *emit, const char *format, ...)
{
	va_list arguments;

	emit->error->unit = emit->function ? emit->function->unit : NULL;
	emit->error->line = emit->in ? emit->in->line : 0;
	va_start(arguments, format);
	vsnprintf(emit->error->text, sizeof(emit->error->text), format, arguments);
	va_end(arguments);
	longjmp(emit->failure, 1);
}

_Noreturn void emit_unsupported(struct emit *emit)
{
	const struct ptx_instruction *in = emit->in;
	char types[64] = "";
	size_t size = 0;

	for (unsigned i = 0; i < in->n_types && size < sizeof(types); i++)
		size += (size_t)snprintf(
		    types + size, sizeof(types) - size, ".%s", ptx_type_name(in->types[i]));
	emit->error->unsupported = true;
	emit_fail(emit, "this form of %s%s is not supported by the software GPU",
	    ptx_opcode_info(in->opcode)->name, types);
}

const char *ir_name(enum ir_type type)
{
	static const char *const names[] = {
	    "i1", "i8", "i16", "i32", "i64", "i128", "float", "double"};

	return names[type];
}

unsigned ir_bits(enum ir_type type)
{
	static const uint8_t bits[] = {1, 8, 16, 32, 64, 128, 32, 64};

	return bits[type];
}

enum ir_type ir_of_bits(unsigned bits)
{
	switch (bits) {
	case 8:
		return IR_I8;
	case 16:
		return IR_I16;
	case 32:
		return IR_I32;
	case 64:
		return IR_I64;
	default:
		return IR_I128;
	}
}

enum ir_type ir_of(enum ptx_type type)
{
	switch (type) {
	case PTX_TYPE_pred:
		return IR_I1;
	case PTX_TYPE_f32:
		return IR_FLOAT;
	case PTX_TYPE_f64:
		return IR_DOUBLE;
	default:
		return ir_of_bits(ptx_type_bits(type));
	}
}

void emit_line(struct emit *emit, const char *format, ...)
{
	va_list arguments;

	text_append(&emit->body, "  ", 2);
	va_start(arguments, format);
	text_vformat(&emit->body, format, arguments);
	va_end(arguments);
	text_append(&emit->body, "\n", 1);
}

struct value emit_value(struct emit *emit, const char *format, ...)
{
	struct value value;
	va_list arguments;

	snprintf(value.text, sizeof(value.text), "%%t%u", emit->n_temps++);
	text_format(&emit->body, "  %s = ", value.text);
	va_start(arguments, format);
	text_vformat(&emit->body, format, arguments);
	va_end(arguments);
	text_append(&emit->body, "\n", 1);
	return value;
}

struct value ir_constant(enum ir_type type, uint64_t bits)
{
	struct value value;

	switch (type) {
	case IR_I1:
		snprintf(value.text, sizeof(value.text), "%s", bits & 1 ? "true" : "false");
		break;
	case IR_I8:
		snprintf(value.text, sizeof(value.text), "%d", (int8_t)bits);
		break;
	case IR_I16:
		snprintf(value.text, sizeof(value.text), "%d", (int16_t)bits);
		break;
	case IR_I32:
		snprintf(value.text, sizeof(value.text), "%d", (int32_t)bits);
		break;
	case IR_FLOAT:
		snprintf(
		    value.text, sizeof(value.text), "bitcast (i32 %d to float)", (int32_t)bits);
		break;
	case IR_DOUBLE:
		snprintf(value.text, sizeof(value.text), "0x%016llx", (unsigned long long)bits);
		break;
	default:
		snprintf(value.text, sizeof(value.text), "%lld", (long long)bits);
	}
	return value;
}

uint32_t emit_new_block(struct emit *emit)
{
	return emit->n_blocks++;
}

void emit_start_block(struct emit *emit, uint32_t block)
{
	if (emit->open)
		emit_line(emit, "br label %%b%u", block);
	text_format(&emit->body, "b%u:\n", block);
	emit->open = true;
}

void emit_branch_if(struct emit *emit, struct value condition, uint32_t yes, uint32_t no)
{
	emit_line(emit, "br i1 %s, label %%b%u, label %%b%u", condition.text, yes, no);
	emit->open = false;
}

bool has(const struct emit *emit, enum ptx_modifier modifier)
{
	return ptx_has(emit->in, modifier);
}

enum ptx_type type_at(struct emit *emit, unsigned index)
{
	if (index >= emit->in->n_types)
		emit_fail(emit, "%s needs a type", ptx_opcode_info(emit->in->opcode)->name);
	return emit->in->types[index];
}

#define EMITTER_ROW(name, fewest, most, facts, emitter) [PTX_OP_##name] = emit_##emitter,
static void (*const emitters[PTX_OP_COUNT])(struct emit *) = {PTX_OPCODES(EMITTER_ROW)};

void emit_opcode(struct emit *emit)
{
	if (emit->in->unsupported)
		emit_unsupported(emit);
	emitters[emit->in->opcode](emit);
}

/* Where a thread runs by itself. */
static void emit_alone(struct emit *emit)
{
	if (emit->program->is_checked)
		check_before(emit);
	emit_opcode(emit);
}

static void emit_predicated(struct emit *emit)
{
	const struct ptx_instruction *in = emit->in;
	struct ptx_operand predicate = {
	    .kind = PTX_OPERAND_REGISTER, .reg = in->predicate, .negated = in->predicate_negated};
	uint32_t then = emit_new_block(emit), next = emit_new_block(emit);

	emit_branch_if(emit, operand_get(emit, &predicate, IR_I1, false), then, next);
	emit_start_block(emit, then);
	emit_alone(emit);
	emit_start_block(emit, next);
}

/* Labels of the function have the block numbers 0 to n_labels - 1. */
static void emit_instruction(struct emit *emit, const struct ptx_instruction *in)
{
	emit->in = in;
	if (in->opcode == PTX_OP_label) {
		emit->owes_turn = false;
		emit_start_block(emit, in->operands->label->id);
		emit_join(emit);
		return;
	}
	if (!emit->open) /* behind a jump, before any label: never reached */
		return;
	emit_join(emit);
	emit_turn_before(emit);
	if (in->predicate == PTX_NO_REG)
		emit_alone(emit);
	else
		emit_predicated(emit);
	emit_turn_behind(emit);
}

/*
 * Since nvcc 13 float values live in .b32 registers. A slot of the wrong type costs a move between
 * register files at each use, so each register votes: results of float instructions against
 * others.
 */
void emit_choose_register_types(struct emit *emit)
{
	const struct ptx_function *function = emit->function;
	int *votes = calloc(function->n_registers + 1, sizeof(*votes));

	if (!votes)
		emit_fail(emit, "out of memory");
	for (uint32_t i = 0; i < function->n_code; i++) {
		const struct ptx_instruction *in = &function->code[i];
		enum ptx_type type = in->n_types ? in->types[0] : PTX_TYPE_NONE;

		if (!in->n_operands || in->operands->kind != PTX_OPERAND_REGISTER)
			continue;
		if (type == PTX_TYPE_f32 || type == PTX_TYPE_f64)
			votes[in->operands->reg]++;
		else if (in->opcode != PTX_OP_ld && in->opcode != PTX_OP_mov &&
			 in->opcode != PTX_OP_selp)
			votes[in->operands->reg]--;
	}
	for (uint32_t i = 0; i < function->n_registers; i++) {
		enum ir_type type = ir_of(function->register_types[i]);

		if (votes[i] > 0 && type == IR_I32)
			type = IR_FLOAT;
		if (votes[i] > 0 && type == IR_I64)
			type = IR_DOUBLE;
		emit->registers[i] = type;
	}
	free(votes);
	nan_find_numbers(emit);
}

/*
 * Registers that may be read before they are written start as zero, where PTX says nothing: a
 * kernel that does so must not differ from run to run. Not the others: for a place with a single
 * write LLVM need not search the whole function for where values meet, which took most of a large
 * kernel's time.
 */
static void emit_registers(struct emit *emit)
{
	struct flow flow;
	bool is_known;

	emit_choose_register_types(emit);
	is_known = flow_init(&flow, emit->function);
	if (is_known && emit->program->is_alone && emit->program->needs_fibers)
		emit_find_joins(emit, &flow);
	for (uint32_t i = 0; i < emit->function->n_registers; i++) {
		const char *type = ir_name(emit->registers[i]);

		text_format(&emit->prologue, "  %%r%u = alloca %s\n", i, type);
		if (!is_known || flow_reads_early(&flow, i))
			text_format(
			    &emit->prologue, "  store %s zeroinitializer, ptr %%r%u\n", type, i);
	}
	flow_fini(&flow);
}

static void emit_locals(struct emit *emit)
{
	for (const struct ptx_variable *v = emit->function->variables; v; v = v->next) {
		text_format(&emit->prologue, "  %%v%u = alloca [%llu x i8], align %u\n", v->id,
		    (unsigned long long)v->size, v->align);
		if (emit->program->is_checked)
			check_local(emit, v, v->size);
	}
}

bool emit_has_pairs(const struct ptx_function *function)
{
	for (uint32_t i = 0; i < function->n_code; i++)
		if (ptx_has(&function->code[i], PTX_MODIFIER_cta_group_2))
			return true;
	return false;
}

static void emit_header(struct emit *emit)
{
	const struct ptx_function *function = emit->function;

	if (function->is_entry) {
		text_format(
		    emit->out, "define void @" JIT_ENTRY_NAME "(ptr noalias %%lane) #0 {\n");
		return;
	}
	text_format(emit->out, "define internal void @f%u(ptr noalias %%lane", function->serial);
	for (uint32_t i = 0; i < function->n_returns; i++)
		text_format(emit->out, ", ptr %%v%u", function->returns[i]->id);
	for (uint32_t i = 0; i < function->n_params; i++)
		text_format(emit->out, ", ptr %%v%u", function->params[i]->id);
	text_format(emit->out, ") #0 {\n");
}

/* .reg parameters of old-style functions. */
static void load_register_params(struct emit *emit)
{
	for (uint32_t i = 0; i < emit->function->n_params; i++) {
		const struct ptx_variable *param = emit->function->params[i];
		struct ptx_operand reg = {.kind = PTX_OPERAND_REGISTER, .reg = param->reg};
		enum ir_type type = ir_of(param->type);

		if (param->space == PTX_SPACE_REG && strcmp(param->name, "_"))
			operand_set(emit, &reg,
			    emit_value(
				emit, "load %s, ptr %%v%u, align 1", ir_name(type), param->id),
			    type, false);
	}
}

void emit_free_lists(struct emit *emit)
{
	free(emit->registers);
	free(emit->ranks);
	free(emit->joins);
	emit->registers = NULL;
	emit->ranks = NULL;
	emit->joins = NULL;
}

void emit_function(struct emit *emit, const struct ptx_function *function)
{
	emit->function = function;
	emit->in = NULL;
	emit->n_temps = 0;
	emit->n_blocks = function->n_labels;
	emit->open = true;
	emit->uses_carry = emit->has_matrix = emit->has_wgmma = emit->has_tcgen05 = false;
	emit->has_pairs = emit_has_pairs(function);
	emit->has_warp_barrier = emit_has_warp_barrier(function);
	emit->owes_turn = false;
	emit->specials[0] = emit->specials[1] = 0;
	emit->prologue.size = emit->body.size = 0;
	emit->registers = calloc(function->n_registers + 1, sizeof(*emit->registers));
	emit->ranks = calloc(function->n_code + 1, sizeof(*emit->ranks));
	emit->joins = calloc(function->n_code + 1, sizeof(*emit->joins));
	if (!emit->registers || !emit->ranks || !emit->joins)
		emit_fail(emit, "out of memory");
	emit_registers(emit);
	emit_locals(emit);
	load_register_params(emit);
	for (uint32_t i = 0; i < function->n_code; i++) {
		emit->position = i;
		emit_instruction(emit, &function->code[i]);
	}
	if (emit->open)
		emit_ret(emit);
	if (emit->uses_carry)
		text_format(&emit->prologue, "  %%carry = alloca i1\n");
	emit_header(emit);
	text_format(emit->out, "entry:\n");
	text_append(emit->out, emit->prologue.bytes ?: "", emit->prologue.size);
	text_format(emit->out, "  br label %%start\nstart:\n");
	text_append(emit->out, emit->body.bytes ?: "", emit->body.size);
	text_format(emit->out, "}\n");
	emit_free_lists(emit);
}

/* Functions by number of their handle, for calls through pointers. */
void emit_handles(struct emit *emit)
{
	const struct jit_program *program = emit->program;

	if (!program->has_indirect_call)
		return;
	text_format(emit->out, "@functions = private constant [%zu x ptr] [", program->n_handles);
	for (size_t i = 0; i < program->n_handles; i++) {
		const struct ptx_function *function = program->handles[i];

		if (i)
			text_append(emit->out, ", ", 2);
		if (function->has_body && !function->is_entry)
			text_format(emit->out, "ptr @f%u", function->serial);
		else
			text_format(emit->out, "ptr null");
	}
	text_format(emit->out, "]\n");
}

/* Apart, so that no variable of the caller is live across the jump. */
static bool translate_guarded(struct emit *emit)
{
	if (setjmp(emit->failure))
		return false;
	text_append(emit->out, jit_prelude, strlen(jit_prelude));
	if (emit->program->is_checked)
		text_append(emit->out, check_prelude, strlen(check_prelude));
	emit_builtins(emit);
	emit_handles(emit);
	for (size_t i = 0; i < emit->program->n_functions; i++)
		emit_function(emit, emit->program->functions[i]);
	if (emit->out->failed || emit->body.failed || emit->arguments.failed ||
	    emit->prologue.failed)
		emit_fail(emit, "out of memory");
	return true;
}

bool jit_translate(const struct jit_program *program, struct text *ir, struct jit_error *error)
{
	struct emit *emit = calloc(1, sizeof(*emit));
	bool translated = false;

	*error = (struct jit_error){.text = "out of memory"};
	*ir = (struct text){0};
	if (emit) {
		emit->program = program;
		emit->error = error;
		emit->out = ir;
		translated = translate_guarded(emit);
		emit_free_lists(emit);
		free(emit->numbers);
		text_fini(&emit->prologue);
		text_fini(&emit->body);
		text_fini(&emit->arguments);
	}
	free(emit);
	return translated;
}
