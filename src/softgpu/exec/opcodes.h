/*
 * What opcodes.def needs: its rows' type, its words for bits, and a module with a kernel per row.
 * Both tests that read it include this and define ROWS.
 */
#pragma once

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softgpu/exec/float-bits.h"

struct row {
	const char *code;
	char result; /* d r h p */
	uint64_t in[3];
	uint64_t want;
};

#define F(x)  f32_bits(x)
#define D(x)  f64_bits(x)
#define ALL   UINT64_C(0xffffffff)
#define NAN32 UINT64_C(0x7fffffff)

/* One module with a kernel per row: k0, k1, ... Its parameter is the address of the inputs, behind
 * which the result goes. free() it. */
static inline char *write_module(const struct row *rows, size_t n)
{
	size_t capacity = n * 2048 + 256, used;
	char *text = malloc(capacity);

	if (!text)
		abort();
	used = (size_t)snprintf(text, capacity, ".version 8.6\n.target sm_90\n.address_size 64\n");
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, capacity - used,
		    ".visible .entry k%zu(.param .u64 io) {\n"
		    ".reg .b64 %%d<8>, %%io; .reg .b32 %%r<8>; .reg .b16 %%h<8>; .reg .pred "
		    "%%p<8>;\n"
		    "ld.param.u64 %%io, [io];\n"
		    "ld.global.v2.u64 {%%d1, %%d2}, [%%io]; ld.global.u64 %%d3, [%%io+16];\n"
		    "cvt.u32.u64 %%r1, %%d1; cvt.u32.u64 %%r2, %%d2; cvt.u32.u64 %%r3, %%d3;\n"
		    "cvt.u16.u64 %%h1, %%d1; cvt.u16.u64 %%h2, %%d2; cvt.u16.u64 %%h3, %%d3;\n"
		    "setp.ne.u64 %%p1, %%d1, 0; setp.ne.u64 %%p2, %%d2, 0; setp.ne.u64 %%p3, %%d3, "
		    "0;\n"
		    "%s\n%s"
		    "st.global.u64 [%%io+24], %%d0; ret; }\n",
		    i, rows[i].code,
		    rows[i].result == 'r'   ? "cvt.u64.u32 %d0, %r0;\n"
		    : rows[i].result == 'h' ? "cvt.u64.u16 %d0, %h0;\n"
		    : rows[i].result == 'p' ? "selp.u64 %d0, 1, 0, %p0;\n"
					    : "");
	return text;
}

/* 1 when got is not what the row wants, and says so. */
static inline unsigned row_differs(const struct row *row, uint64_t got)
{
	if (got == row->want)
		return 0;
	printf("# %s (0x%llx, 0x%llx, 0x%llx) is 0x%llx, wanted 0x%llx\n", row->code,
	    (unsigned long long)row->in[0], (unsigned long long)row->in[1],
	    (unsigned long long)row->in[2], (unsigned long long)got, (unsigned long long)row->want);
	return 1;
}
