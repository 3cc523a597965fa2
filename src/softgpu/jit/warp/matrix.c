/*
 * mma wmma ldmatrix stmatrix movmatrix of a warp in step: the registers' vectors go to memory as
 * they are (struct sg_fragments), the machine computes at once, the results come back.
 *
 * All lanes are here, for these instructions are .aligned; what lanes that have exited hold counts
 * as 0, or as whatever it is: PTX leaves that open. An address or stride that the analyses do not
 * know to be the same in all lanes is the first one's.
 */
#include "softgpu/jit/warp/matrix.h"
#include "softgpu/exec/lane.h"

/* One serves all instructions: none keeps anything there. */
static struct value word_at(struct warp *warp, unsigned word)
{
	struct emit *emit = &warp->emit;

	if (!emit->has_matrix)
		text_format(&emit->prologue, "  %%matrix = alloca [%zu x i8], align %zu\n",
		    sizeof(struct sg_fragments), alignof(struct sg_fragments));
	emit->has_matrix = true;
	return emit_value(emit, "getelementptr i32, ptr %%matrix, i64 %u", word * SG_WARP_SIZE);
}

static void put(struct warp *warp, unsigned word, struct value value, enum ir_type type)
{
	struct value at = word_at(warp, word);

	emit_line(&warp->emit, "store %s %s, ptr %s, align 64", wide_type(warp, type), value.text,
	    at.text);
}

static void bring(struct warp *warp, unsigned first, unsigned words, bool is_wide,
    const struct ptx_operand *operand)
{
	enum ir_type type = is_wide ? IR_I64 : IR_I32;
	unsigned step = is_wide ? 2 : 1, n = words / step;

	for (unsigned i = 0; i < n; i++)
		put(warp, first + i * step,
		    wide_get(warp, matrix_register(&warp->emit, operand, n, i), type), type);
}

static void fetch(
    struct warp *warp, unsigned words, bool is_wide, const struct ptx_operand *operand)
{
	struct emit *emit = &warp->emit;
	enum ir_type type = is_wide ? IR_I64 : IR_I32;
	unsigned step = is_wide ? 2 : 1, n = words / step;

	for (unsigned i = 0; i < n; i++) {
		struct value at = word_at(warp, i * step), value;

		value =
		    emit_value(emit, "load %s, ptr %s, align 64", wide_type(warp, type), at.text);
		wide_set(warp, matrix_register(emit, operand, n, i), value, type, true, false);
	}
}

static void compute(struct warp *warp, union sg_matrix matrix)
{
	emit_line(&warp->emit, "call void @sg_warp_matrix(i32 %d, i32 %s, ptr %%matrix)",
	    (int32_t)matrix.bits, mask_bits(warp, warp->mask).text);
}

static void multiply_by_machine(struct warp *warp, union sg_matrix matrix)
{
	struct emit *emit = &warp->emit;
	const struct ptx_operand *operands = emit->in->operands;
	bool is_wide = matrix.a == SG_MATRIX_F64;
	struct matrix_extra extras[MATRIX_MOST_EXTRAS];
	unsigned n = matrix_form_extras(emit, matrix, extras);

	for (int i = SG_MATRIX_A; i <= SG_MATRIX_C; i++) {
		enum sg_matrix_operand operand = (enum sg_matrix_operand)i;

		bring(warp, sg_matrix_offset(matrix, operand), sg_matrix_words(matrix, operand),
		    is_wide, &operands[i + 1]);
	}
	for (unsigned i = 0; i < n; i++)
		put(warp, extras[i].word,
		    extras[i].operand
			? wide_get(warp, extras[i].operand, IR_I32)
			: wide_splat(warp, IR_I32, ir_constant(IR_I32, extras[i].number)),
		    IR_I32);
	compute(warp, matrix);
	fetch(warp, sg_matrix_words(matrix, SG_MATRIX_D), is_wide, operands);
}

static void multiply(struct warp *warp)
{
	union sg_matrix matrix = matrix_form_product(&warp->emit);

	if (matrix_is_double(matrix))
		warp_double_product(warp, matrix);
	else
		multiply_by_machine(warp, matrix);
}

/* ---- wmma.load, wmma.store ---- */

static struct value common_stride(struct warp *warp, const struct matrix_move *move)
{
	if (!move->stride)
		return ir_constant(IR_I32, move->dense);
	return operand_common(warp, move->stride, IR_I32);
}

static void move(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	struct matrix_move move = matrix_form_move(emit);
	struct value base = access_common_address(warp, move.address),
		     stride = common_stride(warp, &move);

	note_first_lane(warp);
	word_at(warp, 0);
	if (move.is_store)
		bring(warp, 0, move.words, move.is_wide, move.registers);
	emit_line(emit,
	    "call void @sg_warp_wmma_%s(ptr %%lane, i32 %d, i64 %s, i32 %s, ptr %%matrix)",
	    move.is_store ? "store" : "load", (int32_t)move.form.bits, base.text, stride.text);
	if (!move.is_store)
		fetch(warp, move.words, move.is_wide, move.registers);
}

/* ---- rows of shared memory ---- */

/* The first 8 lanes of each matrix bring a row's address; what the others bring is not looked
 * at. */
static void bring_rows(
    struct warp *warp, unsigned n, bool is_write, const struct ptx_operand *address)
{
	struct emit *emit = &warp->emit;
	struct value mask = warp->mask, pointers;
	unsigned width = warp->facts.width;

	warp->mask = emit_value(emit, "bitcast i%u %llu to <%u x i1>", width,
	    (unsigned long long)(UINT64_MAX >> (64 - 8 * n)), width);
	warp->mask = emit_value(emit, "and <%u x i1> %s, %s", width, mask.text, warp->mask.text);
	pointers = access_pointers(warp, address, space_of(emit), 16, is_write);
	pointers = emit_value(
	    emit, "ptrtoint <%u x ptr> %s to %s", width, pointers.text, wide_type(warp, IR_I64));
	pointers = emit_value(emit, "select <%u x i1> %s, %s %s, %s zeroinitializer", width,
	    warp->mask.text, wide_type(warp, IR_I64), pointers.text, wide_type(warp, IR_I64));
	warp->mask = mask;
	put(warp, SG_MATRIX_ROW, pointers, IR_I64);
}

void warp_matrix(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	const struct ptx_operand *operands = emit->in->operands;
	union sg_matrix matrix;
	unsigned n;

	switch (emit->in->opcode) {
	case PTX_OP_ldmatrix:
		n = matrix_form_rows(emit, SG_MATRIX_LOAD, &matrix);
		bring_rows(warp, n, false, &operands[1]);
		compute(warp, matrix);
		fetch(warp, n, false, operands);
		return;
	case PTX_OP_stmatrix:
		n = matrix_form_rows(emit, SG_MATRIX_STORE, &matrix);
		bring_rows(warp, n, true, &operands[0]);
		bring(warp, 0, n, false, &operands[1]);
		compute(warp, matrix);
		return;
	case PTX_OP_movmatrix:
		n = matrix_form_rows(emit, SG_MATRIX_MOVE, &matrix);
		bring(warp, 0, n, false, &operands[1]);
		compute(warp, matrix);
		fetch(warp, n, false, operands);
		return;
	default:
		break;
	}
	if (has(emit, PTX_MODIFIER_load) || has(emit, PTX_MODIFIER_store))
		move(warp);
	else
		multiply(warp);
}
