/*
 * mma wmma ldmatrix stmatrix movmatrix (PTX ISA 9.7.14): the registers go to an array on the stack,
 * the machine computes (softgpu/exec/matrix.c), the results come back.
 */
#include "softgpu/exec/matrix.h"
#include "softgpu/jit/emit.h"

struct shape {
	enum ptx_modifier modifier;
	unsigned m, n, k;
};

static const struct shape shapes[] = {
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

static uint32_t matrix_type(struct emit *emit, enum ptx_type type)
{
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].type == type)
			return types[i].matrix;
	emit_unsupported(emit);
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
		if (!n || (elements > SG_MATRIX_ELEMENTS && matrix.a != SG_MATRIX_B1))
			emit_unsupported(emit);
	}
	if (words > SG_MATRIX_WORDS)
		emit_unsupported(emit);
}

/* ---- registers and the array ---- */

/* One serves all of a function's instructions, which may be hundreds: none keeps anything there. */
static uint32_t matrix_array(struct emit *emit)
{
	if (!emit->has_matrix) {
		emit->has_matrix = true;
		emit->matrix_slot = emit->n_temps++;
		text_format(&emit->prologue, "  %%a%u = alloca [%u x i32], align 8\n",
		    emit->matrix_slot, SG_MATRIX_WORDS);
	}
	return emit->matrix_slot;
}

static struct value word_at(struct emit *emit, uint32_t slot, unsigned word)
{
	return emit_value(emit, "getelementptr i32, ptr %%a%u, i32 %u", slot, word);
}

static const struct ptx_operand *register_at(
    struct emit *emit, const struct ptx_operand *operand, unsigned count, unsigned i)
{
	bool is_vector = operand->kind == PTX_OPERAND_VECTOR;

	if ((is_vector ? operand->n_elements : 1) != count)
		emit_fail(emit, "%s takes %u registers here, not %u",
		    ptx_opcode_info(emit->in->opcode)->name, count,
		    is_vector ? operand->n_elements : 1);
	return is_vector ? &operand->elements[i] : operand;
}

/* words of an operand from its registers, at index first. */
static void bring(struct emit *emit, uint32_t slot, unsigned first, unsigned words, bool is_wide,
    const struct ptx_operand *operand)
{
	enum ir_type type = is_wide ? IR_I64 : IR_I32;
	unsigned step = is_wide ? 2 : 1;

	for (unsigned i = 0; i < words / step; i++) {
		struct value value =
		    operand_get(emit, register_at(emit, operand, words / step, i), type, false);
		struct value at = word_at(emit, slot, first + i * step);

		emit_line(emit, "store %s %s, ptr %s, align 4", ir_name(type), value.text, at.text);
	}
}

static void fetch(struct emit *emit, uint32_t slot, unsigned words, bool is_wide,
    const struct ptx_operand *operand)
{
	enum ir_type type = is_wide ? IR_I64 : IR_I32;
	unsigned step = is_wide ? 2 : 1;

	for (unsigned i = 0; i < words / step; i++) {
		struct value at = word_at(emit, slot, i * step), value;

		value = emit_value(emit, "load %s, ptr %s, align 4", ir_name(type), at.text);
		operand_set(emit, register_at(emit, operand, words / step, i), value, type, false);
	}
}

static void put_word(struct emit *emit, uint32_t slot, unsigned word, struct value value)
{
	struct value at = word_at(emit, slot, word);

	emit_line(emit, "store i32 %s, ptr %s, align 4", value.text, at.text);
}

/* scale, {byte, thread} of A and B, from an operand on. */
static void bring_scales(struct emit *emit, uint32_t slot, unsigned word, unsigned index)
{
	bool is_ue4m3 = type_at(emit, 4) == PTX_TYPE_ue4m3;
	uint64_t blocks = has(emit, PTX_MODIFIER_scale_vec_4X)	 ? 4
			  : has(emit, PTX_MODIFIER_scale_vec_2X) ? 2
			  : has(emit, PTX_MODIFIER_kind_mxf4)	 ? 2
								 : 1;

	for (unsigned i = 0; i < 2; i++) {
		const struct ptx_operand *ids = &emit->in->operands[index + 2 * i + 1];
		unsigned at = word + (i ? SG_SCALE_B : SG_SCALE_A);

		if (ids->kind != PTX_OPERAND_VECTOR || ids->n_elements != 2)
			emit_fail(emit, "a scale is followed by {byte, thread}");
		put_word(emit, slot, at, source(emit, index + 2 * i, PTX_TYPE_b32));
		for (unsigned k = 0; k < 2; k++)
			put_word(emit, slot, at + 1 + k,
			    operand_get(emit, &ids->elements[k], IR_I32, false));
	}
	put_word(emit, slot, word + SG_SCALE_BLOCKS, ir_constant(IR_I32, blocks));
	put_word(emit, slot, word + SG_SCALE_UE4M3, ir_constant(IR_I32, is_ue4m3));
}

static void multiply(struct emit *emit, union sg_matrix matrix)
{
	const struct ptx_operand *operands = emit->in->operands;
	bool is_wide = matrix.a == SG_MATRIX_F64;
	uint32_t slot = matrix_array(emit);
	unsigned at = 0, next = 4;

	for (int operand = SG_MATRIX_A; operand <= SG_MATRIX_C; operand++) {
		unsigned words = sg_matrix_words(matrix, (enum sg_matrix_operand)operand);

		bring(emit, slot, at, words, is_wide, &operands[operand + 1]);
		at += words;
	}
	if (sg_matrix_is_sparse(matrix)) {
		put_word(emit, slot, at + SG_SPARSE_INDICES, source(emit, next++, PTX_TYPE_b32));
		put_word(emit, slot, at + SG_SPARSE_SELECTOR, source(emit, next++, PTX_TYPE_b32));
		at += SG_SPARSE_WORDS;
	}
	if (has(emit, PTX_MODIFIER_block_scale))
		bring_scales(emit, slot, at, next);
	emit_line(emit, "call void @sg_matrix(ptr %%lane, i32 %d, ptr %%a%u)", (int32_t)matrix.bits,
	    slot);
	fetch(emit, slot, sg_matrix_words(matrix, SG_MATRIX_D), is_wide, operands);
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
void emit_mma(struct emit *emit)
{
	union sg_matrix matrix = read_shape(emit, mma_kind(emit));
	bool row = has(emit, PTX_MODIFIER_row), col = has(emit, PTX_MODIFIER_col);

	read_types(emit, &matrix);
	check_types(emit, matrix);
	if (matrix.kind != SG_MATRIX_MMA)
		check_special(emit, matrix);
	else if (emit->in->n_operands != 4 || matrix.n)
		emit_unsupported(emit);
	else if (matrix.a == SG_MATRIX_F16 && !matrix.k) {
		matrix.a_column = !row || emit->in->col_first;
		matrix.b_row = !col || emit->in->col_first;
	}
	multiply(emit, matrix);
}

static uint32_t is_by_column(struct emit *emit)
{
	return has(emit, PTX_MODIFIER_col);
}

/* Base and stride (in elements) of wmma.load and wmma.store; without a stride the matrix is
 * dense. */
static struct value matrix_address(struct emit *emit, union sg_matrix matrix,
    enum sg_matrix_operand which, unsigned index, struct value *stride, bool *is_shared)
{
	const struct ptx_operand *address = &emit->in->operands[index];

	if (address->kind != PTX_OPERAND_ADDRESS)
		emit_fail(emit, "wmma needs an address");
	if (sg_matrix_words(matrix, which) > SG_MATRIX_WORDS)
		emit_unsupported(emit);
	*is_shared = space_of(emit) == PTX_SPACE_SHARED ||
		     (space_of(emit) == PTX_SPACE_GENERIC &&
			 address->elements->kind == PTX_OPERAND_VARIABLE &&
			 address->elements->variable->space == PTX_SPACE_SHARED);
	if (emit->in->n_operands > 2)
		*stride = source(emit, 2, PTX_TYPE_u32);
	else
		*stride =
		    ir_constant(IR_I32, is_by_column(emit) ? sg_matrix_rows(matrix, which)
							   : sg_matrix_columns(matrix, which));
	return effective_address(emit, address);
}

static void wmma_load(struct emit *emit, union sg_matrix matrix)
{
	enum sg_matrix_operand which = has(emit, PTX_MODIFIER_a)   ? SG_MATRIX_A
				       : has(emit, PTX_MODIFIER_b) ? SG_MATRIX_B
								   : SG_MATRIX_C;
	uint32_t slot = matrix_array(emit), type = matrix_type(emit, type_at(emit, 0)) & 15;
	struct value stride, base;
	bool is_shared;

	matrix.a = matrix.b = matrix.c = type & 15;
	base = matrix_address(emit, matrix, which, 1, &stride, &is_shared);
	emit_line(emit,
	    "call void @sg_wmma_load(ptr %%lane, i32 %d, i32 %d, i64 %s, i32 %s, i32 %u, i32 %d, "
	    "ptr %%a%u)",
	    (int32_t)matrix.bits, which, base.text, stride.text, is_by_column(emit), is_shared,
	    slot);
	fetch(
	    emit, slot, sg_matrix_words(matrix, which), type == SG_MATRIX_F64, emit->in->operands);
}

static void wmma_store(struct emit *emit, union sg_matrix matrix)
{
	uint32_t slot = matrix_array(emit);
	struct value stride, base;
	bool is_shared;

	matrix.d = matrix_type(emit, type_at(emit, 0)) & 15;
	base = matrix_address(emit, matrix, SG_MATRIX_D, 0, &stride, &is_shared);
	bring(emit, slot, 0, sg_matrix_words(matrix, SG_MATRIX_D), matrix.d == SG_MATRIX_F64,
	    &emit->in->operands[1]);
	emit_line(emit,
	    "call void @sg_wmma_store(ptr %%lane, i32 %d, i64 %s, i32 %s, i32 %u, i32 %d, "
	    "ptr %%a%u)",
	    (int32_t)matrix.bits, base.text, stride.text, is_by_column(emit), is_shared, slot);
}

void emit_wmma(struct emit *emit)
{
	union sg_matrix matrix = read_shape(emit, SG_MATRIX_WMMA);

	if (has(emit, PTX_MODIFIER_load)) {
		wmma_load(emit, matrix);
	} else if (has(emit, PTX_MODIFIER_store)) {
		wmma_store(emit, matrix);
	} else {
		if (emit->in->n_operands != 4)
			emit_fail(emit, "wmma.mma takes four operands");
		read_types(emit, &matrix);
		check_types(emit, matrix);
		multiply(emit, matrix);
	}
}

/* ---- rows of shared memory ---- */

static unsigned matrices_of(struct emit *emit)
{
	if (!has(emit, PTX_MODIFIER_m8n8) || type_at(emit, 0) != PTX_TYPE_b16)
		emit_unsupported(emit);
	return has(emit, PTX_MODIFIER_x4) ? 4 : has(emit, PTX_MODIFIER_x2) ? 2 : 1;
}

/* The first 8 lanes of each matrix bring a row's address; what the others bring is not looked
 * at. */
static void bring_row(
    struct emit *emit, uint32_t slot, unsigned n, bool is_write, const struct ptx_operand *address)
{
	struct value lane = lane_field(emit, IR_I32, offsetof(struct sg_lane, lane_id)), row, at;
	struct value has_row = emit_value(emit, "icmp ult i32 %s, %u", lane.text, 8 * n);
	uint32_t with = emit_new_block(emit), after = emit_new_block(emit);

	at = word_at(emit, slot, 0);
	emit_line(emit, "store i64 0, ptr %s, align 4", at.text);
	emit_branch_if(emit, has_row, with, after);
	emit_start_block(emit, with);
	row = memory_pointer(emit, address, space_of(emit), 16, is_write);
	emit_line(emit, "store ptr %s, ptr %s, align 4", row.text, at.text);
	emit_start_block(emit, after);
}

static void call_matrix(struct emit *emit, enum sg_matrix_kind kind, uint32_t slot)
{
	union sg_matrix matrix = {.kind = kind, .trans = has(emit, PTX_MODIFIER_trans)};

	emit_line(emit, "call void @sg_matrix(ptr %%lane, i32 %d, ptr %%a%u)", (int32_t)matrix.bits,
	    slot);
}

void emit_ldmatrix(struct emit *emit)
{
	unsigned n = matrices_of(emit);
	uint32_t slot = matrix_array(emit);

	bring_row(emit, slot, n, false, &emit->in->operands[1]);
	call_matrix(emit, SG_MATRIX_LOAD, slot);
	fetch(emit, slot, n, false, emit->in->operands);
}

void emit_stmatrix(struct emit *emit)
{
	unsigned n = matrices_of(emit);
	uint32_t slot = matrix_array(emit);

	bring_row(emit, slot, n, true, &emit->in->operands[0]);
	bring(emit, slot, 2, n, false, &emit->in->operands[1]);
	call_matrix(emit, SG_MATRIX_STORE, slot);
}

void emit_movmatrix(struct emit *emit)
{
	uint32_t slot = matrix_array(emit);

	if (!has(emit, PTX_MODIFIER_trans) || type_at(emit, 0) != PTX_TYPE_b16)
		emit_unsupported(emit);
	bring(emit, slot, 0, 1, false, &emit->in->operands[1]);
	call_matrix(emit, SG_MATRIX_MOVE, slot);
	fetch(emit, slot, 1, false, emit->in->operands);
}
