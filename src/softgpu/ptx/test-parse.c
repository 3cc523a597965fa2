/* The parser's tree and the lines it blames. What programs compute is tested in softgpu/exec. */
#include "base/test.h"
#include "softgpu/ptx/lexer.h"
#include "softgpu/ptx/ptx.h"

#define HEAD ".version 8.5\n.target sm_90a, debug\n.address_size 64\n"

static struct ptx_unit *parse(const char *text)
{
	struct ptx_error error;
	struct ptx_unit *unit = ptx_parse("test", text, strlen(text), &error);

	if (!unit)
		test_fail(__FILE__, __LINE__, "%u: %s", error.line, error.text);
	return unit;
}

TEST(tokens)
{
	static const char text[] =
	    "%r1 $L_2 // rest\n/* a\n b */ 0x1F 017 0b11 9U 0f3F800000 0d3FF0000000000000 1.5 "
	    "2e3 L1::no_allocate \"a b\" [ -";
	struct ptx_lexer lexer;

	ptx_lexer_init(&lexer, text, sizeof(text));
	CHECK(lexer.token.kind == PTX_TOKEN_WORD && lexer.token.size == 3);
	ptx_lexer_next(&lexer);
	CHECK(lexer.token.kind == PTX_TOKEN_WORD && lexer.token.size == 4);
	for (int i = 0; i < 4; i++) {
		static const unsigned values[] = {31, 15, 3, 9};

		ptx_lexer_next(&lexer);
		CHECK_EQ(lexer.token.kind, PTX_TOKEN_INTEGER);
		CHECK_EQ(lexer.token.value, values[i]);
		CHECK_EQ(lexer.token.line, 3);
	}
	ptx_lexer_next(&lexer);
	CHECK(lexer.token.kind == PTX_TOKEN_F32 && lexer.token.value == 0x3f800000);
	for (int i = 0; i < 3; i++) {
		static const double values[] = {1, 1.5, 2000};

		ptx_lexer_next(&lexer);
		CHECK_EQ(lexer.token.kind, PTX_TOKEN_F64);
		CHECK_BYTES(&lexer.token.value, &values[i], 8);
	}
	ptx_lexer_next(&lexer);
	CHECK(lexer.token.kind == PTX_TOKEN_WORD && lexer.token.size == 15);
	ptx_lexer_next(&lexer);
	CHECK(lexer.token.kind == PTX_TOKEN_STRING && lexer.token.size == 3);
	ptx_lexer_next(&lexer);
	CHECK(lexer.token.kind == PTX_TOKEN_SIGN && lexer.token.sign == '[');
	ptx_lexer_next(&lexer);
	ptx_lexer_next(&lexer);
	CHECK_EQ(lexer.token.kind, PTX_TOKEN_END);
}

TEST(bad_numbers)
{
	static const char *const bad[] = {"0x", "0f123", "0d3FF", "12ab", "0b2", "089"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct ptx_lexer lexer;

		ptx_lexer_init(&lexer, bad[i], strlen(bad[i]));
		CHECK_EQ(lexer.token.kind, PTX_TOKEN_BAD);
	}
}

TEST(header_and_kernel)
{
	struct ptx_unit *unit = parse(
	    HEAD ".file 1 \"a.cu\"\n.visible .entry k(\n.param .u64 .ptr .global .align 16 a,\n"
		 ".param .align 8 .b8 b[12],\n.param .u16 c\n)\n.maxntid 256, 2\n.minnctapersm "
		 "2\n.pragma \"x\";\n{\n"
		 ".loc 1 2 3, function_name $x, inlined_at 1 4 5\nret;\n}\n"
		 ".section .debug_str { .b8 1, 2\n $l: .b8 3 }\n");
	struct ptx_function *k = unit->functions;

	CHECK_EQ(unit->version, 85);
	CHECK_EQ(unit->target, 90);
	CHECK_STR(k->name, "k");
	CHECK_EQ(k->n_params, 3);
	CHECK_EQ(k->params[1]->offset, 8); /* the 16 is about what a points to */
	CHECK_EQ(k->params[1]->size, 12);
	CHECK_EQ(k->params[2]->offset, 20);
	CHECK_EQ(k->param_bytes, 22);
	CHECK_EQ(k->max_ntid[0], 256);
	CHECK_EQ(k->max_ntid[1], 2);
	CHECK_EQ(k->max_ntid[2], 1);
	CHECK_EQ(k->n_code, 1);
	CHECK_EQ(k->code->line, 15);
	ptx_unit_free(unit);
}

TEST(instructions)
{
	struct ptx_unit *unit =
	    parse(HEAD ".global .u32 g[8];\n.entry k() { .reg .pred %p<3>; .reg .b32 %r<5>; .reg "
		       ".b64 %d, %e;\n"
		       "@!%p1 ld.global.L1::no_allocate.v2.u32 {%r1, _}, [%d+-8];\n"
		       "setp.lt.and.s32 %p1|%p2, %r2, -5, !%p0;\n"
		       "mov.u64 %e, g+12; mov.u32 %r4, %tid.x; mov.u32 %r4, %envreg17; }\n");
	struct ptx_instruction *code = unit->functions->code;
	const struct ptx_operand *o = code[0].operands;

	CHECK_EQ(unit->functions->n_registers, 3 + 5 + 2);
	CHECK_EQ(code[0].opcode, PTX_OP_ld);
	CHECK(code[0].predicate_negated);
	CHECK(ptx_has(&code[0], PTX_MODIFIER_global) && ptx_has(&code[0], PTX_MODIFIER_v2));
	CHECK(!ptx_has(&code[0], PTX_MODIFIER_v4));
	CHECK_EQ(code[0].types[0], PTX_TYPE_u32);
	CHECK(o[0].kind == PTX_OPERAND_VECTOR && o[0].n_elements == 2);
	CHECK_EQ(o[0].elements[1].kind, PTX_OPERAND_SINK);
	CHECK(o[1].kind == PTX_OPERAND_ADDRESS && o[1].offset == -8);
	o = code[1].operands;
	CHECK_EQ(o[0].kind, PTX_OPERAND_PAIR);
	CHECK_EQ((int64_t)o[2].value, -5);
	CHECK(o[3].negated);
	o = code[2].operands;
	CHECK(o[1].kind == PTX_OPERAND_VARIABLE && o[1].offset == 12 &&
	      o[1].variable == unit->variables);
	CHECK(code[3].operands[1].special == PTX_SPECIAL_tid_x);
	CHECK(code[4].operands[1].special == PTX_SPECIAL_envreg && code[4].operands[1].value == 17);
	CHECK(unit->functions->references &&
	      unit->functions->references->variable == unit->variables);
	ptx_unit_free(unit);
}

/* Nothing of the code that stands on a directive's line is lost, and no line is miscounted. */
TEST(directives_for_debuggers)
{
	struct ptx_unit *unit = parse(
	    "# 1 \"a.ptx\"\n.version 8.0\n  #line 7 \"b\" 1 3\n.target sm_80, debug\n"
	    ".file 1 \"a.cu\" .file 2 \"b.cu\", 12,\n34 .entry k() { .reg .b32 a; .loc 1 2 3 "
	    "mov.u32 a, 1;\n.loc\n1 2 3, function_name $L0+16, inlined_at 2 4 5 x: .loc 1 2 3 "
	    "{ ret; } mov.u32 # 9 \"c\"\na, 2; }");
	const struct ptx_instruction *code = unit->functions->code;

	CHECK_EQ(unit->functions->n_code, 4);
	CHECK_EQ(code[0].opcode, PTX_OP_mov);
	CHECK_EQ(code[0].line, 6);
	CHECK_EQ(code[1].opcode, PTX_OP_label);
	CHECK_EQ(code[2].opcode, PTX_OP_ret);
	CHECK_EQ(code[3].line, 8);
	CHECK_EQ(code[3].operands[1].value, 2);
	ptx_unit_free(unit);
}

TEST(targets)
{
	static const struct {
		const char *text;
		unsigned target;
	} cases[] = {{"sm_80, debug", 80}, {"compute_90", 90}, {"compute_100f", 100},
	    {"texmode_independent, sm_121a", 121}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[64];
		struct ptx_unit *unit;

		snprintf(text, sizeof(text), ".version 9.0 .target %s", cases[i].text);
		unit = parse(text);
		CHECK_EQ(unit->target, cases[i].target);
		ptx_unit_free(unit);
	}
}

TEST(scopes)
{
	struct ptx_unit *unit = parse(
	    HEAD ".entry k() { .reg .b32 %a; { .reg .b32 %a; mov.u32 %a, 1; bra OUT; L: bra L; }\n"
		 "{ L: bra L; bra OUT; }\n mov.u32 %a, 2; OUT: ret; }\n");
	struct ptx_function *k = unit->functions;
	const struct ptx_label *first = NULL, *second = NULL;

	for (uint32_t i = 0; i < k->n_code; i++) {
		const struct ptx_instruction *in = &k->code[i];

		if (in->opcode == PTX_OP_mov)
			CHECK_EQ(in->operands[0].reg, in->operands[1].value == 1 ? 1 : 0);
		if (in->opcode == PTX_OP_bra && !strcmp(in->operands->label->name, "OUT"))
			CHECK_STR(ptx_label_resolve(in->operands->label)->defined ? "defined" : "",
			    "defined");
		if (in->opcode == PTX_OP_bra && !strcmp(in->operands->label->name, "L")) {
			second = first;
			first = ptx_label_resolve(in->operands->label);
		}
	}
	CHECK(first && second && first != second);
	ptx_unit_free(unit);
}

TEST(constant_expressions)
{
	struct ptx_unit *unit = parse(HEAD ".global .b8 a[(1 << 4) + 3 * 2 - 6 / 3]; .global .u32 "
					   "b[4] = {~0, !5, 7 % 4 | 8, 0xF0 & 0x3C};\n");
	uint32_t want[] = {UINT32_MAX, 0, 11, 0x30};

	CHECK_EQ(unit->variables->size, 20);
	CHECK_BYTES(unit->variables->next->image, want, sizeof(want));
	ptx_unit_free(unit);
}

TEST(signs_and_choices_in_constants)
{
	struct ptx_unit *unit = parse(
	    HEAD ".global .s64 a[] = {-7 / 2, -7 >> 1, -7 % 4, 7U / 2, -1 < 0, -1 < 0U, 3 >= 3, "
		 "1 == 2 || 4 != 5, 1 && 0, 0 ? 5 : 1 ? 6 : 7, 1 | 6 ^ 3 & 2, 1 + 2 << 3 - 1, "
		 "(.u64)-8 / 0x4000000000000000, (1 ? 2 : 3) * 4, 9223372036854775808 >> 63};\n");
	int64_t want[] = {-3, -4, 1, 3, 1, 0, 1, 1, 0, 6, 5, 12, 3, 8, 1};

	CHECK_EQ(unit->variables->size, sizeof(want));
	CHECK_BYTES(unit->variables->image, want, sizeof(want));
	ptx_unit_free(unit);
}

TEST(errors_name_line_and_word)
{
	static const struct {
		const char *text;
		uint32_t line;
		const char *message;
	} cases[] = {
	    {".version", 1, "version number expected at the end of the text"},
	    {".version 8.0 .target sm_80 .address_size 32", 1,
		"only .address_size 64 is supported"},
	    {HEAD "\n\n.wibble", 6, "a directive expected at \"wibble\""},
	    {HEAD ".entry k( .param .u32 a, ) { }", 4, "\".\" expected at \")\""},
	    {HEAD ".entry k() {\n\nadd.u32 %r1, 1, 2; }", 6, "unknown name \"%r1\""},
	    {HEAD ".entry k() { .reg .b32 %r<3>;\nadd.u32 %r1, %r2; }", 5,
		"add takes 3 to 3 operands, not 2"},
	    {HEAD ".entry k() { .reg .b32 %r<3>;\n@%r1 ret; }", 5,
		"\"@\" needs a predicate register"},
	    {HEAD ".entry k() { .reg .b32 %r<2000000>; }", 4,
		"more than 1048576 registers in one function"},
	    {HEAD ".entry k() { x: y: bra z; }", 4, "unknown label \"z\""},
	    {HEAD ".entry k() { mad.lo.u32.u32.u32.u32.u32.u32 1; }", 4, "too many types"},
	    {HEAD ".global .u32 a[1 / 0];", 4, "division by zero in a constant"},
	    {HEAD ".global .u32 a[99999999][99999999];", 4, "\"a\" is too large"},
	    {HEAD ".global .u32 a = b;", 4, "unknown symbol \"b\" in an initial value"},
	    {HEAD ".global .align 3 .u32 a;", 4, "alignment must be a power of two"},
	    {HEAD ".global .samplerref s = { filter_mode, };", 4, "\"=\" expected at \",\""},
	    {HEAD ".entry k() { .reg .b32 %r<9>;\ntex.1d.v4.f32.f32 {%r1, %r2, %r3, %r4}, "
		  "[%r5, %r6, %r7, %r8]; }",
		5, "too much in one place of tex"},
	    {HEAD ".func f() { ret; }\n.func f() { ret; }", 5, "\"f\" is defined twice"},
	    {HEAD ".entry k() { .loc 1 2 ret; }", 4, "column expected at \"ret\""},
	    {HEAD ".entry k() { .loc 1 2 3, ret; }", 4, "function_name expected at \"ret\""},
	    {HEAD ".file 1 a.cu", 4, "name of a file expected at \"a\""},
	    {HEAD "# 1 a.cu", 4, "\".\" expected at \"#\""},
	    {HEAD "# 1 \"a.cu", 4, "\".\" expected at \"#\""},
	    {HEAD "# 1 \"a.cu\" .file 1 \"a\"", 4, "\".\" expected at \"#\""},
	    {HEAD "#pragma once", 4, "\".\" expected at \"#\""},
	    {".version 8.0 .target debug", 1, ".target is missing"},
	    {".version 8.0 .target sm_", 1, ".target is missing"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ptx_error error;

		CHECK(!ptx_parse(NULL, cases[i].text, strlen(cases[i].text), &error));
		CHECK_STR(error.text, cases[i].message);
		CHECK_EQ(error.line, cases[i].line);
	}
}

/* Every prefix of a text with a bit of everything ends in an error or a unit, never elsewhere. */
TEST(prefixes)
{
	static const char text[] = HEAD
	    "# 1 \"a.ptx\" 2\n.file 1 \"a\", 2, 3 .extern .func (.param .b32 r) vprintf(.param "
	    ".b64 a, .param .b64 b);\n"
	    ".global .v2 .f32 v = {0f3F800000, 1.0}; .const .b8 c[2][2] = {{1}, {2, 3}};\n"
	    ".visible .entry k(.param .u64 a) .reqntid 32 { .reg .pred %p<3>; .reg .b32 %r<5>;\n"
	    "t: .branchtargets X, Y; X: .loc 1 2 3, function_name f+1, inlined_at 4 5 6 brx.idx "
	    "%r1, t; Y: { @!%p1 bra X; }\n"
	    "q: .callprototype (.param .b32 _) _ (.param .b64 _); call (%r1), vprintf, (%r2, 5); "
	    "ret; }\n";

	for (size_t size = 0; size < sizeof(text); size++) {
		char *copy = malloc(size + 1);
		struct ptx_error error;

		memcpy(copy, text, size);
		ptx_unit_free(ptx_parse(NULL, copy, size, &error));
		free(copy);
	}
}
