"""Kernels that fail on the software GPU: the CUDA error is the right one, stays, and ends with the process."""
import unittest

from scenario import *

FAULT = os.path.join(os.path.dirname(LOAD), "fault")
FAILURES = {
    "bounds": "CUDA_ERROR_ILLEGAL_ADDRESS",
    "null": "CUDA_ERROR_ILLEGAL_ADDRESS",
    "freed": "CUDA_ERROR_ILLEGAL_ADDRESS",
    "shared": "CUDA_ERROR_ILLEGAL_ADDRESS",
    "misaligned": "CUDA_ERROR_MISALIGNED_ADDRESS",
    "call": "CUDA_ERROR_INVALID_PC",
    "assertion": "CUDA_ERROR_ASSERT",
    "trap": "CUDA_ERROR_LAUNCH_FAILED",
    "recursion": "CUDA_ERROR_LAUNCH_FAILED",
    "meeting": "CUDA_ERROR_LAUNCH_FAILED",  # each thread has a stack of its own
    "barrier": "CUDA_ERROR_LAUNCH_TIMEOUT",
    "forever": "CUDA_ERROR_LAUNCH_TIMEOUT",
    "divide": "CUDA_SUCCESS",  # unspecified, but no error
    "none": "CUDA_SUCCESS",
    "race": "CUDA_SUCCESS",  # SOFTGPU_CHECK tells of it
}


@unittest.skipUnless(BACKEND == "softgpu", "of the software GPU")
class Fault(Scenario):
    def check_failure(self, kind, command, **settings):
        done = subprocess.run([*command, FAULT, kind], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=60, env=environment(SOFTGPU_WATCHDOG="1", **settings))
        self.assertEqual(done.returncode, 0, (kind, done.stdout, done.stderr))
        self.assertEqual(done.stdout, f"{FAILURES[kind]} {FAILURES[kind]}\n", (kind, done.stderr))
        return done.stderr

    def test_freed_memory_is_not_used_again_when_it_is_looked_for(self):
        driver = os.path.join(STAGE, "lib/rosen/softgpu")
        for kind, settings in ("CUDA_SUCCESS", {}), ("CUDA_ERROR_ILLEGAL_ADDRESS", {"SOFTGPU_CHECK": "1"}):
            done = subprocess.run([FAULT, "reused"], capture_output=True, text=True, timeout=60,
                                  env=environment(LD_LIBRARY_PATH=driver, **settings))
            self.assertEqual((done.returncode, done.stdout), (0, f"{kind} {kind}\n"), done.stderr)

    def alone(self, lanes, **settings):
        driver = os.path.join(STAGE, "lib/rosen/softgpu")
        for kind in FAILURES:
            with self.subTest(kind=kind, lanes=lanes):
                said = self.check_failure(kind, [], LD_LIBRARY_PATH=driver, SOFTGPU_LANES=lanes, **settings)
                if FAILURES[kind] != "CUDA_SUCCESS":
                    self.assertIn(kind, said, "the log names the kernel")
                self.assertEqual("race in kernel" in said, kind == "race" and "SOFTGPU_CHECK" in settings, said)
                self.check_failure("none", [], LD_LIBRARY_PATH=driver, SOFTGPU_LANES=lanes, **settings)

    def test_alone_a_thread_at_a_time(self):
        self.alone("1")

    def test_alone_a_warp_at_a_time(self):
        self.alone("32")

    def test_alone_checked(self):
        self.alone("1", SOFTGPU_CHECK="1")
        self.alone("32", SOFTGPU_CHECK="1")

    def test_through_rosen_a_thread_at_a_time(self):
        self.the_neighbours_and_the_next_process_work("1")

    def test_through_rosen_a_warp_at_a_time(self):
        self.the_neighbours_and_the_next_process_work("32")

    def test_through_rosen_the_program_learns_of_a_race(self):
        server = self.server(SOFTGPU_CHECK="1")
        through = [ROSEN, "run", "--server", server.socket, "--backend", BACKEND, "--"]
        self.assertNotIn("race in kernel", self.check_failure("none", through))
        said = self.check_failure("race", through)
        self.assertIn("race in kernel race", said)
        server.stop()

    def the_neighbours_and_the_next_process_work(self, lanes):
        server = self.server(SOFTGPU_WATCHDOG="1", SOFTGPU_LANES=lanes)
        neighbour = server.busy_client(3600)
        through = [ROSEN, "run", "--server", server.socket, "--backend", BACKEND, "--"]
        for kind in FAILURES:
            with self.subTest(kind=kind, lanes=lanes):
                self.check_failure(kind, through)
                self.check_failure("none", through)
        self.assertIsNone(neighbour.poll(), "the neighbour runs on")
        os.kill(server.program_of(neighbour), signal.SIGTERM)
        neighbour.communicate(timeout=5)
        server.stop()


if __name__ == "__main__":
    main()
