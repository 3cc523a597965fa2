"""Without each asynchronous or caching trick, and without all of them, programs do the same: the
conformance programs through Rosen on the software GPU."""
import concurrent.futures
import glob
import sys
import unittest

from scenario import *

# A kernel that cannot print, and the waits for it alone.
WAITS = """
import ctypes
cuda, handle = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p
context, module, kernel, stream = handle(), handle(), handle(), handle()
ptx = b".version 7.0\\n.target sm_70\\n.address_size 64\\n.visible .entry nothing() { ret; }\\n"
def do(function, *arguments):
    assert getattr(cuda, function)(*arguments) == 0, function
do("cuInit", 0)
do("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
do("cuCtxSetCurrent", context)
do("cuModuleLoadData", ctypes.byref(module), ptx)
do("cuModuleGetFunction", ctypes.byref(kernel), module, b"nothing")
do("cuStreamCreate", ctypes.byref(stream), 1)
do("cuCtxSynchronize")
for i in range(100):
    do("cuLaunchKernel", kernel, 1, 1, 1, 1, 1, 1, 0, stream, None, None)
    do("cuStreamSynchronize", stream)
"""

CONFORM = os.path.join(os.path.dirname(STAGE), "test/conform")


def tricks():
    """{variable: the value that switches it off}, as the installation itself says."""
    settings = json.loads(run("info", "--config", "--json").stdout)
    return {setting["variable"]: setting["off"] for setting in settings if "off" in setting}


@unittest.skipIf(BACKEND == "cuda", "on a GPU test/gpu/run --without does this, beside the native runs")
class Tricks(Scenario):
    def pass_without(self, **off):
        """All programs at once, as many as there are processors, and their tests in as few processes as may
        be."""
        programs = [path for path in sorted(glob.glob(os.path.join(CONFORM, "conform-*"))) if os.path.isfile(path)]
        self.assertGreater(len(programs), 5)

        def one(program):
            return program, subprocess.run([ROSEN, "run", "--backend", BACKEND, "--", program], text=True,
                                           capture_output=True, timeout=120, env=environment(ROSEN_TEST_TOGETHER="yes", **off))

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for program, result in pool.map(one, programs):
                self.assertEqual(result.returncode, 0, f"{program} with {off}:\n{result.stdout}\n{result.stderr}")

    def test_each_can_be_off(self):
        found = tricks()
        self.assertGreaterEqual(len(found), 11)
        for variable, off in found.items():
            with self.subTest(variable):
                self.pass_without(**{variable: off})

    def test_all_can_be_off(self):
        self.pass_without(**tricks())

    def test_the_gpu_answers_waits_unless_it_shall_not(self):
        for setting in ("yes", "no"):
            done = run("run", "--backend", BACKEND, "--", sys.executable, "-c", WAITS, ROSEN_LOG="debug",
                       ROSEN_GPU_ANSWERS=setting)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual("a wait is answered by the GPU" in done.stderr, setting == "yes")


main()
