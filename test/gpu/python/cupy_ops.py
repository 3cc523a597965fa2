# needs: cupy
# timeout: 120
"""CuPy: element-wise kernels, reductions, libraries, a raw kernel, streams and pools."""
import cupy
import numpy

from shared.digest import report

host = numpy.arange(10000, dtype=numpy.float64).reshape(100, 100) % 17 - 8
x = cupy.asarray(host)
assert numpy.array_equal(cupy.asnumpy(x @ x.T), host @ host.T)
report("product", cupy.asnumpy(x @ x.T))
assert float(x.sum()) == host.sum() and int(x.argmax()) == int(host.argmax())
report("sorted", cupy.asnumpy(cupy.sort(x, axis=1)))
report("element-wise", cupy.asnumpy(cupy.exp(x / 16) + cupy.sin(x)))
numpy.testing.assert_allclose(cupy.asnumpy(cupy.fft.fft2(x)), numpy.fft.fft2(host), atol=1e-8)
raw = cupy.RawKernel("""extern "C" __global__ void twice(double *x, int count)
{ int i = blockIdx.x * blockDim.x + threadIdx.x; if (i < count) x[i] *= 2; }""", "twice")
raw((40,), (256,), (x, numpy.int32(x.size)))
assert numpy.array_equal(cupy.asnumpy(x), 2 * host)
with cupy.cuda.Stream(non_blocking=True) as stream:
    y = cupy.arange(1 << 20, dtype=cupy.int64).cumsum()
    stream.synchronize()
assert int(y[-1]) == (1 << 20) * ((1 << 20) - 1) // 2
report("cumulative sums", cupy.asnumpy(y))
cupy.random.seed(3)
report("random", cupy.asnumpy(cupy.random.standard_normal(1000)))
del x, y
cupy.get_default_memory_pool().free_all_blocks()
