# needs: torch
# timeout: 60
"""A training interrupted by save and load goes on exactly as one that was not."""
import os
import tempfile

from shared.digest import deterministic_torch, report_model

torch = deterministic_torch()


def make():
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.Dropout(0.3), torch.nn.Linear(128, 8)).cuda()
    return model, torch.optim.Adam(model.parameters())


def steps(model, optimizer, count):
    for _ in range(count):
        optimizer.zero_grad()
        model(torch.randn(32, 64, device="cuda")).square().mean().backward()
        optimizer.step()


whole, optimizer = make()
steps(whole, optimizer, 20)
first, optimizer = make()
steps(first, optimizer, 10)
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "checkpoint.pt")
    torch.save({"model": first.state_dict(), "optimizer": optimizer.state_dict(),
                "random": torch.cuda.get_rng_state()}, path)
    second, optimizer = make()
    saved = torch.load(path, map_location="cuda")
second.load_state_dict(saved["model"])
optimizer.load_state_dict(saved["optimizer"])
torch.cuda.set_rng_state(saved["random"].cpu())
steps(second, optimizer, 10)
for name, value in whole.state_dict().items():
    assert torch.equal(value, second.state_dict()[name]), name
report_model("resumed", second)
