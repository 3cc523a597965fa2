/* IR on which LLVM 19 compiles for ever by itself. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"
#include "softgpu/jit/jit.h"

static const struct jit_machine machine;

static bool compiles(const char *text)
{
	struct jit_ir ir = {text, strlen(text), digest_of(text, strlen(text))};
	const char *compiler = getenv("SOFTGPU_LLVM");
	struct jit_code *code;
	char message[400];
	int r;

	if (!compiler || access(compiler, R_OK))
		SKIP("there is no compiler");
	setenv("SOFTGPU_CACHE", "", 1);
	r = jit_compile(&ir, &machine, message, sizeof(message), &code);
	if (r)
		test_fail(__FILE__, __LINE__, "%s", message);
	jit_code_free(code);
	return true;
}

#define LANES(value)                                                                               \
	"<" value ", " value ", " value ", " value ", " value ", " value ", " value ", " value ">"
#define KERNEL(masks)                                                                              \
	"define <8 x i32> @kernel(i8 %l, i8 %k) nounwind {\n"                                      \
	"  %m = bitcast i8 %l to <8 x i1>\n"                                                       \
	"  %c = bitcast i8 %k to <8 x i1>\n" masks                                                 \
	"  %s = select <8 x i1> %o, <8 x i32> zeroinitializer, <8 x i32> " LANES(                  \
	    "i32 1") "\n"                                                                          \
		     "  %t = select <8 x i1> %a, <8 x i32> %s, <8 x i32> " LANES(                  \
			 "i32 7") "\n"                                                             \
				  "  ret <8 x i32> %t\n}\n"

TEST(masks_of_integers)
{
	CHECK(compiles(
	    KERNEL("  %n = xor <8 x i1> %m, " LANES("i1 1") "\n"
							    "  %o = or <8 x i1> %c, %m\n"
							    "  %a = and <8 x i1> %c, %n\n")));
}

TEST(masks_and_integers)
{
	CHECK(compiles(
	    KERNEL("  %n = xor <8 x i1> %m, " LANES("i1 1") "\n"
							    "  %i = or i8 %k, %l\n"
							    "  %o = bitcast i8 %i to <8 x i1>\n"
							    "  %a = and <8 x i1> %c, %n\n")));
}

/* Choices between masks are logic as well. */
TEST(masks_that_are_chosen)
{
	CHECK(
	    compiles(KERNEL("  %o = or <8 x i1> %c, %m\n"
			    "  %a = select <8 x i1> %m, <8 x i1> zeroinitializer, <8 x i1> %c\n")));
}
