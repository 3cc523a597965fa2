/*
 * Arrays, textures, surfaces and tensor maps.
 */
#pragma once

/* Of one array element's channel. */
typedef enum {
	CU_AD_FORMAT_UNSIGNED_INT8 = 1,
	CU_AD_FORMAT_UNSIGNED_INT16,
	CU_AD_FORMAT_UNSIGNED_INT32,
	CU_AD_FORMAT_SIGNED_INT8 = 8,
	CU_AD_FORMAT_SIGNED_INT16,
	CU_AD_FORMAT_SIGNED_INT32,
	CU_AD_FORMAT_HALF = 16,
	CU_AD_FORMAT_FLOAT = 32,
	CU_AD_FORMAT_NV12 = 176,
	CU_AD_FORMAT_UNORM_INT8X1 = 192,
	CU_AD_FORMAT_UNORM_INT8X2,
	CU_AD_FORMAT_UNORM_INT8X4,
	CU_AD_FORMAT_UNORM_INT16X1,
	CU_AD_FORMAT_UNORM_INT16X2,
	CU_AD_FORMAT_UNORM_INT16X4,
	CU_AD_FORMAT_SNORM_INT8X1,
	CU_AD_FORMAT_SNORM_INT8X2,
	CU_AD_FORMAT_SNORM_INT8X4,
	CU_AD_FORMAT_SNORM_INT16X1,
	CU_AD_FORMAT_SNORM_INT16X2,
	CU_AD_FORMAT_SNORM_INT16X4,
	CU_AD_FORMAT_BC1_UNORM = 145,
	CU_AD_FORMAT_BC1_UNORM_SRGB,
	CU_AD_FORMAT_BC2_UNORM,
	CU_AD_FORMAT_BC2_UNORM_SRGB,
	CU_AD_FORMAT_BC3_UNORM,
	CU_AD_FORMAT_BC3_UNORM_SRGB,
	CU_AD_FORMAT_BC4_UNORM,
	CU_AD_FORMAT_BC4_SNORM,
	CU_AD_FORMAT_BC5_UNORM,
	CU_AD_FORMAT_BC5_SNORM,
	CU_AD_FORMAT_BC6H_UF16,
	CU_AD_FORMAT_BC6H_SF16,
	CU_AD_FORMAT_BC7_UNORM,
	CU_AD_FORMAT_BC7_UNORM_SRGB,
	CU_AD_FORMAT_P010,
	CU_AD_FORMAT_P016 = 161,
	CU_AD_FORMAT_NV16,
	CU_AD_FORMAT_P210,
	CU_AD_FORMAT_P216,
	CU_AD_FORMAT_YUY2,
	CU_AD_FORMAT_Y210,
	CU_AD_FORMAT_Y216,
	CU_AD_FORMAT_AYUV,
	CU_AD_FORMAT_Y410,
	CU_AD_FORMAT_Y416 = 177,
	CU_AD_FORMAT_Y444_PLANAR8,
	CU_AD_FORMAT_Y444_PLANAR10,
	CU_AD_FORMAT_YUV444_8bit_SemiPlanar,
	CU_AD_FORMAT_YUV444_16bit_SemiPlanar,
	CU_AD_FORMAT_UNORM_INT_101010_2 = 80,
	CU_AD_FORMAT_MAX = 0x7fffffff,
} CUarray_format;

/* CUDA_ARRAY3D_DESCRIPTOR.Flags */
#define CUDA_ARRAY3D_LAYERED		 0x01
#define CUDA_ARRAY3D_2DARRAY		 0x01
#define CUDA_ARRAY3D_SURFACE_LDST	 0x02
#define CUDA_ARRAY3D_CUBEMAP		 0x04
#define CUDA_ARRAY3D_TEXTURE_GATHER	 0x08
#define CUDA_ARRAY3D_DEPTH_TEXTURE	 0x10
#define CUDA_ARRAY3D_COLOR_ATTACHMENT	 0x20
#define CUDA_ARRAY3D_SPARSE		 0x40
#define CUDA_ARRAY3D_DEFERRED_MAPPING	 0x80
#define CUDA_ARRAY3D_VIDEO_ENCODE_DECODE 0x100

typedef struct {
	size_t Width, Height;
	CUarray_format Format;
	unsigned NumChannels;
} CUDA_ARRAY_DESCRIPTOR;

typedef struct {
	size_t Width, Height, Depth;
	CUarray_format Format;
	unsigned NumChannels, Flags;
} CUDA_ARRAY3D_DESCRIPTOR;

/* The same before CUDA 3.2. */
typedef struct {
	unsigned Width, Height;
	CUarray_format Format;
	unsigned NumChannels;
} CUDA_ARRAY_DESCRIPTOR_v1;

typedef struct {
	unsigned Width, Height, Depth;
	CUarray_format Format;
	unsigned NumChannels, Flags;
} CUDA_ARRAY3D_DESCRIPTOR_v1;

typedef enum {
	CU_CUBEMAP_FACE_POSITIVE_X,
	CU_CUBEMAP_FACE_NEGATIVE_X,
	CU_CUBEMAP_FACE_POSITIVE_Y,
	CU_CUBEMAP_FACE_NEGATIVE_Y,
	CU_CUBEMAP_FACE_POSITIVE_Z,
	CU_CUBEMAP_FACE_NEGATIVE_Z,
} CUarray_cubemap_face;

typedef struct {
	size_t size, alignment;
	unsigned reserved[4];
} CUDA_ARRAY_MEMORY_REQUIREMENTS;

#define CU_ARRAY_SPARSE_PROPERTIES_SINGLE_MIPTAIL 0x1

/* Sparse arrays: tiles bound to physical memory one by one. */
typedef struct {
	struct {
		unsigned width, height, depth;
	} tileExtent;
	unsigned miptailFirstLevel;
	unsigned long long miptailSize;
	unsigned flags, reserved[4];
} CUDA_ARRAY_SPARSE_PROPERTIES;

typedef enum {
	CU_RESOURCE_TYPE_ARRAY,
	CU_RESOURCE_TYPE_MIPMAPPED_ARRAY,
	CU_RESOURCE_TYPE_LINEAR,
	CU_RESOURCE_TYPE_PITCH2D,
} CUresourcetype;

typedef enum {
	CU_ARRAY_SPARSE_SUBRESOURCE_TYPE_SPARSE_LEVEL,
	CU_ARRAY_SPARSE_SUBRESOURCE_TYPE_MIPTAIL,
} CUarraySparseSubresourceType;

typedef enum {
	CU_MEM_OPERATION_TYPE_MAP = 1,
	CU_MEM_OPERATION_TYPE_UNMAP,
} CUmemOperationType;

typedef struct {
	CUresourcetype resourceType;
	union {
		CUmipmappedArray mipmap;
		CUarray array;
	} resource;
	CUarraySparseSubresourceType subresourceType;
	union {
		struct {
			unsigned level, layer, offsetX, offsetY, offsetZ, extentWidth, extentHeight,
			    extentDepth;
		} sparseLevel;
		struct {
			unsigned layer;
			unsigned long long offset, size;
		} miptail;
	} subresource;
	CUmemOperationType memOperationType;
	CUmemHandleType memHandleType;
	union {
		CUmemGenericAllocationHandle memHandle;
	} memHandle;
	unsigned long long offset;
	unsigned deviceBitMask, flags, reserved[2];
} CUarrayMapInfo;

/* cuTexRefSetFormat, cuTexRefSetArray, and CUDA_TEXTURE_DESC.flags */
#define CU_TRSA_OVERRIDE_FORMAT		       0x01
#define CU_TRSF_READ_AS_INTEGER		       0x01
#define CU_TRSF_NORMALIZED_COORDINATES	       0x02
#define CU_TRSF_SRGB			       0x10
#define CU_TRSF_DISABLE_TRILINEAR_OPTIMIZATION 0x20
#define CU_TRSF_SEAMLESS_CUBEMAP	       0x40

/* Texture and surface objects. */
typedef enum {
	CU_TR_ADDRESS_MODE_WRAP,
	CU_TR_ADDRESS_MODE_CLAMP,
	CU_TR_ADDRESS_MODE_MIRROR,
	CU_TR_ADDRESS_MODE_BORDER,
} CUaddress_mode;

typedef enum {
	CU_TR_FILTER_MODE_POINT,
	CU_TR_FILTER_MODE_LINEAR,
} CUfilter_mode;

typedef struct {
	CUresourcetype resType;
	union {
		struct {
			CUarray hArray;
		} array;
		struct {
			CUmipmappedArray hMipmappedArray;
		} mipmap;
		struct {
			CUdeviceptr devPtr;
			CUarray_format format;
			unsigned numChannels;
			size_t sizeInBytes;
		} linear;
		struct {
			CUdeviceptr devPtr;
			CUarray_format format;
			unsigned numChannels;
			size_t width, height, pitchInBytes;
		} pitch2D;
		struct {
			int reserved[32];
		} reserved;
	} res;
	unsigned flags;
} CUDA_RESOURCE_DESC;

typedef struct {
	CUaddress_mode addressMode[3];
	CUfilter_mode filterMode;
	unsigned flags, maxAnisotropy;
	CUfilter_mode mipmapFilterMode;
	float mipmapLevelBias, minMipmapLevelClamp, maxMipmapLevelClamp, borderColor[4];
	int reserved[12];
} CUDA_TEXTURE_DESC;

typedef enum {
	CU_RES_VIEW_FORMAT_NONE,
	CU_RES_VIEW_FORMAT_UINT_1X8,
	CU_RES_VIEW_FORMAT_UINT_2X8,
	CU_RES_VIEW_FORMAT_UINT_4X8,
	CU_RES_VIEW_FORMAT_SINT_1X8,
	CU_RES_VIEW_FORMAT_SINT_2X8,
	CU_RES_VIEW_FORMAT_SINT_4X8,
	CU_RES_VIEW_FORMAT_UINT_1X16,
	CU_RES_VIEW_FORMAT_UINT_2X16,
	CU_RES_VIEW_FORMAT_UINT_4X16,
	CU_RES_VIEW_FORMAT_SINT_1X16,
	CU_RES_VIEW_FORMAT_SINT_2X16,
	CU_RES_VIEW_FORMAT_SINT_4X16,
	CU_RES_VIEW_FORMAT_UINT_1X32,
	CU_RES_VIEW_FORMAT_UINT_2X32,
	CU_RES_VIEW_FORMAT_UINT_4X32,
	CU_RES_VIEW_FORMAT_SINT_1X32,
	CU_RES_VIEW_FORMAT_SINT_2X32,
	CU_RES_VIEW_FORMAT_SINT_4X32,
	CU_RES_VIEW_FORMAT_FLOAT_1X16,
	CU_RES_VIEW_FORMAT_FLOAT_2X16,
	CU_RES_VIEW_FORMAT_FLOAT_4X16,
	CU_RES_VIEW_FORMAT_FLOAT_1X32,
	CU_RES_VIEW_FORMAT_FLOAT_2X32,
	CU_RES_VIEW_FORMAT_FLOAT_4X32,
	CU_RES_VIEW_FORMAT_UNSIGNED_BC1,
	CU_RES_VIEW_FORMAT_UNSIGNED_BC2,
	CU_RES_VIEW_FORMAT_UNSIGNED_BC3,
	CU_RES_VIEW_FORMAT_UNSIGNED_BC4,
	CU_RES_VIEW_FORMAT_SIGNED_BC4,
	CU_RES_VIEW_FORMAT_UNSIGNED_BC5,
	CU_RES_VIEW_FORMAT_SIGNED_BC5,
	CU_RES_VIEW_FORMAT_UNSIGNED_BC6H,
	CU_RES_VIEW_FORMAT_SIGNED_BC6H,
	CU_RES_VIEW_FORMAT_UNSIGNED_BC7,
} CUresourceViewFormat;

typedef struct {
	CUresourceViewFormat format;
	size_t width, height, depth;
	unsigned firstMipmapLevel, lastMipmapLevel, firstLayer, lastLayer, reserved[16];
} CUDA_RESOURCE_VIEW_DESC;

/* Tensor maps: 128 opaque bytes a Hopper kernel takes by value, made by cuTensorMapEncode*. CUDA
 * declares them aligned to 128 bytes, but callers keep them at any multiple of 64. */
typedef struct {
	_Alignas(128) uint64_t opaque[16];
} CUtensorMap;

typedef enum {
	CU_TENSOR_MAP_DATA_TYPE_UINT8,
	CU_TENSOR_MAP_DATA_TYPE_UINT16,
	CU_TENSOR_MAP_DATA_TYPE_UINT32,
	CU_TENSOR_MAP_DATA_TYPE_INT32,
	CU_TENSOR_MAP_DATA_TYPE_UINT64,
	CU_TENSOR_MAP_DATA_TYPE_INT64,
	CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
	CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
	CU_TENSOR_MAP_DATA_TYPE_FLOAT64,
	CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
	CU_TENSOR_MAP_DATA_TYPE_FLOAT32_FTZ,
	CU_TENSOR_MAP_DATA_TYPE_TFLOAT32,
	CU_TENSOR_MAP_DATA_TYPE_TFLOAT32_FTZ,
	CU_TENSOR_MAP_DATA_TYPE_16U4_ALIGN8B,
	CU_TENSOR_MAP_DATA_TYPE_16U4_ALIGN16B,
	CU_TENSOR_MAP_DATA_TYPE_16U6_ALIGN16B,
} CUtensorMapDataType;

typedef enum {
	CU_TENSOR_MAP_INTERLEAVE_NONE,
	CU_TENSOR_MAP_INTERLEAVE_16B,
	CU_TENSOR_MAP_INTERLEAVE_32B,
} CUtensorMapInterleave;

typedef enum {
	CU_TENSOR_MAP_SWIZZLE_NONE,
	CU_TENSOR_MAP_SWIZZLE_32B,
	CU_TENSOR_MAP_SWIZZLE_64B,
	CU_TENSOR_MAP_SWIZZLE_128B,
	CU_TENSOR_MAP_SWIZZLE_128B_ATOM_32B,
	CU_TENSOR_MAP_SWIZZLE_128B_ATOM_32B_FLIP_8B,
	CU_TENSOR_MAP_SWIZZLE_128B_ATOM_64B,
} CUtensorMapSwizzle;

typedef enum {
	CU_TENSOR_MAP_L2_PROMOTION_NONE,
	CU_TENSOR_MAP_L2_PROMOTION_L2_64B,
	CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
	CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
} CUtensorMapL2promotion;

typedef enum {
	CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE,
	CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA,
} CUtensorMapFloatOOBfill;

typedef enum {
	CU_TENSOR_MAP_IM2COL_WIDE_MODE_W,
	CU_TENSOR_MAP_IM2COL_WIDE_MODE_W128,
} CUtensorMapIm2ColWideMode;
