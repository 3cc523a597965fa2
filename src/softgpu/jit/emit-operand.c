/* Operands: registers, constants, special registers and addresses as LLVM values, and back. */
#include <stdio.h>
#include <string.h>

#include "softgpu/exec/lane.h"
#include "softgpu/jit/emit.h"

static bool is_ir_float(enum ir_type type)
{
	return type == IR_FLOAT || type == IR_DOUBLE;
}

static enum ir_type integer_like(enum ir_type type)
{
	return type == IR_FLOAT ? IR_I32 : type == IR_DOUBLE ? IR_I64 : type;
}

/* Same bits when the sizes agree; else cut, or extended as an integer. */
struct value convert_bits(
    struct emit *emit, struct value value, enum ir_type from, enum ir_type to, bool is_signed)
{
	enum ir_type source_type = integer_like(from), target = integer_like(to);

	if (from == to)
		return value;
	if (source_type != from)
		value = emit_value(
		    emit, "bitcast %s %s to %s", ir_name(from), value.text, ir_name(source_type));
	if (ir_bits(source_type) > ir_bits(target))
		value = emit_value(
		    emit, "trunc %s %s to %s", ir_name(source_type), value.text, ir_name(target));
	else if (ir_bits(source_type) < ir_bits(target))
		value = emit_value(emit, "%s %s %s to %s", is_signed ? "sext" : "zext",
		    ir_name(source_type), value.text, ir_name(target));
	if (target != to)
		value = emit_value(
		    emit, "bitcast %s %s to %s", ir_name(target), value.text, ir_name(to));
	return value;
}

static struct value register_get(
    struct emit *emit, const struct ptx_operand *operand, enum ir_type want, bool is_signed)
{
	enum ir_type type = emit->registers[operand->reg];
	struct value value = emit_value(emit, "load %s, ptr %%r%u", ir_name(type), operand->reg);

	if (operand->negated) {
		if (type != IR_I1)
			emit_fail(emit, "\"!\" needs a predicate register");
		value = emit_value(emit, "xor i1 %s, true", value.text);
	}
	if ((type == IR_I1) != (want == IR_I1))
		emit_fail(emit, "a predicate cannot be mixed with other registers");
	value = nan_of_source(emit, operand->reg, value, want);
	return convert_bits(emit, value, type, want, is_signed);
}

static struct value float_constant(enum ir_type want, uint64_t bits, bool is_double)
{
	double d;
	float f;
	uint32_t single = (uint32_t)bits;

	if (want == IR_FLOAT && is_double) {
		memcpy(&d, &bits, sizeof(d));
		f = (float)d;
		memcpy(&single, &f, sizeof(single));
		bits = single;
	}
	if (want == IR_DOUBLE && !is_double) {
		memcpy(&f, &single, sizeof(f));
		d = f;
		memcpy(&bits, &d, sizeof(bits));
	}
	return ir_constant(want, bits);
}

struct value lane_field(struct emit *emit, enum ir_type type, size_t offset)
{
	struct value at = emit_value(emit, "getelementptr i8, ptr %%lane, i64 %zu", offset);

	return emit_value(emit, "load %s, ptr %s", ir_name(type), at.text);
}

struct value lane_fact(struct emit *emit, const char *type, size_t offset)
{
	struct value at = emit_value(emit, "getelementptr i8, ptr %%lane, i64 %zu", offset);

	return emit_value(emit, "load %s, ptr %s, !invariant.load !0", type, at.text);
}

/* Facts of the thread that never change: loaded once, where they dominate all uses. */
static struct value constant_field(
    struct emit *emit, enum ptx_special special, enum ir_type type, size_t offset)
{
	struct value value;

	snprintf(value.text, sizeof(value.text), "%%s%d", special);
	if (emit->specials[special / 64] >> (special % 64) & 1)
		return value;
	emit->specials[special / 64] |= UINT64_C(1) << (special % 64);
	text_format(&emit->prologue,
	    "  %%s%d.at = getelementptr i8, ptr %%lane, i64 %zu\n"
	    "  %s = load %s, ptr %%s%d.at, !invariant.load !0\n",
	    special, offset, value.text, ir_name(type), special);
	return value;
}

#define FIELD(name, ir, field)                                                                     \
	case PTX_SPECIAL_##name:                                                                   \
		return constant_field(emit, PTX_SPECIAL_##name, ir, offsetof(struct sg_lane, field))

static struct value lane_mask(struct emit *emit, enum ptx_special special)
{
	struct value lane =
	    constant_field(emit, PTX_SPECIAL_laneid, IR_I32, offsetof(struct sg_lane, lane_id));
	struct value eq = emit_value(emit, "shl i32 1, %s", lane.text);
	struct value lt = emit_value(emit, "sub i32 %s, 1", eq.text);
	struct value le;

	if (special == PTX_SPECIAL_lanemask_eq)
		return eq;
	if (special == PTX_SPECIAL_lanemask_lt)
		return lt;
	if (special == PTX_SPECIAL_lanemask_ge)
		return emit_value(emit, "xor i32 %s, -1", lt.text);
	le = emit_value(emit, "or i32 %s, %s", lt.text, eq.text);
	if (special == PTX_SPECIAL_lanemask_le)
		return le;
	return emit_value(emit, "xor i32 %s, -1", le.text);
}

static struct value clock_value(struct emit *emit, enum ptx_special special)
{
	bool is_clock = special == PTX_SPECIAL_clock || special == PTX_SPECIAL_clock_hi ||
			special == PTX_SPECIAL_clock64;
	struct value now = emit_value(
	    emit, is_clock ? "call i64 @llvm.readcyclecounter()" : "call i64 @sg_globaltimer()");

	if (special == PTX_SPECIAL_clock64 || special == PTX_SPECIAL_globaltimer)
		return now;
	if (special == PTX_SPECIAL_clock_hi || special == PTX_SPECIAL_globaltimer_hi)
		now = emit_value(emit, "lshr i64 %s, 32", now.text);
	return emit_value(emit, "trunc i64 %s to i32", now.text);
}

static struct value envreg_value(struct emit *emit, uint64_t number)
{
	struct value at = emit_value(
	    emit, "getelementptr i8, ptr %%lane, i64 %zu", offsetof(struct sg_lane, envreg));

	at = emit_value(emit, "load ptr, ptr %s", at.text);
	at = emit_value(
	    emit, "getelementptr i32, ptr %s, i64 %llu", at.text, (unsigned long long)number);
	return emit_value(emit, "load i32, ptr %s", at.text);
}

static struct value reserved_shared(struct emit *emit, unsigned offset)
{
	struct value base = lane_field(emit, IR_I32, offsetof(struct sg_lane, reserved_shared));

	return emit_value(emit, "add i32 %s, %u", base.text, offset);
}

/* Shared memory the system keeps to itself, what does not exist here, and clusters. */
static struct value system_value(struct emit *emit, enum ptx_special special)
{
	switch (special) {
	case PTX_SPECIAL_reserved_smem_offset_begin:
	case PTX_SPECIAL_reserved_smem_offset_0:
		return reserved_shared(emit, 0);
	case PTX_SPECIAL_reserved_smem_offset_1:
		return reserved_shared(emit, SG_RESERVED_SECOND);
	case PTX_SPECIAL_reserved_smem_offset_end:
		return reserved_shared(emit, SG_RESERVED_SHARED);
	case PTX_SPECIAL_pm0 ... PTX_SPECIAL_current_graph_exec:
		return ir_constant(ir_of(ptx_special_type(special)), 0); /* nothing is counted */
	case PTX_SPECIAL_reserved_smem_offset_cap:
		return ir_constant(IR_I32, SG_RESERVED_SHARED);
	default:
		return cluster_value(emit, special);
	}
}

static struct value special_value(struct emit *emit, const struct ptx_operand *operand)
{
	switch (operand->special) {
		FIELD(tid_x, IR_I32, tid[0]);
		FIELD(tid_y, IR_I32, tid[1]);
		FIELD(tid_z, IR_I32, tid[2]);
		FIELD(ntid_x, IR_I32, ntid[0]);
		FIELD(ntid_y, IR_I32, ntid[1]);
		FIELD(ntid_z, IR_I32, ntid[2]);
		FIELD(ctaid_x, IR_I32, ctaid[0]);
		FIELD(ctaid_y, IR_I32, ctaid[1]);
		FIELD(ctaid_z, IR_I32, ctaid[2]);
		FIELD(nctaid_x, IR_I32, nctaid[0]);
		FIELD(nctaid_y, IR_I32, nctaid[1]);
		FIELD(nctaid_z, IR_I32, nctaid[2]);
		FIELD(laneid, IR_I32, lane_id);
		FIELD(warpid, IR_I32, warp_id);
		FIELD(nwarpid, IR_I32, n_warps);
		FIELD(smid, IR_I32, sm_id);
		FIELD(gridid, IR_I64, grid_id);
		FIELD(dynamic_smem_size, IR_I32, dynamic_shared_size);
		FIELD(total_smem_size, IR_I32, shared_size);
		FIELD(aggr_smem_size, IR_I32, shared_size);
	case PTX_SPECIAL_lanemask_eq:
	case PTX_SPECIAL_lanemask_le:
	case PTX_SPECIAL_lanemask_lt:
	case PTX_SPECIAL_lanemask_ge:
	case PTX_SPECIAL_lanemask_gt:
		return lane_mask(emit, operand->special);
	case PTX_SPECIAL_clock:
	case PTX_SPECIAL_clock_hi:
	case PTX_SPECIAL_clock64:
	case PTX_SPECIAL_globaltimer:
	case PTX_SPECIAL_globaltimer_lo:
	case PTX_SPECIAL_globaltimer_hi:
		return clock_value(emit, operand->special);
	case PTX_SPECIAL_envreg:
		return envreg_value(emit, operand->value);
	case PTX_SPECIAL_nsmid:
		return lane_field(emit, IR_I32, offsetof(struct sg_lane, n_sms));
	default:
		return system_value(emit, operand->special);
	}
}

/* The address of a variable in its own space: an i64. */
static struct value variable_address(struct emit *emit, const struct ptx_variable *variable)
{
	const struct ptx_variable *v = variable->definition;

	switch (v->space) {
	case PTX_SPACE_GLOBAL:
	case PTX_SPACE_CONST:
		return ir_constant(IR_I64, v->address);
	case PTX_SPACE_SHARED:
		return ir_constant(IR_I64, v->offset);
	case PTX_SPACE_PARAM:
		if (emit->function->is_entry && v->is_kernel_param) {
			struct value base = constant_field(
			    emit, PTX_SPECIAL_COUNT, IR_I64, offsetof(struct sg_lane, params));

			return emit_value(emit, "add i64 %s, %u", base.text, v->offset);
		}
		return emit_value(emit, "ptrtoint ptr %%v%u to i64", v->id);
	default:
		return emit_value(emit, "ptrtoint ptr %%v%u to i64", v->id);
	}
}

struct value operand_get(
    struct emit *emit, const struct ptx_operand *operand, enum ir_type want, bool is_signed)
{
	struct value value;

	switch (operand->kind) {
	case PTX_OPERAND_REGISTER:
		return register_get(emit, operand, want, is_signed);
	case PTX_OPERAND_INTEGER:
		if (is_ir_float(want)) {
			double d = (double)(int64_t)operand->value;
			uint64_t bits;

			memcpy(&bits, &d, sizeof(bits));
			return float_constant(want, bits, true);
		}
		return ir_constant(want, operand->value);
	case PTX_OPERAND_F32:
	case PTX_OPERAND_F64:
		if (want == IR_I1 || want == IR_I8)
			break;
		if (want == IR_I16)
			emit_fail(emit, "16-bit floating constants are written as integers");
		if (want == IR_I32)
			return ir_constant(want, operand->value);
		return float_constant(want, operand->value, operand->kind == PTX_OPERAND_F64);
	case PTX_OPERAND_SPECIAL:
		value = special_value(emit, operand);
		return convert_bits(
		    emit, value, ir_of(ptx_special_type(operand->special)), want, false);
	case PTX_OPERAND_VARIABLE:
		value = variable_address(emit, operand->variable);
		if (operand->offset)
			value = emit_value(
			    emit, "add i64 %s, %lld", value.text, (long long)operand->offset);
		return convert_bits(emit, value, IR_I64, want, false);
	case PTX_OPERAND_FUNCTION:
		return convert_bits(emit,
		    ir_constant(IR_I64, operand->function->definition->handle), IR_I64, want,
		    false);
	default:
		break;
	}
	emit_fail(
	    emit, "an operand of %s is of the wrong kind", ptx_opcode_info(emit->in->opcode)->name);
}

void operand_set(struct emit *emit, const struct ptx_operand *operand, struct value value,
    enum ir_type from, bool is_signed)
{
	enum ir_type type;

	if (operand->kind == PTX_OPERAND_SINK)
		return;
	if (operand->kind != PTX_OPERAND_REGISTER || operand->negated)
		emit_fail(emit, "the result of %s must go to a register",
		    ptx_opcode_info(emit->in->opcode)->name);
	type = emit->registers[operand->reg];
	if ((type == IR_I1) != (from == IR_I1))
		emit_fail(emit, "a predicate cannot be mixed with other registers");
	value = convert_bits(emit, value, from, type, is_signed);
	emit_line(emit, "store %s %s, ptr %%r%u", ir_name(type), value.text, operand->reg);
}

struct value source(struct emit *emit, unsigned index, enum ptx_type type)
{
	if (index >= emit->in->n_operands)
		emit_fail(emit, "%s has too few operands", ptx_opcode_info(emit->in->opcode)->name);
	return operand_get(emit, &emit->in->operands[index], ir_of(type), ptx_type_is_signed(type));
}

void destination(struct emit *emit, unsigned index, struct value value, enum ptx_type type)
{
	operand_set(emit, &emit->in->operands[index], value, ir_of(type), ptx_type_is_signed(type));
}
