"""rosend as a service: under a service manager, for other users, and for programs in containers."""
import shutil
import socket
import stat
import unittest

from scenario import *

KERNELS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "conform/kernels.ptx")
STRANGER = 65534  # nobody
NEEDS_ROOT = unittest.skipIf(os.geteuid() != 0, "needs root: becomes other users, makes namespaces")


def can_unshare():
    return subprocess.run(["unshare", "-m", "-p", "-n", "-i", "-u", "--fork", "true"],
                          capture_output=True).returncode == 0


class Managed(Scenario):
    """What systemd does, without systemd: READY=1 and STOPPING=1, and a socket that was there before."""

    def start(self, listener, notify):
        # The shell's number, which goes into LISTEN_PID, becomes rosend's.
        return subprocess.Popen(
            ["sh", "-c", f"LISTEN_PID=$$ exec {ROSEN} serve --backend {BACKEND} 3<&{listener.fileno()}"],
            pass_fds=[listener.fileno()],
            env=environment(LISTEN_FDS="1", NOTIFY_SOCKET=notify, ROSEN_WARM_WORKERS="0"))

    def test_readiness_and_a_passed_socket(self):
        with tempfile.TemporaryDirectory(prefix="rosen-scenario-") as folder:
            notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            notify.bind(folder + "/notify")
            notify.settimeout(10)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            listener.bind(folder + "/socket")
            listener.listen()
            server = self.start(listener, folder + "/notify")
            try:
                self.assertEqual(notify.recv(64), b"READY=1")
                result = run("run", "--server", folder + "/socket", "--", LOAD, "0.1")
                self.assertEqual((result.returncode, result.stderr), (0, ""))
                server.terminate()
                self.assertEqual(notify.recv(64), b"STOPPING=1")
                self.assertEqual(server.wait(5), 0)
                self.assertTrue(os.path.exists(folder + "/socket"), "the service manager's, not rosend's")
            finally:
                server.kill()
                server.wait()
                notify.close()
                listener.close()


@NEEDS_ROOT
class Strangers(Scenario):
    def open_server(self, **settings):
        server = self.server(**settings)
        os.chmod(server.folder, 0o755)
        return server

    def run_as_stranger(self, server):
        return subprocess.run([ROSEN, "run", "--server", server.socket, "--", LOAD, "0.1"], user=STRANGER,
                              group=STRANGER, extra_groups=[], capture_output=True, text=True, timeout=60,
                              cwd="/", env=environment())

    def test_only_who_is_named_may_enter(self):
        closed = self.open_server()
        self.assertEqual(stat.S_IMODE(os.stat(closed.socket).st_mode), 0o600)
        refused = self.run_as_stranger(closed)
        self.assertEqual(refused.returncode, 125)
        self.assertIn("must let you in", refused.stderr)
        closed.stop()
        others = self.open_server(ROSEN_ALLOW_USERS="7")
        result = self.run_as_stranger(others)
        self.assertEqual(result.returncode, 3, result)
        self.assertIn(f"user {STRANGER} may not use this rosend", result.stderr)
        asked = subprocess.run([ROSEN, "ps", "--server", others.socket], user=STRANGER, group=STRANGER, extra_groups=[],
                               capture_output=True, text=True, timeout=10, cwd="/", env=environment())
        self.assertEqual(asked.returncode, 1, asked)
        self.assertIn(f"user {STRANGER} may not use this rosend", asked.stderr)
        others.stop()
        for setting in ("ROSEN_ALLOW_USERS", "ROSEN_ALLOW_GROUPS"):
            server = self.open_server(**{setting: str(STRANGER)})
            result = self.run_as_stranger(server)
            self.assertEqual((result.returncode, result.stdout), (0, "ready\ndone\n"), result)
            server.stop()

    def test_an_unknown_name_is_an_error_at_the_start(self):
        with self.assertRaisesRegex(AssertionError, 'error: cannot serve: allow_users names "no-such-user"'):
            self.server(ROSEN_ALLOW_USERS="no-such-user")


@NEEDS_ROOT
@unittest.skipUnless(can_unshare(), "the kernel or a container allows no new namespaces here")
class Containers(Scenario):
    """A container's program shares a kernel with rosend and else only the socket and lib/rosen."""

    def run_apart(self, *command, **settings):
        return subprocess.Popen(
            ["unshare", "-m", "-p", "-n", "-i", "-u", "--fork", "--kill-child", *command],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**settings))

    def make_root(self, server):
        """A root with nothing in it but a program, the C library, lib/rosen and rosend's socket."""
        root = os.path.join(server.folder, "root")
        needed = subprocess.run(["ldd", LOAD], capture_output=True, text=True, check=True).stdout
        files = [LOAD, KERNELS, *re.findall(r"(/\S+) \(0x", needed)]
        for path in files:
            os.makedirs(root + os.path.dirname(path), exist_ok=True)
            shutil.copy(path, root + path)
        shutil.copytree(os.path.join(STAGE, "lib/rosen"), root + "/rosen",
                        ignore=shutil.ignore_patterns("softgpu"))
        os.link(server.socket, root + "/socket")
        return root

    def test_namespaces_and_a_root_of_its_own(self):
        server = self.server()
        client = self.run_apart("chroot", self.make_root(server), LOAD, "0.2",
                                LD_LIBRARY_PATH="/rosen", ROSEN_SERVER="/socket")
        self.assertEqual(client.communicate(timeout=60), ("ready\ndone\n", ""))
        self.assertEqual(client.returncode, 0)
        server.stop()

    def test_a_killed_container_leaves_nothing(self):
        server = self.server()
        client = self.run_apart(LOAD, "3600", LD_LIBRARY_PATH=os.path.join(STAGE, "lib/rosen"),
                                ROSEN_SERVER=server.socket)
        self.assertEqual(client.stdout.readline(), "ready\n")
        self.assertEqual(len(server.workers()), 1)
        client.kill()
        client.communicate()
        wait_for(lambda: not server.workers(), 1, "the worker ends")
        server.stop()


if __name__ == "__main__":
    main()
