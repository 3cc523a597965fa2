/*
 * What every translated program starts with: declarations of LLVM's intrinsics and the machine's
 * functions, and PTX operations that take more than one LLVM instruction, always inlined. Those
 * that a program does not use cost a few microseconds.
 */
#include "softgpu/jit/emit.h"

/*
 * The smaller and the larger of two, of a type that is called as in an instruction, with an integer
 * type of its width and its NaN. Of two zeros -0 is the smaller, which the bits tell. A NaN counts
 * for nothing beside a number, or, in the second form, for everything.
 */
#define ONE_OF_TWO(name, type, kind, integer, order, bits)                                         \
	"define internal " type " @sg." name "." kind "(" type " %a, " type " %b) #1 {\n"          \
	"  %c = fcmp " order " " type " %a, %b\n"                                                  \
	"  %p = select i1 %c, " type " %a, " type " %b\n"                                          \
	"  %ia = bitcast " type " %a to " integer "\n"                                             \
	"  %ib = bitcast " type " %b to " integer "\n"                                             \
	"  %iz = " bits " " integer " %ia, %ib\n"                                                  \
	"  %z = bitcast " integer " %iz to " type "\n"                                             \
	"  %e = fcmp oeq " type " %a, %b\n"                                                        \
	"  %q = select i1 %e, " type " %z, " type " %p\n"                                          \
	"  %na = fcmp uno " type " %a, %a\n"                                                       \
	"  %nb = fcmp uno " type " %b, %b\n"
#define PASS_OVER_NAN(type, nan)                                                                   \
	"  %u = select i1 %nb, " type " %a, " type " %q\n"                                         \
	"  %v = select i1 %na, " type " %b, " type " %u\n"                                         \
	"  %n = and i1 %na, %nb\n"                                                                 \
	"  %r = select i1 %n, " type " " nan ", " type " %v\n"                                     \
	"  ret " type " %r\n"                                                                      \
	"}\n"
#define KEEP_NAN(type, nan)                                                                        \
	"  %n = or i1 %na, %nb\n"                                                                  \
	"  %r = select i1 %n, " type " " nan ", " type " %q\n"                                     \
	"  ret " type " %r\n"                                                                      \
	"}\n"
#define SMALLER_AND_LARGER(type, kind, integer, nan)                                               \
	ONE_OF_TWO("min", type, kind, integer, "olt", "or")                                        \
	PASS_OVER_NAN(type, nan)                                                                   \
	ONE_OF_TWO("minnan", type, kind, integer, "olt", "or")                                     \
	KEEP_NAN(type, nan)                                                                        \
	ONE_OF_TWO("max", type, kind, integer, "ogt", "and")                                       \
	PASS_OVER_NAN(type, nan)                                                                   \
	ONE_OF_TWO("maxnan", type, kind, integer, "ogt", "and")                                    \
	KEEP_NAN(type, nan)

/* clang-format off */
/* What both types of floating point have. */
#define FLOATS(type, kind) \
	"declare " type " @llvm.fabs." kind "(" type ")\n" \
	"declare " type " @llvm.sqrt." kind "(" type ")\n" \
	"declare " type " @llvm.trunc." kind "(" type ")\n" \
	"declare " type " @llvm.floor." kind "(" type ")\n" \
	"declare " type " @llvm.ceil." kind "(" type ")\n" \
	"declare " type " @llvm.roundeven." kind "(" type ")\n" \
	"declare " type " @llvm.copysign." kind "(" type ", " type ")\n" \
	"declare " type " @llvm.fma." kind "(" type ", " type ", " type ")\n" \
	"declare i1 @llvm.is.fpclass." kind "(" type ", i32 immarg)\n" \
	"declare i8 @llvm.fptosi.sat.i8." kind "(" type ")\n" \
	"declare i8 @llvm.fptoui.sat.i8." kind "(" type ")\n" \
	"declare i16 @llvm.fptosi.sat.i16." kind "(" type ")\n" \
	"declare i16 @llvm.fptoui.sat.i16." kind "(" type ")\n" \
	"declare i32 @llvm.fptosi.sat.i32." kind "(" type ")\n" \
	"declare i32 @llvm.fptoui.sat.i32." kind "(" type ")\n" \
	"declare i64 @llvm.fptosi.sat.i64." kind "(" type ")\n" \
	"declare i64 @llvm.fptoui.sat.i64." kind "(" type ")\n" \
	"declare " type " @sg_add_" kind "(i32, " type ", " type ") nounwind memory(none)\n" \
	"declare " type " @sg_sub_" kind "(i32, " type ", " type ") nounwind memory(none)\n" \
	"declare " type " @sg_mul_" kind "(i32, " type ", " type ") nounwind memory(none)\n" \
	"declare " type " @sg_div_" kind "(i32, " type ", " type ") nounwind memory(none)\n" \
	"declare " type " @sg_fma_" kind "(i32, " type ", " type ", " type ") nounwind memory(none)\n" \
	"declare " type " @sg_sqrt_" kind "(i32, " type ") nounwind memory(none)\n" \
	"declare " type " @sg_itof_" kind "(i32, i64) nounwind memory(none)\n" \
	"declare " type " @sg_utof_" kind "(i32, i64) nounwind memory(none)\n"

/* What integers of each width have. */
#define INTEGERS(type) \
	"declare " type " @llvm.smin." type "(" type ", " type ")\n" \
	"declare " type " @llvm.smax." type "(" type ", " type ")\n" \
	"declare " type " @llvm.umin." type "(" type ", " type ")\n" \
	"declare " type " @llvm.umax." type "(" type ", " type ")\n" \
	"declare " type " @llvm.sadd.sat." type "(" type ", " type ")\n" \
	"declare " type " @llvm.ssub.sat." type "(" type ", " type ")\n" \
	"declare " type " @llvm.ctpop." type "(" type ")\n" \
	"declare " type " @llvm.bitreverse." type "(" type ")\n" \
	"declare " type " @llvm.ctlz." type "(" type ", i1 immarg)\n" \
	"declare " type " @llvm.abs." type "(" type ", i1 immarg)\n" \
	"declare {" type ", i1} @llvm.uadd.with.overflow." type "(" type ", " type ")\n" \
	"declare " type " @llvm.fshl." type "(" type ", " type ", " type ")\n" \
	"declare " type " @llvm.fshr." type "(" type ", " type ", " type ")\n"

/* .sat and .relu */
#define CLAMPS(type, kind) \
	"define internal " type " @sg.sat." kind "(" type " %x) #1 {\n" \
	"  %p = fcmp ogt " type " %x, 0.0\n" \
	"  %m = select i1 %p, " type " %x, " type " 0.0\n" \
	"  %l = fcmp olt " type " %m, 1.0\n" \
	"  %r = select i1 %l, " type " %m, " type " 1.0\n" \
	"  ret " type " %r\n" \
	"}\n" \
	"define internal " type " @sg.relu." kind "(" type " %x) #1 {\n" \
	"  %n = fcmp uno " type " %x, %x\n" \
	"  %p = fcmp ogt " type " %x, 0.0\n" \
	"  %k = or i1 %n, %p\n" \
	"  %r = select i1 %k, " type " %x, " type " 0.0\n" \
	"  ret " type " %r\n" \
	"}\n"

/* By zero and by -1, on which the CPU would trap. */
#define DIVISIONS(type) \
	"define internal " type " @sg.sdiv." type "(" type " %a, " type " %b) #1 {\n" \
	"  %z = icmp eq " type " %b, 0\n" \
	"  %m = icmp eq " type " %b, -1\n" \
	"  %u = or i1 %z, %m\n" \
	"  %s = select i1 %u, " type " 1, " type " %b\n" \
	"  %q = sdiv " type " %a, %s\n" \
	"  %n = sub " type " 0, %a\n" \
	"  %w = select i1 %m, " type " %n, " type " %q\n" \
	"  %r = select i1 %z, " type " -1, " type " %w\n" \
	"  ret " type " %r\n" \
	"}\n" \
	"define internal " type " @sg.srem." type "(" type " %a, " type " %b) #1 {\n" \
	"  %z = icmp eq " type " %b, 0\n" \
	"  %m = icmp eq " type " %b, -1\n" \
	"  %u = or i1 %z, %m\n" \
	"  %s = select i1 %u, " type " 1, " type " %b\n" \
	"  %q = srem " type " %a, %s\n" \
	"  %r = select i1 %z, " type " -1, " type " %q\n" \
	"  ret " type " %r\n" \
	"}\n" \
	"define internal " type " @sg.udiv." type "(" type " %a, " type " %b) #1 {\n" \
	"  %z = icmp eq " type " %b, 0\n" \
	"  %u = or i1 %z, false\n" \
	"  %s = select i1 %u, " type " 1, " type " %b\n" \
	"  %q = udiv " type " %a, %s\n" \
	"  %w = or " type " %q, 0\n" \
	"  %r = select i1 %z, " type " -1, " type " %w\n" \
	"  ret " type " %r\n" \
	"}\n" \
	"define internal " type " @sg.urem." type "(" type " %a, " type " %b) #1 {\n" \
	"  %z = icmp eq " type " %b, 0\n" \
	"  %u = or i1 %z, false\n" \
	"  %s = select i1 %u, " type " 1, " type " %b\n" \
	"  %q = urem " type " %a, %s\n" \
	"  %r = select i1 %z, " type " -1, " type " %q\n" \
	"  ret " type " %r\n" \
	"}\n"

/* By any distance: beyond the last bit nothing is left, or the sign. */
#define SHIFTS(type, last, as_type) \
	"define internal " type " @sg.shl." type "(" type " %a, i32 %c) #1 {\n" \
	"  %o = icmp ugt i32 %c, " last "\n" \
	"  %k = and i32 %c, " last "\n" \
	"  %n = " as_type "\n" \
	"  %s = shl " type " %a, %n\n" \
	"  %r = select i1 %o, " type " 0, " type " %s\n" \
	"  ret " type " %r\n" \
	"}\n" \
	"define internal " type " @sg.lshr." type "(" type " %a, i32 %c) #1 {\n" \
	"  %o = icmp ugt i32 %c, " last "\n" \
	"  %k = and i32 %c, " last "\n" \
	"  %n = " as_type "\n" \
	"  %s = lshr " type " %a, %n\n" \
	"  %r = select i1 %o, " type " 0, " type " %s\n" \
	"  ret " type " %r\n" \
	"}\n" \
	"define internal " type " @sg.ashr." type "(" type " %a, i32 %c) #1 {\n" \
	"  %o = icmp ugt i32 %c, " last "\n" \
	"  %k = select i1 %o, i32 " last ", i32 %c\n" \
	"  %n = " as_type "\n" \
	"  %r = ashr " type " %a, %n\n" \
	"  ret " type " %r\n" \
	"}\n"

/* bfe and bfi */
#define BIT_FIELDS(type, width) \
	"define internal " type " @sg.bfe.u." type "(" type " %a, i32 %p, i32 %n) #1 {\n" \
	"  %pp = and i32 %p, 255\n" \
	"  %nn = and i32 %n, 255\n" \
	"  %s = call " type " @sg.lshr." type "(" type " %a, i32 %pp)\n" \
	"  %m = call " type " @sg.shl." type "(" type " -1, i32 %nn)\n" \
	"  %k = xor " type " %m, -1\n" \
	"  %r = and " type " %s, %k\n" \
	"  ret " type " %r\n" \
	"}\n" \
	"define internal " type " @sg.bfe.s." type "(" type " %a, i32 %p, i32 %n) #1 {\n" \
	"  %pp = and i32 %p, 255\n" \
	"  %nn = and i32 %n, 255\n" \
	"  %e = add i32 %pp, %nn\n" \
	"  %o = icmp ugt i32 %e, " width "\n" \
	"  %t = select i1 %o, i32 " width ", i32 %e\n" \
	"  %u = sub i32 " width ", %t\n" \
	"  %x = call " type " @sg.shl." type "(" type " %a, i32 %u)\n" \
	"  %d = add i32 %u, %pp\n" \
	"  %y = call " type " @sg.ashr." type "(" type " %x, i32 %d)\n" \
	"  %z = icmp eq i32 %nn, 0\n" \
	"  %r = select i1 %z, " type " 0, " type " %y\n" \
	"  ret " type " %r\n" \
	"}\n" \
	"define internal " type " @sg.bfi." type "(" type " %a, " type " %b, i32 %p, i32 %n) #1 {\n" \
	"  %pp = and i32 %p, 255\n" \
	"  %nn = and i32 %n, 255\n" \
	"  %m = call " type " @sg.shl." type "(" type " -1, i32 %nn)\n" \
	"  %k = xor " type " %m, -1\n" \
	"  %f = call " type " @sg.shl." type "(" type " %k, i32 %pp)\n" \
	"  %v = call " type " @sg.shl." type "(" type " %a, i32 %pp)\n" \
	"  %in = and " type " %v, %f\n" \
	"  %nf = xor " type " %f, -1\n" \
	"  %out = and " type " %b, %nf\n" \
	"  %r = or " type " %in, %out\n" \
	"  ret " type " %r\n" \
	"}\n"

/* prmt: a byte of eight, or its sign, by a nibble of the selector. */
#define SELECTED_BYTE(n, nibble, byte, before) \
	"  %n" n " = lshr i32 %s, " nibble "\n" \
	"  %i" n " = and i32 %n" n ", 7\n" \
	"  %h" n " = shl i32 %i" n ", 3\n" \
	"  %w" n " = zext i32 %h" n " to i64\n" \
	"  %v" n " = lshr i64 %x, %w" n "\n" \
	"  %c" n " = trunc i64 %v" n " to i8\n" \
	"  %g" n " = ashr i8 %c" n ", 7\n" \
	"  %q" n " = and i32 %n" n ", 8\n" \
	"  %t" n " = icmp ne i32 %q" n ", 0\n" \
	"  %b" n " = select i1 %t" n ", i8 %g" n ", i8 %c" n "\n" \
	"  %z" n " = zext i8 %b" n " to i32\n" \
	"  %y" n " = shl i32 %z" n ", " byte "\n" \
	"  %r" n " = or i32 " before ", %y" n "\n"

const char jit_prelude[] =
	"; facts\n"
	FLOATS("float", "f32")
	FLOATS("double", "f64")
	INTEGERS("i8")
	INTEGERS("i16")
	INTEGERS("i32")
	INTEGERS("i64")
	"declare i128 @llvm.smin.i128(i128, i128)\n"
	"declare i128 @llvm.smax.i128(i128, i128)\n"
	"declare i64 @llvm.readcyclecounter()\n"
	"declare ptr @llvm.stacksave.p0()\n"
	"declare void @llvm.stackrestore.p0(ptr)\n"
	"declare float @sg_sin(float) nounwind memory(none)\n"
	"declare float @sg_cos(float) nounwind memory(none)\n"
	"declare float @sg_lg2(float) nounwind memory(none)\n"
	"declare float @sg_tanh(float) nounwind memory(none)\n"
	"declare i16 @sg_fma_f16(i32, i16, i16, i16) nounwind memory(none)\n"
	"declare i16 @sg_to_f16(i32, double) nounwind memory(none)\n"
	"declare i16 @sg_fma_bf16(i32, i16, i16, i16) nounwind memory(none)\n"
	"declare i16 @sg_to_bf16(i32, double) nounwind memory(none)\n"
	"declare i16 @sg_atomic_add_f16(ptr, i16) nounwind\n"
	"declare i16 @sg_atomic_min_f16(ptr, i16) nounwind\n"
	"declare i16 @sg_atomic_max_f16(ptr, i16) nounwind\n"
	"declare i16 @sg_atomic_add_bf16(ptr, i16) nounwind\n"
	"declare i16 @sg_atomic_min_bf16(ptr, i16) nounwind\n"
	"declare i16 @sg_atomic_max_bf16(ptr, i16) nounwind\n"
	"declare i32 @sg_atomic_add_f16x2(ptr, i32) nounwind\n"
	"declare i32 @sg_atomic_min_f16x2(ptr, i32) nounwind\n"
	"declare i32 @sg_atomic_max_f16x2(ptr, i32) nounwind\n"
	"declare i32 @sg_atomic_add_bf16x2(ptr, i32) nounwind\n"
	"declare i32 @sg_atomic_min_bf16x2(ptr, i32) nounwind\n"
	"declare i32 @sg_atomic_max_bf16x2(ptr, i32) nounwind\n"
	"declare i16 @sg_to_e4m3x2(i32, float, float) nounwind memory(none)\n"
	"declare i16 @sg_f16x2_to_e4m3x2(i32, i32) nounwind memory(none)\n"
	"declare i32 @sg_e4m3x2_to_f16x2(i32, i16) nounwind memory(none)\n"
	"declare i16 @sg_to_e5m2x2(i32, float, float) nounwind memory(none)\n"
	"declare i16 @sg_f16x2_to_e5m2x2(i32, i32) nounwind memory(none)\n"
	"declare i32 @sg_e5m2x2_to_f16x2(i32, i16) nounwind memory(none)\n"
	"declare i32 @sg_to_narrow(i32, i32, float, float) nounwind memory(none)\n"
	"declare i32 @sg_narrow_to_f16x2(i32, i32, i32) nounwind memory(none)\n"
	"declare i16 @sg_to_f16_randomly(i32, float, i32) nounwind memory(none)\n"
	"declare i16 @sg_to_bf16_randomly(i32, float, i32) nounwind memory(none)\n"
	"declare i32 @sg_to_four_randomly(i32, i32, float, float, float, float, i32) nounwind memory(none)\n"
	"declare i16 @sg_to_scales(i32, float, float) nounwind memory(none)\n"
	"declare i32 @sg_scales_to_bf16x2(i16) nounwind memory(none)\n"
	"declare float @sg_to_f32(i32, double) nounwind memory(none)\n"
	"declare i32 @sg_to_tf32(i32, float) nounwind memory(none)\n"
	"declare i32 @sg_video(i32, i32, i32, i32, i32) nounwind memory(none)\n"
	"declare void @sg_tex(ptr, i32, ptr) nounwind\n"
	"declare i32 @sg_texture_query(ptr, i32, i64, i32) nounwind\n"
	"declare ptr @sg_surface_at(ptr, i32, i64, i32, i32, i32, i32) nounwind\n"
	"declare void @sg_surface_store(ptr, i64, ptr, i32, i32, i32, i32) nounwind\n"
	"declare i1 @sg_surface_is_signed(ptr, i64) nounwind\n"
	"declare i32 @sg_video_part(i32, i32, i32, i32) nounwind memory(none)\n"
	"declare i32 @sg_fns(i32, i32, i32) nounwind memory(none)\n"
	"declare i32 @sg_prmt(i32, i64, i32) nounwind memory(none)\n"
	"declare i64 @sg_globaltimer() nounwind\n"
	"declare i1 @sg_is_space(ptr, i32, i64) nounwind\n"
	"declare void @sg_fault_access(ptr, i64, i32, i1, i1) noreturn nounwind cold\n"
	"declare void @sg_stopped(ptr) noreturn nounwind cold\n"
	"declare void @sg_trap(ptr) noreturn nounwind cold\n"
	"declare void @sg_exit(ptr) noreturn nounwind cold\n"
	"declare void @sg_bad_call(ptr) noreturn nounwind cold\n"
	"declare void @sg_poll(ptr) nounwind\n"
	"declare void @sg_let_pass(ptr) nounwind\n"
	"declare void @sg_nanosleep(ptr, i32) nounwind\n"
	"declare void @sg_copy_async(ptr, ptr, i32, i32) nounwind\n"
	"declare void @sg_bulk_copy(ptr, i64, i64, i32, i32) nounwind\n"
	"declare void @sg_bulk_reduce(ptr, i64, i64, i32, i32, i32, i32) nounwind\n"
	"declare void @sg_bulk_multicast(ptr, i64, i64, i32, i64, i32) nounwind\n"
	"declare void @sg_bulk_copy_masked(ptr, i64, i64, i32, i32) nounwind\n"
	"declare void @sg_tensor_copy(ptr, i32, i64, ptr, i64, i64) nounwind\n"
	"declare void @sg_tensor_replace(ptr, ptr, i32, i32, i64) nounwind\n"
	"declare void @sg_bulk_clear(ptr, i64, i64, i32) nounwind\n"
	"declare ptr @sg_check_stack(ptr, i64) nounwind\n"
	"declare i64 @sg_exchange(ptr, i32, i32, i64, i32, i32) nounwind\n"
	"declare void @sg_matrix(ptr, i32, ptr) nounwind\n"
	"declare void @sg_wmma_load(ptr, i32, i64, i32, ptr) nounwind\n"
	"declare void @sg_wmma_store(ptr, i32, i64, i32, ptr) nounwind\n"
	"declare void @sg_cluster_arrive(ptr) nounwind\n"
	"declare void @sg_cluster_wait(ptr) nounwind\n"
	"declare ptr @sg_cluster_pointer(ptr, i64, i32, i1) nounwind\n"
	"declare void @sg_cluster_cancel(ptr, i64, i64, i1) nounwind\n"
	"declare i32 @sg_cluster_even(ptr, i32) nounwind\n"
	"declare void @sg_wgmma(ptr, i32, ptr) nounwind\n"
	"declare void @sg_warpgroup_meet(ptr) nounwind\n"
	"declare void @sg_tmem_load(ptr, i32, i32, i32, ptr) nounwind\n"
	"declare void @sg_tmem_store(ptr, i32, i32, i32, ptr) nounwind\n"
	"declare void @sg_tmem_alloc(ptr, ptr, i32, i32) nounwind\n"
	"declare void @sg_tmem_free(ptr, i32, i32) nounwind\n"
	"declare void @sg_tmem_relinquish(ptr) nounwind\n"
	"declare void @sg_tmem_copy(ptr, i32, i32, i64) nounwind\n"
	"declare void @sg_tmem_shift(ptr, i32, i32) nounwind\n"
	"declare void @sg_tmem_commit(ptr, i64, i32) nounwind\n"
	"declare void @sg_tensor_multiply(ptr, i32, ptr) nounwind\n"
	"declare i64 @sg_mbarrier(ptr, i32, ptr, i64) nounwind\n"
	"declare i32 @sg_mbarrier_pending(i64) nounwind memory(none)\n"
	"declare void @sg_barrier(ptr, i32, i32) nounwind\n"
	"declare void @sg_barrier_arrive(ptr, i32, i32) nounwind\n"
	"declare i32 @sg_barrier_red(ptr, i32, i32, i32, i32) nounwind\n"
	"!0 = !{}\n"
	"!1 = !{!\"branch_weights\", i32 2000, i32 1}\n" /* nearly always */
	"attributes #0 = { nounwind \"frame-pointer\"=\"none\" \"probe-stack\"=\"inline-asm\" }\n"
	"attributes #1 = { alwaysinline nounwind memory(none) }\n"
	/* 2 to the power of the nearest integer, in two factors for results below the normal
	 * numbers, times a polynomial: within 0.9 of the last bit, and exact for integers. Whole
	 * vectors of it cost what one call of the host's library does. */
	"define internal float @sg.ex2(float %x) #1 {\n"
	"  %lo = fcmp olt float %x, -1.600000e+02\n"
	"  %y = select i1 %lo, float -1.600000e+02, float %x\n"
	"  %hi = fcmp ogt float %y, 1.600000e+02\n"
	"  %z = select i1 %hi, float 1.600000e+02, float %y\n"
	"  %t = fadd float %z, 0x4168000000000000\n"
	"  %n = fsub float %t, 0x4168000000000000\n"
	"  %d = fsub float %z, %n\n"
	"  %p5 = call float @llvm.fma.f32(float 0x3F2421B200000000, float %d, float 0x3F55F14660000000)\n"
	"  %p4 = call float @llvm.fma.f32(float %p5, float %d, float 0x3F83B2CDC0000000)\n"
	"  %p3 = call float @llvm.fma.f32(float %p4, float %d, float 0x3FAC6AF380000000)\n"
	"  %p2 = call float @llvm.fma.f32(float %p3, float %d, float 0x3FCEBFBD80000000)\n"
	"  %p1 = call float @llvm.fma.f32(float %p2, float %d, float 0x3FE62E4300000000)\n"
	"  %p0 = call float @llvm.fma.f32(float %p1, float %d, float 1.0)\n"
	"  %b = bitcast float %t to i32\n"
	"  %i = sub i32 %b, 1262485504\n"
	"  %h = ashr i32 %i, 1\n"
	"  %g = sub i32 %i, %h\n"
	"  %he = shl i32 %h, 23\n"
	"  %ge = shl i32 %g, 23\n"
	"  %hb = add i32 %he, 1065353216\n"
	"  %gb = add i32 %ge, 1065353216\n"
	"  %hf = bitcast i32 %hb to float\n"
	"  %gf = bitcast i32 %gb to float\n"
	"  %q = fmul float %p0, %hf\n"
	"  %r = fmul float %q, %gf\n"
	"  ret float %r\n"
	"}\n"
	"define internal float @sg.ftz.f32(float %x) #1 {\n"
	"  %a = call float @llvm.fabs.f32(float %x)\n"
	"  %d = fcmp olt float %a, 0x3810000000000000\n"
	"  %z = call float @llvm.copysign.f32(float 0.0, float %x)\n"
	"  %r = select i1 %d, float %z, float %x\n"
	"  ret float %r\n"
	"}\n"
	"define internal i16 @sg.ftz.f16(i16 %x) #1 {\n"
	"  %e = and i16 %x, 31744\n"
	"  %d = icmp eq i16 %e, 0\n"
	"  %z = and i16 %x, -32768\n"
	"  %r = select i1 %d, i16 %z, i16 %x\n"
	"  ret i16 %r\n"
	"}\n"
	CLAMPS("float", "f32")
	CLAMPS("double", "f64")
	SMALLER_AND_LARGER("float", "f32", "i32", "0x7FFFFFFFE0000000")
	SMALLER_AND_LARGER("double", "f64", "i64", "0x7FFFFFFFFFFFFFFF")
	DIVISIONS("i32")
	DIVISIONS("i64")
	SHIFTS("i16", "15", "trunc i32 %k to i16")
	SHIFTS("i32", "31", "or i32 %k, 0")
	SHIFTS("i64", "63", "zext i32 %k to i64")
	"define internal i32 @sg.shf.l.clamp(i32 %h, i32 %l, i32 %c) #1 {\n"
	"  %q = call i32 @llvm.fshl.i32(i32 %h, i32 %l, i32 %c)\n"
	"  %o = icmp ugt i32 %c, 31\n"
	"  %r = select i1 %o, i32 %l, i32 %q\n"
	"  ret i32 %r\n"
	"}\n"
	"define internal i32 @sg.shf.r.clamp(i32 %h, i32 %l, i32 %c) #1 {\n"
	"  %q = call i32 @llvm.fshr.i32(i32 %h, i32 %l, i32 %c)\n"
	"  %o = icmp ugt i32 %c, 31\n"
	"  %r = select i1 %o, i32 %h, i32 %q\n"
	"  ret i32 %r\n"
	"}\n"
	BIT_FIELDS("i32", "32")
	BIT_FIELDS("i64", "64")
	"define internal i32 @sg.szext.u(i32 %a, i32 %n) #1 {\n"
	"  %m = call i32 @sg.shl.i32(i32 -1, i32 %n)\n"
	"  %k = xor i32 %m, -1\n"
	"  %r = and i32 %a, %k\n"
	"  ret i32 %r\n"
	"}\n"
	"define internal i32 @sg.szext.s(i32 %a, i32 %n) #1 {\n"
	"  %o = icmp ugt i32 %n, 32\n"
	"  %c = select i1 %o, i32 32, i32 %n\n"
	"  %u = sub i32 32, %c\n"
	"  %x = call i32 @sg.shl.i32(i32 %a, i32 %u)\n"
	"  %y = call i32 @sg.ashr.i32(i32 %x, i32 %u)\n"
	"  %z = icmp eq i32 %n, 0\n"
	"  %r = select i1 %z, i32 0, i32 %y\n"
	"  ret i32 %r\n"
	"}\n"
	"define internal i32 @sg.prmt(i64 %x, i32 %s) #1 {\n"
	SELECTED_BYTE("0", "0", "0", "0")
	SELECTED_BYTE("1", "4", "8", "%r0")
	SELECTED_BYTE("2", "8", "16", "%r1")
	SELECTED_BYTE("3", "12", "24", "%r2")
	"  ret i32 %r3\n"
	"}\n"
	"define internal i16 @sg.to.f16(float %x) #1 {\n"
	"  %h = fptrunc float %x to half\n"
	"  %b = bitcast half %h to i16\n"
	"  %n = fcmp uno float %x, %x\n"
	"  %r = select i1 %n, i16 32767, i16 %b\n"
	"  ret i16 %r\n"
	"}\n"
	"define internal i16 @sg.to.bf16(float %x) #1 {\n"
	"  %i = bitcast float %x to i32\n"
	"  %l = lshr i32 %i, 16\n"
	"  %o = and i32 %l, 1\n"
	"  %a = add i32 %i, 32767\n"
	"  %b = add i32 %a, %o\n"
	"  %s = lshr i32 %b, 16\n"
	"  %h = trunc i32 %s to i16\n"
	"  %n = fcmp uno float %x, %x\n"
	"  %r = select i1 %n, i16 32767, i16 %h\n"
	"  ret i16 %r\n"
	"}\n";
/* clang-format on */
