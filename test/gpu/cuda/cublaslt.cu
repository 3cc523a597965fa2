// libs: cublasLt
// timeout: 60
/* cuBLASLt: bf16 and fp8 products by the first algorithm that the heuristics name. */
#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp8.h>

#include "check.h"

enum { M = 256, N = 128, K = 64, WORKSPACE = 32 << 20 };

/* D = A^T * B, all column-major, checked against the CPU. */
template <typename T>
static void product(cublasLtHandle_t lt, cudaDataType type, int limit, const char *name)
{
	auto a = whole_numbers<T>(M * K, 1, limit), b = whole_numbers<T>(K * N, 2, limit);
	device_array<T> da(a), db(b);
	device_array<float> dc(M * N);
	device_array<char> workspace(WORKSPACE);
	cublasLtMatmulDesc_t operation;
	cublasLtMatrixLayout_t layout_a, layout_b, layout_c;
	cublasLtMatmulPreference_t preference;
	cublasLtMatmulHeuristicResult_t found[4];
	cublasOperation_t transposed = CUBLAS_OP_T, plain = CUBLAS_OP_N;
	size_t limit_bytes = WORKSPACE;
	float one = 1, zero = 0;
	int count = 0;

	CHECK(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
	CHECK(cublasLtMatmulDescSetAttribute(
	    operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof(transposed)));
	CHECK(cublasLtMatmulDescSetAttribute(
	    operation, CUBLASLT_MATMUL_DESC_TRANSB, &plain, sizeof(plain)));
	CHECK(cublasLtMatrixLayoutCreate(&layout_a, type, K, M, K));
	CHECK(cublasLtMatrixLayoutCreate(&layout_b, type, K, N, K));
	CHECK(cublasLtMatrixLayoutCreate(&layout_c, CUDA_R_32F, M, N, M));
	CHECK(cublasLtMatmulPreferenceCreate(&preference));
	CHECK(cublasLtMatmulPreferenceSetAttribute(preference,
	    CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &limit_bytes, sizeof(limit_bytes)));
	CHECK(cublasLtMatmulAlgoGetHeuristic(
	    lt, operation, layout_a, layout_b, layout_c, layout_c, preference, 4, found, &count));
	EXPECT(count > 0);
	cudaStream_t stream;
	CHECK(cudaStreamCreate(&stream));
	for (int i = 0; i < count; i++) {
		CHECK(cudaMemset(dc.data, 0xff, M * N * sizeof(float)));
		CHECK(cudaDeviceSynchronize());
		CHECK(cublasLtMatmul(lt, operation, &one, da.data, layout_a, db.data, layout_b,
		    &zero, dc.data, layout_c, dc.data, layout_c, &found[i].algo, workspace.data,
		    WORKSPACE, stream));
		EXPECT((dc.read() == matmul<T, float>(M, N, K, a, true, b)));
	}
	printf("%s: %d algorithms\n", name, count);
	report(name, dc.read());
	CHECK(cudaStreamDestroy(stream));
	CHECK(cublasLtMatmulPreferenceDestroy(preference));
	CHECK(cublasLtMatrixLayoutDestroy(layout_c));
	CHECK(cublasLtMatrixLayoutDestroy(layout_b));
	CHECK(cublasLtMatrixLayoutDestroy(layout_a));
	CHECK(cublasLtMatmulDescDestroy(operation));
}

int main()
{
	cublasLtHandle_t lt;
	cudaDeviceProp properties;
	CHECK(cudaGetDeviceProperties(&properties, 0));
	CHECK(cublasLtCreate(&lt));
	product<__nv_bfloat16>(lt, CUDA_R_16BF, 4, "bf16");
	if (properties.major * 10 + properties.minor >= 89)
		product<__nv_fp8_e4m3>(lt, CUDA_R_8F_E4M3, 2, "fp8");
	else
		printf("fp8: this GPU has none\n");
	CHECK(cublasLtDestroy(lt));
	return 0;
}
