/* Batches of copies: which arguments are valid, and what each operation becomes. */
#include "abi/batch.h"

#include "base/test.h"

#define STREAM ((CUstream)0x100)

static CUdeviceptr to[3] = {1, 2, 3}, from[3] = {4, 5, 6};
static size_t sizes[3] = {1, 1, 1};

static bool valid(size_t n, const size_t *indices, size_t n_attributes, CUstream stream)
{
	static const CUmemcpyAttributes how[3] = {
	    {.srcAccessOrder = 1}, {.srcAccessOrder = 2}, {.srcAccessOrder = 3}};

	return batch_is_valid(to, from, sizes, n, how, indices, n_attributes, stream);
}

TEST(batch_arguments)
{
	const CUmemcpyAttributes bad = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_INVALID};

	CHECK(valid(3, (size_t[]){0}, 1, STREAM));
	CHECK(valid(3, (size_t[]){0, 1, 2}, 3, CU_STREAM_PER_THREAD));
	CHECK(!valid(0, (size_t[]){0}, 1, STREAM));
	CHECK(!valid(3, (size_t[]){0}, 0, STREAM));
	CHECK(!valid(3, (size_t[]){1}, 1, STREAM));
	CHECK(!valid(3, (size_t[]){0, 3}, 2, STREAM));
	CHECK(!valid(3, (size_t[]){0, 2, 2}, 3, STREAM));
	CHECK(!valid(2, (size_t[]){0, 1, 2}, 3, STREAM));
	CHECK(!valid(3, (size_t[]){0}, 1, NULL));
	CHECK(!valid(3, (size_t[]){0}, 1, CU_STREAM_LEGACY));
	CHECK(!batch_is_valid(to, from, sizes, 3, &bad, (size_t[]){0}, 1, STREAM));
}

TEST(batch_attributes_are_found)
{
	const CUmemcpyAttributes how[3] = {{.flags = 0}, {.flags = 1}, {.flags = 2}};
	const size_t indices[3] = {0, 4, 5};
	const unsigned wanted[] = {0, 0, 0, 0, 1, 2, 2};

	for (size_t i = 0; i < 7; i++)
		CHECK_EQ(batch_attributes_of(i, how, indices, 3)->flags, wanted[i]);
}

TEST(batch_boxes)
{
	CUDA_MEMCPY3D_BATCH_OP op = {
	    .src = {.type = CU_MEMCPY_OPERAND_TYPE_POINTER, .op.ptr = {.ptr = 0x1000}},
	    .dst = {.type = CU_MEMCPY_OPERAND_TYPE_ARRAY,
		.op.array = {.array = (CUarray)7, .offset = {3, 4, 5}}},
	    .extent = {10, 2, 3},
	    .srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_ANY};
	CUDA_MEMCPY3D c;

	CHECK(batch_box(&op, 8, &c));
	CHECK_EQ(c.WidthInBytes, 80);
	CHECK_EQ(c.srcPitch, 80);
	CHECK_EQ(c.srcHeight, 2);
	CHECK_EQ(c.srcMemoryType, CU_MEMORYTYPE_UNIFIED);
	CHECK_EQ(c.dstXInBytes, 24);
	CHECK_EQ(c.dstZ, 5);
	CHECK_EQ(c.dstMemoryType, CU_MEMORYTYPE_ARRAY);
	op.src.op.ptr.rowLength = 9; /* shorter than what is copied of it */
	CHECK(!batch_box(&op, 8, &c));
	op.src.op.ptr.rowLength = 0;
	op.extent.width = SIZE_MAX / 4;
	CHECK(!batch_box(&op, 8, &c));
	op.extent.width = 10;
	op.extent.depth = 0;
	CHECK(!batch_box(&op, 8, &c));
	op.extent.depth = 1;
	op.dst.type = (CUmemcpy3DOperandType)0;
	CHECK(!batch_box(&op, 8, &c));
}

TEST(batch_elements)
{
	CHECK_EQ(batch_element_size(CU_AD_FORMAT_HALF, 4), 8);
	CHECK_EQ(batch_element_size(CU_AD_FORMAT_FLOAT, 1), 4);
	CHECK_EQ(batch_element_size((CUarray_format)0x7777, 1), 0);
}
