/*
 * Texels: from the bits of a format to what a kernel sees, and back for formatted stores.
 *
 * 8 and 16 bit integers are read as fractions of their largest value unless the texture says
 * otherwise; sRGB is undone before any filter, as the hardware does.
 */
#include <math.h>
#include <string.h>

#include "base/util.h"
#include "softgpu/exec/machine.h"
#include "softgpu/exec/runtime-float.h"
#include "softgpu/exec/texture.h"

#define CHANNELS 4

bool texel_is_float(const struct sg_texture *texture)
{
	const struct sg_texels *image = &texture->image;

	if (image->channel >= SG_CHANNEL_UNORM)
		return true;
	return !texture->as_integer && image->channel_bytes < 4;
}

uint64_t texel_address(struct sg_lane *lane, const struct sg_texels *image,
    const struct texture_level *level, uint32_t x, uint32_t y, uint32_t slice)
{
	uint64_t size = image->blocks ? sg_blocks_bytes(image->blocks)
				      : (uint64_t)image->n_channels * image->channel_bytes;
	uint64_t address;

	if (image->blocks) {
		x /= SG_BLOCK_SIDE;
		y /= SG_BLOCK_SIDE;
	}
	address = level->address + slice * level->slice + y * level->pitch + x * size;
	/* True of any description the driver made; a torn one must not leave the arena either. */
	if (address - SG_ARENA_BASE >= SG_ARENA_SIZE)
		machine_fault(lane, SG_FAULT_ILLEGAL_ADDRESS, address, false);
	return address;
}

static uint32_t channel_bits(const uint8_t *at, unsigned bytes)
{
	uint16_t two;
	uint32_t four;

	switch (bytes) {
	case 1:
		return *at;
	case 2:
		memcpy(&two, at, sizeof(two));
		return two;
	default:
		memcpy(&four, at, sizeof(four));
		return four;
	}
}

static int32_t sign_extend(uint32_t bits, unsigned bytes)
{
	unsigned unused = 32 - 8 * bytes;

	return (int32_t)(bits << unused) >> unused;
}

/* IEC 61966-2-1 */
static float srgb_to_linear(float x)
{
	return x <= 0.04045f ? x / 12.92f : powf((x + 0.055f) / 1.055f, 2.4f);
}

static float channel_float(const struct sg_texels *image, uint32_t bits)
{
	uint32_t largest = UINT32_MAX >> (32 - 8 * image->channel_bytes);
	float value;

	switch (image->channel) {
	case SG_CHANNEL_FLOAT:
		if (image->channel_bytes == 2)
			return (float)runtime_f16((uint16_t)bits);
		memcpy(&value, &bits, sizeof(value));
		return value;
	case SG_CHANNEL_SIGNED:
	case SG_CHANNEL_SNORM:
		/* The least value has no counterpart and is -1 too. */
		value = (float)sign_extend(bits, image->channel_bytes) / (float)(largest / 2);
		return MAX(value, -1.0f);
	default:
		return (float)bits / (float)largest;
	}
}

static uint32_t channel_integer(const struct sg_texels *image, uint32_t bits)
{
	return image->channel == SG_CHANNEL_SIGNED
		   ? (uint32_t)sign_extend(bits, image->channel_bytes)
		   : bits;
}

static void compressed_read(
    const struct sg_texture *texture, uint64_t address, uint32_t x, uint32_t y, union texel *out)
{
	const struct sg_texels *image = &texture->image;

	blocks_texel(image->blocks, (const uint8_t *)address,
	    y % SG_BLOCK_SIDE * SG_BLOCK_SIDE + x % SG_BLOCK_SIDE, out->f);
	if (image->is_view && sg_blocks_channels(image->blocks) < CHANNELS)
		out->f[3] = 0; /* as an H200 has it */
	for (unsigned i = 0; i < 3 && texture->is_srgb; i++)
		out->f[i] = srgb_to_linear(out->f[i]);
}

static const uint8_t tens_bits[CHANNELS] = {10, 10, 10, 2};

static void tens_read(uint64_t address, union texel *out)
{
	uint32_t word = channel_bits((const uint8_t *)address, sizeof(word));

	for (unsigned i = 0; i < CHANNELS; i++) {
		uint32_t largest = (1u << tens_bits[i]) - 1;

		out->f[i] = (float)(word >> 10 * i & largest) / (float)largest;
	}
}

void texel_read(
    const struct sg_texture *texture, uint64_t address, uint32_t x, uint32_t y, union texel *out)
{
	const struct sg_texels *image = &texture->image;
	const uint8_t *at = (const uint8_t *)address;
	bool is_float = texel_is_float(texture);

	if (image->blocks) {
		compressed_read(texture, address, x, y, out);
		return;
	}
	if (image->is_tens) {
		tens_read(address, out);
		return;
	}
	*out = is_float ? (union texel){.f = {0, 0, 0, 1}} : (union texel){.u = {0, 0, 0, 1}};
	for (unsigned i = 0; i < image->n_channels && i < CHANNELS; i++) {
		uint32_t bits = channel_bits(at + i * image->channel_bytes, image->channel_bytes);

		if (!is_float)
			out->u[i] = channel_integer(image, bits);
		else
			out->f[i] = channel_float(image, bits);
		if (is_float && texture->is_srgb && i < 3 && image->channel_bytes == 1)
			out->f[i] = srgb_to_linear(out->f[i]);
	}
}

static uint32_t encode_fraction(unsigned bits, float value, float least)
{
	uint32_t largest = UINT32_MAX >> (32 - bits);
	float scale = (float)(least < 0 ? largest / 2 : largest);

	if (!(value > least)) /* and NaN */
		value = value != value ? 0 : least;
	return (uint32_t)(int32_t)rintf(MIN(value, 1.0f) * scale);
}

uint32_t texel_encode(const struct sg_texels *image, uint32_t value)
{
	unsigned bits = 8 * image->channel_bytes;
	uint32_t largest = UINT32_MAX >> (32 - bits);
	int32_t top = (int32_t)(largest / 2);
	float f;

	memcpy(&f, &value, sizeof(f));
	switch (image->channel) {
	case SG_CHANNEL_FLOAT:
		return bits == 16 ? sg_to_f16(0, f) : value;
	case SG_CHANNEL_UNORM:
		return encode_fraction(bits, f, 0);
	case SG_CHANNEL_SNORM:
		return encode_fraction(bits, f, -1);
	case SG_CHANNEL_SIGNED:
		return (uint32_t)MAX(MIN((int32_t)value, top), -top - 1);
	default:
		return MIN(value, largest);
	}
}

uint32_t texel_encode_tens(const uint32_t values[4])
{
	uint32_t word = 0;

	for (unsigned i = 0; i < CHANNELS; i++) {
		float f;

		memcpy(&f, &values[i], sizeof(f));
		word |= encode_fraction(tens_bits[i], f, 0) << 10 * i;
	}
	return word;
}
