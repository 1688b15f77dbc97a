#!/usr/bin/env python3
"""Whoever reads docs/kafka-compatibility.md learns of everything that the referee lets pass."""
import pathlib
import re
import sys
import unittest
from collections import Counter

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import adjust
import allowed

PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "kafka-compatibility.md"


def places():
    """Of every rule and of what is left out."""
    proved_before = [v for v in vars(allowed).values() if isinstance(v, allowed.Allowed)]
    return {rule.place for rule in allowed.LIST + proved_before} | {p for p, _ in allowed.LEFT_OUT}


class Documented(unittest.TestCase):
    def setUp(self):
        _, section = PAGE.read_text().split("## What differs from Kafka, and why")
        self.rows = [line for line in section.splitlines() if line.startswith("| ")]
        self.anchors = Counter(re.findall(r'<a id="([^"]+)"></a>', section))

    def test_every_rule_has_its_row(self):
        self.assertEqual(places() - set(self.anchors), set())

    def test_every_anchor_is_of_a_rule_and_there_once(self):
        self.assertEqual(set(self.anchors) - places(), set())
        self.assertEqual([a for a, n in self.anchors.items() if n > 1], [])

    def test_every_row_says_what_and_why(self):
        for row in self.rows:
            self.assertRegex(row, r"^\| [^|]{5,} \| [^|]{3,} \|$")


class Adjusting(unittest.TestCase):
    def test_topics_named_twice_are_one(self):
        answer = {"Responses": [{"Topic": "a", "Partitions": [1]}, {"Topic": "b", "Partitions": [2]},
                                {"Topic": "a", "Partitions": [3]}]}
        adjust.merge_topics(answer)
        self.assertEqual(answer["Responses"], [{"Topic": "a", "Partitions": [1, 3]},
                                               {"Topic": "b", "Partitions": [2]}])


if __name__ == "__main__":
    unittest.main()
