/* The words and signs of a PTX text. Used by the parser only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ptx_token_kind {
	PTX_TOKEN_END,
	PTX_TOKEN_WORD,	   /* identifier: letters, digits, _ $ %; "::" inside is part of it */
	PTX_TOKEN_INTEGER, /* value */
	PTX_TOKEN_F32,	   /* value: bits, of 0fXXXXXXXX */
	PTX_TOKEN_F64,	   /* value: bits, of 0dXXXXXXXXXXXXXXXX and decimal literals */
	PTX_TOKEN_STRING,  /* text without the quotes */
	PTX_TOKEN_SIGN,	   /* one character, in sign */
	PTX_TOKEN_BAD,
};

struct ptx_token {
	enum ptx_token_kind kind;
	char sign;
	uint32_t line;
	uint32_t size;
	const char *text;
	uint64_t value;
};

struct ptx_lexer {
	const char *at, *end;
	uint32_t line;
	struct ptx_token token; /* the current one */
};

/* Loads the first token. */
void ptx_lexer_init(struct ptx_lexer *lexer, const char *text, size_t size);
void ptx_lexer_next(struct ptx_lexer *lexer);

/* From behind the current token to the next c outside comments, loading the token after it. False
 * at the end of the text. */
bool ptx_lexer_skip_past(struct ptx_lexer *lexer, char c);

/* From the current token to the first one of the next line. */
void ptx_lexer_skip_line(struct ptx_lexer *lexer);
