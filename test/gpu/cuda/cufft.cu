// libs: cufft
// timeout: 60
/* cuFFT: 1-D, 2-D and real transforms, there and back. */
#include <cmath>
#include <cufft.h>

#include "check.h"

static void expect_scaled(
    const std::vector<float> &got, const std::vector<float> &wanted, float scale)
{
	for (size_t i = 0; i < got.size(); i++)
		EXPECT(fabsf(got[i] / scale - wanted[i]) < 1e-4f);
}

static void complex_both_ways(cufftHandle plan, int points, int transform, const char *name)
{
	auto in = fractions<float>(2 * points, 1);
	device_array<float> data(in);
	CHECK(cufftExecC2C(
	    plan, (cufftComplex *)data.data, (cufftComplex *)data.data, CUFFT_FORWARD));
	report(name, data.read());
	CHECK(cufftExecC2C(
	    plan, (cufftComplex *)data.data, (cufftComplex *)data.data, CUFFT_INVERSE));
	expect_scaled(data.read(), in, (float)transform);
	CHECK(cufftDestroy(plan));
}

static void impulse()
{
	enum { POINTS = 4096 };
	std::vector<float> in(2 * POINTS);
	in[0] = 1;
	device_array<float> data(in);
	cufftHandle plan;
	CHECK(cufftPlan1d(&plan, POINTS, CUFFT_C2C, 1));
	CHECK(cufftExecC2C(
	    plan, (cufftComplex *)data.data, (cufftComplex *)data.data, CUFFT_FORWARD));
	auto out = data.read();
	for (int i = 0; i < POINTS; i++)
		EXPECT(out[2 * i] == 1 && out[2 * i + 1] == 0);
	CHECK(cufftDestroy(plan));
}

static void real_both_ways()
{
	enum { POINTS = 6000, BATCH = 3 };
	auto in = fractions<float>(POINTS * BATCH, 2);
	device_array<float> data(in), back(in.size());
	device_array<cufftComplex> spectrum((POINTS / 2 + 1) * BATCH);
	cufftHandle forward, inverse;
	cudaStream_t stream;
	CHECK(cudaStreamCreate(&stream));
	CHECK(cudaDeviceSynchronize());
	CHECK(cufftPlan1d(&forward, POINTS, CUFFT_R2C, BATCH));
	CHECK(cufftPlan1d(&inverse, POINTS, CUFFT_C2R, BATCH));
	CHECK(cufftSetStream(forward, stream));
	CHECK(cufftSetStream(inverse, stream));
	CHECK(cufftExecR2C(forward, data.data, spectrum.data));
	report("R2C", spectrum.read());
	CHECK(cufftExecC2R(inverse, spectrum.data, back.data));
	expect_scaled(back.read(), in, POINTS);
	CHECK(cufftDestroy(forward));
	CHECK(cufftDestroy(inverse));
	CHECK(cudaStreamDestroy(stream));
}

int main()
{
	cufftHandle plan;
	CHECK(cufftPlan1d(&plan, 1024, CUFFT_C2C, 4));
	complex_both_ways(plan, 4 * 1024, 1024, "1-D, four of 1024");
	CHECK(cufftPlan1d(&plan, 1009, CUFFT_C2C, 1));
	complex_both_ways(plan, 1009, 1009, "1-D, a prime length");
	CHECK(cufftPlan2d(&plan, 96, 160, CUFFT_C2C));
	complex_both_ways(plan, 96 * 160, 96 * 160, "2-D");
	impulse();
	real_both_ways();
	return 0;
}
