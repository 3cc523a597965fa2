/* Stands in for test-cuda-types.c where NVIDIA's header is not installed. */
#include "base/test.h"

TEST(every_fact_is_nvidias)
{
	SKIP("NVIDIA's cuda.h (CUDA 13.0) is not installed in /usr/local/cuda/include");
}
