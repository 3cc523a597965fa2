/*
 * Products and sums that become one operation, fma, with one rounding. mul, add and sub without a
 * rounding modifier allow it (PTX ISA 9.7.3); compilers leave much of it to ptxas, and programs
 * count on the digits it gains. So this does what ptxas 13.0 was seen to do, by the code it makes
 * of random sums of products, but for halves, whose products stay:
 *
 * A product is fused if nothing but sums of its block takes it, and into all of these; a predicate
 * may be on the sum only. First come products that one sum takes, then those that several take; in
 * each turn sums in order, and of a sum's two products the left one before the right. A product
 * that is left becomes the addend and is no candidate any more. ptxas tells values apart where this
 * tells registers: a product must be its register's only value.
 *
 * The parser calls this for each body, so that every way to run it computes the same.
 */
#include <stdlib.h>
#include <string.h>

#include "softgpu/ptx/parser.h"

/*
 * Of a register. Instructions are numbered from 1, 0 is none. A use is the number of the sum that
 * takes the product, times 2, plus 1 if it stands on the right.
 */
struct value {
	uint32_t n_seen;  /* operands that name it, in the whole function */
	uint32_t written; /* the last instruction that wrote it, so far */
	uint32_t product; /* the mul it is from, if that is in this block */
	uint32_t n_sums;  /* how many sums of the block take it */
	uint32_t first_use, last_use;
};

struct fuser {
	struct parser *parser;
	struct ptx_function *function;
	struct value *values; /* by register */
	uint32_t *next_use;   /* by use */
	bool *is_target;      /* by label: some jump leads there */
};

static void see_operand(struct fuser *f, const struct ptx_operand *operand)
{
	if (operand->kind == PTX_OPERAND_REGISTER)
		f->values[operand->reg].n_seen++;
	else if (operand->kind == PTX_OPERAND_TARGETS)
		for (uint32_t i = 0; i < operand->targets->count; i++)
			see_operand(f, &operand->targets->labels[i]);
	else if (operand->kind == PTX_OPERAND_LABEL)
		f->is_target[ptx_label_resolve(operand->label)->id] = true;
	for (uint32_t i = 0; i < operand->n_elements; i++)
		see_operand(f, &operand->elements[i]);
}

static void see_parameters(struct fuser *f, struct ptx_variable **parameters, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (parameters[i]->space == PTX_SPACE_REG)
			f->values[parameters[i]->reg].n_seen++;
}

static void see_all(struct fuser *f)
{
	const struct ptx_function *function = f->function;

	see_parameters(f, function->params, function->n_params);
	see_parameters(f, function->returns, function->n_returns);
	for (uint32_t i = 0; i < function->n_code; i++) {
		const struct ptx_instruction *in = &function->code[i];

		if (in->predicate != PTX_NO_REG)
			f->values[in->predicate].n_seen++;
		for (uint32_t k = 0; in->opcode != PTX_OP_label && k < in->n_operands; k++)
			see_operand(f, &in->operands[k]);
	}
}

static bool ends_block(const struct fuser *f, const struct ptx_instruction *in)
{
	switch (in->opcode) {
	case PTX_OP_label:
		return f->is_target[ptx_label_resolve(in->operands->label)->id];
	case PTX_OP_bra:
	case PTX_OP_brx:
	case PTX_OP_call:
	case PTX_OP_ret:
	case PTX_OP_exit:
	case PTX_OP_trap:
		return true;
	default:
		return false;
	}
}

static bool may_be_fused(const struct ptx_instruction *in)
{
	return in->n_types == 1 && in->n_operands == 3 &&
	       (in->types[0] == PTX_TYPE_f32 || in->types[0] == PTX_TYPE_f64) &&
	       in->operands[0].kind == PTX_OPERAND_REGISTER && !ptx_has(in, PTX_MODIFIER_rn) &&
	       !ptx_has(in, PTX_MODIFIER_rz) && !ptx_has(in, PTX_MODIFIER_rm) &&
	       !ptx_has(in, PTX_MODIFIER_rp);
}

static bool is_product(const struct ptx_instruction *in)
{
	return in->opcode == PTX_OP_mul && may_be_fused(in) && in->predicate == PTX_NO_REG &&
	       !ptx_has(in, PTX_MODIFIER_sat);
}

static bool is_sum(const struct ptx_instruction *in)
{
	return (in->opcode == PTX_OP_add || in->opcode == PTX_OP_sub) && may_be_fused(in);
}

/* What an instruction writes stands first. */
static void note_written(struct fuser *f, const struct ptx_operand *operand, uint32_t number)
{
	if (operand->kind == PTX_OPERAND_REGISTER) {
		f->values[operand->reg].written = number;
		f->values[operand->reg].product = 0;
	}
	for (uint32_t i = 0; i < operand->n_elements; i++)
		note_written(f, &operand->elements[i], number);
}

/* Of a sum's operand: the product it is, or NULL. */
static struct value *product_of(struct fuser *f, const struct ptx_operand *operand)
{
	struct value *value =
	    operand->kind == PTX_OPERAND_REGISTER ? &f->values[operand->reg] : NULL;

	return value && value->product ? value : NULL;
}

static bool factors_are_there(const struct fuser *f, uint32_t product)
{
	const struct ptx_instruction *in = &f->function->code[product - 1];

	for (uint32_t i = 1; i <= 2; i++)
		if (in->operands[i].kind == PTX_OPERAND_REGISTER &&
		    f->values[in->operands[i].reg].written >= product)
			return false;
	return true;
}

static void note_sum(struct fuser *f, const struct ptx_instruction *in, uint32_t number)
{
	/* ptxas leaves the sum of a product and itself. */
	if (product_of(f, &in->operands[1]) == product_of(f, &in->operands[2]))
		return;
	for (uint32_t i = 0; i < 2; i++) {
		struct value *value = product_of(f, &in->operands[i + 1]);
		uint32_t use = 2 * number + i;

		if (!value || !factors_are_there(f, value->product) ||
		    f->function->code[value->product - 1].types[0] != in->types[0] ||
		    ptx_has(&f->function->code[value->product - 1], PTX_MODIFIER_ftz) !=
			ptx_has(in, PTX_MODIFIER_ftz))
			continue;
		if (value->n_sums++)
			f->next_use[value->last_use] = use;
		else
			value->first_use = use;
		value->last_use = use;
		f->next_use[use] = 0;
	}
}

static void fuse_use(struct fuser *f, const struct ptx_instruction *product, uint32_t use)
{
	struct ptx_instruction *in = &f->function->code[use / 2 - 1];
	struct ptx_operand *operands = parser_take(f->parser, 4 * sizeof(*operands));
	bool is_left = !(use % 2), is_difference = in->opcode == PTX_OP_sub;
	struct value *other = product_of(f, &in->operands[is_left ? 2 : 1]);

	if (other)
		other->n_sums--; /* one that takes it is no sum any more */
	operands[0] = in->operands[0];
	operands[1] = product->operands[1];
	operands[2] = product->operands[2];
	operands[3] = in->operands[is_left ? 2 : 1];
	operands[1].minus = is_difference && !is_left;
	operands[3].minus = is_difference && is_left;
	in->opcode = PTX_OP_fma;
	in->operands = operands;
	in->n_operands = 4;
	ptx_set(in, PTX_MODIFIER_rn);
}

static void fuse(struct fuser *f, struct value *value)
{
	struct ptx_instruction *product = &f->function->code[value->product - 1];

	for (uint32_t use = value->first_use; use; use = f->next_use[use])
		fuse_use(f, product, use);
	product->n_operands = 0; /* to be dropped */
	value->product = 0;
}

static void fuse_sums(struct fuser *f, uint32_t first, uint32_t end, uint32_t most_sums)
{
	for (uint32_t i = first; i < end; i++) {
		struct ptx_instruction *in = &f->function->code[i];

		for (uint32_t k = 1; k <= 2 && is_sum(in); k++) {
			struct value *value = product_of(f, &in->operands[k]);

			/* Seen where it is made, and by sums only. */
			if (value && value->n_sums && value->n_sums <= most_sums &&
			    value->n_seen == 1 + value->n_sums)
				fuse(f, value);
		}
	}
}

static void fuse_block(struct fuser *f, uint32_t first, uint32_t end)
{
	fuse_sums(f, first, end, 1);
	fuse_sums(f, first, end, UINT32_MAX);
	for (uint32_t i = first; i < end; i++)
		if (is_product(&f->function->code[i]))
			f->values[f->function->code[i].operands[0].reg].product = 0;
}

static void fuse_blocks(struct fuser *f)
{
	const struct ptx_function *function = f->function;
	uint32_t first = 0;

	for (uint32_t i = 0; i < function->n_code; i++) {
		const struct ptx_instruction *in = &function->code[i];

		if (ends_block(f, in)) {
			fuse_block(f, first, i);
			first = i + 1;
		}
		if (in->opcode == PTX_OP_label || in->unsupported)
			continue;
		if (is_sum(in))
			note_sum(f, in, i + 1);
		if (in->n_operands)
			note_written(f, in->operands, i + 1);
		if (is_product(in)) {
			struct value *value = &f->values[in->operands[0].reg];

			value->product = i + 1;
			value->n_sums = 0;
		}
	}
	fuse_block(f, first, function->n_code);
}

static void drop_products(struct ptx_function *function)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < function->n_code; i++) {
		struct ptx_instruction *in = &function->code[i];

		if (in->opcode == PTX_OP_mul && !in->n_operands)
			continue;
		if (in->opcode == PTX_OP_label)
			in->operands->label->position = n;
		function->code[n++] = *in;
	}
	function->n_code = n;
}

static bool has_both(const struct ptx_function *function)
{
	bool has_product = false, has_sum = false;

	for (uint32_t i = 0; i < function->n_code; i++) {
		has_product |= is_product(&function->code[i]);
		has_sum |= is_sum(&function->code[i]);
	}
	return has_product && has_sum;
}

/* Zeroed, and good until the next body. */
static void *take_scratch(struct parser *parser, size_t size)
{
	free(parser->scratch);
	parser->scratch = calloc(1, size);
	if (!parser->scratch)
		parser_fail(parser, "out of memory");
	return parser->scratch;
}

void parse_fuse(struct parser *parser, struct ptx_function *function)
{
	struct fuser f = {.parser = parser, .function = function};
	size_t n_uses = 2 * ((size_t)function->n_code + 1);

	if (!has_both(function))
		return;
	f.values = take_scratch(parser, function->n_registers * sizeof(*f.values) +
					    n_uses * sizeof(*f.next_use) + function->n_labels);
	f.next_use = (uint32_t *)(f.values + function->n_registers);
	f.is_target = (bool *)(f.next_use + n_uses);
	see_all(&f);
	fuse_blocks(&f);
	drop_products(function);
}
