"""What of a program's images crosses, with and without the tricks that make it less."""
import unittest

from scenario import *

IMAGES = os.path.join(os.path.dirname(LOAD), "images")
MIB = 1 << 20


@unittest.skipIf(BACKEND != "softgpu", "the foreign code in the image is none")
class Images(Scenario):
    def bytes_of_loads(self, loads, **settings):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "stats.json")
            result = run("run", "--backend", BACKEND, "--stats-json", path, "--", IMAGES,
                         LOADS=str(loads), **settings)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            with open(path) as file:
                functions = json.load(file)["functions"]
        return sum(f["bytes"] for f in functions if f["name"] == "cuModuleLoadData")

    def test_only_what_the_gpu_can_use_is_sent_and_only_once(self):
        sent = self.bytes_of_loads(5)
        self.assertTrue(MIB <= sent < 1.2 * MIB, sent)

    def test_thinning_has_its_switch(self):
        sent = self.bytes_of_loads(1, ROSEN_THIN_IMAGES="no")
        self.assertTrue(4 * MIB <= sent < 4.2 * MIB, sent)

    def test_keeping_has_its_switch(self):
        sent = self.bytes_of_loads(5, ROSEN_IMAGE_CACHE="0")
        self.assertTrue(5 * MIB <= sent < 5.2 * MIB, sent)

    def test_what_was_not_kept_is_sent_again(self):
        sent = self.bytes_of_loads(5, ROSEN_IMAGE_CACHE="100K")
        self.assertTrue(5 * MIB <= sent < 5.2 * MIB, sent)


main()
