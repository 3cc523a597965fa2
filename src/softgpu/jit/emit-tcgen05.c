/*
 * Tensor memory and its products (PTX ISA 9.7.16, tcgen05): calls into the machine
 * (softgpu/exec/tcgen05.h), operands in a struct on the stack. All is done by the time of the call,
 * so that fences order nothing; a wait for loads or stores is where a warp's lanes meet.
 */
#include "softgpu/exec/tcgen05.h"

#include "softgpu/jit/tcgen05-form.h"

struct choice {
	enum ptx_modifier modifier;
	uint32_t value;
};

/* The value of the modifier that the instruction has. */
static bool find(struct emit *emit, const struct choice *choices, size_t n, uint32_t *out)
{
	for (size_t i = 0; i < n; i++)
		if (has(emit, choices[i].modifier)) {
			*out = choices[i].value;
			return true;
		}
	return false;
}

static uint32_t choose(struct emit *emit, const struct choice *choices, size_t n)
{
	uint32_t value;

	if (!find(emit, choices, n, &value))
		emit_unsupported(emit);
	return value;
}

/* One place serves all of a function's instructions: none keeps anything there. */
#define PLACE_BYTES (4 * (SG_TMEM_WORDS + 1))
_Static_assert(PLACE_BYTES >= sizeof(struct sg_tensor_product), "room for either");

static struct value place(struct emit *emit, size_t offset)
{
	if (!emit->has_tcgen05)
		text_format(&emit->prologue, "  %%tcgen05 = alloca [%zu x i8], align 8\n",
		    (size_t)PLACE_BYTES);
	emit->has_tcgen05 = true;
	return emit_value(emit, "getelementptr i8, ptr %%tcgen05, i64 %zu", offset);
}

static void put(struct emit *emit, size_t offset, struct value value, enum ir_type type)
{
	struct value at = place(emit, offset);

	emit_line(emit, "store %s %s, ptr %s", ir_name(type), value.text, at.text);
}

bool tcgen05_is_pair(struct emit *emit)
{
	return has(emit, PTX_MODIFIER_cta_group_2);
}

const struct ptx_operand *tcgen05_operand(struct emit *emit, unsigned index)
{
	if (index >= emit->in->n_operands)
		emit_fail(emit, "tcgen05 has too few operands");
	return &emit->in->operands[index];
}

/* [address in tensor memory] */
static struct value tensor_address(struct emit *emit, unsigned index)
{
	const struct ptx_operand *operand = tcgen05_operand(emit, index);

	if (operand->kind != PTX_OPERAND_ADDRESS)
		emit_fail(emit, "operand %u of tcgen05 must be an address", index + 1);
	return emit_value(emit, "trunc i64 %s to i32", effective_address(emit, operand).text);
}

/* ---- registers ---- */

static union sg_tmem_move shape_of(struct emit *emit)
{
	static const struct choice shapes[] = {
	    {PTX_MODIFIER_32x32b, SG_TMEM_32X32},
	    {PTX_MODIFIER_16x64b, SG_TMEM_16X64},
	    {PTX_MODIFIER_16x128b, SG_TMEM_16X128},
	    {PTX_MODIFIER_16x256b, SG_TMEM_16X256},
	    {PTX_MODIFIER_16x32bx2, SG_TMEM_16X32X2},
	};
	static const struct choice repeats[] = {
	    {PTX_MODIFIER_x1, 1},
	    {PTX_MODIFIER_x2, 2},
	    {PTX_MODIFIER_x4, 4},
	    {PTX_MODIFIER_x8, 8},
	    {PTX_MODIFIER_x16, 16},
	    {PTX_MODIFIER_x32, 32},
	    {PTX_MODIFIER_x64, 64},
	    {PTX_MODIFIER_x128, 128},
	};
	union sg_tmem_move move = {.bits = 0};

	move.shape = choose(emit, shapes, ARRAY_SIZE(shapes)) & 7;
	move.repeat = choose(emit, repeats, ARRAY_SIZE(repeats)) & 0xff;
	move.packed = has(emit, PTX_MODIFIER_pack_16b) || has(emit, PTX_MODIFIER_unpack_16b);
	if (sg_tmem_words(move) > SG_TMEM_WORDS)
		emit_unsupported(emit);
	return move;
}

/* .min or .max of what is loaded; .abs and .NaN of floats. */
static void read_reduction(struct emit *emit, union sg_tmem_move *move)
{
	switch (type_at(emit, 0)) {
	case PTX_TYPE_u32:
		move->reduction = SG_TMEM_U32;
		break;
	case PTX_TYPE_s32:
		move->reduction = SG_TMEM_S32;
		break;
	case PTX_TYPE_f32:
		move->reduction = SG_TMEM_F32;
		break;
	default:
		emit_unsupported(emit);
	}
	move->flags = (has(emit, PTX_MODIFIER_max) ? SG_REDUX_MAX : 0u) |
		      (has(emit, PTX_MODIFIER_abs) ? SG_REDUX_ABS : 0u) |
		      (has(emit, PTX_MODIFIER_NaN) ? SG_REDUX_NAN : 0u);
}

union sg_tmem_move tcgen05_move(struct emit *emit)
{
	union sg_tmem_move move = shape_of(emit);

	if (has(emit, PTX_MODIFIER_red))
		read_reduction(emit, &move);
	return move;
}

const struct ptx_operand *tcgen05_vector(struct emit *emit, unsigned index, uint32_t n)
{
	const struct ptx_operand *vector = tcgen05_operand(emit, index);

	if (vector->kind != PTX_OPERAND_VECTOR || vector->n_elements != n)
		emit_fail(emit, "tcgen05 takes %u registers here", n);
	return vector->elements;
}

/* How many columns on the second piece is, of the shape that has two. */
static struct value second_piece(struct emit *emit, union sg_tmem_move move, unsigned index)
{
	if (move.shape != SG_TMEM_16X32X2)
		return (struct value){"0"};
	return source(emit, index, PTX_TYPE_u32);
}

static void move_words(struct emit *emit, const char *function, union sg_tmem_move move,
    unsigned address, unsigned second)
{
	struct value at = tensor_address(emit, address);
	struct value on = second_piece(emit, move, second), words = place(emit, 0);

	emit_line(emit, "call void @%s(ptr %%lane, i32 %d, i32 %s, i32 %s, ptr %s)", function,
	    (int32_t)move.bits, at.text, on.text, words.text);
}

static void get_word(struct emit *emit, uint32_t i, const struct ptx_operand *to)
{
	struct value at = place(emit, i * sizeof(uint32_t));

	operand_set(emit, to, emit_value(emit, "load i32, ptr %s", at.text), IR_I32, false);
}

/* d {, reduced}, [address] {, columns to the second piece} */
static void load(struct emit *emit)
{
	union sg_tmem_move move = tcgen05_move(emit);
	uint32_t n = sg_tmem_words(move);
	const struct ptx_operand *d = tcgen05_vector(emit, 0, n);
	bool reduces = has(emit, PTX_MODIFIER_red);

	move_words(emit, "sg_tmem_load", move, 1 + reduces, 2 + reduces);
	for (uint32_t i = 0; i < n; i++)
		get_word(emit, i, &d[i]);
	if (reduces)
		get_word(emit, SG_TMEM_WORDS, tcgen05_operand(emit, 1));
}

/* [address] {, columns to the second piece}, source */
static void store(struct emit *emit)
{
	union sg_tmem_move move = tcgen05_move(emit);
	uint32_t n = sg_tmem_words(move);
	const struct ptx_operand *words =
	    tcgen05_vector(emit, 1 + (move.shape == SG_TMEM_16X32X2), n);

	for (uint32_t i = 0; i < n; i++)
		put(emit, i * sizeof(uint32_t), operand_get(emit, &words[i], IR_I32, false),
		    IR_I32);
	move_words(emit, "sg_tmem_store", move, 0, 1);
}

/* ---- allocation, shared memory, completion ---- */

/* [to], columns */
static void allocate(struct emit *emit)
{
	struct value columns = source(emit, 1, PTX_TYPE_u32);
	struct value to = memory_pointer(emit, tcgen05_operand(emit, 0), space_of(emit), 4, true);

	emit_line(emit, "call void @sg_tmem_alloc(ptr %%lane, ptr %s, i32 %s, i32 %d)", to.text,
	    columns.text, tcgen05_is_pair(emit));
}

static void release(struct emit *emit)
{
	struct value address = source(emit, 0, PTX_TYPE_u32);

	emit_line(emit, "call void @sg_tmem_free(ptr %%lane, i32 %s, i32 %s)", address.text,
	    source(emit, 1, PTX_TYPE_u32).text);
}

static uint32_t copy_shape(struct emit *emit)
{
	static const struct choice shapes[] = {
	    {PTX_MODIFIER_128x256b, SG_TMEM_COPY_128X256},
	    {PTX_MODIFIER_4x256b, SG_TMEM_COPY_4X256},
	    {PTX_MODIFIER_128x128b, SG_TMEM_COPY_128X128},
	    {PTX_MODIFIER_warpx2_02_13, SG_TMEM_COPY_64X128_02_13},
	    {PTX_MODIFIER_warpx2_01_23, SG_TMEM_COPY_64X128_01_23},
	    {PTX_MODIFIER_warpx4, SG_TMEM_COPY_32X128},
	};

	return choose(emit, shapes, ARRAY_SIZE(shapes));
}

/* [address], descriptor */
static void copy(struct emit *emit)
{
	union sg_tmem_copy form = {
	    .shape = copy_shape(emit) & 7,
	    .narrow = has(emit, PTX_MODIFIER_b4x16_p64)	  ? 4
		      : has(emit, PTX_MODIFIER_b6x16_p32) ? 6
							  : 0,
	    .pair = tcgen05_is_pair(emit),
	};
	struct value address = tensor_address(emit, 0);

	emit_line(emit, "call void @sg_tmem_copy(ptr %%lane, i32 %d, i32 %s, i64 %s)",
	    (int32_t)form.bits, address.text, source(emit, 1, PTX_TYPE_b64).text);
}

/* [mbarrier] {, mask of blocks} */
static void commit(struct emit *emit)
{
	struct value at = bulk_address(emit, 0), mask;

	if (space_of(emit) == PTX_SPACE_GENERIC)
		at = cluster_from_generic(emit, at);
	mask = has(emit, PTX_MODIFIER_multicast_cluster) ? source(emit, 1, PTX_TYPE_u16)
							 : ir_constant(IR_I32, SG_TMEM_COMMIT_ONE);
	if (has(emit, PTX_MODIFIER_multicast_cluster))
		mask = emit_value(emit, "zext i16 %s to i32", mask.text);
	emit_line(
	    emit, "call void @sg_tmem_commit(ptr %%lane, i64 %s, i32 %s)", at.text, mask.text);
}

/* ---- products ---- */

/* How many scales k has; nothing said is the one way there is. */
static uint32_t scale_blocks(struct emit *emit, uint32_t kind)
{
	static const struct choice vectors[] = {
	    {PTX_MODIFIER_scale_vec_1X, 1},
	    {PTX_MODIFIER_scale_vec_2X, 2},
	    {PTX_MODIFIER_scale_vec_4X, 4},
	    {PTX_MODIFIER_block16, 4},
	};
	uint32_t blocks = kind == SG_KIND_MXF8F6F4 ? 1 : 2;
	bool is_named =
	    find(emit, vectors, ARRAY_SIZE(vectors), &blocks) || has(emit, PTX_MODIFIER_block32);

	if ((kind == SG_KIND_MXF8F6F4 && blocks != 1) || (kind == SG_KIND_MXF4 && blocks != 2) ||
	    (kind == SG_KIND_MXF4NVF4 && (blocks == 1 || !is_named)))
		emit_unsupported(emit);
	return blocks;
}

static union sg_tensor_form form_of(struct emit *emit)
{
	static const struct choice kinds[] = {
	    {PTX_MODIFIER_kind_f16, SG_KIND_F16},
	    {PTX_MODIFIER_kind_tf32, SG_KIND_TF32},
	    {PTX_MODIFIER_kind_f8f6f4, SG_KIND_F8F6F4},
	    {PTX_MODIFIER_kind_i8, SG_KIND_I8},
	    {PTX_MODIFIER_kind_mxf8f6f4, SG_KIND_MXF8F6F4},
	    {PTX_MODIFIER_kind_mxf4, SG_KIND_MXF4},
	    {PTX_MODIFIER_kind_mxf4nvf4, SG_KIND_MXF4NVF4},
	};
	uint32_t kind = choose(emit, kinds, ARRAY_SIZE(kinds));
	union sg_tensor_form form = {
	    .kind = kind & 7,
	    .pair = tcgen05_is_pair(emit),
	    .stationary = has(emit, PTX_MODIFIER_ws),
	    .sparse = has(emit, PTX_MODIFIER_sp),
	    .a_in_tensor = tcgen05_operand(emit, 1)->kind == PTX_OPERAND_ADDRESS,
	    .a_shifted = has(emit, PTX_MODIFIER_ashift),
	};

	if (has(emit, PTX_MODIFIER_block_scale) != (kind >= SG_KIND_MXF8F6F4))
		emit_unsupported(emit);
	if (has(emit, PTX_MODIFIER_block_scale))
		form.blocks = scale_blocks(emit, kind) & 7;
	return form;
}

#define FIELD(name) offsetof(struct sg_tensor_product, name)

/* {lanes that are not written} */
static void put_lanes(struct emit *emit, union sg_tensor_form *form, unsigned index)
{
	const struct ptx_operand *lanes = tcgen05_vector(emit, index, form->pair ? 8 : 4);

	form->lanes_masked = true;
	for (unsigned i = 0; i < (form->pair ? 8u : 4u); i++)
		put(emit, FIELD(lanes) + i * sizeof(uint32_t),
		    operand_get(emit, &lanes[i], IR_I32, false), IR_I32);
}

/* Behind the predicate: a constant that divides D, or the columns of .ws. */
static void put_last(struct emit *emit, union sg_tensor_form *form, unsigned index)
{
	const struct ptx_operand *last = &emit->in->operands[index];

	if (index >= emit->in->n_operands)
		return;
	if (form->stationary) {
		form->columns_masked = true;
		put(emit, FIELD(columns), source(emit, index, PTX_TYPE_b64), IR_I64);
	} else if (last->kind == PTX_OPERAND_INTEGER && last->value < 16) {
		form->input_scale = last->value & 15;
	} else {
		emit_fail(emit, "D of tcgen05.mma is scaled by a constant from 0 to 15");
	}
}

/* [d], a or [a], b {, [sparsity]}, instruction {, [scales of a], [scales of b]} {, {lanes}}, adds
 * {, scale of d or columns of b} */
static void multiply(struct emit *emit)
{
	union sg_tensor_form form = form_of(emit);
	unsigned index = 3;

	put(emit, FIELD(d), tensor_address(emit, 0), IR_I32);
	if (form.a_in_tensor)
		put(emit, FIELD(a),
		    emit_value(emit, "zext i32 %s to i64", tensor_address(emit, 1).text), IR_I64);
	else
		put(emit, FIELD(a), source(emit, 1, PTX_TYPE_b64), IR_I64);
	put(emit, FIELD(b), source(emit, 2, PTX_TYPE_b64), IR_I64);
	if (form.sparse)
		put(emit, FIELD(sparsity), tensor_address(emit, index++), IR_I32);
	put(emit, FIELD(instruction), source(emit, index++, PTX_TYPE_b32), IR_I32);
	if (form.blocks) {
		put(emit, FIELD(scale_a), tensor_address(emit, index++), IR_I32);
		put(emit, FIELD(scale_b), tensor_address(emit, index++), IR_I32);
	}
	if (tcgen05_operand(emit, index)->kind == PTX_OPERAND_VECTOR)
		put_lanes(emit, &form, index++);
	put(emit, FIELD(adds),
	    emit_value(emit, "zext i1 %s to i32", source(emit, index++, PTX_TYPE_pred).text),
	    IR_I32);
	put_last(emit, &form, index);
	emit_line(emit, "call void @sg_tensor_multiply(ptr %%lane, i32 %d, ptr %s)",
	    (int32_t)form.bits, place(emit, 0).text);
}

/* ---- which of them ---- */

static void shift(struct emit *emit)
{
	emit_line(emit, "call void @sg_tmem_shift(ptr %%lane, i32 %s, i32 %d)",
	    tensor_address(emit, 0).text, tcgen05_is_pair(emit));
}

static void relinquish(struct emit *emit)
{
	emit_line(emit, "call void @sg_tmem_relinquish(ptr %%lane)");
}

/* Accesses of other lanes are what may not have been done yet. */
static void wait(struct emit *emit)
{
	emit_value(emit, "call i64 @sg_exchange(ptr %%lane, i32 %d, i32 -1, i64 0, i32 0, i32 0)",
	    SG_EXCHANGE_SYNC);
}

static void fence(struct emit *emit)
{
}

void emit_tcgen05(struct emit *emit)
{
	static const struct {
		enum ptx_modifier modifier;
		void (*emit)(struct emit *emit);
	} all[] = {
	    {PTX_MODIFIER_mma, multiply},
	    {PTX_MODIFIER_ld, load},
	    {PTX_MODIFIER_st, store},
	    {PTX_MODIFIER_cp, copy},
	    {PTX_MODIFIER_alloc, allocate},
	    {PTX_MODIFIER_dealloc, release},
	    {PTX_MODIFIER_relinquish_alloc_permit, relinquish},
	    {PTX_MODIFIER_shift, shift},
	    {PTX_MODIFIER_commit, commit},
	    {PTX_MODIFIER_wait_ld, wait},
	    {PTX_MODIFIER_wait_st, wait},
	    {PTX_MODIFIER_fence_before_thread_sync, fence},
	    {PTX_MODIFIER_fence_after_thread_sync, fence},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (has(emit, all[i].modifier)) {
			all[i].emit(emit);
			return;
		}
	emit_unsupported(emit);
}
