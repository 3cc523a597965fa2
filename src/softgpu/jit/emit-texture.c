/*
 * tex tld4 txq suld sust sured suq (PTX ISA 9.7.10, 9.7.11).
 *
 * Textures are read by the machine: the operands go into a struct sg_sample on the thread's stack.
 * Of a surface the machine is asked for the place of the bytes only, which are then loaded, stored
 * or updated here.
 */
#include <stddef.h>
#include <stdio.h>

#include "softgpu/exec/sample.h"
#include "softgpu/jit/emit.h"

static enum sg_geometry geometry_of(struct emit *emit)
{
	static const struct {
		enum ptx_modifier modifier;
		enum sg_geometry geometry;
	} geometries[] = {
	    {PTX_MODIFIER_1d, SG_GEOMETRY_1D},
	    {PTX_MODIFIER_2d, SG_GEOMETRY_2D},
	    {PTX_MODIFIER_3d, SG_GEOMETRY_3D},
	    {PTX_MODIFIER_a1d, SG_GEOMETRY_1D_ARRAY},
	    {PTX_MODIFIER_a2d, SG_GEOMETRY_2D_ARRAY},
	    {PTX_MODIFIER_cube, SG_GEOMETRY_CUBE},
	    {PTX_MODIFIER_acube, SG_GEOMETRY_CUBE_ARRAY},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(geometries); i++)
		if (has(emit, geometries[i].modifier))
			return geometries[i].geometry;
	emit_unsupported(emit); /* samples of several to a texel */
}

static unsigned n_coordinates(enum sg_geometry geometry)
{
	static const uint8_t counts[] = {1, 2, 3, 1, 2, 3, 3};

	return counts[geometry];
}

static bool is_layered(enum sg_geometry geometry)
{
	return geometry == SG_GEOMETRY_1D_ARRAY || geometry == SG_GEOMETRY_2D_ARRAY ||
	       geometry == SG_GEOMETRY_CUBE_ARRAY;
}

/* Element i of a tuple; of one value, written without braces too. */
static const struct ptx_operand *element(
    struct emit *emit, const struct ptx_operand *tuple, unsigned i)
{
	if (tuple->kind != PTX_OPERAND_VECTOR && i == 0)
		return tuple;
	if (tuple->kind != PTX_OPERAND_VECTOR || i >= tuple->n_elements)
		emit_fail(
		    emit, "%s needs more coordinates", ptx_opcode_info(emit->in->opcode)->name);
	return &tuple->elements[i];
}

/* [object, coordinates] or [texture, sampler, coordinates]. */
struct place {
	const struct ptx_operand *object, *sampler, *at;
};

static struct place place_of(struct emit *emit, unsigned index)
{
	const struct ptx_operand *operand = &emit->in->operands[index];
	const struct ptx_operand *elements = operand->elements;

	if (index >= emit->in->n_operands || operand->kind != PTX_OPERAND_ADDRESS ||
	    operand->offset)
		emit_fail(emit, "%s needs a texture or surface in brackets",
		    ptx_opcode_info(emit->in->opcode)->name);
	switch (operand->n_elements) {
	case 1:
		return (struct place){&elements[0], NULL, NULL};
	case 2:
		return (struct place){&elements[0], NULL, &elements[1]};
	default:
		return (struct place){&elements[0], &elements[1], &elements[2]};
	}
}

static const struct ptx_operand *coordinates(struct emit *emit, const struct place *place)
{
	if (!place->at)
		emit_fail(emit, "%s needs coordinates", ptx_opcode_info(emit->in->opcode)->name);
	return place->at;
}

/* ---- textures ---- */

/* The instruction's struct sg_sample. */
static struct value sample_new(struct emit *emit)
{
	struct value sample;
	uint32_t number = emit->n_temps++;

	text_format(&emit->prologue, "  %%t%u = alloca [%zu x i8], align 8\n", number,
	    sizeof(struct sg_sample));
	snprintf(sample.text, sizeof(sample.text), "%%t%u", number);
	return sample;
}

static void sample_set(struct emit *emit, struct value sample, size_t offset,
    const struct ptx_operand *operand, enum ir_type type)
{
	struct value value = operand_get(emit, operand, type, false);
	struct value at =
	    emit_value(emit, "getelementptr i8, ptr %s, i64 %zu", sample.text, offset);

	emit_line(emit, "store %s %s, ptr %s", ir_name(type), value.text, at.text);
}

static void sample_set_tuple(struct emit *emit, struct value sample, size_t offset,
    const struct ptx_operand *tuple, unsigned first, unsigned count, enum ir_type type)
{
	for (unsigned i = 0; i < count; i++)
		sample_set(emit, sample, offset + i * sizeof(uint32_t),
		    element(emit, tuple, first + i), type);
}

static void sample_set_place(
    struct emit *emit, struct value sample, enum sg_geometry geometry, bool is_integer)
{
	struct place place = place_of(emit, 1);
	const struct ptx_operand *at = coordinates(emit, &place);

	sample_set(emit, sample, offsetof(struct sg_sample, texture), place.object, IR_I64);
	if (place.sampler) {
		sample_set(
		    emit, sample, offsetof(struct sg_sample, sampler), place.sampler, IR_I64);
	} else {
		struct value field = emit_value(emit, "getelementptr i8, ptr %s, i64 %zu",
		    sample.text, offsetof(struct sg_sample, sampler));

		emit_line(emit, "store i64 0, ptr %s", field.text);
	}
	if (is_layered(geometry))
		sample_set(
		    emit, sample, offsetof(struct sg_sample, layer), element(emit, at, 0), IR_I32);
	sample_set_tuple(emit, sample, offsetof(struct sg_sample, at), at, is_layered(geometry),
	    n_coordinates(geometry), is_integer ? IR_I32 : IR_FLOAT);
}

/* A lone operand of one dimension is an offset, or a depth if it is a float. */
static bool is_offset(const struct emit *emit, const struct ptx_operand *operand, unsigned count)
{
	if (operand->kind == PTX_OPERAND_VECTOR)
		return true;
	if (operand->kind == PTX_OPERAND_REGISTER)
		return count == 1 && emit->function->register_types[operand->reg] != PTX_TYPE_f32;
	return count == 1 && operand->kind == PTX_OPERAND_INTEGER;
}

/* Behind the place: level or derivatives, then offsets. Returns the flags of what there was. */
static uint32_t sample_set_extras(struct emit *emit, struct value sample, enum sg_geometry geometry)
{
	const struct ptx_operand *next = &emit->in->operands[2],
				 *end = emit->in->operands + emit->in->n_operands;
	unsigned count = n_coordinates(geometry);
	uint32_t flags = 0;

	if (has(emit, PTX_MODIFIER_level) && next < end) {
		/* With whole coordinates the level is whole too. */
		sample_set(emit, sample, offsetof(struct sg_sample, lod), next++,
		    type_at(emit, 1) == PTX_TYPE_s32 ? IR_I32 : IR_FLOAT);
		flags |= SG_SAMPLE_LEVEL;
	}
	if (has(emit, PTX_MODIFIER_grad) && next + 1 < end) {
		sample_set_tuple(
		    emit, sample, offsetof(struct sg_sample, dx), next++, 0, count, IR_FLOAT);
		sample_set_tuple(
		    emit, sample, offsetof(struct sg_sample, dy), next++, 0, count, IR_FLOAT);
		flags |= SG_SAMPLE_GRADIENT;
	}
	if (next < end && is_offset(emit, next, count)) {
		sample_set_tuple(
		    emit, sample, offsetof(struct sg_sample, offset), next++, 0, count, IR_I32);
		flags |= SG_SAMPLE_OFFSET;
	}
	if (next < end) /* comparison with a depth */
		emit_unsupported(emit);
	return flags;
}

static struct value sample_result(struct emit *emit, struct value sample, unsigned i)
{
	struct value at = emit_value(emit, "getelementptr i8, ptr %s, i64 %zu", sample.text,
	    offsetof(struct sg_sample, result) + i * sizeof(uint32_t));

	return emit_value(emit, "load i32, ptr %s", at.text);
}

/* f16 results are the lower halves of four words; two of them make one f16x2. */
static void set_results(
    struct emit *emit, struct value sample, const struct ptx_operand *d, enum ptx_type type)
{
	bool is_pair = type == PTX_TYPE_f16x2;

	for (unsigned i = 0; i < (is_pair ? 2 : 4); i++) {
		const struct ptx_operand *to = element(emit, d, i);
		struct value value = sample_result(emit, sample, is_pair ? 2 * i : i), high;

		if (is_pair) {
			high = sample_result(emit, sample, 2 * i + 1);
			high = emit_value(emit, "shl i32 %s, 16", high.text);
			value = emit_value(emit, "or i32 %s, %s", value.text, high.text);
		}
		if (type == PTX_TYPE_f16)
			operand_set(emit, to, convert_bits(emit, value, IR_I32, IR_I16, false),
			    IR_I16, false);
		else
			operand_set(emit, to, value, IR_I32, false);
	}
}

static uint32_t component_flag(const struct emit *emit)
{
	uint32_t component = has(emit, PTX_MODIFIER_g)	 ? 1
			     : has(emit, PTX_MODIFIER_b) ? 2
			     : has(emit, PTX_MODIFIER_a) ? 3
							 : 0;

	return SG_SAMPLE_GATHER | component << SG_SAMPLE_COMPONENT;
}

void emit_tex(struct emit *emit)
{
	const struct ptx_operand *d = emit->in->operands;
	enum sg_geometry geometry = geometry_of(emit);
	enum ptx_type type = type_at(emit, 0);
	bool is_integer = type_at(emit, 1) == PTX_TYPE_s32, is_pair = d->kind == PTX_OPERAND_PAIR;
	uint32_t flags = geometry | (is_integer ? SG_SAMPLE_INTEGER : 0);
	struct value sample = sample_new(emit);

	if (emit->in->opcode == PTX_OP_tld4)
		flags |= component_flag(emit);
	if (type == PTX_TYPE_f16 || type == PTX_TYPE_f16x2)
		flags |= SG_SAMPLE_HALF;
	sample_set_place(emit, sample, geometry, is_integer);
	flags |= sample_set_extras(emit, sample, geometry);
	emit_line(emit, "call void @sg_tex(ptr %%lane, i32 %u, ptr %s)", flags, sample.text);
	set_results(emit, sample, is_pair ? &d->elements[0] : d, type);
	if (is_pair) /* all of a texture is resident */
		operand_set(emit, &d->elements[1], ir_constant(IR_I1, 1), IR_I1, false);
}

void emit_texture_query(struct emit *emit)
{
	static const struct {
		enum ptx_modifier modifier;
		enum sg_texture_query query;
	} queries[] = {
	    {PTX_MODIFIER_width, SG_QUERY_WIDTH},
	    {PTX_MODIFIER_height, SG_QUERY_HEIGHT},
	    {PTX_MODIFIER_depth, SG_QUERY_DEPTH},
	    {PTX_MODIFIER_channel_data_type, SG_QUERY_CHANNEL_DATA_TYPE},
	    {PTX_MODIFIER_channel_order, SG_QUERY_CHANNEL_ORDER},
	    {PTX_MODIFIER_normalized_coords, SG_QUERY_NORMALIZED_COORDS},
	    {PTX_MODIFIER_array_size, SG_QUERY_ARRAY_SIZE},
	    {PTX_MODIFIER_num_mipmap_levels, SG_QUERY_LEVELS},
	    {PTX_MODIFIER_num_samples, SG_QUERY_SAMPLES},
	    {PTX_MODIFIER_force_unnormalized_coords, SG_QUERY_FORCE_UNNORMALIZED},
	    {PTX_MODIFIER_filter_mode, SG_QUERY_FILTER_MODE},
	    {PTX_MODIFIER_addr_mode_0, SG_QUERY_ADDRESS_MODE_0},
	    {PTX_MODIFIER_addr_mode_1, SG_QUERY_ADDRESS_MODE_1},
	    {PTX_MODIFIER_addr_mode_2, SG_QUERY_ADDRESS_MODE_2},
	    {PTX_MODIFIER_memory_layout, SG_QUERY_MEMORY_LAYOUT},
	};
	bool is_surface = emit->in->opcode == PTX_OP_suq;
	struct place place = place_of(emit, 1);
	struct value object = operand_get(emit, place.object, IR_I64, false);
	struct value level =
	    emit->in->n_operands > 2 ? source(emit, 2, PTX_TYPE_u32) : ir_constant(IR_I32, 0);

	for (unsigned i = 0; i < ARRAY_SIZE(queries); i++) {
		if (!has(emit, queries[i].modifier))
			continue;
		destination(emit, 0,
		    emit_value(emit,
			"call i32 @sg_texture_query(ptr %%lane, i32 %u, i64 %s, i32 %s)",
			queries[i].query | (is_surface ? SG_QUERY_OF_SURFACE : 0), object.text,
			level.text),
		    PTX_TYPE_u32);
		return;
	}
	emit_fail(
	    emit, "%s does not say what it asks for", ptx_opcode_info(emit->in->opcode)->name);
}

/* Does the address stand for one of the unit's variables of a type? */
static struct value is_variable_of(struct emit *emit, const struct ptx_unit *unit,
    enum ptx_type type, struct value address, struct value is_any)
{
	for (const struct ptx_variable *v = unit->variables; v; v = v->next) {
		struct value is_this;

		if (v->definition->type != type)
			continue;
		is_this = emit_value(emit, "icmp eq i64 %s, %llu", address.text,
		    (unsigned long long)v->definition->address);
		is_any = emit_value(emit, "or i1 %s, %s", is_any.text, is_this.text);
	}
	return is_any;
}

/* Names are told apart by their declaration, addresses by whose they are. */
void emit_istypep(struct emit *emit)
{
	const struct ptx_operand *operand = &emit->in->operands[1];
	const struct jit_program *program = emit->program;
	enum ptx_type type = type_at(emit, 0);
	struct value is_any = ir_constant(IR_I1, 0), address;

	if (operand->kind == PTX_OPERAND_VARIABLE) {
		destination(emit, 0,
		    ir_constant(IR_I1, operand->variable->definition->type == type), PTX_TYPE_pred);
		return;
	}
	address = source(emit, 1, PTX_TYPE_u64);
	for (size_t i = 0; i < program->n_functions; i++) {
		const struct ptx_unit *unit = program->functions[i]->unit;
		bool is_new = true;

		for (size_t k = 0; k < i; k++)
			is_new &= program->functions[k]->unit != unit;
		if (is_new)
			is_any = is_variable_of(emit, unit, type, address, is_any);
	}
	destination(emit, 0, is_any, PTX_TYPE_pred);
}

/* ---- surfaces ---- */

static unsigned vector_size(const struct emit *emit)
{
	return has(emit, PTX_MODIFIER_v4) ? 4 : has(emit, PTX_MODIFIER_v2) ? 2 : 1;
}

/* A pointer to size bytes, NULL outside with .zero. */
static struct value surface_pointer(
    struct emit *emit, const struct place *place, unsigned size, bool is_write)
{
	enum sg_geometry geometry = geometry_of(emit);
	const struct ptx_operand *at = coordinates(emit, place);
	struct value object = operand_get(emit, place->object, IR_I64, false);
	struct value layer = ir_constant(IR_I32, 0), xyz[3] = {layer, layer, layer};
	uint32_t flags = geometry | (is_write ? SG_SURFACE_STORE : 0) |
			 (uint32_t)__builtin_ctz(size) << SG_SURFACE_LOG2;

	if (has(emit, PTX_MODIFIER_p))
		flags |= SG_SURFACE_FORMATTED;
	if (has(emit, PTX_MODIFIER_zero))
		flags |= SG_SURFACE_ZERO;
	else if (has(emit, PTX_MODIFIER_clamp))
		flags |= SG_SURFACE_CLAMP;
	if (is_layered(geometry))
		layer = operand_get(emit, element(emit, at, 0), IR_I32, false);
	for (unsigned i = 0; i < n_coordinates(geometry); i++)
		xyz[i] =
		    operand_get(emit, element(emit, at, is_layered(geometry) + i), IR_I32, false);
	return emit_value(emit,
	    "call ptr @sg_surface_at(ptr %%lane, i32 %u, i64 %s, i32 %s, i32 %s, i32 %s, i32 %s)",
	    flags, object.text, layer.text, xyz[0].text, xyz[1].text, xyz[2].text);
}

/* Code between the two happens only where there is a place. */
static uint32_t begin_inside(struct emit *emit, struct value pointer)
{
	uint32_t inside = emit_new_block(emit), behind = emit_new_block(emit);

	emit_branch_if(
	    emit, emit_value(emit, "icmp ne ptr %s, null", pointer.text), inside, behind);
	emit_start_block(emit, inside);
	return behind;
}

static struct value advance(struct emit *emit, struct value pointer, unsigned bytes)
{
	return bytes ? emit_value(emit, "getelementptr i8, ptr %s, i64 %u", pointer.text, bytes)
		     : pointer;
}

void emit_suld(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	enum ir_type ir = ir_of(type);
	unsigned count = vector_size(emit), size = ptx_type_bits(type) / 8;
	const struct ptx_operand *d = emit->in->operands;
	struct place place = place_of(emit, 1);

	if (has(emit, PTX_MODIFIER_p)) /* gone since sm_20 */
		emit_unsupported(emit);
	struct value pointer = surface_pointer(emit, &place, size * count, false);
	for (unsigned i = 0; i < count; i++)
		operand_set(emit, element(emit, d, i), ir_constant(ir, 0), ir, false);
	uint32_t behind = begin_inside(emit, pointer);
	for (unsigned i = 0; i < count; i++) {
		struct value at = advance(emit, pointer, i * size);

		operand_set(emit, element(emit, d, i),
		    emit_value(emit, "load %s, ptr %s, align 1", ir_name(ir), at.text), ir, false);
	}
	emit_start_block(emit, behind);
}

/* Converted to the surface's format. Missing channels of a short vector are 0. */
static void store_formatted(
    struct emit *emit, const struct place *place, struct value pointer, unsigned count)
{
	struct value object = operand_get(emit, place->object, IR_I64, false), values[4];

	for (unsigned i = 0; i < ARRAY_SIZE(values); i++)
		values[i] = i < count ? operand_get(emit, element(emit, &emit->in->operands[1], i),
					    IR_I32, false)
				      : ir_constant(IR_I32, 0);
	emit_line(emit,
	    "call void @sg_surface_store(ptr %%lane, i64 %s, ptr %s, i32 %s, i32 %s, i32 %s, i32 "
	    "%s)",
	    object.text, pointer.text, values[0].text, values[1].text, values[2].text,
	    values[3].text);
}

void emit_sust(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	enum ir_type ir = ir_of(type);
	unsigned count = vector_size(emit), size = ptx_type_bits(type) / 8;
	struct place place = place_of(emit, 0);
	struct value pointer = surface_pointer(emit, &place, size * count, true);
	uint32_t behind = begin_inside(emit, pointer);

	if (has(emit, PTX_MODIFIER_p)) {
		store_formatted(emit, &place, pointer, count);
	} else {
		for (unsigned i = 0; i < count; i++) {
			const struct ptx_operand *from = element(emit, &emit->in->operands[1], i);
			struct value value = operand_get(emit, from, ir, false);
			struct value at = advance(emit, pointer, i * size);

			emit_line(
			    emit, "store %s %s, ptr %s, align 1", ir_name(ir), value.text, at.text);
		}
	}
	emit_start_block(emit, behind);
}

static void update(struct emit *emit, const char *operation, struct value pointer,
    struct value value, enum ir_type ir)
{
	emit_value(emit, "atomicrmw %s ptr %s, %s %s monotonic", operation, pointer.text,
	    ir_name(ir), value.text);
}

/* Least and greatest of .p depend on the surface's format. */
static void update_by_format(struct emit *emit, const struct place *place, struct value pointer,
    struct value value, enum ir_type ir, bool is_least)
{
	struct value object = operand_get(emit, place->object, IR_I64, false);
	uint32_t is_signed = emit_new_block(emit), is_unsigned = emit_new_block(emit),
		 behind = emit_new_block(emit);

	emit_branch_if(emit,
	    emit_value(emit, "call i1 @sg_surface_is_signed(ptr %%lane, i64 %s)", object.text),
	    is_signed, is_unsigned);
	emit_start_block(emit, is_signed);
	update(emit, is_least ? "min" : "max", pointer, value, ir);
	emit_line(emit, "br label %%b%u", behind);
	emit->open = false;
	emit_start_block(emit, is_unsigned);
	update(emit, is_least ? "umin" : "umax", pointer, value, ir);
	emit_start_block(emit, behind);
}

void emit_sured(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	enum ir_type ir = ir_of(type);
	bool is_signed = ptx_type_is_signed(type), is_least = has(emit, PTX_MODIFIER_min);
	bool orders = is_least || has(emit, PTX_MODIFIER_max);
	struct place place = place_of(emit, 0);
	struct value pointer = surface_pointer(emit, &place, ptx_type_bits(type) / 8, true);
	struct value value = source(emit, 1, type);
	uint32_t behind = begin_inside(emit, pointer);

	if (orders && has(emit, PTX_MODIFIER_p))
		update_by_format(emit, &place, pointer, value, ir, is_least);
	else if (orders)
		update(emit, is_least ? (is_signed ? "min" : "umin") : (is_signed ? "max" : "umax"),
		    pointer, value, ir);
	else if (has(emit, PTX_MODIFIER_add))
		update(emit, "add", pointer, value, ir);
	else if (has(emit, PTX_MODIFIER_and))
		update(emit, "and", pointer, value, ir);
	else if (has(emit, PTX_MODIFIER_or))
		update(emit, "or", pointer, value, ir);
	else
		emit_unsupported(emit);
	emit_start_block(emit, behind);
}
