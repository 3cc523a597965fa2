// libs: cublas
// timeout: 60
/* cuBLAS: matrix products in three types, batched both ways, and reductions with host and device
 * results. */
#include <cmath>
#include <cublas_v2.h>
#include <cuda_bf16.h>

#include "check.h"

enum { M = 67, N = 45, K = 130, BATCH = 7 };

static void single_and_double(cublasHandle_t blas)
{
	auto a = whole_numbers<float>(M * K, 1, 4), b = whole_numbers<float>(K * N, 2, 4);
	device_array<float> da(a), db(b), dc(M * N);
	float one = 1, zero = 0;
	CHECK(cublasSgemm(blas, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, &one, da.data, M, db.data, K,
	    &zero, dc.data, M));
	EXPECT((dc.read() == matmul<float, float>(M, N, K, a, false, b)));
	report("sgemm", dc.read());

	auto p = whole_numbers<double>(M * K, 3, 4), q = whole_numbers<double>(K * N, 4, 4);
	device_array<double> dp(p), dq(q), dr(M * N);
	double done = 1, dzero = 0;
	CHECK(cublasDgemm(blas, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, &done, dp.data, M, dq.data, K,
	    &dzero, dr.data, M));
	EXPECT((dr.read() == matmul<double, double>(M, N, K, p, false, q)));
	report("dgemm", dr.read());
}

static void bf16(cublasHandle_t blas)
{
	enum { S = 128 };
	auto a = whole_numbers<__nv_bfloat16>(S * S, 5, 4),
	     b = whole_numbers<__nv_bfloat16>(S * S, 6, 4);
	device_array<__nv_bfloat16> da(a), db(b);
	device_array<float> dc(S * S);
	float one = 1, zero = 0;
	CHECK(cublasGemmEx(blas, CUBLAS_OP_T, CUBLAS_OP_N, S, S, S, &one, da.data, CUDA_R_16BF, S,
	    db.data, CUDA_R_16BF, S, &zero, dc.data, CUDA_R_32F, S, CUBLAS_COMPUTE_32F,
	    CUBLAS_GEMM_DEFAULT));
	EXPECT((dc.read() == matmul<__nv_bfloat16, float>(S, S, S, a, true, b)));
	report("gemmEx bf16", dc.read());
}

static void batched(cublasHandle_t blas)
{
	auto a = whole_numbers<float>(BATCH * M * K, 7, 3),
	     b = whole_numbers<float>(BATCH * K * N, 8, 3);
	device_array<float> da(a), db(b), strided(BATCH * M * N), pointed(BATCH * M * N);
	float one = 1, zero = 0;
	CHECK(cublasSgemmStridedBatched(blas, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, &one, da.data, M,
	    M * K, db.data, K, K * N, &zero, strided.data, M, M * N, BATCH));
	std::vector<float *> pa, pb, pc;
	for (int i = 0; i < BATCH; i++) {
		pa.push_back(da.data + i * M * K);
		pb.push_back(db.data + i * K * N);
		pc.push_back(pointed.data + i * M * N);
	}
	device_array<float *> dpa(pa), dpb(pb), dpc(pc);
	CHECK(cublasSgemmBatched(blas, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, &one, dpa.data, M,
	    dpb.data, K, &zero, dpc.data, M, BATCH));
	EXPECT(strided.read() == pointed.read());
	for (int i = 0; i < BATCH; i++) {
		std::vector<float> ai(a.begin() + i * M * K, a.begin() + (i + 1) * M * K);
		std::vector<float> bi(b.begin() + i * K * N, b.begin() + (i + 1) * K * N);
		auto all = strided.read();
		std::vector<float> ci(all.begin() + i * M * N, all.begin() + (i + 1) * M * N);
		EXPECT((ci == matmul<float, float>(M, N, K, ai, false, bi)));
	}
	report("batched", strided.read());
}

static void reductions(cublasHandle_t blas)
{
	enum { LENGTH = 100003 };
	auto x = whole_numbers<float>(LENGTH, 9, 4);
	x[777] = -9;
	device_array<float> dx(x), device_result(1);
	float host_dot, host_norm;
	int index;
	double expected = 0;
	for (float value : x)
		expected += value * value;
	CHECK(cublasSdot(blas, LENGTH, dx.data, 1, dx.data, 1, &host_dot));
	EXPECT(host_dot == (float)expected);
	CHECK(cublasSetPointerMode(blas, CUBLAS_POINTER_MODE_DEVICE));
	CHECK(cublasSdot(blas, LENGTH, dx.data, 1, dx.data, 1, device_result.data));
	EXPECT(device_result.read()[0] == host_dot);
	CHECK(cublasSetPointerMode(blas, CUBLAS_POINTER_MODE_HOST));
	CHECK(cublasSnrm2(blas, LENGTH, dx.data, 1, &host_norm));
	EXPECT(fabs(host_norm - sqrt(expected)) < 1e-3 * sqrt(expected));
	CHECK(cublasIsamax(blas, LENGTH, dx.data, 1, &index));
	EXPECT(index == 778);
	printf("dot %.9g norm %.9g amax %d\n", host_dot, host_norm, index);
}

static void fractional(cublasHandle_t blas)
{
	enum { S = 1024 };
	device_array<float> a(fractions<float>(S * S, 10)), b(fractions<float>(S * S, 11)),
	    c(S * S);
	float alpha = 0.75f, beta = 0.5f;
	for (int i = 0; i < 5; i++)
		CHECK(cublasSgemm(blas, CUBLAS_OP_T, CUBLAS_OP_N, S, S, S, &alpha, a.data, S,
		    b.data, S, &beta, c.data, S));
	report("sgemm of fractions", c.read());
}

int main()
{
	cublasHandle_t blas;
	int version;
	CHECK(cublasCreate(&blas));
	CHECK(cublasGetVersion(blas, &version));
	printf("cuBLAS %d\n", version);
	single_and_double(blas);
	bf16(blas);
	batched(blas);
	reductions(blas);
	fractional(blas);
	CHECK(cublasDestroy(blas));
	return 0;
}
