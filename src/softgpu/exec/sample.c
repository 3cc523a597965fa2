/*
 * tex, tld4 and txq: what the texture units of a GPU do, one thread at a time, after the chapters
 * "Texture Fetching" of the CUDA programming guide and 9.7.10 of the PTX ISA.
 *
 * A coordinate becomes the texels on both sides of it and the weight of the farther one, axis by
 * axis; weights have 8 bits behind the point, and 1 is among them. Address modes act on the
 * coordinate, where they repeat it, and again on each texel's number. A filter is the weighted sum
 * over the axes, in float.
 *
 * The level follows from the longer of the two derivatives. An anisotropic filter takes the shorter
 * one's, and the mean of samples along the longer: how many, after EXT_texture_filter_anisotropic,
 * which level, as an H200 does where the ratio is a power of two.
 */
#include "softgpu/exec/sample.h"

#include <math.h>
#include <string.h>

#include "base/util.h"
#include "softgpu/exec/runtime-float.h"
#include "softgpu/exec/texture.h"

#define WEIGHT_ONE 256	     /* fixed point */
#define FARTHEST   (1 << 28) /* beyond any texel, and safe to calculate with */
#define FACES	   6

struct sampling {
	struct sg_lane *lane;
	const struct sg_texture *texture;
	const struct sg_sampler *sampler;
	struct sg_sample *in;
	enum sg_geometry geometry;
	uint32_t flags;
	unsigned n_axes;
	uint32_t slice; /* layer or face, or both */
	float at[3];	/* on a cube's face: the face's coordinates, in [0, 1] */
	float dx[3], dy[3];
	float span; /* texels of level 0 that a sample stands for, where derivatives say so */
	bool is_cube, is_float, filters;
};

/* The two texels of an axis; -1: outside, where the border's colour is. */
struct axis {
	int64_t near, far;
	float weight; /* of far */
};

/* ---- coordinates ---- */

static float bits_float(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* Of what bounded() gave. */
static int64_t whole(double x)
{
	int64_t i = (int64_t)x;

	return i - ((double)i > x);
}

/* NaN becomes 0. */
static double bounded(double x)
{
	return x > FARTHEST ? FARTHEST : x < -FARTHEST ? -FARTHEST : x == x ? x : 0;
}

/* Repeating modes need coordinates of which 1 is the whole; others then clamp. */
static enum sg_address_mode mode_of(const struct sampling *s, unsigned axis)
{
	enum sg_address_mode mode = s->sampler->address_mode[axis];
	bool repeats = mode == SG_ADDRESS_WRAP || mode == SG_ADDRESS_MIRROR;

	if (s->is_cube)
		return SG_ADDRESS_CLAMP;
	return repeats && (!s->sampler->is_normalized || s->flags & SG_SAMPLE_INTEGER)
		   ? SG_ADDRESS_CLAMP
		   : mode;
}

/* In texels. */
static double scale(
    const struct sampling *s, unsigned axis, enum sg_address_mode mode, int64_t size)
{
	double x = s->at[axis];

	if (!s->sampler->is_normalized && !s->is_cube)
		return bounded(x);
	x = bounded(x);
	if (mode == SG_ADDRESS_WRAP)
		x -= (double)whole(x);
	if (mode == SG_ADDRESS_MIRROR) {
		x -= 2 * (double)whole(x / 2);
		x = x > 1 ? 2 - x : x;
	}
	return bounded(x * (double)size);
}

static int64_t settle(int64_t i, enum sg_address_mode mode, int64_t size)
{
	if (i >= 0 && i < size)
		return i;
	switch (mode) {
	case SG_ADDRESS_WRAP:
		i %= size;
		return i < 0 ? i + size : i;
	case SG_ADDRESS_MIRROR:
		i %= 2 * size;
		i = i < 0 ? i + 2 * size : i;
		return i < size ? i : 2 * size - 1 - i;
	case SG_ADDRESS_CLAMP:
		return i < 0 ? 0 : size - 1;
	default:
		return -1;
	}
}

/* pairs: the texel before and behind the coordinate; else the one it lies in. Cubes' texels stay
 * outside their face here when the filter may reach over the edge. */
static struct axis place(const struct sampling *s, unsigned axis, uint32_t size, bool pairs)
{
	enum sg_address_mode mode = mode_of(s, axis);
	bool unsettled = s->is_cube && s->sampler->is_seamless;
	struct axis out = {0};
	int64_t i;

	if (s->flags & SG_SAMPLE_INTEGER) {
		i = (int32_t)s->in->at[axis];
	} else if (!pairs) {
		i = whole(scale(s, axis, mode, size));
	} else {
		int64_t fixed = whole((scale(s, axis, mode, size) - 0.5) * WEIGHT_ONE + 0.5);

		i = fixed >> 8;
		out.weight = (float)(fixed & (WEIGHT_ONE - 1)) / WEIGHT_ONE;
	}
	if (s->flags & SG_SAMPLE_OFFSET)
		i += s->in->offset[axis];
	out.near = unsettled ? i : settle(i, mode, size);
	out.far = unsettled ? i + 1 : settle(i + 1, mode, size);
	return out;
}

/* ---- cubes ---- */

/* By face: which coordinate is the long one, s and t, and their signs. */
static const struct {
	int8_t major, s, t, major_sign, s_sign, t_sign;
} faces[FACES] = {
    {0, 2, 1, 1, -1, -1},
    {0, 2, 1, -1, 1, -1},
    {1, 0, 2, 1, 1, 1},
    {1, 0, 2, -1, 1, -1},
    {2, 0, 1, 1, 1, -1},
    {2, 0, 1, -1, -1, -1},
};

/* Which face the direction p meets, and where, in [0, 1] along both sides. */
static unsigned face_of(const float p[3], float at[2])
{
	float x = fabsf(p[0]), y = fabsf(p[1]), z = fabsf(p[2]);
	unsigned axis = x >= y && x >= z ? 0 : y >= z ? 1 : 2;
	unsigned face = 2 * axis + (p[axis] < 0);
	float m = fabsf(p[axis]);

	at[0] = m > 0 ? ((float)faces[face].s_sign * p[faces[face].s] / m + 1) / 2 : 0.5f;
	at[1] = m > 0 ? ((float)faces[face].t_sign * p[faces[face].t] / m + 1) / 2 : 0.5f;
	return face;
}

/* How the place on the face moves when the direction moves by d (the quotient's derivative). */
static void face_derivative(unsigned face, const float p[3], const float d[3], float out[3])
{
	float m = (float)faces[face].major_sign * p[faces[face].major];
	float dm = (float)faces[face].major_sign * d[faces[face].major];
	float s = (float)faces[face].s_sign * p[faces[face].s];
	float ds = (float)faces[face].s_sign * d[faces[face].s];
	float t = (float)faces[face].t_sign * p[faces[face].t];
	float dt = (float)faces[face].t_sign * d[faces[face].t];

	out[0] = (ds * m - s * dm) / (2 * m * m);
	out[1] = (dt * m - t * dm) / (2 * m * m);
	out[2] = 0;
}

/* A texel beyond an edge of its face lies on the next one. */
static void cross_edge(
    const struct sg_texels *image, uint32_t *slice, int64_t *x, int64_t *y, int64_t size)
{
	unsigned face = *slice % FACES;
	float p[3], at[2];

	if (*x >= 0 && *x < size && *y >= 0 && *y < size)
		return;
	p[faces[face].major] = faces[face].major_sign;
	p[faces[face].s] = (float)faces[face].s_sign * (2 * ((float)*x + 0.5f) / (float)size - 1);
	p[faces[face].t] = (float)faces[face].t_sign * (2 * ((float)*y + 0.5f) / (float)size - 1);
	*slice = MIN(*slice - face + face_of(p, at), image->layers - 1);
	*x = MAX(MIN((int64_t)floorf(at[0] * (float)size), size - 1), (int64_t)0);
	*y = MAX(MIN((int64_t)floorf(at[1] * (float)size), size - 1), (int64_t)0);
}

/* ---- texels ---- */

static void fetch(const struct sampling *s, const struct texture_level *level, int64_t x, int64_t y,
    int64_t z, union texel *out)
{
	uint32_t slice = s->n_axes > 2 ? (uint32_t)z : s->slice;

	if (s->is_cube && s->sampler->is_seamless)
		cross_edge(&s->texture->image, &slice, &x, &y, level->width);
	if (x < 0 || y < 0 || z < 0) {
		memcpy(out, s->sampler->border, sizeof(*out));
		return;
	}
	texel_read(s->texture,
	    texel_address(s->lane, &s->texture->image, level, (uint32_t)x, (uint32_t)y, slice),
	    (uint32_t)x, (uint32_t)y, out);
}

static void find_axes(
    const struct sampling *s, const struct texture_level *level, bool pairs, struct axis axes[3])
{
	const uint32_t sizes[] = {level->width, level->height, level->depth};

	for (unsigned i = 0; i < 3; i++)
		axes[i] = i < s->n_axes ? place(s, i, sizes[i], pairs) : (struct axis){0};
}

/* The first channels, in which texels differ; others are 0, the fourth 1. */
static unsigned differing_channels(const struct sampling *s)
{
	const struct sg_texels *image = &s->texture->image;
	bool has_border = false;

	for (unsigned i = 0; i < s->n_axes; i++)
		has_border |= s->sampler->address_mode[i] == SG_ADDRESS_BORDER;
	return image->blocks || image->is_tens || has_border ? 4 : MIN(image->n_channels, 4u);
}

static void filter(const struct sampling *s, const struct texture_level *level,
    const struct axis axes[3], union texel *out)
{
	unsigned n_channels = differing_channels(s);
	union texel one;

	*out = (union texel){.f = {0, 0, 0, n_channels < 4}};

	for (unsigned corner = 0; corner < 1u << s->n_axes; corner++) {
		int64_t at[3] = {0};
		float weight = 1;

		for (unsigned i = 0; i < s->n_axes; i++) {
			bool is_far = corner >> i & 1;

			at[i] = is_far ? axes[i].far : axes[i].near;
			weight *= is_far ? axes[i].weight : 1 - axes[i].weight;
		}
		if (weight == 0)
			continue;
		fetch(s, level, at[0], at[1], at[2], &one);
		/* One by one: as a vector they would wait for all of them to be stored. */
		for (unsigned i = 0; i < n_channels; i++)
			out->f[i] += weight * one.f[i];
	}
}

static void sample_level(const struct sampling *s, uint32_t number, union texel *out)
{
	struct texture_level level;
	struct axis axes[3];

	texture_level_get(&s->texture->image, number, &level);
	find_axes(s, &level, s->filters, axes);
	if (s->filters)
		filter(s, &level, axes, out);
	else
		fetch(s, &level, axes[0].near, axes[1].near, axes[2].near, out);
}

/* One component of the four texels a linear filter would mix, counterclockwise from below left. */
static void gather(const struct sampling *s, union texel *out)
{
	static const bool is_far[4][2] = {{0, 1}, {1, 1}, {1, 0}, {0, 0}};
	unsigned component = s->flags >> SG_SAMPLE_COMPONENT & 3;
	struct texture_level level;
	struct axis axes[3];
	union texel one;

	texture_level_get(&s->texture->image, 0, &level);
	find_axes(s, &level, true, axes);
	for (unsigned i = 0; i < 4; i++) {
		fetch(s, &level, is_far[i][0] ? axes[0].far : axes[0].near,
		    is_far[i][1] ? axes[1].far : axes[1].near, 0, &one);
		out->u[i] = one.u[component];
	}
}

/* ---- levels ---- */

static float length_squared(const struct sampling *s, const float d[3])
{
	const struct sg_texels *image = &s->texture->image;
	const uint32_t sizes[] = {image->width, image->height, image->depth};
	float sum = 0;

	for (unsigned i = 0; i < s->n_axes; i++) {
		float texels = s->sampler->is_normalized || s->is_cube ? (float)sizes[i] : 1;

		sum += d[i] * texels * d[i] * texels;
	}
	return sum;
}

/* With bias and clamps, in [0, last level]. */
static float level_of_detail(const struct sampling *s)
{
	float last = (float)(s->texture->image.n_levels - 1), lod = 0;

	if (s->flags & SG_SAMPLE_LEVEL)
		lod = s->flags & SG_SAMPLE_INTEGER ? (float)(int32_t)s->in->lod
						   : bits_float(s->in->lod);
	if (s->flags & SG_SAMPLE_GRADIENT)
		lod = log2f(s->span);
	if (s->flags & SG_SAMPLE_INTEGER)
		return MAX(MIN(lod, last), 0.0f);
	lod += s->sampler->bias;
	lod = lod < s->sampler->lod_max ? lod : s->sampler->lod_max;
	lod = lod > s->sampler->lod_min ? lod : s->sampler->lod_min;
	return lod > 0 ? MIN(lod, last) : 0;
}

static void sample_levels(const struct sampling *s, union texel *out)
{
	float lod = s->texture->image.n_levels > 1 ? level_of_detail(s) : 0;
	uint32_t fixed = (uint32_t)(lod * WEIGHT_ONE + 0.5f), level = fixed / WEIGHT_ONE;
	float weight = (float)(fixed % WEIGHT_ONE) / WEIGHT_ONE;
	union texel next;

	if (!s->sampler->is_mip_linear || !s->is_float || weight == 0) {
		sample_level(s, (fixed + WEIGHT_ONE / 2) / WEIGHT_ONE, out);
		return;
	}
	sample_level(s, level, out);
	sample_level(s, level + 1, &next);
	for (unsigned i = 0; i < 4; i++)
		out->f[i] = (1 - weight) * out->f[i] + weight * next.f[i];
}

/* ---- along derivatives ---- */

/* The mean of n samples, evenly along the derivative. */
static void sample_along(struct sampling *s, const float d[3], unsigned n, union texel *out)
{
	float center[3];
	union texel sum = {0};

	memcpy(center, s->at, sizeof(center));
	for (unsigned i = 1; i <= n; i++) {
		float distance = (float)i / (float)(n + 1) - 0.5f;

		for (unsigned axis = 0; axis < s->n_axes; axis++)
			s->at[axis] = center[axis] + distance * d[axis];
		sample_levels(s, out);
		for (unsigned channel = 0; channel < 4; channel++)
			sum.f[channel] += out->f[channel];
	}
	for (unsigned channel = 0; channel < 4; channel++)
		out->f[channel] = sum.f[channel] / (float)n;
}

static void sample_gradient(struct sampling *s, union texel *out)
{
	float x = sqrtf(length_squared(s, s->dx)), y = sqrtf(length_squared(s, s->dy));
	float longer = MAX(x, y), shorter = MIN(x, y), most = s->sampler->anisotropy;

	s->span = longer;
	if (most < 2 || !s->filters || s->n_axes != 2 || !(longer > shorter)) {
		sample_levels(s, out);
		return;
	}
	s->span = MAX(MAX(shorter, longer / most), 1.0f);
	sample_along(
	    s, x > y ? s->dx : s->dy, (unsigned)MAX(MIN(ceilf(longer / s->span), most), 1.0f), out);
}

/* ---- the instruction ---- */

static unsigned axes_of(enum sg_geometry geometry)
{
	switch (geometry) {
	case SG_GEOMETRY_1D:
	case SG_GEOMETRY_1D_ARRAY:
		return 1;
	case SG_GEOMETRY_3D:
		return 3;
	default:
		return 2;
	}
}

static uint32_t bounded_layer(uint32_t layer, uint32_t layers)
{
	return MIN(layer, layers ? layers - 1 : 0);
}

static void find_slice(struct sampling *s)
{
	uint32_t layers = s->texture->image.layers, layer = s->in->layer;
	float p[3], at[2];

	if (s->geometry == SG_GEOMETRY_1D_ARRAY || s->geometry == SG_GEOMETRY_2D_ARRAY)
		s->slice = bounded_layer(layer, layers);
	if (!s->is_cube)
		return;
	memcpy(p, s->at, sizeof(p));
	unsigned face = face_of(p, at);
	if (s->flags & SG_SAMPLE_GRADIENT) {
		float dx[3], dy[3];

		face_derivative(face, p, s->dx, dx);
		face_derivative(face, p, s->dy, dy);
		memcpy(s->dx, dx, sizeof(dx));
		memcpy(s->dy, dy, sizeof(dy));
	}
	memcpy(s->at, at, sizeof(at));
	s->slice = bounded_layer(face, layers);
	if (s->geometry == SG_GEOMETRY_CUBE_ARRAY)
		s->slice += FACES * bounded_layer(layer, layers / FACES);
}

/* Plain memory has no address modes: it reads as zero outside. */
static bool is_outside_memory(const struct sampling *s)
{
	return s->texture->image.is_linear && s->flags & SG_SAMPLE_INTEGER &&
	       s->in->at[0] >= s->texture->image.width;
}

static void give_results(const struct sampling *s, const union texel *texel)
{
	for (unsigned i = 0; i < 4; i++)
		s->in->result[i] = s->flags & SG_SAMPLE_HALF && s->is_float
				       ? sg_to_f16(0, texel->f[i])
				       : texel->u[i];
}

void sg_tex(struct sg_lane *lane, uint32_t flags, struct sg_sample *in)
{
	struct sg_sampler own;
	struct sampling s; /* filled in one by one, for it is large and this is done often */
	union texel texel = {0};

	s.lane = lane;
	s.texture = texture_operand(lane, in->texture, false);
	s.sampler = texture_sampler(lane, s.texture, in->sampler, &own);
	s.in = in;
	s.geometry = flags & SG_SAMPLE_GEOMETRY;
	s.flags = flags;
	s.slice = 0;
	s.n_axes = axes_of(s.geometry);
	s.is_cube = s.geometry == SG_GEOMETRY_CUBE || s.geometry == SG_GEOMETRY_CUBE_ARRAY;
	s.is_float = texel_is_float(s.texture);
	s.filters = s.sampler->is_linear && s.is_float && !(flags & SG_SAMPLE_INTEGER);
	/* Read as compiled code has just stored them: two at once would wait for both. */
	for (unsigned i = 0; i < 3; i++)
		s.at[i] = bits_float(*(const volatile uint32_t *)&in->at[i]);
	if (flags & SG_SAMPLE_GRADIENT) {
		memcpy(s.dx, in->dx, sizeof(s.dx));
		memcpy(s.dy, in->dy, sizeof(s.dy));
	}
	find_slice(&s);
	if (flags & SG_SAMPLE_GATHER)
		gather(&s, &texel);
	else if (flags & SG_SAMPLE_GRADIENT)
		sample_gradient(&s, &texel);
	else if (!is_outside_memory(&s))
		sample_levels(&s, &texel);
	give_results(&s, &texel);
}

/* ---- queries ---- */

/* The codes are OpenCL's, as PTX has them. */
static uint32_t channel_data_type(const struct sg_texels *image)
{
	static const uint32_t first[] = {
	    [SG_CHANNEL_UNSIGNED] = 0x10da,
	    [SG_CHANNEL_SIGNED] = 0x10d7,
	    [SG_CHANNEL_UNORM] = 0x10d2,
	    [SG_CHANNEL_SNORM] = 0x10d0,
	    [SG_CHANNEL_FLOAT] = 0x10dc,
	};
	unsigned log2 = image->channel_bytes / 2; /* of 1, 2, 4 bytes */

	return image->is_tens ? 0x10e0 : first[image->channel] + log2;
}

static uint32_t channel_order(const struct sg_texels *image)
{
	static const uint32_t orders[] = {0, 0x10b0, 0x10b2, 0x10b4, 0x10b5};

	return image->n_channels < ARRAY_SIZE(orders) ? orders[image->n_channels] : 0;
}

/* PTX lists wrap, mirror, clamp_ogl, clamp_to_edge, clamp_to_border. */
static uint32_t address_mode_code(enum sg_address_mode mode)
{
	static const uint32_t codes[] = {
	    [SG_ADDRESS_WRAP] = 0,
	    [SG_ADDRESS_MIRROR] = 1,
	    [SG_ADDRESS_CLAMP] = 3,
	    [SG_ADDRESS_BORDER] = 4,
	};

	return codes[mode];
}

uint32_t sg_texture_query(struct sg_lane *lane, uint32_t query, uint64_t operand, uint32_t number)
{
	bool is_surface = query & SG_QUERY_OF_SURFACE;
	const struct sg_texture *texture = texture_operand(lane, operand, is_surface);
	const struct sg_texels *image = &texture->image;
	const struct sg_sampler *sampler = &texture->sampler;
	enum sg_texture_query what = query & ~SG_QUERY_OF_SURFACE;
	struct texture_level level;

	texture_level_get(image, MIN(number, image->n_levels - 1u), &level);
	switch (what) {
	case SG_QUERY_WIDTH:
		return level.width;
	case SG_QUERY_HEIGHT:
		return level.height;
	case SG_QUERY_DEPTH:
		return level.depth;
	case SG_QUERY_CHANNEL_DATA_TYPE:
		return channel_data_type(image);
	case SG_QUERY_CHANNEL_ORDER:
		return channel_order(image);
	case SG_QUERY_NORMALIZED_COORDS:
		return sampler->is_normalized;
	case SG_QUERY_ARRAY_SIZE:
		return image->layers;
	case SG_QUERY_LEVELS:
		return image->n_levels;
	case SG_QUERY_SAMPLES:
		return 1;
	case SG_QUERY_FORCE_UNNORMALIZED:
		return !sampler->is_normalized;
	case SG_QUERY_FILTER_MODE:
		return sampler->is_linear;
	case SG_QUERY_ADDRESS_MODE_0:
	case SG_QUERY_ADDRESS_MODE_1:
	case SG_QUERY_ADDRESS_MODE_2:
		return address_mode_code(sampler->address_mode[what - SG_QUERY_ADDRESS_MODE_0]);
	default: /* rows behind rows */
		return 0;
	}
}
