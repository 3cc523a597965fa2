// libs: dl
// timeout: 60
/*
 * Libraries opened by hand: libcuda and several copies of libcudart beside the one linked in, all
 * of which share the primary context, found through dlopen, dlsym and cuGetProcAddress.
 */
#include <cuda.h>
#include <dlfcn.h>

#include "check.h"

typedef cudaError_t (*malloc_function)(void **, size_t);
typedef cudaError_t (*free_function)(void *);
typedef cudaError_t (*memset_function)(void *, int, size_t);
typedef CUresult (*proc_function)(
    const char *, void **, int, cuuint64_t, CUdriverProcAddressQueryResult *);
typedef CUresult (*current_function)(CUcontext *);
typedef CUresult (*count_function)(int *);

template <typename F> static F symbol(void *library, const char *name)
{
	void *found = dlsym(library, name);
	if (!found)
		fprintf(stderr, "%s\n", dlerror());
	EXPECT(found);
	return (F)found;
}

int main()
{
	void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
	EXPECT(driver);
	auto initialise = symbol<CUresult (*)(unsigned)>(driver, "cuInit");
	auto find = symbol<proc_function>(driver, "cuGetProcAddress_v2");
	auto count = symbol<count_function>(driver, "cuDeviceGetCount");
	auto current = symbol<current_function>(driver, "cuCtxGetCurrent");
	int devices, again;
	CHECK(initialise(0));
	CHECK(count(&devices));
	void *entry;
	CUdriverProcAddressQueryResult result;
	CHECK(find("cuDeviceGetCount", &entry, 12000, 0, &result));
	EXPECT(result == CU_GET_PROC_ADDRESS_SUCCESS);
	CHECK(((count_function)entry)(&again));
	EXPECT(devices == again && devices > 0);
	EXPECT(
	    find("cuNoSuchFunction", &entry, 12000, 0, &result) == CUDA_ERROR_NOT_FOUND || !entry);
	EXPECT(result == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);

	/* The linked-in runtime makes the primary context; the loaded one must find the same. */
	device_array<unsigned char> mine(1000);
	CUcontext before, after;
	CHECK(current(&before));
	EXPECT(before);
	for (int round = 0; round < 3; round++) {
		void *runtime = dlopen("libcudart.so.13", RTLD_NOW | RTLD_LOCAL);
		if (!runtime) {
			printf("skipped: no libcudart.so.13 in the library path\n");
			return 0;
		}
		void *theirs;
		CHECK(symbol<malloc_function>(runtime, "cudaMalloc")(&theirs, 4096));
		CHECK(symbol<memset_function>(runtime, "cudaMemset")(mine.data, 7 + round, 1000));
		CHECK(current(&after));
		EXPECT(before == after);
		EXPECT(mine.read() == std::vector<unsigned char>(1000, 7 + round));
		CHECK(cudaMemcpy(theirs, mine.data, 1000, cudaMemcpyDeviceToDevice));
		CHECK(symbol<free_function>(runtime, "cudaFree")(theirs));
		CHECK(dlclose(runtime));
	}
	report("bytes", mine.read());
	CHECK(dlclose(driver));
	device_array<int> alive(10);
	EXPECT(alive.read() == std::vector<int>(10));
	return 0;
}
