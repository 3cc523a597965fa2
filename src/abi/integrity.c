/*
 * MD2, HMAC over it, and the message of the integrity question. The runtime asks three times at its
 * start, from any thread; nothing here is kept between calls.
 *
 * MD2's checksum follows the correction of RFC 1319 (errata 555): C[j] ^= S[m[j] ^ L].
 */
#include "abi/integrity.h"

#include <string.h>

#include "base/util.h"

#define MD2_BLOCK	16
#define INTEGRITY_HEAD	48 /* bytes of the message before the devices */
#define INTEGRITY_ENTRY 28 /* bytes of the message per device */

static const uint8_t integrity_key[ABI_MD2_SIZE] = {
    0x14, 0x6a, 0xdd, 0xae, 0x53, 0xa9, 0xa7, 0x52, 0xaa, 0x08, 0x41, 0x36, 0x0b, 0xf5, 0x5a, 0x9f};

/* The substitution table of RFC 1319, made from the digits of pi. */
static const uint8_t md2_pi[256] = {
    0x29,
    0x2e,
    0x43,
    0xc9,
    0xa2,
    0xd8,
    0x7c,
    0x01,
    0x3d,
    0x36,
    0x54,
    0xa1,
    0xec,
    0xf0,
    0x06,
    0x13,
    0x62,
    0xa7,
    0x05,
    0xf3,
    0xc0,
    0xc7,
    0x73,
    0x8c,
    0x98,
    0x93,
    0x2b,
    0xd9,
    0xbc,
    0x4c,
    0x82,
    0xca,
    0x1e,
    0x9b,
    0x57,
    0x3c,
    0xfd,
    0xd4,
    0xe0,
    0x16,
    0x67,
    0x42,
    0x6f,
    0x18,
    0x8a,
    0x17,
    0xe5,
    0x12,
    0xbe,
    0x4e,
    0xc4,
    0xd6,
    0xda,
    0x9e,
    0xde,
    0x49,
    0xa0,
    0xfb,
    0xf5,
    0x8e,
    0xbb,
    0x2f,
    0xee,
    0x7a,
    0xa9,
    0x68,
    0x79,
    0x91,
    0x15,
    0xb2,
    0x07,
    0x3f,
    0x94,
    0xc2,
    0x10,
    0x89,
    0x0b,
    0x22,
    0x5f,
    0x21,
    0x80,
    0x7f,
    0x5d,
    0x9a,
    0x5a,
    0x90,
    0x32,
    0x27,
    0x35,
    0x3e,
    0xcc,
    0xe7,
    0xbf,
    0xf7,
    0x97,
    0x03,
    0xff,
    0x19,
    0x30,
    0xb3,
    0x48,
    0xa5,
    0xb5,
    0xd1,
    0xd7,
    0x5e,
    0x92,
    0x2a,
    0xac,
    0x56,
    0xaa,
    0xc6,
    0x4f,
    0xb8,
    0x38,
    0xd2,
    0x96,
    0xa4,
    0x7d,
    0xb6,
    0x76,
    0xfc,
    0x6b,
    0xe2,
    0x9c,
    0x74,
    0x04,
    0xf1,
    0x45,
    0x9d,
    0x70,
    0x59,
    0x64,
    0x71,
    0x87,
    0x20,
    0x86,
    0x5b,
    0xcf,
    0x65,
    0xe6,
    0x2d,
    0xa8,
    0x02,
    0x1b,
    0x60,
    0x25,
    0xad,
    0xae,
    0xb0,
    0xb9,
    0xf6,
    0x1c,
    0x46,
    0x61,
    0x69,
    0x34,
    0x40,
    0x7e,
    0x0f,
    0x55,
    0x47,
    0xa3,
    0x23,
    0xdd,
    0x51,
    0xaf,
    0x3a,
    0xc3,
    0x5c,
    0xf9,
    0xce,
    0xba,
    0xc5,
    0xea,
    0x26,
    0x2c,
    0x53,
    0x0d,
    0x6e,
    0x85,
    0x28,
    0x84,
    0x09,
    0xd3,
    0xdf,
    0xcd,
    0xf4,
    0x41,
    0x81,
    0x4d,
    0x52,
    0x6a,
    0xdc,
    0x37,
    0xc8,
    0x6c,
    0xc1,
    0xab,
    0xfa,
    0x24,
    0xe1,
    0x7b,
    0x08,
    0x0c,
    0xbd,
    0xb1,
    0x4a,
    0x78,
    0x88,
    0x95,
    0x8b,
    0xe3,
    0x63,
    0xe8,
    0x6d,
    0xe9,
    0xcb,
    0xd5,
    0xfe,
    0x3b,
    0x00,
    0x1d,
    0x39,
    0xf2,
    0xef,
    0xb7,
    0x0e,
    0x66,
    0x58,
    0xd0,
    0xe4,
    0xa6,
    0x77,
    0x72,
    0xf8,
    0xeb,
    0x75,
    0x4b,
    0x0a,
    0x31,
    0x44,
    0x50,
    0xb4,
    0x8f,
    0xed,
    0x1f,
    0x1a,
    0xdb,
    0x99,
    0x8d,
    0x33,
    0x9f,
    0x11,
    0x83,
    0x14,
};

struct md2 {
	uint8_t state[3 * MD2_BLOCK], checksum[MD2_BLOCK], pending[MD2_BLOCK];
	size_t n_pending;
};

static void md2_block(struct md2 *md2, const uint8_t block[MD2_BLOCK])
{
	uint8_t last = md2->checksum[MD2_BLOCK - 1], t = 0;

	for (int i = 0; i < MD2_BLOCK; i++) {
		last = md2->checksum[i] ^= md2_pi[block[i] ^ last];
		md2->state[MD2_BLOCK + i] = block[i];
		md2->state[2 * MD2_BLOCK + i] = md2->state[i] ^ block[i];
	}
	for (int round = 0; round < 18; round++) {
		for (int i = 0; i < 3 * MD2_BLOCK; i++)
			t = md2->state[i] ^= md2_pi[t];
		t = (uint8_t)(t + round);
	}
}

static void md2_add(struct md2 *md2, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++) {
		md2->pending[md2->n_pending++] = bytes[i];
		if (md2->n_pending == MD2_BLOCK) {
			md2_block(md2, md2->pending);
			md2->n_pending = 0;
		}
	}
}

static void md2_finish(struct md2 *md2, uint8_t digest[ABI_MD2_SIZE])
{
	uint8_t padding[MD2_BLOCK], checksum[MD2_BLOCK];
	size_t missing = MD2_BLOCK - md2->n_pending;

	memset(padding, (int)missing, missing);
	md2_add(md2, padding, missing);
	memcpy(checksum, md2->checksum, MD2_BLOCK);
	md2_block(md2, checksum);
	memcpy(digest, md2->state, ABI_MD2_SIZE);
}

void abi_md2(const void *data, size_t size, uint8_t digest[ABI_MD2_SIZE])
{
	struct md2 md2 = {0};

	md2_add(&md2, data, size);
	md2_finish(&md2, digest);
}

/* Key and block are both 16 bytes, so the key is never padded. */
static void abi_hmac_md2(
    const uint8_t key[ABI_MD2_SIZE], const void *data, size_t size, uint8_t digest[ABI_MD2_SIZE])
{
	uint8_t inner_key[MD2_BLOCK], outer_key[MD2_BLOCK], inner_digest[ABI_MD2_SIZE];
	struct md2 inner = {0}, outer = {0};

	for (int i = 0; i < MD2_BLOCK; i++) {
		inner_key[i] = key[i] ^ 0x36;
		outer_key[i] = key[i] ^ 0x5c;
	}
	md2_add(&inner, inner_key, MD2_BLOCK);
	md2_add(&inner, data, size);
	md2_finish(&inner, inner_digest);
	md2_add(&outer, outer_key, MD2_BLOCK);
	md2_add(&outer, inner_digest, ABI_MD2_SIZE);
	md2_finish(&outer, digest);
}

static uint8_t *integrity_put(uint8_t *at, const void *data, size_t size)
{
	memcpy(at, data, size); /* x86-64 is little-endian, as the message is */
	return at + size;
}

void abi_integrity_answer(const struct abi_integrity_question *question, uint64_t answer[2])
{
	uint8_t message[INTEGRITY_HEAD + INTEGRITY_ENTRY * ABI_INTEGRITY_DEVICES_MAX],
	    *at = message;
	size_t n_devices = MIN(question->n_devices, (size_t)ABI_INTEGRITY_DEVICES_MAX);

	if (question->version % 10 <= 1) {
		answer[0] = question->version % 10 ? 0x1841181C03CB675Cull : 0x3341181C03CB675Cull;
		answer[1] = 0x8ED383AA1F4CD1E8ull;
		return;
	}
	at = integrity_put(at, &question->driver_version, 4);
	at = integrity_put(at, &question->version, 4);
	at = integrity_put(at, &question->process, 4);
	at = integrity_put(at, &question->thread, 4);
	at = integrity_put(at, &question->runtime_table, 8);
	at = integrity_put(at, &question->integrity_table, 8);
	at = integrity_put(at, &question->integrity_function, 8);
	at = integrity_put(at, &question->seconds, 8);
	for (size_t i = 0; i < n_devices; i++) {
		const struct abi_integrity_device *device = &question->devices[i];
		at = integrity_put(at, device->uuid, sizeof(device->uuid));
		at = integrity_put(at, &device->pci_domain, 4);
		at = integrity_put(at, &device->pci_bus, 4);
		at = integrity_put(at, &device->pci_device, 4);
	}

	uint8_t digest[ABI_MD2_SIZE];
	abi_hmac_md2(integrity_key, message, (size_t)(at - message), digest);
	memcpy(answer, digest, sizeof(digest));
}
