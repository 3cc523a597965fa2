"""CUDA's environment variables: what a program sets holds in its worker, wherever that is."""
import unittest

from scenario import *

FAULT = os.path.join(os.path.dirname(LOAD), "fault")
BLOCKING = os.path.join(os.path.dirname(LOAD), "blocking")
WHILE_BLOCKING = ["a_launch_of_any_form_has_ended_when_it_returns", "a_captured_launch_is_not_waited_for",
                  "a_thread_that_waits_for_its_launch_keeps_no_other_from_calling"]
WHILE_NOT = ["a_launch_returns_at_once"]
DRIVER = os.path.join(STAGE, "lib/rosen/softgpu")


class Variables(Scenario):
    def done(self, command, **settings):
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment(**settings))
        self.assertEqual(done.returncode, 0, (command, settings, done.stdout, done.stderr))
        return done

    def through(self, server, *program, **settings):
        where = ["--server", server.socket] if server else []
        return self.done([ROSEN, "run", *where, "--backend", BACKEND, "--", *program], **settings)

    def ways(self):
        """How a program can be run: on a server, whose own variables must not matter, privately, alone."""
        server = self.server(CUDA_LAUNCH_BLOCKING="1", CUDA_MODULE_LOADING="EAGER")
        yield "server", lambda *program, **settings: self.through(server, *program, **settings)
        warm = self.server(ROSEN_WARM_WORKERS="1")
        yield "warm", lambda *program, **settings: self.through(warm, *program, **settings)
        yield "private", lambda *program, **settings: self.through(None, *program, **settings)
        if BACKEND == "softgpu":
            yield "alone", lambda *program, **settings: self.done(program, LD_LIBRARY_PATH=DRIVER, **settings)
        server.stop()
        warm.stop()

    @unittest.skipUnless(BACKEND == "softgpu", "the kernels are the software GPU's")
    def test_a_kernel_that_fails_fails_at_its_launch(self):
        error = "CUDA_ERROR_ILLEGAL_ADDRESS"
        for way, done in self.ways():
            with self.subTest(way=way):
                self.assertEqual(done(FAULT, "bounds", "apart").stdout, f"CUDA_SUCCESS {error} {error}\n")
                for value, launch in ("1", error), ("2", error), ("0", "CUDA_SUCCESS"), ("", "CUDA_SUCCESS"):
                    said = done(FAULT, "bounds", "apart", CUDA_LAUNCH_BLOCKING=value).stdout
                    self.assertEqual(said, f"{launch} {error} {error}\n", value)

    def test_every_launch_is_waited_for_and_nobody_else(self):
        for way, done in self.ways():
            with self.subTest(way=way):
                done(BLOCKING, *WHILE_BLOCKING, CUDA_LAUNCH_BLOCKING="1")
                done(BLOCKING, *WHILE_NOT)

    @unittest.skipUnless(BACKEND == "softgpu", "the kernels are the software GPU's")
    def test_what_a_program_sets_itself_holds(self):
        """As when Python's os.environ is written to before CUDA is used."""
        error = "CUDA_ERROR_ILLEGAL_ADDRESS"
        said = self.through(None, "env", "CUDA_LAUNCH_BLOCKING=1", FAULT, "bounds", "apart").stdout
        self.assertEqual(said, f"{error} {error} {error}\n")
        said = self.through(None, "env", "-u", "CUDA_LAUNCH_BLOCKING", FAULT, "bounds", "apart",
                            CUDA_LAUNCH_BLOCKING="1").stdout
        self.assertEqual(said, f"CUDA_SUCCESS {error} {error}\n")

    def test_what_is_not_honoured_is_said_once(self):
        server = self.server(CUDA_MODULE_LOADING="EAGER", ROSEN_LOG="info")
        wait_for(lambda: "reaches no program" in server.text(), 5, "a word on rosend's own variables")
        self.assertEqual(re.findall("info: (CUDA_.*) of rosend's own environment reaches no program", server.text()),
                         ["CUDA_MODULE_LOADING"])
        self.assertEqual(self.through(server, LOAD, "0.1", CUDA_ENABLE_COREDUMP_ON_EXCEPTION="0",
                                      CUDA_COREDUMP_FILE="/tmp/x", CUDA_MODULE_LOADING="LAZY").stderr, "")
        said = self.through(server, LOAD, "0.2", CUDA_ENABLE_COREDUMP_ON_EXCEPTION="1",
                            CUDA_DEVICE_MAX_CONNECTIONS="/etc/passwd", CUDA_CACHE_PATH="/tmp/x").stderr
        lines = [line for line in said.splitlines() if "CUDA_" in line]
        self.assertEqual(len(lines), 2, said)
        self.assertRegex(said, r"shim\]: warning: CUDA_DEVICE_MAX_CONNECTIONS is not honoured: .*/etc/passwd")
        self.assertRegex(said, r"CUDA_ENABLE_COREDUMP_ON_EXCEPTION is not honoured: no core dump")
        for where, times in (server, 1), (None, 0):
            said = self.through(where, LOAD, "0.1", CUDA_CACHE_PATH="/tmp/x", ROSEN_LOG="info").stderr
            self.assertEqual(said.count("CUDA_CACHE_PATH is not honoured"), times, said)
        server.stop()

    @unittest.skipUnless(BACKEND == "softgpu", "of the software GPU's cache")
    def test_the_workers_driver_gets_them(self):
        with tempfile.TemporaryDirectory() as folder:
            cache = os.path.join(folder, "cache")
            for disabled in "1", "0":
                server = self.server(SOFTGPU_CACHE=cache, CUDA_CACHE_DISABLE="0")
                self.through(server, FAULT, "none", CUDA_CACHE_DISABLE=disabled)
                server.stop()
                self.assertEqual(os.path.isdir(cache) and len(os.listdir(cache)) > 0, disabled == "0")

    def test_a_server_keeps_its_warm_worker_for_those_it_fits(self):
        server = self.server(ROSEN_WARM_WORKERS="1", ROSEN_LOG="info")
        wait_for(lambda: "is warm" in server.text(), 10, "the warm worker")
        (warm,) = server.workers()
        client = server.busy_client(3600, CUDA_DEVICE_MAX_CONNECTIONS="1")
        self.assertEqual(len(server.workers()), 2)
        self.assertNotIn(f"worker {warm}\n", server.text())
        second = server.busy_client(3600, CUDA_LAUNCH_BLOCKING="1")
        self.assertRegex(server.text(), rf"on {BACKEND}, worker {warm}\n")
        for one in client, second:
            os.kill(server.program_of(one), signal.SIGTERM)
            one.communicate(timeout=5)
        server.stop()

    def test_a_private_server_ends_the_warm_worker_that_does_not_fit(self):
        client = subprocess.Popen(
            [ROSEN, "run", "--backend", BACKEND, "--", "env", "CUDA_DEVICE_MAX_CONNECTIONS=1", LOAD, "3600"],
            stdout=subprocess.PIPE, text=True, env=environment())
        self.assertEqual(client.stdout.readline(), "ready\n")
        ours = lambda: [pid for pid, (_, command) in processes().items()
                        if pid not in self.before and "rosen-worker" in command and is_ours(pid, command)]
        wait_for(lambda: len(ours()) == 1, 2, lambda: f"one worker: {ours()}")
        client.terminate()
        client.communicate(timeout=5)


main()
