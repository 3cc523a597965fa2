# needs: torch
# timeout: 240
"""CUDA_LAUNCH_BLOCKING=1, which PyTorch's errors tell people to set: a failing kernel's exception comes from the
very line that launched it, whether the variable was in the environment or the program set it itself."""
import os
import subprocess
import sys

FAILING = """
import torch
x = torch.arange(8, device="cuda")
bad = torch.tensor([1, 100], device="cuda")
torch.cuda.synchronize()
y = x + 1
z = x[bad]  # here
w = y * 2
torch.cuda.synchronize()
"""
SETS_IT = 'import os\nos.environ["CUDA_LAUNCH_BLOCKING"] = "1"\n'
WRAPPER = """
import sys, traceback
lines = sys.argv[1].splitlines()
try:
    exec(compile(sys.argv[1], "program", "exec"))
except Exception as error:
    frames = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == "program"]
    print(lines[frames[-1] - 1], "|", str(error).splitlines()[0], flush=True)
else:
    print("no error", flush=True)
"""
environment = {name: value for name, value in os.environ.items() if name != "CUDA_LAUNCH_BLOCKING"}
for what, program, more in (("in the environment", FAILING, {"CUDA_LAUNCH_BLOCKING": "1"}),
                            ("set by the program", SETS_IT + FAILING, {})):
    done = subprocess.run([sys.executable, "-c", WRAPPER, program], capture_output=True, text=True,
                          env={**environment, **more}, timeout=100)
    said = done.stdout.strip()
    print(what, said)
    if not said.startswith("z = x[bad]  # here | CUDA error: device-side assert triggered"):
        sys.exit(f"{done.stdout}\n{done.stderr}")
