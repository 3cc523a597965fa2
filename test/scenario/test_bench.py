"""rosen bench: that it measures what it says, on any backend, and leaves nothing behind."""
from scenario import *


class Bench(Scenario):
    def bench(self, *arguments, **settings):
        result = run("bench", "--quick", *arguments, **settings)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def test_every_figure_is_there_and_sane(self):
        figures = json.loads(self.bench("--json", "--backend", BACKEND))
        self.assertEqual(figures["backend"], BACKEND)
        self.assertGreater(figures["first_use_ms"], 0)
        for key in "null_call_us", "async_call_us":
            call = figures[key]
            self.assertTrue(0 < call["p50"] <= call["p99"] <= call["max"], (key, call))
            self.assertGreater(call["per_s"], 1000)
        self.assertLess(figures["async_call_us"]["p50"], figures["null_call_us"]["p50"])
        self.assertEqual([row["threads"] for row in figures["threads"]], [1, 2, 4, 8, 16])
        self.assertEqual([row["clients"] for row in figures["clients"]], [1, 2, 4, 8, 16])
        for row in figures["threads"] + figures["clients"]:
            self.assertGreater(min(row["calls_per_s"], row["posts_per_s"]), 100, row)
        self.assertEqual({(row["direction"], row["memory"]) for row in figures["copies"]},
                         {(d, m) for d in ("h2d", "d2h") for m in ("pageable", "pinned")})
        for row in figures["copies"]:
            self.assertAlmostEqual(row["gb_per_s"], row["bytes"] / row["us"] / 1e3,
                                   delta=0.05 * row["gb_per_s"] + 0.01)

    def test_an_idle_session_uses_no_processor(self):
        # Others share the machine, so the quietest of a few looks counts.
        looks = []
        for _ in range(3):
            idle = json.loads(self.bench("--json", "--backend", BACKEND))["idle"]
            looks.append(idle["client_percent"] + idle["worker_percent"])
            if looks[-1] < 0.1:
                return
        self.fail(f"client and worker use {looks} percent of a core")

    def test_people_get_tables_and_a_server_is_used(self):
        server = self.server()
        text = self.bench("--server", server.socket)
        for words in "waiting call", "posted call", "when idle", "THREADS", "CLIENTS", "GB/s":
            self.assertIn(words, text)
        wait_for(lambda: not server.workers(), 1, "its sessions end")
        server.stop()

    def test_what_fails_is_told(self):
        result = run("bench", "--server", "/no/such/socket")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("/no/such/socket", result.stderr)
        self.assertEqual(run("bench", "--no-such-flag").returncode, 2)
        result = run("bench", "--backend", BACKEND, ROSEN_SOFTGPU_LIBRARY="/no/such/library",
                     ROSEN_CUDA_LIBRARY="/no/such/library")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("/no/such/library", result.stderr)


main()
