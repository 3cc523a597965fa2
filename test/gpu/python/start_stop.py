# needs: torch
# timeout: 300
# long
# alone
"""Short PyTorch processes, ROSEN_TEST_CYCLES (20) of them in turn, leave no GPU memory and no file behind."""
import os
import subprocess
import sys

CHILD = ("import torch; x = torch.ones(1 << 20, device='cuda'); print(int(x.sum().item()));"
         "print(torch.cuda.mem_get_info()[0], flush=True)")


def left_behind():
    folders = ["/dev/shm", f"/proc/{os.getpid()}/fd"]
    return [len(os.listdir(folder)) for folder in folders]


cycles = int(os.environ.get("ROSEN_TEST_CYCLES", "20"))
free = []
for cycle in range(cycles):
    lines = subprocess.run([sys.executable, "-c", CHILD], check=True, capture_output=True,
                           text=True).stdout.split()
    assert lines[0] == str(1 << 20), lines
    free.append(int(lines[1]))
    if cycle == 0:
        before = left_behind()
assert free[-1] >= free[0] - (8 << 20), free
assert left_behind() == before, (before, left_behind())
print(cycles, "cycles left nothing behind")
