"""The manual pages against the programs: every option and every key of JSON stands in both, or in neither."""
import glob
import unittest

from scenario import *

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MAN = os.path.join(SOURCE, "doc/man")
ALWAYS = {"--help"}


def page(name):
    with open(os.path.join(MAN, name + ".scd")) as file:
        return file.read()


def section(text, title):
    return text.split(f"\n# {title}\n", 1)[1].split("\n# ", 1)[0]


def options(text):
    return set(re.findall(r"--[a-z][a-z-]*", text))


def help_options(program, *arguments):
    told = subprocess.run([program, *arguments, "--help"], capture_output=True, text=True, check=True)
    return set(re.findall(r"^  (--[a-z-]+)", told.stdout, re.M))


def described(text):
    """Options that have a paragraph of their own."""
    return set(re.findall(r"^\*(--[a-z-]+)\*", text, re.M))


def keys(value):
    """Names of all members, but not of maps whose keys are data."""
    if isinstance(value, list):
        return set().union(*map(keys, value)) if value else set()
    if isinstance(value, dict):
        return set(value).union(*(keys(v) for k, v in value.items() if k != "paths"))
    return set()


class Documents(unittest.TestCase):
    """What the documents name must be there."""
    TOP = ("api", "bench", "doc", "examples", "packaging", "src", "test", "tools")

    def test_files_that_are_named_exist(self):
        for document in ["README.md", *glob.glob("doc/*.md", root_dir=SOURCE)]:
            with open(os.path.join(SOURCE, document)) as file:
                named = re.findall(r"`((?:%s)/[^`\s<]*)" % "|".join(self.TOP), file.read())
            for path in named:
                self.assertTrue(glob.glob(os.path.join(SOURCE, path.rstrip(".,:"))), f"{document}: {path}")

    def test_names_in_the_design_exist(self):
        sources = ""
        for path in glob.glob(os.path.join(SOURCE, "src/**/*.[chd]*"), recursive=True):
            with open(path) as file:
                sources += file.read()
        known = set(re.findall(r"[a-z][a-z0-9_]+", sources))
        for document in ("doc/DESIGN.md", "doc/WIRE.md"):
            with open(os.path.join(SOURCE, document)) as file:
                named = set(re.findall(r"`([a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?:\(\))?`", file.read()))
            self.assertGreater(len(named), 3, document)
            self.assertEqual(named - known, set(), document)

    def test_the_table_of_subjects_names_all_files(self):
        with open(os.path.join(SOURCE, "doc/HACKING.md")) as file:
            rows = section("\n" + file.read().replace("\n## ", "\n# "), "Where a subject lives").split("\n| ")[1:]
        folders = re.findall(r"`([^`]+)`", rows[0])
        self.assertEqual(len(folders), 4)
        for column, folder in enumerate(folders, start=1):
            named = {name for row in rows[1:] for name in row.split("|")[column].replace(",", " ").split()}
            paths = glob.glob(os.path.join(SOURCE, folder if "*" in folder else folder + "*.[ch]"))
            names = {os.path.splitext(os.path.basename(path))[0] for path in paths}
            self.assertGreater(len(names), 15, folder)
            self.assertEqual({name for name in names if not re.match("test-|fuzz-|seed-", name)},
                             {name for name in named if not name.endswith("/")}, folder)


class Options(unittest.TestCase):
    maxDiff = None

    def test_rosen(self):
        commands = set(re.findall(r"^  ([a-z]+) +[A-Z]", run("help").stdout, re.M))
        entries = dict(re.findall(r"^\*rosen (\w+)\* ?(.*)$", section(page("rosen.1"), "COMMANDS"), re.M))
        self.assertGreater(len(commands), 5)
        self.assertEqual(set(entries), commands)
        for command in commands - {"run", "help"}:  # they have pages, and forms, of their own
            self.assertEqual(options(entries[command]) | ALWAYS, help_options(ROSEN, command), command)

    def test_rosen_run(self):
        text, known = page("rosen-run.1"), help_options(ROSEN, "run")
        self.assertEqual(options(section(text, "SYNOPSIS")) | ALWAYS, known)
        self.assertEqual(described(section(text, "OPTIONS")) | ALWAYS, known)

    def test_rosend(self):
        text, known = page("rosend.8"), help_options(os.path.join(STAGE, "bin/rosend"))
        self.assertEqual(described(section(text, "OPTIONS")) | ALWAYS, known)
        self.assertEqual(options(section(text, "SYNOPSIS")) | {"--version"} | ALWAYS, known)


class Json(Scenario):
    def documented(self, command):
        entry = section(page("rosen.1"), "JSON").split(f"\n*rosen {command} --json*\n", 1)[1].split("\n\n", 1)[0]
        return set(re.findall(r"\*(\w+)\*", entry))

    def told(self, *arguments):
        return keys(json.loads(run(*arguments, "--json").stdout))

    def test_what_needs_no_session(self):
        for command in ("devices", "info", "info --config", "info --coverage", "doctor", "version"):
            self.assertEqual(self.told(*command.split()), self.documented(command), command)

    def test_sessions(self):
        server = self.server()
        client = server.busy_client(3600)
        self.assertEqual(self.told("ps", "--server", server.socket), self.documented("ps"))
        os.kill(server.program_of(client), signal.SIGTERM)
        client.communicate(timeout=5)
        server.stop()

    def test_statistics(self):
        text = section(page("rosen-run.1"), "OPTIONS").split("\n*--stats-json*", 1)[1].split("\n\n", 1)[0]
        with tempfile.NamedTemporaryFile() as file:
            run("run", "--backend", BACKEND, "--stats-json", file.name, "--", LOAD, "0.1")
            self.assertEqual(keys(json.load(file)), set(re.findall(r"\*(\w+)\*", text)))

    def test_bench(self):
        told = keys(json.loads(run("bench", "--quick", "--backend", BACKEND, "--json").stdout))
        text = run("bench", "--help").stdout.split("With --json:", 1)[1].split("\n\n", 1)[0]
        self.assertEqual(told - set(re.findall(r"\w+", text)), set())


main()
