/*
 * The opcodes of PTX, one row each: OP(name, fewest operands, most operands, facts, emitter).
 *
 * emitter names the translator's function (emit_<emitter> in softgpu/jit).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PTX_OP_COLLECTIVE 1u  /* threads meet here: they need stacks of their own */
#define PTX_OP_BRANCH	  2u  /* operands may be labels not yet seen */
#define PTX_OP_PLACE	  4u  /* addresses are [object, sampler, coordinates] */
#define PTX_OP_PARTS	  8u  /* operands may name bytes or halves: r.b1 */
#define PTX_OP_SELECT	  16u /* operands may name several: r.b3210, r.h10 */

/* clang-format off */
#define PTX_OPCODES(OP)                                                                            \
	/* integer and mixed arithmetic (9.7.1, 9.7.2) */                                          \
	OP(add, 3, 3, 0, arithmetic) OP(sub, 3, 3, 0, arithmetic)                                  \
	OP(mul, 3, 3, 0, arithmetic) OP(mad, 4, 4, 0, mad) OP(fma, 4, 4, 0, fma)                   \
	OP(mul24, 3, 3, 0, mul24) OP(mad24, 4, 4, 0, mul24) OP(sad, 4, 4, 0, sad)                  \
	OP(div, 3, 3, 0, div) OP(rem, 3, 3, 0, rem) OP(abs, 2, 2, 0, abs)                          \
	OP(neg, 2, 2, 0, neg) OP(min, 3, 4, 0, minmax) OP(max, 3, 4, 0, minmax)                    \
	OP(addc, 3, 3, 0, carry) OP(subc, 3, 3, 0, carry) OP(madc, 4, 4, 0, carry)                 \
	OP(popc, 2, 2, 0, popc) OP(clz, 2, 2, 0, clz) OP(bfind, 2, 2, 0, bfind)                    \
	OP(fns, 4, 4, 0, fns) OP(brev, 2, 2, 0, brev) OP(bfe, 4, 4, 0, bfe)                        \
	OP(bfi, 5, 5, 0, bfi) OP(bmsk, 3, 3, 0, bmsk) OP(szext, 3, 3, 0, szext)                    \
	OP(dp4a, 4, 4, 0, dp4a) OP(dp2a, 4, 4, 0, dp2a)                                            \
	/* logic and shifts (9.7.8) */                                                             \
	OP(and, 3, 3, 0, logic) OP(or, 3, 3, 0, logic) OP(xor, 3, 3, 0, logic)                     \
	OP(not, 2, 2, 0, not) OP(cnot, 2, 2, 0, cnot) OP(lop3, 5, 7, 0, lop3)                      \
	OP(shf, 4, 4, 0, shf) OP(shl, 3, 3, 0, shift) OP(shr, 3, 3, 0, shift)                      \
	OP(prmt, 4, 4, 0, prmt)                                                                    \
	/* floating point (9.7.3 to 9.7.5) */                                                      \
	OP(testp, 2, 2, 0, testp) OP(copysign, 3, 3, 0, copysign) OP(rcp, 2, 2, 0, rcp)            \
	OP(sqrt, 2, 2, 0, sqrt) OP(rsqrt, 2, 2, 0, rsqrt) OP(sin, 2, 2, 0, transcendental)         \
	OP(cos, 2, 2, 0, transcendental) OP(lg2, 2, 2, 0, transcendental)                          \
	OP(ex2, 2, 2, 0, transcendental) OP(tanh, 2, 2, 0, transcendental)                         \
	/* comparison and selection (9.7.6, 9.7.7) */                                              \
	OP(setp, 3, 4, 0, setp) OP(set, 3, 4, 0, set) OP(selp, 4, 4, 0, selp)                      \
	OP(slct, 4, 4, 0, slct)                                                                    \
	/* data movement and conversion (9.7.9) */                                                 \
	OP(mov, 2, 2, 0, mov) OP(cvt, 2, 4, 0, cvt) OP(cvta, 2, 2, 0, cvta)                        \
	OP(isspacep, 2, 2, 0, isspacep) OP(ld, 2, 3, 0, ld) OP(ldu, 2, 2, 0, ld)                   \
	OP(st, 2, 3, 0, st) OP(prefetch, 1, 1, 0, nothing) OP(prefetchu, 1, 1, 0, nothing)         \
	OP(applypriority, 2, 2, 0, nothing) OP(discard, 2, 2, 0, nothing)                          \
	OP(multimem, 2, 2, 0, multimem)                                                            \
	OP(createpolicy, 1, 5, 0, createpolicy) OP(cp, 0, 6, PTX_OP_PLACE, cp)                                \
	OP(mapa, 3, 3, 0, mapa) OP(getctarank, 2, 2, 0, getctarank)                                \
	OP(clusterlaunchcontrol, 2, 2, 0, clusterlaunchcontrol)                                    \
	OP(tensormap, 2, 3, 0, tensormap) OP(alloca, 2, 3, 0, alloca)                              \
	OP(stacksave, 1, 1, 0, stacksave) OP(stackrestore, 1, 1, 0, stackrestore)                  \
	/* synchronisation (9.7.13) */                                                             \
	OP(bar, 0, 4, PTX_OP_COLLECTIVE, bar) OP(barrier, 0, 4, PTX_OP_COLLECTIVE, bar)            \
	OP(membar, 0, 0, 0, fence) OP(fence, 0, 4, 0, fence) OP(atom, 3, 5, 0, atom)               \
	OP(red, 2, 3, 0, red) OP(vote, 2, 3, PTX_OP_COLLECTIVE, vote)                              \
	OP(match, 3, 3, PTX_OP_COLLECTIVE, match)                                                  \
	OP(redux, 3, 3, PTX_OP_COLLECTIVE, redux)                                                  \
	OP(activemask, 1, 1, PTX_OP_COLLECTIVE, activemask)                                        \
	OP(shfl, 4, 5, PTX_OP_COLLECTIVE, shfl) OP(elect, 2, 2, PTX_OP_COLLECTIVE, elect)          \
	OP(griddepcontrol, 0, 0, 0, nothing)                                                       \
	OP(mbarrier, 1, 4, PTX_OP_COLLECTIVE, mbarrier)                                            \
	/* matrices (9.7.14 to 16) */                                                              \
	OP(mma, 4, 10, PTX_OP_COLLECTIVE, mma) OP(wmma, 2, 4, PTX_OP_COLLECTIVE, wmma)              \
	OP(ldmatrix, 2, 2, PTX_OP_COLLECTIVE, ldmatrix)                                            \
	OP(stmatrix, 2, 2, PTX_OP_COLLECTIVE, stmatrix)                                            \
	OP(movmatrix, 2, 2, PTX_OP_COLLECTIVE, movmatrix)                                          \
	OP(wgmma, 0, 10, PTX_OP_COLLECTIVE, wgmma)                                                 \
	OP(tcgen05, 0, 9, PTX_OP_COLLECTIVE, tcgen05)                                              \
	/* control flow and the rest (9.7.12, 9.7.19) */                                           \
	OP(bra, 1, 1, PTX_OP_BRANCH, bra) OP(brx, 2, 2, PTX_OP_BRANCH, brx)                        \
	OP(call, 1, 4, 0, call) OP(ret, 0, 0, 0, ret) OP(exit, 0, 0, 0, exit)                      \
	OP(trap, 0, 0, 0, trap) OP(brkpt, 0, 0, 0, trap) OP(nanosleep, 1, 1, 0, nanosleep)         \
	OP(pmevent, 1, 1, 0, nothing) OP(setmaxnreg, 1, 1, 0, nothing)                             \
	/* scalar video (9.7.17) */                                                                \
	OP(vadd, 3, 4, PTX_OP_PARTS, part) OP(vsub, 3, 4, PTX_OP_PARTS, part)                      \
	OP(vabsdiff, 3, 4, PTX_OP_PARTS, part) OP(vmin, 3, 4, PTX_OP_PARTS, part)                  \
	OP(vmax, 3, 4, PTX_OP_PARTS, part) OP(vshl, 3, 4, PTX_OP_PARTS, part)                      \
	OP(vshr, 3, 4, PTX_OP_PARTS, part) OP(vmad, 4, 4, PTX_OP_PARTS, part)                      \
	OP(vset, 3, 4, PTX_OP_PARTS, part)                                                         \
	/* SIMD video (9.7.18) */                                                                  \
	OP(vadd2, 4, 4, PTX_OP_SELECT, video) OP(vsub2, 4, 4, PTX_OP_SELECT, video) OP(vavrg2, 4, 4, PTX_OP_SELECT, video)             \
	OP(vabsdiff2, 4, 4, PTX_OP_SELECT, video) OP(vmin2, 4, 4, PTX_OP_SELECT, video) OP(vmax2, 4, 4, PTX_OP_SELECT, video)          \
	OP(vset2, 4, 4, PTX_OP_SELECT, video) OP(vadd4, 4, 4, PTX_OP_SELECT, video) OP(vsub4, 4, 4, PTX_OP_SELECT, video)              \
	OP(vavrg4, 4, 4, PTX_OP_SELECT, video) OP(vabsdiff4, 4, 4, PTX_OP_SELECT, video) OP(vmin4, 4, 4, PTX_OP_SELECT, video)         \
	OP(vmax4, 4, 4, PTX_OP_SELECT, video) OP(vset4, 4, 4, PTX_OP_SELECT, video)                                        \
	/* textures and surfaces (9.7.10, 9.7.11) */                                               \
	OP(tex, 2, 6, PTX_OP_PLACE, tex) OP(tld4, 2, 4, PTX_OP_PLACE, tex)                         \
	OP(txq, 2, 3, PTX_OP_PLACE, texture_query) OP(suq, 2, 2, PTX_OP_PLACE, texture_query)      \
	OP(suld, 2, 2, PTX_OP_PLACE, suld) OP(sust, 2, 2, PTX_OP_PLACE, sust)                      \
	OP(sured, 2, 2, PTX_OP_PLACE, sured) OP(istypep, 2, 2, 0, istypep)
/* clang-format on */

#define PTX_OPCODE_ENUM(name, fewest, most, facts, emitter) PTX_OP_##name,
enum ptx_opcode { PTX_OP_label, PTX_OPCODES(PTX_OPCODE_ENUM) PTX_OP_COUNT };

struct ptx_opcode_info {
	const char *name;
	uint8_t fewest, most; /* operands */
	uint8_t facts;
};
