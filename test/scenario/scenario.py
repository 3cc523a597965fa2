"""What the scenario tests share: a rosend of their own, clients, and what must not be left behind.

The tests drive the stage tree as a user does. ROSEN_STAGE names it, ROSEN_LOAD the busy client.
Nothing here needs more than Python's standard library.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

STAGE = os.path.abspath(os.environ["ROSEN_STAGE"])
LOAD = os.path.abspath(os.environ["ROSEN_LOAD"])
BACKEND = os.environ.get("ROSEN_TEST_BACKEND", "softgpu")
ROSEN = os.path.join(STAGE, "bin", "rosen")


def wait_for(condition, seconds, what):
    """Polls condition until it is true; fails the test when that takes longer than seconds. what: what was
    waited for, or a function that says it when it did not come."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what() if callable(what) else what}: not within {seconds} s")
        time.sleep(0.01)
    return value


def environment(**more):
    keep = {name: value for name, value in os.environ.items()
            if not name.startswith("ROSEN_") and name != "CUDA_VISIBLE_DEVICES"}
    return {**keep, **more}


def processes():
    """{pid: (parent, command line)} of all live processes, zombies left out."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as file:
                stat = file.read()
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                command = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, parent = stat.rsplit(")", 1)[1].split()[:2]
        if state not in "ZX":
            found[int(entry)] = (int(parent), command)
    return found


def is_ours(pid, command):
    """Whether a process runs a program of this stage tree: others' Rosens are none of our business."""
    try:
        program = os.readlink(f"/proc/{pid}/exe")
    except OSError:  # a worker lets only root look
        return re.search(r"rosen|load", command) is not None
    return program == os.path.realpath(LOAD) or program.startswith(os.path.realpath(STAGE) + "/")


def children(pid):
    return [child for child, (parent, _) in processes().items() if parent == pid]


def alive(pid):
    return pid in processes()


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Server:
    """A rosend of this test's own, on a socket in a folder of its own; without warm workers unless
    asked for, so that workers are sessions."""

    def __init__(self, **settings):
        self.folder = tempfile.mkdtemp(prefix="rosen-scenario-")
        self.socket = os.path.join(self.folder, "rosend.sock")
        self.log = open(os.path.join(self.folder, "log"), "w+")
        self.process = subprocess.Popen(
            [ROSEN, "serve", "--socket", self.socket, "--backend", BACKEND],
            stdout=self.log, stderr=self.log, env=environment(**{"ROSEN_WARM_WORKERS": "0", **settings}))
        wait_for(lambda: os.path.exists(self.socket) or self.process.poll() is not None, 10, "rosend")
        if self.process.poll() is not None:
            text = self.text()
            self.stop()
            raise AssertionError("rosend did not start:\n" + text)
        self.pid = self.process.pid

    def text(self):
        self.log.flush()
        with open(self.log.name) as file:
            return file.read()

    def workers(self):
        return [pid for pid in children(self.pid) if "rosen-worker" in processes().get(pid, (0, ""))[1]]

    def client(self, *arguments, **settings):
        """A busy client on this server, its output in a pipe."""
        return subprocess.Popen(
            [ROSEN, "run", "--server", self.socket, "--", LOAD, *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**settings))

    def busy_client(self, *arguments, **settings):
        client = self.client(*arguments, **settings)
        line = client.stdout.readline()
        if line != "ready\n":
            raise AssertionError(f"a client said {line!r}, {client.communicate()!r}\n{self.text()}")
        return client

    def program_of(self, client):
        """The pid of the program under `rosen run`."""
        return wait_for(lambda: children(client.pid), 5, "the program under rosen run")[0]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(5)
        finally:
            self.process.kill()
            self.process.wait()
            self.log.close()
            shutil.rmtree(self.folder)


def run(*arguments, timeout=120, **settings):
    """Runs rosen with arguments to its end."""
    return subprocess.run([ROSEN, *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout, env=environment(**settings))


class Scenario(unittest.TestCase):
    """A test that also checks that it left no process and no shared memory of Rosen's behind."""

    maxDiff = None

    def setUp(self):
        self.before = set(processes())
        self.shm = set(os.listdir("/dev/shm"))

    def leftovers(self):
        return {pid: command for pid, (_, command) in processes().items()
                if pid not in self.before and is_ours(pid, command)}

    def tearDown(self):
        try:
            wait_for(lambda: not self.leftovers(), 1.5, lambda: f"processes gone: {self.leftovers()}")
        finally:
            for pid in self.leftovers():
                with contextlib.suppress(ProcessLookupError):  # it went just now
                    os.kill(pid, signal.SIGKILL)
        self.assertEqual(set(os.listdir("/dev/shm")) - self.shm, set())

    def server(self, **settings):
        server = Server(**settings)
        self.addCleanup(self.before_teardown, server)
        return server

    @staticmethod
    def before_teardown(server):
        if not server.log.closed:
            server.stop()


def main():
    unittest.main(verbosity=2)


__all__ = ["BACKEND", "LOAD", "ROSEN", "STAGE", "Scenario", "alive", "children", "descriptors",
           "environment", "is_ours", "json", "main", "os", "processes", "re", "run", "signal", "subprocess",
           "tempfile", "time", "wait_for"]
