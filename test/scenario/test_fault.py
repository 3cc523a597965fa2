"""Kernels that fail on the software GPU: the CUDA error is the right one, stays, and ends with the process."""
import unittest

from scenario import *

FAULT = os.path.join(os.path.dirname(LOAD), "fault")
FAILURES = {
    "bounds": "CUDA_ERROR_ILLEGAL_ADDRESS",
    "null": "CUDA_ERROR_ILLEGAL_ADDRESS",
    "misaligned": "CUDA_ERROR_MISALIGNED_ADDRESS",
    "assertion": "CUDA_ERROR_ASSERT",
    "trap": "CUDA_ERROR_LAUNCH_FAILED",
    "recursion": "CUDA_ERROR_LAUNCH_FAILED",
    "barrier": "CUDA_ERROR_LAUNCH_TIMEOUT",
    "forever": "CUDA_ERROR_LAUNCH_TIMEOUT",
    "divide": "CUDA_SUCCESS",  # unspecified, but no error
    "none": "CUDA_SUCCESS",
}


@unittest.skipUnless(BACKEND == "softgpu", "of the software GPU")
class Fault(Scenario):
    def fail(self, kind, command, **settings):
        done = subprocess.run([*command, FAULT, kind], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=60, env=environment(SOFTGPU_WATCHDOG="1", **settings))
        self.assertEqual(done.returncode, 0, (kind, done.stdout, done.stderr))
        self.assertEqual(done.stdout, f"{FAILURES[kind]} {FAILURES[kind]}\n", (kind, done.stderr))
        return done.stderr

    def test_alone(self):
        driver = os.path.join(STAGE, "lib/rosen/softgpu")
        for kind in FAILURES:
            with self.subTest(kind):
                said = self.fail(kind, [], LD_LIBRARY_PATH=driver)
                if FAILURES[kind] != "CUDA_SUCCESS":
                    self.assertIn(kind, said, "the log names the kernel")
                self.fail("none", [], LD_LIBRARY_PATH=driver)

    def test_through_rosen_the_neighbours_and_the_next_process_work(self):
        server = self.server(SOFTGPU_WATCHDOG="1")
        neighbour = server.busy_client(3600)
        through = [ROSEN, "run", "--server", server.socket, "--backend", BACKEND, "--"]
        for kind in FAILURES:
            with self.subTest(kind):
                self.fail(kind, through)
                self.fail("none", through)
        self.assertIsNone(neighbour.poll(), "the neighbour runs on")
        os.kill(server.program_of(neighbour), signal.SIGTERM)
        neighbour.communicate(timeout=5)
        server.stop()


if __name__ == "__main__":
    main()
