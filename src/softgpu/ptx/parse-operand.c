/* Operands of instructions (PTX ISA 6). Names are resolved here, but for labels, which may come
 * later. */
#include <string.h>

#include "softgpu/ptx/parser.h"

#define MAX_ELEMENTS 128
#define MAX_PLACE    3

/* How many registers the name stands for, one or a vector's, and the first; 0: none. */
static uint32_t find_register(struct parser *parser, const struct ptx_token *token, uint32_t *out)
{
	uint32_t stem = token->size;
	uint64_t number = 0, scale = 1;
	struct parser_symbol *symbol = parser_find(parser, token->text, token->size);

	if (symbol) {
		*out = symbol->reg;
		return symbol->kind == PTX_SYMBOL_REGISTER && !symbol->range
			   ? MAX(symbol->elements, 1u)
			   : 0;
	}
	for (; stem && token->text[stem - 1] >= '0' && token->text[stem - 1] <= '9'; stem--) {
		number += (uint64_t)(token->text[stem - 1] - '0') * scale;
		scale *= 10;
		if (scale > UINT64_C(10000000000))
			return 0;
	}
	symbol = stem < token->size ? parser_find(parser, token->text, stem) : NULL;
	if (!symbol || symbol->kind != PTX_SYMBOL_REGISTER || number >= symbol->range)
		return 0;
	*out = symbol->reg + (uint32_t)number * MAX(symbol->elements, 1u);
	return MAX(symbol->elements, 1u);
}

/* Behind the name of a vector of registers: one of them, as v.x or v.r, or all. */
static void parse_vector(struct parser *parser, uint32_t count, struct ptx_operand *out)
{
	static const char *const letters[] = {"x", "y", "z", "w", "r", "g", "b", "a"};
	uint32_t first = out->reg;

	if (parser_accept(parser, '.')) {
		for (uint32_t i = 0; i < ARRAY_SIZE(letters); i++)
			if (i % 4 < count && parser_accept_word(parser, letters[i])) {
				out->reg = first + i % 4;
				return;
			}
		parser_unexpected(parser, "an element of a vector");
	}
	out->kind = PTX_OPERAND_VECTOR;
	out->n_elements = count;
	out->elements = parser_take(parser, count * sizeof(*out->elements));
	for (uint32_t i = 0; i < count; i++)
		out->elements[i] =
		    (struct ptx_operand){.kind = PTX_OPERAND_REGISTER, .reg = first + i};
}

#define SPECIAL_SIZE 24u /* of a name, at most */

/* %tid.x and its like by the first's name, which has size bytes with another letter or none: the
 * registers of x, y and z follow each other. Below 0: none. */
static int find_first_special(const char *text, uint32_t size)
{
	char first[SPECIAL_SIZE];
	uint32_t number;

	if (size < 2 || size > sizeof(first))
		return -1;
	memcpy(first, text, size - 2);
	memcpy(first + size - 2, ".x", 2);
	return ptx_special_find(first, size, &number);
}

/* %tid, all four of it; the last is always 0. */
static bool accept_special_vector(struct parser *parser, struct ptx_operand *out)
{
	char text[SPECIAL_SIZE + 2];
	uint32_t size = parser->lexer.token.size;
	int first;

	if (size > SPECIAL_SIZE - 2)
		return false;
	memcpy(text, parser->lexer.token.text, size);
	first = find_first_special(text, size + 2);
	if (first < 0)
		return false;
	out->kind = PTX_OPERAND_VECTOR;
	out->n_elements = 4;
	out->elements = parser_take(parser, 4 * sizeof(*out->elements));
	for (unsigned i = 0; i < 3; i++)
		out->elements[i] = (struct ptx_operand){
		    .kind = PTX_OPERAND_SPECIAL, .special = (enum ptx_special)(first + (int)i)};
	out->elements[3] = (struct ptx_operand){.kind = PTX_OPERAND_INTEGER};
	ptx_lexer_next(&parser->lexer);
	return true;
}

static bool accept_special(struct parser *parser, struct ptx_operand *out)
{
	struct ptx_lexer *lexer = &parser->lexer;
	uint32_t size = lexer->token.size, number;
	const char *text = lexer->token.text;
	int special;

	if (*text != '%')
		return false;
	if (lexer->end - lexer->at >= 2 && *lexer->at == '.' && strchr("xyzw", lexer->at[1]))
		size += 2;
	special = ptx_special_find(text, size, &number);
	if (special < 0 && size == lexer->token.size)
		return accept_special_vector(parser, out);
	if (special < 0 && (text[size - 1] != 'w' || find_first_special(text, size) < 0))
		return false;
	out->kind = special < 0 ? PTX_OPERAND_INTEGER : PTX_OPERAND_SPECIAL;
	out->special = (enum ptx_special)MAX(special, 0);
	if (special >= PTX_SPECIAL_reserved_smem_offset_begin &&
	    special <= PTX_SPECIAL_reserved_smem_offset_1)
		parser->function->uses_reserved_shared = true;
	out->value = special < 0 ? 0 : number;
	lexer->at = text + size;
	ptx_lexer_next(lexer);
	return true;
}

static void make_label(struct parser *parser, const char *name, struct ptx_operand *out)
{
	struct parser_symbol *symbol = parser_find(parser, name, strlen(name));

	if (!symbol) {
		symbol = parser_define(parser, PTX_SYMBOL_LABEL, name);
		symbol->label = parser_take(parser, sizeof(*symbol->label));
		symbol->label->name = name;
		symbol->label->line = parser->lexer.token.line;
		symbol->label->id = parser->function->n_labels++;
	}
	if (symbol->kind != PTX_SYMBOL_LABEL)
		parser_fail(parser, "\"%s\" is not a label", name);
	out->kind = PTX_OPERAND_LABEL;
	out->label = symbol->label;
}

static void parse_symbol(
    struct parser *parser, struct ptx_operand *out, bool may_be_label, bool is_call)
{
	const char *name = parser_word(parser, "operand");
	struct parser_symbol *symbol = parser_find(parser, name, strlen(name));

	switch (symbol ? symbol->kind : PTX_SYMBOL_LABEL) {
	case PTX_SYMBOL_VARIABLE:
		out->kind = PTX_OPERAND_VARIABLE;
		out->variable = symbol->variable;
		parser_refer(parser, out->variable, NULL, false);
		return;
	case PTX_SYMBOL_FUNCTION:
		out->kind = PTX_OPERAND_FUNCTION;
		out->function = symbol->function;
		parser_refer(parser, NULL, out->function, is_call);
		return;
	case PTX_SYMBOL_TARGETS:
		out->kind = PTX_OPERAND_TARGETS;
		out->targets = symbol->targets;
		return;
	case PTX_SYMBOL_PROTOTYPE:
		out->kind = PTX_OPERAND_PROTOTYPE;
		out->prototype = symbol->prototype;
		return;
	case PTX_SYMBOL_LABEL:
		if (may_be_label) {
			make_label(parser, name, out);
			return;
		}
		break;
	case PTX_SYMBOL_REGISTER:
		break;
	}
	parser_fail(parser, "unknown name \"%s\"", name);
}

/* + or - and a constant, behind the name of a variable or register. */
static void parse_offset(struct parser *parser, struct ptx_operand *out)
{
	if (parser_at(parser, '-'))
		out->offset = (int64_t)parse_constant(parser);
	else if (parser_accept(parser, '+'))
		out->offset = (int64_t)parse_constant(parser);
}

static void parse_number(struct parser *parser, struct ptx_operand *out)
{
	struct ptx_token literal;

	if (parse_float(parser, &literal)) {
		out->kind = literal.kind == PTX_TOKEN_F32 ? PTX_OPERAND_F32 : PTX_OPERAND_F64;
		out->value = literal.value;
		return;
	}
	out->kind = PTX_OPERAND_INTEGER;
	out->value = parse_constant(parser);
}

static enum ptx_part parse_part(struct parser *parser)
{
	static const char *const words[] = {"", "b0", "b1", "b2", "b3", "h0", "h1"};

	for (unsigned i = PTX_PART_B0; i <= PTX_PART_H1; i++)
		if (parser_accept_word(parser, words[i]))
			return (enum ptx_part)i;
	parser_unexpected(parser, "b0 to b3, h0 or h1");
}

/* h10 or b3210 and the like. */
static void parse_selector(struct parser *parser, struct ptx_operand *out)
{
	const struct ptx_token *token = &parser->lexer.token;

	if (token->kind != PTX_TOKEN_WORD || token->size < 2 || token->size > 5 ||
	    (*token->text != 'h' && *token->text != 'b'))
		parser_unexpected(parser, "a selector as b3210 or h10");
	for (uint32_t i = 1; i < token->size; i++) {
		if (token->text[i] < '0' || token->text[i] > '7')
			parser_unexpected(parser, "a selector as b3210 or h10");
		out->selector = (uint16_t)(out->selector << 4 | (token->text[i] - '0'));
	}
	out->n_selected = (uint8_t)(token->size - 1);
	ptx_lexer_next(&parser->lexer);
}

static void parse_simple(
    struct parser *parser, const struct ptx_opcode_info *info, struct ptx_operand *out)
{
	const struct ptx_token *token = &parser->lexer.token;
	bool is_call = info == ptx_opcode_info(PTX_OP_call);
	uint32_t count;

	if (token->kind != PTX_TOKEN_WORD || parser_at_word(parser, "WARP_SZ")) {
		parse_number(parser, out);
	} else if (parser_accept_word(parser, "_")) {
		out->kind = PTX_OPERAND_SINK;
		out->reg = PTX_NO_REG;
	} else if ((count = find_register(parser, token, &out->reg))) {
		out->kind = PTX_OPERAND_REGISTER;
		ptx_lexer_next(&parser->lexer);
		if (count > 1)
			parse_vector(parser, count, out);
		else if (info->facts & PTX_OP_PARTS && parser_accept(parser, '.'))
			out->part = parse_part(parser);
		else if (info->facts & PTX_OP_SELECT && parser_accept(parser, '.'))
			parse_selector(parser, out);
	} else if (!accept_special(parser, out)) {
		parse_symbol(parser, out, info->facts & PTX_OP_BRANCH, is_call);
		if (out->kind == PTX_OPERAND_VARIABLE)
			parse_offset(parser, out);
	}
}

void parse_operand_list(struct parser *parser, const struct ptx_opcode_info *info, char closing,
    struct ptx_operand *out)
{
	struct ptx_operand elements[MAX_ELEMENTS];
	uint32_t count = 0;

	while (!parser_accept(parser, closing)) {
		if (count && !parser_accept(parser, ','))
			parser_unexpected(parser, "\",\"");
		if (count == MAX_ELEMENTS)
			parser_fail(parser, "more than %d operands in one list", MAX_ELEMENTS);
		elements[count] = (struct ptx_operand){0};
		parse_simple(parser, info, &elements[count++]);
	}
	out->elements = parser_take(parser, count * sizeof(*elements));
	memcpy(out->elements, elements, count * sizeof(*elements));
	out->n_elements = count;
}

/* Behind the base: a sampler and coordinates. */
static void parse_place(
    struct parser *parser, const struct ptx_opcode_info *info, struct ptx_operand *out)
{
	while (parser_accept(parser, ',')) {
		struct ptx_operand *element = &out->elements[out->n_elements++];

		if (out->n_elements > MAX_PLACE)
			parser_fail(parser, "too much in one place of %s", info->name);
		if (!parser_accept(parser, '{')) {
			parse_simple(parser, info, element);
			continue;
		}
		element->kind = PTX_OPERAND_VECTOR;
		parse_operand_list(parser, info, '}', element);
	}
}

static void parse_address(
    struct parser *parser, const struct ptx_opcode_info *info, struct ptx_operand *out)
{
	bool is_place = info->facts & PTX_OP_PLACE;

	out->kind = PTX_OPERAND_ADDRESS;
	out->n_elements = 1;
	out->elements = parser_take(parser, (is_place ? MAX_PLACE : 1) * sizeof(*out->elements));
	parse_simple(parser, info, out->elements);
	switch (out->elements->kind) {
	case PTX_OPERAND_REGISTER:
		parse_offset(parser, out);
		break;
	case PTX_OPERAND_VARIABLE:
	case PTX_OPERAND_INTEGER:
	case PTX_OPERAND_FUNCTION:
		out->offset = out->elements->offset;
		out->elements->offset = 0;
		break;
	default:
		parser_fail(
		    parser, "an address is [register], [variable] or [constant], and an offset");
	}
	if (is_place)
		parse_place(parser, info, out);
	parser_expect(parser, ']');
}

static void parse_pair(
    struct parser *parser, const struct ptx_opcode_info *info, struct ptx_operand *out)
{
	struct ptx_operand *elements = parser_take(parser, 2 * sizeof(*elements));

	elements[0] = *out;
	parse_simple(parser, info, &elements[1]);
	*out =
	    (struct ptx_operand){.kind = PTX_OPERAND_PAIR, .elements = elements, .n_elements = 2};
}

/* Before a name; numbers have signs of their own. */
static bool accept_sign(struct parser *parser, char sign)
{
	struct ptx_lexer before = parser->lexer;

	if (parser_accept(parser, sign)) {
		if (parser->lexer.token.kind == PTX_TOKEN_WORD)
			return true;
		parser->lexer = before;
	}
	return false;
}

void parse_operand(
    struct parser *parser, const struct ptx_opcode_info *info, struct ptx_operand *out)
{
	*out = (struct ptx_operand){0};
	if (parser_accept(parser, '[')) {
		parse_address(parser, info, out);
	} else if (parser_accept(parser, '{')) {
		out->kind = PTX_OPERAND_VECTOR;
		parse_operand_list(parser, info, '}', out);
		if (parser_accept(parser, '|'))
			parse_pair(parser, info, out);
	} else if (info == ptx_opcode_info(PTX_OP_call) && parser_accept(parser, '(')) {
		out->kind = PTX_OPERAND_LIST;
		parse_operand_list(parser, info, ')', out);
	} else {
		out->negated = accept_sign(parser, '!');
		out->minus = info == ptx_opcode_info(PTX_OP_vmad) && accept_sign(parser, '-');
		parse_simple(parser, info, out);
		if (out->negated && out->kind != PTX_OPERAND_REGISTER)
			parser_fail(parser, "\"!\" needs a predicate register");
		if (parser_accept(parser, '|'))
			parse_pair(parser, info, out);
	}
}
