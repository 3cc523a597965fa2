/* What a translation for the warp machine has beside the common prelude: the machine's functions
 * for whole warps. */
#include "softgpu/jit/warp/warp.h"

const char warp_prelude[] =
    "declare void @sg_warp_move(ptr, ptr, ptr) nounwind\n"
    "declare void @sg_warp_fault(ptr, ptr, ptr, i32, i1, i1) noreturn nounwind cold\n"
    "declare void @sg_warp_cluster_fault(ptr, ptr, ptr, i32, i1) noreturn nounwind cold\n"
    "declare ptr @sg_lane_of(ptr, i32) nounwind\n"
    "declare void @sg_warp_exchange(i32, i32, ptr) nounwind\n"
    "declare void @sg_warp_wgmma(ptr, i32, ptr) nounwind\n"
    "declare void @sg_warp_warpgroup_meet(ptr, i32) nounwind\n"
    "declare void @sg_warp_copy_async(ptr, ptr, i32, i32, i32) nounwind\n"
    "declare void @sg_warp_cluster_arrive(ptr, i32) nounwind\n"
    "declare i64 @sg_warp_mbarrier_arrive(ptr, i32, i32, ptr, i64, i64) nounwind\n"
    "declare void @sg_warp_matrix(i32, i32, ptr) nounwind\n"
    "declare void @sg_warp_wmma_load(ptr, i32, i64, i32, ptr) nounwind\n"
    "declare void @sg_warp_wmma_store(ptr, i32, i64, i32, ptr) nounwind\n"
    "declare void @sg_warp_tmem_load(ptr, i32, i32, i32, ptr) nounwind\n"
    "declare void @sg_warp_tmem_store(ptr, i32, i32, i32, ptr, i32) nounwind\n"
    "declare void @sg_warp_tmem_alloc(ptr, ptr, i32, i32) nounwind\n"
    "declare void @sg_warp_tmem_free(ptr, i32, i32) nounwind\n"
    "declare void @sg_warp_tmem_relinquish(ptr) nounwind\n"
    "declare void @sg_warp_leave(ptr, i32) nounwind\n"
    "declare i32 @sg_warp_barrier(ptr, i32, i32, i32, i32, i32) nounwind\n"
    "declare void @sg_warp_barrier_arrive(ptr, i32, i32, i32) nounwind\n"
    "declare void @sg_tally_learn(ptr, ptr, ptr, i32) nounwind\n"
    "declare void @sg_tally_close(ptr) nounwind cold\n"
    "declare void @sg_tally_empty(ptr) nounwind cold\n"
    /* Frames may be larger than the page that guards a stack. */
    "attributes #3 = { nounwind \"frame-pointer\"=\"none\" \"probe-stack\"=\"inline-asm\" }\n";
