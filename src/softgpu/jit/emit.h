/*
 * Inside the translator: its state, and what the emitters of the opcodes use.
 *
 * A struct value is the text of an LLVM operand: a temporary's name or a constant. f16 and bf16
 * values are i16, pairs of them i32: arithmetic on them goes through float.
 */
#pragma once

#include <setjmp.h>

#include "softgpu/jit/jit.h"

struct flow;

enum ir_type { IR_I1, IR_I8, IR_I16, IR_I32, IR_I64, IR_I128, IR_FLOAT, IR_DOUBLE };

struct value {
	char text[56];
};

struct emit {
	const struct jit_program *program;
	const struct ptx_function *function;
	const struct ptx_instruction *in; /* being translated */
	struct jit_error *error;
	jmp_buf failure;
	struct text *out;     /* finished functions */
	struct text prologue; /* entry block: allocas and loads that dominate everything */
	struct text body;
	struct text arguments;	 /* of the call being translated */
	enum ir_type *registers; /* storage type by number */
	bool *numbers;		 /* likewise: holds nothing but results of arithmetic, in f32 */
	uint64_t specials[2];	 /* loaded in the prologue */
	uint32_t n_temps, n_blocks;
	uint32_t position; /* index of in */
	bool open;	   /* the current block wants more code */
	bool uses_carry, has_matrix, has_wgmma, has_tcgen05;
	bool has_warp_barrier; /* the function has barriers for warps */
	bool owes_turn;	       /* lanes have read what others may be about to write */
	uint32_t *ranks; /* by instruction: its place in the flow's order; 0, NULL: in the code's */
	bool *joins;	 /* likewise: lanes that parted meet here again */
	bool has_pairs;	 /* the function has instructions of pairs of blocks: .cta_group::2 */
	uint32_t matrix_slot; /* with has_matrix: the array of matrix instructions */
};

/* emit.c */
_Noreturn void emit_fail(struct emit *emit, const char *format, ...) _printf_(2, 3);
_Noreturn void emit_unsupported(struct emit *emit); /* this form of the opcode */
const char *ir_name(enum ir_type type);
unsigned ir_bits(enum ir_type type);
enum ir_type ir_of(enum ptx_type type);
enum ir_type ir_of_bits(unsigned bits);
void emit_line(struct emit *emit, const char *format, ...) _printf_(2, 3);
struct value emit_value(struct emit *emit, const char *format, ...) _printf_(2, 3);
struct value ir_constant(enum ir_type type, uint64_t bits);
uint32_t emit_new_block(struct emit *emit);		  /* its number: label %b<n> */
void emit_start_block(struct emit *emit, uint32_t block); /* falls through from the current */
void emit_branch_if(struct emit *emit, struct value condition, uint32_t yes, uint32_t no);
void emit_opcode(struct emit *emit);		    /* the instruction, but for its predicate */
void emit_choose_register_types(struct emit *emit); /* fills registers */
void emit_free_lists(struct emit *emit);	    /* registers, ranks and joins */
bool emit_has_pairs(const struct ptx_function *function); /* struct emit's */
void emit_handles(struct emit *emit);			  /* the table for calls through pointers */
bool has(const struct emit *emit, enum ptx_modifier modifier); /* of the instruction */
enum ptx_type type_at(struct emit *emit, unsigned index);      /* fails when there is none */

/* emit-operand.c */
struct value operand_get(
    struct emit *emit, const struct ptx_operand *operand, enum ir_type want, bool is_signed);
void operand_set(struct emit *emit, const struct ptx_operand *operand, struct value value,
    enum ir_type from, bool is_signed);
struct value convert_bits(
    struct emit *emit, struct value value, enum ir_type from, enum ir_type to, bool is_signed);
/* The instruction's operand as a value of a PTX type. */
struct value source(struct emit *emit, unsigned index, enum ptx_type type);
void destination(struct emit *emit, unsigned index, struct value value, enum ptx_type type);
struct value lane_field(struct emit *emit, enum ir_type type, size_t offset);
struct value lane_fact(
    struct emit *emit, const char *type, size_t offset); /* one that never changes */

/* emit-nan.c: the value of a register, with a NaN as a GPU has it where its bits can be seen. */
void nan_find_numbers(struct emit *emit);
struct value nan_of_source(struct emit *emit, uint32_t reg, struct value value, enum ir_type want);

/* emit-memory.c: a checked host pointer of size bytes at an address operand; what it is made of. */
enum ptx_space space_of(struct emit *emit);
struct value effective_address(
    struct emit *emit, const struct ptx_operand *address); /* unchecked */
unsigned memory_vector_size(const struct emit *emit);	   /* elements the instruction moves */
const struct ptx_operand *memory_element(
    struct emit *emit, const struct ptx_operand *operand, unsigned count, unsigned i);
const char *memory_ordering(const struct emit *emit); /* LLVM's word; NULL for weak accesses */
struct value memory_load(struct emit *emit, struct value pointer, enum ir_type type, unsigned align,
    const char *annotation);
/* Updates memory with the instruction's operation; the value from before. */
struct value memory_update(
    struct emit *emit, enum ptx_type type, struct value pointer, struct value value);
/* The elements of ld and st at a checked pointer; of st, those without text are left out. */
void memory_load_elements(struct emit *emit, struct value base, struct value *values);
void memory_store_elements(struct emit *emit, struct value base, const struct value *values);
/* Whether they are one access for other threads. */
bool memory_is_one(struct emit *emit, const struct ptx_operand *address);
/* LLVM may keep addresses of local memory in 32 bits: the stacks of one machine agree in the
 * rest. */
struct value memory_local_address(struct emit *emit, struct value address);
struct value memory_pointer(struct emit *emit, const struct ptx_operand *address,
    enum ptx_space space, unsigned size, bool is_write);

struct value memory_arena_pointer(
    struct emit *emit, struct value address, unsigned size, bool is_write); /* of a generic one */

/* emit-copy.c: what kind of cp.async it is, and what one of a few bytes says. */
struct async_copy {
	unsigned size;			 /* bytes that are written */
	const struct ptx_operand *extra; /* how many are read, the rest being 0; NULL: all */
	bool ignores;			 /* extra is a predicate: none is read where it holds */
};
bool copy_is_simple(const struct emit *emit);
bool copy_is_done(const struct emit *emit); /* nothing is left to wait for */
struct async_copy copy_form(struct emit *emit);
struct value copy_length(struct emit *emit, const struct async_copy *copy); /* of one with extra */

/* emit-cluster.c */
struct value cluster_value(struct emit *emit, enum ptx_special special);
/* Addresses of the window shared::cluster and generic ones; of the former, also its host address,
 * or 0 when size bytes there are not all in some block's memory. */
struct value cluster_to_generic(struct emit *emit, struct value address);
struct value cluster_from_generic(struct emit *emit, struct value address);
struct value cluster_checked(struct emit *emit, struct value address, unsigned size);

/* emit-bulk.c */
void emit_bulk_copy(struct emit *emit);
struct value bulk_address(struct emit *emit, unsigned index); /* of the operand, unchecked */
uint32_t bulk_reduction(struct emit *emit);		      /* enum sg_bulk_reduction */
void emit_bulk_store(struct emit *emit);
void emit_remote(struct emit *emit, void (*plain)(struct emit *emit));

/* emit-tensor.c */
void emit_tensor_copy(struct emit *emit);

/* emit-warp.c */
void emit_mbarrier_of_copies(struct emit *emit);

/* emit-call.c */
void emit_function(struct emit *emit, const struct ptx_function *function);
void emit_builtins(struct emit *emit);	     /* their declarations */
uint32_t code_site(const struct emit *emit); /* of the instruction, unique and rising */
/* A look at the stop flag. */
void emit_stop_check(struct emit *emit);
/* Of a call: of a function that remembers something of its thread, or waits for all of the grid. */
bool calls_device_runtime(const struct ptx_instruction *in);
/* Finds where lanes that parted meet again, for kernels that the user wants run a thread at a
 * time. */
void emit_find_joins(struct emit *emit, const struct flow *flow);
/* Around each instruction of a thread by itself; emit_join() behind a label, too. */
void emit_join(struct emit *emit);
void emit_turn_before(struct emit *emit);
void emit_turn_behind(struct emit *emit);
bool emit_has_warp_barrier(const struct ptx_function *function); /* struct emit's */
bool is_polling_loop(const struct ptx_function *function, uint32_t from, uint32_t to);

/* emit-half.c: f16 and bf16 through float */
bool is_half(enum ptx_type type);		/* f16 or bf16 */
enum ptx_type pair_element(enum ptx_type type); /* of f16x2, bf16x2, u16x2, s16x2; else NONE */
struct value half_widen(struct emit *emit, enum ptx_type type, struct value value);
struct value half_narrow(struct emit *emit, enum ptx_type type, struct value value);

/* Does scalar to each element of the sources (operands first to first + n - 1). */
typedef struct value scalar_op(struct emit *emit, enum ptx_type type, const struct value *sources);
void emit_elementwise(struct emit *emit, enum ptx_type type, unsigned n_sources, scalar_op *scalar);
struct value flush(struct emit *emit, enum ptx_type type, struct value value); /* .ftz */
unsigned rounding_mode(const struct emit *emit); /* 0 rn, 1 rz, 2 rm, 3 rp */

#define EMITTER(name, fewest, most, facts, emitter) void emit_##emitter(struct emit *emit);
PTX_OPCODES(EMITTER)

/* prelude.c: declarations and small functions in IR that every program starts with. */
extern const char jit_prelude[];
