/*
 * Arrays without memory of their own: sparse ones, whose tiles are bound to physical memory in a
 * stream, and those whose memory comes later. A device that has none says so in its attributes, and
 * then refuses to make them.
 */
#include "conform.h"

enum { SIDE = 1024, GRANULE = 2 << 20 };

static int attribute(CUdevice_attribute which)
{
	int value = 0;

	OK(cuDeviceGetAttribute(&value, which, 0));
	return value;
}

static CUDA_ARRAY3D_DESCRIPTOR shape(unsigned flags)
{
	return (CUDA_ARRAY3D_DESCRIPTOR){SIDE, SIDE, 0, CU_AD_FORMAT_FLOAT, 1, flags};
}

/* A sparse array; the test is over where the device has none. */
static CUarray sparse_array(CUDA_ARRAY_SPARSE_PROPERTIES *tiles)
{
	CUDA_ARRAY3D_DESCRIPTOR d = shape(CUDA_ARRAY3D_SPARSE);
	CUarray array;

	conform_begin();
	CUresult r = cuArray3DCreate(&array, &d);
	if (!attribute(CU_DEVICE_ATTRIBUTE_SPARSE_CUDA_ARRAY_SUPPORTED)) {
		CHECK_EQ(r, CUDA_ERROR_NOT_SUPPORTED);
		SKIP("this device has no sparse arrays");
	}
	OK(r);
	OK(cuArrayGetSparseProperties(tiles, array));
	return array;
}

static CUmemGenericAllocationHandle tile_memory(void)
{
	CUmemAllocationProp wanted = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
	    .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE, .id = 0},
	    .allocFlags.usage = CU_MEM_CREATE_USAGE_TILE_POOL};
	CUmemGenericAllocationHandle handle;

	OK(cuMemCreate(&handle, GRANULE, &wanted, 0));
	return handle;
}

/* Binds the first tile to memory, or with none ends that. */
static CUarrayMapInfo first_tile(
    CUarray array, const CUDA_ARRAY_SPARSE_PROPERTIES *tiles, CUmemGenericAllocationHandle memory)
{
	return (CUarrayMapInfo){.resourceType = CU_RESOURCE_TYPE_ARRAY,
	    .resource.array = array,
	    .subresourceType = CU_ARRAY_SPARSE_SUBRESOURCE_TYPE_SPARSE_LEVEL,
	    .subresource.sparseLevel = {.extentWidth = tiles->tileExtent.width,
		.extentHeight = tiles->tileExtent.height,
		.extentDepth = 1},
	    .memOperationType = memory ? CU_MEM_OPERATION_TYPE_MAP : CU_MEM_OPERATION_TYPE_UNMAP,
	    .memHandleType = CU_MEM_HANDLE_TYPE_GENERIC,
	    .memHandle.memHandle = memory,
	    .deviceBitMask = 1};
}

/* The first row of the first tile; the byte that all of it must be. */
static void check_row(CUarray array, size_t bytes, int wanted)
{
	uint8_t *row = malloc(bytes);

	CHECK(row);
	OK(cuMemcpyAtoH(row, array, 0, bytes));
	for (size_t i = 0; i < bytes; i++)
		CHECK_EQ(row[i], wanted);
	free(row);
}

static void write_row(CUarray array, size_t bytes, int value)
{
	uint8_t *row = malloc(bytes);

	CHECK(row);
	memset(row, value, bytes);
	OK(cuMemcpyHtoA(array, 0, row, bytes));
	free(row);
}

CONFORM(tiles_are_bound_in_a_stream)
{
	CUDA_ARRAY_SPARSE_PROPERTIES tiles = {0};
	CUarray array = sparse_array(&tiles);
	CUmemGenericAllocationHandle memory = tile_memory();
	CUstream stream;

	CHECK(tiles.tileExtent.width > 1 && tiles.tileExtent.height > 1);
	CHECK_EQ(tiles.tileExtent.depth, 1);
	size_t bytes = tiles.tileExtent.width * sizeof(float);
	CUarrayMapInfo map = first_tile(array, &tiles, memory);
	CUarrayMapInfo unmap = first_tile(array, &tiles, 0);
	OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemMapArrayAsync(&map, 1, stream));
	OK(cuStreamSynchronize(stream));
	write_row(array, bytes, 3);
	check_row(array, bytes, 3);
	OK(cuMemMapArrayAsync(&unmap, 1, stream));
	OK(cuStreamSynchronize(stream));
	check_row(array, bytes, 0); /* nothing is there */
	OK(cuMemMapArrayAsync_ptsz(&map, 1, NULL));
	OK(cuStreamSynchronize_ptsz(NULL));
	check_row(array, bytes, 3); /* the memory kept it */
	OK(cuArrayDestroy(array));
	OK(cuMemRelease(memory));
}

CONFORM(bindings_that_are_none)
{
	CUDA_ARRAY_SPARSE_PROPERTIES tiles;
	CUarray array = sparse_array(&tiles);
	CUarrayMapInfo map = first_tile(array, &tiles, tile_memory());

	GIVES(cuMemMapArrayAsync(&map, 0, NULL), CUDA_ERROR_INVALID_VALUE);
	map.flags = 1;
	GIVES(cuMemMapArrayAsync(&map, 1, NULL), CUDA_ERROR_INVALID_VALUE);
}

/* Levels of less than a tile share the tail. */
CONFORM(levels_have_a_tail)
{
	CUDA_ARRAY_SPARSE_PROPERTIES tiles = {0}, levels = {0};
	CUDA_ARRAY3D_DESCRIPTOR d = shape(CUDA_ARRAY3D_SPARSE);
	CUmipmappedArray mipmap;

	OK(cuArrayDestroy(sparse_array(&tiles)));
	OK(cuMipmappedArrayCreate(&mipmap, &d, 8));
	OK(cuMipmappedArrayGetSparseProperties(&levels, mipmap));
	CHECK_EQ(levels.tileExtent.width, tiles.tileExtent.width);
	CHECK_EQ(levels.tileExtent.height, tiles.tileExtent.height);
	CHECK(levels.miptailFirstLevel >= 1 && levels.miptailFirstLevel < 8);
	CHECK(SIDE >> levels.miptailFirstLevel < (int)tiles.tileExtent.width);
	CHECK(levels.miptailSize);
	OK(cuMipmappedArrayDestroy(mipmap));
}

CONFORM(ordinary_arrays_have_no_tiles)
{
	CUDA_ARRAY_SPARSE_PROPERTIES tiles;
	CUDA_ARRAY_MEMORY_REQUIREMENTS needs;
	CUDA_ARRAY3D_DESCRIPTOR d = shape(0);
	CUmipmappedArray mipmap;
	CUarray array;

	conform_begin();
	OK(cuArray3DCreate(&array, &d));
	GIVES(cuArrayGetSparseProperties(&tiles, array), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuArrayGetMemoryRequirements(&needs, array, 0), CUDA_ERROR_INVALID_VALUE);
	OK(cuMipmappedArrayCreate(&mipmap, &d, 4));
	GIVES(cuMipmappedArrayGetSparseProperties(&tiles, mipmap), CUDA_ERROR_INVALID_VALUE);
	GIVES(cuMipmappedArrayGetMemoryRequirements(&needs, mipmap, 0), CUDA_ERROR_INVALID_VALUE);
	OK(cuMipmappedArrayDestroy(mipmap));
	OK(cuArrayDestroy(array));
}

CONFORM(levels_whose_memory_comes_later)
{
	CUDA_ARRAY3D_DESCRIPTOR d = shape(CUDA_ARRAY3D_DEFERRED_MAPPING);
	CUDA_ARRAY_MEMORY_REQUIREMENTS needs = {0};
	CUmipmappedArray mipmap;

	conform_begin();
	CUresult r = cuMipmappedArrayCreate(&mipmap, &d, 8);
	if (!attribute(CU_DEVICE_ATTRIBUTE_DEFERRED_MAPPING_CUDA_ARRAY_SUPPORTED)) {
		CHECK_EQ(r, CUDA_ERROR_NOT_SUPPORTED);
		SKIP("this device's arrays have their memory at once");
	}
	OK(r);
	OK(cuMipmappedArrayGetMemoryRequirements(&needs, mipmap, 0));
	CHECK(needs.size >= SIDE * SIDE * sizeof(float));
	CHECK(needs.alignment && !(needs.size % needs.alignment));
	OK(cuMipmappedArrayDestroy(mipmap));
}
