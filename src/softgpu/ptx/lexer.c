/*
 * One pass over the text, one token of state, no copies: tokens point into the text. Tables of
 * several megabytes of numbers are ordinary (cuRAND), so integers take the short way through.
 */
#include "softgpu/ptx/lexer.h"

#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
	       c == '$' || c == '%';
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

static bool starts(const struct ptx_lexer *lexer, const char *with)
{
	size_t size = strlen(with);

	return (size_t)(lexer->end - lexer->at) >= size && !memcmp(lexer->at, with, size);
}

static void skip_comment(struct ptx_lexer *lexer)
{
	bool is_line = lexer->at[1] == '/';

	for (lexer->at += 2; lexer->at < lexer->end; lexer->at++) {
		if (*lexer->at == '\n') {
			if (is_line)
				return;
			lexer->line++;
		} else if (!is_line && starts(lexer, "*/")) {
			lexer->at += 2;
			return;
		}
	}
}

static const char *past_spaces(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\r'))
		at++;
	return at;
}

static const char *past_digits(const char *at, const char *end)
{
	while (at < end && is_digit(*at))
		at++;
	return at;
}

/*
 * What a preprocessor leaves where another file begins: # 7 "file" 2, or #line 7 "file", which must
 * be all of the line. Lines are counted as they stand in the text all the same.
 */
static bool skip_marker(struct ptx_lexer *lexer)
{
	const char *end = memchr(lexer->at, '\n', (size_t)(lexer->end - lexer->at)) ?: lexer->end;
	const char *at = past_spaces(lexer->at + 1, end), *number;

	if (end - at > 4 && !memcmp(at, "line", 4))
		at = past_spaces(at + 4, end);
	number = at;
	at = past_spaces(past_digits(at, end), end);
	if (at == number || at == end || *at != '"')
		return false;
	at = memchr(at + 1, '"', (size_t)(end - at - 1));
	if (!at)
		return false;
	for (at++; at < end; at++)
		if (!is_digit(*at) && past_spaces(at, end) == at)
			return false;
	lexer->at = end;
	return true;
}

static void skip_space(struct ptx_lexer *lexer)
{
	while (lexer->at < lexer->end) {
		char c = *lexer->at;

		if (c == '\n')
			lexer->line++;
		else if (c == '/' && (starts(lexer, "//") || starts(lexer, "/*"))) {
			skip_comment(lexer);
			continue;
		} else if (c == '#' && skip_marker(lexer)) {
			continue;
		} else if (c != ' ' && c != '\t' && c != '\r' && c != '\f' && c != '\v')
			return;
		lexer->at++;
	}
}

/* Digits of base; anything but an end of the number behind them makes the token bad. */
static void read_digits(struct ptx_lexer *lexer, unsigned base, unsigned exactly)
{
	const char *from = lexer->at;
	uint64_t value = 0;

	for (; lexer->at < lexer->end && hex_value(*lexer->at) < (int)base; lexer->at++)
		value = value * base + (unsigned)hex_value(*lexer->at);
	lexer->token.value = value;
	if (lexer->at == from || (exactly && lexer->at - from != (ptrdiff_t)exactly))
		lexer->token.kind = PTX_TOKEN_BAD;
}

static void read_decimal_float(struct ptx_lexer *lexer)
{
	char copy[64], *stop;
	size_t size = 0;
	double value;

	while (lexer->at + size < lexer->end && size < sizeof(copy) - 1 &&
	       (is_digit(lexer->at[size]) || strchr(".eE+-", lexer->at[size]))) {
		copy[size] = lexer->at[size];
		size++;
	}
	copy[size] = 0;
	value = strtod(copy, &stop);
	memcpy(&lexer->token.value, &value, sizeof(value));
	lexer->at += stop - copy;
	lexer->token.kind = PTX_TOKEN_F64;
}

static bool is_decimal_float(const struct ptx_lexer *lexer)
{
	const char *c = lexer->at;

	while (c < lexer->end && is_digit(*c))
		c++;
	if (c < lexer->end && *c == '.')
		return c + 1 < lexer->end && is_digit(c[1]);
	return c < lexer->end && (*c == 'e' || *c == 'E');
}

static void read_number(struct ptx_lexer *lexer)
{
	lexer->token.kind = PTX_TOKEN_INTEGER;
	if (starts(lexer, "0x") || starts(lexer, "0X")) {
		lexer->at += 2;
		read_digits(lexer, 16, 0);
	} else if (starts(lexer, "0f") || starts(lexer, "0F")) {
		lexer->at += 2;
		lexer->token.kind = PTX_TOKEN_F32;
		read_digits(lexer, 16, 8);
	} else if (starts(lexer, "0d") || starts(lexer, "0D")) {
		lexer->at += 2;
		lexer->token.kind = PTX_TOKEN_F64;
		read_digits(lexer, 16, 16);
	} else if (starts(lexer, "0b") || starts(lexer, "0B")) {
		lexer->at += 2;
		read_digits(lexer, 2, 0);
	} else if (is_decimal_float(lexer)) {
		read_decimal_float(lexer);
	} else {
		bool is_octal =
		    *lexer->at == '0' && lexer->at + 1 < lexer->end && is_digit(lexer->at[1]);

		read_digits(lexer, is_octal ? 8 : 10, 0);
	}
	if (lexer->token.kind == PTX_TOKEN_INTEGER && lexer->at < lexer->end && *lexer->at == 'U')
		lexer->at++;
	if (lexer->at < lexer->end && is_word(*lexer->at))
		lexer->token.kind = PTX_TOKEN_BAD;
}

/* 1d to 5d, 2dms, 32x128b: the only words that begin with a digit, which is not 0. */
static bool is_geometry(const struct ptx_lexer *lexer)
{
	const char *c = lexer->at;

	while (c < lexer->end && is_digit(*c))
		c++;
	return *lexer->at != '0' && c < lexer->end && (*c == 'd' || *c == 'x');
}

/* % starts the names of registers; alone it is an operator. */
static bool is_remainder(const struct ptx_lexer *lexer)
{
	return *lexer->at == '%' && (lexer->at + 1 == lexer->end || !is_word(lexer->at[1]));
}

static void read_word(struct ptx_lexer *lexer)
{
	lexer->token.kind = PTX_TOKEN_WORD;
	while (lexer->at < lexer->end) {
		if (is_word(*lexer->at))
			lexer->at++;
		else if (starts(lexer, "::") && lexer->end - lexer->at > 2 && is_word(lexer->at[2]))
			lexer->at += 2;
		else
			return;
	}
}

static void read_string(struct ptx_lexer *lexer)
{
	const char *from = ++lexer->at;

	while (lexer->at < lexer->end && *lexer->at != '"' && *lexer->at != '\n')
		lexer->at++;
	lexer->token.kind =
	    lexer->at < lexer->end && *lexer->at == '"' ? PTX_TOKEN_STRING : PTX_TOKEN_BAD;
	lexer->token.text = from;
	lexer->token.size = (uint32_t)(lexer->at - from);
	if (lexer->token.kind == PTX_TOKEN_STRING)
		lexer->at++;
}

void ptx_lexer_next(struct ptx_lexer *lexer)
{
	struct ptx_token *token = &lexer->token;

	skip_space(lexer);
	*token = (struct ptx_token){.line = lexer->line, .text = lexer->at};
	if (lexer->at >= lexer->end)
		return;
	if (*lexer->at == '"') {
		read_string(lexer);
		return;
	}
	if (is_digit(*lexer->at) && !is_geometry(lexer)) {
		read_number(lexer);
	} else if (is_word(*lexer->at) && !is_remainder(lexer)) {
		read_word(lexer);
	} else {
		token->kind = PTX_TOKEN_SIGN;
		token->sign = *lexer->at++;
	}
	token->size = (uint32_t)(lexer->at - token->text);
}

bool ptx_lexer_skip_past(struct ptx_lexer *lexer, char c)
{
	/* The current token may already be c. */
	if (lexer->token.kind != PTX_TOKEN_SIGN || lexer->token.sign != c)
		for (;;) {
			skip_space(lexer);
			if (lexer->at >= lexer->end)
				break;
			if (*lexer->at++ == c)
				break;
		}
	ptx_lexer_next(lexer);
	return lexer->token.kind != PTX_TOKEN_END;
}

void ptx_lexer_skip_line(struct ptx_lexer *lexer)
{
	while (lexer->at < lexer->end && *lexer->at != '\n')
		lexer->at++;
	ptx_lexer_next(lexer);
}

void ptx_lexer_init(struct ptx_lexer *lexer, const char *text, size_t size)
{
	const char *nul = memchr(text, 0, size);

	*lexer = (struct ptx_lexer){.at = text, .end = nul ?: text + size, .line = 1};
	ptx_lexer_next(lexer);
}
