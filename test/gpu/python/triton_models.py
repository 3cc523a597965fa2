# needs: torch triton
# timeout: 240
"""Triton's usual kernels for models: attention in blocks, a layer norm with its gradients, a grouped product."""
import os
import tempfile

os.environ["TRITON_CACHE_DIR"] = tempfile.mkdtemp(prefix="triton-")
import torch  # noqa: E402
import triton  # noqa: E402
import triton.language as tl  # noqa: E402


@triton.jit
def attend(q, k, v, out, scale, COUNT, D: tl.constexpr, ROWS: tl.constexpr, STEP: tl.constexpr, CAUSAL: tl.constexpr):
    """A block of rows of softmax(q k^T) v, with the maximum and the sum of each row kept as keys come by."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    d = tl.arange(0, D)
    head = tl.program_id(1) * COUNT * D
    query = tl.load(q + head + rows[:, None] * D + d[None, :])
    most = tl.full((ROWS,), -float("inf"), tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    sums = tl.zeros((ROWS, D), tl.float32)
    end = (tl.program_id(0) + 1) * ROWS if CAUSAL else COUNT
    for start in range(0, end, STEP):
        columns = start + tl.arange(0, STEP)
        keys = tl.load(k + head + columns[None, :] * D + d[:, None])
        scores = tl.dot(query, keys) * scale
        if CAUSAL:
            scores = tl.where(rows[:, None] >= columns[None, :], scores, -float("inf"))
        greatest = tl.maximum(most, tl.max(scores, 1))
        weights = tl.exp(scores - greatest[:, None])
        faded = tl.exp(most - greatest)
        total = total * faded + tl.sum(weights, 1)
        values = tl.load(v + head + columns[:, None] * D + d[None, :])
        sums = tl.dot(weights.to(values.dtype), values, sums * faded[:, None])
        most = greatest
    tl.store(out + head + rows[:, None] * D + d[None, :], (sums / total[:, None]).to(out.dtype.element_ty))


@triton.jit
def norm(x, weight, bias, out, means, scales, COUNT, EPSILON, SIZE: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, SIZE)
    inside = at < COUNT
    values = tl.load(x + row * COUNT + at, mask=inside, other=0).to(tl.float32)
    mean = tl.sum(values, 0) / COUNT
    centred = tl.where(inside, values - mean, 0)
    scale = tl.rsqrt(tl.sum(centred * centred, 0) / COUNT + EPSILON)
    tl.store(means + row, mean)
    tl.store(scales + row, scale)
    result = centred * scale * tl.load(weight + at, mask=inside) + tl.load(bias + at, mask=inside)
    tl.store(out + row * COUNT + at, result, mask=inside)


@triton.jit
def norm_back(x, weight, slope, means, scales, dx, dweight, dbias, COUNT, SIZE: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, SIZE)
    inside = at < COUNT
    dy = tl.load(slope + row * COUNT + at, mask=inside, other=0)
    scale = tl.load(scales + row)
    normed = tl.where(inside, (tl.load(x + row * COUNT + at, mask=inside, other=0) - tl.load(means + row)) * scale, 0)
    weighted = dy * tl.load(weight + at, mask=inside, other=0)
    along, shift = tl.sum(normed * weighted, 0) / COUNT, tl.sum(weighted, 0) / COUNT
    tl.store(dx + row * COUNT + at, (weighted - normed * along - shift) * scale, mask=inside)
    tl.atomic_add(dweight + at, dy * normed, mask=inside)
    tl.atomic_add(dbias + at, dy, mask=inside)


@triton.autotune(configs=[triton.Config({"M": 32, "N": 64, "K": 32, "GROUP": 4}, num_stages=3, num_warps=4),
                          triton.Config({"M": 64, "N": 32, "K": 64, "GROUP": 2}, num_stages=2, num_warps=8)],
                 key=["rows", "columns", "inner"])
@triton.jit
def product(a, b, c, rows, columns, inner, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr, GROUP: tl.constexpr):
    """Tiles in groups of rows, so that neighbours share what they read; a leaky ReLU at the end."""
    number, down, across = tl.program_id(0), tl.cdiv(rows, M), tl.cdiv(columns, N)
    first = number // (GROUP * across) * GROUP
    high = min(down - first, GROUP)
    i = first + number % (GROUP * across) % high
    j = number % (GROUP * across) // high
    at_i, at_j, at_k = (i * M + tl.arange(0, M)) % rows, (j * N + tl.arange(0, N)) % columns, tl.arange(0, K)
    sums = tl.zeros((M, N), tl.float32)
    for k in range(0, tl.cdiv(inner, K)):
        left = inner - k * K
        sums = tl.dot(tl.load(a + at_i[:, None] * inner + k * K + at_k[None, :], mask=at_k[None, :] < left, other=0),
                      tl.load(b + (k * K + at_k[:, None]) * columns + at_j[None, :], mask=at_k[:, None] < left, other=0),
                      sums)
    sums = tl.where(sums >= 0, sums, 0.01 * sums)
    to_i, to_j = i * M + tl.arange(0, M)[:, None], j * N + tl.arange(0, N)[None, :]
    tl.store(c + to_i * columns + to_j, sums.to(c.dtype.element_ty), mask=(to_i < rows) & (to_j < columns))


def empty(*shape, **options):
    return torch.empty(*shape, device="cuda", **options)


torch.manual_seed(0)
functional = torch.nn.functional
for kind, error in ((torch.float16, 5e-3), (torch.bfloat16, 4e-2)):
    for causal in (False, True):
        q, k, v = (torch.randn(3, 256, 64).to(kind) for _ in range(3))
        out = empty(3, 256, 64, dtype=kind)
        attend[(4, 3)](q.cuda(), k.cuda(), v.cuda(), out, 0.125, 256, D=64, ROWS=64, STEP=32, CAUSAL=causal)
        wanted = functional.scaled_dot_product_attention(q.float(), k.float(), v.float(), is_causal=causal)
        torch.testing.assert_close(out.cpu().float(), wanted, rtol=error, atol=error)
x, slope = torch.randn(40, 700), torch.randn(40, 700)
weight, bias = torch.randn(700), torch.randn(700)
parts = [part.clone().requires_grad_() for part in (x, weight, bias)]
wanted = functional.layer_norm(parts[0], (700,), parts[1], parts[2], 1e-5)
wanted.backward(slope)
out, means, scales, dx = empty(40, 700), empty(40), empty(40), empty(40, 700)
x, weight, bias, slope = x.cuda(), weight.cuda(), bias.cuda(), slope.cuda()
norm[(40,)](x, weight, bias, out, means, scales, 700, 1e-5, SIZE=1024)
torch.testing.assert_close(out.cpu(), wanted.detach(), rtol=1e-4, atol=1e-4)
dweight, dbias = torch.zeros(700).cuda(), torch.zeros(700).cuda()
norm_back[(40,)](x, weight, slope, means, scales, dx, dweight, dbias, 700, SIZE=1024)
for ours, part in zip((dx, dweight, dbias), parts):
    torch.testing.assert_close(ours.cpu(), part.grad, rtol=1e-3, atol=1e-3)
a, b, c = torch.randn(200, 150).half(), torch.randn(150, 176).half(), empty(200, 176, dtype=torch.float16)
product[lambda chosen: (triton.cdiv(200, chosen["M"]) * triton.cdiv(176, chosen["N"]),)](
    a.cuda(), b.cuda(), c, 200, 176, 150)
torch.testing.assert_close(c.cpu().float(), functional.leaky_relu(a.float() @ b.float()), rtol=1e-2, atol=2e-2)
print("attention, layer norm and products are right")
