#!/usr/bin/env python3
"""The nine PyTorch workloads of bench/gpu/run. Knows nothing of Rosen.

Takes orders on standard input, so that one process natively and one through Rosen can take turns:

  first          answers the milliseconds that the first tensor on the GPU took
  rows           answers a line "unit<TAB>name" for each workload, then an empty line
  prepare NAME   builds it and runs it until it is warm; answers "ok"
  measure NAME   answers one repetition's value, of about --seconds
  drop NAME      frees it; answers "ok"

What fails answers "error<TAB>why". With --cpu everything is small and on the CPU: that tries the program.
"""
import argparse
import gc
import os
import sys
import time

# Answers go to what was standard output; whatever a library prints goes to standard error.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--cpu", action="store_true")
parser.add_argument("--seconds", type=float, default=0.4)
options = parser.parse_args()
device = "cpu" if options.cpu else "cuda"
WARM_SECONDS = 0.05 if options.cpu else 0.5


def size(real, tiny):
    return tiny if options.cpu else real


def synchronise():
    if not options.cpu:
        torch.cuda.synchronize()


def low_precision():
    return torch.autocast(device_type=device, dtype=torch.bfloat16)


def host_memory(tensor):
    return tensor if options.cpu else tensor.pin_memory()


# --- a small network, whose step is nothing but launches ---

def train_mlp(read_loss):
    model = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(),
                          nn.Linear(256, 10)).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    inputs = torch.randn(64, 256, device=device)
    labels = torch.randint(10, (64,), device=device)

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(inputs), labels)
        loss.backward()
        optimiser.step()
        return loss.item() if read_loss else None

    return step


# --- ResNet-50 (He et al. 2015; stride in the 3 x 3 convolution) ---

class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        outer = 4 * width
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, outer, 1, bias=False), nn.BatchNorm2d(outer))
        same = stride == 1 and channels == outer
        self.shortcut = nn.Identity() if same else nn.Sequential(
            nn.Conv2d(channels, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


def resnet50():
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
              nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            layers.append(Bottleneck(channels, width, 1 if block else stride))
            channels = 4 * width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000)]
    return nn.Sequential(*layers).to(device, memory_format=torch.channels_last)


def images(batch):
    edge = size(224, 64)
    return torch.randn(batch, 3, edge, edge).contiguous(memory_format=torch.channels_last)


def train_resnet():
    batch = size(64, 2)
    model = resnet50()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    pictures = host_memory(images(batch))
    labels = host_memory(torch.randint(1000, (batch,)))

    def step():
        x = pictures.to(device, non_blocking=True)
        y = labels.to(device, non_blocking=True)
        optimiser.zero_grad(set_to_none=True)
        with low_precision():
            loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimiser.step()

    return step


def infer_resnet():
    model = resnet50().eval()
    picture = images(1).to(device)

    def step():
        with torch.inference_mode():
            return model(picture)[0, 0].item()

    return step


# --- GPT-2, 124 million parameters (Radford et al. 2019) ---

class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def attend(self, x):
        batch, tokens, width = x.shape
        q, k, v = (part.view(batch, tokens, self.heads, -1).transpose(1, 2)
                   for part in self.qkv(x).split(width, dim=2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.projection(mixed.transpose(1, 2).reshape(batch, tokens, width))

    def forward(self, x):
        x = x + self.attend(self.before_attention(x))
        return x + self.mlp(self.before_mlp(x))


class GPT2(nn.Module):
    def __init__(self):
        super().__init__()
        width, self.words, self.longest = size(768, 64), size(50304, 512), 1024
        self.word = nn.Embedding(self.words, width)
        self.place = nn.Embedding(self.longest, width)
        self.blocks = nn.Sequential(*(Block(width, size(12, 4)) for _ in range(size(12, 2))))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, self.words, bias=False)
        self.head.weight = self.word.weight
        nn.init.normal_(self.word.weight, std=0.02)

    def forward(self, tokens):
        places = torch.arange(tokens.shape[1], device=tokens.device)
        return self.head(self.norm(self.blocks(self.word(tokens) + self.place(places))))


def text(model, batch, tokens):
    return torch.randint(model.words, (batch, tokens), device=device)


def train_gpt2():
    model = GPT2().to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, **({} if options.cpu else {"fused": True}))
    tokens = text(model, size(8, 2), size(512, 16) + 1)

    def step():
        optimiser.zero_grad(set_to_none=True)
        with low_precision():
            guesses = model(tokens[:, :-1])
            loss = F.cross_entropy(guesses.flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def infer_gpt2():
    model = GPT2().to(device).bfloat16().eval()
    tokens = text(model, 1, size(128, 16))

    def step():
        with torch.inference_mode():
            return model(tokens)[0, -1].argmax().item()

    return step


def infer_gpt2_graph():
    model = GPT2().to(device).bfloat16().eval()
    tokens = text(model, 1, size(128, 16))
    graph, side = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    with torch.inference_mode():
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                model(tokens)
        torch.cuda.current_stream().wait_stream(side)
        with torch.cuda.graph(graph):
            guesses = model(tokens)

    def step():
        graph.replay()
        return guesses[0, -1].argmax().item()

    return step


# --- the rest ---

def infer_compiled():
    model = nn.Sequential(nn.Linear(512, 2048), nn.GELU(), nn.Linear(2048, 512), nn.LayerNorm(512))
    compiled = torch.compile(model.to(device).eval())
    inputs = torch.randn(64, 512, device=device)

    def step():
        with torch.inference_mode():
            return compiled(inputs)

    return step


COPY_BYTES = size(64 << 20, 1 << 20)


def copy_pinned():
    host = host_memory(torch.empty(COPY_BYTES, dtype=torch.uint8))
    there = torch.empty(COPY_BYTES, dtype=torch.uint8, device=device)

    def step():
        there.copy_(host, non_blocking=True)
        host.copy_(there, non_blocking=True)

    return step


WORKLOADS = {  # name: (unit, how to make its step)
    "MLP training step": ("ms", lambda: train_mlp(False)),
    "MLP training step with .item()": ("ms", lambda: train_mlp(True)),
    "ResNet-50 training, batch 64, bf16": ("ms", train_resnet),
    "ResNet-50 inference, batch 1": ("ms", infer_resnet),
    "GPT-2 124M training, 8 x 512": ("ms", train_gpt2),
    "GPT-2 inference, batch 1, eager": ("ms", infer_gpt2),
    "GPT-2 inference, CUDA graph": ("ms", infer_gpt2_graph),
    "pinned copies, 64 MiB": ("GB/s", copy_pinned),
    "torch.compile MLP": ("ms", infer_compiled),
}


def run_for(step, n):
    """Seconds an iteration took, of n in one go."""
    synchronise()
    start = time.perf_counter()
    for _ in range(n):
        step()
    synchronise()
    return (time.perf_counter() - start) / n


prepared = {}  # name: (step, iterations of a repetition)


def prepare(name):
    torch.manual_seed(0)
    step = WORKLOADS[name][1]()
    for _ in range(3):
        step()
    each, end = run_for(step, 1), time.perf_counter() + WARM_SECONDS
    while time.perf_counter() < end:
        each = run_for(step, max(1, int(0.1 / each)))
    prepared[name] = step, max(3, int(options.seconds / each))
    return "ok"


def measure(name):
    step, n = prepared[name]
    each = run_for(step, n)
    return f"{2 * COPY_BYTES / each / 1e9:.4f}" if WORKLOADS[name][0] == "GB/s" else f"{each * 1e3:.5f}"


def drop(name):
    prepared.pop(name, None)
    gc.collect()
    if not options.cpu:
        torch.cuda.empty_cache()
    return "ok"


def first(_):
    start = time.perf_counter()
    torch.ones(1, device=device)
    synchronise()
    return f"{(time.perf_counter() - start) * 1e3:.3f}"


def rows(_):
    return "".join(f"{unit}\t{name}\n" for name, (unit, _) in WORKLOADS.items())


def main():
    orders = {"first": first, "rows": rows, "prepare": prepare, "measure": measure, "drop": drop}
    for line in sys.stdin:
        order, _, name = line.rstrip("\n").partition(" ")
        try:
            answer = orders[order](name)
        except Exception as error:  # one workload that cannot run must not take the others along
            answer = "error\t" + " ".join(f"{type(error).__name__}: {error}".split())[:500]
        print(answer, file=answers)
    # A framework that is torn down slowly would be waited for.
    os._exit(0)


main()
