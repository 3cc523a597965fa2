"""kill -9 of client, worker and rosend at random moments: nothing leaks, nobody hangs, no neighbour
notices."""
import random

from scenario import *

KILLS = int(os.environ.get("ROSEN_TEST_KILLS", "12"))


class Death(Scenario):
    def test_clients_killed_at_any_moment_leave_nothing(self):
        server = self.server()
        neighbour = server.busy_client(3600)
        at_rest = descriptors(server.pid)
        dice = random.Random(1)
        for _ in range(KILLS):
            client = server.client(3600)
            moment = dice.random() * 0.8
            time.sleep(moment)
            wait_for(lambda: children(client.pid) or client.poll() is not None, 5, "the program")
            for pid in children(client.pid):
                os.kill(pid, signal.SIGKILL)
            client.wait(5)
            client.communicate()
            wait_for(lambda: len(server.workers()) == 1, 1,
                     f"the worker of a client killed after {moment:.3f} s ends")
            wait_for(lambda: descriptors(server.pid) == at_rest, 1, "rosend closes its descriptors")
        self.assertIsNone(neighbour.poll(), "the neighbour runs on")
        os.kill(server.program_of(neighbour), signal.SIGTERM)
        neighbour.communicate(timeout=5)
        server.stop()

    def test_killing_rosen_run_ends_the_program_and_its_private_daemon(self):
        client = subprocess.Popen([ROSEN, "run", "--backend", BACKEND, "--", LOAD, "3600"],
                                  stdout=subprocess.PIPE, text=True, env=environment())
        self.assertEqual(client.stdout.readline(), "ready\n")
        client.kill()
        client.communicate()

    def test_a_program_that_outlives_its_private_daemon_is_told(self):
        script = "import subprocess, sys; subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE).stdout.readline()"
        result = run("run", "--backend", BACKEND, "--", "python3", "-c", script, LOAD, "3600")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("`rosen run` has ended, and its private rosend with it", result.stderr)

    def test_a_client_killed_inside_a_host_function_leaves_nothing(self):
        server = self.server()
        at_rest = descriptors(server.pid)
        for pause in 0, 0.5:  # later its stream is full, and its worker stands inside the driver
            client = server.busy_client(3600, 1, "stuck")
            time.sleep(pause)
            os.kill(server.program_of(client), signal.SIGKILL)
            client.communicate(timeout=5)
            wait_for(lambda: not server.workers(), 1, "the worker ends")
            wait_for(lambda: descriptors(server.pid) == at_rest, 1, "rosend closes its descriptors")
        server.stop()

    def test_a_killed_worker_is_a_cuda_error_and_no_hang(self):
        server = self.server()
        neighbour = server.busy_client(3600)
        theirs = set(server.workers())
        dice = random.Random(2)
        for _ in range(4):
            client = server.busy_client(3600)
            (worker,) = set(server.workers()) - theirs
            time.sleep(dice.random() * 0.3)
            os.kill(worker, signal.SIGKILL)
            killed = time.monotonic()
            out, err = client.communicate(timeout=5)
            self.assertLess(time.monotonic() - killed, 1.0, "the client ends within a second")
            self.assertEqual(client.returncode, 3, (out, err))
            self.assertRegex(out, r"error CUDA_ERROR_\w+ in ")
            self.assertRegex(err, r"rosen\[shim\]: error: .*worker", "a person is told why")
        self.assertIsNone(neighbour.poll(), "the neighbour runs on")
        os.kill(server.program_of(neighbour), signal.SIGTERM)
        neighbour.communicate(timeout=5)
        server.stop()

    def test_a_killed_rosend_takes_its_workers_with_it(self):
        server = self.server()
        clients = [server.busy_client(3600) for _ in range(2)]
        workers = server.workers()
        self.assertEqual(len(workers), 2)
        server.process.kill()
        server.process.wait()
        wait_for(lambda: not any(map(alive, workers)), 1, "the workers end")
        for client in clients:
            out, err = client.communicate(timeout=5)
            self.assertEqual(client.returncode, 3, (out, err))
            self.assertIn("rosen[shim]: error:", err)
        os.unlink(server.socket)
        server.stop()

    def test_a_stale_socket_is_no_obstacle(self):
        server = self.server()
        server.process.kill()
        server.process.wait()
        self.assertTrue(os.path.exists(server.socket))
        again = subprocess.Popen([ROSEN, "serve", "--socket", server.socket, "--backend", BACKEND],
                                 stderr=subprocess.PIPE, text=True, env=environment())
        try:
            wait_for(lambda: run("ps", "--server", server.socket).returncode == 0, 5, "rosend answers")
        finally:
            again.terminate()
            again.communicate(timeout=5)
        server.stop()


main()
