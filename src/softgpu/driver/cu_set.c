/* cuMemset*: fills of rows of 1-, 2- and 4-byte elements, at once and in stream order. */
#include "softgpu/driver/copy.h"
#include "softgpu/driver/driver.h"

CUresult cuMemsetD8_v2(CUdeviceptr address, unsigned char value, size_t n)
{
	return sg_fill(NULL, address, 0, value, 1, n, 1, false);
}

CUresult cuMemsetD16_v2(CUdeviceptr address, unsigned short value, size_t n)
{
	return sg_fill(NULL, address, 0, value, 2, n, 1, false);
}

CUresult cuMemsetD32_v2(CUdeviceptr address, unsigned value, size_t n)
{
	return sg_fill(NULL, address, 0, value, 4, n, 1, false);
}

CUresult cuMemsetD2D8_v2(
    CUdeviceptr address, size_t pitch, unsigned char value, size_t width, size_t height)
{
	return sg_fill(NULL, address, pitch, value, 1, width, height, false);
}

CUresult cuMemsetD2D16_v2(
    CUdeviceptr address, size_t pitch, unsigned short value, size_t width, size_t height)
{
	return sg_fill(NULL, address, pitch, value, 2, width, height, false);
}

CUresult cuMemsetD2D32_v2(
    CUdeviceptr address, size_t pitch, unsigned value, size_t width, size_t height)
{
	return sg_fill(NULL, address, pitch, value, 4, width, height, false);
}

CUresult cuMemsetD8Async(CUdeviceptr address, unsigned char value, size_t n, CUstream stream)
{
	return sg_fill(stream, address, 0, value, 1, n, 1, true);
}

CUresult cuMemsetD16Async(CUdeviceptr address, unsigned short value, size_t n, CUstream stream)
{
	return sg_fill(stream, address, 0, value, 2, n, 1, true);
}

CUresult cuMemsetD32Async(CUdeviceptr address, unsigned value, size_t n, CUstream stream)
{
	return sg_fill(stream, address, 0, value, 4, n, 1, true);
}

CUresult cuMemsetD2D8Async(CUdeviceptr address, size_t pitch, unsigned char value, size_t width,
    size_t height, CUstream stream)
{
	return sg_fill(stream, address, pitch, value, 1, width, height, true);
}

CUresult cuMemsetD2D16Async(CUdeviceptr address, size_t pitch, unsigned short value, size_t width,
    size_t height, CUstream stream)
{
	return sg_fill(stream, address, pitch, value, 2, width, height, true);
}

CUresult cuMemsetD2D32Async(
    CUdeviceptr address, size_t pitch, unsigned value, size_t width, size_t height, CUstream stream)
{
	return sg_fill(stream, address, pitch, value, 4, width, height, true);
}
