/*
 * Copies by tensor maps that drivers of one kind of device only encode: images along their width,
 * interleaved slices, and the rarer swizzles, against loops over the same coordinates. The maps are
 * written here; test/conform has the others.
 */
#include "softgpu/exec/ptxas.h"
#include "softgpu/exec/tensor.h"
#include "softgpu/exec/test-machine.h"

#define SHARED	 49152u
#define ELEMENTS (SHARED / 2)
#define DIMS	 5
#define OUTSIDE	 0u

/* clang-format off */
/* Shared memory comes from out and goes back there, around what thread 0 does. */
static const char frame[] = ".version 9.0\n.target sm_100a\n.address_size 64\n"
    ".extern .shared .align 1024 .b8 s[];\n"
    ".visible .entry k(.param .u64 map, .param .u64 out) {\n"
    ".reg .b64 %%d<9>; .reg .b32 %%r<9>; .reg .b16 %%h<3>; .reg .pred %%p<3>;\n"
    ".shared .align 8 .b64 bar;\n"
    "ld.param.u64 %%d1, [map]; ld.param.u64 %%d2, [out]; mov.u32 %%r1, %%tid.x;\n"
    "mov.u32 %%r2, s; mov.u32 %%r3, bar; shl.b32 %%r4, %%r1, 2;\n"
    "IN: add.u32 %%r5, %%r2, %%r4; cvt.u64.u32 %%d3, %%r4; add.u64 %%d3, %%d3, %%d2;\n"
    "ld.global.u32 %%r6, [%%d3]; st.shared.u32 [%%r5], %%r6;\n"
    "add.u32 %%r4, %%r4, 512; setp.lt.u32 %%p1, %%r4, 49152; @%%p1 bra IN;\n"
    "setp.ne.u32 %%p2, %%r1, 0; bar.sync 0; @%%p2 bra WAIT;\n"
    "mbarrier.init.shared::cta.b64 [%%r3], 1; fence.mbarrier_init.release.cluster;\n"
    "mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 %%d4, [%%r3], %u;\n%s\n"
    "WAIT: bar.sync 0;\n"
    "AGAIN: mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 %%p1, [%%r3], 0; @!%%p1 bra AGAIN;\n"
    "shl.b32 %%r4, %%r1, 2;\n"
    "OUT: add.u32 %%r5, %%r2, %%r4; cvt.u64.u32 %%d3, %%r4; add.u64 %%d3, %%d3, %%d2;\n"
    "ld.shared.u32 %%r6, [%%r5]; st.global.u32 [%%d3], %%r6;\n"
    "add.u32 %%r4, %%r4, 512; setp.lt.u32 %%p1, %%r4, 49152; @%%p1 bra OUT;\nret; }\n";
/* clang-format on */

/* A tensor of 16-bit numbers in device memory, and what shared memory holds. */
struct memory {
	struct sg_tensor_map *map;
	uint16_t *tensor, *shared;
};

#define NOTHING 0xeeee

/* Element i of the tensor holds i + 1; shared memory nothing. */
static struct memory new_memory(struct sg_tensor_map map)
{
	struct memory memory = {
	    .map = device_alloc(sizeof(map)),
	    .tensor = device_alloc(65536 * sizeof(uint16_t)),
	    .shared = device_alloc(SHARED),
	};

	map.magic = SG_TENSOR_MAGIC;
	map.address = (uint64_t)memory.tensor;
	map.type = SG_TENSOR_U16;
	*memory.map = map;
	for (unsigned i = 0; i < 65536; i++)
		memory.tensor[i] = (uint16_t)(i + 1);
	for (unsigned i = 0; i < ELEMENTS; i++)
		memory.shared[i] = NOTHING;
	return memory;
}

static void run(const struct memory *memory, uint32_t bytes, const char *instruction)
{
	static char text[8192];
	uint64_t params[] = {(uint64_t)memory->map, (uint64_t)memory->shared};
	struct sg_launch launch = {{1, 1, 1}, {128, 1, 1}, .dynamic_shared_bytes = SHARED,
	    .params = params, .params_size = sizeof(params)};
	struct sg_fault fault;

	snprintf(text, sizeof(text), frame, bytes, instruction);
	ptxas_check(text, "sm_100a");
	if (sg_launch(kernel_get(module_load(text), "k"), &launch, &fault))
		test_fail(__FILE__, __LINE__, "%s", fault.message);
}

/* ---- along the width ---- */

#define CHANNELS 8u

/* An image's place: its dimensions are width, height, images; pixels lie behind each other. */
static const int32_t sizes[] = {9, 3, 40};

struct wide {
	int16_t lower, upper;
	uint8_t step;
	uint16_t pixels; /* 0: 128 */
	uint32_t halo, offset;
	int32_t at[3];
};

static uint16_t pixel_at(int32_t x, int32_t y, int32_t n)
{
	if (x < 0 || x >= sizes[0] || y < 0 || y >= sizes[1] || n < 0 || n >= sizes[2])
		return OUTSIDE;
	return (uint16_t)((uint32_t)((n * sizes[1] + y) * sizes[0] + x) * CHANNELS + 1);
}

/* The first channel of the pixels one after the other, image after image. */
static void list_pixels(const struct wide *w, uint16_t *list, unsigned count)
{
	int32_t offset = (int32_t)w->offset, x = w->at[0] + offset, n = w->at[2];

	for (unsigned i = 0; i < count; i++) {
		list[i] = pixel_at(x, w->at[1], n);
		x += w->step;
		if (x >= sizes[0] + w->upper + offset) {
			x = w->lower + offset;
			n++;
		}
	}
}

static void check_row(const uint16_t *row, uint16_t first)
{
	for (unsigned c = 0; c < CHANNELS; c++)
		CHECK_EQ(row[c], first == OUTSIDE ? OUTSIDE : first + c);
}

static void check_wide(const struct wide *w)
{
	unsigned pixels = w->pixels ?: 128, groups = w->pixels ? 1 : 4, each = pixels / groups;
	unsigned rows = pixels + groups * w->halo;
	struct memory memory = new_memory((struct sg_tensor_map){
	    .rank = 4,
	    .layout = SG_LAYOUT_WIDE,
	    .strides = {16, 16 * 9, 16 * 9 * 3},
	    .last = {CHANNELS - 1, 8, 2, 39},
	    .steps = {1, w->step, 1, 1},
	    .lower = {w->lower},
	    .upper = {w->upper},
	    .channels = CHANNELS - 1,
	    .pixels = (uint16_t)(w->pixels - !!w->pixels),
	});
	uint16_t list[256];
	char text[512];

	snprintf(text, sizeof(text),
	    "mov.u16 %%h1, %u; mov.u16 %%h2, %u;\n"
	    "cp.async.bulk.tensor.4d.shared::cta.global.im2col::w%s.mbarrier::complete_tx::bytes "
	    "[%%r2], [%%d1, {0, %d, %d, %d}], [%%r3], {%%h1, %%h2};",
	    w->halo, w->offset, w->pixels ? "" : "::128", w->at[0], w->at[1], w->at[2]);
	run(&memory, rows * 16, text);
	list_pixels(w, list, pixels + w->halo);
	for (unsigned i = 0; i < pixels; i++)
		check_row(memory.shared + i * CHANNELS, list[i]);
	for (unsigned group = 0; group < groups; group++)
		for (unsigned i = 0; i < w->halo; i++)
			check_row(memory.shared + (pixels + i * groups + group) * CHANNELS,
			    list[each * (group + 1) + i]);
	CHECK_EQ(memory.shared[rows * CHANNELS], NOTHING);
}

TEST(images_along_their_width)
{
	static const struct wide all[] = {
	    {0, 0, 1, .pixels = 20, .at = {3, 2, 0}},
	    {0, 0, 1, .pixels = 64, .halo = 2, .at = {2, 1, 5}},
	    {-1, 0, 2, .pixels = 33, .halo = 1, .at = {-1, 2, 7}},
	    {-1, 0, 2, .pixels = 33, .offset = 1, .at = {-1, 2, 7}},
	    {-1, -1, 3, .pixels = 100, .offset = 2, .at = {-1, 0, 30}},
	    {0, 0, 1, .at = {2, 2, 7}},
	    {0, 0, 1, .halo = 2, .at = {2, 2, 7}},
	    {-1, -1, 2, .halo = 3, .offset = 1, .at = {-1, 1, 3}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		check_wide(&all[i]);
}

/* ---- slices ---- */

struct slices {
	unsigned bytes; /* of a slice */
	unsigned rank;
	uint32_t dims[DIMS], strides[DIMS - 1]; /* width, height, slices, images */
	uint32_t box[DIMS], steps[DIMS];
	int32_t at[DIMS];
};

static struct sg_tensor_map map_of_slices(const struct slices *s)
{
	struct sg_tensor_map map = {
	    .rank = (uint8_t)s->rank,
	    .interleave = s->bytes == 32 ? SG_INTERLEAVE_32 : SG_INTERLEAVE_16,
	};

	for (unsigned i = 0; i < s->rank; i++) {
		map.last[i] = s->dims[i] - 1;
		map.box[i] = (uint16_t)(s->box[i] - 1);
		map.steps[i] = (uint8_t)s->steps[i];
		if (i)
			map.strides[i - 1] = s->strides[i - 1];
	}
	return map;
}

/* How far the nth slice of the box is into the tensor, in bytes; -1: outside. */
static int64_t find_slice(const struct slices *s, unsigned n)
{
	int64_t place = 0;

	for (unsigned i = 0; i < s->rank; i++) {
		unsigned count = i + 2 == s->rank ? 1 : (s->box[i] + s->steps[i] - 1) / s->steps[i];
		int64_t at = s->at[i] + (int64_t)(n % count) * s->steps[i];

		if (at < 0 || at >= s->dims[i])
			return -1;
		place += at * (i ? s->strides[i - 1] : s->bytes);
		n /= count;
	}
	return place;
}

static unsigned count_slices(const struct slices *s)
{
	unsigned count = 1;

	for (unsigned i = 0; i < s->rank; i++)
		if (i + 2 != s->rank)
			count *= (s->box[i] + s->steps[i] - 1) / s->steps[i];
	return count;
}

static void write_slices(
    const struct slices *s, const char *format, bool is_store, char *text, size_t size)
{
	char list[128];
	size_t used = 0;

	for (unsigned i = 0; i < s->rank; i++)
		used += (size_t)snprintf(
		    list + used, sizeof(list) - used, "%s%d", i ? ", " : "", s->at[i]);
	if (is_store)
		snprintf(text, size,
		    "cp.%s.%ud.global.shared::cta%s.tile.bulk_group [%%d1, {%s}], [%%r2];\n"
		    "cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;",
		    *format ? "reduce.async.bulk.tensor" : "async.bulk.tensor", s->rank, format,
		    list);
	else
		snprintf(text, size,
		    "cp.async.bulk.tensor.%ud.shared::cta.global.tile.mbarrier::complete_tx::bytes"
		    " [%%r2], [%%d1, {%s}], [%%r3];",
		    s->rank, list);
}

static void check_slices(const struct slices *s)
{
	struct memory memory = new_memory(map_of_slices(s));
	unsigned count = count_slices(s), each = s->bytes / 2;
	char text[512];

	write_slices(s, "", false, text, sizeof(text));
	run(&memory, count * s->bytes, text);
	for (unsigned n = 0; n < count; n++) {
		int64_t place = find_slice(s, n);

		for (unsigned i = 0; i < each; i++)
			CHECK_EQ(memory.shared[n * each + i],
			    place < 0 ? OUTSIDE : (uint16_t)(place / 2 + i + 1));
	}
	CHECK_EQ(memory.shared[count * each], NOTHING);
}

/* Back: only what is inside changes. */
static void check_slices_stored(const struct slices *s, bool adds)
{
	struct memory memory = new_memory(map_of_slices(s));
	unsigned count = count_slices(s), each = s->bytes / 2;
	static uint16_t want[65536];
	char text[512];

	memory.map->type = adds ? SG_TENSOR_U32 : SG_TENSOR_U16;
	memcpy(want, memory.tensor, sizeof(want));
	for (unsigned i = 0; i < ELEMENTS; i++)
		memory.shared[i] = (uint16_t)(i * 7 % 1000);
	for (unsigned n = 0; n < count; n++) {
		int64_t place = find_slice(s, n);

		for (unsigned i = 0; place >= 0 && i < each; i++) /* no sum carries */
			want[place / 2 + i] = (uint16_t)((adds ? want[place / 2 + i] : 0) +
							 memory.shared[n * each + i]);
	}
	write_slices(s, adds ? ".add" : "", true, text, sizeof(text));
	run(&memory, 0, text);
	CHECK_BYTES(memory.tensor, want, sizeof(want));
}

TEST(slices_of_channels)
{
	static const struct slices all[] = {
	    {16, 3, {10, 3, 2}, {176, 1024}, {4, 1, 2}, {1, 1, 1}, {1, 1, 0}},
	    {16, 3, {10, 3, 2}, {176, 1024}, {5, 3, 2}, {1, 1, 1}, {-2, 2, 1}},
	    {16, 4, {10, 5, 3, 2}, {176, 1024, 4096}, {6, 4, 3, 2}, {2, 3, 1, 1}, {1, 3, 2, 0}},
	    {16, 5, {5, 4, 3, 3, 2}, {96, 512, 2048, 8192}, {3, 2, 2, 1, 2}, {1, 1, 1, 1, 1},
		{3, 1, 1, 2, 0}},
	    {32, 4, {10, 5, 3, 2}, {352, 2048, 8192}, {4, 3, 1, 1}, {1, 1, 1, 1}, {8, 1, 1, 1}},
	    {32, 3, {10, 3, 2}, {352, 1056}, {8, 1, 2}, {3, 1, 1}, {-1, 0, 0}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		check_slices(&all[i]);
		check_slices_stored(&all[i], false);
		check_slices_stored(&all[i], true);
	}
}

/* Pixels of one slice: width and height come first among the dimensions. */
TEST(columns_of_slices)
{
	enum { W = 10, H = 5, N = 2, PIXELS = 40 };
	struct memory memory = new_memory((struct sg_tensor_map){
	    .rank = 4,
	    .layout = SG_LAYOUT_IM2COL,
	    .interleave = SG_INTERLEAVE_16,
	    .strides = {16 * W, 16 * W * H, 3 * 16 * W * H},
	    .last = {W - 1, H - 1, 2, N - 1},
	    .steps = {1, 1, 1, 1},
	    .lower = {-1, -1},
	    .upper = {-1, -2},
	    .pixels = PIXELS - 1,
	});
	int x = 3, y = 1, n = 0;

	run(&memory, PIXELS * 16,
	    "mov.u16 %h1, 1; mov.u16 %h2, 2;\n"
	    "cp.async.bulk.tensor.4d.shared::cta.global.im2col.mbarrier::complete_tx::bytes "
	    "[%r2], [%d1, {3, 1, 2, 0}], [%r3], {%h1, %h2};");
	for (unsigned i = 0; i < PIXELS; i++) {
		bool inside = x + 1 >= 0 && x + 1 < W && y + 2 >= 0 && y + 2 < H && n < N;
		int first = (((n * 3 + 2) * H + y + 2) * W + x + 1) * 8 + 1;

		check_row(memory.shared + (size_t)i * 8, inside ? (uint16_t)first : OUTSIDE);
		if (++x > W - 1 - 1) {
			x = -1;
			if (++y > H - 1 - 2) {
				y = -1;
				n++;
			}
		}
	}
}

/* ---- swizzles ---- */

/* Rows of so many bytes, which follow each other: where each 8 bytes of shared memory come from,
 * in a table of lines of 128 bytes that recurs. */
static void check_swizzle(
    uint8_t swizzle, uint8_t atom, unsigned row, const uint8_t (*table)[16], unsigned lines)
{
	struct memory memory = new_memory((struct sg_tensor_map){
	    .rank = 2,
	    .swizzle = swizzle,
	    .atom = atom,
	    .strides = {row},
	    .last = {row / 2 - 1, 31},
	    .box = {(uint16_t)(row / 2 - 1), (uint16_t)(1024 / row * 2 - 1)},
	    .steps = {1, 1},
	});
	unsigned bytes = 1024 / row * 2 * row;

	run(&memory, bytes,
	    "cp.async.bulk.tensor.2d.shared::cta.global.tile.mbarrier::complete_tx::bytes "
	    "[%r2], [%d1, {0, 0}], [%r3];");
	for (unsigned i = 0; i < bytes / 8; i++) {
		unsigned from = i / 16 * 16 + table[i / 16 % lines][i % 16];

		for (unsigned k = 0; k < 4; k++)
			CHECK_EQ(memory.shared[i * 4 + k], from * 4 + k + 1);
	}
}

TEST(swizzles_that_flip_8_bytes)
{
	static const uint8_t table[][16] = {
	    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	    {5, 4, 7, 6, 1, 0, 3, 2, 13, 12, 15, 14, 9, 8, 11, 10},
	    {8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7},
	    {13, 12, 15, 14, 9, 8, 11, 10, 5, 4, 7, 6, 1, 0, 3, 2},
	};

	check_swizzle(SG_SWIZZLE_128, SG_ATOM_32_FLIP, 128, table, ARRAY_SIZE(table));
}

TEST(swizzles_of_96_bytes)
{
	static const uint8_t table[][16] = {
	    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	    {2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13},
	};

	check_swizzle(SG_SWIZZLE_96, SG_ATOM_16, 96, table, ARRAY_SIZE(table));
}
