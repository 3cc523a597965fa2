# needs: pynvml
# alone
# timeout: 30
"""NVML by its Python binding: what a program is told of its GPU agrees with itself and is steady."""
import pynvml

pynvml.nvmlInit()
count = pynvml.nvmlDeviceGetCount()
assert count >= 1
for index in range(count):
    device = pynvml.nvmlDeviceGetHandleByIndex(index)
    name, uuid = pynvml.nvmlDeviceGetName(device), pynvml.nvmlDeviceGetUUID(device)
    memory = pynvml.nvmlDeviceGetMemoryInfo(device)
    assert uuid.startswith("GPU-") and pynvml.nvmlDeviceGetIndex(device) == index
    assert 0 < memory.total and memory.used <= memory.total and memory.free <= memory.total
    assert 0 <= pynvml.nvmlDeviceGetUtilizationRates(device).gpu <= 100
    print(index, name, *pynvml.nvmlDeviceGetCudaComputeCapability(device))
try:
    pynvml.nvmlDeviceGetHandleByIndex(count)
    raise SystemExit("a device beyond the last was given")
except pynvml.NVMLError as error:
    print(error)
pynvml.nvmlShutdown()
