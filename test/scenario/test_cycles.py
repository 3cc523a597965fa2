"""Programs that start and stop, many of them on one server: nothing may grow. PyTorch processes on a GPU
where both are there, else the busy client."""
import concurrent.futures
import shutil
import sys

from scenario import *

TORCH = ("import torch; x = torch.ones(1 << 20, device='cuda'); y = torch.empty(64 << 20, pin_memory=True);"
         "print(int(x.sum().item()))")
ON_GPU = BACKEND == "cuda" and subprocess.run(
    [sys.executable, "-c", "import torch"], capture_output=True).returncode == 0
CYCLES = int(os.environ.get("ROSEN_TEST_CYCLES", "200"))
TOGETHER = min(12, os.cpu_count())


def gpu_memory():
    """MiB in use on every GPU, as NVIDIA's own tool sees them from outside; 0 where there is none."""
    if not shutil.which("nvidia-smi"):
        return [0]
    rows = subprocess.run(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"],
                          capture_output=True, text=True, check=True).stdout
    return [int(row) for row in rows.split()]


class Cycles(Scenario):
    def cycle(self, server, _):
        program = [sys.executable, "-c", TORCH] if ON_GPU else [LOAD, "0.01"]
        result = run("run", "--server", server.socket, "--", *program)
        self.assertEqual(result.returncode, 0, result.stderr)
        if ON_GPU:
            self.assertEqual(result.stdout, f"{1 << 20}\n")

    def wait_until_over(self, server):
        """Until rosend has no session left: a worker's last moments with a GPU may take a second or two."""
        sessions = lambda: json.loads(run("ps", "--server", server.socket, "--json").stdout)
        wait_for(lambda: not sessions(), 10, lambda: f"the sessions end; left are {sessions()}")
        wait_for(lambda: not server.workers(), 1, "their workers are gone")

    def test_many_processes_leave_nothing_behind(self):
        server = self.server()
        self.cycle(server, 0)  # rosend keeps the images of a program it has not seen before
        self.wait_until_over(server)
        open_files, memory = descriptors(server.pid), gpu_memory()
        with concurrent.futures.ThreadPoolExecutor(TOGETHER) as pool:
            for done in [pool.submit(self.cycle, server, i) for i in range(CYCLES)]:
                done.result()
        self.wait_until_over(server)
        wait_for(lambda: descriptors(server.pid) == open_files, 2,
                 lambda: f"rosend has {open_files} descriptors open, as after one program; now {descriptors(server.pid)}")
        wait_for(lambda: gpu_memory() == memory, 5, lambda: f"GPU memory is as it was: {memory}, now {gpu_memory()}")
        server.stop()


main()
