/*
 * Directives for debuggers (PTX ISA 11.5), of which nothing is kept. Code may stand behind them on
 * the same line, so that they are read to their own ends.
 */
#include "softgpu/ptx/parser.h"

static void skip_number(struct parser *parser, const char *wanted)
{
	if (parser->lexer.token.kind != PTX_TOKEN_INTEGER)
		parser_unexpected(parser, wanted);
	ptx_lexer_next(&parser->lexer);
}

static void skip_place(struct parser *parser)
{
	skip_number(parser, "number of a file");
	skip_number(parser, "line");
	skip_number(parser, "column");
}

void parse_loc(struct parser *parser)
{
	skip_place(parser);
	if (!parser_accept(parser, ','))
		return;
	if (!parser_accept_word(parser, "function_name"))
		parser_unexpected(parser, "function_name");
	parser_word(parser, "label");
	if (parser_accept(parser, '+'))
		skip_number(parser, "offset");
	parser_expect(parser, ',');
	if (!parser_accept_word(parser, "inlined_at"))
		parser_unexpected(parser, "inlined_at");
	skip_place(parser);
}

void parse_file(struct parser *parser)
{
	skip_number(parser, "number of a file");
	if (parser->lexer.token.kind != PTX_TOKEN_STRING)
		parser_unexpected(parser, "name of a file");
	ptx_lexer_next(&parser->lexer);
	if (!parser_accept(parser, ','))
		return;
	skip_number(parser, "time");
	parser_expect(parser, ',');
	skip_number(parser, "size");
}
