"""Memory shared by two programs, when either of them is killed: the other goes on, a handle of what is gone
opens nothing, and nothing is left behind."""
from scenario import *

SHARE = os.path.join(os.path.dirname(LOAD), "share")


class Peer:
    """A program that does as it is told (share.c)."""

    def __init__(self, server):
        self.process = subprocess.Popen(
            [ROSEN, "run", "--server", server.socket, "--", SHARE], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
        self.server = server
        line = self.process.stdout.readline()
        if line != "ready\n":
            raise AssertionError(f"it said {line!r}, {self.process.communicate()!r}\n{server.text()}")

    def do(self, *order):
        print(*order, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().rstrip("\n")

    def kill(self):
        os.kill(self.server.program_of(self.process), signal.SIGKILL)
        self.process.communicate(timeout=5)

    def end(self):
        self.process.communicate(timeout=5)


class Share(Scenario):
    def at_rest(self, server, count):
        wait_for(lambda: descriptors(server.pid) == count, 1, "rosend closes its descriptors")

    def test_memory_outlives_its_owner_and_its_handle_does_not(self):
        server = self.server()
        before = descriptors(server.pid)
        owner, opener, late = Peer(server), Peer(server), Peer(server)
        handle = owner.do("alloc", 7)
        self.assertRegex(handle, "^[0-9a-f]{128}$")
        self.assertEqual(opener.do("open", handle), "")
        self.assertEqual(opener.do("read"), "7")
        self.assertEqual(opener.do("fill", 8), "")
        self.assertEqual(owner.do("read"), "8")
        owner.kill()
        wait_for(lambda: len(server.workers()) == 2, 1, "the owner's worker ends")
        self.assertEqual(opener.do("read"), "8")
        self.assertEqual(opener.do("fill", 9), "")
        self.assertEqual(opener.do("read"), "9")
        wait_for(lambda: late.do("open", handle) == "CUDA_ERROR_INVALID_HANDLE", 1, "the handle is void")
        self.assertEqual(opener.do("close"), "")
        opener.end()
        late.end()
        self.at_rest(server, before)
        server.stop()

    def test_an_opener_may_be_killed(self):
        server = self.server()
        before = descriptors(server.pid)
        owner = Peer(server)
        handle = owner.do("alloc", 3)
        for value in range(4, 8):
            opener = Peer(server)
            self.assertEqual(opener.do("open", handle), "")
            self.assertEqual(opener.do("fill", value), "")
            opener.kill()
            wait_for(lambda: len(server.workers()) == 1, 1, "the opener's worker ends")
            self.assertEqual(owner.do("read"), str(value))
        self.assertEqual(owner.do("free"), "")
        opener = Peer(server)
        self.assertEqual(opener.do("open", handle), "CUDA_ERROR_INVALID_HANDLE")
        opener.end()
        owner.end()
        self.at_rest(server, before)
        server.stop()

    def test_what_was_opened_stays_when_the_owner_frees_it(self):
        server = self.server()
        owner, opener = Peer(server), Peer(server)
        handle = owner.do("alloc", 5)
        self.assertEqual(opener.do("open", handle), "")
        self.assertEqual(owner.do("free"), "")
        self.assertNotEqual(owner.do("alloc", 6), handle)
        self.assertEqual(opener.do("read"), "5")
        self.assertEqual(owner.do("read"), "6")
        owner.end()
        opener.end()
        server.stop()

    def test_handles_mean_nothing_to_another_server(self):
        servers = self.server(), self.server()
        owner, stranger = map(Peer, servers)
        handle = owner.do("alloc", 1)
        self.assertEqual(stranger.do("open", handle), "CUDA_ERROR_INVALID_HANDLE")
        for wrong in "", "00" * 64, handle[:-2] + "01", "ff" * 64:
            self.assertEqual(stranger.do("open", wrong), "CUDA_ERROR_INVALID_VALUE", wrong)
        owner.end()
        stranger.end()
        for server in servers:
            server.stop()

    def test_events_leave_nothing(self):
        server = self.server()
        for end in Peer.kill, Peer.end:
            owner = Peer(server)
            self.assertRegex(owner.do("event"), "^([0-9a-f]{128}|CUDA_ERROR_NOT_SUPPORTED)$")
            end(owner)
        server.stop()


main()
