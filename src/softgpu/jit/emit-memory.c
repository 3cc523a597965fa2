/*
 * ld st atom red and fences (PTX ISA 9.7.9, 9.7.13).
 *
 * A generic address is a host address. One compare finds an address outside the arena or, the
 * address rotated right by the alignment's bits, a misaligned one:  ror(a - base, n) < size >> n
 * holds only when the n low bits are zero. Variables of the function itself need no check.
 *
 * Weak accesses are plain; volatile, relaxed, acquire and release ones are LLVM's atomics of that
 * order, sc fences are seq_cst. An ordered vector of up to 16 bytes is one access: more than PTX
 * promises, but what GPUs do, and CUB's scans read a sum together with what it is the sum of.
 */
#include "softgpu/exec/lane.h"
#include "softgpu/jit/emit.h"

enum ptx_space space_of(struct emit *emit)
{
	static const struct {
		enum ptx_modifier modifier;
		enum ptx_space space;
	} spaces[] = {
	    {PTX_MODIFIER_global, PTX_SPACE_GLOBAL},
	    {PTX_MODIFIER_shared, PTX_SPACE_SHARED},
	    {PTX_MODIFIER_shared_cta, PTX_SPACE_SHARED},
	    {PTX_MODIFIER_shared_cluster, PTX_SPACE_CLUSTER},
	    {PTX_MODIFIER_local, PTX_SPACE_LOCAL},
	    {PTX_MODIFIER_const, PTX_SPACE_CONST},
	    {PTX_MODIFIER_param, PTX_SPACE_PARAM},
	    {PTX_MODIFIER_param_entry, PTX_SPACE_PARAM},
	    {PTX_MODIFIER_param_func, PTX_SPACE_PARAM},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(spaces); i++)
		if (has(emit, spaces[i].modifier))
			return spaces[i].space;
	return PTX_SPACE_GENERIC;
}

static unsigned log2_of(unsigned size)
{
	return size > 1 ? 31 - (unsigned)__builtin_clz(size) : 0;
}

/* Leaves for good when bad: the machine ends the grid. */
static void check(struct emit *emit, struct value offset, struct value address, const char *limit,
    unsigned size, bool is_write, bool is_shared)
{
	unsigned shift = log2_of(size);
	uint32_t fine = emit_new_block(emit), bad = emit_new_block(emit);
	struct value inside;

	if (shift)
		offset = emit_value(emit, "call i64 @llvm.fshr.i64(i64 %s, i64 %s, i64 %u)",
		    offset.text, offset.text, shift);
	inside = emit_value(emit, "icmp ult i64 %s, %s", offset.text, limit);
	emit_branch_if(emit, inside, fine, bad);
	text_format(&emit->body, "b%u:\n", bad);
	emit_line(emit, "call void @sg_fault_access(ptr %%lane, i64 %s, i32 %u, i1 %d, i1 %d)",
	    address.text, size, is_write, is_shared);
	emit_line(emit, "unreachable");
	emit_start_block(emit, fine);
}

struct value memory_arena_pointer(
    struct emit *emit, struct value address, unsigned size, bool is_write)
{
	struct value offset =
	    emit_value(emit, "sub i64 %s, %llu", address.text, (unsigned long long)SG_ARENA_BASE);

	check(emit, offset, address, ir_constant(IR_I64, SG_ARENA_SIZE >> log2_of(size)).text, size,
	    is_write, false);
	return emit_value(emit, "inttoptr i64 %s to ptr", address.text);
}

static struct value shared_pointer(
    struct emit *emit, struct value offset, unsigned size, bool is_write)
{
	struct value limit = lane_fact(emit, "i64", offsetof(struct sg_lane, shared_size)), base;

	if (log2_of(size))
		limit = emit_value(emit, "lshr i64 %s, %u", limit.text, log2_of(size));
	check(emit, offset, offset, limit.text, size, is_write, true);
	base = lane_fact(emit, "ptr", offsetof(struct sg_lane, shared));
	return emit_value(emit, "getelementptr i8, ptr %s, i64 %s", base.text, offset.text);
}

/* A variable on the stack or a kernel parameter, at a constant offset inside it. */
static bool is_own_variable(const struct ptx_operand *address, unsigned size)
{
	const struct ptx_variable *v = address->elements->variable;

	return address->elements->kind == PTX_OPERAND_VARIABLE &&
	       (v->space == PTX_SPACE_LOCAL || v->space == PTX_SPACE_PARAM) &&
	       address->offset >= 0 && (uint64_t)address->offset + size <= v->size;
}

static struct value own_pointer(struct emit *emit, const struct ptx_operand *address)
{
	const struct ptx_variable *v = address->elements->variable;

	if (v->is_kernel_param) {
		struct value base = emit_value(emit, "getelementptr i8, ptr %%lane, i64 %zu",
		    offsetof(struct sg_lane, params));

		base = emit_value(emit, "load ptr, ptr %s, !invariant.load !0", base.text);
		return emit_value(emit, "getelementptr i8, ptr %s, i64 %lld", base.text,
		    (long long)(v->offset + address->offset));
	}
	return emit_value(
	    emit, "getelementptr i8, ptr %%v%u, i64 %lld", v->id, (long long)address->offset);
}

/* Base and offset as 64 bits. A sum with a 32-bit register (shared memory) wraps as 32 bits do. */
struct value effective_address(struct emit *emit, const struct ptx_operand *address)
{
	const struct ptx_operand *base = address->elements;
	bool is_narrow =
	    base->kind == PTX_OPERAND_REGISTER && ir_bits(emit->registers[base->reg]) == 32;
	enum ir_type type = is_narrow ? IR_I32 : IR_I64;
	struct value value = operand_get(emit, base, type, false);

	if (address->offset)
		value = emit_value(emit, "add %s %s, %s", ir_name(type), value.text,
		    ir_constant(type, (uint64_t)address->offset).text);
	return convert_bits(emit, value, type, IR_I64, false);
}

struct value memory_local_address(struct emit *emit, struct value address)
{
	struct value upper = lane_fact(emit, "i64", offsetof(struct sg_lane, stack_low)), whole,
		     is_short;

	upper = emit_value(emit, "and i64 %s, -4294967296", upper.text);
	whole = emit_value(emit, "or i64 %s, %s", address.text, upper.text);
	is_short = emit_value(emit, "icmp ult i64 %s, 4294967296", address.text);
	return emit_value(
	    emit, "select i1 %s, i64 %s, i64 %s", is_short.text, whole.text, address.text);
}

static bool is_short_local(
    const struct emit *emit, const struct ptx_operand *address, enum ptx_space space)
{
	const struct ptx_operand *base = address->elements;

	return space == PTX_SPACE_LOCAL && base->kind == PTX_OPERAND_REGISTER &&
	       ir_bits(emit->registers[base->reg]) == 32;
}

struct value memory_pointer(struct emit *emit, const struct ptx_operand *address,
    enum ptx_space space, unsigned size, bool is_write)
{
	struct value base;

	if (address->kind != PTX_OPERAND_ADDRESS)
		emit_fail(emit, "%s needs an address", ptx_opcode_info(emit->in->opcode)->name);
	if (is_own_variable(address, size))
		return own_pointer(emit, address);
	if (address->elements->kind == PTX_OPERAND_VARIABLE &&
	    address->elements->variable->space == PTX_SPACE_PARAM &&
	    !is_own_variable(address, size))
		emit_fail(
		    emit, "access outside the parameter \"%s\"", address->elements->variable->name);
	base = effective_address(emit, address);
	if (address->elements->kind == PTX_OPERAND_VARIABLE && space == PTX_SPACE_GENERIC)
		space = address->elements->variable->space;
	if (is_short_local(emit, address, space))
		base = memory_local_address(emit, base);
	if (space == PTX_SPACE_CLUSTER)
		return emit_value(emit,
		    "call ptr @sg_cluster_pointer(ptr %%lane, i64 %s, i32 %u, i1 %d)", base.text,
		    size, is_write);
	if (space == PTX_SPACE_SHARED)
		return shared_pointer(emit, base, size, is_write);
	return memory_arena_pointer(emit, base, size, is_write);
}

unsigned memory_vector_size(const struct emit *emit)
{
	return has(emit, PTX_MODIFIER_v8)   ? 8
	       : has(emit, PTX_MODIFIER_v4) ? 4
	       : has(emit, PTX_MODIFIER_v2) ? 2
					    : 1;
}

const char *memory_ordering(const struct emit *emit)
{
	if (has(emit, PTX_MODIFIER_acquire))
		return "acquire";
	if (has(emit, PTX_MODIFIER_release))
		return "release";
	if (has(emit, PTX_MODIFIER_relaxed) || has(emit, PTX_MODIFIER_volatile) ||
	    has(emit, PTX_MODIFIER_mmio))
		return "monotonic";
	return NULL;
}

struct value memory_load(struct emit *emit, struct value pointer, enum ir_type type, unsigned align,
    const char *annotation)
{
	const char *order = ir_bits(type) <= 64 ? memory_ordering(emit) : NULL;

	if (order)
		return emit_value(emit, "load atomic volatile %s, ptr %s %s, align %u",
		    ir_name(type), pointer.text, order, align);
	return emit_value(
	    emit, "load %s, ptr %s, align %u%s", ir_name(type), pointer.text, align, annotation);
}

static void store_value(
    struct emit *emit, struct value pointer, struct value value, enum ir_type type, unsigned align)
{
	const char *order = ir_bits(type) <= 64 ? memory_ordering(emit) : NULL;

	if (order)
		emit_line(emit, "store atomic volatile %s %s, ptr %s %s, align %u", ir_name(type),
		    value.text, pointer.text, order, align);
	else
		emit_line(emit, "store %s %s, ptr %s, align %u", ir_name(type), value.text,
		    pointer.text, align);
}

const struct ptx_operand *memory_element(
    struct emit *emit, const struct ptx_operand *operand, unsigned count, unsigned i)
{
	if (operand->kind != PTX_OPERAND_VECTOR && count == 1)
		return operand;
	if (operand->kind != PTX_OPERAND_VECTOR || operand->n_elements != count)
		emit_fail(emit, "%s needs a vector of %u", ptx_opcode_info(emit->in->opcode)->name,
		    count);
	return &operand->elements[i];
}

bool memory_is_one(struct emit *emit, const struct ptx_operand *address)
{
	enum ir_type type = ir_of(type_at(emit, 0));
	unsigned count = memory_vector_size(emit), bits = ir_bits(type) * count;

	return memory_ordering(emit) && bits <= 128 && (count > 1 || type == IR_I128) &&
	       !is_own_variable(address, bits / 8);
}

static struct value element_pointer(
    struct emit *emit, struct value base, enum ir_type type, unsigned i)
{
	return i ? emit_value(
		       emit, "getelementptr i8, ptr %s, i64 %u", base.text, i * ir_bits(type) / 8)
		 : base;
}

/* Parameters keep the caller's alignment, which may be less. */
static unsigned element_align(struct emit *emit, enum ir_type type)
{
	return space_of(emit) == PTX_SPACE_PARAM ? 1 : ir_bits(type) / 8;
}

static bool is_constant(const struct emit *emit, const struct ptx_operand *address)
{
	return emit->function->is_entry && has(emit, PTX_MODIFIER_param) &&
	       address->elements->kind == PTX_OPERAND_VARIABLE &&
	       address->elements->variable->is_kernel_param;
}

void memory_load_elements(struct emit *emit, struct value base, struct value *values)
{
	enum ir_type type = ir_of(type_at(emit, 0));
	const struct ptx_operand *address = &emit->in->operands[1];
	unsigned count = memory_vector_size(emit), size = ir_bits(type) / 8 * count;
	const char *whole = ir_name(ir_of_bits(size * 8));
	struct value vector;

	if (!memory_is_one(emit, address)) {
		for (unsigned i = 0; i < count; i++)
			values[i] = memory_load(emit, element_pointer(emit, base, type, i), type,
			    element_align(emit, type),
			    is_constant(emit, address) ? ", !invariant.load !0" : "");
		return;
	}
	vector = emit_value(emit, "load atomic volatile %s, ptr %s %s, align %u", whole, base.text,
	    memory_ordering(emit), size);
	vector = emit_value(
	    emit, "bitcast %s %s to <%u x %s>", whole, vector.text, count, ir_name(type));
	for (unsigned i = 0; i < count; i++)
		values[i] = emit_value(emit, "extractelement <%u x %s> %s, i64 %u", count,
		    ir_name(type), vector.text, i);
}

void memory_store_elements(struct emit *emit, struct value base, const struct value *values)
{
	enum ir_type type = ir_of(type_at(emit, 0));
	unsigned count = memory_vector_size(emit), size = ir_bits(type) / 8 * count;
	const char *whole = ir_name(ir_of_bits(size * 8));
	struct value vector = {"poison"};
	bool has_all = true;

	for (unsigned i = 0; i < count; i++)
		has_all = has_all && *values[i].text;
	if (!has_all || !memory_is_one(emit, emit->in->operands)) {
		for (unsigned i = 0; i < count; i++)
			if (*values[i].text)
				store_value(emit, element_pointer(emit, base, type, i), values[i],
				    type, element_align(emit, type));
		return;
	}
	for (unsigned i = 0; i < count; i++)
		vector = emit_value(emit, "insertelement <%u x %s> %s, %s %s, i64 %u", count,
		    ir_name(type), vector.text, ir_name(type), values[i].text, i);
	vector = emit_value(
	    emit, "bitcast <%u x %s> %s to %s", count, ir_name(type), vector.text, whole);
	emit_line(emit, "store atomic volatile %s %s, ptr %s %s, align %u", whole, vector.text,
	    base.text, memory_ordering(emit), size);
}

void emit_ld(struct emit *emit)
{
	const struct ptx_operand *operands = emit->in->operands;
	enum ptx_type type = type_at(emit, 0);
	unsigned count = memory_vector_size(emit);
	struct value values[8];

	memory_load_elements(emit,
	    memory_pointer(
		emit, &operands[1], space_of(emit), ptx_type_bits(type) / 8 * count, false),
	    values);
	for (unsigned i = 0; i < count; i++)
		operand_set(emit, memory_element(emit, operands, count, i), values[i], ir_of(type),
		    ptx_type_is_signed(type));
}

static void store(struct emit *emit)
{
	const struct ptx_operand *operands = emit->in->operands;
	enum ptx_type type = type_at(emit, 0);
	unsigned count = memory_vector_size(emit);
	struct value base =
	    memory_pointer(emit, operands, space_of(emit), ptx_type_bits(type) / 8 * count, true);
	struct value values[8] = {0};

	for (unsigned i = 0; i < count; i++) {
		const struct ptx_operand *operand = memory_element(emit, &operands[1], count, i);

		if (operand->kind != PTX_OPERAND_SINK)
			values[i] = operand_get(emit, operand, ir_of(type), false);
	}
	memory_store_elements(emit, base, values);
}

void emit_st(struct emit *emit)
{
	if (has(emit, PTX_MODIFIER_bulk))
		emit_bulk_store(emit);
	else if (has(emit, PTX_MODIFIER_async))
		emit_remote(emit, store);
	else
		store(emit);
}

/* The order of a read-modify-write: relaxed unless said otherwise. */
static const char *rmw_order(const struct emit *emit)
{
	if (has(emit, PTX_MODIFIER_acq_rel))
		return "acq_rel";
	if (has(emit, PTX_MODIFIER_acquire))
		return "acquire";
	return has(emit, PTX_MODIFIER_release) ? "release" : "monotonic";
}

static const char *rmw_operation(struct emit *emit, enum ptx_type type)
{
	bool is_signed = ptx_type_is_signed(type);

	if (has(emit, PTX_MODIFIER_add))
		return ptx_type_is_float(type) ? "fadd" : "add";
	if (has(emit, PTX_MODIFIER_min))
		return is_signed ? "min" : "umin";
	if (has(emit, PTX_MODIFIER_max))
		return is_signed ? "max" : "umax";
	if (has(emit, PTX_MODIFIER_inc))
		return "uinc_wrap";
	if (has(emit, PTX_MODIFIER_dec))
		return "udec_wrap";
	if (has(emit, PTX_MODIFIER_and))
		return "and";
	if (has(emit, PTX_MODIFIER_or))
		return "or";
	if (has(emit, PTX_MODIFIER_xor))
		return "xor";
	if (has(emit, PTX_MODIFIER_exch))
		return "xchg";
	emit_unsupported(emit);
}

/* A cluster's threads all run on one host thread: shared memory needs no locked instructions. */
static bool is_private(struct emit *emit)
{
	return space_of(emit) == PTX_SPACE_SHARED || space_of(emit) == PTX_SPACE_CLUSTER;
}

static struct value compare_and_swap(struct emit *emit, struct value pointer, enum ir_type ir,
    struct value expected, struct value desired)
{
	if (is_private(emit) && ir_bits(ir) <= 64) {
		struct value old = emit_value(emit, "load %s, ptr %s", ir_name(ir), pointer.text);
		struct value same =
		    emit_value(emit, "icmp eq %s %s, %s", ir_name(ir), old.text, expected.text);

		same = emit_value(emit, "select i1 %s, %s %s, %s %s", same.text, ir_name(ir),
		    desired.text, ir_name(ir), old.text);
		emit_line(emit, "store %s %s, ptr %s", ir_name(ir), same.text, pointer.text);
		return old;
	}
	const char *order = rmw_order(emit);
	bool is_release = has(emit, PTX_MODIFIER_release);
	struct value pair = emit_value(emit, "cmpxchg ptr %s, %s %s, %s %s %s %s", pointer.text,
	    ir_name(ir), expected.text, ir_name(ir), desired.text, order,
	    is_release			      ? "monotonic"
	    : has(emit, PTX_MODIFIER_acq_rel) ? "acquire"
					      : order);

	return emit_value(emit, "extractvalue {%s, i1} %s, 0", ir_name(ir), pair.text);
}

/* Sums and extremes of f16, bf16 and their pairs: a loop of the machine's. */
static struct value half_rmw(
    struct emit *emit, enum ptx_type type, struct value pointer, struct value value)
{
	const char *operation = has(emit, PTX_MODIFIER_add)   ? "add"
				: has(emit, PTX_MODIFIER_min) ? "min"
							      : "max";
	const char *ir = ir_name(ir_of(type));

	return emit_value(emit, "call %s @sg_atomic_%s_%s(ptr %s, %s %s)", ir, operation,
	    ptx_type_name(type), pointer.text, ir, value.text);
}

/* NULL: not an operation of two values that LLVM has an instruction for. */
static const char *plain_operation(struct emit *emit, enum ptx_type type)
{
	if (has(emit, PTX_MODIFIER_add))
		return ptx_type_is_float(type) ? "fadd" : "add";
	return has(emit, PTX_MODIFIER_and)   ? "and"
	       : has(emit, PTX_MODIFIER_or)  ? "or"
	       : has(emit, PTX_MODIFIER_xor) ? "xor"
					     : NULL;
}

struct value memory_update(
    struct emit *emit, enum ptx_type type, struct value pointer, struct value value)
{
	const char *ir = ir_name(ir_of(type)), *plain = plain_operation(emit, type);
	struct value old, changed;

	if (!is_private(emit) || !plain)
		return emit_value(emit, "atomicrmw %s ptr %s, %s %s %s", rmw_operation(emit, type),
		    pointer.text, ir, value.text, rmw_order(emit));
	old = emit_value(emit, "load %s, ptr %s", ir, pointer.text);
	changed = emit_value(emit, "%s %s %s, %s", plain, ir, old.text, value.text);
	emit_line(emit, "store %s %s, ptr %s", ir, changed.text, pointer.text);
	return old;
}

static struct value read_modify_write(
    struct emit *emit, enum ptx_type type, struct value pointer, const struct ptx_operand *operands)
{
	enum ir_type ir = ir_of(type);
	struct value value = operand_get(emit, &operands[0], ir, false);

	if (has(emit, PTX_MODIFIER_cas))
		return compare_and_swap(
		    emit, pointer, ir, value, operand_get(emit, &operands[1], ir, false));
	if (is_half(type) || is_half(pair_element(type)))
		return half_rmw(emit, type, pointer, value);
	return memory_update(emit, type, pointer, value);
}

/* Vector forms are one operation per element. */
static void emit_rmw(struct emit *emit, const struct ptx_operand *result,
    const struct ptx_operand *address, const struct ptx_operand *operands)
{
	enum ptx_type type = type_at(emit, 0);
	unsigned count = memory_vector_size(emit), size = ptx_type_bits(type) / 8;
	struct value base = memory_pointer(emit, address, space_of(emit), size * count, true);

	if (count == 1) {
		struct value old = read_modify_write(emit, type, base, operands);

		if (result)
			operand_set(emit, result, old, ir_of(type), false);
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		struct value at =
		    emit_value(emit, "getelementptr i8, ptr %s, i64 %u", base.text, i * size);
		struct value old =
		    read_modify_write(emit, type, at, memory_element(emit, operands, count, i));

		if (result)
			operand_set(
			    emit, memory_element(emit, result, count, i), old, ir_of(type), false);
	}
}

void emit_atom(struct emit *emit)
{
	const struct ptx_operand *operands = emit->in->operands;

	if (has(emit, PTX_MODIFIER_cas) && emit->in->n_operands < 4)
		emit_fail(emit, "atom.cas takes two values");
	emit_rmw(emit, &operands[0], &operands[1], &operands[2]);
}

static void reduce(struct emit *emit)
{
	const struct ptx_operand *operands = emit->in->operands;

	emit_rmw(emit, NULL, &operands[0], &operands[1]);
}

void emit_red(struct emit *emit)
{
	if (has(emit, PTX_MODIFIER_async))
		emit_remote(emit, reduce);
	else
		reduce(emit);
}

/*
 * A multicast address stands for one place on each device of a team. A team of this device alone
 * has one, so that reducing over it is loading; others there are none of. Relaxed unless said
 * otherwise.
 */
void emit_multimem(struct emit *emit)
{
	const struct ptx_instruction *in = emit->in;
	struct ptx_instruction strong = *in;

	if (!has(emit, PTX_MODIFIER_weak) && !has(emit, PTX_MODIFIER_acquire) &&
	    !has(emit, PTX_MODIFIER_release))
		ptx_set(&strong, PTX_MODIFIER_relaxed);
	emit->in = &strong;
	if (has(emit, PTX_MODIFIER_ld_reduce))
		emit_ld(emit);
	else if (has(emit, PTX_MODIFIER_st))
		store(emit);
	else if (has(emit, PTX_MODIFIER_red))
		reduce(emit);
	else
		emit_unsupported(emit);
	emit->in = in;
}

/*
 * membar.* and fence.sc order everything; the proxy fences have nothing to order here.
 *
 * Code that counts on a warp's lanes running together has all lanes store, then a fence, then one
 * lane say that the data is there. So lanes with a stack of their own let the others come this far.
 */
void emit_fence(struct emit *emit)
{
	bool is_weaker = has(emit, PTX_MODIFIER_acq_rel) || has(emit, PTX_MODIFIER_acquire) ||
			 has(emit, PTX_MODIFIER_release);

	if (emit->program->needs_fibers)
		emit_line(emit, "call void @sg_let_pass(ptr %%lane)");
	emit_line(emit, is_weaker ? "fence acq_rel" : "fence seq_cst");
}

void emit_nothing(struct emit *emit)
{
}

/* A cache policy is a hint: any value will do. */
void emit_createpolicy(struct emit *emit)
{
	destination(emit, 0, ir_constant(IR_I64, 0), PTX_TYPE_b64);
}

void emit_alloca(struct emit *emit)
{
	const struct ptx_instruction *in = emit->in;
	struct value size = source(emit, 1, PTX_TYPE_u64), memory;
	unsigned align = in->n_operands > 2 ? (unsigned)in->operands[2].value : 8;

	if (!is_power_of_two(align) || align > 4096)
		emit_fail(emit, "the alignment of alloca must be a power of two");
	memory = emit_value(emit, "alloca i8, i64 %s, align %u", size.text, align);
	memory = emit_value(emit, "ptrtoint ptr %s to i64", memory.text);
	operand_set(emit, in->operands, memory, IR_I64, false);
}

void emit_stacksave(struct emit *emit)
{
	struct value stack = emit_value(emit, "call ptr @llvm.stacksave.p0()");

	stack = emit_value(emit, "ptrtoint ptr %s to i64", stack.text);
	operand_set(emit, emit->in->operands, stack, IR_I64, false);
}

/* stackrestore of anything but a saved stack would be the host's stack pointer: only local
 * values. */
void emit_stackrestore(struct emit *emit)
{
	struct value stack = operand_get(emit, emit->in->operands, IR_I64, false);

	stack = emit_value(emit, "call ptr @sg_check_stack(ptr %%lane, i64 %s)", stack.text);
	emit_line(emit, "call void @llvm.stackrestore.p0(ptr %s)", stack.text);
}
