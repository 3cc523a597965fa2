/*
 * The PTX parser: recursive descent over one token of look-ahead. This file keeps its state:
 * errors, memory and the symbol table; parse-module.c reads the top level, parse-data.c variables,
 * parse-body.c functions, parse-operand.c operands.
 *
 * Symbols of all scopes share one hash table. A nested scope's symbols come first in their buckets,
 * so that the first match is the innermost; leaving a scope takes them off again. Whole modules are
 * parsed at load, not function by function: it is quick, and errors are known when they are asked
 * for.
 */
#include "softgpu/ptx/parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The tree of a text is some 30 times its size; large zero-padded initialisers come on top. */
#define MEMORY_BASE   (64u << 20)
#define MEMORY_FACTOR 256u

_Noreturn void parser_fail(struct parser *parser, const char *format, ...)
{
	va_list arguments;

	parser->error->line = parser->lexer.token.line;
	va_start(arguments, format);
	vsnprintf(parser->error->text, sizeof(parser->error->text), format, arguments);
	va_end(arguments);
	longjmp(parser->failure, 1);
}

void *parser_take(struct parser *parser, size_t size)
{
	void *piece = pool_take(&parser->unit->pool, size);

	if (!piece)
		parser_fail(parser, "out of memory");
	return piece;
}

bool parser_at(const struct parser *parser, char sign)
{
	return parser->lexer.token.kind == PTX_TOKEN_SIGN && parser->lexer.token.sign == sign;
}

bool parser_at_word(const struct parser *parser, const char *word)
{
	const struct ptx_token *token = &parser->lexer.token;

	return token->kind == PTX_TOKEN_WORD && token->size == strlen(word) &&
	       !memcmp(token->text, word, token->size);
}

bool parser_accept(struct parser *parser, char sign)
{
	if (!parser_at(parser, sign))
		return false;
	ptx_lexer_next(&parser->lexer);
	return true;
}

bool parser_accept_word(struct parser *parser, const char *word)
{
	if (!parser_at_word(parser, word))
		return false;
	ptx_lexer_next(&parser->lexer);
	return true;
}

_Noreturn void parser_unexpected(struct parser *parser, const char *wanted)
{
	const struct ptx_token *token = &parser->lexer.token;

	if (token->kind == PTX_TOKEN_END)
		parser_fail(parser, "%s expected at the end of the text", wanted);
	parser_fail(
	    parser, "%s expected at \"%.*s\"", wanted, (int)MIN(token->size, 60u), token->text);
}

void parser_expect(struct parser *parser, char sign)
{
	char wanted[] = {'"', sign, '"', 0};

	if (!parser_accept(parser, sign))
		parser_unexpected(parser, wanted);
}

const char *parser_word(struct parser *parser, const char *what)
{
	const struct ptx_token *token = &parser->lexer.token;
	char *copy;

	if (token->kind != PTX_TOKEN_WORD)
		parser_unexpected(parser, what);
	copy = parser_take(parser, token->size + 1);
	memcpy(copy, token->text, token->size);
	ptx_lexer_next(&parser->lexer);
	return copy;
}

static struct parser_symbol **bucket(struct parser *parser, const char *name, size_t size)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < size; i++)
		h = (h ^ (unsigned char)name[i]) * 16777619u;
	return &parser->buckets[(h ^ h >> 13) % PARSER_BUCKETS];
}

struct parser_symbol *parser_find(struct parser *parser, const char *name, size_t size)
{
	struct parser_symbol *symbol = *bucket(parser, name, size);

	while (symbol && (symbol->size != size || memcmp(symbol->name, name, size)))
		symbol = symbol->next_in_bucket;
	return symbol;
}

struct parser_symbol *parser_define(
    struct parser *parser, enum ptx_symbol_kind kind, const char *name)
{
	size_t size = strlen(name);
	struct parser_symbol **head = bucket(parser, name, size);
	struct parser_symbol *symbol = parser_find(parser, name, size);

	if (symbol && symbol->depth == parser->depth)
		parser_fail(parser, "\"%s\" is declared twice", name);
	symbol = parser_take(parser, sizeof(*symbol));
	*symbol = (struct parser_symbol){
	    .name = name,
	    .size = (uint32_t)size,
	    .depth = parser->depth,
	    .kind = kind,
	    .next_in_bucket = *head,
	    .next_in_scope = parser->scope ? parser->scope->symbols : NULL,
	};
	*head = symbol;
	if (parser->scope)
		parser->scope->symbols = symbol;
	return symbol;
}

void parser_scope_enter(struct parser *parser)
{
	struct parser_scope *scope = parser_take(parser, sizeof(*scope));

	scope->outer = parser->scope;
	parser->scope = scope;
	parser->depth++;
}

/* A label that was used but not defined in the scope just left is the enclosing scope's. */
static void pass_label_outwards(struct parser *parser, const char *name, struct ptx_label *label)
{
	struct parser_symbol *outer = parser_find(parser, name, strlen(name));

	if (!parser->depth || (outer && outer->kind != PTX_SYMBOL_LABEL)) {
		parser->lexer.token.line = label->line;
		parser_fail(parser, "unknown label \"%s\"", name);
	}
	if (outer)
		label->outer = outer->label;
	else
		parser_define(parser, PTX_SYMBOL_LABEL, name)->label = label;
}

void parser_scope_leave(struct parser *parser)
{
	struct parser_symbol *symbols = parser->scope->symbols;

	for (struct parser_symbol *s = symbols; s; s = s->next_in_scope) {
		struct parser_symbol **at = bucket(parser, s->name, s->size);

		while (*at != s)
			at = &(*at)->next_in_bucket;
		*at = s->next_in_bucket;
	}
	parser->scope = parser->scope->outer;
	parser->depth--;
	for (struct parser_symbol *s = symbols; s; s = s->next_in_scope)
		if (s->kind == PTX_SYMBOL_LABEL && !s->label->defined)
			pass_label_outwards(parser, s->label->name, s->label);
}

void parser_refer(struct parser *parser, struct ptx_variable *variable,
    struct ptx_function *function, bool is_call)
{
	uint32_t stamp = parser->function->id + 1;
	uint32_t *seen = variable  ? &variable->seen_by
			 : is_call ? &function->called_by
				   : &function->seen_by;
	struct ptx_reference *reference;

	if (*seen == stamp)
		return;
	*seen = stamp;
	reference = parser_take(parser, sizeof(*reference));
	*reference =
	    (struct ptx_reference){.variable = variable, .function = function, .is_call = is_call};
	*parser->references_tail = reference;
	parser->references_tail = &reference->next;
}

/* Apart, so that no variable of the caller is live across the jump. */
static bool parse_guarded(struct parser *parser)
{
	if (setjmp(parser->failure))
		return false;
	parse_module(parser);
	return true;
}

struct ptx_unit *ptx_parse(const char *name, const char *text, size_t size, struct ptx_error *error)
{
	struct ptx_unit *unit = calloc(1, sizeof(*unit));
	struct parser *parser = calloc(1, sizeof(*parser));
	bool parsed = false;

	*error = (struct ptx_error){.text = "out of memory"};
	if (unit && parser) {
		pool_init(&unit->pool, MEMORY_BASE + size * MEMORY_FACTOR);
		unit->name = name;
		parser->unit = unit;
		parser->error = error;
		parser->variables_tail = &unit->variables;
		parser->functions_tail = &unit->functions;
		ptx_lexer_init(&parser->lexer, text, size);
		parsed = parse_guarded(parser);
		free(parser->code);
		free(parser->scratch);
	}
	free(parser);
	if (parsed)
		return unit;
	ptx_unit_free(unit);
	return NULL;
}

void ptx_unit_free(struct ptx_unit *unit)
{
	if (unit)
		pool_fini(&unit->pool);
	free(unit);
}
