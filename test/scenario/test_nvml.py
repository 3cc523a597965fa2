"""The tenant's libnvidia-ml.so.1: alone, beside CUDA, over fork(), and under Python's binding."""
import importlib.util
import sys
import unittest

from scenario import *

NVML = os.path.join(os.path.dirname(LOAD), "nvml")

BINDING = """
import pynvml
pynvml.nvmlInit()
device = pynvml.nvmlDeviceGetHandleByIndex(0)
print(pynvml.nvmlDeviceGetName(device))
assert pynvml.nvmlDeviceGetCount() >= 1
assert pynvml.nvmlDeviceGetIndex(device) == 0
pci = pynvml.nvmlDeviceGetPciInfo(device)
again = pynvml.nvmlDeviceGetHandleByPciBusId(pci.busId)
assert pynvml.nvmlDeviceGetUUID(again) == pynvml.nvmlDeviceGetUUID(device)
assert pynvml.nvmlDeviceGetComputeRunningProcesses(device) == []
try:
    pynvml.nvmlDeviceGetSerial(device)
except pynvml.NVMLError_NotSupported:
    pynvml.nvmlShutdown()
    print("ok")
"""


class Nvml(Scenario):
    def check(self, case, **settings):
        result = run("run", "--backend", BACKEND, "--", NVML, case, **settings)
        self.assertEqual((result.returncode, result.stdout), (0, "ok\n"), result.stderr)
        return result

    def test_monitoring_alone_and_in_children(self):
        self.assertEqual(self.check("alone").stderr, "")

    def test_cuda_after_nvml(self):
        self.check("cuda-later")

    def test_beside_cuda_and_in_its_children(self):
        self.check("beside-cuda")

    def test_hidden_devices_are_shown(self):
        self.check("hidden", CUDA_VISIBLE_DEVICES="")

    def test_refusals_are_logged_once_by_name(self):
        library = os.path.join(STAGE, "lib/rosen/libnvidia-ml.so.1")
        ask = (f"import ctypes; nvml = ctypes.CDLL({library!r}); nvml.nvmlInit_v2();"
               "print([nvml.nvmlUnitGetCount(None), nvml.nvmlUnitGetCount(None)])")
        result = run("run", "--backend", BACKEND, "--", sys.executable, "-c", ask, ROSEN_LOG="info")
        self.assertEqual(result.stdout, "[3, 3]\n")
        self.assertEqual(result.stderr.count("nvmlUnitGetCount is not supported"), 1)

    def test_no_server_is_no_driver(self):
        libraries = os.path.join(STAGE, "lib/rosen")
        result = subprocess.run([NVML, "no-server"], capture_output=True, text=True, timeout=60,
                                env=environment(ROSEN_SERVER="/nonexistent/rosend.sock",
                                                LD_LIBRARY_PATH=libraries))
        self.assertEqual((result.returncode, result.stdout), (0, "ok\n"), result.stderr)
        self.assertIn("no rosend answers at /nonexistent/rosend.sock", result.stderr)

    @unittest.skipUnless(importlib.util.find_spec("pynvml"), "Python's pynvml is not installed")
    def test_pythons_binding(self):
        result = run("run", "--backend", BACKEND, "--", sys.executable, "-c", BINDING)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.splitlines()[-1], "ok")


main()
