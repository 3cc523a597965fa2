/*
 * SHA-256 (FIPS 180-4) of sixteen inputs of one length in step, a lane of a vector each. The
 * compiler makes of it what a processor has: sixteen lanes are one register of AVX-512, and four
 * of SSE2. A single input is the same work with one lane that counts; that is the end of the
 * content and the tree's root, 128th part of the whole.
 */
#include "base/digest.h"

#include <string.h>

#include "base/util.h"

enum { LANES = 16, BLOCK = 64, RUN = 4096 };

typedef uint32_t lanes __attribute__((vector_size(LANES * sizeof(uint32_t))));

struct state {
	lanes h[8];
};

static const uint32_t first[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static const uint32_t round_constants[64] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5,
    0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
    0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5,
    0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

#define ROTATE(x, n)	  ((x) >> (n) | (x) << (32 - (n)))
#define SMALL0(x)	  (ROTATE(x, 7) ^ ROTATE(x, 18) ^ (x) >> 3)
#define SMALL1(x)	  (ROTATE(x, 17) ^ ROTATE(x, 19) ^ (x) >> 10)
#define LARGE0(x)	  (ROTATE(x, 2) ^ ROTATE(x, 13) ^ ROTATE(x, 22))
#define LARGE1(x)	  (ROTATE(x, 6) ^ ROTATE(x, 11) ^ ROTATE(x, 25))
#define CHOOSE(x, y, z)	  ((z) ^ ((x) & ((y) ^ (z))))
#define MAJORITY(x, y, z) (((x) & (y)) | ((z) & ((x) | (y))))

/* One round; the eight names move on by one from round to round. */
#define ROUND(a, b, c, d, e, f, g, h, t)                                                           \
	do {                                                                                       \
		(h) += LARGE1(e) + CHOOSE(e, f, g) + round_constants[t] + w.all[(t) % 16];         \
		(d) += (h);                                                                        \
		(h) += LARGE0(a) + MAJORITY(a, b, c);                                              \
	} while (0)

/* One block of each lane. Written once, compiled for each kind of processor. */
static inline __attribute__((always_inline)) void take_block(
    struct state *state, const uint8_t *const at[LANES])
{
	union {
		uint32_t word[16][LANES];
		lanes all[16];
	} w;
	lanes *s = state->h;
	lanes a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];

	for (int lane = 0; lane < LANES; lane++)
		for (int t = 0; t < 16; t++) {
			memcpy(&w.word[t][lane], at[lane] + 4 * t, 4);
			w.word[t][lane] = __builtin_bswap32(w.word[t][lane]);
		}
	for (unsigned t = 0; t < 64; t += 8) {
		for (unsigned i = t; t >= 16 && i < t + 8; i++)
			w.all[i % 16] += SMALL1(w.all[(i - 2) % 16]) + w.all[(i - 7) % 16] +
					 SMALL0(w.all[(i - 15) % 16]);
		ROUND(a, b, c, d, e, f, g, h, t);
		ROUND(h, a, b, c, d, e, f, g, t + 1);
		ROUND(g, h, a, b, c, d, e, f, t + 2);
		ROUND(f, g, h, a, b, c, d, e, t + 3);
		ROUND(e, f, g, h, a, b, c, d, t + 4);
		ROUND(d, e, f, g, h, a, b, c, t + 5);
		ROUND(c, d, e, f, g, h, a, b, t + 6);
		ROUND(b, c, d, e, f, g, h, a, t + 7);
	}
	s[0] += a, s[1] += b, s[2] += c, s[3] += d;
	s[4] += e, s[5] += f, s[6] += g, s[7] += h;
}

typedef void take_f(struct state *state, const uint8_t *const at[LANES]);

__attribute__((target("arch=x86-64-v4"))) static void take_v4(
    struct state *state, const uint8_t *const at[LANES])
{
	take_block(state, at);
}

__attribute__((target("arch=x86-64-v3"))) static void take_v3(
    struct state *state, const uint8_t *const at[LANES])
{
	take_block(state, at);
}

static void take_any(struct state *state, const uint8_t *const at[LANES])
{
	take_block(state, at);
}

static take_f *take_best(void)
{
	return __builtin_cpu_supports("x86-64-v4")   ? take_v4
	       : __builtin_cpu_supports("x86-64-v3") ? take_v3
						     : take_any;
}

static void state_init(struct state *state)
{
	for (int i = 0; i < 8; i++)
		state->h[i] = (lanes){0} + first[i];
}

static struct digest state_lane(const struct state *state, int lane)
{
	struct digest out;

	for (int i = 0; i < 8; i++) {
		uint32_t word = __builtin_bswap32(state->h[i][lane]);
		memcpy(out.byte + 4 * i, &word, 4);
	}
	return out;
}

/* --- one input, which comes in parts --- */

struct single {
	struct state state;
	uint8_t block[BLOCK];
	size_t filled; /* of block */
	uint64_t size; /* so far */
	take_f *take;
};

static void single_init(struct single *single, take_f *take)
{
	state_init(&single->state);
	single->filled = single->size = 0;
	single->take = take;
}

static void single_block(struct single *single)
{
	const uint8_t *at[LANES];

	for (int lane = 0; lane < LANES; lane++)
		at[lane] = single->block;
	single->take(&single->state, at);
	single->filled = 0;
}

static void single_add(struct single *single, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	single->size += size;
	while (size) {
		size_t part = MIN(size, BLOCK - single->filled);
		memcpy(single->block + single->filled, at, part);
		single->filled += part;
		at += part;
		size -= part;
		if (single->filled == BLOCK)
			single_block(single);
	}
}

static struct digest single_end(struct single *single)
{
	uint64_t bits = __builtin_bswap64(single->size * 8);

	single_add(single, &(uint8_t){0x80}, 1);
	while (single->filled != BLOCK - sizeof(bits))
		single_add(single, &(uint8_t){0}, 1);
	single_add(single, &bits, sizeof(bits));
	return state_lane(&single->state, 0);
}

/* --- the tree --- */

/* What follows a run of 64 blocks: the mark of its end and its length in bits. */
static const uint8_t run_end[BLOCK] = {0x80, [BLOCK - 2] = RUN * 8 >> 8};

/* The first n of these runs, at most LANES, to the root. */
static void add_runs(struct single *root, const uint8_t *bytes, size_t n)
{
	const uint8_t *at[LANES];
	struct state state;

	state_init(&state);
	for (size_t block = 0; block <= RUN / BLOCK; block++) {
		for (size_t lane = 0; lane < LANES; lane++)
			at[lane] = block == RUN / BLOCK
				       ? run_end
				       : bytes + MIN(lane, n - 1) * RUN + block * BLOCK;
		root->take(&state, at);
	}
	for (size_t lane = 0; lane < n; lane++) {
		struct digest run = state_lane(&state, (int)lane);
		single_add(root, &run, sizeof(run));
	}
}

struct digest digest_of(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	struct single root, last;
	uint64_t total = size;
	uint8_t size_bytes[8];

	single_init(&root, take_best());
	while (size >= RUN) {
		size_t n = MIN(size / RUN, (size_t)LANES);
		add_runs(&root, at, n);
		at += n * RUN;
		size -= n * RUN;
	}
	if (size) {
		single_init(&last, root.take);
		single_add(&last, at, size);
		struct digest run = single_end(&last);
		single_add(&root, &run, sizeof(run));
	}
	for (int i = 0; i < 8; i++)
		size_bytes[i] = (uint8_t)(total >> 8 * i);
	single_add(&root, size_bytes, sizeof(size_bytes));
	return single_end(&root);
}
