"""The tree as `make install` leaves it elsewhere: it runs, its units are right, bash completes its words."""
import shutil
import unittest

from scenario import *

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

COMPLETE = """
source "$1/share/bash-completion/completions/rosen"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_rosen "$1"
printf '%s\\n' "${COMPREPLY[@]}"
"""


class Install(Scenario):
    def setUp(self):
        super().setUp()
        self.prefix = tempfile.mkdtemp(prefix="rosen-scenario-")
        self.addCleanup(shutil.rmtree, self.prefix)
        self.install()
        self.rosen = os.path.join(self.prefix, "bin/rosen")

    def install(self):
        subprocess.run([os.path.join(SOURCE, "tools/install-tree"), STAGE, "", self.prefix], check=True)

    def test_what_is_there_is_replaced_and_not_changed(self):
        os.chmod(self.prefix, 0o711)
        library = os.path.join(self.prefix, "lib/rosen/libcuda.so.1")
        with open(library, "rb") as before:  # as a running program has it mapped
            self.install()
            self.assertNotEqual(os.fstat(before.fileno()).st_ino, os.stat(library).st_ino)
        self.assertEqual(os.stat(self.prefix).st_mode & 0o777, 0o711)

    def test_the_tree_runs_where_it_was_copied(self):
        told = subprocess.run([self.rosen, "info", "--json"], capture_output=True, text=True, check=True,
                              env=environment())
        self.assertEqual(json.loads(told.stdout)["prefix"], os.path.realpath(self.prefix))
        result = subprocess.run([self.rosen, "run", "--backend", BACKEND, "--", LOAD, "0.1"],
                                capture_output=True, text=True, timeout=60, env=environment())
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "ready\ndone\n", ""))

    def test_units_name_this_place(self):
        for kind in "system", "user":
            with open(f"{self.prefix}/lib/systemd/{kind}/rosend.service") as unit:
                text = unit.read()
            self.assertIn(f"ExecStart={self.prefix}/bin/rosend ", text)
            self.assertNotIn("@", text)

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
    def test_systemd_has_no_complaint_about_the_units(self):
        for kind in "system", "user":
            unit = f"{self.prefix}/lib/systemd/{kind}/rosend.service"
            result = subprocess.run(["systemd-analyze", "verify", "--man=no", f"--{kind}", unit],
                                    capture_output=True, text=True, env=environment(XDG_RUNTIME_DIR=self.prefix))
            if "Failed to initialize manager" in result.stderr:
                self.skipTest("systemd-analyze does not run here: " + result.stderr.strip().splitlines()[0])
            # It speaks of this machine's other units as well.
            self.assertNotIn("rosend.service", result.stderr)

    def complete(self, *words):
        """What bash offers for the last of these words."""
        result = subprocess.run(["bash", "-c", COMPLETE, "bash", self.prefix, self.rosen, *words],
                                capture_output=True, text=True, check=True, env=environment(), cwd=self.prefix)
        self.assertEqual(result.stderr, "")
        return result.stdout.split()

    def test_bash_completes_what_rosen_knows(self):
        commands = self.complete("")
        self.assertIn("run", commands)
        self.assertIn("doctor", commands)
        self.assertEqual(self.complete("dev"), ["devices"])
        self.assertEqual(self.complete("help", "dev"), ["devices"])
        for command in commands:
            self.assertIn("--help", self.complete(command, "--"))
        self.assertEqual(self.complete("run", "--stats"), ["--stats", "--stats-json"])
        self.assertEqual(self.complete("run", "--backend", "s"), ["softgpu"])
        self.assertEqual(self.complete("serve", "--config", "shar"), ["share"])
        self.assertEqual(self.complete("run", "--stats", "systemd-not-there"), [])
        self.assertEqual(self.complete("run", "--", "cat", "--sta"), [])


if __name__ == "__main__":
    main()
