# needs: torch
# timeout: 120
"""torch.multiprocessing: GPU work in spawned processes, and a CUDA tensor shared between two (CUDA IPC)."""
import torch
import torch.multiprocessing as processes


def own(rank, answers):
    x = torch.arange(1000, device="cuda", dtype=torch.float64) * (rank + 1)
    answers.put((rank, x.sum().item()))


def change(inbox, done):
    tensor = inbox.get()
    tensor.mul_(2).add_(1)
    torch.cuda.synchronize()
    del tensor
    done.set()


if __name__ == "__main__":
    context = processes.get_context("spawn")
    answers = context.SimpleQueue()
    workers = [context.Process(target=own, args=(rank, answers)) for rank in range(2)]
    for worker in workers:
        worker.start()
    print(sorted(answers.get() for _ in workers))
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    inbox, done = context.Queue(), context.Event()
    shared = torch.arange(100000, device="cuda")
    worker = context.Process(target=change, args=(inbox, done))
    worker.start()
    inbox.put(shared)
    assert done.wait(60)
    worker.join()
    assert worker.exitcode == 0
    assert torch.equal(shared, torch.arange(100000, device="cuda") * 2 + 1)
    print("shared", shared.sum().item())
