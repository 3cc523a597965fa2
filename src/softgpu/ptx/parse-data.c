/*
 * Variables: declarations (PTX ISA 5.4) and initial values.
 *
 * Values go straight into the variable's image, which grows only as far as there are values: the
 * size a hostile text merely claims costs nothing.
 */
#include <string.h>

#include "softgpu/ptx/parser.h"

#define MAX_DIMENSIONS 8

struct initialiser {
	struct ptx_variable *variable;
	struct ptx_relocation **relocations_tail;
	uint64_t dimensions[MAX_DIMENSIONS + 1]; /* elements of each level; the last is 1 */
	uint32_t n_dimensions;
	uint32_t element_size;
	uint64_t capacity; /* of the image */
	uint8_t *image;
};

enum ptx_type parse_type(struct parser *parser)
{
	const struct ptx_token *token = &parser->lexer.token;
	int type = token->kind == PTX_TOKEN_WORD ? ptx_type_find(token->text, token->size) : -1;

	if (type < 0)
		parser_unexpected(parser, "type");
	ptx_lexer_next(&parser->lexer);
	return (enum ptx_type)type;
}

/* Makes the image reach end. */
static void image_extend(struct parser *parser, struct initialiser *in, uint64_t end)
{
	struct ptx_variable *variable = in->variable;

	if (end > in->capacity) {
		uint64_t capacity = MAX(end, in->capacity * 2);
		uint8_t *image = parser_take(parser, capacity);

		if (variable->image_size)
			memcpy(image, in->image, variable->image_size);
		in->image = image;
		in->capacity = capacity;
	}
	variable->image_size = MAX(variable->image_size, end);
}

bool parse_float(struct parser *parser, struct ptx_token *out)
{
	struct ptx_lexer ahead = parser->lexer;
	bool minus = parser_at(parser, '-');

	if (minus)
		ptx_lexer_next(&ahead);
	if (ahead.token.kind != PTX_TOKEN_F32 && ahead.token.kind != PTX_TOKEN_F64)
		return false;
	*out = ahead.token;
	if (minus)
		out->value ^= UINT64_C(1) << (out->kind == PTX_TOKEN_F32 ? 31 : 63);
	ptx_lexer_next(&ahead);
	parser->lexer = ahead;
	return true;
}

/* The bits of a floating literal as an element: decimal ones are read as double. */
static uint64_t convert_float(const struct initialiser *in, const struct ptx_token *token)
{
	uint64_t bits = token->value;
	uint32_t narrow_bits;
	double wide;
	float narrow;

	if (token->kind == PTX_TOKEN_F32 || in->element_size != sizeof(float))
		return bits;
	memcpy(&wide, &bits, sizeof(wide));
	narrow = (float)wide;
	memcpy(&narrow_bits, &narrow, sizeof(narrow_bits));
	return narrow_bits;
}

static void parse_symbol_value(
    struct parser *parser, struct initialiser *in, uint64_t offset, uint64_t mask, bool generic)
{
	struct ptx_relocation *relocation = parser_take(parser, sizeof(*relocation));
	const char *name = parser_word(parser, "name");
	struct parser_symbol *symbol = parser_find(parser, name, strlen(name));

	*relocation = (struct ptx_relocation){
	    .offset = offset, .size = in->element_size, .mask = mask, .generic = generic};
	if (symbol && symbol->kind == PTX_SYMBOL_VARIABLE)
		relocation->variable = symbol->variable;
	else if (symbol && symbol->kind == PTX_SYMBOL_FUNCTION)
		relocation->function = symbol->function;
	else
		parser_fail(parser, "unknown symbol \"%s\" in an initial value", name);
	*in->relocations_tail = relocation;
	in->relocations_tail = &relocation->next;
	if (generic)
		parser_expect(parser, ')');
	if (parser_at(parser, '+') || parser_at(parser, '-'))
		relocation->addend = (int64_t)parse_constant(parser);
}

static void parse_masked_symbol(
    struct parser *parser, struct initialiser *in, uint64_t offset, uint64_t mask)
{
	bool generic = parser_accept_word(parser, "generic");

	if (generic)
		parser_expect(parser, '(');
	parse_symbol_value(parser, in, offset, mask, generic);
}

/* symbol, symbol+4, generic(symbol)+4, 0xFF00(any of these), numbers. */
static void parse_value(struct parser *parser, struct initialiser *in, uint64_t offset)
{
	struct ptx_token literal;
	uint64_t value;

	image_extend(parser, in, offset + in->element_size);
	if (parser->lexer.token.kind == PTX_TOKEN_WORD && !parser_at_word(parser, "WARP_SZ")) {
		parse_masked_symbol(parser, in, offset, UINT64_MAX);
		return;
	}
	if (parse_float(parser, &literal)) {
		value = convert_float(in, &literal);
	} else {
		value = parse_constant(parser);
		if (parser_accept(parser, '(')) {
			parse_masked_symbol(parser, in, offset, value);
			parser_expect(parser, ')');
			return;
		}
	}
	memcpy(in->image + offset, &value, MIN(in->element_size, (uint32_t)sizeof(value)));
}

static void parse_string_value(struct parser *parser, struct initialiser *in, uint64_t offset)
{
	const struct ptx_token *token = &parser->lexer.token;

	image_extend(parser, in, offset + token->size);
	memcpy(in->image + offset, token->text, token->size);
	ptx_lexer_next(&parser->lexer);
}

/* The values of one brace, or the one value without. */
static void parse_values(
    struct parser *parser, struct initialiser *in, uint32_t level, uint64_t offset)
{
	uint64_t stride = in->element_size;
	uint64_t at = offset;

	if (!parser_accept(parser, '{')) {
		if (parser->lexer.token.kind == PTX_TOKEN_STRING)
			parse_string_value(parser, in, offset);
		else
			parse_value(parser, in, offset);
		return;
	}
	if (level >= in->n_dimensions)
		parser_fail(
		    parser, "braces nested deeper than \"%s\" has dimensions", in->variable->name);
	for (uint32_t i = level + 1; i < in->n_dimensions; i++)
		stride *= in->dimensions[i];
	while (!parser_accept(parser, '}')) {
		bool nested = parser_at(parser, '{');

		if (in->dimensions[0] && at >= in->variable->size)
			parser_fail(parser, "too many values for \"%s\"", in->variable->name);
		parse_values(parser, in, level + 1, at);
		at += nested ? stride : in->element_size;
		if (!parser_accept(parser, ',') && !parser_at(parser, '}'))
			parser_unexpected(parser, "\",\" or \"}\"");
	}
}

static void parse_dimensions(struct parser *parser, struct initialiser *in, uint32_t vector)
{
	struct ptx_variable *variable = in->variable;

	while (parser_accept(parser, '[')) {
		if (in->n_dimensions == MAX_DIMENSIONS - 1)
			parser_fail(parser, "\"%s\" has too many dimensions", variable->name);
		if (!parser_at(parser, ']'))
			in->dimensions[in->n_dimensions] = parse_constant(parser);
		else if (in->n_dimensions)
			parser_fail(parser, "only the first dimension may be empty");
		in->n_dimensions++;
		parser_expect(parser, ']');
	}
	if (!in->n_dimensions && vector == 1)
		in->dimensions[in->n_dimensions++] = 1;
	if (vector > 1)
		in->dimensions[in->n_dimensions++] = vector;
	variable->size = in->element_size;
	for (uint32_t i = 0; i < in->n_dimensions; i++)
		if (__builtin_mul_overflow(variable->size, in->dimensions[i], &variable->size) ||
		    variable->size > UINT64_C(1) << 40)
			parser_fail(parser, "\"%s\" is too large", variable->name);
}

bool parse_attributes(struct parser *parser)
{
	bool is_managed = false;

	parser_expect(parser, '(');
	do {
		parser_expect(parser, '.');
		if (parser_accept_word(parser, "managed"))
			is_managed = true;
		else if (!parser_accept_word(parser, "unified"))
			parser_unexpected(parser, "an attribute");
		else if (parser_accept(parser, '(')) { /* two halves of a number that is unique */
			parse_constant(parser);
			parser_expect(parser, ',');
			parse_constant(parser);
			parser_expect(parser, ')');
		}
	} while (parser_accept(parser, ','));
	parser_expect(parser, ')');
	return is_managed;
}

/* The properties before the name: .align 8 .v4 .f32, .attribute(...), .ptr .global. */
static void parse_properties(struct parser *parser, struct ptx_variable *variable, uint32_t *vector)
{
	bool of_pointee = false;

	*vector = 1;
	while (parser_accept(parser, '.')) {
		if (parser_accept_word(parser, "align")) {
			uint64_t align = parse_constant(parser);

			if (!is_power_of_two(align) || align > 1u << 20)
				parser_fail(parser, "alignment must be a power of two");
			if (!of_pointee)
				variable->align = (uint32_t)align;
		} else if (parser_accept_word(parser, "attribute")) {
			variable->is_managed = parse_attributes(parser);
		} else if (parser_accept_word(parser, "v2")) {
			*vector = 2;
		} else if (parser_accept_word(parser, "v4")) {
			*vector = 4;
		} else if (parser_accept_word(parser, "ptr")) {
			of_pointee = true;
		} else if (parser_accept_word(parser, "global") ||
			   parser_accept_word(parser, "shared") ||
			   parser_accept_word(parser, "local") ||
			   parser_accept_word(parser, "const")) {
			continue; /* what a pointer parameter points to: a hint */
		} else {
			variable->type = parse_type(parser);
		}
	}
	if (variable->type == PTX_TYPE_NONE)
		parser_unexpected(parser, "type");
}

/* { filter_mode = linear, ... }: of a sampler, the bits of PTX_SAMPLER_*; of others, hints. */
static void parse_reference_value(struct parser *parser, struct initialiser *in)
{
	static const char *const modes[] = {"wrap", "clamp_to_edge", "mirror", "clamp_to_border"};
	uint64_t bits = PTX_SAMPLER_VALID;

	parser_expect(parser, '{');
	while (!parser_accept(parser, '}')) {
		const char *key = parser_word(parser, "name");

		parser_expect(parser, '=');
		if (parser->lexer.token.kind != PTX_TOKEN_WORD) {
			if (parse_constant(parser) && !strcmp(key, "force_unnormalized_coords"))
				bits |= PTX_SAMPLER_UNNORMALIZED;
		} else {
			const char *value = parser_word(parser, "value");

			if (!strcmp(key, "filter_mode") && !strcmp(value, "linear"))
				bits |= PTX_SAMPLER_LINEAR;
			if (!strcmp(value, "clamp_ogl"))
				value = "clamp_to_edge";
			for (unsigned i = 0; i < ARRAY_SIZE(modes); i++)
				if (!strncmp(key, "addr_mode_", 10) && !strcmp(value, modes[i]) &&
				    key[10] >= '0' && key[10] <= '2')
					bits |= (uint64_t)i
						<< PTX_SAMPLER_MODE_SHIFT(key[10] - '0');
		}
		if (!parser_accept(parser, ',') && !parser_at(parser, '}'))
			parser_unexpected(parser, "\",\" or \"}\"");
	}
	if (in->variable->type != PTX_TYPE_samplerref)
		return;
	image_extend(parser, in, sizeof(bits));
	memcpy(in->image, &bits, sizeof(bits));
	in->variable->image = in->image;
}

static void finish_variable(struct parser *parser, struct initialiser *in)
{
	struct ptx_variable *variable = in->variable;

	if (ptx_type_is_reference(variable->type)) {
		if (parser_accept(parser, '='))
			parse_reference_value(parser, in);
	} else if (parser_accept(parser, '=')) {
		variable->size = variable->size ?: UINT64_MAX;
		in->relocations_tail = &variable->relocations;
		parse_values(parser, in, 0, 0);
		if (variable->size == UINT64_MAX)
			variable->size = variable->image_size;
		if (variable->image_size > variable->size)
			parser_fail(parser, "too many values for \"%s\"", variable->name);
		variable->image = in->image;
	}
}

static void keep_variable(struct parser *parser, struct ptx_variable *variable)
{
	struct ptx_function *function = parser->function;
	struct parser_symbol *known = parser_find(parser, variable->name, strlen(variable->name));

	variable->id = parser->unit->n_variables++;
	/* An extern declaration may come before the definition, or twice. */
	if (known && !known->depth && !parser->depth && known->kind == PTX_SYMBOL_VARIABLE &&
	    (known->variable->linkage == PTX_LINKAGE_EXTERN ||
		variable->linkage == PTX_LINKAGE_EXTERN)) {
		if (known->variable->linkage == PTX_LINKAGE_EXTERN)
			known->variable->definition = variable;
	} else {
		parser_define(parser, PTX_SYMBOL_VARIABLE, variable->name)->variable = variable;
	}
	/* Static storage of functions is laid out with the module's. */
	variable->scope = function;
	if (function &&
	    (variable->space == PTX_SPACE_LOCAL || variable->space == PTX_SPACE_PARAM)) {
		variable->next = function->variables;
		function->variables = variable;
		return;
	}
	*parser->variables_tail = variable;
	parser->variables_tail = &variable->next;
}

void parse_variables(struct parser *parser, enum ptx_space space, enum ptx_linkage linkage)
{
	struct ptx_variable pattern = {.space = space, .linkage = linkage};
	uint32_t vector;

	pattern.line = parser->lexer.token.line;
	parse_properties(parser, &pattern, &vector);
	do {
		struct ptx_variable *variable = parser_take(parser, sizeof(*variable));
		struct initialiser in = {
		    .variable = variable, .element_size = MAX(ptx_type_bits(pattern.type) / 8, 1u)};

		*variable = pattern;
		variable->definition = variable;
		variable->name = parser_word(parser, "name");
		variable->align =
		    MAX(variable->align, in.element_size * (pattern.align ? 1 : vector));
		parse_dimensions(parser, &in, vector);
		keep_variable(parser, variable);
		finish_variable(parser, &in);
	} while (parser_accept(parser, ','));
	parser_expect(parser, ';');
}

struct ptx_variable *parse_parameter(struct parser *parser)
{
	struct ptx_variable *variable = parser_take(parser, sizeof(*variable));
	struct initialiser in = {.variable = variable};
	uint32_t vector;

	variable->space = PTX_SPACE_PARAM;
	variable->line = parser->lexer.token.line;
	variable->definition = variable;
	parser_expect(parser, '.');
	if (parser_accept_word(parser, "reg"))
		variable->space = PTX_SPACE_REG;
	else if (!parser_accept_word(parser, "param"))
		parser_unexpected(parser, ".param");
	parse_properties(parser, variable, &vector);
	variable->name = "_";
	if (parser->lexer.token.kind == PTX_TOKEN_WORD)
		variable->name = parser_word(parser, "name");
	in.element_size = MAX(ptx_type_bits(variable->type) / 8, 1u);
	variable->align = MAX(variable->align, in.element_size);
	parse_dimensions(parser, &in, vector);
	return variable;
}
