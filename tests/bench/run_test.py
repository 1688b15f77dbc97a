"""./dev bench at its smallest: every program is run once and every row of the table is filled.

usage: run_test.py BUILD_DIR
"""
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RUN = ROOT / "bench" / "run.py"
BUILD = pathlib.Path()


def load_run():
    spec = importlib.util.spec_from_file_location("run", RUN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bench(*arguments):
    words = [sys.executable, RUN, "--build", BUILD, "--rounds", "1", "--no-page", *arguments]
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=250,
                          check=False)


class WholeRun(unittest.TestCase):
    def test_every_row_has_its_figures(self):
        with tempfile.TemporaryDirectory() as scratch:
            figures = pathlib.Path(scratch) / "figures.json"
            done = bench("--gb", "0.02", "--singles", "64", "--dir", scratch, "--json", figures)
            self.assertEqual(done.returncode, 0, done.stderr)
            steps = json.loads(figures.read_text(encoding="utf-8"))
            self.assertEqual([p.name for p in pathlib.Path(scratch).iterdir()], ["figures.json"],
                             "a measurement left its data")
        rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
        self.assertGreaterEqual(len(rows), 10, done.stdout)
        for name in ("storage, 1 partition", "storage, 10000", "produce", "single x16"):
            self.assertEqual(steps[name][0]["durability"], "synced", name)
        for name in ("floor ingest", "floor receive", "floor sendfile", "produce", "consume"):
            self.assertGreater(steps[name][0]["mb_per_second"], 0, name)
        self.assertGreaterEqual(steps["storage, 1 partition"][0]["segment_amplification"], 1)

    def test_a_build_without_the_programs_is_named(self):
        with tempfile.TemporaryDirectory() as empty:
            done = bench("--build", empty)
        self.assertEqual(done.returncode, 2)
        self.assertIn("runnel is missing; ./dev build makes it", done.stderr)


class Parts(unittest.TestCase):
    def setUp(self):
        self.run = load_run()

    def test_a_page_keeps_what_is_around_the_figures(self):
        with tempfile.TemporaryDirectory() as scratch:
            page = pathlib.Path(scratch) / "page.md"
            page.write_text(f"before\n{self.run.BEGIN}\nold\n{self.run.END}\nafter\n",
                            encoding="utf-8")
            self.run.write_figures(page, "new")
            self.assertEqual(page.read_text(encoding="utf-8"),
                             f"before\n{self.run.BEGIN}\nnew\n{self.run.END}\nafter\n")

    def test_a_page_without_the_marks_is_left_alone(self):
        with tempfile.TemporaryDirectory() as scratch:
            page = pathlib.Path(scratch) / "page.md"
            page.write_text("mine\n", encoding="utf-8")
            with self.assertRaises(self.run.BenchError):
                self.run.write_figures(page, "new")
            self.assertEqual(page.read_text(encoding="utf-8"), "mine\n")

    def figures_of(self, path):
        page = path.read_text(encoding="utf-8")
        return page.split(self.run.BEGIN + "\n")[1].split("\n" + self.run.END)[0]

    def test_the_readme_shows_a_figure_of_the_page(self):
        shown = self.figures_of(self.run.README)
        self.assertEqual(shown, self.run.readme_text(self.figures_of(self.run.PAGE)))
        self.assertIn(self.run.README_ROW, shown)

    def test_the_file_system_is_that_of_the_deepest_mount(self):
        mounts = "/dev/a / ext4 rw 0 0\n/dev/b /tmp xfs rw 0 0\n/dev/c /tmp/deep tmpfs rw 0 0\n"
        for place, kind in (("/tmp", "xfs"), ("/tmp/deep/er", "tmpfs"), ("/tmpfoo", "ext4")):
            self.assertEqual(self.run.file_system_of(pathlib.Path(place), mounts), kind, place)
        self.assertEqual(self.run.file_system_of(pathlib.Path("/home"), "proc /proc proc rw 0 0\n"),
                         "unknown file system")

    def test_a_step_that_fails_says_what_was_run_and_why(self):
        with self.assertRaisesRegex(self.run.BenchError, "floor ingest.*cannot make a file"):
            self.run.run_json([BUILD / "bench" / "runnel_floor", "ingest", "--dir", "/proc"])

    def test_ratios_are_taken_round_by_round(self):
        out = self.run.Measurements()
        for ours, floor in ((1, 1), (10, 20), (100, 400)):
            out.steps.setdefault("ours", []).append({"x": ours})
            out.steps.setdefault("floor", []).append({"x": floor})
        self.assertEqual(out.ratio("ours", "x", "floor"), 0.5)


if __name__ == "__main__":
    BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
