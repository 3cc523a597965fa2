/*
 * Products of doubles, 8 by 8 by 4, of a warp in step: so small that a call of the machine would
 * take longer than they do. They are a function of vectors, defined once in a program and put in
 * line where it is called. Its sums are what softgpu/exec/matrix.c computes, to the bit.
 */
#include "softgpu/jit/warp/matrix.h"

#define SIDE  8u
#define DEPTH 4u
#define ALL   "<32 x double>"
#define ROW   "<8 x double>"

static const char *name_of(bool in_order)
{
	return in_order ? "in.order" : "in.pairs";
}

/* The numbers of n elements of what two vectors have together. */
static void print_choice(struct text *out, const char *result, const char *type, const char *a,
    const char *b, unsigned n, const unsigned *from)
{
	text_format(
	    out, "  %s = shufflevector %s %s, %s %s, <%u x i32> <", result, type, a, type, b, n);
	for (unsigned i = 0; i < n; i++)
		text_format(out, "%si32 %u", i ? ", " : "", from[i]);
	text_format(out, ">\n");
}

static void print_rows_of_b(struct text *out, bool in_order)
{
	for (unsigned k = 0; k < DEPTH; k++) {
		unsigned from[SIDE];
		char name[16];

		for (unsigned i = 0; i < SIDE; i++) {
			unsigned column = i % 4 * 2 + i / 4; /* evens first */

			from[i] = in_order ? k * SIDE + i : column * DEPTH + k;
		}
		snprintf(name, sizeof(name), "%%b.%u", k);
		print_choice(out, name, ALL, "%b", "poison", SIDE, from);
	}
}

static void print_row(struct text *out, bool in_order, unsigned row)
{
	unsigned from[SIDE];
	char name[16];

	for (unsigned i = 0; i < SIDE; i++)
		from[i] = in_order ? row * SIDE + i : i / 4 * 32 + row * 4 + i % 4;
	snprintf(name, sizeof(name), "%%s.%u.0", row);
	print_choice(out, name, ALL, "%c", "%d", SIDE, from);
	for (unsigned k = 0; k < DEPTH; k++) {
		for (unsigned i = 0; i < SIDE; i++)
			from[i] = row * DEPTH + k;
		snprintf(name, sizeof(name), "%%a.%u.%u", row, k);
		print_choice(out, name, ALL, "%a", "poison", SIDE, from);
		text_format(out,
		    "  %%s.%u.%u = call " ROW " @llvm.fma.v8f64(" ROW " %s, " ROW " %%b.%u, " ROW
		    " %%s.%u.%u)\n",
		    row, k + 1, name, k, row, k);
	}
}

/* Two vectors as one: of those named by prefix, first and the one behind it. */
static void print_joined(
    struct text *out, const char *type, const char *prefix, unsigned first, unsigned n)
{
	char result[16], a[16], b[16];
	unsigned from[32];

	for (unsigned i = 0; i < n; i++)
		from[i] = i;
	snprintf(result, sizeof(result), "%%j%u.%u", n, first);
	snprintf(a, sizeof(a), "%s%u%s", prefix, first, n == 2 * SIDE ? ".4" : "");
	snprintf(b, sizeof(b), "%s%u%s", prefix, first + n / SIDE / 2, n == 2 * SIDE ? ".4" : "");
	print_choice(out, result, type, a, b, n, from);
}

static void print_results(struct text *out, bool in_order)
{
	unsigned evens[32], odds[32];

	for (unsigned row = 0; row < SIDE; row += 2)
		print_joined(out, ROW, "%s.", row, 2 * SIDE);
	for (unsigned row = 0; row < SIDE; row += 4)
		print_joined(out, "<16 x double>", "%j16.", row, 4 * SIDE);
	for (unsigned i = 0; i < 32; i++) {
		evens[i] = in_order ? i : i / 4 * SIDE + i % 4;
		odds[i] = in_order ? 32 + i : evens[i] + 4;
	}
	print_choice(out, "%first", ALL, "%j32.0", "%j32.4", 32, evens);
	print_choice(out, "%second", ALL, "%j32.0", "%j32.4", 32, odds);
}

/* Of in_order, registers are rows (wmma); otherwise B's are columns, and those of C and D the even
 * and the odd columns. */
static void define(struct warp *warp, bool in_order)
{
	struct text *out = warp->emit.out;

	widen_declare(&warp->widen, ROW " @llvm.fma.v8f64(" ROW ", " ROW ", " ROW ")");
	text_format(out,
	    "define internal {" ALL ", " ALL "} @product.%s(" ALL " %%a, " ALL " %%b, " ALL
	    " %%c, " ALL " %%d) alwaysinline nounwind {\n",
	    name_of(in_order));
	print_rows_of_b(out, in_order);
	for (unsigned row = 0; row < SIDE; row++)
		print_row(out, in_order, row);
	print_results(out, in_order);
	text_format(out, "  %%one = insertvalue {" ALL ", " ALL "} poison, " ALL " %%first, 0\n"
			 "  %%both = insertvalue {" ALL ", " ALL "} %%one, " ALL " %%second, 1\n"
			 "  ret {" ALL ", " ALL "} %%both\n}\n");
}

bool matrix_is_double(union sg_matrix matrix)
{
	return matrix.kind <= SG_MATRIX_WMMA && matrix.a == SG_MATRIX_F64 && !matrix.m &&
	       !matrix.n && !matrix.k;
}

void warp_double_product(struct warp *warp, union sg_matrix matrix)
{
	struct emit *emit = &warp->emit;
	bool in_order = matrix.kind == SG_MATRIX_WMMA;
	const struct ptx_operand *operands = emit->in->operands;
	struct value a, b, c[2], results, part;

	if (!warp->has_product[in_order])
		define(warp, in_order);
	warp->has_product[in_order] = true;
	a = wide_get(warp, matrix_register(emit, &operands[1], 1, 0), IR_DOUBLE);
	b = wide_get(warp, matrix_register(emit, &operands[2], 1, 0), IR_DOUBLE);
	for (unsigned i = 0; i < 2; i++)
		c[i] = wide_get(warp, matrix_register(emit, &operands[3], 2, i), IR_DOUBLE);
	results = emit_value(emit,
	    "call {" ALL ", " ALL "} @product.%s(" ALL " %s, " ALL " %s, " ALL " %s, " ALL " %s)",
	    name_of(in_order), a.text, b.text, c[0].text, c[1].text);
	for (unsigned i = 0; i < 2; i++) {
		part = emit_value(emit, "extractvalue {" ALL ", " ALL "} %s, %u", results.text, i);
		wide_set(warp, matrix_register(emit, operands, 2, i), part, IR_DOUBLE, true, false);
	}
}
