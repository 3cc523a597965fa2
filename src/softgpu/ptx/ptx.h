/*
 * The tree of a PTX text: what ptx_parse() makes and the translator reads.
 *
 * Everything hangs in one memory pool owned by struct ptx_unit and dies with it; names are
 * NUL-terminated copies. Facts are from the PTX ISA document, version 9.0; section numbers are its.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"
#include "softgpu/ptx/names.h"

/* State spaces (5.1). GENERIC is an access without a space. */
enum ptx_space {
	PTX_SPACE_GENERIC,
	PTX_SPACE_REG,
	PTX_SPACE_GLOBAL,
	PTX_SPACE_SHARED,
	PTX_SPACE_CLUSTER, /* shared::cluster */
	PTX_SPACE_LOCAL,
	PTX_SPACE_CONST,
	PTX_SPACE_PARAM,
};

enum ptx_linkage {
	PTX_LINKAGE_STATIC, /* known in its own text only */
	PTX_LINKAGE_EXTERN,
	PTX_LINKAGE_VISIBLE,
	PTX_LINKAGE_WEAK,
	PTX_LINKAGE_COMMON,
};

enum ptx_symbol_kind {
	PTX_SYMBOL_VARIABLE,
	PTX_SYMBOL_FUNCTION,
	PTX_SYMBOL_LABEL,
	PTX_SYMBOL_REGISTER,  /* one register, or %r<n>: name is then the prefix */
	PTX_SYMBOL_TARGETS,   /* .branchtargets */
	PTX_SYMBOL_PROTOTYPE, /* .callprototype, .calltargets */
};

/* The word at offset of a variable's image gets (address(symbol) + addend) & mask, shifted down so
 * that the mask's lowest bit comes to bit 0. */
struct ptx_relocation {
	uint64_t offset;
	uint32_t size;
	uint64_t mask;
	int64_t addend;
	bool generic;
	struct ptx_variable *variable; /* exactly one of the two */
	struct ptx_function *function;
	struct ptx_relocation *next;
};

/* A variable of any space, a parameter or a return value. */
struct ptx_variable {
	const char *name;
	enum ptx_space space;
	enum ptx_linkage linkage;
	enum ptx_type type;
	uint32_t align;	 /* bytes */
	uint64_t size;	 /* bytes, 0 for [] */
	bool is_managed; /* .attribute(.managed) */
	bool is_kernel_param;
	uint32_t reg;	      /* space REG: a .func's parameter kept in this register */
	uint32_t offset;      /* of a kernel parameter in the buffer; of a shared one, scratch */
	const uint8_t *image; /* initial bytes; zeroes follow up to size */
	uint64_t image_size;
	struct ptx_relocation *relocations;
	uint32_t line;
	struct ptx_function *scope;	 /* the function it was declared in, or NULL */
	struct ptx_variable *next;	 /* in its unit or function */
	struct ptx_variable *definition; /* linking: of an extern; itself otherwise */
	uint64_t address;		 /* linking: global, const */
	uint32_t id;			 /* unique in the unit */
	bool is_pinned;			 /* linking: shared, its offset is the module's */
	uint32_t placed_for;		 /* linking: scratch, for shared variables */
	uint32_t seen_by;		 /* parsing: id + 1 of the last function that named it */
};

enum ptx_operand_kind {
	PTX_OPERAND_REGISTER,
	PTX_OPERAND_SPECIAL,
	PTX_OPERAND_INTEGER,  /* value, two's complement */
	PTX_OPERAND_F32,      /* value: the bits */
	PTX_OPERAND_F64,      /* value: the bits; also decimal literals */
	PTX_OPERAND_VARIABLE, /* address of variable + offset */
	PTX_OPERAND_FUNCTION,
	PTX_OPERAND_LABEL,
	PTX_OPERAND_TARGETS,
	PTX_OPERAND_PROTOTYPE,
	PTX_OPERAND_ADDRESS, /* [base + offset]: elements[0] is the base; behind it, of textures, a
				sampler and coordinates */
	PTX_OPERAND_VECTOR,  /* {a, b, ...} */
	PTX_OPERAND_PAIR,    /* d|p */
	PTX_OPERAND_LIST,    /* (a, b, ...) of call */
	PTX_OPERAND_SINK,    /* _ */
};

/* Of a register, in scalar video instructions (9.7.17): r.b0 to r.h1. */
enum ptx_part {
	PTX_PART_ALL,
	PTX_PART_B0,
	PTX_PART_B1,
	PTX_PART_B2,
	PTX_PART_B3,
	PTX_PART_H0,
	PTX_PART_H1
};

struct ptx_operand {
	enum ptx_operand_kind kind;
	bool negated; /* !p */
	bool minus;   /* -r: of vmad, and of fma made by the parser */
	enum ptx_part part;
	uint8_t n_selected; /* SIMD video: how many bytes or halves r.b3210 names, and which, */
	uint16_t selector;  /* 4 bits each, the last one lowest */
	uint32_t reg;
	enum ptx_special special;
	uint64_t value;
	int64_t offset;
	union {
		struct ptx_variable *variable;
		struct ptx_function *function;
		struct ptx_label *label;
		struct ptx_targets *targets;
		struct ptx_prototype *prototype;
	};
	struct ptx_operand *elements;
	uint32_t n_elements;
};

struct ptx_label {
	const char *name;
	uint32_t id;
	uint32_t line;	   /* of its definition, or first use until then */
	uint32_t position; /* index of its pseudo-instruction */
	bool defined;
	struct ptx_label *outer; /* defined in an enclosing scope: that one is meant */
};

static inline const struct ptx_label *ptx_label_resolve(const struct ptx_label *label)
{
	while (label->outer)
		label = label->outer;
	return label;
}

struct ptx_targets {
	struct ptx_operand *labels;
	uint32_t count;
};

struct ptx_prototype {
	struct ptx_variable **returns, **params;
	uint32_t n_returns, n_params;
};

#define PTX_MAX_TYPES 5
#define PTX_NO_REG    UINT32_MAX

struct ptx_instruction {
	enum ptx_opcode opcode; /* PTX_OP_label: operands[0] is the label defined here */
	uint32_t line;
	uint32_t predicate; /* register, or PTX_NO_REG */
	bool predicate_negated;
	bool unsupported;	   /* a form this machine does not run: operands were not read */
	bool col_first;		   /* of two layouts, .col was written before .row */
	uint16_t shape_n, shape_k; /* of a word like m64n128k16; 0 without one */
	uint8_t n_types;
	uint8_t n_operands;
	enum ptx_type types[PTX_MAX_TYPES]; /* in the order written */
	uint64_t modifiers[(PTX_MODIFIER_COUNT + 63) / 64];
	struct ptx_operand *operands;
};

static inline bool ptx_has(const struct ptx_instruction *instruction, enum ptx_modifier modifier)
{
	return instruction->modifiers[modifier / 64] >> (modifier % 64) & 1;
}

static inline void ptx_set(struct ptx_instruction *instruction, enum ptx_modifier modifier)
{
	instruction->modifiers[modifier / 64] |= UINT64_C(1) << (modifier % 64);
}

struct ptx_reference {
	struct ptx_variable *variable;
	struct ptx_function *function;
	bool is_call; /* direct call; otherwise the address is taken */
	struct ptx_reference *next;
};

struct ptx_function {
	const char *name;
	bool is_entry;
	bool has_body;
	bool has_indirect_call;
	bool uses_reserved_shared; /* %reserved_smem_offset_* */
	enum ptx_linkage linkage;
	uint32_t line;
	struct ptx_unit *unit;
	struct ptx_variable **returns, **params;
	uint32_t n_returns, n_params;
	uint32_t param_bytes; /* kernels: the packed buffer */
	uint32_t max_ntid[3], required_ntid[3];
	uint32_t required_cluster[3];  /* .reqnctapercluster, 0 0 0 when absent */
	bool explicit_cluster;	       /* .explicitcluster */
	bool blocks_are_clusters;      /* .blocksareclusters: launches count clusters */
	enum ptx_type *register_types; /* by register number */
	uint32_t n_registers;
	struct ptx_instruction *code;
	uint32_t n_code;
	uint32_t n_labels;
	struct ptx_variable *variables;	  /* declared inside */
	struct ptx_reference *references; /* module variables and functions used, each once */
	struct ptx_function
	    *definition; /* linking: of an extern or forward declaration; else itself */
	struct ptx_function *next;
	uint32_t id;		     /* unique in the unit */
	uint64_t handle;	     /* linking: value of its address, 0 when never taken */
	uint32_t serial;	     /* linking: unique in the module */
	uint32_t visited;	     /* linking: scratch */
	uint32_t seen_by, called_by; /* parsing: as in struct ptx_variable */
};

struct ptx_unit {
	struct pool pool;
	const char *name;		/* for messages */
	uint32_t version;		/* 90 for 9.0 */
	uint32_t target;		/* 80 for sm_80 */
	struct ptx_variable *variables; /* module scope, in order */
	struct ptx_function *functions; /* in order; prototypes too */
	uint32_t n_variables, n_functions;
};

struct ptx_error {
	uint32_t line;
	char text[200];
};

/*
 * Parses size bytes of text, or up to its first NUL. Returns the unit, or NULL with *error filled
 * in: the line, and what was wrong with which word of it. Any input is fine, whatever its content;
 * memory used is bounded by a multiple of size. May run in several threads at once.
 */
struct ptx_unit *ptx_parse(
    const char *name, const char *text, size_t size, struct ptx_error *error);
void ptx_unit_free(struct ptx_unit *unit);

/* Of one value of that type; 0 for NONE and PRED. */
unsigned ptx_type_bits(enum ptx_type type);
const char *ptx_type_name(enum ptx_type type);
bool ptx_type_is_float(enum ptx_type type);  /* f16 f32 f64 bf16 and their pairs */
bool ptx_type_is_signed(enum ptx_type type); /* s8..s64 */

/* Textures, samplers and surfaces by name (5.3): variables of 8 bytes. */
static inline bool ptx_type_is_reference(enum ptx_type type)
{
	return type >= PTX_TYPE_texref && type <= PTX_TYPE_surfref;
}

/* What a sampler's initialiser says, as its variable's value. Without one it is 0. The modes: wrap,
 * clamp, mirror, border, in that order. */
#define PTX_SAMPLER_VALID	     (UINT64_C(1) << 63)
#define PTX_SAMPLER_LINEAR	     1u
#define PTX_SAMPLER_UNNORMALIZED     2u /* whatever the texture says */
#define PTX_SAMPLER_MODE_SHIFT(axis) (4 + 4 * (axis))
#define PTX_SAMPLER_MODE_MASK	     3u

/* Whether the operand, or an element of it, is the sink "_". */
static inline bool ptx_has_sink(const struct ptx_operand *operand)
{
	for (uint32_t i = 0; i < operand->n_elements; i++)
		if (operand->elements[i].kind == PTX_OPERAND_SINK)
			return true;
	return operand->kind == PTX_OPERAND_SINK;
}
