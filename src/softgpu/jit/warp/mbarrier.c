/*
 * mbarrier (PTX ISA 9.7.13) of a warp in step. Lanes that arrive at one barrier arrive as one, and
 * all get the state from before the first of them; lanes that test one barrier for one state ask
 * once, so that a loop that waits is left by all. Anything else is done lane by lane.
 *
 * A test that fails lets other warps run. Lanes of one warp never wait for each other: loops that
 * test where some of them may be elsewhere are refused.
 */
#include "softgpu/exec/lane.h"
#include "softgpu/jit/warp/warp.h"

static bool is_test(const struct ptx_instruction *in)
{
	return ptx_has(in, PTX_MODIFIER_test_wait) || ptx_has(in, PTX_MODIFIER_try_wait);
}

static bool is_arrival(const struct ptx_instruction *in)
{
	return ptx_has(in, PTX_MODIFIER_arrive) || ptx_has(in, PTX_MODIFIER_arrive_drop);
}

bool mbarrier_waits(const struct ptx_instruction *in)
{
	return in->opcode == PTX_OP_mbarrier && is_test(in);
}

bool mbarrier_is_common(const struct facts *facts, const struct ptx_instruction *in)
{
	if (!is_test(in) && !is_arrival(in))
		return false;
	for (unsigned i = flow_has_result(in); i < in->n_operands; i++)
		if (!shape_is_uniform(shape_of_operand(facts, &in->operands[i], 0)))
			return false;
	return true;
}

static struct value pointer(struct warp *warp, unsigned index)
{
	struct emit *emit = &warp->emit;

	if (index >= emit->in->n_operands || emit->in->operands[index].kind != PTX_OPERAND_ADDRESS)
		emit_fail(emit, "mbarrier needs an address");
	return memory_pointer(emit, &emit->in->operands[index], space_of(emit), 8, true);
}

static struct value as_64_bits(struct warp *warp, unsigned index)
{
	return emit_value(
	    &warp->emit, "zext i32 %s to i64", source(&warp->emit, index, PTX_TYPE_u32).text);
}

/* d, [at], state or parity {, time} */
static void test(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	bool parity = has(emit, PTX_MODIFIER_parity);
	struct value at = pointer(warp, 1), value;

	value = parity ? as_64_bits(warp, 2) : source(emit, 2, PTX_TYPE_b64);
	value = emit_value(emit, "call i64 @sg_mbarrier(ptr %%lane, i32 %d, ptr %s, i64 %s)",
	    parity ? SG_MBARRIER_TEST_PARITY : SG_MBARRIER_TEST, at.text, value.text);
	value = emit_value(emit, "trunc i64 %s to i1", value.text);
	set_same(warp, emit->in->operands, value, IR_I1, false);
}

static struct value arrive_at(
    struct warp *warp, struct value at, struct value count, struct value bytes)
{
	struct emit *emit = &warp->emit;
	struct value here = integer_count(warp, mask_integer(warp, warp->mask));

	return emit_value(emit,
	    "call i64 @sg_warp_mbarrier_arrive(ptr %%lane, i32 %s, i32 %d, ptr %s, i64 %s, i64 "
	    "%s)",
	    here.text, has(emit, PTX_MODIFIER_arrive_drop) ? SG_MBARRIER_DROP : SG_MBARRIER_ARRIVE,
	    at.text, count.text, bytes.text);
}

void mbarrier_arrive_all(struct warp *warp, struct value at)
{
	arrive_at(warp, at, (struct value){"1"}, (struct value){"0"});
}

/* {d,} [at] {, count, or with expect_tx bytes} */
static void arrive(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	bool has_state = flow_has_result(emit->in), expects = has(emit, PTX_MODIFIER_expect_tx);
	struct value at = pointer(warp, has_state), count = {"1"}, bytes = {"0"}, state;

	if (emit->in->n_operands > has_state + 1u)
		*(expects ? &bytes : &count) = as_64_bits(warp, has_state + 1u);
	state = arrive_at(warp, at, count, bytes);
	if (has_state)
		set_same(warp, emit->in->operands, state, IR_I64, false);
}

bool warp_mbarrier(struct warp *warp)
{
	uint32_t none;

	if (!mbarrier_is_common(&warp->facts, warp->emit.in))
		return false;
	none = begin_if_any(warp);
	if (is_test(warp->emit.in))
		test(warp);
	else
		arrive(warp);
	end_if_any(warp, none);
	return true;
}
