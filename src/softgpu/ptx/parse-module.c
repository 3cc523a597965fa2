/* The top level of a PTX text: directives, kernels and functions (PTX ISA 11). */
#include <string.h>

#include "softgpu/ptx/parser.h"

#define MAX_PARAMETERS 4096

void parse_parameters(struct parser *parser, struct ptx_variable ***out, uint32_t *n_out)
{
	struct ptx_variable **list = NULL;
	uint32_t count = 0, capacity = 0;

	parser_expect(parser, '(');
	while (!parser_accept(parser, ')')) {
		if (count && !parser_accept(parser, ','))
			parser_unexpected(parser, "\",\" or \")\"");
		if (count == MAX_PARAMETERS)
			parser_fail(parser, "more than %d parameters", MAX_PARAMETERS);
		if (count == capacity) {
			struct ptx_variable **larger;

			capacity = MAX(8u, capacity * 2);
			larger = parser_take(parser, capacity * sizeof(*larger));
			if (count)
				memcpy(larger, list, count * sizeof(*list));
			list = larger;
		}
		list[count++] = parse_parameter(parser);
	}
	*out = list;
	*n_out = count;
}

static void define_parameters(struct parser *parser, struct ptx_variable **list, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct ptx_variable *variable = list[i];

		variable->id = parser->unit->n_variables++;
		variable->scope = parser->function;
		if (!strcmp(variable->name, "_"))
			continue;
		if (variable->space == PTX_SPACE_REG) {
			variable->reg = parse_new_registers(parser, variable->type, 1);
			parser_define(parser, PTX_SYMBOL_REGISTER, variable->name)->reg =
			    variable->reg;
		} else {
			parser_define(parser, PTX_SYMBOL_VARIABLE, variable->name)->variable =
			    variable;
		}
	}
}

/* The packed buffer of a kernel: each parameter at the next multiple of its alignment. */
static void lay_out_parameters(struct parser *parser, struct ptx_function *function)
{
	uint64_t offset = 0;

	for (uint32_t i = 0; i < function->n_params; i++) {
		struct ptx_variable *param = function->params[i];

		if (param->space == PTX_SPACE_REG)
			parser_fail(parser, "kernel parameters must be .param");
		offset = align_up(offset, param->align);
		param->is_kernel_param = true;
		param->offset = (uint32_t)offset;
		offset += param->size;
		if (offset > 1u << 20)
			parser_fail(parser, "parameters of \"%s\" are too large", function->name);
	}
	function->param_bytes = (uint32_t)offset;
}

static void parse_triple(struct parser *parser, uint32_t out[3])
{
	out[1] = out[2] = 1;
	for (int i = 0; i < 3; i++) {
		out[i] = (uint32_t)parse_constant(parser);
		if (!parser_accept(parser, ','))
			return;
	}
}

/* .maxntid 256, 1, 1 .minnctapersm 2 ... up to the body or the semicolon. */
static void parse_function_directives(struct parser *parser, struct ptx_function *function)
{
	while (parser_accept(parser, '.')) {
		if (parser_accept_word(parser, "maxntid"))
			parse_triple(parser, function->max_ntid);
		else if (parser_accept_word(parser, "reqntid"))
			parse_triple(parser, function->required_ntid);
		else if (parser_accept_word(parser, "reqnctapercluster"))
			parse_triple(parser, function->required_cluster);
		else if (parser_accept_word(parser, "explicitcluster"))
			function->explicit_cluster = true;
		else if (parser_accept_word(parser, "blocksareclusters"))
			function->blocks_are_clusters = true;
		else if (parser_at_word(parser, "pragma"))
			ptx_lexer_skip_past(&parser->lexer, ';');
		else if (parser_accept_word(parser, "attribute"))
			parse_attributes(parser);
		else {
			uint32_t ignored[3];

			parser_word(parser, "directive");
			if (parser->lexer.token.kind == PTX_TOKEN_INTEGER)
				parse_triple(parser, ignored);
		}
	}
}

/* A function may be declared, even several times, before it is defined: earlier users of the name
 * then find the definition through ->definition. */
static void keep_function(struct parser *parser, struct ptx_function *function)
{
	struct parser_symbol *known = parser_find(parser, function->name, strlen(function->name));

	function->id = parser->unit->n_functions++;
	*parser->functions_tail = function;
	parser->functions_tail = &function->next;
	if (!known) {
		parser_define(parser, PTX_SYMBOL_FUNCTION, function->name)->function = function;
		return;
	}
	if (known->kind != PTX_SYMBOL_FUNCTION)
		parser_fail(parser, "\"%s\" is declared twice", function->name);
}

static void settle_definition(struct parser *parser, struct ptx_function *function)
{
	struct ptx_function *known =
	    parser_find(parser, function->name, strlen(function->name))->function;

	if (known == function)
		return;
	if (function->has_body && known->definition->has_body)
		parser_fail(parser, "\"%s\" is defined twice", function->name);
	if (function->has_body)
		known->definition = function;
	else
		function->definition = known->definition;
}

static void parse_function(struct parser *parser, enum ptx_linkage linkage, bool is_entry)
{
	struct ptx_function *function = parser_take(parser, sizeof(*function));

	function->linkage = linkage;
	function->is_entry = is_entry;
	function->unit = parser->unit;
	function->definition = function;
	function->line = parser->lexer.token.line;
	parser->function = function;
	parser->references_tail = &function->references;
	parser->registers_capacity = 0;
	if (parser_accept(parser, '.')) {
		if (!parser_accept_word(parser, "attribute"))
			parser_unexpected(parser, "attribute");
		parse_attributes(parser);
	}
	if (parser_at(parser, '('))
		parse_parameters(parser, &function->returns, &function->n_returns);
	function->name = parser_word(parser, "function name");
	keep_function(parser, function);
	if (parser_at(parser, '('))
		parse_parameters(parser, &function->params, &function->n_params);
	parse_function_directives(parser, function);
	if (is_entry)
		lay_out_parameters(parser, function);
	if (!parser_accept(parser, ';')) {
		parser_expect(parser, '{');
		parser_scope_enter(parser);
		define_parameters(parser, function->returns, function->n_returns);
		define_parameters(parser, function->params, function->n_params);
		parse_body(parser, function);
		parser_scope_leave(parser);
	}
	parser->function = NULL;
	settle_definition(parser, function);
}

/* 9.0 comes as a floating literal; its digits count, not its value. */
static void parse_version(struct parser *parser)
{
	const struct ptx_token *token = &parser->lexer.token;
	const char *dot = memchr(token->text, '.', token->size);

	if (token->kind != PTX_TOKEN_F64 || !dot || dot - token->text > 2 || token->size > 5)
		parser_unexpected(parser, "version number");
	for (const char *c = token->text; c < token->text + token->size; c++)
		if (c != dot)
			parser->unit->version = parser->unit->version * 10 + (unsigned)(*c - '0');
	ptx_lexer_next(&parser->lexer);
}

/* The number behind what the word starts with, whatever letter follows. */
static bool read_architecture(const struct ptx_token *word, const char *start, unsigned *number)
{
	const size_t most_digits = 6, size = strlen(start);
	unsigned value = 0;
	size_t at = size;

	if (word->size < size || memcmp(word->text, start, size) != 0)
		return false;
	for (; at < MIN(word->size, size + most_digits); at++) {
		if (word->text[at] < '0' || word->text[at] > '9')
			break;
		value = value * 10 + (unsigned)(word->text[at] - '0');
	}
	if (at > size)
		*number = value;
	return at > size;
}

/* .target sm_80, debug; compute_80 is the same. */
static void parse_target(struct parser *parser)
{
	do {
		const struct ptx_token *token = &parser->lexer.token;

		if (!read_architecture(token, "sm_", &parser->unit->target))
			read_architecture(token, "compute_", &parser->unit->target);
		parser_word(parser, "target");
	} while (parser_accept(parser, ','));
}

static void parse_address_size(struct parser *parser)
{
	if (parse_constant(parser) != 64)
		parser_fail(parser, "only .address_size 64 is supported");
}

static bool parse_linkage(struct parser *parser, enum ptx_linkage *out)
{
	static const struct {
		const char *word;
		enum ptx_linkage linkage;
	} words[] = {
	    {"visible", PTX_LINKAGE_VISIBLE},
	    {"extern", PTX_LINKAGE_EXTERN},
	    {"weak", PTX_LINKAGE_WEAK},
	    {"common", PTX_LINKAGE_COMMON},
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (parser_accept_word(parser, words[i].word)) {
			*out = words[i].linkage;
			return true;
		}
	return false;
}

static void parse_alias(struct parser *parser)
{
	const char *name = parser_word(parser, "name");
	struct parser_symbol *alias = parser_find(parser, name, strlen(name)), *target;

	parser_expect(parser, ',');
	name = parser_word(parser, "name");
	target = parser_find(parser, name, strlen(name));
	if (!alias || !target || alias->kind != PTX_SYMBOL_FUNCTION ||
	    target->kind != PTX_SYMBOL_FUNCTION)
		parser_fail(parser, ".alias needs two functions");
	alias->function->definition = target->function->definition;
	parser_expect(parser, ';');
}

static void parse_top_directive(struct parser *parser)
{
	enum ptx_linkage linkage = PTX_LINKAGE_STATIC;

	if (parse_linkage(parser, &linkage))
		parser_expect(parser, '.');
	if (parser_accept_word(parser, "entry"))
		parse_function(parser, linkage, true);
	else if (parser_accept_word(parser, "func"))
		parse_function(parser, linkage, false);
	else if (parser_accept_word(parser, "global"))
		parse_variables(parser, PTX_SPACE_GLOBAL, linkage);
	else if (parser_accept_word(parser, "const"))
		parse_variables(parser, PTX_SPACE_CONST, linkage);
	else if (parser_accept_word(parser, "shared"))
		parse_variables(parser, PTX_SPACE_SHARED, linkage);
	else if (parser_accept_word(parser, "version"))
		parse_version(parser);
	else if (parser_accept_word(parser, "target"))
		parse_target(parser);
	else if (parser_accept_word(parser, "address_size"))
		parse_address_size(parser);
	else if (parser_accept_word(parser, "alias"))
		parse_alias(parser);
	else if (parser_accept_word(parser, "file"))
		parse_file(parser);
	else if (parser_accept_word(parser, "loc"))
		parse_loc(parser);
	else if (parser_at_word(parser, "pragma"))
		ptx_lexer_skip_past(&parser->lexer, ';');
	else if (parser_at_word(parser, "section"))
		ptx_lexer_skip_past(&parser->lexer, '}');
	else
		parser_unexpected(parser, "a directive");
}

void parse_module(struct parser *parser)
{
	if (!parser_accept(parser, '.') || !parser_accept_word(parser, "version"))
		parser_fail(parser, "PTX starts with .version");
	parse_version(parser);
	while (parser->lexer.token.kind != PTX_TOKEN_END) {
		if (parser_accept(parser, '@')) {
			ptx_lexer_skip_line(&parser->lexer);
			continue;
		}
		if (parser_accept(parser, ';'))
			continue;
		parser_expect(parser, '.');
		parse_top_directive(parser);
	}
	if (!parser->unit->target)
		parser_fail(parser, ".target is missing");
}
