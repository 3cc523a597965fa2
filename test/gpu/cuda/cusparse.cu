// libs: cusparse
// timeout: 60
/* cuSPARSE: a CSR matrix times a vector and times a matrix, checked against the CPU. */
#include <cusparse.h>

#include "check.h"

enum { ROWS = 1000, COLUMNS = 800, WIDTH = 16 };

struct csr {
	std::vector<int> starts, columns;
	std::vector<float> values;
};

static csr random_matrix()
{
	csr matrix;
	auto steps = whole_numbers<float>(ROWS * COLUMNS, 1, 20);
	size_t step = 0;
	matrix.starts.push_back(0);
	for (int row = 0; row < ROWS; row++) {
		for (int column = 0; column < COLUMNS; column += 21 + (int)steps[step++])
			matrix.columns.push_back(column);
		matrix.starts.push_back((int)matrix.columns.size());
	}
	matrix.values = whole_numbers<float>(matrix.columns.size(), 2, 4);
	return matrix;
}

static std::vector<float> product(const csr &matrix, const std::vector<float> &b, int width)
{
	std::vector<float> c((size_t)ROWS * width);
	for (int j = 0; j < width; j++)
		for (int row = 0; row < ROWS; row++)
			for (int i = matrix.starts[row]; i < matrix.starts[row + 1]; i++)
				c[j * ROWS + row] +=
				    matrix.values[i] * b[j * COLUMNS + matrix.columns[i]];
	return c;
}

int main()
{
	csr matrix = random_matrix();
	auto b = whole_numbers<float>(COLUMNS * WIDTH, 3, 4);
	device_array<int> starts(matrix.starts), columns(matrix.columns);
	device_array<float> values(matrix.values), gb(b), gx(ROWS), gc(ROWS * WIDTH);
	cusparseHandle_t sparse;
	cusparseSpMatDescr_t of_a;
	cusparseDnVecDescr_t of_x, of_y;
	cusparseDnMatDescr_t of_b, of_c;
	float one = 1, zero = 0;
	size_t need;
	CHECK(cusparseCreate(&sparse));
	CHECK(cusparseCreateCsr(&of_a, ROWS, COLUMNS, matrix.values.size(), starts.data,
	    columns.data, values.data, CUSPARSE_INDEX_32I, CUSPARSE_INDEX_32I,
	    CUSPARSE_INDEX_BASE_ZERO, CUDA_R_32F));
	CHECK(cusparseCreateDnVec(&of_x, COLUMNS, gb.data, CUDA_R_32F));
	CHECK(cusparseCreateDnVec(&of_y, ROWS, gx.data, CUDA_R_32F));
	CHECK(cusparseCreateDnMat(
	    &of_b, COLUMNS, WIDTH, COLUMNS, gb.data, CUDA_R_32F, CUSPARSE_ORDER_COL));
	CHECK(
	    cusparseCreateDnMat(&of_c, ROWS, WIDTH, ROWS, gc.data, CUDA_R_32F, CUSPARSE_ORDER_COL));

	auto plain = CUSPARSE_OPERATION_NON_TRANSPOSE;
	CHECK(cusparseSpMV_bufferSize(sparse, plain, &one, of_a, of_x, &zero, of_y, CUDA_R_32F,
	    CUSPARSE_SPMV_CSR_ALG2, &need));
	device_array<char> vector_work(need + 1);
	CHECK(cusparseSpMV(sparse, plain, &one, of_a, of_x, &zero, of_y, CUDA_R_32F,
	    CUSPARSE_SPMV_CSR_ALG2, vector_work.data));
	EXPECT(gx.read() == product(matrix, b, 1));
	report("SpMV", gx.read());

	CHECK(cusparseSpMM_bufferSize(sparse, plain, plain, &one, of_a, of_b, &zero, of_c,
	    CUDA_R_32F, CUSPARSE_SPMM_CSR_ALG2, &need));
	device_array<char> matrix_work(need + 1);
	CHECK(cusparseSpMM(sparse, plain, plain, &one, of_a, of_b, &zero, of_c, CUDA_R_32F,
	    CUSPARSE_SPMM_CSR_ALG2, matrix_work.data));
	EXPECT(gc.read() == product(matrix, b, WIDTH));
	report("SpMM", gc.read());

	CHECK(cusparseDestroyDnMat(of_c));
	CHECK(cusparseDestroyDnMat(of_b));
	CHECK(cusparseDestroyDnVec(of_y));
	CHECK(cusparseDestroyDnVec(of_x));
	CHECK(cusparseDestroySpMat(of_a));
	CHECK(cusparseDestroy(sparse));
	return 0;
}
