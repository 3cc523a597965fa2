# needs: torch
# gpus: 2
# timeout: 120
"""Two processes with a GPU each: an all-reduce, an all-gather and a broadcast by NCCL."""
import os
import sys
import tempfile

import torch
import torch.distributed as distributed
import torch.multiprocessing as processes


def bandwidth():
    """Bytes reduced per second, the median of rounds."""
    x = torch.zeros(64 << 20, device="cuda")
    times = []
    for _ in range(11):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        distributed.all_reduce(x)
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return x.nbytes / sorted(times)[5] / 1e6


def work(rank, path):
    torch.cuda.set_device(rank)
    distributed.init_process_group("nccl", init_method=f"file://{path}", rank=rank, world_size=2)
    x = torch.arange(1 << 20, device="cuda", dtype=torch.float32) % 1000 * (rank + 1)
    distributed.all_reduce(x)
    assert torch.equal(x, torch.arange(1 << 20, device="cuda", dtype=torch.float32) % 1000 * 3)
    parts = [torch.empty(5, device="cuda") for _ in range(2)]
    distributed.all_gather(parts, torch.full((5,), float(rank), device="cuda"))
    assert parts[0].sum().item() == 0 and parts[1].sum().item() == 5
    y = torch.full((1000,), float(rank + 7), device="cuda")
    distributed.broadcast(y, 1)
    assert y.eq(8).all().item()
    distributed.barrier()
    if rank == 0:
        print(f"figure: all-reduce of 256 MiB, two processes, GB/s: {bandwidth():.1f}", file=sys.stderr)
    else:
        bandwidth()
    distributed.destroy_process_group()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        processes.spawn(work, args=(os.path.join(folder, "meet"),), nprocs=2)
    print("all-reduce, all-gather and broadcast are right")
