"""rosen run as its users know it: exit status, signals, statistics, traces, errors for people."""
import shutil

from scenario import *


class Run(Scenario):
    def test_exit_status_is_the_programs(self):
        for status in (0, 1, 42):
            self.assertEqual(run("run", "--backend", BACKEND, "--", "sh", "-c", f"exit {status}")
                             .returncode, status)
        self.assertEqual(run("run", "--backend", BACKEND, "--", "sh", "-c", "kill -KILL $$").returncode,
                         128 + 9)
        self.assertEqual(run("run", "--backend", BACKEND, "--", "/no/such/program").returncode, 127)
        self.assertEqual(run("run", "--backend", BACKEND, "--", "/etc/passwd").returncode, 126)

    def test_signals_reach_the_program(self):
        script = "trap 'echo got; exit 7' TERM; echo up; while :; do sleep 0.05; done"
        client = subprocess.Popen([ROSEN, "run", "--backend", BACKEND, "--", "sh", "-c", script],
                                  stdout=subprocess.PIPE, text=True, env=environment())
        self.assertEqual(client.stdout.readline(), "up\n")
        client.terminate()
        out, _ = client.communicate(timeout=10)
        self.assertEqual((out, client.returncode), ("got\n", 7))

    def test_a_program_runs_and_its_calls_are_counted(self):
        result = run("run", "--backend", BACKEND, "--stats", "--", LOAD, "0.2")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.split(), ["ready", "done"])
        self.assertIn("cuLaunchKernel", result.stderr)
        for word in ("calls", "messages", "waits", "bytes", "GPU"):
            self.assertIn(word.lower(), result.stderr.lower())

    def test_the_demo_says_nothing_of_its_kernels(self):
        """No kernel of it may have to run a thread at a time: the software GPU would say so."""
        raymarch = os.path.join(os.path.dirname(STAGE), "examples/raymarch")
        if BACKEND != "softgpu" or not os.path.exists(raymarch):
            self.skipTest("the demo is for the software GPU, and was not built without libpng")
        with tempfile.TemporaryDirectory() as folder:
            result = run("run", "--backend", BACKEND, "--", raymarch, "-o", os.path.join(folder, "demo.png"),
                         XDG_CACHE_HOME=folder)
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_statistics_say_where_time_went(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "stats.json")
            result = run("run", "--backend", BACKEND, "--stats-json", path, "--", LOAD, "0.2")
            self.assertEqual(result.returncode, 0, result.stderr)
            with open(path) as file:
                stats = json.load(file)
        for row in stats["functions"] + [stats["total"]]:
            self.assertEqual(row["shim_ns"] + row["wait_ns"], row["client_ns"], row)
            self.assertLessEqual(row["ring_ns"], row["wait_ns"], row)
            self.assertLessEqual(row["driver_ns"], row["worker_ns"], row)
        total = stats["total"]
        for key in "shim_ns", "ring_ns", "worker_ns", "driver_ns", "served_ns":
            self.assertGreater(total[key], 0, key)
        (launch,) = [row for row in stats["functions"] if row["name"] == "cuLaunchKernel"]
        self.assertGreater(launch["driver_ns"], 0)

    def test_a_trace_is_chrome_json(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "trace.json")
            result = run("run", "--backend", BACKEND, "--trace", path, "--", LOAD, "0.2")
            self.assertEqual(result.returncode, 0, result.stderr)
            with open(path) as file:
                trace = json.load(file)
        names = {event["name"] for event in trace["traceEvents"]}
        self.assertLessEqual({"cuLaunchKernel", "cuStreamSynchronize", "cuMemAlloc_v2"}, names)
        spans = [event for event in trace["traceEvents"] if event["ph"] == "X"]
        self.assertGreater(len(spans), 100)
        self.assertTrue(all(event["dur"] >= 0 and event["ts"] >= 0 for event in spans))
        inside = {name: [e for e in spans if e["name"] == name] for name in ("wait", "worker", "driver")}
        self.assertGreater(len(inside["wait"]), 20)  # the program's first round waits that often
        self.assertEqual(len(inside["wait"]), len(inside["worker"]))
        for wait, worker in zip(inside["wait"], inside["worker"]):
            self.assertLessEqual(wait["ts"], worker["ts"])
            self.assertLessEqual(worker["ts"] + worker["dur"], wait["ts"] + wait["dur"] + 0.002)
        call = next(e for e in spans if "ring_us" in e.get("args", {}))
        parts = sum(call["args"][part + "_us"] for part in ("shim", "ring", "worker", "driver"))
        self.assertAlmostEqual(parts, call["dur"], delta=0.01)

    def test_without_a_server_the_program_is_told(self):
        result = run("run", "--server", "/no/such/socket", "--", LOAD, "1")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("/no/such/socket", result.stderr)
        alone = subprocess.run([LOAD, "1"], capture_output=True, text=True, timeout=20, env=environment(
            LD_LIBRARY_PATH=os.path.join(STAGE, "lib/rosen"), ROSEN_SERVER="/no/such/socket"))
        self.assertEqual(alone.returncode, 3)
        self.assertIn("CUDA_ERROR_NO_DEVICE", alone.stdout)
        self.assertIn("/no/such/socket", alone.stderr)

    def test_a_library_that_is_not_there_is_told_once(self):
        path = "/nonexistent/libcuda.so.1"
        result = run("run", "--backend", "cuda", "--", LOAD, "1", ROSEN_CUDA_LIBRARY=path)
        self.assertEqual(result.returncode, 3)
        self.assertIn(f"refuses: cuda: cannot load {path}: cannot open shared object file: "
                      "No such file or directory: correct cuda_library, or leave it empty\n", result.stderr)
        self.assertEqual(result.stderr.count(path), 1)

    def test_what_cannot_be_written_is_told(self):
        for option in ("--trace", "--stats-json"):
            result = run("run", option, "/nonexistent/file", "--", "echo", "started")
            self.assertEqual((result.returncode, result.stdout), (125, ""))
            self.assertIn("cannot write /nonexistent/file", result.stderr)
        with open("/dev/full", "w") as full:
            for words in ([ROSEN, "info"], [ROSEN, "info", "--coverage", "--json"], [ROSEN, "help"],
                          [ROSEN + "d", "--help"], [ROSEN + "d", "--version"]):
                result = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True,
                                        env=environment())
                self.assertEqual(result.returncode, 1, words)
                self.assertIn("cannot write the output: No space left on device", result.stderr)

    def test_a_report_may_go_into_a_pipe(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "pipe")
            os.mkfifo(path)
            reader = subprocess.Popen(["cat", path], stdout=subprocess.PIPE, text=True)
            result = run("run", "--backend", BACKEND, "--stats-json", path, "--", "true")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(json.loads(reader.communicate(timeout=10)[0])["sessions"], 0)
            run("run", "--trace", os.path.join(folder, "trace"), "--", "/no/such/program")
            self.assertEqual(os.listdir(folder), ["pipe"])

    def test_a_program_started_without_standard_streams_runs(self):
        for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            status = subprocess.call(["sh", "-c", f'exec "$@" {closed}', "sh", ROSEN, "run", "--backend", BACKEND,
                                      "--", LOAD, "0.1"], stdout=subprocess.DEVNULL, timeout=30, env=environment())
            self.assertEqual(status, 0, closed)

    def test_a_full_disk_ends_the_trace_and_not_the_program(self):
        if os.geteuid() != 0:
            self.skipTest("only root makes a small disk")
        script = 'mount -t tmpfs -o size=40k none "$0" && head -c "$1" /dev/zero >"$0/filled" && shift && ' \
                 'TMPDIR="$0" exec "$@"'
        for filled, n_left, told in (0, "1", "calls were not recorded"), (40 << 10, "0", "No space left on device"):
            with tempfile.TemporaryDirectory(prefix="rosen-scenario-") as folder:
                command = ["unshare", "-m", "sh", "-c", script, folder, str(filled), ROSEN, "run", "--backend",
                           BACKEND, "--trace", "/dev/null", "--", "sh", "-c",
                           '"$0" 1 && find "$ROSEN_OBSERVE_DIR" -name "*.trace" | wc -l', LOAD]
                result = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment())
                if "mount" in result.stderr or "unshare" in result.stderr:
                    self.skipTest("this container may not mount")
            self.assertEqual((result.returncode, result.stdout.split()), (0, ["ready", "done", n_left]),
                             result.stderr)
            self.assertIn(told, result.stderr)

    def test_a_program_that_cannot_be_reached_is_told(self):
        with tempfile.TemporaryDirectory(prefix="rosen-scenario-") as folder:
            program = os.path.join(folder, "program")
            shutil.copy(os.path.realpath("/bin/true"), program)
            self.assertEqual(run("run", "--", program).stderr, "")
            if os.geteuid() == 0:
                os.chown(program, 65534, -1)
                os.chmod(program, 0o4755)
                self.assertRegex(run("run", "--", program).stderr, "warning: .*program is privileged")
            script = os.path.join(folder, "script")
            with open(script, "w") as file:
                file.write("#!/usr/bin/env sh\n")
            os.chmod(script, 0o755)
            told = run("doctor", "--", script).stdout
            self.assertRegex(told, r"script\s+is\s+a\s+script\s+for\s+sh")
            self.assertRegex(told, r"/sh\s+can\s+be\s+run")

    def test_unknown_words_are_refused(self):
        for words in (["run", "--no-such-flag", "--", "true"], ["no-such-command"], ["run"],
                      ["run", "--backend", "abacus", "--", "true"]):
            result = run(*words)
            self.assertNotEqual(result.returncode, 0, words)
            self.assertNotEqual(result.stderr.strip(), "", words)

    def test_every_subcommand_has_help(self):
        overview = run("--help")
        self.assertEqual(overview.returncode, 0)
        for command in ("run", "serve", "ps", "devices", "info", "doctor", "bench", "version"):
            self.assertIn(command, overview.stdout)
            text = run(command, "--help")
            self.assertEqual(text.returncode, 0, command)
            self.assertIn("rosen " + command, text.stdout)

    def test_every_call_may_wait(self):
        result = run("run", "--backend", BACKEND, "--", LOAD, "0.2", ROSEN_SYNC="yes")
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_each_trick_has_its_switch(self):
        for switch in ("ROSEN_CACHE", "ROSEN_ARENA"):
            result = run("run", "--backend", BACKEND, "--", LOAD, "0.2", **{switch: "no"})
            self.assertEqual(result.returncode, 0, (switch, result.stderr))


main()
