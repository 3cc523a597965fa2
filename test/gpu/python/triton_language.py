# needs: torch triton
# timeout: 240
"""Triton's language: reductions, products of every type, scans, sorts, atomics, descriptors, autotuning, printing."""
import os
import tempfile

os.environ["TRITON_CACHE_DIR"] = tempfile.mkdtemp(prefix="triton-")
import torch  # noqa: E402
import triton  # noqa: E402
import triton.language as tl  # noqa: E402


@triton.jit
def softmax(out, x, count, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    row = tl.load(x + tl.program_id(0) * count + at, mask=at < count, other=-float("inf"))
    row = tl.exp(row - tl.max(row, 0))
    tl.store(out + tl.program_id(0) * count + at, row / tl.sum(row, 0), mask=at < count)


@triton.jit
def product(a, b, c, K, N, T: tl.constexpr):
    rows = tl.program_id(0) * T + tl.arange(0, T)
    columns = tl.program_id(1) * T + tl.arange(0, T)
    inner = tl.arange(0, T)
    sums = tl.zeros((T, T), dtype=tl.float32)
    for k in range(0, K, T):
        sums += tl.dot(tl.load(a + rows[:, None] * K + k + inner[None, :]),
                       tl.load(b + (k + inner[:, None]) * N + columns[None, :]))
    tl.store(c + rows[:, None] * N + columns[None, :], sums)


@triton.jit
def scan(sums, ordered, x, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    values = tl.load(x + at)
    tl.store(sums + at, tl.cumsum(values, 0))
    tl.store(ordered + at, tl.sort(values))


@triton.jit
def histogram(bins, x, SIZE: tl.constexpr):
    tl.atomic_add(bins + tl.load(x + tl.program_id(0) * SIZE + tl.arange(0, SIZE)), 1)


@triton.autotune(configs=[triton.Config({"SIZE": 128}), triton.Config({"SIZE": 256}, num_warps=8)], key=["count"])
@triton.jit
def twice(out, x, count, SIZE: tl.constexpr):
    at = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    tl.store(out + at, tl.load(x + at, mask=at < count) * 2, mask=at < count)


@triton.jit
def thrice(out, x, ROWS, COLUMNS, T: tl.constexpr):
    source = tl.make_tensor_descriptor(x, [ROWS, COLUMNS], [COLUMNS, 1], [T, T])
    target = tl.make_tensor_descriptor(out, [ROWS, COLUMNS], [COLUMNS, 1], [T, T])
    place = [tl.program_id(0) * T, tl.program_id(1) * T]
    target.store(place, source.load(place) * 3)


@triton.jit
def noise(out, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    tl.store(out + at, tl.rand(7, at))


@triton.jit
def say():
    tl.device_print("program", tl.program_id(0))


def empty(*shape, **options):
    return torch.empty(*shape, device="cuda", **options)


torch.manual_seed(0)
x = torch.randn(37, 300)
out = empty(37, 300)
softmax[(37,)](out, x.cuda(), 300, SIZE=512)
torch.testing.assert_close(out.cpu(), x.softmax(1))
for kind, error in ((torch.bfloat16, 1e-3), (torch.float32, 5e-2), (torch.float8_e4m3fn, 1e-2)):
    a, b, c = torch.randn(128, 128).to(kind), torch.randn(128, 128).to(kind), empty(128, 128)
    product[(4, 4)](a.cuda(), b.cuda(), c, 128, 128, T=32)
    torch.testing.assert_close(c.cpu(), a.float() @ b.float(), rtol=error, atol=10 * error)
numbers = torch.randint(0, 64, (1024,), dtype=torch.int32)
sums, ordered = empty(1024, dtype=torch.int32), empty(1024, dtype=torch.int32)
scan[(1,)](sums, ordered, numbers.cuda(), SIZE=1024)
assert torch.equal(sums.cpu(), numbers.cumsum(0).int()) and torch.equal(ordered.cpu(), numbers.sort()[0])
bins = torch.zeros(64, dtype=torch.int32).cuda()
histogram[(4,)](bins, numbers.cuda(), SIZE=256)
assert torch.equal(bins.cpu(), numbers.bincount(minlength=64).int())
x, out = torch.randn(1000), empty(1000)
twice[lambda chosen: (triton.cdiv(1000, chosen["SIZE"]),)](out, x.cuda(), 1000)
assert torch.equal(out.cpu(), x * 2)
triton.set_allocator(lambda size, alignment, stream: empty(size, dtype=torch.int8))
x, out = torch.randn(64, 64), empty(64, 64)
thrice[(2, 2)](out, x.cuda(), 64, 64, T=32)
assert torch.equal(out.cpu(), x * 3)
out = empty(1024)
noise[(1,)](out, SIZE=1024)
assert 0.45 < out.cpu().mean() < 0.55
say[(1,)]()
torch.cuda.synchronize()
print("all of Triton's language is right")
