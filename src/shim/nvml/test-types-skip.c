/* Stands in for test-types.c where NVIDIA's header is not installed. */
#include "base/test.h"

TEST(every_fact_is_nvidias)
{
	SKIP("NVIDIA's nvml.h (CUDA 13) is not installed in /usr/local/cuda/include");
}
