# needs: torch triton
# timeout: 120
"""Triton kernels: a masked sum and a tiled matrix product."""
import tempfile
import os

os.environ["TRITON_CACHE_DIR"] = tempfile.mkdtemp(prefix="triton-")
import torch  # noqa: E402
import triton  # noqa: E402
import triton.language as tl  # noqa: E402

from shared.digest import report  # noqa: E402


@triton.jit
def add(x, y, out, count, SIZE: tl.constexpr):
    at = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    inside = at < count
    tl.store(out + at, tl.load(x + at, mask=inside) + tl.load(y + at, mask=inside), mask=inside)


@triton.jit
def product(a, b, c, K, N, T: tl.constexpr):
    rows = tl.program_id(0) * T + tl.arange(0, T)
    columns = tl.program_id(1) * T + tl.arange(0, T)
    inner = tl.arange(0, T)
    sums = tl.zeros((T, T), dtype=tl.float32)
    for k in range(0, K, T):
        left = tl.load(a + rows[:, None] * K + k + inner[None, :])
        right = tl.load(b + (k + inner[:, None]) * N + columns[None, :])
        sums += tl.dot(left, right)
    tl.store(c + rows[:, None] * N + columns[None, :], sums)


# All of PyTorch's own work is on the CPU: the GPU's kernels are Triton's alone.
torch.manual_seed(0)
x, y = torch.randn(100003), torch.randn(100003)
out = torch.empty_like(x, device="cuda")
add[(triton.cdiv(x.numel(), 1024),)](x.cuda(), y.cuda(), out, x.numel(), SIZE=1024)
assert torch.equal(out.cpu(), x + y)
report("add", out.cpu())
a = torch.randint(-4, 5, (256, 512)).to(torch.float16)
b = torch.randint(-4, 5, (512, 128)).to(torch.float16)
c = torch.empty(256, 128, device="cuda")
product[(4, 2)](a.cuda(), b.cuda(), c, 512, 128, T=64)
assert torch.equal(c.cpu().double(), a.double() @ b.double())
report("product", c.cpu())
