/* setp set selp slct (PTX ISA 9.7.6, 9.7.7). */
#include "softgpu/jit/emit.h"

struct comparison {
	enum ptx_modifier modifier;
	const char *on_signed, *on_unsigned, *on_float; /* NULL: not for that class */
};

static const struct comparison comparisons[] = {
    {PTX_MODIFIER_eq, "eq", "eq", "oeq"},
    {PTX_MODIFIER_ne, "ne", "ne", "one"},
    {PTX_MODIFIER_lt, "slt", "ult", "olt"},
    {PTX_MODIFIER_le, "sle", "ule", "ole"},
    {PTX_MODIFIER_gt, "sgt", "ugt", "ogt"},
    {PTX_MODIFIER_ge, "sge", "uge", "oge"},
    {PTX_MODIFIER_lo, NULL, "ult", NULL},
    {PTX_MODIFIER_ls, NULL, "ule", NULL},
    {PTX_MODIFIER_hi, NULL, "ugt", NULL},
    {PTX_MODIFIER_hs, NULL, "uge", NULL},
    {PTX_MODIFIER_equ, NULL, NULL, "ueq"},
    {PTX_MODIFIER_neu, NULL, NULL, "une"},
    {PTX_MODIFIER_ltu, NULL, NULL, "ult"},
    {PTX_MODIFIER_leu, NULL, NULL, "ule"},
    {PTX_MODIFIER_gtu, NULL, NULL, "ugt"},
    {PTX_MODIFIER_geu, NULL, NULL, "uge"},
    {PTX_MODIFIER_num, NULL, NULL, "ord"},
    {PTX_MODIFIER_nan, NULL, NULL, "uno"},
};

static struct value compare(struct emit *emit, enum ptx_type type, const struct value *v)
{
	bool is_float = ptx_type_is_float(type);
	struct value a = flush(emit, type, v[0]), b = flush(emit, type, v[1]);

	for (unsigned i = 0; i < ARRAY_SIZE(comparisons); i++) {
		const struct comparison *c = &comparisons[i];
		const char *word = is_float		      ? c->on_float
				   : ptx_type_is_signed(type) ? c->on_signed
							      : c->on_unsigned;

		if (!has(emit, c->modifier) || !word)
			continue;
		if (is_half(type)) {
			a = half_widen(emit, type, a);
			b = half_widen(emit, type, b);
			return emit_value(emit, "fcmp %s float %s, %s", word, a.text, b.text);
		}
		return emit_value(emit, "%ccmp %s %s %s, %s", is_float ? 'f' : 'i', word,
		    ir_name(ir_of(type)), a.text, b.text);
	}
	emit_fail(emit, "%s.%s has no such comparison", ptx_opcode_info(emit->in->opcode)->name,
	    ptx_type_name(type));
}

/* The optional combination with a predicate, operand 3. */
static struct value combine(struct emit *emit, struct value result)
{
	const char *word = has(emit, PTX_MODIFIER_and)	? "and"
			   : has(emit, PTX_MODIFIER_or) ? "or"
							: "xor";

	if (emit->in->n_operands < 4)
		return result;
	return emit_value(
	    emit, "%s i1 %s, %s", word, result.text, source(emit, 3, PTX_TYPE_pred).text);
}

static void compare_pair(struct emit *emit, enum ptx_type type, struct value results[2])
{
	struct value a = source(emit, 1, type), b = source(emit, 2, type);

	for (unsigned half = 0; half < 2; half++) {
		struct value v[2];

		v[0] = emit_value(emit, "lshr i32 %s, %u", a.text, half * 16);
		v[1] = emit_value(emit, "lshr i32 %s, %u", b.text, half * 16);
		v[0] = emit_value(emit, "trunc i32 %s to i16", v[0].text);
		v[1] = emit_value(emit, "trunc i32 %s to i16", v[1].text);
		results[half] = combine(emit, compare(emit, pair_element(type), v));
	}
}

/* setp.f16x2 p|q: p for the lower half, q for the upper; otherwise q is the comparison turned
 * round. */
void emit_setp(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	const struct ptx_operand *d = emit->in->operands;
	bool is_pair = d->kind == PTX_OPERAND_PAIR;
	struct value v[2], results[2];

	if (pair_element(type) != PTX_TYPE_NONE) {
		compare_pair(emit, type, results);
	} else {
		v[0] = source(emit, 1, type);
		v[1] = source(emit, 2, type);
		v[0] = compare(emit, type, v);
		results[0] = combine(emit, v[0]);
		if (is_pair)
			results[1] = combine(emit, emit_value(emit, "xor i1 %s, true", v[0].text));
	}
	operand_set(emit, is_pair ? &d->elements[0] : d, results[0], IR_I1, false);
	if (is_pair)
		operand_set(emit, &d->elements[1], results[1], IR_I1, false);
}

/* True as a value of a type: all ones for integers, 1.0 for floats. */
static struct value truth(struct emit *emit, struct value condition, enum ptx_type type)
{
	switch (type) {
	case PTX_TYPE_f32:
		return emit_value(emit, "select i1 %s, float 1.0, float 0.0", condition.text);
	case PTX_TYPE_f16:
		return emit_value(emit, "select i1 %s, i16 15360, i16 0", condition.text);
	case PTX_TYPE_bf16:
		return emit_value(emit, "select i1 %s, i16 16256, i16 0", condition.text);
	default:
		return emit_value(emit, "sext i1 %s to %s", condition.text, ir_name(ir_of(type)));
	}
}

static void set_pair(struct emit *emit, enum ptx_type to, enum ptx_type from)
{
	enum ptx_type element = pair_element(to) ?: PTX_TYPE_u16;
	struct value results[2], low, high;

	compare_pair(emit, from, results);
	low = truth(emit, results[0], element);
	high = truth(emit, results[1], element);
	low = emit_value(emit, "zext i16 %s to i32", low.text);
	high = emit_value(emit, "zext i16 %s to i32", high.text);
	high = emit_value(emit, "shl i32 %s, 16", high.text);
	destination(emit, 0, emit_value(emit, "or i32 %s, %s", low.text, high.text), PTX_TYPE_b32);
}

void emit_set(struct emit *emit)
{
	enum ptx_type to = type_at(emit, 0), from = type_at(emit, 1);
	struct value v[2], result;

	if (pair_element(from) != PTX_TYPE_NONE) {
		set_pair(emit, to, from);
		return;
	}
	v[0] = source(emit, 1, from);
	v[1] = source(emit, 2, from);
	result = combine(emit, compare(emit, from, v));
	destination(emit, 0, truth(emit, result, to), to);
}

void emit_selp(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0);
	const char *ir = ir_name(ir_of(type));
	struct value a = source(emit, 1, type), b = source(emit, 2, type);

	destination(emit, 0,
	    emit_value(emit, "select i1 %s, %s %s, %s %s", source(emit, 3, PTX_TYPE_pred).text, ir,
		a.text, ir, b.text),
	    type);
}

/* a when c >= 0, else b; a NaN is not. */
void emit_slct(struct emit *emit)
{
	enum ptx_type type = type_at(emit, 0), test = type_at(emit, 1);
	const char *ir = ir_name(ir_of(type));
	struct value a = source(emit, 1, type), b = source(emit, 2, type);
	struct value c = flush(emit, test, source(emit, 3, test));

	c = test == PTX_TYPE_f32 ? emit_value(emit, "fcmp oge float %s, 0.0", c.text)
				 : emit_value(emit, "icmp sge i32 %s, 0", c.text);
	destination(emit, 0,
	    emit_value(emit, "select i1 %s, %s %s, %s %s", c.text, ir, a.text, ir, b.text), type);
}
