# needs: torch
# gpus: 2
# timeout: 120
"""Two processes with a GPU each: an all-reduce, an all-gather and a broadcast by NCCL."""
import os
import tempfile

import torch
import torch.distributed as distributed
import torch.multiprocessing as processes


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
    distributed.destroy_process_group()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        processes.spawn(work, args=(os.path.join(folder, "meet"),), nprocs=2)
    print("all-reduce, all-gather and broadcast are right")
