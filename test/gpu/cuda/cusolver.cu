// libs: cusolver
// timeout: 60
/* cuSOLVER: LU and Cholesky solves of systems whose answer is known, and their eigenvalues. */
#include <cmath>
#include <cusolverDn.h>

#include "check.h"

enum { N = 200 };

/* A symmetric matrix with a heavy diagonal, so that it is positive definite and well
 * conditioned. */
static std::vector<double> definite()
{
	auto a = fractions<double>(N * N, 1);
	for (int i = 0; i < N; i++) {
		for (int j = 0; j < i; j++)
			a[i * N + j] = a[j * N + i];
		a[i * N + i] = N + a[i * N + i];
	}
	return a;
}

static std::vector<double> right_side(const std::vector<double> &a)
{
	std::vector<double> b(N);
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++)
			b[i] += a[j * N + i] * (j + 1);
	return b;
}

static void expect_solution(
    const char *name, const device_array<double> &x, const device_array<int> &info)
{
	auto got = x.read();
	EXPECT(info.read()[0] == 0);
	for (int i = 0; i < N; i++)
		EXPECT(fabs(got[i] - (i + 1)) < 1e-9 * N);
	report(name, got);
}

int main()
{
	auto a = definite(), b = right_side(a);
	cusolverDnHandle_t solver;
	int need;
	device_array<int> pivots(N), info(1);
	CHECK(cusolverDnCreate(&solver));
	CHECK(cusolverDnSetDeterministicMode(solver, CUSOLVER_DETERMINISTIC_RESULTS));

	device_array<double> lu(a), x(b);
	CHECK(cusolverDnDgetrf_bufferSize(solver, N, N, lu.data, N, &need));
	device_array<double> lu_work(need + 1);
	CHECK(cusolverDnDgetrf(solver, N, N, lu.data, N, lu_work.data, pivots.data, info.data));
	CHECK(cusolverDnDgetrs(
	    solver, CUBLAS_OP_N, N, 1, lu.data, N, pivots.data, x.data, N, info.data));
	expect_solution("getrf, getrs", x, info);

	device_array<double> cholesky(a), y(b);
	CHECK(cusolverDnDpotrf_bufferSize(
	    solver, CUBLAS_FILL_MODE_LOWER, N, cholesky.data, N, &need));
	device_array<double> cholesky_work(need + 1);
	CHECK(cusolverDnDpotrf(solver, CUBLAS_FILL_MODE_LOWER, N, cholesky.data, N,
	    cholesky_work.data, need, info.data));
	CHECK(cusolverDnDpotrs(
	    solver, CUBLAS_FILL_MODE_LOWER, N, 1, cholesky.data, N, y.data, N, info.data));
	expect_solution("potrf, potrs", y, info);

	device_array<double> vectors(a), values(N);
	CHECK(cusolverDnDsyevd_bufferSize(solver, CUSOLVER_EIG_MODE_VECTOR, CUBLAS_FILL_MODE_LOWER,
	    N, vectors.data, N, values.data, &need));
	device_array<double> eigen_work(need + 1);
	CHECK(cusolverDnDsyevd(solver, CUSOLVER_EIG_MODE_VECTOR, CUBLAS_FILL_MODE_LOWER, N,
	    vectors.data, N, values.data, eigen_work.data, need, info.data));
	double trace = 0, sum = 0;
	for (int i = 0; i < N; i++)
		trace += a[i * N + i];
	for (double value : values.read())
		sum += value;
	EXPECT(info.read()[0] == 0 && fabs(trace - sum) < 1e-6);
	printf("eigenvalues sum to %.6f\n", sum);
	CHECK(cusolverDnDestroy(solver));
	return 0;
}
