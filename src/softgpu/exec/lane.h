/*
 * What compiled code and the machine that runs it know of each other: the state of a thread, and
 * the names of the functions compiled code calls.
 *
 * A kernel is void kernel(struct sg_lane *): one call runs one thread. A .func is void f(struct
 * sg_lane *, void *return0, ..., void *param0, ...): every value is passed in memory, so that
 * direct calls, calls through pointers and the machine's own functions (vprintf) look alike.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "softgpu/mem/arena.h"

/*
 * One thread of a running block ("lane", for threads are the host's). Compiled code reads the
 * public half at fixed offsets and writes no more than call_site.
 */
struct sg_lane {
	uint32_t tid[3], ntid[3], ctaid[3], nctaid[3];
	uint32_t lane_id, warp_id, n_warps, sm_id, n_sms;
	uint64_t grid_id;
	const uint8_t *params; /* inside the arena: a kernel may take its parameters' addresses */
	uint8_t *shared;       /* base of the block's shared memory, inside the arena */
	uint64_t shared_size;  /* bytes, a multiple of 16 */
	uint32_t dynamic_shared_size;
	uint32_t reserved_shared; /* offset of SG_RESERVED_SHARED bytes, in kernels that use them */
	uint32_t spins;		  /* of polling loops, counts down to the next yield */
	uint32_t call_site;	  /* of the last call, written by compiled code */
	uint64_t stack_low, stack_high; /* local memory lies here */
	const uint32_t *stop;		/* non-zero: give up */
	const uint32_t *envreg;		/* 32 of them */
	const uint32_t *cluster; /* of the grid: blocks in x, y and z, then 1 if a size was named */
	uint64_t cluster_base;	 /* of the shared memory of the cluster's block 0 */
	uint32_t cluster_rank,
	    cluster_blocks;	/* the block's, and of the cluster how many there are */
	struct sg_block *block; /* the machine's */
	struct sg_fiber *fiber;
	uint32_t number;       /* in the block */
	uint32_t n_threads;    /* of the block */
	uint32_t device_error; /* of the device runtime's last call that failed */
	/* Of a warp's first lane, for code that runs warps: */
	uint32_t current;	/* the lane that is done alone, written by compiled code */
	const uint32_t *tids;	/* x of 32 lanes, then y, then z */
	struct sg_tally *tally; /* the machine's: tally.h */
};

/*
 * B(name, values returned, values taken): library functions of the machine's own, which programs
 * declare .extern. Those of the device runtime take the place of NVIDIA's, which are linked with a
 * program but talk to hardware.
 */
/* clang-format off */
#define SG_BUILTINS(B)                                                                             \
	B(vprintf, 1, 2) B(__assertfail, 0, 5) B(malloc, 1, 1) B(free, 0, 1)                       \
	B(cudaGraphSetConditional, 0, 2)                                                           \
	B(__cudaCDP2GetParameterBufferV2, 1, 4) B(__cudaCDP2LaunchDeviceV2, 1, 2)                  \
	B(__cudaCDP2MemcpyAsync, 1, 5) B(__cudaCDP2MemsetAsync, 1, 4)                              \
	B(__cudaCDP2StreamCreateWithFlags, 1, 2) B(__cudaCDP2StreamDestroy, 1, 1)                  \
	B(__cudaCDP2EventCreateWithFlags, 1, 2) B(__cudaCDP2EventDestroy, 1, 1)                    \
	B(__cudaCDP2EventRecord, 1, 2) B(__cudaCDP2StreamWaitEvent, 1, 3)                          \
	B(__cudaCDP2GetLastError, 1, 0) B(__cudaCDP2PeekAtLastError, 1, 0)                         \
	B(__cudaCDP2GetDevice, 1, 1) B(__cudaCDP2GetDeviceCount, 1, 1)                             \
	B(__cudaCDP2GetErrorString, 1, 1) B(__cudaCDP2Malloc, 1, 2) B(__cudaCDP2Free, 1, 1)        \
	B(cudaCGGetIntrinsicHandle, 1, 1) B(cudaCGSynchronize, 1, 2)                               \
	B(cudaCGSynchronizeGrid, 1, 2) B(cudaCGGetSize, 1, 3) B(cudaCGGetRank, 1, 3)
/* clang-format on */

/* What cooperative groups keep in shared memory, at two places. */
#define SG_RESERVED_SHARED 1024u
#define SG_RESERVED_SECOND 512u

typedef void (*sg_kernel_code)(struct sg_lane *lane);
typedef void (*sg_warp_code)(struct sg_lane *first, uint32_t n_lanes);

/* Lanes of code that runs many threads in step, as bits. */
#define SG_MOST_LANES 256u
struct sg_lanes {
	uint32_t words[SG_MOST_LANES / 32];
};

/* Addresses of functions are handles: SG_FUNCTION_BASE + 16 * number, below any device address. */
#define SG_FUNCTION_BASE UINT64_C(0x10000)

/* Rounds of a polling loop between two yields: of one that polls alone, and where others of its
 * machine can run, of whom one may be what it waits for. */
#define SG_POLL_PERIOD	      256
#define SG_POLL_PERIOD_SHARED 8

/* What the lanes of a warp do together: sg_exchange(lane, kind, mask, value, b, c). */
enum sg_exchange {
	SG_EXCHANGE_SYNC,
	/* b: distance, c: clamp | segment mask << 8. Result: value | predicate << 32 */
	SG_EXCHANGE_SHFL_UP,
	SG_EXCHANGE_SHFL_DOWN,
	SG_EXCHANGE_SHFL_BFLY,
	SG_EXCHANGE_SHFL_IDX,
	SG_EXCHANGE_VOTE_ALL, /* value: 0 or 1 */
	SG_EXCHANGE_VOTE_ANY,
	SG_EXCHANGE_VOTE_UNI,
	SG_EXCHANGE_BALLOT,
	SG_EXCHANGE_MATCH_ANY,
	SG_EXCHANGE_MATCH_ALL, /* result: mask | predicate << 32 */
	SG_EXCHANGE_REDUX_ADD,
	SG_EXCHANGE_REDUX_MIN_S,
	SG_EXCHANGE_REDUX_MAX_S,
	SG_EXCHANGE_REDUX_MIN_U,
	SG_EXCHANGE_REDUX_MAX_U,
	SG_EXCHANGE_REDUX_AND,
	SG_EXCHANGE_REDUX_OR,
	SG_EXCHANGE_REDUX_XOR,
	SG_EXCHANGE_REDUX_FLOAT, /* b: enum sg_redux_flags */
	SG_EXCHANGE_ELECT,	 /* result: leader | predicate << 32 */
	SG_EXCHANGE_MATRIX,	 /* b: a union sg_matrix; value: the lane's array (exec/matrix.h) */
	SG_EXCHANGE_WGMMA,	 /* likewise (exec/wgmma.h) */
	SG_EXCHANGE_ACTIVE,	 /* b: the place in the code, c: of the call that led there */
};

#define SG_NAN_F32 0x7fffffffu /* what PTX calls canonical */

enum sg_redux_flags { SG_REDUX_MAX = 1, SG_REDUX_ABS = 2, SG_REDUX_NAN = 4 };

/* The lane a shuffle reads, and whether it lies in the lane's segment; if not, it is itself. */
static inline uint32_t sg_shuffle_source(
    enum sg_exchange kind, uint32_t number, uint32_t distance, uint32_t c, bool *valid)
{
	int32_t lane = (int32_t)number, b = (int32_t)(distance & 31), clamp = (int32_t)(c & 31);
	int32_t segment = (int32_t)(c >> 8 & 31);
	int32_t low = lane & segment, high = low | (clamp & ~segment), from;

	switch (kind) {
	case SG_EXCHANGE_SHFL_UP:
		from = lane - b;
		*valid = from >= high;
		break;
	case SG_EXCHANGE_SHFL_DOWN:
		from = lane + b;
		*valid = from <= high;
		break;
	case SG_EXCHANGE_SHFL_BFLY:
		from = lane ^ b;
		*valid = from <= high;
		break;
	default:
		from = low | (b & ~segment);
		*valid = from <= high;
	}
	return (uint32_t)(*valid ? from : lane);
}

/* What a whole warp of 32 brings to an exchange, aligned to 256 bytes; entries of lanes that do not
 * run mean nothing. */
struct sg_exchange_table {
	uint64_t value[32], result[32];
	uint32_t b[32], c[32], members[32];
	uint32_t common; /* result of the first lane that runs */
};

enum sg_move_flags {
	SG_MOVE_WRITE = 1,
	SG_MOVE_SHARED = 2,
	SG_MOVE_NARROW = 4, /* addresses wrap at 32 bits */
};

/* Where lanes read or write: base of the row + place in the row * stride, less wrap for some. */
struct sg_move {
	uint64_t bases[SG_MOST_LANES / 8]; /* by row */
	struct sg_lanes lanes, wrapped;
	uint64_t stride, wrap;
	uint32_t size, row, flags; /* bytes of a lane, lanes in a row */
};

enum sg_copies_flags {
	SG_COPIES_PARTLY = 1, /* lanes read different numbers of bytes */
	SG_COPIES_DENSE = 2,  /* from neighbours to neighbours */
};

/* What checked code tells the machine of an access (exec/check.c). Of a warp's, the width of the
 * elements that are written stands from SG_CHECK_ELEMENT on, and lanes from SG_CHECK_LANES on; of
 * one that only a warp's first threads take part in, how many, from SG_CHECK_FIRST on. */
enum sg_check_flags {
	SG_CHECK_WRITE = 1,
	SG_CHECK_STRONG = 2, /* ordered by the memory model: atomic, volatile, relaxed... */
	SG_CHECK_SHARED = 4, /* the address is an offset in shared memory */
};
#define SG_CHECK_ELEMENT 8
#define SG_CHECK_LANES	 16
#define SG_CHECK_FIRST	 24

#define SG_BARRIERS 16 /* of a block; behind them one for each four warps */

/*
 * Clusters. The shared memory of a cluster's blocks lies SG_SHARED_STRIDE apart, by rank. An
 * address in the window shared::cluster is an offset in the block's own memory, or
 * SG_CLUSTER_ADDRESS() of any block of the cluster.
 */
#define SG_SHARED_STRIDE_BITS		 18
#define SG_SHARED_STRIDE		 (UINT64_C(1) << SG_SHARED_STRIDE_BITS)
#define SG_CLUSTER_RANK_BIT		 24
#define SG_CLUSTER_ADDRESS(rank, offset) (((uint64_t)(rank) + 1) << SG_CLUSTER_RANK_BIT | (offset))

enum sg_barrier_reduction { SG_BARRIER_POPC, SG_BARRIER_AND, SG_BARRIER_OR };

/* sg_video(operation, flags, a, b, c): add sub avrg absdiff min max, in the order of the
 * opcodes, then the comparisons eq ne lt le gt ge of vset. */
#define SG_VIDEO_SET 6u

enum sg_video_flags {
	SG_VIDEO_A_SIGNED = 1,
	SG_VIDEO_B_SIGNED = 2,
	SG_VIDEO_D_SIGNED = 4,
	SG_VIDEO_SATURATE = 8,
	SG_VIDEO_ADD = 16,
	SG_VIDEO_PAIR = 32, /* halves instead of bytes */
};
#define SG_VIDEO_LEFT_OUT 8 /* bits from here on: elements that are c's, or not in the sum */

/* sg_video_part(operation, flags, a, b, c): the operation is one of the first list, or a comparison
 * of vset from SG_PART_SET on, in the order of SG_VIDEO_SET's; parts are enum ptx_part. */
enum sg_part_operation {
	SG_PART_ADD,
	SG_PART_SUB,
	SG_PART_ABSDIFF,
	SG_PART_MIN,
	SG_PART_MAX,
	SG_PART_SHL,
	SG_PART_SHR,
	SG_PART_MAD,
	SG_PART_SET,
};

enum sg_part_second {
	SG_SECOND_NONE,
	SG_SECOND_ADD,
	SG_SECOND_MIN,
	SG_SECOND_MAX,
	SG_SECOND_MERGE
};

union sg_part {
	uint32_t bits;
	struct {
		uint32_t operation : 4;
		uint32_t a_signed : 1, b_signed : 1, d_signed : 1;
		uint32_t a_part : 3, b_part : 3, d_part : 3;
		uint32_t saturate : 1, wrap : 1;
		uint32_t second : 3;   /* enum sg_part_second: what is done with c */
		uint32_t scale : 4;    /* vmad: bits shifted out */
		uint32_t plus_one : 1; /* vmad.po */
		uint32_t product_negated : 1, c_negated : 1;
	};
};

/* Formats of sg_to_narrow() and sg_narrow_to_f16x2(), the last two of sg_to_four_randomly() only;
 * and flags of sg_to_scales(). */
enum sg_format { SG_FORMAT_E2M1, SG_FORMAT_E2M3, SG_FORMAT_E3M2, SG_FORMAT_E4M3, SG_FORMAT_E5M2 };
enum sg_scale_flags { SG_SCALE_UP = 1, SG_SCALE_FINITE = 2 };

/* sg_mbarrier(lane, operation, address, value) */
enum sg_mbarrier_operation {
	SG_MBARRIER_INIT,     /* value: threads */
	SG_MBARRIER_EXPECT,   /* value: bytes */
	SG_MBARRIER_COMPLETE, /* value: bytes */
	SG_MBARRIER_ARRIVE,   /* value: threads. Result: the state before */
	SG_MBARRIER_DROP,     /* likewise, and never expected again */
	SG_MBARRIER_TEST,     /* value: a state. Has its phase ended? */
	SG_MBARRIER_TEST_PARITY,
};
