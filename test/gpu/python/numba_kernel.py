# needs: numba
# timeout: 120
"""Numba: kernels with shared memory and atomics, a grid that meets, streams, an array mapped into the GPU."""
import numpy

if not hasattr(numpy, "row_stack"):  # NumPy 2.4 dropped it, Numba still names it
    numpy.row_stack = numpy.vstack
from numba import cuda, float64  # noqa: E402

from shared.digest import report  # noqa: E402


@cuda.jit
def sums(values, out):
    space = cuda.shared.array(128, float64)
    me = cuda.threadIdx.x
    at = cuda.grid(1)
    space[me] = values[at] if at < values.size else 0
    cuda.syncthreads()
    half = 64
    while half:
        if me < half:
            space[me] += space[me + half]
        cuda.syncthreads()
        half //= 2
    if me == 0:
        out[cuda.blockIdx.x] = space[0]


@cuda.jit
def histogram(values, bins):
    at = cuda.grid(1)
    if at < values.size:
        cuda.atomic.add(bins, int(values[at]) % bins.size, 1)


@cuda.jit
def mirrored(rows):
    """Each row is the one before it backwards, plus 1: the threads of all blocks wait for each other."""
    grid = cuda.cg.this_grid()
    at = cuda.grid(1)
    for row in range(1, rows.shape[0]):
        rows[row, at] = rows[row - 1, rows.shape[1] - at - 1] + 1
        grid.sync()


values = numpy.arange(100000, dtype=numpy.float64) % 1013
blocks = (values.size + 127) // 128
stream = cuda.stream()
there = cuda.to_device(values, stream=stream)
partial = cuda.device_array(blocks, numpy.float64, stream=stream)
sums[blocks, 128, stream](there, partial)
out = partial.copy_to_host(stream=stream)
stream.synchronize()
assert out.sum() == values.sum()
report("block sums", out)
bins = cuda.mapped_array(64, numpy.int32)
bins[:] = 0
histogram[blocks, 128](there, bins)
cuda.synchronize()
assert numpy.array_equal(bins, numpy.bincount(values.astype(int) % 64, minlength=64))
report("histogram", numpy.array(bins))
rows = cuda.to_device(numpy.tile(numpy.arange(512, dtype=numpy.int32), (33, 1)))
mirrored[4, 128](rows)
assert numpy.array_equal(rows.copy_to_host()[32], numpy.arange(512) + 32)
report("mirrored rows", rows.copy_to_host())
