// timeout: 60
/* Texture and surface objects: a 2-D array read by points, by exact halves under a linear filter,
 * and written. */
#include "check.h"

enum { WIDTH = 64, HEIGHT = 32 };

static __global__ void sample(cudaTextureObject_t texture, float offset, float *out)
{
	int x = threadIdx.x, y = blockIdx.x;
	out[y * WIDTH + x] = tex2D<float>(texture, x + offset, y + offset);
}

static __global__ void fetch(cudaTextureObject_t texture, float *out, int count)
{
	int i = blockIdx.x * blockDim.x + threadIdx.x;
	if (i < count)
		out[i] = tex1Dfetch<float>(texture, count - 1 - i);
}

static __global__ void negate(cudaSurfaceObject_t surface)
{
	float value;
	surf2Dread(&value, surface, threadIdx.x * sizeof(float), blockIdx.x);
	surf2Dwrite(-value, surface, threadIdx.x * sizeof(float), blockIdx.x);
}

static cudaTextureObject_t texture_of(cudaArray_t array, cudaTextureFilterMode filter)
{
	cudaTextureObject_t texture;
	cudaResourceDesc resource = {};
	cudaTextureDesc how = {};
	resource.resType = cudaResourceTypeArray;
	resource.res.array.array = array;
	how.addressMode[0] = how.addressMode[1] = cudaAddressModeClamp;
	how.filterMode = filter;
	how.readMode = cudaReadModeElementType;
	CHECK(cudaCreateTextureObject(&texture, &resource, &how, nullptr));
	return texture;
}

int main()
{
	auto in = whole_numbers<float>(WIDTH * HEIGHT, 1, 100);
	device_array<float> out(in.size()), linear(in);
	cudaArray_t array;
	cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
	CHECK(cudaMallocArray(&array, &format, WIDTH, HEIGHT, cudaArraySurfaceLoadStore));
	CHECK(cudaMemcpy2DToArray(array, 0, 0, in.data(), WIDTH * sizeof(float),
	    WIDTH * sizeof(float), HEIGHT, cudaMemcpyHostToDevice));

	cudaTextureObject_t points = texture_of(array, cudaFilterModePoint);
	sample<<<HEIGHT, WIDTH>>>(points, 0.25f, out.data);
	EXPECT(out.read() == in);
	report("points", out.read());

	/* At offset 1 a sample is the mean of four texels, whose weights of 1/4 are exact. */
	cudaTextureObject_t smooth = texture_of(array, cudaFilterModeLinear);
	sample<<<HEIGHT, WIDTH>>>(smooth, 1, out.data);
	auto got = out.read();
	for (int y = 0; y < HEIGHT; y++)
		for (int x = 0; x < WIDTH; x++) {
			int right = x + 1 < WIDTH ? x + 1 : x, below = y + 1 < HEIGHT ? y + 1 : y;
			EXPECT(got[y * WIDTH + x] ==
			       (in[y * WIDTH + x] + in[y * WIDTH + right] + in[below * WIDTH + x] +
				   in[below * WIDTH + right]) /
				   4);
		}
	report("means of four", got);

	cudaResourceDesc resource = {};
	cudaTextureDesc how = {};
	cudaTextureObject_t flat;
	resource.resType = cudaResourceTypeLinear;
	resource.res.linear.devPtr = linear.data;
	resource.res.linear.desc = format;
	resource.res.linear.sizeInBytes = in.size() * sizeof(float);
	how.readMode = cudaReadModeElementType;
	CHECK(cudaCreateTextureObject(&flat, &resource, &how, nullptr));
	fetch<<<HEIGHT, WIDTH>>>(flat, out.data, (int)in.size());
	EXPECT(out.read() == std::vector<float>(in.rbegin(), in.rend()));
	report("linear memory", out.read());

	cudaSurfaceObject_t surface;
	cudaResourceDesc of_array = {};
	of_array.resType = cudaResourceTypeArray;
	of_array.res.array.array = array;
	CHECK(cudaCreateSurfaceObject(&surface, &of_array));
	negate<<<HEIGHT, WIDTH>>>(surface);
	CHECK(cudaMemcpy2DFromArray(got.data(), WIDTH * sizeof(float), array, 0, 0,
	    WIDTH * sizeof(float), HEIGHT, cudaMemcpyDeviceToHost));
	for (size_t i = 0; i < in.size(); i++)
		EXPECT(got[i] == -in[i]);
	report("surface", got);

	CHECK(cudaDestroySurfaceObject(surface));
	CHECK(cudaDestroyTextureObject(flat));
	CHECK(cudaDestroyTextureObject(smooth));
	CHECK(cudaDestroyTextureObject(points));
	CHECK(cudaFreeArray(array));
	return 0;
}
