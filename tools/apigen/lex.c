/*
 * Words, numbers and single marks; `#` comments to the end of the line. The text may hold any
 * bytes: it is also what the fuzzer feeds. After an error only TOKEN_END comes.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "apigen.h"

static void lex_skip(struct lexer *lexer)
{
	while (lexer->at < lexer->end) {
		char c = *lexer->at;
		if (c == '#') {
			while (lexer->at < lexer->end && *lexer->at != '\n')
				lexer->at++;
		} else if (c == '\n') {
			lexer->place.line++;
			lexer->at++;
		} else if (c == ' ' || c == '\t') {
			lexer->at++;
		} else {
			return;
		}
	}
}

static bool lex_in_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static struct token lex_fail(struct lexer *lexer, const char *message)
{
	api_error(lexer->api, lexer->place, "%s", message);
	lexer->at = lexer->end;
	return (struct token){TOKEN_END, "the end", 0, lexer->place};
}

struct token lex_next(struct lexer *lexer)
{
	lex_skip(lexer);
	if (lexer->at == lexer->end)
		return (struct token){TOKEN_END, "the end", 0, lexer->place};

	const char *start = lexer->at;
	if (!lex_in_word(*start)) {
		if (!strchr("()*,;+", *start) || !*start)
			return lex_fail(
			    lexer, api_text(lexer->api, "byte 0x%02x has no meaning here",
				       (uint8_t)*start));
		lexer->at++;
		return (struct token){
		    TOKEN_MARK, api_text(lexer->api, "%c", *start), 0, lexer->place};
	}

	while (lexer->at < lexer->end && lex_in_word(*lexer->at))
		lexer->at++;
	const char *text = api_text(lexer->api, "%.*s", (int)(lexer->at - start), start);
	if (!isdigit((unsigned char)*text))
		return (struct token){TOKEN_WORD, text, 0, lexer->place};

	char *end;
	uint64_t number = strtoull(text, &end, 0);
	if (*end || strlen(text) > 18)
		return lex_fail(lexer, api_text(lexer->api, "\"%s\" is not a number", text));
	return (struct token){TOKEN_NUMBER, text, number, lexer->place};
}
