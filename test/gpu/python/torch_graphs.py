# needs: torch
# timeout: 60
"""CUDA graphs in PyTorch: capture, replay with new inputs, a whole training step, a callable made of a module."""
from shared.digest import deterministic_torch, report, report_model

torch = deterministic_torch()
nn = torch.nn
model = nn.Sequential(nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, 64)).cuda()
place = torch.zeros(32, 128, device="cuda")
side = torch.cuda.Stream()
side.wait_stream(torch.cuda.current_stream())
with torch.cuda.stream(side), torch.no_grad():
    for _ in range(3):
        model(place)
torch.cuda.current_stream().wait_stream(side)
graph = torch.cuda.CUDAGraph()
with torch.no_grad(), torch.cuda.graph(graph):
    out = model(place)
for i in range(5):
    x = torch.randn(32, 128, device="cuda")
    place.copy_(x)
    graph.replay()
    with torch.no_grad():
        torch.testing.assert_close(out, model(x))
    report(f"replay {i}", out)

target = torch.randn(32, 64, device="cuda")
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, capturable=True)
side.wait_stream(torch.cuda.current_stream())
with torch.cuda.stream(side):
    for _ in range(3):
        optimizer.zero_grad(set_to_none=True)
        nn.functional.mse_loss(model(place), target).backward()
        optimizer.step()
torch.cuda.current_stream().wait_stream(side)
training = torch.cuda.CUDAGraph()
optimizer.zero_grad(set_to_none=True)
with torch.cuda.graph(training):
    loss = nn.functional.mse_loss(model(place), target)
    loss.backward()
    optimizer.step()
losses = []
for _ in range(50):
    training.replay()
    losses.append(loss.item())
assert losses[-1] < losses[0]
print(repr(losses[0]), repr(losses[-1]))
report_model("trained by replay", model)
torch.manual_seed(3)
noise = torch.cuda.CUDAGraph()
with torch.cuda.graph(noise):
    drawn = torch.randn(1000, device="cuda")
noise.replay()
first = drawn.clone()
noise.replay()
assert not torch.equal(first, drawn)
report("random numbers of a replay", drawn)
