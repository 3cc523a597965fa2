/*
 * What checked code has beside the instructions; see check.h. It is added here and not in the
 * emitters of the accesses: those know how an access is done best, this only where it goes.
 */
#include "softgpu/jit/check.h"

#include "softgpu/exec/lane.h"

/* clang-format off */
const char check_prelude[] =
    "declare void @sg_check_access(ptr, i64, i32, i32, i32, ptr) nounwind\n"
    "declare void @sg_check_accesses(ptr, ptr, i32, i32, i32, i32, ptr) nounwind\n"
    "declare void @sg_check_order(ptr) nounwind\n"
    "declare void @sg_check_warp_order(ptr) nounwind\n"
    "declare void @sg_check_poison(ptr, i64) nounwind\n"
    "declare void @sg_check_rows(ptr, i32, i32) nounwind\n"
    "declare void @sg_check_uniform(ptr, i32, i32, i32, ptr, ptr) noreturn nounwind cold\n";
/* clang-format on */

static bool is_async_copy(struct emit *emit)
{
	return emit->in->opcode == PTX_OP_cp && has(emit, PTX_MODIFIER_async) &&
	       !has(emit, PTX_MODIFIER_bulk) && !has(emit, PTX_MODIFIER_mbarrier) &&
	       !has(emit, PTX_MODIFIER_commit_group) && !has(emit, PTX_MODIFIER_wait_group) &&
	       !has(emit, PTX_MODIFIER_wait_all) && emit->in->n_operands >= 3 &&
	       emit->in->operands[2].kind == PTX_OPERAND_INTEGER;
}

/* False: not in memory that threads share, or not by an address that can be told. */
static bool resolve_space(struct check_access *access)
{
	const struct ptx_operand *base;

	if (access->address->kind != PTX_OPERAND_ADDRESS)
		return false;
	base = access->address->elements;
	if (base->kind == PTX_OPERAND_VARIABLE) {
		const struct ptx_variable *v = base->variable->definition ?: base->variable;

		access->space = access->space == PTX_SPACE_GENERIC ? v->space : access->space;
	}
	if (access->space == PTX_SPACE_SHARED)
		access->flags |= SG_CHECK_SHARED;
	return access->space == PTX_SPACE_SHARED || access->space == PTX_SPACE_GLOBAL ||
	       access->space == PTX_SPACE_GENERIC;
}

static unsigned async_copy(struct emit *emit, struct check_access accesses[CHECK_MOST_ACCESSES])
{
	unsigned size = (unsigned)emit->in->operands[2].value;

	accesses[0] = (struct check_access){.address = &emit->in->operands[0],
	    .space = PTX_SPACE_SHARED,
	    .size = size,
	    .flags = SG_CHECK_WRITE};
	accesses[1] = (struct check_access){
	    .address = &emit->in->operands[1], .space = PTX_SPACE_GLOBAL, .size = size};
	return resolve_space(&accesses[0]) && resolve_space(&accesses[1]) ? 2 : 0;
}

/* Rows of 16 bytes, eight a matrix, each by the address that one thread of the warp brings. */
static unsigned matrix_rows(struct emit *emit, struct check_access *access)
{
	bool is_store = emit->in->opcode == PTX_OP_stmatrix;
	unsigned n = has(emit, PTX_MODIFIER_x4) ? 4 : has(emit, PTX_MODIFIER_x2) ? 2 : 1;

	if (!has(emit, PTX_MODIFIER_m8n8))
		return 0;
	*access = (struct check_access){
	    .address = &emit->in->operands[is_store ? 0 : 1],
	    .space = space_of(emit),
	    .size = 16,
	    .flags = (is_store ? SG_CHECK_WRITE : 0) | 8 * n << SG_CHECK_FIRST,
	};
	return resolve_space(access);
}

unsigned check_accesses(struct emit *emit, struct check_access accesses[CHECK_MOST_ACCESSES])
{
	const struct ptx_operand *operands = emit->in->operands;
	enum ptx_opcode opcode = emit->in->opcode;
	struct check_access *access = &accesses[0];
	bool is_rmw = opcode == PTX_OP_atom || opcode == PTX_OP_red;

	if (is_async_copy(emit))
		return async_copy(emit, accesses);
	if (opcode == PTX_OP_ldmatrix || opcode == PTX_OP_stmatrix)
		return matrix_rows(emit, access);
	if ((opcode != PTX_OP_ld && opcode != PTX_OP_ldu && opcode != PTX_OP_st && !is_rmw) ||
	    has(emit, PTX_MODIFIER_async) || has(emit, PTX_MODIFIER_bulk))
		return 0;
	*access = (struct check_access){
	    .address = &operands[opcode == PTX_OP_st || opcode == PTX_OP_red ? 0 : 1],
	    .space = space_of(emit),
	    .type = type_at(emit, 0),
	    .count = memory_vector_size(emit),
	};
	access->size = ptx_type_bits(access->type) / 8 * access->count;
	if (opcode == PTX_OP_st && !ptx_has_sink(&operands[1]))
		access->data = &operands[1];
	if (opcode == PTX_OP_st || is_rmw)
		access->flags |= SG_CHECK_WRITE;
	if (is_rmw || memory_ordering(emit))
		access->flags |= SG_CHECK_STRONG;
	return resolve_space(access);
}

bool check_is_order(const struct emit *emit)
{
	enum ptx_opcode opcode = emit->in->opcode;

	return opcode == PTX_OP_membar || opcode == PTX_OP_fence || opcode == PTX_OP_mbarrier ||
	       has(emit, PTX_MODIFIER_acquire) || has(emit, PTX_MODIFIER_release) ||
	       has(emit, PTX_MODIFIER_acq_rel);
}

/* The address in memory of what is to be written. */
static struct value data_in_memory(struct emit *emit, const struct check_access *access)
{
	enum ir_type ir = ir_of(access->type);
	unsigned size = ptx_type_bits(access->type) / 8, slot = emit->n_temps++;

	if (!access->data)
		return (struct value){"null"};
	text_format(&emit->prologue, "  %%c%u = alloca [%u x i8], align 16\n", slot, access->size);
	for (unsigned i = 0; i < access->count; i++) {
		struct value at =
		    emit_value(emit, "getelementptr i8, ptr %%c%u, i64 %u", slot, i * size);
		const struct ptx_operand *element =
		    memory_element(emit, access->data, access->count, i);

		emit_line(emit, "store %s %s, ptr %s, align %u", ir_name(ir),
		    operand_get(emit, element, ir, false).text, at.text, size);
	}
	return emit_value(emit, "getelementptr i8, ptr %%c%u, i64 0", slot);
}

void check_before(struct emit *emit)
{
	struct check_access accesses[CHECK_MOST_ACCESSES];
	unsigned n;

	if (check_is_order(emit))
		emit_line(emit, "call void @sg_check_order(ptr %%lane)");
	n = check_accesses(emit, accesses);
	for (unsigned i = 0; i < n; i++) {
		struct value data = data_in_memory(emit, &accesses[i]);

		emit_line(emit,
		    "call void @sg_check_access(ptr %%lane, i64 %s, i32 %u, i32 %u, i32 %u, ptr "
		    "%s)",
		    effective_address(emit, accesses[i].address).text, accesses[i].size,
		    accesses[i].flags, emit->in->line, data.text);
	}
}

void check_local(struct emit *emit, const struct ptx_variable *variable, uint64_t size)
{
	if (variable->space == PTX_SPACE_LOCAL)
		text_format(&emit->prologue, "  call void @sg_check_poison(ptr %%v%u, i64 %llu)\n",
		    variable->id, (unsigned long long)size);
}
