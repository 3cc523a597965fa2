# needs: torch triton
# timeout: 280
"""A layer of a decoder, compiled: embedding, causal attention, GELU, loss, gradients, the optimizer's step.

As in torch_compiled.py nothing of PyTorch's own kernels takes part, and results are held against the CPU's.
"""
import copy
import os
import tempfile

os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp(prefix="inductor-")
os.environ["TRITON_CACHE_DIR"] = os.path.join(os.environ["TORCHINDUCTOR_CACHE_DIR"], "triton")
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
import torch  # noqa: E402
import torch._inductor.config  # noqa: E402
from torch import nn  # noqa: E402

torch._inductor.config.joint_graph_constant_folding = False  # it computes on the GPU, uncompiled
torch._inductor.config.shape_padding = False  # it measures with random numbers that are not compiled
WORDS, WIDTH, HEADS, COUNT = 50, 32, 4, 32


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.last = nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, WORDS)
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.mix, self.join = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, text, mask):
        x = self.words(text)
        batch = x.shape[0]
        q, k, v = (part.reshape(batch, COUNT, HEADS, -1).transpose(1, 2)
                   for part in self.mix(self.before(x)).chunk(3, 2))
        weights = (q @ k.transpose(2, 3) * (WIDTH // HEADS) ** -0.5 + mask).softmax(3)
        x = x + self.join((weights @ v).transpose(1, 2).reshape(batch, COUNT, WIDTH))
        return self.last(x + self.down(nn.functional.gelu(self.up(self.between(x)))))


def train(model, compiled, text, mask, one):
    """Four steps; the loss of each."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss_of = compiled(lambda x, y: nn.functional.cross_entropy(model(x, mask).reshape(-1, WORDS), y.reshape(-1)))
    step = compiled(optimizer.step)
    losses = []
    for _ in range(4):
        loss = loss_of(text[:, :-1], text[:, 1:])
        loss.backward(one)
        step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    return losses


torch.manual_seed(0)
text = torch.randint(0, WORDS, (4, COUNT + 1))
mask = torch.full((COUNT, COUNT), -1e9).triu(1)
on_cpu = Model()
on_gpu = copy.deepcopy(on_cpu).cuda()
wanted = train(on_cpu, lambda function: function, text, mask, torch.tensor(1.0))
got = train(on_gpu, torch.compile, text.cuda(), mask.cuda(), torch.tensor(1.0).cuda())
torch.testing.assert_close(torch.tensor(got), torch.tensor(wanted), rtol=1e-3, atol=1e-4)
for ours, theirs in zip(on_gpu.parameters(), on_cpu.parameters()):
    torch.testing.assert_close(ours.detach().cpu(), theirs.detach(), rtol=1e-2, atol=1e-3)
assert got[-1] < got[0]
print("four steps: losses and weights are the CPU's")
