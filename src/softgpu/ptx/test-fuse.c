/* Which products are fused with their sums. What is expected is what ptxas 13.0 makes of each. */
#include "base/test.h"
#include "softgpu/ptx/ptx.h"

#define HEAD ".version 8.0\n.target sm_80\n.address_size 64\n"

static struct ptx_unit *parse_body_of(const char *body)
{
	static char text[4096];
	struct ptx_error error;
	struct ptx_unit *unit;

	snprintf(text, sizeof(text),
	    HEAD
	    ".visible .entry k(.param .u64 out) {\n"
	    ".reg .b64 %%p; .reg .pred %%q; .reg .f32 %%a, %%b, %%c, %%d, %%e, %%g, %%h, %%i;\n"
	    ".reg .f64 %%x, %%y, %%z; .reg .f16 %%s, %%t;\n%s\nret; }\n",
	    body);
	unit = ptx_parse("test", text, strlen(text), &error);
	if (!unit)
		test_fail(__FILE__, __LINE__, "line %u: %s", error.line, error.text);
	return unit;
}

/* Arithmetic that is left, a letter each, in order. */
static void check_left(int line, const char *body, const char *expected)
{
	struct ptx_unit *unit = parse_body_of(body);
	char left[16] = "";
	size_t n = 0;

	for (uint32_t i = 0; i < unit->functions->n_code && n < sizeof(left) - 1; i++) {
		enum ptx_opcode opcode = unit->functions->code[i].opcode;

		if (opcode == PTX_OP_mul || opcode == PTX_OP_add || opcode == PTX_OP_sub ||
		    opcode == PTX_OP_fma)
			left[n++] = *ptx_opcode_info(opcode)->name;
	}
	if (strcmp(left, expected) != 0)
		test_fail(__FILE__, line, "\"%s\" instead of \"%s\"", left, expected);
	ptx_unit_free(unit);
}

#define CHECK_LEFT(body, expected) check_left(__LINE__, body, expected)

TEST(a_product_and_its_sums)
{
	CHECK_LEFT("mul.f32 %e,%a,%b; add.f32 %g,%e,%c; st.global.f32 [%p],%g;", "f");
	CHECK_LEFT("mul.f64 %z,%x,%y; sub.f64 %z,%x,%z; st.global.f64 [%p],%z;", "ms");
	CHECK_LEFT("mul.f64 %z,%x,%y; sub.f64 %y,%x,%z; st.global.f64 [%p],%y;", "f");
	CHECK_LEFT("mul.f32 %e,%a,%b; add.f32 %g,%e,%c; sub.f32 %h,%d,%e;", "ff");
	CHECK_LEFT("mul.f32 %e,%a,%b; add.f32 %g,%e,%c; st.global.f32 [%p],%e;", "ma");
	CHECK_LEFT("mul.f32 %e,%a,%b; add.f32 %g,%e,%c; fma.rn.f32 %h,%e,%c,%d;", "maf");
	CHECK_LEFT("mul.f32 %e,%a,%b; add.f32 %g,%e,%e;", "ma");
	CHECK_LEFT("mul.f32 %e,%a,%b; add.f32 %g,%e,%e; add.f32 %h,%e,%c;", "maa");
	CHECK_LEFT("mul.f32 %e,%a,0f40400000; add.f32 %g,%e,0f3f000000;", "f");
}

TEST(a_rounding_modifier_forbids_it)
{
	CHECK_LEFT("mul.rn.f32 %e,%a,%b; add.f32 %g,%e,%c;", "ma");
	CHECK_LEFT("mul.f32 %e,%a,%b; add.rn.f32 %g,%e,%c;", "ma");
	CHECK_LEFT("mul.f32 %e,%a,%b; add.rz.f32 %g,%e,%c;", "ma");
}

TEST(what_else_must_agree)
{
	CHECK_LEFT("mul.ftz.f32 %e,%a,%b; add.f32 %g,%e,%c;", "ma");
	CHECK_LEFT("mul.f32 %e,%a,%b; add.ftz.f32 %g,%e,%c;", "ma");
	CHECK_LEFT("mul.ftz.f32 %e,%a,%b; add.ftz.f32 %g,%e,%c;", "f");
	CHECK_LEFT("mul.sat.f32 %e,%a,%b; add.f32 %g,%e,%c;", "ma");
	CHECK_LEFT("mul.f32 %e,%a,%b; add.sat.f32 %g,%e,%c;", "f");
}

TEST(of_two_products_the_left_one)
{
	static const char body[] = "mul.f32 %e,%a,%b; mul.f32 %g,%c,%d; sub.f32 %h,%g,%e;";
	struct ptx_unit *unit = parse_body_of(body);
	const struct ptx_instruction *in = &unit->functions->code[1];

	CHECK_LEFT(body, "mf");
	CHECK_EQ(unit->functions->code[0].operands[1].reg + 2, in->operands[1].reg);
	CHECK(!in->operands[1].minus && in->operands[3].minus);
	ptx_unit_free(unit);
	unit = parse_body_of("mul.f32 %e,%a,%b; sub.f32 %h,%c,%e;");
	in = unit->functions->code;
	CHECK(in->operands[1].minus && !in->operands[3].minus && ptx_has(in, PTX_MODIFIER_rn));
	ptx_unit_free(unit);
}

TEST(products_of_one_sum_come_first)
{
	CHECK_LEFT(
	    "mul.f32 %e,%a,%b; mul.f32 %g,%c,%d; add.f32 %h,%e,%g; add.f32 %i,%e,%d;", "mfa");
	CHECK_LEFT(
	    "mul.f32 %e,%a,%b; mul.f32 %g,%c,%d; add.f32 %h,%e,%g; sub.f32 %i,%e,%g;", "mff");
	CHECK_LEFT("mul.f32 %e,%a,%b; mul.f32 %g,%c,%d; add.f32 %h,%e,%g;"
		   "st.global.f32 [%p],%g;",
	    "mf");
}

TEST(in_one_block)
{
	CHECK_LEFT("L: mul.f32 %e,%a,%b; add.f32 %c,%e,%c; setp.lt.f32 %q,%c,%d; @%q bra L;", "f");
	CHECK_LEFT("mul.f32 %e,%a,%b; L: add.f32 %c,%e,%c; setp.lt.f32 %q,%c,%d; @%q bra L;", "ma");
	CHECK_LEFT("mul.f32 %e,%a,%b; NOWHERE: add.f32 %c,%e,%c;", "f");
	CHECK_LEFT("mul.f32 %e,%a,%b; bar.sync 0; add.f32 %c,%e,%c;", "f");
	CHECK_LEFT("mul.f32 %e,%a,%b; @%q add.f32 %c,%e,%c; @!%q add.f32 %c,%e,%d;", "ff");
	CHECK_LEFT("mov.f32 %e,%d; @%q mul.f32 %e,%a,%b; add.f32 %c,%e,%c;", "ma");
	CHECK_LEFT(
	    "mul.f32 %e,%a,%b; @%q bra M; add.f32 %c,%e,%c; M: st.global.f32 [%p],%c;", "ma");
}

/* What is left alone though ptxas, which names values anew, would fuse it. */
TEST(registers_that_are_written_again)
{
	CHECK_LEFT("mul.f32 %e,%a,%b; ld.global.f32 %a,[%p]; add.f32 %g,%e,%a;", "ma");
	CHECK_LEFT(
	    "mul.f32 %e,%a,%b; add.f32 %g,%e,%a; mul.f32 %e,%c,%d; add.f32 %h,%e,%a;", "mama");
	CHECK_LEFT("mul.f16 %s,%t,%t; add.f16 %t,%s,%t;", "ma");
}

TEST(jumps_still_lead_to_their_labels)
{
	struct ptx_unit *unit =
	    parse_body_of("mul.f32 %e,%a,%b; add.f32 %c,%e,%d; @%q bra M;\n"
			  "mul.f32 %g,%a,%b; add.f32 %c,%g,%c; M: neg.f32 %c,%c;");
	const struct ptx_function *function = unit->functions;

	CHECK_EQ(function->n_code, 6);
	CHECK_EQ(ptx_label_resolve(function->code[1].operands->label)->position, 3);
	CHECK_EQ((int)function->code[3].opcode, (int)PTX_OP_label);
	ptx_unit_free(unit);
}
