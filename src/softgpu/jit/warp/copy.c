/*
 * cp.async of a warp in step: all lanes' addresses are checked at once, then one call of the
 * machine copies. Lanes that read nothing have a source that is not looked at.
 */
#include "softgpu/exec/lane.h"
#include "softgpu/jit/warp/access.h"

/* Part of what the machine is shown: a vector of 8 bytes a lane, then another, then one of 4. */
static void put(struct warp *warp, unsigned offset, struct value vector, const char *element)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	struct value at =
	    emit_value(emit, "getelementptr i8, ptr %%scratch, i64 %u", offset * width);

	emit_line(
	    emit, "store <%u x %s> %s, ptr %s, align 32", width, element, vector.text, at.text);
}

/* How much each lane reads; the mask becomes that of lanes that read anything. */
static struct value lengths(struct warp *warp, const struct async_copy *copy)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	struct value length, reads;

	capture_begin(warp);
	length = copy_length(emit, copy);
	capture_end(warp);
	if (!capture_widen(warp))
		warp_refuse(warp, "a length cannot be made wide");
	if (!capture_is_vector(warp, length))
		length = wide_splat(warp, IR_I32, length);
	reads = emit_value(
	    emit, "icmp ne %s %s, zeroinitializer", wide_type(warp, IR_I32), length.text);
	warp->mask = emit_value(emit, "and <%u x i1> %s, %s", width, warp->mask.text, reads.text);
	return length;
}

/* Neighbours to neighbours. */
static bool is_dense(struct warp *warp, unsigned size)
{
	const struct ptx_operand *operands = warp->emit.in->operands;

	for (unsigned i = 0; i < 2; i++) {
		struct shape shape = shape_of_address(&warp->facts, &operands[i]);

		if (shape.kind != SHAPE_LINEAR || shape.by_row || shape.wrap ||
		    shape.stride != (int64_t)size || facts_have_rows(&warp->facts))
			return false;
	}
	return true;
}

static void copy_lanes(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	const struct ptx_operand *operands = emit->in->operands;
	struct async_copy copy = copy_form(emit);
	struct value all = warp->mask;
	unsigned flags = is_dense(warp, copy.size) ? SG_COPIES_DENSE : 0;

	put(warp, 0, access_pointers(warp, &operands[0], PTX_SPACE_SHARED, copy.size, true), "ptr");
	if (copy.extra) {
		flags |= SG_COPIES_PARTLY;
		put(warp, 16, lengths(warp, &copy), "i32");
	}
	put(warp, 8, access_pointers(warp, &operands[1], PTX_SPACE_GLOBAL, copy.size, false),
	    "ptr");
	warp->mask = all;
	integer_memory(warp, mask_integer(warp, all), "%members");
	emit_line(emit,
	    "call void @sg_warp_copy_async(ptr %%members, ptr %%scratch, i32 %u, i32 %u, i32 %u)",
	    warp->facts.width, copy.size, flags);
}

/* [at]: the copies are done, so that all lanes arrive now. */
static void arrive(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	uint32_t none = begin_if_any(warp);

	mbarrier_arrive_all(
	    warp, memory_pointer(emit, emit->in->operands, space_of(emit), 8, true));
	end_if_any(warp, none);
}

bool warp_copy(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	const struct ptx_operand *operands = emit->in->operands;

	if (copy_is_done(emit))
		return true;
	if (copy_is_simple(emit)) {
		copy_lanes(warp);
		return true;
	}
	if (!has(emit, PTX_MODIFIER_mbarrier) || !has(emit, PTX_MODIFIER_noinc) ||
	    emit->in->n_operands != 1 ||
	    !shape_is_uniform(shape_of_address(&warp->facts, operands)))
		return false;
	arrive(warp);
	return true;
}
