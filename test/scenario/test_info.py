"""What rosen tells: coverage, devices, sessions, settings, health; for people and as JSON."""
from scenario import *


class Info(Scenario):
    def json(self, *arguments):
        result = run(*arguments, "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def test_coverage_counts_every_symbol(self):
        table = self.json("info", "--coverage")
        self.assertEqual(table["total"], 637)
        self.assertEqual(table["live"] + table["nosup"], 637)
        self.assertEqual(table["live"], table["sync"] + table["async"] + table["local"])
        self.assertGreaterEqual(table["live"], 250)
        self.assertEqual(len(table["functions"]), 637)
        self.assertEqual(len({f["name"] for f in table["functions"]}), 637)

    def test_no_crossing_function_lacks_its_generated_test(self):
        tested = set(subprocess.run([os.environ["ROSEN_CODEC_TEST"]], capture_output=True, text=True,
                                    timeout=300).stdout.split())
        table = self.json("info", "--coverage")["functions"]
        crossing = [f["name"] for f in table
                    if f["class"] in ("sync", "async") and not f.get("alias_of")]
        self.assertGreater(len(crossing), 150)
        self.assertTrue(all(f["test"] for f in table if f["class"] != "nosup"))
        self.assertEqual([name for name in crossing if name not in tested], [])

    def test_every_symbol_is_exported(self):
        names = {f["name"] for f in self.json("info", "--coverage")["functions"]}
        symbols = subprocess.run(["nm", "-D", "--defined-only", os.path.join(STAGE, "lib/rosen/libcuda.so.1")],
                                 capture_output=True, text=True).stdout
        exported = {line.split()[-1].split("@")[0] for line in symbols.splitlines()}
        self.assertEqual(names - exported, set())

    def test_the_shim_links_only_libc(self):
        for library in ("libcuda.so.1", "libnvidia-ml.so.1"):
            headers = subprocess.run(["readelf", "-d", os.path.join(STAGE, "lib/rosen", library)],
                                     capture_output=True, text=True).stdout
            needed = set(re.findall(r"NEEDED.*\[(.*)\]", headers))
            self.assertLessEqual(needed, {"libc.so.6", "ld-linux-x86-64.so.2"}, library)

    def test_settings_are_listed(self):
        result = run("info", "--config", ROSEN_SPIN_US="77")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"spin_us\s.*77")

    def test_sessions_and_devices_are_listed(self):
        server = self.server()
        client = server.busy_client(3600)
        sessions = self.json("ps", "--server", server.socket)
        self.assertIn("load", json.dumps(sessions))
        self.assertIn("load", run("ps", "--server", server.socket).stdout)
        self.assertIn("name", json.dumps(self.json("devices", "--server", server.socket)))
        os.kill(server.program_of(client), signal.SIGTERM)
        client.communicate(timeout=5)
        server.stop()

    def test_a_session_shows_what_it_holds(self):
        server = self.server()
        client = server.busy_client(3600, 1, "stuck")  # holds an allocation, a stream, a module
        (session,) = wait_for(
            lambda: [s for s in self.json("ps", "--server", server.socket) if s["device_memory"]], 5,
            "the worker reports its memory")
        self.assertGreaterEqual(session["objects"], 2)
        os.kill(server.program_of(client), signal.SIGTERM)
        client.communicate(timeout=5)
        server.stop()

    def test_doctor_notes_a_misspelt_variable(self):
        told = run("doctor", "--json", ROSEN_BAKCEND="softgpu", ROSEN_SPIN_US="7").stdout
        notes = [f["text"] for f in json.loads(told)["findings"] if f["check"] == "environment"]
        self.assertIn("ROSEN_BAKCEND is set and means nothing to Rosen", notes)
        self.assertNotIn("ROSEN_SPIN_US", told)

    def test_doctor_looks_where_the_software_gpu_does(self):
        told = json.loads(run("doctor", "--json", SOFTGPU_LLVM="/nonexistent", CUDA_VISIBLE_DEVICES="0").stdout)
        texts = {finding["check"]: finding["text"] for finding in told["findings"]}
        self.assertIn("/nonexistent: cannot open shared object file", texts["compiler"])
        self.assertIn('CUDA_VISIBLE_DEVICES is "0"', texts["environment"])

    def test_doctor_finds_a_whole_installation(self):
        result = run("doctor", "--json")
        told = json.loads(result.stdout)
        states = {finding["check"]: finding["state"] for finding in told["findings"]}
        for check in ("tree", "kernel", "addresses", "rosend", BACKEND, "path"):
            self.assertEqual(states[check], "ok", told)
        self.assertEqual(told["healthy"], "bad" not in states.values())
        self.assertEqual(result.returncode, 0 if told["healthy"] else 1)


main()
