/*
 * Tensor maps: boxes of tensors copied to shared memory and back, compared with loops over the same
 * coordinates. For devices of compute capability 9.0 and later.
 */
#include "conform.h"

#define SHARED 32768
#define DIMS   5

/* clang-format off */
/* Thread 0 does %s; shared memory at %r2, the mbarrier at %r3, the map at %d1. Before it a copy of
 * memory from `data` to shared memory, behind it one back. */
static const char frame[] = ".version 8.6\n.target sm_90a\n.address_size 64\n"
    ".visible .entry k(.param .align 64 .b8 map[128], .param .u64 data, .param .u32 bytes, .param .u32 wanted) {\n"
    ".reg .b64 %%d<9>; .reg .b32 %%r<20>; .reg .pred %%p<4>; .reg .b16 %%h<4>;\n"
    ".shared .align 1024 .b8 s[32768]; .shared .align 8 .b64 bar;\n"
    "mov.b64 %%d1, map; cvta.param.u64 %%d1, %%d1; ld.param.u64 %%d2, [data]; ld.param.u32 %%r4, [bytes];\n"
    "mov.u32 %%r1, %%tid.x; mov.u32 %%r2, s; mov.u32 %%r3, bar; ld.param.u32 %%r7, [wanted];\n"
    "shl.b32 %%r5, %%r1, 2;\n"
    "FILL: setp.ge.u32 %%p1, %%r5, %%r4; @%%p1 bra FILLED;\n"
    "cvt.u64.u32 %%d3, %%r5; add.u64 %%d3, %%d2, %%d3; ld.global.u32 %%r6, [%%d3]; add.u32 %%r8, %%r2, %%r5; st.shared.u32 [%%r8], %%r6;\n"
    "add.u32 %%r5, %%r5, 512; bra FILL;\n"
    "FILLED: setp.ne.u32 %%p2, %%r1, 0; @%%p2 bra READY;\n"
    "mbarrier.init.shared::cta.b64 [%%r3], 1; fence.proxy.async;\n"
    "READY: bar.sync 0; @%%p2 bra WAIT;\n"
    "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%%r3], %%r7;\n%s\n"
    "WAIT: mbarrier.try_wait.parity.shared::cta.b64 %%p3, [%%r3], 0; @!%%p3 bra WAIT;\n"
    "bar.sync 0; shl.b32 %%r5, %%r1, 2;\n"
    "BACK: setp.ge.u32 %%p1, %%r5, %%r4; @%%p1 bra DONE;\n"
    "cvt.u64.u32 %%d3, %%r5; add.u64 %%d3, %%d2, %%d3; add.u32 %%r8, %%r2, %%r5; ld.shared.u32 %%r6, [%%r8]; st.global.u32 [%%d3], %%r6;\n"
    "add.u32 %%r5, %%r5, 512; bra BACK;\n"
    "DONE: ret; }\n";
/* clang-format on */

struct tensor {
	CUtensorMapDataType type;
	uint32_t size; /* of an element, or of a slice */
	uint32_t rank;
	uint64_t dims[DIMS];
	uint32_t box[DIMS], steps[DIMS];
	CUtensorMapSwizzle swizzle;
	CUtensorMapFloatOOBfill fill;
	CUtensorMapInterleave interleave;
	uint8_t nan[32]; /* what is outside; zeroes without fill */
	uint64_t strides[DIMS - 1];
	size_t bytes; /* of the tensor */
};

static void begin(void)
{
	int has;

	OK(cuDeviceGetAttribute(
	    &has, CU_DEVICE_ATTRIBUTE_TENSOR_MAP_ACCESS_SUPPORTED, conform_begin()));
	if (!has)
		SKIP("the device has no tensor maps");
}

/* Rows are padded by 16 bytes: strides are more than the dimensions say. */
static void lay_out(struct tensor *t)
{
	size_t align = t->size == 32 ? 32 : 16;
	size_t bytes = (t->dims[0] * t->size + 2 * align - 1) / align * align;

	for (uint32_t i = 0; i + 1 < t->rank; i++) {
		t->strides[i] = bytes;
		bytes *= t->dims[i + 1];
	}
	t->bytes = bytes;
}

static CUtensorMap encode(const struct tensor *t, CUdeviceptr address)
{
	CUtensorMap map;

	OK(cuTensorMapEncodeTiled(&map, t->type, t->rank, address, t->dims, t->strides, t->box,
	    t->steps, t->interleave, t->swizzle, CU_TENSOR_MAP_L2_PROMOTION_NONE, t->fill));
	return map;
}

/* Runs the instruction; data goes to shared memory before and comes from there afterwards. */
static void run(
    const char *instruction, const CUtensorMap *map, void *data, uint32_t bytes, uint32_t wanted)
{
	char text[8192];
	CUdeviceptr memory;
	CUmodule module;
	CUfunction kernel;

	snprintf(text, sizeof(text), frame, instruction);
	OK(cuModuleLoadData(&module, text));
	OK(cuModuleGetFunction(&kernel, module, "k"));
	OK(cuMemAlloc(&memory, bytes));
	OK(cuMemcpyHtoD(memory, data, bytes));
	OK(conform_launch(
	    kernel, 1, 128, 0, NULL, (void *[]){(void *)map, &memory, &bytes, &wanted}));
	OK(cuMemcpyDtoH(data, memory, bytes));
	OK(cuMemFree(memory));
	OK(cuModuleUnload(module));
}

/* Where 16 bytes of the box's line go. */
static size_t swizzled(CUtensorMapSwizzle swizzle, size_t offset)
{
	size_t piece = offset / 16 % 8, line = offset / 128;

	if (swizzle == CU_TENSOR_MAP_SWIZZLE_128B)
		piece ^= line % 8;
	else if (swizzle == CU_TENSOR_MAP_SWIZZLE_64B)
		piece ^= line % 4;
	else if (swizzle == CU_TENSOR_MAP_SWIZZLE_32B)
		piece ^= line % 2;
	return line * 128 + piece * 16 + offset % 16;
}

/* Of the slices of an image a box has one; along the rows of others there are no steps. */
static uint32_t step_of(const struct tensor *t, uint32_t dim)
{
	return dim || t->interleave ? t->steps[dim] : 1;
}

static uint32_t count_of(const struct tensor *t, uint32_t dim)
{
	if (t->interleave && dim + 2 == t->rank)
		return 1;
	return (t->box[dim] + step_of(t, dim) - 1) / step_of(t, dim);
}

/* Swizzled rows take all that is swizzled, even if they are narrower. */
static size_t pitch_of(const struct tensor *t)
{
	size_t row = (size_t)count_of(t, 0) * t->size, span = (size_t)16 << t->swizzle;

	return t->swizzle && !t->interleave && row < span ? span : row;
}

/* Calls visit for each element of the box: its place in shared memory and in the tensor, SIZE_MAX
 * outside. Returns the box's bytes. */
static size_t each(const struct tensor *t, const int32_t at[DIMS],
    void (*visit)(const struct tensor *, size_t, size_t, void *), void *context)
{
	uint32_t counts[DIMS] = {1, 1, 1, 1, 1}, all = 1;

	for (uint32_t i = 0; i < t->rank; i++) {
		counts[i] = count_of(t, i);
		all *= counts[i];
	}
	for (uint32_t n = 0; n < all; n++) {
		size_t from = 0, row = n / counts[0], column = n % counts[0];

		for (uint32_t i = 0, rest = n; i < t->rank; rest /= counts[i], i++) {
			int64_t x = at[i] + (int64_t)(rest % counts[i]) * step_of(t, i);

			if (x < 0 || x >= (int64_t)t->dims[i])
				from = SIZE_MAX;
			if (from != SIZE_MAX)
				from += (size_t)x * (i ? t->strides[i - 1] : t->size);
		}
		visit(t, swizzled(t->swizzle, row * pitch_of(t) + column * t->size), from, context);
	}
	return (size_t)all * t->size;
}

struct memory {
	uint8_t *tensor, *shared;
};

/* The second half of a slice of 32 bytes can be before the first. */
static void load_one(const struct tensor *t, size_t to, size_t from, void *context)
{
	struct memory *m = context;
	const uint8_t *source = from == SIZE_MAX ? t->nan : m->tensor + from;

	for (size_t i = 0; i < t->size; i += 16)
		memcpy(m->shared + (to ^ i), source + i, t->size < 16 ? t->size : 16);
}

static void store_one(const struct tensor *t, size_t from, size_t to, void *context)
{
	struct memory *m = context;

	if (to != SIZE_MAX)
		memcpy(m->tensor + to, m->shared + from, t->size);
}

static void add_one(const struct tensor *t, size_t from, size_t to, void *context)
{
	struct memory *m = context;
	uint32_t a, b;

	if (to == SIZE_MAX)
		return;
	memcpy(&a, m->tensor + to, sizeof(a));
	memcpy(&b, m->shared + from, sizeof(b));
	a += b;
	memcpy(m->tensor + to, &a, sizeof(a));
}

/* "{1, -2, 3}" */
static const char *list(const int32_t *numbers, uint32_t count)
{
	static char text[128];
	size_t used = 0;

	for (uint32_t i = 0; i < count; i++)
		used += (size_t)snprintf(
		    text + used, sizeof(text) - used, "%s%d", i ? ", " : "{", numbers[i]);
	snprintf(text + used, sizeof(text) - used, "}");
	return text;
}

static CUdeviceptr put_tensor(const struct tensor *t, const void *bytes)
{
	CUdeviceptr address;

	OK(cuMemAlloc(&address, t->bytes));
	OK(cuMemcpyHtoD(address, bytes, t->bytes));
	return address;
}

static void check_load(struct tensor *t, const int32_t at[DIMS])
{
	static uint8_t got[SHARED], want[SHARED];
	char text[512];
	struct memory m = {.shared = want};

	lay_out(t);
	m.tensor = conform_random(t->bytes, 7);
	CUtensorMap map = encode(t, put_tensor(t, m.tensor));
	conform_fill(got, sizeof(got), 3);
	memcpy(want, got, sizeof(want));
	size_t bytes = each(t, at, load_one, &m);
	snprintf(text, sizeof(text),
	    "cp.async.bulk.tensor.%ud.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
	    "[%%r2], [%%d1, %s], [%%r3];",
	    t->rank, list(at, t->rank));
	run(text, &map, got, sizeof(got), (uint32_t)bytes);
	CHECK_BYTES(got, want, sizeof(want));
	free(m.tensor);
}

CONFORM(boxes_of_one_to_five_dimensions)
{
	static const uint32_t sizes[] = {1, 2, 4, 4, 8};
	static const CUtensorMapDataType types[] = {CU_TENSOR_MAP_DATA_TYPE_UINT8,
	    CU_TENSOR_MAP_DATA_TYPE_FLOAT16, CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
	    CU_TENSOR_MAP_DATA_TYPE_INT32, CU_TENSOR_MAP_DATA_TYPE_INT64};
	/* A box begins where 16 bytes do: devices take nothing else. */
	static const int32_t at[][DIMS] = {{16, 1, 0, 1, 1}, {-16, -1, 2, -1, 2}, {32, 5, 3, 2, 0},
	    {0, 0, 0, 0, 0}, {112, 0, 0, 0, 0}};

	begin();
	for (uint32_t rank = 1; rank <= DIMS; rank++)
		for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
			struct tensor t = {.type = types[rank - 1],
			    .size = sizes[rank - 1],
			    .rank = rank,
			    .dims = {40, 7, 5, 4, 3},
			    .box = {32, 4, 3, 2, 2},
			    .steps = {1, 1, 1, 1, 1}};

			check_load(&t, at[i]);
		}
}

CONFORM(what_lies_outside)
{
	static const int32_t at[DIMS] = {-8, -2};
	struct tensor t = {.type = CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
	    .size = 4,
	    .rank = 2,
	    .dims = {6, 3},
	    .box = {16, 8},
	    .steps = {1, 1},
	    .fill = CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA,
	    .nan = {0xf7, 0x7f, 0xf7, 0x7f}};

	begin();
	check_load(&t, at);
	t.type = CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
	t.size = 2;
	check_load(&t, at);
}

CONFORM(swizzles)
{
	static const int32_t at[DIMS] = {8, -1, 1};

	begin();
	for (int swizzle = CU_TENSOR_MAP_SWIZZLE_32B; swizzle <= CU_TENSOR_MAP_SWIZZLE_128B;
	    swizzle++) {
		struct tensor t = {.type = CU_TENSOR_MAP_DATA_TYPE_UINT16,
		    .size = 2,
		    .rank = 3,
		    .dims = {100, 20, 4},
		    .box = {8u << swizzle, 16, 2},
		    .steps = {1, 1, 1},
		    .swizzle = (CUtensorMapSwizzle)swizzle};

		check_load(&t, at);
		t.box[0] = 8; /* narrower than what is swizzled */
		check_load(&t, at);
		t.box[0] = 24u << swizzle >> 2 & ~7u;
		check_load(&t, at);
	}
}

/* A box of slices is measured in slices and yet a multiple of 16 bytes of elements. */
CONFORM(slices_of_channels)
{
	static const int32_t at[][DIMS] = {{1, 1, 1, 0, 0}, {-3, 2, 2, 1, 1}, {6, 3, 0, 2, 1}};
	struct tensor t = {.dims = {13, 5, 4, 3, 2}, .steps = {1, 1, 1, 1, 1}};

	begin();
	for (uint32_t rank = 3; rank <= DIMS; rank++)
		for (uint32_t i = 0; i < 12; i++) {
			struct tensor u = t;

			u.rank = rank;
			u.interleave =
			    i % 2 ? CU_TENSOR_MAP_INTERLEAVE_32B : CU_TENSOR_MAP_INTERLEAVE_16B;
			u.size = i % 2 ? 32 : 16;
			u.swizzle = i % 2 ? CU_TENSOR_MAP_SWIZZLE_32B : i / 2 % 4;
			u.type =
			    i % 3 ? CU_TENSOR_MAP_DATA_TYPE_INT32 : CU_TENSOR_MAP_DATA_TYPE_UINT16;
			memcpy(u.box, (uint32_t[]){i % 3 ? 4 : 8, 3, 2, 2, 2}, sizeof(u.box));
			if (i > 8)
				memcpy(u.steps, (uint32_t[]){2, 1, 2, 1, 1}, sizeof(u.steps));
			check_load(&u, at[i % 3]);
		}
}

CONFORM(every_second_row)
{
	static const int32_t at[DIMS] = {0, 1, 0};
	struct tensor t = {.type = CU_TENSOR_MAP_DATA_TYPE_UINT8,
	    .size = 1,
	    .rank = 3,
	    .dims = {64, 9, 10},
	    .box = {32, 8, 7},
	    .steps = {1, 2, 3}};

	begin();
	check_load(&t, at);
}

static void check_store(const char *instruction, const int32_t at[DIMS],
    void (*visit)(const struct tensor *, size_t, size_t, void *), CUtensorMapSwizzle swizzle)
{
	static uint8_t shared[SHARED];
	struct tensor t = {.type = CU_TENSOR_MAP_DATA_TYPE_UINT32,
	    .size = 4,
	    .rank = 3,
	    .dims = {33, 7, 3},
	    .box = {16, 6, 2},
	    .steps = {1, 1, 1},
	    .swizzle = swizzle};
	char text[512];

	lay_out(&t);
	struct memory m = {conform_random(t.bytes, 9), shared};
	uint8_t *got = malloc(t.bytes);
	CUdeviceptr address = put_tensor(&t, m.tensor);
	CUtensorMap map = encode(&t, address);
	conform_fill(shared, sizeof(shared), 11);
	each(&t, at, visit, &m);
	snprintf(text, sizeof(text),
	    "fence.proxy.async.shared::cta; %s [%%d1, %s], [%%r2];\n"
	    "cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;",
	    instruction, list(at, 3));
	run(text, &map, shared, sizeof(shared), 0);
	OK(cuMemcpyDtoH(got, address, t.bytes));
	CHECK_BYTES(got, m.tensor, t.bytes);
	free(got);
	free(m.tensor);
}

CONFORM(stores_and_reductions)
{
	static const int32_t inside[DIMS] = {4, 1, 1}, outside[DIMS] = {0, 3, 2};

	begin();
	check_store("cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group", inside, store_one,
	    CU_TENSOR_MAP_SWIZZLE_NONE);
	check_store("cp.async.bulk.tensor.3d.global.shared::cta.bulk_group", outside, store_one,
	    CU_TENSOR_MAP_SWIZZLE_64B);
	check_store("cp.async.bulk.tensor.3d.global.shared::cta.bulk_group", inside, store_one,
	    CU_TENSOR_MAP_SWIZZLE_128B);
	check_store("cp.reduce.async.bulk.tensor.3d.global.shared::cta.add.tile.bulk_group",
	    outside, add_one, CU_TENSOR_MAP_SWIZZLE_NONE);
}

/* Pixels of a box of images, from one on, each moved by the filter's offset. */
CONFORM(image_to_column)
{
	enum { C = 48, W = 6, H = 5, N = 3, CHANNELS = 32, PIXELS = 33 };
	static const uint64_t dims[] = {C, W, H, N};
	static const uint64_t strides[] = {C, C * W, C * W * H};
	static const int lower[] = {-1, -1}, upper[] = {-1, -2};
	static const uint32_t steps[] = {1, 1, 1, 1};
	static uint8_t got[SHARED], want[SHARED];
	CUdeviceptr address;
	CUtensorMap map;

	begin();
	uint8_t *image = conform_random(C * W * H * N, 13);
	OK(cuMemAlloc(&address, C * W * H * N));
	OK(cuMemcpyHtoD(address, image, C * W * H * N));
	OK(cuTensorMapEncodeIm2col(&map, CU_TENSOR_MAP_DATA_TYPE_UINT8, 4, address, dims, strides,
	    lower, upper, CHANNELS, PIXELS, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
	    CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_NONE,
	    CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
	conform_fill(got, sizeof(got), 3);
	memcpy(want, got, sizeof(want));
	int w = 1, h = 0, n = 1; /* the first pixel; the filter's place is (2, 1) */
	for (int pixel = 0; pixel < PIXELS; pixel++) {
		int x = w + 2, y = h + 1;
		bool inside = x >= 0 && x < W && y >= 0 && y < H && n < N;

		for (int c = 0; c < CHANNELS; c++) {
			int from = 16 + c;

			want[pixel * CHANNELS + c] =
			    inside && from < C ? image[((n * H + y) * W + x) * C + from] : 0;
		}
		if (++w > W - 1 + upper[0]) {
			w = lower[0];
			if (++h > H - 1 + upper[1]) {
				h = lower[1];
				n++;
			}
		}
	}
	run("mov.u16 %h1, 2; mov.u16 %h2, 1;\n"
	    "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes "
	    "[%r2], [%d1, {16, 1, 0, 1}], [%r3], {%h1, %h2};",
	    &map, got, sizeof(got), CHANNELS * PIXELS);
	CHECK_BYTES(got, want, sizeof(want));
	free(image);
}

/* And back, without a filter: pixels one after the other, image after image. */
CONFORM(column_to_image)
{
	enum { C = 32, W = 6, H = 5, N = 3, PIXELS = 33, FIRST = W * H + 1, ALL = C * W * H * N };
	static const uint64_t dims[] = {C, W, H, N}, strides[] = {C, C * W, C * W * H};
	static const int corner[] = {0, 0};
	static const uint32_t steps[] = {1, 1, 1, 1};
	static uint8_t shared[SHARED], got[ALL];
	CUdeviceptr address;
	CUtensorMap map;

	begin();
	uint8_t *want = conform_random(ALL, 13);
	OK(cuMemAlloc(&address, ALL));
	OK(cuMemcpyHtoD(address, want, ALL));
	OK(cuTensorMapEncodeIm2col(&map, CU_TENSOR_MAP_DATA_TYPE_UINT8, 4, address, dims, strides,
	    corner, corner, C, PIXELS, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
	    CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_NONE,
	    CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
	conform_fill(shared, sizeof(shared), 3);
	memcpy(want + FIRST * C, shared, PIXELS * C);
	run("fence.proxy.async.shared::cta;\n"
	    "cp.async.bulk.tensor.4d.global.shared::cta.im2col_no_offs.bulk_group "
	    "[%d1, {0, 1, 0, 1}], [%r2];\n"
	    "cp.async.bulk.commit_group; cp.async.bulk.wait_group 0;",
	    &map, shared, sizeof(shared), 0);
	OK(cuMemcpyDtoH(got, address, ALL));
	CHECK_BYTES(got, want, ALL);
	free(want);
}

/* A map in device memory whose address and inner size a kernel changes. */
CONFORM(maps_changed_by_kernels)
{
	static const int32_t at[DIMS] = {16, 1};
	static uint8_t got[SHARED], want[SHARED];
	struct tensor t = {.type = CU_TENSOR_MAP_DATA_TYPE_UINT8,
	    .size = 1,
	    .rank = 2,
	    .dims = {64, 8},
	    .box = {32, 4},
	    .steps = {1, 1}};
	struct memory m = {.shared = want};
	char text[1024];

	begin();
	lay_out(&t);
	m.tensor = conform_random(t.bytes, 17);
	CUdeviceptr first = put_tensor(&t, m.tensor), second, in_memory;
	CUtensorMap map = encode(&t, first);
	conform_fill(m.tensor, t.bytes, 19);
	second = put_tensor(&t, m.tensor);
	OK(cuMemAlloc(&in_memory, sizeof(map)));
	OK(cuMemcpyHtoD(in_memory, &map, sizeof(map)));
	t.dims[0] = 30;
	memset(want, 0, sizeof(want));
	memset(got, 0, sizeof(got));
	size_t bytes = each(&t, at, load_one, &m);
	snprintf(text, sizeof(text),
	    "mov.u64 %%d1, %llu; mov.u64 %%d4, %llu;\n"
	    "tensormap.replace.tile.global_address.global.b1024.b64 [%%d1], %%d4;\n"
	    "mov.u32 %%r10, 30; tensormap.replace.tile.global_dim.global.b1024.b32 [%%d1], 0, "
	    "%%r10;\n"
	    "fence.proxy.tensormap::generic.release.gpu;\n"
	    "fence.proxy.tensormap::generic.acquire.gpu [%%d1], 128;\n"
	    "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%%r2], "
	    "[%%d1, {16, 1}], [%%r3];",
	    (unsigned long long)in_memory, (unsigned long long)second);
	run(text, &map, got, sizeof(got), (uint32_t)bytes);
	CHECK_BYTES(got, want, sizeof(want));
	OK(cuTensorMapReplaceAddress(&map, second));
	run("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r2], "
	    "[%d1, {0, 0}], [%r3];",
	    &map, got, sizeof(got), (uint32_t)bytes);
	for (unsigned row = 0; row < 4; row++)
		CHECK_BYTES(got + row * 32, m.tensor + row * t.strides[0], 32);
	free(m.tensor);
}

CONFORM(maps_that_are_none)
{
	CUtensorMap map;
	CUdeviceptr address;
	uint64_t dims[] = {64, 64}, strides[] = {64};
	uint32_t box[] = {32, 8}, steps[] = {1, 1};

#define ENCODE(type, swizzle)                                                                      \
	cuTensorMapEncodeTiled(&map, type, 2, address, dims, strides, box, steps,                  \
	    CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle, CU_TENSOR_MAP_L2_PROMOTION_NONE,               \
	    CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE)
	begin();
	OK(cuMemAlloc(&address, 8192));
	OK(ENCODE(CU_TENSOR_MAP_DATA_TYPE_UINT8, CU_TENSOR_MAP_SWIZZLE_NONE));
	/* A row of the box is wider than what is swizzled. */
	GIVES(ENCODE(CU_TENSOR_MAP_DATA_TYPE_UINT16, CU_TENSOR_MAP_SWIZZLE_32B),
	    CUDA_ERROR_INVALID_VALUE);
	box[1] = 257;
	GIVES(ENCODE(CU_TENSOR_MAP_DATA_TYPE_UINT8, CU_TENSOR_MAP_SWIZZLE_NONE),
	    CUDA_ERROR_INVALID_VALUE);
	box[1] = 8;
	strides[0] = 72;
	GIVES(ENCODE(CU_TENSOR_MAP_DATA_TYPE_UINT8, CU_TENSOR_MAP_SWIZZLE_NONE),
	    CUDA_ERROR_INVALID_VALUE);
}
