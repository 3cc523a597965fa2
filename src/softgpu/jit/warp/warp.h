/*
 * Inside the warp machine's translator: its state, and what its parts do for each other.
 *
 * A kernel becomes void kernel(struct sg_lane *lane, i32 n): one call runs the threads of a warp of
 * W lanes, of which the first n exist. lane describes the first of them. A register whose lanes
 * differ has a vector for its place, any other register a scalar, which for a linear one is lane
 * 0's; where it differs between rows of lanes, a vector of the rows' scalars. %scratch is memory
 * for what the machine's functions are shown of all lanes. Per block b that lanes may wait at,
 * %pend.b has those that do; %mask has those that run.
 */
#pragma once

#include "softgpu/exec/exec.h"
#include "softgpu/jit/emit.h"
#include "softgpu/jit/warp/facts.h"
#include "softgpu/jit/warp/widen.h"

/* Accesses of a block that one check does for, while all lanes run: ranges.c. */
struct ranges {
	uint32_t block, begin; /* and its first instruction */
	struct range *list;
	uint32_t count, n_accesses;
	uint32_t *of;	     /* by instruction: in the list, or FLOW_NONE */
	bool *enters;	     /* by instruction: the other copy is entered there */
	struct value masked; /* the other copy's mask */
	bool are_used;	     /* the copy for whole warps is being printed */
};

struct warp {
	struct emit emit; /* prints what is done once for all lanes */
	struct facts facts;
	struct widen widen, row_widen;
	struct widen_slots slots, row_slots;
	struct text scratch; /* what an emitter printed for one lane */
	uint32_t block;
	struct ranges ranges;
	struct value mask;     /* <W x i1>: the lanes the instruction is for */
	bool may_be_none;      /* the mask can be empty */
	bool spares;	       /* a write must keep what other lanes have */
	uint32_t n_places;     /* numbers our labels and slots */
	unsigned n_slots;      /* most that one loop over lanes uses */
	bool needs_fibers;     /* it meets or polls */
	bool is_asked_for;     /* struct jit_warp's */
	bool has_product[2];   /* functions of matrix-double.c */
	bool has_tensor_words; /* tcgen05.c's place for registers */
	unsigned tally;	       /* bytes of the counters it keeps sums of: tally.c; 0: none */
	uint64_t *looked_at;   /* checked code: values compared in this block */
	char types[IR_DOUBLE + 1][24];
};

/* refuse.c: the kernel cannot run on this machine; it will on the scalar one. */
_Noreturn void warp_refuse(struct warp *warp, const char *why);
/* Whether lanes of a warp, or warps, meet at the instruction. */
bool warp_meets(const struct ptx_instruction *in);
/* Whether the kernel should run several warps as one: where its warps would wait for each other. */
bool warp_wants_many_lanes(const struct ptx_function *function, const struct jit_warp *shape);
/* Refuse what is not for this machine. Functions are called for one lane at a time, and must not
 * wait for others. */
void refuse_unfit_code(struct warp *warp);
void refuse_unfit_function(struct warp *warp, const struct ptx_function *function);

/* value.c: registers as vectors, and the slots of the widener. */
extern const struct widen_slots warp_slots, row_slots; /* without a context */
const char *wide_type(struct warp *warp, enum ir_type type);
/* 0, stride, ..., in each row. */
struct value wide_numbers(struct warp *warp, enum ir_type type, int64_t stride);
struct value wide_rows(struct warp *warp, enum ir_type type, struct value rows); /* to its lanes */
struct value wide_splat(struct warp *warp, enum ir_type type, struct value scalar);
/* The operand's value in every lane. */
struct value wide_get(struct warp *warp, const struct ptx_operand *operand, enum ir_type type);
/* The first lane's that runs: of a vector, and of what must be the same in all lanes. */
struct value wide_first(struct warp *warp, struct value vector, enum ir_type type);
struct value operand_common(
    struct warp *warp, const struct ptx_operand *operand, enum ir_type type);
/* Sets a register to a vector, or to a scalar in all lanes. */
void wide_set(struct warp *warp, const struct ptx_operand *operand, struct value value,
    enum ir_type from, bool is_vector, bool is_signed);
/* The operand's value per row, of what does not vary within one: "<rows x T>". */
struct value row_get(struct warp *warp, const struct ptx_operand *operand, enum ir_type type);
/* Sets a register of any kind to a value that is the same for all lanes. */
void set_same(struct warp *warp, const struct ptx_operand *operand, struct value value,
    enum ir_type type, bool is_signed);
struct value mask_bits(struct warp *warp, struct value mask); /* as an i32; of 32 lanes at most */
struct value mask_integer(struct warp *warp, struct value mask); /* with a bit per lane */
struct value mask_any(struct warp *warp, struct value mask);
/* Of such an integer, as an i32: how many bits are set, and which the lowest and highest are; of
 * none, the width and -1. */
struct value integer_count(struct warp *warp, struct value integer);
struct value integer_first(struct warp *warp, struct value integer);
struct value integer_last(struct warp *warp, struct value integer);
/* The same as a struct sg_lanes, at the place given. */
struct value integer_memory(struct warp *warp, struct value integer, const char *place);
void note_first_lane(struct warp *warp); /* for what goes wrong next */
bool value_varies(const struct warp *warp, uint32_t value);
bool value_has_rows(const struct warp *warp, uint32_t value); /* its place is a vector of rows' */
void print_registers(struct warp *warp);		      /* their places */
void print_special_vectors(struct warp *warp);		      /* of those that were used */

/* Runs an emitter with its text kept apart, in warp->scratch; capture_widen() then appends it made
 * wide, false and nothing appended when that cannot be done. */
void capture_begin(struct warp *warp);
void capture_end(struct warp *warp);
bool capture_widen(struct warp *warp);
bool capture_widen_rows(struct warp *warp); /* a lane per row */
bool capture_is_vector(const struct warp *warp, struct value value);

/* lanes.c: the instruction's scratch text, for one active lane after the other. */
void lanes_run(struct warp *warp);
/* The same for the instruction as the scalar machine's emitter prints it. */
void warp_run_by_lane(struct warp *warp);
void print_slots(struct warp *warp); /* memory all these loops share */

/* access.c */
void warp_load(struct warp *warp);
void warp_store(struct warp *warp);
/* All lanes' addresses, as a vector. */
struct value access_addresses(struct warp *warp, const struct ptx_operand *address);
/* What must be the same in all lanes: the first one's that runs. */
struct value access_common_address(struct warp *warp, const struct ptx_operand *address);
/* The mask's lanes' pointers of an address that is not a load's or store's, checked: "<W x
 * ptr>". */
struct value access_pointers(struct warp *warp, const struct ptx_operand *address,
    enum ptx_space space, unsigned size, bool is_write);
/* Around what must not happen when no lane is meant: from begin on, some are. */
uint32_t begin_if_any(struct warp *warp);
void end_if_any(struct warp *warp, uint32_t none);

/* ranges.c: is the block worth two copies? */
bool ranges_find(struct warp *warp, uint32_t block);
/* Around the first copy, which is left when not all lanes run. */
void ranges_begin(struct warp *warp);
void ranges_end(struct warp *warp);
/* Before each instruction, and the block's end. */
void ranges_enter(struct warp *warp, uint32_t at);
/* Is the access checked together with others, in the copy that is printed? Then, where it is for a
 * row of lanes. */
bool ranges_has(struct warp *warp);
struct value ranges_pointer(struct warp *warp, const struct ptx_operand *address, unsigned row);

/* atomic.c */
void warp_atomic(struct warp *warp);

/* tally.c */
/* Sets warp->tally. */
void warp_tally_find(struct warp *warp);
/* Are additions of this kind kept as sums? */
bool warp_tally_takes(const struct warp *warp, enum ptx_type type);
/* Adds all lanes' values to their sums; between begin and end is the code for when that cannot
 * be. */
struct warp_tally {
	struct value addresses; /* all lanes' */
	uint32_t done;
};
void warp_tally_begin(struct warp *warp, const struct ptx_operand *address,
    const struct ptx_operand *value, enum ir_type type, struct warp_tally *way);
void warp_tally_end(struct warp *warp, const struct warp_tally *way);
/* Before a load or store of so many bytes a lane. */
void warp_tally_guard(
    struct warp *warp, const struct ptx_operand *address, enum ptx_space space, unsigned size);

/* meet.c: barriers, votes, shuffles. */
void warp_meet(struct warp *warp);

/* matrix.c: products of matrices, and what brings them to registers. */
void warp_matrix(struct warp *warp);
void warp_wgmma(struct warp *warp); /* wgmma.c */

/* tcgen05.c: instructions of tensor memory that are the whole warp's. */
bool tcgen05_meets(const struct ptx_instruction *in);
void warp_tcgen05(struct warp *warp);

/* mbarrier.c: what lanes do to one barrier together; false when it must be done lane by lane. */
bool warp_mbarrier(struct warp *warp);
void mbarrier_arrive_all(struct warp *warp, struct value at); /* a checked pointer */

/* copy.c: cp.async; false when it must be done lane by lane. */
bool warp_copy(struct warp *warp);

/* control.c */
void warp_block_begin(struct warp *warp, uint32_t block);
void warp_block_end(struct warp *warp);
void print_pending(struct warp *warp); /* places of waiting lanes */

/* check.c: around the parts of a program that is checked. */
void warp_check_kernel(struct warp *warp); /* once its registers are printed */
void warp_check_block(struct warp *warp);
void warp_check_predicate(struct warp *warp); /* of the instruction, where it has one */
void warp_check_before(struct warp *warp);
void warp_check_after(struct warp *warp, bool is_pure); /* pure: run_pure() did it */

/* prelude-warp.c */
extern const char warp_prelude[];
