/*
 * How results differ between lanes, given how operands do. An opcode not named here gives the same
 * to all lanes when all its sources do, and anything otherwise; those whose results differ even
 * then are named. Each rule is one of integer arithmetic modulo the type's size: what lane 0
 * computes from lane 0's sources is the result's base.
 */

#include "base/util.h"
#include "softgpu/exec/exec.h"
#include "softgpu/exec/lane.h"
#include "softgpu/jit/warp/facts.h"

static const struct shape uniform = {.kind = SHAPE_LINEAR};
static const struct shape varying = {.kind = SHAPE_VARYING};
static const struct shape unknown = {.kind = SHAPE_NONE};

/* Beyond it a warp would span more than the type. */
#define LARGEST_STRIDE (INT64_C(1) << 24)

static struct shape linear(struct shape base, int64_t stride, int64_t wrap, unsigned bits)
{
	if (bits == 32) {
		stride = (int32_t)stride;
		wrap = 0;
	}
	if (stride > LARGEST_STRIDE || stride < -LARGEST_STRIDE)
		return varying;
	return (struct shape){
	    .kind = SHAPE_LINEAR, .by_row = base.by_row, .stride = stride, .wrap = wrap};
}

struct shape shape_join(struct shape a, struct shape b)
{
	if (a.kind == SHAPE_NONE)
		return b;
	if (b.kind == SHAPE_NONE)
		return a;
	if (a.kind == SHAPE_VARYING || b.kind == SHAPE_VARYING || a.stride != b.stride)
		return varying;
	if (a.wrap && b.wrap && a.wrap != b.wrap)
		return varying;
	a.is_aligned &= b.is_aligned;
	a.by_row |= b.by_row;
	a.wrap = a.wrap ?: b.wrap;
	return a;
}

bool shape_is_own(const struct ptx_variable *variable)
{
	return variable->space == PTX_SPACE_LOCAL ||
	       (variable->space == PTX_SPACE_PARAM && !variable->is_kernel_param);
}

uint64_t shape_local_stride(const struct ptx_variable *variable)
{
	return align_up(variable->size, MAX(variable->align, 16u));
}

static struct shape shape_of_special(const struct facts *facts, enum ptx_special special)
{
	struct shape consecutive = {.kind = SHAPE_LINEAR, .is_aligned = true, .stride = 1};
	struct shape flat = {.kind = SHAPE_LINEAR, .by_row = facts_have_rows(facts)};

	switch (special) {
	case PTX_SPECIAL_laneid:
		consecutive.by_row = facts_have_rows(facts);
		return facts->width > SG_WARP_SIZE ? varying : consecutive;
	case PTX_SPECIAL_warpid:
		return facts->width > SG_WARP_SIZE ? varying : uniform;
	case PTX_SPECIAL_tid_x:
		return facts->row ? consecutive : varying;
	case PTX_SPECIAL_tid_y:
		return facts->row ? flat : varying;
	case PTX_SPECIAL_tid_z:
		return facts->row ? uniform : varying;
	case PTX_SPECIAL_lanemask_eq:
	case PTX_SPECIAL_lanemask_le:
	case PTX_SPECIAL_lanemask_lt:
	case PTX_SPECIAL_lanemask_ge:
	case PTX_SPECIAL_lanemask_gt:
		return varying;
	default:
		return uniform;
	}
}

/* Of what is computed from several sources: flat when they are. */
static struct shape flat_join(struct shape a, struct shape b)
{
	if (!shape_is_flat(a) || !shape_is_flat(b))
		return varying;
	return (struct shape){.kind = SHAPE_LINEAR, .by_row = a.by_row || b.by_row};
}

static struct shape shape_of_elements(const struct facts *facts, const struct ptx_operand *operand)
{
	struct shape shape = uniform;

	for (uint32_t i = 0; i < operand->n_elements; i++) {
		struct shape element = shape_of_operand(facts, &operand->elements[i], 0);

		if (element.kind == SHAPE_NONE)
			return unknown;
		shape = flat_join(shape, element);
	}
	return shape;
}

static struct shape shape_of_register(const struct facts *facts, uint32_t reg, unsigned bits)
{
	struct shape shape = facts->shapes[reg];
	unsigned own = ptx_type_bits(facts->flow.function->register_types[reg]);

	if (shape.kind != SHAPE_LINEAR || shape_is_flat(shape) || !bits || bits == own)
		return shape;
	if (bits == 32 && own == 64)
		return linear(shape, shape.stride, 0, 32);
	return varying;
}

struct shape shape_of_value(const struct facts *facts, uint32_t value)
{
	return facts->shapes[value];
}

struct shape shape_of_operand(
    const struct facts *facts, const struct ptx_operand *operand, unsigned bits)
{
	switch (operand->kind) {
	case PTX_OPERAND_REGISTER:
		return shape_of_register(facts, operand->reg, bits);
	case PTX_OPERAND_SPECIAL:
		return shape_of_special(facts, operand->special);
	case PTX_OPERAND_VARIABLE:
		if (shape_is_own(operand->variable->definition ?: operand->variable))
			return facts_have_rows(facts)
				   ? varying
				   : linear(uniform, (int64_t)shape_local_stride(operand->variable),
					 0, 64);
		return uniform;
	case PTX_OPERAND_ADDRESS:
		if (operand->n_elements > 1) /* a texture, and a place in it */
			return shape_of_elements(facts, operand);
		return shape_of_address(facts, operand);
	default:
		return shape_of_elements(facts, operand);
	}
}

struct shape shape_of_address(const struct facts *facts, const struct ptx_operand *address)
{
	/* Wrong code may have something else there; who translates it refuses that. */
	if (address->kind != PTX_OPERAND_ADDRESS || !address->n_elements)
		return varying;
	return shape_of_operand(facts, address->elements, 0);
}

static struct shape operand(const struct facts *facts, const struct ptx_instruction *in, unsigned i)
{
	unsigned bits = in->n_types ? ptx_type_bits(in->types[0]) : 0;

	return shape_of_operand(facts, &in->operands[i], bits);
}

static bool is_constant(const struct facts *facts, const struct ptx_instruction *in, unsigned i)
{
	uint64_t number;

	return facts_number(facts, &in->operands[i], &number);
}

static uint64_t constant(const struct facts *facts, const struct ptx_instruction *in, unsigned i)
{
	uint64_t number = 0;

	facts_number(facts, &in->operands[i], &number);
	return number;
}

static struct shape by_sources(const struct facts *facts, const struct ptx_instruction *in);

/* To one block, places stay as far apart as they are. */
static struct shape mapped(const struct facts *facts, const struct ptx_instruction *in)
{
	struct shape rank = shape_of_operand(facts, &in->operands[2], 0);

	return shape_is_uniform(rank) ? operand(facts, in, 1) : by_sources(facts, in);
}

/* All sources alike, or nothing known of the result. */
static struct shape by_sources(const struct facts *facts, const struct ptx_instruction *in)
{
	struct shape shape = uniform;
	bool first_is_result = flow_has_result(in);

	for (unsigned i = first_is_result; i < in->n_operands; i++) {
		struct shape source = shape_of_operand(facts, &in->operands[i], 0);

		if (source.kind == SHAPE_NONE)
			return unknown;
		shape = flat_join(shape, source);
	}
	if ((in->opcode == PTX_OP_addc || in->opcode == PTX_OP_subc || in->opcode == PTX_OP_madc) &&
	    !shape_is_uniform(facts->shapes[facts->flow.n_values - 1]))
		return shape_join(shape, facts->shapes[facts->flow.n_values - 1]);
	return shape;
}

static bool is_linear_type(const struct ptx_instruction *in)
{
	unsigned bits = in->n_types ? ptx_type_bits(in->types[0]) : 0;

	return (bits == 32 || bits == 64) && !ptx_type_is_float(in->types[0]) &&
	       in->types[0] != PTX_TYPE_u16x2 && in->types[0] != PTX_TYPE_s16x2 &&
	       !ptx_has(in, PTX_MODIFIER_sat) && !ptx_has(in, PTX_MODIFIER_cc);
}

static struct shape sum(struct shape a, struct shape b, int sign, unsigned bits)
{
	struct shape result;

	if (a.kind == SHAPE_NONE || b.kind == SHAPE_NONE)
		return unknown;
	if (a.kind == SHAPE_VARYING || b.kind == SHAPE_VARYING || (a.wrap && b.wrap))
		return varying;
	result = linear(a, a.stride + sign * b.stride, a.wrap + sign * b.wrap, bits);
	result.by_row |= result.kind == SHAPE_LINEAR && b.by_row;
	return result;
}

static struct shape scaled(struct shape a, int64_t factor, unsigned bits)
{
	if (a.kind != SHAPE_LINEAR)
		return a;
	if (factor > LARGEST_STRIDE || factor < -LARGEST_STRIDE)
		return shape_is_flat(a) ? a : varying;
	return linear(a, a.stride * factor, a.wrap * factor, bits);
}

/* A 32-bit value made 64 bits wide. */
static struct shape widened(struct shape a)
{
	if (a.kind != SHAPE_LINEAR || !a.stride)
		return a;
	return (struct shape){.kind = SHAPE_LINEAR,
	    .by_row = a.by_row,
	    .stride = a.stride,
	    .wrap = a.stride > 0 ? INT64_C(1) << 32 : -(INT64_C(1) << 32)};
}

static struct shape product(const struct facts *facts, const struct ptx_instruction *in)
{
	bool is_wide = ptx_has(in, PTX_MODIFIER_wide);
	unsigned bits = ptx_type_bits(in->types[0]);
	struct shape a = operand(facts, in, 1), b = operand(facts, in, 2);
	unsigned index = is_constant(facts, in, 2) ? 2 : is_constant(facts, in, 1) ? 1 : 0;
	int64_t factor;

	if (a.kind == SHAPE_NONE || b.kind == SHAPE_NONE)
		return unknown;
	if (shape_is_flat(a) && shape_is_flat(b))
		return flat_join(a, b);
	if (!index || ptx_has(in, PTX_MODIFIER_hi) || (is_wide && bits != 32))
		return varying;
	factor = (int64_t)constant(facts, in, index);
	if (is_wide && !ptx_type_is_signed(in->types[0]))
		factor = (int64_t)(uint32_t)factor;
	else if (bits == 32)
		factor = (int32_t)factor;
	if (is_wide)
		return scaled(widened(index == 2 ? a : b), factor, 64);
	return scaled(index == 2 ? a : b, factor, bits);
}

static struct shape product_sum(const struct facts *facts, const struct ptx_instruction *in)
{
	unsigned bits = ptx_type_bits(in->types[0]) * (ptx_has(in, PTX_MODIFIER_wide) ? 2 : 1);

	return sum(product(facts, in), shape_of_operand(facts, &in->operands[3], bits), 1, bits);
}

static struct shape shifted_left(const struct facts *facts, const struct ptx_instruction *in)
{
	struct shape a = operand(facts, in, 1);
	unsigned bits = ptx_type_bits(in->types[0]);

	if (shape_is_flat(a) || !is_constant(facts, in, 2) || constant(facts, in, 2) > 24)
		return by_sources(facts, in);
	return scaled(a, INT64_C(1) << constant(facts, in, 2), bits);
}

/* Of what is called aligned. */
static uint64_t alignment(const struct facts *facts)
{
	return facts->row ?: facts->width;
}

/* What is the same in all lanes of a row, when made from a. */
static struct shape flat(struct shape a)
{
	return (struct shape){.kind = SHAPE_LINEAR, .by_row = a.by_row};
}

/* Of consecutive numbers from a multiple of a row on, what is left of the bits below. */
static struct shape masked(const struct facts *facts, const struct ptx_instruction *in)
{
	struct shape a = operand(facts, in, 1);
	uint64_t low = alignment(facts) - 1;

	if (!a.is_aligned || a.kind != SHAPE_LINEAR || !is_constant(facts, in, 2))
		return by_sources(facts, in);
	if (!(constant(facts, in, 2) & low))
		return flat(a);
	return (constant(facts, in, 2) & low) == low ? a : varying;
}

/* Shifted right or divided by a row or a multiple, consecutive numbers are alike. */
static struct shape quotient(const struct facts *facts, const struct ptx_instruction *in)
{
	struct shape a = operand(facts, in, 1);
	uint64_t divisor;

	if (!a.is_aligned || a.kind != SHAPE_LINEAR || !is_constant(facts, in, 2))
		return by_sources(facts, in);
	if (in->opcode == PTX_OP_div && ptx_type_is_signed(in->types[0]))
		return varying;
	divisor = constant(facts, in, 2);
	if (in->opcode == PTX_OP_shr)
		divisor = divisor < 32 ? UINT64_C(1) << divisor : 0;
	return divisor && divisor % alignment(facts) == 0 ? flat(a) : varying;
}

/* A bound that is a multiple of a row has whole rows on either side. */
static bool compares_whole_rows(const struct facts *facts, const struct ptx_instruction *in)
{
	struct shape a = operand(facts, in, 1);
	uint64_t bound = constant(facts, in, 2);

	if (!a.is_aligned || a.kind != SHAPE_LINEAR || !is_constant(facts, in, 2) ||
	    in->n_operands != 3)
		return false;
	if (ptx_has(in, PTX_MODIFIER_lt) || ptx_has(in, PTX_MODIFIER_ge) ||
	    ptx_has(in, PTX_MODIFIER_lo) || ptx_has(in, PTX_MODIFIER_hs))
		return bound % alignment(facts) == 0;
	if (ptx_has(in, PTX_MODIFIER_gt) || ptx_has(in, PTX_MODIFIER_le) ||
	    ptx_has(in, PTX_MODIFIER_hi) || ptx_has(in, PTX_MODIFIER_ls))
		return (bound + 1) % alignment(facts) == 0;
	return false;
}

static struct shape converted(const struct facts *facts, const struct ptx_instruction *in)
{
	unsigned to = ptx_type_bits(in->types[0]), from = ptx_type_bits(in->types[1]);
	struct shape a = shape_of_operand(facts, &in->operands[1], from);

	if (in->n_types < 2 || in->n_operands != 2 || shape_is_flat(a) ||
	    ptx_type_is_float(in->types[0]) || ptx_type_is_float(in->types[1]) ||
	    ptx_has(in, PTX_MODIFIER_sat) || a.kind != SHAPE_LINEAR)
		return by_sources(facts, in);
	if (to == from)
		return a;
	if (to == 64 && from == 32)
		return widened(a);
	return to == 32 && from == 64 ? linear(a, a.stride, 0, 32) : varying;
}

static struct shape selected(const struct facts *facts, const struct ptx_instruction *in)
{
	struct shape test = shape_of_operand(facts, &in->operands[3], 0);

	if (!shape_is_uniform(test))
		return by_sources(facts, in);
	test = shape_join(operand(facts, in, 1), operand(facts, in, 2));
	return test.wrap ? varying : test;
}

static struct shape loaded(const struct facts *facts, const struct ptx_instruction *in)
{
	struct shape address = shape_of_address(facts, &in->operands[1]);

	return address.kind == SHAPE_NONE || shape_is_uniform(address) ? address : varying;
}

/* What all lanes get is the same when they name the same members. */
static struct shape voted(const struct facts *facts, const struct ptx_instruction *in)
{
	struct shape shape;

	if (in->n_operands < 3 || !ptx_has(in, PTX_MODIFIER_sync))
		return uniform;
	shape = shape_of_operand(facts, &in->operands[2], 0);
	if (shape.kind == SHAPE_NONE)
		return unknown;
	return shape_is_uniform(shape) ? uniform : varying;
}

/* Of a barrier in memory. */
static struct shape asked(const struct facts *facts, const struct ptx_instruction *in)
{
	struct shape shape = by_sources(facts, in);

	if (shape.kind == SHAPE_NONE || ptx_has(in, PTX_MODIFIER_pending_count))
		return shape;
	return mbarrier_is_common(facts, in) ? uniform : varying;
}

static struct shape of_arithmetic(const struct facts *facts, const struct ptx_instruction *in)
{
	unsigned bits = in->n_types ? ptx_type_bits(in->types[0]) : 0;

	if (!is_linear_type(in))
		return by_sources(facts, in);
	switch (in->opcode) {
	case PTX_OP_add:
		return sum(operand(facts, in, 1), operand(facts, in, 2), 1, bits);
	case PTX_OP_sub:
		return sum(operand(facts, in, 1), operand(facts, in, 2), -1, bits);
	case PTX_OP_mul:
		return product(facts, in);
	case PTX_OP_mad:
		return product_sum(facts, in);
	case PTX_OP_shl:
		return shifted_left(facts, in);
	case PTX_OP_and:
		return masked(facts, in);
	case PTX_OP_shr:
	case PTX_OP_div:
		return quotient(facts, in);
	default:
		return by_sources(facts, in);
	}
}

/* The result's shape if the instruction runs in all lanes. */
static struct shape unpredicated(const struct facts *facts, const struct ptx_instruction *in)
{
	switch (in->opcode) {
	case PTX_OP_mov:
		if (in->operands[0].kind == PTX_OPERAND_VECTOR ||
		    in->operands[1].kind == PTX_OPERAND_VECTOR)
			return by_sources(facts, in);
		return operand(facts, in, 1);
	case PTX_OP_cvta:
		return operand(facts, in, 1);
	case PTX_OP_mapa:
		return mapped(facts, in);
	case PTX_OP_cvt:
		return converted(facts, in);
	case PTX_OP_selp:
		return selected(facts, in);
	case PTX_OP_setp:
		return compares_whole_rows(facts, in) ? flat(operand(facts, in, 1))
						      : by_sources(facts, in);
	case PTX_OP_ld:
	case PTX_OP_ldu:
		return loaded(facts, in);
	case PTX_OP_vote:
	case PTX_OP_redux:
		return voted(facts, in);
	case PTX_OP_activemask:
		return uniform;
	case PTX_OP_bar:
	case PTX_OP_barrier:
		return uniform;
	case PTX_OP_shfl:
	case PTX_OP_match:
	case PTX_OP_elect:
	case PTX_OP_atom:
	case PTX_OP_call:
	case PTX_OP_mbarrier:
		return asked(facts, in);
	case PTX_OP_mma:
	case PTX_OP_wmma:
	case PTX_OP_wgmma:
	case PTX_OP_tcgen05:
	case PTX_OP_ldmatrix:
	case PTX_OP_movmatrix:
	case PTX_OP_alloca:
	case PTX_OP_stacksave:
		return varying;
	default:
		return of_arithmetic(facts, in);
	}
}

struct shape shape_of_result(const struct facts *facts, const struct ptx_instruction *in)
{
	struct shape shape = unpredicated(facts, in);

	/* The carry flag is one for all lanes, or a vector. */
	if (shape.by_row && ptx_has(in, PTX_MODIFIER_cc))
		shape = varying;
	if (in->predicate == PTX_NO_REG)
		return shape;
	if (facts->shapes[in->predicate].kind == SHAPE_NONE)
		return unknown;
	return shape_is_uniform(facts->shapes[in->predicate]) ? shape : varying;
}
