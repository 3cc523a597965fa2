// libs: cudnn
// needs: cudnn.h
// timeout: 90
/* cuDNN: a convolution forward and backward, checked against the CPU; a softmax. */
#include <cudnn.h>

#include "check.h"

enum { BATCH = 4, IN = 8, OUT = 16, SIZE = 14, WINDOW = 3 };

static size_t at(int n, int c, int y, int x, int channels)
{
	return (((size_t)n * channels + c) * SIZE + y) * SIZE + x;
}

/* Calls visit(y index, x index, w index) for every product that a convolution with padding 1
 * sums. */
template <typename F> static void each_product(F visit)
{
	for (int n = 0; n < BATCH; n++)
		for (int o = 0; o < OUT; o++)
			for (int i = 0; i < IN; i++)
				for (int p = 0; p < SIZE * SIZE; p++)
					for (int w = 0; w < WINDOW * WINDOW; w++) {
						int y = p / SIZE + w / WINDOW - 1,
						    x = p % SIZE + w % WINDOW - 1;
						if (y < 0 || x < 0 || y >= SIZE || x >= SIZE)
							continue;
						visit(at(n, o, p / SIZE, p % SIZE, OUT),
						    at(n, i, y, x, IN),
						    ((size_t)o * IN + i) * WINDOW * WINDOW + w);
					}
}

static void convolution(
    cudnnHandle_t dnn, cudnnTensorDescriptor_t of_x, cudnnTensorDescriptor_t of_y)
{
	cudnnFilterDescriptor_t of_w;
	cudnnConvolutionDescriptor_t convolve;
	CHECK(cudnnCreateFilterDescriptor(&of_w));
	CHECK(cudnnSetFilter4dDescriptor(
	    of_w, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW, OUT, IN, WINDOW, WINDOW));
	CHECK(cudnnCreateConvolutionDescriptor(&convolve));
	CHECK(cudnnSetConvolution2dDescriptor(
	    convolve, 1, 1, 1, 1, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
	CHECK(cudnnSetConvolutionMathType(convolve, CUDNN_FMA_MATH));
	auto x = whole_numbers<float>(BATCH * IN * SIZE * SIZE, 1, 3);
	auto w = whole_numbers<float>(OUT * IN * WINDOW * WINDOW, 2, 3);
	auto dy = whole_numbers<float>(BATCH * OUT * SIZE * SIZE, 3, 3);
	device_array<float> gx(x), gw(w), gdy(dy), gy(dy.size()), gdx(x.size()), gdw(w.size());
	auto forward = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM;
	auto backward_data = CUDNN_CONVOLUTION_BWD_DATA_ALGO_1;
	auto backward_filter = CUDNN_CONVOLUTION_BWD_FILTER_ALGO_1;
	size_t need[3];
	CHECK(cudnnGetConvolutionForwardWorkspaceSize(
	    dnn, of_x, of_w, convolve, of_y, forward, &need[0]));
	CHECK(cudnnGetConvolutionBackwardDataWorkspaceSize(
	    dnn, of_w, of_y, convolve, of_x, backward_data, &need[1]));
	CHECK(cudnnGetConvolutionBackwardFilterWorkspaceSize(
	    dnn, of_x, of_y, convolve, of_w, backward_filter, &need[2]));
	device_array<char> work(need[0] + need[1] + need[2] + 1);
	float one = 1, zero = 0;
	CHECK(cudnnConvolutionForward(dnn, &one, of_x, gx.data, of_w, gw.data, convolve, forward,
	    work.data, need[0], &zero, of_y, gy.data));
	CHECK(cudnnConvolutionBackwardData(dnn, &one, of_w, gw.data, of_y, gdy.data, convolve,
	    backward_data, work.data, need[1], &zero, of_x, gdx.data));
	CHECK(cudnnConvolutionBackwardFilter(dnn, &one, of_x, gx.data, of_y, gdy.data, convolve,
	    backward_filter, work.data, need[2], &zero, of_w, gdw.data));
	std::vector<float> y(dy.size()), dx(x.size()), dw(w.size());
	each_product([&](size_t out, size_t in, size_t weight) {
		y[out] += x[in] * w[weight];
		dx[in] += dy[out] * w[weight];
		dw[weight] += dy[out] * x[in];
	});
	EXPECT(gy.read() == y);
	EXPECT(gdx.read() == dx);
	EXPECT(gdw.read() == dw);
	report("forward", gy.read());
	report("backward data", gdx.read());
	report("backward filter", gdw.read());
	CHECK(cudnnDestroyConvolutionDescriptor(convolve));
	CHECK(cudnnDestroyFilterDescriptor(of_w));
}

static void softmax(cudnnHandle_t dnn, cudnnTensorDescriptor_t of_x)
{
	auto x = fractions<float>(BATCH * IN * SIZE * SIZE, 4);
	device_array<float> gx(x), gy(x.size());
	float one = 1, zero = 0;
	CHECK(cudnnSoftmaxForward(dnn, CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_MODE_INSTANCE, &one,
	    of_x, gx.data, &zero, of_x, gy.data));
	auto y = gy.read();
	for (int n = 0; n < BATCH; n++) {
		double sum = 0;
		for (int i = 0; i < IN * SIZE * SIZE; i++)
			sum += y[n * IN * SIZE * SIZE + i];
		EXPECT(sum > 0.999 && sum < 1.001);
	}
	report("softmax", y);
}

int main()
{
	cudnnHandle_t dnn;
	cudnnTensorDescriptor_t of_x, of_y;
	CHECK(cudnnCreate(&dnn));
	printf("cuDNN %zu\n", cudnnGetVersion());
	CHECK(cudnnCreateTensorDescriptor(&of_x));
	CHECK(cudnnCreateTensorDescriptor(&of_y));
	CHECK(cudnnSetTensor4dDescriptor(
	    of_x, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, BATCH, IN, SIZE, SIZE));
	CHECK(cudnnSetTensor4dDescriptor(
	    of_y, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, BATCH, OUT, SIZE, SIZE));
	convolution(dnn, of_x, of_y);
	softmax(dnn, of_x);
	CHECK(cudnnDestroyTensorDescriptor(of_y));
	CHECK(cudnnDestroyTensorDescriptor(of_x));
	CHECK(cudnnDestroy(dnn));
	return 0;
}
