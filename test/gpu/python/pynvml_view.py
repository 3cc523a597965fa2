# needs: pynvml
# alone
# timeout: 30
"""NVML by its Python binding: what a program is told of its GPU agrees with itself and is steady."""
import pynvml

pynvml.nvmlInit()


def fact(name, *arguments):
    """What the hardware is, the same at any time; or why it is not told."""
    try:
        print("  ", name, *arguments[1:], getattr(pynvml, "nvmlDeviceGet" + name)(*arguments))
    except pynvml.NVMLError as error:
        print("  ", name, error)


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
    for what in ("MaxPcieLinkGeneration", "MaxPcieLinkWidth", "PowerManagementDefaultLimit",
                 "PowerManagementLimitConstraints", "NumGpuCores", "VbiosVersion", "RemappedRows",
                 "SupportedClocksThrottleReasons", "GspFirmwareVersion"):
        fact(what, device)
    for clock in (pynvml.NVML_CLOCK_GRAPHICS, pynvml.NVML_CLOCK_SM, pynvml.NVML_CLOCK_MEM, pynvml.NVML_CLOCK_VIDEO):
        fact("MaxClockInfo", device, clock)
    for threshold in range(4):
        fact("TemperatureThreshold", device, threshold)
    print("   BAR1", pynvml.nvmlDeviceGetBAR1MemoryInfo(device).bar1Total >> 20)
try:
    pynvml.nvmlDeviceGetHandleByIndex(count)
    raise SystemExit("a device beyond the last was given")
except pynvml.NVMLError as error:
    print(error)
pynvml.nvmlShutdown()
