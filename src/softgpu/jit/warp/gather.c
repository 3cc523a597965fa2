/* Accesses to a place of its own for each lane, all checked at once. */
#include <stdio.h>

#include "softgpu/exec/lane.h"
#include "softgpu/jit/warp/access.h"

/* is_host: of size bytes in a window of a cluster's, where they are for the host; 0 if nowhere. */
static struct value addresses_of(
    struct warp *warp, const struct ptx_operand *address, unsigned size, bool is_host)
{
	struct value value;

	capture_begin(warp);
	value = effective_address(&warp->emit, address);
	if (is_host)
		value = cluster_checked(&warp->emit, value, size);
	capture_end(warp);
	if (!capture_widen(warp))
		warp_refuse(warp, "an address cannot be made wide");
	return capture_is_vector(warp, value) ? value : wide_splat(warp, IR_I64, value);
}

struct value access_addresses(struct warp *warp, const struct ptx_operand *address)
{
	return addresses_of(warp, address, 0, false);
}

struct value access_common_address(struct warp *warp, const struct ptx_operand *address)
{
	if (shape_is_uniform(shape_of_address(&warp->facts, address)))
		return effective_address(&warp->emit, address);
	return wide_first(warp, access_addresses(warp, address), IR_I64);
}

static void fault(struct warp *warp, const struct access *access, unsigned size)
{
	struct emit *emit = &warp->emit;
	struct value addresses = access_addresses(warp, access->address);

	emit_line(emit, "store %s %s, ptr %%scratch", wide_type(warp, IR_I64), addresses.text);
	if (access->space == PTX_SPACE_CLUSTER)
		emit_line(emit,
		    "call void @sg_warp_cluster_fault(ptr %%lane, ptr %%scratch, ptr %%members, "
		    "i32 "
		    "%u, i1 %d)",
		    size, access->is_write);
	else
		emit_line(emit,
		    "call void @sg_warp_fault(ptr %%lane, ptr %%scratch, ptr %%members, i32 %u, i1 "
		    "%d, i1 %d)",
		    size, access->is_write, access_is_shared(access));
	emit_line(emit, "unreachable");
}

/* All lanes' pointers, checked. */
static struct value check_all(struct warp *warp, const struct access *access)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width, size = access->size * access->count;
	const char *type = wide_type(warp, IR_I64);
	struct value addresses = addresses_of(
			 warp, access->address, size, access->space == PTX_SPACE_CLUSTER),
		     offsets = addresses, limit, inside;
	uint32_t fine = emit_new_block(emit), bad = emit_new_block(emit);
	char declaration[120];

	if (access_is_shared(access)) {
		limit = lane_fact(emit, "i64", offsetof(struct sg_lane, shared_size));
		limit = emit_value(emit, "lshr i64 %s, %u", limit.text, access_log2(size));
	} else {
		offsets = emit_value(emit, "sub %s %s, %s", type, addresses.text,
		    wide_splat(warp, IR_I64, ir_constant(IR_I64, SG_ARENA_BASE)).text);
		limit = ir_constant(IR_I64, SG_ARENA_SIZE >> access_log2(size));
	}
	if (access_log2(size)) {
		snprintf(declaration, sizeof(declaration), "%s @llvm.fshr.v%ui64(%s, %s, %s)", type,
		    width, type, type, type);
		widen_declare(&warp->widen, declaration);
		offsets = emit_value(emit, "call %s @llvm.fshr.v%ui64(%s %s, %s %s, %s %s)", type,
		    width, type, offsets.text, type, offsets.text, type,
		    wide_splat(warp, IR_I64, ir_constant(IR_I64, access_log2(size))).text);
	}
	inside = emit_value(
	    emit, "icmp uge %s %s, %s", type, offsets.text, wide_splat(warp, IR_I64, limit).text);
	inside = emit_value(emit, "and <%u x i1> %s, %s", width, inside.text, warp->mask.text);
	inside = mask_integer(warp, inside);
	emit_branch_if(emit, emit_value(emit, "icmp eq i%u %s, 0", width, inside.text), fine, bad);
	text_format(&emit->body, "b%u:\n", bad);
	integer_memory(warp, inside, "%members");
	fault(warp, access, size);
	text_format(&emit->body, "b%u:\n", fine);
	emit->open = true;
	if (!access_is_shared(access))
		return emit_value(
		    emit, "inttoptr %s %s to <%u x ptr>", type, addresses.text, width);
	limit = lane_fact(emit, "ptr", offsetof(struct sg_lane, shared));
	return emit_value(
	    emit, "getelementptr i8, ptr %s, %s %s", limit.text, type, addresses.text);
}

struct value access_pointers(struct warp *warp, const struct ptx_operand *address,
    enum ptx_space space, unsigned size, bool is_write)
{
	struct access access = {.space = space,
	    .count = 1,
	    .size = size,
	    .address = address,
	    .is_write = is_write,
	    .number = warp->n_places++};

	if (address->elements->kind == PTX_OPERAND_VARIABLE && access.space == PTX_SPACE_GENERIC)
		access.space = address->elements->variable->space;
	return check_all(warp, &access);
}

static struct value element_pointers(
    struct warp *warp, const struct access *access, struct value base, unsigned i)
{
	return i ? emit_value(&warp->emit, "getelementptr i8, <%u x ptr> %s, i64 %u",
		       warp->facts.width, base.text, i * access->size)
		 : base;
}

void access_gather(struct warp *warp, const struct access *access)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	const char *type = wide_type(warp, access->ir);
	char name[64], declaration[200];
	struct value base = check_all(warp, access);

	snprintf(name, sizeof(name), "@llvm.masked.gather.v%u%c%u.v%up0", width,
	    access->ir >= IR_FLOAT ? 'f' : 'i', ir_bits(access->ir), width);
	snprintf(declaration, sizeof(declaration), "%s %s(<%u x ptr>, i32 immarg, <%u x i1>, %s)",
	    type, name, width, width, type);
	widen_declare(&warp->widen, declaration);
	for (unsigned i = 0; i < access->count; i++) {
		struct value at = element_pointers(warp, access, base, i);
		struct value value = emit_value(emit,
		    "call %s %s(<%u x ptr> %s, i32 %u, <%u x i1> %s, %s zeroinitializer)", type,
		    name, width, at.text, access->size, width, warp->mask.text, type);

		wide_set(warp, access_element(warp, access, i), value, access->ir, true,
		    ptx_type_is_signed(access->type));
	}
}

void access_scatter(struct warp *warp, const struct access *access)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	const char *type = wide_type(warp, access->ir);
	char name[64], declaration[200];
	struct value base = check_all(warp, access);

	snprintf(name, sizeof(name), "@llvm.masked.scatter.v%u%c%u.v%up0", width,
	    access->ir >= IR_FLOAT ? 'f' : 'i', ir_bits(access->ir), width);
	snprintf(declaration, sizeof(declaration), "void %s(%s, <%u x ptr>, i32 immarg, <%u x i1>)",
	    name, type, width, width);
	widen_declare(&warp->widen, declaration);
	for (unsigned i = 0; i < access->count; i++) {
		struct value at, value;

		if (access_element(warp, access, i)->kind == PTX_OPERAND_SINK)
			continue;
		at = element_pointers(warp, access, base, i);
		value = wide_get(warp, access_element(warp, access, i), access->ir);
		emit_line(emit, "call void %s(%s %s, <%u x ptr> %s, i32 %u, <%u x i1> %s)", name,
		    type, value.text, width, at.text, access->size, width, warp->mask.text);
	}
}
