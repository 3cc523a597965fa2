/*
 * Code images: what a program hands to cuModuleLoadData and its kin, given only a pointer. They are
 * told apart and measured here, and fatbins are taken apart; decompression is the caller's.
 *
 * All functions are pure, take any bytes, and never read at or beyond `limit` bytes. A caller with
 * nothing but a pointer passes ABI_IMAGE_NO_LIMIT: then the image's own size fields are believed,
 * and text is read up to its NUL, which is all that the CUDA interface offers.
 *
 * Sources: fatbinary_section.h of the CUDA toolkit (wrapper), ELF specification (cubins), PTX ISA
 * (text begins with .version); container and members by inspection of nvcc's output.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ABI_IMAGE_NO_LIMIT ((size_t)-1)

#define ABI_WRAPPER_MAGIC 0x466243b1u
#define ABI_FATBIN_MAGIC  0xba55ed50u

/* As nvcc emits it in section .nvFatBinSegment; CUDA's __fatBinC_Wrapper_t. */
struct abi_wrapper {
	uint32_t magic;
	uint32_t version;
	const void *data;      /* a fatbin */
	const void *prelinked; /* version 2: NULL-terminated array of pointers to fatbins */
};

enum abi_image_kind {
	ABI_IMAGE_PTX,
	ABI_IMAGE_ELF,
	ABI_IMAGE_FATBIN,
	ABI_IMAGE_WRAPPER,
};

#define ABI_IMAGE_PRELINKED_MAX 65536

struct abi_image {
	enum abi_image_kind kind;
	const void *data; /* WRAPPER: the fatbin it points to */
	size_t size;	  /* of data in bytes; PTX: with the NUL, if one came within the limit */
	/* WRAPPER version 2, relocatable device code: the fatbins before linking. */
	const void *const *prelinked;
	size_t n_prelinked;
};

/* 0, or -EINVAL: no image, or one whose parts do not fit. */
int abi_image_measure(const void *pointer, size_t limit, struct abi_image *out);

enum abi_member_kind { ABI_MEMBER_PTX = 1, ABI_MEMBER_ELF = 2, ABI_MEMBER_LTO = 8 };

#define ABI_MEMBER_64BIT       0x1u
#define ABI_MEMBER_LZ4	       0x2000u /* payload is one LZ4 block */
#define ABI_MEMBER_ZSTD	       0x8000u /* payload is one zstd frame */
#define ABI_MEMBER_IS_LTO      0x10000u
#define ABI_MEMBER_ARCH_EXACT  0x100000u /* sm_90a: for this architecture only */
#define ABI_MEMBER_ARCH_FAMILY 0x200000u /* sm_100f: for this family only */

struct abi_member {
	uint16_t kind; /* enum abi_member_kind; others exist and are opaque */
	uint32_t sm;   /* 75, 90, 120 */
	uint64_t flags;
	const uint8_t *payload;
	size_t payload_size;	  /* of what lies there: compressed or not, without padding */
	size_t uncompressed_size; /* 0: not compressed, or unknown for old compressed ones */
};

/* A position in a fatbin; abi_fatbin_init() sets it before the first member. */
struct abi_fatbin {
	const uint8_t *at, *end;
};

/* fatbin: begins with the container's header. 0 or -EINVAL. */
int abi_fatbin_init(struct abi_fatbin *fatbin, const void *data, size_t limit);

#define ABI_FATBIN_END 1

/* 0 and the next member, ABI_FATBIN_END, or -EINVAL: the rest is damaged. */
int abi_fatbin_next(struct abi_fatbin *fatbin, struct abi_member *out);
