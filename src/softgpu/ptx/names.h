/*
 * The words of PTX: types, modifiers, special registers and opcodes, each list once, as a macro.
 * The enums come from the lists here, the tables from the same lists in names.c and the
 * translator.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* clang-format off */
/* T(name, bits, class): class b(its), u(nsigned), s(igned), f(loat), p(redicate) */
#define PTX_TYPES(T)                                                                               \
	T(b8, 8, b) T(b16, 16, b) T(b32, 32, b) T(b64, 64, b) T(b128, 128, b) T(u8, 8, u)          \
	T(u16, 16, u) T(u32, 32, u) T(u64, 64, u) T(s8, 8, s) T(s16, 16, s) T(s32, 32, s)          \
	T(s64, 64, s) T(f16, 16, f) T(f16x2, 32, f) T(bf16, 16, f) T(bf16x2, 32, f)                \
	T(f32, 32, f) T(f64, 64, f) T(f32x2, 64, f) T(tf32, 32, b) T(e4m3x2, 16, b)                \
	T(e5m2x2, 16, b) T(e4m3x4, 32, b) T(e5m2x4, 32, b) T(e4m3, 8, b) T(e5m2, 8, b) T(s4, 4, s) T(u4, 4, u) T(s2, 2, s) T(u2, 2, u) T(e2m1x2, 8, b) T(e2m3x2, 16, b) T(e3m2x2, 16, b) T(ue8m0x2, 16, b) T(b1, 1, b)            \
	T(e2m1x4, 16, b) T(e2m3x4, 32, b) T(e3m2x4, 32, b)                                         \
	T(b1024, 0, b) T(e2m1, 8, b) T(e2m3, 8, b) T(e3m2, 8, b) T(ue8m0, 8, b) T(ue4m3, 8, b) T(u16x2, 32, u) T(s16x2, 32, s) T(pred, 1, p)                                              \
	/* variables of these hold numbers of the driver's */                                      \
	T(texref, 64, b) T(samplerref, 64, b) T(surfref, 64, b)

/* M(identifier, spelling) */
#define PTX_MODIFIERS(M)                                                                           \
	M(ftz, "ftz") M(noftz, "noftz") M(sat, "sat") M(satfinite, "satfinite")                    \
	M(relu, "relu") M(oob, "oob") M(rn, "rn") M(rz, "rz") M(rm, "rm") M(rp, "rp") M(rna, "rna") M(rs, "rs")  \
	M(rni, "rni") M(rzi, "rzi") M(rmi, "rmi") M(rpi, "rpi") M(approx, "approx")                \
	M(full, "full") M(lo, "lo") M(hi, "hi") M(wide, "wide") M(cc, "cc")                        \
	M(global, "global") M(shared, "shared") M(shared_cta, "shared::cta")                       \
	M(shared_cluster, "shared::cluster") M(local, "local") M(const, "const")                   \
	M(param, "param") M(param_entry, "param::entry") M(param_func, "param::func")              \
	M(v2, "v2") M(v4, "v4") M(v8, "v8") M(uni, "uni") M(eq, "eq") M(ne, "ne")                  \
	M(lt, "lt") M(le, "le") M(gt, "gt") M(ge, "ge") M(ls, "ls") M(hs, "hs")                    \
	M(equ, "equ") M(neu, "neu") M(ltu, "ltu") M(leu, "leu") M(gtu, "gtu")                      \
	M(geu, "geu") M(num, "num") M(nan, "nan") M(NaN, "NaN") M(and, "and") M(or, "or")          \
	M(xor, "xor") M(popc, "popc") M(add, "add") M(inc, "inc") M(dec, "dec")                    \
	M(exch, "exch") M(cas, "cas") M(min, "min") M(max, "max") M(xorsign, "xorsign")            \
	M(abs, "abs") M(sync, "sync") M(arrive, "arrive") M(red, "red") M(warp, "warp")            \
	M(cta, "cta") M(aligned, "aligned") M(all, "all") M(any, "any")                            \
	M(ballot, "ballot") M(up, "up") M(down, "down") M(bfly, "bfly") M(idx, "idx")              \
	M(to, "to") M(volatile, "volatile") M(relaxed, "relaxed") M(acquire, "acquire")            \
	M(release, "release") M(acq_rel, "acq_rel") M(weak, "weak") M(sc, "sc")                    \
	M(mmio, "mmio") M(cluster, "cluster") M(gpu, "gpu") M(sys, "sys") M(gl, "gl")              \
	M(ca, "ca") M(cg, "cg") M(cs, "cs") M(lu, "lu") M(cv, "cv") M(wb, "wb")                    \
	M(wt, "wt") M(nc, "nc") M(shiftamt, "shiftamt") M(l, "l") M(r, "r")                        \
	M(wrap, "wrap") M(clamp, "clamp") M(f4e, "f4e") M(b4e, "b4e") M(rc8, "rc8")                \
	M(ecl, "ecl") M(ecr, "ecr") M(rc16, "rc16") M(finite, "finite")                            \
	M(infinite, "infinite") M(number, "number") M(notanumber, "notanumber")                    \
	M(normal, "normal") M(subnormal, "subnormal") M(async, "async")                            \
	M(commit_group, "commit_group") M(wait_group, "wait_group")                                \
	M(wait_all, "wait_all") M(L1, "L1") M(L2, "L2")                                            \
	M(L1_evict_normal, "L1::evict_normal")                                                     \
	M(L1_evict_unchanged, "L1::evict_unchanged") M(L1_evict_first, "L1::evict_first")          \
	M(L1_evict_last, "L1::evict_last") M(L1_no_allocate, "L1::no_allocate")                    \
	M(L2_evict_normal, "L2::evict_normal") M(L2_evict_first, "L2::evict_first")                \
	M(L2_evict_last, "L2::evict_last") M(L2_evict_unchanged, "L2::evict_unchanged")            \
	M(L2_cache_hint, "L2::cache_hint") M(L2_64B, "L2::64B") M(L2_128B, "L2::128B")             \
	M(L2_256B, "L2::256B") M(fractional, "fractional") M(proxy, "proxy")                       \
	M(alias, "alias") M(launch_dependents, "launch_dependents") M(wait, "wait")                \
	M(mbarrier_init, "mbarrier_init") M(unified, "unified") M(bulk, "bulk")                    \
	M(reduce, "reduce") M(prefetch, "prefetch") M(init, "init") M(inval, "inval")              \
	M(expect_tx, "expect_tx") M(complete_tx, "complete_tx")                                    \
	M(arrive_drop, "arrive_drop") M(noComplete, "noComplete")                                  \
	M(test_wait, "test_wait") M(try_wait, "try_wait") M(parity, "parity")                      \
	M(pending_count, "pending_count") M(mbarrier, "mbarrier") M(noinc, "noinc")         \
	M(a, "a") M(b, "b") M(c, "c") M(d, "d") M(row, "row") M(col, "col") M(load, "load")        \
	M(store, "store") M(mma, "mma") M(trans, "trans") M(x1, "x1") M(x2, "x2") M(x4, "x4")      \
	M(m8n8, "m8n8") M(m8n16, "m8n16") M(m16n8, "m16n8") M(m16n16, "m16n16")                    \
	M(m8n8k4, "m8n8k4") M(m8n8k16, "m8n8k16") M(m8n8k32, "m8n8k32")            \
	M(m8n8k128, "m8n8k128") M(m8n32k16, "m8n32k16") M(m16n8k4, "m16n8k4")                      \
	M(m16n8k8, "m16n8k8") M(m16n8k16, "m16n8k16") M(m16n8k32, "m16n8k32")                      \
	M(m16n8k64, "m16n8k64") M(m16n8k128, "m16n8k128") M(m16n8k256, "m16n8k256")                \
	M(m16n16k8, "m16n16k8") M(m16n16k16, "m16n16k16") M(m32n8k16, "m32n8k16")                  \
	M(mbarrier_complete_tx_bytes, "mbarrier::complete_tx::bytes") M(read, "read")              \
	M(bulk_group, "bulk_group") M(multicast_cluster, "multicast::cluster")                     \
	M(shr7, "shr7") M(shr15, "shr15") M(po, "po") M(pack, "pack") M(range, "range") M(cvt, "cvt") M(async_generic, "async::generic") M(cp_mask, "cp_mask")                         \
	M(tensormap, "tensormap") M(mask, "mask")                                                  \
	/* asking for blocks that have not begun */                                                \
	M(try_cancel, "try_cancel") M(query_cancel, "query_cancel")                                \
	M(is_canceled, "is_canceled") M(get_first_ctaid, "get_first_ctaid")                        \
	M(get_first_ctaid_x, "get_first_ctaid::x") M(get_first_ctaid_y, "get_first_ctaid::y")      \
	M(get_first_ctaid_z, "get_first_ctaid::z")                                                 \
	M(multicast_cluster_all, "multicast::cluster::all")                                        \
	M(fence, "fence") M(mma_async, "mma_async") M(ld_reduce, "ld_reduce") M(acc_f16, "acc::f16") M(acc_f32, "acc::f32")                                                \
	/* narrow and sparse matrices */                                                           \
	M(sp, "sp") M(sp_ordered_metadata, "sp::ordered_metadata")                                 \
	M(kind_f8f6f4, "kind::f8f6f4") M(kind_mxf8f6f4, "kind::mxf8f6f4")                          \
	M(kind_mxf4, "kind::mxf4") M(kind_mxf4nvf4, "kind::mxf4nvf4")                              \
	M(block_scale, "block_scale") M(scale_vec_1X, "scale_vec::1X")                             \
	M(scale_vec_2X, "scale_vec::2X") M(scale_vec_4X, "scale_vec::4X")                          \
	/* tensor memory */                                                                        \
	M(alloc, "alloc") M(dealloc, "dealloc")                                                    \
	M(relinquish_alloc_permit, "relinquish_alloc_permit") M(ld, "ld") M(st, "st")              \
	M(cp, "cp") M(shift, "shift") M(commit, "commit") M(wait_ld, "wait::ld")                   \
	M(wait_st, "wait::st") M(fence_before_thread_sync, "fence::before_thread_sync")            \
	M(fence_after_thread_sync, "fence::after_thread_sync")                                     \
	M(mbarrier_arrive_one, "mbarrier::arrive::one") M(32x32b, "32x32b")                        \
	M(16x64b, "16x64b") M(16x128b, "16x128b") M(16x256b, "16x256b")                            \
	M(16x32bx2, "16x32bx2") M(x8, "x8") M(x16, "x16") M(x32, "x32") M(x64, "x64")              \
	M(x128, "x128") M(pack_16b, "pack::16b") M(unpack_16b, "unpack::16b")                      \
	M(128x256b, "128x256b") M(4x256b, "4x256b") M(128x128b, "128x128b")                        \
	M(64x128b, "64x128b") M(32x128b, "32x128b") M(warpx2_02_13, "warpx2::02_13")               \
	M(warpx2_01_23, "warpx2::01_23") M(warpx4, "warpx4") M(b8x16, "b8x16")                     \
	M(b6x16_p32, "b6x16_p32") M(b4x16_p64, "b4x16_p64") M(kind_f16, "kind::f16")               \
	M(kind_tf32, "kind::tf32") M(kind_i8, "kind::i8") M(ws, "ws") M(ashift, "ashift")          \
	M(block16, "block16") M(block32, "block32")                                                \
	M(collector_a_fill, "collector::a::fill") M(collector_a_use, "collector::a::use")          \
	M(collector_a_lastuse, "collector::a::lastuse")                                            \
	M(collector_a_discard, "collector::a::discard")                                            \
	M(collector_b0_fill, "collector::b0::fill")                                                \
	M(collector_b0_use, "collector::b0::use")                                                  \
	M(collector_b0_lastuse, "collector::b0::lastuse")                                          \
	M(collector_b0_discard, "collector::b0::discard")                                          \
	M(collector_b1_fill, "collector::b1::fill")                                                \
	M(collector_b1_use, "collector::b1::use")                                                  \
	M(collector_b1_lastuse, "collector::b1::lastuse")                                          \
	M(collector_b1_discard, "collector::b1::discard")                                          \
	M(collector_b2_fill, "collector::b2::fill")                                                \
	M(collector_b2_use, "collector::b2::use")                                                  \
	M(collector_b2_lastuse, "collector::b2::lastuse")                                          \
	M(collector_b2_discard, "collector::b2::discard")                                          \
	M(collector_b3_fill, "collector::b3::fill")                                                \
	M(collector_b3_use, "collector::b3::use")                                                  \
	M(collector_b3_lastuse, "collector::b3::lastuse")                                          \
	M(collector_b3_discard, "collector::b3::discard")                                          \
	/* tensor maps */                                                                          \
	M(tensor, "tensor") M(tile, "tile") M(tile_gather4, "tile::gather4")                       \
	M(tile_scatter4, "tile::scatter4") M(im2col, "im2col") M(im2col_w, "im2col::w")            \
	M(im2col_w_128, "im2col::w::128") M(im2col_no_offs, "im2col_no_offs")                      \
	M(4d, "4d") M(5d, "5d") M(cta_group_1, "cta_group::1") M(cta_group_2, "cta_group::2")      \
	M(tensormap_generic, "tensormap::generic") M(replace, "replace")                           \
	M(global_address, "global_address") M(rank, "rank") M(box_dim, "box_dim")                  \
	M(global_dim, "global_dim") M(global_stride, "global_stride")                              \
	M(element_stride, "element_stride") M(elemtype, "elemtype")                                \
	M(interleave_layout, "interleave_layout") M(swizzle_mode, "swizzle_mode")                  \
	M(swizzle_atomicity, "swizzle_atomicity") M(fill_mode, "fill_mode")                        \
	M(cp_fenceproxy, "cp_fenceproxy")                                                          \
	M(sync_restrict_cta, "sync_restrict::shared::cta")                                         \
	M(sync_restrict_cluster, "sync_restrict::shared::cluster")                         \
	/* textures and surfaces */                                                                \
	M(1d, "1d") M(2d, "2d") M(3d, "3d") M(a1d, "a1d") M(a2d, "a2d") M(cube, "cube")            \
	M(acube, "acube") M(2dms, "2dms") M(a2dms, "a2dms") M(base, "base") M(level, "level")      \
	M(grad, "grad") M(g, "g") M(p, "p") M(trap, "trap") M(zero, "zero")    \
	M(width, "width") M(height, "height") M(depth, "depth")                                    \
	M(channel_data_type, "channel_data_type") M(channel_order, "channel_order")                \
	M(normalized_coords, "normalized_coords") M(array_size, "array_size")                      \
	M(num_mipmap_levels, "num_mipmap_levels") M(num_samples, "num_samples")                    \
	M(force_unnormalized_coords, "force_unnormalized_coords")                                  \
	M(filter_mode, "filter_mode") M(addr_mode_0, "addr_mode_0")                                \
	M(addr_mode_1, "addr_mode_1") M(addr_mode_2, "addr_mode_2")                                \
	M(memory_layout, "memory_layout")

/* S(identifier, spelling, type); of %envreg0..31 the number is in the operand's value */
#define PTX_SPECIALS(S)                                                                            \
	S(tid_x, "%tid.x", u32) S(tid_y, "%tid.y", u32) S(tid_z, "%tid.z", u32)                    \
	S(ntid_x, "%ntid.x", u32) S(ntid_y, "%ntid.y", u32) S(ntid_z, "%ntid.z", u32)              \
	S(ctaid_x, "%ctaid.x", u32) S(ctaid_y, "%ctaid.y", u32)                                    \
	S(ctaid_z, "%ctaid.z", u32) S(nctaid_x, "%nctaid.x", u32)                                  \
	S(nctaid_y, "%nctaid.y", u32) S(nctaid_z, "%nctaid.z", u32)                                \
	S(laneid, "%laneid", u32) S(warpid, "%warpid", u32) S(nwarpid, "%nwarpid", u32)            \
	S(smid, "%smid", u32) S(nsmid, "%nsmid", u32) S(gridid, "%gridid", u64)                    \
	S(lanemask_eq, "%lanemask_eq", u32) S(lanemask_le, "%lanemask_le", u32)                    \
	S(lanemask_lt, "%lanemask_lt", u32) S(lanemask_ge, "%lanemask_ge", u32)                    \
	S(lanemask_gt, "%lanemask_gt", u32) S(clock, "%clock", u32)                                \
	S(clock_hi, "%clock_hi", u32) S(clock64, "%clock64", u64)                                  \
	S(globaltimer, "%globaltimer", u64) S(globaltimer_lo, "%globaltimer_lo", u32)              \
	S(globaltimer_hi, "%globaltimer_hi", u32)                                                  \
	S(dynamic_smem_size, "%dynamic_smem_size", u32)                                            \
	S(total_smem_size, "%total_smem_size", u32)                                                \
	S(aggr_smem_size, "%aggr_smem_size", u32)                                                  \
	S(is_explicit_cluster, "%is_explicit_cluster", pred)                                       \
	S(clusterid_x, "%clusterid.x", u32) S(clusterid_y, "%clusterid.y", u32)                    \
	S(clusterid_z, "%clusterid.z", u32) S(nclusterid_x, "%nclusterid.x", u32)                  \
	S(nclusterid_y, "%nclusterid.y", u32) S(nclusterid_z, "%nclusterid.z", u32)                \
	S(cluster_ctaid_x, "%cluster_ctaid.x", u32)                                                \
	S(cluster_ctaid_y, "%cluster_ctaid.y", u32)                                                \
	S(cluster_ctaid_z, "%cluster_ctaid.z", u32)                                                \
	S(cluster_nctaid_x, "%cluster_nctaid.x", u32)                                              \
	S(cluster_nctaid_y, "%cluster_nctaid.y", u32)                                              \
	S(cluster_nctaid_z, "%cluster_nctaid.z", u32)                                              \
	S(cluster_ctarank, "%cluster_ctarank", u32)                                                \
	S(cluster_nctarank, "%cluster_nctarank", u32)                                              \
	S(reserved_smem_offset_begin, "%reserved_smem_offset_begin", u32)                          \
	S(reserved_smem_offset_end, "%reserved_smem_offset_end", u32)                              \
	S(reserved_smem_offset_cap, "%reserved_smem_offset_cap", u32)                              \
	S(reserved_smem_offset_0, "%reserved_smem_offset_0", u32)                                  \
	S(reserved_smem_offset_1, "%reserved_smem_offset_1", u32)                                  \
	S(pm0, "%pm0", u32) S(pm1, "%pm1", u32) S(pm2, "%pm2", u32) S(pm3, "%pm3", u32)            \
	S(pm4, "%pm4", u32) S(pm5, "%pm5", u32) S(pm6, "%pm6", u32) S(pm7, "%pm7", u32)            \
	S(pm0_64, "%pm0_64", u64) S(pm1_64, "%pm1_64", u64) S(pm2_64, "%pm2_64", u64)              \
	S(pm3_64, "%pm3_64", u64) S(pm4_64, "%pm4_64", u64) S(pm5_64, "%pm5_64", u64)              \
	S(pm6_64, "%pm6_64", u64) S(pm7_64, "%pm7_64", u64)                                        \
	S(current_graph_exec, "%current_graph_exec", u64)                                          \
	S(envreg, "%envreg", u32)

/* clang-format on */
#define PTX_TYPE_ENUM(name, bits, class) PTX_TYPE_##name,
enum ptx_type { PTX_TYPE_NONE, PTX_TYPES(PTX_TYPE_ENUM) PTX_TYPE_COUNT };
#define PTX_MODIFIER_ENUM(name, spelling) PTX_MODIFIER_##name,
enum ptx_modifier { PTX_MODIFIERS(PTX_MODIFIER_ENUM) PTX_MODIFIER_COUNT };
#define PTX_SPECIAL_ENUM(name, spelling, type) PTX_SPECIAL_##name,
enum ptx_special { PTX_SPECIALS(PTX_SPECIAL_ENUM) PTX_SPECIAL_COUNT };

#include "softgpu/ptx/opcodes.h"

/* Negative when the word (size bytes, no NUL) is none. */
int ptx_type_find(const char *word, size_t size);
int ptx_modifier_find(const char *word, size_t size);
int ptx_opcode_find(const char *word, size_t size);
/* *number: of %envregN. */
int ptx_special_find(const char *word, size_t size, uint32_t *number);

enum ptx_type ptx_special_type(enum ptx_special special);
const struct ptx_opcode_info *ptx_opcode_info(enum ptx_opcode opcode);
