// libs: curand
// timeout: 60
/* cuRAND: every family of generator through the host API, seeded; the host's generator agrees with
 * the GPU's. */
#include <cmath>
#include <curand.h>

#include "check.h"

enum { COUNT = 1 << 18 };

static void pseudo(curandRngType_t type, const char *name)
{
	curandGenerator_t generator;
	device_array<float> uniform(COUNT), normal(COUNT);
	CHECK(curandCreateGenerator(&generator, type));
	CHECK(curandSetPseudoRandomGeneratorSeed(generator, 20240229ull));
	CHECK(curandGenerateUniform(generator, uniform.data, COUNT));
	CHECK(curandGenerateNormal(generator, normal.data, COUNT, 3, 2));
	double sum = 0, normal_sum = 0;
	for (float value : uniform.read()) {
		EXPECT(value > 0 && value <= 1);
		sum += value;
	}
	for (float value : normal.read())
		normal_sum += value;
	EXPECT(fabs(sum / COUNT - 0.5) < 0.01);
	EXPECT(fabs(normal_sum / COUNT - 3) < 0.05);
	printf("%s\n", name);
	report("  uniform", uniform.read());
	report("  normal", normal.read());
	CHECK(curandDestroyGenerator(generator));
}

static void quasi()
{
	curandGenerator_t generator;
	device_array<unsigned> numbers(COUNT);
	CHECK(curandCreateGenerator(&generator, CURAND_RNG_QUASI_SOBOL32));
	CHECK(curandSetQuasiRandomGeneratorDimensions(generator, 8));
	CHECK(curandGenerate(generator, numbers.data, COUNT));
	report("Sobol", numbers.read());
	CHECK(curandDestroyGenerator(generator));
}

static void host_agrees()
{
	curandGenerator_t device, host;
	device_array<unsigned> numbers(COUNT);
	std::vector<unsigned> expected(COUNT);
	CHECK(curandCreateGenerator(&device, CURAND_RNG_PSEUDO_PHILOX4_32_10));
	CHECK(curandCreateGeneratorHost(&host, CURAND_RNG_PSEUDO_PHILOX4_32_10));
	CHECK(curandSetPseudoRandomGeneratorSeed(device, 7));
	CHECK(curandSetPseudoRandomGeneratorSeed(host, 7));
	CHECK(curandGenerate(device, numbers.data, COUNT));
	CHECK(curandGenerate(host, expected.data(), COUNT));
	EXPECT(numbers.read() == expected);
	CHECK(curandDestroyGenerator(device));
	CHECK(curandDestroyGenerator(host));
}

int main()
{
	pseudo(CURAND_RNG_PSEUDO_XORWOW, "XORWOW");
	pseudo(CURAND_RNG_PSEUDO_PHILOX4_32_10, "Philox");
	pseudo(CURAND_RNG_PSEUDO_MRG32K3A, "MRG32k3a");
	pseudo(CURAND_RNG_PSEUDO_MTGP32, "MTGP32");
	quasi();
	host_agrees();
	return 0;
}
