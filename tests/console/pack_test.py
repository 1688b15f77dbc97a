#!/usr/bin/env python3
"""How the console's modules become one: each keeps its names, and what can't be made one is refused.

usage: pack_test.py
"""
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "broker/http/console"))
import pack

ASSETS = ROOT / "broker/http/console/assets"


class Bundle(unittest.TestCase):
    def refused(self, modules):
        with self.assertRaises(SystemExit) as raised:
            pack.bundle(modules)
        return str(raised.exception)

    def test_what_is_imported_comes_first_and_names_stay_apart(self):
        text = pack.bundle({
            "main.js": "import {a} from './one.js';\nimport {\n  b,\n} from './two.js';\na(b);\n",
            "one.js": "import {b} from './two.js';\nconst hidden = b;\nexport function a() {}\n",
            "two.js": "const hidden = 2;\nexport const b = hidden;\n"}).decode()
        self.assertEqual(text, (
            "const $two = (() => {\nconst hidden = 2;\nconst b = hidden;\nreturn {b};\n})();\n"
            "const $one = (() => {\nconst {b} = $two;\nconst hidden = b;\nfunction a() {}\n"
            "return {a};\n})();\n"
            "const $main = (() => {\nconst {a} = $one;\nconst {\n  b,\n} = $two;\na(b);\n"
            "return {};\n})();\n"))

    def test_what_cannot_be_made_one_is_refused(self):
        for line in ("import * as x from './one.js';", "export {a};", "export default 1;",
                     "await ready();", "export let changes = 1;"):
            self.assertIn(line.split()[0], self.refused({"main.js": line + "\n"}))

    def test_circles_and_what_nobody_imports_are_refused(self):
        self.assertIn("one.js", self.refused({"main.js": "import {a} from './one.js';\n",
                                              "one.js": "import {a} from './one.js';\n"}))
        self.assertIn("gone.js", self.refused({"main.js": "import {a} from './gone.js';\n"}))
        self.assertIn("idle.js", self.refused({"main.js": "", "idle.js": ""}))

    def test_the_page_asks_for_what_is_served(self):
        files = pack.served({path.name: path.read_bytes() for path in ASSETS.iterdir()})
        page = files["index.html"].decode()
        for name in files:
            self.assertTrue(name == "index.html" or f"/console/{{{{build}}}}/{name}" in page, name)


if __name__ == "__main__":
    unittest.main()
