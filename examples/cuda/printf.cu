/* Kernels that print, one thread a line, between lines of the program's own. */
#include <cstdio>
#include <cstdlib>

#define CHECK(call)                                                                                \
	do {                                                                                       \
		cudaError_t r = (call);                                                            \
		if (r != cudaSuccess) {                                                            \
			fprintf(stderr, "%s:%d %s: %s\n", __FILE__, __LINE__, #call,               \
			    cudaGetErrorString(r));                                                \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* One block of one thread: the order of its lines is the order of its calls. */
__global__ void count(int from, int to)
{
	for (int i = from; i < to; i++)
		printf("%d squared is %d, and %.3f is its root; %c%s %llx\n", i, i * i, sqrtf(i),
		    'a' + i % 26, i % 2 ? "odd" : "even", (unsigned long long)i << 33);
}

int main(void)
{
	for (int round = 0; round < 4; round++) {
		printf("round %d\n", round);
		count<<<1, 1>>>(round * 50, round * 50 + 50);
		CHECK(cudaGetLastError());
		CHECK(cudaDeviceSynchronize());
	}
	printf("done\n");
	return 0;
}
