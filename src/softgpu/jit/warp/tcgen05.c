/*
 * Tensor memory (PTX ISA 9.7.16) of a warp in step. Loads and stores of registers show the machine
 * all lanes' words, a vector each; allocation is the warp's as it is. What one thread asks for
 * (copies, products, commits) is done lane by lane, and is of one lane in a program that means what
 * it says.
 *
 * Addresses, columns and the like must be the same in all lanes: they are the first one's.
 */
#include "softgpu/jit/tcgen05-form.h"

#include <stdio.h>

#include "softgpu/jit/warp/warp.h"

bool tcgen05_meets(const struct ptx_instruction *in)
{
	static const enum ptx_modifier all[] = {PTX_MODIFIER_ld, PTX_MODIFIER_st,
	    PTX_MODIFIER_alloc, PTX_MODIFIER_dealloc, PTX_MODIFIER_relinquish_alloc_permit,
	    PTX_MODIFIER_wait_ld, PTX_MODIFIER_wait_st};

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		if (ptx_has(in, all[i]))
			return true;
	return false;
}

static struct value word_at(struct warp *warp, unsigned word)
{
	struct emit *emit = &warp->emit;

	if (!warp->has_tensor_words)
		text_format(&emit->prologue, "  %%tmem = alloca [%u x i32], align 64\n",
		    (SG_TMEM_WORDS + 1) * SG_WARP_SIZE);
	warp->has_tensor_words = true;
	return emit_value(emit, "getelementptr i32, ptr %%tmem, i64 %u", word * SG_WARP_SIZE);
}

static struct value address_at(struct warp *warp, unsigned index)
{
	struct emit *emit = &warp->emit;
	const struct ptx_operand *operand = tcgen05_operand(emit, index);

	if (operand->kind != PTX_OPERAND_ADDRESS)
		emit_fail(emit, "operand %u of tcgen05 must be an address", index + 1);
	return emit_value(emit, "trunc i64 %s to i32", access_common_address(warp, operand).text);
}

/* extra: more arguments. */
static void call_move(struct warp *warp, const char *function, union sg_tmem_move move,
    unsigned address, unsigned second, const char *extra)
{
	struct emit *emit = &warp->emit;
	struct value at = address_at(warp, address), on = {"0"}, words = word_at(warp, 0);

	if (move.shape == SG_TMEM_16X32X2)
		on = operand_common(warp, tcgen05_operand(emit, second), IR_I32);
	note_first_lane(warp);
	emit_line(emit, "call void @%s(ptr %%lane, i32 %d, i32 %s, i32 %s, ptr %s%s)", function,
	    (int32_t)move.bits, at.text, on.text, words.text, extra);
}

static void fetch(struct warp *warp, unsigned word, const struct ptx_operand *to)
{
	struct emit *emit = &warp->emit;
	struct value at = word_at(warp, word), value;

	value = emit_value(emit, "load %s, ptr %s, align 64", wide_type(warp, IR_I32), at.text);
	wide_set(warp, to, value, IR_I32, true, false);
}

/* d {, reduced}, [address] {, columns to the second piece} */
static void load(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	union sg_tmem_move move = tcgen05_move(emit);
	uint32_t n = sg_tmem_words(move);
	const struct ptx_operand *d = tcgen05_vector(emit, 0, n);
	bool reduces = has(emit, PTX_MODIFIER_red);

	call_move(warp, "sg_warp_tmem_load", move, 1 + reduces, 2 + reduces, "");
	for (uint32_t i = 0; i < n; i++)
		fetch(warp, i, &d[i]);
	if (reduces)
		fetch(warp, SG_TMEM_WORDS, tcgen05_operand(emit, 1));
}

/* [address] {, columns to the second piece}, source */
static void store(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	union sg_tmem_move move = tcgen05_move(emit);
	uint32_t n = sg_tmem_words(move);
	const struct ptx_operand *words =
	    tcgen05_vector(emit, 1 + (move.shape == SG_TMEM_16X32X2), n);
	char running[80];

	for (uint32_t i = 0; i < n; i++) {
		struct value value = wide_get(warp, &words[i], IR_I32), at = word_at(warp, i);

		emit_line(emit, "store %s %s, ptr %s, align 64", wide_type(warp, IR_I32),
		    value.text, at.text);
	}
	snprintf(running, sizeof(running), ", i32 %s", mask_bits(warp, warp->mask).text);
	call_move(warp, "sg_warp_tmem_store", move, 0, 1, running);
}

/* [to], columns */
static void allocate(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	const struct ptx_operand *to = tcgen05_operand(emit, 0);
	struct value columns = operand_common(warp, tcgen05_operand(emit, 1), IR_I32), at;

	if (!shape_is_uniform(shape_of_address(&warp->facts, to)))
		warp_refuse(warp, "lanes want the address of tensor memory at different places");
	note_first_lane(warp);
	at = memory_pointer(emit, to, space_of(emit), 4, true);
	emit_line(emit, "call void @sg_warp_tmem_alloc(ptr %%lane, ptr %s, i32 %s, i32 %d)",
	    at.text, columns.text, tcgen05_is_pair(emit));
}

/* address, columns */
static void release(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	struct value address = operand_common(warp, tcgen05_operand(emit, 0), IR_I32);
	struct value columns = operand_common(warp, tcgen05_operand(emit, 1), IR_I32);

	note_first_lane(warp);
	emit_line(emit, "call void @sg_warp_tmem_free(ptr %%lane, i32 %s, i32 %s)", address.text,
	    columns.text);
}

void warp_tcgen05(struct warp *warp)
{
	struct emit *emit = &warp->emit;

	if (has(emit, PTX_MODIFIER_ld))
		load(warp);
	else if (has(emit, PTX_MODIFIER_st))
		store(warp);
	else if (has(emit, PTX_MODIFIER_alloc))
		allocate(warp);
	else if (has(emit, PTX_MODIFIER_dealloc))
		release(warp);
	else if (has(emit, PTX_MODIFIER_relinquish_alloc_permit))
		emit_line(emit, "call void @sg_warp_tmem_relinquish(ptr %%lane)");
}
