# needs: torch triton
# timeout: 240
"""PyTorch without a kernel of its own: a model is trained by Inductor's kernels and cuBLAS alone.

Its wheels have machine code only, so this is what of it runs on a GPU that takes PTX only. Data are made on the CPU;
loss, gradients and the optimizer's step are compiled. Results are held against the CPU's and not compared bit for bit:
Inductor chooses between kernels, which add in different orders, by how fast they were.
"""
import copy
import os
import tempfile

os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp(prefix="inductor-")
os.environ["TRITON_CACHE_DIR"] = os.path.join(os.environ["TORCHINDUCTOR_CACHE_DIR"], "triton")
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
import torch  # noqa: E402
import torch._inductor.config  # noqa: E402

torch._inductor.config.joint_graph_constant_folding = False  # it computes on the GPU, uncompiled
torch.manual_seed(0)
on_cpu = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.GELU(), torch.nn.LayerNorm(128), torch.nn.Linear(128, 10))
inputs, labels = torch.randn(256, 64), torch.randint(0, 10, (256,))


def train(model, compiled, inputs, labels, one):
    """Six steps; the loss of each."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    loss_of = compiled(lambda x, y: torch.nn.functional.cross_entropy(model(x), y))
    step = compiled(optimizer.step)
    losses = []
    for _ in range(6):
        loss = loss_of(inputs, labels)
        loss.backward(one)
        step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    return losses


on_gpu = copy.deepcopy(on_cpu).cuda()
wanted = train(on_cpu, lambda function: function, inputs, labels, torch.tensor(1.0))
got = train(on_gpu, torch.compile, inputs.cuda(), labels.cuda(), torch.tensor(1.0).cuda())
torch.testing.assert_close(torch.tensor(got), torch.tensor(wanted), rtol=1e-3, atol=1e-4)
for ours, theirs in zip(on_gpu.parameters(), on_cpu.parameters()):
    torch.testing.assert_close(ours.detach().cpu(), theirs.detach(), rtol=1e-2, atol=1e-3)
assert got[-1] < got[0]
print("six steps: losses and weights are the CPU's")
