/*
 * The forms from before CUDA 3.2: what fits 32 bits survives both ways, what does not is refused.
 */
#include "abi/narrow.h"

#include <string.h>

#include "base/test.h"

TEST(addresses_fit_or_are_refused)
{
	CUdeviceptr_v1 narrow;

	CHECK(narrow_CUdeviceptr_v1(0xffffffffu, &narrow));
	CHECK_EQ(narrow, 0xffffffffu);
	CHECK(!narrow_CUdeviceptr_v1(0x100000000ull, &narrow));
	CHECK(!narrow_CUdeviceptr_v1(0x7f0000001000ull, &narrow));
}

TEST(sizes_stop_at_the_largest)
{
	unsigned narrow;

	CHECK(narrow_unsigned(7, &narrow));
	CHECK_EQ(narrow, 7);
	CHECK(narrow_unsigned((size_t)141 << 30, &narrow));
	CHECK_EQ(narrow, UINT32_MAX);
}

TEST(array_descriptors_survive_both_ways)
{
	CUDA_ARRAY3D_DESCRIPTOR_v1 in = {1, 2, 3, CU_AD_FORMAT_FLOAT, 4, 5}, out;
	CUDA_ARRAY3D_DESCRIPTOR wide;
	CUDA_ARRAY_DESCRIPTOR_v1 flat_in = {6, 7, CU_AD_FORMAT_HALF, 2}, flat_out;
	CUDA_ARRAY_DESCRIPTOR flat;

	wide_CUDA_ARRAY3D_DESCRIPTOR_v1(&in, &wide);
	CHECK(narrow_CUDA_ARRAY3D_DESCRIPTOR_v1(wide, &out));
	CHECK_BYTES(&out, &in, sizeof(in));
	CHECK_EQ(wide.Depth, 3);
	CHECK_EQ(wide.Flags, 5);
	wide_CUDA_ARRAY_DESCRIPTOR_v1(&flat_in, &flat);
	CHECK(narrow_CUDA_ARRAY_DESCRIPTOR_v1(flat, &flat_out));
	CHECK_BYTES(&flat_out, &flat_in, sizeof(flat_in));
}

/* Every 32-bit word of the old struct is another number: none may get lost or land elsewhere. */
TEST(box_copies_keep_every_member)
{
	CUDA_MEMCPY3D_v1 narrow;
	CUDA_MEMCPY3D wide;
	unsigned words[sizeof(narrow) / 4];

	for (unsigned i = 0; i < sizeof(words) / 4; i++)
		words[i] = i + 1;
	memcpy(&narrow, words, sizeof(narrow));
	wide_CUDA_MEMCPY3D_v1(&narrow, &wide);
#define SAME(member) CHECK_EQ((uint64_t)wide.member, (uint64_t)narrow.member)
	SAME(srcXInBytes);
	SAME(srcY);
	SAME(srcZ);
	SAME(srcLOD);
	SAME(srcMemoryType);
	SAME(srcHost);
	SAME(srcDevice);
	SAME(srcArray);
	SAME(srcPitch);
	SAME(srcHeight);
	SAME(dstXInBytes);
	SAME(dstY);
	SAME(dstZ);
	SAME(dstLOD);
	SAME(dstMemoryType);
	SAME(dstHost);
	SAME(dstDevice);
	SAME(dstArray);
	SAME(dstPitch);
	SAME(dstHeight);
	SAME(WidthInBytes);
	SAME(Height);
	SAME(Depth);
}

TEST(rectangle_copies_keep_every_member)
{
	CUDA_MEMCPY2D_v1 narrow;
	CUDA_MEMCPY2D wide;
	unsigned words[sizeof(narrow) / 4];

	for (unsigned i = 0; i < sizeof(words) / 4; i++)
		words[i] = i + 1;
	memcpy(&narrow, words, sizeof(narrow));
	wide_CUDA_MEMCPY2D_v1(&narrow, &wide);
	SAME(srcXInBytes);
	SAME(srcY);
	SAME(srcMemoryType);
	SAME(srcHost);
	SAME(srcDevice);
	SAME(srcArray);
	SAME(srcPitch);
	SAME(dstXInBytes);
	SAME(dstY);
	SAME(dstMemoryType);
	SAME(dstHost);
	SAME(dstDevice);
	SAME(dstArray);
	SAME(dstPitch);
	SAME(WidthInBytes);
	SAME(Height);
}
