/*
 * What a matrix instruction is (PTX ISA 9.7.14), from its modifiers and types: for the code of a
 * thread (emit-matrix.c) and of a warp in step (warp/matrix.c) alike. What is not run is refused
 * here.
 */
#include "softgpu/jit/matrix-form.h"

struct matrix_shape {
	enum ptx_modifier modifier;
	unsigned m, n, k;
};

static const struct matrix_shape shapes[] = {
    {PTX_MODIFIER_m8n8k4, 8, 8, 4},
    {PTX_MODIFIER_m8n8k16, 8, 8, 16},
    {PTX_MODIFIER_m8n8k32, 8, 8, 32},
    {PTX_MODIFIER_m8n8k128, 8, 8, 128},
    {PTX_MODIFIER_m8n32k16, 8, 32, 16},
    {PTX_MODIFIER_m16n8k4, 16, 8, 4},
    {PTX_MODIFIER_m16n8k8, 16, 8, 8},
    {PTX_MODIFIER_m16n8k16, 16, 8, 16},
    {PTX_MODIFIER_m16n8k32, 16, 8, 32},
    {PTX_MODIFIER_m16n8k64, 16, 8, 64},
    {PTX_MODIFIER_m16n8k128, 16, 8, 128},
    {PTX_MODIFIER_m16n8k256, 16, 8, 256},
    {PTX_MODIFIER_m16n16k8, 16, 16, 8},
    {PTX_MODIFIER_m16n16k16, 16, 16, 16},
    {PTX_MODIFIER_m32n8k16, 32, 8, 16},
};

static const struct {
	enum ptx_type type;
	enum sg_matrix_type matrix;
} types[] = {
    {PTX_TYPE_f16, SG_MATRIX_F16},
    {PTX_TYPE_bf16, SG_MATRIX_BF16},
    {PTX_TYPE_tf32, SG_MATRIX_TF32},
    {PTX_TYPE_e4m3, SG_MATRIX_E4M3},
    {PTX_TYPE_e5m2, SG_MATRIX_E5M2},
    {PTX_TYPE_f32, SG_MATRIX_F32},
    {PTX_TYPE_f64, SG_MATRIX_F64},
    {PTX_TYPE_s8, SG_MATRIX_S8},
    {PTX_TYPE_u8, SG_MATRIX_U8},
    {PTX_TYPE_s4, SG_MATRIX_S4},
    {PTX_TYPE_u4, SG_MATRIX_U4},
    {PTX_TYPE_b1, SG_MATRIX_B1},
    {PTX_TYPE_s32, SG_MATRIX_S32},
    {PTX_TYPE_e2m1, SG_MATRIX_E2M1},
    {PTX_TYPE_e2m3, SG_MATRIX_E2M3},
    {PTX_TYPE_e3m2, SG_MATRIX_E3M2},
};

bool matrix_type_of(enum ptx_type type, enum sg_matrix_type *matrix)
{
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].type == type) {
			*matrix = types[i].matrix;
			return true;
		}
	return false;
}

static uint32_t matrix_type(struct emit *emit, enum ptx_type type)
{
	enum sg_matrix_type matrix;

	if (!matrix_type_of(type, &matrix))
		emit_unsupported(emit);
	return matrix;
}

static uint32_t log2_of(unsigned power)
{
	return (uint32_t)__builtin_ctz(power);
}

static union sg_matrix read_shape(struct emit *emit, enum sg_matrix_kind kind)
{
	for (unsigned i = 0; i < ARRAY_SIZE(shapes); i++)
		if (has(emit, shapes[i].modifier))
			return (union sg_matrix){
			    .kind = kind,
			    .m = log2_of(shapes[i].m / 8) & 3,
			    .n = log2_of(shapes[i].n / 8) & 3,
			    .k = log2_of(shapes[i].k / 4) & 7,
			    .saturate = has(emit, PTX_MODIFIER_satfinite),
			    .conjunction = has(emit, PTX_MODIFIER_and) ||
					   has(emit, PTX_MODIFIER_kind_mxf4) ||
					   has(emit, PTX_MODIFIER_kind_mxf4nvf4),
			};
	emit_unsupported(emit);
}

/* D, A, B, C in the order written; wmma of f16 names D and C only. */
static void read_types(struct emit *emit, union sg_matrix *matrix)
{
	bool is_short = emit->in->n_types == 2;

	matrix->d = matrix_type(emit, type_at(emit, 0)) & 15;
	matrix->a = (is_short ? SG_MATRIX_F16 : matrix_type(emit, type_at(emit, 1))) & 15;
	matrix->b = (is_short ? SG_MATRIX_F16 : matrix_type(emit, type_at(emit, 2))) & 15;
	matrix->c = matrix_type(emit, type_at(emit, is_short ? 1 : 3)) & 15;
}

static bool is_float(uint32_t type)
{
	return type <= SG_MATRIX_E5M2 || type >= SG_MATRIX_E2M1;
}

/* Do the registers of all lanes hold the operand, as its layout has it? */
static bool fills_registers(union sg_matrix matrix, enum sg_matrix_operand which)
{
	unsigned n = sg_matrix_words(matrix, which), held = n * SG_WARP_SIZE * 32;
	unsigned element = sg_matrix_element_bits(matrix, which);
	unsigned bits = sg_matrix_rows(matrix, which) * sg_matrix_columns(matrix, which) * element;
	bool is_quad = matrix.kind == SG_MATRIX_MMA && matrix.a == SG_MATRIX_F16 && !matrix.k;

	if (matrix.kind == SG_MATRIX_WMMA) /* once or several times */
		return n && bits <= held && held % bits == 0;
	if (is_quad)
		return bits * 4 == held;
	/* Of A, blocks above each other: registers of 64 bits are two words. */
	return n && bits == held &&
	       (which != SG_MATRIX_A || n % ((element == 64 ? 2u : 1u) << matrix.m) == 0);
}

/* The sum's type decides the arithmetic; what is none of these would read past the arrays. */
static void check_types(struct emit *emit, union sg_matrix matrix)
{
	bool floats = is_float(matrix.a) && is_float(matrix.b) &&
		      (matrix.c == SG_MATRIX_F16 || matrix.c == SG_MATRIX_F32) &&
		      (matrix.d == SG_MATRIX_F16 || matrix.d == SG_MATRIX_F32);
	bool doubles = matrix.a == SG_MATRIX_F64 && matrix.b == SG_MATRIX_F64 &&
		       matrix.c == SG_MATRIX_F64 && matrix.d == SG_MATRIX_F64;
	bool integers = matrix.a >= SG_MATRIX_S8 && matrix.a <= SG_MATRIX_B1 &&
			matrix.b >= SG_MATRIX_S8 && matrix.b <= SG_MATRIX_B1 &&
			matrix.c == SG_MATRIX_S32 && matrix.d == SG_MATRIX_S32;
	unsigned words = 0;

	if (!(floats || doubles || integers) || sg_matrix_element_bits(matrix, SG_MATRIX_A) !=
						    sg_matrix_element_bits(matrix, SG_MATRIX_B))
		emit_unsupported(emit);
	for (int operand = SG_MATRIX_A; operand <= SG_MATRIX_C; operand++) {
		enum sg_matrix_operand which = (enum sg_matrix_operand)operand;
		unsigned n = sg_matrix_words(matrix, which);
		unsigned elements =
		    sg_matrix_rows(matrix, which) * sg_matrix_columns(matrix, which);

		words += n;
		/* A shape too small or too large for the type. */
		if (!fills_registers(matrix, which) ||
		    (elements > SG_MATRIX_ELEMENTS && matrix.a != SG_MATRIX_B1))
			emit_unsupported(emit);
	}
	if (words > SG_MATRIX_WORDS)
		emit_unsupported(emit);
}

/* What half of A's indices are made for; 0 for a type that cannot be sparse. */
static unsigned sparse_k(union sg_matrix matrix)
{
	switch (sg_matrix_element_bits(matrix, SG_MATRIX_A)) {
	case 32:
		return 16;
	case 16:
		return 32;
	case 8:
		return 64;
	case 4:
		return 128;
	default:
		return 0;
	}
}

static void check_special(struct emit *emit, union sg_matrix matrix)
{
	unsigned k = 4u << matrix.k, bits = sg_matrix_element_bits(matrix, SG_MATRIX_A);
	bool is_scaled = has(emit, PTX_MODIFIER_block_scale);
	bool is_sparse = sg_matrix_is_sparse(matrix);
	unsigned operands = 4u + (is_sparse ? 2 : 0) + (is_scaled ? 4 : 0);

	if (matrix.m != 1 || matrix.n || emit->in->n_operands != operands)
		emit_unsupported(emit);
	if (is_sparse && k != sparse_k(matrix) && k != sparse_k(matrix) / 2)
		emit_unsupported(emit);
	if (is_scaled &&
	    (k != (bits == 4 ? 64u : 32u) << is_sparse || bits > 8 || matrix.c != SG_MATRIX_F32))
		emit_unsupported(emit);
}

static enum sg_matrix_kind mma_kind(struct emit *emit)
{
	bool is_scaled = has(emit, PTX_MODIFIER_block_scale);

	if (has(emit, PTX_MODIFIER_sp) || has(emit, PTX_MODIFIER_sp_ordered_metadata))
		return is_scaled ? SG_MATRIX_SPARSE_SCALED : SG_MATRIX_SPARSE;
	return is_scaled ? SG_MATRIX_SCALED : SG_MATRIX_MMA;
}

/*
 * mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 d, a, b, c {, indices, selector}
 * {, scale of a, {byte, thread}, scale of b, {byte, thread}}
 *
 * A's layout comes first, and only m8n8k4 of f16 knows others than row and col.
 */
static void read_mma(struct emit *emit, union sg_matrix *matrix)
{
	bool row = has(emit, PTX_MODIFIER_row), col = has(emit, PTX_MODIFIER_col);

	if (matrix->kind != SG_MATRIX_MMA)
		check_special(emit, *matrix);
	else if (emit->in->n_operands != 4 || matrix->n)
		emit_unsupported(emit);
	else if (matrix->a == SG_MATRIX_F16 && !matrix->k) {
		matrix->a_column = !row || emit->in->col_first;
		matrix->b_row = !col || emit->in->col_first;
	}
}

union sg_matrix matrix_form_product(struct emit *emit)
{
	bool is_mma = emit->in->opcode == PTX_OP_mma;
	union sg_matrix matrix = read_shape(emit, is_mma ? mma_kind(emit) : SG_MATRIX_WMMA);

	read_types(emit, &matrix);
	check_types(emit, matrix);
	if (is_mma)
		read_mma(emit, &matrix);
	else if (emit->in->n_operands != 4)
		emit_fail(emit, "wmma.mma takes four operands");
	return matrix;
}

/* scale, {byte, thread} of A and B, from an operand on. */
static unsigned scale_extras(
    struct emit *emit, unsigned word, unsigned index, struct matrix_extra *extras)
{
	uint32_t blocks = has(emit, PTX_MODIFIER_scale_vec_4X)	 ? 4
			  : has(emit, PTX_MODIFIER_scale_vec_2X) ? 2
			  : has(emit, PTX_MODIFIER_kind_mxf4)	 ? 2
								 : 1;
	unsigned n = 0;

	for (unsigned i = 0; i < 2; i++) {
		const struct ptx_operand *scale = &emit->in->operands[index + 2 * i];
		const struct ptx_operand *ids = scale + 1;
		unsigned at = word + (i ? SG_SCALE_B : SG_SCALE_A);

		if (ids->kind != PTX_OPERAND_VECTOR || ids->n_elements != 2)
			emit_fail(emit, "a scale is followed by {byte, thread}");
		extras[n++] = (struct matrix_extra){at, scale, 0};
		extras[n++] = (struct matrix_extra){at + 1, &ids->elements[0], 0};
		extras[n++] = (struct matrix_extra){at + 2, &ids->elements[1], 0};
	}
	extras[n++] = (struct matrix_extra){word + SG_SCALE_BLOCKS, NULL, blocks};
	extras[n++] =
	    (struct matrix_extra){word + SG_SCALE_UE4M3, NULL, type_at(emit, 4) == PTX_TYPE_ue4m3};
	return n;
}

unsigned matrix_form_extras(
    struct emit *emit, union sg_matrix matrix, struct matrix_extra extras[MATRIX_MOST_EXTRAS])
{
	const struct ptx_operand *operands = emit->in->operands;
	unsigned word = sg_matrix_offset(matrix, SG_MATRIX_D), n = 0, next = 4;

	if (sg_matrix_is_sparse(matrix)) {
		extras[n++] = (struct matrix_extra){word + SG_SPARSE_INDICES, &operands[next++], 0};
		extras[n++] =
		    (struct matrix_extra){word + SG_SPARSE_SELECTOR, &operands[next++], 0};
		word += SG_SPARSE_WORDS;
	}
	if (has(emit, PTX_MODIFIER_block_scale))
		n += scale_extras(emit, word, next, extras + n);
	return n;
}

/* Of less than a byte, A is by row and B by column in memory, and in registers as well. */
static union sg_lines lines_of(
    struct emit *emit, union sg_matrix matrix, enum sg_matrix_operand which, bool by_column)
{
	unsigned rows = sg_matrix_rows(matrix, which), columns = sg_matrix_columns(matrix, which);
	unsigned bits = sg_matrix_element_bits(matrix, which);
	bool has_columns = which == SG_MATRIX_B && bits < 8;

	unsigned lines = has_columns ? columns : rows, length = has_columns ? rows : columns;
	unsigned line = length * bits / 8;
	bool turned = by_column != has_columns;

	if (!fills_registers(matrix, which) || (turned && bits < 8) ||
	    (turned && bits < 64 && (lines % 8 || length % 8)) || lines > 32 || line < 8 ||
	    line > 128 || !is_power_of_two(line))
		emit_unsupported(emit);
	return (union sg_lines){
	    .lines = lines & 63,
	    .line = line & 255,
	    .element = bits & 127,
	    .registers = sg_matrix_words(matrix, which) & 31,
	    .turned = turned,
	};
}

static bool is_in_shared(struct emit *emit, const struct ptx_operand *base)
{
	if (space_of(emit) == PTX_SPACE_GENERIC && base->kind == PTX_OPERAND_VARIABLE)
		return base->variable->space == PTX_SPACE_SHARED;
	return space_of(emit) == PTX_SPACE_SHARED;
}

struct matrix_move matrix_form_move(struct emit *emit)
{
	bool is_load = has(emit, PTX_MODIFIER_load), by_column = has(emit, PTX_MODIFIER_col);
	const struct ptx_operand *operands = emit->in->operands;
	enum sg_matrix_operand which = !is_load			   ? SG_MATRIX_D
				       : has(emit, PTX_MODIFIER_a) ? SG_MATRIX_A
				       : has(emit, PTX_MODIFIER_b) ? SG_MATRIX_B
								   : SG_MATRIX_C;
	union sg_matrix matrix = read_shape(emit, SG_MATRIX_WMMA);
	struct matrix_move move = {
	    .is_store = !is_load,
	    .address = &operands[is_load ? 1 : 0],
	    .registers = &operands[is_load ? 0 : 1],
	    .stride = emit->in->n_operands > 2 ? &operands[2] : NULL,
	};

	matrix.a = matrix.b = matrix.c = matrix.d = matrix_type(emit, type_at(emit, 0)) & 15;
	if (move.address->kind != PTX_OPERAND_ADDRESS)
		emit_fail(emit, "wmma needs an address");
	move.is_wide = matrix.a == SG_MATRIX_F64;
	move.words = sg_matrix_words(matrix, which);
	if (!move.words || move.words > 16)
		emit_unsupported(emit);
	move.dense = by_column ? sg_matrix_rows(matrix, which) : sg_matrix_columns(matrix, which);
	move.form = lines_of(emit, matrix, which, by_column);
	move.form.is_shared = is_in_shared(emit, move.address->elements);
	return move;
}

/* ldmatrix and stmatrix of bytes: which of their forms, and its registers. */
static unsigned form_bytes(struct emit *emit, union sg_matrix *matrix)
{
	bool is_store = matrix->kind == SG_MATRIX_STORE, is_packed = has(emit, PTX_MODIFIER_b8x16);
	unsigned n = has(emit, PTX_MODIFIER_x4) ? 4 : has(emit, PTX_MODIFIER_x2) ? 2 : 1;
	enum ptx_modifier shape = is_store	  ? PTX_MODIFIER_m16n8
				  : matrix->trans ? PTX_MODIFIER_m16n16
						  : PTX_MODIFIER_m8n16;

	matrix->a = !is_packed				? SG_MATRIX_U8
		    : has(emit, PTX_MODIFIER_b4x16_p64) ? SG_MATRIX_E2M1
							: SG_MATRIX_E2M3;
	if (shape == PTX_MODIFIER_m16n16)
		n *= 2; /* a matrix is two registers */
	if (!has(emit, shape) || n > 4 || (is_store && (is_packed || !matrix->trans)) ||
	    (shape == PTX_MODIFIER_m8n16 && !is_packed) ||
	    (is_packed && !has(emit, PTX_MODIFIER_b4x16_p64) && !has(emit, PTX_MODIFIER_b6x16_p32)))
		emit_unsupported(emit);
	return n;
}

unsigned matrix_form_rows(struct emit *emit, enum sg_matrix_kind kind, union sg_matrix *matrix)
{
	*matrix = (union sg_matrix){.kind = kind, .trans = has(emit, PTX_MODIFIER_trans)};
	if (kind != SG_MATRIX_MOVE &&
	    (has(emit, PTX_MODIFIER_b8x16) || type_at(emit, 0) == PTX_TYPE_b8))
		return form_bytes(emit, matrix);
	if (type_at(emit, 0) != PTX_TYPE_b16 ||
	    (kind == SG_MATRIX_MOVE ? !matrix->trans : !has(emit, PTX_MODIFIER_m8n8)))
		emit_unsupported(emit);
	return has(emit, PTX_MODIFIER_x4) ? 4 : has(emit, PTX_MODIFIER_x2) ? 2 : 1;
}

const struct ptx_operand *matrix_register(
    struct emit *emit, const struct ptx_operand *operand, unsigned count, unsigned i)
{
	bool is_vector = operand->kind == PTX_OPERAND_VECTOR;

	if ((is_vector ? operand->n_elements : 1) != count)
		emit_fail(emit, "%s takes %u registers here, not %u",
		    ptx_opcode_info(emit->in->opcode)->name, count,
		    is_vector ? operand->n_elements : 1);
	return is_vector ? &operand->elements[i] : operand;
}
