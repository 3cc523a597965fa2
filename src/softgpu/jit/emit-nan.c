/*
 * NaNs of single precision. What arithmetic makes of one is 0x7fffffff on a GPU, whatever bits went
 * in; a CPU keeps them, or makes 0xffc00000. To compare each result would cost as much as computing
 * it. So NaNs are settled where somebody may see their bits: where a register that only holds
 * results of arithmetic is stored, sent to another lane or taken for bits. That is mostly once
 * after a loop, and costs nothing that can be measured.
 *
 * A register that may also hold what was only copied is left alone, for copies keep their bits. A
 * NaN that arithmetic put there has the CPU's.
 */
#include <stdlib.h>

#include "softgpu/exec/lane.h"
#include "softgpu/jit/emit.h"

static bool has_single(const struct ptx_instruction *in)
{
	for (unsigned i = 0; i < in->n_types; i++)
		if (in->types[i] == PTX_TYPE_f32)
			return true;
	return false;
}

/* From and to double precision, and from bf16, NaNs keep their payload as far as there is room. */
static bool keeps_payload(const struct ptx_instruction *in)
{
	return in->opcode == PTX_OP_cvt &&
	       (in->types[0] == PTX_TYPE_f64 || in->types[1] == PTX_TYPE_f64 ||
		   in->types[1] == PTX_TYPE_bf16);
}

/* Arithmetic of single precision looks at its operands' values, not at their bits. */
static bool is_arithmetic(const struct ptx_instruction *in)
{
	switch (in->opcode) {
	case PTX_OP_abs:
	case PTX_OP_add:
	case PTX_OP_cos:
	case PTX_OP_div:
	case PTX_OP_ex2:
	case PTX_OP_fma:
	case PTX_OP_lg2:
	case PTX_OP_mad:
	case PTX_OP_max:
	case PTX_OP_min:
	case PTX_OP_mul:
	case PTX_OP_neg:
	case PTX_OP_rcp:
	case PTX_OP_rsqrt:
	case PTX_OP_sin:
	case PTX_OP_sqrt:
	case PTX_OP_sub:
	case PTX_OP_tanh:
	case PTX_OP_set:
	case PTX_OP_setp:
	case PTX_OP_testp:
	case PTX_OP_cvt:
		return has_single(in) && !keeps_payload(in);
	default:
		return false;
	}
}

/* Its first operand becomes a number of single precision. */
static bool makes_single(const struct ptx_instruction *in)
{
	return is_arithmetic(in) && in->opcode != PTX_OP_setp && in->opcode != PTX_OP_testp &&
	       in->opcode != PTX_OP_set && in->n_types && in->types[0] == PTX_TYPE_f32;
}

static bool is_copy(const struct ptx_instruction *in)
{
	return (in->opcode == PTX_OP_mov || in->opcode == PTX_OP_selp) && in->n_types &&
	       ptx_type_bits(in->types[0]) == 32;
}

static bool is_number(const struct emit *emit, const struct ptx_operand *operand)
{
	switch (operand->kind) {
	case PTX_OPERAND_REGISTER:
		return emit->numbers[operand->reg];
	case PTX_OPERAND_INTEGER:
	case PTX_OPERAND_F32:
		return (operand->value & 0x7fffffff) <= 0x7f800000;
	default:
		return false;
	}
}

/* Copies of numbers are numbers. */
static bool copies_number(const struct emit *emit, const struct ptx_instruction *in)
{
	return is_copy(in) && is_number(emit, &in->operands[1]) &&
	       (in->opcode == PTX_OP_mov || is_number(emit, &in->operands[2]));
}

/* Takes registers that are written from the numbers; true if there was one. */
static bool strike(struct emit *emit, const struct ptx_operand *operand)
{
	bool struck = false;

	if (operand->kind == PTX_OPERAND_REGISTER) {
		struck = emit->numbers[operand->reg];
		emit->numbers[operand->reg] = false;
	}
	for (uint32_t i = 0; i < operand->n_elements; i++)
		struck |= strike(emit, &operand->elements[i]);
	return struck;
}

static bool strike_all(struct emit *emit)
{
	const struct ptx_function *function = emit->function;
	bool struck = false;

	for (uint32_t i = 0; i < function->n_code; i++) {
		const struct ptx_instruction *in = &function->code[i];

		if (in->n_operands && !makes_single(in) && !copies_number(emit, in))
			struck |= strike(emit, &in->operands[0]);
	}
	return struck;
}

void nan_find_numbers(struct emit *emit)
{
	const struct ptx_function *function = emit->function;

	free(emit->numbers);
	emit->numbers = calloc(function->n_registers + 1, sizeof(*emit->numbers));
	if (!emit->numbers)
		emit_fail(emit, "out of memory");

	for (uint32_t i = 0; i < function->n_registers; i++)
		emit->numbers[i] = emit->registers[i] == IR_FLOAT;
	for (uint32_t i = 0; i < function->n_params; i++)
		if (function->params[i]->space == PTX_SPACE_REG)
			emit->numbers[function->params[i]->reg] = false;
	while (strike_all(emit))
		;
}

static struct value settle(struct emit *emit, struct value number)
{
	struct value is_nan = emit_value(emit, "fcmp uno float %s, %s", number.text, number.text);

	return emit_value(emit, "select i1 %s, float %s, float %s", is_nan.text,
	    ir_constant(IR_FLOAT, SG_NAN_F32).text, number.text);
}

/* Whoever looks at the copy settles it. */
static bool is_copied(const struct emit *emit, const struct ptx_instruction *in)
{
	return is_copy(in) && in->operands->kind == PTX_OPERAND_REGISTER &&
	       emit->registers[in->operands->reg] == IR_FLOAT;
}

struct value nan_of_source(struct emit *emit, uint32_t reg, struct value value, enum ir_type want)
{
	const struct ptx_instruction *in = emit->in;

	if (!emit->numbers[reg] || !in || (want == IR_FLOAT && is_arithmetic(in)) ||
	    is_copied(emit, in))
		return value;
	return settle(emit, value);
}
