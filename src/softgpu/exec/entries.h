/* The machine's functions that compiled code calls, beside the float ones. All run on a fiber. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "softgpu/exec/lane.h"

/* warp.c */
uint64_t sg_exchange(
    struct sg_lane *lane, uint32_t kind, uint32_t mask, uint64_t value, uint32_t b, uint32_t c);

/* barrier.c: count 0 is all threads of the block. */
void sg_barrier(struct sg_lane *lane, uint32_t number, uint32_t count);
void sg_barrier_arrive(struct sg_lane *lane, uint32_t number, uint32_t count);
uint32_t sg_barrier_red(struct sg_lane *lane, uint32_t number, uint32_t count, uint32_t operation,
    uint32_t predicate); /* 0 or 1 */

/* Of n threads that come together, of which n_true bring a predicate that holds. */
uint32_t sg_warp_barrier(struct sg_lane *lane, uint32_t n, uint32_t number, uint32_t count,
    uint32_t operation, uint32_t n_true);
void sg_warp_barrier_arrive(struct sg_lane *lane, uint32_t n, uint32_t number, uint32_t count);

/* warp-code.c: of code that runs warps. */
struct sg_lane *sg_lane_of(struct sg_lane *lane, uint32_t number); /* until the next call */
/* cp.async of n lanes, of which some run: size bytes from where the second n of the places are to
 * the first; behind them, SG_COPIES_PARTLY, how many are read, as 32 bits each. */
void sg_warp_copy_async(const struct sg_lanes *lanes, const uint64_t *places, uint32_t n,
    uint32_t size, uint32_t flags);
_Noreturn void sg_warp_fault(struct sg_lane *lane, const uint64_t *addresses,
    const struct sg_lanes *lanes, uint32_t size, bool is_write, bool is_shared);
/* The same of addresses in the window shared::cluster. */
_Noreturn void sg_warp_cluster_fault(struct sg_lane *lane, const uint64_t *addresses,
    const struct sg_lanes *lanes, uint32_t size, bool is_write);
void sg_warp_move(struct sg_lane *lane, const struct sg_move *move, uint8_t *data);
void sg_warp_exchange(uint32_t kind, uint32_t lanes, struct sg_exchange_table *table);
void sg_warp_leave(struct sg_lane *lane, uint32_t n);

/* cluster.c: addresses are of the window shared::cluster */
void sg_cluster_arrive(struct sg_lane *lane);
void sg_warp_cluster_arrive(struct sg_lane *lane, uint32_t n); /* n threads that come together */
void sg_cluster_wait(struct sg_lane *lane);
uint8_t *sg_cluster_pointer(struct sg_lane *lane, uint64_t address, uint32_t size, bool is_write);
uint64_t sg_cluster_map(struct sg_lane *lane, uint64_t address, uint32_t rank);
uint32_t sg_cluster_rank(struct sg_lane *lane, uint64_t address);
/* The same place in the even block of the pair; what is no address stays. */
uint32_t sg_cluster_even(struct sg_lane *lane, uint32_t address);
/* Takes the next blocks nobody runs, if there are any, and answers the block, or the whole
 * cluster. */
void sg_cluster_cancel(struct sg_lane *lane, uint64_t answer, uint64_t mbarrier, bool to_all);

/* check.c: of checked code; lanes are bits, flags enum sg_check_flags. data, which may be NULL:
 * what is written. */
void sg_check_access(struct sg_lane *lane, uint64_t address, uint32_t size, uint32_t flags,
    uint32_t line, const uint8_t *data);
void sg_check_accesses(struct sg_lane *lane, const uint64_t *addresses, uint32_t lanes,
    uint32_t size, uint32_t flags, uint32_t line, const uint8_t *data);
void sg_check_order(struct sg_lane *lane);
void sg_check_warp_order(struct sg_lane *lane);
void sg_check_poison(void *memory, uint64_t size);
void sg_check_rows(struct sg_lane *lane, uint32_t n, uint32_t row);
_Noreturn void sg_check_uniform(struct sg_lane *lane, uint32_t lanes, uint32_t size, uint32_t line,
    const uint8_t *own, const uint8_t *claimed);

/* mbarrier.c */
uint64_t sg_mbarrier(struct sg_lane *lane, uint32_t operation, uint64_t *at, uint64_t value);
uint32_t sg_mbarrier_pending(uint64_t state);
/* n lanes, each of which may announce bytes and arrives (operation) with a count. */
uint64_t sg_warp_mbarrier_arrive(struct sg_lane *lane, uint32_t n, uint32_t operation, uint64_t *at,
    uint64_t count, uint64_t bytes);

/* fault.c */
_Noreturn void sg_fault_access(
    struct sg_lane *lane, uint64_t address, uint32_t size, bool is_write, bool is_shared);

/* runtime.c */
_Noreturn void sg_stopped(struct sg_lane *lane);
_Noreturn void sg_trap(struct sg_lane *lane);
_Noreturn void sg_exit(struct sg_lane *lane);
_Noreturn void sg_bad_call(struct sg_lane *lane);
void sg_poll(struct sg_lane *lane);
void sg_let_pass(
    struct sg_lane *lane); /* every fiber that can run does, until it waits or passes */
void sg_give_way(struct sg_lane *lane);
void sg_nanosleep(struct sg_lane *lane, uint32_t ns);
uint64_t sg_globaltimer(void);
bool sg_is_space(struct sg_lane *lane, uint32_t space, uint64_t address);
void *sg_check_stack(struct sg_lane *lane, uint64_t address);
void sg_copy_async(
    void *to, const void *from, uint32_t size, uint32_t from_size); /* zeroes behind from_size */
uint32_t sg_fns(uint32_t mask, uint32_t base, int32_t offset);
uint32_t sg_prmt(
    uint32_t mode, uint64_t bytes, uint32_t selector); /* the modes f4e to rc16, 0 to 5 */
uint32_t sg_video(uint32_t operation, uint32_t flags, uint32_t a, uint32_t b, uint32_t c);
uint32_t sg_video_part(uint32_t bits, uint32_t a, uint32_t b, uint32_t c); /* video.c */
float sg_sin(float x);
float sg_cos(float x);
float sg_lg2(float x);
float sg_tanh(float x);

/* runtime-atomic.c: return the old value. */
#define SG_HALF_ATOMICS(A)                                                                         \
	A(add, f16) A(min, f16) A(max, f16) A(add, bf16) A(min, bf16) A(max, bf16)
#define SG_HALF_ATOMIC_ENTRY(operation, type)                                                      \
	uint16_t sg_atomic_##operation##_##type(uint16_t *at, uint16_t value);                     \
	uint32_t sg_atomic_##operation##_##type##x2(uint32_t *at, uint32_t value);
SG_HALF_ATOMICS(SG_HALF_ATOMIC_ENTRY)

/* builtin.c: device-side library functions; every value by address. */
void sg_builtin_vprintf(
    struct sg_lane *lane, uint32_t *result, const uint64_t *format, const uint64_t *arguments);
_Noreturn void sg_builtin___assertfail(struct sg_lane *lane, const uint64_t *message,
    const uint64_t *file, const uint32_t *line, const uint64_t *function,
    const uint64_t *char_size);
void sg_builtin_malloc(struct sg_lane *lane, uint64_t *result, const uint64_t *size);
void sg_builtin_free(struct sg_lane *lane, const uint64_t *address);
/* children.c: of the device runtime. */
void sg_builtin___cudaCDP2GetParameterBufferV2(struct sg_lane *lane, uint64_t *result,
    const uint64_t *function, const uint32_t *grid, const uint32_t *block, const uint32_t *shared);
void sg_builtin___cudaCDP2LaunchDeviceV2(
    struct sg_lane *lane, uint32_t *result, const uint64_t *buffer, const uint64_t *stream);
void sg_builtin___cudaCDP2MemcpyAsync(struct sg_lane *lane, uint32_t *result, const uint64_t *to,
    const uint64_t *from, const uint64_t *size, const uint32_t *kind, const uint64_t *stream);
void sg_builtin___cudaCDP2MemsetAsync(struct sg_lane *lane, uint32_t *result, const uint64_t *to,
    const uint32_t *value, const uint64_t *size, const uint64_t *stream);
void sg_builtin___cudaCDP2StreamCreateWithFlags(
    struct sg_lane *lane, uint32_t *result, const uint64_t *stream, const uint32_t *flags);
void sg_builtin___cudaCDP2EventCreateWithFlags(
    struct sg_lane *lane, uint32_t *result, const uint64_t *event, const uint32_t *flags);
void sg_builtin___cudaCDP2StreamDestroy(
    struct sg_lane *lane, uint32_t *result, const uint64_t *stream);
void sg_builtin___cudaCDP2EventDestroy(
    struct sg_lane *lane, uint32_t *result, const uint64_t *event);
void sg_builtin___cudaCDP2EventRecord(
    struct sg_lane *lane, uint32_t *result, const uint64_t *event, const uint64_t *stream);
void sg_builtin___cudaCDP2StreamWaitEvent(struct sg_lane *lane, uint32_t *result,
    const uint64_t *stream, const uint64_t *event, const uint32_t *flags);
void sg_builtin___cudaCDP2GetLastError(struct sg_lane *lane, uint32_t *result);
void sg_builtin___cudaCDP2PeekAtLastError(struct sg_lane *lane, uint32_t *result);
void sg_builtin___cudaCDP2GetDevice(struct sg_lane *lane, uint32_t *result, const uint64_t *device);
void sg_builtin___cudaCDP2GetDeviceCount(
    struct sg_lane *lane, uint32_t *result, const uint64_t *count);
/* The text is the grid's: it goes when the grid has ended. */
void sg_builtin___cudaCDP2GetErrorString(
    struct sg_lane *lane, uint64_t *result, const uint32_t *error);
void sg_builtin___cudaCDP2Malloc(
    struct sg_lane *lane, uint32_t *result, const uint64_t *address, const uint64_t *size);
void sg_builtin___cudaCDP2Free(struct sg_lane *lane, uint32_t *result, const uint64_t *address);
/* groups.c: of cooperative groups. */
void sg_builtin_cudaCGGetIntrinsicHandle(
    struct sg_lane *lane, uint64_t *handle, const uint32_t *scope);
void sg_builtin_cudaCGSynchronize(
    struct sg_lane *lane, uint32_t *result, const uint64_t *handle, const uint32_t *flags);
void sg_builtin_cudaCGSynchronizeGrid(
    struct sg_lane *lane, uint32_t *result, const uint64_t *handle, const uint32_t *flags);
void sg_builtin_cudaCGGetSize(struct sg_lane *lane, uint32_t *result, const uint64_t *threads,
    const uint64_t *grids, const uint64_t *handle);
void sg_builtin_cudaCGGetRank(struct sg_lane *lane, uint32_t *result, const uint64_t *thread,
    const uint64_t *grid_rank, const uint64_t *handle);
/* The handle of a graph's condition is the address of its value. */
void sg_builtin_cudaGraphSetConditional(
    struct sg_lane *lane, const uint64_t *handle, const uint32_t *value);
