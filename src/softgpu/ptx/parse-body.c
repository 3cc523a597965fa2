/*
 * Function bodies: registers, labels, instructions, nested scopes (PTX ISA 4.3, 5.4, 9).
 *
 * Labels belong to the scope of their braces: inline assembly brings the same names many times. A
 * label is a pseudo-instruction in the code, so that later stages see one list.
 */
#include <stdlib.h>
#include <string.h>

#include "softgpu/ptx/parser.h"

#define MAX_REGISTERS (1u << 20)
#define MAX_OPERANDS  10
#define MAX_NESTING   64

static void parse_block(struct parser *parser, unsigned nesting);

uint32_t parse_new_registers(struct parser *parser, enum ptx_type type, uint64_t count)
{
	struct ptx_function *function = parser->function;
	uint32_t first = function->n_registers;

	if (count > MAX_REGISTERS - first)
		parser_fail(parser, "more than %u registers in one function", MAX_REGISTERS);
	if (first + count > parser->registers_capacity) {
		uint32_t capacity = MAX(first + (uint32_t)count, parser->registers_capacity * 2);
		enum ptx_type *types = parser_take(parser, capacity * sizeof(*types));

		if (first)
			memcpy(types, function->register_types, first * sizeof(*types));
		function->register_types = types;
		parser->registers_capacity = capacity;
	}
	for (uint32_t i = 0; i < count; i++)
		function->register_types[first + i] = type;
	function->n_registers = first + (uint32_t)count;
	return first;
}

/* .reg .b32 %r<9>, a; .reg .v4 .f32 v; */
static void parse_registers(struct parser *parser)
{
	enum ptx_type type;
	uint32_t elements;

	parser_expect(parser, '.');
	elements = parser_accept_word(parser, "v2") ? 2 : parser_accept_word(parser, "v4") ? 4 : 1;
	if (elements > 1)
		parser_expect(parser, '.');
	type = parse_type(parser);
	do {
		const char *name = parser_word(parser, "register name");
		struct parser_symbol *symbol = parser_define(parser, PTX_SYMBOL_REGISTER, name);
		uint64_t count = 1;

		if (parser_accept(parser, '<')) {
			if (parser->lexer.token.kind != PTX_TOKEN_INTEGER)
				parser_unexpected(parser, "number of registers");
			count = parser->lexer.token.value;
			ptx_lexer_next(&parser->lexer);
			parser_expect(parser, '>');
			symbol->range = (uint32_t)MIN(count, (uint64_t)UINT32_MAX);
		}
		symbol->elements = elements;
		if (count > MAX_REGISTERS)
			parser_fail(
			    parser, "more than %u registers in one function", MAX_REGISTERS);
		symbol->reg = parse_new_registers(parser, type, count * elements);
	} while (parser_accept(parser, ','));
	parser_expect(parser, ';');
}

static struct ptx_instruction *new_instruction(struct parser *parser, enum ptx_opcode opcode)
{
	struct ptx_function *function = parser->function;
	struct ptx_instruction *instruction;

	if (function->n_code == parser->code_capacity) {
		uint32_t capacity = MAX(256u, parser->code_capacity * 2);
		struct ptx_instruction *code = realloc(parser->code, capacity * sizeof(*code));

		if (!code)
			parser_fail(parser, "out of memory");
		parser->code = code;
		parser->code_capacity = capacity;
	}
	instruction = &parser->code[function->n_code++];
	*instruction = (struct ptx_instruction){
	    .opcode = opcode, .line = parser->lexer.token.line, .predicate = PTX_NO_REG};
	return instruction;
}

static void define_label(struct parser *parser, const char *name)
{
	struct ptx_instruction *instruction = new_instruction(parser, PTX_OP_label);
	struct parser_symbol *symbol = parser_find(parser, name, strlen(name));
	struct ptx_label *label;

	if (symbol && symbol->depth == parser->depth && symbol->kind == PTX_SYMBOL_LABEL &&
	    !symbol->label->defined) {
		label = symbol->label;
	} else {
		label = parser_take(parser, sizeof(*label));
		label->id = parser->function->n_labels++;
		label->name = name;
		parser_define(parser, PTX_SYMBOL_LABEL, name)->label = label;
	}
	label->defined = true;
	label->line = instruction->line;
	label->position = parser->function->n_code - 1;
	instruction->n_operands = 1;
	instruction->operands = parser_take(parser, sizeof(*instruction->operands));
	*instruction->operands = (struct ptx_operand){.kind = PTX_OPERAND_LABEL, .label = label};
}

/* name: .branchtargets a, b; */
static void parse_targets(struct parser *parser, const char *name)
{
	struct ptx_targets *targets = parser_take(parser, sizeof(*targets));
	struct ptx_operand list = {0};

	parse_operand_list(parser, ptx_opcode_info(PTX_OP_brx), ';', &list);
	for (uint32_t i = 0; i < list.n_elements; i++)
		if (list.elements[i].kind != PTX_OPERAND_LABEL)
			parser_fail(parser, ".branchtargets takes labels");
	*targets = (struct ptx_targets){.labels = list.elements, .count = list.n_elements};
	parser_define(parser, PTX_SYMBOL_TARGETS, name)->targets = targets;
}

/* name: .callprototype (.param .b32 _) _ (.param .b64 _); or .calltargets f, g; */
static void parse_prototype(struct parser *parser, const char *name, bool is_targets)
{
	struct ptx_prototype *prototype = parser_take(parser, sizeof(*prototype));

	parser_define(parser, PTX_SYMBOL_PROTOTYPE, name)->prototype = prototype;
	if (is_targets) {
		struct ptx_operand functions = {0};

		parse_operand_list(parser, ptx_opcode_info(PTX_OP_call), ';', &functions);
		return;
	}
	if (parser_at(parser, '('))
		parse_parameters(parser, &prototype->returns, &prototype->n_returns);
	parser_word(parser, "\"_\"");
	if (parser_at(parser, '('))
		parse_parameters(parser, &prototype->params, &prototype->n_params);
	ptx_lexer_skip_past(&parser->lexer, ';');
}

static void parse_predicate(struct parser *parser, struct ptx_operand *predicate)
{
	parse_operand(parser, ptx_opcode_info(PTX_OP_selp), predicate);
	if (predicate->kind != PTX_OPERAND_REGISTER ||
	    parser->function->register_types[predicate->reg] != PTX_TYPE_pred)
		parser_fail(parser, "\"@\" needs a predicate register");
}

/* Words of PTX 9.0 that stand for nothing this machine can do. */
static bool is_foreign_word(const struct ptx_token *token)
{
	static const char *const words[] = {"s2f6x2", "scaled", "multimem"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (token->size == strlen(words[i]) && !memcmp(token->text, words[i], token->size))
			return true;
	return false;
}

/* The number behind a letter, up to the next; moves on. */
static bool read_dimension(const char **at, const char *end, char letter, uint16_t *out)
{
	unsigned value = 0;

	if (*at == end || **at != letter)
		return false;
	for ((*at)++; *at < end && **at >= '0' && **at <= '9' && value < 1000; (*at)++)
		value = value * 10 + (unsigned)(**at - '0');
	*out = (uint16_t)value;
	return value;
}

/* m64n8k16 to m64n256k16 and the like: too many for a list. */
static bool parse_shape(const struct ptx_token *token, struct ptx_instruction *instruction)
{
	const char *at = token->text, *end = at + token->size;
	uint16_t m;

	return read_dimension(&at, end, 'm', &m) && m == 64 &&
	       read_dimension(&at, end, 'n', &instruction->shape_n) &&
	       read_dimension(&at, end, 'k', &instruction->shape_k) && at == end;
}

static void parse_modifier(struct parser *parser, struct ptx_instruction *instruction)
{
	const struct ptx_token *token = &parser->lexer.token;
	bool is_word = token->kind == PTX_TOKEN_WORD;
	int found = is_word ? ptx_type_find(token->text, token->size) : -1;

	if (found >= 0) {
		if (instruction->n_types == PTX_MAX_TYPES)
			parser_fail(parser, "too many types");
		instruction->types[instruction->n_types++] = (enum ptx_type)found;
		return;
	}
	found = is_word ? ptx_modifier_find(token->text, token->size) : -1;
	if (found >= 0) {
		instruction->col_first |=
		    found == PTX_MODIFIER_row && ptx_has(instruction, PTX_MODIFIER_col);
		ptx_set(instruction, (enum ptx_modifier)found);
		return;
	}
	if (is_word && parse_shape(token, instruction))
		return;
	if (!is_word || !is_foreign_word(token))
		parser_fail(parser, "unknown modifier \".%.*s\" of %s", (int)MIN(token->size, 60u),
		    token->text, ptx_opcode_info(instruction->opcode)->name);
	instruction->unsupported = true;
}

/* The dotted words behind the opcode. */
static void parse_modifiers(struct parser *parser, struct ptx_instruction *instruction)
{
	while (!instruction->unsupported && parser_accept(parser, '.')) {
		parse_modifier(parser, instruction);
		ptx_lexer_next(&parser->lexer);
	}
}

static void parse_operands(struct parser *parser, struct ptx_instruction *instruction)
{
	const struct ptx_opcode_info *info = ptx_opcode_info(instruction->opcode);
	struct ptx_operand operands[MAX_OPERANDS];
	unsigned count = 0;

	while (!parser_accept(parser, ';')) {
		if (count && !parser_accept(parser, ','))
			parser_unexpected(parser, "\",\" or \";\"");
		if (count == MAX_OPERANDS)
			parser_fail(parser, "too many operands of %s", info->name);
		parse_operand(parser, info, &operands[count++]);
	}
	if (count < info->fewest || count > info->most)
		parser_fail(parser, "%s takes %u to %u operands, not %u", info->name, info->fewest,
		    info->most, count);
	instruction->operands = parser_take(parser, count * sizeof(*operands));
	memcpy(instruction->operands, operands, count * sizeof(*operands));
	instruction->n_operands = (uint8_t)count;
}

static void add_mov(struct parser *parser, const struct ptx_instruction *like,
    const struct ptx_operand *to, const struct ptx_operand *from)
{
	struct ptx_instruction *instruction = new_instruction(parser, PTX_OP_mov);

	*instruction = *like;
	memset(instruction->modifiers, 0, sizeof(instruction->modifiers));
	instruction->operands = parser_take(parser, 2 * sizeof(*instruction->operands));
	instruction->operands[0] = *to;
	instruction->operands[1] = *from;
}

/* The mov.v4 read last becomes one mov for each element, by way of registers of their own: it may
 * exchange some. */
static void split_mov(struct parser *parser)
{
	const struct ptx_instruction whole = parser->code[parser->function->n_code - 1];
	const struct ptx_operand *to = &whole.operands[0], *from = &whole.operands[1];
	uint32_t count = ptx_has(&whole, PTX_MODIFIER_v2) ? 2 : 4;
	struct ptx_operand between = {.kind = PTX_OPERAND_REGISTER};

	if (to->kind != PTX_OPERAND_VECTOR || from->kind != PTX_OPERAND_VECTOR ||
	    to->n_elements != count || from->n_elements != count || !whole.n_types)
		parser_fail(parser, "mov of a vector takes two of %u elements", count);
	parser->function->n_code--;
	between.reg = parse_new_registers(parser, whole.types[0], count);
	for (uint32_t i = 0; i < count; i++, between.reg++)
		add_mov(parser, &whole, &between, &from->elements[i]);
	between.reg -= count;
	for (uint32_t i = 0; i < count; i++, between.reg++)
		if (to->elements[i].kind != PTX_OPERAND_SINK)
			add_mov(parser, &whole, &to->elements[i], &between);
}

static void parse_instruction(
    struct parser *parser, const struct ptx_operand *predicate, const struct ptx_token *word)
{
	int opcode = ptx_opcode_find(word->text, word->size);
	struct ptx_instruction *instruction;

	if (opcode < 0)
		parser_fail(
		    parser, "unknown opcode \"%.*s\"", (int)MIN(word->size, 60u), word->text);
	instruction = new_instruction(parser, (enum ptx_opcode)opcode);
	instruction->line = word->line;
	if (predicate) {
		instruction->predicate = predicate->reg;
		instruction->predicate_negated = predicate->negated;
	}
	parse_modifiers(parser, instruction);
	if (instruction->unsupported)
		ptx_lexer_skip_past(&parser->lexer, ';');
	else
		parse_operands(parser, instruction);
	if (opcode == PTX_OP_mov &&
	    (ptx_has(instruction, PTX_MODIFIER_v2) || ptx_has(instruction, PTX_MODIFIER_v4))) {
		split_mov(parser);
		return;
	}
	if (opcode == PTX_OP_call && instruction->n_operands) {
		const struct ptx_operand *callee = instruction->operands;

		callee += callee->kind == PTX_OPERAND_LIST;
		if (callee->kind == PTX_OPERAND_REGISTER)
			parser->function->has_indirect_call = true;
	}
}

static void parse_directive(struct parser *parser)
{
	if (parser_accept_word(parser, "reg"))
		parse_registers(parser);
	else if (parser_accept_word(parser, "local"))
		parse_variables(parser, PTX_SPACE_LOCAL, PTX_LINKAGE_STATIC);
	else if (parser_accept_word(parser, "shared"))
		parse_variables(parser, PTX_SPACE_SHARED, PTX_LINKAGE_STATIC);
	else if (parser_accept_word(parser, "global"))
		parse_variables(parser, PTX_SPACE_GLOBAL, PTX_LINKAGE_STATIC);
	else if (parser_accept_word(parser, "const"))
		parse_variables(parser, PTX_SPACE_CONST, PTX_LINKAGE_STATIC);
	else if (parser_accept_word(parser, "param"))
		parse_variables(parser, PTX_SPACE_PARAM, PTX_LINKAGE_STATIC);
	else if (parser_accept_word(parser, "loc"))
		parse_loc(parser);
	else if (parser_accept_word(parser, "file"))
		parse_file(parser);
	else if (parser_at_word(parser, "pragma"))
		ptx_lexer_skip_past(&parser->lexer, ';');
	else
		parser_unexpected(parser, "a directive");
}

static void parse_label(struct parser *parser, const char *name)
{
	if (!parser_accept(parser, '.')) {
		define_label(parser, name);
		return;
	}
	if (parser_accept_word(parser, "branchtargets"))
		parse_targets(parser, name);
	else if (parser_accept_word(parser, "callprototype"))
		parse_prototype(parser, name, false);
	else if (parser_accept_word(parser, "calltargets"))
		parse_prototype(parser, name, true);
	else {
		define_label(parser, name);
		parse_directive(parser);
	}
}

static void parse_statement(struct parser *parser, unsigned nesting)
{
	struct ptx_operand predicate;
	bool predicated = false;
	struct ptx_token word;

	if (parser_accept(parser, '.')) {
		parse_directive(parser);
		return;
	}
	if (parser_accept(parser, '{')) {
		parse_block(parser, nesting + 1);
		return;
	}
	if (parser_accept(parser, ';'))
		return;
	if (parser_accept(parser, '@')) {
		if (parser_at(parser, '@')) { /* @@DWARF */
			ptx_lexer_skip_line(&parser->lexer);
			return;
		}
		parse_predicate(parser, &predicate);
		predicated = true;
	}
	word = parser->lexer.token;
	if (word.kind != PTX_TOKEN_WORD)
		parser_unexpected(parser, "an instruction");
	ptx_lexer_next(&parser->lexer);
	if (!predicated && parser_accept(parser, ':')) {
		char *name = parser_take(parser, word.size + 1);

		memcpy(name, word.text, word.size);
		parse_label(parser, name);
		return;
	}
	parse_instruction(parser, predicated ? &predicate : NULL, &word);
}

static void parse_block(struct parser *parser, unsigned nesting)
{
	if (nesting > MAX_NESTING)
		parser_fail(parser, "braces nested too deeply");
	parser_scope_enter(parser);
	while (!parser_accept(parser, '}'))
		parse_statement(parser, nesting);
	parser_scope_leave(parser);
}

/* Behind the opening brace; the parameters' scope is the current one. */
void parse_body(struct parser *parser, struct ptx_function *function)
{
	parse_block(parser, 0);
	function->code = parser_take(parser, function->n_code * sizeof(*function->code));
	if (function->n_code)
		memcpy(function->code, parser->code, function->n_code * sizeof(*function->code));
	function->has_body = true;
	parse_fuse(parser, function);
}
