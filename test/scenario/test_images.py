"""What of a program's images crosses, with and without the tricks that make it less."""
import contextlib
import pty
import unittest

from scenario import *
from scenario import Server

IMAGES = os.path.join(os.path.dirname(LOAD), "images")
MIB = 1 << 20


@unittest.skipIf(BACKEND != "softgpu", "the foreign code in the image is none")
class Images(Scenario):
    def stats_of(self, program, *flags, **settings):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "stats.json")
            result = run("run", *(flags or ("--backend", BACKEND)), "--stats-json", path, "--", *program,
                         **settings)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            with open(path) as file:
                return json.load(file)

    @staticmethod
    def bytes_in(stats):
        return sum(f["bytes"] for f in stats["functions"] if f["name"] == "cuModuleLoadData")

    def bytes_of_loads(self, loads, **settings):
        return self.bytes_in(self.stats_of([IMAGES], LOADS=str(loads), **settings))

    def test_only_what_the_gpu_can_use_is_sent_and_only_once(self):
        sent = self.bytes_of_loads(5)
        self.assertTrue(MIB <= sent < 1.2 * MIB, sent)

    def test_thinning_has_its_switch(self):
        sent = self.bytes_of_loads(1, ROSEN_THIN_IMAGES="no")
        self.assertTrue(4 * MIB <= sent < 4.2 * MIB, sent)

    def test_keeping_has_its_switch(self):
        sent = self.bytes_of_loads(5, ROSEN_IMAGE_CACHE="0")
        self.assertTrue(5 * MIB <= sent < 5.2 * MIB, sent)

    TWICE = ["sh", "-c", f"{IMAGES} && {IMAGES}"]

    def test_a_second_process_sends_nothing(self):
        stats = self.stats_of(self.TWICE)
        self.assertTrue(MIB <= self.bytes_in(stats) < 1.2 * MIB, stats)
        images = stats["images"]
        self.assertEqual((images["kept"], images["found"]), (1, 1), images)
        self.assertTrue(MIB <= images["found_bytes"] == images["kept_bytes"] < 1.2 * MIB, images)

    def test_what_a_session_had_outlives_it(self):
        server = Server()
        try:
            first = self.stats_of([IMAGES], "--server", server.socket)
            second = self.stats_of([IMAGES], "--server", server.socket)
        finally:
            server.stop()
        self.assertTrue(MIB <= self.bytes_in(first) < 1.2 * MIB, first)
        self.assertLess(self.bytes_in(second), 4096, second)
        self.assertEqual((first["images"]["kept"], second["images"]["found"]), (1, 1))

    def test_keeping_for_others_has_the_same_switch(self):
        stats = self.stats_of(self.TWICE, ROSEN_IMAGE_CACHE="0")
        self.assertTrue(2 * MIB <= self.bytes_in(stats) < 2.2 * MIB, stats)
        self.assertEqual((stats["images"]["kept"], stats["images"]["found"]), (0, 0))

    def progress_of_a_slow_upload(self, **settings):
        """What standard error, a terminal, shows of an upload whose worker stands still for a while."""
        master, terminal = pty.openpty()
        server = Server(ROSEN_THIN_IMAGES="no")
        client = subprocess.Popen(
            [ROSEN, "run", "--server", server.socket, "--", IMAGES], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=terminal, text=True,
            env=environment(WAIT="1", FOREIGN_MIB="100", ROSEN_THIN_IMAGES="no", ROSEN_IMAGE_CACHE="0",
                            **settings))
        try:
            while client.stdout.readline() != "ready\n":
                pass
            worker, = server.workers()
            os.kill(worker, signal.SIGSTOP)
            client.stdin.write("\n")
            client.stdin.flush()
            time.sleep(1.3)
            os.kill(worker, signal.SIGCONT)
            client.communicate(timeout=60)
            self.assertEqual(client.returncode, 0)
        finally:
            client.kill()
            client.wait()
            os.close(terminal)
            server.stop()
        shown = b""
        with contextlib.suppress(OSError):
            while part := os.read(master, 65536):
                shown += part
        os.close(master)
        return shown.decode()

    def test_a_slow_upload_says_how_far_it_is(self):
        shown = self.progress_of_a_slow_upload()
        self.assertRegex(shown, r"\r\x1b\[Krosen: sending program code, \d+ of 101 MiB")
        self.assertTrue(shown.endswith("\r\x1b[K"), shown)

    def test_saying_so_has_its_switch(self):
        self.assertEqual(self.progress_of_a_slow_upload(ROSEN_PROGRESS="no"), "")

    def test_what_was_not_kept_is_sent_again(self):
        sent = self.bytes_of_loads(5, ROSEN_IMAGE_CACHE="100K")
        self.assertTrue(5 * MIB <= sent < 5.2 * MIB, sent)


main()
