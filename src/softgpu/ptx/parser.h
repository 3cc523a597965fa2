/* Inside the parser: its state and the parts its files use of each other. */
#pragma once

#include <setjmp.h>

#include "base/util.h"
#include "softgpu/ptx/lexer.h"
#include "softgpu/ptx/ptx.h"

#define PARSER_BUCKETS 4096

struct parser_symbol {
	const char *name; /* in the text or the pool; size bytes */
	uint32_t size;
	uint32_t depth; /* 0: module scope */
	enum ptx_symbol_kind kind;
	union {
		struct ptx_variable *variable;
		struct ptx_function *function;
		struct ptx_label *label;
		struct ptx_targets *targets;
		struct ptx_prototype *prototype;
		uint32_t reg; /* the first, of a range */
	};
	uint32_t range;	   /* REGISTER: 0 = one, else the n of %name<n> */
	uint32_t elements; /* REGISTER: of .v2 or .v4, registers one after the other; else 0 or 1 */
	struct parser_symbol *next_in_bucket, *next_in_scope;
};

struct parser_scope {
	struct parser_scope *outer;
	struct parser_symbol *symbols;
};

/*
 * The first error ends the parse: parser_fail() jumps back to ptx_parse(). Nothing is held across
 * the jump but the pool, code and scratch, which ptx_parse() frees; so no function below returns errors.
 */
struct parser {
	struct ptx_lexer lexer;
	struct ptx_unit *unit;
	struct ptx_error *error;
	jmp_buf failure;
	uint32_t depth;
	struct parser_scope *scope;
	struct parser_symbol *buckets[PARSER_BUCKETS];
	struct ptx_variable **variables_tail;
	struct ptx_function **functions_tail;
	/* the function being read */
	struct ptx_function *function;
	struct ptx_reference **references_tail;
	struct ptx_instruction *code; /* heap, grows */
	uint32_t code_capacity;
	uint32_t registers_capacity;
	void *scratch; /* heap, of parse_fuse() */
};

/* parser.c: tokens, errors, memory, symbols */
_Noreturn void parser_fail(struct parser *parser, const char *format, ...) _printf_(2, 3);
void *parser_take(struct parser *parser, size_t size); /* zeroed; fails when out of memory */
bool parser_at(const struct parser *parser, char sign);
bool parser_at_word(const struct parser *parser, const char *word);
bool parser_accept(struct parser *parser, char sign);
bool parser_accept_word(struct parser *parser, const char *word);
/* Fails: wanted is what should stand here. */
_Noreturn void parser_unexpected(struct parser *parser, const char *wanted);
void parser_expect(struct parser *parser, char sign);
const char *parser_word(struct parser *parser, const char *what); /* copy, and past it */
void parser_scope_enter(struct parser *parser);
void parser_scope_leave(struct parser *parser);
struct parser_symbol *parser_find(struct parser *parser, const char *name, size_t size);
struct parser_symbol *parser_define(
    struct parser *parser, enum ptx_symbol_kind kind, const char *name);
void parser_refer(struct parser *parser, struct ptx_variable *variable,
    struct ptx_function *function, bool is_call);

/* parse-constant.c */
uint64_t parse_constant(struct parser *parser);
/* parse-data.c: declarations of variables, their initial values */
/* Behind .attribute: is one of them .managed? .unified(...) tells nothing on one device. */
bool parse_attributes(struct parser *parser);
/* A floating literal with its sign, if one stands here. */
bool parse_float(struct parser *parser, struct ptx_token *out);
enum ptx_type parse_type(struct parser *parser); /* the word behind the dot */
/* Behind the space's word, up to and with the semicolon. */
void parse_variables(struct parser *parser, enum ptx_space space, enum ptx_linkage linkage);
/* One parameter, with its .param or .reg. */
struct ptx_variable *parse_parameter(struct parser *parser);

/* parse-debug.c: behind .loc and .file */
void parse_loc(struct parser *parser);
void parse_file(struct parser *parser);

/* parse-module.c */
void parse_module(struct parser *parser);

/* parse-body.c */
void parse_body(struct parser *parser, struct ptx_function *function);
/* fuse.c: of a body that has been read, makes products and sums one operation where that is what
 * ptxas does. Operands may then have minus. */
void parse_fuse(struct parser *parser, struct ptx_function *function);
/* ( parameters ), at the parenthesis. */
void parse_parameters(struct parser *parser, struct ptx_variable ***out, uint32_t *n_out);
/* New registers; returns the first one's number. */
uint32_t parse_new_registers(struct parser *parser, enum ptx_type type, uint64_t count);

/* parse-operand.c */
void parse_operand(
    struct parser *parser, const struct ptx_opcode_info *info, struct ptx_operand *out);
void parse_operand_list(struct parser *parser, const struct ptx_opcode_info *info, char closing,
    struct ptx_operand *out);
