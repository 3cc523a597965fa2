# needs: torch
# timeout: 120
"""Short trainings of several kinds of model: losses and final weights must be the same bits."""
from shared.digest import deterministic_torch, report_model

torch = deterministic_torch()
nn = torch.nn


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.core = nn.GRU(24, 48, 2, batch_first=True)
        self.head = nn.Linear(48, 10)

    def forward(self, x):
        return self.head(self.core(x)[0][:, -1])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.1, batch_first=True)
        self.core = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(self.core(x).mean(1))


def mlp():
    return nn.Sequential(nn.Linear(100, 256), nn.GELU(), nn.LayerNorm(256), nn.Dropout(0.2),
                         nn.Linear(256, 10))


def convolutional():
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.AvgPool2d(2),
                         nn.Conv2d(16, 32, 3, padding=1, groups=2), nn.ReLU(), nn.Flatten(),
                         nn.Linear(32 * 64, 10))


def train(name, make, shape, optimizer, bf16=False, steps=20):
    torch.manual_seed(7)
    model = make().cuda()
    x, y = torch.randn(64, *shape).cuda(), torch.randint(0, 10, (64,)).cuda()
    step = optimizer(model.parameters())
    losses = []
    for _ in range(steps):
        with torch.autocast("cuda", torch.bfloat16, enabled=bf16):
            loss = nn.functional.cross_entropy(model(x), y)
        step.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        step.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0], (name, losses)
    print(name, repr(losses[0]), repr(losses[-1]))
    report_model(name, model)


def adam(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3)


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.02, momentum=0.9, nesterov=True)


def fused(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, fused=True)


train("mlp, AdamW", mlp, (100,), adam)
train("mlp, fused AdamW, bf16", mlp, (100,), fused, bf16=True)
train("convolutions, SGD", convolutional, (3, 16, 16), sgd)
train("convolutions, bf16", convolutional, (3, 16, 16), adam, bf16=True)
train("recurrent", Recurrent, (20, 24), adam)
train("encoder", Encoder, (16, 64), adam)
train("encoder, bf16", Encoder, (16, 64), fused, bf16=True)
