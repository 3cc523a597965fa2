/*
 * Products of a warpgroup: every type, all layouts of shared memory, A from registers. Small
 * integers, exact in every type, are compared with three loops. For compute capability 9.0 alone
 * (sm_90a), and for the software GPU, which takes any target.
 */
#include "conform.h"

#define REGION 32768 /* bytes of shared memory for a matrix */
#define MOST_N 256

struct product {
	const char *types; /* D's, A's, B's, as in the instruction */
	char type, sum;	   /* h f16, b bf16, t tf32, e e4m3, s s8, u u8; f f32, h f16, i s32 */
	unsigned n;
	unsigned a_width, b_width; /* bytes that are swizzled: 16 (none), 32, 64, 128 */
	bool a_registers, a_turned, b_turned;
	unsigned skip; /* bytes along k before the matrix */
	bool negated, fresh;
	bool sparse;	   /* half of A is there, and k twice as long */
	unsigned selector; /* 1: the other lanes bring indices */
};

/* A as it counts; what is there of it, and where, when it is sparse. */
static int32_t a[64][64], b[64][MOST_N], c[64][MOST_N], stored[64][32];
static uint32_t indices[128];

static unsigned size_of(char type)
{
	return type == 't' || type == 'f' || type == 'i' ? 4 : type == 'h' || type == 'b' ? 2 : 1;
}

/* -3 to 3. */
static uint32_t encode(char type, int32_t x)
{
	static const uint8_t e4m3[] = {0, 0x38, 0x40, 0x44};
	float f = (float)x;
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	switch (type) {
	case 't':
	case 'f':
		return bits;
	case 'b':
		return bits >> 16;
	case 'h':
		return x ? (bits >> 16 & 0x8000) | ((bits >> 23 & 255) - 112) << 10 |
			       (bits >> 13 & 1023)
			 : 0;
	case 'e':
		return e4m3[abs(x)] | (x < 0 ? 0x80u : 0);
	default:
		return (uint32_t)x;
	}
}

static void put(uint8_t *memory, char type, size_t at, int32_t x)
{
	uint32_t bits = encode(type, x);

	memcpy(memory + at, &bits, size_of(type));
}

static unsigned k_of(const struct product *p)
{
	return (p->sparse ? 64 : 32) / size_of(p->type);
}

/* 16 bytes change places inside the span, by the number of their 128 bytes. */
static size_t swizzled(size_t offset, unsigned width)
{
	return offset ^ (offset / 128 % (width / 16)) * 16;
}

/* How a matrix lies in shared memory. */
struct layout {
	unsigned width;
	bool turned;
	unsigned lines, size, depth; /* along m or n; bytes of an element, elements along k */
};

/*
 * Where an element is; line counts along m or n. Pieces have 8 lines of `width` bytes. Turned ones
 * have 8 steps of k as lines, and lines along the bytes. The strides are those of descriptor().
 */
static size_t place_of(struct layout l, unsigned line, unsigned k, unsigned skip)
{
	unsigned width = l.width, size = l.size;
	size_t along = l.turned ? (size_t)line * size : (size_t)k * size + skip;
	size_t across = l.turned ? k : line, span = (size_t)l.lines * size, at;

	if (width == 16) { /* the pieces along the bytes follow each other */
		size_t others = (l.turned ? span : l.depth * size) / 16;

		return (across / 8 * others + along / 16) * 128 + across % 8 * 16 + along % 16;
	}
	at = across / 8 * 8 * width + across % 8 * width + along % width;
	/* all of k, or all lines, then the next bytes */
	at += along / width * (l.turned ? l.depth : l.lines) * width;
	return swizzled(at, width);
}

static uint64_t descriptor(struct layout l)
{
	unsigned width = l.width, size = l.size;
	uint64_t mode = width == 128 ? 1 : width == 64 ? 2 : width == 32 ? 3 : 0;
	uint64_t leading, stride;

	if (width == 16) {
		uint64_t along = 128, across = (l.turned ? l.lines : l.depth) * size / 16 * 128ull;

		leading = l.turned ? across : along;
		stride = l.turned ? along : across;
	} else {
		leading = (l.turned ? l.depth : l.lines) * width;
		stride = 8 * width;
	}
	return mode << 62 | stride >> 4 << 32 | leading >> 4 << 16;
}

static struct layout layout_of_a(const struct product *p)
{
	unsigned size = size_of(p->type);

	return (struct layout){p->a_width, p->a_turned, 64, size, 32 / size};
}

static struct layout layout_of_b(const struct product *p)
{
	return (struct layout){p->b_width, p->b_turned, p->n, size_of(p->type), k_of(p)};
}

static unsigned sums_of(const struct product *p)
{
	return p->n / (p->sum == 'h' ? 4 : 2);
}

static void write_list(char *text, size_t size, const char *prefix, unsigned n)
{
	size_t used = 0;

	for (unsigned i = 0; i < n; i++)
		used += (size_t)snprintf(
		    text + used, size - used, "%s%%%s%u", i ? ", " : "", prefix, i);
}

/* clang-format off */
/* in: A's image, B's, then 512 bytes of D, 16 of A's registers and 4 of indices for each thread. */
static const char begin_text[] = ".version 8.2\n.target sm_90a\n.address_size 64\n"
    ".extern .shared .align 1024 .b8 s[];\n"
    ".visible .entry k(.param .u64 io, .param .u64 a, .param .u64 b) {\n"
    ".reg .b32 %d<128>, %a<4>, %r<9>; .reg .b64 %l<12>; .reg .pred %p<3>;\n"
    "ld.param.u64 %l0, [io]; ld.param.u64 %l1, [a]; ld.param.u64 %l2, [b]; mov.u32 %r0, %tid.x; mov.u32 %r1, s;\n"
    "shl.b32 %r2, %r0, 4;\n"
    "COPY: cvt.u64.u32 %l3, %r2; add.u64 %l3, %l0, %l3; add.u32 %r3, %r1, %r2;\n"
    "ld.global.v2.u64 {%l4, %l5}, [%l3]; st.shared.v2.u64 [%r3], {%l4, %l5};\n"
    "add.u32 %r2, %r2, 2048; setp.lt.u32 %p0, %r2, 65536; @%p0 bra COPY;\n"
    "fence.proxy.async.shared::cta; bar.sync 0;\n"
    "and.b32 %r4, %r1, 0x3ffff; shr.u32 %r4, %r4, 4; cvt.u64.u32 %l6, %r4; add.u64 %l1, %l1, %l6; add.u64 %l2, %l2, %l6; add.u64 %l2, %l2, 2048;\n"
    "mul.wide.u32 %l7, %r0, 512; add.u64 %l7, %l7, %l0; add.u64 %l7, %l7, 65536;\n"
    "mul.wide.u32 %l8, %r0, 16; add.u64 %l8, %l8, %l0; add.u64 %l8, %l8, 131072;\n"
    "ld.global.v4.u32 {%a0, %a1, %a2, %a3}, [%l8];\n"
    "mul.wide.u32 %l9, %r0, 4; add.u64 %l9, %l9, %l0; ld.global.u32 %r5, [%l9+133120];\n";
/* clang-format on */

static const char *write_kernel(const struct product *p)
{
	static char text[32768];
	unsigned n = sums_of(p);
	bool is_half = p->type == 'h' || p->type == 'b';
	char list[2048], sparse[32] = "";
	size_t used = (size_t)snprintf(text, sizeof(text), "%s", begin_text);

	for (unsigned i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "ld.global.u32 %%d%u, [%%l7+%u];\n", i, i * 4);
	write_list(list, sizeof(list), "d", n);
	if (p->sparse)
		snprintf(sparse, sizeof(sparse), "%%r5, %u, ", p->selector);
	used += (size_t)snprintf(text + used, sizeof(text) - used,
	    "setp.ne.u32 %%p1, %d, 0;\nwgmma.fence.sync.aligned;\n"
	    "wgmma.mma_async%s.sync.aligned.m64n%uk%u.%s {%s}, %s, %%l2, %s%%p1",
	    !p->fresh, p->sparse ? ".sp" : "", p->n, k_of(p), p->types, list,
	    p->a_registers ? "{%a0, %a1, %a2, %a3}" : "%l1", sparse);
	if (p->sum != 'i')
		used += (size_t)snprintf(
		    text + used, sizeof(text) - used, ", %d, 1", p->negated ? -1 : 1);
	if (is_half && !p->a_registers)
		used += (size_t)snprintf(text + used, sizeof(text) - used, ", %d", p->a_turned);
	if (is_half)
		used += (size_t)snprintf(text + used, sizeof(text) - used, ", %d", p->b_turned);
	used += (size_t)snprintf(text + used, sizeof(text) - used,
	    ";\nwgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\n");
	for (unsigned i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "st.global.u32 [%%l7+%u], %%d%u;\n", i * 4, i);
	snprintf(text + used, sizeof(text) - used, "ret; }\n");
	return text;
}

/* -3 to 3, or 0 to 3 of what has no sign. */
static int32_t number(const struct product *p, uint32_t *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return (int32_t)((*seed >> 16) % (p->type == 'u' ? 4 : 7)) - (p->type == 'u' ? 0 : 3);
}

/* Which lane has the indices of a row's chunk, and where in its word: of 8 bits each lane has eight
 * chunks of one row, else two lanes of four have four of each of two rows. */
static void put_indices(const struct product *p, unsigned m, unsigned chunk, uint32_t bits)
{
	unsigned lane = m / 16 * 32 + m % 8 * 4, upper = m / 8 % 2;

	if (size_of(p->type) == 1)
		indices[lane + chunk / 8 * 2 + upper] |= bits << chunk % 8 * 4;
	else
		indices[lane + p->selector * 2 + chunk / 4] |= bits << (upper * 16 + chunk % 4 * 4);
}

/* Two of each four elements stay, or one of two of 32 bits. */
static void thin_out(const struct product *p, unsigned m, uint32_t *seed)
{
	/* The first and the second that stay. */
	static const uint8_t pairs[6][2] = {{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}};
	bool is_wide = size_of(p->type) == 4;
	unsigned chunk_size = is_wide ? 2 : 4;

	for (unsigned chunk = 0; chunk < k_of(p) / chunk_size; chunk++) {
		int32_t *at = &a[m][chunk * chunk_size], kept[4] = {0};
		const uint8_t *pair = pairs[(*seed = *seed * 1103515245 + 12345) >> 16 & 3];
		unsigned one = *seed >> 20 & 1;

		if (*seed >> 24 & 1)
			pair = pairs[5 - (*seed >> 21 & 1)];
		if (is_wide) {
			kept[one] = stored[m][chunk] = at[one];
		} else {
			kept[pair[0]] = stored[m][chunk * 2] = at[pair[0]];
			kept[pair[1]] = stored[m][chunk * 2 + 1] = at[pair[1]];
		}
		memcpy(at, kept, chunk_size * sizeof(*at));
		put_indices(
		    p, m, chunk, is_wide ? (one ? 14u : 4u) : pair[0] | (uint32_t)pair[1] << 2);
	}
}

static void fill(const struct product *p)
{
	uint32_t seed = p->n * 7 + p->a_width;

	for (unsigned k = 0; k < 64; k++) {
		for (unsigned m = 0; m < 64; m++)
			a[m][k] = number(p, &seed);
		for (unsigned n = 0; n < MOST_N; n++)
			b[k][n] = number(p, &seed);
	}
	for (unsigned i = 0; i < 128; i++) /* what nobody asks for */
		indices[i] = i % 4 / 2 == p->selector || size_of(p->type) == 1 ? 0 : 0x4e4e4e4eu;
	for (unsigned m = 0; m < 64; m++)
		if (p->sparse)
			thin_out(p, m, &seed);
		else
			memcpy(stored[m], a[m], sizeof(stored[m]));
	for (unsigned i = 0; i < 64 * MOST_N; i++)
		c[i / MOST_N][i % MOST_N] = (int32_t)(i * 5 % 7) - 3;
}

/* What lanes hold: rows 16 warp + lane / 4 and eight below, columns by pairs. */
static void bring_registers(const struct product *p, uint8_t *io)
{
	unsigned size = size_of(p->type), per = 4 / size;

	for (unsigned t = 0; t < 128; t++) {
		uint8_t *registers = io + 131072 + (size_t)t * 16,
			*sums = io + 65536 + (size_t)t * 512;
		unsigned row = t / 32 * 16 + t % 32 / 4;

		for (unsigned i = 0; i < 4 * per; i++)
			put(registers, p->type, (size_t)i * size,
			    stored[row + i / per % 2 * 8]
				  [i / per / 2 * 4 * per + t % 4 * per + i % per]);
		for (unsigned i = 0; i < p->n / 2; i++)
			put(sums, p->sum, (size_t)i * size_of(p->sum),
			    c[row + i / 2 % 2 * 8][i / 4 * 8 + t % 4 * 2 + i % 2]);
	}
	memcpy(io + 133120, indices, sizeof(indices));
}

static void bring(const struct product *p, uint8_t *io)
{
	for (unsigned k = 0; k < 32 / size_of(p->type); k++)
		for (unsigned m = 0; m < 64; m++)
			put(io, p->type, place_of(layout_of_a(p), m, k, p->skip), stored[m][k]);
	for (unsigned k = 0; k < k_of(p); k++)
		for (unsigned n = 0; n < p->n; n++)
			put(io + REGION, p->type, place_of(layout_of_b(p), n, k, p->skip), b[k][n]);
	bring_registers(p, io);
}

static bool same(char sum, const uint8_t *at, int32_t want)
{
	float f = (float)want;
	uint32_t bits = 0, got = 0;
	_Float16 half = (_Float16)want;

	memcpy(&got, at, size_of(sum));
	if (sum == 'h')
		memcpy(&bits, &half, sizeof(half));
	else if (sum == 'f')
		memcpy(&bits, &f, sizeof(f));
	else
		bits = (uint32_t)want;
	return got == bits || (!want && !(got << (sum == 'h' ? 17 : 1)));
}

static void check(const struct product *p, const uint8_t *io)
{
	for (unsigned t = 0; t < 128; t++)
		for (unsigned i = 0; i < p->n / 2; i++) {
			unsigned row = t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8;
			unsigned column = i / 4 * 8 + t % 4 * 2 + i % 2;
			int32_t want = p->fresh ? 0 : c[row][column], product = 0;

			for (unsigned k = 0; k < k_of(p); k++)
				product += a[row][k] * b[k][column];
			want += p->negated ? -product : product;
			if (!same(p->sum,
				io + 65536 + (size_t)t * 512 + (size_t)i * size_of(p->sum), want))
				test_fail(__FILE__, __LINE__,
				    "%s n %u, widths %u and %u: (%u,%u) is not %d", p->types, p->n,
				    p->a_width, p->b_width, row, column, want);
		}
}

static void begin(void)
{
	CUdevice device = conform_begin();
	char name[256];
	int major, minor;

	OK(cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device));
	OK(cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device));
	OK(cuDeviceGetName(name, sizeof(name), device));
	if (!strstr(name, "software") && (major != 9 || minor))
		SKIP("only compute capability 9.0 has wgmma");
}

static void run(const struct product *p)
{
	enum { BYTES = 133120 + sizeof(indices) };
	uint64_t a_place = descriptor(layout_of_a(p)) + p->skip / 16;
	uint64_t b_place = descriptor(layout_of_b(p)) + p->skip / 16;
	uint8_t *io = calloc(1, BYTES);
	CUdeviceptr memory;
	CUmodule module;
	CUfunction kernel;

	fill(p);
	bring(p, io);
	OK(cuModuleLoadData(&module, write_kernel(p)));
	OK(cuModuleGetFunction(&kernel, module, "k"));
	OK(cuFuncSetAttribute(kernel, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 2 * REGION));
	OK(cuMemAlloc(&memory, BYTES));
	OK(cuMemcpyHtoD(memory, io, BYTES));
	OK(conform_launch(
	    kernel, 1, 128, 2 * REGION, NULL, (void *[]){&memory, &a_place, &b_place}));
	OK(cuMemcpyDtoH(io, memory, BYTES));
	check(p, io);
	OK(cuMemFree(memory));
	OK(cuModuleUnload(module));
	free(io);
}

#define HALF  "f32.f16.f16"
#define HALFS "f16.f16.f16"

CONFORM(products_of_every_type)
{
	static const struct product all[] = {
	    {HALF, 'h', 'f', 64, 128, 128},
	    {HALFS, 'h', 'h', 32, 128, 128},
	    {"f32.bf16.bf16", 'b', 'f', 256, 128, 128, .fresh = true},
	    {"f32.tf32.tf32", 't', 'f', 8, 128, 128, .negated = true},
	    {"f32.e4m3.e4m3", 'e', 'f', 128, 128, 128},
	    {"f16.e4m3.e4m3", 'e', 'h', 16, 64, 64},
	    {"s32.s8.s8", 's', 'i', 64, 128, 128},
	    {"s32.u8.u8", 'u', 'i', 32, 128, 32, .fresh = true},
	};

	begin();
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		run(&all[i]);
}

CONFORM(layouts_in_shared_memory)
{
	static const unsigned widths[] = {16, 32, 64, 128};

	begin();
	for (unsigned i = 0; i < 4; i++)
		for (unsigned turned = 0; turned < 4; turned++) {
			struct product p = {HALF, 'h', 'f', 64, widths[i], widths[i],
			    .a_turned = turned & 1, .b_turned = turned >> 1};

			run(&p);
		}
	for (unsigned i = 2; i < 4; i++) {
		struct product p = {HALF, 'h', 'f', 48, widths[i], widths[i], .skip = 32};

		run(&p);
	}
}

CONFORM(rows_from_registers)
{
	static const struct product all[] = {
	    {HALF, 'h', 'f', 64, 128, 128, .a_registers = true},
	    {HALF, 'h', 'f', 64, 128, 128, .a_registers = true, .b_turned = true},
	    {"f32.tf32.tf32", 't', 'f', 24, 128, 64, .a_registers = true},
	    {"f32.e4m3.e4m3", 'e', 'f', 40, 128, 32, .a_registers = true, .negated = true},
	    {"s32.s8.s8", 's', 'i', 32, 128, 16, .a_registers = true},
	};

	begin();
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		run(&all[i]);
}

CONFORM(sparse_rows)
{
	static const struct product all[] = {
	    {HALF, 'h', 'f', 64, 128, 128, .sparse = true},
	    {HALF, 'h', 'f', 64, 128, 128, .sparse = true, .selector = 1},
	    {HALFS, 'h', 'h', 32, 64, 128, .sparse = true, .selector = 1, .negated = true},
	    {"f32.bf16.bf16", 'b', 'f', 256, 128, 64, .sparse = true, .fresh = true},
	    {"f32.tf32.tf32", 't', 'f', 8, 128, 128, .sparse = true},
	    {"f32.tf32.tf32", 't', 'f', 40, 32, 64, .sparse = true, .selector = 1},
	    {"f32.e4m3.e4m3", 'e', 'f', 128, 128, 128, .sparse = true},
	    {"f16.e4m3.e4m3", 'e', 'h', 16, 64, 64, .sparse = true},
	    {"s32.s8.s8", 's', 'i', 64, 128, 128, .sparse = true},
	    {"s32.u8.u8", 'u', 'i', 24, 16, 16, .sparse = true, .fresh = true},
	    {HALF, 'h', 'f', 48, 128, 128, .sparse = true, .skip = 64},
	};

	begin();
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		run(&all[i]);
}

CONFORM(sparse_rows_in_all_layouts)
{
	static const unsigned widths[] = {16, 32, 64, 128};

	begin();
	for (unsigned i = 0; i < 4; i++)
		for (unsigned turned = 0; turned < 4; turned++) {
			struct product p = {HALF, 'h', 'f', 64, widths[i], widths[i],
			    .a_turned = turned & 1, .b_turned = turned >> 1, .sparse = true};

			run(&p);
		}
}

CONFORM(sparse_rows_from_registers)
{
	static const struct product all[] = {
	    {HALF, 'h', 'f', 64, 128, 128, .a_registers = true, .sparse = true},
	    {HALF, 'h', 'f', 64, 128, 128, .a_registers = true, .b_turned = true, .sparse = true,
		.selector = 1},
	    {"f32.tf32.tf32", 't', 'f', 24, 128, 64, .a_registers = true, .sparse = true},
	    {"f32.e4m3.e4m3", 'e', 'f', 40, 128, 64, .a_registers = true, .sparse = true,
		.negated = true},
	    {"s32.s8.s8", 's', 'i', 32, 128, 16, .a_registers = true, .sparse = true},
	};

	begin();
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		run(&all[i]);
}
