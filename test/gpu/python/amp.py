# needs: torch
# timeout: 60
"""Mixed precision: float16 autocast with a gradient scaler, through an overflow, and bfloat16."""
from shared.digest import deterministic_torch, report_model

torch = deterministic_torch()
for kind in (torch.float16, torch.bfloat16):
    torch.manual_seed(2)
    model = torch.nn.Sequential(torch.nn.Linear(128, 256), torch.nn.ReLU(), torch.nn.Linear(256, 16)).cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cuda", init_scale=2.0**40, enabled=kind == torch.float16)
    x, y = torch.randn(64, 128, device="cuda"), torch.randn(64, 16, device="cuda")
    losses = []
    for _ in range(50):
        optimizer.zero_grad()
        with torch.autocast("cuda", kind):
            out = model(x)
            assert out.dtype == kind
            loss = torch.nn.functional.mse_loss(out.float(), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    if scaler.is_enabled():
        assert scaler.get_scale() < 2.0**40
    print(kind, repr(losses[-1]), scaler.get_scale())
    report_model(str(kind), model)
