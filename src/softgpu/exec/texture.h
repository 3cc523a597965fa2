/*
 * Textures and surfaces as running kernels see them: a table of descriptions, and the numbers that
 * programs hold as CUtexObject and CUsurfObject.
 *
 * A number is 20 bits of index and, above, 12 bits of generation, so that it fits 32 bits as on a
 * real GPU and one that has ended is recognised for a long while. Any number at all may be looked
 * up. The table is never given back: a program that ends a texture while a kernel reads it may see
 * wrong texels, and no texel is read outside the arena. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "softgpu/exec/blocks.h"
#include "softgpu/exec/lane.h"

#define SG_IMAGE_LEVELS 18 /* a mipmap of 2^17 texels has as many */

/* What the bits of a texel's channel are. */
enum sg_channel {
	SG_CHANNEL_UNSIGNED,
	SG_CHANNEL_SIGNED,
	SG_CHANNEL_UNORM, /* always read as [0, 1] */
	SG_CHANNEL_SNORM, /* always read as [-1, 1] */
	SG_CHANNEL_FLOAT, /* of 2 or 4 bytes */
};

/*
 * Texels in memory: level by level, each of them layers or slices of rows. Sizes halve from level
 * to level, never below 1; only level 0 may have a pitch of its own. Of compressed texels rows are
 * rows of blocks.
 */
struct sg_texels {
	uint64_t levels[SG_IMAGE_LEVELS]; /* addresses */
	uint64_t pitch;			  /* bytes from row to row of level 0; 0: no padding */
	uint32_t width, height, depth;	  /* texels of level 0; depth 1 when layered */
	uint32_t layers;		  /* faces of cubes count; 1 when not layered */
	uint8_t n_levels, n_channels, channel_bytes;
	enum sg_channel channel;
	bool is_linear; /* plain memory: what lies outside is 0 */
	enum sg_blocks blocks;
	bool is_srgb; /* the format is */
	bool is_tens; /* fractions of 10, 10, 10 and 2 bits, the first one's lowest, for 4 bytes */
	/* blocks of an array of words: it halves in words, and alpha is 0 without any */
	bool is_view;
};

/* The numbers are those of CUaddress_mode. */
enum sg_address_mode {
	SG_ADDRESS_WRAP,
	SG_ADDRESS_CLAMP,
	SG_ADDRESS_MIRROR,
	SG_ADDRESS_BORDER,
};

struct sg_sampler {
	enum sg_address_mode address_mode[3];
	bool is_linear, is_mip_linear; /* filters */
	bool is_normalized;	       /* coordinates */
	bool is_seamless;	       /* cubes: filters reach into the next face */
	uint8_t anisotropy;	       /* samples along the longer derivative, at most */
	float bias, lod_min, lod_max;
	float border[4]; /* for integer texels, the bits */
};

struct sg_texture {
	struct sg_texels image;
	struct sg_sampler sampler;
	const void *owner; /* the driver's */
	bool is_surface;
	bool as_integer; /* read mode: integers as such, else 8 and 16 bit ones as fractions */
	bool is_srgb;
};

/* Enters a copy; 0: the table is full or there is no memory. */
uint64_t sg_texture_new(const struct sg_texture *texture);
/* Changes what a number stands for; no kernel may be using it. */
void sg_texture_set(uint64_t number, const struct sg_texture *texture);
/* NULL: not a living texture, or surface. */
const struct sg_texture *sg_texture_get(uint64_t number, bool is_surface);
void sg_texture_free(uint64_t number);

/* Inside the machine: the descriptions behind an instruction's operands, a number or the address of
 * a variable that holds one, 0 while nothing is bound to it. What is neither ends the grid with an
 * illegal address. */
const struct sg_texture *texture_operand(struct sg_lane *lane, uint64_t operand, bool is_surface);
/* own: room for a sampler that the operand makes. */
const struct sg_sampler *texture_sampler(struct sg_lane *lane, const struct sg_texture *texture,
    uint64_t operand, struct sg_sampler *own);

/* A level's geometry. */
struct texture_level {
	uint64_t address, pitch, slice;
	uint32_t width, height, depth;
};
void texture_level_get(
    const struct sg_texels *image, uint32_t level, struct texture_level *geometry);

/* texel.c: a texel's four channels; floats when is_float says so, else integers. Missing ones are
 * 0, the fourth 1. */
union texel {
	float f[4];
	uint32_t u[4];
};
bool texel_is_float(const struct sg_texture *texture);
/* Where texel (x, y) of a slice or layer lies, or its block; outside the arena: ends the grid. */
uint64_t texel_address(struct sg_lane *lane, const struct sg_texels *image,
    const struct texture_level *level, uint32_t x, uint32_t y, uint32_t slice);
void texel_read(
    const struct sg_texture *texture, uint64_t address, uint32_t x, uint32_t y, union texel *out);
/* Bits of a channel of the image's format from 32 bits: floats for the kinds read as floats. */
uint32_t texel_encode(const struct sg_texels *image, uint32_t value);
/* The word of a texel of an is_tens image from four floats. */
uint32_t texel_encode_tens(const uint32_t values[4]);
