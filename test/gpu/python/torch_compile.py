# needs: torch triton
# timeout: 240
"""torch.compile: forward and backward by Inductor, near to eager and the same bits both ways."""
import os
import tempfile

os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp(prefix="inductor-")
os.environ["TRITON_CACHE_DIR"] = os.path.join(os.environ["TORCHINDUCTOR_CACHE_DIR"], "triton")
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
from shared.digest import deterministic_torch, report  # noqa: E402

torch = deterministic_torch()
layer = torch.nn.Linear(64, 64).cuda()


def work(x):
    y = torch.nn.functional.gelu(layer(x)) * torch.sigmoid(x)
    return torch.softmax(y + x.mean(1, keepdim=True), 1)


compiled = torch.compile(work)
x = torch.randn(128, 64, device="cuda", requires_grad=True)
got, wanted = compiled(x), work(x)
torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
weights = torch.randn_like(got)
(of_compiled,) = torch.autograd.grad((got * weights).sum(), x)
(of_eager,) = torch.autograd.grad((wanted * weights).sum(), x)
torch.testing.assert_close(of_compiled, of_eager, rtol=1e-4, atol=1e-5)
report("compiled", got)
report("gradient", of_compiled)
