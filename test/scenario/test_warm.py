"""Warm workers: that clients get them, that what happens to them harms nobody, that none is left."""
import random

from scenario import *


class Warm(Scenario):
    def warm_server(self, workers=1, **settings):
        server = self.server(ROSEN_WARM_WORKERS=str(workers), ROSEN_LOG="info", **settings)
        self.wait_for_warm(server, workers)
        return server

    def wait_for_warm(self, server, total):
        """Until as many workers in all have said that they are warm."""
        wait_for(lambda: len(self.warm(server)) >= total, 10, "the warm workers")

    @staticmethod
    def warm(server):
        return [int(pid) for pid in re.findall(r"worker (\d+) is warm", server.text())]

    def sessions(self, server):
        return json.loads(run("ps", "--server", server.socket, "--json").stdout)

    def finish(self, server, *clients):
        for client in clients:
            os.kill(server.program_of(client), signal.SIGTERM)
            client.communicate(timeout=5)

    def test_a_client_gets_the_warm_worker_and_another_is_made(self):
        server = self.warm_server()
        (warm,) = server.workers()
        client = server.busy_client(3600)
        self.assertEqual([session["worker"] for session in self.sessions(server)], [warm])
        self.wait_for_warm(server, 2)
        self.assertEqual(len(server.workers()), 2)
        self.finish(server, client)
        wait_for(lambda: not alive(warm), 1, "the client's worker ends with it")
        self.assertEqual(len(server.workers()), 1)
        server.stop()

    def test_more_clients_than_warm_workers(self):
        server = self.warm_server(2)
        clients = [server.client(3600) for _ in range(4)]
        for client in clients:
            self.assertEqual(client.stdout.readline(), "ready\n")
        workers = {session["worker"] for session in self.sessions(server)}
        self.assertEqual(len(workers), 4, "every client has a worker of its own")
        self.finish(server, *clients)
        wait_for(lambda: not any(map(alive, workers)), 1, "no worker serves twice")
        server.stop()

    def test_killed_warm_workers_are_replaced_and_no_client_notices(self):
        server = self.warm_server()
        dice = random.Random(3)
        for _ in range(4):
            for worker in server.workers():
                os.kill(worker, signal.SIGKILL)
            time.sleep(dice.random() * 0.02)
            result = run("run", "--server", server.socket, "--", LOAD, "0.1")
            self.assertEqual(result.returncode, 0, result.stderr)
        wait_for(lambda: len(server.workers()) == 1, 5, "the pool is full again")
        server.stop()

    def test_killed_clients_of_warm_workers_leave_nothing(self):
        server = self.warm_server()
        dice = random.Random(4)
        for _ in range(4):
            client = server.client(3600)
            time.sleep(dice.random() * 0.3)
            wait_for(lambda: children(client.pid) or client.poll() is not None, 5, "the program")
            for pid in children(client.pid):
                os.kill(pid, signal.SIGKILL)
            client.communicate(timeout=5)
            wait_for(lambda: self.sessions(server) == [], 1, "the session ends")
            wait_for(lambda: len(server.workers()) == 1, 5,
                     lambda: f"only the next warm worker is left; now {server.workers()}\n{server.text()}")
        server.stop()

    def test_a_killed_rosend_takes_its_warm_workers_with_it(self):
        server = self.warm_server(2)
        workers = server.workers()
        self.assertEqual(len(workers), 2)
        server.process.kill()
        server.process.wait()
        wait_for(lambda: not any(map(alive, workers)), 1, "the warm workers end")
        os.unlink(server.socket)
        server.stop()

    def test_rosend_may_end_while_workers_warm_up(self):
        for _ in range(3):
            server = self.server(ROSEN_WARM_WORKERS="3")
            server.stop()

    def test_a_program_that_uses_no_gpu_leaves_nothing(self):
        result = run("run", "--backend", BACKEND, "--", "true")
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_there_may_be_none(self):
        server = self.server(ROSEN_WARM_WORKERS="0")
        client = server.busy_client(3600)
        self.assertEqual(len(server.workers()), 1)
        self.finish(server, client)
        result = run("run", "--backend", BACKEND, "--", LOAD, "0.1", ROSEN_WARM_WORKERS="0")
        self.assertEqual(result.returncode, 0, result.stderr)
        server.stop()


main()
