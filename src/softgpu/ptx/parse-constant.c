/*
 * Constant expressions (PTX ISA 4.5): 64 bits, signed but for numbers that say otherwise or fit no
 * other way. Operators come from the lexer as signs, one character each.
 */

#include "softgpu/ptx/parser.h"

#define MAX_NESTING 64

struct number {
	uint64_t value;
	bool is_unsigned;
};

/* By rising precedence; those that begin like another come first. */
struct binary {
	char text[3];
	uint8_t level;
};
static const struct binary binaries[] = {{"||", 0}, {"&&", 1}, {"|", 2}, {"^", 3}, {"&", 4},
    {"==", 5}, {"!=", 5}, {"<<", 7}, {">>", 7}, {"<=", 6}, {">=", 6}, {"<", 6}, {">", 6}, {"+", 8},
    {"-", 8}, {"*", 9}, {"/", 9}, {"%", 9}};
#define LEVELS 10

static struct number parse_level(struct parser *parser, unsigned level, unsigned nesting);
static struct number parse_choice(struct parser *parser, unsigned nesting);

static struct number number(uint64_t value, bool is_unsigned)
{
	return (struct number){value, is_unsigned};
}

/* 10U, or more than signed numbers have. */
static struct number parse_literal(struct parser *parser)
{
	const struct ptx_token *token = &parser->lexer.token;
	struct number n;

	if (parser_accept_word(parser, "WARP_SZ"))
		return number(32, false);
	if (token->kind != PTX_TOKEN_INTEGER)
		parser_unexpected(parser, "integer");
	n = number(token->value, token->value > INT64_MAX || token->text[token->size - 1] == 'U');
	ptx_lexer_next(&parser->lexer);
	return n;
}

/* Behind "(": a cast, as (.s64), or an expression. */
static struct number parse_bracket(struct parser *parser, unsigned nesting);

static struct number parse_unary(struct parser *parser, unsigned nesting)
{
	struct number n;

	if (nesting > MAX_NESTING)
		parser_fail(parser, "expression nested too deeply");
	if (parser_accept(parser, '-')) {
		n = parse_unary(parser, nesting + 1);
		return number(-n.value, n.is_unsigned);
	}
	if (parser_accept(parser, '+'))
		return parse_unary(parser, nesting + 1);
	if (parser_accept(parser, '~'))
		return number(~parse_unary(parser, nesting + 1).value, true);
	if (parser_accept(parser, '!'))
		return number(!parse_unary(parser, nesting + 1).value, false);
	if (parser_accept(parser, '('))
		return parse_bracket(parser, nesting + 1);
	return parse_literal(parser);
}

static struct number parse_bracket(struct parser *parser, unsigned nesting)
{
	struct number n;
	bool is_cast = parser_accept(parser, '.'), is_unsigned = false;

	if (is_cast)
		is_unsigned = !ptx_type_is_signed(parse_type(parser));
	else
		n = parse_choice(parser, nesting);
	parser_expect(parser, ')');
	return is_cast ? number(parse_unary(parser, nesting).value, is_unsigned) : n;
}

/* Rests are unsigned. */
static struct number divide(
    struct parser *parser, struct number a, struct number b, bool wants_rest)
{
	if (!b.value)
		parser_fail(parser, "division by zero in a constant");
	if (wants_rest)
		return number(a.value % b.value, true);
	if (a.is_unsigned || b.is_unsigned)
		return number(a.value / b.value, true);
	if (b.value == UINT64_MAX) /* the least number has no opposite */
		return number(-a.value, false);
	return number((uint64_t)((int64_t)a.value / (int64_t)b.value), false);
}

static struct number shift(struct number a, uint64_t count, bool is_left)
{
	bool is_negative = !a.is_unsigned && a.value >> 63;

	if (count > 63)
		a.value = is_left || !is_negative ? 0 : UINT64_MAX;
	else if (is_left)
		a.value <<= count;
	else
		a.value =
		    a.value >> count | (is_negative && count ? UINT64_MAX << (64 - count) : 0);
	return a;
}

static bool is_less(struct number a, struct number b)
{
	if (a.is_unsigned || b.is_unsigned)
		return a.value < b.value;
	return (int64_t)a.value < (int64_t)b.value;
}

static struct number apply(
    struct parser *parser, const char *text, struct number a, struct number b)
{
	bool is_unsigned = a.is_unsigned || b.is_unsigned;

	switch (text[0]) {
	case '|':
		return text[1] ? number(a.value || b.value, false)
			       : number(a.value | b.value, true);
	case '&':
		return text[1] ? number(a.value && b.value, false)
			       : number(a.value & b.value, true);
	case '^':
		return number(a.value ^ b.value, true);
	case '=':
		return number(a.value == b.value, false);
	case '!':
		return number(a.value != b.value, false);
	case '<':
		return text[1] == '<'	? shift(a, b.value, true)
		       : text[1] == '=' ? number(!is_less(b, a), false)
					: number(is_less(a, b), false);
	case '>':
		return text[1] == '>'	? shift(a, b.value, false)
		       : text[1] == '=' ? number(!is_less(a, b), false)
					: number(is_less(b, a), false);
	case '+':
		return number(a.value + b.value, is_unsigned);
	case '-':
		return number(a.value - b.value, is_unsigned);
	case '*':
		return number(a.value * b.value, is_unsigned);
	default:
		return divide(parser, a, b, text[0] == '%');
	}
}

/* The operator that stands here, if it is of that level. */
static const struct binary *accept_binary(struct parser *parser, unsigned level)
{
	struct ptx_lexer *lexer = &parser->lexer;

	if (lexer->token.kind != PTX_TOKEN_SIGN)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(binaries); i++) {
		const struct binary *binary = &binaries[i];
		bool is_double = binary->text[1];

		if (lexer->token.sign != binary->text[0] ||
		    (is_double && (lexer->at == lexer->end || *lexer->at != binary->text[1])))
			continue;
		if (binary->level != level)
			return NULL;
		ptx_lexer_next(lexer);
		if (is_double)
			ptx_lexer_next(lexer);
		return binary;
	}
	return NULL;
}

static struct number parse_level(struct parser *parser, unsigned level, unsigned nesting)
{
	const struct binary *binary;
	struct number value;

	if (level == LEVELS)
		return parse_unary(parser, nesting);
	value = parse_level(parser, level + 1, nesting);
	while ((binary = accept_binary(parser, level)))
		value = apply(parser, binary->text, value, parse_level(parser, level + 1, nesting));
	return value;
}

/* a ? b : c */
static struct number parse_choice(struct parser *parser, unsigned nesting)
{
	struct number value, others[2];

	if (nesting > MAX_NESTING)
		parser_fail(parser, "expression nested too deeply");
	value = parse_level(parser, 0, nesting);
	if (!parser_accept(parser, '?'))
		return value;
	others[0] = parse_choice(parser, nesting + 1);
	parser_expect(parser, ':');
	others[1] = parse_choice(parser, nesting + 1);
	return others[!value.value];
}

uint64_t parse_constant(struct parser *parser)
{
	return parse_choice(parser, 0).value;
}
