/*
 * What compiled code asks the machine about textures and surfaces (PTX ISA 9.7.10, 9.7.11).
 * Coordinates are bits of f32 or s32 values; layers are unsigned.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sg_lane;

enum sg_geometry {
	SG_GEOMETRY_1D,
	SG_GEOMETRY_2D,
	SG_GEOMETRY_3D,
	SG_GEOMETRY_1D_ARRAY,
	SG_GEOMETRY_2D_ARRAY,
	SG_GEOMETRY_CUBE,
	SG_GEOMETRY_CUBE_ARRAY,
};

/* One tex or tld4. Compiled code fills in what the flags speak of and reads results. */
struct sg_sample {
	uint64_t texture, sampler; /* number or address of a variable; sampler 0: the texture's */
	uint32_t at[3], layer;
	uint32_t lod;	    /* of the coordinates' type */
	float dx[3], dy[3]; /* of the coordinates, over the screen */
	int32_t offset[3];  /* texels */
	uint32_t result[4];
};

/* flags: a geometry, and */
#define SG_SAMPLE_GEOMETRY  7u
#define SG_SAMPLE_INTEGER   8u	/* coordinates are s32 */
#define SG_SAMPLE_LEVEL	    16u /* lod is given */
#define SG_SAMPLE_GRADIENT  32u /* dx and dy are given */
#define SG_SAMPLE_OFFSET    64u
#define SG_SAMPLE_HALF	    128u /* results are f16 bits */
#define SG_SAMPLE_GATHER    256u /* four texels' component, at SG_SAMPLE_COMPONENT */
#define SG_SAMPLE_COMPONENT 9

void sg_tex(struct sg_lane *lane, uint32_t flags, struct sg_sample *sample);

/* txq and suq; level only of sizes. */
enum sg_texture_query {
	SG_QUERY_WIDTH,
	SG_QUERY_HEIGHT,
	SG_QUERY_DEPTH,
	SG_QUERY_CHANNEL_DATA_TYPE,
	SG_QUERY_CHANNEL_ORDER,
	SG_QUERY_NORMALIZED_COORDS,
	SG_QUERY_ARRAY_SIZE,
	SG_QUERY_LEVELS,
	SG_QUERY_SAMPLES,
	SG_QUERY_FORCE_UNNORMALIZED,
	SG_QUERY_FILTER_MODE,
	SG_QUERY_ADDRESS_MODE_0,
	SG_QUERY_ADDRESS_MODE_1,
	SG_QUERY_ADDRESS_MODE_2,
	SG_QUERY_MEMORY_LAYOUT,
};
#define SG_QUERY_OF_SURFACE 32u /* beside the query */
uint32_t sg_texture_query(struct sg_lane *lane, uint32_t query, uint64_t texture, uint32_t level);

/*
 * Where a surface instruction reads or writes 1 << log2 bytes; NULL: outside, where nothing is
 * written and zeroes are read. flags: a geometry, and
 */
#define SG_SURFACE_ZERO	     8u	 /* outside: NULL */
#define SG_SURFACE_CLAMP     16u /* outside: the nearest place; neither: the grid ends */
#define SG_SURFACE_FORMATTED 32u /* x counts texels, not bytes */
#define SG_SURFACE_STORE     64u /* only what a fault says */
#define SG_SURFACE_LOG2	     8	 /* shift */
void *sg_surface_at(struct sg_lane *lane, uint32_t flags, uint64_t surface, uint32_t layer,
    int32_t x, int32_t y, int32_t z);
/* sust.p: stores as many of the values as the surface has channels, converted to its format. at is
 * what sg_surface_at() gave. */
void sg_surface_store(struct sg_lane *lane, uint64_t surface, void *at, uint32_t r, uint32_t g,
    uint32_t b, uint32_t a);
/* sured.p.min and .max: whether texels are signed. */
bool sg_surface_is_signed(struct sg_lane *lane, uint64_t surface);
